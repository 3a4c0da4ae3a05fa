/* clock.h - the two clocks. Monotonic for durations, wall for what people and Redis expiries mean. */
#ifndef RIOT_CLOCK_H
#define RIOT_CLOCK_H

#include "lib/core/common.h"

uint64_t clock_mono_us(void);
int64_t clock_wall_ms(void);

#define CLOCK_RFC3339_MAX 32
/* "2026-01-02T03:04:05.678Z" into out. Returns out. */
const char *clock_rfc3339(int64_t wall_ms, char out[CLOCK_RFC3339_MAX]);

#endif

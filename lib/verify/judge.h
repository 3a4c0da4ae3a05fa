/* judge.h - what two readings of a key come to, and how that is told to people. Pure. Of this room only. */
#ifndef RIOT_VERIFY_JUDGE_H
#define RIOT_VERIFY_JUDGE_H

#include "lib/verify/compare.h"

struct judge_terms {
    bool deep;
    bool decoded[2]; /* deep: the side has a digest */
    int64_t now_ms;  /* deep: the later of the two servers' clocks */
    uint64_t ttl_tolerance_ms;
};

/* Both sides were read: an `error` in them can only be of the decoding. */
enum compare_verdict judge(const struct compare_side side[2], const struct judge_terms *terms);
/* "hash of 12 fields on the source, of 11 on the target". Returns out. */
const char *judge_tell(const struct compare_result *r, char *out, size_t cap);

#endif

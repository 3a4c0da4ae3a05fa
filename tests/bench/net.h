/* net.h - what the programs of the bench share: the way to a server, the clock, and the end when nothing else
 * helps. */
#ifndef RIOT_BENCH_NET_H
#define RIOT_BENCH_NET_H

#include <stdint.h>

_Noreturn void die(const char *what);
/* A path, or host:port of this machine. */
int connect_to(const char *where);
uint64_t now_ns(void);

#endif

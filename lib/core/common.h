/* common.h - the few macros that every room uses. No functions, no types. */
#ifndef RIOT_COMMON_H
#define RIOT_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
/* What a function on the hot path seldom calls: inlined, it would have it save registers each time. */
#define NOINLINE                      __attribute__((noinline))
#define CLEANUP(fn)                   __attribute__((cleanup(fn)))
#define ARRAY_LEN(a)                  (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)                     ((a) < (b) ? (a) : (b))
#define MAX(a, b)                     ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(p, type, member) ((type *)(void *)((char *)(p) - offsetof(type, member)))

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

#define KEY_NAME_MAX (1 * MIB) /* keys with longer names are told of, not copied */

#endif

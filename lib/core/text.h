/* text.h - numbers as people write and read them. */
#ifndef RIOT_TEXT_H
#define RIOT_TEXT_H

#include "lib/core/bytes.h"

#define TEXT_MAX 32

/* "500ms" "5s" "2m" "1h" "2d" into milliseconds; a bare 0 is allowed. -EINVAL, -ERANGE. */
MUST_CHECK int text_to_ms(struct bytes b, uint64_t *ret_ms);
/* "64MiB" "10KiB" "1GiB" "512" "512B" into bytes. -EINVAL, -ERANGE. */
MUST_CHECK int text_to_size(struct bytes b, uint64_t *ret_bytes);

/* "1m 23s", "450ms"; "12.3 MiB"; "1,234,567". Each returns out. */
const char *text_ms(uint64_t ms, char out[TEXT_MAX]);
const char *text_size(uint64_t bytes, char out[TEXT_MAX]);
const char *text_count(uint64_t n, char out[TEXT_MAX]);
/* The same as the configuration writes them, exactly: "1500ms" "2m" "64MiB" "1000". */
const char *text_ms_exact(uint64_t ms, char out[TEXT_MAX]);
const char *text_size_exact(uint64_t bytes, char out[TEXT_MAX]);

/* How many single-character edits lead from a to b, for "did you mean"; UINT_MAX when either is longer
 * than 64. */
unsigned text_distance(const char *a, const char *b);

/* Has a text that did not fit into cap bytes, 4 or more, end in "...", and in the middle of no character. */
void text_cut(char *text, size_t cap);

/* Writes a sentence for people, and returns err: for `return text_refuse(...)`. */
int text_refuse(char *out, size_t cap, int err, const char *format, ...) PRINTF_LIKE(4, 5);

#endif

/* lzf.h - LZF as the servers compress strings with it, decompressed as it comes.
 *
 * Memory is that of this struct: 8 KiB of history, which is as far as the format can refer back, and room for
 * some output. Both lengths are told before and both must be met exactly; a reference to before the beginning
 * is refused.
 */
#ifndef RIOT_RDB_LZF_H
#define RIOT_RDB_LZF_H

#include "lib/core/bytes.h"

#define LZF_HISTORY ((size_t)8192)
#define LZF_ROOM    (4 * LZF_HISTORY)
#define LZF_RUN_MAX 264 /* the most that three bytes, a reference, can stand for */

struct lzf {
    uint64_t made, out_left; /* bytes of output */
    size_t end, given;       /* in room: output ends here; of it, [0, given) was handed out */
    uint8_t state, high;
    uint16_t run;
    uint8_t room[LZF_ROOM];
};

/* -EBADMSG: in_len bytes cannot be out_len bytes compressed. */
MUST_CHECK int lzf_begin(struct lzf *z, uint64_t in_len, uint64_t out_len);
/* 0: *ret is the next output, borrowed until the next call; *in is what is left of the input. -EAGAIN: the
 * input has no more to give. -EBADMSG. */
MUST_CHECK int lzf_next(struct lzf *z, struct bytes *in, struct bytes *ret);
bool lzf_is_complete(const struct lzf *z); /* all output was made, and the input ended with it */

#endif

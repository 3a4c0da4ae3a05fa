/* batch_commands.h - a batch as one server is asked for it, and which reply is of which key. Of this room
 * only.
 *
 * A part is what is asked for at once (see batch_part()): the expiries of its keys, then their values, with
 * the clock where it is needed. `old`: the server is older than 7.0, and has no PEXPIRETIME.
 */
#ifndef RIOT_VERIFY_BATCH_COMMANDS_H
#define RIOT_VERIFY_BATCH_COMMANDS_H

#include "lib/core/buf.h"
#include "lib/verify/batch.h"

enum batch_command { COMMAND_TIME, COMMAND_EXPIRY, COMMAND_VALUE };

/* Is each part between MULTI and EXEC? */
bool batch_has_multi(const struct batch *b, bool old);
/* Of a part of n keys, without MULTI and EXEC. */
unsigned batch_commands(const struct batch *b, bool old, unsigned n);
/* Of the part of the keys [from, to): what its command number `at` is, and of which key. */
enum batch_command batch_command_at(const struct batch *b, bool old, unsigned from, unsigned to, unsigned at,
                                    unsigned *ret_key);
unsigned batch_replies(const struct batch *b, bool old, int side); /* to all of it, MULTI and EXEC included */
/* 0, -ENOMEM, -ENOBUFS; of an error, part of it stands in `out`. */
MUST_CHECK int batch_encode(struct buf *out, const struct batch *b, bool old, int side);

#endif

/* batch_commands.c - see batch_commands.h. */
#include "lib/verify/batch_commands.h"

#include "lib/redis/encode.h"

/* Needed before 7.0, where expiries are told as what is left, and to judge values by. */
static bool has_clock(const struct batch *b, bool old)
{
    return old || b->kind == BATCH_DEEP;
}

/* Without PEXPIRETIME the TTLs and the clock must be of one time, whatever the batch is. */
bool batch_has_multi(const struct batch *b, bool old)
{
    return b->kind != BATCH_EXISTS && (old || !b->loose);
}

unsigned batch_commands(const struct batch *b, bool old, unsigned n)
{
    if (b->kind == BATCH_EXISTS)
        return b->together ? 1 : n;
    return n + (b->strings ? 1 : n) + (has_clock(b, old) ? 1 : 0) + (old ? 1 : 0);
}

static unsigned replies_of(const struct batch *b, bool old, unsigned n)
{
    return batch_commands(b, old, n) + (batch_has_multi(b, old) ? 2 : 0);
}

unsigned batch_replies(const struct batch *b, bool old, int side)
{
    unsigned replies = 0;

    if (b->kind == BATCH_EXISTS)
        return replies_of(b, old, b->n);
    for (unsigned from = 0, to; from < b->n; from = to) {
        to = batch_part(b, side, from);
        replies += replies_of(b, old, to - from);
    }
    return replies;
}

enum batch_command batch_command_at(const struct batch *b, bool old, unsigned from, unsigned to, unsigned at,
                                    unsigned *ret_key)
{
    unsigned lead = has_clock(b, old) ? 1 : 0, n = to - from;

    *ret_key = at;
    if (b->kind == BATCH_EXISTS)
        return COMMAND_VALUE;
    *ret_key = from;
    if (at < lead)
        return COMMAND_TIME;
    *ret_key = from + at - lead;
    if (at < lead + n)
        return COMMAND_EXPIRY;
    if (old && at == lead + n)
        return COMMAND_TIME;
    *ret_key = from + at - lead - n - (old ? 1 : 0);
    return COMMAND_VALUE;
}

static int append_each(struct buf *out, const struct batch *b, unsigned from, unsigned to,
                       struct bytes command)
{
    int err = 0;
    for (unsigned i = from; i < to && !err; i++)
        err = encode_keyed(out, command, batch_name(b, i));
    return err;
}

static int append_together(struct buf *out, const struct batch *b, unsigned from, unsigned to,
                           struct bytes command)
{
    int err = encode_command(out, to - from, command);
    return err ? err : append_each(out, b, from, to, BYTES(""));
}

static int append_exists(struct buf *out, const struct batch *b)
{
    if (b->together)
        return append_together(out, b, 0, b->n, BYTES("EXISTS"));
    return append_each(out, b, 0, b->n, BYTES("*2\r\n$6\r\nEXISTS\r\n"));
}

static int append_part(struct buf *out, const struct batch *b, bool old, unsigned from, unsigned to)
{
    static const char time[] = "*1\r\n$4\r\nTIME\r\n";

    int err = batch_has_multi(b, old) ? buf_append_str(out, "*1\r\n$5\r\nMULTI\r\n") : 0;
    if (!err && has_clock(b, old))
        err = buf_append_str(out, time);
    if (!err)
        err = append_each(out, b, from, to,
                          old ? BYTES("*2\r\n$4\r\nPTTL\r\n") : BYTES("*2\r\n$11\r\nPEXPIRETIME\r\n"));
    if (!err && old)
        err = buf_append_str(out, time);
    if (!err)
        err = b->strings ? append_together(out, b, from, to, BYTES("MGET"))
                         : append_each(out, b, from, to, BYTES("*2\r\n$4\r\nDUMP\r\n"));
    return err || !batch_has_multi(b, old) ? err : buf_append_str(out, "*1\r\n$4\r\nEXEC\r\n");
}

int batch_encode(struct buf *out, const struct batch *b, bool old, int side)
{
    int err = 0;

    if (b->kind == BATCH_EXISTS)
        return append_exists(out, b);
    for (unsigned from = 0, to; from < b->n && !err; from = to) {
        to = batch_part(b, side, from);
        err = append_part(out, b, old, from, to);
    }
    return err;
}

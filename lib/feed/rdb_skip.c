#include "lib/feed/rdb_skip.h"

#include <errno.h>
#include <string.h>

void rdb_skip_init(struct rdb_skip *s)
{
    *s = (struct rdb_skip){.state = RDB_HEADER};
}

static void pass(struct rdb_skip *s, struct bytes *in, size_t n)
{
    in->ptr += n;
    in->len -= n;
    s->passed += n;
}

static int read_header(struct rdb_skip *s)
{
    struct bytes line = bytes_of(s->line, s->line_len);

    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (line.len == 0) { /* it keeps the connection alive */
        s->line_len = 0;
        return 0;
    }
    if (line.len == 5 + RDB_MARK_LEN && bytes_starts(line, "$EOF:")) {
        memcpy(s->mark, line.ptr + 5, RDB_MARK_LEN);
        s->state = RDB_MARK;
        return 0;
    }
    s->state = RDB_LENGTH;
    return line.ptr[0] == '$' && bytes_to_u64(bytes_of(line.ptr + 1, line.len - 1), &s->left) == 0 ? 0
                                                                                                   : -EBADMSG;
}

static int take_header(struct rdb_skip *s, struct bytes *in)
{
    while (in->len > 0 && s->state == RDB_HEADER) {
        char c = *in->ptr++;
        in->len--;
        int err = c == '\n' ? read_header(s) : s->line_len + 1 >= sizeof(s->line) ? -EBADMSG : 0;
        if (err)
            return err;
        if (c != '\n')
            s->line[s->line_len++] = c;
    }
    return 0;
}

static void take_length(struct rdb_skip *s, struct bytes *in)
{
    size_t n = (size_t)MIN((uint64_t)in->len, s->left);

    pass(s, in, n);
    s->left -= n;
    if (s->left == 0)
        s->state = RDB_END;
}

static void keep_tail(struct rdb_skip *s, struct bytes seen)
{
    size_t keep = MIN(seen.len, sizeof(s->tail)), old = MIN(s->tail_len, sizeof(s->tail) - keep);

    memmove(s->tail, s->tail + s->tail_len - old, old);
    memcpy(s->tail + old, seen.ptr + seen.len - keep, keep);
    s->tail_len = old + keep;
}

/* Where the mark ends in `in`, for one that began in the tail; 0: it is not there. */
static size_t mark_across(const struct rdb_skip *s, struct bytes in)
{
    char joined[2 * RDB_MARK_LEN];
    size_t more = MIN(in.len, (size_t)RDB_MARK_LEN - 1);

    memcpy(joined, s->tail, s->tail_len);
    memcpy(joined + s->tail_len, in.ptr, more);
    const char *at = memmem(joined, s->tail_len + more, s->mark, RDB_MARK_LEN);
    return at ? (size_t)(at - joined) + RDB_MARK_LEN - s->tail_len : 0;
}

/* The bytes of a command may stand behind the mark already. */
static void take_marked(struct rdb_skip *s, struct bytes *in)
{
    const char *at;
    size_t end = mark_across(s, *in);

    if (!end && (at = memmem(in->ptr, in->len, s->mark, RDB_MARK_LEN)))
        end = (size_t)(at - in->ptr) + RDB_MARK_LEN;
    if (end) {
        pass(s, in, end);
        s->state = RDB_END;
        return;
    }
    keep_tail(s, *in);
    pass(s, in, in->len);
}

int rdb_skip_feed(struct rdb_skip *s, struct bytes *in)
{
    int err = s->state == RDB_HEADER ? take_header(s, in) : 0;

    if (err)
        return err;
    if (s->state == RDB_LENGTH)
        take_length(s, in);
    else if (s->state == RDB_MARK && in->len > 0)
        take_marked(s, in);
    return s->state == RDB_END ? 0 : -EAGAIN;
}

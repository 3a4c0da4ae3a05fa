/* Any bytes as a replication stream, and as what a server answers to COMMAND.
 *
 * The first byte cuts the rest: it is fed in steps of that many bytes. Neither what the stream says nor which
 * keys its commands change may depend on the cuts, which is checked by reading it in one piece as well.
 * Ceilings are low here, so that few bytes are long.
 */
#include "lib/feed/command_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WANTED 80
#define OTHER  8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read, without the cuts. */
struct summary {
    uint64_t arguments, commands, keys, sum, offset;
    int end;
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void add(struct summary *s, uint64_t n)
{
    s->sum = s->sum * 31 + n;
}

static void add_bytes(struct summary *s, struct bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        add(s, (unsigned char)b.ptr[i]);
}

/* arg: whose keys they are now. */
static void on_key(int db, struct bytes key, void *arg)
{
    struct summary *s = *(struct summary **)arg;
    require(db >= KEYS_HERE);
    s->keys++;
    add(s, (uint64_t)db);
    add_bytes(s, key);
}

static void on_long_key(int db, struct bytes prefix, uint64_t length, void *arg)
{
    require(length > KEY_NAME_MAX && prefix.len <= STREAM_PREFIX);
    on_key(db, prefix, arg);
}

static void add_effect(struct summary *s, const struct command_effect *e)
{
    s->commands++;
    require(e->db >= 0 && e->other_db >= 0);
    require(e->kind != EFFECT_KEYS || e->keys);
    add(s, (uint64_t)e->kind);
    add(s, (uint64_t)e->db << 32 | (uint64_t)e->other_db);
    add_bytes(s, e->name);
}

static void add_argument(struct summary *s, struct command_keys *k, const struct stream_arg *a)
{
    struct command_effect e;

    require(a->index < a->argc && a->text.len <= a->length && a->text.len <= WANTED);
    s->arguments++;
    add(s, a->index);
    add(s, a->argc);
    add(s, a->length);
    add(s, a->offset);
    if (command_keys_take(k, a, &e))
        add_effect(s, &e);
}

/* A copy of exactly the bytes that are there, so that a read beyond them is seen. */
static size_t read_copy(struct stream *st, struct command_keys *k, struct bytes part, struct summary *s)
{
    char *copy = malloc(part.len ? part.len : 1);
    struct bytes in = {copy, part.len};
    struct stream_arg a;

    if (part.len)
        memcpy(copy, part.ptr, part.len);
    do {
        st->resp.whole = command_keys_wants(k) ? WANTED : OTHER;
        s->end = stream_next(st, &in, &a);
        if (!s->end)
            add_argument(s, k, &a);
    } while (!s->end);
    require(s->end == -EAGAIN || s->end == -EBADMSG);
    require(s->end == -EBADMSG || in.len <= WANTED + 32);
    free(copy);
    return in.len;
}

static void read_stream(struct command_keys *k, struct bytes in, size_t step, struct summary *s)
{
    size_t from = 0, to = 0;
    struct stream st;

    stream_init(&st, 0);
    command_keys_reset(k);
    while (s->end == -EAGAIN && to < in.len) {
        to += MIN(step, in.len - to);
        from = to - read_copy(&st, k, bytes_of(in.ptr + from, to - from), s);
        require(s->end == -EBADMSG || st.offset == from);
    }
    s->offset = st.offset;
}

static void learn(struct command_keys *k, struct bytes in)
{
    struct reply_reader *reader;
    struct reply *r;

    require(reply_reader_new(1024, 1024, MIB, &reader) == 0);
    if (reply_reader_feed(reader, in) == 0)
        while (reply_reader_next(reader, &r) == 0) {
            int err = command_keys_learn(k, r);
            require(err == 0 || err == -EBADMSG);
            reply_free(r);
        }
    reply_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct command_keys_events ev = {.key = on_key, .long_key = on_long_key};
    struct summary cut = {.end = -EAGAIN}, whole = cut, *now = &cut;
    struct command_keys *k;

    if (!size)
        return 0;
    struct bytes in = bytes_of(data + 1, size - 1);
    require(command_keys_new(&ev, &now, &k) == 0);
    learn(k, in);
    cut = (struct summary){.end = -EAGAIN};
    read_stream(k, in, data[0] ? data[0] : 1, &cut);
    now = &whole;
    read_stream(k, in, SIZE_MAX, &whole);
    require(cut.end == whole.end && cut.arguments == whole.arguments && cut.commands == whole.commands);
    require(cut.keys == whole.keys && cut.sum == whole.sum);
    require(cut.end == -EBADMSG || cut.offset == whole.offset);
    command_keys_free(k);
    return 0;
}

/* stream_keys.c - what the finder makes of a replication stream, for tests that know what changed.
 *
 *   stream_keys OFFSET [COMMAND] < STREAM
 *
 * OFFSET: of the stream's beginning. COMMAND: a file with the server's answer to COMMAND, as it came. Prints
 * a line for each key, before that of its command: "key DB NAME" (DB -1: the current one; NAME in hex), "long
 * DB LENGTH"; and for each command "effect OFFSET KIND DB OTHER NAME". Fails (1) where the stream is none, or
 * ends within a command.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/feed/command_keys.h"

#define PIECE     (64 * KIB)
#define REPLY_MAX (64 * MIB)

static const char *const kinds[] = {
    [EFFECT_QUIET] = "quiet",       [EFFECT_GETACK] = "getack",     [EFFECT_NONE] = "none",
    [EFFECT_KEYS] = "keys",         [EFFECT_SELECT] = "select",     [EFFECT_MULTI] = "multi",
    [EFFECT_EXEC] = "exec",         [EFFECT_FLUSH_DB] = "flush_db", [EFFECT_FLUSH_ALL] = "flush_all",
    [EFFECT_SWAP_DBS] = "swap_dbs", [EFFECT_SLOTS] = "slots",       [EFFECT_FUNCTIONS] = "functions",
    [EFFECT_UNKNOWN] = "unknown",
};

static void on_key(int db, struct bytes key, void *arg)
{
    (void)arg;
    printf("key %d ", db);
    for (size_t i = 0; i < key.len; i++)
        printf("%02x", (unsigned char)key.ptr[i]);
    putchar('\n');
}

static void on_long_key(int db, struct bytes prefix, uint64_t length, void *arg)
{
    (void)prefix, (void)arg;
    printf("long %d %llu\n", db, (unsigned long long)length);
}

static void tell(const struct stream_arg *a, const struct command_effect *e)
{
    char name[4 * 64 + 1];
    printf("effect %llu %s %d %d %s\n", (unsigned long long)a->offset, kinds[e->kind], e->db, e->other_db,
           bytes_escape(e->name, name, sizeof(name)));
}

static int read_all(FILE *from, struct buf *into)
{
    char *room;
    size_t n;
    do {
        if (buf_reserve(into, PIECE, &room) < 0)
            return -ENOMEM;
        n = fread(room, 1, PIECE, from);
        buf_commit(into, n);
    } while (n);
    return 0;
}

static int learn(struct command_keys *k, const char *path)
{
    struct reply_reader *reader = NULL;
    struct reply *reply = NULL;
    struct buf text;
    FILE *file = fopen(path, "rb");

    buf_init(&text, REPLY_MAX);
    int err = file ? read_all(file, &text) : -errno;
    if (!err)
        err = reply_reader_new(REPLY_MAX, REPLY_MAX, REPLY_MAX, &reader);
    if (!err)
        err = reply_reader_feed(reader, buf_bytes(&text));
    if (!err)
        err = reply_reader_next(reader, &reply);
    if (!err)
        err = command_keys_learn(k, reply);
    reply_free(reply);
    reply_reader_free(reader);
    buf_free(&text);
    if (file)
        fclose(file);
    return err;
}

/* In pieces, as they come from a server. */
static int follow(struct command_keys *k, struct stream *s)
{
    struct command_effect effect;
    struct stream_arg a;
    struct buf in;
    ssize_t n;
    int err = -EAGAIN;

    buf_init(&in, STREAM_INPUT_MAX + PIECE);
    for (char *room; err == -EAGAIN && buf_reserve(&in, PIECE, &room) == 0;) {
        n = read(STDIN_FILENO, room, PIECE);
        if (n <= 0)
            break;
        buf_commit(&in, (size_t)n);
        struct bytes left = buf_bytes(&in);
        while ((err = stream_next(s, &left, &a)) == 0) {
            if (command_keys_take(k, &a, &effect))
                tell(&a, &effect);
            stream_want(s, command_keys_wants(k));
        }
        buf_consume(&in, buf_len(&in) - left.len);
    }
    bool whole = err == -EAGAIN && !buf_len(&in) && stream_at_boundary(s);
    buf_free(&in);
    return whole ? 0 : -EBADMSG;
}

int main(int argc, char **argv)
{
    static const struct command_keys_events ev = {.key = on_key, .long_key = on_long_key};
    struct command_keys *k = NULL;
    struct stream s;

    if (argc < 2)
        return 2;
    stream_init(&s, strtoull(argv[1], NULL, 10));
    int err = command_keys_new(&ev, NULL, &k);
    if (!err && argc > 2)
        err = learn(k, argv[2]);
    if (!err)
        err = follow(k, &s);
    command_keys_free(k);
    if (err < 0)
        fprintf(stderr, "stream_keys: at %llu: %s\n", (unsigned long long)s.offset, strerror(-err));
    return err < 0;
}

#include "lib/feed/stream.h"

#include <errno.h>
#include <string.h>

void stream_init(struct stream *s, uint64_t offset)
{
    *s = (struct stream){.offset = offset};
    resp_init(&s->resp, STREAM_WANTED_MAX, INT64_MAX - 2, INT32_MAX);
}

void stream_want(struct stream *s, bool wanted)
{
    s->resp.whole = wanted ? STREAM_WANTED_MAX : STREAM_WHOLE_MAX;
}

static int give(struct stream *s, struct bytes text, uint64_t length, struct stream_arg *ret)
{
    *ret = (struct stream_arg){
        .index = s->index++,
        .argc = s->argc,
        .text = text,
        .length = length,
        .offset = s->offset,
    };
    return 0;
}

static void keep_prefix(struct stream *s, struct bytes part)
{
    size_t n = MIN(part.len, sizeof(s->prefix) - s->nprefix);

    memcpy(s->prefix + s->nprefix, part.ptr, n);
    s->nprefix += n;
}

/* 0 gives an argument; -EAGAIN: the token completes none. */
static int take(struct stream *s, const struct resp_token *t, struct stream_arg *ret)
{
    switch (t->type) {
    case RESP_ARRAY:
        s->argc = (uint64_t)t->number;
        s->index = 0;
        return s->argc ? -EAGAIN : -EBADMSG;
    case RESP_BULK:
        return give(s, t->text, t->text.len, ret);
    case RESP_BULK_START:
        s->length = (uint64_t)t->number;
        s->nprefix = 0;
        return -EAGAIN;
    case RESP_BULK_PART:
        keep_prefix(s, t->text);
        return t->number ? -EAGAIN : give(s, bytes_of(s->prefix, s->nprefix), s->length, ret);
    default:
        return -EBADMSG;
    }
}

/* An empty line between two commands, as a primary sends while it prepares something. */
static void pass_newlines(struct stream *s, struct bytes *in)
{
    while (stream_at_boundary(s) && in->len && *in->ptr == '\n') {
        in->ptr++;
        in->len--;
        s->offset++;
    }
}

/* A command is an array, and in it are bulks. */
static bool may_follow(const struct stream *s, struct bytes in)
{
    return !in.len || s->resp.part || *in.ptr == (stream_at_boundary(s) ? '*' : '$');
}

static int next_token(struct stream *s, struct bytes *in, struct resp_token *ret)
{
    size_t before = in->len;

    if (!may_follow(s, *in))
        return -EBADMSG;
    int e = resp_next(&s->resp, in, ret);
    s->offset += before - in->len;
    return e;
}

/* The longest that is taken: SET key value PXAT number. */
#define SET_ARGS 5

/* Of all that comes, only what may be one is parsed here. */
static bool begins_as_set(struct bytes in)
{
    static const char head[] = "*3\r\n$3\r\nSET\r\n";

    return in.len >= strlen(head) && in.ptr[0] == '*' && in.ptr[1] >= '3' && in.ptr[1] <= '0' + SET_ARGS &&
           memcmp(in.ptr + 2, head + 2, strlen("\r\n$3\r\n")) == 0 &&
           bytes_is_nocase(bytes_of(in.ptr + strlen("*3\r\n$3\r\n"), 3), "set");
}

/* What stands behind the value. A SET that was refused for its NX or XX is not in the stream. */
static bool take_set_options(const struct bytes *argv, size_t argc, int64_t *ret_expire_at_ms)
{
    *ret_expire_at_ms = 0;
    switch (argc) {
    case 3:
        return true;
    case 4:
        return bytes_is_nocase(argv[3], "nx") || bytes_is_nocase(argv[3], "xx");
    case SET_ARGS:
        return bytes_is_nocase(argv[3], "pxat") && bytes_to_i64(argv[4], ret_expire_at_ms) == 0 &&
               *ret_expire_at_ms > 0;
    default:
        return false;
    }
}

bool stream_take_set(struct stream *s, struct bytes *in, struct stream_set *ret)
{
    struct bytes argv[SET_ARGS], rest = {in->ptr, MIN(in->len, (size_t)STREAM_SET_MAX)};
    size_t argc;

    if (s->resp.bad || !stream_at_boundary(s) || !begins_as_set(rest) ||
        resp_request(&rest, argv, SET_ARGS, NULL, 0, &argc) ||
        !take_set_options(argv, argc, &ret->expire_at_ms))
        return false;
    ret->key = argv[1];
    ret->value = argv[2];
    size_t used = (size_t)(rest.ptr - in->ptr);
    s->offset += used;
    *in = bytes_of(rest.ptr, in->len - used);
    return true;
}

int stream_next(struct stream *s, struct bytes *in, struct stream_arg *ret)
{
    struct resp_token t;
    int e;

    do {
        pass_newlines(s, in);
        e = next_token(s, in, &t);
        if (e == -EAGAIN)
            return e;
        if (e == 0)
            e = take(s, &t, ret);
    } while (e == -EAGAIN);
    if (e == -EBADMSG)
        s->resp.bad = true;
    return e;
}

#include "lib/redis/reply.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/redis/refusal.h"

#define DEPTH_MAX  8  /* arrays in one another: what 0.14 can do; 1.x would go to 1024 */
#define LENGTH_MAX 32 /* of "$123\r\n" and of the CRLF behind a bulk */

struct reply_reader {
    redisReader *hiredis;
    size_t bulk_max, array_max, total_max;
    size_t total; /* bytes of the reply that is being built */
    bool bad;
};

void reply_free(struct reply *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        reply_free(r->at[i]);
    free(r->at);
    free(r);
}

bool reply_is_ok(const struct reply *r)
{
    return r->type == REPLY_STATUS && bytes_is(r->text, "OK");
}

bool reply_is_error(const struct reply *r, const char *code)
{
    if (r->type != REPLY_ERROR)
        return false;
    struct bytes rest = r->text;
    return !code || bytes_is(bytes_cut(&rest, ' '), code);
}

bool reply_is_passing(const struct reply *r)
{
    return r->type == REPLY_ERROR && refusal_is_passing(r->text);
}

const struct reply *reply_at(const struct reply *r, size_t i)
{
    return r && r->type == REPLY_ARRAY && i < r->count ? r->at[i] : NULL;
}

bool reply_text(const struct reply *r, struct bytes *ret)
{
    if (!r || (r->type != REPLY_STRING && r->type != REPLY_STATUS))
        return false;
    *ret = r->text;
    return true;
}

bool reply_integer(const struct reply *r, int64_t *ret)
{
    struct bytes text;
    if (r && r->type == REPLY_INTEGER) {
        *ret = r->integer;
        return true;
    }
    return reply_text(r, &text) && bytes_to_i64(text, ret) == 0;
}

int64_t reply_time_us(const struct reply *r)
{
    int64_t s, us;

    if (!reply_integer(reply_at(r, 0), &s) || !reply_integer(reply_at(r, 1), &us) || s <= 0 ||
        s > INT64_MAX / 4000000 || us < 0 || us >= 1000000)
        return 0;
    return s * 1000000 + us;
}

/* The `at` of an array grows as its elements come: what a peer announces costs nothing. */
static int adopt(struct reply_reader *reader, struct reply *parent, struct reply *child)
{
    if ((parent->count & (parent->count - 1)) == 0) {
        size_t cap = parent->count ? parent->count * 2 : 1;
        struct reply **at = realloc(parent->at, cap * sizeof(struct reply *));
        if (!at)
            return -ENOMEM;
        parent->at = at;
        reader->total += (cap - parent->count) * sizeof(struct reply *);
    }
    parent->at[parent->count++] = child;
    return 0;
}

static struct reply *make(const redisReadTask *task, enum reply_type type, const char *text, size_t len)
{
    struct reply_reader *reader = task->privdata;
    size_t size = sizeof(struct reply) + len + 1;
    if (len > reader->bulk_max || size > reader->total_max - MIN(reader->total, reader->total_max))
        return NULL;
    struct reply *r = calloc(1, size);
    if (!r)
        return NULL;
    r->type = type;
    if (text) {
        char *copy = (char *)(r + 1);
        memcpy(copy, text, len);
        r->text = bytes_of(copy, len);
    }
    if (task->parent && adopt(reader, task->parent->obj, r) < 0) {
        free(r);
        return NULL;
    }
    reader->total += size;
    return r;
}

/* What follows is called by hiredis. NULL ends the reading for good, as if memory were out: so ceilings are
 * kept, and RESP3, which was not asked for, is refused. */

static void *create_string(const redisReadTask *task, char *text, size_t len)
{
    switch (task->type) {
    case REDIS_REPLY_STRING:
        return make(task, REPLY_STRING, text, len);
    case REDIS_REPLY_STATUS:
        return make(task, REPLY_STATUS, text, len);
    case REDIS_REPLY_ERROR:
        return make(task, REPLY_ERROR, text, len);
    default:
        return NULL;
    }
}

#if HIREDIS_MAJOR >= 1
typedef size_t array_len;
#else
typedef int array_len;
#endif

static void *create_array(const redisReadTask *task, array_len count)
{
    struct reply_reader *reader = task->privdata;
    unsigned depth = 0;
    for (const redisReadTask *t = task->parent; t; t = t->parent)
        depth++;
    if (task->type != REDIS_REPLY_ARRAY || depth >= DEPTH_MAX || (size_t)count > reader->array_max)
        return NULL;
    return make(task, REPLY_ARRAY, NULL, 0);
}

static void *create_integer(const redisReadTask *task, long long value)
{
    struct reply *r = make(task, REPLY_INTEGER, NULL, 0);
    if (r)
        r->integer = value;
    return r;
}

/* "$-1" and "*-1" come with the type of what they stand for; only RESP3 has a type for null. */
static void *create_nil(const redisReadTask *task)
{
    return task->type == REDIS_REPLY_NIL ? NULL : make(task, REPLY_NIL, NULL, 0);
}

#if HIREDIS_MAJOR >= 1
static void *create_double(const redisReadTask *task, double value, char *text, size_t len)
{
    (void)task, (void)value, (void)text, (void)len;
    return NULL;
}

static void *create_bool(const redisReadTask *task, int value)
{
    (void)task, (void)value;
    return NULL;
}
#endif

static void free_object(void *object)
{
    reply_free(object);
}

static const redisReplyObjectFunctions functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
#if HIREDIS_MAJOR >= 1
    .createDouble = create_double,
    .createBool = create_bool,
#endif
    .freeObject = free_object,
};

int reply_reader_new(size_t bulk_max, size_t array_max, size_t total_max, struct reply_reader **ret)
{
    struct reply_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->bulk_max = bulk_max;
    r->array_max = array_max;
    r->total_max = total_max;
    r->hiredis = redisReaderCreateWithFunctions((redisReplyObjectFunctions *)&functions);
    if (!r->hiredis) {
        free(r);
        return -ENOMEM;
    }
    r->hiredis->privdata = r;
    *ret = r;
    return 0;
}

struct reply_reader *reply_reader_free(struct reply_reader *r)
{
    if (!r)
        return NULL;
    redisReaderFree(r->hiredis);
    free(r);
    return NULL;
}

int reply_reader_feed(struct reply_reader *r, struct bytes in)
{
    if (r->bad)
        return -EBADMSG;
    if (in.len > 0 && redisReaderFeed(r->hiredis, in.ptr, in.len) != REDIS_OK) {
        r->bad = true;
        return -ENOMEM;
    }
    return 0;
}

/* Without a whole reply, what hiredis still holds is the beginning of one element. */
static bool holds_too_much(const struct reply_reader *r)
{
    return r->hiredis->len - r->hiredis->pos > r->bulk_max + LENGTH_MAX;
}

int reply_reader_next(struct reply_reader *r, struct reply **ret)
{
    void *reply = NULL;
    if (r->bad)
        return -EBADMSG;
    if (redisReaderGetReply(r->hiredis, &reply) != REDIS_OK || (!reply && holds_too_much(r))) {
        r->bad = true;
        return -EBADMSG;
    }
    if (!reply)
        return -EAGAIN;
    r->total = 0;
    *ret = reply;
    return 0;
}

size_t reply_reader_left(const struct reply_reader *r)
{
    return r->hiredis->len - r->hiredis->pos;
}

static size_t digits(size_t n)
{
    size_t count = 1;
    for (; n >= 10; n /= 10)
        count++;
    return count;
}

static char *put_length(char *out, char type, size_t n)
{
    return out + sprintf(out, "%c%zu\r\n", type, n);
}

int request_append(struct buf *out, size_t argc, const struct bytes *argv)
{
    size_t need = digits(argc) + 3 + 1; /* and the NUL of sprintf */
    for (size_t i = 0; i < argc; i++) {
        if (argv[i].len > SIZE_MAX / 2 - need)
            return -ENOBUFS;
        need += digits(argv[i].len) + 3 + argv[i].len + 2;
    }
    char *start;
    int err = buf_reserve(out, need, &start);
    if (err < 0)
        return err;
    char *p = put_length(start, '*', argc);
    for (size_t i = 0; i < argc; i++) {
        p = put_length(p, '$', argv[i].len);
        if (argv[i].len > 0)
            memcpy(p, argv[i].ptr, argv[i].len);
        p += argv[i].len;
        *p++ = '\r';
        *p++ = '\n';
    }
    buf_commit(out, (size_t)(p - start));
    return 0;
}

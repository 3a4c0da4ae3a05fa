#include "lib/rdb/payload_impl.h"

#include <errno.h>
#include <math.h>

/* What a value of each type is made of, after its first byte. */
enum act {
    DONE,
    COUNT, /* a length: so often what follows, up to its AGAIN */
    AGAIN,
    LENGTH,        /* into number[arg] */
    MS,            /* a time, 64 bits: into number[arg] */
    ID,            /* 128 bits, big endian */
    KEY,           /* the same, as a string */
    TEXT,          /* a string, told as item arg */
    PACKED,        /* a string that holds elements: packing arg, shape more */
    NODE_KIND,     /* of a list's node */
    NODE,          /* a text or a listpack, by its kind */
    SCORE,         /* 64 bits, IEEE */
    SCORE_AS_TEXT, /* a byte of length, and a number as text */
    NO_EXPIRY,     /* tells that there is none */
    EXPIRY,        /* tells number[1]: 0 is none */
    EXPIRY_SINCE,  /* the same, but counted from number[2], which is 1 */
    EXPIRY_SIGNED, /* the same, but -1 is none */
    FORGET,        /* numbers that do not come are told as UINT64_MAX */
    TELL,          /* id and numbers, as item arg */
};

struct step {
    uint8_t act, arg, more;
};

static const struct step string_steps[] = {{TEXT, ITEM_VALUE, 0}, {DONE, 0, 0}};
static const struct step list_steps[] = {{COUNT, 0, 0}, {TEXT, ITEM_MEMBER, 0}, {AGAIN, 0, 0}, {DONE, 0, 0}};
static const struct step list_ziplist[] = {{PACKED, PACKED_ZIPLIST, SHAPE_LIST}, {DONE, 0, 0}};
static const struct step quicklist[] = {
    {COUNT, 0, 0}, {PACKED, PACKED_ZIPLIST, SHAPE_LIST}, {AGAIN, 0, 0}, {DONE, 0, 0}};
static const struct step quicklist_2[] = {
    {COUNT, 0, 0}, {NODE_KIND, 0, 0}, {NODE, 0, 0}, {AGAIN, 0, 0}, {DONE, 0, 0}};
static const struct step set_intset[] = {{PACKED, PACKED_INTSET, SHAPE_LIST}, {DONE, 0, 0}};
static const struct step set_listpack[] = {{PACKED, PACKED_LISTPACK, SHAPE_LIST}, {DONE, 0, 0}};
static const struct step zset_text[] = {
    {COUNT, 0, 0}, {TEXT, ITEM_MEMBER, 0}, {SCORE_AS_TEXT, 0, 0}, {AGAIN, 0, 0}, {DONE, 0, 0}};
static const struct step zset_2[] = {
    {COUNT, 0, 0}, {TEXT, ITEM_MEMBER, 0}, {SCORE, 0, 0}, {AGAIN, 0, 0}, {DONE, 0, 0}};
static const struct step zset_ziplist[] = {{PACKED, PACKED_ZIPLIST, SHAPE_ZSET}, {DONE, 0, 0}};
static const struct step zset_listpack[] = {{PACKED, PACKED_LISTPACK, SHAPE_ZSET}, {DONE, 0, 0}};
static const struct step hash_steps[] = {
    {COUNT, 0, 0},     {TEXT, ITEM_FIELD, 0}, {TEXT, ITEM_FIELD_VALUE, 0},
    {NO_EXPIRY, 0, 0}, {AGAIN, 0, 0},         {DONE, 0, 0}};
static const struct step hash_zipmap[] = {{PACKED, PACKED_ZIPMAP, SHAPE_HASH}, {DONE, 0, 0}};
static const struct step hash_ziplist[] = {{PACKED, PACKED_ZIPLIST, SHAPE_HASH}, {DONE, 0, 0}};
static const struct step hash_listpack[] = {{PACKED, PACKED_LISTPACK, SHAPE_HASH}, {DONE, 0, 0}};
static const struct step hash_expiry_pre[] = {
    {COUNT, 0, 0},  {LENGTH, 1, 0}, {TEXT, ITEM_FIELD, 0}, {TEXT, ITEM_FIELD_VALUE, 0},
    {EXPIRY, 0, 0}, {AGAIN, 0, 0},  {DONE, 0, 0}};
static const struct step hash_expiry_listpack_pre[] = {{PACKED, PACKED_LISTPACK, SHAPE_HASH_EXPIRY},
                                                       {DONE, 0, 0}};
/* Time of the first expiry, then the fields' own. */
static const struct step hash_expiry[] = {
    {MS, 2, 0},           {COUNT, 0, 0}, {LENGTH, 1, 0}, {TEXT, ITEM_FIELD, 0}, {TEXT, ITEM_FIELD_VALUE, 0},
    {EXPIRY_SINCE, 0, 0}, {AGAIN, 0, 0}, {DONE, 0, 0}};
static const struct step hash_expiry_listpack[] = {
    {MS, 2, 0}, {PACKED, PACKED_LISTPACK, SHAPE_HASH_EXPIRY}, {DONE, 0, 0}};
static const struct step valkey_hash_2[] = {{COUNT, 0, 0}, {TEXT, ITEM_FIELD, 0}, {TEXT, ITEM_FIELD_VALUE, 0},
                                            {MS, 1, 0},    {EXPIRY_SIGNED, 0, 0}, {AGAIN, 0, 0},
                                            {DONE, 0, 0}};

/* Streams. Listpacks by their first id; length, last id and, from the second version on, first id, max
 * deleted id and entries added; groups: name, last id, entries read (from the second version on), pending
 * entries, consumers: name, seen time, active time (from the third version on), and which entries are
 * pending. */
#define STREAM_ENTRIES                                                                                       \
    {COUNT, 0, 0}, {KEY, 0, 0}, {PACKED, PACKED_LISTPACK, SHAPE_STREAM}, {AGAIN, 0, 0}, {FORGET, 0, 0},      \
        {LENGTH, 0, 0}, {LENGTH, 1, 0}, {LENGTH, 2, 0}
#define STREAM_MORE {LENGTH, 3, 0}, {LENGTH, 4, 0}, {LENGTH, 5, 0}, {LENGTH, 6, 0}, {LENGTH, 7, 0}
#define STREAM_GROUP                                                                                         \
    {TELL, ITEM_STREAM, 0}, {COUNT, 0, 0}, {TEXT, ITEM_GROUP, 0}, {FORGET, 0, 0}, {LENGTH, 0, 0},            \
        {LENGTH, 1, 0}
#define STREAM_PENDING                                                                                       \
    {TELL, ITEM_GROUP_STATE, 0}, {COUNT, 0, 0}, {ID, 0, 0}, {MS, 0, 0}, {LENGTH, 1, 0},                      \
        {TELL, ITEM_PENDING, 0}, {AGAIN, 0, 0}
#define STREAM_CONSUMER {COUNT, 0, 0}, {TEXT, ITEM_CONSUMER, 0}, {MS, 0, 0}
#define STREAM_CONSUMER_PENDING                                                                              \
    {COUNT, 0, 0}, {ID, 0, 0}, {TELL, ITEM_CONSUMER_PENDING, 0}, {AGAIN, 0, 0}, {AGAIN, 0, 0},               \
        {AGAIN, 0, 0}, {DONE, 0, 0}

static const struct step stream_1[] = {STREAM_ENTRIES, STREAM_GROUP, STREAM_PENDING, STREAM_CONSUMER,
                                       STREAM_CONSUMER_PENDING};
static const struct step stream_2[] = {STREAM_ENTRIES,         STREAM_MORE,    STREAM_GROUP,
                                       {LENGTH, 2, 0},         STREAM_PENDING, STREAM_CONSUMER,
                                       STREAM_CONSUMER_PENDING};
static const struct step stream_3[] = {
    STREAM_ENTRIES, STREAM_MORE,     STREAM_GROUP, {LENGTH, 2, 0},
    STREAM_PENDING, STREAM_CONSUMER, {MS, 0, 0},   STREAM_CONSUMER_PENDING};

#define NODE_PLAIN  1
#define NODE_PACKED 2
#define HASH_22     22 /* Redis 7.4 before its release, or Valkey 9 */

static const struct {
    enum rdb_type type;
    const struct step *steps;
} types[] = {
    [RDB_STRING_BYTE] = {RDB_STRING, string_steps},
    [1] = {RDB_LIST, list_steps},
    [2] = {RDB_SET, list_steps},
    [3] = {RDB_ZSET, zset_text},
    [4] = {RDB_HASH, hash_steps},
    [5] = {RDB_ZSET, zset_2},
    [6] = {RDB_MODULE, NULL},
    [7] = {RDB_MODULE, NULL},
    [9] = {RDB_HASH, hash_zipmap},
    [10] = {RDB_LIST, list_ziplist},
    [11] = {RDB_SET, set_intset},
    [12] = {RDB_ZSET, zset_ziplist},
    [13] = {RDB_HASH, hash_ziplist},
    [14] = {RDB_LIST, quicklist},
    [15] = {RDB_STREAM, stream_1},
    [16] = {RDB_HASH, hash_listpack},
    [17] = {RDB_ZSET, zset_listpack},
    [18] = {RDB_LIST, quicklist_2},
    [19] = {RDB_STREAM, stream_2},
    [20] = {RDB_SET, set_listpack},
    [21] = {RDB_STREAM, stream_3},
    [HASH_22] = {RDB_HASH, hash_expiry_pre},
    [23] = {RDB_HASH, hash_expiry_listpack_pre},
    [24] = {RDB_HASH, hash_expiry},
    [25] = {RDB_HASH, hash_expiry_listpack},
    [245] = {RDB_FUNCTIONS, NULL},
    [246] = {RDB_FUNCTIONS, NULL},
};

static const char *const type_names[] = {
    [RDB_UNKNOWN] = "unknown", [RDB_STRING] = "string", [RDB_LIST] = "list",
    [RDB_SET] = "set",         [RDB_ZSET] = "zset",     [RDB_HASH] = "hash",
    [RDB_STREAM] = "stream",   [RDB_MODULE] = "module", [RDB_FUNCTIONS] = "functions",
};

enum rdb_type rdb_type_of(uint8_t first)
{
    return first < ARRAY_LEN(types) ? types[first].type : RDB_UNKNOWN;
}

const char *rdb_type_name(enum rdb_type t)
{
    return type_names[(unsigned)t < ARRAY_LEN(type_names) ? t : RDB_UNKNOWN];
}

const struct step *steps_of(uint8_t first, bool valkey)
{
    if (first == HASH_22 && valkey)
        return valkey_hash_2;
    return first < ARRAY_LEN(types) ? types[first].steps : NULL;
}

bool steps_are_done(const struct payload *p)
{
    return p->step->act == DONE;
}

/* Past the AGAIN of the loop that step is the first of. */
static const struct step *past_loop(const struct step *step)
{
    for (unsigned depth = 1; depth; step++)
        depth = depth + (step->act == COUNT) - (step->act == AGAIN);
    return step;
}

/* Whatever is counted takes a byte at least. */
static int begin_loop(struct payload *p)
{
    uint64_t n;
    int e = string_length(p, &n);

    if (e)
        return e;
    if (n > payload_left(p))
        return -EBADMSG;
    p->step++;
    if (!n) {
        p->step = past_loop(p->step);
        return 0;
    }
    p->loop = p->loop ? p->loop + 1 : p->loops;
    *p->loop = (struct loop){.first = p->step, .left = n};
    return 0;
}

static int again(struct payload *p)
{
    if (--p->loop->left) {
        p->step = p->loop->first;
        return 0;
    }
    p->loop = p->loop == p->loops ? NULL : p->loop - 1;
    p->step++;
    return 0;
}

static int read_ms(struct payload *p, unsigned number)
{
    const uint8_t *h = cursor_peek(&p->in, 8);

    if (!h)
        return MORE;
    p->event.number[number] = read_le(h, 8);
    cursor_take(&p->in, 8);
    return 0;
}

static int read_id(struct payload *p, size_t head)
{
    const uint8_t *h = cursor_peek(&p->in, head + 16);

    if (!h)
        return MORE;
    if (head && *h != 16)
        return -EBADMSG;
    p->event.id = (struct rdb_id){read_be(h + head, 8), read_be(h + head + 8, 8)};
    cursor_take(&p->in, head + 16);
    return 0;
}

static int read_score(struct payload *p)
{
    const uint8_t *h = cursor_peek(&p->in, 8);
    double score;

    if (!h)
        return MORE;
    uint64_t bits = read_le(h, 8);
    memcpy(&score, &bits, sizeof(score));
    cursor_take(&p->in, 8);
    return payload_score(p, score);
}

/* A byte of length, of which three values are no length. */
static int read_score_as_text(struct payload *p)
{
    enum { NAN_SCORE = 253, POSITIVE = 254, NEGATIVE = 255 };
    const uint8_t *h = cursor_peek(&p->in, 1);

    if (!h)
        return MORE;
    size_t len = *h;
    if (len == POSITIVE || len == NEGATIVE) {
        cursor_take(&p->in, 1);
        return payload_score(p, len == POSITIVE ? INFINITY : -INFINITY);
    }
    if (len >= CURSOR_PEEK_MAX)
        return -EBADMSG;
    h = cursor_peek(&p->in, 1 + len);
    if (!h)
        return MORE;
    memcpy(p->score, h + 1, len);
    cursor_take(&p->in, 1 + len);
    return payload_score_text(p, len);
}

static int tell_expiry(struct payload *p, uint64_t at)
{
    if (at > INT64_MAX)
        return -EBADMSG;
    p->event.number[0] = at;
    return payload_tell(p, ITEM_FIELD_EXPIRY);
}

static int tell_expiry_since(struct payload *p)
{
    uint64_t first = p->event.number[2], after = p->event.number[1];

    if (!after)
        return tell_expiry(p, 0);
    if (first > INT64_MAX || after > INT64_MAX)
        return -EBADMSG;
    return tell_expiry(p, first + after - 1);
}

static int tell_expiry_signed(struct payload *p)
{
    uint64_t at = p->event.number[1];

    if (!at)
        return -EBADMSG;
    return tell_expiry(p, at == UINT64_MAX ? 0 : at);
}

static int read_node_kind(struct payload *p)
{
    int e = string_length(p, &p->node);

    if (e)
        return e;
    return p->node == NODE_PLAIN || p->node == NODE_PACKED ? 0 : -EBADMSG;
}

static int forget(struct payload *p)
{
    memset(p->event.number, 0xff, sizeof(p->event.number));
    return 0;
}

static int act(struct payload *p, const struct step *step)
{
    switch ((enum act)step->act) {
    case TEXT:
        return string_read(p, step->arg);
    case PACKED:
        return string_read_packed(p, step->arg, step->more);
    case NODE_KIND:
        return read_node_kind(p);
    case NODE:
        return p->node == NODE_PLAIN ? string_read(p, ITEM_MEMBER)
                                     : string_read_packed(p, PACKED_LISTPACK, SHAPE_LIST);
    case LENGTH:
        return string_length(p, &p->event.number[step->arg]);
    case MS:
        return read_ms(p, step->arg);
    case ID:
        return read_id(p, 0);
    case KEY:
        return read_id(p, 1);
    case SCORE:
        return read_score(p);
    case SCORE_AS_TEXT:
        return read_score_as_text(p);
    case NO_EXPIRY:
        return tell_expiry(p, 0);
    case EXPIRY:
        return tell_expiry(p, p->event.number[1]);
    case EXPIRY_SINCE:
        return tell_expiry_since(p);
    case EXPIRY_SIGNED:
        return tell_expiry_signed(p);
    case FORGET:
        return forget(p);
    case TELL:
        return payload_tell(p, step->arg);
    case DONE:
    case COUNT:
    case AGAIN:
        break;
    }
    return -EBADMSG; /* not reached */
}

int steps_run(struct payload *p)
{
    int e = 0;

    while (!e) {
        switch (p->step->act) {
        case DONE:
            return payload_left(p) ? -EBADMSG : 0;
        case COUNT:
            e = begin_loop(p);
            break;
        case AGAIN:
            e = again(p);
            break;
        default:
            e = act(p, p->step);
            p->step += !e;
        }
    }
    return e;
}

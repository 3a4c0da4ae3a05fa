/* rdb_kit.h - for the tests of lib/rdb: what a payload tells, written as one line (as tests/data/payloads.py
 * writes it), and payloads in any cuts.
 *
 * Elements stand apart by a space. Texts are in hex, long ones as length#crc64. List: TEXT. Set: TEXT,
 * sorted. Zset: TEXT=BITS, sorted. Hash: TEXT=TEXT@EXPIRY, sorted. A HyperLogLog: REGISTER:VALUE,... of those
 * that are not 0. Stream: ID:TEXT=TEXT,..., then LENGTH/LAST-ID, then the groups, sorted:
 * TEXT:LAST-ID[ID/TIME/COUNT,...](CONSUMER:ID,...)(...).
 */
#ifndef RIOT_RDB_KIT_H
#define RIOT_RDB_KIT_H

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/rdb/crc64.h"
#include "lib/rdb/hll.h"
#include "lib/rdb/payload.h"
#include "tests/unit/unit.h"

#define KIT_FOOTER 10
#define KIT_HEX    64 /* bytes of the longest text in hex */

/* An assertion that costs nothing when it holds: Check's own tell where they are, each time. */
#define KIT_REQUIRE(holds)                                                                                   \
    do {                                                                                                     \
        if (!(holds))                                                                                        \
            ck_abort_msg("%s", #holds);                                                                      \
    } while (0)

/* Lines. */

struct line {
    char *s;
    size_t len, cap;
};

static void line_add(struct line *l, const char *format, ...) PRINTF_LIKE(2, 3);
static void line_add(struct line *l, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (l->len + (size_t)n + 1 > l->cap) {
        l->cap = 2 * l->cap + (size_t)n + 64;
        l->s = realloc(l->s, l->cap);
    }
    va_start(args, format);
    vsnprintf(l->s + l->len, l->cap - l->len, format, args);
    va_end(args);
    l->len += (size_t)n;
}

static void line_clear(struct line *l)
{
    l->len = 0;
    line_add(l, "%s", "");
}

static void line_free(struct line *l)
{
    free(l->s);
    *l = (struct line){0};
}

struct lines {
    char **s;
    size_t n, cap;
};

static void lines_add(struct lines *l, const char *s)
{
    if (l->n == l->cap)
        l->s = realloc(l->s, (l->cap = 2 * l->cap + 16) * sizeof(*l->s));
    l->s[l->n++] = strdup(s);
}

static int lines_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void lines_sort(struct lines *l, size_t from)
{
    if (l->n > from)
        qsort(l->s + from, l->n - from, sizeof(*l->s), lines_compare);
}

static void lines_clear(struct lines *l)
{
    while (l->n)
        free(l->s[--l->n]);
}

static void lines_free(struct lines *l)
{
    lines_clear(l);
    free(l->s);
    *l = (struct lines){0};
}

static void lines_join(struct lines *l, const char *between, struct line *to)
{
    for (size_t i = 0; i < l->n; i++)
        line_add(to, "%s%s", i ? between : "", l->s[i]);
    lines_clear(l);
}

/* What is told. */

struct telling {
    struct payload *payload;
    enum rdb_type type;
    char *text; /* the one that is told, so far */
    uint64_t len;
    struct line field, item, group, consumer, whole;
    struct lines told, pending, consumers, ids;
    size_t ordered; /* so many of told keep their places */
    bool in_entry, in_group, in_consumer;
    int fail_at; /* the event, counted, that fails with -ECANCELED; 0: none does */
    int events;
};

static void kit_text(struct line *to, struct bytes text)
{
    if (text.len > KIT_HEX) {
        line_add(to, "%zu#%016" PRIx64, text.len, crc64(0, text.ptr, text.len));
        return;
    }
    for (size_t i = 0; i < text.len; i++)
        line_add(to, "%02x", (unsigned char)text.ptr[i]);
}

static void kit_string(struct telling *t, struct bytes text)
{
    static uint8_t registers[HLL_REGISTERS];
    const char *comma = "";

    line_clear(&t->item);
    if (!hll_registers(text, registers)) {
        kit_text(&t->item, text);
    } else {
        for (size_t i = 0; i < HLL_REGISTERS; i++)
            if (registers[i]) {
                line_add(&t->item, "%s%zu:%u", comma, i, registers[i]);
                comma = ",";
            }
    }
    lines_add(&t->told, t->item.s);
}

static void kit_end_consumer(struct telling *t)
{
    if (!t->in_consumer)
        return;
    t->in_consumer = false;
    lines_sort(&t->ids, 0);
    lines_join(&t->ids, ",", &t->consumer);
    line_add(&t->consumer, ")");
    lines_add(&t->consumers, t->consumer.s);
}

static void kit_end_group(struct telling *t)
{
    kit_end_consumer(t);
    if (!t->in_group)
        return;
    t->in_group = false;
    lines_sort(&t->pending, 0);
    lines_join(&t->pending, ",", &t->group);
    line_add(&t->group, "]");
    lines_sort(&t->consumers, 0);
    lines_join(&t->consumers, "", &t->group);
    lines_add(&t->told, t->group.s);
}

static void kit_end_entry(struct telling *t)
{
    if (t->in_entry)
        lines_add(&t->told, t->item.s);
    t->in_entry = false;
}

static void kit_field_value(struct telling *t, struct bytes text)
{
    if (t->type != RDB_STREAM) {
        line_add(&t->field, "=");
        kit_text(&t->field, text);
        return;
    }
    KIT_REQUIRE(t->in_entry);
    line_add(&t->item, "%s%s=", t->item.s[t->item.len - 1] == ':' ? "" : ",", t->field.s);
    kit_text(&t->item, text);
}

static void kit_whole_text(struct telling *t, enum rdb_item item, struct bytes text)
{
    switch (item) {
    case ITEM_VALUE:
        kit_string(t, text);
        break;
    case ITEM_MEMBER:
    case ITEM_FIELD:
        line_clear(&t->field);
        kit_text(&t->field, text);
        if (t->type == RDB_LIST || t->type == RDB_SET)
            lines_add(&t->told, t->field.s);
        break;
    case ITEM_FIELD_VALUE:
        kit_field_value(t, text);
        break;
    case ITEM_GROUP:
        kit_end_group(t);
        t->in_group = true;
        line_clear(&t->group);
        kit_text(&t->group, text);
        break;
    default:
        KIT_REQUIRE(t->in_group);
        kit_end_consumer(t);
        t->in_consumer = true;
        line_clear(&t->consumer);
        line_add(&t->consumer, "(");
        kit_text(&t->consumer, text);
        line_add(&t->consumer, ":");
    }
}

/* Parts come in order, only an empty text has an empty one, and all have the same total. */
static void kit_part(struct telling *t, const struct rdb_event *ev)
{
    KIT_REQUIRE(ev->offset == t->len);
    KIT_REQUIRE(ev->part.len || !ev->total);
    KIT_REQUIRE(ev->offset + ev->part.len <= ev->total);
    t->text = realloc(t->text, t->len + ev->part.len + 1);
    if (ev->part.len)
        memcpy(t->text + t->len, ev->part.ptr, ev->part.len);
    t->len += ev->part.len;
    if (t->len < ev->total)
        return;
    struct bytes text = {t->text, t->len};
    t->len = 0;
    kit_whole_text(t, ev->item, text);
}

static void kit_number(struct telling *t, const struct rdb_event *ev)
{
    uint64_t bits;

    KIT_REQUIRE(!t->len); /* no text is open */
    switch (ev->item) {
    case ITEM_SCORE:
        memcpy(&bits, &ev->score, sizeof(bits));
        line_add(&t->field, "=%016" PRIx64, bits);
        lines_add(&t->told, t->field.s);
        break;
    case ITEM_FIELD_EXPIRY:
        line_add(&t->field, "@%" PRIu64, ev->number[0]);
        lines_add(&t->told, t->field.s);
        break;
    case ITEM_ENTRY:
        kit_end_entry(t);
        t->in_entry = true;
        line_clear(&t->item);
        line_add(&t->item, "%" PRIu64 "-%" PRIu64 ":", ev->id.ms, ev->id.seq);
        break;
    case ITEM_STREAM:
        kit_end_entry(t);
        line_clear(&t->item);
        line_add(&t->item, "%" PRIu64 "/%" PRIu64 "-%" PRIu64, ev->number[0], ev->number[1], ev->number[2]);
        lines_add(&t->told, t->item.s);
        t->ordered = t->told.n;
        break;
    case ITEM_GROUP_STATE:
        line_add(&t->group, ":%" PRIu64 "-%" PRIu64 "[", ev->number[0], ev->number[1]);
        break;
    case ITEM_PENDING:
        line_clear(&t->item);
        line_add(&t->item, "%" PRIu64 "-%" PRIu64 "/%" PRIu64 "/%" PRIu64, ev->id.ms, ev->id.seq,
                 ev->number[0], ev->number[1]);
        lines_add(&t->pending, t->item.s);
        break;
    default:
        ck_assert_int_eq(ev->item, ITEM_CONSUMER_PENDING);
        line_clear(&t->item);
        line_add(&t->item, "%" PRIu64 "-%" PRIu64, ev->id.ms, ev->id.seq);
        lines_add(&t->ids, t->item.s);
    }
}

static int kit_event(const struct rdb_event *ev, void *arg)
{
    struct telling *t = arg;

    if (++t->events == t->fail_at)
        return -ECANCELED;
    t->type = payload_type(t->payload);
    if (ev->item <= ITEM_FIELD_VALUE || ev->item == ITEM_GROUP || ev->item == ITEM_CONSUMER)
        kit_part(t, ev);
    else
        kit_number(t, ev);
    return 0;
}

static inline void telling_begin(struct telling *t, bool valkey, size_t memory_max)
{
    const struct payload_options options = {.valkey = valkey, .memory_max = memory_max};

    *t = (struct telling){0};
    ck_assert_int_eq(payload_new(&options, kit_event, t, &t->payload), 0);
}

static inline void telling_end(struct telling *t)
{
    struct line *lines[] = {&t->field, &t->item, &t->group, &t->consumer, &t->whole};

    t->payload = payload_free(t->payload);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        line_free(lines[i]);
    lines_free(&t->told);
    lines_free(&t->pending);
    lines_free(&t->consumers);
    lines_free(&t->ids);
    free(t->text);
}

/* How a payload is cut: `step` bytes at a time; 0: at random, by `seed`. */
struct cuts {
    size_t step;
    uint32_t seed;
};

static size_t kit_cut(struct cuts *c, size_t left)
{
    if (c->step)
        return MIN(c->step, left);
    c->seed = c->seed * 1664525 + 1013904223;
    uint32_t n = c->seed >> 8;
    return MIN(left, n % 3 ? 1 + n % 5 : 1 + n % 200);
}

/* The payload in these cuts, each a copy, so that a read beyond it is seen. *ret_told: t->whole, until the
 * next. */
static inline int tell(struct telling *t, struct bytes payload, struct cuts cuts, const char **ret_told)
{
    int e = payload_begin(t->payload, payload.len);

    lines_clear(&t->told);
    lines_clear(&t->pending);
    lines_clear(&t->consumers);
    lines_clear(&t->ids);
    t->in_entry = t->in_group = t->in_consumer = false;
    t->ordered = t->len = 0;
    t->events = 0;
    for (size_t at = 0, n; at < payload.len && (!e || e == -EOPNOTSUPP); at += n) {
        n = kit_cut(&cuts, payload.len - at);
        char *copy = malloc(n);
        memcpy(copy, payload.ptr + at, n);
        e = payload_feed(t->payload, bytes_of(copy, n));
        free(copy);
    }
    if (e && e != -EOPNOTSUPP) {
        ck_assert_int_eq(payload_feed(t->payload, bytes_of("x", 1)), e); /* it is sticky */
        ck_assert_int_eq(payload_end(t->payload), e);
        return e;
    }
    e = payload_end(t->payload);
    if (e)
        return e;
    kit_end_group(t);
    t->type = payload_type(t->payload);
    bool has_no_order = t->type == RDB_SET || t->type == RDB_ZSET || t->type == RDB_HASH;
    if (has_no_order || t->type == RDB_STREAM)
        lines_sort(&t->told, has_no_order ? 0 : t->ordered);
    line_clear(&t->whole);
    lines_join(&t->told, " ", &t->whole);
    *ret_told = t->whole.s;
    return 0;
}

/* A payload of this body: with a footer, and the right sum. For tests of one thread. */
static inline struct bytes kit_payload(const void *body, size_t len)
{
    static char *payload;

    payload = realloc(payload, len + KIT_FOOTER);
    memcpy(payload, body, len);
    memcpy(payload + len, "\x0b\0", 2);
    uint64_t sum = crc64(0, payload, len + 2);
    for (size_t i = 0; i < 8; i++)
        payload[len + 2 + i] = (char)(sum >> 8 * i);
    return bytes_of(payload, len + KIT_FOOTER);
}

static const struct cuts kit_cuts[] = {{SIZE_MAX, 0}, {1, 0}, {2, 0}, {7, 0}, {0, 1}, {0, 2}, {0, 3}, {0, 4}};

#endif

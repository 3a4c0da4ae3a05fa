#include "lib/rdb/digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "lib/rdb/hll.h"

/* Each text becomes the hash of it; all else is made of words, of which an item is a few. What has an order
 * goes through `ordered`, what has none is a sum of its items' hashes. Words are hashed as the machine keeps
 * them: digests are compared where they are made, and are not kept. */
#define WORDS_MAX 12
#define HLL_ITEM  (ITEMS + 1) /* the kind of a string that is a HyperLogLog */

struct words {
    uint64_t word[WORDS_MAX];
    size_t n;
};

/* A group of a stream, or a consumer: told in pieces. */
struct open {
    bool is;
    struct words words;
    struct hash128 pending, consumers; /* sums */
};

struct digester {
    struct payload *payload;
    int64_t now_ms;
    struct value_digest value;
    struct words item; /* what was told of a field or a member */

    XXH3_state_t *text, *ordered; /* a text that comes in parts; all that has an order */
    bool has_order;

    struct words stream, group_name;
    struct open group, consumer;
    struct hash128 groups;

    bool may_be_hll;
    char string[HLL_LENGTH_MAX];
    uint8_t registers[HLL_REGISTERS];
};

static void add_word(struct words *w, uint64_t word)
{
    w->word[w->n++] = word;
}

static void add_hash(struct words *w, struct hash128 h)
{
    add_word(w, h.low);
    add_word(w, h.high);
}

static struct hash128 hash128_of(XXH128_hash_t h)
{
    return (struct hash128){.low = h.low64, .high = h.high64};
}

static struct hash128 hash_words(const struct words *w)
{
    return hash128_of(XXH3_128bits(w->word, w->n * sizeof(w->word[0])));
}

/* 128 bits, with the carry. */
static void sum(struct hash128 *to, struct hash128 h)
{
    to->low += h.low;
    to->high += h.high + (to->low < h.low);
}

static void begin_item(struct words *w, unsigned kind)
{
    w->n = 0;
    add_word(w, kind);
}

static void add_ordered(struct digester *d, const struct words *w)
{
    if (!d->has_order)
        XXH3_128bits_reset(d->ordered);
    d->has_order = true;
    XXH3_128bits_update(d->ordered, w->word, w->n * sizeof(w->word[0]));
}

static void add_element(struct digester *d, const struct words *w)
{
    d->value.elements++;
    sum(&d->value.sum, hash_words(w));
}

/* Texts. */

/* Whether it is whole now; then its hash. */
static bool hash_text(struct digester *d, const struct rdb_event *ev, struct hash128 *ret)
{
    bool is_last = ev->offset + ev->part.len == ev->total;

    if (!ev->offset && is_last) {
        *ret = hash128_of(XXH3_128bits(ev->part.ptr, ev->part.len));
        return true;
    }
    if (!ev->offset)
        XXH3_128bits_reset(d->text);
    XXH3_128bits_update(d->text, ev->part.ptr, ev->part.len);
    if (is_last)
        *ret = hash128_of(XXH3_128bits_digest(d->text));
    return is_last;
}

static void add_text(struct words *w, uint64_t total, struct hash128 h)
{
    add_word(w, total);
    add_hash(w, h);
}

/* A string may turn out to be a HyperLogLog: as long as it looks like one, it is kept. */
static struct bytes keep_string(struct digester *d, const struct rdb_event *ev)
{
    bool is_whole = !ev->offset && ev->part.len == ev->total;

    if (!ev->offset)
        d->may_be_hll = hll_may_be(ev->part, ev->total);
    if (is_whole || !d->may_be_hll)
        return ev->part;
    memcpy(d->string + ev->offset, ev->part.ptr, ev->part.len);
    d->may_be_hll = hll_may_be(bytes_of(d->string, (size_t)ev->offset + ev->part.len), ev->total);
    return bytes_of(d->string, (size_t)ev->total);
}

static void on_string(struct digester *d, const struct rdb_event *ev)
{
    struct bytes string = keep_string(d, ev);
    struct hash128 h;

    if (!hash_text(d, ev, &h))
        return;
    begin_item(&d->item, ITEM_VALUE);
    if (d->may_be_hll && hll_registers(string, d->registers)) {
        begin_item(&d->item, HLL_ITEM);
        h = hash128_of(XXH3_128bits(d->registers, sizeof(d->registers)));
    }
    add_hash(&d->item, h);
    add_element(d, &d->item);
}

static void on_member(struct digester *d, uint64_t total, struct hash128 h)
{
    begin_item(&d->item, ITEM_MEMBER);
    add_text(&d->item, total, h);
    switch (d->value.type) {
    case RDB_LIST:
        d->value.elements++;
        add_ordered(d, &d->item);
        break;
    case RDB_SET:
        add_element(d, &d->item);
        break;
    default:
        break; /* its score follows */
    }
}

static void on_field(struct digester *d, enum rdb_item item, uint64_t total, struct hash128 h)
{
    if (item == ITEM_FIELD || d->value.type == RDB_STREAM)
        begin_item(&d->item, item);
    add_text(&d->item, total, h);
    if (d->value.type == RDB_STREAM)
        add_ordered(d, &d->item);
}

/* Streams. */

static void end_consumer(struct digester *d)
{
    if (!d->consumer.is)
        return;
    d->consumer.is = false;
    add_hash(&d->consumer.words, d->consumer.pending);
    sum(&d->group.consumers, hash_words(&d->consumer.words));
}

static void end_group(struct digester *d)
{
    end_consumer(d);
    if (!d->group.is)
        return;
    d->group.is = false;
    add_hash(&d->group.words, d->group.pending);
    add_hash(&d->group.words, d->group.consumers);
    sum(&d->groups, hash_words(&d->group.words));
}

static void open(struct open *o, enum rdb_item item, uint64_t total, struct hash128 h)
{
    *o = (struct open){.is = true};
    begin_item(&o->words, item);
    add_text(&o->words, total, h);
}

static void on_group(struct digester *d, uint64_t total, struct hash128 h)
{
    end_group(d);
    open(&d->group, ITEM_GROUP, total, h);
    d->group_name = d->group.words;
}

static void on_consumer(struct digester *d, uint64_t total, struct hash128 h)
{
    end_consumer(d);
    open(&d->consumer, ITEM_CONSUMER, total, h);
}

static void on_group_state(struct digester *d, const struct rdb_event *ev)
{
    add_word(&d->group.words, ev->number[0]);
    add_word(&d->group.words, ev->number[1]);
    add_word(&d->group_name, ev->number[2]);
    sum(&d->value.entries_read, hash_words(&d->group_name));
}

static void on_entry(struct digester *d, const struct rdb_event *ev)
{
    d->value.elements++;
    begin_item(&d->item, ITEM_ENTRY);
    add_word(&d->item, ev->id.ms);
    add_word(&d->item, ev->id.seq);
    add_ordered(d, &d->item);
}

/* First id is that of the first entry, and left out. */
static void on_stream(struct digester *d, const struct rdb_event *ev)
{
    begin_item(&d->stream, ITEM_STREAM);
    for (size_t i = 0; i < 3; i++)
        add_word(&d->stream, ev->number[i]);
    add_ordered(d, &d->stream);
    d->value.has_added = d->value.has_entries_read = ev->number[7] != UINT64_MAX;
    begin_item(&d->stream, ITEM_STREAM);
    for (size_t i = 5; i < 8; i++)
        add_word(&d->stream, ev->number[i]);
    if (d->value.has_added)
        d->value.added = hash_words(&d->stream);
}

static void on_pending(struct hash128 *to, const struct rdb_event *ev, bool is_groups)
{
    struct words w;

    begin_item(&w, ev->item);
    add_word(&w, ev->id.ms);
    add_word(&w, ev->id.seq);
    if (is_groups) {
        add_word(&w, ev->number[0]);
        add_word(&w, ev->number[1]);
    }
    sum(to, hash_words(&w));
}

/* Events. */

static void on_score(struct digester *d, const struct rdb_event *ev)
{
    uint64_t bits;

    memcpy(&bits, &ev->score, sizeof(bits));
    add_word(&d->item, bits);
    add_element(d, &d->item);
}

static void on_expiry(struct digester *d, const struct rdb_event *ev)
{
    if (ev->number[0] && (int64_t)ev->number[0] <= d->now_ms)
        return;
    add_word(&d->item, ev->number[0]);
    add_element(d, &d->item);
}

static void on_text(struct digester *d, const struct rdb_event *ev)
{
    struct hash128 h;

    if (!hash_text(d, ev, &h))
        return;
    switch (ev->item) {
    case ITEM_MEMBER:
        on_member(d, ev->total, h);
        break;
    case ITEM_GROUP:
        on_group(d, ev->total, h);
        break;
    case ITEM_CONSUMER:
        on_consumer(d, ev->total, h);
        break;
    default:
        on_field(d, ev->item, ev->total, h);
    }
}

static int on_event(const struct rdb_event *ev, void *arg)
{
    struct digester *d = arg;

    d->value.type = payload_type(d->payload);
    switch (ev->item) {
    case ITEM_VALUE:
        on_string(d, ev);
        break;
    case ITEM_SCORE:
        on_score(d, ev);
        break;
    case ITEM_FIELD_EXPIRY:
        on_expiry(d, ev);
        break;
    case ITEM_ENTRY:
        on_entry(d, ev);
        break;
    case ITEM_STREAM:
        on_stream(d, ev);
        break;
    case ITEM_GROUP_STATE:
        on_group_state(d, ev);
        break;
    case ITEM_PENDING:
        on_pending(&d->group.pending, ev, true);
        break;
    case ITEM_CONSUMER_PENDING:
        on_pending(&d->consumer.pending, ev, false);
        break;
    default:
        on_text(d, ev);
    }
    return 0;
}

int digester_new(bool valkey, struct digester **ret)
{
    const struct payload_options options = {.valkey = valkey};
    struct digester *d = calloc(1, sizeof(*d));

    if (!d)
        return -ENOMEM;
    d->text = XXH3_createState();
    d->ordered = XXH3_createState();
    int e = d->text && d->ordered ? payload_new(&options, on_event, d, &d->payload) : -ENOMEM;
    if (e) {
        digester_free(d);
        return e;
    }
    *ret = d;
    return 0;
}

struct digester *digester_free(struct digester *d)
{
    if (d) {
        payload_free(d->payload);
        XXH3_freeState(d->ordered);
        XXH3_freeState(d->text);
        free(d);
    }
    return NULL;
}

int digester_begin(struct digester *d, uint64_t length, int64_t now_ms)
{
    d->now_ms = now_ms;
    d->value = (struct value_digest){.type = RDB_UNKNOWN};
    d->has_order = false;
    d->group.is = d->consumer.is = false;
    d->groups = (struct hash128){0, 0};
    return payload_begin(d->payload, length);
}

int digester_feed(struct digester *d, struct bytes part)
{
    return payload_feed(d->payload, part);
}

int digester_end(struct digester *d, struct value_digest *ret)
{
    int e = payload_end(d->payload);

    if (e)
        return e;
    end_group(d);
    d->value.type = payload_type(d->payload);
    sum(&d->value.sum, d->groups);
    if (d->has_order)
        sum(&d->value.sum, hash128_of(XXH3_128bits_digest(d->ordered)));
    *ret = d->value;
    return 0;
}

static bool same(struct hash128 a, struct hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

bool value_digest_equal(const struct value_digest *a, const struct value_digest *b)
{
    if (a->type != b->type || a->elements != b->elements || !same(a->sum, b->sum))
        return false;
    if (a->has_added && b->has_added && !same(a->added, b->added))
        return false;
    return !a->has_entries_read || !b->has_entries_read || same(a->entries_read, b->entries_read);
}

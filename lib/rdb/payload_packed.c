#include "lib/rdb/payload_impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define ROLES 3

/* What the elements are told as, in turn. A hash' field without an expiry has it told all the same. */
static const struct {
    unsigned n;
    enum rdb_item item[ROLES];
} roles[SHAPES] = {
    [SHAPE_LIST] = {1, {ITEM_MEMBER}},
    [SHAPE_ZSET] = {2, {ITEM_MEMBER, ITEM_SCORE}},
    [SHAPE_HASH] = {2, {ITEM_FIELD, ITEM_FIELD_VALUE}},
    [SHAPE_HASH_EXPIRY] = {3, {ITEM_FIELD, ITEM_FIELD_VALUE, ITEM_FIELD_EXPIRY}},
    [SHAPE_STREAM] = {1, {ITEM_ENTRY}}, /* has its own grammar */
};

static int (*const read_packing[PACKINGS])(struct payload *) = {
    [PACKED_LISTPACK] = listpack_read,
    [PACKED_ZIPLIST] = ziplist_read,
    [PACKED_INTSET] = intset_read,
    [PACKED_ZIPMAP] = zipmap_read,
};

size_t payload_number_text(int64_t n, char ret[NUMBER_TEXT])
{
    uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    char digits[NUMBER_TEXT];
    size_t at = NUMBER_TEXT;

    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (n < 0)
        digits[--at] = '-';
    memcpy(ret, digits + at, NUMBER_TEXT - at);
    return NUMBER_TEXT - at;
}

int payload_score(struct payload *p, double score)
{
    if (isnan(score))
        return -EBADMSG;
    p->event.score = score == 0 ? 0 : score;
    return payload_tell(p, ITEM_SCORE);
}

int payload_score_text(struct payload *p, size_t len)
{
    char *end;

    p->score[len] = 0;
    double score = strtod(p->score, &end);
    if (!len || end != p->score + len)
        return -EBADMSG;
    return payload_score(p, score);
}

/* Scores come in parts as any text does. */
static int score_part(struct payload *p, struct bytes part, uint64_t offset, uint64_t total)
{
    if (total >= SCORE_TEXT)
        return -EBADMSG;
    bytes_put(p->score + offset, part);
    return offset + part.len < total ? 0 : payload_score_text(p, (size_t)total);
}

static int next_role(struct payload *p)
{
    struct packed *pk = &p->packed;

    pk->count++;
    if (++pk->role < roles[pk->shape].n)
        return 0;
    pk->role = 0;
    if (pk->shape != SHAPE_HASH)
        return 0;
    p->event.number[0] = 0;
    return payload_tell(p, ITEM_FIELD_EXPIRY);
}

static int text_part(struct payload *p, struct bytes part, uint64_t offset, uint64_t total)
{
    enum rdb_item item = roles[p->packed.shape].item[p->packed.role];
    int e;

    if (p->packed.shape == SHAPE_STREAM)
        e = entries_text(p, part, offset, total);
    else if (item == ITEM_SCORE)
        e = score_part(p, part, offset, total);
    else if (item == ITEM_FIELD_EXPIRY)
        e = -EBADMSG;
    else
        e = payload_tell_text(p, item, part, offset, total);
    if (e || offset + part.len < total)
        return e;
    return next_role(p);
}

static int int_as_text(struct payload *p, enum rdb_item item, int64_t n)
{
    char text[NUMBER_TEXT];
    size_t len = payload_number_text(n, text);

    return payload_tell_text(p, item, bytes_of(text, len), 0, len);
}

static int expiry(struct payload *p, int64_t n)
{
    if (n < 0)
        return -EBADMSG;
    p->event.number[0] = (uint64_t)n;
    return payload_tell(p, ITEM_FIELD_EXPIRY);
}

int packed_int(struct payload *p, int64_t n)
{
    enum rdb_item item = roles[p->packed.shape].item[p->packed.role];
    int e;

    if (p->packed.shape == SHAPE_STREAM)
        e = entries_int(p, n);
    else if (item == ITEM_SCORE)
        e = payload_score(p, (double)n);
    else if (item == ITEM_FIELD_EXPIRY)
        e = expiry(p, n);
    else
        e = int_as_text(p, item, n);
    return e ? e : next_role(p);
}

int packed_text_parts(struct payload *p)
{
    struct packed *pk = &p->packed;
    struct bytes part = cursor_part(&pk->in, pk->text_total - pk->text);
    uint64_t offset = pk->text;

    if (!part.len && pk->text_total)
        return MORE;
    pk->at += part.len;
    pk->text += part.len;
    int e = text_part(p, part, offset, pk->text_total);
    if (e)
        return e;
    return pk->text < pk->text_total ? MORE : 0;
}

void packed_begin(struct payload *p, enum packing packing, enum shape shape, uint64_t total)
{
    struct packed *pk = &p->packed;

    cursor_reset(&pk->in);
    pk->packing = packing;
    pk->shape = shape;
    pk->role = pk->state = 0;
    pk->total = total;
    pk->at = pk->count = pk->entry = pk->before = 0;
    if (shape == SHAPE_STREAM)
        entries_begin(p);
}

int packed_feed(struct payload *p, struct bytes part)
{
    cursor_feed(&p->packed.in, part);
    int e = read_packing[p->packed.packing](p);
    return e == MORE ? 0 : e;
}

/* The string is used up: so must be what it holds. */
int packed_end(struct payload *p)
{
    struct packed *pk = &p->packed;

    if (pk->at != pk->total || pk->in.kept || pk->role)
        return -EBADMSG;
    if (pk->shape == SHAPE_STREAM && !entries_are_whole(p))
        return -EBADMSG;
    /* Its end must have been seen, not only that of an entry. */
    int e = read_packing[pk->packing](p);
    return e == MORE ? -EBADMSG : e;
}

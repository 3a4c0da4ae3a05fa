#include "lib/rdb/payload_impl.h"

#include <errno.h>

/* The elements of a stream's listpack:
 *   live entries, deleted entries, n, n field names (of the master entry), 0
 *   and for each entry: flags, ms, seq (both as difference to the master's id), then
 *     n values, if its fields are those of the master entry, else its own count and fields and values in
 * turn, and how many elements the entry had, for reading backwards. */
enum {
    LIVE,
    DELETED,
    MASTER_COUNT,
    MASTER_FIELD,
    MASTER_END,
    FLAGS,
    ID_MS,
    ID_SEQ,
    FIELD_COUNT,
    FIELD,
    VALUE,
    ELEMENTS
};

#define FLAG_DELETED     1
#define FLAG_SAME_FIELDS 2
#define OWN_FIELDS       4 /* elements: flags, ms, seq, count */
#define SAME_FIELDS      3

/* An entry of a few bytes tells the names of all its fields again: without a bound, one part that was fed
 * could keep the loop for minutes. Each element and each byte of a text earn some; names of up to 256 bytes
 * are never too many. */
#define BUDGET_AT_FIRST (16 * MIB)
#define BUDGET_ELEMENT  256

void entries_reset(struct payload *p)
{
    p->entries.budget = BUDGET_AT_FIRST;
}

void entries_begin(struct payload *p)
{
    struct entries *s = &p->entries;

    s->state = LIVE;
    buf_consume(&s->names, buf_len(&s->names));
    buf_trim(&s->names, 0);
    s->master = p->event.id;
}

bool entries_are_whole(const struct payload *p)
{
    const struct entries *s = &p->entries;

    return s->state == FLAGS && !s->live && !s->deleted;
}

/* Tells nothing of a deleted entry. */
static inline bool is_told(const struct entries *s)
{
    return !(s->flags & FLAG_DELETED);
}

static int master_count(struct payload *p, int64_t n)
{
    struct entries *s = &p->entries;

    if (n < 1 || (uint64_t)n > packed_left(&p->packed))
        return -EBADMSG;
    s->master_fields = s->left = (uint64_t)n;
    s->state = MASTER_FIELD;
    return 0;
}

static int flags(struct entries *s, int64_t n)
{
    uint64_t *left = n & FLAG_DELETED ? &s->deleted : &s->live;

    if (n < 0 || n > (FLAG_DELETED | FLAG_SAME_FIELDS) || !*left)
        return -EBADMSG;
    (*left)--;
    s->flags = (unsigned)n;
    s->state = ID_MS;
    return 0;
}

/* All is known of the entry but its texts. */
static int begin_fields(struct payload *p, uint64_t fields)
{
    struct entries *s = &p->entries;

    s->fields = s->left = fields;
    s->name = 0;
    s->state = s->flags & FLAG_SAME_FIELDS ? VALUE : FIELD;
    if (!is_told(s))
        return 0;
    p->event.id = s->id;
    return payload_tell(p, ITEM_ENTRY);
}

static int id_seq(struct payload *p, int64_t n)
{
    struct entries *s = &p->entries;

    s->id.seq = s->master.seq + (uint64_t)n;
    if (s->flags & FLAG_SAME_FIELDS)
        return begin_fields(p, s->master_fields);
    s->state = FIELD_COUNT;
    return 0;
}

static int field_count(struct payload *p, int64_t n)
{
    if (n < 1 || (uint64_t)n > packed_left(&p->packed))
        return -EBADMSG;
    return begin_fields(p, (uint64_t)n);
}

static int elements(struct entries *s, int64_t n)
{
    uint64_t had = s->flags & FLAG_SAME_FIELDS ? SAME_FIELDS + s->fields : OWN_FIELDS + 2 * s->fields;

    if (n < 0 || (uint64_t)n != had)
        return -EBADMSG;
    s->state = FLAGS;
    return 0;
}

static int keep_name(struct entries *s, struct bytes part, uint64_t offset, uint64_t total)
{
    size_t length = (size_t)total;
    int e = offset ? 0 : buf_append(&s->names, &length, sizeof(length));

    if (!e)
        e = buf_append(&s->names, part.ptr, part.len);
    if (e)
        return e == -ENOBUFS ? -E2BIG : e;
    if (offset + part.len == total && !--s->left)
        s->state = MASTER_END;
    return 0;
}

/* The next of the master entry's names, before the value that comes now. */
static int tell_name(struct payload *p)
{
    struct entries *s = &p->entries;
    const char *at = buf_bytes(&s->names).ptr + s->name;
    size_t length;

    memcpy(&length, at, sizeof(length));
    s->name += sizeof(length) + length;
    if (length > s->budget)
        return -E2BIG;
    s->budget -= length;
    return payload_tell_text(p, ITEM_FIELD, bytes_of(at + sizeof(length), length), 0, length);
}

static int value(struct payload *p, struct bytes part, uint64_t offset, uint64_t total)
{
    struct entries *s = &p->entries;
    int e = 0;

    if (is_told(s) && !offset && s->flags & FLAG_SAME_FIELDS && s->state == VALUE)
        e = tell_name(p);
    if (!e && is_told(s))
        e = payload_tell_text(p, ITEM_FIELD_VALUE, part, offset, total);
    if (e || offset + part.len < total)
        return e;
    if (!--s->left)
        s->state = ELEMENTS;
    else if (!(s->flags & FLAG_SAME_FIELDS))
        s->state = FIELD;
    return 0;
}

static int field(struct payload *p, struct bytes part, uint64_t offset, uint64_t total)
{
    struct entries *s = &p->entries;
    int e = is_told(s) ? payload_tell_text(p, ITEM_FIELD, part, offset, total) : 0;

    if (!e && offset + part.len == total)
        s->state = VALUE;
    return e;
}

static int text(struct payload *p, struct bytes part, uint64_t offset, uint64_t total)
{
    switch (p->entries.state) {
    case MASTER_FIELD:
        return keep_name(&p->entries, part, offset, total);
    case FIELD:
        return field(p, part, offset, total);
    case VALUE:
        return value(p, part, offset, total);
    default:
        return -EBADMSG;
    }
}

int entries_text(struct payload *p, struct bytes part, uint64_t offset, uint64_t total)
{
    int e = text(p, part, offset, total);

    if (offset + part.len == total)
        p->entries.budget += BUDGET_ELEMENT + total;
    return e;
}

static int count(struct entries *s, uint64_t *ret, int64_t n)
{
    if (n < 0)
        return -EBADMSG;
    *ret = (uint64_t)n;
    s->state++;
    return 0;
}

int entries_int(struct payload *p, int64_t n)
{
    struct entries *s = &p->entries;
    char digits[NUMBER_TEXT];
    size_t len;

    switch (s->state) {
    case LIVE:
        return count(s, &s->live, n);
    case DELETED:
        return count(s, &s->deleted, n);
    case MASTER_COUNT:
        return master_count(p, n);
    case MASTER_END:
        s->state = FLAGS;
        return n ? -EBADMSG : 0;
    case FLAGS:
        return flags(s, n);
    case ID_MS:
        s->id.ms = s->master.ms + (uint64_t)n;
        s->state = ID_SEQ;
        return 0;
    case ID_SEQ:
        return id_seq(p, n);
    case FIELD_COUNT:
        return field_count(p, n);
    case ELEMENTS:
        return elements(s, n);
    default:
        len = payload_number_text(n, digits);
        return entries_text(p, bytes_of(digits, len), 0, len);
    }
}

/* payload_impl.h - what the parts of the decoder share. For lib/rdb/payload*.c alone.
 *
 * payload.c        a payload as a whole: begin, feed, end, checksum
 * payload_steps.c  what a type is made of, step by step: lengths, strings, doubles
 * payload_string.c one string: raw, a number, or LZF
 * payload_packed.c a string that holds many elements: which element is what
 * payload_listpack.c, payload_ziplist.c, payload_flat.c: how they are packed
 * payload_entries.c the listpacks of a stream
 *
 * Functions give 0 when they are done, MORE when all that was fed is used up, or a negative errno.
 */
#ifndef RIOT_RDB_PAYLOAD_IMPL_H
#define RIOT_RDB_PAYLOAD_IMPL_H

#include "lib/core/buf.h"
#include "lib/rdb/cursor.h"
#include "lib/rdb/lzf.h"
#include "lib/rdb/payload.h"

#define MORE        1
#define FOOTER      10
#define LOOPS       3   /* of a stream: groups, consumers, pending entries */
#define SCORE_TEXT  128 /* with a NUL; the longest that a server writes has some 25 characters */
#define NUMBER_TEXT 20  /* "-9223372036854775808" */

/* What the elements of a packed encoding are, in turn. */
enum shape {
    SHAPE_LIST, /* and set */
    SHAPE_ZSET,
    SHAPE_HASH,
    SHAPE_HASH_EXPIRY,
    SHAPE_STREAM,
    SHAPES
};

enum packing { PACKED_LISTPACK, PACKED_ZIPLIST, PACKED_INTSET, PACKED_ZIPMAP, PACKINGS };

struct packed {
    enum packing packing;
    enum shape shape;
    unsigned role;    /* which of the shape's roles the next element has */
    unsigned state;   /* the packing's own; 0 at the beginning */
    struct cursor in; /* the decompressed string */
    uint64_t total;   /* length of the string, as announced; it will be met exactly */
    uint64_t at;      /* of it, used up */
    uint64_t count;   /* elements told */
    uint64_t announced;
    uint64_t tail;             /* ziplist: where its last entry is said to be */
    uint64_t entry, before;    /* length of this entry, and of the one before */
    uint64_t text, text_total; /* of a text: told, and whole */
    unsigned width;            /* intset: of a number. Zipmap: free bytes behind a value */
    int64_t last;              /* intset: the number before */
};

/* A stream's listpack: the names of its master entry, and the entry that is being read. */
struct entries {
    unsigned state;
    struct rdb_id master;
    struct rdb_id id;
    struct buf names;       /* of the master fields: length (size_t), text, and so on */
    size_t name;            /* where the next one is */
    uint64_t budget;        /* bytes of them that may still be told */
    uint64_t live, deleted; /* as announced; counted down */
    uint64_t master_fields, fields, left;
    unsigned flags;
};

struct string {
    unsigned state;
    uint64_t in_left;
    uint64_t offset, total;
};

struct loop {
    const struct step *first;
    uint64_t left;
};

struct payload {
    payload_fn *fn;
    void *arg;
    bool valkey;

    int error; /* sticky */
    bool begun;
    uint8_t first;
    uint64_t body_left, footer_left; /* not yet fed */
    uint64_t crc;
    uint8_t footer[FOOTER];

    struct cursor in;
    const struct step *step;
    struct loop loops[LOOPS], *loop; /* the innermost, or NULL */
    uint64_t node;                   /* quicklist2: how the next node is packed */

    struct string string;
    struct rdb_event event; /* numbers and ids are read into it */
    char score[SCORE_TEXT];
    struct packed packed;
    struct entries entries;
    struct lzf lzf;
};

/* payload.c */
static inline uint64_t payload_left(const struct payload *p) /* of the body, from where the cursor is */
{
    return p->body_left + cursor_left(&p->in);
}

static inline int payload_tell(struct payload *p, enum rdb_item item)
{
    p->event.item = item;
    return p->fn(&p->event, p->arg);
}

static inline int payload_tell_text(struct payload *p, enum rdb_item item, struct bytes part, uint64_t offset,
                                    uint64_t total)
{
    p->event.part = part;
    p->event.offset = offset;
    p->event.total = total;
    return payload_tell(p, item);
}

size_t payload_number_text(int64_t n, char ret[NUMBER_TEXT]);
/* -EBADMSG for what is no number. */
int payload_score(struct payload *p, double score);
int payload_score_text(struct payload *p, size_t len); /* of p->score */

/* payload_steps.c */
const struct step *steps_of(uint8_t first, bool valkey); /* NULL: not decoded */
int steps_run(struct payload *p);
bool steps_are_done(const struct payload *p);

/* payload_string.c. What it holds goes to item, or is unpacked. */
void string_begin(struct payload *p);
int string_read(struct payload *p, enum rdb_item item);
int string_read_packed(struct payload *p, enum packing packing, enum shape shape);
int string_length(struct payload *p, uint64_t *ret); /* a length that is no string's encoding */

/* payload_packed.c */
void packed_begin(struct payload *p, enum packing packing, enum shape shape, uint64_t total);
int packed_feed(struct payload *p, struct bytes part);
int packed_end(struct payload *p);
int packed_int(struct payload *p, int64_t n);
/* The next part of the text of pk->text_total bytes; MORE, or 0 when it is whole. */
int packed_text_parts(struct payload *p);

/* Peeks, and takes, and knows where it is. */
static inline void packed_take(struct packed *pk, size_t n)
{
    cursor_take(&pk->in, n);
    pk->at += n;
}

static inline uint64_t packed_left(const struct packed *pk)
{
    return pk->total - pk->at;
}

int listpack_read(struct payload *p);
int ziplist_read(struct payload *p);
int intset_read(struct payload *p);
int zipmap_read(struct payload *p);

/* payload_entries.c */
void entries_reset(struct payload *p); /* for another payload */
void entries_begin(struct payload *p);
int entries_int(struct payload *p, int64_t n);
int entries_text(struct payload *p, struct bytes part, uint64_t offset, uint64_t total);
bool entries_are_whole(const struct payload *p);

#endif

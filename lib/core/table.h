/* table.h - an intrusive hash table with chaining.
 *
 * The caller embeds a table_node, owns the entries and compares them; the table owns only the array of heads.
 * Growing moves a few chains on each insert, so that no insert takes long however large the table is.
 */
#ifndef RIOT_TABLE_H
#define RIOT_TABLE_H

#include "lib/core/common.h"

struct table_node {
    struct table_node *next;
    uint64_t hash;
};

struct table {
    struct table_node **heads, **old; /* old: the smaller array that is being emptied, or NULL */
    size_t mask, old_mask, moved;     /* sizes minus one; chains of old already moved */
    size_t count;
};

MUST_CHECK int table_init(struct table *t, size_t initial); /* initial: a power of two */
void table_free(struct table *t);                           /* the entries are the caller's */

/* The first node of the chain for hash; go on with table_next(). Both skip nodes of another hash. */
struct table_node *table_first(const struct table *t, uint64_t hash);
struct table_node *table_next(const struct table_node *n);
MUST_CHECK int table_insert(struct table *t, struct table_node *n, uint64_t hash);
void table_remove(struct table *t, struct table_node *n);
/* Of a node that is soon to be removed: has the processor fetch its place, and, where that was done before,
 * what stands in its chain before it. */
void table_fetch(const struct table *t, const struct table_node *n);
void table_fetch_chain(const struct table *t, const struct table_node *n);
/* Gives memory back where most heads are empty. Not from within table_each(). */
void table_trim(struct table *t);
size_t table_bytes(const struct table *t); /* of memory for the heads */

/* Calls fn for each node; fn may remove and free the node that it was given, nothing else. */
void table_each(struct table *t, void (*fn)(struct table_node *n, void *arg), void *arg);

#endif

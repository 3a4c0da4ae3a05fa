/* copy_dirty_kit.h - one dirty set, and what its tests say again and again. */
#ifndef RIOT_COPY_DIRTY_KIT_H
#define RIOT_COPY_DIRTY_KIT_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/copy/dirty.h"
#include "tests/unit/unit.h"

#define PLENTY   (64 * MIB)
#define TURN     128 /* dirty.c's: keys in a row of one class, or of one database */
#define NO_DB    (-1)
#define LIVE     DIRTY_LIVE
#define SCAN     DIRTY_SCAN
#define NEVER_US UINT64_MAX

static struct dirty *d;
static size_t empty_bytes;

static void set_up(size_t budget)
{
    ck_assert_int_eq(dirty_new((struct hash_seed){1, 2}, budget, &d), 0);
    empty_bytes = dirty_memory(d);
}

static void tear_down(void)
{
    d = dirty_free(d);
}

static void mark(enum dirty_class class, int db, const char *key, uint64_t now_us)
{
    ck_assert_int_eq(dirty_mark(d, class, db, bytes_str(key), now_us), 0);
}

static bool has(int db, const char *key)
{
    return dirty_has(d, db, bytes_str(key));
}

/* Takes the next, which is to be this one; db NO_DB: of any. */
static struct dirty_key *take(int db, const char *key)
{
    struct dirty_key *k = dirty_take(d, UINT64_MAX);
    ck_assert_msg(k != NULL, "nothing instead of %s", key);
    ck_assert_msg(bytes_is(dirty_name(k), key), "%.*s instead of %s", (int)k->len, k->key, key);
    ck_assert(db == NO_DB || k->db == db);
    ck_assert_int_eq(k->place, DIRTY_IN_FLIGHT);
    return k;
}

static void take_none(void)
{
    ck_assert_ptr_null(dirty_take(d, UINT64_MAX));
}

static void expect(size_t queued, size_t scan_queued, size_t in_flight, size_t waiting, size_t failed)
{
    struct dirty_counts c;
    dirty_counts(d, &c);
    ck_assert_uint_eq(c.queued, queued);
    ck_assert_uint_eq(c.scan_queued, scan_queued);
    ck_assert_uint_eq(c.in_flight, in_flight);
    ck_assert_uint_eq(c.waiting, waiting);
    ck_assert_uint_eq(c.failed, failed);
    ck_assert_uint_eq(dirty_pending(&c), queued + in_flight + waiting);
}

static void mark_many(enum dirty_class class, int db, char letter, unsigned count)
{
    char key[16];
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "%c%05u", letter, i);
        mark(class, db, key, 1);
    }
}

#endif

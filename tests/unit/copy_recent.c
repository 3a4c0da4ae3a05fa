#include "lib/copy/recent.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seen {
    size_t n, most;
    int dbs[8192];
    struct bytes keys[8192];
};

static bool see(int db, struct bytes key, void *arg)
{
    struct seen *s = arg;
    ck_assert_uint_lt(s->n, ARRAY_LEN(s->dbs));
    s->dbs[s->n] = db;
    s->keys[s->n++] = key;
    return s->n < s->most;
}

static struct seen *look(const struct recent *r, size_t most)
{
    static struct seen s;
    s.n = 0;
    s.most = most;
    recent_each(r, see, &s);
    return &s;
}

START_TEST(test_newest_first)
{
    struct recent *r;
    ck_assert_int_eq(recent_new(1024, &r), 0);
    ck_assert_uint_eq(look(r, 100)->n, 0);
    recent_add(r, 0, BYTES("a"));
    recent_add(r, 7, BYTES(""));
    recent_add(r, 15, BYTES("a\0b"));
    struct seen *s = look(r, 100);
    ck_assert_uint_eq(s->n, 3);
    ck_assert(s->dbs[0] == 15 && s->dbs[1] == 7 && s->dbs[2] == 0);
    ck_assert(bytes_equal(s->keys[0], BYTES("a\0b")));
    ck_assert_uint_eq(s->keys[1].len, 0);
    ck_assert(bytes_is(s->keys[2], "a"));
    ck_assert_uint_eq(look(r, 1)->n, 1);
    recent_free(r);
    ck_assert_ptr_null(recent_free(NULL));
}
END_TEST

START_TEST(test_too_long)
{
    static char name[2000];
    struct recent *r;
    ck_assert_int_eq(recent_new(1024, &r), 0);
    recent_add(r, 1, BYTES("a"));
    recent_add(r, 1, bytes_of(name, 1017));
    ck_assert_uint_eq(look(r, 100)->n, 1);
    recent_add(r, 2, bytes_of(name, 1016)); /* it fits, and alone */
    ck_assert_uint_eq(look(r, 100)->n, 1);
    ck_assert_int_eq(look(r, 100)->dbs[0], 2);
    recent_free(r);
}
END_TEST

/* Whatever was added, and in whatever lengths: what is told is what was added last, in order, without a hole,
 * and more than half of the ring is told. */
START_TEST(test_any_lengths)
{
    static char text[300];
    static unsigned lens[2500];
    struct recent *r;

    memset(text, 'k', sizeof(text));
    ck_assert_int_eq(recent_new(4096, &r), 0);
    srand(1);
    for (unsigned i = 0; i < ARRAY_LEN(lens); i++) {
        lens[i] = (unsigned)rand() % (i % 500 < 250 ? 20u : 300u);
        recent_add(r, (int)i, bytes_of(text, lens[i]));
        struct seen *s = look(r, SIZE_MAX);
        size_t told = 0;
        for (size_t k = 0; k < s->n; k++) {
            ck_assert_int_eq(s->dbs[k], (int)(i - k));
            ck_assert_uint_eq(s->keys[k].len, lens[i - k]);
            ck_assert_int_eq(memcmp(s->keys[k].ptr, text, lens[i - k]), 0);
            told += s->keys[k].len + 8;
        }
        ck_assert(s->n == i + 1 || told > 4096 - 3 * 308);
    }
    recent_free(r);
}
END_TEST

UNIT_MAIN("copy/recent", test_newest_first, test_too_long, test_any_lengths)

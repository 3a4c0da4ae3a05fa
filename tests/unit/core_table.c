#include "lib/core/table.h"

#include <errno.h>

#include "tests/unit/unit.h"

struct entry {
    struct table_node node;
    unsigned id;
    bool seen;
};

static uint64_t spread(unsigned id)
{
    return (id + 1) * 0x9e3779b97f4a7c15u;
}

static struct entry *find(const struct table *t, unsigned id)
{
    struct table_node *n = table_first(t, spread(id));

    while (n && CONTAINER_OF(n, struct entry, node)->id != id)
        n = table_next(n);
    return n ? CONTAINER_OF(n, struct entry, node) : NULL;
}

static void add(struct table *t, struct entry *e, unsigned id)
{
    *e = (struct entry){.id = id};
    ck_assert_int_eq(table_insert(t, &e->node, spread(id)), 0);
}

START_TEST(finds_at_every_step_of_growing)
{
    enum { MANY = 3000 };
    struct entry *all = calloc(MANY, sizeof(*all));
    struct table t;

    ck_assert_int_eq(table_init(&t, 4), 0);
    for (unsigned id = 0; id < MANY; id++) {
        add(&t, &all[id], id);
        ck_assert_uint_eq(t.count, id + 1);
        for (unsigned probe = 0; probe <= id; probe += 1 + id / 16)
            ck_assert_ptr_eq(find(&t, probe), &all[probe]);
        ck_assert_ptr_null(find(&t, id + 1));
        ck_assert_uint_le(t.count, 2 * (t.mask + 1));
    }
    for (unsigned id = 0; id < MANY; id += 2)
        table_remove(&t, &all[id].node);
    ck_assert_uint_eq(t.count, MANY / 2);
    for (unsigned id = 0; id < MANY; id++)
        ck_assert_ptr_eq(find(&t, id), id % 2 ? &all[id] : NULL);
    table_free(&t);
    free(all);
}
END_TEST

START_TEST(removes_while_growing)
{
    struct entry all[64];
    struct table t;

    ck_assert_int_eq(table_init(&t, 32), 0);
    for (unsigned id = 0; id < 33; id++)
        add(&t, &all[id], id);
    ck_assert_ptr_nonnull(t.old);
    for (unsigned id = 0; id < 33; id++) {
        table_remove(&t, &all[id].node);
        ck_assert_ptr_null(find(&t, id));
        for (unsigned other = id + 1; other < 33; other++)
            ck_assert_ptr_eq(find(&t, other), &all[other]);
    }
    ck_assert_uint_eq(t.count, 0);
    table_remove(&t, &all[0].node); /* one that is not in it */
    ck_assert_uint_eq(t.count, 0);
    table_free(&t);
}
END_TEST

START_TEST(equal_hashes_share_a_chain)
{
    struct entry same[3] = {0}, other = {0};
    struct table t;
    size_t n = 0;

    ck_assert_int_eq(table_init(&t, 1), 0);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(table_insert(&t, &same[i].node, 8), 0);
    ck_assert_int_eq(table_insert(&t, &other.node, 16), 0);
    for (struct table_node *at = table_first(&t, 8); at; at = table_next(at), n++)
        ck_assert_ptr_ne(at, &other.node);
    ck_assert_uint_eq(n, 3);
    ck_assert_ptr_eq(table_first(&t, 16), &other.node);
    ck_assert_ptr_null(table_next(&other.node));
    ck_assert_ptr_null(table_first(&t, 24));
    table_free(&t);
}
END_TEST

START_TEST(an_insert_moves_few)
{
    enum { MANY = 1 << 12 };
    struct entry *all = calloc(MANY * 2, sizeof(*all));
    struct table t;

    ck_assert_int_eq(table_init(&t, MANY), 0);
    for (unsigned id = 0; id <= MANY; id++)
        add(&t, &all[id], id);
    ck_assert_ptr_nonnull(t.old);
    ck_assert_uint_le(t.moved, 4);
    ck_assert_uint_eq(table_bytes(&t), 3 * MANY * sizeof(void *));
    for (unsigned id = MANY + 1; id < 2 * MANY; id++)
        add(&t, &all[id], id);
    ck_assert_ptr_null(t.old);
    ck_assert_uint_eq(table_bytes(&t), 2 * MANY * sizeof(void *));
    table_free(&t);
    free(all);
}
END_TEST

struct visit {
    struct table *t;
    unsigned n;
};

static void see(struct table_node *n, void *arg)
{
    struct entry *e = CONTAINER_OF(n, struct entry, node);
    struct visit *v = arg;

    ck_assert(!e->seen);
    e->seen = true;
    v->n++;
}

static void drop(struct table_node *n, void *arg)
{
    struct visit *v = arg;

    table_remove(v->t, n);
    free(CONTAINER_OF(n, struct entry, node));
    v->n++;
}

START_TEST(each_sees_all_once_and_may_free)
{
    struct table t;
    struct visit v = {&t, 0};

    ck_assert_int_eq(table_init(&t, 32), 0);
    for (unsigned id = 0; id < 35; id++)
        add(&t, malloc(sizeof(struct entry)), id);
    ck_assert_ptr_nonnull(t.old);
    table_each(&t, see, &v);
    ck_assert_uint_eq(v.n, 35);
    table_each(&t, drop, &v);
    ck_assert_uint_eq(v.n, 70);
    ck_assert_uint_eq(t.count, 0);
    table_free(&t);
    ck_assert_ptr_null(table_first(&t, 1));
    ck_assert_uint_eq(table_bytes(&t), 0);
    table_each(&t, see, &v);
}
END_TEST

START_TEST(sizes_are_powers_of_two)
{
    struct table t;

    ck_assert_int_eq(table_init(&t, 0), -EINVAL);
    ck_assert_int_eq(table_init(&t, 3), -EINVAL);
    ck_assert_int_eq(table_init(&t, (SIZE_MAX >> 1) + 1), -ENOMEM);
}
END_TEST

UNIT_MAIN("core/table", finds_at_every_step_of_growing, removes_while_growing, equal_hashes_share_a_chain,
          an_insert_moves_few, each_sees_all_once_and_may_free, sizes_are_powers_of_two)

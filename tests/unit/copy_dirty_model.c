#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/copy/dirty.h"
#include "tests/unit/unit.h"

/* The dirty set beside a model of it that is too simple to be wrong: an array of all keys that there can be,
 * each with its place, and in a queue a number that orders it. Long random walks over all that can be done;
 * after each step both must agree. */

#define NAMES  23
#define DBS    3
#define KEYS   (NAMES * DBS)
#define STEPS  50000
#define PLENTY (64 * MIB)
#define ABSENT (-1)

/* ck_assert() writes to a pipe each time; here are tens of millions. */
#define CHECK(x)                                                                                             \
    do {                                                                                                     \
        if (!(x))                                                                                            \
            ck_abort_msg("not so: %s", #x);                                                                  \
    } while (0)

struct model_key {
    int place; /* of enum dirty_place, or ABSENT */
    enum dirty_class class;
    int64_t order; /* among the queued of its class and database; among the waiting */
    uint64_t since_us, again_us, due_us;
    bool again, lost;
    unsigned closes;
    bool must, again_must;  /* it, and its mark in flight, were there when settling began */
    struct dirty_key *real; /* in flight */
};

static struct model_key model[KEYS];
static int64_t first, last;
static struct dirty *d;
static uint64_t random_state, now_us;
static unsigned clock_step; /* the most microseconds between two steps */
static bool strict;         /* the clock moves at each step, so that all can be told exactly */

static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

/* Of one letter. */
static struct bytes name_of(size_t i)
{
    static const char letters[NAMES] = "abcdefghijklmnopqrstuvw";
    return bytes_of(&letters[i / DBS], 1);
}

static size_t index_of(const struct dirty_key *k)
{
    return (size_t)(k->key[0] - 'a') * DBS + (size_t)k->db;
}

static void queue_last(struct model_key *m)
{
    m->place = DIRTY_QUEUED;
    m->order = ++last;
    m->lost = false;
}

static void queue_first(struct model_key *m)
{
    queue_last(m);
    m->order = --first;
}

static void wait_until(struct model_key *m, uint64_t due_us)
{
    m->place = DIRTY_WAITING;
    m->due_us = due_us;
    m->order = ++last;
}

/* One in that place, by chance, or NULL. */
static struct model_key *any(int place)
{
    size_t from = random_below(KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        struct model_key *m = &model[(from + i) % KEYS];
        if (m->place == place)
            return m;
    }
    return NULL;
}

static void step_mark(void)
{
    size_t i = random_below(KEYS);
    struct model_key *m = &model[i];
    enum dirty_class class = random_below(2) ? DIRTY_LIVE : DIRTY_SCAN;
    bool full = random_below(8) == 0;

    if (full)
        dirty_set_budget(d, 0);
    int err = dirty_mark(d, class, (int)(i % DBS), name_of(i), now_us);
    dirty_set_budget(d, PLENTY);
    CHECK(err == (full && m->place == ABSENT ? -ENOBUFS : 0));
    if (err)
        return;
    switch (m->place) {
    case ABSENT:
        *m = (struct model_key){.class = class, .since_us = now_us};
        queue_last(m);
        break;
    case DIRTY_QUEUED:
        if (class == DIRTY_LIVE && m->class == DIRTY_SCAN) {
            m->class = DIRTY_LIVE;
            queue_last(m);
        }
        break;
    case DIRTY_IN_FLIGHT:
        if (!m->again)
            m->again_us = now_us;
        m->again = true;
        if (class == DIRTY_LIVE)
            m->class = DIRTY_LIVE;
        break;
    case DIRTY_FAILED:
        m->since_us = now_us;
        m->class = class;
        queue_last(m);
        break;
    default:
        break;
    }
}

static void step_take(void)
{
    struct dirty_key *k = dirty_take(d, UINT64_MAX);
    if (!k) {
        CHECK(!any(DIRTY_QUEUED));
        return;
    }
    struct model_key *m = &model[index_of(k)];
    CHECK(m->place == DIRTY_QUEUED); /* so never twice at once (R2) */
    for (size_t i = (size_t)k->db; i < KEYS; i += DBS)
        CHECK(model[i].place != DIRTY_QUEUED || model[i].class != m->class || model[i].order >= m->order);
    CHECK(k->since_us == m->since_us);
    CHECK(k->class == m->class);
    CHECK(k->closes == m->closes);
    CHECK(k->alone == (m->closes >= DIRTY_SUSPECT));
    m->place = DIRTY_IN_FLIGHT;
    m->real = k;
}

static void step_done(struct model_key *m)
{
    dirty_done(d, m->real);
    m->closes = 0;
    if (!m->again) {
        m->place = ABSENT;
        m->must = false;
        return;
    }
    m->since_us = m->again_us;
    m->must = m->again_must;
    m->again = m->again_must = false;
    queue_last(m);
}

static void step_put_back(struct model_key *m)
{
    uint64_t delay_us = random_below(2) ? 0 : random_below(100);

    dirty_put_back(d, m->real, now_us, delay_us);
    m->again = m->again_must = false;
    if (delay_us)
        wait_until(m, now_us + delay_us);
    else
        queue_first(m);
}

static void step_put_last(struct model_key *m)
{
    dirty_put_last(d, m->real);
    m->again = m->again_must = false;
    queue_last(m);
}

static void step_put_lost(struct model_key *m)
{
    dirty_put_lost(d, m->real, 0);
    m->again = m->again_must = false;
    m->lost = true;
    wait_until(m, UINT64_MAX);
}

static void has_failed(struct model_key *m)
{
    m->lost = false;
    if (m->again) {
        m->again = m->again_must = false;
        queue_last(m);
        return;
    }
    m->place = DIRTY_FAILED;
    m->order = ++last;
    m->must = false;
}

static void step_fail(struct model_key *m)
{
    dirty_fail(d, m->real, "it was told so");
    has_failed(m);
}

/* The waiting one of the lowest order of those that are due then, or the highest. */
static struct model_key *waiting(uint64_t until_us, bool lost, bool highest)
{
    struct model_key *found = NULL;
    for (size_t i = 0; i < KEYS; i++) {
        struct model_key *m = &model[i];
        if (m->place != DIRTY_WAITING || m->due_us > until_us || (lost && m->due_us != UINT64_MAX))
            continue;
        if (!found ||
            (m->due_us != found->due_us ? m->due_us < found->due_us : highest == (m->order > found->order)))
            found = m;
    }
    return found;
}

static void step_release(void)
{
    uint64_t delay_us = random_below(2) ? 0 : 1 + random_below(100);
    bool blame = random_below(2);
    struct model_key *m;

    dirty_release_lost(d, 0, now_us, delay_us, blame);
    while ((m = waiting(UINT64_MAX, true, !delay_us))) {
        m->closes += blame;
        if (blame && m->closes >= DIRTY_SUSPECT + DIRTY_GUILTY)
            has_failed(m);
        else if (delay_us)
            wait_until(m, now_us + delay_us);
        else
            queue_first(m);
    }
}

static void step_tick(void)
{
    struct model_key *m;
    uint64_t next_us = dirty_tick(d, now_us);

    while ((m = waiting(now_us, false, false)))
        queue_last(m);
    m = waiting(UINT64_MAX, false, false);
    CHECK(next_us == (m ? m->due_us : UINT64_MAX));
}

static void step_retry_failed(void)
{
    struct model_key *m;

    dirty_retry_failed(d);
    do {
        m = NULL;
        for (size_t i = 0; i < KEYS; i++)
            if (model[i].place == DIRTY_FAILED && (!m || model[i].order < m->order))
                m = &model[i];
        if (m)
            queue_last(m);
    } while (m);
}

static void step_clear(void)
{
    dirty_clear(d);
    for (size_t i = 0; i < KEYS; i++) {
        struct model_key *m = &model[i];
        if (m->place == DIRTY_IN_FLIGHT || (m->place == DIRTY_WAITING && m->lost))
            continue;
        m->place = ABSENT;
        m->must = false;
    }
}

static void step_settle(void)
{
    dirty_settle_begin(d, now_us);
    for (size_t i = 0; i < KEYS; i++) {
        struct model_key *m = &model[i];
        m->must = m->place != ABSENT && m->place != DIRTY_FAILED;
        m->again_must = m->place == DIRTY_IN_FLIGHT && m->again;
    }
}

static void step_in_flight(unsigned what)
{
    struct model_key *m = any(DIRTY_IN_FLIGHT);
    if (!m)
        return;
    if (what < 60)
        step_done(m);
    else if (what < 70)
        step_put_back(m);
    else if (what < 78)
        step_put_last(m);
    else if (what < 92)
        step_put_lost(m);
    else
        step_fail(m);
}

static void compare(void)
{
    struct dirty_counts c, expected = {0};
    bool must = false;
    uint64_t oldest_us = UINT64_MAX;

    for (size_t i = 0; i < KEYS; i++) {
        const struct model_key *m = &model[i];
        CHECK(dirty_has(d, (int)(i % DBS), name_of(i)) == (m->place != ABSENT && m->place != DIRTY_FAILED));
        expected.queued += m->place == DIRTY_QUEUED;
        expected.scan_queued += m->place == DIRTY_QUEUED && m->class == DIRTY_SCAN;
        expected.in_flight += m->place == DIRTY_IN_FLIGHT;
        expected.waiting += m->place == DIRTY_WAITING;
        expected.failed += m->place == DIRTY_FAILED;
        must |= m->must;
        if (m->place != ABSENT && m->place != DIRTY_FAILED)
            oldest_us = MIN(oldest_us, m->since_us);
    }
    dirty_counts(d, &c);
    CHECK(memcmp(&c, &expected, sizeof(c)) == 0);
    CHECK(!must || !dirty_settled(d));
    CHECK(!strict || dirty_settled(d) == !must);
    if (oldest_us == UINT64_MAX)
        CHECK(dirty_oldest_us(d) == 0);
    else
        CHECK(dirty_oldest_us(d) >= oldest_us && dirty_oldest_us(d) <= now_us);
}

static void step(void)
{
    unsigned what = (unsigned)random_below(1000);

    now_us += strict ? 1 + random_below(clock_step) : random_below(clock_step + 1);
    if (what < 350)
        step_mark();
    else if (what < 600)
        step_take();
    else if (what < 900)
        step_in_flight((unsigned)random_below(100));
    else if (what < 940)
        step_tick();
    else if (what < 970)
        step_release();
    else if (what < 980)
        step_settle();
    else if (what < 983)
        step_clear();
    else if (any(DIRTY_FAILED) && what < 990)
        step_retry_failed();
}

/* All that is left is copied. */
static void drain(void)
{
    strict = false;
    while (any(DIRTY_QUEUED) || any(DIRTY_IN_FLIGHT) || any(DIRTY_WAITING)) {
        now_us += 1000;
        step_release();
        step_tick();
        while (any(DIRTY_QUEUED))
            step_take();
        for (struct model_key *m; (m = any(DIRTY_IN_FLIGHT));)
            step_done(m);
        compare();
    }
    CHECK(dirty_settled(d));
}

static void walk(uint64_t seed, bool is_strict, unsigned most_us)
{
    random_state = seed * 0x9e3779b97f4a7c15u + 1;
    now_us = 1000;
    first = last = 0;
    strict = is_strict;
    clock_step = most_us;
    for (size_t i = 0; i < KEYS; i++)
        model[i] = (struct model_key){.place = ABSENT};
    ck_assert_int_eq(dirty_new((struct hash_seed){seed, ~seed}, PLENTY, &d), 0);
    size_t empty_bytes = dirty_memory(d);
    for (unsigned i = 0; i < STEPS; i++) {
        step();
        compare();
    }
    drain();
    step_clear();
    compare();
    CHECK(dirty_memory(d) == empty_bytes);
    d = dirty_free(d);
}

START_TEST(test_walks_with_a_clock_that_moves)
{
    for (uint64_t seed = 1; seed <= 3; seed++)
        walk(seed, true, 5);
}
END_TEST

START_TEST(test_walks_with_a_slow_clock)
{
    for (uint64_t seed = 11; seed <= 13; seed++)
        walk(seed, false, 1);
}
END_TEST

START_TEST(test_walks_with_a_clock_that_jumps)
{
    for (uint64_t seed = 21; seed <= 23; seed++)
        walk(seed, true, 60);
}
END_TEST

UNIT_MAIN("copy/dirty against a model", test_walks_with_a_clock_that_moves, test_walks_with_a_slow_clock,
          test_walks_with_a_clock_that_jumps)

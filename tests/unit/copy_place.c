#include "lib/copy/lane_impl.h"
#include "tests/unit/copy_lane_kit.h"

/* What of the source's stream counts as applied, between two real servers. */

/* Longer than the target takes, however well it is compressed. */
static void set_large(void)
{
    static char value[MIB];
    uint64_t random = 1;

    for (size_t i = 0; i < sizeof(value); i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        value[i] = (char)(random >> 56);
    }
    const struct bytes set[] = {BYTES("SET"), BYTES("large"), bytes_of(value, sizeof(value))};
    ck_assert(bytes_is(real_request(&source, ARRAY_LEN(set), set)->text, "OK"));
}

static uint64_t offset(void)
{
    static const char name[] = "master_repl_offset:";
    const char *at = strstr(real_ask(&source, "INFO replication"), name);

    ck_assert_ptr_nonnull(at);
    return strtoull(at + strlen(name), NULL, 10);
}

/* A place behind that offset waits for what is in the set. */
static void until_noted(uint64_t behind)
{
    unsigned tries = 0;

    while (!lane->keeping.noted || lane->keeping.next.offset < behind) {
        fake_pass(&none, 5);
        ck_assert_uint_lt(tries++, 1000);
    }
}

/* It was in the set when the place was noted, and left it without being applied. */
START_TEST(test_what_failed_and_is_queued_again_is_not_applied)
{
    struct lane_place place;

    opt.feed = FEED_PSYNC;
    opt.value_max = MIB / 2;
    opt.without_functions = true; /* they would be tried again too, and be waited for */
    may_fail = true;
    begin();
    lane_pause(lane, true);
    uint64_t before = offset();
    set_large();
    until_noted(offset());
    lane_pause(lane, false);
    fake_until(&none, &failures, 1);
    lane_pause(lane, true);
    lane_retry(lane);
    ck_assert(lane_is_dirty(lane, 0, BYTES("large")));
    fake_pass(&none, 2200); /* it is looked at once a second */
    ck_assert(lane_is_dirty(lane, 0, BYTES("large")));
    ck_assert_msg(!lane_place(lane, &place) || place.feed.offset <= before,
                  "a key that is yet to be copied counts as applied");
    end();
}
END_TEST

/* A mark that named no database was not looked for in one that had come up, but was not known yet: its scan
 * finds the key, also after a restart. */
START_TEST(test_a_database_that_is_yet_to_be_scanned_is_not_of_the_place)
{
    struct lane_place place;

    opt.feed = FEED_PSYNC;
    begin();
    for (unsigned tries = 0; !lane_place(lane, &place); tries++) {
        fake_pass(&none, 5);
        ck_assert_uint_lt(tries, 1000);
    }
    ck_assert_uint_eq(place.ndbs, 1);
    lane_pause(lane, true);
    real_ask(&source, "SELECT 5");
    real_ask(&source, "SET new x");
    for (unsigned tries = 0; lane->nscope < 2; tries++) {
        fake_pass(&none, 5);
        ck_assert_uint_lt(tries, 1000);
    }
    ck_assert(lane_place(lane, &place));
    ck_assert_msg(place.ndbs == 1, "a database that was not scanned counts as scanned");
    lane_pause(lane, false);
    fake_pass(&none, 2200); /* it is looked at once a second */
    ck_assert(lane_place(lane, &place));
    ck_assert_uint_eq(place.ndbs, 2);
    end();
}
END_TEST

UNIT_MAIN("copy/place", test_what_failed_and_is_queued_again_is_not_applied,
          test_a_database_that_is_yet_to_be_scanned_is_not_of_the_place)

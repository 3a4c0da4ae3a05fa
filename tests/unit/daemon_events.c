#include "tests/unit/unit.h"

#include <string.h>
#include "daemon/events.h"

START_TEST(every_event_is_complete)
{
    for (size_t id = EVENT_NONE + 1; id < EVENT_COUNT; id++) {
        const struct event *e = event_get((enum event_id)id);
        ck_assert_ptr_nonnull(e);
        ck_assert_uint_gt(strlen(e->name), 0);
        ck_assert_uint_eq(strspn(e->name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(e->name));
        ck_assert_uint_eq(strlen(e->message_id), 32);
        ck_assert_uint_eq(strspn(e->message_id, "0123456789abcdef"), 32);
        ck_assert_int_ge(e->level, SINK_ERR);
        ck_assert_int_le(e->level, SINK_DEBUG);
        ck_assert_uint_gt(strlen(e->help), 0);
        ck_assert_int_eq(event_find(e->name), (int)id);
    }
}
END_TEST

START_TEST(ids_are_unique)
{
    for (size_t a = EVENT_NONE + 1; a < EVENT_COUNT; a++) {
        for (size_t b = a + 1; b < EVENT_COUNT; b++)
            ck_assert_str_ne(event_get((enum event_id)a)->message_id,
                             event_get((enum event_id)b)->message_id);
    }
}
END_TEST

/* Scripts and catalogs know them: a few stand for all, so that the table is not made anew by accident. */
START_TEST(ids_stay)
{
    ck_assert_str_eq(event_get(event_find("started"))->message_id, "66ce8af213e647a49154d0a1fae4131f");
    ck_assert_str_eq(event_get(event_find("state"))->message_id, "ffb1cf2acc3b408590508a1123584b82");
    ck_assert_str_eq(event_get(event_find("gap"))->message_id, "513b5c3f1fc14c23bfb4117c26a25ccf");
}
END_TEST

START_TEST(what_is_not_in_it_is_none)
{
    ck_assert_int_eq(event_find("no_such_event"), EVENT_NONE);
    ck_assert_int_eq(event_find(""), EVENT_NONE);
    ck_assert_ptr_null(event_get(EVENT_NONE));
    ck_assert_ptr_null(event_get(EVENT_COUNT));
}
END_TEST

UNIT_MAIN("daemon/events", every_event_is_complete, ids_are_unique, ids_stay, what_is_not_in_it_is_none)

#include "tests/unit/unit.h"

#include <string.h>
#include "daemon/log.h"

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

static bool is_field(const char *name, size_t len)
{
    for (size_t id = FIELD_END + 1; id < FIELD_COUNT; id++) {
        if (strlen(log_fields[id].name) == len && strncmp(log_fields[id].name, name, len) == 0)
            return true;
    }
    return false;
}

/* journalctl -x puts the line's fields in: @RIOT_LINK@. */
static void check_placeholders(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";

    for (const char *at = strchr(text, '@'); at; at = strchr(at + 1, '@')) {
        size_t len = strspn(at + 1, letters);
        if (len == 0) /* riotd@@RIOT_LINK@ */
            continue;
        ck_assert_msg(at[1 + len] == '@', "%.20s", at);
        ck_assert_msg(is_field(at + 1, len), "%.20s", at);
        at += len + 1;
    }
}

START_TEST(every_event_has_a_text_for_the_terminal)
{
    for (size_t id = EVENT_NONE + 1; id < EVENT_COUNT; id++) {
        const char *text = event_get((enum event_id)id)->catalog;
        ck_assert_ptr_nonnull(text);
        ck_assert_uint_gt(strlen(text), 0);
        for (const char *line = text; line; line = strchr(line, '\n')) {
            line += *line == '\n';
            ck_assert_msg(strcspn(line, "\n") > 0 && strcspn(line, "\n") <= 80, "%.90s", line);
            ck_assert_msg(strncmp(line, "-- ", 3) != 0, "it would be the next entry: %.90s", line);
        }
        check_placeholders(text);
    }
}
END_TEST

START_TEST(every_field_is_complete)
{
    for (size_t a = FIELD_END + 1; a < FIELD_COUNT; a++) {
        const struct log_field_row *row = &log_fields[a];
        ck_assert_ptr_nonnull(row->name);
        ck_assert_int_eq(strncmp(row->name, "RIOT_", 5), 0);
        ck_assert_uint_eq(strspn(row->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), strlen(row->name));
        ck_assert_uint_le(strlen(row->name), 64); /* the journal's own limit */
        ck_assert_uint_gt(strlen(row->meaning), 0);
        for (size_t b = a + 1; b < FIELD_COUNT; b++)
            ck_assert_str_ne(row->name, log_fields[b].name);
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

UNIT_MAIN("daemon/events", every_event_is_complete, every_event_has_a_text_for_the_terminal,
          every_field_is_complete, ids_are_unique, ids_stay, what_is_not_in_it_is_none)

#include "lib/core/sink.h"

#include <string.h>

#include "tests/unit/unit.h"

struct heard {
    int times;
    enum sink_level level;
    char event[32], text[2048];
};

static void hear(void *arg, enum sink_level level, const char *event, const char *text)
{
    struct heard *h = arg;

    h->times++;
    h->level = level;
    strcpy(h->event, event);
    strcpy(h->text, text);
}

START_TEST(says_formatted)
{
    struct heard h = {0};
    struct sink s = {hear, &h};

    sink_say(&s, SINK_WARNING, "gap", "the %s lost %d marks", "feed", 3);
    ck_assert_int_eq(h.times, 1);
    ck_assert_int_eq(h.level, SINK_WARNING);
    ck_assert_str_eq(h.event, "gap");
    ck_assert_str_eq(h.text, "the feed lost 3 marks");
}
END_TEST

START_TEST(nobody_listens)
{
    struct sink mute = {0};

    sink_say(NULL, SINK_ERR, "gap", "x");
    sink_say(&mute, SINK_ERR, "gap", "x");
}
END_TEST

START_TEST(long_texts_are_cut)
{
    struct heard h = {0};
    struct sink s = {hear, &h};

    sink_say(&s, SINK_INFO, "long", "%5000d", 1);
    ck_assert_uint_eq(strlen(h.text), 1023);
    ck_assert_str_eq(h.text + 1020, "...");
}
END_TEST

UNIT_MAIN("core/sink", says_formatted, nobody_listens, long_texts_are_cut)

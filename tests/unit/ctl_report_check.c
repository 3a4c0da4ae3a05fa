#include "ctl/report_check.h"

#include <string.h>
#include "ctl/doc.h"
#include "tests/unit/unit.h"

static const char document[] =
    "{\"checked_at\":\"2026-01-02T03:04:05.000Z\",\"errors\":1,\"warnings\":1,\"exit_code\":12,\"items\":["
    "{\"name\":\"a\",\"level\":\"ok\",\"text\":\"good\",\"hint\":\"\"},"
    "{\"name\":\"longer\",\"level\":\"warning\",\"text\":\"one two three four five six seven eight nine "
    "ten\",\"hint\":\"do \\u001b[2J "
    "this\"},"
    "{\"name\":\"b\",\"level\":\"error\",\"text\":\"bad\",\"hint\":\"mend it\"}]}";

static char *render(const char *text, struct term t)
{
    struct buf out;
    json_t *doc = doc_parse(text);

    buf_init(&out, 64 * KIB);
    ck_assert_int_eq(report_check_render(doc, &t, &out), 0);
    json_decref(doc);
    char *shown = bytes_dup(buf_bytes(&out));
    buf_free(&out);
    return shown;
}

START_TEST(test_in_a_pipe)
{
    char *shown = render(document, (struct term){.width = 40, .height = 10});
    ck_assert_str_eq(shown, "ok       a       good\n"
                            "warning  longer  one two three four five six seven eight nine ten\n"
                            "                 do \\x1b[2J this\n"
                            "error    b       bad\n"
                            "                 mend it\n"
                            "1 error, 1 warning\n");
    free(shown);
}
END_TEST

START_TEST(test_on_a_terminal)
{
    char *shown = render(document, (struct term){.tty = true, .colour = true, .width = 50, .height = 10});
    ck_assert_str_eq(shown, "\033[32mok\033[0m       a       good\n"
                            "\033[33mwarning\033[0m  longer  one two three four five six seven\n"
                            "                 eight nine ten\n"
                            "                 do \\x1b[2J this\n"
                            "\033[1;31merror\033[0m    b       bad\n"
                            "                 mend it\n"
                            "\033[1;31m1 error, 1 warning\033[0m\n");
    free(shown);
}
END_TEST

/* A narrow one, a word that fits nowhere, and what is no document of a check. */
START_TEST(test_whatever_comes)
{
    char *shown = render(document, (struct term){.tty = true, .width = 40, .height = 10});
    ck_assert_ptr_nonnull(strstr(shown, "one two three four five six seven eight"));
    free(shown);
    shown = render("{\"items\":[{\"level\":\"ok\",\"name\":\"n\",\"text\":"
                   "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}]}",
                   (struct term){.tty = true, .width = 45, .height = 10});
    ck_assert_str_eq(
        shown,
        "ok       n  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n            xxxxxxxxxxxxxxx\n0 errors, 0 warnings\n");
    free(shown);
    shown =
        render("{\"items\":[1,{},{\"name\":5,\"level\":\"a very long level\"}]}", (struct term){.width = 80});
    ck_assert_ptr_nonnull(strstr(shown, "0 errors, 0 warnings"));
    free(shown);
    shown = render("{}", (struct term){.width = 80});
    ck_assert_str_eq(shown, "0 errors, 0 warnings\n");
    free(shown);
}
END_TEST

UNIT_MAIN("ctl/report_check", test_in_a_pipe, test_on_a_terminal, test_whatever_comes)

/* unit.h - one test program a module: its cases, and main(). Run one by hand as build/unit/NAME; of tests
   that are named after it only these run. */
#ifndef RIOT_UNIT_H
#define RIOT_UNIT_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether it is among the names; among none all are. */
static inline bool unit_named(const TTest *test, char *const *names)
{
    if (!*names)
        return true;
    while (*names && strcmp(*names, test->name) != 0)
        names++;
    return *names;
}

static inline bool unit_has(const TTest *const *tests, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(tests[i]->name, name) == 0)
            return true;
    return false;
}

static inline int unit_run(const char *program, const TTest *const *tests, size_t count, char *const *names)
{
    for (char *const *name = names; *name; name++)
        if (!unit_has(tests, count, *name)) {
            fprintf(stderr, "%s has no test %s\n", program, *name);
            return 2;
        }
    Suite *suite = suite_create(program);
    TCase *tcase = tcase_create(program);
    tcase_set_timeout(tcase, 300);
    for (size_t i = 0; i < count; i++)
        if (unit_named(tests[i], names))
            tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* UNIT_MAIN("core/buf", test_a, test_b, ...): each argument was made by START_TEST. */
#define UNIT_MAIN(name, ...)                                                                                 \
    int main(int argc, char **argv)                                                                          \
    {                                                                                                        \
        const TTest *const tests[] = {__VA_ARGS__};                                                          \
        return unit_run(name, tests, sizeof(tests) / sizeof(tests[0]), argv + (argc > 0));                   \
    }

#endif

/* unit.h - one test program a module: its cases, and main(). Run one by hand as build/unit/NAME. */
#ifndef RIOT_UNIT_H
#define RIOT_UNIT_H

#include <check.h>
#include <stdlib.h>

/* UNIT_MAIN("core/buf", test_a, test_b, ...): each argument was made by START_TEST. */
#define UNIT_MAIN(name, ...)                                                                                 \
    int main(void)                                                                                           \
    {                                                                                                        \
        const TTest *const tests[] = {__VA_ARGS__};                                                          \
        Suite *suite = suite_create(name);                                                                   \
        TCase *tcase = tcase_create(name);                                                                   \
        tcase_set_timeout(tcase, 300);                                                                       \
        for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)                                        \
            tcase_add_test(tcase, tests[i]);                                                                 \
        suite_add_tcase(suite, tcase);                                                                       \
        SRunner *runner = srunner_create(suite);                                                             \
        srunner_run_all(runner, CK_ENV);                                                                     \
        int failed = srunner_ntests_failed(runner);                                                          \
        srunner_free(runner);                                                                                \
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;                                                         \
    }

#endif

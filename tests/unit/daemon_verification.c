/* How far two clocks are apart, and what a verify's report says in words. The whole is tested with real
 * servers. */
#include "tests/unit/redis_fake.h"

#include <time.h>

#include "daemon/verification.h"
#include "daemon/verification_clocks.h"

static struct {
    struct fake source, target;
    struct clocks *clocks;
    size_t answers;
    bool known;
    uint64_t apart_ms;
    int64_t ahead_ms; /* of the target's clock */
    unsigned slow;    /* each bit: is that answer of the target's late? */
    unsigned busy;    /* so many of the next questions to it are answered with LOADING */
} t;

static void on_clocks(bool known, uint64_t difference_ms, void *arg)
{
    (void)arg;
    t.answers++;
    t.known = known;
    t.apart_ms = difference_ms;
    t.clocks = clocks_free(t.clocks);
}

static void send_time(struct fake_client *k, int64_t ahead_ms)
{
    struct timespec now;
    char s[24], us[24], text[96];

    if (k->fake == &t.target) {
        if (t.slow & 1)
            usleep(40000);
        t.slow >>= 1;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t at = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 + ahead_ms * 1000;
    snprintf(s, sizeof(s), "%lld", (long long)(at / 1000000));
    snprintf(us, sizeof(us), "%lld", (long long)(at % 1000000));
    snprintf(text, sizeof(text), "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(s), s, strlen(us), us);
    fake_send(k, text);
}

static bool hook(struct fake_client *k, const char *line)
{
    bool target = k->fake == &t.target;

    if (strcmp(line, "TIME") != 0)
        return false;
    if (target && t.busy) {
        t.busy--;
        fake_send(k, "-LOADING Redis is loading the dataset in memory\r\n");
        return true;
    }
    send_time(k, target ? t.ahead_ms : 0);
    return true;
}

static void begin(void)
{
    memset(&t, 0, sizeof(t));
    fake_init(&t.source);
    fake_init_in(&t.target, t.source.loop, "-t");
    t.target.endpoint.side = "target";
    t.source.hook = t.target.hook = hook;
}

static void make(void)
{
    const struct endpoint *const endpoints[] = {&t.source.endpoint, &t.target.endpoint};
    struct topology *const alone[] = {NULL, NULL};
    ck_assert_int_eq(clocks_new(t.source.loop, endpoints, alone, on_clocks, NULL, &t.clocks), 0);
}

static void measure(void)
{
    make();
    ck_assert(fake_run(&t.source, &t.answers, 1, 60000));
}

static void done(void)
{
    fake_done(&t.target);
    fake_done(&t.source);
}

START_TEST(test_clocks_apart)
{
    static const int64_t ahead[] = {0, 1500, -1500, 86400000};

    for (size_t i = 0; i < ARRAY_LEN(ahead); i++) {
        begin();
        t.ahead_ms = ahead[i];
        measure();
        uint64_t wanted = (uint64_t)(ahead[i] < 0 ? -ahead[i] : ahead[i]);
        ck_assert(t.known);
        ck_assert_msg(t.apart_ms + 20 >= wanted && t.apart_ms <= wanted + 20, "%llu ms apart, not %llu",
                      (unsigned long long)t.apart_ms, (unsigned long long)wanted);
        done();
    }
}
END_TEST

START_TEST(test_the_quickest_answer_counts)
{
    begin();
    t.slow = 0x1b; /* all but the third of five */
    measure();
    ck_assert(t.known);
    ck_assert_msg(t.apart_ms <= 10, "%llu ms apart", (unsigned long long)t.apart_ms);
    done();
}
END_TEST

START_TEST(test_a_server_that_does_not_tell_its_time)
{
    begin();
    t.target.hook = NULL;
    fake_rule(&t.target, "TIME", "-NOPERM this user has no permissions to run the 'time' command\r\n");
    measure();
    ck_assert(!t.known);
    ck_assert_uint_eq(t.apart_ms, 0);
    done();
}
END_TEST

START_TEST(test_what_is_no_time)
{
    static const char *const bad[] = {"*2\r\n$1\r\n1\r\n$1\r\nx\r\n",
                                      "*1\r\n$1\r\n1\r\n",
                                      "+OK\r\n",
                                      "$-1\r\n",
                                      "*2\r\n$2\r\n-1\r\n$1\r\n1\r\n",
                                      "*2\r\n$1\r\n1\r\n$7\r\n1000000\r\n",
                                      "*2\r\n$19\r\n9223372036854775807\r\n$1\r\n1\r\n"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        begin();
        t.source.hook = NULL;
        fake_rule(&t.source, "TIME", bad[i]);
        measure();
        ck_assert(!t.known);
        done();
    }
}
END_TEST

START_TEST(test_a_server_that_loads_is_waited_for)
{
    begin();
    t.busy = 2;
    measure();
    ck_assert(t.known);
    ck_assert_uint_ge(t.target.accepted, 2);
    done();
}
END_TEST

START_TEST(test_a_server_that_is_away_is_told_and_waited_for)
{
    begin();
    t.target.endpoint.url.path = (char *)(uintptr_t)"/nowhere/at/all";
    make();
    ck_assert_str_eq(clocks_waiting(t.clocks), "");
    fake_pass(&t.source, 200);
    ck_assert_uint_eq(t.answers, 0);
    ck_assert_ptr_nonnull(strstr(clocks_waiting(t.clocks), "target: "));
    t.clocks = clocks_free(t.clocks); /* in the middle of it */
    fake_pass(&t.source, 50);
    ck_assert_uint_eq(t.answers, 0);
    done();
}
END_TEST

/* In words. */

static void says(const struct verify_report *r, const char *wanted)
{
    char text[VERIFICATION_TEXT_MAX];
    ck_assert_str_eq(verification_verdict_text(r, text), wanted);
}

START_TEST(test_verdicts_in_words)
{
    struct verify_report r = {.verdict = VERIFY_CLEAN, .compared = 5000};

    says(&r, "no drift: 5,000 keys compared");
    r.sampled = true;
    r.compared = 1;
    says(&r, "no drift: 1 key compared; a sample only");
    r = (struct verify_report){.verdict = VERIFY_CLEAN, .compared = 5000, .repaired = 65};
    says(&r, "no drift: 5,000 keys compared, 65 repaired");
    r = (struct verify_report){
        .verdict = VERIFY_DRIFT, .compared = 5000, .drift = {[DRIFT_MISSING] = 13, [DRIFT_TTL] = 2300}};
    says(&r, "2,313 keys differ: 13 missing, 2,300 ttl; 5,000 keys compared");
    r = (struct verify_report){.verdict = VERIFY_DRIFT, .compared = 9, .at_least = true, .drift = {1}};
    says(&r, "at least 1 key differs: 1 missing; 9 keys compared");
    r = (struct verify_report){
        .verdict = VERIFY_INCONCLUSIVE, .reason = "1 key was never at rest", .compared = 9, .unstable = 1};
    says(&r, "inconclusive: 1 key was never at rest; 9 keys compared");
    r = (struct verify_report){.verdict = VERIFY_STOPPED, .reason = "it was asked to end", .unknown = 2};
    says(&r, "stopped: it was asked to end; 0 keys compared, 2 cannot be compared");
}
END_TEST

START_TEST(test_progress_in_words)
{
    char text[VERIFICATION_TEXT_MAX];
    struct verify_report r = {.verdict = VERIFY_RUNNING, .eta_ms = -1};

    ck_assert_str_eq(verification_progress_text(&r, text), "begins to compare");
    snprintf(r.waiting, sizeof(r.waiting), "source: connection refused");
    ck_assert_str_eq(verification_progress_text(&r, text),
                     "begins to compare; waits: source: connection refused");
    r = (struct verify_report){.compared = 1234567,
                               .scanned = 1234567,
                               .percent = 41.3,
                               .keys_per_s = 98765.4,
                               .pending = 3,
                               .drift = {[DRIFT_EXTRA] = 2},
                               .eta_ms = 62000};
    ck_assert_str_eq(
        verification_progress_text(&r, text),
        "41% gone through, 1,234,567 keys compared, 98765 keys/s, 3 to be looked at again, 2 keys "
        "differ: 2 extra, 1m 2s left");
}
END_TEST

START_TEST(test_texts_have_a_bound)
{
    char text[VERIFICATION_TEXT_MAX + 1];
    struct verify_report r = {.verdict = VERIFY_INCONCLUSIVE,
                              .compared = UINT64_MAX,
                              .unstable = UINT64_MAX,
                              .unknown = UINT64_MAX,
                              .repaired = UINT64_MAX,
                              .at_least = true,
                              .sampled = true};

    memset(r.reason, 'r', sizeof(r.reason) - 1);
    for (size_t i = 0; i < DRIFT_KINDS; i++)
        r.drift[i] = UINT64_MAX / DRIFT_KINDS;
    text[VERIFICATION_TEXT_MAX] = '!';
    verification_verdict_text(&r, text);
    ck_assert_uint_lt(strlen(text), VERIFICATION_TEXT_MAX);
    ck_assert_int_eq(text[VERIFICATION_TEXT_MAX], '!');
}
END_TEST

START_TEST(test_exit_codes)
{
    static const int wanted[] = {[VERIFY_RUNNING] = 0,
                                 [VERIFY_CLEAN] = 0,
                                 [VERIFY_DRIFT] = 10,
                                 [VERIFY_INCONCLUSIVE] = 11,
                                 [VERIFY_STOPPED] = 1};

    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        struct verify_report r = {.verdict = (enum verify_verdict)i};
        ck_assert_int_eq(verification_exit(&r), wanted[i]);
    }
}
END_TEST

UNIT_MAIN("daemon/verification", test_clocks_apart, test_the_quickest_answer_counts,
          test_a_server_that_does_not_tell_its_time, test_what_is_no_time,
          test_a_server_that_loads_is_waited_for, test_a_server_that_is_away_is_told_and_waited_for,
          test_verdicts_in_words, test_progress_in_words, test_texts_have_a_bound, test_exit_codes)

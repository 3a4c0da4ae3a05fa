/* verify_run_kit.h - a verify of two real servers, with a link that is played by the test: what is marked is
 * copied at once, unless the test says otherwise, and a barrier passes in the next turn of the loop.
 */
#ifndef RIOT_VERIFY_RUN_KIT_H
#define RIOT_VERIFY_RUN_KIT_H

#include <errno.h>

#include "lib/verify/verify_impl.h"
#include "tests/unit/verify_kit.h"

static struct verify *verify;
static struct verify_options options;
static struct verify_report report;
static size_t dones, settles, cancels, marks;
static int settle_error;
static void (*before_settled)(void); /* or NULL: the test's doing while a barrier is on its way */
static bool (*dirty)(int db, struct bytes key);
static bool in_settled; /* the question whether a key is dirty comes from the end of a barrier */
static bool copies;     /* what is marked is copied */
static struct defer settle_later;
static struct {
    void (*fn)(void *arg);
    void *arg;
} settling;

static bool on_is_dirty(int db, struct bytes key, void *arg)
{
    (void)arg;
    return dirty && dirty(db, key);
}

/* Before 7.0 the time is that of this machine, whose clock the servers share. */
static int64_t expiry_of(const char *key)
{
    if (!is_old(&source))
        return MAX(atoll(real_ask(&source, "PEXPIRETIME %s", key)), 0);
    int64_t ttl = atoll(real_ask(&source, "PTTL %s", key));
    return ttl < 0 ? 0 : clock_wall_ms() + ttl;
}

/* The test is the link: nothing is written to the source meanwhile. */
static void copy_key(int db, const char *key)
{
    char expiry[32];

    real_ask(&source, "SELECT %d", db);
    real_ask(&target, "SELECT %d", db);
    snprintf(expiry, sizeof(expiry), "%lld", (long long)expiry_of(key));
    const struct bytes dump[] = {BYTES("DUMP"), bytes_str(key)};
    const struct reply *r = real_request(&source, 2, dump);
    if (r->type == REPLY_NIL) {
        real_ask(&target, "DEL %s", key);
        return;
    }
    size_t len = r->text.len;
    char *payload = bytes_dup(r->text);
    ck_assert_ptr_nonnull(payload);
    const struct bytes restore[] = {BYTES("RESTORE"),       bytes_str(key),   bytes_str(expiry),
                                    bytes_of(payload, len), BYTES("REPLACE"), BYTES("ABSTTL")};
    r = real_request(&target, ARRAY_LEN(restore), restore);
    ck_assert_msg(reply_is_ok(r), "%s", r->text.ptr);
    free(payload);
}

static void on_mark(int db, struct bytes key, void *arg)
{
    char name[64];
    (void)arg;

    marks++;
    snprintf(name, sizeof(name), "%.*s", (int)MIN(key.len, 63u), key.ptr);
    if (copies)
        copy_key(db, name);
}

static void on_settled(void *arg)
{
    (void)arg;
    if (before_settled)
        before_settled();
    settles++;
    in_settled = true;
    settling.fn(settling.arg);
    in_settled = false;
}

static int on_settle(void (*fn)(void *fn_arg), void *fn_arg, void *arg)
{
    (void)arg;
    if (settle_error)
        return settle_error;
    ck_assert(!settle_later.queued); /* one at a time */
    settling.fn = fn;
    settling.arg = fn_arg;
    loop_defer(none.loop, &settle_later, on_settled, NULL);
    return 0;
}

static void on_settle_cancel(void *fn_arg, void *arg)
{
    (void)arg;
    ck_assert_ptr_eq(fn_arg, settling.arg);
    defer_cancel(none.loop, &settle_later);
    cancels++;
}

static void on_done(void *arg)
{
    (void)arg;
    dones++;
}

KIT_UNUSED static void begin(void)
{
    static const int dbs[] = {0};

    servers_begin();
    dones = settles = cancels = marks = 0;
    settle_error = 0;
    before_settled = NULL;
    dirty = NULL;
    copies = true;
    options = (struct verify_options){.dbs = dbs, .ndbs = 1, .memory = 8 * MIB};
    compare_options(&options.compare);
}

static void approve(int side, const char *address, const char *run_id)
{
    verify_approve(verify, side, address, run_id);
}

static void start(void)
{
    static const struct verify_events events = {.is_dirty = on_is_dirty,
                                                .mark = on_mark,
                                                .settle = on_settle,
                                                .settle_cancel = on_settle_cancel,
                                                .done = on_done};
    dones = 0;
    ck_assert_int_eq(verify_new(none.loop, &options, &events, NULL, &verify), 0);
    approve_both(approve);
    verify_read(verify, &report);
    ck_assert_int_eq(report.verdict, VERIFY_RUNNING);
}

KIT_UNUSED static void finish(enum verify_verdict verdict)
{
    ck_assert_msg(fake_run(&none, &dones, 1, 40000), "it does not end");
    verify_read(verify, &report);
    ck_assert_msg(report.verdict == verdict, "%s (%s), not %s", verify_verdict_name(report.verdict),
                  report.reason, verify_verdict_name(verdict));
    ck_assert_int_gt(report.ended_ms, 0);
    ck_assert(report.pending == 0 || verdict == VERIFY_STOPPED);
    verify = verify_free(verify);
    ck_assert_uint_eq(dones, 1);
}

KIT_UNUSED static void run(enum verify_verdict verdict)
{
    start();
    finish(verdict);
}

KIT_UNUSED static void end(void)
{
    verify = verify_free(verify);
    servers_end();
}

KIT_UNUSED static void drift_is(uint64_t missing, uint64_t extra, uint64_t type, uint64_t value, uint64_t ttl)
{
    const uint64_t *d = report.drift;
    ck_assert_msg(d[DRIFT_MISSING] == missing && d[DRIFT_EXTRA] == extra && d[DRIFT_TYPE] == type &&
                      d[DRIFT_VALUE] == value && d[DRIFT_TTL] == ttl,
                  "missing %llu, extra %llu, type %llu, value %llu, ttl %llu",
                  (unsigned long long)d[DRIFT_MISSING], (unsigned long long)d[DRIFT_EXTRA],
                  (unsigned long long)d[DRIFT_TYPE], (unsigned long long)d[DRIFT_VALUE],
                  (unsigned long long)d[DRIFT_TTL]);
}

#endif

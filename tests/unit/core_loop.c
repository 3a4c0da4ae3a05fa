#include "lib/core/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/core/clock.h"
#include "tests/unit/unit.h"

#define MS ((uint64_t)1000)

/* What happened, in order, one letter an event. */
struct diary {
    struct loop *l;
    char text[256];
    struct defer defers[4];
    struct timer *timers[4];
    struct io *io;
    struct sig *sig;
    struct resolve *resolve;
    int fds[2];
    uint64_t at_us;
    int rounds;
};

static void note(struct diary *d, char c)
{
    size_t len = strlen(d->text);

    ck_assert_uint_lt(len + 1, sizeof(d->text));
    d->text[len] = c;
    d->text[len + 1] = '\0';
}

static void open_diary(struct diary *d)
{
    memset(d, 0, sizeof(*d));
    ck_assert_int_eq(loop_new(&d->l), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, d->fds), 0);
}

static void close_diary(struct diary *d)
{
    for (size_t i = 0; i < ARRAY_LEN(d->timers); i++)
        d->timers[i] = timer_free(d->timers[i]);
    d->io = io_free(d->io);
    d->sig = sig_free(d->sig);
    d->resolve = resolve_free(d->resolve);
    close(d->fds[0]);
    close(d->fds[1]);
    d->l = loop_free(d->l);
}

static void stop(void *arg)
{
    struct diary *d = arg;

    note(d, '.');
    loop_stop(d->l);
}

static void note_a(void *arg)
{
    note(arg, 'a');
}

static void note_b(void *arg)
{
    note(arg, 'b');
}

static void note_c(void *arg)
{
    note(arg, 'c');
}

static void timer_in(struct diary *d, int i, timer_fn *fn, uint64_t delay_us)
{
    ck_assert_int_eq(timer_new(d->l, fn, d, &d->timers[i]), 0);
    timer_set(d->timers[i], delay_us);
}

START_TEST(timers_come_in_order)
{
    struct diary d;

    open_diary(&d);
    timer_in(&d, 0, stop, 30 * MS);
    timer_in(&d, 1, note_b, 20 * MS);
    timer_in(&d, 2, note_a, 0);
    timer_in(&d, 3, note_c, 10 * MS);
    timer_clear(d.timers[3]);
    ck_assert(timer_is_set(d.timers[1]) && !timer_is_set(d.timers[3]));
    ck_assert_int_eq(loop_run(d.l), 0);
    ck_assert_str_eq(d.text, "ab.");
    ck_assert(!timer_is_set(d.timers[1]));
    close_diary(&d);
}
END_TEST

static void check_not_early(void *arg)
{
    struct diary *d = arg;

    ck_assert_uint_ge(loop_now_us(d->l), d->at_us);
    ck_assert(!timer_is_set(d->timers[0]));
    if (++d->rounds == 30) {
        stop(d);
        return;
    }
    uint64_t delay = (uint64_t)d->rounds * 100;
    d->at_us = loop_now_us(d->l) + delay;
    timer_set(d->timers[0], delay);
}

START_TEST(timers_are_never_early)
{
    struct diary d;

    open_diary(&d);
    timer_in(&d, 0, check_not_early, 0);
    ck_assert_int_eq(loop_run(d.l), 0);
    close_diary(&d);
}
END_TEST

static void set_late(void *arg)
{
    struct diary *d = arg;

    timer_in(d, 2, note_c, 960 * MS);
    ck_assert_int_eq(timer_new(d->l, note_b, d, &d->timers[3]), 0);
    timer_beat(d->timers[3], 1000 * MS);
}

/* Whenever it was set, it comes a second after the loop began. */
START_TEST(a_beat_comes_in_step)
{
    struct diary d;

    open_diary(&d);
    timer_in(&d, 0, stop, 1200 * MS);
    timer_in(&d, 1, set_late, 50 * MS);
    ck_assert_int_eq(loop_run(d.l), 0);
    ck_assert_str_eq(d.text, "bc.");
    close_diary(&d);
}
END_TEST

START_TEST(a_timer_set_again_forgets_the_earlier_time)
{
    struct diary d;

    open_diary(&d);
    timer_in(&d, 0, note_a, 5 * MS);
    timer_set(d.timers[0], 300 * MS); /* later; so much that a busy machine does not change the order */
    timer_in(&d, 1, note_b, 100000 * MS);
    timer_set(d.timers[1], 10 * MS); /* earlier */
    timer_in(&d, 2, note_c, 1 * MS);
    timer_set(d.timers[2], UINT64_MAX);
    timer_in(&d, 3, stop, 600 * MS);
    ck_assert_int_eq(loop_run(d.l), 0);
    ck_assert_str_eq(d.text, "ba.");
    ck_assert(timer_is_set(d.timers[2]));
    close_diary(&d);
}
END_TEST

static void free_own_timer(void *arg)
{
    struct diary *d = arg;

    note(d, 'f');
    d->timers[0] = timer_free(d->timers[0]);
    d->timers[1] = timer_free(d->timers[1]); /* due in the same turn */
}

START_TEST(a_timer_is_freed_in_its_callback)
{
    struct diary d;

    open_diary(&d);
    timer_in(&d, 0, free_own_timer, 0);
    timer_in(&d, 1, free_own_timer, 0);
    timer_in(&d, 2, stop, 10 * MS);
    ck_assert_int_eq(loop_run(d.l), 0);
    ck_assert_str_eq(d.text, "f.");
    close_diary(&d);
}
END_TEST

static void again(void *arg)
{
    struct diary *d = arg;

    note(d, 'r');
    if (++d->rounds < 3)
        loop_defer(d->l, &d->defers[0], again, d);
}

static void defer_some(void *arg)
{
    struct diary *d = arg;

    loop_defer(d->l, &d->defers[0], again, d);
    loop_defer(d->l, &d->defers[0], note_c, d); /* is queued */
    loop_defer(d->l, &d->defers[1], note_b, d);
    loop_defer(d->l, &d->defers[2], note_a, d);
    defer_cancel(d->l, &d->defers[2]);
    loop_defer(d->l, &d->defers[3], stop, d);
    note(d, 'x');
}

START_TEST(deferred_runs_right_after_the_callback)
{
    struct diary d;

    open_diary(&d);
    timer_in(&d, 0, defer_some, 0);
    timer_in(&d, 1, note_a, 0);
    ck_assert_int_eq(loop_run(d.l), 0);
    ck_assert_str_eq(strchr(d.text, 'x'), "xrb.rr");
    close_diary(&d);
}
END_TEST

START_TEST(deferred_before_the_loop_runs)
{
    struct diary d;

    open_diary(&d);
    loop_defer(d.l, &d.defers[0], note_a, &d);
    loop_defer(d.l, &d.defers[1], note_b, &d);
    loop_defer(d.l, &d.defers[2], stop, &d);
    ck_assert_str_eq(d.text, "");
    defer_cancel(d.l, &d.defers[0]);
    defer_cancel(d.l, &d.defers[0]);
    ck_assert_int_eq(loop_run(d.l), 0);
    ck_assert_str_eq(d.text, "b.");
    close_diary(&d);
}
END_TEST

START_TEST(a_stop_before_the_run_still_runs_what_was_deferred)
{
    struct diary d;

    open_diary(&d);
    loop_defer(d.l, &d.defers[0], note_a, &d);
    loop_stop(d.l);
    ck_assert_int_eq(loop_run(d.l), 0);
    ck_assert_str_eq(d.text, "a");
    loop_defer(d.l, &d.defers[0], note_a, &d);
    close_diary(&d); /* and is dropped */
    ck_assert_str_eq(d.text, "a");
}
END_TEST

START_TEST(runs_again_after_a_stop)
{
    struct diary d;

    open_diary(&d);
    for (int i = 0; i < 3; i++) {
        timer_in(&d, 0, stop, 0);
        ck_assert_int_eq(loop_run(d.l), 0);
        d.timers[0] = timer_free(d.timers[0]);
    }
    ck_assert_str_eq(d.text, "...");
    close_diary(&d);
}
END_TEST

static void sleep_and_look(void *arg)
{
    struct diary *d = arg;
    uint64_t now = loop_now_us(d->l);

    usleep(2000);
    ck_assert_uint_eq(loop_now_us(d->l), now);
    ck_assert_uint_ge(clock_mono_us(), now + 2000);
    d->at_us = now;
}

static void look_again(void *arg)
{
    struct diary *d = arg;

    ck_assert_uint_ge(loop_now_us(d->l), d->at_us + 2000);
    stop(d);
}

START_TEST(now_stands_still_in_a_callback)
{
    struct diary d;

    open_diary(&d);
    timer_in(&d, 0, sleep_and_look, 0);
    timer_in(&d, 1, look_again, 1);
    ck_assert_int_eq(loop_run(d.l), 0);
    uint64_t before = loop_now_us(d.l);
    usleep(1000);
    ck_assert_uint_gt(loop_now_us(d.l), before);
    close_diary(&d);
}
END_TEST

static void on_both(unsigned events, void *arg)
{
    struct diary *d = arg;

    note(d, events == IO_READ ? 'r' : events == IO_WRITE ? 'w' : '?');
    if (events == IO_WRITE) {
        ck_assert_int_eq(io_want(d->io, IO_READ), 0);
        ck_assert_int_eq(write(d->fds[1], "x", 1), 1);
    } else {
        char c;
        ck_assert_int_eq(read(d->fds[0], &c, 1), 1);
        ck_assert_int_eq(io_want(d->io, 0), 0);
        ck_assert_int_eq(write(d->fds[1], "y", 1), 1);
        timer_set(d->timers[0], 5 * MS);
    }
}

START_TEST(io_says_what_was_wanted)
{
    struct diary d;

    open_diary(&d);
    ck_assert_int_eq(timer_new(d.l, stop, &d, &d.timers[0]), 0);
    ck_assert_int_eq(io_new(d.l, d.fds[0], on_both, &d, &d.io), 0);
    ck_assert_int_eq(io_want(d.io, IO_READ | IO_WRITE), 0);
    ck_assert_int_eq(loop_run(d.l), 0);
    ck_assert_str_eq(d.text, "wr.");
    close_diary(&d);
}
END_TEST

static void free_own_io(unsigned events, void *arg)
{
    struct diary *d = arg;

    (void)events;
    note(d, 'f');
    d->io = io_free(d->io);
    timer_set(d->timers[0], 2 * MS);
}

START_TEST(io_is_freed_in_its_callback)
{
    struct diary d;

    open_diary(&d);
    ck_assert_int_eq(timer_new(d.l, stop, &d, &d.timers[0]), 0);
    ck_assert_int_eq(io_new(d.l, d.fds[0], free_own_io, &d, &d.io), 0);
    ck_assert_int_eq(write(d.fds[1], "x", 1), 1);
    ck_assert_int_eq(io_want(d.io, IO_READ | IO_WRITE), 0); /* both at once: only one may be told */
    ck_assert_int_eq(loop_run(d.l), 0);
    ck_assert_str_eq(d.text, "f.");
    close_diary(&d);
}
END_TEST

static void on_closed(unsigned events, void *arg)
{
    struct diary *d = arg;
    char c;

    ck_assert_uint_eq(events, IO_READ);
    ck_assert_int_eq(read(d->fds[0], &c, 1), 0);
    stop(d);
}

START_TEST(io_tells_of_the_end)
{
    struct diary d;

    open_diary(&d);
    ck_assert_int_eq(io_new(d.l, d.fds[0], on_closed, &d, &d.io), 0);
    ck_assert_int_eq(io_want(d.io, IO_READ), 0);
    shutdown(d.fds[1], SHUT_RDWR);
    ck_assert_int_eq(loop_run(d.l), 0);
    close_diary(&d);
}
END_TEST

static void free_own_sig(int number, void *arg)
{
    struct diary *d = arg;

    ck_assert_int_eq(number, SIGUSR1);
    d->sig = sig_free(d->sig);
    stop(d);
}

static void raise_usr1(void *arg)
{
    (void)arg;
    raise(SIGUSR1);
}

START_TEST(signals)
{
    struct diary d;

    open_diary(&d);
    ck_assert_int_eq(sig_new(d.l, SIGUSR1, free_own_sig, &d, &d.sig), 0);
    timer_in(&d, 0, raise_usr1, 0);
    ck_assert_int_eq(loop_run(d.l), 0);
    ck_assert_str_eq(d.text, ".");
    close_diary(&d);
}
END_TEST

START_TEST(an_idle_loop_sleeps)
{
    struct rusage before, after;
    struct diary d;

    open_diary(&d);
    ck_assert_int_eq(io_new(d.l, d.fds[0], on_both, &d, &d.io), 0);
    ck_assert_int_eq(io_want(d.io, IO_READ), 0);
    timer_in(&d, 0, stop, 300 * MS);
    timer_in(&d, 1, note_a, 3600000 * MS);
    getrusage(RUSAGE_SELF, &before);
    ck_assert_int_eq(loop_run(d.l), 0);
    getrusage(RUSAGE_SELF, &after);
    ck_assert_int_le(after.ru_nvcsw - before.ru_nvcsw, 20);
    close_diary(&d);
}
END_TEST

struct answer {
    struct diary *d;
    struct resolved got;
    char error[128];
    int times;
};

static void on_resolved(const struct resolved *got, const char *error, void *arg)
{
    struct answer *a = arg;

    a->times++;
    a->got = *got;
    snprintf(a->error, sizeof(a->error), "%s", error ? error : "");
    a->d->resolve = resolve_free(a->d->resolve);
    loop_stop(a->d->l);
}

static struct answer resolve(const char *host, uint16_t port)
{
    struct diary d;
    struct answer a = {.d = &d};

    open_diary(&d);
    ck_assert_int_eq(resolve_new(d.l, host, port, on_resolved, &a, &d.resolve), 0);
    ck_assert_int_eq(a.times, 0);
    ck_assert_int_eq(loop_run(d.l), 0);
    ck_assert_int_eq(a.times, 1);
    close_diary(&d);
    return a;
}

START_TEST(literal_addresses)
{
    struct answer a = resolve("192.0.2.7", 6379);
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    char text[INET6_ADDRSTRLEN];

    ck_assert_str_eq(a.error, "");
    ck_assert_uint_eq(a.got.count, 1);
    ck_assert_uint_eq(a.got.at[0].len, sizeof(v4));
    memcpy(&v4, &a.got.at[0].addr, sizeof(v4));
    ck_assert_uint_eq(ntohs(v4.sin_port), 6379);
    ck_assert_str_eq(inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text)), "192.0.2.7");

    a = resolve("2001:db8::1", 65535);
    ck_assert_uint_eq(a.got.count, 1);
    ck_assert_uint_eq(a.got.at[0].len, sizeof(v6));
    memcpy(&v6, &a.got.at[0].addr, sizeof(v6));
    ck_assert_uint_eq(ntohs(v6.sin6_port), 65535);
    ck_assert_str_eq(inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text)), "2001:db8::1");
}
END_TEST

START_TEST(names_in_etc_hosts)
{
    struct answer a = resolve("localhost", 6379);

    ck_assert_str_eq(a.error, "");
    ck_assert_uint_ge(a.got.count, 1);
    for (size_t i = 0; i < a.got.count; i++) {
        struct sockaddr_in v4;
        memcpy(&v4, &a.got.at[i].addr, sizeof(v4));
        if (v4.sin_family == AF_INET)
            ck_assert_uint_eq(ntohl(v4.sin_addr.s_addr), INADDR_LOOPBACK);
        ck_assert_uint_eq(ntohs(v4.sin_port), 6379); /* at the same place in both families */
    }
}
END_TEST

static void never(const struct resolved *got, const char *error, void *arg)
{
    (void)got;
    (void)error;
    (void)arg;
    ck_abort();
}

START_TEST(a_freed_resolve_never_answers)
{
    static const char *const hosts[] = {"192.0.2.7", "localhost", "riotd-test.invalid"};
    struct diary d;

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        open_diary(&d);
        ck_assert_int_eq(resolve_new(d.l, hosts[i], 1, never, NULL, &d.resolve), 0);
        d.resolve = resolve_free(d.resolve);
        timer_in(&d, 0, stop, 10 * MS);
        ck_assert_int_eq(loop_run(d.l), 0);
        close_diary(&d);
    }
}
END_TEST

START_TEST(a_loop_ends_with_a_question_open)
{
    struct diary d;

    open_diary(&d);
    ck_assert_int_eq(resolve_new(d.l, "riotd-test.invalid", 1, never, NULL, &d.resolve), 0);
    close_diary(&d);
}
END_TEST

START_TEST(the_resolver_goes_and_comes_back)
{
    struct diary d;
    struct answer a = {.d = &d};

    open_diary(&d);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(resolve_new(d.l, "localhost", 1, on_resolved, &a, &d.resolve), 0);
        ck_assert_int_eq(loop_run(d.l), 0);
        timer_in(&d, 0, stop, i ? 0 : 1200 * MS);
        ck_assert_int_eq(loop_run(d.l), 0);
        d.timers[0] = timer_free(d.timers[0]);
    }
    ck_assert_int_eq(a.times, 2);
    close_diary(&d);
}
END_TEST

START_TEST(hosts_that_cannot_be_names)
{
    char longest[2000];
    struct diary d;

    open_diary(&d);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    ck_assert_int_eq(resolve_new(d.l, "", 1, never, NULL, &d.resolve), -EINVAL);
    ck_assert_int_eq(resolve_new(d.l, longest, 1, never, NULL, &d.resolve), -EINVAL);
    close_diary(&d);
}
END_TEST

START_TEST(nothing_is_freed_for_free)
{
    ck_assert_ptr_null(loop_free(NULL));
    ck_assert_ptr_null(timer_free(NULL));
    ck_assert_ptr_null(io_free(NULL));
    ck_assert_ptr_null(sig_free(NULL));
    ck_assert_ptr_null(resolve_free(NULL));
}
END_TEST

UNIT_MAIN("core/loop", timers_come_in_order, timers_are_never_early, a_beat_comes_in_step,
          a_timer_set_again_forgets_the_earlier_time, a_timer_is_freed_in_its_callback,
          deferred_runs_right_after_the_callback, deferred_before_the_loop_runs,
          a_stop_before_the_run_still_runs_what_was_deferred, runs_again_after_a_stop,
          now_stands_still_in_a_callback, io_says_what_was_wanted, io_is_freed_in_its_callback,
          io_tells_of_the_end, signals, an_idle_loop_sleeps, literal_addresses, names_in_etc_hosts,
          a_freed_resolve_never_answers, a_loop_ends_with_a_question_open, the_resolver_goes_and_comes_back,
          hosts_that_cannot_be_names, nothing_is_freed_for_free)

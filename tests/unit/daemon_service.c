#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/service.h"

static char folder[32], path[64], got[1024];
static int systemd;
static struct loop *loop;
static struct service *s;

static void begin(const char *watchdog_usec)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strcpy(folder, "/tmp/riot-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/notify", folder);
    strcpy(to.sun_path, path);
    systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(systemd, (const struct sockaddr *)&to, sizeof(to)), 0);
    setenv("NOTIFY_SOCKET", path, 1);
    if (watchdog_usec)
        setenv("WATCHDOG_USEC", watchdog_usec, 1);
    ck_assert_int_eq(loop_new(&loop), 0);
    ck_assert_int_eq(service_new(loop, &s), 0);
}

static void end(void)
{
    service_free(s);
    loop_free(loop);
    close(systemd);
    unlink(path);
    rmdir(folder);
}

static bool receive(void)
{
    ssize_t n = recv(systemd, got, sizeof(got) - 1, 0);
    got[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static void gets(const char *text)
{
    ck_assert(receive());
    ck_assert_str_eq(got, text);
}

static void stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void run_for(uint64_t us)
{
    struct timer *t;
    ck_assert_int_eq(timer_new(loop, stop, NULL, &t), 0);
    timer_set(t, us);
    ck_assert_int_eq(loop_run(loop), 0);
    timer_free(t);
}

START_TEST(states_are_told)
{
    begin(NULL);
    ck_assert(!receive());
    service_ready(s);
    gets("READY=1");
    service_reloading(s);
    ck_assert(receive());
    ck_assert_int_eq(strncmp(got, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    service_ready(s);
    gets("READY=1");
    service_stopping(s);
    gets("STOPPING=1");
    service_extend(s, 30000000);
    gets("EXTEND_TIMEOUT_USEC=30000000");
    end();
}
END_TEST

START_TEST(a_status_comes_at_most_once_a_second)
{
    begin(NULL);
    service_status(s, "one");
    gets("STATUS=one");
    service_status(s, "two");
    service_status(s, "three\nREADY=1");
    ck_assert(!receive());
    run_for(1100000);
    gets("STATUS=three READY=1");
    run_for(1100000);
    service_status(s, "three READY=1");
    ck_assert(!receive());
    service_status(s, "%d", 4);
    gets("STATUS=4");
    end();
}
END_TEST

START_TEST(the_watchdog_is_fed_from_the_loop)
{
    begin("100000");
    gets("WATCHDOG=1");
    usleep(120000);
    ck_assert(!receive());
    run_for(170000);
    unsigned fed = 0;
    while (receive())
        fed++;
    ck_assert_uint_ge(fed, 2);
    ck_assert_uint_le(fed, 4);
    end();
}
END_TEST

START_TEST(outside_systemd_nothing_happens)
{
    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "100000", 1);
    ck_assert_int_eq(loop_new(&loop), 0);
    ck_assert_int_eq(service_new(loop, &s), 0);
    service_ready(s);
    service_status(s, "x");
    service_reloading(s);
    service_stopping(s);
    service_extend(s, 1);
    service_free(s);
    ck_assert_ptr_null(service_free(NULL));
    loop_free(loop);
}
END_TEST

UNIT_MAIN("daemon/service", states_are_told, a_status_comes_at_most_once_a_second,
          the_watchdog_is_fed_from_the_loop, outside_systemd_nothing_happens)

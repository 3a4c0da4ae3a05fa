#include "daemon/service.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include "lib/core/clock.h"

#define STATUS_EVERY_US 1000000

struct service {
    struct loop *loop;
    bool active;          /* is there anyone to tell? */
    uint64_t watchdog_us; /* between two signs of life; 0: none are wanted */
    struct timer *watchdog, *status;
    uint64_t status_us; /* when the last status was sent */
    char wanted[SERVICE_STATUS_MAX], sent[SERVICE_STATUS_MAX];
};

static void feed_watchdog(void *arg)
{
    struct service *s = arg;
    sd_notify(0, "WATCHDOG=1");
    timer_set(s->watchdog, s->watchdog_us);
}

static void send_status(void *arg)
{
    struct service *s = arg;
    if (strcmp(s->wanted, s->sent) == 0)
        return;
    sd_notifyf(0, "STATUS=%s", s->wanted);
    memcpy(s->sent, s->wanted, sizeof(s->sent));
    s->status_us = loop_now_us(s->loop);
}

static int begin_watchdog(struct service *s)
{
    uint64_t usec;
    if (sd_watchdog_enabled(0, &usec) <= 0)
        return 0;
    s->watchdog_us = usec / 2;
    int err = timer_new(s->loop, feed_watchdog, s, &s->watchdog);
    if (err == 0)
        feed_watchdog(s);
    return err;
}

int service_new(struct loop *loop, struct service **ret)
{
    struct service *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->loop = loop;
    s->active = getenv("NOTIFY_SOCKET") != NULL;
    int err = s->active ? timer_new(loop, send_status, s, &s->status) : 0;
    if (err == 0 && s->active)
        err = begin_watchdog(s);
    if (err < 0) {
        service_free(s);
        return err;
    }
    *ret = s;
    return 0;
}

struct service *service_free(struct service *s)
{
    if (!s)
        return NULL;
    timer_free(s->watchdog);
    timer_free(s->status);
    free(s);
    return NULL;
}

void service_ready(struct service *s)
{
    if (s->active)
        sd_notify(0, "READY=1");
}

void service_status(struct service *s, const char *format, ...)
{
    va_list ap;
    if (!s->active)
        return;
    va_start(ap, format);
    vsnprintf(s->wanted, sizeof(s->wanted), format, ap);
    va_end(ap);
    for (char *p = s->wanted; *p; p++) {
        if (*p == '\n') /* would begin another assignment */
            *p = ' ';
    }
    uint64_t since = loop_now_us(s->loop) - s->status_us;
    if (s->status_us == 0 || since >= STATUS_EVERY_US)
        send_status(s);
    else if (!timer_is_set(s->status))
        timer_set(s->status, STATUS_EVERY_US - since);
}

/* One message: systemd takes a RELOADING without the time for the old kind. */
void service_reloading(struct service *s)
{
    if (s->active)
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_mono_us());
}

void service_stopping(struct service *s)
{
    if (s->active)
        sd_notify(0, "STOPPING=1");
}

void service_extend(struct service *s, uint64_t us)
{
    if (s->active)
        sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)us);
}

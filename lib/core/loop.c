#include "lib/core/loop.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/util.h>

#include "lib/core/clock.h"

/* The resolver goes once it has been unused for so long: its servers are not probed then, and the next name
 * is looked up by the /etc/hosts and /etc/resolv.conf of that time. Any of its own callbacks that are queued
 * have run by then. */
#define DNS_IDLE_S 1

struct loop {
    struct event_base *base;
    struct defer *first, **tail;
    uint64_t now_us, began_us;
    bool entered; /* a callback is running */
    bool stop;

    struct evdns_base *dns;
    struct event dns_idle;
    size_t lookups;
};

static void run_deferred(struct loop *l)
{
    while (l->first) {
        struct defer *d = l->first;
        l->first = d->next;
        if (!l->first)
            l->tail = &l->first;
        d->queued = false;
        d->fn(d->arg);
    }
}

static void enter(struct loop *l)
{
    l->now_us = clock_mono_us();
    l->entered = true;
}

static void leave(struct loop *l)
{
    run_deferred(l);
    l->entered = false;
}

static void on_dns_idle(evutil_socket_t fd, short what, void *arg);

int loop_new(struct loop **ret)
{
    struct loop *l = calloc(1, sizeof(*l));
    struct event_config *config = event_config_new();

    /* Or a timer set late in a turn would count from the turn's start. */
    if (l && config &&
        !event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME | EVENT_BASE_FLAG_PRECISE_TIMER))
        l->base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    if (!l || !l->base) {
        free(l);
        return -ENOMEM;
    }
    l->tail = &l->first;
    l->began_us = clock_mono_us();
    evtimer_assign(&l->dns_idle, l->base, on_dns_idle, l);
    *ret = l;
    return 0;
}

struct loop *loop_free(struct loop *l)
{
    if (!l)
        return NULL;
    event_del(&l->dns_idle);
    if (l->dns) {
        evdns_base_free(l->dns, 1);
        event_base_loop(l->base, EVLOOP_NONBLOCK); /* cancelled look-ups end in here */
        event_del(&l->dns_idle);
    }
    event_base_free(l->base);
    free(l);
    return NULL;
}

int loop_run(struct loop *l)
{
    int r = 0;

    enter(l);
    leave(l);
    while (!l->stop && !r)
        r = event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY);
    l->stop = false;
    return r < 0 ? -EIO : 0;
}

void loop_stop(struct loop *l)
{
    l->stop = true;
    event_base_loopbreak(l->base);
}

uint64_t loop_now_us(struct loop *l)
{
    return l->entered ? l->now_us : clock_mono_us();
}

void loop_defer(struct loop *l, struct defer *d, void (*fn)(void *arg), void *arg)
{
    if (d->queued)
        return;
    *d = (struct defer){.fn = fn, .arg = arg, .queued = true};
    *l->tail = d;
    l->tail = &d->next;
}

void defer_cancel(struct loop *l, struct defer *d)
{
    struct defer **at = &l->first;

    if (!d->queued)
        return;
    while (*at && *at != d)
        at = &(*at)->next;
    if (*at) {
        *at = d->next;
        if (!d->next)
            l->tail = at;
    }
    d->queued = false;
}

struct timer {
    struct loop *loop;
    struct event ev;
    timer_fn *fn;
    void *arg;
    uint64_t due_us;   /* 0: not set */
    uint64_t armed_us; /* when the event comes: at due_us or before it, never after; 0: not at all */
};

/* There is nobody to tell that a timer cannot be set, and a lost one would hang its owner for ever. */
static void timer_arm(struct timer *t, uint64_t now_us)
{
    uint64_t delay = t->due_us > now_us ? t->due_us - now_us : 0;
    struct timeval tv = {(time_t)(delay / 1000000), (suseconds_t)(delay % 1000000)};

    if (evtimer_add(&t->ev, &tv))
        abort();
    t->armed_us = t->due_us;
}

/* libevent's clock is coarse, and a time-out that was moved further away is not armed again until here. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct timer *t = arg;
    struct loop *l = t->loop;

    (void)fd;
    (void)what;
    enter(l);
    t->armed_us = 0;
    if (t->due_us > l->now_us) {
        timer_arm(t, l->now_us);
    } else if (t->due_us) {
        t->due_us = 0;
        t->fn(t->arg);
    }
    leave(l);
}

int timer_new(struct loop *l, timer_fn *fn, void *arg, struct timer **ret)
{
    struct timer *t = calloc(1, sizeof(*t));

    if (!t)
        return -ENOMEM;
    t->loop = l;
    t->fn = fn;
    t->arg = arg;
    evtimer_assign(&t->ev, l->base, on_timer, t);
    *ret = t;
    return 0;
}

void timer_set(struct timer *t, uint64_t delay_us)
{
    uint64_t now = loop_now_us(t->loop);

    t->due_us = delay_us < INT64_MAX - now ? now + delay_us : INT64_MAX;
    if (!t->armed_us || t->due_us < t->armed_us)
        timer_arm(t, t->loop->entered ? clock_mono_us() : now);
}

void timer_beat(struct timer *t, uint64_t period_us)
{
    timer_set(t, period_us - (loop_now_us(t->loop) - t->loop->began_us) % period_us);
}

void timer_clear(struct timer *t)
{
    t->due_us = t->armed_us = 0;
    event_del(&t->ev);
}

bool timer_is_set(const struct timer *t)
{
    return t->due_us != 0;
}

struct timer *timer_free(struct timer *t)
{
    if (t) {
        event_del(&t->ev);
        free(t);
    }
    return NULL;
}

struct io {
    struct loop *loop;
    struct event read, write; /* two, so that a change of one is one system call */
    unsigned wanted;
    io_fn *fn;
    void *arg;
};

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    struct io *io = arg;
    struct loop *l = io->loop;

    (void)fd;
    enter(l);
    io->fn(what & EV_READ ? IO_READ : IO_WRITE, io->arg);
    leave(l);
}

int io_new(struct loop *l, int fd, io_fn *fn, void *arg, struct io **ret)
{
    struct io *io = calloc(1, sizeof(*io));

    if (!io)
        return -ENOMEM;
    io->loop = l;
    io->fn = fn;
    io->arg = arg;
    event_assign(&io->read, l->base, fd, EV_READ | EV_PERSIST, on_io, io);
    event_assign(&io->write, l->base, fd, EV_WRITE | EV_PERSIST, on_io, io);
    *ret = io;
    return 0;
}

static int io_switch(struct io *io, struct event *ev, unsigned bit, unsigned events)
{
    if (!((io->wanted ^ events) & bit))
        return 0;
    errno = 0;
    if (events & bit ? event_add(ev, NULL) : event_del(ev))
        return errno ? -errno : -EIO;
    io->wanted ^= bit;
    return 0;
}

int io_want(struct io *io, unsigned events)
{
    int r = io_switch(io, &io->read, IO_READ, events);

    return r ? r : io_switch(io, &io->write, IO_WRITE, events);
}

struct io *io_free(struct io *io)
{
    if (io) {
        event_del(&io->read);
        event_del(&io->write);
        free(io);
    }
    return NULL;
}

struct sig {
    struct loop *loop;
    struct event ev;
    sig_fn *fn;
    void *arg;
};

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    struct sig *s = arg;
    struct loop *l = s->loop;

    (void)what;
    enter(l);
    s->fn((int)number, s->arg);
    leave(l);
}

int sig_new(struct loop *l, int number, sig_fn *fn, void *arg, struct sig **ret)
{
    struct sig *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->loop = l;
    s->fn = fn;
    s->arg = arg;
    evsignal_assign(&s->ev, l->base, number, on_signal, s);
    if (evsignal_add(&s->ev, NULL)) {
        free(s);
        return -EINVAL;
    }
    *ret = s;
    return 0;
}

struct sig *sig_free(struct sig *s)
{
    if (s) {
        event_del(&s->ev);
        free(s);
    }
    return NULL;
}

/* What evdns holds on to. It calls back once in any case, cancelled too, so this may outlive the resolve that
 * asked. */
struct lookup {
    struct loop *loop;
    struct resolve *owner; /* NULL: cancelled */
    struct evdns_getaddrinfo_request *request;
};

struct resolve {
    struct loop *loop;
    struct event answer; /* made active once the answer is known, so that fn never runs inside resolve_new()
                            or evdns */
    struct lookup *lookup;
    resolve_fn *fn;
    void *arg;
    struct resolved found;
    const char *error;
};

static void on_dns_idle(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;

    (void)fd;
    (void)what;
    evdns_base_free(l->dns, 0);
    l->dns = NULL;
}

static int dns_open(struct loop *l)
{
    event_del(&l->dns_idle);
    if (l->dns)
        return 0;
    l->dns = evdns_base_new(l->base, 0);
    if (!l->dns)
        return -ENOMEM;
    /* Without the file it asks a server on this host; /etc/hosts is read in any case. */
    (void)evdns_base_resolv_conf_parse(l->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
    return 0;
}

static void dns_release(struct loop *l)
{
    struct timeval idle = {DNS_IDLE_S, 0};

    if (!--l->lookups)
        evtimer_add(&l->dns_idle, &idle);
}

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
    struct resolve *r = arg;
    struct loop *l = r->loop;

    (void)fd;
    (void)what;
    enter(l);
    r->fn(&r->found, r->error, r->arg);
    leave(l);
}

static void answer(struct resolve *r, const struct evutil_addrinfo *list, const char *error)
{
    for (; list && r->found.count < RESOLVE_MAX; list = list->ai_next) {
        if (list->ai_addrlen > sizeof(r->found.at[0].addr))
            continue;
        memcpy(&r->found.at[r->found.count].addr, list->ai_addr, list->ai_addrlen);
        r->found.at[r->found.count++].len = list->ai_addrlen;
    }
    r->error = error ? error : r->found.count ? NULL : "the name has no address";
    event_active(&r->answer, EV_TIMEOUT, 1);
}

static void on_lookup(int result, struct evutil_addrinfo *list, void *arg)
{
    struct lookup *q = arg;

    if (q->owner) {
        q->owner->lookup = NULL;
        answer(q->owner, list, result ? evutil_gai_strerror(result) : NULL);
    }
    if (list)
        evutil_freeaddrinfo(list);
    dns_release(q->loop);
    free(q);
}

static int ask(struct resolve *r, const char *host, const char *service)
{
    struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    struct lookup *q = calloc(1, sizeof(*q));

    int e = q ? dns_open(r->loop) : -ENOMEM;
    if (e) {
        free(q);
        return e;
    }
    r->loop->lookups++;
    r->lookup = q;
    q->loop = r->loop;
    q->owner = r;
    struct evdns_getaddrinfo_request *request =
        evdns_getaddrinfo(r->loop->dns, host, service, &hints, on_lookup, q);
    if (r->lookup) /* else it was in /etc/hosts, and q is gone */
        q->request = request;
    return 0;
}

static bool answer_literal(struct resolve *r, const char *host, const char *service)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *list;

    if (getaddrinfo(host, service, &hints, &list))
        return false;
    answer(r, list, NULL);
    freeaddrinfo(list);
    return true;
}

int resolve_new(struct loop *l, const char *host, uint16_t port, resolve_fn *fn, void *arg,
                struct resolve **ret)
{
    char service[8];
    size_t len = strlen(host);
    struct resolve *r = len && len < NI_MAXHOST ? calloc(1, sizeof(*r)) : NULL;

    if (!r)
        return len && len < NI_MAXHOST ? -ENOMEM : -EINVAL;
    r->loop = l;
    r->fn = fn;
    r->arg = arg;
    event_assign(&r->answer, l->base, -1, 0, on_answer, r);
    snprintf(service, sizeof(service), "%u", (unsigned)port);
    int e = answer_literal(r, host, service) ? 0 : ask(r, host, service);
    if (e) {
        free(r);
        return e;
    }
    *ret = r;
    return 0;
}

struct resolve *resolve_free(struct resolve *r)
{
    if (!r)
        return NULL;
    event_del(&r->answer);
    if (r->lookup) {
        r->lookup->owner = NULL;
        if (r->lookup->request)
            evdns_getaddrinfo_cancel(r->lookup->request);
    }
    free(r);
    return NULL;
}

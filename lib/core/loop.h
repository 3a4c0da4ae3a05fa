/* loop.h - the one thread's event loop; the only room that knows libevent.
 *
 * Callbacks run from loop_run() only, never from inside a call that the callee made. Objects here may be
 * freed in their own callback. Nothing blocks.
 */
#ifndef RIOT_LOOP_H
#define RIOT_LOOP_H

#include <sys/socket.h>
#include "lib/core/common.h"

struct loop;
MUST_CHECK int loop_new(struct loop **ret);
struct loop *loop_free(
    struct loop *l); /* all that was made from it must be gone, but for deferred calls: those are dropped */
MUST_CHECK int loop_run(struct loop *l); /* until loop_stop() */
void loop_stop(struct loop *l);
uint64_t loop_now_us(struct loop *l); /* monotonic, of the present turn: cheap */

/* Runs fn once, in this turn of the loop, after the running callback has returned. Cannot fail: `defer` is
 * the caller's memory, and must stay until fn runs or defer_cancel(). Asking again while it is queued does
 * nothing. */
struct defer {
    struct defer *next;
    void (*fn)(void *arg);
    void *arg;
    bool queued;
};
void loop_defer(struct loop *l, struct defer *d, void (*fn)(void *arg), void *arg);
void defer_cancel(struct loop *l, struct defer *d);

struct timer;
typedef void timer_fn(void *arg);
MUST_CHECK int timer_new(struct loop *l, timer_fn *fn, void *arg, struct timer **ret);
void timer_set(struct timer *t, uint64_t delay_us); /* once; setting it again replaces the earlier time */
/* Once, when the loop's next period of that length begins: timers that use it wake the process together. */
void timer_beat(struct timer *t, uint64_t period_us);
void timer_clear(struct timer *t);
bool timer_is_set(const struct timer *t);
struct timer *timer_free(struct timer *t);

enum { IO_READ = 1, IO_WRITE = 2 };
struct io;
typedef void io_fn(unsigned events, void *arg);
MUST_CHECK int io_new(struct loop *l, int fd, io_fn *fn, void *arg, struct io **ret); /* fd is borrowed */
MUST_CHECK int io_want(struct io *io, unsigned events);
struct io *io_free(struct io *io);

struct sig;
typedef void sig_fn(int number, void *arg);
MUST_CHECK int sig_new(struct loop *l, int number, sig_fn *fn, void *arg, struct sig **ret);
struct sig *sig_free(struct sig *s);

/* Names by evdns, which reads /etc/hosts and /etc/resolv.conf; a literal address is answered without asking
 * anyone. */
#define RESOLVE_MAX 8
struct resolved {
    size_t count;
    struct {
        struct sockaddr_storage addr;
        socklen_t len;
    } at[RESOLVE_MAX];
};
struct resolve;
/* error: NULL, or why there is no address. Runs once; the resolve is over then, but still to be freed. */
typedef void resolve_fn(const struct resolved *borrowed, const char *error, void *arg);
MUST_CHECK int resolve_new(struct loop *l, const char *host, uint16_t port, resolve_fn *fn, void *arg,
                           struct resolve **ret);
struct resolve *resolve_free(struct resolve *r); /* before the answer: cancels, fn is not called */

#endif

/* pass.c - see pass.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/verify/pass.h"

#define NAMES_HIGH (256 * KIB) /* not read on above it, until half of it is there */
#define NAMES_MAX  (64 * MIB)  /* never reached: input under way */

struct head {
    int db;
    uint32_t len;
};

struct pass {
    struct pass_events ev;
    void *arg;
    struct scanner *scanner;
    struct pass_options opt;
    struct buf names; /* each behind its head */
    bool page_due, over, paused, failed;
    uint64_t told, pages, waiting; /* names told; of them, those in `names` */
};

static void begin(struct pass *p)
{
    p->told = p->pages = p->waiting = 0;
    p->over = p->opt.ndbs == 0;
    p->page_due = !p->over;
    buf_consume(&p->names, buf_len(&p->names));
    if (p->over)
        return;
    p->failed = scanner_begin(p->scanner, p->opt.dbs, p->opt.ndbs, p->opt.count,
                              filter_scan_types(p->opt.filter)) < 0;
    if (!p->failed)
        scanner_next(p->scanner);
}

/* A page is asked for ahead, while the last one is being taken. */
static void ask_ahead(struct pass *p)
{
    if (p->paused && buf_len(&p->names) <= NAMES_HIGH / 2) {
        p->paused = false;
        conn_read_pause(scanner_conn(p->scanner), false);
        conn_kick(scanner_conn(p->scanner));
    }
    if (p->over || p->page_due || buf_len(&p->names) > NAMES_HIGH / 2)
        return;
    p->page_due = true;
    scanner_next(p->scanner);
}

static int append(struct pass *p, int db, struct bytes name)
{
    const struct head head = {.db = db, .len = (uint32_t)name.len};
    char *to;

    int err = buf_reserve(&p->names, sizeof(head) + name.len, &to);
    if (err)
        return err;
    memcpy(to, &head, sizeof(head));
    bytes_put(to + sizeof(head), name);
    buf_commit(&p->names, sizeof(head) + name.len);
    p->waiting++;
    return 0;
}

static bool is_chosen(const struct pass *p, int db, struct bytes name)
{
    return filter_name(p->opt.filter, name) &&
           (p->opt.chosen == UINT64_MAX ||
            hash_bytes(p->opt.seed, (uint64_t)(uint32_t)db, name) <= p->opt.chosen);
}

/* The answer is given up when a name has no place: SCAN's page is told again on the next connection. */
static void on_key(int db, struct bytes key, void *arg)
{
    struct pass *p = arg;

    p->told++;
    if (!is_chosen(p, db, key))
        return;
    if (append(p, db, key) < 0)
        conn_reset(scanner_conn(p->scanner), "out of memory");
    if (!p->paused && buf_len(&p->names) > NAMES_HIGH) {
        p->paused = true;
        conn_read_pause(scanner_conn(p->scanner), true);
    }
}

static void on_long_key(int db, struct bytes prefix, uint64_t length, void *arg)
{
    struct pass *p = arg;
    p->told++;
    p->ev.long_name(db, prefix, length, p->arg);
}

static void on_page(void *arg)
{
    struct pass *p = arg;
    p->page_due = false;
    p->pages++;
    ask_ahead(p);
    p->ev.names(p->arg);
}

static void on_done(void *arg)
{
    struct pass *p = arg;
    p->page_due = false;
    p->pages++;
    p->over = true;
    p->ev.names(p->arg);
}

static void on_lost(const char *why, void *arg)
{
    struct pass *p = arg;
    (void)why;
    begin(p);
    if (p->failed)
        p->ev.refused(NULL, p->arg);
}

static void on_refused(const char *error, void *arg)
{
    struct pass *p = arg;
    p->ev.refused(error, p->arg);
}

static int on_identified(struct conn *c, const struct server_id *id, uint64_t client_id, const char **why,
                         void *arg)
{
    struct pass *p = arg;
    (void)c, (void)client_id;

    p->paused = false; /* ended with the former life */
    if (p->ev.approved(id, p->arg))
        return 0;
    *why = "another server answers there";
    return -EPERM;
}

int pass_new(struct loop *l, const struct pass_options *opt, const struct pass_events *ev, void *arg,
             struct pass **ret)
{
    static const struct scanner_events events = {.key = on_key,
                                                 .long_key = on_long_key,
                                                 .page = on_page,
                                                 .done = on_done,
                                                 .lost = on_lost,
                                                 .refused = on_refused,
                                                 .identified = on_identified};
    struct pass *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->ev = *ev;
    p->arg = arg;
    p->opt = *opt;
    buf_init(&p->names, NAMES_MAX);
    int err = scanner_new(l, opt->endpoint, opt->role, &events, p, &p->scanner);
    if (!err)
        err = scanner_match(p->scanner, opt->match);
    if (!err) {
        begin(p);
        err = p->failed ? -ENOMEM : 0;
    }
    if (err) {
        pass_free(p);
        return err;
    }
    *ret = p;
    return 0;
}

struct pass *pass_free(struct pass *p)
{
    if (p) {
        scanner_free(p->scanner);
        buf_free(&p->names);
        free(p);
    }
    return NULL;
}

static struct head head_of(const struct pass *p)
{
    struct head head;
    memcpy(&head, buf_bytes(&p->names).ptr, sizeof(head));
    return head;
}

bool pass_first(const struct pass *p, int *ret_db, struct bytes *ret_name)
{
    if (!buf_len(&p->names))
        return false;
    struct head head = head_of(p);
    *ret_db = head.db;
    *ret_name = bytes_of(buf_bytes(&p->names).ptr + sizeof(head), head.len);
    return true;
}

void pass_shift(struct pass *p)
{
    buf_consume(&p->names, sizeof(struct head) + head_of(p).len);
    p->waiting--;
    buf_trim(&p->names, 2 * NAMES_HIGH);
    ask_ahead(p);
}

bool pass_is_over(const struct pass *p)
{
    return p->over && !buf_len(&p->names);
}

void pass_check(struct pass *p)
{
    struct conn *c = scanner_conn(p->scanner);

    if (conn_is_up(c) && !p->ev.approved(conn_server(c), p->arg))
        conn_reset(c, "another server is to be compared");
}

uint64_t pass_taken(const struct pass *p)
{
    return p->told - MIN(p->told, p->waiting);
}

/* A page is about so many keys, whatever the glob leaves of them. */
uint64_t pass_visited(const struct pass *p)
{
    uint64_t told =
        p->opt.match || filter_scan_types(p->opt.filter) ? MAX(p->told, p->pages * p->opt.count) : p->told;
    return told - MIN(told, p->waiting);
}

struct conn *pass_conn(struct pass *p)
{
    return scanner_conn(p->scanner);
}

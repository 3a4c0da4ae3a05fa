/* The servers of the source, and a connection to each. */
#include "daemon/fence_impl.h"
#include "lib/redis/address.h"
#include "lib/redis/info.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_MAX  (256 * KIB)
#define OUT_MAX (16 * MIB) /* thousands of users, in one MULTI */
#define LOOK_US 200000     /* between two looks for a former life that cannot be killed */

static struct state *state(const struct fence_node *n)
{
    return state_of(n->fence->opt.state);
}

const char *fence_error(const struct reply *r, char out[FENCE_WHY_MAX])
{
    if (r->type == REPLY_ERROR)
        return bytes_escape(r->text, out, FENCE_WHY_MAX);
    snprintf(out, FENCE_WHY_MAX, "the answer is not understood");
    return out;
}

void fence_ignore(struct conn *c, const struct reply *r, void *arg)
{
    (void)c, (void)r, (void)arg;
}

bool fence_call_argv(struct fence_node *n, conn_reply_fn *fn, size_t argc, const struct bytes *argv)
{
    int err = conn_call(n->conn, argc, argv, fn, n);
    if (err < 0)
        conn_reset(n->conn, "a request could not be sent: no memory");
    return err == 0;
}

bool fence_call(struct fence_node *n, conn_reply_fn *fn, const char *words)
{
    int err = conn_call_words(n->conn, fn, n, words);
    if (err < 0)
        conn_reset(n->conn, "a request could not be sent: no memory");
    return err == 0;
}

/* Who it is. */

static bool keep_info(struct fence_node *n, const struct reply *r)
{
    char why[FENCE_WHY_MAX];
    struct bytes text;

    if (reply_text(r, &text) && buf_append(&n->info, text.ptr, text.len) == 0)
        return true;
    fence_node_done(n, -EACCES, "INFO: %s", fence_error(r, why));
    return false;
}

static void on_info_server(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    (void)c;
    keep_info(n, r);
}

/* "slave0:ip=riotd:LINK:INSTANCE,port=0,...": the link's own feed, which says so where a replica tells its
 * address. */
static void uncount_own_feed(struct bytes name, struct bytes value, void *arg)
{
    struct fence_node *n = arg;
    char own[sizeof(n->endpoint.client) + 8];

    snprintf(own, sizeof(own), "ip=%s,", n->endpoint.client);
    if (bytes_starts(name, "slave") && n->connected > 0 && bytes_starts(value, own))
        n->connected--;
}

static void on_info_replication(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    (void)c;

    if (buf_len(&n->info) == 0 || !keep_info(n, r))
        return;
    server_id_parse(buf_bytes(&n->info), &n->seen);
    if (!info_find_u64(buf_bytes(&n->info), "connected_slaves", &n->connected))
        n->connected = 0;
    info_each(buf_bytes(&n->info), uncount_own_feed, n);
    buf_consume(&n->info, buf_len(&n->info));
    n->who_known(n);
}

void fence_ask_who(struct fence_node *n, fence_node_fn *known)
{
    n->who_known = known;
    buf_consume(&n->info, buf_len(&n->info));
    if (fence_call(n, on_info_server, "INFO server"))
        fence_call(n, on_info_replication, "INFO replication");
}

/* Connections that the state file knows. */

static void note(struct fence_node *n)
{
    const struct server_id *id = conn_server(n->conn);
    uint64_t client = conn_client_id(n->conn);

    if (!id || client == 0)
        return;
    state_connection_add(state(n), STATE_SOURCE, id->run_id, client);
    snprintf(n->noted_run_id, sizeof(n->noted_run_id), "%s", id->run_id);
    n->noted_id = client;
}

/* What earlier lives left there is dead: it need not be known any more. */
static void forget_former(struct fence_node *n)
{
    const struct server_id *id = conn_server(n->conn);
    struct state *s = state(n);

    for (size_t i = s->nconnections; i-- > 0;) {
        const struct state_connection *c = &s->connections[i];
        if (c->side == STATE_SOURCE && strcmp(c->run_id, id->run_id) == 0 &&
            c->client_id != conn_client_id(n->conn))
            state_connection_forget(s, STATE_SOURCE, c->run_id, c->client_id);
    }
    if (n->noted_id && strcmp(n->noted_run_id, id->run_id) != 0)
        state_connection_forget(s, STATE_SOURCE, n->noted_run_id, n->noted_id);
}

int fence_arm(struct fence *f)
{
    if (f->armed)
        return 0;
    for (size_t i = 0; i < f->nnodes; i++) {
        if (f->nodes[i]->ready)
            note(f->nodes[i]);
    }
    int err = fence_save(f);
    f->armed = err == 0;
    return err;
}

/* A life begins. */

static void ready(struct fence_node *n)
{
    struct fence *f = n->fence;

    forget_former(n);
    if (f->armed) {
        note(n);
        if (fence_save(f) < 0 && f->step != FENCE_LIFTING) { /* an undo is worth more than its note */
            conn_reset(n->conn, "the state file cannot be written");
            return;
        }
    }
    n->ready = true;
    if (n->primary)
        fence_pause_up(f);
    if (n->due)
        f->round.begin(n);
}

static bool is_listed(const struct fence_node *n, struct bytes list)
{
    const struct state *s = state(n);
    struct client_line line;

    while (client_next(&list, &line)) {
        for (size_t i = 0; i < s->nconnections; i++) {
            const struct state_connection *c = &s->connections[i];
            if (c->side == STATE_SOURCE && c->client_id == line.id && line.id != conn_client_id(n->conn) &&
                strcmp(c->run_id, conn_server(n->conn)->run_id) == 0)
                return true;
        }
    }
    return false;
}

static void on_list(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    struct bytes list;
    (void)c;

    if (!reply_text(r, &list))
        conn_reset(n->conn, "neither CLIENT KILL nor CLIENT LIST is allowed: an earlier connection may live");
    else if (is_listed(n, list))
        timer_set(n->again, LOOK_US);
    else
        ready(n);
}

static void on_again(void *arg)
{
    struct fence_node *n = arg;
    if (n->ready && n->due)
        n->fence->round.begin(n);
    else if (!n->ready && conn_is_up(n->conn))
        fence_call(n, on_list, "CLIENT LIST");
}

static void killed(struct fence_node *n)
{
    if (n->unkilled || !conn_is_fenced(n->conn))
        fence_call(n, on_list, "CLIENT LIST");
    else
        ready(n);
}

static void on_kill(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    (void)c;

    if (r->type == REPLY_ERROR && !bytes_is(r->text, "ERR No such client"))
        n->unkilled = true;
    if (--n->kills == 0)
        killed(n);
}

/* The lives that the state file knows of, of this process and of earlier ones. */
static void kill_former(struct fence_node *n)
{
    const struct server_id *id = conn_server(n->conn);
    const struct state *s = state(n);
    char words[64];

    n->kills = 0;
    n->unkilled = false;
    for (size_t i = 0; i < s->nconnections; i++) {
        const struct state_connection *c = &s->connections[i];
        /* On 6.0, ID 0 is everybody. */
        if (c->side != STATE_SOURCE || c->client_id == conn_client_id(n->conn) || c->client_id == 0 ||
            strcmp(c->run_id, id->run_id) != 0)
            continue;
        snprintf(words, sizeof(words), "CLIENT KILL ID %" PRIu64, c->client_id);
        if (!fence_call(n, on_kill, words))
            return;
        n->kills++;
    }
    if (n->kills == 0)
        ready(n);
}

static void on_up(struct conn *c, void *arg)
{
    struct fence_node *n = arg;
    (void)c;
    kill_former(n);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct fence_node *n = arg;
    bool was_ready = n->ready;
    (void)c, (void)was_up;

    n->ready = false;
    n->catalog = acl_catalog_free(n->catalog);
    timer_clear(n->again);
    if (n->primary && was_ready)
        fence_pause_down(n->fence);
    if (n->primary)
        n->fence->hold.asking = false;
    if (n->due && was_ready && !n->fence->round.retry)
        fence_node_done(n, -ENOTCONN, "the connection was lost: %s", why);
}

/* Which there are. */

struct fence_node *fence_primary(const struct fence *f)
{
    return f->nodes[0];
}

struct fence_node *fence_node_find(const struct fence *f, const char *address)
{
    for (size_t i = 0; i < f->nnodes; i++) {
        if (strcmp(f->nodes[i]->address, address) == 0)
            return f->nodes[i];
    }
    return NULL;
}

void fence_node_free(struct fence_node *n)
{
    if (!n)
        return;
    n->conn = conn_free(n->conn);
    n->again = timer_free(n->again);
    n->catalog = acl_catalog_free(n->catalog);
    buf_free(&n->info);
    free(n);
}

void fence_nodes_free(struct fence *f)
{
    for (size_t i = 0; i < f->nnodes; i++)
        fence_node_free(f->nodes[i]);
    f->nnodes = 0;
}

static int open_node(struct fence_node *n)
{
    static const struct conn_events events = {.up = on_up, .down = on_down};
    const struct conn_options opt = {.endpoint = &n->endpoint,
                                     .role = FENCE_ROLE,
                                     .in_max = IN_MAX,
                                     .out_max = OUT_MAX,
                                     .out_high = OUT_MAX,
                                     .fenced = true};
    int err = timer_new(n->fence->loop, on_again, n, &n->again);
    return err < 0 ? err : conn_new(n->fence->loop, &opt, &events, n, &n->conn);
}

static int add_node(struct fence *f, struct fence_node *n)
{
    struct fence_node **nodes = realloc(f->nodes, (f->nnodes + 1) * sizeof(struct fence_node *));
    int err = nodes ? open_node(n) : -ENOMEM;
    if (nodes)
        f->nodes = nodes;
    if (err < 0) {
        fence_node_free(n);
        return err;
    }
    f->nodes[f->nnodes++] = n;
    return 0;
}

/* Who we are and how long we wait, as at the source's URL. */
static struct fence_node *blank_node(struct fence *f)
{
    struct fence_node *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->fence = f;
    n->endpoint = *f->opt.source;
    buf_init(&n->info, MIB);
    return n;
}

int fence_node_new(struct fence *f, const char *host, uint16_t port, struct fence_node **ret)
{
    if (f->nnodes == FENCE_NODES_MAX)
        return -ENOSPC;
    struct fence_node *n = blank_node(f);
    if (!n)
        return -ENOMEM;
    snprintf(n->host, sizeof(n->host), "%s", host);
    snprintf(n->address, sizeof(n->address), strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    n->endpoint.url.path = NULL;
    n->endpoint.url.host = n->host;
    n->endpoint.url.port = port;
    n->endpoint.url.text = n->address;
    int err = add_node(f, n);
    if (err == 0)
        *ret = n;
    return err;
}

int fence_primary_new(struct fence *f)
{
    const struct url *url = &f->opt.source->url;
    struct fence_node *n = blank_node(f);
    if (!n)
        return -ENOMEM;
    n->primary = true;
    if (url->host)
        snprintf(n->host, sizeof(n->host), "%s", url->host);
    if (url->path)
        snprintf(n->address, sizeof(n->address), "%s", url->path);
    else
        snprintf(n->address, sizeof(n->address), strchr(url->host, ':') ? "[%s]:%u" : "%s:%u", url->host,
                 url->port);
    return add_node(f, n);
}

size_t fence_replicas(struct fence *f, const struct watch_sample *s, const struct watch_replica **ret)
{
    *ret = f->opt.replicas ? f->told : s->replicas;
    return f->opt.replicas ? f->opt.replicas(f->told, f->opt.replicas_arg) : s->nreplicas;
}

static bool is_at(const struct fence_node *n, const struct watch_replica *r)
{
    return strcmp(n->host, r->host) == 0 && n->endpoint.url.port == r->port;
}

static bool is_told(const struct fence_node *n, size_t count, const struct watch_replica *replicas)
{
    for (size_t i = 0; i < count; i++) {
        if (is_at(n, &replicas[i]))
            return true;
    }
    return false;
}

static void drop_untold(struct fence *f, size_t n, const struct watch_replica *replicas)
{
    size_t kept = 1;
    for (size_t i = 1; i < f->nnodes; i++) {
        if (is_told(f->nodes[i], n, replicas))
            f->nodes[kept++] = f->nodes[i];
        else
            fence_node_free(f->nodes[i]);
    }
    f->nnodes = kept;
}

static struct fence_node *find_replica(struct fence *f, const struct watch_replica *r)
{
    for (size_t i = 1; i < f->nnodes; i++) {
        if (is_at(f->nodes[i], r))
            return f->nodes[i];
    }
    return NULL;
}

int fence_nodes_follow(struct fence *f, size_t count, const struct watch_replica *replicas, bool drop_others)
{
    if (drop_others)
        drop_untold(f, count, replicas);
    for (size_t i = 0; i < count; i++) {
        struct fence_node *n = find_replica(f, &replicas[i]);
        int err = n ? 0 : fence_node_new(f, replicas[i].host, replicas[i].port, &n);
        if (err < 0)
            return err;
        n->online = replicas[i].online;
    }
    return 0;
}

int fence_record_node(struct fence_node *n, const char *run_id, struct state_node **ret)
{
    struct state_cutover *c = fence_record(n->fence);

    *ret = state_node_find(c, n->address);
    if (*ret)
        return 0;
    int err = state_node_add(c, n->address, run_id, n->primary, ret);
    if (err == 0)
        (*ret)->shard = n->fence->opt.shard;
    return err;
}

bool fence_has(const struct fence *f, const char *address)
{
    return fence_node_find(f, address) != NULL;
}

void fence_drop(struct fence *f, const char *address)
{
    for (size_t i = 1; i < f->nnodes; i++) {
        if (strcmp(f->nodes[i]->address, address) != 0)
            continue;
        fence_node_free(f->nodes[i]);
        memmove(&f->nodes[i], &f->nodes[i + 1], (--f->nnodes - i) * sizeof(struct fence_node *));
        return;
    }
}

const char *fence_address(const struct fence *f)
{
    return fence_primary(f)->address;
}

static int node_at_path(struct fence *f, const char *path)
{
    struct fence_node *n = blank_node(f);
    if (!n)
        return -ENOMEM;
    snprintf(n->address, sizeof(n->address), "%s", path);
    n->endpoint.url.path = n->endpoint.url.text = n->address;
    return add_node(f, n);
}

/* "host:port", "[::1]:port", "/path" */
static int node_at(struct fence *f, const char *address)
{
    struct address at;
    struct fence_node *n;

    if (address[0] == '/')
        return node_at_path(f, address);
    int err = address_parse_told(bytes_str(address), &at);
    return err ? err : fence_node_new(f, at.host, at.port, &n);
}

int fence_nodes_from_record(struct fence *f)
{
    const struct state_cutover *c = fence_record(f);
    for (size_t i = 0; i < c->nnodes; i++) {
        const struct state_node *r = &c->nodes[i];
        bool ours = r->shard == f->opt.shard && !fence_node_find(f, r->address);
        int err = ours ? node_at(f, r->address) : 0;
        if (err < 0)
            return err;
    }
    return 0;
}

#include "lib/feed/replica.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/text.h"
#include "lib/feed/kind.h"
#include "lib/feed/rdb_skip.h"
#include "lib/feed/stream.h"
#include "lib/redis/info.h"
#include "lib/redis/refusal.h"

#define IN_MAX       (STREAM_INPUT_MAX + MIB)
#define OUT_MAX      (64 * KIB)
#define LINE_MAX_LEN 256
#define ACK_US       1000000
/* Nothing of the stream comes before an ACK that the source takes, once it has seen its child end; which is
 * some time after the payload. */
#define ACK_SYNC_US      100000
#define FILTER_SINCE     70000
#define UNASKED_MAX      2 /* full synchronisations that were not asked for, in a row */
#define SYNCS_FAILED_MAX 3

enum step {
    STEP_DOWN,
    STEP_INFO, /* first: where there is no backlog, nothing that may be refused is asked */
    STEP_CAPA,
    STEP_FILTER,
    STEP_PSYNC,   /* its answer is due, a line */
    STEP_PAYLOAD, /* of a full synchronisation */
    STEP_STREAM,
};

struct replica {
    struct feed *feed;
    struct replica_events ev;
    void *arg;
    bool may_sync;
    struct conn *conn; /* NULL: closed */
    struct timer *timer;

    enum step step;
    bool asked_sync;
    bool starting; /* a full synchronisation is under way, or nothing has come behind it yet */
    struct replica_place at, left;
    bool has_left; /* `left` is where it is to go on */
    uint64_t backlog;
    struct rdb_skip skip;
    unsigned unasked, failed_syncs;
    uint64_t acknowledged;
};

static void reset(struct replica *r, const char *why)
{
    conn_reset(r->conn, why);
}

static void ask_next(struct replica *r);

/* What the server answers before the stream. */

static void refuse(struct replica *r, const char *command, struct bytes error)
{
    char text[100], why[200];

    bytes_escape(error, text, sizeof(text));
    if (bytes_starts(error, "NOPERM"))
        snprintf(why, sizeof(why), "%s is refused (%s): ACL SETUSER %s +psync +replconf", command, text,
                 feed_user(r->feed));
    else
        snprintf(why, sizeof(why), "%s is refused: %s", command, text);
    r->ev.refused(why, r->arg);
}

static void on_replconf(struct conn *c, const struct reply *reply, void *arg)
{
    struct replica *r = arg;
    FEED_HELD(r->feed);
    (void)c;

    if (reply_is_ok(reply))
        ask_next(r);
    else if (reply_is_passing(reply))
        reset(r, "the source is not ready");
    else
        refuse(r, "REPLCONF", reply->text);
}

static bool has_filter(const struct replica *r)
{
    const struct server_id *id = conn_server(r->conn);
    return id && id->redis >= FILTER_SINCE;
}

static void lose_place(struct replica *r, const char *why)
{
    r->has_left = false;
    r->ev.place_lost(why, r->arg);
}

/* No backlog: the stream can only be had with a full synchronisation. */
static void on_no_backlog(struct replica *r)
{
    char why[200];

    if (!r->may_sync) {
        snprintf(why, sizeof(why),
                 "the source has no replication backlog: attach a replica to it once, or set "
                 "psync.full_sync: yes, for which it forks, and restart riotd");
        r->ev.refused(why, r->arg);
        return;
    }
    r->asked_sync = true;
    feed_kind_doubt(
        r->feed,
        "the source has no replication backlog: a full synchronisation%s, for which it forks, is waited for",
        has_filter(r) ? " of nothing" : "");
    ask_next(r);
}

static const char no_backlog_of_it[] =
    "the source's backlog (repl-backlog-size) no longer holds what followed";

/* Why what follows the place cannot be had, as INFO tells; NULL: it may be there. Asked all the same, the
 * source would fork for a full synchronisation. */
static const char *why_not_go_on(const struct replica *r, struct bytes info, bool active)
{
    struct bytes former = {0};
    uint64_t ends = 0; /* the first offset that is not the former history's any more */
    uint64_t begins = 0, next = r->left.offset + 1;

    if (!active)
        return "the source has no replication backlog any more";
    if (info_find_u64(info, "repl_backlog_first_byte_offset", &begins) && next < begins)
        return no_backlog_of_it;
    if (strcmp(r->left.replid, r->at.replid) == 0)
        return r->left.offset > r->at.offset ? "the source does not have as much of the stream" : NULL;
    info_find(info, "master_replid2", &former);
    if (!bytes_is(former, r->left.replid))
        return "the source has another history";
    if (!info_find_u64(info, "second_repl_offset", &ends) || next > ends)
        return "more was taken of the former primary's stream than the server that took over has";
    return NULL;
}

/* What clients write to such a replica goes to no replica of its own. */
static bool takes_own_writes(struct bytes info)
{
    uint64_t read_only = 1;
    return info_find_u64(info, "slave_read_only", &read_only) && read_only == 0;
}

static void on_backlog(struct replica *r, struct bytes info, bool active)
{
    const char *why = r->has_left ? why_not_go_on(r, info, active) : NULL;

    if (why)
        lose_place(r, why);
    if (r->conn == NULL)
        return;
    if (r->has_left)
        r->at = r->left;
    if (active)
        ask_next(r);
    else
        on_no_backlog(r);
}

static void on_info(struct conn *c, const struct reply *reply, void *arg)
{
    struct replica *r = arg;
    FEED_HELD(r->feed);
    struct bytes text, id;
    uint64_t active = 0;
    (void)c;

    if (reply_is_passing(reply)) {
        reset(r, "the source is not ready");
    } else if (reply->type == REPLY_ERROR) {
        refuse(r, "INFO", reply->text);
    } else if (reply_text(reply, &text) && takes_own_writes(text)) {
        r->ev.refused(
            "the source is a replica that takes writes of its own, which its stream does not have: CONFIG "
            "SET replica-read-only yes",
            r->arg);
    } else if (!reply_text(reply, &text) || !info_find(text, "master_replid", &id) || id.len == 0 ||
               id.len >= sizeof(r->at.replid) || !info_find_u64(text, "master_repl_offset", &r->at.offset)) {
        r->ev.refused("INFO replication of the source tells no replication id and offset", r->arg);
    } else {
        snprintf(r->at.replid, sizeof(r->at.replid), "%.*s", (int)id.len, id.ptr);
        info_find_u64(text, "repl_backlog_active", &active);
        info_find_u64(text, "repl_backlog_size", &r->backlog);
        on_backlog(r, text, active);
    }
}

/* Sending. */

static void call(struct replica *r, conn_reply_fn *fn, size_t argc, const struct bytes *argv)
{
    if (conn_call(r->conn, argc, argv, fn, r) < 0)
        reset(r, "cannot be asked");
}

static void append(struct replica *r, size_t argc, const struct bytes *argv)
{
    if (request_append(conn_out(r->conn), argc, argv) < 0)
        reset(r, "its output buffer is full");
    else
        conn_flush(r->conn);
}

/* The answer may have newlines before it, which no reply has. */
static void ask_psync(struct replica *r)
{
    char offset[24];

    if (!r->has_left) /* it may be another history, of which nothing was applied yet */
        r->acknowledged = 0;
    conn_raw(r->conn);
    if (r->asked_sync) {
        append(r, 3, (const struct bytes[]){BYTES("PSYNC"), BYTES("?"), BYTES("-1")});
    } else {
        snprintf(offset, sizeof(offset), "%" PRIu64, r->at.offset + 1);
        append(r, 3, (const struct bytes[]){BYTES("PSYNC"), bytes_str(r->at.replid), bytes_str(offset)});
    }
    conn_expect(r->conn, true);
}

static bool ask_filter(struct replica *r)
{
    if (!r->asked_sync || !has_filter(r))
        return false;
    call(r, on_replconf, 3, (const struct bytes[]){BYTES("REPLCONF"), BYTES("rdb-filter-only"), BYTES("")});
    return true;
}

static bool ask_step(struct replica *r)
{
    switch (r->step) {
    /* In place of an address, what tells whose it is in INFO of the source. No `REPLCONF version`: of a
     * replica that tells one Valkey (8.0) wants an acknowledgement of each CLUSTER SETSLOT within 2 s, or
     * refuses it with NOREPLICAS, and in a first copy there is none. Without, it cannot send fields that
     * expire (9.0) to it in a full synchronisation; in one of nothing there are none. */
    case STEP_CAPA:
        call(r, on_replconf, 7,
             (const struct bytes[]){BYTES("REPLCONF"), BYTES("ip-address"),
                                    bytes_str(feed_source(r->feed)->client), BYTES("capa"), BYTES("eof"),
                                    BYTES("capa"), BYTES("psync2")});
        return true;
    case STEP_INFO:
        call(r, on_info, 2, (const struct bytes[]){BYTES("INFO"), BYTES("replication")});
        return true;
    case STEP_FILTER:
        return ask_filter(r);
    default:
        ask_psync(r);
        return true;
    }
}

static void ask_next(struct replica *r)
{
    do {
        r->step++;
    } while (!ask_step(r));
}

/* Acknowledging. */

void replica_acknowledge_now(struct replica *r)
{
    char offset[24];

    if (r->conn == NULL || r->step < STEP_PAYLOAD)
        return;
    snprintf(offset, sizeof(offset), "%" PRIu64, r->acknowledged);
    append(r, 3, (const struct bytes[]){BYTES("REPLCONF"), BYTES("ACK"), bytes_str(offset)});
}

static void on_timer(void *arg)
{
    struct replica *r = arg;
    FEED_HELD(r->feed);

    replica_acknowledge_now(r);
    timer_set(r->timer, r->starting ? ACK_SYNC_US : ACK_US);
}

void replica_acknowledge(struct replica *r, uint64_t offset)
{
    r->acknowledged = offset;
}

/* From PSYNC's answer on. */

static void attached(struct replica *r)
{
    bool resumed = r->has_left;

    r->step = STEP_STREAM;
    r->unasked = 0;
    r->has_left = false;
    conn_expect(r->conn, false);
    feed_kind_doubt(r->feed, NULL);
    timer_set(r->timer, r->starting ? ACK_SYNC_US : ACK_US);
    r->ev.attached(&r->at, resumed, r->arg);
}

/* "+CONTINUE" or "+CONTINUE ID": that is what the history is called now. */
static void on_continue(struct replica *r, struct bytes line)
{
    bytes_cut(&line, ' ');
    if (line.len > 0 && line.len < sizeof(r->at.replid))
        snprintf(r->at.replid, sizeof(r->at.replid), "%.*s", (int)line.len, line.ptr);
    attached(r);
}

/* "+FULLRESYNC ID OFFSET" */
static void on_full(struct replica *r, struct bytes line)
{
    char text[TEXT_MAX], why[200];

    if (r->asked_sync) {
        bytes_cut(&line, ' ');
        struct bytes id = bytes_cut(&line, ' ');
        snprintf(r->at.replid, sizeof(r->at.replid), "%.*s", (int)id.len, id.ptr);
        if (id.len == 0 || id.len >= sizeof(r->at.replid) || bytes_to_u64(line, &r->at.offset) < 0) {
            reset(r, "the answer to PSYNC is not understood");
            return;
        }
        r->step = STEP_PAYLOAD;
        r->starting = true;
        rdb_skip_init(&r->skip);
        timer_set(r->timer, ACK_SYNC_US);
        return;
    }
    if (r->has_left) {
        reset(r, "the source wants a full synchronisation, which was not asked for");
        lose_place(r, no_backlog_of_it);
        return;
    }
    if (++r->unasked < UNASKED_MAX) {
        reset(r, "the source wants a full synchronisation, which was not asked for");
        return;
    }
    snprintf(why, sizeof(why),
             "the source answers PSYNC with a full synchronisation: its backlog of %s does not hold what is "
             "written in the meantime",
             text_size(r->backlog, text));
    r->ev.refused(why, r->arg);
}

static void on_error_line(struct replica *r, struct bytes line)
{
    char text[100];

    if (refusal_is_passing(line) || bytes_starts(line, "NOMASTERLINK"))
        reset(r, bytes_escape(line, text, sizeof(text)));
    else
        refuse(r, "PSYNC", line);
}

static void on_line(struct replica *r, struct bytes line)
{
    if (bytes_starts(line, "+CONTINUE") && !r->asked_sync)
        on_continue(r, line);
    else if (bytes_starts(line, "+FULLRESYNC"))
        on_full(r, line);
    else if (bytes_starts(line, "-"))
        on_error_line(r, bytes_of(line.ptr + 1, line.len - 1));
    else
        reset(r, "the answer to PSYNC is not understood");
}

/* False: the line is not whole yet. */
static bool take_line(struct replica *r, struct bytes *in)
{
    const char *end = in->len > 0 ? memchr(in->ptr, '\n', in->len) : NULL;

    if (!end) {
        if (in->len > LINE_MAX_LEN)
            reset(r, "the answer to PSYNC is not understood");
        return false;
    }
    struct bytes line = bytes_of(in->ptr, (size_t)(end - in->ptr));
    *in = bytes_of(end + 1, in->len - line.len - 1);
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (line.len > 0) /* else it keeps the connection alive */
        on_line(r, line);
    return true;
}

static bool take_payload(struct replica *r, struct bytes *in)
{
    int err = rdb_skip_feed(&r->skip, in);

    if (err == -EBADMSG)
        reset(r, "the full synchronisation is not understood");
    if (err)
        return false;
    r->failed_syncs = 0;
    attached(r);
    return true;
}

static bool is_alive(const struct replica *r)
{
    return r->conn != NULL && conn_is_up(r->conn);
}

static size_t on_input(struct conn *c, struct bytes in, void *arg)
{
    struct replica *r = arg;
    FEED_HELD(r->feed);
    struct bytes rest = in;
    bool more = true;
    (void)c;

    while (more && is_alive(r) && r->step < STEP_STREAM)
        more = r->step == STEP_PSYNC ? take_line(r, &rest) : take_payload(r, &rest);
    size_t used = in.len - rest.len;
    if (is_alive(r) && r->step == STEP_STREAM && rest.len > 0) {
        r->starting = false;
        used += r->ev.input(rest, r->arg);
    }
    return used;
}

static void on_up(struct conn *c, void *arg)
{
    struct replica *r = arg;
    FEED_HELD(r->feed);
    (void)c;

    r->asked_sync = r->starting = false;
    r->step = STEP_DOWN;
    ask_next(r);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct replica *r = arg;
    FEED_HELD(r->feed);
    bool was_attached = r->step == STEP_STREAM;
    char text[200];
    (void)c, (void)was_up;

    if (r->asked_sync && !was_attached && r->step >= STEP_PSYNC && ++r->failed_syncs >= SYNCS_FAILED_MAX) {
        snprintf(text, sizeof(text), "the full synchronisation failed %d times: %.120s", SYNCS_FAILED_MAX,
                 why);
        r->step = STEP_DOWN;
        r->ev.refused(text, r->arg);
        return;
    }
    r->step = STEP_DOWN;
    timer_clear(r->timer);
    r->ev.down(why, was_attached, r->arg);
}

/* The object. */

static int start(struct replica *r)
{
    static const struct conn_events events = {.up = on_up, .down = on_down, .input = on_input};
    const struct conn_options opt = {
        .endpoint = feed_source(r->feed),
        .role = "feed",
        .in_max = IN_MAX,
        .out_max = OUT_MAX,
        .out_high = OUT_MAX,
    };
    int err = timer_new(feed_loop(r->feed), on_timer, r, &r->timer);
    return err ? err : conn_new(feed_loop(r->feed), &opt, &events, r, &r->conn);
}

int replica_new(struct feed *f, bool full_sync, const struct replica_events *ev, void *arg,
                struct replica **ret)
{
    struct replica *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return -ENOMEM;
    *r = (struct replica){.feed = f, .may_sync = full_sync, .ev = *ev, .arg = arg};
    int err = start(r);
    if (err < 0) {
        replica_free(r);
        return err;
    }
    *ret = r;
    return 0;
}

void replica_close(struct replica *r)
{
    r->step = STEP_DOWN;
    r->timer = timer_free(r->timer);
    r->conn = conn_free(r->conn);
}

struct replica *replica_free(struct replica *r)
{
    if (r == NULL)
        return NULL;
    replica_close(r);
    free(r);
    return NULL;
}

bool replica_is_attached(const struct replica *r)
{
    return is_alive(r) && r->step == STEP_STREAM;
}

const char *replica_run_id(const struct replica *r)
{
    const struct server_id *id = r->conn ? conn_server(r->conn) : NULL;
    return id ? id->run_id : "";
}

const char *replica_id(const struct replica *r)
{
    return r->at.replid;
}

void replica_reset(struct replica *r, const char *why)
{
    if (r->conn != NULL)
        reset(r, why);
}

void replica_move(struct replica *r, const char *why)
{
    if (r->conn != NULL)
        conn_move(r->conn, why);
}

void replica_go_on_from(struct replica *r, const struct replica_place *place)
{
    r->left = *place;
    r->has_left = true;
}

void replica_expect(struct replica *r, bool due)
{
    if (replica_is_attached(r))
        conn_expect(r->conn, due);
}

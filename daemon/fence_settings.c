/* The hard fence by min-replicas: a primary refuses to write while fewer replicas than that are at hand.
 * min-replicas-max-lag of 0 would turn it off in silence. */
#include "daemon/fence_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TO_WRITE "min-replicas-to-write"
#define MAX_LAG  "min-replicas-max-lag"
#define BEYOND   "2147483647" /* the largest there is */
#define LAG_MIN  10

struct values {
    char to_write[32], max_lag[32]; /* "": not told */
};

static bool take_value(struct bytes name, struct bytes value, const char *which, char out[32])
{
    uint64_t number;
    if (!bytes_is(name, which) || bytes_to_u64(value, &number) < 0)
        return false;
    snprintf(out, 32, "%" PRIu64, number);
    return true;
}

/* Of CONFIG GET min-replicas-*. */
static bool get_values(const struct reply *r, struct values *ret)
{
    struct bytes name, value;

    *ret = (struct values){.to_write = ""};
    for (size_t i = 0; r && i + 1 < r->count; i += 2) {
        if (!reply_text(reply_at(r, i), &name) || !reply_text(reply_at(r, i + 1), &value))
            return false;
        if (!take_value(name, value, TO_WRITE, ret->to_write))
            take_value(name, value, MAX_LAG, ret->max_lag);
    }
    return ret->to_write[0] && ret->max_lag[0];
}

static struct state_node *record_of(struct fence_node *n)
{
    return state_node_find(fence_record(n->fence), n->address);
}

/* "" : it is not in the record. */
static const char *before(struct fence_node *n, const char *name)
{
    struct state_node *r = record_of(n);
    const struct state_setting *s = r ? state_setting_find(r, bytes_str(name)) : NULL;
    return s ? s->before : "";
}

static const char *after(struct fence_node *n, const char *name)
{
    struct state_node *r = record_of(n);
    const struct state_setting *s = r ? state_setting_find(r, bytes_str(name)) : NULL;
    return s ? s->after : "";
}

/* What ours is, for a lag that was there before. */
static const char *our_lag(const char *was, char out[32])
{
    uint64_t lag;
    if (bytes_to_u64(bytes_str(was), &lag) < 0 || lag < LAG_MIN)
        lag = LAG_MIN;
    snprintf(out, 32, "%" PRIu64, lag);
    return out;
}

static int keep(struct fence_node *n, const char *name, const char *value)
{
    struct state_setting *s;
    struct state_node *r = record_of(n);
    if (!r)
        return -EINVAL;
    return state_setting_find(r, bytes_str(name))
               ? 0
               : state_setting_add(r, bytes_str(name), bytes_str(value), &s);
}

static void keep_after(struct fence_node *n, const char *name, const char *value)
{
    struct state_node *r = record_of(n);
    struct state_setting *s = r ? state_setting_find(r, bytes_str(name)) : NULL;
    if (s && state_setting_after(s, bytes_str(value)) < 0)
        return; /* an undo finds out by what ours would be */
}

static bool is_ours(struct fence_node *n, const char *name, const char *value)
{
    char lag[32];
    const char *ours = after(n, name);
    if (!ours[0])
        ours = strcmp(name, TO_WRITE) == 0 ? BEYOND : our_lag(before(n, name), lag);
    return strcmp(value, ours) == 0;
}

/* What somebody has set since is what is put back. */
static int keep_newer(struct fence_node *n, const char *name, const char *value)
{
    struct state_node *r = record_of(n);
    struct state_setting *s = r ? state_setting_find(r, bytes_str(name)) : NULL;

    if (!s)
        return keep(n, name, value);
    return strcmp(value, s->before) == 0 || is_ours(n, name, value)
               ? 0
               : state_setting_before(s, bytes_str(value));
}

static bool are_fenced(struct fence_node *n, const struct values *v)
{
    char lag[32];
    return strcmp(v->to_write, BEYOND) == 0 && strcmp(our_lag(v->max_lag, lag), v->max_lag) == 0 &&
           is_ours(n, MAX_LAG, v->max_lag);
}

/* Reading what is there. */

static void on_originals(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    char why[FENCE_WHY_MAX];
    struct values v;
    (void)c;

    if (!get_values(r, &v))
        fence_node_done(n, -EACCES, "%s", fence_error(r, why));
    else if (keep(n, TO_WRITE, v.to_write) < 0 || keep(n, MAX_LAG, v.max_lag) < 0)
        fence_node_done(n, -ENOMEM, "memory is out");
    else
        fence_node_done(n, 0, "%s", "");
}

static void read_originals(struct fence_node *n)
{
    fence_call(n, on_originals, "CONFIG GET min-replicas-*");
}

/* Setting, in one MULTI with the reading back. */

static bool change(struct fence_node *n, const char *name, const char *value)
{
    const struct bytes argv[] = {BYTES("CONFIG"), BYTES("SET"), bytes_str(name), bytes_str(value)};
    return fence_call_argv(n, fence_ignore, ARRAY_LEN(argv), argv);
}

static bool send_fence(struct fence_node *n, conn_reply_fn *fn, const char *lag)
{
    char ours[32];
    return fence_call(n, fence_ignore, "MULTI") && change(n, MAX_LAG, our_lag(lag, ours)) &&
           change(n, TO_WRITE, BEYOND) && fence_call(n, fence_ignore, "CONFIG GET min-replicas-*") &&
           fence_call(n, fn, "EXEC");
}

/* The first error among the replies of EXEC, or EXEC's own; NULL: none. */
static const struct reply *exec_error(const struct reply *r)
{
    if (r->type != REPLY_ARRAY)
        return r;
    for (size_t i = 0; i < r->count; i++) {
        if (r->at[i]->type == REPLY_ERROR)
            return r->at[i];
    }
    return NULL;
}

static bool read_back(struct fence_node *n, const struct reply *r, struct values *v)
{
    const struct reply *error = exec_error(r);
    char why[FENCE_WHY_MAX];

    if (error)
        fence_node_done(n, -EACCES, "%s", fence_error(error, why));
    else if (!get_values(reply_at(r, r->count - 1), v))
        fence_node_done(n, -EIO, "what was set does not read back");
    else
        return true;
    return false;
}

static void on_set(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    struct values v;
    (void)c;

    if (!read_back(n, r, &v))
        return;
    if (!are_fenced(n, &v)) {
        fence_node_done(n, -EIO, "%s reads back as %s", TO_WRITE, v.to_write);
        return;
    }
    keep_after(n, TO_WRITE, v.to_write);
    keep_after(n, MAX_LAG, v.max_lag);
    fence_node_done(n, 0, "%s", "");
}

static void set(struct fence_node *n)
{
    send_fence(n, on_set, before(n, MAX_LAG));
}

/* Checking. */

static void on_checked(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    char why[FENCE_WHY_MAX];
    struct values v;
    (void)c;

    if (!get_values(r, &v))
        fence_node_done(n, -EIO, "%s", fence_error(r, why));
    else if (!are_fenced(n, &v))
        fence_node_done(n, -EPERM, "somebody has set %s to %s and %s to %s", TO_WRITE, v.to_write, MAX_LAG,
                        v.max_lag);
    else
        fence_node_done(n, 0, "%s", "");
}

static void check(struct fence_node *n)
{
    fence_call(n, on_checked, "CONFIG GET min-replicas-*");
}

/* Putting back. */

static const char *value_of(const struct values *v, const char *name)
{
    return strcmp(name, TO_WRITE) == 0 ? v->to_write : v->max_lag;
}

static void on_put_back(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    struct values v;
    (void)c;

    if (!read_back(n, r, &v))
        return;
    fence_node_done(n, 0, "%s", "");
}

/* Is there something of ours to put back? What is somebody else's is told. */
static bool decide(struct fence_node *n, const char *name, const struct values *now)
{
    const char *was = before(n, name), *is = value_of(now, name);

    if (!was[0] || strcmp(is, was) == 0)
        return false;
    if (is_ours(n, name, is))
        return true;
    fence_left_alone(n->fence,
                     "%s of %s is %s, which is not what this link had set: left as it is (it was %s)", name,
                     n->address, is, was);
    return false;
}

static void on_present(struct conn *c, const struct reply *r, void *arg)
{
    static const char *const names[] = {TO_WRITE, MAX_LAG};
    struct fence_node *n = arg;
    char why[FENCE_WHY_MAX];
    bool wanted[ARRAY_LEN(names)];
    struct values v;
    (void)c;

    if (!get_values(r, &v)) {
        fence_node_done(n, -EIO, "%s", fence_error(r, why));
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        wanted[i] = decide(n, names[i], &v);
    if (!wanted[0] && !wanted[1]) {
        fence_node_done(n, 0, "%s", "");
        return;
    }
    bool sent = fence_call(n, fence_ignore, "MULTI");
    for (size_t i = 0; sent && i < ARRAY_LEN(names); i++)
        sent = !wanted[i] || change(n, names[i], before(n, names[i]));
    if (sent && fence_call(n, fence_ignore, "CONFIG GET min-replicas-*"))
        fence_call(n, on_put_back, "EXEC");
}

static void lift(struct fence_node *n)
{
    fence_call(n, on_present, "CONFIG GET min-replicas-*");
}

/* Watching. */

static void on_looked(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    char why[FENCE_WHY_MAX];
    struct values v;
    (void)c;

    if (!get_values(r, &v)) {
        fence_node_done(n, -EIO, "%s", fence_error(r, why));
        return;
    }
    if (are_fenced(n, &v)) {
        fence_node_done(n, 0, "%s", "");
        return;
    }
    bool known = before(n, TO_WRITE)[0] != '\0';
    if (keep_newer(n, TO_WRITE, v.to_write) < 0 || keep_newer(n, MAX_LAG, v.max_lag) < 0 ||
        fence_save(n->fence) < 0) {
        fence_node_done(n, -EIO, "what is set now cannot be written down");
        return;
    }
    if (known)
        snprintf(n->lost, sizeof(n->lost), "%s was %s, %s %s", TO_WRITE, v.to_write, MAX_LAG, v.max_lag);
    send_fence(n, on_set, before(n, MAX_LAG));
}

static void look(struct fence_node *n)
{
    fence_call(n, on_looked, "CONFIG GET min-replicas-*");
}

const struct fence_hard fence_min_replicas = {read_originals, set, check, lift, look};

/* The hard fence by ACL: every user but riotd's own loses `@write` and its selectors, on or off: who logged
 * in before a user was set off still writes. What the server makes of it is read back in the same MULTI, and
 * so is what was there right before: a user that was deleted in between would have been made by us. */
#include "daemon/fence_impl.h"
#include "lib/core/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 5 /* that are told one by one */

static struct state_node *record_of(const struct fence_node *n)
{
    return state_node_find(fence_record(n->fence), n->address);
}

/* Lines of ACL LIST. */

static bool line_at(const struct reply *list, size_t i, struct bytes *ret)
{
    return reply_text(reply_at(list, i), ret) && acl_user(*ret).len > 0;
}

static bool find_line(const struct reply *list, struct bytes user, struct bytes *ret)
{
    for (size_t i = 0; list && i < list->count; i++) {
        if (line_at(list, i, ret) && bytes_equal(acl_user(*ret), user))
            return true;
    }
    return false;
}

static bool is_list(struct fence_node *n, const struct reply *r)
{
    char why[FENCE_WHY_MAX];
    if (r && r->type == REPLY_ARRAY)
        return true;
    if (r && reply_is_passing(r) && n->fence->round.retry && n->fence->step != FENCE_LIFTING)
        conn_reset(n->conn, fence_error(r, why));
    else
        fence_node_done(n, -EACCES, "ACL LIST: %s", r ? fence_error(r, why) : "no answer");
    return false;
}

static const char *shown(const char *user, char out[64])
{
    return bytes_escape(bytes_str(user), out, 64);
}

/* Requests. */

static bool has_selectors(const struct fence_node *n)
{
    return conn_server(n->conn)->redis >= SINCE_SELECTORS;
}

static bool set_user(struct fence_node *n, const char *user, size_t nrules, const struct bytes *rules)
{
    struct bytes *argv = malloc((nrules + 4) * sizeof(*argv));
    size_t argc = 0;

    if (!argv) {
        conn_reset(n->conn, "no memory");
        return false;
    }
    argv[argc++] = BYTES("ACL");
    argv[argc++] = BYTES("SETUSER");
    argv[argc++] = bytes_str(user);
    if (has_selectors(n))
        argv[argc++] = BYTES("clearselectors");
    memcpy(argv + argc, rules, nrules * sizeof(*rules));
    bool sent = fence_call_argv(n, fence_ignore, argc + nrules, argv);
    free(argv);
    return sent;
}

static bool fence_user(struct fence_node *n, const char *user)
{
    size_t count;
    const char *const *denials = acl_catalog_denials(n->catalog, &count);
    struct bytes *rules = malloc((count + 1) * sizeof(*rules));

    if (!rules) {
        conn_reset(n->conn, "no memory");
        return false;
    }
    rules[0] = BYTES("-@write");
    for (size_t i = 0; i < count; i++)
        rules[i + 1] = bytes_str(denials[i]);
    bool sent = set_user(n, user, count + 1, rules);
    free(rules);
    return sent;
}

/* The command rules and selectors of the line, and nothing else of it. */
static bool put_user_back(struct fence_node *n, const struct state_setting *s)
{
    struct bytes line = bytes_str(s->before), rest = acl_rules(line);
    struct bytes *rules = malloc((line.len / 2 + 1) * sizeof(*rules));
    size_t count = 0;

    if (!rules) {
        conn_reset(n->conn, "no memory");
        return false;
    }
    while (rest.len > 0) {
        struct bytes rule = acl_next(&rest);
        if (acl_is_command_rule(rule))
            rules[count++] = rule;
    }
    bool sent = set_user(n, s->name, count, rules);
    free(rules);
    return sent;
}

static bool begin_change(struct fence_node *n)
{
    return fence_call(n, fence_ignore, "MULTI") && fence_call(n, fence_ignore, "ACL LIST");
}

static void end_change(struct fence_node *n, conn_reply_fn *fn)
{
    if (fence_call(n, fence_ignore, "ACL LIST"))
        fence_call(n, fn, "EXEC");
}

/* Replies of EXEC: what was there, those of the changes, what is there now. */
static bool take_change(struct fence_node *n, const struct reply *r, const struct reply **ret_before,
                        const struct reply **ret_after)
{
    char why[FENCE_WHY_MAX];

    if (r->type != REPLY_ARRAY || r->count < 2) {
        fence_node_done(n, -EACCES, "%s", fence_error(r, why));
        return false;
    }
    *ret_before = r->at[0];
    *ret_after = r->at[r->count - 1];
    return is_list(n, *ret_before) && is_list(n, *ret_after);
}

static const struct reply *change_error(const struct reply *r)
{
    for (size_t i = 1; i + 1 < r->count; i++) {
        if (r->at[i]->type == REPLY_ERROR)
            return r->at[i];
    }
    return NULL;
}

/* Somebody deleted it between our look and our change, which made it anew, without any right. */
static void unmake(struct fence_node *n, const char *user)
{
    const struct bytes argv[] = {BYTES("ACL"), BYTES("DELUSER"), bytes_str(user)};
    (void)fence_call_argv(n, fence_ignore, ARRAY_LEN(argv), argv);
}

/* Originals. */

static int keep(struct fence_node *n, struct bytes line)
{
    struct state_setting *s;
    struct state_node *r = record_of(n);

    if (!r)
        return -EINVAL;
    if (state_setting_find(r, acl_user(line)))
        return 0;
    if (state_settings_count(fence_record(n->fence)) >= STATE_SETTINGS_MAX)
        return -E2BIG;
    return state_setting_add(r, acl_user(line), line, &s);
}

static void on_originals(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    struct bytes line;
    int err = 0;
    (void)c;

    if (!is_list(n, r))
        return;
    for (size_t i = 0; i < r->count && err == 0; i++) {
        if (!line_at(r, i, &line))
            err = -EBADMSG;
        else if (!bytes_is(acl_user(line), n->user))
            err = keep(n, line);
    }
    fence_node_done(n, err, "%s",
                    err == -E2BIG ? "its users are too many, or their rules too long" : strerror(-err));
}

static void read_originals(struct fence_node *n)
{
    fence_call(n, on_originals, "ACL LIST");
}

/* The catalog: asked for once in a connection's life. Without it, a user may write. */

static void on_last_category(struct conn *c, const struct reply *r, void *arg);

static void on_category(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    (void)c;
    if (n->catalog && acl_catalog_add(n->catalog, r) < 0)
        n->catalog = acl_catalog_free(n->catalog);
}

static uint64_t hash_of(struct bytes info)
{
    return hash_bytes((struct hash_seed){.k0 = 1, .k1 = 2}, 0, info);
}

static void on_module_commands(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    (void)c;
    if (n->catalog && acl_catalog_add_module(n->catalog, r) < 0)
        n->catalog = acl_catalog_free(n->catalog);
    if (--n->modules_due == 0)
        n->catalog_known(n);
}

static void on_catalog_modules(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    struct bytes info = BYTES("");
    (void)c;

    if (!fence_is_module_info(r, &info)) {
        n->catalog = acl_catalog_free(n->catalog);
        n->catalog_known(n);
        return;
    }
    n->modules_hash = hash_of(info);
    n->modules_due = SIZE_MAX;
    n->modules_due = fence_ask_modules(n, info, on_module_commands);
    if (!n->modules_due)
        n->catalog_known(n);
}

/* Before 7.0 a module's commands cannot be listed: a source that has one is not fenced by ACL. */
static void on_last_category(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    on_category(c, r, arg);
    if (n->catalog && conn_server(n->conn)->redis >= SINCE_LISTS)
        fence_call(n, on_catalog_modules, "INFO modules");
    else
        n->catalog_known(n);
}

static void on_categories(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    const char *name = NULL;
    (void)c;

    if (acl_catalog_new(r, &n->catalog) == 0)
        name = acl_catalog_wants(n->catalog, 0);
    if (!name)
        n->catalog_known(n);
    for (size_t i = 0; name; i++) {
        const char *next = acl_catalog_wants(n->catalog, i + 1);
        const struct bytes argv[] = {BYTES("ACL"), BYTES("CAT"), bytes_str(name)};
        if (!fence_call_argv(n, next ? on_category : on_last_category, ARRAY_LEN(argv), argv))
            return;
        name = next;
    }
}

void fence_acl_prepare(struct fence_node *n, fence_node_fn *known)
{
    n->catalog_known = known;
    if (n->catalog)
        known(n);
    else
        fence_call(n, on_categories, "ACL CAT");
}

static void on_modules_compared(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    struct bytes info = BYTES("");
    (void)c;

    if (n->catalog && (!fence_is_module_info(r, &info) || hash_of(info) != n->modules_hash))
        n->catalog = acl_catalog_free(n->catalog);
    fence_acl_prepare(n, n->catalog_known);
}

/* As it is now: a module may have been loaded since it was asked for. */
static void with_fresh_catalog(struct fence_node *n, fence_node_fn *known)
{
    n->catalog_known = known;
    if (n->catalog && conn_server(n->conn)->redis >= SINCE_LISTS)
        fence_call(n, on_modules_compared, "INFO modules");
    else
        fence_acl_prepare(n, known);
}

/* Setting. */

/* What was there right before is the original, should it have changed since it was read. */
static int correct_before(struct state_setting *s, struct bytes line)
{
    char *copy;
    if (bytes_is(line, s->before))
        return 0;
    copy = line.len < STATE_SETTING_MAX ? bytes_dup(line) : NULL;
    if (!copy)
        return -ENOMEM;
    free(s->before);
    s->before = copy;
    return 0;
}

/* False: it is gone, or its change is unknown. `fresh`: nothing was read back for it so far. */
static int keep_change(struct fence_node *n, struct state_setting *s, const struct reply *before,
                       const struct reply *after)
{
    struct bytes line;
    int err = 0;

    if (!find_line(before, bytes_str(s->name), &line)) {
        unmake(n, s->name);
        return -ENOENT;
    }
    if (!s->after[0])
        err = correct_before(s, line);
    if (err == 0)
        err = find_line(after, bytes_str(s->name), &line) ? state_setting_after(s, line) : -ENOENT;
    return err;
}

static void on_set(struct conn *c, const struct reply *r, void *arg)
{
    const struct reply *before, *after;
    struct fence_node *n = arg;
    struct state_node *rec = record_of(n);
    char why[FENCE_WHY_MAX], name[64];
    (void)c;

    if (!rec || !take_change(n, r, &before, &after))
        return;
    const struct reply *error = change_error(r);
    for (size_t i = 0; i < rec->nsettings; i++) {
        int err = keep_change(n, &rec->settings[i], before, after);
        if (err < 0) {
            fence_node_done(n, err, "the user %s was deleted or changed meanwhile",
                            shown(rec->settings[i].name, name));
            return;
        }
    }
    if (error)
        fence_node_done(n, -EACCES, "%s", fence_error(error, why));
    else
        fence_node_done(n, 0, "%s", "");
}

static void set_by_catalog(struct fence_node *n)
{
    const struct state_node *r = record_of(n);

    if (!acl_catalog_is_full(n->catalog)) {
        fence_node_done(n, -EACCES, "which commands write cannot be told");
        return;
    }
    if (!r || !begin_change(n))
        return;
    for (size_t i = 0; i < r->nsettings; i++) {
        if (!fence_user(n, r->settings[i].name))
            return;
    }
    end_change(n, on_set);
}

static void set(struct fence_node *n)
{
    with_fresh_catalog(n, set_by_catalog);
}

/* Checking. */

static bool check_line(struct fence_node *n, struct state_node *r, struct bytes line)
{
    char name[64];
    const struct state_setting *s = state_setting_find(r, acl_user(line));

    if (bytes_is(acl_user(line), n->user) ||
        (s && acl_same(line, bytes_str(s->after), ACL_COMMANDS | ACL_PASSWORDS | ACL_REST)))
        return true;
    fence_node_done(n, -EPERM, "the user %s was %s since it was fenced",
                    bytes_escape(acl_user(line), name, sizeof(name)), s ? "changed" : "created");
    return false;
}

static void on_checked(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    struct state_node *rec = record_of(n);
    struct bytes line;
    char name[64];
    (void)c;

    if (!is_list(n, r))
        return;
    if (!rec || n->shared[0]) {
        fence_node_done(n, -EPERM, "%s", rec ? n->shared : "it is not fenced");
        return;
    }
    for (size_t i = 0; i < r->count; i++) {
        if (line_at(r, i, &line) && !check_line(n, rec, line))
            return;
    }
    for (size_t i = 0; i < rec->nsettings; i++) {
        if (!find_line(r, bytes_str(rec->settings[i].name), &line)) {
            fence_node_done(n, -EPERM, "the user %s was deleted since it was fenced",
                            shown(rec->settings[i].name, name));
            return;
        }
    }
    fence_node_done(n, 0, "%s", "");
}

/* Whoever logged in as riotd's user since the probe is not fenced. */
static void on_clients(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    char why[FENCE_WHY_MAX], addr[64];
    struct bytes list;
    (void)c;

    n->shared[0] = '\0';
    if (!reply_text(r, &list))
        snprintf(n->shared, sizeof(n->shared), "it cannot be seen who else uses the user %.40s: %.60s",
                 n->user, fence_error(r, why));
    else if (fence_is_shared(n, list, addr))
        snprintf(n->shared, sizeof(n->shared), "the client at %s uses the user %.40s, which is not fenced",
                 addr, n->user);
}

static void check(struct fence_node *n)
{
    if (fence_call(n, on_clients, "CLIENT LIST"))
        fence_call(n, on_checked, "ACL LIST");
}

/* Putting back. */

enum verdict { VERDICT_NOTHING, VERDICT_OURS, VERDICT_GONE, VERDICT_OTHERS };

/* A server that was restarted may tell the same rules in other words. */
static bool is_as(const struct fence_node *n, struct bytes now, struct bytes then)
{
    return acl_same(now, then, ACL_REST) && acl_allows_same(n->catalog, now, then);
}

static enum verdict judge(const struct fence_node *n, const struct state_setting *s, struct bytes now)
{
    struct bytes before = bytes_str(s->before), after = bytes_str(s->after);

    if (acl_same(now, before, ACL_COMMANDS | ACL_REST))
        return VERDICT_NOTHING;
    if (after.len > 0 && is_as(n, now, after))
        return VERDICT_OURS;
    if (after.len == 0 && acl_same(now, before, ACL_PASSWORDS | ACL_REST) && !acl_may_write(n->catalog, now))
        return VERDICT_OURS;
    return is_as(n, now, before) ? VERDICT_NOTHING : VERDICT_OTHERS;
}

static enum verdict judge_in(const struct fence_node *n, const struct state_setting *s,
                             const struct reply *list)
{
    struct bytes now;
    return find_line(list, bytes_str(s->name), &now) ? judge(n, s, now) : VERDICT_GONE;
}

/* Without the catalog, ours in other words is taken for somebody else's. */
static bool can_judge(const struct fence_node *n, const struct state_node *rec, const struct reply *list)
{
    for (size_t i = 0; rec && !acl_catalog_is_full(n->catalog) && i < rec->nsettings; i++) {
        if (judge_in(n, &rec->settings[i], list) == VERDICT_OTHERS)
            return false;
    }
    return true;
}

static void on_put_back(struct conn *c, const struct reply *r, void *arg)
{
    const struct reply *before, *after;
    struct fence_node *n = arg;
    struct state_node *rec = record_of(n);
    const struct reply *error;
    struct bytes line;
    char name[64], why[FENCE_WHY_MAX];
    (void)c;

    if (!rec || !take_change(n, r, &before, &after))
        return;
    error = change_error(r);
    if (error) {
        fence_node_done(n, -EACCES, "%s", fence_error(error, why));
        return;
    }
    for (size_t i = 0; i < rec->nsettings; i++) {
        const struct state_setting *s = &rec->settings[i];
        if (!find_line(before, bytes_str(s->name), &line)) {
            if (find_line(after, bytes_str(s->name), &line))
                unmake(n, s->name);
        } else if (judge_in(n, s, before) == VERDICT_OURS &&
                   !(find_line(after, bytes_str(s->name), &line) && is_as(n, line, bytes_str(s->before)))) {
            fence_left_alone(n->fence, "the user %s of %s could not be put back: it may still not write",
                             shown(s->name, name), n->address);
        }
    }
    fence_node_done(n, 0, "%s", "");
}

/* A server that was restarted has the users of its configuration: what is not among them has gone with the
 * process that was fenced. */
static bool was_restarted(const struct fence_node *n)
{
    return strcmp(record_of(n)->run_id, conn_server(n->conn)->run_id) != 0;
}

static void tell_left(struct fence_node *n, const struct state_setting *s, enum verdict v)
{
    char name[64];
    if (v == VERDICT_GONE && was_restarted(n))
        return;
    if (v == VERDICT_GONE)
        fence_left_alone(n->fence, "the user %s of %s was deleted since it was fenced", shown(s->name, name),
                         n->address);
    else
        fence_left_alone(n->fence,
                         "the user %s of %s was changed since it was fenced: left as it is, it may lack the "
                         "right to write",
                         shown(s->name, name), n->address);
}

static void on_present(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    const struct state_node *rec = record_of(n);
    bool any = false;
    (void)c;

    if (!is_list(n, r))
        return;
    if (!can_judge(n, rec, r)) {
        fence_node_done(n, -EACCES, "ACL CAT cannot be read: what its users may do cannot be told");
        return;
    }
    for (size_t i = 0; rec && i < rec->nsettings; i++) {
        enum verdict v = judge_in(n, &rec->settings[i], r);
        if (v == VERDICT_GONE || v == VERDICT_OTHERS)
            tell_left(n, &rec->settings[i], v);
        if (v != VERDICT_OURS)
            continue;
        if ((!any && !begin_change(n)) || !put_user_back(n, &rec->settings[i]))
            return;
        any = true;
    }
    if (any)
        end_change(n, on_put_back);
    else
        fence_node_done(n, 0, "%s", "");
}

static void lift_by_catalog(struct fence_node *n)
{
    fence_call(n, on_present, "ACL LIST");
}

static void lift(struct fence_node *n)
{
    fence_acl_prepare(n, lift_by_catalog);
}

/* Watching. */

static bool is_fenced(const struct fence_node *n, const struct state_setting *s, struct bytes line)
{
    return (s && s->after[0] && acl_same(line, bytes_str(s->after), ACL_COMMANDS)) ||
           !acl_may_write(n->catalog, line);
}

/* Of those that had to be fenced again; what is not kept is found out by an undo. */
static void keep_fenced(struct fence_node *n, struct state_setting *s, const struct reply *after)
{
    struct bytes line;
    if (find_line(after, bytes_str(s->name), &line) && !acl_may_write(n->catalog, line) &&
        !acl_same(line, bytes_str(s->after), ACL_COMMANDS) && state_setting_after(s, line) < 0)
        log_debug(n->fence->opt.log, "no memory for what reads back of %s", n->address);
}

static void on_fenced_again(struct conn *c, const struct reply *r, void *arg)
{
    const struct reply *before, *after;
    struct fence_node *n = arg;
    struct state_node *rec = record_of(n);
    const struct reply *error;
    char why[FENCE_WHY_MAX];
    struct bytes line;
    (void)c;

    if (!rec || !take_change(n, r, &before, &after))
        return;
    error = change_error(r);
    for (size_t i = 0; i < rec->nsettings; i++) {
        struct state_setting *s = &rec->settings[i];
        if (!find_line(after, bytes_str(s->name), &line))
            continue;
        if (!find_line(before, bytes_str(s->name), &line))
            unmake(n, s->name);
        else
            keep_fenced(n, s, after);
    }
    fence_save(n->fence);
    if (error)
        fence_node_done(n, -EACCES, "%s", fence_error(error, why));
    else
        fence_node_done(n, 0, "%s", "");
}

/* Names the first few. */
static void name_lost(struct fence_node *n, struct bytes user, size_t count)
{
    char name[64];
    size_t len = strlen(n->lost);

    if (count < NAMES_MAX)
        snprintf(n->lost + len, sizeof(n->lost) - len, "%s%s",
                 count ? ", " : "users could write: ", bytes_escape(user, name, sizeof(name)));
    else if (count == NAMES_MAX)
        snprintf(n->lost + len, sizeof(n->lost) - len, " and others");
}

/* Rules that somebody gave it since are its original now. A right that was only added to ours says nothing of
 * what it is to have without the fence. */
static int keep_newer(const struct fence_node *n, struct state_setting *s, struct bytes line)
{
    struct bytes before = bytes_str(s->before), after = bytes_str(s->after);

    if (acl_same(line, before, ACL_COMMANDS | ACL_REST))
        return 0;
    if (after.len > 0 && acl_same(line, before, ACL_REST) && acl_allows_all(n->catalog, line, after) &&
        acl_allows_all(n->catalog, before, line))
        return 0;
    return state_setting_before(s, line);
}

/* Which of them can write; what is not in the record goes there first. */
static int find_unfenced(struct fence_node *n, const struct reply *list, bool *wanted)
{
    struct state_node *rec = record_of(n);
    bool was_known = rec && rec->nsettings > 0;
    struct bytes line;
    size_t count = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (!line_at(list, i, &line) || bytes_is(acl_user(line), n->user) ||
            is_fenced(n, state_setting_find(rec, acl_user(line)), line))
            continue;
        struct state_setting *s = state_setting_find(rec, acl_user(line));
        int err = s ? keep_newer(n, s, line) : keep(n, line);
        if (err < 0)
            return err;
        wanted[i] = true;
        if (was_known)
            name_lost(n, acl_user(line), count);
        count++;
    }
    return count > 0;
}

static void fence_wanted(struct fence_node *n, const struct reply *list, const bool *wanted)
{
    struct bytes line;
    char *name = NULL;
    bool sent = begin_change(n);

    for (size_t i = 0; sent && i < list->count; i++) {
        if (!wanted[i] || !line_at(list, i, &line))
            continue;
        name = bytes_dup(acl_user(line));
        sent = name && fence_user(n, name);
        free(name);
    }
    if (sent)
        end_change(n, on_fenced_again);
}

static void on_looked(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    (void)c;

    if (!is_list(n, r))
        return;
    bool *wanted = calloc(r->count + 1, sizeof(*wanted));
    int any = wanted && record_of(n) ? find_unfenced(n, r, wanted) : -ENOMEM;
    if (any < 0)
        fence_node_done(n, any, "its users cannot be kept track of: %s", strerror(-any));
    else if (!any)
        fence_node_done(n, 0, "%s", "");
    else if (fence_save(n->fence) < 0)
        fence_node_done(n, -EIO, "what is set now cannot be written down");
    else
        fence_wanted(n, r, wanted);
    free(wanted);
}

static void on_whoami(struct conn *c, const struct reply *r, void *arg)
{
    struct fence_node *n = arg;
    char why[FENCE_WHY_MAX];
    struct bytes user;
    (void)c;

    if (!reply_text(r, &user) || user.len >= sizeof(n->user)) {
        fence_node_done(n, -EACCES, "ACL WHOAMI: %s", fence_error(r, why));
        return;
    }
    snprintf(n->user, sizeof(n->user), "%.*s", (int)user.len, user.ptr);
    fence_call(n, on_looked, "ACL LIST");
}

static void look_by_catalog(struct fence_node *n)
{
    fence_call(n, on_whoami, "ACL WHOAMI");
}

static void look(struct fence_node *n)
{
    with_fresh_catalog(n, look_by_catalog);
}

const struct fence_hard fence_acl = {read_originals, set, check, lift, look};

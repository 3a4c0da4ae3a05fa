#include "lib/redis/clients.h"
#include "lib/redis/conn_life.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FENCE_LOOK_US  100000 /* between two looks at CLIENT LIST */
#define NO_TOUCH_SINCE 70200

/* Each step asks, and its reply goes on; or it has nothing to ask here, and gives true. */
typedef bool step_fn(struct conn *c);

static void go_on(struct conn *c);

/* A server may repeat what it was sent: a text with the password in it is not shown. */
static const char *error_text(const struct conn *c, const struct reply *r, char out[CONN_WHY_MAX])
{
    const char *password = c->opt.endpoint->password;
    bool repeats = password && password[0] && r->text.len > 0 &&
                   memmem(r->text.ptr, r->text.len, password, strlen(password));
    if (repeats)
        snprintf(out, CONN_WHY_MAX, "ERR (a text that repeats the password)");
    else
        bytes_escape(r->text, out, CONN_WHY_MAX);
    return out;
}

/* Ends the life over errors that nothing can come after; others are kept, for when the server closes next. */
static bool may_go_on(struct conn *c, const struct reply *r)
{
    if (r->type != REPLY_ERROR)
        return true;
    error_text(c, r, c->refusal);
    if (reply_is_error(r, "NOAUTH")) {
        bool has = c->opt.endpoint->password != NULL;
        if (has)
            conn_lose(c, "%s", c->refusal);
        else
            conn_lose(c,
                      "the server wants a password, and none is configured (%s.password_file or "
                      "password_credential): %s",
                      c->opt.endpoint->side, c->refusal);
        return false;
    }
    if (reply_is_error(r, "DENIED")) {
        conn_lose(c, "%s", c->refusal);
        return false;
    }
    return true;
}

static void on_auth(struct conn *c, const struct reply *r, void *arg)
{
    char text[CONN_WHY_MAX];
    (void)arg;
    if (r->type == REPLY_ERROR)
        conn_lose(c, "%s (look at the %s's password and user)", error_text(c, r, text),
                  c->opt.endpoint->side);
    else if (!reply_is_ok(r))
        conn_lose(c, "the answer to AUTH is not understood");
    else
        go_on(c);
}

static bool run_auth(struct conn *c)
{
    const struct endpoint *e = c->opt.endpoint;
    struct bytes argv[3] = {BYTES("AUTH")};
    size_t argc = 1;
    if (!e->password && !e->url.user)
        return true;
    if (e->url.user)
        argv[argc++] = bytes_str(e->url.user);
    argv[argc++] = bytes_str(e->password); /* a user may need none: any text will do then */
    conn_ask_argv(c, on_auth, argc, argv);
    return false;
}

static void on_setname(struct conn *c, const struct reply *r, void *arg)
{
    (void)arg;
    if (may_go_on(c, r))
        go_on(c);
}

static bool run_setname(struct conn *c)
{
    char name[128];
    snprintf(name, sizeof(name), "%s:%s", c->opt.endpoint->client, c->opt.role);
    const struct bytes argv[] = {BYTES("CLIENT"), BYTES("SETNAME"), bytes_str(name)};
    conn_ask_argv(c, on_setname, ARRAY_LEN(argv), argv);
    return false;
}

static void on_id(struct conn *c, const struct reply *r, void *arg)
{
    int64_t id;
    (void)arg;
    if (!may_go_on(c, r))
        return;
    if (reply_integer(r, &id) && id > 0)
        c->client_id = (uint64_t)id;
    go_on(c);
}

static bool run_id(struct conn *c)
{
    conn_ask(c, on_id, "CLIENT ID");
    return false;
}

static void on_info(struct conn *c, const struct reply *r, void *arg)
{
    struct bytes text;
    (void)arg;
    if (!may_go_on(c, r))
        return;
    /* Without an answer it would be a life in which nobody knows who the server is. */
    if (reply_is_passing(r))
        conn_lose(c, "%s", c->refusal);
    else if (reply_text(r, &text) && buf_append(&c->info, text.ptr, text.len) < 0)
        conn_lose(c, "INFO is too long");
    else
        go_on(c);
}

static bool run_info_server(struct conn *c)
{
    buf_free(&c->info);
    conn_ask(c, on_info, "INFO server");
    return false;
}

static bool run_info_replication(struct conn *c)
{
    conn_ask(c, on_info, "INFO replication");
    return false;
}

static bool run_identified(struct conn *c)
{
    uint64_t life = c->life;
    const char *why = "refused";

    server_id_parse(buf_bytes(&c->info), &c->id);
    c->id_known = true;
    buf_free(&c->info);
    int err = c->ev.identified ? c->ev.identified(c, &c->id, c->client_id, &why, c->arg) : 0;
    if (c->life != life)
        return false;
    if (err < 0) {
        conn_lose(c, "%s", why);
        return false;
    }
    return true;
}

/* The fence. */

/* Another run id is another process: what was left behind there has died with it, or is not this server's. */
static bool may_live(const struct conn *c, const struct conn_former *f)
{
    return !f->run_id[0] || !c->id.run_id[0] || strcmp(f->run_id, c->id.run_id) == 0;
}

/* The next one that is not known to be dead; NULL: none is left. */
static struct conn_former *former_of(struct conn *c)
{
    if (c->has_former && may_live(c, &c->former))
        return &c->former;
    for (size_t i = 0; i < c->nearlier; i++)
        if (may_live(c, &c->earlier[i]))
            return &c->earlier[i];
    return NULL;
}

static void forget_former(struct conn *c, struct conn_former *f)
{
    if (f == &c->former)
        c->has_former = false;
    else
        *f = c->earlier[--c->nearlier];
}

static bool run_fence(struct conn *c);

static void one_is_dead(struct conn *c)
{
    struct conn_former *f = former_of(c), dead = *f;

    forget_former(c, f);
    if (c->ev.dead)
        c->ev.dead(&dead, c->arg);
    if (run_fence(c))
        go_on(c);
}

static bool lists_client(struct bytes list, uint64_t id)
{
    struct client_line line;

    while (client_next(&list, &line))
        if (line.id == id)
            return true;
    return false;
}

static void on_list(struct conn *c, const struct reply *r, void *arg)
{
    struct bytes list;
    (void)arg;
    if (!reply_text(r, &list)) {
        go_on(c); /* not fenced in this life */
    } else if (lists_client(list, former_of(c)->client_id)) {
        timer_set(c->again, FENCE_LOOK_US);
    } else {
        one_is_dead(c);
    }
}

static void on_kill(struct conn *c, const struct reply *r, void *arg)
{
    (void)arg;
    if (r->type == REPLY_INTEGER || reply_is_ok(r) ||
        (r->type == REPLY_ERROR && bytes_is(r->text, "ERR No such client")))
        one_is_dead(c);
    else
        conn_ask(c, on_list, "CLIENT LIST");
}

void conn_shake_again(struct conn *c)
{
    conn_ask(c, on_list, "CLIENT LIST");
}

static bool run_fence(struct conn *c)
{
    const struct conn_former *f = former_of(c);
    char words[64];

    c->fenced = !f;
    if (!f || !c->opt.fenced || !f->client_id)
        return true;
    snprintf(words, sizeof(words), "CLIENT KILL ID %" PRIu64, f->client_id);
    conn_ask(c, on_kill, words);
    return false;
}

static void on_no_touch(struct conn *c, const struct reply *r, void *arg)
{
    (void)r, (void)arg;
    go_on(c);
}

/* Not in a cluster: there Redis 8.0 and Valkey 8.1 crash (tried) on the first key of a slot that is moving
 * that such a connection asks for. */
static bool run_no_touch(struct conn *c)
{
    if (!c->opt.no_touch || c->id.cluster || (c->id.redis != 0 && c->id.redis < NO_TOUCH_SINCE))
        return true;
    conn_ask(c, on_no_touch, "CLIENT NO-TOUCH ON");
    return false;
}

static step_fn *const steps[] = {
    run_auth,       run_setname, run_id,       run_info_server, run_info_replication,
    run_identified, run_fence,   run_no_touch,
};

static void go_on(struct conn *c)
{
    while (c->step < ARRAY_LEN(steps)) {
        if (!steps[c->step++](c))
            return;
    }
    conn_come_up(c);
}

void conn_shake(struct conn *c)
{
    c->step = 0;
    go_on(c);
}

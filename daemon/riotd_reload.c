/* The reload: `riotctl reload`, `systemctl reload` and SIGHUP are this. */
#include "daemon/riotd_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/status.h"

#define WHY_MAX 900 /* of what a client is told of errors; the log has all */

struct reload {
    struct config *next;
    struct config_changes changes;
    struct config_errors errors;
};

static void forget(struct reload *l)
{
    config_free(l->next);
    config_changes_free(&l->changes);
    config_errors_free(&l->errors);
}

static int add_error(struct reload *l, const char *text)
{
    if (l->errors.count == CONFIG_ERRORS_MAX)
        return -EINVAL;
    l->errors.line[l->errors.count] = strdup(text);
    l->errors.count += l->errors.line[l->errors.count] != NULL;
    return -EINVAL;
}

/* Everything that can be wrong is found before the first option is changed. */
static int try(struct riotd *r, struct reload *l)
{
    char why[MAX(CONFIG_WHY_MAX, LINK_WHY_MAX)];

    if (!r->config->file)
        return add_error(l, "there is no file: this riotd was started with flags alone");
    int err = config_load(r->opt->inputs, &l->errors, &l->next);
    if (err)
        return err;
    if (config_compare_passwords(r->config, l->next, r->opt->passwords, &l->changes, why) ||
        config_try_tls(l->next, why) || link_prepare_tls(r->link, why))
        return add_error(l, why);
    return config_reload(r->config, l->next, &l->changes);
}

/* All errors in one line, as far as there is room. */
static void sum_up(const struct config_errors *e, int err, char out[WHY_MAX])
{
    size_t at = 0, i = 0;

    snprintf(out, WHY_MAX, "%s", strerror(-err));
    for (; i < e->count && at + strlen(e->line[i]) + 40 < WHY_MAX; i++)
        at += (size_t)snprintf(out + at, WHY_MAX - at, "%s%s", i ? "; " : "", e->line[i]);
    if (i && i < e->count + e->more)
        snprintf(out + at, WHY_MAX - at, "; and %zu more", e->count + e->more - i);
    else if (!i && e->count)
        snprintf(out, WHY_MAX, "%.*s...", WHY_MAX - 8, e->line[0]);
}

static void refuse(struct riotd *r, const struct reload *l, int err, struct client *c)
{
    char why[WHY_MAX];

    for (size_t i = 0; i < l->errors.count; i++)
        log_event(r->log, EVENT_CONFIG_ERROR, "%s", l->errors.line[i]);
    log_event(r->log, EVENT_RELOAD_REFUSED, "the configuration was not reloaded: the one before holds on");
    sum_up(&l->errors, err, why);
    if (c)
        server_reply_error(c, CODE_REFUSED, "the configuration was not reloaded, nothing was changed: %s",
                           why);
}

static void tell_change(struct riotd *r, const struct config_change *change)
{
    const char *holds = change->now ? "from now" : "from the next start of riotd";
    const char *before = change->before ? change->before : "not set";
    const char *after = change->after ? change->after : "not set";
    const struct log_field *fields =
        LOG_FIELDS(LOG_TEXT(OPTION, change->path), LOG_TEXT(BEFORE, change->before),
                   LOG_TEXT(AFTER, change->after), LOG_TEXT(HOLDS, change->now ? "now" : "next_start"));

    if (change->before || change->after)
        log_event_fields(r->log, EVENT_OPTION_CHANGED, fields, "%s: %s instead of %s, %s", change->path,
                         after, before, holds);
    else
        log_event_fields(r->log, EVENT_OPTION_CHANGED, fields, "%s: another password is in it, %s",
                         change->path, holds);
}

static void take(struct riotd *r, const struct reload *l, struct client *c)
{
    link_limits_changed(r->link);
    for (size_t i = 0; i < l->changes.count; i++)
        tell_change(r, &l->changes.at[i]);
    log_event(r->log, EVENT_RELOADED, "the configuration was reloaded: %s",
              l->changes.count ? "see the options above" : "nothing in it has changed");
    log_set_level(r->log, r->config->log_level);
    if (!c)
        return;
    char *json = status_changes(r->config, &l->changes);
    if (json)
        server_reply_json(c, bytes_str(json));
    else
        server_reply_error(c, CODE_FAILED,
                           "the configuration was reloaded, but there is no memory to tell of it");
    free(json);
}

void riotd_reload(struct riotd *r, struct client *c)
{
    struct reload l = {0};

    service_reloading(r->service);
    int err = try(r, &l);
    link_settle_tls(r->link, !err);
    if (err)
        refuse(r, &l, err, c);
    else
        take(r, &l, c);
    forget(&l);
    service_ready(r->service);
}

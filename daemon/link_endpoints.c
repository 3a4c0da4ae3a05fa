/* link_endpoints.c - whom a link talks to, as its configuration says, and the TLS files of both. */
#include "daemon/link_impl.h"

#include <stdio.h>

int link_make_endpoints(struct link *k, const struct config_passwords *passwords)
{
    const char *instance = state_of(k->file)->instance;
    char why[CONFIG_WHY_MAX];
    int err = config_endpoint(k->config, false, passwords->source, instance, &k->endpoints[LANE_SOURCE], why);

    if (!err)
        err = config_endpoint(k->config, true, passwords->target, instance, &k->endpoints[LANE_TARGET], why);
    if (err)
        log_event(k->log, EVENT_CONFIG_ERROR, "%s", why);
    return err;
}

int link_prepare_tls(struct link *k, char why[LINK_WHY_MAX])
{
    char text[TLS_WHY_MAX];
    int err = 0;

    for (size_t i = 0; i < ARRAY_LEN(k->endpoints) && !err; i++) {
        struct endpoint *e = &k->endpoints[i];
        err = e->tls ? tls_prepare(e->tls, text) : 0;
        if (err)
            snprintf(why, LINK_WHY_MAX, "%s.tls.%s", e->side, text);
    }
    return err;
}

void link_settle_tls(struct link *k, bool taken)
{
    for (size_t i = 0; i < ARRAY_LEN(k->endpoints); i++)
        if (k->endpoints[i].tls)
            (taken ? tls_take : tls_drop)(k->endpoints[i].tls);
}

#include "lib/redis/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(ENDPOINT_WHY_MAX >= URL_WHY_MAX, "either text fits");

int endpoint_make(struct endpoint *e, const char *url, const char *password, const struct tls_options *tls,
                  char why[ENDPOINT_WHY_MAX])
{
    snprintf(why, ENDPOINT_WHY_MAX, "out of memory");
    if (password && !(e->password = strdup(password)))
        return -ENOMEM;
    int err = url_parse(url, &e->url, why);
    return err || !e->url.tls ? err : tls_new(tls, why, &e->tls);
}

void endpoint_clear(struct endpoint *e)
{
    if (e->password)
        explicit_bzero(e->password, strlen(e->password));
    free(e->password);
    e->password = NULL;
    e->tls = tls_free(e->tls);
    url_free(&e->url);
    e->url = (struct url){0};
}

static bool copy_text(const char *text, char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return *ret || !text;
}

int endpoint_node(const struct endpoint *base, const char *host, uint16_t port, struct endpoint *ret)
{
    const struct url *from = &base->url;
    struct url *u = &ret->url;

    *ret = *base;
    u->text = NULL;
    u->port = host ? port : from->port;
    bool whole =
        copy_text(host ? NULL : from->path, &u->path); /* all three are made, so that all can be freed */
    whole &= copy_text(host ? host : from->host, &u->host);
    whole &= copy_text(from->user, &u->user);
    if (whole && url_make_text(u) == 0)
        return 0;
    endpoint_node_clear(ret);
    return -ENOMEM;
}

void endpoint_node_clear(struct endpoint *e)
{
    url_free(&e->url);
    *e = (struct endpoint){0};
}

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

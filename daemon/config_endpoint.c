/* From the configuration of a side to its endpoint. */
#include "daemon/config.h"

#include <string.h>

_Static_assert(CONFIG_WHY_MAX >= ENDPOINT_WHY_MAX, "a text of either fits");

int config_endpoint(const struct config *c, bool of_target, const char *password, const char *instance,
                    struct endpoint *ret, char why[CONFIG_WHY_MAX])
{
    const struct config_endpoint *from = of_target ? &c->target : &c->source;
    const struct tls_options tls = {.verify = from->tls.verify,
                                    .ca_file = from->tls.ca_file,
                                    .cert_file = from->tls.cert_file,
                                    .key_file = from->tls.key_file,
                                    .server_name = from->tls.server_name};
    char text[ENDPOINT_WHY_MAX];

    *ret =
        (struct endpoint){.side = of_target ? "target" : "source", .timeout_ms = (unsigned)from->timeout_ms};
    snprintf(ret->client, sizeof(ret->client), "riotd:%s:%s", c->name, instance);
    int err = endpoint_make(ret, from->url_text, password, &tls, text);
    if (err)
        snprintf(why, CONFIG_WHY_MAX, "%s.%s%s", ret->side, ret->url.text ? "tls." : "url: ", text);
    return err;
}

int config_try_tls(const struct config *c, char why[CONFIG_WHY_MAX])
{
    int err = 0;

    for (int of_target = 0; of_target <= 1 && !err; of_target++) {
        struct endpoint e;
        err = config_endpoint(c, of_target, NULL, "", &e, why);
        endpoint_clear(&e);
    }
    return err;
}

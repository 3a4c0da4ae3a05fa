/* From the configuration of a side to its endpoint. */
#include "daemon/config.h"

#include <errno.h>
#include <stdlib.h>
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

/* "FROM=TO", each in two. */
static int split_pairs(const struct config_texts *t, char **texts, struct address_pair *pairs)
{
    for (size_t i = 0; i < t->count; i++) {
        texts[i] = strdup(t->at[i]);
        char *to = texts[i] ? strchr(texts[i], '=') : NULL;
        if (!to)
            return -ENOMEM;
        *to++ = '\0';
        pairs[i] = (struct address_pair){texts[i], to};
    }
    return 0;
}

int config_topology(const struct config *c, bool of_target, struct loop *loop, const struct endpoint *e,
                    struct topology **ret)
{
    const struct config_endpoint *from = of_target ? &c->target : &c->source;
    const struct config_texts *map = &from->address_map;
    char **texts = calloc(map->count + 1, sizeof(*texts));
    struct address_pair *pairs = calloc(map->count + 1, sizeof(*pairs));
    int err = texts && pairs ? split_pairs(map, texts, pairs) : -ENOMEM;

    if (!err) {
        const struct topology_options opt = {.endpoint = e,
                                             .mode = from->cluster,
                                             .nseeds = from->seeds.count,
                                             .seeds = (const char *const *)from->seeds.at,
                                             .naddresses = map->count,
                                             .addresses = pairs};
        err = topology_new(loop, &opt, ret);
    }
    for (size_t i = 0; texts && i < map->count; i++)
        free(texts[i]);
    free(texts);
    free(pairs);
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

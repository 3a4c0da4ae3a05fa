/* Any bytes as what a node answers to CLUSTER NODES, and as a redirect: what is believed is whole, and within
 * its ceilings; a refusal always says why. */
#include "lib/redis/topology_nodes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool ends(const char *text, size_t cap)
{
    return memchr(text, '\0', cap) != NULL;
}

static void check_node(const struct topology_node *n)
{
    require(n->id[0] && n->host[0]);
    require(ends(n->id, sizeof(n->id)) && ends(n->host, sizeof(n->host)));
    require(ends(n->ip, sizeof(n->ip)) && ends(n->name, sizeof(n->name)));
}

static void check_map(const struct topology_map *m)
{
    unsigned owned = 0, counted = 0;

    require(m->nshards > 0 && m->nshards <= SHARDS_MAX);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        require(m->owner[slot] == SHARD_NONE || m->owner[slot] < m->nshards);
        owned += m->owner[slot] != SHARD_NONE;
    }
    for (size_t i = 0; i < m->nshards; i++) {
        const struct shard *s = &m->shards[i];
        counted += s->nslots;
        require(i == 0 || strcmp(m->shards[i - 1].primary.id, s->primary.id) < 0);
        require(s->nreplicas <= REPLICAS_MAX);
        check_node(&s->primary);
        for (size_t k = 0; k < s->nreplicas; k++)
            check_node(&s->replicas[k]);
    }
    require(owned == counted && (!m->covered || owned == SLOTS));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct nodes_view view;
    struct bytes text = bytes_of(data, size);
    char why[NODES_WHY_MAX] = "";
    struct redirect r;

    int err = nodes_parse(text, "asked.example", size & 1, &view, why);
    if (err == 0)
        check_map(&view.map);
    else
        require((err == -EBADMSG || err == -E2BIG) && why[0] && ends(why, sizeof(why)));
    nodes_clear(&view);
    if (redirect_parse(text, &r))
        require(r.port && r.slot < SLOTS && ends(r.host, sizeof(r.host)));
    return 0;
}

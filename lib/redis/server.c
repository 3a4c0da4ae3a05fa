#include "lib/redis/server.h"
#include "lib/redis/info.h"

#include <string.h>

/* What does not fit is not told: half of an id would be taken for another one. */
static void copy_text(struct bytes value, char *out, size_t cap)
{
    if (value.len < cap && (value.len == 0 || !memchr(value.ptr, '\0', value.len))) {
        if (value.len > 0)
            memcpy(out, value.ptr, value.len);
        out[value.len] = '\0';
    }
}

/* A replica that never followed another history says forty zeros as its second id. */
static void copy_replid(struct bytes value, char out[RUN_ID_MAX])
{
    copy_text(value, out, RUN_ID_MAX);
    if (out[strspn(out, "0")] == '\0')
        out[0] = '\0';
}

/* "7.2.4" is 70204; "7.2.4-rc1" too. Parts are two digits wide, which 255.255.255 of unstable builds is not.
 */
static unsigned version_number(struct bytes value)
{
    unsigned parts[3] = {0};
    for (size_t i = 0; i < ARRAY_LEN(parts) && value.len > 0; i++) {
        struct bytes part = bytes_cut(&value, '.');
        for (size_t k = 0; k < part.len && part.ptr[k] >= '0' && part.ptr[k] <= '9'; k++)
            parts[i] = MIN(parts[i] * 10 + (unsigned)(part.ptr[k] - '0'), i ? 99u : 9999u);
    }
    return parts[0] * 10000 + parts[1] * 100 + parts[2];
}

static uint16_t port_number(struct bytes value)
{
    uint64_t port = 0;
    return bytes_to_u64(value, &port) == 0 && port <= UINT16_MAX ? (uint16_t)port : 0;
}

static enum server_role role_of(struct bytes value)
{
    if (bytes_is(value, "master"))
        return ROLE_PRIMARY;
    return bytes_is(value, "slave") || bytes_is(value, "replica") ? ROLE_REPLICA : ROLE_UNKNOWN;
}

static void set_version(struct server_id *id, struct bytes value)
{
    id->own = version_number(value);
    copy_text(value, id->version, sizeof(id->version));
}

static void take_server(struct bytes name, struct bytes value, struct server_id *id)
{
    if (bytes_is(name, "redis_version")) {
        id->redis = version_number(value);
        if (id->kind == SERVER_REDIS)
            set_version(id, value);
    } else if (bytes_is(name, "valkey_version")) {
        id->kind = SERVER_VALKEY;
        set_version(id, value);
    } else if (bytes_is(name, "server_name") && bytes_is(value, "valkey")) {
        id->kind = SERVER_VALKEY;
    } else if (bytes_is(name, "run_id")) {
        copy_text(value, id->run_id, sizeof(id->run_id));
    } else if (bytes_is(name, "tcp_port")) {
        id->tcp_port = port_number(value);
    } else if (bytes_is(name, "redis_mode") || bytes_is(name, "server_mode")) {
        id->cluster = bytes_is(value, "cluster");
        id->standalone = bytes_is(value, "standalone");
    }
}

static void take_replication(struct bytes name, struct bytes value, struct server_id *id)
{
    uint64_t number;

    if (bytes_is(name, "role"))
        id->role = role_of(value);
    else if (bytes_is(name, "master_replid"))
        copy_replid(value, id->replid);
    else if (bytes_is(name, "master_replid2"))
        copy_replid(value, id->replid2);
    else if (bytes_is(name, "master_repl_offset"))
        id->repl_offset = bytes_to_u64(value, &number) == 0 ? number : 0;
    else if (bytes_is(name, "master_host"))
        copy_text(value, id->primary_host, sizeof(id->primary_host));
    else if (bytes_is(name, "master_port"))
        id->primary_port = port_number(value);
    else if (bytes_is(name, "master_link_status"))
        id->primary_link_up = bytes_is(value, "up");
}

static void take(struct bytes name, struct bytes value, void *arg)
{
    take_server(name, value, arg);
    take_replication(name, value, arg);
}

void server_id_parse(struct bytes info, struct server_id *ret)
{
    *ret = (struct server_id){0};
    info_each(info, take, ret);
}

const char *server_kind_name(enum server_kind k)
{
    return k == SERVER_VALKEY ? "valkey" : "redis";
}

const char *server_role_name(enum server_role r)
{
    switch (r) {
    case ROLE_PRIMARY:
        return "primary";
    case ROLE_REPLICA:
        return "replica";
    case ROLE_UNKNOWN:
        break;
    }
    return "unknown";
}

static bool same(const char *a, const char *b)
{
    return a[0] != '\0' && strcmp(a, b) == 0;
}

/* Two second ids that are the same prove nothing: both may have been promoted from one primary, and gone
 * their ways since. */
bool server_same_history(const struct server_id *a, const struct server_id *b)
{
    return same(a->run_id, b->run_id) || same(a->replid, b->replid) || same(a->replid, b->replid2) ||
           same(a->replid2, b->replid);
}

/* 0: the version is not known. */
unsigned server_dump_version(const struct server_id *id)
{
    static const struct {
        enum server_kind kind;
        unsigned since, dump;
    } table[] = {
        {SERVER_VALKEY, 90000, 80}, {SERVER_VALKEY, 70200, 11}, {SERVER_REDIS, 70400, 12},
        {SERVER_REDIS, 70200, 11},  {SERVER_REDIS, 70000, 10},  {SERVER_REDIS, 50000, 9},
        {SERVER_REDIS, 40000, 8},   {SERVER_REDIS, 30200, 7},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].kind == id->kind && id->own >= table[i].since)
            return table[i].dump;
    }
    return 0;
}

#define DUMP_FOREIGN_FIRST 12 /* where Redis went on alone after Valkey had left */
#define DUMP_VALKEY_FIRST  80

/* A version that is not known (0) is let through: the first RESTORE tells. */
bool server_dump_accepts(unsigned dst_version, unsigned src_version)
{
    if (dst_version == 0 || src_version == 0)
        return true;
    if (dst_version >= DUMP_VALKEY_FIRST && src_version >= DUMP_FOREIGN_FIRST &&
        src_version < DUMP_VALKEY_FIRST)
        return false;
    return src_version <= dst_version;
}

#include "lib/redis/watch_commands.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 64

/* Of Redis and Valkey, up to 8 and 9: the commands without the flag `write`, as COMMAND tells them. Without
 * those that change data all the same: DEBUG, REPLICAOF, SLAVEOF, FAILOVER. With PFCOUNT, which only
 * refreshes what it has counted before. Of EVAL, FCALL and EXEC nothing is said: what they run is counted by
 * itself. A container stands for all its subcommands. Ascending. */
static const char *const harmless[] = {
    /* clang-format off */
    "acl", "asking", "auth", "bgrewriteaof", "bgsave", "bitcount", "bitfield_ro", "bitpos", "client",
    "clusterscan", "cluster|count-failure-reports", "cluster|countkeysinslot", "cluster|getkeysinslot",
    "cluster|getslotmigrations", "cluster|help", "cluster|info", "cluster|keyslot", "cluster|links",
    "cluster|myid", "cluster|myshardid", "cluster|nodes", "cluster|replicas", "cluster|shards",
    "cluster|slaves", "cluster|slot-stats", "cluster|slots", "command", "commandlog", "config",
    "dbsize", "digest", "discard", "dump", "echo", "eval", "eval_ro", "evalsha", "evalsha_ro", "exec",
    "exists", "expiretime", "fcall", "fcall_ro", "function|dump", "function|help", "function|kill",
    "function|list", "function|stats", "geodist", "geohash", "geopos", "georadius_ro",
    "georadiusbymember_ro", "geosearch", "get", "getbit", "getrange", "hello", "hexists", "hexpiretime",
    "hget", "hgetall", "hkeys", "hlen", "hmget", "hpexpiretime", "hpttl", "hrandfield", "hscan",
    "hstrlen", "httl", "hvals", "info", "keys", "lastsave", "latency", "lcs", "lindex", "llen",
    "lolwut", "lpos", "lrange", "memory", "mget", "module", "monitor", "multi", "object", "pexpiretime",
    "pfcount", "pfselftest", "ping", "psubscribe", "psync", "pttl", "publish", "pubsub", "punsubscribe",
    "quit", "randomkey", "readonly", "readwrite", "replconf", "reset", "role", "save", "scan", "scard",
    "script", "sdiff", "select", "shutdown", "sinter", "sintercard", "sismember", "slowlog", "smembers",
    "smismember", "sort_ro", "spublish", "srandmember", "sscan", "ssubscribe", "stralgo", "strlen",
    "subscribe", "substr", "sunion", "sunsubscribe", "sync", "time", "touch", "ttl", "type",
    "unsubscribe", "unwatch", "vcard", "vdim", "vemb", "vgetattr", "vinfo", "vismember", "vlinks",
    "vrandmember", "vrange", "vsim", "wait", "waitaof", "watch", "xgroup|help", "xinfo", "xlen",
    "xpending", "xrange", "xread", "xrevrange", "zcard", "zcount", "zdiff", "zinter", "zintercard",
    "zlexcount", "zmscore", "zrandmember", "zrange", "zrangebylex", "zrangebyscore", "zrank",
    "zrevrange", "zrevrangebylex", "zrevrangebyscore", "zrevrank", "zscan", "zscore", "zunion"
    /* clang-format on */
};

static int compare(const void *key, const void *one)
{
    return strcmp(key, *(const char *const *)one);
}

static bool is_listed(const char *name)
{
    return bsearch(name, harmless, ARRAY_LEN(harmless), sizeof(harmless[0]), compare) != NULL;
}

bool watch_command_writes(struct bytes name)
{
    char text[NAME_MAX_LEN];

    if (name.len >= sizeof(text))
        return true;
    for (size_t i = 0; i < name.len; i++)
        text[i] = (char)tolower((unsigned char)name.ptr[i]);
    text[name.len] = '\0';
    if (is_listed(text))
        return false;
    char *bar = strchr(text, '|');
    if (!bar)
        return true;
    *bar = '\0';
    return !is_listed(text);
}

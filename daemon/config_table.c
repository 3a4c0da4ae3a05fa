#include "daemon/config_table.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "lib/core/text.h"

#define FIELD(name) offsetof(struct config, name)

#define PATH_BYTES   4095
#define SOCKET_BYTES 107 /* sockaddr_un holds one more, for the NUL */
#define NUMBER_MAX   (UINT64_C(1) << 40)
#define HOUR_MS      3600000

static const struct config_word existing_words[] = {
    {"refuse", EXISTING_REFUSE}, {"replace", EXISTING_REPLACE}, {"merge", EXISTING_MERGE}, {NULL, 0}};

static const struct config_word feed_words[] = {{"auto", FEED_AUTO},         {"psync", FEED_PSYNC},
                                                {"tracking", FEED_TRACKING}, {"notify", FEED_NOTIFY},
                                                {"none", FEED_NONE},         {NULL, 0}};

static const struct config_word level_words[] = {{"debug", SINK_DEBUG},   {"info", SINK_INFO},
                                                 {"notice", SINK_NOTICE}, {"warning", SINK_WARNING},
                                                 {"err", SINK_ERR},       {NULL, 0}};

static const struct config_word tls_words[] = {
    {"full", TLS_VERIFY_FULL}, {"ca", TLS_VERIFY_CA}, {"none", TLS_VERIFY_NONE}, {NULL, 0}};

static const struct config_word cluster_words[] = {
    {"auto", TOPOLOGY_AUTO}, {"yes", TOPOLOGY_CLUSTER}, {"no", TOPOLOGY_SINGLE}, {NULL, 0}};

/* Rows of one section stand together, and sections in the order of the example file. */
const struct config_option config_options[] = {
    {.path = "name",
     .type = TYPE_NAME,
     .offset = FIELD(name),
     .value = "default",
     .min = 1,
     .max = CONFIG_NAME_MAX,
     .help = "The name of the link: of its socket, its state file and its lines in the journal. When -n "
             "names it too, both "
             "must be the same."},

    {.path = "source.url",
     .type = TYPE_URL,
     .offset = FIELD(source.url_text),
     .min = 1,
     .max = CONFIG_URL_MAX,
     .example = "redis://10.0.0.5:6379",
     .help = "The server to copy from: redis://[user@]host[:port][/db], rediss:// with TLS, or "
             "unix:///path[?db=N]. With a "
             "database, that one "
             "alone is copied. A password in it is an error."},
    {.path = "source.password_file",
     .type = TYPE_PATH,
     .offset = FIELD(source.password_file),
     .min = 1,
     .max = PATH_BYTES,
     .example = "/etc/riotd/source",
     .help = "A file that holds the source's password and nothing else; one newline at its end does not "
             "count. Read at the "
             "start only."},
    {.path = "source.password_credential",
     .type = TYPE_CREDENTIAL,
     .offset = FIELD(source.password_credential),
     .min = 1,
     .max = 255,
     .example = "source",
     .help = "Instead of a file: the name of a systemd credential (LoadCredential=), a file in "
             "$CREDENTIALS_DIRECTORY."},
    {.path = "source.timeout",
     .type = TYPE_DURATION,
     .offset = FIELD(source.timeout_ms),
     .value = "20s",
     .min = 100,
     .max = HOUR_MS,
     .help = "A connection is given up when not one byte came for so long while an answer is due."},
    {.path = "source.cluster",
     .type = TYPE_WORD,
     .offset = FIELD(source.cluster),
     .value = "auto",
     .words = cluster_words,
     .help =
         "Whether the URL leads to a cluster. yes: its nodes are asked for the others, and all of them are "
         "copied. no: to one server. auto: as the server says."},
    {.path = "source.seeds",
     .type = TYPE_ADDRESSES,
     .offset = FIELD(source.seeds),
     .example = "[10.0.0.6:6379, 10.0.0.7:6379]",
     .help = "Further nodes of the cluster, which are asked when the URL's does not answer at the start."},
    {.path = "source.address_map",
     .type = TYPE_ADDRESS_MAP,
     .offset = FIELD(source.address_map),
     .example = "[10.0.0.5=203.0.113.9, 10.0.0.6:6379=203.0.113.9:7001]",
     .help =
         "Where nodes of the cluster are reached, if not at the addresses that they tell. Without a port, "
         "an address stands for all its ports."},
    {.path = "source.tls.verify",
     .type = TYPE_WORD,
     .offset = FIELD(source.tls.verify),
     .value = "full",
     .words = tls_words,
     .help = "What is checked of the server's certificate, of a rediss:// URL. full: who signed it, and that "
             "it is for the host that was asked for. ca: who signed it. none: nothing; anyone in between can "
             "read and change all."},
    {.path = "source.tls.ca_file",
     .type = TYPE_PATH,
     .offset = FIELD(source.tls.ca_file),
     .min = 1,
     .max = PATH_BYTES,
     .example = "/etc/riotd/source-ca.pem",
     .help = "Certificates of those who may sign the server's. Without it, those that this machine trusts."},
    {.path = "source.tls.cert_file",
     .type = TYPE_PATH,
     .offset = FIELD(source.tls.cert_file),
     .min = 1,
     .max = PATH_BYTES,
     .example = "/etc/riotd/source.crt",
     .help = "Our own certificate with its chain, for servers that ask for one. Needs key_file."},
    {.path = "source.tls.key_file",
     .type = TYPE_PATH,
     .offset = FIELD(source.tls.key_file),
     .min = 1,
     .max = PATH_BYTES,
     .example = "/etc/riotd/source.key",
     .help = "The key that belongs to cert_file, without a passphrase."},
    {.path = "source.tls.server_name",
     .type = TYPE_HOST,
     .offset = FIELD(source.tls.server_name),
     .min = 1,
     .max = 253,
     .example = "cache.example.com",
     .help = "The name that is asked for (SNI) and checked, where it is not the URL's host."},

    {.path = "target.url",
     .type = TYPE_URL,
     .offset = FIELD(target.url_text),
     .min = 1,
     .max = CONFIG_URL_MAX,
     .example = "unix:///run/redis/redis.sock",
     .help = "The server to copy to, written as the source's. With a database, the keys of the source's one "
             "database go into "
             "that one."},
    {.path = "target.password_file",
     .type = TYPE_PATH,
     .offset = FIELD(target.password_file),
     .min = 1,
     .max = PATH_BYTES,
     .example = "/etc/riotd/target",
     .help = "As source.password_file."},
    {.path = "target.password_credential",
     .type = TYPE_CREDENTIAL,
     .offset = FIELD(target.password_credential),
     .min = 1,
     .max = 255,
     .example = "target",
     .help = "As source.password_credential."},
    {.path = "target.timeout",
     .type = TYPE_DURATION,
     .offset = FIELD(target.timeout_ms),
     .value = "20s",
     .min = 100,
     .max = HOUR_MS,
     .help = "As source.timeout."},
    {.path = "target.cluster",
     .type = TYPE_WORD,
     .offset = FIELD(target.cluster),
     .value = "auto",
     .words = cluster_words,
     .help = "As source.cluster."},
    {.path = "target.seeds",
     .type = TYPE_ADDRESSES,
     .offset = FIELD(target.seeds),
     .example = "[10.1.0.6:6379, 10.1.0.7:6379]",
     .help = "As source.seeds."},
    {.path = "target.address_map",
     .type = TYPE_ADDRESS_MAP,
     .offset = FIELD(target.address_map),
     .example = "[10.1.0.5=203.0.113.10, 10.1.0.6:6379=203.0.113.10:7001]",
     .help = "As source.address_map."},
    {.path = "target.tls.verify",
     .type = TYPE_WORD,
     .offset = FIELD(target.tls.verify),
     .value = "full",
     .words = tls_words,
     .help = "As source.tls.verify."},
    {.path = "target.tls.ca_file",
     .type = TYPE_PATH,
     .offset = FIELD(target.tls.ca_file),
     .min = 1,
     .max = PATH_BYTES,
     .example = "/etc/riotd/target-ca.pem",
     .help = "As source.tls.ca_file."},
    {.path = "target.tls.cert_file",
     .type = TYPE_PATH,
     .offset = FIELD(target.tls.cert_file),
     .min = 1,
     .max = PATH_BYTES,
     .example = "/etc/riotd/target.crt",
     .help = "As source.tls.cert_file."},
    {.path = "target.tls.key_file",
     .type = TYPE_PATH,
     .offset = FIELD(target.tls.key_file),
     .min = 1,
     .max = PATH_BYTES,
     .example = "/etc/riotd/target.key",
     .help = "As source.tls.key_file."},
    {.path = "target.tls.server_name",
     .type = TYPE_HOST,
     .offset = FIELD(target.tls.server_name),
     .min = 1,
     .max = 253,
     .example = "cache.example.com",
     .help = "As source.tls.server_name."},
    {.path = "target.existing_keys",
     .type = TYPE_WORD,
     .offset = FIELD(existing_keys),
     .value = "refuse",
     .words = existing_words,
     .help = "What to do when the target holds keys that this link did not put there. refuse: do not begin. "
             "replace: delete "
             "what the source lacks. merge: leave them; keys of the same name are overwritten."},
    {.path = "target.allow_eviction",
     .type = TYPE_BOOL,
     .offset = FIELD(allow_eviction),
     .value = "no",
     .help = "Allow a target whose maxmemory-policy evicts keys. It may lose them at any time."},
    {.path = "target.wait_replicas",
     .type = TYPE_NUMBER,
     .offset = FIELD(target_wait_replicas),
     .value = "0",
     .max = 100,
     .flags = OPTION_RELOAD,
     .help = "A cutover commits only after so many replicas of the target have received everything (WAIT)."},
    {.path = "target.wait_aof",
     .type = TYPE_BOOL,
     .offset = FIELD(target_wait_aof),
     .value = "no",
     .flags = OPTION_RELOAD,
     .help = "A cutover commits only after the target has everything in its append-only file (WAITAOF, Redis "
             "7.2 and later)."},

    {.path = "feed",
     .type = TYPE_WORD,
     .offset = FIELD(feed),
     .value = "auto",
     .words = feed_words,
     .help =
         "How changes on the source are learned. tracking: client-side caching (Redis 6.0 and later). "
         "notify: keyspace "
         "notifications. psync: the replication stream, as a replica has it, without a full "
         "synchronisation. none: not at all, one pass and no more. auto: the first of psync, tracking and "
         "notify that works."},
    {.path = "psync.full_sync",
     .type = TYPE_BOOL,
     .offset = FIELD(psync_full_sync),
     .value = "no",
     .help = "The feed psync needs a replication backlog on the source, which it has once a replica was "
             "attached. Where there is none, riotd may ask for a full synchronisation instead: of nothing, "
             "from Redis 7.0 on, and else of all keys, which are read over. The source forks for it either "
             "way. no: the feed cannot be used there, and auto takes the next."},
    {.path = "databases",
     .type = TYPE_DATABASES,
     .offset = FIELD(databases),
     .value = "all",
     .max = URL_DB_MAX,
     .help = "Which databases of the source are copied, each into the one of the same number."},

    {.path = "filter.include",
     .type = TYPE_GLOBS,
     .offset = FIELD(filter_include),
     .max = FILTER_GLOB_MAX,
     .example = "['user:*', 'cart:[0-9]*']",
     .help =
         "Only keys whose names match one of these globs, as KEYS takes them: * ? [a-z] [^a-z] and \\ "
         "before a sign that is meant as it is. \\xHH is one byte, for names that are no text; a comma in a "
         "glob is \\x2c. Written in single quotes. What is out of scope is not copied, and on the target "
         "neither read nor touched."},
    {.path = "filter.exclude",
     .type = TYPE_GLOBS,
     .offset = FIELD(filter_exclude),
     .max = FILTER_GLOB_MAX,
     .example = "['*:tmp']",
     .help = "Not keys whose names match one of these globs, be they included or not."},
    {.path = "filter.types",
     .type = TYPE_TYPES,
     .offset = FIELD(filter_types),
     .max = FILTER_GLOB_MAX,
     .example = "[string, hash]",
     .help =
         "Only values of these types: string, list, set, zset, hash, stream, module (those of every "
         "module). A key of the target that has another type is left alone. Needs the right to TYPE on both "
         "sides."},

    {.path = "scan.count",
     .type = TYPE_NUMBER,
     .offset = FIELD(scan_count),
     .value = "1000",
     .min = 10,
     .max = 10000,
     .help = "How many keys one SCAN asks for. Less is gentler on the source, more is faster."},

    {.path = "limits.memory",
     .type = TYPE_SIZE,
     .offset = FIELD(limit_memory),
     .value = "64MiB",
     .min = 16 * MIB,
     .max = NUMBER_MAX,
     .flags = OPTION_LIMIT | OPTION_RELOAD,
     .help = "Memory for keys that wait and values on their way. More lets the source run further ahead "
             "before a resync is "
             "needed."},
    {.path = "limits.keys_per_s",
     .type = TYPE_NUMBER,
     .offset = FIELD(limit_keys_per_s),
     .value = "0",
     .max = NUMBER_MAX,
     .flags = OPTION_LIMIT | OPTION_RELOAD,
     .help = "Copy at most so many keys a second; 0 is no limit."},
    {.path = "limits.bytes_per_s",
     .type = TYPE_SIZE,
     .offset = FIELD(limit_bytes_per_s),
     .value = "0",
     .max = NUMBER_MAX,
     .flags = OPTION_LIMIT | OPTION_RELOAD,
     .help = "Copy at most so many bytes a second; 0 is no limit."},
    {.path = "limits.coalesce",
     .type = TYPE_DURATION,
     .offset = FIELD(limit_coalesce_ms),
     .value = "2ms",
     .max = 1000,
     .flags = OPTION_LIMIT | OPTION_RELOAD,
     .help =
         "Under load a changed key waits before it is read, up to so long, so that its next changes are "
         "copied with it. When little changes, or a drain waits, nothing waits; 0ms: never. A snapshot or "
         "a resync beside writers lets it wait up to 10s, while there is memory; with 0ms it does not."},

    {.path = "control.socket",
     .type = TYPE_PATH,
     .offset = FIELD(control_socket),
     .min = 1,
     .max = SOCKET_BYTES,
     .flags = OPTION_RELATIVE,
     .example = "/run/riotd-orders/riotd.sock",
     .help = "Where riotctl and other clients connect. Without it: riotd.sock in $RUNTIME_DIRECTORY, else in "
             "/run/riotd-NAME (root) or $XDG_RUNTIME_DIR/riotd-NAME."},

    {.path = "log.level",
     .type = TYPE_WORD,
     .offset = FIELD(log_level),
     .value = "info",
     .words = level_words,
     .flags = OPTION_RELOAD,
     .help =
         "What is logged: err (a person must act), warning, notice, info or debug, each with all before it."},

    {.path = "autostart",
     .type = TYPE_BOOL,
     .offset = FIELD(autostart),
     .value = "yes",
     .help = "Begin at once when riotd starts. The last start, pause or stop by riotctl counts more."},
};

_Static_assert(ARRAY_LEN(config_options) == CONFIG_OPTIONS, "config_table.h counts the rows");
_Static_assert(sizeof(enum config_existing) == sizeof(int) && sizeof(enum feed_kind) == sizeof(int) &&
                   sizeof(enum sink_level) == sizeof(int) && sizeof(enum tls_verify) == sizeof(int) &&
                   sizeof(enum topology_mode) == sizeof(int),
               "words are stored as int");

size_t config_option_find(const char *path)
{
    size_t row = 0;
    while (row < CONFIG_OPTIONS && strcmp(config_options[row].path, path) != 0)
        row++;
    return row;
}

const char *config_word(const char *path, size_t index)
{
    size_t row = config_option_find(path);
    const struct config_word *words = row < CONFIG_OPTIONS ? config_options[row].words : NULL;

    for (size_t i = 0; words && words[i].name; i++) {
        if (i == index)
            return words[i].name;
    }
    return NULL;
}

bool config_section_has(const char *section, size_t row)
{
    const char *path = config_options[row].path;
    size_t len = strlen(section);
    return strncmp(path, section, len) == 0 && path[len] == '.';
}

size_t config_section_find(const char *section)
{
    size_t row = 0;
    while (row < CONFIG_OPTIONS && !config_section_has(section, row))
        row++;
    return row;
}

static const char *leaf(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

static bool same_section(const char *a, const char *b)
{
    size_t len = (size_t)(leaf(a) - a);
    return len == (size_t)(leaf(b) - b) && memcmp(a, b, len) == 0;
}

/* How far apart two names are; a name that was not written to its end ("password") is near. */
static unsigned name_distance(const char *written, const char *name)
{
    size_t len = strlen(written);
    if (len >= 3 && strncmp(written, name, len) == 0)
        return len == strlen(name) ? 0 : 1;
    return text_distance(written, name);
}

static unsigned path_distance(const char *written, const char *path)
{
    unsigned whole = text_distance(written, path);
    unsigned last = name_distance(leaf(written), leaf(path));
    if (last < UINT_MAX && !same_section(written, path))
        last++;
    return MIN(whole, last);
}

/* A section that was meant, by a name that stands where sections do. */
static unsigned section_distance(const char *written, const char *path)
{
    char section[32];
    size_t len = (size_t)(leaf(path) - path);
    if (len == 0 || len > sizeof(section))
        return UINT_MAX;
    memcpy(section, path, len - 1);
    section[len - 1] = '\0';
    return text_distance(written, section);
}

bool config_nearest(const char *path, char out[CONFIG_PATH_MAX])
{
    unsigned best = UINT_MAX;
    for (size_t row = 0; row < CONFIG_OPTIONS; row++) {
        const char *candidate = config_options[row].path;
        unsigned whole = path_distance(path, candidate), part = section_distance(path, candidate);
        if (MIN(whole, part) >= best)
            continue;
        best = MIN(whole, part);
        size_t len = part < whole ? (size_t)(leaf(candidate) - candidate) - 1 : strlen(candidate);
        snprintf(out, CONFIG_PATH_MAX, "%.*s", (int)len, candidate);
    }
    size_t allowed = strlen(leaf(path)) / 3 + 1;
    return best <= MIN(allowed, 3);
}

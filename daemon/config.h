/* config.h - THE table of options, and the values of one link.
 *
 * Values come from the defaults, a YAML file and flags; flags win over the file, whatever the order of the
 * calls. Every value passes the same checks, wherever it came from. All errors are collected, each with its
 * place ("orders.yaml:3:8" or "--source"), none names a secret. Secrets are no part of a struct config:
 * config_read_passwords() reads them, its caller keeps them.
 */
#ifndef RIOTD_CONFIG_H
#define RIOTD_CONFIG_H

#include <stdio.h>
#include "lib/core/sink.h"
#include "lib/feed/feed.h"
#include "lib/rdb/filter.h"
#include "lib/redis/topology.h"

#ifndef RIOT_CONFIG_FOLDER
#define RIOT_CONFIG_FOLDER "/etc/riotd" /* NAME.yaml is in it */
#endif
#define CONFIG_FILE_MAX      MIB
#define CONFIG_DATABASES_MAX 4096
#define CONFIG_TEXTS_MAX     1024
#define CONFIG_NAME_MAX      32
#define CONFIG_URL_MAX       480
#define CONFIG_PASSWORD_MAX  (64 * KIB)
#define CONFIG_ERRORS_MAX    64
#define CONFIG_WHY_MAX       256
#define CONFIG_CHANGES_MAX   48 /* the options, and the passwords */

enum config_existing { EXISTING_REFUSE, EXISTING_REPLACE, EXISTING_MERGE };

/* Either all, or `count` of them, ascending and each once. */
struct config_databases {
    bool all;
    size_t count;
    int *at;
};

/* A list of texts, in the order written. */
struct config_texts {
    size_t count;
    char **at;
};

struct config_tls {
    enum tls_verify verify;
    char *ca_file, *cert_file, *key_file, *server_name; /* NULL: not given */
};

struct config_endpoint {
    char *url_text;            /* as written; NULL: not given */
    struct url url;            /* valid after config_check() */
    char *password_file;       /* NULL: none */
    char *password_credential; /* NULL: none */
    uint64_t timeout_ms;
    enum topology_mode cluster;
    struct config_texts seeds, address_map; /* "host:port"; "FROM=TO" */
    struct config_tls tls;
};

struct config_origins; /* where each value came from */

struct config {
    char *name; /* never NULL */
    struct config_endpoint source, target;
    enum config_existing existing_keys;
    bool allow_eviction;
    uint64_t target_wait_replicas; /* a cutover waits for so many of the target's replicas */
    bool target_wait_aof;          /* and for its append-only file */
    enum feed_kind feed;
    bool psync_full_sync;              /* where there is no backlog */
    struct config_databases databases; /* as written */
    struct config_databases scope;     /* after config_check(): a /db of the source's URL taken in */
    struct config_texts filter_include, filter_exclude, filter_types;
    struct filter *filter; /* after config_check(): what they mean; NULL: there is none */
    uint64_t scan_count;
    uint64_t limit_memory, limit_keys_per_s, limit_bytes_per_s; /* 0: none; memory never is */
    uint64_t limit_coalesce_ms;
    char *control_socket; /* NULL: the default place */
    enum sink_level log_level;
    bool autostart;
    char *file; /* the file that was read, or NULL */
    struct config_origins *origins;
};

/* Up to CONFIG_ERRORS_MAX lines, in the order found; more are counted. A zeroed one is empty. */
struct config_errors {
    size_t count, more;
    char *line[CONFIG_ERRORS_MAX]; /* "orders.yaml:3:8: source.url: ..." */
};
void config_errors_free(struct config_errors *e);
void config_errors_print(const struct config_errors *e, FILE *out); /* one a line */

/* One flag of the command line that stands for an option: {"source.url", "--source", "redis://..."}. */
struct config_flag {
    const char *path, *flag, *value;
};

/* What a configuration is made of besides the defaults; all borrowed. A reload takes the same again. */
struct config_inputs {
    const char *file; /* NULL: /etc/riotd/NAME.yaml, or none when source and target are among the flags */
    const struct config_flag *flags;
    size_t nflags;
};

/* Everything in one: defaults, the file, the flags, and config_check(). 0; -EINVAL: see errors, exit 78;
 * -ENOENT: the file is missing, exit 66, errors says which; -ENOMEM. */
MUST_CHECK int config_load(const struct config_inputs *in, struct config_errors *errors, struct config **ret);

/* The steps of it. */
MUST_CHECK int config_new(struct config **ret); /* the defaults */
struct config *config_free(struct config *c);
/* -ENOENT, another -errno of open or read, or -EINVAL; errors says what in each case. */
MUST_CHECK int config_read(struct config *c, const char *file, struct config_errors *errors);
/* The same from memory; `file` is for the texts. */
MUST_CHECK int config_parse(struct config *c, const char *file, struct bytes text,
                            struct config_errors *errors);
/* By dotted path; a list is written with commas. `flag` names the origin ("--source"). -EINVAL, -ENOMEM. */
MUST_CHECK int config_set(struct config *c, const char *path, const char *value, const char *flag,
                          struct config_errors *errors);
/* What no single value shows: what is missing, what contradicts, what is not built yet. Fills url and scope.
 */
MUST_CHECK int config_check(struct config *c, struct config_errors *errors);

/* The `limit` verb: name as in limits.NAME. -ENOENT: no such limit; -EINVAL: why says it; nothing was changed
 * then. */
MUST_CHECK int config_set_limit(struct config *c, const char *name, const char *value,
                                char why[CONFIG_WHY_MAX]);

struct config_passwords;

/* What is different in another configuration. */
struct config_change {
    const char *path;
    char *before, *after; /* as a file would write it; NULL: not set */
    bool now;             /* false: it holds from the next start of riotd */
};
struct config_changes {
    size_t count;
    struct config_change at[CONFIG_CHANGES_MAX];
};
/* Makes c like next where that is possible while it runs (OPTION_RELOAD); the rest stays, and is told. All or
 * nothing: on -ENOMEM nothing was changed. Changes are added to ret. */
MUST_CHECK int config_reload(struct config *c, const struct config *next, struct config_changes *ret);
/* Reads the password files that next names, and adds those that say something else than the running one
 * (values are left out). Errors as config_read_passwords(). Credentials are given by systemd at a start only,
 * so there is nothing new to read. */
MUST_CHECK int config_compare_passwords(const struct config *c, const struct config *next,
                                        const struct config_passwords *running, struct config_changes *ret,
                                        char why[CONFIG_WHY_MAX]);
void config_changes_free(struct config_changes *changes);

/* NUL-terminated passwords, NULL where none is configured. A password may not hold a NUL. One newline at the
 * end is not part of it. */
struct config_passwords {
    char *source, *target;
};
/* 0; -ENOENT: a file or credential is missing, exit 66; -EACCES and the like as they come; -EINVAL: empty,
 * too long or with a NUL, exit 78. why says which, never what. */
MUST_CHECK int config_read_passwords(const struct config *c, struct config_passwords *ret,
                                     char why[CONFIG_WHY_MAX]);
void config_passwords_free(struct config_passwords *p); /* wipes */

/* The endpoint that the configuration tells of. `instance` is a part of its connections' names. TLS files are
 * read. -EINVAL: why says which option, and what is wrong; -ENOMEM. On failure too, endpoint_clear() is to
 * follow. */
MUST_CHECK int config_endpoint(const struct config *c, bool of_target, const char *password,
                               const char *instance, struct endpoint *ret, char why[CONFIG_WHY_MAX]);
/* The topology of that side; the endpoint is borrowed for its life. -ENOMEM. */
MUST_CHECK int config_topology(const struct config *c, bool of_target, struct loop *loop,
                               const struct endpoint *e, struct topology **ret);
/* Can the TLS files of both sides be read? As config_endpoint(). */
MUST_CHECK int config_try_tls(const struct config *c, char why[CONFIG_WHY_MAX]);

/* The effective configuration, row by row in the table's order. Nothing secret can be in it. */
struct config_row {
    const char *path, *help;
    const char *value;  /* as a file would write it; NULL: not set */
    const char *origin; /* "default", "/etc/riotd/orders.yaml:3", "--source", "limit" */
    bool is_limit;      /* may be changed at run time by `limit` */
};
/* Rows are borrowed, for the call only. -ENOMEM; or what fn returned, when that was not 0: it ends the walk.
 */
MUST_CHECK int config_each(const struct config *c, int (*fn)(const struct config_row *row, void *arg),
                           void *arg);

/* Writes conf/riotd.yaml: every option with its help, its default and its bounds. */
void config_example(FILE *out);

/* The words that an option takes, one after the other; NULL: there are no more, or it takes other values. */
const char *config_word(const char *path, size_t index);
const char *config_existing_name(enum config_existing e); /* "refuse", "replace", "merge" */

#endif

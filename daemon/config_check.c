/* What no single value shows, and the secrets that values point to. */
#include "daemon/config_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLACE_MAX 4200

struct check {
    struct config *c;
    struct config_errors *errors;
    int result;
};

static void wrong(struct check *k, const char *path, const char *text)
{
    char place[PLACE_MAX];
    config_place(k->c, config_option_find(path), place, sizeof(place));
    config_error(k->errors, place, "%s: %s", path, text);
    if (k->result == 0)
        k->result = -EINVAL;
}

static bool given(const struct config *c, const char *path)
{
    return c->origins->at[config_option_find(path)].from != FROM_DEFAULT;
}

static void check_url(struct check *k, struct config_endpoint *e, const char *path, const char *missing)
{
    char why[URL_WHY_MAX];
    url_free(&e->url);
    e->url = (struct url){.db = URL_DB_NONE};
    if (!e->url_text) {
        if (!given(k->c, path)) /* else its own error was told */
            wrong(k, path, missing);
        return;
    }
    int err = url_parse(e->url_text, &e->url, why);
    if (err == -ENOMEM)
        k->result = err;
    else if (err < 0)
        wrong(k, path, why);
}

/* The options of one side's `tls`, by what is wrong with them. */
static void check_tls(struct check *k, const struct config_endpoint *e, const char *section)
{
    const struct config_tls *t = &e->tls;
    char path[CONFIG_PATH_MAX];

    for (size_t row = 0; e->url.text && !e->url.tls && row < CONFIG_OPTIONS; row++)
        if (config_section_has(section, row) && given(k->c, config_options[row].path))
            wrong(k, config_options[row].path, "is for a rediss:// URL, and this one is without TLS");
    if (!t->cert_file == !t->key_file)
        return;
    snprintf(path, sizeof(path), "%s.%s", section, t->cert_file ? "cert_file" : "key_file");
    wrong(k, path, "cert_file and key_file belong together: one is missing");
}

/* What is said of a cluster where there is none. */
static void check_cluster(struct check *k, const struct config_endpoint *e, const char *section)
{
    static const char *const options[] = {"cluster", "seeds", "address_map"};
    bool single = e->cluster == TOPOLOGY_SINGLE, path = e->url.path != NULL;
    char name[CONFIG_PATH_MAX];

    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        snprintf(name, sizeof(name), "%s.%s", section, options[i]);
        if (i == 0 ? path && e->cluster == TOPOLOGY_CLUSTER : (path || single) && given(k->c, name))
            wrong(k, name,
                  path ? "is for a cluster, and a unix:// URL leads to one server"
                       : "is for a cluster, and `cluster: no` says that this is none");
    }
}

static void check_passwords(struct check *k, const struct config_endpoint *e, const char *path)
{
    if (e->password_file && e->password_credential)
        wrong(k, path, "is given beside password_file: only one of them can be meant");
}

static int copy_databases(const struct config_databases *from, struct config_databases *to)
{
    int *at = NULL;
    if (from->count) {
        at = malloc(from->count * sizeof(*at));
        if (!at)
            return -ENOMEM;
        memcpy(at, from->at, from->count * sizeof(*at));
    }
    free(to->at);
    *to = (struct config_databases){from->all, from->count, at};
    return 0;
}

static void check_scope(struct check *k)
{
    struct config *c = k->c;
    int *db = &c->source.url.db;
    struct config_databases one = {.count = 1, .at = db};
    bool listed = !c->databases.all;

    if (listed && *db != URL_DB_NONE && (c->databases.count != 1 || c->databases.at[0] != *db)) {
        wrong(k, "databases", "names other databases than the one of source.url");
        return;
    }
    if (copy_databases(*db != URL_DB_NONE ? &one : &c->databases, &c->scope) < 0)
        k->result = -ENOMEM;
    else if (c->source.url.text && c->target.url.db != URL_DB_NONE && c->scope.count != 1)
        wrong(k, "target.url",
              "one database of the target cannot take several of the source: name one, by databases or "
              "source.url");
}

int config_check(struct config *c, struct config_errors *errors)
{
    struct check k = {.c = c, .errors = errors};

    check_url(&k, &c->source, "source.url", "is needed: where to copy from");
    check_url(&k, &c->target, "target.url", "is needed: where to copy to");
    check_tls(&k, &c->source, "source.tls");
    check_tls(&k, &c->target, "target.tls");
    check_cluster(&k, &c->source, "source");
    check_cluster(&k, &c->target, "target");
    check_passwords(&k, &c->source, "source.password_credential");
    check_passwords(&k, &c->target, "target.password_credential");
    check_scope(&k);
    c->filter = filter_free(c->filter);
    if (config_filter(c, &c->filter) < 0)
        k.result = -ENOMEM;
    return k.result;
}

/* Secrets. */

static void wipe(char *buffer)
{
    explicit_bzero(buffer, CONFIG_PASSWORD_MAX + 2);
    free(buffer);
}

/* At most one byte more than a password and its newline may have, so that a longer one is seen. */
static ssize_t read_some(int fd, char *buffer, size_t cap)
{
    size_t used = 0;
    while (used < cap) {
        ssize_t n = read(fd, buffer + used, cap - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        used += (size_t)n;
    }
    return (ssize_t)used;
}

static int take_password(char *buffer, size_t len, char **ret, const char **why)
{
    if (len > 0 && buffer[len - 1] == '\n')
        len--;
    if (len == 0)
        *why = "it is empty";
    else if (len > CONFIG_PASSWORD_MAX)
        *why = "it is longer than 64 KiB";
    else if (memchr(buffer, '\0', len))
        *why = "it has a NUL in it";
    if (*why)
        return -EINVAL;
    *ret = bytes_dup(bytes_of(buffer, len));
    return *ret ? 0 : -ENOMEM;
}

static int read_password(const char *path, char **ret, const char **why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    char *buffer = malloc(CONFIG_PASSWORD_MAX + 2);
    ssize_t len = buffer ? read_some(fd, buffer, CONFIG_PASSWORD_MAX + 2) : -ENOMEM;
    close(fd);
    int err = len < 0 ? (int)len : take_password(buffer, (size_t)len, ret, why);
    if (buffer)
        wipe(buffer);
    return err;
}

static int credential_path(const char *name, char **ret, const char **why)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (!folder || !*folder) {
        *why = "$CREDENTIALS_DIRECTORY is not set: the unit needs LoadCredential=";
        return -ENOENT;
    }
    return asprintf(ret, "%s/%s", folder, name) < 0 ? -ENOMEM : 0;
}

static char *forget(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
    return NULL;
}

static int endpoint_password(const struct config_endpoint *e, const char *side, char **ret,
                             char why[CONFIG_WHY_MAX])
{
    const char *option = e->password_file ? "password_file" : "password_credential";
    const char *reason = NULL;
    char *path = NULL;
    int err = 0;

    if (!e->password_file && !e->password_credential)
        return 0;
    if (e->password_file)
        path = strdup(e->password_file);
    else
        err = credential_path(e->password_credential, &path, &reason);
    if (err == 0)
        err = path ? read_password(path, ret, &reason) : -ENOMEM;
    if (err < 0)
        snprintf(why, CONFIG_WHY_MAX, "%s.%s: %s%s%s", side, option, path ? path : "", path ? ": " : "",
                 reason ? reason : strerror(-err));
    free(path);
    return err;
}

/* The unit has an empty credential where systemd found no file, so that it is riotd which says what is
 * missing. */
static int read_side(const struct config *c, const struct config_endpoint *e, const char *side, char **ret,
                     char why[CONFIG_WHY_MAX])
{
    int err = endpoint_password(e, side, ret, why);
    size_t len = err < 0 ? strlen(why) : 0;
    if (err < 0 && e->password_credential)
        snprintf(why + len, CONFIG_WHY_MAX - len,
                 "; riotd@%s takes it from /etc/riotd/%s.%s, where that file exists", c->name, c->name,
                 e->password_credential);
    return err;
}

int config_read_passwords(const struct config *c, struct config_passwords *ret, char why[CONFIG_WHY_MAX])
{
    struct config_passwords p = {0};
    int err = read_side(c, &c->source, "source", &p.source, why);
    if (err == 0)
        err = read_side(c, &c->target, "target", &p.target, why);
    if (err < 0)
        config_passwords_free(&p);
    else
        *ret = p;
    return err;
}

/* One endpoint's file. Another file than before is a change of the option, and told as such. */
static int compare_password(const struct config_endpoint *e, const struct config_endpoint *next,
                            const char *side, const char *path, const char *running,
                            struct config_changes *ret, char why[CONFIG_WHY_MAX])
{
    char *now = NULL;
    int err = next->password_file ? endpoint_password(next, side, &now, why) : 0;
    bool same_file =
        e->password_file && next->password_file && !strcmp(e->password_file, next->password_file);

    if (now && same_file && running && strcmp(now, running) != 0)
        ret->at[ret->count++] = (struct config_change){.path = path};
    forget(now);
    return err;
}

int config_compare_passwords(const struct config *c, const struct config *next,
                             const struct config_passwords *running, struct config_changes *ret,
                             char why[CONFIG_WHY_MAX])
{
    int err = compare_password(&c->source, &next->source, "source", "source.password_file", running->source,
                               ret, why);
    if (!err)
        err = compare_password(&c->target, &next->target, "target", "target.password_file", running->target,
                               ret, why);
    return err;
}

void config_passwords_free(struct config_passwords *p)
{
    p->source = forget(p->source);
    p->target = forget(p->target);
}

#include "daemon/config_table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define PLACE_MAX 4200
#define NAME_ROW  0

/* Errors. */

void config_error(struct config_errors *e, const char *place, const char *format, ...)
{
    char *text = NULL, *line = NULL;
    va_list ap;

    va_start(ap, format);
    int len = e->count < CONFIG_ERRORS_MAX ? vasprintf(&text, format, ap) : -1;
    va_end(ap);
    if (len >= 0)
        len = asprintf(&line, "%s%s%s", place, *place ? ": " : "", text);
    if (len >= 0)
        free(text);
    if (len >= 0)
        e->line[e->count++] = line;
    else
        e->more++;
}

void config_errors_free(struct config_errors *e)
{
    for (size_t i = 0; i < e->count; i++)
        free(e->line[i]);
    *e = (struct config_errors){0};
}

void config_errors_print(const struct config_errors *e, FILE *out)
{
    for (size_t i = 0; i < e->count; i++)
        fprintf(out, "%s\n", e->line[i]);
    if (e->more)
        fprintf(out, "... and %zu more\n", e->more);
}

/* Life. */

struct config *config_free(struct config *c)
{
    if (!c)
        return NULL;
    for (size_t row = 0; row < CONFIG_OPTIONS; row++)
        config_value_free(c, row);
    url_free(&c->source.url);
    url_free(&c->target.url);
    free(c->scope.at);
    filter_free(c->filter);
    free(c->file);
    free(c->origins);
    free(c);
    return NULL;
}

static void free_config(struct config **c)
{
    config_free(*c);
}

int config_new(struct config **ret)
{
    struct config *c CLEANUP(free_config) = calloc(1, sizeof(*c));
    char why[CONFIG_WHY_MAX];
    if (!c)
        return -ENOMEM;
    c->origins = calloc(1, sizeof(*c->origins));
    if (!c->origins)
        return -ENOMEM;
    for (size_t row = 0; row < CONFIG_OPTIONS; row++) {
        const char *value = config_options[row].value;
        int err = value ? config_value_set(c, row, bytes_str(value), why) : 0;
        if (err < 0)
            return err;
    }
    *ret = c;
    c = NULL;
    return 0;
}

/* Values. */

void config_place(const struct config *c, size_t row, char *out, size_t cap)
{
    const struct config_origin *o = &c->origins->at[row];
    if (o->from == FROM_FLAG)
        snprintf(out, cap, "%s", o->flag);
    else if (o->from == FROM_FILE)
        snprintf(out, cap, "%s:%u:%u", c->file ? c->file : "", o->line, o->column);
    else
        snprintf(out, cap, "%s", c->file ? c->file : "");
}

/* The name is the one option that a flag may not change: state file and socket of another link would be used.
 */
static bool name_differs(const struct config *c, size_t row, struct bytes text, enum config_source from)
{
    enum config_source before = c->origins->at[row].from;
    return row == NAME_ROW && before != FROM_DEFAULT && before != from && !bytes_is(text, c->name);
}

static int check_only(size_t row, struct bytes text, char why[CONFIG_WHY_MAX])
{
    struct config scratch = {0};
    int err = config_value_set(&scratch, row, text, why);
    config_value_free(&scratch, row);
    return err;
}

int config_assign(struct config *c, size_t row, struct bytes text, const struct config_origin *origin,
                  const char *place, struct config_errors *errors)
{
    struct config_origin *present = &c->origins->at[row];
    bool loses = origin->from == FROM_FILE && present->from == FROM_FLAG;
    char why[CONFIG_WHY_MAX], other[PLACE_MAX];
    int err;

    if (name_differs(c, row, text, origin->from)) {
        config_place(c, row, other, sizeof(other));
        config_error(errors, place, "name: differs from the name given by %s, %s", other, c->name);
        return -EINVAL;
    }
    err = loses ? check_only(row, text, why) : config_value_set(c, row, text, why);
    if (err == -ENOMEM)
        return err;
    if (err < 0)
        config_error(errors, place, "%s: %s", config_options[row].path, why);
    if (!loses)
        *present = *origin;
    return err;
}

int config_set(struct config *c, const char *path, const char *value, const char *flag,
               struct config_errors *errors)
{
    struct config_origin origin = {.from = FROM_FLAG};
    const char *place = flag ? flag : "";
    size_t row = config_option_find(path);
    if (row == CONFIG_OPTIONS) {
        config_error(errors, place, "%s: unknown option", path);
        return -EINVAL;
    }
    snprintf(origin.flag, sizeof(origin.flag), "%s", place);
    return config_assign(c, row, bytes_str(value), &origin, place, errors);
}

int config_set_limit(struct config *c, const char *name, const char *value, char why[CONFIG_WHY_MAX])
{
    char path[64];
    snprintf(path, sizeof(path), "limits.%s", name);
    size_t row = config_option_find(path);
    if (row == CONFIG_OPTIONS || !(config_options[row].flags & OPTION_LIMIT)) {
        snprintf(why, CONFIG_WHY_MAX, "there is no such limit");
        return -ENOENT;
    }
    int err = config_value_set(c, row, bytes_str(value), why);
    if (err == 0)
        c->origins->at[row] = (struct config_origin){.from = FROM_LIMIT};
    return err;
}

static void origin_text(const struct config *c, size_t row, char *out, size_t cap)
{
    const struct config_origin *o = &c->origins->at[row];
    if (o->from == FROM_FILE)
        snprintf(out, cap, "%s:%u", c->file ? c->file : "", o->line);
    else if (o->from == FROM_FLAG)
        snprintf(out, cap, "%s", o->flag);
    else
        snprintf(out, cap, "%s", o->from == FROM_LIMIT ? "limit" : "default");
}

int config_each(const struct config *c, int (*fn)(const struct config_row *row, void *arg), void *arg)
{
    char origin[PLACE_MAX];
    for (size_t row = 0; row < CONFIG_OPTIONS; row++) {
        char *value = NULL;
        int err = config_value_render(c, row, &value);
        if (err < 0)
            return err;
        origin_text(c, row, origin, sizeof(origin));
        struct config_row out = {.path = config_options[row].path,
                                 .help = config_options[row].help,
                                 .value = value,
                                 .origin = origin,
                                 .is_limit = config_options[row].flags & OPTION_LIMIT};
        err = fn(&out, arg);
        free(value);
        if (err != 0)
            return err;
    }
    return 0;
}

const char *config_existing_name(enum config_existing e)
{
    const struct config_word *w = config_options[config_option_find("target.existing_keys")].words;
    while (w->name && w->value != (int)e)
        w++;
    return w->name ? w->name : "?";
}

/* Everything in one. */

static bool has_flag(const struct config_inputs *in, const char *path)
{
    bool has = false;
    for (size_t i = 0; i < in->nflags; i++)
        has |= strcmp(in->flags[i].path, path) == 0;
    return has;
}

/* *ret NULL: no file is needed. */
static int find_file(const char *folder, const struct config_inputs *in, const struct config *c, char **ret)
{
    char *path = NULL;
    if (in->file)
        path = strdup(in->file);
    else if (has_flag(in, "source.url") && has_flag(in, "target.url"))
        return 0;
    else if (asprintf(&path, "%s/%s.yaml", folder, c->name) < 0)
        path = NULL;
    if (!path)
        return -ENOMEM;
    *ret = path;
    return 0;
}

static bool any(const struct config_errors *e)
{
    return e->count || e->more;
}

static int load_into(struct config *c, const char *folder, const struct config_inputs *in,
                     struct config_errors *errors)
{
    char *path = NULL;
    int err;
    for (size_t i = 0; i < in->nflags; i++) {
        err = config_set(c, in->flags[i].path, in->flags[i].value, in->flags[i].flag, errors);
        if (err == -ENOMEM)
            return err;
    }
    if (any(errors) && !in->file) /* a name that was refused leads to no file */
        return -EINVAL;
    err = find_file(folder, in, c, &path);
    if (err == 0 && path)
        err = config_read(c, path, errors);
    free(path);
    if (err == -ENOENT && !in->file)
        config_error(errors, "", "name a file by -c, a link by -n, or both --source and --target");
    /* After a syntax error the rest of the file is unknown, so what is missing from it is too. */
    if (err < 0 && err != -EINVAL)
        return err == -EBADMSG ? -EINVAL : err;
    int checked = config_check(c, errors);
    if (checked < 0 && checked != -EINVAL)
        return checked;
    return any(errors) ? -EINVAL : 0;
}

int config_load_from(const char *folder, const struct config_inputs *in, struct config_errors *errors,
                     struct config **ret)
{
    struct config *c CLEANUP(free_config) = NULL;
    int err = config_new(&c);
    if (err == 0)
        err = load_into(c, folder, in, errors);
    if (err < 0)
        return err;
    *ret = c;
    c = NULL;
    return 0;
}

int config_load(const struct config_inputs *in, struct config_errors *errors, struct config **ret)
{
    return config_load_from(RIOT_CONFIG_FOLDER, in, errors, ret);
}

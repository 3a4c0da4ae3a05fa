#include "daemon/config_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/core/text.h"

struct kind {
    const char *expected; /* "expected ..." */
    int (*set)(const struct config_option *o, void *field, struct bytes text, char why[CONFIG_WHY_MAX]);
    int (*render)(const struct config_option *o, const void *field, char **ret);
};
static const struct kind kinds[TYPE_COUNT];

static int refuse(char why[CONFIG_WHY_MAX], const char *text)
{
    snprintf(why, CONFIG_WHY_MAX, "%s", text);
    return -EINVAL;
}

static const char *expectation(const struct config_option *o)
{
    return o->flags & OPTION_RELATIVE ? "a path" : kinds[o->type].expected;
}

static int expected(const struct config_option *o, char why[CONFIG_WHY_MAX])
{
    snprintf(why, CONFIG_WHY_MAX, "expected %s", expectation(o));
    return -EINVAL;
}

static void *field_of(const struct config *c, const struct config_option *o)
{
    return (char *)(uintptr_t)c + o->offset;
}

/* Text. */

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

static bool credential_char(char c)
{
    return name_char(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '_';
}

static bool any_char(char c)
{
    return (unsigned char)c >= ' ' && c != 0x7f;
}

static int set_text(const struct config_option *o, void *field, struct bytes text, bool (*ok)(char c),
                    char why[CONFIG_WHY_MAX])
{
    if (text.len > o->max) {
        snprintf(why, CONFIG_WHY_MAX, "longer than %u bytes", (unsigned)o->max);
        return -EINVAL;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!ok(text.ptr[i]))
            return expected(o, why);
    }
    char *copy = bytes_dup(text);
    if (!copy)
        return -ENOMEM;
    free(*(char **)field);
    *(char **)field = copy;
    return 0;
}

static int set_name(const struct config_option *o, void *field, struct bytes text, char why[CONFIG_WHY_MAX])
{
    return set_text(o, field, text, name_char, why);
}

static int set_url(const struct config_option *o, void *field, struct bytes text, char why[CONFIG_WHY_MAX])
{
    return set_text(o, field, text, any_char, why);
}

static int set_path(const struct config_option *o, void *field, struct bytes text, char why[CONFIG_WHY_MAX])
{
    if (text.ptr[0] != '/' && !(o->flags & OPTION_RELATIVE))
        return expected(o, why);
    return set_text(o, field, text, any_char, why);
}

static int set_credential(const struct config_option *o, void *field, struct bytes text,
                          char why[CONFIG_WHY_MAX])
{
    if (text.ptr[0] == '.')
        return expected(o, why);
    return set_text(o, field, text, credential_char, why);
}

static bool host_char(char c)
{
    return credential_char(c) || c == ':'; /* of an IPv6 address */
}

static int set_host(const struct config_option *o, void *field, struct bytes text, char why[CONFIG_WHY_MAX])
{
    return set_text(o, field, text, host_char, why);
}

static int render_text(const struct config_option *o, const void *field, char **ret)
{
    (void)o;
    const char *text = *(char *const *)field;
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        return -ENOMEM;
    *ret = copy;
    return 0;
}

/* Numbers. */

static const char *number_text(const struct config_option *o, uint64_t n, char out[TEXT_MAX])
{
    if (o->type == TYPE_DURATION)
        return text_ms_exact(n, out);
    if (o->type == TYPE_SIZE)
        return text_size_exact(n, out);
    snprintf(out, TEXT_MAX, "%llu", (unsigned long long)n);
    return out;
}

static int set_bounded(const struct config_option *o, void *field, uint64_t n, char why[CONFIG_WHY_MAX])
{
    char bound[TEXT_MAX];
    if (n < o->min)
        snprintf(why, CONFIG_WHY_MAX, "must be at least %s", number_text(o, o->min, bound));
    else if (n > o->max)
        snprintf(why, CONFIG_WHY_MAX, "must be at most %s", number_text(o, o->max, bound));
    if (n < o->min || n > o->max)
        return -EINVAL;
    *(uint64_t *)field = n;
    return 0;
}

static int set_number(const struct config_option *o, void *field, struct bytes text, char why[CONFIG_WHY_MAX])
{
    uint64_t n = 0;
    int err;
    if (o->type == TYPE_DURATION)
        err = text_to_ms(text, &n);
    else if (o->type == TYPE_SIZE)
        err = text_to_size(text, &n);
    else
        err = bytes_to_u64(text, &n);
    if (err == -ERANGE)
        n = UINT64_MAX;
    else if (err < 0)
        return expected(o, why);
    return set_bounded(o, field, n, why);
}

static int render_number(const struct config_option *o, const void *field, char **ret)
{
    char text[TEXT_MAX];
    *ret = strdup(number_text(o, *(const uint64_t *)field, text));
    return *ret ? 0 : -ENOMEM;
}

/* Words. */

static int set_bool(const struct config_option *o, void *field, struct bytes text, char why[CONFIG_WHY_MAX])
{
    bool yes = bytes_is(text, "yes");
    if (!yes && !bytes_is(text, "no"))
        return expected(o, why);
    *(bool *)field = yes;
    return 0;
}

static int render_bool(const struct config_option *o, const void *field, char **ret)
{
    (void)o;
    *ret = strdup(*(const bool *)field ? "yes" : "no");
    return *ret ? 0 : -ENOMEM;
}

static void list_words(const struct config_option *o, char *out, size_t cap)
{
    size_t used = (size_t)snprintf(out, cap, "one of");
    for (const struct config_word *w = o->words; w->name && used < cap; w++)
        used += (size_t)snprintf(out + used, cap - used, "%s %s", w == o->words ? "" : ",", w->name);
}

static int set_word(const struct config_option *o, void *field, struct bytes text, char why[CONFIG_WHY_MAX])
{
    const struct config_word *w = o->words;
    while (w->name && !bytes_is(text, w->name))
        w++;
    if (!w->name) {
        char list[CONFIG_WHY_MAX / 2];
        list_words(o, list, sizeof(list));
        snprintf(why, CONFIG_WHY_MAX, "expected %s", list);
        return -EINVAL;
    }
    memcpy(field, &w->value, sizeof(w->value));
    return 0;
}

static int render_word(const struct config_option *o, const void *field, char **ret)
{
    int value;
    memcpy(&value, field, sizeof(value));
    const struct config_word *w = o->words;
    while (w->name && w->value != value)
        w++;
    *ret = strdup(w->name ? w->name : "?");
    return *ret ? 0 : -ENOMEM;
}

/* Databases. */

static int database(struct bytes text, int *ret, char why[CONFIG_WHY_MAX])
{
    uint64_t n;
    if (bytes_to_u64(text, &n) < 0 || n > URL_DB_MAX) {
        snprintf(why, CONFIG_WHY_MAX, "expected a number from 0 to %d", URL_DB_MAX);
        return -EINVAL;
    }
    *ret = (int)n;
    return 0;
}

/* Keeps the list in order; each number may come once. */
static int insert(struct config_databases *d, int db, char why[CONFIG_WHY_MAX])
{
    size_t i = d->count;
    while (i > 0 && d->at[i - 1] > db)
        i--;
    if (i > 0 && d->at[i - 1] == db) {
        snprintf(why, CONFIG_WHY_MAX, "database %d is in it twice", db);
        return -EINVAL;
    }
    if (d->count == CONFIG_DATABASES_MAX) {
        snprintf(why, CONFIG_WHY_MAX, "more than %d databases", CONFIG_DATABASES_MAX);
        return -EINVAL;
    }
    memmove(d->at + i + 1, d->at + i, (d->count - i) * sizeof(*d->at));
    d->at[i] = db;
    d->count++;
    return 0;
}

static int parse_databases(struct bytes text, struct config_databases *d, char why[CONFIG_WHY_MAX])
{
    if (bytes_is(text, "all")) {
        d->all = true;
        return 0;
    }
    if (text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
        text = bytes_of(text.ptr + 1, text.len - 2);
    size_t items = 1;
    for (size_t i = 0; i < text.len; i++)
        items += text.ptr[i] == ',';
    d->at = calloc(MIN(items, CONFIG_DATABASES_MAX), sizeof(*d->at));
    if (!d->at)
        return -ENOMEM;
    int err = 0;
    for (size_t i = 0; i < items && err == 0; i++) {
        int db;
        err = database(bytes_trim(bytes_cut(&text, ',')), &db, why);
        if (err == 0)
            err = insert(d, db, why);
    }
    return err;
}

static int set_databases(const struct config_option *o, void *field, struct bytes text,
                         char why[CONFIG_WHY_MAX])
{
    struct config_databases *to = field, d = {0};
    int err = parse_databases(text, &d, why);
    if (err < 0) {
        free(d.at);
        bool one = !memchr(text.ptr, ',', text.len);
        return err == -EINVAL && one ? expected(o, why) : err;
    }
    free(to->at);
    *to = d;
    return 0;
}

static int render_databases(const struct config_option *o, const void *field, char **ret)
{
    (void)o;
    const struct config_databases *d = field;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return -ENOMEM;
    if (d->all)
        fputs("all", out);
    for (size_t i = 0; i < d->count; i++)
        fprintf(out, "%s%d", i ? ", " : "[", d->at[i]);
    if (d->count)
        fputs("]", out);
    if (fclose(out) != 0) {
        free(text);
        return -ENOMEM;
    }
    *ret = text;
    return 0;
}

static const struct kind kinds[TYPE_COUNT] = {
    [TYPE_NAME] = {"a name of a-z, 0-9 and -", set_name, render_text},
    [TYPE_URL] = {"a URL", set_url, render_text},
    [TYPE_PATH] = {"an absolute path", set_path, render_text},
    [TYPE_CREDENTIAL] = {"the name of a credential, of letters, digits, - _ and .", set_credential,
                         render_text},
    [TYPE_HOST] = {"the name of a host, or an address", set_host, render_text},
    [TYPE_DURATION] = {"a duration such as 500ms, 20s or 2m", set_number, render_number},
    [TYPE_SIZE] = {"a size such as 512KiB, 64MiB or 1GiB", set_number, render_number},
    [TYPE_NUMBER] = {"a number", set_number, render_number},
    [TYPE_BOOL] = {"yes or no", set_bool, render_bool},
    [TYPE_WORD] = {"one of the words", set_word, render_word},
    [TYPE_DATABASES] = {"all, a number, or a list such as [0, 3]", set_databases, render_databases},
    [TYPE_ADDRESSES] = {"a list of addresses, host or host:port", config_list_set, config_list_render},
    [TYPE_ADDRESS_MAP] = {"a list of translations, FROM=TO", config_list_set, config_list_render},
    [TYPE_GLOBS] = {"a list of globs", config_list_set, config_list_render},
    [TYPE_TYPES] = {"a list of string, list, set, zset, hash, stream, module", config_list_set,
                    config_list_render},
};

int config_value_set(struct config *c, size_t row, struct bytes text, char why[CONFIG_WHY_MAX])
{
    const struct config_option *o = &config_options[row];
    if (text.len == 0)
        return refuse(why, "has no value");
    if (memchr(text.ptr, '\0', text.len))
        return refuse(why, "has a NUL in it");
    if (text.len > CONFIG_VALUE_MAX)
        return refuse(why, "is too long");
    return kinds[o->type].set(o, field_of(c, o), text, why);
}

bool config_is_list(size_t row)
{
    enum config_type type = config_options[row].type;
    return type == TYPE_DATABASES || type == TYPE_ADDRESSES || type == TYPE_ADDRESS_MAP ||
           type == TYPE_GLOBS || type == TYPE_TYPES;
}

int config_item_append(size_t row, struct bytes item, struct buf *text, char why[CONFIG_WHY_MAX])
{
    const struct config_option *o = &config_options[row];
    int db, err = 0;

    if (o->type == TYPE_DATABASES)
        err = database(item, &db, why);
    if (!err && buf_len(text))
        err = buf_append_str(text, ",");
    if (err)
        return err;
    return o->type == TYPE_DATABASES ? buf_append(text, item.ptr, item.len)
                                     : config_list_append(o, item, text, why);
}

int config_value_render(const struct config *c, size_t row, char **ret)
{
    const struct config_option *o = &config_options[row];
    return kinds[o->type].render(o, field_of(c, o), ret);
}

static bool is_text(enum config_type type)
{
    return type == TYPE_NAME || type == TYPE_URL || type == TYPE_PATH || type == TYPE_CREDENTIAL ||
           type == TYPE_HOST;
}

void config_value_free(struct config *c, size_t row)
{
    const struct config_option *o = &config_options[row];
    if (is_text(o->type))
        free(*(char **)field_of(c, o));
    else if (o->type == TYPE_DATABASES)
        free(((struct config_databases *)field_of(c, o))->at);
    else if (config_is_list(row))
        config_list_free(field_of(c, o));
}

void config_value_bounds(size_t row, char *out, size_t cap)
{
    const struct config_option *o = &config_options[row];
    char low[TEXT_MAX], high[TEXT_MAX];
    bool number = o->type == TYPE_DURATION || o->type == TYPE_SIZE || o->type == TYPE_NUMBER;

    if (o->type == TYPE_WORD)
        list_words(o, out, cap);
    else if (number && o->min > 0)
        snprintf(out, cap, "%s, from %s to %s", expectation(o), number_text(o, o->min, low),
                 number_text(o, o->max, high));
    else
        snprintf(out, cap, "%s", expectation(o));
}

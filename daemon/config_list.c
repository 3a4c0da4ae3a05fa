/* Lists of texts, each of its own kind, as written; and what those of the filter mean. */
#include "daemon/config_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/redis/address.h"

/* Of one element. */

static bool is_address(struct bytes text)
{
    struct address a;
    return address_parse(text, &a) == 0;
}

/* All ports of one address cannot lead to one port. */
static bool is_translation(struct bytes text)
{
    struct bytes rest = text, from = bytes_cut(&rest, '=');
    struct address a, b;
    return address_parse(from, &a) == 0 && address_parse(rest, &b) == 0 && (a.port || !b.port);
}

static bool is_type(struct bytes text)
{
    static const char *const types[] = {"string", "list", "set", "zset", "hash", "stream", "module"};

    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (bytes_is(text, types[i]))
            return true;
    return false;
}

static bool is_glob(struct bytes text)
{
    return text.len > 0 && text.len <= FILTER_GLOB_MAX;
}

static const struct {
    bool (*is)(struct bytes text);
    const char *expected;
    size_t most;
} kinds[TYPE_COUNT] = {
    [TYPE_ADDRESSES] = {is_address, "an address: host or host:port", CONFIG_TEXTS_MAX},
    [TYPE_ADDRESS_MAP] = {is_translation,
                          "a translation: HOST=HOST or HOST:PORT=HOST:PORT, as told and as reached",
                          CONFIG_TEXTS_MAX},
    [TYPE_GLOBS] = {is_glob, "a glob of 1 to 1024 bytes", FILTER_GLOBS_MAX},
    [TYPE_TYPES] = {is_type, "a type: string, list, set, zset, hash, stream or module", FILTER_GLOBS_MAX},
};

static int check(const struct config_option *o, struct bytes item, char why[CONFIG_WHY_MAX])
{
    if (kinds[o->type].is(item))
        return 0;
    snprintf(why, CONFIG_WHY_MAX, "expected %s", kinds[o->type].expected);
    return -EINVAL;
}

/* A comma parts elements, and blanks around them do not count: those of the element itself are written as
 * bytes, whether or not a backslash says once more that they are meant. */
int config_list_append(const struct config_option *o, struct bytes item, struct buf *text,
                       char why[CONFIG_WHY_MAX])
{
    int err = check(o, item, why);

    for (size_t i = 0; i < item.len && !err; i++) {
        bool pair = item.ptr[i] == '\\' && i + 1 < item.len;
        size_t at = pair ? i + 1 : i;
        bool edge = item.ptr[at] == ' ' && (i == 0 || at + 1 == item.len);
        if (item.ptr[at] == ',' || edge)
            err = buf_append_str(text, edge ? "\\x20" : "\\x2c");
        else
            err = buf_append(text, &item.ptr[i], at - i + 1);
        i = at;
    }
    return err;
}

void config_list_free(struct config_texts *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->at[i]);
    free(l->at);
    *l = (struct config_texts){0};
}

static int add(const struct config_option *o, struct config_texts *l, struct bytes item,
               char why[CONFIG_WHY_MAX])
{
    int err = check(o, item, why);
    if (err)
        return err;
    l->at[l->count] = bytes_dup(item);
    return l->at[l->count] ? (l->count++, 0) : -ENOMEM;
}

int config_list_set(const struct config_option *o, void *field, struct bytes text, char why[CONFIG_WHY_MAX])
{
    struct config_texts l = {0};
    size_t items = 1;

    for (size_t i = 0; i < text.len; i++)
        items += text.ptr[i] == ',';
    if (items > kinds[o->type].most) {
        snprintf(why, CONFIG_WHY_MAX, "is a list of more than %zu", kinds[o->type].most);
        return -EINVAL;
    }
    l.at = calloc(items, sizeof(*l.at));
    int err = l.at ? 0 : -ENOMEM;
    for (size_t i = 0; i < items && !err; i++)
        err = add(o, &l, bytes_trim(bytes_cut(&text, ',')), why);
    if (err) {
        config_list_free(&l);
        return err;
    }
    config_list_free(field);
    *(struct config_texts *)field = l;
    return 0;
}

/* In YAML, single quotes make a text of anything; one in it is written twice. */
static void put_element(FILE *out, const char *text)
{
    bool plain =
        text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:=_")] == '\0';

    if (plain) {
        fputs(text, out);
        return;
    }
    fputc('\'', out);
    for (; *text; text++)
        fputs(*text == '\'' ? "''" : (char[]){*text, '\0'}, out);
    fputc('\'', out);
}

int config_list_render(const struct config_option *o, const void *field, char **ret)
{
    const struct config_texts *l = field;
    char *text = NULL;
    size_t len;
    (void)o;

    *ret = NULL;
    if (!l->count)
        return 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < l->count; i++) {
        fputs(i ? ", " : "[", out);
        put_element(out, l->at[i]);
    }
    fputc(']', out);
    if (fclose(out) != 0) {
        free(text);
        return -ENOMEM;
    }
    *ret = text;
    return 0;
}

/* The filter. */

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
    return at && c > ' ' ? (int)(at - digits) : -1;
}

/* The glob that is meant: \xHH is that byte, and never a sign. Shorter than what was written. */
static size_t decode(struct bytes text, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        bool byte = i + 3 < text.len && text.ptr[i] == '\\' && text.ptr[i + 1] == 'x' &&
                    hex_digit(text.ptr[i + 2]) >= 0 && hex_digit(text.ptr[i + 3]) >= 0;
        char c = text.ptr[i];
        if (byte) {
            c = (char)(hex_digit(text.ptr[i + 2]) << 4 | hex_digit(text.ptr[i + 3]));
            i += 3;
            if (c && strchr("*?[]^-\\", c))
                out[n++] = '\\';
        } else if (c == '\\' && i + 1 < text.len) {
            out[n++] = c; /* and what it protects, be it another one */
            c = text.ptr[++i];
        }
        out[n++] = c;
    }
    return n;
}

static size_t decode_all(const struct config_texts *l, struct bytes globs[FILTER_GLOBS_MAX], char **at)
{
    for (size_t i = 0; i < l->count; i++) {
        globs[i] = bytes_of(*at, decode(bytes_str(l->at[i]), *at));
        *at += globs[i].len;
    }
    return l->count;
}

static size_t bytes_in(const struct config_texts *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->count; i++)
        n += strlen(l->at[i]);
    return n;
}

int config_filter(const struct config *c, struct filter **ret)
{
    struct bytes include[FILTER_GLOBS_MAX], exclude[FILTER_GLOBS_MAX];
    struct filter_options opt = {.include = include, .exclude = exclude};

    if (!c->filter_include.count && !c->filter_exclude.count && !c->filter_types.count)
        return 0;
    char *text = malloc(bytes_in(&c->filter_include) + bytes_in(&c->filter_exclude) + 1), *at = text;
    if (!text)
        return -ENOMEM;
    opt.ninclude = decode_all(&c->filter_include, include, &at);
    opt.nexclude = decode_all(&c->filter_exclude, exclude, &at);
    opt.types = (const char *const *)(uintptr_t)c->filter_types.at;
    opt.ntypes = c->filter_types.count;
    int err = filter_new(&opt, ret);
    free(text);
    return err;
}

/* Reads the file: the only place that knows libyaml. Works on its events, so that nothing is built from what
 * is not understood, and every error has its place. */
#include "daemon/config_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>
#include "lib/core/buf.h"

#define DEPTH_MAX 8
#define PLACE_MAX 4200
#define SHOWN_MAX 80 /* of a name that is shown in an error */

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the present one */
    struct config *c;
    const char *file;
    struct config_errors *errors;
    unsigned option_line[CONFIG_OPTIONS];  /* where it was given; 0: not yet */
    unsigned section_line[CONFIG_OPTIONS]; /* the same, by a section's first row */
    unsigned depth;                        /* of open mappings and lists */
    int result;                            /* what config_parse() returns */
    bool over;                             /* the rest is not read */
};

static void wrong(struct reader *r, yaml_mark_t at, const char *path, const char *text)
{
    char place[PLACE_MAX];
    snprintf(place, sizeof(place), "%s:%zu:%zu", r->file, at.line + 1, at.column + 1);
    config_error(r->errors, place, "%s%s%s", path, *path ? ": " : "", text);
    if (r->result == 0)
        r->result = -EINVAL;
}

/* Ends the reading: what follows cannot be told. */
static void stop(struct reader *r, int result)
{
    r->over = true;
    r->result = result;
}

static void syntax_error(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) {
        stop(r, -ENOMEM);
        return;
    }
    const char *text = p->problem ? p->problem : "not YAML";
    if (strstr(text, "tab character") ||
        (strstr(text, "cannot start any token") && p->unread && *p->buffer.pointer == '\t'))
        text = "a tab stands here: indent with spaces";
    else if (strstr(text, "unexpected end of stream"))
        text = "the file ends within a text in quotes: a closing quote is missing";
    wrong(r, p->error == YAML_READER_ERROR ? p->mark : p->problem_mark, "", text);
    stop(r, -EBADMSG);
}

static const yaml_char_t *anchor_of(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_ALIAS_EVENT:
        return e->data.alias.anchor;
    case YAML_SCALAR_EVENT:
        return e->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return e->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return e->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

static const yaml_char_t *tag_of(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return e->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return e->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return e->data.mapping_start.tag;
    default:
        return NULL;
    }
}

static bool opens(const yaml_event_t *e)
{
    return e->type == YAML_MAPPING_START_EVENT || e->type == YAML_SEQUENCE_START_EVENT;
}

static bool closes(const yaml_event_t *e)
{
    return e->type == YAML_MAPPING_END_EVENT || e->type == YAML_SEQUENCE_END_EVENT;
}

/* The next event, with what is refused anywhere refused. False: nothing follows. */
static bool next(struct reader *r)
{
    if (r->over)
        return false;
    yaml_event_delete(&r->event);
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        syntax_error(r);
        return false;
    }
    const yaml_event_t *e = &r->event;
    if (anchor_of(e))
        wrong(r, e->start_mark, "", "anchors (&name) and aliases (*name) are not allowed");
    if (tag_of(e))
        wrong(r, e->start_mark, "", "tags (!name) are not allowed");
    if (opens(e) && ++r->depth > DEPTH_MAX) {
        wrong(r, e->start_mark, "", "nested too deeply");
        stop(r, -EBADMSG);
        return false;
    }
    if (closes(e))
        r->depth--;
    return e->type != YAML_STREAM_END_EVENT;
}

/* Moves past the node that begins with the present event. */
static void skip_node(struct reader *r)
{
    if (!opens(&r->event))
        return;
    unsigned outside = r->depth - 1;
    while (r->depth > outside && next(r))
        ;
}

static struct bytes scalar(const yaml_event_t *e)
{
    return bytes_of(e->data.scalar.value, e->data.scalar.length);
}

/* `name:` with nothing behind it. */
static bool is_nothing(const yaml_event_t *e)
{
    return e->type == YAML_SCALAR_EVENT && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (e->data.scalar.length == 0 || bytes_is(scalar(e), "~") || bytes_is(scalar(e), "null"));
}

static void assign(struct reader *r, size_t row, yaml_mark_t at, struct bytes text)
{
    struct config_origin origin = {
        .from = FROM_FILE, .line = (unsigned)at.line + 1, .column = (unsigned)at.column + 1};
    char place[PLACE_MAX];
    snprintf(place, sizeof(place), "%s:%u:%u", r->file, origin.line, origin.column);
    int err = config_assign(r->c, row, text, &origin, place, r->errors);
    if (err == -ENOMEM)
        stop(r, err);
    else if (err < 0 && r->result == 0)
        r->result = err;
}

/* One element of a list; appended to text with a comma. */
static bool read_item(struct reader *r, size_t row, struct buf *text)
{
    char why[CONFIG_WHY_MAX];
    const char *path = config_options[row].path;
    if (r->event.type != YAML_SCALAR_EVENT) {
        wrong(r, r->event.start_mark, path, "expected a value");
        skip_node(r);
        return false;
    }
    int err = config_item_append(row, scalar(&r->event), text, why);
    if (err == -EINVAL)
        wrong(r, r->event.start_mark, path, why);
    else if (err == -ENOBUFS)
        wrong(r, r->event.start_mark, path, "the list is too long");
    else if (err < 0)
        stop(r, err);
    return err == 0;
}

static void read_list(struct reader *r, size_t row)
{
    yaml_mark_t at = r->event.start_mark;
    struct buf text;
    bool good = true;

    if (!config_is_list(row)) {
        wrong(r, at, config_options[row].path, "expected one value, not a list");
        skip_node(r);
        return;
    }
    buf_init(&text, CONFIG_VALUE_MAX);
    while (next(r) && r->event.type != YAML_SEQUENCE_END_EVENT)
        good = read_item(r, row, &text) && good;
    if (!r->over && good)
        assign(r, row, at, buf_bytes(&text));
    buf_free(&text);
}

/* The present event begins the value of that option. */
static void read_option(struct reader *r, size_t row)
{
    const char *path = config_options[row].path;
    yaml_mark_t at = r->event.start_mark;

    if (r->event.type == YAML_SEQUENCE_START_EVENT) {
        read_list(r, row);
    } else if (r->event.type != YAML_SCALAR_EVENT) {
        wrong(r, at, path, "expected a value");
        skip_node(r);
    } else if (is_nothing(&r->event)) {
        wrong(r, at, path, "has no value");
    } else {
        assign(r, row, at, scalar(&r->event));
    }
}

static void unknown(struct reader *r, yaml_mark_t at, const char *path, bool dotted)
{
    char text[CONFIG_WHY_MAX];
    char nearest[CONFIG_PATH_MAX];
    if (dotted)
        snprintf(text, sizeof(text),
                 "unknown option; a dot stands for a section, with its options indented below it");
    else if (r->errors->count < CONFIG_ERRORS_MAX &&
             config_nearest(path, nearest)) /* costly; not for what is only counted */
        snprintf(text, sizeof(text), "unknown option; did you mean %s?", nearest);
    else
        snprintf(text, sizeof(text), "unknown option");
    wrong(r, at, path, text);
}

/* Notes where a name stands. False: it was given before. */
static bool first_time(struct reader *r, yaml_mark_t at, const char *path, unsigned *line)
{
    char text[64];
    if (*line) {
        snprintf(text, sizeof(text), "given twice; first at line %u", *line);
        wrong(r, at, path, text);
        return false;
    }
    *line = (unsigned)at.line + 1;
    return true;
}

static void read_mapping(struct reader *r, const char *section);

static void read_section(struct reader *r, const char *section)
{
    if (r->event.type == YAML_MAPPING_START_EVENT) {
        read_mapping(r, section);
    } else if (!is_nothing(&r->event)) {
        wrong(r, r->event.start_mark, section, "expected options below it, indented");
        skip_node(r);
    }
}

/* One `name: value`; the present event is the name. */
static void read_pair(struct reader *r, const char *section)
{
    char name[SHOWN_MAX], path[2 * SHOWN_MAX];
    yaml_mark_t at = r->event.start_mark;

    if (r->event.type != YAML_SCALAR_EVENT) {
        wrong(r, at, section, "expected the name of an option");
        skip_node(r);
        if (next(r))
            skip_node(r);
        return;
    }
    bytes_escape(scalar(&r->event), name, sizeof(name));
    snprintf(path, sizeof(path), "%s%s%s", section, *section ? "." : "", name);
    bool dotted = strchr(name, '.');
    size_t option = dotted ? CONFIG_OPTIONS : config_option_find(path);
    size_t part = dotted ? CONFIG_OPTIONS : config_section_find(path);
    if (!next(r))
        return;
    if (option < CONFIG_OPTIONS && first_time(r, at, path, &r->option_line[option])) {
        read_option(r, option);
    } else if (part < CONFIG_OPTIONS && first_time(r, at, path, &r->section_line[part])) {
        read_section(r, path);
    } else {
        if (option == CONFIG_OPTIONS && part == CONFIG_OPTIONS)
            unknown(r, at, path, dotted);
        skip_node(r);
    }
}

/* The present event is its start. Sections nest as the table's paths do, so this does too, and no deeper. */
static void read_mapping(struct reader *r, const char *section)
{
    while (next(r) && r->event.type != YAML_MAPPING_END_EVENT)
        read_pair(r, section);
}

static void read_root(struct reader *r)
{
    if (r->event.type == YAML_MAPPING_START_EVENT) {
        read_mapping(r, "");
    } else if (!is_nothing(&r->event)) {
        wrong(r, r->event.start_mark, "", "expected options, one a line: name: value");
        skip_node(r);
    }
}

static void read_stream(struct reader *r)
{
    bool seen = false;
    while (next(r)) {
        if (r->event.type == YAML_DOCUMENT_START_EVENT && seen) {
            wrong(r, r->event.start_mark, "", "only one document is allowed in the file");
            return;
        }
        if (r->event.type == YAML_DOCUMENT_START_EVENT) {
            seen = true;
            if (next(r))
                read_root(r);
        }
    }
}

int config_parse(struct config *c, const char *file, struct bytes text, struct config_errors *errors)
{
    if (text.len > CONFIG_FILE_MAX) {
        config_error(errors, file, "is larger than 1 MiB");
        return -EBADMSG;
    }
    char *name = strdup(file);
    struct reader *r = calloc(1, sizeof(*r));
    if (!r || !name || !yaml_parser_initialize(&r->parser)) {
        free(r);
        free(name);
        return -ENOMEM;
    }
    free(c->file);
    c->file = name;
    r->c = c;
    r->file = name;
    r->errors = errors;
    if (bytes_starts(
            text,
            "\xef\xbb\xbf")) /* a byte order mark; libyaml takes it off only when it may guess the encoding */
        text = bytes_of(text.ptr + 3, text.len - 3);
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text.ptr, text.len);
    read_stream(r);
    int result = r->result;
    yaml_event_delete(&r->event);
    yaml_parser_delete(&r->parser);
    free(r);
    return result;
}

static int read_file(const char *file, struct buf *ret)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = 0;
    for (ssize_t n = 1; n > 0 && err == 0 && buf_len(ret) <= CONFIG_FILE_MAX;) {
        char *to;
        err = buf_reserve(ret, 64 * KIB, &to);
        n = err == 0 ? read(fd, to, 64 * KIB) : 0;
        if (n < 0)
            err = -errno;
        else
            buf_commit(ret, (size_t)n);
    }
    close(fd);
    return err;
}

int config_read(struct config *c, const char *file, struct config_errors *errors)
{
    struct buf text;
    buf_init(&text, CONFIG_FILE_MAX + 128 * KIB);
    int err = read_file(file, &text);
    if (err < 0)
        config_error(errors, file, "%s%s", strerror(-err),
                     err == -EACCES ? ": the user that riotd runs as cannot read it" : "");
    else
        err = config_parse(c, file, buf_bytes(&text), errors);
    buf_free(&text);
    return err;
}

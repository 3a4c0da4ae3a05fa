#include "ctl/listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doc.h"
#include "ctl/grid.h"
#include "ctl/screen.h"
#include "lib/core/text.h"

#define ASK_MS 2000 /* of one riotd among several */

/* A value of JSON as people write it. */
static void set_value(struct grid_row *row, size_t column, const json_t *value)
{
    if (json_is_string(value)) {
        grid_set(row, column, json_string_value(value));
        return;
    }
    if (json_is_boolean(value)) {
        grid_set(row, column, json_is_true(value) ? "yes" : "no");
        return;
    }
    char *text = value ? json_dumps(value, DOC_JSON | JSON_ENCODE_ANY) : NULL;
    grid_set(row, column, text);
    free(text);
}

/* --- lanes --- */

static void fill_percent(struct grid_row *row, size_t column, const json_t *lane)
{
    double percent;

    if (doc_real(lane, "snapshot.percent", &percent))
        grid_format(row, column, "%.1f", percent);
}

static void fill_lag(struct grid_row *row, size_t column, const json_t *lane)
{
    char keys[TEXT_MAX], age[TEXT_MAX];
    uint64_t n, ms;

    if (!doc_number(lane, "lag.keys", &n) || !doc_number(lane, "lag.ms", &ms))
        return;
    if (n)
        grid_format(row, column, "%s key%s %s", text_count(n, keys), n == 1 ? "" : "s", text_ms(ms, age));
    else
        grid_set(row, column, "0");
}

static void fill_count(struct grid_row *row, size_t column, const json_t *lane, const char *path)
{
    char text[TEXT_MAX];
    uint64_t n;

    if (doc_number(lane, path, &n))
        grid_set(row, column, text_count(n, text));
}

static void fill_lane(struct grid_row *row, const json_t *lane)
{
    const char *problem = doc_text(json_array_get(doc_get(lane, "conditions"), 0), "code");

    grid_set(row, 0, doc_text(lane, "name"));
    grid_set(row, 1, doc_text(lane, "phase"));
    fill_percent(row, 2, lane);
    fill_lag(row, 3, lane);
    fill_count(row, 4, lane, "rate.copied_keys_per_s");
    grid_format(row, 5, "%s %s", doc_text(lane, "feed.kind"), doc_text(lane, "feed.state"));
    fill_count(row, 6, lane, "queue.dirty_keys");
    grid_set(row, 7, problem ? problem : "");
    row->style = problem ? STYLE_YELLOW : STYLE_PLAIN;
}

int listing_lanes(const struct session *s, const json_t *doc, struct buf *out)
{
    static const struct grid_row head = {
        {"LANE", "PHASE", "PERCENT", "LAG", "KEYS/S", "FEED", "DIRTY", "PROBLEM"}, STYLE_BOLD};
    struct grid g = {.t = &s->out, .out = out, .columns = 8};
    const json_t *list = doc_get(doc, "lanes"), *each;
    size_t i, count = json_array_size(list);

    if (!count)
        return buf_printf(out, "There are no lanes: the link is %s.\n", doc_text(doc, "state"));
    struct grid_row *rows = calloc(count, sizeof(*rows));
    if (!rows)
        return -ENOMEM;
    json_array_foreach(list, i, each) fill_lane(&rows[i], each);
    int e = grid_put(&g, &head, rows, count);
    free(rows);
    return e;
}

/* --- limits --- */

int listing_limits(const struct session *s, const json_t *doc, struct buf *out)
{
    const struct verb *v = &verbs[VERB_LIMIT];
    struct grid g = {.t = &s->out, .out = out, .columns = 2};
    struct grid_row *rows = calloc(json_object_size(doc) + 1, sizeof(*rows));
    size_t count = 0;
    const char *name;
    json_t *value;

    if (!rows)
        return -ENOMEM;
    json_object_foreach((json_t *)(uintptr_t)doc, name, value)
    {
        const struct verb_arg *arg = verb_arg_find(v, bytes_str(name));
        struct grid_row *row = &rows[count++];
        char text[TEXT_MAX];
        uint64_t n;
        grid_set(row, 0, name);
        if (arg && arg->kind == KIND_SIZE && doc_number(doc, name, &n))
            grid_set(row, 1, text_size_exact(n, text));
        else
            set_value(row, 1, value);
    }
    int e = grid_put(&g, NULL, rows, count);
    free(rows);
    return e;
}

/* --- options --- */

int listing_options(const struct session *s, const json_t *doc, struct buf *out)
{
    static const struct grid_row head = {{"OPTION", "VALUE", "ORIGIN"}, STYLE_BOLD};
    struct grid g = {.t = &s->out, .out = out, .columns = 3};
    const json_t *list = doc_get(doc, "options"), *each;
    struct grid_row *rows = calloc(json_array_size(list) + 1, sizeof(*rows));
    size_t i;

    if (!rows)
        return -ENOMEM;
    json_array_foreach(list, i, each)
    {
        grid_set(&rows[i], 0, doc_text(each, "name"));
        set_value(&rows[i], 1, doc_get(each, "value"));
        set_value(&rows[i], 2, doc_get(each, "origin"));
    }
    int e = grid_put(&g, &head, rows, json_array_size(list));
    free(rows);
    return e;
}

/* --- what a reload changed --- */

static void fill_change(struct grid_row *row, const json_t *change)
{
    const char *before = doc_text(change, "before"), *after = doc_text(change, "after");
    const char *holds = doc_text(change, "holds");
    bool secret = !before && !after;

    grid_set(row, 0, doc_text(change, "option"));
    grid_set(row, 1, secret ? "(a password)" : before ? before : "-");
    grid_set(row, 2, secret ? "(another one)" : after ? after : "-");
    grid_set(row, 3, holds && !strcmp(holds, "now") ? "now" : "from the next start of riotd");
}

int listing_changes(const struct session *s, const json_t *doc, struct buf *out)
{
    static const struct grid_row head = {{"OPTION", "BEFORE", "AFTER", "HOLDS"}, STYLE_BOLD};
    struct grid g = {.t = &s->out, .out = out, .columns = 4};
    const json_t *list = doc_get(doc, "changes"), *each;
    struct grid_row *rows = calloc(json_array_size(list) + 1, sizeof(*rows));
    size_t i;

    if (!rows)
        return -ENOMEM;
    json_array_foreach(list, i, each) fill_change(&rows[i], each);
    int e = json_array_size(list) ? grid_put(&g, &head, rows, json_array_size(list))
                                  : buf_append_str(out, "Nothing in the configuration has changed.\n");
    free(rows);
    return e;
}

/* --- links --- */

/* The status of one link, or why there is none. */
static json_t *ask_link(const char *path, struct control_error *err)
{
    const struct bytes argv = BYTES("STATUS");
    struct control *c;
    json_t *doc = NULL;
    char *text;

    if (control_open(path, ASK_MS, &c, err))
        return NULL;
    if (!control_request(c, 1, &argv, &text, err)) {
        doc = doc_parse(text);
        free(text);
        if (!doc)
            *err = (struct control_error){.code = "FAILED", .exit = CTL_FAILED, .text = "no document"};
    }
    control_free(c);
    return doc;
}

static void fill_row(struct grid_row *row, const char *name, const json_t *doc,
                     const struct control_error *err)
{
    char keys[TEXT_MAX], ms[TEXT_MAX], lag[2 * TEXT_MAX + 16] = "";
    uint64_t n;

    grid_set(row, 0, name);
    if (!doc) {
        grid_set(row, 1,
                 !strcmp(err->code, "DENIED") ? "no permission"
                 : !strcmp(err->code, "DOWN") ? "not running"
                                              : "no answer");
        return;
    }
    grid_set(row, 1, doc_text(doc, "state"));
    if (doc_number(doc, "lag.keys", &n))
        snprintf(lag, sizeof(lag), "%s key%s", text_count(n, keys), n == 1 ? "" : "s");
    if (doc_number(doc, "lag.ms", &n))
        snprintf(lag + strlen(lag), sizeof(lag) - strlen(lag), "%s%s", lag[0] ? ", " : "", text_ms(n, ms));
    grid_set(row, 2, lag);
    grid_set(row, 3, doc_text(doc, "source.address"));
    grid_set(row, 4, doc_text(doc, "target.address"));
}

static json_t *link_document(const struct paths_instance *at, json_t *status, const struct control_error *err)
{
    if (status)
        return json_pack("{s:s, s:s, s:b, s:O}", "name", at->name, "socket", at->path, "reachable", 1,
                         "status", status);
    return json_pack("{s:s, s:s, s:b, s:s}", "name", at->name, "socket", at->path, "reachable", 0, "error",
                     err->text);
}

static void print_links_json(json_t *links)
{
    json_t *doc = json_pack("{s:O}", "links", links);
    char *text = json_dumps(doc, DOC_JSON);

    session_print_json(text ? text : "{}", false);
    free(text);
    json_decref(doc);
}

static void print_links(struct session *s, const struct grid_row *rows, size_t count)
{
    static const struct grid_row head = {{"LINK", "STATE", "LAG", "SOURCE", "TARGET"}, STYLE_BOLD};
    struct buf out;
    struct grid g = {.t = &s->out, .out = &out, .columns = 5};

    buf_init(&out, SESSION_TEXT_MAX);
    if (!grid_put(&g, &head, rows, count))
        session_print(&out);
    buf_free(&out);
}

/* A socket that was named is asked too, wherever it is; its link's name is known once it answers. */
static size_t add_named(const struct session *s, struct paths_instance *list, size_t count)
{
    const char *path = s->args->socket ? s->args->socket : s->env.riot_socket;

    if (!path || strlen(path) >= PATHS_MAX)
        return count;
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(list[i].path, path))
            return count;
    }
    snprintf(list[count].path, sizeof(list[count].path), "%s", path);
    snprintf(list[count].name, sizeof(list[count].name), "?");
    return count + 1;
}

int listing_links(struct session *s)
{
    static struct paths_instance list[PATHS_INSTANCES_MAX + 1];
    static struct grid_row rows[PATHS_INSTANCES_MAX + 1];
    size_t count = add_named(s, list, paths_list(&s->env, list));
    json_t *links = json_array();

    for (size_t i = 0; i < count; i++) {
        struct control_error err;
        json_t *doc = ask_link(list[i].path, &err);
        const char *name = doc_text(doc, "name");
        if (list[i].name[0] == '?' && name && paths_name_ok(bytes_str(name)))
            snprintf(list[i].name, sizeof(list[i].name), "%s", name);
        fill_row(&rows[i], list[i].name, doc, &err);
        json_array_append_new(links, link_document(&list[i], doc, &err));
        json_decref(doc);
    }
    if (s->args->json)
        print_links_json(links);
    else if (count)
        print_links(s, rows, count);
    else
        fputs("no riotd has its socket in $XDG_RUNTIME_DIR/riotd-NAME or /run/riotd-NAME\n", stderr);
    json_decref(links);
    return CTL_OK;
}

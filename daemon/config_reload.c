/* What a reload changes, and what it can only tell of. */
#include "daemon/config_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(CONFIG_OPTIONS + 2 <= CONFIG_CHANGES_MAX, "room for each option and both passwords");

void config_changes_free(struct config_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        free(changes->at[i].before);
        free(changes->at[i].after);
    }
    *changes = (struct config_changes){0};
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool holds_now(size_t row)
{
    return config_options[row].flags & OPTION_RELOAD;
}

/* Adds that row if it differs. */
static int compare(const struct config *c, const struct config *next, size_t row, struct config_changes *ret)
{
    struct config_change change = {.path = config_options[row].path, .now = holds_now(row)};
    int err = config_value_render(c, row, &change.before);

    if (!err)
        err = config_value_render(next, row, &change.after);
    if (!err && !same(change.before, change.after)) {
        ret->at[ret->count++] = change;
        return 0;
    }
    free(change.before);
    free(change.after);
    return err;
}

/* Values that hold now are numbers and words, which were checked already: setting one cannot fail. */
static void take(struct config *c, const struct config_change *change)
{
    char why[CONFIG_WHY_MAX];
    int err = config_value_set(c, config_option_find(change->path), bytes_str(change->after), why);
    assert(!err);
    (void)err;
}

/* What the running value has from the file has its place in it too. */
static void take_origins(struct config *c, const struct config *next, const struct config_changes *changes)
{
    bool waits[CONFIG_OPTIONS] = {false};

    for (size_t i = 0; i < changes->count; i++)
        waits[config_option_find(changes->at[i].path)] = !changes->at[i].now;
    for (size_t row = 0; row < CONFIG_OPTIONS; row++)
        if (!waits[row])
            c->origins->at[row] = next->origins->at[row];
}

int config_reload(struct config *c, const struct config *next, struct config_changes *ret)
{
    struct config_changes changes = {0};
    int err = 0;

    for (size_t row = 0; row < CONFIG_OPTIONS && !err; row++)
        err = compare(c, next, row, &changes);
    if (err) {
        config_changes_free(&changes);
        return err;
    }
    for (size_t i = 0; i < changes.count; i++)
        if (changes.at[i].now)
            take(c, &changes.at[i]);
    take_origins(c, next, &changes);
    for (size_t i = 0; i < changes.count; i++)
        ret->at[ret->count++] = changes.at[i];
    return 0;
}

/* preflight.h - what `check` shows: everything that could stand in the way of this link, looked at before it
 * does. Asks over connections of its own; changes nothing, on either side. Needs no link, and does not
 * disturb one. */
#ifndef RIOTD_PREFLIGHT_H
#define RIOTD_PREFLIGHT_H

#include <stdio.h>
#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/state_file.h"
#include "lib/core/loop.h"

enum preflight_level { PREFLIGHT_OK, PREFLIGHT_WARNING, PREFLIGHT_ERROR };
const char *preflight_level_name(enum preflight_level l); /* "ok", "warning", "error" */

/* Names of items are stable, but not each is there each time: what could not be found out has none, and of
 * some there is one only where there is something to say. */

#define PREFLIGHT_ITEMS_MAX 64
struct preflight_item {
    const char *name; /* "source_reachable", "rights_source", ...: stable */
    enum preflight_level level;
    char text[320];
    char hint[320]; /* what to do; "" for ok */
};

struct preflight_report {
    int64_t at_ms;
    bool link_runs; /* the check was made beside a link that runs */
    unsigned errors, warnings;
    size_t nitems;
    struct preflight_item items[PREFLIGHT_ITEMS_MAX];
};
int preflight_exit_code(const struct preflight_report *r); /* 0, or 12 with errors */
/* As a table, for people. */
void preflight_print(const struct preflight_report *r, FILE *out);

struct preflight;
struct preflight_options {
    const struct config *config;
    const struct config_passwords *passwords;
    struct state_file *state; /* read only; its lock may be another process'. NULL: it cannot be read ... */
    const char *state_why;    /* ... and why; else NULL */
    struct log *log;
    bool link_runs;
    uint64_t marks_per_s; /* of the link that runs; 0: not known */
};
typedef void preflight_fn(const struct preflight_report *borrowed, void *arg);
/* fn once, within `timeout_ms` whatever the servers do. */
MUST_CHECK int preflight_new(struct loop *l, const struct preflight_options *opt, unsigned timeout_ms,
                             preflight_fn *fn, void *arg, struct preflight **ret);
struct preflight *preflight_free(struct preflight *p);

#endif

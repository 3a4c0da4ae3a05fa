/* preflight_decide.c - from facts to items: whether both sides are there, and what riotd may do there. */
#include "daemon/preflight_facts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/control/codes.h"
#include "lib/copy/lanes.h"
#include "lib/core/text.h"

#define LIST_MAX 240

static const char *const side_names[] = {"source", "target"};

const char *preflight_level_name(enum preflight_level l)
{
    static const char *const names[] = {"ok", "warning", "error"};
    return names[l];
}

int preflight_exit_code(const struct preflight_report *r)
{
    return r->errors ? CTL_PREFLIGHT : CTL_OK;
}

void preflight_add(struct preflight_report *r, const char *name, enum preflight_level level,
                   const char *format, ...)
{
    va_list args;

    r->errors += level == PREFLIGHT_ERROR;
    r->warnings += level == PREFLIGHT_WARNING;
    r->nitems = MIN(r->nitems + 1, (size_t)PREFLIGHT_ITEMS_MAX);
    struct preflight_item *item = &r->items[r->nitems - 1];
    *item = (struct preflight_item){.name = name, .level = level};
    va_start(args, format);
    vsnprintf(item->text, sizeof(item->text), format, args);
    va_end(args);
}

void preflight_hint(struct preflight_report *r, const char *format, ...)
{
    struct preflight_item *item = &r->items[r->nitems - 1];
    va_list args;

    va_start(args, format);
    vsnprintf(item->hint, sizeof(item->hint), format, args);
    va_end(args);
}

/* --- reachable --- */

/* By what the connection says of itself: the first that fits. $ is the side. */
static const struct {
    const char *part, *hint;
} unreachable[] = {
    {"none is configured", "Give the password, by $.password_file or $.password_credential, and the user in "
                           "$.url unless it is default."},
    {"without any password",
     "The server has no password: set one there, or leave $.password_file and $.password_credential out."},
    {"password and user",
     "Correct the password of $.password_file or $.password_credential, or the user in $.url."},
    {"NOPERM", "Give riotd's user on the $ the right that is named (ACL SETUSER)."},
    {"does not resolve", "Correct the host in $.url, or look at /etc/hosts and /etc/resolv.conf."},
    {"refused", "Look whether the $ runs, and listens at the address and port of $.url."},
    {"o such file", "Look whether the $ runs, and has its socket at the path of $.url."},
    {"ermission denied", "Let the user that riotd runs as into the folder and the socket of $.url."},
    {"oading", "Wait until the $ has loaded its data, and check again."},
    {"DENIED", "The $ is in protected mode: give it a password, or protected-mode no."},
    {"max number of clients", "Raise maxclients on the $."},
    {"no answer", "It takes connections and answers nothing: it hangs, or a command runs very long there."},
    {"timed out", "Nothing answers there: look for a firewall, and whether $.url is right."},
    {"certificate: hostname", "Give the name that is in the certificate: in $.url, or as $.tls.server_name."},
    {"certificate: IP address",
     "Give the name that is in the certificate: in $.url, or as $.tls.server_name."},
    {"certificate: certificate has expired", "Give the $ a new certificate."},
    {"certificate:", "Look at $.tls.ca_file: it holds the certificates of those who may sign the server's."},
    {"TLS: no answer", "Look whether that port of the $ speaks TLS: write redis:// in $.url if not."},
    {"TLS:", "Look whether that port speaks TLS, and whether it asks for a certificate: $.tls.cert_file."},
    {"closed by the server", "Look whether that port of the $ speaks TLS: write rediss:// in $.url then."},
    {"RESP2", "Look whether that is a Redis, and whether it speaks TLS: write rediss:// in $.url then."},
    {"not asked for",
     "Look whether that is a Redis, and whether it speaks TLS: write rediss:// in $.url then."},
    {"not in cluster mode",
     "It is one server: set $.cluster to auto, or give the address of a node of the cluster."},
    {"", "Look at $.url, and at the log of that server."},
};

static void put_hint(struct preflight_report *r, const char *hint, const char *side)
{
    char text[sizeof(r->items[0].hint)];
    size_t at = 0;

    for (; *hint && at + strlen(side) + 1 < sizeof(text); hint++) {
        if (*hint == '$')
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", side);
        else
            text[at++] = *hint;
    }
    text[at] = '\0';
    preflight_hint(r, "%s", text);
}

static void decide_unreachable(const struct preflight_side *s, int side, unsigned waited_ms, const char *name,
                               struct preflight_report *r)
{
    char waited[TEXT_MAX], silence[64];
    const char *why = s->why;
    size_t i = 0;

    snprintf(silence, sizeof(silence), "no answer for %s", text_ms(waited_ms, waited));
    if (!why[0])
        why = silence;
    preflight_add(r, name, PREFLIGHT_ERROR, "%s: %s", s->url, why);
    while (!strstr(why, unreachable[i].part))
        i++;
    put_hint(r, unreachable[i].hint, side_names[side]);
}

static void decide_url(const struct preflight_side *s, int side, struct preflight_report *r)
{
    static const char *const names[] = {"source_url", "target_url"};

    if (!s->url_why[0])
        return;
    preflight_add(r, names[side], PREFLIGHT_WARNING,
                  "nothing is learned at %s (%s): the cluster was found by another of its seeds", s->url,
                  s->url_why);
    preflight_hint(r, "Put a node that lives into %s.url: that of the URL is asked first at every start.",
                   side_names[side]);
}

static void decide_reachable(const struct preflight_facts *f, int side, struct preflight_report *r)
{
    static const char *const names[] = {"source_reachable", "target_reachable"};
    const struct preflight_side *s = &f->side[side];
    const struct server_id *id = &s->probe.id;

    if (!s->reached) {
        decide_unreachable(s, side, f->waited_ms, names[side], r);
        return;
    }
    char what[80];
    snprintf(what, sizeof(what), "%s", server_role_name(id->role));
    if (s->cluster)
        snprintf(what, sizeof(what), "cluster of %zu shard%s and %zu replica%s", s->nseen,
                 s->nseen == 1 ? "" : "s", s->replicas_known, s->replicas_known == 1 ? "" : "s");
    preflight_add(r, names[side], PREFLIGHT_OK, "%s %s at %s, a %s, round trip %u.%u ms",
                  server_kind_name(id->kind), id->version[0] ? id->version : "of an unknown version", s->url,
                  what, s->probe.round_trip_us / 1000, s->probe.round_trip_us % 1000 / 100);
    decide_url(s, side, r);
}

/* --- rights --- */

struct list {
    char text[LIST_MAX], rules[LIST_MAX];
    char missing[LIST_MAX]; /* those that the server does not know at all */
    size_t count;
};

static void append(char text[LIST_MAX], const char *separator, const char *more)
{
    size_t at = strlen(text);
    snprintf(text + at, LIST_MAX - at, "%s%s", at ? separator : "", more);
}

static void list_add(struct list *l, const struct preflight_side *s, enum right_id id)
{
    const struct right_row *row = &right_rows[id];
    char name[240];
    size_t at =
        (size_t)snprintf(name, sizeof(name), row->without ? "%s (%s)" : "%s", row->name, row->without);

    if (s->lacking_at[id])
        snprintf(name + at, sizeof(name) - at, " on %.100s", s->lacking_at[id]);
    append(s->rights[id] == RIGHT_MISSING ? l->missing : l->text, ", ", name);
    if (s->rights[id] != RIGHT_MISSING)
        append(l->rules, " ", row->rule);
    l->count++;
}

static enum need need_of(enum right_id id, int side)
{
    enum need n = right_rows[id].need;
    return n != NEED_READ ? n : side == SIDE_SOURCE ? NEED_COPY : NEED_VERIFY;
}

static void collect(const struct preflight_side *s, int side, enum need need, struct list *ret)
{
    *ret = (struct list){.count = 0};
    for (unsigned id = 0; id < RIGHTS; id++)
        if (need_of(id, side) == need && right_applies(id, side == SIDE_TARGET, &s->probe.id) &&
            right_is_lacking(s, id))
            list_add(ret, s, id);
}

static void collect_unknown(const struct preflight_side *s, int side, struct list *ret)
{
    *ret = (struct list){.count = 0};
    for (unsigned id = 0; id < RIGHTS; id++)
        if (need_of(id, side) < NEED_FEED && right_applies(id, side == SIDE_TARGET, &s->probe.id) &&
            s->rights[id] == RIGHT_UNKNOWN)
            list_add(ret, s, id);
}

static void hint_rights(const struct preflight_side *s, int side, const struct list *l,
                        struct preflight_report *r)
{
    const char *renamed =
        l->missing[0] ? "Look whether a command was renamed, or is kept back by the service. " : "";

    if (l->rules[0])
        preflight_hint(r, "%sOn the %s: ACL SETUSER %s %s", renamed, side_names[side], s->user, l->rules);
    else
        preflight_hint(r, "%s", renamed);
}

static void decide_need(const struct preflight_side *s, int side, enum need need, const char *name,
                        const char *consequence, struct preflight_report *r)
{
    bool stands_in_the_way = need == NEED_COPY || need == NEED_TYPES;
    char denied[LIST_MAX + 100] = "", missing[LIST_MAX + 100] = "";
    struct list l;

    collect(s, side, need, &l);
    if (l.count == 0)
        return;
    if (l.text[0])
        snprintf(denied, sizeof(denied), "NOPERM for %s on the %s as user %.40s. ", l.text, side_names[side],
                 s->user);
    if (l.missing[0])
        snprintf(missing, sizeof(missing), "The %s does not know %s. ", side_names[side], l.missing);
    preflight_add(r, name, stands_in_the_way ? PREFLIGHT_ERROR : PREFLIGHT_WARNING, "%s%s%s", denied, missing,
                  consequence);
    hint_rights(s, side, &l, r);
}

static void decide_rights(const struct preflight_facts *f, int side, struct preflight_report *r)
{
    static const char *const names[][5] = {
        {"rights_source", "rights_source_safety", "rights_source_verify", "rights_source_pause",
         "rights_source_types"},
        {"rights_target", "rights_target_safety", "rights_target_verify", NULL, "rights_target_types"}};
    const struct preflight_side *s = &f->side[side];
    struct list copy, unknown;

    if (!s->asked) {
        preflight_add(r, names[side][0], PREFLIGHT_WARNING, "not known: %s",
                      s->ask_why[0] ? s->ask_why : "the server stopped to answer");
        preflight_hint(r, "Check again; what depends on it was left out.");
        return;
    }
    collect(s, side, NEED_COPY, &copy);
    collect_unknown(s, side, &unknown);
    if (copy.count)
        decide_need(s, side, NEED_COPY, names[side][0], "Nothing can be copied.", r);
    else if (unknown.count)
        preflight_add(r, names[side][0], PREFLIGHT_OK, "user %.40s; only trying shows it for: %s", s->user,
                      unknown.text);
    else
        preflight_add(r, names[side][0], PREFLIGHT_OK, "user %.40s has what is needed", s->user);
    decide_need(s, side, NEED_SAFETY, names[side][1], "riotd does without.", r);
    decide_need(s, side, NEED_VERIFY, names[side][2], "verify, also in a cutover, cannot compare.", r);
    if (filter_has_types(f->config->filter))
        decide_need(s, side, NEED_TYPES, names[side][4], "filter.types cannot be kept to.", r);
    if (side == SIDE_SOURCE)
        decide_need(s, side, NEED_CUTOVER, names[side][3], "A cutover cannot pause the writers.", r);
    if (side == SIDE_TARGET && f->config->target_wait_replicas)
        decide_need(s, side, NEED_WAIT, "rights_target_wait",
                    "A cutover cannot prove what target.wait_replicas asks for.", r);
    if (side == SIDE_TARGET && f->config->target_wait_aof)
        decide_need(s, side, NEED_WAITAOF, "rights_target_waitaof",
                    "A cutover cannot prove what target.wait_aof asks for.", r);
}

static void decide_keys(const struct preflight_facts *f, int side, struct preflight_report *r)
{
    static const char *const names[] = {"keys_source", "keys_target"};
    const struct preflight_side *s = &f->side[side];

    if (!s->asked)
        return;
    if (s->keys_denied) {
        preflight_add(r, names[side], PREFLIGHT_ERROR,
                      "user %.40s on the %s may not touch every key: those are not copied", s->user,
                      side_names[side]);
        preflight_hint(r, "On the %s: ACL SETUSER %s ~*", side_names[side], s->user);
    } else if (s->keys_known) {
        preflight_add(r, names[side], PREFLIGHT_OK, "every key may be touched");
    } else {
        preflight_add(r, names[side], PREFLIGHT_OK, "only trying shows whether every key may be touched");
    }
}

static void decide_writable(const struct preflight_side *target, struct preflight_report *r)
{
    if (!target->refused[0])
        return;
    preflight_add(r, "target_writable", PREFLIGHT_ERROR, "the target would refuse RESTORE now: %s",
                  target->refused);
    preflight_hint(r, "Mend what the error names on the target.");
}

/* --- the rest that is neither side's --- */

static void decide_state_file(const struct preflight_facts *f, struct preflight_report *r)
{
    if (f->state_why[0]) {
        preflight_add(r, "state_file", PREFLIGHT_ERROR, "%s", f->state_why);
        preflight_hint(r, "%s", blockers[BLOCKER_STATE_FILE].hint);
        return;
    }
    preflight_add(r, "state_file", PREFLIGHT_OK, "%.250s%s", f->state_path,
                  f->state && f->state->instance[0] ? "" : " will be made at the first start");
}

/* True: told. */
static bool memory_is_short(const struct preflight_facts *f, struct preflight_report *r)
{
    size_t lanes = MAX(f->side[SIDE_SOURCE].nseen, (size_t)1),
           nodes = MAX(f->side[SIDE_TARGET].nseen, (size_t)1);
    char text[LANES_MEMORY_TEXT];

    if (!lanes_memory_is_short(f->config->limit_memory, lanes, nodes, text))
        return false;
    preflight_add(r, "memory", PREFLIGHT_WARNING, "%s", text);
    preflight_hint(r, "Raise limits.memory to that at the least.");
    return true;
}

static void decide_memory(const struct preflight_facts *f, struct preflight_report *r)
{
    char limit[TEXT_MAX], there[TEXT_MAX];

    if (memory_is_short(f, r))
        return;
    text_size(f->config->limit_memory, limit);
    if (!f->machine_bytes) {
        preflight_add(r, "memory", PREFLIGHT_OK, "limits.memory is %s", limit);
        return;
    }
    bool much = f->config->limit_memory > f->machine_bytes - f->machine_bytes / 4;
    preflight_add(r, "memory", much ? PREFLIGHT_WARNING : PREFLIGHT_OK,
                  "limits.memory is %s, of the %s that this machine lets riotd have", limit,
                  text_size(f->machine_bytes, there));
    if (much)
        preflight_hint(r, "Lower limits.memory, or make room: riotd may be killed for want of memory.");
}

void preflight_decide(const struct preflight_facts *f, struct preflight_report *r)
{
    for (int side = SIDE_SOURCE; side <= SIDE_TARGET; side++) {
        decide_reachable(f, side, r);
        if (!f->side[side].reached)
            continue;
        decide_rights(f, side, r);
        decide_keys(f, side, r);
    }
    if (f->side[SIDE_TARGET].reached)
        decide_writable(&f->side[SIDE_TARGET], r);
    preflight_decide_feed(f, r);
    preflight_decide_data(f, r);
    decide_state_file(f, r);
    decide_memory(f, r);
}

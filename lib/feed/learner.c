#include "lib/feed/learner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/feed/kind.h"

#define BUFFER_MAX (64 * KIB)

/* Not within a command, of which what was read so far would be forgotten: it is asked again then. */
static void on_answer(struct conn *c, const struct reply *r, void *arg)
{
    struct learner *l = arg;
    FEED_HELD(l->feed);
    size_t asked = l->nasked;

    l->nasked = 0;
    if (reply_is_passing(r) || !stream_at_boundary(l->stream))
        return;
    if (command_keys_learn(l->keys, r) == -ENOMEM)
        return;
    /* Where it tells nothing of a command, the next one of that name shows it. */
    l->nanswered = asked;
    if (asked == l->nnames)
        l->conn = conn_free(c);
}

/* All of them: what an earlier answer told is forgotten with the next. */
static void ask(struct learner *l)
{
    struct bytes argv[2 + LEARNER_NAMES_MAX] = {BYTES("COMMAND"), BYTES("INFO")};

    if (l->conn == NULL || !conn_is_up(l->conn) || l->nasked > 0)
        return;
    for (size_t i = 0; i < l->nnames; i++)
        argv[2 + i] = bytes_str(l->names[i]);
    if (conn_call(l->conn, 2 + l->nnames, argv, on_answer, l) == 0)
        l->nasked = l->nnames;
}

static void on_up(struct conn *c, void *arg)
{
    (void)c;
    ask(arg);
}

static void on_down(struct conn *c, const char *why, bool was_up, void *arg)
{
    struct learner *l = arg;
    (void)c, (void)why, (void)was_up;

    l->nasked = 0;
}

static void be_connected(struct learner *l)
{
    static const struct conn_events events = {.up = on_up, .down = on_down};
    const struct conn_options opt = {.endpoint = feed_source(l->feed),
                                     .role = "command",
                                     .in_max = MIB,
                                     .out_max = BUFFER_MAX,
                                     .out_high = BUFFER_MAX};

    if (l->conn == NULL && conn_new(feed_loop(l->feed), &opt, &events, l, &l->conn) < 0)
        l->conn = NULL; /* the next tick tries again */
}

static void tell_unknown(struct learner *l, size_t i, struct bytes name)
{
    char text[80];

    if (l->told[i])
        return;
    l->told[i] = true;
    sink_say(
        feed_sink(l->feed), SINK_WARNING, "unknown_command",
        "the stream of the source has the command %s, and COMMAND INFO there does not tell which keys it "
        "changes, as of one that rename-command gave that name",
        bytes_escape(name, text, sizeof(text)));
}

bool learner_want(struct learner *l, struct bytes name)
{
    struct bytes rest = name, base = bytes_cut(&rest, '|');

    for (size_t i = 0; i < l->nnames; i++) {
        if (!bytes_is_nocase(base, l->names[i]))
            continue;
        if (i < l->nanswered)
            tell_unknown(l, i, name);
        return i >= l->nanswered;
    }
    if (l->nnames == LEARNER_NAMES_MAX || base.len >= LEARNER_NAME_LEN ||
        (base.len > 0 && memchr(base.ptr, '\0', base.len)))
        return false;
    snprintf(l->names[l->nnames++], LEARNER_NAME_LEN, "%.*s", (int)base.len, base.ptr);
    be_connected(l);
    return true;
}

void learner_tick(struct learner *l)
{
    if (l->nanswered < l->nnames)
        be_connected(l);
    ask(l);
}

void learner_move(struct learner *l, const char *why)
{
    if (l->conn != NULL)
        conn_move(l->conn, why);
}

void learner_close(struct learner *l)
{
    l->conn = conn_free(l->conn);
}

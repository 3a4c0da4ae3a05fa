/* log.h - one line for each thing that happened: to the journal with fields, else to stderr as text.
 *
 * Never blocks: what the journal (or a stuck reader of stderr) does not take at once is dropped and counted,
 * and the count is told once lines pass again. A line is cut at LOG_LINE_MAX bytes, and control characters in
 * it are replaced: what a peer sent cannot forge a line.
 */
#ifndef RIOTD_LOG_H
#define RIOTD_LOG_H

#include "lib/core/sink.h"
#include "daemon/events.h"

#define LOG_LINE_MAX 8192

struct log;
struct log_options {
    const char *link;      /* RIOT_LINK; SYSLOG_IDENTIFIER is riotd-LINK, "riotd" when NULL */
    enum sink_level level; /* lines above it are dropped */
    int fd;                /* where text goes: STDERR_FILENO */
    const char
        *journal; /* the journal's socket; NULL: the system's, if $JOURNAL_STREAM says that fd leads to it */
};
MUST_CHECK int log_new(const struct log_options *opt, struct log **ret);
struct log *log_free(struct log *l);
void log_set_level(struct log *l, enum sink_level level);
MUST_CHECK int log_set_link(struct log *l, const char *link);
void log_set_state(
    struct log *l,
    const char *state); /* RIOT_STATE of all lines from now; a literal, or one that outlives l */

/* An extra field: {"RIOT_REASON", text}. Names are of A-Z 0-9 _, at most 64; a NULL value leaves the field
 * out. */
struct log_field {
    const char *name, *value;
};
#define LOG_FIELDS(...)                                                                                      \
    (const struct log_field[])                                                                               \
    {                                                                                                        \
        __VA_ARGS__,                                                                                         \
        {                                                                                                    \
            NULL, NULL                                                                                       \
        }                                                                                                    \
    }

/* At the event's own level; fields end with a NULL name, or are NULL. */
void log_event(struct log *l, enum event_id id, const char *format, ...) PRINTF_LIKE(3, 4);
void log_event_fields(struct log *l, enum event_id id, const struct log_field *fields, const char *format,
                      ...) PRINTF_LIKE(4, 5);
/* At another level than the table's: a state that needs a person is not as the others. */
void log_event_at(struct log *l, enum event_id id, enum sink_level level, const struct log_field *fields,
                  const char *format, ...) PRINTF_LIKE(5, 6);
/* Without an event, for what only a developer reads. */
void log_debug(struct log *l, const char *format, ...) PRINTF_LIKE(2, 3);

/* For the library; valid as long as l. An event of the table is logged with its MESSAGE_ID, at the level the
 * library says. */
const struct sink *log_sink(struct log *l);

/* Each line but debug lines, whatever the log's level, is also handed to fn: this is what `events` streams.
 * At most one; NULL ends it. fn must not log. */
struct log_entry {
    int64_t wall_ms;
    enum sink_level level;
    const char *event; /* name, "" for none */
    const char *state; /* "" before the first log_set_state() */
    const char *text;
    const struct log_field *fields; /* ends with a NULL name; may be NULL */
};
void log_tap(struct log *l, void (*fn)(const struct log_entry *borrowed, void *arg), void *arg);

/* Tells of dropped lines, if there are any and lines pass again. Called once a second or so. */
void log_flush(struct log *l);
uint64_t log_dropped(const struct log *l); /* since log_new() */
bool log_to_journal(const struct log *l);
const char *log_level_name(enum sink_level level); /* "err", "warning", ... */

#endif

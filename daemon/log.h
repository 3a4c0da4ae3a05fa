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
void log_set_state(struct log *l, const char *state); /* RIOT_STATE of all lines from now; a literal, or one
                                                         that outlives l. Before the first: "idle" */

/* A fact of a line that one would filter or draw by, beside what the sentence says. THE list of them is
 * log_fields[] (log_fields.c), and its row says which of the two it is: LOG_FIELDS(LOG_TEXT(REASON, why),
 * LOG_NUMBER(LAG_MS, ms)). A NULL text, or a number that is UINT64_MAX, is not known: the field is left out.
 */
enum log_field_id {
    FIELD_END,
    /* on every line, by the log itself */
    FIELD_LINK,
    FIELD_STATE,
    FIELD_EVENT,
    /* the facts of some */
    FIELD_REASON,
    FIELD_FROM,
    FIELD_LANE,
    FIELD_ENDPOINT,
    FIELD_ADDRESS,
    FIELD_RUN_ID,
    FIELD_CONDITION,
    FIELD_BLOCKER,
    FIELD_FEED,
    FIELD_DB,
    FIELD_KEY,
    FIELD_COPIED_KEYS,
    FIELD_DELETED_KEYS,
    FIELD_BYTES,
    FIELD_KEYS_PER_S,
    FIELD_PERCENT,
    FIELD_ETA_MS,
    FIELD_LAG_KEYS,
    FIELD_LAG_MS,
    FIELD_TOOK_MS,
    FIELD_VERDICT,
    FIELD_COMPARED_KEYS,
    FIELD_DRIFT,
    FIELD_STEP,
    FIELD_STEP_STATE,
    FIELD_STEP_TEXT,
    FIELD_FENCE,
    FIELD_WRITE_PAUSE_MS,
    FIELD_SLIPPED_WRITES,
    FIELD_OPERATION,
    FIELD_VERB,
    FIELD_RESULT,
    FIELD_EXIT_CODE,
    FIELD_PEER_UID,
    FIELD_PEER_PID,
    FIELD_LIMIT_MEMORY,
    FIELD_LIMIT_KEYS_PER_S,
    FIELD_LIMIT_BYTES_PER_S,
    FIELD_LIMIT_COALESCE_MS,
    FIELD_OPTION,
    FIELD_BEFORE,
    FIELD_AFTER,
    FIELD_HOLDS,
    FIELD_ERRORS,
    FIELD_WARNINGS,
    FIELD_FILE,
    FIELD_VERSION,
    FIELD_DROPPED_LINES,
    FIELD_COUNT
};
struct log_field_row {
    const char *name; /* RIOT_REASON */
    bool is_number;
    const char *meaning;
};
extern const struct log_field_row log_fields[FIELD_COUNT]; /* that of FIELD_END is empty */

struct log_field {
    enum log_field_id id;
    const char *text;
    uint64_t number;
};
#define LOG_TEXT(field, value)   {.id = FIELD_##field, .text = (value)}
#define LOG_NUMBER(field, value) {.id = FIELD_##field, .number = (value)}
#define LOG_FIELDS(...)                                                                                      \
    (const struct log_field[])                                                                               \
    {                                                                                                        \
        __VA_ARGS__,                                                                                         \
        {                                                                                                    \
            .id = FIELD_END                                                                                  \
        }                                                                                                    \
    }
bool log_field_known(const struct log_field *f); /* it is not left out */

/* At the event's own level; fields may be NULL. */
void log_event(struct log *l, enum event_id id, const char *format, ...) PRINTF_LIKE(3, 4);
void log_event_fields(struct log *l, enum event_id id, const struct log_field *fields, const char *format,
                      ...) PRINTF_LIKE(4, 5);
/* At another level than the table's: a state that needs a person is not as the others. */
void log_event_at(struct log *l, enum event_id id, enum sink_level level, const struct log_field *fields,
                  const char *format, ...) PRINTF_LIKE(5, 6);
/* EVENT_DETAIL: what only a developer reads. */
void log_debug(struct log *l, const char *format, ...) PRINTF_LIKE(2, 3);

/* For the library; valid as long as l. It says the event's name and the level; a name that is not in the
 * table is EVENT_DETAIL. */
const struct sink *log_sink(struct log *l);

/* Each line but debug lines, whatever the log's level, is also handed to fn: this is what `events` streams.
 * At most one; NULL ends it. fn must not log. */
struct log_entry {
    int64_t wall_ms;
    enum sink_level level;
    const char *event; /* its name */
    const char *state;
    const char *text;
    const struct log_field *fields; /* may be NULL */
};
void log_tap(struct log *l, void (*fn)(const struct log_entry *borrowed, void *arg), void *arg);

/* Tells of dropped lines, if there are any and lines pass again. Called once a second or so. */
void log_flush(struct log *l);
uint64_t log_dropped(const struct log *l); /* since log_new() */
bool log_to_journal(const struct log *l);
const char *log_level_name(enum sink_level level); /* "err", "warning", ... */

#endif

/* events.h - THE table of events: what the journal and `riotctl events` can tell.
 *
 * Ids, priorities, sentences and catalog texts stand here alone: packaging/journal/riotd.catalog and the
 * section of riotd(8) are made from them. The library reports by name (lib/core/sink.h).
 */
#ifndef RIOTD_EVENTS_H
#define RIOTD_EVENTS_H

#include "lib/core/sink.h"

enum event_id {
    EVENT_NONE, /* not in the table */
    /* the process */
    EVENT_STARTED,
    EVENT_STOPPING,
    EVENT_STOPPED,
    EVENT_CONFIG_WARNING,
    EVENT_CONFIG_ERROR,
    EVENT_OPTION_CHANGED,
    EVENT_RELOADED,
    EVENT_RELOAD_REFUSED,
    EVENT_STATE_FILE_ERROR,
    EVENT_INTERNAL_ERROR,
    EVENT_LOG_DROPPED,
    EVENT_DETAIL,
    /* the link */
    EVENT_STATE,
    EVENT_PROGRESS,
    EVENT_CONNECTED,
    EVENT_OWNED,
    EVENT_BLOCKED,
    EVENT_UNBLOCKED,
    EVENT_ACCEPTED,
    EVENT_SNAPSHOT_DONE,
    EVENT_RESYNC_DONE,
    EVENT_OVERRUN,
    EVENT_OVERRUN_ENDED,
    EVENT_GAP,
    /* the servers */
    EVENT_SOURCE_LOST,
    EVENT_SOURCE_BACK,
    EVENT_SOURCE_REFUSES,
    EVENT_SOURCE_ANSWERS_AGAIN,
    EVENT_SOURCE_REPLACED,
    EVENT_TARGET_LOST,
    EVENT_TARGET_BACK,
    EVENT_TARGET_REFUSES,
    EVENT_TARGET_ACCEPTS_AGAIN,
    EVENT_TARGET_REPLACED,
    EVENT_WAITING,
    EVENT_INFO_UNREADABLE,
    EVENT_TWO_SERVERS,
    EVENT_THIN_INFO,
    EVENT_NODES_CHANGED,
    EVENT_SLOTS_MOVED,
    /* the feed */
    EVENT_FEED_CHOSEN,
    EVENT_FEED_UNPROVEN,
    EVENT_FEED_PROVEN,
    EVENT_SLOTS_LEFT,
    EVENT_SLOTS_WHOLE,
    EVENT_MEMORY_SHORT,
    EVENT_MEMORY_ENOUGH,
    EVENT_FEED_BACK,
    EVENT_OUT_OF_SCOPE,
    EVENT_IN_SCOPE,
    EVENT_SOURCE_REPLICA,
    EVENT_SOURCE_PRIMARY,
    EVENT_RESYNC_NEEDED,
    EVENT_SOURCE_FOLLOWED,
    EVENT_UNKNOWN_COMMAND,
    EVENT_NOTIFY_SET,
    EVENT_NOTIFY_PUT_BACK,
    EVENT_NOTIFY_LEFT_ALONE,
    EVENT_NOTIFY_RECORD,
    EVENT_NOTIFY_NOT_PUT_BACK,
    /* keys */
    EVENT_KEY_FAILED,
    EVENT_LONG_KEY,
    EVENT_FUNCTIONS_COPIED,
    EVENT_STRINGS_BY_DUMP,
    /* verify */
    EVENT_VERIFY_STARTED,
    EVENT_VERIFY_ENDED,
    EVENT_VERIFY_DRIFT,
    /* cutover */
    EVENT_CUTOVER_STARTED,
    EVENT_CUTOVER_STEP,
    EVENT_CUTOVER_COMMITTED,
    EVENT_CUTOVER_RELEASED,
    EVENT_CUTOVER_REFUSED,
    EVENT_CUTOVER_UNDOING,
    EVENT_CUTOVER_UNDONE,
    EVENT_CUTOVER_NEEDS_PERSON,
    EVENT_FENCE_PAUSED,
    EVENT_FENCE_SET,
    EVENT_FENCE_LIFTED,
    EVENT_FENCE_LEFT_ALONE,
    EVENT_FENCE_LOST,
    EVENT_FENCE_AGAIN,
    EVENT_SOURCE_UNWATCHED,
    EVENT_SOURCE_WATCHED,
    EVENT_FINISHED,
    EVENT_FINISH_FAILED,
    /* the control socket */
    EVENT_CHECKED,
    EVENT_COMMAND,
    EVENT_COMMAND_REFUSED,
    EVENT_LIMIT,
    EVENT_OPERATION_ENDED,
    EVENT_SOCKET_WARNING,
    EVENT_COUNT
};

struct event {
    const char *name;       /* snake_case, stable */
    const char *message_id; /* 32 hex digits, for ever */
    enum sink_level level;
    const char *help; /* a short sentence: what it means; the catalog's Subject */
    const char
        *catalog; /* for `journalctl -x`: what happened and what to do; may name fields as @RIOT_LINK@ */
};

const struct event *event_get(enum event_id id); /* NULL for EVENT_NONE and what is outside the table */
enum event_id event_find(const char *name);      /* EVENT_NONE: there is none */

#endif

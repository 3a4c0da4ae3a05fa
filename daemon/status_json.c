/* status_json.c - JSON by the rules of the documents: absent is unknown; and the events, which are small. */
#include "daemon/status_impl.h"

#include <ctype.h>
#include <string.h>

#include "lib/core/clock.h"

void status_set(json_t *o, const char *name, json_t *value)
{
    if (value)
        json_object_set_new(o, name, value);
}

void status_text(json_t *o, const char *name, const char *text)
{
    if (text && text[0])
        status_set(o, name, json_string(text));
}

void status_number(json_t *o, const char *name, uint64_t n)
{
    status_set(o, name, json_integer((json_int_t)MIN(n, (uint64_t)INT64_MAX)));
}

void status_real(json_t *o, const char *name, double n)
{
    status_set(o, name, json_real((double)(int64_t)(n * 100 + 0.5) / 100));
}

void status_time(json_t *o, const char *name, int64_t wall_ms)
{
    char text[CLOCK_RFC3339_MAX];
    status_set(o, name, json_string(clock_rfc3339(wall_ms, text)));
}

char *status_finish(json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15)); /* 0.42 */
    json_decref(o);
    return text;
}

/* Events. */

/* RIOT_REASON of the journal is `reason` here. */
static void set_field(json_t *o, const struct log_field *f)
{
    const struct log_field_row *row = &log_fields[f->id];
    const char *from = row->name + strlen("RIOT_");
    char name[64];
    size_t i = 0;

    if (!log_field_known(f))
        return;
    for (; from[i] && i < sizeof(name) - 1; i++)
        name[i] = (char)tolower((unsigned char)from[i]);
    name[i] = '\0';
    if (row->is_number)
        status_number(o, name, f->number);
    else
        status_text(o, name, f->text);
}

char *status_log_event(uint64_t seq, const struct log_entry *e)
{
    json_t *o = json_object();
    status_number(o, "seq", seq);
    status_time(o, "time", e->wall_ms);
    status_text(o, "event", e->event);
    status_text(o, "priority", log_level_name(e->level));
    status_text(o, "state", e->state);
    status_text(o, "text", e->text);
    for (const struct log_field *f = e->fields; f && f->id != FIELD_END; f++)
        set_field(o, f);
    return status_finish(o);
}

char *status_operation_event(uint64_t seq, const char *event, const struct operation *op)
{
    json_t *o = json_object();
    status_number(o, "seq", seq);
    status_time(o, "time", op->ended ? op->ended_ms : op->started_ms);
    status_text(o, "event", event);
    status_text(o, "priority", log_level_name(SINK_INFO));
    status_number(o, "operation", op->id);
    status_text(o, "verb", op->verb);
    if (op->ended) {
        status_text(o, "result", op->result);
        status_number(o, "exit_code", op->exit_code);
    }
    status_text(o, "text", op->text);
    return status_finish(o);
}

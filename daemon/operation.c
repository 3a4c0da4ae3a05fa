#include "daemon/operation.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/core/clock.h"

struct operations {
    struct operations_events ev;
    void *arg;
    uint64_t last_id;
    struct operation at[OPERATIONS_KEPT];
};

int operations_new(const struct operations_events *ev, void *arg, struct operations **ret)
{
    struct operations *o = calloc(1, sizeof(*o));
    if (!o)
        return -ENOMEM;
    o->ev = *ev;
    o->arg = arg;
    *ret = o;
    return 0;
}

struct operations *operations_free(struct operations *o)
{
    free(o);
    return NULL;
}

/* A free place, else that of the ended operation that is the oldest. */
static struct operation *place(struct operations *o)
{
    struct operation *oldest = NULL;

    for (size_t i = 0; i < OPERATIONS_KEPT; i++) {
        struct operation *op = &o->at[i];
        if (!op->id)
            return op;
        if (op->ended && (!oldest || op->id < oldest->id))
            oldest = op;
    }
    return oldest;
}

int operation_begin(struct operations *o, const char *verb, uint64_t *ret_id)
{
    struct operation *op = place(o);
    if (!op)
        return -EBUSY;
    *op = (struct operation){.id = ++o->last_id, .verb = verb, .started_ms = clock_wall_ms()};
    *ret_id = op->id;
    return 0;
}

static struct operation *running(struct operations *o, uint64_t id)
{
    for (size_t i = 0; id && i < OPERATIONS_KEPT; i++)
        if (o->at[i].id == id && !o->at[i].ended)
            return &o->at[i];
    return NULL;
}

void operation_text(struct operations *o, uint64_t id, const char *format, ...)
{
    struct operation *op = running(o, id);
    va_list args;

    if (!op)
        return;
    va_start(args, format);
    vsnprintf(op->text, sizeof(op->text), format, args);
    va_end(args);
}

void operation_end(struct operations *o, uint64_t id, const char *result, enum ctl_exit exit_code,
                   const char *format, ...)
{
    struct operation *op = running(o, id);
    va_list args;

    if (!op)
        return;
    va_start(args, format);
    vsnprintf(op->text, sizeof(op->text), format, args);
    va_end(args);
    op->ended = true;
    op->ended_ms = clock_wall_ms();
    op->result = result;
    op->exit_code = exit_code;
    o->ev.ended(op, o->arg);
}

void operations_each(const struct operations *o, void (*fn)(const struct operation *borrowed, void *arg),
                     void *arg)
{
    for (uint64_t after = 0;;) {
        const struct operation *next = NULL;
        for (size_t i = 0; i < OPERATIONS_KEPT; i++) {
            const struct operation *op = &o->at[i];
            if (op->id > after && (!next || op->id < next->id))
                next = op;
        }
        if (!next)
            return;
        fn(next, arg);
        after = next->id;
    }
}

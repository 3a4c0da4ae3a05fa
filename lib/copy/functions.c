/* functions.c - see functions.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/copy/functions.h"
#include "lib/copy/libraries.h"

struct functions {
    bool merge, busy;
    struct conn *target;
    const struct conn *asked; /* whose answer is due: one at a time */
    struct buf dump;          /* the source's */
    bool source_none;         /* the source has no FUNCTION command */
    functions_fn *fn;
    void *arg;
};

int functions_new(bool merge, struct functions **ret)
{
    struct functions *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->merge = merge;
    buf_init(&f->dump, 64 * MIB);
    *ret = f;
    return 0;
}

struct functions *functions_free(struct functions *f)
{
    if (!f)
        return NULL;
    buf_free(&f->dump);
    free(f);
    return NULL;
}

bool functions_busy(const struct functions *f)
{
    return f->busy;
}

static void finish(struct functions *f, enum functions_result result, const char *text)
{
    f->busy = false;
    buf_free(&f->dump);
    f->fn(result, text, f->arg);
}

static void finish_refused(struct functions *f, const struct reply *r)
{
    char text[200];
    finish(f, FUNCTIONS_REFUSED, bytes_escape(r->text, text, sizeof(text)));
}

static bool unknown_command(const struct reply *r)
{
    return r->type == REPLY_ERROR && bytes_starts(r->text, "ERR unknown command");
}

static void on_restored(struct conn *c, const struct reply *r, void *arg)
{
    struct functions *f = arg;
    (void)c;
    if (reply_is_ok(r))
        finish(f, FUNCTIONS_COPIED, NULL);
    else
        finish_refused(f, r);
}

/* When merging, what the target has besides is its own. */
static bool same(const struct functions *f, struct bytes target)
{
    struct bytes source = buf_bytes(&f->dump);
    return libraries_within(source, target) && (f->merge || libraries_within(target, source));
}

static void on_target_dump(struct conn *c, const struct reply *r, void *arg)
{
    struct functions *f = arg;
    struct bytes dump = {0};
    bool source_has = buf_len(&f->dump) > LIBRARIES_FOOTER;

    if (unknown_command(r) && !source_has) {
        finish(f, FUNCTIONS_EQUAL, NULL);
        return;
    }
    if (!reply_text(r, &dump)) {
        finish_refused(f, r);
        return;
    }
    if (f->source_none || same(f, dump)) {
        finish(f, FUNCTIONS_EQUAL, NULL);
        return;
    }
    const struct bytes argv[] = {BYTES("FUNCTION"), BYTES("RESTORE"), buf_bytes(&f->dump),
                                 f->merge ? BYTES("REPLACE") : BYTES("FLUSH")};
    f->asked = c;
    if (conn_call(c, ARRAY_LEN(argv), argv, on_restored, f) < 0)
        finish(f, FUNCTIONS_LOST, NULL);
}

static void on_source_dump(struct conn *c, const struct reply *r, void *arg)
{
    struct functions *f = arg;
    struct bytes dump = {0};
    (void)c;

    f->source_none = unknown_command(r);
    if (!reply_text(r, &dump) && !f->source_none) {
        finish_refused(f, r);
        return;
    }
    if (buf_append(&f->dump, dump.ptr, dump.len) < 0) {
        finish(f, FUNCTIONS_REFUSED, "the libraries are too large");
        return;
    }
    f->asked = f->target;
    if (conn_call_words(f->target, on_target_dump, f, "FUNCTION DUMP") < 0)
        finish(f, FUNCTIONS_LOST, NULL);
}

int functions_copy(struct functions *f, struct conn *source, struct conn *target, functions_fn *fn, void *arg)
{
    if (f->busy)
        return -EBUSY;
    if (!conn_is_up(target))
        return -ENOTCONN;
    int err = conn_call_words(source, on_source_dump, f, "FUNCTION DUMP");
    if (err)
        return err;
    f->busy = true;
    f->asked = source;
    f->target = target;
    f->fn = fn;
    f->arg = arg;
    return 0;
}

void functions_dropped(struct functions *f, const struct conn *c)
{
    if (f->busy && f->asked == c)
        finish(f, FUNCTIONS_LOST, NULL);
}

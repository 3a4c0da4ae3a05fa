/* functions.c - see functions.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/copy/functions.h"
#include "lib/copy/libraries.h"

struct functions {
    bool merge, busy;
    struct conn *target;
    char target_run_id[RUN_ID_MAX]; /* as it was when the copy began: no other server may be written to */
    const struct conn *asked;       /* whose answer is due: one at a time */
    struct buf dump;                /* the source's */
    bool source_none;               /* the source has no FUNCTION command */
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

/* One more request to the target, unless another server answers there by now. */
static void ask_target(struct functions *f, size_t argc, const struct bytes *argv, conn_reply_fn *fn)
{
    f->asked = f->target;
    if (!f->target || !conn_is_up(f->target) ||
        strcmp(conn_server(f->target)->run_id, f->target_run_id) != 0) {
        finish(f, FUNCTIONS_LOST, NULL);
        return;
    }
    int err = conn_call(f->target, argc, argv, fn, f);
    if (err == -ENOBUFS)
        finish(f, FUNCTIONS_REFUSED, "the libraries are too large");
    else if (err)
        finish(f, FUNCTIONS_LOST, NULL);
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
    (void)c;
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
    ask_target(f, ARRAY_LEN(argv), argv, on_restored);
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
    const struct bytes argv[] = {BYTES("FUNCTION"), BYTES("DUMP")};
    ask_target(f, ARRAY_LEN(argv), argv, on_target_dump);
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
    memcpy(f->target_run_id, conn_server(target)->run_id, sizeof(f->target_run_id));
    f->fn = fn;
    f->arg = arg;
    return 0;
}

void functions_dropped(struct functions *f, const struct conn *c)
{
    if (!f->busy)
        return;
    if (f->asked == c)
        finish(f, FUNCTIONS_LOST, NULL);
    else if (f->target == c)
        f->target = NULL; /* the source's answer is still to come */
}

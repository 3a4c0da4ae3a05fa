#include "lib/rdb/payload_impl.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/rdb/crc64.h"

#define MEMORY_MAX (1 * MIB)
#define VERSION    2 /* bytes of the footer, little endian; then the checksum of all before it */

int payload_new(const struct payload_options *opt, payload_fn *fn, void *arg, struct payload **ret)
{
    struct payload *p = malloc(sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->fn = fn;
    p->arg = arg;
    p->valkey = opt->valkey;
    p->begun = false;
    p->error = -EBADMSG; /* until one begins */
    memset(&p->event, 0, sizeof(p->event));
    buf_init(&p->entries.names, opt->memory_max ? opt->memory_max : MEMORY_MAX);
    *ret = p;
    return 0;
}

struct payload *payload_free(struct payload *p)
{
    if (p) {
        buf_free(&p->entries.names);
        free(p);
    }
    return NULL;
}

int payload_begin(struct payload *p, uint64_t length)
{
    p->begun = false;
    p->error = length > FOOTER ? 0 : -EBADMSG;
    if (p->error)
        return p->error;
    p->body_left = length - FOOTER;
    p->footer_left = FOOTER;
    p->crc = 0;
    p->step = NULL;
    p->loop = NULL;
    cursor_reset(&p->in);
    string_begin(p);
    entries_reset(p);
    return 0;
}

/* A value that is not decoded is still summed. */
static bool is_passed_over(const struct payload *p)
{
    return p->error == -EOPNOTSUPP && p->begun && !p->step;
}

static int begin_type(struct payload *p)
{
    p->first = *p->in.p++;
    p->begun = true;
    p->step = steps_of(p->first, p->valkey);
    return p->step ? 0 : -EOPNOTSUPP;
}

static int feed_body(struct payload *p, struct bytes part)
{
    int e = 0;

    p->crc = crc64(p->crc, part.ptr, part.len);
    p->body_left -= part.len;
    if (p->error)
        return p->error;
    cursor_feed(&p->in, part);
    if (!p->begun)
        e = begin_type(p);
    if (!e)
        e = steps_run(p);
    return e == MORE ? 0 : e;
}

static void feed_footer(struct payload *p, struct bytes part)
{
    memcpy(p->footer + FOOTER - p->footer_left, part.ptr, part.len);
    p->footer_left -= part.len;
}

int payload_feed(struct payload *p, struct bytes part)
{
    size_t body = (size_t)MIN((uint64_t)part.len, p->body_left);
    struct bytes footer = {part.ptr + body, part.len - body};

    if (p->error && !is_passed_over(p))
        return p->error;
    if (body)
        p->error = feed_body(p, bytes_of(part.ptr, body));
    if (p->error && !is_passed_over(p))
        return p->error;
    if (footer.len > p->footer_left)
        return p->error = -EBADMSG;
    if (footer.len)
        feed_footer(p, footer);
    return p->error;
}

int payload_end(struct payload *p)
{
    uint64_t sum = read_le(p->footer + VERSION, FOOTER - VERSION);

    if (p->error && !is_passed_over(p))
        return p->error;
    if (p->body_left || p->footer_left || (p->step && !steps_are_done(p)))
        return p->error = -EBADMSG;
    if (sum && sum != crc64(p->crc, p->footer, VERSION))
        return p->error = -EBADMSG;
    return p->error;
}

enum rdb_type payload_type(const struct payload *p)
{
    return p->begun ? rdb_type_of(p->first) : RDB_UNKNOWN;
}

unsigned payload_version(const struct payload *p)
{
    return (unsigned)read_le(p->footer, VERSION);
}

/* resp.c - libFuzzer over the RESP tokenizer and the parser of requests.
 *
 * clang -std=c11 -g -I. -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined tests/fuzz/resp.c lib/core/resp.c
 *
 * The first byte cuts the rest: it is fed in steps of that many bytes. What the tokenizer makes of it must
 * not depend on the cuts, which is checked by reading the input in one piece as well.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/resp.h"

#define WHOLE     16
#define BULK_MAX  4096
#define ARRAY_MAX 64
#define ARGS_MAX  8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a stream was read as, without the cuts. */
struct summary {
    uint64_t tokens, replies, number, bytes;
    uint64_t
        open; /* of a bulk that has not ended: how much of it is given before a bad end depends on the cuts */
    int end;
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void add(struct summary *s, const struct resp_token *t, struct bytes was, struct bytes in)
{
    require(in.len < was.len && in.ptr + in.len == was.ptr + was.len);
    require(t->depth <= RESP_DEPTH_MAX);
    s->replies += t->last;
    for (size_t i = 0; i < t->text.len; i++)
        s->bytes = s->bytes * 31 + (unsigned char)t->text.ptr[i];
    if (t->type == RESP_BULK_PART) {
        require(t->text.len && t->text.len + (uint64_t)t->number == s->open);
        s->open = (uint64_t)t->number;
        return;
    }
    require(!s->open);
    s->open = t->type == RESP_BULK_START ? (uint64_t)t->number : 0;
    s->tokens++;
    s->number = s->number * 31 + (uint64_t)t->number + (uint64_t)t->type + t->depth * 7;
}

/* A copy of exactly the bytes that are there, so that a read beyond them is seen. */
static void read_copy(struct resp *r, const uint8_t *from, size_t len, size_t *ret_left, struct summary *s)
{
    char *copy = malloc(len ? len : 1);
    struct bytes in = {copy, len}, was;
    struct resp_token t;

    if (len)
        memcpy(copy, from, len);
    do {
        was = in;
        s->end = resp_next(r, &in, &t);
        if (!s->end)
            add(s, &t, was, in);
    } while (!s->end);
    require(s->end == -EAGAIN || s->end == -EBADMSG);
    *ret_left = in.len;
    free(copy);
}

static struct summary tokenize(const uint8_t *data, size_t size, size_t step)
{
    struct summary s = {.end = -EAGAIN};
    size_t from = 0, to = 0, left;
    struct resp r;

    resp_init(&r, WHOLE, BULK_MAX, ARRAY_MAX);
    while (s.end == -EAGAIN && to < size) {
        to += MIN(step, size - to);
        read_copy(&r, data + from, to - from, &left, &s);
        from = to - left;
    }
    return s;
}

static void requests(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    struct bytes in = {copy, size}, argv[ARGS_MAX];
    char scratch[32];
    size_t argc, sum = 0;
    int e = 0;

    if (size)
        memcpy(copy, data, size);
    while (!e) {
        struct bytes was = in;
        e = resp_request(&in, argv, ARGS_MAX, scratch, sizeof(scratch), &argc);
        if (e)
            break;
        require(argc <= ARGS_MAX && in.len < was.len);
        for (size_t i = 0; i < argc; i++)
            for (size_t j = 0; j < argv[i].len; j++)
                sum += (unsigned char)argv[i].ptr[j];
    }
    require(e == -EAGAIN || e == -EBADMSG || e == -E2BIG);
    require(sum <= size * 255);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    size_t step = data[0] ? data[0] : 1;
    struct summary cut = tokenize(data + 1, size - 1, step), whole = tokenize(data + 1, size - 1, SIZE_MAX);
    require(cut.end == whole.end && cut.tokens == whole.tokens && cut.replies == whole.replies);
    require(cut.number == whole.number);
    require(cut.end == -EBADMSG || (cut.bytes == whole.bytes && cut.open == whole.open));
    requests(data + 1, size - 1);
    return 0;
}

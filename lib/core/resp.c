#include "lib/core/resp.h"

#include <errno.h>
#include <string.h>

#define CRLF       2
#define NUMBER_MAX 19 /* digits: any that many fit in 64 bits without a sign */
#define HEX_DIGITS 2
/* Of a number: any that many fit in 63 bits. Its line is no longer than that, with kind, sign and CRLF. */
#define QUICK_DIGITS 18
#define QUICK_LEN    (1 + 1 + QUICK_DIGITS + CRLF)
#define OK           "+OK\r\n" /* what nearly all lines are */

void resp_init(struct resp *r, size_t whole, uint64_t bulk_max, uint64_t array_max)
{
    *r = (struct resp){.whole = MIN(whole, bulk_max), .bulk_max = bulk_max, .array_max = array_max};
}

static inline bool is_crlf(const char *p)
{
    return memcmp(p, "\r\n", CRLF) == 0;
}

/* The number and CRLF at p. *ret_next is what follows them. */
static inline int read_number(const char *p, const char *end, int64_t *ret, const char **ret_next)
{
    uint64_t n = 0;
    bool negative = p < end && *p == '-';

    p += negative;
    const char *first = p, *most = end - p > NUMBER_MAX ? p + NUMBER_MAX : end;
    for (unsigned digit; p < most && (digit = (unsigned char)*p - (unsigned)'0') <= 9; p++)
        n = n * 10 + digit;
    if (p == end)
        return -EAGAIN;
    if (p == first || *p != '\r' || n > (uint64_t)INT64_MAX + negative)
        return -EBADMSG;
    if (p + 1 == end)
        return -EAGAIN;
    if (p[1] != '\n')
        return -EBADMSG;
    *ret = negative ? (int64_t)(0 - n) : (int64_t)n;
    *ret_next = p + CRLF;
    return 0;
}

static inline void advance(struct bytes *in, const char *to)
{
    in->len -= (size_t)(to - in->ptr);
    in->ptr = to;
}

/* A reply, or an element of one, is complete: closes the arrays that it completes. Returns whether the whole
 * reply is. */
static inline bool complete(struct resp *r)
{
    while (r->depth && !--r->left[r->depth - 1])
        r->depth--;
    return !r->depth;
}

static inline int give(struct resp *r, struct resp_token *ret, enum resp_type type, int64_t number,
                       struct bytes text)
{
    ret->type = type;
    ret->depth = r->depth;
    ret->number = number;
    ret->text = text;
    ret->last = complete(r);
    return 0;
}

static int next_line(struct resp *r, struct bytes *in, enum resp_type type, struct resp_token *ret)
{
    const char *text = in->ptr + 1, *end = in->ptr + in->len;
    const char *cr = memchr(text, '\r', in->len - 1);
    size_t len = (size_t)((cr ? cr : end) - text);

    if (len > RESP_LINE_MAX || memchr(text, '\n', len))
        return -EBADMSG;
    if (!cr || cr + 1 == end)
        return -EAGAIN;
    if (cr[1] != '\n')
        return -EBADMSG;
    advance(in, cr + CRLF);
    return give(r, ret, type, 0, bytes_of(text, len));
}

static inline int next_array(struct resp *r, struct bytes *in, const char *next, int64_t n,
                             struct resp_token *ret)
{
    struct bytes none = {NULL, 0};

    if (n < -1 || (n > 0 && ((uint64_t)n > r->array_max || r->depth == RESP_DEPTH_MAX)))
        return -EBADMSG;
    advance(in, next);
    if (n <= 0)
        return give(r, ret, n ? RESP_NIL : RESP_ARRAY, 0, none);
    *ret = (struct resp_token){.type = RESP_ARRAY, .depth = r->depth, .number = n};
    r->left[r->depth++] = (uint64_t)n;
    return 0;
}

static inline int next_bulk(struct resp *r, struct bytes *in, const char *next, int64_t n,
                            struct resp_token *ret)
{
    size_t have = in->len - (size_t)(next - in->ptr);

    if (n < -1 || (n > 0 && (uint64_t)n > r->bulk_max))
        return -EBADMSG;
    if (n == -1) {
        advance(in, next);
        return give(r, ret, RESP_NIL, 0, bytes_of(NULL, 0));
    }
    uint64_t len = (uint64_t)n;
    if (len > r->whole) {
        advance(in, next);
        r->part = len + CRLF;
        *ret = (struct resp_token){.type = RESP_BULK_START, .depth = r->depth, .number = n};
        return 0;
    }
    if (have < len + CRLF)
        return -EAGAIN;
    if (!is_crlf(next + len))
        return -EBADMSG;
    advance(in, next + len + CRLF);
    return give(r, ret, RESP_BULK, n, bytes_of(next, (size_t)len));
}

/* The last byte of a bulk is held back until its CRLF is in: so the part that ends it has been checked, and
 * is never empty. */
static int next_part(struct resp *r, struct bytes *in, struct resp_token *ret)
{
    const char *from = in->ptr;
    uint64_t body = r->part - CRLF;

    if (in->len >= r->part) {
        if (!is_crlf(from + body))
            return -EBADMSG;
        advance(in, from + r->part);
        r->part = 0;
        return give(r, ret, RESP_BULK_PART, 0, bytes_of(from, (size_t)body));
    }
    size_t len = (size_t)MIN((uint64_t)in->len, body - 1);
    if (!len)
        return -EAGAIN;
    advance(in, from + len);
    r->part -= len;
    *ret = (struct resp_token){
        .type = RESP_BULK_PART,
        .depth = r->depth,
        .number = (int64_t)(body - len),
        .text = {from, len},
    };
    return 0;
}

static inline int next_token(struct resp *r, struct bytes *in, struct resp_token *ret)
{
    const char *next;
    char kind = in->ptr[0];
    int64_t n;

    if (kind == '+' && in->len >= strlen(OK) && memcmp(in->ptr, OK, strlen(OK)) == 0) {
        struct bytes text = {in->ptr + 1, strlen("OK")};
        advance(in, in->ptr + strlen(OK));
        return give(r, ret, RESP_SIMPLE, 0, text);
    }
    if (kind != '$' && kind != ':' && kind != '*') {
        bool line = kind == '+' || kind == '-';
        return line ? next_line(r, in, kind == '+' ? RESP_SIMPLE : RESP_ERROR, ret) : -EBADMSG;
    }
    int e = read_number(in->ptr + 1, in->ptr + in->len, &n, &next);
    if (e)
        return e;
    if (kind == '$')
        return next_bulk(r, in, next, n, ret);
    if (kind == '*')
        return next_array(r, in, next, n, ret);
    advance(in, next);
    return give(r, ret, RESP_INTEGER, n, bytes_of(NULL, 0));
}

/* Of the number and CRLF at p, what follows them. NULL: it is none, or a long one. So many bytes are there.
 */
static inline const char *quick_number(const char *p, uint64_t *ret)
{
    const char *first = p;
    uint64_t n = 0;

    for (unsigned digit; p < first + QUICK_DIGITS && (digit = (unsigned char)*p - (unsigned)'0') <= 9; p++)
        n = n * 10 + digit;
    *ret = n;
    return p > first && is_crlf(p) ? p + CRLF : NULL;
}

/* What nearly all tokens are, in few steps: a number, or a bulk that may come as a whole, and is in. What is
 * anything else, or wrong, is left as it is: false. */
static inline bool next_quick(struct resp *r, struct bytes *in, struct resp_token *ret)
{
    const char *p = in->ptr, *end = p + in->len;
    struct bytes none = {NULL, 0};
    uint64_t n;

    if (*p == '$') {
        p = quick_number(p + 1, &n);
        if (!p || n > r->whole || (size_t)(end - p) < n + CRLF || !is_crlf(p + n))
            return false;
        *in = bytes_of(p + n + CRLF, (size_t)(end - p) - n - CRLF);
        return give(r, ret, RESP_BULK, (int64_t)n, bytes_of(p, (size_t)n)) == 0;
    }
    bool negative = p[1] == '-';
    p = *p == ':' ? quick_number(p + 1 + negative, &n) : NULL;
    if (!p)
        return false;
    *in = bytes_of(p, (size_t)(end - p));
    return give(r, ret, RESP_INTEGER, negative ? -(int64_t)n : (int64_t)n, none) == 0;
}

static NOINLINE int next_any(struct resp *r, struct bytes *in, struct resp_token *ret)
{
    if (r->bad)
        return -EBADMSG;
    if (!in->len)
        return -EAGAIN;
    int e = r->part ? next_part(r, in, ret) : next_token(r, in, ret);
    if (e == -EBADMSG)
        r->bad = true;
    return e;
}

int resp_next(struct resp *r, struct bytes *in, struct resp_token *ret)
{
    bool plain = !r->bad && !r->part && in->len >= QUICK_LEN;

    return plain && next_quick(r, in, ret) ? 0 : next_any(r, in, ret);
}

static int request_array(struct bytes *in, struct bytes *argv, size_t max, size_t *ret_argc)
{
    const char *p = in->ptr + 1, *end = in->ptr + in->len;
    int64_t count, len;

    int e = read_number(p, end, &count, &p);
    if (e)
        return e;
    if (count < -1)
        return -EBADMSG;
    if (count > 0 && (uint64_t)count > max)
        return -E2BIG;
    for (int64_t i = 0; i < count; i++) {
        if (p == end)
            return -EAGAIN;
        if (*p != '$')
            return -EBADMSG;
        e = read_number(p + 1, end, &len, &p);
        if (e)
            return e;
        if (len < 0)
            return -EBADMSG;
        if (end - p < CRLF || len > end - p - CRLF)
            return -EAGAIN;
        if (!is_crlf(p + len))
            return -EBADMSG;
        argv[i] = bytes_of(p, (size_t)len);
        p += len + CRLF;
    }
    advance(in, p);
    *ret_argc = count > 0 ? (size_t)count : 0;
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* What the escape at p (behind its backslash, before end) stands for. Returns what follows it. */
static const char *unescape(const char *p, const char *end, char *ret)
{
    static const char names[] = "nrtba", values[] = "\n\r\t\b\a";

    if (*p == 'x' && end - p > HEX_DIGITS && hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0) {
        *ret = (char)(hex_value(p[1]) << 4 | hex_value(p[2]));
        return p + 1 + HEX_DIGITS;
    }
    const char *at = memchr(names, *p, sizeof(names) - 1);
    *ret = at ? values[at - names] : *p;
    return p + 1;
}

struct words {
    const char *p, *end;
    char *to, *to_end;
};

static int put(struct words *w, char c)
{
    if (w->to == w->to_end)
        return -E2BIG;
    *w->to++ = c;
    return 0;
}

/* What stands between the quote at w->p and its partner, which must end the word. */
static int take_quoted(struct words *w)
{
    char quote = *w->p++;

    while (w->p < w->end && *w->p != quote) {
        char c = *w->p++;
        if (c == '\\' && w->p < w->end && quote == '"')
            w->p = unescape(w->p, w->end, &c);
        else if (c == '\\' && w->p < w->end && *w->p == '\'')
            c = *w->p++;
        int e = put(w, c);
        if (e)
            return e;
    }
    if (w->p == w->end || (w->p + 1 < w->end && !is_blank(w->p[1])))
        return -EBADMSG;
    w->p++;
    return 0;
}

/* A word without quotes is a slice of the line. From its first quote on, it is put together in scratch. */
static int take_word(struct words *w, struct bytes *ret)
{
    const char *from = w->p;

    while (w->p < w->end && !is_blank(*w->p) && *w->p != '"' && *w->p != '\'')
        w->p++;
    size_t plain = (size_t)(w->p - from);
    if (w->p == w->end || is_blank(*w->p)) {
        *ret = bytes_of(from, plain);
        return 0;
    }
    char *word = w->to;
    if (plain > (size_t)(w->to_end - w->to))
        return -E2BIG;
    if (plain) {
        memcpy(w->to, from, plain);
        w->to += plain;
    }
    int e = take_quoted(w);
    if (e)
        return e;
    *ret = bytes_of(word, (size_t)(w->to - word));
    return 0;
}

static int request_inline(struct bytes *in, struct bytes *argv, size_t max, struct words *w, size_t *ret_argc)
{
    const char *nl = memchr(in->ptr, '\n', in->len);
    size_t argc = 0;

    if (!nl)
        return -EAGAIN;
    w->p = in->ptr;
    w->end = nl > in->ptr && nl[-1] == '\r' ? nl - 1 : nl;
    for (;;) {
        while (w->p < w->end && is_blank(*w->p))
            w->p++;
        if (w->p == w->end)
            break;
        if (argc == max)
            return -E2BIG;
        int e = take_word(w, &argv[argc]);
        if (e)
            return e;
        argc++;
    }
    advance(in, nl + 1);
    *ret_argc = argc;
    return 0;
}

int resp_request(struct bytes *in, struct bytes *argv, size_t max, char *scratch, size_t scratch_cap,
                 size_t *ret_argc)
{
    if (!in->len)
        return -EAGAIN;
    if (in->ptr[0] == '*')
        return request_array(in, argv, max, ret_argc);
    struct words w = {.to = scratch, .to_end = scratch_cap ? scratch + scratch_cap : scratch};
    return request_inline(in, argv, max, &w, ret_argc);
}

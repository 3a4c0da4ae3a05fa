#include "lib/core/text.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SECOND_MS ((uint64_t)1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

#define WORD_MAX 64 /* of text_distance() */

struct unit {
    const char *name;
    uint64_t factor;
};

/* The largest first: the exact formatters take the first that divides. */
static const struct unit durations[] = {
    {"d", DAY_MS}, {"h", HOUR_MS}, {"m", MINUTE_MS}, {"s", SECOND_MS}, {"ms", 1}, {NULL, 0},
};

static const struct unit sizes[] = {
    {"TiB", (uint64_t)1 << 40},
    {"GiB", (uint64_t)1 << 30},
    {"MiB", (uint64_t)1 << 20},
    {"KiB", (uint64_t)1 << 10},
    {"", 1},
    {"B", 1},
    {NULL, 0},
};

static int to_number(struct bytes b, const struct unit *units, uint64_t *ret)
{
    size_t digits = 0;
    uint64_t n;

    while (digits < b.len && b.ptr[digits] >= '0' && b.ptr[digits] <= '9')
        digits++;
    struct bytes name = {b.ptr + digits, b.len - digits};
    while (units->name && !bytes_is(name, units->name))
        units++;
    if (!units->name)
        return -EINVAL;
    int r = bytes_to_u64(bytes_of(b.ptr, digits), &n);
    if (r)
        return r;
    if (n > UINT64_MAX / units->factor)
        return -ERANGE;
    *ret = n * units->factor;
    return 0;
}

int text_to_ms(struct bytes b, uint64_t *ret_ms)
{
    if (bytes_is(b, "0")) {
        *ret_ms = 0;
        return 0;
    }
    return b.len ? to_number(b, durations, ret_ms) : -EINVAL;
}

int text_to_size(struct bytes b, uint64_t *ret_bytes)
{
    return b.len ? to_number(b, sizes, ret_bytes) : -EINVAL;
}

static const char *two_units(uint64_t n, const struct unit *big, char *out)
{
    unsigned long long whole = n / big->factor, rest = n % big->factor / big[1].factor;

    if (rest)
        snprintf(out, TEXT_MAX, "%llu%s %llu%s", whole, big->name, rest, big[1].name);
    else
        snprintf(out, TEXT_MAX, "%llu%s", whole, big->name);
    return out;
}

const char *text_ms(uint64_t ms, char out[TEXT_MAX])
{
    const struct unit *unit = durations;

    if (ms >= MINUTE_MS) {
        while (ms < unit->factor)
            unit++;
        return two_units(ms, unit, out);
    }
    unsigned long long tenths = ms % SECOND_MS / 100;
    if (ms < SECOND_MS)
        snprintf(out, TEXT_MAX, "%llums", (unsigned long long)ms);
    else if (tenths)
        snprintf(out, TEXT_MAX, "%llu.%llus", (unsigned long long)(ms / SECOND_MS), tenths);
    else
        snprintf(out, TEXT_MAX, "%llus", (unsigned long long)(ms / SECOND_MS));
    return out;
}

const char *text_size(uint64_t bytes, char out[TEXT_MAX])
{
    const struct unit *unit = sizes;

    while (unit->factor > 1 && bytes < unit->factor)
        unit++;
    if (unit->factor == 1) {
        snprintf(out, TEXT_MAX, "%llu B", (unsigned long long)bytes);
        return out;
    }
    unsigned long long whole = bytes / unit->factor;
    unsigned tenths = (unsigned)((double)(bytes % unit->factor) * 10 / (double)unit->factor);
    snprintf(out, TEXT_MAX, "%llu.%u %s", whole, tenths, unit->name);
    return out;
}

const char *text_count(uint64_t n, char out[TEXT_MAX])
{
    char digits[TEXT_MAX];
    size_t len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
    char *to = out;

    for (size_t i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

static const char *exact(uint64_t n, const struct unit *unit, char *out)
{
    while (n % unit->factor)
        unit++;
    snprintf(out, TEXT_MAX, "%llu%s", (unsigned long long)(n / unit->factor), n ? unit->name : "");
    return out;
}

const char *text_ms_exact(uint64_t ms, char out[TEXT_MAX])
{
    return exact(ms, durations, out);
}

const char *text_size_exact(uint64_t bytes, char out[TEXT_MAX])
{
    return exact(bytes, sizes, out);
}

/* Levenshtein's distance, by rows. */
unsigned text_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    unsigned row[WORD_MAX + 1];

    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return UINT_MAX;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            unsigned moved = MIN(row[j], row[j - 1]) + 1;
            row[j] = MIN(replaced, moved);
        }
    }
    return row[b_len];
}

void text_cut(char *text, size_t cap)
{
    size_t end = cap - 4;
    while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    memcpy(text + end, "...", 4);
}

int text_refuse(char *out, size_t cap, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(out, cap, format, args);
    va_end(args);
    return err;
}

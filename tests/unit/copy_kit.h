/* copy_kit.h - for the tests of lib/copy: keys outside of a dirty set, and a story: what was told, in order,
 * one line each, to be compared as text. Static functions, since each test program is one file.
 */
#ifndef RIOT_COPY_KIT_H
#define RIOT_COPY_KIT_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/copy/dirty.h"
#include "tests/unit/redis_fake.h"

#define KIT_UNUSED   __attribute__((unused))
#define KIT_KEYS_MAX 8192

static struct {
    struct dirty_key *keys[KIT_KEYS_MAX];
    size_t nkeys;
    char text[65536];
    size_t len;
    size_t lines; /* since the last kit_expect(): something to wait for */
} kit;

KIT_UNUSED static struct dirty_key *kit_key(int db, const char *name)
{
    size_t len = strlen(name);
    struct dirty_key *k = calloc(1, sizeof(*k) + len);

    ck_assert_uint_lt(kit.nkeys, KIT_KEYS_MAX);
    ck_assert_ptr_nonnull(k);
    k->db = db;
    k->len = (uint32_t)len;
    k->place = DIRTY_IN_FLIGHT;
    memcpy(k->key, name, len);
    kit.keys[kit.nkeys++] = k;
    return k;
}

KIT_UNUSED PRINTF_LIKE(1, 2) static void kit_tell(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(kit.text + kit.len, sizeof(kit.text) - kit.len, format, args);
    va_end(args);
    kit.len += (size_t)n;
    ck_assert_uint_lt(kit.len + 1, sizeof(kit.text));
    kit.text[kit.len++] = '\n';
    kit.text[kit.len] = '\0';
    kit.lines++;
}

KIT_UNUSED static const char *kit_name(const struct dirty_key *k)
{
    static char name[64];
    return bytes_escape(dirty_name(k), name, sizeof(name));
}

KIT_UNUSED static void kit_forget(void)
{
    kit.len = kit.lines = 0;
    kit.text[0] = '\0';
}

/* So many lines were told, or will be: these. */
KIT_UNUSED static void kit_expect(struct fake *f, const char *wanted)
{
    size_t lines = 0;
    for (const char *at = wanted; *at; at++)
        lines += *at == '\n';
    (void)fake_run(f, &kit.lines, lines, 60000);
    ck_assert_msg(strcmp(kit.text, wanted) == 0, "it was told:\n%sinstead of:\n%s", kit.text, wanted);
    kit_forget();
}

KIT_UNUSED static void kit_nothing(struct fake *f, unsigned ms)
{
    fake_pass(f, ms);
    ck_assert_msg(kit.lines == 0, "it was told:\n%s", kit.text);
}

KIT_UNUSED static void kit_end(void)
{
    for (size_t i = 0; i < kit.nkeys; i++)
        free(kit.keys[i]);
    kit.nkeys = 0;
    kit_forget();
}

/* "$LENGTH\r\nxxx...\r\n", of which the first `sent` bytes of the text are there; from malloc. */
KIT_UNUSED static char *kit_long_bulk(size_t length, size_t sent)
{
    char *text = malloc(length + 64);
    ck_assert_ptr_nonnull(text);
    int n = snprintf(text, 64, "$%zu\r\n", length);
    memset(text + n, 'x', sent);
    snprintf(text + (size_t)n + sent, 3, "%s", sent == length ? "\r\n" : "");
    return text;
}

#endif

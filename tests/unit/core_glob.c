/* The servers' matcher is the measure: KEYS of a real one, over random names and patterns. */
#include <stdio.h>
#include <time.h>

#include "lib/core/glob.h"
#include "lib/redis/endpoint.h"
#include "tests/unit/copy_server.h"

#define NAMES    400
#define PATTERNS 4000

static bool matches(const char *glob, const char *name)
{
    return glob_matches(bytes_str(glob), bytes_str(name));
}

START_TEST(each_sign_does_what_it_does_on_a_server)
{
    ck_assert(matches("user:*", "user:") && matches("user:*", "user:1") && !matches("user:*", "users:1"));
    ck_assert(matches("*", "") && matches("**", "x") && matches("", "") && !matches("", "x"));
    ck_assert(matches("a?c", "abc") && !matches("a?c", "ac") && !matches("?", ""));
    ck_assert(matches("[abc]x", "bx") && !matches("[abc]x", "dx") && matches("[^abc]x", "dx"));
    ck_assert(matches("[a-c]", "b") && matches("[c-a]", "b") && !matches("[a-c]", "d"));
    ck_assert(matches("\\*", "*") && !matches("\\*", "x") && matches("[\\]]", "]") && matches("\\", "\\"));
    ck_assert(matches("*a*b*c", "xxaybxxbc") && !matches("*a*b*c", "xxaybxxb"));
}
END_TEST

/* Oddities that a rewrite would smooth out. */
START_TEST(what_is_odd_there_is_odd_here)
{
    ck_assert(matches("[abc", "b") && matches("[^", "x") && !matches("[", "x") && !matches("[]a]", "a"));
    ck_assert(matches("[^]", "x") && matches("[a-]", "_") && !matches("[a-]", "-"));
}
END_TEST

START_TEST(bytes_are_bytes)
{
    const char name[] = "a\0\xff\r\n";

    ck_assert(glob_matches(bytes_of("a\0*\n", 4), bytes_of(name, 5)));
    ck_assert(!glob_matches(bytes_of("a\0*b", 4), bytes_of(name, 5)));
    ck_assert(glob_matches(bytes_of("a?[\x80-\xff]*", 8), bytes_of(name, 5)));
}
END_TEST

/* A matcher that tries every star again takes longer than the sun has. */
START_TEST(no_pattern_takes_for_ever)
{
    static char name[KEY_NAME_MAX], glob[1001];
    struct timespec a, b;

    memset(name, 'a', sizeof(name));
    for (size_t i = 0; i < sizeof(glob) - 1; i += 2)
        memcpy(glob + i, "*a", 2);
    glob[sizeof(glob) - 1] = 'b';
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    ck_assert(!glob_matches(bytes_of(glob, sizeof(glob)), bytes_of(name, sizeof(name))));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    ck_assert_int_lt(b.tv_sec - a.tv_sec, 10);
}
END_TEST

static uint64_t state = 1;

static unsigned draw(unsigned below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % below;
}

/* Few letters, and all that has a meaning in a pattern. */
static struct bytes random_text(char *out, size_t max, const char *letters, size_t n)
{
    size_t len = 1 + draw((unsigned)max);
    for (size_t i = 0; i < len; i++)
        out[i] = letters[draw((unsigned)n)];
    return bytes_of(out, len);
}

static size_t matched_here(const char names[NAMES][8], const size_t lens[NAMES], struct bytes glob)
{
    size_t n = 0;
    for (size_t i = 0; i < NAMES; i++)
        n += glob_matches(glob, bytes_of(names[i], lens[i]));
    return n;
}

/* Each that the server names must match here too, and no other. */
static void compare(struct real *r, const char names[NAMES][8], const size_t lens[NAMES], struct bytes glob)
{
    const struct bytes argv[] = {BYTES("KEYS"), glob};
    const struct reply *reply = real_request(r, 2, argv);
    char text[64];

    ck_assert_int_eq(reply->type, REPLY_ARRAY);
    for (size_t i = 0; i < reply->count; i++)
        ck_assert_msg(glob_matches(glob, reply->at[i]->text), "%s", bytes_escape(glob, text, sizeof(text)));
    ck_assert_msg(reply->count == matched_here(names, lens, glob), "%s: the server matches %zu, not %zu",
                  bytes_escape(glob, text, sizeof(text)), reply->count, matched_here(names, lens, glob));
}

/* Ranges from ASCII to beyond are left out: there a server's answer depends on its machine. */
START_TEST(a_server_says_the_same)
{
    static const char letters[] = "aabc-^]\\*?", signs[] = "aabc-^[[]]\\*?";
    char names[NAMES][8], glob[8];
    size_t lens[NAMES], n = 0;
    struct real r;

    real_begin(&r, "source");
    while (n < NAMES) {
        struct bytes name = random_text(names[n], 7, letters, sizeof(letters) - 1);
        const struct bytes argv[] = {BYTES("SETNX"), name, BYTES("")};
        lens[n] = name.len;
        n += real_request(&r, 3, argv)->integer == 1;
    }
    for (size_t i = 0; i < PATTERNS; i++)
        compare(&r, names, lens, random_text(glob, 8, signs, sizeof(signs) - 1));
    real_end(&r);
}
END_TEST

UNIT_MAIN("core/glob", each_sign_does_what_it_does_on_a_server, what_is_odd_there_is_odd_here,
          bytes_are_bytes, no_pattern_takes_for_ever, a_server_says_the_same)

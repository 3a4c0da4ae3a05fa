/* verify_kit.h - for the tests of lib/verify: two real servers in the test's own loop, and what they hold.
 * Static functions, since each test program is one file.
 */
#ifndef RIOT_VERIFY_KIT_H
#define RIOT_VERIFY_KIT_H

#include "lib/verify/compare.h"
#include "tests/unit/copy_server.h"
#include "tests/unit/redis_fake.h"

#define KIT_UNUSED __attribute__((unused))

static struct fake none; /* for its loop only */
static struct real source, target;

KIT_UNUSED static void servers_begin(void)
{
    fake_init(&none);
    real_begin(&source, "source");
    real_begin(&target, "target");
}

KIT_UNUSED static void servers_end(void)
{
    real_end(&target);
    real_end(&source);
    fake_done(&none);
}

KIT_UNUSED static void read_run_id(struct real *r, char out[RUN_ID_MAX])
{
    const char *at = strstr(real_ask(r, "INFO server"), "run_id:");
    ck_assert_ptr_nonnull(at);
    snprintf(out, RUN_ID_MAX, "%.40s", at + strlen("run_id:"));
}

/* As the library calls that server. */
KIT_UNUSED static const char *address_of(const struct real *r)
{
    static char text[2][160];
    struct endpoint e = {0};
    char *out = text[r == &target];

    ck_assert_int_eq(endpoint_node(&r->endpoint, NULL, 0, &e), 0);
    snprintf(out, sizeof(text[0]), "%s", e.url.text);
    endpoint_node_clear(&e);
    return out;
}

/* Whoever answers at the two servers is the one to be talked to. */
KIT_UNUSED static void approve_both(void (*fn)(int side, const char *address, const char *run_id))
{
    char run_id[RUN_ID_MAX];

    for (int side = 0; side < 2; side++) {
        struct real *r = side ? &target : &source;
        read_run_id(r, run_id);
        fn(side, address_of(r), run_id);
    }
}

KIT_UNUSED static void compare_options(struct compare_options *opt)
{
    *opt = (struct compare_options){.source = &source.endpoint,
                                    .target = &target.endpoint,
                                    .into_db = URL_DB_NONE,
                                    .ttl_tolerance_ms = 5,
                                    .role = "verify"};
}

/* Before 7.0. */
KIT_UNUSED static bool is_old(struct real *r)
{
    return strncmp(real_ask(r, "PEXPIRETIME nowhere"), "ERR", 3) == 0;
}

KIT_UNUSED PRINTF_LIKE(1, 2) static void on_both(const char *format, ...)
{
    char line[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    (void)real_ask(&source, "%s", line);
    (void)real_ask(&target, "%s", line);
}

KIT_UNUSED static void eval(struct real *r, const char *script)
{
    const struct bytes argv[] = {BYTES("EVAL"), bytes_str(script), BYTES("0")};
    const struct reply *reply = real_request(r, ARRAY_LEN(argv), argv);
    ck_assert_msg(reply->type != REPLY_ERROR, "%s", reply->text.ptr);
}

KIT_UNUSED static void eval_both(const char *script)
{
    eval(&source, script);
    eval(&target, script);
}

#endif

/* riotctl's command line, and the help made from its tables. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/args.h"
#include "ctl/usage.h"

static char why[REQUEST_WHY_MAX];

/* Words parted by blanks as a command line. */
static int parse(const char *line, struct args *ret)
{
    static char copy[512];
    char *argv[32] = {copy};
    int argc = 1;

    snprintf(copy, sizeof(copy), "riotctl %s", line);
    char *rest = copy;
    while ((rest = strchr(rest, ' '))) {
        *rest++ = '\0';
        if (*rest)
            argv[argc++] = rest;
    }
    why[0] = '\0';
    return args_parse(argc, argv, ret, why);
}

static void good(const char *line, struct args *ret)
{
    int e = parse(line, ret);

    ck_assert_msg(!e, "%s: %s", line, why);
}

static void bad(const char *line, const char *text)
{
    struct args a;

    ck_assert_int_eq(parse(line, &a), -EINVAL);
    ck_assert_msg(strstr(why, text) != NULL, "%s gives: %s", line, why);
}

static void check_wire(const char *line, const char *want)
{
    struct bytes argv[ARGS_WIRE_MAX];
    char have[256] = "";
    struct args a;

    good(line, &a);
    size_t argc = args_wire(&a.request, argv);
    for (size_t i = 0; i < argc; i++)
        snprintf(have + strlen(have), sizeof(have) - strlen(have), "%s%.*s", i ? " " : "", (int)argv[i].len,
                 argv[i].ptr);
    ck_assert_str_eq(have, want);
}

START_TEST(options_stand_anywhere)
{
    struct args a;

    good("-s /x/y status", &a);
    ck_assert_str_eq(a.socket, "/x/y");
    ck_assert_ptr_eq(a.request.verb, &verbs[VERB_STATUS]);
    good("status --json -n orders", &a);
    ck_assert(a.json);
    ck_assert_str_eq(a.name, "orders");
    good("-norders --socket=/s --color=never wait --for live --no-wait", &a);
    ck_assert_str_eq(a.name, "orders");
    ck_assert_str_eq(a.socket, "/s");
    ck_assert_int_eq(a.colour, COLOUR_NEVER);
    ck_assert(a.no_wait);
    good("--help", &a);
    ck_assert(a.help && !a.request.verb);
    good("wait --help", &a);
    ck_assert(a.help && a.request.verb == &verbs[VERB_WAIT]);
    good("-V", &a);
    ck_assert(a.version);
    good("status --watch", &a);
    ck_assert(a.request.values[ARG_WATCH].given);
    good("help wait", &a);
    ck_assert(bytes_is(a.request.values[ARG_VERB].text, "wait"));
    good("help -- --json", &a);
    ck_assert(!a.json && bytes_is(a.request.values[ARG_VERB].text, "--json"));
}
END_TEST

START_TEST(requests_for_the_wire)
{
    check_wire("status", "status");
    check_wire("status --watch --json", "status");
    check_wire("start --anew", "start anew yes");
    check_wire("wait --for drained --timeout 30s", "wait for drained timeout 30s");
    check_wire("wait --timeout=5m --for=live", "wait for live timeout 5m");
    check_wire("limit memory=32MiB keys-per-s=10", "limit memory 32MiB keys_per_s 10");
    check_wire("limit", "limit");
    check_wire("resume --accept source_shrank", "resume accept source_shrank");
    check_wire("STOP", "stop");
}
END_TEST

START_TEST(wrong_lines_say_why)
{
    bad("", "a verb is missing");
    bad("statsu", "did you mean 'status'?");
    bad("frobnicate", "'riotctl help' lists them");
    bad("status --jsno", "did you mean --json?");
    bad("--watch status", "those of a verb follow it");
    bad("wait --fro live", "did you mean --for?");
    bad("wait --bananas", "wait has no option --bananas");
    bad("wait", "wait needs 'for'");
    bad("wait --for", "--for needs a value");
    bad("wait --for soon", "one of idle, live, drained");
    bad("wait --for live --timeout 3", "a duration");
    bad("wait --for live --for idle", "given twice");
    bad("wait live", "wait does not take 'live'");
    bad("status --watch=yes", "takes no value");
    bad("status --json=yes", "takes no value");
    bad("status --no-wait", "no option --no-wait");
    bad("limit memory", "limit takes NAME=VALUE, not 'memory'");
    bad("limit memroy=1", "did you mean memory=VALUE?");
    bad("limit speed=1", "limit has no 'speed'");
    bad("limit memory=much", "a size");
    bad("limit --memory 32MiB", "no option --memory");
    bad("-n Orders status", "no name of a link");
    bad("-n", "-n needs a value");
    bad("-x status", "no option -x");
    bad("--color=pink status", "auto, always or never");
    bad("status now", "status does not take 'now'");
    bad("-- --json", "no verb '--json'");
}
END_TEST

START_TEST(help_is_whole_and_narrow)
{
    struct buf out;

    buf_init(&out, 64 * KIB);
    ck_assert_int_eq(usage_all(&out), 0);
    for (size_t i = 0; i < VERB_COUNT; i++)
        ck_assert_int_eq(usage_verb(&verbs[i], &out), 0);
    ck_assert_int_eq(buf_append(&out, "", 1), 0);
    struct bytes rest = buf_bytes(&out);
    for (size_t i = 0; i < VERB_COUNT; i++)
        ck_assert_ptr_nonnull(strstr(rest.ptr, verbs[i].name));
    ck_assert_ptr_nonnull(strstr(rest.ptr, "riotctl [OPTIONS] wait --for COND [--timeout T]\n"));
    ck_assert_ptr_nonnull(strstr(rest.ptr, "riotctl [OPTIONS] limit [memory=SIZE] [keys_per_s=N]"));
    ck_assert_ptr_nonnull(strstr(rest.ptr, "; default 2s\n"));
    ck_assert_ptr_nonnull(strstr(rest.ptr, "; one of\n"));
    ck_assert_ptr_nonnull(strstr(rest.ptr, "auto, acl, min-replicas, hold, none; default auto\n"));
    while (rest.len) {
        struct bytes line = bytes_cut(&rest, '\n');
        ck_assert_msg(line.len <= 80, "%.*s", (int)line.len, line.ptr);
    }
    buf_free(&out);
}
END_TEST

UNIT_MAIN("ctl/args", options_stand_anywhere, requests_for_the_wire, wrong_lines_say_why,
          help_is_whole_and_narrow)

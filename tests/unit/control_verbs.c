/* The verb table, the codes, requests against the table, and the document that tells it. */
#include "tests/unit/unit.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "daemon/cutover.h"
#include "lib/control/help.h"
#include "lib/control/request.h"

static char why[REQUEST_WHY_MAX];

/* Words parted by blanks as a request. */
static int parse(const char *line, struct request *ret)
{
    static char copy[512];
    struct bytes argv[32];
    size_t argc = 0;

    snprintf(copy, sizeof(copy), "%s", line);
    struct bytes rest = bytes_str(copy);
    while (rest.len)
        argv[argc++] = bytes_cut(&rest, ' ');
    why[0] = '\0';
    return request_parse(argv, argc, ret, why);
}

static void good(const char *line, struct request *ret)
{
    int e = parse(line, ret);

    ck_assert_msg(!e, "%s: %s", line, why);
}

static void bad(const char *line, const char *text)
{
    struct request r;

    ck_assert_int_eq(parse(line, &r), -EINVAL);
    ck_assert_msg(strstr(why, text) != NULL, "%s gives: %s", line, why);
}

static void check_text(const char *text)
{
    ck_assert_ptr_nonnull(text);
    ck_assert_msg(text[0] && !strpbrk(text, "\"\\\n\t"), "not for JSON as it is: %s", text);
}

/* It can be written as it is told. */
static void check_preset(const struct verb_arg *arg)
{
    struct request_value v = {.given = false};

    if (!arg->preset)
        return;
    check_text(arg->preset);
    ck_assert_msg(!request_value_parse(arg, bytes_str(arg->preset), &v, why), "%s: %s", arg->name, why);
}

START_TEST(table_is_complete)
{
    bool seen[ARG_COUNT] = {false};

    for (unsigned i = 0; i < VERB_COUNT; i++) {
        const struct verb *v = &verbs[i];
        ck_assert_uint_eq(v->id, i);
        check_text(v->name);
        check_text(v->help);
        for (size_t j = 0; j < v->nargs; j++) {
            const struct verb_arg *arg = &v->args[j];
            check_text(arg->name);
            check_text(arg->help);
            ck_assert(!seen[arg->id]);
            seen[arg->id] = true;
            ck_assert_int_eq(arg->kind == KIND_FLAG, !arg->placeholder);
            ck_assert_int_eq(arg->kind == KIND_CHOICE, arg->choices != NULL);
            check_preset(arg);
            for (const char *p = arg->name; *p; p++)
                ck_assert(islower((unsigned char)*p) || *p == '_');
        }
    }
    for (size_t i = 0; i < ARG_COUNT; i++)
        ck_assert(seen[i]);
}
END_TEST

static const struct verb_arg *argument(enum verb_id verb, enum verb_arg_id id)
{
    for (size_t i = 0; i < verbs[verb].nargs; i++) {
        if (verbs[verb].args[i].id == id)
            return &verbs[verb].args[i];
    }
    ck_abort_msg("%s has no such argument", verbs[verb].name);
}

/* What help says holds is what holds. */
START_TEST(presets_are_the_defaults)
{
    struct cutover_options opt;
    char rounds[16];

    snprintf(rounds, sizeof(rounds), "%d", VERIFY_ROUNDS_DEFAULT);
    ck_assert_str_eq(argument(VERB_VERIFY, ARG_ROUNDS)->preset, rounds);
    cutover_defaults(&opt);
    ck_assert_uint_eq(opt.max_lag_ms, 50);
    ck_assert_uint_eq(opt.stable_for_ms, 2000);
    ck_assert_uint_eq(opt.max_write_pause_ms, 5000);
    ck_assert_uint_eq(opt.gate_timeout_ms, 60000);
    ck_assert_int_eq(opt.fence, FENCE_AUTO);
    ck_assert_int_eq(opt.verify, CUTOVER_VERIFY_RECENT);
    ck_assert_uint_eq(opt.verify_budget_ms, 50);
    ck_assert_uint_eq(opt.hold_lease_ms, 600000);
    ck_assert_uint_eq(opt.quiet_for_ms, 5000);
    ck_assert_uint_eq(opt.sentinel_down_after_ms, 0);
    ck_assert(!opt.dry_run);
}
END_TEST

START_TEST(codes_have_exits)
{
    static const struct {
        const char *name;
        int exit;
    } want[] = {{"USAGE", 2}, {"DENIED", 4}, {"REFUSED", 6},  {"STATE", 6},
                {"BUSY", 6},  {"FAILED", 1}, {"NOTFOUND", 2}, {"TIMEOUT", 7}};
    enum code code;

    ck_assert_uint_eq(ARRAY_LEN(want), CODE_COUNT);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        ck_assert(code_parse(bytes_str(want[i].name), &code));
        ck_assert_str_eq(code_name(code), want[i].name);
        ck_assert_int_eq(code_exit(code), want[i].exit);
    }
    ck_assert(!code_parse(BYTES("ERR"), &code));
    ck_assert(!code_parse(BYTES(""), &code));
}
END_TEST

START_TEST(requests_are_read)
{
    struct request r;

    good("STATUS", &r);
    ck_assert_ptr_eq(r.verb, &verbs[VERB_STATUS]);
    good("start ANEW yes", &r);
    ck_assert_uint_eq(r.values[ARG_ANEW].number, 1);
    good("Start anew NO", &r);
    ck_assert(r.values[ARG_ANEW].given && !r.values[ARG_ANEW].number);
    good("WAIT FOR Drained TIMEOUT 30000ms", &r);
    ck_assert_uint_eq(r.values[ARG_FOR].number, WAIT_FOR_DRAINED);
    ck_assert_uint_eq(r.values[ARG_TIMEOUT].number, 30000);
    good("wait timeout 2m for live", &r);
    ck_assert_uint_eq(r.values[ARG_FOR].number, WAIT_FOR_LIVE);
    ck_assert_uint_eq(r.values[ARG_TIMEOUT].number, 120000);
    good("LIMIT memory 32MiB KEYS-PER-S 100", &r);
    ck_assert_uint_eq(r.values[ARG_MEMORY].number, 32 * MIB);
    ck_assert_uint_eq(r.values[ARG_KEYS_PER_S].number, 100);
    ck_assert(!r.values[ARG_BYTES_PER_S].given);
    good("RESUME ACCEPT source_shrank", &r);
    ck_assert(bytes_is(r.values[ARG_ACCEPT].text, "source_shrank"));
}
END_TEST

START_TEST(wrong_requests_say_why)
{
    bad("STATSU", "did you mean 'status'?");
    bad("FLUSHALL", "unknown verb 'FLUSHALL'; 'riotctl help' lists them");
    bad("REBOOT", "unknown verb 'REBOOT'");
    bad("LIST", "unknown verb");
    bad("EVENTS", "unknown verb");
    bad("STATUS WATCH yes", "no argument 'WATCH'");
    bad("WAIT FOR live TIMOUT 3s", "did you mean 'timeout'?");
    bad("WAIT FOR", "has no value");
    bad("WAIT TIMEOUT 3s", "wait needs 'for': one of idle, live, drained");
    bad("WAIT", "wait needs 'for'");
    bad("WAIT FOR lively", "one of idle, live, drained");
    bad("WAIT FOR live FOR idle", "for is given twice");
    bad("WAIT FOR live TIMEOUT 3", "a duration, such as");
    bad("WAIT FOR live TIMEOUT 99999999999999999999d", "a duration");
    bad("START ANEW 1", "yes or no");
    bad("LIMIT memory lots", "a size");
    bad("LIMIT keys_per_s -1", "a number");
    bad("LIMIT keys_per_s 1MiB", "a number");
}
END_TEST

START_TEST(binary_input_is_shown_escaped)
{
    struct bytes argv[] = {bytes_of("a\0b\r\n", 5), BYTES("x")};
    struct request r;
    char big[5000];

    ck_assert_int_eq(request_parse(argv, 1, &r, why), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "'a\\x00b\\r\\n'"));
    memset(big, '\xff', sizeof(big));
    argv[0] = BYTES("RESUME");
    argv[1] = bytes_of(big, sizeof(big));
    ck_assert_int_eq(request_parse(argv, 2, &r, why), -EINVAL);
    argv[0] = bytes_of(big, sizeof(big));
    ck_assert_int_eq(request_parse(argv, 2, &r, why), -EINVAL);
    ck_assert_uint_lt(strlen(why), sizeof(why));
    struct bytes accept[] = {BYTES("RESUME"), BYTES("ACCEPT"), BYTES("a\nb")};
    ck_assert_int_eq(request_parse(accept, 3, &r, why), -EINVAL);
}
END_TEST

START_TEST(help_is_a_document)
{
    struct buf out;
    json_error_t error;

    buf_init(&out, 64 * KIB);
    ck_assert_int_eq(help_document(&out), 0);
    json_t *doc = json_loadb(buf_bytes(&out).ptr, buf_len(&out), 0, &error);
    ck_assert_msg(doc != NULL, "%s", error.text);
    json_t *list = json_object_get(doc, "verbs"), *wait = NULL, *v;
    size_t i;
    json_array_foreach(list, i, v)
    {
        const char *name = json_string_value(json_object_get(v, "name"));
        ck_assert_str_ne(name, "list");
        if (!strcmp(name, "wait"))
            wait = v;
    }
    ck_assert(json_is_true(json_object_get(wait, "operation")));
    json_t *arg = json_array_get(json_object_get(wait, "args"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(arg, "kind")), "choice");
    ck_assert_uint_eq(json_array_size(json_object_get(arg, "choices")), WAIT_FOR_COUNT);
    json_decref(doc);
    size_t whole = buf_len(&out);
    buf_free(&out);

    for (size_t max = 0; max < whole; max += 7) {
        buf_init(&out, max);
        ck_assert_int_eq(help_document(&out), -ENOBUFS);
        buf_free(&out);
    }
}
END_TEST

UNIT_MAIN("control/verbs", table_is_complete, presets_are_the_defaults, codes_have_exits, requests_are_read,
          wrong_requests_say_why, binary_input_is_shown_escaped, help_is_a_document)

/* The status document on a screen: what it shows, that it fits, that nothing of it controls the terminal. */
#include "tests/unit/unit.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "ctl/doc.h"
#include "ctl/screen.h"

static struct buf out;

static const struct term plain = {.width = 80, .height = 24};

static const char live[] =
    "{\"schema\":1,\"name\":\"orders\",\"version\":\"0.1.0\",\"state\":\"live\",\"since\":\"2026-01-02T03:00:"
    "00.000Z\","
    "\"reason\":\"\",\"conditions\":[],\"source\":{\"address\":\"10.0.0.5:6379\",\"server\":\"redis\","
    "\"version\":\"7.2.4\",\"run_id\":\"abc\",\"state\":\"up\",\"round_trip_ms\":0.31},"
    "\"target\":{\"address\":\"/run/redis/"
    "redis.sock\",\"server\":\"valkey\",\"version\":\"8.1.1\",\"state\":\"up\","
    "\"round_trip_ms\":0.1},\"feed\":{\"kind\":\"tracking\",\"state\":\"ready\",\"gaps\":2,"
    "\"last_gap_reason\":\"tracking connection lost: closed by the "
    "server\",\"passed_over\":[{\"kind\":\"psync\","
    "\"why\":\"the source has no replication "
    "backlog\"}]},\"snapshot\":{\"round\":1,\"phase\":\"done\",\"scanned_keys\":30000,"
    "\"estimated_keys\":30000,\"percent\":100},\"queue\":{\"dirty_keys\":12,\"in_flight_keys\":3,"
    "\"in_flight_bytes\":1234,\"memory_bytes\":2411724,\"memory_limit_bytes\":67108864},"
    "\"lag\":{\"keys\":12,\"ms\":35},\"rate\":{\"copied_keys_per_s\":12345,\"bytes_per_s\":12897484,"
    "\"marks_per_s\":1234},\"totals\":{\"marks\":1234567,\"copied_keys\":1234000,\"deleted_keys\":123,"
    "\"bytes\":13207024435,\"retries\":3,\"failed_keys\":0},\"lanes\":[],\"failed_keys\":[],\"blockers\":[],"
    "\"next\":[\"riotctl wait --for "
    "drained\"],\"operations\":[{\"id\":7,\"verb\":\"wait\",\"state\":\"running\","
    "\"started\":\"2026-01-02T04:11:50.000Z\"}]}";

/* 2026-01-02T04:12:00Z */
#define NOW 1767327120000

static const char *render(const char *json, const struct term *t)
{
    json_t *doc = doc_parse(json);

    ck_assert_ptr_nonnull(doc);
    buf_init(&out, MIB);
    screen_render(doc, t, NOW, &out);
    ck_assert_int_eq(buf_append(&out, "", 1), 0);
    json_decref(doc);
    return buf_bytes(&out).ptr;
}

static void has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no '%s' in:\n%s", part, text);
}

/* Columns, of UTF-8. */
static void fits(const char *text, unsigned width, unsigned height)
{
    struct bytes rest = bytes_str(text);
    unsigned lines = 0;

    while (rest.len) {
        struct bytes line = bytes_cut(&rest, '\n');
        size_t columns = 0;
        for (size_t i = 0; i < line.len; i++)
            columns += ((unsigned char)line.ptr[i] & 0xc0) != 0x80;
        ck_assert_msg(columns <= width, "too long: %.*s", (int)line.len, line.ptr);
        lines++;
    }
    ck_assert_msg(lines < height, "%u lines:\n%s", lines, text);
}

START_TEST(a_live_link)
{
    const char *text = render(live, &plain);

    has(text, "link      orders  live  for 1h 12m  (riotd 0.1.0)\n");
    has(text, "source    10.0.0.5:6379  redis 7.2.4  up  0.3ms\n");
    has(text, "target    /run/redis/redis.sock  valkey 8.1.1  up  0.1ms\n");
    has(text, "feed      tracking, ready, 1,234,567 marks, 2 gaps\n          last gap: tracking connection "
              "lost: closed by "
              "the server\n");
    has(text, "          not psync: the source has no replication backlog\n");
    has(text, "snapshot  done, 30,000 keys\n");
    has(text, "lag       12 keys, 35ms\n");
    has(text, "queue     12 dirty, 3 in flight (1.2 KiB); memory 2.2 MiB of 64.0 MiB\n");
    has(text, "rate      12,345 keys/s, 12.2 MiB/s; 1,234 marks/s\n");
    has(text, "totals    1,234,000 copied, 123 deleted, 0 failed, 3 retries; 12.2 GiB\n");
    has(text, "operation 7, wait, runs for 10s\n");
    has(text, "next      riotctl wait --for drained\n");
    ck_assert_ptr_null(strchr(text, '\033'));
    fits(text, 80, 24);
    buf_free(&out);
}
END_TEST

START_TEST(a_snapshot)
{
    const char *text = render(
        "{\"name\":\"a\",\"state\":\"snapshot\",\"snapshot\":{\"round\":2,\"phase\":\"scan\",\"scanned_"
        "keys\":12345,"
        "\"estimated_keys\":30000,\"percent\":41.15,\"eta_ms\":12000},\"lag\":{\"keys\":5,\"ms\":12345}}",
        &plain);

    has(text, "snapshot  scan [####......] 41.1 %  12s left  12,345 of 30,000, round 2\n");
    has(text, "lag       5 keys, 12.3s\n");
    buf_free(&out);
}
END_TEST

START_TEST(lanes_of_a_cluster)
{
    static const char two[] =
        "{\"name\":\"a\",\"state\":\"snapshot\",\"source\":{\"address\":\"redis://s:1\",\"server\":\"redis\","
        "\"version\":\"7.0.15\",\"state\":\"up\",\"cluster\":true,\"shards\":3},\"lanes\":["
        "{\"name\":\"redis://s:1\",\"phase\":\"live\",\"lag\":{\"keys\":9,\"ms\":900}},"
        "{\"name\":\"redis://s:2\",\"phase\":\"scan\",\"snapshot\":{\"percent\":12.5},"
        "\"lag\":{\"keys\":1,\"ms\":10}},"
        "{\"name\":\"redis://s:3\",\"phase\":\"scan\",\"snapshot\":{\"percent\":80},"
        "\"lag\":{\"keys\":2,\"ms\":20}}]}";
    const char *text = render(two, &plain);

    has(text, "source    redis://s:1  cluster of 3 shards, redis 7.0.15  up\n");
    has(text, "lanes     3, 1 live; last: redis://s:3 scan 80.0 %, lag 20ms\n"); /* further behind */
    buf_free(&out);
    ck_assert_ptr_null(strstr(render(live, &plain), "lanes"));
    buf_free(&out);
}
END_TEST

START_TEST(unknown_is_left_out)
{
    const char *text = render("{\"state\":\"idle\"}", &plain);

    ck_assert_str_eq(text, "link      ?  idle\n");
    buf_free(&out);
    text = render(
        "{\"state\":3,\"source\":[],\"feed\":\"x\",\"lag\":{},\"queue\":null,\"totals\":{\"marks\":\"7\"},"
        "\"rate\":{\"bytes_per_s\":-4},\"blockers\":{},\"conditions\":\"no\",\"next\":[4],"
        "\"snapshot\":{\"phase\":\"scan\",\"percent\":1e300,\"scanned_keys\":1e300}}",
        &plain);
    has(text, "link      ?  unknown\n");
    fits(text, 80, 24);
    buf_free(&out);
}
END_TEST

/* A document with much to say, in the form of `entry` n times. */
static void put_list(char *json, size_t cap, const char *name, const char *entry, unsigned n)
{
    snprintf(json + strlen(json), cap - strlen(json), ",\"%s\":[", name);
    for (unsigned i = 0; i < n; i++)
        snprintf(json + strlen(json), cap - strlen(json), "%s%s", i ? "," : "", entry);
    strcat(json, "]");
}

START_TEST(troubles_fit_too)
{
    static char json[64 * KIB];
    const char *from = strstr(live, ",\"feed\"");

    for (unsigned n = 1; n < 12; n++) {
        snprintf(json, sizeof(json),
                 "{\"name\":\"orders\",\"state\":\"failed\",\"reason\":\"the target is not its own\"");
        put_list(json, sizeof(json), "blockers",
                 "{\"code\":\"target_not_empty\",\"message\":\"the target holds 1,234 keys that this link "
                 "did not put "
                 "there, in database 0\",\"hint\":\"empty it with FLUSHALL, or set target.existing_keys to "
                 "replace or "
                 "merge in the configuration file and start again\"}",
                 n);
        put_list(json, sizeof(json), "conditions",
                 "{\"code\":\"source_down\",\"since\":\"2026-01-02T04:11:48Z\",\"message\":\"connection "
                 "refused\"}",
                 n);
        put_list(json, sizeof(json), "failed_keys",
                 "{\"db\":0,\"key\":\"big\\\\x00\",\"reason\":\"larger than proto-max-bulk-len\"}", n);
        put_list(json, sizeof(json), "next", "\"riotctl start\"", n);
        ck_assert_uint_lt(strlen(json) + strlen(from), sizeof(json));
        snprintf(json + strlen(json), sizeof(json) - strlen(json), "%.*s}",
                 (int)(strstr(from, ",\"lanes\"") - from), from);
        const char *text = render(json, &plain);
        fits(text, 80, 24);
        has(text, "blocked   target_not_empty: the target holds 1,234 keys that this link did not\n");
        has(text, "\n          put there, in database 0\n");
        has(text, "  hint    empty it with FLUSHALL");
        has(text, "next      riotctl start\n");
        if (n == 1) {
            has(text, "problem   source_down for 12s: connection refused\n");
            has(text, "failed    db 0 big\\x00: larger than proto-max-bulk-len\n");
        } else {
            has(text, " more; see riotctl status --json\n");
        }
        buf_free(&out);
    }
}
END_TEST

#define VERIFY                                                                                               \
    "\"verify\":{\"state\":\"ended\",\"verdict\":\"drift\",\"ended\":\"2026-01-02T04:07:00Z\",\"compared\":" \
    "1234567,"                                                                                               \
    "\"drift\":{\"missing\":13,\"extra\":7,\"type\":0,\"value\":0,\"ttl\":0},\"unstable\":2,\"unknown\":0}"
#define COMMITTED                                                                                            \
    "\"cutover\":{\"state\":\"committed\",\"committed_at\":\"2026-01-02T04:07:00.250Z\",\"write_pause_ms\":" \
    "38,"                                                                                                    \
    "\"fence\":\"acl\",\"fence_held\":%s,\"fence_text\":\"user default on 10.0.0.5:6379 may not write\","    \
    "\"target\":\"redis://10.0.0.6:6379\"}"

/* The live link's document with other parts. */
static const char *with(const char *parts)
{
    static char json[8 * KIB];

    snprintf(json, sizeof(json), "{%s,%s", parts, live + 1);
    return json;
}

START_TEST(a_verified_link)
{
    const char *text = render(with(VERIFY), &plain);

    has(text, "verify    drift 5m ago, 13 missing, 7 extra, 1,234,567 compared, 2 unstable\n");
    fits(text, 80, 24);
    buf_free(&out);
    text =
        render(with("\"verify\":{\"verdict\":\"running\",\"percent\":41.15,\"eta_ms\":12000,\"compared\":1}"),
               &plain);
    has(text, "verify    running 41.1 %, 12s left, 1 compared\n");
    buf_free(&out);
    text =
        render(with("\"verify\":{\"verdict\":\"clean\",\"ended\":\"2026-01-02T04:11:00Z\",\"compared\":5065,"
                    "\"drift\":{\"missing\":0},\"unstable\":0}"),
               &plain);
    has(text, "verify    clean 1m ago, 5,065 compared\n");
    buf_free(&out);
    text = render(with("\"verify\":[],\"cutover\":7"), &plain);
    ck_assert_ptr_null(strstr(text, "verify  "));
    ck_assert_ptr_null(strstr(text, "cutover "));
    buf_free(&out);
}
END_TEST

START_TEST(a_cutover)
{
    char parts[1024];
    const char *text =
        render(with("\"cutover\":{\"state\":\"running\",\"step\":\"drain\",\"write_pause_ms\":21,\"steps\":[{"
                    "\"step\":\"drain\","
                    "\"state\":\"running\",\"took_ms\":12,\"text\":\"3 keys on their way\"}]}"),
               &plain);

    has(text, "cutover   drain, writes wait for 21ms: 3 keys on their way\n");
    buf_free(&out);
    text = render(
        with("\"cutover\":{\"state\":\"undoing\",\"undoing\":true,\"step\":\"drain\",\"write_pause_ms\":21}"),
        &plain);
    has(text, "cutover   undoing, writes wait for 21ms\n");
    buf_free(&out);
    text =
        render(with("\"cutover\":{\"state\":\"ended\",\"failed\":\"the pause was over its bound\"}"), &plain);
    has(text, "cutover   not committed: the pause was over its bound\n");
    ck_assert_ptr_null(strstr(text, "fenced"));
    buf_free(&out);
    text = render(with("\"cutover\":{\"state\":\"ended\",\"failed\":\"user app was "
                       "changed\",\"fence_text\":\"user app on x\"}"),
                  &plain);
    has(text, "cutover   not committed: user app was changed\nfenced    user app on x\n");
    buf_free(&out);
    text = render(
        with("\"cutover\":{\"state\":\"finished\",\"committed_at\":\"2026-01-02T04:07:00Z\",\"finished_at\":"
             "\"2026-01-02T04:08:00Z\",\"fence\":\"acl\",\"fence_held\":false}"),
        &plain);
    has(text, "fence     acl, let go\n");
    buf_free(&out);
    text = render(
        with("\"cutover\":{\"state\":\"committed\",\"committed_at\":\"2026-01-02T04:07:00Z\",\"fence\":"
             "\"none\",\"fence_held\":false}"),
        &plain);
    has(text, "fence     none: nothing keeps clients from writing to the old source\n");
    buf_free(&out);
    for (unsigned held = 0; held < 2; held++) {
        snprintf(parts, sizeof(parts), COMMITTED "," VERIFY, held ? "true" : "false");
        text = render(with(parts), &plain);
        has(text, "cutover   committed 2026-01-02T04:07:00.250Z, 4m 59s ago, paused 38ms\n");
        has(text, held ? "fence     acl, held\n" : "fence     acl, NOT held\n");
        has(text, "          user default on 10.0.0.5:6379 may not write\n");
        has(text, "writes    go to redis://10.0.0.6:6379\n");
        has(text, "next      riotctl wait --for drained\n");
        fits(text, 80, 24);
        buf_free(&out);
        for (unsigned width = 40; width < 100; width += 7) {
            struct term t = {.width = width, .height = 12};
            fits(render(with(parts), &t), width, 12);
            buf_free(&out);
        }
    }
}
END_TEST

START_TEST(small_terminals)
{
    for (unsigned width = 40; width < 100; width += 7) {
        for (unsigned height = 10; height < 30; height += 3) {
            struct term t = {.width = width, .height = height};
            fits(render(live, &t), width, height);
            buf_free(&out);
        }
    }
}
END_TEST

START_TEST(colours)
{
    struct term t = {.width = 80, .height = 24, .colour = true};
    const char *text = render(live, &t);

    has(text, "\033[32mlive\033[0m");
    buf_free(&out);
}
END_TEST

START_TEST(one_line)
{
    json_t *doc = doc_parse(live);

    buf_init(&out, 4096);
    screen_line(doc, &plain, &out);
    ck_assert_int_eq(buf_append(&out, "", 1), 0);
    ck_assert_str_eq(buf_bytes(&out).ptr, "live, lag 12 keys 35ms, 12,345 keys/s, 12.2 MiB/s");
    buf_free(&out);
    json_decref(doc);
}
END_TEST

/* --- text for the terminal --- */

static void put(const struct term *t, struct bytes text, size_t columns, const char *want)
{
    buf_init(&out, 4096);
    term_put(&out, t, text, columns);
    ck_assert_int_eq(buf_append(&out, "", 1), 0);
    ck_assert_str_eq(buf_bytes(&out).ptr, want);
    buf_free(&out);
}

START_TEST(text_is_made_safe)
{
    const struct term ascii = {.width = 80}, utf8 = {.width = 80, .utf8 = true};

    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    put(&ascii, BYTES("a\033[2Jb\nc\0d\x7f"), SIZE_MAX, "a\\x1b[2Jb\\nc\\x00d\\x7f");
    put(&ascii, BYTES("\xc3\xa4"), SIZE_MAX, "\\xc3\\xa4");
    put(&utf8, BYTES("\xc3\xa4"), SIZE_MAX, "\xc3\xa4");
    put(&utf8,
        BYTES("\xc2\x9b"
              "31m"),
        SIZE_MAX, "\\xc2\\x9b31m"); /* CSI of C1 */
    put(&utf8,
        BYTES("a\xe2\x80\xae"
              "b"),
        SIZE_MAX, "a\\xe2\\x80\\xaeb"); /* turns the direction */
    put(&utf8, BYTES("\xc0\x9b\xff\xe2\x82"), SIZE_MAX, "\\xc0\\x9b\\xff\\xe2\\x82");
    put(&utf8, BYTES("\xed\xa0\x80"), SIZE_MAX, "\\xed\\xa0\\x80"); /* a surrogate */
    put(&ascii, BYTES("abcdef"), 6, "abcdef");
    put(&ascii, BYTES("abcdefg"), 6, "abc...");
    put(&utf8, BYTES("abcdefg"), 6, "abcde\xe2\x80\xa6");
    put(&ascii, BYTES("abcdefg"), 2, "");
    put(&utf8, BYTES("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"), 5,
        "\xe6\x97\xa5\xe6\x9c\xac\xe2\x80\xa6"); /* two columns each */
    put(&ascii, BYTES("ab\033\033"), 8, "ab...");
    put(&ascii, BYTES("ab\033"), 6, "ab\\x1b");
}
END_TEST

START_TEST(times)
{
    json_t *doc = doc_parse("{\"a\":{\"b\":\"2026-01-02T04:11:59.250Z\"},\"c\":\"yesterday\"}");
    char age[32];
    int64_t ms;

    ck_assert(doc_time("2026-01-02T04:12:00Z", &ms));
    ck_assert_int_eq(ms, NOW);
    ck_assert(doc_time("2026-01-02T04:12:00.5Z", &ms));
    ck_assert_int_eq(ms, NOW + 500);
    ck_assert(!doc_time("2026-01-02", &ms));
    ck_assert(!doc_time(NULL, &ms));
    ck_assert(doc_age(doc, "a.b", NOW, age, sizeof(age)));
    ck_assert_str_eq(age, "750ms");
    ck_assert(doc_age(doc, "a.b", NOW - 100000, age, sizeof(age)));
    ck_assert_str_eq(age, "0ms");
    ck_assert(!doc_age(doc, "c", NOW, age, sizeof(age)));
    ck_assert(!doc_age(doc, "a.x.y", NOW, age, sizeof(age)));
    json_decref(doc);
    ck_assert_ptr_null(doc_parse("[1]"));
    ck_assert_ptr_null(doc_parse("OK"));
}
END_TEST

UNIT_MAIN("ctl/screen", lanes_of_a_cluster, a_live_link, a_snapshot, unknown_is_left_out, troubles_fit_too,
          a_verified_link, a_cutover, small_terminals, colours, one_line, text_is_made_safe, times)

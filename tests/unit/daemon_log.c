#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/log.h"

static char folder[32], path[64];
static int journal = -1, ends[2];
static struct log *l;
static char got[64 * 1024];

static void begin_journal(enum sink_level level)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strcpy(folder, "/tmp/riot-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/socket", folder);
    strcpy(to.sun_path, path);
    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(journal, (const struct sockaddr *)&to, sizeof(to)), 0);
    const struct log_options opt = {.link = "orders", .level = level, .fd = STDERR_FILENO, .journal = path};
    ck_assert_int_eq(log_new(&opt, &l), 0);
    ck_assert(log_to_journal(l));
}

static void begin_text(enum sink_level level)
{
    ck_assert_int_eq(pipe(ends), 0);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    const struct log_options opt = {.link = "orders", .level = level, .fd = ends[1]};
    ck_assert_int_eq(log_new(&opt, &l), 0);
    ck_assert(!log_to_journal(l));
}

static void end(void)
{
    l = log_free(l);
    if (journal >= 0) {
        close(journal);
        unlink(path);
        rmdir(folder);
    } else {
        close(ends[0]);
        close(ends[1]);
    }
}

/* One datagram, or what is in the pipe; false: there is nothing. */
static bool receive(void)
{
    ssize_t n = journal >= 0 ? recv(journal, got, sizeof(got) - 1, 0) : read(ends[0], got, sizeof(got) - 1);
    got[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static bool has(const char *line)
{
    const char *at = strstr(got, line);
    return at && (at == got || at[-1] == '\n') && at[strlen(line)] == '\n';
}

START_TEST(an_event_goes_to_the_journal_with_fields)
{
    char id[64];
    begin_journal(SINK_INFO);
    log_set_state(l, "live");
    log_event_fields(l, EVENT_GAP,
                     LOG_FIELDS(LOG_TEXT(REASON, "flush"), LOG_TEXT(KEY, NULL), LOG_NUMBER(DB, 0),
                                LOG_NUMBER(LAG_MS, UINT64_MAX)),
                     "a gap of %d", 3);
    ck_assert(receive());
    ck_assert(has("MESSAGE=a gap of 3"));
    ck_assert(has("PRIORITY=4"));
    ck_assert(has("SYSLOG_IDENTIFIER=riotd-orders"));
    snprintf(id, sizeof(id), "MESSAGE_ID=%s", event_get(EVENT_GAP)->message_id);
    ck_assert(has(id));
    ck_assert(has("RIOT_LINK=orders"));
    ck_assert(has("RIOT_STATE=live"));
    ck_assert(has("RIOT_EVENT=gap"));
    ck_assert(has("RIOT_REASON=flush"));
    ck_assert(has("RIOT_DB=0"));
    ck_assert_ptr_null(strstr(got, "RIOT_KEY"));
    ck_assert_ptr_null(strstr(got, "RIOT_LAG_MS"));
    ck_assert(!receive());
    end();
}
END_TEST

START_TEST(levels_and_kinds)
{
    begin_journal(SINK_NOTICE);
    log_event(l, EVENT_PROGRESS, "info is below notice");
    log_debug(l, "so is debug");
    ck_assert(!receive());
    log_event_at(l, EVENT_STATE, SINK_ERR, NULL, "failed");
    ck_assert(receive());
    ck_assert(has("PRIORITY=3"));
    log_set_level(l, SINK_DEBUG);
    log_debug(l, "now");
    ck_assert(receive());
    ck_assert(has("PRIORITY=7"));
    ck_assert(has("RIOT_EVENT=detail"));
    ck_assert_ptr_nonnull(strstr(got, event_get(EVENT_DETAIL)->message_id));
    ck_assert(has("RIOT_STATE=idle"));
    ck_assert_int_eq(log_set_link(l, NULL), 0);
    log_debug(l, "no link");
    ck_assert(receive());
    ck_assert(has("SYSLOG_IDENTIFIER=riotd"));
    ck_assert_ptr_null(strstr(got, "RIOT_LINK"));
    end();
}
END_TEST

START_TEST(the_library_reports_by_name)
{
    begin_journal(SINK_INFO);
    sink_say(log_sink(l), SINK_WARNING, "gap", "known");
    ck_assert(receive());
    ck_assert_ptr_nonnull(strstr(got, event_get(EVENT_GAP)->message_id));
    sink_say(log_sink(l), SINK_NOTICE, "something_new", "unknown");
    ck_assert(receive());
    ck_assert(has("MESSAGE=unknown"));
    ck_assert(has("RIOT_EVENT=detail"));
    ck_assert(has("PRIORITY=5"));
    end();
}
END_TEST

START_TEST(nothing_can_forge_a_line)
{
    begin_journal(SINK_INFO);
    log_event_fields(l, EVENT_GAP, LOG_FIELDS(LOG_TEXT(KEY, "a\nPRIORITY=0\n")),
                     "x\nPRIORITY=0\n\x1b[2J\xff\xc3\xa9\xc2\x9b%s", "\xe2\x82");
    ck_assert(receive());
    ck_assert(!has("PRIORITY=0"));
    ck_assert(has("MESSAGE=x PRIORITY=0  [2J?\xc3\xa9????"));
    ck_assert(has("RIOT_KEY=a PRIORITY=0 "));
    end();
    journal = -1;
    begin_text(SINK_INFO);
    log_event(l, EVENT_GAP, "x\n2026-01-01 err: y\r");
    ck_assert(receive());
    ck_assert_ptr_eq(strchr(got, '\n'), got + strlen(got) - 1);
    end();
}
END_TEST

START_TEST(a_long_line_is_cut)
{
    char *big = malloc(100000);
    memset(big, 'x', 99999);
    big[99999] = '\0';
    begin_journal(SINK_INFO);
    log_event_fields(l, EVENT_GAP, LOG_FIELDS(LOG_TEXT(KEY, big), LOG_TEXT(REASON, big)), "%s", big);
    ck_assert(receive());
    ck_assert_ptr_nonnull(strstr(got, "xxx...\n"));
    ck_assert_uint_lt(strlen(got), LOG_LINE_MAX + 8192);
    ck_assert(has("PRIORITY=4"));
    end();
    journal = -1;
    begin_text(SINK_INFO);
    log_event(l, EVENT_GAP, "%s", big);
    ck_assert(receive());
    ck_assert_ptr_nonnull(strstr(got, "xxx...\n"));
    ck_assert_uint_le(strlen(got), 4096);
    /* Not in the middle of a character. */
    for (size_t i = 0; i + 2 < 99999; i += 2)
        memcpy(big + i, "\xc3\xa9", 2);
    log_event(l, EVENT_GAP, "%s", big);
    ck_assert(receive());
    ck_assert_ptr_nonnull(strstr(got, "\xa9...\n"));
    end();
    free(big);
}
END_TEST

/* How often this process has given the processor away of its own accord, which no busy machine makes more. */
static long waits(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_nvcsw;
}

/* Nobody reads, as when journald is stopped: the socket takes some hundred lines, and the rest goes at once.
 */
START_TEST(a_stuck_journal_costs_lines_not_time)
{
    enum { LINES = 20000, WAITS_MAX = 200 };
    char told[64];

    begin_journal(SINK_INFO);
    long waited = waits();
    for (unsigned i = 0; i < LINES; i++)
        log_event(l, EVENT_PROGRESS, "line %u", i);
    ck_assert_int_lt(waits() - waited, WAITS_MAX);
    uint64_t dropped = log_dropped(l), received = 0;
    ck_assert_uint_gt(dropped, LINES / 2);
    while (receive())
        received++;
    ck_assert_uint_eq(received, LINES - dropped);
    log_event(l, EVENT_PROGRESS, "again");
    ck_assert(receive());
    snprintf(told, sizeof(told), "MESSAGE=%llu log lines were dropped because", (unsigned long long)dropped);
    ck_assert_ptr_nonnull(strstr(got, told));
    ck_assert(has("RIOT_EVENT=log_dropped"));
    snprintf(told, sizeof(told), "RIOT_DROPPED_LINES=%llu", (unsigned long long)dropped);
    ck_assert(has(told));
    ck_assert(receive());
    ck_assert(has("MESSAGE=again"));
    ck_assert(!receive());
    end();
}
END_TEST

START_TEST(a_journal_that_is_gone_may_come_back)
{
    begin_journal(SINK_INFO);
    unlink(path);
    log_event(l, EVENT_PROGRESS, "to nobody");
    ck_assert_uint_eq(log_dropped(l), 1);
    close(journal);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strcpy(to.sun_path, path);
    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(journal, (const struct sockaddr *)&to, sizeof(to)), 0);
    log_flush(l);
    ck_assert(receive());
    ck_assert_ptr_nonnull(strstr(got, "MESSAGE=1 log lines were dropped"));
    log_flush(l);
    ck_assert(!receive());
    end();
}
END_TEST

START_TEST(text_has_time_level_and_event)
{
    begin_text(SINK_INFO);
    log_event(l, EVENT_SOURCE_LOST, "the source is gone");
    ck_assert(receive());
    ck_assert_uint_gt(strlen(got), 25);
    ck_assert_int_eq(got[10], 'T');
    ck_assert_str_eq(got + 24, " warning source_lost: the source is gone\n");
    log_set_level(l, SINK_DEBUG);
    log_debug(l, "more");
    ck_assert(receive());
    ck_assert_str_eq(got + 24, " debug detail: more\n");
    /* The shell's end of the pipe stays as it was. */
    ck_assert_int_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    end();
}
END_TEST

START_TEST(a_stuck_reader_costs_lines_not_time)
{
    begin_text(SINK_INFO);
    for (unsigned i = 0; i < 100000 && log_dropped(l) == 0; i++)
        log_event(l, EVENT_PROGRESS, "line %u", i);
    ck_assert_uint_eq(log_dropped(l), 1);
    while (receive())
        ;
    log_flush(l);
    ck_assert(receive());
    ck_assert_ptr_nonnull(strstr(got, "1 log lines were dropped because nobody read them\n"));
    end();
}
END_TEST

START_TEST(a_reader_that_went_away_is_no_signal)
{
    begin_text(SINK_INFO);
    close(ends[0]);
    log_event(l, EVENT_PROGRESS, "to nobody");
    ck_assert_uint_eq(log_dropped(l), 1);
    ends[0] = dup(0);
    end();
}
END_TEST

START_TEST(journal_stream_decides)
{
    struct stat st;
    char text[64];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(fstat(ends[1], &st), 0);
    const struct log_options opt = {.level = SINK_INFO, .fd = ends[1]};
    snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", text, 1);
    ck_assert_int_eq(log_new(&opt, &l), 0);
    ck_assert(log_to_journal(l));
    log_free(l);
    setenv("JOURNAL_STREAM", "1:1", 1);
    ck_assert_int_eq(log_new(&opt, &l), 0);
    ck_assert(!log_to_journal(l));
    end();
}
END_TEST

static unsigned tapped;
static void tap(const struct log_entry *e, void *arg)
{
    ck_assert_ptr_eq(arg, &tapped);
    ck_assert_str_eq(e->event, "progress");
    ck_assert_str_eq(e->text, "half");
    ck_assert_str_eq(e->state, "live");
    ck_assert_int_gt(e->wall_ms, 0);
    ck_assert_uint_eq(e->fields[0].number, 50);
    tapped++;
}

START_TEST(the_tap_hears_all_but_debug)
{
    begin_text(SINK_ERR);
    log_set_state(l, "live");
    log_tap(l, tap, &tapped);
    log_event_fields(l, EVENT_PROGRESS, LOG_FIELDS(LOG_NUMBER(PERCENT, 50)), "half");
    log_debug(l, "not this");
    ck_assert_uint_eq(tapped, 1);
    ck_assert(!receive());
    log_tap(l, NULL, NULL);
    log_event(l, EVENT_PROGRESS, "nor this");
    ck_assert_uint_eq(tapped, 1);
    end();
}
END_TEST

UNIT_MAIN("daemon/log", an_event_goes_to_the_journal_with_fields, levels_and_kinds,
          the_library_reports_by_name, nothing_can_forge_a_line, a_long_line_is_cut,
          a_stuck_journal_costs_lines_not_time, a_journal_that_is_gone_may_come_back,
          text_has_time_level_and_event, a_stuck_reader_costs_lines_not_time,
          a_reader_that_went_away_is_no_signal, journal_stream_decides, the_tap_hears_all_but_debug)

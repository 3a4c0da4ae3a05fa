/* status --watch: the screen once more each second on a terminal, else a line each second. */
#include "ctl/follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/doc.h"
#include "ctl/listing.h"
#include "ctl/screen.h"
#include "lib/core/clock.h"

#define PERIOD_US 1000000

/* The other screen of the terminal, without a cursor; and back. */
#define ENTER_SCREEN "\033[?1049h\033[?25l"
#define LEAVE_SCREEN "\033[?25h\033[?1049l"
#define HOME         "\033[H"
#define CLEAR_REST   "\033[J"
#define CLEAR_LINE   "\033[K"

/* Each line is cleared behind its text, so that nothing flickers. */
static int put_screen(const struct buf *text, struct buf *out)
{
    struct bytes rest = buf_bytes(text);
    int e = buf_append_str(out, HOME);

    while (!e && rest.len) {
        struct bytes line = bytes_cut(&rest, '\n');
        e = buf_append(out, line.ptr, line.len);
        if (!e)
            e = buf_append_str(out, CLEAR_LINE "\r\n");
    }
    return e ? e : buf_append_str(out, CLEAR_REST);
}

static void show_screen(struct session *s, const json_t *doc)
{
    struct buf text, out;

    buf_init(&text, SESSION_TEXT_MAX);
    buf_init(&out, 2 * SESSION_TEXT_MAX);
    term_size(STDOUT_FILENO, &s->out);
    int e = 0;
    if (s->args->request.values[ARG_LANES].given)
        e = listing_lanes(s, doc, &text);
    else
        screen_render(doc, &s->out, clock_wall_ms(), &text);
    if (!e && !put_screen(&text, &out))
        session_print(&out);
    buf_free(&text);
    buf_free(&out);
}

static void show_line(struct session *s, const json_t *doc)
{
    char when[CLOCK_RFC3339_MAX];
    struct term t = s->out;
    struct buf out;

    t.width = 1024;
    buf_init(&out, SESSION_TEXT_MAX);
    if (!buf_printf(&out, "%s ", clock_rfc3339(clock_wall_ms(), when))) {
        screen_line(doc, &t, &out);
        if (!buf_append_str(&out, "\n"))
            session_print(&out);
    }
    buf_free(&out);
}

/* -EPROTO and others as control_request(). */
static int show_once(struct session *s, bool screen, struct control_error *err)
{
    const struct bytes argv = BYTES("STATUS");
    char *text;
    int e = control_request(s->conn, 1, &argv, &text, err);

    if (e)
        return e;
    json_t *doc = doc_parse(text);
    if (s->args->json)
        session_print_json(text, true);
    else if (screen)
        show_screen(s, doc);
    else
        show_line(s, doc);
    json_decref(doc);
    free(text);
    return 0;
}

static void sleep_until(uint64_t due_us)
{
    uint64_t now = clock_mono_us();
    uint64_t left = due_us > now ? due_us - now : 0;
    struct timespec ts = {(time_t)(left / 1000000), (long)(left % 1000000 * 1000)};

    nanosleep(&ts, NULL); /* a signal ends it: there is something to look at then */
}

/* Until a signal or an error: that one's exit code, with err. */
static enum ctl_exit show_until_ended(struct session *s, bool screen, struct control_error *err)
{
    uint64_t due = clock_mono_us();

    while (!session_interrupted() && !ferror(stdout)) {
        if (show_once(s, screen, err))
            return session_interrupted() ? CTL_INTERRUPTED : err->exit;
        due = MAX(due + PERIOD_US, clock_mono_us());
        sleep_until(due);
    }
    return session_interrupted() ? CTL_INTERRUPTED : CTL_FAILED;
}

/* The error is told once the terminal is as it was. */
int follow_status(struct session *s)
{
    bool screen = s->out.tty && !s->args->json;
    struct control_error err = {.code = ""};

    session_catch();
    int status = session_open(s);
    if (status)
        return status;
    if (screen)
        fputs(ENTER_SCREEN, stdout);
    status = (int)show_until_ended(s, screen, &err);
    if (screen) {
        fputs(LEAVE_SCREEN, stdout);
        fflush(stdout);
    }
    return err.code[0] && status != CTL_INTERRUPTED ? session_error(s, &err) : status;
}

#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "lib/core/buf.h"
#include "lib/core/clock.h"
#include "lib/core/text.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define DATAGRAM_MAX                                                                                         \
    (32 * KIB) /* a datagram beyond it is refused by the journal's socket, sooner or later                   \
                */
#define FIELD_MAX 2048

struct log {
    enum sink_level level;
    char *link, *identifier;
    const char *state;
    int fd;                     /* text goes here */
    int own;                    /* the same file, opened by us without blocking; or -1 */
    int journal;                /* a socket; -1: text */
    struct sockaddr_un address; /* of the journal */
    uint64_t dropped, untold;
    bool torn; /* the last text line was written in part */
    struct buf out;
    struct sink sink;
    void (*tap)(const struct log_entry *entry, void *arg);
    void *tap_arg;
};

static const char *const level_names[] = {[SINK_ERR] = "err",
                                          [SINK_WARNING] = "warning",
                                          [SINK_NOTICE] = "notice",
                                          [SINK_INFO] = "info",
                                          [SINK_DEBUG] = "debug"};

const char *log_level_name(enum sink_level level)
{
    return level >= SINK_ERR && level <= SINK_DEBUG ? level_names[level] : "?";
}

/* Text from anywhere, made fit for a line: journalctl shows "[blob data]" for what is not UTF-8 or has
 * control characters in it, and a line feed would forge a line of text. */

/* Bytes of the UTF-8 character that text begins with; 0: it is none. Overlong forms and surrogates are taken
 * for what they look like. */
static size_t character(const unsigned char *text)
{
    size_t len = *text < 0x80   ? 1
                 : *text < 0xc2 ? 0
                 : *text < 0xe0 ? 2
                 : *text < 0xf0 ? 3
                 : *text < 0xf5 ? 4
                                : 0;
    for (size_t i = 1; i < len; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

static void make_plain(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p;) {
        size_t len = character(p);
        if (len == 0 || *p == 0x7f)
            *p = '?';
        else if (*p < ' ')
            *p = ' ';
        else if (*p == 0xc2 && p[1] < 0xa0) /* the second set of control characters */
            p[0] = p[1] = '?';
        p += len ? len : 1;
    }
}

/* Where lines go. */

static bool is_journal(int fd)
{
    const char *text = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    return text && sscanf(text, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

static int open_journal(struct log *l, const char *path)
{
    if (strlen(path) >= sizeof(l->address.sun_path))
        return -ENAMETOOLONG;
    l->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(l->address.sun_path, path, strlen(path) + 1);
    l->journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return l->journal < 0 ? -errno : 0;
}

/* O_NONBLOCK belongs to the open file, which a shell shares with us; so a pipe or terminal is opened a second
 * time. Where that cannot be done, poll(2) is asked before each write. */
static int open_again(int fd)
{
    struct stat st;
    char path[32];
    if (fstat(fd, &st) < 0 || !(S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
        return -1;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static bool write_now(struct log *l, const char *text, size_t len)
{
    int fd = l->own >= 0 ? l->own : l->fd;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    /* POLLERR: a pipe that nobody will read; a write would be SIGPIPE */
    if (poll(&p, 1, 0) <= 0 || p.revents != POLLOUT)
        return false;
    ssize_t n = write(fd, text, len);
    l->torn = n > 0 && (size_t)n < len;
    return n == (ssize_t)len;
}

static bool send_now(const struct log *l, struct bytes datagram)
{
    ssize_t n;
    do
        n = sendto(l->journal, datagram.ptr, datagram.len, MSG_DONTWAIT | MSG_NOSIGNAL,
                   (const struct sockaddr *)&l->address, sizeof(l->address));
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)datagram.len;
}

/* The journal's native protocol: NAME=value, or, where the value has a line feed in it, NAME, its length in 8
 * bytes and the value. https://systemd.io/JOURNAL_NATIVE_PROTOCOL/ Ours have none: make_plain() was here
 * before. */
static void field(struct log *l, const char *name, const char *value)
{
    char plain[FIELD_MAX];
    if (!value)
        return;
    if ((size_t)snprintf(plain, sizeof(plain), "%s", value) >= sizeof(plain))
        text_cut(plain, sizeof(plain));
    make_plain(plain);
    if (buf_printf(&l->out, "%s=%s\n", name, plain) < 0)
        return; /* a field less: the line itself came first */
}

static void fact(struct log *l, const struct log_field *f)
{
    const struct log_field_row *row = &log_fields[f->id];
    char number[24];

    if (!log_field_known(f))
        return;
    snprintf(number, sizeof(number), "%" PRIu64, f->number);
    field(l, row->name, row->is_number ? number : f->text);
}

static bool to_journal(struct log *l, const struct log_entry *e, const char *message_id)
{
    char priority[4];
    buf_consume(&l->out, buf_len(&l->out));
    if (buf_printf(&l->out, "MESSAGE=%s\n", e->text) < 0)
        return false;
    snprintf(priority, sizeof(priority), "%d", (int)e->level);
    field(l, "PRIORITY", priority);
    field(l, "SYSLOG_IDENTIFIER", l->identifier);
    field(l, "MESSAGE_ID", message_id);
    field(l, log_fields[FIELD_LINK].name, l->link);
    field(l, log_fields[FIELD_STATE].name, e->state);
    field(l, log_fields[FIELD_EVENT].name, e->event);
    for (const struct log_field *f = e->fields; f && f->id != FIELD_END; f++)
        fact(l, f);
    return send_now(l, buf_bytes(&l->out));
}

/* A pipe takes PIPE_BUF bytes whole or not at all; a line is no longer. */
static bool to_text(struct log *l, const struct log_entry *e)
{
    char time[CLOCK_RFC3339_MAX], line[PIPE_BUF];
    int n = snprintf(line, sizeof(line) - 1, "%s%s %s %s: %s", l->torn ? "\n" : "",
                     clock_rfc3339(e->wall_ms, time), log_level_name(e->level), e->event, e->text);
    if (n < 0)
        return false;
    if ((size_t)n >= sizeof(line) - 1)
        text_cut(line, sizeof(line) - 1);
    size_t len = strlen(line);
    line[len++] = '\n';
    return write_now(l, line, len);
}

/* Lines. */

static bool pass_on(struct log *l, const struct log_entry *e, const char *message_id)
{
    return l->journal >= 0 ? to_journal(l, e, message_id) : to_text(l, e);
}

static void tell_dropped(struct log *l)
{
    char text[128];
    const struct event *event = event_get(EVENT_LOG_DROPPED);
    snprintf(text, sizeof(text), "%" PRIu64 " log lines were dropped because %s", l->untold,
             l->journal >= 0 ? "the journal did not take them" : "nobody read them");
    const struct log_entry e = {
        clock_wall_ms(), event->level, event->name,
        l->state,        text,         LOG_FIELDS(LOG_NUMBER(DROPPED_LINES, l->untold))};
    if (pass_on(l, &e, event->message_id))
        l->untold = 0;
}

void log_flush(struct log *l)
{
    if (l->untold)
        tell_dropped(l);
}

static void emit(struct log *l, const struct event *event, enum sink_level level,
                 const struct log_field *fields, const char *text)
{
    const struct log_entry e = {clock_wall_ms(), level, event->name, l->state, text, fields};
    if (l->tap && level < SINK_DEBUG)
        l->tap(&e, l->tap_arg);
    if (level > l->level)
        return;
    log_flush(l);
    if (!pass_on(l, &e, event->message_id)) {
        l->dropped++;
        l->untold++;
    }
}

/* Lines for the tap are made at any log level. */
static bool is_wanted(const struct log *l, enum sink_level level)
{
    return level <= l->level || (l->tap && level < SINK_DEBUG);
}

static void vlog(struct log *l, enum event_id id, enum sink_level level, const struct log_field *fields,
                 const char *format, va_list ap) PRINTF_LIKE(5, 0);
static void vlog(struct log *l, enum event_id id, enum sink_level level, const struct log_field *fields,
                 const char *format, va_list ap)
{
    char text[LOG_LINE_MAX];
    if (!is_wanted(l, level))
        return;
    int n = vsnprintf(text, sizeof(text), format, ap);
    if (n < 0)
        return;
    if ((size_t)n >= sizeof(text))
        text_cut(text, sizeof(text));
    make_plain(text);
    emit(l, event_get(id), level, fields, text);
}

void log_event(struct log *l, enum event_id id, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vlog(l, id, event_get(id)->level, NULL, format, ap);
    va_end(ap);
}

void log_event_fields(struct log *l, enum event_id id, const struct log_field *fields, const char *format,
                      ...)
{
    va_list ap;
    va_start(ap, format);
    vlog(l, id, event_get(id)->level, fields, format, ap);
    va_end(ap);
}

void log_event_at(struct log *l, enum event_id id, enum sink_level level, const struct log_field *fields,
                  const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vlog(l, id, level, fields, format, ap);
    va_end(ap);
}

void log_debug(struct log *l, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vlog(l, EVENT_DETAIL, SINK_DEBUG, NULL, format, ap);
    va_end(ap);
}

static void sink_line(void *arg, enum sink_level level, const char *name, const char *text)
{
    enum event_id id = event_find(name);
    log_event_at(arg, id == EVENT_NONE ? EVENT_DETAIL : id, level, NULL, "%s", text);
}

const struct sink *log_sink(struct log *l)
{
    return &l->sink;
}

/* Life. */

int log_set_link(struct log *l, const char *link)
{
    char *name = link ? strdup(link) : NULL, *identifier = NULL;
    if (asprintf(&identifier, link ? "riotd-%s" : "riotd", link) < 0 || (link && !name)) {
        free(name);
        return -ENOMEM;
    }
    free(l->link);
    free(l->identifier);
    l->link = name;
    l->identifier = identifier;
    return 0;
}

int log_new(const struct log_options *opt, struct log **ret)
{
    struct log *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->level = opt->level;
    l->state = "idle"; /* what is not there yet is at rest */
    l->fd = opt->fd;
    l->own = l->journal = -1;
    l->sink = (struct sink){.say = sink_line, .arg = l};
    buf_init(&l->out, DATAGRAM_MAX);
    const char *path = opt->journal ? opt->journal : is_journal(opt->fd) ? JOURNAL_SOCKET : NULL;
    int err = log_set_link(l, opt->link);
    if (err == 0 && path)
        err = open_journal(l, path);
    if (err < 0) {
        log_free(l);
        return err;
    }
    if (!path)
        l->own = open_again(opt->fd);
    *ret = l;
    return 0;
}

struct log *log_free(struct log *l)
{
    if (!l)
        return NULL;
    if (l->own >= 0)
        close(l->own);
    if (l->journal >= 0)
        close(l->journal);
    buf_free(&l->out);
    free(l->link);
    free(l->identifier);
    free(l);
    return NULL;
}

void log_set_level(struct log *l, enum sink_level level)
{
    l->level = level;
}

void log_set_state(struct log *l, const char *state)
{
    l->state = state;
}

void log_tap(struct log *l, void (*fn)(const struct log_entry *borrowed, void *arg), void *arg)
{
    l->tap = fn;
    l->tap_arg = arg;
}

uint64_t log_dropped(const struct log *l)
{
    return l->dropped;
}

bool log_to_journal(const struct log *l)
{
    return l->journal >= 0;
}

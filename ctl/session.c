#include "ctl/session.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/doc.h"

#define ERROR_MAX 1024

void session_init(struct session *s, const struct args *args)
{
    *s = (struct session){
        .args = args,
        .env = paths_env_read(),
        .out = term_read(STDOUT_FILENO, args->colour),
        .err = term_read(STDERR_FILENO, args->colour),
    };
}

void session_close(struct session *s)
{
    s->conn = control_free(s->conn);
}

/* --- output --- */

static void print(FILE *file, struct buf *out)
{
    fwrite(buf_bytes(out).ptr, 1, buf_len(out), file);
    fflush(file);
    buf_consume(out, buf_len(out));
}

void session_print(struct buf *out)
{
    if (buf_len(out))
        print(stdout, out);
}

void session_print_err(struct buf *out)
{
    if (buf_len(out))
        print(stderr, out);
}

void session_print_json(const char *text, bool one_line)
{
    if (one_line && strchr(text, '\n')) {
        json_t *doc = json_loads(text, JSON_DECODE_ANY, NULL);
        char *line = json_dumps(doc, DOC_JSON | JSON_ENCODE_ANY);
        puts(line ? line : "null");
        free(line);
        json_decref(doc);
    } else {
        puts(text);
    }
    fflush(stdout);
}

static void say(const struct session *s, const char *code, const char *text)
{
    struct buf out;

    buf_init(&out, 2 * SESSION_TEXT_MAX);
    if (!buf_printf(&out, "riotctl: %s%s%s: ", term_style(&s->err, STYLE_RED), code, term_plain(&s->err))) {
        term_put(&out, &s->err, bytes_str(text), SIZE_MAX);
        if (!buf_append_str(&out, "\n"))
            session_print_err(&out);
    }
    buf_free(&out);
}

int session_fail(const struct session *s, enum ctl_exit status, const char *code, const char *format, ...)
{
    char text[ERROR_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    say(s, code, text);
    return status;
}

void session_note(const struct session *s, const char *label, const char *text)
{
    struct buf out;

    buf_init(&out, 2 * SESSION_TEXT_MAX);
    if (!buf_printf(&out, "  %s%s%s ", term_style(&s->err, STYLE_DIM), label, term_plain(&s->err))) {
        term_put(&out, &s->err, bytes_str(text), SIZE_MAX);
        if (!buf_append_str(&out, "\n"))
            session_print_err(&out);
    }
    buf_free(&out);
}

int session_error(const struct session *s, const struct control_error *err)
{
    const char *name = s->args->name ? s->args->name : "NAME";

    if (!strcmp(err->code, "DOWN"))
        return session_fail(s, err->exit, err->code,
                            "%s; start it with 'systemctl start riotd@%s', or by hand with 'riotd -c FILE'",
                            err->text, name);
    say(s, err->code, err->text);
    return err->exit;
}

/* --- which socket --- */

static int tell_several(const struct session *s, const struct paths_instance *list, const size_t *running,
                        size_t count)
{
    char names[ERROR_MAX / 2];
    size_t at = 0;

    names[0] = '\0';
    for (size_t i = 0; i < count && at < sizeof(names); i++)
        at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s", i ? ", " : "", list[running[i]].name);
    return session_fail(s, CTL_USAGE, code_name(CODE_USAGE),
                        "several links run here: %s; say which with -n NAME", names);
}

/* Without a name: the only link that runs. One that may not be asked counts too. */
static int find_only(struct session *s)
{
    static struct paths_instance list[PATHS_INSTANCES_MAX];
    size_t running[PATHS_INSTANCES_MAX], count = 0;
    size_t listed = paths_list(&s->env, list);

    for (size_t i = 0; i < listed; i++) {
        int e = paths_probe(list[i].path);
        if (!e || e == -EACCES)
            running[count++] = i;
    }
    if (count > 1)
        return tell_several(s, list, running, count);
    if (count || listed) {
        memcpy(s->path, list[count ? running[0] : 0].path, sizeof(s->path));
        return CTL_OK;
    }
    int e = paths_of_name(&s->env, PATHS_DEFAULT, s->path);
    return e && e != -ENOENT ? session_fail(s, CTL_FAILED, code_name(CODE_FAILED), "%s", strerror(-e))
                             : CTL_OK;
}

static int find_path(struct session *s)
{
    const char *given = s->args->socket;

    if (!given && !s->args->name)
        given = s->env.riot_socket;
    if (!given && !s->args->name)
        return find_only(s);
    int e = given ? 0 : paths_of_name(&s->env, s->args->name, s->path);
    if (given) {
        if (strlen(given) >= sizeof(s->path))
            e = -ENAMETOOLONG;
        else
            snprintf(s->path, sizeof(s->path), "%s", given);
    }
    if (e && e != -ENOENT)
        return session_fail(s, CTL_USAGE, code_name(CODE_USAGE), "the socket's path cannot be used: %s",
                            strerror(-e));
    return CTL_OK;
}

/* --- asking --- */

int session_open(struct session *s)
{
    struct control_error err;

    if (s->conn)
        return CTL_OK;
    int status = s->path[0] ? CTL_OK : find_path(s);
    if (status)
        return status;
    if (control_open(s->path, SESSION_ANSWER_MS, &s->conn, &err))
        return session_error(s, &err);
    return CTL_OK;
}

int session_ask_argv(struct session *s, size_t argc, const struct bytes *argv, char **ret)
{
    struct control_error err;
    int status = session_open(s);

    if (status)
        return status;
    if (control_request(s->conn, argc, argv, ret, &err))
        return session_error(s, &err);
    return CTL_OK;
}

int session_ask(struct session *s, const char *verb, char **ret)
{
    struct bytes argv = bytes_str(verb);

    return session_ask_argv(s, 1, &argv, ret);
}

int session_request(struct session *s, char **ret)
{
    struct bytes argv[ARGS_WIRE_MAX];
    size_t argc = args_wire(&s->args->request, argv);

    return session_ask_argv(s, argc, argv, ret);
}

int session_listen(struct session *s, struct control **ret)
{
    struct control_error err;
    struct control *c;
    int status = session_open(s);

    if (status)
        return status;
    if (control_open(s->path, SESSION_ANSWER_MS, &c, &err))
        return session_error(s, &err);
    if (control_subscribe(c, "events", &err)) {
        control_free(c);
        return session_error(s, &err);
    }
    *ret = c;
    return CTL_OK;
}

/* --- signals --- */

/* A signal's handler has nowhere else to write to. */
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

void session_catch(void)
{
    struct sigaction end = {.sa_handler = on_signal};

    sigaction(SIGINT, &end, NULL);
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGHUP, &end, NULL);
}

bool session_interrupted(void)
{
    return interrupted != 0;
}

#include "ctl/logs.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/doc.h"

#define UNIT_MAX  (PATHS_NAME_MAX + 16)
#define VALUE_MAX 300

/* -n may name a link that is not running: its past is there to read. */
static int name_of_link(struct session *s, char name[PATHS_NAME_MAX + 1])
{
    char *text;

    if (s->args->name) {
        snprintf(name, PATHS_NAME_MAX + 1, "%s", s->args->name);
        return CTL_OK;
    }
    int status = session_ask(s, "STATUS", &text);
    if (status)
        return status;
    json_t *doc = doc_parse(text);
    const char *told = doc_text(doc, "name");
    bool ok = told && paths_name_ok(bytes_str(told));
    if (ok)
        snprintf(name, PATHS_NAME_MAX + 1, "%s", told);
    json_decref(doc);
    free(text);
    return ok ? CTL_OK
              : session_fail(s, CTL_FAILED, code_name(CODE_FAILED),
                             "riotd did not tell its link's name: give it with -n NAME");
}

static void become(const struct session *s, const char *name)
{
    const struct request_value *v = s->args->request.values;
    char journalctl[] = "journalctl", follow[] = "--follow", json[] = "--output=json";
    char unit[UNIT_MAX], lines[VALUE_MAX], since[VALUE_MAX];
    char *argv[8] = {journalctl, unit};
    size_t argc = 2;

    snprintf(unit, sizeof(unit), "--unit=riotd@%s", name);
    snprintf(lines, sizeof(lines), "--lines=%" PRIu64, v[ARG_LINES].number);
    snprintf(since, sizeof(since), "--since=%.*s", (int)v[ARG_SINCE].text.len, v[ARG_SINCE].text.ptr);
    if (v[ARG_FOLLOW].given)
        argv[argc++] = follow;
    if (v[ARG_LINES].given)
        argv[argc++] = lines;
    if (v[ARG_SINCE].given)
        argv[argc++] = since;
    if (s->args->json)
        argv[argc++] = json;
    signal(SIGPIPE, SIG_DFL);
    execvp(argv[0], argv);
}

int logs_show(struct session *s)
{
    char name[PATHS_NAME_MAX + 1];
    int status = name_of_link(s, name);

    if (status)
        return status;
    fflush(stdout);
    become(s, name);
    return session_fail(s, CTL_FAILED, code_name(CODE_FAILED), "cannot run journalctl: %s", strerror(errno));
}

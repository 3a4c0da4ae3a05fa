/* tables: prints the part of a document that is made from one of the tables, for packaging/docs.py.
 *
 *     tables PART
 *
 * Parts are in mdoc, for the man pages, unless their name tells otherwise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "ctl/args.h"
#include "daemon/arguments.h"
#include "daemon/blocker.h"
#include "daemon/config_table.h"
#include "daemon/log.h"
#include "lib/control/codes.h"
#include "lib/control/verbs.h"

#define WIDTH         79
#define SENTENCES_MAX 2048

/* --- text --- */

/* One that begins with a name stays as it is: "riotd has ended", "notify-keyspace-events was changed". */
static bool takes_capital(const char *text)
{
    static const char *const names[] = {"riotd ", "riotctl "};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!strncmp(text, names[i], strlen(names[i])))
            return false;
    }
    size_t word = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    return word > 0 && strchr(" ,;:", text[word]) != NULL;
}

static const char *capital(const char *text, char out[SENTENCES_MAX])
{
    snprintf(out, SENTENCES_MAX, "%s", text);
    if (takes_capital(out))
        out[0] = (char)(out[0] - 'a' + 'A');
    return out;
}

/* The tables' texts are phrases: "the link entered another state". */
static const char *sentence(const char *text, char out[SENTENCES_MAX])
{
    size_t len = strlen(capital(text, out));

    if (len > 0 && len + 1 < SENTENCES_MAX && out[len - 1] != '.')
        strcpy(out + len, ".");
    return out;
}

/* So that roff shows each character as it is, and a `-` can be copied into a shell. */
static void put_escaped(const char *text, size_t len)
{
    static const struct {
        char c;
        const char *roff;
    } escapes[] = {{'\\', "\\e"},  {'-', "\\-"},   {'\'', "\\(aq"}, {'"', "\\(dq"},
                   {'`', "\\(ga"}, {'^', "\\(ha"}, {'~', "\\(ti"}};

    for (size_t i = 0; i < len; i++) {
        size_t at = 0;
        while (at < ARRAY_LEN(escapes) && escapes[at].c != text[i])
            at++;
        if (at < ARRAY_LEN(escapes))
            fputs(escapes[at].roff, stdout);
        else
            putchar(text[i]);
    }
}

static void put_name(const char *text)
{
    put_escaped(text, strlen(text));
}

static bool ends_sentence(const char *word, size_t len)
{
    return len > 1 && word[len - 1] == '.' && word[len - 2] != '.';
}

/* A name, such as target.url or $RUNTIME_DIRECTORY, is not hyphenated; a line that begins with a dot would be
 * a request. */
static void put_word(const char *word, size_t len, bool first)
{
    size_t plain = strcspn(word, "_./$=[");

    if (plain + 1 < len)
        fputs("\\%", stdout);
    else if (first && *word == '.')
        fputs("\\&", stdout);
    put_escaped(word, len);
}

/* The words of text, on lines that end where they are full, or where a sentence does. */
static void put_text(const char *text)
{
    size_t column = 0;

    for (text += strspn(text, " "); *text;) {
        size_t len = strcspn(text, " ");
        if (column && column + 1 + len > WIDTH) {
            putchar('\n');
            column = 0;
        }
        if (column)
            putchar(' ');
        put_word(text, len, !column);
        column += (column > 0) + len;
        if (ends_sentence(text, len) && text[len]) {
            putchar('\n');
            column = 0;
        }
        text += len;
        text += strspn(text, " ");
    }
    putchar('\n');
}

/* --- riotd.yaml(5) --- */

static const struct arguments_flag *flag_of(const char *path)
{
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (arguments_flags[i].path && !strcmp(arguments_flags[i].path, path))
            return &arguments_flags[i];
    }
    return NULL;
}

static void put_default(const struct config_option *o)
{
    if (!o->value) {
        puts(o->type == TYPE_URL ? "Needed." : "Not set by default.");
        return;
    }
    fputs("Default:\n.Li ", stdout);
    put_name(o->value);
    puts(" .");
}

static void put_flag_of(const struct arguments_flag *f)
{
    fputs("Flag:\n.Fl \\-", stdout);
    put_name(f->name + 2);
    puts(" .");
}

static void put_option(size_t row)
{
    const struct config_option *o = &config_options[row];
    const struct arguments_flag *f = flag_of(o->path);
    char bounds[CONFIG_WHY_MAX], out[SENTENCES_MAX];

    config_value_bounds(row, bounds, sizeof(bounds));
    printf(".It Cm %s\n", o->path);
    put_text(o->help);
    puts(".br");
    put_text(sentence(bounds, out));
    put_default(o);
    if (f)
        put_flag_of(f);
    if (o->flags & OPTION_LIMIT)
        puts(".Ic riotctl limit\nchanges it at run time.");
    puts(o->flags & OPTION_RELOAD ? "A reload takes it at once." : "A change holds from the next start.");
}

static void put_options(void)
{
    for (size_t row = 0; row < CONFIG_OPTIONS; row++)
        put_option(row);
}

static void put_example(void)
{
    config_example(stdout);
}

/* --- riotd(8) --- */

/* ".It Fl c , Fl -config Ar FILE" */
static void put_flag(char letter, const char *name, const char *placeholder, const char *help)
{
    char out[SENTENCES_MAX];

    fputs(".It ", stdout);
    if (letter)
        printf("Fl %c , ", letter);
    fputs("Fl \\-", stdout);
    put_name(name);
    if (placeholder) {
        fputs(" Ar ", stdout);
        put_name(placeholder);
    }
    putchar('\n');
    put_text(sentence(help, out));
}

static void put_flags(void)
{
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        const struct arguments_flag *f = &arguments_flags[i];
        put_flag(f->letter, f->name + 2, f->placeholder, f->help);
    }
}

static void put_exit(int status, const char *help)
{
    char out[SENTENCES_MAX];

    printf(".It %d\n", status);
    put_text(sentence(help, out));
}

static void put_riotd_exits(void)
{
    for (size_t i = 0; i < ARGUMENTS_EXITS; i++)
        put_exit(arguments_exits[i].status, arguments_exits[i].help);
}

static void put_events(void)
{
    char out[SENTENCES_MAX];

    for (int id = EVENT_NONE + 1; id < EVENT_COUNT; id++) {
        const struct event *e = event_get((enum event_id)id);
        printf(".It Sy %s Pq %s , %s\n", e->name, log_level_name(e->level), e->message_id);
        put_text(sentence(e->help, out));
    }
}

static void put_fields(void)
{
    char out[SENTENCES_MAX];

    for (size_t i = FIELD_END + 1; i < FIELD_COUNT; i++) {
        printf(".It Ev %s\n", log_fields[i].name);
        put_text(sentence(log_fields[i].meaning, out));
    }
}

static void put_blockers(void)
{
    for (size_t i = 0; i < BLOCKER_COUNT; i++) {
        printf(".It Sy %s\n", blockers[i].code);
        put_text(blockers[i].hint);
    }
}

/* --- the journal's catalog --- */

static void put_catalog(void)
{
    char out[SENTENCES_MAX];

    puts(
        "# What journalctl -x tells of riotd's events. Made from the table in daemon/events.c by make docs.");
    for (int id = EVENT_NONE + 1; id < EVENT_COUNT; id++) {
        const struct event *e = event_get((enum event_id)id);
        printf("\n-- %s\nSubject: %s\n", e->message_id, capital(e->help, out));
        printf("Defined-By: riotd\nDocumentation: man:riotd(8)\n\n%s\n", e->catalog);
    }
}

/* --- riotctl(1) --- */

static void put_riotctl_options(void)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct args_option *o = &args_options[i];
        put_flag(o->letter, o->name, o->placeholder, o->help);
    }
}

/* " Fl -for Ar COND", " Cm memory Ns = Ns Ar SIZE", " Ar VERB". */
static void put_written(const struct verb_arg *arg)
{
    char dashed[ARGS_NAME_MAX];

    if (arg->flags & VERB_ASSIGN) {
        printf(" Cm %s Ns = Ns", arg->name);
    } else if (!(arg->flags & VERB_POSITIONAL)) {
        fputs(" Fl \\-", stdout);
        put_name(args_dashed(arg->name, dashed));
    }
    if (arg->placeholder) {
        fputs(" Ar ", stdout);
        put_name(arg->placeholder);
    }
}

static void put_arg(const struct verb_arg *arg)
{
    char all[SENTENCES_MAX], out[SENTENCES_MAX];
    size_t at = (size_t)snprintf(all, sizeof(all), "%s", arg->help);

    for (size_t i = 0; arg->choices && arg->choices[i]; i++)
        at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%s", i ? ", " : "; one of ", arg->choices[i]);
    if (arg->preset)
        snprintf(all + at, sizeof(all) - at, "; default %s", arg->preset);
    fputs(".It", stdout);
    put_written(arg);
    putchar('\n');
    put_text(sentence(all, out));
}

static void put_verb(const struct verb *v)
{
    char out[SENTENCES_MAX];

    printf(".It Cm %s", v->name);
    for (size_t i = 0; i < v->nargs; i++) {
        if (v->args[i].flags & VERB_REQUIRED)
            put_written(&v->args[i]);
    }
    putchar('\n');
    put_text(sentence(v->help, out));
    if (!v->nargs)
        return;
    puts(".Bl -tag -width Ds -compact");
    for (size_t i = 0; i < v->nargs; i++)
        put_arg(&v->args[i]);
    puts(".El");
}

static void put_verbs(void)
{
    for (size_t i = 0; i < VERB_COUNT; i++)
        put_verb(&verbs[i]);
}

static void put_riotctl_exits(void)
{
    for (size_t i = 0; i < CTL_EXITS; i++)
        put_exit(ctl_exits[i].status, ctl_exits[i].help);
}

/* --- Markdown, for the README --- */

static void put_markdown_exit(int status, const char *help)
{
    printf("| %d | %s |\n", status, help);
}

static void put_markdown_riotd_exits(void)
{
    puts("| riotd ends with | means |\n|---|---|");
    for (size_t i = 0; i < ARGUMENTS_EXITS; i++)
        put_markdown_exit(arguments_exits[i].status, arguments_exits[i].help);
}

static void put_markdown_riotctl_exits(void)
{
    puts("| riotctl exits with | means |\n|---|---|");
    for (size_t i = 0; i < CTL_EXITS; i++)
        put_markdown_exit(ctl_exits[i].status, ctl_exits[i].help);
}

static const struct {
    const char *name;
    void (*put)(void);
} parts[] = {
    {"options", put_options},
    {"example", put_example}, /* YAML */
    {"flags", put_flags},
    {"riotd-exits", put_riotd_exits},
    {"riotd-exits.md", put_markdown_riotd_exits},
    {"blockers", put_blockers},
    {"fields", put_fields},
    {"events", put_events},
    {"catalog", put_catalog}, /* of the journal */
    {"riotctl-options", put_riotctl_options},
    {"verbs", put_verbs},
    {"riotctl-exits", put_riotctl_exits},
    {"riotctl-exits.md", put_markdown_riotctl_exits},
};

static int usage(void)
{
    fputs("usage: tables PART, one of:", stderr);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        fprintf(stderr, " %s", parts[i].name);
    fputc('\n', stderr);
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    size_t i = 0;

    while (i < ARRAY_LEN(parts) && (argc != 2 || strcmp(argv[1], parts[i].name) != 0))
        i++;
    if (i == ARRAY_LEN(parts))
        return usage();
    parts[i].put();
    return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

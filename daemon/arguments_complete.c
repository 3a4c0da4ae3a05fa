#include "daemon/arguments.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "lib/control/paths.h"

#define SUFFIX     ".yaml"
#define PREFIX_MAX 48 /* "--flag=" */

static const struct arguments_flag *find_long(const char *word)
{
    size_t len = strcspn(word, "=");

    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (strlen(arguments_flags[i].name) == len && !strncmp(arguments_flags[i].name, word, len))
            return &arguments_flags[i];
    }
    return NULL;
}

static const struct arguments_flag *find_short(const char *word)
{
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (arguments_flags[i].letter && word[0] == '-' && word[1] == arguments_flags[i].letter && !word[2])
            return &arguments_flags[i];
    }
    return NULL;
}

/* The flag whose value stands in the next word; NULL: it has its value, or takes none. */
static const struct arguments_flag *waiting(const char *word)
{
    const struct arguments_flag *f = strchr(word, '=') ? NULL : find_long(word);

    if (!f)
        f = find_short(word);
    return f && f->placeholder ? f : NULL;
}

static void add_link(struct candidates *c, const char *prefix, const char *file)
{
    size_t len = strlen(file), suffix = strlen(SUFFIX);
    char name[PATHS_NAME_MAX + 1];

    if (len <= suffix || len - suffix > PATHS_NAME_MAX || strcmp(file + len - suffix, SUFFIX) != 0)
        return;
    snprintf(name, sizeof(name), "%.*s", (int)(len - suffix), file);
    if (paths_name_ok(bytes_str(name)))
        candidates_add(c, prefix, name, "", "");
}

static void add_links(struct candidates *c, const char *prefix, const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        add_link(c, prefix, entry->d_name);
    if (dir)
        closedir(dir);
}

static void add_values(struct candidates *c, const struct arguments_flag *f, const char *prefix,
                       const char *folder)
{
    const char *word;

    if (f == &arguments_flags[FLAG_NAME])
        add_links(c, prefix, folder);
    for (size_t i = 0; f->path && (word = config_word(f->path, i)); i++)
        candidates_add(c, prefix, word, "", "");
    candidates_add_files(c, f->placeholder);
}

static void add_flags(struct candidates *c)
{
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        const struct arguments_flag *f = &arguments_flags[i];
        const char letter[] = {f->letter, '\0'};
        if (f->letter)
            candidates_add(c, "-", letter, "", f->help);
        candidates_add(c, "", f->name, "", f->help);
    }
}

void arguments_complete(int count, char *const *words, const char *folder, struct candidates *ret)
{
    const struct arguments_flag *flag = NULL;
    char prefix[PREFIX_MAX];

    *ret = (struct candidates){.written = count > 0 ? words[count - 1] : ""};
    buf_init(&ret->out, CANDIDATES_MAX);
    for (int i = 0; i + 1 < count; i++)
        flag = flag ? NULL : waiting(words[i]);
    if (flag) {
        add_values(ret, flag, "", folder);
    } else if (strchr(ret->written, '=')) {
        flag = find_long(ret->written);
        snprintf(prefix, sizeof(prefix), "%.*s", (int)strcspn(ret->written, "=") + 1, ret->written);
        if (flag && flag->placeholder)
            add_values(ret, flag, prefix, folder);
    } else {
        add_flags(ret);
    }
}

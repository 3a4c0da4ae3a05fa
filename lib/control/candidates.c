#include "lib/control/candidates.h"

#include <string.h>

#define WORD_MAX 256

void candidates_add(struct candidates *c, const char *prefix, const char *word, const char *suffix,
                    const char *help)
{
    char whole[WORD_MAX];
    int len = snprintf(whole, sizeof(whole), "%s%s%s", prefix, word, suffix);

    if (len < 0 || (size_t)len >= sizeof(whole) || strncmp(whole, c->written, strlen(c->written)) != 0)
        return;
    if (buf_printf(&c->out, "%s\t%s\n", whole, help))
        return; /* there are more of them than anyone reads */
}

void candidates_add_files(struct candidates *c, const char *placeholder)
{
    static const char *const names[] = {"FILE", "PATH", "DIR"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!strcmp(placeholder, names[i]) && buf_append_str(&c->out, CANDIDATES_FILES "\n"))
            return;
    }
}

void candidates_print(const struct candidates *c, FILE *out)
{
    struct bytes text = buf_bytes(&c->out);

    if (text.len)
        fwrite(text.ptr, 1, text.len, out);
}

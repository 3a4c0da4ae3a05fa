#include "lib/core/sink.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/core/text.h"

#define TEXT_CAP 1024

void sink_say(const struct sink *s, enum sink_level level, const char *event, const char *format, ...)
{
    char text[TEXT_CAP];
    va_list args;

    if (!s || !s->say)
        return;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n < 0)
        return;
    if ((size_t)n >= sizeof(text))
        text_cut(text, sizeof(text));
    s->say(s->arg, level, event, text);
}

/* sink.h - where the library reports to.
 *
 * The library never logs to a global. Whoever owns an object gives it a sink; the daemon's turns each report
 * into a journal line and an event. `event` is a short stable name ("gap", "connection_lost"), the text is a
 * plain sentence.
 */
#ifndef RIOT_SINK_H
#define RIOT_SINK_H

#include "lib/core/common.h"

/* As syslog(3): err means that a person must act. */
enum sink_level { SINK_ERR = 3, SINK_WARNING = 4, SINK_NOTICE = 5, SINK_INFO = 6, SINK_DEBUG = 7 };

struct sink {
    void (*say)(void *arg, enum sink_level level, const char *event, const char *text);
    void *arg;
};

void sink_say(const struct sink *s, enum sink_level level, const char *event, const char *format, ...)
    PRINTF_LIKE(4, 5);

#endif

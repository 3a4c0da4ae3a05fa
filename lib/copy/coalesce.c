#include "lib/copy/coalesce.h"

static void measure(struct coalesce *c, uint64_t marks, uint64_t now_us)
{
    double took_us = (double)(now_us - c->began_us);
    double load = MIN((double)c->busy_us / took_us, 1.0);
    double most_us = (double)c->most_us;

    c->wait_us = 0;
    if ((double)(marks - c->marks) * most_us >= COALESCE_FEW * took_us)
        c->wait_us = (uint64_t)(most_us * load * load);
    c->began_us = now_us;
    c->busy_us = 0;
    c->marks = marks;
}

void coalesce_feed(struct coalesce *c, bool busy, uint64_t marks, uint64_t now_us)
{
    if (c->busy_since_us)
        c->busy_us += now_us - c->busy_since_us;
    c->busy_since_us = busy ? now_us : 0;
    if (now_us - c->began_us >= COALESCE_WINDOW_US)
        measure(c, marks, now_us);
    c->wait_us = MIN(c->wait_us, c->most_us);
}

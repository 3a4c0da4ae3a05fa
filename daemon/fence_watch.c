#include "daemon/fence_impl.h"
int fence_watch_init(struct fence *f)
{
    (void)f;
    return 0;
}
void fence_watch_end(struct fence *f)
{
    (void)f;
}
void fence_watch_sample(struct fence *f, const struct watch_sample *s)
{
    (void)f;
    (void)s;
}
void fence_watch_ready(struct fence_node *n)
{
    (void)n;
}
void fence_watch(struct fence *f, bool on)
{
    f->watching = on;
}
bool fence_is_held(const struct fence *f)
{
    return f->is_held;
}

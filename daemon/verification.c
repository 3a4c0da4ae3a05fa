#include "daemon/verification.h"

bool verification_report(const struct verification *v, struct verify_report *ret)
{
    (void)v, (void)ret;
    return false;
}

/* Any bytes as a configuration file: no crash, no leak, bounded time, and an answer that agrees with the
 * errors. */
#include "daemon/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_errors errors = {0};
    struct config *c;
    if (config_new(&c) < 0)
        return 0;
    int parsed = config_parse(c, "fuzz.yaml", bytes_of(data, size), &errors);
    if ((parsed < 0) != (errors.count > 0))
        abort();
    int checked = config_check(c, &errors);
    if (checked < 0 && errors.count == 0)
        abort();
    config_errors_free(&errors);
    config_free(c);
    return 0;
}

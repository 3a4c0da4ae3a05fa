/* Any bytes as what a client of the control server sends: requests are taken apart and checked against the
 * verb table; a refusal always says why, and what is accepted is within the table. */
#include "lib/control/request.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/resp.h"

#define ARGS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct bytes *argv, size_t argc)
{
    char why[REQUEST_WHY_MAX] = "";
    struct request r;

    if (request_parse(argv, argc, &r, why)) {
        if (!why[0] || strlen(why) >= sizeof(why) || strpbrk(why, "\r\n"))
            abort();
        return;
    }
    if (r.verb->flags & VERB_LOCAL)
        abort();
    for (size_t i = 0; i < ARG_COUNT; i++) {
        if (r.values[i].given && !r.values[i].text.len)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char scratch[4096];
    struct bytes in = bytes_of(data, size), argv[ARGS_MAX];
    size_t argc;

    while (!resp_request(&in, argv, ARGS_MAX, scratch, sizeof(scratch), &argc)) {
        if (argc)
            check(argv, argc);
    }
    return 0;
}

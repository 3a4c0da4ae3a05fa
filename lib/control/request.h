/* request.h - a request as the verb table understands it: the verb and the value of each argument, checked.
 */
#ifndef RIOT_REQUEST_H
#define RIOT_REQUEST_H

#include "lib/control/codes.h"
#include "lib/control/verbs.h"

#define REQUEST_WHY_MAX 320

struct request_value {
    bool given;
    uint64_t number;   /* as enum verb_arg_kind says */
    struct bytes text; /* as it was written; borrowed from the request */
};

struct request {
    const struct verb *verb;
    struct request_value values[ARG_COUNT]; /* by id: req->values[ARG_TIMEOUT] */
};

/* argv[0] is the verb. 0; -EINVAL: `why` is a sentence that says what is wrong and what may be meant (USAGE).
 */
MUST_CHECK int request_parse(const struct bytes *argv, size_t argc, struct request *ret,
                             char why[REQUEST_WHY_MAX]);
/* One value by itself. 0, or -EINVAL with `why`. */
MUST_CHECK int request_value_parse(const struct verb_arg *arg, struct bytes text, struct request_value *ret,
                                   char why[REQUEST_WHY_MAX]);
/* 0, or -EINVAL with `why`: an argument that the verb cannot do without was not given. */
MUST_CHECK int request_missing(const struct request *r, char why[REQUEST_WHY_MAX]);

#endif

/* args.h - riotctl's command line, read by the verb table: riotctl [OPTIONS] VERB [ARGUMENTS], options of its
 * own anywhere. */
#ifndef RIOT_CTL_ARGS_H
#define RIOT_CTL_ARGS_H

#include "lib/control/request.h"

enum args_colour { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER, COLOURS };
extern const char *const args_colours[COLOURS + 1]; /* NULL ends them */

struct args {
    const char *socket, *name; /* NULL: not given */
    bool json, no_wait, help, version;
    enum args_colour colour;
    struct request request; /* .verb NULL: only with help or version */
};

enum args_option_id {
    OPTION_SOCKET,
    OPTION_NAME,
    OPTION_JSON,
    OPTION_NO_WAIT,
    OPTION_COLOUR,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_COUNT
};

struct args_option {
    const char *name;
    char letter;             /* '\0': none */
    const char *placeholder; /* NULL: takes no value */
    const char *help;
};
extern const struct args_option args_options[OPTION_COUNT]; /* indexed by id */
/* With that verb? v NULL: there is none yet. */
bool args_option_fits(enum args_option_id id, const struct verb *v);

/* argv[0] is passed over. 0; -EINVAL with `why`: usage. What is kept of argv is borrowed. */
MUST_CHECK int args_parse(int argc, char *const *argv, struct args *ret, char why[REQUEST_WHY_MAX]);

/* The request as it goes to the daemon. Returns how many of argv there are. */
#define ARGS_WIRE_MAX (1 + 2 * ARG_COUNT)
size_t args_wire(const struct request *r, struct bytes argv[ARGS_WIRE_MAX]);

/* An argument's name as an option writes it: "keys-per-s". Returns out. */
#define ARGS_NAME_MAX 32
const char *args_dashed(const char *name, char out[ARGS_NAME_MAX]);

#endif

/* state_file_parts.h - the state as text. Inside daemon/state_file*.c only. */
#ifndef RIOTD_STATE_FILE_PARTS_H
#define RIOTD_STATE_FILE_PARTS_H

#include "daemon/state_file.h"

/* The caller frees. Equal states give equal texts. */
MUST_CHECK int state_render(const struct state *s, char **ret);
/* Into a zeroed state. -EBADMSG, with why in a few words: what it holds is not what a state file of this
 * version holds. */
MUST_CHECK int state_parse(struct bytes text, struct state *s, char why[STATE_WHY_MAX]);

#endif

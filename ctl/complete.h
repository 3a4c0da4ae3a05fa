/* complete.h - riotctl's words for a shell's completion: verbs, options, values, and the links of this
 * machine.
 *
 * By the tables, and by the sockets that are there: nobody is asked, so that it is quick and needs no rights.
 * A line that makes no sense has no candidates.
 */
#ifndef RIOT_CTL_COMPLETE_H
#define RIOT_CTL_COMPLETE_H

#include "lib/control/candidates.h"
#include "lib/control/paths.h"

/* Of the words behind CANDIDATES_FLAG; ret->out is the caller's to free. */
void complete_words(int count, char *const *words, const struct paths_env *env, struct candidates *ret);

#endif

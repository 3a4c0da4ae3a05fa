/* libraries.h - the function libraries in a payload of FUNCTION DUMP, compared as sets.
 *
 * A server tells them in the order of a hash table with a seed of its own, and behind them stands a footer
 * with its version: payloads with the same libraries are seldom the same bytes.
 */
#ifndef RIOT_LIBRARIES_H
#define RIOT_LIBRARIES_H

#include "lib/core/bytes.h"

#define LIBRARIES_FOOTER 10 /* version and checksum */

/* Does `all` hold each library of `some`, as it is there? Where the format is not known, or memory is out:
 * are both the same bytes? */
bool libraries_within(struct bytes some, struct bytes all);

#endif

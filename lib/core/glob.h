/* glob.h - names against patterns, as KEYS, SCAN MATCH and PSUBSCRIBE of the servers do (util.c,
 * stringmatchlen): * ? [abc] [^abc] [a-z] and \ before what is meant as it is. Binary safe on both sides.
 *
 * What is odd there is the same here: a class that is not closed ends with the pattern, [^] is any byte, []
 * none, and [a-] is a range up to the bracket. Two things are not: bytes in a range are unsigned, as on
 * machines whose char is; and the time is at most pattern times name, whatever both are made of.
 */
#ifndef RIOT_GLOB_H
#define RIOT_GLOB_H

#include "lib/core/bytes.h"

bool glob_matches(struct bytes glob, struct bytes name);

#endif

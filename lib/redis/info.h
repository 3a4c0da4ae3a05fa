/* info.h - reads the text of INFO: "# Section", "name:value" lines. */
#ifndef RIOT_INFO_H
#define RIOT_INFO_H

#include "lib/core/bytes.h"

/* Calls fn for each name:value line; text is borrowed. Lines without a colon are passed over. */
void info_each(struct bytes text, void (*fn)(struct bytes name, struct bytes value, void *arg), void *arg);
/* The first value of that name. False: there is none. */
bool info_find(struct bytes text, const char *name, struct bytes *ret);
bool info_find_u64(struct bytes text, const char *name, uint64_t *ret);
/* A field of "calls=3,usec=4": the number behind `field=`. */
bool info_field_u64(struct bytes value, const char *field, uint64_t *ret);

#endif

/* listing.h - tables: lanes, limits, options, and the links of this machine. */
#ifndef RIOT_CTL_LISTING_H
#define RIOT_CTL_LISTING_H

#include <jansson.h>
#include "ctl/session.h"

/* Of STATUS's document: a row for each lane. -ENOBUFS, -ENOMEM. */
MUST_CHECK int listing_lanes(const struct session *s, const json_t *doc, struct buf *out);
/* Of LIMIT's document: name and value, written as a change of it would be. -ENOBUFS, -ENOMEM. */
MUST_CHECK int listing_limits(const struct session *s, const json_t *doc, struct buf *out);
/* Of CONFIG's: name, value, origin. */
MUST_CHECK int listing_options(const struct session *s, const json_t *doc, struct buf *out);
/* Of RELOAD's: each changed option, before and after, and from when it holds. */
MUST_CHECK int listing_changes(const struct session *s, const json_t *doc, struct buf *out);

/* Asks every riotd whose socket is found, and prints a row for each. Returns the exit code. */
MUST_CHECK int listing_links(struct session *s);

#endif

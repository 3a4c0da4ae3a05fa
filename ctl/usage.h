/* usage.h - riotctl's help, made from the tables of verbs and options. */
#ifndef RIOT_CTL_USAGE_H
#define RIOT_CTL_USAGE_H

#include "lib/control/verbs.h"
#include "lib/core/buf.h"

MUST_CHECK int usage_all(struct buf *out);
MUST_CHECK int usage_verb(const struct verb *v, struct buf *out);

#endif

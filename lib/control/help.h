/* help.h - what the verb table says, as the document that HELP answers. */
#ifndef RIOT_HELP_H
#define RIOT_HELP_H

#include "lib/core/buf.h"

/* Appends {"verbs":[{"name","help","changes","operation","args":[{"name","kind","help","required",...}]}]},
 * the daemon's verbs only. -ENOBUFS, -ENOMEM. */
MUST_CHECK int help_document(struct buf *out);

#endif

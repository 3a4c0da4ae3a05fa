/* address.h - a host and a port, as people and clusters write them.
 *
 *   host    host:port    10.0.0.5:6379    [2001:db8::5]:6379    2001:db8::5
 */
#ifndef RIOT_ADDRESS_H
#define RIOT_ADDRESS_H

#include "lib/core/bytes.h"

#define ADDRESS_HOST_MAX 256

struct address {
    char host[ADDRESS_HOST_MAX];
    uint16_t port; /* 0: none is told */
};

/* As above. -EINVAL. */
MUST_CHECK int address_parse(struct bytes text, struct address *ret);
/* What a node of a cluster tells: the port is there, stands behind the last colon, and IPv6 may stand without
 * brackets; the host may be empty. -EINVAL. */
MUST_CHECK int address_parse_told(struct bytes text, struct address *ret);

#endif

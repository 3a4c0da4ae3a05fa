/* hll.h - a HyperLogLog is a string with a header and 16384 registers, dense (6 bits each) or sparse (runs).
 *
 * The header: "HYLL", a byte with the encoding, 3 bytes of 0, and 8 bytes of cached cardinality, which says
 * nothing that the registers do not.
 */
#ifndef RIOT_RDB_HLL_H
#define RIOT_RDB_HLL_H

#include "lib/core/bytes.h"

#define HLL_HEADER     16
#define HLL_REGISTERS  16384
#define HLL_LENGTH_MAX (HLL_HEADER + HLL_REGISTERS) /* sparse, with a byte for each register */

/* Whether a string of that length that begins so can be one. */
bool hll_may_be(struct bytes begins, uint64_t length);
/* The registers, a byte each. False: it is a string like any other. */
bool hll_registers(struct bytes text, uint8_t ret[HLL_REGISTERS]);

#endif

/* crc64.h - the checksum of DUMP payloads: CRC-64 with the polynomial of Jones, 0xad93d23594c935a9,
 * reflected, beginning with 0 and without a final xor. crc64(0, "123456789", 9) is 0xe9c6d914c4b8d9ca.
 */
#ifndef RIOT_RDB_CRC64_H
#define RIOT_RDB_CRC64_H

#include "lib/core/common.h"

/* crc: of what stands before, 0 at the beginning. */
uint64_t crc64(uint64_t crc, const void *ptr, size_t len);

#endif

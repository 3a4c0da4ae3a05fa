/* doc.h - reading a JSON document of the daemon: by path ("queue.dirty_keys"); what is absent, null or of
 * another type is unknown. */
#ifndef RIOT_CTL_DOC_H
#define RIOT_CTL_DOC_H

#include <jansson.h>
#include "lib/core/bytes.h"

#define DOC_JSON (JSON_COMPACT | JSON_REAL_PRECISION(15)) /* to write it again: 0.42 */

json_t *doc_get(const json_t *doc, const char *path); /* borrowed, or NULL */
const char *doc_text(const json_t *doc, const char *path);
bool doc_number(const json_t *doc, const char *path, uint64_t *ret); /* not negative; a fraction is cut */
bool doc_real(const json_t *doc, const char *path, double *ret);
/* NULL: it is no JSON object. To be given back with json_decref(). */
json_t *doc_parse(const char *text);

/* Milliseconds since 1970 of "2026-01-02T03:04:05.678Z". */
bool doc_time(const char *text, int64_t *ret_ms);
/* "1h 12m", from then until now; false: unknown. */
bool doc_age(const json_t *doc, const char *path, int64_t now_ms, char *out, size_t cap);

#endif

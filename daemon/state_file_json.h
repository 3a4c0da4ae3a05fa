/* state_file_json.h - parts of the state as JSON. Inside daemon/state_file_json.c and state_file_place.c, the
 * only files of the module that know jansson, only. */
#ifndef RIOTD_STATE_FILE_JSON_H
#define RIOTD_STATE_FILE_JSON_H

#include <jansson.h>

#include "daemon/state_file.h"

/* Writing. A failed jansson call is out of memory; it is sticky, so that it is looked at once. */
struct writer {
    int err;
};

void state_put(struct writer *w, json_t *object, const char *name, json_t *value);
/* What a server told may be anything; JSON takes UTF-8 only. */
void state_put_text(struct writer *w, json_t *object, const char *name, const char *text);
void state_put_u64(struct writer *w, json_t *object, const char *name, uint64_t n);
void state_append(struct writer *w, json_t *list, json_t *value);

/* Reading. The first thing that is not as expected is kept, the rest is not looked at. */
struct reader {
    char *why; /* of STATE_WHY_MAX bytes */
    json_int_t schema;
    bool bad;
};

void state_bad(struct reader *r, const char *format, ...) PRINTF_LIKE(2, 3);
/* An object with exactly these many fields; NULL when it is none. */
const json_t *state_object(struct reader *r, const json_t *value, const char *name, size_t fields);
void state_get_text(struct reader *r, const json_t *o, const char *name, char *out, size_t cap);
uint64_t state_to_u64(struct reader *r, const json_t *value, const char *name);
/* NULL: bad. */
const json_t *state_get_list(struct reader *r, const json_t *o, const char *name, size_t most);

/* state_file_place.c */
json_t *state_place_json(struct writer *w, const struct state_place *p);
void state_read_place(struct reader *r, const json_t *root, struct state_place *p); /* where there is one */

#endif

/* config_table.h - the rows of THE table of options. Inside daemon/config*.c and packaging/tables.c only.
 *
 * A row says all there is to know of an option: parsing, checking, rendering, help and the example file
 * derive from it.
 */
#ifndef RIOTD_CONFIG_TABLE_H
#define RIOTD_CONFIG_TABLE_H

#include "daemon/config.h"
#include "lib/core/buf.h"

#define CONFIG_OPTIONS   43
#define CONFIG_VALUE_MAX (64 * KIB) /* of a list written out; others have less */
#define CONFIG_FLAG_MAX  32
#define CONFIG_PATH_MAX  64

enum config_type {
    TYPE_NAME,
    TYPE_URL,
    TYPE_PATH,
    TYPE_CREDENTIAL,
    TYPE_HOST,
    TYPE_DURATION,
    TYPE_SIZE,
    TYPE_NUMBER,
    TYPE_BOOL,
    TYPE_WORD,
    TYPE_DATABASES,
    TYPE_ADDRESSES,   /* a list of host:port */
    TYPE_ADDRESS_MAP, /* a list of FROM=TO */
    TYPE_GLOBS,       /* a list of globs */
    TYPE_TYPES,       /* a list of names of types */
    TYPE_COUNT
};

/* `limit` may change it; a path that need not begin with /; a reload takes it at once, the others hold from
 * the next start of riotd. */
enum { OPTION_LIMIT = 1, OPTION_RELATIVE = 2, OPTION_RELOAD = 4 };

struct config_word {
    const char *name;
    int value;
};

struct config_option {
    const char *path;
    enum config_type type;
    size_t offset;     /* of the field in struct config */
    const char *value; /* the default, as a file would write it; NULL: not set */
    uint64_t min, max; /* of numbers, sizes, durations, and of the length of text */
    const struct config_word *words;
    unsigned flags;
    const char *example; /* shown in the example file where there is no default */
    const char *help;
};

extern const struct config_option config_options[CONFIG_OPTIONS];

/* Rows by name; CONFIG_OPTIONS: there is none. */
size_t config_option_find(const char *path);
/* The first row of that section ("scan", "source.tls"); CONFIG_OPTIONS: there is none. */
size_t config_section_find(const char *section);
bool config_section_has(const char *section, size_t row); /* or a section in it */
/* What the user may have meant by an unknown path: an option or a section. False: nothing is near. */
bool config_nearest(const char *path, char out[CONFIG_PATH_MAX]);

/* Where a value came from. */
enum config_source { FROM_DEFAULT, FROM_FILE, FROM_FLAG, FROM_LIMIT };
struct config_origin {
    enum config_source from;
    unsigned line, column;
    char flag[CONFIG_FLAG_MAX];
};
struct config_origins {
    struct config_origin at[CONFIG_OPTIONS];
};

/* Sets one field from text; nothing is changed on failure. -EINVAL with why, -ENOMEM. A value is never
 * repeated in why: it may be a password in the wrong place. */
MUST_CHECK int config_value_set(struct config *c, size_t row, struct bytes text, char why[CONFIG_WHY_MAX]);
/* One element of a list of the file, checked, and appended to text as config_value_set() takes it. -ENOBUFS:
 * the list is too long. */
bool config_is_list(size_t row);
MUST_CHECK int config_item_append(size_t row, struct bytes item, struct buf *text, char why[CONFIG_WHY_MAX]);

/* Lists of texts: config_list.c. */
int config_list_set(const struct config_option *o, void *field, struct bytes text, char why[CONFIG_WHY_MAX]);
int config_list_render(const struct config_option *o, const void *field, char **ret);
void config_list_free(struct config_texts *t);
MUST_CHECK int config_list_append(const struct config_option *o, struct bytes item, struct buf *text,
                                  char why[CONFIG_WHY_MAX]);
/* What the lists of `filter` mean; NULL where none is given. */
MUST_CHECK int config_filter(const struct config *c, struct filter **ret);
/* As a file would write it; *ret NULL when it is not set. The caller frees. */
MUST_CHECK int config_value_render(const struct config *c, size_t row, char **ret);
void config_value_free(struct config *c, size_t row);
/* "a duration such as 500ms, 20s or 2m, from 100ms to 1h", for the example file; into out. */
void config_value_bounds(size_t row, char *out, size_t cap);

/* Sets a value and its origin, by the rules of precedence; adds what is wrong to errors. */
MUST_CHECK int config_assign(struct config *c, size_t row, struct bytes text,
                             const struct config_origin *origin, const char *place,
                             struct config_errors *errors);
/* Where that value was given, for texts: "orders.yaml:3:8", "--source"; "orders.yaml" or "" for a default. */
void config_place(const struct config *c, size_t row, char *out, size_t cap);
/* "PLACE: text"; place may be "". */
void config_error(struct config_errors *e, const char *place, const char *format, ...) PRINTF_LIKE(3, 4);

/* config_load() with another folder than /etc/riotd. */
MUST_CHECK int config_load_from(const char *folder, const struct config_inputs *in,
                                struct config_errors *errors, struct config **ret);

#endif

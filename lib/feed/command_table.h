/* command_table.h - what is known of a command before its arguments are seen: the rules of command_keys.h.
 *
 * A rule says which arguments are keys that the command may change, in the terms of the servers' own key
 * specifications (https://redis.io/docs/latest/develop/reference/key-specs/), plus what those cannot say.
 * Keys that are only read are not in it.
 */
#ifndef RIOT_COMMAND_TABLE_H
#define RIOT_COMMAND_TABLE_H

#include "lib/feed/command_keys.h"

#define COMMAND_NAME_MAX 64 /* with its subcommand, and a NUL */
#define KEYWORD_MAX      32
#define KEY_SPECS_MAX    4

/* It begins at argument `from`, or behind the keyword, which is sought from there on. */
struct key_spec {
    char keyword[KEYWORD_MAX]; /* in lower case; "": none */
    int from;
    bool counted; /* the number of keys is among the arguments */
    /* Counted: where the number and the first key are; otherwise where the last is: all behind the beginning.
     * A negative last counts from the command's end (-1: its last argument), or, with a limit, from the end
     * of the first of so many equal parts that the rest of the arguments is divided into. */
    int number, first;
    int last, limit;
    int step;
};

/* What becomes of a key whose command names a second database. */
enum other_db { OTHER_DB_NONE, OTHER_DB_TOO, OTHER_DB_INSTEAD };

struct command_rule {
    const char *name; /* in lower case: "set", "replconf|getack" */
    enum effect_kind kind;
    bool container; /* "name|subcommand" has a rule of its own, or this one holds */
    enum other_db other_db;
    int numbers, numbers_from; /* arguments that are numbers of databases */
    int options; /* from here on: options, among them STORE key, STOREDIST key, DB number; 0: none */
    size_t nspecs;
    struct key_spec specs[KEY_SPECS_MAX];
};

extern const struct command_rule command_rules[];
extern const size_t command_rules_count;

#endif

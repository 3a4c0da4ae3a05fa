/* candidates.h - what a shell may complete a word to, as `PROGRAM --complete [WORD...]` prints it.
 *
 * The last WORD is the one that is being written, and may be empty. A candidate a line: the whole word, a
 * tab, and a short help. The line CANDIDATES_FILES alone asks the shell for names of files. Completion is
 * silent: what does not fit any more is left out.
 */
#ifndef RIOT_CANDIDATES_H
#define RIOT_CANDIDATES_H

#include <stdio.h>
#include "lib/core/buf.h"

#define CANDIDATES_FLAG  "--complete"
#define CANDIDATES_FILES ":files"
#define CANDIDATES_MAX   (64 * KIB)

struct candidates {
    struct buf out;
    const char *written; /* of the word so far */
};

/* `prefix` and `suffix` belong to the word: "--fence=" and "hold", "keys_per_s" and "=". Left out where it
 * does not go on from what is written. */
void candidates_add(struct candidates *c, const char *prefix, const char *word, const char *suffix,
                    const char *help);
/* A value: names of files where the placeholder says so (FILE, PATH, DIR). */
void candidates_add_files(struct candidates *c, const char *placeholder);

void candidates_print(const struct candidates *c, FILE *out);

#endif

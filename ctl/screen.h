/* screen.h - the status document as one screen of text, and as one line. */
#ifndef RIOT_CTL_SCREEN_H
#define RIOT_CTL_SCREEN_H

#include <jansson.h>
#include "ctl/term.h"

/* At most t->width columns and t->height - 1 lines, each with its newline: what matters most is kept. */
void screen_render(const json_t *doc, const struct term *t, int64_t now_ms, struct buf *out);
/* "live, lag 12 keys 35ms, 1,234 keys/s", cut to the width; without a newline. For pipes and for progress. */
void screen_line(const json_t *doc, const struct term *t, struct buf *out);
enum style screen_state_style(const char *state);

#endif

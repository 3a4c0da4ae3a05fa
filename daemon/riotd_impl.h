/* riotd_impl.h - the inside of the composition root, for riotd.c (the whole, and its life), riotd_verbs.c
 * (what is asked over the control socket) and riotd_reload.c only. */
#ifndef RIOTD_RIOTD_IMPL_H
#define RIOTD_RIOTD_IMPL_H

#include "daemon/riotd.h"

#include "daemon/cutover.h"
#include "daemon/link.h"
#include "daemon/operation.h"
#include "daemon/preflight.h"
#include "daemon/server.h"
#include "daemon/service.h"
#include "daemon/verification.h"
#include "daemon/waiting.h"

struct riotd {
    struct loop *loop;
    const struct riotd_options *opt;
    struct config *config;
    struct log *log;
    struct service *service;
    struct server *server;
    struct link *link;
    struct operations *operations;
    struct verification *verification;
    struct cutover *cutover;
    struct waiting *waiting;
    struct preflight *preflight;
    struct defer preflight_free_later;
    struct timer *second;
    struct sig *term, *interrupt, *hangup;
    unsigned seconds;
    uint64_t seq; /* of events */
    bool ending;
    const struct verb *changing;        /* what is asked for just now and would change something; or NULL */
    uint64_t stop_client, check_client; /* who waits for the answer to `stop`, to `check`; 0: nobody */
};

server_verb_fn riotd_verb;          /* arg: struct riotd */
server_error_fn riotd_verb_refused; /* the same */
/* Reads the configuration again: all of it is taken, or nothing. Each change is logged, and what is wrong.
 * With a client, it is answered. */
void riotd_reload(struct riotd *r, struct client *c);
/* A check that runs ends without a report: its connections may not outlive the seal of the target. */
void riotd_end_check(void *arg); /* struct riotd */

#endif

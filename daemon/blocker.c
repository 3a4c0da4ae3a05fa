#include "daemon/blocker.h"

const struct blocker_row blockers[BLOCKER_COUNT] = {
    [BLOCKER_SAME_SERVER] =
        {"same_server", "Source and target must be two servers: correct one of the URLs and restart riotd.",
         true, false},
    [BLOCKER_REPLICATES] = {"replicates",
                            "Make the target a primary of its own: REPLICAOF NO ONE, then: riotctl start",
                            true, false},
    [BLOCKER_TARGET_IS_REPLICA] = {"target_is_replica",
                                   "Promote it: REPLICAOF NO ONE, then: riotctl start. Or give the URL of "
                                   "its primary and restart riotd.",
                                   true, false},
    [BLOCKER_TARGET_NOT_EMPTY] =
        {"target_not_empty",
         "Empty it, then: riotctl start. Or set target.existing_keys to replace (the target becomes equal to "
         "the source) or merge (its other keys stay) and restart riotd.",
         true, false},
    [BLOCKER_TARGET_FOREIGN] =
        {"target_foreign",
         "Look whether this is the right target. If its keys may go: riotctl resume --accept "
         "target_foreign",
         false, true},
    [BLOCKER_CLUSTER] =
        {"cluster",
         "Give the host and port of a node as the URL, and leave `cluster` at auto; restart riotd.", true,
         false},
    [BLOCKER_TARGET_EVICTS] = {"target_evicts",
                               "Set maxmemory-policy noeviction on the target, then: riotctl start. Or set "
                               "target.allow_eviction: yes and restart riotd.",
                               true, false},
    [BLOCKER_OTHER_RIOTD] = {"other_riotd",
                             "Stop the other riotd that is connected to the target. Then: riotctl start",
                             true, false},
    [BLOCKER_VERSION] =
        {"version",
         "Use a target at least as new as the source in DUMP format: upgrade it, then: riotctl start", true,
         false},
    [BLOCKER_DATABASE_MISSING] = {"database_missing",
                                  "Raise `databases` in the target's configuration, or name those that both "
                                  "sides have in riotd's `databases` and restart riotd.",
                                  true, false},
    [BLOCKER_FEED_UNUSABLE] = {"feed_unusable",
                               "Change what the message names on the source, then: riotctl start. Or choose "
                               "another feed and restart riotd.",
                               true, false},
    [BLOCKER_MERGE_FEED] =
        {"merge_feed",
         "With existing_keys: merge, the feed must name the database: set feed: notify and restart riotd.",
         true, false},
    [BLOCKER_SOURCE_SHRANK] =
        {"source_shrank",
         "Look whether the source has lost data. If it is right so: riotctl resume --accept "
         "source_shrank",
         false, true},
    [BLOCKER_DELETIONS_UNKNOWN] =
        {"deletions_unknown",
         "Keys that the source deleted during the gap may be left on the target. If that is "
         "acceptable: riotctl resume --accept deletions_unknown",
         false, true},
    [BLOCKER_FAILED_KEYS] =
        {"failed_keys",
         "See failed_keys in riotctl status --json for names and reasons. They are tried again each "
         "minute, and when they change.",
         false, false},
    [BLOCKER_FUNCTIONS_REFUSED] =
        {"functions_refused",
         "Use a target that has functions (7.0 or newer), or give riotd +function|dump on both sides and "
         "+function|restore on the target.",
         false, false},
    [BLOCKER_THIN_INFO] = {"thin_info", "To take it on trust: riotctl resume --accept thin_info", false,
                           true},
    [BLOCKER_FENCED] =
        {"fenced",
         "See the message for what is fenced on which server, and put it right by hand. Then: riotctl "
         "finish --unfence, or riotctl start --anew",
         true, false},
    [BLOCKER_STATE_FILE] = {"state_file",
                            "Make room, or mend the rights of the state folder. Then: riotctl start", true,
                            false},
};

bool blocker_parse(struct bytes code, enum blocker *ret)
{
    for (size_t i = 0; i < BLOCKER_COUNT; i++) {
        if (!bytes_is(code, blockers[i].code))
            continue;
        *ret = (enum blocker)i;
        return true;
    }
    return false;
}

#include "daemon/events.h"

#include <string.h>

/* The ids are random, made once, and must never change: catalogs and scripts know them. The texts stand here
 * as journalctl -x shows them, no line longer than 80. */
/* clang-format off */
static const struct event events[] = {
    [EVENT_NONE] = {NULL, NULL, SINK_INFO, NULL, NULL},
    /* the process */
    [EVENT_STARTED] = {"started", "66ce8af213e647a49154d0a1fae4131f", SINK_NOTICE,
        "riotd began to run this link",
        "riotd @RIOT_VERSION@ runs the link @RIOT_LINK@ and connects to both servers by\n"
        "itself, unless it was paused or stopped before: that holds over a restart.\n"
        "Nothing has to be done. How far it is:\n"
        "  riotctl -n @RIOT_LINK@ status"},
    [EVENT_STOPPING] = {"stopping", "e22cff00aa604713800f14a5944819f8", SINK_NOTICE,
        "riotd was asked to end",
        "A signal came: systemctl stop or restart, a shutdown, or Ctrl-C. Changes on\n"
        "their way are not waited for: the next start goes through all keys again. A\n"
        "cutover that has not committed is undone first. Nothing has to be done."},
    [EVENT_STOPPED] = {"stopped", "a918776d5e3642889ff7cb0ed10b11a5", SINK_NOTICE,
        "riotd has ended",
        "Nothing is copied any more: the target stays as it is, and falls behind the\n"
        "source. After a commit, nobody looks whether the old source is still fenced.\n"
        "If that was not intended:\n"
        "  systemctl start riotd@@RIOT_LINK@"},
    [EVENT_CONFIG_WARNING] = {"config_warning", "1add8498e0c8452b99d148c20866d994", SINK_WARNING,
        "the configuration works, but something in it deserves a look",
        "The link goes on. The text names what riotd cannot see or do with its present\n"
        "rights or settings, and what would change it. All that may stand in the way:\n"
        "  riotctl -n @RIOT_LINK@ check"},
    [EVENT_CONFIG_ERROR] = {"config_error", "0b3af84172c84ce49bbbbb6cf7c5ecb5", SINK_ERR,
        "the configuration, or what it names, was refused",
        "The text says what is wrong and where: FILE:LINE:COLUMN, or the file, folder\n"
        "or socket that cannot be used. At a start, riotd has ended, touched neither\n"
        "server, and is not started again by itself. At a reload, the configuration\n"
        "before holds on. Mend it, then:\n"
        "  riotd --check-config -n @RIOT_LINK@\n"
        "  systemctl restart riotd@@RIOT_LINK@ (or reload, where it runs)"},
    [EVENT_OPTION_CHANGED] = {"option_changed", "c5f7982fc100426f9226680ecb02c007", SINK_NOTICE,
        "a reload found another value of an option",
        "@RIOT_OPTION@ is another in the configuration file than before; the text says\n"
        "whether that holds now. What holds from the next start of riotd needs this,\n"
        "which goes through all keys again:\n"
        "  systemctl restart riotd@@RIOT_LINK@"},
    [EVENT_RELOADED] = {"reloaded", "ae8016ec56ac489e8f3713085f60b548", SINK_NOTICE,
        "the configuration was read again and taken",
        "Nothing has to be done. Each option that differs was told in a line of its\n"
        "own, just before."},
    [EVENT_RELOAD_REFUSED] = {"reload_refused", "7336d4f19ece4742b9b273659e25deb8", SINK_WARNING,
        "the configuration was not reloaded: the one before holds on",
        "Something in the file is wrong: it is told in the lines just before. Nothing\n"
        "was changed, the link goes on as it was. Mend the file before riotd is\n"
        "restarted, since it would not start with it:\n"
        "  riotd --check-config -n @RIOT_LINK@\n"
        "  systemctl reload riotd@@RIOT_LINK@"},
    [EVENT_STATE_FILE_ERROR] = {"state_file_error", "bd3920c185cc46f1907eb7924373a751", SINK_ERR,
        "the state file could not be read or written",
        "The file that remembers whose the target is, what was changed on the source\n"
        "and how far a cutover is cannot be used; the text says why. The data on both\n"
        "sides is untouched, but nothing goes on without it. Never delete it while a\n"
        "cutover is under way: it knows what is fenced. Make room, or mend the rights:\n"
        "  df -h /var/lib/riotd; ls -la /var/lib/riotd/@RIOT_LINK@\n"
        "  riotctl -n @RIOT_LINK@ start\n"
        "  systemctl restart riotd@@RIOT_LINK@ (if riotd has ended)"},
    [EVENT_INTERNAL_ERROR] = {"internal_error", "1bf691b0cab7406bbb2a523d1baf3c55", SINK_ERR,
        "a bug in riotd, or no memory",
        "This should not happen. No write is lost by it: what is not on the target yet\n"
        "is copied again, after a restart too. If it does not go on by itself:\n"
        "systemctl restart riotd@@RIOT_LINK@. Please report it, with:\n"
        "  journalctl -u riotd@@RIOT_LINK@ -o export"},
    [EVENT_LOG_DROPPED] = {"log_dropped", "618d3ca2263b4c359e67ba67e3f1f6fc", SINK_WARNING,
        "log lines were lost because nobody took them",
        "@RIOT_DROPPED_LINES@ lines are missing just before this one: the journal was\n"
        "stopped or too slow, and riotd never waits for it. The link itself was not\n"
        "held up. What stands now:\n"
        "  riotctl -n @RIOT_LINK@ status\n"
        "If it comes again, look at the journal: systemctl status systemd-journald"},
    [EVENT_DETAIL] = {"detail", "ac658d10859f456692de95252a4bbf7d", SINK_DEBUG,
        "what only a developer reads",
        "Shown with log.level: debug. Nothing has to be done."},
    /* the link */
    [EVENT_STATE] = {"state", "ffb1cf2acc3b408590508a1123584b82", SINK_NOTICE,
        "the link entered another state",
        "The link was @RIOT_FROM@ and is @RIOT_STATE@; the text says why. In snapshot\n"
        "and resync all keys are gone through, in live the target follows the source,\n"
        "from committed on the target owns the data. Only `failed`, which is logged at\n"
        "err, needs a person. What stands in the way, and what to do:\n"
        "  riotctl -n @RIOT_LINK@ status"},
    [EVENT_PROGRESS] = {"progress", "f87c4c9aa10545dd90f3104cec4d46e8", SINK_INFO,
        "how far the link, or a verify, is; once a minute",
        "Nothing has to be done. A lag that grows from line to line means that keys\n"
        "change faster than they are copied: see limits.keys_per_s, the load of the\n"
        "target, and\n"
        "  riotctl -n @RIOT_LINK@ status --watch"},
    [EVENT_CONNECTED] = {"connected", "896f6044f4ac4c8985f65277bee0028b", SINK_NOTICE,
        "both servers answered, and the link may begin",
        "The text has who they are. Look whether they are the ones that you mean, and\n"
        "which is which: keys are only ever copied from the source to the target. If\n"
        "not, at once:\n"
        "  riotctl -n @RIOT_LINK@ stop"},
    [EVENT_OWNED] = {"owned", "8a8404f89547477ba96c62c2fd2d268b", SINK_NOTICE,
        "the target is this link's own from now on",
        "This was written down before the first key goes there, so that a restart is\n"
        "not refused for keys that riotd itself has put there. Nothing has to be done.\n"
        "If it is the wrong server, at once:\n"
        "  riotctl -n @RIOT_LINK@ stop"},
    [EVENT_BLOCKED] = {"blocked", "0359028569804e6f8bb9cac78e14533e", SINK_ERR,
        "something holds the link up until a person acts",
        "@RIOT_BLOCKER@: the text says what it is and what to do. Some blockers end the\n"
        "link (state failed), others hold deletions back or stand against a cutover;\n"
        "none loses a write. All of them, each with what to do:\n"
        "  riotctl -n @RIOT_LINK@ status"},
    [EVENT_UNBLOCKED] = {"unblocked", "4c168e0f0adc44f78707ed2c70dd7602", SINK_NOTICE,
        "what held the link up is gone",
        "@RIOT_BLOCKER@ stands in the way no more. Nothing has to be done."},
    [EVENT_ACCEPTED] = {"accepted", "82956598f4e3422989a64ed05bd02b8a", SINK_WARNING,
        "a person accepted what held the link up",
        "Somebody said that @RIOT_BLOCKER@ is right as it is, and the link goes on.\n"
        "Deletions that waited (source_shrank, target_foreign) are made now. Who it was\n"
        "says the line `command` just before. If it was a mistake, at once:\n"
        "  riotctl -n @RIOT_LINK@ stop"},
    [EVENT_SNAPSHOT_DONE] = {"snapshot_done", "d08d539859b1448aa177008d9aab9636", SINK_NOTICE,
        "the first pass over all keys is complete",
        "The target has every key that the source had, and what changed meanwhile. With\n"
        "a feed, changes follow from now on as they come. To be sure of it, while both\n"
        "are live:\n"
        "  riotctl -n @RIOT_LINK@ verify"},
    [EVENT_RESYNC_DONE] = {"resync_done", "5b79a44bd8f244c38f2c043ccc598973", SINK_NOTICE,
        "all keys were gone through again, after a gap",
        "What may have been missed is on the target now, and keys that the source lacks\n"
        "are gone there (not with existing_keys: merge). Nothing has to be done."},
    [EVENT_OVERRUN] = {"overrun", "d502642f24f84633a200208191ba51a0", SINK_WARNING,
        "more keys changed than limits.memory has room for",
        "Keys change faster than they are copied. Nothing is lost: a resync goes\n"
        "through all keys once there is room again. If it comes again, give riotd more\n"
        "memory or the target less to do; and in the configuration too:\n"
        "  riotctl -n @RIOT_LINK@ limit memory=256MiB keys_per_s=0"},
    [EVENT_OVERRUN_ENDED] = {"overrun_ended", "9ce03f237cb84f0a80b215fc162f8d13", SINK_NOTICE,
        "there is room for changed keys again",
        "The resync that the overrun called for has begun. Nothing has to be done."},
    [EVENT_SLOTS_LEFT] = {"slots_left", "6bb53a2ea711459ca78f0f3c41688270", SINK_WARNING,
        "a node of the source may have keys of a slot that is another node's",
        "As where the move of a slot was begun and not ended. Nothing is lost: keys that\n"
        "clients do not see any more the target may have as they were seen last. But with\n"
        "the feed psync no place in the stream is kept so, and a restart of riotd means\n"
        "going through all keys. End the move, or have the keys brought back, before a\n"
        "cutover; what is half moved is told, and mended, by\n"
        "  redis-cli --cluster check, and redis-cli --cluster fix\n"
        "NOPERM: riotd's user lacks a right there, +cluster|countkeysinslot."},
    [EVENT_SLOTS_WHOLE] = {"slots_whole", "40dd470de95f4791bb2a1c494d5d87b6", SINK_NOTICE,
        "all keys are at the nodes that have their slots again",
        "Nothing has to be done."},
    [EVENT_MEMORY_SHORT] = {"memory_short", "711e090e03c74f57b9aecf9e599484b5", SINK_WARNING,
        "limits.memory is too small for so many shards",
        "Each shard of the source, and each way from one to a shard of the target, needs\n"
        "some memory to work at all, and takes it: riotd uses as much as the text says.\n"
        "Nothing is lost. Give it that, and in the configuration too, for example:\n"
        "  riotctl -n @RIOT_LINK@ limit memory=256MiB"},
    [EVENT_MEMORY_ENOUGH] = {"memory_enough", "e8740600a4c144e7b8141c7e87996cd7", SINK_NOTICE,
        "limits.memory is enough for all shards",
        "What riotd uses for keys that wait and values on their way is within\n"
        "limits.memory again. Nothing has to be done."},
    [EVENT_OUT_OF_SCOPE] = {"out_of_scope", "0ea3555d0156436cb4dd61381c640a78", SINK_WARNING,
        "the filter leaves nothing of the source",
        "The source has keys, and not one is within filter.include, filter.exclude and\n"
        "filter.types: nothing is copied. If that is not meant, see what they are:\n"
        "  riotctl -n @RIOT_LINK@ config"},
    [EVENT_IN_SCOPE] = {"in_scope", "54d91c54e02746e5b84655079d889ac2", SINK_NOTICE,
        "a key is within the filter",
        "It was copied. Nothing has to be done."},
    [EVENT_SOURCE_REPLICA] = {"source_replica", "a8fdde05213f7f86054f702258bc7c52", SINK_WARNING,
        "the source is a replica",
        "Its data is copied, as the replica has it; a cutover is refused, since writers\n"
        "cannot be held back there. If the source was a primary before, as with a\n"
        "failover, name its new primary as source.url, and restart riotd:\n"
        "  systemctl restart riotd@@RIOT_LINK@"},
    [EVENT_SOURCE_PRIMARY] = {"source_primary", "361a39fe23d22c96639c98b409f1ce2f", SINK_NOTICE,
        "the source is a primary again",
        "Nothing has to be done."},
    [EVENT_GAP] = {"gap", "513b5c3f1fc14c23bfb4117c26a25ccf", SINK_WARNING,
        "changes may have been missed; a resync follows by itself",
        "Why: @RIOT_REASON@. riotd never guesses what it may have missed: it goes\n"
        "through all keys of both sides again, copies what the source has and deletes\n"
        "what it lacks (not with existing_keys: merge). Until the link is live again the\n"
        "target may hold old values; there is no cutover before. Nothing has to be done.\n"
        "If it comes again and again, look at the reason: the source's\n"
        "client-output-buffer-limit, its memory, the network."},
    /* the servers */
    [EVENT_SOURCE_LOST] = {"source_lost", "9723d93443d7499cb0fb9d77ccbe26e0", SINK_WARNING,
        "the source cannot be reached; it is tried again by itself",
        "riotd connects again by itself, at the latest every 5 s. The target keeps what\n"
        "it has, and what changes meanwhile is found by a resync. If it lasts: is the\n"
        "server up, and let through? This looks at all of it, and changes nothing:\n"
        "  riotctl -n @RIOT_LINK@ check"},
    [EVENT_SOURCE_BACK] = {"source_back", "5dccecd3adeb42c48681dafee79c8381", SINK_NOTICE,
        "the source can be reached again",
        "Nothing has to be done. If a gap was told meanwhile, a resync is under way."},
    [EVENT_SOURCE_REFUSES] = {"source_refuses", "26835aae445b4d29be037bfa27a36cbe", SINK_WARNING,
        "the source answers, but refuses what riotd asks",
        "The text has the server's own words. It is asked again by itself, nothing is\n"
        "lost. LOADING passes by itself; NOPERM, NOAUTH and WRONGPASS are for the\n"
        "rights and the password that riotd has there. What is needed:\n"
        "  riotctl -n @RIOT_LINK@ check"},
    [EVENT_SOURCE_ANSWERS_AGAIN] = {"source_answers_again", "d5386b64cb1c4694ae2a4bb04c854db3", SINK_NOTICE,
        "the source answers again",
        "Nothing has to be done."},
    [EVENT_SOURCE_REPLACED] = {"source_replaced", "434b5c9e3bc0476dbf767eff651c65c0", SINK_WARNING,
        "the source was restarted, or another server answers in its place",
        "Its run id is another one, or its role. Before a cutover all keys are gone\n"
        "through again, unless source_followed is told. If more than half of them are\n"
        "gone, nothing is deleted until a person accepts it (blocked: source_shrank).\n"
        "After a commit the old source is fenced again by itself. Look whether it is\n"
        "the server that you mean:\n"
        "  riotctl -n @RIOT_LINK@ status"},
    [EVENT_TARGET_LOST] = {"target_lost", "f8ee35e139224a08be6fc52fafb86e95", SINK_WARNING,
        "the target cannot be reached; it is tried again by itself",
        "riotd connects again by itself, at the latest every 5 s. Changes are noted\n"
        "meanwhile, within limits.memory, and copied then. If it lasts: is the server\n"
        "up, and let through? This looks at all of it, and changes nothing:\n"
        "  riotctl -n @RIOT_LINK@ check"},
    [EVENT_TARGET_BACK] = {"target_back", "1d53bfc497434a6496326bae352da6d7", SINK_NOTICE,
        "the target can be reached again",
        "Nothing has to be done: what has changed meanwhile is copied now."},
    [EVENT_TARGET_REFUSES] = {"target_refuses", "326cf8193e1c476fb0754af6b2d6bf0e", SINK_WARNING,
        "the target refuses what riotd writes",
        "The text has the server's own words. The keys wait and are tried again by\n"
        "themselves, nothing is lost. OOM: give the target more maxmemory. READONLY: it\n"
        "is a replica, promote it or give the URL of its primary. MISCONF: its disk.\n"
        "NOPERM: riotd's rights there:\n"
        "  riotctl -n @RIOT_LINK@ check"},
    [EVENT_TARGET_ACCEPTS_AGAIN] = {"target_accepts_again", "7c70124491b149f88349730b2b0b1096", SINK_NOTICE,
        "the target accepts writes again",
        "Nothing has to be done: what has waited is copied now."},
    [EVENT_TARGET_REPLACED] = {"target_replaced", "229e3b80bf86430baa88bb8e7b042e40", SINK_WARNING,
        "the target was restarted, or another server answers in its place",
        "Its run id is another one. All keys are copied again (resync). If it holds\n"
        "keys that are not the source's, nothing is deleted there until a person\n"
        "accepts it (blocked: target_foreign). Look whether it is the server that you\n"
        "mean:\n"
        "  riotctl -n @RIOT_LINK@ status"},
    [EVENT_WAITING] = {"waiting", "61f22151b506484689d4acb27cf575cc", SINK_NOTICE,
        "riotd waits before the link can begin",
        "The text says for which server, or for what. It goes on by itself as soon as\n"
        "it can. If it lasts, this looks at both servers and changes nothing:\n"
        "  riotctl -n @RIOT_LINK@ check"},
    [EVENT_INFO_UNREADABLE] = {"info_unreadable", "e38b70ec020d496aae11d32e417f4197", SINK_WARNING,
        "INFO of the source cannot be read",
        "Without INFO riotd cannot see a flush, a restart or a new database; it takes\n"
        "that for a gap, and goes through all keys again once INFO answers. The text\n"
        "has the server's words. If riotd's user lacks the right, on the source:\n"
        "  ACL SETUSER USER +info"},
    [EVENT_TWO_SERVERS] = {"two_servers", "d97327556c00453d88d5a51fdec4db5e", SINK_WARNING,
        "connections to the source's address lead to different servers",
        "The address stands for several servers (a load balancer, a name with several\n"
        "addresses): what one is told of, the other does not have. riotd connects again\n"
        "until both are the same. Give the URL of the one primary in the configuration,\n"
        "then:\n"
        "  systemctl restart riotd@@RIOT_LINK@"},
    [EVENT_THIN_INFO] = {"thin_info", "5c03860e15914f56bb8f44a9c86bbf8b", SINK_WARNING,
        "the source tells too little to notice all that can happen",
        "The text says what cannot be noticed there. The link goes on. Do not do these\n"
        "things on the source while it runs; if somebody did, this copies all again:\n"
        "  riotctl -n @RIOT_LINK@ stop && riotctl -n @RIOT_LINK@ start"},
    [EVENT_NODES_CHANGED] = {"nodes_changed", "b0fc9eb7727d3df364458bc573e9dde5", SINK_NOTICE,
        "a node of a cluster joined, left, or took over",
        "riotd follows by itself: a shard whose primary is another one now is gone\n"
        "through again, the others go on. Nothing has to be done. What each shard is at:\n"
        "  riotctl -n @RIOT_LINK@ status --lanes"},
    [EVENT_SLOTS_MOVED] = {"slots_moved", "e43802115776fc708f57dd0e3b1aeb53", SINK_NOTICE,
        "slots of a cluster have moved to other nodes",
        "riotd follows by itself: what moves is read where it is then. Nothing has to\n"
        "be done. A cutover is not possible while slots move:\n"
        "  riotctl -n @RIOT_LINK@ status --lanes"},
    /* the feed */
    [EVENT_FEED_CHOSEN] = {"feed_chosen", "5f2448b8497d41728e0a599e73c3feda", SINK_NOTICE,
        "how changes on the source are learned was settled",
        "The feed @RIOT_FEED@ tells which keys change. Nothing has to be done. Why it\n"
        "is this one and not another, and what each cannot see:\n"
        "  riotctl -n @RIOT_LINK@ check"},
    [EVENT_FEED_UNPROVEN] = {"feed_unproven", "f0a8e75255ff424a914f1fc51cd30e23", SINK_WARNING,
        "it is not known yet whether the feed tells of all changes",
        "With the feed `psync`: its connection is lost, or it waits for a full\n"
        "synchronisation. Either ends by itself, and nothing is missed: what follows is\n"
        "asked for, and where it cannot be had, all keys are gone through.\n"
        "With `notify`: riotd cannot see whether the source is set to tell of changes.\n"
        "The link goes on, and this ends with the first change that is told. To be safe,\n"
        "set what the text names on the source, and before a cutover:\n"
        "  riotctl -n @RIOT_LINK@ verify"},
    [EVENT_FEED_PROVEN] = {"feed_proven", "c39c0f81e521433b9403ab71a03fa9b5", SINK_NOTICE,
        "the feed is known to tell of changes",
        "What was in doubt is not any more. Nothing has to be done."},
    [EVENT_FEED_BACK] = {"feed_back", "ea2d726e6038404a83a82ea1b55abd72", SINK_NOTICE,
        "the replication connection was lost, and goes on where it was",
        "The source had kept what followed, so nothing was missed, and nothing has to be\n"
        "done. If it comes often, see the source's log for why it closes the connection:\n"
        "where it is for output buffer limits, raise client-output-buffer-limit for\n"
        "replicas there."},
    [EVENT_RESYNC_NEEDED] = {"resync_needed", "65c3a87fe1ba4ca1bc026c7446dec72f", SINK_NOTICE,
        "the stream of the source cannot be gone on with where it was left",
        "The feed `psync` goes on where it was, after a lost connection and a restart of\n"
        "riotd, as long as the source still has what follows and both servers are the\n"
        "same. Here it is not so, and all keys are gone through once more: nothing is\n"
        "lost, and nothing has to be done. Where this is often so for want of a backlog,\n"
        "raise repl-backlog-size on the source."},
    [EVENT_SOURCE_FOLLOWED] = {"source_followed", "55cb60620797450bbc7bc81dc8c8f84a", SINK_NOTICE,
        "another server, or another history, goes on with the stream of the source",
        "As after a failover or a restart. The feed `psync` goes on where it was; the\n"
        "keys that were copied just before it are read once more, since the server that\n"
        "took over may not have all of what the former one had. Where it cannot be gone\n"
        "on so, a gap is told, and all keys are gone through. Nothing has to be done for\n"
        "the copy. But a server that has become a replica cannot be cut over from: see\n"
        "source_role in the check, and give the URL of its primary before that:\n"
        "  riotctl -n @RIOT_LINK@ check"},
    [EVENT_UNKNOWN_COMMAND] = {"unknown_command", "49fdb8347d2445e19a22a598a9201a6c", SINK_WARNING,
        "the stream of the source has a command whose keys nobody tells",
        "The feed `psync` knows the commands of Redis and Valkey, and asks the source\n"
        "for others. What this one changed is not known, so all keys are gone through\n"
        "each time that it comes. If it comes often, choose another feed:\n"
        "  feed: tracking"},
    [EVENT_NOTIFY_SET] = {"notify_set", "f990012402384e05ad54ee3c0057f5a4", SINK_NOTICE,
        "notify-keyspace-events of the source was changed, and will be put back",
        "The feed `notify` needs it. What was set before is in the state file, and is\n"
        "put back when the link is stopped or finished, or riotd ends. Nothing has to\n"
        "be done; do not change the setting meanwhile."},
    [EVENT_NOTIFY_PUT_BACK] = {"notify_put_back", "4dbd0b04e98e44398316352d7bb147b4", SINK_NOTICE,
        "notify-keyspace-events of the source holds nothing of riotd's any more",
        "Nothing has to be done."},
    [EVENT_NOTIFY_LEFT_ALONE] = {"notify_left_alone", "4f3fb823a5ad4b83a26b86bf3ab75788", SINK_WARNING,
        "notify-keyspace-events of the source was changed by somebody else, and is left as it is",
        "The value is not the one that riotd has set, so it is not riotd's to put back.\n"
        "The text has both, and what was there before riotd. If that one is wanted, on\n"
        "the source:\n"
        "  CONFIG SET notify-keyspace-events VALUE"},
    [EVENT_NOTIFY_RECORD] = {"notify_record", "8f44d4cd570d41ad85b4aee3ad7ad49f", SINK_WARNING,
        "what riotd changes on the source could not be written down",
        "The state file cannot be written. notify-keyspace-events is not changed before\n"
        "it can be; where it is put back already, the next start only looks at it\n"
        "again. It is tried again by itself. Look for room and rights:\n"
        "  df -h /var/lib/riotd; ls -la /var/lib/riotd/@RIOT_LINK@"},
    [EVENT_NOTIFY_NOT_PUT_BACK] = {"notify_not_put_back", "29efde5c165a4b8ea95ba3e8482e886c", SINK_WARNING,
        "notify-keyspace-events of the source could not be put back yet",
        "The source did not answer in time, or refused. The state file remembers what\n"
        "was there before: the next stop, finish or start of the link puts it back. If\n"
        "the source will not come back to riotd, set there what the text, or the line\n"
        "notify_set, says was there before:\n"
        "  CONFIG SET notify-keyspace-events VALUE"},
    /* keys */
    [EVENT_KEY_FAILED] = {"key_failed", "0d3622de9e54487ba2fea5d681b3d9e8", SINK_WARNING,
        "a key cannot be copied; it is tried again each minute",
        "The key of database @RIOT_DB@ that the text names is not on the target, or old\n"
        "there: @RIOT_REASON@. All others go on. It is also tried when it changes, and\n"
        "stands against a cutover until it is copied, or gone from the source. All such\n"
        "keys, with reasons:\n"
        "  riotctl -n @RIOT_LINK@ status --json"},
    [EVENT_LONG_KEY] = {"long_key", "fec8b55f4d73407e89aee0a6cc82895a", SINK_ERR,
        "a key with a name too long to be copied changed",
        "Its name is beyond what riotd can hold, so it is not on the target, and stands\n"
        "against a cutover. Rename or delete it on the source (the text has how its\n"
        "name begins), then, so that all is looked at again:\n"
        "  riotctl -n @RIOT_LINK@ stop && riotctl -n @RIOT_LINK@ start"},
    [EVENT_FUNCTIONS_COPIED] = {"functions_copied", "24aa6823f5544b1c9f6f8c86b9e17d41", SINK_INFO,
        "the function libraries were copied",
        "Nothing has to be done."},
    [EVENT_STRINGS_BY_DUMP] = {"strings_by_dump", "8b0c5ac9d5e24f0c8a44f0a6a2f4be17", SINK_WARNING,
        "GET on the source, or SET on the target, is refused",
        "Strings are copied by DUMP and RESTORE then, as all other types are: that is\n"
        "as safe, but slower. Give riotd the right that the text names. It is asked\n"
        "for again at each resync."},
    /* verify */
    [EVENT_VERIFY_STARTED] = {"verify_started", "b1cd5d51a6b74d51b7fa10eecafdf10a", SINK_NOTICE,
        "both sides are being compared",
        "The application may go on: what changes meanwhile is looked at again. Nothing\n"
        "has to be done. To end it:\n"
        "  riotctl -n @RIOT_LINK@ verify --stop"},
    [EVENT_VERIFY_ENDED] = {"verify_ended", "d4ee0824d3a44382aeda3dc4082289b8", SINK_NOTICE,
        "a comparison of both sides ended: its verdict",
        "The verdict is @RIOT_VERDICT@. clean: what was compared is equal.\n"
        "inconclusive: some keys changed too fast, or could not be read; run it again,\n"
        "best when less is written. drift: see the line verify_drift. The report:\n"
        "  riotctl -n @RIOT_LINK@ verify --last"},
    [EVENT_VERIFY_DRIFT] = {"verify_drift", "43de2b671ae546479f9b016a07c3b0dc", SINK_ERR,
        "the sides differ, and it is no change on its way",
        "@RIOT_DRIFT@ keys differ, and it stands against a cutover. Mostly somebody\n"
        "else has written to the target. Look at them, stop whoever writes there, then\n"
        "let the source's values win:\n"
        "  riotctl -n @RIOT_LINK@ verify --last\n"
        "  riotctl -n @RIOT_LINK@ verify --repair"},
    /* cutover */
    [EVENT_CUTOVER_STARTED] = {"cutover_started", "61880089a6074d659931a3fa02393725", SINK_NOTICE,
        "a cutover began",
        "Until it commits, everything can be taken back, and is, if any step cannot be\n"
        "proved. Nothing has to be done. To watch it, or to take it back:\n"
        "  riotctl -n @RIOT_LINK@ status --watch\n"
        "  riotctl -n @RIOT_LINK@ abort"},
    [EVENT_CUTOVER_STEP] = {"cutover_step", "c7ff675e3a7348a589578415acebe9be", SINK_INFO,
        "a step of a cutover began or ended",
        "@RIOT_STEP@: @RIOT_STEP_STATE@. From soft_fence to commit writes to the source\n"
        "wait, never longer than --max-write-pause. A step that fails undoes the\n"
        "cutover. Nothing has to be done."},
    [EVENT_CUTOVER_COMMITTED] = {"cutover_committed", "28c49af442ee462593aef59481192743", SINK_NOTICE,
        "the point of no return has passed: the target owns the data",
        "This is on the disk, and holds over a restart of riotd. Nothing more is\n"
        "copied. The old source refuses writes, unless the fence is `none`. Now the\n"
        "application has to go to the target; the line cutover_released has its\n"
        "address."},
    [EVENT_CUTOVER_RELEASED] = {"cutover_released", "24d0c87d281448ae97e98e627ab58065", SINK_NOTICE,
        "writes belong to the target from now on",
        "Point the application at @RIOT_ADDRESS@, if --then has not done so. riotd\n"
        "keeps the old source fenced, and tells at err if it took a write. When you are\n"
        "sure:\n"
        "  riotctl -n @RIOT_LINK@ finish"},
    [EVENT_CUTOVER_REFUSED] = {"cutover_refused", "142a24f4e94f452aa1f21c032e58cd70", SINK_WARNING,
        "a cutover was refused; nothing was changed",
        "@RIOT_REASON@. No client has noticed anything, and the link goes on. Mend what\n"
        "is named, then try again. All that stands in the way:\n"
        "  riotctl -n @RIOT_LINK@ check\n"
        "  riotctl -n @RIOT_LINK@ cutover --dry-run"},
    [EVENT_CUTOVER_UNDOING] = {"cutover_undoing", "adeac013ead8479993cb7c51c09e1d7e", SINK_WARNING,
        "a cutover is being undone",
        "What was fenced on the source is taken back, exactly as it was; then the\n"
        "writes that waited run there. Wait for the line cutover_undone, or\n"
        "cutover_needs_person:\n"
        "  riotctl -n @RIOT_LINK@ status"},
    [EVENT_CUTOVER_UNDONE] = {"cutover_undone", "61763eb6e8304f96b9f3697d23ec3c84", SINK_WARNING,
        "a cutover was undone: the source takes writes, the link goes on",
        "@RIOT_REASON@. Everything is as it was before the cutover, no write is lost,\n"
        "and the link goes on. Nothing has to be done; mend what is named, and try\n"
        "again:\n"
        "  riotctl -n @RIOT_LINK@ cutover --dry-run"},
    [EVENT_CUTOVER_NEEDS_PERSON] = {"cutover_needs_person", "dea46ba89c61416caeef4c558a78a211", SINK_ERR,
        "a cutover, or its undo, cannot go on by itself: the text says what is fenced",
        "Something on the source may still refuse writes, or may have taken writes that\n"
        "the target lacks: the text says exactly what, and where. riotd does not guess.\n"
        "Do not start over before you know which side has the newest data:\n"
        "  riotctl -n @RIOT_LINK@ status\n"
        "  riotctl -n @RIOT_LINK@ finish --unfence (lets the source take writes again)\n"
        "  riotctl -n @RIOT_LINK@ finish --unfence --force (its server is gone for good)"},
    [EVENT_FENCE_PAUSED] = {"fence_paused", "65564c8ff71d4ab8a72f1b6d275de405", SINK_NOTICE,
        "writes to the source wait, for the time of a lease",
        "Clients that write get no answer yet; reads go on. It ends by itself, even if\n"
        "riotd dies. Nothing has to be done."},
    [EVENT_FENCE_SET] = {"fence_set", "4416d307cdeb455aa378e6c6f214ec60", SINK_NOTICE,
        "writes to the source are refused until this is taken back",
        "By the fence @RIOT_FENCE@; what it changed was written down first. If the\n"
        "cutover does not commit, it is taken back. After the commit it stays, and is set\n"
        "again where a restart of the source has ended it, until\n"
        "  riotctl -n @RIOT_LINK@ finish --unfence"},
    [EVENT_FENCE_LIFTED] = {"fence_lifted", "c1b76b100af943d98aa3d04935433eb4", SINK_NOTICE,
        "writes to the source are let go again",
        "Users and settings are as they were before. If this was asked for after a\n"
        "commit (finish --unfence): what is written to the old source from now on does\n"
        "not reach the target. Otherwise nothing has to be done."},
    [EVENT_FENCE_LEFT_ALONE] = {"fence_left_alone", "bfbffcd0f8a1453cb5b98a934cf48480", SINK_ERR,
        "something that riotd fenced is not put back, and is left as it is",
        "Somebody else has changed it since, or it could not be changed: the text names\n"
        "it, and the server. riotd does not overwrite what is not its own. Look whether\n"
        "writes pass there as they should, and set it right by hand (ACL LIST, CONFIG\n"
        "GET min-replicas*, CLIENT UNPAUSE)."},
    [EVENT_FENCE_LOST] = {"fence_lost", "f8ccbde267c94ddcb947e48492b9e28a", SINK_ERR,
        "the old source took writes, or could have, after the commit",
        "The fence was gone for a moment: a restart, a failover, or somebody took it\n"
        "away. It is set again by itself; see the line fence_again. Writes that slipped\n"
        "in are on the old source alone: find who still writes there (CLIENT LIST),\n"
        "point it at the target, and carry over by hand what is missing."},
    [EVENT_FENCE_AGAIN] = {"fence_again", "f6425597ab5344fa82cf53177888acb6", SINK_NOTICE,
        "the old source is fenced again",
        "Writes are refused again on every server of the old source. What slipped in\n"
        "before is told in the line fence_lost."},
    [EVENT_SOURCE_UNWATCHED] = {"source_unwatched", "604cea37011f449ebf1017f41ffe5b29", SINK_WARNING,
        "the old source cannot be looked at after the commit",
        "riotd cannot see whether it still refuses writes. If it was shut down on\n"
        "purpose, all is well. Otherwise see that no client reaches it. Once it\n"
        "answers, it is looked at again, and fenced again where needed."},
    [EVENT_SOURCE_WATCHED] = {"source_watched", "95862c28fca8491abd9975bad68b1d01", SINK_NOTICE,
        "the old source can be looked at again",
        "Nothing has to be done. If its fence was gone, the line fence_lost follows."},
    [EVENT_FINISHED] = {"finished", "dde252502d314c088513cb8849ad262a", SINK_NOTICE,
        "the link is finished: riotd has let go of the old source",
        "The text says whether the old source is still fenced. riotd looks at it no\n"
        "more, and may be stopped and removed. To let the old source take writes again,\n"
        "if it does not yet:\n"
        "  riotctl -n @RIOT_LINK@ finish --unfence"},
    [EVENT_FINISH_FAILED] = {"finish_failed", "fbe37c81e61b4bcda30f990944518a0b", SINK_WARNING,
        "the old source could not be let go of: the link is as it was before",
        "@RIOT_REASON@.\n"
        "The link stays committed and the target owns the data. Mend what is named, then\n"
        "  riotctl -n @RIOT_LINK@ finish\n"
        "or, where it may stay as it is:\n"
        "  riotctl -n @RIOT_LINK@ finish --force"},
    /* the control socket */
    [EVENT_CHECKED] = {"checked", "9e019cc50a414431a2495f2c814961b9", SINK_INFO,
        "a preflight check ended",
        "Errors: @RIOT_ERRORS@, warnings: @RIOT_WARNINGS@. It changed nothing. To see\n"
        "them:\n"
        "  riotctl -n @RIOT_LINK@ check"},
    [EVENT_COMMAND] = {"command", "8dbbe727bce44790b3dd915ca8cb55fd", SINK_NOTICE,
        "somebody asked for a change through the control socket",
        "User id @RIOT_PEER_UID@ (getent passwd @RIOT_PEER_UID@) asked for\n"
        "`@RIOT_VERB@`. Who may: root, and members of the group riotd. Nothing has to\n"
        "be done."},
    [EVENT_COMMAND_REFUSED] = {"command_refused", "58df4946bd4942c49a7ccc6cca407d31", SINK_NOTICE,
        "what somebody asked for was refused; nothing was changed",
        "The text says why, and who asked was told the same. Nothing has to be done."},
    [EVENT_LIMIT] = {"limit", "e9caab2de5a4484b8d7f9dea85b4d3c3", SINK_NOTICE,
        "a limit was changed at run time",
        "It holds at once, until riotd is restarted or reloads: what shall last belongs\n"
        "into the configuration. Nothing has to be done."},
    [EVENT_OPERATION_ENDED] = {"operation_ended", "53b0a586aaaf4793a47682e065ea084c", SINK_INFO,
        "what somebody asked for and takes time has ended",
        "@RIOT_VERB@: @RIOT_RESULT@. @RIOT_REASON@.\n"
        "riotctl exits with @RIOT_EXIT_CODE@. Nothing has to be done for this line alone."},
    [EVENT_SOCKET_WARNING] = {"socket_warning", "2427eb0e5da74f6f956e578c27114ca9", SINK_WARNING,
        "the control socket works, but not as it should",
        "riotd runs, but perhaps not everybody who should can reach it with riotctl:\n"
        "the text says why. The Debian package makes the group riotd; by hand:\n"
        "  groupadd --system riotd && systemctl restart riotd@@RIOT_LINK@"},
};
/* clang-format on */

_Static_assert(ARRAY_LEN(events) == EVENT_COUNT, "every event has its row");

const struct event *event_get(enum event_id id)
{
    return id > EVENT_NONE && id < EVENT_COUNT ? &events[id] : NULL;
}

enum event_id event_find(const char *name)
{
    for (size_t id = EVENT_NONE + 1; id < EVENT_COUNT; id++) {
        if (strcmp(events[id].name, name) == 0)
            return (enum event_id)id;
    }
    return EVENT_NONE;
}

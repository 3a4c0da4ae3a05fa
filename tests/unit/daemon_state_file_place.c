#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "daemon/state_file_parts.h"

static char why[STATE_WHY_MAX];

static void add_lane(struct place *p, const char *node, uint64_t offset)
{
    struct lane_place l = {.feed = {.offset = offset, .db = 3}, .ndbs = 2, .dbs = {3, 7}};

    snprintf(l.node, sizeof(l.node), "%s", node);
    snprintf(l.feed.run_id, sizeof(l.feed.run_id), "run-%s", node);
    snprintf(l.feed.replid, sizeof(l.feed.replid), "rep-%s", node);
    ck_assert_int_eq(place_add_lane(p, &l), 0);
}

static void add_target(struct place *p, const char *run_id)
{
    struct target_place t = {.base = {.replid = "t", .evicted = 1, .flushes = 2, .commands = INT64_MAX}};

    snprintf(t.run_id, sizeof(t.run_id), "%s", run_id);
    ck_assert_int_eq(place_add_target(p, &t), 0);
}

/* A state with a place of two lanes and two nodes, as text. */
static char *rendered(void)
{
    struct state *s = calloc(1, sizeof(*s));
    char *text;

    strcpy(s->instance, "0123abcd");
    s->place = (struct state_place){
        .ok = true, .scope = "scope", .at = {.source_map = UINT64_MAX, .target_map = 0xabc}};
    add_lane(&s->place.at, "one", 11);
    add_lane(&s->place.at, "two", 22);
    add_target(&s->place.at, "t1");
    add_target(&s->place.at, "t2");
    ck_assert_int_eq(state_render(s, &text), 0);
    state_clear(s);
    free(s);
    return text;
}

static int parsed(const char *text, struct state **ret)
{
    struct state *s = calloc(1, sizeof(*s));
    int err = state_parse(bytes_str(text), s, why);

    *ret = s;
    return err;
}

static void freed(struct state *s)
{
    state_clear(s);
    free(s);
}

START_TEST(a_place_comes_back)
{
    struct state *s;
    char *text = rendered(), *second;

    ck_assert_msg(parsed(text, &s) == 0, "%s", why);
    const struct state_place *p = &s->place;
    ck_assert(p->ok);
    ck_assert_str_eq(p->scope, "scope");
    ck_assert(p->at.source_map == UINT64_MAX && p->at.target_map == 0xabc);
    ck_assert_uint_eq(p->at.nlanes, 2);
    const struct lane_place *two = place_of_lane(&p->at, "two");
    ck_assert(two && !place_of_lane(&p->at, "") && place_of_lane(&p->at, "one") == p->at.lanes);
    ck_assert_str_eq(two->feed.run_id, "run-two");
    ck_assert_str_eq(two->feed.replid, "rep-two");
    ck_assert_uint_eq(two->feed.offset, 22);
    ck_assert_int_eq(two->feed.db, 3);
    ck_assert_uint_eq(two->ndbs, 2);
    ck_assert_int_eq(two->dbs[1], 7);
    const struct target_place *t = place_of_target(&p->at, "t2");
    ck_assert(t && !place_of_target(&p->at, "t3"));
    ck_assert_str_eq(t->base.replid, "t");
    ck_assert(t->base.evicted == 1 && t->base.flushes == 2 && t->base.commands == INT64_MAX);
    ck_assert_int_eq(state_render(s, &second), 0);
    ck_assert_str_eq(second, text);
    state_reset(s);
    ck_assert(!s->place.ok && !s->place.at.nlanes);
    freed(s);
    free(text);
    free(second);
}
END_TEST

/* As the version before it wrote it, of a pair of servers. */
#define PLACE_OF_3                                                                                           \
    "{\"schema\": 3, \"instance\": \"0123abcd\", \"desired\": \"running\", \"target_owned\": {\"owned\": "   \
    "false, \"url\": \"\", \"servers\": []}, \"sources\": [], \"targets\": [], \"notify\": [], "             \
    "\"connections\": [], \"cutover\": {\"stage\": \"none\", \"fence\": \"acl\", \"unfenced\": false, "      \
    "\"began_ms\": 0, \"committed_ms\": 0, \"finished_ms\": 0, \"write_pause_ms\": 0, \"lease_ms\": 0, "     \
    "\"nodes\": []}, \"place\": {\"scope\": \"x\", \"run_id\": \"r\", \"replid\": \"p\", \"offset\": 5, "    \
    "\"db\": -1, \"target_run_id\": \"t\", \"target_replid\": \"q\", \"target_evicted\": 1, "                \
    "\"target_flushes\": 2, \"target_commands\": 3, \"databases\": [0, 4]}}"

START_TEST(a_place_of_one_pair_is_read)
{
    struct state *s;
    char *text;

    ck_assert_msg(parsed(PLACE_OF_3, &s) == 0, "%s", why);
    for (int i = 0; i < 2; i++) { /* and again, as this version writes it */
        const struct lane_place *l = place_of_lane(&s->place.at, "");
        const struct target_place *t = place_of_target(&s->place.at, "t");
        ck_assert(s->place.ok && l && t && !s->place.at.source_map && !s->place.at.target_map);
        ck_assert_str_eq(l->feed.run_id, "r");
        ck_assert_str_eq(l->feed.replid, "p");
        ck_assert_uint_eq(l->feed.offset, 5);
        ck_assert_int_eq(l->feed.db, FEED_ANY_DB);
        ck_assert(l->ndbs == 2 && l->dbs[1] == 4);
        ck_assert_str_eq(t->base.replid, "q");
        ck_assert(t->base.evicted == 1 && t->base.flushes == 2 && t->base.commands == 3);
        ck_assert_int_eq(state_render(s, &text), 0);
        freed(s);
        ck_assert_msg(parsed(text, &s) == 0, "%s", why);
        free(text);
    }
    freed(s);
}
END_TEST

static void refused(const char *from, const char *to, const char *reason)
{
    char *text = rendered(), *other;
    const char *at = strstr(text, from);
    struct state *s;

    ck_assert_msg(at != NULL, "no %s in %s", from, text);
    ck_assert_int_ge(asprintf(&other, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)), 0);
    ck_assert_msg(parsed(other, &s) == -EBADMSG, "%s", other);
    ck_assert_msg(strstr(why, reason) != NULL, "%s", why);
    ck_assert(!s->place.ok);
    freed(s);
    free(text);
    free(other);
}

START_TEST(what_is_not_understood_is_refused)
{
    refused("\"ffffffffffffffff\"", "\"fffffffffffffff\"", "source_map is not 16 hex digits");
    refused("\"ffffffffffffffff\"", "\"FFFFFFFFFFFFFFFF\"", "source_map is not 16 hex digits");
    refused("\"0000000000000abc\"", "\"0000000000000abc0\"", "target_map is not 16 hex digits");
    refused("\"0000000000000abc\"", "7", "target_map is missing, not a text");
    refused("\"scope\": \"scope\",", "", "place does not have the fields");
    refused("\"lanes\": [", "\"lanes\": [7, ", "a lane of the place is not an object");
    refused("\"targets\": [\n      {", "\"targets\": [{}, {",
            "a target of the place does not have the fields");
    refused("\"node\": \"two\"", "\"node\": \"one\"", "a lane of the place is there twice");
    refused("\"node\": \"two\"", "\"node\": \"12345678901234567890123456789012345678901\"",
            "node is missing");
    refused("\"run_id\": \"t2\"", "\"run_id\": \"t1\"", "a target of the place is there twice");
    refused("\"offset\": 22", "\"offset\": -1", "offset");
    refused("\"db\": 3", "\"db\": -2", "a database of the place is not one");
    refused("\"flushes\": 2", "\"flushes\": null", "flushes");
    refused("\"commands\": 9223372036854775807", "\"commands\": \"1\"", "commands");
}
END_TEST

/* As many as a cluster may have; one more is refused. */
START_TEST(there_is_a_limit)
{
    struct state *s = calloc(1, sizeof(*s));
    struct lane_place more = {.node = "more"};
    char name[16], *text, *at, *other;

    strcpy(s->instance, "0123abcd");
    s->place.ok = true;
    for (size_t i = 0; i < SHARDS_MAX; i++) {
        snprintf(name, sizeof(name), "n%zu", i);
        add_lane(&s->place.at, name, i);
        add_target(&s->place.at, name);
    }
    ck_assert_int_eq(place_add_lane(&s->place.at, &more), -ENOSPC);
    ck_assert_int_eq(state_render(s, &text), 0);
    freed(s);
    ck_assert_msg(parsed(text, &s) == 0, "%s", why);
    ck_assert(s->place.at.nlanes == SHARDS_MAX && s->place.at.ntargets == SHARDS_MAX);
    freed(s);
    at = strstr(text, "\"lanes\": [") + strlen("\"lanes\": [");
    ck_assert_int_ge(asprintf(&other, "%.*s{}, %s", (int)(at - text), text, at), 0);
    ck_assert_int_eq(parsed(other, &s), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(why, "lanes is missing, not a list, or too long"));
    freed(s);
    free(text);
    free(other);
}
END_TEST

UNIT_MAIN("daemon/state_file_place", a_place_comes_back, a_place_of_one_pair_is_read,
          what_is_not_understood_is_refused, there_is_a_limit)

#include "daemon/fence_acl_rules.h"
#include "tests/unit/daemon_fence_kit.h"

/* All of ACL LIST, by user. */
static char *users(struct real *s)
{
    struct buf b;
    buf_init(&b, MIB);
    const struct reply *r = real_request(s, 2, (struct bytes[]){BYTES("ACL"), BYTES("LIST")});
    ck_assert_int_eq(r->type, REPLY_ARRAY);
    for (size_t i = 0; i < r->count; i++)
        ck_assert_int_eq(buf_printf(&b, "%s\n", r->at[i]->text.ptr), 0);
    char *text = bytes_dup(buf_bytes(&b));
    buf_free(&b);
    return text;
}

/* Byte by byte; but 7.0 tells subcommands in an order that changes by itself. */
static void same_users(const char *now, const char *before)
{
    while (*now && *before) {
        struct bytes a = bytes_of(now, strcspn(now, "\n")), b = bytes_of(before, strcspn(before, "\n"));
        bool any_order = bytes_is(acl_user(b), "hash");
        ck_assert_msg(any_order ? acl_same(a, b, ACL_COMMANDS | ACL_PASSWORDS | ACL_REST) : bytes_equal(a, b),
                      "%.*s\n was %.*s", (int)a.len, a.ptr, (int)b.len, b.ptr);
        now += a.len + 1;
        before += b.len + 1;
    }
    ck_assert_str_eq(now, before);
}

/* As server versions write them, and as operators do. */
static void make_users(struct real *s)
{
    static const char *const made[] = {
        "app on >one ~* &* +@all",
        "safe on >one ~* +@all -@dangerous",
        "some on >one ~a* ~b* -@all +@read +set +get",
        "gone off >one ~* +@write -@all +@string",
        "open on nopass ~* +@all -@write +set",
        "conf on >one ~* +@all -@admin +config|get",
        "hash on >one ~* +@read +@write -@hash +hget",
        "xgrp on >one ~x +xgroup|create +xreadgroup",
        "none on >one",
        "back on >one ~* +@all -set -get +set",
        "many on >one ~a +get (~b +@write) (%R~c +@all -@admin)",
        "keys on >one %R~x %W~y &ch +@all -@dangerous (%R~q +@read)",
        "list on >one ~* +@all -config +config|get",
        "caf\xc3\xa9\xff on >one ~\xfe* +@all",
    };
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        const char *told = real_ask(s, "ACL SETUSER %s", made[i]);
        ck_assert_msg(strcmp(told, "OK") == 0, "%s: %s", made[i], told);
    }
}

static bool may(struct real *s, const char *user, const char *command)
{
    return strcmp(real_ask(s, "ACL DRYRUN %s %s", user, command), "OK") == 0;
}

static const char *line_of(struct real *s, const char *user)
{
    static char line[1024];
    char *all = users(s), start[64];
    snprintf(start, sizeof(start), "user %s ", user);
    char *at = strstr(all, start);
    ck_assert_ptr_nonnull(at);
    snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
    free(all);
    return line;
}

static void paused(void)
{
    stage(STAGE_PAUSING);
    FINE(fence_pause, 10000, 0);
    stage(STAGE_FENCING);
}

static void fenced(void)
{
    paused();
    FINE(fence_set, FENCE_ACL);
}

static void begin(struct real *s)
{
    serve(s, NULL);
    make_users(s);
    kit_begin(s);
    const struct fence_report *r = probe();
    ck_assert_msg(r->kinds[FENCE_ACL].allowed, "%s", r->kinds[FENCE_ACL].why_not);
    ck_assert_int_eq(r->chosen, FENCE_ACL);
}

static void end(struct real *s)
{
    ck_assert_ptr_null(strstr(kit.told, "#")); /* no hash of a password is told */
    kit_end();
    stop_serving(s);
}

START_TEST(all_users_are_fenced_and_put_back_exactly)
{
    struct real s;
    begin(&s);
    char *before = users(&s);
    fenced();
    FINE(fence_prove);
    ck_assert(!may(&s, "default", "set a 1"));
    ck_assert(!may(&s, "app", "set a 1"));
    ck_assert(!may(&s, "gone", "set a 1"));
    ck_assert(!may(&s, "many", "set b 1"));
    ck_assert(may(&s, "app", "get a"));
    ck_assert(may(&s, "riotd", "set a 1"));
    /* Redis 8 has a module in itself, whose commands no category takes away. */
    if (strstr(real_ask(&s, "ACL DRYRUN riotd vadd v values 1 1 e"), "OK"))
        ck_assert(!may(&s, "app", "vadd v values 1 1 e"));
    ck_assert_uint_eq(record()->nodes[0].nsettings, 15);
    FINE(fence_release, 0);
    ck_assert_ptr_nonnull(strstr(real_ask(&s, "SET a 1"), "NOPERM"));
    ck_assert_ptr_nonnull(strstr(real_ask(&s, "EVAL return(redis.call('SET','a','1')) 0"), "ERR"));
    FINE(fence_prove);
    stage(STAGE_UNDOING);
    FINE(fence_lift);
    char *after = users(&s);
    same_users(after, before);
    ck_assert_uint_eq(record()->nnodes, 0);
    free(before);
    free(after);
    end(&s);
}
END_TEST

START_TEST(what_waited_is_refused_once_fenced_and_runs_once_undone)
{
    struct real s;
    char text[200];
    begin(&s);
    struct real w = another(&s);
    paused();
    send_only(&w, "SET a 1");
    ck_assert(!hears(&w, 50, text, sizeof(text)));
    FINE(fence_set, FENCE_ACL);
    FINE(fence_release, 0);
    ck_assert(hears(&w, 3000, text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(text, "-NOPERM"));
    FINE(fence_lift);
    paused();
    send_only(&w, "SET a 2");
    ck_assert(!hears(&w, 50, text, sizeof(text)));
    FINE(fence_set, FENCE_ACL);
    stage(STAGE_UNDOING);
    FINE(fence_lift);
    ck_assert(hears(&w, 3000, text, sizeof(text)));
    ck_assert_str_eq(text, "+OK\r\n");
    close(w.fd);
    end(&s);
}
END_TEST

START_TEST(a_restart_puts_users_back)
{
    for (unsigned intended = 0; intended < 2; intended++) {
        struct real s;
        begin(&s);
        char *before = users(&s);
        fenced();
        struct state_node *n = &record()->nodes[0];
        for (size_t i = 0; intended && i < n->nsettings; i++)
            ck_assert_int_eq(state_setting_after(&n->settings[i], BYTES("")), 0);
        ck_assert_int_eq(state_save(kit.state), 0);
        kit_restart();
        FINE(fence_lift);
        char *after = users(&s);
        same_users(after, before);
        ck_assert_str_eq(real_ask(&s, "SET a 1"), "OK");
        free(before);
        free(after);
        end(&s);
    }
}
END_TEST

/* The record was written, and nothing was changed: there is nothing to undo. */
START_TEST(originals_are_left)
{
    struct real s;
    begin(&s);
    char *before = users(&s);
    fenced();
    FINE(fence_release, 0);
    for (const char *at = before; *at; at += strcspn(at, "\n") + 1) {
        char line[1024];
        snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
        if (strncmp(line, "user riotd ", 11) != 0)
            real_ask(&s, "ACL SETUSER %.*s clearselectors %s", (int)strcspn(line + 5, " "), line + 5,
                     strchr(line + 5, ' ') + 1);
    }
    char *mid = users(&s);
    same_users(mid, before);
    kit.told[0] = '\0';
    FINE(fence_lift);
    char *after = users(&s);
    same_users(after, before);
    ck_assert_ptr_null(strstr(kit.told, "left_alone"));
    free(before);
    free(mid);
    free(after);
    end(&s);
}
END_TEST

START_TEST(a_password_that_was_rotated_stays_so)
{
    struct real s;
    char was[1024];
    begin(&s);
    strcpy(was, line_of(&s, "app"));
    fenced();
    FINE(fence_release, 0);
    ck_assert_str_eq(real_ask(&s, "ACL SETUSER app >two <one"), "OK");
    ck_assert_int_eq(STEP(fence_prove), -EPERM);
    FINE(fence_lift);
    ck_assert(may(&s, "app", "set a 1"));
    ck_assert_str_ne(line_of(&s, "app"), was);
    ck_assert_ptr_nonnull(strstr(real_ask(&s, "AUTH app one"), "WRONGPASS"));
    ck_assert_str_eq(real_ask(&s, "AUTH app two"), "OK");
    end(&s);
}
END_TEST

START_TEST(a_user_that_somebody_else_changed_is_left_alone)
{
    struct real s;
    char left[1024], keys[1024];
    begin(&s);
    fenced();
    FINE(fence_release, 0);
    ck_assert_str_eq(real_ask(&s, "ACL SETUSER app +set"), "OK");
    ck_assert_str_eq(real_ask(&s, "ACL SETUSER safe ~other*"),
                     "ERR Error in ACL SETUSER modifier '~other*': "
                     "Adding a pattern after the * pattern (or the "
                     "'allkeys' flag) is not valid and does not "
                     "have any effect. Try 'resetkeys' to start with "
                     "an empty list of patterns");
    ck_assert_str_eq(real_ask(&s, "ACL SETUSER keys ~other*"), "OK");
    ck_assert_str_eq(real_ask(&s, "ACL DELUSER hash"), "1");
    strcpy(left, line_of(&s, "app"));
    strcpy(keys, line_of(&s, "keys"));
    ck_assert_int_eq(STEP(fence_lift), -EEXIST);
    ck_assert_ptr_nonnull(strstr(kit.why, "the user app of"));
    ck_assert_ptr_nonnull(strstr(kit.why, "the user keys of"));
    ck_assert_ptr_nonnull(strstr(kit.why, "the user hash of"));
    ck_assert_ptr_null(strstr(kit.why, "safe"));
    ck_assert_ptr_nonnull(strstr(kit.told, "fence_left_alone: the user app"));
    ck_assert_str_eq(line_of(&s, "app"), left);
    ck_assert_str_eq(line_of(&s, "keys"), keys);
    ck_assert(may(&s, "safe", "set a 1"));
    ck_assert_ptr_nonnull(strstr(real_ask(&s, "ACL DRYRUN hash get a"), "not found"));
    end(&s);
}
END_TEST

/* With nothing read back: only what cannot be anything but ours is. */
START_TEST(what_might_be_somebody_elses_is_left_alone)
{
    struct real s;
    char left[1024];
    begin(&s);
    fenced();
    struct state_node *n = &record()->nodes[0];
    for (size_t i = 0; i < n->nsettings; i++)
        ck_assert_int_eq(state_setting_after(&n->settings[i], BYTES("")), 0);
    ck_assert_int_eq(state_save(kit.state), 0);
    ck_assert_str_eq(real_ask(&s, "ACL SETUSER app >two"), "OK");
    ck_assert_str_eq(real_ask(&s, "ACL SETUSER hash +hset"), "OK");
    strcpy(left, line_of(&s, "hash"));
    kit_restart();
    ck_assert_int_eq(STEP(fence_lift), -EEXIST);
    ck_assert(!may(&s, "app", "set a 1"));
    ck_assert_str_eq(line_of(&s, "hash"), left);
    ck_assert(may(&s, "safe", "set a 1"));
    end(&s);
}
END_TEST

START_TEST(who_uses_our_user_unproves_it)
{
    struct real s;
    begin(&s);
    fenced();
    struct real w = another(&s);
    FINE(fence_prove);
    real_ask(&w, "AUTH riotd secret");
    ck_assert_int_eq(STEP(fence_prove), -EPERM);
    ck_assert_ptr_nonnull(strstr(kit.why, "uses the user riotd, which is not fenced"));
    real_ask(&w, "CLIENT SETNAME riotd:x:0123abcd:read");
    FINE(fence_prove);
    close(w.fd);
    end(&s);
}
END_TEST

START_TEST(a_user_that_is_created_later_unproves_it)
{
    struct real s;
    begin(&s);
    fenced();
    FINE(fence_prove);
    ck_assert_str_eq(real_ask(&s, "ACL SETUSER late on >x ~* +@all"), "OK");
    ck_assert_int_eq(STEP(fence_prove), -EPERM);
    ck_assert_ptr_nonnull(strstr(kit.why, "the user late was created"));
    real_ask(&s, "ACL DELUSER late");
    FINE(fence_prove);
    ck_assert_str_eq(real_ask(&s, "ACL SETUSER app +set"), "OK");
    ck_assert_int_eq(STEP(fence_prove), -EPERM);
    ck_assert_ptr_nonnull(strstr(kit.why, "the user app was changed"));
    real_ask(&s, "ACL DELUSER app");
    ck_assert_int_eq(STEP(fence_prove), -EPERM);
    ck_assert_ptr_nonnull(strstr(kit.why, "the user app was deleted"));
    end(&s);
}
END_TEST

static void not_allowed(const char *word)
{
    const struct fence_report *r = probe();
    ck_assert(!r->kinds[FENCE_ACL].allowed);
    ck_assert_msg(strstr(r->kinds[FENCE_ACL].why_not, word) != NULL, "%s", r->kinds[FENCE_ACL].why_not);
}

START_TEST(it_is_offered_where_it_can_be)
{
    struct real s;
    serve(&s, NULL);
    kit_begin(&s);
    ck_assert(probe()->kinds[FENCE_ACL].allowed);
    /* Another connection of riotd's own user. */
    struct real w = another(&s);
    real_ask(&w, "AUTH riotd secret");
    not_allowed("uses the user riotd too");
    real_ask(&w, "CLIENT SETNAME riotd:x:0123abcd:read");
    ck_assert(probe()->kinds[FENCE_ACL].allowed);
    real_ask(&w, "CLIENT SETNAME riotd:x:0123abcde:read");
    not_allowed("uses the user riotd too");
    close(w.fd);
    real_ask(&s, "ACL SETUSER riotd -acl|setuser");
    not_allowed("ACL SETUSER is not allowed: NOPERM");
    real_ask(&s, "ACL SETUSER riotd +@all -acl|deluser");
    not_allowed("ACL DELUSER is not allowed: NOPERM");
    real_ask(&s, "ACL SETUSER riotd +@all -acl|list");
    not_allowed("ACL LIST is not allowed: NOPERM");
    real_ask(&s, "ACL SETUSER riotd +@all -client|list");
    not_allowed("CLIENT LIST is not allowed");
    ck_assert(probe()->kinds[FENCE_MIN_REPLICAS].allowed);
    ck_assert(!probe()->kinds[FENCE_HOLD].allowed);
    real_ask(&s, "ACL SETUSER riotd +@all -client|list -client|kill");
    ck_assert(!probe()->can_pause);
    real_ask(&s, "ACL SETUSER riotd +@all -config|set");
    ck_assert(!probe()->kinds[FENCE_MIN_REPLICAS].allowed);
    ck_assert(probe()->kinds[FENCE_ACL].allowed);
    real_ask(&s, "ACL SETUSER riotd +@all -client|pause");
    ck_assert(!probe()->can_pause);
    ck_assert_int_eq(probe()->chosen, FENCE_AUTO);
    ck_assert(probe()->kinds[FENCE_NONE].allowed);
    ck_assert(!probe()->kinds[FENCE_AUTO].allowed);
    kit.source.url.user = NULL;
    kit.source.password = NULL;
    kit_restart();
    not_allowed("logs in as the user default");
    ck_assert_int_eq(probe()->chosen, FENCE_MIN_REPLICAS);
    end(&s);
}
END_TEST

START_TEST(an_undo_may_come_in_between)
{
    struct real s;
    begin(&s);
    char *before = users(&s);
    stage(STAGE_FENCING);
    for (unsigned i = 0; i < 15; i++) {
        kit.err = NEVER;
        fence_set(kit.fence, FENCE_ACL, kit_answer, NULL);
        for (unsigned turn = 0; turn < i && kit.err == NEVER; turn++)
            pass(0);
        FINE(fence_lift);
        char *after = users(&s);
        same_users(after, before);
        free(after);
    }
    free(before);
    end(&s);
}
END_TEST

UNIT_MAIN("daemon/fence_acl", all_users_are_fenced_and_put_back_exactly,
          what_waited_is_refused_once_fenced_and_runs_once_undone, a_restart_puts_users_back,
          originals_are_left, a_password_that_was_rotated_stays_so,
          a_user_that_somebody_else_changed_is_left_alone, what_might_be_somebody_elses_is_left_alone,
          a_user_that_is_created_later_unproves_it, who_uses_our_user_unproves_it,
          it_is_offered_where_it_can_be, an_undo_may_come_in_between)

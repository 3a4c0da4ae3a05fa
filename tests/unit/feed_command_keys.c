#include "lib/feed/command_keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

#define WORDS_MAX 32

static const char *const kinds[] = {
    [EFFECT_QUIET] = "quiet",       [EFFECT_GETACK] = "getack",     [EFFECT_NONE] = "none",
    [EFFECT_KEYS] = "keys",         [EFFECT_SELECT] = "select",     [EFFECT_MULTI] = "multi",
    [EFFECT_EXEC] = "exec",         [EFFECT_FLUSH_DB] = "flush db", [EFFECT_FLUSH_ALL] = "flush all",
    [EFFECT_SWAP_DBS] = "swap dbs", [EFFECT_SLOTS] = "slots",       [EFFECT_FUNCTIONS] = "functions",
    [EFFECT_UNKNOWN] = "unknown",
};

/* What was named: "a b 3:c", where a number is of a database; of a long key, "<length>". */
static void on_key(int db, struct bytes key, void *arg)
{
    struct buf *out = arg;
    int e = buf_len(out) ? buf_append_str(out, " ") : 0;
    if (!e && db != KEYS_HERE)
        e = buf_printf(out, "%d:", db);
    if (!e)
        e = buf_append(out, key.ptr, key.len);
    ck_assert_int_eq(e, 0);
}

static void on_long_key(int db, struct bytes prefix, uint64_t length, void *arg)
{
    char text[64];
    ck_assert_uint_eq(prefix.len, STREAM_PREFIX);
    snprintf(text, sizeof(text), "<%llu>", (unsigned long long)length);
    on_key(db, bytes_str(text), arg);
}

static struct command_keys *make(struct buf *out)
{
    static const struct command_keys_events ev = {.key = on_key, .long_key = on_long_key};
    struct command_keys *k;
    buf_init(out, 64 * MIB);
    ck_assert_int_eq(command_keys_new(&ev, out, &k), 0);
    return k;
}

static size_t split(const char *line, struct bytes words[WORDS_MAX])
{
    struct bytes rest = bytes_str(line);
    size_t n = 0;
    while (rest.len) {
        ck_assert_uint_lt(n, WORDS_MAX);
        words[n++] = bytes_cut(&rest, ' ');
    }
    return n;
}

/* Gives the command as the stream does: whole arguments, but where they are long and not wanted. */
static struct command_effect take(struct command_keys *k, size_t argc, const struct bytes *argv)
{
    struct command_effect effect = {.kind = EFFECT_UNKNOWN};
    bool wanted = true;

    for (size_t i = 0; i < argc; i++) {
        struct stream_arg a = {.index = i, .argc = argc, .text = argv[i], .length = argv[i].len};
        if (a.length > (wanted ? STREAM_WANTED_MAX : STREAM_WHOLE_MAX))
            a.text.len = STREAM_PREFIX;
        ck_assert_int_eq(command_keys_take(k, &a, &effect), i + 1 == argc);
        wanted = command_keys_wants(k);
    }
    return effect;
}

static struct command_effect take_line(struct command_keys *k, const char *line)
{
    struct bytes words[WORDS_MAX];
    return take(k, split(line, words), words);
}

static void check_named(struct buf *out, const char *named, const char *line)
{
    ck_assert_int_eq(buf_append(out, "", 1), 0);
    ck_assert_msg(!strcmp(buf_bytes(out).ptr, named), "%s: named %s, not %s", line, buf_bytes(out).ptr,
                  named);
    buf_consume(out, buf_len(out));
}

static void check_line(struct command_keys *k, struct buf *out, const char *line, enum effect_kind kind,
                       const char *named)
{
    struct command_effect e = take_line(k, line);
    ck_assert_msg(e.kind == kind, "%s: %s, not %s", line, kinds[e.kind], kinds[kind]);
    check_named(out, named, line);
}

struct sample {
    const char *line;
    enum effect_kind kind;
    const char *named;
};

static void check_samples(struct command_keys *k, struct buf *out, const struct sample *samples, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_line(k, out, samples[i].line, samples[i].kind, samples[i].named);
}

static const struct sample built_in[] = {
    {"PING", EFFECT_QUIET, ""},
    {"REPLCONF GETACK *", EFFECT_GETACK, ""},
    {"replconf getack *", EFFECT_GETACK, ""},
    {"REPLCONF other 1", EFFECT_QUIET, ""},
    {"REPLCONF", EFFECT_QUIET, ""},
    {"PUBLISH c m", EFFECT_NONE, ""},
    {"SPUBLISH c m", EFFECT_NONE, ""},
    {"SCRIPT LOAD text", EFFECT_NONE, ""},
    {"MULTI", EFFECT_MULTI, ""},
    {"EXEC", EFFECT_EXEC, ""},
    {"FLUSHDB", EFFECT_FLUSH_DB, ""},
    {"FLUSHDB ASYNC", EFFECT_FLUSH_DB, ""},
    {"flushall sync", EFFECT_FLUSH_ALL, ""},
    {"FUNCTION LOAD text", EFFECT_FUNCTIONS, ""},
    {"FUNCTION FLUSH", EFFECT_FUNCTIONS, ""},
    {"CLUSTER SETSLOT 1 NODE n", EFFECT_NONE, ""},
    {"CLUSTER SYNCSLOTS ESTABLISH", EFFECT_SLOTS, ""},
    {"CLUSTER FLUSHSLOT 15495 SYNC", EFFECT_SLOTS, ""},
    {"TRIMSLOTS RANGES 1 0 5", EFFECT_SLOTS, ""},
    {"CLUSTER", EFFECT_SLOTS, ""},
    {"SET k v", EFFECT_KEYS, "k"},
    {"sEt k v PXAT 1 GET", EFFECT_KEYS, "k"},
    {"DEL a b c", EFFECT_KEYS, "a b c"},
    {"UNLINK a", EFFECT_KEYS, "a"},
    {"MSET a 1 b 2 c 3", EFFECT_KEYS, "a b c"},
    {"MSETEX 2 a 1 b 2 EX 5", EFFECT_KEYS, "a b"},
    {"RENAME a b", EFFECT_KEYS, "a b"},
    {"SMOVE a b member", EFFECT_KEYS, "a b"},
    {"LMOVE a b LEFT RIGHT", EFFECT_KEYS, "a b"},
    {"BLPOP a b 0", EFFECT_KEYS, "a b"},
    {"LMPOP 2 a b LEFT COUNT 3", EFFECT_KEYS, "a b"},
    {"BZMPOP 0 1 a MIN", EFFECT_KEYS, "a"},
    {"ZUNIONSTORE d 2 a b WEIGHTS 1 2", EFFECT_KEYS, "d"},
    {"SINTERSTORE d a b", EFFECT_KEYS, "d"},
    {"BITOP AND d a b", EFFECT_KEYS, "d"},
    {"PFCOUNT a", EFFECT_KEYS, "a"},
    {"PFMERGE d a b", EFFECT_KEYS, "d"},
    {"XGROUP SETID s g 1-1", EFFECT_KEYS, "s"},
    {"XCLAIM s g c 0 1-1 JUSTID", EFFECT_KEYS, "s"},
    {"XREADGROUP GROUP g streams COUNT 1 STREAMS a b > >", EFFECT_KEYS, "a b"},
    {"SORT a BY store GET store LIMIT 0 store STORE d", EFFECT_KEYS, "d"},
    {"SORT a ASC store d ALPHA", EFFECT_KEYS, "d"},
    {"GEORADIUS a 1 2 3 km STOREDIST d", EFFECT_KEYS, "d"},
    {"GEORADIUSBYMEMBER a store 3 km COUNT 1 ANY STORE d", EFFECT_KEYS, "d"},
    {"GEOSEARCHSTORE d a FROMMEMBER store BYRADIUS 1 m", EFFECT_KEYS, "d"},
    {"RESTORE-ASKING k 0 x", EFFECT_KEYS, "k"},
    /* other databases */
    {"COPY a b", EFFECT_KEYS, "b"},
    {"COPY a b DB 3 REPLACE", EFFECT_KEYS, "3:b"},
    {"COPY a b REPLACE DB 0", EFFECT_KEYS, "0:b"},
    {"MOVE a 7", EFFECT_KEYS, "a 7:a"},
    /* not as they should be */
    {"NOSUCH a b", EFFECT_UNKNOWN, ""},
    {"EVAL text 1 a", EFFECT_UNKNOWN, ""},
    {"DEBUG SLEEP 0", EFFECT_UNKNOWN, ""},
    {"TS.ADD a 1 1", EFFECT_UNKNOWN, ""},
    {"SET", EFFECT_UNKNOWN, ""},
    {"DEL", EFFECT_UNKNOWN, ""},
    {"RENAME a", EFFECT_UNKNOWN, ""},
    {"SORT a", EFFECT_UNKNOWN, ""},
    {"SORT a STORE", EFFECT_UNKNOWN, ""},
    {"LMPOP x a b LEFT", EFFECT_UNKNOWN, ""},
    {"LMPOP -1 a b LEFT", EFFECT_UNKNOWN, ""},
    {"LMPOP 0 a b LEFT", EFFECT_UNKNOWN, ""},
    {"LMPOP 18446744073709551615 a b LEFT", EFFECT_UNKNOWN, ""},
    {"LMPOP 4 a b LEFT", EFFECT_UNKNOWN, ""},
    {"LMPOP 9 a b LEFT", EFFECT_UNKNOWN, ""},
    {"MOVE a", EFFECT_UNKNOWN, "a a"},
    {"MOVE a x", EFFECT_UNKNOWN, "a a"},
    {"MOVE a -1", EFFECT_UNKNOWN, "a a"},
    {"COPY a b DB x", EFFECT_UNKNOWN, "b"},
    {"SELECT", EFFECT_UNKNOWN, ""},
    {"SELECT -1", EFFECT_UNKNOWN, ""},
    {"SELECT 2147483648", EFFECT_UNKNOWN, ""},
    {"SWAPDB 1", EFFECT_UNKNOWN, ""},
    {"SWAPDB 1 x", EFFECT_UNKNOWN, ""},
    {"a-name-that-is-longer-than-that-of-any-command-that-there-is-or-was k", EFFECT_UNKNOWN, ""},
};

START_TEST(test_built_in)
{
    struct buf out;
    struct command_keys *k = make(&out);
    check_samples(k, &out, built_in, ARRAY_LEN(built_in));
    command_keys_free(k);
    buf_free(&out);
}
END_TEST

START_TEST(test_databases)
{
    struct buf out;
    struct command_keys *k = make(&out);
    struct command_effect e = take_line(k, "SELECT 15");
    ck_assert(e.kind == EFFECT_SELECT && e.db == 15);
    e = take_line(k, "SWAPDB 3 0");
    ck_assert(e.kind == EFFECT_SWAP_DBS && e.db == 3 && e.other_db == 0);
    e = take_line(k, "Cluster FLUSHslot 1");
    ck_assert(bytes_is(e.name, "cluster|flushslot"));
    command_keys_free(k);
    buf_free(&out);
}
END_TEST

/* Only keys are wanted whole. */
START_TEST(test_long_arguments)
{
    static char text[STREAM_WANTED_MAX + 1], named[64];
    const struct bytes name = BYTES("SET"), small = BYTES("k");
    struct bytes fits = {text, STREAM_WANTED_MAX}, beyond = {text, sizeof(text)};
    struct buf out;
    struct command_keys *k = make(&out);
    struct command_effect e;

    memset(text, 'x', sizeof(text));
    e = take(k, 3, (struct bytes[]){name, small, beyond});
    ck_assert(e.kind == EFFECT_KEYS);
    check_named(&out, "k", "a long value");
    e = take(k, 3, (struct bytes[]){name, fits, small});
    ck_assert(e.kind == EFFECT_KEYS && buf_len(&out) == fits.len);
    buf_consume(&out, fits.len);
    snprintf(named, sizeof(named), "<%zu> 5:<%zu>", beyond.len, beyond.len);
    e = take(k, 3, (struct bytes[]){BYTES("MOVE"), beyond, BYTES("5")});
    ck_assert(e.kind == EFFECT_KEYS);
    check_named(&out, named, "a long key");
    snprintf(named, sizeof(named), "<%zu>", beyond.len);
    e = take(k, 4, (struct bytes[]){BYTES("SORT"), small, BYTES("STORE"), beyond});
    ck_assert(e.kind == EFFECT_KEYS);
    check_named(&out, named, "a long key of an option");
    command_keys_free(k);
    buf_free(&out);
}
END_TEST

START_TEST(test_million_keys)
{
    struct buf out;
    struct command_keys *k = make(&out);
    struct command_effect e = {0};

    for (size_t i = 0; i <= 1000000; i++) {
        struct stream_arg a = {.index = i, .argc = 1000001, .text = i ? BYTES("k") : BYTES("DEL")};
        a.length = a.text.len;
        ck_assert_int_eq(command_keys_take(k, &a, &e), i == 1000000);
    }
    ck_assert(e.kind == EFFECT_KEYS && e.keys == 1000000);
    command_keys_free(k);
    buf_free(&out);
}
END_TEST

/* The stream begins anew within a command: what was held is forgotten, and its rest is no command. */
START_TEST(test_reset)
{
    struct buf out;
    struct command_keys *k = make(&out);
    struct command_effect e;
    struct stream_arg a = {.argc = 3, .text = BYTES("COPY"), .length = 4};

    ck_assert(!command_keys_take(k, &a, &e));
    a.index = 1;
    ck_assert(!command_keys_take(k, &a, &e));
    a.index = 2;
    command_keys_reset(k);
    ck_assert(command_keys_take(k, &a, &e));
    ck_assert(e.kind == EFFECT_UNKNOWN);
    check_line(k, &out, "SET a 1", EFFECT_KEYS, "a");
    command_keys_free(k);
    buf_free(&out);
}
END_TEST

/* --- learning. Answers are written so: [...] an array, words its strings, numbers its integers. */

static const char *encode(const char *p, struct buf *out);

static const char *encode_array(const char *p, struct buf *out)
{
    struct buf elements;
    size_t n = 0;

    buf_init(&elements, MIB);
    for (p += strspn(p, " "); *p != ']'; p += strspn(p, " "), n++)
        p = encode(p, &elements);
    ck_assert_int_eq(buf_printf(out, "*%zu\r\n", n), 0);
    if (n)
        ck_assert_int_eq(buf_append(out, buf_bytes(&elements).ptr, buf_len(&elements)), 0);
    buf_free(&elements);
    return p + 1;
}

static const char *encode(const char *p, struct buf *out)
{
    p += strspn(p, " ");
    size_t n = strcspn(p, " []");
    if (*p == '[')
        return encode_array(p + 1, out);
    if (*p == '-' || (*p >= '0' && *p <= '9'))
        ck_assert_int_eq(buf_printf(out, ":%.*s\r\n", (int)n, p), 0);
    else
        ck_assert_int_eq(buf_printf(out, "$%zu\r\n%.*s\r\n", n, (int)n, p), 0);
    return p + n;
}

static struct reply *reply_of(const char *text)
{
    struct reply_reader *reader;
    struct reply *r;
    struct buf in;
    buf_init(&in, MIB);
    encode(text, &in);
    ck_assert_int_eq(reply_reader_new(64 * KIB, 1000, MIB, &reader), 0);
    ck_assert_int_eq(reply_reader_feed(reader, buf_bytes(&in)), 0);
    ck_assert_int_eq(reply_reader_next(reader, &r), 0);
    reply_reader_free(reader);
    buf_free(&in);
    return r;
}

static int learn(struct command_keys *k, const char *text)
{
    struct reply *r = reply_of(text);
    int err = command_keys_learn(k, r);
    reply_free(r);
    return err;
}

#define INDEX(n)               "begin_search [type index spec [index " n "]]"
#define RANGE(last, step, lim) "find_keys [type range spec [lastkey " last " keystep " step " limit " lim "]]"
#define KEYNUM(at, first, step)                                                                              \
    "find_keys [type keynum spec [keynumidx " at " firstkey " first " keystep " step "]]"
#define KEYWORD(word, from)     "begin_search [type keyword spec [keyword " word " startfrom " from "]]"
#define ROW(name, flags, specs) "[" name " 2 [" flags "] 0 0 0 [] [] [" specs "] []]"

START_TEST(test_learn_old)
{
    static const struct sample samples[] = {
        {"M.SET a v", EFFECT_KEYS, "a"},         {"m.mset a 1 b 2", EFFECT_KEYS, "a b"},
        {"M.TWO x a b c", EFFECT_KEYS, "a b"},   {"M.BUT a b t", EFFECT_KEYS, "a b"},
        {"M.READ a", EFFECT_UNKNOWN, ""},        {"M.NONE a", EFFECT_UNKNOWN, ""},
        {"M.WHERE x a y", EFFECT_UNKNOWN, ""},   {"SET k v", EFFECT_KEYS, "k"},
        {"ZUNIONSTORE d 1 a", EFFECT_KEYS, "d"},
    };
    struct buf out;
    struct command_keys *k = make(&out);
    ck_assert_int_eq(
        learn(k, "[[m.set 3 [write denyoom] 1 1 1] [M.MSET -3 [write] 1 -1 2] [m.two -3 [write] 2 3 1]"
                 "[m.but -3 [write] 1 -2 1] [m.read 2 [readonly] 1 1 1] [m.none 2 [write] 0 0 0]"
                 "[m.where -2 [write movablekeys] 1 1 1] [set -3 [write] 2 2 1]"
                 "[zunionstore -4 [write movablekeys] 0 0 0]]"),
        0);
    check_samples(k, &out, samples, ARRAY_LEN(samples));
    /* Another server does not have them. */
    ck_assert_int_eq(learn(k, "[]"), 0);
    check_line(k, &out, "M.SET a v", EFFECT_UNKNOWN, "");
    check_line(k, &out, "SET a v", EFFECT_KEYS, "a");
    command_keys_free(k);
    buf_free(&out);
}
END_TEST

#define SPEC(flags, begin, find) "[flags [" flags "] " begin " " find "]"

START_TEST(test_learn_specs)
{
    static const struct sample samples[] = {
        {"N.PLAIN a b", EFFECT_KEYS, "a"},
        {"N.STORE d 2 a b", EFFECT_KEYS, "d"},
        {"N.READS 2 a b x", EFFECT_KEYS, "a b"},
        {"N.WORD x 1 into a b", EFFECT_KEYS, "a b"},
        {"N.WORD INTO 1 into", EFFECT_UNKNOWN, ""},
        {"N.HALF x STREAMS a b 1 2", EFFECT_KEYS, "a b"},
        {"N.CHANNEL c", EFFECT_UNKNOWN, ""},
        {"N.BACK a KEYS b", EFFECT_UNKNOWN, ""},
        {"N.PART a b", EFFECT_UNKNOWN, ""},
        {"N.PROC a b", EFFECT_UNKNOWN, ""},
        {"N.NEW x", EFFECT_UNKNOWN, ""},
        {"N.BOX SET x a", EFFECT_KEYS, "a"},
        {"N.BOX GET x a", EFFECT_UNKNOWN, ""},
        {"N.BOX ASK x a", EFFECT_UNKNOWN, ""},
        {"N.BOX", EFFECT_UNKNOWN, ""},
        {"N.CASE SET a b", EFFECT_KEYS, "b"},
        {"N.CASE ELSE a b", EFFECT_KEYS, "a"},
        {"N.CASE ASK a b", EFFECT_UNKNOWN, ""},
    };
    struct buf out;
    struct command_keys *k = make(&out);
    /* clang-format off */
    ck_assert_int_eq(learn(k, "["
        ROW("n.plain", "write", SPEC("RW update", INDEX("1"), RANGE("0", "1", "0")))
        ROW("n.store", "write movablekeys", SPEC("OW update", INDEX("1"), RANGE("0", "1", "0"))
                                            SPEC("RO access", INDEX("2"), KEYNUM("0", "1", "1")))
        ROW("n.reads", "write movablekeys", SPEC("RO access", INDEX("1"), KEYNUM("0", "1", "1")))
        ROW("n.word", "write movablekeys", SPEC("RM delete", KEYWORD("INTO", "2"), RANGE("-1", "1", "0")))
        ROW("n.half", "write movablekeys", SPEC("RO", KEYWORD("STREAMS", "2"), RANGE("-1", "1", "2")))
        ROW("n.channel", "write", SPEC("RW not_key", INDEX("1"), RANGE("0", "1", "0")))
        ROW("n.back", "write movablekeys", SPEC("RW", KEYWORD("KEYS", "-2"), RANGE("-1", "1", "0")))
        ROW("n.part", "write movablekeys", SPEC("RW incomplete", INDEX("1"), RANGE("0", "1", "0")))
        ROW("n.proc", "write movablekeys", SPEC("RW variable_flags", INDEX("1"), RANGE("0", "1", "0")))
        ROW("n.new", "write movablekeys", SPEC("RW", "begin_search [type unknown spec []]", "find_keys [type unknown spec []]"))
        "[n.box -2 [] 0 0 0 [] [] [] ["
            ROW("n.box|set", "write", SPEC("RW", INDEX("3"), RANGE("0", "1", "0")))
            ROW("n.box|ask", "write movablekeys", SPEC("RW incomplete", INDEX("3"), RANGE("0", "1", "0")))
            ROW("n.box|get", "readonly", SPEC("RO", INDEX("3"), RANGE("0", "1", "0"))) "]]"
        "[n.case -2 [write] 0 0 0 [] [] [" SPEC("RW", INDEX("2"), RANGE("0", "1", "0")) "] ["
            ROW("n.case|set", "write", SPEC("RW", INDEX("3"), RANGE("0", "1", "0")))
            ROW("n.case|ask", "write movablekeys", SPEC("RW incomplete", INDEX("3"), RANGE("0", "1", "0"))) "]]"
        "]"), 0);
    /* clang-format on */
    check_samples(k, &out, samples, ARRAY_LEN(samples));
    command_keys_free(k);
    buf_free(&out);
}
END_TEST

START_TEST(test_learn_refuses)
{
    static const char *const bad[] = {"word", "[word]", "[[]]", "[[a 1 [] 1 1]]", "[[[a] 1 [] 1 1 1]]"};
    struct buf out;
    struct command_keys *k = make(&out);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_msg(learn(k, bad[i]) == -EBADMSG, "%s", bad[i]);
    check_line(k, &out, "SET a v", EFFECT_KEYS, "a");
    command_keys_free(k);
    buf_free(&out);
}
END_TEST

UNIT_MAIN("feed/command_keys", test_built_in, test_databases, test_long_arguments, test_million_keys,
          test_reset, test_learn_old, test_learn_specs, test_learn_refuses)

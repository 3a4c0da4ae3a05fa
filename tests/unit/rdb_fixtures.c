#include "lib/rdb/digest.h"
#include "tests/unit/rdb_kit.h"

/* tests/data/payloads.txt: what real servers gave for the same values, in all encodings that they have. */

#define FIXTURES "tests/data/payloads.txt"
#define VALUES   100

struct value {
    char *name, *told;
    size_t dumps;
    bool has_digest;
    struct value_digest digest; /* of the first of them */
};

static struct value values[VALUES];
static size_t count;
static struct telling redis, valkey;
static struct digester *of_redis, *of_valkey;

static void begin(void)
{
    count = 0;
    telling_begin(&redis, false, 0);
    telling_begin(&valkey, true, 0);
    ck_assert_int_eq(digester_new(false, &of_redis), 0);
    ck_assert_int_eq(digester_new(true, &of_valkey), 0);
}

static void end(void)
{
    for (size_t i = 0; i < count; i++) {
        free(values[i].name);
        free(values[i].told);
    }
    telling_end(&redis);
    telling_end(&valkey);
    of_redis = digester_free(of_redis);
    of_valkey = digester_free(of_valkey);
}

static struct value *value_of(const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(values[i].name, name))
            return &values[i];
    ck_abort_msg("no value %s", name);
    return NULL;
}

struct dump {
    char name[64], server[64];
    unsigned first, version;
    bool is_valkeys;
    char payload[16384];
    size_t len;
};

static struct bytes payload_of(const struct dump *d)
{
    return bytes_of(d->payload, d->len);
}

static void read_dump(const char *line, struct dump *d)
{
    int hex;

    ck_assert_int_eq(sscanf(line, "%*s %63s %u %u %63s %n", d->name, &d->first, &d->version, d->server, &hex),
                     4);
    d->is_valkeys = strstr(d->server, "valkey") == d->server;
    d->len = strlen(line + hex) / 2;
    ck_assert_uint_le(d->len, sizeof(d->payload));
    for (size_t i = 0; i < d->len; i++) {
        unsigned byte;
        KIT_REQUIRE(sscanf(line + hex + 2 * i, "%2x", &byte) == 1);
        d->payload[i] = (char)byte;
    }
}

typedef void dump_fn(const struct dump *d, bool is_passed_over);

static void each_line(dump_fn *fn)
{
    static struct dump d;
    FILE *f = fopen(FIXTURES, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    ck_assert_msg(f != NULL, "%s is not here: run in the project's folder", FIXTURES);
    while ((n = getline(&line, &cap, f)) > 0) {
        line[n - 1] = 0;
        char *told = strchr(line + 6, ' ');
        if (!strncmp(line, "value ", 6)) {
            ck_assert(told && count < VALUES);
            values[count++] = (struct value){.name = strndup(line + 6, (size_t)(told - line) - 6),
                                             .told = strdup(told + 1)};
        } else {
            read_dump(line, &d);
            fn(&d, !strncmp(line, "pass ", 5));
        }
    }
    free(line);
    fclose(f);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_ge(values[i].dumps, 1);
}

static void tells_the_value(const struct dump *d, bool is_passed_over)
{
    struct telling *t = d->is_valkeys ? &valkey : &redis;
    const char *told = NULL;

    for (size_t i = 0; i < ARRAY_LEN(kit_cuts); i++) {
        int e = tell(t, payload_of(d), kit_cuts[i], &told);
        ck_assert_uint_eq(payload_version(t->payload), d->version);
        if (is_passed_over) {
            ck_assert_int_eq(e, -EOPNOTSUPP);
            continue;
        }
        ck_assert_msg(!e, "%s of %s, type %u: %s", d->name, d->server, d->first, strerror(-e));
        ck_assert_msg(!strcmp(told, value_of(d->name)->told), "%s of %s, type %u: %s, not %s", d->name,
                      d->server, d->first, told, value_of(d->name)->told);
    }
    const char *kind = rdb_type_name(payload_type(t->payload));
    ck_assert_msg(!strncmp(d->name, kind, strlen(kind)) || !strncmp(d->name, "hll", 3), "%s: %s", d->name,
                  kind);
    if (!is_passed_over)
        value_of(d->name)->dumps++;
}

START_TEST(every_payload_tells_its_value)
{
    begin();
    each_line(tells_the_value);
    end();
}
END_TEST

static struct value_digest digest_of(const struct dump *d, struct cuts cuts)
{
    struct digester *g = d->is_valkeys ? of_valkey : of_redis;
    struct value_digest digest;

    ck_assert_int_eq(digester_begin(g, d->len, 0), 0);
    for (size_t at = 0, n; at < d->len; at += n) {
        n = kit_cut(&cuts, d->len - at);
        KIT_REQUIRE(digester_feed(g, bytes_of(d->payload + at, n)) == 0);
    }
    ck_assert_int_eq(digester_end(g, &digest), 0);
    return digest;
}

static void has_the_digest(const struct dump *d, bool is_passed_over)
{
    if (is_passed_over)
        return;
    struct value *v = value_of(d->name);
    for (size_t i = 0; i < ARRAY_LEN(kit_cuts); i++) {
        struct value_digest digest = digest_of(d, kit_cuts[i]);
        if (!v->has_digest)
            v->digest = digest;
        v->has_digest = true;
        ck_assert_msg(value_digest_equal(&v->digest, &digest), "%s of %s, type %u", d->name, d->server,
                      d->first);
        ck_assert_uint_eq(digest.has_added, digest.type == RDB_STREAM && d->version > 9);
        ck_assert_uint_eq(digest.has_entries_read, digest.has_added);
    }
    v->dumps++;
}

/* Equal ones in all encodings of all versions, and values that differ in one element differ. */
START_TEST(digests_are_those_of_the_values)
{
    begin();
    each_line(has_the_digest);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (value_digest_equal(&values[i].digest, &values[j].digest))
                ck_abort_msg("%s and %s", values[i].name, values[j].name);
    end();
}
END_TEST

/* Cut anywhere, or with a bit changed anywhere, it is refused: in the worst case by its sum. */
static void is_refused_when_damaged(const struct dump *d, bool is_passed_over)
{
    static struct dump bad;
    struct telling *t = d->is_valkeys ? &valkey : &redis;
    const char *told;

    if (!is_passed_over)
        value_of(d->name)->dumps++;
    for (size_t at = 0; at < d->len; at += 1 + d->len / 40) {
        struct cuts cuts = kit_cuts[at % ARRAY_LEN(kit_cuts)];
        KIT_REQUIRE(tell(t, bytes_of(d->payload, at), cuts, &told) < 0);
        memcpy(bad.payload, d->payload, d->len);
        bad.payload[at] = (char)(bad.payload[at] ^ 1 << at % 8);
        KIT_REQUIRE(tell(t, bytes_of(bad.payload, d->len), cuts, &told) < 0);
    }
}

START_TEST(damage_is_seen)
{
    begin();
    each_line(is_refused_when_damaged);
    end();
}
END_TEST

UNIT_MAIN("rdb/fixtures", every_payload_tells_its_value, digests_are_those_of_the_values, damage_is_seen)

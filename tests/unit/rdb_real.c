#include "lib/rdb/digest.h"
#include "lib/redis/endpoint.h"
#include "tests/unit/copy_server.h"

/* The same values on two real servers: in every encoding, and built in different orders. */

#define ELEMENTS 200

static struct real one, other;
static struct digester *digester;

static void begin_servers(void)
{
    real_begin(&one, "source");
    real_begin(&other, "target");
    ck_assert_int_eq(digester_new(false, &digester), 0);
}

static void end_servers(void)
{
    digester = digester_free(digester);
    real_end(&other);
    real_end(&one);
}

/* How a server is to keep its values. */
static void limit(struct real *r, unsigned entries)
{
    static const char *const settings[] = {"hash-max-ziplist-entries", "zset-max-ziplist-entries",
                                           "set-max-intset-entries", "set-max-listpack-entries"};

    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        real_ask(r, "CONFIG SET %s %u", settings[i], entries); /* the last one came with 7.2 */
}

typedef void write_fn(struct real *r, const char *key, unsigned n, unsigned salt);

static void write_hash(struct real *r, const char *key, unsigned n, unsigned salt)
{
    real_ask(r, n % 2 ? "HSET %s field-%u value-%u" : "HSET %s %u %u", key, n, n * 7 + salt);
}

static void write_zset(struct real *r, const char *key, unsigned n, unsigned salt)
{
    real_ask(r, n % 2 ? "ZADD %s %u.25 member-%u" : "ZADD %s %u %u", key, n * 3 + salt, n);
}

static void write_ints(struct real *r, const char *key, unsigned n, unsigned salt)
{
    real_ask(r, "SADD %s %u", key, n * 1000 + salt);
}

static void write_set(struct real *r, const char *key, unsigned n, unsigned salt)
{
    real_ask(r, n % 2 ? "SADD %s member-%u" : "SADD %s %u", key, n * 1000 + salt);
}

static const struct {
    write_fn *write;
    const char *packed, *table;
} kinds[] = {
    {write_hash, "listpack|ziplist", "hashtable"},
    {write_zset, "listpack|ziplist", "skiplist"},
    {write_ints, "intset", "hashtable"},
    {write_set, "listpack|hashtable", "hashtable"},
};

/* In one of four orders; salted: the element of that number differs. */
static void build(struct real *r, write_fn *write, const char *key, unsigned order, unsigned salted)
{
    real_ask(r, "DEL %s", key);
    for (unsigned i = 0; i < ELEMENTS; i++) {
        const unsigned orders[] = {i, ELEMENTS - 1 - i, i * 77 % ELEMENTS, (i * 33 + 50) % ELEMENTS};
        write(r, key, orders[order], orders[order] == salted);
    }
}

static struct value_digest dump(struct real *r, const char *key)
{
    const struct bytes argv[] = {BYTES("DUMP"), bytes_str(key)};
    const struct reply *reply = real_request(r, ARRAY_LEN(argv), argv);
    struct value_digest digest;

    ck_assert_int_eq(reply->type, REPLY_STRING);
    ck_assert_int_eq(digester_begin(digester, reply->text.len, 0), 0);
    ck_assert_int_eq(digester_feed(digester, reply->text), 0);
    ck_assert_int_eq(digester_end(digester, &digest), 0);
    return digest;
}

static void is_kept_as(struct real *r, const char *key, const char *encodings)
{
    const char *encoding = real_ask(r, "OBJECT ENCODING %s", key);

    ck_assert_msg(strstr(encodings, encoding) != NULL, "%s, not %s", encoding, encodings);
}

START_TEST(test_orders_and_encodings)
{
    begin_servers();
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
        for (unsigned order = 0; order < 4; order++) {
            limit(&one, ELEMENTS);
            limit(&other, order % 2 ? ELEMENTS : 0);
            build(&one, kinds[k].write, "k", 0, ELEMENTS);
            build(&other, kinds[k].write, "k", order, ELEMENTS);
            is_kept_as(&one, "k", kinds[k].packed);
            is_kept_as(&other, "k", order % 2 ? kinds[k].packed : kinds[k].table);
            struct value_digest a = dump(&one, "k"), b = dump(&other, "k");
            ck_assert_uint_eq(a.elements, ELEMENTS);
            ck_assert_msg(value_digest_equal(&a, &b), "kind %zu, order %u", k, order);
            /* One that differs is found, wherever it stands; what is missing is too. */
            for (unsigned n = 0; n < ELEMENTS; n += 67) {
                build(&other, kinds[k].write, "k", order, n);
                b = dump(&other, "k");
                ck_assert_uint_eq(b.elements, ELEMENTS);
                ck_assert_msg(!value_digest_equal(&a, &b), "kind %zu, order %u", k, order);
            }
        }
    end_servers();
}
END_TEST

/* Was large, and shrank: it stays as it was kept then. */
START_TEST(test_converted_and_shrunk)
{
    begin_servers();
    limit(&one, 128);
    limit(&other, 128);
    for (unsigned n = 0; n < ELEMENTS; n++)
        write_hash(&one, "k", n, 0);
    for (unsigned n = 10; n < ELEMENTS; n++)
        real_ask(&one, n % 2 ? "HDEL k field-%u" : "HDEL k %u", n);
    for (unsigned n = 0; n < 10; n++)
        write_hash(&other, "k", n, 0);
    is_kept_as(&one, "k", "hashtable");
    is_kept_as(&other, "k", "listpack|ziplist");
    struct value_digest a = dump(&one, "k"), b = dump(&other, "k");
    ck_assert(value_digest_equal(&a, &b));
    end_servers();
}
END_TEST

START_TEST(test_lists_and_strings)
{
    struct value_digest a, b;

    begin_servers();
    real_ask(&one, "CONFIG SET rdbcompression no");
    real_ask(&other, "CONFIG SET list-max-ziplist-size 3");
    real_ask(&other, "CONFIG SET list-compress-depth 1");
    for (unsigned n = 0; n < ELEMENTS; n++) {
        real_ask(&one, "RPUSH l element-%u", n);
        real_ask(&other, "LPUSH l element-%u", ELEMENTS - 1 - n);
        real_ask(&one, "APPEND s once-more-the-same");
        real_ask(&other, "APPEND s once-more-the-same");
    }
    a = dump(&one, "l"), b = dump(&other, "l");
    ck_assert_uint_eq(a.elements, ELEMENTS);
    ck_assert(value_digest_equal(&a, &b));
    a = dump(&one, "s"), b = dump(&other, "s");
    ck_assert(value_digest_equal(&a, &b));
    real_ask(&other, "LINSERT l BEFORE element-150 element-150");
    real_ask(&other, "LREM l -1 element-151");
    real_ask(&other, "SETRANGE s 2000 X");
    a = dump(&one, "l"), b = dump(&other, "l");
    ck_assert_uint_eq(a.elements, b.elements);
    ck_assert(!value_digest_equal(&a, &b));
    a = dump(&one, "s"), b = dump(&other, "s");
    ck_assert(!value_digest_equal(&a, &b));
    end_servers();
}
END_TEST

/* The same adds in another order: sparse or dense, and counted or not. */
START_TEST(test_hyperloglogs)
{
    struct value_digest a, b;

    begin_servers();
    real_ask(&other, "CONFIG SET hll-sparse-max-bytes 0");
    for (unsigned n = 0; n < ELEMENTS; n++) {
        real_ask(&one, "PFADD h element-%u", n);
        real_ask(&other, "PFADD h element-%u", ELEMENTS - 1 - n);
    }
    real_ask(&one, "PFCOUNT h");
    ck_assert_str_ne(real_ask(&one, "STRLEN h"), "12304");
    ck_assert_str_eq(real_ask(&other, "STRLEN h"), "12304");
    a = dump(&one, "h"), b = dump(&other, "h");
    ck_assert(value_digest_equal(&a, &b));
    real_ask(&other, "PFADD h one-more");
    b = dump(&other, "h");
    ck_assert(!value_digest_equal(&a, &b));
    end_servers();
}
END_TEST

UNIT_MAIN("rdb/real", test_orders_and_encodings, test_converted_and_shrunk, test_lists_and_strings,
          test_hyperloglogs)

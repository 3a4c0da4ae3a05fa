#include "lib/rdb/digest.h"

#include <string.h>

#include "tests/unit/unit.h"

static bool same(struct hash128 a, struct hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

static struct hash128 fed(struct body_hash *b, const char *payload, size_t len, size_t step, uint8_t *first)
{
    body_hash_begin(b, len);
    for (size_t at = 0; at < len; at += step)
        body_hash_feed(b, bytes_of(payload + at, MIN(step, len - at)));
    return body_hash_end(b, first);
}

START_TEST(parts_do_not_matter)
{
    char payload[1000];
    struct body_hash *b;
    uint8_t first = 0;

    ck_assert_int_eq(body_hash_new(&b), 0);
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (char)(i * 7 + 18);
    for (size_t len = 0; len <= sizeof(payload); len += 1 + len / 3) {
        struct hash128 whole = body_hash_of(bytes_of(payload, len), &first);
        ck_assert_uint_eq(first, len > 10 ? 18 : 0xff);
        for (size_t step = 1; step <= len + 1; step += 1 + step / 2) {
            uint8_t again = 0;
            ck_assert(same(fed(b, payload, len, step, &again), whole));
            ck_assert_uint_eq(again, first);
        }
    }
    ck_assert_ptr_null(body_hash_free(b));
    ck_assert_ptr_null(body_hash_free(NULL));
}
END_TEST

START_TEST(all_but_the_footer_counts)
{
    char payload[100] = {0};
    uint8_t first;
    struct hash128 h = body_hash_of(bytes_of(payload, sizeof(payload)), &first);

    for (size_t i = 0; i < sizeof(payload); i++) {
        payload[i] = 1;
        bool is_footer = i >= sizeof(payload) - 10;
        ck_assert(same(body_hash_of(bytes_of(payload, sizeof(payload)), &first), h) == is_footer);
        payload[i] = 0;
    }
    ck_assert(!same(body_hash_of(bytes_of(payload, 99), &first), h));
}
END_TEST

UNIT_MAIN("rdb/body_hash", parts_do_not_matter, all_but_the_footer_counts)

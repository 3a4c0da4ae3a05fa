#include "lib/core/text.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tests/unit/unit.h"

#define DAY_MS ((uint64_t)86400000)

struct row {
    const char *text;
    uint64_t value;
};

static uint64_t ms_of(const char *text)
{
    uint64_t ms;

    ck_assert_msg(!text_to_ms(bytes_str(text), &ms), "%s", text);
    return ms;
}

static uint64_t size_of(const char *text)
{
    uint64_t size;

    ck_assert_msg(!text_to_size(bytes_str(text), &size), "%s", text);
    return size;
}

START_TEST(durations_are_read)
{
    static const struct row good[] = {
        {"0", 0},       {"0ms", 0},      {"500ms", 500},     {"5s", 5000},
        {"2m", 120000}, {"1h", 3600000}, {"2d", 2 * DAY_MS}, {"18446744073709551615ms", UINT64_MAX},
    };
    static const char *const bad[] = {"",   "5",   "s",   "-1s", "1 s", "1.5s",  "1S",
                                      "1w", "1ss", "1s ", " 1s", "00",  "1m30s", "1s\n"};
    uint64_t ms = 7;

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        ck_assert_uint_eq(ms_of(good[i].text), good[i].value);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_msg(text_to_ms(bytes_str(bad[i]), &ms) == -EINVAL, "%s", bad[i]);
    ck_assert_int_eq(text_to_ms(BYTES("18446744073709551615s"), &ms), -ERANGE);
    ck_assert_int_eq(text_to_ms(BYTES("99999999999999999999ms"), &ms), -ERANGE);
    ck_assert_int_eq(text_to_ms(BYTES("1s\0"), &ms), -EINVAL);
    ck_assert_uint_eq(ms, 7);
}
END_TEST

START_TEST(sizes_are_read)
{
    static const struct row good[] = {
        {"0", 0},
        {"512", 512},
        {"512B", 512},
        {"10KiB", 10240},
        {"64MiB", 64 * MIB},
        {"1GiB", 1024 * MIB},
        {"2TiB", (uint64_t)2 << 40},
        {"18446744073709551615", UINT64_MAX},
    };
    static const char *const bad[] = {"",   "B",      "KiB",   "1kb", "1 MiB", "1MB",
                                      "-1", "1.5GiB", "1KiBB", "1BB", "iB",    "1iB"};
    uint64_t size = 7;

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        ck_assert_uint_eq(size_of(good[i].text), good[i].value);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_msg(text_to_size(bytes_str(bad[i]), &size) == -EINVAL, "%s", bad[i]);
    ck_assert_int_eq(text_to_size(BYTES("16777216TiB"), &size), -ERANGE);
    ck_assert_uint_eq(size, 7);
}
END_TEST

START_TEST(durations_for_people)
{
    static const struct row rows[] = {
        {"0ms", 0},           {"450ms", 450},
        {"999ms", 999},       {"1s", 1000},
        {"1.2s", 1234},       {"59.9s", 59999},
        {"1m", 60000},        {"1m 23s", 83999},
        {"59m 59s", 3599999}, {"1h", 3600000},
        {"1h 1m", 3661000},   {"23h 59m", DAY_MS - 1},
        {"1d", DAY_MS},       {"2d 3h", 2 * DAY_MS + 3 * 3600000 + 59999},
    };
    char out[TEXT_MAX];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ck_assert_str_eq(text_ms(rows[i].value, out), rows[i].text);
    ck_assert_uint_lt(strlen(text_ms(UINT64_MAX, out)), TEXT_MAX);
}
END_TEST

START_TEST(sizes_and_counts_for_people)
{
    static const struct row sizes[] = {
        {"0 B", 0},
        {"1023 B", 1023},
        {"1.0 KiB", 1024},
        {"12.3 MiB", 12902662},
        {"1023.9 KiB", MIB - 1},
        {"16777215.9 TiB", UINT64_MAX},
    };
    static const struct row counts[] = {
        {"0", 0},
        {"999", 999},
        {"1,000", 1000},
        {"1,234,567", 1234567},
        {"18,446,744,073,709,551,615", UINT64_MAX},
    };
    char out[TEXT_MAX];

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        ck_assert_str_eq(text_size(sizes[i].value, out), sizes[i].text);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        ck_assert_str_eq(text_count(counts[i].value, out), counts[i].text);
}
END_TEST

START_TEST(exact_forms_are_the_shortest)
{
    char out[TEXT_MAX];

    ck_assert_str_eq(text_ms_exact(0, out), "0");
    ck_assert_str_eq(text_ms_exact(1500, out), "1500ms");
    ck_assert_str_eq(text_ms_exact(120000, out), "2m");
    ck_assert_str_eq(text_ms_exact(90000, out), "90s");
    ck_assert_str_eq(text_ms_exact(DAY_MS, out), "1d");
    ck_assert_str_eq(text_size_exact(0, out), "0");
    ck_assert_str_eq(text_size_exact(64 * MIB, out), "64MiB");
    ck_assert_str_eq(text_size_exact(1000, out), "1000");
    ck_assert_str_eq(text_size_exact(1536 * MIB, out), "1536MiB");
}
END_TEST

static void round_trip(uint64_t n)
{
    char out[TEXT_MAX];

    ck_assert_uint_eq(ms_of(text_ms_exact(n, out)), n);
    ck_assert_uint_eq(size_of(text_size_exact(n, out)), n);
}

START_TEST(exact_forms_round_trip)
{
    static const uint64_t units[] = {1, 60, 1000, 1024, 3600000, 86400000, MIB, 1024 * MIB};

    for (uint64_t n = 0; n < 5000; n++)
        for (size_t i = 0; i < ARRAY_LEN(units); i++)
            round_trip(n * units[i]);
    for (unsigned bit = 0; bit < 64; bit++) {
        round_trip((uint64_t)1 << bit);
        round_trip(((uint64_t)1 << bit) - 1);
    }
    round_trip(UINT64_MAX);
}
END_TEST

START_TEST(distance_counts_edits)
{
    char longest[66];

    ck_assert_uint_eq(text_distance("", ""), 0);
    ck_assert_uint_eq(text_distance("status", "status"), 0);
    ck_assert_uint_eq(text_distance("", "abc"), 3);
    ck_assert_uint_eq(text_distance("stauts", "status"), 2);
    ck_assert_uint_eq(text_distance("kitten", "sitting"), 3);
    ck_assert_uint_eq(text_distance("verify", "verifies"), 3);
    memset(longest, 'a', sizeof(longest));
    longest[64] = '\0';
    ck_assert_uint_eq(text_distance(longest, ""), 64);
    longest[64] = 'a';
    longest[65] = '\0';
    ck_assert_uint_eq(text_distance(longest, ""), UINT_MAX);
    ck_assert_uint_eq(text_distance("", longest), UINT_MAX);
}
END_TEST

START_TEST(what_is_cut_ends_in_dots_and_in_no_character)
{
    char plain[] = "0123456789", wide[] = "01234\xc3\xa9"
                                          "789";

    text_cut(plain, 8);
    ck_assert_str_eq(plain, "0123...");
    text_cut(wide, 10);
    ck_assert_str_eq(wide, "01234...");
}
END_TEST

UNIT_MAIN("core/text", durations_are_read, sizes_are_read, durations_for_people, sizes_and_counts_for_people,
          exact_forms_are_the_shortest, exact_forms_round_trip, distance_counts_edits,
          what_is_cut_ends_in_dots_and_in_no_character)

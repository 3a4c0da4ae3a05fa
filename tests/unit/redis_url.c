#include "lib/redis/url.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static void good(const char *text, const char *shown)
{
    struct url u;
    char why[URL_WHY_MAX] = "";
    int err = url_parse(text, &u, why);
    ck_assert_msg(err == 0, "%s: %s", text, why);
    ck_assert_str_eq(u.text, shown);
    url_free(&u);
}

static void bad(const char *text, const char *part)
{
    struct url u = {.port = 1};
    char why[URL_WHY_MAX] = "";
    ck_assert_msg(url_parse(text, &u, why) == -EINVAL, "%s", text);
    ck_assert_msg(strstr(why, part), "%s: %s", text, why);
    ck_assert_ptr_null(strstr(why, "s3cret"));
    ck_assert_uint_eq(u.port, 1);
}

START_TEST(test_shown)
{
    good("redis://h", "redis://h:6379");
    good("redis://h/", "redis://h:6379");
    good("redis://10.0.0.5:7000/3", "redis://10.0.0.5:7000/3");
    good("rediss://app@db-1.example.com:1/0", "rediss://app@db-1.example.com:1/0");
    good("redis://[::1]:7000", "redis://[::1]:7000");
    good("redis://[0:0::0:1]", "redis://[::1]:6379");
    good("unix:///run/redis.sock", "unix:///run/redis.sock");
    good("unix:///run/a b@c:d#e.sock?db=12", "unix:///run/a b@c:d#e.sock?db=12");
}
END_TEST

START_TEST(test_parts)
{
    struct url u;
    char why[URL_WHY_MAX];
    ck_assert_int_eq(url_parse("rediss://app@[fe80::1]:7000/3", &u, why), 0);
    ck_assert(u.tls);
    ck_assert_str_eq(u.host, "fe80::1");
    ck_assert_str_eq(u.user, "app");
    ck_assert_uint_eq(u.port, 7000);
    ck_assert_int_eq(u.db, 3);
    ck_assert_ptr_null(u.path);
    url_free(&u);
    url_free(&u);
    ck_assert_int_eq(url_parse("unix:///s", &u, why), 0);
    ck_assert_str_eq(u.path, "/s");
    ck_assert_ptr_null(u.host);
    ck_assert_int_eq(u.db, URL_DB_NONE);
    url_free(&u);
}
END_TEST

START_TEST(test_passwords)
{
    bad("redis://app:s3cret@h", "password");
    bad("redis://:s3cret@h", "password");
    bad("redis://app:s3cret@with@h", "password");
    bad("redis://app:s3cret/x@h", "password");
    bad("redis://h/?password=s3cret", "?");
    bad("unix:///s?password=s3cret", "?db=N");
    bad("s3cret://h", "begin with");
}
END_TEST

START_TEST(test_not_understood)
{
    bad("", "begin with");
    bad("h:6379", "begin with");
    bad("REDIS://h", "begin with");
    bad("redis://", "no host");
    bad("redis:///0", "no host");
    bad("redis://@h", "no user");
    bad("redis://a%20b@h", "user");
    bad("redis://h:", "port");
    bad("redis://h:0", "port");
    bad("redis://h:65536", "port");
    bad("redis://h:+1", "port");
    bad("redis://h:1/x", "database");
    bad("redis://h:1/-1", "database");
    bad("redis://h:1/1000001", "database");
    bad("redis://h:1/1/2", "database");
    bad("redis://h h", "host");
    bad("redis://h\n", "host");
    bad("redis://::1", "brackets");
    bad("redis://[::1", "IPv6");
    bad("redis://[h]", "IPv6");
    bad("redis://[::1]x", "only :port");
    bad("redis://h#1", "# may");
    bad("unix://s", "absolute");
    bad("unix:///", "absolute");
    bad("unix:///a\nb", "absolute");
    bad("unix:///s?db=", "database");
    bad("unix:///s?db=1&x", "database");
    bad("unix:///"
        "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "00000000000",
        "longer");
}
END_TEST

UNIT_MAIN("redis/url", test_shown, test_parts, test_passwords, test_not_understood)

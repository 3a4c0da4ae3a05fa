/* judge.c - see judge.h. */
#include <stdio.h>
#include <string.h>

#include "lib/core/clock.h"
#include "lib/core/text.h"
#include "lib/verify/judge.h"

static const char *const verdict_names[] = {
    [COMPARE_EQUAL] = "equal",     [COMPARE_GONE] = "gone",   [COMPARE_UNLIKE] = "unlike",
    [COMPARE_MISSING] = "missing", [COMPARE_EXTRA] = "extra", [COMPARE_TYPE] = "type",
    [COMPARE_VALUE] = "value",     [COMPARE_TTL] = "ttl",     [COMPARE_UNKNOWN] = "unknown",
};
_Static_assert(ARRAY_LEN(verdict_names) == COMPARE_VERDICTS, "each verdict has its name");

const char *compare_verdict_name(enum compare_verdict v)
{
    return verdict_names[v];
}

static uint64_t distance(int64_t a, int64_t b)
{
    return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

/* A key whose time has come by one of the two clocks may be gone on one side and not yet on the other; and so
 * may a hash without a live field. */
static bool as_good_as_gone(const struct compare_side *s, bool decoded, const struct judge_terms *terms)
{
    if (!s->exists)
        return true;
    if (!terms->deep)
        return false;
    if (decoded && s->type == RDB_HASH && s->digest.elements == 0)
        return true;
    return s->expire_at_ms &&
           s->expire_at_ms <= terms->now_ms + (int64_t)MIN(terms->ttl_tolerance_ms, 60000u);
}

static enum compare_verdict judge_presence(const struct compare_side side[2], const struct judge_terms *terms)
{
    bool gone = as_good_as_gone(&side[0], terms->decoded[0], terms) &&
                as_good_as_gone(&side[1], terms->decoded[1], terms);

    if (side[0].exists && side[1].exists)
        return COMPARE_EQUAL;
    return gone ? COMPARE_GONE : side[0].exists ? COMPARE_MISSING : COMPARE_EXTRA;
}

static bool same_hash(struct hash128 a, struct hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

static enum compare_verdict judge_value(const struct compare_side side[2], const struct judge_terms *terms)
{
    if (side[0].bytes == side[1].bytes && same_hash(side[0].body, side[1].body))
        return COMPARE_EQUAL;
    if (side[0].type == RDB_UNKNOWN || side[1].type == RDB_UNKNOWN)
        return COMPARE_UNKNOWN;
    if (side[0].type != side[1].type)
        return COMPARE_TYPE;
    if (!terms->deep)
        return COMPARE_UNLIKE;
    if (!terms->decoded[0] || !terms->decoded[1])
        return COMPARE_UNKNOWN;
    return value_digest_equal(&side[0].digest, &side[1].digest) ? COMPARE_EQUAL : COMPARE_VALUE;
}

static bool same_expiry(int64_t a, int64_t b, uint64_t tolerance_ms)
{
    return (a == 0) == (b == 0) && distance(a, b) <= tolerance_ms;
}

enum compare_verdict judge(const struct compare_side side[2], const struct judge_terms *terms)
{
    enum compare_verdict v = judge_presence(side, terms);
    if (v == COMPARE_EQUAL)
        v = judge_value(side, terms);
    if (v == COMPARE_EQUAL &&
        !same_expiry(side[0].expire_at_ms, side[1].expire_at_ms, terms->ttl_tolerance_ms))
        v = COMPARE_TTL;
    return v;
}

/* For people. */

static const char *const unit_names[][2] = {
    [RDB_LIST] = {"element", "elements"}, [RDB_SET] = {"member", "members"},
    [RDB_ZSET] = {"member", "members"},   [RDB_HASH] = {"field", "fields"},
    [RDB_STREAM] = {"entry", "entries"},
};

#define PART 80

/* "hash of 12 fields", or "of 11" alone. A string's length is not known, only its payload's. */
static const char *size_of(const struct compare_side *s, bool with_type, char out[PART])
{
    char count[TEXT_MAX];
    const char *type = with_type ? rdb_type_name(s->type) : "", *blank = with_type ? " " : "";
    const char *const *unit = s->type < ARRAY_LEN(unit_names) ? unit_names[s->type] : NULL;

    if (unit && unit[0] && s->digest.type == s->type)
        snprintf(out, PART, "%s%sof %s %s", type, blank, text_count(s->digest.elements, count),
                 unit[s->digest.elements != 1]);
    else
        snprintf(out, PART, "%s%sof %s dumped bytes", type, blank, text_count(s->bytes, count));
    return out;
}

static bool same_size(const struct compare_side *a, const struct compare_side *b)
{
    char one[PART], other[PART];
    return strcmp(size_of(a, true, one), size_of(b, true, other)) == 0;
}

static void tell_value(const struct compare_side *s, const struct compare_side *t, char *out, size_t cap)
{
    char one[PART], other[PART];

    if (same_size(s, t))
        snprintf(out, cap, "%s on both sides, with unlike contents", size_of(s, true, one));
    else
        snprintf(out, cap, "%s on the source, %s on the target", size_of(s, true, one),
                 size_of(t, false, other));
}

static void tell_ttl(const struct compare_side *s, const struct compare_side *t, char *out, size_t cap)
{
    char when[CLOCK_RFC3339_MAX];
    bool later = t->expire_at_ms > s->expire_at_ms;

    if (s->expire_at_ms && t->expire_at_ms)
        snprintf(out, cap, "expires %llu ms %s on the target",
                 (unsigned long long)distance(s->expire_at_ms, t->expire_at_ms), later ? "later" : "earlier");
    else
        snprintf(out, cap, "expires at %s on the %s, never on the %s",
                 clock_rfc3339(s->expire_at_ms ? s->expire_at_ms : t->expire_at_ms, when),
                 s->expire_at_ms ? "source" : "target", s->expire_at_ms ? "target" : "source");
}

const char *judge_tell(const struct compare_result *r, char *out, size_t cap)
{
    const struct compare_side *s = &r->side[0], *t = &r->side[1];
    char one[PART], other[PART];

    switch (r->verdict) {
    case COMPARE_MISSING:
        snprintf(out, cap, "%s on the source, not on the target", size_of(s, true, one));
        break;
    case COMPARE_EXTRA:
        snprintf(out, cap, "%s on the target, not on the source", size_of(t, true, one));
        break;
    case COMPARE_TYPE:
        snprintf(out, cap, "%s on the source, %s on the target", size_of(s, true, one),
                 size_of(t, true, other));
        break;
    case COMPARE_VALUE:
        tell_value(s, t, out, cap);
        break;
    case COMPARE_TTL:
        tell_ttl(s, t, out, cap);
        break;
    case COMPARE_UNKNOWN:
        snprintf(out, cap, "%s: %s", s->error[0] ? "source" : "target", s->error[0] ? s->error : t->error);
        break;
    default:
        snprintf(out, cap, "%s", compare_verdict_name(r->verdict));
    }
    return out;
}

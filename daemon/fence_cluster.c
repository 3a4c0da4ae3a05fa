/* What a primary's CLUSTER NODES says, by which a change is seen: each node has a view of its own, and what
 * one does not know yet another one tells. */
#include "daemon/fence_impl.h"
#include "lib/core/hash.h"

#include <stdio.h>
#include <string.h>

/* id, address, flags, primary, ping sent, pong received, epoch, link, and then slots. */
enum { ID, ADDRESS, FLAGS, PRIMARY, PING, PONG, EPOCH, LINK, FIELDS };

/* The order of lines is of no meaning: their hashes are added up. */
static uint64_t hash(uint64_t salt, struct bytes b)
{
    return hash_bytes((struct hash_seed){.k0 = 1}, salt, b);
}

/* Whether a node is suspected by this one alone (fail?) changes from moment to moment. */
static uint64_t hash_flags(struct bytes flags, bool *ret_self)
{
    uint64_t sum = 0;

    while (flags.len) {
        struct bytes flag = bytes_cut(&flags, ',');
        bool self = bytes_is(flag, "myself");
        *ret_self |= self;
        if (!self && !bytes_is(flag, "fail?"))
            sum += hash(FLAGS, flag);
    }
    return sum;
}

static uint64_t hash_range(struct bytes id, struct bytes range, unsigned *ret_slots)
{
    struct bytes rest = range, first = bytes_cut(&rest, '-');
    uint64_t from = 0, to = 0;

    if (bytes_to_u64(first, &from) == 0 && bytes_to_u64(rest.len ? rest : first, &to) == 0 && to >= from)
        *ret_slots += (unsigned)(to - from + 1);
    return hash(hash(ID, id), range);
}

static bool read_line(struct bytes line, struct fence_view *v)
{
    struct bytes field[FIELDS] = {{0}};
    uint64_t slots_hash = 0;
    unsigned slots = 0;
    bool self = false;

    for (size_t i = 0; i < FIELDS; i++)
        field[i] = bytes_cut(&line, ' ');
    if (!field[EPOCH].len)
        return false;
    v->nodes += hash(hash_flags(field[FLAGS], &self), field[ID]) +
                hash(hash(ADDRESS, field[ID]), field[ADDRESS]) +
                hash(hash(PRIMARY, field[ID]), field[PRIMARY]) + hash(hash(EPOCH, field[ID]), field[EPOCH]);
    while (line.len) {
        struct bytes range = bytes_cut(&line, ' ');
        if (range.len && range.ptr[0] == '[')
            v->moving = true;
        else
            slots_hash += hash_range(field[ID], range, &slots);
    }
    v->map += slots_hash;
    v->owners += slots > 0;
    if (self) {
        snprintf(v->id, sizeof(v->id), "%.*s", (int)MIN(field[ID].len, sizeof(v->id) - 1), field[ID].ptr);
        v->slots = slots;
    }
    return true;
}

void fence_view_read(const struct reply *r, struct fence_view *ret)
{
    char why[FENCE_WHY_MAX];
    struct bytes text;

    *ret = (struct fence_view){.known = true};
    if (!reply_text(r, &text)) {
        ret->known = false;
        snprintf(ret->why, sizeof(ret->why), "CLUSTER NODES: %.140s", fence_error(r, why));
        return;
    }
    while (text.len) {
        struct bytes line = bytes_cut(&text, '\n');
        if (line.len && !read_line(line, ret))
            ret->known = false;
    }
    if (ret->known && ret->id[0])
        return;
    ret->known = false;
    snprintf(ret->why, sizeof(ret->why), "CLUSTER NODES: the answer is not understood");
}

const char *fence_view_changed(const struct fence_view *was, const struct fence_view *now)
{
    if (!now->known)
        return now->why;
    if (now->moving)
        return "slots are being moved";
    if (strcmp(was->id, now->id) != 0)
        return "another node of the cluster answers there";
    if (was->map != now->map)
        return "other nodes own slots than before";
    return was->nodes == now->nodes ? NULL
                                    : "the nodes of the cluster, or their roles, are others than before";
}

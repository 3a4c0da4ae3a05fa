#include "lib/redis/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

static bool is_name(struct bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        unsigned char c = (unsigned char)b.ptr[i];
        if (c >= 0x80 || (!isalnum(c) && !strchr("-._", c)) || c == '\0')
            return false;
    }
    return true;
}

/* Written as inet_ntop() writes it, so that one address is one text. */
static int take_ipv6(struct bytes b, char ret[ADDRESS_HOST_MAX])
{
    char text[INET6_ADDRSTRLEN] = "";
    struct in6_addr addr;

    if (b.len >= sizeof(text) || memchr(b.ptr, '\0', b.len))
        return -EINVAL;
    memcpy(text, b.ptr, b.len);
    if (inet_pton(AF_INET6, text, &addr) != 1)
        return -EINVAL;
    return inet_ntop(AF_INET6, &addr, ret, ADDRESS_HOST_MAX) ? 0 : -EINVAL;
}

static int take_host(struct bytes b, char ret[ADDRESS_HOST_MAX])
{
    if (b.len > 2 && b.ptr[0] == '[' && b.ptr[b.len - 1] == ']')
        return take_ipv6(bytes_of(b.ptr + 1, b.len - 2), ret);
    if (b.len > 0 && memchr(b.ptr, ':', b.len))
        return take_ipv6(b, ret);
    if (b.len >= ADDRESS_HOST_MAX || !is_name(b))
        return -EINVAL;
    memcpy(ret, b.ptr ? b.ptr : "", b.len);
    ret[b.len] = '\0';
    return 0;
}

static int take(struct bytes host, struct bytes port, uint64_t lowest, struct address *ret)
{
    struct address a;
    uint64_t n;

    if (bytes_to_u64(port, &n) < 0 || n < lowest || n > UINT16_MAX || take_host(host, a.host) < 0)
        return -EINVAL;
    a.port = (uint16_t)n;
    *ret = a;
    return 0;
}

static const char *last_colon(struct bytes text)
{
    return text.len > 0 ? memrchr(text.ptr, ':', text.len) : NULL;
}

static struct bytes before(struct bytes text, const char *colon)
{
    return bytes_of(text.ptr, (size_t)(colon - text.ptr));
}

static struct bytes behind(struct bytes text, const char *colon)
{
    return bytes_of(colon + 1, text.len - (size_t)(colon - text.ptr) - 1);
}

int address_parse(struct bytes text, struct address *ret)
{
    const char *colon = last_colon(text);
    /* Of two colons without brackets, none parts a port off: it is IPv6. */
    bool bare = !colon || text.ptr[text.len - 1] == ']' ||
                (text.ptr[0] != '[' && memchr(text.ptr, ':', text.len) != colon);
    struct address a = {.port = 0};

    int err = bare ? take_host(text, a.host) : take(before(text, colon), behind(text, colon), 1, &a);
    if (err < 0 || !a.host[0])
        return -EINVAL;
    *ret = a;
    return 0;
}

/* Port 0: the node's address is not known. */
int address_parse_told(struct bytes text, struct address *ret)
{
    const char *colon = last_colon(text);
    return colon ? take(before(text, colon), behind(text, colon), 0, ret) : -EINVAL;
}

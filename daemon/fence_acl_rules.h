/* fence_acl_rules.h - reads a line of ACL LIST: "user NAME on #hash ~pattern &channel -@all +get (~x
 * +@read)".
 *
 * A hard fence changes command rules (`+`, `-`) and selectors (`(`) alone; the rest, and passwords above all,
 * is the operators'. What a line allows is worked out as the server does, rule by rule, with its own
 * categories; the text alone does not tell (the server rewrites rules).
 */
#ifndef RIOTD_FENCE_ACL_RULES_H
#define RIOTD_FENCE_ACL_RULES_H

#include "lib/redis/reply.h"

/* The user that a line is of; empty: it is no such line. */
struct bytes acl_user(struct bytes line);
/* The next rule behind the name, a selector as a whole; empty at the end. *rest begins with acl_rules(). */
struct bytes acl_rules(struct bytes line);
struct bytes acl_next(struct bytes *rest);
bool acl_is_command_rule(struct bytes rule); /* `+`, `-` or a selector */

enum acl_part { ACL_COMMANDS = 1, ACL_PASSWORDS = 2, ACL_REST = 4 };
/* Do these parts (acl_part, added up) of two lines say the same? Command rules in the same order, since the
 * order matters. What cannot be told for want of memory is no. */
bool acl_same(struct bytes a, struct bytes b, unsigned parts);

/* The commands of a server, by category: from ACL CAT, and then from ACL CAT of each that it names. */
struct acl_catalog;
MUST_CHECK int acl_catalog_new(const struct reply *categories, struct acl_catalog **ret);
struct acl_catalog *acl_catalog_free(struct acl_catalog *c);
const char *acl_catalog_wants(const struct acl_catalog *c, size_t i); /* the i-th; NULL: there is none */
MUST_CHECK int acl_catalog_add(struct acl_catalog *c, const struct reply *names); /* of the next one */
/* Commands of a module: no category takes them for sure, so each is denied by name, and held to write. */
MUST_CHECK int acl_catalog_add_module(struct acl_catalog *c, const struct reply *names);
/* "-vadd", ...: what takes them from a user, beside -@write. */
const char *const *acl_catalog_denials(const struct acl_catalog *c, size_t *ret_count);
bool acl_catalog_is_full(const struct acl_catalog *c); /* NULL is not */
/* Does the line allow any command of the category `write`, or of a module? What cannot be told is yes; c may
 * be NULL. */
bool acl_may_write(const struct acl_catalog *c, struct bytes line);
/* Does a allow all that b does? What cannot be told is no. */
bool acl_allows_all(const struct acl_catalog *c, struct bytes a, struct bytes b);
/* Do both allow the same commands, whatever their rules? What cannot be told is no. */
bool acl_allows_same(const struct acl_catalog *c, struct bytes a, struct bytes b);

#endif

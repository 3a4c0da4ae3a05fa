#ifndef X
#define X
struct acl_catalog;
struct acl_catalog *acl_catalog_free(struct acl_catalog *c);
#endif

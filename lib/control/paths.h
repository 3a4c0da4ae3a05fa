/* paths.h - where the control sockets are, and what a link may be called (DESIGN section 4).
 *
 * Reads folders only. The environment comes in as a parameter, so that a test can make its own.
 */
#ifndef RIOT_PATHS_H
#define RIOT_PATHS_H

#include "lib/core/bytes.h"

#define PATHS_NAME_MAX 32
#define PATHS_MAX      108 /* of a socket's path with its NUL, as sun_path has it */
#define PATHS_DEFAULT  "default"

struct paths_env {
    const char *runtime_directory; /* $RUNTIME_DIRECTORY: the daemon's, from systemd; NULL: not set. Of
                                      several (a:b) the first counts */
    const char *xdg_runtime_dir;   /* $XDG_RUNTIME_DIR */
    const char *riot_socket;       /* $RIOT_SOCKET */
    const char *run;               /* "/run" */
    bool root;
};
struct paths_env paths_env_read(void);

bool paths_name_ok(struct bytes name); /* [a-z0-9-]{1,32} */

/* The daemon's socket where neither option nor file names one. -ENAMETOOLONG; -ENOENT: no folder is known for
 * it (not root, no $XDG_RUNTIME_DIR). */
MUST_CHECK int paths_daemon(const struct paths_env *env, const char *name, char ret[PATHS_MAX]);

struct paths_instance {
    char name[PATHS_NAME_MAX + 1];
    char path[PATHS_MAX];
};
#define PATHS_INSTANCES_MAX 64
/* Sockets that exist, by name; of one name only the first that riotctl would use. Whether anyone answers
 * there is not asked. */
size_t paths_list(const struct paths_env *env, struct paths_instance ret[PATHS_INSTANCES_MAX]);

/* riotctl's socket for a name: the first that exists. -ENOENT: neither does; ret is then the likelier one,
 * for the error text. */
MUST_CHECK int paths_of_name(const struct paths_env *env, const char *name, char ret[PATHS_MAX]);
/* Does anyone answer there? 0; -ECONNREFUSED: the socket is stale; -ENOENT; -EACCES: not for us to know.
 * Others from the system. */
MUST_CHECK int paths_probe(const char *path);

#endif

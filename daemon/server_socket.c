#include "daemon/server_socket.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/control/paths.h"

#define BACKLOG     64
#define SOCKET_MASK 0117 /* leaves 0660 */
#define FOLDER_MODE 0755

/* The folder may be systemd's, or not there yet when riotd is started by hand. */
static int make_folder(const char *path)
{
    char folder[PATHS_MAX];
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path)
        return 0;
    snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
    return mkdir(folder, FOLDER_MODE) && errno != EEXIST ? -errno : 0;
}

static int clear_stale(const char *path)
{
    struct stat st;

    if (lstat(path, &st))
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    int e = paths_probe(path);
    if (!e)
        return -EADDRINUSE;
    if (e != -ECONNREFUSED)
        return e == -ENOENT ? 0 : e;
    return unlink(path) && errno != ENOENT ? -errno : 0;
}

/* Under systemd it has the group already, and the unit's sandbox forbids every chown. */
static void give_to_group(const char *path, gid_t now, const struct sink *sink)
{
    const struct group *group = getgrnam(SERVER_GROUP);
    const char *hint = "riotctl works for root, riotd's user, and members of that group";

    if (!group)
        sink_say(sink, SINK_WARNING, "socket_warning",
                 "there is no group " SERVER_GROUP
                 ": the control socket %s keeps the group that riotd runs with; %s",
                 path, hint);
    else if (now != group->gr_gid && chown(path, (uid_t)-1, group->gr_gid))
        sink_say(sink, SINK_WARNING, "socket_warning",
                 "cannot give the control socket %s to group " SERVER_GROUP
                 " (%s): it keeps the group that riotd runs with; %s",
                 path, strerror(errno), hint);
}

static int bind_at(int fd, const struct sockaddr_un *addr)
{
    mode_t before = umask(SOCKET_MASK);
    int e = bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) ? -errno : 0;

    umask(before);
    return e;
}

int server_socket_open(const char *path, const struct sink *sink, struct server_socket *ret)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct server_socket s = {.fd = -1};
    size_t len = strlen(path);
    struct stat st;

    if (len >= sizeof(addr.sun_path))
        return -ENAMETOOLONG;
    memcpy(addr.sun_path, path, len + 1);
    memcpy(s.path, path, len + 1);
    int e = make_folder(path);
    if (!e)
        e = clear_stale(path);
    if (e)
        return e;
    s.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s.fd < 0)
        return -errno;
    e = bind_at(s.fd, &addr);
    if (!e && (listen(s.fd, BACKLOG) || stat(path, &st))) {
        e = -errno;
        unlink(path);
    }
    if (e) {
        close(s.fd);
        return e;
    }
    give_to_group(path, st.st_gid, sink);
    s.dev = st.st_dev;
    s.ino = st.st_ino;
    *ret = s;
    return 0;
}

void server_socket_close(struct server_socket *s)
{
    struct stat st;

    if (!stat(s->path, &st) && st.st_dev == s->dev && st.st_ino == s->ino)
        unlink(s->path);
    close(s->fd);
}

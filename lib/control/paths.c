#include "lib/control/paths.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FOLDER_PREFIX "riotd-"
#define SOCKET_NAME   "riotd.sock"

static const char *not_empty(const char *text)
{
    return text && text[0] ? text : NULL;
}

struct paths_env paths_env_read(void)
{
    return (struct paths_env){
        .runtime_directory = not_empty(getenv("RUNTIME_DIRECTORY")),
        .xdg_runtime_dir = not_empty(getenv("XDG_RUNTIME_DIR")),
        .riot_socket = not_empty(getenv("RIOT_SOCKET")),
        .run = "/run",
        .root = geteuid() == 0,
    };
}

bool paths_name_ok(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return name.len > 0 && name.len <= PATHS_NAME_MAX;
}

static int join(char ret[PATHS_MAX], const char *folder, const char *name)
{
    char path[PATHS_MAX];
    int n = snprintf(path, sizeof(path), "%s/" FOLDER_PREFIX "%s/" SOCKET_NAME, folder, name);

    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    memcpy(ret, path, sizeof(path));
    return 0;
}

int paths_daemon(const struct paths_env *env, const char *name, char ret[PATHS_MAX])
{
    if (!env->runtime_directory) {
        const char *folder = env->root ? env->run : env->xdg_runtime_dir;
        return folder ? join(ret, folder, name) : -ENOENT;
    }
    struct bytes all = bytes_str(env->runtime_directory);
    struct bytes first = bytes_cut(&all, ':');
    if (first.len + sizeof("/" SOCKET_NAME) > PATHS_MAX)
        return -ENAMETOOLONG;
    snprintf(ret, PATHS_MAX, "%.*s/" SOCKET_NAME, (int)first.len, first.ptr);
    return 0;
}

/* Where one may not even look there may be one: whoever connects is told that it is denied. */
static bool may_be_socket(const char *path)
{
    struct stat st;

    return stat(path, &st) ? errno == EACCES : S_ISSOCK(st.st_mode);
}

static bool is_listed(const struct paths_instance *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(list[i].name, name))
            return true;
    }
    return false;
}

static size_t list_folder(const char *folder, struct paths_instance *list, size_t count)
{
    DIR *dir = folder ? opendir(folder) : NULL;
    struct dirent *entry;

    if (!dir)
        return count;
    while (count < PATHS_INSTANCES_MAX && (entry = readdir(dir))) {
        struct bytes name = bytes_str(entry->d_name);
        if (!bytes_starts(name, FOLDER_PREFIX))
            continue;
        const char *link = entry->d_name + strlen(FOLDER_PREFIX);
        struct paths_instance *at = &list[count];
        if (!paths_name_ok(bytes_str(link)) || is_listed(list, count, link) || join(at->path, folder, link) ||
            !may_be_socket(at->path))
            continue;
        snprintf(at->name, sizeof(at->name), "%.*s", PATHS_NAME_MAX, link);
        count++;
    }
    closedir(dir);
    return count;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct paths_instance *)a)->name, ((const struct paths_instance *)b)->name);
}

size_t paths_list(const struct paths_env *env, struct paths_instance ret[PATHS_INSTANCES_MAX])
{
    size_t count = list_folder(env->xdg_runtime_dir, ret, 0);

    count = list_folder(env->run, ret, count);
    qsort(ret, count, sizeof(*ret), by_name);
    return count;
}

int paths_of_name(const struct paths_env *env, const char *name, char ret[PATHS_MAX])
{
    const char *const folders[] = {env->xdg_runtime_dir, env->run};
    char path[PATHS_MAX];

    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        if (!folders[i] || join(path, folders[i], name))
            continue;
        if (!access(path, F_OK) || errno == EACCES) {
            memcpy(ret, path, sizeof(path));
            return 0;
        }
    }
    int e = join(ret, env->root || !env->xdg_runtime_dir ? env->run : env->xdg_runtime_dir, name);
    return e ? e : -ENOENT;
}

int paths_probe(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = strlen(path);

    if (len >= sizeof(addr.sun_path))
        return -ENAMETOOLONG;
    memcpy(addr.sun_path, path, len + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int e = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
    close(fd);
    return e == -EAGAIN ? 0 : e; /* its queue is full: it lives */
}

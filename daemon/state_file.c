#include "daemon/state_file_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/core/buf.h"
#include "lib/core/clock.h"
#include "lib/core/hash.h"

#define FILE_BYTES_MAX (8 * MIB)
#define READ_STEP      (64 * KIB)

struct state_file {
    char *path;        /* of NAME.json, for texts */
    char *name, *temp; /* inside the folder */
    int folder, lock;  /* open; -1: not yet */
    char *saved;       /* what the disk has, as far as is known; NULL: unknown */
    bool unknown;      /* the last save failed after the new file had its name */
    uint64_t longest_us;
    struct state state;
};

/* The folder. */

static const char *first_folder(const char *list, size_t *ret_len)
{
    *ret_len = list ? strcspn(list, ":") : 0;
    return *ret_len ? list : NULL;
}

int state_dir_find(const char *flag, char **ret)
{
    size_t len = 0;
    const char *given = first_folder(getenv("STATE_DIRECTORY"), &len);
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *path = NULL;
    int n;

    if (flag)
        n = asprintf(&path, "%s", flag);
    else if (given)
        n = asprintf(&path, "%.*s", (int)len, given);
    else if (geteuid() == 0)
        n = asprintf(&path, "/var/lib/riotd");
    else if (xdg && *xdg == '/')
        n = asprintf(&path, "%s/riotd", xdg);
    else if (home && *home == '/')
        n = asprintf(&path, "%s/.local/state/riotd", home);
    else
        return -ENOENT;
    if (n < 0)
        return -ENOMEM;
    *ret = path;
    return 0;
}

/* As mkdir -p, each new one for its owner alone. */
static int make_folder(const char *dir)
{
    char *path = strdup(dir);
    int err = path ? 0 : -ENOMEM;
    for (char *slash = path; err == 0 && slash;) {
        slash = strchr(slash + 1, '/');
        if (slash)
            *slash = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            err = -errno;
        if (slash)
            *slash = '/';
    }
    free(path);
    return err;
}

/* Opening. */

static int say(char why[STATE_WHY_MAX], const char *path, int err, const char *what)
{
    snprintf(why, STATE_WHY_MAX, "%s: %s: %s", path, what, strerror(-err));
    return err;
}

static int open_folder(struct state_file *f, const char *dir, char why[STATE_WHY_MAX])
{
    int err = make_folder(dir);
    if (err < 0)
        return say(why, dir, err, "cannot make the state folder");
    f->folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return f->folder < 0 ? say(why, dir, -errno, "cannot open the state folder") : 0;
}

static int take_lock(struct state_file *f, const char *name, char why[STATE_WHY_MAX])
{
    char lock[80];
    snprintf(lock, sizeof(lock), "%s.lock", name);
    f->lock = openat(f->folder, lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->lock < 0)
        return say(why, lock, -errno, "cannot open the lock");
    if (flock(f->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    int err = -errno;
    if (err != -EWOULDBLOCK)
        return say(why, lock, err, "cannot take the lock");
    snprintf(why, STATE_WHY_MAX, "another riotd runs the link %s: it holds the lock beside %s", name,
             f->path);
    return err;
}

static int read_all(int fd, struct buf *ret)
{
    for (;;) {
        char *to;
        int err = buf_reserve(ret, READ_STEP, &to);
        if (err < 0)
            return err == -ENOBUFS ? -EFBIG : err;
        ssize_t n = read(fd, to, READ_STEP);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return 0;
        if (n > 0)
            buf_commit(ret, (size_t)n);
    }
}

static int load_from(struct state_file *f, int fd, char why[STATE_WHY_MAX])
{
    char reason[STATE_WHY_MAX];
    struct buf text;
    buf_init(&text, FILE_BYTES_MAX);
    int err = read_all(fd, &text);
    if (err < 0) {
        say(why, f->path, err, "cannot read the state file");
    } else {
        err = state_parse(buf_bytes(&text), &f->state, reason);
        if (err < 0)
            snprintf(why, STATE_WHY_MAX,
                     "%.160s: the state file is refused: %.200s. Move it away to begin anew", f->path,
                     reason);
    }
    buf_free(&text);
    return err;
}

/* Fresh, and on the disk before it is used: the instance names connections that a later start must know
 * again. */
static int begin(struct state_file *f, char why[STATE_WHY_MAX])
{
    snprintf(f->state.instance, sizeof(f->state.instance), "%08x",
             (unsigned)(hash_seed_random().k0 & UINT32_MAX));
    int err = state_save(f);
    return err < 0 ? say(why, f->path, err, "cannot write the state file") : 0;
}

/* -ENOENT: there is none. */
static int load_old(struct state_file *f, char why[STATE_WHY_MAX])
{
    int fd = openat(f->folder, f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return -ENOENT;
    if (fd < 0)
        return say(why, f->path, -errno, "cannot open the state file");
    int err = load_from(f, fd, why);
    close(fd);
    return err;
}

static int load(struct state_file *f, char why[STATE_WHY_MAX])
{
    int err = load_old(f, why);
    if (err == -ENOENT)
        return begin(f, why);
    /* What was loaded is what the disk has, if it is written the same way. */
    if (err == 0 && state_render(&f->state, &f->saved) < 0)
        f->saved = NULL; /* the next save writes */
    return err;
}

static int new_file(const char *dir, const char *name, struct state_file **ret)
{
    struct state_file *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->folder = f->lock = -1;
    if (asprintf(&f->path, "%s/%s.json", dir, name) < 0)
        f->path = NULL;
    if (asprintf(&f->name, "%s.json", name) < 0)
        f->name = NULL;
    if (asprintf(&f->temp, "%s.json.new", name) < 0)
        f->temp = NULL;
    if (!f->path || !f->name || !f->temp) {
        state_file_free(f);
        return -ENOMEM;
    }
    *ret = f;
    return 0;
}

int state_file_open(const char *dir, const char *name, char why[STATE_WHY_MAX], struct state_file **ret)
{
    struct state_file *f;
    int err = new_file(dir, name, &f);
    if (err < 0) {
        snprintf(why, STATE_WHY_MAX, "memory is out");
        return err;
    }
    err = open_folder(f, dir, why);
    if (err == 0)
        err = take_lock(f, name, why);
    if (err == 0)
        err = load(f, why);
    if (err < 0)
        state_file_free(f);
    else
        *ret = f;
    return err;
}

int state_file_peek(const char *dir, const char *name, char why[STATE_WHY_MAX], struct state_file **ret)
{
    struct state_file *f;
    int err = new_file(dir, name, &f);
    if (err < 0) {
        snprintf(why, STATE_WHY_MAX, "memory is out");
        return err;
    }
    f->folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->folder >= 0)
        err = load_old(f, why);
    else if (errno != ENOENT)
        err = say(why, dir, -errno, "cannot open the state folder");
    if (err < 0 && err != -ENOENT)
        state_file_free(f);
    else
        *ret = f;
    return err == -ENOENT ? 0 : err;
}

int state_file_blank(struct state_file **ret)
{
    return new_file("", "blank", ret);
}

struct state_file *state_file_free(struct state_file *f)
{
    if (!f)
        return NULL;
    if (f->lock >= 0)
        close(f->lock);
    if (f->folder >= 0)
        close(f->folder);
    free(f->path);
    free(f->name);
    free(f->temp);
    free(f->saved);
    state_clear(&f->state);
    free(f);
    return NULL;
}

struct state *state_of(struct state_file *f)
{
    return &f->state;
}

const char *state_file_path(const struct state_file *f)
{
    return f->path;
}

/* Saving. */

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

static int write_temp(struct state_file *f, const char *text)
{
    unlinkat(f->folder, f->temp, 0); /* left by a crash */
    int fd = openat(f->folder, f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int err = write_all(fd, text, strlen(text));
    if (err == 0)
        err = write_all(fd, "\n", 1);
    if (err == 0 && fsync(fd) < 0)
        err = -errno;
    if (close(fd) < 0 && err == 0)
        err = -errno;
    if (err < 0)
        unlinkat(f->folder, f->temp, 0);
    return err;
}

static int replace(struct state_file *f, char *text)
{
    int err = write_temp(f, text);
    if (err < 0)
        return err;
    if (renameat(f->folder, f->temp, f->folder, f->name) < 0) {
        err = -errno;
        unlinkat(f->folder, f->temp, 0);
        return err;
    }
    /* From here on the old one is gone; until the folder is on the disk, nobody knows which of them a crash
     * leaves. */
    free(f->saved);
    f->saved = NULL;
    f->unknown = true;
    if (fsync(f->folder) < 0)
        return -errno;
    f->unknown = false;
    f->saved = text;
    return 0;
}

/* What could not be read again is not written. */
static int render(struct state_file *f, char **ret)
{
    int err = state_render(&f->state, ret);
    if (err < 0 || strlen(*ret) < FILE_BYTES_MAX)
        return err;
    free(*ret);
    return -EFBIG;
}

int state_save(struct state_file *f)
{
    uint64_t begun = clock_mono_us();
    char *text;
    if (f->lock < 0) /* not ours to write */
        return 0;
    f->unknown = false;
    int err = render(f, &text);
    if (err < 0)
        return err;
    if (f->saved && strcmp(f->saved, text) == 0) {
        free(text);
        return 0;
    }
    err = replace(f, text);
    if (err < 0) {
        free(text);
        return err;
    }
    uint64_t took = clock_mono_us() - begun;
    f->longest_us = MAX(f->longest_us, took);
    return 0;
}

bool state_save_unknown(const struct state_file *f)
{
    return f->unknown;
}

uint64_t state_save_us(const struct state_file *f)
{
    return f->longest_us;
}

#include "runtime/base/fs.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads straight into the buffer: a chunk on the stack would leave its pages behind for as long as the thread lives. */
static ssize_t read_some(int fd, struct buf *out)
{
    size_t want = out->cap > out->len + 1 ? out->cap - out->len - 1 : out->len > 4096 ? out->len : 4096;
    size_t room = out->max > out->len ? out->max - out->len : 0;
    char beyond;
    ssize_t n;

    if (room == 0) {
        n = read(fd, &beyond, 1);
        return n > 0 && !buf_add(out, &beyond, 1) ? 0 : n;
    }
    want = want < room ? want : room;
    if (!buf_reserve(out, want))
        return 0;
    n = read(fd, out->data + out->len, want);
    if (n > 0)
        out->len += (size_t)n;
    out->data[out->len] = '\0';
    return n;
}

enum lc fs_read(const char *path, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum lc rc = LC_OK;
    struct stat st = {0};
    ssize_t n;

    if (fd < 0)
        return err_errno(err, errno, "cannot open '%s'", path);
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(fd);
        return err_errno(err, EISDIR, "cannot read '%s'", path);
    }
    if (st.st_size > 0 && (size_t)st.st_size < out->max - out->len)
        buf_reserve(out, (size_t)st.st_size);
    do
        n = read_some(fd, out);
    while (n > 0 || (n < 0 && errno == EINTR));
    if (n < 0)
        rc = err_errno(err, errno, "cannot read '%s'", path);
    else if ((rc = buf_check(out, err)) == LC_LIMIT)
        rc = err_set(err, LC_LIMIT, "cannot read '%s': it is larger than the limit of %zu bytes", path,
                     out->max);
    close(fd);
    return rc;
}

enum lc fs_write_all(int fd, const char *path, const char *data, size_t len, struct err *err)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "cannot write '%s'", path);
        data += n;
        len -= (size_t)n;
    }
    return LC_OK;
}

static enum lc write_parts(int fd, const char *path, const struct fs_part *parts, size_t n, bool sync,
                           struct err *err)
{
    for (size_t i = 0; i < n; i++)
        TRY(fs_write_all(fd, path, parts[i].data, parts[i].len, err));
    if (sync && fsync(fd) != 0 && errno != EINVAL && errno != EROFS)
        return err_errno(err, errno, "cannot write '%s'", path);
    return LC_OK;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup(".");
}

/* A rename is durable only once the folder that holds the name is on disk. */
static void sync_folder_of(const char *path)
{
    char *dir = folder_of(path);
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    mem_free(dir);
}

struct how { /* one way of putting a whole file in its place */
    mode_t mode;
    bool sync, follow; /* follow: a link stays one, and a file keeps its mode */
    int (*place)(const char *from, const char *to);
};

/* A device or a pipe stays what it is: nothing can be put in its place. */
static enum lc write_into(const char *path, const struct fs_part *parts, size_t n, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    enum lc rc = fd < 0 ? err_errno(err, errno, "cannot write '%s'", path)
                        : write_parts(fd, path, parts, n, false, err);

    if (fd >= 0 && close(fd) != 0 && rc == LC_OK)
        rc = err_errno(err, errno, "cannot write '%s'", path);
    return rc;
}

/* What will stand beside path until it gets its name. */
struct beside {
    char *temp; /* owned */
    int fd;
    bool named; /* temp is there */
};

/* A file without a name, where the filesystem has such: of a process that is killed meanwhile nothing stays. -1: it has not. */
static int open_nameless(const char *path, mode_t mode)
{
    char *dir = folder_of(path);
    int fd = dir ? open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, mode) : -1;

    mem_free(dir);
    return fd;
}

static bool give_name(const struct beside *b)
{
    char open_file[32];

    (void)snprintf(open_file, sizeof open_file, "/proc/self/fd/%d", b->fd);
    return linkat(AT_FDCWD, open_file, AT_FDCWD, b->temp, AT_SYMLINK_FOLLOW) == 0;
}

/* Writes and closes it. LC_OK and still not named: there is no /proc here to name it through. */
static enum lc fill(struct beside *b, const char *path, const struct fs_part *parts, size_t n,
                    const struct how *how, const struct stat *there, struct err *err)
{
    enum lc rc;

    if (there)
        fchmod(b->fd, there->st_mode & 0777); /* where that cannot be, the file is as a new one */
    rc = write_parts(b->fd, path, parts, n, how->sync, err);
    if (rc == LC_OK && !b->named)
        b->named = give_name(b);
    if (close(b->fd) != 0 && rc == LC_OK)
        rc = err_errno(err, errno, "cannot write '%s'", path);
    return rc;
}

/* Writes beside path and then lets `place` give the file its name. */
static enum lc write_beside(const char *path, const struct fs_part *parts, size_t n, const struct how *how,
                            const struct stat *there, struct err *err)
{
    struct beside b = {0};
    enum lc rc = LC_OK;
    char suffix[17];

    hex_make(suffix, 16);
    b.temp = mem_printf("%s.%s.tmp", path, suffix);
    if (!b.temp)
        return err_nomem(err);
    b.fd = open_nameless(path, how->mode);
    if (b.fd >= 0)
        rc = fill(&b, path, parts, n, how, there, err);
    if (b.fd < 0 || (rc == LC_OK && !b.named)) {
        b.fd = open(b.temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, how->mode);
        b.named = b.fd >= 0;
        rc = b.named ? fill(&b, path, parts, n, how, there, err)
                     : err_errno(err, errno, "cannot write '%s'", path);
    }
    if (rc == LC_OK && how->place(b.temp, path) != 0)
        rc = err_errno(err, errno, "cannot write '%s'", path);
    if (rc == LC_OK && how->sync)
        sync_folder_of(path);
    if (b.named && (rc != LC_OK || how->place == link))
        unlink(b.temp); /* after a link it is the second name */
    mem_free(b.temp);
    return rc;
}

static enum lc write_whole(const char *path, const struct fs_part *parts, size_t n, const struct how *how,
                           struct err *err)
{
    struct stat there;
    char *target;
    enum lc rc;

    if (!how->follow || stat(path, &there) != 0)
        return write_beside(path, parts, n, how, NULL, err);
    if (!S_ISREG(there.st_mode))
        return write_into(path, parts, n, err);
    target = realpath(path, NULL);
    rc = write_beside(target ? target : path, parts, n, how, &there, err);
    free(target);
    return rc;
}

enum lc fs_write(const char *path, const void *data, size_t len, struct err *err)
{
    return write_whole(path, &(struct fs_part){data, len}, 1, &(struct how){0666, true, true, rename}, err);
}

enum lc fs_write_parts(const char *path, const struct fs_part *parts, size_t n, struct err *err)
{
    return write_whole(path, parts, n, &(struct how){0666, true, true, rename}, err);
}

enum lc fs_replace(const char *path, const void *data, size_t len, struct err *err)
{
    return write_whole(path, &(struct fs_part){data, len}, 1, &(struct how){0666, false, true, rename}, err);
}

enum lc fs_write_private(const char *path, const void *data, size_t len, struct err *err)
{
    return write_whole(path, &(struct fs_part){data, len}, 1, &(struct how){0600, true, false, rename}, err);
}

enum lc fs_put_if_absent(const char *path, const void *data, size_t len, struct err *err)
{
    return write_whole(path, &(struct fs_part){data, len}, 1, &(struct how){0666, true, false, link}, err);
}

enum lc fs_mkdirs(const char *path, struct err *err)
{
    char *copy;
    enum lc rc = LC_OK;

    if (fs_is_dir(path)) /* the usual case, in loops that look for something several times a second */
        return LC_OK;
    if ((copy = mem_strdup(path)) == NULL)
        return err_nomem(err);
    for (char *p = copy + 1; rc == LC_OK; p++) {
        char c = *p;
        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && (errno != EEXIST || !fs_is_dir(copy)))
            rc = err_errno(err, errno, "cannot make the folder '%s'", copy);
        *p = c;
        if (c == '\0')
            break;
    }
    mem_free(copy);
    return rc;
}

static enum lc remove_at(int parent, const char *name, const char *path, struct err *err)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    enum lc rc = LC_OK;

    if (dir) {
        for (struct dirent *e; rc == LC_OK && (e = readdir(dir)) != NULL;)
            if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                rc = remove_at(dirfd(dir), e->d_name, path, err);
        closedir(dir);
    } else if (fd >= 0) {
        close(fd);
    }
    if (rc == LC_OK && unlinkat(parent, name, dir ? AT_REMOVEDIR : 0) != 0 && errno != ENOENT)
        rc = err_errno(err, errno, "cannot remove '%s'", path);
    return rc;
}

enum lc fs_remove_tree(const char *path, struct err *err)
{
    return remove_at(AT_FDCWD, path, path, err);
}

static enum lc sync_parent(const char *path, struct err *err)
{
    char *parent = folder_of(path);
    int fd = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    enum lc rc = LC_OK;

    if (fd < 0 || fsync(fd) != 0)
        rc = err_errno(err, errno, "cannot sync '%s'", parent ? parent : path);
    if (fd >= 0)
        close(fd);
    mem_free(parent);
    return rc;
}

enum lc fs_replace_tree(const char *from, const char *to, struct err *err)
{
    bool swapped = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0;

    if (!swapped && errno != ENOENT) /* a file system that cannot swap */
        TRY(fs_remove_tree(to, err));
    if (!swapped && rename(from, to) != 0)
        return err_errno(err, errno, "cannot rename '%s' to '%s'", from, to);
    TRY(sync_parent(to, err));
    return swapped ? fs_remove_tree(from, err) : LC_OK;
}

bool fs_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool fs_is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int64_t fs_size(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
}

char *fs_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);

    if (name[0] == '/' || n == 0)
        return mem_strdup(name);
    return mem_printf("%s%s%s", dir, dir[n - 1] == '/' || name[0] == '\0' ? "" : "/", name);
}

char *fs_absolute(const char *path)
{
    char cwd[PATH_MAX];

    if (path[0] == '/' || !getcwd(cwd, sizeof cwd))
        return mem_strdup(path);
    return fs_join(cwd, path);
}

const char *fs_basename(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum lc fs_list(const char *path, char ***names, size_t *n, struct err *err)
{
    DIR *dir = opendir(path);
    size_t cap = 0;
    enum lc rc = LC_OK;

    *names = NULL;
    *n = 0;
    if (!dir)
        return err_errno(err, errno, "cannot list '%s'", path);
    for (struct dirent *e; rc == LC_OK && (e = readdir(dir)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (*n == cap) {
            char **more = mem_reallocn(*names, cap = cap ? cap * 2 : 16, sizeof *more);
            if (!more) {
                rc = err_nomem(err);
                break;
            }
            *names = more;
        }
        if (((*names)[*n] = mem_strdup(e->d_name)) == NULL)
            rc = err_nomem(err);
        else
            ++*n;
    }
    closedir(dir);
    if (rc != LC_OK) {
        fs_free_list(*names, *n);
        *names = NULL;
        *n = 0;
    } else if (*n > 1) {
        qsort(*names, *n, sizeof **names, by_name);
    }
    return rc;
}

void fs_free_list(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free(names[i]);
    mem_free(names);
}

static char *home_folder(void)
{
    const char *set = getenv("LACUS_HOME"), *home = getenv("HOME");

    if (set && *set)
        return fs_absolute(set);
    return fs_join(home && *home ? home : "/", ".lacus");
}

char *fs_home(const char *below, struct err *err)
{
    char *home = home_folder(), *path = NULL;

    if (!home) {
        err_nomem(err);
        return NULL;
    }
    if (!fs_is_dir(home) && fs_mkdirs(home, err) == LC_OK)
        chmod(home, 0700);
    if (!fs_is_dir(home)) {
        err_hint(err, "set LACUS_HOME to a folder that can be written");
    } else if ((path = fs_join(home, below)) == NULL) {
        err_nomem(err);
    }
    mem_free(home);
    return path;
}

/* A path that is given up when nothing is there. */
static char *if_there(char *path)
{
    if (path && fs_exists(path))
        return path;
    mem_free(path);
    return NULL;
}

/* Beside the executable (build/lacus), one folder above it (a test in build/tests), or where `make install` puts what
 * belongs to PREFIX/bin/lacus: an installed tree may be moved as a whole. */
static char *near_executable(const char *below)
{
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    char *slash, *path;

    exe[n > 0 ? n : 0] = '\0';
    for (int up = 0; up < 2 && (slash = strrchr(exe, '/')) != NULL; up++) {
        *slash = '\0';
        path = if_there(fs_join(exe, below));
        if (path)
            return path;
    }
    return if_there(mem_printf("%s/lib/lacus/%s", exe, below));
}

char *fs_installed(const char *below)
{
    const char *set = getenv("LACUS_LIB");
    char *path = set && *set ? if_there(fs_join(set, below)) : NULL;

    return path ? path : near_executable(below);
}

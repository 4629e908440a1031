#include "runtime/storage/local.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void percent_decode(char *text)
{
    char *to = text;

    for (const char *p = text; *p; p++) {
        int high, low;
        if (*p == '%' && (high = hex_value(p[1])) >= 0 && (low = hex_value(p[2])) >= 0 && high + low > 0) {
            *to++ = (char)(high * 16 + low);
            p += 2;
        } else {
            *to++ = *p;
        }
    }
    *to = '\0';
}

/* "file:///a%20b" and "file:/a" are URIs; anything else is a path as it stands. */
static char *local_path(void *self, const char *location)
{
    char *path;

    (void)self;
    if (strncasecmp(location, "file:", 5) != 0)
        return fs_absolute(location);
    location += 5;
    if (strncmp(location, "//", 2) == 0) {
        const char *slash = strchr(location + 2, '/');
        location = slash ? slash : "/";
    }
    path = mem_strdup(location);
    if (path)
        percent_decode(path);
    return path;
}

static int64_t milliseconds(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000 + t->tv_nsec / 1000000;
}

static enum lc read_some(const struct ctx *ctx, int fd, const char *path, int64_t offset, int64_t len,
                         struct buf *out, struct err *err)
{
    while (len > 0) {
        char chunk[65536];
        size_t want = len < (int64_t)sizeof chunk ? (size_t)len : sizeof chunk;
        ssize_t n = pread(fd, chunk, want, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "cannot read '%s'", path);
        if (n == 0)
            return LC_OK;
        if ((size_t)n > out->max - out->len)
            return err_set(err, LC_LIMIT, "cannot read '%s': it is larger than the limit of %zu bytes", path,
                           out->max);
        if (!buf_add(out, chunk, (size_t)n))
            return err_nomem(err);
        offset += n;
        len -= n;
        TRY(ctx_check(ctx, err));
    }
    return LC_OK;
}

static enum lc local_read(const struct ctx *ctx, void *self, const char *location, int64_t offset,
                          int64_t len, struct buf *out, struct err *err)
{
    char *path = local_path(self, location);
    enum lc rc;
    int fd;

    if (!path)
        return err_nomem(err);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        rc = err_errno(err, errno, "cannot open '%s'", path);
    } else {
        rc = read_some(ctx, fd, path, offset, len, out, err);
        close(fd);
    }
    mem_free(path);
    return rc;
}

static enum lc fill_entries(const char *path, char **names, size_t n, struct storage_list *out,
                            struct err *err)
{
    out->entries = mem_calloc(n ? n : 1, sizeof *out->entries);
    if (!out->entries)
        return err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        struct storage_entry *e = &out->entries[out->n];
        struct stat st;
        char *child = fs_join(path, names[i]);
        if (!child)
            return err_nomem(err);
        if (stat(child, &st) == 0) { /* else it went away meanwhile */
            *e = (struct storage_entry){names[i], st.st_size, milliseconds(&st.st_mtim), S_ISDIR(st.st_mode)};
            names[i] = NULL;
            out->n++;
        }
        mem_free(child);
    }
    return LC_OK;
}

static enum lc local_list(const struct ctx *ctx, void *self, const char *location, struct storage_list *out,
                          struct err *err)
{
    char *path = local_path(self, location);
    char **names = NULL;
    size_t n = 0;
    enum lc rc;

    (void)ctx;
    if (!path)
        return err_nomem(err);
    rc = fs_list(path, &names, &n, err);
    if (rc == LC_OK)
        rc = fill_entries(path, names, n, out, err);
    if (rc != LC_OK)
        storage_list_release(out);
    fs_free_list(names, n);
    mem_free(path);
    return rc;
}

static enum lc make_folder_of(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char *folder;
    enum lc rc;

    if (!slash || slash == path)
        return LC_OK;
    folder = mem_strndup(path, (size_t)(slash - path));
    if (!folder)
        return err_nomem(err);
    rc = fs_is_dir(folder) ? LC_OK : fs_mkdirs(folder, err);
    mem_free(folder);
    return rc;
}

typedef enum lc write_fn(const char *path, const void *data, size_t len, struct err *err);

static enum lc write_with(write_fn *fn, const char *location, const void *data, size_t len, struct err *err)
{
    char *path = local_path(NULL, location);
    enum lc rc;

    if (!path)
        return err_nomem(err);
    rc = make_folder_of(path, err);
    if (rc == LC_OK)
        rc = fn(path, data, len, err);
    mem_free(path);
    return rc;
}

static enum lc local_put(const struct ctx *ctx, void *self, const char *path, const void *data, size_t len,
                         struct err *err)
{
    (void)ctx, (void)self;
    return write_with(fs_write, path, data, len, err);
}

static enum lc local_put_if_absent(const struct ctx *ctx, void *self, const char *path, const void *data,
                                   size_t len, struct err *err)
{
    (void)ctx, (void)self;
    return write_with(fs_put_if_absent, path, data, len, err);
}

static enum lc local_remove(const struct ctx *ctx, void *self, const char *location, struct err *err)
{
    char *path = local_path(self, location);
    enum lc rc = LC_OK;

    (void)ctx;
    if (!path)
        return err_nomem(err);
    if (unlink(path) != 0)
        rc = err_errno(err, errno, "cannot remove '%s'", path);
    mem_free(path);
    return rc;
}

static enum lc local_remove_tree(const struct ctx *ctx, void *self, const char *location, struct err *err)
{
    char *path = local_path(self, location);
    enum lc rc;

    (void)ctx;
    if (!path)
        return err_nomem(err);
    rc = fs_remove_tree(path, err);
    mem_free(path);
    return rc;
}

const struct storage_ops storage_local = {
    .scheme = "file",
    .read = local_read,
    .list = local_list,
    .put = local_put,
    .put_if_absent = local_put_if_absent,
    .remove = local_remove,
    .remove_tree = local_remove_tree,
    .local_path = local_path,
};

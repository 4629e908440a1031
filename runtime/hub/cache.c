#include "runtime/hub/cache.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/hub/answer.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOCK_SLICE_US = 20000, NEAR_MOST = 3 };

/* ---- places ---------------------------------------------------------------------------------------------- */

static char *expanded(const char *path) /* ~/x */
{
    const char *home = getenv("HOME");

    if (path[0] == '~' && (path[1] == '/' || !path[1]) && home)
        return mem_printf("%s%s", home, path + 1);
    return fs_absolute(path);
}

static const char *setting(const char *name)
{
    const char *v = getenv(name);

    return v && *v ? v : NULL;
}

char *hub_home(void)
{
    const char *hf = setting("HF_HOME"), *cache = setting("XDG_CACHE_HOME"), *home = setting("HOME");

    if (hf)
        return expanded(hf);
    if (!cache)
        return mem_printf("%s/.cache/huggingface", home ? home : "");
    char *base = expanded(cache), *out = base ? fs_join(base, "huggingface") : NULL;
    mem_free(base);
    return out;
}

static char *root_of(const char *dir)
{
    dir = dir ? dir : setting("HF_HUB_CACHE");
    dir = dir ? dir : setting("HUGGINGFACE_HUB_CACHE");
    if (dir)
        return expanded(dir);
    char *home = hub_home(), *out = home ? fs_join(home, "hub") : NULL;
    mem_free(home);
    return out;
}

/* org/name → models--org--name */
static char *folder_name(const char *id)
{
    const char *slash = strchr(id, '/');

    return slash ? mem_printf("models--%.*s--%s", (int)(slash - id), id, slash + 1)
                 : mem_printf("models--%s", id);
}

enum lc hub_cache_open(const char *dir, const char *id, struct hub_cache *out, struct err *err)
{
    char *name = folder_name(id);

    *out = (struct hub_cache){.root = root_of(dir)};
    if (name && out->root) {
        out->folder = fs_join(out->root, name);
        out->locks = mem_printf("%s/.locks/%s", out->root, name);
    }
    mem_free(name);
    if (out->folder && out->locks)
        return LC_OK;
    hub_cache_release(out);
    return err_nomem(err);
}

void hub_cache_release(struct hub_cache *c)
{
    mem_free(c->root);
    mem_free(c->folder);
    mem_free(c->locks);
    *c = (struct hub_cache){.root = NULL};
}

char *hub_cache_snapshot(const struct hub_cache *c, const char *sha)
{
    return mem_printf("%s/snapshots/%s", c->folder, sha);
}

char *hub_cache_blob(const struct hub_cache *c, const char *etag)
{
    return mem_printf("%s/blobs/%s", c->folder, etag);
}

/* ---- revisions ------------------------------------------------------------------------------------------- */

bool hub_cache_commit(const struct hub_cache *c, const char *revision, char sha[41])
{
    char *path = mem_printf("%s/refs/%s", c->folder, revision);
    struct buf text = BUF_INIT(200);
    struct err err;
    bool there = path && fs_read(path, &text, &err) == LC_OK;

    mem_free(path);
    while (text.len && strchr(" \r\n", text.data[text.len - 1]))
        text.data[--text.len] = '\0';
    there = there && hub_is_sha(buf_str(&text));
    if (there)
        memcpy(sha, text.data, 41);
    else if (hub_is_sha(revision))
        memcpy(sha, revision, 41);
    buf_release(&text);
    return there || hub_is_sha(revision);
}

static enum lc make_parent(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char *parent = slash ? mem_strndup(path, (size_t)(slash - path)) : NULL;
    enum lc rc = parent ? fs_mkdirs(parent, err) : err_nomem(err);

    mem_free(parent);
    return rc;
}

enum lc hub_cache_set_ref(const struct hub_cache *c, const char *revision, const char *sha, struct err *err)
{
    char had[41], *path;
    enum lc rc;

    if (hub_is_sha(revision) || (hub_cache_commit(c, revision, had) && strcmp(had, sha) == 0))
        return LC_OK;
    path = mem_printf("%s/refs/%s", c->folder, revision);
    rc = path ? make_parent(path, err) : err_nomem(err);
    if (rc == LC_OK)
        rc = fs_write(path, sha, strlen(sha), err);
    mem_free(path);
    return rc;
}

/* ---- contents -------------------------------------------------------------------------------------------- */

static enum lc make_below(const char *folder, const char *below, struct err *err)
{
    char *path = fs_join(folder, below);
    enum lc rc = path ? fs_mkdirs(path, err) : err_nomem(err);

    mem_free(path);
    return rc;
}

static enum lc mark_root(const char *root, struct err *err)
{
    static const char text[] = "Signature: 8a477f597d28d172789f06886806bc55\n"
                               "# This folder is a cache of models that can be downloaded again.\n"
                               "# See https://bford.info/cachedir/\n";
    char *path = fs_join(root, "CACHEDIR.TAG");
    enum lc rc = path ? LC_OK : err_nomem(err);

    if (path && !fs_exists(path))
        rc = fs_put_if_absent(path, text, sizeof text - 1, err);
    mem_free(path);
    return rc == LC_EXISTS ? LC_OK : rc;
}

enum lc hub_cache_make(const struct hub_cache *c, const char *sha, struct err *err)
{
    char *snapshot = hub_cache_snapshot(c, sha);
    enum lc rc = snapshot ? fs_mkdirs(snapshot, err) : err_nomem(err);

    mem_free(snapshot);
    if (rc == LC_OK)
        rc = make_below(c->folder, "blobs", err);
    if (rc == LC_OK)
        rc = make_below(c->folder, "refs", err);
    if (rc == LC_OK)
        rc = fs_mkdirs(c->locks, err);
    return rc == LC_OK ? mark_root(c->root, err) : rc;
}

/* Made beside and renamed: two processes may do it at once, and a link to a blob that is gone is replaced. */
static enum lc link_at(const char *target, const char *path, struct err *err)
{
    char *beside = mem_printf("%s.%d.link", path, (int)getpid());
    enum lc rc = beside ? LC_OK : err_nomem(err);

    if (beside) {
        unlink(beside);
        if (symlink(target, beside) != 0 || rename(beside, path) != 0) {
            rc = err_errno(err, errno, "cannot make the link '%s'", path);
            unlink(beside);
        }
    }
    mem_free(beside);
    return rc;
}

enum lc hub_cache_link(const struct hub_cache *c, const char *sha, const char *name, const char *etag,
                       struct err *err)
{
    char *path = mem_printf("%s/snapshots/%s/%s", c->folder, sha, name),
         *target = mem_printf("../../blobs/%s", etag);
    enum lc rc = path && target ? LC_OK : err_nomem(err);

    if (rc == LC_OK && !fs_exists(path))
        rc = link_at(target, path, err);
    mem_free(path);
    mem_free(target);
    return rc;
}

/* ---- locks ----------------------------------------------------------------------------------------------- */

/* Hugging Face's tools take the file away when they let go: a lock counts only while its file is the one at the path. */
static bool still_there(int fd, const char *path)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static enum lc lock_at(const struct ctx *ctx, const char *path, int *fd, struct err *err)
{
    for (;;) {
        TRY(ctx_check(ctx, err));
        if (*fd < 0)
            *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0664);
        if (*fd < 0)
            return err_errno(err, errno, "cannot open the lock '%s'", path);
        if (flock(*fd, LOCK_EX | LOCK_NB) == 0) {
            if (still_there(*fd, path))
                return LC_OK;
            close(*fd);
            *fd = -1;
        } else if (errno == EWOULDBLOCK) {
            usleep(LOCK_SLICE_US);
        } else if (errno != EINTR) {
            return errno == ENOSYS || errno == ENOTSUP || errno == ENOLCK
                       ? LC_OK /* a file system without locks: a blob is renamed into place, so nothing breaks */
                       : err_errno(err, errno, "cannot lock '%s'", path);
        }
    }
}

enum lc hub_cache_lock(const struct ctx *ctx, const struct hub_cache *c, const char *etag, int *fd,
                       struct err *err)
{
    char *path = mem_printf("%s/%s.lock", c->locks, etag);
    enum lc rc;

    *fd = -1;
    if (!path)
        return err_nomem(err);
    rc = lock_at(ctx, path, fd, err);
    mem_free(path);
    if (rc != LC_OK && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    return rc;
}

void hub_cache_unlock(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* ---- names like it --------------------------------------------------------------------------------------- */

/* models--org--name → org/name, in place. */
static bool id_of(char *name)
{
    char *dashes;

    if (strncmp(name, "models--", 8) != 0)
        return false;
    memmove(name, name + 8, strlen(name + 8) + 1);
    dashes = strstr(name, "--");
    if (dashes) {
        *dashes = '/';
        memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
    }
    return true;
}

void hub_cache_near(const struct hub_cache *c, const char *id, struct buf *out)
{
    char **names = NULL;
    size_t n = 0, kept = 0;
    struct err err;

    if (fs_list(c->root, &names, &n, &err) != LC_OK)
        return;
    const char **ids = mem_calloc(n + 1, sizeof *ids);
    for (size_t i = 0; ids && i < n; i++)
        if (id_of(names[i]) && strcmp(names[i], id) != 0)
            ids[kept++] = names[i];
    if (ids)
        nearest_list(out, id, ids, kept, NEAR_MOST);
    mem_free(ids);
    fs_free_list(names, n);
}

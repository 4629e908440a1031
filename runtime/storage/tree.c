#include "runtime/storage/tree.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << 17, DEEPEST = 64 };

/* ---- one file ---------------------------------------------------------------------------------------- */

static enum lc pour(const struct ctx *ctx, int in, int out, const char *from, const char *to, struct err *err)
{
    char chunk[CHUNK];

    for (;;) {
        ssize_t n = read(in, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "cannot read '%s'", from);
        if (n == 0)
            break;
        TRY(fs_write_all(out, to, chunk, (size_t)n, err));
        TRY(ctx_check(ctx, err));
    }
    return fsync(out) == 0 ? LC_OK : err_errno(err, errno, "cannot write '%s'", to);
}

static enum lc copy_bytes(const struct ctx *ctx, const char *from, const char *beside, struct err *err)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out;
    enum lc rc;

    if (in < 0)
        return err_errno(err, errno, "cannot read '%s'", from);
    out = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    rc = out < 0 ? err_errno(err, errno, "cannot write '%s'", beside) : pour(ctx, in, out, from, beside, err);
    close(in);
    if (out >= 0 && close(out) != 0 && rc == LC_OK)
        rc = err_errno(err, errno, "cannot write '%s'", beside);
    return rc;
}

static enum lc copy_file(const struct ctx *ctx, const char *from, const char *to, unsigned flags,
                         struct err *err)
{
    char suffix[17], *beside;
    enum lc rc;

    if (!(flags & TREE_REPLACE) && fs_exists(to))
        return err_set(err, LC_EXISTS, "cannot copy to '%s': it is there already", to);
    hex_make(suffix, 16);
    beside = mem_printf("%s.%s.tmp", to, suffix);
    if (!beside)
        return err_nomem(err);
    rc = (flags & TREE_LINK) && linkat(AT_FDCWD, from, AT_FDCWD, beside, AT_SYMLINK_FOLLOW) == 0
             ? LC_OK
             : copy_bytes(ctx, from, beside, err);
    if (rc == LC_OK && rename(beside, to) != 0)
        rc = err_errno(err, errno, "cannot write '%s'", to);
    unlink(beside); /* rename leaves it when both are links to the same file */
    mem_free(beside);
    return rc;
}

/* ---- folders ----------------------------------------------------------------------------------------- */

typedef enum lc visit_fn(void *arg, const char *path, const char *below, bool folder, struct err *err);

static enum lc visit(const struct ctx *ctx, const char *path, const char *below, int depth, visit_fn *fn,
                     void *arg, struct err *err);

static enum lc visit_folder(const struct ctx *ctx, const char *path, const char *below, int depth,
                            visit_fn *fn, void *arg, struct err *err)
{
    char **names;
    size_t n;
    enum lc rc;

    if (depth > DEEPEST)
        return err_set(err, LC_LIMIT, "cannot go into '%s': more than %d folders deep", path, DEEPEST);
    TRY(fn(arg, path, below, true, err));
    TRY(fs_list(path, &names, &n, err));
    rc = ctx_check(ctx, err);
    for (size_t i = 0; rc == LC_OK && i < n; i++) {
        char *inner = fs_join(path, names[i]);
        char *name = *below ? fs_join(below, names[i]) : mem_strdup(names[i]);
        rc = inner && name ? visit(ctx, inner, name, depth + 1, fn, arg, err) : err_nomem(err);
        mem_free(inner);
        mem_free(name);
    }
    fs_free_list(names, n);
    return rc;
}

/* Calls fn for a folder before what is in it, in the order of names. */
static enum lc visit(const struct ctx *ctx, const char *path, const char *below, int depth, visit_fn *fn,
                     void *arg, struct err *err)
{
    struct stat link, st;

    if (lstat(path, &link) != 0 || stat(path, &st) != 0)
        return err_errno(err, errno, "cannot open '%s'", path);
    if (S_ISDIR(st.st_mode) && S_ISLNK(link.st_mode) && depth > 0)
        return err_set(err, LC_UNSUPPORTED, "cannot copy '%s': it is a symbolic link to a folder", path);
    if (S_ISDIR(st.st_mode))
        return visit_folder(ctx, path, below, depth, fn, arg, err);
    if (!S_ISREG(st.st_mode))
        return err_set(err, LC_UNSUPPORTED, "cannot copy '%s': it is neither a file nor a folder", path);
    return fn(arg, path, below, false, err);
}

struct copying {
    const struct ctx *ctx;
    const char *to;
    unsigned flags;
};

static enum lc copy_one(void *arg, const char *path, const char *below, bool folder, struct err *err)
{
    struct copying *c = arg;
    char *to = *below ? fs_join(c->to, below) : mem_strdup(c->to);
    enum lc rc = !to      ? err_nomem(err)
                 : folder ? fs_mkdirs(to, err)
                          : copy_file(c->ctx, path, to, c->flags, err);

    mem_free(to);
    return rc;
}

enum lc tree_copy(const struct ctx *ctx, const char *from, const char *to, unsigned flags, struct err *err)
{
    struct copying c = {ctx, to, flags};
    size_t n = strlen(from);

    if (fs_is_dir(from) && strncmp(from, to, n) == 0 && (to[n] == '/' || to[n] == '\0'))
        return err_set(err, LC_ARG, "cannot copy '%s' into itself", from);
    return visit(ctx, from, "", 0, copy_one, &c, err);
}

/* ---- digest ------------------------------------------------------------------------------------------ */

struct hashing {
    const struct ctx *ctx;
    const char *const *skip;
    crypto_generichash_state all;
    int64_t bytes;
};

static enum lc hash_contents(struct hashing *h, const char *path, crypto_generichash_state *state,
                             struct err *err)
{
    unsigned char chunk[CHUNK];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum lc rc = fd < 0 ? err_errno(err, errno, "cannot read '%s'", path) : LC_OK;
    ssize_t n;

    while (rc == LC_OK && (n = read(fd, chunk, sizeof chunk)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = err_errno(err, errno, "cannot read '%s'", path);
            break;
        }
        crypto_generichash_update(state, chunk, (unsigned long long)n);
        h->bytes += n;
        rc = ctx_check(h->ctx, err);
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Each file goes in as its name, a NUL, and the hash of its contents: no two trees have the same bytes. */
static enum lc hash_one(void *arg, const char *path, const char *below, bool folder, struct err *err)
{
    struct hashing *h = arg;
    crypto_generichash_state state;
    unsigned char hash[32];

    if (folder)
        return LC_OK;
    for (const char *const *skip = h->skip; skip && *skip; skip++)
        if (strcmp(*skip, below) == 0)
            return LC_OK;
    crypto_generichash_init(&state, NULL, 0, sizeof hash);
    TRY(hash_contents(h, path, &state, err));
    crypto_generichash_final(&state, hash, sizeof hash);
    crypto_generichash_update(&h->all, (const unsigned char *)below, strlen(below) + 1);
    crypto_generichash_update(&h->all, hash, sizeof hash);
    return LC_OK;
}

enum lc tree_digest_without(const struct ctx *ctx, const char *path, const char *const *skip,
                            char out[TREE_DIGEST], int64_t *bytes, struct err *err)
{
    struct hashing h = {.ctx = ctx, .skip = skip};
    unsigned char hash[32];

    crypto_generichash_init(&h.all, NULL, 0, sizeof hash);
    TRY(visit(ctx, path, "", 0, hash_one, &h, err));
    crypto_generichash_final(&h.all, hash, sizeof hash);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
    if (bytes)
        *bytes = h.bytes;
    return LC_OK;
}

enum lc tree_digest(const struct ctx *ctx, const char *path, char out[TREE_DIGEST], int64_t *bytes,
                    struct err *err)
{
    return tree_digest_without(ctx, path, NULL, out, bytes, err);
}

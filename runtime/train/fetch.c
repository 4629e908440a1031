#include "runtime/train/fetch.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/train/manifest.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

enum { AHEAD = 4 }; /* parts asked for before the first has come */

struct transfer {
    int fd;
    const char *sha256, *path;
    int64_t size, asked, got;
    crypto_hash_sha256_state state;
};

static enum lc ask(struct fetch *f, struct transfer *t, struct err *err)
{
    while (t->asked < t->size && t->asked - t->got < (int64_t)AHEAD * WIRE_PAYLOAD_MAX) {
        int64_t left = t->size - t->asked, n = left < WIRE_PAYLOAD_MAX ? left : WIRE_PAYLOAD_MAX;
        TRY(link_send(f->link,
                      json_pack("{s:s, s:s, s:s, s:I, s:I}", "type", "want", "job", f->job, "sha256",
                                t->sha256, "offset", (json_int_t)t->asked, "length", (json_int_t)n),
                      NULL, 0, err));
        t->asked += n;
    }
    return LC_OK;
}

static enum lc take(struct transfer *t, const struct link_event *e, struct err *err)
{
    const char *bytes = e->msg.payload;

    if (strcmp(wire_text(&e->msg, "sha256"), t->sha256) != 0)
        return LC_OK; /* of a transfer that was given up */
    if (e->msg.kind == WIRE_NOBLOB)
        return err_set(err, LC_DATA, "cannot get '%s': %s", t->path, wire_text(&e->msg, "message"));
    if (wire_int(&e->msg, "offset") != t->got || (int64_t)e->msg.len > t->size - t->got || e->msg.len == 0)
        return err_set(err, LC_DATA, "cannot get '%s': it has changed since the job was made", t->path);
    for (size_t done = 0; done < e->msg.len;) {
        ssize_t n = write(t->fd, bytes + done, e->msg.len - done);
        if (n < 0)
            return err_errno(err, errno, "cannot write a copy of '%s' into the cache", t->path);
        done += (size_t)n;
    }
    crypto_hash_sha256_update(&t->state, e->msg.payload, e->msg.len);
    t->got += (int64_t)e->msg.len;
    return LC_OK;
}

static enum lc pull(struct fetch *f, struct transfer *t, struct err *err)
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    char hex[DIGEST_HEX];
    enum lc rc = LC_OK;

    crypto_hash_sha256_init(&t->state);
    while (rc == LC_OK && t->got < t->size) {
        struct link_event e = {0};
        rc = ask(f, t, err);
        if (rc == LC_OK)
            rc = f->wait(f->arg, &e, err);
        if (rc == LC_OK)
            rc = take(t, &e, err);
        link_event_release(&e);
    }
    if (rc != LC_OK)
        return rc;
    crypto_hash_sha256_final(&t->state, digest);
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    if (strcmp(hex, t->sha256) != 0)
        return err_set(err, LC_DATA,
                       "cannot use '%s': its content is not what the job says (it has changed?)", t->path);
    return fsync(t->fd) == 0 ? LC_OK
                             : err_errno(err, errno, "cannot write a copy of '%s' into the cache", t->path);
}

static enum lc pull_into(struct fetch *f, const char *sha256, const char *path, int64_t size,
                         const char *blob, struct err *err)
{
    char *part = mem_printf("%s.part-%d", blob, (int)getpid()), *dir = mem_strndup(blob, strlen(blob) - 65);
    struct transfer t = {.fd = -1, .sha256 = sha256, .path = path, .size = size};
    enum lc rc = part && dir ? fs_mkdirs(dir, err) : err_nomem(err);

    if (rc == LC_OK && (t.fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0)
        rc = err_errno(err, errno, "cannot open '%s'", part);
    if (rc == LC_OK)
        rc = pull(f, &t, err);
    if (rc == LC_OK && rename(part, blob) != 0)
        rc = err_errno(err, errno, "cannot rename '%s'", part);
    if (t.fd >= 0) {
        close(t.fd);
        if (rc != LC_OK)
            (void)unlink(part);
    }
    mem_free(part);
    mem_free(dir);
    return rc;
}

/* The driver says that it has this content at a path of this machine: believed when the digest agrees. */
static const char *near_path(const struct fetch *f, const char *sha256, int64_t size)
{
    const char *path = json_string_value(json_object_get(f->near, sha256));

    return path && path[0] == '/' && manifest_verify(f->ctx, path, sha256, size, NULL) == LC_OK ? path : NULL;
}

static enum lc make_parent(const char *path, struct err *err)
{
    char *parent = mem_strdup(path);
    enum lc rc = LC_OK;

    if (!parent)
        return err_nomem(err);
    *strrchr(parent, '/') = '\0';
    rc = fs_mkdirs(parent, err);
    mem_free(parent);
    return rc;
}

static enum lc fetch_file(struct fetch *f, const json_t *row, const char *folder, struct err *err)
{
    const char *path = json_string_value(json_object_get(row, "path"));
    const char *sha256 = json_string_value(json_object_get(row, "sha256")), *target;
    int64_t size = json_integer_value(json_object_get(row, "size"));
    char *blob = cache_path(f->cache, sha256), *link_path = fs_join(folder, path);
    enum lc rc = blob && link_path ? LC_OK : err_nomem(err);

    target = rc == LC_OK ? near_path(f, sha256, size) : NULL;
    if (rc == LC_OK && !target) {
        target = blob;
        if (manifest_verify(f->ctx, blob, sha256, size, NULL) != LC_OK)
            rc = pull_into(f, sha256, path, size, blob, err);
    }
    if (rc == LC_OK && strchr(path, '/'))
        rc = make_parent(link_path, err);
    if (rc == LC_OK && symlink(target, link_path) != 0)
        rc = err_errno(err, errno, "cannot link '%s'", link_path);
    mem_free(blob);
    mem_free(link_path);
    return rc;
}

enum lc fetch_folder(struct fetch *f, const json_t *files, const char *folder, struct err *err)
{
    size_t i;
    json_t *row;

    TRY(fs_mkdirs(folder, err));
    json_array_foreach (files, i, row)
        TRY(fetch_file(f, row, folder, err));
    return LC_OK;
}

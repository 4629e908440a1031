/* storage.h: the seam to where bytes lie: local files now, objects in a bucket behind the same functions.
 *
 * What      read a range, list, put, put_if_absent, delete. There is no rename: what must appear once and
 *           whole (a Delta commit) is a put_if_absent, and exactly one of several writers gets LC_OK.
 * Locations a location is a path ("/data/t"), a "file:" URI or another scheme's URI; storage_open picks the
 *           implementation by scheme. Paths given to the functions are locations too, below the one that was
 *           opened.
 * Ownership a struct storage is a small value and holds nothing to release. A listing is ended with
 *           storage_list_release.
 * Units     bytes; milliseconds since 1970.
 * Errors    LC_NOTFOUND, LC_EXISTS (put_if_absent), LC_PERM, LC_NOSPACE, LC_LIMIT (the buffer's maximum),
 *           LC_UNSUPPORTED (a scheme that is not there yet), LC_CANCELLED, LC_IO. A put that returned LC_OK
 *           survives a power cut; one that failed left nothing under the name.
 * Threads   any.
 *
 * Example:
 *     struct storage s;
 *     struct err err;
 *     if (storage_open("/tmp", &s, &err) == LC_OK &&
 *         storage_put_if_absent(&ctx, &s, "/tmp/once", "1", 1, &err) == LC_EXISTS)
 *         puts("somebody was faster");
 */
#ifndef LACUS_STORAGE_STORAGE_H
#define LACUS_STORAGE_STORAGE_H
#include "runtime/base/buf.h"
#include "runtime/base/ctx.h"

struct storage_entry {
    char *name; /* owned; the last part of its path */
    int64_t size;
    int64_t modified_ms;
    bool folder;
};

struct storage_list {
    struct storage_entry *entries; /* owned, sorted by name bytes */
    size_t n;
};

struct storage_ops {
    const char *scheme; /* "file" */
    /* Appends up to len bytes from offset; fewer at the end of the object. */
    enum lc (*read)(const struct ctx *ctx, void *self, const char *path, int64_t offset, int64_t len,
                    struct buf *out, struct err *err);
    /* The direct children of a folder. A folder that does not exist is LC_NOTFOUND. */
    enum lc (*list)(const struct ctx *ctx, void *self, const char *path, struct storage_list *out,
                    struct err *err);
    /* Whole or absent, durable; makes the folders above. */
    enum lc (*put)(const struct ctx *ctx, void *self, const char *path, const void *data, size_t len,
                   struct err *err);
    enum lc (*put_if_absent)(const struct ctx *ctx, void *self, const char *path, const void *data,
                             size_t len, struct err *err);
    enum lc (*remove)(const struct ctx *ctx, void *self, const char *path, struct err *err);
    enum lc (*remove_tree)(const struct ctx *ctx, void *self, const char *path, struct err *err);
    /* The name by which programs on this machine open the object, or NULL (then it must be copied first).
     * Caller frees with mem_free. */
    char *(*local_path)(void *self, const char *path);
};

struct storage {
    const struct storage_ops *ops;
    void *self; /* borrowed */
};

enum lc storage_open(const char *location, struct storage *out, struct err *err) MUST_CHECK;

/* Reads the whole object, up to out->max. */
enum lc storage_read(const struct ctx *ctx, const struct storage *s, const char *path, struct buf *out,
                     struct err *err) MUST_CHECK;
enum lc storage_read_range(const struct ctx *ctx, const struct storage *s, const char *path, int64_t offset,
                           int64_t len, struct buf *out, struct err *err) MUST_CHECK;
enum lc storage_list(const struct ctx *ctx, const struct storage *s, const char *path,
                     struct storage_list *out, struct err *err) MUST_CHECK;
void storage_list_release(struct storage_list *l);
enum lc storage_put(const struct ctx *ctx, const struct storage *s, const char *path, const void *data,
                    size_t len, struct err *err) MUST_CHECK;
enum lc storage_put_if_absent(const struct ctx *ctx, const struct storage *s, const char *path,
                              const void *data, size_t len, struct err *err) MUST_CHECK;
enum lc storage_remove(const struct ctx *ctx, const struct storage *s, const char *path,
                       struct err *err) MUST_CHECK; /* absent is LC_NOTFOUND */
enum lc storage_remove_tree(const struct ctx *ctx, const struct storage *s, const char *path,
                            struct err *err) MUST_CHECK; /* absent is fine */
char *storage_local_path(const struct storage *s, const char *path);
#endif

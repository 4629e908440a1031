#include "runtime/storage/storage.h"
#include "runtime/base/mem.h"
#include "runtime/storage/local.h"
#include <string.h>
#include <strings.h>

/* Length of "scheme" in "scheme:…", 0 for a plain path. One letter is no scheme. */
static size_t scheme_length(const char *location)
{
    size_t n = strspn(location, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

    return n > 1 && location[n] == ':' && location[n + 1] == '/' ? n : 0;
}

enum lc storage_open(const char *location, struct storage *out, struct err *err)
{
    static const struct storage_ops *const all[] = {&storage_local};
    size_t n = scheme_length(location);

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (n == 0 || (strlen(all[i]->scheme) == n && strncasecmp(location, all[i]->scheme, n) == 0)) {
            *out = (struct storage){all[i], NULL};
            return LC_OK;
        }
    err_set(err, LC_UNSUPPORTED, "cannot open '%s': the scheme '%.*s' is not supported", location, (int)n,
            location);
    return err_hint(err, "use a path on this machine, or copy the files here first");
}

enum lc storage_read(const struct ctx *ctx, const struct storage *s, const char *path, struct buf *out,
                     struct err *err)
{
    return storage_read_range(ctx, s, path, 0, INT64_MAX, out, err);
}

enum lc storage_read_range(const struct ctx *ctx, const struct storage *s, const char *path, int64_t offset,
                           int64_t len, struct buf *out, struct err *err)
{
    TRY(ctx_check(ctx, err));
    return s->ops->read(ctx, s->self, path, offset, len, out, err);
}

enum lc storage_list(const struct ctx *ctx, const struct storage *s, const char *path,
                     struct storage_list *out, struct err *err)
{
    *out = (struct storage_list){0};
    TRY(ctx_check(ctx, err));
    return s->ops->list(ctx, s->self, path, out, err);
}

void storage_list_release(struct storage_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        mem_free(l->entries[i].name);
    mem_free(l->entries);
    *l = (struct storage_list){0};
}

enum lc storage_put(const struct ctx *ctx, const struct storage *s, const char *path, const void *data,
                    size_t len, struct err *err)
{
    TRY(ctx_check(ctx, err));
    return s->ops->put(ctx, s->self, path, data, len, err);
}

enum lc storage_put_if_absent(const struct ctx *ctx, const struct storage *s, const char *path,
                              const void *data, size_t len, struct err *err)
{
    TRY(ctx_check(ctx, err));
    return s->ops->put_if_absent(ctx, s->self, path, data, len, err);
}

enum lc storage_remove(const struct ctx *ctx, const struct storage *s, const char *path, struct err *err)
{
    TRY(ctx_check(ctx, err));
    return s->ops->remove(ctx, s->self, path, err);
}

enum lc storage_remove_tree(const struct ctx *ctx, const struct storage *s, const char *path, struct err *err)
{
    TRY(ctx_check(ctx, err));
    return s->ops->remove_tree(ctx, s->self, path, err);
}

char *storage_local_path(const struct storage *s, const char *path)
{
    return s->ops->local_path ? s->ops->local_path(s->self, path) : NULL;
}

#include "runtime/dataframe/ipc.h"
#include "runtime/base/mem.h"
#include "runtime/base/plugin.h"

/* The plugin's functions: an address, written with one value by the first calls. A server sends thousands of batches, and each
 * would look for the plugin's file. */
static const struct ipc_ops *loaded;

static enum lc need(const struct ipc_ops **out, struct err *err)
{
    *out = __atomic_load_n(&loaded, __ATOMIC_ACQUIRE);
    if (*out)
        return LC_OK;
    *out = plugin_symbol("arrow_ipc", "lacus_arrow_ipc", err);
    if (!*out)
        return err ? err->code : LC_MISSING;
    if ((*out)->version != IPC_VERSION) {
        err_set(err, LC_MISSING, "the plugin 'arrow_ipc' is of version %d, this program needs %d",
                (*out)->version, IPC_VERSION);
        return err_hint(err, "run 'make' to build both from the same sources");
    }
    __atomic_store_n(&loaded, *out, __ATOMIC_RELEASE);
    return LC_OK;
}

enum lc ipc_read(const void *data, size_t len, struct ArrowSchema *schema, struct ipc_batches *out,
                 struct err *err)
{
    const struct ipc_ops *ops;

    TRY(need(&ops, err));
    return ops->read(data, len, schema, out, err);
}

enum lc ipc_write(const struct ArrowSchema *schema, const struct ArrowArray *const *batches, size_t n,
                  const struct ipc_parts *to, struct err *err)
{
    const struct ipc_ops *ops;

    TRY(need(&ops, err));
    return ops->write(schema, batches, n, to, err);
}

enum lc ipc_save(const struct ctx *ctx, struct ArrowArrayStream *rows, const char *path, struct err *err)
{
    const struct ipc_ops *ops;

    TRY(need(&ops, err));
    return ops->save(ctx, rows, path, err);
}

enum lc ipc_open(const char *path, struct ArrowArrayStream *out, struct err *err)
{
    const struct ipc_ops *ops;

    TRY(need(&ops, err));
    return ops->open(path, out, err);
}

void ipc_batches_release(struct ipc_batches *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->items[i].release)
            b->items[i].release(&b->items[i]);
    mem_free(b->items);
    *b = (struct ipc_batches){0};
}

/* ipc.h: Arrow's stream format, in and out: what a Spark server sends and gets, and what Python reads and writes.
 *
 * What      a stream is a schema, batches and an end: in memory (one message of a Spark server holds one whole stream), or a
 *           file. What comes out are Arrow C structs, every buffer checked. ipc_read makes Spark's two kinds of intervals
 *           Arrow's one of months, days and nanoseconds, as the embedded engine gives them. The plugin `arrow_ipc` does
 *           it, opened on first use.
 * Ownership outputs are the caller's to release; inputs are borrowed during the call.
 * Units     bytes.
 * Errors    LC_DATA with what is wrong; LC_IO of a file; LC_NOMEM; LC_MISSING when the plugin is not there; those of the
 *           stream that is saved, and of its ctx.
 * Threads   any.
 *
 * Example:
 *     struct ArrowSchema schema;
 *     struct ipc_batches batches;
 *     if (ipc_read(data, len, &schema, &batches, &err) == LC_OK)
 *         ipc_batches_release(&batches);
 */
#ifndef LACUS_DATAFRAME_IPC_H
#define LACUS_DATAFRAME_IPC_H
#include "runtime/base/arrow.h"
#include "runtime/base/buf.h"
#include "runtime/base/ctx.h"

struct ipc_batches {
    struct ArrowArray *items; /* owned; one that was moved away has release NULL */
    size_t n, next;
};

enum lc ipc_read(const void *data, size_t len, struct ArrowSchema *schema, struct ipc_batches *out,
                 struct err *err) MUST_CHECK;
void ipc_batches_release(struct ipc_batches *b);
/* Where streams go that n batches are written as: one when they have at most `most` bytes, else several of about that size,
 * made one at a time. Large batches are split. */
struct ipc_parts {
    int64_t most;                                                              /* > 0 */
    enum lc (*put)(void *self, const void *data, size_t len, struct err *err); /* a whole stream, borrowed */
    void *self;
};
enum lc ipc_write(const struct ArrowSchema *schema, const struct ArrowArray *const *batches, size_t n,
                  const struct ipc_parts *to, struct err *err) MUST_CHECK;
/* Reads rows to their end, one batch at a time, into the file, which is gone when that fails. */
enum lc ipc_save(const struct ctx *ctx, struct ArrowArrayStream *rows, const char *path,
                 struct err *err) MUST_CHECK;
/* The file's batches, read one at a time. */
enum lc ipc_open(const char *path, struct ArrowArrayStream *out, struct err *err) MUST_CHECK;

/* The rows once more, batch by batch, in memory of our own and every buffer checked: what a stranger gives may end with the library
 * that it came from. Takes rows over, also when it fails. */
enum lc ipc_copy(struct ArrowArrayStream *rows, struct ArrowArrayStream *out, struct err *err) MUST_CHECK;

/* ---- what the plugin gives ---- */
enum { IPC_VERSION = 2 };
struct ipc_ops {
    int version; /* IPC_VERSION */
    enum lc (*read)(const void *data, size_t len, struct ArrowSchema *schema, struct ipc_batches *out,
                    struct err *err);
    enum lc (*write)(const struct ArrowSchema *schema, const struct ArrowArray *const *batches, size_t n,
                     const struct ipc_parts *to, struct err *err);
    enum lc (*save)(const struct ctx *ctx, struct ArrowArrayStream *rows, const char *path, struct err *err);
    enum lc (*open)(const char *path, struct ArrowArrayStream *out, struct err *err);
};
extern const struct ipc_ops lacus_arrow_ipc; /* of the plugin: the program finds it by its name */
#endif

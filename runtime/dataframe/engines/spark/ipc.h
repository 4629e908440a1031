/* ipc.h: Arrow's stream format, in and out.
 *
 * What      one message of a Spark server holds one whole stream: schema, batches, end. What comes out are Arrow C structs,
 *           every buffer checked; Spark's two kinds of intervals become Arrow's one of months, days and nanoseconds, as the
 *           embedded engine gives them.
 * Ownership outputs are the caller's to release; inputs are borrowed during the call.
 * Units     bytes.
 * Errors    LC_DATA with what is wrong; LC_NOMEM.
 * Threads   any.
 *
 * Example:
 *     struct ArrowSchema schema;
 *     struct ipc_batches batches;
 *     if (ipc_read(data, len, &schema, &batches, &err) == LC_OK)
 *         ipc_batches_release(&batches);
 */
#ifndef LACUS_DATAFRAME_ENGINES_SPARK_IPC_H
#define LACUS_DATAFRAME_ENGINES_SPARK_IPC_H
#include "runtime/base/arrow.h"
#include "runtime/base/buf.h"

struct ipc_batches {
    struct ArrowArray *items; /* owned; one that was moved away has release NULL */
    size_t n, next;
};

enum lc ipc_read(const void *data, size_t len, struct ArrowSchema *schema, struct ipc_batches *out,
                 struct err *err) MUST_CHECK;
void ipc_batches_release(struct ipc_batches *b);
/* schema, then n batches, then the end. */
enum lc ipc_write(const struct ArrowSchema *schema, const struct ArrowArray *const *batches, size_t n,
                  struct buf *out, struct err *err) MUST_CHECK;
#endif

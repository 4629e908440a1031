/* slice.h: some rows of an Arrow batch, copied.
 *
 * Ownership the output is the caller's to release.
 * Units     rows; bytes.
 * Errors    ENOMEM; ENOTSUP of layouts that no engine gives (unions, views).
 * Threads   any.
 *
 * Example:
 *     if (slice_rows(batch, 0, 100, part) == 0)
 *         bytes -= slice_bytes(batch);
 */
#ifndef LACUS_DATAFRAME_IPC_SLICE_H
#define LACUS_DATAFRAME_IPC_SLICE_H
#include <stdint.h>

struct ArrowArray; /* nanoarrow's */
struct ArrowArrayView;

int slice_rows(const struct ArrowArrayView *batch, int64_t from, int64_t n, struct ArrowArray *out);
int64_t slice_bytes(const struct ArrowArrayView *batch); /* of all its buffers */
#endif

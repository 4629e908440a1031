/* messages.h: Arrow's stream format as an Arrow C stream, message by message.
 *
 * What      the bytes come out of memory or a file whose length is known, and no message gets memory for more than can still
 *           come: what it says of itself is measured first. Batches whose columns are packed are refused.
 * Ownership the stream borrows data until it is released, and takes f over when messages_stream gives 0.
 * Units     bytes.
 * Errors    ENOMEM; those of the stream are EINVAL, EIO and ENOMEM, the first one comes again.
 * Threads   one at a time; batches may be released by any.
 *
 * Example:
 *     struct ArrowArrayStream stream;
 *     if (messages_stream(&(struct message_bytes){.data = data, .left = (int64_t)len}, &stream) == 0)
 *         stream.release(&stream);
 */
#ifndef LACUS_DATAFRAME_IPC_MESSAGES_H
#define LACUS_DATAFRAME_IPC_MESSAGES_H
#include "runtime/base/arrow.h"
#include <stdio.h>

struct message_bytes {
    const unsigned char *data; /* NULL: out of the file */
    FILE *f;
    int64_t left;
};

int messages_stream(const struct message_bytes *from, struct ArrowArrayStream *out);
#endif

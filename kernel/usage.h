/* usage.h: what a kernel and its children use, for usage_request.
 *
 * What      the content of usage_reply: host name, process id, processor time of the kernel and its children in percent
 *           of one core since the last question (the first: since the start), memory as proportional set size, and
 *           the host's memory and processors.
 * Ownership struct usage is plain data: what the last question saw. Zero-filled at first.
 * Units     bytes, percent.
 * Errors    none: what /proc does not tell is left out.
 * Threads   one at a time.
 *
 * Example:
 *     struct usage u = {0};
 *     struct buf out = BUF_INIT(4096);
 *     usage_reply(&u, &out);
 *     buf_release(&out);
 */
#ifndef LACUS_KERNEL_USAGE_H
#define LACUS_KERNEL_USAGE_H
#include "runtime/base/buf.h"
#include <stdint.h>

struct usage {
    int64_t at_ns;
    uint64_t ticks, host_busy, host_all;
};

bool usage_reply(struct usage *u, struct buf *out);
#endif

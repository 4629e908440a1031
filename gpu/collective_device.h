/* collective_device.h: the collective of ranks whose memory may be a device's: NCCL where it can be, else the host's.
 *
 * What      all ranks of a run together choose, over a collective of the host's memory that they have already (the wire):
 *           NCCL where each is on a GPU of its own and has the library in one and the same version; else the wire, through
 *           the host's memory where the backend's cannot be read by the processor. The unique id that NCCL wants goes over
 *           the wire, and so do numbers of the host and the news of a rank that is lost.
 * Ownership the wire and the backend are borrowed and outlive the collective.
 * Units     bytes.
 * Errors    those of the wire and the backend. No NCCL is none: `said` tells what was chosen and why.
 * Threads   as collective.h.
 *
 * Example:
 *     struct collective ring, c; // ring: of ring_join
 *     struct backend *b; // of backend_open
 *     char said[COLLECTIVE_SAID];
 *     if (collective_for_device(&ctx, &ring, b, NULL, &c, said, &err) == LC_OK)
 *         collective_close(&c);
 */
#ifndef LACUS_GPU_COLLECTIVE_DEVICE_H
#define LACUS_GPU_COLLECTIVE_DEVICE_H
#include "gpu/backend.h"
#include "gpu/collective.h"

enum { COLLECTIVE_SAID = 400 };

/* library: as collective_nccl.h. said: one line for people; "" when there was nothing to choose. */
enum lc collective_for_device(const struct ctx *ctx, const struct collective *wire, struct backend *backend,
                              const char *library, struct collective *out, char said[COLLECTIVE_SAID],
                              struct err *err) MUST_CHECK;
#endif

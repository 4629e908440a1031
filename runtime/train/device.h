/* device.h: the device that a training on this machine takes, and that a plan is made for.
 *
 * What      opens what LACUS_DEVICE names; else the GPU where the plugin is built and one works, else the processor.
 * Ownership backend_close by the caller.
 * Units     threads: of the processor, 0: chosen here; beside: how many ranks of this machine come before.
 * Errors    those of backend_open.
 * Threads   any.
 *
 * Example:
 *     struct backend *b;
 *     if (train_device_open(0, 0, &b, &err) == LC_OK)
 *         backend_close(b);
 */
#ifndef LACUS_TRAIN_DEVICE_H
#define LACUS_TRAIN_DEVICE_H
#include "gpu/backend.h"

enum lc train_device_open(int threads, int beside, struct backend **out, struct err *err) MUST_CHECK;
#endif

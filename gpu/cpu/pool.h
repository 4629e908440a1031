/* pool.h: threads that share the tasks of one operation.
 *
 * What      pool_run calls fn for ranges of [0, n), each a multiple of `grain` (but the last), from the
 *           calling thread and the pool's. Threads that have nothing to do look for more for 50 us, which is
 *           less than a sleep and a wake cost, and then sleep, so that two programs on one machine do not
 *           slow each other. Nobody waits for a thread that has not begun.
 * Ownership pool_new → pool_free; each thread has scratch memory of its own.
 * Units     scratch in floats.
 * Errors    pool_new LC_NOMEM, LC_RUNTIME (no thread could be started); pool_scratch LC_NOMEM.
 * Threads   one caller at a time.
 * Results   which thread runs a range is left to chance: fn writes only what belongs to its range.
 *
 * Example:
 *     pool_run(p, 1000, 100, double_them, numbers);
 */
#ifndef LACUS_GPU_CPU_POOL_H
#define LACUS_GPU_CPU_POOL_H
#include "runtime/base/err.h"
#include <stddef.h>
#include <stdint.h>

typedef void pool_fn(const void *arg, int64_t from, int64_t to, float *scratch);

struct pool;
enum lc pool_new(int threads, struct pool **out,
                 struct err *err) MUST_CHECK; /* 0: as many as there are cores */
void pool_free(struct pool *p);               /* NULL is fine */
int pool_threads(const struct pool *p);
/* At least this much scratch for each thread from now on, aligned to 64 bytes. */
enum lc pool_scratch(struct pool *p, size_t floats, struct err *err) MUST_CHECK;
void pool_run(struct pool *p, int64_t n, int64_t grain, pool_fn *fn, const void *arg);
#endif

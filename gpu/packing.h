/* packing.h: which sequences share a row of a batch.
 *
 * What      best-fit decreasing: sequences by falling length, each into the fullest bin that still has room for it
 *           (at most 11/9 of the least number of bins, Johnson 1973). Attention never crosses the border of a
 *           sequence here, so that packing changes what a batch holds and nothing else.
 * Ownership order and first belong to the caller, n and n + 1 long.
 * Units     tokens.
 * Errors    LC_NOMEM; LC_ARG: a length is not between 1 and the capacity.
 * Threads   any.
 *
 * Example:
 *     const int64_t lengths[] = {3, 5, 2};
 *     int64_t order[3], first[4], bins;
 *     if (packing_best_fit(lengths, 3, 8, order, first, &bins, &err) == LC_OK)
 *         printf("%lld\n", (long long)bins);
 */
#ifndef LACUS_GPU_PACKING_H
#define LACUS_GPU_PACKING_H
#include "runtime/base/err.h"
#include <stdint.h>

/* Bin b holds the sequences order[first[b]] to order[first[b + 1] - 1]. Equal input gives equal bins. */
enum lc packing_best_fit(const int64_t *lengths, int64_t n, int64_t capacity, int64_t *order, int64_t *first,
                         int64_t *bins, struct err *err) MUST_CHECK;
#endif

/* permutation.h: a permutation by seed, the one that numpy's default_rng(seed).permutation(n) gives.
 *
 * What      PCG64 seeded by SeedSequence, and numpy's shuffle: shuffles and splits of a dataset equal those of Hugging
 *           Face's datasets.
 * Ownership the caller's array.
 * Units     positions from 0; n < 2^32.
 * Errors    none.
 * Threads   any.
 * Source    numpy/random: bit_generator.pyx, pcg64.h, distributions.c.
 *
 * Example:
 *     int64_t order[5];
 *     permutation_make(42, 5, order);
 */
#ifndef LACUS_TRAIN_PERMUTATION_H
#define LACUS_TRAIN_PERMUTATION_H
#include <stddef.h>
#include <stdint.h>

void permutation_make(uint64_t seed, size_t n, int64_t *out);
#endif

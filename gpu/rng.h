/* rng.h: the random numbers of the engine.
 *
 * What      MT19937 (the generator behind torch's CPU randperm), a small generator for weights and sampling
 *           (xoshiro256**, seeded by splitmix64), and a hash of (seed, index) for dropout masks, so that
 *           forward, backward and every backend draw the same mask without storing it.
 * Ownership plain structs.
 * Units     uniform in [0, 1).
 * Errors    none.
 * Threads   one per struct.
 * Source    Matsumoto and Nishimura 1998 (MT19937); Blackman and Vigna 2018 (xoshiro256**).
 *
 * Example:
 *     struct rng r;
 *     rng_seed(&r, 42);
 *     double u = rng_uniform(&r);
 */
#ifndef LACUS_GPU_RNG_H
#define LACUS_GPU_RNG_H
#include <stdint.h>

struct rng {
    uint64_t s[4];
};
void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
double rng_uniform(struct rng *r);
double rng_normal(struct rng *r); /* mean 0, deviation 1 (Box and Muller, one of the pair) */

struct mt19937 {
    uint32_t state[624];
    int index;
};
void mt19937_seed(struct mt19937 *m, uint32_t seed);
uint32_t mt19937_next(struct mt19937 *m);

/* Mixes two numbers into a seed: for one dropout mask per step and layer. */
uint64_t rng_mix(uint64_t a, uint64_t b);

/* 32 random bits for element i. A backend that writes its own must give the same. */
static inline uint32_t rng_hash(uint64_t seed, uint64_t i)
{
    uint32_t x = (uint32_t)i * 0x9e3779b9u + (uint32_t)seed;

    x ^= (uint32_t)(seed >> 32) ^ (uint32_t)(i >> 32) * 0x85ebca6bu;
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

/* An element is kept when rng_hash is at least this. */
static inline uint32_t rng_threshold(float p)
{
    double t = (double)p * 4294967296.0;

    return t >= 4294967295.0 ? UINT32_MAX : (uint32_t)t;
}
#endif

#include "runtime/train/permutation.h"
#include <stdbool.h>

enum { POOL = 4 };
__extension__ typedef unsigned __int128 wide;

/* ---- SeedSequence ---------------------------------------------------------------------------------------- */

static uint32_t hash_mix(uint32_t value, uint32_t *constant)
{
    value ^= *constant;
    *constant *= 0x931e8875U;
    value *= *constant;
    return value ^ value >> 16;
}

static uint32_t mix(uint32_t x, uint32_t y)
{
    uint32_t r = 0xca01f9ddU * x - 0x4973f715U * y;

    return r ^ r >> 16;
}

static void seed_pool(uint64_t seed, uint32_t pool[POOL])
{
    uint32_t constant = 0x43b0d7e5U;

    for (int i = 0; i < POOL; i++)
        pool[i] = hash_mix(i == 0 ? (uint32_t)seed : i == 1 ? (uint32_t)(seed >> 32) : 0, &constant);
    for (int from = 0; from < POOL; from++)
        for (int to = 0; to < POOL; to++)
            if (from != to)
                pool[to] = mix(pool[to], hash_mix(pool[from], &constant));
}

/* The next 64 bits of the state that a pool gives: two words, the lower first. */
static uint64_t seed_word(const uint32_t pool[POOL], int word, uint32_t *constant)
{
    uint64_t out = 0;

    for (int half = 0; half < 2; half++) {
        uint32_t value = pool[(2 * word + half) % POOL] ^ *constant;
        *constant *= 0x58f38dedU;
        value *= *constant;
        out |= (uint64_t)(value ^ value >> 16) << 32 * half;
    }
    return out;
}

/* ---- PCG64 ----------------------------------------------------------------------------------------------- */

struct pcg {
    wide state, increment;
    uint32_t kept; /* the upper half of the last 64 bits */
    bool has_kept;
};

static void step(struct pcg *p)
{
    const wide multiplier = (wide)0x2360ed051fc65da4ULL << 64 | 0x4385df649fccf645ULL;

    p->state = p->state * multiplier + p->increment;
}

static void seed_pcg(struct pcg *p, uint64_t seed)
{
    uint32_t pool[POOL], constant = 0x8b51f9ddU;
    uint64_t w[4];

    seed_pool(seed, pool);
    for (int i = 0; i < 4; i++)
        w[i] = seed_word(pool, i, &constant);
    *p = (struct pcg){.increment = ((wide)w[2] << 64 | w[3]) << 1 | 1};
    step(p);
    p->state += (wide)w[0] << 64 | w[1];
    step(p);
}

static uint32_t next32(struct pcg *p)
{
    uint64_t x;
    unsigned turn;

    if (p->has_kept) {
        p->has_kept = false;
        return p->kept;
    }
    step(p);
    x = (uint64_t)(p->state >> 64) ^ (uint64_t)p->state;
    turn = (unsigned)(p->state >> 122);
    x = x >> turn | x << (-turn & 63);
    p->kept = (uint32_t)(x >> 32);
    p->has_kept = true;
    return (uint32_t)x;
}

/* 0 … most, each as likely: numpy's shuffle throws away what lies above. */
static uint32_t below(struct pcg *p, uint32_t most)
{
    uint32_t mask = most, value;

    for (int shift = 1; shift < 32; shift *= 2)
        mask |= mask >> shift;
    do
        value = next32(p) & mask;
    while (value > most);
    return value;
}

void permutation_make(uint64_t seed, size_t n, int64_t *out)
{
    struct pcg p;

    seed_pcg(&p, seed);
    for (size_t i = 0; i < n; i++)
        out[i] = (int64_t)i;
    for (size_t i = n; i-- > 1;) {
        size_t j = below(&p, (uint32_t)i);
        int64_t kept = out[i];
        out[i] = out[j];
        out[j] = kept;
    }
}

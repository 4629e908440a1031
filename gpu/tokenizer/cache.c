/* cache.c: words and their ids. Text repeats its words: most are merged once. */
#include "gpu/tokenizer/tokenizer_int.h"
#include <stdatomic.h>
#include <string.h>

enum { SLOTS = 1 << 17, WORD_BYTES_MAX = 64 };

/* An entry never changes and a slot keeps its first one, so that readers need no lock and memory has a bound. */
struct word_cache {
    _Atomic(struct cached_word *) slots[SLOTS];
};

struct word_cache *word_cache_new(void)
{
    return mem_zalloc(sizeof(struct word_cache));
}

void word_cache_free(struct word_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        mem_free(atomic_load_explicit(&c->slots[i], memory_order_relaxed));
    mem_free(c);
}

static size_t slot_of(const char *text, size_t len)
{
    uint64_t h = len * 0x9e3779b97f4a7c15u, part;

    for (; len >= 8; text += 8, len -= 8) {
        memcpy(&part, text, 8);
        h = (h ^ part) * 0xbf58476d1ce4e5b9u;
        h ^= h >> 32;
    }
    part = 0;
    memcpy(&part, text, len);
    h = (h ^ part) * 0xbf58476d1ce4e5b9u;
    return (size_t)(h >> 40) % SLOTS;
}

static bool same(const struct cached_word *e, const char *text, size_t len)
{
    return e->len == len && memcmp(e->ids + e->n, text, len) == 0;
}

const struct cached_word *word_cache_find(const struct word_cache *c, const char *text, size_t len)
{
    size_t at;

    if (!c || len > WORD_BYTES_MAX)
        return NULL;
    at = slot_of(text, len);
    for (size_t i = 0; i < 2; i++) {
        const struct cached_word *e = atomic_load_explicit(&c->slots[at ^ i], memory_order_acquire);

        if (e && same(e, text, len))
            return e;
    }
    return NULL;
}

void word_cache_put(struct word_cache *c, const char *text, size_t len, const int32_t *ids, size_t n)
{
    size_t at;
    struct cached_word *e;

    if (!c || len > WORD_BYTES_MAX || n > WORD_BYTES_MAX)
        return;
    at = slot_of(text, len);
    if (atomic_load_explicit(&c->slots[at], memory_order_relaxed))
        at ^= 1;
    if (atomic_load_explicit(&c->slots[at], memory_order_relaxed) ||
        (e = mem_alloc(sizeof *e + n * sizeof *ids + len)) == NULL)
        return;
    e->len = (uint16_t)len;
    e->n = (uint16_t)n;
    memcpy(e->ids, ids, n * sizeof *ids);
    memcpy(e->ids + n, text, len);
    if (!atomic_compare_exchange_strong_explicit(&c->slots[at], &(struct cached_word *){NULL}, e,
                                                 memory_order_release, memory_order_relaxed))
        mem_free(e);
}

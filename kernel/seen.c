#include "kernel/seen.h"
#include "runtime/base/mem.h"
#include <stdint.h>
#include <string.h>

static const unsigned char nothing[SEEN_BYTES];

/* The place of a digest, or the free one where it belongs. A digest is uniform: its first bytes are its hash.
 */
static unsigned char *place(const struct seen_table *t, const unsigned char *digest)
{
    uint64_t hash;

    memcpy(&hash, digest, sizeof hash);
    for (size_t i = (size_t)hash & (t->cap - 1);; i = (i + 1) & (t->cap - 1))
        if (memcmp(t->slot[i], digest, SEEN_BYTES) == 0 || memcmp(t->slot[i], nothing, SEEN_BYTES) == 0)
            return t->slot[i];
}

static bool has(const struct seen_table *t, const unsigned char *digest)
{
    return t->cap > 0 && memcmp(place(t, digest), digest, SEEN_BYTES) == 0;
}

static void table_release(struct seen_table *t)
{
    mem_free(t->slot);
    *t = (struct seen_table){0};
}

static bool grow(struct seen_table *t)
{
    struct seen_table bigger = {.cap = t->cap ? t->cap * 2 : 64, .n = t->n};

    bigger.slot = mem_calloc(bigger.cap, sizeof *bigger.slot);
    if (!bigger.slot)
        return false;
    for (size_t i = 0; i < t->cap; i++)
        if (memcmp(t->slot[i], nothing, SEEN_BYTES) != 0)
            memcpy(place(&bigger, t->slot[i]), t->slot[i], SEEN_BYTES);
    table_release(t);
    *t = bigger;
    return true;
}

bool seen_add(struct seen *s, const unsigned char digest[32])
{
    if (has(&s->now, digest) || has(&s->before, digest))
        return true;
    if (s->now.n >= SEEN_KEPT || (s->now.n * 2 >= s->now.cap && !grow(&s->now))) {
        table_release(&s->before);
        s->before = s->now;
        s->now = (struct seen_table){0};
        if (!grow(&s->now))
            return false;
    }
    memcpy(place(&s->now, digest), digest, SEEN_BYTES);
    s->now.n++;
    return false;
}

void seen_release(struct seen *s)
{
    table_release(&s->now);
    table_release(&s->before);
}

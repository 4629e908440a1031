#include "runtime/base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local long fail_countdown = -1; /* tests only: -1 never, 0 now and from now on */

void mem_fail_after(long n)
{
    fail_countdown = n;
}

void mem_fail_never(void)
{
    fail_countdown = -1;
}

static bool must_fail(void)
{
    if (__builtin_expect(fail_countdown < 0, 1))
        return false;
    if (fail_countdown == 0)
        return true;
    fail_countdown--;
    return false;
}

void *mem_alloc(size_t size)
{
    return must_fail() ? NULL : malloc(size ? size : 1);
}

void *mem_zalloc(size_t size)
{
    return must_fail() ? NULL : calloc(1, size ? size : 1);
}

void *mem_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : calloc(n ? n : 1, size ? size : 1);
}

void *mem_realloc(void *p, size_t size)
{
    return must_fail() ? NULL : realloc(p, size ? size : 1);
}

void *mem_reallocn(void *p, size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    return mem_realloc(p, bytes);
}

char *mem_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = mem_alloc(len + 1);

    if (!copy)
        return NULL;
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

/* a NULL: of its own, mem_free. */
static PRINTF_LIKE(2, 0) char *format(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    int n;
    char *text;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    text = n < 0 ? NULL : a ? arena_alloc(a, (size_t)n + 1) : mem_alloc((size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, fmt, ap);
    return text;
}

char *mem_printf(const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = format(NULL, fmt, ap);
    va_end(ap);
    return text;
}

void mem_free(void *p)
{
    free(p);
}

/* ---- arenas ---- */
enum { ALIGN = 16, CHUNK = 4096 };

struct chunk {
    struct chunk *next;
    size_t used, size; /* bytes behind this header */
};

struct cleanup {
    struct cleanup *next;
    void (*fn)(void *);
    void *arg;
};

struct arena {
    struct chunk *chunks; /* owned; the first is the one being filled */
    struct cleanup *cleanups;
    size_t total, limit;
};

static size_t round_up(size_t n)
{
    return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

struct arena *arena_new(size_t limit)
{
    struct arena *a = mem_zalloc(sizeof *a);

    if (a)
        a->limit = limit;
    return a;
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    for (struct cleanup *c = a->cleanups; c; c = c->next)
        c->fn(c->arg);
    for (struct chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        mem_free(c);
    }
    mem_free(a);
}

static bool arena_grow(struct arena *a, size_t need)
{
    size_t head = round_up(sizeof(struct chunk)), size = need > CHUNK ? need : CHUNK;
    struct chunk *c;

    if (size > SIZE_MAX - head || (a->limit && a->total + size > a->limit))
        return false;
    c = mem_alloc(head + size);
    if (!c)
        return false;
    c->used = 0;
    c->size = size;
    c->next = a->chunks;
    a->chunks = c;
    a->total += size;
    return true;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t need;
    void *p;

    if (size > SIZE_MAX - ALIGN)
        return NULL;
    need = round_up(size ? size : 1);
    if ((!a->chunks || a->chunks->size - a->chunks->used < need) && !arena_grow(a, need))
        return NULL;
    p = (char *)a->chunks + round_up(sizeof(struct chunk)) + a->chunks->used;
    a->chunks->used += need;
    return p;
}

void *arena_zalloc(struct arena *a, size_t size)
{
    void *p = arena_alloc(a, size);

    return p ? memset(p, 0, size) : NULL;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = arena_alloc(a, len + 1);

    if (!copy)
        return NULL;
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = format(a, fmt, ap);
    va_end(ap);
    return text;
}

bool arena_on_free(struct arena *a, void (*fn)(void *), void *arg)
{
    struct cleanup *c = arena_alloc(a, sizeof *c);

    if (!c)
        return false;
    *c = (struct cleanup){.next = a->cleanups, .fn = fn, .arg = arg};
    a->cleanups = c;
    return true;
}

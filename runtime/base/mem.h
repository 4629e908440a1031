/* mem.h: the one way lacus asks for memory, so that tests can fail the n-th request.
 *
 * What      malloc, realloc, free and strdup behind one hook, and arenas: memory that is freed all at once.
 * Ownership mem_* blocks are freed with mem_free (never free). Arena blocks are never freed singly;
 *           arena_free ends them all.
 * Units     bytes. Blocks are aligned as malloc aligns them; arena blocks to 16.
 * Errors    NULL when there is no memory; n * size overflow gives NULL too.
 * Threads   mem_*: any. One arena: one thread at a time. mem_fail_after: tests only, per thread.
 *
 * Example:
 *     struct arena *a = arena_new(0);
 *     char *name = a ? arena_strdup(a, "lacus") : NULL;
 *     arena_free(a);
 */
#ifndef LACUS_BASE_MEM_H
#define LACUS_BASE_MEM_H
#include "runtime/base/err.h"
#include <stddef.h>

void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);
void *mem_calloc(size_t n, size_t size);
void *mem_realloc(void *p, size_t size);
void *mem_reallocn(void *p, size_t n, size_t size);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);
void mem_free(void *p);

/* Tests: the n-th request from now on this thread fails (0: the next), and every later one until
 * mem_fail_never(). */
void mem_fail_after(long n);
void mem_fail_never(void);

struct arena;
struct arena *arena_new(size_t limit); /* limit 0: none. NULL without memory */
void arena_free(struct arena *a);      /* NULL is fine */
void *arena_alloc(struct arena *a, size_t size);
void *arena_zalloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Runs fn(arg) when the arena is freed, last added first. False without memory (fn has not run). */
bool arena_on_free(struct arena *a, void (*fn)(void *), void *arg);
#endif

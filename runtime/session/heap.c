/* heap.c: what Lua's values may take, and what is done about a cell that goes on at that ceiling.
 *
 * A block that is refused makes Lua collect all garbage and ask for it once more; refused again, it is an error, which a cell
 * may catch. One that catches it and goes on does little else than collect: after a while it is ended, uncatchably. */
#include "runtime/base/fs.h"
#include "runtime/session/session_int.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HEAP_ASK = 64 << 20, HEAP_EXTRA = 8 << 20 };
/* A cell is at its ceiling when it was refused at seven eighths of it, and no collection since has freed a 64th of it. */
enum { FAILURES_MANY = 100, FAILURES_FEW = 3 };
#define CEILING_NS INT64_C(3000000000)

/* "2G", "500M", "2GB", "1.5GiB", bytes; "0" or a negative number: none. False: it is none of these. */
static bool read_limit(const char *text, size_t *limit)
{
    static const char units[] = "KMGT";
    char *end;
    double n = strtod(text, &end);
    const char *unit = end > text && *end ? strchr(units, toupper((unsigned char)*end)) : NULL;

    if (end == text || n != n)
        return false;
    for (const char *u = units; unit && u <= unit; u++)
        n *= 1024;
    end += unit ? 1 : 0;
    if (unit && (*end == 'i' || *end == 'I'))
        end++;
    if (*end == 'B' || *end == 'b')
        end++;
    *limit = n >= 1 && n < 1e18 ? (size_t)n : SIZE_MAX;
    return *end == '\0';
}

/* What LACUS_MEMORY_LIMIT says, else three quarters of what the machine or its cgroup has. */
static size_t memory_limit(void)
{
    const char *text = getenv("LACUS_MEMORY_LIMIT");
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t limit = pages > 0 && page > 0 ? (size_t)pages * (size_t)page / 4 * 3 : SIZE_MAX, given;
    struct buf cgroup = BUF_INIT(64);
    unsigned long long max;

    if (text && *text && read_limit(text, &given))
        return given;
    if (fs_read("/sys/fs/cgroup/memory.max", &cgroup, NULL) == LC_OK &&
        sscanf(buf_str(&cgroup), "%llu", &max) == 1 && max / 4 * 3 < limit)
        limit = (size_t)(max / 4 * 3);
    buf_release(&cgroup);
    return limit;
}

enum lc session_limit_memory(struct session *s, const char *text, struct err *err)
{
    size_t limit = 0; /* asked for when it matters */

    if (*text && !read_limit(text, &limit)) {
        err_set(err, LC_ARG, "'%s' is no amount of memory", text);
        err_hint(err, "as in 500M or 2GB; 0 is no limit");
        return LC_ARG;
    }
    if (limit && limit < s->heap.used + HEAP_EXTRA) {
        err_set(err, LC_ARG, "a limit of %zu MB is too low: Lua values take %zu MB now", limit >> 20,
                s->heap.used >> 20);
        err_hint(err, "free some, or allow more");
        return LC_ARG;
    }
    s->heap.limit = limit;
    s->heap.room = 0;
    return LC_OK;
}

void heap_open(struct session *s)
{
    if (getenv("LACUS_MEMORY_LIMIT"))
        s->heap.limit = memory_limit();
}

/* ---- at the ceiling ---- */
static int64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void heap_forget(struct heap *h)
{
    h->over = h->relaxed = h->ended = false;
    h->ceiling = (struct ceiling){0};
}

static bool collects_most(const struct ceiling *c, int64_t now)
{
    return c->failures >= FAILURES_FEW && c->collected > (now - c->since) / 2;
}

/* The block was refused, and again after a collection. */
static void note_failure(struct session *s, int64_t now)
{
    struct heap *h = &s->heap;
    struct ceiling *c = &h->ceiling;

    if (h->used < h->limit / 8 * 7 || h->relaxed || h->ended)
        return;
    if (c->failures++ == 0)
        c->since = now;
    if (now - c->since < CEILING_NS || (c->failures < FAILURES_MANY && !collects_most(c, now)))
        return;
    h->ended = true;
    session_strike(s);
}

/* The first refusal of a block begins a collection, its second comes after it. */
static void note_refusal(struct session *s, const void *p, size_t size)
{
    struct ceiling *c = &s->heap.ceiling;
    int64_t now = cpu_ns();

    s->heap.over = true;
    if (c->block == p && c->size == size) {
        c->collected += now - c->asked;
        c->size = 0;
        note_failure(s, now);
    } else {
        c->block = p;
        c->size = size;
        c->used = s->heap.used;
        c->asked = now;
    }
}

/* A block that was refused is granted: garbage was collected. */
static void note_relief(struct heap *h)
{
    struct ceiling *c = &h->ceiling;

    c->collected += cpu_ns() - c->asked;
    c->size = 0;
    if (h->used < c->used && c->used - h->used > h->limit / 64)
        *c = (struct ceiling){0};
}

static bool allows(struct heap *h, size_t more)
{
    if (h->limit == 0) {
        if (h->used + more < HEAP_ASK)
            return true; /* not worth asking yet */
        h->limit = memory_limit();
    }
    return h->used + more <= h->limit + h->room ||
           (h->relaxed && h->used + more <= h->limit + h->room + HEAP_EXTRA);
}

void *heap_alloc(void *session, void *p, size_t old, size_t size)
{
    struct session *s = session;
    struct heap *h = &s->heap;
    size_t had = p ? old : 0;
    void *block;

    if (size == 0) {
        h->used -= had;
        mem_free(p);
        return NULL;
    }
    if (size > had && !allows(h, size - had)) {
        note_refusal(s, p, size);
        return NULL;
    }
    if (size > had && h->ceiling.size)
        note_relief(h);
    block = mem_realloc(p, size);
    if (block)
        h->used += size - had;
    return block ? block : size <= had ? p : NULL; /* Lua counts on shrinking to work */
}

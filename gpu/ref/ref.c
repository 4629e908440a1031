/* ref.c: the portable backend: plain C on one thread. It defines what the fast ones must compute. */
#include "gpu/ref/ref_int.h"
#include "runtime/base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct ref {
    size_t used, peak, limit;
};

enum { LINE = 64, LARGE = 4 << 20 };

static enum lc ref_open(const struct backend_options *o, void **state, struct err *err)
{
    struct ref *r = mem_zalloc(sizeof *r);

    if (!r)
        return err_nomem(err);
    r->limit = o->memory_limit;
    *state = r;
    return LC_OK;
}

static void ref_close(void *state)
{
    mem_free(state);
}

static void ref_describe(void *state, char *text, size_t size)
{
    (void)state;
    snprintf(text, size, "CPU, portable reference, 1 thread");
}

/* Weights are read from end to end for each token: with small pages, some percent of that are spent on looking addresses up. Only
 * asked for: where there are no huge pages, nothing changes. */
static void ask_for_huge_pages(char *p, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    size_t page = (size_t)sysconf(_SC_PAGESIZE), skip = page - (uintptr_t)p % page;

    (void)madvise(p + skip, (bytes - skip) / page * page, MADV_HUGEPAGE);
#else
    (void)p, (void)bytes;
#endif
}

/* The block is aligned by hand: the pointer that must be freed stands before it. */
static enum lc ref_alloc(void *state, size_t bytes, void **out, struct err *err)
{
    struct ref *r = state;
    char *raw, *p;

    if (r->limit && bytes > r->limit - (r->used < r->limit ? r->used : r->limit))
        return err_set(err, LC_LIMIT, "cannot allocate %zu bytes: %zu of the limit of %zu are in use", bytes,
                       r->used, r->limit);
    raw = bytes > SIZE_MAX - 2 * LINE ? NULL : mem_zalloc(bytes + LINE + sizeof raw);
    if (!raw)
        return err_nomem(err);
    p = (char *)(((uintptr_t)raw + sizeof raw + LINE - 1) & ~(uintptr_t)(LINE - 1));
    memcpy(p - sizeof raw, &raw, sizeof raw);
    if (bytes >= LARGE)
        ask_for_huge_pages(p, bytes);
    r->used += bytes;
    r->peak = r->used > r->peak ? r->used : r->peak;
    *out = p;
    return LC_OK;
}

static void ref_release(void *state, void *p, size_t bytes)
{
    struct ref *r = state;
    char *raw;

    if (!p)
        return;
    memcpy(&raw, (char *)p - sizeof raw, sizeof raw);
    mem_free(raw);
    r->used -= bytes;
}

/* What can be had without swapping: Linux's estimate, which counts the page cache; else the free pages. */
static size_t available(size_t page)
{
    FILE *f = fopen("/proc/meminfo", "re");
    char line[128];
    unsigned long long kib = 0;

    while (f && kib == 0 && fgets(line, sizeof line, f))
        if (strncmp(line, "MemAvailable:", 13) == 0)
            kib = strtoull(line + 13, NULL, 10);
    if (f)
        fclose(f);
    return kib ? (size_t)kib << 10 : page * (size_t)sysconf(_SC_AVPHYS_PAGES);
}

static void ref_memory(void *state, struct backend_memory *out)
{
    const struct ref *r = state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    out->used = r->used;
    out->peak = r->peak;
    out->total = r->limit ? r->limit : page * (size_t)sysconf(_SC_PHYS_PAGES);
    out->free = r->limit ? r->limit - r->used : available(page);
}

static enum lc ref_stream_new(void *state, struct backend_stream **out, struct err *err)
{
    (void)state;
    (void)err;
    *out = NULL; /* everything is done when a call returns: the one stream is enough */
    return LC_OK;
}

static void ref_stream_free(void *state, struct backend_stream *s)
{
    (void)state;
    (void)s;
}

static enum lc ref_sync(void *state, struct backend_stream *s, struct err *err)
{
    (void)state;
    (void)s;
    (void)err;
    return LC_OK;
}

static enum lc ref_transfer(void *state, struct backend_stream *s, void *to, const void *from, size_t bytes,
                            struct err *err)
{
    (void)state;
    (void)s;
    (void)err;
    if (bytes)
        memcpy(to, from, bytes);
    return LC_OK;
}

static void ref_copy(void *state, struct backend_stream *s, void *to, const void *from, size_t bytes)
{
    (void)state;
    (void)s;
    if (bytes)
        memmove(to, from, bytes);
}

static void ref_zero(void *state, struct backend_stream *s, void *p, size_t bytes)
{
    (void)state;
    (void)s;
    if (bytes)
        memset(p, 0, bytes);
}

static void ref_convert(void *state, struct backend_stream *s, void *to, enum dtype to_type, const void *from,
                        enum dtype from_type, int64_t n)
{
    float block[256];

    (void)state;
    (void)s;
    for (int64_t i = 0; i < n; i += 256) {
        size_t some = (size_t)(n - i < 256 ? n - i : 256);

        dtype_to_f32(block, (const char *)from + (size_t)i * dtype_size(from_type), from_type, some);
        dtype_from_f32((char *)to + (size_t)i * dtype_size(to_type), to_type, block, some);
    }
}

const struct backend_ops backend_ref = {
    .abi = BACKEND_ABI,
    .name = "ref",
    .host_visible = true,
    .open = ref_open,
    .close = ref_close,
    .describe = ref_describe,
    .alloc = ref_alloc,
    .release = ref_release,
    .memory = ref_memory,
    .stream_new = ref_stream_new,
    .stream_free = ref_stream_free,
    .sync = ref_sync,
    .upload = ref_transfer,
    .download = ref_transfer,
    .copy = ref_copy,
    .zero = ref_zero,
    .convert = ref_convert,
    .linear_forward = ref_linear_forward,
    .linear_backward = ref_linear_backward,
    .embed_forward = ref_embed_forward,
    .embed_backward = ref_embed_backward,
    .norm_forward = ref_norm_forward,
    .norm_backward = ref_norm_backward,
    .norm_apply = ref_norm_apply,
    .rope = ref_rope,
    .attention_forward = ref_attention_forward,
    .attention_backward = ref_attention_backward,
    .attention_cached = ref_attention_cached,
    .swiglu_forward = ref_swiglu_forward,
    .swiglu_backward = ref_swiglu_backward,
    .loss = ref_loss,
    .adamw = ref_adamw,
    .dropout = ref_dropout,
    .add = ref_add,
    .sum_squares = ref_sum_squares,
    .gather = ref_gather,
    .merge = ref_merge,
    .dora_factors = ref_dora_factors,
    .distill = ref_distill,
    .dora_forward = ref_dora_forward,
    .dora_backward = ref_dora_backward,
};

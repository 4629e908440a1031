#include "gpu/collective_device.h"
#include "gpu/collective_nccl.h"
#include "runtime/base/mem.h"
#include "runtime/base/sha256.h"
#include <stdio.h>
#include <string.h>

enum { PART = 4 << 20 }; /* bytes of a broadcast through the host at once */

/* ---- over the wire, through the host's memory where the processor cannot read the backend's ---- */
struct piece {
    float *device, *host; /* host: owned, kept for the next step */
    size_t bytes, room;
};

struct over_wire {
    struct backend *backend;       /* borrowed */
    const struct collective *wire; /* borrowed */
    struct piece *pieces;          /* owned: what is being summed */
    size_t n, room;
};

static enum lc next_piece(struct over_wire *s, size_t bytes, struct piece **out, struct err *err)
{
    struct piece *p;

    if (s->n == s->room) {
        struct piece *more = mem_realloc(s->pieces, (s->room + 32) * sizeof *more);

        if (!more)
            return err_nomem(err);
        memset(more + s->room, 0, 32 * sizeof *more);
        s->pieces = more;
        s->room += 32;
    }
    p = &s->pieces[s->n];
    if (p->room < bytes) {
        mem_free(p->host);
        p->host = mem_alloc(bytes);
        p->room = p->host ? bytes : 0;
    }
    *out = p;
    return p->host ? LC_OK : err_nomem(err);
}

static enum lc wire_start(void *state, void *data, int64_t n, enum collective_type type, struct err *err)
{
    struct over_wire *s = state;
    struct piece *p = NULL;
    size_t bytes = (size_t)n * collective_bytes(type);

    if (type == COLLECTIVE_F64 || s->backend->ops->host_visible)
        return collective_start(s->wire, data, n, type, err);
    TRY(next_piece(s, bytes, &p, err));
    p->device = data;
    p->bytes = bytes;
    TRY(s->backend->ops->download(s->backend->state, NULL, p->host, data, bytes, err));
    s->n++;
    return collective_start(s->wire, p->host, n, type, err);
}

static enum lc wire_wait(void *state, const struct ctx *ctx, struct err *err)
{
    struct over_wire *s = state;
    enum lc code = collective_wait(s->wire, ctx, err);

    for (size_t i = 0; i < s->n && code == LC_OK; i++)
        code = s->backend->ops->upload(s->backend->state, NULL, s->pieces[i].device, s->pieces[i].host,
                                       s->pieces[i].bytes, err);
    s->n = 0;
    return code;
}

static enum lc wire_broadcast(void *state, const struct ctx *ctx, void *data, size_t bytes, int root,
                              struct err *err)
{
    struct over_wire *s = state;
    const struct backend_ops *ops = s->backend->ops;
    char *part;
    enum lc code;

    if (ops->host_visible)
        return collective_broadcast(s->wire, ctx, data, bytes, root, err);
    part = mem_alloc(bytes < PART ? bytes : PART);
    code = part ? LC_OK : err_nomem(err);
    for (size_t at = 0; at < bytes && code == LC_OK; at += PART) {
        size_t n = bytes - at < PART ? bytes - at : PART;

        if (s->wire->rank == root)
            code = ops->download(s->backend->state, NULL, part, (char *)data + at, n, err);
        if (code == LC_OK)
            code = collective_broadcast(s->wire, ctx, part, n, root, err);
        if (code == LC_OK && s->wire->rank != root)
            code = ops->upload(s->backend->state, NULL, (char *)data + at, part, n, err);
    }
    mem_free(part);
    return code;
}

static void wire_abort(void *state, enum lc code, const char *why)
{
    collective_abort(((struct over_wire *)state)->wire, code, why);
}

static enum lc wire_check(void *state, struct err *err)
{
    return collective_check(((struct over_wire *)state)->wire, err);
}

static void wire_close(void *state)
{
    struct over_wire *s = state;

    if (s->n) { /* left in the middle of a sum: its memory is the wire's until that has failed */
        collective_abort(s->wire, LC_CANCELLED, "this rank has left");
        (void)(collective_wait(s->wire, NULL, NULL) == LC_OK);
    }
    for (size_t i = 0; i < s->room; i++)
        mem_free(s->pieces[i].host);
    mem_free(s->pieces);
    mem_free(s);
}

static enum lc use_wire(const struct collective *wire, struct backend *b, struct collective *out,
                        struct err *err)
{
    static const struct collective_ops ops = {"wire",     wire_start, wire_wait, wire_broadcast,
                                              wire_abort, wire_close, wire_check};
    struct over_wire *s = mem_zalloc(sizeof *s);

    if (!s)
        return err_nomem(err);
    *s = (struct over_wire){.backend = b, .wire = wire};
    *out = (struct collective){&ops, s, wire->rank, wire->size};
    return LC_OK;
}

/* ---- choosing ---- */
/* What each rank tells the others, as numbers that a sum leaves as they are. */
enum { OWN_GPU, OWN_VERSION, OWN_IDENTITY, OWN };

static double digest_of(const char *text)
{
    unsigned char out[SHA256_BYTES];
    struct sha256 sha;
    double x = 0;

    sha256_begin(&sha);
    sha256_add(&sha, text, strlen(text));
    sha256_end(&sha, out);
    for (int i = 0; i < 6; i++)
        x = x * 256 + out[i];
    return x;
}

static void tell(struct backend *b, const char *library, double own[OWN])
{
    char identity[64] = "";
    struct err err;
    int version = 0;

    if (!b->ops->queue || !b->ops->identity)
        return;
    b->ops->identity(b->state, identity);
    own[OWN_GPU] = 1;
    own[OWN_IDENTITY] = digest_of(identity);
    if (nccl_version(library, &version, &err) == LC_OK)
        own[OWN_VERSION] = version;
}

static const double *of(const double *all, int rank)
{
    return all + OWN * rank;
}

static bool other_than(double a, double b)
{
    return a < b || a > b;
}

/* True: each rank can use NCCL. Else why says what stands in the way. All ranks come to the same answer. */
static bool nccl_fits(const double *all, int size, char why[200])
{
    char here[24], there[24];

    for (int i = 0; i < size; i++) {
        why[0] = '\0';
        if (!(of(all, i)[OWN_GPU] > 0))
            (void)snprintf(why, 200, "rank %d is not on a GPU", i);
        else if (!(of(all, i)[OWN_VERSION] > 0))
            (void)snprintf(why, 200, "rank %d has no NCCL", i);
        else if (other_than(of(all, i)[OWN_VERSION], of(all, 0)[OWN_VERSION])) {
            nccl_version_text((int)of(all, 0)[OWN_VERSION], here);
            nccl_version_text((int)of(all, i)[OWN_VERSION], there);
            (void)snprintf(why, 200, "rank 0 has NCCL %s, rank %d has %s", here, i, there);
        }
        for (int j = 0; j < i && !why[0]; j++)
            if (!other_than(of(all, j)[OWN_IDENTITY], of(all, i)[OWN_IDENTITY]))
                (void)snprintf(why, 200, "ranks %d and %d share a GPU", j, i);
        if (why[0])
            return false;
    }
    return true;
}

static bool any_gpu(const double *all, int size)
{
    for (int i = 0; i < size; i++)
        if (of(all, i)[OWN_GPU] > 0)
            return true;
    return false;
}

/* A step that every rank takes, or none: failed ranks are counted. own_code: how it went here. */
static enum lc agree(const struct ctx *ctx, const struct collective *wire, enum lc own_code, bool *all_well,
                     struct err *err)
{
    double failed = own_code != LC_OK;

    TRY(collective_sum(wire, ctx, &failed, 1, COLLECTIVE_F64, err));
    *all_well = !(failed > 0);
    return LC_OK;
}

/* *joined false: not on every rank, and why says what is known of it here. */
static enum lc try_nccl(const struct ctx *ctx, const struct collective *wire, struct nccl_options *o,
                        struct collective *out, bool *joined, char why[200], struct err *err)
{
    struct err own = {0};
    enum lc code = wire->rank == 0 ? nccl_make_id(o->library, &o->id, &own) : LC_OK;

    TRY(agree(ctx, wire, code, joined, err));
    if (*joined) {
        TRY(collective_broadcast(wire, ctx, &o->id, sizeof o->id, 0, err));
        code = nccl_join(o, out, &own);
        TRY(agree(ctx, wire, code, joined, err));
        if (!*joined && code == LC_OK) {
            out->ops->close(out->state);
            *out = (struct collective){0};
        }
    }
    (void)snprintf(why, 200, "%.190s", code != LC_OK ? own.message : "NCCL failed on another rank");
    return LC_OK;
}

static enum lc choose(const struct ctx *ctx, const struct collective *wire, struct nccl_options *o,
                      const double *all, struct collective *out, char *said, struct err *err)
{
    char why[200] = "", version[24];
    bool joined = false;

    if (nccl_fits(all, wire->size, why)) {
        TRY(try_nccl(ctx, wire, o, out, &joined, why, err));
        nccl_version_text((int)of(all, 0)[OWN_VERSION], version);
    }
    if (joined)
        return (void)snprintf(said, COLLECTIVE_SAID, "gradients are summed by NCCL %s between %d GPUs",
                              version, wire->size),
               LC_OK;
    if (any_gpu(all, wire->size))
        (void)snprintf(said, COLLECTIVE_SAID,
                       "gradients are summed over the network, through the host's memory: %s", why);
    return use_wire(wire, o->backend, out, err);
}

enum lc collective_for_device(const struct ctx *ctx, const struct collective *wire, struct backend *backend,
                              const char *library, struct collective *out, char said[COLLECTIVE_SAID],
                              struct err *err)
{
    struct nccl_options o = {
        .library = library, .backend = backend, .wire = wire, .rank = wire->rank, .size = wire->size};
    double *all = mem_calloc((size_t)(OWN * wire->size), sizeof *all);
    enum lc code;

    said[0] = '\0';
    *out = (struct collective){0};
    if (!all)
        return err_nomem(err);
    tell(backend, library, all + OWN * wire->rank);
    code = collective_sum(wire, ctx, all, OWN * wire->size, COLLECTIVE_F64, err);
    if (code == LC_OK)
        code = choose(ctx, wire, &o, all, out, said, err);
    mem_free(all);
    return code;
}

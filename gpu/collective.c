#include "gpu/collective.h"

size_t collective_bytes(enum collective_type type)
{
    return type == COLLECTIVE_F64 ? sizeof(double) : sizeof(float);
}

enum lc collective_start(const struct collective *c, void *data, int64_t n, enum collective_type type,
                         struct err *err)
{
    return n > 0 ? c->ops->start(c->state, data, n, type, err) : LC_OK;
}

enum lc collective_wait(const struct collective *c, const struct ctx *ctx, struct err *err)
{
    return c->ops->wait(c->state, ctx, err);
}

enum lc collective_sum(const struct collective *c, const struct ctx *ctx, void *data, int64_t n,
                       enum collective_type type, struct err *err)
{
    TRY(collective_start(c, data, n, type, err));
    return collective_wait(c, ctx, err);
}

enum lc collective_broadcast(const struct collective *c, const struct ctx *ctx, void *data, size_t bytes,
                             int root, struct err *err)
{
    return bytes ? c->ops->broadcast(c->state, ctx, data, bytes, root, err) : LC_OK;
}

enum lc collective_barrier(const struct collective *c, const struct ctx *ctx, struct err *err)
{
    double nothing = 0;

    return collective_sum(c, ctx, &nothing, 1, COLLECTIVE_F64, err);
}

enum lc collective_check(const struct collective *c, struct err *err)
{
    return c->ops && c->ops->check ? c->ops->check(c->state, err) : LC_OK;
}

void collective_abort(const struct collective *c, enum lc code, const char *why)
{
    if (c->ops)
        c->ops->abort(c->state, code, why);
}

void collective_close(struct collective *c)
{
    if (c->ops)
        c->ops->close(c->state);
    *c = (struct collective){0};
}

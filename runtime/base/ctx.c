#include "runtime/base/ctx.h"
#include "runtime/base/clock.h"

struct ctx ctx_background(void)
{
    return (struct ctx){.principal = "", .session = ""};
}

bool ctx_cancelled(const struct ctx *ctx)
{
    return ctx && ctx->cancel && atomic_load_explicit(ctx->cancel, memory_order_relaxed);
}

enum lc ctx_check(const struct ctx *ctx, struct err *err)
{
    if (ctx_cancelled(ctx))
        return err_set(err, LC_CANCELLED, "interrupted");
    if (ctx && ctx->deadline_ns && clock_mono_ns() > ctx->deadline_ns)
        return err_set(err, LC_TIMEOUT, "timed out");
    return LC_OK;
}

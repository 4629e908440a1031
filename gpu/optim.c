#include "gpu/optim.h"
#include "gpu/model_io.h"
#include "gpu/safetensors.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- steps ---- */
struct optimizer {
    struct model *m;    /* borrowed */
    struct arena_of *a; /* borrowed: what trains */
    struct optimizer_config config;
    void *first, *second; /* owned device memory, laid out as the arena; of SGD: the momentum, and none */
    int64_t steps;
};

int optimizer_states(const struct optimizer_config *c)
{
    return c->kind == OPTIMIZER_ADAMW ? 2 : c->momentum > 0 ? 1 : 0;
}

enum lc optimizer_new(struct model *m, const struct optimizer_config *c, struct optimizer **out,
                      struct err *err)
{
    const struct backend_ops *ops = m->backend->ops;
    struct optimizer *o;
    enum lc code;

    if (!model_arena(m)->trainable)
        return err_set(err, LC_ARG, "cannot optimize: no parameter of the model is trainable");
    o = mem_zalloc(sizeof *o);
    if (!o)
        return err_nomem(err);
    o->m = m;
    o->a = model_arena(m);
    o->config = *c;
    code = arena_reserve_grads(m, o->a, err);
    if (code == LC_OK && optimizer_states(c) > 0)
        code = ops->alloc(m->backend->state, o->a->bytes, &o->first, err);
    if (code == LC_OK && optimizer_states(c) > 1)
        code = ops->alloc(m->backend->state, o->a->bytes, &o->second, err);
    if (code == LC_OK)
        *out = o;
    else
        optimizer_free(o);
    return code;
}

void optimizer_free(struct optimizer *o)
{
    if (!o)
        return;
    o->m->backend->ops->release(o->m->backend->state, o->first, o->a->bytes);
    o->m->backend->ops->release(o->m->backend->state, o->second, o->a->bytes);
    mem_free(o);
}

static enum lc name_the_culprit(const struct optimizer *o, struct err *err)
{
    for (size_t i = 0; i < o->a->n; i++) {
        double squares = 0;

        o->m->backend->ops->sum_squares(o->m->backend->state, NULL, weight_grad(o->a, (int)i),
                                        o->a->weights[i].elements, &squares);
        if (!isfinite(squares))
            return err_set(err, LC_RUNTIME, "the gradient of '%s' is not finite (%g)", o->a->weights[i].name,
                           sqrt(squares));
    }
    return err_set(err, LC_RUNTIME, "the gradient norm is not finite");
}

/* torch.optim.SGD without dampening: g = clip g + decay p; b = momentum b + g; p -= lr (nesterov: g + momentum b) */
static void sgd_range(struct optimizer *o, size_t from, size_t to, double lr, double decay, double grad_scale)
{
    const struct backend_ops *ops = o->m->backend->ops;
    void *state = o->m->backend->state;
    size_t at = from / sizeof(float);
    float *p = (float *)o->a->block + at, *g = o->a->grads + at, *b = (float *)o->first;
    int64_t n = (int64_t)((to - from) / sizeof(float));

    if (n <= 0)
        return;
    if (grad_scale < 1)
        ops->add(state, NULL, g, g, (float)(grad_scale - 1), n);
    if (decay > 0)
        ops->add(state, NULL, g, p, (float)decay, n);
    if (b) {
        b += at;
        ops->add(state, NULL, b, b, (float)(o->config.momentum - 1), n);
        ops->add(state, NULL, b, g, 1, n);
        if (o->config.nesterov)
            ops->add(state, NULL, g, b, (float)o->config.momentum, n);
    }
    ops->add(state, NULL, p, b && !o->config.nesterov ? b : g, (float)-lr, n);
}

static void step_range(struct optimizer *o, size_t from, size_t to, double lr, double decay,
                       double grad_scale)
{
    double t = (double)o->steps;
    size_t at = from / sizeof(float);
    struct adamw_arg a = {.n = (int64_t)((to - from) / sizeof(float)),
                          .param = (float *)o->a->block + at,
                          .m = (float *)o->first + at,
                          .v = (float *)o->second + at,
                          .grad = o->a->grads + at,
                          .grad_scale = (float)grad_scale,
                          .lr = lr,
                          .beta1 = o->config.beta1,
                          .beta2 = o->config.beta2,
                          .eps = o->config.eps,
                          .weight_decay = decay,
                          .bias1 = 1 - pow(o->config.beta1, t),
                          .bias2 = 1 - pow(o->config.beta2, t)};

    if (o->config.kind == OPTIMIZER_SGD)
        sgd_range(o, from, to, lr, decay, grad_scale);
    else if (a.n > 0)
        o->m->backend->ops->adamw(o->m->backend->state, NULL, &a);
}

enum lc optimizer_step(struct optimizer *o, double lr, double *grad_norm, struct err *err)
{
    double squares = 0, norm, scale = 1;

    o->m->backend->ops->sum_squares(o->m->backend->state, NULL, o->a->grads,
                                    (int64_t)(o->a->bytes / sizeof(float)), &squares);
    norm = sqrt(squares);
    if (grad_norm)
        *grad_norm = norm;
    if (!isfinite(norm))
        return name_the_culprit(o, err);
    if (o->config.max_grad_norm > 0)
        scale = fmin(1, o->config.max_grad_norm / (norm + 1e-6));
    o->steps++;
    step_range(o, 0, o->a->decay_bytes, lr, o->config.weight_decay, scale);
    step_range(o, o->a->decay_bytes, o->a->bytes, lr, 0, scale);
    return model_zero_grad(o->m, err);
}

/* ---- state files ---- */
static enum lc copy_state(const struct optimizer *o, struct model *to, const void *from, void **out,
                          struct err *err)
{
    const struct backend *source = o->m->backend, *target = to->backend;

    if (!from)
        return LC_OK;
    TRY(target->ops->alloc(target->state, o->a->bytes, out, err));
    return source->ops->download(source->state, NULL, *out, from, o->a->bytes, err);
}

enum lc optimizer_copy(const struct optimizer *o, struct model *to, struct optimizer **out, struct err *err)
{
    struct optimizer *copy = mem_zalloc(sizeof *copy);
    enum lc code;

    if (!copy)
        return err_nomem(err);
    *copy = *o;
    copy->m = to;
    copy->a = model_arena(to);
    copy->first = copy->second = NULL;
    code = copy_state(o, to, o->first, &copy->first, err);
    if (code == LC_OK)
        code = copy_state(o, to, o->second, &copy->second, err);
    if (code == LC_OK)
        *out = copy;
    else
        optimizer_free(copy);
    return code;
}

enum lc optimizer_save(struct optimizer *o, const char *path, struct err *err)
{
    struct weights_part parts[] = {{"m.", o->first}, {"v.", o->second}};
    char step[32];
    const char *metadata[] = {"format", "pt", "step", step, NULL};

    snprintf(step, sizeof step, "%lld", (long long)o->steps);
    return weights_write(o->m, o->a, parts, (size_t)optimizer_states(&o->config), path, DTYPE_F32, metadata,
                         err);
}

static enum lc load_one(struct optimizer *o, const struct safetensors *st, const char *prefix, void *block,
                        size_t i, struct err *err)
{
    const struct weight *w = &o->a->weights[i];
    const struct safetensor *t = NULL;
    char *name = mem_printf("%s%s", prefix, w->name);
    enum lc code = name ? safetensors_get(st, name, &t, err) : err_nomem(err);

    if (code == LC_OK && (t->dtype != ST_F32 || t->bytes != (size_t)w->elements * sizeof(float)))
        code = err_set(err, LC_DATA, "the optimizer state '%s' has another shape than the model's parameter",
                       name);
    if (code == LC_OK)
        code = weights_put_file(o->m, (char *)block + w->offset, w, t->data, DTYPE_F32, err);
    mem_free(name);
    return code;
}

enum lc optimizer_load(struct optimizer *o, const char *path, struct err *err)
{
    struct safetensors *st;
    const char *step;
    enum lc code = LC_OK;

    TRY(safetensors_open(path, &st, err));
    step = safetensors_metadata(st, "step");
    if (!step)
        code = err_set(err, LC_DATA, "'%s' is not an optimizer state: it has no step", path);
    for (size_t i = 0; i < o->a->n && code == LC_OK; i++) {
        if (o->first)
            code = load_one(o, st, "m.", o->first, i, err);
        if (code == LC_OK && o->second)
            code = load_one(o, st, "v.", o->second, i, err);
    }
    if (code == LC_OK)
        o->steps = strtoll(step, NULL, 10);
    safetensors_close(st);
    return code;
}

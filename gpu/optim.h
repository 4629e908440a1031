/* optim.h: AdamW over a model's trainable parameters, gradient clipping, and learning-rate schedules.
 *
 * What      the formulas of torch.optim.AdamW, torch.nn.utils.clip_grad_norm_ and transformers.get_scheduler.
 * Ownership optimizer_new → optimizer_free; m and v live on the model's backend. The model is borrowed and
 *           must not gain or lose an adapter meanwhile.
 * Units     learning rate per step; steps count from 0 in a schedule, from 1 in the bias correction.
 * Errors    LC_NOMEM, LC_LIMIT; LC_RUNTIME when the gradient norm is not finite (the parameter is named);
 *           LC_DATA for a state file of another shape.
 * Threads   those of the model.
 *
 * Example:
 *     double lr = 5e-5 * schedule_factor(&(struct schedule){.kind = SCHEDULE_LINEAR, .total = 100}, 0);
 */
#ifndef LACUS_GPU_OPTIM_H
#define LACUS_GPU_OPTIM_H
#include "gpu/model.h"

enum schedule_kind {
    SCHEDULE_LINEAR,
    SCHEDULE_COSINE,
    SCHEDULE_CONSTANT,
    SCHEDULE_CONSTANT_WITH_WARMUP,
    SCHEDULE_COSINE_WITH_MIN_LR
};

struct schedule {
    enum schedule_kind kind;
    int64_t warmup, total; /* steps */
    double cycles;         /* cosine; 0 means 0.5 */
    double min_ratio;      /* cosine_with_min_lr */
};

/* steps: optimizer steps done before this one. */
double schedule_factor(const struct schedule *s, int64_t steps);
/* "linear", "cosine", …; LC_ARG with the nearest names. */
enum lc schedule_from_name(const char *name, enum schedule_kind *out, struct err *err) MUST_CHECK;
const char *schedule_name(enum schedule_kind kind);

struct adamw_config {
    double beta1, beta2, eps, weight_decay;
    double max_grad_norm; /* 0: no clipping */
};

struct optimizer;
enum lc optimizer_new(struct model *m, const struct adamw_config *c, struct optimizer **out,
                      struct err *err) MUST_CHECK;
void optimizer_free(struct optimizer *o); /* NULL is fine */
/* Clips, steps, and zeroes the gradients. grad_norm (or NULL): before clipping. */
enum lc optimizer_step(struct optimizer *o, double lr, double *grad_norm, struct err *err) MUST_CHECK;
/* One safetensors file: "m.NAME", "v.NAME", step in its metadata. */
enum lc optimizer_save(struct optimizer *o, const char *path, struct err *err) MUST_CHECK;
enum lc optimizer_load(struct optimizer *o, const char *path, struct err *err) MUST_CHECK;
#endif

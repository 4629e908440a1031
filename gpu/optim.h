/* optim.h: AdamW and SGD over a model's trainable parameters, and gradient clipping.
 *
 * What      the formulas of torch.optim.AdamW and SGD, and of torch.nn.utils.clip_grad_norm_.
 * Ownership optimizer_new → optimizer_free; m and v live on the model's backend. The model is borrowed and
 *           must not gain or lose an adapter meanwhile.
 * Units     learning rate per step; steps count from 1 in the bias correction.
 * Errors    LC_NOMEM, LC_LIMIT; LC_RUNTIME when the gradient norm is not finite (the parameter is named);
 *           LC_DATA for a state file of another shape.
 * Threads   those of the model.
 *
 * Example:
 *     int numbers = optimizer_states(&(struct optimizer_config){.kind = OPTIMIZER_SGD, .momentum = 0.9});
 */
#ifndef LACUS_GPU_OPTIM_H
#define LACUS_GPU_OPTIM_H
#include "gpu/model.h"
#include "gpu/schedule.h"

enum optimizer_kind { OPTIMIZER_ADAMW, OPTIMIZER_SGD };

struct optimizer_config {
    double beta1, beta2, eps; /* of AdamW */
    double weight_decay;
    double max_grad_norm; /* 0: no clipping */
    enum optimizer_kind kind;
    double momentum; /* of SGD; 0: none */
    bool nesterov;
};

int optimizer_states(const struct optimizer_config *c); /* numbers kept for each parameter */

struct optimizer;
enum lc optimizer_new(struct model *m, const struct optimizer_config *c, struct optimizer **out,
                      struct err *err) MUST_CHECK;
void optimizer_free(struct optimizer *o); /* NULL is fine */
/* Its state as it is now, in memory of the backend of `to`, a copy of its model: to be saved while it goes on. */
enum lc optimizer_copy(const struct optimizer *o, struct model *to, struct optimizer **out,
                       struct err *err) MUST_CHECK;
/* Clips, steps, and zeroes the gradients. grad_norm (or NULL): before clipping. */
enum lc optimizer_step(struct optimizer *o, double lr, double *grad_norm, struct err *err) MUST_CHECK;
/* One safetensors file: "m.NAME", "v.NAME" (of SGD: the momentum), step in its metadata. */
enum lc optimizer_save(struct optimizer *o, const char *path, struct err *err) MUST_CHECK;
enum lc optimizer_load(struct optimizer *o, const char *path, struct err *err) MUST_CHECK;
#endif

/* lora.h: low-rank adapters in PEFT's words and files.
 *
 * What      attaches A and B beside the linear layers that target_modules names, freezes the rest, reads and
 *           writes adapter_config.json and adapter_model.safetensors, and merges an adapter into its weights.
 * Ownership the adapter belongs to the model it is attached to. A lora_config owns its target names: init,
 *           release.
 * Units     rank and alpha as in PEFT; y += alpha / r * B A x (rslora: alpha / sqrt(r)).
 * Errors    LC_UNSUPPORTED names the field of adapter_config.json (modules_to_save, use_dora, bias other than
 *           none, a regular expression as target); LC_NOTFOUND when a target matches no layer (nearest names
 *           offered); LC_DATA for a file that does not fit; LC_EXISTS when an adapter is attached already.
 * Threads   those of the model.
 *
 * Example:
 *     struct lora_config c;
 *     lora_config_init(&c);
 *     if (lora_config_target(&c, "q_proj", &err) == LC_OK && lora_attach(m, &c, 42, &err) == LC_OK)
 *         err_clear(&err);
 *     lora_config_release(&c);
 */
#ifndef LACUS_GPU_LORA_H
#define LACUS_GPU_LORA_H
#include "gpu/model.h"
#include <jansson.h>

struct lora_config {
    int64_t r;
    double lora_alpha, lora_dropout;
    bool use_rslora, all_linear;
    bool init_lora_weights; /* true: A as kaiming_uniform(sqrt 5), B zero */
    char **targets;         /* owned; names or suffixes after a dot; empty with all_linear */
    size_t n_targets;
    char *base_model_name_or_path; /* owned; may be NULL */
};

void lora_config_init(struct lora_config *c); /* PEFT's defaults: r 8, alpha 8, dropout 0, no target */
void lora_config_release(struct lora_config *c);
enum lc lora_config_target(struct lora_config *c, const char *name, struct err *err) MUST_CHECK;
/* From the fields of adapter_config.json or of a LoraConfig table; initialises c. Unknown keys are an error
 * with the nearest names, except those PEFT writes whose value is neutral (null, {}, false). */
enum lc lora_config_from_json(const json_t *object, struct lora_config *c, struct err *err) MUST_CHECK;
/* Like adapter_config.json of PEFT. NULL without memory. */
json_t *lora_config_to_json(const struct lora_config *c);

enum lc lora_attach(struct model *m, const struct lora_config *c, uint64_t seed, struct err *err) MUST_CHECK;
/* A PEFT folder; attaches when none is attached, else fills the attached one when its shape is the same. */
enum lc lora_load(const struct ctx *ctx, struct model *m, const char *folder, struct err *err) MUST_CHECK;
enum lc lora_save(const struct ctx *ctx, struct model *m, const char *folder, struct err *err) MUST_CHECK;
/* W += scale B A, then the adapter is gone and the base weights are trainable = false. */
enum lc lora_merge(struct model *m, struct err *err) MUST_CHECK;
/* Without merging. */
void lora_detach(struct model *m);
const struct lora_config *lora_of(const struct model *m); /* NULL: none attached */
#endif

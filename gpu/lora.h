/* lora.h: low-rank adapters in PEFT's words and files.
 *
 * What      attaches A and B (and the magnitudes of DoRA) beside the linear layers, embedding and head that target_modules names,
 *           trains copies of what modules_to_save and bias name, freezes the rest, reads and writes
 *           adapter_config.json and adapter_model.safetensors, and merges an adapter into its weights.
 * Ownership the adapter belongs to the model it is attached to. A lora_config owns its target names: init,
 *           release.
 * Units     rank and alpha as in PEFT; y += alpha / r * B A x (rslora: alpha / sqrt(r)). With DoRA and a dropout only
 *           the low-rank path drops (PEFT's drops the weight's, too: the same on average).
 * Errors    LC_UNSUPPORTED names the field of adapter_config.json, a target that cannot be (DoRA on the
 *           embedding or lm_head), or DoRA on a backend without it; LC_NOTFOUND when a target
 *           matches no layer (nearest names offered); LC_DATA for a file that does not fit; LC_EXISTS when an adapter is
 *           attached already.
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

enum lora_bias { LORA_BIAS_NONE, LORA_BIAS_ALL, LORA_BIAS_LORA_ONLY };

struct lora_config {
    int64_t r;
    double lora_alpha, lora_dropout;
    bool use_rslora, use_dora, all_linear;
    bool init_lora_weights; /* true: A as kaiming_uniform(sqrt 5), B zero */
    enum lora_bias bias;    /* which biases are trained */
    char **targets;         /* owned; names or suffixes after a dot; empty with all_linear */
    size_t n_targets;
    char *target_regex; /* owned; in place of targets: must match the whole name of a module; NULL: none */
    json_t *exclude;    /* owned; exclude_modules: names or suffixes, or a regular expression; NULL: none */
    json_t *modules_to_save; /* owned; endings of names of modules that are trained whole; NULL: none */
    json_t *rank_pattern, *alpha_pattern; /* owned; expression of a module → its r, its alpha; NULL: none */
    json_t *layers;                       /* owned; layers_to_transform: numbers; NULL: all */
    char *base_model_name_or_path;        /* owned; may be NULL */
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
#endif

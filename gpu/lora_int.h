/* lora_int.h: which modules a LoraConfig means. Private to the engine. */
#ifndef LACUS_GPU_LORA_INT_H
#define LACUS_GPU_LORA_INT_H
#include "gpu/model_int.h"

const char *lora_suffix(enum linear_id id);             /* "q_proj" */
bool lora_default_targets(const struct lora_config *c); /* PEFT's for Llama-like models: q_proj and v_proj */
enum lc lora_config_check(const struct lora_config *c, struct err *err) MUST_CHECK;

/* Names of modules against a config; expressions are compiled once. */
struct lora_match;
enum lc lora_match_new(const struct lora_config *c, struct lora_match **out, struct err *err) MUST_CHECK;
void lora_match_free(struct lora_match *match); /* NULL is fine */
/* Has the linear layer `id` with this name, of this layer, an adapter, and which rank and scale? What is not in a layer
 * (embed_tokens, lm_head) has the id LIN_COUNT and the layer -1. */
enum lc lora_match_linear(struct lora_match *match, const char *path, enum linear_id id, int64_t layer,
                          bool *found, int64_t *rank, float *scale, struct err *err) MUST_CHECK;
/* Is the weight (or bias) of this name in a module of modules_to_save? */
bool lora_match_saved(struct lora_match *match, const char *name);
/* A target or module to save that is nowhere in the model. */
enum lc lora_match_unused(const struct lora_match *match, struct err *err) MUST_CHECK;
#endif

/* prompt.h: prompt tuning and prefix tuning in PEFT's words and files.
 *
 * What      a prompt is rows of embeddings, a prefix is keys and values of every layer (without rope), both in
 *           front of each sequence and all that is trained. Lester et al. 2021 (arXiv:2104.08691), Li and Liang
 *           2021 (arXiv:2101.00190) without the projection. Tokens count their positions from the number of
 *           virtual tokens on.
 * Ownership a prompt_config owns its strings: init, release. The prompt belongs to the model it is attached to.
 * Units     tokens.
 * Errors    LC_UNSUPPORTED names the field of adapter_config.json (prefix_projection, …); LC_DATA for a file that
 *           does not fit; LC_EXISTS when an adapter is attached already; LC_ARG: unknown field, nearest offered.
 * Threads   those of the model.
 *
 * Example:
 *     struct prompt_config c;
 *     prompt_config_init(&c, PROMPT_PREFIX);
 *     c.num_virtual_tokens = 16;
 *     if (prompt_attach(m, &c, NULL, 0, 42, &err) == LC_OK)
 *         err_clear(&err);
 *     prompt_config_release(&c);
 */
#ifndef LACUS_GPU_PROMPT_H
#define LACUS_GPU_PROMPT_H
#include "gpu/model_int.h"

enum prompt_kind { PROMPT_EMBEDDINGS, PROMPT_PREFIX };
enum prompt_start { PROMPT_RANDOM, PROMPT_TEXT, PROMPT_VOCABULARY };

struct prompt_config {
    enum prompt_kind kind;
    int64_t num_virtual_tokens;
    enum prompt_start start;
    char *text;      /* owned; of PROMPT_TEXT; may be NULL in a file that is read */
    char *tokenizer; /* owned; PEFT's tokenizer_name_or_path; may be NULL */
    char *base;      /* owned; base_model_name_or_path; may be NULL */
};

void prompt_config_init(struct prompt_config *c, enum prompt_kind kind);
void prompt_config_release(struct prompt_config *c);
/* object: with peft_type PROMPT_TUNING or PREFIX_TUNING. Initialises c. */
enum lc prompt_config_from_json(const json_t *object, struct prompt_config *c, struct err *err) MUST_CHECK;
json_t *prompt_config_to_json(const struct prompt_config *c, const struct model_config *m); /* NULL: memory */

/* ids: the tokens of the text it starts from (PROMPT_TEXT), repeated or cut; NULL: none. */
enum lc prompt_attach(struct model *m, const struct prompt_config *c, const int32_t *ids, size_t n,
                      uint64_t seed, struct err *err) MUST_CHECK;
void prompt_release(struct model *m); /* what adapter_detach does of it */
enum lc prompt_read(struct model *m, const char *path, struct err *err) MUST_CHECK;
enum lc prompt_write(struct model *m, const char *path, struct err *err) MUST_CHECK;

/* ---- in a forward and backward (model_run.c); nothing without a prompt ---- */
bool prompt_trains_embeddings(const struct model *m);
void prompt_embed(struct model *m, float *x);
void prompt_embed_backward(struct model *m, const float *dx);
void prefix_put(struct model *m, int64_t layer, float *k, float *v);
/* The gradient of keys and values goes to the prefix, and no further. */
void prefix_take(struct model *m, int64_t layer, float *dk, float *dv);
#endif

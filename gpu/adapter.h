/* adapter.h: adapters of every kind, told apart by the peft_type of their config.
 *
 * What      LoRA (lora.h), prompt and prefix tuning (prompt.h) behind one set of functions: read a config, attach,
 *           load and save PEFT's folders, detach.
 * Ownership the adapter belongs to the model. An adapter_config is released by adapter_config_release.
 * Units     none.
 * Errors    LC_UNSUPPORTED names a peft_type that is not here; LC_CONFLICT: another adapter is attached; those of
 *           the kinds.
 * Threads   those of the model.
 *
 * Example:
 *     struct adapter_config c;
 *     if (adapter_config_from_json(object, &c, &err) == LC_OK)
 *         code = adapter_attach(m, &c, NULL, 0, 42, &err);
 *     adapter_config_release(&c);
 */
#ifndef LACUS_GPU_ADAPTER_H
#define LACUS_GPU_ADAPTER_H
#include "gpu/lora.h"

struct adapter_kind;
struct adapter_config {
    const struct adapter_kind *kind; /* NULL: empty */
    void *fields;                    /* owned: the kind's */
};

/* object: a LoraConfig, PromptTuningConfig or PrefixTuningConfig; without a peft_type it is LoRA. */
enum lc adapter_config_from_json(const json_t *object, struct adapter_config *c, struct err *err) MUST_CHECK;
void adapter_config_release(struct adapter_config *c);
/* base_model_name_or_path of what is saved later. */
enum lc adapter_config_set_base(struct adapter_config *c, const char *base, struct err *err) MUST_CHECK;
const char *adapter_config_text(const struct adapter_config *c); /* that a prompt starts from; NULL: none */
/* ids: the tokens of that text; may be NULL. */
enum lc adapter_attach(struct model *m, const struct adapter_config *c, const int32_t *ids, size_t n,
                       uint64_t seed, struct err *err) MUST_CHECK;
/* A PEFT folder; attaches when none is attached, else fills the attached one when its shape is the same. */
enum lc adapter_load(const struct ctx *ctx, struct model *m, const char *folder, struct err *err) MUST_CHECK;
enum lc adapter_save(const struct ctx *ctx, struct model *m, const char *folder, struct err *err) MUST_CHECK;
void adapter_detach(struct model *m);
/* Puts the attached LoRA aside: several are kept over one base, and each sequence that is generated names its own
 * (generate_options.adapter). *number: from 1 on, until the model ends. LC_UNSUPPORTED: another kind, DoRA, or an
 * adapter with trained copies of the base's weights. */
enum lc adapter_keep(struct model *m, size_t *number, struct err *err) MUST_CHECK;
size_t adapter_kept(const struct model *m);
bool adapter_attached(const struct model *m);
#endif

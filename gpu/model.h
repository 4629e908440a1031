/* model.h: decoder-only language models of the Llama family, from and to Hugging Face folders.
 *
 * What      model_config is config.json as a table of numbers; a model is that config, its weights on a
 *           backend, and one hand-written forward and backward over the layers. Architectures are rows of a
 *           table (config.c). An adapter (lora.h) may be attached; then only the adapter trains.
 * Ownership model_load / model_create → model_free. The backend is borrowed and must outlive the model.
 *           Everything handed out (tensors, names) is borrowed from the model.
 * Units     tokens; loss in nats.
 * Errors    LC_UNSUPPORTED names the architecture or field; LC_DATA for config.json or weights that do not
 *           fit (name, expected and found shape); LC_LIMIT when the plan exceeds the memory; LC_RUNTIME names
 *           a loss that is not finite.
 * Threads   one at a time per model and backend.
 * Memory    model_reserve plans and allocates for a largest batch; a forward inside that bound allocates
 *           nothing. A forward beyond it reserves more.
 *
 * Example:
 *     struct model *m;
 *     struct model_batch batch = {.rows = 3, .sequences = 1, .ids = ids, .labels = ids, .starts = starts};
 *     struct model_loss loss;
 *     if (model_load(&ctx, "folder", backend, NULL, &m, &err) == LC_OK &&
 *         model_forward(&ctx, m, &batch, &(struct model_forward){0}, &loss, &err) == LC_OK)
 *         printf("%g\n", loss.mean);
 *     model_free(m);
 */
#ifndef LACUS_GPU_MODEL_H
#define LACUS_GPU_MODEL_H
#include "gpu/tensor.h"
#include "runtime/base/buf.h"

/* ---- config.json ---- */
enum rope_type { ROPE_DEFAULT, ROPE_LINEAR, ROPE_LLAMA3, ROPE_YARN, ROPE_DYNAMIC, ROPE_LONG, ROPE_TYPES };
enum { MODEL_LAYERS_MAX = 4096, MODEL_HEAD_MAX = 1024 };

struct model_config {
    char model_type[32]; /* "llama", "mistral", "ministral", "ministral3", "qwen2", "qwen3" */
    int64_t vocab_size, hidden_size, intermediate_size;
    int64_t num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim;
    int64_t max_position_embeddings;
    int64_t sliding_window;                      /* 0: none */
    uint64_t full_layers[MODEL_LAYERS_MAX / 64]; /* bit l: layer l sees all that came before in spite of it */
    double rms_norm_eps, initializer_range;
    bool tie_word_embeddings, qkv_bias, o_bias, mlp_bias, qk_norm;
    enum rope_type rope_type;
    double rope_theta, rope_factor, rope_low_freq_factor, rope_high_freq_factor;
    double rope_beta_fast, rope_beta_slow, rope_attention_factor; /* of YaRN (arXiv:2309.00071) */
    double rope_mscale, rope_mscale_all_dim;                      /* 0: not said */
    bool rope_truncate;
    float rope_short[MODEL_HEAD_MAX / 2], rope_long[MODEL_HEAD_MAX / 2]; /* of LongRoPE (arXiv:2402.13753) */
    double rope_query_beta; /* queries times 1 + beta log(1 + floor(position / original)); 0: off */
    int64_t rope_original_max_position_embeddings;
    int64_t bos_token_id, pad_token_id; /* -1: none */
    int64_t eos_token_ids[8];
    int n_eos_token_ids;
    enum dtype dtype; /* of the checkpoint */
    bool
        beside_vision; /* the text part of a checkpoint that has more: its names begin with language_model. */
};

void model_config_defaults(struct model_config *c); /* LlamaConfig's defaults */
/* Parses config.json (limit: 1 MB). name: for messages. */
enum lc model_config_parse(const char *text, size_t len, const char *name, struct model_config *out,
                           struct err *err) MUST_CHECK;
enum lc model_config_load(const char *folder, struct model_config *out, struct err *err) MUST_CHECK;
enum lc model_config_check(const struct model_config *c,
                           struct err *err) MUST_CHECK;                 /* sane, and supported */
bool model_config_write(const struct model_config *c, struct buf *out); /* config.json, new rope_parameters */
int64_t model_config_parameters(const struct model_config *c);
/* What layer l sees: the window, or 0 for everything. */
int64_t model_config_window(const struct model_config *c, int64_t l);

/* ---- models ---- */
struct model;

struct model_options {
    enum dtype dtype; /* of frozen weights in memory: DTYPE_NONE keeps f32; DTYPE_BF16 halves them */
    enum dtype
        compute; /* DTYPE_NONE is f32; DTYPE_BF16: products of bf16 factors (autocast); DTYPE_FP8: so, and those
                         * with weights kept in that type are of 8-bit factors (backend_args.h) */
    enum dtype linear; /* a quantised type (quant.h): of the linear weights of the layers, as
                         * bitsandbytes chooses them; embeddings, head and norms stay in dtype. Such a model
                         * trains adapters only. DTYPE_NONE: as dtype */
};

/* folder: config.json with model.safetensors or a sharded index. options may be NULL. */
enum lc model_load(const struct ctx *ctx, const char *folder, struct backend *backend,
                   const struct model_options *options, struct model **out, struct err *err) MUST_CHECK;
/* Fresh weights as Hugging Face draws them: normal(0, initializer_range), biases 0, norms 1. */
enum lc model_create(const struct ctx *ctx, const struct model_config *config, uint64_t seed,
                     struct backend *backend, const struct model_options *options, struct model **out,
                     struct err *err) MUST_CHECK;
/* Writes config.json, generation_config.json and model.safetensors, each whole or not at all. An attached
 * adapter is not written: lora_save, or lora_merge first. */
enum lc model_save(const struct ctx *ctx, struct model *m, const char *folder, struct err *err) MUST_CHECK;
/* A model without memory, for plans and counts: model_make_plan, model_count_parameters, adapter_attach. */
enum lc model_sketch(const struct model_config *config, struct backend *backend,
                     const struct model_options *options, struct model **out, struct err *err) MUST_CHECK;
void model_free(struct model *m); /* NULL is fine */
const struct model_config *model_get_config(const struct model *m);
const char *model_folder(const struct model *m); /* where it was loaded from; "" when created */
/* What the config says is computed in, but 8-bit factors: changed between steps only. */
void model_set_compute(struct model *m, enum dtype compute);

/* ---- parameters ---- */
struct parameter {
    struct tensor value; /* name: as in model.safetensors, or PEFT's "base_model.model.….lora_A.weight" */
    struct tensor grad;  /* data NULL: frozen, or no backward yet */
    bool trainable;
    bool decay; /* takes weight decay under Hugging Face's rule */
};

size_t model_parameters(const struct model *m);
/* i below model_parameters; in Hugging Face's order. */
void model_parameter(const struct model *m, size_t i, struct parameter *out);
bool model_find_parameter(const struct model *m, const char *name, struct parameter *out);
/* As PEFT counts: tied weights once. */
void model_count_parameters(const struct model *m, int64_t *trainable, int64_t *all);
/* Makes all base weights trainable (true: full fine-tuning; allocates gradients at the next reserve) or none.
 */
enum lc model_set_trainable(struct model *m, bool trainable, struct err *err) MUST_CHECK;

/* Learning from another model over the same vocabulary, on the same backend: its logits are made beside the student's,
 * by chunks, and never kept. temperature and alpha as in distill_arg. teacher (borrowed; NULL: none) outlives the
 * student's last forward. LC_DATA: another vocabulary; LC_UNSUPPORTED: a backend without distillation. */
enum lc model_set_teacher(struct model *m, struct model *teacher, double temperature, double alpha,
                          struct err *err) MUST_CHECK;

/* ---- forward and backward ---- */
struct model_batch {
    int64_t rows, sequences;  /* rows: tokens in all */
    const int32_t *ids;       /* [rows] host */
    const int32_t *labels;    /* [rows] host, -100 ignored, not shifted (as Hugging Face's); NULL: none */
    const int32_t *positions; /* [rows] host; NULL: each sequence counts from 0 */
    const int32_t *starts;    /* [sequences + 1] host */
    /* Tokens of the longest sequence of the whole batch that this one is a part of (padding counts): the frequencies of some
     * RoPE kinds follow it. 0: the longest of these. */
    int64_t seen;
};

struct model_forward {
    bool train;        /* keep what backward needs; gradients of the head are added during the forward */
    bool dropout;      /* adapter dropout on */
    uint64_t seed;     /* of dropout */
    int64_t num_items; /* the loss's divisor (all micro-batches of a step); 0: the labels of this batch */
    double label_smoothing;
    bool logits; /* keep all logits: model_logits */
    bool plain;  /* as if no adapter were attached; not with train */
    /* For losses that are not a mean over tokens: the loss of each label goes to losses (host, [labels], in
     * order of rows; NULL: not asked for), and with weighted the gradient waits for model_weigh_loss. */
    float *losses;
    bool weighted;
    bool distill; /* beside the teacher of model_set_teacher */
};

struct model_loss {
    double sum;     /* over tokens that carry a label after the shift, in nats */
    double mean;    /* sum / number of labels of this batch; 0 when there is none */
    double scaled;  /* sum / num_items: what backward differentiates */
    int64_t labels; /* labels counted: those of each sequence's first token are never */
};

/* batch->labels NULL: no loss. Polls ctx between layers: LC_CANCELLED leaves gradients undefined
 * (model_zero_grad). loss may be NULL. */
enum lc model_forward(const struct ctx *ctx, struct model *m, const struct model_batch *batch,
                      const struct model_forward *how, struct model_loss *loss, struct err *err) MUST_CHECK;
/* After a forward with train and weighted: weights [labels] (host) are what the loss of each label counts in the
 * function that backward differentiates. */
enum lc model_weigh_loss(struct model *m, const float *weights, struct err *err) MUST_CHECK;
/* After a forward with labels: adds to *right the labels whose token is the likeliest. */
enum lc model_count_right(struct model *m, int64_t *right, struct err *err) MUST_CHECK;
/* After a forward: the likeliest next token at each row of the batch. out [rows] (host) */
enum lc model_likeliest(struct model *m, int32_t *out, struct err *err) MUST_CHECK;
/* After a forward with train = true: adds to the gradients of the trainable parameters. */
enum lc model_backward(const struct ctx *ctx, struct model *m, struct err *err) MUST_CHECK;
enum lc model_zero_grad(struct model *m, struct err *err) MUST_CHECK;
/* [rows, vocab] of the last forward with logits = true. */
enum lc model_logits(const struct model *m, struct tensor *out, struct err *err) MUST_CHECK;

/* From a padded batch [n, length] with attention_mask (0 or 1; NULL: all 1) and labels (or NULL): drops the
 * padding. row_of (or NULL) gets, for each of n * length places, its row or -1. Free with
 * model_packed_release. */
struct model_packed {
    struct model_batch batch;
    int32_t *memory; /* owned */
    int32_t *row_of; /* [n * length], inside memory */
};
enum lc model_pack(const int64_t *ids, const int64_t *mask, const int64_t *labels, int64_t n, int64_t length,
                   struct model_packed *out, struct err *err) MUST_CHECK;
void model_packed_release(struct model_packed *p);

/* ---- memory ---- */
/* Numbers that the optimizer will keep for each trained parameter: 2 at first, as AdamW. For plans. */
void model_set_optimizer(struct model *m, int states);
struct model_plan {
    size_t weights, gradients, optimizer, activations, scratch, total; /* bytes */
    size_t adapter, logits; /* bytes that are in weights and in scratch */
    size_t teacher;         /* bytes of a teacher with its forward, in a trainer's plan */
    int recomputed_layers;  /* layers whose activations are made again in backward */
};

/* What a batch of at most `rows` tokens in `sequences` sequences needs. budget 0: no bound; else layers are
 * recomputed until it fits, LC_LIMIT with the shortfall when nothing helps. logits: rows of logits kept. */
enum lc model_make_plan(const struct model *m, int64_t rows, int64_t sequences, bool train, size_t budget,
                        int recompute_layers, struct model_plan *out, struct err *err) MUST_CHECK;
enum lc model_reserve(struct model *m, int64_t rows, int64_t sequences, bool train, size_t budget,
                      int recompute_layers, struct model_plan *out, struct err *err) MUST_CHECK;
#endif

/* model_int.h: how a model is laid out. Private to the engine.
 *
 * What      weights are rows of one table, placed in one block; a layer is a row of indices into it.
 *           Trainable numbers live in an arena: one block of parameters, one of gradients, the decaying ones
 *           first.
 */
#ifndef LACUS_GPU_MODEL_INT_H
#define LACUS_GPU_MODEL_INT_H
#include "gpu/lora.h"
#include "gpu/model.h"

enum { ROUND = 16 }; /* elements: every tensor starts on a cache line */

struct weight {
    char *name; /* owned */
    int ndim;
    int64_t shape[2];
    int64_t elements;
    enum dtype dtype;
    size_t offset; /* bytes, in its arena's block */
    bool decay;
    bool ones;     /* a norm: starts at 1 */
    bool zeros;    /* a bias: starts at 0 */
    int copy_of;   /* of the base's weights, which it stands for while the adapter is attached; -1: none */
    bool in_place; /* a copy that PEFT does not count twice: it trains the base's own */
    bool turned;   /* files have it the other way round: [shape[1], shape[0]] */
};

struct arena_of {           /* weights of one kind and their gradients */
    struct weight *weights; /* owned */
    size_t n, capacity;
    void *block;  /* owned device memory */
    float *grads; /* owned; the same offsets; NULL: not allocated */
    size_t bytes;
    size_t decay_bytes; /* those in front that take weight decay */
    bool trainable;
};

size_t weight_bytes(const struct weight *w);

enum linear_id { LIN_Q, LIN_K, LIN_V, LIN_O, LIN_GATE, LIN_UP, LIN_DOWN, LIN_COUNT };

struct linear {
    int weight, bias;   /* into base; -1: none */
    int lora_a, lora_b; /* into adapter; -1: none */
    int magnitude;      /* of DoRA, into adapter; -1: none */
    int64_t rank;
    float scale;
    float *squares; /* of DoRA, inside the model's: |row|^2 of the weight, [out] */
};

struct layer {
    struct linear linear[LIN_COUNT];
    int norm1, norm2, q_norm, k_norm; /* into base; -1: none */
};

struct saved {                              /* what one layer keeps for backward */
    float *x, *rstd1;                       /* its input, [rows, hidden] */
    float *q, *k, *v, *y, *lse;             /* after rope */
    float *q_raw, *k_raw, *q_rstd, *k_rstd; /* with qk_norm: before it */
    float *h, *rstd2;                       /* after attention, [rows, hidden] */
    float *gate, *up;
    float *xa[LIN_COUNT];
    float *dora[LIN_COUNT]; /* factor and 1 / norm of each column, [2, out] */
};

struct work {    /* buffers for one forward and backward; all inside block */
    void *block; /* owned device memory */
    size_t bytes;
    int64_t rows, sequences;
    bool train;
    int recomputed;
    struct saved *layers; /* owned, one per layer; recomputed and inference layers share */
    int32_t *ids, *positions, *starts, *past, *slots, *index, *targets; /* device */
    float *normed, *out, *act, *dact, *g, *dq, *dk, *dv, *dy, *dropped, *dxa;
    float *raw, *draw, *aw, *aa; /* of DoRA */
    float *embed_xa, *head_xa;   /* [rows, rank]: of an adapter on the embedding, on lm_head */
    float *final_x, *final_rstd, *losses, *weights, *chunk_logits, *gathered;
    int64_t chunk;
    int32_t *host;      /* owned: the lists of a batch are made here; losses are read back into it */
    int32_t *prompt_at; /* owned: [sequences] the row where its prompt begins, or -1 */
    int32_t *real;      /* inside prompt_at: [rows] the row of each token that was given */
};

/* Parts of a step whose operations are written down once and replayed (model_record.c). */
enum recorded_part { RECORDED_FORWARD, RECORDED_BACKWARD };
enum { RECORDS = 8 };
struct recorded_key { /* all that the arguments of a part's operations depend on, but memory */
    int64_t part, rows, sequences, longest, lowest;
    int64_t how; /* bits */
};
struct recorded {
    struct recorded_key key;
    struct backend_record *record; /* owned; NULL: not yet */
    int64_t seen, made;
    uint64_t used;
};

struct watch { /* the first result that is not finite */
    bool found;
    char what[120]; /* "the output of model.layers.3.mlp.down_proj" */
};

struct low_rank {
    int a, b; /* into the arena; -1: none */
    int64_t rank;
    float scale;
};

struct kept_adapter {       /* LoRA beside the base, for sequences that ask for it */
    struct arena_of arena;  /* A and B of its layers */
    struct low_rank *parts; /* owned: of the layers [layers * LIN_COUNT], then kept_embed and kept_head */
};

struct run { /* rows of a decode that follow each other and have the same kept adapter */
    const struct kept_adapter *adapter; /* NULL: none */
    int64_t from, rows;
};

struct kv_cache {
    int64_t sequences, capacity;
    float *k, *v; /* owned device memory, [layers, sequences, capacity, kv_heads * head_dim] */
    size_t bytes; /* of each */
};

struct model {
    struct model_config config;
    struct backend *backend;
    char *folder;       /* owned; "" */
    enum dtype compute; /* DTYPE_F32 or DTYPE_BF16 */
    bool eighths;       /* weights in DTYPE_FP8 are multiplied as such */
    bool sketch;        /* nothing is allocated */
    struct arena_of base, adapter;
    struct lora_config *lora;     /* owned; NULL: none */
    struct prompt_config *prompt; /* owned; NULL: none */
    float *squares;               /* owned device memory: of DoRA's layers */
    size_t squares_bytes;
    int *copies;   /* owned: for each of the base's weights its copy in adapter or -1; NULL: none */
    int head_copy; /* of lm_head, in adapter; -1: none */
    struct low_rank embed_lora; /* beside the embedding: A is kept as [vocabulary, rank] */
    struct low_rank head_lora;  /* beside lm_head alone, also where that is the embedding */
    int embed, norm, head;      /* into base; head == embed when tied */
    struct layer *layers;       /* owned */
    float *rope;                /* owned device memory; in it, each [rope_positions, head_dim / 2]: */
    float *cosines, *sines;     /* for keys, and queries, too, unless the config scales them */
    float *q_cosines, *q_sines;
    int64_t rope_positions, rope_seen; /* rope_seen: what the frequencies are for, where they grow */
    struct work work;
    float *logits; /* owned device memory */
    size_t logits_bytes;
    int64_t logits_rows;   /* of the last forward; 0: not asked for */
    struct model *teacher; /* borrowed; NULL: none */
    double temperature, alpha;
    bool distills;        /* in the forward that runs */
    int optimizer_states; /* numbers that the optimizer keeps for each parameter: for plans */
    struct watch *watch;  /* borrowed; NULL: nobody looks */
    /* between forward and backward */
    bool can_backward;
    /* In a backward, when the gradients of a layer are final (those of the head are before the first): NULL: nobody asks */
    void (*layer_done)(void *arg, int64_t layer);
    void *layer_arg;
    bool unweighted; /* a forward with how->weighted: model_weigh_loss comes before backward */
    bool plain;      /* without the adapter */
    float smoothing;
    int64_t rows, sequences, longest, labels;
    int64_t launch_sequences, launch_longest; /* at least those: rounded, so that few shapes come */
    struct recorded recorded[RECORDS];
    uint64_t recorded_uses;
    bool never_recorded; /* it cannot be done here */
    int64_t real_rows;   /* without those of a trained prompt */
    float dropout;
    uint64_t seed;
    const struct kv_cache *cache; /* borrowed during a decode */
    struct kept_adapter *kept;    /* owned */
    size_t n_kept;
    struct run *runs; /* owned, [runs_capacity]: of the decode that runs */
    size_t n_runs, runs_capacity;
};

struct linear_shape {
    const char *path; /* "self_attn.q_proj" */
    int64_t out, in;
};
struct linear_shape model_linear_shape(const struct model_config *c, enum linear_id id);

/* lora_embed.c: what an adapter (of the arena, or of the kept one) adds to embedded rows, from row `from` on, and its
 * gradients: g is that of the embedded rows. work.out is their scratch. */
void embed_lora_forward(struct model *m, const struct arena_of *a, const struct low_rank *part, int64_t from,
                        int64_t rows, float *x);
void embed_lora_backward(struct model *m, const float *g);

enum lc arena_add(struct arena_of *a, const char *name, int64_t rows, int64_t columns, int *index,
                  struct err *err);                                        /* columns 0: one dimension */
enum lc arena_place(struct model *m, struct arena_of *a, struct err *err); /* offsets and the block */
enum lc arena_reserve_grads(struct model *m, struct arena_of *a, struct err *err);
void arena_release(struct model *m, struct arena_of *a);
void *weight_data(const struct arena_of *a, int i);
float *weight_grad(const struct arena_of *a, int i); /* NULL: frozen */
/* A weight of the base, or what the adapter has in its place unless the forward is a plain one. */
struct used {
    void *data;
    float *grad; /* NULL: frozen */
    enum dtype type;
};
struct used weight_used(const struct model *m, int i); /* i -1: none */
struct used head_used(const struct model *m);

/* Does a part by run, or by what was written down when it came with the same key before. */
enum lc recorded_run(const struct ctx *ctx, struct model *m, const struct recorded_key *key,
                     enum lc (*run)(const struct ctx *ctx, void *arg, struct err *err), void *arg,
                     struct err *err) MUST_CHECK;
bool recorded_can(const struct model *m); /* this device can write down operations */
void recorded_release(struct model *m);
void work_release(struct model *m);
/* As model_reserve, of rows in all and without a budget. */
enum lc work_reserve(struct model *m, int64_t rows, int64_t sequences, bool train, int recomputed,
                     struct err *err) MUST_CHECK;
/* Rows that a trained prompt or prefix adds to each sequence; 0 without one, or in a plain forward. */
int64_t model_virtual_rows(const struct model *m);

struct decode {                  /* new tokens on top of a cache */
    const int32_t *ids, *starts; /* as in model_batch */
    const int32_t *past, *slots; /* of each sequence: tokens in the cache, where */
    const int32_t *adapters;     /* of each sequence: 0, or the number of a kept one */
    const int32_t *seen;         /* of each sequence: as the batch's in model_batch */
    int64_t sequences;
    const int32_t *wanted; /* rows whose logits are asked for, ascending */
    int64_t n_wanted;
};

/* model_batch.c: checks a batch and takes it to the device. d: what is said of the cache; NULL: there is none. */
enum lc batch_begin(struct model *m, const struct model_batch *b, bool train, const struct decode *d,
                    struct err *err) MUST_CHECK;
enum lc upload_ints(struct model *m, int32_t *to, const int32_t *from, int64_t n, struct err *err) MUST_CHECK;
int64_t batch_host_ints(int64_t rows, int64_t sequences);
/* rope.c: tables for so many positions; seen: those of the batch that comes, 0: none does. */
enum lc rope_reserve(struct model *m, int64_t positions, int64_t seen, struct err *err) MUST_CHECK;
/* What is added to the positions of a sequence of so many tokens: its frequencies are further down in the tables. */
int64_t rope_shift(const struct model *m, int64_t seen);
void rope_release(struct model *m);

enum lc cache_new(struct model *m, int64_t sequences, int64_t capacity, struct kv_cache *out,
                  struct err *err);
void cache_release(struct model *m, struct kv_cache *c);

/* logits: [n_wanted, vocab] on the host. */
enum lc model_decode(const struct ctx *ctx, struct model *m, struct kv_cache *cache, const struct decode *d,
                     float *logits, struct err *err) MUST_CHECK;
/* kept.c */
int64_t kept_rank(const struct model *m);  /* the largest */
int64_t kept_embed(const struct model *m); /* which of an adapter's parts is the embedding's */
int64_t kept_head(const struct model *m);
size_t kept_bytes(const struct model *m);
void kept_release(struct model *m);
/* The runs of a decode: none when every sequence takes the model as it is. */
enum lc kept_begin(struct model *m, const struct decode *d, struct err *err) MUST_CHECK;
/* A head of its own, beginning as the embedding that it was. Weights move: pointers into the base are void. */
enum lc model_untie(struct model *m, struct err *err) MUST_CHECK;
/* The trainable arena: the adapter's, else the base's. */
struct arena_of *model_arena(struct model *m);
enum lc model_copy_weights(struct model *m, struct arena_of *a, const char *folder, struct err *err);
#endif

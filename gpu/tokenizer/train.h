/* train.h: makes a byte-level BPE tokenizer from texts.
 *
 * What      counts words under Llama 3's splitting pattern, merges the most frequent pair until the
 *           vocabulary is full (ties: the pair with the smaller ids), and writes tokenizer.json and
 *           tokenizer_config.json that lacus, `tokenizers` and `transformers` load and encode with alike. The
 *           same texts in any order give the same files as the Python library's BpeTrainer with the whole
 *           byte alphabet.
 * Ownership everything is borrowed for the call.
 * Units     vocab_size counts special tokens and the 256 bytes.
 * Errors    LC_ARG (a vocabulary smaller than its fixed part), LC_DATA (a text is not UTF-8), LC_CANCELLED,
 *           LC_IO; what the iterator returns is passed on.
 * Threads   one call at a time per iterator.
 *
 * Example:
 *     struct tokenizer_training t = {.vocab_size = 8000, .bos = "<|begin_of_text|>", .eos = "<|end_of_text|>",
 *                                    .pad = "<|pad|>", .add_bos = true};
 *     enum lc rc = tokenizer_train(&ctx, next_line, file, &t, "out/model", &err);
 */
#ifndef LACUS_GPU_TOKENIZER_TRAIN_H
#define LACUS_GPU_TOKENIZER_TRAIN_H
#include "runtime/base/ctx.h"
#include <stddef.h>

/* Sets *text to the next text, borrowed until the next call; NULL at the end. */
typedef enum lc tokenizer_text_fn(void *arg, const char **text, size_t *len, struct err *err);

struct tokenizer_training {
    size_t vocab_size;
    size_t min_frequency;              /* pairs seen less often are not merged; 0: all */
    const char *bos, *eos, *pad;       /* special tokens, ids 0, 1, 2 in this order; NULL: none */
    const char *const *special_tokens; /* further ones, behind these */
    size_t n_special_tokens;
    bool add_bos;              /* encode puts bos in front */
    const char *chat_template; /* for tokenizer_config.json; may be NULL */
    int64_t model_max_length;  /* tokens; 0: not said */
};

enum lc tokenizer_train(const struct ctx *ctx, tokenizer_text_fn *next, void *arg,
                        const struct tokenizer_training *t, const char *folder, struct err *err) MUST_CHECK;
#endif

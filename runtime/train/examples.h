/* examples.h: rows of text as examples of token ids with labels.
 *
 * What      a completion has the tokens that it has behind its prompt, whose own are those that it has alone (so that it
 *           gives the same ids when the model is asked later), the beginning-of-text token is there once, the end-of-text
 *           token is learned; with completion_only the prompt carries no label; what is longer than max_length is
 *           cut at the end. Rows of token ids come as they are, with their own labels;
 *           for them alone tok may be NULL.
 * Ownership examples_load/examples_of give, examples_free ends; the dataset in it is borrowed from it.
 * Units     tokens.
 * Errors    LC_DATA (broken rows, no row carries a label: named; an odd number of rows of pairs), LC_CANCELLED, LC_NOMEM.
 * Threads   one at a time.
 *
 * Example:
 *     struct examples *e;
 *     struct example_options o = {.max_length = 512, .completion_only = true};
 *     if (examples_load(&ctx, tok, "train.rows", &o, &e, &err) == LC_OK)
 *         printf("%lld\n", (long long)examples_dataset(e)->n);
 *     examples_free(e);
 */
#ifndef LACUS_TRAIN_EXAMPLES_H
#define LACUS_TRAIN_EXAMPLES_H
#include "gpu/tokenizer/tokenizer.h"
#include "gpu/trainer.h"
#include "runtime/train/rows.h"

struct example_options {
    int64_t max_length; /* 0: none */
    bool completion_only;
    bool no_eos;
    bool packing; /* sequences share a row of max_length tokens: struct train_dataset's first */
    bool pairs; /* rows come in twos: a prompt with the answer that was chosen, then with the rejected one */
};

/* TOKENIZER_SPECIAL, unless the text begins with the beginning-of-text token already (chat templates write it). */
unsigned examples_flags(const struct tokenizer *tok, const char *text, size_t len);

/* A text that goes on: without the blank that some tokenizers put in front of a text. */
enum lc examples_encode_behind(const struct tokenizer *tok, const char *text, size_t len,
                               struct encoding *enc, struct err *err) MUST_CHECK;

struct examples;
struct examples *examples_new(void);
void examples_free(struct examples *e); /* NULL is fine */
enum lc examples_add(struct examples *e, const struct tokenizer *tok, const struct row *row,
                     const struct example_options *o, struct err *err) MUST_CHECK;
enum lc examples_load(const struct ctx *ctx, const struct tokenizer *tok, const char *path,
                      const struct example_options *o, struct examples **out, struct err *err) MUST_CHECK;
const struct train_dataset *examples_dataset(struct examples *e); /* valid until the next add */
int64_t examples_tokens(const struct examples *e);
int64_t examples_packed(const struct examples *e);  /* sequences, when they are packed; else 0 */
int64_t examples_cut(const struct examples *e);     /* rows longer than max_length */
int64_t examples_longest(const struct examples *e); /* tokens */
#endif

#include "runtime/train/score.h"
#include "runtime/base/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEQUENCES = 32, ROWS_MOST = 4096 };

/* ---- batches without padding ----------------------------------------------------------------------------- */

struct batch {
    int32_t *ids, *labels, *starts; /* owned */
    int64_t rows, sequences, rows_cap, sequences_cap;
};

static void batch_release(struct batch *b)
{
    mem_free(b->ids);
    mem_free(b->labels);
    mem_free(b->starts);
    *b = (struct batch){0};
}

static bool grow(int32_t **p, int64_t n)
{
    int32_t *q = mem_reallocn(*p, (size_t)n, sizeof *q);

    if (q)
        *p = q;
    return q != NULL;
}

static enum lc batch_start(struct batch *b, struct err *err)
{
    if (b->sequences_cap < b->sequences + 2) {
        b->sequences_cap = b->sequences * 2 + SEQUENCES + 2;
        if (!grow(&b->starts, b->sequences_cap))
            return err_nomem(err);
    }
    b->starts[0] = 0;
    b->starts[++b->sequences] = (int32_t)b->rows;
    return LC_OK;
}

/* To the sequence that was started last. labels NULL: none. */
static enum lc batch_put(struct batch *b, const int32_t *ids, const int32_t *labels, size_t n,
                         struct err *err)
{
    if (b->rows_cap < b->rows + (int64_t)n) {
        b->rows_cap = (b->rows + (int64_t)n) * 2;
        if (!grow(&b->ids, b->rows_cap) || !grow(&b->labels, b->rows_cap))
            return err_nomem(err);
    }
    memcpy(b->ids + b->rows, ids, n * sizeof *ids);
    memcpy(b->labels + b->rows, labels ? labels : ids, n * sizeof *ids);
    b->rows += (int64_t)n;
    b->starts[b->sequences] = (int32_t)b->rows;
    return LC_OK;
}

static void batch_clear(struct batch *b)
{
    b->rows = b->sequences = 0;
}

static struct model_batch view(const struct batch *b, bool labels)
{
    return (struct model_batch){.rows = b->rows,
                                .sequences = b->sequences,
                                .ids = b->ids,
                                .labels = labels ? b->labels : NULL,
                                .starts = b->starts};
}

/* ---- loss ------------------------------------------------------------------------------------------------ */

enum lc score_loss(const struct ctx *ctx, struct model *m, const struct train_dataset *data, int64_t batch,
                   double smoothing, double *loss, struct err *err)
{
    struct model_forward how = {.label_smoothing = smoothing};
    struct batch b = {0};
    struct model_loss l = {0};
    double sum = 0, counted = 0;
    enum lc rc = data->n > 0 ? LC_OK : err_set(err, LC_ARG, "cannot evaluate: the dataset has no rows");

    for (int64_t i = 0; rc == LC_OK && i < data->n; i += batch) {
        batch_clear(&b);
        for (int64_t k = i; rc == LC_OK && k < i + batch && k < data->n; k++) {
            const struct train_example *e = &data->examples[k];
            rc = batch_start(&b, err);
            if (rc == LC_OK)
                rc = batch_put(&b, e->input_ids, e->labels, (size_t)e->n, err);
        }
        if (rc == LC_OK) {
            struct model_batch v = view(&b, true);
            rc = model_forward(ctx, m, &v, &how, &l, err);
        }
        sum += l.mean * (double)b.sequences;
        counted +=
            l.labels ? (double)b.sequences : 0; /* a batch without labels says nothing, as in Trainer */
    }
    batch_release(&b);
    if (rc == LC_OK && counted <= 0)
        rc = err_set(err, LC_DATA, "cannot evaluate: no row of the dataset carries a label");
    *loss = rc == LC_OK ? sum / counted : (double)NAN;
    return rc;
}

/* ---- choices --------------------------------------------------------------------------------------------- */

struct candidate {
    size_t choice;
    double first; /* log-probability of its first token: no less than that of all of it */
};

struct chooser {
    const struct ctx *ctx;
    struct model *model;
    const struct score_text *prompts, *choices;
    size_t n, n_choices, keep;
    int64_t vocab;
    struct candidate *order; /* owned: [n][n_choices], likeliest first token first */
    size_t *next;            /* owned: the candidate of each prompt that is looked at next */
    double *value;           /* owned: log-probability of the best so far */
    size_t *best;
    float *row; /* owned: one row of logits */
    struct batch batch;
};

static double log_sum(const float *x, int64_t n)
{
    double most = -INFINITY, sum = 0;

    for (int64_t i = 0; i < n; i++)
        most = (double)x[i] > most ? (double)x[i] : most;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)x[i] - most);
    return most + log(sum);
}

static struct score_text tail(const struct chooser *c, size_t i)
{
    struct score_text t = c->prompts[i];

    if (c->keep && t.n > c->keep) {
        t.ids += t.n - c->keep;
        t.n = c->keep;
    }
    return t;
}

static enum lc forward(struct chooser *c, struct tensor *logits, struct err *err)
{
    struct model_batch v = view(&c->batch, false);

    TRY(model_forward(c->ctx, c->model, &v, &(struct model_forward){.logits = true}, NULL, err));
    return model_logits(c->model, logits, err);
}

static int by_first(const void *a, const void *b)
{
    double x = ((const struct candidate *)a)->first, y = ((const struct candidate *)b)->first;

    return x < y ? 1 : x > y ? -1 : 0;
}

/* The prompts from..to: what they say of every choice's first token. */
static enum lc rank(struct chooser *c, size_t from, size_t to, struct err *err)
{
    struct tensor logits;

    batch_clear(&c->batch);
    for (size_t i = from; i < to; i++) {
        struct score_text t = tail(c, i);
        TRY(batch_start(&c->batch, err));
        TRY(batch_put(&c->batch, t.ids, NULL, t.n, err));
    }
    TRY(forward(c, &logits, err));
    for (size_t i = from; i < to; i++) {
        struct candidate *o = c->order + i * c->n_choices;
        double total;
        TRY(tensor_read(&logits, (c->batch.starts[i - from + 1] - 1) * c->vocab, c->vocab, c->row, err));
        total = log_sum(c->row, c->vocab);
        for (size_t k = 0; k < c->n_choices; k++)
            o[k] = (struct candidate){k, (double)c->row[c->choices[k].ids[0]] - total};
        qsort(o, c->n_choices, sizeof *o, by_first);
    }
    return LC_OK;
}

static enum lc rank_all(struct chooser *c, struct err *err)
{
    for (size_t i = 0; i < c->n;) {
        size_t end = i, rows = 0;
        while (end < c->n && end - i < SEQUENCES && (end == i || rows + c->prompts[end].n < ROWS_MOST))
            rows += c->prompts[end++].n;
        TRY(rank(c, i, end, err));
        i = end;
    }
    return LC_OK;
}

/* A candidate's log-probability from the rows of its sequence. */
static enum lc sum_up(struct chooser *c, const struct tensor *logits, int64_t start, size_t prompt,
                      const struct candidate *k, double *out, struct err *err)
{
    const struct score_text *choice = &c->choices[k->choice];

    *out = k->first;
    for (size_t t = 1; t < choice->n; t++) {
        TRY(tensor_read(logits, (start + (int64_t)(prompt + t) - 1) * c->vocab, c->vocab, c->row, err));
        *out += (double)c->row[choice->ids[t]] - log_sum(c->row, c->vocab);
    }
    return LC_OK;
}

static bool open_candidate(const struct chooser *c, size_t i)
{
    return c->next[i] < c->n_choices && c->order[i * c->n_choices + c->next[i]].first > c->value[i];
}

/* The next candidate of up to SEQUENCES prompts in one batch. */
static enum lc look(struct chooser *c, const size_t *who, size_t n, struct err *err)
{
    struct tensor logits;

    batch_clear(&c->batch);
    for (size_t j = 0; j < n; j++) {
        struct score_text t = tail(c, who[j]);
        const struct score_text *choice =
            &c->choices[c->order[who[j] * c->n_choices + c->next[who[j]]].choice];
        TRY(batch_start(&c->batch, err));
        TRY(batch_put(&c->batch, t.ids, NULL, t.n, err));
        TRY(batch_put(&c->batch, choice->ids, NULL, choice->n - 1,
                      err)); /* nothing is asked after its last token */
    }
    TRY(forward(c, &logits, err));
    for (size_t j = 0; j < n; j++) {
        size_t i = who[j];
        const struct candidate *k = &c->order[i * c->n_choices + c->next[i]++];
        double value;
        TRY(sum_up(c, &logits, c->batch.starts[j], tail(c, i).n, k, &value, err));
        if (value > c->value[i]) {
            c->value[i] = value;
            c->best[i] = k->choice;
        }
    }
    return LC_OK;
}

static enum lc look_all(struct chooser *c, struct err *err)
{
    size_t who[SEQUENCES], n = 1;

    while (n) {
        size_t rows = 0;
        n = 0;
        for (size_t i = 0; i < c->n && n < SEQUENCES && rows < ROWS_MOST; i++)
            if (open_candidate(c, i)) {
                who[n++] = i;
                rows += c->prompts[i].n;
            }
        if (n)
            TRY(look(c, who, n, err));
    }
    return LC_OK;
}

static enum lc check_texts(const struct chooser *c, struct err *err)
{
    for (size_t k = 0; k < c->n_choices; k++)
        if (c->choices[k].n == 0)
            return err_set(err, LC_ARG, "choice %zu has no tokens", k + 1);
    for (size_t i = 0; i < c->n; i++)
        if (c->prompts[i].n == 0)
            return err_set(err, LC_ARG, "prompt %zu has no tokens", i + 1);
    for (size_t k = 0; k < c->n_choices; k++)
        for (size_t t = 0; t < c->choices[k].n; t++)
            if (c->choices[k].ids[t] < 0 || c->choices[k].ids[t] >= c->vocab)
                return err_set(err, LC_ARG, "choice %zu has a token outside the model's vocabulary", k + 1);
    return c->n && c->n_choices ? LC_OK : err_set(err, LC_ARG, "cannot choose: no prompts or no choices");
}

enum lc score_choices(const struct ctx *ctx, struct model *m, const struct score_text *prompts, size_t n,
                      const struct score_text *choices, size_t n_choices, int64_t max_length, size_t *best,
                      double *logprob, struct err *err)
{
    struct chooser c = {.ctx = ctx,
                        .model = m,
                        .prompts = prompts,
                        .choices = choices,
                        .n = n,
                        .n_choices = n_choices,
                        .keep = (size_t)max_length,
                        .vocab = model_get_config(m)->vocab_size,
                        .best = best};
    enum lc rc = check_texts(&c, err);

    if (rc != LC_OK)
        return rc;
    c.order = mem_calloc(n * n_choices, sizeof *c.order);
    c.next = mem_calloc(n, sizeof *c.next);
    c.value = mem_calloc(n, sizeof *c.value);
    c.row = mem_calloc((size_t)c.vocab, sizeof *c.row);
    rc = c.order && c.next && c.value && c.row ? LC_OK : err_nomem(err);
    for (size_t i = 0; rc == LC_OK && i < n; i++) {
        c.value[i] = -INFINITY;
        best[i] = 0;
    }
    if (rc == LC_OK)
        rc = rank_all(&c, err);
    if (rc == LC_OK)
        rc = look_all(&c, err);
    for (size_t i = 0; rc == LC_OK && logprob && i < n; i++)
        logprob[i] = c.value[i];
    mem_free(c.order);
    mem_free(c.next);
    mem_free(c.value);
    mem_free(c.row);
    batch_release(&c.batch);
    return rc;
}

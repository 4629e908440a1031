/* model_batch.c: what a batch is, on the host and on the device. A prompt or prefix that is trained takes rows of its own
 * in front of each sequence: attention, positions and losses then need no case for it. */
#include "gpu/model_int.h"
#include "runtime/base/mem.h"
#include <string.h>

static enum lc batch_check(const struct model *m, const struct model_batch *b, struct err *err)
{
    if (b->rows < 1 || b->sequences < 1 || b->rows > INT32_MAX / 2 || b->starts[0] != 0 ||
        b->starts[b->sequences] != b->rows)
        return err_set(err, LC_ARG,
                       "cannot run the model: the batch has no tokens, or its sequences do not cover them");
    for (int64_t s = 0; s < b->sequences; s++)
        if (b->starts[s + 1] <= b->starts[s])
            return err_set(err, LC_ARG, "cannot run the model: sequence %lld is empty", (long long)s);
    for (int64_t i = 0; i < b->rows; i++) {
        if (b->ids[i] < 0 || b->ids[i] >= m->config.vocab_size)
            return err_set(err, LC_DATA, "token %d at place %lld is outside the vocabulary of %lld",
                           b->ids[i], (long long)i, (long long)m->config.vocab_size);
        if (b->labels && b->labels[i] != -100 && (b->labels[i] < 0 || b->labels[i] >= m->config.vocab_size))
            return err_set(err, LC_DATA, "label %d at place %lld is outside the vocabulary of %lld",
                           b->labels[i], (long long)i, (long long)m->config.vocab_size);
        if (b->positions && (b->positions[i] < 0 || b->positions[i] > 1 << 28))
            return err_set(err, LC_ARG, "position %d at place %lld is out of range", b->positions[i],
                           (long long)i);
    }
    return LC_OK;
}

/* The lists of a batch on the host, one after the other. */
struct lists {
    int32_t *positions, *index, *targets, *ids; /* [rows] */
    int32_t *starts, *past;                     /* [sequences + 1], [sequences] */
};

int64_t batch_host_ints(int64_t rows, int64_t sequences)
{
    return 4 * rows + 3 * sequences + 4;
}

static struct lists lists_of(const struct work *w)
{
    struct lists l = {.positions = w->host};

    l.index = l.positions + w->rows;
    l.targets = l.index + w->rows;
    l.ids = l.targets + w->rows;
    l.starts = l.ids + w->rows;
    l.past = l.starts + w->sequences + 1;
    return l;
}

/* Rows of the prompt in front of a sequence: those that are in the cache already are not made again. */
static int64_t rows_ahead(const struct model *m, const int32_t *past, int64_t s)
{
    return past && past[s] > 0 ? 0 : model_virtual_rows(m);
}

static void ahead(struct model *m, struct lists *l, int64_t s, int32_t *at, int64_t n)
{
    m->work.prompt_at[s] = n ? *at : -1;
    for (int32_t i = 0; i < n; i++, (*at)++) {
        l->ids[*at] = 0;
        l->positions[*at] = i;
    }
}

/* One sequence, from row *at on; returns its largest position. */
static int64_t add_sequence(struct model *m, struct lists *l, const struct model_batch *b,
                            const int32_t *past, int64_t s, int32_t *at)
{
    int32_t from = b->starts[s], to = b->starts[s + 1], shift = (int32_t)model_virtual_rows(m);
    int64_t most = 0;

    l->starts[s] = *at;
    l->past[s] = past && past[s] > 0 ? past[s] + shift : 0;
    ahead(m, l, s, at, rows_ahead(m, past, s));
    for (int32_t i = from; i < to; i++, (*at)++) {
        l->ids[*at] = b->ids[i];
        l->positions[*at] = shift + (b->positions ? b->positions[i] : i - from + (past ? past[s] : 0));
        most = l->positions[*at] > most ? l->positions[*at] : most;
        m->work.real[i] = *at;
        if (!b->labels || i + 1 >= to || b->labels[i + 1] == -100)
            continue;
        l->index[m->labels] = *at; /* this row predicts the next token */
        l->targets[m->labels++] = b->labels[i + 1];
    }
    m->longest = *at - l->starts[s] > m->longest ? *at - l->starts[s] : m->longest;
    return most;
}

enum lc upload_ints(struct model *m, int32_t *to, const int32_t *from, int64_t n, struct err *err)
{
    return m->backend->ops->upload(m->backend->state, NULL, to, from, (size_t)n * sizeof *from, err);
}

static enum lc upload_lists(struct model *m, const struct lists *l, bool past, struct err *err)
{
    struct work *w = &m->work;

    TRY(upload_ints(m, w->ids, l->ids, m->rows, err));
    TRY(upload_ints(m, w->starts, l->starts, m->launch_sequences + 1, err));
    TRY(upload_ints(m, w->positions, l->positions, m->rows, err));
    TRY(upload_ints(m, w->index, l->index, m->labels, err));
    TRY(upload_ints(m, w->targets, l->targets, m->labels, err));
    return past ? upload_ints(m, w->past, l->past, m->sequences, err) : LC_OK;
}

static int64_t rounded_up(int64_t n, int64_t least, int64_t most)
{
    int64_t to = least;

    while (to < n)
        to *= 2;
    return to < most ? to : most;
}

/* A device that repeats what was written down wants equal shapes: some more sequences, which are empty, and a bound of
 * their length. */
static void round_shape(struct model *m, struct lists *l, bool train)
{
    m->launch_sequences = m->sequences;
    m->launch_longest = m->longest;
    if (!train || !recorded_can(m))
        return;
    m->launch_sequences = rounded_up(m->sequences, 8, m->work.sequences);
    m->launch_longest = rounded_up(m->longest, 256, m->rows);
    for (int64_t s = m->sequences; s < m->launch_sequences; s++)
        l->starts[s + 1] = (int32_t)m->rows;
}

/* LongRoPE: a forward has the frequencies of its longest sequence, as in transformers; of a cache each sequence has its own. */
static void choose_frequencies(const struct model *m, const struct lists *l, const struct decode *d,
                               int64_t seen)
{
    for (int64_t s = 0; s < m->sequences; s++) {
        int64_t shift = rope_shift(m, d ? d->seen[s] + model_virtual_rows(m) : seen);

        for (int32_t i = l->starts[s]; i < l->starts[s + 1]; i++)
            l->positions[i] += (int32_t)shift;
    }
}

enum lc batch_begin(struct model *m, const struct model_batch *b, bool train, const struct decode *d,
                    struct err *err)
{
    const int32_t *past = d ? d->past : NULL;
    struct work *w = &m->work;
    int64_t rows = b->rows, most = 0, seen;
    struct lists l;
    int32_t at = 0;

    TRY(batch_check(m, b, err));
    for (int64_t s = 0; s < b->sequences; s++)
        rows += rows_ahead(m, past, s);
    if (rows > w->rows || b->sequences > w->sequences || (train && !w->train))
        TRY(work_reserve(m, rows > w->rows ? rows : w->rows,
                         b->sequences > w->sequences ? b->sequences : w->sequences, train || w->train,
                         w->recomputed, err));
    if (train)
        TRY(arena_reserve_grads(m, model_arena(m), err));
    l = lists_of(w);
    m->labels = m->longest = 0;
    for (int64_t s = 0; s < b->sequences; s++) {
        int64_t last = add_sequence(m, &l, b, past, s, &at);

        most = last > most ? last : most;
    }
    l.starts[b->sequences] = at;
    seen = b->seen ? b->seen + model_virtual_rows(m) : 0;
    seen = seen > most ? seen : most + 1;
    TRY(rope_reserve(m, most + 1, seen, err));
    m->rows = at;
    m->real_rows = b->rows;
    m->sequences = b->sequences;
    choose_frequencies(m, &l, d, seen);
    round_shape(m, &l, train);
    return upload_lists(m, &l, past != NULL, err);
}

/* ---- padded batches ---- */
enum lc model_pack(const int64_t *ids, const int64_t *mask, const int64_t *labels, int64_t n, int64_t length,
                   struct model_packed *out, struct err *err)
{
    size_t places = (size_t)(n * length);
    int32_t *memory = n > 0 && length > 0 && n < INT32_MAX / length / 4
                          ? mem_reallocn(NULL, places * 3 + (size_t)n + 1, sizeof *memory)
                          : NULL;
    int32_t *packed = memory, *packed_labels = memory + places, *row_of = packed_labels + places,
            *starts = row_of + places;
    int32_t rows = 0, sequences = 0;

    if (!memory)
        return n > 0 && length > 0 ? err_nomem(err)
                                   : err_set(err, LC_ARG, "cannot run the model: the batch is empty");
    for (int64_t s = 0; s < n; s++) {
        int32_t before = rows;

        for (int64_t i = s * length; i < (s + 1) * length; i++) {
            row_of[i] = mask && !mask[i] ? -1 : rows;
            if (row_of[i] < 0)
                continue;
            packed[rows] = ids[i] < INT32_MIN || ids[i] > INT32_MAX ? -1 : (int32_t)ids[i];
            packed_labels[rows++] = !labels                                     ? -100
                                    : labels[i] < -100 || labels[i] > INT32_MAX ? -1
                                                                                : (int32_t)labels[i];
        }
        if (rows > before)
            starts[sequences++] = before;
    }
    starts[sequences] = rows;
    *out = (struct model_packed){.memory = memory, .row_of = row_of};
    out->batch = (struct model_batch){.rows = rows,
                                      .sequences = sequences,
                                      .ids = packed,
                                      .labels = labels ? packed_labels : NULL,
                                      .starts = starts,
                                      .seen = length};
    return LC_OK;
}

void model_packed_release(struct model_packed *p)
{
    mem_free(p->memory);
    *p = (struct model_packed){0};
}

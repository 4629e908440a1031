/* kept.c: LoRA adapters that are kept beside a base, and which rows of a batch take which. */
#include "gpu/adapter.h"
#include "gpu/model_int.h"
#include "runtime/base/mem.h"

size_t adapter_kept(const struct model *m)
{
    return m->n_kept;
}

int64_t kept_embed(const struct model *m)
{
    return m->config.num_hidden_layers * LIN_COUNT;
}

int64_t kept_head(const struct model *m)
{
    return kept_embed(m) + 1;
}

static size_t kept_parts(const struct model *m)
{
    return (size_t)kept_head(m) + 1;
}

int64_t kept_rank(const struct model *m)
{
    int64_t most = 0;

    for (size_t k = 0; k < m->n_kept; k++)
        for (int64_t i = 0; i < (int64_t)kept_parts(m); i++) {
            const struct low_rank *part = &m->kept[k].parts[i];

            most = part->a >= 0 && part->rank > most ? part->rank : most;
        }
    return most;
}

size_t kept_bytes(const struct model *m)
{
    size_t bytes = 0;

    for (size_t k = 0; k < m->n_kept; k++)
        bytes += m->kept[k].arena.bytes;
    return bytes;
}

void kept_release(struct model *m)
{
    for (size_t k = 0; k < m->n_kept; k++) {
        arena_release(m, &m->kept[k].arena);
        mem_free(m->kept[k].parts);
    }
    mem_free(m->kept);
    mem_free(m->runs);
    m->kept = NULL;
    m->runs = NULL;
    m->n_kept = m->n_runs = m->runs_capacity = 0;
}

/* ---- keeping ---- */
static enum lc check_keep(const struct model *m, struct err *err)
{
    if (!m->lora)
        return err_set(err, m->prompt ? LC_UNSUPPORTED : LC_ARG, "cannot keep %s beside other adapters",
                       m->prompt ? "a trained prompt or prefix" : "nothing");
    if (m->lora->use_dora)
        return err_set(err, LC_UNSUPPORTED, "cannot keep an adapter with DoRA beside other adapters");
    for (size_t i = 0; i < m->adapter.n; i++)
        if (m->adapter.weights[i].copy_of >= 0)
            return err_set(
                err, LC_UNSUPPORTED,
                "cannot keep an adapter that trained '%s' itself (modules_to_save, bias) beside others",
                m->base.weights[m->adapter.weights[i].copy_of].name);
    return LC_OK;
}

static void take_parts(struct model *m, struct low_rank *parts)
{
    for (int64_t l = 0; l < m->config.num_hidden_layers; l++)
        for (int i = 0; i < LIN_COUNT; i++) {
            const struct linear *lin = &m->layers[l].linear[i];

            parts[l * LIN_COUNT + i] = (struct low_rank){lin->lora_a, lin->lora_b, lin->rank, lin->scale};
        }
    parts[kept_embed(m)] = m->embed_lora;
    parts[kept_head(m)] = m->head_lora;
}

enum lc adapter_keep(struct model *m, size_t *number, struct err *err)
{
    struct low_rank *parts;
    struct kept_adapter *more;

    if (check_keep(m, err) != LC_OK)
        return err_hint(err, "merge it into its base, and serve that alone");
    parts = mem_calloc(kept_parts(m), sizeof *parts);
    more = mem_reallocn(m->kept, m->n_kept + 1, sizeof *more);
    m->kept = more ? more : m->kept;
    if (!parts || !more) {
        mem_free(parts);
        return err_nomem(err);
    }
    take_parts(m, parts);
    m->adapter.trainable = false;
    m->kept[m->n_kept++] = (struct kept_adapter){m->adapter, parts};
    m->adapter = (struct arena_of){0}; /* so that what is detached has no weights to release */
    lora_detach(m);
    *number = m->n_kept;
    return LC_OK;
}

/* ---- decoding ---- */
static bool same(const struct decode *d, int64_t s)
{
    return s > 0 && d->adapters[s] == d->adapters[s - 1];
}

enum lc kept_begin(struct model *m, const struct decode *d, struct err *err)
{
    bool any = false;
    struct run *more;

    m->n_runs = 0;
    for (int64_t s = 0; s < d->sequences; s++)
        any = any || d->adapters[s] > 0;
    if (!any)
        return LC_OK;
    if ((size_t)d->sequences > m->runs_capacity) {
        more = mem_reallocn(m->runs, (size_t)d->sequences, sizeof *more);
        if (!more)
            return err_nomem(err);
        m->runs = more;
        m->runs_capacity = (size_t)d->sequences;
    }
    for (int64_t s = 0; s < d->sequences; s++) {
        int64_t rows = d->starts[s + 1] - d->starts[s];

        if (same(d, s))
            m->runs[m->n_runs - 1].rows += rows;
        else
            m->runs[m->n_runs++] =
                (struct run){d->adapters[s] ? &m->kept[d->adapters[s] - 1] : NULL, d->starts[s], rows};
    }
    return LC_OK;
}

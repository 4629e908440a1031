/* model_record.c: a training step's operations as the device repeats them (CUDA graphs). The first time a shape comes its
 * operations are done one by one, and memory that they need for themselves is taken; the second time they are written down;
 * from then on they are replayed. What changes from step to step must be memory: batches, weights, gradients. Where an argument
 * itself changes (the seed of a dropout, adapters of a decode), somebody looks at results, or gradients leave layer by layer,
 * operations are done one by one. */
#include "gpu/model_int.h"
#include <string.h>

enum { MADE_MOST = 32 }; /* of one shape: memory keeps moving, so it is not worth it */

bool recorded_can(const struct model *m)
{
    return m->backend->ops->record_begin && !m->never_recorded;
}

/* True: the key says all that the operations depend on. */
static bool repeats(const struct model *m, const struct recorded_key *key)
{
    return recorded_can(m) && !m->watch && !m->cache && !m->prompt && m->n_runs == 0 && m->dropout <= 0 &&
           !(key->part == RECORDED_BACKWARD && m->layer_done);
}

static void drop(const struct model *m, struct recorded *r)
{
    if (r->record)
        m->backend->ops->record_free(m->backend->state, r->record);
    r->record = NULL;
}

void recorded_release(struct model *m)
{
    for (int i = 0; i < RECORDS; i++)
        drop(m, &m->recorded[i]);
}

/* The one with this key, or the one that was used the longest ago, made empty. */
static struct recorded *slot_of(struct model *m, const struct recorded_key *key)
{
    struct recorded *oldest = &m->recorded[0];

    for (int i = 0; i < RECORDS; i++) {
        if (m->recorded[i].seen && memcmp(&m->recorded[i].key, key, sizeof *key) == 0)
            return &m->recorded[i];
        oldest = m->recorded[i].used < oldest->used ? &m->recorded[i] : oldest;
    }
    drop(m, oldest);
    *oldest = (struct recorded){.key = *key};
    return oldest;
}

/* An error of run is one; that nothing could be written down is none: r->record stays NULL. */
static enum lc write_down(const struct ctx *ctx, struct model *m, struct recorded *r,
                          enum lc (*run)(const struct ctx *ctx, void *arg, struct err *err), void *arg,
                          struct err *err)
{
    const struct backend_ops *ops = m->backend->ops;
    struct err why;
    enum lc code;

    drop(m, r);
    r->made++;
    if (ops->record_begin(m->backend->state, &why) != LC_OK) {
        m->never_recorded = true;
        return LC_OK;
    }
    code = run(ctx, arg, err);
    if (ops->record_end(m->backend->state, &r->record, &why) != LC_OK)
        r->record = NULL;
    if (code != LC_OK)
        drop(m, r);
    return code;
}

enum lc recorded_run(const struct ctx *ctx, struct model *m, const struct recorded_key *key,
                     enum lc (*run)(const struct ctx *ctx, void *arg, struct err *err), void *arg,
                     struct err *err)
{
    const struct backend_ops *ops = m->backend->ops;
    struct recorded *r;

    if (!repeats(m, key))
        return run(ctx, arg, err);
    r = slot_of(m, key);
    r->used = ++m->recorded_uses;
    if (r->record && ops->replay(m->backend->state, r->record))
        return LC_OK;
    if (r->seen++ > 0 && r->made < MADE_MOST) {
        TRY(write_down(ctx, m, r, run, arg, err));
        if (r->record && ops->replay(m->backend->state, r->record))
            return LC_OK;
    }
    return run(ctx, arg, err);
}

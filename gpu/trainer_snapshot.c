/* trainer_snapshot.c: checkpoints written beside the steps: what a checkpoint holds is copied to host memory, and a thread
 * writes the copy. */
#include "gpu/trainer_int.h"
#include "runtime/base/mem.h"
#include "runtime/base/thread.h"
#include <pthread.h>
#include <string.h>

/* Copies of the trainer, its model and its optimizer that share all that never changes: names, shapes, arguments. */
struct saving {
    struct trainer t;
    struct model m;
    struct backend *host; /* owned: where the copied numbers are */
    pthread_t thread;
    atomic_bool ended;
    enum lc code;
    struct err err;
};

static void saving_free(struct saving *s)
{
    struct arena_of *a = model_arena(&s->m);

    optimizer_free(s->t.optimizer);
    if (s->host)
        s->host->ops->release(s->host->state, a->block, a->bytes);
    backend_close(s->host);
    json_decref(s->t.history);
    mem_free(s->t.best_folder);
    mem_free(s);
}

static enum lc copy_numbers(struct saving *s, const struct trainer *t, struct err *err)
{
    const struct backend *from = t->m->backend;
    struct arena_of *a;

    s->m = *t->m;
    a = model_arena(&s->m);
    a->block = NULL;
    s->m.backend = s->host;
    TRY(s->host->ops->alloc(s->host->state, a->bytes, &a->block, err));
    TRY(from->ops->sync(from->state, NULL, err));
    TRY(from->ops->download(from->state, NULL, a->block, model_arena(t->m)->block, a->bytes, err));
    return optimizer_copy(t->optimizer, &s->m, &s->t.optimizer, err);
}

static enum lc copy_trainer(struct saving *s, const struct trainer *t, struct err *err)
{
    s->t = *t;
    s->t.m = &s->m;
    s->t.optimizer = NULL;
    s->t.saving = NULL;
    s->t.history = json_deep_copy(t->history);
    s->t.best_folder = t->best_folder ? mem_strdup(t->best_folder) : NULL;
    if (!s->t.history || (t->best_folder && !s->t.best_folder))
        return err_nomem(err);
    return copy_numbers(s, t, err);
}

static void *write_it(void *arg)
{
    struct saving *s = arg;
    struct ctx ctx = ctx_background(); /* one that was begun is finished */
    char *folder = NULL;

    s->code = checkpoint_save(&ctx, &s->t, &folder, &s->err);
    if (s->code == LC_OK && s->t.callbacks.saved)
        s->t.callbacks.saved(s->t.callbacks.arg, folder, s->t.state.step);
    mem_free(folder);
    atomic_store(&s->ended, true);
    return NULL;
}

/* Half of what is free may be used: the files pass through memory, too. */
static bool has_room(const struct trainer *t)
{
    struct backend_memory memory;
    size_t bytes = model_arena(t->m)->bytes * (1 + (size_t)t->m->optimizer_states);

    if (!t->m->backend->ops->host_visible)
        return true;
    t->m->backend->ops->memory(t->m->backend->state, &memory);
    return bytes <= memory.free / 2;
}

/* As checkpoints were written before. */
static enum lc write_now(struct trainer *t, struct err *err)
{
    struct ctx ctx = ctx_background();
    char *folder = NULL;

    TRY(checkpoint_save(&ctx, t, &folder, err));
    if (t->callbacks.saved)
        t->callbacks.saved(t->callbacks.arg, folder, t->state.step);
    mem_free(folder);
    return LC_OK;
}

enum lc saving_begin(struct trainer *t, struct err *err)
{
    struct saving *s;
    enum lc code;

    TRY(saving_check(t, true, err));
    if (!has_room(t))
        return write_now(t, err);
    s = mem_zalloc(sizeof *s);
    if (!s)
        return err_nomem(err);
    s->m = *t->m;
    model_arena(&s->m)->block = NULL;
    code = backend_open("ref", &(struct backend_options){.threads = 1}, &s->host, err);
    if (code == LC_OK)
        code = copy_trainer(s, t, err);
    if (code == LC_OK && thread_start(&s->thread, write_it, s) != 0)
        code = err_set(err, LC_NOMEM, "cannot start a thread for a checkpoint");
    if (code == LC_OK)
        t->saving = s;
    else
        saving_free(s);
    return code;
}

enum lc saving_check(struct trainer *t, bool wait, struct err *err)
{
    struct saving *s = t->saving;
    enum lc code;

    if (!s || (!wait && !atomic_load(&s->ended)))
        return LC_OK;
    pthread_join(s->thread, NULL);
    t->saving = NULL;
    code = s->code;
    if (code != LC_OK && err)
        *err = s->err;
    if (code != LC_OK)
        t->saved_step = -1;
    saving_free(s);
    return code;
}

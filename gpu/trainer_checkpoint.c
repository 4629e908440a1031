/* trainer_checkpoint.c: checkpoint-N folders: made beside, then renamed, so that one is whole or not there. */
#include "gpu/adapter.h"
#include "gpu/trainer_int.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE_FILE     "trainer_state.json"
#define OPTIMIZER_FILE "optimizer.safetensors"
enum { STATE_MAX = 64 << 20 };

/* ---- names ---- */
static int64_t checkpoint_step(const char *name)
{
    char *end;
    long long step;

    if (strncmp(name, "checkpoint-", 11) != 0 || name[11] < '0' || name[11] > '9')
        return -1;
    step = strtoll(name + 11, &end, 10);
    return *end ? -1 : step;
}

static bool is_whole(const char *folder)
{
    char *state = fs_join(folder, STATE_FILE);
    bool whole = state && fs_exists(state);

    mem_free(state);
    return whole;
}

char *trainer_last_checkpoint(const char *output_dir)
{
    char **names = NULL, *best = NULL;
    size_t n = 0;
    int64_t newest = -1;

    if (fs_list(output_dir, &names, &n, NULL) != LC_OK)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        int64_t step = checkpoint_step(names[i]);
        char *path = step > newest ? fs_join(output_dir, names[i]) : NULL;

        if (path && is_whole(path)) {
            mem_free(best);
            best = path;
            newest = step;
        } else {
            mem_free(path);
        }
    }
    fs_free_list(names, n);
    return best;
}

/* ---- trainer_state.json ---- */
static json_t *plateau_json(const struct trainer *t)
{
    const struct plateau *p = &t->plateau;

    return json_pack("{s:f, s:I, s:I, s:o}", "scale", p->scale, "bad", (json_int_t)p->bad, "cooling",
                     (json_int_t)p->cooling, "best", isnan(p->best) ? json_null() : json_real(p->best));
}

/* Of the steps since the last log, as is window_loss. */
static json_t *rewards_json(const struct preference_sums *r)
{
    return json_pack("{s:I, s:I, s:f, s:f}", "pairs", (json_int_t)r->pairs, "right", (json_int_t)r->right,
                     "chosen", r->chosen, "rejected", r->rejected);
}

static struct preference_sums rewards_from(const json_t *o) /* all 0 where there are none */
{
    return (struct preference_sums){.pairs = json_integer_value(json_object_get(o, "pairs")),
                                    .right = json_integer_value(json_object_get(o, "right")),
                                    .chosen = json_number_value(json_object_get(o, "chosen")),
                                    .rejected = json_number_value(json_object_get(o, "rejected"))};
}

static json_t *state_json(const struct trainer *t)
{
    const struct train_state *s = &t->state;
    json_t *args = training_args_to_json(&t->args);
    json_t *best = isnan(s->best_metric) ? json_null() : json_real(s->best_metric);

    return json_pack(
        "{s:I, s:f, s:I, s:f, s:I, s:o, s:s?, s:O, s:{s:f, s:I, s:o, s:I, s:I, s:f, s:I, s:o, s:I, s:o}}",
        "global_step", (json_int_t)s->step, "epoch", s->epoch, "max_steps", (json_int_t)s->total_steps,
        "num_train_epochs", t->args.num_train_epochs, "train_batch_size",
        (json_int_t)t->args.per_device_train_batch_size, "best_metric", best, "best_model_checkpoint",
        t->best_folder, "log_history", t->history, "lacus", "window_loss", t->window_loss, "window_steps",
        (json_int_t)t->window_steps, "window_rewards", rewards_json(&t->window_rewards), "tokens",
        (json_int_t)s->tokens, "examples", (json_int_t)t->train.n, "seconds", s->seconds, "timed_total",
        (json_int_t)t->timed_total, "plateau", plateau_json(t), "not_worth", (json_int_t)t->not_worth, "args",
        args);
}

static enum lc write_state(const struct trainer *t, const char *folder, struct err *err)
{
    json_t *root = state_json(t);
    char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : NULL;
    char *path = fs_join(folder, STATE_FILE);
    enum lc code = text && path ? fs_write(path, text, strlen(text), err) : err_nomem(err);

    json_decref(root);
    free(text); /* jansson's, from malloc */
    mem_free(path);
    return code;
}

/* ---- saving ---- */
static enum lc write_parts(const struct ctx *ctx, struct trainer *t, const char *folder, struct err *err)
{
    char *path = fs_join(folder, OPTIMIZER_FILE);
    enum lc code = path ? LC_OK : err_nomem(err);

    if (code == LC_OK)
        code = adapter_attached(t->m) ? adapter_save(ctx, t->m, folder, err)
                                      : model_save(ctx, t->m, folder, err);
    if (code == LC_OK)
        code = optimizer_save(t->optimizer, path, err);
    if (code == LC_OK)
        code = write_state(t, folder, err);
    mem_free(path);
    return code;
}

/* Removes the oldest checkpoints over the limit, but never the best one. */
static void rotate(const struct trainer *t)
{
    const char *output = t->args.output_dir;
    char **names = NULL;
    size_t n = 0;
    int64_t kept = 0;

    if (t->args.save_total_limit < 1 || fs_list(output, &names, &n, NULL) != LC_OK)
        return;
    for (size_t i = 0; i < n; i++)
        kept += checkpoint_step(names[i]) >= 0;
    while (kept > t->args.save_total_limit) {
        size_t oldest = n;
        char *path;

        for (size_t i = 0; i < n; i++) {
            int64_t step = checkpoint_step(names[i]);

            path = step >= 0 && step != t->state.step ? fs_join(output, names[i]) : NULL;
            if (path && (!t->best_folder || strcmp(path, t->best_folder) != 0) &&
                (oldest == n || step < checkpoint_step(names[oldest])))
                oldest = i;
            mem_free(path);
        }
        if (oldest == n)
            break;
        path = fs_join(output, names[oldest]);
        if (!path || fs_remove_tree(path, NULL) != LC_OK)
            n = 0; /* leave it: a checkpoint too many is no failure */
        mem_free(path);
        if (n == 0)
            break;
        names[oldest][0] = '\0';
        kept--;
    }
    fs_free_list(names, n);
}

enum lc checkpoint_save(const struct ctx *ctx, struct trainer *t, char **folder, struct err *err)
{
    const char *output = t->args.output_dir;
    struct ctx calm = *ctx;
    char *made = mem_printf("%s/.checkpoint-%lld.part", output, (long long)t->state.step);
    char *final = mem_printf("%s/checkpoint-%lld", output, (long long)t->state.step);
    enum lc code = made && final ? fs_mkdirs(output, err) : err_nomem(err);

    calm.cancel = NULL; /* a checkpoint that was begun is finished: an interrupt is what often asks for it */
    calm.deadline_ns = 0;
    if (code == LC_OK)
        code = fs_remove_tree(made, err);
    if (code == LC_OK)
        code = fs_mkdirs(made, err);
    if (code == LC_OK)
        code = write_parts(&calm, t, made, err);
    if (code == LC_OK)
        code = fs_replace_tree(made, final, err); /* the same step may have been saved before */
    if (code == LC_OK)
        rotate(t);
    else if (made && fs_remove_tree(made, NULL) != LC_OK)
        err_hint(err, "remove '%s' by hand", made);
    if (code != LC_OK)
        err_wrap(err, "cannot save the checkpoint of step %lld", (long long)t->state.step);
    mem_free(made);
    if (code == LC_OK)
        *folder = final;
    else
        mem_free(final);
    return code;
}

/* ---- loading ---- */
enum lc checkpoint_load_weights(const struct ctx *ctx, struct trainer *t, const char *folder, struct err *err)
{
    TRY(ctx_check(ctx, err));
    return adapter_attached(t->m) ? adapter_load(ctx, t->m, folder, err)
                                  : model_copy_weights(t->m, &t->m->base, folder, err);
}

static enum lc read_state(const char *folder, json_t **out, struct err *err)
{
    struct buf text = BUF_INIT(STATE_MAX);
    char *path = fs_join(folder, STATE_FILE);
    json_error_t fault;
    enum lc code = path ? fs_read(path, &text, err) : err_nomem(err);

    if (code == LC_OK && !(*out = json_loadb(buf_str(&text), text.len, 0, &fault)))
        code = err_set(err, LC_DATA, "cannot read '%s': %s", path, fault.text);
    buf_release(&text);
    mem_free(path);
    return code;
}

static int64_t step_batches(const json_t *args)
{
    const json_t *processes = json_object_get(args, "num_processes"); /* older checkpoints have none */

    return json_integer_value(json_object_get(args, "gradient_accumulation_steps")) *
           (processes ? json_integer_value(processes) : 1);
}

/* What the order of the data and the masks follow from must be the same. */
static enum lc check_same(const struct trainer *t, const json_t *root, const char *folder, struct err *err)
{
    static const char *const keys[] = {"per_device_train_batch_size", "seed", "data_seed"};
    const json_t *lacus = json_object_get(root, "lacus"), *before = json_object_get(lacus, "args");
    int64_t examples = json_integer_value(json_object_get(lacus, "examples"));
    json_t *now;
    enum lc code = LC_OK;

    if (!json_is_object(before) || !json_is_integer(json_object_get(root, "global_step")))
        return err_set(err, LC_DATA, "cannot resume from '%s': its %s was not written by lacus", folder,
                       STATE_FILE);
    if (examples != t->train.n)
        return err_set(err, LC_CONFLICT,
                       "cannot resume from '%s': it was trained on %lld examples, now there are %lld", folder,
                       (long long)examples, (long long)t->train.n);
    now = training_args_to_json(&t->args);
    for (int i = 0; i < 3 && code == LC_OK; i++)
        if (!json_equal(json_object_get(before, keys[i]), json_object_get(now, keys[i])))
            code = err_set(err, LC_CONFLICT, "cannot resume from '%s': '%s' is %lld, it was %lld", folder,
                           keys[i], (long long)json_integer_value(json_object_get(now, keys[i])),
                           (long long)json_integer_value(json_object_get(before, keys[i])));
    if (code == LC_OK && step_batches(before) != step_batches(now))
        code =
            err_set(err, LC_CONFLICT,
                    "cannot resume from '%s': a step has %lld micro-batches (gradient_accumulation_steps × "
                    "num_processes), it had %lld",
                    folder, (long long)step_batches(now), (long long)step_batches(before));
    json_decref(now);
    return code;
}

/* Checkpoints may have moved as a whole since (to another machine): then the best one lies beside the others. */
static char *best_folder(const struct trainer *t, const char *path)
{
    char *beside = t->args.output_dir ? fs_join(t->args.output_dir, fs_basename(path)) : NULL;

    if (fs_is_dir(path) || !beside || !fs_is_dir(beside)) {
        mem_free(beside);
        return mem_strdup(path);
    }
    return beside;
}

static enum lc restore_state(struct trainer *t, const json_t *root, struct err *err)
{
    const json_t *lacus = json_object_get(root, "lacus"), *history = json_object_get(root, "log_history");
    const json_t *metric = json_object_get(root, "best_metric"),
                 *best = json_object_get(root, "best_model_checkpoint");
    const json_t *plateau = json_object_get(lacus, "plateau");
    json_t *copy = json_is_array(history) ? json_deep_copy(history) : json_array();

    if (!copy)
        return err_nomem(err);
    json_decref(t->history);
    t->history = copy;
    t->state.step = json_integer_value(json_object_get(root, "global_step"));
    t->state.epoch = json_number_value(json_object_get(root, "epoch"));
    t->state.tokens = json_integer_value(json_object_get(lacus, "tokens"));
    t->state.seconds = json_number_value(json_object_get(lacus, "seconds"));
    if (t->args.max_seconds > 0 && json_integer_value(json_object_get(lacus, "timed_total")) > 0)
        trainer_plan_time(t, json_integer_value(json_object_get(lacus, "timed_total")));
    t->state.best_metric = json_is_number(metric) ? json_number_value(metric) : (double)NAN;
    t->not_worth = json_integer_value(json_object_get(lacus, "not_worth"));
    if (json_is_object(plateau)) {
        t->plateau.scale = json_number_value(json_object_get(plateau, "scale"));
        t->plateau.bad = json_integer_value(json_object_get(plateau, "bad"));
        t->plateau.cooling = json_integer_value(json_object_get(plateau, "cooling"));
        t->plateau.best = json_is_number(json_object_get(plateau, "best"))
                              ? json_number_value(json_object_get(plateau, "best"))
                              : (double)NAN;
    }
    t->window_loss = json_number_value(json_object_get(lacus, "window_loss"));
    t->window_steps = json_integer_value(json_object_get(lacus, "window_steps"));
    t->window_rewards = rewards_from(json_object_get(lacus, "window_rewards"));
    mem_free(t->best_folder);
    t->best_folder = json_is_string(best) ? best_folder(t, json_string_value(best)) : NULL;
    return LC_OK;
}

enum lc checkpoint_load(const struct ctx *ctx, struct trainer *t, const char *folder, struct err *err)
{
    char *path = fs_join(folder, OPTIMIZER_FILE);
    json_t *root = NULL;
    enum lc code = path ? read_state(folder, &root, err) : err_nomem(err);

    if (code == LC_OK)
        code = check_same(t, root, folder, err);
    if (code == LC_OK)
        code = checkpoint_load_weights(ctx, t, folder, err);
    if (code == LC_OK)
        code = optimizer_load(t->optimizer, path, err);
    if (code == LC_OK)
        code = restore_state(t, root, err);
    json_decref(root);
    mem_free(path);
    return code;
}

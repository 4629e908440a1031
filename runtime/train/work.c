#include "runtime/train/work.h"
#include "gpu/adapter.h"
#include "gpu/collective_device.h"
#include "gpu/nccl.h"
#include "gpu/quantization.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/train/device.h"
#include "runtime/train/examples.h"
#include "runtime/train/manifest.h"
#include "runtime/train/metric.h"
#include "runtime/train/model_folder.h"
#include "runtime/train/plan.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct work {
    const struct ctx *ctx;
    const json_t *spec;
    const struct work_paths *paths;
    const struct work_place *place;
    const struct work_sink *sink;
    struct tokenizer *tok;         /* owned */
    struct backend *backend;       /* owned */
    struct collective ranks;       /* owned: over place->ranks; empty: alone */
    struct model *model, *teacher; /* owned; teacher NULL: none */
    struct examples *train, *eval; /* owned; eval may be NULL */
    struct training_args args;
    struct trainer *trainer; /* owned */
    struct metric *metric;   /* owned: the user's own; NULL: none */
    json_t *metrics;         /* owned: of the last evaluation; NULL: none */
    double eval_before, eval_after, loss_sum;
    enum dtype compute;
    double flops_per_token, flops_per_second; /* for the MFU: of this model, and what products reach here */
    double seconds;                           /* of the steps so far */
    int64_t tokens;
    int64_t losses;
    enum lc failed; /* of a publication during a step */
};

static void log_text(struct work *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void log_text(struct work *w, const char *fmt, ...)
{
    char text[600];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    w->sink->event(w->sink->arg, json_pack("{s:s, s:s}", "event", "log", "text", text));
}

static void phase(struct work *w, const char *name)
{
    const struct train_state *s = w->trainer ? trainer_state(w->trainer) : NULL;

    w->sink->phase(w->sink->arg, name, s ? s->step : 0);
}

static json_t *real(double x)
{
    return isfinite(x) ? json_real(x) : json_string(isnan(x) ? "NaN" : x > 0 ? "Infinity" : "-Infinity");
}

/* ---- what the trainer says ------------------------------------------------------------------------------- */

static void add_rewards(json_t *event, const struct preference_sums *r)
{
    double n = (double)r->pairs;

    if (!r->pairs)
        return;
    json_object_set_new(event, "rewards_chosen", real(r->chosen / n));
    json_object_set_new(event, "rewards_rejected", real(r->rejected / n));
    json_object_set_new(event, "rewards_margins", real((r->chosen - r->rejected) / n));
    json_object_set_new(event, "rewards_accuracies", real((double)r->right / n));
}

static void add_rank_times(const struct work *w, json_t *event)
{
    int n;
    const struct rank_time *times = trainer_rank_times(w->trainer, &n);
    json_t *list = n ? json_array() : NULL;

    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:i, s:f, s:f}", "rank", i, "compute", times[i].compute,
                                              "wait", times[i].wait));
    if (list)
        json_object_set_new(event, "ranks", list);
}

/* What a step took. Shares of the rate that products alone reach on this device, measured once before the first. */
static void add_speed(struct work *w, const struct train_state *s, json_t *event)
{
    double seconds = s->seconds - w->seconds, tokens = (double)(s->tokens - w->tokens);
    struct backend_memory memory;

    w->seconds = s->seconds;
    w->tokens = s->tokens;
    if (!(seconds > 0))
        return;
    w->backend->ops->memory(w->backend->state, &memory);
    json_object_set_new(event, "step_seconds", real(seconds));
    json_object_set_new(event, "tokens_per_second", real(tokens / seconds));
    json_object_set_new(event, "memory", json_integer((json_int_t)memory.used));
    if (w->flops_per_second > 0)
        json_object_set_new(event, "mfu", real(w->flops_per_token * tokens / seconds / w->flops_per_second));
}

static bool on_progress(void *arg, const struct train_state *s)
{
    struct work *w = arg;

    json_t *event = json_pack("{s:s, s:I, s:I, s:f, s:o, s:o, s:f, s:I, s:f}", "event", "metric", "step",
                              (json_int_t)s->step, "total", (json_int_t)s->total_steps, "epoch", s->epoch,
                              "loss", real(s->loss), "grad_norm", real(s->grad_norm), "learning_rate",
                              s->learning_rate, "tokens", (json_int_t)s->tokens, "seconds", s->seconds);

    w->loss_sum += s->loss;
    w->losses++;
    add_rank_times(w, event);
    add_speed(w, s, event);
    w->sink->phase(w->sink->arg, "training", s->step + 1);
    add_rewards(event, &s->rewards);
    w->sink->event(w->sink->arg, event);
    return true;
}

static void on_log(void *arg, const struct train_log *log)
{
    struct work *w = arg;

    json_t *event;

    if (isnan(log->eval_loss)) { /* as trainer_state.json's log_history has it: the mean since the last one */
        w->sink->event(w->sink->arg,
                       json_pack("{s:s, s:I, s:f, s:o, s:o, s:f, s:b}", "event", "history", "step",
                                 (json_int_t)log->state->step, "epoch", log->state->epoch, "loss",
                                 real(log->loss), "grad_norm", real(log->state->grad_norm), "learning_rate",
                                 log->state->learning_rate, "rest", log->rest));
        return;
    }
    event = json_pack("{s:s, s:I, s:f, s:o}", "event", "eval", "step", (json_int_t)log->state->step, "epoch",
                      log->state->epoch, "eval_loss", real(log->eval_loss));
    if (w->args.label_smoothing_factor <= 0) /* of a smoothed loss the exponential is no perplexity */
        json_object_set_new(event, "eval_perplexity", real(exp(log->eval_loss)));
    if (!isnan(log->eval_accuracy))
        json_object_set_new(event, "eval_accuracy", real(log->eval_accuracy));
    add_rewards(event, &log->rewards);
    json_object_update_missing(event, (json_t *)(uintptr_t)log->metrics);
    w->sink->event(w->sink->arg, event);
}

static enum lc on_evaluated(void *arg, const struct model_batch *b, const int32_t *likeliest, struct err *err)
{
    struct work *w = arg;

    for (int64_t i = 0; i < b->sequences; i++) {
        int32_t from = b->starts[i];
        TRY(metric_add(w->metric, b->labels + from, likeliest + from, b->starts[i + 1] - from, err));
    }
    return LC_OK;
}

static enum lc on_metrics(void *arg, json_t **out, struct err *err)
{
    struct work *w = arg;

    return metric_result(w->ctx, w->metric, out, err);
}

static void on_eval_progress(void *arg, int64_t done, int64_t total)
{
    struct work *w = arg;
    char text[80];

    (void)snprintf(text, sizeof text, "evaluating (%lld of %lld examples)", (long long)done,
                   (long long)total);
    phase(w, text);
}

static void on_saved(void *arg, const char *folder, int64_t step)
{
    struct work *w = arg;
    struct err err;

    (void)step; /* on the checkpoint's own thread, while the steps go on */
    if (w->sink->publish(w->sink->arg, folder, &err) != LC_OK)
        log_text(w, "warning: %s", err.message);
}

static void on_warning(void *arg, const char *text)
{
    log_text(arg, "warning: %s", text);
}

/* ---- setting up ------------------------------------------------------------------------------------------ */

static bool has_pairs(const json_t *spec)
{
    const char *method = json_string_value(json_object_get(spec, "method"));

    return method && strcmp(method, "dpo") == 0;
}

static enum lc load_examples(struct work *w, const char *name, struct examples **out, struct err *err)
{
    struct example_options o = {
        .max_length = json_integer_value(json_object_get(w->spec, "max_length")),
        .completion_only = json_is_true(json_object_get(w->spec, "completion_only")),
        .packing = json_is_true(json_object_get(w->spec, "packing")),
        .pairs = has_pairs(w->spec),
    };
    char *path = fs_join(w->paths->data, name);
    enum lc rc = path ? LC_OK : err_nomem(err);

    *out = NULL;
    if (rc == LC_OK && fs_exists(path)) {
        rc = examples_load(w->ctx, w->tok, path, &o, out, err);
        if (rc == LC_OK)
            log_text(w, "%s: %lld examples, %lld tokens, longest %lld, %lld cut to max_length %lld", name,
                     (long long)examples_dataset(*out)->n, (long long)examples_tokens(*out),
                     (long long)examples_longest(*out), (long long)examples_cut(*out),
                     (long long)o.max_length);
        if (rc == LC_OK && examples_packed(*out))
            log_text(w, "%s: %lld examples packed into %lld rows of %lld tokens", name,
                     (long long)examples_packed(*out), (long long)examples_dataset(*out)->n,
                     (long long)o.max_length);
    }
    mem_free(path);
    return rc;
}

static enum lc attach_adapter(struct work *w, const json_t *peft, struct err *err)
{
    const char *base = json_string_value(json_object_get(w->spec, "base_name")), *text;
    struct adapter_config c;
    struct encoding ids = ENCODING_INIT;
    enum lc rc = adapter_config_from_json(peft, &c, err);

    if (rc == LC_OK && base)
        rc = adapter_config_set_base(&c, base, err);
    text = rc == LC_OK ? adapter_config_text(&c) : NULL;
    if (text)
        rc = tokenizer_encode(w->tok, text, strlen(text), TOKENIZER_SPECIAL, &ids, err);
    if (rc == LC_OK)
        rc = adapter_attach(w->model, &c, ids.ids, ids.n, (uint64_t)w->args.seed, err);
    encoding_release(&ids);
    adapter_config_release(&c);
    return rc;
}

/* Training goes on from an adapter that the job brought along. */
static enum lc go_on(struct work *w, bool *found, struct err *err)
{
    char *folder = fs_join(w->paths->data, "adapter");
    enum lc rc = folder ? LC_OK : err_nomem(err);

    *found = rc == LC_OK && fs_is_dir(folder);
    if (*found)
        rc = adapter_load(w->ctx, w->model, folder, err);
    mem_free(folder);
    return rc;
}

/* The teacher is what its adapter makes of it, if it has one. */
static enum lc teacher_adapter(struct work *w, struct err *err)
{
    char *folder = fs_join(w->paths->data, "teacher_adapter");
    enum lc rc = folder ? LC_OK : err_nomem(err);

    if (rc == LC_OK && fs_is_dir(folder))
        rc = adapter_load(w->ctx, w->teacher, folder, err);
    mem_free(folder);
    return rc;
}

/* Another model of the job's data, from which this one learns. */
static enum lc load_teacher(struct work *w, struct err *err)
{
    const json_t *distill = json_object_get(w->spec, "distill");
    char *folder = fs_join(w->paths->data, "teacher");
    struct model_options o = {.compute = w->args.bf16 ? DTYPE_BF16 : DTYPE_NONE};
    enum lc rc = folder ? LC_OK : err_nomem(err);

    if (rc == LC_OK && fs_is_dir(folder)) {
        phase(w, "loading the teacher");
        rc = model_load(w->ctx, folder, w->backend, &o, &w->teacher, err);
        if (rc == LC_OK)
            rc = teacher_adapter(w, err);
        if (rc == LC_OK)
            rc = model_set_teacher(w->model, w->teacher,
                                   json_number_value(json_object_get(distill, "temperature")),
                                   json_number_value(json_object_get(distill, "alpha")), err);
    }
    mem_free(folder);
    return rc;
}

static enum lc load_model(struct work *w, struct err *err)
{
    const json_t *peft = json_object_get(w->spec, "peft");
    struct quantization q;
    struct model_options o;
    bool adapter = false;

    phase(w, "loading the model");
    TRY(quantization_from_json(json_object_get(w->spec, "quantization"), &q, err));
    w->args.bf16 = w->args.bf16 || q.compute != DTYPE_NONE;
    TRY(train_device_open(w->place->threads, w->place->beside, &w->backend, err));
    o = (struct model_options){.linear = q.linear,
                               .compute = quantization_compute(&q, w->args.bf16, w->backend)};
    TRY(model_load(w->ctx, w->paths->model, w->backend, &o, &w->model, err));
    w->compute = o.compute;
    if (q.linear == DTYPE_FP8)
        log_text(w, "FP8: weights are kept in e4m3 with a scale for each row; products are in %s",
                 o.compute == DTYPE_FP8
                     ? "FP8, forward in e4m3 and backward in e5m2, with a scale for each row"
                 : w->args.bf16 ? "bf16"
                                : "f32");
    TRY(go_on(w, &adapter, err));
    if (adapter)
        return LC_OK;
    if (json_is_object(peft))
        return attach_adapter(w, peft, err);
    return model_set_trainable(w->model, true, err);
}

/* With other ranks: how they are reached from the device's memory. */
static enum lc join_ranks(struct work *w, struct err *err)
{
    char said[COLLECTIVE_SAID];

    if (!w->place->ranks)
        return LC_OK;
    phase(w, "waiting for the other ranks");
    TRY(collective_for_device(w->ctx, w->place->ranks, w->backend, NULL, &w->ranks, said, err));
    if (said[0])
        log_text(w, "%s", said);
    return LC_OK;
}

/* compute_metrics, when the job brought one along. */
static enum lc open_metric(struct work *w, struct trainer_callbacks *callbacks, struct err *err)
{
    char *path = fs_join(w->paths->data, "compute_metrics");
    enum lc rc = path ? LC_OK : err_nomem(err);

    if (rc == LC_OK && fs_exists(path)) {
        rc = metric_open(path, &w->metric, err);
        callbacks->evaluated = on_evaluated;
        callbacks->metrics = on_metrics;
    }
    mem_free(path);
    return rc;
}

static enum lc set_up(struct work *w, struct err *err)
{
    struct trainer_callbacks callbacks = {.arg = w,
                                          .progress = on_progress,
                                          .log = on_log,
                                          .eval_progress = on_eval_progress,
                                          .saved = on_saved,
                                          .warning = on_warning};

    training_args_init(&w->args);
    TRY(training_args_from_json(&w->args, json_object_get(w->spec, "args"), err));
    mem_free(w->args.output_dir); /* the user's is written by the coordinator */
    w->args.output_dir = mem_strdup(w->paths->out);
    if (!w->args.output_dir)
        return err_nomem(err);
    TRY(open_metric(w, &callbacks, err));
    phase(w, "tokenizing");
    TRY(tokenizer_open(w->paths->model, &w->tok, err));
    TRY(load_examples(w, "train.rows", &w->train, err));
    TRY(load_examples(w, "eval.rows", &w->eval, err));
    if (!w->train)
        return err_set(err, LC_DATA, "the job has no training rows");
    TRY(load_model(w, err));
    TRY(load_teacher(w, err));
    TRY(join_ranks(w, err));
    TRY(trainer_new(w->ctx, w->model, &w->args, examples_dataset(w->train),
                    w->eval ? examples_dataset(w->eval) : NULL, &callbacks, &w->trainer, err));
    trainer_save_beside(w->trainer, true);
    if (w->paths->resume)
        TRY(trainer_resume(w->ctx, w->trainer, w->paths->resume, err));
    return w->place->ranks ? trainer_join(w->ctx, w->trainer, &w->ranks, err) : LC_OK;
}

static void tell_plan(struct work *w)
{
    const struct model_plan *p = trainer_plan(w->trainer);
    const struct train_state *s = trainer_state(w->trainer);
    int64_t trainable, all;
    const struct train_dataset *d = examples_dataset(w->train);

    w->flops_per_token =
        plan_flops(w->model, d->n ? examples_tokens(w->train) / d->n : 1, p->recomputed_layers);
    w->flops_per_second =
        plan_mixed_rate(w->model, w->backend, w->compute, w->flops_per_token, p->recomputed_layers);
    w->seconds = s->seconds;
    w->tokens = s->tokens;
    model_count_parameters(w->model, &trainable, &all);
    w->sink->event(w->sink->arg,
                   json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "event", "plan", "trainable",
                             (json_int_t)trainable, "all", (json_int_t)all, "total_steps",
                             (json_int_t)s->total_steps, "memory", (json_int_t)p->total, "train_examples",
                             (json_int_t)examples_dataset(w->train)->n, "eval_examples",
                             (json_int_t)(w->eval ? examples_dataset(w->eval)->n : 0), "backend",
                             w->backend->name));
}

/* ---- the run --------------------------------------------------------------------------------------------- */

static enum lc evaluate(struct work *w, const char *when, double *loss, struct err *err)
{
    json_t *event;

    *loss = NAN;
    if (!w->eval)
        return LC_OK;
    phase(w, "evaluating");
    TRY(trainer_evaluate(w->ctx, w->trainer, NULL, loss, err));
    json_decref(w->metrics);
    w->metrics = NULL;
    if (w->metric)
        TRY(metric_result(w->ctx, w->metric, &w->metrics, err));
    event = json_pack("{s:s, s:I, s:o, s:s}", "event", "eval", "step",
                      (json_int_t)trainer_state(w->trainer)->step, "eval_loss", real(*loss), "when", when);
    json_object_update_missing(event, w->metrics);
    w->sink->event(w->sink->arg, event);
    return LC_OK;
}

static bool is_first(const struct work *w)
{
    return !w->place->ranks || w->place->ranks->rank == 0;
}

static enum lc save_now(struct work *w, struct err *err)
{
    struct ctx ctx = ctx_background();
    int64_t step = trainer_state(w->trainer)->step;

    return step == 0 || trainer_saved_step(w->trainer) == step ? LC_OK
                                                               : trainer_save_begin(&ctx, w->trainer, err);
}

/* Told to stop, or left by other ranks: what was learned so far is kept as a checkpoint. */
static void keep_checkpoint(struct work *w)
{
    struct err err;

    if (!w->trainer || !is_first(w))
        return;
    phase(w, "saving a checkpoint");
    if (save_now(w, &err) != LC_OK || trainer_save_wait(w->trainer, &err) != LC_OK)
        log_text(w, "warning: %s", err.message);
}

/* A model that learned a template's words can be asked in a conversation, too; one that has a chat template keeps it. */
static enum lc save_chat_template(const struct work *w, const char *folder, struct err *err)
{
    const char *text = json_string_value(json_object_get(w->spec, "chat_template"));
    char *path =
        text && !tokenizer_chat_template(w->tok, false) ? fs_join(folder, "chat_template.jinja") : NULL;
    enum lc rc = path ? fs_write(path, text, strlen(text), err) : LC_OK;

    mem_free(path);
    return rc;
}

static enum lc save_output(struct work *w, struct err *err)
{
    char *folder = fs_join(w->paths->out, "output");
    enum lc rc = folder ? fs_mkdirs(folder, err) : err_nomem(err);

    phase(w, "saving the result");
    if (rc == LC_OK)
        rc = adapter_attached(w->model) ? adapter_save(w->ctx, w->model, folder, err)
                                        : model_save(w->ctx, w->model, folder, err);
    if (rc == LC_OK)
        rc = folder_copy(w->ctx, w->paths->model, folder, manifest_is_tokenizer_file, err);
    if (rc == LC_OK)
        rc = save_chat_template(w, folder, err);
    if (rc == LC_OK)
        rc = w->sink->publish(w->sink->arg, folder, err);
    mem_free(folder);
    return rc;
}

static json_t *make_result(struct work *w)
{
    const struct train_state *s = trainer_state(w->trainer);
    int64_t trainable, all;
    json_t *r;

    model_count_parameters(w->model, &trainable, &all);
    r = json_pack("{s:I, s:f, s:I, s:I, s:I, s:f, s:b, s:o}", "steps", (json_int_t)s->step, "epoch", s->epoch,
                  "trainable", (json_int_t)trainable, "all", (json_int_t)all, "tokens", (json_int_t)s->tokens,
                  "seconds", s->seconds, "out_of_time", s->out_of_time, "train_loss",
                  real(w->losses ? w->loss_sum / (double)w->losses : (double)NAN));
    if (!isnan(w->eval_before))
        json_object_set_new(r, "eval_loss_before", real(w->eval_before));
    if (!isnan(w->eval_after))
        json_object_set_new(r, "eval_loss", real(w->eval_after));
    if (w->metrics)
        json_object_set(r, "metrics", w->metrics);
    return r;
}

static enum lc train(struct work *w, struct err *err)
{
    bool finished = false;

    TRY(set_up(w, err));
    tell_plan(w);
    if (!w->paths->resume)
        TRY(evaluate(w, "before", &w->eval_before, err));
    w->sink->phase(w->sink->arg, "training", trainer_state(w->trainer)->step + 1);
    while (!finished) {
        TRY(trainer_step(w->ctx, w->trainer, &finished, err));
        if (!finished && is_first(w) && w->sink->save_wanted && w->sink->save_wanted(w->sink->arg))
            TRY(save_now(w, err));
    }
    TRY(evaluate(w, "after", &w->eval_after, err));
    return is_first(w) ? save_output(w, err) : LC_OK;
}

/* Errors name the user's folders, not the worker's copies. */
static void name_folders(const struct work *w, struct err *err)
{
    const char *name;
    json_t *folder;

    model_folder_name(err, w->paths->model, json_string_value(json_object_get(w->spec, "base_name")));
    json_object_foreach (json_object_get(w->spec, "names"), name, folder) {
        char *copy = fs_join(w->paths->data, name);

        if (copy)
            model_folder_name(err, copy, json_string_value(folder));
        mem_free(copy);
    }
}

enum lc work_run(const struct ctx *ctx, const json_t *spec, const struct work_paths *paths,
                 const struct work_place *place, const struct work_sink *sink, json_t **result,
                 struct err *err)
{
    struct work w = {.ctx = ctx,
                     .spec = spec,
                     .paths = paths,
                     .place = place,
                     .sink = sink,
                     .eval_before = NAN,
                     .eval_after = NAN};
    enum lc rc = train(&w, err);

    if (rc != LC_OK)
        name_folders(&w, err);
    if (rc != LC_OK && place->ranks) { /* those who have not heard of it yet */
        collective_abort(w.ranks.ops ? &w.ranks : place->ranks, rc, err->message);
        (void)(collective_wait(place->ranks, NULL, NULL) == LC_OK); /* until it touches nothing of ours */
    }
    if (rc == LC_CANCELLED || rc == LC_TIMEOUT || (place->ranks && (rc == LC_WORKER || rc == LC_NET)))
        keep_checkpoint(&w);
    if (rc == LC_OK)
        *result = make_result(&w);
    trainer_free(w.trainer);
    metric_close(w.metric);
    json_decref(w.metrics);
    collective_close(&w.ranks);
    model_free(w.model);
    model_free(w.teacher);
    backend_close(w.backend);
    examples_free(w.train);
    examples_free(w.eval);
    tokenizer_free(w.tok);
    training_args_release(&w.args);
    return rc;
}

static void add_nccl(char *out, size_t size)
{
    char text[24];
    struct err err;
    int version;

    if (nccl_version(NULL, &version, &err) != LC_OK) {
        (void)snprintf(out, size, ", no NCCL");
        return;
    }
    nccl_version_text(version, text);
    (void)snprintf(out, size, ", NCCL %s", text);
}

void work_device(char out[200])
{
    struct backend *b = NULL;
    struct err err;

    (void)snprintf(out, 200, "cpu: %ld cores", sysconf(_SC_NPROCESSORS_ONLN));
    if (train_device_open(1, 0, &b, &err) == LC_OK && strcmp(b->name, "cuda") == 0) {
        b->ops->describe(b->state, out, 160);
        add_nccl(out + strlen(out), 200 - strlen(out));
    }
    backend_close(b);
}

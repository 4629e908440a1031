/* training_args.c: TrainingArguments as one table. */
#include "gpu/trainer.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind {
    SIZE,
    STEPS,
    REAL,
    FLAG,
    MAYBE,
    TEXT,
    SCHEDULE,
    SHAPE,
    OPTIM,
    STRATEGY,
    ORDER,
    BYTES,
    PREFERENCE
};
static const struct row {
    const char *name;
    enum kind kind;
    size_t offset;
} ROWS[] = {
#define ROW(name, kind)                                                                                      \
    {                                                                                                        \
#name, kind, offsetof(struct training_args, name)                                                    \
    }
    ROW(output_dir, TEXT),
    ROW(per_device_train_batch_size, SIZE),
    ROW(per_device_eval_batch_size, SIZE),
    ROW(gradient_accumulation_steps, SIZE),
    ROW(num_processes, SIZE),
    ROW(num_train_epochs, REAL),
    ROW(max_steps, SIZE),
    ROW(max_seconds, REAL),
    ROW(learning_rate, REAL),
    ROW(weight_decay, REAL),
    ROW(adam_beta1, REAL),
    ROW(adam_beta2, REAL),
    ROW(adam_epsilon, REAL),
    ROW(max_grad_norm, REAL),
    ROW(lr_scheduler_type, SCHEDULE),
    ROW(warmup_steps, REAL),
    ROW(warmup_ratio, REAL),
    ROW(min_lr_rate, REAL),
    ROW(num_cycles, REAL),
    ROW(min_lr, REAL),
    ROW(lr_end, REAL),
    ROW(power, REAL),
    ROW(timescale, REAL),
    ROW(warmup_lr_rate, REAL),
    ROW(num_decay_steps, SIZE),
    ROW(num_stable_steps, SIZE),
    ROW(warmup_type, SHAPE),
    ROW(decay_type, SHAPE),
    ROW(factor, REAL),
    ROW(threshold, REAL),
    ROW(patience, SIZE),
    ROW(cooldown, SIZE),
    ROW(optim, OPTIM),
    ROW(momentum, REAL),
    ROW(nesterov, FLAG),
    ROW(eval_accuracy, FLAG),
    ROW(compute_metrics, FLAG),
    ROW(early_stopping_patience, SIZE),
    ROW(early_stopping_threshold, REAL),
    ROW(label_smoothing_factor, REAL),
    ROW(logging_steps, STEPS),
    ROW(logging_strategy, STRATEGY),
    ROW(logging_first_step, FLAG),
    ROW(eval_strategy, STRATEGY),
    ROW(eval_delay, REAL),
    ROW(save_strategy, STRATEGY),
    ROW(eval_steps, STEPS),
    ROW(save_steps, STEPS),
    ROW(save_total_limit, SIZE),
    ROW(load_best_model_at_end, FLAG),
    ROW(greater_is_better, MAYBE),
    ROW(metric_for_best_model, TEXT),
    ROW(seed, SIZE),
    ROW(data_seed, SIZE),
    ROW(train_sampling_strategy, ORDER),
    ROW(dataloader_drop_last, FLAG),
    ROW(average_tokens_across_devices, FLAG),
    ROW(bf16, FLAG),
    ROW(gradient_checkpointing, FLAG),
    ROW(group_by_length, FLAG),
    ROW(memory_budget, BYTES),
#undef ROW
    {"beta", REAL, offsetof(struct training_args, preference.beta)},
    {"loss_type", PREFERENCE, offsetof(struct training_args, preference.loss)},
    {"label_smoothing", REAL, offsetof(struct training_args, preference.label_smoothing)},
};
enum { N_ROWS = sizeof ROWS / sizeof *ROWS };

static const struct {
    const char *old, *name;
} SPELLINGS[] = {
    {"evaluation_strategy", "eval_strategy"},
    {"train_batch_size", "per_device_train_batch_size"},
    {"eval_batch_size", "per_device_eval_batch_size"},
    {"per_gpu_train_batch_size", "per_device_train_batch_size"},
    {"per_gpu_eval_batch_size", "per_device_eval_batch_size"},
    {"min_lr_ratio", "min_lr_rate"},
    {"activation_checkpointing", "gradient_checkpointing"},
};

/* What transformers has beside the rows, and what it may be here. NULL: anything, as it says nothing about the numbers. */
static const struct other {
    const char *name, *only, *hint;
} OTHERS[] = {
    {"accelerator_config", "null", "the order of the rows is that of accelerate's seedable sampler"},
    {"activation_checkpointing_kwargs", NULL, NULL},
    {"auto_find_batch_size", "false", "llm.plan{…} says what fits; memory_budget recomputes layers to fit"},
    {"batch_eval_metrics", "false", "compute_metrics gets all rows of an evaluation"},
    {"bf16_full_eval", "false", "evaluations have the type of the training: bf16 = true"},
    {"dataloader_in_order", NULL, NULL},
    {"dataloader_multiprocessing_context", NULL, NULL},
    {"dataloader_num_workers", NULL, NULL},
    {"dataloader_persistent_workers", NULL, NULL},
    {"dataloader_pin_memory", NULL, NULL},
    {"dataloader_prefetch_factor", NULL, NULL},
    {"dataset_num_proc", NULL, NULL},
    {"dataset_text_field", "null", "text_column = … beside args names the column of texts"},
    {"ddp_backend", NULL, NULL},
    {"ddp_broadcast_buffers", NULL, NULL},
    {"ddp_bucket_cap_mb", NULL, NULL},
    {"ddp_find_unused_parameters", NULL, NULL},
    {"ddp_static_graph", NULL, NULL},
    {"ddp_timeout", NULL, NULL},
    {"debug", NULL, NULL},
    {"deepspeed", "null", "num_processes = 2 trains on two workers"},
    {"disable_tqdm", NULL, NULL},
    {"do_eval", NULL, NULL},
    {"do_predict", NULL, NULL},
    {"do_train", NULL, NULL},
    {"enable_jit_checkpoint", NULL, NULL},
    {"eval_accumulation_steps", NULL, NULL},
    {"eval_do_concat_batches", NULL, NULL},
    {"eval_on_start", NULL, NULL}, /* a job evaluates before its first step anyway */
    {"eval_use_gather_object", NULL, NULL},
    {"fp16", "false", "bf16 = true is half precision here: it needs no scaling of the loss"},
    {"fp16_full_eval", "false", "evaluations have the type of the training: bf16 = true"},
    {"fsdp", "null", "num_processes = 2 trains on two workers"},
    {"fsdp_config", NULL, NULL},
    {"full_determinism", NULL, NULL},
    {"gradient_checkpointing_kwargs", NULL, NULL},
    {"hub_always_push", NULL, NULL},
    {"hub_model_id", NULL, NULL},
    {"hub_private_repo", NULL, NULL},
    {"hub_revision", NULL, NULL},
    {"hub_strategy", NULL, NULL},
    {"hub_token", NULL, NULL},
    {"ignore_data_skip", "false", "job:resume() goes on with the batch that comes next"},
    {"include_for_metrics", "[]", "compute_metrics gets predictions and label_ids"},
    {"include_num_input_tokens_seen", NULL, NULL},
    {"label_names", "null", "the labels of rows are called 'labels'"},
    {"length_column_name", NULL, NULL},
    {"liger_kernel_config", NULL, NULL},
    {"local_rank", NULL, NULL},
    {"log_level", NULL, NULL},
    {"log_level_replica", NULL, NULL},
    {"log_on_each_node", NULL, NULL},
    {"logging_dir", NULL, NULL},
    {"logging_nan_inf_filter", NULL, NULL},
    {"neftune_noise_alpha", "null", "no noise is added to embeddings; lora_dropout regularises"},
    {"no_cuda", NULL, NULL},
    {"optim_target_modules", "null", "adamw_torch and sgd update every parameter that is trained"},
    {"overwrite_output_dir", NULL, NULL},
    {"parallelism_config", "null", "num_processes = 2 trains on two workers"},
    {"prediction_loss_only", NULL, NULL},
    {"project", NULL, NULL},
    {"push_to_hub", "false", "nothing is uploaded: the result is in output_dir, in the Hub's format"},
    {"remove_unused_columns", NULL, NULL},
    {"report_to", NULL, NULL},
    {"restore_callback_states_from_checkpoint", NULL, NULL},
    {"resume_from_checkpoint", "null", "job:resume() goes on from a job's last checkpoint"},
    {"run_name", NULL, NULL},
    {"save_on_each_node", NULL, NULL},
    {"save_only_model", "false",
     "checkpoints are what job:resume() needs; save_strategy = 'no' keeps the result only"},
    {"save_safetensors", "true", "weights are kept as safetensors"},
    {"skip_memory_metrics", NULL, NULL},
    {"tf32", NULL, NULL},
    {"torch_compile", NULL, NULL},
    {"torch_compile_backend", NULL, NULL},
    {"torch_compile_mode", NULL, NULL},
    {"torch_empty_cache_steps", NULL, NULL},
    {"trackio_bucket_id", NULL, NULL},
    {"trackio_space_id", NULL, NULL},
    {"trackio_static_space_id", NULL, NULL},
    {"use_cache", NULL, NULL},
    {"use_cpu", NULL, NULL},
    {"use_liger_kernel", NULL, NULL},
};
enum { N_OTHERS = sizeof OTHERS / sizeof *OTHERS };

/* Of the rows rather than of the run: llm.finetune takes them out of the arguments before they come here. */
static const char *const OF_ROWS[] = {"max_length", "packing", "completion_only_loss", "assistant_only_loss"};
enum { N_OF_ROWS = sizeof OF_ROWS / sizeof *OF_ROWS };

static const char *const STRATEGIES[] = {
    [STRATEGY_NO] = "no", [STRATEGY_STEPS] = "steps", [STRATEGY_EPOCH] = "epoch"};
enum { N_STRATEGIES = sizeof STRATEGIES / sizeof *STRATEGIES };

static const char *const ORDERS[] = {[ORDER_RANDOM] = "random", [ORDER_SEQUENTIAL] = "sequential"};
enum { N_ORDERS = sizeof ORDERS / sizeof *ORDERS };

void training_args_init(struct training_args *a)
{
    *a = (struct training_args){.per_device_train_batch_size = 8,
                                .per_device_eval_batch_size = 8,
                                .gradient_accumulation_steps = 1,
                                .num_processes = 1,
                                .num_train_epochs = 3,
                                .max_steps = -1,
                                .learning_rate = 5e-5,
                                .adam_beta1 = 0.9,
                                .adam_beta2 = 0.999,
                                .adam_epsilon = 1e-8,
                                .max_grad_norm = 1,
                                .lr_scheduler_type = SCHEDULE_LINEAR,
                                .lr_end = 1e-7,
                                .power = 1,
                                .num_stable_steps = -1,
                                .warmup_type = SHAPE_LINEAR,
                                .factor = 0.1,
                                .threshold = 1e-4,
                                .patience = 10,
                                .greater_is_better = -1,
                                .logging_steps = 10,
                                .logging_strategy = STRATEGY_STEPS,
                                .save_strategy = STRATEGY_STEPS,
                                .save_steps = 500,
                                .seed = 42,
                                .data_seed = -1,
                                .average_tokens_across_devices = true,
                                .preference = {PREFERENCE_SIGMOID, 0.1, 0}};
}

void training_args_release(struct training_args *a)
{
    mem_free(a->output_dir);
    mem_free(a->metric_for_best_model);
    memset(a, 0, sizeof *a);
}

static const struct row *find_row(const char *name)
{
    for (size_t i = 0; i < sizeof SPELLINGS / sizeof *SPELLINGS; i++)
        if (strcmp(SPELLINGS[i].old, name) == 0)
            name = SPELLINGS[i].name;
    for (int i = 0; i < N_ROWS; i++)
        if (strcmp(ROWS[i].name, name) == 0)
            return &ROWS[i];
    return NULL;
}

static enum lc wrong(const char *name, const char *expected, struct err *err)
{
    return err_set(err, LC_ARG, "training argument '%s' is not %s", name, expected);
}

static const struct {
    const char *name;
    enum optimizer_kind kind;
} OPTIMIZERS[] = {{"adamw_torch", OPTIMIZER_ADAMW},
                  {"sgd", OPTIMIZER_SGD},
                  {"adamw_torch_fused", OPTIMIZER_ADAMW},
                  {"adamw_hf", OPTIMIZER_ADAMW},
                  {"adamw", OPTIMIZER_ADAMW}};
enum { N_OPTIMIZERS = sizeof OPTIMIZERS / sizeof *OPTIMIZERS };

static enum lc read_optimizer(const char *text, enum optimizer_kind *out, struct err *err)
{
    for (int i = 0; i < N_OPTIMIZERS; i++)
        if (strcmp(OPTIMIZERS[i].name, text) == 0) {
            *out = OPTIMIZERS[i].kind;
            return LC_OK;
        }
    err_set(err, LC_UNSUPPORTED, "training argument 'optim': '%.60s' is not supported", text);
    return err_hint(err, "adamw_torch (AdamW) and sgd are");
}

const char *training_args_text(const char *name, size_t i)
{
    for (int k = 0; k < N_ROWS; k++) {
        if (strcmp(ROWS[k].name, name) != 0)
            continue;
        if (ROWS[k].kind == SCHEDULE)
            return i <= SCHEDULE_REDUCE_ON_PLATEAU ? schedule_name((enum schedule_kind)i) : NULL;
        if (ROWS[k].kind == OPTIM)
            return i < N_OPTIMIZERS ? OPTIMIZERS[i].name : NULL;
        if (ROWS[k].kind == STRATEGY)
            return i < N_STRATEGIES ? STRATEGIES[i] : NULL;
        if (ROWS[k].kind == ORDER)
            return i < N_ORDERS ? ORDERS[i] : NULL;
    }
    return NULL;
}

static enum lc read_order(const char *text, enum train_order *out, struct err *err)
{
    for (int i = 0; i < N_ORDERS; i++)
        if (strcmp(text, ORDERS[i]) == 0) {
            *out = (enum train_order)i;
            return LC_OK;
        }
    err_set(err, LC_UNSUPPORTED,
            "training argument 'train_sampling_strategy' is not supported with this value ('%.60s')", text);
    return err_hint(
        err,
        "rows come in Trainer's random order, or as they are ('sequential'); batches are not padded, so that "
        "an order by length would save nothing");
}

static enum lc read_word(const struct row *row, void *at, const json_t *v, struct err *err)
{
    const char *text = json_string_value(v);

    if (row->kind == STRATEGY && json_is_boolean(v) && json_is_false(v))
        text = "no"; /* YAML's no */
    if (!text)
        return wrong(row->name, "a text", err);
    if (row->kind == SCHEDULE)
        return schedule_from_name(text, at, err);
    if (row->kind == SHAPE)
        return schedule_shape_from_name(text, at, err);
    if (row->kind == OPTIM)
        return read_optimizer(text, at, err);
    if (row->kind == PREFERENCE)
        return preference_loss_from_name(text, at, err);
    if (row->kind == ORDER)
        return read_order(text, at, err);
    if (row->kind == STRATEGY) {
        for (int i = 0; i < N_STRATEGIES; i++)
            if (strcmp(text, STRATEGIES[i]) == 0) {
                *(enum train_strategy *)at = (enum train_strategy)i;
                return LC_OK;
            }
        return wrong(row->name, "'no', 'steps' or 'epoch'", err);
    }
    mem_free(*(char **)at);
    *(char **)at = mem_strdup(text);
    return *(char **)at ? LC_OK : err_nomem(err);
}

static enum lc whole_number(const struct row *row, double x, struct err *err)
{
    return x == floor(x) ? err_set(err, LC_ARG, "training argument '%s' is %g: not between -1e15 and 1e15",
                                   row->name, x)
           : row->kind == STEPS ? wrong(row->name, "a whole number, or a share of all steps below 1", err)
                                : wrong(row->name, "a whole number", err);
}

static enum lc read_value(const struct row *row, struct training_args *a, const json_t *v, struct err *err)
{
    void *at = (char *)a + row->offset;
    double x = json_number_value(v);

    if (json_is_null(v)) {
        if (row->kind == REAL && strcmp(row->name, "max_grad_norm") == 0)
            *(double *)at = 0; /* None is off; elsewhere it means the default */
        return LC_OK;
    }
    if (row->kind == TEXT || row->kind == SCHEDULE || row->kind == STRATEGY || row->kind == PREFERENCE ||
        row->kind == SHAPE || row->kind == OPTIM || row->kind == ORDER)
        return read_word(row, at, v, err);
    if (row->kind == MAYBE && json_is_boolean(v)) {
        *(int64_t *)at = json_is_true(v);
        return LC_OK;
    }
    if (row->kind == MAYBE && !(json_is_integer(v) && json_integer_value(v) == -1))
        return wrong(row->name, "true or false", err);
    if (row->kind == FLAG) {
        if (!json_is_boolean(v))
            return wrong(row->name, "true or false", err);
        *(bool *)at = json_is_true(v);
        return LC_OK;
    }
    if (!json_is_number(v) || !isfinite(x)) {
        enum lc rc = wrong(row->name, "a number", err);

        if (json_is_string(v))
            (void)err_hint(err, "texts, as a widget's value is, become numbers with tonumber(…)");
        return rc;
    }
    if (row->kind == REAL || (row->kind == STEPS && ((x > 0 && x < 1) || x == floor(x)))) {
        *(double *)at = x;
        return LC_OK;
    }
    if (x != floor(x) || fabs(x) > 1e15 || (row->kind == BYTES && x < 0))
        return whole_number(row, x, err);
    if (row->kind == BYTES)
        *(size_t *)at = (size_t)x;
    else
        *(int64_t *)at = (int64_t)x;
    return LC_OK;
}

static enum lc unknown(const char *key, struct err *err)
{
    const char *names[N_ROWS + N_OTHERS + N_OF_ROWS];
    struct buf near = BUF_INIT(400);
    size_t n = 0;

    for (int i = 0; i < N_ROWS; i++)
        names[n++] = ROWS[i].name;
    for (int i = 0; i < N_OF_ROWS; i++)
        names[n++] = OF_ROWS[i];
    for (int i = 0; i < N_OTHERS; i++)
        names[n++] = OTHERS[i].name;
    err_set(err, LC_ARG, "unknown training argument '%s'", key);
    if (nearest_list(&near, key, names, n, 3) && near.len)
        err_hint(err, "did you mean %s?", buf_str(&near));
    buf_release(&near);
    return LC_ARG;
}

/* null, false, 0, "" and empty lists: nothing was asked for. */
static bool says_nothing(const json_t *v)
{
    return json_is_null(v) || json_is_false(v) || (json_is_number(v) && json_number_value(v) == 0) ||
           (json_is_string(v) && json_string_length(v) == 0) ||
           (json_is_array(v) && json_array_size(v) == 0) || (json_is_object(v) && json_object_size(v) == 0);
}

static enum lc read_other(const char *key, const json_t *v, struct err *err)
{
    const struct other *o = NULL;
    json_t *only;
    bool same;

    for (int i = 0; i < N_OTHERS && !o; i++)
        o = strcmp(OTHERS[i].name, key) == 0 ? &OTHERS[i] : NULL;
    if (!o)
        return unknown(key, err);
    only = o->only ? json_loads(o->only, JSON_DECODE_ANY, NULL) : NULL;
    same = !o->only || json_equal(only, v) || json_is_null(v) || (says_nothing(only) && says_nothing(v));
    json_decref(only);
    if (same)
        return LC_OK;
    (void)err_set(err, LC_UNSUPPORTED, "training argument '%s' is not supported with this value", key);
    return err_hint(err, "%s", o->hint);
}

/* "momentum=0.9, nesterov=true" as an object; NULL: no memory, or no such text. */
static json_t *optim_args(const char *text)
{
    json_t *o = json_object();
    char name[64], value[64];
    int used = 0;

    for (; o && sscanf(text, " %63[a-z_] = %63[^,] %n", name, value, &used) == 2 && used > 0; used = 0) {
        json_t *v = strncmp(value, "true", 4) == 0 || strncmp(value, "True", 4) == 0 ? json_true()
                    : strncmp(value, "false", 5) == 0 || strncmp(value, "False", 5) == 0
                        ? json_false()
                        : json_real(strtod(value, NULL));

        json_object_set_new(o, name, v);
        text += used;
        text += *text == ',';
    }
    if (!*text)
        return o;
    json_decref(o);
    return NULL;
}

/* lr_scheduler_kwargs and optim_args: their keys have rows of their own. *found: it was one of them. */
static enum lc read_nested(struct training_args *a, const char *key, json_t *v, bool *found, struct err *err)
{
    json_t *object = v;
    enum lc code;

    *found = strcmp(key, "lr_scheduler_kwargs") == 0 || strcmp(key, "optim_args") == 0;
    if (!*found || json_is_null(v))
        return LC_OK;
    if (json_is_string(v))
        object = optim_args(json_string_value(v));
    else
        json_incref(object);
    code = json_is_object(object) ? training_args_from_json(a, object, err)
                                  : wrong(key, "a table such as {num_cycles = 2}", err);
    json_decref(object);
    return code;
}

enum lc training_args_from_json(struct training_args *a, const json_t *object, struct err *err)
{
    const char *key;
    json_t *v;

    if (!json_is_object(object))
        return err_set(err, LC_ARG, "training arguments are not an object");
    json_object_foreach ((json_t *)(uintptr_t)object, key,
                         v) { /* not changed: jansson's iterator is not const */
        const struct row *row = find_row(key);
        bool nested = false;

        TRY(read_nested(a, key, v, &nested, err));
        if (nested)
            continue;
        TRY(row ? read_value(row, a, v, err) : read_other(key, v, err));
    }
    return LC_OK;
}

static json_t *value_json(const struct row *row, const struct training_args *a)
{
    const void *at = (const char *)a + row->offset;

    switch (row->kind) {
    case SIZE:
    case MAYBE:
        return json_integer(*(const int64_t *)at);
    case BYTES:
        return json_integer((json_int_t) * (const size_t *)at);
    case STEPS:
        return *(const double *)at < 1 ? json_real(*(const double *)at)
                                       : json_integer((json_int_t) * (const double *)at);
    case REAL:
        return json_real(*(const double *)at);
    case FLAG:
        return json_boolean(*(const bool *)at);
    case SCHEDULE:
        return json_string(schedule_name(*(const enum schedule_kind *)at));
    case SHAPE:
        return json_string(schedule_shape_name(*(const enum schedule_shape *)at));
    case OPTIM:
        return json_string(OPTIMIZERS[*(const enum optimizer_kind *)at].name);
    case PREFERENCE:
        return json_string(preference_loss_name(*(const enum preference_loss_kind *)at));
    case ORDER:
        return json_string(ORDERS[*(const enum train_order *)at]);
    case STRATEGY:
        return json_string(STRATEGIES[*(const enum train_strategy *)at]);
    case TEXT:
        break;
    }
    return *(char *const *)at ? json_string(*(char *const *)at) : json_null();
}

json_t *training_args_to_json(const struct training_args *a)
{
    json_t *root = json_object();

    for (int i = 0; i < N_ROWS; i++)
        if (json_object_set_new(root, ROWS[i].name, value_json(&ROWS[i], a)) != 0) {
            json_decref(root);
            return NULL;
        }
    return root;
}

enum lc training_args_check_ranges(const struct training_args *a, struct err *err)
{
    const struct {
        const char *name;
        double value, least, most;
    } ranges[] = {{"per_device_train_batch_size", (double)a->per_device_train_batch_size, 1, 1 << 20},
                  {"per_device_eval_batch_size", (double)a->per_device_eval_batch_size, 1, 1 << 20},
                  {"gradient_accumulation_steps", (double)a->gradient_accumulation_steps, 1, 1 << 20},
                  {"num_processes", (double)a->num_processes, 1, 1 << 16},
                  {"num_train_epochs", a->num_train_epochs, 0, 1e9},
                  {"max_seconds", a->max_seconds, 0, 1e12},
                  {"learning_rate", a->learning_rate, 0, 1e6},
                  {"weight_decay", a->weight_decay, 0, 1e6},
                  {"adam_beta1", a->adam_beta1, 0, 1 - 1e-12},
                  {"adam_beta2", a->adam_beta2, 0, 1 - 1e-12},
                  {"adam_epsilon", a->adam_epsilon, 0, 1},
                  {"max_grad_norm", a->max_grad_norm, 0, 1e30},
                  {"warmup_steps", a->warmup_steps, 0, 1e12},
                  {"warmup_ratio", a->warmup_ratio, 0, 1},
                  {"min_lr_rate", a->min_lr_rate, 0, 1},
                  {"min_lr", a->min_lr, 0, 1e6},
                  {"num_cycles", a->num_cycles, 0, 1e9},
                  {"momentum", a->momentum, 0, 1 - 1e-12},
                  {"factor", a->factor, 0, 1 - 1e-12},
                  {"patience", (double)a->patience, 0, 1e12},
                  {"num_decay_steps", (double)a->num_decay_steps, 0, 1e12},
                  {"early_stopping_patience", (double)a->early_stopping_patience, 0, 1e12},
                  {"beta", a->preference.beta, 1e-9, 1e9},
                  {"label_smoothing", a->preference.label_smoothing, 0, 0.5},
                  {"label_smoothing_factor", a->label_smoothing_factor, 0, 1 - 1e-12},
                  {"logging_steps", a->logging_steps, 1e-9, 1e12},
                  {"eval_steps", a->eval_steps, 0, 1e12},
                  {"eval_delay", a->eval_delay, 0, 1e12},
                  {"seed", (double)a->seed, 0, UINT32_MAX}, /* as transformers' set_seed */
                  {"save_steps", a->save_steps, 1e-9, 1e12},
                  {"save_total_limit", (double)a->save_total_limit, 0, 1e12}};

    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (!(ranges[i].value >= ranges[i].least && ranges[i].value <= ranges[i].most))
            return err_set(err, LC_ARG, "training argument '%s' is %g: not between %g and %g", ranges[i].name,
                           ranges[i].value, ranges[i].least, ranges[i].most);
    return LC_OK;
}

static const struct {
    const char *name;
    bool greater;
} METRIC_ROWS[] = {[METRIC_LOSS] = {"loss", false},
                   [METRIC_PERPLEXITY] = {"perplexity", false},
                   [METRIC_ACCURACY] = {"accuracy", true},
                   [METRIC_REWARD_MARGIN] = {"rewards/margins", true},
                   [METRIC_REWARD_ACCURACY] = {"rewards/accuracies", true}};

enum train_metric train_metric_of(const struct training_args *a)
{
    const char *name = a->metric_for_best_model ? a->metric_for_best_model : "loss";
    int i;

    name += strncmp(name, "eval_", 5) == 0 ? 5 : 0;
    for (i = 0; i < METRICS && strcmp(METRIC_ROWS[i].name, name) != 0;)
        i++;
    return (enum train_metric)i;
}

bool train_metric_greater(const struct training_args *a)
{
    enum train_metric metric = train_metric_of(a);
    size_t n = metric == METRICS ? strlen(a->metric_for_best_model) : 0;

    if (a->greater_is_better >= 0)
        return a->greater_is_better == 1;
    if (metric == METRICS) /* as transformers has it */
        return n < 4 || strcmp(a->metric_for_best_model + n - 4, "loss") != 0;
    return METRIC_ROWS[metric].greater;
}

static enum lc unknown_metric(const char *name, struct err *err)
{
    struct buf all = BUF_INIT(400);

    for (int i = 0; i < METRICS; i++)
        buf_printf(&all, "%seval_%s", i ? ", " : "", METRIC_ROWS[i].name);
    err_set(err, LC_UNSUPPORTED, "training argument 'metric_for_best_model': '%.80s' is not supported", name);
    err_hint(err, "there are %s", buf_str(&all));
    buf_release(&all);
    return LC_UNSUPPORTED;
}

/* Of steps, or of shares of them. */
static bool is_multiple(double x, double of)
{
    double unit = x < 1 ? 1e6 : 1;

    return (x < 1) == (of < 1) && fmod(round(x * unit), fmax(round(of * unit), 1)) == 0;
}

static enum lc check_best(const struct training_args *a, struct err *err)
{
    double eval_steps = a->eval_steps > 0 ? a->eval_steps : a->logging_steps;

    if (train_metric_of(a) == METRICS && !a->compute_metrics)
        return unknown_metric(a->metric_for_best_model, err);
    if (a->early_stopping_patience > 0 && a->eval_strategy == STRATEGY_NO)
        return err_set(err, LC_ARG, "'early_stopping_patience' needs an 'eval_strategy'");
    if (a->lr_scheduler_type == SCHEDULE_REDUCE_ON_PLATEAU && a->eval_strategy == STRATEGY_NO)
        return err_set(err, LC_ARG, "'lr_scheduler_type' reduce_lr_on_plateau needs an 'eval_strategy'");
    if (a->lr_scheduler_type == SCHEDULE_WARMUP_STABLE_DECAY && a->num_decay_steps == 0)
        return err_set(err, LC_ARG,
                       "'lr_scheduler_type' warmup_stable_decay needs lr_scheduler_kwargs = "
                       "{num_decay_steps = …}");
    if (a->nesterov && a->momentum <= 0)
        return err_set(err, LC_ARG, "'nesterov' needs a 'momentum'");
    if (!a->load_best_model_at_end)
        return LC_OK;
    if (!a->output_dir)
        return err_set(err, LC_ARG, "'load_best_model_at_end' needs an 'output_dir' for the checkpoints");
    if (a->eval_strategy == STRATEGY_NO || a->eval_strategy != a->save_strategy)
        return err_set(
            err, LC_ARG,
            "'load_best_model_at_end' needs the same 'eval_strategy' ('%s') and 'save_strategy' ('%s')",
            STRATEGIES[a->eval_strategy], STRATEGIES[a->save_strategy]);
    if (a->eval_strategy == STRATEGY_STEPS && !is_multiple(a->save_steps, eval_steps))
        return err_set(
            err, LC_ARG,
            "'load_best_model_at_end' needs 'save_steps' (%.12g) to be a multiple of 'eval_steps' (%.12g)",
            a->save_steps, eval_steps);
    return LC_OK;
}

enum lc training_args_check(const struct training_args *a, struct err *err)
{
    TRY(training_args_check_ranges(a, err));
    if (a->group_by_length)
        return err_set(
            err, LC_UNSUPPORTED,
            "training argument 'group_by_length' is not supported (batches are not padded, so that "
            "it would save nothing)");
    if (!a->average_tokens_across_devices && a->num_processes > 1) {
        err_set(err, LC_UNSUPPORTED,
                "training argument 'average_tokens_across_devices' is not supported with this value");
        return err_hint(err, "a loss is a mean over all tokens of a step, on any number of ranks");
    }
    return check_best(a, err);
}

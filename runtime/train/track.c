#include "runtime/train/track.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/tracking/tracker.h"
#include "runtime/train/curve.h"
#include "runtime/train/tensorboard.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMS_MOST = 100, VALUE_MOST = 250, METRICS_MOST = 20 };

struct track {
    struct tracker *tracker;   /* owned; NULL: no run */
    struct tensorboard *board; /* owned; NULL: no event file */
    struct curve *curve;       /* owned */
    char run[64];
    struct ctx ctx;
};

enum lc track_open(const char *run, const char *board, struct track **out, struct err *err)
{
    struct track *t = mem_zalloc(sizeof *t);
    enum lc rc;

    if (!t || !(t->curve = curve_new()))
        return mem_free(t), err_nomem(err);
    t->ctx = ctx_background();
    (void)snprintf(t->run, sizeof t->run, "%s", run ? run : "");
    rc = run ? tracker_open(NULL, &t->tracker, err) : LC_OK;
    if (rc == LC_OK && board)
        rc = tensorboard_open(board, &t->board, err);
    if (rc != LC_OK)
        return track_close(t), rc;
    *out = t;
    return LC_OK;
}

void track_close(struct track *t)
{
    if (!t)
        return;
    tracker_close(t->tracker);
    tensorboard_close(t->board);
    curve_free(t->curve);
    mem_free(t);
}

/* ---- parameters ------------------------------------------------------------------------------------------ */

struct params {
    struct tracker_pair pairs[PARAMS_MOST];
    char values[PARAMS_MOST][VALUE_MOST + 1];
    size_t n;
};

static void value_text(const json_t *v, char out[VALUE_MOST + 1])
{
    char *text =
        json_is_string(v) ? NULL : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(10));

    (void)snprintf(out, VALUE_MOST + 1, "%.*s", VALUE_MOST,
                   text                ? text
                   : json_is_string(v) ? json_string_value(v)
                                       : "");
    free(text);
}

static void add_param(struct params *p, const char *key, const json_t *v)
{
    if (p->n == PARAMS_MOST || !v || json_is_null(v))
        return;
    value_text(v, p->values[p->n]);
    p->pairs[p->n] = (struct tracker_pair){key, p->values[p->n]};
    p->n++;
}

static void add_object(struct params *p, const json_t *object)
{
    const char *key;
    json_t *v;

    json_object_foreach ((json_t *)object, key, v)
        add_param(p, key, v);
}

enum lc track_params(struct track *t, const json_t *spec, struct err *err)
{
    static const char *const top[] = {"method", "max_length", "completion_only", "assistant_only"};
    struct params *p = mem_zalloc(sizeof *p);
    enum lc rc;

    if (!p)
        return err_nomem(err);
    add_param(p, "model", json_object_get(json_object_get(spec, "model"), "uri"));
    for (size_t i = 0; i < sizeof top / sizeof *top; i++)
        add_param(p, top[i], json_object_get(spec, top[i]));
    add_object(p, json_object_get(spec, "args"));
    add_object(p, json_object_get(spec, "peft"));
    add_object(p, json_object_get(spec, "quantization"));
    rc = tracker_log_params(&t->ctx, t->tracker, t->run, p->pairs, p->n, err);
    mem_free(p);
    return rc;
}

/* ---- metrics --------------------------------------------------------------------------------------------- */

static double number(const json_t *v)
{
    const char *text = json_string_value(v);

    return text ? strtod(text, NULL) : json_number_value(v); /* "NaN", "Infinity", "-Infinity" */
}

/* What compute_metrics gave, beside the keys that are known. */
static size_t collect_own(const json_t *event, size_t n, struct tracker_metric out[METRICS_MOST])
{
    const struct tracker_metric first = out[0];
    const char *key;
    json_t *v;

    json_object_foreach ((json_t *)(uintptr_t)event, key, v) {
        bool known = n == METRICS_MOST || !json_is_number(v) || strncmp(key, "eval_", 5) != 0;

        for (size_t i = 0; i < n && !known; i++)
            known = strcmp(out[i].key, key) == 0;
        if (!known)
            out[n++] = (struct tracker_metric){key, json_number_value(v), first.timestamp, first.step};
    }
    return n;
}

static size_t collect(const json_t *from, const char *const *keys, int64_t step, int64_t time,
                      struct tracker_metric out[METRICS_MOST])
{
    size_t n = 0;

    for (; *keys && n < METRICS_MOST; keys++)
        if (json_object_get(from, *keys))
            out[n++] = (struct tracker_metric){*keys, number(json_object_get(from, *keys)), time, step};
    return n;
}

enum lc track_event(struct track *t, const json_t *event, struct err *err)
{
    static const char *const step_keys[] = {"loss",
                                            "grad_norm",
                                            "learning_rate",
                                            "epoch",
                                            "tokens_per_second",
                                            "step_seconds",
                                            "mfu",
                                            "memory",
                                            "rewards_chosen",
                                            "rewards_rejected",
                                            "rewards_margins",
                                            "rewards_accuracies",
                                            NULL};
    static const char *const eval_keys[] = {"eval_loss", "eval_perplexity", "eval_accuracy", NULL};
    const char *kind = json_string_value(json_object_get(event, "event"));
    struct tracker_metric m[METRICS_MOST];
    const char *const *keys = !kind                         ? NULL
                              : strcmp(kind, "metric") == 0 ? step_keys
                              : strcmp(kind, "eval") == 0   ? eval_keys
                                                            : NULL;
    size_t n;

    if (!keys)
        return LC_OK;
    if (t->board)
        TRY(tensorboard_event(t->board, event, err));
    if (!t->tracker)
        return LC_OK;
    if (!curve_add(t->curve, event))
        return err_nomem(err);
    n = collect(event, keys, json_integer_value(json_object_get(event, "step")), clock_wall_ms(), m);
    if (n && keys == eval_keys)
        n = collect_own(event, n, m);
    return n ? tracker_log_metrics(&t->ctx, t->tracker, t->run, m, n, err) : LC_OK;
}

static enum lc put_curve(struct track *t, struct err *err)
{
    json_t *vega = curve_vega(t->curve, "training");
    char *text = vega ? json_dumps(vega, JSON_INDENT(1)) : NULL;
    enum lc rc = text ? tracker_put_text(&t->ctx, t->tracker, t->run, "training_curve.vl.json", text,
                                         strlen(text), err)
                      : err_nomem(err);

    json_decref(vega);
    free(text);
    return rc;
}

enum lc track_result(struct track *t, const json_t *result, const char *output, struct err *err)
{
    static const char *const keys[] = {"train_loss", "eval_loss_before", "eval_loss",
                                       "tokens",     "seconds",          NULL};
    struct tracker_metric m[METRICS_MOST];
    size_t n =
        collect(result, keys, json_integer_value(json_object_get(result, "steps")), clock_wall_ms(), m);

    if (!t->tracker)
        return LC_OK;
    for (size_t i = 0; i < n; i++) { /* HF's names for the two that it has */
        if (strcmp(m[i].key, "seconds") == 0)
            m[i].key = "train_runtime";
        else if (strcmp(m[i].key, "tokens") == 0)
            m[i].key = "train_tokens";
    }
    TRY(tracker_log_metrics(&t->ctx, t->tracker, t->run, m, n, err));
    TRY(put_curve(t, err));
    return tracker_put_artifact(&t->ctx, t->tracker, t->run, output, "model", err);
}

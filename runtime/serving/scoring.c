/* scoring.c: MLflow's scoring protocol, which Databricks' serving endpoints speak too: rows in, predictions out. */
#include "runtime/base/buf.h"
#include "runtime/serving/api_int.h"
#include <string.h>

/* ---- rows ---- */
static const char *const prompt_names[] = {"prompt", "input", "inputs", "text", "instruction", "question"};

/* The prompt in a row: by its name, or the only text there is. */
static enum lc row_prompt(struct ask *a, const json_t *row, struct err *err)
{
    const json_t *value = NULL, *one;
    const char *key;

    if (json_is_string(row))
        return ask_text(a, json_string_value(row), json_string_length(row), true, err);
    if (json_is_array(json_object_get(row, "messages")))
        return ask_chat(a, json_object_get(row, "messages"), err);
    for (size_t i = 0; !value && i < sizeof prompt_names / sizeof *prompt_names; i++)
        if (json_is_string(json_object_get(row, prompt_names[i])))
            value = json_object_get(row, prompt_names[i]);
    if (!value && json_object_size(row) == 1)
        json_object_foreach ((json_t *)(uintptr_t)row, key, one)
            value = json_is_string(one) ? one : NULL;
    if (value)
        return ask_text(a, json_string_value(value), json_string_length(value), true, err);
    return err_set(err, LC_ARG, "a row has no column 'prompt' with a text, nor 'messages'");
}

static enum lc ask_rows(struct ask *a, const json_t *rows, const char *param, struct err *err)
{
    const json_t *row;
    size_t i;

    a->param = param;
    if (!json_is_array(rows))
        return row_prompt(a, rows, err);
    json_array_foreach (rows, i, row)
        TRY(row_prompt(a, row, err));
    a->param = NULL;
    return LC_OK;
}

/* {columns: […], data: [[…], …]} */
static enum lc ask_split(struct ask *a, const json_t *split, struct err *err)
{
    const json_t *columns = json_object_get(split, "columns"), *data = json_object_get(split, "data"), *row;
    size_t i;

    a->param = "dataframe_split";
    if (!json_is_array(columns) || !json_is_array(data))
        return err_set(err, LC_ARG, "'dataframe_split' needs 'columns' and 'data'");
    json_array_foreach (data, i, row) {
        json_t *object = json_object();
        enum lc rc = LC_OK;
        if (json_array_size(row) != json_array_size(columns))
            rc = err_set(err, LC_ARG, "row %zu of 'dataframe_split' has %zu values for %zu columns", i,
                         json_array_size(row), json_array_size(columns));
        for (size_t c = 0; rc == LC_OK && c < json_array_size(columns); c++)
            if (!json_is_string(json_array_get(columns, c)) ||
                json_object_set(object, json_string_value(json_array_get(columns, c)),
                                json_array_get(row, c)) != 0)
                rc = err_set(err, LC_ARG, "a column of 'dataframe_split' has no name");
        if (rc == LC_OK)
            rc = row_prompt(a, object, err);
        json_decref(object);
        TRY(rc);
    }
    a->param = NULL;
    return LC_OK;
}

/* inputs: a text, texts, rows, or columns: {"prompt": ["…", "…"]} */
static enum lc ask_inputs(struct ask *a, const json_t *inputs, const char *param, struct err *err)
{
    const json_t *column = NULL;
    const char *key;

    if (json_is_object(inputs) && json_object_size(inputs) == 1)
        json_object_foreach ((json_t *)(uintptr_t)inputs, key, column)
            if (json_is_array(column) && strcmp(key, "messages") != 0)
                return ask_rows(a, column, param, err);
    return ask_rows(a, inputs, param, err);
}

static enum lc ask_any(struct ask *a, struct err *err)
{
    static const char *const inputs[] = {"inputs", "instances"};
    const json_t *found;

    if ((found = json_object_get(a->body, "dataframe_split")) != NULL)
        return ask_split(a, found, err);
    if ((found = json_object_get(a->body, "dataframe_records")) != NULL)
        return ask_rows(a, found, "dataframe_records", err);
    for (size_t i = 0; i < 2; i++)
        if ((found = json_object_get(a->body, inputs[i])) != NULL)
            return ask_inputs(a, found, inputs[i], err);
    err_set(err, LC_ARG,
            "the request has none of 'messages', 'prompt', 'dataframe_split', 'dataframe_records', 'inputs' "
            "and 'instances'");
    return LC_ARG;
}

/* ---- answers ---- */
static enum lc put_predictions(struct job *j, struct http_response *response, struct err *err)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < job_choices(j); i++) {
        struct buf text = BUF_INIT(BUF_TEXT_MAX);
        struct job_choice c;
        if (job_wait(j, i, SIZE_MAX, 0, &c, err) == LC_OK)
            job_take(j, i, 0, c.visible, &text);
        if (json_array_append_new(list, json_stringn(buf_str(&text), text.len)) != 0) {
            json_decref(list);
            list = NULL;
        }
        buf_release(&text);
    }
    return put_json(response, list ? json_pack("{s:o}", "predictions", list) : NULL, err);
}

static enum lc predict(struct ask *a, struct http_response *response, struct err *err)
{
    const json_t *params = json_object_get(a->body, "params");
    struct job *j;
    enum lc rc;

    a->shape = SHAPE_SCORING;
    if (json_is_true(json_object_get(a->body, "stream")))
        return err_set(err, LC_ARG, "'stream' needs 'messages' or 'prompt'");
    TRY(ask_options(a, params ? params : a->body, err));
    if (a->copies > 1) {
        a->param = "n";
        return err_set(err, LC_ARG, "'n' must be 1 here: one prediction for each row");
    }
    TRY(ask_any(a, err));
    if (a->n == 0)
        return put_json(response, json_pack("{s:[]}", "predictions"), err);
    TRY(submit(a, &j, err));
    rc = wait_all(a, j, err);
    if (rc == LC_OK)
        rc = put_predictions(j, response, err);
    job_release(j);
    return rc;
}

/* Chat and completion requests are answered in OpenAI's shapes, as both products do for language models. */
enum lc route_invocations(struct ask *a, struct http_response *response, struct err *err)
{
    if (json_object_get(a->body, "messages"))
        return route_chat(a, response, err);
    if (json_object_get(a->body, "prompt"))
        return route_completions(a, response, err);
    return predict(a, response, err);
}

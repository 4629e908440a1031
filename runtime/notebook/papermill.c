#include "runtime/notebook/papermill.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char error_tag[] = "papermill-error-cell-tag";
static const char *const statuses[] = {"pending", "running", "completed", "failed"};

enum { STAMP = 40 };

/* As Python's isoformat writes it: 2026-01-31T12:00:00.000001+00:00 */
static void stamp(double seconds, char out[STAMP])
{
    time_t whole = (time_t)seconds;
    struct tm tm;
    char text[24];

    gmtime_r(&whole, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, STAMP, "%s.%06d+00:00", text, (int)((seconds - (double)whole) * 1e6));
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double parsed(const char *text)
{
    struct tm tm = {0};
    double fraction = 0;

    if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
        return 0;
    sscanf(text + strcspn(text, "."), "%lf", &fraction);
    return (double)timegm(&tm) + fraction;
}

static json_t *noted(json_t *metadata)
{
    json_t *own = json_object_get(metadata, "papermill");

    if (!json_is_object(own)) {
        own = json_object();
        json_object_set_new(metadata, "papermill", own);
    }
    return own;
}

static void start_clock(json_t *own)
{
    char text[STAMP];

    stamp(now(), text);
    json_object_set_new(own, "start_time", json_string(text));
}

static void stop_clock(json_t *own)
{
    double end = now(), start = parsed(json_string_value(json_object_get(own, "start_time")));
    char text[STAMP];

    stamp(end, text);
    json_object_set_new(own, "end_time", json_string(text));
    if (start > 0)
        json_object_set_new(own, "duration", json_real((double)(long long)((end - start) * 1e6) / 1e6));
}

void papermill_begin(struct notebook *nb, const char *input, const char *output, const json_t *params)
{
    json_t *own = noted(notebook_metadata(nb));

    json_object_clear(own);
    json_object_update_new(own, json_pack("{s:{}, s:{}, s:O, s:s, s:s, s:s, s:n, s:n, s:n}",
                                          "default_parameters", "environment_variables", "parameters", params,
                                          "input_path", input, "output_path", output, "version",
                                          LACUS_VERSION, "end_time", "duration", "exception"));
    start_clock(own);
    for (size_t i = 0; i < notebook_cell_count(nb); i++) {
        json_t *metadata = cell_metadata(notebook_cell(nb, i));
        json_object_set_new(metadata, "papermill",
                            json_pack("{s:n, s:n, s:n, s:n, s:s}", "exception", "start_time", "end_time",
                                      "duration", "status", statuses[PAPERMILL_PENDING]));
        if (!json_object_get(metadata, "tags"))
            json_object_set_new(metadata, "tags", json_array());
    }
}

/* What nbclient records of a cell's messages, and JupyterLab shows as its time. */
static void note_messages(json_t *cell, enum papermill_status status)
{
    static const char *const first[] = {"iopub.status.busy", "iopub.execute_input"},
                             *const last[] = {"shell.execute_reply", "iopub.status.idle"};
    const bool begins = status == PAPERMILL_RUNNING;
    json_t *metadata = cell_metadata(cell), *times = json_object_get(metadata, "execution");
    char text[STAMP];

    if (!cell_is_code(cell))
        return;
    if (begins || !json_is_object(times))
        json_object_set_new(metadata, "execution", times = json_object());
    stamp(now(), text);
    for (int i = 0; i < 2; i++)
        json_object_set_new(times, begins ? first[i] : last[i],
                            json_sprintf("%.*sZ", (int)strcspn(text, "+"), text));
}

void papermill_cell(json_t *cell, enum papermill_status status)
{
    json_t *own = noted(cell_metadata(cell));

    json_object_set_new(own, "status", json_string(statuses[status]));
    if (status == PAPERMILL_RUNNING)
        start_clock(own);
    if (status == PAPERMILL_COMPLETED || status == PAPERMILL_FAILED)
        stop_clock(own);
    if (status != PAPERMILL_PENDING)
        note_messages(cell, status);
    json_object_set_new(own, "exception",
                        status == PAPERMILL_PENDING ? json_null() : json_boolean(status == PAPERMILL_FAILED));
}

bool papermill_completed(const json_t *cell)
{
    const json_t *own = json_object_get(json_object_get(cell, "metadata"), "papermill");
    const char *status = json_string_value(json_object_get(own, "status"));

    return status && strcmp(status, statuses[PAPERMILL_COMPLETED]) == 0;
}

void papermill_end(struct notebook *nb, enum papermill_status status)
{
    json_t *own = noted(notebook_metadata(nb));

    stop_clock(own);
    if (status == PAPERMILL_FAILED)
        json_object_set_new(own, "exception", json_true());
}

enum lc papermill_mark_error(struct notebook *nb, size_t index, struct err *err)
{
    static const char style[] =
        "style=\"color:red; font-family:Helvetica Neue, Helvetica, Arial, sans-serif; font-size:2em;\"";
    const json_t *cell = notebook_cell(nb, index);
    char text[500];

    snprintf(text, sizeof text,
             "<span id=\"papermill-error-cell\" %s>The run met an error here and stopped:</span>", style);
    TRY(notebook_insert_markdown(nb, index, text, error_tag, err));
    snprintf(text, sizeof text,
             "<span %s>An error was met at '<a href=\"#papermill-error-cell\">In [%d]</a>'.</span>", style,
             (int)json_integer_value(json_object_get(cell, "execution_count")));
    return notebook_insert_markdown(nb, 0, text, error_tag, err);
}

void papermill_remove_marks(struct notebook *nb)
{
    for (size_t i = notebook_cell_count(nb); i > 0; i--)
        if (cell_has_tag(notebook_cell(nb, i - 1), error_tag))
            notebook_remove(nb, i - 1);
}

void papermill_hide_sources(struct notebook *nb)
{
    for (size_t i = 0; i < notebook_cell_count(nb); i++) {
        json_t *metadata = cell_metadata(notebook_cell(nb, i)), *jupyter;
        if (!cell_is_code(notebook_cell(nb, i)))
            continue;
        jupyter = json_object_get(metadata, "jupyter");
        if (!json_is_object(jupyter)) {
            jupyter = json_object();
            json_object_set_new(metadata, "jupyter", jupyter);
        }
        json_object_set_new(jupyter, "source_hidden", json_true());
    }
}

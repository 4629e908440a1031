#include "runtime/notebook/runner.h"
#include "runtime/base/clock.h"
#include "runtime/base/terminal.h"
#include "runtime/notebook/notebook.h"
#include "runtime/notebook/parameters.h"
#include "runtime/notebook/widget_state.h"
#include <stdio.h>
#include <string.h>

struct runner {
    const struct runner_options *options;
    struct notebook *nb;
    struct terminal terminal;
    bool shown;      /* there is a terminal */
    json_t *cell;    /* borrowed: the cell that runs */
    bool clear_next; /* clear_output(wait = true) */
    struct widget_states widgets;
    int64_t saved_ns;
    struct err save_error; /* code LC_OK while saving works */
    json_t *exit_value;    /* owned: the notebook ended itself; NULL: not */
};

static const int64_t save_interval_ns = 500000000; /* while a cell prints */
/* A display's id is transient: it stays in the output's metadata (the one free place there) while the
 * notebook runs. */
static const char id_key[] = "lacus_display_id";

/* So that a closed notebook shows its controls as they were. */
static void note_widgets(struct runner *r)
{
    json_t *widgets = widget_states_metadata(&r->widgets);

    if (widgets)
        json_object_set_new(notebook_metadata(r->nb), "widgets", widgets);
}

static void save(struct runner *r)
{
    struct err err;

    note_widgets(r);

    err_clear(&err);
    if (notebook_save(r->nb, r->options->output, false, &err) != LC_OK && r->save_error.code == LC_OK) {
        r->save_error = err;
        fprintf(stderr, "lacus run: %s; the run goes on\n", err.message);
    }
    r->saved_ns = clock_mono_ns();
}

static void save_now_and_then(struct runner *r)
{
    if (clock_mono_ns() - r->saved_ns > save_interval_ns)
        save(r);
}

/* ---- the front end ---- */
/* Where output goes: into an Output widget that gathers, else into the cell; NULL: nowhere. */
static json_t *outputs_now(const struct runner *r)
{
    json_t *gathered = widget_states_outputs(&r->widgets);

    return gathered ? gathered : r->cell ? cell_outputs(r->cell) : NULL;
}

static json_t *outputs_for_more(struct runner *r)
{
    json_t *outputs = outputs_now(r);

    if (outputs && r->clear_next)
        json_array_clear(outputs);
    r->clear_next = false;
    return outputs;
}

static json_t *last_stream(json_t *outputs, const char *name)
{
    json_t *last = json_array_get(outputs, json_array_size(outputs) - 1);
    const char *type = json_string_value(json_object_get(last, "output_type"));
    const char *stream = json_string_value(json_object_get(last, "name"));

    return type && strcmp(type, "stream") == 0 && stream && strcmp(stream, name) == 0
               ? json_object_get(last, "text")
               : NULL;
}

/* The last line of the stream may be unfinished: the new text goes on there. */
static void append_lines(json_t *lines, const char *text, size_t len)
{
    size_t n = json_array_size(lines), used = 0;
    json_t *last = json_array_get(lines, n - 1);
    const char *before = json_string_value(last);
    size_t old = json_string_length(last);
    json_t *more, *line;
    size_t i;

    if (n > 0 && old > 0 && before[old - 1] != '\n') {
        const char *end = memchr(text, '\n', len);
        struct buf joined = BUF_INIT(BUF_TEXT_MAX);
        used = end ? (size_t)(end - text) + 1 : len;
        buf_add(&joined, before, old);
        buf_add(&joined, text, used);
        json_array_set_new(lines, n - 1, json_stringn(buf_str(&joined), joined.len));
        buf_release(&joined);
    }
    more = notebook_lines(text + used, len - used);
    json_array_foreach (more, i, line)
        json_array_append(lines, line);
    json_decref(more);
}

static void on_stream(void *self, const struct ctx *ctx, enum stream stream, const char *text, size_t len)
{
    struct runner *r = self;
    json_t *outputs = outputs_for_more(r), *lines;
    const char *name = stream == STREAM_STDERR ? "stderr" : "stdout";

    (void)ctx;
    if (r->shown)
        terminal_text(&r->terminal, text, len);
    if (!outputs)
        return;
    lines = last_stream(outputs, name);
    if (lines)
        append_lines(lines, text, len);
    else
        json_array_append_new(outputs, json_pack("{s:s, s:s, s:o}", "output_type", "stream", "name", name,
                                                 "text", notebook_lines(text, len)));
    save_now_and_then(r);
}

/* Text in a MIME bundle is stored as lines, JSON types as they are. */
static json_t *stored_bundle(const json_t *data)
{
    json_t *out = json_object(), *value;
    const char *mime;

    json_object_foreach ((json_t *)data, mime, value)
        if (json_is_string(value) && strncmp(mime, "image/png", 9) != 0 &&
            strncmp(mime, "image/jpeg", 10) != 0)
            json_object_set_new(out, mime,
                                notebook_lines(json_string_value(value), json_string_length(value)));
        else
            json_object_set(out, mime, value);
    return out;
}

static json_t *output_of(const struct display *d, const char *type)
{
    return json_pack("{s:s, s:o, s:o}", "output_type", type, "data", stored_bundle(d->data), "metadata",
                     d->metadata ? json_copy(d->metadata) : json_object());
}

static void show_text(struct runner *r, const struct display *d)
{
    const json_t *plain = json_object_get(d->data, "text/plain");
    const char *id = json_string_value(json_object_get(d->transient, "display_id"));

    if (!r->shown || !json_is_string(plain))
        return;
    if (id) {
        terminal_block(&r->terminal, id, json_string_value(plain), json_string_length(plain));
    } else {
        terminal_text(&r->terminal, json_string_value(plain), json_string_length(plain));
        terminal_text(&r->terminal, "\n", 1);
    }
}

/* Every output that was displayed with this id is replaced, in whichever cell it is. */
static void update_outputs(struct runner *r, const struct display *d, const char *id)
{
    for (size_t i = 0; i < notebook_cell_count(r->nb); i++) {
        json_t *outputs = cell_outputs(notebook_cell(r->nb, i)), *output;
        size_t k;
        json_array_foreach (outputs, k, output) {
            const char *has = json_string_value(json_object_get(json_object_get(output, "metadata"), id_key));
            if (has && strcmp(has, id) == 0)
                json_object_set_new(output, "data", stored_bundle(d->data));
        }
    }
}

static void append_display(struct runner *r, const struct display *d, json_t *output)
{
    json_t *outputs = outputs_for_more(r), *id = json_object_get(d->transient, "display_id");

    if (id)
        json_object_set(json_object_get(output, "metadata"), id_key, id);
    if (outputs)
        json_array_append(outputs, output);
    json_decref(output);
}

static void forget_display_ids(struct runner *r)
{
    for (size_t i = 0; i < notebook_cell_count(r->nb); i++) {
        json_t *outputs = cell_outputs(notebook_cell(r->nb, i)), *output;
        size_t k;
        json_array_foreach (outputs, k, output)
            json_object_del(json_object_get(output, "metadata"), id_key);
    }
}

static void on_display(void *self, const struct ctx *ctx, const struct display *d)
{
    struct runner *r = self;
    const char *id = json_string_value(json_object_get(d->transient, "display_id"));

    (void)ctx;
    show_text(r, d);
    if (d->update && id)
        update_outputs(r, d, id);
    else
        append_display(r, d, output_of(d, "display_data"));
    save_now_and_then(r);
}

static void on_result(void *self, const struct ctx *ctx, int execution_count, const struct display *d)
{
    struct runner *r = self;
    json_t *output = output_of(d, "execute_result");

    (void)ctx;
    show_text(r, d);
    json_object_set_new(output, "execution_count", json_integer(execution_count));
    append_display(r, d, output);
}

static void on_error(void *self, const struct ctx *ctx, const struct cell_error *e)
{
    struct runner *r = self;
    json_t *outputs = outputs_for_more(r), *line;
    size_t i;

    (void)ctx;
    if (outputs)
        json_array_append_new(outputs, json_pack("{s:s, s:s, s:s, s:O}", "output_type", "error", "ename",
                                                 e->ename, "evalue", e->evalue, "traceback", e->traceback));
    json_array_foreach (e->traceback, i, line) {
        if (!r->shown)
            break;
        terminal_text(&r->terminal, json_string_value(line), json_string_length(line));
        terminal_text(&r->terminal, "\n", 1);
    }
}

static void on_clear(void *self, const struct ctx *ctx, bool wait)
{
    struct runner *r = self;

    (void)ctx;
    r->clear_next = wait;
    if (!wait)
        json_array_clear(outputs_now(r));
    if (r->shown)
        terminal_erase(&r->terminal);
}

static enum lc on_input(void *self, const struct ctx *ctx, const char *prompt, bool password,
                        struct buf *answer, struct err *err)
{
    (void)self, (void)ctx, (void)password, (void)answer;
    err_set(err, LC_UNSUPPORTED, "a notebook run cannot ask '%s': there is nobody to answer",
            prompt ? prompt : "");
    return err_hint(err, "use dbutils.widgets and give the value with -p NAME VALUE");
}

static enum lc on_comm(void *self, const struct ctx *ctx, enum comm_kind kind, const char *comm_id,
                       const char *target, json_t *data, json_t *metadata, const struct comm_buffers *buffers,
                       struct err *err)
{
    struct runner *r = self;

    (void)ctx, (void)metadata, (void)err;
    if (kind == COMM_MSG && json_object_get(json_object_get(data, "state"), "msg_id"))
        r->clear_next = false; /* a pending clear was for what was shown elsewhere */
    widget_states_comm(&r->widgets, kind, comm_id, target, data, buffers);
    return LC_OK;
}

/* Any id: what an Output widget gathers is put there by this front end itself. */
static const char *on_request_id(void *self)
{
    const struct runner *r = self;

    return r->cell ? "run" : "";
}

static const struct frontend_ops runner_ops = {.name = "runner",
                                               .rich = true,
                                               .stream = on_stream,
                                               .display = on_display,
                                               .result = on_result,
                                               .error = on_error,
                                               .clear_output = on_clear,
                                               .input = on_input,
                                               .comm_send = on_comm,
                                               .request_id = on_request_id};

/* ---- running ---- */
static void announce(struct runner *r, size_t number, size_t total, const struct buf *source)
{
    const char *text = buf_str(source), *end = strchr(text, '\n');
    char head[64];
    int n;

    if (!r->shown)
        return;
    n = snprintf(head, sizeof head, "%s[%zu/%zu] ", r->terminal.midline ? "\n" : "", number, total);
    if (r->terminal.live)
        terminal_text(&r->terminal, "\x1b[2m", 4);
    terminal_text(&r->terminal, head, (size_t)n);
    terminal_text(&r->terminal, text, end ? (size_t)(end - text) : strlen(text));
    terminal_text(&r->terminal, r->terminal.live ? "\x1b[0m\n" : "\n", r->terminal.live ? 5 : 1);
}

static void note_execution(json_t *cell, const struct cell_reply *reply, int64_t started_ms)
{
    static const char *const names[] = {"ok", "error", "aborted"};
    int64_t ended_ms = clock_wall_ms();
    char started[ISO_TEXT], ended[ISO_TEXT];

    clock_iso(started_ms, started);
    clock_iso(ended_ms, ended);
    json_object_set_new(cell, "execution_count", json_integer(reply->execution_count));
    json_object_set_new(cell_metadata(cell), "lacus",
                        json_pack("{s:s, s:s, s:s, s:f}", "status", names[reply->status], "start_time",
                                  started, "end_time", ended, "duration",
                                  (double)(ended_ms - started_ms) / 1000));
}

static enum lc cell_failed(const struct runner *r, const struct cell_reply *reply, size_t number,
                           struct err *err)
{
    if (reply->interrupted)
        return err_set(err, LC_CANCELLED, "interrupted in cell %zu of '%s'", number, r->options->input);
    err_set(err, LC_RUNTIME, "cell %zu of '%s' failed: %s: %s", number, r->options->input,
            reply->ename ? reply->ename : "error", reply->evalue ? reply->evalue : "");
    return err_hint(err, "the outputs so far are in '%s'", r->options->output);
}

static enum lc run_cell(struct runner *r, struct session *s, size_t index, size_t number, size_t total,
                        struct err *err)
{
    struct buf source = BUF_INIT(BUF_TEXT_MAX);
    json_t *cell = notebook_cell(r->nb, index);
    struct cell_reply reply = {0};
    int64_t started = clock_wall_ms();
    enum lc rc;

    cell_source(cell, &source);
    announce(r, number, total, &source);
    r->cell = cell;
    r->clear_next = false;
    rc = session_execute(
        s,
        &(struct cell_request){
            .code = buf_str(&source), .len = source.len, .cell_id = cell_id(cell), .store_history = true},
        &reply, err);
    buf_release(&source);
    if (rc != LC_OK)
        return rc;
    note_execution(cell, &reply, started);
    if (reply.notebook_exit)
        r->exit_value = json_string(reply.notebook_exit);
    if (reply.status != CELL_OK && !(cell_has_tag(cell, "raises-exception") && !reply.interrupted))
        rc = cell_failed(r, &reply, number, err);
    cell_reply_release(&reply);
    save(r);
    r->cell = NULL;
    return rc;
}

static bool is_blank(const json_t *cell)
{
    struct buf source = BUF_INIT(BUF_TEXT_MAX);
    bool blank = cell_source(cell, &source) && buf_str(&source)[strspn(buf_str(&source), " \t\r\n")] == '\0';

    buf_release(&source);
    return blank;
}

static bool runs(const json_t *cell)
{
    return cell_is_code(cell) && !is_blank(cell);
}

/* An interrupt reaches the cell that runs; between two cells there is nobody but us to notice it. */
static enum lc check_stop(const struct runner *r, size_t number, struct err *err)
{
    if (!r->options->stop_asked || !r->options->stop_asked(r->options->arg))
        return LC_OK;
    return err_set(err, LC_CANCELLED, "interrupted before cell %zu of '%s'", number, r->options->input);
}

/* A parameter of the wrong type, or that is no choice, is known before the first cell runs. */
static enum lc check_declared(const struct runner *r, struct session *s, struct err *err)
{
    struct buf code = BUF_INIT((size_t)1 << 26);
    struct cell_reply reply = {0};
    enum lc rc = LC_OK;

    if (json_object_size(r->options->params) == 0)
        return LC_OK;
    parameters_declared(r->nb, &code);
    if (buf_ok(&code))
        rc = session_execute(
            s, &(struct cell_request){.code = buf_str(&code), .len = code.len, .silent = true}, &reply, err);
    if (rc == LC_OK && reply.status == CELL_ERROR && reply.ename && strcmp(reply.ename, "ArgumentError") == 0)
        rc = err_set(err, LC_ARG, "parameters of '%s': %s", r->options->input,
                     reply.evalue ? reply.evalue : "");
    cell_reply_release(&reply);
    buf_release(&code);
    return rc;
}

static enum lc run_cells(struct runner *r, struct session *s, struct err *err)
{
    size_t total = 0, number = 0;

    TRY(check_declared(r, s, err));
    for (size_t i = 0; i < notebook_cell_count(r->nb); i++)
        total += runs(notebook_cell(r->nb, i));
    for (size_t i = 0; i < notebook_cell_count(r->nb); i++)
        if (runs(notebook_cell(r->nb, i))) {
            session_expect(s); /* an interrupt between the look and the cell's start is for the cell */
            TRY(check_stop(r, number + 1, err));
            TRY(run_cell(r, s, i, ++number, total, err));
            if (r->exit_value)
                break;
        }
    return LC_OK;
}

static void forget_old_outputs(struct notebook *nb)
{
    for (size_t i = 0; i < notebook_cell_count(nb); i++) {
        json_t *cell = notebook_cell(nb, i);
        if (!cell_is_code(cell))
            continue;
        json_array_clear(cell_outputs(cell));
        json_object_set_new(cell, "execution_count", json_null());
    }
}

static void note_run(struct runner *r, const char *status)
{
    char now[ISO_TEXT];

    clock_iso(clock_wall_ms(), now);
    json_object_set_new(notebook_metadata(r->nb), "lacus",
                        json_pack("{s:s, s:s, s:s, s:O}", "version", LACUS_VERSION, "status", status, "time",
                                  now, "parameters",
                                  r->options->params ? r->options->params : json_object()));
    if (r->exit_value)
        json_object_set(json_object_get(notebook_metadata(r->nb), "lacus"), "exit_value", r->exit_value);
}

static enum lc run_session(struct runner *r, struct err *err)
{
    struct session_options options = r->options->session;
    struct session *s;
    enum lc rc;

    options.frontend = (struct frontend){&runner_ops, r};
    options.params = r->options->params;
    options.notebook = r->options->input;
    options.capture = true;
    TRY(session_open(&options, &s, err));
    if (r->options->started)
        r->options->started(r->options->arg, s);
    rc = run_cells(r, s, err);
    if (r->options->ended)
        r->options->ended(r->options->arg);
    session_close(s);
    return rc;
}

static enum lc prepare(struct runner *r, struct err *err)
{
    TRY(notebook_load(r->options->input, &r->nb, err));
    TRY(parameters_check(r->options->params, r->nb, err));
    forget_old_outputs(r->nb);
    json_object_del(notebook_metadata(r->nb), "widgets");
    TRY(parameters_inject(r->options->params, r->nb, err));
    note_run(r, "running");
    return notebook_save(r->nb, r->options->output, false, err);
}

enum lc notebook_run(const struct runner_options *options, struct err *err)
{
    struct runner r = {.options = options, .shown = options->terminal_fd >= 0, .saved_ns = clock_mono_ns()};
    enum lc rc, saved;
    struct err save_error;

    if (r.shown)
        terminal_init(&r.terminal, options->terminal_fd);
    widget_states_init(&r.widgets);
    rc = prepare(&r, err);
    if (rc == LC_OK) {
        rc = run_session(&r, err);
        forget_display_ids(&r);
        note_widgets(&r);
        note_run(&r, rc == LC_OK ? "ok" : rc == LC_CANCELLED ? "interrupted" : "error");
        saved = notebook_save(r.nb, options->output, true, &save_error);
        if (saved != LC_OK && rc == LC_OK && err) {
            *err = save_error;
            rc = saved;
        }
    }
    if (r.shown)
        terminal_release(&r.terminal);
    json_decref(r.exit_value);
    widget_states_release(&r.widgets);
    notebook_free(r.nb);
    return rc;
}

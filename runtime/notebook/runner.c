#include "runtime/notebook/runner.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/plural.h"
#include "runtime/notebook/kept.h"
#include "runtime/notebook/papermill.h"
#include "runtime/notebook/parameters.h"
#include "runtime/notebook/runner_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static const int64_t save_interval_ns = 500000000; /* at most, while a cell prints */
enum { SAVE_SHARE = 10 };                          /* saving takes at most one part in ten of the time */

/* ---- saving ---- */
static bool piped(const struct runner *r)
{
    return strcmp(r->options->output, "-") == 0;
}

/* So that a closed notebook shows its controls as they were. */
static void note_widgets(struct runner *r)
{
    json_t *widgets = widget_states_metadata(&r->widgets);

    if (widgets)
        json_object_set_new(notebook_metadata(r->nb), "widgets", widgets);
}

/* now. Under lock. */
static void runner_save(struct runner *r)
{
    int64_t start = clock_mono_ns();
    struct err err;

    r->dirty = false;
    if (piped(r))
        return; /* standard output gets the notebook once, at the end */
    note_widgets(r);
    err_clear(&err);
    if (notebook_save(r->nb, r->options->output, false, &err) != LC_OK && r->save_error.code == LC_OK) {
        r->save_error = err;
        dprintf(r->options->errors_fd > 0 ? r->options->errors_fd : STDERR_FILENO,
                "lacus run: %s; the run goes on\n", err.message);
    }
    r->saved_ns = clock_mono_ns();
    r->save_took = r->saved_ns - start;
}

static bool save_is_due(const struct runner *r, int64_t at_least)
{
    int64_t since = clock_mono_ns() - r->saved_ns;

    return r->dirty && since >= at_least && since >= r->save_took * SAVE_SHARE;
}

void runner_changed(struct runner *r)
{
    r->dirty = true;
    if (save_is_due(r, save_interval_ns))
        runner_save(r);
}

/* On the watching thread: what a cell has printed before it fell silent, or a cell before this one. */
static void save_meanwhile(void *arg)
{
    struct runner *r = arg;

    pthread_mutex_lock(&r->lock);
    if (save_is_due(r, save_interval_ns / 2))
        runner_save(r);
    pthread_mutex_unlock(&r->lock);
}

/* ---- what is seen ---- */
bool runner_shows(const struct runner *r)
{
    return r->options->terminal_fd >= 0 && !r->options->quiet_cells && !r->replaying;
}

static void announce(struct runner *r, size_t number, size_t total, const char *text)
{
    const char *end = strchr(text, '\n');
    char head[64];
    int n;

    if (r->options->terminal_fd < 0 || r->options->quiet_cells)
        return;
    n = snprintf(head, sizeof head, "%s[%zu/%zu] %s", r->terminal.midline ? "\n" : "", number, total,
                 r->replaying ? "again: " : "");
    terminal_coloured(&r->terminal, "\x1b[2m", 4);
    terminal_text(&r->terminal, head, (size_t)n);
    terminal_text(&r->terminal, text, end ? (size_t)(end - text) : strlen(text));
    terminal_coloured(&r->terminal, "\x1b[0m", 4);
    terminal_text(&r->terminal, "\n", 1);
}

static void draw_bar(struct runner *r, size_t done, size_t total, const char *text)
{
    enum { WIDE = 30 };
    size_t full = total ? done * WIDE / total : WIDE;
    struct buf line = BUF_INIT(4096);

    buf_puts(&line, "[");
    for (size_t i = 0; i < WIDE; i++)
        buf_puts(&line, i < full ? "\xe2\x96\x88" : " ");
    buf_printf(&line, "] %zu/%zu cells  %.*s", done, total,
               (int)(strcspn(text, "\n") < 40 ? strcspn(text, "\n") : 40), text);
    terminal_block(&r->terminal, "bar", buf_str(&line), line.len);
    buf_release(&line);
}

static void tell_progress(struct runner *r, size_t number, size_t total, const char *source, bool failed)
{
    struct runner_progress p = {.number = number, .total = total, .source = source, .failed = failed};

    if (r->options->progress)
        r->options->progress(r->options->arg, &p);
    if (source)
        announce(r, number, total, source);
    if (r->options->bar && r->options->terminal_fd >= 0)
        draw_bar(r, source ? number - 1 : number, total, source ? source : "");
}

/* ---- one cell ---- */
static const char *state_of(const struct runner *r, const struct cell_reply *reply)
{
    static const char *const names[] = {"ok", "error", "aborted"};

    return r->replaying && reply->status == CELL_OK ? "replayed" : names[reply->status];
}

/* papermill calls a cell that may fail completed, and so does a run that is resumed. */
static void note_execution(struct runner *r, json_t *cell, const struct cell_reply *reply, bool good,
                           int64_t started_ms)
{
    int64_t ended_ms = clock_wall_ms();
    char started[ISO_TEXT], ended[ISO_TEXT];

    clock_iso(started_ms, started);
    clock_iso(ended_ms, ended);
    if (!r->replaying)
        json_object_set_new(cell, "execution_count", json_integer(reply->execution_count));
    json_object_set_new(cell_metadata(cell), "lacus",
                        json_pack("{s:s, s:s, s:s, s:f}", "status", state_of(r, reply), "start_time", started,
                                  "end_time", ended, "duration", (double)(ended_ms - started_ms) / 1000));
    if (!r->replaying)
        papermill_cell(cell, good ? PAPERMILL_COMPLETED : PAPERMILL_FAILED);
}

static enum lc cell_failed(const struct runner *r, const struct cell_reply *reply, size_t number, bool late,
                           struct err *err)
{
    const char *input = r->options->input;

    if (late)
        err_set(err, LC_TIMEOUT, "cell %zu of '%s' did not end within %g second%s", number, input, r->limit,
                PLURAL(r->limit));
    else if (reply->interrupted)
        return err_set(err, LC_CANCELLED, "interrupted in cell %zu of '%s'", number, input);
    else
        err_set(err, LC_RUNTIME, "cell %zu of '%s' failed: %s: %s", number, input,
                reply->ename ? reply->ename : "error", reply->evalue ? reply->evalue : "");
    if (r->replaying)
        return err_hint(err,
                        "it had worked in the run that is resumed; run the notebook from its beginning, or "
                        "tag the cell no-replay");
    return piped(r) ? err->code
                    : err_hint(err, "the outputs so far are in '%s'; 'lacus run --resume' goes on there",
                               r->options->output);
}

static bool has_one(const json_t *cell, const char *const *tags)
{
    for (; tags && *tags; tags++)
        if (cell_has_tag(cell, *tags))
            return true;
    return false;
}

static bool may_fail(const struct runner *r, const json_t *cell)
{
    return r->options->allow_errors || cell_has_tag(cell, "raises-exception") ||
           has_one(cell, r->options->error_tags);
}

static void begin_cell(struct runner *r, json_t *cell)
{
    int64_t now = clock_mono_ns(), deadline = r->deadline;
    double seconds = r->options->cell_timeout;

    r->limit = r->options->timeout;
    if (seconds > 0 && (!deadline || now + (int64_t)(seconds * 1e9) < deadline)) {
        deadline = now + (int64_t)(seconds * 1e9);
        r->limit = seconds;
    }
    pthread_mutex_lock(&r->lock);
    r->cell = cell;
    r->clear_next = false;
    if (!r->replaying)
        papermill_cell(cell, PAPERMILL_RUNNING);
    r->dirty = true;
    pthread_mutex_unlock(&r->lock);
    minder_cell(r->minder, deadline);
}

/* What a cell may do about the run: fail it, or end it with a value. */
static enum lc end_cell(struct runner *r, json_t *cell, const struct cell_reply *reply, size_t number,
                        int64_t started, struct err *err)
{
    bool late = minder_end(r->minder) && reply->interrupted;
    bool good = reply->status == CELL_OK || (!reply->interrupted && may_fail(r, cell));
    enum lc rc = LC_OK;

    pthread_mutex_lock(&r->lock);
    note_execution(r, cell, reply, good, started);
    r->result->failed += reply->status != CELL_OK;
    if (!good)
        rc = cell_failed(r, reply, number, late, err);
    r->result->ran += !r->replaying;
    r->result->replayed += r->replaying;
    r->cell = NULL;
    r->dirty = true;
    if (save_is_due(r, 0))
        runner_save(r);
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static enum lc run_cell(struct runner *r, struct session *s, json_t *cell, size_t number, size_t total,
                        struct err *err)
{
    struct buf source = BUF_INIT(BUF_TEXT_MAX);
    struct cell_reply reply = {0};
    int64_t started = clock_wall_ms();
    enum lc rc;

    if (!cell_source(cell, &source)) {
        buf_release(&source);
        return err_set(err, LC_LIMIT, "cell %zu of '%s' is longer than 64 MiB", number, r->options->input);
    }
    tell_progress(r, number, total, buf_str(&source), false);
    begin_cell(r, cell);
    rc = session_execute(
        s,
        &(struct cell_request){
            .code = buf_str(&source), .len = source.len, .cell_id = cell_id(cell), .store_history = true},
        &reply, err);
    buf_release(&source);
    if (rc != LC_OK) {
        minder_end(r->minder);
        return rc;
    }
    if (reply.exit_asked && reply.exit_status != 0)
        runner_exit_failed(r, &reply);
    rc = end_cell(r, cell, &reply, number, started, err);
    if (reply.notebook_exit || (reply.exit_asked && reply.status == CELL_OK))
        r->result->exit_value = mem_strdup(reply.notebook_exit ? reply.notebook_exit : "");
    tell_progress(r, number, total, NULL, reply.status != CELL_OK);
    cell_reply_release(&reply);
    return rc;
}

/* ---- all cells ---- */
static bool is_blank(const json_t *cell)
{
    struct buf source = BUF_INIT(BUF_TEXT_MAX);
    bool blank = cell_source(cell, &source) && buf_str(&source)[strspn(buf_str(&source), " \t\r\n")] == '\0';

    buf_release(&source);
    return blank;
}

static bool is_skipped(const struct runner *r, const json_t *cell)
{
    return cell_has_tag(cell, "skip-execution") || has_one(cell, r->options->skip_tags);
}

static bool runs(const struct runner *r, const json_t *cell)
{
    return cell_is_code(cell) && !is_blank(cell) && !is_skipped(r, cell);
}

/* An interrupt reaches the cell that runs; between two cells there is nobody but us to notice it. */
static enum lc check_stop(const struct runner *r, size_t number, struct err *err)
{
    if (r->options->stop_asked && r->options->stop_asked(r->options->arg))
        return err_set(err, LC_CANCELLED, "interrupted before cell %zu of '%s'", number, r->options->input);
    if (r->deadline && clock_mono_ns() >= r->deadline)
        return err_set(err, LC_TIMEOUT, "'%s' did not end within %g second%s: stopped before cell %zu",
                       r->options->input, r->options->timeout, PLURAL(r->options->timeout), number);
    return LC_OK;
}

static enum lc run_at(struct runner *r, struct session *s, size_t index, size_t number, size_t total,
                      struct err *err)
{
    json_t *cell = notebook_cell(r->nb, index);
    enum lc rc;

    r->replaying = index < r->replay;
    if (r->replaying && cell_has_tag(cell, "no-replay"))
        return LC_OK;
    session_expect(s); /* an interrupt between the look and the cell's start is for the cell */
    TRY(check_stop(r, number, err));
    rc = run_cell(r, s, cell, number, total, err);
    if (rc != LC_OK && rc != LC_CANCELLED && !r->replaying && !piped(r) &&
        strcmp(r->options->input, r->options->output) != 0 &&
        papermill_mark_error(r->nb, index, NULL) != LC_OK)
        return rc;
    return rc;
}

static void note_others(struct runner *r, json_t *cell)
{
    if (cell_is_code(cell) && is_skipped(r, cell)) {
        r->result->skipped++;
        json_object_set_new(cell_metadata(cell), "lacus", json_pack("{s:s}", "status", "skipped"));
    } else {
        papermill_cell(cell, PAPERMILL_RUNNING);
        papermill_cell(cell, PAPERMILL_COMPLETED);
    }
}

/* A parameter of the wrong type, or that is no choice, is known before the first cell runs. */
static enum lc check_declared(const struct runner *r, struct session *s, struct err *err)
{
    struct buf code = BUF_INIT((size_t)1 << 26);
    struct cell_reply reply = {0};
    enum lc rc = LC_OK;

    if (json_object_size(r->params) == 0)
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
        total += runs(r, notebook_cell(r->nb, i));
    for (size_t i = 0; i < notebook_cell_count(r->nb) && !r->result->exit_value; i++)
        if (!runs(r, notebook_cell(r->nb, i)))
            note_others(r, notebook_cell(r->nb, i));
        else
            TRY(run_at(r, s, i, ++number, total, err));
    return LC_OK;
}

/* ---- before and after ---- */
static void forget_old_outputs(struct notebook *nb)
{
    for (size_t i = 0; i < notebook_cell_count(nb); i++) {
        json_t *cell = notebook_cell(nb, i);
        if (!cell_is_code(cell))
            continue;
        json_array_clear(cell_outputs(cell));
        json_object_set_new(cell, "execution_count", json_null());
        json_object_del(cell_metadata(cell), "execution"); /* a client's times of the run before */
    }
}

static void note_run(struct runner *r, const char *status)
{
    json_t *note;
    char now[ISO_TEXT];

    clock_iso(clock_wall_ms(), now);
    note = json_pack("{s:s, s:s, s:s, s:O, s:i}", "version", LACUS_VERSION, "status", status, "time", now,
                     "parameters", r->params, "attempts", r->result->attempts);
    if (r->result->exit_value)
        json_object_set_new(note, "exit_value", json_string(r->result->exit_value));
    if (r->options->session.job)
        json_object_set_new(note, "job", json_string(r->options->session.job));
    json_object_set_new(notebook_metadata(r->nb), "lacus", note);
}

static bool same_source(const json_t *a, const json_t *b)
{
    struct buf x = BUF_INIT(BUF_TEXT_MAX), y = BUF_INIT(BUF_TEXT_MAX);
    bool same = cell_source(a, &x) && cell_source(b, &y) && x.len == y.len &&
                memcmp(buf_str(&x), buf_str(&y), x.len) == 0 && cell_is_code(a) == cell_is_code(b);

    buf_release(&x);
    buf_release(&y);
    return same;
}

/* The cells from the first on that the earlier run has completed: their outputs are taken over. */
static void take_over(struct runner *r, struct notebook *before)
{
    static const char *const kept[] = {"outputs", "execution_count", "metadata"};
    size_t n = notebook_cell_count(r->nb);

    papermill_remove_marks(before);
    notebook_shares(r->nb, before);
    for (r->replay = 0; r->replay < n && r->replay < notebook_cell_count(before); r->replay++) {
        json_t *now = notebook_cell(r->nb, r->replay), *then = notebook_cell(before, r->replay);
        if (!same_source(now, then) || (!papermill_completed(then) && runs(r, now)))
            break;
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
            if (json_object_get(then, kept[i]))
                json_object_set(now, kept[i], json_object_get(then, kept[i]));
    }
}

static json_t *note_of(struct notebook *nb, const char *name)
{
    return json_object_get(json_object_get(notebook_metadata(nb), "lacus"), name);
}

/* It ended well, all of it or at its exit, and nothing is new: what it did is not done again. */
static bool is_complete(const struct runner *r, struct notebook *before)
{
    const char *status = json_string_value(note_of(before, "status"));
    size_t n = notebook_cell_count(r->nb);

    if (!status || strcmp(status, "ok") != 0 || n != notebook_cell_count(before) ||
        (r->replay < n && !note_of(before, "exit_value")))
        return false;
    for (size_t i = r->replay; i < n; i++) {
        const json_t *now = notebook_cell(r->nb, i), *then = notebook_cell(before, i);
        if (!same_source(now, then) || (runs(r, now) && papermill_completed(then)))
            return false;
    }
    return true;
}

static void resume_from(struct runner *r, struct notebook *before)
{
    const json_t *parameters = note_of(before, "parameters"); /* NULL: papermill ran it */
    const char *value, *job;

    if (parameters && !json_equal(parameters, r->params)) {
        if (!r->options->quiet)
            fprintf(stderr, "lacus run: the run before had other parameters: this one begins anew\n");
        return;
    }
    take_over(r, before);
    r->complete = is_complete(r, before);
    if (!r->complete)
        return;
    value = json_string_value(note_of(before, "exit_value"));
    job = json_string_value(note_of(before, "job"));
    r->result->exit_value = value ? mem_strdup(value) : NULL;
    r->result->job = job ? mem_strdup(job) : NULL;
    if (!r->options->quiet)
        fprintf(stderr, "lacus run: '%s' is complete: nothing is left to run\n", r->options->output);
}

/* The values of before; what kept.h keeps can be written again, not given to a cell. */
static enum lc take_parameters(struct runner *r, struct notebook *before, struct err *err)
{
    json_t *parameters = note_of(before, "parameters");
    char *text;
    bool kept;

    if (json_object_size(r->params) > 0 || !json_is_object(parameters))
        return LC_OK;
    text = json_dumps(parameters, 0);
    kept = text && kept_has(text, strlen(text));
    free(text);
    if (kept) {
        err_set(err, LC_DATA, "cannot take the parameters over from '%s': one is no text or number of Lua's",
                r->options->output);
        return err_hint(err, "give all of them again with -p");
    }
    json_object_update(r->params, parameters);
    return LC_OK;
}

/* A run that is resumed has the values of before, unless others are given. */
static enum lc load_before(struct runner *r, struct notebook **before, struct err *err)
{
    *before = NULL;
    if (!r->options->resume)
        return LC_OK;
    if (piped(r))
        return err_set(err, LC_ARG,
                       "what goes to standard output cannot be resumed: name the notebook with -o");
    if (notebook_load(r->options->output, before, err) != LC_OK) {
        err_hint(err, "without --resume the run begins");
        return err->code;
    }
    return take_parameters(r, *before, err);
}

static enum lc check_kernel(const struct runner *r, struct err *err)
{
    const json_t *metadata = notebook_metadata(r->nb), *spec = json_object_get(metadata, "kernelspec");
    const char *language = json_string_value(json_object_get(spec, "language"));
    const char *name = json_string_value(json_object_get(spec, "name"));

    if (!language)
        language = json_string_value(json_object_get(json_object_get(metadata, "language_info"), "name"));
    if (r->options->kernel && strcmp(r->options->kernel, "lacus") != 0 &&
        strcmp(r->options->kernel, "lua") != 0) {
        err_set(err, LC_ARG, "no kernel '%s': lacus runs its own notebooks", r->options->kernel);
        return err_hint(err, "papermill -k %s runs others", r->options->kernel);
    }
    if (!language && name && !strcasestr(name, "lua") && !strcasestr(name, "lacus"))
        language = "another language";
    if (r->options->kernel || !language || strcasecmp(language, "lua") == 0)
        return LC_OK;
    err_set(err, LC_UNSUPPORTED, "'%s' is a notebook in %s (kernel '%s'), not in Lua", r->options->input,
            language, name ? name : "?");
    return err_hint(err, "papermill runs it; --kernel lacus runs its cells as Lua nevertheless");
}

static enum lc load_input(struct runner *r, struct err *err)
{
    const char *input = r->options->input;

    if (r->options->retries == 0)
        return notebook_load(input, &r->nb, err);
    if (!r->given.len)
        TRY(notebook_text(input, &r->given, err));
    return notebook_parse(buf_str(&r->given), r->given.len, input, &r->nb, err);
}

/* The notebook as it stands before the first cell. */
static enum lc prepare(struct runner *r, struct err *err)
{
    struct notebook *before = NULL;
    enum lc rc;

    TRY(load_input(r, err));
    TRY(check_kernel(r, err));
    rc = load_before(r, &before, err);
    if (rc == LC_OK && !r->options->quiet && r->result->attempts == 1)
        parameters_warn(r->params, r->nb);
    if (rc == LC_OK) {
        parameters_for_widgets(r->params, r->options->texts, r->nb);
        papermill_remove_marks(r->nb);
        forget_old_outputs(r->nb);
        json_object_del(notebook_metadata(r->nb), "widgets");
        notebook_note_language(r->nb);
        rc = parameters_inject(r->params, r->nb, err);
    }
    if (rc == LC_OK) {
        papermill_begin(r->nb, r->options->input, r->options->output, r->params);
        if (before)
            resume_from(r, before);
        if (r->options->report_mode)
            papermill_hide_sources(r->nb);
        note_run(r, "running");
    }
    notebook_free(before);
    return rc;
}

static enum lc run_session(struct runner *r, struct err *err)
{
    struct session_options options = r->options->session;
    struct session *s;
    enum lc rc;

    options.frontend = (struct frontend){&runner_ops, r};
    options.params = r->params;
    options.notebook = r->options->input;
    options.capture = true;
    TRY(session_open(&options, &s, err));
    if (r->options->started)
        r->options->started(r->options->arg, s);
    r->session = s;
    minder_session(r->minder, s);
    rc = run_cells(r, s, err);
    minder_session(r->minder, NULL);
    r->session = NULL;
    if (r->options->ended)
        r->options->ended(r->options->arg);
    session_close(s);
    r->replaying = false;
    return rc;
}

static const char *status_of(enum lc rc)
{
    return rc == LC_OK ? "ok" : rc == LC_CANCELLED ? "interrupted" : rc == LC_TIMEOUT ? "timeout" : "error";
}

static bool worth_another(const struct runner *r, enum lc rc)
{
    return (rc == LC_RUNTIME || rc == LC_TIMEOUT) && r->result->attempts <= r->options->retries &&
           !(r->deadline && clock_mono_ns() >= r->deadline);
}

/* A pipe gets the last attempt's notebook only. */
static enum lc finish(struct runner *r, enum lc rc, bool again, struct err *err)
{
    struct err save_error;
    enum lc saved;

    if (again && piped(r))
        return rc;
    runner_forget_displays(r);
    note_widgets(r);
    papermill_end(r->nb, rc == LC_OK ? PAPERMILL_COMPLETED : PAPERMILL_FAILED);
    note_run(r, status_of(rc));
    saved = piped(r) ? notebook_write(r->nb, r->options->notebook_fd, &save_error)
                     : notebook_save(r->nb, r->options->output, true, &save_error);
    if (saved == LC_OK || rc != LC_OK)
        return rc;
    if (err)
        *err = save_error;
    return saved;
}

static enum lc prepare_only(struct runner *r, struct err *err)
{
    json_object_del(notebook_metadata(r->nb), "lacus");
    return piped(r) ? notebook_write(r->nb, r->options->notebook_fd, err)
                    : notebook_save(r->nb, r->options->output, true, err);
}

static enum lc attempt(struct runner *r, struct err *err)
{
    enum lc rc;

    r->replay = 0;
    r->again = false;
    mem_free(r->result->exit_value);
    r->result->exit_value = NULL;
    r->saved_ns = clock_mono_ns();
    TRY(prepare(r, err));
    if (r->options->prepare_only)
        return prepare_only(r, err);
    if (r->complete)
        return LC_OK;
    if (!piped(r))
        TRY(notebook_save(r->nb, r->options->output, false, err));
    rc = run_session(r, err);
    r->again = worth_another(r, rc);
    return finish(r, rc, r->again, err);
}

static void pause_before_retry(struct runner *r, const struct err *err)
{
    double left = r->options->retry_delay;

    fprintf(stderr, "lacus run: attempt %d: %s; once more\n", r->result->attempts, err->message);
    while (left > 0 && !(r->options->stop_asked && r->options->stop_asked(r->options->arg))) {
        double step = left < 0.1 ? left : 0.1;
        nanosleep(&(struct timespec){.tv_nsec = (long)(step * 1e9)}, NULL);
        left -= step;
    }
}

static enum lc run_all(struct runner *r, struct err *err)
{
    enum lc rc;

    for (;;) {
        r->result->attempts++;
        r->result->ran = r->result->failed = r->result->skipped = r->result->replayed = 0;
        widget_states_init(&r->widgets);
        rc = attempt(r, err);
        widget_states_release(&r->widgets);
        notebook_free(r->nb);
        r->nb = NULL;
        if (!r->again)
            return rc;
        pause_before_retry(r, err);
    }
}

/* ---- a cell that nothing stops ---- */
static void stuck_text(struct runner *r, struct buf *out)
{
    struct session_still still;

    buf_printf(out, "the cell could not be stopped: ");
    if (r->session && session_still(r->session, &still) && *still.name)
        buf_printf(out, "'%s' (%s, line %d) does not end", still.name, still.source, still.line);
    else
        buf_puts(out, "a call into C does not end");
}

static enum lc note_stuck(struct runner *r, const char *text, struct err *err)
{
    enum lc rc = minder_late(r->minder) ? LC_TIMEOUT : LC_CANCELLED;
    json_t *line = json_sprintf("%s: %s", lc_ename(rc), text);

    if (r->cell && !r->replaying) {
        json_array_append_new(cell_outputs(r->cell),
                              json_pack("{s:s, s:s, s:s, s:[O]}", "output_type", "error", "ename",
                                        lc_ename(rc), "evalue", text, "traceback", line));
        json_object_set_new(cell_metadata(r->cell), "lacus", json_pack("{s:s}", "status", "error"));
        papermill_cell(r->cell, PAPERMILL_FAILED);
    }
    json_decref(line);
    err_set(err, rc, "'%s' was given up: %s", r->options->input, text);
    if (!piped(r))
        err_hint(err, "the outputs so far are in '%s'; 'lacus run --resume' goes on there",
                 r->options->output);
    return rc;
}

static void on_stuck(void *arg)
{
    struct runner *r = arg;
    struct buf text = BUF_INIT(1000);
    struct timespec until;
    struct err err;
    enum lc rc = LC_CANCELLED;

    err_clear(&err);
    stuck_text(r, &text);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 2;
    if (pthread_mutex_timedlock(&r->lock, &until) ==
        0) { /* else the cell is in the middle of an output: the last save counts */
        rc = finish(r, note_stuck(r, buf_str(&text), &err), false, &err);
        pthread_mutex_unlock(&r->lock);
    } else {
        rc = err_set(&err, LC_CANCELLED, "'%s' was given up: %s", r->options->input, buf_str(&text));
    }
    buf_release(&text);
    r->options->stuck(r->options->arg, rc, &err);
}

enum lc notebook_run(const struct runner_options *options, struct runner_result *result, struct err *err)
{
    struct runner_result own = {0};
    struct runner r = {
        .options = options, .result = result ? result : &own, .given = BUF_INIT(NOTEBOOK_TEXT_MAX)};
    struct minder_options watch = {.stop_asked = options->stop_asked,
                                   .hurried = options->hurried,
                                   .arg = options->arg,
                                   .tick = save_meanwhile,
                                   .stuck = options->stuck ? on_stuck : NULL,
                                   .grace_ns = (int64_t)(options->grace * 1e9),
                                   .tick_arg = &r};
    bool shown = options->terminal_fd >= 0;
    enum lc rc;

    *r.result = own;
    r.params = options->params ? json_copy(options->params) : json_object();
    if (options->timeout > 0)
        r.deadline = clock_mono_ns() + (int64_t)(options->timeout * 1e9);
    if (!r.params || minder_open(&watch, &r.minder, err) != LC_OK) {
        json_decref(r.params);
        return r.params ? err->code : err_nomem(err);
    }
    pthread_mutex_init(&r.lock, NULL);
    if (shown)
        terminal_init(&r.terminal, options->terminal_fd);
    rc = run_all(&r, err);
    if (shown)
        terminal_release(&r.terminal);
    minder_close(r.minder);
    pthread_mutex_destroy(&r.lock);
    json_decref(r.params);
    buf_release(&r.given);
    runner_result_release(&own);
    return rc;
}

void runner_result_release(struct runner_result *r)
{
    mem_free(r->exit_value);
    mem_free(r->job);
    *r = (struct runner_result){0};
}

/* The runner's front end: what cells print and show becomes their outputs. */
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/plural.h"
#include "runtime/base/utf8.h"
#include "runtime/notebook/runner_int.h"
#include <stdio.h>
#include <string.h>

/* A display's id is transient: it stays in the output's metadata (the one free place there) while the
 * notebook runs. */
static const char id_key[] = "lacus_display_id";
static const size_t LINE_MAX_BYTES = (size_t)1
                                     << 31; /* not a bound that anything is cut at: memory ends first */

/* Where output goes: into an Output widget that gathers, else into the cell; NULL: nowhere. */
static json_t *outputs_now(const struct runner *r)
{
    json_t *gathered = widget_states_outputs(&r->widgets);

    return gathered ? gathered : r->cell && !r->replaying ? cell_outputs(r->cell) : NULL;
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

/* What a terminal shows of text that was written over after \r. */
static void write_over(struct buf *seen, const char *text, size_t len)
{
    for (const char *at = text, *end = text + len; at <= end;) {
        const char *stop = memchr(at, '\r', (size_t)(end - at));
        size_t n = (size_t)((stop ? stop : end) - at);
        size_t under = utf8_offset(buf_str(seen), seen->len, utf8_count(at, n));
        struct buf over = BUF_INIT(LINE_MAX_BYTES);
        buf_add(&over, at, n);
        buf_add(&over, buf_str(seen) + under, seen->len - under);
        buf_release(seen);
        *seen = over;
        at += n + 1;
    }
}

/* A progress bar is its last state. What stands behind the last \r of an unfinished line may go on: it stays
 * apart. */
static json_t *overwritten(const char *line, size_t len)
{
    bool whole = len > 0 && line[len - 1] == '\n';
    const char *end = line + len - whole, *last = end;
    struct buf seen = BUF_INIT(LINE_MAX_BYTES);
    json_t *text;

    if (whole && last > line && last[-1] == '\r')
        last--; /* \r\n is the end of a line */
    while (!whole && last > line && last[-1] != '\r')
        last--;
    if (!whole && last > line)
        last--;
    write_over(&seen, line, (size_t)(last - line));
    buf_add(&seen, last, (size_t)(line + len - last));
    text = json_stringn(buf_str(&seen), seen.len);
    buf_release(&seen);
    return text;
}

/* Appends a whole or unfinished line. */
static void append_line(json_t *lines, const char *line, size_t len)
{
    bool bar = memchr(line, '\r', len) != NULL;

    json_array_append_new(lines, bar ? overwritten(line, len) : json_stringn(line, len));
}

/* The last line of the stream may be unfinished: the new text goes on there. */
static void append_lines(json_t *lines, const char *text, size_t len)
{
    size_t n = json_array_size(lines), old;
    const json_t *last = json_array_get(lines, n - 1);
    const char *before = json_string_value(last);

    if (n > 0 && (old = json_string_length(last)) > 0 && before[old - 1] != '\n') {
        const char *end = memchr(text, '\n', len);
        size_t used = end ? (size_t)(end - text) + 1 : len;
        struct buf joined = BUF_INIT(LINE_MAX_BYTES);
        buf_add(&joined, before, old);
        buf_add(&joined, text, used);
        json_array_remove(lines, n - 1);
        append_line(lines, buf_str(&joined), joined.len);
        buf_release(&joined);
        text += used;
        len -= used;
    }
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t n_line = end ? (size_t)(end - text) + 1 : len;
        append_line(lines, text, n_line);
        text += n_line;
        len -= n_line;
    }
}

static void on_stream(void *self, const struct ctx *ctx, enum stream stream, const char *text, size_t len)
{
    struct runner *r = self;
    const char *name = stream == STREAM_STDERR ? "stderr" : "stdout";
    json_t *outputs, *lines;

    (void)ctx;
    if (runner_shows(r))
        terminal_text(&r->terminal, text, len);
    pthread_mutex_lock(&r->lock);
    outputs = outputs_for_more(r);
    lines = outputs ? last_stream(outputs, name) : NULL;
    if (outputs && !lines) {
        lines = json_array();
        json_array_append_new(
            outputs, json_pack("{s:s, s:s, s:o}", "output_type", "stream", "name", name, "text", lines));
    }
    if (lines) {
        append_lines(lines, text, len);
        runner_changed(r);
    }
    pthread_mutex_unlock(&r->lock);
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

    if (!runner_shows(r) || !json_is_string(plain))
        return;
    if (id) {
        terminal_block(&r->terminal, id, json_string_value(plain), json_string_length(plain));
    } else {
        terminal_text(&r->terminal, json_string_value(plain), json_string_length(plain));
        terminal_text(&r->terminal, "\n", 1);
    }
}

static void update_list(json_t *outputs, const struct display *d, const char *id)
{
    json_t *output;
    size_t k;

    json_array_foreach (outputs, k, output) {
        const char *has = json_string_value(json_object_get(json_object_get(output, "metadata"), id_key));
        if (has && strcmp(has, id) == 0)
            json_object_set_new(output, "data", stored_bundle(d->data));
    }
}

/* Every output that was displayed with this id is replaced, in whichever cell or Output widget it is. */
static void update_outputs(struct runner *r, const struct display *d, const char *id)
{
    for (size_t i = 0; i < notebook_cell_count(r->nb); i++)
        update_list(cell_outputs(notebook_cell(r->nb, i)), d, id);
    for (void *at = NULL; (at = widget_states_next(&r->widgets, at)) != NULL;)
        update_list(widget_states_gathered(at), d, id);
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

static void forget_list(json_t *outputs)
{
    json_t *output;
    size_t k;

    json_array_foreach (outputs, k, output)
        json_object_del(json_object_get(output, "metadata"), id_key);
}

void runner_forget_displays(struct runner *r)
{
    for (size_t i = 0; i < notebook_cell_count(r->nb); i++)
        forget_list(cell_outputs(notebook_cell(r->nb, i)));
    for (void *at = NULL; (at = widget_states_next(&r->widgets, at)) != NULL;)
        forget_list(widget_states_gathered(at));
}

static void on_display(void *self, const struct ctx *ctx, const struct display *d)
{
    struct runner *r = self;
    const char *id = json_string_value(json_object_get(d->transient, "display_id"));

    (void)ctx;
    show_text(r, d);
    pthread_mutex_lock(&r->lock);
    if (d->update && id)
        update_outputs(r, d, id);
    else
        append_display(r, d, output_of(d, "display_data"));
    runner_changed(r);
    pthread_mutex_unlock(&r->lock);
}

static void on_result(void *self, const struct ctx *ctx, int execution_count, const struct display *d)
{
    struct runner *r = self;
    json_t *output = output_of(d, "execute_result");

    (void)ctx;
    show_text(r, d);
    json_object_set_new(output, "execution_count", json_integer(execution_count));
    pthread_mutex_lock(&r->lock);
    append_display(r, d, output);
    runner_changed(r);
    pthread_mutex_unlock(&r->lock);
}

static void store_error(struct runner *r, const char *ename, const char *evalue, json_t *traceback)
{
    json_t *outputs = outputs_for_more(r);

    if (outputs)
        json_array_append_new(outputs, json_pack("{s:s, s:s, s:s, s:O}", "output_type", "error", "ename",
                                                 ename, "evalue", evalue, "traceback", traceback));
    runner_changed(r);
}

/* The interrupt that ends a cell whose time is over is no person's. */
static json_t *told_as_timeout(const struct runner *r, char text[100])
{
    snprintf(text, 100, "the cell did not end within %g second%s", r->limit, PLURAL(r->limit));
    return json_pack("[o]", json_sprintf("TimeoutError: %s", text));
}

static void on_error(void *self, const struct ctx *ctx, const struct cell_error *e)
{
    struct runner *r = self;
    bool late = strcmp(e->ename, lc_ename(LC_CANCELLED)) == 0 && minder_late(r->minder);
    char text[100] = "";
    json_t *traceback = late ? told_as_timeout(r, text) : json_incref(e->traceback), *line;
    size_t i;

    (void)ctx;
    pthread_mutex_lock(&r->lock);
    store_error(r, late ? lc_ename(LC_TIMEOUT) : e->ename, late ? text : e->evalue, traceback);
    pthread_mutex_unlock(&r->lock);
    json_array_foreach (traceback, i, line) {
        if (!runner_shows(r))
            break;
        terminal_coloured(&r->terminal, json_string_value(line), json_string_length(line));
        terminal_text(&r->terminal, "\n", 1);
    }
    json_decref(traceback);
}

void runner_exit_failed(struct runner *r, struct cell_reply *reply)
{
    char text[40];

    snprintf(text, sizeof text, "exit status %d", reply->exit_status);
    reply->status = CELL_ERROR;
    reply->ename = mem_strdup("SystemExit");
    reply->evalue = mem_strdup(text);
    reply->traceback = json_pack("[s+]", "SystemExit: ", text);
    on_error(r, NULL, &(struct cell_error){reply->ename, reply->evalue, reply->traceback});
}

static void on_clear(void *self, const struct ctx *ctx, bool wait)
{
    struct runner *r = self;

    (void)ctx;
    pthread_mutex_lock(&r->lock);
    r->clear_next = wait;
    if (!wait)
        json_array_clear(outputs_now(r));
    runner_changed(r);
    pthread_mutex_unlock(&r->lock);
    if (runner_shows(r))
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
    pthread_mutex_lock(&r->lock);
    if (kind == COMM_MSG && json_object_get(json_object_get(data, "state"), "msg_id"))
        r->clear_next = false; /* a pending clear was for what was shown elsewhere */
    widget_states_comm(&r->widgets, kind, comm_id, target, data, buffers);
    pthread_mutex_unlock(&r->lock);
    return LC_OK;
}

/* Any id: what an Output widget gathers is put there by this front end itself. */
static const char *on_request_id(void *self)
{
    const struct runner *r = self;

    return r->cell ? "run" : "";
}

const struct frontend_ops runner_ops = {.name = "runner",
                                        .rich = true,
                                        .stream = on_stream,
                                        .display = on_display,
                                        .result = on_result,
                                        .error = on_error,
                                        .clear_output = on_clear,
                                        .input = on_input,
                                        .comm_send = on_comm,
                                        .request_id = on_request_id};

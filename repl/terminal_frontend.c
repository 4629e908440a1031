#include "repl/terminal_frontend.h"
#include "repl/interrupt.h"
#include "repl/pager.h"
#include "runtime/base/mem.h"
#include "runtime/base/process.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static void write_error(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, text, len);
        if (n < 0 && errno != EINTR)
            return;
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
}

/* Nobody reads on, or nothing more fits: a script does not go on as if it had been heard. */
static bool nobody_hears(const struct terminal_frontend *t)
{
    return !t->prompt && t->out.lost;
}

static void on_stream(void *self, const struct ctx *ctx, enum stream stream, const char *text, size_t len)
{
    struct terminal_frontend *t = self;

    (void)ctx;
    if (stream == STREAM_STDERR)
        write_error(text, len);
    else
        terminal_text(&t->out, text, len);
    if (nobody_hears(t))
        interrupt_cell();
}

/* A text of its own; what is longer than the screen gets the pager. */
static void show(struct terminal_frontend *t, const json_t *plain, bool page)
{
    const char *text = json_string_value(plain);
    size_t len = json_string_length(plain);

    if (page && t->prompt && t->out.live && pager_show(t->out.fd, text, len))
        return;
    terminal_text(&t->out, text, len);
    terminal_text(&t->out, "\n", 1);
}

static bool is_table(const json_t *data)
{
    return json_object_get(data, "text/html") !=
           NULL; /* a dataframe, a list of runs: not a plot, not a value */
}

static void on_display(void *self, const struct ctx *ctx, const struct display *d)
{
    struct terminal_frontend *t = self;
    const json_t *plain = json_object_get(d->data, "text/plain");
    const char *id = json_string_value(json_object_get(d->transient, "display_id"));

    (void)ctx;
    if (!json_is_string(plain))
        return;
    if (id) {
        terminal_block(&t->out, id, json_string_value(plain), json_string_length(plain));
        return;
    }
    show(t, plain, false);
}

static void on_result(void *self, const struct ctx *ctx, int execution_count, const struct display *d)
{
    struct terminal_frontend *t = self;
    const json_t *plain = json_object_get(d->data, "text/plain");
    char head[64];
    int n;

    (void)ctx;
    if (!t->prompt || !json_is_string(plain)) /* a script's last expression is nobody's result */
        return;
    n = snprintf(head, sizeof head, t->colours ? "\x1b[31mOut[%d]:\x1b[0m%s" : "Out[%d]:%s", execution_count,
                 strchr(json_string_value(plain), '\n') ? "\n" : " ");
    terminal_text(&t->out, head, (size_t)n);
    show(t, plain, is_table(d->data));
}

static void without_colours(struct buf *out, const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p == '\x1b' && p[1] == '[')
            p += strcspn(p, "mKHJABCD");
        else
            buf_putc(out, *p);
}

static void on_error(void *self, const struct ctx *ctx, const struct cell_error *e)
{
    struct terminal_frontend *t = self;
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    json_t *line;
    size_t i;

    (void)ctx;
    if (nobody_hears(t))
        return; /* our interrupt */
    json_array_foreach (e->traceback, i, line) {
        if (t->colours)
            buf_puts(&text, json_string_value(line));
        else
            without_colours(&text, json_string_value(line));
        buf_putc(&text, '\n');
    }
    terminal_leave(&t->out);
    write_error(buf_str(&text), text.len);
    buf_release(&text);
}

static void on_clear(void *self, const struct ctx *ctx, bool wait)
{
    struct terminal_frontend *t = self;

    (void)ctx, (void)wait;
    terminal_erase(&t->out);
}

static bool echo(bool on, struct termios *saved)
{
    struct termios quiet;

    if (on)
        return tcsetattr(STDIN_FILENO, TCSANOW, saved) == 0;
    if (tcgetattr(STDIN_FILENO, saved) != 0)
        return false;
    quiet = *saved;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    return tcsetattr(STDIN_FILENO, TCSANOW, &quiet) == 0;
}

static enum lc read_line(const struct ctx *ctx, struct buf *answer, struct err *err)
{
    for (;;) {
        char c;
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR) {
            TRY(ctx_check(ctx, err));
            continue;
        }
        if (n < 0)
            return err_errno(err, errno, "cannot read standard input");
        if (n == 0 && answer->len == 0)
            return err_set(err, LC_CLOSED, "standard input is at its end");
        if (n == 0 || c == '\n')
            return LC_OK;
        if (!buf_putc(answer, c))
            return buf_check(answer, err);
    }
}

static enum lc on_input(void *self, const struct ctx *ctx, const char *prompt, bool password,
                        struct buf *answer, struct err *err)
{
    struct terminal_frontend *t = self;
    struct termios saved;
    bool hidden;
    enum lc rc;

    if (prompt)
        terminal_text(&t->out, prompt, strlen(prompt));
    hidden = password && echo(false, &saved);
    rc = read_line(ctx, answer, err);
    if (hidden) {
        echo(true, &saved);
        terminal_text(&t->out, "\n", 1);
    }
    return rc;
}

static void on_page(void *self, const struct ctx *ctx, const struct display *d)
{
    struct terminal_frontend *t = self;
    const json_t *plain = json_object_get(d->data, "text/plain");

    (void)ctx;
    if (json_is_string(plain))
        show(t, plain, true);
}

static void on_next_input(void *self, const struct ctx *ctx, const char *text, bool replace)
{
    struct terminal_frontend *t = self;

    (void)ctx, (void)replace;
    mem_free(t->next_input);
    t->next_input = mem_strdup(text);
}

static void on_exit_asked(void *self, const struct ctx *ctx, bool keep_kernel)
{
    struct terminal_frontend *t = self;

    (void)ctx, (void)keep_kernel;
    t->exit_asked = true;
}

static int on_columns(void *self)
{
    struct terminal_frontend *t = self;

    return t->out.live ? terminal_columns(&t->out) : 0;
}

static enum lc on_foreground(void *self, const struct ctx *ctx, const char *const *argv, int *status,
                             struct err *err)
{
    struct terminal_frontend *t = self;
    enum lc rc;

    fflush(stdout);
    terminal_leave(&t->out);
    rc = process_foreground(ctx, argv, status, err);
    if (rc == LC_CANCELLED) /* behind the ^C that the terminal shows */
        terminal_text(&t->out, "\n", 1);
    return rc;
}

static const struct frontend_ops terminal_ops = {.name = "repl",
                                                 .columns = on_columns,
                                                 .stream = on_stream,
                                                 .display = on_display,
                                                 .result = on_result,
                                                 .error = on_error,
                                                 .clear_output = on_clear,
                                                 .input = on_input,
                                                 .page = on_page,
                                                 .set_next_input = on_next_input,
                                                 .ask_exit = on_exit_asked};

void terminal_frontend_init(struct terminal_frontend *t, bool prompt)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

    *t = (struct terminal_frontend){.prompt = prompt};
    terminal_init(&t->out, STDOUT_FILENO);
    t->ops = terminal_ops;
    t->ops.raw =
        !prompt && !isatty(STDOUT_FILENO); /* what a script writes is what the file or the pipe gets */
    if (prompt && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        t->ops.foreground = on_foreground;
    t->colours = isatty(STDERR_FILENO) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

void terminal_frontend_release(struct terminal_frontend *t)
{
    terminal_release(&t->out);
    mem_free(t->next_input);
    t->next_input = NULL;
}

struct frontend terminal_frontend_seam(struct terminal_frontend *t)
{
    return (struct frontend){&t->ops, t};
}

#include "repl/prompt.h"
#include "repl/editor.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- without a terminal that can move its cursor: line by line ---- */
static volatile sig_atomic_t plain_interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    plain_interrupted = 1;
}

/* Appends one line; EDITOR_END at the end of input. */
static enum editor_end read_line(struct buf *line)
{
    char c;

    for (;;) {
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR && !plain_interrupted)
            continue;
        if (n < 0)
            return plain_interrupted ? EDITOR_CANCELLED : EDITOR_END;
        if (n == 0)
            return line->len ? EDITOR_TEXT : EDITOR_END;
        if (c == '\n')
            return EDITOR_TEXT;
        buf_putc(line, c);
    }
}

static bool wants_more(const struct backend *b, const struct buf *code)
{
    json_t *reply = b->ops->is_complete(b->self, buf_str(code), code->len);
    const char *status = json_string_value(json_object_get(reply, "status"));
    bool more = status && strcmp(status, "incomplete") == 0;

    json_decref(reply);
    return more;
}

static enum editor_end plain_cell(const struct backend *b, const char *prompt, struct buf *code)
{
    struct buf line = BUF_INIT(BUF_TEXT_MAX);
    enum editor_end end = EDITOR_TEXT;
    bool more = true;

    while (end == EDITOR_TEXT && more) {
        fputs(code->len ? "   ...: " : prompt, stdout);
        fflush(stdout);
        buf_clear(&line);
        end = read_line(&line);
        if (end != EDITOR_TEXT)
            break;
        buf_printf(code, "%s%s", code->len ? "\n" : "", buf_str(&line));
        bool blank = buf_str(&line)[strspn(buf_str(&line), " \t\r")] == '\0';
        more = code->len > 0 && !(blank && strchr(buf_str(code), '\n')) && wants_more(b, code);
    }
    buf_release(&line);
    return end;
}

static enum editor_end plain_read(const struct backend *b, const char *prompt, char **text)
{
    struct sigaction action = {.sa_handler = on_interrupt}, old;
    struct buf code = BUF_INIT(BUF_TEXT_MAX);
    enum editor_end end;

    plain_interrupted = 0;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &old);
    end = plain_cell(b, prompt, &code);
    sigaction(SIGINT, &old, NULL);
    if (end == EDITOR_CANCELLED)
        putchar('\n');
    *text = end == EDITOR_TEXT ? (code.len ? buf_take(&code) : mem_strdup("")) : NULL;
    buf_release(&code);
    return end;
}

/* ---- the loop ---- */
static bool can_edit(void)
{
    const char *term = getenv("TERM");

    return term && *term && strcmp(term, "dumb") != 0 && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

/* Without it there is a prompt still: line by line. */
static const struct editor_vtable *load_editor(void)
{
    struct err err;
    const struct editor_vtable *editor = editor_load(&err);

    if (!editor)
        fprintf(stderr, "lacus: %s: no editing of lines (libreadline8 is needed); %s\n", err.message,
                err.hint);
    return editor;
}

/* What only ends the text is no part of the cell. */
static size_t trim(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        text[--len] = '\0';
    return len;
}

static enum editor_end next_cell(const struct backend *b, const struct editor_vtable *editor, char *initial,
                                 char **text)
{
    char prompt[64];

    snprintf(prompt, sizeof prompt, "In [%d]: ", b->ops->number(b->self));
    return editor ? editor->read(prompt, initial, text) : plain_read(b, prompt, text);
}

void prompt_loop(const struct backend *b, const char *banner)
{
    const struct editor_vtable *editor = can_edit() ? load_editor() : NULL;
    enum editor_end end = EDITOR_TEXT;
    char *text, *initial = NULL;

    fputs(banner, stdout);
    fflush(stdout);
    if (editor)
        editor->open(b);
    while (!b->ops->ended(b->self) && (end = next_cell(b, editor, initial, &text)) != EDITOR_END) {
        mem_free(initial);
        initial = NULL;
        if (text && trim(text) > 0) {
            if (editor)
                editor->remember(text);
            b->ops->execute(b->self, text, strlen(text));
            initial = b->ops->next_input(b->self);
        }
        mem_free(text);
    }
    mem_free(initial);
    if (editor)
        editor->close();
    else if (end == EDITOR_END)
        putchar('\n');
}

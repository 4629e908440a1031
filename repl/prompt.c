#include "repl/prompt.h"
#include "repl/interrupt.h"
#include "repl/terminal_frontend.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/session/session.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* readline's headers want stdio first */
#include <readline/history.h>
#include <readline/readline.h>

/* readline's callbacks get no argument; the process has one prompt. */
static struct {
    struct session *session;
    json_t *matches; /* owned: of the completion under way */
    size_t next;
    char *line; /* owned: the line that was just accepted */
    bool have_line, cancelled;
} prompt;

/* ---- completion ---- */
static char *next_match(const char *text, int state)
{
    (void)text;
    if (state == 0)
        prompt.next = 0;
    const char *match = json_string_value(json_array_get(prompt.matches, prompt.next++));

    return match ? strdup(match) : NULL;
}

static char **complete(const char *text, int start, int end)
{
    size_t len = strlen(rl_line_buffer), cursor = utf8_count(rl_line_buffer, (size_t)rl_point);
    json_t *reply = session_complete(prompt.session, rl_line_buffer, len, cursor);
    size_t from =
        utf8_offset(rl_line_buffer, len, (size_t)json_integer_value(json_object_get(reply, "cursor_start")));
    char **found = NULL;

    (void)end;
    rl_attempted_completion_over = 1;
    rl_completion_append_character = '\0';
    json_decref(prompt.matches);
    prompt.matches = json_array();
    /* readline replaces [start, end); the session's matches start at `from`, before or behind it */
    for (size_t i = 0; i < json_array_size(json_object_get(reply, "matches")); i++) {
        const char *match = json_string_value(json_array_get(json_object_get(reply, "matches"), i));
        if (from <= (size_t)start && strlen(match) >= (size_t)start - from)
            json_array_append_new(prompt.matches, json_string(match + ((size_t)start - from)));
    }
    json_decref(reply);
    if (json_array_size(prompt.matches) > 0)
        found = rl_completion_matches(text, next_match);
    return found;
}

/* ---- lines ---- */
static void on_line(char *line)
{
    prompt.line = line;
    prompt.have_line = true;
    rl_callback_handler_remove();
}

static void on_interrupt(int sig)
{
    (void)sig;
    prompt.cancelled = true;
}

/* One line; false at the end of input. An interrupt gives *line = NULL. */
static bool read_line(const char *text, char **line)
{
    struct sigaction action = {.sa_handler = on_interrupt}, old;
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    bool end;

    sigaction(SIGINT, &action, &old);
    prompt.have_line = prompt.cancelled = false;
    rl_callback_handler_install(text, on_line);
    while (!prompt.have_line && !prompt.cancelled)
        if (poll(&in, 1, 200) > 0)
            rl_callback_read_char();
    sigaction(SIGINT, &old, NULL);
    if (prompt.cancelled) {
        rl_callback_sigcleanup();
        rl_callback_handler_remove();
        putchar('\n');
        *line = NULL;
        return true;
    }
    end = prompt.line == NULL;
    *line = prompt.line;
    prompt.line = NULL;
    return !end;
}

static bool wants_more(struct session *s, const struct buf *code, struct buf *indent)
{
    json_t *reply = session_is_complete(s, buf_str(code), code->len);
    const char *status = json_string_value(json_object_get(reply, "status"));
    const char *with = json_string_value(json_object_get(reply, "indent"));
    bool more = status && strcmp(status, "incomplete") == 0;

    buf_clear(indent);
    if (more && with)
        buf_puts(indent, with);
    json_decref(reply);
    return more;
}

static struct buf pending_text; /* put into the next prompt by the pre-input hook */

static int insert_pending(void)
{
    if (pending_text.len > 0) {
        rl_insert_text(buf_str(&pending_text));
        rl_redisplay();
    }
    buf_clear(&pending_text);
    return 0;
}

/* A whole cell: lines until it is complete or an empty line ends it. False at the end of input. */
static bool read_cell(struct session *s, const struct terminal_frontend *t, struct buf *code)
{
    struct buf indent = BUF_INIT(1024);
    char first[64], more[64];
    int number = session_execution_count(s) + 1;
    bool going = true, open = true;

    snprintf(first, sizeof first,
             t->colours ? "\001\x1b[32m\002In [%d]: \001\x1b[0m\002" : "In [%d]: ", number);
    snprintf(more, sizeof more, "%*s...: ", snprintf(NULL, 0, "In [%d]: ", number) - 5, "");
    while (going && open) {
        char *line;
        if (indent.len > 0)
            buf_puts(&pending_text, buf_str(&indent));
        open = read_line(code->len ? more : first, &line);
        if (!open)
            break;
        if (!line) {
            buf_clear(code);
            break;
        }
        bool blank = line[strspn(line, " \t")] == '\0';
        buf_printf(code, "%s%s", code->len ? "\n" : "", line);
        going = !(blank && code->len > 0 && strchr(buf_str(code), '\n')) && wants_more(s, code, &indent);
        free(line);
    }
    buf_release(&indent);
    return open || code->len > 0;
}

static void run_cell(struct session *s, const struct buf *code)
{
    struct cell_request cell = {
        .code = buf_str(code), .len = code->len, .store_history = true, .allow_stdin = true};
    struct cell_reply reply;
    struct err err;

    interrupt_begin(s, false);
    if (session_execute(s, &cell, &reply, &err) == LC_OK)
        cell_reply_release(&reply);
    else
        fprintf(stderr, "%s\n", err.message);
    interrupt_end();
}

static void load_history(struct session *s)
{
    json_t *request =
        json_pack("{s:s, s:i, s:b, s:b}", "hist_access_type", "tail", "n", 1000, "raw", 1, "output", 0);
    json_t *reply = session_history(s, request), *entry;
    size_t i;

    json_array_foreach (json_object_get(reply, "history"), i, entry) {
        const char *text = json_string_value(json_array_get(entry, 2));
        if (text)
            add_history(text);
    }
    json_decref(reply);
    json_decref(request);
}

static void print_banner(struct terminal_frontend *t)
{
    static const char text[] =
        "lacus " LACUS_VERSION " (Lua 5.4)  Tab completes, name? explains, %quickref lists, "
        "Ctrl-D leaves\n\n";

    terminal_text(&t->out, text, sizeof text - 1);
}

int prompt_loop(struct session *s, struct terminal_frontend *t)
{
    struct buf code = BUF_INIT(BUF_TEXT_MAX);

    prompt.session = s;
    buf_init(&pending_text, BUF_TEXT_MAX);
    rl_readline_name = "lacus";
    rl_attempted_completion_function = complete;
    rl_basic_word_break_characters = " \t\n\"'`@$><=;|&{}()[]+-*/^#~,";
    rl_pre_input_hook = insert_pending;
    rl_catch_signals = 0;
    rl_bind_key('\t', rl_complete);
    rl_variable_bind("enable-bracketed-paste", "on");
    load_history(s);
    print_banner(t);
    while (!t->exit_asked && (buf_clear(&code), read_cell(s, t, &code))) {
        if (buf_str(&code)[strspn(buf_str(&code), " \t\n")] == '\0')
            continue;
        add_history(buf_str(&code));
        run_cell(s, &code);
        if (t->next_input)
            buf_puts(&pending_text, t->next_input);
        mem_free(t->next_input);
        t->next_input = NULL;
    }
    if (!t->exit_asked)
        putchar('\n');
    buf_release(&code);
    buf_release(&pending_text);
    json_decref(prompt.matches);
    prompt.matches = NULL;
    return 0;
}

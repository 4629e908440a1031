#include "repl/editor.h"
#include "repl/editor/editor_int.h"
#include "repl/editor/highlight.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { HISTORY = 1000, HIGHLIGHT_MAX = 200000 };

/* readline's callbacks get no argument; the process has one prompt. */
struct editor editor;

/* ---- drawing ---- */

/* readline marks what takes no room with \001…\002. */
static void visible_prompt(const char *prompt, struct buf *out)
{
    for (const char *p = prompt ? prompt : ""; *p; p++) {
        if (*p == '\001')
            p += strcspn(p, "\002");
        else if (*p != '\n')
            buf_putc(out, *p);
        if (!*p)
            break;
    }
}

static void draw_prompt(struct screen *s)
{
    struct buf prompt = BUF_INIT(1 << 16);
    bool ours = rl_display_prompt == rl_prompt;

    visible_prompt(rl_display_prompt, &prompt);
    screen_put(s, buf_str(&prompt), prompt.len, ours ? "32" : "33");
    editor.prompt_width = (int)utf8_columns(buf_str(&prompt), prompt.len);
    screen_indent(s);
    buf_release(&prompt);
}

static void draw_continuation(struct screen *s)
{
    char more[64];
    int n = snprintf(more, sizeof more, "%*s", editor.prompt_width < 60 ? editor.prompt_width : 60, "...: ");

    screen_newline(s);
    screen_put(s, more, (size_t)n, "32");
    screen_indent(s);
}

static void draw_text(struct screen *s, const char *text, size_t len, size_t cursor)
{
    unsigned char *ink = len && len < HIGHLIGHT_MAX ? mem_zalloc(len) : NULL;

    if (ink && s->colours) {
        highlight(text, len, ink);
        if (!editor.leaving)
            highlight_brackets(text, len, cursor, ink);
    }
    for (size_t i = 0; i < len;) {
        size_t end = i + 1;
        if (i == cursor)
            screen_cursor(s);
        if (text[i] == '\n') {
            draw_continuation(s);
            i++;
            continue;
        }
        while (end < len && end != cursor && text[end] != '\n' && (!ink || ink[end] == ink[i]))
            end++;
        screen_put(s, text + i, end - i, ink ? highlight_sgr(ink[i]) : "");
        i = end;
    }
    if (cursor >= len)
        screen_cursor(s);
    mem_free(ink);
}

static bool menu_fits_text(void)
{
    return editor.menu_text && editor.menu_point == rl_point && strcmp(editor.menu_text, rl_line_buffer) == 0;
}

void editor_keep_menu(void)
{
    mem_free(editor.menu_text);
    editor.menu_text = mem_strdup(rl_line_buffer);
    editor.menu_point = rl_point;
}

/* Signatures are asked of the session. */
static void draw_menu(void)
{
    editor_before_session();
    menu_draw(&editor.menu, &editor.screen, &editor.backend, rl_line_buffer);
    editor_after_session();
}

static void redisplay(void)
{
    int waiting = 0;

    if (!editor.leaving && ioctl(STDIN_FILENO, FIONREAD, &waiting) == 0 && waiting > 0) {
        editor.dirty = true; /* more keys are here: one drawing for all of them */
        return;
    }
    editor.dirty = false;
    fflush(rl_outstream); /* what readline tells the terminal: bracketed paste on */
    screen_begin(&editor.screen);
    draw_prompt(&editor.screen);
    draw_text(&editor.screen, rl_line_buffer, (size_t)rl_end, (size_t)rl_point);
    if (editor.leaving || !menu_fits_text())
        menu_close(&editor.menu);
    else
        draw_menu();
    screen_show(&editor.screen);
}

void editor_clear_screen(void)
{
    static const char clear[] = "\x1b[H\x1b[2J";

    if (write(STDOUT_FILENO, clear, sizeof clear - 1) > 0)
        screen_forget(&editor.screen);
    redisplay();
}

/* The last drawing of a cell: without menu, the cursor below it. */
static void leave(void)
{
    editor.leaving = true;
    redisplay();
    editor.leaving = false;
    screen_leave(&editor.screen);
}

/* ---- signals: handlers only take notes ---- */
static void on_signal(int sig)
{
    switch (sig) {
    case SIGINT:
        editor.interrupted = 1;
        break;
    case SIGWINCH:
        editor.resized = 1;
        break;
    case SIGTSTP:
        editor.stopped = 1;
        break;
    default:
        editor.terminated = sig;
    }
}

static const int signals[EDITOR_SIGNALS] = {SIGINT, SIGWINCH, SIGTSTP, SIGTERM, SIGHUP};

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < EDITOR_SIGNALS; i++)
        sigaction(signals[i], &action, NULL);
}

static void save_signals(void)
{
    for (size_t i = 0; i < EDITOR_SIGNALS; i++)
        sigaction(signals[i], NULL, &editor.before[i]);
}

static void restore_signals(void)
{
    for (size_t i = 0; i < EDITOR_SIGNALS; i++)
        sigaction(signals[i], &editor.before[i], NULL);
}

/* A terminal that makes signals of Ctrl-C, Ctrl-Z and Ctrl-\ makes them of the bytes of a pasted text, too, which would end
 * the session. So they are keys (next_key), but while the session answers. */
static void make_signals(bool on)
{
    struct termios t;

    if (tcgetattr(STDIN_FILENO, &t) != 0)
        return;
    t.c_lflag = on ? t.c_lflag | ISIG : t.c_lflag & ~(tcflag_t)ISIG;
    t.c_iflag &= ~(tcflag_t)IXON; /* nor does Ctrl-S stop the terminal: it searches */
    tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

void editor_prepare_terminal(int meta)
{
    rl_prep_terminal(meta);
    make_signals(false);
}

void editor_before_session(void)
{
    make_signals(true);
}

void editor_after_session(void)
{
    catch_signals();
    make_signals(false);
}

static void after_resize(void)
{
    editor.resized = 0;
    if (!screen_measure(&editor.screen))
        return;
    screen_wipe(&editor.screen, editor.screen.columns);
    rl_set_screen_size(editor.screen.height, editor.screen.columns);
    redisplay();
}

/* Ctrl-Z: the terminal is given back while we sleep. */
static void sleep_until_continued(void)
{
    editor.stopped = 0;
    leave();
    rl_deprep_terminal();
    fflush(rl_outstream);
    raise(SIGSTOP);
    editor_prepare_terminal(1);
    screen_measure(&editor.screen);
    redisplay();
}

/* ---- reading ---- */
enum { CTRL_C = 3, CTRL_Z = 26, CTRL_BACKSLASH = 28, MARK_LAST = 5, PASTE_PAUSE_MS = 50 };

/* A terminal puts ESC[200~ and ESC[201~ around what is pasted. */
static void watch_for_paste(int c)
{
    static const char mark[] = "\x1b[20";

    if (editor.mark == MARK_LAST && c == '~')
        editor.pasting = editor.mark_begins;
    if (editor.mark == MARK_LAST - 1 && (c == '0' || c == '1')) {
        editor.mark_begins = c == '0';
        editor.mark++;
    } else if (editor.mark < MARK_LAST - 1 && c == mark[editor.mark]) {
        editor.mark++;
    } else {
        editor.mark = c == mark[0];
    }
}

/* Ctrl-C that is pasted has more behind it, the end of the paste at least. */
static bool is_pasted(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

    return editor.pasting && poll(&in, 1, PASTE_PAUSE_MS) > 0;
}

static int next_key(FILE *from)
{
    int c = rl_getc(from);
    bool pasting = editor.pasting;

    while (c == 0 && pasting) /* readline's texts end there */
        c = rl_getc(from);
    watch_for_paste(c);
    if (c == CTRL_C && !is_pasted()) {
        editor.interrupted = 1;
        editor.pasting = false;
        return pasting ? EOF : c; /* EOF ends a paste */
    }
    if (c == CTRL_Z && !pasting)
        editor.stopped = 1;
    if (c == CTRL_BACKSLASH && !pasting) {
        rl_deprep_terminal();
        raise(SIGQUIT);
    }
    return c;
}

static void on_line(char *line)
{
    editor.line = line;
    editor.have_line = true;
    rl_callback_handler_remove();
}

static void remember(const char *text)
{
    HIST_ENTRY *last = history_length > 0 ? history_get(history_base + history_length - 1) : NULL;

    if (text && *text && !(last && strcmp(last->line, text) == 0))
        add_history(text);
}

static void load_history(void)
{
    json_t *request =
        json_pack("{s:s, s:i, s:b, s:b}", "hist_access_type", "tail", "n", HISTORY, "raw", 1, "output", 0);
    json_t *reply, *entry;
    size_t i;

    editor_before_session();
    reply = editor.backend.ops->history(editor.backend.self, request);
    editor_after_session();
    editor.history_loaded = true;
    json_array_foreach (json_object_get(reply, "history"), i, entry)
        remember(json_string_value(json_array_get(entry, 2)));
    using_history();
    json_decref(reply);
    json_decref(request);
}

static int insert_initial(void)
{
    if (editor.initial && *editor.initial) {
        rl_insert_text(editor.initial);
        redisplay();
    }
    editor.initial = NULL;
    return 0;
}

static void wait_for_key(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    int ready = poll(&in, 1, -1);

    if (editor.stopped)
        sleep_until_continued();
    if (editor.resized)
        after_resize();
    if (ready <= 0)
        return;
    if (!editor.history_loaded)
        load_history();
    rl_callback_read_char();
    if (editor.stopped)
        sleep_until_continued();
    if (editor.dirty && !editor.have_line)
        redisplay();
}

/* Ctrl-C, or the end of the process: what was typed stays on the screen, and is nobody's. */
static enum editor_end cancelled(void)
{
    leave();
    rl_callback_sigcleanup();
    rl_callback_handler_remove();
    fflush(rl_outstream);
    restore_signals();
    if (!editor.terminated)
        return EDITOR_CANCELLED;
    raise(editor.terminated);
    return EDITOR_END;
}

/* %config editing_mode = vi goes over ~/.inputrc. */
static void set_editing_mode(void)
{
    const char *mode = getenv("LACUS_EDITING_MODE");

    if (mode && (strcmp(mode, "vi") == 0 || strcmp(mode, "emacs") == 0))
        rl_variable_bind("editing-mode", mode);
}

static enum editor_end read_cell(const char *prompt, const char *initial, char **text)
{
    *text = NULL;
    editor.initial = initial;
    editor_forget_search();
    editor.have_line = editor.dirty = false;
    editor.interrupted = editor.terminated = editor.resized = editor.stopped = 0;
    editor.mark = 0;
    editor.pasting = false;
    screen_measure(&editor.screen);
    screen_forget(&editor.screen);
    screen_fresh_row(&editor.screen);
    save_signals();
    catch_signals();
    set_editing_mode();
    rl_callback_handler_install(prompt, on_line);
    if (!editor.history_loaded)
        load_history(); /* now that the prompt is there to be looked at */
    while (!editor.have_line && !editor.interrupted && !editor.terminated)
        wait_for_key();
    menu_close(&editor.menu);
    if (!editor.have_line)
        return cancelled();
    fflush(rl_outstream);
    restore_signals();
    if (!editor.line) {
        screen_leave(&editor.screen);
        return EDITOR_END;
    }
    *text = mem_strdup(editor.line);
    free(editor.line);
    editor.line = NULL;
    return EDITOR_TEXT;
}

void editor_accept(void)
{
    rl_deactivate_mark(); /* that of a pasted text, which rl_newline would draw once more */
    leave();
    rl_newline(1, '\n');
}

static void open_editor(const struct backend *b)
{
    memset(&editor, 0, sizeof editor);
    editor.backend = *b;
    editor.menu.chosen = -1;
    screen_init(&editor.screen, STDOUT_FILENO);
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1)
        setlocale(LC_CTYPE, "C.UTF-8"); /* what is typed is UTF-8, whatever the environment forgot to say */
    rl_readline_name = "lacus";
    rl_catch_signals = rl_catch_sigwinch = 0;
    rl_change_environment = 0;
    rl_getc_function = next_key;
    rl_prep_term_function = editor_prepare_terminal;
    rl_pre_input_hook = insert_initial;
    rl_variable_bind("enable-bracketed-paste", "on");
    editor_bind_keys();
    /* not earlier: rl_initialize takes bracketed paste from programs that draw themselves */
    rl_redisplay_function = redisplay;
}

static void close_editor(void)
{
    screen_release(&editor.screen);
    menu_close(&editor.menu);
    mem_free(editor.menu_text);
    editor_forget_search();
    clear_history();
    memset(&editor, 0, sizeof editor);
}

static const char *library(void)
{
    return rl_library_version;
}

extern const struct editor_vtable lacus_editor;
const struct editor_vtable lacus_editor = {.version = EDITOR_VERSION,
                                           .library = library,
                                           .open = open_editor,
                                           .close = close_editor,
                                           .read = read_cell,
                                           .remember = remember};

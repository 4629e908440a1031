/* The keys of the editor: readline's, with those that mean a line bound to the line in the cell. */
#include "repl/editor/editor_int.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/session/scan.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { INDENT = 4, INDENT_MAX = 60 };

/* ---- lines of the cell ---- */
static int line_start(int point)
{
    while (point > 0 && rl_line_buffer[point - 1] != '\n')
        point--;
    return point;
}

static int line_end(int point)
{
    while (point < rl_end && rl_line_buffer[point] != '\n')
        point++;
    return point;
}

static bool blank(int from, int to)
{
    for (; from < to; from++)
        if (!strchr(" \t\n", rl_line_buffer[from]))
            return false;
    return true;
}

static int to_line_start(int count, int key)
{
    (void)count, (void)key;
    rl_point = line_start(rl_point);
    return 0;
}

static int to_line_end(int count, int key)
{
    (void)count, (void)key;
    rl_point = line_end(rl_point);
    return 0;
}

static int kill_to_line_end(int count, int key)
{
    int end = line_end(rl_point);

    (void)count, (void)key;
    return rl_kill_text(rl_point, end == rl_point && end < rl_end ? end + 1 : end);
}

static int kill_to_line_start(int count, int key)
{
    int start = line_start(rl_point);

    (void)count, (void)key;
    rl_kill_text(start, rl_point);
    rl_point = start;
    return 0;
}

/* The place in the line that begins at `start` that is as many characters in as `column`. */
static int at_column(int start, size_t column)
{
    size_t len = (size_t)(line_end(start) - start);

    return start + (int)utf8_offset(rl_line_buffer + start, len, column);
}

static size_t column_of(int point)
{
    int start = line_start(point);

    return utf8_count(rl_line_buffer + start, (size_t)(point - start));
}

/* ---- completion ---- */
static json_t *ask(json_t *(*question)(void *, const char *, size_t, size_t), int point)
{
    json_t *reply;

    editor_before_session();
    reply = question(editor.backend.self, rl_line_buffer, (size_t)rl_end,
                     utf8_count(rl_line_buffer, (size_t)point));
    editor_after_session();
    return reply;
}

static void replace(size_t from, size_t to, const char *with, size_t len)
{
    char *text = mem_strndup(with, len);

    rl_begin_undo_group();
    rl_delete_text((int)from, (int)to);
    rl_point = (int)from;
    if (text)
        rl_insert_text(text);
    rl_end_undo_group();
    mem_free(text);
    editor.menu.to = (size_t)rl_point;
}

static void choose(int step)
{
    struct menu *m = &editor.menu;
    struct buf hint = BUF_INIT(4000);
    json_t *reply;

    menu_choose(m, step);
    const char *match = menu_text(m, (size_t)m->chosen);
    replace(m->from, m->to, match, strlen(match));
    reply = ask(editor.backend.ops->inspect, rl_point);
    menu_signature(reply, true, &hint);
    menu_hint(m, buf_str(&hint));
    json_decref(reply);
    buf_release(&hint);
    editor_keep_menu();
}

/* Inside the brackets of a call: what it takes. */
static void call_hint(struct buf *hint)
{
    int depth = 0, at = rl_point;
    json_t *reply;

    while (at > 0 && depth >= 0) {
        char c = rl_line_buffer[--at];
        depth += strchr(")}]", c) ? 1 : strchr("({[", c) ? -1 : 0;
    }
    reply = depth < 0 ? ask(editor.backend.ops->inspect, at) : NULL;
    menu_signature(reply, true, hint);
    json_decref(reply);
}

static void begin_completion(void)
{
    struct menu *m = &editor.menu;
    json_t *reply = ask(editor.backend.ops->complete, rl_point);
    struct buf hint = BUF_INIT(4000);
    bool open = menu_open(m, reply, rl_line_buffer, (size_t)rl_end);
    size_t common = open ? menu_common(m) : 0, have = open && m->to > m->from ? m->to - m->from : 0;

    if (!open || have == 0)
        call_hint(&hint);
    if (common > have || menu_count(m) == 1)
        replace(m->from, m->to, menu_text(m, 0), common);
    if (menu_count(m) == 1)
        menu_close(m);
    menu_hint(m, buf_str(&hint));
    if (!open && !hint.len)
        rl_ding();
    editor_keep_menu();
    buf_release(&hint);
    json_decref(reply);
}

static bool menu_is_open(void)
{
    return menu_count(&editor.menu) > 0 && editor.menu_text && editor.menu_point == rl_point &&
           strcmp(editor.menu_text, rl_line_buffer) == 0;
}

static int complete(int count, int key)
{
    int start = line_start(rl_point);

    (void)count, (void)key;
    if (menu_is_open())
        choose(1);
    else if (blank(start, rl_point)) /* at the start of a line there is nothing to complete: indent */
        rl_insert_text("    " + (rl_point - start) % INDENT);
    else
        begin_completion();
    return 0;
}

static int complete_back(int count, int key)
{
    int start = line_start(rl_point);

    (void)count, (void)key;
    if (menu_is_open())
        choose(-1);
    else if (blank(start, rl_point) && rl_point > start)
        rl_delete_text(rl_point - ((rl_point - start - 1) % INDENT + 1), rl_point);
    if (rl_point > rl_end)
        rl_point = rl_end;
    return 0;
}

/* ---- earlier cells: those that begin with what is before the cursor ---- */
void editor_forget_search(void)
{
    mem_free(editor.prefix);
    mem_free(editor.found);
    editor.prefix = editor.found = NULL;
}

/* What was typed stays the prefix until the text is changed. In vi's command mode every cell is meant. */
static void begin_search(void)
{
    bool all = rl_get_keymap() == vi_movement_keymap;

    if (editor.found && strcmp(editor.found, rl_line_buffer) == 0)
        return;
    editor_forget_search();
    editor.prefix = mem_strndup(rl_line_buffer, all ? 0 : (size_t)rl_point);
}

/* How many entries away (step -1: before, 1: after) the next fitting one is; 0: there is none. */
static int distance(int step)
{
    HIST_ENTRY **list = history_list();
    const char *prefix = editor.prefix ? editor.prefix : "";
    size_t len = strlen(prefix);

    for (int at = where_history() + step, n = 1; list && at >= 0 && at < history_length; at += step, n++)
        if (strncmp(list[at]->line, prefix, len) == 0 &&
            (!len || strcmp(list[at]->line, rl_line_buffer) != 0))
            return n;
    return 0;
}

static int previous_cell(int key)
{
    int n;

    begin_search();
    n = distance(-1);
    if (n == 0)
        return rl_ding();
    rl_get_previous_history(n, key);
    mem_free(editor.found);
    editor.found = mem_strdup(rl_line_buffer);
    return 0;
}

/* After the last one comes what was typed. */
static int next_cell(int key)
{
    int n;

    begin_search();
    n = distance(1);
    rl_get_next_history(n ? n : history_length - where_history() + 1, key);
    mem_free(editor.found);
    editor.found = n ? mem_strdup(rl_line_buffer) : NULL;
    return 0;
}

/* ---- up and down ---- */
static int up(int count, int key)
{
    int start = line_start(rl_point);

    (void)count;
    if (menu_is_open())
        choose(-1);
    else if (start == 0)
        return previous_cell(key);
    else
        rl_point = at_column(line_start(start - 1), column_of(rl_point));
    return 0;
}

static int down(int count, int key)
{
    int end = line_end(rl_point);

    (void)count;
    if (menu_is_open())
        choose(1);
    else if (end == rl_end)
        return next_cell(key);
    else
        rl_point = at_column(end + 1, column_of(rl_point));
    return 0;
}

/* ---- Enter ---- */
static int indentation(int start)
{
    int n = start;

    while (n < rl_end && rl_line_buffer[n] == ' ')
        n++;
    return n - start;
}

static json_t *completeness(int end)
{
    json_t *reply;

    editor_before_session();
    reply = editor.backend.ops->is_complete(editor.backend.self, rl_line_buffer, (size_t)end);
    editor_after_session();
    return reply;
}

static const char *status_of(const json_t *reply)
{
    const char *status = json_string_value(json_object_get(reply, "status"));

    return status ? status : "unknown";
}

static int new_line(int count, int key)
{
    json_t *reply = completeness(rl_point);
    const char *with = json_string_value(json_object_get(reply, "indent"));
    char spaces[INDENT_MAX + 1];
    int n = indentation(line_start(rl_point));

    (void)count, (void)key;
    snprintf(spaces, sizeof spaces, "%*s", n < INDENT_MAX ? n : INDENT_MAX, "");
    rl_begin_undo_group();
    rl_delete_text(rl_point, rl_point + indentation(rl_point)); /* what follows gets the new indentation */
    rl_insert_text("\n");
    rl_insert_text(strcmp(status_of(reply), "incomplete") == 0 && with ? with : spaces);
    rl_end_undo_group();
    json_decref(reply);
    return 0;
}

/* A terminal without bracketed paste sends a pasted text as if it were typed, its empty lines too. */
static bool more_has_come(void)
{
    int n = 0;

    return ioctl(fileno(rl_instream), FIONREAD, &n) == 0 && n > 0;
}

/* [[ … and --[[ … take every line, the empty ones too. */
static bool in_long_text(void)
{
    struct scan x = scan_begin(rl_line_buffer, (size_t)rl_end);
    bool open = false;

    if (rl_end > 0 && *rl_line_buffer == '%') /* a magic's text is no Lua */
        return false;
    for (; x.kind; scan_next(&x))
        open = x.open;
    return open || x.open;
}

static int accept(int count, int key)
{
    json_t *reply;
    bool more;

    if (menu_is_open() && editor.menu.chosen >= 0) { /* Enter takes the match; the next one runs the cell */
        menu_close(&editor.menu);
        return 0;
    }
    if (rl_last_func == rl_reverse_search_history || rl_last_func == rl_forward_search_history) {
        rl_point = rl_end; /* likewise what a search has found */
        return 0;
    }
    if (!blank(line_end(rl_point), rl_end))
        return new_line(count, key);
    reply = completeness(rl_end);
    more = strcmp(status_of(reply), "incomplete") == 0;
    json_decref(reply);
    /* an empty line ends what would go on */
    if (more &&
        (more_has_come() || in_long_text() || !(line_start(rl_end) > 0 && blank(line_start(rl_end), rl_end))))
        return new_line(count, key);
    rl_point = rl_end;
    editor_accept();
    return 0;
}

static int accept_now(int count, int key)
{
    (void)count, (void)key;
    rl_point = rl_end;
    editor_accept();
    return 0;
}

static int clear(int count, int key)
{
    (void)count, (void)key;
    editor_clear_screen();
    return 0;
}

/* Ctrl-C and Ctrl-Z have been seen where keys are read. */
static int nothing(int count, int key)
{
    (void)count, (void)key;
    return 0;
}

/* ---- closing words step back ---- */
static bool closes(const char *word, size_t len)
{
    static const char *const words[] = {"end", "else", "elseif", "until", "}", ")", "]"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == len && memcmp(words[i], word, len) == 0)
            return true;
    return false;
}

static int insert_closing(int count, int key)
{
    char text[2] = {(char)key, '\0'}; /* rl_insert would read ahead, and lose the key that ends it */
    int start, have, want, rc = 0;

    for (int i = 0; i < count; i++)
        rc = rl_insert_text(text) < 0;
    start = line_start(rl_point);
    have = indentation(start);
    if (start == 0 || line_end(rl_point) != rl_point ||
        !closes(rl_line_buffer + start + have, (size_t)(rl_point - start - have)))
        return rc;
    want = (scan_depth(rl_line_buffer, (size_t)start) - 1) * INDENT;
    want = want < 0 ? 0 : want;
    if (have > want) {
        rl_delete_text(start, start + have - want);
        rl_point -= have - want;
    }
    return rc;
}

/* ---- the cell in $EDITOR ---- */
static int run_editor(const char *path)
{
    const char *program = getenv("VISUAL");
    struct buf command = BUF_INIT(1 << 16);
    int status;

    program = program && *program ? program : getenv("EDITOR");
    buf_printf(&command, "%s '%s'", program && *program ? program : "vi", path);
    rl_deprep_terminal();
    fflush(rl_outstream);
    status = system(buf_str(&command)); /* $EDITOR is a command line, as everywhere */
    editor_prepare_terminal(1);
    editor_after_session();
    buf_release(&command);
    return status;
}

static int edit_outside(int count, int key)
{
    char path[] = "/tmp/lacus-cell-XXXXXX.lua";
    int fd = mkstemps(path, 4);
    struct buf text = BUF_INIT(BUF_TEXT_MAX);

    (void)count, (void)key;
    if (fd < 0)
        return rl_ding();
    bool written = write(fd, rl_line_buffer, (size_t)rl_end) == rl_end;
    close(fd);
    if (written && run_editor(path) == 0 && fs_read(path, &text, NULL) == LC_OK) {
        while (text.len && text.data[text.len - 1] == '\n')
            text.data[--text.len] = '\0';
        replace(0, (size_t)rl_end, buf_str(&text), text.len);
    }
    unlink(path);
    buf_release(&text);
    editor_clear_screen();
    return 0;
}

/* ---- binding ---- */
struct binding {
    const char *name; /* for ~/.inputrc */
    rl_command_func_t *ours, *instead_of;
    const char *emacs, *vi_insert, *vi_command; /* keys, blank between; NULL: none */
};

static const struct binding bindings[] = {
    {"lacus-accept", accept, rl_newline, "\\C-m \\C-j", "\\C-m \\C-j", "\\C-m \\C-j"},
    {"lacus-interrupt", nothing, rl_insert, "\\C-c \\C-z", "\\C-c \\C-z", "\\C-c \\C-z"},
    {"lacus-accept-now", accept_now, NULL, NULL, NULL, NULL},
    {"lacus-newline", new_line, NULL, "\\e\\C-m \\e\\C-j", NULL, NULL},
    {"lacus-complete", complete, rl_complete, "\\C-i", "\\C-i", NULL},
    {"lacus-complete-back", complete_back, NULL, "\\e[Z", "\\e[Z", NULL},
    {"lacus-up", up, rl_get_previous_history, "\\C-p \\e[A \\eOA", "\\e[A \\eOA", "k - \\e[A \\eOA"},
    {"lacus-down", down, rl_get_next_history, "\\C-n \\e[B \\eOB", "\\e[B \\eOB", "j + \\e[B \\eOB"},
    {"lacus-line-start", to_line_start, rl_beg_of_line, "\\C-a \\e[H \\eOH \\e[1~", "\\e[H \\eOH \\e[1~",
     "0 \\e[H \\eOH"},
    {"lacus-line-end", to_line_end, rl_end_of_line, "\\C-e \\e[F \\eOF \\e[4~", "\\e[F \\eOF \\e[4~",
     "$ \\e[F \\eOF"},
    {"lacus-kill-line-end", kill_to_line_end, rl_kill_line, "\\C-k", NULL, NULL},
    {"lacus-kill-line-start", kill_to_line_start, rl_unix_line_discard, "\\C-u", "\\C-u", NULL},
    {"lacus-clear-screen", clear, rl_clear_screen, "\\C-l", "\\C-l", "\\C-l"},
    {"lacus-edit-cell", edit_outside, NULL, "\\C-x\\C-e", NULL, "v"},
    {"lacus-close", insert_closing, rl_insert, "d e f l } ) ]", "d e f l } ) ]", NULL},
};

/* A key that ~/.inputrc gave another meaning keeps it. */
static void bind_key(const char *key, const struct binding *b, Keymap map)
{
    int type;
    rl_command_func_t *now = rl_function_of_keyseq(key, map, &type);

    if (now == b->ours || (now && type == ISFUNC && b->instead_of && now != b->instead_of) ||
        (now && type == ISMACR))
        return;
    rl_bind_keyseq_in_map(key, b->ours, map);
}

static void bind_keys(const char *keys, const struct binding *b, const char *map)
{
    while (keys && *keys) {
        char key[16];
        size_t n = strcspn(keys, " ");
        snprintf(key, sizeof key, "%.*s", (int)n, keys);
        bind_key(key, b, rl_get_keymap_by_name(map));
        keys += n + (keys[n] == ' ');
    }
}

void editor_bind_keys(void)
{
    size_t n = sizeof bindings / sizeof *bindings;

    for (size_t i = 0; i < n; i++)
        rl_add_defun(bindings[i].name, bindings[i].ours, -1);
    rl_initialize(); /* reads ~/.inputrc, which may use these names */
    for (size_t i = 0; i < n; i++) {
        bind_keys(bindings[i].emacs, &bindings[i], "emacs-standard");
        bind_keys(bindings[i].vi_insert, &bindings[i], "vi-insert");
        bind_keys(bindings[i].vi_command, &bindings[i], "vi-command");
    }
}

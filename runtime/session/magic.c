#include "runtime/session/magic.h"
#include "runtime/base/nearest.h"
#include "runtime/session/inspect.h"
#include "runtime/session/magic_lua.h"
#include "runtime/session/scan.h"
#include "runtime/session/session_int.h"
#include "runtime/session/shell.h"
#include <stdio.h>
#include <string.h>

/* ---- finding the lines ---- */
struct line { /* what a line is made of, without its end */
    const char *start, *end;
    const char *lead_end; /* what stays before the call: "local x = " */
    const char *kind;     /* "%", "!", "=!" (its lines are wanted) or "?" */
    const char *text;     /* the argument */
    size_t text_len;
};

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

const struct session_magic *magic_find(const struct session *s, const char *name, size_t len, unsigned kind)
{
    if (s)
        for (const struct session_magic *m = s->magics; m && m->name; m++)
            if (strlen(m->name) == len && memcmp(m->name, name, len) == 0 && (m->kinds & kind))
                return m;
    return NULL;
}

static size_t name_length(const char *p, const char *end)
{
    const char *q = p;

    while (q < end && name_char(*q))
        q++;
    return (size_t)(q - p);
}

/* name?, name??, ?name, name*?, and ? alone */
static bool is_question(struct line *l, const char *p, const char *end)
{
    const char *q = p, *stop = end;

    if (p == end || (*p != '?' && end[-1] != '?'))
        return false;
    while (q < stop && *q == '?')
        q++;
    while (stop > q && stop[-1] == '?')
        stop--;
    if (q == stop && end - p > 1)
        return false;
    for (const char *c = q; c < stop; c++)
        if (!name_char(*c) && *c != '.' && *c != ':' && *c != '*' && *c != '%')
            return false;
    l->kind = "?";
    l->text = p;
    l->text_len = (size_t)(end - p);
    return true;
}

static bool target_char(char c) /* local a <const>, t.x, t[1], t["a b"] */
{
    return name_char(c) || strchr(" ,.<>[]\"'", c);
}

/* names = !command or names = %magic: what stands before the mark; NULL if it is none. */
static const char *assigned(const char *p, const char *end)
{
    const char *q = p;

    while (q < end && *q && target_char(*q))
        q++;
    if (q == p || q == end || *q != '=' || !name_char(*p))
        return NULL;
    for (q++; q < end && blank(*q); q++)
        ;
    return q < end && (*q == '!' || *q == '%') ? q : NULL;
}

static bool is_known(const struct session *s, const char *name, size_t len)
{
    lua_State *L = s->hook.running ? s->hook.running : s->L;

    if (magic_find(s, name, len, MAGIC_LINE | MAGIC_CELL))
        return true;
    if (!magic_lua_push(L, name, len, MAGIC_LINE))
        return false;
    lua_pop(L, 1);
    return true;
}

static bool special(const struct session *s, struct line *l)
{
    const char *p = l->start, *end = l->end, *mark;
    bool value = false;

    while (end > p && blank(end[-1]))
        end--;
    while (p < end && blank(*p))
        p++;
    l->lead_end = p;
    if (is_question(l, p, end))
        return true;
    mark = assigned(p, end);
    if (mark) {
        p = l->lead_end = mark;
        value = true;
    }
    if (p == end || (*p != '!' && *p != '%'))
        return false;
    if (*p == '%') {
        size_t n = name_length(p + 1, end);
        if (n == 0 || (value && s && !is_known(s, p + 1, n)))
            return false;
        l->kind = "%";
    } else {
        bool twice = !value && end - p > 1 && p[1] == '!'; /* !!command */
        l->kind = value || twice ? "=!" : "!";
        p += twice;
    }
    l->text = p + 1;
    l->text_len = (size_t)(end - p - 1);
    return true;
}

/* A backslash at the end: the next line belongs to it. Not for name?. */
static bool goes_on(const struct line *l)
{
    return *l->kind != '?' && l->text_len > 0 && l->text[l->text_len - 1] == '\\';
}

/* Takes in the lines that follow a backslash; text_end is the end of the cell. */
static void take_continued(struct line *l, const char *text_end)
{
    while (goes_on(l) && l->end < text_end) {
        const char *stop = memchr(l->end + 1, '\n', (size_t)(text_end - l->end - 1)), *end;
        l->end = end = stop ? stop : text_end;
        while (end > l->text && blank(end[-1]))
            end--;
        l->text_len = (size_t)(end - l->text);
    }
}

#define CALLABLE "lacus.magic" /* the function by which a cell can run one */

static void quote(struct buf *out, const char *s, size_t len)
{
    buf_putc(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n')
            buf_puts(out, "\\n");
        else if (c < 32)
            buf_printf(out, "\\x%02x", c);
        else
            buf_putc(out, (char)c);
    }
    buf_putc(out, '"');
}

/* "time local a, b = …": the names, which the cell is to see behind the line; *rest is where they begin. 0: something else. */
static size_t timed_names(const struct line *l, const char **rest)
{
    static const char time[] = "time ";
    size_t skip = sizeof time - 1;
    struct scan x;
    bool plain = true;

    if (*l->kind != '%' || l->text_len <= skip || memcmp(l->text, time, skip) != 0)
        return 0;
    x = scan_begin(l->text + skip, l->text_len - skip);
    if (!scan_is(&x, "local"))
        return 0;
    *rest = x.next;
    if (!scan_local(&x, NULL, NULL) || !scan_is(&x, "="))
        return 0;
    for (const char *p = *rest; p < x.at; p++)
        plain = plain && *p != '<' && *p != '\n' && *p != '-'; /* <const> cannot be set later */
    return plain ? (size_t)(x.prev_end - *rest) : 0;
}

/* function("%", "cd first"), or, as a person writes it, lacus.magic("%cd first"). */
static void write_arguments(struct buf *out, const char *function, const char *kind, const char *text,
                            size_t len)
{
    const char *mark = strcmp(kind, "=!") == 0 ? "%sx " : strcmp(kind, "?") == 0 ? "" : kind;
    struct buf whole = BUF_INIT(BUF_TEXT_MAX);

    if (function) {
        buf_printf(out, "%s(\"%s\",", function, kind);
        quote(out, text, len);
    } else {
        buf_puts(&whole, mark);
        buf_add(&whole, text, len);
        buf_puts(out, CALLABLE "(");
        quote(out, buf_str(&whole), whole.len);
        buf_release(&whole);
    }
    buf_putc(out, ')');
}

/* outermost: no block is open, so that a local of the line is one of the cell. */
static void write_call(struct buf *out, const struct line *l, const char *function, bool outermost)
{
    const char *rest = NULL;
    size_t names = outermost ? timed_names(l, &rest) : 0;

    buf_add(out, l->start, (size_t)(l->lead_end - l->start));
    if (names) {
        struct buf timed = BUF_INIT(BUF_TEXT_MAX);
        buf_puts(out, "local");
        buf_add(out, rest, names);
        buf_putc(out, ';');
        buf_puts(&timed, "time");
        buf_add(&timed, rest, l->text_len - (size_t)(rest - l->text));
        write_arguments(out, function, l->kind, buf_str(&timed), timed.len);
        buf_release(&timed);
    } else {
        write_arguments(out, function, l->kind, l->text, l->text_len);
    }
    for (const char *p = l->text; p < l->end; p++) /* line numbers stay */
        if (*p == '\n')
            buf_putc(out, '\n');
}

struct place { /* what came before: may a statement begin here? */
    int depth; /* open brackets */
    bool continues;
};

static void follow(struct place *place, const struct scan *x)
{
    place->depth += ((x->traits & SCAN_OPENS) != 0) - ((x->traits & SCAN_CLOSES) != 0);
    place->continues =
        (x->traits & (SCAN_BINARY | SCAN_UNARY | SCAN_SELECTS)) || scan_is(x, ",") || scan_is(x, "=");
}

/* From the start of a line to the start of the next line that is between tokens; end when there is none. */
static const char *next_line(const char *at, const char *end, struct place *place)
{
    struct scan x = scan_begin(at, (size_t)(end - at));
    const char *p = at;

    for (;;) {
        const char *stop = scan_line_break(p, end);
        if (stop)
            return stop + 1;
        if (!x.kind)
            return end;
        follow(place, &x);
        p = x.next;
        scan_next(&x);
    }
}

bool magic_rewrite(const struct session *s, const char *function, const char *text, size_t len,
                   struct buf *out)
{
    const char *end = text + len, *done = text;
    struct place place = {0};
    bool found = false;

    if (!memchr(text, '%', len) && !memchr(text, '!', len) && !memchr(text, '?', len))
        return false;
    for (const char *at = text; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        struct line l = {.start = at, .end = stop ? stop : end};

        if (!place.continues && place.depth <= 0 && special(s, &l)) {
            buf_add(out, done, (size_t)(at - done));
            take_continued(&l, end);
            write_call(out, &l, function, scan_depth(text, (size_t)(l.start - text)) == 0);
            done = l.end;
            found = true;
            at = l.end < end ? l.end + 1 : end;
        } else {
            at = next_line(at, end, &place);
        }
    }
    if (found)
        buf_add(out, done, (size_t)(end - done));
    return found;
}

/* Would this bracket end the text too early? */
static bool is_in(const char *bracket, size_t n, const char *text, size_t len)
{
    return memmem(text, len, bracket, n) ||
           (len >= n - 1 && memcmp(text + len - (n - 1), bracket, n - 1) == 0);
}

/* [[ text ]], with as many = as it takes; false: it would alter the text. */
static bool quote_lines(struct buf *out, const char *text, size_t len)
{
    char end[32] = "]]";
    size_t n = 2;

    if (!memchr(text, '\n', len) || memchr(text, '\r', len))
        return false;
    for (; is_in(end, n, text, len); n++) {
        if (n == sizeof end - 1)
            return false;
        end[n - 1] = '=';
        end[n] = ']';
    }
    buf_printf(out, "[%.*s[\n", (int)(n - 2), end + 1);
    buf_add(out, text, len);
    buf_puts(out, end);
    return true;
}

bool magic_translate_cell(const char *text, size_t len, struct buf *out)
{
    struct magic_cell cell;

    if (!magic_split(text, len, &cell))
        return false;
    buf_puts(out, CALLABLE "(");
    if (!quote_lines(out, text, len))
        quote(out, text, len);
    buf_putc(out, ')');
    return true;
}

bool magic_translate(const struct session *s, const char *text, size_t len, struct buf *out)
{
    return magic_translate_cell(text, len, out) || magic_rewrite(s, NULL, text, len, out);
}

/* ---- running them ---- */
/* Magics of IPython that are something else here. */
static const struct {
    const char *name, *hint;
} foreign_magics[] = {
    {"matplotlib", "plots are drawn in the notebook as they are: plot.line{x = {…}, y = {…}}"},
    {"pylab", "plots are drawn in the notebook as they are: plot.line{x = {…}, y = {…}}"},
    {"pdb", "%debug looks into the last error"},
    {"lprun", "%prun says where the time goes"},
    {"mprun", "%memit says how much memory a statement takes"},
    {"conda", "%pip hands packages to the Python of %%python cells; %luarocks installs those of Lua"},
    {"mamba", "%pip hands packages to the Python of %%python cells; %luarocks installs those of Lua"},
    {"uv", "%pip hands packages to the Python of %%python cells; %luarocks installs those of Lua"},
    {"magic", "%lsmagic lists the magics, %quickref says what each does"},
    {"alias_magic", "%load_ext takes magics of your own from a Lua module"},
    {"page", "display(x) shows a value richly; at the prompt, long texts go through $PAGER: x?"},
    {"pprint", "tables are always shown in lines of their own: display(x)"},
    {"logstart", "%history -f FILE writes down what was run"},
    {"logon", "%history -f FILE writes down what was run"},
    {"clear", "clear_output() empties the cell's output; at the prompt, Ctrl-L clears the screen"},
    {"cls", "clear_output() empties the cell's output; at the prompt, Ctrl-L clears the screen"},
    {"pinfo", "name? explains a name"},
    {"pdoc", "name? explains a name"},
    {"pdef", "name? explains a name"},
    {"pinfo2", "name?? shows the source"},
    {"psource", "name?? shows the source"},
    {"pfile", "name?? shows the source"},
    {"psearch", "na*e? lists the names that are so"},
    {"loadpy", "%load puts a file into the next cell"},
    {"macro", "%save NAME 1-3 keeps cells in a file, %run NAME.lua runs them again"},
    {"notebook", "%save FILE keeps the cells of the session"},
    {"alias", "a function of Lua can run a command: function ll(path) !ls -l {path}"},
    {"pushd", "%cd - goes back, %cd -0 to the first folder; %dhist lists them"},
    {"popd", "%cd - goes back, %cd -0 to the first folder; %dhist lists them"},
    {"dirs", "%cd - goes back; %bookmark keeps folders"},
    {"system", "%sx gives the lines of a command, !COMMAND shows them"},
    {"precision", "fmt(\"{:.3f}\", x) writes a number with three places"},
    {"xdel", "name = nil forgets a name"},
    {"reset_selective", "name = nil forgets a name"},
    {"colors", "%config no_color = 1 ends colours"},
    {"julia", "%%script julia runs a cell by a program"},
    {"scala", "cells are Lua, %%sql, %%python, %%R, %%sh and %md"},
    {"js", "%%javascript runs in the browser"},
    {"json", "display.json(value) shows a value as a tree"},
    {"lua", "cells are Lua: no magic is needed"},
    {"cat", "a command of the shell runs so: !cat FILE"},
    {"cp", "a command of the shell runs so: !cp FILE OTHER"},
    {"mv", "a command of the shell runs so: !mv FILE OTHER"},
    {"rm", "a command of the shell runs so: !rm FILE"},
    {"mkdir", "a command of the shell runs so: !mkdir FOLDER"},
    {"rmdir", "a command of the shell runs so: !rmdir FOLDER"},
};

static const char *foreign_magic(const char *name)
{
    for (size_t i = 0; i < sizeof foreign_magics / sizeof *foreign_magics; i++)
        if (strcmp(name, foreign_magics[i].name) == 0)
            return foreign_magics[i].hint;
    return NULL;
}

static int unknown_magic(lua_State *L, const char *mark, const char *name, size_t len)
{
    struct session *s = session_of(L);
    const char *names[128];
    size_t n = 0;
    struct buf hint = BUF_INIT(256);
    struct err err;
    char word[64];

    for (const struct session_magic *m = s->magics; m && m->name && n < 128; m++)
        names[n++] = m->name;
    snprintf(word, sizeof word, "%.*s", (int)len, name);
    err_set(&err, LC_NOTFOUND, "unknown magic '%s%s'", mark, word);
    bool line = strcmp(mark, "%") == 0, other = magic_find(s, name, len, line ? MAGIC_CELL : MAGIC_LINE);
    if (other && line)
        err_hint(&err, "%%%%%s takes the whole cell, and stands in its first line", word);
    else if (other)
        err_hint(&err, "%%%s takes the rest of its line: one %% is enough", word);
    else if (foreign_magic(word))
        err_hint(&err, "%s", foreign_magic(word));
    else if (nearest_list(&hint, word, names, n, 3) && hint.len)
        err_hint(&err, "did you mean %s? %%lsmagic lists them all", buf_str(&hint));
    else
        err_hint(&err, "%%lsmagic lists them; if the operator %% was meant, end the line before with it");
    buf_release(&hint);
    return session_raise(L, &err);
}

/* The function of an extension is on the top. */
static int call_lua(lua_State *L, const char *line, const char *body)
{
    int top = lua_gettop(L);

    lua_pushstring(L, line);
    lua_pushstring(L, body);
    lua_call(L, 2, LUA_MULTRET);
    return lua_gettop(L) - top + 1;
}

/* A magic whose usage is its name alone. */
static void takes_nothing(lua_State *L, const struct session_magic *m, const char *line)
{
    size_t n = strcspn(m->usage + 1, " ");
    struct err err;

    if (m->usage[1 + n] || strlen(m->name) != n || strncmp(m->usage + 1, m->name, n) != 0 || !*line)
        return;
    err_set(&err, LC_ARG, "%%%s takes nothing, but '%s' stands there", m->name, line);
    err_hint(&err, "usage: %s", m->usage);
    session_raise(L, &err);
}

static int run_line(lua_State *L, const char *text, size_t len)
{
    size_t n = name_length(text, text + len);
    const struct session_magic *m = magic_find(session_of(L), text, n, MAGIC_LINE);
    const char *rest = text + n;

    while (blank(*rest))
        rest++;
    if (!m && magic_lua_push(L, text, n, MAGIC_LINE))
        return call_lua(L, rest, NULL);
    if (!m)
        return unknown_magic(L, "%", text, n);
    takes_nothing(L, m, rest);
    return m->run(L, rest, NULL);
}

/* Pushes the text with continued lines made one: a backslash and the line end become a blank. */
static const char *push_joined(lua_State *L, const char *text, size_t len, size_t *out)
{
    luaL_Buffer b;

    luaL_buffinitsize(L, &b, len + 1);
    for (size_t i = 0; i < len; i++) {
        size_t end = i + 1;
        while (text[i] == '\\' && end < len && blank(text[end]))
            end++;
        if (text[i] == '\\' && end < len && text[end] == '\n') {
            luaL_addchar(&b, ' ');
            i = end;
        } else {
            luaL_addchar(&b, text[i]);
        }
    }
    luaL_pushresult(&b);
    return lua_tolstring(L, -1, out);
}

#define QUICKREF "quickref" /* the magic that a bare ? is */

int magic_call(lua_State *L)
{
    const char *kind = luaL_checkstring(L, 1), *text;
    size_t len;

    text = luaL_checklstring(L, 2, &len);
    if (*kind == '?')
        return len == 1 ? run_line(L, QUICKREF, strlen(QUICKREF)) : inspect_question(L, text, len);
    if (memchr(text, '\\', len))
        text = push_joined(L, text, len, &len);
    if (*kind == '%')
        return run_line(L, text, len);
    return shell_line(L, text, *kind == '=');
}

/* ---- %% ---- */
bool magic_split(const char *text, size_t len, struct magic_cell *out)
{
    const char *p = text, *end = text + len, *stop;

    while (p < end && (blank(*p) || *p == '\n'))
        p++;
    if (end - p < 3 || p[0] != '%' || p[1] != '%' || !name_char(p[2]))
        return false;
    stop = memchr(p, '\n', (size_t)(end - p));
    out->name = p + 2;
    out->name_len = name_length(p + 2, end);
    if (out->name + out->name_len < end && out->name[out->name_len] == '?')
        return false; /* %%time? asks */
    out->line = out->name + out->name_len;
    out->body = stop ? stop + 1 : end;
    out->body_len = (size_t)(end - out->body);
    if (!stop)
        stop = end;
    while (out->line < stop && blank(*out->line))
        out->line++;
    while (stop > out->line && blank(stop[-1]))
        stop--;
    out->line_len = (size_t)(stop - out->line);
    return true;
}

bool magic_has_lua(const struct magic_cell *m)
{
    static const char *const names[] = {"time", "timeit", "capture", "prun", "memit", "debug"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (m->name_len == strlen(names[i]) && memcmp(m->name, names[i], m->name_len) == 0)
            return true;
    return false;
}

int magic_run_cell(lua_State *L)
{
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    const struct session_magic *m = magic_find(session_of(L), name, len, MAGIC_CELL);

    if (!m && magic_lua_push(L, name, len, MAGIC_CELL))
        return call_lua(L, luaL_checkstring(L, 2), luaL_checkstring(L, 3));
    if (!m)
        return unknown_magic(L, "%%", name, len);
    return m->run(L, luaL_checkstring(L, 2), luaL_checkstring(L, 3));
}

int magic_run_text(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len), *end = text + len, *stop = memchr(text, '\n', len);
    struct line l = {.start = text, .end = stop ? stop : end};
    struct magic_cell cell;
    struct err err;
    bool is;

    lua_settop(L, 1);
    if (magic_split(text, len, &cell)) {
        lua_pushlstring(L, cell.name, cell.name_len);
        lua_pushlstring(L, cell.line, cell.line_len);
        lua_pushlstring(L, cell.body, cell.body_len);
        lua_remove(L, 1);
        return magic_run_cell(L);
    }
    is = special(session_of(L), &l) && l.lead_end == text + strspn(text, " \t\r"); /* no x = !ls */
    if (is)
        take_continued(&l, end);
    if (!is || l.end + strspn(l.end, " \t\r\n") < end) {
        err_set(&err, LC_ARG, CALLABLE ": '%.60s' is not a magic or a command", text);
        err_hint(&err, "it takes one, as a cell has it: " CALLABLE "(\"%%time f()\"), " CALLABLE "(\"!ls\")");
        return session_raise(L, &err);
    }
    lua_pushstring(L, l.kind);
    lua_pushlstring(L, l.text, l.text_len);
    lua_remove(L, 1);
    return magic_call(L);
}

/* ---- options ---- */
bool magic_option_next(const char **usage, struct magic_option *out)
{
    const char *p = strstr(*usage, "[-"), *end = p ? strchr(p, ']') : NULL;

    while (p && end && (p[2] == ' ' || p[2] == ']')) { /* [-] is a word, not an option */
        p = strstr(p + 2, "[-");
        end = p ? strchr(p, ']') : NULL;
    }
    if (!p || !end)
        return false;
    out->names = p + 1;
    out->len = strcspn(out->names, " ]");
    out->value = out->names[out->len] == ' ';
    *usage = end + 1;
    return true;
}

bool magic_option_is(const struct magic_option *o, const char *name, size_t len)
{
    const char *p = o->names, *end = p + o->len;

    while (p < end) {
        const char *bar = memchr(p, '|', (size_t)(end - p)), *stop = bar ? bar : end;
        if ((size_t)(stop - p) == len && memcmp(p, name, len) == 0)
            return true;
        p = stop + 1;
    }
    return false;
}

#include "runtime/session/habits.h"
#include "runtime/base/nearest.h"
#include "runtime/session/cell.h"
#include "runtime/session/lookup.h"
#include "runtime/session/names.h"
#include "runtime/session/session_int.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- text that does not compile ---- */
struct habit {
    const char *text;                       /* as it stands in the line at fault */
    enum { ANYWHERE, WORD, COMMAND } where; /* COMMAND: a word with a bare argument after it, as `print x` */
    const char *hint;
};

static const struct habit in_text[] = {
    {"!=", ANYWHERE, "Lua's 'not equal' is ~="},
    {"+=", ANYWHERE, "Lua has no +=: write x = x + 1"},
    {"-=", ANYWHERE, "Lua has no -=: write x = x - 1"},
    {"*=", ANYWHERE, "Lua has no *=: write x = x * 2"},
    {"/=", ANYWHERE, "Lua has no /=: write x = x / 2"},
    {"++", ANYWHERE, "Lua has no ++: write x = x + 1"},
    {"**", ANYWHERE, "Lua's power operator is ^"},
    {"&&", ANYWHERE, "Lua writes 'and'"},
    {"||", ANYWHERE, "Lua writes 'or'"},
    {"import", WORD, "Lua loads modules with require: local json = require(\"json\")"},
    {"from", WORD, "Lua loads modules with require: local json = require(\"json\")"},
    {"def", WORD, "Lua defines functions so: function name(x) … end"},
    {"lambda", WORD, "Lua's anonymous functions: function(x) return x + 1 end"},
    {"elif", WORD, "Lua writes 'elseif … then'"},
    {"except", WORD, "Lua catches errors with pcall: local ok, err = pcall(f)"},
    {"try:", WORD, "Lua catches errors with pcall: local ok, err = pcall(f)"},
    {"with", WORD, "Lua closes a resource at the end of its block so: local f <close> = open()"},
    {"continue", WORD, "Lua has no continue: use goto next and a label ::next:: at the end of the loop"},
    {"class", WORD, "Lua makes classes of tables with setmetatable"},
    {"print", COMMAND, "print is a function: print(x)"},
    {"f\"", ANYWHERE, "Lua's f-string is fmt: fmt(\"{} rows\", n)"},
    {"f'", ANYWHERE, "Lua's f-string is fmt: fmt(\"{} rows\", n)"},
    {"for", WORD, "Lua's loops: for i = 1, n do … end, for i, x in ipairs(list) do … end"},
    {"while", WORD, "Lua's loop: while condition do … end"},
    {"if", WORD, "Lua's condition: if x then … elseif y then … else … end"},
    {"//", ANYWHERE, "Lua's comments begin with --; // is integer division"},
    {"#", ANYWHERE, "Lua's comments begin with --; # is the length operator"},
    {":", ANYWHERE, "a ':' calls a method, as in df:show(); blocks end with 'end' instead"},
};

static bool boundary(char c)
{
    return c == '\0' || strchr(" \t\r\n()[]{};,=:", c) != NULL;
}

static bool stands(const struct habit *h, const char *line, const char *end, const char *at)
{
    const char *after = at + strlen(h->text);

    if (h->where == ANYWHERE)
        return true;
    if ((at > line && !boundary(at[-1])) || (after < end && !boundary(*after)))
        return false;
    if (h->where == WORD)
        return true;
    at = after;
    while (after < end && (*after == ' ' || *after == '\t'))
        after++;
    return after > at && after < end && (isalnum((unsigned char)*after) || *after == '_');
}

static bool habit_matches(const struct habit *h, const char *line, const char *end)
{
    for (const char *p = line; (p = memmem(p, (size_t)(end - p), h->text, strlen(h->text))) != NULL; p++)
        if (stands(h, line, end, p))
            return true;
    return false;
}

/* The text ends too early: no word of its last line is at fault. (A bare word at the end is a "syntax error".) */
static bool unfinished(const char *message)
{
    return message && strstr(message, "near <eof>") && !strstr(message, "syntax error near");
}

static int line_of(const char *text, size_t offset)
{
    int line = 1;

    for (size_t i = 0; i < offset; i++)
        line += text[i] == '\n';
    return line;
}

void habits_syntax(lua_State *L, const char *text, size_t len)
{
    struct session *s = session_of(L);
    long offset = cell_error_offset(L, text, len);
    const char *line, *end;

    s->problem.syntax = true;
    s->problem.column = -1;
    if (offset < 0)
        return;
    for (line = text + offset; line > text && line[-1] != '\n'; line--)
        ;
    end = memchr(line, '\n', (size_t)(text + len - line));
    if (!end)
        end = text + len;
    s->problem.line = line_of(text, (size_t)offset);
    s->problem.column = (int)(text + offset - line);
    if (unfinished(lua_tostring(L, -1)))
        return;
    for (size_t i = 0; i < sizeof in_text / sizeof *in_text; i++)
        if (habit_matches(&in_text[i], line, end)) {
            snprintf(s->problem.hint, sizeof s->problem.hint, "%s", in_text[i].hint);
            return;
        }
}

/* ---- names that are nil ---- */
static const struct {
    const char *name, *hint;
} foreign_names[] = {
    {"None", "Lua's None is nil"},
    {"True", "Lua writes true"},
    {"False", "Lua writes false"},
    {"len", "Lua's length is #x"},
    {"str", "Lua's str(x) is tostring(x)"},
    {"int", "Lua's int(x) is math.tointeger(x) or x // 1"},
    {"float", "Lua's float(x) is tonumber(x)"},
    {"range", "Lua counts so: for i = 1, n do … end"},
    {"enumerate", "Lua enumerates so: for i, x in ipairs(list) do … end"},
    {"dict", "Lua's dict is a table: {key = value}"},
    {"list", "Lua's list is a table: {1, 2, 3}"},
    {"this", "Lua's methods, defined with ':', have self"},
    {"console", "Lua prints with print(x)"},
    {"undefined", "Lua writes nil"},
    {"open", "Lua opens files with io.open(path, mode)"},
    {"isinstance", "Lua asks type(x)"},
    {"format", "string.format(\"%d\", n), or fmt(\"{:,}\", n)"},
    {"os_system", "run a command with !command or os.execute"},
};

/* "… (global 'x')": the kind and the name that Lua's message ends with. */
static bool named(const char *message, char kind[16], char name[64])
{
    const char *p = strrchr(message, '(');

    return p && sscanf(p, "(%15s '%63[^']')", kind, name) == 2;
}

/* Where the name stands in the line that failed, if it stands there once. */
static int find_column(lua_State *L, const struct frame *f, const char *name)
{
    const char *text, *found = NULL;
    size_t n = strlen(name);
    int len = 0, column = -1;

    session_table(L, TABLE_SOURCES);
    if (lua_getfield(L, -1, f->source) == LUA_TSTRING) {
        text = lua_tostring(L, -1);
        for (int i = 1; i < f->line && text; i++) {
            text = strchr(text, '\n');
            text = text ? text + 1 : NULL;
        }
        len = text ? (int)strcspn(text, "\n") : 0;
        for (const char *p = text; p && (p = memmem(p, (size_t)(text + len - p), name, n)) != NULL; p += n) {
            if ((p > text && !boundary(p[-1]) && !strchr(".+-*/%<>~#^&|", p[-1])) ||
                (p + n < text + len && !boundary(p[n]) && !strchr(".+-*/%<>~#^&|\"'", p[n])))
                continue;
            if (found) {
                found = NULL;
                break;
            }
            found = p;
        }
        if (found)
            column = (int)(found - text);
    }
    lua_pop(L, 2);
    return column;
}

static void hint_global(struct session *s, const char *name)
{
    const char **names;
    size_t n;
    struct buf out = BUF_INIT(256);

    for (size_t i = 0; i < sizeof foreign_names / sizeof *foreign_names; i++)
        if (strcmp(name, foreign_names[i].name) == 0) {
            snprintf(s->problem.hint, sizeof s->problem.hint, "%s", foreign_names[i].hint);
            return;
        }
    names = names_known(s, &n);
    if (names && nearest_list(&out, name, names, n, 3) && out.len)
        snprintf(s->problem.hint, sizeof s->problem.hint, "did you mean %s?", buf_str(&out));
    names_free(names, n);
    buf_release(&out);
}

/* ---- members that are nil ---- */
struct missing {
    const struct frame *frame;
    const char *name;
    const char *names[512]; /* owned copies */
    size_t n;
};

static bool push_visible(lua_State *L, const char *name, size_t len) /* as the function that failed sees it */
{
    lua_Debug ar;
    const char *local;
    int level = 0, found = 0;

    do {
        if (!lua_getstack(L, level++, &ar))
            return false;
        lua_getinfo(L, "Sl", &ar);
    } while (ar.currentline < 0);
    for (int i = 1; (local = lua_getlocal(L, &ar, i)) != NULL; i++) {
        lua_pop(L, 1);
        if (strlen(local) == len && memcmp(local, name, len) == 0)
            found = i;
    }
    if (found)
        return lua_getlocal(L, &ar, found) != NULL;
    if (cell_local(L, name, len))
        return true;
    lua_pushglobaltable(L);
    lua_pushlstring(L, name, len);
    return lua_rawget(L, -2) != LUA_TNIL;
}

static void add_member(lua_State *L, void *arg, const char *name)
{
    struct missing *m = arg;
    char *copy = m->n < sizeof m->names / sizeof *m->names ? mem_strdup(name) : NULL;

    (void)L;
    if (copy)
        m->names[m->n++] = copy;
}

/* The chain that ends with the name, in the line that failed. */
static bool find_chain(const char *line, size_t len, const char *name, struct chain *c)
{
    size_t n = strlen(name);

    for (const char *p = line; (p = memmem(p, (size_t)(line + len - p), name, n)) != NULL; p += n)
        if (p > line && (p[-1] == '.' || p[-1] == ':') && lookup_chain(line, (size_t)(p + n - line), c) &&
            c->n >= 2 && !c->literal)
            return true;
    return false;
}

static int collect_members(lua_State *L) /* (lightuserdata missing) */
{
    struct missing *m = lua_touserdata(L, 1);
    size_t len;
    const char *line;
    struct chain c;

    session_table(L, TABLE_SOURCES);
    lua_getfield(L, -1, m->frame->source);
    line = lua_tostring(L, -1);
    for (int i = 1; line && i < m->frame->line; i++) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    len = line ? strcspn(line, "\n") : 0;
    if (!line || !find_chain(line, len, m->name, &c) || !push_visible(L, c.parts[0].name, c.parts[0].len))
        return 0;
    for (int i = 1; i < c.n - 1; i++)
        if (!lookup_field(L, -1, c.parts[i].name, c.parts[i].len))
            return 0;
    lookup_members(L, -1, add_member, m);
    return 0;
}

static void hint_member(lua_State *L, const struct frame *f, const char *name)
{
    struct session *s = session_of(L);
    struct missing m = {.frame = f, .name = name};
    struct buf out = BUF_INIT(256);

    lua_pushcfunction(L, collect_members);
    lua_pushlightuserdata(L, &m);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        lua_pop(L, 1);
    if (nearest_list(&out, name, m.names, m.n, 3) && out.len)
        snprintf(s->problem.hint, sizeof s->problem.hint, "did you mean %s?", buf_str(&out));
    for (size_t i = 0; i < m.n; i++)
        mem_free((void *)(uintptr_t)m.names[i]);
    buf_release(&out);
}

/* The method was called with '.': its first argument is not the object. */
static bool needs_colon(const char *message)
{
    return strstr(message, "on bad self") ||
           (strstr(message, "bad argument #1") && strstr(message, "no value"));
}

void habits_runtime(lua_State *L, int index)
{
    struct session *s = session_of(L);
    const struct frame *f = &s->frames.list[0];
    const char *message = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : NULL;
    char kind[16], name[64];

    s->problem = (struct error_context){.column = -1};
    if (!message || s->frames.n == 0)
        return;
    s->problem.line = f->line;
    if (needs_colon(message)) {
        snprintf(s->problem.hint, sizeof s->problem.hint, "methods are called with ':', as in df:count()");
        return;
    }
    if (!strstr(message, "attempt to ") || !named(message, kind, name))
        return;
    snprintf(s->problem.name, sizeof s->problem.name, "%s", name);
    s->problem.column = find_column(L, f, name);
    if (!strstr(message, "nil value"))
        return;
    if (strcmp(kind, "global") == 0)
        hint_global(s, name);
    else if (strcmp(kind, "field") == 0 || strcmp(kind, "method") == 0)
        hint_member(L, f, name);
}

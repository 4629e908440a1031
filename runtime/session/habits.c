#include "runtime/session/habits.h"
#include "runtime/base/nearest.h"
#include "runtime/base/utf8.h"
#include "runtime/session/cell.h"
#include "runtime/session/lookup.h"
#include "runtime/session/magic.h"
#include "runtime/session/manual.h"
#include "runtime/session/names.h"
#include "runtime/session/scan.h"
#include "runtime/session/session_int.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- text that does not compile ---- */
struct habit {
    const char *text; /* as it stands in the line at fault */
    enum {
        ANYWHERE,
        WORD,
        COMMAND,
        AFTER_GAP
    } where;          /* COMMAND: a word with a bare argument after it, as `print x`; AFTER_GAP: no
                                                          name ends there */
    const char *also; /* this stands behind it in the line; NULL: nothing need */
    const char *hint;
};

#define NO_SWITCH "Lua has no switch: if x == 1 then … elseif … end, or a table of functions"
#define NO_LAMBDA "Lua's anonymous functions: function(x) return x + 1 end"

/* The first rows are looked for in a text that ends too early, too. */
enum { ROWS_OF_OPEN_TEXT = 7 };
static const struct habit in_text[] = {
    {"lambda", WORD, NULL, NO_LAMBDA},
    {"switch", COMMAND, NULL, NO_SWITCH},
    {"switch (", AFTER_GAP, NULL, NO_SWITCH},
    {"switch(", AFTER_GAP, NULL, NO_SWITCH},
    {"case", COMMAND, NULL, NO_SWITCH},
    {"case \"", AFTER_GAP, NULL, NO_SWITCH},
    {"case '", AFTER_GAP, NULL, NO_SWITCH},
    {"===", ANYWHERE, NULL, "Lua's equality is =="},
    {"!==", ANYWHERE, NULL, "Lua's 'not equal' is ~="},
    {"!=", ANYWHERE, NULL, "Lua's 'not equal' is ~="},
    {"/*", ANYWHERE, NULL, "Lua's comments begin with --; longer ones stand between --[[ and ]]"},
    {"??", ANYWHERE, NULL, "Lua's value for nothing: x or y"},
    {"{'", ANYWHERE, "':", "Lua's tables: {a = 1, [\"b c\"] = 2}"},
    {"{\"", ANYWHERE, "\":", "Lua's tables: {a = 1, [\"b c\"] = 2}"},
    {"+=", ANYWHERE, NULL, "Lua has no +=: write x = x + 1"},
    {"-=", ANYWHERE, NULL, "Lua has no -=: write x = x - 1"},
    {"*=", ANYWHERE, NULL, "Lua has no *=: write x = x * 2"},
    {"/=", ANYWHERE, NULL, "Lua has no /=: write x = x / 2"},
    {"++", ANYWHERE, NULL, "Lua has no ++: write x = x + 1"},
    {"**", ANYWHERE, NULL, "Lua's power operator is ^"},
    {"&&", ANYWHERE, NULL, "Lua writes 'and'"},
    {"||", ANYWHERE, NULL, "Lua writes 'or'"},
    {"async", WORD, NULL, "Lua has coroutines: coroutine.wrap(function() … end)"},
    {"await", WORD, NULL, "Lua waits where it is called: no await"},
    {"import", WORD, NULL, "Lua loads modules with require: local json = require(\"json\")"},
    {"from", WORD, NULL, "Lua loads modules with require: local json = require(\"json\")"},
    {"def", WORD, NULL, "Lua defines functions so: function name(x) … end"},
    {"elif", WORD, NULL, "Lua writes 'elseif … then'"},
    {"except", WORD, NULL, "Lua catches errors with pcall: local ok, err = pcall(f)"},
    {"try:", WORD, NULL, "Lua catches errors with pcall: local ok, err = pcall(f)"},
    {"with", WORD, NULL, "Lua closes a resource at the end of its block so: local f <close> = open()"},
    {"continue", WORD, NULL,
     "Lua has no continue: use goto next and a label ::next:: at the end of the loop"},
    {"class", WORD, NULL, "Lua makes classes of tables with setmetatable"},
    {"print", COMMAND, NULL, "print is a function: print(x)"},
    {"f\"", AFTER_GAP, NULL, "Lua's f-string is fmt: fmt(\"{} rows\", n)"},
    {"f'", AFTER_GAP, NULL, "Lua's f-string is fmt: fmt(\"{} rows\", n)"},
    {"= function", ANYWHERE, "=>", "Lua's functions: function(x) return x end"},
    {"=>", ANYWHERE, NULL, "Lua's anonymous functions: function(x) return x end"},
    {"match", COMMAND, NULL, "Lua has no match: if x == 1 then … elseif … end, or a table of functions"},
    {"raise", WORD, NULL, "Lua raises errors with error(\"message\")"},
    {"throw", WORD, NULL, "Lua raises errors with error(\"message\")"},
    {"try", WORD, NULL, "Lua catches errors with pcall: local ok, err = pcall(f)"},
    {"catch", WORD, NULL, "Lua catches errors with pcall: local ok, err = pcall(f)"},
    {"let", COMMAND, NULL, "Lua declares variables with local: local x = 1"},
    {"var", COMMAND, NULL, "Lua declares variables with local: local x = 1"},
    {"const", COMMAND, NULL, "Lua's constants: local x <const> = 1"},
    {"pass", WORD, NULL, "an empty block needs no word in Lua: if x then end"},
    {"del", COMMAND, NULL, "Lua forgets a variable when it becomes nil: x = nil"},
    {"assert", COMMAND, NULL, "assert is a function: assert(x > 0, \"message\")"},
    {"not", WORD, "in ", "a list is searched with a loop; a key is there when t[key] ~= nil"},
    {"is", WORD, NULL, "Lua compares with == and ~=: x == nil"},
    {" if ", ANYWHERE, " else ", "Lua's conditional value: x and y or z (y must not be false or nil)"},
    {"?", ANYWHERE, ":", "Lua's conditional value: x and y or z (y must not be false or nil)"},
    {"for", WORD, NULL, "Lua's loops: for i = 1, n do … end, for i, x in ipairs(list) do … end"},
    {"while", WORD, NULL, "Lua's loop: while condition do … end"},
    {"if", WORD, NULL, "Lua's condition: if x then … elseif y then … else … end"},
    {"//", ANYWHERE, NULL, "Lua's comments begin with --; // is integer division"},
    {"[", ANYWHERE, ":",
     "a part of a text is s:sub(1, 3); a list's first elements are {table.unpack(t, 1, 3)}"},
    {"'[", ANYWHERE, NULL, "a character of a text is s:sub(1, 1)"},
    {"\"[", ANYWHERE, NULL, "a character of a text is s:sub(1, 1)"},
    {"= [", ANYWHERE, NULL, "Lua's lists have braces: {1, 2, 3}"},
    {"([", ANYWHERE, NULL, "Lua's lists have braces: {1, 2, 3}"},
    {"#", ANYWHERE, NULL, "Lua's comments begin with --; # is the length operator"},
    {":", ANYWHERE, NULL, "a ':' calls a method, as in df:show(); blocks end with 'end' instead"},
};

static bool boundary(char c)
{
    return c == '\0' || strchr(" \t\r\n()[]{};,=:", c) != NULL;
}

static bool stands(const struct habit *h, const char *line, const char *end, const char *at)
{
    const char *after = at + strlen(h->text);

    if (h->also && !memmem(after, (size_t)(end - after), h->also, strlen(h->also)))
        return false;
    if (h->where == ANYWHERE)
        return true;
    if (h->where == AFTER_GAP)
        return at == line || boundary(at[-1]);
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

/* for x in list: …, try: */
static bool ends_as_in_python(const char *text, size_t len)
{
    static const char *const words[] = {"for",  "if",   "while", "try",    "def",    "class",
                                        "else", "elif", "with",  "except", "finally"};
    const char *end = text + len, *line;

    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    for (line = end; line > text && line[-1] != '\n';)
        line--;
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(end - line) > n && memcmp(line, words[i], n) == 0 && strchr(" (:", line[n]))
            return end[-1] == ':' || memmem(line, (size_t)(end - line), ": ", 2) != NULL;
    }
    return false;
}

/* while (x) { … }, function f() { … } */
static bool has_c_block(const char *line, const char *end)
{
    static const char *const words[] = {"while", "if", "for", "else", "function"};
    const char *brace = memmem(line, (size_t)(end - line), ") {", 3);

    brace = brace ? brace : memmem(line, (size_t)(end - line), "){", 2);
    for (size_t i = 0; brace && i < sizeof words / sizeof *words; i++)
        if (habit_matches(&(struct habit){words[i], WORD, NULL, NULL}, line, end) ||
            memmem(line, (size_t)(brace - line), "function", 8))
            return true;
    return false;
}

static int line_of(const char *text, size_t offset)
{
    int line = 1;

    for (size_t i = 0; i < offset; i++)
        line += text[i] == '\n';
    return line;
}

/* ---- characters that no Lua text has outside of texts and comments ---- */
static const struct {
    uint32_t first, last;
    const char *hint;
} foreign_characters[] = {
    {0x2018, 0x201F, "this is a typographic quote: Lua's texts stand between \" or '"},
    {0xAB, 0xAB, "this is a typographic quote: Lua's texts stand between \" or '"},
    {0xBB, 0xBB, "this is a typographic quote: Lua's texts stand between \" or '"},
    {0xA0, 0xA0, "this is a no-break space (U+00A0): write a plain blank"},
    {0x2000, 0x200F, "an invisible character stands here: delete it, or write a plain blank"},
    {0x202F, 0x202F, "this is a no-break space (U+202F): write a plain blank"},
    {0xFEFF, 0xFEFF, "an invisible character (U+FEFF) stands here: delete it"},
    {0x2010, 0x2015, "this is a dash: Lua's minus is -, and its comments begin with --"},
    {0x2212, 0x2212, "this is a minus sign of typography: Lua's is -"},
    {0xD7, 0xD7, "Lua multiplies with *"},
    {0xF7, 0xF7, "Lua divides with /"},
    {0x2260, 0x2260, "Lua's 'not equal' is ~="},
    {0x2264, 0x2264, "Lua writes <="},
    {0x2265, 0x2265, "Lua writes >="},
    {0x2026, 0x2026, "Lua's arguments without names are three dots: ..."},
};

static bool foreign_character(lua_State *L, const char *at, const char *end)
{
    struct session *s = session_of(L);
    uint32_t code;
    size_t n = at < end && (unsigned char)*at >= 0x80 ? utf8_decode(at, (size_t)(end - at), &code) : 0;
    const char *message = lua_tostring(L, -1), *near = message ? strstr(message, "'<\\") : NULL;

    if (n == 0)
        return false;
    snprintf(s->problem.hint, sizeof s->problem.hint,
             "'%.*s' cannot stand in a name, whose letters are a-z and A-Z; a key may have it: t[\"%.*s\"]",
             (int)n, at, (int)n, at);
    for (size_t i = 0; i < sizeof foreign_characters / sizeof *foreign_characters; i++)
        if (code >= foreign_characters[i].first && code <= foreign_characters[i].last)
            snprintf(s->problem.hint, sizeof s->problem.hint, "%s", foreign_characters[i].hint);
    if (near) { /* the character, not its first byte */
        lua_pushlstring(L, message, (size_t)(near - message));
        lua_pushlstring(L, at, n);
        lua_pushfstring(L, "%s'%s'", lua_tostring(L, -2), lua_tostring(L, -1));
        lua_replace(L, -4);
        lua_pop(L, 2);
    }
    return true;
}

/* ---- properties called as methods ---- */
struct property {
    const char *name;
    size_t len;
    bool found;
};

static bool is_property(void *arg, const struct manual_entry *e)
{
    struct property *p = arg;

    p->found = e->topic->kind == MANUAL_CLASS && e->field && strlen(e->name) == p->len &&
               memcmp(e->name, p->name, p->len) == 0;
    return !p->found;
}

/* df:write:mode("append"), df:columns: what stands before the place of the error is a property. */
static bool calls_property(struct session *s, const char *message, const char *text, size_t len,
                           const char *at)
{
    struct property p = {0};

    if (!message || !strstr(message, "function arguments expected near"))
        return false;
    if (strstr(message, "near <eof>"))
        at = text + len;
    while (at > text && isspace((unsigned char)at[-1]))
        at--;
    for (p.name = at; p.name > text && (isalnum((unsigned char)p.name[-1]) || p.name[-1] == '_');)
        p.name--;
    p.len = (size_t)(at - p.name);
    if (p.len == 0 || p.name == text || p.name[-1] != ':')
        return false;
    manual_each(s->globals, is_property, &p);
    if (p.found)
        snprintf(s->problem.hint, sizeof s->problem.hint, "'%.*s' is a property, which a dot gives: .%.*s",
                 (int)p.len, p.name, (int)p.len, p.name);
    return p.found;
}

/* The hint of the first of n habits that the line shows; false: it shows none. */
static bool hint_of(struct session *s, size_t n, const char *line, const char *end)
{
    for (size_t i = 0; i < n; i++) {
        if (!habit_matches(&in_text[i], line, end))
            continue;
        snprintf(s->problem.hint, sizeof s->problem.hint, "%s", in_text[i].hint);
        return true;
    }
    return false;
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
    if (foreign_character(L, text + offset, end) ||
        calls_property(s, lua_tostring(L, -1), text, len, text + offset))
        return;
    if (has_c_block(line, end)) {
        snprintf(s->problem.hint, sizeof s->problem.hint,
                 "Lua's blocks have words: while x do … end, if x then … end, function f() … end");
        return;
    }
    if (unfinished(lua_tostring(L, -1))) {
        if (!hint_of(s, ROWS_OF_OPEN_TEXT, line, end) && ends_as_in_python(text, len))
            snprintf(
                s->problem.hint, sizeof s->problem.hint, "%s",
                "Lua's blocks: if x then … end, for i = 1, n do … end, for i, x in ipairs(list) do … end");
        return;
    }
    const char *number = strstr(lua_tostring(L, -1), "malformed number near '");
    if (number && strchr(number, '_')) {
        snprintf(s->problem.hint, sizeof s->problem.hint, "Lua's numbers have no _: 500000, or 5e5");
        return;
    }
    hint_of(s, sizeof in_text / sizeof *in_text, line, end);
}

/* ---- names that are nil ---- */
static const struct {
    const char *name, *hint;
} foreign_names[] = {
    {"None", "Lua's None is nil"},
    {"True", "Lua writes true"},
    {"False", "Lua writes false"},
    {"len", "Lua's length is #x"},
    {"f", "Lua's f-string is fmt: fmt(\"{} rows\", n)"},
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
    {"pd", "dataframes are here already: spark:createDataFrame(rows), spark.read:csv(path)"},
    {"np", "columns are computed with F and df:select; lists are Lua tables"},
    {"plt", "plot is here already: plot.line{x = {…}, y = {…}}"},
    {"time", "sleep(seconds) waits; the time is os.time(), and %time measures"},
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

struct found_in {
    const char *name;
    struct buf out;
    int n;
};

static bool find_in_module(void *arg, const struct manual_entry *e)
{
    struct found_in *f = arg;

    if (e->topic->kind == MANUAL_MODULE && *e->topic->name && strcmp(e->name, f->name) == 0) {
        buf_printf(&f->out, "%s'%s.%s'", f->n ? " or " : "", e->topic->name, e->name);
        f->n++;
    }
    return f->n < 3;
}

/* col(…) is F.col(…), ls is %ls: said as if it had been imported, or were a magic. */
static bool hint_elsewhere(struct session *s, const char *name)
{
    struct found_in f = {.name = name, .out = BUF_INIT(256)};

    manual_each(s->globals, find_in_module, &f);
    if (f.n)
        snprintf(s->problem.hint, sizeof s->problem.hint, "did you mean %s?", buf_str(&f.out));
    else if (magic_find(s, name, strlen(name), MAGIC_LINE))
        snprintf(s->problem.hint, sizeof s->problem.hint, "did you mean the magic %%%s?", name);
    buf_release(&f.out);
    return *s->problem.hint;
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
    if (hint_elsewhere(s, name))
        return;
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

/* The text of the line that failed; NULL: unknown. Pushes one value always. */
static const char *push_line(lua_State *L, const struct frame *f, size_t *len)
{
    const char *line;

    session_table(L, TABLE_SOURCES);
    lua_getfield(L, -1, f->source);
    lua_remove(L, -2);
    line = lua_tostring(L, -1);
    for (int i = 1; line && i < f->line; i++) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    *len = line ? strcspn(line, "\n") : 0;
    return line;
}

/* df.count(): what stands before the dot is an object, and its methods want it as first argument. */
static bool object_before(lua_State *L, const char *text, size_t len)
{
    struct chain c;
    bool object = false;
    int top = lua_gettop(L);

    if (lookup_chain(text, len, &c) && c.n >= 2 && !c.literal &&
        push_visible(L, c.parts[0].name, c.parts[0].len)) {
        bool there = true;
        for (int i = 1; there && i < c.n - 1; i++)
            there = lookup_field(L, -1, c.parts[i].name, c.parts[i].len);
        object = there && (lua_type(L, -1) == LUA_TUSERDATA || lua_type(L, -1) == LUA_TSTRING ||
                           (lua_istable(L, -1) && luaL_getmetafield(L, -1, "__index") != LUA_TNIL));
    }
    lua_settop(L, top);
    return object;
}

static bool hint_colon(lua_State *L, const struct frame *f)
{
    struct session *s = session_of(L);
    size_t len;
    const char *line = push_line(L, f, &len);
    bool found = false;

    for (const char *p = line; line && !found && (p = memchr(p, '.', (size_t)(line + len - p))) != NULL;
         p++) {
        const char *q = p + 1, *from = p;
        while (q < line + len && (isalnum((unsigned char)*q) || *q == '_'))
            q++;
        if (q == p + 1 || q == line + len || !strchr("({\"'", *q) ||
            !object_before(L, line, (size_t)(q - line)))
            continue;
        while (from > line && (isalnum((unsigned char)from[-1]) || strchr("_.", from[-1])))
            from--;
        snprintf(s->problem.hint, sizeof s->problem.hint, "methods are called with ':': %.*s:%.*s(…)",
                 (int)(p - from), from, (int)(q - p - 1), p + 1);
        s->problem.column = (int)(p - line);
        found = true;
    }
    lua_pop(L, 1);
    return found;
}

/* The method was called with '.': its first argument is not the object. */
static bool needs_colon(lua_State *L, const char *message, const struct frame *f)
{
    struct session *s = session_of(L);

    if (!strstr(message, "on bad self") && !strstr(message, "bad argument #1") &&
        !(strstr(message, "attempt to") && strstr(message, "(local ")))
        return false;
    if (hint_colon(L, f))
        return true;
    if (!strstr(message, "on bad self") &&
        !(strstr(message, "bad argument #1") && strstr(message, "no value")))
        return false;
    snprintf(s->problem.hint, sizeof s->problem.hint, "methods are called with ':', as in df:count()");
    return true;
}

/* What other languages write at run time. */
static const struct {
    const char *message, *line, *hint; /* parts of both */
} at_run_time[] = {
    {"a nil value (field 'integer index')", "[0]", "Lua's lists begin at 1: t[1] is the first element"},
    {"a nil value (field '?')", "[0]", "Lua's lists begin at 1: t[1] is the first element"},
    {"attempt to get length of a nil value (global", "# ",
     "Lua's comments begin with --; # is the length operator"},
    {"(field 'sum')", "sum", "functions of columns are F's: df:agg(F.sum(\"n\"))"},
    {"(field 'mean')", "mean", "functions of columns are F's: df:agg(F.mean(\"n\"))"},
    {"(field 'max')", "max", "functions of columns are F's: df:agg(F.max(\"n\"))"},
    {"(field 'min')", "min", "functions of columns are F's: df:agg(F.min(\"n\"))"},
    {"attempt to mod a 'string'", "%",
     "texts are filled in with fmt(\"{} rows\", n) or (\"%d rows\"):format(n)"},
    {"attempt to add a 'string'", "+", "Lua joins texts with ..: \"a\" .. \"b\""},
    {"(method 'append')", "append", "Lua appends with table.insert(t, x), or t[#t + 1] = x"},
    {"(field 'append')", "append", "Lua appends with table.insert(t, x), or t[#t + 1] = x"},
    {"(method 'push')", "push", "Lua appends with table.insert(t, x), or t[#t + 1] = x"},
    {"(method 'pop')", "pop", "Lua takes the last element off with table.remove(t)"},
    {"'items')", "items", "Lua goes over keys and values so: for k, v in pairs(t) do … end"},
    {"'keys')", "keys", "Lua goes over keys so: for k in pairs(t) do … end"},
    {"'values')", "values", "Lua goes over values so: for _, v in pairs(t) do … end"},
    {"'strip')", "strip", "a text without blanks around it: s:match(\"^%s*(.-)%s*$\")"},
    {"'split')", "split", "the words of a text: for word in s:gmatch(\"%S+\") do … end"},
    {"'join')", "join", "Lua joins a list of texts with table.concat(list, \", \")"},
    {"'startswith')", "startswith", "does a text begin so? s:sub(1, #start) == start"},
    {"'length')", "length", "Lua's length is #x"},
};

static bool hint_at_run_time(lua_State *L, const char *message, const struct frame *f)
{
    struct session *s = session_of(L);
    size_t len;
    const char *line = push_line(L, f, &len);
    bool found = false;

    for (size_t i = 0; line && !found && i < sizeof at_run_time / sizeof *at_run_time; i++) {
        found = strstr(message, at_run_time[i].message) &&
                memmem(line, len, at_run_time[i].line, strlen(at_run_time[i].line));
        if (found)
            snprintf(s->problem.hint, sizeof s->problem.hint, "%s", at_run_time[i].hint);
    }
    lua_pop(L, 1);
    return found;
}

static bool told_already(const char *line, const struct scan *name) /* the same name, earlier in the line */
{
    for (struct scan x = scan_begin(line, (size_t)(name->at - line)); x.kind; scan_next(&x))
        if (x.kind == SCAN_NAME && x.len == name->len && memcmp(x.at, name->at, x.len) == 0)
            return true;
    return false;
}

/* "attempt to compare number with nil" names nothing: say what the names of the line are. */
static void hint_types(lua_State *L, const struct frame *f)
{
    struct session *s = session_of(L);
    struct buf out = BUF_INIT(sizeof s->problem.hint - 1);
    size_t len;
    const char *line = push_line(L, f, &len);
    int n = 0;

    for (struct scan x = scan_begin(line ? line : "", len); x.kind && n < 5; scan_next(&x)) {
        int top = lua_gettop(L);
        if (x.kind != SCAN_NAME || x.field || told_already(line, &x))
            continue;
        bool there = push_visible(L, x.at, x.len);
        if (!there || !lua_isfunction(L, -1))
            if (there || !memchr("(:.", *x.next, x.next < line + len ? 3 : 0))
                buf_printf(&out, "%s%.*s is %s%s", n++ ? ", " : "here ", (int)x.len, x.at,
                           there && !lua_isnil(L, -1) ? "a " : "", there ? luaL_typename(L, -1) : "nil");
        lua_settop(L, top);
    }
    if (n && buf_ok(&out))
        snprintf(s->problem.hint, sizeof s->problem.hint, "%s", buf_str(&out));
    buf_release(&out);
    lua_pop(L, 1);
}

/* require "pandas" */
static const struct {
    const char *name, *hint;
} foreign_modules[] = {
    {"pandas", "dataframes are here already: spark:createDataFrame(rows), spark.read:csv(path)"},
    {"pyspark", "spark and F are here already: spark:table(name), F.col(\"a\")"},
    {"pyspark.sql", "spark and F are here already: spark:table(name), F.col(\"a\")"},
    {"numpy", "columns are computed with F and df:select; lists are Lua tables"},
    {"torch", "models are trained and asked with llm: llm.finetune{…}, llm.load(path)"},
    {"transformers", "models are trained and asked with llm: llm.finetune{…}, llm.load(path)"},
    {"peft", "LoraConfig is here already: llm.finetune{peft = LoraConfig{r = 16}}"},
    {"requests", "http is here already: http.get(url):json()"},
    {"sys", "the environment is os.getenv(name), arguments are in arg"},
    {"re", "patterns are s:match(\"%d+\"), s:gsub(pattern, text)"},
    {"datetime", "times are os.time() and os.date(\"%Y-%m-%d\")"},
    {"matplotlib", "plot is here already: plot.line{x = {…}, y = {…}}"},
};

static bool hint_module(struct session *s, const char *message)
{
    char name[64];
    const char *rest = strstr(message, "module '");
    const char **names;
    size_t n;
    struct buf near = BUF_INIT(200);

    if (!rest || sscanf(rest, "module '%63[^']'", name) != 1 || !strstr(rest, "' not found"))
        return false;
    for (size_t i = 0; i < sizeof foreign_modules / sizeof *foreign_modules; i++)
        if (strcmp(name, foreign_modules[i].name) == 0) {
            snprintf(s->problem.hint, sizeof s->problem.hint, "%s", foreign_modules[i].hint);
            return true;
        }
    names = names_known(s, &n);
    nearest_list(&near, name, names, names ? n : 0, 2);
    snprintf(s->problem.hint, sizeof s->problem.hint,
             "%s%s%sa package for Lua is fetched with %%luarocks install %s", near.len ? "did you mean " : "",
             buf_str(&near), near.len ? "? " : "", name);
    names_free(names, n);
    buf_release(&near);
    return true;
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
    if (hint_module(s, message) || needs_colon(L, message, f) || hint_at_run_time(L, message, f))
        return;
    if (strstr(message, "attempt to compare")) {
        hint_types(L, f);
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

/* ---- text that compiles, and does not what it says ---- */
static const struct {
    const char *name, *hint;
} silent_names[] = {
    {"None", "nil"}, {"True", "true"}, {"False", "false"}, {"NULL", "nil or null"}, {"undefined", "nil"}};

static bool known_name(lua_State *L, const char *name, const char *text, size_t len)
{
    int top = lua_gettop(L);
    bool known;

    lua_pushglobaltable(L);
    lua_pushstring(L, name);
    known = lua_rawget(L, -2) != LUA_TNIL || cell_local(L, name, strlen(name));
    lua_settop(L, top);
    for (struct scan x = scan_begin(text, len), before = x; !known && x.kind; before = x, scan_next(&x))
        known = scan_is(&x, "=") && before.kind == SCAN_NAME && !before.field && before.len == strlen(name) &&
                memcmp(before.at, name, before.len) == 0;
    return known;
}

/* %name …, !command, x = !command: no Lua. */
static bool on_magic_line(const char *text, const char *at)
{
    const char *line = at;

    while (line > text && line[-1] != '\n')
        line--;
    line += strspn(line, " \t");
    const char *value = memchr(line, '=', (size_t)(at - line));
    value = value ? value + 1 + strspn(value + 1, " \t") : line;
    return *line == '%' || *line == '!' || *value == '!' || *value == '%';
}

/* A cell that is one word, which is no name but a magic: IPython runs `ls` as %ls. */
static void notice_magic(lua_State *L, const char *text, size_t len)
{
    struct scan word = scan_begin(text, len), after = word;
    char name[32], line[128];

    if (word.kind != SCAN_NAME || word.len >= sizeof name)
        return;
    snprintf(name, sizeof name, "%.*s", (int)word.len, word.at);
    scan_next(&after);
    if (after.kind || !magic_find(session_of(L), name, word.len, MAGIC_LINE) ||
        names_lazy(session_of(L), name) || known_name(L, name, text, len))
        return;
    int size = snprintf(line, sizeof line, "hint: '%s' is a name without a value here; the magic is %%%s\n",
                        name, name);
    session_print(session_of(L), STREAM_STDERR, line, (size_t)size);
}

void habits_notice(lua_State *L, const char *text, size_t len)
{
    char line[256];

    notice_magic(L, text, len);
    for (size_t i = 0; i < sizeof silent_names / sizeof *silent_names; i++) {
        const char *name = silent_names[i].name;
        size_t n = strlen(name);
        if (!memmem(text, len, name, n) || known_name(L, name, text, len))
            continue;
        for (struct scan x = scan_begin(text, len); x.kind; scan_next(&x)) {
            if (x.kind != SCAN_NAME || x.field || x.len != n || memcmp(x.at, name, n) != 0 ||
                on_magic_line(text, x.at))
                continue;
            struct scan next = x;
            scan_next(&next);
            if (next.kind == SCAN_OPERATOR && (next.traits & (SCAN_SELECTS | SCAN_OPENS)))
                continue; /* an error will tell */
            int size = snprintf(line, sizeof line,
                                "hint: line %d: Lua writes %s; '%s' is a name without a value here\n",
                                line_of(text, (size_t)(x.at - text)), silent_names[i].hint, name);
            session_print(session_of(L), STREAM_STDERR, line, (size_t)size);
            break;
        }
    }
}

/* habits.c: texts that do not compile, or do not what they say. */
#include "runtime/session/habits.h"
#include "runtime/base/utf8.h"
#include "runtime/session/cell.h"
#include "runtime/session/habits_int.h"
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
        AFTER_GAP,
        AT_FAULT
    } where;          /* COMMAND: a word with a bare argument after it, as `print x`; AFTER_GAP: no
                       * name ends there; AT_FAULT: the error is here, or the line ends here */
    const char *also; /* this stands behind it in the line; NULL: nothing need */
    const char *hint;
};

#define NO_SWITCH          "Lua has no switch: if x == 1 then … elseif … end, or a table of functions"
#define A_STATEMENT_OF_SQL "SQL stands in a cell that begins with %%sql, or in spark:sql(\"SELECT …\")"
#define A_LONG_TEXT        "a text over several lines stands between [[ and ]]"
#define A_TABLE            "Lua's tables: {a = 1, [\"b c\"] = 2}"
#define A_PART_OF_IT       "a part of a text is s:sub(1, 3); a list's first elements are {table.unpack(t, 1, 3)}"
#define NO_LAMBDA          "Lua's anonymous functions: function(x) return x + 1 end"

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
    {"{'", ANYWHERE, "':", A_TABLE},
    {"{\"", ANYWHERE, "\":", A_TABLE},
    {"+=", ANYWHERE, NULL, "Lua has no +=: write x = x + 1"},
    {"-=", ANYWHERE, NULL, "Lua has no -=: write x = x - 1"},
    {"*=", ANYWHERE, NULL, "Lua has no *=: write x = x * 2"},
    {"/=", ANYWHERE, NULL, "Lua has no /=: write x = x / 2"},
    {"++", ANYWHERE, NULL, "Lua has no ++: write x = x + 1"},
    {"**", ANYWHERE, NULL, "Lua's power operator is ^"},
    {"&&", ANYWHERE, NULL, "Lua writes 'and'"},
    {"||", ANYWHERE, NULL, "Lua writes 'or'"},
    {"SELECT", WORD, NULL, A_STATEMENT_OF_SQL},
    {"select", COMMAND, "from ", A_STATEMENT_OF_SQL},
    {"INSERT", COMMAND, NULL, A_STATEMENT_OF_SQL},
    {"CREATE", COMMAND, NULL, A_STATEMENT_OF_SQL},
    {"SHOW", COMMAND, NULL, A_STATEMENT_OF_SQL},
    {"pip", COMMAND, "install", "packages for Lua: %luarocks install NAME; for Python: %pip install NAME"},
    {"\"\"\"", ANYWHERE, NULL, A_LONG_TEXT},
    {"'''", ANYWHERE, NULL, A_LONG_TEXT},
    {"async", WORD, NULL, "Lua has coroutines: coroutine.wrap(function() … end)"},
    {"await", WORD, NULL, "Lua waits where it is called: no await"},
    {"import", WORD, NULL, "Lua loads modules with require: local json = require(\"json\")"},
    {"from", WORD, NULL, "Lua loads modules with require: local json = require(\"json\")"},
    {"def", WORD, NULL, "Lua defines functions so: function name(x) … end"},
    {"elif", WORD, NULL, "Lua writes 'elseif … then'"},
    {"else:", ANYWHERE, NULL, "Lua writes 'else', and 'end' where the block ends"},
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
    {"global", COMMAND, NULL, "a variable of Lua is global where nothing declares it with local"},
    {"%in%", ANYWHERE, NULL, "a list is searched with a loop; of a column: F.col(\"n\"):isin(1, 2)"},
    {"$", AT_FAULT, NULL, "a part of a table is t.x, a column is df.x or df\"x\""},
    {"@", AT_FAULT, NULL, "Lua has no decorators: f = decorator(f)"},
    {"for", WORD, NULL, "Lua's loops: for i = 1, n do … end, for i, x in ipairs(list) do … end"},
    {"while", WORD, NULL, "Lua's loop: while condition do … end"},
    {"if", WORD, NULL, "Lua's condition: if x then … elseif y then … else … end"},
    {" in ", ANYWHERE, NULL, "a key is there when t[key] ~= nil; a list is searched with a loop"},
    {"//", ANYWHERE, NULL, "Lua's comments begin with --; // is integer division"},
    {"'[", ANYWHERE, NULL, "a character of a text is s:sub(1, 1)"},
    {"\"[", ANYWHERE, NULL, "a character of a text is s:sub(1, 1)"},
    {"= [", ANYWHERE, NULL, "Lua's lists have braces: {1, 2, 3}"},
    {"([", ANYWHERE, NULL, "Lua's lists have braces: {1, 2, 3}"},
    {"#", AT_FAULT, NULL, "Lua's comments begin with --; # is the length operator"},
    {":", AT_FAULT, NULL, "a ':' calls a method, as in df:show(); blocks end with 'end' instead"},
};

/* The text h->text of the line is at `at`, the error at `fault`. */
static bool stands(const struct habit *h, const char *line, const char *end, const char *at,
                   const char *fault)
{
    const char *after = at + strlen(h->text);

    if (h->also && !memmem(after, (size_t)(end - after), h->also, strlen(h->also)))
        return false;
    if (h->where == ANYWHERE)
        return true;
    if (h->where == AT_FAULT)
        return at == fault || (*at == '$' && after == fault) ||
               strspn(after, " \t\r") >= (size_t)(end - after);
    if (h->where == AFTER_GAP)
        return at == line || habits_boundary(at[-1]);
    if ((at > line && !habits_boundary(at[-1])) || (after < end && !habits_boundary(*after)))
        return false;
    if (h->where == WORD)
        return true;
    at = after;
    while (after < end && (*after == ' ' || *after == '\t'))
        after++;
    return after > at && after < end && (isalnum((unsigned char)*after) || *after == '_');
}

static bool habit_matches(const struct habit *h, const char *line, const char *end, const char *fault)
{
    for (const char *p = line; (p = memmem(p, (size_t)(end - p), h->text, strlen(h->text))) != NULL; p++)
        if (stands(h, line, end, p, fault))
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
        if (habit_matches(&(struct habit){words[i], WORD, NULL, NULL}, line, end, NULL) ||
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

bool habits_property(struct session *s, const char *name, size_t len)
{
    struct property p = {.name = name, .len = len};

    manual_each(s->globals, is_property, &p);
    if (p.found)
        snprintf(s->problem.hint, sizeof s->problem.hint,
                 "'%.*s' is a property, which a dot gives: .%.*s, without brackets", (int)len, name, (int)len,
                 name);
    return p.found;
}

/* df:write:mode("append"), df:columns: what stands before the place of the error is a property. */
static bool calls_property(struct session *s, const char *message, const char *text, size_t len,
                           const char *at)
{
    const char *name;

    if (!message || !strstr(message, "function arguments expected near"))
        return false;
    if (strstr(message, "near <eof>"))
        at = text + len;
    while (at > text && isspace((unsigned char)at[-1]))
        at--;
    for (name = at; name > text && habits_in_name(name[-1]);)
        name--;
    return name < at && name > text && name[-1] == ':' && habits_property(s, name, (size_t)(at - name));
}

/* ---- modules of other languages: require "pandas", import pandas as pd ---- */
static const struct {
    const char *name, *hint;
} foreign_modules[] = {
    {"pandas", "dataframes are here already: spark:createDataFrame(rows), spark.read:csv(path)"},
    {"pyspark", "spark and F are here already: spark:table(name), F.col(\"a\")"},
    {"json", "json is here already: json.encode(value), json.decode(text)"},
    {"mlflow", "mlflow is here already: mlflow.start_run(), mlflow.log_metric(\"loss\", 0.5)"},
    {"delta", "DeltaTable is here already: DeltaTable.forName(spark, name), spark:table(name)"},
    {"math", "math is here already: math.floor(x), math.pi"},
    {"random", "random numbers are math.random() and math.random(1, 6)"},
    {"os", "the environment is os.getenv(name), files are dbutils.fs and io.open(path)"},
    {"time", "sleep(seconds) waits; the time is os.time(), and %time measures"},
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

bool habits_foreign_module(struct session *s, const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof foreign_modules / sizeof *foreign_modules; i++)
        if (strlen(foreign_modules[i].name) == len && memcmp(name, foreign_modules[i].name, len) == 0) {
            snprintf(s->problem.hint, sizeof s->problem.hint, "%s", foreign_modules[i].hint);
            return true;
        }
    return false;
}

/* import pandas as pd, from pyspark.sql import functions as F */
static bool hint_import(struct session *s, const char *line, const char *end)
{
    const char *name;

    while (line < end && isspace((unsigned char)*line))
        line++;
    if ((size_t)(end - line) < sizeof "import x" - 1)
        return false;
    if (memcmp(line, "import ", 7) == 0)
        name = line + 7;
    else if (memcmp(line, "from ", 5) == 0)
        name = line + 5;
    else
        return false;
    for (line = name; line < end && habits_in_name(*line);)
        line++;
    return habits_foreign_module(s, name, (size_t)(line - name));
}

/* A copy of the line with nothing in its texts and comments. */
static void copy_code(struct buf *out, const char *line, const char *end)
{
    char *copy;
    struct scan x = scan_begin(line, (size_t)(end - line));

    buf_add(out, line, (size_t)(end - line));
    if (!buf_ok(out))
        return;
    copy = out->data;
    for (const char *last = line;; last = x.at + x.len, scan_next(&x)) {
        const char *at = x.kind ? x.at : end;
        if (memmem(last, (size_t)(at - last), "--", 2))
            memset(copy + (last - line), ' ', (size_t)(at - last));
        if (!x.kind)
            return;
        if (x.kind == SCAN_STRING && !x.open && x.len > 2)
            memset(copy + (at - line) + 1, ' ', x.len - 2);
    }
}

/* The hint of the first of n habits that the line shows; false: it shows none. */
static bool hint_of(struct session *s, size_t n, const char *line, const char *end, const char *fault)
{
    struct buf code = BUF_INIT(8192);
    bool found = false;

    copy_code(&code, line, end);
    for (size_t i = 0; buf_ok(&code) && !found && i < n; i++) {
        found = habit_matches(&in_text[i], code.data, code.data + code.len, code.data + (fault - line));
        if (found)
            snprintf(s->problem.hint, sizeof s->problem.hint, "%s", in_text[i].hint);
    }
    buf_release(&code);
    return found;
}

#define A_COMMAND "a command stands at the beginning of its line: !ls"
/* What Lua expected and found, and what stands before it in the line. */
static const struct {
    const char *expected, *near, *before, *hint;
} at_place[] = {
    {"')' expected", "near '='", "function",
     "Lua's arguments have no defaults: write b = b or 2 inside the function"},
    {"')' expected", "near '='", "",
     "Lua's arguments have no names; where names are known, a table has them: f{x, header = true}"},
    {"'then' expected", "near '='", "", "Lua compares with ==: if x == 1 then … end"},
    {"'do' expected", "near '='", "", "Lua compares with ==: while x == 1 do … end"},
    {"']' expected", "near ':'", "[", A_PART_OF_IT},
    {"unexpected symbol", "near ':'", "[", A_PART_OF_IT},
    {"function arguments expected", "near ']'", "[", A_PART_OF_IT},
    {"<eof> expected", "near 'end'", "", "this 'end' has no block: there is one too many"},
    {"unfinished string", "", "", "a text ends with the quote that it began with; " A_LONG_TEXT},
    {"unexpected symbol", "near ''", "'",
     "a ' inside of a text is written \\', or the text stands between \""},
    {"unexpected symbol", "near '%'", "",
     "a magic stands at the beginning of its line, or behind a name and =; %lsmagic lists them"},
    {"unexpected symbol", "near '!'", ";", A_COMMAND},
    {"unexpected symbol", "near '!'", "then ", A_COMMAND},
    {"unexpected symbol", "near '!'", "do ", A_COMMAND},
    {"unexpected symbol", "near '!'", "else ", A_COMMAND},
    {"unexpected symbol", "near '!'", "", "Lua writes 'not x'; " A_COMMAND},
    {"unexpected symbol", "near '\\'", "", "Lua's statements go on in the next line without a \\"},
    {"')' expected", "near ','", "(", "Lua has no tuples: a, b = 1, 2 for several values, {1, 2} for a list"},
    {"<name> expected", "near '('", "function", "a function without a name is a value: f = function() … end"},
    {"<name> expected", "near '", ":", A_TABLE},
    {"function arguments expected", "near '}'", "{", A_TABLE},
    {"function arguments expected", "near ','", "{", A_TABLE},
    {"'}' expected", "near ':'", "", A_TABLE},
    {"unexpected symbol", "near 'end'", "print", "print ends its line; io.write(x) does not"},
};

static bool hint_at_place(struct session *s, const char *message, const char *line, const char *at)
{
    if (message && strstr(message, "near '%'") &&
        ((at > line && at[-1] == '%') || strncmp(at, "%%", 2) == 0)) {
        snprintf(s->problem.hint, sizeof s->problem.hint,
                 "a magic with %%%% takes the whole cell, and stands in its first line");
        return true;
    }
    for (size_t i = 0; message && i < sizeof at_place / sizeof *at_place; i++)
        if (strstr(message, at_place[i].expected) && strstr(message, at_place[i].near) &&
            memmem(line, (size_t)(at - line), at_place[i].before, strlen(at_place[i].before))) {
            snprintf(s->problem.hint, sizeof s->problem.hint, "%s", at_place[i].hint);
            return true;
        }
    return false;
}

/* x: int = 5 */
static bool hint_typed(struct session *s, const char *message, const char *line, const char *at)
{
    while (line < at && isspace((unsigned char)*line))
        line++;
    while (line < at && habits_in_name(*line))
        line++;
    if (!message || !strstr(message, "function arguments expected near '='") || line == at || *line != ':')
        return false;
    snprintf(s->problem.hint, sizeof s->problem.hint, "Lua's variables have no types: x = 5");
    return true;
}

/* "abc".upper(), "abc":upper(): Lua wants brackets around the text. */
static bool hint_literal(struct session *s, const char *message, const char *line, const char *at,
                         const char *end)
{
    struct scan x = scan_begin(at, (size_t)(end - at));
    const char *sign = x.kind == SCAN_STRING && !x.open     ? at + x.len
                       : at > line && strchr("\"'", at[-1]) ? at
                                                            : end;
    int name = 1;

    if (!message || !strstr(message, "near '") || sign + 1 >= end || !strchr(".:", *sign))
        return false;
    while (sign + name < end && habits_in_name(sign[name]))
        name++;
    if (name == 1)
        return false;
    snprintf(s->problem.hint, sizeof s->problem.hint,
             "a text stands in brackets where a method of it is called: (\"text\"):%.*s()", name - 1,
             sign + 1);
    return true;
}

/* The last line, or any before it. */
static bool hint_foreign_block(struct session *s, const char *text, size_t len)
{
    bool found = ends_as_in_python(text, len);

    for (const char *p = text; !found && (p = memchr(p, '\n', (size_t)(text + len - p))) != NULL; p++)
        found = ends_as_in_python(text, (size_t)(p - text));
    if (!found)
        return false;
    snprintf(s->problem.hint, sizeof s->problem.hint, "%s",
             "Lua's blocks: if x then … end, for i = 1, n do … end, for i, x in ipairs(list) do … end");
    return true;
}

void habits_syntax(lua_State *L, const char *text, size_t len)
{
    struct session *s = session_of(L);
    const char *line, *end, *at, *message = lua_tostring(L, -1);
    long offset = cell_error_offset(L, text, len);

    s->problem.syntax = true;
    s->problem.column = -1;
    if (offset < 0)
        return;
    for (line = at = text + offset; line > text && line[-1] != '\n'; line--)
        ;
    end = memchr(line, '\n', (size_t)(text + len - line));
    if (!end)
        end = text + len;
    s->problem.line = line_of(text, (size_t)offset);
    s->problem.column = (int)(at - line);
    if (foreign_character(L, at, end) || calls_property(s, message, text, len, at) ||
        hint_at_place(s, message, line, at) || hint_typed(s, message, line, at) ||
        hint_literal(s, message, line, at, end))
        return;
    if (has_c_block(line, end)) {
        snprintf(s->problem.hint, sizeof s->problem.hint,
                 "Lua's blocks have words: while x do … end, if x then … end, function f() … end");
        return;
    }
    if (unfinished(message)) {
        if (!hint_of(s, ROWS_OF_OPEN_TEXT, line, end, at) && !hint_foreign_block(s, text, len) &&
            strstr(message, "function arguments expected"))
            snprintf(s->problem.hint, sizeof s->problem.hint, "a method is called with brackets: df:count()");
        return;
    }
    const char *number = message ? strstr(message, "malformed number near '") : NULL;
    if (number && strchr(number, '_')) {
        snprintf(s->problem.hint, sizeof s->problem.hint, "Lua's numbers have no _: 500000, or 5e5");
        return;
    }
    if (!hint_import(s, line, end) && !hint_of(s, sizeof in_text / sizeof *in_text, line, end, at))
        hint_foreign_block(s, text, (size_t)(line - text));
}

/* ---- text that compiles, and does not what it says ---- */
static const struct {
    const char *name, *hint;
} silent_names[] = {{"None", "nil"},      {"True", "true"}, {"False", "false"}, {"NULL", "nil or null"},
                    {"undefined", "nil"}, {"TRUE", "true"}, {"FALSE", "false"}};

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

/* Types of other languages, and Lua's without quotes: type(x) == int compares a text with nil. */
static const struct {
    const char *name, *type;
} type_names[] = {{"int", "number"},    {"float", "number"},  {"number", "number"},   {"str", "string"},
                  {"string", "string"}, {"bool", "boolean"},  {"boolean", "boolean"}, {"list", "table"},
                  {"dict", "table"},    {"tuple", "table"},   {"set", "table"},       {"table", "table"},
                  {"Number", "number"}, {"String", "string"}, {"Boolean", "boolean"}};

static bool scan_is_name(const struct scan *x, const char *name)
{
    return x->kind == SCAN_NAME && !x->field && x->len == strlen(name) && memcmp(x->at, name, x->len) == 0;
}

static int count_name(const char *text, size_t len, const char *name)
{
    int n = 0;

    for (struct scan x = scan_begin(text, len); x.kind; scan_next(&x))
        n += scan_is_name(&x, name);
    return n;
}

/* Is it `type` in type(…) == NAME? *name: where NAME stands. */
static bool compares_type(struct scan type, struct scan *name)
{
    int depth = 0;

    if (!scan_is_name(&type, "type"))
        return false;
    scan_next(&type);
    if (!scan_is(&type, "("))
        return false;
    for (; type.kind; scan_next(&type)) {
        depth += ((type.traits & SCAN_OPENS) != 0) - ((type.traits & SCAN_CLOSES) != 0);
        if (depth == 0)
            break;
    }
    scan_next(&type);
    if (!scan_is(&type, "==") && !scan_is(&type, "~="))
        return false;
    scan_next(&type);
    *name = type;
    scan_next(&type);
    return name->kind == SCAN_NAME && !(type.traits & (SCAN_SELECTS | SCAN_OPENS));
}

/* string and table are names with a value, which is no text either, unless the user has given them one. */
static bool is_library(lua_State *L, const char *name)
{
    int top = lua_gettop(L);
    bool is = !cell_local(L, name, strlen(name));

    lua_settop(L, top);
    is = is && luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE) &&
         lua_getfield(L, -1, name) == LUA_TTABLE;
    lua_getglobal(L, name);
    is = is && lua_rawequal(L, -1, -2);
    lua_settop(L, top);
    return is;
}

/* A name that the text has elsewhere, too, may be a parameter. */
static void notice_type(lua_State *L, const char *text, size_t len)
{
    char line[256];
    struct scan name;

    if (!memmem(text, len, "type", 4))
        return;
    for (struct scan x = scan_begin(text, len); x.kind; scan_next(&x)) {
        if (!compares_type(x, &name))
            continue;
        for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++) {
            const char *word = type_names[i].name;
            if (!scan_is_name(&name, word) || count_name(text, len, word) > 1 ||
                (!is_library(L, word) && known_name(L, word, text, len)))
                continue;
            int size = snprintf(line, sizeof line, "hint: line %d: type(x) gives a text: type(x) == \"%s\"\n",
                                line_of(text, (size_t)(name.at - text)), type_names[i].type);
            session_print(session_of(L), STREAM_STDERR, line, (size_t)size);
            return;
        }
    }
}

/* The last line of the cell is Python's `pass`, and nothing is called so. */
static void notice_pass(lua_State *L, const char *text, size_t len)
{
    static const char said[] =
        "hint: an empty block needs no word in Lua: 'pass' is a name without a value here\n";
    struct scan x = scan_begin(text, len), last = x;
    const char *before;

    if (!memmem(text, len, "pass", 4))
        return;
    for (; x.kind; scan_next(&x))
        last = x;
    for (before = last.at; before > text && strchr(" \t", before[-1]); before--)
        ;
    if (scan_is_name(&last, "pass") && (before == text || strchr("\n;", before[-1])) &&
        count_name(text, len, "pass") == 1 && !known_name(L, "pass", text, len))
        session_print(session_of(L), STREAM_STDERR, said, sizeof said - 1);
}

void habits_notice(lua_State *L, const char *text, size_t len)
{
    char line[256];

    notice_magic(L, text, len);
    notice_type(L, text, len);
    notice_pass(L, text, len);
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

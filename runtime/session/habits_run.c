/* habits_run.c: errors of a running cell. */
#include "runtime/base/nearest.h"
#include "runtime/session/cell.h"
#include "runtime/session/habits.h"
#include "runtime/session/habits_int.h"
#include "runtime/session/lookup.h"
#include "runtime/session/magic.h"
#include "runtime/session/manual.h"
#include "runtime/session/names.h"
#include "runtime/session/scan.h"
#include "runtime/session/session_int.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- names that are nil ---- */
static const struct {
    const char *name, *hint;
    bool called; /* said where it is called alone: f = io.open(path) may be nil, too */
} foreign_names[] = {
    {"None", "Lua's None is nil", false},
    {"import", "Lua loads modules with require: local json = require(\"json\")", false},
    {"True", "Lua writes true", false},
    {"False", "Lua writes false", false},
    {"len", "Lua's length is #x", true},
    {"f", "Lua's f-string is fmt: fmt(\"{} rows\", n)", true},
    {"str", "Lua's str(x) is tostring(x)", true},
    {"int", "Lua's int(x) is math.tointeger(x) or x // 1", true},
    {"float", "Lua's float(x) is tonumber(x)", true},
    {"range", "Lua counts so: for i = 1, n do … end", true},
    {"enumerate", "Lua enumerates so: for i, x in ipairs(list) do … end", true},
    {"dict", "Lua's dict is a table: {key = value}", true},
    {"list", "Lua's list is a table: {1, 2, 3}", true},
    {"this", "Lua's methods, defined with ':', have self", false},
    {"console", "Lua prints with print(x)", false},
    {"undefined", "Lua writes nil", false},
    {"open", "Lua opens files with io.open(path, mode)", true},
    {"isinstance", "Lua asks type(x)", true},
    {"format", "string.format(\"%d\", n), or fmt(\"{:,}\", n)", true},
    {"pd", "dataframes are here already: spark:createDataFrame(rows), spark.read:csv(path)", false},
    {"np", "columns are computed with F and df:select; lists are Lua tables", false},
    {"plt", "plot is here already: plot.line{x = {…}, y = {…}}", false},
    {"displayHTML", "HTML is shown with display.html(\"<b>…</b>\")", false},
    {"tqdm", "progress bars are for x in progress(list) do … end", false},
    {"torch", "models are trained and asked with llm: llm.finetune{…}, llm.load(path)", false},
    {"AutoModelForCausalLM", "a model is loaded with llm.load(\"org/name\"), its tokenizer with it", false},
    {"AutoTokenizer", "a model is loaded with llm.load(\"org/name\"), its tokenizer with it", false},
    {"pipeline", "a model answers: llm.load(\"org/name\"):generate{prompt = \"text\"}.text", true},
    {"SFTTrainer", "training on chats and on instructions is llm.finetune{…}, or Trainer{…}", false},
    {"SFTConfig", "its fields are in TrainingArguments{…}: max_length, packing, completion_only_loss", false},
    {"DPOConfig", "its fields are in the args of llm.dpo{…}: args = {beta = 0.1, loss_type = \"sigmoid\"}",
     false},
    {"get_peft_model", "an adapter is asked for by the training: llm.finetune{peft = LoraConfig{r = 16}, …}",
     true},
    {"PeftModel", "a folder with an adapter is loaded as a model is: llm.load(folder)", false},
    {"prepare_model_for_kbit_training", "quantization = BitsAndBytesConfig{load_in_4bit = true} is all",
     true},
    {"DPOTrainer", "training on preferences is llm.dpo{model = …, train_dataset = …}", false},
    {"max", "the greatest of numbers is math.max(a, b), of a column F.max(\"n\")", true},
    {"min", "the least of numbers is math.min(a, b), of a column F.min(\"n\")", true},
    {"abs", "math.abs(x), of a column F.abs(\"n\")", true},
    {"sum", "numbers are added in a loop, a column with F.sum(\"n\")", true},
    {"round", "math.floor(x + 0.5), as text (\"%.2f\"):format(x), of a column F.round(\"n\", 2)", true},
    {"sorted", "Lua sorts a list in its place with table.sort(t)", true},
    {"set", "Lua's set is a table: {apple = true}; a name is in it when t[name]", true},
    {"requests", "http is here already: http.get(url):json()", false},
    {"datetime", "times are os.time() and os.date(\"%Y-%m-%d\")", false},
    {"time", "sleep(seconds) waits; the time is os.time(), and %time measures", false},
    {"throw", "Lua raises errors with error(\"message\")", true},
    {"raise", "Lua raises errors with error(\"message\")", true},
    {"self", "a function has self when it is defined with ':', function t:f() … end", false},
    {"parseInt", "Lua's parseInt(x) is math.tointeger(tonumber(x))", true},
    {"parseFloat", "Lua's parseFloat(x) is tonumber(x)", true},
    {"JSON", "json.encode(x), json.decode(text)", false},
    {"fetch", "http is here already: http.get(url):json()", true},
    {"setTimeout", "sleep(seconds) waits", true},
    {"library", "modules are loaded with require(\"name\"); dataframes, plots and models are here already",
     true},
    {"c", "Lua's list is a table: {1, 2, 3}", true},
    {"paste", "Lua joins texts with ..: \"a\" .. \"b\"", true},
    {"paste0", "Lua joins texts with ..: \"a\" .. \"b\"", true},
    {"nrow", "df:count() counts the rows", true},
    {"ncol", "#df.columns", true},
    {"head", "df:show(5) prints the first rows, df:head(5) gives them", true},
    {"summary", "df:summary():show()", true},
    {"length", "Lua's length is #x", true},
    {"os_system", "run a command with !command or os.execute", false},
};

bool habits_named(const char *message, char kind[16], char name[64])
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
            if ((p > text && !habits_boundary(p[-1]) && !strchr(".+-*/%<>~#^&|", p[-1])) ||
                (p + n < text + len && !habits_boundary(p[n]) && !strchr(".+-*/%<>~#^&|\"'", p[n])))
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

/* A name of one letter is near to any other: only F for f is meant. */
static void hint_nearest(struct session *s, const char *name, const char *const *names, size_t n)
{
    struct buf out = BUF_INIT(256);

    if (name[0] && name[1]) {
        nearest_list(&out, name, names, n, 3);
    } else {
        for (size_t i = 0; i < n; i++)
            if (strcasecmp(names[i], name) == 0 && strcmp(names[i], name) != 0)
                buf_printf(&out, "'%s'", names[i]);
    }
    if (buf_ok(&out) && out.len)
        snprintf(s->problem.hint, sizeof s->problem.hint, "did you mean %s?", buf_str(&out));
    buf_release(&out);
}

/* local function f() return g() end local function g() … end */
static bool hint_unseen_local(lua_State *L, const char *name)
{
    struct session *s = session_of(L);
    int top = lua_gettop(L);
    bool there = cell_local(L, name, strlen(name)) && !lua_isnil(L, -1);

    if (there)
        snprintf(
            s->problem.hint, sizeof s->problem.hint,
            "'%s' is a local that this place does not see: functions see the locals that stand before them",
            name);
    lua_settop(L, top);
    return there;
}

/* f = io.open(path); f:read(): what the cell gave the name is nil, so no other name is meant. */
static bool hint_assigned(lua_State *L, const struct frame *f, const char *name)
{
    struct session *s = session_of(L);
    bool found = false;
    size_t len = 0;
    const char *text;

    session_table(L, TABLE_SOURCES);
    lua_getfield(L, -1, f->source);
    text = lua_tolstring(L, -1, &len);
    for (struct scan x = scan_begin(text ? text : "", len), before = x; x.kind && !found;
         before = x, scan_next(&x)) {
        static const char opens[] = "io.open(";
        found = scan_is(&x, "=") && before.kind == SCAN_NAME && !before.field && before.len == strlen(name) &&
                memcmp(before.at, name, before.len) == 0;
        if (!found)
            continue;
        scan_next(&x);
        if ((size_t)(text + len - x.at) > strlen(opens) && strncmp(x.at, opens, strlen(opens)) == 0)
            snprintf(s->problem.hint, sizeof s->problem.hint,
                     "io.open gives nil and a message when it fails: %s = assert(io.open(path))", name);
    }
    lua_pop(L, 2);
    return found;
}

static void hint_global(lua_State *L, const struct frame *f, const char *name, bool called)
{
    struct session *s = session_of(L);
    const char **names;
    size_t n;

    if (hint_unseen_local(L, name) || hint_assigned(L, f, name))
        return;
    for (size_t i = 0; i < sizeof foreign_names / sizeof *foreign_names; i++)
        if (strcmp(name, foreign_names[i].name) == 0 && (called || !foreign_names[i].called)) {
            snprintf(s->problem.hint, sizeof s->problem.hint, "%s", foreign_names[i].hint);
            return;
        }
    if (hint_elsewhere(s, name))
        return;
    names = names_known(s, &n);
    hint_nearest(s, name, names, names ? n : 0);
    names_free(names, n);
}

/* ---- members that are nil ---- */
struct missing {
    const struct frame *frame;
    const char *name;
    const char *names[512]; /* owned copies */
    size_t n;
};

bool habits_push_visible(lua_State *L, const char *name, size_t len) /* as the function that failed sees it */
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
    if (!line || !find_chain(line, len, m->name, &c) ||
        !habits_push_visible(L, c.parts[0].name, c.parts[0].len))
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

    lua_pushcfunction(L, collect_members);
    lua_pushlightuserdata(L, &m);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        lua_pop(L, 1);
    hint_nearest(s, name, m.names, m.n);
    for (size_t i = 0; i < m.n; i++)
        mem_free((void *)(uintptr_t)m.names[i]);
}

const char *habits_push_line(lua_State *L, const struct frame *f, size_t *len)
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

/* What other languages write at run time. */
static const struct {
    const char *message, *line, *hint; /* parts of both */
} at_run_time[] = {
    {"a nil value (field 'integer index')", "[0]", "Lua's lists begin at 1: t[1] is the first element"},
    {"a nil value (field '?')", "[0]", "Lua's lists begin at 1: t[1] is the first element"},
    {"attempt to get length of a nil value (global", "# ",
     "Lua's comments begin with --; # is the length operator"},
    {"attempt to perform arithmetic on a nil value (global", "// ",
     "Lua's comments begin with --; // is integer division"},
    {"attempt to compare", "<- ", "Lua assigns with =: a = 3"},
    {"attempt to mul a 'string'", "*", "Lua repeats a text with s:rep(3)"},
    {"attempt to mod a 'string'", "%",
     "texts are filled in with fmt(\"{} rows\", n) or (\"%d rows\"):format(n)"},
    {"attempt to add a 'string'", "+", "Lua joins texts with ..: \"a\" .. \"b\""},
    {"attempt to call a table value (for iterator", "for",
     "Lua goes over a list so: for i, x in ipairs(list) do … end; over a table so: for k, v in pairs(t) do … "
     "end"},
    {"attempt to call a string value (for iterator", "for",
     "Lua goes over the characters of a text so: for c in s:gmatch(\".\") do … end"},
    {"attempt to call a number value (for iterator", "for", "Lua counts so: for i = 1, n do … end"},
    {"(field 'autolog')", "autolog",
     "what llm trains is logged to the active run by itself: leave the line out"},
};

/* Members that other languages call, and a table or a text of Lua does not have. */
static const struct {
    const char *name, *hint;
} called_members[] = {
    {"sum", "functions of columns are F's: df:agg(F.sum(\"n\"))"},
    {"mean", "functions of columns are F's: df:agg(F.mean(\"n\"))"},
    {"max", "functions of columns are F's: df:agg(F.max(\"n\"))"},
    {"min", "functions of columns are F's: df:agg(F.min(\"n\"))"},
    {"append", "Lua appends with table.insert(t, x), or t[#t + 1] = x"},
    {"push", "Lua appends with table.insert(t, x), or t[#t + 1] = x"},
    {"pop", "Lua takes the last element off with table.remove(t)"},
    {"extend", "Lua appends a list with table.move(more, 1, #more, #t + 1, t)"},
    {"items", "Lua goes over keys and values so: for k, v in pairs(t) do … end"},
    {"keys", "Lua goes over keys so: for k in pairs(t) do … end"},
    {"values", "Lua goes over values so: for _, v in pairs(t) do … end"},
    {"strip", "a text without blanks around it: s:match(\"^%s*(.-)%s*$\")"},
    {"trim", "a text without blanks around it: s:match(\"^%s*(.-)%s*$\")"},
    {"replace", "Lua replaces with s:gsub(pattern, text); % before a character takes it as it is"},
    {"contains", "is one text in another? s:find(part, 1, true) ~= nil"},
    {"includes", "is one text in another? s:find(part, 1, true) ~= nil"},
    {"sort", "Lua sorts a list in its place with table.sort(t)"},
    {"insert", "Lua inserts with table.insert(t, x), or t[#t + 1] = x"},
    {"remove", "Lua takes an element out with table.remove(t, place)"},
    {"split", "the words of a text: for word in s:gmatch(\"%S+\") do … end"},
    {"join", "Lua joins a list of texts with table.concat(list, \", \")"},
    {"startswith", "does a text begin so? s:sub(1, #start) == start"},
    {"endswith", "does a text end so? s:sub(-#part) == part"},
    {"length", "Lua's length is #x"},
    {"len", "Lua's length is #x"},
};

static bool hint_called_member(struct session *s, const char *message)
{
    char kind[16], name[64];

    if (!strstr(message, "attempt to call a nil value") || !habits_named(message, kind, name) ||
        strcmp(kind, "global") == 0)
        return false;
    for (size_t i = 0; i < sizeof called_members / sizeof *called_members; i++)
        if (strcmp(called_members[i].name, name) == 0) {
            snprintf(s->problem.hint, sizeof s->problem.hint, "%s", called_members[i].hint);
            return true;
        }
    return false;
}

/* x = 5 // seconds: the name that is nil stands behind the sign; in seconds // 2 the sign is no comment's. */
static bool stands_behind(const char *message, const char *after, size_t len)
{
    char kind[16], name[64];

    return !strstr(message, "(global") || !habits_named(message, kind, name) ||
           memmem(after, len, name, strlen(name));
}

/* ipairs(nil), io.open(path):read(): Lua names nothing. */
static bool hint_nameless(struct session *s, const char *message, const char *line, size_t len)
{
    static const char index[] = "attempt to index a nil value";
    static const struct {
        const char *message, *line, *hint;
    } rows[] = {
        {index, "ipairs(", "what the loop goes over is nil here"},
        {index, "io.open(", "io.open gives nil and a message when it fails: assert(io.open(path))"},
        {"bad argument #1 to 'for iterator' (table expected, got nil)", "pairs(",
         "what the loop goes over is nil here"},
        {"bad argument #2 to 'for iterator' (string expected, got nil)", " in ",
         "the rows of a DataFrame: for _, row in ipairs(df:collect()) do … end"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t all = strlen(message), n = strlen(rows[i].message);
        if (all < n || strcmp(message + all - n, rows[i].message) != 0 ||
            !memmem(line, len, rows[i].line, strlen(rows[i].line)))
            continue;
        snprintf(s->problem.hint, sizeof s->problem.hint, "%s", rows[i].hint);
        return true;
    }
    return false;
}

static bool hint_at_run_time(lua_State *L, const char *message, const struct frame *f)
{
    struct session *s = session_of(L);
    size_t len;
    const char *line = habits_push_line(L, f, &len);
    bool found = hint_called_member(s, message) || (line && hint_nameless(s, message, line, len));

    for (size_t i = 0; line && !found && i < sizeof at_run_time / sizeof *at_run_time; i++) {
        size_t n = strlen(at_run_time[i].line);
        const char *at =
            strstr(message, at_run_time[i].message) ? memmem(line, len, at_run_time[i].line, n) : NULL;
        found = at && stands_behind(message, at + n, (size_t)(line + len - at) - n);
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
    const char *line = habits_push_line(L, f, &len);
    int n = 0;

    for (struct scan x = scan_begin(line ? line : "", len); x.kind && n < 5; scan_next(&x)) {
        int top = lua_gettop(L);
        if (x.kind != SCAN_NAME || x.field || told_already(line, &x))
            continue;
        bool there = habits_push_visible(L, x.at, x.len);
        bool selected = there && lua_istable(L, -1) && x.next < line + len && strchr(".:[", *x.next);
        if (!selected && (!there || !lua_isfunction(L, -1)))
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

/* x = null; x.y: null is a value of its own, which Lua calls a userdata. */
static bool hint_null(lua_State *L, const char *message)
{
    struct session *s = session_of(L);
    int top = lua_gettop(L);
    char kind[16], name[64];
    bool is_null;

    if (!strstr(message, "a userdata value") || !habits_named(message, kind, name) ||
        !habits_push_visible(L, name, strlen(name)))
        return false;
    lua_getglobal(L, "null");
    is_null = lua_rawequal(L, -1, -2) && !lua_isnil(L, -1);
    lua_settop(L, top);
    if (is_null)
        snprintf(s->problem.hint, sizeof s->problem.hint,
                 "'%s' is null, SQL's NULL, which has no value: ask %s == null first", name, name);
    return is_null;
}

/* Modules whose package has another name. */
static const char *package_of(const char *module)
{
    static const char *const packages[][2] = {{"cjson", "lua-cjson"},       {"lfs", "luafilesystem"},
                                              {"socket", "luasocket"},      {"mime", "luasocket"},
                                              {"ltn12", "luasocket"},       {"ssl", "luasec"},
                                              {"posix", "luaposix"},        {"pl", "penlight"},
                                              {"zlib", "lua-zlib"},         {"yaml", "lyaml"},
                                              {"term", "lua-term"},         {"re", "lpeg"},
                                              {"rex_pcre", "lrexlib-pcre"}, {"luasql", "luasql-sqlite3"},
                                              {"cmsgpack", "lua-cmsgpack"}};
    size_t len = strcspn(module, ".");

    for (size_t i = 0; i < sizeof packages / sizeof *packages; i++)
        if (strlen(packages[i][0]) == len && memcmp(packages[i][0], module, len) == 0)
            return packages[i][1];
    return module;
}

static bool hint_module(struct session *s, const char *message)
{
    char name[64];
    const char *rest = strstr(message, "module '");
    const char **names;
    size_t n;
    struct buf near = BUF_INIT(200);

    if (!rest || sscanf(rest, "module '%63[^']'", name) != 1 || !strstr(rest, "' not found"))
        return false;
    if (habits_foreign_module(s, name, strcspn(name, ".")))
        return true;
    names = names_known(s, &n);
    nearest_list(&near, name, names, names ? n : 0, 2);
    snprintf(s->problem.hint, sizeof s->problem.hint,
             "%s%s%sa package for Lua is fetched with %%luarocks install %s", near.len ? "did you mean " : "",
             buf_str(&near), near.len ? "? " : "", package_of(name));
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
    if (s->frames.n == 0)
        return;
    s->problem.line = f->line;
    if ((message && hint_module(s, message)) || habits_form(L, message, f) || !message ||
        hint_at_run_time(L, message, f) || hint_null(L, message))
        return;
    if (strstr(message, "attempt to compare")) {
        hint_types(L, f);
        return;
    }
    if (!strstr(message, "attempt to ") || !habits_named(message, kind, name))
        return;
    snprintf(s->problem.name, sizeof s->problem.name, "%s", name);
    s->problem.column = find_column(L, f, name);
    if (!strstr(message, "nil value")) {
        if (strstr(message, "attempt to call"))
            habits_property(s, name, strlen(name));
        return;
    }
    if (strcmp(kind, "global") == 0)
        hint_global(L, f, name, strstr(message, "attempt to call") != NULL);
    else if (strcmp(kind, "field") == 0 || strcmp(kind, "method") == 0)
        hint_member(L, f, name);
}

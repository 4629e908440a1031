/* Completion of what is no Lua: paths, SQL, magics and their options, and texts that our functions take. */
#include "runtime/base/fs.h"
#include "runtime/session/complete_int.h"
#include "runtime/session/magic.h"
#include "runtime/session/magic_lua.h"
#include "runtime/session/traceback.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- paths ---- */
static void add_files(struct answer *a, const char *folder)
{
    char **names;
    size_t n;

    if (fs_list(*folder ? folder : ".", &names, &n, NULL) != LC_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        char *path = fs_join(*folder ? folder : ".", names[i]);
        char *shown = path && fs_is_dir(path) ? mem_printf("%s/", names[i]) : mem_strdup(names[i]);
        if (shown && (*names[i] != '.' || a->prefix_len) && !(a->folders && !strchr(shown, '/')))
            complete_add(a, shown, "path", 0, NULL);
        mem_free(shown);
        mem_free(path);
    }
    fs_free_list(names, n);
}

void complete_path(struct answer *a, const char *start)
{
    const char *end = a->text + a->len, *slash = NULL;
    const char *home = getenv("HOME");
    char *folder;

    for (const char *p = start; p < end; p++) {
        if (*p == '/')
            slash = p;
        if (*p == '\n')
            return;
    }
    a->prefix = slash ? slash + 1 : start;
    a->prefix_len = (size_t)(end - a->prefix);
    if (slash && slash > start && *start == '~' && home)
        folder = mem_printf("%s%.*s/", home, (int)(slash - start - 1), start + 1);
    else
        folder = mem_strndup(start, slash ? (size_t)(slash + 1 - start) : 0);
    if (folder)
        add_files(a, folder);
    mem_free(folder);
}

/* ---- texts that a parameter takes ---- */
static void add_texts(lua_State *L, struct answer *a, const char *type) /* the table on the top */
{
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++, lua_pop(L, 1))
        if (lua_type(L, -1) == LUA_TSTRING) {
            lua_pushfstring(L, "%s%s", lua_tostring(L, -1), a->more ? a->more : "");
            complete_add(a, lua_tostring(L, -1), type, 0, NULL);
            lua_pop(L, 1);
        }
    lua_pop(L, 1);
}

/* How a front end marks them: "ColumnName" → "column". */
static const char *kind_of(const char *type)
{
    static const char *const kinds[][2] = {{"ColumnName", "column"},
                                           {"TableName", "table"},
                                           {"WidgetName", "widget"},
                                           {"FunctionName", "function"}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i][0], type) == 0)
            return kinds[i][1];
    return "value";
}

/* False: it gives no list. */
static bool call_list(lua_State *L, struct answer *a, lua_CFunction list, const char *type, int self)
{
    int top = lua_gettop(L);
    bool listed;

    lua_pushcfunction(L, list);
    if (self)
        lua_pushvalue(L, self);
    else
        lua_pushnil(L);
    lua_pushlstring(L, a->prefix, a->prefix_len);
    lua_pushlstring(L, a->first ? a->first : "", a->first_len);
    const char *end = a->call_end ? a->call_end : a->text + a->len;
    lua_pushlstring(L, a->call ? a->call : "", a->call ? (size_t)(end - a->call) : 0);
    lua_pushlstring(L, a->text, (size_t)((a->call ? a->call : a->text + a->len) - a->text));
    listed = lua_pcall(L, 5, 1, 0) == LUA_OK && lua_istable(L, -1);
    if (listed)
        add_texts(L, a, type);
    lua_settop(L, top);
    return listed;
}

bool complete_asked(lua_State *L, struct answer *a, lua_CFunction list, const char *start, int self)
{
    a->prefix = start;
    a->prefix_len = (size_t)(a->text + a->len - start);
    call_list(L, a, list, "value", self);
    return a->n > 0;
}

bool complete_listed(lua_State *L, struct answer *a, struct manual_text type, int self)
{
    struct manual_values v;

    if (!manual_find_values(a->s->globals, type.s, type.len, &v))
        return false;
    a->more = " = ";
    call_list(L, a, v.list, "param", self);
    a->more = NULL;
    return true;
}

/* "append"|"overwrite" */
static bool add_literals(struct answer *a, struct manual_text type)
{
    bool any = false;
    const char *p = type.s, *end = p + type.len, *stop;
    char text[128];

    for (; (p = memchr(p, '"', (size_t)(end - p))) != NULL; p = stop + 1) {
        stop = memchr(p + 1, '"', (size_t)(end - p - 1));
        if (!stop)
            break;
        snprintf(text, sizeof text, "%.*s", (int)(stop - p - 1), p + 1);
        if (*text)
            complete_add(a, text, "value", 0, NULL);
        any = true;
    }
    return any;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* ---- SQL ---- */
static const char *const sql_words[] = {
    "ALTER TABLE", "AND",        "AS",          "ASC",        "BETWEEN",      "BY",          "CASE",
    "CAST",        "COMMENT",    "CREATE",      "CROSS JOIN", "CUBE",         "DELETE FROM", "DESC",
    "DESCRIBE",    "DISTINCT",   "DROP",        "ELSE",       "END",          "EXCEPT",      "EXISTS",
    "EXPLAIN",     "FALSE",      "FROM",        "FULL",       "GROUP BY",     "HAVING",      "ILIKE",
    "IN",          "INNER JOIN", "INSERT INTO", "INTERSECT",  "IS",           "JOIN",        "LATERAL VIEW",
    "LEFT JOIN",   "LIKE",       "LIMIT",       "MERGE INTO", "NOT",          "NULL",        "OFFSET",
    "ON",          "OR",         "ORDER BY",    "OVER",       "PARTITION BY", "RIGHT JOIN",  "RLIKE",
    "ROLLUP",      "SELECT",     "SET",         "SHOW",       "TABLE",        "THEN",        "TRUE",
    "UNION",       "UPDATE",     "USING",       "VALUES",     "VIEW",         "WHEN",        "WHERE",
    "WITH"};

static bool follows_word(const char *start, const char *at,
                         const char *word) /* is it the word before `at`? */
{
    size_t n = strlen(word);

    while (at > start && isspace((unsigned char)at[-1]))
        at--;
    return (size_t)(at - start) >= n && strncasecmp(at - n, word, n) == 0 &&
           ((size_t)(at - start) == n || !is_word(at[-(long)n - 1]));
}

static bool is_plain_name(const char *name)
{
    const char *p = name;

    while (is_word(*p) || *p == '.')
        p++;
    return *p == '\0' && !isdigit((unsigned char)*name);
}

/* What was found from the n-th on goes into backticks: names that SQL does not read without, and all where one is open. */
static void quote_names(struct answer *a, size_t n, bool open, size_t qualifier)
{
    const char *behind = a->text + a->len;
    bool closed = behind < a->end && *behind == '`';

    for (; n < a->n; n++) {
        char *name = a->list[n].text, *text;
        size_t len = strlen(name);
        if (!open && is_plain_name(name))
            continue;
        name += len >= qualifier ? qualifier : 0;
        len = strlen(name);
        if (open && len && name[len - 1] == '.')
            name[len - 1] = '\0';
        text = mem_printf("%s%s%s", open ? "" : "`", name, closed ? "" : "`");
        if (!text)
            continue;
        mem_free(a->list[n].text);
        a->list[n].text = text;
    }
}

/* `start` … `na|: where the open backtick is; NULL: none is. */
static const char *open_backtick(const char *start, const char *end)
{
    const char *tick = NULL;
    char quote = 0;

    for (const char *p = start; p < end; p++) {
        if (*p == '`' && !quote)
            tick = tick ? NULL : p;
        else if (!tick && (*p == '\'' || *p == '"'))
            quote = quote == *p ? 0 : quote ? quote : *p;
    }
    return tick;
}

/* Tables and columns whose name goes on from an open backtick: `na|, w.`na|, `main`.`na| */
static void complete_backtick(lua_State *L, struct answer *a, const char *start, const char *tick)
{
    const char *end = a->text + a->len, *from = tick;
    struct buf whole = BUF_INIT(1 << 12);
    struct manual_values v;
    size_t qualifier;

    while (from > start && (is_word(from[-1]) || from[-1] == '.' || from[-1] == '`'))
        from--;
    for (; from < tick; from++)
        if (*from != '`')
            buf_putc(&whole, *from);
    qualifier = whole.len;
    buf_add(&whole, tick + 1, (size_t)(end - tick - 1));
    a->prefix = buf_str(&whole);
    a->prefix_len = whole.len;
    if (manual_find_values(a->s->globals, "TableName", 9, &v))
        call_list(L, a, v.list, "table", 0);
    quote_names(a, 0, true, qualifier);
    a->prefix = tick + 1;
    a->prefix_len = (size_t)(end - tick - 1);
    size_t tables = a->n;
    if (manual_find_values(a->s->globals, "ColumnName", 10, &v))
        call_list(L, a, v.list, "column", 0);
    quote_names(a, tables, true, 0);
    buf_release(&whole);
}

/* SQL from `start` on. */
static void complete_sql(lua_State *L, struct answer *a, const char *start)
{
    static const char *const before_tables[] = {"FROM",   "JOIN",     "INTO", "TABLE",
                                                "UPDATE", "DESCRIBE", "VIEW", "USING"};
    const char *end = a->text + a->len, *p = end, *tick = open_backtick(start, end);
    struct manual_values v;
    bool table = false;

    a->fold = true;
    a->call = start;
    a->call_end = a->end;
    if (tick) {
        complete_backtick(L, a, start, tick);
        return;
    }
    while (p > start && (is_word(p[-1]) || p[-1] == '.' || p[-1] == '`'))
        p--;
    a->prefix = p;
    a->prefix_len = (size_t)(end - p);
    for (size_t i = 0; i < sizeof before_tables / sizeof *before_tables; i++)
        table = table || follows_word(start, p, before_tables[i]);
    if (manual_find_values(a->s->globals, "TableName", 9, &v))
        call_list(L, a, v.list, "table", 0);
    if (table)
        return;
    for (size_t i = 0; i < sizeof sql_words / sizeof *sql_words; i++)
        complete_add(a, sql_words[i], "keyword", 2, NULL);
    if (a->prefix_len && manual_find_values(a->s->globals, "FunctionName", 12, &v))
        call_list(L, a, v.list, "function", 0);
    if (!manual_find_values(a->s->globals, "ColumnName", 10, &v))
        return;
    size_t before = a->n;
    call_list(L, a, v.list, "column", 0);
    quote_names(a, before, false, 0);
    if (a->n == 0 && a->prefix_len) { /* table.column */
        const char *dot = memrchr(a->prefix, '.', a->prefix_len);
        if (!dot)
            return;
        a->prefix_len = (size_t)(end - dot - 1);
        a->prefix = dot + 1;
        call_list(L, a, v.list, "column", 0);
        quote_names(a, 0, false, 0);
    }
}

/* A condition or an expression: df:filter("n > 1 and na|. The last word of it is a column, or a function. */
static void complete_expression(lua_State *L, struct answer *a, const char *start, lua_CFunction columns,
                                int self)
{
    const char *end = a->text + a->len, *p = end;
    struct manual_values v;

    while (p > start && (is_word(p[-1]) || p[-1] == '.' || (p[-1] & 0x80)))
        p--;
    if (p == start)
        return;
    a->prefix = p;
    a->prefix_len = (size_t)(end - p);
    call_list(L, a, columns, "column", self);
    if (a->prefix_len && manual_find_values(a->s->globals, "FunctionName", 12, &v))
        call_list(L, a, v.list, "function", 0);
}

/* ---- values by their type ---- */
bool complete_value(lua_State *L, struct answer *a, struct manual_text type, const char *start, int self)
{
    const struct session_global *globals = a->s->globals;
    struct manual_values v;
    const char *p = type.s, *end = p + type.len;

    a->prefix = start;
    a->prefix_len = (size_t)(a->text + a->len - start);
    if (add_literals(a, type))
        return true;
    while (p < end) {
        const char *from = p;
        while (p < end && is_word(*p))
            p++;
        size_t n = (size_t)(p - from);
        if (n == 3 && memcmp(from, "Sql", 3) == 0) {
            complete_sql(L, a, start);
            return true;
        }
        if (n == 4 && memcmp(from, "Path", 4) == 0) {
            complete_path(a, start);
            return true;
        }
        if (n && manual_find_values(globals, from, n, &v)) {
            call_list(L, a, v.list, kind_of(v.type), self);
            if (a->n == 0 && strcmp(v.type, "ColumnName") == 0 && a->prefix_len)
                complete_expression(L, a, start, v.list, self);
            return true;
        }
        p += p < end;
    }
    return false;
}

/* ---- magics ---- */
static void add_magic_names(lua_State *L, struct answer *a, const char *start, bool cell)
{
    a->prefix = start;
    a->prefix_len = (size_t)(a->text + a->len - start);
    for (const struct session_magic *m = a->s->magics; m && m->name; m++)
        if (m->kinds & (cell ? MAGIC_CELL : MAGIC_LINE | MAGIC_CELL))
            complete_add(a, m->name, "magic", 0, NULL);
    magic_lua_names(L, cell ? MAGIC_CELL : MAGIC_LINE | MAGIC_CELL); /* of extensions */
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++, lua_pop(L, 1))
        complete_add(a, lua_tostring(L, -1), "magic", 0, NULL);
    lua_pop(L, 2);
}

static const char *last_word(const char *start, const char *end)
{
    const char *p = end;

    while (p > start && !isspace((unsigned char)p[-1]))
        p--;
    return p;
}

/* -i, --name: the words of the usage that begin with a dash. */
static void add_options(struct answer *a, const struct session_magic *m)
{
    char option[48];

    for (const char *p = m->usage; (p = strchr(p, '-')) != NULL;) {
        size_t n = strcspn(p, " \t\n|]),=/…");
        if ((p == m->usage || strchr(" [|(", p[-1])) && n > 1 && n < sizeof option) {
            snprintf(option, sizeof option, "%.*s", (int)n, p);
            complete_add(a, option, "option", 0, NULL);
        }
        p += n ? n : 1;
    }
}

/* Is the word at `at` of a usage what an option takes, and is it another one than that before the word? "-o FILE" */
static bool of_other_option(const struct answer *a, const char *usage, const char *at, const char *word)
{
    const char *end = at, *option, *before = word;

    while (end > usage && end[-1] == ' ')
        end--;
    option = last_word(usage, end);
    option += *option == '[';
    if (*option != '-' || end[-1] == ']')
        return false;
    while (before > a->text && before[-1] == ' ')
        before--;
    const char *last = last_word(a->text, before);
    return before == last || *last != '-' ||
           !memmem(option, (size_t)(end - option), last, (size_t)(before - last)); /* "-i|--in" */
}

/* Does one of the words stand in the usage where `word` is being written? */
static bool usage_says(const struct answer *a, const struct session_magic *m, const char *const *words,
                       const char *word)
{
    for (; *words; words++)
        for (const char *p = m->usage; (p = strstr(p, *words)) != NULL; p += strlen(*words))
            if (!of_other_option(a, m->usage, p, word))
                return true;
    return false;
}

/* Magics whose words are names of one kind. */
static bool names_of_magic(lua_State *L, struct answer *a, const struct session_magic *m, const char *word)
{
    static const char *const kinds[][2] = {{"env", "EnvName"},           {"set_env", "EnvName"},
                                           {"load_ext", "ModuleName"},   {"reload_ext", "ModuleName"},
                                           {"unload_ext", "ModuleName"}, {"aimport", "ModuleName"},
                                           {"config", "ConfName"}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(m->name, kinds[i][0]) == 0)
            return complete_value(L, a, (struct manual_text){kinds[i][1], strlen(kinds[i][1])}, word, 0);
    if (strcmp(m->name, "store") != 0)
        return false;
    a->prefix = word;
    a->prefix_len = (size_t)(a->text + a->len - word);
    session_user_names(L);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING)
            complete_add(a, lua_tostring(L, -2), "instance", 0, NULL);
    lua_pop(L, 1);
    return true;
}

/* The first word of some is one of a few: those in small letters in the usage ("%pip install|list …"), or a mode. */
static bool word_of_magic(struct answer *a, const struct session_magic *m, const char *word)
{
    const char *usage = m->usage + strcspn(m->usage, " ");
    char text[32];

    a->prefix = word;
    a->prefix_len = (size_t)(a->text + a->len - word);
    for (size_t i = 0; strstr(usage, "[MODE]") && traceback_mode_at(i); i++)
        complete_add(a, traceback_mode_at(i), "value", 0, NULL);
    for (const char *p = usage; *p; p++) {
        size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789");
        bool whole = n && strchr(" [|", p[-1]) && (!p[n] || strchr(" ]|", p[n]));
        if (whole && n < sizeof text && (p == usage + 1 || strchr("|[", p[-1]) || p[-2] == '|')) {
            snprintf(text, sizeof text, "%.*s", (int)n, p);
            complete_add(a, text, "value", 0, NULL);
        }
        p += n ? n - 1 : 0;
    }
    return a->n > 0;
}

/* Behind NAME = there are values, before it names: those of the magic itself. */
static bool words_of_magic(lua_State *L, struct answer *a, const struct session_magic *m, const char *start)
{
    const char *end = a->text + a->len, *equals = memchr(start, '=', (size_t)(end - start));
    const char *word = last_word(equals ? equals + 1 : start, end);

    if (!equals && word == start && strcmp(m->name, "config") == 0)
        names_of_magic(L, a, m, word);
    a->prefix = word;
    a->prefix_len = (size_t)(end - word);
    a->call = start;
    return call_list(L, a, m->words, equals ? "value" : "property", 0);
}

static void rest_of_magic(lua_State *L, struct answer *a, const struct session_magic *m, const char *start)
{
    static const char *const files[] = {"FILE", "PATH", "ARGUMENT", "COMMAND", NULL},
                             *const folders[] = {"FOLDER", NULL},
                             *const lua[] = {"STATEMENT", "[NAME]", "NAME,", NULL};
    const char *end = a->text + a->len, *word = last_word(start, end);

    if ((m->kinds & MAGIC_LINE) && word == start && (word == end || *word != '-') &&
        word_of_magic(a, m, word))
        return;
    if (strcmp(m->name, "sql") == 0) {
        complete_sql(L, a, start);
    } else if (word < end && *word == '-') {
        a->prefix = word;
        a->prefix_len = (size_t)(end - word);
        add_options(a, m);
    } else if ((m->words && words_of_magic(L, a, m, start)) || names_of_magic(L, a, m, word)) {
        return;
    } else if (usage_says(a, m, files, word)) {
        complete_path(a, word);
    } else if (usage_says(a, m, folders, word)) {
        a->folders = true;
        complete_path(a, word);
    } else if (usage_says(a, m, lua, word)) { /* %time STATEMENT */
        complete_lua_from(L, a, start);
    }
}

static const struct session_magic *named(struct answer *a, const char *name, const char *end, unsigned kinds)
{
    const char *p = name;

    while (p < end && is_word(*p))
        p++;
    return magic_find(a->s, name, (size_t)(p - name), kinds);
}

/* The body of a %%magic: SQL, Lua, or something else. */
static bool in_cell_magic(lua_State *L, struct answer *a)
{
    const char *end = a->text + a->len, *p = a->text, *line;
    struct magic_cell cell;
    const struct session_magic *m;

    while (p < end && isspace((unsigned char)*p))
        p++;
    if (end - p < 3 || p[0] != '%' || p[1] != '%' || (line = memchr(p, '\n', (size_t)(end - p))) == NULL)
        return false;
    m = named(a, p + 2, end, MAGIC_CELL);
    if (!m)
        return true;
    if (magic_split(a->text, a->len, &cell) && magic_has_lua(&cell)) {
        struct answer inner = *a;
        inner.text = line + 1;
        inner.len = (size_t)(end - line - 1);
        if (!complete_magic(L, &inner))
            complete_lua(L, &inner);
        inner.text = a->text;
        inner.len = a->len;
        *a = inner;
        return true;
    }
    if (strcmp(m->name, "sql") == 0)
        complete_sql(L, a, line + 1);
    else if (strcmp(m->name, "sh") == 0 || strcmp(m->name, "bash") == 0)
        complete_path(a, last_word(line + 1, end));
    return true;
}

/* files = !ls, value = %magic: what is behind the sign; else the line itself. */
static const char *after_assignment(const char *line, const char *end)
{
    const char *p = line;

    while (p < end && (is_word(*p) || *p == ' ' || *p == ','))
        p++;
    if (p == line || p == end || *p++ != '=')
        return line;
    while (p < end && *p == ' ')
        p++;
    return p < end && (*p == '!' || *p == '%') ? p : line;
}

bool complete_magic(lua_State *L, struct answer *a)
{
    const char *end = a->text + a->len, *line = end, *p;
    const struct session_magic *m;
    bool cell;

    if (in_cell_magic(L, a))
        return true;
    while (line > a->text && line[-1] != '\n')
        line--;
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    line = after_assignment(line, end);
    if (line == end || (*line != '%' && *line != '!'))
        return false;
    if (*line == '!') {
        complete_path(a, last_word(line + 1, end));
        return true;
    }
    cell = end - line > 1 && line[1] == '%';
    p = line + 1 + cell;
    for (const char *q = p; q < end; q++)
        if (!is_word(*q)) {
            m = named(a, p, end, MAGIC_LINE | MAGIC_CELL);
            if (!m || (*q != ' ' && *q != '\t'))
                return false; /* the operator % */
            while (q < end && (*q == ' ' || *q == '\t'))
                q++;
            rest_of_magic(L, a, m, q);
            return true;
        }
    add_magic_names(L, a, p, cell);
    return true;
}

/* Completion: names, members, keywords, magics, file paths. */
#include "runtime/base/fs.h"
#include "runtime/base/utf8.h"
#include "runtime/session/job.h"
#include "runtime/session/lookup.h"
#include "runtime/session/names.h"
#include "runtime/session/scan.h"
#include "runtime/session/masks.h"
#include "runtime/session/session_int.h"
#include <stdlib.h>
#include <string.h>

enum { MOST = 2000 };

struct match {
    char *text; /* owned */
    const char *type;
    int rank; /* lower first */
};

struct answer {
    const char *text;
    size_t len; /* up to the cursor */
    const char *prefix;
    size_t prefix_len;
    bool methods; /* after ':' */
    struct session *s;
    struct match *list; /* owned */
    size_t n, cap;
};

/* ---- collecting ---- */
static bool starts_with(const char *name, const char *prefix, size_t len)
{
    return strncmp(name, prefix, len) == 0;
}

static void add(struct answer *a, const char *text, const char *type, int rank)
{
    if (a->n >= MOST || !starts_with(text, a->prefix, a->prefix_len))
        return;
    if (a->n == a->cap) {
        size_t cap = a->cap ? a->cap * 2 : 64;
        struct match *list = mem_reallocn(a->list, cap, sizeof *list);
        if (!list)
            return;
        a->list = list;
        a->cap = cap;
    }
    char *copy = mem_strdup(text);
    if (copy)
        a->list[a->n++] = (struct match){.text = copy, .type = type, .rank = rank};
}

static const char *type_of(lua_State *L, int index)
{
    static const char *const names[] = {
        [LUA_TNIL] = "field",         [LUA_TBOOLEAN] = "boolean",   [LUA_TLIGHTUSERDATA] = "instance",
        [LUA_TNUMBER] = "number",     [LUA_TSTRING] = "string",     [LUA_TTABLE] = "table",
        [LUA_TFUNCTION] = "function", [LUA_TUSERDATA] = "instance", [LUA_TTHREAD] = "thread"};

    return names[lua_type(L, index)];
}

static bool is_name(const char *s)
{
    struct scan x = scan_begin(s, strlen(s));

    return x.kind == SCAN_NAME && x.len == strlen(s);
}

static void add_member(lua_State *L, void *arg, const char *name)
{
    struct answer *a = arg;
    bool function = lua_isfunction(L, -1) || lua_isnil(L, -1);

    if (!is_name(name) || (a->methods && !function))
        return;
    if (starts_with(name, "__", 2) && !starts_with(a->prefix, "__", a->prefix_len < 2 ? a->prefix_len : 2))
        return;
    if (starts_with(name, "_", 1) && a->prefix_len == 0)
        return;
    add(a, name, a->methods ? "method" : type_of(L, -1), 1);
}

static void add_known(lua_State *L, void *arg, const char *name)
{
    if (is_name(name))
        add(arg, name, type_of(L, -1), 2);
}

static void add_carried(lua_State *L, struct answer *a)
{
    session_table(L, TABLE_CARRIED);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            continue;
        lua_getupvalue(L, -1, 1);
        add(a, lua_tostring(L, -3), type_of(L, -1), 1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void add_rows(struct answer *a, const struct session_global *rows)
{
    for (; rows && rows->name; rows++)
        add(a, rows->name, "module", 2);
}

static void add_word(struct answer *a, const struct scan *x, const char *type, int rank)
{
    char name[128];

    if (x->kind != SCAN_NAME || x->field || x->next >= a->text + a->len || x->len >= sizeof name)
        return;
    memcpy(name, x->at, x->len);
    name[x->len] = '\0';
    add(a, name, type, rank);
}

/* Names in the text before the cursor: first those that it declares (local x, function f, for i, parameters). */
static void add_declared(struct answer *a)
{
    bool declares = false;

    for (struct scan x = scan_begin(a->text, a->len); x.kind; scan_next(&x)) {
        if (scan_is(&x, "local") || scan_is(&x, "for") || scan_is(&x, "function") || scan_is(&x, "("))
            declares = true;
        else if (x.kind == SCAN_NAME)
            add_word(a, &x, declares ? "local" : "name", declares ? 0 : 4);
        else if (!scan_is(&x, ","))
            declares = false;
    }
}

static void add_keywords(struct answer *a)
{
    static const char *const words[] = {
        "and", "break", "do",  "else", "elseif", "end",    "false",  "for",  "function", "goto",  "if",
        "in",  "local", "nil", "not",  "or",     "repeat", "return", "then", "true",     "until", "while"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        add(a, words[i], "keyword", 3);
}

static void add_globals(lua_State *L, struct answer *a)
{
    lua_pushglobaltable(L);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING)
            add_known(L, a, lua_tostring(L, -2));
    lua_pop(L, 1);
    add_rows(a, a->s->globals);
    add_rows(a, names_builtin);
}

/* ---- magics and paths ---- */
static bool complete_magic(struct answer *a)
{
    const char *end = a->text + a->len, *line = end, *p;
    bool cell;

    while (line > a->text && line[-1] != '\n')
        line--;
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    if (line == end || *line != '%')
        return false;
    cell = end - line > 1 && line[1] == '%';
    p = line + 1 + cell;
    for (const char *q = p; q < end; q++)
        if (*q == ' ' || *q == '\t')
            return false;
    a->prefix = p;
    a->prefix_len = (size_t)(end - p);
    for (const struct session_magic *m = a->s->magics; m && m->name; m++)
        if (m->kinds & (cell ? MAGIC_CELL : MAGIC_LINE | MAGIC_CELL))
            add(a, m->name, "magic", 0);
    return true;
}

static void add_files(struct answer *a, const char *folder)
{
    char **names;
    size_t n;

    if (fs_list(*folder ? folder : ".", &names, &n, NULL) != LC_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        char *path = fs_join(*folder ? folder : ".", names[i]);
        char *shown = path && fs_is_dir(path) ? mem_printf("%s/", names[i]) : mem_strdup(names[i]);
        if (shown && (*names[i] != '.' || a->prefix_len))
            add(a, shown, "path", 0);
        mem_free(shown);
        mem_free(path);
    }
    fs_free_list(names, n);
}

static void complete_path(struct answer *a, const char *start)
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

/* ---- the answer ---- */
static int l_complete(lua_State *L) /* (lightuserdata answer) */
{
    struct answer *a = lua_touserdata(L, 1);
    struct chain c;

    if (complete_magic(a))
        return 0;
    if (!lookup_chain(a->text, a->len, &c)) {
        if (c.in_string)
            complete_path(a, c.string_start);
        return 0;
    }
    a->prefix = c.parts[c.n - 1].name;
    a->prefix_len = c.parts[c.n - 1].len;
    if (c.n > 1) {
        a->methods = c.parts[c.n - 1].separator == ':';
        if (lookup_push(L, &c, c.n - 1))
            lookup_members(L, -1, add_member, a);
        return 0;
    }
    add_declared(a);
    add_carried(L, a);
    add_globals(L, a);
    add_keywords(a);
    return 0;
}

static int compare(const void *x, const void *y)
{
    const struct match *a = x, *b = y;
    int c = strcmp(a->text, b->text);

    return c ? c : a->rank - b->rank;
}

static int by_rank(const void *x, const void *y)
{
    const struct match *a = x, *b = y;

    return a->rank != b->rank ? a->rank - b->rank : strcmp(a->text, b->text);
}

static void drop_doubles(struct answer *a)
{
    size_t kept = 0;

    if (a->n == 0)
        return;
    qsort(a->list, a->n, sizeof *a->list, compare);
    for (size_t i = 0; i < a->n; i++)
        if (kept && strcmp(a->list[kept - 1].text, a->list[i].text) == 0)
            mem_free(a->list[i].text);
        else
            a->list[kept++] = a->list[i];
    a->n = kept;
    qsort(a->list, a->n, sizeof *a->list, by_rank);
}

static json_t *reply_of(struct answer *a, json_int_t start, json_int_t end)
{
    json_t *matches = json_array(), *types = json_array();

    for (size_t i = 0; i < a->n; i++) {
        json_array_append_new(matches, session_json_text(a->list[i].text, strlen(a->list[i].text)));
        json_array_append_new(types, json_pack("{sIsIsOss}", "start", start, "end", end, "text",
                                               json_array_get(matches, i), "type", a->list[i].type));
    }
    return json_pack("{sssosIsIs{so}}", "status", "ok", "matches", matches, "cursor_start", start,
                     "cursor_end", end, "metadata", "_jupyter_types_experimental", types);
}

json_t *session_complete(struct session *s, const char *code, size_t len, size_t cursor)
{
    size_t at = utf8_offset(code, len, cursor);
    struct answer a = {.text = code, .len = at, .prefix = code + at, .s = s};
    json_t *reply;

    (void)job_run(s, l_complete, &a, NULL);
    drop_doubles(&a);
    reply = reply_of(&a, (json_int_t)utf8_count(code, (size_t)(a.prefix - code)),
                     (json_int_t)utf8_count(code, at));
    for (size_t i = 0; i < a.n; i++)
        mem_free(a.list[i].text);
    mem_free(a.list);
    return masks_json(s, reply);
}

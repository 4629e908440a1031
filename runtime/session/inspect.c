#include "runtime/session/inspect.h"
#include "runtime/base/fs.h"
#include "runtime/base/lua_library.h"
#include "runtime/base/nearest.h"
#include "runtime/base/utf8.h"
#include "runtime/session/job.h"
#include "runtime/session/keywords.h"
#include "runtime/session/lookup.h"
#include "runtime/session/magic.h"
#include "runtime/session/magic_lua.h"
#include "runtime/session/manual.h"
#include "runtime/session/masks.h"
#include "runtime/session/names.h"
#include "runtime/session/place.h"
#include "runtime/session/scan.h"
#include "runtime/session/session_int.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- functions ---- */
static void signature(lua_State *L, int index, const char *name, struct buf *out)
{
    lua_Debug ar;
    const char *parameter;

    lua_pushvalue(L, index);
    lua_getinfo(L, ">u", &ar);
    buf_printf(out, "%s(", name);
    lua_pushvalue(L, index);
    for (int i = 1; (parameter = lua_getlocal(L, NULL, i)) != NULL; i++)
        buf_printf(out, "%s%s", i > 1 ? ", " : "", parameter);
    lua_pop(L, 1);
    if (ar.isvararg)
        buf_puts(out, ar.nparams ? ", ..." : "...");
    buf_putc(out, ')');
}

/* Pushes the text that a function was compiled from, or nil: of a cell, or of a file. */
static const char *push_text(lua_State *L, const lua_Debug *ar, size_t *len)
{
    const struct lua_library_file *f = lua_library;

    while (*ar->source == '=' && f->name && strcmp(f->name, ar->source + 1) != 0)
        f++;
    if (*ar->source == '=' && f->name) {
        lua_pushlstring(L, f->text, f->len);
    } else if (*ar->source == '=') {
        session_table(L, TABLE_SOURCES);
        lua_getfield(L, -1, ar->source + 1);
        lua_remove(L, -2);
    } else if (*ar->source == '@') {
        struct buf *file = session_buf(L, BUF_TEXT_MAX);
        if (fs_read(ar->source + 1, file, NULL) == LC_OK)
            lua_pushlstring(L, buf_str(file), file->len);
        else
            lua_pushnil(L);
        lua_remove(L, -2);
    } else {
        lua_pushstring(L, ar->source);
    }
    return lua_tolstring(L, -1, len);
}

static const char *line_at(const char *text, int line)
{
    while (text && --line > 0) {
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    return text;
}

static bool is_comment(const char *line)
{
    line += strspn(line, " \t");
    return line[0] == '-' && line[1] == '-';
}

static void comment_above(const char *text, int line, struct buf *out)
{
    int first = line;

    while (first > 1 && is_comment(line_at(text, first - 1)))
        first--;
    for (; first < line; first++) {
        const char *p = line_at(text, first);
        size_t n = strcspn(p, "\n");
        size_t skip = strspn(p, " \t-");
        buf_add(out, p + (skip < n ? skip : n), skip < n ? n - skip : 0);
        buf_putc(out, '\n');
    }
}

static void source_lines(const char *text, int first, int last, struct buf *out)
{
    const char *p = line_at(text, first), *end = line_at(text, last + 1);

    if (p)
        buf_add(out, p, end ? (size_t)(end - p) : strlen(p));
    if (out->len && out->data[out->len - 1] != '\n')
        buf_putc(out, '\n');
}

static void describe_lua_function(lua_State *L, int index, const char *name, const lua_Debug *ar, bool source,
                                  struct buf *out)
{
    size_t len;
    const char *text = push_text(L, ar, &len);

    buf_puts(out, "Signature: ");
    signature(L, index, name, out);
    buf_putc(out, '\n');
    if (text) {
        struct buf *comment = session_buf(L, 1 << 16);
        comment_above(text, ar->linedefined, comment);
        if (comment->len)
            buf_printf(out, "Docstring:\n%s", buf_str(comment));
        lua_pop(L, 1);
    }
    if (source && text) {
        buf_puts(out, "Source:\n");
        source_lines(text, ar->linedefined, ar->lastlinedefined, out);
    }
    buf_printf(out, "Defined: %s, line %d\nType: function\n", ar->short_src, ar->linedefined);
    lua_pop(L, 1);
}

static void describe_source(lua_State *L, int index, struct buf *out)
{
    lua_Debug ar;
    size_t len;

    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &ar);
    const char *text = push_text(L, &ar, &len);
    if (text) {
        buf_puts(out, "Source:\n");
        source_lines(text, ar.linedefined, ar.lastlinedefined, out);
    }
    lua_pop(L, 1);
}

static void put_text(struct buf *out, const char *label, struct manual_text t)
{
    if (t.len)
        buf_printf(out, "%s\n%.*s%s", label, (int)t.len, t.s, t.s[t.len - 1] == '\n' ? "" : "\n");
}

/* What the manual says: signature, text, example. */
static void describe_entry(const struct manual_entry *e, struct buf *out)
{
    if (!e->field) {
        buf_puts(out, "Signature: ");
        manual_signature(e, out);
        buf_putc(out, '\n');
    }
    put_text(out, "Docstring:", e->doc);
    put_text(out, e->sql ? "Example in SQL:" : "Example:", e->example);
    if (e->alias_of)
        buf_printf(out, "Same as: %s\n", e->alias_of);
}

/* ---- any value ---- */
static bool is_c(lua_State *L, int index)
{
    lua_Debug ar;

    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &ar);
    return strcmp(ar.what, "C") == 0;
}

/* A function of our Lua library under its own name: progress, Trainer. */
static bool is_library_global(lua_State *L, int index, int container, const char *name,
                              struct manual_entry *e)
{
    lua_Debug ar;

    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &ar);
    for (const struct lua_library_file *f = lua_library; *ar.source == '=' && f->name; f++)
        if (strcmp(f->name, ar.source + 1) == 0)
            return !container && manual_find(session_of(L)->globals, "", 0, name, strlen(name), e);
    return false;
}

static void describe_function(lua_State *L, int index, int container, const char *name, bool source,
                              struct buf *out)
{
    struct manual_entry e;
    lua_Debug ar;

    if (manual_of_value(L, index, container, name, &e) || is_library_global(L, index, container, name, &e)) {
        describe_entry(&e, out);
        if (source && !is_c(L, index))
            describe_source(L, index, out);
        buf_puts(out, "Type: function\n");
    } else if (is_c(L, index)) {
        buf_printf(out, "Signature: %s(…)\nType: function\n", name);
    } else {
        lua_pushvalue(L, index);
        lua_getinfo(L, ">S", &ar);
        describe_lua_function(L, index, name, &ar, source, out);
    }
}

struct class
{
    const char *name, *doc;
};

static bool find_class(void *arg, const struct manual_topic *topic)
{
    struct class *c = arg;

    if (topic->kind == MANUAL_CLASS && strcmp(topic->name, c->name) == 0)
        c->doc = topic->doc;
    return !c->doc;
}

/* "Type: DataFrame, <what that is>": the name that its metatable has; of values without one, Lua's. */
static void describe_type(lua_State *L, int index, struct buf *out)
{
    struct class c = {.name = luaL_typename(L, index)};

    if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) {
        const char *name = lua_tostring(L, -1);
        c.name = strncmp(name, "lacus.", 6) == 0 ? name + 6 : name;
    }
    manual_topics(session_of(L)->globals, find_class, &c);
    buf_printf(out, "Type: %s%s%s\n", c.name, c.doc ? ", " : "", c.doc ? c.doc : "");
}

/* ---- modules: what they have ---- */
enum { MEMBERS = 60 }; /* more are only counted */

struct members {
    lua_State *L;
    int index; /* the value */
    const char *module;
    struct buf *out;
    int n;
};

/* A variable of the user's may be called like a module. What makes its fields when they are wanted is not asked. */
static bool has_member(const struct members *m, const char *name)
{
    int top = lua_gettop(m->L);
    bool has = !lua_istable(m->L, m->index) || lua_getmetatable(m->L, m->index) ||
               lua_getfield(m->L, m->index, name) != LUA_TNIL;

    lua_settop(m->L, top);
    return has;
}

static bool room_for_one(struct members *m)
{
    if (m->n++ >= MEMBERS)
        return false;
    buf_puts(m->out, m->n == 1 ? "Members:\n  " : "  ");
    return true;
}

static bool add_member(void *arg, const struct manual_entry *e)
{
    struct members *m = arg;

    if (!e->alias_of && has_member(m, e->name) && room_for_one(m)) {
        manual_signature(e, m->out);
        buf_putc(m->out, '\n');
    }
    return true;
}

static bool add_members(void *arg, const struct manual_topic *topic)
{
    struct members *m = arg;
    size_t n = strlen(m->module);

    if (topic->kind != MANUAL_MODULE || strncmp(topic->name, m->module, n) != 0)
        return true;
    if (topic->name[n] == '\0')
        manual_each_of(topic, add_member, m);
    else if (topic->name[n] == '.' && (topic->rows || topic->more) && has_member(m, topic->name + n + 1) &&
             room_for_one(m))
        buf_printf(m->out, "%s: %s\n", topic->name, topic->doc ? topic->doc : "");
    return true;
}

/* The signatures of a module that the manual knows; false: it does not. */
static bool describe_module(lua_State *L, int index, const char *name, struct buf *out)
{
    struct members m = {.L = L, .index = index, .module = name, .out = out};

    manual_topics(session_of(L)->globals, add_members, &m);
    if (m.n > MEMBERS)
        buf_printf(out, "  and %d more: %s.a*? lists those that begin with a\n", m.n - MEMBERS, name);
    return m.n > 0;
}

/* container: where the value was found, 0: a variable. */
static void describe(lua_State *L, int index, int container, const char *name, bool source, struct buf *out)
{
    const struct session_global *row = container ? NULL : names_lazy(session_of(L), name);
    struct manual_entry e;

    index = lua_absindex(L, index);
    container = container ? lua_absindex(L, container) : 0;
    if (lua_isfunction(L, index)) {
        describe_function(L, index, container, name, source, out);
        return;
    }
    if (row && row->doc)
        buf_printf(out, "%s\n", row->doc);
    if (!container ? manual_find(session_of(L)->globals, "", 0, name, strlen(name), &e)
                   : manual_of_value(L, index, container, name, &e))
        describe_entry(&e, out);
    if (luaL_getmetafield(L, index, "__doc") == LUA_TSTRING)
        buf_printf(out, "Docstring:\n%s\n", lua_tostring(L, -1));
    if (!describe_module(L, index, name, out)) {
        buf_puts(out, "Value: ");
        session_repr(L, index, out);
        buf_putc(out, '\n');
    }
    describe_type(L, index, out);
}

static bool describe_magic(struct session *s, const char *name, size_t len, struct buf *out)
{
    while (len && *name == '%') {
        name++;
        len--;
    }
    const struct session_magic *m = magic_find(s, name, len, MAGIC_LINE | MAGIC_CELL);
    if (m)
        buf_printf(out, "Usage: %s\nDocstring:\n%s\n%s%s%sType: magic\n", m->usage, m->doc,
                   m->example ? "Example:\n" : "", m->example ? m->example : "", m->example ? "\n" : "");
    if (m || !magic_lua_describe(session_lua(s), name, len))
        return m != NULL;
    lua_State *L = session_lua(s);
    buf_printf(out, "Usage: %s\nDocstring:\n%s\nType: magic\n", lua_tostring(L, -2), lua_tostring(L, -1));
    lua_pop(L, 2);
    return true;
}

/* The last word of the text. */
static bool describe_keyword(const char *text, size_t len, struct buf *out)
{
    struct scan last = {0};
    const struct keyword *k;

    for (struct scan x = scan_begin(text, len); x.kind; scan_next(&x))
        last = x;
    k = last.kind == SCAN_KEYWORD && !last.field && last.next == text + len ? keyword_find(last.at, last.len)
                                                                            : NULL;
    if (k)
        buf_printf(out, "Syntax: %s\nDocstring:\n%s\nExample:\n\t%s\nType: keyword\n", k->form, k->doc,
                   k->example);
    return k != NULL;
}

/* The value of a chain on the top; below it the value it was found in, when it has several parts. */
static bool push_with_container(lua_State *L, const struct chain *c)
{
    if (c->n < 2)
        return lookup_push(L, c, c->n);
    return lookup_push(L, c, c->n - 1) &&
           lookup_field(L, -1, c->parts[c->n - 1].name, c->parts[c->n - 1].len);
}

struct question {
    const char *text;
    size_t len;
    bool source;
    bool found;
    struct buf out;
    const struct session_magic *magic; /* the cursor stands in its text, that is not Lua; NULL: it does not */
    const char *word;                  /* there: what is asked about */
    size_t word_len;
};

/* ---- in the text of a magic that explains its words: %%sql ---- */
static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '`' || (c & 0x80);
}

/* The end of a name from p on, the way `step` goes; what stands in backticks is one part of it, blanks and all. */
static const char *name_edge(const char *p, const char *edge, int step, bool quoted)
{
    for (; p != edge; p += step) {
        char c = step < 0 ? p[-1] : *p;
        quoted = quoted != (c == '`');
        if (!quoted && !word_char(c))
            break;
    }
    return p;
}

/* The word at the cursor, else the one before the bracket that it stands in. */
static void find_word(struct question *q, const char *text, const char *end, const char *at)
{
    const char *from = at, *to = at;
    bool quoted = false;

    for (const char *p = text; p < at; p++)
        quoted = quoted != (*p == '`');
    from = name_edge(at, text, -1, quoted);
    to = name_edge(at, end, 1, quoted);
    for (int depth = 0; from == to && at > text; at--) {
        depth += (at[-1] == ')') - (at[-1] == '(');
        if (depth >= 0)
            continue;
        to = from = at - 1;
        while (from > text && word_char(from[-1]))
            from--;
        depth = 0;
    }
    q->word = from;
    q->word_len = (size_t)(to - from);
}

/* "%%sql …" with the cursor behind the name, anywhere in the cell, or "%sql …" in its line. */
static void find_magic_text(struct session *s, struct question *q, const char *code, size_t len, size_t at)
{
    const char *end = code + len, *cursor = code + at, *line = code;
    unsigned kind = MAGIC_CELL;
    size_t n;

    line += strspn(line, " \t\n");
    if (strncmp(line, "%%", 2) != 0) {
        kind = MAGIC_LINE;
        for (line = cursor; line > code && line[-1] != '\n';)
            line--;
        line += strspn(line, " \t");
        end = line + strcspn(line, "\n");
    }
    if (*line != '%')
        return;
    line += kind == MAGIC_CELL ? 2 : 1;
    n = strcspn(line, " \t\n");
    q->magic = cursor > line + n ? magic_find(s, line, n, kind) : NULL;
    if (!q->magic || !q->magic->explain) {
        q->magic = NULL;
        return;
    }
    q->text = line + n;
    q->len = (size_t)(end - q->text);
    find_word(q, q->text, end, cursor);
}

/* A function of SQL has the name that it has in F. */
static bool describe_sql_function(lua_State *L, const char *word, struct buf *out)
{
    struct manual_entry e;
    char name[128];
    size_t n = 0;

    for (; word[n] && n + 1 < sizeof name; n++)
        name[n] = (char)tolower((unsigned char)word[n]);
    name[n] = '\0';
    if (!manual_find(session_of(L)->globals, "F", 1, name, n, &e))
        return false;
    describe_entry(&e, out);
    buf_puts(out, "Type: function\n");
    return true;
}

static bool describe_in_magic(lua_State *L, struct question *q)
{
    const char *behind = q->word + q->word_len, *word;
    bool called, found;

    if (q->word_len == 0)
        return false;
    while (behind < q->text + q->len && isspace((unsigned char)*behind))
        behind++;
    called = behind < q->text + q->len && *behind == '(';
    word = lua_pushlstring(L, q->word, q->word_len);
    if (called && describe_sql_function(L, word, &q->out))
        return true;
    lua_pushcfunction(L, q->magic->explain);
    lua_pushlstring(L, q->text, q->len);
    lua_pushstring(L, word);
    lua_call(L, 2, 1);
    found = lua_type(L, -1) == LUA_TSTRING;
    if (found)
        buf_puts(&q->out, lua_tostring(L, -1));
    return found || describe_sql_function(L, word, &q->out);
}

/* spark:table("x"):filter: nothing is run; the manual says what calls return. */
static void describe_call(lua_State *L, struct question *q)
{
    struct place *p = lua_newuserdatauv(L, sizeof *p, 0);
    struct manual_entry e;

    place_find(q->text, q->len, p);
    if (p->kind != PLACE_NAME || !place_entry(L, p, &p->chain, p->chain.n, &e))
        return;
    describe_entry(&e, &q->out);
    buf_printf(&q->out, "Type: %s\n", e.field ? "field" : "function");
    q->found = true;
}

static int l_inspect(lua_State *L) /* (lightuserdata question) */
{
    struct question *q = lua_touserdata(L, 1);
    struct chain c;
    char name[256];
    const char *start;

    if (q->magic) {
        q->found = describe_in_magic(L, q) ||
                   describe_magic(session_of(L), q->magic->name, strlen(q->magic->name), &q->out);
        return 0;
    }
    if (q->len && *q->text == '%') {
        q->found = describe_magic(session_of(L), q->text, q->len, &q->out);
        return 0;
    }
    if (describe_keyword(q->text, q->len, &q->out)) {
        q->found = true;
        return 0;
    }
    if (!lookup_chain(q->text, q->len, &c) || c.literal || !push_with_container(L, &c)) {
        describe_call(L, q);
        return 0;
    }
    start = c.parts[0].name;
    snprintf(name, sizeof name, "%.*s", (int)(c.parts[c.n - 1].name + c.parts[c.n - 1].len - start), start);
    describe(L, -1, c.n > 1 ? -2 : 0, name, q->source, &q->out);
    q->found = buf_ok(&q->out);
    return 0;
}

/* The cursor stands in a name, in the brackets of a call, or in a keyword: the text up to the end of that. */
static size_t name_end(const char *text, size_t len, size_t at)
{
    struct scan x = scan_begin(text, len);
    const char *calls[64], *end = NULL, *word = NULL;
    int depth = 0;
    struct scan before = {0};

    for (; x.kind && x.at <= text + at; scan_next(&x)) {
        if (x.kind == SCAN_NAME && text + at >= x.at && text + at <= x.next)
            end = x.next;
        if (x.kind == SCAN_KEYWORD && text + at >= x.at && text + at <= x.next)
            word = x.next;
        if ((scan_is(&x, "(") || scan_is(&x, "{")) && x.at < text + at && depth < 64)
            calls[depth++] = before.kind == SCAN_NAME ? before.next : NULL;
        else if ((scan_is(&x, ")") || scan_is(&x, "}")) && x.at < text + at && depth > 0)
            depth--;
        before = x;
    }
    while (!end && depth > 0)
        end = calls[--depth];
    end = end ? end : word;
    return end ? (size_t)(end - text) : at;
}

static json_t *bundle(const struct buf *text)
{
    json_t *data = json_object();

    json_object_set_new(data, "text/plain", session_json_text(buf_str(text), text->len));
    return data;
}

json_t *session_inspect(struct session *s, const char *code, size_t len, size_t cursor, int detail)
{
    size_t at = utf8_offset(code, len, cursor);
    struct question q = {.source = detail > 0};
    const char *line = code + at;
    struct magic_cell cell;
    json_t *reply;

    if (magic_split(code, len, &cell) && magic_has_lua(&cell) && line >= cell.body && cell.body > code &&
        cell.body[-1] == '\n') {
        code = cell.body;
        len = cell.body_len;
        at = (size_t)(line - code);
    }
    q.text = code;
    q.len = name_end(code, len, at);
    buf_init(&q.out, BUF_TEXT_MAX);
    while (line > code && line[-1] != '\n')
        line--;
    if (line < code + len && *line == '%') {
        q.text = line;
        q.len = strcspn(line, " \t\n");
    }
    find_magic_text(s, &q, code, len, at);
    (void)job_run(s, l_inspect, &q, NULL);
    reply = json_pack("{sssbsos{}}", "status", "ok", "found", q.found, "data",
                      q.found ? bundle(&q.out) : json_object(), "metadata");
    buf_release(&q.out);
    return masks_json(s, reply);
}

/* ---- name?, name??, name*? ---- */
enum { MATCHES = 2000 };

struct wildcard {
    const char *pattern;
    size_t len;
    struct manual_text topic; /* of the manual: its rows count, too */
    char *names[MATCHES];     /* owned */
    size_t n;
};

/* Letters match whatever their case, as in IPython. */
static bool matches(const char *p, const char *end, const char *name)
{
    if (p == end)
        return *name == '\0';
    if (*p == '*')
        return matches(p + 1, end, name) || (*name && matches(p, end, name + 1));
    return tolower((unsigned char)*p) == tolower((unsigned char)*name) && *name &&
           matches(p + 1, end, name + 1);
}

static void add_matching(lua_State *L, void *arg, const char *name)
{
    struct wildcard *w = arg;
    char *copy;

    (void)L;
    if ((*name == '_' && *w->pattern != '_') || w->n == MATCHES ||
        !matches(w->pattern, w->pattern + w->len, name))
        return;
    copy = mem_strdup(name);
    if (copy)
        w->names[w->n++] = copy;
}

static bool add_row(void *arg, const struct manual_entry *e)
{
    add_matching(NULL, arg, e->name);
    return true;
}

static bool add_rows(void *arg, const struct manual_topic *topic)
{
    struct wildcard *w = arg;

    if (strlen(topic->name) == w->topic.len && memcmp(topic->name, w->topic.s, w->topic.len) == 0)
        manual_each_of(topic, add_row, w);
    return true;
}

/* F.s*: what the value has, and what the manual says of it: much is made when it is first wanted. */
static void match_members(lua_State *L, const char *text, const char *dot, struct wildcard *w)
{
    const char *class = NULL;
    struct chain c;

    w->topic = (struct manual_text){text, (size_t)(dot - text)};
    manual_topics(session_of(L)->globals, add_rows, w);
    if (!lookup_chain(text, (size_t)(dot - text), &c) || !lookup_push(L, &c, c.n))
        return;
    if (luaL_getmetafield(L, -1, "__name") == LUA_TSTRING) {
        class = lua_tostring(L, -1);
        class += strncmp(class, "lacus.", 6) == 0 ? 6 : 0;
        w->topic = (struct manual_text){class, strlen(class)};
        manual_topics(session_of(L)->globals, add_rows, w);
    }
    if (class)
        lua_pop(L, 1);
    lookup_members(L, -1, add_matching, w);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void list_matching(lua_State *L, const char *text, size_t len, struct buf *out)
{
    struct wildcard *w = mem_zalloc(sizeof *w);
    const char *dot = NULL, *before = "";
    size_t n;

    if (!w)
        return;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '.' || text[i] == ':')
            dot = text + i;
    w->pattern = dot ? dot + 1 : text;
    w->len = (size_t)(text + len - w->pattern);
    if (dot) {
        match_members(L, text, dot, w);
    } else {
        const char **names = names_known(session_of(L), &n);
        for (size_t i = 0; i < n; i++)
            add_matching(L, w, names[i]);
        names_free(names, n);
    }
    qsort(w->names, w->n, sizeof *w->names, by_name);
    for (size_t i = 0; i < w->n; before = w->names[i++])
        if (strcmp(before, w->names[i]) != 0)
            buf_printf(out, "%s\n", w->names[i]);
    if (w->n == 0)
        buf_printf(out, "no name matches '%.*s'\n", (int)(len < 100 ? len : 100), text);
    for (size_t i = 0; i < w->n; i++)
        mem_free(w->names[i]);
    mem_free(w);
}

void session_page(struct session *s, const char *text, size_t len)
{
    struct display d = {.data = json_object(), .metadata = json_object()};

    json_object_set_new(d.data, "text/plain", session_json_text(text, len));
    if (s->frontend.ops && s->frontend.ops->page)
        s->frontend.ops->page(s->frontend.self, &s->ctx, &d);
    else if (s->reply && s->reply->payload)
        json_array_append_new(s->reply->payload,
                              json_pack("{sssOsi}", "source", "page", "data", d.data, "start", 0));
    json_decref(d.data);
    json_decref(d.metadata);
}

void session_set_next_input(struct session *s, const char *text, bool replace)
{
    if (s->frontend.ops && s->frontend.ops->set_next_input)
        s->frontend.ops->set_next_input(s->frontend.self, &s->ctx, text, replace);
    else if (s->reply && s->reply->payload)
        json_array_append_new(s->reply->payload, json_pack("{sssssb}", "source", "set_next_input", "text",
                                                           text, "replace", replace));
}

static int unknown_name(lua_State *L, const char *name, size_t len)
{
    struct err err;
    struct buf hint = BUF_INIT(256);
    char word[128];
    size_t n;
    const char **names = names_known(session_of(L), &n);

    snprintf(word, sizeof word, "%.*s", (int)len, name);
    err_set(&err, LC_NOTFOUND, "nothing is known about '%s'", word);
    if (names && nearest_list(&hint, word, names, n, 3) && hint.len)
        err_hint(&err, "did you mean %s?", buf_str(&hint));
    names_free(names, n);
    buf_release(&hint);
    return session_raise(L, &err);
}

int inspect_question(lua_State *L, const char *text, size_t len)
{
    struct buf *out = session_buf(L, BUF_TEXT_MAX);
    struct chain c;
    int marks = 0;

    for (; len && (*text == '?' || *text == ' '); text++, len--)
        marks += *text == '?';
    for (; len && (text[len - 1] == '?' || text[len - 1] == ' '); len--)
        marks += text[len - 1] == '?';
    if (memchr(text, '*', len)) {
        list_matching(L, text, len, out);
    } else if (!describe_keyword(text, len, out) && !describe_magic(session_of(L), text, len, out)) {
        char name[256];
        if (!lookup_chain(text, len, &c) || !push_with_container(L, &c))
            return unknown_name(L, text, len);
        snprintf(name, sizeof name, "%.*s", (int)len, text);
        describe(L, -1, c.n > 1 ? -2 : 0, name, marks > 1, out);
    }
    session_page(session_of(L), buf_str(out), out->len);
    return 0;
}

/* Completion: names, members, keywords, magics, file paths. */
#include "runtime/base/utf8.h"
#include "runtime/session/complete_int.h"
#include "runtime/session/job.h"
#include "runtime/session/keywords.h"
#include "runtime/session/lookup.h"
#include "runtime/session/masks.h"
#include "runtime/session/names.h"
#include "runtime/session/scan.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST = 2000 };

/* ---- collecting ---- */
static bool starts_with(const char *name, const char *prefix, size_t len)
{
    return strncmp(name, prefix, len) == 0;
}

static char *signature_text(const struct manual_entry *e)
{
    struct buf out = BUF_INIT(4096);
    char *text;

    if (e->field)
        return NULL;
    manual_signature(e, &out);
    text = mem_strdup(buf_str(&out));
    buf_release(&out);
    return text;
}

static bool fits(const struct answer *a, const char *text)
{
    return a->fold ? strncasecmp(text, a->prefix, a->prefix_len) == 0
                   : starts_with(text, a->prefix, a->prefix_len);
}

void complete_add(struct answer *a, const char *text, const char *type, int rank,
                  const struct manual_entry *e)
{
    if (a->n >= MOST || !fits(a, text))
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
        a->list[a->n++] = (struct match){
            .text = copy, .type = type, .rank = rank, .signature = e ? signature_text(e) : NULL};
}

static void add(struct answer *a, const char *text, const char *type, int rank)
{
    complete_add(a, text, type, rank, NULL);
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

static void add_key(lua_State *L, void *arg, const char *name) /* in t["|: any text */
{
    if (!starts_with(name, "__", 2))
        add(arg, name, type_of(L, -1), 1);
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
    for (const struct keyword *k = keywords; k->name; k++)
        add(a, k->name, "keyword", 3);
}

/* ::name:: anywhere in the text */
static void add_labels(struct answer *a)
{
    enum { BEFORE, OPENED, NAMED } at = BEFORE;
    struct scan name = {0};
    char text[128];

    for (struct scan x = scan_begin(a->text, (size_t)(a->end - a->text)); x.kind; scan_next(&x)) {
        bool mark = scan_is(&x, "::");

        if (mark && at == NAMED && name.len < sizeof text) {
            snprintf(text, sizeof text, "%.*s", (int)name.len, name.at);
            add(a, text, "label", 0);
        }
        if (x.kind == SCAN_NAME)
            name = x;
        at = mark ? (at == NAMED ? BEFORE : OPENED) : at == OPENED && x.kind == SCAN_NAME ? NAMED : BEFORE;
    }
}

/* Is the word before what is being written `goto`? */
static bool after_goto(const struct answer *a)
{
    struct scan last = {0};

    for (struct scan x = scan_begin(a->text, (size_t)(a->prefix - a->text)); x.kind; scan_next(&x))
        last = x;
    return last.kind == SCAN_KEYWORD && !last.field && scan_is(&last, "goto");
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

/* The names that start with what is being written: variables, globals, keywords. */
static void complete_names(lua_State *L, struct answer *a)
{
    add_declared(a);
    add_carried(L, a);
    add_globals(L, a);
    add_keywords(a);
}

/* ---- the answer ---- */
static const char *entry_type(const struct manual_entry *e)
{
    return e->field ? "property" : manual_is_method(e) ? "method" : "function";
}

struct members {
    struct answer *a;
    struct manual_text topic;
};

static bool add_entry(void *arg, const struct manual_entry *e)
{
    struct members *m = arg;

    if (!(m->a->methods && e->field) && strcmp(e->name, MANUAL_ELEMENT) != 0)
        complete_add(m->a, e->name, entry_type(e), e->alias_of ? 2 : 1, e);
    return true;
}

static bool add_topic(void *arg, const struct manual_topic *topic)
{
    struct members *m = arg;

    if (strlen(topic->name) == m->topic.len && memcmp(topic->name, m->topic.s, m->topic.len) == 0)
        manual_each_of(topic, add_entry, m);
    return true;
}

/* What the manual has of a class or module. */
static void add_rows_of(struct answer *a, struct manual_text topic)
{
    struct members m = {a, topic};

    if (topic.len)
        manual_topics(a->s->globals, add_topic, &m);
}

static void complete_member(lua_State *L, struct answer *a, const struct place *p)
{
    const struct place_chain *c = &p->chain;
    struct resolved r;
    char path[128];
    size_t len = 0;

    a->methods = c->parts[c->n - 1].separator == ':';
    if (!place_resolve(L, p, c, c->n - 1, &r))
        return;
    add_rows_of(a, r.class);
    for (int i = 0; i < c->n - 1 && !r.called && len + c->parts[i].len + 2 < sizeof path; i++)
        len += (size_t)snprintf(path + len, sizeof path - len, "%s%.*s", i ? "." : "", (int)c->parts[i].len,
                                c->parts[i].name);
    if (!r.called && !c->literal && (len != r.class.len || memcmp(path, r.class.s, len) != 0))
        add_rows_of(a, (struct manual_text){path, len});
    if (r.is_value)
        lookup_members(L, -1, add_member, a);
}

/* ---- arguments ---- */
static const struct place_frame *frame(const struct place *p, int from_top)
{
    return p->n_frames > from_top ? &p->frames[p->n_frames - 1 - from_top] : NULL;
}

/* The call that the cursor is an argument of: directly, or of a table that is the argument. */
struct argument {
    const struct place_frame *call;
    int index;       /* of the argument */
    const char *key; /* in a table: of the entry; NULL: none */
    size_t key_len;
    bool table;                /* it stands in a table with names */
    struct manual_entry entry; /* what is called */
    struct manual_call signature;
    int self; /* stack index of what the method is called on; 0: none */
};

static const struct manual_param *param_named(const struct manual_call *call, const char *key, size_t len)
{
    for (int i = 0; i < call->n; i++)
        if (call->params[i].name.len == len && memcmp(call->params[i].name.s, key, len) == 0)
            return &call->params[i];
    return NULL;
}

static const struct manual_param *param_at(const struct manual_call *call, int index)
{
    if (call->n == 0)
        return NULL;
    if (index >= call->n)
        index = call->n - 1;
    return call->params[index].rest && index > 0 ? &call->params[index - 1] : &call->params[index];
}

static void put_type(const struct manual_entry *e, const struct manual_param *q, struct buf *out)
{
    if (q->type.len || !e->topic->type_of || !e->topic->type_of(e, q->name, out))
        manual_param_type(q, out);
}

/* A function of the same module, or of every cell. */
static bool find_beside(struct session *s, struct manual_entry *e, const struct buf *name)
{
    const char *topic = e->topic->name;

    return manual_find(s->globals, topic, strlen(topic), buf_str(name), name->len, e) ||
           manual_find(s->globals, "", 0, buf_str(name), name->len, e);
}

/* llm.finetune{args = {|: the table stands for what the function named like the type of `args` makes. */
static bool find_maker(lua_State *L, const struct place *p, int from_top, struct argument *out)
{
    const struct place_frame *outer = frame(p, from_top + 1);
    const struct manual_param *q;
    struct buf *type = session_buf(L, 1 << 14);

    if (!outer || !outer->key || outer->callee.n == 0 ||
        !place_entry(L, p, &outer->callee, outer->callee.n, &out->entry) ||
        !manual_call_of(&out->entry, &out->signature))
        return false;
    q = param_named(&out->signature, outer->key, outer->key_len);
    if (!q)
        return false;
    put_type(&out->entry, q, type);
    out->call = outer;
    return type->len && find_beside(session_of(L), &out->entry, type) &&
           manual_call_of(&out->entry, &out->signature);
}

/* The table or call at this frame; df:join(b, {on = {"|: of a list without names that is a field, the field. */
static bool find_argument_at(lua_State *L, const struct place *p, int from_top, struct argument *out)
{
    const struct place_frame *f = frame(p, from_top), *outer = frame(p, from_top + 1);

    *out = (struct argument){0};
    if (!f || f->bracket == 'b')
        return false;
    out->call = f;
    out->index = f->argument;
    if (f->bracket == '{') {
        out->table = true;
        out->key = f->key;
        out->key_len = f->key_len;
        if (f->callee.n == 0) {
            if (outer && outer->bracket == '{')
                return find_maker(L, p, from_top, out) ||
                       (!f->keyed && outer->key && find_argument_at(L, p, from_top + 1, out));
            if (!outer || outer->bracket != '(' || outer->callee.n == 0)
                return false;
            out->call = outer;
            out->index = outer->argument;
        }
    }
    if (out->call->callee.n == 0 || out->call->bracket == '[' ||
        !place_entry(L, p, &out->call->callee, out->call->callee.n, &out->entry))
        return false;
    out->self = lua_isnil(L, -1) ? 0 : lua_gettop(L);
    return manual_call_of(&out->entry, &out->signature);
}

static bool find_argument(lua_State *L, const struct place *p, struct argument *out)
{
    return find_argument_at(L, p, 0, out);
}

/* Of {…: ColumnName = AggregateName}: what stands behind any name. */
static bool values_type(struct manual_text type, struct buf *out)
{
    struct manual_call *fields = mem_zalloc(sizeof *fields);

    if (fields && manual_fields(type, fields) && fields->params[0].rest)
        buf_add(out, fields->params[0].fallback.s, fields->params[0].fallback.len);
    mem_free(fields);
    return out->len > 0;
}

/* The type of the argument at the cursor, in LuaLS's notation; borrowed from out. */
static bool argument_type(const struct argument *x, struct buf *out)
{
    const struct manual_param *q = NULL, *at = param_at(&x->signature, x->index);
    struct manual_call *fields = NULL;

    if (x->table && x->call->bracket == '{')
        q = x->key ? param_named(&x->signature, x->key, x->key_len) : at;
    else if (x->table && x->key && at && (fields = mem_zalloc(sizeof *fields)) != NULL &&
             manual_fields(at->type, fields))
        q = param_named(fields, x->key, x->key_len);
    else if (!x->key)
        q = at;
    if (!q && x->key && at && x->signature.n == 1 && !fields &&
        (fields = mem_zalloc(sizeof *fields)) != NULL && manual_fields(at->type, fields))
        q = param_named(fields, x->key, x->key_len);
    if (!q && x->key && x->table && x->signature.named) /* plot.line(df, {x = "|: of plot.line{x = …} */
        q = param_named(&x->signature, x->key, x->key_len);
    if (q)
        put_type(&x->entry, q, out);
    mem_free(fields);
    return q || (x->key && at && values_type(at->type, out));
}

static void add_keyword(lua_State *L, struct answer *a, const struct manual_param *p, int self)
{
    char text[96];

    if (p->rest && p->type.len)
        complete_listed(L, a, p->type, self);
    if (p->rest || p->name.len > 80)
        return;
    snprintf(text, sizeof text, "%.*s = ", (int)p->name.len, p->name.s);
    complete_add(a, text, "param", 0, NULL);
}

/* The nearest object around the cursor that a method is called on: df in df:select(F.col("|. */
static int self_around(lua_State *L, const struct place *p, const char *class)
{
    struct resolved r;

    for (int i = 0; i < p->n_frames; i++) {
        const struct place_chain *c = &frame(p, i)->callee;
        for (int n = c->n - 1; n >= 1; n--) {
            if (!place_resolve(L, p, c, n, &r))
                continue;
            if (r.is_value && r.class.len == strlen(class) && memcmp(r.class.s, class, r.class.len) == 0)
                return lua_gettop(L);
            lua_pop(L, 1);
        }
    }
    return 0;
}

/* f{na|: names that the call takes. */
static void add_keywords_of(lua_State *L, struct answer *a, const struct place *p)
{
    const struct place_frame *f = frame(p, 0);
    const struct manual_param *at;
    struct manual_call *fields;
    struct argument x;
    int self;

    if (!f || f->bracket != '{' || f->keyed || f->tokens > 0)
        return;
    if (!find_argument(L, p, &x))
        return;
    a->call = x.call->callee.parts[0].name;
    at = param_at(&x.signature, x.index);
    self = self_around(L, p, "DataFrame");
    fields = mem_zalloc(sizeof *fields);
    if (at && fields && at->type.len && manual_fields(at->type, fields))
        for (int i = 0; i < fields->n; i++)
            add_keyword(L, a, &fields->params[i], self ? self : x.self);
    else if (x.call->bracket == '{' || (x.signature.named && x.index > 0))
        for (int i = 0; i < x.signature.n; i++)
            add_keyword(L, a, &x.signature.params[i], x.self);
    mem_free(fields);
}

/* df["na|, df"na|: the object itself is asked. */
static int indexed(lua_State *L, const struct place *p)
{
    const struct place_frame *f = frame(p, 0);
    struct resolved r;

    if (!f || f->callee.n == 0 || (f->bracket != '[' && f->bracket != 's' && f->bracket != '('))
        return 0;
    if (!place_resolve(L, p, &f->callee, f->callee.n, &r))
        return 0;
    if (r.is_value && !lua_isfunction(L, -1))
        return lua_gettop(L);
    lua_pop(L, 1);
    return 0;
}

/* slider.orientation = "|: what an object has a metamethod __values(self, prefix, key) for, written in C. */
static bool complete_assigned(lua_State *L, struct answer *a, const struct place *p)
{
    const struct place_chain *c = &p->target;
    struct resolved r;
    lua_CFunction list;

    if (c->n < 2 || !place_resolve(L, p, c, c->n - 1, &r) || !r.is_value ||
        luaL_getmetafield(L, -1, "__values") == LUA_TNIL)
        return false;
    list = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    a->first = c->parts[c->n - 1].name;
    a->first_len = c->parts[c->n - 1].len;
    return list && complete_asked(L, a, list, p->string, lua_gettop(L));
}

/* fmt("{na|: a name; behind it, how it is to be written. */
static bool complete_format(lua_State *L, struct answer *a, const struct place *p)
{
    const struct place_frame *f = frame(p, 0);
    const char *end = a->text + a->len, *brace = NULL;

    if (!f || f->callee.n != 1 || f->argument || f->callee.parts[0].len != 3 ||
        memcmp(f->callee.parts[0].name, "fmt", 3) != 0)
        return false;
    for (const char *q = p->string; q < end; q++)
        if (*q == '{' && q + 1 < end && q[1] == '{')
            q++;
        else if (strchr("{}:!", *q))
            brace = *q == '{' ? q + 1 : NULL;
    if (!brace)
        return true;
    if (memchr(brace, '.', (size_t)(end - brace)) || memchr(brace, '[', (size_t)(end - brace))) {
        complete_lua_from(L, a, brace);
        return true;
    }
    a->prefix = brace;
    a->prefix_len = (size_t)(end - brace);
    add_declared(a);
    add_carried(L, a);
    add_globals(L, a);
    return true;
}

static void complete_string(lua_State *L, struct answer *a, const struct place *p)
{
    static const struct manual_text columns = {"ColumnName", 10};
    struct argument x;
    struct buf *type;
    const struct place_frame *f = frame(p, 0);
    int object;

    if (complete_assigned(L, a, p) || complete_format(L, a, p))
        return;
    object = indexed(L, p);
    a->first = f ? f->first : NULL;
    a->first_len = f ? f->first_len : 0;
    if (object && luaL_getmetafield(L, object, "__dir") != LUA_TNIL &&
        complete_value(L, a, columns, p->string, object))
        return;
    if (object && lua_istable(L, object)) {
        a->prefix = p->string;
        a->prefix_len = (size_t)(a->text + a->len - p->string);
        lookup_members(L, object, add_key, a);
        return;
    }
    type = session_buf(L, 1 << 14);
    if (find_argument(L, p, &x) && argument_type(&x, type)) {
        a->call = x.call->callee.parts[0].name;
        struct manual_text t = {buf_str(type), type->len};
        int self = self_around(L, p, "DataFrame");
        if (complete_value(L, a, t, p->string, self ? self : x.self) ||
            !(strstr(t.s, "any") || strstr(t.s, "string")))
            return;
    }
    complete_path(a, p->string);
}

/* ---- Lua ---- */
void complete_lua(lua_State *L, struct answer *a)
{
    struct place *p = lua_newuserdatauv(L, sizeof *p, 0);

    place_find(a->text, a->len, p);
    if (p->kind == PLACE_STRING)
        complete_string(L, a, p);
    if (p->kind != PLACE_NAME || p->chain.unknown)
        return;
    a->prefix = p->chain.parts[p->chain.n - 1].name;
    a->prefix_len = p->chain.parts[p->chain.n - 1].len;
    if (p->chain.n > 1) {
        complete_member(L, a, p);
        return;
    }
    if (after_goto(a)) {
        add_labels(a);
        return;
    }
    add_keywords_of(L, a, p);
    complete_names(L, a);
}

void complete_lua_from(lua_State *L, struct answer *a, const char *start)
{
    struct answer inner = *a;

    inner.text = start;
    inner.len = (size_t)(a->text + a->len - start);
    complete_lua(L, &inner);
    inner.text = a->text;
    inner.len = a->len;
    *a = inner;
}

static int l_complete(lua_State *L) /* (lightuserdata answer) */
{
    struct answer *a = lua_touserdata(L, 1);

    if (!complete_magic(L, a))
        complete_lua(L, a);
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

static void release_match(struct match *m)
{
    mem_free(m->text);
    mem_free(m->signature);
}

static void drop_doubles(struct answer *a)
{
    size_t kept = 0;

    if (a->n == 0)
        return;
    qsort(a->list, a->n, sizeof *a->list, compare);
    for (size_t i = 0; i < a->n; i++)
        if (kept && strcmp(a->list[kept - 1].text, a->list[i].text) == 0)
            release_match(&a->list[i]);
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
        json_t *one = json_pack("{sIsIsOss}", "start", start, "end", end, "text", json_array_get(matches, i),
                                "type", a->list[i].type);
        if (a->list[i].signature)
            json_object_set_new(one, "signature", json_string(a->list[i].signature));
        json_array_append_new(types, one);
    }
    return json_pack("{sssosIsIs{so}}", "status", "ok", "matches", matches, "cursor_start", start,
                     "cursor_end", end, "metadata", "_jupyter_types_experimental", types);
}

json_t *session_complete(struct session *s, const char *code, size_t len, size_t cursor)
{
    size_t at = utf8_offset(code, len, cursor);
    struct answer a = {.text = code, .len = at, .end = code + len, .prefix = code + at, .s = s};
    json_t *reply;

    (void)job_run(s, l_complete, &a, NULL);
    drop_doubles(&a);
    reply = reply_of(&a, (json_int_t)utf8_count(code, (size_t)(a.prefix - code)),
                     (json_int_t)utf8_count(code, at));
    for (size_t i = 0; i < a.n; i++)
        release_match(&a.list[i]);
    mem_free(a.list);
    return masks_json(s, reply);
}

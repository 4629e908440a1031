/* What variables hold: as short texts, and piece by piece. Nothing of the user's is called for it: no __tostring, no
 * __index, no __pairs; so a dataframe is named, and runs no query. */
#include "runtime/base/utf8.h"
#include "runtime/session/cell.h"
#include "runtime/session/debug_int.h"
#include "runtime/session/display.h"
#include "runtime/session/keywords.h"
#include "runtime/session/repr.h"
#include "runtime/session/session_int.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_MAX = 400,
    PREVIEW = 8,
    PREVIEW_TEXT = 40,
    SORTED_MAX = 1000,
    KEYS_MAX = 20000,
    WALK_MAX = 2000000
};

/* ---- texts ---- */
static void put_string(lua_State *L, int index, struct buf *out, size_t max)
{
    size_t len;
    const char *s = lua_tolstring(L, index, &len);
    bool cut = len > max;

    if (cut)
        for (len = max; len > 0 && ((unsigned char)s[len] & 0xC0) == 0x80;)
            len--;
    repr_quoted(out, s, len);
    if (cut)
        buf_puts(out, "…");
}

static void put_number(lua_State *L, int index, struct buf *out)
{
    lua_pushvalue(L, index);
    buf_puts(out, lua_tostring(L, -1));
    lua_pop(L, 1);
}

static void put_function(lua_State *L, int index, struct buf *out)
{
    lua_Debug ar;

    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &ar);
    if (strcmp(ar.what, "C") == 0)
        buf_puts(out, "builtin function");
    else
        buf_printf(out, "function %s:%d", ar.short_src, ar.linedefined);
}

/* __name of a metatable, without calling anything; "" when it has none. */
static const char *class_name(lua_State *L, int index, char out[48])
{
    *out = '\0';
    if (lua_getmetatable(L, index)) {
        lua_pushliteral(L, "__name");
        if (lua_istable(L, -2) && lua_rawget(L, -2) == LUA_TSTRING)
            snprintf(out, 48, "%s", lua_tostring(L, -1));
        lua_pop(L, 2);
    }
    return out;
}

static void put_plain(lua_State *L, int index, struct buf *out, size_t max)
{
    char class[48];

    index = lua_absindex(L, index);
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        put_string(L, index, out, max);
        break;
    case LUA_TNUMBER:
        put_number(L, index, out);
        break;
    case LUA_TBOOLEAN:
        buf_puts(out, lua_toboolean(L, index) ? "true" : "false");
        break;
    case LUA_TFUNCTION:
        put_function(L, index, out);
        break;
    case LUA_TLIGHTUSERDATA:
        buf_puts(out, lua_touserdata(L, index) ? "pointer" : "null");
        break;
    case LUA_TTHREAD:
        buf_printf(out, "coroutine (%s)",
                   lua_status(lua_tothread(L, index)) == LUA_YIELD ? "suspended" : "not suspended");
        break;
    case LUA_TTABLE:
        buf_puts(out, class_name(L, index, class));
        lua_pushnil(L);
        if (!lua_next(L, index)) {
            buf_puts(out, "{}");
        } else {
            lua_pop(L, 2);
            buf_puts(out, "{…}");
        }
        break;
    case LUA_TUSERDATA:
        buf_puts(out, *class_name(L, index, class) ? class : "userdata");
        break;
    default:
        buf_puts(out, "nil");
    }
}

static bool is_name(const char *s, size_t len)
{
    if (len == 0 || (s[0] >= '0' && s[0] <= '9'))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!(s[i] == '_' || (s[i] >= '0' && s[i] <= '9') || ((s[i] | 32) >= 'a' && (s[i] | 32) <= 'z')))
            return false;
    return !keyword_find(s, len);
}

/* A key as a table constructor has it, and as an index does when `index`. */
static void put_key(lua_State *L, int key, bool bare, struct buf *out)
{
    size_t len;
    const char *s = lua_type(L, key) == LUA_TSTRING ? lua_tolstring(L, key, &len) : NULL;

    if (s && is_name(s, len) && len < 200) {
        buf_printf(out, "%s%.*s", bare ? "" : ".", (int)len, s);
        return;
    }
    buf_putc(out, '[');
    put_plain(L, key, out, 200);
    buf_putc(out, ']');
}

/* Is the key at index one of 1…array? */
static bool in_array(lua_State *L, int key, lua_Unsigned array)
{
    return lua_isinteger(L, key) && lua_tointeger(L, key) >= 1 &&
           (lua_Unsigned)lua_tointeger(L, key) <= array;
}

static void put_table(lua_State *L, int index, struct buf *out)
{
    lua_Unsigned array = lua_rawlen(L, index);
    char class[48];
    int n = 0, keys = lua_gettop(L) + 1;

    buf_puts(out, class_name(L, index, class));
    buf_puts(out, *class ? " {" : "{");
    for (lua_Unsigned i = 1; i <= array && n < PREVIEW; i++, n++) {
        lua_rawgeti(L, index, (lua_Integer)i);
        buf_puts(out, n ? ", " : "");
        put_plain(L, -1, out, PREVIEW_TEXT);
        lua_pop(L, 1);
    }
    lua_Integer count = array < PREVIEW ? repr_keys(L, index, (lua_Integer)array, SORTED_MAX) : 0;
    for (lua_Integer i = 0; i < count && n++ < PREVIEW; i++) {
        repr_push_key(L, keys, i);
        buf_puts(out, n > 1 ? ", " : "");
        put_key(L, keys + 2, true, out);
        buf_puts(out, " = ");
        lua_rawget(L, index);
        put_plain(L, -1, out, PREVIEW_TEXT);
        lua_pop(L, 1);
    }
    lua_settop(L, keys - 1);
    buf_puts(out, n > PREVIEW || array > PREVIEW ? ", …}" : "}");
}

void debug_value_text(lua_State *L, int index, struct buf *out)
{
    index = lua_absindex(L, index);
    if (lua_type(L, index) == LUA_TTABLE)
        put_table(L, index, out);
    else
        put_plain(L, index, out, TEXT_MAX);
}

static const char *debug_value_type(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TNUMBER)
        return lua_isinteger(L, index) ? "integer" : "float";
    if (lua_islightuserdata(L, index) && !lua_touserdata(L, index))
        return "null";
    return lua_type(L, index) == LUA_TTHREAD ? "coroutine" : luaL_typename(L, index);
}

/* ---- references ---- */
static const char refs_key;

/* Strong while it stands; weak between cells: looking at a variable does not keep what it holds. */
static void push_refs(struct debug *d, lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &refs_key) == LUA_TTABLE && d->n_refs > 0)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    if (!d->at) {
        lua_createtable(L, 0, 1);
        lua_pushliteral(L, "v");
        lua_setfield(L, -2, "__mode");
        lua_setmetatable(L, -2);
    }
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &refs_key);
}

void debug_refs_forget(struct debug *d)
{
    d->ref_base += d->n_refs;
    d->n_refs = 0;
    if (d->work && lua_checkstack(d->work, 2)) {
        lua_pushnil(d->work); /* a key that is there: needs no memory */
        lua_rawsetp(d->work, LUA_REGISTRYINDEX, &refs_key);
    }
}

int debug_ref_add(struct debug *d, lua_State *L, enum ref_kind kind, int frame, json_int_t start,
                  const char *expr)
{
    bool full = d->n_refs >= DEBUG_REFS_MAX;

    if (!full && d->n_refs == d->cap_refs) {
        int cap = d->cap_refs ? d->cap_refs * 2 : 64;
        struct debug_ref *more = mem_reallocn(d->refs, (size_t)cap, sizeof *more);
        full = !more;
        d->refs = more ? more : d->refs;
        d->cap_refs = more ? cap : d->cap_refs;
    }
    if (full) {
        lua_pop(L, kind == REF_VALUE);
        return 0;
    }
    if (kind == REF_VALUE) {
        push_refs(d, L);
        lua_insert(L, -2);
        lua_rawseti(L, -2, d->ref_base + d->n_refs + 1);
        lua_pop(L, 1);
    }
    d->refs[d->n_refs] = (struct debug_ref){.kind = kind, .frame = frame, .start = start};
    if (strlen(expr) < DEBUG_EXPR)
        snprintf(d->refs[d->n_refs].expr, DEBUG_EXPR, "%s", expr);
    return d->ref_base + ++d->n_refs;
}

static struct debug_ref *find_ref(struct debug_call *c, const char *member)
{
    json_int_t id = json_integer_value(json_object_get(c->args, member)) - c->d->ref_base;

    if (id < 1 || id > c->d->n_refs) {
        err_set(c->err, LC_ARG, "these variables are not there any more");
        return NULL;
    }
    return &c->d->refs[id - 1];
}

static void push_ref(struct debug_call *c, const struct debug_ref *r)
{
    push_refs(c->d, c->L);
    lua_rawgeti(c->L, -1, c->d->ref_base + (lua_Integer)(r - c->d->refs) + 1);
    lua_remove(c->L, -2);
}

/* ---- one variable ---- */
static bool has_parts(lua_State *L, int index)
{
    bool any;

    if (lua_type(L, index) == LUA_TFUNCTION) {
        any = lua_getupvalue(L, index, 1) != NULL;
        lua_pop(L, any);
        return any;
    }
    if (lua_type(L, index) != LUA_TTABLE)
        return false;
    lua_pushnil(L);
    any = lua_next(L, index) != 0;
    lua_pop(L, any ? 2 : 0);
    if (!any && lua_getmetatable(L, index)) {
        lua_pop(L, 1);
        any = true;
    }
    return any;
}

static json_int_t count_named(lua_State *L, int index, lua_Unsigned array)
{
    json_int_t n = 0;
    long steps = 0;

    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        n += !in_array(L, -2, array);
        if (n >= KEYS_MAX || ++steps > WALK_MAX) {
            lua_pop(L, 2);
            break;
        }
    }
    return n;
}

static void add_counts(lua_State *L, int index, json_t *v)
{
    lua_Unsigned array = lua_type(L, index) == LUA_TTABLE ? lua_rawlen(L, index) : 0;

    if (array < 100) /* not worth a page */
        return;
    json_object_set_new(v, "indexedVariables", json_integer((json_int_t)array));
    json_object_set_new(v, "namedVariables", json_integer(count_named(L, index, array)));
}

/* name NULL: it has none. */
static json_t *debug_variable(struct debug *d, lua_State *L, int index, const char *name, const char *expr)
{
    struct buf *text;
    json_t *v;
    char class[48];
    const char *type = class;
    int ref = 0;

    index = lua_absindex(L, index);
    luaL_checkstack(L, 12, NULL);
    text = session_buf(L, 1 << 16);
    debug_value_text(L, index, text);
    if (!*class_name(L, index, class))
        type = debug_value_type(L, index);
    if (has_parts(L, index)) {
        lua_pushvalue(L, index);
        ref = debug_ref_add(d, L, REF_VALUE, 0, 0, expr);
    }
    v = json_pack("{s:o, s:o, s:i}", "value", session_json_text(buf_str(text), text->len), "type",
                  session_json_text(type, strlen(type)), "variablesReference", ref);
    if (name)
        json_object_set_new(v, "name", session_json_text(name, strlen(name)));
    if (*expr)
        json_object_set_new(v, "evaluateName", session_json_text(expr, strlen(expr)));
    add_counts(L, index, v);
    lua_pop(L, 1);
    return v;
}

/* ---- scopes ---- */
static bool shadowed(lua_State *L, struct debug_frame *f, const char *name, int n)
{
    const char *other;

    for (int i = n + 1; (other = debug_local(L, f, i)) != NULL; i++) {
        lua_pop(L, 1);
        if (strcmp(other, name) == 0)
            return true;
    }
    return false;
}

static void add_locals(struct debug_call *c, struct debug_frame *f, json_t *list)
{
    const char *name;
    char text[32];

    for (int i = 1; (name = debug_local(c->L, f, i)) != NULL; i++) {
        if (!debug_hides(c->L, name) && !shadowed(c->L, f, name, i))
            json_array_append_new(list, debug_variable(c->d, c->L, -1, name, name));
        lua_pop(c->L, 1);
    }
    for (int i = -1; debug_local(c->L, f, i) != NULL; i--) {
        snprintf(text, sizeof text, "(...)[%d]", -i);
        json_array_append_new(list, debug_variable(c->d, c->L, -1, text, ""));
        lua_pop(c->L, 1);
    }
}

static void add_upvalues(struct debug_call *c, struct debug_frame *f, json_t *list)
{
    const char *name;

    for (int i = 1; (name = debug_upvalue(c->L, f, i)) != NULL; i++) {
        if (!debug_hides(c->L, name))
            json_array_append_new(list, debug_variable(c->d, c->L, -1, name, name));
        lua_pop(c->L, 1);
    }
}

static int by_name(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* The string keys of the table at index, sorted, in a userdata that is left on the stack. */
static const char **sorted_keys(lua_State *L, int index, size_t *n)
{
    const char **keys;
    size_t cap = 0;

    *n = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        cap += lua_type(L, -2) == LUA_TSTRING;
    if (cap > KEYS_MAX)
        cap = KEYS_MAX;
    keys = lua_newuserdatauv(L, (cap + 1) * sizeof *keys, 0);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            continue;
        if (*n == cap) {
            lua_pop(L, 2);
            break;
        }
        keys[(*n)++] = lua_tostring(L, -2);
    }
    qsort(keys, *n, sizeof *keys, by_name);
    return keys;
}

static void add_globals(struct debug_call *c, json_t *list)
{
    lua_State *L = c->L;
    int top = lua_gettop(L);
    const char **keys;
    size_t n;

    session_user_names(L);
    keys = sorted_keys(L, top + 1, &n);
    for (size_t i = 0; i < n; i++) {
        lua_getfield(L, top + 1, keys[i]);
        json_array_append_new(list, debug_variable(c->d, L, -1, keys[i], keys[i]));
        lua_pop(L, 1);
    }
    lua_settop(L, top);
}

/* ---- parts of a value ---- */
struct page {
    json_t *list;
    json_int_t from, count, at; /* children before `from` are passed by; `at` is the number of the next one */
    bool more;                  /* there are more than are shown */
};

static bool wanted(struct page *p)
{
    json_int_t n = p->at++;

    if (n >= p->from + p->count)
        p->more = true;
    return n >= p->from && n < p->from + p->count;
}

/* The value on top, under the key at `key` (0: `name`); pops it. */
static void add_part(struct debug_call *c, struct page *p, const char *expr, int key, const char *name)
{
    lua_State *L = c->L;
    struct buf *text, *path;

    luaL_checkstack(L, 12, NULL);
    text = session_buf(L, 4096);
    path = session_buf(L, 4096);
    if (key)
        put_key(L, key, true, text);
    else
        buf_puts(text, name);
    if (key && *expr) {
        buf_puts(path, expr);
        put_key(L, key, false, path);
    }
    json_array_append_new(
        p->list, debug_variable(c->d, L, -3, buf_str(text), path->len < DEBUG_EXPR ? buf_str(path) : ""));
    lua_pop(L, 3);
}

static void add_indexed(struct debug_call *c, int t, const char *expr, struct page *p)
{
    lua_State *L = c->L;
    json_int_t n = (json_int_t)lua_rawlen(L, t), first = p->from - p->at;

    if (first < 0)
        first = 0;
    for (json_int_t i = first; i < n && i < first + p->count && p->at + i < p->from + p->count; i++) {
        lua_pushinteger(L, i + 1);
        lua_pushvalue(L, -1);
        lua_rawget(L, t);
        add_part(c, p, expr, lua_gettop(L) - 1, NULL);
        lua_pop(L, 1);
    }
    p->at += n;
    p->more = p->at > p->from + p->count;
}

static void add_named(struct debug_call *c, int t, const char *expr, struct page *p)
{
    lua_State *L = c->L;
    int top = lua_gettop(L);
    lua_Integer n = repr_keys(L, t, (lua_Integer)lua_rawlen(L, t), KEYS_MAX);

    for (lua_Integer i = 0; i < n && !p->more; i++) {
        if (!wanted(p))
            continue;
        repr_push_key(L, top + 1, i);
        lua_pushvalue(L, -1);
        lua_rawget(L, t);
        add_part(c, p, expr, lua_gettop(L) - 1, NULL);
        lua_pop(L, 1);
    }
    if (!p->more && lua_getmetatable(L, t) && wanted(p))
        add_part(c, p, "", 0, "(metatable)");
    lua_settop(L, top);
}

static void add_function_parts(struct debug_call *c, int f, struct page *p)
{
    const char *name;

    for (int i = 1; (name = lua_getupvalue(c->L, f, i)) != NULL; i++) {
        if (*name && !debug_hides(c->L, name) && wanted(p))
            add_part(c, p, "", 0, name);
        else
            lua_pop(c->L, 1);
    }
}

static json_int_t count_of(json_t *args, const char *name, json_int_t missing)
{
    json_int_t n = json_integer_value(json_object_get(args, name));
    return n > 0 && n <= KEYS_MAX ? n : missing;
}

/* Adds the page that was asked for; of a value with very many parts, the first and one entry for what follows. */
static enum lc add_parts(struct debug_call *c, const struct debug_ref *r, json_t *list)
{
    lua_State *L = c->L;
    const char *filter = json_string_value(json_object_get(c->args, "filter"));
    bool asked = json_integer_value(json_object_get(c->args, "count")) > 0;
    struct page p = {.list = list, .count = count_of(c->args, "count", DEBUG_PAGE)};
    char expr[DEBUG_EXPR];
    int top = lua_gettop(L);

    p.from = json_integer_value(json_object_get(c->args, "start"));
    p.from = r->start + (p.from > 0 && p.from < INT_MAX ? p.from : 0);
    snprintf(expr, sizeof expr, "%s", r->expr); /* the list of references may move */
    push_ref(c, r);
    if (lua_type(L, -1) == LUA_TTABLE) {
        if (!filter || strcmp(filter, "indexed") == 0)
            add_indexed(c, top + 1, expr, &p);
        if (!filter || strcmp(filter, "named") == 0)
            add_named(c, top + 1, expr, &p);
    } else if (lua_type(L, -1) == LUA_TFUNCTION) {
        add_function_parts(c, top + 1, &p);
    }
    if (p.more && !asked) {
        lua_settop(L, top + 1);
        int ref = debug_ref_add(c->d, L, REF_VALUE, 0, p.from + p.count, expr);
        json_array_append_new(list, json_pack("{sssssssi}", "name", "…", "value", "and more", "type", "",
                                              "variablesReference", ref));
    }
    lua_settop(L, top);
    return LC_OK;
}

enum lc debug_variables(struct debug_call *c)
{
    struct debug_ref *r = find_ref(c, "variablesReference"), copy;
    struct debug_frame *f;
    json_t *list = json_array();

    *c->body = json_pack("{so}", "variables", list);
    if (!r)
        return c->err->code;
    copy = *r;
    f = debug_frame_by_id(c->d, copy.frame);
    if (copy.kind == REF_VALUE)
        return add_parts(c, r, list);
    if (copy.kind == REF_LOCALS && f)
        add_locals(c, f, list);
    else if (copy.kind == REF_UPVALUES && f)
        add_upvalues(c, f, list);
    else
        add_globals(c, list);
    return LC_OK;
}

/* The session's own variables, when it may be that nothing has stopped. */
enum lc debug_inspect(struct debug_call *c)
{
    json_t *list = json_array();

    *c->body = json_pack("{so}", "variables", list);
    if (!c->d->at && c->d->n_refs > DEBUG_REFS_MAX / 2)
        debug_refs_forget(c->d);
    add_globals(c, list);
    return LC_OK;
}

/* ---- setting ---- */
static const char *text_of(struct debug_call *c, const char *name, size_t *len)
{
    json_t *text = json_object_get(c->args, name);

    *len = json_string_length(text);
    if (json_is_string(text) && *len <= DEBUG_TEXT_MAX)
        return json_string_value(text);
    err_set(c->err, LC_ARG, "the request has no '%s', or it is too long", name);
    return NULL;
}

/* Leaves one value. */
static enum lc value_of(struct debug_call *c, struct debug_frame *f)
{
    size_t len;
    const char *text = text_of(c, "value", &len);
    int n;

    if (!text)
        return c->err->code;
    TRY(debug_run(c->d, c->L, f, text, len, &n, c->err));
    lua_settop(c->L, lua_gettop(c->L) - n + 1); /* nil when there were none */
    return LC_OK;
}

static bool set_local(struct debug_call *c, struct debug_frame *f, const char *name, bool up)
{
    const char *here;
    int found = 0;

    for (int i = 1; (here = up ? debug_upvalue(c->L, f, i) : debug_local(c->L, f, i)) != NULL; i++) {
        if (strcmp(here, name) == 0)
            found = i;
        lua_pop(c->L, 1);
    }
    if (strncmp(name, "(...)[", 6) == 0 && !up)
        found = -atoi(name + 6);
    if (!found)
        return false;
    lua_pushvalue(c->L, -1);
    if (up)
        debug_put_upvalue(c->L, f, found);
    else
        debug_put_local(c->L, f, found);
    return true;
}

/* The key of the table at t that is shown as `name`, on the stack; false: none. */
static bool find_key(lua_State *L, int t, const char *name)
{
    struct buf *text;
    char *end;
    long long index;

    if (is_name(name, strlen(name))) {
        lua_pushstring(L, name);
        return true;
    }
    index = name[0] == '[' ? strtoll(name + 1, &end, 10) : 0;
    if (index != 0 && strcmp(end, "]") == 0) {
        lua_pushinteger(L, index);
        return true;
    }
    text = session_buf(L, 4096);
    for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1)) {
        buf_clear(text);
        put_key(L, lua_gettop(L) - 1, true, text);
        if (strcmp(buf_str(text), name) == 0) {
            lua_pop(L, 1);
            return true;
        }
    }
    return false;
}

static bool set_part(struct debug_call *c, const struct debug_ref *r, const char *name)
{
    lua_State *L = c->L;
    int top = lua_gettop(L);
    const char *up;
    bool done = false;

    push_ref(c, r);
    if (lua_type(L, top + 1) == LUA_TTABLE && find_key(L, top + 1, name)) {
        lua_pushvalue(L, top);
        lua_rawset(L, top + 1);
        done = true;
    }
    for (int i = 1;
         !done && lua_type(L, top + 1) == LUA_TFUNCTION && (up = lua_getupvalue(L, top + 1, i)) != NULL;
         i++) {
        lua_settop(L, top + 1);
        if (strcmp(up, name) != 0)
            continue;
        lua_pushvalue(L, top);
        done = lua_setupvalue(L, top + 1, i) != NULL;
    }
    lua_settop(L, top);
    return done;
}

enum lc debug_set_variable(struct debug_call *c)
{
    struct debug_ref *r = find_ref(c, "variablesReference"), copy;
    struct debug_frame *f;
    size_t len;
    const char *name = text_of(c, "name", &len);
    bool done = true;

    if (!r || !name)
        return c->err->code;
    copy = *r;
    TRY(value_of(c, debug_frame_by_id(c->d, copy.frame ? copy.frame : c->d->looked_at)));
    f = debug_frame_by_id(c->d, copy.frame);
    if (copy.kind == REF_VALUE) {
        done = set_part(c, r, name);
    } else if (copy.kind == REF_GLOBALS) {
        lua_pushvalue(c->L, -1);
        debug_assign(c->L, c->d, NULL, name);
    } else {
        done = f && set_local(c, f, name, copy.kind == REF_UPVALUES);
    }
    if (!done)
        return err_set(c->err, LC_NOTFOUND, "there is no variable '%s' here", name);
    *c->body = debug_variable(c->d, c->L, -1, NULL, "");
    return LC_OK;
}

enum lc debug_set_expression(struct debug_call *c)
{
    struct buf *text = session_buf(c->L, 4 * DEBUG_TEXT_MAX);
    struct debug_frame *f = debug_frame_of(c);
    size_t len, value_len;
    const char *target = text_of(c, "expression", &len), *value = text_of(c, "value", &value_len);
    int n;

    if (!target || !value)
        return c->err->code;
    buf_printf(text, "%s = %s\nreturn %s", target, value, target);
    TRY(debug_run(c->d, c->L, f, buf_str(text), text->len, &n, c->err));
    lua_settop(c->L, lua_gettop(c->L) - n + 1);
    *c->body = debug_variable(c->d, c->L, -1, NULL, target);
    return LC_OK;
}

enum lc debug_copy(struct debug_call *c)
{
    struct debug_frame *f = debug_frame_of(c);
    size_t len, to_len;
    const char *from = text_of(c, "srcVariableName", &len), *to = text_of(c, "dstVariableName", &to_len);
    int n;

    if (!from || !to)
        return c->err->code;
    if (!f)
        return err_set(c->err, LC_ARG, "that frame is not there any more");
    if (!is_name(to, to_len))
        return err_set(c->err, LC_ARG, "'%s' is no name", to);
    if (is_name(from, len) && !debug_has(c->L, f, from))
        return err_set(c->err, LC_NOTFOUND, "there is no variable '%s' in that frame", from);
    TRY(debug_run(c->d, c->L, f, from, len, &n, c->err));
    lua_settop(c->L, lua_gettop(c->L) - n + 1);
    lua_pushvalue(c->L, -1);
    debug_assign(c->L, c->d, NULL, to);
    *c->body = debug_variable(c->d, c->L, -1, NULL, to);
    return LC_OK;
}

/* ---- asking ---- */
enum lc debug_evaluate(struct debug_call *c)
{
    struct debug_frame *f = debug_frame_of(c);
    size_t len;
    const char *text = text_of(c, "expression", &len);
    struct buf *all = session_buf(c->L, 1 << 18);
    int n, top = lua_gettop(c->L);

    if (!text)
        return c->err->code;
    if (json_object_get(c->args, "frameId") && !f)
        return err_set(c->err, LC_ARG, "that frame is not there any more");
    TRY(debug_run(c->d, c->L, f, text, len, &n, c->err));
    for (int i = 1; i <= n; i++) {
        buf_puts(all, i > 1 ? ", " : "");
        debug_value_text(c->L, top + i, all);
    }
    if (n == 0)
        lua_pushnil(c->L);
    *c->body = debug_variable(c->d, c->L, top + 1, NULL, "");
    json_object_set_new(*c->body, "result", session_json_text(buf_str(all), all->len));
    json_object_del(*c->body, "value");
    return LC_OK;
}

static int bundle(lua_State *L) /* (value) → text of JSON {data, metadata} */
{
    struct display d;
    json_t **slot;
    char *text;

    display_bundle(L, 1, &d);
    slot = session_json_slot(L);
    *slot = json_pack("{sOsO*}", "data", d.data, "metadata", d.metadata);
    text = *slot ? json_dumps(*slot, JSON_COMPACT) : NULL;
    lua_pushstring(L, text ? text : "{}");
    free(text);
    return 1;
}

/* As the value would be shown by a cell: this may run what the user wrote for it. */
enum lc debug_rich_inspect(struct debug_call *c)
{
    struct debug_frame *f = debug_frame_of(c);
    size_t len;
    const char *name = text_of(c, "variableName", &len);
    int n;

    if (!name)
        return c->err->code;
    if (is_name(name, len) && !debug_has(c->L, f, name))
        return err_set(c->err, LC_NOTFOUND, "there is no variable '%s'", name);
    TRY(debug_run(c->d, c->L, f, name, len, &n, c->err));
    lua_settop(c->L, lua_gettop(c->L) - n + 1);
    lua_pushcfunction(c->L, bundle);
    lua_insert(c->L, -2);
    TRY(debug_run_c(c->d, c->L, 1, &n, c->err));
    *c->body = json_loads(n ? lua_tostring(c->L, -1) : "{}", JSON_ALLOW_NUL, NULL);
    if (*c->body && !json_object_get(*c->body, "metadata"))
        json_object_set_new(*c->body, "metadata", json_object());
    return LC_OK;
}

/* ---- completing ---- */
struct
    completing { /* positions are bytes of the text; clients count UTF-16 units of one of its lines, from 1 */
    const char *text;
    size_t line, at; /* where the line begins, and where the cursor stands in it */
    json_t *list;
};

static void add_target(const struct completing *x, const char *name, const char *type, size_t from, size_t to)
{
    size_t start = utf8_count16(x->text + x->line, from > x->line ? from - x->line : 0) + 1;

    json_array_append_new(x->list,
                          json_pack("{s:o, s:s, s:I, s:I}", "label", session_json_text(name, strlen(name)),
                                    "type", type, "start", (json_int_t)start, "length",
                                    (json_int_t)(to > from ? utf8_count16(x->text + from, to - from) : 0)));
}

/* The line (from 1; the first when none is given) and the column in it. */
static struct completing cursor_of(const struct debug_call *c, const char *text, size_t len, json_t *list)
{
    json_int_t line = json_integer_value(json_object_get(c->args, "line")),
               column = json_integer_value(json_object_get(c->args, "column"));
    struct completing x = {.text = text, .list = list};
    const char *end;

    while (line-- > 1 && (end = memchr(text + x.line, '\n', len - x.line)) != NULL)
        x.line = (size_t)(end + 1 - text);
    end = memchr(text + x.line, '\n', len - x.line);
    x.at = end ? (size_t)(end - text) : len;
    if (column > 0)
        x.at = x.line + utf8_offset16(text + x.line, x.at - x.line, (size_t)column - 1);
    return x;
}

static size_t word_start(const char *text, size_t at)
{
    while (at > 0 && is_name(text + at - 1, 1))
        at--;
    while (at > 0 && (is_name(text + at - 1, 1) || (text[at - 1] >= '0' && text[at - 1] <= '9')))
        at--;
    return at;
}

static void add_matches(struct debug_call *c, struct debug_frame *f, const struct completing *x, size_t from)
{
    const char *name;

    for (int up = 0; up < 2; up++)
        for (int i = 1; (name = up ? debug_upvalue(c->L, f, i) : debug_local(c->L, f, i)) != NULL; i++) {
            if (!debug_hides(c->L, name) && strncmp(name, x->text + from, x->at - from) == 0)
                add_target(x, name, "variable", from, x->at);
            lua_pop(c->L, 1);
        }
}

enum lc debug_completions(struct debug_call *c)
{
    struct debug_frame *f = debug_frame_of(c);
    size_t len, from, i;
    const char *text = text_of(c, "text", &len);
    json_t *list = json_array(), *found, *match;
    struct completing x;

    *c->body = json_pack("{so}", "targets", list);
    if (!text)
        return c->err->code;
    x = cursor_of(c, text, len, list);
    from = word_start(text, x.at);
    if (f && (from == 0 || !strchr(".:", text[from - 1])))
        add_matches(c, f, &x, from);
    found = session_complete(c->s, text, len, utf8_count(text, x.at));
    from = utf8_offset(text, len, (size_t)json_integer_value(json_object_get(found, "cursor_start")));
    json_array_foreach (json_object_get(found, "matches"), i, match)
        if (json_is_string(match))
            add_target(&x, json_string_value(match), "value", from, x.at);
    json_decref(found);
    return LC_OK;
}

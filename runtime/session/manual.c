#include "runtime/session/manual.h"
#include "runtime/base/lua_library.h"
#include "runtime/base/plural.h"
#include "runtime/session/manual_int.h"
#include "runtime/session/names.h"
#include "runtime/session/session_int.h"
#include <string.h>

/* ---- rows ---- */
static struct manual_text text_of(const char *s, size_t len)
{
    return (struct manual_text){s, len};
}

/* Takes a row's text apart into signature, doc and example. */
static void manual_split(const char *text, struct manual_entry *e)
{
    size_t line = strcspn(text, "\n");
    const char *doc = text + line + (text[line] == '\n'), *example = doc, *end = doc + strlen(doc);

    e->signature = text_of(text, line);
    while (*example && *example != '\t')
        example += strcspn(example, "\n") + (example[strcspn(example, "\n")] == '\n');
    e->example = text_of(example, (size_t)(end - example));
    while (example > doc && example[-1] == '\n')
        example--;
    e->doc = text_of(doc, (size_t)(example - doc));
}

static bool equal(const char *a, const char *s, size_t len)
{
    return strlen(a) == len && memcmp(a, s, len) == 0;
}

static void fill(struct manual_entry *e, const struct manual_topic *topic, const struct manual_row *row,
                 const struct manual_row *full)
{
    *e = (struct manual_entry){.topic = topic, .name = row->name, .function = row->function};
    e->alias_of = row == full ? NULL : full->name;
    e->plain = full->doc && *full->doc == '.';
    manual_split(full->doc ? full->doc + e->plain : "", e);
}

bool manual_is_method(const struct manual_entry *e)
{
    return e->topic->kind == MANUAL_CLASS && !e->field && !e->plain;
}

static bool each_row(const struct manual_topic *topic, const struct manual_row *rows, bool fields,
                     manual_fn *fn, void *arg)
{
    struct manual_entry e;
    const struct manual_row *full = rows;

    for (const struct manual_row *row = rows; row && row->name; row++) {
        full = row->doc ? row : full;
        fill(&e, topic, row, full);
        e.field = fields;
        if (!fn(arg, &e))
            return false;
    }
    return true;
}

bool manual_each_of(const struct manual_topic *topic, manual_fn *fn, void *arg)
{
    struct manual_entry e;

    if (!each_row(topic, topic->fields, true, fn, arg) || !each_row(topic, topic->rows, false, fn, arg))
        return false;
    for (size_t i = 0; topic->more; i++) {
        e = (struct manual_entry){.topic = topic};
        if (!topic->more(i, &e))
            break;
        if (e.name && !fn(arg, &e))
            return false;
    }
    return true;
}

/* ---- topics ---- */
static bool list_topics(const struct session_global *rows, manual_topic_fn *fn, void *arg)
{
    for (; rows && rows->name; rows++)
        for (const struct manual_topic *const *t = rows->topics; t && *t; t++)
            if (!fn(arg, *t))
                return false;
    return true;
}

void manual_topics(const struct session_global *globals, manual_topic_fn *fn, void *arg)
{
    bool more = list_topics(names_builtin, fn, arg) && list_topics(globals, fn, arg);

    for (const struct lua_library_file *f = lua_library; more && f->name; f++)
        for (const struct manual_topic *t = f->topics; more && t && t->name; t++)
            more = fn(arg, t);
    for (const struct manual_topic *t = manual_lua; more && t->name; t++)
        more = fn(arg, t);
}

struct every {
    manual_fn *fn;
    void *arg;
};

static bool every_row(void *arg, const struct manual_topic *topic)
{
    const struct every *x = arg;

    return manual_each_of(topic, x->fn, x->arg);
}

void manual_each(const struct session_global *globals, manual_fn *fn, void *arg)
{
    struct every x = {fn, arg};

    manual_topics(globals, every_row, &x);
}

/* ---- finding ---- */
struct wanted {
    struct manual_text topic, name;
    lua_CFunction function;
    struct manual_entry *found;
    bool any;
};

static bool by_name(void *arg, const struct manual_entry *e)
{
    struct wanted *w = arg;

    if (!equal(e->name, w->name.s, w->name.len))
        return true;
    *w->found = *e;
    w->any = true;
    return false;
}

static bool in_topic(void *arg, const struct manual_topic *topic)
{
    struct wanted *w = arg;

    return !equal(topic->name, w->topic.s, w->topic.len) || manual_each_of(topic, by_name, w);
}

bool manual_find(const struct session_global *globals, const char *topic, size_t topic_len, const char *name,
                 size_t name_len, struct manual_entry *e)
{
    struct wanted w = {.topic = text_of(topic, topic_len), .name = text_of(name, name_len), .found = e};

    manual_topics(globals, in_topic, &w);
    return w.any;
}

struct wanted_values {
    struct manual_text type;
    struct manual_values *found;
    bool any;
};

static bool values_of(void *arg, const struct manual_topic *topic)
{
    struct wanted_values *w = arg;

    for (const struct manual_values *v = topic->values; v && v->type; v++)
        if (equal(v->type, w->type.s, w->type.len)) {
            *w->found = *v;
            w->any = true;
        }
    return !w->any;
}

bool manual_find_values(const struct session_global *globals, const char *type, size_t len,
                        struct manual_values *v)
{
    struct wanted_values w = {.type = {type, len}, .found = v};

    manual_topics(globals, values_of, &w);
    return w.any;
}

/* Rows of that function: the one of that name wins over the first. */
static bool by_function(void *arg, const struct manual_entry *e)
{
    struct wanted *w = arg;
    bool same;

    if (e->function != w->function)
        return true;
    same = equal(e->name, w->name.s, w->name.len);
    if (!w->any || same)
        *w->found = *e;
    w->any = true;
    return !same;
}

/* Lua's own functions have no pointer here: is the value the one that the library holds? */
static bool is_standard(lua_State *L, int index, const struct manual_entry *e)
{
    int top = lua_gettop(L);
    bool same = false;

    lua_pushglobaltable(L);
    if (*e->topic->name) {
        lua_pushstring(L, e->topic->name);
        lua_rawget(L, -2);
    }
    if (lua_istable(L, -1)) {
        lua_pushstring(L, e->name);
        lua_rawget(L, -2);
        same = lua_rawequal(L, -1, index);
    }
    lua_settop(L, top);
    return same;
}

static bool find_standard(lua_State *L, int index, struct manual_entry *e)
{
    const struct manual_row *full = NULL;

    for (const struct manual_topic *t = manual_lua; t->name; t++)
        for (const struct manual_row *row = t->rows; row->name; row++) {
            full = row->doc ? row : full;
            fill(e, t, row, full);
            if (is_standard(L, index, e))
                return true;
        }
    return false;
}

static const char *last_part(const char *written)
{
    const char *p = written + strlen(written);

    while (p > written && p[-1] != '.' && p[-1] != ':')
        p--;
    return p;
}

/* By what the value was found in: a class by its __name, a module by the words before the last. */
static bool find_in_container(lua_State *L, int container, const char *written, struct manual_entry *e)
{
    const struct session_global *globals = session_of(L)->globals;
    const char *name = last_part(written);
    bool found = false;

    if (container && luaL_getmetafield(L, container, "__name") != LUA_TNIL) {
        const char *class = lua_tostring(L, -1);
        found = class && manual_find(globals, class, strlen(class), name, strlen(name), e);
        lua_pop(L, 1);
    }
    if (!found && name > written)
        found = manual_find(globals, written, (size_t)(name - written) - 1, name, strlen(name), e);
    return found;
}

/* Arguments that the signature has no place for; what is nil counts as not given. */
static void refuse_more(lua_State *L, const struct manual_row *row, int before, lua_Integer most)
{
    int given = lua_gettop(L) - before;

    while (given > 0 && lua_isnil(L, before + given))
        given--;
    if (given > most)
        luaL_error(L, "%s: at most %I argument%s expected, got %d", row->name, most, PLURAL(most), given);
}

/* upvalues: the row, the class (nil: a function), how many arguments there can be (-1: any number) */
static int method(lua_State *L)
{
    const struct manual_row *row = lua_touserdata(L, lua_upvalueindex(1));
    lua_Integer most = lua_tointeger(L, lua_upvalueindex(3));
    const char *class = lua_tostring(L, lua_upvalueindex(2));

    if (class) {
        if (luaL_getmetafield(L, 1, "__name") == LUA_TNIL || !lua_rawequal(L, -1, lua_upvalueindex(2)))
            return luaL_typeerror(L, 1, class);
        lua_pop(L, 1);
    }
    if (most >= 0)
        refuse_more(L, row, class ? 1 : 0, most);
    return row->function(L);
}

static lua_Integer most_arguments(const char *doc)
{
    struct manual_call call;

    if (!manual_parse(text_of(doc, strcspn(doc, "\n")), &call) || call.named)
        return -1; /* spark_args and its like see to names */
    for (int i = 0; i < call.n; i++)
        if (call.params[i].rest)
            return -1;
    return call.n;
}

void manual_set_methods(lua_State *L, const struct manual_row *rows, const char *class)
{
    lua_Integer most = -1;

    for (; rows->name; rows++) {
        if (rows->doc)
            most = most_arguments(rows->doc);
        lua_pushlightuserdata(L, (void *)(uintptr_t)rows);
        lua_pushstring(L, class);
        lua_pushinteger(L, most);
        lua_pushcclosure(L, method, 3);
        lua_setfield(L, -2, rows->name);
    }
}

/* The row's, where the value is one of manual_set_methods. */
static lua_CFunction function_of(lua_State *L, int index)
{
    lua_CFunction f = lua_tocfunction(L, index);

    if (f != method)
        return f;
    lua_getupvalue(L, index, 1);
    f = ((const struct manual_row *)lua_touserdata(L, -1))->function;
    lua_pop(L, 1);
    return f;
}

bool manual_of_value(lua_State *L, int index, int container, const char *written, struct manual_entry *e)
{
    const char *name = last_part(written);
    struct wanted w = {.name = text_of(name, strlen(name)), .found = e, .function = function_of(L, index)};

    index = lua_absindex(L, index);
    luaL_checkstack(L, 8, NULL);
    if (w.function && find_standard(L, index, e))
        return true;
    if (find_in_container(L, container, written, e) &&
        (!w.function || !e->function || e->function == w.function))
        return true;
    if (w.function)
        manual_each(session_of(L)->globals, by_function, &w);
    return w.any;
}

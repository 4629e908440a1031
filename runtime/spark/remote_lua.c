#include "runtime/spark/remote_lua.h"
#include "runtime/base/mem.h"
#include "runtime/spark/args_lua.h"
#include <string.h>

static const char catalog_name[] = "lacus.RemoteCatalog";

static const struct ctx *ctx_of(lua_State *L)
{
    return session_ctx(session_of(L));
}

static const struct engine_remote *remote_of(lua_State *L, const char *what, struct engine **e)
{
    const struct engine_remote *remote = NULL;
    struct err err;

    err_clear(&err);
    if (spark_remote(spark_of(L), what, &remote, e, &err) != LC_OK)
        session_raise(L, &err);
    return remote;
}

/* ---- spark.catalog ---- */
static const char *const lists[] = {"list", NULL};
static const char *const rows[] = {"getDatabase", "getTable", "getFunction", NULL};
static const char *const values[] = {
    "current",  "databaseExists", "tableExists",        "functionExists",
    "isCached", "dropTempView",   "dropGlobalTempView", "getCreateTableString",
    NULL};

static bool begins(const char *name, const char *const *with)
{
    for (; *with; with++)
        if (strncmp(name, *with, strlen(*with)) == 0)
            return true;
    return false;
}

/* The rows of the plan, which is taken over: a list at the top of the stack. */
static void push_rows(lua_State *L, const struct plan *p)
{
    dataframe_push(L, p);
    lua_getfield(L, -1, "collect");
    lua_insert(L, -2);
    lua_call(L, 1, 1);
}

static int push_properties(lua_State *L) /* rows of key and value at the top: a table */
{
    lua_newtable(L);
    for (lua_Integer i = 1; i <= luaL_len(L, -2); i++) {
        lua_geti(L, -2, i);
        lua_geti(L, -1, 1);
        lua_geti(L, -2, 2);
        lua_settable(L, -4);
        lua_pop(L, 1);
    }
    return 1;
}

static int push_table(lua_State *L, const char *name) /* createTable's DataFrame */
{
    const struct plan *p = NULL;
    char **parts = NULL;
    size_t n = 0;
    struct err err;

    err_clear(&err);
    if (name_split(name, &parts, &n, &err) != LC_OK)
        return session_raise(L, &err);
    p = plan_read_table((const char *const *)parts, n, NULL);
    name_free(parts, n);
    return dataframe_push(L, p);
}

static int push_result(lua_State *L, const char *name)
{
    if (begins(name, lists))
        return 1;
    if (strcmp(name, "getTableProperties") == 0)
        return push_properties(L);
    if (begins(name, rows))
        return lua_geti(L, -1, 1), 1;
    if (!begins(name, values))
        return 0;
    if (lua_geti(L, -1, 1) != LUA_TNIL)
        lua_geti(L, -1, 1);
    return 1;
}

static const char *text_at(lua_State *L, int index) /* stays on the stack; NULL: not given */
{
    if (lua_isnoneornil(L, index) || lua_islightuserdata(L, index))
        return NULL;
    if (lua_istable(L, index) && lua_getfield(L, index, "ddl") == LUA_TSTRING) /* a schema */
        lua_replace(L, index);
    return luaL_tolstring(L, index, NULL);
}

/* PySpark's arguments, where they come in another order than the server's: createTable(…, schema, description). */
static void sort_arguments(lua_State *L, const char *name)
{
    static const char *const names[] = {"tableName", "path", "source", "schema", "description", NULL};

    if (strcmp(name, "createTable") != 0)
        return;
    spark_args(L, 2, names);
    spark_text(L, 2);
    lua_rotate(L, 5, 1);
}

static int l_catalog_call(lua_State *L) /* upvalue: the call's name */
{
    const char *name = lua_tostring(L, lua_upvalueindex(1)), *args[8];
    struct engine_catalog_call call = {.name = name, .args = args};
    const struct plan *p = NULL;
    struct engine *e;
    struct err err;
    int n;

    luaL_argexpected(L, lua_istable(L, 1), 1, "spark.catalog");
    sort_arguments(L, name);
    n = lua_gettop(L) - 1;
    luaL_argcheck(L, n <= 8, 10, "too many arguments");
    luaL_checkstack(L, n + 8, NULL);
    for (int i = 0; i < n; i++)
        args[i] = text_at(L, i + 2);
    call.n_args = n > 0 ? (size_t)n : 0;
    err_clear(&err);
    const struct engine_remote *remote = remote_of(L, "this catalog", &e);
    if (remote->catalog(e, &call, &p, &err) != LC_OK)
        return session_raise(L, &err);
    push_rows(L, p);
    if (strcmp(name, "createTable") == 0 && n > 0 && args[0])
        return push_table(L, args[0]);
    return push_result(L, name);
}

static int l_catalog_index(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TSTRING);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, l_catalog_call, 1);
    return 1;
}

/* ---- spark.conf ---- */
static const char *setting_arg(lua_State *L)
{
    luaL_argexpected(L, lua_istable(L, 1), 1, "spark.conf");
    return spark_text(L, 2);
}

static int l_conf_get(lua_State *L)
{
    struct buf value = BUF_INIT(1 << 20);
    const char *key = setting_arg(L);
    struct engine *e;
    struct err err;
    bool found = false;
    enum lc rc;

    err_clear(&err);
    const struct engine_remote *remote = remote_of(L, "this setting", &e);
    rc = remote->get_conf(e, ctx_of(L), key, &value, &found, &err);
    if (rc == LC_OK && found)
        lua_pushlstring(L, buf_str(&value), value.len);
    buf_release(&value);
    if (rc != LC_OK)
        return session_raise(L, &err);
    if (found)
        return 1;
    if (lua_gettop(L) < 3) {
        err_set(&err, LC_ENGINE, "[SQL_CONF_NOT_FOUND] the setting '%s' is not set on the server", key);
        return session_raise(L, &err);
    }
    lua_settop(L, 3);
    return 1;
}

static int l_conf_set(lua_State *L)
{
    const char *key = setting_arg(L);
    struct err err;

    luaL_checkany(L, 3);
    err_clear(&err);
    if (spark_conf_set(spark_of(L), key, luaL_tolstring(L, 3, NULL), &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static int l_conf_unset(lua_State *L)
{
    const char *key = setting_arg(L);
    struct engine *e;
    struct err err;

    err_clear(&err);
    const struct engine_remote *remote = remote_of(L, "this setting", &e);
    if (remote->unset_conf(e, ctx_of(L), key, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static int l_conf_all(lua_State *L)
{
    struct buf lines = BUF_INIT(16 << 20);
    struct engine *e;
    struct err err;
    bool found;
    enum lc rc;

    err_clear(&err);
    const struct engine_remote *remote = remote_of(L, "this setting", &e);
    rc = remote->get_conf(e, ctx_of(L), NULL, &lines, &found, &err);
    lua_pushlstring(L, buf_str(&lines), lines.len);
    buf_release(&lines);
    if (rc != LC_OK)
        return session_raise(L, &err);
    lua_newtable(L);
    for (const char *s = lua_tostring(L, -2); *s;) {
        size_t n = strcspn(s, "\n"), key = strcspn(s, "=");
        if (key < n) {
            lua_pushlstring(L, s, key);
            lua_pushlstring(L, s + key + 1, n - key - 1);
            lua_settable(L, -3);
        }
        s += n + (s[n] == '\n');
    }
    return 1;
}

/* ---- tags and interrupts ---- */
static int change_tag(lua_State *L, const char *tag, bool add)
{
    struct engine *e;
    struct err err;

    err_clear(&err);
    const struct engine_remote *remote = remote_of(L, "a tag", &e);
    if (remote->tag(e, tag, add, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static int l_add_tag(lua_State *L)
{
    return change_tag(L, spark_text(L, 2), true);
}

static int l_remove_tag(lua_State *L)
{
    return change_tag(L, spark_text(L, 2), false);
}

static int l_clear_tags(lua_State *L)
{
    return change_tag(L, NULL, false);
}

static void push_lines(lua_State *L, const char *s)
{
    lua_newtable(L);
    for (lua_Integer i = 1; *s; i++) {
        size_t n = strcspn(s, "\n");
        lua_pushlstring(L, s, n);
        lua_rawseti(L, -2, i);
        s += n + (s[n] == '\n');
    }
}

static int l_get_tags(lua_State *L)
{
    struct engine *e;
    const struct engine_remote *remote = remote_of(L, "a tag", &e);

    push_lines(L, remote->tags(e));
    return 1;
}

static int stop(lua_State *L, enum engine_stop what, const char *id)
{
    struct buf stopped = BUF_INIT(1 << 20);
    struct engine *e;
    struct err err;
    enum lc rc;

    err_clear(&err);
    const struct engine_remote *remote = remote_of(L, "interrupting operations", &e);
    rc = remote->stop(e, ctx_of(L), what, id, &stopped, &err);
    lua_pushlstring(L, buf_str(&stopped), stopped.len);
    buf_release(&stopped);
    if (rc != LC_OK)
        return session_raise(L, &err);
    push_lines(L, lua_tostring(L, -1));
    return 1;
}

static int l_interrupt_all(lua_State *L)
{
    return stop(L, STOP_ALL, NULL);
}

static int l_interrupt_tag(lua_State *L)
{
    return stop(L, STOP_TAG, spark_text(L, 2));
}

static int l_interrupt_operation(lua_State *L)
{
    return stop(L, STOP_OPERATION, spark_text(L, 2));
}

const struct manual_row remote_methods[] = {
    {"addTag", l_add_tag,
     "addTag(tag: string)\na mark on what runs from now on, for interruptTag; under Spark Connect"},
    {"removeTag", l_remove_tag, "removeTag(tag: string)"},
    {"getTags", l_get_tags, "getTags() -> {string, …}"},
    {"clearTags", l_clear_tags, "clearTags()"},
    {"interruptAll", l_interrupt_all,
     "interruptAll() -> {string, …}\nends everything this session runs on the server; the ids of what was "
     "ended"},
    {"interruptTag", l_interrupt_tag, "interruptTag(tag: string) -> {string, …}\nends what has the tag"},
    {"interruptOperation", l_interrupt_operation, "interruptOperation(id: string) -> {string, …}"},
    {NULL, NULL, NULL}};

/* ---- members ---- */
static const luaL_Reg conf_functions[] = {
    {"get", l_conf_get}, {"set", l_conf_set}, {"unset", l_conf_unset}, {"getAll", l_conf_all}, {NULL, NULL}};

static void push_object(lua_State *L, const char *class)
{
    lua_newtable(L);
    if (luaL_newmetatable(L, class)) {
        lua_pushcfunction(L, l_catalog_index);
        lua_setfield(L, -2, "__index");
        lua_pushstring(L, strchr(class, '.') + 1);
        lua_setfield(L, -2, "__name");
    }
    lua_setmetatable(L, -2);
}

bool remote_member(lua_State *L, const char *name)
{
    struct engine *e;

    if (!spark_is_remote(spark_of(L)))
        return false;
    if (strcmp(name, "catalog") == 0)
        push_object(L, catalog_name);
    else if (strcmp(name, "conf") == 0)
        luaL_newlib(L, conf_functions);
    else if (strcmp(name, "version") == 0) {
        struct delta_engine engine;
        struct err err;
        err_clear(&err);
        remote_of(L, "the version", &e);
        if (spark_engine(spark_of(L), &engine, &err) != LC_OK)
            session_raise(L, &err);
        lua_pushstring(L, engine.ops->library_version(e));
    } else
        return false;
    return true;
}

enum lc remote_sql(const struct ctx *ctx, struct spark *s, const struct engine_text *text,
                   const struct plan **out, struct err *err)
{
    const struct engine_remote *remote;
    struct engine *e;

    TRY(spark_remote(s, "this statement", &remote, &e, err));
    return remote->sql(e, ctx, text, out, err);
}

int remote_save_v2(lua_State *L, const struct plan *p, const struct engine_save_v2 *save)
{
    struct engine *e;
    struct err err;

    err_clear(&err);
    const struct engine_remote *remote = remote_of(L, "this write", &e);
    if (remote->save_v2(e, ctx_of(L), p, save, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

int remote_save(lua_State *L, const struct plan *p, const struct engine_save *save)
{
    struct engine *e;
    struct err err;

    err_clear(&err);
    const struct engine_remote *remote = remote_of(L, "this write", &e);
    if (remote->save(e, ctx_of(L), p, save, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

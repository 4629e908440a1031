#include "runtime/mlflow/mlflow_lua.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/mlflow/lineage.h"
#include "runtime/registry/registry.h"
#include "runtime/session/session_lua.h"
#include "runtime/tracking/source.h"
#include <math.h>
#include <string.h>

enum { ACTIVE_MAX = 64 };

struct state {
    struct session *session;                  /* borrowed; NULL until a run is active */
    struct tracker *tracker;                  /* owned; NULL until used */
    struct registry *registry;                /* likewise */
    struct lineage *lineage;                  /* likewise */
    char active[ACTIVE_MAX][TRACKER_ID_TEXT]; /* runs that are open, the innermost last */
    size_t n_active;
};

static const char state_key = 0;

/* The session is going away: what is still running has ended, and with the cell that failed, if one did. */
static void free_state(void *p)
{
    struct state *s = p;
    struct ctx ctx = ctx_background();
    const char *status = s->session && session_failed(s->session) ? "FAILED" : "FINISHED";
    struct err ignored;

    while (s->tracker && s->n_active > 0)
        if (tracker_update_run(&ctx, s->tracker, s->active[--s->n_active], status, clock_wall_ms(), NULL,
                               &ignored) != LC_OK)
            break;
    tracker_close(s->tracker);
    registry_close(s->registry);
    lineage_close(s->lineage);
}

static struct state *state_of(lua_State *L)
{
    return session_state(L, &state_key, sizeof(struct state), free_state);
}

static const struct ctx *ctx_of(lua_State *L)
{
    return session_ctx(session_of(L));
}

static struct tracker *tracker_of(lua_State *L)
{
    struct state *s = state_of(L);
    struct err err;

    if (!s->tracker && tracker_open(NULL, &s->tracker, &err) != LC_OK)
        session_raise(L, &err);
    return s->tracker;
}

static struct registry *registry_of(lua_State *L)
{
    struct state *s = state_of(L);
    struct err err;

    if (!s->registry && registry_open(NULL, &s->registry, &err) != LC_OK)
        session_raise(L, &err);
    return s->registry;
}

static void check(lua_State *L, enum lc rc, const struct err *err)
{
    if (rc != LC_OK)
        session_raise(L, err);
}

/* ---- documents --------------------------------------------------------------------------------------- */

static int push_document(lua_State *L, json_t **slot, enum lc rc, const struct err *err)
{
    check(L, rc, err);
    session_push_json(L, *slot);
    if (json_is_array(*slot))
        session_mark_list(L);
    return 1;
}

/* ---- arguments --------------------------------------------------------------------------------------- */

static const char *text_or_null(lua_State *L, int index)
{
    return lua_isnoneornil(L, index) ? NULL : luaL_checkstring(L, index);
}

/* Secrets do not get into a tracking server: the value on the top is without them, kept by the table at `keeper`. */
static const char *without_secrets(lua_State *L, int keeper, bool *warned)
{
    struct session *s = session_of(L);
    json_t **slot, *masked = session_masked_text(s, lua_tostring(L, -1), lua_rawlen(L, -1));
    const char *text;

    if (!masked)
        return lua_tostring(L, -1);
    slot = session_json_slot(L);
    *slot = masked;
    if (!*warned) {
        text = lua_pushfstring(L, "warning: '%s' has a secret in it: it is logged as [REDACTED]\n",
                               lua_tostring(L, -3));
        session_print(s, STREAM_STDERR, text, strlen(text));
        lua_pop(L, 1);
    }
    *warned = true;
    text = lua_pushlstring(L, json_string_value(masked), json_string_length(masked));
    lua_rawseti(L, keeper, (lua_Integer)lua_rawlen(L, keeper) + 1);
    lua_pop(L, 1);
    return text;
}

/* Table {key = text} at index → pairs in a userdata on the stack; the texts live as long as the table does. */
static struct tracker_pair *pairs(lua_State *L, int index, size_t *n)
{
    struct tracker_pair *p;
    size_t count = 0;
    bool warned = false;

    *n = 0;
    if (lua_isnoneornil(L, index)) {
        lua_pushnil(L);
        return NULL;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        count++;
    p = lua_newuserdatauv(L, (count ? count : 1) * sizeof *p, 1);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
            luaL_argerror(L, index, "a table of texts by name is expected");
        p[(*n)++] =
            (struct tracker_pair){lua_tostring(L, -2), without_secrets(L, lua_gettop(L) - 2, &warned)};
    }
    lua_setiuservalue(L, -2, 1);
    return p;
}

/* List of texts at index → array in a userdata on the stack. */
static const char **texts(lua_State *L, int index, size_t *n)
{
    const char **list;
    size_t count;

    *n = 0;
    if (lua_isnoneornil(L, index)) {
        lua_pushnil(L);
        return NULL;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    count = (size_t)lua_rawlen(L, index);
    list = lua_newuserdatauv(L, (count ? count : 1) * sizeof *list, 0);
    for (size_t i = 0; i < count; i++) {
        if (lua_rawgeti(L, index, (lua_Integer)i + 1) != LUA_TSTRING)
            luaL_argerror(L, index, "a list of texts is expected");
        list[(*n)++] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    return list;
}

/* (filter, order_by, max_results, view, page_token, experiment_ids) from index on */
static struct tracker_search search_at(lua_State *L, int index)
{
    struct tracker_search s = {.filter = text_or_null(L, index)};

    s.max_results = luaL_optinteger(L, index + 2, 0);
    s.view = text_or_null(L, index + 3);
    s.page_token = text_or_null(L, index + 4);
    s.order_by = texts(L, index + 1, &s.n_order_by);
    s.experiment_ids = texts(L, index + 5, &s.n_experiments);
    return s;
}

/* ---- experiments ------------------------------------------------------------------------------------- */

static int l_create_experiment(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *location = text_or_null(L, 2);
    json_t **doc = session_json_slot(L);
    struct err err;

    return push_document(
        L, doc, tracker_create_experiment(ctx_of(L), tracker_of(L), name, location, doc, &err), &err);
}

/* (id or nil, name or nil) → experiment, or nil when there is none */
static int l_get_experiment(lua_State *L)
{
    const char *id = text_or_null(L, 1), *name = id ? NULL : luaL_checkstring(L, 2);
    bool quiet = lua_toboolean(L, 3);
    json_t **doc = session_json_slot(L);
    struct err err;
    enum lc rc = tracker_get_experiment(ctx_of(L), tracker_of(L), id, name, doc, &err);

    if (rc == LC_NOTFOUND && quiet)
        return 0;
    return push_document(L, doc, rc, &err);
}

static int l_update_experiment(lua_State *L)
{
    struct err err;

    check(L,
          tracker_update_experiment(ctx_of(L), tracker_of(L), luaL_checkstring(L, 1), text_or_null(L, 2),
                                    text_or_null(L, 3), &err),
          &err);
    return 0;
}

static int l_tag_experiment(lua_State *L)
{
    struct err err;

    check(L,
          tracker_tag_experiment(ctx_of(L), tracker_of(L), luaL_checkstring(L, 1), luaL_checkstring(L, 2),
                                 text_or_null(L, 3), &err),
          &err);
    return 0;
}

static int l_search_experiments(lua_State *L)
{
    struct tracker_search s = search_at(L, 1);
    json_t **doc = session_json_slot(L);
    struct err err;

    return push_document(L, doc, tracker_search_experiments(ctx_of(L), tracker_of(L), &s, doc, &err), &err);
}

/* ---- runs -------------------------------------------------------------------------------------------- */

/* (experiment_id, name, tags, start_time): the tags of where it comes from are added; the user's own win. */
static int l_create_run(lua_State *L)
{
    struct tracker_new_run run = {.experiment_id = luaL_checkstring(L, 1), .name = text_or_null(L, 2)};
    size_t n_own, n_source;
    struct tracker_pair *own, *all;
    struct source *source;
    json_t **doc;
    struct err err;

    run.start_time = luaL_optinteger(L, 4, 0);
    own = pairs(L, 3, &n_own);
    source = lua_newuserdatauv(L, sizeof *source, 0);
    n_source = source_tags(ctx_of(L), source);
    all = lua_newuserdatauv(L, (n_own + n_source) * sizeof *all, 0);
    memcpy(all, source->tags, n_source * sizeof *all);
    if (n_own)
        memcpy(all + n_source, own, n_own * sizeof *all); /* later ones replace earlier ones */
    run.tags = all;
    run.n_tags = n_own + n_source;
    doc = session_json_slot(L);
    return push_document(L, doc, tracker_create_run(ctx_of(L), tracker_of(L), &run, doc, &err), &err);
}

static enum lc note_inputs(lua_State *L, const char *run, struct err *err)
{
    return lineage_note_inputs(ctx_of(L), &state_of(L)->lineage, tracker_of(L), run, err);
}

static int l_get_run(lua_State *L)
{
    const char *run = luaL_checkstring(L, 1);
    json_t **doc = session_json_slot(L);
    struct err err;
    enum lc rc = note_inputs(L, run, &err);

    if (rc == LC_OK || rc == LC_NOTFOUND)
        rc = tracker_get_run(ctx_of(L), tracker_of(L), run, doc, &err);
    return push_document(L, doc, rc, &err);
}

static int l_update_run(lua_State *L)
{
    const char *run = luaL_checkstring(L, 1);
    bool ends = lua_toboolean(L, 4);
    struct err err;

    if (ends)
        check(L, note_inputs(L, run, &err), &err);
    check(L,
          tracker_update_run(ctx_of(L), tracker_of(L), run, text_or_null(L, 2), ends ? clock_wall_ms() : 0,
                             text_or_null(L, 3), &err),
          &err);
    return 0;
}

static int l_set_stage(lua_State *L)
{
    struct err err;

    check(L,
          tracker_set_stage(ctx_of(L), tracker_of(L), luaL_checkstring(L, 1), luaL_checkstring(L, 2), &err),
          &err);
    return 0;
}

static int l_search_runs(lua_State *L)
{
    struct tracker_search s = search_at(L, 1);
    json_t **doc = session_json_slot(L);
    struct err err;

    return push_document(L, doc, tracker_search_runs(ctx_of(L), tracker_of(L), &s, doc, &err), &err);
}

/* ---- the active run ---------------------------------------------------------------------------------- */

static int l_push_active(lua_State *L)
{
    struct state *s = state_of(L);
    size_t len;
    const char *run = luaL_checklstring(L, 1, &len);

    luaL_argcheck(L, len < TRACKER_ID_TEXT, 1, "a run id is expected");
    if (s->n_active == ACTIVE_MAX)
        return luaL_error(L, "too many nested runs");
    memcpy(s->active[s->n_active++], run, len + 1);
    s->session = session_of(L);
    session_set_run(s->session, run);
    return 0;
}

/* Removes the run, and what is nested in it, from the active ones. */
static int l_pop_active(lua_State *L)
{
    struct state *s = state_of(L);
    const char *run = luaL_checkstring(L, 1);

    for (size_t i = 0; i < s->n_active; i++)
        if (strcmp(s->active[i], run) == 0)
            s->n_active = i;
    session_set_run(session_of(L), s->n_active ? s->active[s->n_active - 1] : NULL);
    return 0;
}

/* ---- logging ----------------------------------------------------------------------------------------- */

/* (run, key, value, step, timestamp) */
static int l_log_metric(lua_State *L)
{
    struct tracker_metric m = {.key = luaL_checkstring(L, 2), .value = luaL_checknumber(L, 3)};
    struct err err;

    m.step = luaL_optinteger(L, 4, 0);
    m.timestamp = luaL_optinteger(L, 5, 0);
    check(L, tracker_log_metrics(ctx_of(L), tracker_of(L), luaL_checkstring(L, 1), &m, 1, &err), &err);
    return 0;
}

/* (run, {key = value}, step, timestamp) */
static int l_log_metrics(lua_State *L)
{
    int64_t step = luaL_optinteger(L, 3, 0), timestamp = luaL_optinteger(L, 4, 0);
    struct tracker_metric *m;
    size_t n = 0, count = 0;
    struct err err;

    luaL_checktype(L, 2, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1))
        count++;
    m = lua_newuserdatauv(L, (count ? count : 1) * sizeof *m, 0);
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
        int is_number;
        double value = lua_tonumberx(L, -1, &is_number);
        if (lua_type(L, -2) != LUA_TSTRING || !is_number)
            luaL_argerror(L, 2, "a table of numbers by name is expected");
        m[n++] = (struct tracker_metric){lua_tostring(L, -2), value, timestamp, step};
    }
    check(L, tracker_log_metrics(ctx_of(L), tracker_of(L), luaL_checkstring(L, 1), m, n, &err), &err);
    return 0;
}

/* (run, {{key=, value=, step=, timestamp=}, …}) */
static int l_log_batch(lua_State *L)
{
    size_t n = (size_t)(luaL_checktype(L, 2, LUA_TTABLE), lua_rawlen(L, 2));
    struct tracker_metric *m = lua_newuserdatauv(L, (n ? n : 1) * sizeof *m, 0);
    struct err err;

    for (size_t i = 0; i < n; i++) {
        if (lua_rawgeti(L, 2, (lua_Integer)i + 1) != LUA_TTABLE)
            luaL_argerror(L, 2, "a list of metrics is expected");
        lua_getfield(L, -1, "key");
        lua_getfield(L, -2, "value");
        lua_getfield(L, -3, "timestamp");
        lua_getfield(L, -4, "step");
        if (lua_type(L, -4) != LUA_TSTRING || lua_type(L, -3) != LUA_TNUMBER)
            luaL_argerror(L, 2, "each metric has a key and a value");
        m[i] = (struct tracker_metric){lua_tostring(L, -4), lua_tonumber(L, -3), lua_tointeger(L, -2),
                                       lua_tointeger(L, -1)};
        lua_pop(L, 5); /* the texts stay in the tables */
    }
    check(L, tracker_log_metrics(ctx_of(L), tracker_of(L), luaL_checkstring(L, 1), m, n, &err), &err);
    return 0;
}

static int l_log_params(lua_State *L)
{
    size_t n;
    struct tracker_pair *p = pairs(L, 2, &n);
    struct err err;

    check(L, tracker_log_params(ctx_of(L), tracker_of(L), luaL_checkstring(L, 1), p, n, &err), &err);
    return 0;
}

static int l_set_tags(lua_State *L)
{
    size_t n;
    struct tracker_pair *p = pairs(L, 2, &n);
    struct err err;

    check(L, tracker_set_tags(ctx_of(L), tracker_of(L), luaL_checkstring(L, 1), p, n, &err), &err);
    return 0;
}

static int l_delete_tag(lua_State *L)
{
    struct err err;

    check(L,
          tracker_delete_tag(ctx_of(L), tracker_of(L), luaL_checkstring(L, 1), luaL_checkstring(L, 2), &err),
          &err);
    return 0;
}

/* (run, name, digest, source_type, source, context) */
static int l_log_input(lua_State *L)
{
    struct tracker_input in = {luaL_checkstring(L, 2), luaL_checkstring(L, 3), luaL_checkstring(L, 4),
                               luaL_checkstring(L, 5), text_or_null(L, 6)};
    struct err err;

    check(L, tracker_log_input(ctx_of(L), tracker_of(L), luaL_checkstring(L, 1), &in, &err), &err);
    return 0;
}

struct points {
    lua_State *L;
    lua_Integer n;
};

/* Called with nothing of ours allocated by malloc in between; memory errors of Lua cannot be let through the rows. */
static int l_add_point(lua_State *L)
{
    const struct tracker_metric *m = lua_touserdata(L, 2);

    lua_createtable(L, 0, 4);
    lua_pushstring(L, m->key);
    lua_setfield(L, -2, "key");
    lua_pushnumber(L, m->value);
    lua_setfield(L, -2, "value");
    lua_pushinteger(L, m->step);
    lua_setfield(L, -2, "step");
    lua_pushinteger(L, m->timestamp);
    lua_setfield(L, -2, "timestamp");
    lua_rawseti(L, 1, (lua_Integer)lua_rawlen(L, 1) + 1);
    return 0;
}

static bool add_point(void *arg, const struct tracker_metric *m)
{
    struct points *p = arg;

    lua_pushcfunction(p->L, l_add_point);
    lua_pushvalue(p->L, -2);
    lua_pushlightuserdata(p->L, (void *)(uintptr_t)m);
    if (lua_pcall(p->L, 2, 0, 0) == LUA_OK)
        return true;
    p->n = -1; /* the error value is on the stack */
    return false;
}

/* (run, key) → list of {key, value, step, timestamp} */
static int l_history(lua_State *L)
{
    const char *run = luaL_checkstring(L, 1), *key = luaL_checkstring(L, 2);
    struct points p = {.L = L};
    struct err err;
    enum lc rc;

    luaL_checkstack(L, 8, NULL);
    lua_newtable(L);
    rc = tracker_metric_history(ctx_of(L), tracker_of(L), run, key, add_point, &p, &err);
    if (p.n < 0)
        return lua_error(L);
    check(L, rc, &err);
    session_mark_list(L);
    return 1;
}

/* ---- artifacts --------------------------------------------------------------------------------------- */

static int l_put_artifact(lua_State *L)
{
    struct err err;

    check(L,
          tracker_put_artifact(ctx_of(L), tracker_of(L), luaL_checkstring(L, 1), luaL_checkstring(L, 2),
                               text_or_null(L, 3), &err),
          &err);
    return 0;
}

static int l_put_text(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 3, &len);
    struct err err;

    check(L,
          tracker_put_text(ctx_of(L), tracker_of(L), luaL_checkstring(L, 1), luaL_checkstring(L, 2), text,
                           len, &err),
          &err);
    return 0;
}

static int l_list_artifacts(lua_State *L)
{
    const char *run = luaL_checkstring(L, 1), *path = text_or_null(L, 2);
    json_t **doc = session_json_slot(L);
    struct err err;

    return push_document(L, doc, tracker_list_artifacts(ctx_of(L), tracker_of(L), run, path, doc, &err),
                         &err);
}

static int push_path(lua_State *L, char *path)
{
    char copy[4096];
    size_t n = strlen(path);

    if (n >= sizeof copy) {
        mem_free(path);
        return luaL_error(L, "the path is longer than %d bytes", (int)sizeof copy);
    }
    memcpy(copy, path, n + 1); /* pushing may raise, and path is not Lua's */
    mem_free(path);
    lua_pushlstring(L, copy, n);
    return 1;
}

static int l_artifact_path(lua_State *L)
{
    char *path = NULL;
    struct err err;

    check(L,
          tracker_artifact_path(ctx_of(L), tracker_of(L), luaL_checkstring(L, 1), text_or_null(L, 2), &path,
                                &err),
          &err);
    return push_path(L, path);
}

/* ---- registry ---------------------------------------------------------------------------------------- */

/* (name, source, run_id, description, tags) */
static int l_need_schema(lua_State *L) /* need_schema(name of a model): raises when its schema is not there */
{
    struct err err;

    err_clear(&err);
    if (lineage_need_schema(ctx_of(L), &state_of(L)->lineage, luaL_checkstring(L, 1), &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static int l_create_version(lua_State *L)
{
    struct registry_new_version v = {.name = luaL_checkstring(L, 1),
                                     .source = luaL_checkstring(L, 2),
                                     .run_id = text_or_null(L, 3),
                                     .description = text_or_null(L, 4)};
    json_t **doc;
    struct err err;

    v.tags = pairs(L, 5, &v.n_tags);
    doc = session_json_slot(L);
    return push_document(L, doc, registry_create_version(ctx_of(L), registry_of(L), &v, doc, &err), &err);
}

static int l_create_model(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *description = text_or_null(L, 2);
    json_t **doc = session_json_slot(L);
    struct err err;

    return push_document(
        L, doc, registry_create_model(ctx_of(L), registry_of(L), name, description, doc, &err), &err);
}

static int l_get_model(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    json_t **doc = session_json_slot(L);
    struct err err;

    return push_document(L, doc, registry_get_model(ctx_of(L), registry_of(L), name, doc, &err), &err);
}

static int l_get_version(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *version = luaL_checkstring(L, 2);
    json_t **doc = session_json_slot(L);
    struct err err;

    return push_document(L, doc, registry_get_version(ctx_of(L), registry_of(L), name, version, doc, &err),
                         &err);
}

static int l_update_model(lua_State *L)
{
    struct err err;

    check(L,
          registry_update_model(ctx_of(L), registry_of(L), luaL_checkstring(L, 1), text_or_null(L, 2),
                                text_or_null(L, 3), &err),
          &err);
    return 0;
}

static int l_update_version(lua_State *L)
{
    struct err err;

    check(L,
          registry_update_version(ctx_of(L), registry_of(L), luaL_checkstring(L, 1), luaL_checkstring(L, 2),
                                  text_or_null(L, 3), &err),
          &err);
    return 0;
}

static int l_delete_model(lua_State *L)
{
    struct err err;

    check(L, registry_delete_model(ctx_of(L), registry_of(L), luaL_checkstring(L, 1), &err), &err);
    return 0;
}

static int l_delete_version(lua_State *L)
{
    struct err err;

    check(L,
          registry_delete_version(ctx_of(L), registry_of(L), luaL_checkstring(L, 1), luaL_checkstring(L, 2),
                                  &err),
          &err);
    return 0;
}

static int l_search_models(lua_State *L)
{
    struct tracker_search s = search_at(L, 1);
    json_t **doc = session_json_slot(L);
    struct err err;

    return push_document(L, doc, registry_search_models(ctx_of(L), registry_of(L), &s, doc, &err), &err);
}

static int l_search_versions(lua_State *L)
{
    struct tracker_search s = search_at(L, 1);
    json_t **doc = session_json_slot(L);
    struct err err;

    return push_document(L, doc, registry_search_versions(ctx_of(L), registry_of(L), &s, doc, &err), &err);
}

/* (name, alias, version or nil) */
static int l_alias(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *alias = luaL_checkstring(L, 2), *version = text_or_null(L, 3);
    struct err err;

    check(L,
          version ? registry_set_alias(ctx_of(L), registry_of(L), name, alias, version, &err)
                  : registry_delete_alias(ctx_of(L), registry_of(L), name, alias, &err),
          &err);
    return 0;
}

/* (name, version or nil, key, value or nil) */
static int l_tag_model(lua_State *L)
{
    struct err err;

    check(L,
          registry_tag(ctx_of(L), registry_of(L), luaL_checkstring(L, 1), text_or_null(L, 2),
                       luaL_checkstring(L, 3), text_or_null(L, 4), &err),
          &err);
    return 0;
}

static int l_resolve(lua_State *L)
{
    char *path = NULL;
    struct err err;

    check(L, registry_resolve(ctx_of(L), registry_of(L), luaL_checkstring(L, 1), &path, &err), &err);
    return push_path(L, path);
}

/* ---- helpers of the Lua part ------------------------------------------------------------------------- */

/* (function, word, {names}): raises that there is no such argument */
static int l_no_argument(lua_State *L)
{
    const char *function = luaL_checkstring(L, 1), *word = luaL_checkstring(L, 2);
    size_t n;
    const char **names = texts(L, 3, &n);
    struct buf near = BUF_INIT(300), all = BUF_INIT(400);
    struct err err;

    err_set(&err, LC_ARG, "%s has no argument '%s'", function, word);
    nearest_list(&near, word, names, n, 2);
    for (size_t i = 0; i < n; i++)
        buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    if (near.len)
        err_hint(&err, "did you mean %s?", buf_str(&near));
    else
        err_hint(&err, "it takes %s", buf_str(&all));
    buf_release(&near);
    buf_release(&all);
    return session_raise(L, &err);
}

static int l_now(lua_State *L)
{
    lua_pushinteger(L, clock_wall_ms());
    return 1;
}

/* (milliseconds) → "2026-01-31 12:00:00" */
static int l_time_text(lua_State *L)
{
    char text[ISO_TEXT];

    clock_iso(luaL_checkinteger(L, 1), text);
    text[10] = ' ';
    text[19] = '\0';
    lua_pushstring(L, text);
    return 1;
}

int mlflow_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"create_experiment", l_create_experiment},
        {"get_experiment", l_get_experiment},
        {"update_experiment", l_update_experiment},
        {"tag_experiment", l_tag_experiment},
        {"search_experiments", l_search_experiments},
        {"create_run", l_create_run},
        {"get_run", l_get_run},
        {"update_run", l_update_run},
        {"set_stage", l_set_stage},
        {"search_runs", l_search_runs},
        {"push_active", l_push_active},
        {"pop_active", l_pop_active},
        {"log_metric", l_log_metric},
        {"log_metrics", l_log_metrics},
        {"log_batch", l_log_batch},
        {"log_params", l_log_params},
        {"set_tags", l_set_tags},
        {"delete_tag", l_delete_tag},
        {"log_input", l_log_input},
        {"history", l_history},
        {"put_artifact", l_put_artifact},
        {"put_text", l_put_text},
        {"list_artifacts", l_list_artifacts},
        {"artifact_path", l_artifact_path},
        {"need_schema", l_need_schema},
        {"create_version", l_create_version},
        {"create_model", l_create_model},
        {"get_model", l_get_model},
        {"get_version", l_get_version},
        {"update_model", l_update_model},
        {"update_version", l_update_version},
        {"delete_model", l_delete_model},
        {"delete_version", l_delete_version},
        {"search_models", l_search_models},
        {"search_versions", l_search_versions},
        {"alias", l_alias},
        {"tag_model", l_tag_model},
        {"resolve", l_resolve},
        {"raise", session_raise_text},
        {"no_argument", l_no_argument},
        {"now", l_now},
        {"time_text", l_time_text},
        {NULL, NULL},
    };

    session_require(L, "lacus.mlflow"); /* a function of the table below */
    luaL_newlib(L, functions);
    lua_call(L, 1, 1);
    return 1;
}

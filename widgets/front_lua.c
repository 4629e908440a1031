/* front_lua.c: widgets and the front end: opening, updates in both directions, events. */
#include "widgets/widget_lua.h"
#include <stdlib.h>
#include <string.h>

static const char held_key = 0; /* its address: registry key of the table id → widget */

bool front_rich(lua_State *L)
{
    const struct frontend *f = session_frontend(session_of(L));
    return f->ops && f->ops->rich && f->ops->comm_send;
}

static void push_held(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &held_key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &held_key);
}

bool front_held(lua_State *L, const char *id)
{
    push_held(L);
    lua_getfield(L, -1, id);
    lua_remove(L, -2);
    return !lua_isnil(L, -1);
}

void front_all(lua_State *L)
{
    lua_newtable(L);
    push_held(L);
    for (lua_pushnil(L); lua_next(L, -2);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_settable(L, -5);
    }
    lua_pop(L, 1);
}

static void hold(lua_State *L, int index, const char *id, bool held)
{
    push_held(L);
    if (held)
        lua_pushvalue(L, index);
    else
        lua_pushnil(L);
    lua_setfield(L, -2, id);
    lua_pop(L, 1);
}

/* ---- towards the front end ------------------------------------------------------------------------------------ */

static void send_data(lua_State *L, enum comm_kind kind, const struct model *m, json_t *data,
                      struct model_buffers *b) /* takes data, releases b */
{
    struct comm_buffers buffers = {b->data, b->len, b->n};
    struct err err;

    /* the front end may have closed the widget: then there is nobody to tell */
    if (data && session_comm_send(session_of(L), kind, m->id, data, NULL, &buffers, &err) != LC_OK)
        err_clear(&err);
    json_decref(data);
    model_buffers_release(b);
}

void front_send(lua_State *L, const struct model *m, const char *method, json_t *state)
{
    struct model_buffers buffers = {0};
    json_t *data = model_update(m, method, state, &buffers);

    send_data(L, COMM_MSG, m, data, &buffers);
}

void front_changed(lua_State *L, struct model *m, const char *key)
{
    if (!m->open)
        return;
    if (m->held == 0) {
        front_send(L, m, "update", json_pack("{s:O}", key, model_get(m, key)));
        return;
    }
    if (!m->late)
        m->late = json_object();
    json_object_set_new(m->late, key, json_true());
}

void front_late(lua_State *L, struct model *m)
{
    json_t *late = m->late, *state = json_object(), *value;
    const char *key;

    m->late = NULL;
    json_object_foreach (late, key, value)
        json_object_set(state, key, model_get(m, key));
    if (m->open && json_object_size(state) > 0)
        front_send(L, m, "update", state);
    else
        json_decref(state);
    json_decref(late);
}

static void on_comm(struct session *s, void *arg, enum comm_kind kind, const char *comm_id, json_t *data,
                    const struct comm_buffers *buffers);

static void open_parts(lua_State *L, int index)
{
    static const char *const parts[] = {"layout", "style"};
    struct model *m = widget_check(L, index);

    for (size_t i = 0; i < 2 && !(m->row->traits & WIDGET_PART); i++) {
        if (i == 1 && !m->row->style)
            break;
        lua_getfield(L, index, parts[i]); /* makes it */
        front_open(L, lua_gettop(L));
        lua_pop(L, 1);
    }
    if (!(m->row->traits & WIDGET_BOX))
        return;
    widget_own(L, index, "children");
    for (lua_Integer i = 1; lua_istable(L, -1) && lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
        front_open(L, lua_gettop(L));
        lua_pop(L, 1);
        if (i == (lua_Integer)lua_rawlen(L, -1))
            break;
    }
    lua_pop(L, 1);
}

void front_open(lua_State *L, int index)
{
    struct model *m = widget_check(L, index);
    struct model_buffers b = {0};
    json_t *data, *metadata;
    struct err err;
    enum lc rc;

    if (m->open || !front_rich(L))
        return;
    luaL_checkstack(L, 12, "widgets are nested too deeply");
    m->open = true; /* first: a box may contain itself */
    hold(L, index, m->id, true);
    open_parts(L, index);
    data = model_opening(m, &b);
    metadata = model_metadata();
    rc = session_comm_open(session_of(L), m->id, MODEL_TARGET, data, metadata,
                           &(struct comm_buffers){b.data, b.len, b.n}, on_comm, NULL, &err);
    model_buffers_release(&b);
    json_decref(data);
    json_decref(metadata);
    if (rc != LC_OK) {
        m->open = false;
        hold(L, index, m->id, false);
        session_raise(L, &err);
    }
}

/* Is the part on the top still that of a widget which the front end has? It may be shared. */
static bool is_in_use(lua_State *L, const char *key)
{
    int part = lua_gettop(L);
    bool used = false;

    push_held(L);
    for (lua_pushnil(L); !used && lua_next(L, part + 1); lua_pop(L, 1)) {
        widget_own(L, -1, key);
        used = lua_rawequal(L, -1, part);
        lua_pop(L, 1);
    }
    lua_settop(L, part);
    return used;
}

/* Layout and style go with their widget. */
static void close_parts(lua_State *L, int index)
{
    static const char *const parts[] = {"layout", "style"};

    luaL_checkstack(L, 12, "widgets are nested too deeply");
    for (size_t i = 0; i < 2; i++) {
        widget_own(L, index, parts[i]);
        if (widget_test(L, -1) && !is_in_use(L, parts[i]))
            front_close(L, lua_gettop(L));
        lua_pop(L, 1);
    }
}

void front_close(lua_State *L, int index)
{
    struct model *m = widget_check(L, index);
    struct err err;

    if (!m->open)
        return;
    m->open = false;
    if (session_comm_send(session_of(L), COMM_CLOSE, m->id, NULL, NULL, NULL, &err) != LC_OK)
        err_clear(&err);
    hold(L, index, m->id, false);
    close_parts(L, index);
}

/* ---- handlers ---------------------------------------------------------------------------------------------------- */

static bool wanted(lua_State *L, int names, const char *key) /* a name, a list, or nil */
{
    bool found = false;

    if (lua_isnil(L, names))
        return true;
    if (lua_type(L, names) == LUA_TSTRING)
        return strcmp(lua_tostring(L, names), key) == 0;
    for (lua_Integer i = 1; lua_istable(L, names) && !found && i <= luaL_len(L, names); i++) {
        lua_geti(L, names, i);
        found = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), key) == 0;
        lua_pop(L, 1);
    }
    return found;
}

static void push_change(lua_State *L, int index, const char *key, int old, int new)
{
    lua_createtable(L, 0, 5);
    lua_pushstring(L, key);
    lua_setfield(L, -2, "name");
    lua_pushvalue(L, old);
    lua_setfield(L, -2, "old");
    lua_pushvalue(L, new);
    lua_setfield(L, -2, "new");
    lua_pushvalue(L, index);
    lua_setfield(L, -2, "owner");
    lua_pushliteral(L, "change");
    lua_setfield(L, -2, "type");
    session_mark_map(L);
}

/* Calls each handler of a list with a change of key, or (key NULL) with the widget and the value at `old`, if any. */
static void call_list(lua_State *L, int index, const char *list, const char *key, int old, int new)
{
    int top = lua_gettop(L);

    luaL_checkstack(L, 12, "too many handlers call each other");
    widget_own(L, index, list);
    for (lua_Integer i = 1; lua_istable(L, top + 1) && lua_rawgeti(L, top + 1, i) == LUA_TTABLE; i++) {
        lua_getfield(L, top + 2, "names");
        if (!key || wanted(L, top + 3, key)) {
            lua_getfield(L, top + 2, "fn");
            if (key)
                push_change(L, index, key, old, new);
            else
                lua_pushvalue(L, index);
            if (!key && old)
                lua_pushvalue(L, old);
            lua_call(L, !key && old ? 2 : 1, 0);
        }
        lua_settop(L, top + 1);
    }
    lua_settop(L, top);
}

/* While notifications are held, the first value of each field is kept: holding = {name, …, old = {name = value}}. */
static bool keep_notice(lua_State *L, int index, const char *key, int old)
{
    widget_own(L, index, "holding");
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    lua_getfield(L, -1, "seen");
    if (lua_getfield(L, -1, key) == LUA_TNIL) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -3, key);
        lua_pushstring(L, key);
        lua_rawseti(L, -4, (lua_Integer)lua_rawlen(L, -4) + 1);
        lua_getfield(L, -3, "old");
        lua_pushvalue(L, old);
        lua_setfield(L, -2, key);
        lua_pop(L, 1);
    }
    lua_pop(L, 3);
    return true;
}

void front_notify(lua_State *L, int index, const char *key, int old, int new)
{
    index = lua_absindex(L, index);
    luaL_checkstack(L, 12, "too many handlers call each other");
    if (!keep_notice(L, index, key, old))
        call_list(L, index, "observers", key, old, new);
}

void front_event(lua_State *L, int index, const char *event)
{
    call_list(L, lua_absindex(L, index), event, NULL, 0, 0);
}

/* ---- from the front end ---------------------------------------------------------------------------------------- */

struct event { /* one message, on its way into Lua */
    const char *id;
    enum comm_kind kind;
    json_t *data; /* borrowed */
    const struct comm_buffers *buffers;
    bool taken;
};

static bool echoes(void)
{
    const char *set = getenv("JUPYTER_WIDGETS_ECHO");
    return !set || (strcmp(set, "0") != 0 && strcmp(set, "false") != 0);
}

/* Large things that only one view can have made are not sent back. */
static bool is_quiet(const struct model *m, const char *key)
{
    return (m->row->traits & WIDGET_QUIET) && strcmp(key, "value") == 0;
}

/* The other views of the model hear at once what this one did. */
static void echo(lua_State *L, const struct model *m, json_t *state)
{
    json_t *known = json_object();
    const char *key;
    json_t *value;

    json_object_foreach (state, key, value) {
        if (model_get(m, key) && !is_quiet(m, key))
            json_object_set(known, key, value);
    }
    if (echoes() && json_object_size(known) > 0)
        front_send(L, m, "echo_update", known);
    else
        json_decref(known);
}

/* Sets what may be set from outside; the messages about it are the caller's. */
static void take_key(lua_State *L, int index, const char *key, json_t *value)
{
    struct model *m = widget_check(L, index);
    bool choice = m->row->traits & (WIDGET_CHOICE | WIDGET_CHOICES), changed;
    int top = lua_gettop(L);
    json_t **before;
    struct err err;

    luaL_checkstack(L, 10, "too many handlers call each other");
    if (choice && strcmp(key, "index") == 0) {
        choice_chosen(L, index, value);
        return;
    }
    if (model_is_private(key) || !model_get(m, key) || strcmp(key, "layout") == 0 ||
        strcmp(key, "style") == 0 || strcmp(key, "children") == 0)
        return;
    before = session_json_slot(L);
    *before = json_incref(model_get(m, "value"));
    widget_push_field(L, m, "value", *before);
    widget_push_field(L, m, key, model_get(m, key));
    if (model_set(m, key, json_deep_copy(value), &changed, &err) == LC_OK && changed) {
        widget_push_field(L, m, key, model_get(m, key));
        front_notify(L, index, key, top + 3, top + 4);
    }
    if (strcmp(key, "value") != 0 && *before &&
        !json_equal(*before, model_get(m, "value"))) { /* a bound has moved it */
        front_changed(L, m, "value");
        widget_push_field(L, m, "value", model_get(m, "value"));
        front_notify(L, index, "value", top + 2, lua_gettop(L));
    }
    lua_settop(L, top);
}

/* Sends what is other here than the front end has just said. */
static void send_other(lua_State *L, const struct model *m, json_t *state)
{
    json_t *other = json_object(), *value;
    const char *key;

    json_object_foreach (state, key, value) {
        if (model_get(m, key) && !is_quiet(m, key) && !json_equal(model_get(m, key), value))
            json_object_set(other, key, model_get(m, key));
    }
    if (json_object_size(other) > 0)
        front_send(L, m, "update", other);
    else
        json_decref(other);
}

static void take_update(lua_State *L, int index, json_t *state)
{
    const char *key;
    json_t *value;

    echo(L, widget_check(L, index), state);
    json_object_foreach (state, key, value) {
        take_key(L, index, key, value);
    }
    send_other(L, widget_check(L, index), state);
}

void front_adopted(lua_State *L, int index, json_t *state)
{
    struct model *m = widget_check(L, index);
    json_t *parts = json_object();

    m->open = true;
    hold(L, index, m->id, true);
    send_other(L, m, state);
    open_parts(L, index);
    if (model_get(m, "layout") && !json_is_string(json_object_get(state, "layout")))
        json_object_set(parts, "layout", model_get(m, "layout"));
    if (model_get(m, "style") && !json_is_string(json_object_get(state, "style")))
        json_object_set(parts, "style", model_get(m, "style"));
    if (json_object_size(parts) > 0)
        front_send(L, m, "update", parts);
    else
        json_decref(parts);
}

/* A custom message: a button was pressed, a line was entered, or what a handler of on_msg knows. */
static void take_custom(lua_State *L, int index, const json_t *content)
{
    struct model *m = widget_check(L, index);
    const char *event = json_string_value(json_object_get(content, "event"));
    int top = lua_gettop(L);

    if (event && strcmp(event, "click") == 0 && m->row->traits & WIDGET_BUTTON)
        front_event(L, index, "click");
    else if (event && strcmp(event, "submit") == 0 && m->row->traits & WIDGET_ENTRY)
        front_event(L, index, "submit");
    if (content)
        session_push_json(L, (json_t *)(uintptr_t)content);
    else
        lua_pushnil(L);
    call_list(L, index, "messages", NULL, top + 1, 0);
    lua_settop(L, top);
}

static void take_message(lua_State *L, int index, const struct event *e)
{
    struct model *m = widget_check(L, index);
    const char *method = json_string_value(json_object_get(e->data, "method"));
    json_t *state = json_object_get(e->data, "state");

    if (method && strcmp(method, "update") == 0) {
        if (e->buffers)
            model_join(m, state, json_object_get(e->data, "buffer_paths"), e->buffers->data, e->buffers->len,
                       e->buffers->n);
        take_update(L, index, state);
    } else if (method && strcmp(method, "request_state") == 0) {
        front_send(L, m, "update", json_incref(m->state));
    } else if (method && strcmp(method, "custom") == 0) {
        take_custom(L, index, json_object_get(e->data, "content"));
    }
}

static int handle(lua_State *L) /* (event) */
{
    struct event *e = lua_touserdata(L, 1);

    if (e->kind == COMM_OPEN) {
        widget_adopt(L, e->id, e->data, e->buffers);
        e->taken = true;
    } else if (front_held(L, e->id)) {
        if (e->kind == COMM_CLOSE) {
            widget_check(L, 2)->open = false;
            hold(L, 2, e->id, false);
            close_parts(L, 2);
        } else {
            take_message(L, 2, e);
        }
    }
    return 0;
}

static void on_comm(struct session *s, void *arg, enum comm_kind kind, const char *comm_id, json_t *data,
                    const struct comm_buffers *buffers)
{
    struct event e = {comm_id, kind, data, buffers, false};
    struct err err;

    (void)arg;
    session_callback(s, handle, &e);
    if (kind == COMM_OPEN && !e.taken && /* it was said why */
        session_comm_send(s, COMM_CLOSE, comm_id, NULL, NULL, NULL, &err) != LC_OK)
        err_clear(&err);
}

/* ---- all states at once, for a page that was loaded anew ------------------------------------------------------- */

static void add_state(json_t *states, const struct model *m, struct model_buffers *buffers)
{
    json_t *state = model_split(m, json_incref(m->state), (const char *const[]){m->id, "state"}, 2, buffers);

    json_object_set_new(states, m->id,
                        json_pack("{s:O, s:O, s:O, s:o}", "model_name", model_get(m, "_model_name"),
                                  "model_module", model_get(m, "_model_module"), "model_module_version",
                                  model_get(m, "_model_module_version"), "state", state));
}

static int send_states(lua_State *L) /* (comm id) */
{
    const char *comm_id = lua_touserdata(L, 1);
    struct model_buffers b = {0};
    json_t *states, *data;
    struct err err;

    push_held(L);
    states = json_object();
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        add_state(states, widget_test(L, -1), &b);
    data = json_pack("{s:s, s:o, s:o}", "method", "update_states", "states", states, "buffer_paths",
                     b.paths ? json_incref(b.paths) : json_array());
    if (session_comm_send(session_of(L), COMM_MSG, comm_id, data, NULL,
                          &(struct comm_buffers){b.data, b.len, b.n}, &err) != LC_OK)
        err_clear(&err);
    json_decref(data);
    model_buffers_release(&b);
    return 0;
}

static void on_control(struct session *s, void *arg, enum comm_kind kind, const char *comm_id, json_t *data,
                       const struct comm_buffers *buffers)
{
    const char *method = json_string_value(json_object_get(data, "method"));

    (void)arg, (void)buffers;
    if (kind == COMM_MSG && method && strcmp(method, "request_states") == 0)
        session_callback(s, send_states, (void *)(uintptr_t)comm_id);
}

void front_register(lua_State *L)
{
    struct err err;

    if (session_comm_target(session_of(L), MODEL_CONTROL_TARGET, on_control, NULL, &err) != LC_OK ||
        session_comm_target(session_of(L), MODEL_TARGET, on_comm, NULL, &err) != LC_OK)
        session_raise(L, &err);
}

/* The global `plot`: line, scatter, bar and hist, as Vega-Lite for a browser and as text for a terminal. */
#include "runtime/session/manual.h"
#include "runtime/session/plot_text.h"
#include "runtime/session/session_int.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char plot_name[] = "lacus.plot";

enum { POINTS_MAX = 1000000, SERIES_MAX = 64, BINS_MAX = 10000 };

/* A plot is a JSON object: {kind, title, xlabel, ylabel, width, height, named, values: [{series, x, y}…]}. */
struct plot {
    json_t *spec; /* owned */
};

static int plot_gc(lua_State *L)
{
    struct plot *p = lua_touserdata(L, 1);

    json_decref(p->spec);
    p->spec = NULL;
    return 0;
}

static const char *text_of(json_t *spec, const char *name)
{
    const char *text = json_string_value(json_object_get(spec, name));

    return text ? text : "";
}

/* ---- reading what the user gave: a table at index 1 ---- */
static json_t *new_spec(lua_State *L, const char *kind)
{
    struct plot *p = lua_newuserdatauv(L, sizeof *p, 0);

    p->spec = NULL;
    luaL_setmetatable(L, plot_name);
    p->spec = json_pack("{sss[]}", "kind", kind, "values");
    if (!p->spec)
        luaL_error(L, "not enough memory");
    return p->spec;
}

static void read_options(lua_State *L, int index, json_t *spec)
{
    static const char *const texts[] = {"title", "xlabel", "ylabel"};
    static const char *const numbers[] = {"width", "height"};

    for (size_t i = 0; i < 3; i++) {
        if (lua_getfield(L, index, texts[i]) == LUA_TSTRING)
            json_object_set_new(spec, texts[i], session_json_text(lua_tostring(L, -1), lua_rawlen(L, -1)));
        lua_pop(L, 1);
    }
    for (size_t i = 0; i < 2; i++) {
        if (lua_getfield(L, index, numbers[i]) == LUA_TNUMBER)
            json_object_set_new(spec, numbers[i], json_real(lua_tonumber(L, -1)));
        lua_pop(L, 1);
    }
}

static json_t *value_at(lua_State *L, int list, lua_Integer i) /* a number or text; null for others */
{
    json_t *value;

    lua_geti(L, list, i);
    if (lua_isinteger(L, -1))
        value = json_integer((json_int_t)lua_tointeger(L, -1));
    else if (lua_type(L, -1) == LUA_TNUMBER)
        value = isfinite(lua_tonumber(L, -1)) ? json_real(lua_tonumber(L, -1)) : json_null();
    else if (lua_type(L, -1) == LUA_TSTRING)
        value = session_json_text(lua_tostring(L, -1), lua_rawlen(L, -1));
    else
        value = json_null();
    lua_pop(L, 1);
    return value;
}

static void add_point(lua_State *L, json_t *spec, const char *series, json_t *x, json_t *y)
{
    json_t *values = json_object_get(spec, "values");
    json_t *point = json_object();

    if (series)
        json_object_set_new(point, "series", session_json_text(series, strlen(series)));
    json_object_set_new(point, "x", x);
    json_object_set_new(point, "y", y);
    json_array_append_new(values, point);
    if (json_array_size(values) > POINTS_MAX)
        luaL_error(L, "cannot plot more than %d points: take a sample", POINTS_MAX);
}

/* The lists at x (0: 1, 2, 3, …) and y. */
static void add_lists(lua_State *L, json_t *spec, const char *series, int x, int y)
{
    lua_Integer n = luaL_len(L, y);

    if (x && luaL_len(L, x) != n)
        luaL_error(L, "x has %d values and y has %d", (int)luaL_len(L, x), (int)n);
    for (lua_Integer i = 1; i <= n; i++)
        add_point(L, spec, series, x ? value_at(L, x, i) : json_integer((json_int_t)i), value_at(L, y, i));
}

/* y = {loss = {…}, accuracy = {…}}: a series for each name, in order of the names. */
static void add_named(lua_State *L, json_t *spec, int x, int y)
{
    lua_Integer n = 0;

    lua_newtable(L);
    int names = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, y); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1)) {
            lua_pushvalue(L, -2);
            lua_rawseti(L, names, ++n);
        }
    if (n == 0 || n > SERIES_MAX)
        luaL_error(L, "y must be a list of numbers, or a table of up to %d named lists", SERIES_MAX);
    lua_getglobal(L, "table");
    lua_getfield(L, -1, "sort");
    lua_pushvalue(L, names);
    lua_call(L, 1, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, names, i);
        lua_pushvalue(L, -1);
        lua_gettable(L, y);
        add_lists(L, spec, lua_tostring(L, -2), x, lua_gettop(L));
        lua_pop(L, 2);
    }
    json_object_set_new(spec, "named", json_true());
    lua_settop(L, names - 1);
}

static bool is_list(lua_State *L, int index)
{
    return lua_istable(L, index) && lua_rawlen(L, index) > 0;
}

/* {1, 4, 9}, {x = {…}, y = {…}}, {y = {name = {…}}}, {series = {{name, x, y}…}} */
static void read_points(lua_State *L, json_t *spec)
{
    lua_settop(L, 2); /* the table, and the plot that is being made */
    lua_getfield(L, 1, "x");
    lua_getfield(L, 1, "y");
    lua_getfield(L, 1, "series");
    int x = is_list(L, 3) ? 3 : 0;
    if (is_list(L, 5)) {
        for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, 5); i++) {
            lua_settop(L, 5);
            lua_geti(L, 5, i);
            luaL_checktype(L, 6, LUA_TTABLE);
            lua_getfield(L, 6, "name");
            lua_getfield(L, 6, "x");
            lua_getfield(L, 6, "y");
            const char *name = luaL_optstring(L, 7, "");
            if (!is_list(L, 9))
                luaL_error(L, "series %d has no list y", (int)i);
            add_lists(L, spec, name, is_list(L, 8) ? 8 : x, 9);
        }
        json_object_set_new(spec, "named", json_true());
    } else if (is_list(L, 4)) {
        add_lists(L, spec, NULL, x, 4);
    } else if (lua_istable(L, 4)) {
        add_named(L, spec, x, 4);
    } else if (is_list(L, 1)) {
        add_lists(L, spec, NULL, x, 1);
    } else {
        luaL_argerror(L, 1, "{y = {…}}, {x = {…}, y = {…}} or a list of numbers expected");
    }
    lua_settop(L, 2);
}

static int make(lua_State *L, const char *kind)
{
    json_t *spec;

    luaL_checktype(L, 1, LUA_TTABLE);
    if (lua_istable(L, 2)) { /* plot.line(list, {title = …}) */
        lua_settop(L, 2);
        lua_insert(L, 1);
        spec = new_spec(L, kind);
        read_options(L, 1, spec);
        lua_remove(L, 1);
    } else {
        lua_settop(L, 1);
        spec = new_spec(L, kind);
        read_options(L, 1, spec);
    }
    read_points(L, spec);
    return 1;
}

static int l_line(lua_State *L)
{
    return make(L, "line");
}

static int l_scatter(lua_State *L)
{
    return make(L, "scatter");
}

static bool is_option(const char *name)
{
    static const char *const options[] = {"title", "xlabel", "ylabel", "width", "height"};

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (strcmp(name, options[i]) == 0)
            return true;
    return false;
}

static int compare_points(const void *a, const void *b)
{
    json_t *const *x = a, *const *y = b;

    return strcmp(text_of(*x, "x"), text_of(*y, "x"));
}

/* {apples = 3, pears = 5}: names and values, in the order of the names. */
static void read_named_bars(lua_State *L, json_t *spec)
{
    json_t *values = json_object_get(spec, "values");
    size_t n;

    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TNUMBER &&
            !is_option(lua_tostring(L, -2)))
            add_point(L, spec, NULL, session_json_text(lua_tostring(L, -2), lua_rawlen(L, -2)),
                      json_real(lua_tonumber(L, -1)));
    n = json_array_size(values);
    json_t **sorted = lua_newuserdatauv(L, n * sizeof *sorted + 1, 0);
    for (size_t i = 0; i < n; i++)
        sorted[i] = json_incref(json_array_get(values, i));
    qsort(sorted, n, sizeof *sorted, compare_points);
    for (size_t i = 0; i < n; i++)
        json_array_set_new(values, i, sorted[i]);
    lua_pop(L, 1);
}

static int l_bar(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "y");
    bool lists = !lua_isnil(L, -1) || is_list(L, 1);
    lua_pop(L, 1);
    if (lists || lua_istable(L, 2))
        return make(L, "bar");
    json_t *spec = new_spec(L, "bar");
    read_options(L, 1, spec);
    read_named_bars(L, spec);
    if (json_array_size(json_object_get(spec, "values")) == 0)
        return luaL_argerror(L, 1, "{name = number, …} or {x = {…}, y = {…}} expected");
    return 1;
}

static lua_Integer pick_bins(lua_State *L, lua_Integer n)
{
    lua_Integer bins = (lua_Integer)ceil(sqrt((double)n));

    if (lua_getfield(L, 1, "bins") == LUA_TNUMBER)
        bins = luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    luaL_argcheck(L, bins >= 1 && bins <= BINS_MAX, 1, "bins: a number from 1 to 10000 expected");
    return bins > 50 && bins == (lua_Integer)ceil(sqrt((double)n)) ? 50 : bins;
}

static int l_hist(lua_State *L) /* {values…, bins = 20} or {x = {…}} */
{
    double low = INFINITY, high = -INFINITY, v;
    lua_Integer n, bins;
    size_t *counts;
    json_t *spec;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_getfield(L, 1, "x");
    if (!lua_istable(L, 2))
        lua_copy(L, 1, 2);
    n = luaL_len(L, 2);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, 2, i);
        v = lua_tonumber(L, -1);
        lua_pop(L, 1);
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    luaL_argcheck(L, n > 0 && isfinite(low) && isfinite(high), 1, "a list of finite numbers expected");
    bins = low == high ? 1 : pick_bins(L, n);
    counts = lua_newuserdatauv(L, (size_t)bins * sizeof *counts, 0);
    memset(counts, 0, (size_t)bins * sizeof *counts);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, 2, i);
        v = lua_tonumber(L, -1);
        lua_pop(L, 1);
        lua_Integer bin = low == high ? 0 : (lua_Integer)((v - low) / (high - low) * (double)bins);
        counts[bin < bins ? bin : bins - 1]++;
    }
    spec = new_spec(L, "hist");
    read_options(L, 1, spec);
    for (lua_Integer i = 0; i < bins; i++) {
        double from = low + (high - low) * (double)i / (double)bins;
        json_t *point =
            json_pack("{sfsfsI}", "x", from, "x2", low + (high - low) * (double)(i + 1) / (double)bins, "y",
                      (json_int_t)counts[i]);
        json_array_append_new(json_object_get(spec, "values"), point);
    }
    return 1;
}

/* ---- Vega-Lite ---- */
static bool categorical(json_t *spec) /* is some x a text? */
{
    json_t *point;
    size_t i;

    json_array_foreach (json_object_get(spec, "values"), i, point)
        if (json_is_string(json_object_get(point, "x")))
            return true;
    return false;
}

static json_t *channel(const char *field, const char *type, const char *title)
{
    return json_pack("{ssssss}", "field", field, "type", type, "title", *title ? title : field);
}

static json_t *encoding_of(json_t *spec)
{
    const char *kind = text_of(spec, "kind");
    bool hist = strcmp(kind, "hist") == 0;
    const char *xtype = categorical(spec) || strcmp(kind, "bar") == 0 ? "nominal" : "quantitative";
    json_t *encoding = json_object(), *x = channel("x", xtype, text_of(spec, "xlabel"));
    json_t *y =
        channel("y", "quantitative", *text_of(spec, "ylabel") || !hist ? text_of(spec, "ylabel") : "count");

    if (strcmp(xtype, "nominal") == 0)
        json_object_set_new(x, "sort", json_null()); /* as given */
    if (!hist && strcmp(kind, "bar") != 0) {
        json_object_set_new(y, "scale", json_pack("{sb}", "zero", 0));
        if (strcmp(xtype, "quantitative") == 0)
            json_object_set_new(x, "scale", json_pack("{sb}", "zero", 0));
    }
    if (hist) {
        json_object_set_new(x, "bin", json_pack("{sb}", "binned", 1));
        json_object_set_new(encoding, "x2", json_pack("{ss}", "field", "x2"));
    }
    json_object_set_new(encoding, "x", x);
    json_object_set_new(encoding, "y", y);
    if (json_is_true(json_object_get(spec, "named")))
        json_object_set_new(encoding, "color",
                            json_pack("{ssssss}", "field", "series", "type", "nominal", "title", ""));
    return encoding;
}

static json_t *vega_of(json_t *spec)
{
    const char *kind = text_of(spec, "kind");
    const char *mark = strcmp(kind, "scatter") == 0 ? "point" : strcmp(kind, "line") == 0 ? "line" : "bar";
    json_t *width = json_object_get(spec, "width"), *height = json_object_get(spec, "height");
    json_t *vega = json_pack(
        "{sss{sO}s{sssb}so}", "$schema", "https://vega.github.io/schema/vega-lite/v5.json", "data", "values",
        json_object_get(spec, "values"), "mark", "type", mark, "tooltip", 1, "encoding", encoding_of(spec));

    if (*text_of(spec, "title"))
        json_object_set_new(vega, "title", json_string(text_of(spec, "title")));
    json_object_set_new(vega, "width", width ? json_incref(width) : json_integer(480));
    json_object_set_new(vega, "height", height ? json_incref(height) : json_integer(280));
    return vega;
}

/* ---- text ---- */
static double number_of(json_t *value, size_t index) /* a text stands at its place in the list */
{
    return json_is_number(value)   ? json_number_value(value)
           : json_is_string(value) ? (double)index + 1
                                   : (double)NAN;
}

static void draw_points(lua_State *L, json_t *spec, struct buf *out)
{
    json_t *values = json_object_get(spec, "values"), *point;
    size_t n = json_array_size(values), i;
    double *x = lua_newuserdatauv(L, n * sizeof *x + 1, 0), *y = lua_newuserdatauv(L, n * sizeof *y + 1, 0);
    struct plot_series series[SERIES_MAX];
    struct plot_text p = {.title = text_of(spec, "title"),
                          .xlabel = text_of(spec, "xlabel"),
                          .ylabel = text_of(spec, "ylabel"),
                          .series = series,
                          .lines = strcmp(text_of(spec, "kind"), "line") == 0};

    json_array_foreach (values, i, point) {
        const char *name = text_of(point, "series");
        if (p.n == 0 || strcmp(series[p.n - 1].name, name) != 0) {
            if (p.n == SERIES_MAX)
                break;
            series[p.n++] = (struct plot_series){.name = name, .x = x + i, .y = y + i};
        }
        x[i] = number_of(json_object_get(point, "x"), series[p.n - 1].n);
        y[i] = number_of(json_object_get(point, "y"), 0);
        series[p.n - 1].n++;
    }
    plot_text_draw(&p, out);
    lua_pop(L, 2);
}

static void bar_label(char label[64], json_t *point)
{
    json_t *x = json_object_get(point, "x"), *x2 = json_object_get(point, "x2");

    if (x2)
        snprintf(label, 64, "%.4g to %.4g", json_number_value(x), json_number_value(x2));
    else if (json_is_string(x))
        snprintf(label, 64, "%.48s", json_string_value(x));
    else
        snprintf(label, 64, "%.6g", json_number_value(x));
}

static void draw_bars(lua_State *L, json_t *spec, struct buf *out)
{
    json_t *values = json_object_get(spec, "values"), *point;
    size_t n = json_array_size(values), i;
    struct plot_bar *bars = lua_newuserdatauv(L, n * sizeof *bars + 1, 0);
    char(*labels)[64] = lua_newuserdatauv(L, n * sizeof *labels + 1, 0);

    json_array_foreach (values, i, point) {
        bar_label(labels[i], point);
        bars[i] = (struct plot_bar){labels[i], number_of(json_object_get(point, "y"), 0)};
    }
    plot_text_bars(text_of(spec, "title"), bars, n, out);
    lua_pop(L, 2);
}

static void draw(lua_State *L, json_t *spec, struct buf *out)
{
    const char *kind = text_of(spec, "kind");

    if (strcmp(kind, "bar") == 0 || strcmp(kind, "hist") == 0)
        draw_bars(L, spec, out);
    else
        draw_points(L, spec, out);
}

static int l_mimebundle(lua_State *L)
{
    struct plot *p = luaL_checkudata(L, 1, plot_name);
    struct buf *text = session_buf(L, BUF_TEXT_MAX);
    json_t **vega = session_json_slot(L);

    draw(L, p->spec, text);
    *vega = vega_of(p->spec);
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, buf_str(text), text->len);
    lua_setfield(L, -2, "text/plain");
    session_push_json(L, *vega);
    lua_setfield(L, -2, "application/vnd.vegalite.v5+json");
    return 1;
}

static int l_tostring(lua_State *L)
{
    struct plot *p = luaL_checkudata(L, 1, plot_name);
    struct buf *text = session_buf(L, BUF_TEXT_MAX);

    draw(L, p->spec, text);
    lua_pushlstring(L, buf_str(text), text->len);
    return 1;
}

static const struct manual_row library[] = {
    {"line", l_line,
     "line{x = {…}, y = {…} or {name = {…}}, title =, xlabel =, ylabel =}\nA line for each list."},
    {"scatter", l_scatter, "scatter{x = {…}, y = {…}, title =, xlabel =, ylabel =}\nA point for each pair."},
    {"bar", l_bar, "bar{name = number, …} or plot.bar{x = {…}, y = {…}}\nA bar for each name."},
    {"hist", l_hist, "hist{value, …, bins = 20}\nHow often values fall into each of the bins."},
    {0}};
static const struct manual_topic topic = {.name = "plot",
                                          .doc = "drawings: Vega-Lite in a notebook, text in a terminal",
                                          .rows = library,
                                          .returns = "Plot"};
const struct manual_topic *const plot_topics[] = {&topic, NULL};

int plot_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"__gc", plot_gc}, {"__mimebundle", l_mimebundle}, {"__tostring", l_tostring}, {NULL, NULL}};

    if (luaL_newmetatable(L, plot_name))
        luaL_setfuncs(L, methods, 0);
    lua_newtable(L);
    for (const struct manual_row *row = library; row->name; row++) {
        lua_pushcfunction(L, row->function);
        lua_setfield(L, -2, row->name);
    }
    return 1;
}

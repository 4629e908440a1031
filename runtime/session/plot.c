/* The global `plot`: what the user gave becomes a description (plot_spec.h), which is drawn in two ways. */
#include "runtime/base/nearest.h"
#include "runtime/session/manual.h"
#include "runtime/session/plot_spec.h"
#include "runtime/session/session_int.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char plot_name[] = "lacus.Plot";

enum { POINTS_MAX = 20000, CELLS_MAX = 10000, SERIES_MAX = 64, BINS_MAX = 10000, OUTLIERS_MAX = 200 };

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

static const char *const option_names[] = {"title",  "xlabel", "ylabel", "note",    "width", "height",
                                           "xscale", "yscale", "logx",   "logy",    "color", "colors",
                                           "bins",   "agg",    "by",     "stacked", "data",  "sort"};

static int refuse(lua_State *L, const char *option, const char *wanted, int index)
{
    return luaL_error(L, "the option '%s' is %s, not a %s", option, wanted, luaL_typename(L, index));
}

/* color = "red", colors = {"red", "blue"} or {loss = "red"} */
static void read_colors(lua_State *L, int index, json_t *spec)
{
    struct err err;
    json_t *colors;
    int type = lua_getfield(L, index, "color");

    if (type != LUA_TNIL && type != LUA_TSTRING)
        refuse(L, "color", "a text", -1);
    if (type == LUA_TSTRING) {
        json_object_set_new(spec, "colors", json_array());
        json_array_append_new(json_object_get(spec, "colors"),
                              session_json_text(lua_tostring(L, -1), lua_rawlen(L, -1)));
    }
    lua_pop(L, 1);
    type = lua_getfield(L, index, "colors");
    if (type != LUA_TNIL && type != LUA_TTABLE)
        refuse(L, "colors", "a list of texts, or {name = text}", -1);
    if (type == LUA_TTABLE) {
        colors = session_to_json(L, -1, &err);
        if (!colors)
            session_raise(L, &err);
        json_object_set_new(spec, "colors", colors);
    }
    lua_pop(L, 1);
}

static bool read_log(lua_State *L, int index, const char *scale, const char *flag)
{
    bool log;

    lua_getfield(L, index, flag);
    log = lua_toboolean(L, -1);
    if (lua_getfield(L, index, scale) != LUA_TNIL) {
        const char *given = luaL_tolstring(L, -1, NULL);
        log = strcmp(given, "log") == 0;
        if (!log && strcmp(given, "linear") != 0)
            luaL_error(L, "%s is \"linear\" or \"log\", not \"%s\"", scale, given);
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
    return log;
}

static void read_options(lua_State *L, int index, json_t *spec)
{
    static const char *const texts[] = {"title", "xlabel", "ylabel", "note"};
    static const char *const numbers[] = {"width", "height"};

    for (size_t i = 0; i < 4; i++) {
        if (lua_getfield(L, index, texts[i]) != LUA_TNIL) {
            if (!lua_isstring(L, -1))
                refuse(L, texts[i], "a text", -1);
            json_object_set_new(spec, texts[i], session_json_text(lua_tostring(L, -1), lua_rawlen(L, -1)));
        }
        lua_pop(L, 1);
    }
    for (size_t i = 0; i < 2; i++) {
        if (lua_getfield(L, index, numbers[i]) != LUA_TNIL) {
            if (lua_type(L, -1) != LUA_TNUMBER || !(lua_tonumber(L, -1) > 0 && lua_tonumber(L, -1) <= 10000))
                luaL_error(L, "the option '%s' is a number of pixels from 1 to 10000, not %s", numbers[i],
                           luaL_tolstring(L, -1, NULL));
            json_object_set_new(spec, numbers[i], json_real(lua_tonumber(L, -1)));
        }
        lua_pop(L, 1);
    }
    json_object_set_new(spec, "xlog", json_boolean(read_log(L, index, "xscale", "logx")));
    json_object_set_new(spec, "ylog", json_boolean(read_log(L, index, "yscale", "logy")));
    lua_getfield(L, index, "stacked");
    json_object_set_new(spec, "stacked", json_boolean(lua_toboolean(L, -1)));
    lua_pop(L, 1);
    read_colors(L, index, spec);
}

/* Is it a value that only looks like a number or text: a decimal, date or interval of a row? */
static bool is_written(lua_State *L, int index)
{
    int type = lua_type(L, index);

    if ((type != LUA_TUSERDATA && type != LUA_TTABLE) || session_is_plain(L, index) ||
        luaL_getmetafield(L, index, "__tostring") == LUA_TNIL)
        return false;
    lua_pop(L, 1);
    return true;
}

/* Of the value on the top, which was checked: a number or a text, null for a gap. number: no text. */
static json_t *json_of(lua_State *L, bool number)
{
    int top = lua_gettop(L);
    json_t *value = NULL;
    size_t len;

    if (number && lua_type(L, top) != LUA_TNUMBER && (lua_isstring(L, top) || is_written(L, top)) &&
        !lua_stringtonumber(L, luaL_tolstring(L, top, NULL)))
        lua_pushnil(L);
    if (lua_isinteger(L, -1))
        value = json_integer((json_int_t)lua_tointeger(L, -1));
    else if (lua_type(L, -1) == LUA_TNUMBER)
        value = json_real(lua_tonumber(L, -1)); /* NULL: not finite */
    else if (lua_type(L, -1) == LUA_TSTRING || is_written(L, lua_gettop(L))) {
        const char *text = luaL_tolstring(L, -1, &len);
        value = session_json_text(text, len);
    }
    lua_settop(L, top);
    return value ? value : json_null();
}

static json_t *value_at(lua_State *L, int list, lua_Integer i, bool number)
{
    json_t *value;

    lua_geti(L, list, i);
    value = json_of(L, number);
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
    (void)L;
}

/* A page cannot hold millions of points: of long lists, points at even distances are taken, and the drawing says so. */
static lua_Integer stride_of(json_t *spec, lua_Integer n)
{
    lua_Integer stride = (n + POINTS_MAX - 1) / POINTS_MAX;

    if (stride > 1 && !*plot_spec_text(spec, "note"))
        json_object_set_new(
            spec, "note", json_sprintf("%d of %lld points", (int)((n + stride - 1) / stride), (long long)n));
    return stride > 1 ? stride : 1;
}

/* LUA_TNIL: a gap (nil, null); LUA_TNUMBER, LUA_TSTRING; others: nothing that is drawn. */
static int kind_at(lua_State *L, bool number) /* of the value on the top */
{
    int type = lua_type(L, -1);

    if (type == LUA_TLIGHTUSERDATA && !lua_touserdata(L, -1))
        return LUA_TNIL;
    if (type != LUA_TSTRING && !is_written(L, lua_gettop(L)))
        return type;
    if (number) { /* also of a long decimal, which is a text in a row */
        bool is = lua_stringtonumber(L, luaL_tolstring(L, -1, NULL)) != 0;
        lua_pop(L, is ? 2 : 1);
        return is ? LUA_TNUMBER : type;
    }
    return LUA_TSTRING;
}

/* Numbers; or, where number is false, texts; gaps among either. What else stood there would be drawn as nothing, or in a wrong
 * place. */
static void check_list(lua_State *L, int list, const char *name, bool number)
{
    int kind = LUA_TNIL;

    for (lua_Integer i = 1, n = luaL_len(L, list); i <= n; i++) {
        int type = (lua_geti(L, list, i), kind_at(L, number));
        if (type == LUA_TSTRING && number)
            luaL_error(L, "%s[%d] is the text '%s'; values are numbers", name, (int)i, lua_tostring(L, -1));
        if (type != LUA_TNIL && type != LUA_TNUMBER && type != LUA_TSTRING)
            luaL_error(L, "%s[%d] is a %s; %s are drawn", name, (int)i, lua_typename(L, type),
                       number ? "numbers" : "numbers or texts");
        if (type != LUA_TNIL && kind != LUA_TNIL && kind != type)
            luaL_error(L, "%s[%d] is a %s, and those before it are %ss", name, (int)i,
                       type == LUA_TSTRING ? "text" : "number", kind == LUA_TSTRING ? "text" : "number");
        kind = type == LUA_TNIL ? kind : type;
        lua_pop(L, 1);
    }
}

/* The lists at x (0: 1, 2, 3, …) and y. */
static void add_lists(lua_State *L, json_t *spec, const char *series, int x, int y)
{
    lua_Integer n = luaL_len(L, y);

    if (x && luaL_len(L, x) != n)
        luaL_error(L, "x has %d values and %s%sy has %d", (int)luaL_len(L, x), series ? series : "",
                   series && *series ? "'s " : "", (int)n);
    check_list(L, y, "y", true);
    if (x)
        check_list(L, x, "x", false);
    for (lua_Integer i = 1, stride = stride_of(spec, n); i <= n; i += stride)
        add_point(L, spec, series, x ? value_at(L, x, i, false) : json_integer((json_int_t)i),
                  value_at(L, y, i, true));
}

/* Pushes the names of the lists in the table at index, sorted; returns how many. */
static lua_Integer push_names(lua_State *L, int index)
{
    lua_Integer n = 0;
    int names;

    lua_newtable(L);
    names = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
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
    lua_pop(L, 1);
    return n;
}

/* y = {loss = {…}, accuracy = {…}}: a series for each name, in order of the names. */
static void add_named(lua_State *L, json_t *spec, int x, int y)
{
    lua_Integer n = push_names(L, y);
    int names = lua_gettop(L);

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

static bool is_empty(lua_State *L, int index)
{
    if (!lua_istable(L, index))
        return false;
    lua_pushnil(L);
    if (!lua_next(L, index))
        return true;
    lua_pop(L, 2);
    return false;
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
    } else if (is_empty(L, 4) || is_empty(L, 1)) {
        luaL_error(L, "there are no values to draw");
    } else if (lua_istable(L, 4)) {
        add_named(L, spec, x, 4);
    } else if (is_list(L, 1)) {
        add_lists(L, spec, NULL, x, 1);
    } else {
        luaL_argerror(L, 1, "{y = {…}}, {x = {…}, y = {…}} or a list of numbers expected");
    }
    lua_settop(L, 2);
}

/* plot.line(df, {x = …}) and plot.line{data = df, x = …}: the rows that are to be drawn are chosen by the engine
 * (runtime/lib/lacus/plot.lua); what it gives stands at index 1 then. plot.line(list, {title = …}): both in one table. */
static void merge(lua_State *L, int from, int into)
{
    for (lua_pushnil(L); lua_next(L, from);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, into);
    }
}

/* plot.line(xs, ys), plot.line(xs, ys, options) become {x = xs, y = ys, …}; more than is read is refused. */
static void read_places(lua_State *L, const char *kind)
{
    bool pairs = strcmp(kind, "line") == 0 || strcmp(kind, "scatter") == 0 || strcmp(kind, "bar") == 0;
    int options = 2;

    if (pairs && lua_istable(L, 1) && lua_istable(L, 2) && lua_rawlen(L, 1) > 0 && lua_rawlen(L, 2) > 0) {
        lua_settop(L, lua_gettop(L) < 3 ? 3 : lua_gettop(L));
        options = 3;
    }
    if (!lua_isnoneornil(L, options))
        luaL_argexpected(L, lua_istable(L, options), options, "table of options");
    luaL_argcheck(L, !lua_istable(L, 1) || !lua_istable(L, options) || lua_rawlen(L, options) == 0, options,
                  "a table of options has names: several lists stand in the first table");
    luaL_argcheck(L, lua_gettop(L) <= options, options + 1, "no more than the values and a table of options");
    if (options == 3) {
        lua_newtable(L);
        lua_pushvalue(L, 1);
        lua_setfield(L, 4, "x");
        lua_pushvalue(L, 2);
        lua_setfield(L, 4, "y");
        if (lua_istable(L, 3))
            merge(L, 3, 4);
        lua_replace(L, 1);
        lua_settop(L, 1);
    }
}

static void read_arguments(lua_State *L, const char *kind)
{
    int options;

    read_places(L, kind);
    options = lua_istable(L, 2) ? 2 : lua_istable(L, 1) ? 1 : 0;
    lua_settop(L, 2);
    lua_pushnil(L);
    if (options == 1)
        lua_getfield(L, 1, "data");
    else
        lua_pushvalue(L, 1);
    if (lua_isuserdata(L, 4) && luaL_getmetafield(L, 4, "__name") != LUA_TNIL &&
        strcmp(luaL_optstring(L, -1, ""), "DataFrame") == 0) {
        session_require(L, "lacus.plot");
        lua_getfield(L, -1, kind);
        lua_pushvalue(L, 4);
        if (options)
            lua_pushvalue(L, options);
        else
            lua_newtable(L);
        lua_call(L, 2, 1);
        lua_replace(L, 1);
        lua_settop(L, 1);
        return;
    }
    lua_settop(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    if (options != 2) {
        lua_settop(L, 1);
        return;
    }
    lua_newtable(L); /* of both; the user's tables stay as they are */
    merge(L, 1, 3);
    merge(L, 2, 3);
    lua_replace(L, 1);
    lua_settop(L, 1);
}

/* What each kind of plot reads beside the options; where names are the user's own (bars, boxes), only a list or a number is
 * one. */
static const struct fields {
    const char *kind, *names;
    int own; /* the type of what has a name of the user's own; LUA_TNIL: there are none */
} fields[] = {{"line", " x y series ", LUA_TNIL},   {"scatter", " x y series ", LUA_TNIL},
              {"bar", " x y series ", LUA_TNUMBER}, {"hist", " x counted ", LUA_TNIL},
              {"box", " y boxes ", LUA_TTABLE},     {"heatmap", " z x y value ", LUA_TNIL}};

static bool is_option(const char *name)
{
    for (size_t i = 0; i < sizeof option_names / sizeof *option_names; i++)
        if (strcmp(name, option_names[i]) == 0)
            return true;
    return false;
}

/* The value is on the top. */
static int unknown_option(lua_State *L, const struct fields *f, const char *name)
{
    struct buf near = BUF_INIT(256);
    struct err err;

    if (f->own == LUA_TNIL)
        err_set(&err, LC_ARG, "plot.%s has no option '%s'", f->kind, name);
    else
        err_set(&err, LC_ARG, "'%s' is no option of plot.%s, and a %s; a %s is %s", name, f->kind,
                luaL_typename(L, -1), f->kind, f->own == LUA_TNUMBER ? "a number" : "a list of numbers");
    if (nearest_list(&near, name, option_names, sizeof option_names / sizeof *option_names, 3) && near.len)
        err_hint(&err, "did you mean %s?", buf_str(&near));
    buf_release(&near);
    return session_raise(L, &err);
}

static void check_options(lua_State *L, const char *kind) /* of the table at 1 */
{
    const struct fields *f = fields;
    char word[64];

    while (strcmp(f->kind, kind) != 0)
        f++;
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        if (!name || is_option(name) || (f->own != LUA_TNIL && kind_at(L, f->own == LUA_TNUMBER) == f->own))
            continue;
        snprintf(word, sizeof word, " %.60s ", name);
        if (!strstr(f->names, word))
            unknown_option(L, f, name);
    }
}

static json_t *begin(lua_State *L, const char *kind) /* options at 1, the plot at 2 then */
{
    json_t *spec;

    read_arguments(L, kind);
    check_options(L, kind);
    spec = new_spec(L, kind);
    read_options(L, 1, spec);
    return spec;
}

static int make(lua_State *L, const char *kind)
{
    read_points(L, begin(L, kind));
    return 1;
}

static int l_line(lua_State *L)
{
    return make(L, "line");
}

/* plot(…), as in MATLAB and matplotlib */
static int l_call(lua_State *L)
{
    lua_remove(L, 1);
    return l_line(L);
}

static int l_scatter(lua_State *L)
{
    return make(L, "scatter");
}

static int compare_points(const void *a, const void *b)
{
    json_t *const *x = a, *const *y = b;

    return strcmp(plot_spec_text(*x, "x"), plot_spec_text(*y, "x"));
}

/* {apples = 3, pears = 5}: names and values, in the order of the names. */
static void read_named_bars(lua_State *L, json_t *spec)
{
    json_t *values = json_object_get(spec, "values");
    size_t n;

    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || is_option(lua_tostring(L, -2)))
            continue;
        add_point(L, spec, NULL, session_json_text(lua_tostring(L, -2), lua_rawlen(L, -2)), json_of(L, true));
    }
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
    json_t *spec = begin(L, "bar");
    bool lists;

    lua_getfield(L, 1, "y");
    lua_getfield(L, 1, "series");
    lists = !lua_isnil(L, -2) || !lua_isnil(L, -1) || is_list(L, 1);
    lua_settop(L, 2);
    if (lists) {
        read_points(L, spec);
        return 1;
    }
    read_named_bars(L, spec);
    if (json_array_size(json_object_get(spec, "values")) == 0)
        return luaL_argerror(L, 1, "{name = number, …} or {x = {…}, y = {…}} expected");
    return 1;
}

static lua_Integer pick_bins(lua_State *L, lua_Integer n)
{
    lua_Integer usual = (lua_Integer)ceil(sqrt((double)n)), bins = usual > 50 ? 50 : usual;

    if (lua_getfield(L, 1, "bins") != LUA_TNIL)
        bins = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    lua_pop(L, 1);
    luaL_argcheck(L, bins >= 1 && bins <= BINS_MAX, 1, "bins: a number from 1 to 10000 expected");
    return bins;
}

/* The finite numbers of the list at index, in a userdata that is pushed; gaps are left out. */
static double *push_numbers(lua_State *L, int index, const char *name, size_t *count)
{
    lua_Integer n = luaL_len(L, index);
    double *out = lua_newuserdatauv(L, (size_t)n * sizeof *out + 1, 0);
    int top = lua_gettop(L);

    check_list(L, index, name, true);
    *count = 0;
    for (lua_Integer i = 1; i <= n; i++) {
        json_t *value = value_at(L, index, i, true);
        if (!json_is_null(value))
            out[(*count)++] = json_number_value(value);
        json_decref(value);
    }
    lua_settop(L, top);
    return out;
}

struct range {
    double low, high;
    lua_Integer bins;
};

static void add_bins(json_t *spec, const char *series, const double *v, size_t n, const struct range *r,
                     size_t *counts)
{
    memset(counts, 0, (size_t)r->bins * sizeof *counts);
    for (size_t i = 0; i < n; i++) {
        lua_Integer bin =
            r->low == r->high ? 0 : (lua_Integer)((v[i] - r->low) / (r->high - r->low) * (double)r->bins);
        counts[bin < r->bins ? bin : r->bins - 1]++;
    }
    for (lua_Integer i = 0; i < r->bins; i++) {
        double width = (r->high - r->low) / (double)r->bins;
        json_t *point = json_pack("{sfsfsI}", "x", r->low + width * (double)i, "x2",
                                  r->low + width * (double)(i + 1), "y", (json_int_t)counts[i]);
        if (series)
            json_object_set_new(point, "series", json_string(series));
        json_array_append_new(json_object_get(spec, "values"), point);
    }
}

static void widen(struct range *r, const double *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        r->low = v[i] < r->low ? v[i] : r->low;
        r->high = v[i] > r->high ? v[i] : r->high;
    }
}

/* x = {loss = {…}, other = {…}}: the same bins for all */
static void hist_named(lua_State *L, json_t *spec, int lists)
{
    struct range r = {INFINITY, -INFINITY, 0};
    lua_Integer names = push_names(L, lists), total = 0;
    int first = lua_gettop(L);
    size_t n[SERIES_MAX];

    luaL_checkstack(L, 2 * SERIES_MAX, NULL);
    for (lua_Integer i = 1; i <= names; i++) {
        lua_rawgeti(L, first, i);
        lua_gettable(L, lists);
        lua_rawgeti(L, first, i);
        const char *name = lua_tostring(L, -1);
        lua_pop(L, 1); /* the list of names holds it */
        const double *v = push_numbers(L, lua_gettop(L), name, &n[i - 1]);
        widen(&r, v, n[i - 1]);
        total += (lua_Integer)n[i - 1];
    }
    luaL_argcheck(L, total > 0, 1, "lists of finite numbers expected");
    r.bins = r.low == r.high ? 1 : pick_bins(L, total);
    size_t *counts = lua_newuserdatauv(L, (size_t)r.bins * sizeof *counts, 0);
    for (lua_Integer i = 1; i <= names; i++) {
        lua_rawgeti(L, first, i);
        add_bins(spec, lua_tostring(L, -1), lua_touserdata(L, first + 2 * (int)i), n[i - 1], &r, counts);
        lua_pop(L, 1);
    }
    json_object_set_new(spec, "named", json_true());
}

static void count_list(lua_State *L, json_t *spec, const char *series, double low, double width)
{
    lua_Integer n = luaL_len(L, -1); /* the counts are on the top */

    for (lua_Integer i = 1; i <= n && i <= BINS_MAX; i++) {
        lua_geti(L, -1, i);
        json_t *bin = json_pack("{sfsfsI}", "x", low + width * (double)(i - 1), "x2", low + width * (double)i,
                                "y", (json_int_t)lua_tointeger(L, -1));
        if (series)
            json_object_set_new(bin, "series", session_json_text(series, strlen(series)));
        json_array_append_new(json_object_get(spec, "values"), bin);
        lua_pop(L, 1);
    }
}

/* What an engine has counted: {low =, width =, counts = {…} or {name = {…}}} */
static void hist_counted(lua_State *L, json_t *spec, int counted)
{
    double low, width;
    lua_Integer n;
    int counts, names;

    lua_getfield(L, counted, "low");
    lua_getfield(L, counted, "width");
    lua_getfield(L, counted, "counts");
    low = luaL_checknumber(L, -3);
    width = luaL_checknumber(L, -2);
    counts = lua_gettop(L);
    if (is_list(L, counts)) {
        count_list(L, spec, NULL, low, width);
        return;
    }
    n = push_names(L, counts);
    names = lua_gettop(L);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, names, i);
        lua_pushvalue(L, -1);
        lua_gettable(L, counts);
        count_list(L, spec, lua_tostring(L, -2), low, width);
        lua_pop(L, 2);
    }
    json_object_set_new(spec, "named", json_true());
}

static int l_hist(lua_State *L) /* {values…, bins = 20}, {x = {…}}, {x = {name = {…}}} */
{
    json_t *spec = begin(L, "hist");
    struct range r = {INFINITY, -INFINITY, 0};
    size_t n;
    const double *v;

    lua_getfield(L, 1, "x");
    lua_getfield(L, 1, "counted");
    if (lua_istable(L, 4)) {
        hist_counted(L, spec, 4);
    } else if (lua_istable(L, 3) && !is_list(L, 3)) {
        hist_named(L, spec, 3);
    } else {
        v = push_numbers(L, lua_istable(L, 3) ? 3 : 1, lua_istable(L, 3) ? "x" : "values", &n);
        luaL_argcheck(L, n > 0, 1, "a list of finite numbers expected");
        widen(&r, v, n);
        r.bins = r.low == r.high ? 1 : pick_bins(L, (lua_Integer)n);
        add_bins(spec, NULL, v, n, &r, lua_newuserdatauv(L, (size_t)r.bins * sizeof(size_t), 0));
    }
    lua_settop(L, 2);
    return 1;
}

/* ---- box: quartiles, whiskers to the last value within 1.5 of the middle half, what is beyond as points ---- */
static int compare_numbers(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double quantile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;

    return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

static void add_box(lua_State *L, json_t *spec, const char *name, int list)
{
    size_t n, low = 0, high;
    double *v = push_numbers(L, list, name, &n), q1, q3;
    json_t *box, *outliers = json_array();

    if (n == 0) {
        json_decref(outliers);
        luaL_error(L, "'%s' has no finite numbers", name);
    }
    qsort(v, n, sizeof *v, compare_numbers);
    q1 = quantile(v, n, 0.25), q3 = quantile(v, n, 0.75);
    high = n - 1;
    while (v[low] < q1 - 1.5 * (q3 - q1))
        low++;
    while (v[high] > q3 + 1.5 * (q3 - q1))
        high--;
    for (size_t i = 0; i < n && json_array_size(outliers) < OUTLIERS_MAX; i++)
        if (i < low || i > high)
            json_array_append_new(outliers, json_real(v[i]));
    box = json_pack("{s:o, s:f, s:f, s:f, s:f, s:f, s:I, s:o}", "x", session_json_text(name, strlen(name)),
                    "low", v[low], "q1", q1, "median", quantile(v, n, 0.5), "q3", q3, "high", v[high],
                    "count", (json_int_t)n, "outliers", outliers);
    json_array_append_new(json_object_get(spec, "values"), box);
    lua_pop(L, 1);
}

static void boxes_of(lua_State *L, json_t *spec, int table)
{
    lua_Integer n = push_names(L, table);
    int names = lua_gettop(L);

    for (lua_Integer i = 1; i <= n; i++) {
        const char *name;
        lua_rawgeti(L, names, i);
        name = lua_tostring(L, -1);
        lua_pushvalue(L, -1);
        lua_gettable(L, table);
        if (!is_option(name) || table != 1)
            add_box(L, spec, name, lua_gettop(L));
        lua_pop(L, 2);
    }
}

static int l_box(lua_State *L) /* {a = {…}, b = {…}}, {y = {a = {…}}}, {1, 2, 3} */
{
    json_t *spec = begin(L, "box");
    struct err err;

    lua_getfield(L, 1, "y");
    lua_getfield(L, 1, "boxes");
    if (lua_istable(L, 4)) { /* what an engine has measured */
        json_t *boxes = session_to_json(L, 4, &err);
        if (!boxes)
            return session_raise(L, &err);
        json_object_set_new(spec, "values", boxes);
    } else if (is_list(L, 3) || (lua_isnil(L, 3) && is_list(L, 1))) {
        add_box(L, spec, *plot_spec_text(spec, "ylabel") ? plot_spec_text(spec, "ylabel") : "value",
                is_list(L, 3) ? 3 : 1);
    } else {
        boxes_of(L, spec, lua_istable(L, 3) ? 3 : 1);
    }
    lua_settop(L, 2);
    return 1;
}

/* ---- heat maps ---- */
static void add_cell(lua_State *L, json_t *spec, json_t *x, json_t *y, json_t *value) /* takes the values */
{
    json_t *values = json_object_get(spec, "values");

    json_array_append_new(values, json_pack("{s:o, s:o, s:o}", "x", x, "y", y, "value", value));
    if (json_array_size(values) > CELLS_MAX)
        luaL_error(L, "cannot draw a heat map of more than %d cells", CELLS_MAX);
}

/* The i-th label at x (0: there are none): 1, 2, 3, … without them. */
static json_t *label_at(lua_State *L, int labels, lua_Integer i)
{
    json_t *label = labels ? value_at(L, labels, i, false) : json_null();

    return json_is_null(label) ? json_integer((json_int_t)i) : label;
}

static void check_labels(lua_State *L, int x, int y)
{
    if (x)
        check_list(L, x, "x", false);
    if (y)
        check_list(L, y, "y", false);
}

static void cells_of_rows(lua_State *L, json_t *spec, int rows, int x, int y)
{
    char name[32];

    check_labels(L, x, y);
    for (lua_Integer i = 1, n = luaL_len(L, rows); i <= n; i++) {
        lua_geti(L, rows, i);
        if (!lua_istable(L, -1))
            luaL_error(L, "a heat map takes rows of numbers, and row %d is a %s", (int)i,
                       luaL_typename(L, -1));
        snprintf(name, sizeof name, "row %d", (int)i);
        check_list(L, lua_gettop(L), name, true);
        for (lua_Integer k = 1, m = luaL_len(L, -1); k <= m; k++)
            add_cell(L, spec, label_at(L, x, k), label_at(L, y, i), value_at(L, lua_gettop(L), k, true));
        lua_pop(L, 1);
    }
}

static int
l_heatmap(lua_State *L) /* {{…}, {…}}, {z = rows, x = labels, y = labels}, {x = {…}, y = {…}, value = {…}} */
{
    json_t *spec = begin(L, "heatmap");
    int rows, x, y;

    lua_getfield(L, 1, "z");
    lua_getfield(L, 1, "value");
    lua_getfield(L, 1, "x");
    lua_getfield(L, 1, "y");
    x = is_list(L, 5) ? 5 : 0;
    y = is_list(L, 6) ? 6 : 0;
    rows = is_list(L, 3) ? 3 : is_list(L, 1) ? 1 : 0;
    if (is_list(L, 4) && x && y) {
        if (luaL_len(L, 4) != luaL_len(L, x) || luaL_len(L, 4) != luaL_len(L, y))
            luaL_error(L, "x has %d values, y %d and value %d", (int)luaL_len(L, x), (int)luaL_len(L, y),
                       (int)luaL_len(L, 4));
        check_labels(L, x, y);
        check_list(L, 4, "value", true);
        for (lua_Integer i = 1, n = luaL_len(L, 4); i <= n; i++)
            add_cell(L, spec, value_at(L, x, i, false), value_at(L, y, i, false), value_at(L, 4, i, true));
    } else if (rows) {
        cells_of_rows(L, spec, rows, x, y);
    } else {
        return luaL_argerror(L, 1, "{{…}, {…}}, {z = rows} or {x = {…}, y = {…}, value = {…}} expected");
    }
    lua_settop(L, 2);
    return 1;
}

/* ---- showing ---- */
static int terminal_columns(lua_State *L) /* 0: there is no terminal */
{
    const struct frontend *f = session_frontend(session_of(L));

    return f->ops && f->ops->columns ? f->ops->columns(f->self) : 0;
}

static int l_mimebundle(lua_State *L)
{
    struct plot *p = luaL_checkudata(L, 1, plot_name);
    struct buf *text = session_buf(L, BUF_TEXT_MAX);
    json_t **vega = session_json_slot(L);

    plot_spec_draw(p->spec, terminal_columns(L), text);
    *vega = plot_spec_vega(p->spec);
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

    plot_spec_draw(p->spec, terminal_columns(L), text);
    lua_pushlstring(L, buf_str(text), text->len);
    return 1;
}

#define COMMON                                                                                               \
    "title?: string, xlabel?: string, ylabel?: string, logx?: boolean, logy?: boolean, color?: string, "     \
    "colors?: table, width?: number, height?: number, data?: DataFrame}"
#define VALUES "ColumnName|table"

static const struct manual_row library[] = {
    {"line", l_line,
     "line{x?: " VALUES ", y?: " VALUES ", by?: ColumnName, series?: table, " COMMON
     "\nA line for each list: y may be {name = list, …}; plot(…) is the same. Of a dataframe: plot.line(df, "
     "{x = \"step\", y = "
     "\"loss\", by = \"run\"}); y = {\"a\", \"b\"}: several columns."
     "\n\tplot.line{x = {1, 2, 3}, y = {loss = {3, 2, 1}}, logy = true}"},
    {"scatter", l_scatter,
     "scatter{x?: " VALUES ", y?: " VALUES ", by?: ColumnName, series?: table, " COMMON
     "\nA point for each pair.\n\tplot.scatter(df, {x = \"a\", y = \"b\"})"},
    {"bar", l_bar,
     "bar{x?: " VALUES ", y?: " VALUES
     ", by?: ColumnName, agg?: AggregateName, stacked?: boolean, sort?: string, "
     "series?: table, " COMMON "\nA bar for each name, also {name = number, …}. Of a dataframe: the rows are "
     "counted, or agg = \"avg\" of "
     "y; sort = \"y\": the largest first.\n\tplot.bar(df, {x = \"country\", y = \"price\", agg = \"avg\"})"},
    {"hist", l_hist,
     "hist{x?: " VALUES ", bins?: integer, " COMMON "\nHow often values fall into each of the bins; x may be "
     "{name = list, …}.\n\tplot.hist(df, {x = \"price\"})"},
    {"box", l_box,
     "box{x?: ColumnName, y?: " VALUES ", " COMMON
     "\nMedian, quartiles, whiskers and what lies beyond, of a list or of {name = list, …}.\n"
     "\tplot.box(df, {x = \"country\", y = \"price\"})"},
    {"heatmap", l_heatmap,
     "heatmap{z?: table, x?: " VALUES ", y?: " VALUES ", value?: " VALUES ", agg?: AggregateName, " COMMON
     "\nA coloured cell for each number of rows of numbers.\n"
     "\tplot.heatmap(df, {x = \"day\", y = \"hour\", value = \"n\", agg = \"sum\"})"},
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
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_call);
    lua_setfield(L, -2, "__call");
    lua_setmetatable(L, -2);
    return 1;
}

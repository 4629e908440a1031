/* manual_lua.c: what the manual says of widgets: the constructors from the table of widgets, and what each widget can do. */
#include "widgets/rows.h"
#include "widgets/trait.h"
#include "widgets/widget_lua.h"
#include <stdio.h>
#include <string.h>

/* What widgets with a place on the page take beside their own keys. */
static const char placed[] = "{\"layout\":null,\"tabbable\":null,\"tooltip\":null}";
static const char styled[] = "{\"layout\":null,\"style\":null,\"tabbable\":null,\"tooltip\":null}";

static bool constructor(size_t i, struct manual_entry *e)
{
    const struct widget_row *row = &widget_rows[i];

    if (!row->name)
        return false;
    if (row->traits & WIDGET_LINK)
        return true;
    e->name = row->name;
    const char *example = strchr(row->doc, '\t');
    size_t n = example ? (size_t)(example - row->doc) - 1 : strlen(row->doc);

    if (!(row->traits & WIDGET_PART))
        e->also = row->style ? styled : placed;
    e->signature = (struct manual_text){row->keys, strlen(row->keys)};
    e->doc = (struct manual_text){row->doc, n};
    if (example)
        e->example = (struct manual_text){example, strlen(example)};
    return true;
}

static bool is(struct manual_text t, const char *s)
{
    return t.len == strlen(s) && memcmp(t.s, s, t.len) == 0;
}

/* The words of a text as types: a|b → "a"|"b". */
static void put_words(const char *words, const char *between, struct buf *out)
{
    for (const char *p = words + strspn(words, between); *p; p += strspn(p, between)) {
        size_t n = strcspn(p, between);
        buf_printf(out, "%s\"%.*s\"", out->len ? "|" : "", (int)n, p);
        p += n;
    }
}

/* What a field may be, from the table that its values are checked with; what makes a layout or a style. */
static bool field_type(const struct manual_entry *e, struct manual_text field, struct buf *out)
{
    const struct widget_row *row = widget_row_find(e->name);
    char key[64];

    if (!row || field.len >= sizeof key)
        return false;
    snprintf(key, sizeof key, "%.*s", (int)field.len, field.s);
    struct trait t = trait_of(row, key, NULL);
    if (e->also && is(field, "layout"))
        buf_puts(out, "Layout");
    else if (e->also && row->style && is(field, "style"))
        buf_puts(out, row->style);
    else if (t.kind == TRAIT_ENUM)
        put_words(t.values, "|", out);
    else if (t.kind == TRAIT_COLOR) {
        put_words(trait_colors(), " ", out);
        buf_puts(out, "|string"); /* "#ff8000" */
    } else if (is(field, "rows"))
        buf_puts(out, "integer");
    return out->len > 0;
}

/* The texts among the options of a choice. */
static void add_options(lua_State *L) /* the list is on the top */
{
    lua_Integer n = 0;

    lua_getfield(L, 1, "options");
    for (lua_Integer i = 1; lua_istable(L, -1) && lua_rawgeti(L, -1, i) != LUA_TNIL; i++)
        if (lua_type(L, -1) == LUA_TSTRING)
            lua_rawseti(L, -3, ++n);
        else
            lua_pop(L, 1);
}

int widget_values(lua_State *L) /* (widget, prefix, key) */
{
    const struct model *m = widget_check(L, 1);
    const char *key = luaL_checkstring(L, 3), *words = NULL, *between = "|";
    struct trait t = trait_of(m->row, key, NULL);
    lua_Integer n = 0;

    lua_newtable(L);
    if (t.kind == TRAIT_ENUM) {
        words = t.values;
    } else if (t.kind == TRAIT_COLOR) {
        words = trait_colors();
        between = " ";
    } else if ((m->row->traits & (WIDGET_CHOICE | WIDGET_CHOICES)) && strcmp(key, "value") == 0) {
        int list = lua_gettop(L);
        add_options(L);
        lua_settop(L, list);
    }
    for (const char *p = words ? words + strspn(words, between) : ""; *p; p += strspn(p, between)) {
        size_t len = strcspn(p, between);
        lua_pushlstring(L, p, len);
        lua_rawseti(L, -2, ++n);
        p += len;
    }
    return 1;
}

static const struct manual_row methods[] = {
    {"observe", NULL,
     "observe(fn: function, names?: string|table)\ncalls fn{name =, old =, new =, owner =} when a field "
     "changes\n\t"
     "widgets.IntSlider{max = 10}:observe(function(change) print(change.new) end, \"value\")"},
    {"unobserve", NULL,
     "unobserve(fn: function)\nno longer"
     "\n\tlocal s, f = widgets.IntSlider{}, print s:observe(f) s:unobserve(f)"},
    {"unobserve_all", NULL,
     "unobserve_all()\nno function is called any more"
     "\n\twidgets.IntSlider{}:unobserve_all()"},
    {"on_click", NULL,
     "on_click(fn: function)\ncalls fn(button) when a button is clicked"
     "\n\twidgets.Button{description = \"go\"}:on_click(function(button) print(button.description) end)"},
    {"on_submit", NULL,
     "on_submit(fn: function)\ncalls fn(widget) when Enter is pressed in a field"
     "\n\twidgets.Text{}:on_submit(function(field) print(field.value) end)"},
    {"on_msg", NULL,
     "on_msg(fn: function)\ncalls fn(widget, content, buffers) for messages of the front end's own"
     "\n\twidgets.Button{}:on_msg(function(widget, content) print(content) end)"},
    {"click", NULL,
     "click()\nas if the button had been clicked"
     "\n\twidgets.Button{description = \"go\"}:click()"},
    {"close", NULL,
     "close()\nthe widget disappears, its layout and style too"
     "\n\twidgets.Label{value = \"gone\"}:close()"},
    {"capture", NULL,
     "capture(fn?: function, …) -> any\nof an Output: what fn prints and shows goes into it; without fn "
     "until the end of the block: local _ <close> = out:capture()"
     "\n\tlocal out = widgets.Output{} out:capture(function() print(\"in it\") end)"},
    {"clear_output", NULL,
     "clear_output(wait?: boolean)\nof an Output: empties it"
     "\n\twidgets.Output{}:clear_output()"},
    {"append_stdout", NULL,
     "append_stdout(text: string)\nof an Output: adds a text"
     "\n\twidgets.Output{}:append_stdout(\"line\\n\")"},
    {"append_stderr", NULL,
     "append_stderr(text: string)\nof an Output: adds a text, as an error"
     "\n\twidgets.Output{}:append_stderr(\"warning\\n\")"},
    {"append_display_data", NULL,
     "append_display_data(value: any)\nof an Output: shows a value in it"
     "\n\twidgets.Output{}:append_display_data({1, 2})"},
    {0}};

static const struct manual_row fields[] = {
    {"value", NULL, "value: any\nwhat is chosen or written; setting it changes what is seen"},
    {"description", NULL, "description: string\nthe label"},
    {"disabled", NULL, "disabled: boolean\nwhether it can be used"},
    {"layout", NULL, "layout: table\nits place and size, as in CSS: {width = \"300px\"}"},
    {"style", NULL, "style: table\nits colours and fonts"},
    {MANUAL_ELEMENT, NULL, MANUAL_ELEMENT ": any\nany other trait that its kind has: s.max"},
    {0}};

static const struct manual_topic widgets_topic = {.name = "widgets",
                                                  .doc = "controls in the notebook, as ipywidgets has them",
                                                  .more = constructor,
                                                  .type_of = field_type,
                                                  .returns = "Widget"};
static const struct manual_topic widget_topic = {
    .name = "Widget", .doc = "a control", .kind = MANUAL_CLASS, .rows = methods, .fields = fields};
const struct manual_topic *const widgets_topics[] = {&widgets_topic, &widget_topic, NULL};

static void push_dbutils(lua_State *L, const char *library, const char *function)
{
    lua_getglobal(L, "dbutils");
    lua_getfield(L, -1, library);
    lua_getfield(L, -1, function);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

static int l_names(lua_State *L) /* of dbutils.widgets */
{
    lua_Integer n = 0;

    lua_settop(L, 0);
    lua_newtable(L);
    push_dbutils(L, "widgets", "getAll");
    lua_call(L, 0, 1);
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_rawseti(L, 1, ++n);
    }
    lua_settop(L, 1);
    return 1;
}

static int l_scopes(lua_State *L) /* of dbutils.secrets */
{
    lua_Integer n = 0;

    lua_settop(L, 0);
    lua_newtable(L);
    push_dbutils(L, "secrets", "listScopes");
    lua_call(L, 0, 1);
    for (lua_Integer i = 1; lua_geti(L, 2, i) == LUA_TTABLE; i++) {
        lua_getfield(L, -1, "name");
        lua_rawseti(L, 1, ++n);
        lua_settop(L, 2);
    }
    lua_settop(L, 1);
    return 1;
}

static int l_keys(lua_State *L) /* (self, prefix, scope): of a scope of dbutils.secrets */
{
    lua_Integer n = 0;

    lua_settop(L, 3);
    lua_newtable(L);
    push_dbutils(L, "secrets", "list");
    lua_pushvalue(L, 3);
    lua_call(L, 1, 1);
    for (lua_Integer i = 1; lua_geti(L, -1, i) == LUA_TTABLE; i++) {
        lua_getfield(L, -1, "key");
        lua_rawseti(L, 4, ++n);
        lua_pop(L, 1);
    }
    lua_settop(L, 4);
    return 1;
}

static const struct manual_values names[] = {
    {"WidgetName", l_names}, {"ScopeName", l_scopes}, {"SecretKey", l_keys}, {0}};
static const struct manual_topic names_topic = {
    .name = "dbutils.widgets", .doc = "the parameters of a notebook, as controls", .values = names};
const struct manual_topic *const dbutils_topics[] = {&names_topic, NULL};

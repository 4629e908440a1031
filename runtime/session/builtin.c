/* The names that a session brings by itself, opened when they are first used. */
#include "runtime/session/debug.h"
#include "runtime/session/display.h"
#include "runtime/session/magic.h"
#include "runtime/session/manual.h"
#include "runtime/session/names.h"
#include "runtime/session/session_int.h"

static int open_null(lua_State *L)
{
    lua_pushlightuserdata(L, NULL);
    return 1;
}

static int open_fmt(lua_State *L)
{
    lua_pushcfunction(L, fmt_call);
    return 1;
}

static int open_input(lua_State *L)
{
    lua_pushcfunction(L, session_ask);
    return 1;
}

static int l_sleep(lua_State *L)
{
    lua_Number seconds = luaL_checknumber(L, 1);

    luaL_argcheck(L, seconds >= 0 && seconds < 1e9, 1, "seconds expected, not negative");
    lua_settop(L, 0);
    return hook_sleep(L, clock_mono_ns() + (int64_t)(seconds * 1e9));
}

static int open_sleep(lua_State *L)
{
    lua_pushcfunction(L, l_sleep);
    return 1;
}

int builtin_exit(lua_State *L)
{
    return session_exit(L);
}

static int open_exit(lua_State *L)
{
    lua_pushcfunction(L, builtin_exit);
    return 1;
}

static int l_breakpoint(lua_State *L)
{
    struct debug *d = debug_of(session_of(L));

    if (d && debug_attached(d))
        debug_pause(d);
    return 0;
}

static int open_breakpoint(lua_State *L)
{
    lua_pushcfunction(L, l_breakpoint);
    return 1;
}

static const struct manual_row rows[] = {
    {"breakpoint", l_breakpoint,
     "breakpoint()\nstops here when the debugger is on: the notebook's panel, or %debug; else does nothing. "
     "While it stands still, the panel can look and evaluate; widgets and subshells go on"
     "\n\tbreakpoint()"},
    {"exit", builtin_exit, "exit(code?: integer)\nends the session; the bare word does too\n\texit()"},
    {"quit", builtin_exit, NULL},
    {"fmt", fmt_call,
     "fmt(format: string, …) -> string\nPython's format language: {} the next argument, {2} the second, "
     "{name} a variable or a "
     "field of a table, {:,} {:.2f} {:>10} {:%}\n\tfmt(\"{:,} rows, {:.1%}\", 1234567, 0.25)"},
    {"input", session_ask,
     "input(prompt?: string, options?: {password?: boolean}) -> string\nasks the person at the notebook"
     "\n\tlocal name = input(\"name? \")"},
    {"sleep", l_sleep, "sleep(seconds: number)\nwaits; can be interrupted\n\tsleep(0.1)"},
    {0}};
static const struct manual_row fields[] = {
    {"null", NULL, "null: lightuserdata\nSQL's NULL, JSON's null: in rows, in JSON, where nil cannot stand"},
    {0}};
static const struct manual_topic base = {
    .name = "", .doc = "names that every cell has", .rows = rows, .fields = fields};
static const struct manual_topic *const base_topics[] = {&base, NULL};

static const struct manual_row lacus_rows[] = {
    {"magic", magic_run_text,
     "magic(text: string) -> any\nruns a magic, a command or a cell of one, from a text that was put "
     "together; "
     "%history -t shows cells so"
     "\n\tfor _, name in ipairs{\"first\", \"second\"} do lacus.magic(\"%md about \" .. name) end"},
    {0}};
static const struct manual_topic lacus_topic = {
    .name = "lacus", .doc = "the session itself", .rows = lacus_rows};
static const struct manual_topic *const lacus_topics[] = {&lacus_topic, NULL};

static int open_lacus(lua_State *L)
{
    static const luaL_Reg functions[] = {{"magic", magic_run_text}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}

static int l_now(lua_State *L) /* seconds, from some moment on */
{
    lua_pushnumber(L, (lua_Number)clock_mono_ns() / 1e9);
    return 1;
}

static int l_columns(lua_State *L)
{
    const struct frontend *f = session_frontend(session_of(L));
    int columns = f->ops && f->ops->columns ? f->ops->columns(f->self) : 0;

    lua_pushinteger(L, columns > 0 ? columns : 80);
    return 1;
}

static int open_progress(lua_State *L)
{
    static const luaL_Reg native[] = {{"now", l_now}, {"columns", l_columns}, {NULL, NULL}};

    session_require(L, "lacus.progress");
    luaL_newlib(L, native);
    lua_call(L, 1, 1);
    return 1;
}

const struct session_global names_builtin[] = {
    {"breakpoint", open_breakpoint, "breakpoint(): stops here when the debugger is on", NULL},
    {"clear_output", display_open_clear, "clear_output(wait): clears what the cell has shown", NULL},
    {"display", display_open,
     "display(x, …): shows values richly; display.html, .markdown, .latex, .json, .svg, .image, .mime",
     display_topics},
    {"exit", open_exit, "exit: ends the session, as Ctrl-D does at a prompt", NULL},
    {"fmt", open_fmt,
     "fmt(\"{:,} rows, {:.1%}\", n, share): Python's format language; {name} takes a variable or a field of "
     "a table",
     NULL},
    {"input", open_input, "input(prompt, {password = true}): asks the person at the notebook", NULL},
    {"json", json_open,
     "json.encode(value), json.decode(text), json.array(table), json.object(table), json.null", json_topics},
    {"lacus", open_lacus, "lacus.magic(\"%cd /tmp\"): runs a magic or a command that was put together",
     lacus_topics},
    {"null", open_null, "SQL's NULL, JSON's null", base_topics},
    {"plot", plot_open,
     "plot.line, scatter, bar, hist, box, heatmap: Vega-Lite in a notebook, text in a terminal", plot_topics},
    {"progress", open_progress,
     "progress(list, {desc = \"rows\"}): for x in progress(list) do … end shows how far it is; also of a "
     "number or an iterator",
     NULL},
    {"quit", open_exit, "quit: as exit", NULL},
    {"sleep", open_sleep, "sleep(seconds): waits; can be interrupted", NULL},
    {"update_display", display_open_update,
     "update_display(x, {display_id = id}): replaces what was shown with that id", NULL},
    {0},
};

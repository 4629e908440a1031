/* session_test.c: what a cell says and asks, how it fails, what is remembered. */
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/session/session.h"
#include "runtime/session/session_lua.h"
#include "tests/support/recorder.h"
#include "tests/support/unit.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct recorder *open_recorder(struct session_options options)
{
    struct recorder *r = calloc(1, sizeof *r);
    struct err err;

    options.frontend = recorder_frontend(r);
    if (session_open(&options, &r->session, &err) != LC_OK)
        fail_msg("%s", err.message);
    return r;
}

static void close_recorder(struct recorder *r)
{
    session_close(r->session);
    recorder_release(r);
    free(r);
}

static int set_up(void **state)
{
    *state = open_recorder((struct session_options){0});
    return 0;
}

static int tear_down(void **state)
{
    close_recorder(*state);
    return 0;
}

static struct cell_reply run(struct recorder *r, const char *text)
{
    struct cell_reply reply;

    recorder_clear(r);
    recorder_run(r, r->session, text, &reply);
    return reply;
}

static void ok(struct recorder *r, const char *text)
{
    struct cell_reply reply = run(r, text);

    if (reply.status != CELL_OK)
        fail_msg("%s\n%s: %s", text, reply.ename, reply.evalue);
    cell_reply_release(&reply);
}

static void gives(struct recorder *r, const char *text, const char *want)
{
    ok(r, text);
    const char *got = recorder_result(r);
    if (!got || strcmp(got, want) != 0)
        fail_msg("%s\n  want %s\n  got  %s", text, want, got ? got : "nothing");
}

static void says(struct recorder *r, enum stream stream, const char *text, const char *want)
{
    ok(r, text);
    char *got = recorder_text(r, stream);
    assert_string_equal(got, want);
    mem_free(got);
}

/* The traceback without colours, as one text. */
static char *traceback_of(const struct cell_reply *reply)
{
    struct buf b = BUF_INIT(1 << 20);
    json_t *line;
    size_t i;

    json_array_foreach (reply->traceback, i, line) {
        const char *p = json_string_value(line);
        for (; *p; p++)
            if (*p == '\x1b')
                p = strchr(p, 'm');
            else
                buf_putc(&b, *p);
        buf_putc(&b, '\n');
    }
    return buf_take(&b);
}

static void fails(struct recorder *r, const char *text, const char *ename, const char *const *parts)
{
    struct cell_reply reply = run(r, text);

    assert_int_equal(reply.status, CELL_ERROR);
    char *traceback = traceback_of(&reply);
    bool fine = strcmp(reply.ename, ename) == 0;
    for (const char *const *p = parts; *p; p++)
        fine = fine && strstr(traceback, *p);
    if (!fine)
        fail_msg("%s\n  want %s … %s\n  got %s\n%s", text, ename, parts[0], reply.ename, traceback);
    assert_non_null(recorder_event(r, "error", 0));
    mem_free(traceback);
    cell_reply_release(&reply);
}

/* An error whose line happens to hold a word that other languages use otherwise. */
static void fails_without_hint(struct recorder *r, const char *text)
{
    struct cell_reply reply = run(r, text);

    assert_int_equal(reply.status, CELL_ERROR);
    char *traceback = traceback_of(&reply);
    if (strstr(traceback, "hint:"))
        fail_msg("%s\n  wants no hint\n%s", text, traceback);
    mem_free(traceback);
    cell_reply_release(&reply);
}

#define FAILS(r, text, ename, ...) fails(r, text, ename, (const char *const[]){__VA_ARGS__, NULL})

/* ---- output and input ---- */
static void output_goes_to_the_front_end(void **state)
{
    struct recorder *r = *state;

    says(r, STREAM_STDOUT, "print('a', 1, nil, true) print() print(1.5)", "a\t1\tnil\ttrue\n\n1.5\n");
    says(r, STREAM_STDOUT, "io.write('a', 1):write('b') io.stdout:write('c')", "a1bc");
    says(r, STREAM_STDERR, "io.stderr:write('e', 2)", "e2");
    says(r, STREAM_STDOUT, "print(setmetatable({}, {__tostring = function() return 'T' end}))", "T\n");
    says(r, STREAM_STDOUT, "print('\\xff\\xc3\\xa9')", "\xEF\xBF\xBD\xc3\xa9\n");
    says(r, STREAM_STDOUT,
         "local n = os.tmpname() local f = io.open(n, 'w') f:write('to a file') f:close() "
         "for l in io.lines(n) do print(l) end os.remove(n)",
         "to a file\n");
}

static void input_comes_from_the_front_end(void **state)
{
    static const char *const answers[] = {"Ada", "secret", "one", "42 rest", "last", NULL};
    struct recorder *r = *state;

    r->answers = answers;
    gives(r, "input('name? ')", "Ada");
    assert_string_equal(r->prompt, "name? ");
    gives(r, "input('word: ', {password = true})", "secret");
    assert_true(r->password);
    gives(r, "io.read()", "one");
    gives(r, "io.read('n'), io.stdin:read('l')", "nil\tlast");
    FAILS(r, "input()", "UnsupportedError", "nobody answers");
    struct cell_request cell = {.code = "input()", .len = 7};
    struct cell_reply reply;
    struct err err;
    assert_int_equal(session_execute(r->session, &cell, &reply, &err), LC_OK);
    assert_string_equal(reply.ename, "UnsupportedError");
    assert_non_null(strstr(reply.evalue, "allow_stdin"));
    cell_reply_release(&reply);
}

/* ---- errors ---- */
static void errors_say_where_and_what(void **state)
{
    struct recorder *r = *state;

    FAILS(r, "local t = {}\nt.x.y = 3", "RuntimeError", "Cell In[1], line 2", "----> 2 t.x.y = 3\n",
          "          ^\n", "attempt to index a nil value (field 'x')");
    FAILS(r, "function g() error('in g') end\nlocal function h() g() end\nh()", "RuntimeError",
          "Cell In[2], line 1, in function 'g'", "Cell In[2], line 2, in function 'h'", "Cell In[2], line 3",
          "RuntimeError: in g");
    FAILS(r, "if a != 3 then\nend", "SyntaxError", "Cell In[3], line 1", "             ^",
          "Lua's 'not equal' is ~=");
    FAILS(r, "x += 1", "SyntaxError", "Lua has no +=");
    FAILS(r, "import os", "SyntaxError", "os.getenv");
    FAILS(r, "x = lambda a: a", "SyntaxError", "Lua's anonymous functions");
    FAILS(r, "df$x", "SyntaxError", "a column is df.x");
    FAILS(r, "x %in% y", "SyntaxError", "isin(1, 2)");
    FAILS(r, "a <- 3", "RuntimeError", "Lua assigns with =");
    FAILS(r, "x <- c(1, 2)", "RuntimeError", "{1, 2, 3}");
    FAILS(r, "library(dplyr)", "RuntimeError", "require(\"name\")");
    FAILS(r, "'a' in t", "SyntaxError", "t[key] ~= nil");
    FAILS(r, "throw 'x'", "RuntimeError", "Lua raises errors");
    FAILS(r, "@deco\nfunction f() end", "SyntaxError", "f = decorator(f)");
    FAILS(r, "global x", "SyntaxError", "declares it with local");
    FAILS(r, "local r = null; print(r.x)", "RuntimeError", "'r' is null");
    FAILS(r, "while (x) { }", "SyntaxError", "Lua's blocks have words");
    FAILS(r, "function f() { }", "SyntaxError", "Lua's blocks have words");
    FAILS(r, "x = {'a': 1}", "SyntaxError", "Lua's tables: {a = 1");
    FAILS(r, "/* c */", "SyntaxError", "--[[ and ]]");
    FAILS(r, "# comment", "RuntimeError", "Lua's comments begin with --");
    FAILS(r, "'abc'[0]", "SyntaxError", "s:sub(1, 1)");
    FAILS(r, "print 5", "SyntaxError", "print is a function");
    fails_without_hint(r, "for i=1,3 do\n print(i)\n");
    fails_without_hint(r, "local a = print(1) 5 6");
    fails_without_hint(r, "function f() print(1)");
    fails_without_hint(r, "print('a != b', \"x => y\" 5)");
    fails_without_hint(r, "t = {}; t[1]:foo() bar baz");
    fails_without_hint(r, "print('is it # ok' 5)");
    fails_without_hint(r, "x = {a = 1, b = 'is: this'; c = 5 d = 6}");
    fails_without_hint(r, "print('a' -- x != y\n z)");
    fails_without_hint(r, "stats = {}; print(stats.sum + 1)");
    fails_without_hint(r, "config = {}; config.items.x = 1");
    fails_without_hint(r, "total // 2");
    fails_without_hint(r, "x = {1, 2}; x.");
    fails_without_hint(r, "print(w + 1)");
    fails_without_hint(r, "list = nil; list[1] = 2");
    fails_without_hint(r, "table.sort({3, 'a', 2})");
    FAILS(r, "None.x", "RuntimeError", "Lua's None is nil");
    FAILS(r, "pritn(1)", "RuntimeError", "did you mean 'print'?");
    FAILS(r, "local lenght = 1; print(lenhgt + 1)", "RuntimeError", "did you mean 'lenght'");
    FAILS(r, "string.fromat('x')", "RuntimeError", "did you mean 'format'");
    FAILS(r, "local df = setmetatable({}, {__index = {columns = 1, count = 2}}); df:cuont()", "RuntimeError",
          "did you mean 'count'");
    FAILS(r, "local function f(arg) return arg.inner.lenght + 1 end f{inner = {length = 1}}", "RuntimeError",
          "did you mean 'length'");
    FAILS(r, "error({code = 'NOTFOUND', message = 'no table', hint = 'look', cause = 'disk'})",
          "NotFoundError", "NotFoundError: no table", "cause: disk", "hint: look");
    FAILS(r,
          "error{message = 'a', cause = {message = 'b', code = 'IO', cause = {message = 'c', cause = 'd'}}}",
          "Error", "Error: a", "  cause: IOError: b", "  cause: Error: c", "  cause: d");
    FAILS(r, "error(setmetatable({}, {__tostring = function() return 'mine' end}))", "Error", "Error: mine");
    FAILS(r, "error({1, 2})", "Error", "{1, 2}");
    FAILS(r, "error()", "Error", "nil");
    FAILS(r, "coroutine.wrap(function()\n  error('inside')\nend)()", "RuntimeError", "line 2", "line 1",
          "inside");
    FAILS(r, "local function f() return f() + 1 end f()", "RuntimeError", "stack overflow",
          "the call above about", "more times");
    FAILS(r, "json.decode('{')", "ParseError", "cannot decode JSON");
    FAILS(r, "error(setmetatable({}, {__tostring = error}))", "Error", "could not be shown");
    gives(r, "1 + 1", "2");
}

static void habits_of_other_languages_are_known(void **state)
{
    static const struct {
        const char *text, *hint;
    } rows[] = {
        {"x = 500_000", "numbers have no _"},
        {"x++", "Lua has no ++"},
        {"if a && b then end", "'and'"},
        {"if a || b then end", "'or'"},
        {"x = 1 if y else 2", "x and y or z"},
        {"x = y ? 1 : 2", "x and y or z"},
        {"t = [1, 2, 3]", "{1, 2, 3}"},
        {"s = f\"a{x}\"", "fmt"},
        {"def f(x): return x", "function name(x)"},
        {"try:", "end"},
        {"for i in range(3): print(i)", "for i = 1, n"},
        {"if x then y() elif z then end", "elseif"},
        {"let x = 1", "local x"},
        {"f = x => x", "function(x)"},
        {"x = null === 1", "=="},
        {"local t = {1}; print(t[0].x)", "begin at 1"},
        {"print(len('x'))", "#x"},
        {"local s = 'abc'; print(s.upper())", "s:upper("},
        {"local o = setmetatable({n = 1}, {__index = {get = function(self) return self.n end}}); o.get()",
         "o:get("},
        {"local a, b = 1; print(a < b)", "here a is a number, b is nil"},
        {"print('%d rows' % 3)", "fmt("},
        {"print('a' + 'b')", ".."},
        {"local t = {}; t.append(1)", "table.insert"},
        {"local s = 'a b'; s:split()", "gmatch"},
        {"switch (x) {", "no switch"},
        {"switch(x) {\n  case 1:\n    print(1); break;\n}", "no switch"},
        {"switch (x)\n{\n  case \"a\": y = 1\n}", "no switch"},
        {"  case 1:\n  print(1)", "no switch"},
        {"match x:\n    case 1: y()", "no match"},
        {"None.x", "nil"},
        {"local pd = require 'pandas'", "spark:createDataFrame"},
        {"import pandas as pd", "spark:createDataFrame"},
        {"from pyspark.sql import functions as F", "F.col"},
        {"for x in {1, 2} do print(x) end", "ipairs(list)"},
        {"for c in 'abc' do print(c) end", "gmatch"},
        {"for i in 3 do print(i) end", "for i = 1, n"},
        {"if x = 1 then end", "=="},
        {"while x = 1 do end", "=="},
        {"function f(a, b = 2) end", "b = b or 2"},
        {"f('a', header = true)", "f{x, header = true}"},
        {"print(x, end='')", "io.write(x)"},
        {"x = 'abc'.upper()", "(\"text\"):upper()"},
        {"'abc':upper()", "(\"text\"):upper()"},
        {"t = {\n  'a': 1,\n}", "{a = 1"},
        {"try:\n  x = 1\nexcept Exception as e:\n  print(e)", "if x then"},
        {"for i in range(3):\n  print(i)", "for i = 1, n"},
        {"local s = 'abc'; s:count", "brackets"},
        {"x = 1 \\\n  + 2", "without a \\"},
        {"x: int = 5", "no types"},
        {"a, b = (1, 2)", "no tuples"},
        {"x = 'a\nb'", "[["},
        {"x = \"\"\"doc\"\"\"", "[["},
        {"SELECT * FROM t", "%%sql"},
        {"pip install lpeg", "%luarocks install"},
        {"x = 'a' * 3", ":rep("},
        {"x = 5 // comment", "--"},
        {"print(json:encode({a = 1}))", "json.encode("},
        {"print(math:floor(2.5))", "math.floor("},
        {"local s = 'abc'; print(s.rep(2))", "s:rep("},
        {"require 'nowhere'", "%luarocks install nowhere"},
        {"local o = {}; function o:get() return self.n end o.get()", "o:get("},
        {"local function one() return two() end local function two() end one()", "'two' is a local"},
        {"f = io.open('/nowhere'); f:read()", "f = assert(io.open(path))"},
        {"for i = 1, 3 do print(i) end end", "one too many"},
        {"local o = {}; function o:get(n) return self.n end o.get(5)", "o:get("},
        {"local function f(list) for _, x in ipairs(list) do end end f(nil)", "the loop goes over is nil"},
        {"for k, v in pairs(nil) do end", "the loop goes over is nil"},
        {"io.open('/nowhere/x'):read('a')", "assert(io.open(path))"},
        {"x = %nowhere", "%lsmagic"},
        {"x = 1\n%%bash\nls", "first line"},
        {"-- c\n%%bash\nls", "first line"},
        {"x = 'it''s'", "is written \\'"},
        {"t = {\n  a: 1,\n}", "{a = 1"},
        {"t = {a: b, c: 1}", "{a = 1"},
        {"x = 1; !ls", "beginning of its line"},
        {"s = 'abc'; print(s[1:2])", "s:sub(1, 3)"},
    };
    struct recorder *r = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cell_reply reply;
        recorder_clear(r);
        recorder_run(r, r->session, rows[i].text, &reply);
        const char *last =
            json_string_value(json_array_get(reply.traceback, json_array_size(reply.traceback) - 1));
        if (reply.status != CELL_ERROR || !last || !strstr(last, "hint") || !strstr(last, rows[i].hint))
            fail_msg("%s: want a hint with %s, got %s", rows[i].text, rows[i].hint, last ? last : "nothing");
        cell_reply_release(&reply);
    }
}

static void names_of_other_languages_do_not_pass_silently(void **state)
{
    struct recorder *r = *state;

    recorder_clear(r);
    ok(r, "local a = 1\nlocal flag = True");
    char *text = recorder_text(r, STREAM_STDERR);
    assert_non_null(strstr(text, "line 2: Lua writes true"));
    free(text);
    recorder_clear(r);
    ok(r, "local True = true; local flag = True; local t = {None = 1}; print(t.None, 'None')");
    ok(r, "!echo None\nlocal lines = !echo True");
    text = recorder_text(r, STREAM_STDERR);
    assert_string_equal(text, "");
    free(text);
}

static void memory_has_a_ceiling(void **state)
{
    (void)state;
    setenv("LACUS_MEMORY_LIMIT", "20M", 1);
    struct recorder *r = open_recorder((struct session_options){0});
    FAILS(r, "local t = {} for i = 1, 1e9 do t[i] = {} end", "MemoryError", "LACUS_MEMORY_LIMIT");
    gives(r, "t = nil; collectgarbage(); 1 + 1", "2");
    gives(r, "local ok, e = pcall(string.rep, 'x', 1 << 30); ok, e", "false\tnot enough memory");
    close_recorder(r);
    unsetenv("LACUS_MEMORY_LIMIT");
}

static void the_ceiling_moves(void **state)
{
    static const char *const wrong[] = {"much", "2X", "2GB more", "nan", "1K"};
    struct recorder *r = *state;
    struct err err;

    assert_int_equal(session_limit_memory(r->session, "30MB", &err), LC_OK);
    FAILS(r, "t = {} for i = 1, 1e9 do t[i] = {} end", "MemoryError", "use 30 MB");
    gives(r, "t = nil; collectgarbage(); #string.rep('x', 8 << 20)", "8388608");
    assert_int_equal(session_limit_memory(r->session, "0.25gib", &err), LC_OK);
    gives(r, "#string.rep('x', 64 << 20)", "67108864");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(session_limit_memory(r->session, wrong[i], &err), LC_ARG);
    assert_int_equal(session_limit_memory(r->session, "0", &err), LC_OK);
    assert_int_equal(session_limit_memory(r->session, "", &err), LC_OK);
}

/* ---- requests ---- */
static void requests_are_obeyed(void **state)
{
    struct recorder *r = *state;
    struct cell_request cell = {.code = "7", .len = 1, .silent = true, .store_history = true};
    struct cell_reply reply;
    struct err err;

    ok(r, "local n = 3");
    assert_int_equal(session_execution_count(r->session), 1);
    recorder_clear(r);
    assert_int_equal(session_execute(r->session, &cell, &reply, &err), LC_OK);
    assert_int_equal(reply.execution_count, 1); /* silent: not counted, no result */
    assert_null(recorder_result(r));
    cell_reply_release(&reply);
    cell.silent = cell.store_history = false;
    cell.user_expressions = json_pack("{ssssss}", "good", "n * 2", "bad", "nope.x", "none", "local z");
    assert_int_equal(session_execute(r->session, &cell, &reply, &err), LC_OK);
    assert_int_equal(reply.execution_count, 1);
    assert_string_equal(recorder_result(r), "7");
    json_t *good = json_object_get(reply.user_expressions, "good"),
           *bad = json_object_get(reply.user_expressions, "bad");
    assert_string_equal(json_string_value(json_object_get(json_object_get(good, "data"), "text/plain")), "6");
    assert_string_equal(json_string_value(json_object_get(bad, "status")), "error");
    assert_string_equal(json_string_value(json_object_get(bad, "ename")), "RuntimeError");
    json_decref(cell.user_expressions);
    cell_reply_release(&reply);
    reply = run(r, "os.exit(3) print('not reached')");
    assert_int_equal(reply.status, CELL_OK);
    assert_true(reply.exit_asked);
    assert_int_equal(reply.exit_status, 3);
    assert_non_null(recorder_event(r, "ask_exit", 0));
    assert_null(recorder_event(r, "stream", 0));
    cell_reply_release(&reply);
}

static int open_answer(lua_State *L)
{
    struct session *s = session_of(L);
    (void)s;
    lua_pushinteger(L, 42);
    return 1;
}

static int open_broken(lua_State *L)
{
    struct err err;
    err_set(&err, LC_MISSING, "a library is not here");
    return session_raise(L, &err);
}

static const struct session_global test_globals[] = {
    {"answer", open_answer, "the answer", NULL}, {"broken", open_broken, "", NULL}, {0}};

static int run_twice(lua_State *L, const char *line, const char *body)
{
    const char *text = body ? body : line;
    session_run_text(L, text, strlen(text), "magic");
    lua_settop(L, 0);
    return session_run_text(L, text, strlen(text), "magic");
}

static const struct session_magic test_magics[] = {
    {"twice", "%twice TEXT", "runs it twice", MAGIC_LINE | MAGIC_CELL, run_twice, .example = NULL}, {0}};

static void globals_are_opened_when_used(void **state)
{
    struct recorder *r =
        open_recorder((struct session_options){.globals = test_globals, .magics = test_magics});
    lua_State *L = session_lua(r->session);

    (void)state;
    gives(r, "rawget(_G, 'answer') == nil", "true");
    gives(r, "answer", "42");
    gives(r, "(require('answer'))", "42");
    FAILS(r, "broken", "MissingDependencyError", "a library is not here");
    gives(r, "pcall(function() return broken end)", "false\ta library is not here");
    ok(r, "mine = 1; local kept = 2; answer = 5; print = print");
    session_user_names(L);
    lua_getfield(L, -1, "mine");
    assert_int_equal(lua_tointeger(L, -1), 1);
    lua_getfield(L, -2, "kept");
    assert_int_equal(lua_tointeger(L, -1), 2);
    lua_getfield(L, -3, "answer");
    assert_int_equal(lua_tointeger(L, -1), 5); /* shadowed: the user's */
    lua_getfield(L, -4, "print");
    assert_true(lua_isnil(L, -1));
    lua_settop(L, 0);
    assert_true(session_forget(L, "mine"));
    assert_true(session_forget(L, "kept"));
    assert_true(session_forget(L, "answer"));
    assert_false(session_forget(L, "none"));
    lua_settop(L, 0);
    gives(r, "mine, kept, answer", "nil\tnil\t42");
    /* magics see the cell's locals, and what they define lives on */
    gives(r, "local n = 1\n%twice n = n + 1\nn", "3");
    ok(r, "%%twice\nlocal fromMagic = n");
    gives(r, "fromMagic", "3");
    gives(r, "%twice n * 2", "6");
    gives(r, "%%twice\nn * 3", "9");
    close_recorder(r);
}

/* ---- history ---- */
static void history_is_kept(void **state)
{
    char folder[] = "/tmp/lacus-history-XXXXXX";
    struct session_options options = {0};
    json_t *reply, *request, *rows;

    (void)state;
    assert_non_null(mkdtemp(folder));
    char *path = fs_join(folder, "below/history.db");
    options.history = path;
    for (int i = 0; i < 2; i++) {
        struct recorder *r = open_recorder(options);
        ok(r, i ? "local second = 1" : "local first = 1");
        ok(r, "print('x')");
        close_recorder(r);
    }
    struct recorder *r = open_recorder(options);
    ok(r, "third = 3");
    request = json_pack("{sssi}", "hist_access_type", "tail", "n", 3);
    reply = session_history(r->session, request);
    rows = json_object_get(reply, "history");
    assert_int_equal(json_array_size(rows), 3);
    assert_string_equal(json_string_value(json_array_get(json_array_get(rows, 2), 2)), "third = 3");
    assert_string_equal(json_string_value(json_array_get(json_array_get(rows, 0), 2)), "local second = 1");
    json_decref(request);
    json_decref(reply);
    request = json_pack("{sssssb}", "hist_access_type", "search", "pattern", "*first*", "output", 1);
    reply = session_history(r->session, request);
    rows = json_object_get(reply, "history");
    assert_int_equal(json_array_size(rows), 1);
    assert_string_equal(json_string_value(json_array_get(json_array_get(json_array_get(rows, 0), 2), 0)),
                        "local first = 1");
    json_decref(request);
    json_decref(reply);
    request = json_pack("{sssisisi}", "hist_access_type", "range", "session", -1, "start", 2, "stop", 3);
    reply = session_history(r->session, request);
    rows = json_object_get(reply, "history");
    assert_int_equal(json_array_size(rows), 1);
    assert_string_equal(json_string_value(json_array_get(json_array_get(rows, 0), 2)), "print('x')");
    json_decref(request);
    json_decref(reply);
    close_recorder(r);
    options.history = "/proc/none/history.db";
    r = open_recorder(options);
    ok(r, "1");
    ok(r, "2"); /* the cell goes on */
    close_recorder(r);
    mem_free(path);
    struct err err;
    assert_int_equal(fs_remove_tree(folder, &err), LC_OK);
}

/* ---- captured descriptors ---- */
static void descriptors_are_captured_in_order(void **state)
{
    struct recorder *r = open_recorder((struct session_options){.capture = true});

    (void)state;
    ok(r, "print('one') os.execute('echo two; echo error >&2') print('three') io.write('four') "
          "os.execute('printf five')");
    char *out = recorder_text(r, STREAM_STDOUT), *error = recorder_text(r, STREAM_STDERR);
    close_recorder(r);
    assert_string_equal(out, "one\ntwo\nthree\nfourfive");
    assert_string_equal(error, "error\n");
    mem_free(out);
    mem_free(error);
    r = open_recorder((struct session_options){.capture = true});
    puts("from C");
    printf("no line end");
    ok(r, "print('lua')");
    out = recorder_text(r, STREAM_STDOUT);
    close_recorder(r);
    assert_string_equal(out, "from C\nno line endlua\n");
    mem_free(out);
    r = open_recorder((struct session_options){.capture = true});
    ok(r, "os.execute('head -c 3000000 /dev/zero | tr \"\\\\0\" x')");
    out = recorder_text(r, STREAM_STDOUT);
    close_recorder(r);
    assert_int_equal(strlen(out), 3000000);
    mem_free(out);
}

/* ---- two sessions ---- */
static void *other_session(void *arg)
{
    struct recorder *r = open_recorder((struct session_options){0});

    for (int i = 0; i < 50; i++) {
        ok(r, "local co = coroutine.wrap(function() for i = 1, 100 do coroutine.yield(i) end end)\n"
              "local s = 0 for i = 1, 100 do s = s + co() end total = (total or 0) + s");
        gives(r, "fmt('{:,}', total // 5050)",
              (char[12]){(char)('0' + (i + 1) / 10), (char)('0' + (i + 1) % 10)} + (i < 9));
    }
    close_recorder(r);
    return arg;
}

static void two_sessions_at_once(void **state)
{
    pthread_t threads[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, other_session, NULL), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

/* ---- comms and callbacks ---- */
static void on_comm(struct session *s, void *arg, enum comm_kind kind, const char *comm_id, json_t *data,
                    const struct comm_buffers *buffers)
{
    int *calls = arg;

    (void)s, (void)kind, (void)data, (void)buffers;
    assert_string_equal(comm_id, "c1");
    ++*calls;
}

static void comms_reach_their_handlers(void **state)
{
    struct recorder *r = *state;
    struct err err;
    int calls = 0;

    assert_int_equal(session_comm(r->session, COMM_OPEN, "c1", "t", NULL, NULL, NULL, &err), LC_NOTFOUND);
    assert_int_equal(session_comm_target(r->session, "t", on_comm, &calls, &err), LC_OK);
    assert_int_equal(session_comm(r->session, COMM_OPEN, "c1", "t", NULL, NULL, NULL, &err), LC_OK);
    assert_int_equal(session_comm(r->session, COMM_MSG, "c1", NULL, NULL, NULL, NULL, &err), LC_OK);
    json_t *info = session_comm_info(r->session, "t");
    assert_int_equal(json_object_size(info), 1);
    json_decref(info);
    assert_int_equal(session_comm(r->session, COMM_CLOSE, "c1", NULL, NULL, NULL, NULL, &err), LC_OK);
    assert_int_equal(calls, 3);
    assert_int_equal(session_comm(r->session, COMM_MSG, "c1", NULL, NULL, NULL, NULL, &err), LC_NOTFOUND);
    assert_int_equal(session_comm_send(r->session, COMM_MSG, "c1", NULL, NULL, NULL, &err), LC_NOTFOUND);
}

/* ---- no memory ---- */
static void every_allocation_may_fail(void **state)
{
    static const char cell[] = "local t = {a = 1}; function f() return t end\n%nope";

    (void)state;
    for (long n = 0; n < 2000; n += n < 300 ? 1 : 17) {
        struct recorder r = {0};
        struct session_options options = {.frontend = recorder_frontend(&r)};
        struct cell_request request = {.code = cell, .len = sizeof cell - 1, .store_history = true};
        struct cell_reply reply;
        struct session *s = NULL;
        struct err err;
        mem_fail_after(n);
        enum lc rc = session_open(&options, &s, &err);
        if (rc == LC_OK && session_execute(s, &request, &reply, &err) == LC_OK) {
            mem_fail_never();
            cell_reply_release(&reply);
        }
        mem_fail_never();
        if (rc == LC_OK)
            session_close(s);
        recorder_release(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(output_goes_to_the_front_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(input_comes_from_the_front_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors_say_where_and_what, set_up, tear_down),
        cmocka_unit_test_setup_teardown(habits_of_other_languages_are_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_of_other_languages_do_not_pass_silently, set_up, tear_down),
        cmocka_unit_test(memory_has_a_ceiling),
        cmocka_unit_test_setup_teardown(the_ceiling_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_are_obeyed, set_up, tear_down),
        cmocka_unit_test(globals_are_opened_when_used),
        cmocka_unit_test(history_is_kept),
        cmocka_unit_test(descriptors_are_captured_in_order),
        cmocka_unit_test(two_sessions_at_once),
        cmocka_unit_test_setup_teardown(comms_reach_their_handlers, set_up, tear_down),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

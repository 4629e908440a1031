/* cell_test.c: a cell's top-level locals live on in later cells; lines that are not Lua; text cut anywhere. */
#include "runtime/base/mem.h"
#include "runtime/session/cell.h"
#include "runtime/session/magic.h"
#include "runtime/session/session_lua.h"
#include "tests/support/recorder.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct step {
    const char *text, *want; /* want: the result as text, "" none; "!…": an error that contains it */
};

/* One session, cell after cell. */
static const struct step steps[] = {
    {"local n = 0; function inc() n = n + 1 end", ""}, /* shared with a closure … */
    {"inc(); inc(); return n", "2"},
    {"n = 10; inc(); n", "11"}, /* … both ways; last bare expression */
    {"local a, b <const> = 1, (function() local z = {';', [[x]]} return #z end)()\nlocal c = a + b", ""},
    {"a, b, c", "1\t2\t3"},
    {"z", "nil"},                                          /* inner locals are not carried */
    {"b = 5", "!attempt to assign to const variable 'b'"}, /* const, run-time value */
    {"local k <const> = 7; function getk() return k end", ""},
    {"k + getk()", "14"}, /* const, folded by the compiler */
    {"print = print\nfunction setk()\n  k = 8 end", "!attempt to assign to const variable 'k'"},
    {"local s <const> = 'folded', 3", ""},
    {"local s2 <const>, s3 <const> = 'one', s", ""},
    {"s .. s2 .. s3", "foldedonefolded"},
    {"local x = 1; function getx() return x end", ""},
    {"local x = 2", ""},
    {"x, getx()", "2\t1"}, /* redeclared: the old closure keeps its own */
    {"local x = x + 1; local x <const> = x * 10", ""},
    {"x", "30"},
    {"x = 1", "!const variable 'x'"},
    {"local x = 'free again'", ""},
    {"x = x .. '!'; x", "free again!"}, /* the new x is no constant */
    {"local p = 1; p = 2; error('boom'); local q = 3", "!boom"},
    {"p, q", "2\tnil"}, /* half-way */
    {"local function fact(i) if i < 2 then return 1 end return i * fact(i - 1) end", ""},
    {"fact(5)", "120"},
    {"log = {}; local h <close> = setmetatable({}, {__close = function() log[#log + 1] = 'closed' end})\n"
     "log[#log+1] = 'run'",
     ""},
    {"table.concat(log, ' '), h", "run closed\tnil"},
    {"local h = 1", ""},
    {"local u, h <close> = 4, nil", ""},
    {"h, u", "nil\t4"}, /* shadowed by <close>: forgotten */
    {"local h2 <close> = setmetatable({}, {__close = function() log[3] = 'on error' end}) error{}", "!{}"},
    {"log[3]", "on error"},
    {"local v1, v2 = ...; return select('#', ...), v1, v2", "0\tnil\tnil"},
    {"local t = {}\n(function() t.a = 1 end)()\nlocal s = 'str'\n(print)()\nt.a",
     "1"}, /* no suffix after {} or a string */
    {"local f = string\n.format\nlocal g = f('%d%s', 4, [==[\n]]x]==])\n--[[ local no = 1 ]] g -- local no2 "
     "= 2",
     "4]]x"},
    {"no, no2", "nil\tnil"},
    {"local n1, n2 = 0x1p-2, 1e-1 .. '' local n3 = 3 local n4=- -4 ~ 0 ; n1, n2, n3, n4", "0.25\t0.1\t3\t4"},
    {"n1, n4", "0.25\t4"},
    {"local i = 0 ::top:: local w = i i = i + 1 if i < 3 then goto top end", ""},
    {"w, i", "2\t3"}, /* the newest variable */
    {"goto done; local dead = 1 ::done::", ""},
    {"dead", "nil"},
    {"goto in1; local jump = 1; ::in1:: print()", "!jumps into the scope of local 'jump'"},
    {"for i = 1, 2 do local e = i end while false do local e2 end repeat local r = 1 until r == 1 local "
     "after = 'ok'",
     ""},
    {"after, e, r", "ok\tnil\tnil"},
    {"if true then local y1 = 1 elseif x then local y2 else local y3 end local y4 = function(...) local y5 = "
     "... "
     "return y5 end",
     ""},
    {"y4(9), y1, y5", "9\tnil\tnil"},
    {"local _ENV = {}; here = 1", ""},
    {"here, _ENV == _G", "nil\ttrue"}, /* _ENV stays in its cell */
    {"local _k = 'mine'; _k0_ = 2; local _m = 'too'", ""},
    {"_k .. _k0_ .. _m", "mine2too"}, /* no clash with our own names */
    {"local two = 2\nreturn two * 2 -- a comment", "4"},
    {"two;", ""}, /* silenced */
    {"two; -- x", ""},
    {"-- nothing", ""},
    {"", ""},
    {"end; evil = 1; do", "!<eof> expected near 'end'"},
    {"evil", "nil"}, /* cannot leave the wrapper */
    {"local o = 1 --[[", "!unfinished long comment"},
    {"\x1bLua", "!binary chunk"},
    {"local ok1 = 1\nlocal bad = = 2", "!unexpected symbol near '='"},
    {"local ok2 = 1\n\nif x then\n", "!'end' expected (to close 'if' at line 3) near <eof>"},
    {"local l1 = 1\nlocal l2 = {\n}\nerror('here')", "!here"},
    {"l1, type(l2)", "1\ttable"},
    {"\nfunction lvl2(x) error('caller', 2) end\nlvl2(1)", "!caller"},
    {"local co = coroutine.wrap(function() local m = 0 while true do m = m + 1 coroutine.yield(m + (n or 0)) "
     "end end) "
     "co()",
     "12"},
    {"n = 100; co()", "102"},
    {"print('x')", ""},                    /* a call that gives nothing */
    {"(function() return nil end)()", ""}, /* … or nil */
    {"nil", "nil"},                        /* but a name that is nil is shown */
    {"return nil", "nil"},
    {"local a1 = 1; return a1, nil", "1\tnil"},
    {"x = 7", ""},
    /* lines that are not Lua */
    {"local d = 10\nlocal e = d\n  % 3\ne", "1"}, /* an operator */
    {"local q1 = [[\n%time no\n!no\nno?\n]]\n#q1", "17"},
    {"--[[\n%time no\n!no\n]] 5", "5"},
    {"f{\n1,\n%time\n}", "!unexpected symbol near '%'"},
    {"local lines = !printf 'a\\nb'\n#lines, lines[2]", "2\tb"},
    {"!exit 3", ""},
    {"x = 1\n!echo \"quoted\" 'and' \\\\back\nx", "1"},
    {"%no_such_magic 1", "!unknown magic '%no_such_magic'"},
    {"%%no_such_magic\n1", "!unknown magic '%%no_such_magic'"},
};

static bool run_step(struct recorder *r, const char *text, size_t len, const char *want)
{
    struct cell_request cell = {.code = text, .len = len, .store_history = true};
    struct cell_reply reply;
    struct err err;
    bool fine;

    recorder_clear(r);
    assert_int_equal(session_execute(r->session, &cell, &reply, &err), LC_OK);
    const char *got = reply.status == CELL_ERROR ? reply.evalue : recorder_result(r);
    if (!got)
        got = "";
    fine = *want == '!' ? reply.status == CELL_ERROR && strstr(got, want + 1)
                        : reply.status == CELL_OK && strcmp(got, want) == 0;
    if (!fine)
        print_error("%.300s\n  want %s\n  got  %s\n", text, want, got);
    cell_reply_release(&reply);
    return fine;
}

static void locals_live_on(void **state)
{
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        assert_true(run_step(*state, steps[i].text, strlen(steps[i].text), steps[i].want));
}

static void a_holder_and_a_closure_share_one_variable(void **state)
{
    struct recorder *r = *state;
    lua_State *L = session_lua(r->session);

    assert_true(run_step(r, "local n = 0; function inc() n = n + 1 end", 41, ""));
    assert_true(run_step(r, "inc(); inc()", 12, ""));
    assert_true(cell_local(L, "n", 1));
    assert_int_equal(lua_tointeger(L, -1), 2);
    lua_pop(L, 1);
    assert_true(cell_forget(L, "n"));
    assert_false(cell_local(L, "n", 1));
    assert_true(run_step(r, "n", 1, "nil"));
}

static void many_locals(void **state)
{
    char big[16000], *p;

    for (int i = 0; i < 600; i++) {
        int n = snprintf(big, sizeof big, "local many%d = %d", i, i);
        assert_true(run_step(*state, big, (size_t)n, ""));
    }
    p = big + sprintf(big, "local function many() return many0");
    for (int i = 1; i < 240; i++)
        p += sprintf(p, "+many%d", i);
    strcpy(p, " end many()"); /* 240 carried names in one cell: two groups */
    assert_true(run_step(*state, big, strlen(big), "28680"));
    for (int count = 200; count <= 201; count++) { /* 200 locals are fine, 201 is Lua's own error */
        p = big + sprintf(big, "local l0");
        for (int i = 1; i < count; i++)
            p += sprintf(p, i % 3 ? " local l%d" : ",l%d", i);
        assert_true(
            run_step(*state, big, strlen(big),
                     count == 200 ? "" : "!too many local variables (limit is 200) in main function"));
    }
}

struct damaged {
    const char *text;
    size_t len;
};

static int load_damaged(lua_State *L)
{
    struct damaged *d = lua_touserdata(L, 1);
    struct cell_shape shape;

    cell_load(L, d->text, d->len, "=cut", &shape);
    cell_error_offset(L, d->text, d->len);
    return 0;
}

static void cut_and_damaged_text_stops(void **state)
{
    struct recorder *r = *state;
    lua_State *L = session_lua(r->session);

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (size_t n = strlen(steps[i].text), cut = 0; cut < n; cut++) {
            char *copy = malloc(n); /* exact size, so that a sanitizer sees a read past the end */
            memcpy(copy, steps[i].text, n);
            copy[cut] = "\0\"'[]=(){}<>-:.%!?\n"[(i + cut) % 19];
            struct damaged both[] = {{copy, cut}, {copy, n}};
            for (int k = 0; k < 2; k++) {
                lua_pushcfunction(L, load_damaged);
                lua_pushlightuserdata(L, &both[k]);
                assert_int_equal(lua_pcall(L, 1, 0, 0), LUA_OK);
            }
            free(copy);
        }
}

static void an_error_points_at_its_place(void **state)
{
    static const struct {
        const char *text;
        long at;
    } cases[] = {{"x = = 2", 4},  {"if a != b then", 5}, {"local t = {1,\n2", 14}, {"f(", 1},
                 {"x = 'abc", 4}, {"x = 2", -1},         {"import os", 7}};
    struct recorder *r = *state;
    lua_State *L = session_lua(r->session);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        long at = cell_error_offset(L, cases[i].text, strlen(cases[i].text));
        if (at != cases[i].at)
            print_error("%s: %ld\n", cases[i].text, at);
        assert_int_equal(at, cases[i].at);
    }
}

static void rewritten(const char *text, const char *want)
{
    struct buf out = BUF_INIT(1000);
    bool changed = magic_rewrite(NULL, "_m", text, strlen(text), &out);

    assert_string_equal(changed ? buf_str(&out) : text, want);
    buf_release(&out);
}

static void special_lines_become_calls(void **state)
{
    (void)state;
    rewritten("%time f(\"x\")", "_m(\"%\",\"time f(\\\"x\\\")\")");
    rewritten("  !ls -l\nprint(1)", "  _m(\"!\",\"ls -l\")\nprint(1)");
    rewritten("local x = !ls", "local x = _m(\"=!\",\"ls\")");
    rewritten("a, b = %m x", "a, b = _m(\"%\",\"m x\")");
    rewritten("df.write?", "_m(\"?\",\"df.write?\")");
    rewritten("?x", "_m(\"?\",\"?x\")");
    rewritten("x = [[\n!no\n]]\n!yes", "x = [[\n!no\n]]\n_m(\"!\",\"yes\")");
    rewritten("f(\n%no\n)", "f(\n%no\n)");
    rewritten("x = 1 +\n%no", "x = 1 +\n%no");
    rewritten("x = 5 % 3", "x = 5 % 3");
    rewritten("--[[ a\n!no ]] !no", "--[[ a\n!no ]] !no");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(locals_live_on, recorder_set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(a_holder_and_a_closure_share_one_variable, recorder_set_up,
                                        recorder_tear_down),
        cmocka_unit_test_setup_teardown(many_locals, recorder_set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(cut_and_damaged_text_stops, recorder_set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(an_error_points_at_its_place, recorder_set_up, recorder_tear_down),
        cmocka_unit_test(special_lines_become_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

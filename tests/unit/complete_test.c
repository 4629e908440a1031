/* complete_test.c: completion, inspection and is_complete. */
#include "runtime/session/keywords.h"
#include "runtime/session/session_lua.h"
#include "tests/support/recorder.h"
#include "tests/support/unit.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int opened;

static int open_lazy(lua_State *L)
{
    opened++;
    lua_newtable(L);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "member");
    return 1;
}

static int run_nothing(lua_State *L, const char *line, const char *body)
{
    (void)L, (void)line, (void)body;
    return 0;
}

static const struct session_global globals[] = {{"lazylib", open_lazy, "a library that opens late", NULL},
                                                {0}};
static const struct session_magic magics[] = {
    {"timeit", "%timeit X", "times X", MAGIC_LINE | MAGIC_CELL, run_nothing, .example = NULL},
    {"sql", "%%sql", "runs SQL", MAGIC_CELL, run_nothing, .example = NULL},
    {0}};

static int set_up(void **state)
{
    struct recorder *r = calloc(1, sizeof *r);
    struct session_options options = {.frontend = recorder_frontend(r), .globals = globals, .magics = magics};
    struct err err;

    opened = 0;
    *state = r;
    return session_open(&options, &r->session, &err);
}

/* The text stands before the cursor; `want` are matches that must be there, "-name" ones that must not. */
static void offers(struct recorder *r, const char *text, int start, const char *const *want)
{
    json_t *reply = session_complete(r->session, text, strlen(text), 1 << 20), *match;
    size_t i;

    assert_string_equal(json_string_value(json_object_get(reply, "status")), "ok");
    for (; *want; want++) {
        bool found = false;
        json_array_foreach (json_object_get(reply, "matches"), i, match)
            found = found || strcmp(json_string_value(match), *want + (**want == '-')) == 0;
        if (found == (**want == '-')) {
            char *dump = json_dumps(json_object_get(reply, "matches"), 0);
            fail_msg("%s| %s in %s", text, *want, dump);
        }
    }
    assert_int_equal(json_integer_value(json_object_get(reply, "cursor_start")), start);
    json_t *types = json_object_get(json_object_get(reply, "metadata"), "_jupyter_types_experimental");
    assert_int_equal(json_array_size(types), json_array_size(json_object_get(reply, "matches")));
    json_decref(reply);
}

#define OFFERS(r, text, start, ...) offers(r, text, start, (const char *const[]){__VA_ARGS__, NULL})

static void completion_offers_what_fits(void **state)
{
    struct recorder *r = *state;

    recorder_do(
        r, "local carried = {alpha = 1, beta = function() end}; glob = 'text'\n"
           "local class = setmetatable({}, {__index = {method = print, field = 1}, __dir = function() return "
           "{'listed'} end})");
    OFFERS(r, "pri", 0, "print", "-pairs");
    OFFERS(r, "x = string.f", 11, "find", "format", "-print", "-gsub");
    OFFERS(r, "carried.", 8, "alpha", "beta");
    OFFERS(r, "carried:", 8, "beta", "-alpha");
    OFFERS(r, "glob:u", 5, "upper", "-unknown");
    OFFERS(r, "('x'):re", 6, "rep");
    OFFERS(r, "('x' + f()):re", 14, "-rep"); /* what would have to be run is not */
    OFFERS(r, "class.", 6, "method", "field", "listed");
    OFFERS(r, "class:", 6, "method", "listed", "-field");
    OFFERS(r, "class.__", 6, "-__index");
    OFFERS(r, "local inner = 1; inn", 17, "inner");
    OFFERS(r, "function f(param) return par", 25, "param");
    OFFERS(r, "wh", 0, "while");
    OFFERS(r, "laz", 0, "lazylib");
    assert_int_equal(opened, 0); /* its name is known without it */
    OFFERS(r, "lazylib.", 8, "member");
    assert_int_equal(opened, 1);
    OFFERS(r, "%ti", 1, "timeit", "-sql");
    OFFERS(r, "%%s", 2, "sql");
    OFFERS(r, "x = 1\n  %%s", 10, "sql");
    OFFERS(r, "h\xc3\xa9 = 1; pri", 8, "print"); /* positions count characters */
    OFFERS(r, "io.open(\"/et", 10, "etc/");
    OFFERS(r, "-- pri", 6, "-print");
    OFFERS(r, "nothing.", 8, "-print");
    OFFERS(r, "", 0, "print", "local");
    OFFERS(r, "(\"text\"):", 9, "upper", "rep", "-print");
    OFFERS(r, "(glob):u", 7, "upper", "-unknown");
    OFFERS(r, "(carried).a", 10, "alpha");
    OFFERS(r, "(1 + glob):", 11, "-upper");
    OFFERS(r, "::top:: goto t", 13, "top", "-table");
    OFFERS(r, "goto ", 5, "-print");
}

/* Each keyword of Lua has its help, and its example runs. */
static void keywords_are_explained(void **state)
{
    struct recorder *r = *state;
    int n = 0;

    for (const struct keyword *k = keywords; k->name; k++, n++) {
        recorder_do(r, k->example);
        assert_ptr_equal(keyword_find(k->name, strlen(k->name)), k);
    }
    assert_int_equal(n, 22); /* Lua 5.4, §3.1 */
    assert_null(keyword_find("print", 5));
}

static void completion_reads_half_the_text(void **state)
{
    struct recorder *r = *state;
    static const char jump[] = "for i = 1, 3 do goto con ::continue:: end ::done::";
    json_t *reply = session_complete(r->session, jump, sizeof jump - 1, 24); /* labels come later */

    assert_int_equal(json_array_size(json_object_get(reply, "matches")), 1);
    assert_string_equal(json_string_value(json_array_get(json_object_get(reply, "matches"), 0)), "continue");
    json_decref(reply);
    reply = session_complete(r->session, "pri + 1", 7, 3);

    assert_int_equal(json_integer_value(json_object_get(reply, "cursor_end")), 3);
    assert_int_equal(json_array_size(json_object_get(reply, "matches")), 1);
    json_decref(reply);
}

static void explains(struct recorder *r, const char *text, size_t cursor, int detail, const char *const *want)
{
    json_t *reply = session_inspect(r->session, text, strlen(text), cursor, detail);
    const char *got = json_string_value(json_object_get(json_object_get(reply, "data"), "text/plain"));

    assert_int_equal(json_is_true(json_object_get(reply, "found")), *want != NULL);
    for (; *want; want++)
        if (!got || !strstr(got, *want))
            fail_msg("%s: want %s in\n%s", text, *want, got ? got : "nothing");
    json_decref(reply);
}

#define EXPLAINS(r, text, cursor, detail, ...)                                                               \
    explains(r, text, cursor, detail, (const char *const[]){__VA_ARGS__, NULL})

static void inspection_explains(void **state)
{
    struct recorder *r = *state;

    recorder_do(r, "-- Adds two.\n-- Really.\nfunction adder(a, b, ...)\n  return a + b\nend\nlocal n = 42");
    EXPLAINS(r, "adder", 5, 0, "Signature: adder(a, b, ...)", "Adds two.\nReally.", "Cell In[1], line 3");
    EXPLAINS(r, "x = adder(1, ", 13, 1, "Source:\nfunction adder(a, b, ...)\n  return a + b\nend");
    EXPLAINS(r, "string.format", 13, 0, "string.format(formatstring");
    EXPLAINS(r, "print(n)", 6, 0, "Value: 42", "Type: number");
    EXPLAINS(r, "print(n)", 2, 0, "Signature: print");
    EXPLAINS(r, "lazylib", 3, 0, "a library that opens late");
    EXPLAINS(r, "%timeit x", 3, 0, "%timeit X", "times X");
    EXPLAINS(r, "for i = 1, 2 do end", 2, 0, "Syntax: for i = FIRST", "Example:", "Type: keyword");
    EXPLAINS(r, "if x then", 1, 0, "elseif CONDITION", "Type: keyword");
    EXPLAINS(r, "adder(nil)", 9, 0, "Signature: adder");
    explains(r, "unknown_name", 3, 0, (const char *const[]){NULL});
    explains(r, "1 + 1", 1, 0, (const char *const[]){NULL});
    recorder_do(r, "adder??");
    json_t *page = recorder_event(r, "page", 0);
    assert_non_null(page);
    assert_non_null(strstr(json_string_value(json_object_get(json_object_get(page, "data"), "text/plain")),
                           "return a + b"));
    recorder_do(r, "str*?");
    page = recorder_event(r, "page", 0);
    assert_string_equal(json_string_value(json_object_get(json_object_get(page, "data"), "text/plain")),
                        "string\n");
}

static void is(struct recorder *r, const char *text, const char *status, const char *indent)
{
    json_t *reply = session_is_complete(r->session, text, strlen(text));
    const char *got = json_string_value(json_object_get(reply, "indent"));

    if (strcmp(json_string_value(json_object_get(reply, "status")), status) != 0)
        fail_msg("%s: %s", text, json_string_value(json_object_get(reply, "status")));
    if (indent)
        assert_string_equal(got, indent);
    json_decref(reply);
}

static void is_complete_knows(void **state)
{
    struct recorder *r = *state;

    is(r, "print(1)", "complete", NULL);
    is(r, "1 + 1", "complete", NULL);
    is(r, "", "complete", NULL);
    is(r, "for i = 1, 2 do x = i end x", "complete",
       NULL); /* as the cell is run: statements, and a value behind them */
    is(r, "local s = [[\ntwo\n]] s", "complete", NULL);
    is(r, "if x then", "incomplete", "    ");
    is(r, "for i = 1, 2 do\n  x = {", "incomplete", "        ");
    is(r, "function f()\n  return 1", "incomplete", "    ");
    is(r, "1 +", "incomplete", "");
    is(r, "x = [[abc", "incomplete", NULL);
    is(r, "--[[ abc", "incomplete", NULL);
    is(r, "x = 'abc", "invalid", NULL);
    is(r, "x = = 2", "invalid", NULL);
    is(r, "end", "invalid", NULL);
    is(r, "!ls", "complete", NULL);
    is(r, "name?", "complete", NULL);
    is(r, "%timeit f()", "complete", NULL);
    is(r, "%%sql\nSELECT 1", "incomplete", "");
    is(r, "%%sql\nSELECT 1\n", "incomplete", "");
    is(r, "%%sql\nSELECT 1\n\n", "complete", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(completion_offers_what_fits, set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(keywords_are_explained, set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(completion_reads_half_the_text, set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(inspection_explains, set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(is_complete_knows, set_up, recorder_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

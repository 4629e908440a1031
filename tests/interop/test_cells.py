"""What cells say in corners that people reach: the results are written down here, not taken from the program."""
import json
import subprocess

import pytest
from lacus import lacus, script

ROWS = "local df = spark:createDataFrame({{1, 'x', {1, 2}}, {2, 'y', {}}}, {'a', 'b', 'c'})\n"


@pytest.mark.parametrize("code, want", [
    ("print(df.columns)", '{"a", "b", "c"}'),
    ("print('names: ' .. df.columns, df.columns .. '.')", 'names: {"a", "b", "c"}\t{"a", "b", "c"}.'),
    ("print(tostring(df.dtypes[1]), #df.dtypes)", '{"a", "bigint"}\t3'),
    ("print(df:select('a', 'b'):collect())", "{Row(a=1, b='x'), Row(a=2, b='y')}"),
    ("print(df.schema.names, df:collect()[1].c)", '{"a", "b", "c"}\t{1, 2}'),
    ("print(df:select(df.columns):count(), df:drop(table.unpack(df.columns)).columns)", "2\t{}"),
    ("print(spark.catalog:listTables())", "{}"),
    ("print(dbutils.widgets.getAll())", "{}"),
    ("print(json.encode{df.columns, df:limit(0):collect(), json.object{'zero'}})", '[["a","b","c"],[],{"1":"zero"}]'),
    ("print(fmt('{}', df.columns), table.concat(df.columns, '+'))", '{"a", "b", "c"}\ta+b+c'),
    ("local names = df.columns; local f = F.udf(function(i) return names[i] end, 'string'); print(df:select(f('a')):collect()[2][1])", "b"),
    ("print((select(2, pcall(function() return df.columns .. nil end)):match 'attempt to concatenate a nil value'))", "attempt to concatenate a nil value"),
    ("print(df.columns == df.columns, type(df.columns), tostring({}):match('^table: 0x') ~= nil)", "false\ttable\ttrue"),
])
def test_lists_that_functions_return_are_readable_as_text(code, want, tmp_path):
    assert script(tmp_path, ROWS + code) == want + "\n"


def fails(home, code, *more, **options):
    done = lacus(home, *(more or ["-c", code]), **options)
    assert done.returncode == 1, done
    return done.stderr


@pytest.mark.parametrize("code, want", [
    ("local ünï = 1", ["near 'ü'", 'hint: \'ü\' cannot stand in a name, whose letters are a-z and A-Z; a key may have it: t["ü"]']),
    ("spark:range(2):write:saveAsTable('t')", ["near ':'", "hint: 'write' is a property, which a dot gives: .write"]),
    ("return spark:range(2):columns", ["near <eof>", "hint: 'columns' is a property"]),
    ("print(“hi”)", ["near '“'", "typographic quote"]),
    ("local x\u00a0= 1", ["no-break space (U+00A0)"]),
    ("if a ≤ b then end", ["near '≤'", "Lua writes <="]),
    ("if !a then end", ["near '!'", "Lua writes 'not x'"]), ("print(!a)", ["Lua writes 'not x'"]), ("if a != b then end", ["'not equal' is ~="]),
    ("for i = 1, 2 do !ls end", ["hint: a command stands at the beginning of its line: !ls"]),
    ("%run some/tool.py 1", ["no notebook or Lua file 'some/tool.py'"]),
    ('error("data.csv:3: bad value", 0)', ["RuntimeError: data.csv:3: bad value"]),
    ("local co = coroutine.wrap(function() error('inside') end); co()", ["RuntimeError: inside"]),
    ("local a = coroutine.wrap(function() coroutine.wrap(function() error('inside') end)() end); a()", ["RuntimeError: inside"]),
    ("local function f(n) return 1 + f(n) end f(1)", ["… the call above about ", " more times …", "stack overflow"]),
    ("local function f(n) if n == 0 then error('deep') end f(n - 1) end f(12)", ["… the call above 12 more times …"]),
    ("local b; local function a(n) if n == 0 then error('deep') end b(n) end function b(n) a(n - 1) end a(60)", ["… the calls above about "]),
    ("setmetatable(1, {})", ["bad argument #1 to 'setmetatable' (table expected, got number)"]),
    ("io.write(1, nil)", ["bad argument #2 to 'write' (string expected, got nil)"]),
    ("io.stderr:write({})", ["bad argument #1 to 'write' (string expected, got table)"]),
    ("io.tmpfile():write(nil)", ["bad argument #1 to 'write' (string expected, got nil)"]),
    ("error(setmetatable({}, {__tostring = function() error('inner') end}))", ["(command line), line 1", "could not be shown"]),
    ("error()", ["Error: nil"]),
    ("spark:range(1):sort_values('id')", ["no column, named 'sort_values'", 'hint: df:orderBy("n"), df:orderBy(F.desc("n"))']),
    ("print(spark:range(1).shape)", ["named 'shape'", "hint: df:count() counts the rows, #df.columns the columns"]),
    ("print(spark:range(1).shap)", ["named 'shap'"]),
    ("error({1, {2}})", ["Error: {1, {2}}"]),
])
def test_errors_say_what_and_where(code, want, tmp_path):
    said = fails(tmp_path, code)
    for text in want:
        assert text in said, said


def test_a_script_has_its_name_in_errors(tmp_path):
    """As plain Lua names it; a module's lines are shown, too."""
    (tmp_path / "mod.lua").write_text("local M = {}\nfunction M.f()\n  error('in the module')\nend\nreturn M\n")
    (tmp_path / "main.lua").write_text("print(debug.getinfo(1, 'S').source)\r\nlocal m = require 'mod'\r\nm.f()\r\n")
    said = fails(tmp_path, None, "main.lua", cwd=tmp_path)
    assert "main.lua, line 3" in said and "----> 3   error('in the module')" in said and "----> 3 m.f()" in said
    assert lacus(tmp_path, "main.lua", cwd=tmp_path).stdout.startswith("@main.lua\n")
    assert fails(tmp_path, None, "-", text="\nerror('x')").startswith("stdin, line 2\n")
    long = tmp_path / ("a-long-name" * 9 + ".lua")
    long.write_text("print(1)\nerror('x')")
    assert "----> 2 error('x')" in fails(tmp_path, None, long)


@pytest.mark.parametrize("code, want", [
    ("if type(5) == int then print(1) end", 'hint: line 1: type(x) gives a text: type(x) == "number"\n'),
    ("x = {}\nprint(type(x.y) ~= table, 1)", 'hint: line 2: type(x) gives a text: type(x) == "table"\n'),
    ("print(type(5) == str)", 'hint: line 1: type(x) gives a text: type(x) == "string"\n'),
    ("x = 1\npass", "hint: an empty block needs no word in Lua: 'pass' is a name without a value here\n"),
    ("print(type(5) == 'number', type(5) == string.format('number'))", ""),
    ("local function is(x, int) return type(x) == int end", ""), ("int = 'number'\nprint(type(5) == int)", ""),
    ("local string = 'string'\nprint(type('') == string)", ""), ("local function f(user, pass) return pass end", ""), ("pass = 1\npass", ""), ("x = pass", ""),
])
def test_habits_that_compile_are_told(code, want, tmp_path):
    done = lacus(tmp_path, "-c", code)
    assert done.returncode == 0 and done.stderr == want, done


@pytest.mark.parametrize("code, want", [
    ("plot.line{1, 2, 'x'}", "y[3] is the text 'x'; values are numbers"),
    ("plot.line{1, {}, 2}", "y[2] is a table; numbers are drawn"),
    ("plot.scatter{x = {'a', 1}, y = {1, 2}}", "x[2] is a number, and those before it are texts"),
])
def test_a_plot_draws_nothing_wrong(code, want, tmp_path):
    assert want in fails(tmp_path, code)


def test_a_script_that_is_run_leaves_no_arg(tmp_path):
    (tmp_path / "s.lua").write_text("print(arg[0], arg[1])\n")
    assert script(tmp_path, f"%run {tmp_path}/s.lua one\nprint(arg[0], arg[1])") == f"{tmp_path}/s.lua\tone\n-\tnil\n"


def test_a_script_of_python_is_not_run_as_lua(tmp_path):
    (tmp_path / "tool.py").write_text("print('python')\n")
    said = fails(tmp_path, f"%run {tmp_path}/tool.py")
    assert f"'{tmp_path}/tool.py' is a script of Python" in said and f"hint: !python3 {tmp_path}/tool.py" in said


def test_a_script_has_its_arguments(tmp_path):
    """As stock Lua gives them: in `...` and in `arg`, one with a blank too."""
    (tmp_path / "s.lua").write_text("local a, b = ...\nprint(select('#', ...), a, b, arg[1], arg[2], #arg)\nif ... then return end\nprint('none')\n")
    want = subprocess.run(["lua5.4", tmp_path / "s.lua", "x", "y z"], capture_output=True, text=True, check=True).stdout
    assert want == "2\tx\ty z\tx\ty z\t2\n"
    assert script(tmp_path, f"%run {tmp_path}/s.lua x 'y z'") == want
    assert script(tmp_path, f"%run {tmp_path}/s.lua $n=3") == "0\tnil\tnil\tnil\tnil\t0\nnone\n"
    assert lacus(tmp_path, str(tmp_path / "s.lua"), "x", "y z").stdout == want


def test_timeit_shows_what_was_written(tmp_path):
    said = fails(tmp_path, None, "-", text="%timeit nosuch()")
    assert said.startswith("stdin, line 1\n----> 1 %timeit nosuch()\n") and "function(n_)" not in said
    assert "----> 1 x = = 3" in fails(tmp_path, None, "-", text="%timeit x = = 3")
    said = fails(tmp_path, "%%timeit local a = 1\na = a + 1\nnosuch()")
    assert "%timeit, line 3\n" in said and "      1 %%timeit local a = 1\n      2 a = a + 1\n----> 3 nosuch()\n" in said


@pytest.mark.parametrize("code, want, never", [
    ("http?", ["Members:", "  http.get(url: string", "  http.stream(", "Type: table"], "0x"),
    ("dbutils?", ["  dbutils.fs: ", "  dbutils.widgets: ", "  dbutils.help("], "0x"),
    ("dbutils.fs?", ["  dbutils.fs.cp(from: string, to: string, recurse = false) -> boolean"], "0x"),
    ("F?", ["  F.col(name", " more: F.a*? lists"], "0x"),
    ("plot = {a = 1}\nplot?", ["Value: {a = 1}"], "Members:"),
    ("?", ["name?", "!command", "%time"], "SyntaxError"),
])
def test_a_question_about_a_module_lists_what_it_has(code, want, never, tmp_path):
    out = lacus(tmp_path, "-c", code).stdout
    assert all(w in out for w in want) and never not in out

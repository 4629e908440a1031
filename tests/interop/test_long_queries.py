"""Queries that last, that are larger than memory, and that are given up."""
import contextlib
import signal
import subprocess
import time

import pytest

from lacus import LACUS, environment, script

# each takes far longer than the test waits
LONG = {
    "sort": 'spark:range(300000000):select((F.col("id") * 7919 % 30000001):alias("k")):orderBy("k"):offset(100000000):first()',
    "aggregate": 'spark:range(2000000000):groupBy((F.col("id") * 7919 % 30000001):alias("k")):count():orderBy(F.desc("count")):first()',
    "join": 'local a = spark:range(50000000); a:join(a:select((F.col("id") * 2):alias("j")), F.col("id"):eq(F.col("j"))):agg(F.sum("j")):first()',
    "write": 'spark:range(2000000000):select("id", F.md5(F.col("id"):cast("string"))).write:mode("overwrite"):parquet(OUT)',
    "udf": 'local f = F.udf(function(x) local t = {} for i = 1, 50 do t[i] = x end return t[7] end, "bigint"); spark:range(1000000000):agg(F.sum(f("id"))):first()',
}


@contextlib.contextmanager
def interrupted(home, code):
    """A script a second after it printed "go", when it has just answered an interrupt: the process, and the seconds the answer took."""
    run = subprocess.Popen([LACUS, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(home))
    try:
        run.stdin.write(code)
        run.stdin.close()
        assert run.stdout.readline() == "go\n"
        time.sleep(1)
        start = time.perf_counter()
        run.send_signal(signal.SIGINT)
        assert run.stderr.readline()
        yield run, time.perf_counter() - start
    finally:
        run.kill()


@pytest.mark.parametrize("what", LONG)
def test_an_interrupt_is_answered_at_once(tmp_path, what):
    """The aim is 50 ms; the test's own limit leaves room for a busy machine. Nothing of a write is left behind."""
    out = tmp_path / "out"
    with interrupted(tmp_path / "home", f'OUT = "{out}"\nprint("go") io.stdout:flush()\n{LONG[what]}\n') as (run, answered):
        print(f"{what}: answered after {1000 * answered:.0f} ms")
        assert answered < 1
        assert run.wait(60) == 130
    assert not out.exists()


def test_failed_queries_leave_nothing_behind(tmp_path):
    out = script(tmp_path, """
for i = 1, 20 do
  local ok, e = pcall(function() spark:range(10):select(F.raise_error("no")):collect() end)
  assert(not ok and tostring(e):find("no", 1, true))
  assert(spark:range(i):count() == i)
end
print("fine")
""")
    assert out == "fine\n"


def test_what_does_not_fit_is_spilled(tmp_path):
    out = script(tmp_path, """
spark.conf:set("memory_limit", "150MB")
local df = spark:range(6000000):select((F.col("id") * 7919 % 6000007):alias("k"), F.concat(F.lit("some longer text "), F.col("id")):alias("s"))
local sorted = df:orderBy("k"):offset(5999990)
print(#sorted:collect(), df:groupBy("s"):count():count())
""", timeout=300)
    assert out.split() == ["10", "6000000"]


def test_what_cannot_fit_says_what_it_needed(tmp_path):
    out = script(tmp_path, """
spark.conf:set("spark.driver.memory", "50m")
print(pcall(function() return spark:range(3000000):select(F.concat(F.lit("text "), F.col("id")):alias("s")):agg(F.collect_list("s")):first() end))
""")
    assert out.startswith("false\tthe query needs more memory than it may use: failed to allocate data of size") and "50.0 MiB used" in out
    assert 'spark.conf:set("memory_limit"' in out


def test_local_iterator_keeps_no_rows(tmp_path):
    """Rows of 400 MB go through a process that stays far below that."""
    out = script(tmp_path, """
local function rss() for line in io.lines("/proc/self/status") do local kb = line:match("^VmRSS:%s+(%d+)") if kb then return kb // 1024 end end end
local df = spark:range(4000000):select("id", F.expr("repeat('x', 100)"):alias("s"))
local n, before, most = 0, rss(), 0
for row in df:toLocalIterator() do
  n = n + 1
  if n % 500000 == 0 then most = math.max(most, rss()) end
end
print(n, most - before)
""")
    n, more = out.split()
    assert n == "4000000" and float(more) < 150, out


def test_settings_have_sparks_names(tmp_path):
    out = script(tmp_path, """
spark.conf:set("spark.driver.memory", "1g")
spark:range(1):count()
spark.conf:set("spark.local.dir", "%s")
print(spark.conf:get("spark.driver.memory"), pcall(function() spark.conf:set("spark.driver.memory", "lots") end))
""" % (tmp_path / "spill"))
    assert out.startswith("1g\tfalse\tcannot set spark.driver.memory to 'lots'")


def test_a_function_that_takes_all_memory_is_ended(tmp_path):
    """With an error that says the row; the same process goes on."""
    out = script(tmp_path, """
local f = F.udf(function(x) local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1000) .. i end return 1 end, "int")
print(select(2, pcall(function() spark:range(3):select(f("id")):collect() end)))
print(spark:range(3):select(F.udf(function(x) return x == null and "none" or x .. tostring(null) end, "string")(F.expr("nullif(id, 0)"))):collect()[1][1])
""", timeout=120)
    assert out == "[LUA_UDF_ERROR] the function 'udf' failed for the row (0): not enough memory\nnone\n"


def test_a_pattern_that_never_ends_holds_nothing_up(tmp_path):
    """string.find in a state of its own cannot be stopped: the interrupt is answered, the process leaves all the same."""
    code = """local f = F.udf(function(x) return (("a"):rep(40000):find((".-"):rep(30) .. "b")) end, "bigint")
print("go") io.stdout:flush()
spark:range(10):agg(F.sum(f("id"))):first()
"""
    with interrupted(tmp_path / "home", code) as (run, _):
        assert run.wait(30) == 130


@pytest.mark.parametrize("function", ["while true do x = x + 1 end", 'return (("a"):rep(40000):find((".-"):rep(30) .. "b"))'])
@pytest.mark.parametrize("last", [100, 400000])
def test_rows_that_come_one_by_one_are_given_up_at_once(tmp_path, function, last):
    """Also where the function is called for rows that are fetched later than the first ones."""
    code = f"""local f = F.udf(function(x) if x > {last} then {function} end return x end, "bigint")
print("go") io.stdout:flush()
for row in spark:range(3000000):select(f("id")):toLocalIterator() do end
"""
    with interrupted(tmp_path / "home", code) as (run, answered):
        assert answered < 1
        assert run.wait(30) == 130


def test_rows_that_are_not_read_to_their_end_disturb_no_others(tmp_path):
    """Two iterators over functions of Lua: one is left behind, the other goes on; a failure in the middle says its row."""
    out = script(tmp_path, """
local f = F.udf(function(x) local s = 0 for i = 1, 20 do s = s + i end return x + s end, "bigint")
local function rows(n) return spark:range(n):select(f("id"):alias("y")):toLocalIterator() end
local sum, other = 0, rows(1000000)
for row in rows(300000) do
  sum = sum + row.y
  if other and row.y == 100210 then other() other = nil collectgarbage() collectgarbage() end
end
print(sum)
local bad = F.udf(function(x) if x == 500000 then error("here") end return x end, "bigint")
print(select(2, pcall(function() for row in spark:range(1000000):select(bad("id")):toLocalIterator() do end end)))
""")
    assert out.splitlines()[0] == str(sum(range(300000)) + 210 * 300000)
    assert "failed for the row (500000)" in out and "here" in out


def test_functions_of_lua_take_lists_maps_and_structs(tmp_path):
    """As tables; NULLs inside are null. What they raise and give, and cannot give, is said."""
    out = script(tmp_path, """
local df = spark:sql("select cast(1.5 as decimal(10,2)) d, array(1, 2, null) a, named_struct('x', 1, 'y', array(named_struct('q', 'z'))) s, map('k', 1) m, cast(null as array<int>) n")
local f = F.udf(function(d, a, s, m, n) return ("%s %d %s %d%s %d %s"):format(d, #a, a[3], s.x, s.y[1].q, m.k, n) end, "string")
print(df:select(f("d", "a", "s", "m", "n")):first()[1])
local function told(body, type) print(select(2, pcall(function() df:select(F.udf(body, type)("a")):collect() end))) end
told(function(a) return a.b.c end, "string")
told(function(a) error({message = "bad thing"}) end, "string")
told(function(a) error(nil) end, "string")
told(function(a) if #a > 0 then return a end end, "int")
""")
    lines = out.splitlines()
    assert lines[0] == "1.5 3 null 1z 1 null"
    assert "for the row ({…}): " in lines[1] and "attempt to index a nil value (field 'b')" in lines[1]
    assert lines[2].endswith("({…}): bad thing") and lines[3].endswith("it raised a nil")
    assert lines[4].endswith("it gave a table, and an integer was declared")

"""The functions and methods of PySpark: which are here, and what they give, beside what a real Spark gives.

golden/functions/spark.json has Spark's answers to the examples of the table of functions (make.py there asks for them).
"""
import json
import re
from pathlib import Path

import pyspark.sql.functions
import pytest
from pyspark.sql import Catalog, Column, DataFrame, DataFrameReader, DataFrameWriter, GroupedData, SparkSession, Window, WindowSpec
from pyspark.sql.dataframe import DataFrameNaFunctions, DataFrameStatFunctions
from pyspark.sql.readwriter import DataFrameWriterV2

import differential
from lacus import script

ANSWERS = json.loads((Path(__file__).parents[1] / "golden/functions/spark.json").read_text())
FUNCTIONS = Path(__file__).parents[2] / "runtime/dataframe/sqlgen/functions.def"

# absent in DataFrames and their kin, and why: pandas, RDDs, streaming and the JVM, or not there yet
ABSENT = {
    "DataFrame": "asTable dropDuplicatesWithinWatermark mapInArrow mapInPandas metadataColumn nearestByJoin pandas_api plot rdd toPandas withWatermark writeStream",
    "Column": "",
    "GroupedData": "apply applyInArrow applyInPandas applyInPandasWithState cogroup transformWithState transformWithStateInPandas",
    "DataFrameReader": "changes jdbc orc xml",
    "DataFrameWriter": "bucketBy clusterBy jdbc orc sortBy xml",
    "DataFrameWriterV2": "clusterBy",
    "Catalog": "",
    "SparkSession": "addArtifact addArtifacts client copyFromLocalToFs dataSource profile readStream sparkContext streams tvf udtf",
}
OBJECTS = {  # an expression of Lua for an object of the class
    "DataFrame": (DataFrame, "df"),
    "Column": (Column, 'F.col("id")'),
    "GroupedData": (GroupedData, 'df:groupBy("id")'),
    "Window": (Window, "Window"),
    "WindowSpec": (WindowSpec, 'Window.orderBy("id")'),
    "DataFrameReader": (DataFrameReader, "spark.read"),
    "DataFrameWriter": (DataFrameWriter, "df.write"),
    "DataFrameWriterV2": (DataFrameWriterV2, 'df:writeTo("t")'),
    "Catalog": (Catalog, "spark.catalog"),
    "SparkSession": (SparkSession, "spark"),
    "DataFrameNaFunctions": (DataFrameNaFunctions, "df.na"),
    "DataFrameStatFunctions": (DataFrameStatFunctions, "df.stat"),
}
# names of pyspark's classes that are not part of its interface, or constants of Window
PRIVATE = {"currentRow", "unboundedFollowing", "unboundedPreceding", "conf", "catalog", "version", "registerJavaFunction", "builder"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


def quoted(text):
    return json.dumps(text)


def members(home, owner, names):
    """What the object has of the names: present, absent (it says so), missing (nothing knows the name)."""
    code = "local df = spark:range(3)\nlocal o = %s\n" % owner
    for name in names:
        code += (
            "do local ok, m = pcall(function() return o[%s] end)\n"
            "if ok and type(m) == 'function' then local called, e = pcall(m, o)\n"
            "  if not called and tostring(e):find(' is not there', 1, true) then m = nil; e = 'absent' end\n"
            "  print(%s, m and 'present' or e)\n"
            "else print(%s, ok and (m ~= nil and 'present' or 'missing') or "
            "(tostring(m):find(' is not there', 1, true) and 'absent' or 'missing')) end end\n"
        ) % (quoted(name), quoted(name), quoted(name))
    found = dict(line.split("\t") for line in script(home, code).splitlines() if "\t" in line)
    assert set(found) == set(names), set(names) - set(found)
    return found


@pytest.mark.parametrize("name", OBJECTS)
def test_members_are_there_or_say_why_not(home, name):
    cls, owner = OBJECTS[name]
    names = sorted(n for n in dir(cls) if not n.startswith("_") and n not in PRIVATE)
    found = members(home, owner, names)
    missing = {n for n in names if found[n] == "missing"} - {"Builder"}
    absent = {n for n in names if found[n] == "absent"}
    listed = set(ABSENT.get(name, "").split())
    print(f"{name}: {len(names) - len(missing | absent)} of {len(names)} members")
    assert not missing
    assert absent == listed, absent ^ listed


def test_functions_are_counted(home):
    names = pyspark.sql.functions.__all__
    code = "".join(f"print({quoted(n)}, (pcall(function() return F[{quoted(n)}] end)))\n" for n in names)
    found = dict(line.split("\t") for line in script(home, code).splitlines())
    there = [n for n in names if found[n] == "true"]
    print(f"{len(there)} of {len(names)} functions of PySpark")
    print("absent:", " ".join(n for n in names if n not in there))
    assert len(there) >= 518
    code = "".join(
        f"local _, e = pcall(function() return F[{quoted(n)}] end); print((tostring(e):find(' is not there: ', 1, true)))\n"
        for n in names
        if n not in there
    )
    assert "nil" not in script(home, code).splitlines(), "an absent function does not say why"


def shown(home, expressions):
    code = "local list = {%s}\n" % ", ".join(quoted(e) for e in expressions)
    code += """
for i, e in ipairs(list) do
  io.write("\\1")
  local ok, why = pcall(function()
    local df = spark:sql("SELECT " .. e)
    for _, d in ipairs(df.dtypes) do io.write(d[1], "\\2", d[2], "\\3") end
    io.write("\\4")
    df:show{20, truncate = false}
  end)
  if not ok then io.write("\\5", (tostring(why):match("%[([%w_.]+)%]") or tostring(why))) end
end
"""
    return script(home, code).split("\1")[1:]


def answer(text):
    if "\5" in text:
        return {"error": text.split("\5")[1].strip()}
    schema, table = text.split("\4")
    return {"schema": [c.split("\2") for c in schema.split("\3")[:-1]], "show": table.strip()}


def test_examples_give_what_spark_gives(home):
    differ, explained = [], {r["example"] for r in differential.function_rows() if r["note"]}
    for expression, text in zip(ANSWERS, shown(home, ANSWERS)):
        spark, here = ANSWERS[expression], answer(text)
        if "show" in spark:
            spark = {"schema": spark["schema"], "show": spark["show"].strip()}
        if spark != here and expression not in explained:
            differ.append(f"{expression}\n  Spark: {spark}\n  here:  {here}")
    print(f"{len(ANSWERS) - len(differ)} of {len(ANSWERS)} examples agree with Spark")
    assert not differ, "\n".join(differ)


def test_the_answers_are_those_of_the_table():
    """Examples that were added since ask for make.py again. Every function has one; those of partitions are in Lua."""
    examples = {r["example"] for r in differential.function_rows() if r["F"] is not None or r["example"]}
    assert None not in examples
    assert {e for e in examples if "F." not in e} == set(ANSWERS)


def test_examples_in_lua_are_what_they_say(home):
    """A Delta table is partitioned by plain columns, so these end in the sentence that says so, and nowhere before it."""
    examples = {r["example"] for r in differential.function_rows() if r["example"] and "F." in r["example"]}
    assert len(examples) == 5
    code = 'local df = spark:sql("SELECT 1 AS id, timestamp\'2024-03-05 14:06:07\' AS ts")\n'
    code += "".join(f"print((select(2, pcall(function() return {e}:create() end))))\n" for e in sorted(examples))
    lines = script(home, code).splitlines()
    assert len(lines) == 5 and all("a table is not partitioned by a function" in line for line in lines), lines


def test_absent_functions_name_the_nearest(home):
    out = script(home, 'print(select(2, pcall(function() return F.xpath end)))\nprint(select(2, pcall(function() return F.uper end)))')
    assert "F.xpath is not there: XML is not read; nearest is F.regexp_extract" in out
    assert "did you mean" in out and "upper" in out
    missing = (FUNCTIONS.parent / "functions_missing.def").read_text()
    rows = re.findall(r'^MISSING\("(\w+)", "[^"]+", (NULL|"\w+")\)$', missing, re.M)
    assert len(rows) == missing.count("\nMISSING(")
    here = {r["name"] for r in differential.function_rows()} | {"udf"}
    assert not {name for name, instead in rows if instead.strip('"') not in here}, "a missing function names nothing that is here"


def test_arguments_go_by_name(home):
    out = script(home, 'spark:range(1):select(F.lpad{F.lit("7"), len = 3, pad = "0"}:alias("a")):show()')
    assert "|007|" in out
    out = script(home, 'print(select(2, pcall(function() return F.lpad{F.lit("7"), length = 3, pad = "0"} end)))')
    assert "expected F.lpad(col, len, pad)" in out


# ---- functions of Lua ----
UDF = 'local df = spark:createDataFrame({{1, "anna"}, {2, "bob"}, {3, null}}, "id INT, s STRING")\n'


def test_plain_arithmetic_becomes_an_expression(home):
    out = script(home, UDF + """
local twice = F.udf(function(x) return 2 * x + 1 end, "bigint")
print(twice)
df:select(twice("id"):alias("v")):explain(true)
print(df:select(twice("id"):alias("v")):collect()[3].v)
""")
    assert "an expression of the engine" in out and re.search(r"udf\(id#\d+\) /\* Lua, lowered to \(\(2 \* id#\d+\) \+ 1\) \*/ AS v#", out)
    assert "BatchEvalLua" not in out and out.strip().endswith("7")


def test_functions_run_with_what_they_use(home):
    out = script(home, UDF + """
local prefix, memo = "<", {n = 3}
function close(s) return s .. ">" end
local f = F.udf(function(s, i) if s == null then return null end return close(prefix .. s:upper() .. i + memo.n) end)
print(f)
for _, r in ipairs(df:select(f("s", "id"):alias("v")):collect()) do print(r.v == null and "null" or r.v) end
prefix = "later changes are not seen"
print(df:select(f("s", "id"):alias("v")):first().v)
""")
    assert "run row by row" in out
    assert out.splitlines()[1:] == ["<ANNA4>", "<BOB5>", "null", "<ANNA4>"]


def test_functions_of_lua_in_sql(home):
    out = script(home, UDF + """
spark.udf:register("slen", function(s) if s == null then return -1 end return #s end, "int")
for _, r in ipairs(spark:sql("SELECT slen(s) AS n FROM {df} WHERE slen(s) > 3 OR s IS NULL ORDER BY 1", {df = df}):collect()) do print(r.n) end
print(df:select(F.call_udf("slen", F.col("s")):alias("n")):first().n)
""")
    assert out.split() == ["-1", "4", "4"]


def test_errors_of_functions_carry_the_row(home):
    out = script(home, UDF + """
local f = F.udf(function(s, i) if i == 2 then error("no bobs") end return s end)
print(select(2, pcall(function() df:select(f("s", "id")):collect() end)))
local g = F.udf(function(i) if i > 1 then return "two" end return i end, "int")
print(select(2, pcall(function() df:select(g("id")):collect() end)))
print(select(2, pcall(function() return F.udf(function() return spark end) end)))
""")
    assert "failed for the row (\"bob\", 2)" in out and "no bobs" in out
    assert "it gave a string (two), and an integer was declared" in out
    assert "cannot copy the function: it uses spark" in out


# ---- pivot and its kin, beside what Spark prints ----
def test_pivot(home):
    out = script(home, """
local df = spark:createDataFrame({{2012, "a", 1}, {2012, "b", 2}, {2013, "a", 3}}, "y INT, k STRING, v INT")
df:groupBy("y"):pivot("k"):sum("v"):orderBy("y"):show()
df:groupBy("y"):pivot("k", {"b"}):agg(F.sum("v"), F.count("*"):alias("n")):orderBy("y"):show()
spark:sql("SELECT * FROM {df} PIVOT (sum(v) FOR k IN ('a', 'b' AS bb)) ORDER BY y", {df = df}):show()
""")
    tables = [[c.strip() for c in line.strip("|").split("|")] for line in out.splitlines() if line.startswith("|")]
    assert tables == [
        ["y", "a", "b"], ["2012", "1", "2"], ["2013", "3", "NULL"],
        ["y", "b_sum(v)", "b_n"], ["2012", "2", "1"], ["2013", "NULL", "NULL"],
        ["y", "a", "bb"], ["2012", "1", "2"], ["2013", "3", "NULL"],
    ]  # fmt: skip


# ---- CSV rows that do not fit, as Spark 4.3 shows them ----
def test_csv_rows_that_do_not_fit(home, tmp_path):
    (tmp_path / "r.csv").write_text("a,b,c\n1,x,1.5\n2,y\n3,z,2.5,extra\nbad,w,3.5\n")
    read = f'local function read(o, s) spark.read:options(o):schema(s):csv("{tmp_path}/r.csv"):show() end\n'
    out = script(home, read + """
read({header = true}, "a INT, b STRING, c DOUBLE")
read({header = true, mode = "DROPMALFORMED"}, "a INT, b STRING, c DOUBLE")
read({header = true, columnNameOfCorruptRecord = "_bad"}, "a INT, b STRING, c DOUBLE, _bad STRING")
spark.read:csv{"PATH/r.csv", header = true}:show()
print(select(2, pcall(read, {header = true, mode = "FAILFAST"}, "a INT, b STRING, c DOUBLE")))
""".replace("PATH", str(tmp_path)))
    tables = [[c.strip() for c in line.strip("|").split("|")] for line in out.splitlines() if line.startswith("|")]
    assert tables == [
        ["a", "b", "c"], ["1", "x", "1.5"], ["2", "y", "NULL"], ["3", "z", "2.5"], ["NULL", "w", "3.5"],
        ["a", "b", "c"], ["1", "x", "1.5"],
        ["a", "b", "c", "_bad"], ["1", "x", "1.5", "NULL"], ["2", "y", "NULL", "2,y"], ["3", "z", "2.5", "3,z,2.5,extra"],
        ["NULL", "w", "3.5", "bad,w,3.5"],
        ["a", "b", "c"], ["1", "x", "1.5"], ["2", "y", "NULL"], ["3", "z", "2.5"], ["bad", "w", "3.5"],
    ]  # fmt: skip
    assert "[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION]" in out and "r.csv" in out


def test_decimals_have_every_digit(home):
    out = script(home, """
spark:sql("SELECT sum(x)/count(x), avg(x), CAST(1 AS DECIMAL(38,18)) / 3 FROM VALUES (1.10), (2.25), (12345678901234567.89) t(x)"):show{truncate = false}
""")
    cells = [c.strip() for c in out.splitlines()[3].strip("|").split("|")]
    assert cells == ["4115226300411523.74666666667", "4115226300411523.746667", "0.333333333333333333"]


def test_whole_files(home, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"\x01\x02\xff")
    (tmp_path / "b.txt").write_bytes(b"hello")
    out = script(home, f"""
for _, r in ipairs(spark.read:format("binaryFile"):load("{tmp_path}/*"):select("path", "length", F.hex("content"):alias("h")):orderBy("path"):collect()) do
  print(r.path, r.length, r.h)
end
""")
    assert out == f"file:{tmp_path}/a.bin\t3\t0102FF\nfile:{tmp_path}/b.txt\t5\t68656C6C6F\n"


def test_a_function_without_end_is_interrupted(home, tmp_path):
    import os
    import signal
    import subprocess
    import time

    from lacus import LACUS

    file = tmp_path / "loop.lua"
    file.write_text('local f = F.udf(function(a) while true do a = a + 1 end end, "bigint")\nprint("go")\nspark:range(10):select(f("id")):show()')
    run = subprocess.Popen([LACUS, file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "LACUS_HOME": str(home)})
    assert run.stdout.readline() == "go\n"
    time.sleep(0.5)
    run.send_signal(signal.SIGINT)
    start = time.monotonic()
    assert "interrupt" in run.stdout.read().lower()
    assert run.wait(10) != 0 and time.monotonic() - start < 1  # 50 ms on a quiet machine

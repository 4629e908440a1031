"""explain prints plans with Spark's operators, trees and modes. The texts expected are those of Spark 4.3 for the same calls, without what this
engine has not: AdaptiveSparkPlan, code generation, exchanges."""
import re

import pytest

from lacus import script

SETUP = """
local df = spark:createDataFrame({{1, "a", 1.5}, {2, null, null}, {3, "c", 2.5}}, "id INT, s STRING, d DOUBLE")
local r = spark:range(10)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return lambda code: script(home, SETUP + code)


def operators(text):
    """The tree with names alone, the columns' numbers counted from 0."""
    return [re.sub(r"(^[ :+-]*\w+).*", r"\1", line) for line in text.splitlines() if line and not line.startswith("==")]


def numbered(text):
    seen = {}
    return re.sub(r"#(\d+)", lambda m: "#%d" % seen.setdefault(m[1], len(seen)), text)


SIMPLE = [
    ('r:filter("id > 5"):select((F.col("id") * 2):alias("x")):explain()', """\
== Physical Plan ==
Project [(id#0L * 2) AS x#1L]
+- Filter (id#0L > 5)
   +- Range (0, 10, step=1)

"""),
    ('df:groupBy("s"):agg(F.sum("d"), F.count("*"):alias("n")):explain()', """\
== Physical Plan ==
HashAggregate(keys=[s#0], functions=[sum(d#1), count(1)])
+- LocalTableScan [id#2, s#0, d#1]

"""),
    ('df:join(df:select("id", "s"), "id", "left"):orderBy("id"):limit(3):explain()', """\
== Physical Plan ==
TakeOrderedAndProject(limit=3, orderBy=[id#0 ASC NULLS FIRST], output=[id#0, s#1, d#2, s#3])
+- BroadcastHashJoin [id#0], [id#4], LeftOuter, BuildRight, false
   :- LocalTableScan [id#0, s#1, d#2]
   +- LocalTableScan [id#4, s#3]

"""),
    ('r:withColumn("n", F.row_number():over(Window.orderBy("id"))):explain()', """\
== Physical Plan ==
Project [id#0L, n#1]
+- Window [row_number() OVER (ORDER BY id#0L ASC NULLS FIRST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS n#1]
   +- Range (0, 10, step=1)

"""),
    ('r:union(r):distinct():explain()', """\
== Physical Plan ==
HashAggregate(keys=[id#0L], functions=[])
+- Union
   :- Range (0, 10, step=1)
   +- Range (0, 10, step=1)

"""),
]


@pytest.mark.parametrize("code,want", SIMPLE, ids=range(len(SIMPLE)))
def test_physical_plans(run, code, want):
    assert numbered(run(code)) == want


def test_extended_has_the_four_plans(run):
    out = run('r:alias("a"):filter("a.id > 2"):limit(2):explain("extended")')
    assert re.findall("== (.*) ==", out) == ["Parsed Logical Plan", "Analyzed Logical Plan", "Optimized Logical Plan", "Physical Plan"]
    analysed = out.split("== Analyzed Logical Plan ==\n")[1].split("\n\n")[0]
    assert analysed.startswith("id: bigint\n")
    assert operators(analysed)[1:] == ["GlobalLimit", "+- LocalLimit", "   +- Filter", "      +- SubqueryAlias", "         +- Range"]
    assert run('r:explain(true)').count("==") == 8 and run('r:explain{mode = "cost"}').count("==") == 4


def test_formatted_lists_each_operator(run):
    out = run('df:filter("id > 1"):select("s"):explain("formatted")')
    tree, *parts = re.split(r"\n\n\n?(?=\(\d)", out.strip())
    assert operators(tree) == ["Project", "+- Filter", "   +- LocalTableScan"]
    assert [p.split("\n")[0] for p in parts] == ["(1) LocalTableScan", "(2) Filter", "(3) Project"]
    assert "Condition : (id#" in parts[1] and "Output [1]: [s#" in parts[2] and "Input [3]: [id#" in parts[1]


def test_functions_of_lua_are_named(run):
    out = run("""
local slow = F.udf(function(x) local t = {}; t[1] = x; return t[1] end, "bigint")
local plain = F.udf(function(x) return 2 * x + 1 end, "bigint")
r:select(slow("id"):alias("a"), plain("id"):alias("b")):explain()
""")
    assert "+- BatchEvalLua [a#" in out and "lowered to ((2 * id#" in out and "b#" not in out.split("BatchEvalLua")[1].split("]")[0]


def test_what_the_engine_runs_is_one_mode_away(run):
    out = run('r:filter("id > 5"):explain("codegen")')
    assert "== SQL for DuckDB ==" in out and "SELECT" in out and "== Plan of DuckDB ==" in out
    assert "UNSUPPORTED_EXPLAIN_MODE" in run('print(pcall(function() r:explain("nope") end))')


def test_explain_of_sql(run):
    out = run('for _, mode in ipairs{"", "EXTENDED", "FORMATTED", "COST"} do print(spark:sql("EXPLAIN " .. mode .. " SELECT id + 1 FROM range(4) WHERE id IN (SELECT 1)"):first().plan) end')
    assert out.count("== Physical Plan ==") == 4 and out.count("== Optimized Logical Plan ==") == 2 and "Condition : (id#" in out
    assert ":- Subquery\n:  +- " in out.replace("   :", ":")


def test_explain_reads_no_rows(run, tmp_path):
    """A plan of files that would fail when read is explained; and nothing is laid out in the engine for it."""
    (tmp_path / "a.json").write_text('{"a": 1}\n')
    out = run(f'spark.read:json("{tmp_path}/a.json"):filter("a / 0 > 1"):explain()')
    assert "FileScan json [a#0L] Batched: false" in out and "ReadSchema: struct<a:bigint>" in out

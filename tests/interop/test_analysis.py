"""Names and types are looked at when a DataFrame is made, as Spark does it, and long chains and wide tables stay quick."""
import pytest

from lacus import script

SETUP = """
local df = spark:createDataFrame({{1, "a", 1.5}, {2, null, null}, {3, "c", 2.5}}, "id INT, s STRING, d DOUBLE")
local function fails(f)
  local ok, e = pcall(f)
  print(ok and "no error" or tostring(e))
end
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return lambda code: script(home, SETUP + code)


# what PySpark 4.3 (classic) raises at the same call
WRONG = [
    ('df:select("nope")', "[UNRESOLVED_COLUMN.WITH_SUGGESTION]", "`id`"),
    ('df:filter("idd > 1")', "[UNRESOLVED_COLUMN.WITH_SUGGESTION]", "`id`"),
    ('df:withColumn("x", F.col("s") + F.array(F.lit(1)))', "[DATATYPE_MISMATCH", "ARRAY"),
    ('df:filter(F.col("id"))', "[DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN]", "INT"),
    ('df:join(df, "id"):select("s")', "[AMBIGUOUS_REFERENCE]", "`s`"),
    ('df:join(df:toDF("a", "b", "c"), F.col("id"):eq(F.col("z")))', "[UNRESOLVED_COLUMN.WITH_SUGGESTION]", "`z`"),
    ('df:groupBy("s"):agg(F.sum("nope"))', "[UNRESOLVED_COLUMN.WITH_SUGGESTION]", "nope"),
    ('df:select("id", F.sum("d"))', "[MISSING_GROUP_BY]", ""),
    ('df:orderBy("nope")', "[UNRESOLVED_COLUMN.WITH_SUGGESTION]", "nope"),
    ('df:union(df:select("id"))', "[NUM_COLUMNS_MISMATCH]", ""),
    ('df:dropna{subset = {"nope"}}', "[UNRESOLVED_COLUMN.WITH_SUGGESTION]", "nope"),
    ('df:select(F.expr("no_such(id)"))', "[UNRESOLVED_ROUTINE]", "no_such"),
    ('df:limit(5):filter("id > 1"):select(df"id", F.col("x"))', "[UNRESOLVED_COLUMN.WITH_SUGGESTION]", "`x`"),
    ('spark:table("nowhere")', "[TABLE_OR_VIEW_NOT_FOUND]", "nowhere"),
    ('spark:sql("select a from range(3)")', "[UNRESOLVED_COLUMN.WITH_SUGGESTION]", "`id`"),
    ('spark.read:parquet("/nowhere/at/all")', "[PATH_NOT_FOUND]", "/nowhere/at/all"),
    ('spark.read:schema("a INT"):csv("/nowhere/at/all")', "[PATH_NOT_FOUND]", "/nowhere/at/all"),
]


@pytest.mark.parametrize("code,error,words", WRONG, ids=[w[0] for w in WRONG])
def test_errors_come_with_the_step_that_is_wrong(run, code, error, words):
    out = run(f"fails(function() local made = {code} end)")
    assert error in out and words in out, out


def test_what_a_step_may_refer_to_is_what_the_whole_query_may(run):
    """Each line is a DataFrame whose last step needs more of its input than columns: hidden ones, groups, plans further down."""
    out = run("""
df:createOrReplaceTempView("v")
local one = df:withColumn("k", F.col("id") % 2)
local function show(d) local t = {}; for i, r in ipairs(d:collect()) do t[i] = r[1] == null and "NULL" or tostring(r[1]) end; print(table.concat(t, " ")) end
show(df:select((F.col("id") * 2):alias("b")):orderBy("s"))                  -- a column that was not selected
show(df:select("id"):filter("d > 1"):orderBy(F.desc("id")))                 -- nor here
show(df:select((F.col("id") * 2):alias("b")):filter("d > 1 and s = 'c'"))
show(one:groupBy("k"):agg(F.sum("id"):alias("n")):filter(F.sum("id"):gt(2)):orderBy("k")) -- HAVING
show(one:join(df, one"id":eq(df"id")):select(df"id", one"k"):orderBy(df"id"))  -- a frame and what was made of it
show(df:alias("a"):join(df:alias("b"), F.col("a.id"):eq(F.col("b.id") + 1)):select("b.id"):orderBy("b.id"))
show(df:join(one, "id", "left"):filter(one"k":eq(1)):select(one"id"):orderBy("id")) -- the hidden copy of a USING column
show(spark:sql("select id from v where id in (select max(id) from v) order by id"))
show(spark:table("v"):select("id"):orderBy("id"):limit(2):filter("id > 1"))
spark.udf:register("twice", function(x) return x * 2 end, "bigint")
show(df:selectExpr("twice(id) as t"):filter("t > 2"):orderBy("t"))
show(one:rollup("k"):count():orderBy("k", "count"))
show(df:distinct():orderBy("id"):drop("s"):filter(df"id":gt(1)))
show(df:unionByName(df):groupBy("s"):count():orderBy("s"):select("count"))
""")
    assert out.split("\n") == ["4 2 6", "3 1", "6", "1", "1 2 3", "1 2", "1 3", "3", "2", "4 6", "NULL 0 1", "2 3", "2 2 2", ""], out


def test_a_named_subquery_shows_only_what_it_selects(run):
    out = run("""
df:createOrReplaceTempView("v")
fails(function() spark:sql("select id from (select id from v) q where d > 1") end)
fails(function() df:select("id"):alias("q"):orderBy("d") end)
""")
    assert out.count("[UNRESOLVED_COLUMN") == 2, out


def test_a_table_is_looked_up_anew_when_it_runs(run):
    out = run("""
df:select("id").write:mode("overwrite"):saveAsTable("grows")
local t = spark:table("grows"):filter("id > 1")
print(t:count())
df:select("id").write:mode("append"):saveAsTable("grows")
print(t:count(), table.concat(t.columns, " "))
""")
    assert out.split() == ["2", "4", "id"]


def test_a_chain_of_steps_costs_what_its_steps_cost(run):
    """CPU time of 100 steps; 100 ms is the budget, a chain that is analysed from its beginning each time takes ten times that."""
    out = run("""
local d, t = df, os.clock()
for i = 1, 100 do d = d:withColumn("c" .. i, F.col("id") + i) end
local first = os.clock() - t
t = os.clock()
for i = 1, 200 do d = d:filter(F.col("c" .. (i % 100 + 1)):gt(0)):select("*") end
print(first * 1000, (os.clock() - t) * 1000, d:select("id", "c100"):orderBy("id"):first().c100)
""")
    first, second, value = map(float, out.split())
    assert value == 101 and first < 100 and second < 400, out


def test_ten_thousand_columns(run):
    out = run("""
local columns = {}
for i = 1, 10000 do columns[i] = F.lit(i):alias("c" .. i) end
local t = os.clock()
local wide = spark:range(3):select(table.unpack(columns))
wide = wide:withColumn("more", F.col("c1") + F.col("c10000")):drop("c2"):withColumnRenamed("c3", "renamed"):filter("c5 = 5")
local made = os.clock() - t
print(#wide.columns, wide:select("more", "renamed"):first().more, wide:count(), made < 5)
""")
    assert out.split() == ["10000", "10001", "3", "true"], out


def test_a_failure_in_sql_shows_its_place_only_in_its_own_text(tmp_path):
    said = script(tmp_path, """local function fails(f) print((tostring(select(2, pcall(f))):gsub("\\n", "|"))) end
spark:range(3):createOrReplaceTempView("people")
fails(function() spark:sql("CREATE TABLE x AS SELECT idd FROM people") end)
fails(function() spark:table("poeple") end)
fails(function() spark:sql("SELECT id FROM range(3)"):filter("idd > 1") end)
spark:sql("CREATE TABLE t AS SELECT 1 AS a, 2 AS b"); spark:sql("CREATE VIEW v AS SELECT b FROM t"); spark:sql("CREATE OR REPLACE TABLE t AS SELECT 1 AS a")
fails(function() spark:sql("SELECT * FROM  v  ") end)
fails(function() spark:sql("DELETE FROM t WHERE bb = 1") end)""").splitlines()
    assert said[0].endswith("(line 1, column 26)||== SQL ==|CREATE TABLE x AS SELECT idd FROM people|" + "-" * 25 + "^")
    assert said[1].endswith("did you mean the temporary view 'people'?")
    assert "[UNRESOLVED_COLUMN.WITH_SUGGESTION]" in said[2] and "== SQL ==" not in said[2]
    assert "`b`" in said[3] and "== SQL ==" not in said[3]
    assert "[`a`]" in said[4] and said[4].endswith("DELETE FROM t WHERE bb = 1|" + "-" * 20 + "^")


def test_a_date_and_an_interval(run):
    """What Spark 4.3 gives: days keep a DATE a DATE, hours make a TIMESTAMP of it."""
    expected = {
        "dt + INTERVAL '3' HOUR": "timestamp 2024-03-31 03:00:00", "dt - INTERVAL 90 MINUTES": "timestamp 2024-03-30 22:30:00", "INTERVAL '1' SECOND + dt": "timestamp 2024-03-31 00:00:01",
        "dt + INTERVAL '1 2' DAY TO HOUR": "timestamp 2024-04-01 02:00:00", "dt + make_dt_interval(1)": "timestamp 2024-04-01 00:00:00", "dt + INTERVAL 24 HOURS": "timestamp 2024-04-01 00:00:00",
        "dt + INTERVAL '2' DAY": "date 2024-04-02", "dt - INTERVAL 2 DAYS": "date 2024-03-29", "dt + INTERVAL '1' MONTH": "date 2024-04-30", "dt - INTERVAL '1' YEAR": "date 2023-03-31",
        "dt + make_interval(0, 1, 0, 2)": "date 2024-05-02", "try_add(dt, INTERVAL 3 HOURS)": "timestamp 2024-03-31 03:00:00", "try_subtract(dt, INTERVAL 3 DAYS)": "date 2024-03-28", "dt + 1": "date 2024-04-01",
    }
    lines = "".join(f"show[[{e}]]\n" for e in expected)
    out = run("""
local dates = spark:sql("SELECT DATE'2024-03-31' AS dt")
local function show(e) local d = dates:select(F.expr(e):alias("x")); print(d.dtypes[1][2] .. " " .. tostring(d:collect()[1].x)) end
""" + lines + """
fails(function() dates:select(F.expr("dt + make_interval(0, 1, 0, 2, 3)")):collect() end)
print(dates:select(F.expr("dt + INTERVAL '2' DAY"), F.expr("dt - 1")).columns[1])
""")
    got = out.splitlines()
    assert dict(zip(expected, got)) == expected
    assert got[-2].startswith("[INVALID_INTERVAL_WITH_MICROSECONDS_ADDITION]") and got[-1] == "date_add(dt, extractansiintervaldays(INTERVAL '2' DAY))"


NOWHERE = [("SELECT *\nFROM nowhere WHERE x = 1", 2, 6), ("SELECT a.x FROM range(3) a(x)\nJOIN default.`nowhere` b ON a.x = b.x", 2, 6), ("INSERT INTO nowhere VALUES (1)", 1, 13), ("DROP TABLE nowhere", 1, 12),
           ("SELECT 1 WHERE EXISTS (SELECT * FROM Nowhere)", 1, 38), ("WITH p AS (SELECT * FROM   nowhere) SELECT * FROM p", 1, 28), ("SELECT * FROM nosuch.s.nowhere", 1, 15), ("UPDATE nowhere SET x = 1", 1, 8)]


@pytest.mark.parametrize("query,line,column", NOWHERE, ids=[n[0] for n in NOWHERE])
def test_a_table_that_is_not_found_has_its_place(run, query, line, column):
    out = run(f"fails(function() spark:sql([[{query}]]) end)")
    assert out.startswith("[TABLE_OR_VIEW_NOT_FOUND]") and f"(line {line}, column {column})" in out, out
    lines = out.splitlines()
    caret = next(i for i, text in enumerate(lines) if text.endswith("^"))
    assert lines[caret - 1] == query.splitlines()[line - 1] and lines[caret].index("^") == column - 1, out


def test_a_place_of_another_text_is_not_shown(run):
    out = run("""
spark:sql("CREATE TABLE gone (x INT)")
local gone = spark:table("gone")
spark:sql("CREATE OR REPLACE TEMPORARY VIEW over AS SELECT * FROM gone")
spark:sql("DROP TABLE gone")
fails(function() spark:sql("SELECT * FROM over"):collect() end)
""")
    assert "[TABLE_OR_VIEW_NOT_FOUND]" in out and "== SQL ==" not in out, out


def test_totals_of_two_columns_that_are_one(run):
    out = run("""
local x = df:select("d", F.col("d"):alias("e"))
print(spark:sql("SELECT d, e, grouping_id(d, e) AS g, count(*) FROM {x} GROUP BY CUBE(d, e)", {x = x}):filter("g = 1 AND e IS NULL"):count())
print(x:rollup("d", "e"):count():count(), x:cube("d", "e"):count():count())
""")
    assert out.split() == ["3", "7", "10"]

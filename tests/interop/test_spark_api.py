"""The Lua API of dataframes as scripts use it: arguments, errors, what is printed (as Spark 4 prints it), what other programs read of it."""
import duckdb
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from lacus import lacus, script

DATA = """
local df = spark:createDataFrame({{1, "a", 1.5}, {2, null, null}, {3, "c", 2.5}}, {"id", "s", "d"})
local function fails(f) local ok, e = pcall(f); print(ok and "no error" or tostring(e)) end
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def run(home):
    return lambda code: script(home, DATA + code)


def rows(text):
    """The cells of tables that show printed."""
    return [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


# ---- show: texts are what Spark 4 prints for the same calls ----
def test_show_cuts_values_but_not_names(run):
    out = run("""
spark:createDataFrame({{"123456789012345678901", 1}}, {"a name that is longer than twenty", "n"}):show()
spark:createDataFrame({{"abcdef"}}, {"s"}):show{1, truncate = 3}
spark:createDataFrame({{"abcdef"}}, {"s"}):show(1, 5)
spark:createDataFrame({{"abcdefghijklmnopqrstuvwxyz"}}, {"s"}):show(1, false)
""")
    assert out == """\
+---------------------------------+---+
|a name that is longer than twenty|  n|
+---------------------------------+---+
|             12345678901234567...|  1|
+---------------------------------+---+

+---+
|  s|
+---+
|abc|
+---+

+-----+
|    s|
+-----+
|ab...|
+-----+

+--------------------------+
|s                         |
+--------------------------+
|abcdefghijklmnopqrstuvwxyz|
+--------------------------+

"""


def test_show_of_nothing_and_of_rows_left_out(run):
    out = run("""
df:select():show()
df:limit(0):select("id"):show()
df:limit(0):show{vertical = true}
df:select("id"):show(0)
df:select("id"):show(1)
df:select("id"):show(math.maxinteger)
""")
    assert out == """\
++
||
++
||
||
||
++

+---+
| id|
+---+
+---+

(0 rows)

+---+
| id|
+---+
+---+
only showing top 0 rows
+---+
| id|
+---+
|  1|
+---+
only showing top 1 row
+---+
| id|
+---+
|  1|
|  2|
|  3|
+---+

"""


def test_show_vertical(run):
    assert run("df:show(2, 20, true)") == (
        "-RECORD 0---\n id  | 1    \n s   | a    \n d   | 1.5  \n-RECORD 1---\n id  | 2    \n s   | NULL \n d   | NULL \nonly showing top 2 rows\n"
    )


def test_show_of_wide_characters_and_controls(run):
    out = run("""spark:createDataFrame({{"日本", "a\\nb\\tc"}, {"x", null}}, {"k", "v"}):show()""")
    assert out == """\
+----+-------+
|   k|      v|
+----+-------+
|日本|a\\nb\\tc|
|   x|   NULL|
+----+-------+

"""


def test_show_of_nested_values(run):
    out = run("""
spark:sql([[SELECT map('a', 1, 'b', null) AS m, array(array(1.5D), null) AS aa, named_struct('x', null, 'y', array('q')) AS s,
    CAST('abc' AS BINARY) AS b, map() AS em, array() AS ea, CAST(null AS ARRAY<INT>) AS na]]):show{truncate = false}
spark:sql("SELECT CAST(array(1, null) AS STRING) AS a, CAST(named_struct('x', null) AS STRING) AS s"):show()
""")
    assert rows(out) == [
        ["m", "aa", "s", "b", "em", "ea", "na"],
        ["{a -> 1, b -> NULL}", "[[1.5], NULL]", "{NULL, [q]}", "[61 62 63]", "{}", "[]", "NULL"],
        ["a", "s"],
        ["[1, null]", "{null}"],
    ]


def test_print_schema(run):
    assert run("""
spark:createDataFrame({}, "id BIGINT, tags ARRAY<STRING>, m MAP<STRING, INT>, s STRUCT<x: DOUBLE>, d DECIMAL(10,2)"):printSchema()
""") == """\
root
 |-- id: long (nullable = true)
 |-- tags: array (nullable = true)
 |    |-- element: string (containsNull = true)
 |-- m: map (nullable = true)
 |    |-- key: string
 |    |-- value: integer (valueContainsNull = true)
 |-- s: struct (nullable = true)
 |    |-- x: double (nullable = true)
 |-- d: decimal(10,2) (nullable = true)

"""


# ---- createDataFrame ----
@pytest.mark.parametrize("data,schema,want", [
    ('{{id = 1, name = "a"}, {name = "b", id = 2.5}}', "nil", [["id", "name"], ["1.0", "a"], ["2.5", "b"]]),
    ("{{_b = 1, a = 2}}", "nil", [["_b", "a"], ["1", "2"]]),
    ("{{1, 2}, {3}}", "nil", [["_1", "_2"], ["1", "2"], ["3", "NULL"]]),
    ("{{1}, {2.5}, {null}}", '"a STRING"', [["a"], ["1"], ["2.5"], ["NULL"]]),
    ("{{3.0}}", '"a INT"', [["a"], ["3"]]),
    ("{{tags = {}, st = {}}, {tags = {'x'}, st = {k = 1}}}", "nil", [["st", "tags"], ["{NULL}", "[]"], ["{1}", "[x]"]]),
    ("{{{b = 1, a = {2}}}}", '{"s"}', [["s"], ["{[2], 1}"]]),
    ("{{{a = 1, b = 2}, '2024-02-29'}, {{}, null}, {null, null}}", '"m MAP<STRING, INT>, d DATE"',
     [["m", "d"], ["{a -> 1, b -> 2}", "2024-02-29"], ["{}", "NULL"], ["NULL", "NULL"]]),
    ("{{1, 2}}", '"a INT, a INT"', [["a", "a"], ["1", "2"]]),
    ('{{["a.b"] = 1, ["q\\"x`y"] = 2, ["😀"] = 3}}', "nil", [["a.b", 'q"x`y', "😀"], ["1", "2", "3"]]),
    ("{}", '"a INT, b STRING"', [["a", "b"]]),
    ("df:filter('id < 3'):collect()", "nil", [["id", "s", "d"], ["1", "a", "1.5"], ["2", "NULL", "NULL"]]),
])
def test_create(run, data, schema, want):
    assert rows(run(f"spark:createDataFrame({data}, {schema}):show(20, false)")) == want


@pytest.mark.parametrize("data,schema,says", [
    ('{{1}, {"x"}}', "nil", "[CANNOT_MERGE_TYPE] column '_1': row 1 has a bigint, row 2 a string"),
    ('{{"x"}}', '"a INT"', "[FIELD_DATA_TYPE_UNACCEPTABLE] column 'a', row 1"),
    ("{{1.5}}", '"a INT"', "32-bit integer, the value is the double 1.5"),
    ("{{3000000000}}", '"a INT"', "32-bit integer, the value is the bigint 3000000000"),
    ("{{1e300}}", '"a BIGINT"', "64-bit integer"),
    ("{{true}}", '"a STRING"', "UNACCEPTABLE"),
    ("{{1, null}}", '"a INT, b INT NOT NULL"', "[FIELD_NOT_NULLABLE] column 'b', row 1"),
    ("{{1, 2, 3}}", '{"a", "b"}', "row 1 has 3 values, there are 2 columns"),
    ("{}", "nil", "CANNOT_INFER_EMPTY_SCHEMA"),
    ("{1, 2}", "nil", "row 1 is a number, a table expected"),
    ("{{print}}", "nil", "a function cannot be put into a DataFrame"),
    ("{{1}, {a = 2}}", "nil", "some rows are lists and some have names"),
    ("{{{1, {2}}}}", "nil", "CANNOT_MERGE_TYPE"),
    ("(function() local t = {}; t[1] = t; return {t} end)()", "nil", "holds itself"),
    ("(function() local t = {}; t.t = t; return {{t}} end)()", "nil", "holds itself"),
    ("{{1}}", '"a NOPE"', "the type 'NOPE' is not known"),
])
def test_create_refuses(run, data, schema, says):
    assert says in run(f"fails(function() spark:createDataFrame({data}, {schema}) end)")


def test_create_stores_numbers_as_the_schema_has_them(run):
    """No cast is left for the engine to do: a server would do it for each row of each query."""
    code = """
local ddl = "y TINYINT, h SMALLINT, i INT, l BIGINT, f FLOAT, d DOUBLE, a ARRAY<SMALLINT>, st STRUCT<x: INT, y: FLOAT>, m MAP<INT, TINYINT>"
local df = spark:createDataFrame({{-128, -32768, -2147483648, math.mininteger, 0.1, 0.1, {1, null, -3}, {x = 5, y = 0.5}, {[7] = -3}},
  {127.0, 32767, 2147483647, math.maxinteger, 1e39, 3, {}, {x = null, y = -1e39}, {}}, {null, null, null, null, null, null, null, null, null}}, ddl)
df:show(3, false)
print(df.schema.simpleString)
df:select("i"):explain("extended")
"""
    out = run(code)
    assert rows(out) == [["y", "h", "i", "l", "f", "d", "a", "st", "m"],
                         ["-128", "-32768", "-2147483648", "-9223372036854775808", "0.1", "0.1", "[1, NULL, -3]", "{5, 0.5}", "{7 -> -3}"],
                         ["127", "32767", "2147483647", "9223372036854775807", "Infinity", "3.0", "[]", "{NULL, -Infinity}", "{}"],
                         ["NULL"] * 9]
    assert "y:tinyint,h:smallint,i:int,l:bigint,f:float,d:double,a:array<smallint>,st:struct<x:int,y:float>,m:map<int,tinyint>" in out and "CAST" not in out.upper()


def test_ten_thousand_columns(run):
    assert run("""
local row, named = {}, {}
for i = 1, 10000 do row[i] = i; named["c" .. i] = i end
local wide = spark:createDataFrame({row, row})
local r = wide:collect()[2]
print(#wide.columns, r[10000], r._9999, #spark:createDataFrame({named, named}).columns)
""") == "10000\t10000\t9999\t10000\n"


def test_types_make_schemas(run):
    assert run("""
local T = types
local s = T.StructType{T.StructField("id", T.LongType(), false), T.StructField("a b", T.ArrayType(T.IntegerType())),
    T.StructField("m", T.MapType(T.StringType(), T.DecimalType(10, 2))), T.StructField("t", T.StructType{T.StructField("x", T.DoubleType())})}
print(s.simpleString)
print(spark:createDataFrame({}, s).schema.simpleString == s.simpleString, spark:range(1):select(F.col("id"):cast(T.StringType())).dtypes[1][2])
fails(function() T.StructType{"id"} end)
""").splitlines() == ["struct<id:bigint,a b:array<int>,m:map<string,decimal(10,2)>,t:struct<x:double>>", "true\tstring",
                      "stdin:10: StructType: field 1 is no StructField"]


# ---- rows ----
def test_rows(run):
    assert run("""
local r = df:first()
print(r.id, r[2], r.s, #r, r)
print(df:collect()[2].s == null, df:collect()[2])
local d = r:asDict(); print(d.id, d.s, d.d)
fails(function() return r.ids end)
print(df:filter("id > 9"):first(), #df:filter("id > 9"):collect(), df:isEmpty(), df:tail(1)[1].id, df:head().id, #df:head(2), #df:take(2), df:count(), #df)
local n = 0; for row in df:toLocalIterator() do n = n + row.id end; print(n)
local t = df:toTable(); print(t.id[3], t.s[3], t.s[2] == null)
print(spark:createDataFrame({{"a\\0b"}}):first()[1]:len(), spark:createDataFrame({{math.mininteger, math.maxinteger}}):first())
""").splitlines() == [
        "1\ta\ta\t3\tRow(id=1, s='a', d=1.5)",
        "true\tRow(id=2, s=null, d=null)",
        "1\ta\t1.5",
        "this Row has no field 'ids': did you mean 'id'",
        "nil\t0\tfalse\t3\t1\t2\t2\t3\t3",
        "6",
        "3\tc\ttrue",
        "3\tRow(_1=-9223372036854775808, _2=9223372036854775807)",
    ]


# ---- methods ----
@pytest.mark.parametrize("code,want", [
    ('df:select("id", F.upper("s"):alias("u"))', [["1", "A"], ["2", "NULL"], ["3", "C"]]),
    ('df:select{"s"}', [["a"], ["NULL"], ["c"]]),
    ('df:selectExpr("id + 1 AS n")', [["2"], ["3"], ["4"]]),
    ('df:filter(F.col("id"):gt(1) & df.s:isNotNull()):select("id")', [["3"]]),
    ('df:where("id = 2 OR s = \'a\'"):select("id")', [["1"], ["2"]]),
    ('df:withColumn("t", F.lit("s")):select("t"):limit(1)', [["s"]]),
    ('df:withColumns{b = df.id * 2, a = F.lit(0)}:select("id", "a", "b"):limit(1)', [["1", "0", "2"]]),
    ('df:drop("d", df.s, "nope")', [["1"], ["2"], ["3"]]),
    ('df:orderBy{"id", ascending = false}:select("id")', [["3"], ["2"], ["1"]]),
    ('df:orderBy("id", {ascending = 0}):select("id")', [["3"], ["2"], ["1"]]),
    ('df:orderBy{df.s:isNull(), "id", ascending = {false, true}}:select("id")', [["2"], ["1"], ["3"]]),
    ('df:sort(F.desc("s")):select("id")', [["3"], ["1"], ["2"]]),
    ('df:orderBy("s"):offset(1):select("id")', [["1"], ["3"]]),
    ('df:dropna()', [["1", "a", "1.5"], ["3", "c", "2.5"]]),
    ('df:dropna{thresh = 1}:select("id")', [["1"], ["2"], ["3"]]),
    ('df:dropna{how = "all", subset = {"s", "d"}}:select("id")', [["1"], ["3"]]),
    ('df.na:drop():select("id")', [["1"], ["3"]]),
    ('df:fillna(0):filter("id = 2")', [["2", "NULL", "0.0"]]),
    ('df:fillna("?", {"s"}):filter("id = 2")', [["2", "?", "NULL"]]),
    ('df:fillna{s = "?", d = 1}:filter("id = 2")', [["2", "?", "1.0"]]),
    ('df:fillna{value = 7, subset = "d"}:filter("id = 2")', [["2", "NULL", "7.0"]]),
    ('df:fillna({}):filter("id = 2")', [["2", "NULL", "NULL"]]),
    ('df:replace("a", "z"):replace({1, 2}, {10, 20}):replace{c = "y"}:select("id", "s")', [["10", "z"], ["20", "NULL"], ["3", "y"]]),
    ('df:replace(1, null, "id"):select("id"):limit(1)', [["NULL"]]),
    ('df:union(df):dropDuplicates{"id"}:orderBy("id"):select("id")', [["1"], ["2"], ["3"]]),
    ('df:union(df):dropDuplicates{subset = {"id"}}:orderBy("id"):select("id")', [["1"], ["2"], ["3"]]),
    ('df:unionByName(spark:createDataFrame({{9}}, {"id"}), true):filter("id = 9")', [["9", "NULL", "NULL"]]),
    ('df:select("id"):subtract(spark:range(3)):orderBy("id")', [["3"]]),
    ('df:select("id"):intersect(spark:range(3)):orderBy("id")', [["1"], ["2"]]),
    ('df:select("id"):exceptAll(spark:range(2)):orderBy("id")', [["2"], ["3"]]),
    ('df:toDF("x", "y", "z"):select("y"):limit(1)', [["a"]]),
    ('df:withColumnRenamed("s", "t"):select("t"):limit(1)', [["a"]]),
    ('df:withColumnsRenamed{s = "t"}:select("t"):limit(1)', [["a"]]),
    ('df:transform(function(x, n) return x:limit(n) end, 1):select("id")', [["1"]]),
    ('df:repartition(3, "id"):repartition("s"):coalesce(1):cache():select("id")', [["1"], ["2"], ["3"]]),
    ('spark:range(1, 10, 4)', [["1"], ["5"], ["9"]]),
    ('df:toJSON()', [['{"id":1,"s":"a","d":1.5}'], ['{"id":2}'], ['{"id":3,"s":"c","d":2.5}']]),
    ('df:select(F.struct("id", F.col("s"):alias("t"), F.lit(1)):alias("x")):select("x.t", "x.col3"):limit(1)', [["a", "1"]]),
    ('df:select(df.id:isin(), df.id:isin{1}, df.s:isin("a", "c"), df.id:between(1, 2)):limit(1)', [["false", "true", "true", "true"]]),
    ('df:select(5 - df.id, df.id ^ 2, df.s .. "x", "y" .. df.s, ~df.id:gt(1), -df.id):limit(1)', [["4", "1.0", "ax", "ya", "true", "-1"]]),
    ('df:select(F.when(df.id:eq(1), "one"):when(df.id:eq(2), "two"):otherwise("many"))', [["one"], ["two"], ["many"]]),
    ('df:select(F.lit(nil), F.lit(null), F.lit{1, 2}):limit(1)', [["NULL", "NULL", "[1, 2]"]]),
])
def test_methods(run, code, want):
    assert rows(run(f"({code}):show(20, false)"))[1:] == want


def test_describe_and_summary(run):
    out = rows(run('df:describe():show() df:describe("id"):show() df:summary("count", "50%", "max"):show()'))
    assert out == [
        ["summary", "id", "s", "d"], ["count", "3", "2", "2"], ["mean", "2.0", "NULL", "2.0"],
        ["stddev", "1.0", "NULL", "0.7071067811865476"], ["min", "1", "a", "1.5"], ["max", "3", "c", "2.5"],
        ["summary", "id"], ["count", "3"], ["mean", "2.0"], ["stddev", "1.0"], ["min", "1"], ["max", "3"],
        ["summary", "id", "s", "d"], ["count", "3", "2", "2"], ["50%", "2", "NULL", "1.5"], ["max", "3", "c", "2.5"],
    ]


def test_constants_of_all_rows_are_one_row(run):
    """Where no column has a statistic, and where nothing is summed up."""
    out = rows(run('df:select(F.array("id"):alias("a")):describe():show() df:agg(F.lit(1)):show() df:limit(0):groupBy():agg(F.lit("x")):show()'))
    assert out == [["summary"], ["count"], ["mean"], ["stddev"], ["min"], ["max"], ["1"], ["1"], ["x"], ["x"]]


def test_rows_may_be_values_of_one_type(run):
    assert rows(run('spark:createDataFrame({1, 2}, "int"):show() spark:createDataFrame({{1, 2}, {}}, "array<int>"):show()')) == [
        ["value"], ["1"], ["2"], ["value"], ["[1, 2]"], ["[]"]]


def test_names_of_columns_are_those_of_pyspark(run):
    names = run('print(table.concat(df:select(F.struct("id", "s"), F.pow("d", 2), F.max(F.struct("id")):over(Window.partitionBy("id"))).columns, "|"))')
    over = "OVER (PARTITION BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"
    assert names == f"struct(id, s)|POWER(d, 2)|max(struct(id)) {over}\n"
    assert run('print(table.concat(df:agg(F.mean("d")).columns, "|"))') == "avg(d)\n"
    out = rows(run('df:select(F.to_json(F.struct("*")), F.concat_ws(",", "*")):limit(1):show(1, false)'))
    assert out == [["to_json(struct(id, s, d))", "concat_ws(,, id, s, d)"], ['{"id":1,"s":"a","d":1.5}', "1,a,1.5"]]


def test_groups_and_windows(run):
    out = rows(run("""
local t = spark:createDataFrame({{"a", 1}, {"a", 2}, {"b", 5}}, {"k", "v"})
t:groupBy("k"):agg{v = "sum", ["*"] = "count"}:orderBy("k"):show()
t:groupBy("k"):sum():orderBy("k"):show()
t:groupBy():max("v"):show()
t:groupBy("k"):count():orderBy(F.desc("count")):show()
t:rollup("k"):agg(F.sum("v"):alias("s")):orderBy("s"):show()
t:withColumn("r", F.row_number():over(Window.partitionBy("k"):orderBy(F.desc("v")))):orderBy("v"):show()
t:withColumn("c", F.sum("v"):over(Window.orderBy("v"):rowsBetween(Window.unboundedPreceding, 0))):show()
"""))
    assert out == [
        ["k", "count(1)", "sum(v)"], ["a", "2", "3"], ["b", "1", "5"],
        ["k", "sum(v)"], ["a", "3"], ["b", "5"],
        ["max(v)"], ["5"],
        ["k", "count"], ["a", "2"], ["b", "1"],
        ["k", "s"], ["a", "3"], ["b", "5"], ["NULL", "8"],
        ["k", "v", "r"], ["a", "1", "2"], ["a", "2", "1"], ["b", "5", "1"],
        ["k", "v", "c"], ["a", "1", "1"], ["a", "2", "3"], ["b", "5", "8"],
    ]


def test_joins(run):
    out = rows(run("""
local big = df:filter("id > 1"):select("id", "s")
df:join(big, df.id:eq(big.id)):select(df.id, big.s):orderBy(df.id):show()
df:join(big, df.id:eq(big.id), "left_outer"):select(df.id, big.id):orderBy(df.id):show()
df:join(big, "id", "leftanti"):show()
df:join{big, on = {"id", "s"}, how = "full"}:orderBy("id"):show()
df:join(big, "id", "LEFT_SEMI"):select("id"):orderBy("id"):show()
local a, b = df:alias("a"), df:alias("b")
a:join(b, F.col("a.id"):eq(F.col("b.id") + 1)):select("a.id", F.col("b.s"):alias("t")):orderBy("id"):show()
print("|" .. df:crossJoin(big):count() .. "|")
"""))
    assert out == [
        ["id", "s"], ["2", "NULL"], ["3", "c"],
        ["id", "id"], ["1", "NULL"], ["2", "2"], ["3", "3"],
        ["id", "s", "d"], ["1", "a", "1.5"],
        ["id", "s", "d"], ["1", "a", "1.5"], ["2", "NULL", "NULL"], ["2", "NULL", "NULL"], ["3", "c", "2.5"],
        ["id"], ["2"], ["3"],
        ["id", "t"], ["2", "a"], ["3", "NULL"],
        ["6"],
    ]


def test_samples_and_splits(run):
    out = run("""
local big = spark:range(10000)
local a, b = big:randomSplit({0.7, 0.3}, 5)
local c, d = big:randomSplit{0.7, 0.3, seed = 5}
local e, f = big:randomSplit{weights = {0.7, 0.3}, seed = 5}
print(a:count() + b:count(), a:intersect(b):count(), a:subtract(c):count(), b:subtract(f):count())
print(big:sample(0.1, 3):count() == big:sample{0.1, seed = 3}:count(), big:sample{fraction = 0.1, seed = 3}:count() == big:sample(false, 0.1, 3):count())
local n = big:sample(0.1, 3):count(); print(n > 850 and n < 1150)
""")
    assert out.splitlines() == ["10000\t0\t0\t0", "true\ttrue", "true"]


def test_names_with_dots_quotes_and_emoji(run):
    out = rows(run("""
local q = spark:createDataFrame({{1, 2, 3}}, {"a.b", 'q"x', "😀 y"})
q:select("`a.b`", q["a.b"], q'q"x', "😀 y"):show()
q:drop("a.b"):show()
q:groupBy('q"x'):agg(F.sum("`a.b`"):alias("s")):show()
q:filter('`😀 y` = 3'):withColumnRenamed("a.b", "c"):dropDuplicates{"c"}:describe("c"):limit(1):show()
"""))
    assert out == [["a.b", "a.b", 'q"x', "😀 y"], ["1", "1", "2", "3"], ['q"x', "😀 y"], ["2", "3"], ['q"x', "s"], ["2", "1"],
                   ["summary", "c"], ["count", "1"]]


# ---- spark:sql, catalog ----
def test_sql_arguments(run):
    out = rows(run("""
spark:sql("SELECT ? + ? AS s, :k AS k", {1, 2, k = "it's"}):show()
spark:sql("SELECT {d}.s, '{d}' AS t FROM {d} WHERE id >= {low} -- {other}", {d = df, low = 3}):show()
spark:sql("SELECT a.id FROM {a} a JOIN {b} b ON a.id = b.id + 1 ORDER BY 1", {a = df, b = df:select("id")}):show()
spark:sql("CREATE OR REPLACE TEMP VIEW d AS SELECT id FROM {d} WHERE id = 3", {d = df})
spark:sql("SELECT count(*) AS n FROM {d}", {d = spark:table("d")}):show()
spark:sql([[SELECT '{"a": 1}' AS j]]):show()
"""))
    assert out == [["s", "k"], ["3", "it's"], ["s", "t"], ["c", "{d}"], ["id"], ["2"], ["3"], ["n"], ["1"], ["j"], ['{"a": 1}']]


def test_catalog_and_conf(run):
    assert run("""
df:createOrReplaceTempView("people")
fails(function() df:createTempView("people") end)
print(spark.catalog:tableExists("people"), spark.catalog:databaseExists("default"), spark.catalog:databaseExists("nope"))
for _, c in ipairs(spark.catalog:listColumns("people")) do print(c.name, c.dataType, c.isPartition) end
print(spark.catalog:dropTempView("people"), spark.catalog:dropTempView("people"))
print(spark.conf:get("not.set", "default"))
spark.conf:set("my.setting", 5); print(spark.conf:get("my.setting"))
print(SparkSession.builder:appName("x"):config("a.b", true):getOrCreate() == spark, spark.conf:get("a.b"))
""").splitlines()[1:] == ["true\ttrue\tfalse", "id\tbigint\tfalse", "s\tstring\tfalse", "d\tdouble\tfalse", "true\tfalse", "default", "5", "true\ttrue"]


# ---- writes ----
def test_writes_are_read_by_others(run, tmp_path):
    run(f"""
df.write:parquet("{tmp_path}/p")
df.write:partitionBy("id"):parquet("{tmp_path}/part")
df.write:csv{{"{tmp_path}/c", header = true}}
df.write:mode("overwrite"):partitionBy("id"):partitionBy():json("{tmp_path}/j")
df.write:save("{tmp_path}/delta", "delta", "overwrite", "id")
df.write:mode("append"):format("delta"):save("{tmp_path}/delta")
df.write:mode("ignore"):format("delta"):save("{tmp_path}/delta")
""")
    want = [{"id": 1, "s": "a", "d": 1.5}, {"id": 2, "s": None, "d": None}, {"id": 3, "s": "c", "d": 2.5}]
    assert pq.read_table(next((tmp_path / "p").glob("part-*"))).to_pylist() == want
    parts = pa.dataset.dataset(tmp_path / "part", format="parquet", partitioning="hive").to_table().sort_by("id")
    assert parts.select(["id", "s", "d"]).to_pylist() == want
    assert duckdb.sql(f"SELECT id, s, d FROM read_csv('{tmp_path}/c/part-*') ORDER BY id").fetchall() == [tuple(r.values()) for r in want]
    assert duckdb.sql(f"SELECT id, s, d FROM read_json('{tmp_path}/j/part-*') ORDER BY id").fetchall() == [tuple(r.values()) for r in want]
    table = DeltaTable(tmp_path / "delta")
    assert table.metadata().partition_columns == ["id"] and table.version() == 1
    assert table.to_pyarrow_table().num_rows == 6


def test_tables(run, home):
    out = run("""
df.write:saveAsTable("things")
fails(function() df.write:saveAsTable("things") end)
df.write:insertInto("things"); print(spark:table("things"):count())
df.write:insertInto("things", true); print(spark:table("things"):count())
df.write:mode("append"):saveAsTable("things"); print(spark:table("things"):count())
fails(function() df:select("id").write:insertInto("things") end)
df:withColumn("n", F.lit(1)).write:mode("append"):option("mergeSchema", true):saveAsTable("things")
print(#spark:table("things").columns, spark.read:table("things"):filter("n = 1"):count())
spark:sql("DROP TABLE things")
""").splitlines()
    assert "TABLE_OR_VIEW_ALREADY_EXISTS" in out[0] and out[1:4] == ["6", "3", "6"]
    assert "it has 3 columns, the rows have 1" in out[4] and out[5] == "4\t3"


def test_a_failed_write_leaves_no_folder(run, tmp_path):
    out = run(f"""
fails(function() df.write:partitionBy("nope"):parquet("{tmp_path}/x") end)
df.write:parquet("{tmp_path}/x")
fails(function() df.write:parquet("{tmp_path}/x") end)
fails(function() df:select(F.col("id") / 0).write:mode("overwrite"):parquet("{tmp_path}/x") end)
print(spark.read:parquet("{tmp_path}/x"):count())
""").splitlines()
    assert "`nope` is not among the columns" in out[0] and "PATH_ALREADY_EXISTS" in out[1] and "DIVIDE_BY_ZERO" in out[2] and out[3] == "3"


# ---- errors ----
@pytest.mark.parametrize("code,says", [
    ('df:show{5, trunc = 3}', "no argument is named 'trunc': did you mean 'truncate'"),
    ('df:show(1, 2, false, 4)', "at most 3 arguments expected"),
    ('df:show{1, 2, false, 4}', "at most 3 arguments expected"),
    ('df:show(-1)', "cannot be negative"),
    ('df:select{"id", x = 1}', "no argument is named 'x'"),
    ('df:select(nil)', "a column, a name or a value expected, got nil"),
    ('df:slect("id")', "did you mean 'select'"),
    ('return df.ids', "did you mean 'id'"),
    ('return df"ids"', "did you mean 'id'"),
    ('df:select("ids"):collect()', "Did you mean one of the following? [`id`"),
    ('df:withColumn("x", "s")', "[NOT_COLUMN] a Column expected, got the text 's'"),
    ('df:withColumns{x = "s"}', "[NOT_COLUMN]"),
    ('df:join(df, "id", "lef")', "no join type is named 'lef': did you mean 'left'"),
    ('df:join(df, df.id == 1)', "a condition must be a Column or SQL text, got a boolean"),
    ('df:join(df, df.id:eq(df.id)):collect()', "AMBIGUOUS_REFERENCE"),
    ('df:filter(df.id == 1)', "write col:eq(x)"),
    ('return df.id > 1', "write col:gt(value)"),
    ('return df.id == df.id', "write col:eq(value)"),
    ('df:orderBy{"id", "s", ascending = {true}}', "ascending has 1 values for 2 columns"),
    ('df:orderBy{"id", asc = true}', "no argument is named 'asc'"),
    ('df:dropna{how = "some"}', "'any' or 'all' expected, got 'some'"),
    ('df:limit(-1)', "cannot be negative"),
    ('df:sample(1.5)', "a fraction between 0 and 1 expected"),
    ('df:sample(0/0)', "a fraction between 0 and 1 expected"),
    ('df:randomSplit({})', "expected"),
    ('df:randomSplit({1, -1})', "a weight must be a number, not negative"),
    ('df:randomSplit({math.huge, 1})', "weights must have a sum above zero"),
    ('df:toDF("a")', "1 names given for 3 columns"),
    ('df:union(spark:range(1)):collect()', "NUM_COLUMNS_MISMATCH"),
    ('df:groupBy("s"):agg{}', "an aggregate expected"),
    ('df:groupBy("s"):agg{id = "summ"}:collect()', "did you mean 'sum'"),
    ('df:summary("medain")', "'medain' is no statistic of summary"),
    ('df:replace({1, 2}, {1})', "2 values to replace, 1 to replace them with"),
    ('F.summ("x")', "did you mean 'sum'"),
    ('F.sum()', "0 arguments given, expected F.sum(col)"),
    ('F.col("`x")', "backticks appear in pairs"),
    ('F.col("")', "INVALID_ATTRIBUTE_NAME_SYNTAX"),
    ('F.col("a"):cast("strin")', "the type 'strin' is not known"),
    ('F.col("a"):otherwise(1)', "goes behind F.when"),
    ('Window.orderBy("a"):rowsBetween(-1.5, 0)', "a whole number of rows expected"),
    ('Window.orderBy("a"):rowsBetween(1, 0)', "ends before it begins"),
    ('F.sum("id"):over("id")', "a window expected"),
    ('df.write:mode("overwrit")', "no save mode is named 'overwrit': did you mean 'overwrite'"),
    ('df.write:save{"/tmp/no-such-folder-here/x", format = "orc"}', "DATA_SOURCE_NOT_FOUND"),
    ('df.write:csv("/tmp/x", "append", "id", 4)', "too many arguments"),
    ('local r = spark.read:schema("a INT"); pcall(r.schema, r, "b NOPE"); r:schema("c NOPE")', "the type 'NOPE' is not known"),
    ('spark.read:csv{"/tmp/x.csv", schema = "zz qq pp"}', "the type 'qq' is not known"),
    ('spark:sql("SELECT * FROM {dff}", {df = df})', "the text has {dff}, but there is no argument of that name"),
    ('spark:sql("SELECT * FROM ?", {df})', "a DataFrame goes into the text by name"),
    ('spark:table("a.b.c.d")', "one to three parts"),
    ('spark:table("nosuch")', "cannot find table"),
    ('spark.conf:get("not.set")', "SQL_CONF_NOT_FOUND"),
    ('spark:range(1, 5, 0)', "the step cannot be 0"),
    # what PySpark has no place for is not forgotten
    ('df:filter("id > 1", "id < 3")', "filter: at most 1 argument expected, got 2"),
    ('df:union(df, df)', "at most 1 argument expected"),
    ('df:distinct("s")', "at most 0 arguments expected"),
    ('df:groupBy("s"):count("id")', "at most 0 arguments expected"),
    ('F.when(df.id:gt(1), 1, 0)', "when: at most 2 arguments expected, got 3"),
    ('F.col("id", "s")', "at most 1 argument expected"),
    ('F.col("s"):startswith("a", "b")', "at most 1 argument expected"),
    ('df:corr("id", "d", "pearson", 1)', "at most 3 arguments expected"),
    ('df:coalesce("id")', "number expected, got string"),
    ('df:withColumn(5, F.lit(1))', "bad argument #1 to 'withColumn' (string expected, got number)"),
    ('df:withColumnRenamed(1, 2)', "bad argument #1 to 'withColumnRenamed' (string expected, got number)"),
    ('df:alias(5)', "bad argument #1 to 'alias' (string expected, got number)"),
    ('df:toDF(1, 2, 3)', "to 'toDF' (string expected, got number)"),
    ('df:createOrReplaceTempView(5)', "to 'createOrReplaceTempView' (string expected, got number)"),
    ('df.write:saveAsTable(5)', "to 'saveAsTable' (string expected, got number)"),
    ('df.write:parquet(5)', "to 'parquet' (string expected, got number)"),
    ('spark.read:csv(5)', "to 'csv' (string expected, got number)"),
    ('df.id:cast(5)', "to 'cast' (string expected, got number)"),
    ('F.col(5)', "to 'col' (string expected, got number)"),
    ('df:dropDuplicates(5)', "to 'dropDuplicates' (string expected, got number)"),
    ('df:join(df, "id", 5)', "to 'join' (string expected, got number)"),
    ('spark:range()', "to 'range' (number expected, got nil)"),
    ('df:select{a = 1}', "select: no argument is named 'a'"),
    ('df:orderBy("id", {ascending = "x"})', "orderBy: ascending is true, false or a list of them"),
    ('df:withColumnsRenamed{id = 5}', "withColumnsRenamed: the new name of 'id' must be a text, got number"),
    ('df:fillna{id = {}}', "fillna: the value of 'id' must be a number, a text or a boolean, got table"),
    ('df:transform(function() return 5 end)', "transform: the function must give a DataFrame, got number"),
    ('df:foreach(5)', "foreach: f must be a function, got number"),
    ('df:colRegex(5)', "colRegex: the regular expression must be a text, got number"),
    ('df:crosstab("id")', "crosstab: col2 must be the name of a column, got nothing"),
    ('df:corr("d")', "corr: col2 must be the name of a column, got nothing"),
    ('df:freqItems(5)', "freqItems: cols must be names of columns, got number"),
    ('df:summary("nope")', "[UNRECOGNIZED_STATISTIC] 'nope' is no statistic of summary"),
    ('df:orderBy("id", {ascendin = false})', "did you mean 'ascending'"),
    ('df:orderBy("id", {ascending = "desc"})', "ascending is true, false or a list of them, got string 'desc'"),
    ('df:unionByName(df, {allowMissingColums = true})', "did you mean 'allowMissingColumns'"),
    ('df:unionByName(df, "false")', "boolean expected, got string"),
    ('df:show{vertical = "no"}', "boolean expected, got string"),
    ('df:join(df, "id", {hwo = "left"})', "did you mean 'how'"),
    ('df:join(df, "id", {on = "id"})', "argument 'on' is given twice"),
    ('df:select("id", {"s"})', "a list goes alone"),
    ('df:groupBy("id", {"s"})', "a list goes alone"),
    ('df:orderBy({"id"}, {"s"})', "a list goes alone"),
    ('df:groupBy("s"):agg(F.sum("id"), {id = "max"})', "a list goes alone"),
    ('Window.partitionBy("s", {"id"})', "a list goes alone"),
    ('F.lit{a = 1}', "a table with names is no value"),
    ('F.filter(F.array("id"), function(x) return x == 1 end)', "write col:eq(x)"),
    ('F.when(df.id:gt(1), nil)', "NULL is written null"),
    ('df:replace("a", 1)', "MIXED_TYPE_REPLACEMENT"),
    ('df:replace{"a", "b"}', "MIXED_TYPE_REPLACEMENT"),
    ('df:replace("a")', "ARGUMENT_REQUIRED"),
    ('df:replace("a", "b", "nope")', "UNRESOLVED_COLUMN"),
    ('df:groupBy("s"):pivot("id", 1)', "the values go in a list"),
    ("return df[1]", "a DataFrame has no elements"),
    ("df.total = df.id * 2", 'df = df:withColumn("total", column)'),
    ("for _, row in ipairs(df) do print(row) end", "for _, row in ipairs(df:collect()) do"),
    ("for _, row in pairs(df) do print(row) end", "for _, row in ipairs(df:collect()) do"),
    ('spark.read:csv{"nowhere.csv", schma = "a INT"}', "did you mean 'schema'"),
    ('spark.read:load{"nowhere.csv", fromat = "csv"}', "did you mean 'format'"),
    ('spark.read:options{mod = "FAILFAST"}:csv("nowhere.csv")', "did you mean 'mode'"),
    ('df.write:parquet{"nowhere", mod = "append"}', "did you mean 'mode'"),
    ('local p = os.tmpname(); local f = assert(io.open(p, "w")); f:write("a"); f:close(); local _, e = pcall(function() spark.read:option("mode", "FAILFST"):csv(p):show() end); os.remove(p); error(e, 0)',
     "it is PERMISSIVE, DROPMALFORMED or FAILFAST"),
    ('df:groupBy("s"):pivot{"id"}:sum()', "one column or its name expected"),
    ('df:sampleBy("s", {a = 1.5})', "a fraction is a number from 0 to 1"),
    ('spark:createDataFrame({{a = 1}}, {"x", "y"})', "the rows have names of their own, like 'a'"),
    ('spark:createDataFrame({[1] = {1}, [3] = {3}}, {"n"})', "the list of rows has a hole"),
    ('spark:createDataFrame{a = {1, 2}}', "the rows go in a list"),
    ('spark:createDataFrame(df:collect(), {"a", "b"})', "AXIS_LENGTH_MISMATCH"),
    ('spark.read:csv{"/tmp/x.csv", heade = true}', "no option is named 'heade': did you mean 'header'"),
    ('spark.read:option("inferSchem", true):csv("/tmp/x.csv")', "did you mean 'inferSchema'"),
    ('spark.read:option("versionAsOff", 0):table("nosuch")', "did you mean 'versionAsOf'"),
    ('spark.read:csv("/tmp/x.csv", "a STRING", ";")', "more options go by name"),
    ('spark.read:json("/tmp/x.json", "a STRIN")', "the type 'STRIN' is not known"),
    ('df.write:option("mergeSchma", true):saveAsTable("t9")', "did you mean 'mergeSchema'"),
    ('df:select(df.id:alias("a", "b"))', "MULTI_ALIAS_WITHOUT_GENERATOR"),
    ('df:select(F.regexp_extract("s", "(a)", 2))', "group index between 0 and 1, but got 2"),
    ('df:select(F.regexp_extract("s", "a[(]"))', "group index between 0 and 0, but got 1"),
])
def test_errors_say_what_to_do(run, code, says):
    assert says in run(f"fails(function() {code} end)")


# ---- completion and inspection ----
def test_methods_are_documented(home):
    assert "select(column, …) -> DataFrame" in script(home, "df = spark:range(3)\ndf.select?")
    assert "eq(value) -> Column" in script(home, "c = F.col('id')\nc.eq?")
    done = lacus(home, "-", text="df = spark:range(3)\nfor _, n in ipairs(getmetatable(df).__dir(df)) do print(n) end")
    names = done.stdout.split()
    assert {"select", "toJSON", "columns", "write", "id"} <= set(names), done.stdout + done.stderr


# ---- windows of time: what Spark 4.3 prints for the same calls ----
def test_windows_of_time(run):
    out = run("""
local times = spark:createDataFrame({{"a", "2024-01-01 00:00:00", 1}, {"a", "2024-01-01 00:05:00", 2}, {"a", "2024-01-01 00:04:59", 3}, {"a", "2024-01-01 00:20:00", 4},
  {"b", "2024-01-01 00:01:00", 5}, {"b", null, 6}, {null, "2024-01-01 00:01:00", 7}, {null, "2024-01-01 00:01:00", 8}, {"a", "2024-01-01 00:10:00", 9}}, "k STRING, t STRING, v INT")
  :withColumn("ts", F.col("t"):cast("timestamp"))
times:groupBy(F.session_window("ts", "5 minutes"), "k"):agg(F.sum("v"):alias("s")):orderBy("k", "session_window"):select("session_window.*", "k", "s"):show()
times:groupBy(F.window("ts", "10 minutes", "4 minutes")):agg(F.sum("v"):alias("s"), F.count("*")):orderBy("window"):select("window.start", "s"):show()
spark:sql("select session_window.start as st, sum(v) s from {df} group by session_window(ts, '1 minute') order by 1", {df = times}):show()
spark:sql("select window.end as e, count(*) n from {df} group by window(ts, '1 hour')", {df = times}):show()
print(times:select(F.window("ts", "1 day")):count())
""")
    assert rows(out) == [["start", "end", "k", "s"], ["2024-01-01 00:01:00", "2024-01-01 00:06:00", "NULL", "15"], ["2024-01-01 00:00:00", "2024-01-01 00:15:00", "a", "15"],
                         ["2024-01-01 00:20:00", "2024-01-01 00:25:00", "a", "4"], ["2024-01-01 00:01:00", "2024-01-01 00:06:00", "b", "5"],
                         ["start", "s"], ["2023-12-31 23:52:00", "21"], ["2023-12-31 23:56:00", "26"], ["2024-01-01 00:00:00", "26"], ["2024-01-01 00:04:00", "14"],
                         ["2024-01-01 00:08:00", "9"], ["2024-01-01 00:12:00", "4"], ["2024-01-01 00:16:00", "4"], ["2024-01-01 00:20:00", "4"],
                         ["st", "s"], ["2024-01-01 00:00:00", "21"], ["2024-01-01 00:04:59", "5"], ["2024-01-01 00:10:00", "9"], ["2024-01-01 00:20:00", "4"],
                         ["e", "n"], ["2024-01-01 01:00:00", "8"]]
    assert out.strip().endswith("8")


# text, as a timestamp in UTC, as a timestamp without zone: what Spark 4.3 gives, in one column, so that no row changes another
TIMES = [("2024-01-01 10:00:00 Europe/Berlin", "2024-01-01 09:00:00", "2024-01-01 10:00:00"), ("2024-01-01 10:00:00", "2024-01-01 10:00:00", "2024-01-01 10:00:00"),
         ("2024-01-01T10:00:00+02:00", "2024-01-01 08:00:00", "2024-01-01 10:00:00"), ("2024-01-01 10:00:00Z", "2024-01-01 10:00:00", "2024-01-01 10:00:00"),
         ("2024-01", "2024-01-01 00:00:00", "2024-01-01 00:00:00"), ("2024", "2024-01-01 00:00:00", "2024-01-01 00:00:00"), (" 2024-1-1 1:2:3 ", "2024-01-01 01:02:03", "2024-01-01 01:02:03"),
         ("2024-01-01 10:00:00.123456789", "2024-01-01 10:00:00.123456", "2024-01-01 10:00:00.123456"), ("2024-01-01 10:00 America/New_York", "NULL", "NULL"),
         ("2024-01-01 10:00:00 PST", "2024-01-01 18:00:00", "2024-01-01 10:00:00"), ("2024-01-01 10:00:00 GMT+3", "2024-01-01 07:00:00", "2024-01-01 10:00:00"),
         ("2024-01-01 10:00:00 +05:30", "2024-01-01 04:30:00", "2024-01-01 10:00:00"), ("2024-13-01", "NULL", "NULL"), ("2024-01-01 10:00:00 Nowhere/At_All", "NULL", "NULL"), ("x", "NULL", "NULL")]


def test_texts_as_timestamps(run):
    data = ", ".join(f'{{{i}, "{text}"}}' for i, (text, _, _) in enumerate(TIMES))
    out = run(f"""
local times = spark:createDataFrame({{{data}}}, "i INT, s STRING")
for _, r in ipairs(times:selectExpr("i", "cast(try_cast(s as timestamp) as string) a", "cast(try_cast(s as timestamp_ntz) as string) b"):orderBy("i"):collect()) do
  print(r.a == null and "NULL" or r.a, r.b == null and "NULL" or r.b)
end
fails(function() spark:sql("select cast('2024-13-01' as timestamp)"):collect() end)
spark.conf:set("spark.sql.session.timeZone", "America/Los_Angeles")
print(spark:sql("select unix_timestamp(timestamp'2024-01-01 10:00:00') a"):first().a)
""").splitlines()
    want = [f"{a}\t{b}" for _, a, b in TIMES]
    assert out[:len(TIMES)] == want
    assert out[-2].startswith("[CAST_INVALID_INPUT] The value '2024-13-01'") and out[-1] == "1704132000"


# ---- a dot where a colon belongs, as in PySpark, must never pass for something else ----
DOTS = [
    ("spark.range(5)", "spark:range("),
    ("spark.sql('SELECT 1')", "spark:sql("),
    ("spark.createDataFrame({{1}}, {'n'})", "spark:createDataFrame("),
    ("spark.conf.set('a', 'b')", "spark.conf:set("),
    ("spark.catalog.listTables('nowhere')", "spark.catalog:listTables("),
    ("SparkSession.builder.appName('x').getOrCreate()", "SparkSession.builder:appName("),
    ("spark.read.option('header', true).csv('x.csv')", "spark.read:option("),
    ("df.limit(2)", "df:limit("),
    ("df.join(df, 'id')", "df:join("),
    ("df.write.mode('overwrite').saveAsTable('t')", "df.write:mode("),
    ("df:write.mode('overwrite')", "'write' is a property"),
    ("df:groupBy('id').count()", ":count("),
    ("df:groupBy('id').agg(F.sum('n'))", ":agg("),
    ("df:filter(F.col('id').isin({1}))", ":isin("),
    ("df:select(F.sum('id').alias('s'))", ":alias("),
    ("df:filter(df.id.gt(1))", "df.id:gt("),
    ("df:filter(df.id.between(1, 2))", "df.id:between("),
    ("local x = F.col('id') x.cast('int')", "x:cast("),
    ("F.when(df.id:gt(1), 1).otherwise(2)", ":otherwise("),
    ("Window.partitionBy('s').orderBy('id')", ":orderBy("),
    ("local w = Window.partitionBy('s') w.orderBy('id')", "w:orderBy("),
    ("local x = df.columns()", "'columns' is a property"),
    ("spark:conf():set('a', 'b')", "'conf' is a property"),
    ("local x = df\n  :filter('id > 1')\n  .count()", ":count("),
    ("F:col('id')", "F.col("),
    ("plot:line{x = {1}, y = {1}}", "plot.line("),
    ("mlflow:log_metric('a', 1)", "mlflow.log_metric("),
    ("llm:load('nowhere')", "llm.load("),
    ("dbutils.fs:ls('/')", "dbutils.fs.ls("),
    ("dbutils.widgets:text('a', 'b')", "dbutils.widgets.text("),
]


@pytest.mark.parametrize("code,hint", DOTS, ids=[code for code, _ in DOTS])
def test_a_dot_for_a_colon_is_said(home, code, hint):
    done = lacus(home, "-", text="df = spark:range(3)\n" + code)
    assert done.returncode == 1, done.stdout + done.stderr
    said = done.stderr.partition("hint: ")[2]
    assert hint in said, done.stderr
    assert "line 2" in done.stderr, done.stderr


def test_names_may_come_last(run):
    """f(a, {name = value}), as f(a, name=value) is typed by those who know Python."""
    assert run("""
print(df:join(df:limit(1), {on = "id", how = "left"}):count(), df:join(df:limit(1), "id", {how = "anti"}):count())
print(df:fillna("q", {subset = "s"}):filter("s = 'q'"):count(), df:dropna("any", {subset = {"s"}}):count())
print(df:unionByName(df:select("id"), {allowMissingColumns = true}):count(), spark:sql("SELECT :args AS x", {args = 3}):first().x)
print(df:replace{to_replace = {a = "b"}, subset = "S"}:filter("s = 'b'"):count(), df:replace("a", "b", "id"):filter("s = 'b'"):count())
""") == "3\t2\n1\t2\n6\t3\n1\t0\n"


def test_readers_take_pyspark_s_positions(run, tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,x\n")
    assert run(f"""
local path = "{tmp_path}/a.csv"
print(spark.read:load(path, "csv"):count(), spark.read:load(path, "csv", "n INT, s STRING", {{header = true}}):first().n)
print(spark.read:csv(path, "n INT, s STRING", {{header = true}}):first().s, spark.read:load{{path, format = "csv", header = true}}:first().a)
fails(function() spark.read:option("header", "yes"):csv(path):count() end)
print(table.concat(spark:createDataFrame(df:collect(), {{"x", "y", "z"}}):filter("x = 3"):first(), " "))
""") == "2\t1\nx\t1\nthe option 'header' is true or false, not 'yes'\n3 c 2.5\n"


# what Spark 4.3 gives, in one row
VALUES = [("array_join(array(cast(null as string)), ',')", ""), ("array_join(array('a', null), ',')", "a"), ("array_join(array('a'), cast(null as string))", None),
          ("get_json_object('{\"a\":1}', 'a')", None), ("get_json_object('{\"a\":1}', '$.a')", "1"), ("ceil(cast(1.5 as double), 1)", "1.5"),
          ("ceil(cast(1.1 as double), 1)", "1.1"), ("floor(cast(1.15 as double), 2)", "1.15"), ("floor(cast(-1.15 as double), 1)", "-1.2"), ("ceil(1.151, 2)", "1.16"),
          ("floor(1234, -2)", "1200"), ("floor(-1234, -2)", "-1300"), ("ceil(99.99, 1)", "100.0")]


def test_values_that_spark_gives(run):
    out = run("local r = spark:sql([[SELECT " + ", ".join(f"cast({e} as string) c{i}" for i, (e, _) in enumerate(VALUES)) + "]]):first()\n"
              + f"for i = 1, {len(VALUES)} do print(r[i] == null and 'NULL' or r[i]) end").split("\n")[:-1]
    assert out == ["NULL" if v is None else v for _, v in VALUES]


def test_both_signs_go_where_pyspark_has_functions(run):
    assert rows(run("df.na.fill(0):show() df.na:fill(0):show()"))[1:4] == rows(run("df:fillna(0):show()"))[1:4]
    assert run("print(df.stat.corr('id', 'd') == df.stat:corr('id', 'd'), #df.na.drop():collect(), #df.na.replace('a', 'z'):filter(\"s = 'z'\"):collect())"
               ) == "true\t2\t1\n"


@pytest.mark.parametrize("call", ["withColumn('b', df.id == 1)", "withColumns{b = df.id == 1}", "select(df.id == 1)", "orderBy(df.id == 1)",
                                  "groupBy(df.id == 1)", "agg(df.id == 1)", "filter(df.id == 1)"])
def test_a_comparison_that_lua_makes_is_refused(run, call):
    assert "write col:eq(x)" in run(f"fails(function() df:{call} end)")

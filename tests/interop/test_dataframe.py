"""DataFrames of the built program against DuckDB's own client and pyarrow, and what it says of broken input."""
import os
import pathlib
import subprocess

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LACUS = ROOT / "build" / "lacus"


def lacus(tmp_path, script, ok=True):
    home = tmp_path / "home"
    file = tmp_path / "script.lua"
    file.write_text(script)
    done = subprocess.run([LACUS, "repl", str(file)], env={**os.environ, "LACUS_HOME": str(home)}, capture_output=True, text=True,
                          timeout=120, cwd=tmp_path)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout if ok else done.stdout + done.stderr


@pytest.fixture
def people(tmp_path):
    n = 5000
    table = pa.table({
        "id": pa.array(range(n), pa.int64()),
        "grp": pa.array([i % 13 if i % 50 else None for i in range(n)], pa.int32()),
        "name": pa.array([f"näme {i % 97} 🌙" for i in range(n)]),
        "score": pa.array([i / 7 if i % 11 else None for i in range(n)]),
    })
    pq.write_table(table, tmp_path / "people.parquet")
    return table


def test_grouping_agrees_with_duckdb(tmp_path, people):
    out = lacus(tmp_path, """
local df = spark.read:parquet("people.parquet")
local rows = df:filter("id % 3 = 0"):groupBy("grp"):agg(F.count("*"):alias("n"), F.sum("id"):alias("s"), F.avg("score"):alias("a"),
    F.countDistinct("name"):alias("d")):orderBy("grp"):collect()
for _, r in ipairs(rows) do
  print(r.grp == null and "NULL" or r.grp, r.n, r.s, ("%.9f"):format(r.a), r.d)
end
""")
    want = duckdb.sql(f"""select grp, count(*), sum(id)::bigint, avg(score), count(distinct name) from '{tmp_path}/people.parquet'
                          where id % 3 = 0 group by grp order by grp nulls first""").fetchall()
    got = [line.split("\t") for line in out.splitlines()]
    assert got == [["NULL" if r[0] is None else str(r[0]), str(r[1]), str(r[2]), f"{r[3]:.9f}", str(r[4])] for r in want]


def test_the_largest_of_narrowed_integers(tmp_path):
    """DuckDB 1.5.6 itself loses rows here: what is kept so far filters the scan with a wrong comparison."""
    values = [i * 7919 % 300007 for i in range(300000)]
    pq.write_table(pa.table({"a": pa.array(values, pa.int64())}), tmp_path / "n.parquet")
    out = lacus(tmp_path, """
local df = spark.read:parquet("n.parquet"):select(F.col("a"):cast("int"):alias("k"))
for _, plan in ipairs{df, df:union(df)} do
  local got = {}
  for i, row in ipairs(plan:orderBy(F.col("k"):desc()):limit(6):collect()) do got[i] = row.k end
  print(table.concat(got, " "))
end
""").split("\n")
    want = sorted(values, reverse=True)
    assert out[0].split() == [str(v) for v in want[:6]]
    assert out[1].split() == [str(v) for v in want[:3] for _ in (0, 1)]


def test_split_is_complete_disjoint_and_the_same_again(tmp_path, people):
    script = """
local a, b, c = spark.read:parquet("people.parquet"):randomSplit({0.8, 0.1, 0.1}, 42)
for _, part in ipairs{a, b, c} do
  local ids = {}
  for _, r in ipairs(part:select("id"):orderBy("id"):collect()) do ids[#ids + 1] = r.id end
  print(table.concat(ids, ","))
end
for _, part in ipairs{a, b, c} do -- in the order in which a training job gets them
  local ids = {}
  for _, r in ipairs(part:collect()) do ids[#ids + 1] = r.id end
  print(table.concat(ids, ","))
end
"""
    first, again, third = (lacus(tmp_path, script) for _ in range(3))
    assert first == again == third
    parts = [[int(x) for x in line.split(",")] for line in first.splitlines()[:3]]
    assert sorted(sum(parts, [])) == list(range(5000))
    assert abs(len(parts[0]) - 4000) < 120 and abs(len(parts[1]) - 500) < 90


@pytest.mark.parametrize("fmt", ["parquet", "csv", "json"])
def test_what_it_writes_others_read(tmp_path, people, fmt):
    lacus(tmp_path, f"""
spark.read:parquet("people.parquet").write:format("{fmt}"):option("header", "true"):mode("overwrite"):save("out")
""")
    files = [p for p in (tmp_path / "out").rglob("part-*") if p.is_file()]
    assert files
    if fmt == "parquet":
        got = pq.read_table(files[0])
    elif fmt == "csv":
        got = pa.csv.read_csv(files[0])
    else:
        got = pa.json.read_json(files[0])
    assert got.num_rows == people.num_rows
    assert got["id"].to_pylist() == people["id"].to_pylist()
    assert got["name"].to_pylist() == people["name"].to_pylist()


def test_texts_are_cut_where_spark_cuts_them(tmp_path):
    record = b"x" * 700_000
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\rthree\n\nbad \xff byte\nlast")
    (tmp_path / "b.txt").write_bytes(b"\n\n".join([record, b"a\nb", record, b""]))
    (tmp_path / "empty.txt").write_bytes(b"")
    out = lacus(tmp_path, """
for _, r in ipairs(spark.read:text("a.txt"):collect()) do print("[" .. r.value .. "]") end
for _, r in ipairs(spark.read:option("lineSep", "\\n\\n"):text("b.txt"):select(F.length("value"):alias("n")):collect()) do print(r.n) end
print(spark.read:text("empty.txt"):count())
""")
    assert out.splitlines() == ["[one]", "[two]", "[three]", "[]", "[bad \ufffd byte]", "[last]", "700000", "3", "700000", "0"]


def test_show_prints_as_spark_does(tmp_path):
    out = lacus(tmp_path, """
spark:createDataFrame({{1, "a", 1.5}, {2, null, 1e20}, {3, "a text that is longer than twenty", 0.00001}}, {"id", "s", "d"}):show()
""")
    assert out == """\
+---+--------------------+------+
| id|                   s|     d|
+---+--------------------+------+
|  1|                   a|   1.5|
|  2|                NULL|1.0E20|
|  3|a text that is lo...|1.0E-5|
+---+--------------------+------+

"""


@pytest.mark.parametrize("script,says", [
    ('spark.read:parquet("nosuch.parquet"):show()', "[PATH_NOT_FOUND] Path does not exist: nosuch.parquet"),
    ('spark.read:parquet("broken.parquet"):show()', "broken.parquet"),
    ('spark.read:option("mode", "FAILFAST"):json("broken.json"):show()', "broken.json"),
    ('spark.read:option("header", "true"):option("mode", "FAILFAST"):schema("a INT"):csv("words.csv"):show()', "words.csv"),
    ('spark:range(3):select("nope")', "`nope` cannot be resolved. Did you mean one of the following? [`id`]"),
    ('spark:range(3):filter(F.col("id") == 1)', "eq"),
    ('return spark:range(3):filter(F.col("id") > 1)', "gt"),
    ('spark:range(3):select(F.expr("id +"))', "PARSE_SYNTAX_ERROR"),
    ('spark:range(3):select(F.col("id") / 0):show()', "[DIVIDE_BY_ZERO]"),
])
def test_broken_input_is_told_in_one_error(tmp_path, script, says):
    (tmp_path / "broken.parquet").write_text("this is a text and no Parquet file")
    (tmp_path / "broken.json").write_text('{"a": 1}\n{"a": \n')
    (tmp_path / "words.csv").write_text("a\n1\nword\n")
    out = lacus(tmp_path, script, ok=False)
    assert says in out


def test_without_duckdb_it_says_what_to_run(tmp_path):
    file = tmp_path / "s.lua"
    file.write_text("spark:range(3):show()")
    done = subprocess.run([LACUS, "repl", str(file)], env={**os.environ, "LACUS_HOME": str(tmp_path / "h"), "DUCKDB_HOME": str(tmp_path)},
                          capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "make duckdb" in done.stdout + done.stderr


def test_the_first_rows_are_taken_before_a_join(tmp_path):
    """DuckDB 1.5.6 itself gives rows that are not among the first 400 (it pushes the join's keys below ORDER BY … LIMIT)."""
    pq.write_table(pa.table({"k": list(range(200000)), "i": [n * 7 % 1000 for n in range(200000)]}), tmp_path / "t.parquet")
    out = lacus(tmp_path, """
local t, u = spark.read:parquet("t.parquet"), spark:range(5):toDF("u")
local first = t:orderBy("k"):limit(400)
local function show(df) local s = {} for i, r in ipairs(df:collect()) do s[i] = r[1] end table.sort(s) print(table.concat(s, " ")) end
for _ = 1, 5 do
  show(first:join(u, F.col("i"):eq(F.col("u"))):select("k"))
  show(first:join(u, F.col("i"):eq(F.col("u")), "semi"):select("k"))
  show(u:join(first, F.col("i"):eq(F.col("u")), "left"):filter("k is not null"):select("k"))
  show(first:filter("i in (select u from u)") and spark:sql("select k from {f} where i in (select u from {u})", {f = first, u = u}))
end
""".replace('first:filter("i in (select u from u)") and ', ""))
    assert out.splitlines() == ["0 143 286"] * 20


def test_inferred_json_has_its_fields_in_order_at_every_depth(tmp_path):
    (tmp_path / "chat.jsonl").write_text('{"messages":[{"role":"user","content":"hi","more":{"z":1,"a":2}}],"b":1}\n')
    out = lacus(tmp_path, f'spark.read:json("{tmp_path}/chat.jsonl"):printSchema() print(spark.read:json("{tmp_path}/chat.jsonl"):collect()[1].messages[1].role)')
    assert [line.split(": ")[0].strip(" |-") for line in out.splitlines()[1:]] == ["b", "messages", "element", "content", "more", "a", "z", "role", "", "user"]


def test_maps_of_a_schema_have_their_own_keys(tmp_path):
    """Each row's map, also inside of arrays; columns are indexed from 0, as in Spark."""
    out = lacus(tmp_path, """
local df = spark:createDataFrame({{1, {x = 1, y = 2}, {[3] = "c", [1] = "a"}, {{k = {5}}, {}}}, {2, {}, null, {}}, {3, {z = null}, {}, null}},
  "id INT, m MAP<STRING,INT>, n MAP<INT,STRING>, l ARRAY<MAP<STRING,ARRAY<BIGINT>>>")
df:show{truncate = false}
df:select("id", F.explode("m")):show()
df:select(F.col("n")[3], F.col("l")[0]("k")[0]):limit(1):show()
print(select(2, pcall(spark.createDataFrame, spark, {{5}}, "m MAP<STRING,INT>")))
""")
    assert [line.replace(" ", "") for line in out.splitlines() if line.startswith("|")] == [
        "|id|m|n|l|", "|1|{x->1,y->2}|{1->a,3->c}|[{k->[5]},{}]|", "|2|{}|NULL|[]|", "|3|{z->NULL}|{}|NULL|",
        "|id|key|value|", "|1|x|1|", "|1|y|2|", "|3|z|NULL|", "|n[3]|l[0][k][0]|", "|c|5|"]
    assert "the schema has map, the value is the bigint 5" in out


def test_what_is_written_is_what_spark_writes(tmp_path):
    """JSON without NULLs, doubles as Java prints them, partition folders of whole numbers as INT or as the schema says."""
    out = lacus(tmp_path, """
local df = spark:createDataFrame({{1, "a", 1e10, {x = 1.5}}, {2, null, null, {}}}, "i INT, s STRING, d DOUBLE, m MAP<STRING,DOUBLE>")
df:coalesce(1).write:json("j"); df:drop("m"):coalesce(1).write:csv("c"); df:drop("m").write:partitionBy("i"):parquet("p")
print(spark.read:parquet("p").schema.simpleString)
spark.read:schema("s STRING, i STRING"):parquet("p"):orderBy("i"):show()
""")
    assert "".join(p.read_text() for p in (tmp_path / "j").glob("*.json")) == '{"i":1,"s":"a","d":1.0E10,"m":{"x":1.5}}\n{"i":2,"m":{}}\n'
    assert "".join(p.read_text() for p in (tmp_path / "c").glob("*.csv")) == "1,a,1.0E10\n2,,\n"
    assert out.splitlines()[0] == "struct<s:string,d:double,i:int>" and "|   a|  1|" in out and "|NULL|  2|" in out


def test_lua_functions_take_and_give_values_with_parts(tmp_path):
    out = lacus(tmp_path, """
local df = spark:createDataFrame({{{1, 2, null}, {a = {1, 2}}}, {{}, {}}}, "xs ARRAY<INT>, m MAP<STRING,ARRAY<INT>>")
local total = F.udf(function(xs) local t = 0; for i = 1, #xs do t = t + (xs[i] == null and 100 or xs[i]) end; return t end, "bigint")
local parts = F.udf(function(m) return {n = m.a and #m.a or null, e = {}, r = "x"} end, "n INT, r STRING, e ARRAY<INT>")
df:select(total("xs"):alias("t"), parts("m"):alias("p")):show{truncate = false}
df:select(F.date_format(F.lit("2024-02-29 23:05:01.5"):cast("timestamp"), "QQQ q LLL k K h a 'o''clock' SSS"):alias("f"), F.struct(F.lit(1):alias("a")):withField("b", F.struct(F.lit(2):alias("c"))):withField("b.d", F.lit(3)):alias("w")):limit(1):show{truncate = false}
print(pcall(function() df:select(F.udf(function() local t = {}; t[1] = t; return t end, "array<int>")("xs")):collect() end))
""")
    rows = [line.replace(" ", "") for line in out.splitlines() if line.startswith("|")]
    assert rows == ["|t|p|", "|103|{2,x,[]}|", "|0|{NULL,x,[]}|", "|f|w|", "|Q11Feb231111PMo'clock500|{1,{2,3}}|"]
    assert "nested more than 64 deep" in out

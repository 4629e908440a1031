"""A session on a real Spark Connect server: what a DataFrame gives there, commands, names, settings, errors, interrupts, big rows both ways."""
import json
import re
import shutil
import subprocess
import time

import pyarrow.parquet as pq
import pytest

from lacus import LACUS, ROOT, environment, lacus, script
from spark_proxy import MessageProxy
from spark_server import free_port

FAILS = "local function fails(f) local ok, e = pcall(f); print(ok and 'no error' or tostring(e)) end\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def run(home, spark_server):
    return lambda code, **more: script(home, FAILS + code, SPARK_REMOTE=spark_server.url, **more)


def test_show_is_what_pyspark_shows(run, peer, capsys):
    out = run("""
local df = spark:range(1, 4):withColumn("s", F.concat(F.lit("a"), F.col("id"))):withColumn("n", F.when(F.col("id"):gt(1), F.col("id") / 2))
df:show(); df:show(2, false); df:show{1, vertical = true}; df:printSchema()
""")
    from pyspark.sql.connect import functions as F
    df = peer.range(1, 4).withColumn("s", F.concat(F.lit("a"), F.col("id"))).withColumn("n", F.when(F.col("id") > 1, F.col("id") / 2))
    df.show()
    df.show(2, False)
    df.show(1, vertical=True)
    df.printSchema()
    assert out == capsys.readouterr().out


def test_a_range_has_the_partitions_asked_for(run):
    assert run('print(spark:range(0, 100, 1, 7):select(F.spark_partition_id():alias("p")):distinct():count())').split() == ["7"]


def test_pivots_of_first_values_and_unpivots_of_several_types_are_pysparks(home, run, peer, capsys):
    made = '''
local df = spark:createDataFrame({{1, "a", "w", null}, {1, "a", null, 11}, {1, "b", "y", null}, {2, "b", "z", 13}}, "k INT, p STRING, s STRING, n BIGINT")
df:groupBy("k"):pivot("p"):agg(F.first("s"), F.last("n"), F.first("n", true)):orderBy("k"):show()
local texts = df:groupBy("k"):pivot("p", {"a", "b", "c"}):agg(F.first("s"), F.count("n"), F.collect_list("s"))
texts:orderBy("k"):show()
texts:printSchema()
df:groupBy("k"):pivot("p", {"a", "c"}):agg(F.first("n"), F.count("n")):orderBy("k"):show()
df:unpivot("p", {"k", "n"}, "name", "value"):orderBy("p", "name", "value"):show()
fails(function() df:unpivot("p", {"k", "s"}, "name", "value"):show() end)
'''
    from pyspark.sql.connect import functions as F
    df = peer.createDataFrame([(1, "a", "w", None), (1, "a", None, 11), (1, "b", "y", None), (2, "b", "z", 13)], "k INT, p STRING, s STRING, n BIGINT").coalesce(1)
    df.groupBy("k").pivot("p").agg(F.first("s"), F.last("n"), F.first("n", True)).orderBy("k").show()
    texts = df.groupBy("k").pivot("p", ["a", "b", "c"]).agg(F.first("s"), F.count("n"), F.collect_list("s"))
    texts.orderBy("k").show()
    texts.printSchema()
    df.groupBy("k").pivot("p", ["a", "c"]).agg(F.first("n"), F.count("n")).orderBy("k").show()
    df.unpivot("p", ["k", "n"], "name", "value").orderBy("p", "name", "value").show()
    with pytest.raises(Exception, match="UNPIVOT_VALUE_DATA_TYPE_MISMATCH"):
        df.unpivot("p", ["k", "s"], "name", "value").show()
    expected = capsys.readouterr().out
    for out in (run(made.replace('BIGINT")', 'BIGINT"):coalesce(1)')), script(home, FAILS + made)):
        assert out.startswith(expected)
        assert "[UNPIVOT_VALUE_DATA_TYPE_MISMATCH]" in out[len(expected):]


DECIMALS = ("SELECT CAST(a AS DECIMAL(10,2)) a, CAST(b AS DECIMAL(38,18)) / 3 b, CAST(c AS DECIMAL(12,2)) c, CAST(d AS DECIMAL(12,8)) d "
            "FROM VALUES (1.25, 1, 12345678.50, 0.0001), (3.5, 2, 10000000.00, 0.00012), (10, 4, 20000000.1, 0), (NULL, 5, 9999999.5, -0.5) t(a, b, c, d)")


def test_summaries_of_decimals_are_pysparks(home, run, peer, capsys):
    names = ["count", "mean", "min", "1%", "25%", "50%", "75%", "max"]
    peer.sql(DECIMALS).summary(*names).show(20, False)
    expected = capsys.readouterr().out
    code = f"""spark:sql("{DECIMALS}"):summary({', '.join(f'"{n}"' for n in names)}):show(20, false)"""
    assert run(code) == expected
    assert script(home, code) == expected


def test_options_of_functions_are_a_table(home, run):
    code = """local df = spark:sql("SELECT '{\\"a\\":\\"26/08/2015\\"}' j, '1|x' c")
df:select(F.from_json("j", "a DATE", {dateFormat = "dd/MM/yyyy"}):alias("j"), F.from_csv("c", "a INT, b STRING", {sep = "|"}):alias("c"),
          F.to_json(F.struct("c"), {ignoreNullFields = false}):alias("t"), F.from_json("j", "a STRING", {}):alias("e")):show(5, false)
fails(function() df:select(F.from_json("j", "a INT", {mode = "FAILFAST"})):collect() end)"""
    there, here = run(code), script(home, FAILS + code)
    assert there.split("fails")[0].splitlines()[:5] == here.splitlines()[:5]
    assert "MALFORMED_RECORD_IN_PARSING" in there and "MALFORMED_RECORD_IN_PARSING" in here


def test_tables_of_files_refuse_what_sparks_refuse(home, peer):
    """Here and through pyspark, call by call: what is refused, and how it is said."""
    from pyspark.sql.connect import functions as F
    calls = [  # Lua, Python
        ('d.write:mode("append"):saveAsTable("vt")', lambda d: d.write.mode("append").saveAsTable("vt")),
        ('d.write:mode("append"):partitionBy("a"):saveAsTable("vt")', lambda d: d.write.mode("append").partitionBy("a").saveAsTable("vt")),
        ('d.write:mode("append"):partitionBy("p"):saveAsTable("vt")', lambda d: d.write.mode("append").partitionBy("p").saveAsTable("vt")),
        ('d.write:mode("append"):partitionBy("p"):insertInto("vt")', lambda d: d.write.mode("append").partitionBy("p").insertInto("vt")),
        ('d.write:insertInto("vt")', lambda d: d.write.insertInto("vt")),
        ('d:writeTo("vt"):append()', lambda d: d.writeTo("vt").append()),
        ('d:writeTo("vt"):overwrite(F.lit(true))', lambda d: d.writeTo("vt").overwrite(F.lit(True))),
        ('d:writeTo("vt"):overwritePartitions()', lambda d: d.writeTo("vt").overwritePartitions()),
        ('d:writeTo("vn"):using("parquet"):create()', lambda d: d.writeTo("vn").using("parquet").create()),
        ('d:writeTo("vn"):using("parquet"):createOrReplace()', lambda d: d.writeTo("vn").using("parquet").createOrReplace()),
        ('d:writeTo("vn"):using("parquet"):replace()', lambda d: d.writeTo("vn").using("parquet").replace()),
    ]
    made = "CREATE TABLE vt (a INT, p STRING) USING parquet PARTITIONED BY (p)"
    out = script(home, FAILS + f"""spark:sql("{made}")
local d = spark:createDataFrame({{{{1, "x"}}}}, "a INT, p STRING")
""" + "\n".join(f"fails(function() {lua} end); print('--')" for lua, _ in calls) + "\nprint(spark:table('vt'):count())")
    peer.sql(made)
    d = peer.createDataFrame([(1, "x")], "a INT, p STRING")

    def said(text):  # without the names of tables, which end with the line's first full stop or a quote
        text = re.sub(r"^[^\s\[]*:\d+: ", "", text.strip().replace("`", ""))
        return re.match(r"\[[A-Z_.]+\]|(?:\S+ ){4}|.*", text)[0]
    for (lua, call), ours in zip(calls, out.split("--\n"), strict=False):
        try:
            call(d)
            theirs = "no error"
        except Exception as e:
            theirs = str(e)
        assert said(ours) == said(theirs), (lua, ours, theirs)
    assert int(out.split("--\n")[-1]) == peer.table("vt").count() == 2
    peer.sql("DROP TABLE vt")
    peer.sql("DROP TABLE vn")


def test_connects_by_the_builder_and_back(home, spark_server):
    out = script(home, f"""
print(tostring(spark):match("embedded") ~= nil)
local s = SparkSession.builder:remote("{spark_server.url}/;x-test-header=a%20b;user_agent=tests"):getOrCreate()
print(tostring(s):match("sc://[%d.:]+"), s == spark, s.version:match("^%d+") + 0 >= 4)
print(spark:range(3):count())
spark:stop(); print(spark:range(4):count())
SparkSession.builder:master("local"):getOrCreate(); print(tostring(spark):match("embedded") ~= nil, spark:range(5):count())
""")
    assert out.split("\n")[:5] == ["true", f"127.0.0.1:{spark_server.port}".join(["sc://", "\ttrue\ttrue"]), "3", "4", "true\t5"]


def test_names_belong_to_the_server(home, run, spark_server):
    script(home, 'spark:sql("CREATE CATALOG IF NOT EXISTS mycat"); spark:sql("CREATE SCHEMA IF NOT EXISTS mycat.d"); '
                 'spark:range(3).write:mode("overwrite"):saveAsTable("mycat.d.mine")')
    out = run("""
spark:createDataFrame({{1, "a"}, {2, "b"}}, "id INT, s STRING"):createOrReplaceTempView("v")
print(spark:sql("SELECT max(s) m FROM v WHERE id < :n", {n = 2}):collect()[1].m)
print(spark:sql("SELECT count(*) n FROM {df} WHERE id > :low", {df = spark:range(10), low = 6}):collect()[1].n)
print(spark.catalog:tableExists("v"), spark.catalog:currentDatabase(), spark.catalog:listTables()[1].name)
print(spark.catalog:dropTempView("v"), spark.catalog:tableExists("v"))
spark:sql("CREATE DATABASE IF NOT EXISTS d1"); print(spark.catalog:databaseExists("d1"))
spark:range(5).write:mode("overwrite"):format("parquet"):saveAsTable("d1.t"); print(spark:table("d1.t"):count())
spark:range(2).write:insertInto("d1.t"); print(spark:table("d1.t"):count())
print(spark.catalog:listColumns("d1.t")[1].name); spark:sql("DROP DATABASE d1 CASCADE")
local ok, e = pcall(function() spark:table("mycat.d.mine") end); print(e.hint)
spark.conf:set("spark.sql.shuffle.partitions", 3); print(spark.conf:get("spark.sql.shuffle.partitions"), spark.conf:get("no.such", "x"))
fails(function() spark.conf:get("no.such") end)
fails(function() spark.catalog:listTabels() end)
""")
    lines = out.splitlines()
    assert lines[:9] == ["a", "3", "true\tdefault\tv", "true\tfalse", "true", "5", "7", "id", lines[8]]
    assert "local catalog" in lines[8] and "belong to the server" in lines[8]
    assert lines[9] == "3\tx" and "SQL_CONF_NOT_FOUND" in lines[10] and "listTables" in out


def test_frames_in_a_text_have_names_of_their_own(run):
    """Also where a text's frame comes from a text with the same name, and where a view is called so."""
    out = run("""
local u = spark:createDataFrame({{1, "a"}, {2, "b"}}, "k INT, s STRING")
spark:range(3):createOrReplaceTempView("u")
local x = spark:sql("SELECT u.k, s FROM {u} WHERE {u}.k > :low", {u = u, low = 1})
local df = spark:sql("SELECT x.k, '{u}' t, (SELECT max(k) FROM {u}) m FROM {x} WHERE EXISTS (SELECT 1 FROM {u} WHERE k = x.k) -- {u}", {x = x, u = u})
for _, r in ipairs(df:collect()) do print(r.k, r.t, r.m) end
print(#spark:sql("SELECT * FROM {x} y JOIN {u} ON y.k = u.k, {x}", {x = x, u = u}).columns, spark:sql("SELECT count(*) n FROM u"):collect()[1].n)
""")
    assert out.splitlines() == ["2\t{u}\t2", "6\t3"]


def test_writes_files_where_the_server_is(run, tmp_path):
    run(f"""
local df = spark:createDataFrame({{{{1, "a"}}, {{2, "b"}}, {{3, "a"}}}}, {{"id", "k"}})
df.write:mode("overwrite"):partitionBy("k"):parquet("{tmp_path}/p")
df:coalesce(1).write:csv{{"{tmp_path}/c", mode = "overwrite", header = true}}
""")
    assert sorted(pq.read_table(tmp_path / "p").to_pydict()["id"]) == [1, 2, 3]
    assert "".join(p.read_text() for p in (tmp_path / "c").glob("*.csv")).splitlines() == ["id,k", "1,a", "2,b", "3,a"]


def test_errors_have_class_state_and_place(run):
    out = run("""
local function try(f) local ok, e = pcall(f); print(json.encode{ename = e.ename or e.code, message = e.message, cause = e.cause or null}) end
try(function() spark:range(3):select(F.col("id") / F.lit(0)):collect() end)
try(function() spark:sql("SELECT frm t") end)
try(function() spark:range(3):select("nope"):collect() end)
try(function() spark:table("not.there"):collect() end)
""")
    rows = [json.loads(line) for line in out.splitlines()]
    for row, expected in zip(rows, ["[DIVIDE_BY_ZERO]", "", "[UNRESOLVED_COLUMN.WITH_SUGGESTION]", "[TABLE_OR_VIEW_NOT_FOUND]"]):
        assert row["message"].startswith(expected) and "SQLSTATE: " in row["message"]
    assert "SparkArithmeticException at " in rows[0]["cause"] and " more" in rows[0]["cause"]
    assert len({row["ename"] for row in rows}) > 1


def test_a_catalog_that_the_server_does_not_have(run):
    out = run('print(pcall(function() spark:table("ml_catalog.s.t"):collect() end))')
    assert "[REQUIRES_SINGLE_PART_NAMESPACE]" in out and "the Spark server has no catalog of that name" in out, out


def test_an_interval_keeps_its_fields(run):
    out = run("""
local d = spark:sql("SELECT DATE'2024-03-31' AS dt"):select(F.expr("dt + INTERVAL '2' DAY"):alias("a"), F.expr("dt - INTERVAL '-3' HOUR"):alias("b"), F.expr("INTERVAL '-1' YEAR"), F.expr("INTERVAL '1 2' DAY TO HOUR"))
print(tostring(d), d:collect()[1].a, d:collect()[1].b)
""")
    assert out == "DataFrame[a: date, b: timestamp, INTERVAL '-1' YEAR: interval year, INTERVAL '1 02' DAY TO HOUR: interval day to hour]\t2024-04-02\t2024-03-31 03:00:00\n", out


def test_rows_both_ways_with_all_types(run, peer, tmp_path):
    code = f"""
local schema = "b BOOLEAN, i INT, l BIGINT, f FLOAT, d DOUBLE, s STRING, a ARRAY<STRING>, st STRUCT<x: INT, y: STRING>"
local df = spark:createDataFrame({{{{true, 1, 2^40 // 1 | 0, 0.5, -1.25, "ü", {{"a", null}}, {{x = 1, y = "q"}}}}, {{null, null, null, null, null, null, null, null}}}}, schema)
df.write:mode("overwrite"):parquet("{tmp_path}/all")
print(df:count(), #df:collect(), df.schema.simpleString)
local back = spark.read:parquet("{tmp_path}/all"):orderBy("i"):collect()
print(back[2].a[1], back[2].st.y, back[2].s, back[1].b == null, back[2].f)
print(spark:sql("SELECT DATE'2024-02-29' d, TIMESTAMP'2024-01-02 03:04:05.5' t, TIMESTAMP_NTZ'2024-01-02 03:04:05' n, 1.50BD x, map('k', 1) m, X'00ff' b, INTERVAL '1' DAY iv, INTERVAL '2' MONTH im"):collect()[1])
"""
    out = run(code).splitlines()
    assert out[0] == "2\t2\tstruct<b:boolean,i:int,l:bigint,f:float,d:double,s:string,a:array<string>,st:struct<x:int,y:string>>"
    assert out[1] == "a\tq\tü\ttrue\t0.5"
    assert "2024-02-29" in out[2] and "2024-01-02 03:04:05.5" in out[2] and "1 days" in out[2] and "2 months" in out[2]
    assert peer.read.parquet(f"{tmp_path}/all").count() == 2


def test_many_rows_travel_as_an_artifact(run):
    out = run("""
local rows = {}
for i = 1, 60000 do rows[i] = {i, ("text %d "):format(i):rep(5)} end
local df = spark:createDataFrame(rows, {"id", "s"})
print(df:count(), df:agg(F.sum("id")):collect()[1][1], df:filter("id = 59999"):collect()[1].s:sub(1, 10))
""")
    assert out == "60000\t1800030000\ttext 59999\n"


def test_rows_of_every_type_travel_in_parts(home, run):
    """More than one part of 16 MB, sent once, without a copy of all of it; the embedded engine has the same rows."""
    code = """
local function memory() return tonumber(io.open("/proc/self/status"):read("a"):match("VmHWM:%s+(%d+)")) end
local rows = {}
for i = 1, 70001 do
  local odd = i % 3 == 0
  rows[i] = {i, odd and null or i % 2 == 0, i / 4, odd and null or ("text %d "):format(i):rep(40), {"a" .. i, null, "c"}, odd and null or {x = i, y = "q" .. i}, {["k" .. i % 7] = i}}
end
local df = spark:createDataFrame(rows, "id INT, b BOOLEAN, d DOUBLE, s STRING, a ARRAY<STRING>, st STRUCT<x: INT, y: STRING>, m MAP<STRING, INT>")
rows = nil; collectgarbage(); collectgarbage()
local before = memory()
local sums = {F.count("b"), F.sum(F.crc32("s")), F.sum(F.crc32(F.to_json(F.struct("id", "b", "d", "a", "st", "m")))), F.count("st"), F.sum("d")}
print(df:agg(table.unpack(sums)):collect()[1])
print(df:filter("id in (1, 2, 35000, 35001, 70001)"):orderBy("id"):select("id", "b", "a", "st", "m"):collect()[4])
print(memory() - before < 60000)
"""
    there, here = run(code).splitlines(), script(home, FAILS + code).splitlines()
    assert there[:2] == here[:2] and there[2] == "true"


def test_large_rows_are_sent_once_as_pyspark_sends_them(home, spark_server):
    proxy = MessageProxy(spark_server.url)
    try:
        out = script(home, """
local rows = {}
for i = 1, 40000 do rows[i] = {i, ("text %d "):format(i):rep(50)} end
local df = spark:createDataFrame(rows, "id INT, s STRING")
print(df.schema.simpleString, df:count(), df:agg(F.sum(df.id)):collect()[1][1])
""", SPARK_REMOTE=proxy.url)
    finally:
        proxy.close()
    assert out == "struct<id:int,s:string>\t40000\t800020000\n" and proxy.methods.count("AddArtifacts") == 3  # two parts and the schema
    assert proxy.methods.count("AnalyzePlan") == 1  # which Spark it is: of rows that were made here the types are known


def test_a_long_result_needs_little_memory(run, home, spark_server):
    code = """
local n, sum = 0, 0
for row in spark:range(2000000):withColumn("s", F["repeat"](F.lit("x"), 100)):toLocalIterator() do n = n + 1; sum = sum + row.id end
print(n, sum)
local f = io.open("/proc/self/status"):read("a"); print(f:match("VmHWM:%s+(%d+)"))
"""
    n, memory = run(code).splitlines()
    assert n == "2000000\t1999999000000"
    assert int(memory) < 150_000  # KiB; the rows are 220 MB


def test_tags_and_interrupts(run):
    out = run("""
spark:addTag("a"); spark:addTag("b"); spark:removeTag("a"); print(table.concat(spark:getTags(), ",")); spark:clearTags(); print(#spark:getTags())
fails(function() spark:addTag("a,b") end)
print(#spark:interruptAll(), #spark:interruptTag("nobody"))
""")
    assert out.splitlines()[0:2] == ["b", "0"] and "no comma" in out and out.splitlines()[-1] == "0\t0"


def test_sigint_ends_a_query_at_once_and_on_the_server(home, spark_server, peer):
    code = """
spark:range(1):count(); io.stdout:write("go\\n"); io.stdout:flush()
spark:sql("SELECT sum(a.id * b.id) s FROM range(200000) a CROSS JOIN range(2000000) b"):collect()
"""
    p = subprocess.Popen([LACUS, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env=environment(home, SPARK_REMOTE=spark_server.url))
    p.stdin.write(code)
    p.stdin.close()
    assert p.stdout.readline() == "go\n"
    time.sleep(1)
    began = time.time()
    p.send_signal(2)
    p.wait(20)
    assert time.time() - began < 2  # with the goodbye to the server; the cell itself ends within milliseconds
    assert p.returncode != 0
    assert peer.range(100).count() == 100  # the server has room again
    p.stdout.close()
    p.stderr.close()


@pytest.mark.parametrize("url, text", [
    ("http://x", "does not begin with sc://"), ("sc://", "host is missing"), ("sc://h:0", "port"), ("sc://h/x", "parameters begin with"),
    ("sc://h/;token", "key=value"), ("sc://example.org/;token=secret;use_ssl=false", "in the clear"), ("sc://h/;session_id=7", "UUID")])
def test_wrong_addresses(home, url, text):
    done = lacus(home, "-", text="spark:range(1):show()", SPARK_REMOTE=url)
    assert done.returncode != 0 and text in done.stderr + done.stdout and "secret" not in done.stderr + done.stdout


def test_nobody_listens(home):
    began = time.time()
    done = lacus(home, "-", text="spark:range(1):show()", SPARK_REMOTE=f"sc://127.0.0.1:{free_port()}")
    assert done.returncode != 0 and "cannot connect to the Spark server" in done.stderr and time.time() - began < 10
    assert "Connection refused" in done.stderr


def test_something_else_listens(home):
    import http.server
    import threading
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        done = lacus(home, "-", text="spark:range(1):show()", SPARK_REMOTE=f"sc://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
    assert done.returncode != 0 and ("does not speak HTTP/2" in done.stderr or "closed the connection" in done.stderr)


def test_the_example_notebook_cleans_the_same_rows_here_and_there(home, spark_server, tmp_path):
    """The data cells of examples/finetune.ipynb, on the first records of the package index; the table at the end is left out (a server of Spark alone has no Delta)."""
    if not shutil.which("apt-cache"):
        pytest.skip("no apt-cache: not a Debian")
    records = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, timeout=60).stdout[:300_000]
    if len(records) < 300_000:
        pytest.skip("apt has no package lists here")
    (tmp_path / "records").write_bytes(records[:records.rindex(b"\n\n")] + b"\n\n")
    cells = ["".join(c["source"]) for c in json.loads((ROOT / "examples" / "finetune.ipynb").read_text())["cells"] if c["cell_type"] == "code"]
    fetch = 'assert(os.execute("apt-cache dumpavail > " .. path))'
    assert fetch in cells[1] and "questions" in cells[3]
    code = "max_rows = 300\n" + cells[1].replace(fetch, f'path = "{tmp_path}/records"') + "\n" + cells[2] + "\n" + cells[3].split("\n\n")[0] + """
for _, r in ipairs(questions:collect()) do print(r.name, r.response, r.instruction) end
print(clean:count(), clean:select(F.sum(F.crc32("name")), F.sum("dependencies")):first())
"""
    here, there = script(home, code), script(home, code, SPARK_REMOTE=spark_server.url)
    assert [line for line in here.splitlines() if line] == [line for line in there.splitlines() if line]
    assert len(here.splitlines()) > 300


def test_what_is_composed_here_runs_there(home, run):
    code = """
local df = spark:createDataFrame({{"a", "x", 1}, {"a", "y", 2}, {"b", "x", 3}}, {"k", "g", "v"})
local function show(d) for _, r in ipairs(d:collect()) do print(r) end end
show(df:groupBy("k"):pivot("g"):sum("v"):orderBy("k"))
show(df:groupingSets({{"k"}, {"g"}, {}}, "k", "g"):agg(F.sum("v"):alias("s")):orderBy("s", "k"))
show(df:crosstab("k", "g"):orderBy("k_g"))
show(df:unpivot("k", {"v"}, "name", "value"):orderBy("value"))
show(df:describe()); show(df:replace("x", "z"):orderBy("v")); show(df:filter(F.col("v"):eq(df:agg(F.max("v")):scalar())))
show(df:select(F.struct("k", "v"):alias("s")):withColumn("s", F.col("s"):withField("n", F.lit(1)):dropFields("v")):orderBy("s"))
local plus = F.udf(function(x) return x + 1 end, "int"); show(df:select(plus("v"):alias("p")):orderBy("p"))
print(df:approxQuantile("v", {0.5}, 0)[1], #df:tail(2), df:sameSemantics(df))
"""
    assert run(code) == script(home, code)
    looped = "local f = F.udf(function(x) local s = 0; for i = 1, x do s = s + i end return s end, 'int'); fails(function() spark:range(3):select(f('id')):collect() end)"
    assert "Spark runs no Lua" in run(looped)


def test_create_table_and_write_to_are_the_servers(run, peer):
    said = run("""
print(spark.catalog:createTable("made_here", null, null, "a INT").columns[1])
print(spark.catalog:createTable{tableName = "made_too", schema = "b INT", description = "it's"}.columns[1])
fails(function() spark.catalog:createTable("made_not") end)
spark:range(3):withColumn("p", F.lit("x")):writeTo("made_v2"):using("parquet"):tableProperty("who", "me"):partitionedBy("p"):create()
fails(function() spark:range(3):writeTo("made_v2"):overwrite(F.col("id"):lt(3)) end)
fails(function() spark:range(3):writeTo("made_v2"):overwrite() end)
""").splitlines()
    assert said[:2] == ["a", "b"]
    for line, says in zip(said[2:], ["[UNABLE_TO_INFER_SCHEMA]", "Cannot write into v1 table", "got nil"], strict=True):
        assert says in line
    made = {r[0]: r[1] for r in peer.sql("DESCRIBE EXTENDED made_too").collect()}
    assert made["Comment"] == "it's" and made["b"] == "int"
    shown = peer.sql("SHOW CREATE TABLE made_v2").collect()[0][0]
    assert "PARTITIONED BY (p)" in shown and "'who' = 'me'" in shown and peer.table("made_v2").count() == 3
    for name in ("made_here", "made_too", "made_v2"):
        peer.sql(f"DROP TABLE {name}")


@pytest.mark.parametrize("query", ["SELECT idx FROM range(3) WHERE ids > 2", "SELECT id,\n  `é`.idd + 1\nFROM range(3) `é`", "SELECT id FROM range(2) GROUP BY nope",
                                   "SELECT (SELECT max(`zz`) FROM range(1)) FROM range(2)", "SELECT id, `my col` FROM range(3)", "SELECT `o``n`, `a``b` FROM (SELECT id `o``n` FROM range(3))"])
def test_a_missing_column_stands_where_spark_says(home, peer, query):
    with pytest.raises(Exception, match="UNRESOLVED_COLUMN") as theirs:
        peer.sql(query).schema
    message, line, pos = re.match(r"(\[UNRESOLVED_COLUMN.WITH_SUGGESTION\] .* SQLSTATE: 42703); line (\d+) pos (\d+)", str(theirs.value)).groups()
    said = script(home, FAILS + f"fails(function() spark:sql([[{query}]]) end)")
    assert said.startswith(f"{message} (line {line}, column {int(pos) + 1})\n\n== SQL ==\n{query.splitlines()[int(line) - 1]}\n{'-' * int(pos)}^")

"""Delta tables against delta-rs (the Python package deltalake): it reads what lacus writes, lacus reads what it writes."""
import datetime
import decimal
import json
import os
import signal
import subprocess
import time

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from lacus import LACUS, environment, lacus, script

UTC = datetime.timezone.utc


def sql(home, *statements, more=""):
    return script(home, "\n".join(f"spark:sql([=====[{s}]=====])" for s in statements) + "\n" + more)


def fails(home, code):
    """What the script says when it fails; one that does not is an error of the test."""
    done = lacus(home, "-", text=code)
    assert done.returncode != 0, done.stdout
    return done.stdout + done.stderr


def place(home, name):
    return str(home / "tables" / "spark_catalog" / "default" / name)


def rows(path, key=None, version=None):
    table = DeltaTable(path, version=version).to_pyarrow_table()
    return (table.sort_by(key) if key else table).to_pylist()


def query(path, text="SELECT * FROM t", version=None):
    """What delta-rs' own engine reads: it follows column mapping."""
    return pa.table(QueryBuilder().register("t", DeltaTable(str(path), version=version)).execute(text).read_all()).to_pylist()


def number(home, query):
    """A query of one number, through a script's output."""
    return int(script(home, f"print(spark:sql([=====[{query}]=====]):collect()[1][1])"))


def commit(path, version):
    return f"{path}/_delta_log/{version:020d}.json"


def actions(path, version):
    with open(commit(path, version)) as f:
        return [json.loads(line) for line in f]


# ---- delta-rs reads what lacus writes --------------------------------------------------------------------------------

EVERY_TYPE = """SELECT true AS b, CAST(1 AS TINYINT) AS i8, CAST(-2 AS SMALLINT) AS i16, 3 AS i32, 4L AS i64, CAST(1.5 AS FLOAT) AS f32,
    2.5D AS f64, CAST('12345678901234567890.123456789' AS DECIMAL(38,9)) AS dec38, CAST(-1.25 AS DECIMAL(5,2)) AS dec5,
    'h\\u00e9llo' AS s, X'00FF' AS bin, DATE '2024-02-29' AS d, TIMESTAMP '2024-02-29 12:34:56.789012' AS ts,
    TIMESTAMP_NTZ '2024-02-29 12:34:56.789' AS ntz, array(1, 2, null) AS arr, map('k', 1) AS m, named_struct('x', 1, 'y', array('q')) AS st"""
EVERY_VALUE = {
    "b": True, "i8": 1, "i16": -2, "i32": 3, "i64": 4, "f32": 1.5, "f64": 2.5, "dec38": decimal.Decimal("12345678901234567890.123456789"),
    "dec5": decimal.Decimal("-1.25"), "s": "héllo", "bin": b"\x00\xff", "d": datetime.date(2024, 2, 29),
    "ts": datetime.datetime(2024, 2, 29, 12, 34, 56, 789012, tzinfo=UTC), "ntz": datetime.datetime(2024, 2, 29, 12, 34, 56, 789000),
    "arr": [1, 2, None], "m": [("k", 1)], "st": {"x": 1, "y": ["q"]}}


def test_every_type(home):
    nulls = ", ".join("null" for _ in EVERY_VALUE)
    sql(home, f"CREATE TABLE t AS {EVERY_TYPE} UNION ALL SELECT {nulls}")
    table = DeltaTable(place(home, "t"))
    assert table.protocol().reader_features == ["timestampNtz"]
    got = table.to_pyarrow_table().to_pylist()
    assert sorted(got, key=lambda r: r["i8"] is None) == [EVERY_VALUE, {k: None for k in EVERY_VALUE}]


def test_a_plain_table_asks_for_the_oldest_protocol(home):
    sql(home, "CREATE TABLE t AS SELECT 1 AS a")
    table = DeltaTable(place(home, "t"))
    assert (table.protocol().min_reader_version, table.protocol().min_writer_version) == (1, 2)
    write_deltalake(place(home, "t"), pa.table({"a": pa.array([2], pa.int32())}), mode="append")
    assert number(home, "SELECT sum(a) FROM t") == 3


def test_partitions_with_odd_values(home):
    sql(home, "CREATE TABLE t (v INT, d DATE, s STRING, ts TIMESTAMP, n DECIMAL(5,1)) PARTITIONED BY (d, s, ts, n)",
        "INSERT INTO t VALUES (1, DATE '2024-01-01', 'a/b c%d=é?#', TIMESTAMP '2024-01-01 10:00:00', 1.5), (2, null, null, null, null), "
        "(3, DATE '2024-01-02', '__x', TIMESTAMP '2024-01-01 10:00:00.5', -2.0)")
    want = [
        {"v": 1, "d": datetime.date(2024, 1, 1), "s": "a/b c%d=é?#", "ts": datetime.datetime(2024, 1, 1, 10, tzinfo=UTC), "n": decimal.Decimal("1.5")},
        {"v": 2, "d": None, "s": None, "ts": None, "n": None},
        {"v": 3, "d": datetime.date(2024, 1, 2), "s": "__x", "ts": datetime.datetime(2024, 1, 1, 10, 0, 0, 500000, tzinfo=UTC), "n": decimal.Decimal("-2.0")}]
    assert rows(place(home, "t"), "v") == want
    sql(home, "CREATE TABLE copy AS SELECT * FROM t")  # and we read them back
    assert rows(place(home, "copy"), "v") == want
    assert number(home, "SELECT v FROM t WHERE s = 'a/b c%d=é?#' AND n = 1.5") == 1


def test_statistics_skip_only_what_they_may(home):
    long = "z" * 100
    sql(home, "CREATE TABLE t (i BIGINT, s STRING, f DOUBLE, ts TIMESTAMP, st STRUCT<x: INT>)",
        f"INSERT INTO t VALUES (1, 'a', 1.0D, TIMESTAMP '2024-01-01 00:00:00.123456', named_struct('x', 5)), (null, '{long}', double('NaN'), null, null)")
    add = next(a["add"] for a in actions(place(home, "t"), 1) if "add" in a)
    stats = json.loads(add["stats"])
    assert stats["numRecords"] == 2
    assert stats["minValues"]["i"] == stats["maxValues"]["i"] == 1
    assert stats["nullCount"]["i"] == 1 and stats["nullCount"]["s"] == 0
    assert stats["minValues"]["st"] == {"x": 5}
    assert stats["maxValues"]["s"] >= long and len(stats["maxValues"]["s"]) <= 33
    assert stats["maxValues"]["ts"] == "2024-01-01T00:00:00.123456Z"
    # a bound of NaN's column would hide the row from f > 1
    assert "f" not in stats["maxValues"]
    table = DeltaTable(place(home, "t"))
    assert table.to_pyarrow_dataset().to_table(filter=pc.field("s") == long).num_rows == 1
    assert table.to_pyarrow_dataset().to_table(filter=ds.field("ts") >= pa.scalar(datetime.datetime(2024, 1, 1, tzinfo=UTC))).num_rows == 1


def test_append_overwrite_history_and_time_travel(home):
    path = place(home, "t")
    sql(home, more="""
        local function df(a) return spark:sql("SELECT " .. a .. " AS a") end
        df(1).write:mode("append"):saveAsTable("t")
        df(2).write:mode("append"):saveAsTable("t")
        df(3).write:mode("overwrite"):saveAsTable("t")
        df(4).write:mode("ignore"):saveAsTable("t")
        assert(not pcall(function() df(5).write:saveAsTable("t") end))
        assert(spark:sql("SELECT sum(a) FROM t VERSION AS OF 1"):collect()[1][1] == 3)
        assert(spark.read:option("versionAsOf", 0):table("t"):count() == 1)
    """)
    assert [[r["a"] for r in rows(path, "a", version=v)] for v in (0, 1, 2)] == [[1], [1, 2], [3]]
    history = DeltaTable(path).history()
    assert [h["operation"] for h in history] == ["WRITE", "WRITE", "CREATE TABLE AS SELECT"]
    assert history[0]["operationParameters"]["mode"] == "Overwrite"
    assert history[0]["operationMetrics"]["numRemovedFiles"] == "2"
    assert history[1]["isBlindAppend"] and history[1]["engineInfo"].startswith("lacus/")
    assert "[TABLE_OR_VIEW_ALREADY_EXISTS]" in fails(home, 'spark:sql("CREATE TABLE t AS SELECT 1 AS a")')
    assert "versions 0 to 2 can be read" in fails(home, 'spark:sql("SELECT * FROM t VERSION AS OF 9"):show()')


def test_a_table_can_be_overwritten_from_itself(home):
    sql(home, "CREATE TABLE t AS SELECT id FROM range(10)", "INSERT OVERWRITE t SELECT id * 2 FROM t WHERE id > 6")
    assert rows(place(home, "t"), "id") == [{"id": 14}, {"id": 16}, {"id": 18}]


def test_an_older_version_is_put_back(home):
    sql(home, "CREATE TABLE t AS SELECT id FROM range(3)", "INSERT OVERWRITE t SELECT id FROM range(5)",
        "INSERT OVERWRITE t SELECT * FROM t VERSION AS OF 0",
        more='spark.read:option("versionAsOf", 1):table("t").write:mode("append"):saveAsTable("t")')
    assert [len(rows(place(home, "t"), version=v)) for v in range(4)] == [3, 5, 3, 8]


def test_schema_evolution(home):
    path = place(home, "t")
    sql(home, "CREATE TABLE t (a INT NOT NULL COMMENT 'first', b STRING)", "INSERT INTO t VALUES (1, 'x')")
    assert DeltaTable(path).schema().fields[0].nullable is False
    assert "DELTA_SCHEMA_MISMATCH" in fails(home, 'spark:sql("SELECT 2 AS a, 3 AS c").write:mode("append"):saveAsTable("t")')
    assert "DELTA_FAILED_TO_MERGE_FIELDS" in fails(home, 'spark:sql("SELECT \'z\' AS a").write:mode("append"):saveAsTable("t")')
    assert "DELTA_NOT_NULL" in fails(home, 'spark:sql("SELECT \'z\' AS b").write:mode("append"):saveAsTable("t")')
    assert "NOT_ENOUGH_DATA_COLUMNS" in fails(home, 'spark:sql("INSERT INTO t VALUES (1)")')
    assert "DELTA_NOT_NULL_CONSTRAINT_VIOLATED" in fails(home, 'spark:sql("INSERT INTO t VALUES (null, \'y\')")')
    sql(home, more='spark:sql("SELECT 2L AS A, true AS c").write:mode("append"):option("mergeSchema", true):saveAsTable("t")')
    assert rows(path, "a") == [{"a": 1, "b": "x", "c": None}, {"a": 2, "b": None, "c": True}]
    sql(home, more='spark:sql("SELECT DATE \'2024-01-01\' AS a").write:mode("overwrite"):option("overwriteSchema", true):partitionBy():saveAsTable("t")')
    assert rows(path) == [{"a": datetime.date(2024, 1, 1)}]
    assert rows(path, "a", version=1) == [{"a": 1, "b": "x"}]
    # nothing of the failed writes is left among the files
    referenced = {a["add"]["path"] for v in range(4) for a in actions(path, v) if "add" in a}
    assert {f for f in os.listdir(path) if f.endswith(".parquet")} == referenced


def test_insert_by_name_and_by_position(home):
    sql(home, "CREATE TABLE t (a INT, b STRING, c DOUBLE)", "INSERT INTO t VALUES (1, 'x', 0.5)", "INSERT INTO t (c, a) SELECT 1.5, 2",
        "INSERT INTO t BY NAME SELECT 'z' AS b, 3L AS a")
    assert rows(place(home, "t"), "a") == [{"a": 1, "b": "x", "c": 0.5}, {"a": 2, "b": None, "c": 1.5}, {"a": 3, "b": "z", "c": None}]


def test_external_tables_and_replace(home, tmp_path):
    where = tmp_path / "ext"
    sql(home, f"CREATE TABLE t (a INT) USING delta LOCATION '{where}'", "INSERT INTO t VALUES (1)", "CREATE OR REPLACE TABLE u AS SELECT 1 AS a",
        "CREATE OR REPLACE TABLE u PARTITIONED BY (k) AS SELECT 'p' AS k, 2 AS v", "DROP TABLE t")
    assert rows(str(where)) == [{"a": 1}]  # dropping an external table leaves its files
    assert rows(place(home, "u")) == [{"k": "p", "v": 2}] and DeltaTable(place(home, "u")).metadata().partition_columns == ["k"]
    sql(home, f"CREATE TABLE again USING delta LOCATION '{where}'")
    assert number(home, "SELECT a FROM again") == 1
    sql(home, "DROP TABLE u")
    assert not os.path.exists(place(home, "u"))


# ---- lacus reads what delta-rs writes --------------------------------------------------------------------------------

def sample():
    when = datetime.datetime(2024, 1, 1, 1, 2, 3, 456789, tzinfo=UTC)
    return pa.table({
        "id": pa.array([1, 2, 3], pa.int64()), "s": ["a", None, "c"],
        "dec": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-3.50")], pa.decimal128(10, 2)),
        "ts": pa.array([when] * 3, pa.timestamp("us", "UTC")), "l": pa.array([[1, 2], None, []], pa.list_(pa.int32())),
        "st": pa.array([{"x": 1, "y": "q"}, None, {"x": None, "y": "z"}]), "m": pa.array([[("k", 1.5)], None, []], pa.map_(pa.string(), pa.float64())),
        "bin": pa.array([b"\x00\x01", None, b""], pa.binary()), "k": ["p q", "x/y", None]})


def test_their_types_and_partitions(home, tmp_path):
    theirs = str(tmp_path / "rs")
    write_deltalake(theirs, sample(), partition_by=["k"])
    sql(home, f"CREATE TABLE copy AS SELECT * FROM delta.`{theirs}`")
    assert rows(place(home, "copy"), "id") == rows(theirs, "id") != []


def test_their_checkpoints(home, tmp_path):
    theirs = str(tmp_path / "rs")
    write_deltalake(theirs, sample(), partition_by=["k"])
    for _ in range(104):
        write_deltalake(theirs, sample().slice(0, 1), mode="append")
    DeltaTable(theirs).create_checkpoint()
    write_deltalake(theirs, sample().slice(1, 2), mode="append")
    DeltaTable(theirs).delete("id = 1 AND k = 'p q'")
    for version in range(104):
        os.unlink(commit(theirs, version))
    sql(home, f"CREATE TABLE copy AS SELECT * FROM delta.`{theirs}`", f"CREATE TABLE before AS SELECT * FROM delta.`{theirs}` VERSION AS OF 104")
    assert rows(place(home, "copy"), "id") == rows(theirs, "id")
    assert len(rows(place(home, "copy"))) == 4 and len(rows(place(home, "before"))) == 107
    said = fails(home, f'spark:sql("SELECT * FROM delta.`{theirs}` VERSION AS OF 3"):show()')
    assert "can be read" in said


def test_our_checkpoints(home):
    path = place(home, "t")
    inserts = "".join(f'spark:sql("INSERT INTO t VALUES ({i}, {"null" if i % 3 == 0 else i % 3})")\n' for i in range(24))
    sql(home, "CREATE TABLE t (a INT, p STRING) PARTITIONED BY (p)", more=inserts + """
        spark:sql("INSERT OVERWRITE t SELECT a, p FROM t WHERE a >= 20")
        for i = 24, 30 do spark:sql("INSERT INTO t VALUES (" .. i .. ", 'é/%')") end""")
    with open(f"{path}/_delta_log/_last_checkpoint") as f:
        last = json.load(f)
    assert last["version"] == 30
    before = rows(path, "a")
    for version in range(30):
        os.unlink(commit(path, version))
    for version in (10, 20):
        os.unlink(f"{path}/_delta_log/{version:020d}.checkpoint.parquet")
    assert rows(path, "a") == before and [r["a"] for r in before] == list(range(20, 31))
    assert {r["p"] for r in before} == {None, "1", "2", "é/%"}
    assert number(home, "SELECT sum(a) FROM t") == sum(range(20, 31))
    write_deltalake(path, pa.table({"a": pa.array([99], pa.int32()), "p": ["1"]}), mode="append")
    assert number(home, "SELECT max(a) FROM t") == 99


def test_column_mapping_by_name(home, tmp_path):
    theirs = tmp_path / "mapped"
    write_deltalake(str(theirs), pa.table({"c1": pa.array([1, 2], pa.int64()), "c2": ["x", "y"]}), partition_by=["c2"])
    lines = actions(theirs, 0)
    for a in lines:
        if "metaData" in a:
            fields = [{"name": n, "type": t, "nullable": True, "metadata": {"delta.columnMapping.id": i, "delta.columnMapping.physicalName": c}}
                      for i, (n, c, t) in enumerate([("order id", "c1", "long"), ("kind", "c2", "string")])]
            a["metaData"]["schemaString"] = json.dumps({"type": "struct", "fields": fields})
            a["metaData"]["partitionColumns"] = ["kind"]
            a["metaData"]["configuration"] = {"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "2"}
        if "protocol" in a:
            a["protocol"] = {"minReaderVersion": 2, "minWriterVersion": 5}
    with open(commit(theirs, 0), "w") as f:
        f.writelines(json.dumps(a) + "\n" for a in lines)
    sql(home, f"CREATE TABLE copy AS SELECT `order id` AS id, kind FROM delta.`{theirs}`")
    assert rows(place(home, "copy"), "id") == [{"id": 1, "kind": "x"}, {"id": 2, "kind": "y"}]
    sql(home, f"INSERT INTO delta.`{theirs}` VALUES (3, 'z')")
    assert sorted(tuple(r.values()) for r in query(theirs)) == [(1, "x"), (2, "y"), (3, "z")]


# ---- several at once, and killed -------------------------------------------------------------------------------------

def test_eight_writers_lose_nothing(home):
    """They begin before the table is there: one makes it, all of them append."""
    code = """for i = 1, 6 do spark:sql("SELECT %d AS w, " .. i .. " AS i").write:mode("append"):saveAsTable("t") end"""
    writers = [subprocess.Popen([LACUS, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(home))
               for _ in range(8)]
    for w, p in enumerate(writers):
        p.stdin.write(code % w)
        p.stdin.close()
    for p in writers:
        said = p.stdout.read()
        assert p.wait(timeout=120) == 0, said
    path = script(home, 'print(spark:sql("DESCRIBE DETAIL t"):collect()[1].location)').strip()
    got = rows(path)
    assert sorted((r["w"], r["i"]) for r in got) == [(w, i) for w in range(8) for i in range(1, 7)]
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]  # who lost the race took his folder away
    assert DeltaTable(path).version() == 47  # each commit has its version: none was lost, none was made twice
    assert number(home, "SELECT count(*) FROM t") == 48


def test_a_writer_killed_at_any_moment_leaves_a_table(home):
    sql(home, "CREATE TABLE t AS SELECT 0 AS w, id FROM range(1)")
    path = place(home, "t")
    code = """for w = 1, 1000 do spark:sql("INSERT INTO t SELECT " .. w .. ", id FROM range(2000)"); print(w); io.stdout:flush() end"""
    acknowledged = []
    for delay in (0.0, 0.01, 0.03, 0.05, 0.08, 0.13):
        p = subprocess.Popen([LACUS, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(home))
        p.stdin.write(code)
        p.stdin.close()
        p.stdout.readline()  # it writes now
        time.sleep(delay)
        p.send_signal(signal.SIGKILL)
        acknowledged.append(1 + len(p.stdout.read().splitlines()))
        p.wait()
        table = DeltaTable(path)
        got = table.to_pyarrow_table()
        assert (got.num_rows - 1) % 2000 == 0  # whole writes only
        assert (got.num_rows - 1) // 2000 >= sum(acknowledged)  # and every one that was acknowledged
        assert number(home, "SELECT count(*) FROM t") == got.num_rows
    sql(home, "INSERT INTO t VALUES (-1, -1)")
    assert rows(path, "w")[0] == {"w": -1, "id": -1}


# ---- what cannot be read says why ------------------------------------------------------------------------------------

def broken(home, change):
    """A table of three versions after `change(path)`; what reading it says."""
    sql(home, "CREATE TABLE t AS SELECT 1 AS a", "INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)")
    change(place(home, "t"))
    return fails(home, 'spark:table("t"):show()')


def test_a_missing_commit(home):
    said = broken(home, lambda path: os.unlink(commit(path, 1)))
    assert "00000000000000000001.json' is missing" in said and "before 1" in said


def rewrite(version, change):
    def do(path):
        with open(commit(path, version)) as f:
            lines = f.read().splitlines()
        with open(commit(path, version), "w") as f:
            f.write("\n".join(change(lines)))
    return do


@pytest.mark.parametrize("change, want", [
    (lambda lines: [lines[0], lines[1][:40]], "line 2 is not JSON"),
    (lambda lines: [lines[0], "[1]"], "line 2 is not a JSON object"),
    (lambda lines: [lines[0], '{"add":{"size":1}}'], "line 2: 'add' has no 'path'"),
    (lambda lines: [lines[0], '{"add":{"path":"../../../etc/x.parquet","size":1,"partitionValues":{}}}'], "leads out of the table"),
    (lambda lines: ['{"metaData":{"id":"1","schemaString":"{\\"type\\":\\"struct\\"","partitionColumns":[]}}'], "schema in its Delta log is not valid"),
    (lambda lines: ['{"protocol":{"minReaderVersion":4,"minWriterVersion":8}}'], "reader version 4"),
    (lambda lines: ['{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["catalogManaged"],"writerFeatures":["catalogManaged"]}}'],
     "Delta table feature 'catalogManaged'"),
    (lambda lines: ['{"add":{"path":"x.parquet","size":1,"partitionValues":{},"deletionVector":{"storageType":"i","pathOrInlineDv":"a","sizeInBytes":1,'
                    '"cardinality":1}}}'], "Delta table feature 'deletionVectors'"),
])
def test_a_broken_commit(home, change, want):
    said = broken(home, rewrite(2, change))
    assert want in said, said
    if "line" in want:
        assert "00000000000000000002.json" in said


def test_a_writer_feature_that_is_not_here(home):
    sql(home, "CREATE TABLE t AS SELECT 1 AS a")
    with open(commit(place(home, "t"), 1), "w") as f:
        f.write('{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["rowTracking","domainMetadata"]}}\n')
    assert number(home, "SELECT a FROM t") == 1
    assert "Delta table feature 'rowTracking'" in fails(home, 'spark:sql("INSERT INTO t VALUES (2)")')


def test_a_missing_data_file_and_a_broken_one(home):
    def remove(path):
        os.unlink(next(f"{path}/{f}" for f in os.listdir(path) if f.endswith(".parquet")))
    assert ".parquet" in broken(home, remove)


def test_a_broken_checkpoint(home):
    sql(home, "CREATE TABLE t AS SELECT 1 AS a")
    with open(place(home, "t") + "/_delta_log/00000000000000000000.checkpoint.parquet", "wb") as f:
        f.write(b"PAR1 nonsense")
    assert "checkpoint" in fails(home, 'spark:table("t"):show()')


# ---- the catalog -----------------------------------------------------------------------------------------------------

def test_names_that_are_not_there(home):
    sql(home, "CREATE CATALOG ml_catalog", "CREATE SCHEMA ml_catalog.llm_data", "CREATE TABLE ml_catalog.llm_data.pairs AS SELECT 1 AS a")
    said = fails(home, 'spark:table("ml_catalog.llm_data.pears"):show()')
    assert "cannot find table 'ml_catalog.llm_data.pears'" in said and "did you mean 'ml_catalog.llm_data.pairs'" in said
    said = fails(home, 'spark:table("ml_catalg.llm_data.pairs"):show()')
    assert "there is no catalog 'ml_catalg'" in said and "'ml_catalog'" in said


def test_lineage_of_a_copy(home):
    import sqlite3
    sql(home, "CREATE TABLE a AS SELECT 1 AS x", "CREATE TABLE b AS SELECT a.x FROM a JOIN a c ON a.x = c.x")
    db = sqlite3.connect(home / "workspace.db")
    got = db.execute("SELECT operation, name, version, call FROM catalog_lineage ORDER BY id").fetchall()
    assert [g[:3] for g in got] == [("CREATE TABLE AS SELECT", "spark_catalog.default.a", 0), ("READ", "spark_catalog.default.a", 0),
                                    ("CREATE TABLE AS SELECT", "spark_catalog.default.b", 0)]

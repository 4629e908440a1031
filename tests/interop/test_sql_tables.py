"""What SQL does to tables, against delta-rs (the Python package deltalake): the same changes made by it, and its reading of what lacus made."""
import json
import os
import subprocess

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from lacus import LACUS, environment, lacus, script

ROWS = {"id": [1, 2, 3, 4, 5, 6], "v": ["a", "b", "c", None, "e", "f"], "n": [1.5, None, 2.5, 0.0, -1.0, 9.0], "p": ["x", "x", "y", "y", "z", None]}
SCHEMA = pa.schema([("id", pa.int64()), ("v", pa.string()), ("n", pa.float64()), ("p", pa.string())])


def sql(home, *statements):
    """Runs statements; the rows of the last one, by names."""
    code = "\n".join(f"df = spark:sql([=====[{s}]=====])" for s in statements)
    return json.loads(script(home, code + """
local out = {}
for i, r in ipairs(df:collect()) do out[i] = r:asDict() end
print(json.encode(#out > 0 and out or {}))"""))


def fails(home, statement):
    done = lacus(home, "-", text=f"spark:sql([=====[{statement}]=====]):collect()")
    assert done.returncode != 0, done.stdout
    return done.stdout + done.stderr


def place(home, name, schema="default"):
    return str(home / "tables" / "spark_catalog" / schema / name)


def theirs(path, version=None, order="id"):
    """The rows as delta-rs' own engine reads them: it follows column mapping."""
    table = DeltaTable(str(path), version=version)
    rows = pa.table(QueryBuilder().register("t", table).execute("SELECT * FROM t").read_all()).to_pylist()
    return sorted(rows, key=lambda r: (r[order] is None, r[order]))


@pytest.fixture
def pair(home, tmp_path):
    """The same rows in a table of ours and in one of theirs, in two files each."""
    table = pa.table(ROWS, schema=SCHEMA)
    write_deltalake(str(tmp_path / "theirs"), table.slice(0, 4), partition_by=["p"])
    write_deltalake(str(tmp_path / "theirs"), table.slice(4), mode="append")
    sql(home, f"CREATE TABLE t PARTITIONED BY (p) AS SELECT * FROM delta.`{tmp_path}/theirs` WHERE id <= 4",
        f"INSERT INTO t SELECT * FROM delta.`{tmp_path}/theirs` WHERE id > 4")
    return home, DeltaTable(str(tmp_path / "theirs"))


def same(home, other):
    other.update_incremental()
    assert theirs(place(home, "t")) == theirs(other.table_uri)


# ---- the same changes by both -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("condition", ["id = 2", "v IS NULL", "p = 'x'", "n > 1 AND p <> 'y'", "id > 100", "n IS NULL OR id IN (5, 6)", "true"])
def test_delete(pair, condition):
    home, other = pair
    ours = sql(home, f"DELETE FROM t WHERE {condition}")
    did = other.delete(condition)
    same(home, other)
    assert ours == [{"num_affected_rows": did["num_deleted_rows"]}]


@pytest.mark.parametrize("condition, updates", [
    ("id = 2", {"v": "'new'"}), ("p = 'x'", {"n": "n * 2", "v": "concat(v, v)"}), (None, {"n": "n + id"}), ("v IS NULL", {"v": "p", "n": "CAST(id AS DOUBLE)"}),
    ("id > 4", {"p": "'moved'"})])
def test_update(pair, condition, updates):
    home, other = pair
    assignments = ", ".join(f"{k} = {v}" for k, v in updates.items())
    ours = sql(home, f"UPDATE t SET {assignments}" + (f" WHERE {condition}" if condition else ""))
    did = other.update(updates=updates, predicate=condition)
    same(home, other)
    assert ours == [{"num_affected_rows": did["num_updated_rows"]}]


SOURCE = pa.table({"id": [2, 4, 6, 7, 8], "v": ["B", None, "F", "g", "h"], "n": [20.0, 40.0, None, 70.0, 80.0], "p": ["x", "y", None, "z", "new"]}, schema=SCHEMA)


def merges():
    yield "upsert", ("WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *",
                     lambda m: m.when_matched_update_all().when_not_matched_insert_all())
    yield "conditions", ("WHEN MATCHED AND s.v IS NULL THEN DELETE WHEN MATCHED AND s.n > 10 THEN UPDATE SET t.n = s.n + t.n, v = concat(t.v, s.v) "
                         "WHEN NOT MATCHED AND s.n < 75 THEN INSERT (id, v) VALUES (s.id, upper(s.v))",
                         lambda m: m.when_matched_delete("s.v IS NULL").when_matched_update({"n": "s.n + t.n", "v": "concat(t.v, s.v)"}, "s.n > 10")
                         .when_not_matched_insert({"id": "s.id", "v": "upper(s.v)"}, "s.n < 75"))
    yield "by source", ("WHEN NOT MATCHED BY SOURCE AND t.p = 'y' THEN DELETE WHEN NOT MATCHED BY SOURCE THEN UPDATE SET v = 'gone'",
                        lambda m: m.when_not_matched_by_source_delete("t.p = 'y'").when_not_matched_by_source_update({"v": "'gone'"}))
    yield "insert only", ("WHEN NOT MATCHED THEN INSERT *", lambda m: m.when_not_matched_insert_all())
    yield "delete only", ("WHEN MATCHED THEN DELETE", lambda m: m.when_matched_delete())


@pytest.mark.parametrize("name", [name for name, _ in merges()])
def test_merge(pair, name, tmp_path):
    home, other = pair
    clauses, build = dict(merges())[name]
    write_deltalake(str(tmp_path / "source"), SOURCE)
    ours = sql(home, f"MERGE INTO t USING delta.`{tmp_path}/source` AS s ON t.id = s.id {clauses}")[0]
    did = build(other.merge(SOURCE, "t.id = s.id", source_alias="s", target_alias="t")).execute()
    same(home, other)
    assert ours["num_updated_rows"] == did["num_target_rows_updated"]
    assert ours["num_deleted_rows"] == did["num_target_rows_deleted"]
    assert ours["num_inserted_rows"] == did["num_target_rows_inserted"]


def test_merge_without_a_value_for_a_row(home):
    sql(home, "CREATE TABLE t AS SELECT 1 AS id, 'a' AS v")
    said = fails(home, "MERGE INTO t USING (SELECT 1 AS id UNION ALL SELECT 1) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = 'b'")
    assert "[DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE]" in said and "dropDuplicates" in said
    assert theirs(place(home, "t")) == [{"id": 1, "v": "a"}] and DeltaTable(place(home, "t")).version() == 0


def test_replace_where(pair):
    home, other = pair
    sql(home, "INSERT INTO t REPLACE WHERE p = 'x' VALUES (50L, 'rep', 1D, 'x'), (51L, NULL, NULL, 'x')")
    write_deltalake(other, pa.table({"id": [50, 51], "v": ["rep", None], "n": [1.0, None], "p": ["x", "x"]}, schema=SCHEMA), mode="overwrite",
                    predicate="p = 'x'")
    same(home, other)
    assert "[DELTA_REPLACE_WHERE_MISMATCH]" in fails(home, "INSERT INTO t REPLACE WHERE p = 'x' VALUES (1L, 'v', 1D, 'other')")
    same(home, other)


def test_partitions(home):
    rows = sql(home, "CREATE TABLE t (id INT, p STRING, d DATE) PARTITIONED BY (p, d)",
               "INSERT INTO t PARTITION (p = 'a', d = DATE '2026-01-02') VALUES (1), (2)", "INSERT INTO t PARTITION (p = 'b', d) VALUES (3, DATE '2026-01-03')",
               "INSERT OVERWRITE t PARTITION (p = 'a', d = '2026-01-02') VALUES (9)", "SHOW PARTITIONS t")
    assert rows == [{"partition": "p=a/d=2026-01-02"}, {"partition": "p=b/d=2026-01-03"}]
    assert [r["id"] for r in theirs(place(home, "t"))] == [3, 9]
    assert sql(home, "TRUNCATE TABLE t PARTITION (p = 'b')", "SELECT id FROM t") == [{"id": 9}]
    assert "is not partitioned by 'id'" in fails(home, "TRUNCATE TABLE t PARTITION (id = 1)")


def test_changes_that_meet(home):
    """Two changes of the same file: one commits, the other is told so, and nothing is lost."""
    sql(home, "CREATE TABLE t AS SELECT id, 0 AS n FROM range(100)")
    code = """local won, lost = 0, 0
for i = 1, 6 do
  local ok, e = pcall(function() return spark:sql("UPDATE t SET n = n + 1 WHERE id = %d"):collect() end)
  if ok then won = won + 1 elseif tostring(e):find("made meanwhile", 1, true) then lost = lost + 1 else error(e) end
end
print(won .. " " .. lost)"""
    both = [subprocess.Popen([LACUS, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(home))
            for _ in range(2)]
    for i, p in enumerate(both):
        p.stdin.write(code % i)
        p.stdin.close()
    won = [int(p.stdout.read().split()[0]) for p in both]
    assert all(p.wait() == 0 for p in both)
    assert {r["id"]: r["n"] for r in theirs(place(home, "t")) if r["id"] < 2} == {0: won[0], 1: won[1]}
    assert sum(r["n"] for r in theirs(place(home, "t"))) == sum(won) and len(theirs(place(home, "t"))) == 100


def test_the_history_says_what_was_done(home):
    sql(home, "CREATE TABLE t AS SELECT id, 'a' AS v FROM range(4)", "DELETE FROM t WHERE id = 2 OR v = 'b'", "UPDATE t SET v = 'c' WHERE id > 1",
        "ALTER TABLE t ADD COLUMN n INT")
    history = DeltaTable(place(home, "t")).history()
    assert [h["operation"] for h in history] == ["ADD COLUMNS", "UPDATE", "DELETE", "CREATE TABLE AS SELECT"]
    assert [json.loads(h["operationParameters"]["predicate"]) for h in history[1:3]] == [["id > 1"], ["id = 2 OR v = 'b'"]]
    assert history[1]["operationMetrics"] == {"numUpdatedRows": "1", "numRemovedFiles": "1"}
    rows = sql(home, "SELECT * FROM t@v0", "SELECT count(*) AS n FROM t@v1")
    assert rows == [{"n": 3}] and len(theirs(place(home, "t"), version=1)) == 3


def test_append_only_tables_are_left_alone(home):
    sql(home, "CREATE TABLE t (a INT) TBLPROPERTIES ('delta.appendOnly' = 'true')", "INSERT INTO t VALUES (1)")
    assert "delta.appendOnly" in fails(home, "DELETE FROM t WHERE a = 1") and "delta.appendOnly" in fails(home, "UPDATE t SET a = 2")


# ---- ALTER TABLE -----------------------------------------------------------------------------------------------------

def test_columns_are_added(home):
    sql(home, "CREATE TABLE t AS SELECT 1 AS id, named_struct('x', 1) AS s", "ALTER TABLE t ADD COLUMNS (b STRING COMMENT 'new', s.y INT, c INT FIRST, d INT AFTER id)",
        "INSERT INTO t VALUES (5, 2, 6, named_struct('x', 7, 'y', 8), 'b')")
    assert theirs(place(home, "t")) == [{"c": None, "id": 1, "d": None, "s": {"x": 1, "y": None}, "b": None},
                                        {"c": 5, "id": 2, "d": 6, "s": {"x": 7, "y": 8}, "b": "b"}]
    fields = {f["name"]: f for f in json.loads(DeltaTable(place(home, "t")).schema().to_json())["fields"]}
    assert fields["b"]["metadata"] == {"comment": "new"}
    for statement, why in [("ADD COLUMN b INT", "[FIELD_ALREADY_EXISTS]"), ("ADD COLUMN e INT NOT NULL", "NOT NULL"), ("ADD COLUMN e INT AFTER nope", "'nope'"),
                           ("DROP COLUMN b", "delta.columnMapping.mode"), ("RENAME COLUMN b TO bb", "delta.columnMapping.mode"),
                           ("ALTER COLUMN bb COMMENT 'x'", "did you mean"), ("ALTER COLUMN id TYPE BIGINT", "delta.enableTypeWidening"),
                           ("ALTER COLUMN b TYPE INT", "[NOT_SUPPORTED_CHANGE_COLUMN]")]:
        assert why in fails(home, f"ALTER TABLE t {statement}")


def test_columns_are_renamed_and_dropped(home):
    sql(home, "CREATE TABLE t (a INT, b STRING, p STRING) PARTITIONED BY (p)", "INSERT INTO t VALUES (1, 'x', 'u'), (2, 'y', NULL)",
        "ALTER TABLE t SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')", "ALTER TABLE t RENAME COLUMN b TO `b ,.é🙂`",
        "ALTER TABLE t RENAME COLUMN p TO part", "ALTER TABLE t DROP COLUMN a", "ALTER TABLE t ADD COLUMN a BIGINT",
        "INSERT INTO t VALUES ('z', 'v', 7)")
    table = DeltaTable(place(home, "t"))
    assert (table.protocol().min_reader_version, table.protocol().min_writer_version) == (2, 5)
    assert table.metadata().partition_columns == ["part"]
    assert theirs(place(home, "t"), order="b ,.é🙂") == [{"b ,.é🙂": "x", "part": "u", "a": None}, {"b ,.é🙂": "y", "part": None, "a": None},
                                                       {"b ,.é🙂": "z", "part": "v", "a": 7}]
    assert sql(home, "SELECT `b ,.é🙂` AS b, part, a FROM t ORDER BY b")[2] == {"b": "z", "part": "v", "a": 7}
    sql(home, "DELETE FROM t WHERE a = 7", "UPDATE t SET a = 1 WHERE part = 'u'")
    assert theirs(place(home, "t"), order="b ,.é🙂") == [{"b ,.é🙂": "x", "part": "u", "a": 1}, {"b ,.é🙂": "y", "part": None, "a": None}]
    assert len(sql(home, "SELECT * FROM t VERSION AS OF 1")) == 2


def test_ids_of_columns_are_those_of_the_files(home):
    import pyarrow.parquet as pq
    sql(home, "CREATE TABLE t (`a b` INT, c STRING) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')", "INSERT INTO t VALUES (1, 'x')")
    table = DeltaTable(place(home, "t"))
    wanted = {f["metadata"]["delta.columnMapping.physicalName"]: f["metadata"]["delta.columnMapping.id"]
              for f in json.loads(table.schema().to_json())["fields"]}
    file = pq.read_schema(table.file_uris()[0])
    assert {f.name: int(f.metadata[b"PARQUET:field_id"]) for f in file} == wanted
    assert table.metadata().configuration["delta.columnMapping.maxColumnId"] == "2"


def test_wider_types(home):
    rows = sql(home, "CREATE TABLE t (a INT, f FLOAT, d DECIMAL(5,2)) TBLPROPERTIES ('delta.enableTypeWidening' = 'true')", "INSERT INTO t VALUES (1, 1.5, 2.25)",
               "ALTER TABLE t ALTER COLUMN a TYPE BIGINT", "ALTER TABLE t ALTER COLUMN f TYPE DOUBLE", "ALTER TABLE t ALTER COLUMN d TYPE DECIMAL(10,3)",
               "INSERT INTO t VALUES (5000000000, 2.5, 1234567.125)", "SELECT a, f, CAST(d AS STRING) AS d, typeof(a) AS t FROM t ORDER BY a")
    assert rows == [{"a": 1, "f": 1.5, "d": "2.250", "t": "bigint"}, {"a": 5000000000, "f": 2.5, "d": "1234567.125", "t": "bigint"}]
    with open(f"{place(home, 't')}/_delta_log/00000000000000000002.json") as f:
        schema = json.loads(next(json.loads(line)["metaData"]["schemaString"] for line in f if "metaData" in line))
    assert schema["fields"][0]["metadata"]["delta.typeChanges"] == [{"fromType": "integer", "toType": "long"}]


def test_not_null_and_comments(home):
    sql(home, "CREATE TABLE t (a INT, b INT) COMMENT 'first'", "INSERT INTO t VALUES (1, NULL)", "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
        "COMMENT ON COLUMN t.b IS 'the b'", "COMMENT ON TABLE t IS 'second'", "ALTER TABLE t SET TBLPROPERTIES ('k' = 'v', 'l' = 'w')",
        "ALTER TABLE t UNSET TBLPROPERTIES ('k')")
    assert "[DELTA_NOT_NULL_CONSTRAINT_VIOLATED]" in fails(home, "ALTER TABLE t ALTER COLUMN b SET NOT NULL")
    assert "[DELTA_NOT_NULL_CONSTRAINT_VIOLATED]" in fails(home, "INSERT INTO t VALUES (NULL, 1)")
    table = DeltaTable(place(home, "t"))
    assert table.metadata().description == "second" and table.metadata().configuration == {"l": "w"}
    fields = json.loads(table.schema().to_json())["fields"]
    assert [f["nullable"] for f in fields] == [False, True] and fields[1]["metadata"] == {"comment": "the b"}
    write_deltalake(table, pa.table({"a": pa.array([5], pa.int32()), "b": pa.array([6], pa.int32())},
                                    schema=pa.schema([pa.field("a", pa.int32(), False), pa.field("b", pa.int32())])), mode="append")
    assert sql(home, "SELECT sum(a) AS s FROM t") == [{"s": 6}]


def test_replaced_tables_keep_what_the_statement_says(home):
    sql(home, "CREATE TABLE t AS SELECT 1 AS x", "CREATE OR REPLACE TABLE t (a INT NOT NULL COMMENT 'c', b STRING)", "CREATE TABLE u LIKE t")
    for name in "tu":
        fields = json.loads(DeltaTable(place(home, name)).schema().to_json())["fields"]
        assert [(f["name"], f["nullable"], f["metadata"]) for f in fields] == [("a", False, {"comment": "c"}), ("b", True, {})]


def test_a_change_meets_a_change(home, tmp_path):
    """Another program's commit of metadata in between is a conflict, its commit of rows is none."""
    sql(home, "CREATE TABLE t AS SELECT 1 AS id")
    write_deltalake(place(home, "t"), pa.table({"id": pa.array([2], pa.int32())}), mode="append")
    sql(home, "ALTER TABLE t ADD COLUMN b INT")
    assert theirs(place(home, "t")) == [{"id": 1, "b": None}, {"id": 2, "b": None}]


# ---- bad input -------------------------------------------------------------------------------------------------------

def test_names_with_anything_in_them(home):
    name = "tä🙂'\";--"
    rows = sql(home, f"CREATE TABLE `{name}` AS SELECT 1 AS `c'\"--`", f"CREATE VIEW `v🙂` AS SELECT `c'\"--` AS x FROM `{name}`", "SELECT x FROM `v🙂`")
    assert rows == [{"x": 1}]
    assert "cannot be the name of a table" in fails(home, "CREATE TABLE `a.b` AS SELECT 1 AS a")
    assert "cannot be the name of a table" in fails(home, "CREATE TABLE `a/../b` AS SELECT 1 AS a")


@pytest.mark.parametrize("value", ["x'; DROP TABLE t; --", "' OR 1=1 --", "\\' OR true --", "`t`", "{t}", ":v", "?"])
def test_parameters_are_values(home, value):
    sql(home, "CREATE TABLE t AS SELECT 'secret' AS a")
    code = f"""local v = {json.dumps(value)}
print(spark:sql("SELECT count(*) FROM t WHERE a = :v", {{v = v}}):collect()[1][1], spark:sql("SELECT ? = ?", {{v, v}}):collect()[1][1])
spark:sql("INSERT INTO t VALUES (:v)", {{v = v}})
print(spark:sql("SELECT count(*) FROM t WHERE a = ?", {{v}}):collect()[1][1])"""
    assert script(home, code).split() == ["0", "true", "1"]


def test_files_that_vanished(home):
    sql(home, "CREATE TABLE t AS SELECT 1 AS a")
    os.rename(place(home, "t"), place(home, "moved"))
    for statement in ["SELECT * FROM t", "INSERT INTO t VALUES (2)", "ALTER TABLE t ADD COLUMN b INT", "DELETE FROM t WHERE a = 1", "DESCRIBE DETAIL t"]:
        said = fails(home, statement)
        if "INSERT" not in statement:
            assert place(home, "t") in said, said


# ---- views and volumes -----------------------------------------------------------------------------------------------

def test_views_are_read_where_they_were_written(home):
    """In another process, from another schema; what the table gets later is not theirs; a temporary view cannot be part of one."""
    sql(home, "CREATE SCHEMA s", "USE s", "CREATE TABLE t AS SELECT 1 AS a, 'x' AS b", "CREATE VIEW v (n COMMENT 'number', b) AS SELECT a + 1, b FROM t",
        "CREATE VIEW w AS SELECT n * 10 AS m FROM v")
    assert sql(home, "SELECT * FROM s.w JOIN s.v ON m = n * 10") == [{"m": 20, "n": 2, "b": "x"}]
    sql(home, "CREATE TABLE t AS SELECT 99 AS a, 'no' AS b", "USE s", "INSERT INTO t VALUES (2, 'y')", "ALTER TABLE t ADD COLUMN c INT")
    assert sql(home, "CREATE TEMP VIEW t AS SELECT 55 AS a, 'no' AS b", "SELECT * FROM s.v ORDER BY n") == [{"n": 2, "b": "x"}, {"n": 3, "b": "y"}]
    assert "[INVALID_TEMP_OBJ_REFERENCE]" in script(
        home, 'spark:sql("CREATE TEMP VIEW q AS SELECT 1"); print(pcall(spark.sql, spark, "CREATE VIEW v2 AS SELECT * FROM q"))')
    said = fails(home, "CREATE OR REPLACE VIEW s.v AS SELECT m AS n, 'b' AS b FROM s.w")
    assert "[RECURSIVE_VIEW]" in said
    assert sql(home, "SELECT count(*) AS n FROM s.w") == [{"n": 2}]  # the old one is still there
    sql(home, "DROP TABLE s.t")
    said = fails(home, "SELECT * FROM s.w")
    assert "[TABLE_OR_VIEW_NOT_FOUND]" in said and "(in the view 'spark_catalog.s.v')" in said
    for statement in ["INSERT INTO s.v VALUES (1, 'x')", "ALTER TABLE s.v ADD COLUMN x INT", "DELETE FROM s.v"]:
        assert "view" in fails(home, statement)


def test_volumes(home, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.csv").write_text("x,y\n1,2\n3,4\n")
    printed = script(home, f"""spark:sql("CREATE VOLUME v COMMENT 'files'"); spark:sql("CREATE EXTERNAL VOLUME e LOCATION '{tmp_path}/outside'")
local root = "/Volumes/spark_catalog/default"
print(spark.read:csv{{root .. "/e/a.csv", header = true}}:count())
dbutils.fs.put(root .. "/v/in/b.txt", "text")
print(dbutils.fs.head("dbfs:" .. root .. "/v/in/b.txt"), dbutils.fs.ls(root .. "/v")[1].path)
spark:range(3).write:format("delta"):save(root .. "/v/d"); spark:range(5).write:mode("overwrite"):parquet(root .. "/v/p")
print(spark:sql("SELECT count(*) FROM delta.`" .. root .. "/v/d`"):collect()[1][1], spark.read:parquet(root .. "/v/p"):count())
for _, r in ipairs(spark:sql("LIST '" .. root .. "/v'"):collect()) do print(r.path) end""")
    assert printed.split() == ["2", "text", "dbfs:/Volumes/spark_catalog/default/v/in/", "3", "5"] + [
        f"/Volumes/spark_catalog/default/v/{n}/" for n in ("d", "in", "p")]
    assert [r["volume_name"] for r in sql(home, "SHOW VOLUMES")] == ["e", "v"]
    row = sql(home, "ALTER VOLUME v RENAME TO w", "COMMENT ON VOLUME w IS 'more'", "DESCRIBE VOLUME w")[0]
    assert row["volumeType"] == "MANAGED" and row["comment"] == "more" and os.path.isdir(row["storageLocation"] + "/d")
    assert len(DeltaTable(row["storageLocation"] + "/d").file_uris()) == 1
    for path, why in [("v/d", "[VOLUME_NOT_FOUND]"), ("w/../../x", "leads out"), ("", "has no volume")]:
        assert why in fails(home, f"LIST '/Volumes/spark_catalog/default/{path}'")
    assert "[SCHEMA_NOT_FOUND]" in fails(home, "LIST '/Volumes/spark_catalog/nope/v'")
    sql(home, "DROP VOLUME w", "DROP VOLUME e")
    assert not os.path.exists(row["storageLocation"]) and (tmp_path / "outside" / "a.csv").exists()


def test_writers_replace_what_they_are_told_to(home):
    code = """spark:sql("CREATE TABLE t (id INT, p STRING) PARTITIONED BY (p)"); spark:sql("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL)")
local function rows(...) return spark:createDataFrame({...}, "id INT, p STRING") end
local function show() local o = {} for _, r in ipairs(spark:sql("SELECT id FROM t ORDER BY id"):collect()) do o[#o + 1] = r.id end print(table.concat(o, ",")) end
rows({10, "a"}).write:mode("overwrite"):option("replaceWhere", "p = 'a'"):saveAsTable("t"); show()
rows({20, "b"}, {30, null}).write:mode("overwrite"):option("partitionOverwriteMode", "dynamic"):saveAsTable("t"); show()
rows({40, "c"}):writeTo("t"):overwritePartitions(); show()
rows({50, "c"}):writeTo("t"):overwrite("p = 'c' OR p IS NULL"); show()
spark:sql("SET spark.sql.sources.partitionOverwriteMode = dynamic"); spark:sql("INSERT OVERWRITE t VALUES (60, 'a')"); show()
spark:sql("RESET"); spark:sql("INSERT OVERWRITE t VALUES (70, 'a')"); show()
print(pcall(function() rows({1, "z"}).write:mode("overwrite"):option("replaceWhere", "p = 'a'"):saveAsTable("t") end))"""
    lines = script(home, code).splitlines()
    assert lines[:6] == ["2,3,10", "10,20,30", "10,20,30,40", "10,20,50", "20,50,60", "70"]
    assert "[DELTA_REPLACE_WHERE_MISMATCH]" in lines[6]
    assert theirs(place(home, "t")) == [{"id": 70, "p": "a"}]


def test_overwrite_takes_a_column_and_no_guess(home):
    code = """spark:range(6).write:saveAsTable("t")
local function show() local o = {} for _, r in ipairs(spark:table("t"):orderBy("id"):collect()) do o[#o + 1] = r.id end print(table.concat(o, ",")) end
local function fails(f) print(select(2, pcall(f))) end
spark:range(100, 102):writeTo("t"):overwrite(F.col("id"):gt(50)); show()
spark:range(2):writeTo("t"):overwrite((F.col("id"):lt(3)) & F.col("id"):isNotNull()); show()
fails(function() spark:range(9):writeTo("t"):overwrite(F.col("id"):lt(3):eq(true)) end)
fails(function() spark:range(9):writeTo("t"):overwrite(F.col("idd"):lt(3)) end)
fails(function() spark:range(9):writeTo("t"):overwrite() end)
fails(function() spark:range(9):writeTo("t"):overwrite(F.col("id") == 3) end)
show()
spark:range(7, 8):writeTo("t"):overwrite(F.lit(true)); show()"""
    lines = script(home, code).splitlines()
    assert lines[:2] == ["0,1,2,3,4,5,100,101", "0,1,3,4,5,100,101"]
    for line, says in zip(lines[2:6], ["[DELTA_REPLACE_WHERE_MISMATCH]", "[UNRESOLVED_COLUMN.WITH_SUGGESTION]", "got nil", "Lua turns =="], strict=True):
        assert says in line
    assert lines[6:] == ["0,1,3,4,5,100,101", "7"]
    assert theirs(place(home, "t")) == [{"id": 7}]


def test_create_table_of_the_catalog(home, tmp_path):
    code = f"""local function fails(f) print(select(2, pcall(f))) end
print(spark.catalog:createTable("a", null, null, "x INT").columns[1], spark.catalog:createTable{{tableName = "b", schema = "y INT", description = "it's"}}.columns[1])
fails(function() spark.catalog:createTable() end)
fails(function() spark.catalog:createTable(null, null, "delta", "x INT") end)
fails(function() spark.catalog:createTable("c", 3) end)
fails(function() spark.catalog:createTable("c") end)
fails(function() spark.catalog:createTable("c", "{tmp_path}/nothing", "parquet") end)
spark:range(3).write:parquet("{tmp_path}/it's"); print(spark.catalog:createTable("c", "{tmp_path}/it's", "parquet"):count())"""
    lines = script(home, code).splitlines()
    assert lines[0] == "x\ty" and lines[-1] == "3"
    for line, says in zip(lines[1:-1], ["tableName", "tableName", "'path' as a string, got number", "[UNABLE_TO_INFER_SCHEMA]", "[PATH_NOT_FOUND]"], strict=True):
        assert says in line
    assert "it's" in str(sql(home, "DESCRIBE EXTENDED b"))


def test_merge_takes_a_dataframe(home):
    code = """spark:sql("CREATE TABLE t AS SELECT id, 'old' AS v FROM range(3)")
local df = spark:createDataFrame({{1, "new"}, {7, "more"}}, "id BIGINT, v STRING")
spark:sql("MERGE INTO t USING {df} s ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *", {df = df})
spark:sql("DELETE FROM t WHERE id NOT IN (SELECT id FROM {df}) AND id > :least", {df = df, least = 1})"""
    script(home, code)
    assert theirs(place(home, "t")) == [{"id": 0, "v": "old"}, {"id": 1, "v": "new"}, {"id": 7, "v": "more"}]


def test_hashes_of_structs_are_sparks(home):
    row = sql(home, "SELECT hash(struct(1, 'a')) AS a, xxhash64(struct(1, 'a')) AS b, "
                    "hash(named_struct('x', 1, 'y', struct('x', 2D)), 5) = hash(1, 'x', 2D, 5) AS c")[0]
    assert row == {"a": -936062819, "b": 8205864924878002737, "c": True}  # what Spark 4.3 gives


def test_protocol_versions(home):
    """delta.minReaderVersion and its kin ask for a protocol, as delta-rs reads it; they are no properties that stay."""
    def versions(name):
        p = DeltaTable(place(home, name)).protocol()
        return p.min_reader_version, p.min_writer_version, sorted(p.writer_features or [])

    sql(home, "CREATE TABLE a (x INT) TBLPROPERTIES ('delta.minReaderVersion' = '1', 'delta.minWriterVersion' = '4')")
    assert versions("a") == (1, 4, [])
    sql(home, "ALTER TABLE a SET TBLPROPERTIES ('delta.minReaderVersion' = '2', 'delta.minWriterVersion' = '5')")
    assert versions("a") == (2, 5, [])
    sql(home, "ALTER TABLE a SET TBLPROPERTIES ('delta.minWriterVersion' = '2')")  # what is there is enough
    assert versions("a") == (2, 5, [])
    assert "needs writer version 7" in fails(home, "ALTER TABLE a SET TBLPROPERTIES ('delta.minReaderVersion' = '3')")
    sql(home, "CREATE OR REPLACE TABLE a (x INT) TBLPROPERTIES ('delta.minWriterVersion' = '2')")
    assert versions("a") == (2, 5, [])
    sql(home, "ALTER TABLE a SET TBLPROPERTIES ('delta.minReaderVersion' = '3', 'delta.minWriterVersion' = '7')", "INSERT INTO a VALUES (1)")
    reader, writer, features = versions("a")
    assert (reader, writer) == (3, 7) and {"appendOnly", "invariants", "checkConstraints", "columnMapping"} <= set(features)
    sql(home, "CREATE TABLE b (x INT) TBLPROPERTIES ('delta.minReaderVersion' = '1', 'delta.minWriterVersion' = '7')", "INSERT INTO b VALUES (1)")
    assert versions("b") == (1, 7, ["appendOnly", "invariants"])
    for name in "a", "b":
        assert theirs(place(home, name), order="x") == [{"x": 1}]
        assert not any(key.startswith("delta.min") for key in DeltaTable(place(home, name)).metadata().configuration)
        write_deltalake(place(home, name), pa.table({"x": pa.array([2], pa.int32())}), mode="append")
        assert sql(home, f"SELECT x FROM {name} ORDER BY x") == [{"x": 1}, {"x": 2}]


def test_instants_among_partitions_are_in_utc(home):
    """What a session of another zone writes, it reads, and delta-rs reads, as the same instant."""
    out = script(home, """spark.conf:set("spark.sql.session.timeZone", "Asia/Tokyo")
        spark:sql("CREATE TABLE tz (a INT, p TIMESTAMP) PARTITIONED BY (p)")
        spark:sql("INSERT INTO tz VALUES (1, TIMESTAMP'2024-01-02 03:04:05')")
        print(spark:sql("SELECT CAST(p AS STRING) AS p FROM tz WHERE p = TIMESTAMP'2024-01-02 03:04:05'"):collect()[1].p)
        spark.conf:set("spark.sql.session.timeZone", "UTC")
        print(spark:sql("SELECT CAST(p AS STRING) AS p FROM tz"):collect()[1].p)""")
    assert out == "2024-01-02 03:04:05\n2024-01-01 18:04:05\n"
    assert theirs(place(home, "tz"), order="a")[0]["p"].isoformat() == "2024-01-01T18:04:05+00:00"


def test_a_wrong_update_is_wrong_where_no_row_matches(home):
    sql(home, "CREATE TABLE wu (a INT, p STRING)")
    for _ in range(2):
        assert "[UNRESOLVED_COLUMN.WITH_SUGGESTION]" in fails(home, "UPDATE wu SET a = zz WHERE a = 7")
        assert "[UNRESOLVED_ROUTINE]" in fails(home, "UPDATE wu SET a = no_such(1) WHERE a = 7")
        assert "[DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION]" in fails(home, "UPDATE wu SET a = array(1) WHERE a = 7")
        assert sql(home, "UPDATE wu SET a = (SELECT max(id) FROM range(3)) WHERE a = 7") == [{"num_affected_rows": 0}]
        for what in ("MATCHED THEN UPDATE SET a = s.zz", "NOT MATCHED BY SOURCE AND wu.a = 7 THEN UPDATE SET a = zz"):
            assert "[UNRESOLVED_COLUMN.WITH_SUGGESTION]" in fails(home, f"MERGE INTO wu USING (SELECT 9 AS a) s ON wu.a = s.a WHEN {what}")
        sql(home, "INSERT INTO wu VALUES (1, 'x')")


def test_columns_say_what_a_table_is_partitioned_by(home):
    out = script(home, """for name, using in pairs{cf = "USING parquet", cd = ""} do
        spark:sql(("CREATE TABLE %s (a INT, p STRING) %s PARTITIONED BY (p)"):format(name, using))
        for _, c in ipairs(spark.catalog:listColumns(name)) do print(c.name, c.dataType, c.nullable, c.isPartition, c.isBucket, c.isCluster) end
    end""")
    assert out.splitlines() == ["a\tint\ttrue\tfalse\tfalse\tfalse", "p\tstring\ttrue\ttrue\tfalse\tfalse"] * 2
    assert "[DELTA_TABLE_ONLY_OPERATION]" in fails(home, "DESCRIBE HISTORY cf")
    assert sql(home, "DESCRIBE HISTORY cd")[0]["operation"] == "CREATE TABLE"


# ---- tables of files ----

def test_files_by_writer(home):
    """saveAsTable and insertInto with a format: what lies in the folders, as pyarrow reads it, and what SQL reads of it."""
    import pyarrow.dataset as ds

    default = home / "tables" / "spark_catalog" / "default"
    script(home, """spark:range(3):selectExpr("id", "id % 2 AS p").write:format("parquet"):partitionBy("p"):saveAsTable("w")
        spark:range(3, 5):selectExpr("id % 2 AS p", "id").write:format("parquet"):mode("append"):partitionBy("p"):saveAsTable("w")  -- by name
        spark:range(5, 6):selectExpr("id", "0 AS p").write:insertInto("w")""")
    files = ds.dataset(str(default / "w"), format="parquet", partitioning="hive").to_table().to_pylist()
    rows = [{"id": i, "p": 0 if i == 5 else i % 2} for i in range(6)]
    assert sorted(files, key=lambda r: r["id"]) == rows
    assert sql(home, "SELECT * FROM w ORDER BY id") == rows
    script(home, """spark.conf:set("spark.sql.sources.partitionOverwriteMode", "dynamic")
        spark:range(9, 10):selectExpr("id", "1 AS p").write:mode("overwrite"):insertInto("w")""")
    assert [r["id"] for r in sql(home, "SELECT * FROM w ORDER BY id")] == [0, 2, 4, 5, 9]
    # another format and other columns: a new table, and nothing is left of the old one
    script(home, """spark:range(2):selectExpr("id AS n", "'a;b' AS t").write:format("csv"):option("sep", ";"):mode("overwrite"):saveAsTable("w")""")
    assert sql(home, "SELECT * FROM w ORDER BY n") == [{"n": 0, "t": "a;b"}, {"n": 1, "t": "a;b"}]
    left = [p.name for p in default.rglob("*.*")]
    assert left and all(name.endswith(".csv") for name in left)
    printed = script(home, """local fine, why = pcall(function() spark:range(1).write:format("json"):mode("append"):saveAsTable("w") end)
        print(fine, why.message, spark.catalog:getTable("w").tableType)""")
    assert "doesn't match the specified format" in printed and printed.endswith("MANAGED\n")
    sql(home, "DROP TABLE w")
    assert not list(default.rglob("*.csv"))


def test_files_of_a_place(home, tmp_path):
    """LOCATION: columns and partitions are those of the files that are there; DROP leaves them."""
    files = tmp_path / "files"
    script(home, f"""spark:range(4):selectExpr("id", "id % 2 AS p").write:partitionBy("p"):parquet("{files}")""")
    sql(home, f"CREATE TABLE e USING parquet LOCATION '{files}'")
    assert sql(home, "SHOW PARTITIONS e") == [{"partition": "p=0"}, {"partition": "p=1"}]
    sql(home, "INSERT OVERWRITE e PARTITION (p = 1) VALUES (7)")
    assert sql(home, "SELECT * FROM e ORDER BY id") == [{"id": 0, "p": 0}, {"id": 2, "p": 0}, {"id": 7, "p": 1}]
    printed = sql(home, "SHOW CREATE TABLE e")[0]["createtab_stmt"]
    assert printed.endswith(f"USING parquet\nPARTITIONED BY (p)\nLOCATION '{files}'\n"), printed
    assert script(home, "print(spark.catalog:getTable('e').tableType)") == "EXTERNAL\n"
    assert "the folder is not empty" in fails(home, f"CREATE TABLE again USING csv LOCATION '{files}' AS SELECT 1 a")
    sql(home, "DROP TABLE e")
    assert sorted(p.name for p in files.iterdir()) == ["_SUCCESS", "p=0", "p=1"]
    sql(home, f"CREATE TABLE e USING parquet LOCATION '{files}'")
    subprocess.run(["rm", "-r", str(files)], check=True)
    assert "are gone" in fails(home, "SELECT * FROM e")

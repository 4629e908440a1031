"""DeltaTable against delta-rs (the deltalake package), on the same files: what it changes, the history it leaves, what it refuses."""
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from lacus import lacus, script, script_json

TARGET = pa.table({"id": pa.array([1, 2, 3, 4], pa.int64()), "name": ["a", "b", "c", None], "n": pa.array([10, 20, 30, 40], pa.int64())})
SOURCE = pa.table({"id": pa.array([2, 3, 9], pa.int64()), "name": ["B", None, "z"], "n": pa.array([5, 1, 7], pa.int64())})
LUA_SOURCE = 'local source = spark:createDataFrame({{2, "B", 5}, {3, null, 1}, {9, "z", 7}}, "id bigint, name string, n bigint")\n'
REFUSE = 'local function refused(f, ...) print((tostring(select(2, pcall(f, ...))):gsub("\\n", " "))) end\n'


def rows(path):
    return sorted(DeltaTable(str(path)).to_pyarrow_table().to_pylist(), key=lambda r: r["id"])


def both(tmp_path, ours, theirs):
    """The two tables' rows after the same change: ours in Lua (`t` is the DeltaTable), theirs with delta-rs."""
    for which in ("ours", "theirs"):
        write_deltalake(str(tmp_path / which), TARGET)
    theirs(DeltaTable(str(tmp_path / "theirs")))
    script(tmp_path / "home", f"""{LUA_SOURCE}
spark:sql("create table lake using delta location '{tmp_path}/ours'")
local t = DeltaTable.forName(spark, "lake")
{ours}""")
    return rows(tmp_path / "ours"), rows(tmp_path / "theirs")


CHANGES = [
    ("delete text", 't:delete("n > 25")', lambda t: t.delete("n > 25")),
    ("delete column", 't:delete(F.col("name"):isNull())', lambda t: t.delete("name is null")),
    ("delete all", "t:delete()", lambda t: t.delete()),
    ("update texts", 't:update("id < 3", {n = "n * 2", name = "upper(name)"})', lambda t: t.update({"n": "n * 2", "name": "upper(name)"}, predicate="id < 3")),
    ("update columns", 't:alias("q"):update{condition = F.col("q.id"):eq(4), set = {["q.name"] = F.lit("four"), n = F.col("n") + 1}}',
     lambda t: t.update({"name": "'four'", "n": "n + 1"}, predicate="id = 4")),
    ("update all", 't:update{set = {name = null}}', lambda t: t.update({"name": "null"})),
]
MERGES = [
    ("upsert", ":whenMatchedUpdateAll():whenNotMatchedInsertAll()", lambda m: m.when_matched_update_all().when_not_matched_insert_all()),
    ("texts", """:whenMatchedUpdate{condition = "s.n > 3", set = {["t.n"] = "t.n + s.n"}}:whenMatchedDelete()
        :whenNotMatchedInsert{values = {id = "s.id", n = "0"}}""",
     lambda m: m.when_matched_update({"n": "t.n + s.n"}, "s.n > 3").when_matched_delete().when_not_matched_insert({"id": "s.id", "n": "0"})),
    ("columns", """:whenMatchedUpdate(F.col("s.n"):gt(3), {n = F.col("t.n") + source.n}):whenNotMatchedInsertAll(F.col("s.n"):gt(100))
        :whenNotMatchedBySourceUpdate{condition = F.col("t.id"):eq(1), set = {name = F.lit("gone")}}:whenNotMatchedBySourceDelete("t.id > 3")""",
     lambda m: m.when_matched_update({"n": "t.n + s.n"}, "s.n > 3").when_not_matched_insert_all("s.n > 100")
     .when_not_matched_by_source_update({"name": "'gone'"}, "t.id = 1").when_not_matched_by_source_delete("t.id > 3")),
    ("deletes", ':whenMatchedDelete("t.id = 2"):whenMatchedUpdateAll("t.id = 3")', lambda m: m.when_matched_delete("t.id = 2").when_matched_update_all("t.id = 3")),
]


@pytest.mark.parametrize("name,ours,theirs", CHANGES, ids=[c[0] for c in CHANGES])
def test_changes_are_those_of_delta_rs(tmp_path, name, ours, theirs):
    a, b = both(tmp_path, ours, theirs)
    assert a == b and a != rows_of(TARGET)
    mine, its = (DeltaTable(str(tmp_path / w)).history()[0] for w in ("ours", "theirs"))
    assert mine["operation"] == its["operation"] and mine["version"] == its["version"] == 1


def rows_of(table):
    return sorted(table.to_pylist(), key=lambda r: r["id"])


@pytest.mark.parametrize("by_path", [False, True], ids=["name", "path"])
@pytest.mark.parametrize("name,ours,theirs", MERGES, ids=[m[0] for m in MERGES])
def test_merges_are_those_of_delta_rs(tmp_path, name, ours, theirs, by_path):
    target = f'DeltaTable.forPath(spark, "{tmp_path}/ours")' if by_path else "t"
    condition = "t.id = s.id" if by_path else None
    on = f'"{condition}"' if condition else 'F.col("t.id"):eq(F.col("s.id"))'
    a, b = both(tmp_path, f'{target}:as("t"):merge(source:alias("s"), {on}){ours}:execute()',
                lambda t: theirs(t.merge(SOURCE, "t.id = s.id", source_alias="s", target_alias="t")).execute())
    assert a == b and a != rows_of(TARGET)
    done = DeltaTable(str(tmp_path / "ours")).history()[0]
    assert done["operation"] == "MERGE" and done["operationParameters"]["predicate"] == ('["t.id = s.id"]' if by_path else "[]")


def test_a_merge_can_add_columns(tmp_path):
    def theirs(t):
        more = SOURCE.append_column("z", pa.array([1, 2, 3], pa.int64()))
        t.merge(more, "t.id = s.id", source_alias="s", target_alias="t", merge_schema=True).when_matched_update_all().when_not_matched_insert_all().execute()

    a, b = both(tmp_path, """source = source:withColumn("z", F.when(F.col("id"):eq(2), 1):when(F.col("id"):eq(3), 2):otherwise(3):cast("bigint"))
t:alias("t"):merge(source:alias("s"), "t.id = s.id"):withSchemaEvolution():whenMatchedUpdateAll():whenNotMatchedInsertAll():execute()""", theirs)
    assert a == b and [r["z"] for r in a] == [None, 1, 2, None, 3]


def test_history_and_detail_are_what_delta_rs_reads(tmp_path):
    out = script_json(tmp_path / "home", f"""
DeltaTable.create(spark):location("{tmp_path}/t"):addColumn("id", "BIGINT", {{nullable = false, comment = "it's"}}):addColumn{{"k", "STRING"}}
  :addColumns("x DOUBLE"):addColumns{{types.StructField("d", types.DateType())}}:partitionedBy("k"):property("delta.appendOnly", false):comment("all of it"):execute()
spark:sql("insert into delta.`{tmp_path}/t` values (1, 'a', 0.5, date'2026-01-01'), (2, 'b', 1.5, null)")
local t = DeltaTable.forPath(spark, "{tmp_path}/t")
t:update{{condition = "id = 2", set = {{x = "x + 1"}}}}
t:delete("id = 1")
local versions, last, detail = {{}}, {{}}, t:detail():collect()[1]
for i, r in ipairs(t:history():collect()) do versions[i] = {{r.version, r.operation}} end
for i, r in ipairs(t:history(1):collect()) do last[i] = r.version end
print(json.encode{{versions = versions, last = last, files = detail.numFiles, id = detail.id, partitions = detail.partitionColumns,
  comment = detail.description, here = DeltaTable.isDeltaTable(spark, "{tmp_path}/t"), none = DeltaTable.isDeltaTable(spark, "{tmp_path}")}})""")
    read = DeltaTable(str(tmp_path / "t"))
    assert out["versions"] == [[h["version"], h["operation"]] for h in read.history()] and len(out["versions"]) == 4
    assert out["last"] == [3] and out["files"] == len(read.file_uris()) and out["id"] == str(read.metadata().id)
    assert out["partitions"] == read.metadata().partition_columns == ["k"] and out["comment"] == read.metadata().description == "all of it"
    assert out["here"] is True and out["none"] is False
    fields = read.schema().fields
    assert [(f.name, f.type.type, f.nullable) for f in fields] == [("id", "long", False), ("k", "string", True), ("x", "double", True), ("d", "date", True)]
    assert fields[0].metadata["comment"] == "it's"
    assert [h["operationParameters"]["predicate"] for h in read.history()[:2]] == ['["id = 1"]', '["id = 2"]']
    assert [(r["id"], r["x"]) for r in rows(tmp_path / "t")] == [(2, 2.5)]


def test_tables_are_made_once_replaced_and_restored(tmp_path):
    out = script(tmp_path / "home", REFUSE + f"""
local function make(how) return DeltaTable[how](spark):tableName("e"):location("{tmp_path}/e"):addColumn("id", "BIGINT") end
refused(function() make("replace"):execute() end)
print(make("createIfNotExists"):execute())
spark:sql("insert into e values (1), (2)")
print(make("createIfNotExists"):execute():toDF():count())
refused(function() make("create"):execute() end)
make("replace"):addColumn("x", "INT"):execute()
spark:sql("insert into e values (7, 8)")
local e = DeltaTable.forName(spark, "e")
e:restoreToVersion(1)
""").splitlines()
    assert "DELTA_MISSING_DELTA_TABLE" in out[0] and out[1] == "DeltaTable e" and out[2] == "2" and "TABLE_OR_VIEW_ALREADY_EXISTS" in out[3]
    read = DeltaTable(str(tmp_path / "e"))
    assert rows(tmp_path / "e") == rows_of(DeltaTable(str(tmp_path / "e"), version=1).to_pyarrow_table()) == [{"id": 1}, {"id": 2}]
    assert read.version() == 4 and DeltaTable(str(tmp_path / "e"), version=3).to_pyarrow_table().to_pylist() == [{"id": 7, "x": 8}]


REFUSED = [
    ('DeltaTable.forName(spark, "missing")', "[DELTA_MISSING_DELTA_TABLE] `missing` is not a Delta table"),
    ('DeltaTable.forName(spark, "csv")', "[DELTA_MISSING_DELTA_TABLE] `csv` is not a Delta table"),
    ('DeltaTable.forName(spark, "v")', "[DELTA_MISSING_DELTA_TABLE] `v` is not a Delta table"),
    ('DeltaTable.forPath(spark, "/nowhere")', "[DELTA_MISSING_DELTA_TABLE] `/nowhere` is not a Delta table"),
    ('DeltaTable.forName("lake")', 'DeltaTable.forName(spark, "name")'),
    ('DeltaTable:forName(spark, "lake")', "a dot before its name"),
    ("t.toDF()", "toDF is a method: table:toDF(…)"),
    ('t.delete("id = 1")', "delete is a method: table:delete(…)"),
    ('t:merge(source, "lake.id = 1").execute()', "execute is a method: merge:execute(…)"),
    ('t:merge("source", "a = b")', "the source must be a DataFrame, got string"),
    ('t:merge(t, "a = b")', "other:toDF()"),
    ('t:merge(source, source.id == 1)', "got boolean"),
    ('t:merge(source, "lake.id = 1"):execute()', "DELTA_MERGE_MISSING_WHEN"),
    ('t:alias("t"):merge(source:alias("s"), "t.id = s.idd"):whenMatchedDelete():execute()', "`s`.`idd`"),
    ('t:alias("t"):merge(source:union(source):alias("s"), "t.id = s.id"):whenMatchedUpdateAll():execute()', "DELTA_MULTIPLE_SOURCE_ROW_MATCHING"),
    ('t:update{n = "1"}', "no argument is named 'n': expected condition, set"),
    ('t:update("id = 1")', "set must be a table of columns"),
    ('t:update{set = {m = "1"}}', "no column 'm'"),
    ('t:update{set = {["name.x"] = "1"}}', 'withField("x", value)'),
    ("t:vacuum(1)", "VACUUM is not supported"),
    ("t:optimize():executeCompaction()", "OPTIMIZE is not supported"),
    ("t:upgradeTableProtocol(3, 7)", "the protocol stays at (1, 2)"),
    ("t:restoreToVersion(99)", "version 99"),
    ('DeltaTable.convertToDelta(spark, "parquet.`/x`")', "CONVERT TO DELTA is not supported"),
]


def test_what_cannot_be_is_said(tmp_path):
    calls = "\n".join(f"refused(function() return {code} end)" for code, _ in REFUSED)
    out = script(tmp_path / "home", LUA_SOURCE + REFUSE + f"""
spark:sql("create table lake (id bigint, name string, n bigint)") spark:sql("insert into lake values (2, 'two', 2)")
source.write:csv("{tmp_path}/csv") spark:sql("create table csv (a string, b string, c string) using csv location '{tmp_path}/csv'") spark:sql("create view v as select 1 as a")
local t = DeltaTable.forName(spark, "lake")
{calls}
print(t:toDF():count(), t:history():count())""").splitlines()
    wrong = [(code, line) for (code, text), line in zip(REFUSED, out) if text not in line]
    assert not wrong and out[-1].split() == ["1", "2"]


def test_an_import_of_python_says_where_it_is(tmp_path):
    done = lacus(tmp_path, "-", text="from delta.tables import DeltaTable\n")
    assert done.returncode != 0 and "DeltaTable.forName(spark, name)" in done.stderr


# A server of Spark alone has no Delta: what is sent to it is seen by how far it gets (its parser takes it, the table's format does not).
THERE = [
    ('t:delete("id = 1")', "DELETE"),
    ('t:alias("t"):update("t.id = 1", {["t.name"] = "\'x\'", n = 2})', "UPDATE TABLE"),
    ("""t:alias("t"):merge(source:alias("s"), "t.id = s.id and s.name <> '{'"):whenMatchedUpdate{condition = "s.n > 1", set = {n = "s.n", name = null}}
       :whenMatchedDelete("s.n = 0"):whenMatchedUpdateAll():whenNotMatchedInsert{condition = "s.n > 5", values = {id = "s.id", n = 1}}:whenNotMatchedInsertAll()
       :whenNotMatchedBySourceUpdate{set = {n = "0"}, condition = "t.n > 3"}:whenNotMatchedBySourceDelete():execute()""", "MERGE INTO TABLE"),
    ('t:merge(source, F.col("id"):eq(1)):whenMatchedDelete():execute()', "write it as SQL text"),
    ('DeltaTable.forName(spark, "plain")', "this Spark server has no Delta tables"),
    ('DeltaTable.create(spark):tableName("d"):addColumn("id", "BIGINT", {nullable = false, comment = "it\'s"}):partitionedBy("id"):property("a", "b"):execute()', "delta"),
]


def test_a_spark_server_gets_sql(tmp_path, spark_server):
    calls = "\n".join(f"refused(function() return {code} end)" for code, _ in THERE)
    out = script(tmp_path / "home", REFUSE + f"""
spark:sql("create table plain (id bigint, name string, n bigint)")
local t = DeltaTable.forName(spark, "plain")
SparkSession.builder:remote("{spark_server.url}"):getOrCreate()
spark:sql("create table plain (id bigint, name string, n bigint) using parquet")
{LUA_SOURCE}{calls}
print(#spark.catalog:listTables())
spark:sql("drop table plain")""").splitlines()
    wrong = [(code, line) for (code, text), line in zip(THERE, out) if text not in line or "PARSE_SYNTAX" in line]
    assert not wrong and out[-1] == "1"

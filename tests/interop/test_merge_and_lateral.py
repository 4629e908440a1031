"""df:mergeInto against delta-rs' own merge, df:lateralJoin and observe against what DuckDB and Spark give."""
import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lacus import lacus, script, script_json

TARGET = pa.table({"id": pa.array([1, 2, 3, 4], pa.int32()), "name": ["a", "b", "c", None], "n": pa.array([10, 20, 30, 40], pa.int64())})
SOURCE = pa.table({"id": pa.array([2, 3, 9], pa.int32()), "name": ["B", None, "z"], "n": pa.array([5, 1, 7], pa.int64())})
LUA_SOURCE = 'local s = spark:createDataFrame({{2, "B", 5}, {3, null, 1}, {9, "z", 7}}, "id int, name string, n bigint"):alias("s")\n'

MERGES = [
    ("upsert", ':whenMatched():updateAll():whenNotMatched():insertAll()',
     lambda m: m.when_matched_update_all().when_not_matched_insert_all()),
    ("conditions", ':whenMatched("s.n > 3"):update{n = F.col("t.n") + s.n}:whenMatched():delete():whenNotMatched(s.n:gt(100)):insertAll()',
     lambda m: m.when_matched_update({"n": "t.n + s.n"}, "s.n > 3").when_matched_delete().when_not_matched_insert_all("s.n > 100")),
    ("parts", ':whenNotMatched():insert{id = "s.id", n = F.lit(0)}:whenNotMatchedBySource("t.id = 1"):update{name = F.lit("gone")}'
              ':whenNotMatchedBySource():delete()',
     lambda m: m.when_not_matched_insert({"id": "s.id", "n": "0"}).when_not_matched_by_source_update({"name": "'gone'"}, "t.id = 1")
     .when_not_matched_by_source_delete()),
]


@pytest.mark.parametrize("name,ours,theirs", MERGES, ids=[m[0] for m in MERGES])
def test_merge_into_is_delta_rs_merge(tmp_path, name, ours, theirs):
    for which in ("ours", "theirs"):
        write_deltalake(str(tmp_path / which), TARGET)
    theirs(DeltaTable(str(tmp_path / "theirs")).merge(SOURCE, "t.id = s.id", source_alias="s", target_alias="t")).execute()
    script(tmp_path / "home", LUA_SOURCE + f"""
spark:sql("create table t using delta location '{tmp_path}/ours'")
s:mergeInto("t", F.col("t.id"):eq(s.id)){ours}:merge()
""")
    read = {w: DeltaTable(str(tmp_path / w)).to_pyarrow_table().sort_by("id") for w in ("ours", "theirs")}
    assert read["ours"].select(["id", "name", "n"]).to_pylist() == read["theirs"].select(["id", "name", "n"]).to_pylist()
    assert DeltaTable(str(tmp_path / "ours")).history()[0]["operation"] == "MERGE"


def test_merge_into_says_what_is_missing(tmp_path):
    out = script(tmp_path, LUA_SOURCE + """
spark:sql("create table t (id int, n bigint)")
local function fails(f) print((select(2, pcall(f)))) end
fails(function() s:mergeInto("t", "t.id = s.id"):merge() end)
fails(function() s:mergeInto("tt", "t.id = s.id"):whenMatched():delete():merge() end)
fails(function() s:mergeInto("t", "t.id = s.id"):whenMatched():update{m = F.lit(1)}:merge() end)
fails(function() s:mergeInto("t", "t.id = s.idd"):whenMatched():delete():merge() end)
fails(function() s:mergeInto("t", "t.id = s.id"):whenMatched():update{} end)
""").splitlines()
    for line, text in zip(out, ["NO_MERGE_ACTION_SPECIFIED", "TABLE_OR_VIEW_NOT_FOUND", "no column 'm'", "`s`.`idd`", "a table of columns expected"]):
        assert text in line


LATERAL = """
local c = spark:createDataFrame({{1, "Al"}, {2, "Bo"}, {3, "Cy"}}, "id int, name string")
local o = spark:createDataFrame({{1, 10}, {1, 20}, {2, 5}}, "id int, amt int")
local of_it = o:filter(F.col("id"):eq(F.col("id"):outer()))
"""
TABLES = "with c(id, name) as (values (1,'Al'),(2,'Bo'),(3,'Cy')), o(id, amt) as (values (1,10),(1,20),(2,5)) "


def test_outer_columns_are_those_of_the_query_around(tmp_path):
    """The inner query has a column of the same name: it must not be taken for the outer one."""
    out = script_json(tmp_path, LATERAL + """
local function rows(df) local t = {}; for i, r in ipairs(df:collect()) do t[i] = {} ; for k = 1, #df.columns do t[i][k] = r[k] or json.null end end return t end
print(json.encode{
  inner = rows(c:lateralJoin(of_it:select("amt")):orderBy("name", "amt")),
  left = rows(c:lateralJoin(of_it:orderBy(F.desc("amt")):limit(1):select("amt"), nil, "left"):orderBy("name")),
  exists = rows(c:filter(of_it:exists()):orderBy("id")),
  scalar = rows(c:select("id", of_it:agg(F.sum("amt")):scalar():alias("s")):orderBy("id"))})
""")
    ask = lambda q: [list(r) for r in duckdb.sql(TABLES + q).fetchall()]  # noqa: E731
    assert out["inner"] == ask("select c.*, amt from c, lateral (select amt from o where o.id = c.id) order by name, amt")
    assert out["left"] == ask("select c.*, x.amt from c left join lateral (select amt from o where o.id = c.id order by amt desc limit 1) x on true order by name")
    assert out["exists"] == ask("select * from c where exists (select 1 from o where o.id = c.id) order by id")
    assert out["scalar"] == ask("select c.id, (select sum(amt) from o where o.id = c.id) from c order by 1")


def test_a_query_that_waits_for_another_says_so(tmp_path):
    done = lacus(tmp_path, "-", text=LATERAL + "of_it:show()")
    assert done.returncode != 0 and "a column of a query around" in done.stderr and "lateralJoin" in done.stderr


def test_lateral_join_on_a_server_gives_the_same_rows(tmp_path, spark_server):
    code = LATERAL.replace('"id int, amt int"', '"cid int, amt int"').replace('F.col("id"):eq(', 'F.col("cid"):eq(') + """
c:lateralJoin(of_it:orderBy(F.desc("amt")):limit(1), nil, "left"):orderBy("id"):show()
"""
    assert script(tmp_path, code) == script(tmp_path, code, SPARK_REMOTE=spark_server.url)


def test_observations_are_the_aggregates_of_the_rows(tmp_path):
    out = script_json(tmp_path, """
local o = Observation("quality")
local df = spark:range(100):observe(o, F.count(F.lit(1)):alias("rows"), F.max("id"))
df:filter("id < 3"):collect()
local twice = pcall(function() df:observe(o, F.count("id")) end)
print(json.encode{rows = o.get.rows, max = o.get["max(id)"], columns = df.columns, twice = twice})
""")
    assert out == {"rows": 100, "max": 99, "columns": ["id"], "twice": False}

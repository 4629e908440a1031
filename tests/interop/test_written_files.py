"""CSV and JSON files as Spark writes them, byte for byte; and which files and columns the reader's options choose, as Spark chooses them."""
import glob
import json

import pytest

from lacus import script

COLUMNS = ["TIMESTAMP'2024-02-03 04:05:06.5' t", "TIMESTAMP_NTZ'2024-02-03 04:05:06' n", "DATE'2024-02-03' e", "true f", "1.50BD x", "1e10D y", "cast(0.1 as float) z", "' pad ' p",
           "'say \"hi\"' q", "'a\nb' r", "'x,y;z' s", "'back\\\\slash' u", "'#c' v", "'' w"]
NESTED = ["struct(1 a, cast(null as int) b, array(1.5D, null) c) o", "map('k', DATE'2024-02-03') m"]
OPTIONS = [{}, {"quoteAll": "true"}, {"dateFormat": "dd/MM/yyyy", "timestampFormat": "yyyy/MM/dd HH:mm", "timestampNTZFormat": "yyyy HH"}, {"emptyValue": "E", "nullValue": "N"},
           {"escape": '"', "header": "true"}, {"ignoreLeadingWhiteSpace": "false", "ignoreTrailingWhiteSpace": "false", "escapeQuotes": "false"}, {"sep": ";", "header": "true"},
           {"sep": "\\t", "quote": "'"}, {"ignoreNullFields": "false"}, {"lineSep": "|"}, {"nullValue": "N", "quoteAll": "true", "header": "true"}]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


def text_of(folder, format):
    files = glob.glob(f"{folder}/*.{format}")
    assert len(files) == 1, files
    with open(files[0], "rb") as f:
        return f.read()


def test_files_are_the_same_to_the_byte(home, peer, tmp_path):
    cases = [(f, o) for f in ("csv", "json") for o in OPTIONS]
    (tmp_path / "cases.json").write_text(json.dumps({"cases": cases, "columns": COLUMNS, "nested": NESTED}))
    script(home, f"""
local what = json.decode(io.open("{tmp_path}/cases.json"):read("a"))
for i, c in ipairs(what.cases) do
  local columns = {{"*", table.unpack(what.columns)}}
  if c[1] == "json" and not c[2].dateFormat and not c[2].ignoreNullFields then table.move(what.nested, 1, #what.nested, #columns + 1, columns) end
  local df = spark:createDataFrame({{{{1, "a", null}}, {{2, "b q", ""}}}}, "id int, k string, d string"):selectExpr(table.unpack(columns)):coalesce(1)
  df.write:options(c[2]):format(c[1]):save("{tmp_path}/ours" .. i)
end
""")
    for i, (format, options) in enumerate(cases, 1):
        df = peer.createDataFrame([(1, "a", None), (2, "b q", "")], "id int, k string, d string").selectExpr("*", *COLUMNS, *(NESTED if format == "json" and not {"dateFormat", "ignoreNullFields"} & set(options) else []))
        df.coalesce(1).write.options(**options).format(format).save(f"{tmp_path}/theirs{i}")
        assert text_of(f"{tmp_path}/ours{i}", format) == text_of(f"{tmp_path}/theirs{i}", format), (format, options)


def test_what_is_written_is_read_back(home, peer, tmp_path):
    out = script(home, f"""
local df = spark:createDataFrame({{{{1, "a", "x,1"}}, {{2, "b", null}}, {{3, "a", "ü\\nz"}}}}, "id int, k string, s string")
df.write:partitionBy("k"):option("header", true):csv("{tmp_path}/c"); df.write:partitionBy("k"):option("compression", "gzip"):json("{tmp_path}/j")
for _, d in ipairs{{spark.read:option("header", true):option("multiLine", true):csv("{tmp_path}/c"), spark.read:json("{tmp_path}/j")}} do
  for _, r in ipairs(d:selectExpr("int(id) id", "s", "k"):orderBy("id"):collect()) do print(r.id, r.s == null and "NULL" or #r.s, r.k) end
end
local ok, e = pcall(function() df.write:option("encoding", "UTF-16"):csv("{tmp_path}/u") end); print(ok, e.message)
""")
    assert out.splitlines()[:6] == ["1\t3\ta", "2\tNULL\tb", "3\t4\ta"] * 2
    assert "UTF-16" in out.splitlines()[6] and out.splitlines()[6].startswith("false")
    rows = peer.read.option("header", True).option("multiLine", True).csv(f"{tmp_path}/c").selectExpr("int(id)", "s", "k").orderBy("id").collect()
    assert [tuple(r) for r in rows] == [(1, "x,1", "a"), (2, None, "b"), (3, "ü\nz", "a")]
    assert peer.read.json(f"{tmp_path}/j").count() == 3


def test_which_files_and_columns_are_read(home, peer, tmp_path):
    for name, text in (("g/a.csv", "1\n"), ("g/b.txt", "2\n"), ("g/sub/c.csv", "3\n"), ("p/k=a/1.csv", "1\n"), ("p/k=b/deep/2.csv", "2\n")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    cases = [("g", {}), ("g", {"pathGlobFilter": "*.csv"}), ("g", {"recursiveFileLookup": "true"}), ("g", {"recursiveFileLookup": "true", "pathGlobFilter": "*.{txt,tsv}"}),
             ("p", {}), ("p", {"recursiveFileLookup": "true"}), ("p/k=a", {}), ("p/k=a", {"basePath": f"{tmp_path}/p"}), ("g", {"modifiedBefore": "2099-01-01T00:00:00"}),
             ("g/*.csv", {}), ("g/{a.csv,b.txt}", {})]
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    out = script(home, f"""
for _, c in ipairs(json.decode(io.open("{tmp_path}/cases.json"):read("a"))) do
  local df = spark.read:options(c[2]):csv("{tmp_path}/" .. c[1]); print(df:count(), table.concat(df.columns, ","))
end
""")
    theirs = []
    for path, options in cases:
        df = peer.read.options(**options).csv(f"{tmp_path}/{path}")
        theirs.append(f"{df.count()}\t{','.join(df.columns)}")
    assert out.splitlines() == theirs


FOLDERS = """
local where, odd = ..., {{1, "it's"}, {2, "a b"}, {3, "x/y"}, {4, "é:%"}, {5, null}, {6, ""}, {7, "p=q"}, {8, "1+1"}, {9, "[^{"}}
local df = spark:createDataFrame(odd, "n INT, `k:1` STRING")
for _, format in ipairs{"parquet", "csv", "json"} do df.write:partitionBy("k:1"):format(format):save(where .. "/" .. format) end
local function put(rows, mode)
  spark:createDataFrame(rows, "n INT, a STRING, b INT").write:mode("overwrite"):option("partitionOverwriteMode", mode):partitionBy("a", "b"):parquet(where .. "/twice")
  local seen = {}
  for _, r in ipairs(spark.read:parquet(where .. "/twice"):select("n", "a", "b"):orderBy("n"):collect()) do seen[#seen + 1] = r[1] .. r[2] .. r[3] end
  print(table.concat(seen, " "))
end
put({{1, "a", 1}, {2, "b", 1}, {3, "a", 2}}, "static")
put({{4, "a", 1}, {5, "c", 1}}, "static") -- also in the folders that get new rows the old ones go
put({{6, "a", 1}, {7, "a", 3}}, "dynamic")
put({{8, "a", 1}}, "static")
"""
READ = """
local where = ...
for _, format in ipairs{"parquet", "csv", "json"} do
  local df = spark.read:format(format):schema("n INT, `k:1` STRING"):load(where .. "/" .. format):orderBy("n")
  print(table.concat(df.columns, ","))
  for _, r in ipairs(df:collect()) do print(r[1], r[2]) end
end
for _, r in ipairs(spark.read:parquet(where .. "/parquet"):filter("`k:1` = 'x/y'"):collect()) do print(r[1], r[2]) end
"""


def test_partition_folders_are_those_of_spark(home, spark_server, tmp_path):
    """Names of folders, what is read from them by the other side, and what an overwrite leaves."""
    said = {}
    for side, env in (("ours", {}), ("theirs", {"SPARK_REMOTE": spark_server.url})):
        said[side] = script(home, f"(function(...) {FOLDERS} end)({json.dumps(str(tmp_path / side))})", **env)
    assert said["ours"] == said["theirs"] and "5c1 6a1 7a3" in said["ours"]
    for format in ("parquet", "csv", "json"):
        names = [sorted(p.name for p in (tmp_path / side / format).iterdir() if "=" in p.name) for side in ("ours", "theirs")]
        assert names[0] == names[1] and "k%3A1=it%27s" in names[0] and len(names[0]) == 8
    read = [script(home, f"(function(...) {READ} end)({json.dumps(str(tmp_path / side))})", **env) for side in ("ours", "theirs") for env in ({}, {"SPARK_REMOTE": spark_server.url})]
    assert read[0].count("x/y") == 4 and len(set(read)) == 1, read


def test_columns_in_backticks_of_na(home, spark_server):
    code = """
local df = spark:createDataFrame({{1, null}, {null, 2}}, "`a.b` INT, c INT")
for _, x in ipairs{df.na:fill(0, {"`a.b`"}), df:fillna{["`a.b`"] = 7, c = 8}, df.na:drop("any", nil, {"`a.b`"}), df:dropna{subset = {"c"}}} do x:orderBy("c"):show() end
"""
    here = script(home, code)
    assert "|  7|" in here and here == script(home, code, SPARK_REMOTE=spark_server.url)

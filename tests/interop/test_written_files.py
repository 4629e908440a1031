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
           {"sep": "\\t", "quote": "'"}, {"ignoreNullFields": "false"}, {"nullValue": "N", "quoteAll": "true", "header": "true"}]


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

"""Files that are empty, torn, damaged or gone, and names and values that try to be SQL: one clear error each, or what Spark gives."""
import glob
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacus import lacus, script, script_json


def error_of(home, code):
    done = lacus(home, "-", text=code)
    assert done.returncode == 1, done.stdout
    return done.stderr


@pytest.mark.parametrize("options", ["", ", header = true", ", header = true, inferSchema = true"])
def test_an_empty_csv_file_is_a_frame_of_no_columns(tmp_path, options):
    """As spark.read.csv gives it: DataFrame[], no rows."""
    (tmp_path / "empty.csv").write_text("")
    out = script_json(tmp_path / "home", f"""
local df = spark.read:csv{{"{tmp_path}/empty.csv"{options}}}
print(json.encode{{columns = #df.columns, rows = df:count(), more = df:withColumn("x", F.lit(1)):count(), union = df:union(df):count(), n = #df:collect()}})
""")
    assert out == {"columns": 0, "rows": 0, "more": 0, "union": 0, "n": 0}


def test_a_damaged_page_names_its_file(tmp_path):
    path = tmp_path / "data" / "a.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"s": [f"some text and a number {i * 7919}" for i in range(50000)]}), path, compression="snappy", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[3000:9000] = b"\xff" * 6000
    path.write_bytes(data)
    with pytest.raises(Exception):  # pyarrow refuses it, too
        pq.read_table(path)
    text = error_of(tmp_path / "home", f'spark.read:parquet("{path.parent}"):agg(F.max("s")):show()')
    assert "[FAILED_READ_FILE" in text and "a.parquet" in text and "damaged" in text


def test_a_tables_file_that_vanished_is_told(tmp_path):
    home = tmp_path / "home"
    script(home, 'spark:range(10).write:saveAsTable("t")')
    for name in glob.glob(f"{home}/tables/**/*.parquet", recursive=True):
        os.unlink(name)
    text = error_of(home, 'spark:table("t"):collect()')
    assert "[FAILED_READ_FILE.FILE_NOT_EXIST]" in text and "part-" in text and "versionAsOf" in text


def test_parameters_and_names_are_never_sql(tmp_path):
    evil = "1' OR '1'='1"
    out = script_json(tmp_path, f"""
spark:sql("create table victim (id int)")
local n = spark:sql("select * from range(3) where cast(id as string) = :x", {{x = "{evil}"}}):count()
local row = spark:sql("select :x as v, :y as w", {{x = "'; drop table victim; --", y = "\\\\' or 1=1 --"}}):first()
local bad = pcall(function() return spark:sql("select * from identifier(:t)", {{t = "victim; drop table victim"}}):count() end)
local name = [[a"b'c`d; drop table victim --]]
local odd = spark:range(2):withColumnRenamed("id", name):filter(F.col("`" .. name:gsub("`", "``") .. "`"):eq(1))
print(json.encode{{n = n, v = row.v, w = row.w, bad = bad, odd = odd.columns[1], rows = odd:count(), there = spark.catalog:tableExists("victim")}})
""")
    assert out == {"n": 0, "v": "'; drop table victim; --", "w": "\\' or 1=1 --", "bad": False, "odd": "a\"b'c`d; drop table victim --", "rows": 1,
                   "there": True}


def test_a_table_of_ten_thousand_columns(tmp_path):
    out = script(tmp_path, """
local c = {}
for i = 1, 10000 do c[i] = F.lit(i):alias("c" .. i) end
spark:range(3):select(c).write:saveAsTable("wide")
local t = spark:table("wide")
print(#t.columns, t:select("c9999"):first()[1], t:filter("c1 = 1"):count())
""")
    assert out.split() == ["10000", "9999", "3"]


@pytest.mark.parametrize("text,what,column", [
    ("CREATE TABLE t (a INT CHECK (a > 0))", "CHECK", 23),
    ("CREATE TABLE t (a INT, CONSTRAINT p CHECK (a > 0))", "constraint", 24),
    ("CREATE TABLE t (a INT PRIMARY KEY)", "PRIMARY KEY", 23),
    ("CREATE TABLE t (a INT DEFAULT 3)", "DEFAULT", 23),
    ("CREATE TABLE t (id BIGINT GENERATED ALWAYS AS IDENTITY)", "GENERATED", 27),
    ("OPTIMIZE t ZORDER BY (a)", "OPTIMIZE", 1),
    ("VACUUM t RETAIN 168 HOURS", "VACUUM", 1),
    ("GRANT SELECT ON TABLE t TO bob", "GRANT", 1),
    ("REVOKE SELECT ON TABLE t FROM bob", "REVOKE", 1),
])
def test_statements_that_are_not_there_say_so_by_name(tmp_path, text, what, column):
    told = error_of(tmp_path, f'spark:sql("{text}")')
    assert "[UNSUPPORTED_FEATURE" in told and what in told and f"(line 1, column {column})" in told


def test_a_column_without_a_name(tmp_path):
    """It can be had, as in Spark; a file cannot have it."""
    out = script_json(tmp_path, f"""
local df = spark:range(4):withColumn("", F.col("id") * 2)
local ok, e = pcall(function() df.write:parquet("{tmp_path}/out") end)
print(json.encode{{columns = df.columns, value = df:collect()[4][2], renamed = df:withColumnRenamed("", "x"):agg(F.sum("x")):first()[1], told = tostring(e)}})
""")
    assert out["columns"] == ["id", ""] and out["value"] == 6 and out["renamed"] == 12 and "column 2 has no name" in out["told"]


def test_a_rotten_delta_table_says_what_can_still_be_done(tmp_path):
    """Each reason ends with a way on, and the way works."""
    home, place = tmp_path / "home", tmp_path / "t"
    script(home, f'for i = 1, 3 do spark:range(10).write:format("delta"):mode("append"):save("{place}") end spark:sql("CREATE TABLE t USING delta LOCATION \'{place}\'")')
    read = f'print(spark.read:format("delta"):load("{place}"):agg(F.sum("id")):first()[1])'
    log, part = place / "_delta_log" / "00000000000000000001.json", sorted(place.glob("*.parquet"))[0]
    for path, cut, says in [(log, 150, "'versionAsOf', 0"), (log, 0, "'versionAsOf', 0"), (part, 100, "'versionAsOf', n")]:
        whole = path.read_bytes()
        path.write_bytes(whole[:cut])
        text = error_of(home, read)
        assert path.name in text and says in text.replace('"', "'") and "from a copy" in text
        if path == log:
            assert script(home, read.replace("spark.read", 'spark.read:option("versionAsOf", 0)')).strip() == "45"
        path.write_bytes(whole)
    assert script(home, read).strip() == "135"
    place.rename(tmp_path / "away")
    text = error_of(home, 'spark:table("t"):count()')
    assert "are gone" in text and "DROP TABLE spark_catalog.default.t" in text
    script(home, 'spark:sql("DROP TABLE spark_catalog.default.t")')

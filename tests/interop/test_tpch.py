"""The 22 queries of TPC-H on small tables: the rows of DuckDB's own Python client, and names, types and rows of a Spark server."""
import datetime
import decimal
import json
import math
import sys

import differential
import duckdb
import pytest
from lacus import ROOT, lacus

sys.path.insert(0, str(ROOT / "tests" / "bench"))
import tpch  # noqa: E402


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tpch")
    con = duckdb.connect(config={"threads": 1})
    tpch.generate(con, folder, 0.01)
    return folder, con


def case(folder, number):
    views = " ".join(f"spark.read:parquet([[{folder}/{name}.parquet]]):createOrReplaceTempView('{name}')" for name in tpch.TABLES)
    return f"(function() {views} return spark:sql([[{tpch.QUERIES[number]}]]) end)()"


def plain(value):
    """DuckDB adds up integers to HUGEINT and divides decimals to doubles, Spark has LONG and decimals: numbers are compared as numbers."""
    return value.isoformat() if isinstance(value, (datetime.date, datetime.datetime)) else float(value) if isinstance(value, (int, float, decimal.Decimal)) else value


def alike(a, b):
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6) if isinstance(a, float) and isinstance(b, float) else a == b


def test_rows_are_those_of_duckdb(tables, tmp_path):
    folder, con = tables
    for number, sql in tpch.QUERIES.items():
        out = tmp_path / f"q{number}"
        code = f"{case(folder, number)}:coalesce(1).write:parquet([[{out}]])"
        done = lacus(tmp_path, "-", text=code)
        assert done.returncode == 0, done.stderr
        columns = len(con.execute(sql).description)
        order = ", ".join(str(i + 1) for i in range(columns))
        ours = con.execute(f"SELECT * FROM read_parquet('{out}/*.parquet') ORDER BY {order}").fetchall()
        theirs = con.execute(f"SELECT * FROM ({sql}) ORDER BY {order}").fetchall()
        assert len(ours) == len(theirs) > 0, f"query {number}"
        for a, b in zip(ours, theirs):
            assert all(alike(plain(x), plain(y)) for x, y in zip(a, b)), f"query {number}: {a} is not {b}"


def test_names_types_and_rows_are_those_of_spark(tables, tmp_path, spark_server):
    cases = [(f"{n:02d}", case(tables[0], n)) for n in tpch.QUERIES]
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    here = differential.run(tmp_path / "here", cases, 120)
    there = differential.run(tmp_path / "there", cases, 300, SPARK_REMOTE=spark_server.url)
    wrong = {name: found for name, _ in cases if (found := differential.difference(here[name], there[name], ordered=False))}
    assert not wrong, json.dumps(wrong, indent=1)

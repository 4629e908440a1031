"""db-benchmark's joins on 10^7 rows against DuckDB's own Python client of the same version: by a small, a medium and a large table, inner and left.
LACUS_BENCH_ROWS for fewer rows."""
import os
import pathlib
import tempfile

import duckdb

from groupby_bench import in_turn
from table import Table

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS = int(os.environ.get("LACUS_BENCH_ROWS", "10_000_000"))


def main():
    with tempfile.TemporaryDirectory() as folder:
        con = duckdb.connect(config={"threads": os.cpu_count()})
        write = lambda name, query: con.execute(f"COPY ({query}) TO '{folder}/{name}.parquet' (FORMAT parquet)")
        small, medium = max(ROWS // 1_000_000, 1), max(ROWS // 1000, 1)
        write("x", f"SELECT (hash(range) % {2 * small})::INTEGER id1, (hash(range + 1) % {2 * medium})::INTEGER id2, (hash(range + 2) % {2 * ROWS})::INTEGER id3, 'id' || (hash(range) % {2 * small}) id4,"
                   f" (range % 1000) / 7.0 v1 FROM range({ROWS})")
        for name, n, key in (("small", small, "id1"), ("medium", medium, "id2"), ("big", ROWS, "id3")):
            write(name, f"SELECT range::INTEGER {key}, 'id' || range id5, (range * 31 % 1000) / 3.0 v2 FROM range({n})")
        table = Table("join")
        for name, key, how in (("small", "id1", "inner"), ("medium", "id2", "inner"), ("medium", "id2", "left"), ("big", "id3", "inner")):
            sql = f"SELECT count(*), sum(v1), sum(v2) FROM read_parquet('{folder}/x.parquet') x {how} JOIN read_parquet('{folder}/{name}.parquet') y USING ({key})"
            code = f"""
local x, y = spark.read:parquet("{folder}/x.parquet"), spark.read:parquet("{folder}/{name}.parquet")
local sums = x:join(y, "{key}", "{how}"):agg(F.count("*"), F.sum("v1"), F.sum("v2"))
while io.read() do sums:first() io.write("done\\n") io.flush() end"""
            a, b = in_turn(code, lambda: con.execute(sql).fetchall())
            table.row(f"{how} join with the {name} table, {ROWS:.0e} rows", a, b, "s", "duckdb python", "<= 1.05")
        table.save(ROOT / "build/bench/join.json")


if __name__ == "__main__":
    main()

"""Functions of Lua on the 10^7 rows of a Parquet file, beside a Python function in DuckDB's own client and beside the engine's expression."""
import os
import pathlib
import tempfile

import duckdb

from groupby_bench import in_turn
from table import Table

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS = 10_000_000


def main():
    with tempfile.TemporaryDirectory() as folder:
        measure(f"{folder}/rows.parquet")


def measure(path):
    con = duckdb.connect(config={"threads": os.cpu_count()})
    con.execute(f"COPY (SELECT range AS id FROM range({ROWS})) TO '{path}' (FORMAT parquet)")
    con.create_function("f", lambda a: a % 97 if a > 5 else a, ["BIGINT"], "BIGINT")
    table = Table("udf")
    code = f"""
local f = F.udf(function(a) if a > 5 then return a % 97 end return a end, "bigint")
local sums = spark.read:parquet("{path}"):agg(F.sum(f("id")))
while io.read() do sums:first() io.write("done\\n") io.flush() end"""
    a, b = in_turn(code, lambda: con.execute(f"SELECT sum(f(id)) FROM read_parquet('{path}')").fetchall())
    table.row("a function with a branch, 10^7 rows", a, b, "s", "duckdb python function", "<= 0.25")
    code = code.replace("if a > 5 then return a % 97 end return a", "return 2 * a + 1")
    a, b = in_turn(code, lambda: con.execute(f"SELECT sum(2 * id + 1) FROM read_parquet('{path}')").fetchall())
    table.row("plain arithmetic, 10^7 rows", a, b, "s", "duckdb expression", "<= 1.05")
    table.save(ROOT / "build/bench/udf.json")


if __name__ == "__main__":
    main()

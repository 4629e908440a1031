"""Functions of Lua on 10^7 rows, beside a Python function in DuckDB's own client and beside the engine's expression."""
import os
import pathlib

import duckdb

from groupby_bench import in_turn
from table import Table

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS = 10_000_000


def main():
    con = duckdb.connect(config={"threads": os.cpu_count()})
    con.create_function("f", lambda a: a % 97 if a > 5 else a, ["BIGINT"], "BIGINT")
    table = Table("udf")
    code = f"""
local f = F.udf(function(a) if a > 5 then return a % 97 end return a end, "bigint")
local sums = spark:range({ROWS}):agg(F.sum(f("id")))
while io.read() do sums:first() io.write("done\\n") io.flush() end"""
    a, b = in_turn(code, lambda: con.execute(f"SELECT sum(f(range)) FROM range({ROWS})").fetchall())
    table.row("a function with a branch, 10^7 rows", a, b, "s", "duckdb python function", "<= 0.25")
    code = code.replace("if a > 5 then return a % 97 end return a", "return 2 * a + 1")
    a, b = in_turn(code, lambda: con.execute(f"SELECT sum(2 * range + 1) FROM range({ROWS})").fetchall())
    table.row("plain arithmetic, 10^7 rows", a, b, "s", "duckdb expression", "<= 1.05")
    table.save(ROOT / "build/bench/udf.json")


if __name__ == "__main__":
    main()

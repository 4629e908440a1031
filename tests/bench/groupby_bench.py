"""Group-bys on 10^7 rows against DuckDB's own Python client of the same version: same file, same threads, in turn, inside one process each. Then beside a
local Spark on the same file: ours may take an eighth of its time."""
import os
import pathlib
import subprocess
import tempfile
import time

import duckdb

from local_spark import local_spark, times
from table import Table

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS = int(os.environ.get("LACUS_BENCH_ROWS", "10_000_000"))


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "g.parquet"
        con = duckdb.connect(config={"threads": os.cpu_count()})
        con.execute(f"COPY (SELECT 'id' || (range % 100)::VARCHAR AS id1, 'id' || (range * 7919 % 100000)::VARCHAR AS id3, (range % 5)::INTEGER AS v1,"
                    f" (range * 31 % 1000) / 7.0 AS v3 FROM range({ROWS})) TO '{path}' (FORMAT parquet)")
        table, queries = Table("groupby"), []
        for name, keys in (("100 groups", ["id1"]), ("10^5 groups", ["id3"])):
            sql = f"SELECT sum(v1), sum(v3) FROM (SELECT {keys[0]}, sum(v1) v1, avg(v3) v3 FROM read_parquet('{path}') GROUP BY {keys[0]})"
            code = f"""
local df = spark.read:parquet("{path}"):groupBy("{keys[0]}"):agg(F.sum("v1"):alias("v1"), F.avg("v3"):alias("v3"))
local sums = df:agg(F.sum("v1"), F.sum("v3"))
while io.read() do
  sums:first()
  io.write("done\\n") io.flush()
end"""
            a, b = in_turn(code, lambda: con.execute(sql).fetchall())
            table.row(f"group by, 10^7 rows, {name}", a, b, "s", "duckdb python", "<= 1.05")
            queries.append((name, sql.replace(f"read_parquet('{path}')", f"parquet.`{path}`"), a))
        with local_spark() as spark:
            for name, sql, a in queries if spark else ():
                table.row(f"group by, 10^7 rows, {name}", a, times(spark, sql), "s", "local Spark", "<= 0.125")
        table.save(ROOT / "build/bench/groupby.json")


def in_turn(code, theirs, rounds=5):
    home = tempfile.mkdtemp()
    with tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False) as f:
        f.write(code)
    run = subprocess.Popen([ROOT / "build/lacus", f.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ, LACUS_HOME=home))
    a, b = [], []
    for i in range(rounds + 1):
        start = time.perf_counter()
        run.stdin.write("go\n"), run.stdin.flush()
        assert run.stdout.readline() == "done\n"
        mine = time.perf_counter() - start
        start = time.perf_counter()
        theirs()
        if i:  # the first round warms up
            a.append(mine), b.append(time.perf_counter() - start)
    run.stdin.close(), run.wait()
    os.unlink(f.name)
    return a, b


if __name__ == "__main__":
    main()

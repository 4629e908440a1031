"""The first rows of a folder of many Parquet files: reading it and show must look at what they need, not at 10 GB. The files are links to one, so that the
folder has that size for readers and not on the disk. Beside it: DuckDB's own client, LIMIT 20."""
import os
import pathlib
import tempfile

import duckdb

from groupby_bench import in_turn
from table import Table

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = int(os.environ.get("LACUS_BENCH_FILES", "2000"))


def main():
    with tempfile.TemporaryDirectory() as folder:
        con = duckdb.connect(config={"threads": os.cpu_count()})
        first = f"{folder}/part-00000.parquet"
        con.execute(f"COPY (SELECT range id, 'text ' || hash(range) s, hash(range)::DOUBLE d, md5(range::VARCHAR) m FROM range(100000)) TO '{first}' (FORMAT parquet)")
        for i in range(1, FILES):
            os.link(first, f"{folder}/part-{i:05}.parquet")
        gigabytes = FILES * os.path.getsize(first) / 1e9
        table = Table("show")
        code = f"""
local df = spark.read:parquet("{folder}")
while io.read() do local lines = df:limit(20):collect() assert(#lines == 20) io.write("done\\n") io.flush() end"""
        a, b = in_turn(code, lambda: con.execute(f"SELECT * FROM read_parquet('{folder}/*.parquet') LIMIT 20").fetchall())
        table.row(f"first rows of {FILES} files, {gigabytes:.0f} GB", [1000 * x for x in a], [1000 * x for x in b], "ms", "duckdb python", "<= 50 ms")
        code = f"""while io.read() do spark.read:parquet("{folder}"):limit(20):collect() io.write("done\\n") io.flush() end"""
        a, b = in_turn(code, lambda: con.execute(f"SELECT * FROM read_parquet('{folder}/*.parquet') LIMIT 20").fetchall())
        table.row("the same, with looking at the folder", [1000 * x for x in a], [1000 * x for x in b], "ms", "duckdb python", "<= 50 ms")
        table.save(ROOT / "build/bench/show.json")


if __name__ == "__main__":
    main()

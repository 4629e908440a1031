"""The 22 queries of TPC-H against DuckDB's own Python client of the same version, on the same Parquet files (tpch.py says where their rows come from).
Beside a local Spark on the same files ours may take an eighth of its time. LACUS_BENCH_SF for another scale factor than 1."""
import os
import pathlib
import statistics
import tempfile

import duckdb

from groupby_bench import in_turn
from local_spark import local_spark, times
from table import Table
from tpch import QUERIES, TABLES, generate

ROOT = pathlib.Path(__file__).resolve().parents[2]
SF = float(os.environ.get("LACUS_BENCH_SF", "1"))
def main():
    with tempfile.TemporaryDirectory() as folder:
        con = duckdb.connect(config={"threads": os.cpu_count()})
        generate(con, folder, SF)
        views = "".join(f'spark.read:parquet("{folder}/{name}.parquet"):createOrReplaceTempView("{name}")\n' for name in TABLES)
        table, ours, theirs, spark_took = Table("tpch"), 0, 0, 0
        for number, sql in QUERIES.items():
            rows = len(con.execute(sql).fetchall())
            code = f"{views}local df = spark:sql([[{sql}]])\nassert(#df:collect() == {rows}, 'other rows')\nwhile io.read() do df:collect() io.write('done\\n') io.flush() end"
            a, b = in_turn(code, lambda: con.execute(sql).fetchall())
            table.row(f"TPC-H query {number}, scale {SF:g}", a, b, "s", "duckdb python", "<= 1.05")
            ours, theirs = ours + table.rows[-1]["ours"], theirs + table.rows[-1]["theirs"]
        table.row("TPC-H, all queries together", [ours], [theirs], "s", "duckdb python", "<= 1.05")
        with local_spark() as spark:
            for name in TABLES if spark else ():
                spark.read.parquet(f"{folder}/{name}.parquet").createOrReplaceTempView(name)
            for sql in QUERIES.values() if spark else ():
                spark_took += statistics.median(times(spark, sql, 3))
            if spark:
                table.row("TPC-H, all queries together", [ours], [spark_took], "s", "local Spark", "<= 0.125")
        table.save(ROOT / "build/bench/tpch.json")


if __name__ == "__main__":
    main()

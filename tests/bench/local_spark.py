"""A local Spark on all cores, for comparison: the server of the pyspark package with the compilers and the memory that it has by default, queried by
pyspark's client. None, and a line that says why, where there is none."""
import contextlib
import os
import pathlib
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/interop"))

from spark_server import Server, why_not  # noqa: E402


@contextlib.contextmanager
def local_spark():
    if why_not():
        print(f"  beside Spark: not measured, {why_not()}")
        yield None
        return
    from pyspark.sql.connect.session import SparkSession
    cores = os.cpu_count()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder, conf={"spark.driver.extraJavaOptions": f"-Dderby.system.home={folder}", "spark.sql.shuffle.partitions": cores,
                                      "spark.default.parallelism": cores}, master=f"local[{cores}]", memory="4g")
        try:
            spark = SparkSession.builder.remote(server.start().wait().url).getOrCreate()
            yield spark
            spark.stop()
        finally:
            server.close()


def times(spark, sql, rounds=5):
    """Seconds, after two rounds that warm up."""
    out = []
    for i in range(rounds + 2):
        start = time.perf_counter()
        spark.sql(sql).collect()
        if i > 1:
            out.append(time.perf_counter() - start)
    return out

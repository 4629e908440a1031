"""What the Spark Connect client adds to a call: the same small queries by lacus and by pyspark's own client on one server, and what the server itself takes for
the same call (the time of pyspark's raw stub), in turn."""
import pathlib
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/interop"))

from groupby_bench import in_turn  # noqa: E402
from spark_server import Server, why_not  # noqa: E402
from table import Table  # noqa: E402


def main():
    if why_not():
        print(f"connect_bench: {why_not()}")
        return
    import os
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            server.start().wait()
            from pyspark.sql.connect.session import SparkSession
            spark = SparkSession.builder.remote(server.url).getOrCreate()
            os.environ["SPARK_REMOTE"] = server.url
            table = Table("connect")
            df = spark.range(10).selectExpr("id + 1 AS a")
            client = spark.client
            for _ in range(20):
                df.collect()
            collect = ('local df = spark:range(10):selectExpr("id + 1 AS a")\nfor i = 1, 20 do df:collect() end\n'
                       'while io.read() do df:collect() io.write("done\\n") io.flush() end')
            a, b = in_turn(collect, df.collect, 40)
            table.row("collect of ten rows", [1000 * x for x in a], [1000 * x for x in b], "ms", "pyspark connect", "<= 1")
            schema = 'local t = spark:range(10)\nwhile io.read() do local _ = t:select("id").columns io.write("done\\n") io.flush() end'
            a, b = in_turn(schema, lambda: spark.range(10).select("id").columns, 40)
            table.row("a schema", [1000 * x for x in a], [1000 * x for x in b], "ms", "pyspark connect", "<= 1")
            # the server's own time: the request as bytes, sent on an open channel, nothing decoded
            plan = df._plan.to_proto(client)

            def bare_schema():
                req = client._analyze_plan_request_with_metadata()
                req.schema.plan.CopyFrom(spark.range(10).select("id")._plan.to_proto(client))
                client._stub.AnalyzePlan(req, metadata=client._builder.metadata())

            def bare_collect():
                req = client._execute_plan_request_with_metadata()
                req.plan.CopyFrom(plan)
                for _ in client._stub.ExecutePlan(req, metadata=client._builder.metadata()):
                    pass

            for name, code, call in (("a schema", schema, bare_schema), ("collect of ten rows", collect, bare_collect)):
                a, b = in_turn(code, call, 40)
                over, bare = statistics.median(a) - statistics.median(b), statistics.median(b)
                table.row(f"{name}: above the server's {1000 * bare:.1f} ms", [1000 * over], [], "ms", "the server alone", "<= 2 ms")
            spark.stop()
            table.save(ROOT / "build/bench/connect.json")
        finally:
            server.close()


if __name__ == "__main__":
    main()

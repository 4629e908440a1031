"""What a call on a Spark server costs beside the server: one connection for all, one request each, nothing sent twice."""
from lacus import script
from spark_server import Proxy


def test_a_call_is_one_request_on_a_connection_that_stays(tmp_path, spark_server):
    proxy, calls = Proxy(spark_server.port), 40
    out = script(tmp_path, f"""
for i = 1, {calls} do assert(#spark:range(i):select((F.col("id") + i):alias("x")).columns == 1) end
print("done")
""", SPARK_REMOTE=proxy.url)
    proxy.close()
    assert out == "done\n"
    assert proxy.count == 1
    assert calls <= proxy.sent <= 2 * calls + 20, proxy.sent  # a request, and now and then an answer to a ping or a window

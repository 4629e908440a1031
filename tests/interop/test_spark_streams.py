"""Sessions on a Spark server through a proxy that knows messages: a call that ends after every single answer, tokens that expire, headers, sessions
that are shared, that end on the server, and what a notebook is told while a query runs."""
import collections
import os
import sys
import uuid

import pytest

from lacus import LACUS, lacus, script
from spark_proxy import MessageProxy


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


ROWS = """
local n, sum = 0, 0
for row in spark:range(0, 100000, 1, 4):withColumn("s", F.sha2(F.col("id"):cast("string"), 256)):toLocalIterator() do n = n + 1; sum = sum + row.id end
print(n, sum, spark:sql("SELECT 1 a"):collect()[1].a)
"""


@pytest.mark.parametrize("how", ["UNAVAILABLE", "END"])
def test_a_call_may_end_after_every_message(home, spark_server, how):
    import grpc
    status = "END" if how == "END" else grpc.StatusCode.UNAVAILABLE
    proxy = MessageProxy(spark_server.url, after=lambda kind, n: status if n < 30 or kind != "execution_progress" else None)
    try:
        assert script(home, ROWS, SPARK_REMOTE=proxy.url) == "100000\t4999950000\t1\n"
    finally:
        proxy.close()
    kinds = collections.Counter(proxy.seen)
    assert {"arrow_batch", "result_complete", "sql_command_result", "metrics or schema"} <= set(kinds) and kinds["arrow_batch"] > 9
    assert proxy.methods.count("ReattachExecute") > 10 and proxy.methods.count("ExecutePlan") == 3  # nothing ran twice


def test_a_token_that_expires_is_asked_for_anew(home, spark_server, tmp_path):
    import grpc
    calls = []

    def before(method, metadata, context):
        calls.append(metadata.get("authorization"))
        if metadata.get("authorization") != ("Bearer t2" if len(calls) > 4 else "Bearer t1"):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "token expired")
    proxy = MessageProxy(spark_server.url, before=before)
    (tmp_path / "n").write_text("0")
    command = f"n=$(($(cat {tmp_path}/n) + 1)); echo $n > {tmp_path}/n; echo t$n"
    try:
        assert script(home, "for i = 1, 3 do print(spark:range(i):count()) end", SPARK_REMOTE=proxy.url, LACUS_SPARK_TOKEN_COMMAND=command) == "1\n2\n3\n"
    finally:
        proxy.close()
    assert calls[0] == "Bearer t1" and calls[-1] == "Bearer t2" and (tmp_path / "n").read_text() == "2\n"


def test_headers_of_the_address_go_with_every_call(home, spark_server):
    proxy = MessageProxy(spark_server.url)
    try:
        script(home, "spark:range(1):count()", SPARK_REMOTE=proxy.url + "/;token=abc;x-databricks-cluster-id=0123-456789-abc;x-databricks-session-id=s1;user_agent=my%20tool")
    finally:
        proxy.close()
    wanted = {"authorization": "Bearer abc", "x-databricks-cluster-id": "0123-456789-abc", "x-databricks-session-id": "s1"}
    assert len(proxy.metadata) > 4 and all(wanted.items() <= m.items() and m["user-agent"].startswith("my tool lacus/") for m in proxy.metadata)


def test_a_session_that_the_address_names_is_shared_and_left(home, spark_server):
    url = f"{spark_server.url}/;user_id=u;session_id={uuid.uuid4()}"
    script(home, 'spark:range(7):createOrReplaceTempView("shared")', SPARK_REMOTE=url)
    assert script(home, 'print(spark:table("shared"):count(), #spark:interruptTag("none"))', SPARK_REMOTE=url) == "7\t0\n"


def test_a_session_that_ended_on_the_server_can_be_begun_anew(home, spark_server):
    url = f"{spark_server.url}/;user_id=u;session_id={uuid.uuid4()}"
    out = script(home, f"""
print(spark:range(3):count())
os.execute([[{sys.executable} -W ignore -c "from pyspark.sql.connect.session import SparkSession as S; S.builder.remote('{url}').create().stop()" 2>/dev/null]])
local ok, e = pcall(function() return spark:range(3):count() end)
print(ok, e.message:match("INVALID_HANDLE.SESSION_%u+"), e.hint:match("spark:stop%(%)"))
SparkSession.builder:remote("{spark_server.url}"):getOrCreate(); print(spark:range(4):count())
""", SPARK_REMOTE=url)
    assert out == "3\nfalse\tINVALID_HANDLE.SESSION_CLOSED\tspark:stop()\n4\n"


def test_a_notebook_shows_how_far_the_server_is(home, spark_server):
    from jupyter_client import KernelManager
    from jupyter_client.kernelspec import KernelSpec

    class Manager(KernelManager):
        kernel_spec = property(lambda self: KernelSpec(argv=[str(LACUS), "kernel", "-f", "{connection_file}"], language="lua", display_name="lacus"))
    manager = Manager()
    manager.start_kernel(env=dict(os.environ, LACUS_HOME=str(home), SPARK_REMOTE=spark_server.url))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(30)
        seen = []
        client.execute_interactive("spark:range(0, 60000000, 1, 16):select(F.sum(F.sqrt('id') + F.sin('id'))):collect()", timeout=120,
                                   output_hook=lambda m: seen.append((m["msg_type"], m["content"])))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    shown = [c for t, c in seen if t in ("display_data", "update_display_data")]
    if not shown:
        pytest.skip("the query was over within two seconds")
    by_query = {}  # one, or its analysis took long, too
    for c in shown:
        by_query.setdefault(c["transient"]["display_id"], []).append(c["data"]["text/plain"])
    assert len(by_query) <= 2
    for texts in by_query.values():
        assert texts[-1] == "" and all("%" in t or "runs" in t for t in texts[:-1])
        assert len(set(texts)) == len(texts)  # the same is not sent twice

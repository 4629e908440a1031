"""What can go wrong between a session and its Spark server: streams that break and are taken up again, a server that dies or is another one,
tokens, certificates. A proxy of the test stands between and breaks what it is told to."""
import ssl
import subprocess
import time

import pytest

from lacus import LACUS, environment, lacus, script
from spark_server import PLUGIN, Proxy, Server, why_not

pytestmark = pytest.mark.skipif(not PLUGIN.exists(), reason="SKIP: the plugin engine_spark is not built: make deps says why")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


SUM = """
local n, sum = 0, 0
for row in spark:range(300000):toLocalIterator() do n = n + 1; sum = sum + row.id end
print(n, sum)
"""


@pytest.mark.parametrize("cut", [3000, 20000, 300000])
def test_a_stream_that_breaks_is_taken_up_where_it_was(home, spark_server, cut):
    proxy = Proxy(spark_server.port, cut=cut, times=3)
    try:
        assert script(home, SUM, SPARK_REMOTE=proxy.url) == "300000\t44999850000\n"
    finally:
        proxy.close()
    assert proxy.times == 0 and proxy.count >= 4


def test_a_server_that_dies_in_mid_stream_is_one_clear_error(home, tmp_path):
    if why_not():
        pytest.skip(why_not())
    # also: a token that the server wants, and streams that it ends after a second (they are taken up again)
    server = Server(tmp_path / "dying", token="right", conf={"spark.connect.authenticate.token": "right", "spark.connect.execute.reattachable.senderMaxStreamDuration": "1s",
                                                             "spark.connect.execute.reattachable.senderMaxStreamSize": "1m"}).start().wait()
    try:
        for token, wanted in (("token=wrong", "does not accept the token"), ("", "does not accept the token")):
            done = lacus(home, "-", text="spark:range(1):show()", SPARK_REMOTE=f"{server.url}/;{token}", SPARK_CONNECT_AUTHENTICATE_TOKEN="")
            assert done.returncode != 0 and wanted in done.stderr and "wrong" not in done.stderr
        (tmp_path / "token").write_text("right\n")
        url = f"{server.url}/;token=right"
        assert script(home, SUM, SPARK_REMOTE=url) == "300000\t44999850000\n"
        assert script(home, "print(spark:range(3):count())", SPARK_REMOTE=server.url, SPARK_CONNECT_AUTHENTICATE_TOKEN="right") == "3\n"
        assert script(home, "print(spark:range(3):count())", SPARK_REMOTE=server.url, LACUS_SPARK_TOKEN_FILE=tmp_path / "token") == "3\n"
        assert script(home, "print(spark:range(3):count())", SPARK_REMOTE=server.url, LACUS_SPARK_TOKEN_COMMAND=f"cat {tmp_path / 'token'}") == "3\n"
        slow = """
spark.conf:set("spark.sql.session.timeZone", "UTC"); io.stdout:write("go\\n"); io.stdout:flush()
local n = 0
for row in spark:range(100000000):withColumn("s", F["repeat"](F.lit("x"), 50)):toLocalIterator() do n = n + 1 end
"""
        p = subprocess.Popen([LACUS, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env=environment(home, SPARK_REMOTE=url, LACUS_SPARK_RETRY_SECONDS="1"))
        p.stdin.write(slow)
        p.stdin.close()
        assert p.stdout.readline() == "go\n"
        time.sleep(1.5)
        server.kill()
        text = p.stderr.read()
        p.wait(30)
        p.stdout.close()
        p.stderr.close()
        assert p.returncode != 0 and "ConnectionError" in text and "Spark server" in text, text
    finally:
        server.close()


def certificate(folder):
    """A certificate of our own for localhost."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    context.set_alpn_protocols(["h2"])
    return context


def test_tls(home, spark_server, tmp_path):
    proxy = Proxy(spark_server.port, tls=certificate(tmp_path))
    port = proxy.url.rsplit(":", 1)[1]
    url = f"sc://localhost:{port}/;use_ssl=true;token=t;x-databricks-cluster-id=0123-456789-abc"
    code = "print(spark:range(20000):agg(F.sum('id')):collect()[1][1])"
    try:
        assert script(home, code, SPARK_REMOTE=url, SSL_CERT_FILE=tmp_path / "cert.pem") == "199990000\n"
        assert script(home, code, SPARK_REMOTE=url, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=tmp_path / "cert.pem") == "199990000\n"
        untrusted = lacus(home, "-", text=code, SPARK_REMOTE=url)
        assert untrusted.returncode != 0 and "is not trusted" in untrusted.stderr and "SSL_CERT_FILE" in untrusted.stderr
        other = lacus(home, "-", text=code, SPARK_REMOTE=url.replace("localhost", "127.0.0.1"), SSL_CERT_FILE=tmp_path / "cert.pem")
        assert other.returncode != 0 and "is not trusted" in other.stderr and "mismatch" in other.stderr.lower()
        clear = lacus(home, "-", text=code, SPARK_REMOTE=f"sc://localhost:{port}")
        assert clear.returncode != 0 and "use_ssl=true" in clear.stderr
        spoken_to_plain = lacus(home, "-", text=code, SPARK_REMOTE=f"sc://localhost:{spark_server.port}/;use_ssl=true")
        assert spoken_to_plain.returncode != 0 and "TLS with" in spoken_to_plain.stderr
    finally:
        proxy.close()


class Fake:
    """A gRPC server that answers every call in one way."""

    def __init__(self, answer):
        import grpc
        from concurrent import futures

        class Handler(grpc.GenericRpcHandler):
            def service(self, details):
                return grpc.unary_unary_rpc_method_handler(lambda request, context: answer(grpc, context, details.method))

        self.server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Handler()])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.url = f"sc://127.0.0.1:{self.port}"


def test_servers_that_are_not_what_they_should_be(home):
    if why_not():
        pytest.skip(why_not())
    from pyspark.sql.connect.proto import base_pb2

    def unknown(grpc, context, method):
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "unknown service")

    def old(grpc, context, method):
        return base_pb2.AnalyzePlanResponse(spark_version=base_pb2.AnalyzePlanResponse.SparkVersion(version="3.3.2")).SerializeToString()

    def rubbish(grpc, context, method):
        return b"\xff" * 40

    def denied(grpc, context, method):
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

    for answer, text in ((unknown, "another version"), (old, "has version 3.3.2"), (rubbish, "answer lacks what was asked for"), (denied, "does not permit")):
        fake = Fake(answer)
        try:
            done = lacus(home, "-", text="spark:range(1):show()", SPARK_REMOTE=fake.url)
            assert done.returncode != 0 and text in done.stderr, done.stderr
        finally:
            fake.server.stop(None)


def test_a_server_that_asks_for_a_pause_gets_it(home):
    """google.rpc.RetryInfo makes any failure one to try again, after the delay that it names, as PySpark's client does."""
    if why_not():
        pytest.skip(why_not())
    from google.rpc import error_details_pb2, status_pb2
    calls = []

    def busy(grpc, context, method):
        calls.append(time.monotonic())
        if len(calls) == 1:
            info, status = error_details_pb2.RetryInfo(), status_pb2.Status(code=8, message="come back")
            info.retry_delay.FromMilliseconds(1300)
            status.details.add().Pack(info)
            context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "come back")
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

    fake = Fake(busy)
    try:
        done = lacus(home, "-", text="spark:range(1):show()", SPARK_REMOTE=fake.url)
        assert done.returncode != 0 and "does not permit" in done.stderr, done.stderr
        assert len(calls) > 1 and 1.3 <= calls[1] - calls[0] < 10
    finally:
        fake.server.stop(None)

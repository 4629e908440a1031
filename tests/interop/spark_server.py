"""A real Spark Connect server (the one in the pyspark package) for the tests: one per run of pytest, on a free port, local[2], with little memory."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from lacus import LACUS

PLUGIN = LACUS.parent / "plugins" / "engine_spark.so"

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def why_not():
    """Why there can be no server here; None: there can."""
    if not PLUGIN.exists():
        return "SKIP: the plugin engine_spark is not built: make deps says why"
    if not shutil.which("java"):
        return "no Java: apt-get install openjdk-17-jre-headless"
    try:
        import pyspark  # noqa: F401
    except ImportError:
        return "no pyspark: make test-deps"
    return None


class Proxy:
    """TCP in front of a server: counts connections and the pieces that clients send, cuts them after `cut` bytes from the server (each connection once), delays, speaks TLS."""

    def __init__(self, port, cut=None, times=1, tls=None):
        self.port, self.cut, self.times, self.tls, self.count, self.sent = port, cut, times, tls, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"sc://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
            server = socket.create_connection(("127.0.0.1", self.port))
        except OSError:
            client.close()
            return
        threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
        self.pump(server, client, True)

    def pump(self, source, sink, from_server):
        seen = 0
        try:
            while data := source.recv(16384):
                seen += len(data)
                self.sent += not from_server
                if from_server and self.cut and seen > self.cut and self.times > 0:
                    self.times -= 1
                    break
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


class Server:
    def __init__(self, folder, port=None, conf=(), token=None, master="local[2]", memory="1g"):
        import pyspark
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.home = pathlib.Path(pyspark.__file__).parent
        self.conf = {"spark.connect.grpc.binding.port": self.port, "spark.connect.grpc.binding.address": "127.0.0.1", "spark.ui.enabled": "false",
                     "spark.sql.shuffle.partitions": 2, "spark.default.parallelism": 2, "spark.sql.warehouse.dir": self.folder / "warehouse",
                     "spark.driver.extraJavaOptions": f"-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dderby.system.home={self.folder}",
                     "spark.sql.connect.progress.reportInterval": "200ms", "spark.sql.timeType.enabled": "true", **dict(conf)}
        self.token, self.master, self.memory = token, master, memory
        self.process = None

    @property
    def url(self):
        return f"sc://127.0.0.1:{self.port}"

    def start(self):
        # what sbin/start-connect-server.sh starts, without its daemon: the test ends it
        env = dict(os.environ, SPARK_HOME=str(self.home), SPARK_LOCAL_IP="127.0.0.1", SPARK_LOG_DIR=str(self.folder))
        env.pop("SPARK_REMOTE", None)
        if self.token:
            env["SPARK_CONNECT_AUTHENTICATE_TOKEN"] = self.token
        command = [self.home / "bin" / "spark-submit", "--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "--master", self.master,
                   "--driver-memory", self.memory]
        for key, value in self.conf.items():
            command += ["--conf", f"{key}={value}"]
        self.log = open(self.folder / "server.log", "w")
        self.process = subprocess.Popen([*map(str, command), "spark-internal"], stdout=self.log, stderr=self.log, cwd=self.folder, env=env,
                                        start_new_session=True)
        return self

    def wait(self, seconds=90):
        end = time.time() + seconds
        while time.time() < end:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.2)
        raise RuntimeError("the Spark Connect server did not start: " + (self.folder / "server.log").read_text()[-2000:])

    def kill(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def close(self):
        self.kill()


@pytest.fixture(scope="session")
def spark_server(tmp_path_factory):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    server = Server(tmp_path_factory.mktemp("spark"))
    try:
        yield server.start().wait()
    finally:
        server.close()


@pytest.fixture(scope="module")
def peer(spark_server):
    """The same server through pyspark."""
    from pyspark.sql.connect.session import SparkSession
    session = SparkSession.builder.remote(spark_server.url).create()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    yield session
    session.stop()

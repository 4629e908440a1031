"""How a client reaches the kernel: encrypted channels, unix sockets; what the kernel uses, for resource monitors."""
import json
import os
import subprocess
import time

import pytest
import zmq
from kernels import LACUS, home, kernel  # noqa: F401
from raw_client import RawKernel


def install(home):
    subprocess.run([LACUS, "kernelspec", "install", "--prefix", str(home)], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_curve_through_jupyter_client(home, transport):
    from jupyter_client.manager import KernelManager
    install(home)
    more = {"transport": "ipc", "ip": str(home / "ipc")} if transport == "ipc" else {}
    km = KernelManager(kernel_name="lacus", transport_encryption="required", **more)
    km.start_kernel()
    kc = km.client()
    kc.start_channels()
    try:
        kc.wait_for_ready(timeout=20)
        assert json.load(open(km.connection_file))["curve_publickey"]
        assert kc.execute_interactive("return 6 * 7", timeout=20)["content"]["status"] == "ok"
        until = time.monotonic() + 20  # one that is late for a beat is asked again
        while not kc.hb_channel.is_beating() and time.monotonic() < until:
            time.sleep(0.1)
        assert kc.hb_channel.is_beating()
        km.restart_kernel()
        kc.wait_for_ready(timeout=20)
    finally:
        kc.stop_channels()
        km.shutdown_kernel()


class CurveKernel(RawKernel):
    """With keys in the connection file; `client` makes a socket's client side."""

    public, secret = zmq.curve_keypair()
    server = public

    def connection_info(self, info):
        return dict(info, curve_publickey=self.public.decode(), curve_secretkey=self.secret.decode())

    def secure(self, socket):
        if self.server:
            socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
            socket.curve_serverkey = self.server


def test_curve_with_plain_sockets(home):
    with CurveKernel([LACUS, "kernel", "-f", "{connection_file}"]) as k:
        assert k.execute("print('secret')")[1][0]["content"]["text"] == "secret\n"
        assert k.request("kernel_info_request", {}, channel=k.control)["content"]["status"] == "ok"
        for wrong in (None, zmq.curve_keypair()[0]):  # no encryption; another server's key
            k.server = wrong
            stranger = k.connect(zmq.DEALER, "shell_port", identity=b"stranger")
            k.send("kernel_info_request", {}, channel=stranger)
            assert not stranger.poll(500), "answered without the right key"
            stranger.close()
        assert k.execute("1")[0]["status"] == "ok"


@pytest.mark.parametrize("keys, says", [
    ({"curve_publickey": "x" * 40}, "'curve_secretkey'"), ({"curve_publickey": "a", "curve_secretkey": "b"}, "40 characters"),
    ({"curve_publickey": "\"" * 40, "curve_secretkey": "'" * 40}, "encrypt"), ({"curve_publickey": 1, "curve_secretkey": 2}, "'curve_publickey'"),
])
def test_bad_curve_keys_are_named(home, keys, says):
    path = home / "connection.json"
    ports = {p: n for n, p in enumerate(("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"), 40000)}
    path.write_text(json.dumps(dict(ports, ip="127.0.0.1", key="k", transport="tcp", signature_scheme="hmac-sha256", **keys)))
    done = subprocess.run([LACUS, "kernel", "-f", str(path)], capture_output=True, text=True, timeout=10)
    assert done.returncode != 0 and says in done.stderr


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("Pss:"))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def used_at(pid):
    return time.monotonic(), cpu_seconds(pid)


def test_usage(kernel):
    first = kernel.request("usage_request", {}, channel=kernel.control)
    assert first["type"] == "usage_reply" and first["content"]["pid"] == kernel.process.pid
    assert abs(first["content"]["kernel_memory"] - pss(kernel.process.pid)) < 2 << 20
    assert first["content"]["cpu_count"] == os.cpu_count()
    busy = kernel.send("execute_request", {"code": "local s = ('x'):rep(50000000) print(#s) while true do end"})
    kernel.until(busy, kind="stream", timeout=60)
    # the kernel looks at its clocks somewhere between a question and its answer, however late it gets to it
    before, _, began = used_at(kernel.process.pid), kernel.request("usage_request", {}, channel=kernel.control), used_at(kernel.process.pid)
    time.sleep(1)
    ended = used_at(kernel.process.pid)
    usage = kernel.request("usage_request", {}, channel=kernel.control)["content"]
    after, tick = used_at(kernel.process.pid), 2 / os.sysconf("SC_CLK_TCK")
    least, most = (ended[1] - began[1] - tick) / (after[0] - before[0]), (after[1] - before[1] + tick) / (ended[0] - began[0])
    assert most > 0.01 and 100 * least <= usage["kernel_cpu"] <= 100 * most
    assert usage["kernel_memory"] > first["content"]["kernel_memory"] + (40 << 20)
    assert 0 <= usage["host_cpu_percent"] <= 100
    memory = usage["host_virtual_memory"]
    with open("/proc/meminfo") as f:
        assert memory["total"] == int(f.readline().split()[1]) * 1024
    assert 0 < memory["available"] <= memory["total"] and 0 <= memory["percent"] <= 100
    kernel.request("interrupt_request", {}, channel=kernel.control)
    kernel.until_idle(busy)


def test_usage_counts_children(kernel):
    kernel.execute("child = io.popen('exec sleep 5')")
    before = kernel.request("usage_request", {}, channel=kernel.control)["content"]["kernel_memory"]
    assert before > pss(kernel.process.pid)
    kernel.request("shutdown_request", {"restart": False}, channel=kernel.control)

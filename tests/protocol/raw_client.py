"""A Jupyter client on bare ZeroMQ sockets: for what jupyter_client would never send, and for timing without its cost."""
import datetime
import hashlib
import hmac
import json
import os
import random
import socket
import subprocess
import tempfile
import time
import uuid

import zmq

PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")


def outgoing_ports():
    """The first of the ports that the system gives to outgoing connections."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
            return int(f.read().split()[0])
    except OSError:
        return 0


def free_ports(n):
    """Not of those that outgoing connections get: a client that tries to connect would take one before its kernel has bound it."""
    low, sockets = outgoing_ports(), []
    while len(sockets) < n:
        s = socket.socket()
        try:
            s.bind(("127.0.0.1", random.randrange(10000, low) if low > 12000 else 0))
            sockets.append(s)
        except OSError:
            s.close()
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class RawKernel:
    """Starts `argv` (with {connection_file} replaced) and talks to it."""

    def __init__(self, argv, env=None, wait=True, output=None, ports=None):
        self.dir = tempfile.TemporaryDirectory(prefix="lacus-raw-")
        self.key = uuid.uuid4().hex.encode()
        self.session = uuid.uuid4().hex
        self.file = os.path.join(self.dir.name, "connection.json")
        self.ports = dict(zip(PORTS, ports or free_ports(5)))
        info = self.connection_info(dict(self.ports, ip="127.0.0.1", transport="tcp", key=self.key.decode(), signature_scheme="hmac-sha256", kernel_name="x"))
        with open(self.file, "w") as f:
            json.dump(info, f)
        self.context = zmq.Context()
        self.started = time.perf_counter()
        self.process = subprocess.Popen([a.replace("{connection_file}", self.file) for a in argv], env=env, stdout=output, stderr=output)
        self.shell = self.connect(zmq.DEALER, "shell_port")
        self.control = self.connect(zmq.DEALER, "control_port")
        self.stdin = self.connect(zmq.DEALER, "stdin_port")
        self.iopub = self.connect(zmq.SUB, "iopub_port")
        self.iopub.setsockopt(zmq.SUBSCRIBE, b"")
        if wait:
            self.request("kernel_info_request", {})
            time.sleep(0.05)
            self.drain()

    def connection_info(self, info):
        return info

    def address(self, port):
        return f"tcp://127.0.0.1:{self.ports[port]}"

    def secure(self, socket):
        """For channels that are encrypted."""

    def connect(self, kind, port, identity=None):
        s = self.context.socket(kind)
        s.setsockopt(zmq.LINGER, 0)
        s.setsockopt(zmq.RCVHWM, 0)
        s.setsockopt(zmq.RECONNECT_IVL, 2)
        if kind == zmq.DEALER:
            s.setsockopt(zmq.IDENTITY, identity or (self.session.encode() if port != "x" else b""))
        self.secure(s)
        s.connect(self.address(port))
        return s

    def frames(self, msg_type, content, parent=None, metadata=None, buffers=(), session=None, subshell=None):
        msg_id = uuid.uuid4().hex
        header = {"msg_id": msg_id, "msg_type": msg_type, "username": "t", "session": session or self.session,
                  "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds"), "version": "5.3"}
        if subshell is not None:
            header["subshell_id"] = subshell
        parts = [json.dumps(p).encode() for p in (header, parent or {}, metadata or {}, content)]
        return msg_id, [b"<IDS|MSG>", self.sign(parts), *parts, *buffers]

    def sign(self, parts):
        return hmac.new(self.key, b"".join(parts), hashlib.sha256).hexdigest().encode()

    def send(self, msg_type, content, channel=None, **more):
        msg_id, frames = self.frames(msg_type, content, **more)
        (channel or self.shell).send_multipart(frames)
        return msg_id

    def receive(self, channel=None, timeout=10):
        channel = channel or self.shell
        if not channel.poll(int(timeout * 1000)):
            raise TimeoutError("no message")
        parts = channel.recv_multipart()
        at = parts.index(b"<IDS|MSG>")
        assert parts[at + 1] == self.sign(parts[at + 2:at + 6]), "the kernel's signature is wrong"
        header, parent, metadata, content = (json.loads(p) for p in parts[at + 2:at + 6])
        return {"type": header["msg_type"], "header": header, "parent": parent.get("msg_id"), "metadata": metadata, "content": content, "buffers": parts[at + 6:]}

    def request(self, msg_type, content, channel=None, timeout=10, **more):
        """Sends and returns the reply to just this request."""
        msg_id = self.send(msg_type, content, channel=channel, **more)
        while True:
            reply = self.receive(channel, timeout)
            if reply["parent"] == msg_id:
                return reply

    def until_idle(self, msg_id, timeout=10):
        """The iopub messages of a request, up to and with its idle."""
        out = []
        while True:
            m = self.receive(self.iopub, timeout)
            if m["parent"] != msg_id:
                continue
            out.append(m)
            if m["type"] == "status" and m["content"]["execution_state"] == "idle":
                return out

    def until_all_idle(self, *msg_ids, timeout=10):
        """As until_idle, of several that run beside each other: which of them ends first is not said."""
        out = {msg_id: [] for msg_id in msg_ids}
        running = set(msg_ids)
        while running:
            m = self.receive(self.iopub, timeout)
            if m["parent"] in out:
                out[m["parent"]].append(m)
                if m["type"] == "status" and m["content"]["execution_state"] == "idle":
                    running.discard(m["parent"])
        return [out[msg_id] for msg_id in msg_ids]

    def until(self, *msg_ids, kind="execute_input", timeout=10):
        """Until each of these requests has sent such a message. A cell that has sent its input runs: an interrupt is for it from there on."""
        waiting = set(msg_ids)
        while waiting:
            m = self.receive(self.iopub, timeout)
            if m["type"] == kind:
                waiting.discard(m["parent"])

    def execute(self, code, timeout=10, **options):
        """Returns (reply content, iopub messages without status and execute_input)."""
        msg_id = self.send("execute_request", dict(code=code, **options))
        while True:
            reply = self.receive(timeout=timeout)
            if reply["parent"] == msg_id:
                break
        messages = self.until_idle(msg_id, timeout)
        return reply["content"], [m for m in messages if m["type"] not in ("status", "execute_input")]

    def drain(self):
        for s in (self.shell, self.control, self.iopub):
            while s.poll(0):
                s.recv_multipart()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.context.destroy(linger=0)
        self.dir.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

"""What must not make the kernel grow or end: clients that stop reading, cells that take all memory; and what is left when it dies."""
import os
import random
import signal
import subprocess
import time

import pytest
import zmq
from kernels import LACUS, home, kernel, text  # noqa: F401
from raw_client import RawKernel


def resident(k, what="VmRSS"):
    with open(f"/proc/{k.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(what)) / 1024


def start():
    return RawKernel([LACUS, "kernel", "-f", "{connection_file}"])


class LocalKernel(RawKernel):
    def connection_info(self, info):
        return dict(info, transport="ipc", ip=self.file)

    def address(self, port):
        return f"ipc://{self.file}-{self.ports[port]}"


# ---- clients that stop reading

def stalled(k, kind, port):
    s = k.context.socket(kind)
    s.setsockopt(zmq.LINGER, 0)
    s.setsockopt(zmq.RCVHWM, 1)
    s.setsockopt(zmq.RCVBUF, 4096)
    if kind == zmq.SUB:
        s.setsockopt(zmq.SUBSCRIBE, b"")
    s.connect(k.address(port))
    time.sleep(0.2)
    return s


def test_a_gigabyte_is_printed_to_a_client_that_stopped_reading(kernel):
    """Another client reads on: the one that stalled costs a bounded amount, not the cell."""
    lazy = stalled(kernel, zmq.SUB, "iopub_port")
    kernel.iopub.close()
    kernel.send("execute_request", {"code": "local s = ('x'):rep(1000000) for i = 1, 1000 do io.write(s) end"})
    for _ in range(10):
        time.sleep(0.2)
        assert resident(kernel) < 250
    assert kernel.request("interrupt_request", {}, channel=kernel.control)["content"]["status"] == "ok"
    assert kernel.receive(timeout=10)["content"]["ename"] == "KeyboardInterrupt"
    kernel.iopub = lazy


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_who_reads_on_gets_all_though_another_has_stalled(home, transport):
    """The one that stalled is disconnected; when it reads again it is told, and gets what comes then."""
    with (LocalKernel if transport == "ipc" else RawKernel)([LACUS, "kernel", "-f", "{connection_file}"]) as k:
        lazy = stalled(k, zmq.SUB, "iopub_port")
        k.drain()
        msg_id = k.send("execute_request", {"code": "for i = 1, 1500 do display(('x'):rep(100000)) end"})
        messages = k.until_idle(msg_id, timeout=60)
        assert sum(m["type"] == "display_data" for m in messages) == 1500
        assert "dropped" not in text(messages, "stderr")
        assert resident(k) < 250
        assert k.receive()["content"]["status"] == "ok"
        late = []
        while "output is missing here" not in text(late, "stderr"):
            late.append(k.receive(lazy, timeout=20))
        assert sum(m["type"] == "display_data" for m in late) < 1500
        assert k.execute("print('once more')")[0]["status"] == "ok"
        while "once more" not in text(late):
            late.append(k.receive(lazy))
        lazy.close()


def test_requests_of_a_client_whose_iopub_stalls_are_answered_in_bounded_memory(kernel):
    stalled(kernel, zmq.SUB, "iopub_port")
    kernel.iopub.close()
    before = resident(kernel)
    for _ in range(60):  # each result is shown, none is read
        ids = {kernel.send("execute_request", {"code": "return ('x'):rep(15500)"}) for _ in range(250)}
        while ids:
            ids.discard(kernel.receive(timeout=30)["parent"])
    assert resident(kernel) - before < 170, "230 MB of results that nobody read"


def test_replies_that_nobody_reads_are_bounded(kernel):
    kernel.execute("x = 1" + " " * 100000)
    lazy = stalled(kernel, zmq.DEALER, "shell_port")
    before = resident(kernel)
    for _ in range(2500):  # 100 kB each: 250 MB in all
        kernel.send("history_request", {"hist_access_type": "tail", "n": 1, "output": False, "raw": True}, channel=lazy)
    assert kernel.execute("return 1", timeout=60)[0]["status"] == "ok"
    assert resident(kernel) - before < 190
    lazy.close()


# ---- memory

@pytest.fixture()
def small(home, monkeypatch):
    monkeypatch.setenv("LACUS_MEMORY_LIMIT", "100M")
    with start() as k:
        yield k


@pytest.mark.parametrize("code", [
    "t = {} for i = 1, 1e9 do t[i] = {i} end",
    "s = 'x' while true do s = s .. s end",
    "t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end",
    "t = {} while true do pcall(function() for i = 1, 1e9 do t[#t + 1] = {i} end end) error(select(2, pcall(string.rep, 'x', 2e8))) end",
    "local function f(n) return {f(n + 1)} end f(1)",
    "x = ('x'):rep(1e9)",
])
def test_a_runaway_cell_ends_with_an_error_and_the_kernel_lives(small, code):
    reply, _ = small.execute(code, timeout=60)
    assert reply["status"] == "error"
    if "f(n" not in code:
        assert "memory" in reply["evalue"].lower() and "100" in "".join(reply["traceback"]), reply["evalue"]
    assert resident(small) < 220
    small.execute("t, s, x = nil collectgarbage()", timeout=60)
    reply, messages = small.execute("return 6 * 7")
    assert messages[0]["content"]["data"]["text/plain"] == "42"


@pytest.mark.parametrize("code", [
    "t = {} while true do pcall(function() t[#t + 1] = ('x'):rep(1e6) end) end",
    "t = {} for i = 1, 6e5 do t[i] = {i} end while true do pcall(function() while true do t[#t + 1] = {} end end) end",
])
def test_a_cell_that_goes_on_at_its_ceiling_is_ended(small, code):
    """It catches each error, and each try collects all garbage."""
    reply, _ = small.execute(code, timeout=90)  # three seconds of its own time
    assert reply["ename"] == "MemoryError" and "went on" in reply["evalue"] and "100 MB" in "".join(reply["traceback"])
    assert small.execute("t = nil return 1")[0]["status"] == "ok"


def test_a_cell_that_asks_for_too_much_now_and_then_is_not(small):
    reply, messages = small.execute("n = 0 for i = 1, 300 do if not pcall(string.rep, 'x', 2e8) then n = n + 1 end end local t = os.clock() + 3.5 while os.clock() < t do end "
                                    "for i = 1, 300 do if not pcall(string.rep, 'x', 2e8) then n = n + 1 end end return n", timeout=60)
    assert messages[0]["content"]["data"]["text/plain"] == "600"


def test_at_the_ceiling_a_cell_can_still_free_what_there_is(small):
    """Small values fill the last bytes: without room of its own, no cell could begin that lets them go."""
    assert small.execute("t = {} for i = 1, 1e9 do t[i] = {} end", timeout=60)[0]["ename"] == "MemoryError"
    assert small.execute("t = nil collectgarbage()", timeout=60)[0]["status"] == "ok"
    assert small.execute("#string.rep('x', 2^24 | 0)")[1][0]["content"]["data"]["text/plain"] == str(2**24)


# ---- the end

@pytest.mark.parametrize("number, name", [(signal.SIGABRT, "6"), (signal.SIGBUS, "7"), (signal.SIGFPE, "8"), (signal.SIGILL, "4")])
def test_a_kernel_that_dies_says_why(kernel, home, number, name):
    kernel.execute("x = 1")
    kernel.process.send_signal(number)
    assert kernel.process.wait(5) == -number
    log = (home / "lacus" / "log" / "kernel.log").read_text()
    assert f"{kernel.process.pid}: crashed with signal {name}, sent by process {os.getpid()}\n" in log


@pytest.mark.parametrize("body, number", [
    ("*(volatile int *)8 = 1; return 0", signal.SIGSEGV),
    ("volatile char room[4096]; room[0] = (char)(long)L; return luaopen_bad((char *)L + room[0] % 2) + room[1]", signal.SIGSEGV),  # until the stack is full
    ("__builtin_trap(); return (long)L", signal.SIGILL),
])
def test_a_kernel_that_dies_in_c_code_of_a_cell_says_why(home, tmp_path, body, number):
    """A C rock that does what it must not: the log names it, and so does what Jupyter shows of the kernel."""
    source = tmp_path / "bad.c"
    source.write_text("int luaopen_bad(void *L) { (void)L; %s; }" % body)
    subprocess.run(["cc", "-O0", "-w", "-shared", "-fPIC", "-o", tmp_path / "bad.so", source], check=True)
    with RawKernel([LACUS, "kernel", "-f", "{connection_file}"], output=subprocess.PIPE) as k:
        k.send("execute_request", {"code": f"package.cpath = '{tmp_path}/?.so' require('bad')"})
        assert k.process.wait(10) == -number
        told = [(home / "lacus" / "log" / "kernel.log").read_text(), (k.process.stdout.read() + k.process.stderr.read()).decode()]
        for log in told:
            line = next(x for x in log.splitlines() if f"{k.process.pid}: crashed with signal {int(number)}" in x)
            assert line.startswith("20") and line.endswith(f" in {tmp_path}/bad.so")


# ---- bytes from a stranger

def test_frames_with_flipped_bytes(kernel):
    """Good messages with a byte changed, frames dropped, doubled or swapped: never an end, never an execution."""
    rng = random.Random(7)
    for channel in (kernel.shell, kernel.control, kernel.stdin):
        for _ in range(300):
            _, frames = kernel.frames(rng.choice(["execute_request", "comm_msg", "history_request", "shutdown_request"]), {"code": "owned = true", "comm_id": "x", "restart": False})
            how, at = rng.randrange(4), rng.randrange(len(frames))
            if how == 0:
                frame = bytearray(frames[at])
                frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
                if at == 0 or bytes(frame).lower() == frames[at].lower():
                    continue  # only an identity more; the same digits in another case
                frames[at] = bytes(frame)
            elif how == 1:
                del frames[at]
            elif how == 2:
                frames.insert(at, rng.randbytes(rng.randrange(100)))
                if at == 0 or at == len(frames) - 1:
                    continue  # one more identity, or a buffer: still a good message
            else:
                other = rng.randrange(len(frames))
                if frames[at] == frames[other]:
                    continue
                frames[at], frames[other] = frames[other], frames[at]
            channel.send_multipart(frames)
    assert kernel.execute("return owned", timeout=30)[1][0]["content"]["data"]["text/plain"] == "nil"
    assert kernel.process.poll() is None


def test_signed_contents_of_any_type(kernel):
    """An authentic client that sends the wrong types everywhere gets errors or nothing, and the kernel goes on."""
    values = [None, True, -1, 1 << 62, 1.5, "x", "é" * 3000, [], [[]], {}, {"a": {"b": []}}]
    types = ["execute_request", "complete_request", "inspect_request", "is_complete_request", "history_request", "comm_info_request", "comm_open", "comm_msg", "comm_close",
             "connect_request", "kernel_info_request", "create_subshell_request", "delete_subshell_request", "list_subshell_request", "usage_request", "debug_request", "input_reply"]
    members = ["code", "cursor_pos", "detail_level", "silent", "store_history", "allow_stdin", "user_expressions", "stop_on_error", "hist_access_type", "n", "session", "start", "stop",
               "pattern", "unique", "output", "target_name", "comm_id", "data", "subshell_id", "restart", "value", "command", "arguments", "seq", "type"]
    rng = random.Random(11)
    for _ in range(600):
        content = {m: rng.choice(values) for m in rng.sample(members, rng.randrange(8))}
        channel = rng.choice([kernel.shell, kernel.shell, kernel.control, kernel.stdin])
        kernel.send(rng.choice(types), content, channel=channel, metadata={"cellId": rng.choice(values)}, subshell=rng.choice([None, None, None, "x", 7, {}]))
    assert kernel.execute("return 1", timeout=60)[0]["status"] == "ok"
    assert kernel.request("kernel_info_request", {}, channel=kernel.control)["content"]["status"] == "ok"


# ---- staying as it is

def test_thousands_of_cells_leave_nothing_behind(kernel):
    """A short soak; tests/bench/soak_bench.py has 24,000 cells."""
    def rounds(n):
        for i in range(n):
            kernel.execute(f"local a_{i % 50} = {{ {i} }} print(a_{i % 50}[1]) return {i}")
            if i % 10 == 0:
                kernel.execute("error('x')")
                kernel.request("complete_request", {"code": "str", "cursor_pos": 3})
    rounds(600)
    time.sleep(0.8)
    before = resident(kernel)
    rounds(1500)
    time.sleep(0.8)
    assert resident(kernel) - before < 2.0
    assert len(os.listdir(f"/proc/{kernel.process.pid}/task")) <= 8

"""The kernel against ipykernel and against the floor: a C program that only answers (bare_kernel.c). Raw client, in turn."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from table import Table

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "protocol"))
from raw_client import RawKernel, free_ports  # noqa: E402

LINES = 100_000


def bare():
    """Builds the floor."""
    out = ROOT / "build" / "bench" / "bare_kernel"
    out.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", out, ROOT / "tests/bench/bare_kernel.c", "-lzmq", "-lsodium"], check=True)
    return [str(out), "{connection_file}"]


def start(argv):
    """A kernel and the milliseconds from its start to its kernel_info_reply."""
    k = RawKernel(argv, wait=False, output=subprocess.DEVNULL)
    k.request("kernel_info_request", {}, timeout=60)
    return k, (time.perf_counter() - k.started) * 1e3


def starts(argv):
    k, ms = start(argv)
    k.close()
    return ms


def round_trip(k, code="1 + 1"):
    """µs until reply and idle are there."""
    began = time.perf_counter()
    msg_id = k.send("execute_request", {"code": code})
    while k.receive(timeout=60)["parent"] != msg_id:
        pass
    k.until_idle(msg_id, 60)
    return (time.perf_counter() - began) * 1e6


def reply_time(k, code="1 + 1"):
    """µs until the reply is there: what a user waits for."""
    began = time.perf_counter()
    msg_id = k.send("execute_request", {"code": code})
    while k.receive(timeout=60)["parent"] != msg_id:
        pass
    us = (time.perf_counter() - began) * 1e6
    k.until_idle(msg_id, 60)
    return us


def in_turn(kernels, measure, times, warm=200):
    """What each kernel takes, one after the other in each round; measure: a function, or one for each kernel."""
    measures = measure if isinstance(measure, tuple) else (measure,) * len(kernels)
    out = [[] for _ in kernels]
    for i in range(warm + times):
        for k, one, xs in zip(kernels, measures, out):
            taken = one(k)
            if i >= warm:
                xs.append(taken)
    return out


def print_lines(k, code):
    began = time.perf_counter()
    msg_id = k.send("execute_request", {"code": code})
    seen = sum(m["content"]["text"].count("\n") for m in k.until_idle(msg_id, 120) if m["type"] == "stream")
    seconds = time.perf_counter() - began
    assert seen == LINES, f"{LINES - seen} lines were lost"
    k.drain()
    return seconds * 1e3


def plain_lua():
    """The same lines from Lua alone, to a file."""
    began = time.perf_counter()
    subprocess.run(["lua5.4", "-e", f"for i = 1, {LINES} do print('line', i) end"], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1e3


def memory(k, what="Pss"):
    with open(f"/proc/{k.process.pid}/smaps_rollup") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(what + ":")) / 1024


def interrupt(k):
    """ms from the interrupt request to the reply of the cell that it ends."""
    k.send("execute_request", {"code": "while true do end"})
    time.sleep(0.05)
    began = time.perf_counter()
    k.send("interrupt_request", {}, channel=k.control)
    while k.receive(timeout=10)["type"] != "execute_reply":
        pass
    ms = (time.perf_counter() - began) * 1e3
    k.drain()
    return ms


def interrupts_inside(table):
    """ms from the interrupt to the end of the cell, within one process."""
    subprocess.run(["make", "-s", "build/bench/interrupt_inside"], cwd=ROOT, check=True)
    printed = subprocess.run([ROOT / "build/bench/interrupt_inside"], capture_output=True, text=True, check=True).stdout
    for line in printed.splitlines():
        kind, *ms = line.split()
        table.row(f"interrupt inside the process: {kind}", [float(t) for t in ms], [], "ms", "", "<= 0.2 ms")


def question(msg_type, content):
    """µs until the reply to a question about code is there."""
    def measure(k):
        began = time.perf_counter()
        msg_id = k.send(msg_type, content)
        while k.receive(timeout=60)["parent"] != msg_id:
            pass
        us = (time.perf_counter() - began) * 1e6
        k.until_idle(msg_id, 60)
        return us
    return measure


def first_output(k):
    """ms from sending a cell to the first of its output, while it goes on running."""
    began = time.perf_counter()
    msg_id = k.send("execute_request", {"code": "print('first') local t = os.clock() + 0.05 while os.clock() < t do end"})
    while k.receive(k.iopub, 10)["type"] != "stream":
        pass
    ms = (time.perf_counter() - began) * 1e3
    while k.receive(timeout=10)["parent"] != msg_id:
        pass
    k.until_idle(msg_id)
    return ms


def many(argv, n=50, idle=False):
    """Seconds until n kernels that start at once have answered; with idle, their memory (PSS, MB) when they are idle."""
    ports = free_ports(5 * n)  # taken one by one, a later kernel could get one that an earlier has not bound yet
    began = time.perf_counter()
    kernels = [RawKernel(argv, wait=False, output=subprocess.DEVNULL, ports=ports[5 * i:5 * i + 5]) for i in range(n)]
    asked = [k.send("kernel_info_request", {}) for k in kernels]
    for k, msg_id in zip(kernels, asked):
        while k.receive(timeout=60)["parent"] != msg_id:
            pass
    seconds = time.perf_counter() - began
    if idle:
        time.sleep(3)
    used = sum(memory(k) for k in kernels) if idle else 0
    for k in kernels:
        k.close()
    return used if idle else seconds


def main():
    table = Table("kernel")
    floor, lacus = bare(), [str(ROOT / "build/lacus"), "kernel", "-f", "{connection_file}"]
    peer = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(LACUS_HOME=home, IPYTHONDIR=home)
        for argv in (floor, lacus, peer):
            starts(argv)
        pairs = [(starts(lacus), starts(floor)) for _ in range(20)]
        table.row("start to kernel_info", [a for a, _ in pairs], [b for _, b in pairs], "ms", "bare kernel", "<= 1.3")
        table.row("start to kernel_info", [a for a, _ in pairs], [starts(peer) for _ in range(3)], "ms", "ipykernel", "-")
        ours, theirs, other = start(lacus)[0], start(floor)[0], start(peer)[0]
        time.sleep(1)
        for k in (ours, theirs, other):
            k.drain()
        idle = memory(ours), memory(other), memory(ours, "Rss"), memory(theirs, "Rss")
        a, b = in_turn((ours, theirs), round_trip, 3000)
        table.row("execute round trip until idle, p50", a, b, "us", "bare kernel", "<= 1.2")
        table.row("execute round trip until idle, p50", a, in_turn((other,), round_trip, 100, 20)[0], "us", "ipykernel", "-")
        a, b = in_turn((ours, theirs), reply_time, 3000)
        table.row("execute until the reply, p50", a, b, "us", "bare kernel", "<= 1.2")
        ours.execute("moonlight = 1 function moonrise(a, b) return a + b end")
        for what, content in (("complete_request", {"code": "moonr", "cursor_pos": 5}), ("inspect_request", {"code": "moonrise", "cursor_pos": 4, "detail_level": 0})):
            asked, floor_trip = in_turn((ours, theirs), (question(what, content), reply_time), 2000)
            table.row(f"{what}, p50", asked, floor_trip, "us", "bare kernel's round trip", "<= 1.2")
        table.row("first output visible", [first_output(ours) for _ in range(50)], [], "ms", "", "<= 5 ms")
        code = f"for i = 1, {LINES} do print('line', i) end"
        print_lines(ours, code), plain_lua()
        pairs = [(print_lines(ours, code), plain_lua()) for _ in range(5)]
        table.row("100,000 printed lines, none lost", [a for a, _ in pairs], [b for _, b in pairs], "ms", "plain lua to /dev/null", "<= 2")
        python = f"for i in range({LINES}): print('line', i)"
        table.row("100,000 printed lines, none lost", [a for a, _ in pairs], [print_lines(other, python) for _ in range(2)], "ms", "ipykernel", "-")
        table.row("interrupt a busy loop, seen by the client", [interrupt(ours) for _ in range(20)], [], "ms", "", "<= 2 ms")
        interrupts_inside(table)
        table.row("resident memory, idle", [idle[2]], [idle[3]], "MB", "bare kernel", "<= 7.5 MB")
        table.row("proportional memory, idle", [idle[0]], [idle[1]], "MB", "ipykernel", "-")
        fresh = start(lacus)[0]
        fresh.execute("io.write(('x'):rep(8000000))", timeout=60)
        time.sleep(10)
        table.row("resident memory, 10 s after 8 MB of output", [memory(fresh, "Rss")], [], "MB", "", "<= 12 MB")
        for k in (ours, theirs, other, fresh):
            k.close()
        runs = [(many(lacus), many(floor)) for _ in range(12)]
        table.row("50 kernels at once, until all have answered", [a for a, _ in runs], [b for _, b in runs], "s", "bare kernel", "<= 1.3")
        table.row("50 kernels at once, memory (PSS)", [many(lacus, idle=True)], [many(floor, idle=True)], "MB", "bare kernel", "<= 1.3")
    table.save(ROOT / "build" / "bench" / "kernel.json")



if __name__ == "__main__":
    main()

"""24,000 cells in one kernel: prints, results, errors, displays, widgets, completions. It must not grow, and the last must be as quick as the first."""
import os
import pathlib
import statistics
import sys
import tempfile
import time

from table import Table

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "protocol"))
from raw_client import RawKernel  # noqa: E402

CELLS, ROUND = 24_000, 2_000
KINDS = ["print({i})", "return {i}", "local a_{n} = {{{i}}} return a_{n}", "function f_{n}(x) return x + {i} end", "error('x{i}')", "for j = 1, 100 do io.write(j, ' ') end",
         "display.html('<b>{i}</b>')", "t = t or {{}} t[{n}] = ('x'):rep(1000)", "display({i}, {{display_id = 'd'}})", "co = coroutine.wrap(function() coroutine.yield({i}) end) co()"]


def resident(k):
    with open(f"/proc/{k.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def main():
    table, sizes, times = Table("soak"), [], []
    with tempfile.TemporaryDirectory() as home:
        os.environ["LACUS_HOME"] = home
        with RawKernel([str(ROOT / "build/lacus"), "kernel", "-f", "{connection_file}"]) as k:
            for i in range(CELLS):
                began = time.perf_counter()
                k.execute(KINDS[i % len(KINDS)].format(i=i, n=i % 100), timeout=60)
                times.append((time.perf_counter() - began) * 1e6)
                if (i + 1) % ROUND == 0:
                    time.sleep(1)
                    sizes.append(resident(k))
            threads = len(os.listdir(f"/proc/{k.process.pid}/task"))
            files = len(os.listdir(f"/proc/{k.process.pid}/fd"))
    print("resident MB after each 2,000 cells:", " ".join(f"{s:.2f}" for s in sizes), f"; {threads} threads, {files} files")
    table.row("24,000 cells: growth from the 6,000th on", [sizes[-1] - sizes[2]], [], "MB", "", "<= 1 MB")
    table.row("24,000 cells: the last 2,000 beside the first", [statistics.median(times[-ROUND:])], [statistics.median(times[:ROUND])], "us", "the first 2,000", "<= 1.1")
    table.save(ROOT / "build" / "bench" / "soak.json")


if __name__ == "__main__":
    main()

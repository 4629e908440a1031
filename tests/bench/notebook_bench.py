"""lacus run of a three-cell parameterized notebook against papermill with ipykernel, whole processes in turn; its CPU time; and the
prompt beside lua -i."""
import os
import pathlib
import pty
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from table import Table

ROOT = pathlib.Path(__file__).resolve().parents[2]


def notebook(path, kernel, *cells):
    made = [new_code_cell(c) for c in cells]
    made[0].metadata["tags"] = ["parameters"]
    nb = new_notebook(cells=made)
    nb.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "lua" if kernel == "lacus" else "python"}
    nbformat.write(nb, path)
    return path


def timed(*argv):
    start = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def cpu_ms(*argv, n=50):
    """User and system time of one run: how many of them one core does per second."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(n):
        timed(*argv)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000 / n


def prompt_ms(folder, prompt, *argv):
    """From the start of the process until the prompt is on the terminal."""
    start = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, os.environ | {"TERM": "xterm-256color", "LACUS_HOME": str(folder / "home"), "INPUTRC": "/dev/null"})
    seen = b""
    while prompt not in seen:
        seen += os.read(terminal, 4096)
    took = (time.perf_counter() - start) * 1000
    os.write(terminal, b"\x04")
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:
        pass  # the terminal is gone with the process
    os.waitpid(pid, 0)
    os.close(terminal)
    return took


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        ours = notebook(folder / "l.ipynb", "lacus", "n = 1", "local x = n * 2; print(x)", "x + 1")
        theirs = notebook(folder / "p.ipynb", "python3", "n = 1", "x = n * 2; print(x)", "x + 1")
        papermill = [sys.executable, "-m", "papermill", "-k", "python3", theirs, folder / "po.ipynb", "-p", "n", "5", "--no-progress-bar"]
        lacus = [ROOT / "build/lacus", "run", ours, "-p", "n", "5", "-o", folder / "lo.ipynb", "-q"]
        timed(*lacus), timed(*papermill)
        a, b = [], []
        for _ in range(5):
            a += [timed(*lacus) * 1000]
            b += [timed(*papermill) * 1000]
        table = Table("notebook")
        table.row("lacus run, 3 cells with a parameter, process", a, b, "ms", "papermill", "<= 10 ms")
        per_run = [cpu_ms(*lacus) for _ in range(3)]
        table.row("lacus run, 3 cells, CPU time", per_run, [10.0], "ms", "100 per second", "<= 1 x")
        ours, theirs = [], []
        for _ in range(30):
            ours.append(prompt_ms(folder, b"In [1]: ", str(ROOT / "build/lacus")))
            theirs.append(prompt_ms(folder, b"> ", shutil.which("lua5.4"), "-i"))
        table.row("start -> prompt", ours, theirs, "ms", "lua -i", "<= 2 x")
        table.save(ROOT / "build/bench/notebook.json")


if __name__ == "__main__":
    main()

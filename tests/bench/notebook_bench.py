"""lacus run of a three-cell parameterized notebook against papermill with ipykernel, whole processes in turn."""
import pathlib
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
        table.save(ROOT / "build/bench/notebook.json")


if __name__ == "__main__":
    main()

"""Runs of the example notebooks that several tests look at, small enough for a test: in each folder its own state."""
import functools
import os
import re
import subprocess

import nbformat

from lacus import LACUS, ROOT, environment

FINETUNE = ROOT / "examples" / "finetune.ipynb"
DATABRICKS = ROOT / "examples" / "databricks.ipynb"
SMALL = {"max_rows": 3000, "max_seconds": 6}


@functools.lru_cache(maxsize=1)
def missing():
    """Why examples/finetune.ipynb cannot run here; None when it can."""
    try:
        dump = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, timeout=120).stdout
    except OSError:
        return "SKIP: no apt-cache is installed"
    n = len(re.findall(r"^Package: ", dump, re.M))
    return None if n >= 10000 else f"SKIP: apt-cache dumpavail has {n} packages (apt-get update)"


def run(home, notebook, out, **parameters):
    args = [a for name, value in parameters.items() for a in ("-p", name, str(value))]
    done = subprocess.run([LACUS, "run", notebook, *args, "-o", out], capture_output=True, text=True, timeout=400, cwd=ROOT, env=environment(home))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done


def with_defaults(notebook, **parameters):
    """The notebook with other defaults of its text widgets, for clients that cannot pass parameters."""
    nb = nbformat.read(notebook, 4)
    for name, value in parameters.items():
        changed = 0
        for cell in nb.cells:
            cell.source, n = re.subn(rf'(dbutils\.widgets\.text\("{name}", ")[^"]*', rf"\g<1>{value}", cell.source)
            changed += n
        assert changed == 1, name
    return nb


def kinds(nb):
    """Per code cell what it shows: ("stream", "stdout") or the output's type with its MIME types."""
    return [sorted({(o.output_type, o.get("name") or "+".join(sorted(o.get("data", {})))) for o in c.outputs}) for c in nb.cells if c.cell_type == "code"]


def texts(nb):
    return "".join(o.get("text", "") for c in nb.cells if c.cell_type == "code" for o in c.outputs)


def kernel_environment(home, folder):
    """For Jupyter clients: only the lacus kernelspec of this build, nothing of the user's own."""
    subprocess.run([LACUS, "kernelspec", "install", "--prefix", folder], check=True, stdout=subprocess.DEVNULL, env=environment(home))
    return dict(LACUS_HOME=str(home), JUPYTER_PATH=str(folder / "share" / "jupyter"), JUPYTER_RUNTIME_DIR=str(folder / "runtime"),
                JUPYTER_CONFIG_DIR=str(folder / "config"), JUPYTER_DATA_DIR=str(folder / "data"), JUPYTER_PREFER_ENV_PATH="0",
                PATH=os.environ["PATH"])

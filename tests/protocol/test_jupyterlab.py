"""JupyterLab in headless Chromium: a notebook is opened and run, and a slider is moved with the mouse."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from kernels import LACUS, ROOT, environment
from raw_client import free_ports

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NODE = shutil.which("node") or next((str(p) for p in [ROOT / "build/tools/bin/node"] if p.exists()), None)
MODULES = ROOT / "build" / "node_modules"

pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="SKIP: no chromium is installed"),
    pytest.mark.skipif(not NODE, reason="SKIP: no node is installed"),
    pytest.mark.skipif(not (MODULES / "playwright-core").exists(), reason="SKIP: no playwright-core: make browser-deps"),
]

CELLS = [
    "print('hello from Lua')",
    "dbutils.widgets.text('learning_rate', '2e-4', 'Rate') dbutils.widgets.dropdown('model', 'small', {'small', 'large'})",
    "s = widgets.IntSlider{value = 3, max = 50, description = 'n'}\nseen = 0\ns:observe(function() seen = seen + 1 end, 'value')\nreturn s",
    "display.html('<b id=\"bold\">bold</b>')",
    "error('on purpose')",
    "return s.value, seen > 0, dbutils.widgets.get('model')",
]


@pytest.fixture()
def lab(tmp_path, monkeypatch):
    """The address of a JupyterLab of this test's own."""
    env = environment(tmp_path)
    subprocess.run([LACUS, "kernelspec", "install", "--prefix", str(tmp_path)], env=env, check=True, stdout=subprocess.DEVNULL)
    port = free_ports(1)[0]
    with open(tmp_path / "lab.log", "w") as log:
        server = subprocess.Popen([sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
                                   "--IdentityProvider.token=", f"--ServerApp.root_dir={tmp_path}"], env=env, stdout=log, stderr=log)
    base = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{base}/api/status", timeout=2).read()
            break
        except OSError:
            assert server.poll() is None, (tmp_path / "lab.log").read_text()
            time.sleep(0.2)
    yield base, tmp_path
    server.terminate()
    server.wait(20)


def test_a_notebook_in_the_browser(lab):
    base, folder = lab
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    nb.cells[4].metadata["tags"] = ["raises-exception"]
    nb.metadata["kernelspec"] = {"name": "lacus", "display_name": "lacus (Lua 5.4)", "language": "lua"}
    nbformat.write(nb, folder / "book.ipynb")
    shots = pathlib.Path(os.environ.get("LACUS_SCREENSHOTS", ROOT / "build" / "screenshots"))
    shots.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([NODE, str(ROOT / "tests/browser/jupyterlab.mjs"), base, "book.ipynb", str(shots / "jupyterlab.png")],
                          env=dict(os.environ, NODE_MODULES=str(MODULES), CHROMIUM=CHROMIUM), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr + (folder / "lab.log").read_text()[-2000:]
    seen = json.loads(done.stdout)
    before, after = seen["before"]["outputs"], seen["after"]
    assert seen["problems"] == []
    assert "hello from Lua" in before[0]
    assert "Rate" in before[1] and "model" in before[1]
    assert "n" in before[2] and "3" in before[2]
    assert before[3].strip() == "bold"
    assert "on purpose" in before[4] and "Cell In[5]" in before[4]
    assert before[5].split() == ["[6]:", "3", "false", "small"]
    value = int(seen["readout"])
    assert value > 3
    assert after[5].split() == ["[7]:", str(value), "true", "small"]
    assert (shots / "jupyterlab.png").stat().st_size > 10000

"""JupyterLab in headless Chromium: a notebook is opened and run, and a slider is moved with the mouse."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.request

import nbformat
import notebooks
import pytest
from kernels import LACUS, ROOT, environment
from raw_client import free_ports
from test_train import end_coordinator

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NODE = next((str(p) for p in [ROOT / "build/tools/bin/node"] if p.exists()), None) or shutil.which("node")
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


WIDGETS = [
    """-- a slider that Lua hears, and moves back when it goes too far
slider, told = widgets.IntSlider{value = 3, max = 50, description = 'n'}, widgets.Label('Lua has heard nothing')
slider:observe(function(change) told.value = 'Lua heard ' .. change.new end, 'value')
return widgets.HBox{slider, told}""",
    """name, pick, tick = widgets.Text{description = 'name', placeholder = 'who'}, widgets.Dropdown{options = {{'one', 1}, {'two', 2}}, description = 'pick'}, widgets.Checkbox{description = 'tick'}
local go, said = widgets.Button{description = 'Go', button_style = 'primary', icon = 'check'}, widgets.Label('…')
go:on_click(function() said.value = ('%s, %d, %s'):format(name.value, pick.value, tick.value) end)
local more = widgets.VBox{widgets.FloatRangeSlider{min = 0, max = 1, value = {0.2, 0.7}, step = 0.01, description = 'range'}, widgets.ToggleButtons{options = {'left', 'right'}, description = 'side'},
  widgets.DatePicker{value = '2026-01-31', description = 'date'}, widgets.ColorPicker{value = 'teal', description = 'colour'}, widgets.IntProgress{value = 70, description = 'done', bar_style = 'info'}}
return widgets.VBox{widgets.HBox{name, pick}, widgets.HBox{tick, go}, widgets.Tab{children = {more, widgets.HTMLMath{value = '$e^{i\\\\pi}$'}}, titles = {'more', 'formula'}}, said}""",
    """widgets.interact(function(waves, damped)
  local x, y = {}, {}
  for i = 1, 200 do x[i] = i / 20; y[i] = math.sin(waves * x[i]) * (damped and math.exp(-x[i] / 4) or 1) end
  return plot.line{x = x, y = y, height = 120}
end, {waves = {1, 8}, damped = true})""",
    """display(plot.heatmap{z = {{1, 4, 9}, {16, 25, 36}}, x = {'mon', 'tue', 'wed'}, y = {'am', 'pm'}, height = 80, title = 'heat'})
plot.box{a = {1, 2, 3, 4, 12}, b = {2, 3, 5, 6}, height = 120}""",
    """display.html('<b id="bold">bold</b>') display.latex('$x^2$') display.json{a = {1, 2}} display.svg('<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><circle r="9" cx="10" cy="10"/></svg>')
spark:createDataFrame{{name = 'a', n = 1}, {name = 'b', n = 2}}""",
    "for epoch in progress(3, {desc = 'epochs'}) do for step in progress(20, {desc = 'steps'}) do sleep(0.01) end end",
    "dbutils.widgets.dropdown('model', 'small', {'small', 'large'}) dbutils.widgets.slider('epochs', 3, 1, 10) dbutils.widgets.text{name = 'rate', default = 0.1, type = 'float'}",
    "local was = slider.value slider.value = 5 return was, name.value",
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


def browse(program, base, notebook, picture, folder, *more):
    """Runs a program of tests/browser/ on a notebook; what it saw. The picture goes to build/screenshots/."""
    shots = pathlib.Path(os.environ.get("LACUS_SCREENSHOTS", ROOT / "build" / "screenshots"))
    shots.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([NODE, str(ROOT / "tests/browser" / program), base, notebook, str(shots / picture), *more],
                          env=dict(os.environ, NODE_MODULES=str(MODULES), CHROMIUM=CHROMIUM), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr + (folder / "lab.log").read_text()[-2000:]
    assert (shots / picture).stat().st_size > 10000
    return json.loads(done.stdout)


def test_a_notebook_in_the_browser(lab):
    base, folder = lab
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    nb.cells[4].metadata["tags"] = ["raises-exception"]
    nb.metadata["kernelspec"] = {"name": "lacus", "display_name": "lacus (Lua 5.4)", "language": "lua"}
    nbformat.write(nb, folder / "book.ipynb")
    seen = browse("jupyterlab.mjs", base, "book.ipynb", "jupyterlab.png", folder)
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


def test_the_controls_in_the_browser(lab):
    base, folder = lab
    cells = ["x = 41", "print('looping') while true do pcall(function() while true do end end) end", "return x", ""]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nb.metadata["kernelspec"] = {"name": "lacus", "display_name": "lacus (Lua 5.4)", "language": "lua"}
    nbformat.write(nb, folder / "controls.ipynb")
    seen = browse("controls.mjs", base, "controls.ipynb", "controls.png", folder)
    assert seen["problems"] == []
    assert "looping" in seen["interrupted"][1] and "nterrupt" in seen["interrupted"][1]
    assert seen["interrupted"][2].split()[-1] == "41"
    assert seen["completed"] == "string.upper" and "string.upper(" in seen["tooltip"]
    assert "41" not in seen["restarted"][2]


def test_tracebacks_fold_in_the_browser(lab):
    base, folder = lab
    cells = ["local function inner(x)\n  local list = {1, 2}\n  return x.a.b\nend\nfunction outer(y)\n  return 1 + inner(y)\nend\nouter({})", "%tb", "%xmode folded", "outer({})"]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    for i in (0, 3):
        nb.cells[i].metadata["tags"] = ["raises-exception"]
    nb.metadata["kernelspec"] = {"name": "lacus", "display_name": "lacus (Lua 5.4)", "language": "lua"}
    nbformat.write(nb, folder / "folds.ipynb")
    seen = browse("folds.mjs", base, "folds.ipynb", "folds.png", folder)
    assert seen["problems"] == []
    before, after = seen["before"], seen["after"]
    assert [len(parts) for parts in before] == [0, 3, 0, 3]
    assert [p["open"] for p in before[1]] == [True, False, False] == [p["open"] for p in before[3]]
    assert "return x.a.b" in before[1][0]["seen"] and "list = table with 2 entries" in before[1][0]["seen"] and before[1][1]["seen"] == ""
    assert [p["open"] for p in after[1]] == [False, True, False] and after[1][0]["seen"] == "" and "inner(y)" in after[1][1]["seen"]
    assert seen["outputs"][3].splitlines()[-1].startswith("RuntimeError: attempt to index a nil value (field 'a')")


def test_widgets_in_the_browser(lab):
    """Both ways: what is moved, typed and chosen changes Lua's state, and Lua changes what is seen. Rich outputs are drawn."""
    base, folder = lab
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in WIDGETS])
    nb.metadata["kernelspec"] = {"name": "lacus", "display_name": "lacus (Lua 5.4)", "language": "lua"}
    nbformat.write(nb, folder / "widgets.ipynb")
    seen = browse("widgets.mjs", base, "widgets.ipynb", "widgets.png", folder)
    assert seen["problems"] == [] and seen["errors"] == 0, seen
    assert seen["before"]["readout"] == "5"  # the last cell of Run All set it
    moved = int(seen["moved"]["readout"])
    assert moved > 5 and seen["moved"]["label"] == f"Lua heard {moved}"
    assert seen["chosen"] == "typed, 2, true"
    assert seen["after"]["readout"] == "5" and seen["after"]["outputs"][-1].split()[-2:] == [str(moved), "typed"]
    drawn = seen["drawn"]
    assert drawn["charts"] == 2 and drawn["interact"] == 1 and drawn["tables"] == 1 and drawn["bold"] == 1 and drawn["bars"] >= 1, drawn
    assert drawn["formula"] >= 1 and drawn["json"] == 1 and drawn["drawing"] >= 1, drawn
    assert seen["parameters"] >= 3


def test_a_closed_notebook_shows_its_widgets(lab):
    """`lacus run` has kept their state: JupyterLab draws them without running a cell."""
    base, folder = lab
    cells = ["s = widgets.IntSlider{value = 3, max = 50, description = 'kept'}\nreturn s", "s.value = 42", "widgets.interact(function(x) print('x was', x) end, {x = 7})"]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nb.metadata["kernelspec"] = {"name": "lacus", "display_name": "lacus (Lua 5.4)", "language": "lua"}
    nbformat.write(nb, folder / "in.ipynb")
    subprocess.run([LACUS, "run", str(folder / "in.ipynb"), "-o", str(folder / "closed.ipynb"), "-q"], env=environment(folder), check=True, timeout=60)
    subprocess.run([sys.executable, "-m", "jupyter", "trust", str(folder / "closed.ipynb")], env=environment(folder), check=True, timeout=60, stdout=subprocess.DEVNULL)
    seen = browse("closed.mjs", base, "closed.ipynb", "closed.png", folder)
    assert seen["readout"] == "42" and "kept" in seen["outputs"][0] and "x was\t7" in seen["outputs"][2].replace("    ", "\t"), seen


@pytest.mark.skipif(notebooks.missing() is not None, reason=str(notebooks.missing()))
def test_the_example_in_the_browser(lab):
    """examples/finetune.ipynb by Run All: no error, the controls, the tables and the curve are there."""
    base, folder = lab
    nbformat.write(notebooks.with_defaults(notebooks.FINETUNE, max_rows=os.environ.get("LACUS_EXAMPLE_ROWS", 3000), max_seconds=os.environ.get("LACUS_EXAMPLE_SECONDS", 6)),
                   folder / "finetune.ipynb")
    try:
        seen = browse("notebook.mjs", base, "finetune.ipynb", "finetune.png", folder, "4", "6", "7")  # in the picture: not all of the data, not the model
    finally:
        end_coordinator(folder / "lacus")
    assert seen["problems"] == [] and sum(seen["errors"]) == 0
    assert seen["controls"][0] == 5
    assert seen["charts"] == [0, 0, 0, 0, 1, 1, 0, 0, 0]
    assert seen["tables"][7] == 1
    assert "records" in seen["outputs"][1] and "|    libs|" in seen["outputs"][2]
    assert "trainable params: " in seen["outputs"][4] and "time is up" in seen["outputs"][5]
    assert "accuracy on " in seen["outputs"][6]
    assert "sft-lora\tFINISHED" in seen["outputs"][7] and "pre-training\tFINISHED" in seen["outputs"][7]
    assert "python3-requests" in seen["outputs"][8]


DEBUGGED = """local function area(w, h)
  local sides = {w = w, h = h}
  local a = w * h
  return a
end
print(area(6, 7))"""


def test_the_debugger_in_the_browser(lab):
    """A breakpoint is set by a click; the cell stops there, its variables are shown, it is stepped and goes on."""
    base, folder = lab
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(DEBUGGED)])
    nb.metadata["kernelspec"] = {"name": "lacus", "display_name": "lacus (Lua 5.4)", "language": "lua"}
    nbformat.write(nb, folder / "debug.ipynb")
    seen = browse("debugger.mjs", base, "debug.ipynb", "debugger.png", folder)
    assert seen["problems"] == []
    assert len(seen["breakpoints"]) == 1 and "3" in seen["breakpoints"][0]
    assert "area" in seen["stack"][0] and "Cell In[1]" in seen["stack"][1]
    shown = " ".join(seen["variables"])
    bare = re.sub("[ :]", "", shown)
    assert "w6" in bare and "sides" in bare and ("{h=7,w=6}" in bare or "{w=6,h=7}" in bare)
    assert "42" in " ".join(seen["stepped"]["variables"])
    assert "area" in seen["restarted"][0]
    assert "42" in seen["outputs"][0]

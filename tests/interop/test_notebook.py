"""lacus run against nbformat and papermill's conventions."""
import json
import os
import signal
import subprocess
import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from lacus import LACUS, environment, lacus


def write(path, *cells):
    nb = new_notebook(cells=[c if not isinstance(c, str) else new_code_cell(c) for c in cells])
    nb.metadata["kernelspec"] = {"name": "lacus", "display_name": "lacus", "language": "lua"}
    nbformat.write(nb, path)
    return path


def outputs(path):
    nb = nbformat.read(path, 4)
    nbformat.validate(nb)
    return [[o for o in c.outputs] for c in nb.cells if c.cell_type == "code"]


def test_outputs_are_stored_and_valid(home, tmp_path):
    path = write(tmp_path / "a.ipynb", 'print("héllo"); io.stderr:write("warn\\n")', new_markdown_cell("# text"), "local t = {1, 2}\n#t", "1 + 1")
    done = lacus(home, "run", path, "-o", tmp_path / "out.ipynb")
    assert done.returncode == 0, done.stderr
    first, second, third = outputs(tmp_path / "out.ipynb")
    assert {o.name: o.text for o in first} == {"stdout": "héllo\n", "stderr": "warn\n"}
    assert second[0].output_type == "execute_result" and second[0].data["text/plain"] == "2"
    assert third[0].execution_count == 3
    assert "héllo" in done.stdout
    assert outputs(path)[0] == []  # the input is untouched


def test_parameters(home, tmp_path):
    cell = new_code_cell("local n = 1\nname = 'x'")
    cell.metadata["tags"] = ["parameters"]
    path = write(tmp_path / "p.ipynb", cell, "print(n, name)")
    (tmp_path / "p.json").write_text(json.dumps({"name": 'a"b\n'}))
    done = lacus(home, "run", path, "-p", "n", "7", "-f", tmp_path / "p.json", "-o", tmp_path / "o.ipynb")
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path / "o.ipynb")[-1][0].text == '7\ta"b\n\n'
    nb = nbformat.read(tmp_path / "o.ipynb", 4)
    assert nb.cells[1].metadata.tags == ["injected-parameters"]
    # run again on its own output: still one set of values, the newest
    done = lacus(home, "run", tmp_path / "o.ipynb", "-p", "n", "8")
    assert done.returncode == 0 and outputs(tmp_path / "o.ipynb")[-1][0].text.startswith("8")


def test_error_stops_and_is_stored(home, tmp_path):
    path = write(tmp_path / "e.ipynb", "x = 1", "local t = nil\nt.field = 1", "print('never')")
    done = lacus(home, "run", path)
    assert done.returncode == 1 and "cell 2" in done.stderr
    stored = outputs(path)
    assert stored[1][0].output_type == "error" and stored[2] == []


def test_raises_exception_tag_goes_on(home, tmp_path):
    cell = new_code_cell("error('expected')")
    cell.metadata["tags"] = ["raises-exception"]
    path = write(tmp_path / "e.ipynb", cell, "print('on')")
    assert lacus(home, "run", path).returncode == 0
    assert outputs(path)[1][0].text == "on\n"


def test_killed_run_leaves_a_valid_notebook(home, tmp_path):
    path = write(tmp_path / "k.ipynb", "print('first')", "for i = 1, 1e9 do print(i); if i % 1000 == 0 then os.execute('sleep 0.05') end end")
    run = subprocess.Popen([LACUS, "run", path, "-q"], env=environment(home))
    time.sleep(2)
    run.send_signal(signal.SIGKILL)
    run.wait()
    stored = outputs(path)
    assert stored[0][0].text == "first\n"
    assert stored[1] and stored[1][0].text.startswith("1\n2\n")
    assert [f for f in os.listdir(tmp_path) if f.endswith(".ipynb")] == ["k.ipynb"]


@pytest.mark.parametrize("sig, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_the_run_and_keep_what_was_there(home, tmp_path, sig, code):
    path = write(tmp_path / "s.ipynb", "print('first')", "while true do end", "print('never')")
    run = subprocess.Popen([LACUS, "run", path, "-q"], env=environment(home), stderr=subprocess.PIPE, text=True,
                           preexec_fn=lambda: signal.signal(sig, signal.SIG_DFL))  # what nohup ignores, a run ignores, too
    time.sleep(1)
    run.send_signal(sig)
    _, err = run.communicate(timeout=20)
    assert run.returncode == code, err
    stored = outputs(path)
    assert stored[0][0].text == "first\n" and stored[2] == []


@pytest.mark.parametrize("sig, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_between_cells_end_the_run(home, tmp_path, sig, code):
    """Cells that take no time: the signal nearly always arrives while none of them runs."""
    path = write(tmp_path / "many.ipynb", *(f"print({i})" for i in range(3000)))
    run = subprocess.Popen([LACUS, "run", path], env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "[5/3000]" not in run.stdout.readline():
        assert run.poll() is None
    run.send_signal(sig)
    _, err = run.communicate(timeout=60)
    assert run.returncode == code, err
    assert "interrupted" in err
    stored = outputs(path)
    assert stored[0][0].text == "0\n" and stored[-1] == []


def test_display_updates_in_place(home, tmp_path):
    path = write(tmp_path / "d.ipynb", "h = display(1, {display_id = true})\nh:update(2)", "h:update(3)")
    assert lacus(home, "run", path).returncode == 0
    first, second = outputs(path)
    assert len(first) == 1 and first[0].data["text/plain"] == "3" and second == []
    assert first[0].metadata == {}


@pytest.mark.parametrize("text, word", [("{", "line 1"), ("{}", "nbformat"), ('{"nbformat": 3, "cells": []}', "nbformat 3"),
                                        ('{"nbformat": 4, "cells": [{"cell_type": "code", "source": 5}]}', "cell 1"), ("\0\1\2", "cannot read")])
def test_broken_notebooks(home, tmp_path, text, word):
    path = tmp_path / "broken.ipynb"
    path.write_text(text)
    done = lacus(home, "run", path)
    assert done.returncode != 0 and word in done.stderr and "broken.ipynb" in done.stderr
    assert path.read_text() == text


def test_missing_notebook(home):
    done = lacus(home, "run", "/none/such.ipynb")
    assert done.returncode == 66 and "'/none/such.ipynb'" in done.stderr


def test_no_one_to_ask(home, tmp_path):
    path = write(tmp_path / "i.ipynb", "local x = io.read()")
    done = lacus(home, "run", path)
    assert done.returncode == 1 and "dbutils.widgets" in done.stderr + done.stdout


def test_scripts(home, tmp_path):
    assert lacus(home, text="print(1 + 1)").stdout == "2\n"
    assert lacus(home, "-e", "print(...)").returncode == 0
    done = lacus(home, text="error('no')")
    assert done.returncode == 1 and "no" in done.stderr and done.stdout == ""
    (tmp_path / "s.lua").write_text("#!/usr/bin/env lacus\nprint(debug.getinfo(1, 'l').currentline)\n")
    assert lacus(home, tmp_path / "s.lua").stdout == "2\n"

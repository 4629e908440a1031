"""jupyter_kernel_test against the built program, through its own kernelspec; nbclient, papermill and jupyter-console with it."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import jupyter_kernel_test
import nbformat
import pytest
from kernels import LACUS, environment, home  # noqa: F401

_folder = tempfile.mkdtemp(prefix="lacus-kernel-")
_saved = {}


def setUpModule():
    for name, value in environment(pathlib.Path(_folder)).items():
        _saved[name] = os.environ.get(name)
        os.environ[name] = value
    subprocess.run([LACUS, "kernelspec", "install", "--prefix", _folder], check=True, stdout=subprocess.DEVNULL)


def tearDownModule():
    for name, value in _saved.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    shutil.rmtree(_folder, ignore_errors=True)


class LacusTests(jupyter_kernel_test.KernelTests):
    kernel_name = "lacus"
    language_name = "lua"
    file_extension = ".lua"
    code_hello_world = "print('hello, world')"
    code_stderr = "io.stderr:write('to stderr\\n')"
    completion_samples = [
        {"text": "string.gma", "matches": {"gmatch"}},
        {"text": "math.hug", "matches": {"huge"}},
        {"text": "widgets.IntSl", "matches": {"IntSlider"}},
        {"text": "dbut", "matches": {"dbutils"}},
    ]
    complete_code_samples = ["x = 1", "return 1 + 1", "function f() return 1 end", "for i = 1, 3 do print(i) end", "1 + 1", "-- only a comment"]
    incomplete_code_samples = ["function f()", "x = {1,", "for i = 1, 3 do", "s = [[text", "if x then", "print("]
    invalid_code_samples = ["x = = 1", "end", "local 3 = x", "return )"]
    code_page_something = "string.rep?"
    code_generate_error = "error('as asked')"
    code_execute_result = [
        {"code": "6 * 7", "result": "42"},
        {"code": "return 'a' .. 'b', 3", "result": "ab\t3"},
        {"code": "1 / 2", "result": "0.5"},
    ]
    code_display_data = [
        {"code": "display.html('<b>x</b>')", "mime": "text/html"},
        {"code": "display.markdown('*x*')", "mime": "text/markdown"},
        {"code": "display.svg('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')", "mime": "image/svg+xml"},
        {"code": "display.json({a = 1})", "mime": "application/json"},
    ]
    code_history_pattern = "6 *"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "string.rep"
    code_clear_output = "clear_output()"


class LacusWelcome(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "lacus"
    support_iopub_welcome = True


# jupyter_kernel_test's own classes are imported as a module: pytest does not collect them

def install(home):
    subprocess.run([LACUS, "kernelspec", "install", "--prefix", str(home)], check=True, stdout=subprocess.DEVNULL)


def notebook(*cells, **metadata):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nb.metadata["kernelspec"] = {"name": "lacus", "display_name": "lacus", "language": "lua"}
    return nb


def test_kernelspec(home):
    install(home)
    folder = home / "share" / "jupyter" / "kernels" / "lacus"
    spec = json.loads((folder / "kernel.json").read_text())
    assert os.path.isabs(spec["argv"][0]) and os.access(spec["argv"][0], os.X_OK)
    assert spec["argv"][1:] == ["kernel", "-f", "{connection_file}"]
    assert (spec["display_name"], spec["language"], spec["interrupt_mode"]) == ("lacus (Lua 5.4)", "lua", "message")
    assert (folder / "logo-64x64.png").read_bytes()[:4] == b"\x89PNG" and "<svg" in (folder / "logo-svg.svg").read_text()
    listed = subprocess.run([sys.executable, "-m", "jupyter", "kernelspec", "list", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(listed.stdout)["kernelspecs"]["lacus"]["resource_dir"] == str(folder)
    install(home)  # again: the same
    gone = subprocess.run([LACUS, "kernelspec", "uninstall", "--prefix", str(home)], capture_output=True, text=True)
    assert (gone.returncode, gone.stderr) == (0, "") and gone.stdout.startswith("removed the kernelspec lacus in ")
    assert not folder.exists()
    again = subprocess.run([LACUS, "kernelspec", "uninstall", "--prefix", str(home)], capture_output=True, text=True)
    assert again.returncode != 0 and str(folder) in again.stderr


def test_kernelspec_for_the_user_and_the_environment(home, monkeypatch):
    assert subprocess.run([LACUS, "kernelspec", "install", "--user"], stdout=subprocess.DEVNULL).returncode == 0
    assert (home / "data" / "kernels" / "lacus" / "kernel.json").exists()
    monkeypatch.setenv("VIRTUAL_ENV", str(home / "venv"))
    assert subprocess.run([LACUS, "kernelspec", "install", "--sys-prefix"], stdout=subprocess.DEVNULL).returncode == 0
    assert (home / "venv" / "share" / "jupyter" / "kernels" / "lacus" / "kernel.json").exists()
    assert subprocess.run([LACUS, "kernelspec", "install", "--nonsense"], capture_output=True).returncode != 0


def test_nbclient_runs_a_notebook(home):
    from nbclient import NotebookClient
    install(home)
    nb = notebook("local n = 0\nfunction inc() n = n + 1 end", "inc() inc() print(n)", "display.html('<i>x</i>')", "return n * 21", "widgets.IntSlider{value = 3}")
    NotebookClient(nb, timeout=60, kernel_name="lacus").execute()
    nbformat.validate(nb)
    assert nb.cells[1].outputs[0].text == "2\n"
    assert nb.cells[2].outputs[0].data["text/html"] == "<i>x</i>"
    assert nb.cells[3].outputs[0].data["text/plain"] == "42"
    assert [c.execution_count for c in nb.cells] == [1, 2, 3, 4, 5]
    states = nb.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    assert any(s["model_name"] == "IntSliderModel" and s["state"]["value"] == 3 for s in states.values())


def test_nbclient_stops_at_an_error(home):
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    install(home)
    nb = notebook("x = 1", "error('stop here')", "x = 2")
    with pytest.raises(CellExecutionError, match="stop here"):
        NotebookClient(nb, timeout=60, kernel_name="lacus").execute()
    assert nb.cells[2].execution_count is None


def test_papermill_runs_a_notebook(home):
    import papermill
    install(home)
    nb = notebook("alpha = 1", "return alpha")
    nbformat.write(nb, home / "in.ipynb")
    papermill.execute_notebook(str(home / "in.ipynb"), str(home / "out.ipynb"), kernel_name="lacus", progress_bar=False)
    out = nbformat.read(home / "out.ipynb", 4)
    assert out.cells[1].outputs[0].data["text/plain"] == "1"


def test_jupyter_console(home):
    install(home)
    done = subprocess.run([sys.executable, "-m", "jupyter_console", "--kernel", "lacus", "--simple-prompt", "--ZMQTerminalInteractiveShell.kernel_timeout=20"],
                          input="print('from ' .. 'console')\n6 * 7\nexit\n", capture_output=True, text=True, timeout=90)
    assert "from console" in done.stdout and "42" in done.stdout, done.stdout + done.stderr


def test_restart_gives_a_fresh_session(home):
    from jupyter_client.manager import start_new_kernel
    install(home)
    km, kc = start_new_kernel(kernel_name="lacus")
    try:
        kc.execute_interactive("x = 5", timeout=20)
        km.restart_kernel()
        kc.wait_for_ready(timeout=20)
        seen = []
        kc.execute_interactive("return x", timeout=20, output_hook=lambda m: seen.append(m))
        assert [m["content"]["data"]["text/plain"] for m in seen if m["msg_type"] == "execute_result"] == ["nil"]
        km.interrupt_kernel()
        time.sleep(1)  # it travels on another channel, unanswered: what is sent at once may overtake it, and be interrupted
        assert kc.execute_interactive("1", timeout=20)["content"]["status"] == "ok"
    finally:
        kc.stop_channels()
        km.shutdown_kernel()


def test_ipc_transport(home):
    from jupyter_client.manager import KernelManager
    install(home)
    km = KernelManager(kernel_name="lacus", transport="ipc", ip=str(home / "ipc"))
    km.start_kernel()
    kc = km.client()
    kc.start_channels()
    try:
        kc.wait_for_ready(timeout=20)
        assert kc.execute_interactive("1", timeout=20)["content"]["status"] == "ok"
    finally:
        kc.stop_channels()
        km.shutdown_kernel()

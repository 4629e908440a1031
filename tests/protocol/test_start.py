"""What a process loads: a kernel that only computes pays for nothing else; what is missing is named with its package."""
import pathlib

from kernels import LACUS, home  # noqa: F401
from raw_client import RawKernel


def start():
    return RawKernel([LACUS, "kernel", "-f", "{connection_file}"])


def loaded(k):
    return pathlib.Path(f"/proc/{k.process.pid}/maps").read_text()


def test_a_kernel_loads_sqlite_with_its_first_cell_and_never_readline(home):
    with start() as k:
        assert "libjansson" in loaded(k)
        for name in ("libsqlite3", "libreadline", "libtinfo", "libcurl", "libduckdb", "/plugins/"):
            assert name not in loaded(k), name
        k.execute("1 + 1")
        assert k.request("history_request", {"hist_access_type": "tail", "n": 1})["content"]["history"] == [[1, 1, "1 + 1"]]
        assert "libsqlite3" in loaded(k) and "libreadline" not in loaded(k)


def test_without_sqlite_cells_run_and_the_package_is_named(home, tmp_path, monkeypatch):
    for name in ("libsqlite3.so.0", "libsqlite3.so"):
        (tmp_path / name).write_text("no library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    with start() as k:
        text = ""
        for _ in range(100):  # the writer looks for it beside the cells
            reply, messages = k.execute("print(1)")
            assert reply["status"] == "ok"
            text += "".join(m["content"]["text"] for m in messages if m["content"].get("name") == "stderr")
            if text:
                break
        assert "libsqlite3.so.0" in text and "apt-get install libsqlite3-0" in text and "keeps no history" in text
        reply = k.execute("mlflow.set_experiment('x')")[0]
        assert reply["status"] == "error" and "libsqlite3.so.0" in reply["evalue"]

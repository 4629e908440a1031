"""What the kernel tests share: the built program, a state folder and a Jupyter path of their own."""
import os
import pathlib

import pytest
from raw_client import RawKernel

ROOT = pathlib.Path(__file__).resolve().parents[2]
LACUS = os.environ.get("LACUS_PROGRAM", str(ROOT / "build" / "lacus"))


def environment(folder):
    """Nothing of the user's own is read or written."""
    env = dict(os.environ, LACUS_HOME=str(folder / "lacus"), HOME=str(folder), JUPYTER_PATH=str(folder / "share" / "jupyter"),
               JUPYTER_RUNTIME_DIR=str(folder / "runtime"), JUPYTER_CONFIG_DIR=str(folder / "config"), JUPYTER_DATA_DIR=str(folder / "data"),
               IPYTHONDIR=str(folder / "ipython"))
    for name in ("JPY_PARENT_PID", "JPY_SESSION_NAME", "XDG_DATA_HOME"):
        env.pop(name, None)
    return env


@pytest.fixture()
def home(tmp_path, monkeypatch):
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture()
def kernel(home):
    with RawKernel([LACUS, "kernel", "-f", "{connection_file}"]) as k:
        yield k


def text(messages, name="stdout"):
    return "".join(m["content"]["text"] for m in messages if m["type"] == "stream" and m["content"]["name"] == name)

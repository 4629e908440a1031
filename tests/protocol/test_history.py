"""history_request: tail, range and search, with results, across restarts, several kernels at once."""
import concurrent.futures
import sqlite3
import time

from kernels import LACUS, home, kernel  # noqa: F401
from raw_client import RawKernel


def ask(kernel, kind, **more):
    reply = kernel.request("history_request", dict({"output": False, "raw": True, "hist_access_type": kind}, **more))
    assert reply["type"] == "history_reply" and reply["content"]["status"] == "ok"
    return reply["content"]["history"]


def another(home):
    return RawKernel([LACUS, "kernel", "-f", "{connection_file}"])


def test_tail_range_search_across_restarts(home):
    with another(home) as k:
        for code in ("a = 1", "return a + 41", "error('x')", "b = 2"):
            k.execute(code)
        k.execute("hidden = 1", silent=True)
        k.execute("hidden = 2", store_history=False)
        assert ask(k, "tail", n=2) == [[1, 3, "error('x')"], [1, 4, "b = 2"]]
        assert ask(k, "range", session=0, start=2, stop=4) == [[1, 2, "return a + 41"], [1, 3, "error('x')"]]
        k.request("shutdown_request", {"restart": True}, channel=k.control)
        k.process.wait(5)
    with another(home) as k:
        k.execute("return 'second'")
        k.execute("b = 2")
        assert ask(k, "range", session=-1, start=1, stop=None) == [[1, 1, "a = 1"], [1, 2, "return a + 41"], [1, 3, "error('x')"], [1, 4, "b = 2"]]
        assert ask(k, "range", session=1, start=4, stop=5) == [[1, 4, "b = 2"]]
        assert ask(k, "range", session=7, start=1, stop=5) == []
        assert ask(k, "tail", n=3, output=True) == [[1, 4, ["b = 2", None]], [2, 1, ["return 'second'", "second"]], [2, 2, ["b = 2", None]]]
        assert ask(k, "range", session=1, start=2, stop=3, output=True) == [[1, 2, ["return a + 41", "42"]]]
        assert ask(k, "search", pattern="*a*", n=10) == [[1, 1, "a = 1"], [1, 2, "return a + 41"]]
        assert ask(k, "search", pattern="b = ?", n=10) == [[1, 4, "b = 2"], [2, 2, "b = 2"]]
        assert ask(k, "search", pattern="b = ?", n=10, unique=True) == [[2, 2, "b = 2"]]
        assert ask(k, "search", pattern="b = ?", n=1) == [[2, 2, "b = 2"]]
        assert ask(k, "tail", n=0) == []


def test_bad_requests_are_answered(kernel):
    kernel.execute("1")
    for bad in ({}, {"hist_access_type": "nonsense"}, {"hist_access_type": 7}, {"n": -5}, {"n": "x", "pattern": 3},
                {"hist_access_type": "range", "session": 1 << 60, "start": -9, "stop": "x"}, {"hist_access_type": "search", "pattern": "[" * 10000}):
        assert kernel.request("history_request", bad)["content"]["status"] in ("ok", "error")
    reply = kernel.request("history_request", {"hist_access_type": "nonsense"})["content"]
    assert reply["status"] == "error" and "'tail', 'range' or 'search', not 'nonsense'" in reply["evalue"]
    assert kernel.execute("1")[0]["status"] == "ok"


def test_a_long_result_is_kept_in_part(kernel):
    kernel.execute("return ('é'):rep(100000)")
    (_, _, (_, output)), = ask(kernel, "tail", n=1, output=True)
    assert output == "é" * len(output) and 30000 < len(output) < 100000


def test_a_history_of_the_first_version_is_kept(home):
    path = home / "lacus" / "history.db"
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.executescript("CREATE TABLE sessions(session INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, started TEXT NOT NULL);"
                         "CREATE TABLE cells(session INTEGER NOT NULL, line INTEGER NOT NULL, source TEXT NOT NULL, PRIMARY KEY(session, line));"
                         "INSERT INTO sessions(id, started) VALUES('x', 'y'); INSERT INTO cells VALUES(1, 1, 'old = 1'); PRAGMA user_version = 1;")
    db.close()
    with another(home) as k:
        k.execute("return 2")
        assert ask(k, "tail", n=9, output=True) == [[1, 1, ["old = 1", None]], [2, 1, ["return 2", "2"]]]


def test_several_kernels_write_at_once(home):
    def run(i):
        with another(home) as k:
            for n in range(10):
                assert k.execute(f"return {i} * {n}")[0]["status"] == "ok"
            return [item[2] for item in ask(k, "range", session=0, start=1, stop=11)]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for i, mine in enumerate(pool.map(run, range(4))):
            assert mine == [f"return {i} * {n}" for n in range(10)]
    with another(home) as k:
        assert len(ask(k, "tail", n=1000)) == 40


def test_what_was_run_is_there_after_a_kill(home):
    with another(home) as k:
        k.execute("kept = 1")
        time.sleep(0.6)  # written together with what follows closely
        k.process.kill()
        k.process.wait()
    with another(home) as k:
        assert ask(k, "tail", n=1) == [[1, 1, "kept = 1"]]

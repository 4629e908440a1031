"""make install gives a tree that works wherever it is put; make uninstall takes it away again."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = """local df = spark:createDataFrame({{1, "a"}, {2, "b"}, {3, "b"}}, {"n", "k"})
for _, row in ipairs(df:groupBy("k"):agg(F.sum("n"):alias("s")):orderBy("k"):collect()) do print(row.k, row.s) end"""


def make(*args):
    flags = (ROOT / "build" / "flags").read_text()  # what was built is installed, not built again
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "SAN", "LACUS"))}
    done = subprocess.run(["make", *(["DEVELOPER=1"] if "-Werror" in flags else ["DEVELOPER=0"]), *args], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run(tree, tmp_path, *args, text=""):
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LACUS_HOME": str(tmp_path / "home"), "NO_COLOR": "1"}
    return subprocess.run([tree / "bin" / "lacus", *args], input=text, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)


@pytest.fixture
def tree(tmp_path):
    make("install", f"DESTDIR={tmp_path / 'dest'}", "PREFIX=/opt/with blanks")
    return tmp_path / "dest" / "opt" / "with blanks"


def test_installed_tree_runs_elsewhere(tree, tmp_path):
    moved = tmp_path / "somewhere else"
    shutil.move(tree, moved)
    done = run(moved, tmp_path, "-", text=SCRIPT)
    assert done.stdout == "a\t1\nb\t5\n", done.stdout + done.stderr
    found = json.loads(run(moved, tmp_path, "doctor", "--output", "json").stdout)
    places = json.dumps(found)
    for part in ("lib/lacus/plugins/engine_duckdb.so", "lib/lacus/plugins/http.so", "lib/lacus/lib/libduckdb.so"):
        assert str(moved / part) in places, places
    assert str(ROOT / "build") not in places


def test_manual_page(tree, tmp_path):
    page = tree / "share" / "man" / "man1" / "lacus.1"
    text = page.read_text()
    for name in ("run", "serve", "worker", "doctor", "tables"):
        assert f"\n.B lacus {name}" in text
    assert "coordinator" not in text  # nobody calls it
    if shutil.which("man"):
        done = subprocess.run(["man", "-l", "--warnings", page], capture_output=True, text=True, env=dict(os.environ, MANPAGER="cat", LC_ALL="C.UTF-8"))
        assert done.returncode == 0 and not done.stderr and "EXIT STATUS" in done.stdout, done.stderr


def test_uninstall_leaves_nothing(tree, tmp_path):
    bystander = tmp_path / "dest" / "opt" / "with"
    bystander.mkdir()
    make("uninstall", f"DESTDIR={tmp_path / 'dest'}", "PREFIX=/opt/with blanks")
    assert bystander.is_dir()
    assert [p for p in tree.rglob("*") if not p.is_dir()] == []
    assert not (tree / "lib" / "lacus").exists()


def test_compilation_database():
    make("-B", "compile_commands.json")
    entries = json.loads((ROOT / "compile_commands.json").read_text())
    files = {e["file"] for e in entries}
    listed = subprocess.run(["git", "ls-files", "runtime/*.c", "gpu/*.c", "kernel/*.c", "repl/*.c", "magics/*.c", "widgets/*.c"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    missing = {p for p in listed if (ROOT / p).exists() and not p.startswith("gpu/cuda/")} - files  # those are of "make cuda"
    assert not missing, missing
    assert all(" -c " in e["command"] for e in entries)

"""lacus run as a job runner, beside papermill: parameters, metadata, timeouts, resume, sweeps; and papermill with our translator."""
import base64
import itertools
import json
import math
import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import sys
import time

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from lacus import LACUS, ROOT, environment, lacus
from notebooks import kernel_environment

PACKAGE = ROOT / "kernelspec" / "papermill"


def write(path, *cells, kernel="lacus", language="lua"):
    """A cell is its source, or (source, tag, …); Markdown begins with #."""
    made = []
    for cell in cells:
        source, *tags = cell if isinstance(cell, tuple) else (cell,)
        one = new_markdown_cell(source) if source.startswith("#") else new_code_cell(source)
        if tags:
            one.metadata["tags"] = tags
        made.append(one)
    nb = new_notebook(cells=made)
    nb.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": language}
    nbformat.write(nb, path)
    return path


def read(path):
    nb = nbformat.read(path, 4)
    nbformat.validate(nb)
    return nb


def streams(nb):
    return ["".join(o.get("text", "") for o in c.outputs) for c in nb.cells if c.cell_type == "code"]


def wait_for_text(path, seconds):
    end = time.time() + seconds
    while not path.exists() or not path.read_text().strip():
        assert time.time() < end, path
        time.sleep(0.02)
    return path.read_text()


def has_ended(pid, seconds):
    """Gone, or dead and not waited for."""
    stat, end = pathlib.Path(f"/proc/{pid}/stat"), time.time() + seconds
    while time.time() < end:
        try:
            if stat.read_text().split()[2] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def run_ok(home, *args, **more):
    done = lacus(home, "run", *args, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


# ---- parameters ----

def test_a_parameter_has_a_name(home, tmp_path):
    path = write(tmp_path / "p.ipynb", ("a = 0", "parameters"), "print(a)")
    (tmp_path / "s.lua").write_text("print(1)\n")
    for args in (("run", path, "-p", "", "5"), ("run", path, "-r", "", "5"), ("repl", "-p", "", "5", tmp_path / "s.lua")):
        done = lacus(home, *args)
        assert done.returncode == 64 and "a parameter without a name" in done.stderr and not done.stdout


def test_a_script_is_no_notebook(home, tmp_path):
    (tmp_path / "x.lua").write_text("local a = 1\nprint(a)\n")
    done = lacus(home, "run", str(tmp_path / "x.lua"))
    assert done.returncode != 0 and f"a script runs without 'run': lacus {tmp_path}/x.lua" in done.stderr, done.stderr


def test_a_full_disk_is_told_where_it_is(home, tmp_path):
    path = write(tmp_path / "p.ipynb", "print(1)")
    with open("/dev/full", "w") as full:
        done = subprocess.run([LACUS, "run", path, "-o", "-"], stdout=full, stderr=subprocess.PIPE, text=True, env=environment(home))
    assert done.returncode != 0 and "standard output" in done.stderr and "LACUS_HOME" not in done.stderr
    mount = "mkdir full && mount -t tmpfs -o size=64k none full && head -c 64k /dev/zero > full/stone"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", f"{mount} || exit 77; exec {LACUS} run p.ipynb -o full/o.ipynb"], capture_output=True, text=True, env=environment(home), cwd=tmp_path)
    if done.returncode != 77 and "unshare:" not in done.stderr:  # where one may mount
        assert done.returncode != 0 and "free some space in 'full/'" in done.stderr and "LACUS_HOME" not in done.stderr


def test_parameters_from_everywhere_go_over_each_other_as_papermill_has_it(home, tmp_path):
    path = write(tmp_path / "p.ipynb", ("a, b, c, d, e = 0", "parameters"), "print(a, b, c, d, e)")
    (tmp_path / "f.yaml").write_text("a: file\nb: file\n")
    coded = base64.b64encode(b"{a: coded, c: coded}").decode()
    run_ok(home, path, tmp_path / "o.ipynb", "-r", "e", "12", "-p", "d", "1e-4", "-y", "b: yaml", "-f", tmp_path / "f.yaml", "-b", coded)
    assert streams(read(tmp_path / "o.ipynb"))[-1] == "file\tyaml\tcoded\t0.0001\t12\n"
    assert read(tmp_path / "o.ipynb").metadata.papermill.parameters == {"a": "file", "b": "yaml", "c": "coded", "d": 1e-4, "e": "12"}


def test_parameters_keep_their_value_whatever_their_size_and_name(home, tmp_path):
    path = write(tmp_path / "p.ipynb", ("a = 0", "parameters"), "print(a, _G['end'], _G['a b'], b)")
    run_ok(home, path, tmp_path / "o.ipynb", "-p", "a", "99999999999999999999", "-p", "end", "-9223372036854775807", "-p", "a b", "[1]", "-p", "b", "9223372036854775808")
    assert re.fullmatch(r"1e\+20\t-9223372036854775807\ttable: \S+\t9.22337203685\d*e\+18\n", streams(read(tmp_path / "o.ipynb"))[-1])


YAMLS = ["a: 1_000.5\nb: ._5\nc: _1.5\nd: -1__0.\ne: 1_0.5e+3\nf: 1.5e+1_0\ng: +1_.5\nh: 1_x.5\n", "a: 1\nb: [1, 2.5, x]\nc: {d: yes, e: ~}\n", "a: 0x1F\nb: 017\nc: 1_000\nd: -3\n", "a: |\n  two\n  lines\nb: >\n  folded\n  text\n", "a: 'it''s'\nb: \"t\\u00e9\"\nc: 2026-01-31\n",
         "base: &b {x: 1, y: 2}\nother:\n  <<: *b\n  y: 3\n", "a: !!str 12\nb: 1.5e+3\nc: on\nd: No\n", "- not\n- a mapping\n", "", "a: 100000000000000000000\nb: -100000000000000000000\nc: 9223372036854775807\n", "a:\n- 1\n- {b: 2}\n"]


@pytest.mark.parametrize("text", YAMLS)
def test_yaml_is_what_pyyaml_reads(home, tmp_path, text):
    value = yaml.load(text.replace("2026-01-31", "'2026-01-31'"), yaml.SafeLoader)
    path = write(tmp_path / "p.ipynb", *(f"{n} = {n}" for n in (value if isinstance(value, dict) else {})))
    (tmp_path / "f.yaml").write_text(text)
    done = lacus(home, "run", path, tmp_path / "o.ipynb", "-f", tmp_path / "f.yaml", "--prepare-only")
    if value is not None and not isinstance(value, dict):
        assert done.returncode == 65 and "mapping" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert read(tmp_path / "o.ipynb").metadata.papermill.parameters == (value or {})


@pytest.mark.parametrize("text, word", [("a: [1, 2", "line 2"), ("a: *nothing", "alias"), ("a: b: c", "line 1"), ("a: 1\n---\nb: 2", "second document"),
                                        ("a: &x [1]\n" + "".join(f"k{i}: &y{i} [{', '.join(['*x' if i == 0 else f'*y{i - 1}'] * 10)}]\n" for i in range(8)), "too large")])
def test_broken_yaml_is_one_clear_error(home, tmp_path, text, word):
    path = write(tmp_path / "p.ipynb", "a = 1")
    done = lacus(home, "run", path, "-y", text)
    assert done.returncode == 65 and word in done.stderr, done.stderr


def test_without_a_parameters_cell_the_values_go_to_the_top_unless_they_are_widgets(home, tmp_path):
    path = write(tmp_path / "a.ipynb", "print(n)")
    run_ok(home, path, tmp_path / "o.ipynb", "-p", "n", "7")
    assert read(tmp_path / "o.ipynb").cells[0].metadata.tags == ["injected-parameters"] and streams(read(tmp_path / "o.ipynb"))[-1] == "7\n"
    path = write(tmp_path / "w.ipynb", 'dbutils.widgets.text("n", "1")\nprint(dbutils.widgets.get("n"))')
    run_ok(home, path, tmp_path / "o.ipynb", "-p", "n", "7")
    assert streams(read(tmp_path / "o.ipynb")) == ["7\n"]


def test_words_on_the_command_line_are_papermills(home, tmp_path, package):
    words = {"a": "None", "b": " inf", "c": "-1e400", "d": "nan", "e": "True", "f": "nancy"}
    path = write(tmp_path / "w.ipynb", ("a, b, c, d, e, f = 0", "parameters"), "print(a == nil, b, c, d ~= d, e, f, a and 1)")
    args = [x for name, word in words.items() for x in ("-p", name, word)]
    theirs = papermill(home, tmp_path, path, tmp_path / "theirs.ipynb", *args, env=package)
    assert theirs.returncode == 0, theirs.stderr
    run_ok(home, path, tmp_path / "ours.ipynb", *args)
    assert streams(read(tmp_path / "ours.ipynb"))[-1] == streams(read(tmp_path / "theirs.ipynb"))[-1] == "true\tinf\t-inf\ttrue\ttrue\tnancy\tnil\n"


def test_numbers_on_the_command_line_are_papermills(home, tmp_path):
    from papermill.cli import _resolve_type
    words = ["1_000", "-1_000", "1__0", "_1", "1_", "1_0.5", "1.5_5", "1_0e1_0", "1e_5", "1_e5", "1_.5", " 5 ", "5\n", " 1.5", " ", "", "5 5", "1 000", "0_7", "007", "0x1_0", "2026_11", "1_a", "-_5"]
    path = write(tmp_path / "n.ipynb", ("k0 = 0", "parameters"))
    run_ok(home, path, tmp_path / "o.ipynb", "--prepare-only", "-q", *[x for i, word in enumerate(words) for x in ("-p", f"k{i}", word)])
    ours = read(tmp_path / "o.ipynb").metadata.papermill.parameters
    assert [repr(ours[f"k{i}"]) for i in range(len(words))] == [repr(_resolve_type(word)) for word in words]


def test_an_unknown_parameter_is_told_and_set_as_papermill_does(home, tmp_path, package):
    path = write(tmp_path / "u.ipynb", ("epochs = 1", "parameters"), "print(epochs, epoch)")
    done = run_ok(home, path, tmp_path / "o.ipynb", "-p", "epoch", "3")
    assert done.stderr == "lacus run: warning: the notebook knows no parameter 'epoch'; did you mean 'epochs'?\n"
    assert streams(read(tmp_path / "o.ipynb"))[-1] == "1\t3\n"
    theirs = papermill(home, tmp_path, path, tmp_path / "theirs.ipynb", "-p", "epoch", "3", "--prepare-only", env=package)
    assert theirs.returncode == 0 and "unknown parameter: epoch" in theirs.stderr, theirs
    assert run_ok(home, path, tmp_path / "o.ipynb", "-p", "epochs", "3").stderr == ""
    assert run_ok(home, path, tmp_path / "o.ipynb", "-p", "epoch", "3", "-q").stderr == ""
    swept = run_ok(home, path, tmp_path / "s.ipynb", "--sweep", "epoch=1,2")
    assert swept.stderr.count("knows no parameter 'epoch'") == 1


def test_a_widget_gets_the_text_that_was_typed(home, tmp_path):
    path = write(tmp_path / "w.ipynb", "dbutils.widgets.text('v', '0')\ndbutils.widgets.text{name = 'n', default = 1, type = 'int'}", "print(dbutils.widgets.get('v'), dbutils.widgets.get('n'))")
    for text in ("007", "1.10", "1e-5", "None", "True", "-0", "12345678901234567890123"):
        run_ok(home, path, tmp_path / "o.ipynb", "-p", "v", text, "-p", "n", "12")
        assert streams(read(tmp_path / "o.ipynb"))[-1] == f"{text}\t12\n"
    run_ok(home, path, '--sweep=v=007,"a,b"', f"--output={tmp_path}/s/{{v}}.ipynb")
    assert [streams(read(tmp_path / "s" / f"{v}.ipynb"))[-1] for v in ("007", "a,b")] == ["007\t1\n", "a,b\t1\n"]
    script = "dbutils.widgets.text('v', '0') print(dbutils.widgets.get('v'))"
    assert lacus(home, "repl", "--param", "v", "1.10", "-c", script).stdout.endswith("1.10\n")


def test_what_a_declared_widget_cannot_be_stops_before_the_first_cell(home, tmp_path):
    path = write(tmp_path / "d.ipynb", "print('ran')", 'dbutils.widgets.dropdown("kind", "a", {"a", "b"})', 'dbutils.widgets.text("n", "1", {type = "int"})')
    for name, value, says in (("kind", "c", "is not among its choices"), ("n", "many", "is not an int"), ("n", "true", "is not an int"), ("n", "false", "is not an int")):
        done = lacus(home, "run", path, tmp_path / "o.ipynb", "-p", name, value)
        assert done.returncode == 64 and says in done.stderr and "ran" not in done.stdout, done
    path = write(tmp_path / "f.ipynb", 'print(dbutils.widgets.get("flag"), dbutils.widgets.getArgument("flag", "x"))')
    run_ok(home, path, tmp_path / "o.ipynb", "-p", "flag", "false")
    assert streams(read(tmp_path / "o.ipynb"))[-1] == "false\tfalse\n"


# ---- what papermill writes ----

def papermill(home, tmp_path, *args, env=None):
    more = kernel_environment(home, tmp_path / "jupyter") | {"PYTHONPATH": str(env or "")}
    return subprocess.run([sys.executable, "-m", "papermill", "--no-progress-bar", *map(str, args)], capture_output=True, text=True, timeout=120,
                          env=environment(home) | more, cwd=tmp_path)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """kernelspec/papermill installed by pip, as a user would, into a folder of its own."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "lacus_papermill.py"):
        (source / name).write_text((PACKAGE / name).read_text())
    done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", folder / "site", source],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def shape(nb):
    """The fields papermill writes, with their types; times are compared as formats."""
    def form(value):
        return re.sub(r"\d", "9", value) if isinstance(value, str) and re.match(r"\d{4}-", value) else type(value).__name__
    return ({k: form(v) for k, v in nb.metadata.papermill.items()},
            [(c.cell_type, c.metadata.get("tags"), {k: form(v) if "time" in k else type(v).__name__ for k, v in c.metadata.papermill.items()}, c.metadata.papermill.status) for c in nb.cells])


@pytest.mark.parametrize("cells", [[("n = 1", "parameters"), "# text", "print(n)", "n + 1"], [("n = 1", "parameters"), "error('no')", "print('never')"]])
def test_metadata_is_papermills_field_by_field(home, tmp_path, package, cells):
    path = write(tmp_path / "a.ipynb", *cells)
    theirs = papermill(home, tmp_path, path, tmp_path / "theirs.ipynb", "-p", "n", "5", env=package)
    ours = lacus(home, "run", path, tmp_path / "ours.ipynb", "-p", "n", "5")
    assert (theirs.returncode, ours.returncode) in ((0, 0), (1, 1)), theirs.stderr + ours.stderr
    a, b = read(tmp_path / "theirs.ipynb"), read(tmp_path / "ours.ipynb")
    marks = [[i for i, c in enumerate(nb.cells) if "papermill-error-cell-tag" in c.metadata.get("tags", [])] for nb in (a, b)]
    assert marks[0] == marks[1]
    for nb in (a, b):
        nb.cells = [c for i, c in enumerate(nb.cells) if i not in marks[0]]
    assert shape(a) == shape(b)
    assert [c.source.rstrip() for c in a.cells] == [c.source for c in b.cells]
    assert [[o.output_type for o in c.get("outputs", [])] for c in a.cells] == [[o.output_type for o in c.get("outputs", [])] for c in b.cells]


VALUES = {"text": 'a"b\\\n\té', "whole": -3, "real": 1e-5, "yes": True, "none": None, "list": [1, None, "two", [3.5]], "map": {"k": 1, "a b": [False], "no": None}}


@pytest.mark.parametrize("engine", [[], ["--engine", "lacus"]])
def test_papermill_runs_lua_notebooks_with_the_package(home, tmp_path, package, engine):
    names = list(VALUES)
    path = write(tmp_path / "a.ipynb", ("\n".join(f"{n} = 0" for n in names), "parameters"), "io.write(json.encode{" + ", ".join(f"{n} = {n}" for n in names) + "})", "1 + 1")
    (tmp_path / "f.yaml").write_text(yaml.safe_dump(VALUES, allow_unicode=True))
    done = papermill(home, tmp_path, path, tmp_path / "o.ipynb", "-f", tmp_path / "f.yaml", *engine, env=package)
    assert done.returncode == 0, done.stderr
    nb = read(tmp_path / "o.ipynb")
    assert json.loads(streams(nb)[2]) == {k: v for k, v in VALUES.items() if v is not None}
    assert nb.cells[-1].outputs[0].data["text/plain"] == "2" and nb.cells[-1].metadata.papermill.status == "completed"


INFINITE = "a: .inf\nb: -.INF\nc: .NaN\nd: [.Inf, {e: -.inf, f: '.inf'}]\ng: 1.0e+999\nh: +.inf\nk: .iNF\n"


def test_infinities_and_nan_are_the_numbers_that_papermill_gives(home, tmp_path, package):
    code = "print(a, b, c ~= c, d[1], d[2].e, math.type(d[2].e), d[2].f, g, h, k)"
    path = write(tmp_path / "a.ipynb", ("a, b, c, d, g, h, k = 0", "parameters"), code)
    (tmp_path / "f.yaml").write_text(INFINITE)
    theirs = papermill(home, tmp_path, path, tmp_path / "theirs.ipynb", "-f", tmp_path / "f.yaml", env=package)
    assert theirs.returncode == 0, theirs.stderr
    run_ok(home, path, tmp_path / "ours.ipynb", "-y", INFINITE)
    assert streams(read(tmp_path / "ours.ipynb"))[-1] == streams(read(tmp_path / "theirs.ipynb"))[-1] == "inf\t-inf\ttrue\tinf\t-inf\tfloat\t.inf\tinf\tinf\t.iNF\n"
    strict = json.loads((tmp_path / "ours.ipynb").read_text(), parse_constant=lambda word: pytest.fail(word))  # papermill's own file has a bare Infinity
    assert strict["metadata"]["papermill"]["parameters"]["b"] == {"$numberDouble": "-Infinity"}
    failing = write(tmp_path / "b.ipynb", ("a = 0", "parameters"), "print(a, dbutils.widgets.get('a'))\nassert(a ~= math.huge or io.open('again'))")
    assert lacus(home, "run", failing, tmp_path / "o.ipynb", "-y", "a: .inf", "--cwd", tmp_path).returncode == 1
    (tmp_path / "again").touch()
    run_ok(home, failing, tmp_path / "o.ipynb", "--resume", "--cwd", tmp_path)
    assert streams(read(tmp_path / "o.ipynb"))[-1] == "inf\tinf\n"


@pytest.mark.parametrize("engine", [[], ["--engine", "lacus"]])
def test_the_engine_takes_what_papermill_writes_for_an_infinity(home, tmp_path, package, engine):
    path = write(tmp_path / "a.ipynb", ("a = 0", "parameters"), "print(a)")
    done = papermill(home, tmp_path, path, tmp_path / "o.ipynb", "-y", "a: .inf", *engine, env=package)
    assert done.returncode == 0 and read(tmp_path / "o.ipynb").metadata.papermill.parameters == {"a": float("inf")}, done.stderr
    run_ok(home, tmp_path / "o.ipynb", "-y", "a: -.inf")
    assert streams(read(tmp_path / "o.ipynb"))[-1] == "-inf\n"


ODD = {"big": "123456789012345678901234567890", "negative": "-99999999999999999999", "real": "1e999", "nan": "NaN", "infinity": "-Infinity", "lone": '"a\\ud83d.\\uDE00\\ud800\\ud83d\\ude00b"',
       "nul": '"\\u0000"', "edge": "9223372036854775807", "beyond": "[9223372036854775808, {\"\\ud800\": 1}]"}


def odd(text):
    """Every value of ODD as Python reads it."""
    value = json.loads(text)
    return json.dumps(value, sort_keys=True)


def test_what_python_writes_and_c_cannot_hold_is_kept_as_it_was(home, tmp_path):
    path = write(tmp_path / "a.ipynb", "print('a\\0b')\n1", "assert(io.open('again'))", "# a text")
    assert lacus(home, "run", path, tmp_path / "o.ipynb", "--cwd", tmp_path).returncode == 1
    text, wild = (tmp_path / "o.ipynb").read_text(), "{" + ", ".join(f'"{k}": {v}' for k, v in ODD.items()) + "}"
    nb = json.loads(text)
    nb["metadata"]["odd"] = nb["cells"][-1]["metadata"]["odd"] = "ODD"
    for cell in nb["cells"]:
        if cell.get("outputs") and "ename" not in cell["outputs"][0]:
            cell["outputs"].append({"output_type": "display_data", "data": {"application/json": "ODD"}, "metadata": {}})
    (tmp_path / "o.ipynb").write_text(json.dumps(nb).replace('"ODD"', wild))
    source = json.loads(path.read_text())
    source["metadata"]["odd"] = "ODD"
    path.write_text("\ufeff" + json.dumps(source).replace('"ODD"', wild), encoding="utf-8")
    (tmp_path / "again").touch()
    run_ok(home, path, tmp_path / "o.ipynb", "--resume", "--cwd", tmp_path)
    text = (tmp_path / "o.ipynb").read_text()
    done = json.loads(text)
    kept = [o["data"]["application/json"] for c in done["cells"] for o in c.get("outputs", []) if "application/json" in o.get("data", {})]
    assert len(kept) == 1 and [odd(json.dumps(v)) for v in (done["metadata"]["odd"], kept[0])] == 2 * [odd(wild)]
    assert text.count("1e999") == 2 and text.count("123456789012345678901234567890") == 2 and "lacus-kept" not in text
    assert "a\0b" in streams(nbformat.reads(text, 4))[0]
    run_ok(home, tmp_path / "o.ipynb", "--cwd", tmp_path)  # our own \\u0000 too


def test_what_nobody_changes_is_spelled_as_nbformat_wrote_it(home, tmp_path):
    rng = random.Random(7)
    reals = [0.1, 1.5, 1e22, 1e-7, 5e-324, 1e15, 1e16, 1e17, 0.0001, 0.00001, -0.0, 1 / 3, 2.0**-20, 100.0]
    reals += [v for v in (struct.unpack("d", rng.randbytes(8))[0] for _ in range(5000)) if math.isfinite(v)] + [round(rng.random() * 10**rng.randint(-8, 18), rng.randint(0, 6)) for _ in range(5000)]
    path = write(tmp_path / "a.ipynb", "x = 1")
    nb = read(path)
    nb.metadata["mine"] = {"reals": reals, "text": "\x1b[0m \x00 \\u001B 0.10000000000000001 \" \u2028 \x7f é", "1.50": None}
    nb.cells.append(new_markdown_cell("![i](attachment:i.png)", attachments={"i.png": {"image/png": "iVBORw0KGgo="}}, metadata={"weight": 1e-7}))
    nbformat.write(nb, path)
    run_ok(home, path, tmp_path / "o.ipynb")
    after = read(tmp_path / "o.ipynb")
    text, before = (tmp_path / "o.ipynb").read_text(), path.read_text()
    assert text == nbformat.writes(after) + "\n"  # the whole of it, times and all
    mine = before[before.index('"mine"'):]
    assert mine[:mine.index("\n  }")] in text and '"weight": 1e-07' in text and after.cells[1].attachments == nb.cells[1].attachments


def test_a_source_that_is_no_text_and_broken_json_are_refused_as_before(home, tmp_path):
    path = write(tmp_path / "a.ipynb", "print('xyz')")
    text = path.read_text()
    path.write_text(text.replace("xyz", "\\ud800"))
    done = lacus(home, "run", path)
    assert done.returncode == 65 and "cell 1" in done.stderr and "lone surrogate" in done.stderr, done.stderr
    path.write_text(text.replace('"metadata": {', '"metadata": {"n": 99999999999999999999 x', 1))
    done = lacus(home, "run", path)
    assert done.returncode == 65 and "damaged" in done.stderr and "lacus-kept" not in done.stderr, done.stderr


def test_a_finalizer_without_an_end_does_not_hang_the_run(home, tmp_path):
    path = write(tmp_path / "a.ipynb", "t = setmetatable({}, {__gc = function() while true do end end})\nprint('done')")
    done = run_ok(home, path, tmp_path / "o.ipynb", timeout=60)
    assert streams(read(tmp_path / "o.ipynb")) == ["done\n"] and "In[1], line 1" in done.stderr and "5 seconds" in done.stderr, done.stderr


def test_notebooks_find_each_other_from_their_own_folder(home, tmp_path):
    """As on Databricks: wherever the run was begun; what is in the working folder alone is found, too."""
    jobs, here = tmp_path / "jobs", tmp_path / "here"
    for folder in (jobs / "lib" / "deep", here):
        folder.mkdir(parents=True)
    (here / "other.lua").write_text("print('other of the working folder')")
    (here / "lib.lua").write_text("error('the wrong one')")
    write(here / "child.ipynb", "dbutils.notebook.exit('the wrong one')")
    write(jobs / "lib" / "one.ipynb", "print('one')", "%run deep/two", "%run ./three.lua")
    (jobs / "lib" / "deep" / "two.lua").write_text("print('two')")
    (jobs / "lib" / "three.lua").write_text("print('three', dbutils.notebook.run('deep/four'))")
    write(jobs / "lib" / "deep" / "four.ipynb", "dbutils.notebook.exit('four, ' .. dbutils.notebook.run('../five'))")
    write(jobs / "lib" / "five.ipynb", "dbutils.notebook.exit('five')")
    write(jobs / "child.ipynb", "dbutils.notebook.exit('the child')")
    (jobs / "lib.lua").write_text("print('lib')")
    path = write(jobs / "main.ipynb", "%run ./lib/one", "%run lib\n%run other", "print(dbutils.notebook.run('child'))", "%cd -q .\n%run lib", f"%run {jobs}/lib.lua", "%run nowhere")
    for name, more in ((path, {"cwd": here}), ("../jobs/main.ipynb", {"cwd": here}), (path, {"cwd": tmp_path})):
        done = lacus(home, "run", name, tmp_path / "o.ipynb", *(["--cwd", here] if more["cwd"] == tmp_path else []), **more)
        assert done.returncode == 1 and "no notebook or Lua file 'nowhere'" in done.stderr, done.stderr
        assert streams(read(tmp_path / "o.ipynb"))[:5] == ["one\ntwo\nthree\tfour, five\n", "lib\nother of the working folder\n", "the child\n", "lib\n", "lib\n"]


def test_the_engine_tells_failures_and_parameters_are_inspected(home, tmp_path, package):
    path = write(tmp_path / "a.ipynb", ("lr = 0.1 -- the rate\nname = 'x'", "parameters"), "print('so' .. 'far')\nerror('boom')")
    done = papermill(home, tmp_path, path, tmp_path / "o.ipynb", "--engine", "lacus", "--log-output", env=package)
    assert done.returncode == 1 and "boom" in done.stderr and "sofar" in done.stderr
    assert read(tmp_path / "o.ipynb").metadata.papermill.exception is True
    told = papermill(home, tmp_path, "--help-notebook", path, env=package)
    assert re.search(r"lr: number \(default 0.1\) *the rate", told.stdout) and "name: string" in told.stdout
    path = write(tmp_path / "b.ipynb", ("s = 'a -- b' -- dashes\nt = {\n  k = 1, -- inner\n}\nn = 1 ---@type integer how many\nx = 2; y = 3\nif n == 1 then z = 5 end", "parameters"), '')
    told = papermill(home, tmp_path, "--help-notebook", path, env=package)
    assert re.findall(r"^  (\w+): (\w+)", told.stdout, re.M) == [("s", "string"), ("t", "table"), ("n", "integer"), ("x", "number"), ("y", "number")]
    assert re.search(r"'a -- b'\) *dashes", told.stdout) and re.search(r"default 1\) *how many", told.stdout)
    done = papermill(home, tmp_path, path, tmp_path / "o.ipynb", "-p", "end", "4", env=package)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_papermill_ends_what_the_engine_started(home, tmp_path, package, sig):
    path = write(tmp_path / "s.ipynb", "print('first')", f"os.execute('echo $$ > {tmp_path}/pid; exec sleep 1000')")
    env = environment(home) | kernel_environment(home, tmp_path / "jupyter") | {"PYTHONPATH": str(package)}
    run = subprocess.Popen([sys.executable, "-m", "papermill", "--no-progress-bar", "--engine", "lacus", path, tmp_path / "o.ipynb"], env=env,
                           stderr=subprocess.DEVNULL, start_new_session=True)
    pid = wait_for_text(tmp_path / "pid", 60)
    run.send_signal(sig)  # to it alone, as a scheduler does
    run.wait(30)
    assert has_ended(int(pid), 10)
    if sig == signal.SIGINT:
        nb = read(tmp_path / "o.ipynb")
        assert nb.cells[0].outputs[0].text == "first\n" and [c.metadata.papermill.status for c in nb.cells] == ["completed", "failed"]


def test_the_notebook_says_its_language_as_a_kernels_client_does(home, tmp_path, package):
    path = write(tmp_path / "a.ipynb", "w = widgets.IntSlider{value = 3}\nw")
    for args in ([], ["--engine", "lacus"]):
        done = papermill(home, tmp_path, path, tmp_path / f"p{len(args)}.ipynb", *args, env=package)
        assert done.returncode == 0, done.stderr
    run_ok(home, path, tmp_path / "l.ipynb")
    theirs, engine, ours = (read(tmp_path / n).metadata for n in ("p0.ipynb", "p2.ipynb", "l.ipynb"))
    assert ours.language_info == theirs.language_info == engine.language_info and ours.language_info.file_extension == ".lua"
    state = "application/vnd.jupyter.widget-state+json"
    assert {len(m.widgets[state].state) for m in (theirs, engine, ours)} == {3}  # the slider, its layout and its style
    nb = new_notebook(cells=[new_code_cell("1")])
    nbformat.write(nb, path)
    run_ok(home, path, tmp_path / "l.ipynb")
    assert read(tmp_path / "l.ipynb").metadata.kernelspec.name == "lacus"


# ---- in and out ----

def test_pipes(home, tmp_path):
    path = write(tmp_path / "a.ipynb", ("n = 1", "parameters"), "print(n)")
    before = read(path)
    before.cells[1].metadata.execution = {"iopub.execute_input": "2020-01-01T00:00:00Z"}  # nbclient's times
    done = run_ok(home, "-", "-", "-p", "n", "9", text=nbformat.writes(before))
    nb = nbformat.reads(done.stdout, 4)
    for c in nb.cells:  # and now those of this run, as nbclient notes them
        times = [c.metadata.execution[k] for k in ("iopub.status.busy", "iopub.execute_input", "shell.execute_reply", "iopub.status.idle")]
        assert times == sorted(times) and all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", t) for t in times) and times[0] > "2026"
    nbformat.validate(nb)
    assert streams(nb)[-1] == "9\n" and done.stderr == ""


def test_a_name_that_begins_with_a_dash(home, tmp_path):
    write(tmp_path / "-x.ipynb", "print('x')")
    run_ok(home, "-q", "--", "-x.ipynb", "--o.ipynb", cwd=tmp_path)
    assert streams(read(tmp_path / "--o.ipynb")) == ["x\n"]


def test_a_link_a_mode_a_device_and_a_pipe_stay_what_they_are(home, tmp_path):
    path = write(tmp_path / "a.ipynb", "print('x')")
    path.chmod(0o640)
    (tmp_path / "link.ipynb").symlink_to("a.ipynb")
    run_ok(home, tmp_path / "link.ipynb")
    assert (tmp_path / "link.ipynb").is_symlink() and path.stat().st_mode & 0o777 == 0o640 and streams(read(path)) == ["x\n"]
    os.mkfifo(tmp_path / "pipe")
    got = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True)
    run_ok(home, path, "-o", tmp_path / "pipe")
    assert streams(nbformat.reads(got.communicate(timeout=10)[0], 4)) == ["x\n"] and (tmp_path / "pipe").is_fifo()
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")  # as /dev/stdout, which a test must not risk
    done = run_ok(home, path, "-o", tmp_path / "stdout")
    assert streams(nbformat.reads(done.stdout, 4)) == ["x\n"] and (tmp_path / "stdout").is_symlink()


def test_older_formats_are_upgraded_as_nbformat_does(home, tmp_path):
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": "old"}, "worksheets": [{"metadata": {}, "cells": [
        {"cell_type": "heading", "level": 2, "metadata": {}, "source": ["A\n", "title"]}, {"cell_type": "markdown", "metadata": {}, "source": "text"},
        {"cell_type": "code", "language": "lua", "collapsed": True, "metadata": {}, "input": ["x = 1\n", "print(x)"], "prompt_number": 3,
         "outputs": [{"output_type": "stream", "stream": "stdout", "text": "1\n"}, {"output_type": "pyout", "prompt_number": 3, "text": "2", "html": "<b>2</b>", "metadata": {}},
                     {"output_type": "pyerr", "ename": "E", "evalue": "v", "traceback": []}]}]}]}
    (tmp_path / "old.ipynb").write_text(json.dumps(old))
    run_ok(home, tmp_path / "old.ipynb", tmp_path / "o.ipynb")
    ours, theirs = read(tmp_path / "o.ipynb"), nbformat.read(tmp_path / "old.ipynb", 4)
    assert [(c.cell_type, c.source) for c in ours.cells] == [(c.cell_type, c.source) for c in theirs.cells]
    assert ours.cells[2].metadata.collapsed is True and streams(ours) == ["1\n"]
    for version, word in ((2, "nbconvert"), (5, "nbformat 4")):
        (tmp_path / "v.ipynb").write_text(json.dumps({"nbformat": version, "cells": []}))
        done = lacus(home, "run", tmp_path / "v.ipynb")
        assert done.returncode == 64 and word in done.stderr


def test_notebooks_of_other_languages_are_refused(home, tmp_path):
    path = write(tmp_path / "p.ipynb", "x = 1", kernel="python3", language="python")
    done = lacus(home, "run", path, tmp_path / "o.ipynb")
    assert done.returncode == 64 and "python" in done.stderr and "papermill" in done.stderr and not (tmp_path / "o.ipynb").exists()
    run_ok(home, path, tmp_path / "o.ipynb", "--kernel", "lacus")
    raw = json.loads(path.read_text())
    del raw["metadata"]["kernelspec"]["language"]  # as an older nbformat had it
    path.write_text(json.dumps(raw))
    done = lacus(home, "run", path, tmp_path / "n.ipynb")
    assert done.returncode == 64 and "another language (kernel 'python3')" in done.stderr
    path.write_text(json.dumps(raw).replace("python3", "xlua"))
    run_ok(home, path, tmp_path / "n.ipynb")


def test_output_names_working_folder_report_mode_and_nothing_run(home, tmp_path):
    path = write(tmp_path / "a.ipynb", ("lr = 1", "parameters"), "print(io.open('mark'):read())")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mark").write_text("here")
    run_ok(home, path, "-o", "out/{lr}/{{x}}.ipynb", "-p", "lr", "0.5", "--cwd", "sub", "--report-mode", cwd=tmp_path)
    nb = read(tmp_path / "out" / "0.5" / "{x}.ipynb")
    assert streams(nb)[-1] == "here\n" and all(c.metadata.jupyter.source_hidden for c in nb.cells)
    done = lacus(home, "run", path, "-o", "{lt}.ipynb", "-p", "lr", "1", cwd=tmp_path)
    assert done.returncode == 64 and "{lr}" in done.stderr
    run_ok(home, path, tmp_path / "i.ipynb", "--inject-only", "-p", "lr", "2")
    assert [c.source for c in read(tmp_path / "i.ipynb").cells][1] == "-- Parameters\nlr = 2" and streams(read(tmp_path / "i.ipynb")) == ["", "", ""]


def test_a_folder_as_output_gets_the_inputs_name(home, tmp_path):
    path = write(tmp_path / "n.ipynb", ("day = null", "parameters"), "print(day)")
    (tmp_path / "there").mkdir()
    for folder in ("there", "made/"):
        run_ok(home, path, "-o", f"{tmp_path}/{folder}", "-y", "day: ~")
        assert streams(read(tmp_path / folder / "n.ipynb"))[-1] == "nil\n"


def test_progress_bars_are_stored_as_they_ended(home, tmp_path):
    path = write(tmp_path / "b.ipynb", "for i = 0, 100, 10 do io.write('\\r', i, ' %') io.stdout:flush() end print() print('a\\r\\nb')", "io.write('\\rleft') io.write('\\rLE')")
    run_ok(home, path)
    assert streams(read(path))[0] == "100 %\na\r\nb\n"
    assert streams(read(path))[1].endswith("\rLE")


def test_long_outputs_are_stored_whole(home, tmp_path):
    path = write(tmp_path / "l.ipynb", "io.write(('x'):rep(3000000)) for i = 1, 20000 do print(i) end")
    run_ok(home, path, "-q")
    assert streams(read(path))[0] == "x" * 3000000 + "".join(f"{i}\n" for i in range(1, 20001))


def test_no_colours_but_on_a_terminal(home, tmp_path):
    path = write(tmp_path / "e.ipynb", "error('x')")
    done = subprocess.run([LACUS, "run", path], capture_output=True, text=True, env={k: v for k, v in environment(home).items() if k != "NO_COLOR"})
    assert "\x1b" not in done.stdout + done.stderr and "error('x')" in done.stdout
    assert "\x1b[" in "".join(read(path).cells[0].outputs[0].traceback)


def test_progress_and_log(home, tmp_path):
    path = write(tmp_path / "a.ipynb", "print('o' .. 'ne')", "print('two')")
    done = run_ok(home, path, "--progress")
    assert done.stdout == "" and "2/2 cells" in done.stderr and "one" not in done.stderr
    done = run_ok(home, path, "--log-output")
    assert done.stdout == "" and re.search(r"\[1/2\] print\('o' .. 'ne'\)\none\n", done.stderr)


def test_a_notebook_elsewhere_is_refused(home, tmp_path):
    path = write(tmp_path / "p.ipynb", "x = 1")
    for args in ((path, "s3://b/o.ipynb"), ("https://h/p.ipynb", "o.ipynb"), (path, "--sweep", "x=1,2", "-o", "gs://b/{x}.ipynb"), (path, "dbfs:/o.ipynb"), (f"file://{path}",)):
        done = lacus(home, "run", *args, cwd=tmp_path)
        assert done.returncode == 64 and "is no file of this machine" in done.stderr and set(os.listdir(tmp_path)) <= {"p.ipynb", "lacus-home"}, done


# ---- errors, time, signals ----

def test_tags(home, tmp_path):
    path = write(tmp_path / "t.ipynb", ("print('slow')", "slow"), ("error('flaky')", "flaky"), ("print('never')", "skip-execution"), "print('end')")
    run_ok(home, path, "--skip-tag", "slow", "--allow-error-tag", "flaky")
    nb = read(path)
    assert streams(nb) == ["", "", "", "end\n"] and nb.cells[0].metadata.lacus.status == "skipped" and nb.cells[1].outputs[0].ename
    path = write(tmp_path / "e.ipynb", "error('a')", "print('b')")
    assert "1 cell failed" in run_ok(home, path, "--allow-errors").stderr


def test_a_cell_that_takes_too_long_is_interrupted(home, tmp_path):
    path = write(tmp_path / "t.ipynb", "print('first')", "pcall(function() while true do end end)", "print('never')")
    start = time.time()
    done = lacus(home, "run", path, "--cell-timeout", "0.4")
    assert done.returncode == 75 and time.time() - start < 5 and "0.4 seconds" in done.stderr
    assert "did not end within 1 second" in (one := lacus(home, "run", path, "--cell-timeout", "1")).stderr and "1 seconds" not in one.stderr
    nb = read(path)
    assert nb.cells[1].outputs[-1].ename == "TimeoutError" and nb.cells[2].outputs == [] and nb.metadata.lacus.status == "timeout"
    done = lacus(home, "run", write(tmp_path / "w.ipynb", *["sleep(0.2)"] * 20), "--timeout", "0.5")
    assert done.returncode == 75


def test_retries(home, tmp_path):
    path = write(tmp_path / "r.ipynb", f"local f = io.open('{tmp_path}/n', 'a+') f:write('x') f:close()\nlocal n = #io.open('{tmp_path}/n'):read('a')\nif n < 3 then error('not yet') end\nprint(n)")
    assert lacus(home, "run", path, tmp_path / "o.ipynb", "--retries", "1").returncode == 1
    os.remove(tmp_path / "n")
    done = run_ok(home, path, tmp_path / "o.ipynb", "--retries", "3", "--retry-delay", "0.05")
    os.remove(tmp_path / "n")
    piped = run_ok(home, "-", "--retries", "3", text=path.read_text())  # a pipe is read once
    assert nbformat.reads(piped.stdout, 4).metadata.lacus.attempts == 3
    assert done.stderr.count("not yet") == 2 and read(tmp_path / "o.ipynb").metadata.lacus.attempts == 3 and streams(read(tmp_path / "o.ipynb")) == ["3\n"]


def test_resume_replays_state_and_goes_on_at_the_failed_cell(home, tmp_path):
    log = tmp_path / "log"
    note = f"function note(x) local f = io.open('{log}', 'a') f:write(x) f:close() end note"
    path = write(tmp_path / "r.ipynb", ("n = 1", "parameters"), f"local m = n + 1; {note}('a') print('made', os.time())", (f"{note}('b') print('once')", "no-replay"),
                 f"if not os.getenv('FIXED') then error('broken') end print(m)", "print('end')")
    assert lacus(home, "run", path, tmp_path / "o.ipynb", "-p", "n", "41").returncode == 1
    before = read(tmp_path / "o.ipynb")
    assert any("papermill-error-cell-tag" in c.metadata.get("tags", []) for c in before.cells)
    run_ok(home, path, tmp_path / "o.ipynb", "--resume", FIXED="1")
    after = read(tmp_path / "o.ipynb")
    assert streams(after)[-2:] == ["42\n", "end\n"]  # with the parameter of the run before
    made = [s for s in streams(before) if s.startswith("made")]
    assert made == [s for s in streams(after) if s.startswith("made")] and log.read_text() == "aba"
    assert not any("papermill-error-cell-tag" in c.metadata.get("tags", []) for c in after.cells)


def test_resume_passes_a_cell_that_failed_as_it_may(home, tmp_path, package):
    path = write(tmp_path / "r.ipynb", ("error('may')", "raises-exception"), "print('slow', os.time())", "if not os.getenv('FIXED') then error('broken') end print('end')")
    assert lacus(home, "run", path, tmp_path / "o.ipynb").returncode == 1
    theirs = papermill(home, tmp_path, path, tmp_path / "theirs.ipynb", env=package)
    said = [[c.metadata.papermill for c in read(tmp_path / name).cells if "papermill" in c.metadata] for name in ("o.ipynb", "theirs.ipynb")]
    assert theirs.returncode == 1 and [[(c.status, c.exception) for c in one] for one in said] == [[("completed", False)] * 2 + [("failed", True)]] * 2
    done = run_ok(home, path, tmp_path / "o.ipynb", "--resume", FIXED="1")
    assert "[2/3] again:" in done.stdout and "slow" not in done.stdout.replace("print('slow'", "") and done.stdout.endswith("end\n")
    assert [c.metadata.lacus.status for c in read(tmp_path / "o.ipynb").cells] == ["error", "replayed", "ok"]


@pytest.mark.parametrize("end", ["print('end')", "dbutils.notebook.exit('v')"])
def test_resume_of_a_complete_run_does_nothing_twice(home, tmp_path, end):
    log = tmp_path / "log"
    path = write(tmp_path / "c.ipynb", ("n = 1", "parameters"), ("print('slow')", "slow"), f"local f = io.open('{log}', 'a') f:write(n) f:close()", end, "x = 1")
    run_ok(home, path, tmp_path / "o.ipynb", "-p", "n", "7", "--skip-tag", "slow")
    first = (tmp_path / "o.ipynb").read_bytes()
    for more in ((), ("-p", "n", "7")):
        done = run_ok(home, path, tmp_path / "o.ipynb", "--resume", "--skip-tag", "slow", *more)
        assert "is complete: nothing is left to run" in done.stderr and done.stdout == "" and (tmp_path / "o.ipynb").read_bytes() == first and log.read_text() == "7"
    run_ok(home, path, tmp_path / "o.ipynb", "--resume")  # now the cell that was skipped is to be run
    assert streams(read(tmp_path / "o.ipynb"))[2] == "slow\n" and log.read_text() == "77"
    run_ok(home, write(path, ("n = 1", "parameters"), f"local f = io.open('{log}', 'a') f:write('new') f:close()"), tmp_path / "o.ipynb", "--resume")
    assert log.read_text() == "77new"


def test_resume_with_other_parameters_begins_anew(home, tmp_path):
    path = write(tmp_path / "w.ipynb", "dbutils.widgets.text('n', '1')", "print('n is', dbutils.widgets.get('n'))", "if not os.getenv('FIXED') then error('broken') end")
    assert lacus(home, "run", path, tmp_path / "o.ipynb", "-p", "n", "7").returncode == 1
    done = run_ok(home, path, tmp_path / "o.ipynb", "-p", "n", "8", "--resume", FIXED="1")
    assert "other parameters" in done.stderr and streams(read(tmp_path / "o.ipynb"))[1] == "n is\t8\n"


def test_an_interrupt_while_python_starts_is_not_lost(home, tmp_path):
    """A Python that takes its time: the interrupt is there before it can be interrupted."""
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\ntrap '' INT\necho $$ > {tmp_path}/pid\nsleep 1\nexec {sys.executable} \"$@\"\n")
    slow.chmod(0o755)
    path = write(tmp_path / "p.ipynb", "%%python\nimport time\ntime.sleep(1000)", "print('never')")
    start = time.time()
    run = subprocess.Popen([LACUS, "run", path, tmp_path / "o.ipynb", "-q"], env=environment(home, LACUS_PYTHON=slow), stderr=subprocess.PIPE, text=True)
    pid = int(wait_for_text(tmp_path / "pid", 20))
    run.send_signal(signal.SIGTERM)
    said = run.communicate(timeout=30)[1]
    assert run.returncode == 143 and "interrupted in cell 1" in said and time.time() - start < 3.8 and has_ended(pid, 1), said


def test_a_server_that_a_cell_leaves_does_not_hold_the_pipe(home, tmp_path):
    path = write(tmp_path / "d.ipynb", f"!setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 1000' > /dev/null 2>&1 < /dev/null &", "print('end')")
    try:
        assert run_ok(home, path, tmp_path / "o.ipynb", timeout=30).stdout.endswith("end\n")
    finally:
        os.kill(int(wait_for_text(tmp_path / "pid", 20)), signal.SIGKILL)


def test_what_python_left_ends_with_the_run(home, tmp_path):
    path = write(tmp_path / "p.ipynb", f"%%python\nimport subprocess\nopen('{tmp_path}/pid', 'w').write(str(subprocess.Popen(['sleep', '1000']).pid))", "print('end')")
    run_ok(home, path, tmp_path / "o.ipynb")
    assert has_ended(int((tmp_path / "pid").read_text()), 0.1)


def test_a_save_that_fails_is_told_and_is_no_output_of_the_cell(home, tmp_path):
    out = tmp_path / "folder" / "o.ipynb"
    code = f"os.rename('{tmp_path}/folder', '{tmp_path}/away') local t = os.time() while os.time() < t + 2 do print('x') sleep(0.2) end os.rename('{tmp_path}/away', '{tmp_path}/folder')"
    done = run_ok(home, write(tmp_path / "s.ipynb", code, "print('end')"), out)
    assert "cannot write" in done.stderr and "the run goes on" in done.stderr
    assert "cannot write" not in "".join(streams(read(out)))


def test_exit_ends_the_run_well_with_a_value(home, tmp_path):
    path = write(tmp_path / "x.ipynb", "dbutils.notebook.exit('done')", "print('never')")
    run_ok(home, path)
    nb = read(path)
    assert nb.metadata.lacus.exit_value == "done" and nb.cells[1].outputs == []


@pytest.mark.parametrize("code, well", [("os.exit()", True), ("os.exit(true)", True), ("exit", True), ("os.exit(3)", False), ("pcall(os.exit, false)", False)])
def test_os_exit_ends_the_run_there(home, tmp_path, code, well):
    """papermill has it so: sys.exit() ends the run well, sys.exit(3) is the cell's failure."""
    path = write(tmp_path / "x.ipynb", "print(1)", code, "print('never')")
    done = lacus(home, "run", path, "-o", tmp_path / "o.ipynb")
    nb = read(tmp_path / "o.ipynb")
    assert (done.returncode, nb.cells[-1].outputs) == (0 if well else 1, [])
    assert well or ("SystemExit: exit status" in done.stderr and any(o.output_type == "error" for c in nb.cells[:-1] for o in c.get("outputs", [])))


def test_sigterm_ends_children_too(home, tmp_path):
    path = write(tmp_path / "s.ipynb", f"os.execute('echo $$ > {tmp_path}/pid; exec sleep 1000')")
    run = subprocess.Popen([LACUS, "run", path, "-q"], env=environment(home), stderr=subprocess.PIPE, text=True)
    end = time.time() + 10
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert time.time() < end
        time.sleep(0.02)
    pid = int((tmp_path / "pid").read_text())
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=20)
    assert run.returncode == 143
    for _ in range(100):
        if not pathlib.Path(f"/proc/{pid}").exists() or "Z" in pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2]:
            return
        time.sleep(0.05)
    pytest.fail("the child lives on")


STUCK = "print('said') io.stdout:flush() table.move({}, 1, 1 << 60, 2)" # no interrupt reaches this call


@pytest.mark.parametrize("signals, options, code", [(1, ["--grace", "1"], 143), (2, ["--grace", "600"], 143), (0, ["--grace", "0.5", "--cell-timeout", "1"], 75)])
def test_a_call_that_nothing_interrupts_does_not_hold_the_run(home, tmp_path, signals, options, code):
    path = write(tmp_path / "s.ipynb", "x = 1\nprint('first')", STUCK, "print('never')")
    run = subprocess.Popen([LACUS, "run", path, "-q", *options], env=environment(home), stderr=subprocess.PIPE, text=True)
    end = time.time() + 20
    while signals and "said" not in path.read_text().replace("print('said')", ""):
        assert time.time() < end
        time.sleep(0.05)
    for _ in range(signals):
        run.send_signal(signal.SIGTERM)
        time.sleep(0.3)
    said = run.communicate(timeout=20)[1]
    assert run.returncode == code and "was given up" in said and "'move' (Cell In[2], line 1) does not end" in said, said
    nb = read(path)
    assert nb.cells[0].outputs[0].text == "first\n" and nb.cells[1].outputs[0].text == "said\n"
    assert nb.cells[1].outputs[1].ename == ("TimeoutError" if signals == 0 else "KeyboardInterrupt") and nb.metadata.lacus.status == ("timeout" if signals == 0 else "interrupted")
    path.write_text(path.read_text().replace("table.move({}, 1, 1 << 60, 2)", "print('mended')"))
    assert lacus(home, "run", path, "--resume", "-q").returncode == 0 and streams(read(path))[-1] == "never\n"


def test_a_killed_run_has_what_a_silent_cell_left(home, tmp_path):
    path = write(tmp_path / "k.ipynb", *(f"print({i})" for i in range(50)), "print('said') sleep(1000)")
    run = subprocess.Popen([LACUS, "run", path, "-q"], env=environment(home))
    end = time.time() + 20
    while "said" not in path.read_text().replace("print('said')", ""):
        assert time.time() < end and run.poll() is None
        time.sleep(0.05)
    run.kill()
    run.wait()
    nb = read(path)
    assert streams(nb) == [f"{i}\n" for i in range(50)] + ["said\n"] and nb.cells[-1].metadata.papermill.status == "running"


# ---- sweeps ----

def test_sweep(home, tmp_path):
    path = write(tmp_path / "a.ipynb", ("lr, r = 0.1, 1", "parameters"), "mlflow.run('x', function() mlflow.log_metric('loss', lr * r) end)",
                 "if r == 16 then error('too much') end dbutils.notebook.exit(json.encode{score = r})")
    done = lacus(home, "run", path, "-o", "o/{lr}-{r}.ipynb", "--sweep", "lr=1e-5,2e-5", "--sweep", "r=8,16", "-j", "2", "--json", cwd=tmp_path)
    assert done.returncode == 1 and "2 of 4 runs failed" in done.stderr and "too much" in done.stderr
    rows = json.loads(done.stdout)
    assert [(r["lr"], r["r"], r["status"]) for r in rows] == [(a, b, "ok" if b == "8" else "failed") for a, b in itertools.product(("1e-5", "2e-5"), ("8", "16"))]
    for row in rows:
        nb = read(tmp_path / row["output"])
        assert nb.metadata.papermill.parameters == {"lr": float(row["lr"]), "r": int(row["r"])}
        assert row["loss"] == pytest.approx(float(row["lr"]) * int(row["r"]))
    assert rows[0]["score"] == 8
    report = read(tmp_path / "o" / "a-sweep.ipynb")
    chart = report.cells[1].outputs[0].data["application/vnd.vegalite.v5+json"]
    assert {(v["run"], v["metric"]) for v in chart["data"]["values"]} >= {("lr=1e-5 r=8", "loss"), ("lr=2e-5 r=16", "loss"), ("lr=1e-5 r=8", "score")}
    assert "| 1e-5 | 8 | ok |" in report.cells[0].source
    tracked = lambda: [next(t["value"] for t in r["data"]["tags"] if t["key"] == "lacus.job") for r in json.loads(lacus(home, "runs", "--output", "json").stdout)]
    assert len(tracked()) == len(set(tracked())) == 4
    again = lacus(home, "run", path, "-o", "o/{lr}-{r}.ipynb", "--sweep", "lr=1e-5,2e-5", "--sweep", "r=8,16", "--resume", "--json", cwd=tmp_path)
    assert again.returncode == 1 and [(r["status"], r["loss"], r["result"]) for r in json.loads(again.stdout)] == [(r["status"], r["loss"], r["result"]) for r in rows]
    assert len(tracked()) == 6  # only those that had failed


def test_sweeps_that_make_no_sense_are_refused_and_a_signal_ends_all(home, tmp_path):
    path = write(tmp_path / "a.ipynb", ("n = 1", "parameters"), "while true do end")
    assert "{n}" in lacus(home, "run", path, "-o", tmp_path / "{m}.ipynb", "-p", "m", "1", "--sweep", "n=1,2").stderr
    assert lacus(home, "run", path, "--sweep", "n").returncode == 64
    run = subprocess.Popen([LACUS, "run", path, "--sweep", "n=1,2,3,4", "-j", "2"], env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    end = time.time() + 10
    while not (tmp_path / "a-n=2.ipynb").exists():
        assert time.time() < end
        time.sleep(0.05)
    time.sleep(0.2)
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=20)
    assert run.returncode == 143, err
    assert out.count("interrupted") == 2 and out.count("waiting") == 2
    assert read(tmp_path / "a-n=1.ipynb").metadata.lacus.status == "interrupted"


def test_the_runs_of_a_killed_sweep_end(home, tmp_path):
    path = write(tmp_path / "a.ipynb", ("n = 1", "parameters"), "while true do end")
    run = subprocess.Popen([LACUS, "run", path, "--sweep", "n=1,2", "-q"], env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    out, end = tmp_path / "a-n=1.ipynb", time.time() + 20
    while not out.exists():
        assert time.time() < end
        time.sleep(0.02)
    time.sleep(0.2)
    run.kill()
    run.wait()
    while read(out).metadata.lacus.status != "interrupted":
        assert time.time() < end
        time.sleep(0.02)

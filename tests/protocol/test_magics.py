"""The magics through jupyter_client, beside ipykernel where it has the same one."""
import functools
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.parse

import nbclient
import nbformat
import pytest
from jupyter_client.manager import KernelManager
from kernels import LACUS, environment


class Kernel:
    """A kernel of jupyter_client's, which keeps what a cell shows."""

    def __init__(self, place, name, cwd, **more):
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel(env=dict(environment(place), **more), cwd=str(cwd))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code, timeout=60, answers=(), before_reply=None):
        """{stdout, stderr, displays, result, error, reply} of a cell."""
        shown = {"stdout": "", "stderr": "", "displays": [], "result": None, "error": None}
        answers = list(answers)

        def on_output(message):
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                shown[content["name"]] += content["text"]
                if before_reply:
                    before_reply(shown)
            elif kind == "display_data":
                shown["displays"].append(content["data"])
            elif kind == "execute_result":
                shown["result"] = content["data"]
            elif kind == "error":
                shown["error"] = content

        def on_input(message):
            self.client.input(answers.pop(0))

        reply = self.client.execute_interactive(code, timeout=timeout, output_hook=on_output, stdin_hook=on_input, allow_stdin=bool(answers))
        shown["reply"] = reply["content"]
        return shown

    def out(self, code, **more):
        shown = self.run(code, **more)
        assert shown["error"] is None, shown["error"]
        return shown["stdout"]

    def result(self, code, **more):
        shown = self.run(code, **more)
        assert shown["error"] is None, shown["error"]
        return shown["result"] and shown["result"]["text/plain"]

    def error(self, code, **more):
        shown = self.run(code, **more)
        assert shown["error"] is not None, shown
        return shown

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("magics")
    saved = dict(os.environ)
    os.environ.update(environment(folder))
    subprocess.run([LACUS, "kernelspec", "install", "--prefix", str(folder)], check=True, stdout=subprocess.DEVNULL)
    yield folder
    os.environ.clear()
    os.environ.update(saved)


start = Kernel


@pytest.fixture()
def kernel(place, tmp_path):
    k = start(place, "lacus", tmp_path, LACUS_PYTHON=sys.executable)
    yield k
    k.close()


@pytest.fixture(scope="module")
def ipython(place):
    """One for all, since it takes its time to start; it works in the folder of the module."""
    k = start(place, "python3", place)
    yield k
    k.close()


# ---- beside IPython

def test_history_and_its_kin_look_as_ipythons(kernel, place, tmp_path):
    ipython = start(place, "python3", tmp_path)  # its cells are counted
    cells = ["a = 1", "b = 2\nprint(b)", "print('x')"]
    seen = {}
    for k in (kernel, ipython):
        for cell in cells:
            k.out(cell)
        numbered = k.out("%history -n 1-3")
        prompts = k.out("%history -p 1-2").replace("...\n", "")  # IPython ends such cells with a line of its own
        rerun = k.out("%rerun 3")
        k.out("%save -f kept 1-2")
        recalled = k.run("%recall 1-2")["reply"]["payload"]
        k.result("6 * 7")
        valued = k.out("%history -o 9")
        seen[k is kernel] = (valued, numbered, prompts, rerun, [p["text"].strip() for p in recalled if p["source"] == "set_next_input"])
    ipython.close()
    assert seen[True] == seen[False]
    assert seen[True][0] == "6 * 7\n42\n"
    assert seen[True][1] == "   1: a = 1\n   2:\nb = 2\nprint(b)\n   3: print('x')\n"
    assert (tmp_path / "kept.lua").read_text() == "a = 1\nb = 2\nprint(b)\n"
    assert (tmp_path / "kept.py").read_text().endswith("a = 1\nb = 2\nprint(b)\n")
    assert "print('x')" in kernel.out("%history -g *x*") and "a = 1" not in kernel.out("%history -g *'x'*")
    assert "print('x')" in kernel.out("%history -g x*)")  # a part, as IPython searches, whatever stands in it
    assert "nothing" not in kernel.error("%rerun 3-x")["error"]["evalue"]


def test_the_last_cells_come_back(place, tmp_path):
    seen = []
    for name in ("lacus", "python3"):
        k = start(place, name, tmp_path)
        for cell in ("print(1)", "print(2)", "print(3)"):
            k.out(cell)
        seen.append([k.out("%rerun"), k.out("%hist -l 2").split("\n")[-3:]])
        k.close()
    assert seen[0] == seen[1] and seen[0][0].endswith("print(3)\n=== Output: ===\n3\n")


def test_what_reruns_is_not_run_again(kernel):
    kernel.out("print('once')")
    kernel.out("%rerun")
    assert kernel.out("%rerun").count("once") == 2  # its text and its output
    assert kernel.out("%rerun -g once").count("once") == 2


def test_what_was_an_extension_or_a_name_elsewhere(kernel, ipython):
    for k in (kernel, ipython):
        assert k.out("%load_ext autoreload\n%autoreload 2\n%autoreload 0") == ""
    assert kernel.out("%set_env LACUS_SEEN=1") == ipython.out("%set_env LACUS_SEEN=1")
    for code, hint in (("col('x')", "F.col"), ("IntSlider{}", "widgets.IntSlider"), ("pd.DataFrame()", "spark:createDataFrame"), ("cd /tmp", "%cd"),
                       ("%matplotlib inline", "plot.line"), ("%pinfo2 x", "name??"), ("%pushd /", "%cd -"), ("%macro m 1", "%save"), ("%system ls", "%sx"), ("%cat x", "!cat")):
        assert hint in kernel.error(code)["error"]["traceback"][-1], code
    assert "%ls" in kernel.run("ls")["stderr"] and kernel.run("ls = 1 ls = nil")["stderr"] == ""


def test_a_kernel_that_is_left_lives_until_its_client_has_read_so(place, tmp_path):
    k = start(place, "lacus", tmp_path)
    asked = k.client.execute("exit")
    while True:  # as jupyter-console: all output first, then the reply, as long as the kernel lives
        m = k.client.get_iopub_msg(timeout=20)
        if m["parent_header"].get("msg_id") == asked and m["content"].get("execution_state") == "idle":
            break
    assert k.manager.is_alive()
    assert k.client.get_shell_msg(timeout=20)["content"]["payload"][0]["source"] == "ask_exit"
    k.manager.provisioner.process.wait(20)
    k.client.stop_channels()


def test_magics_over_magics_and_arguments_of_shells(kernel, ipython):
    for code in ("%%capture seen\n%%bash -s a 'b c'\necho $2 $1", "%%sh --no-raise-error\nexit 3", "%%sh --out seen_too\necho one"):
        for k in (kernel, ipython):
            assert k.run(code)["error"] is None, code
    assert kernel.out("print(seen.stdout .. seen_too)") == ipython.out("print(seen.stdout + seen_too)") == "b c a\none\n\n"
    assert "Wall time" in kernel.run("%%time\n%%sql\nSELECT 1 AS a")["stdout"]
    assert kernel.out("%%sql SELECT 1 AS a,\n2 AS b\n") == "" and kernel.out("print(table.concat(_sqldf.columns, ' '))") == "a b\n"
    assert kernel.run("%%time\n%%sql\nSELECT 1 AS a")["result"] and "no option" in kernel.error("%%sh --bgg\nx")["error"]["evalue"]


def test_what_a_magic_sets_is_what_a_cell_sees(kernel, tmp_path):
    (tmp_path / "child.lua").write_text("print(n)")
    assert kernel.out(f"%run {tmp_path}/child.lua $n=3\n%run {tmp_path}/child.lua -p n 'a b'\n") == "3\na b\n"
    kernel.out("local n, o, c, p = 1, 2, 3, 4")  # its locals, too
    for code in (f"%run {tmp_path}/child.lua -p n 7", "%%bash --out o\necho hi", "%%capture c\nprint('x')", "%%python -o p\np = 99"):
        kernel.out(code)
    assert kernel.out("print(n, o, c.stdout, p) p = 5\n%store p\np = 6\n%store -r p\nprint(p) n = nil o = nil c = nil p = nil").startswith("7\thi\n\tx\n\t99\n")
    assert kernel.out("%store -r p\nprint(p)") == "5\n"


def test_shells_look_as_ipythons(kernel, ipython):
    lines = {}
    for k in (kernel, ipython):
        k.out("x = 5")
        lines[k is kernel] = [
            k.out("!echo $x {x+1} '$$HOME' '{{y}}'").replace("\r", ""),
            k.out("files = !printf 'b 2\\na 10\\n'\nprint(files.s, '|', files.n)").replace("\t", " "),
            k.out("print(files.grep('a').s)" if k is ipython else "print(files:grep('a').s)"),
            k.out("print(files.fields(1).s)" if k is ipython else "print(files:fields(2).s)"),
            k.out("print(files.sort(1, nums=True).s)" if k is ipython else "print(files:sort(2, true).s)"),
            k.out("%%bash --out got\necho from bash") + k.out("print(got)"),
            k.out("%%writefile w.txt\nline\n") + k.out("%%writefile -a w.txt\nmore\n"),
            k.out("%env LACUS_T = {x}y"),
            k.out("!exit 3\nprint(_exit_code)"),
        ]
    assert lines[True] == lines[False]


def test_bookmarks_look_as_ipythons(kernel, ipython, place, tmp_path):
    (tmp_path / "inside").mkdir()
    seen = {}
    for k in (kernel, ipython):
        first = k.result("%pwd")
        k.out(f"%cd -q {tmp_path}")
        k.out("%bookmark one")
        k.out(f"%bookmark longer {tmp_path}/inside")
        listed = k.out("%bookmark -l")
        (tmp_path / "two words").mkdir(exist_ok=True)
        assert k.out("%cd two words").endswith("/two words\n") and k.out("%cd -q ..") == ""
        moves = [k.out("%cd longer"), k.out("%cd -b one"), k.out("%cd -q longer")]
        k.out("%bookmark -d one")
        wrong = [k.run(line) for line in ("%bookmark -d one", "%cd -b one")]  # IPython says it as a text alone
        errors = ["'one'" in (shown["error"] or {"evalue": shown["stderr"]})["evalue"] for shown in wrong]
        left = k.out("%bookmark -l")
        k.out("%bookmark -r")
        seen[k is kernel] = (listed, moves, errors, left, k.out("%bookmark -l"))
        k.out("%sh mkdir gone")
        k.out("%cd -q gone")
        k.out("%sh rmdir ../gone")
        k.out("%cd -q " + first.strip("'"))
    assert seen[True] == seen[False]
    assert f"longer -> {tmp_path}/inside\n" in seen[True][0]


def test_folders_and_results_have_numbers_as_in_ipython(place, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name / "inner").mkdir(parents=True)
    seen = {}
    for name in ("lacus", "python3"):
        k = start(place, name, tmp_path)
        parts = ("%cd --inn", "%cd --seco") if name == "lacus" else ("%cd -2", "%cd -2")  # IPython fails on its own --PART
        shown = [k.out(line) for line in ("%cd first", "%cd ../second/inner", "%cd -0", "%cd -1", "%cd -1", *parts, "%dhist")]
        lines = shown[-1].splitlines()[1:]
        visited = [line.split(" ")[1] for i, line in enumerate(lines) if i == 0 or line.split(" ")[1] != lines[i - 1].split(" ")[1]]  # this one notes staying, too
        assert [line.split(":")[0] for line in lines] == [str(i) for i in range(len(lines))]
        wrong = [k.run(line) for line in ("%cd -77", "%cd --nosuch" if name == "lacus" else "%cd -78")]
        assert all("history" in w["stdout"] + (w["error"] or {"evalue": ""})["evalue"] for w in wrong)
        results = [k.result(line) for line in ("6 * 7", "'text'", "_11 + 1", "_i11", "_12")]
        assert k.result("_99 == nil" if name == "lacus" else "'_99' not in globals()").lower() == "true"
        k.out("_11 = 5")
        results += [k.result(line) for line in ("_11", "_13 + _11")]
        translated = k.out("%history -t -n 11-13 18")
        seen[name] = (shown[:-1], visited, [r.strip("'") for r in results], translated)
        last = k.out("%history -t 1 16 20")
        seen[name] += ([k.result(line).strip("'") for line in ("1 + 1", "2 + 2", "3 + 3", "_iii", "_ii", "_i")],)
        assert ("lacus.magic(" if name == "lacus" else "get_ipython().run_line_magic(") in last and "'cd', 'first'" in last.replace('"%cd first"', "'cd', 'first'")
        k.close()
    assert seen["lacus"] == seen["python3"]
    assert seen["lacus"][2] == ["42", "text", "43", "6 * 7", "text", "5", "48"]


def test_scripts_beside_the_cells_give_what_ipythons_do(kernel, ipython):
    got = {}
    for k in (kernel, ipython):
        lua = k is kernel
        k.out("%%bash --bg --out got --err wrong --proc p\necho out; echo err >&2; exit 3\n")
        if lua:
            got[lua] = k.out("io.write(got:read('a'), wrong:read('a')) print(p:wait())")
        else:
            got[lua] = k.out("import sys\nsys.stdout.write((await got.read()).decode() + (await wrong.read()).decode())\nprint(await p.wait())")
    assert got[True] == got[False] == "out\nerr\n3\n"
    started = time.monotonic()
    assert kernel.out("%%script --bg --proc q sleep 60\n") == "" and time.monotonic() - started < 20
    assert kernel.out("print(q.returncode, q.pid > 1, (tostring(q):gsub('%d+', 'N')))") == "nil\ttrue\tProcess(pid=N, running)\n"
    assert kernel.out("q:terminate() print(q:wait(), q:poll(), q.returncode)") == "-15\t-15\t-15\n"
    body = "x" * 200000
    assert kernel.out("%%script --bg --out n wc -c\n" + body + "\n") == "" and int(kernel.out("print(n:read('a'))")) in (200000, 200001)
    kernel.out("%%script --bg --proc r sleep 60\n")
    assert kernel.out("%killbgscripts") == "All background processes were killed.\n" == ipython_kill(ipython)
    assert kernel.out("%killbgscripts") == "No background processes were running.\n"
    assert kernel.out("print(r:poll())") == "-15\n"


def test_options_of_a_script_stand_anywhere_as_in_ipython(kernel, ipython):
    seen = {}
    for k in (kernel, ipython):
        k.out("%%script bash --out so --err se -s 'a b'\necho $1; echo two >&2")
        k.out("%%script --no-raise-error sh -c 'cat; echo --; exit 3' --out last\nbody")
        seen[k is kernel] = k.out("print(so, se, last)").replace("\t", " ")
    assert seen[True] == seen[False] and "a b" in seen[True] and "two" in seen[True]
    assert kernel.out("%%script sh -s -- --out x\necho $1 $2") == "--out x\n"  # behind -- they are the program's


def ipython_kill(ipython):
    ipython.out("%%script --bg sleep 60\n")
    return ipython.out("%killbgscripts")


def test_scripts_beside_the_cells_end_with_the_session(place, tmp_path):
    k = start(place, "lacus", tmp_path)
    pid = int(k.out("%%script --bg --proc q sleep 600\n") + k.out("print(q.pid)"))
    os.kill(pid, 0)
    k.client.shutdown()
    for _ in range(50):
        if not pathlib.Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.1)
    else:
        raise AssertionError("the script goes on")
    k.close()


def test_cells_that_take_a_whole_one_run_among_others(place, tmp_path):
    """%save, %rerun, %load: a %%magic is no line of a text, so there it is a call."""
    k = start(place, "lacus", tmp_path)
    cells = ["print('first')", "%%capture kept\nprint(({['a]]'] = {1}})['a]]'][1])", "%%sh\necho ']=]' \"]]\"", "%%writefile ends.txt\nends]", "!echo last"]
    said = "".join(k.out(cell) for cell in cells).replace("\r", "")
    assert said == "first\n]=] ]]\nWriting ends.txt\nlast\n"
    k.out("%save -f all 1-5")
    (tmp_path / "ends.txt").unlink()
    written = (tmp_path / "all.lua").read_text()
    assert "lacus.magic([=[\n%%capture kept\n" in written and "!echo last\n" in written
    k.out("kept = nil")
    assert k.out("%run all.lua").replace("\r", "") == said and k.out("io.write(kept.stdout)") == "1\n"
    assert (tmp_path / "ends.txt").read_text().rstrip("\n") == "ends]"
    assert k.out("%rerun 1-5").replace("\r", "").endswith("=== Output: ===\n" + said.replace("Writing", "Overwriting"))
    k.out("%save -f one 3")
    assert (tmp_path / "one.lua").read_text() == cells[2] + "\n"
    k.out("%save -a one 3")
    assert k.out("%run all.lua").replace("\r", "") == said.replace("Writing", "Overwriting")
    assert k.run("%load 2-3")["reply"]["payload"][0]["text"].count("lacus.magic(") == 2
    assert k.run("%recall 3")["reply"]["payload"][0]["text"] == cells[2]
    k.close()


def test_time_says_how_long_an_error_took_as_ipythons(kernel, ipython):
    times = re.compile(r"CPU times: user .*, sys: .*, total: .*\nWall time: .*\n")
    for k, fails in ((kernel, "error('x')"), (ipython, "1 / 0")):
        for cell in (f"%time {fails}", f"%%time\n{fails}"):
            assert times.fullmatch(k.error(cell)["stdout"]), cell
        assert k.error("%time x = = 1")["stdout"] == ""  # nothing has run
        assert times.fullmatch(k.out("%time y = 1"))
    assert times.sub("T", kernel.out("print(pcall(function() lacus.magic('%time error()') end))")).startswith("T" + "false")


def test_the_environment_is_listed_without_secrets_as_ipythons_is(kernel, ipython):
    for k in (kernel, ipython):
        for name in ("SOME_API_KEY", "some_token", "MY_SECRETS", "PLAIN"):
            k.out(f"%env {name}=hunter22-{name}")
        listed = k.result("%env")
        assert listed.count("<hidden>") >= 3 and listed.count("hunter22") == 1 and "hunter22-PLAIN" in listed, listed
        assert k.result("%env SOME_API_KEY").strip("'") == "hunter22-SOME_API_KEY"


def test_what_a_text_wrote_to_is_no_output_of_it(kernel, tmp_path):
    """The value of io.write is the file, which no cell shows: neither where another one runs its text."""
    (tmp_path / "writes.lua").write_text("io.write('x\\n')\n")
    shown = kernel.run("%run writes.lua")
    assert (shown["stdout"], shown["displays"], shown["result"]) == ("x\n", [], None)
    kernel.run("io.write('again\\n')")
    shown = kernel.run("%rerun")
    assert shown["stdout"].endswith("again\n") and shown["displays"] == []
    kernel.out("%%capture kept\nio.stderr:write('z\\n')")
    assert kernel.out("print(kept.stderr, #kept.outputs)") == "z\n\t0\n"
    assert kernel.result("f = %time io.open('/dev/null')\nio.type(f)") == "file"


def test_what_history_shows_as_lua_runs(place, tmp_path):
    k = start(place, "lacus", tmp_path)
    cells = ["n = 2", "!echo $n", "lines = !echo one; echo two", "%%capture kept\nprint('in', n)", "local names = %who_ls", "for i = 1, n do\n  !echo {i}\nend", "%time local a, b = n, n + 1",
             "!echo long \\\n  line", "%cd -q /"]
    said = "".join(k.out(cell) for cell in cells).replace("\r", "")
    k.out(f"%history -t -f {tmp_path}/again.lua 1-{len(cells)}")
    written = (tmp_path / "again.lua").read_text()
    assert not re.search("^[%!]|= *[%!]", written.replace("[[\n%%capture", "[["), re.M) and 'lines = lacus.magic("%sx echo one; echo two")\n' in written
    subprocess.run(["lua5.4", "-e", f"assert(loadfile('{tmp_path}/again.lua'))"], check=True)
    k.out(f"%reset -f\n%cd -q {tmp_path}")
    again = k.out("%run again.lua").replace("\r", "")
    times = r"(CPU|Wall) time.*\n"
    assert re.sub(times, "", again) == re.sub(times, "", said) == "2\n1\n2\nlong line\n"
    assert k.out("print(lines[2], kept.stdout, a, b, #names > 0)") == "two\tin\t2\n\t2\t3\ttrue\n" and k.result("%pwd") == "/"
    assert k.out("local function f(x) lacus.magic('!echo $x') return lacus.magic('%sx echo ' .. x) end\nprint(f(4).s)").replace("\r", "") == "4\n4\n"
    for text in ("x = !ls", "print(1)", "!ls\\n!ls", ""):
        assert "is not a magic or a command" in k.error(f'lacus.magic("{text}")')["error"]["evalue"]
    k.close()


def test_timeit_looks_as_ipythons(kernel, ipython):
    shape = re.compile(r"[\d.]+ [nμm]?s ± [\d.]+ [nμm]?s per loop \(mean ± std\. dev\. of (\d+) runs?, ([\d,]+) loops? each\)\n")
    for k in (kernel, ipython):
        text = k.out("%timeit -n 1000 -r 3 1 + 1").split("cached.\n")[-1]
        assert shape.fullmatch(text).groups() == ("3", "1,000"), text
        assert re.match(r"[\d.]{5,} ?\S+ ± ", k.out("%timeit -n 1000 -r 3 -p 7 1 + 1").split("cached.\n")[-1])
        result = k.result("r = %timeit -q -o -n 10 -r 2 1 + 1\n" + ("r" if k is kernel else "r"))
        assert result.startswith("<TimeitResult : ") and "2 runs, 10 loops each" in result
    assert kernel.out("print(r.loops, r['repeat'], #r.timings, r.best <= r.average)") == "10\t2\t2\ttrue\n"


def test_timeit_runs_its_set_up_and_commands_as_ipythons(kernel, ipython):
    """The set-up is run in front of each run, and what it defines is not left behind."""
    for k, set_up, is_left in ((kernel, "local kept = print('set-up')", "kept ~= nil"), (ipython, "kept = print('set-up')", "'kept' in globals()")):
        assert k.out(f"%%timeit -q -n 2 -r 3 {set_up}\nprint('body')") == "set-up\nbody\nbody\n" * 3
        assert k.result(is_left).lower() == "false"
        assert k.out("%timeit -q -n 2 -r 2 !echo said").replace("\r", "") == "said\n" * 4


def test_who_and_capture_look_as_ipythons(kernel, ipython):
    for k, kind in ((kernel, "number"), (ipython, "int")):
        k.out("one = 1")
        k.out("word = 'w'")
        assert [w for w in k.out("%who").split() if w in ("one", "word")] == ["one", "word"]
        listed = k.out(f"%who {kind}").split()
        assert "one" in listed and "word" not in listed
        assert k.out("%%capture cap\nprint('quiet')") == ""
        assert k.out("print(cap.stdout)") == "quiet\n\n"


# ---- every magic

def test_every_magic_explains_itself_and_is_listed(kernel):
    text = kernel.out("%lsmagic")
    for name in re.findall(r"%(\w+)", text):
        page = [p for p in kernel.run(f"%{name}?")["reply"]["payload"] if p["source"] == "page"]
        if name != "time" or page:
            assert "Usage: %" in page[0]["data"]["text/plain"], name
    page = kernel.run("%quickref")["reply"]["payload"][0]["data"]["text/plain"]
    assert "%%capture" in page and len({line.index("the names that") for line in page.splitlines() if line.startswith("%who")}) == 1
    asked = """lsmagic quickref time timeit who whos reset history recall rerun save load edit run autoreload cd pwd ls env sh sx fs md
               sql config store load_ext restart connect_info luarocks pip tensorboard""".split()
    assert set(asked) <= set(re.findall(r"(?<!%)%(\w+)", text))
    assert set("time timeit sh bash script html markdown latex vegalite writefile sql capture R python".split()) <= set(re.findall(r"%%(\w+)", text))


@pytest.mark.parametrize("line, says", [
    ("%timeit -z tostring(1)", "no option '-z'"), ("%timeit -z", "no option '-z'"), ("%timeit -z -n 3 1", "no option '-z'"), ("%time -q x", "no option '-q'"), ("%prun -Z x", "no option '-Z'"),
    ("%debug --step x", "no option '--step'"), ("%pwd -P", "takes nothing"), ("%lsmagic all", "takes nothing")])
def test_what_is_no_option_is_named_where_a_statement_follows(kernel, line, says):
    assert says in kernel.error(line)["error"]["evalue"]


def test_the_minus_of_an_expression_is_no_option(kernel):
    kernel.out("n = 3")
    for line in ("%time -n", "%time -n -n", "%time -n + 1", "%time -n or 2", "%time -1"):
        assert kernel.out(line)


def test_wrong_options_are_named(kernel):
    assert "did you mean '--no-stdout'" in "".join(kernel.error("%%capture --no-sdout x\n1")["error"]["traceback"])
    assert "usage: %timeit" in "".join(kernel.error("%timeit -n f()")["error"]["traceback"])
    assert "%who" in "".join(kernel.error("%whoo")["error"]["traceback"])


def test_store_outlives_the_kernel(place, kernel, tmp_path):
    kernel.out("t = {1, {x = 0.1}, ['a b'] = 'line\\nline'} t.me = t")
    assert kernel.out("%store t") == "Stored 't' (table)\n"
    assert "cannot store f: it is a function" in kernel.error("f = print\n%store f")["error"]["evalue"]
    other = start(place, "lacus", tmp_path)
    try:
        assert other.out("%store -r t\nprint(t[1], t[2].x, t['a b'], t.me == t)") == "1\t0.1\tline\nline\ttrue\n"
        other.out("%store -d t")
        assert "no variable is stored" in other.error("%store -r t")["error"]["evalue"]
    finally:
        other.close()


def test_modules_are_loaded_again(kernel, tmp_path):
    (tmp_path / "hot.lua").write_text("local M = {}\nfunction M.f() return 'one' end\nM.class = {__index = {name = 'a'}}\nreturn M\n")
    kernel.out("package.path = './?.lua;' .. package.path\nlocal hot = require 'hot'\nobject = setmetatable({}, hot.class)\n%autoreload 2")
    assert kernel.out("print(hot.f(), object.name)") == "one\ta\n"
    (tmp_path / "hot.lua").write_text("local M = {}\nfunction M.f() return 'two!' end\nM.class = {__index = {name = 'bb'}}\nreturn M\n")
    assert kernel.out("print(hot.f(), object.name)") == "two!\tbb\n"
    kernel.out("%aimport -hot")
    (tmp_path / "hot.lua").write_text("return {f = function() return 'skipped' end}\n")
    assert kernel.out("print(hot.f())") == "two!\n" and "hot" in kernel.out("%aimport").split("skip:")[1]
    assert kernel.out("%aimport").split("\n")[1] == "all modules (%autoreload 2)"
    assert kernel.out("%autoreload 0\n%aimport").split("\n")[1] == "none (%autoreload 0)"
    assert kernel.out("%autoreload 1\n%aimport").split("\n")[1] == "none: %aimport MODULE names one (%autoreload 1)"
    kernel.out("%aimport hot")
    assert kernel.out("%aimport").split("\n")[1] == "hot" and "hot" not in kernel.out("%aimport").split("skip:")[1]
    assert kernel.out("%autoreload 0\n%aimport").split("\n")[1] == "none (%autoreload 0); in mode 1: hot"
    kernel.out("%autoreload 1")
    (tmp_path / "hot.lua").write_text("return {f = function() return 'two!' end, longer = 1}\n")
    assert kernel.out("print(hot.f(), hot.longer)") == "two!\t1\n"
    (tmp_path / "hot.lua").write_text("syntax error here\n")
    shown = kernel.run("print(hot.f())")
    assert "autoreload of hot failed" in shown["stderr"] and shown["stdout"] == "two!\n"


def test_an_extension_brings_magics(kernel, tmp_path):
    (tmp_path / "loud.lua").write_text("""return {load_ext = function(session)
      session:register_magic("shout", function(line, body) return (body or line):upper() end, {kind = "both", doc = "says it loudly"})
    end}""")
    kernel.out("package.path = './?.lua;' .. package.path\n%load_ext loud")
    assert kernel.result("%shout hello") == "HELLO"
    assert "BODY" in kernel.result("%%shout\nbody")
    assert "shout" in kernel.client.complete("%sho", reply=True, timeout=10)["content"]["matches"]
    assert "%shout" in kernel.out("%lsmagic")
    kernel.out("%unload_ext loud")
    assert "unknown magic" in kernel.error("%shout x")["error"]["evalue"]


def test_restart_forgets_names_and_keeps_widgets(kernel):
    kernel.run("dbutils.widgets.text('lr', '2e-4')\nlocal a = 1\nb = 2")
    count = kernel.run("1")["reply"]["execution_count"]
    assert "anew" in kernel.out("%restart")
    assert kernel.out("print(a, b, dbutils.widgets.get('lr'))") == "nil\tnil\t2e-4\n"
    assert kernel.run("1")["reply"]["execution_count"] == count + 3
    kernel.out("c = 3")
    kernel.out("dbutils.library.restart()")
    assert kernel.out("print(c, dbutils.widgets.get('lr'))") == "nil\t2e-4\n"


def test_run_is_of_the_notebooks_folder_and_after_cd_of_the_working_one(place, tmp_path):
    for folder in ("nb", "else"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.lua").write_text(f"print('same of {folder}')")
    (tmp_path / "nb" / "only.lua").write_text("print('only')")
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("dbutils.notebook.exit('child of nb')")]), tmp_path / "nb" / "child.ipynb")
    k = start(place, "lacus", tmp_path, JPY_SESSION_NAME=str(tmp_path / "nb" / "mine.ipynb"))  # as jupyter_server tells it
    assert k.out("%run same\n%run only.lua") == "same of nb\nonly\n"
    assert k.out("%cd -q else\n%run same\n%run only\nprint(dbutils.notebook.run('child'))") == "same of else\nonly\nchild of nb\n"
    k.close()


def test_connect_info_connects(kernel):
    info = json.JSONDecoder().raw_decode(kernel.out("%connect_info"))[0]
    assert info["shell_port"] == kernel.client.get_connection_info()["shell_port"]


def test_run_takes_parameters(kernel, tmp_path):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("dbutils.widgets.text('n', '1')"), nbformat.v4.new_code_cell("made = 'n is ' .. dbutils.widgets.get('n')")])
    nbformat.write(nb, tmp_path / "part.ipynb")
    assert kernel.out("%run ./part $n=7\nprint(made)") == "n is 7\n"
    nb.cells[0] = nbformat.v4.new_code_cell("n = 1", metadata={"tags": ["parameters"]})
    nb.cells[1].source = "print(n + 1)"
    nbformat.write(nb, tmp_path / "papermill.ipynb")
    assert kernel.out("%run papermill -p n 41") == "42\n"
    (tmp_path / "script.lua").write_text("from_script = 'yes'\n")
    assert kernel.out("%run script.lua\nprint(from_script)") == "yes\n"
    for first in (b"", b"#!/usr/bin/env lacus\n", b"# of an editor\n"):
        (tmp_path / "script.lua").write_bytes(b"\xef\xbb\xbf" + first + b"print('marked', arg[1])\n")
        assert kernel.out("%run script.lua x") == "marked\tx\n"


def test_a_page_is_loaded(kernel, tmp_path):
    (tmp_path / "page.lua").write_text("answer = 42\n")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    payload = kernel.run(f"%load http://127.0.0.1:{server.server_address[1]}/page.lua")["reply"]["payload"]
    assert payload[0]["text"].endswith("\nanswer = 42\n") and payload[0]["replace"]
    server.shutdown()


def test_a_chart_and_its_faults(kernel):
    shown = kernel.run('%%vegalite\n{"mark": "bar", "data": {"values": []}, "encoding": {}}')
    assert shown["displays"][0]["application/vnd.vegalite.v5+json"]["mark"] == "bar"
    assert "line 2" in kernel.error('%%vegalite\n{"mark": "bar",\n x}')["error"]["evalue"]


# ---- commands

def test_a_command_streams_and_stops(kernel):
    first = []

    def interrupt(shown):
        if shown["stdout"] and not first:
            first.append(time.monotonic())
            kernel.manager.interrupt_kernel()

    began = time.monotonic()
    shown = kernel.run("!trap 'echo cleaned; exit 1' INT; echo started; while true; do sleep 0.05; done", before_reply=interrupt)
    assert shown["reply"]["status"] == "error" and shown["error"]["ename"] == "KeyboardInterrupt"
    assert shown["stdout"] == "started\ncleaned\n"
    assert time.monotonic() - began < 5
    began = time.monotonic()
    kernel.out("!sleep 30 &")
    assert time.monotonic() - began < 5


# ---- %%python

def test_python_keeps_its_names_and_shows_values(kernel):
    shown = kernel.run("%%python\nimport sys\nx = 40\nprint('out')\nprint('err', file=sys.stderr)\nx + 2")
    assert (shown["stdout"], shown["stderr"], shown["displays"][0]["text/plain"]) == ("out\n", "err\n", "42")
    shown = kernel.run("%%python\nclass H:\n    def _repr_html_(self): return '<b>%d</b>' % x\nH()")
    assert shown["displays"][0]["text/html"] == "<b>40</b>"
    assert kernel.run("%%python\nimport os\nos.system('echo child');").get("stdout") == "child\n"


def test_python_errors_are_pythons(kernel):
    error = kernel.error("%%python\ndef f(n):\n    return 1 / n\nf(0)")["error"]
    assert error["ename"] == "ZeroDivisionError" and error["evalue"] == "division by zero"
    text = "\n".join(error["traceback"])
    assert "line 3, in f" in text and "return 1 / n" in text and "_run" not in text
    assert kernel.error("%%python\nx = (")["error"]["ename"] == "SyntaxError"
    assert "Python has ended" in kernel.error("%%python\nimport os\nos._exit(3)")["error"]["evalue"]
    assert kernel.error("%%python\nf")["error"]["ename"] == "NameError"


def test_python_takes_and_gives_values(kernel):
    kernel.out("t = {1, 2.5, 'three'} word = 'wörd'")
    assert kernel.out("%%python -i t,word -o back,n -o d\nback = t[::-1] + [word]\nn = 2**40\nd = {'k': [1, None]}\nprint(t, word)") == "[1, 2.5, 'three'] wörd\n"
    assert kernel.out("print(back[1], back[4], n, math.type(n), d.k[1])") == "three\twörd\t1099511627776\tinteger\t1\n"
    assert "no such variable" in kernel.error("%%python -i missing\n1")["error"]["evalue"]
    assert kernel.out("%%python -o wide\nwide = [2**70, 2**63 - 1]") == "" and kernel.out("print(wide[1] == 2^70, wide[2])") == "true\t9223372036854775807\n"
    assert "'gone' is not defined" in kernel.error("%%python -o gone\n1")["error"]["evalue"]
    assert "cannot hand over 'f'" in kernel.error("%%python -o f\nf = print")["error"]["evalue"]


def test_python_and_lua_have_the_same_bytes_and_numbers(kernel):
    kernel.out("bytes, inf, list = '\\xff\\0b', -math.huge, {0/0, 'ok', {b = '\\xfe'}}")
    assert kernel.out("%%python -i bytes,inf,list -o back,numbers,deep\nprint(bytes, inf, list)\nback = bytearray(bytes) + b'\\x80'\n"
                      "numbers = [float('nan'), float('inf'), 1.5]\ndeep = {'k': (b'\\xff', None)}") == "b'\\xff\\x00b' -inf [nan, 'ok', {'b': b'\\xfe'}]\n"
    assert kernel.out("print(back == '\\xff\\0b\\x80', numbers[1] ~= numbers[1], numbers[2], numbers[3], deep.k[1] == '\\xff', deep.k[2] == null)") == "true\ttrue\tinf\t1.5\ttrue\ttrue\n"


def test_pandas_keeps_integers_with_nulls_and_nested_types(kernel):
    """The usual Python has pandas: what went there comes back with its types and values."""
    kernel.out("df = spark:sql([[SELECT * FROM VALUES (9007199254740993, 1Y, array(1, null, 3), map('k', 2.5), named_struct('x', 1, 'd', 1.25), 'a', true, cast(1.5 AS decimal(20,4)), cast(null AS boolean)), "
               "(null, null, null, null, null, null, null, null, null) AS t(big, small, list, map, st, s, b, dec, none)]])")
    assert kernel.out("%%python -i df -o back,more\nimport pandas as pd\nassert isinstance(df, pd.DataFrame)\nprint(df['big'].dtype, df['small'].dtype, df['big'][0])\nback = df\n"
                      "more = df.assign(list=[[0.5], None], map=['no map', None])") == "Int64 Int8 9007199254740993\n"
    types = types_of(kernel, "back")
    assert types == {"big": "bigint", "small": "tinyint", "list": "array<int>", "map": "map<string,decimal(2,1)>", "st": "struct<x:int,d:decimal(3,2)>", "s": "string", "b": "boolean", "dec": "decimal(20,4)", "none": "boolean"}
    assert kernel.out("for _, r in ipairs(back:collect()) do print(r) end") == kernel.out("for _, r in ipairs(df:collect()) do print(r) end")
    assert types_of(kernel, "more") == types | {"list": "array<double>", "map": "string"}
    assert "two columns are named 'a'" in kernel.error("%%python -o twice\ntwice = pd.DataFrame([[1, 2]], columns=['a', 'a'])")["error"]["evalue"]


def test_dataframes_travel(kernel):
    kernel.out('df = spark:createDataFrame({{1, "a", 0.5}, {2, "b", null}}, "n bigint, s string, x double")')
    kernel.out("%%python -i df -o out,table\nimport pyarrow as pa\nt = pa.Table.from_pandas(df) if not isinstance(df, pa.Table) else df\nassert t.column('n').to_pylist() == [1, 2], t\n"
               "out = t.append_column('m', pa.array([10, 20]))\ntable = t.filter(pa.compute.equal(t['n'], 2)) if hasattr(pa, 'compute') else t.slice(1)")
    assert kernel.out("for _, r in ipairs(out:orderBy('n'):collect()) do print(r.n, r.s, r.m) end") == "1\ta\t10\n2\tb\t20\n"
    assert kernel.out("print(table:count(), table:collect()[1].s)") == "1\tb\n"
    kernel.run("%sql SELECT 3 AS three")
    assert kernel.out("print(_sqldf:collect()[1].three)") == "3\n"


TABLE_OF_TYPES = """%%python -o t
import datetime as dt, decimal, pyarrow as pa
cut = pa.array([1500, None], pa.timestamp("ns"))
t = pa.table({
    "b": pa.array([True, None]), "i8": pa.array([-1, None], pa.int8()), "i16": pa.array([-1, None], pa.int16()),
    "i32": pa.array([-1, None], pa.int32()), "i64": pa.array([2**40, None]), "f": pa.array([1.5, None], pa.float32()), "d": pa.array([0.1, None]),
    "s": pa.array(["w\\u00f6rd", None]), "e": pa.array(["", "x" * 100]), "bin": pa.array([b"\\x00\\xff", None]),
    "date": pa.array([dt.date(1969, 12, 31), None]), "ntz": pa.array([1, None], pa.timestamp("us")), "tz": pa.array([-1, None], pa.timestamp("us", "UTC")),
    "dec": pa.array([decimal.Decimal("-1.25"), None], pa.decimal128(10, 2)), "big": pa.array([decimal.Decimal("9" * 28 + "." + "9" * 10), None], pa.decimal128(38, 10)),
    "l": pa.array([[1, None], None]), "ls": pa.array([["a", None], []], pa.list_(pa.string())), "st": pa.array([{"a": 1, "b": "x"}, None]),
    "mp": pa.array([[("k", 1), ("l", None)], None], pa.map_(pa.string(), pa.int64())), "deep": pa.array([[{"a": [1]}, None], None]),
    "none": pa.nulls(2, pa.string())})
"""
# what Spark has no type for comes as the one that holds it
OTHER_TYPES = """%%python -o t
import datetime as dt, pyarrow as pa
time = dt.time(1, 2, 3, 400000)
t = pa.table({
    "u8": pa.array([200, None], pa.uint8()), "u16": pa.array([60000, None], pa.uint16()), "u32": pa.array([2**32 - 1, None], pa.uint32()),
    "u64": pa.array([2**64 - 1, None], pa.uint64()), "half": pa.array([1.5, None], pa.float32()).cast(pa.float16()),
    "ls": pa.array(["a", None], pa.large_string()), "sv": pa.array(["a text that is too long for a view", None], pa.string_view()),
    "cat": pa.array(["x", "y"]).dictionary_encode(), "cats": pa.array([["x"], ["y", None]], pa.list_(pa.string())).cast(pa.list_(pa.dictionary(pa.int32(), pa.string()))),
    "lb": pa.array([b"x", None], pa.large_binary()), "fb": pa.array([b"xyz", None], pa.binary(3)), "d64": pa.array([dt.date(2020, 1, 2), None], pa.date64()),
    "sec": pa.array([1, None], pa.timestamp("s")), "nano": pa.array([1999, None], pa.timestamp("ns")), "berlin": pa.array([1, None], pa.timestamp("ms", "Europe/Berlin")),
    "time": pa.array([time, None], pa.time64("us")), "t32": pa.array([dt.time(1, 2, 3), None], pa.time32("ms")), "span": pa.array([dt.timedelta(1), None], pa.duration("us")),
    "d256": pa.array([1, None], pa.decimal256(30, 2)), "ll": pa.array([["a"], None], pa.large_list(pa.string())), "fl": pa.array([[1, 2], None], pa.list_(pa.int32(), 2)),
    "nul": pa.nulls(2), "lnul": pa.array([[None], None], pa.list_(pa.null()))})
"""
WITHOUT = """%%python
side = display.__globals__
side["_has"] = (lambda has: lambda name: name not in {hidden} and has(name))(side["_has"])
"""


def types_of(kernel, name):
    lines = kernel.out(f"for _, p in ipairs({name}.dtypes) do print(p[1], p[2]) end").splitlines()
    return dict(line.split("\t") for line in lines)


def test_every_type_travels_both_ways(kernel):
    """A table that came back as it went: compared by pyarrow itself, from the file that lacus wrote."""
    kernel.out(TABLE_OF_TYPES)
    assert types_of(kernel, "t") == {
        "b": "boolean", "i8": "tinyint", "i16": "smallint", "i32": "int", "i64": "bigint", "f": "float", "d": "double", "s": "string", "e": "string", "bin": "binary",
        "date": "date", "ntz": "timestamp_ntz", "tz": "timestamp", "dec": "decimal(10,2)", "big": "decimal(38,10)", "l": "array<bigint>", "ls": "array<string>",
        "st": "struct<a:bigint,b:string>", "mp": "map<string,bigint>", "deep": "array<struct<a:array<bigint>>>", "none": "string"}
    assert kernel.out("print(t:where('i8 = -1'):count(), t:collect()[1].big, t:collect()[1].tz)") == "1\t9999999999999999999999999999.9999999999\t1969-12-31 23:59:59.999999\n"
    # pandas changes what it cannot hold, so that the rows are compared without it
    kernel.out("%%python\nwas = t")
    kernel.out(WITHOUT.format(hidden=["pandas"]))
    kernel.out("%%python -i t\nt.validate(full=True)\nassert t.schema.names == was.schema.names, t.schema\n"
               "for f in was.schema: assert t.schema.field(f.name).type.equals(f.type) or pa.types.is_nested(f.type), (f, t.schema.field(f.name))\n"
               "for name in was.schema.names: assert t[name].to_pylist() == was[name].to_pylist(), (name, t[name], was[name])")


def test_what_spark_has_no_type_for_comes_as_one_that_holds_it(kernel):
    kernel.out(OTHER_TYPES)
    assert types_of(kernel, "t") == {
        "u8": "smallint", "u16": "int", "u32": "bigint", "u64": "decimal(20,0)", "half": "float", "ls": "string", "sv": "string", "cat": "string", "cats": "array<string>",
        "lb": "binary", "fb": "binary", "d64": "date", "sec": "timestamp_ntz", "nano": "timestamp_ntz", "berlin": "timestamp", "time": "string", "t32": "string",
        "span": "bigint", "d256": "decimal(30,2)", "ll": "array<string>", "fl": "array<int>", "nul": "int", "lnul": "array<int>"}
    assert kernel.out("local r = t:orderBy('u8', {ascending = false}):collect()[1]; print(r.u64, r.half, r.cat, r.cats[1], r.fb, r.d64, r.sec, r.nano, r.berlin, r.time, r.t32, r.span, r.fl[2], r.nul)") == \
        "18446744073709551615\t1.5\tx\tx\txyz\t2020-01-02\t1970-01-01 00:00:01\t1970-01-01 00:00:00.000001\t1970-01-01 00:00:00.001\t01:02:03.4\t01:02:03\t86400000000\t2\tnull\n"
    error = kernel.error("%%python -o far\nimport decimal\nfar = pa.table({'x': pa.array([decimal.Decimal(1)], pa.decimal256(60, 2))})")["error"]
    assert "cannot take 'far' from Python" in error["evalue"] and "the column 'x' has a type that Spark does not know" in "".join(error["traceback"])


def test_many_rows_and_none_travel(kernel):
    kernel.out("df = spark:range(200000):selectExpr('id', 'CAST(id AS STRING) s', 'id % 7 = 0 ok')")
    kernel.out("%%python -i df -o back,none\nimport pyarrow as pa\nassert len(df) == 200000 and list(df['id'][:3]) == [0, 1, 2] and int(df['id'].sum()) == 19999900000\n"
               "t = pa.Table.from_pandas(df)\nback = pa.concat_tables([t.slice(0, 150000), t.slice(150000)])\nnone = t.slice(0, 0)")
    assert kernel.out("local r = back:selectExpr('count(*) n', 'sum(id) t', 'count_if(ok) k', 'max(length(s)) w'):collect()[1]; print(r.n, r.t, r.k, r.w)") == "200000\t19999900000\t28572\t6\n"
    assert kernel.out("print(none:count(), none.dtypes[2][1], none.dtypes[2][2])") == "0\ts\tstring\n"
    kernel.out("%%python -i none\nimport os\nassert len(none) == 0 and list(none.columns) == ['id', 's', 'ok']\nassert os.listdir(display.__globals__['_folder']) == []")
    assert "it has no columns" in "".join(kernel.error("%%python -o bare\nbare = pa.table({})")["error"]["traceback"])


def test_dataframes_that_fail_on_their_way(kernel):
    kernel.out("bad = spark:sql(\"SELECT CAST(s AS INT) n FROM VALUES ('x') t(s)\")")
    assert "CAST_INVALID_INPUT" in kernel.error("%%python -i bad\n1")["error"]["evalue"]
    kernel.out("slow = spark:range(1000000000):selectExpr('id', 'sha2(repeat(CAST(id AS STRING), 1000), 512) h')")
    threading.Timer(1.5, kernel.manager.interrupt_kernel).start()
    assert "nterrupt" in kernel.error("%%python -i slow\n1")["error"]["ename"]
    kernel.out("%%python\nimport os\nassert os.listdir(display.__globals__['_folder']) == []")


def test_polars_gives_and_takes_without_pyarrow(kernel):
    kernel.out("df = spark:createDataFrame({{1, 'a', {1, 2}}, {2, 'b', null}}, 'n bigint, s string, l array<int>')")
    kernel.out(WITHOUT.format(hidden=["pandas", "pyarrow"]))
    kernel.out("%%python -i df -o out,other\nimport polars as pl, datetime as dt\nassert df.rows() == [(1, 'a', [1, 2]), (2, 'b', None)], df\nout = df.lazy()\n"
               "other = pl.DataFrame({'u': pl.Series([2**64 - 1, None], dtype=pl.UInt64), 'c': pl.Series(['x', None], dtype=pl.Categorical), 'd': [dt.date(2020, 1, 2), None],"
               " 'ts': pl.Series([1999, None]).cast(pl.Datetime('ns')), 'tz': pl.Series([1, None]).cast(pl.Datetime('ms', 'Europe/Berlin')), 't': [dt.time(1, 2, 3, 400000), None],"
               " 'st': [{'a': 1, 'b': b'x'}, None], 'arr': pl.Series([[1, 2], None], dtype=pl.Array(pl.Int8, 2)), 'nul': [None, None]})")
    assert kernel.out("for _, r in ipairs(out:orderBy('n'):collect()) do print(r.n, r.s, r.l) end") == "1\ta\t{1, 2}\n2\tb\tnull\n"
    assert types_of(kernel, "other") == {"u": "decimal(20,0)", "c": "string", "d": "date", "ts": "timestamp_ntz", "tz": "timestamp", "t": "string",
                                         "st": "struct<a:bigint,b:binary>", "arr": "array<tinyint>", "nul": "int"}
    assert kernel.out("local r = other:collect()[1]; print(r.u, r.c, r.d, r.ts, r.tz, r.t, r.st.b, r.arr)") == \
        "18446744073709551615\tx\t2020-01-02\t1970-01-01 00:00:00.000001\t1970-01-01 00:00:00.001\t01:02:03.4\tx\t{1, 2}\n"


def test_dataframes_of_a_server_travel(place, tmp_path, spark_server):
    k = start(place, "lacus", tmp_path, LACUS_PYTHON=sys.executable, SPARK_REMOTE=spark_server.url)
    try:
        test_every_type_travels_both_ways(k)
        k.out("dbutils.library.restartPython()")
        test_many_rows_and_none_travel(k)
    finally:
        k.close()


def test_python_asks_is_interrupted_and_starts_anew(kernel):
    assert kernel.out("%%python\nx = input('name? ')\nprint('hello', x)", answers=["you"]) == "hello you\n"
    assert kernel.error("%%python\ninput('x')")["error"]["ename"] in ("EOFError", "StdinNotImplementedError")
    asked = []

    def interrupt(shown):
        if shown["stdout"] and not asked:
            asked.append(1)
            kernel.manager.interrupt_kernel()

    shown = kernel.run("%%python\nprint('on')\nwhile True: pass", before_reply=interrupt)
    assert shown["error"]["ename"] == "KeyboardInterrupt" and "while True" in shown["stderr"]
    assert kernel.out("%%python\nprint(x)") == "you\n"
    assert "variables are gone" in kernel.run("%%python\nimport sys\nsys.exit()")["stderr"]
    assert kernel.error("%%python\nimport sys\nsys.exit(3)")["error"]["evalue"] == "Python ended itself with exit status 3"
    failed = kernel.error("%%python\nimport sys\nsys.exit('no data')")
    assert failed["stderr"] == "no data\n" and "exit status 1" in failed["error"]["evalue"]
    kernel.out("%%python\nx = 1\n")
    kernel.out("dbutils.library.restartPython()")
    assert kernel.error("%%python\nx")["error"]["ename"] == "NameError"


def test_without_python_it_says_so(place, tmp_path):
    k = start(place, "lacus", tmp_path, LACUS_PYTHON="/no/such/python")
    try:
        assert "LACUS_PYTHON is '/no/such/python'" in k.error("%%python\n1")["error"]["evalue"]
    finally:
        k.close()


# ---- packages

def wheel(folder, name, version):
    """A package of one module, as a wheel."""
    import zipfile
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr(f"{name}.py", f"version = '{version}'\n")
        z.writestr(f"{name}-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        z.writestr(f"{name}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(f"{name}-{version}.dist-info/RECORD", f"{name}.py,,\n{name}-{version}.dist-info/METADATA,,\n{name}-{version}.dist-info/WHEEL,,\n{name}-{version}.dist-info/RECORD,,\n")


def test_pip_installs_into_the_kept_python(place, tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel(wheels, "tinyone", "1.0")
    wheel(wheels, "tinytwo", "2.0")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    site = next((tmp_path / "env" / "lib").glob("python*")) / "site-packages"
    (site / "pip-of-the-tests.pth").write_text(next(p for p in sys.path if (pathlib.Path(p) / "pip").is_dir()) + "\n")
    (tmp_path / "need.txt").write_text(f"# packages\n--no-index --find-links {wheels}\npeft>=0.1\ntinytwo \\\n  == 2.0  # pinned\n")
    k = start(place, "lacus", tmp_path, LACUS_PYTHON=str(tmp_path / "env" / "bin" / "python"), PIP_NO_COMPILE="1", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_CONFIG_FILE=os.devnull)
    slowly = functools.partial(k.out, timeout=600)  # a pip of its own each: some seconds, a minute on a machine with other work
    try:
        out = slowly(f"%pip install --no-index --find-links {wheels} \\\n   'tinyone>=1' transformers[torch]==4.44")
        assert "transformers: built in" in out and "Successfully installed tinyone-1.0" in out
        assert slowly("%pip install -q -r need.txt") == ""
        assert k.out("%%python\nimport tinyone, tinytwo\nprint(tinyone.version, tinytwo.version)") == "1.0 2.0\n"
        assert "Version: 1.0" in slowly("%pip show tinyone")
        assert "tinytwo==2.0" in slowly("%pip freeze")
        assert "Successfully uninstalled tinyone-1.0" in slowly("%pip uninstall tinyone")
        assert "pip install failed" in k.error(f"%pip install --no-index --find-links {wheels} no-such-package", timeout=600)["error"]["evalue"]
    finally:
        k.close()


def test_pip_leaves_what_is_built_in_alone(place, tmp_path):
    python = tmp_path / "python"  # tells what it is asked, and removes nothing
    python.write_text(f"#!/bin/sh\necho \"$@\" >>{tmp_path}/asked\n")
    python.chmod(0o755)
    k = start(place, "lacus", tmp_path, LACUS_PYTHON=str(python))
    try:
        assert "built in" in k.out("%pip uninstall torch") and not (tmp_path / "asked").exists()
        k.out("%pip uninstall --in-python torch")
        assert "uninstall" in (tmp_path / "asked").read_text() and "torch" in (tmp_path / "asked").read_text()
    finally:
        k.close()


@pytest.fixture()
def rocks_server(tmp_path):
    """A rocks server with two versions of a rock in Lua, made by the real luarocks."""
    if not shutil.which("luarocks") or not shutil.which("luarocks-admin"):
        pytest.skip("SKIP: luarocks is not installed")
    rocks = tmp_path / "rocks"
    rocks.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(rocks))
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"

    def publish(version):
        source = rocks / f"pebble-{version}.lua"
        source.write_text(f"return {{version = '{version}'}}\n")
        (rocks / f"pebble-{version}-1.rockspec").write_text(
            f'package = "pebble"\nversion = "{version}-1"\nsource = {{url = "{url}/pebble-{version}.lua"}}\n'
            f'build = {{type = "builtin", modules = {{pebble = "pebble-{version}.lua"}}}}\n')
        (rocks / "grain.c").write_text("""#include <lauxlib.h>
static int add(lua_State *L) { lua_pushinteger(L, luaL_checkinteger(L, 1) + luaL_checkinteger(L, 2)); return 1; }
int luaopen_grain(lua_State *L) { lua_newtable(L); lua_pushcfunction(L, add); lua_setfield(L, -2, "add"); return 1; }
""")
        (rocks / "grain-1.0-1.rockspec").write_text(f'package = "grain"\nversion = "1.0-1"\nsource = {{url = "{url}/grain.c"}}\n'
                                                    'build = {type = "builtin", modules = {grain = {sources = {"grain.c"}}}}\n')
        (rocks / "boulder.lua").write_text("return {of = require('pebble').version}\n")
        (rocks / "boulder-1.0-1.rockspec").write_text(f'package = "boulder"\nversion = "1.0-1"\nsource = {{url = "{url}/boulder.lua"}}\ndependencies = {{"lua >= 5.1", "pebble >= 1.0"}}\n'
                                                      'build = {type = "builtin", modules = {boulder = "boulder.lua"}}\n')
        subprocess.run(["luarocks-admin", "make-manifest", "--lua-version=5.4", str(rocks)], check=True, capture_output=True, env=dict(os.environ, HOME=str(tmp_path)))

    yield url, publish
    server.shutdown()


def test_rocks_are_installed_and_pinned(place, tmp_path, rocks_server):
    url, publish = rocks_server
    publish("1.0")
    (tmp_path / "work.ipynb").write_text("{}")
    k = start(place, "lacus", tmp_path, JPY_SESSION_NAME=str(tmp_path / "work.ipynb"))
    try:
        k.out(f"%luarocks install --only-server {url} pebble")
        assert k.out("print(require('pebble').version)") == "1.0\n"
        k.out(f"%luarocks install --only-server {url} grain")  # in C
        assert k.out("print(require('grain').add(40, 2))") == "42\n"
    finally:
        k.close()
    lock = tmp_path / "work.rocks.lock"
    assert lock.read_text().splitlines()[1:] == ["grain 1.0-1", "pebble 1.0-1"]
    publish("2.0")
    shutil.rmtree(place / "lacus" / "rocks")
    other = start(place, "lacus", tmp_path, JPY_SESSION_NAME=str(tmp_path / "work.ipynb"))
    try:
        assert "pinned" in other.out(f"%luarocks install --only-server {url} pebble")
        assert other.out("print(require('pebble').version)") == "1.0\n"
        other.out(f"%luarocks install --only-server {url} pebble 2.0")
        assert "pebble 2.0-1\n" in lock.read_text()
        other.out("package.loaded.pebble = nil")
        assert other.out("print(require('pebble').version)") == "2.0\n"
    finally:
        other.close()
    shutil.rmtree(place / "lacus" / "rocks")
    third = start(place, "lacus", tmp_path, JPY_SESSION_NAME=str(tmp_path / "work.ipynb"))
    try:
        third.out(f"%luarocks restore --only-server {url}")
        assert third.out("print(require('pebble').version)") == "2.0\n"
    finally:
        third.close()


def test_the_lock_pins_what_rocks_depend_on(place, tmp_path, rocks_server):
    """On another machine: the newest pebble is not what the notebook had, and what the lock names besides stays in it."""
    url, publish = rocks_server
    publish("1.0")
    publish("2.0")
    cells = [f"%luarocks install --only-server {url} boulder", "print(require('boulder').of)"]
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells]), tmp_path / "work.ipynb")
    lock = tmp_path / "work.rocks.lock"
    for locked, version, after in ((["boulder 1.0-1", "grain 1.0-1", "pebble 1.0-1"], "1.0", None), (["boulder 1.0-1"], "2.0", ["boulder 1.0-1", "pebble 2.0-1"])):
        lock.write_text("# rocks\n" + "".join(f"{one}\n" for one in locked))
        shutil.rmtree(place / "lacus" / "rocks", ignore_errors=True)
        done = subprocess.run([LACUS, "run", "work.ipynb", "-o", "o.ipynb"], capture_output=True, text=True, cwd=tmp_path, env=environment(place))
        assert done.returncode == 0 and f"\n{version}\n" in done.stdout, done
        assert lock.read_text().splitlines()[1:] == (after or locked)


def test_tensorboard_is_started_or_missed(place, tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    k = start(place, "lacus", tmp_path, PATH=f"{programs}:/usr/bin:/bin")
    try:
        if not any(os.access(f"{p}/tensorboard", os.X_OK) for p in ("/usr/bin", "/bin")):
            k.out("%env LACUS_PYTHON=/nowhere/python")
            assert "no program 'tensorboard'" in k.error("%tensorboard --logdir runs")["error"]["evalue"]
        (programs / "tensorboard").write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import sys, http.server as h\n"
                                              "h.ThreadingHTTPServer((\"127.0.0.1\", int(sys.argv[4])), h.SimpleHTTPRequestHandler).serve_forever()' \"$@\"\n")
        (programs / "tensorboard").chmod(0o755)
        shown = k.run("%tensorboard --logdir runs")
        assert shown["error"] is None, shown
        port = int(re.search(r"localhost:(\d+)", shown["displays"][0]["text/html"])[1])
        again = k.run("%tensorboard --logdir runs")
        assert f":{port}/" in again["displays"][0]["text/html"]
        k.out("%tensorboard --stop")
        (programs / "tensorboard").write_text("#!/bin/sh\necho cannot import x >&2\nexit 1\n")
        assert "cannot import x" in "".join(k.error("%tensorboard --logdir runs")["error"]["traceback"])
        (programs / "tensorboard").unlink()  # what %pip installs is in the Python of the cells, and perhaps not on the PATH
        module = tmp_path / "modules" / "tensorboard"
        module.mkdir(parents=True)
        (module / "__init__.py").touch()
        (module / "main.py").write_text("import sys, http.server as h\nif __name__ == '__main__':\n    h.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[4])), h.SimpleHTTPRequestHandler).serve_forever()\n")
        k.out(f"%env PYTHONPATH={tmp_path}/modules")
        k.out(f"%env LACUS_PYTHON={sys.executable}")
        with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as taken:
            said = k.error(f"%tensorboard --logdir runs --port {taken.server_port}")["error"]["evalue"]
            assert f"something else answers on port {taken.server_port}" in said
        shown = k.run("%tensorboard --logdir runs")
        assert shown["error"] is None and "localhost" in shown["displays"][0]["text/html"], shown
        port = int(re.search(r"localhost:(\d+)", shown["displays"][0]["text/html"])[1])
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
        k.manager.signal_kernel(signal.SIGKILL)  # a kernel that is killed leaves no server behind
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=10).close()
            except ConnectionRefusedError:
                break
            time.sleep(0.05)
        else:
            pytest.fail(f"TensorBoard still answers on port {port}")
    finally:
        k.close()


@pytest.mark.parametrize("magic, program, code, out, err", [
    ("ruby", "ruby", "puts [1, 2, 3].sum\nwarn 'aside é'", "6\n", "aside é\n"),
    ("node", "node", "console.log([1, 2].map(x => x * 2).join()); console.error('aside é')", "2,4\n", "aside é\n"),
    ("perl", "perl", "print 2**10, qq(\\n); print STDERR qq(aside é\\n);", "1024\n", "aside é\n"),
    ("R", "R", "cat(sum(c(1, 2, 3)), '\\n'); message('aside')", "6 \n", "aside\n"),
    ("script lua5.4 -", "lua5.4", "print(1 + 1) io.stderr:write('aside\\n')", "2\n", "aside\n"),
])
def test_cells_in_other_languages(kernel, magic, program, code, out, err):
    if not shutil.which(program):
        pytest.skip(f"SKIP: there is no {program}")
    shown = kernel.run(f"%%{magic}\n{code}")
    assert (shown["stdout"], shown["stderr"], shown["error"]) == (out, err, None), shown


def test_a_language_that_is_absent_is_named_with_its_package(kernel, tmp_path, monkeypatch):
    kernel.out(f"%env PATH={tmp_path}")
    for magic, package in (("ruby", "apt-get install ruby"), ("R", "r-base-core"), ("perl", "install perl"), ("node", "nodejs"), ("bash", "install bash"), ("script julia", "julialang.org")):
        said = "".join(kernel.error(f"%%{magic}\n1")["error"]["traceback"])
        assert "there is no such program on the PATH" in said and package in said, said


# ---- dbutils

def test_secrets_are_not_echoed_and_not_tracked(kernel, place):
    """What the front end is told of a cell's text, and what a tracking server is told of parameters and tags."""
    value = "s3cr3t-of-the-lake"
    kernel.out("dbutils.secrets.createScope('echo')\ndbutils.secrets.put('echo', 'k', 's3cr3t-' .. 'of-the-lake')")
    kernel.client.execute(f"x = '{value}'")
    while (message := kernel.client.get_iopub_msg(timeout=20))["msg_type"] != "execute_input":
        pass
    assert message["content"]["code"] == "x = '[REDACTED]'"
    kernel.out("print(1)")
    shown = kernel.run("run = mlflow.start_run()\nmlflow.log_param('token', 'Bearer ' .. x) mlflow.set_tag('note', x) mlflow.log_params{a = x, b = 'plain'} mlflow.end_run()")
    assert shown["error"] is None and shown["stderr"].count("warning:") == 3 and "'token'" in shown["stderr"], shown
    kernel.out("kept = mlflow.get_run(run.info.run_id).data")
    assert kernel.out("print(kept.params.token, kept.params.b, #kept.params.a, kept.tags.note == x)") == f"Bearer [REDACTED]\tplain\t{len('[REDACTED]')}\tfalse\n"
    stored = b"".join(f.read_bytes() for f in pathlib.Path(os.environ["LACUS_HOME"]).rglob("*") if f.is_file())
    assert value.encode() not in stored and b"Bearer [REDACTED]" in stored


def test_a_scope_that_is_used_hides_all_its_values(kernel, place, tmp_path):
    """Also those that come by another way than dbutils.secrets.get: a file, the shell, Python, another notebook."""
    subprocess.run([LACUS, "secrets", "create-scope", "lake"], check=True)
    for name in ("one", "two"):
        subprocess.run([LACUS, "secrets", "put", "lake", name], input=f"value-of-{name}", text=True, check=True)
    (tmp_path / "pw.txt").write_text("value-of-two")
    assert kernel.out("print(io.open('pw.txt'):read 'a')") == "value-of-two\n"
    kernel.out("local v = dbutils.secrets.get('lake', 'one')")
    assert kernel.out("print(io.open('pw.txt'):read 'a')") == "[REDACTED]\n"
    assert "value-of-two" not in json.dumps([kernel.run(c) for c in ("!cat pw.txt", "%%sh\ncat pw.txt >&2", "%%python\nprint(open('pw.txt').read())", "%load pw.txt", "%%sh\ntr a-z A-Z < pw.txt | tr A-Z a-z")])
    child = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("dbutils.notebook.exit(io.open('pw.txt'):read 'a')")])
    nbformat.write(child, tmp_path / "child.ipynb")
    assert "value-of-two" not in json.dumps(kernel.run("print(dbutils.notebook.run('child'))"))
    cells = ["print(#dbutils.secrets.list('lake'))", "print((io.open('pw.txt'):read 'a'))", "w = widgets.Text{value = (io.open('pw.txt'):read 'a')}\nw"]
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells]), tmp_path / "s.ipynb")
    done = subprocess.run([LACUS, "run", "s.ipynb", "-o", "o.ipynb", "--log-output"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "2\n" in done.stdout + done.stderr, done
    assert "value-of-two" not in done.stdout + done.stderr + (tmp_path / "o.ipynb").read_text()


def test_the_log_of_a_job_shows_no_secrets(kernel):
    """Also where the text goes on from job:logs(): into a file, another string."""
    state = pathlib.Path(os.environ["LACUS_HOME"])
    kernel.out("dbutils.secrets.createScope('logs') dbutils.secrets.put('logs', 'k', 'lake-' .. 'password')\nprint(#llm.jobs())")
    with sqlite3.connect(state / "workspace.db") as db:
        db.execute("INSERT INTO train_jobs(id, spec, status, owner_pid, owner_start, created) VALUES('job-logs', '{}', 'failed', 0, 0, 0)")
    (state / "jobs" / "job-logs").mkdir(parents=True)
    (state / "jobs" / "job-logs" / "worker.log").write_text("asked with lake-password\n")
    assert kernel.out("print((llm.job('job-logs'):logs():gsub('%a+', string.upper)))").endswith("ASKED WITH [REDACTED]\n")


def test_secrets_never_get_out(kernel, place, tmp_path):
    import base64
    value = 'Tr0ub4dor&3 "x"/+'
    encoded = [base64.b64encode(value.encode()).decode(), base64.b64encode(b"u:" + value.encode()).decode()[4:-4], urllib.parse.quote(value), urllib.parse.quote_plus(value), json.dumps(value)[1:-1], value]
    messages = []
    subprocess.run([LACUS, "secrets", "create-scope", "prod"], check=True)
    subprocess.run([LACUS, "secrets", "put", "prod", "token"], input=value, text=True, check=True)
    kernel.out('v = dbutils.secrets.get("prod", "token")')
    cells = ["print(v)", "v", "{v, k = v}", "io.write(v:sub(1, 5)) io.write(v:sub(6), '\\n')", "display.html('<i>' .. v)", "display.json({a = v})",
             "io.stderr:write(v)", "error('bad ' .. v)", "!printf '%s' '$v' | base64", "!printf 'u:%s' '$v' | base64", "%%python -i v\nimport urllib.parse\nprint(urllib.parse.quote(v)); v",
             "%%python -i v\nraise ValueError(v)", "v?", "%whos", "display({v})", "dbutils.notebook.exit(v)", "%%capture c\nprint(v)", "c.show()"]
    for cell in cells:
        shown = kernel.run(cell)
        messages.append(json.dumps(shown, ensure_ascii=False))
        assert "[REDACTED]" in messages[-1] or cell.startswith("%%capture"), (cell, messages[-1])
    inspect = kernel.client.inspect("v", reply=True, timeout=10)
    messages.append(json.dumps(inspect["content"], ensure_ascii=False))
    for seq, (command, arguments) in enumerate((("initialize", {}), ("inspectVariables", {}), ("richInspectVariables", {"variableName": "v"}),
                                                ("evaluate", {"expression": "v .. 'x'", "context": "repl"}))):
        content = {"type": "request", "seq": seq + 1, "command": command, "arguments": arguments}
        asked = kernel.client.session.msg("debug_request", content)
        kernel.client.control_channel.send(asked)
        while (answer := kernel.client.get_control_msg(timeout=20))["parent_header"].get("msg_id") != asked["header"]["msg_id"]:
            pass
        messages.append(json.dumps(answer["content"], ensure_ascii=False))
    assert "[REDACTED]" in messages[-3] + messages[-2]
    for text in messages:
        for form in encoded:
            assert form not in text, (form, text)
    assert kernel.out("print(#v)") == f"{len(value)}\n"
    kernel.out('dbutils.secrets.put("prod", "other", "written-in-the-cell")')
    kernel.run("v")
    for content in [kernel.client.history(hist_access_type="tail", n=30, reply=True, timeout=10, output=o, raw=True)["content"] for o in (True, False)]:
        assert "written-in-the-cell" not in json.dumps(content) and value not in [row[2][1] if isinstance(row[2], list) else "" for row in content["history"]]
        assert "[REDACTED]" in json.dumps(content)
    assert "there is a secret in it" in kernel.error("held = {v}\n%store held")["error"]["evalue"]
    (tmp_path / "child.ipynb").write_text(nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("dbutils.widgets.text('p', '')")])))
    assert "'p' is a secret" in kernel.error("dbutils.notebook.run('child', 10, {p = v})")["error"]["evalue"]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell('local v = dbutils.secrets.get("prod", "token")\nprint(v)\nv'), nbformat.v4.new_code_cell("error(v)", metadata={"tags": ["raises-exception"]})])
    nbformat.write(nb, tmp_path / "s.ipynb")
    done = subprocess.run([LACUS, "run", str(tmp_path / "s.ipynb"), "-o", str(tmp_path / "o.ipynb")], capture_output=True, text=True)
    written = (tmp_path / "o.ipynb").read_text()
    assert done.returncode == 0 and value not in done.stdout + done.stderr + written and "[REDACTED]" in written
    assert value not in "".join(p.read_bytes().decode("latin-1") for p in (place / "lacus").glob("workspace.db*"))
    assert subprocess.run([LACUS, "secrets", "get", "prod", "token"], capture_output=True, text=True, check=True).stdout == value


def test_the_box_of_a_table_does_not_tell_how_long_a_secret_is(kernel):
    """Nor how it begins: it is hidden before it is cut. Also as a part of a value, as a name, and set upright."""
    subprocess.run([LACUS, "secrets", "create-scope", "boxes"], check=True)
    shown = []
    for key, value in (("short", "Tr0ub4dor"), ("long", "correct-horse-battery-staple-and-then-some-more-of-it")):
        subprocess.run([LACUS, "secrets", "put", "boxes", key], input=value, text=True, check=True)
        kernel.out(f"v = dbutils.secrets.get('boxes', '{key}')\ndf = spark:createDataFrame({{{{v, 1}}, {{'Bearer ' .. v, 2}}}}, {{'secret', 'n'}})")
        rich = kernel.run("df")["result"]
        tables = [kernel.out(f"df:{call}") for call in ("show()", "show(20, false)", "show(20, 4)", "show{n = 5, vertical = true}", "withColumnRenamed('n', v):show(1)")]
        shown.append([rich["text/plain"], re.sub("<td[^>]*>", "<td>", rich["text/html"]), *tables])
        assert "[REDACTED]" in tables[0] and "Bearer [REDACTED]" in tables[1] and value[:4] not in json.dumps(shown[-1])
    assert shown[0] == shown[1]


def test_files(kernel, tmp_path):
    out = kernel.out(f"""dbutils.fs.mkdirs("file:{tmp_path}/d/e")
      dbutils.fs.put("dbfs:{tmp_path}/d/a.txt", "hällo", true)
      print(dbutils.fs.head("file://{tmp_path}/d/a.txt", 2), dbutils.fs.head("d/a.txt"))
      for _, f in ipairs(dbutils.fs.ls("d")) do print(f.name, f.size, f.isDir) end
      dbutils.fs.cp("d", "copy", true) dbutils.fs.mv("copy/a.txt", "copy/b.txt") dbutils.fs.rm("d", true)""")
    assert out == "h\thällo\na.txt\t6\tfalse\ne/\t0\ttrue\n"
    assert sorted(os.listdir(tmp_path / "copy")) == ["b.txt", "e"] and not (tmp_path / "d").exists()
    assert "there already" in kernel.error('dbutils.fs.put("copy/b.txt", "x")')["error"]["evalue"]
    assert "without recurse" in kernel.error('dbutils.fs.rm("copy")')["error"]["evalue"]
    assert "mounts" in kernel.error('dbutils.fs.mount("s3://x", "/mnt/x")')["error"]["evalue"]
    assert "is the root" in kernel.error('dbutils.fs.rm("/", true)')["error"]["evalue"]
    assert "<table>" in kernel.run('dbutils.fs.ls("copy")')["result"]["text/html"]
    assert kernel.out("%fs put copy/c.txt 'some text'\n%fs head copy/c.txt") == "some text"
    kernel.out("%fs cp -r copy again\n%fs rm -r copy\n%fs ls again")
    assert "did you mean 'mkdirs'" in "".join(kernel.error("%fs mkdir x")["error"]["traceback"])


def test_notebooks_run_and_end(kernel, tmp_path):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("dbutils.widgets.text('day', 'none')"), nbformat.v4.new_code_cell("pcall(dbutils.notebook.exit, 'for ' .. dbutils.widgets.get('day'))\nprint('never')"), nbformat.v4.new_code_cell("error('never')")])
    nbformat.write(nb, tmp_path / "child.ipynb")
    assert kernel.out("print(dbutils.notebook.run('child', 60, {day = 'monday'}))") == "for monday\n"
    nb.cells[1].source = "while true do end"
    nbformat.write(nb, tmp_path / "child.ipynb")
    began = time.monotonic()
    assert "did not end within 1 second" in kernel.error("dbutils.notebook.run('child', 1)")["error"]["evalue"]
    assert time.monotonic() - began < 10
    nb.cells[1].source = "error('the reason')"
    nbformat.write(nb, tmp_path / "child.ipynb")
    assert "the reason" in kernel.error("dbutils.notebook.run('child')")["error"]["evalue"]
    kernel.client.execute("sleep(0.5) dbutils.notebook.exit('done')")  # the next request is there by then
    late = kernel.client.execute("print('late')")
    while (reply := kernel.client.get_shell_msg(timeout=20))["parent_header"]["msg_id"] != late:
        assert reply["content"]["status"] == "ok"
    assert reply["content"]["status"] == "aborted"
    assert kernel.out("print('and on')") == "and on\n"


@pytest.mark.parametrize("call, says", [
    ("fs.ls()", "dbutils.fs.ls: 'path' is missing"), ("fs.cp{from = 'a'}", "dbutils.fs.cp: 'to' is missing"), ("fs.head('a', 'b')", "dbutils.fs.head: 'maxBytes' must be a number, not a string"),
    ("fs.ls{pth = '/'}", "dbutils.fs.ls has no argument 'pth'"), ("fs:ls('/')", "called with a dot"), ("notebook.run('a', 'x')", "'timeoutSeconds' must be a number"), ("secrets.get('a')", "'key' is missing"),
])
def test_arguments_of_dbutils_are_named(kernel, call, says):
    shown = kernel.error(f"dbutils.{call}")
    assert says in shown["error"]["evalue"] and f"dbutils.{call.split('(')[0].split('{')[0].replace(':', '.')}(" in "".join(shown["error"]["traceback"]), shown["error"]


def test_help_is_made_from_the_code(kernel):
    assert "secrets" in kernel.out("dbutils.help()")
    assert "cp(from: string, to: string, recurse = false)" in kernel.out("dbutils.fs.help()")
    assert kernel.out('dbutils.secrets.help("get")').startswith("get(scope: ScopeName, key: SecretKey) -> string")
    assert "it has " in "".join(kernel.error("dbutils.fs.copy()")["error"]["traceback"])


def test_nbclient_runs_them(place, tmp_path):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in ("local out = !echo shell\nprint(out.s)", "%%python -o x\nx = 6 * 7", "print(x)", "%%html\n<b>h</b>", "%timeit -n 1 -r 1 1")])
    done = nbclient.NotebookClient(nb, kernel_name="lacus", resources={"metadata": {"path": str(tmp_path)}}, timeout=60).execute()
    nbformat.validate(done)
    assert done.cells[0].outputs[0].text == "shell\n" and done.cells[2].outputs[0].text == "42\n"
    assert done.cells[3].outputs[0].data["text/html"] == "<b>h</b>"


def test_a_command_of_sql_says_that_it_is_done(kernel):
    """As Databricks does, instead of a table without columns; what has rows or columns stays one."""
    for cell in ("%sql CREATE OR REPLACE TEMP VIEW done AS SELECT 1 AS a", "_sqldf", "%%sql\nDROP VIEW done", "spark:sql('SET x.y = 1'):limit(0):select()"):
        assert kernel.run(cell)["result"] == {"text/plain": "OK"}
    assert "2 rows × 0 columns" in kernel.run("spark:range(2):select()")["result"]["text/html"]
    assert "0 rows × 1 column" in kernel.run("spark:range(0)")["result"]["text/html"]
    assert kernel.out("_sqldf:show()") == "++\n||\n++\n++\n\n"  # Spark's own


def test_sql_takes_values_of_the_session(kernel):
    """As a notebook of Databricks does: :name is a value, $name a text; a widget goes before a variable."""
    kernel.out("""df = spark:createDataFrame({{1, "a"}, {2, "b"}, {3, "O'Brien"}}, {"id", "s"})
      local name, most = "O'Brien", 2
      city, where = "variable", "df_view"
      df:createOrReplaceTempView(where)
      dbutils.widgets.text("city", "b") dbutils.widgets.text("least", "1", {type = "int"})""")

    def rows(statement):
        kernel.out(f"%%sql\n{statement}")
        return kernel.out("for _, r in ipairs(_sqldf:collect()) do io.write(tostring(r[1]), ';') end")

    assert rows("SELECT id FROM {df} WHERE s = :name -- not :city") == "3;"
    assert rows("SELECT s FROM {df} WHERE id BETWEEN :least AND :most ORDER BY 1") == "a;b;"
    assert rows("SELECT id FROM ${where} WHERE s = '$city' AND id >= $least") == "2;"
    assert rows(r"SELECT '\$city $absent ^x$ :name {df}' || get_json_object('{\"a\":5}', '$.a')") == "$city $absent ^x$ :name {df}5;"
    assert rows("SELECT 5::int") == "5;"
    assert kernel.result("x = %sql SELECT :least + 41 AS n\nx:collect()[1].n") == "42"
    assert "UNBOUND_SQL_PARAMETER" in kernel.error("%sql SELECT :absent")["error"]["evalue"]


def test_settings(kernel):
    assert kernel.result("%config python") == sys.executable
    kernel.out("%config editor = 'nano -w'")
    assert kernel.out("!echo $EDITOR") == "nano -w\n"
    assert "did you mean 'editor'" in "".join(kernel.error("%config edtor = x")["error"]["traceback"])
    kernel.out('%config memory_limit = "50MB"')
    failed = kernel.error("t = {} for i = 1, 1e9 do t[i] = {} end")["error"]
    assert failed["ename"] == "MemoryError" and "%config memory_limit" in "".join(failed["traceback"])
    kernel.out("t = nil collectgarbage()\n%config memory_limit = 1GiB\nprint(#string.rep('x', 2^27 // 1 | 0))")
    assert kernel.result("%config memory_limit") == "1GiB"
    assert "no amount of memory" in kernel.error("%config memory_limit = much")["error"]["evalue"]
    assert kernel.result("%config memory_limit") == "1GiB"
    kernel.out("%config spark.sql.session.timeZone = UTC")
    assert "UTC" in kernel.result("%config spark.sql.session.timeZone")


def test_a_local_that_is_timed_is_one_of_the_cell(kernel):
    shown = kernel.run("%time local q, r = 5, 6\nq + r")
    assert shown["result"]["text/plain"] == "11" and "Wall time" in shown["stdout"]
    assert kernel.result("q") == "5"
    assert kernel.out("do\n  %time local inner = 1\nend\n%time local kept <const> = 2").count("Wall time") == 2
    assert kernel.result("kept") == "2"


def test_what_a_failing_cell_showed_is_kept(kernel):
    assert kernel.error("%%capture c\nprint('before')\ndisplay.html('<b>x</b>')\nerror('inside')")["error"]["evalue"] == "inside"
    assert kernel.result("c.stdout, #c.outputs") == "before\n\t1"


def test_what_store_refuses_and_writes(kernel, tmp_path):
    kernel.out("keep = {1, {2, a = 'x'}}\n%store keep\n%store keep > keep.txt")
    assert (tmp_path / "keep.txt").read_text() == '{1, {2, a = "x"}}\n'
    assert "-d removes 'keep'" in kernel.error("%store -z keep")["error"]["evalue"] and "keep" in kernel.out("%store")
    assert "no variable is stored as 'absent'" in kernel.error("%store -d absent")["error"]["evalue"]


def test_texts_for_the_next_cell(kernel, tmp_path):
    kernel.out("first = 1")
    (tmp_path / "some.lua").write_text("one = 1\ntwo = 2\nthree = 3\n")

    def next_cell(code):
        payload = [p for p in kernel.run(code)["reply"]["payload"] if p["source"] == "set_next_input"]
        return payload[0]["text"], payload[0]["replace"]

    assert next_cell("%load -r 2-3 some") == ("-- %load -r 2-3 some\ntwo = 2\nthree = 3\n", True)
    assert next_cell("%load 1") == ("-- %load 1\nfirst = 1\n", True)
    assert next_cell("%edit some.lua") == ("one = 1\ntwo = 2\nthree = 3\n", True)
    assert next_cell("%recall 1") == ("first = 1", False)
    assert next_cell("%recall first") == ("first = 1", False)
    kernel.result("6 * 7")
    assert next_cell("%recall") == ("42", False)
    assert "no earlier cell" in kernel.error("%recall 999")["error"]["evalue"]


def test_save_asks(kernel, tmp_path):
    kernel.out("a = 1")
    (tmp_path / "there.lua").write_text("old\n")
    assert kernel.out("%save there 1", answers=["n"]) == "Operation cancelled.\n"
    assert (tmp_path / "there.lua").read_text() == "old\n"
    kernel.out("%save there 1", answers=["y"])
    assert (tmp_path / "there.lua").read_text() == "a = 1\n"
    kernel.out("%save -a there 1")
    assert (tmp_path / "there.lua").read_text() == "a = 1\na = 1\n"


def test_files_of_the_home_folder(kernel, tmp_path):
    kernel.out(f"%env HOME={tmp_path}")
    assert kernel.out("%%writefile ~/home.lua\nprint('from home', ...)") == "Writing " + str(tmp_path / "home.lua") + "\n"
    assert kernel.out("%run -i ~/home.lua x") == "from home\tx\n" and kernel.out("%run ~/home") == "from home\n"
    kernel.out("%save -f ~/saved 1")
    assert (tmp_path / "saved.lua").read_text().startswith("%env HOME")
    kernel.out("%history -f ~/history.lua 1")
    assert (tmp_path / "history.lua").exists()
    assert "from home" in kernel.run("%load ~/home")["reply"]["payload"][0]["text"]
    kernel.out("%%file -a ~/home.lua\nprint('more')")
    assert kernel.out("%run ~/home") == "from home\nmore\n"


def test_run_tells_of_a_parameter_that_the_notebook_does_not_know(kernel, tmp_path):
    """And sets it, as papermill does; those of the notebook that runs it are not meant."""
    cell = nbformat.v4.new_code_cell("epochs = 1")
    cell.metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_code_cell("print(epochs, epoch, rate)")]), tmp_path / "inner.ipynb")
    shown = kernel.run("%run inner.ipynb -p epoch 3 $rate=0.5 $epochs=2")
    assert shown["stdout"] == "2\t3\t0.5\n"
    assert shown["stderr"] == ("warning: the notebook knows no parameter 'epoch'; did you mean 'epochs'?\n"
                               "warning: the notebook knows no parameter 'rate'\n")
    assert kernel.run("%run inner.ipynb -p epochs 3")["stderr"] == ""
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%run inner.ipynb $epochs=7")]), tmp_path / "outer.ipynb")
    shown = kernel.run("%run outer.ipynb -p other 1")
    assert shown["stdout"].startswith("7\t") and shown["stderr"] == "warning: the notebook knows no parameter 'other'\n"


def test_what_ipythons_run_load_save_and_history_take(kernel, tmp_path):
    (tmp_path / "script.lua").write_text("print('ran', n)\n")
    kernel.out("n = 3")
    assert kernel.out("%run -i script.lua") == "ran\t3\n"
    timed = kernel.out("%run -t -i script.lua")
    assert timed.startswith("ran\t3\nCPU times: user") and "Wall time:" in timed
    assert "no option '-d'" in kernel.error("%run -d script.lua")["error"]["evalue"]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1"), nbformat.v4.new_markdown_cell("# text"), nbformat.v4.new_code_cell("print(x)")])
    nbformat.write(nb, tmp_path / "cells.ipynb")
    assert kernel.run("%load cells.ipynb")["reply"]["payload"][0]["text"] == "-- %load cells.ipynb\nx = 1\n\nprint(x)\n"
    (tmp_path / "Plain").write_text("y = 2\n")
    assert kernel.run("%load Plain")["reply"]["payload"][0]["text"] == "-- %load Plain\ny = 2\n"
    assert "no earlier cell" in kernel.error("%save -f nothing 900-901")["error"]["evalue"] and not (tmp_path / "nothing.lua").exists()
    for i in range(12):
        kernel.out(f"h = {i}")
    assert kernel.out("%history -l").count("\n") == 10 and kernel.out("%history -g").count("\n") > 12
    assert "no variable can be called '9x'" in kernel.error("%%capture 9x\nprint(1)")["error"]["evalue"]
    assert "no variable can be called 'a-b'" in kernel.error("%%bash --out a-b\necho 1")["error"]["evalue"]
    kernel.out("half = 4.5\n%store half")
    assert "half             -> 4.5\n" in kernel.out("%store")


def test_words_of_pdb_at_the_prompt_of_debug(kernel):
    kernel.error("function third(n)\n  local twice = n * 2\n  return twice + nil\nend\nthird(4)")
    shown = kernel.run("%debug", answers=["pp {twice}", "args", "exit"])
    assert "{8}" in shown["stdout"] and "n = 4" in shown["stdout"] and shown["error"] is None
    shown = kernel.run("%debug third(3)", answers=["s", "n", "return", "exit"])
    assert "attempt to perform arithmetic" in shown["stdout"]

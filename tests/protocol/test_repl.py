"""The prompt driven through a real terminal (tmux), keys as a person types them; and attached to kernels that run."""
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from jupyter_client import BlockingKernelClient
from kernels import LACUS, environment

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="SKIP: no tmux is installed")


class Terminal:
    def __init__(self, folder, *command, columns=90, rows=30, **env):
        self.tmux = ["tmux", "-S", str(folder / f"tmux{time.time_ns()}"), "-f", "/dev/null"]
        self.env = {k: v for k, v in (environment(folder) | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PAGER": "cat"} | env).items() if k not in ("TMUX", "NO_COLOR") or k in env}
        self.env["INPUTRC"] = env.get("INPUTRC", "/dev/null")
        self.run("new-session", "-d", "-x", str(columns), "-y", str(rows), *(command or (LACUS,)))

    def run(self, *args):
        return subprocess.run([*self.tmux, *map(str, args)], env=self.env, capture_output=True, text=True, check=True).stdout

    def screen(self, *options):
        return self.run("capture-pane", "-p", *options)

    def wait(self, pattern, timeout=20):
        end = time.time() + timeout
        while not re.search(pattern, self.screen(), re.M):
            assert time.time() < end, f"no {pattern!r} in:\n{self.screen()}"
            time.sleep(0.03)
        return self.screen()

    def type(self, text):
        self.run("send-keys", "-l", text)

    def keys(self, *names):
        self.run("send-keys", *names)

    def line(self, text):
        self.type(text)
        self.keys("Enter")

    def paste(self, text):
        self.run("set-buffer", text)
        self.run("paste-buffer", "-p")

    def pid(self):
        return int(self.run("display-message", "-p", "#{pane_pid}"))

    def close(self):
        subprocess.run([*self.tmux, "kill-server"], env=self.env, stderr=subprocess.DEVNULL)


@pytest.fixture
def terminal(tmp_path):
    opened = []

    def start(*command, **options):
        opened.append(Terminal(tmp_path, *command, **options))
        if not command:
            opened[-1].wait(r"^In \[\d+\]:")
        return opened[-1]
    yield start
    for t in opened:
        t.close()


def test_without_readline_there_is_a_plain_prompt(terminal, tmp_path):
    alone = shutil.copy(LACUS, tmp_path / "alone")
    t = terminal(alone, LACUS_LIB=str(tmp_path))
    assert "the plugin 'editor': no editing of lines (libreadline8" in t.wait(r"^In \[1\]:").replace("\n", " ")
    t.line("for i = 1, 2 do")
    t.line("print('big', i) end")
    t.line("")
    t.wait(r"^big\s+2")


def test_a_block_indents_itself_runs_when_it_is_whole_and_comes_back_whole(terminal):
    t = terminal()
    t.line("for i = 1, 2 do")
    t.wait(r"^   \.\.\.:")
    t.line("if i > 1 then")
    t.line("print('big', i)")
    t.line("end")
    t.line("end")
    seen = t.wait(r"^In \[2\]:")
    assert "In [1]: for i = 1, 2 do\n   ...:     if i > 1 then\n   ...:         print('big', i)\n   ...:     end\n   ...: end\nbig\t2".replace("\t", "     ") in seen or re.search(r"end\nbig +2", seen)
    t.keys("Up")
    t.wait(r"In \[2\]: for i = 1, 2 do\n   \.\.\.:     if i > 1 then")
    t.keys("Up", "Up", "C-e")  # within the cell, which is edited and run again
    t.type(" -- new")
    t.keys("Down", "Down", "Enter")
    assert re.search(r"print\('big', i\) -- new\n.*\n.*end\nbig +2\n", t.wait(r"^In \[3\]:"))


def test_a_pasted_text_is_one_cell(terminal):
    t = terminal()
    t.paste("function add(a, b)\n\n    return a + b\nend\nadd(1, 2)\n")
    t.wait(r"^   \.\.\.: add\(1, 2\)")
    assert "Out" not in t.screen()
    t.keys("Enter")
    seen = t.wait(r"^Out\[1\]: 3")
    assert seen.count("In [1]:") == seen.count("add(1, 2)") == 1  # it is not drawn again over what it printed


def test_an_empty_line_in_a_long_text_is_text(terminal):
    t = terminal()
    for line in ("s = [[", "a", "", "b]] --[==[", "", "]==]", "#s"):
        t.line(line)
        time.sleep(0.05)  # not as if pasted
    t.wait(r"^Out\[2\]: 4$")


def test_bytes_that_are_pasted_are_no_signals(terminal):
    """Ctrl-C, Ctrl-\\, Ctrl-Z, Ctrl-S and Ctrl-D in what is pasted: the session goes on, and nothing reaches the shell behind it."""
    t = terminal()
    t.wait(r"^In \[1\]:$")
    for byte in "\x03\x1c\x1a\x13\x04":
        t.paste(f"a{byte}b")
        t.wait(re.escape(f"a^{chr(ord(byte) + 64)}b"))
        t.keys("C-c")
        t.wait(r"^In \[1\]:$")
    t.line("'still ' .. 'here'")
    t.wait(r"Out\[1\]: still here")
    t.type("\x1b[200~half a paste")  # whose end never comes
    t.wait(r"In \[2\]:")
    time.sleep(0.3)
    t.keys("C-c")
    t.wait(r"^In \[2\]: half a paste.*\nIn \[2\]:$")
    t.line("1 + 1")
    t.wait(r"Out\[2\]: 2")
    t.keys("C-r")
    t.type("sti")
    t.wait("reverse-i-search")
    t.keys("C-c")  # in a search too
    t.wait(r"^In \[3\]:$")
    t.keys("C-s")  # the terminal goes on
    t.wait("i-search")
    t.keys("C-c")
    t.line("2 + 2")
    t.wait(r"Out\[\d\]: 4")


def test_a_text_pasted_as_if_typed_keeps_its_blocks_together(terminal):
    t = terminal()
    t.run("set-buffer", "function two()\n    local n = 1\n\n    return n + 1\nend\ntwo()\n")
    t.run("paste-buffer")  # a terminal without bracketed paste
    assert re.search(r"^In \[2\]: two\(\)\nOut\[2\]: 2\n", t.wait(r"^In \[3\]:"), re.M)


def test_plots_fit_a_narrow_terminal(terminal):
    t = terminal(columns=40)
    for n, plot in enumerate(("plot.bar({1, 2, 3})", "plot.line{y = {loss = {3, 2, 1}, acc = {1, 2, 3}}}"), 1):
        t.line(plot)
        seen = t.wait(rf"^In \[{n + 1}\]:").split(f"Out[{n}]:")[1]
    rows = [row for row in seen.splitlines() if "\u2502" in row]
    lines = seen.splitlines()
    first = lines.index(rows[0])
    assert len(rows) > 10 and lines[first:first + len(rows)] == rows and max(map(len, rows)) <= 40  # none is broken in two


def test_what_is_no_command_is_told_as_what_it_is(tmp_path):
    def told(*args):
        return subprocess.run([LACUS, *args], capture_output=True, text=True, cwd=tmp_path, env=environment(tmp_path), timeout=60)
    for name in ("absent.lua", "./absent"):
        assert told(name).returncode == 66 and f"cannot open '{name}'" in told(name).stderr
    assert "lacus run a.ipynb" in told("a.ipynb").stderr
    absent = told("-m", "absent").stderr
    assert "module 'absent' not found" in absent and "searchpath" not in absent and "---->" not in absent


@pytest.mark.parametrize("word", ["exit", "quit()"])
def test_the_words_that_leave(terminal, word):
    t = terminal("sh", "-c", f"{LACUS}; echo left with $?; sleep 60")
    t.wait(r"^In \[1\]:")
    t.line(word)
    t.wait(r"^left with 0")


def test_completion_menu_with_signatures(terminal):
    t = terminal()
    t.type("string.form")
    t.keys("Tab")
    t.wait(r"In \[1\]: string\.format")
    t.keys("C-c")
    t.type("table.")
    t.keys("Tab")
    t.wait(r"concat +function +table\.concat\(")
    t.keys("Tab")
    assert re.search(r"In \[1\]: table\.concat\n> concat", t.wait("> concat"))
    t.keys("BTab")
    t.wait(r"> unpack")
    t.keys("Enter")  # takes it
    t.line("({7, 8})")
    assert re.search(r"^Out\[1\]: 7\s+8", t.wait(r"^Out\[1\]"), re.M)
    t.type("string.rep(")
    t.keys("Tab")
    t.wait(r"^ *string\.rep\(s, n")


def test_highlighting_and_no_color(terminal, tmp_path):
    t = terminal()
    t.type("local s = 'x' -- note")
    t.wait("note")
    coloured = t.screen("-e")
    assert re.search(r"\x1b\[35mlocal", coloured) and re.search(r"\x1b\[32m'x'", coloured) and re.search(r"\x1b\[90m-- note", coloured)
    t.close()
    t = terminal(NO_COLOR="1")
    t.line("error('x')")
    t.wait(r"^In \[2\]:")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", t.screen("-e"))


def test_history_is_kept_searched_and_shared_with_the_kernel(terminal, tmp_path):
    t = terminal()
    t.line("needle = 'first'")
    t.wait(r"In \[2\]")
    t.line("other = 2")
    t.wait(r"In \[3\]")
    t.keys("C-d")
    end = time.time() + 10
    db = next(tmp_path.rglob("history.db"))
    while not sqlite3.connect(db).execute("SELECT 1 FROM cells WHERE source = 'other = 2'").fetchone():
        assert time.time() < end
        time.sleep(0.05)
    t.close()
    t = terminal()
    t.keys("C-r")
    t.type("need")
    t.wait(r"\(reverse-i-search\)`need': needle = 'first'")
    t.keys("Enter")
    t.wait(r"In \[1\]: needle = 'first'")
    t.keys("Enter")
    t.wait(r"In \[2\]")
    t.keys("Up", "Up")
    t.wait(r"In \[2\]: other = 2")


def test_up_looks_for_what_begins_as_what_is_typed(terminal):
    """As in IPython: what stands before the cursor when the search begins, until the text is changed."""
    t = terminal()
    for n, cell in enumerate(("lake = 1", "other = 2", "lake = 3", "lake = 3 -- deep", "more = 4")):
        t.line(cell)
        t.wait(rf"In \[{n + 2}\]")
    t.type("lake")
    for key, want in (("Up", "lake = 3 -- deep"), ("Up", "lake = 3"), ("Up", "lake = 1"), ("Up", "lake = 1"), ("Down", "lake = 3"), ("Down", "lake = 3 -- deep"), ("Down", "lake")):
        t.keys(key)
        t.wait(rf"In \[6\]: {want}\s*$")
    t.keys("C-u")
    for want in ("more = 4", "lake = 3 -- deep", "lake = 3"):  # nothing is typed: all of them
        t.keys("Up")
        t.wait(rf"In \[6\]: {want}\s*$")
    t.keys("C-e", "BSpace")
    t.type("1")  # changed: another search
    t.keys("C-a", "Right", "Right", "Right", "Right", "Up")
    t.wait(r"In \[6\]: lake = 1\s*$")


def test_results_of_before(terminal):
    t = terminal()
    for n, line in enumerate(("40 + 1", "_ + 1", "Out[1] + __ + _", "In[1]", "_ = 'mine'", "5", "_"), 2):
        t.line(line)
        t.wait(rf"In \[{n}\]")
    seen = t.screen()
    assert "Out[2]: 42" in seen and "Out[3]: 124" in seen and "Out[4]: 40 + 1" in seen and "Out[7]: mine" in seen


def test_interrupts_always_work(terminal):
    t = terminal()
    t.type("half a cell")
    t.wait(r"half a cell")  # a terminal forgets what was not read when Ctrl-C comes
    t.keys("C-c")
    t.wait(r"half a cell\nIn \[1\]:")
    t.type("string.re")
    t.keys("Tab")
    t.wait(r"^ +reverse +function")  # with the menu there too
    t.keys("C-c")
    t.wait(r"string.re\nIn \[1\]:")
    t.line("pcall(function() while true do end end)")
    time.sleep(0.4)
    t.keys("C-c")
    t.wait(r"KeyboardInterrupt[^$]*In \[2\]:")
    t.line("os.execute('sleep 100')")
    time.sleep(0.4)
    t.keys("C-c")
    t.wait(r"^In \[3\]:", timeout=10)
    t.line("slow = setmetatable({}, {__index = function() while true do end end})")
    t.wait(r"^In \[4\]:")
    t.type("slow.deep.")
    t.keys("Tab")
    time.sleep(0.3)
    t.keys("C-c", "C-c")
    t.line("print('alive')")
    t.wait(r"^alive")


def test_a_shell_line_has_the_terminal(terminal, tmp_path):
    t = terminal(columns=80, rows=40, KEPT=str(tmp_path / "kept"))
    t.line("!test -t 0 && test -t 1 && test -t 2 && echo three terminals")
    t.wait(r"^three terminals\nIn \[2\]")
    t.paste("print('one')\n!echo two; stty -echo raw\nprint('three')")  # what a program leaves of the modes is put right
    t.keys("Enter")
    t.wait(r"^one\ntwo\nthree\n+In \[3\]")
    t.line("!echo ready; cat > $KEPT")
    t.wait(r"^ready")
    t.line("typed into it")
    t.keys("C-d")  # the end of its input, not of the prompt
    t.wait(r"^In \[4\]:")
    assert (tmp_path / "kept").read_text() == "typed into it\n"
    t.line("!env PYTHON_COLORS=0 python3 -q")
    t.wait(r"^>>>")
    t.line("6 * 7")
    t.wait(r"^42\n>>>")
    t.keys("C-c")
    t.wait(r"^KeyboardInterrupt\n>>>")
    t.run("resize-window", "-x", 60, "-y", 40)  # told to the program, known to the prompt
    t.keys("C-d")
    t.wait(r"^In \[5\]:")
    t.type("'" + "x" * 60 + "'")
    t.wait(r"^In \[5\]: 'x{51}\n +x{9}'")
    t.keys("C-c")
    t.wait(r"^In \[5\]:$")
    t.line("kept = !cat < /dev/null; test -t 1 || echo a pipe")
    t.wait(r"^In \[6\]:")
    t.line("kept.s, _exit_code")
    t.wait(r"^Out\[6\]: a pipe\s+0")
    t.paste("%%capture got\n!test -t 1 || echo caught; exit 3")
    t.keys("Enter", "Enter")
    t.wait(r"^In \[8\]:")
    t.line("got.stdout, _exit_code")
    t.wait(r"^Out\[8\]:\s+caught\s+3")
    t.line("!printf 'no newline'")
    t.wait(r"^no newline\nIn \[10\]:$")
    t.line("io.write('nor here')")
    t.wait(r"^nor here\nIn \[11\]:$")


@pytest.mark.skipif(not os.path.exists("/bin/bash"), reason="SKIP: no bash is installed")
def test_a_program_that_takes_ctrl_c_does_not_end_the_line(terminal):
    t = terminal(columns=80, rows=40)
    t.line("!env PYTHON_COLORS=0 python3 -q && echo 'and\\nafter'")
    t.wait(r"^>>>")
    t.keys("C-c")
    t.wait(r"^KeyboardInterrupt\n>>>")
    t.line("6 * 7")
    t.wait(r"^42\n>>>")
    t.keys("C-d")
    t.wait(r"^and\nafter\n(.*\n)?In \[2\]:$")
    t.line("!sleep 100; echo never")  # one that does not take it
    t.wait("^In .*echo never")
    time.sleep(0.3)
    t.keys("C-c")
    seen = t.wait(r"KeyboardInterrupt: (.*\n)+In \[3\]:$")
    assert not re.search("^never", seen, re.M)
    t.line("!echo begun; while :; do :; done")  # nor does the shell
    t.wait("^begun")
    t.keys("C-c")
    t.wait(r"In \[4\]:$")


def test_keys_of_a_shell_lines_program(terminal):
    t = terminal("env", "PS1=shell> ", "bash", "--norc", "-i")  # jobs are a shell's
    t.wait(r"^shell>")
    t.line(LACUS)
    t.wait(r"^In \[1\]:")
    t.line("for i = 1, 3 do")
    t.line("!echo asleep; sleep 100")
    t.line("end")
    t.wait(r"^asleep")
    t.keys("C-c")  # ends the program and the cell
    t.wait(r"^asleep\n\^C\n(.*\n)*KeyboardInterrupt.*\n+In \[2\]:")
    t.line("!echo ready; cat; echo cat has ended")
    t.wait(r"^ready")
    t.keys("C-z")  # stops both: the job that the shell knows is the prompt
    t.wait(r"Stopped.*\n+shell>")
    t.line("fg")
    t.wait(r"^shell> fg\n.*lacus")
    t.line("an echo")
    t.wait(r"^an echo\nan echo")
    t.keys("C-d")
    t.wait(r"^cat has ended\nIn \[3\]:")
    t.line("!sleep 0.1 | cat; exit 7")
    t.wait(r"^In \[4\]:")
    t.line("_exit_code")
    t.wait(r"^Out\[4\]: 7")
    t.keys("C-d")
    t.wait(r"^In \[5\]:\n+shell>$")


def test_a_shell_line_on_a_terminal_without_jobs(terminal):
    t = terminal()  # nobody could continue us: Ctrl-Z does not hold anybody
    t.line("!echo ready; cat")
    t.wait(r"^ready")
    t.keys("C-z")
    t.line("goes on")
    t.wait(r"goes on\ngoes on")
    t.keys("C-d")
    t.wait(r"^In \[2\]:")


def test_editing_keys_of_vi_and_of_inputrc(terminal, tmp_path):
    (tmp_path / "inputrc").write_text("set editing-mode vi\n$if lacus\n\"\\C-o\": lacus-newline\n$endif\n")
    t = terminal(INPUTRC=str(tmp_path / "inputrc"))
    t.type("x = 12")
    t.keys("Escape")
    time.sleep(0.7)
    t.type("0")
    t.type("xiy")
    t.wait(r"In \[1\]: y = 12")
    t.keys("Escape")
    time.sleep(0.7)
    t.keys("Enter")
    t.line("y")
    t.wait(r"Out\[2\]: 12")
    t.type("1 +")
    t.keys("C-o")
    t.wait(r"^   \.\.\.:")


def test_the_editing_mode_is_a_setting(terminal):
    t = terminal()
    t.line("%config editing_mode = vi")
    t.wait(r"In \[2\]:")
    t.type("x = 12")
    t.keys("Escape")
    time.sleep(0.7)
    t.type("0xiy")
    t.wait(r"In \[2\]: y = 12")


def test_the_cell_in_an_editor(terminal, tmp_path):
    (tmp_path / "ed").write_text("#!/bin/sh\nsed -i 's/old/new/' \"$1\"\n")
    (tmp_path / "ed").chmod(0o755)
    t = terminal(EDITOR=str(tmp_path / "ed"), VISUAL="")
    t.type("print('old')")
    t.keys("C-x", "C-e")
    t.wait(r"In \[1\]: print\('new'\)")
    t.keys("Enter")
    t.wait(r"^new")


def test_long_help_goes_to_the_pager(terminal, tmp_path):
    (tmp_path / "page").write_text(f"#!/bin/sh\ncat > {tmp_path}/paged\n")
    (tmp_path / "page").chmod(0o755)
    t = terminal(rows=12, PAGER=str(tmp_path / "page"))
    t.line("mlflow?")
    t.wait(r"In \[2\]")
    t.line("string.rep?")
    t.wait(r"In \[3\]")
    assert len((tmp_path / "paged").read_text().splitlines()) > 8
    assert "string.rep" in t.screen()
    t.line("%quickref")
    t.wait(r"In \[4\]")
    assert "%%capture" in (tmp_path / "paged").read_text() and "%%capture" not in t.screen()


def test_resize_long_lines_and_what_is_no_text(terminal):
    t = terminal(columns=60, rows=12)
    t.type("s = '" + "abcdefghij" * 30 + "'")
    t.wait("ghij'$")
    t.run("resize-window", "-x", 34, "-y", 12)
    t.wait(r"ghij'$")
    t.run("resize-window", "-x", 80, "-y", 12)
    t.wait(r"ghij'$")
    t.keys("Enter")
    t.wait(r"In \[2\]")
    t.line("#s")
    t.wait(r"Out\[2\]: 300")
    t.type("#'h\u00e9\u65e5\u672c'")
    t.keys("C-b", "C-b")
    t.type("x")
    t.keys("Enter")
    t.wait(r"Out\[3\]: 10")
    os.write(os.open(t.run("display-message", "-p", "#{pane_tty}").strip(), os.O_WRONLY | os.O_NOCTTY), b"")
    t.run("send-keys", "-H", "22", "ff", "22", "3a", "6c", "65", "6e", "28", "29")  # ("\xff"):len()
    t.keys("C-a")
    t.type("(")
    t.keys("C-c")
    t.line("print('still here')")
    t.wait("^still here")


def test_dumb_terminals_get_lines(terminal):
    t = terminal("env", "TERM=dumb", LACUS)
    t.wait(r"^In \[1\]:")
    t.line("for i = 1, 2 do")
    t.wait(r"^   \.\.\.:")
    t.line("print(i * 7) end")
    assert re.search(r"^7\n14$", t.wait("^14"), re.M)
    assert "\x1b[3" not in t.screen("-e")


def test_stopping_and_coming_back(terminal):
    t = terminal("sh", "-c", f"{LACUS}; echo over $?; sleep 100")
    t.wait(r"In \[1\]")
    t.line("os.exit(7)")
    t.wait("over 7")


def exit_code(tmp_path, *args, text=None):
    done = subprocess.run([LACUS, *args], input=text, capture_output=True, text=True, env=environment(tmp_path), cwd=tmp_path, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_scripts(tmp_path):
    (tmp_path / "s.lua").write_text("#!/usr/bin/env lacus\nprint(arg[0], arg[1], ...)\n")
    (tmp_path / "mod.lua").write_text("print('module', ...)")
    assert exit_code(tmp_path, "s.lua", "a", "b")[:2] == (0, "s.lua\ta\ta\tb\n")
    assert exit_code(tmp_path, "-c", "print(...)", "x")[:2] == (0, "x\n")
    assert exit_code(tmp_path, "-c", "print(arg[0], arg[1], arg[2], #arg)", "x", "y")[:2] == (0, "-c\tx\ty\t2\n")
    assert exit_code(tmp_path, "-m", "mod", "y")[:2] == (0, "module\ty\n")
    assert exit_code(tmp_path, text="print(1 + 1)")[:2] == (0, "2\n")
    (tmp_path / "marked.lua").write_bytes(b"\xef\xbb\xbf#!/usr/bin/env lacus\r\nprint('an editor marked it')\r\n")
    assert exit_code(tmp_path, "marked.lua")[:2] == (0, "an editor marked it\n")
    (tmp_path / "link").symlink_to(LACUS)
    script = tmp_path / "run"
    script.write_text(f"#!{tmp_path}/link repl\nprint('by itself', arg[1])\n")
    script.chmod(0o755)
    assert subprocess.run([script, "z"], capture_output=True, text=True, env=environment(tmp_path)).stdout == "by itself\tz\n"


def test_what_a_script_writes_is_what_a_pipe_gets(tmp_path):
    """Any bytes, as lua5.4 writes them; from commands too."""
    (tmp_path / "b.lua").write_bytes(rb"io.write('\xff\xfe\0A', '\xc3') io.write('\xa9') io.stdout:write('\x80') print('\xe9')")
    done = subprocess.run([LACUS, "b.lua"], capture_output=True, env=environment(tmp_path), cwd=tmp_path)
    assert done.stdout == b"\xff\xfe\0A\xc3\xa9\x80\xe9\n", done
    assert subprocess.run([LACUS, "-c", r"!printf '\377\001'"], capture_output=True, env=environment(tmp_path), cwd=tmp_path).stdout == b"\xff\x01"


def test_a_script_ends_when_its_output_does(tmp_path):
    endless = [LACUS, "-c", "while true do pcall(print, 1) end"]
    run = subprocess.Popen(endless, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path))
    assert run.stdout.readline() == b"1\n"
    run.stdout.close()  # as head -1 does
    assert (run.wait(20), run.stderr.read()) == (128 + signal.SIGPIPE, b"")
    run.stderr.close()
    with open("/dev/full", "w") as full:
        done = subprocess.run([LACUS, "-c", "print(1)"], stdout=full, stderr=subprocess.PIPE, text=True, env=environment(tmp_path))
    assert done.returncode == 74 and "cannot write to standard output: No space left" in done.stderr


@pytest.mark.parametrize("args, text, code", [(["-c", "error('x')"], None, 1), (["-c", "os.exit(9)"], None, 9), (["-c", "x ="], None, 1), (["-m", "no.such"], None, 1), (["-m", "a'b"], None, 64),
                                              (["none.lua/x"], None, 66), (["repl", "none.lua"], None, 66), (["repl", "--bogus"], None, 64), ([], "error('x')", 1), (["--existing", "none"], None, 66)])
def test_exit_codes(tmp_path, args, text, code):
    assert exit_code(tmp_path, *args, text=text)[0] == code


# ---- --existing ----

@pytest.fixture(params=["lacus", "ipykernel"])
def kernel(request, tmp_path):
    """A kernel that runs, its connection file in a runtime folder of its own."""
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    file = runtime / "kernel-77.json"
    env = environment(tmp_path) | {"JUPYTER_RUNTIME_DIR": str(runtime)}
    from jupyter_client.connect import write_connection_file
    write_connection_file(str(file))
    command = [LACUS, "kernel", "-f", file] if request.param == "lacus" else [sys.executable, "-m", "ipykernel_launcher", "-f", file]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process.again = lambda: subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = BlockingKernelClient(connection_file=str(file))
    client.load_connection_file()
    client.start_channels()
    client.kernel_info(reply=True, timeout=60)  # wait_for_ready takes a slow start for a death
    yield request.param, file, client, process
    client.stop_channels()
    process.kill()
    process.wait()


def test_attached_to_a_running_kernel(terminal, kernel):
    name, file, client, process = kernel
    client.execute("there = 40", reply=True, timeout=60)
    client.complete("ther", reply=True, timeout=60)  # the first of ipykernel loads jedi; a Tab waits only so long
    listed = subprocess.run([LACUS, "repl", "--existing", "list"], capture_output=True, text=True, timeout=30, env=environment(file.parent) | {"JUPYTER_RUNTIME_DIR": str(file.parent)})
    assert [k["file"] for k in json.loads(listed.stdout)] == [str(file)]
    t = terminal("sh", "-c", f"trap : INT; {LACUS} repl --existing; echo it ended with $?; sleep 1000", JUPYTER_RUNTIME_DIR=str(file.parent))
    t.wait(r"attached to kernel-77\.json")
    t.wait(r"In \[2\]:")
    t.line("print(there + 2)")
    t.wait(r"^42")
    t.wait(r"In \[3\]:")
    t.line("there + 3")
    t.wait(r"Out\[3\]: 43")
    t.wait(r"In \[4\]:")
    t.type("ther")
    t.keys("Tab")
    t.wait(r"In \[4\]: there")
    t.keys("Enter")
    t.wait(r"Out\[4\]: 40")
    t.wait(r"In \[5\]:")
    t.line("x = input('name? ')" if name == "ipykernel" else "local x = input('name? ')")
    t.wait(r"^name\?")
    t.line("moon")
    t.wait(r"In \[6\]:")
    t.line("print('it is', x)")
    t.wait(r"it is[ \t]+moon")
    t.wait(r"In \[7\]:")
    t.line("exec('print(6 * 7 * 2)\\nwhile True: pass')" if name == "ipykernel" else "print(6 * 7 * 2) while true do end")
    t.wait(r"^84")  # it runs: before, Ctrl-C would be for the line
    t.keys("C-c")
    t.wait(r"KeyboardInterrupt")
    t.wait(r"In \[8\]:")
    process.send_signal(signal.SIGKILL)
    t.line("1")
    t.wait("does not answer any more: it has died")
    t.wait("it ended with 69")


def test_attached_while_another_restarts_the_kernel(terminal, kernel):
    name, file, client, process = kernel
    t = terminal("sh", "-c", f"trap : INT; {LACUS} repl --existing; echo it ended with $?; sleep 1000", JUPYTER_RUNTIME_DIR=str(file.parent))
    t.wait(r"In \[1\]:")
    t.line("there = 40")
    t.wait(r"In \[2\]:")
    busy = "print(6 * 7 * 2)\\nwhile True: pass"
    t.line(f"exec('{busy}')" if name == "ipykernel" else "print(6 * 7 * 2) while true do end")
    t.wait(r"^84")
    process.kill()  # there is no reply to what ran
    process.wait()
    second = process.again()
    try:
        t.wait("the kernel was restarted: its variables are gone", timeout=20)
        t.wait(r"gone\nIn \[\d\]:")
        t.line("print('again', 6 * 7 + 1)")
        t.wait(r"^again[ \t]+43")
    finally:
        second.kill()
        second.wait()


@pytest.mark.parametrize("kernel", ["lacus"], indirect=True)  # ipykernel answers nothing while a cell runs
def test_attached_to_a_kernel_that_is_busy(terminal, kernel):
    name, file, client, process = kernel
    client.execute("while true do end")
    t = terminal("sh", "-c", f"trap : INT; {LACUS} repl --existing; sleep 1000", JUPYTER_RUNTIME_DIR=str(file.parent))
    t.wait(r"In \[1\]:", timeout=5)
    client.session.send(client.control_channel.socket, client.session.msg("interrupt_request", {}))
    t.line("print('now', 6 * 7)")
    t.wait(r"^now[ \t]+42")

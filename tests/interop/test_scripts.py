"""Scripts read their standard input as plain Lua does: the real interpreter is the oracle."""
import re
import shutil
import subprocess

import pytest
from lacus import LACUS

LUA = shutil.which("lua5.4") or shutil.which("lua")
READS = {
    "lines to the end": "while true do local l = io.read() if l == nil then break end print('[' .. l .. ']') end print(io.read())",
    "everything": "print(#io.read('a'), io.read('a'), io.read('l'))",
    "numbers and counts": "print(io.read('n', 'n', 'l', 3, 0)) print(io.read('L')) print(io.read(1000000)) print(io.read(0), io.read(1))",
    "for loops": "for l in io.lines() do io.write(#l, ' ') end",
    "the handle": "print(io.stdin:read('L', 'l')) for c in io.stdin:lines(1) do io.write(c, '.') end",
}


@pytest.mark.skipif(not LUA, reason="SKIP: no lua5.4 is installed")
@pytest.mark.parametrize("text", [b"", b"one", b"12 0x1F rest\nabcdef\n\nlast", b"1\n2\n" * 5000], ids=["empty", "no newline", "mixed", "long"])
@pytest.mark.parametrize("name", READS)
def test_reads_as_plain_lua_does(name, text, tmp_path):
    script = tmp_path / "script.lua"
    script.write_text(READS[name])
    ours, theirs = (subprocess.run([program, script], input=text, capture_output=True, timeout=60, env={"LACUS_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}) for program in (LACUS, LUA))
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout), ours.stderr


FOREVER = {"a loop": "while true do end", "a loop in pcall": "while true do pcall(function() while true do end end) end", "a wait": "os.execute('sleep 1000')",
           "a pattern": "string.find(('a'):rep(40), ('a-'):rep(40) .. 'b')", "a coroutine": "coroutine.wrap(function() while true do end end)()"}


def test_a_finalizer_without_an_end_does_not_keep_the_script(tmp_path):
    running = {}
    for what, code in FOREVER.items():  # at the same time: each takes five seconds
        script = tmp_path / f"{what}.lua"
        script.write_text(f"first = setmetatable({{}}, {{__gc = function() print('first') end}})\nfinal = setmetatable({{}}, {{__gc = function()\n{code} end}})")
        running[what] = subprocess.Popen([LACUS, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"LACUS_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    for what, process in running.items():
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "first\n"), (what, err)
        assert re.search(rf"a finalizer \(__gc, .*{what}.lua.*line 2\) was still running 5 seconds after", err), (what, err)


def test_finalizers_that_end_have_their_time(tmp_path):
    script = tmp_path / "script.lua"
    script.write_text("for i = 1, 3 do _G[i] = setmetatable({}, {__gc = function() os.execute('sleep 0.4') print(i) end}) end")
    done = subprocess.run([LACUS, script], capture_output=True, text=True, timeout=60, env={"LACUS_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n2\n1\n", "")


def test_a_file_that_may_not_grow_is_an_error_and_not_the_end(tmp_path):
    script = tmp_path / "script.lua"
    script.write_text(f"local f = io.open({str(tmp_path / 'big')!r}, 'w') f:setvbuf('no') local _, why = f:write(('z'):rep(1e6)) print(why)")
    done = subprocess.run(["bash", "-c", f"ulimit -f 8; exec '{LACUS}' '{script}'"], capture_output=True, text=True, timeout=60, env={"LACUS_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    assert (done.returncode, done.stdout) == (0, "File too large\n"), done.stderr

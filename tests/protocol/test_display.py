"""What a cell shows: images, files, progress bars, tables that fit a terminal."""
import base64
import fcntl
import html.parser
import os
import pty
import re
import struct
import subprocess
import termios

import pytest
from kernels import LACUS, environment, home, kernel  # noqa: F401

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def displays(messages, kind="display_data"):
    return [m["content"] for m in messages if m["type"] == kind]


def test_images_from_bytes_and_files(kernel, home):
    (home / "dot.png").write_bytes(PNG)
    (home / "dot.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    lua = "".join(f"\\x{b:02x}" for b in PNG)
    for code in (f"display.png('{home}/dot.png', {{width = 20}})", f"display.png('{lua}', {{width = 20}})", f"display.image('{home}/dot.png', {{width = 20}})",
                 f"display.mime({{['image/png'] = '{lua}'}}, {{['image/png'] = {{width = 20}}}})"):
        reply, messages = kernel.execute(code)
        assert reply["status"] == "ok", reply
        shown = displays(messages)[0]
        assert base64.b64decode(shown["data"]["image/png"]) == PNG and shown["metadata"]["image/png"]["width"] == 20
    _, messages = kernel.execute(f"display.svg('{home}/dot.svg')")
    assert displays(messages)[0]["data"]["image/svg+xml"].startswith("<svg")
    reply, _ = kernel.execute(f"display.jpeg('{home}/dot.png')")
    assert reply["status"] == "error" and "as image/jpeg: it is image/png" in reply["evalue"]
    assert "no-such.png" in kernel.execute("display.png('no-such.png')")[0]["evalue"]


JPEG = (b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0\0\x0b\x08\0\1\0\1\1\1\x11\0" + b"\xff\xda\0\x08\1\1\0\0\x3f\0\xd2\xff\0\xff\xd0\xcf" + b"\xff\xd9")
GIF = b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\1D\0;"
SVG = b"<?xml version='1.0'?>\n<!-- a 'comment' -->\n<s:svg xmlns:s='u'>text<b/></s:svg>\n"


@pytest.mark.parametrize("name, data, why", [
    ("png", PNG[:8], "cut off"),
    ("png", PNG[:50], "cut off"),
    ("png", PNG[:-12], "cut off"),
    ("png", PNG[:33] + PNG[-12:], "it has no pixels"),
    ("png", PNG[:8] + PNG[-12:], "does not begin with a chunk 'IHDR'"),
    ("png", b"\x89PNG then text", "signature"),
    ("png", PNG + b"behind", None),
    ("jpeg", JPEG, None),
    ("jpeg", JPEG[:3], "cut off"),
    ("jpeg", JPEG[:-2], "cut off"),
    ("gif", GIF, None),
    ("gif", GIF[:-1], "cut off"),
    ("image", b"RIFF\x20\0\0\0WEBPVP8 \x14\0\0\0", "cut off"),
    ("svg", SVG, None),
    ("svg", b"<svg/>", None),
    ("svg", b"<svg", "cut off"),
    ("svg", b"<svg><g></g>", "cut off"),
    ("svg", b"<html></html>", "there is no <svg> in it"),
])
def test_an_image_that_is_none_is_refused(kernel, home, name, data, why):
    (home / "it").write_bytes(data)
    lua = "".join(f"\\x{b:02x}" for b in data)
    for code, called in ((f"display.{name}('{home}/it')", f"'{home}/it'"), (f"display.{name}('{lua}')", "'")):
        reply, messages = kernel.execute(code)
        assert (reply["status"] == "ok") == (why is None), reply
        if why:
            assert why in reply["evalue"] and "cannot show " + called in reply["evalue"] and not displays(messages), reply["evalue"]


def test_texts_from_files(kernel, home):
    (home / "page.html").write_text("<b>page</b>")
    (home / "tree.json").write_text('{"a": [1, 2]}')
    _, messages = kernel.execute(f"display.html{{file = '{home}/page.html'}} display.json{{file = '{home}/tree.json'}} display.latex('$x$')")
    html, tree, latex = [d["data"] for d in displays(messages)]
    assert html["text/html"] == "<b>page</b>" and tree["application/json"] == {"a": [1, 2]} and latex["text/latex"] == "$x$"


def test_a_progress_bar_is_one_display(kernel):
    _, messages = kernel.execute("for x in progress({'a', 'b', 'c'}, {desc = 'outer <1>'}) do for i in progress(4, {desc = 'inner'}) do sleep(0.03) end end")
    first, updates = displays(messages), displays(messages, "update_display_data")
    assert len(first) == 1 and len(updates) > 3
    assert {u["transient"]["display_id"] for u in updates} == {first[0]["transient"]["display_id"]}
    texts = [u["data"]["text/plain"] for u in updates]
    assert all("\n" not in t and len(t) <= 80 for t in texts)
    assert any("outer" in t and "inner" in t for t in texts)
    assert re.match(r"outer <1> 100%\|█+\| 3/3 \[00:00, ", texts[-1]) and "inner" not in texts[-1]
    assert "outer &lt;1&gt;" in updates[-1]["data"]["text/html"] and 'value="1.0000"' in updates[-1]["data"]["text/html"]


@pytest.mark.parametrize("code, want", [
    ("local out = {} for x, i in progress({'a', 'b'}) do out[#out + 1] = x .. i end return table.concat(out, ' ')", "a1 b2"),
    ("local n = 0 for i in progress(5) do n = n + i end return n", "15"),
    ("local out = {} for k, v in progress(pairs{a = 1}) do out[#out + 1] = k .. v end return table.concat(out)", "a1"),
    ("local out = {} for w in progress(('x y'):gmatch('%S'), {total = 2}) do out[#out + 1] = w end return table.concat(out)", "xy"),
    ("local p = progress{total = 10, desc = 'd'} p:update(3):set_postfix{loss = 0.5} p:close() return tostring(p)", "d  30% 3/10"),
    ("for i in progress(3) do break end return pcall(function() for i in progress(3) do error('x', 0) end end)", "false\tx"),
])
def test_what_a_progress_bar_gives(kernel, code, want):
    reply, messages = kernel.execute(code)
    assert reply["status"] == "ok", reply
    assert messages[-1]["content"]["data"]["text/plain"] == want
    _, messages = kernel.execute("for i in progress(1, {desc = 'next'}) do end")  # nothing of the last one runs on
    assert displays(messages, "update_display_data")[-1]["data"]["text/plain"].startswith("next 100%")


def in_terminal(folder, columns, code):
    """What a script writes to a terminal of so many columns."""
    lead, follow = pty.openpty()
    fcntl.ioctl(follow, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([LACUS, "-e", code], stdin=subprocess.DEVNULL, stdout=follow, stderr=follow, env=environment(folder) | {"TERM": "xterm"})
    os.close(follow)
    out = b""
    while True:
        try:
            more = os.read(lead, 65536)
        except OSError:
            break
        if not more:
            break
        out += more
    os.close(lead)
    assert process.wait(30) == 0, out
    return out.decode()


def test_in_a_terminal_a_bar_stays_one_line(home):
    out = in_terminal(home, 60, "for a in progress(2, {desc = 'outer'}) do for b in progress(3, {desc = 'inner'}) do sleep(0.06) end end")
    drawings = re.split(r"\x1b\[1A\r\x1b\[J", out.replace("\r\n", "\n"))
    assert len(drawings) > 4 and [d for d in drawings if d.count("\n") != 1 or len(d.strip()) > 60] == []


PLOTS = """
local z, many, big = {}, {}, {} for i = 1, 24 do z[i] = {} for k = 1, 60 do z[i][k] = math.sin(i / 3) * math.cos(k / 5) end end
for i = 1, 300 do many['bar ' .. i] = i end
local long = ('a label that has no end '):rep(9)
print(plot.heatmap{z = z, title = long}) print(plot.heatmap{z = {{1, 2}, {3, 4}}, x = {long, 'b'}, y = {'日本語のラベル長い' .. long, 'b'}})
print(plot.box{[long] = {1, 2, 3, 4, 50}, b = {-1e10, 3}, ['two\\nlines'] = {1, 9}, title = long})
print(plot.line{x = {1, 2, 3}, y = {loss = {1, 2, 3}, [long] = {3, 2, 1}}, title = long, xlabel = long, ylabel = long}) print(plot.line{x = {long, 'b'}, y = {1, 2}})
print(plot.bar{[long] = -3, ['two\\nlines'] = 1e10, title = long}) print(plot.bar(many)) print(plot.hist{x = {p = {1, 2, 3}, [long] = {2, 3}}})
"""


@pytest.mark.parametrize("columns", [33, 47, 80, 200])
def test_plots_fit_the_terminal(home, columns):
    import unicodedata
    lines = in_terminal(home, columns, PLOTS).replace("\r\n", "\n").splitlines()
    widths = [sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line.rstrip()) for line in lines]
    assert len(lines) > 150 and max(widths) <= columns, lines[widths.index(max(widths))]
    assert max(widths) > min(columns, 130) * 0.8  # and take what there is
    assert not any("lines" in line and "two" not in line for line in lines) and "(the first 100 of 300 bars)" in lines


def test_a_dataframe_fits_the_terminal(home):
    code = "local c = {} for i = 1, 12 do c['column_' .. i] = 'value ' .. i end display(spark:createDataFrame({c, c}))"
    lines = [line for line in in_terminal(home, 70, code).replace("\r\n", "\n").splitlines() if line.strip()]
    assert all(len(line) <= 70 for line in lines if line[0] in "+|") and any(re.match(r"and \d+ more columns: column_", line) for line in lines)
    named = " ".join(lines)
    assert all(f"column_{i}" in named for i in range(1, 13))


def test_parameters_at_a_prompt_are_asked_for(home):
    """In a terminal a declaration asks, says what cannot be, and --param answers beforehand."""
    from test_prompt import Terminal
    if not __import__("shutil").which("tmux"):
        pytest.skip("SKIP: no tmux is installed")
    terminal = Terminal(home, 100, 30)
    try:
        terminal.wait("In|>")
        terminal.type("dbutils.widgets.text{name = 'epochs', default = 3, type = 'int'}")
        terminal.wait(r"epochs \[3\]:")
        terminal.type("many")
        terminal.wait("the value 'many' is not an int")
        terminal.type("8")
        terminal.type("print('it is', dbutils.widgets.get('epochs') + 1)")
        terminal.wait(r"it is\s+9")
    finally:
        terminal.close()
    done = subprocess.run([LACUS, "repl", "--param", "epochs", "5", "-e", "dbutils.widgets.text{name = 'epochs', default = 3, type = 'int'} print(dbutils.widgets.get('epochs'))"],
                          capture_output=True, text=True, timeout=20)
    assert done.stdout == "5\n", done.stderr


FAILS = "local function inner(x)\n  local list, s = {1, 2}, '<script>alert(1)</script>'\n  return x.a.b\nend\nfunction outer(y)\n  return 1 + inner(y)\nend\nouter({})"


class Folds(html.parser.HTMLParser):
    """The parts of a page that fold: (open, its heading, the rest of its text); the tags; nothing may be left open."""

    def __init__(self, page):
        super().__init__()
        self.parts, self.stack, self.tags, self.attributes, self.behind = [], [], set(), set(), ""
        self.feed(page)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.stack.append(tag)
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag == "details":
            self.parts.append(["open" in dict(attrs), "", ""])

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if "details" not in self.stack:
            self.behind += data
        else:
            self.parts[-1][1 if "summary" in self.stack else 2] += data


def test_tb_folds(kernel):
    """Each call is a part that opens with a click, with its source and its variables; no script, nothing that is not escaped."""
    kernel.execute(FAILS)
    shown, = displays(kernel.execute("%tb")[1])
    page = Folds(shown["data"]["text/html"])
    assert [(is_open, head) for is_open, head, _ in page.parts] == [
        (True, "Cell In[1], line 3, in function 'inner'"), (False, "Cell In[1], line 6, in function 'outer'"), (False, "Cell In[1], line 8")]
    assert page.tags == {"div", "details", "summary", "pre", "span"} and page.attributes == {"class", "style", "open"}
    assert "----> 3   return x.a.b" in page.parts[0][2] and "s = \"<script>alert(1)</script>\"" in page.parts[0][2] and "list = table with 2 entries" in page.parts[0][2]
    assert "y = table with 0 entries" in page.parts[1][2] and "5 function outer(y)" in page.parts[1][2]
    assert "RuntimeError: attempt to index a nil value (field 'a')" in page.behind
    plain = shown["data"]["text/plain"]
    assert plain.startswith("Cell In[1], line 3, in function 'inner'\n") and "\x1b" not in plain and "list =" not in plain
    assert "list = table" in displays(kernel.execute("%tb Verbose")[1])[0]["data"]["text/plain"]
    assert displays(kernel.execute("%tb Minimal")[1]) == []


def test_variables_are_those_of_their_call(kernel):
    """A coroutine's calls come first: each has its own variables."""
    kernel.execute("local co = coroutine.wrap(function(q)\n  local within = 5\n  error('inside')\nend)\nlocal outside = 6\nco(7)")
    inner, outer = Folds(displays(kernel.execute("%tb")[1])[0]["data"]["text/html"]).parts
    assert "within = 5" in inner[2] and "q = 7" in inner[2] and "outside" not in inner[2]
    assert "outside = 6" in outer[2] and "within =" not in outer[2]


def test_tb_tells_of_the_last_error_whatever_raised_it(kernel):
    """Also of one that brought its own lines."""
    kernel.execute("error('first')")
    kernel.execute("error(setmetatable({message = 'second', traceback = {'line one', '\\27[0;31mline two\\27[0m\\27[2K <b>'}}, {}))")
    shown, = displays(kernel.execute("%tb")[1])
    assert shown["data"]["text/plain"] == "line one\nline two <b>\n"
    assert Folds(shown["data"]["text/html"]).behind.split("\n")[-1] == "line oneline two <b>"


def test_errors_fold_in_a_mode_of_their_own(kernel):
    """The calls before the error: the error itself stays one, for programs that read it."""
    kernel.execute("%xmode folded")
    reply, messages = kernel.execute(FAILS)
    shown, = displays(messages)
    error, = displays(messages, "error")
    assert len(Folds(shown["data"]["text/html"]).parts) == 3 and "----> 3   return x.a.b" in shown["data"]["text/plain"]
    assert [re.sub("\x1b\\[[0-9;]*m", "", line) for line in error["traceback"]] == ["RuntimeError: attempt to index a nil value (field 'a')"]
    assert reply["evalue"] == error["evalue"]
    assert [m["type"] for m in messages if m["type"] in ("display_data", "error")] == ["display_data", "error"]
    done = subprocess.run([LACUS, "-c", "%xmode folded\nlocal function f() error('x') end f()"], env=dict(os.environ), capture_output=True, text=True)
    assert "----> 2 local function f()" in done.stderr and "<details" not in done.stdout + done.stderr

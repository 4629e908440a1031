"""The debugger over the control channel: requests and events as JupyterLab has them, their shapes those of DAP."""
import json
import pathlib
import subprocess
import time

import pytest
from kernels import LACUS, home, kernel, text  # noqa: F401
from test_subshells import create, move, slider

SEED = 3339675911


def murmur2(data, seed):
    """As JupyterLab computes it (packages/debugger/src/hash.ts), on UTF-8 bytes."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    data = data.encode()
    h, i, left = seed ^ len(data), 0, len(data)
    while left >= 4:
        k = int.from_bytes(data[i:i + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
        i, left = i + 4, left - 4
    if left:
        h = (h ^ int.from_bytes(data[i:i + left], "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return h ^ (h >> 15)


class Debugger:
    def __init__(self, kernel):
        self.kernel, self.seq, self.seen = kernel, 0, []

    def ask(self, command, timeout=10, **arguments):
        """The whole response."""
        self.seq += 1
        reply = self.kernel.request("debug_request", {"type": "request", "seq": self.seq, "command": command, "arguments": arguments},
                                    channel=self.kernel.control, timeout=timeout)
        assert reply["type"] == "debug_reply"
        c = reply["content"]
        assert c["type"] == "response" and c["request_seq"] == self.seq and c["command"] == command and isinstance(c["seq"], int), c
        assert isinstance(c["success"], bool) and isinstance(c["body"], dict)
        return c

    def body(self, command, **arguments):
        c = self.ask(command, **arguments)
        assert c["success"], c
        return c["body"]

    def fails(self, command, **arguments):
        c = self.ask(command, **arguments)
        assert not c["success"]
        return c["message"]

    def start(self, client="jupyterlab"):
        info = self.body("debugInfo")
        caps = self.body("initialize", clientID=client, clientName="JupyterLab", adapterID="lacus", pathFormat="path", linesStartAt1=True,
                         columnsStartAt1=True, supportsVariableType=True, supportsVariablePaging=True, supportsRunInTerminalRequest=True, locale="en")
        self.event("initialized")
        self.body("attach")
        return info, caps

    def cell(self, code, *breakpoints):
        """Dumps a cell and sets breakpoints (lines or DAP objects); the answer's list and the path."""
        path = self.body("dumpCell", code=code)["sourcePath"]
        list_ = [b if isinstance(b, dict) else {"line": b} for b in breakpoints]
        answer = self.body("setBreakpoints", breakpoints=list_, source={"path": path}, sourceModified=False)["breakpoints"]
        self.body("configurationDone")
        return path, answer

    def run(self, code):
        self.seen = []
        self.running = self.kernel.send("execute_request", {"code": code})
        return self.running

    def event(self, name, timeout=10):
        """The next event of that name; what comes before is passed over."""
        while True:
            m = self.kernel.receive(self.kernel.iopub, timeout)
            self.seen.append(m)
            if m["type"] == "debug_event":
                assert m["content"]["type"] == "event" and isinstance(m["content"]["seq"], int)
                if m["content"]["event"] == name:
                    return m["content"].get("body", {})

    def stopped(self, reason, line=None):
        body = self.event("stopped")
        assert body["reason"] == reason and body["allThreadsStopped"] is True, body
        self.thread = body["threadId"]
        if line is not None:
            assert self.frames()[0]["line"] == line
        return body

    def frames(self, **page):
        return self.body("stackTrace", threadId=self.thread, **page)["stackFrames"]

    def scopes(self, frame=0):
        scopes = self.body("scopes", frameId=self.frames()[frame]["id"])["scopes"]
        assert [s["name"] for s in scopes] == ["Locals", "Upvalues", "Globals"]
        return {s["name"]: self.variables(s["variablesReference"]) for s in scopes}

    def variables(self, ref, **more):
        return {v["name"]: v for v in self.body("variables", variablesReference=ref, **more)["variables"]}

    def evaluate(self, expression, frame=0):
        return self.body("evaluate", expression=expression, frameId=self.frames()[frame]["id"], context="repl")["result"]

    def step(self, command, line):
        self.body(command, threadId=self.thread)
        return self.stopped("step", line)

    def end(self):
        """Lets the cell end; its reply."""
        self.body("continue", threadId=self.thread)
        return self.reply()

    def reply(self):
        while True:
            r = self.kernel.receive(timeout=10)
            if r["parent"] == self.running:
                return r["content"]

    def outputs(self):
        while not any(m["type"] == "status" and m["parent"] == self.running and m["content"]["execution_state"] == "idle" for m in self.seen):
            self.seen.append(self.kernel.receive(self.kernel.iopub))
        mine = [m for m in self.seen if m["parent"] == self.running]
        return [m for m in mine if m["type"] not in ("status", "execute_input", "debug_event")]


@pytest.fixture()
def debugger(kernel):  # noqa: F811
    d = Debugger(kernel)
    d.start()
    return d


CELL = """
local function area(w, h)
  local a = w * h

  return a
end

local sizes = {3, 4}
local total = area(sizes[1], sizes[2])
total = total + 1
print(total)"""


def test_what_the_kernel_says_of_itself(kernel, tmp_path):  # noqa: F811
    info = kernel.request("kernel_info_request", {})["content"]
    assert info["debugger"] is True and "debugger" in info["supported_features"]
    subprocess.run([LACUS, "kernelspec", "install", "--prefix", str(tmp_path)], check=True, stdout=subprocess.DEVNULL)
    spec = json.loads((tmp_path / "share/jupyter/kernels/lacus/kernel.json").read_text())
    assert spec["metadata"]["debugger"] is True


def test_info_and_capabilities(kernel):  # noqa: F811
    d = Debugger(kernel)
    assert "initialize" in d.fails("setBreakpoints", source={"path": "/x"}, breakpoints=[])
    info, caps = d.start()
    assert info["isStarted"] is False and info["hashMethod"] == "Murmur2" and info["hashSeed"] == SEED
    assert info["tmpFilePrefix"].endswith("/") and info["tmpFileSuffix"] == ".lua" and info["breakpoints"] == [] and info["stoppedThreads"] == []
    assert info["richRendering"] is True and info["copyToGlobals"] is True and info["exceptionPaths"] == []
    assert {f["filter"] for f in caps["exceptionBreakpointFilters"]} == {"raised", "uncaught"}
    assert all(set(f) >= {"filter", "label", "default"} for f in caps["exceptionBreakpointFilters"])
    for name in ("ConfigurationDoneRequest", "ModulesRequest", "SetVariable", "SetExpression", "EvaluateForHovers", "ConditionalBreakpoints", "LogPoints"):
        assert caps["supports" + name] is True
    assert d.body("debugInfo")["isStarted"] is True
    assert "no command 'fly'" in d.fails("fly")
    d.body("disconnect", restart=False, terminateDebuggee=False)
    assert d.body("debugInfo")["isStarted"] is False


@pytest.mark.parametrize("code", ["", "a", "ab", "abc", "print('grün 日本')\n\n", "\n\nx = 1"])
def test_both_sides_hash_alike(debugger, code):
    info = debugger.body("debugInfo")
    path = debugger.body("dumpCell", code=code)["sourcePath"]
    assert path == f"{info['tmpFilePrefix']}{murmur2(code, SEED)}.lua"
    assert pathlib.Path(path).read_text() == code
    assert pathlib.Path(path).parent.stat().st_mode & 0o77 == 0


def test_lines_move_to_where_code_is(debugger):
    path, answer = debugger.cell(CELL, 1, 4, 7, 99)
    assert [b["line"] for b in answer] == [3, 5, 8, 99]
    assert [b["verified"] for b in answer] == [True, True, True, False] and "no code" in answer[3]["message"]
    assert all(b["source"]["path"] == path and isinstance(b["id"], int) for b in answer)
    known = debugger.body("debugInfo")["breakpoints"]
    assert [k["source"] for k in known] == [path] and [b["line"] for b in known[0]["breakpoints"]] == [b["line"] for b in answer]
    assert not debugger.cell("local = 3", 1)[1][0]["verified"]
    assert debugger.cell("%%time\nlocal a = 1\n\na = 2\na", 3)[1][0]["line"] == 4


def test_a_breakpoint_stops_and_the_frames_are_seen(debugger):
    path, _ = debugger.cell(CELL, 3)
    debugger.run(CELL)
    body = debugger.stopped("breakpoint")
    assert len(body["hitBreakpointIds"]) == 1
    assert debugger.body("debugInfo")["stoppedThreads"] == [body["threadId"]]
    threads = debugger.body("threads")["threads"]
    assert body["threadId"] in [t["id"] for t in threads] and all(t["name"] for t in threads)
    frames = debugger.frames()
    assert [(f["name"], f["line"]) for f in frames] == [("area", 3), ("Cell In[1]", 9)]
    assert all(f["source"]["path"] == path and f["column"] == 1 for f in frames)
    top, cell = debugger.scopes(0), debugger.scopes(1)
    assert {n: v["value"] for n, v in top["Locals"].items()} == {"w": "3", "h": "4"}
    assert top["Locals"]["w"]["type"] == "int" and top["Locals"]["w"]["variablesReference"] == 0 and top["Locals"]["w"]["evaluateName"] == "w"
    assert set(cell["Locals"]) == {"area", "sizes"}
    sizes = cell["Locals"]["sizes"]
    assert sizes["value"] == "{3, 4}" and "type" not in sizes  # JupyterLab shows a value only of what has no other type
    parts = debugger.variables(sizes["variablesReference"])
    assert [(n, v["value"], v["evaluateName"]) for n, v in parts.items()] == [("[1]", "3", "sizes[1]"), ("[2]", "4", "sizes[2]")]
    assert debugger.frames(startFrame=1, levels=1)[0]["name"] == "Cell In[1]"
    assert debugger.body("stackTrace", threadId=debugger.thread, startFrame=0, levels=1)["totalFrames"] == 2
    assert debugger.body("source", source={"path": path}, sourceReference=0)["content"] == CELL
    assert debugger.end()["status"] == "ok"
    assert text(debugger.outputs()) == "13\n"
    assert debugger.body("debugInfo")["stoppedThreads"] == []


def test_stepping(debugger):
    debugger.cell(CELL, 9)
    debugger.run(CELL)
    debugger.stopped("breakpoint", 9)
    debugger.step("stepIn", 3)
    debugger.step("next", 5)
    debugger.step("stepOut", 9)
    debugger.step("next", 10)
    debugger.step("next", 11)
    debugger.body("next", threadId=debugger.thread)  # out of the cell
    debugger.event("continued")
    assert debugger.reply()["status"] == "ok"


def test_a_step_passes_over_calls_and_into_recursion(debugger):
    code = "local function f(n)\n  if n == 0 then return 0 end\n  local r = f(n - 1)\n  return r + 1\nend\nlocal x = f(20)\nx = x + 1"
    debugger.cell(code, {"line": 3, "condition": "n == 20"})
    debugger.run(code)
    debugger.stopped("breakpoint", 3)
    debugger.step("next", 4)
    assert debugger.evaluate("r") == "19"
    debugger.step("next", 7)
    assert debugger.end()["status"] == "ok"


def test_the_first_line_stops_once(debugger):
    code = "first = 1\nsecond = 2"
    debugger.cell(code, 1)
    debugger.run(code)
    debugger.stopped("breakpoint", 1)
    debugger.step("next", 2)
    assert debugger.end()["status"] == "ok"


def test_coroutines_and_pcall(debugger):
    code = ("local co = coroutine.wrap(function(n)\n  for i = 1, n do\n    coroutine.yield(i)\n  end\nend)\nlocal ok, v = pcall(function()\n"
            "  local a = co(3)\n  return a + co()\nend)\nprint(v)")
    debugger.cell(code, 3)
    debugger.run(code)
    debugger.stopped("breakpoint", 3)
    frames = debugger.frames()
    assert [f["line"] for f in frames] == [3, 7, 6]
    assert debugger.thread != 1 and debugger.evaluate("i, n") == "1, 3" and debugger.evaluate("v", 2) == "nil"
    assert {t["id"] for t in debugger.body("threads")["threads"]} >= {1, debugger.thread}
    debugger.step("next", 8)  # the yield gave control back
    assert debugger.evaluate("a") == "1"
    debugger.body("continue", threadId=debugger.thread)
    debugger.stopped("breakpoint", 3)
    assert debugger.evaluate("i") == "2"
    assert debugger.end()["status"] == "ok" and text(debugger.outputs()) == "3\n"
    told = [m["content"]["body"] for m in debugger.seen if m["type"] == "debug_event" and m["content"]["event"] == "thread"]
    assert told[0] == {"reason": "started", "threadId": debugger.thread} and told[-1] == {"reason": "exited", "threadId": debugger.thread}


def test_variables_are_set_where_they_are(debugger):
    code = "local k = 1\nlocal t = {name = 'x', 10, 20}\nlocal function f(a)\n  a = a + k\n  return a, t\nend\nprint(f(1))\nprint(t[2], t.name, k, g)"
    debugger.cell(code, 4)
    debugger.run(code)
    debugger.stopped("breakpoint", 4)
    frame = debugger.frames()[0]["id"]
    refs = {s["name"]: s["variablesReference"] for s in debugger.body("scopes", frameId=frame)["scopes"]}
    assert debugger.body("setVariable", variablesReference=refs["Locals"], name="a", value="a + 40")["value"] == "41"
    assert debugger.body("setVariable", variablesReference=refs["Upvalues"], name="k", value="2")["value"] == "2"
    table = debugger.variables(refs["Upvalues"])["t"]["variablesReference"]
    assert debugger.body("setVariable", variablesReference=table, name="[2]", value="a")["value"] == "41"
    assert debugger.body("setVariable", variablesReference=table, name="name", value="'new'")["value"] == '"new"'
    assert debugger.body("setExpression", expression="g", value="{1}", frameId=frame)["value"] == "{1}"
    assert "nosuch" in debugger.fails("setVariable", variablesReference=refs["Locals"], name="nosuch", value="1")
    assert debugger.evaluate("a = a + 1") == ""
    assert debugger.evaluate("a") == "42"
    assert debugger.evaluate("t[1] + k, ...") == "12"
    assert "attempt" in debugger.fails("evaluate", expression="nothing.x", frameId=frame)
    debugger.body("copyToGlobals", srcVariableName="a", dstVariableName="copied", srcFrameId=frame)
    assert "'nosuch'" in debugger.fails("copyToGlobals", srcVariableName="nosuch", dstVariableName="copied", srcFrameId=frame)
    assert debugger.end()["status"] == "ok"
    lines = text(debugger.outputs()).split("\n")
    assert lines[0].startswith("44\t") and lines[1].startswith("41\tnew\t2\ttable")
    assert debugger.kernel.execute("copied")[1][0]["content"]["data"]["text/plain"] == "42"


def test_lines_that_are_none(debugger):
    """They must not stop anywhere else."""
    code = "local a = 1\nlocal b = a + 1\nreturn b"
    _, told = debugger.cell(code, -1, 0, 1.5, "2", {}, 3)
    assert [t["verified"] for t in told] == [False] * 5 + [True] and all("whole numbers" in t["message"] for t in told[:5])
    debugger.run(code)
    debugger.stopped("breakpoint", 3)
    assert debugger.end()["status"] == "ok"


def test_conditions_counts_and_messages(debugger):
    code = "for i = 1, 10 do\n  local sq = i * i\n  last = sq\nend"
    debugger.cell(code, {"line": 3, "condition": "sq > 50"}, {"line": 2, "logMessage": "i is {i} {{'t'}}"})
    debugger.run(code)
    debugger.stopped("breakpoint", 3)
    assert debugger.evaluate("i") == "8"
    debugger.cell(code, {"line": 3, "hitCondition": "2"})
    debugger.body("continue", threadId=debugger.thread)
    debugger.stopped("breakpoint", 3)
    assert debugger.evaluate("i") == "10"
    assert debugger.end()["status"] == "ok"
    assert text(debugger.outputs()).startswith("i is 1 ")
    _, (told,) = debugger.cell(code, {"line": 3, "condition": "sq >"})
    assert told["verified"] and "'sq >' is no Lua expression" in told["message"]
    debugger.run(code)
    debugger.stopped("breakpoint", 3)
    debugger.cell(code)
    assert debugger.end()["status"] == "ok" and "condition" in text(debugger.outputs(), "stderr")


def test_a_condition_changes_nothing_by_a_slip(debugger):
    code = "n = 0\nfor i = 1, 3 do\n  n = n + i\nend"
    _, (told,) = debugger.cell(code, {"line": 3, "condition": "n = 4"})
    assert told["verified"] and "'n = 4' is no Lua expression" in told["message"]
    debugger.run(code)
    debugger.stopped("breakpoint", 3)
    assert debugger.evaluate("n") == "0"
    debugger.cell(code, {"line": 3, "condition": " return i == 3"})
    debugger.body("continue", threadId=debugger.thread)
    debugger.stopped("breakpoint", 3)
    assert debugger.evaluate("i") == "3"
    debugger.cell(code, 1, {"line": 3, "logMessage": "{n = 50} {n}"})
    assert debugger.end()["status"] == "ok" and "condition" in text(debugger.outputs(), "stderr")
    debugger.run(code)
    debugger.stopped("breakpoint", 1)
    assert debugger.end()["status"] == "ok"
    assert debugger.kernel.execute("return n")[1][0]["content"]["data"]["text/plain"] == "6"


def test_errors_stop(debugger):
    code = "local function bad(t)\n  return t.x.y\nend\npcall(bad, {})\nlocal co = coroutine.wrap(function()\n  local inner = 5\n  bad({x = 1 == 2})\nend)\nco()"
    debugger.body("setExceptionBreakpoints", filters=["uncaught"])
    assert debugger.body("debugInfo")["exceptionPaths"] == ["uncaught"]
    debugger.run(code)
    body = debugger.stopped("exception", 2)
    assert "attempt to index" in body["text"]
    assert [f["line"] for f in debugger.frames()] == [2, 7, 9]
    assert debugger.evaluate("inner", 1) == "5"
    assert "attempt to index" in debugger.body("exceptionInfo", threadId=debugger.thread)["description"]
    reply = debugger.end()
    assert reply["status"] == "error" and "Cell In[1]" in "".join(reply["traceback"])
    debugger.body("setExceptionBreakpoints", filters=["raised"])
    debugger.run("pcall(function()\n  local why = 'here'\n  error(why)\nend)\nxpcall(error, function() return 1 end, 'second')")
    assert "here" in debugger.stopped("exception")["text"]
    assert debugger.evaluate("why") == '"here"'
    debugger.body("continue", threadId=debugger.thread)
    assert debugger.stopped("exception")["text"] == "second"
    assert debugger.end()["status"] == "ok"


def test_a_running_cell_is_reached(debugger):
    code = "n = 0\nwhile not stop do\n  n = n + 1\nend\nprint('out')"
    debugger.kernel.until(debugger.run(code))
    time.sleep(0.1)
    assert any(v["name"] == "n" for v in debugger.body("inspectVariables")["variables"])
    debugger.body("pause", threadId=1)
    debugger.stopped("pause")
    debugger.body("continue", threadId=1)
    debugger.event("continued")
    time.sleep(0.05)
    debugger.cell(code, 3)
    debugger.stopped("breakpoint", 3)
    debugger.evaluate("stop = true")
    assert debugger.end()["status"] == "ok" and text(debugger.outputs()) == "out\n"


def test_a_cell_that_sleeps_is_paused_when_it_wakes(debugger):
    debugger.kernel.until(debugger.run("sleep(0.5) x = 1\ny = 2"))
    debugger.body("pause", threadId=1)
    debugger.stopped("pause", 1)
    assert debugger.end()["status"] == "ok"


def test_a_step_over_a_sleep_stops_behind_it_though_others_have_their_turn(debugger):
    comm = slider(debugger.kernel)
    code = "z = 1\nsleep(0.5)\nz = 2\nz = 3"
    debugger.cell(code, 2)
    debugger.run(code)
    debugger.stopped("breakpoint", 2)
    debugger.body("next", threadId=debugger.thread)
    time.sleep(0.1)
    move(debugger.kernel, comm, 7)
    debugger.stopped("step", 3)
    assert debugger.evaluate("seen") == "7"
    assert debugger.end()["status"] == "ok"


def test_a_cell_asks_for_a_stop(debugger):
    debugger.run("local a = 1\nbreakpoint()\na = 2\nprint(a)")
    debugger.stopped("pause", 3)
    debugger.step("next", 4)
    assert debugger.end()["status"] == "ok" and text(debugger.outputs()) == "2\n"


def test_an_interrupt_ends_what_has_stopped(debugger):
    debugger.cell(CELL, 3)
    debugger.run(CELL)
    debugger.stopped("breakpoint")
    debugger.kernel.request("interrupt_request", {}, channel=debugger.kernel.control)
    debugger.event("continued")
    assert debugger.reply()["ename"] == "KeyboardInterrupt"
    assert debugger.kernel.execute("1 + 1")[0]["status"] == "ok"


def test_an_endless_evaluation_between_cells_is_interrupted(debugger):
    asked = debugger.kernel.send("debug_request", {"type": "request", "seq": 98, "command": "evaluate", "arguments": {"expression": "while true do end"}},
                                 channel=debugger.kernel.control)
    time.sleep(0.2)
    assert debugger.body("debugInfo")["isStarted"]  # the control channel answers meanwhile
    interrupt = debugger.kernel.send("interrupt_request", {}, channel=debugger.kernel.control)
    replies = {}
    while not {asked, interrupt} <= set(replies):
        reply = debugger.kernel.receive(debugger.kernel.control)
        replies[reply["parent"]] = reply["content"]
    assert replies[asked]["success"] is False and "interrupted" in replies[asked]["message"]
    assert debugger.kernel.execute("1")[0]["status"] == "ok"


def test_an_endless_evaluation_is_interrupted(debugger):
    debugger.cell(CELL, 3)
    debugger.run(CELL)
    debugger.stopped("breakpoint")
    frame = debugger.frames()[0]["id"]
    debugger.kernel.send("debug_request", {"type": "request", "seq": 99, "command": "evaluate", "arguments": {"expression": "(function() while true do end end)()", "frameId": frame}},
                         channel=debugger.kernel.control)
    time.sleep(0.2)
    debugger.kernel.send("interrupt_request", {}, channel=debugger.kernel.control)
    assert debugger.reply()["status"] == "error"


def test_a_deep_stack_comes_in_pages(debugger):
    code = "local function deep(n)\n  if n == 0 then\n    here = 1\n    return 0\n  end\n  return 1 + deep(n - 1)\nend\ndeep(100000)"
    debugger.cell(code, 3)
    debugger.run(code)
    debugger.stopped("breakpoint")
    body = debugger.body("stackTrace", threadId=debugger.thread, startFrame=10, levels=5)
    assert [f["line"] for f in body["stackFrames"]] == [6] * 5 and body["totalFrames"] > 100000
    assert debugger.evaluate("n", 7) == "7"
    debugger.step("stepOut", 6)
    debugger.cell(code)
    assert debugger.end()["status"] == "ok"


def test_shutting_down_what_has_stopped(debugger):
    debugger.cell(CELL, 3)
    debugger.run(CELL)
    debugger.stopped("breakpoint")
    debugger.kernel.request("shutdown_request", {"restart": True}, channel=debugger.kernel.control)
    assert debugger.kernel.process.wait(3) == 0


def test_disconnecting_lets_it_go_on(debugger):
    debugger.cell(CELL, 3)
    debugger.run(CELL)
    debugger.stopped("breakpoint")
    debugger.body("disconnect", restart=False, terminateDebuggee=False)
    assert debugger.reply()["status"] == "ok"
    debugger.run(CELL)
    assert debugger.reply()["status"] == "ok"


def test_variables_when_nothing_has_stopped(debugger):
    debugger.kernel.execute("local alone = {a = {b = 1}}\nwords = {'x', 'y'}\nf = function() return alone end")
    found = {v["name"]: v for v in debugger.body("inspectVariables")["variables"]}
    assert {"alone", "words", "f"} <= set(found) and "print" not in found and "spark" not in found
    assert debugger.variables(debugger.variables(found["alone"]["variablesReference"])["a"]["variablesReference"])["b"]["value"] == "1"
    assert "alone" in debugger.variables(found["f"]["variablesReference"])
    assert debugger.body("richInspectVariables", variableName="nosuch") == {"data": {}, "metadata": {}}
    debugger.kernel.execute("bytes = 'a\\0b\\255'")
    assert "a" in debugger.body("richInspectVariables", variableName="bytes")["data"]["text/plain"]
    rich = debugger.body("richInspectVariables", variableName="words")
    assert "x" in rich["data"]["text/plain"] and isinstance(rich["metadata"], dict)
    assert "modules" in debugger.body("modules") and "targets" in debugger.body("completions", text="wor", column=4)
    assert [t["label"] for t in debugger.body("completions", text="wor", column=4)["targets"]] == ["words"]
    text = "s = '\U0001f600é' .. wor -- behind\nt = {'\U00010000', wor"  # columns are UTF-16 units of a line
    for line, column in ((None, 17), (1, 17), (2, 15), (2, 99)):
        where = {} if line is None else {"line": line}
        targets = debugger.body("completions", text=text, column=column, **where)["targets"]
        row = text.split("\n")[(line or 1) - 1].encode("utf-16-le")
        assert targets[0]["label"] == "words" and {row[2 * (t["start"] - 1) : 2 * (t["start"] - 1 + t["length"])].decode("utf-16-le") for t in targets} == {"wor"}
    assert [t["label"] for t in debugger.body("completions", text="x\nwords:", column=1, line=2)["targets"] if t["label"] == "words"] == ["words"]
    assert "not there any more" in debugger.fails("variables", variablesReference=987654)
    assert "stopped" in debugger.fails("next", threadId=1)


def test_a_dataframe_is_named_and_runs_no_query(debugger):
    reply, _ = debugger.kernel.execute("df = spark:range(5):withColumn('x', F.expr([[raise_error('it ran')]]))")
    if reply["status"] != "ok":
        pytest.skip(f"SKIP: no engine: {reply['evalue']}")
    found = {v["name"]: v for v in debugger.body("inspectVariables")["variables"]}
    assert "DataFrame" in found["df"]["value"]


def test_types_have_their_names(kernel):  # noqa: F811
    d = Debugger(kernel)
    d.start("vscode")
    kernel.execute("i, x, b, s, t, f, n = 1, 1.5, true, 's', {}, print, null c = coroutine.create(print) o = setmetatable({}, {__name = 'Thing'}) df = io.stdout")
    found = {v["name"]: v["type"] for v in d.body("inspectVariables")["variables"]}
    assert "'nosuch'" in d.fails("richInspectVariables", variableName="nosuch")
    assert found == {"i": "integer", "x": "float", "b": "boolean", "s": "string", "t": "table", "f": "function", "n": "null", "c": "coroutine", "o": "Thing",
                     "df": "FILE*"}


def test_keys_are_in_the_order_of_display(debugger):
    """Numbers by value, then texts, then the rest; in the line of a table, too."""
    debugger.kernel.execute("t = {zeta = 1, alpha = 2, [10] = 'x', [2.5] = 'y', [-1] = 'z', mid = 3, [true] = 4, 'first'}")
    found = {v["name"]: v for v in debugger.body("inspectVariables")["variables"]}["t"]
    assert found["value"] == '{"first", [-1] = "z", [2.5] = "y", [10] = "x", alpha = 2, mid = 3, zeta = 1, [true] = 4}'
    assert list(debugger.variables(found["variablesReference"])) == ["[1]", "[-1]", "[2.5]", "[10]", "alpha", "mid", "zeta", "[true]"]


def test_large_and_cyclic_values_are_bounded(debugger):
    debugger.kernel.execute("big = {} for i = 1, 100000 do big[i] = i end big.name = 'n' cycle = {} cycle.self = cycle s = ('x'):rep(1e6)")
    found = {v["name"]: v for v in debugger.body("inspectVariables")["variables"]}
    big = found["big"]
    assert big["indexedVariables"] == 100000 and big["namedVariables"] == 1 and len(found["s"]["value"]) < 1000
    page = debugger.variables(big["variablesReference"], filter="indexed", start=50000, count=3)
    assert [v["value"] for v in page.values()] == ["50001", "50002", "50003"]
    assert list(debugger.variables(big["variablesReference"], filter="named")) == ["name"]
    first = debugger.variables(big["variablesReference"])
    assert len(first) <= 501 and "…" in first
    more = debugger.variables(first["…"]["variablesReference"])
    assert list(more)[0] == "[501]"
    ref = found["cycle"]["variablesReference"]
    for _ in range(5):
        ref = debugger.variables(ref)["self"]["variablesReference"]


def test_malformed_requests_are_answered(debugger):
    for content in ({}, {"type": "request", "seq": 1}, {"seq": "x", "command": 7}, {"seq": 2, "command": "setBreakpoints", "arguments": []},
                    {"seq": 3, "command": "setBreakpoints", "arguments": {"source": {"path": "/x"}, "breakpoints": [{"line": -4}, 5, None]}},
                    {"seq": 4, "command": "setBreakpoints", "arguments": {"source": {"path": "/x"}, "breakpoints": [{"line": 1}] * 5000}},
                    {"seq": 5, "command": "dumpCell", "arguments": {"code": 1}}, {"seq": 6, "command": "x" * 100000},
                    {"seq": 7, "command": "stackTrace", "arguments": {"threadId": "one", "startFrame": -1}}, {"seq": 8, "command": "scopes", "arguments": {"frameId": 1 << 60}}):
        c = debugger.kernel.request("debug_request", content, channel=debugger.kernel.control)["content"]
        assert c["type"] == "response" and isinstance(c["success"], bool)
    assert debugger.kernel.execute("1")[0]["status"] == "ok"


def test_a_session_inside_c_is_not_waited_for(debugger):
    debugger.kernel.until(debugger.run("os.execute('sleep 10')"))
    time.sleep(0.2)
    assert "inside a call that cannot be looked into" in debugger.fails("inspectVariables")  # asked three seconds long, of the ten
    debugger.kernel.request("interrupt_request", {}, channel=debugger.kernel.control)
    assert debugger.reply()["status"] == "error"


def test_others_are_served_while_it_stands(debugger):
    """A slider, a question and a cell of a subshell, one that takes turns with the debugger's own requests and one that goes on when the first does."""
    kernel = debugger.kernel
    comm, shell = slider(kernel), create(kernel)
    debugger.cell("local here = 1\nhere = here + 1\nreturn here, seen", 2)
    debugger.run("local here = 1\nhere = here + 1\nreturn here, seen")
    debugger.stopped("breakpoint", 2)
    moved = kernel.until_idle(move(kernel, comm, 7))
    assert text(moved) == "seen\t7\n"
    other = kernel.send("execute_request", {"code": "local n = 0 for i = 1, 10 do n = n + i end return n"}, subshell=shell)
    assert [m["content"]["data"]["text/plain"] for m in kernel.until_idle(other) if m["type"] == "execute_result"] == ["55"]
    assert kernel.receive()["content"]["status"] == "ok"
    assert kernel.request("complete_request", {"code": "see", "cursor_pos": 3})["content"]["matches"] == ["seen"]
    debugger.cell("local here = 1\nhere = here + 1\nreturn here, seen", 2)  # set again while it stands: still nobody else stops
    long = kernel.send("execute_request", {"code": "while not over do rounds = (rounds or 0) + 1\nend\nreturn 'over'"}, subshell=shell)
    time.sleep(0.1)
    assert debugger.evaluate("here") == "1" and int(debugger.evaluate("rounds")) > 0
    debugger.step("next", 3)
    assert debugger.evaluate("here") == "2"
    reply = debugger.end()
    assert reply["status"] == "ok" and [m["content"]["data"]["text/plain"] for m in debugger.outputs()] == ["2\t7"]
    kernel.execute("over = true")
    assert kernel.receive()["parent"] == long


def test_nothing_is_hooked_without_a_breakpoint(debugger):
    assert debugger.kernel.execute("debug.gethook() == nil")[1][0]["content"]["data"]["text/plain"] == "true"
    debugger.cell(CELL, 3)
    assert debugger.kernel.execute("debug.gethook() == nil")[1][0]["content"]["data"]["text/plain"] == "false"
    debugger.cell(CELL)
    assert debugger.kernel.execute("debug.gethook() == nil")[1][0]["content"]["data"]["text/plain"] == "true"


def test_texts_of_breakpoints(debugger):
    """A hit count that is none is told; the braces of a message's tables and texts are not its end."""
    code = "local t = {3}\nlocal n = #t\nreturn n"
    _, answer = debugger.cell(code, {"line": 2, "hitCondition": "abc"}, {"line": 3, "hitCondition": ">= 9"})
    assert "'abc' is none of" in answer[0]["message"] and "message" not in answer[1]
    debugger.cell(code, {"line": 3, "logMessage": "n={#{n, {n}}} {'}'} {"})
    debugger.run(code)
    assert debugger.reply()["status"] == "ok" and text(debugger.outputs()) == "n=2 } {\n"


def test_a_step_out_that_meets_a_breakpoint_is_over(debugger):
    code = "local t = {3, 1, 2}\ntable.sort(t, function(a, b)\n  return a < b\nend)\nreturn t[1]"
    debugger.cell(code, 3)
    debugger.run(code)
    debugger.stopped("breakpoint", 3)
    debugger.body("stepOut", threadId=debugger.thread)
    debugger.stopped("breakpoint", 3)
    assert "'end' is no name" in debugger.fails("copyToGlobals", srcVariableName="a", dstVariableName="end", srcFrameId=debugger.frames()[0]["id"])
    debugger.step("stepOut", 5)
    assert debugger.end()["status"] == "ok"


def test_the_prompt_in_a_notebook(kernel):  # noqa: F811
    """%debug asks through the front end's input, without the panel; the panel, when it is open, is not disturbed."""
    kernel.execute("function f(a)\n  local b = a + 1\n  return b.x.y\nend\nf(4)")
    cell = kernel.send("execute_request", {"code": "%debug", "allow_stdin": True})
    for answer in ("p b, a", "up", "q"):
        request = kernel.receive(kernel.stdin)
        assert request["type"] == "input_request" and request["content"]["prompt"] == "(debug) "
        kernel.send("input_reply", {"value": answer}, channel=kernel.stdin)
    shown = text([m for m in kernel.until_idle(cell)])
    assert "5, 4" in shown and "Cell In[1]:5" in shown
    reply, messages = kernel.execute("%debug", allow_stdin=False)
    assert reply["status"] == "ok" and "input" in text(messages)


def test_a_subshell_has_its_turn_though_lines_are_watched(debugger):
    debugger.cell(CELL, 3)
    shell = debugger.kernel.request("create_subshell_request", {}, channel=debugger.kernel.control)["content"]["subshell_id"]
    waiting = debugger.kernel.send("execute_request", {"code": "while not stop do end"})
    debugger.kernel.until(waiting)
    debugger.kernel.send("execute_request", {"code": "stop = true"}, subshell=shell)
    while (reply := debugger.kernel.receive(timeout=10))["parent"] != waiting:
        pass
    assert reply["content"]["status"] == "ok"


def test_cells_with_magics_stop_at_their_lines(debugger):
    code = "%%time\nlocal a = 1\na = a + 1\nprint(a)"
    debugger.cell(code, 3)
    debugger.run(code)
    debugger.stopped("breakpoint", 3)
    assert debugger.evaluate("a") == "1"
    assert debugger.end()["status"] == "ok"


def test_a_file_is_debugged_by_its_path(debugger, tmp_path):
    file = tmp_path / "part.lua"
    file.write_text("local M = {}\nfunction M.twice(x)\n  local y = x * 2\n  return y\nend\nreturn M\n")
    debugger.kernel.execute(f"package.path = '{tmp_path}/?.lua;' .. package.path part = require 'part'")
    assert [m["path"] for m in debugger.body("modules")["modules"] if m["name"] == "part"] == [str(file)]
    debugger.body("setBreakpoints", source={"path": str(file)}, breakpoints=[{"line": 4}])
    debugger.run("part.twice(21)")
    debugger.stopped("breakpoint", 4)
    assert debugger.frames()[0]["source"]["path"] == str(file) and debugger.evaluate("y") == "42"
    assert debugger.end()["status"] == "ok"


def test_the_folder_of_cells_goes_with_the_kernel(debugger):
    path = pathlib.Path(debugger.body("dumpCell", code="1")["sourcePath"])
    debugger.kernel.request("shutdown_request", {"restart": False}, channel=debugger.kernel.control)
    debugger.kernel.process.wait(10)
    assert not path.parent.exists()

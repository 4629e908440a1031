"""What replies have inside: payloads, questions, completion types, indentation, members that the protocol asks for."""
import subprocess

import pytest
import zmq
from kernels import home, kernel, text  # noqa: F401


# ---- payloads

def test_a_question_mark_opens_the_pager(kernel):
    reply, messages = kernel.execute("string.rep?")
    page, = reply["payload"]
    assert page["source"] == "page" and page["start"] == 0 and "rep" in page["data"]["text/plain"]
    assert not messages
    assert kernel.execute("1")[0]["payload"] == []


def test_what_a_cell_puts_into_the_next_input(kernel, home):
    """Beside the cell (replace is false) and in its place (true), as IPython's %recall and %load have it."""
    kernel.execute("a = 'moon'\nprint(a)")
    reply, messages = kernel.execute("%recall 1")
    assert reply["status"] == "ok" and not messages
    assert reply["payload"] == [{"source": "set_next_input", "text": "a = 'moon'\nprint(a)", "replace": False}]
    (home / "part.lua").write_text("return 'π'\n")
    replaced, = kernel.execute(f"%load {home}/part.lua")[0]["payload"]
    assert replaced["source"] == "set_next_input" and replaced["replace"] is True and replaced["text"].endswith("\nreturn 'π'\n")
    assert kernel.execute("1")[0]["payload"] == []


def test_pages_and_inputs_of_one_cell_keep_their_order(kernel):
    kernel.execute("first = 1")
    reply, messages = kernel.execute("string.rep??\n%recall 1")
    assert [p["source"] for p in reply["payload"]] == ["page", "set_next_input"] and not messages
    assert reply["payload"][1] == {"source": "set_next_input", "text": "first = 1", "replace": False}
    names, = kernel.execute("string.*?")[0]["payload"]
    assert names["source"] == "page" and "rep" in names["data"]["text/plain"].split()


def test_os_exit_asks_the_front_end_and_ends_the_kernel(kernel):
    reply, _ = kernel.execute("x = 1 os.exit() y = 2")
    assert {"source": "ask_exit", "keepkernel": False} in reply["payload"]
    assert kernel.process.wait(5) == 0


def test_payloads_of_a_silent_cell_and_of_the_next_are_apart(kernel):
    assert kernel.execute("string.rep?", silent=True)[0]["status"] == "ok"
    assert kernel.execute("1")[0]["payload"] == []


# ---- stdin

def test_a_password(kernel):
    kernel.send("execute_request", {"code": "secret = input('Password: ', {password = true})", "allow_stdin": True})
    question = kernel.receive(kernel.stdin)
    assert question["content"] == {"prompt": "Password: ", "password": True}
    kernel.send("input_reply", {"value": "hunter2"}, channel=kernel.stdin)
    assert kernel.receive()["content"]["status"] == "ok"
    assert kernel.execute("#secret")[1][0]["content"]["data"]["text/plain"] == "7"


def test_the_one_that_was_asked_answers(kernel):
    """Another front end of the same kernel may have an answer left over, or guess."""
    kernel.send("execute_request", {"code": "return io.read()", "allow_stdin": True})
    assert kernel.receive(kernel.stdin)["type"] == "input_request"
    other = kernel.connect(zmq.DEALER, "stdin_port", b"another")
    kernel.send("input_reply", {"value": "theirs"}, channel=other)
    assert not kernel.shell.poll(300)
    kernel.send("input_reply", {"value": "ours"}, channel=kernel.stdin)
    assert kernel.receive()["content"]["status"] == "ok"
    assert kernel.execute("return _")[1][0]["content"]["data"]["text/plain"] == "ours"
    other.close()


def test_not_allowed_to_ask_is_an_error_that_teaches(kernel):
    for code in ("input('x')", "io.read()", "io.lines()()"):
        reply, messages = kernel.execute(code, allow_stdin=False)
        assert reply["status"] == "error" and "allow_stdin" in reply["evalue"]
    assert kernel.execute("return pcall(input)", allow_stdin=False)[1][0]["content"]["data"]["text/plain"].startswith("false")


@pytest.mark.parametrize("answer", [{}, {"value": None}, {"value": 7}, {"value": "x" * 100000}])
def test_answers_of_any_shape(kernel, answer):
    msg_id = kernel.send("execute_request", {"code": "return #input()", "allow_stdin": True})
    kernel.receive(kernel.stdin)
    kernel.send("input_reply", answer, channel=kernel.stdin)
    assert kernel.receive()["content"]["status"] == "ok"
    value = answer.get("value")
    assert kernel.until_idle(msg_id)[-2]["content"]["data"]["text/plain"] == str(len(value) if isinstance(value, str) else 0)


# ---- questions about code

def test_completion_names_types(kernel):
    kernel.execute("local moon_a = 1\nmoon_b = {x = 1}\nfunction moon_c(n) end")
    reply = kernel.request("complete_request", {"code": "moon_", "cursor_pos": 5})["content"]
    assert reply["status"] == "ok" and sorted(reply["matches"]) == ["moon_a", "moon_b", "moon_c"]
    kinds = {t["text"]: t["type"] for t in reply["metadata"]["_jupyter_types_experimental"]}
    assert set(kinds) == set(reply["matches"]) and kinds["moon_c"] == "function"
    for t in reply["metadata"]["_jupyter_types_experimental"]:
        assert (t["start"], t["end"]) == (0, 5)


@pytest.mark.parametrize("content", [{"code": ""}, {"code": "x.", "cursor_pos": 99}, {"code": "x", "cursor_pos": -1}, {"code": "é.ü", "cursor_pos": 2}, {"code": "x", "cursor_pos": "1"}])
def test_completion_anywhere(kernel, content):
    reply = kernel.request("complete_request", content)["content"]
    assert reply["status"] == "ok" and 0 <= reply["cursor_start"] <= reply["cursor_end"] <= len(content["code"])


def test_completion_in_unfinished_code(kernel, home, monkeypatch):
    """Columns within conditions, fields of widgets, names of settings, options of plots, words of magics, files behind x = !ls."""
    (home / "data").mkdir()
    kernel.execute(f"%cd -q {home}")
    kernel.execute("df = spark:createDataFrame{{name = 'a', n = 1, ['odd name'] = 2.5}} slider = widgets.IntRangeSlider{value = {3, 4}} pick = widgets.Dropdown{options = {1}}")
    for code, wanted, absent in [
        ('df:filter("n > 1 and na', ["name"], ["n"]), ("df:selectExpr('n + ", ["n", "name"], []), ("df:select('odd na", ["odd name"], []), ("df:where('upper(na", ["name", "named_struct"], []),
        ("slider.", ["min", "max", "readout_format", "lower", "observe"], ["_model_name"]), ("slider:", ["observe"], ["min", "value"]), ("slider.layout.wi", ["width"], []), ("pick.", ["options", "label", "index"], []),
        ("plot.line(df, {x = '", ["n", "name"], ["data/"]), ("plot.bar(df, {", ["agg = ", "stacked = "], []), ("plot.line{lo", ["logx = ", "logy = "], []),
        ("llm.finetune{args = {le", ["learning_rate = "], []), ("llm.finetune{peft = {", ["lora_alpha = "], []),
        ("spark.conf:get('spark.sql.s", ["spark.sql.session.timeZone"], []), ("%xmode ", ["Verbose", "Plain"], ["print"]), ("%autoreload ", ["2", "now"], ["print"]), ("%pip ", ["install"], ["print"]),
        ("%luarocks re", ["restore", "remove"], ["repeat"]), ("%time pri", ["print"], []), ("x = !ls da", ["data/"], []), ("local a, b = !cat da", ["data/"], []), ("x = 5 % pri", ["print"], []),
    ]:
        matches = kernel.request("complete_request", {"code": code, "cursor_pos": len(code)})["content"]["matches"]
        assert set(wanted) <= set(matches) and not set(absent) & set(matches), (code, matches[:20])


def test_names_by_pattern_and_types(kernel):
    """As IPython's: sorted, whatever their case, and of what is made when it is first wanted, too."""
    def page(code):
        return kernel.execute(code)[0]["payload"][0]["data"]["text/plain"]
    kernel.execute("df = spark:range(3) slider = widgets.IntSlider{}")
    assert page("string.*ER?") == "lower\nupper\n"
    functions = page("F.s*?").split()
    assert functions == sorted(functions) and {"sum", "substring", "split", "sqrt"} <= set(functions)
    assert page("df:sel*?").split() == ["select", "selectExpr"] and "IntRangeSlider" in page("widgets.*slider*?")
    assert page("*nothing_like_it*?") == "no name matches '*nothing_like_it*'\n"
    assert "Type: DataFrame, " in page("df?") and "Type: Widget, a control" in page("slider?")
    assert page("progress?").startswith("Signature: progress(what: any, ") and "class Progress" not in page("progress?")


def test_inspection_levels(kernel):
    kernel.execute("--- doubles n\nfunction twice(n) return 2 * n end")
    for level in (0, 1):
        reply = kernel.request("inspect_request", {"code": "twice(3)", "cursor_pos": 3, "detail_level": level})["content"]
        assert reply["status"] == "ok" and reply["found"] and "twice" in reply["data"]["text/plain"]
    assert "return 2 * n" in reply["data"]["text/plain"]
    reply = kernel.request("inspect_request", {"code": "not_there", "cursor_pos": 3})["content"]
    assert reply["status"] == "ok" and reply["found"] is False and reply["data"] == {}


@pytest.mark.parametrize("code, status, indent", [
    ("x = 1", "complete", None), ("1 + 1", "complete", None), ("for i = 1, 2 do", "incomplete", 4), ("function f()\n  if x then", "incomplete", 8), ("x = ", "incomplete", 0),
    ("x = = 1", "invalid", None), ("print('a", "invalid", None), ("s = [[a\nb", "incomplete", 0), ("t = {1,\n", "incomplete", 4), ("%%time\nx = 1", "incomplete", 0), ("!ls", "complete", None),
])
def test_is_complete(kernel, code, status, indent):
    reply = kernel.request("is_complete_request", {"code": code})["content"]
    assert reply["status"] == status
    assert ("indent" in reply) == (status == "incomplete")
    if indent is not None:
        assert reply["indent"] == " " * indent


# ---- the kernel

def test_kernel_info_has_what_the_protocol_names(kernel):
    info = kernel.request("kernel_info_request", {})["content"]
    for member in ("status", "protocol_version", "implementation", "implementation_version", "language_info", "banner", "help_links"):
        assert info[member]
    assert {"kernel subshells", "iopub_welcome"} <= set(info["supported_features"])
    assert {"name", "version", "mimetype", "file_extension", "pygments_lexer", "codemirror_mode", "nbconvert_exporter"} <= set(info["language_info"])


def test_comm_info_by_target(kernel):
    kernel.execute("display(widgets.IntSlider{value = 1})")
    comms = kernel.request("comm_info_request", {"target_name": "jupyter.widget"})["content"]["comms"]
    assert comms and {c["target_name"] for c in comms.values()} == {"jupyter.widget"}
    assert kernel.request("comm_info_request", {"target_name": "other"})["content"]["comms"] == {}
    assert set(kernel.request("comm_info_request", {})["content"]["comms"]) == set(comms)


# ---- displays

def test_what_displays_carry(kernel):
    _, messages = kernel.execute("display.mime{['text/plain'] = 'x', ['application/json'] = {a = 1}}")
    content = messages[0]["content"]
    assert content["data"]["text/plain"] == "x" and content["data"]["application/json"] == {"a": 1}
    assert content["metadata"] == {} and content["transient"] == {}
    _, messages = kernel.execute("display('x', {display_id = 'd'}) update_display('y', {display_id = 'd'})")
    assert [(m["type"], m["content"]["transient"]) for m in messages] == [("display_data", {"display_id": "d"}), ("update_display_data", {"display_id": "d"})]


@pytest.mark.parametrize("code, wait", [("clear_output()", False), ("clear_output(true)", True), ("clear_output{wait = true}", True)])
def test_clear_output(kernel, code, wait):
    _, messages = kernel.execute(f"print('a') {code} print('b')")
    assert [m["type"] for m in messages] == ["stream", "clear_output", "stream"] and messages[1]["content"] == {"wait": wait}


BUSY = """
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <time.h>
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (double)t.tv_sec + (double)t.tv_nsec / 1e9; }
static int busy(lua_State *L) { /* (seconds, seconds of them without signals) */
    double from = now(), all = luaL_checknumber(L, 1), deaf = luaL_optnumber(L, 2, 0);
    sigset_t set, old;
    sigfillset(&set);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    while (now() - from < deaf);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    while (now() - from < all);
    return 0;
}
int luaopen_busy(lua_State *L) { lua_pushcfunction(L, busy); return 1; }
"""


@pytest.mark.parametrize("call", ["busy(4)", "busy(6, 2.3)"], ids=["at once", "when it answers at last"])
def test_a_long_call_in_c_is_named_after_two_seconds(kernel, tmp_path, call):
    """A C function that knows of no interrupt. The cell ends when it returns."""
    (tmp_path / "busy.c").write_text(BUSY)
    flags = subprocess.run(["pkg-config", "--cflags", "lua5.4"], capture_output=True, text=True).stdout.split()
    subprocess.run(["cc", "-shared", "-fPIC", *flags, "-o", tmp_path / "busy.so", tmp_path / "busy.c"], check=True)
    assert kernel.execute(f"package.cpath = '{tmp_path}/?.so' busy = require('busy')")[0]["status"] == "ok"
    msg_id = kernel.send("execute_request", {"code": f"print('going')\n{call}\nwhile true do end"})
    while kernel.receive(kernel.iopub, 30)["type"] != "stream":
        pass
    kernel.request("interrupt_request", {}, channel=kernel.control)
    assert kernel.receive(timeout=60)["content"]["ename"] == "KeyboardInterrupt"
    said = text(kernel.until_idle(msg_id), "stderr")
    assert said.count("'busy'") == 1 and "Cell In[2], line 2" in said and "restart" in said, said

"""The messaging protocol, message by message, with a client that can also misbehave."""
import json
import os
import signal
import subprocess
import threading
import time

import pytest
import zmq
from kernels import LACUS, home, kernel, text  # noqa: F401
from raw_client import RawKernel


def types(messages):
    return [m["type"] for m in messages]


# ---- execute

def test_result_count_and_order(kernel):
    msg_id = kernel.send("execute_request", {"code": "print('a') return 1 + 1"})
    reply = kernel.receive()
    messages = kernel.until_idle(msg_id)
    assert types(messages) == ["status", "execute_input", "stream", "execute_result", "status"]
    assert messages[0]["content"] == {"execution_state": "busy"}
    assert messages[1]["content"] == {"code": "print('a') return 1 + 1", "execution_count": 1}
    assert messages[3]["content"]["data"]["text/plain"] == "2"
    assert messages[3]["content"]["execution_count"] == 1
    assert reply["content"]["status"] == "ok" and reply["content"]["execution_count"] == 1
    assert reply["content"]["payload"] == [] and reply["content"]["user_expressions"] == {}
    assert reply["header"]["version"] == "5.5"


def test_error_reply_and_message_agree(kernel):
    reply, messages = kernel.execute("error('broken')")
    error = [m for m in messages if m["type"] == "error"]
    assert reply["status"] == "error" and len(error) == 1
    for member in ("ename", "evalue", "traceback"):
        assert reply[member] == error[0]["content"][member]
    assert "broken" in reply["evalue"]


def test_silent_shows_nothing_and_counts_nothing(kernel):
    msg_id = kernel.send("execute_request", {"code": "x = 41 return x", "silent": True})
    reply = kernel.receive()
    assert types(kernel.until_idle(msg_id)) == ["status", "status"]
    assert reply["content"]["status"] == "ok"
    reply, messages = kernel.execute("x + 1")
    assert reply["execution_count"] == 1
    assert messages[0]["content"]["data"]["text/plain"] == "42"


def test_store_history_false_does_not_count(kernel):
    assert kernel.execute("1", store_history=False)[0]["execution_count"] == 0
    assert kernel.execute("1")[0]["execution_count"] == 1
    assert kernel.execute("1", store_history=False)[0]["execution_count"] == 1
    assert kernel.execute("1")[0]["execution_count"] == 2


def test_what_is_blank_does_not_count_and_a_comment_does(kernel):
    """As in IPython, where execute_input names the number that a cell would have had."""
    counts = []
    for code in ("1", "", " \n\t\n", "-- c", "2"):
        msg_id = kernel.send("execute_request", {"code": code})
        reply = kernel.receive()["content"]
        shown = next(m["content"]["execution_count"] for m in kernel.until_idle(msg_id) if m["type"] == "execute_input")
        assert reply["status"] == "ok"
        counts.append((reply["execution_count"], shown))
    assert counts == [(1, 1), (1, 2), (1, 2), (2, 2), (3, 3)]
    history = kernel.request("history_request", {"hist_access_type": "tail", "n": 10})["content"]["history"]
    assert [(n, code) for _, n, code in history] == [(1, "1"), (2, "-- c"), (3, "2")]


def test_user_expressions(kernel):
    reply, _ = kernel.execute("a = 6", user_expressions={"good": "a * 7", "bad": "nothing.here"})
    assert reply["user_expressions"]["good"]["status"] == "ok"
    assert reply["user_expressions"]["good"]["data"]["text/plain"] == "42"
    assert reply["user_expressions"]["bad"]["status"] == "error"
    # as ipykernel: also those of a silent cell, and none of one that failed
    assert kernel.execute("a = 7", silent=True, user_expressions={"good": "a"})[0]["user_expressions"]["good"]["data"]["text/plain"] == "7"
    assert kernel.execute("error('x')", user_expressions={"good": "a"})[0].get("user_expressions", {}) == {}
    assert reply["user_expressions"]["bad"]["evalue"]


def test_stop_on_error_aborts_what_is_queued(kernel):
    side = kernel.request("create_subshell_request", {}, channel=kernel.control)["content"]["subshell_id"]
    ids = [kernel.send("execute_request", {"code": c}) for c in ("while not queued do end error('x')", "ran = 1", "ran = 2")]
    # it comes after them on the same socket: when it runs, they are there
    kernel.send("execute_request", {"code": "queued = true"}, subshell=side)
    replies = {}
    while len(replies) < 4:
        r = kernel.receive()
        replies[r["parent"]] = r["content"]["status"]
    assert [replies[i] for i in ids] == ["error", "aborted", "aborted"]
    assert types(kernel.until_idle(ids[2])) == ["status", "status"]
    assert kernel.execute("return ran")[1][-1]["content"]["data"]["text/plain"] == "nil"


def test_a_cell_sent_after_the_error_was_seen_runs(kernel):
    for _ in range(20):
        assert kernel.execute("error('x')")[0]["status"] == "error"
        assert kernel.execute("1")[0]["status"] == "ok"


def test_stop_on_error_false_goes_on(kernel):
    ids = [kernel.send("execute_request", {"code": c, "stop_on_error": False}) for c in ("error('x')", "1")]
    replies = {}
    while len(replies) < 2:
        r = kernel.receive()
        replies[r["parent"]] = r["content"]["status"]
    assert [replies[i] for i in ids] == ["error", "ok"]


def test_questions_in_the_queue_are_answered_after_an_error(kernel):
    kernel.send("execute_request", {"code": "error('x')"})
    asked = kernel.send("is_complete_request", {"code": "x = 1"})
    while True:
        r = kernel.receive()
        if r["parent"] == asked:
            break
    assert r["content"]["status"] == "complete"


# ---- output

def test_a_hundred_thousand_lines_none_lost_and_idle_last(kernel):
    msg_id = kernel.send("execute_request", {"code": "for i = 1, 100000 do print('line', i) end"})
    messages = kernel.until_idle(msg_id, timeout=30)
    assert text(messages) == "".join(f"line\t{i}\n" for i in range(1, 100001))
    time.sleep(0.2)
    while kernel.iopub.poll(0):
        assert kernel.receive(kernel.iopub)["parent"] != msg_id, "output after idle"


def test_output_order_of_both_streams_and_displays(kernel):
    _, messages = kernel.execute("print('1') io.stderr:write('2\\n') print('3') display('4') print('5')")
    seen = [m["content"]["text"].strip() if m["type"] == "stream" else m["content"]["data"]["text/plain"].strip("'\"") for m in messages]
    assert [s for s in seen if s] == ["1", "2", "3", "4", "5"]


def test_output_arrives_while_the_cell_runs(kernel):
    msg_id = kernel.send("execute_request", {"code": "print('early') local t = os.time() + 3 while os.time() < t do end"})
    start = time.monotonic()
    while True:
        m = kernel.receive(kernel.iopub)
        if m["parent"] == msg_id and m["type"] == "stream":
            break
    assert time.monotonic() - start < 1.5
    kernel.request("interrupt_request", {}, channel=kernel.control)
    kernel.until_idle(msg_id)


def test_text_of_all_kinds_comes_through(kernel):
    _, messages = kernel.execute(r"print('é\u{1F319} \"quoted\" back\\slash tab\t nul' .. '\0' .. 'end')")
    assert text(messages) == 'é\U0001F319 "quoted" back\\slash tab\t nul\0end\n'


def test_a_character_that_comes_in_parts_is_whole(kernel, tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("x" + "é" * 100000)
    assert text(kernel.execute("for c in ('é\U0001F319'):gmatch('.') do io.write(c) end")[1]) == "é\U0001F319"
    for code in (f"!cat {file}", f"%%bash\ncat {file}", f"os.execute('cat {file}')"):
        assert text(kernel.execute(code)[1]).strip() == file.read_text()
    assert text(kernel.execute("io.write('a\\xf0') print('b') io.write('\\xc3')")[1]) == "a\ufffdb\n\ufffd"


def test_large_output_and_memory_given_back(kernel):
    _, messages = kernel.execute("io.write(('é'):rep(4000000))", timeout=30)
    assert text(messages) == "é" * 4000000


def test_display_update_by_id(kernel):
    _, messages = kernel.execute("h = display('first', {display_id = 'd1'})")
    assert messages[0]["type"] == "display_data" and messages[0]["content"]["transient"]["display_id"] == "d1"
    _, messages = kernel.execute("h:update('second') update_display('third', {display_id = 'd1'})")
    assert messages[0]["type"] == "update_display_data" and messages[0]["content"]["transient"]["display_id"] == "d1"
    assert "second" in messages[0]["content"]["data"]["text/plain"] and "third" in messages[1]["content"]["data"]["text/plain"]


def test_clear_output(kernel):
    assert kernel.execute("clear_output(true)")[1][0]["content"] == {"wait": True}


def test_a_client_that_does_not_read_cannot_make_the_kernel_grow(home):
    with RawKernel([LACUS, "kernel", "-f", "{connection_file}"]) as k:
        stalled = k.context.socket(zmq.SUB)
        stalled.setsockopt(zmq.RCVHWM, 1)
        stalled.setsockopt(zmq.RCVBUF, 4096)
        stalled.setsockopt(zmq.SUBSCRIBE, b"")
        stalled.connect(f"tcp://127.0.0.1:{k.ports['iopub_port']}")
        k.iopub.close()
        time.sleep(0.2)
        k.send("execute_request", {"code": "local s = ('x'):rep(1000000) for i = 1, 1000 do io.write(s) end"})
        time.sleep(3)
        with open(f"/proc/{k.process.pid}/status") as f:
            resident = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        assert resident < 400_000, f"{resident} kB for output that nobody reads"
        # the cell waits for its reader and can be interrupted while it does
        assert k.request("interrupt_request", {}, channel=k.control)["content"]["status"] == "ok"
        assert k.receive(timeout=10)["content"]["status"] == "error"
        k.iopub = stalled


# ---- interrupt

@pytest.mark.parametrize("code", [
    "while true do end",
    "pcall(function() while true do end end) while true do pcall(function() while true do end end) end",
    "coroutine.wrap(function() while true do end end)()",
])
def test_interrupt_by_message(kernel, code):
    msg_id = kernel.send("execute_request", {"code": code})
    kernel.until(msg_id)
    time.sleep(0.1)
    assert kernel.request("interrupt_request", {}, channel=kernel.control)["content"]["status"] == "ok"
    reply = kernel.receive(timeout=5)
    assert reply["parent"] == msg_id
    assert reply["content"]["status"] == "error" and reply["content"]["ename"] == "KeyboardInterrupt"
    assert kernel.execute("1 + 1")[0]["status"] == "ok"


def test_an_error_value_that_never_gets_its_text_is_told(kernel):
    msg_id = kernel.send("execute_request", {"code": "x = 1\nerror(setmetatable({}, {__tostring = function() print(1) while true do pcall(function() while true do end end) end end}))"})
    kernel.until(msg_id, kind="stream")
    kernel.request("interrupt_request", {}, channel=kernel.control)
    reply = kernel.receive(timeout=5)
    assert reply["parent"] == msg_id and reply["content"]["evalue"] == "the error value could not be shown: interrupted in its __tostring"
    assert "line 2" in reply["content"]["traceback"][0]
    reply = kernel.execute("error(setmetatable({}, {__tostring = function() error('inner') end}))")[0]
    assert reply["evalue"] == "the error value could not be shown: its __tostring failed: Cell In[2]:1: inner"


def test_a_password_that_would_be_seen_is_not_asked_for(kernel):
    reply = kernel.execute("input('password? ', true)", allow_stdin=True)[0]
    assert reply["status"] == "error" and "table expected" in reply["evalue"]


def test_interrupt_by_signal(kernel):
    kernel.until(kernel.send("execute_request", {"code": "while true do end"}))
    kernel.process.send_signal(signal.SIGINT)
    assert kernel.receive(timeout=5)["content"]["ename"] == "KeyboardInterrupt"


def test_an_interrupt_right_behind_the_input_is_for_that_cell(kernel):
    for _ in range(30):
        kernel.until(kernel.send("execute_request", {"code": "while true do end"}))
        kernel.send("interrupt_request", {}, channel=kernel.control)
        assert kernel.receive(timeout=5)["content"]["ename"] == "KeyboardInterrupt"


def test_interrupt_while_idle_leaves_the_next_cell_alone(kernel):
    for _ in range(5):
        kernel.process.send_signal(signal.SIGINT)
        kernel.request("interrupt_request", {}, channel=kernel.control)
        reply, messages = kernel.execute("local n = 0 for i = 1, 1e6 do n = n + i end return n")
        assert reply["status"] == "ok" and messages[-1]["type"] == "execute_result"


# ---- stdin

def test_question_and_answer(kernel):
    msg_id = kernel.send("execute_request", {"code": "name = io.read()", "allow_stdin": True})
    question = kernel.receive(kernel.stdin)
    assert question["type"] == "input_request" and question["parent"] == msg_id
    assert question["content"]["password"] is False
    kernel.send("input_reply", {"value": "Lüna"}, channel=kernel.stdin)
    assert kernel.receive()["content"]["status"] == "ok"
    assert "Lüna" in kernel.execute("name")[1][0]["content"]["data"]["text/plain"]


def test_no_question_without_allow_stdin(kernel):
    reply, _ = kernel.execute("io.read()", allow_stdin=False)
    assert reply["status"] == "error"


def test_question_can_be_interrupted(kernel):
    kernel.send("execute_request", {"code": "io.read()", "allow_stdin": True})
    question = kernel.receive(kernel.stdin)
    kernel.request("interrupt_request", {}, channel=kernel.control)
    assert kernel.receive(timeout=5)["content"]["ename"] == "KeyboardInterrupt"
    kernel.send("input_reply", {"value": "late"}, channel=kernel.stdin, parent=question["header"])
    kernel.send("execute_request", {"code": "v = io.read()", "allow_stdin": True})
    again = kernel.receive(kernel.stdin)
    kernel.send("input_reply", {"value": "later still"}, channel=kernel.stdin, parent=question["header"])
    kernel.send("input_reply", {"value": "in time"}, channel=kernel.stdin, parent=again["header"])
    kernel.receive()
    assert "in time" in kernel.execute("v")[1][0]["content"]["data"]["text/plain"]


# ---- other requests

def test_kernel_info(kernel):
    for channel in (kernel.shell, kernel.control):
        info = kernel.request("kernel_info_request", {}, channel=channel)["content"]
        assert info["protocol_version"] == "5.5" and info["implementation"] == "lacus"
        assert info["language_info"]["name"] == "lua" and info["language_info"]["file_extension"] == ".lua"
        assert info["language_info"]["pygments_lexer"] == "lua"


def test_connect(kernel):
    for channel in (kernel.shell, kernel.control):
        content = kernel.request("connect_request", {}, channel=channel)["content"]
        assert {k: content[k] for k in kernel.ports} == kernel.ports


def test_unknown_requests_get_an_error(kernel):
    for channel in (kernel.shell, kernel.control):
        reply = kernel.request("frobnicate_request", {"a": 1}, channel=channel)
        assert reply["type"] == "frobnicate_reply" and reply["content"]["status"] == "error"
        assert reply["content"]["ename"] == "UnsupportedError" and "'frobnicate_request'" in reply["content"]["evalue"]


def test_requests_without_their_members_get_an_error(kernel):
    for kind in ("execute_request", "complete_request", "inspect_request", "is_complete_request"):
        for content in ({}, {"code": 7}):
            assert kernel.request(kind, content)["content"]["status"] == "error"
    assert kernel.execute("1")[0]["status"] == "ok"


def test_complete_and_inspect_with_a_cursor_in_the_middle(kernel):
    kernel.execute("moonlight = 1")
    reply = kernel.request("complete_request", {"code": "é = moonl + 1", "cursor_pos": 9})["content"]
    assert reply["matches"] == ["moonlight"] and (reply["cursor_start"], reply["cursor_end"]) == (4, 9)
    reply = kernel.request("inspect_request", {"code": "string.rep", "cursor_pos": 10, "detail_level": 0})["content"]
    assert reply["found"] and reply["data"]["text/plain"]


def test_control_answers_while_a_cell_runs(kernel):
    msg_id = kernel.send("execute_request", {"code": "while true do end"})
    kernel.until(msg_id)
    start = time.monotonic()
    assert kernel.request("kernel_info_request", {}, channel=kernel.control)["content"]["status"] == "ok"
    heartbeat = kernel.connect(zmq.REQ, "hb_port")
    heartbeat.send(b"ping")
    assert heartbeat.poll(2000) and heartbeat.recv() == b"ping"
    assert time.monotonic() - start < 2
    kernel.request("interrupt_request", {}, channel=kernel.control)
    kernel.until_idle(msg_id)


def test_iopub_welcome(kernel):
    late = kernel.context.socket(zmq.SUB)
    late.setsockopt(zmq.SUBSCRIBE, b"")
    late.connect(f"tcp://127.0.0.1:{kernel.ports['iopub_port']}")
    welcome = kernel.receive(late)
    assert welcome["type"] == "iopub_welcome" and welcome["content"] == {"subscription": ""}
    late.close()


# ---- comms

def test_comm_to_an_unknown_target_is_closed(kernel):
    msg_id = kernel.send("comm_open", {"comm_id": "c1", "target_name": "nobody", "data": {}})
    messages = kernel.until_idle(msg_id)
    assert types(messages) == ["status", "comm_close", "status"]
    assert messages[1]["content"]["comm_id"] == "c1"
    assert kernel.request("comm_info_request", {})["content"]["comms"] == {}


# ---- what must not stop the kernel

def test_bad_frames_are_ignored(kernel):
    key, kernel.key = kernel.key, b"wrong key"
    kernel.send("execute_request", {"code": "owned = 1"})
    kernel.key = key
    _, good = kernel.frames("execute_request", {"code": "owned = 2"})
    kernel.shell.send_multipart(good[:4])
    kernel.shell.send_multipart([b"<IDS|MSG>"])
    kernel.shell.send_multipart([b""])
    kernel.shell.send_multipart([b"no delimiter"] * 50)
    kernel.shell.send_multipart([b"<IDS|MSG>", b"not hex at all", *good[2:]])
    kernel.shell.send_multipart([b"<IDS|MSG>", b"\xff" * 64, *good[2:]])
    for bad in (b"", b"{", b"[]", b"\xff\xff", b"null", b'{"msg_type": 3}', b'{"msg_type": ""}'):
        for n, channel in enumerate((kernel.shell, kernel.control, kernel.stdin)):
            parts = [bad, b"{}", b"{}", b'{"n": %d}' % n]
            channel.send_multipart([b"<IDS|MSG>", kernel.sign(parts), *parts])
    reply, messages = kernel.execute("owned")
    assert messages[0]["content"]["data"]["text/plain"] == "nil"
    assert not kernel.shell.poll(200), "an unsigned message was answered"


def test_null_is_as_good_as_nothing(kernel):
    """As ipykernel takes it from clients that have no parent and no metadata; it never answers a cell with null metadata."""
    for msg_type, content in (("kernel_info_request", b"null"), ("comm_info_request", b"null"), ("execute_request", b'{"code": "6 * 7"}')):
        for parent, metadata in ((b"null", b"{}"), (b"{}", b"null"), (b"null", b"null")):
            msg_id, frames = kernel.frames(msg_type, {})
            parts = [frames[2], parent, metadata, content]
            kernel.shell.send_multipart([b"<IDS|MSG>", kernel.sign(parts), *parts])
            reply = kernel.receive()
            assert reply["parent"] == msg_id and reply["content"]["status"] == "ok", reply
    _, frames = kernel.frames("execute_request", None)
    kernel.shell.send_multipart(frames)
    assert "no text 'code'" in kernel.receive()["content"]["evalue"]


def test_signed_nonsense_is_answered_with_an_error(kernel):
    for content in (b"{", b"[1]", b"\xff", b'{"code":' + b"[" * 5000 + b"]" * 5000 + b"}"):
        msg_id, frames = kernel.frames("execute_request", {})
        parts = [*frames[2:5], content]
        kernel.shell.send_multipart([b"<IDS|MSG>", kernel.sign(parts), *parts])
        reply = kernel.receive()
        assert reply["parent"] == msg_id and reply["content"]["status"] == "error"


def test_a_message_played_again_is_ignored(kernel):
    msg_id, frames = kernel.frames("execute_request", {"code": "count = (count or 0) + 1"})
    kernel.shell.send_multipart(frames)
    kernel.shell.send_multipart(frames)
    kernel.until_idle(msg_id)
    assert kernel.execute("count")[1][0]["content"]["data"]["text/plain"] == "1"


def test_too_many_frames_are_ignored(kernel):
    _, frames = kernel.frames("execute_request", {"code": "owned = 1"}, buffers=[b"x"] * 5000)
    kernel.shell.send_multipart(frames)
    assert kernel.execute("owned")[1][0]["content"]["data"]["text/plain"] == "nil"


def test_an_oversized_frame_costs_the_client_its_connection_only(kernel):
    attacker = kernel.connect(zmq.DEALER, "shell_port", identity=b"attacker")
    attacker.send_multipart([b"<IDS|MSG>", b"", b"{}", b"{}", b"{}", b"x" * (257 << 20)], copy=False)
    time.sleep(1)
    assert kernel.execute("1 + 1")[0]["status"] == "ok"
    attacker.close()


def test_garbage_on_every_port(kernel):
    import socket
    for port in kernel.ports.values():
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(os.urandom(4096))
    assert kernel.execute("1 + 1")[0]["status"] == "ok"


def test_clients_that_come_and_go(kernel):
    for i in range(50):
        s = kernel.connect(zmq.DEALER, "shell_port", identity=f"c{i}".encode())
        kernel.send("execute_request", {"code": "return 1"}, channel=s)
        s.close()
    assert kernel.execute("1 + 1")[0]["status"] == "ok"


# ---- the end

def test_shutdown_on_control(kernel):
    reply = kernel.request("shutdown_request", {"restart": False}, channel=kernel.control)
    assert reply["content"] == {"status": "ok", "restart": False}
    assert kernel.process.wait(5) == 0


@pytest.mark.parametrize("first", ["control", "shell"])
def test_a_second_shutdown_is_answered_while_the_first_goes_on(kernel, first):
    kernel.execute("t = setmetatable({}, {__gc = function() os.execute('sleep 0.5') end})")
    one = kernel.request("shutdown_request", {"restart": False}, channel=getattr(kernel, first))
    two = [kernel.request("shutdown_request", {"restart": True}, channel=kernel.control) for _ in range(2)]
    assert one["content"] == {"status": "ok", "restart": False} and [r["content"]["restart"] for r in two] == [True, True]
    assert kernel.process.wait(3) == 0


def test_shutdown_on_both_channels_is_answered_on_both(kernel):
    kernel.execute("t = setmetatable({}, {__gc = function() os.execute('sleep 0.5') end})")
    kernel.until(kernel.send("execute_request", {"code": "while true do end"}))
    assert kernel.request("shutdown_request", {"restart": False}, channel=kernel.control)["content"]["restart"] is False
    assert kernel.request("shutdown_request", {"restart": True})["content"]["restart"] is True
    assert kernel.process.wait(3) == 0


def test_a_finalizer_without_an_end_does_not_keep_the_kernel(home):
    with RawKernel([LACUS, "kernel", "-f", "{connection_file}"], output=subprocess.PIPE) as k:
        k.execute("t = setmetatable({}, {__gc = function() while true do end end})")
        k.request("shutdown_request", {"restart": False}, channel=k.control)
        assert k.process.wait(2.9) == 0
        assert b"a finalizer (__gc, Cell In[1], line 1)" in k.process.stdout.read() + k.process.stderr.read()


def test_shutdown_on_shell(kernel):
    assert kernel.request("shutdown_request", {"restart": True})["content"]["restart"] is True
    assert kernel.process.wait(5) == 0


def test_shutdown_while_a_cell_runs(kernel):
    kernel.until(kernel.send("execute_request", {"code": "while true do end"}))
    kernel.request("shutdown_request", {"restart": False}, channel=kernel.control)
    assert kernel.process.wait(5) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_it_leaves_a_note(kernel, home, number):
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("SKIP: whoever started the tests ignores this signal (nohup), and so does the kernel")
    kernel.process.send_signal(number)
    assert kernel.process.wait(5) == 0
    assert number.name in (home / "lacus" / "log" / "kernel.log").read_text()


def test_a_crash_leaves_a_note(kernel, home):
    kernel.process.send_signal(signal.SIGSEGV)
    assert kernel.process.wait(5) == -signal.SIGSEGV
    assert "crashed with signal 11" in (home / "lacus" / "log" / "kernel.log").read_text()


@pytest.mark.parametrize("before_it_starts", [False, True])
def test_the_end_of_the_parent_is_the_end_of_the_kernel(home, before_it_starts):
    parent = subprocess.Popen(["sleep", "100"])
    os.environ["JPY_PARENT_PID"] = str(parent.pid)
    try:
        if before_it_starts:
            parent.kill()
            parent.wait()
        with RawKernel([LACUS, "kernel", "-f", "{connection_file}"], wait=not before_it_starts) as k:
            if not before_it_starts:
                parent.kill()
                parent.wait()
            assert k.process.wait(10) == 0
    finally:
        del os.environ["JPY_PARENT_PID"]


@pytest.mark.parametrize("content, says", [
    (None, "cannot"), ("", "not JSON"), ("[]", "not a JSON object"), ('{"ip": "127.0.0.1"}', "'key'"),
    ('{"ip": "127.0.0.1", "key": "", "shell_port": -1}', "'shell_port'"),
])
def test_a_bad_connection_file_is_named(home, content, says):
    path = home / "connection.json"
    if content is not None:
        path.write_text(content)
    done = subprocess.run([LACUS, "kernel", "-f", str(path)], capture_output=True, text=True, timeout=10)
    assert done.returncode != 0
    assert says in done.stderr and str(path) in done.stderr
    assert says in (home / "lacus" / "log" / "kernel.log").read_text()


def test_words_that_clients_add_are_left_alone(home):
    with RawKernel([LACUS, "kernel", "-f", "{connection_file}", "script.lua", "--of=theirs"]) as k:
        assert k.process.poll() is None


def test_a_port_that_is_taken_is_named(home, kernel):
    info = json.load(open(kernel.file))
    path = home / "second.json"
    path.write_text(json.dumps(info))
    done = subprocess.run([LACUS, "kernel", "-f", str(path)], capture_output=True, text=True, timeout=10)
    assert done.returncode != 0 and str(info["shell_port"]) in done.stderr


def test_many_clients_at_once(kernel):
    answers = []

    def client(i):
        context = zmq.Context()
        s = context.socket(zmq.DEALER)
        s.setsockopt(zmq.LINGER, 0)
        s.connect(f"tcp://127.0.0.1:{kernel.ports['shell_port']}")
        for n in range(20):
            kernel.send("execute_request", {"code": f"return {i} * 1000 + {n}"}, channel=s)
            answers.append(kernel.receive(s)["content"]["status"])
        context.destroy(linger=0)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == ["ok"] * 100


def test_what_a_child_prints_between_cells_is_shown_at_once(kernel):
    msg_id = kernel.send("execute_request", {"code": "os.execute('(sleep 1; echo later) &')"})
    kernel.receive()
    kernel.until_idle(msg_id)
    late = kernel.receive(kernel.iopub, timeout=5)  # nothing more is asked
    assert (late["type"], late["content"], late["parent"]) == ("stream", {"name": "stdout", "text": "later\n"}, msg_id)


@pytest.mark.parametrize("code, want", [
    ("spark.catalog:listV", ["listViews"]), ("os.getenv('LACUS_HO", ["LACUS_HOME"]), ("%env LACUS_HO", ["LACUS_HOME"]),
    ("require 'jso", ["json"]), ("%store myvar", ["myvariable"]), ("dbutils.secrets.get('pro", ["prod"]), ("dbutils.secrets.list('pro", ["prod"]),
    ("dbutils.secrets.get('prod', '", ["hub", "token"]), ("dbutils.secrets.get('prod', 'to", ["token"]), ("dbutils.secrets.get('none', '", [])])
def test_completion_knows_names_of_the_system_and_of_scopes(kernel, code, want):
    kernel.execute("myvariable = 1 dbutils.secrets.createScope('prod') for _, key in ipairs{'token', 'hub'} do dbutils.secrets.put('prod', key, 'a long value') end")
    assert kernel.request("complete_request", {"code": code, "cursor_pos": len(code)})["content"]["matches"] == want

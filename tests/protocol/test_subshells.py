"""Subshells (JEP 91), and what else is served while a cell runs: comm messages and questions."""
import time

import pytest
from kernels import home, kernel, text  # noqa: F401

OBSERVED = "s = widgets.IntSlider{value = 1, max = 1000} s:observe(function(c) seen = s.value print('seen', s.value) end, 'value') return s"


def create(kernel):
    reply = kernel.request("create_subshell_request", {}, channel=kernel.control)
    assert reply["type"] == "create_subshell_reply" and reply["content"]["status"] == "ok"
    return reply["content"]["subshell_id"]


def send(kernel, subshell, msg_type="execute_request", **content):
    return kernel.send(msg_type, content, subshell=subshell)


def reply_to(kernel, msg_id, timeout=10):
    while True:
        r = kernel.receive(timeout=timeout)
        if r["parent"] == msg_id:
            return r["content"]


def value(kernel, code):
    return kernel.execute(code)[1][0]["content"]["data"]["text/plain"]


def slider(kernel):
    """The comm of a new slider."""
    msg_id = kernel.send("execute_request", {"code": OBSERVED})
    return next(m["content"]["comm_id"] for m in kernel.until_idle(msg_id) if m["type"] == "comm_open" and m["content"]["data"]["state"].get("_model_name") == "IntSliderModel")


def move(kernel, comm, to, **more):
    return kernel.send("comm_msg", {"comm_id": comm, "data": {"method": "update", "state": {"value": to}, "buffer_paths": []}}, **more)


def until_stream(kernel):
    """Until something is printed."""
    while kernel.receive(kernel.iopub)["type"] != "stream":
        pass


def test_create_list_delete(kernel):
    assert "kernel subshells" in kernel.request("kernel_info_request", {})["content"]["supported_features"]
    a, b = create(kernel), create(kernel)
    assert a != b
    assert kernel.request("list_subshell_request", {}, channel=kernel.control)["content"] == {"status": "ok", "subshell_id": [a, b]}
    assert kernel.request("delete_subshell_request", {"subshell_id": a}, channel=kernel.control)["content"] == {"status": "ok"}
    assert kernel.request("list_subshell_request", {}, channel=kernel.control)["content"]["subshell_id"] == [b]
    for bad in ({"subshell_id": a}, {"subshell_id": 7}, {}):
        assert kernel.request("delete_subshell_request", bad, channel=kernel.control)["content"]["status"] == "error"
    reply = reply_to(kernel, send(kernel, a, code="1"))
    assert reply["status"] == "error" and a in reply["evalue"]
    assert reply_to(kernel, send(kernel, b, code="1"))["status"] == "ok"


def test_there_is_an_end_of_subshells(kernel):
    replies = [kernel.request("create_subshell_request", {}, channel=kernel.control)["content"] for _ in range(300)]
    assert {r["status"] for r in replies} == {"ok", "error"} and kernel.execute("1")[0]["status"] == "ok"


@pytest.mark.parametrize("busy", [
    "while not stop do end",
    "coroutine.wrap(function() while not stop do pcall(function() for i = 1, 1000 do end end) end end)()",
    "table.sort({3, 2, 1}, function(a, b) while not stop do end return a < b end)",
    "while not stop do sleep(0.05) end",
    "sleep(0.5) while not stop do sleep(5) end",
])
def test_a_second_cell_runs_meanwhile(kernel, busy):
    shell = create(kernel)
    first = kernel.send("execute_request", {"code": f"print('one') {busy} print('two') return 'first'"})
    time.sleep(0.2)
    began = time.monotonic()
    second = send(kernel, shell, code="print('between') for i = 1, 100000 do end stop = true return 'second'")
    assert reply_to(kernel, second)["status"] == "ok"
    assert time.monotonic() - began < 2
    messages = kernel.until_idle(first)
    assert text(messages) == "one\ntwo\n"
    assert [m["content"]["data"]["text/plain"] for m in messages if m["type"] == "execute_result"] == ["first"]
    counts = [m["content"]["execution_count"] for m in messages if m["type"] in ("execute_input", "execute_result")]
    assert counts == [1, 1]


def test_what_belongs_to_which_cell(kernel):
    """Output, results and errors of cells that take turns carry their own parents; each ends with its idle."""
    shells = [None, create(kernel), create(kernel)]
    ids = [send(kernel, s, code=f"for i = 1, 400 do print({n}, i) for j = 1, 20000 do end end error('end of {n}')") for n, s in enumerate(shells)]
    by = {i: [] for i in ids}
    idle = set()
    while idle != set(ids):
        m = kernel.receive(kernel.iopub, 20)
        if m["parent"] in by:
            assert m["parent"] not in idle, "something came after idle"
            by[m["parent"]].append(m)
            if m["type"] == "status" and m["content"]["execution_state"] == "idle":
                idle.add(m["parent"])
    for n, i in enumerate(ids):
        assert text(by[i]) == "".join(f"{n}\t{j}\n" for j in range(1, 401))
        assert [m["content"]["evalue"] for m in by[i] if m["type"] == "error"][0].endswith(f"end of {n}")
    assert {reply["content"]["status"] for reply in (kernel.receive() for _ in ids)} == {"error"}


def test_a_failure_aborts_its_own_shell_only(kernel):
    shell = create(kernel)
    main = [kernel.send("execute_request", {"code": c}) for c in ("local t = os.clock() + 0.3 while os.clock() < t do end", "return 1")]
    other = [send(kernel, shell, code=c) for c in ("error('x')", "ran = true")]
    status = {}
    while len(status) < 4:
        r = kernel.receive()
        status[r["parent"]] = r["content"]["status"]
    assert [status[i] for i in main + other] == ["ok", "ok", "error", "aborted"]


def test_one_interrupt_ends_both(kernel):
    shell = create(kernel)
    ids = [send(kernel, s, code="while true do end") for s in (None, shell)]
    kernel.until(*ids)
    kernel.request("interrupt_request", {}, channel=kernel.control)
    for i in ids:
        assert kernel.receive(timeout=5)["content"]["ename"] == "KeyboardInterrupt"
    assert kernel.execute("1 + 1")[0]["status"] == "ok"


def test_a_subshell_that_ends_while_its_cell_runs(kernel):
    shell = create(kernel)
    running = send(kernel, shell, code="while not stop do end return 'done'")
    kernel.until(running)
    assert kernel.request("delete_subshell_request", {"subshell_id": shell}, channel=kernel.control)["content"]["status"] == "ok"
    assert kernel.execute("stop = true")[0]["status"] == "ok"
    assert reply_to(kernel, running)["status"] == "ok"
    assert reply_to(kernel, send(kernel, shell, code="1"))["status"] == "error"


def test_questions_of_a_subshell_are_answered_meanwhile(kernel):
    shell = create(kernel)
    kernel.execute("moonlight = 1")
    main = kernel.send("execute_request", {"code": "while not stop do end"})
    kernel.until(main)
    assert kernel.request("complete_request", {"code": "moonl", "cursor_pos": 5}, subshell=shell)["content"]["matches"] == ["moonlight"]
    assert kernel.request("kernel_info_request", {}, subshell=shell)["content"]["status"] == "ok"
    send(kernel, shell, code="stop = true")
    kernel.until_idle(main)


def test_stdin_while_another_cell_asks(kernel):
    shell = create(kernel)
    main = kernel.send("execute_request", {"code": "name = input('name? ')", "allow_stdin": True})
    assert kernel.receive(kernel.stdin)["content"]["prompt"] == "name? "
    assert reply_to(kernel, send(kernel, shell, code="return 6 * 7"))["status"] == "ok"
    kernel.send("input_reply", {"value": "Luna"}, channel=kernel.stdin)
    assert reply_to(kernel, main)["status"] == "ok"
    assert value(kernel, "name") == "Luna"


def test_capture_in_one_cell_does_not_take_the_other_s_output(kernel):
    shell = create(kernel)
    main = kernel.send("execute_request", {"code": "%%capture kept\nprint('mine') while not stop do sleep(0.02) end print('too')"})
    kernel.until(main)
    time.sleep(0.1)
    second = send(kernel, shell, code="print('other')")
    assert text(kernel.until_idle(second)) == "other\n"
    send(kernel, shell, code="stop = true")
    assert text(kernel.until_idle(main)) == ""
    assert "mine" in value(kernel, "kept.stdout") and "other" not in value(kernel, "kept.stdout")


@pytest.mark.parametrize("busy", [
    "while not (seen == 7) do end",
    "while not (seen == 7) do sleep(0.01) end",
    "table.sort({3, 2, 1}, function(a, b) while not (seen == 7) do end return a < b end)",
])
def test_a_slider_moves_while_a_cell_runs(kernel, busy):
    comm = slider(kernel)
    cell = kernel.send("execute_request", {"code": f"{busy} return s.value"})
    kernel.until(cell)
    time.sleep(0.1)
    moved = move(kernel, comm, 7)
    handled, messages = kernel.until_all_idle(moved, cell)
    assert text(handled) == "seen\t7\n", "the handler's output belongs to the message that caused it"
    result = [m["content"]["data"]["text/plain"] for m in messages if m["type"] == "execute_result"]
    assert result == ["7"]


def test_the_kernel_says_busy_again_after_it_served_a_message(kernel):
    comm = slider(kernel)
    cell = kernel.send("execute_request", {"code": "while not stop do end"})
    kernel.until(cell)
    move(kernel, comm, 3)
    last = None
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        if kernel.iopub.poll(50):
            m = kernel.receive(kernel.iopub)
            last = (m["content"]["execution_state"], m["parent"]) if m["type"] == "status" else last
    assert last == ("busy", cell)
    kernel.request("interrupt_request", {}, channel=kernel.control)
    kernel.until_idle(cell)


def test_moves_are_handled_in_their_order(kernel):
    comm = slider(kernel)
    cell = kernel.send("execute_request", {"code": "order = {} s:observe(function() order[#order + 1] = s.value for i = 1, 300000 do end end, 'value') print('ready') "
                                                   "while #order < 20 do end return table.concat(order, ' ')"})
    until_stream(kernel)  # a cell may be left before its first instruction: then nobody would have observed the first moves
    for to in range(2, 22):
        move(kernel, comm, to)
    results = [m["content"]["data"]["text/plain"] for m in kernel.until_idle(cell) if m["type"] == "execute_result"]
    assert results == [" ".join(str(i) for i in range(2, 22))]


def test_shutdown_with_two_cells_running(kernel):
    shell = create(kernel)
    kernel.until(*[send(kernel, s, code="while true do pcall(function() while true do end end) end") for s in (None, shell)])
    kernel.request("shutdown_request", {"restart": False}, channel=kernel.control)
    assert kernel.process.wait(5) == 0


def test_questions_about_code_are_answered_while_a_cell_runs(kernel):
    kernel.execute("function moonrise(a) return a end moonlight = 1")
    cell = kernel.send("execute_request", {"code": "rows = 0 while not done do rows = rows + 1 end return 'over'"})
    kernel.until(cell)
    reply = kernel.request("complete_request", {"code": "moonr", "cursor_pos": 5}, timeout=5)
    assert reply["content"]["matches"] == ["moonrise"]
    reply = kernel.request("inspect_request", {"code": "moonrise", "cursor_pos": 3, "detail_level": 0})
    assert reply["content"]["found"] and "moonrise" in reply["content"]["data"]["text/plain"]
    assert kernel.request("is_complete_request", {"code": "for i = 1, 2 do"})["content"]["status"] == "incomplete"
    states = []
    while kernel.iopub.poll(200):
        m = kernel.receive(kernel.iopub)
        if m["type"] == "status":
            states.append((m["parent"] == cell, m["content"]["execution_state"]))
    assert states[-1] == (True, "busy")  # the cell goes on, and front ends are told so
    kernel.send("execute_request", {"code": "x = 1"})
    assert not kernel.shell.poll(200)  # a cell waits for its turn
    kernel.request("interrupt_request", {}, channel=kernel.control)
    assert reply_to(kernel, cell)["status"] == "error"


@pytest.mark.parametrize("busy", ["while true do end", "sleep(60)", "os.execute('sleep 60')", "io.read()"])
def test_a_client_that_comes_while_a_cell_runs_is_not_kept_waiting(kernel, busy):
    """What it asks at first: a reloaded page, a console that attaches."""
    kernel.execute("w = widgets.IntSlider{} return w")
    cell = kernel.send("execute_request", {"code": busy, "allow_stdin": True})
    kernel.until(cell)
    assert kernel.request("kernel_info_request", {}, timeout=5)["content"]["protocol_version"] == "5.5"
    if busy != "os.execute('sleep 60')":  # there the session waits in C: what is known of it cannot be asked
        assert kernel.request("comm_info_request", {}, timeout=5)["content"]["comms"]
        history = kernel.request("history_request", {"hist_access_type": "tail", "n": 1, "output": False, "raw": True}, timeout=5)
        assert history["content"]["history"][-1][2].startswith("w = widgets")
        assert kernel.request("connect_request", {}, timeout=5)["content"]["shell_port"] == kernel.ports["shell_port"]
    states = []
    while kernel.iopub.poll(200):
        m = kernel.receive(kernel.iopub)
        if m["type"] == "status":
            states.append((m["parent"] == cell, m["content"]["execution_state"]))
    assert states[-1] == (True, "busy")
    kernel.request("interrupt_request", {}, channel=kernel.control)
    assert reply_to(kernel, cell)["status"] == "error"
    assert kernel.until_idle(cell)[-1]["content"]["execution_state"] == "idle"


def test_many_cells_sleep_side_by_side(kernel):
    """They cost no stack and no turns while they sleep: 60 take as long as one."""
    shells = [create(kernel) for _ in range(60)]
    began = time.monotonic()
    ids = {send(kernel, s, code="for i = 1, 10 do sleep(0.05) end") for s in shells}
    main = kernel.send("execute_request", {"code": "return 1"})
    assert reply_to(kernel, main)["status"] == "ok" and time.monotonic() - began < 0.4
    while ids:
        r = kernel.receive()
        assert r["content"]["status"] == "ok", r["content"]
        ids.discard(r["parent"])
    assert time.monotonic() - began < 4, "one after the other they sleep for 30 s"


def test_an_interrupt_ends_all_that_sleep(kernel):
    ids = {send(kernel, s, code="sleep(1000)") for s in [None] + [create(kernel) for _ in range(20)]}
    kernel.until(*ids)
    kernel.request("interrupt_request", {}, channel=kernel.control)
    while ids:
        r = kernel.receive(timeout=5)
        assert r["content"]["ename"] == "KeyboardInterrupt"
        ids.discard(r["parent"])
    assert kernel.execute("return 1")[0]["status"] == "ok"


def test_cells_that_wait_inside_c_wait_for_each_other_before_the_stack_is_full(kernel):
    shells = [create(kernel) for _ in range(60)]
    ids = {send(kernel, s, code="table.sort({2, 1}, function(a, b) sleep(0.02) return a < b end)") for s in shells}
    while ids:
        r = kernel.receive(timeout=20)
        assert r["content"]["status"] == "ok", r["content"]
        ids.discard(r["parent"])

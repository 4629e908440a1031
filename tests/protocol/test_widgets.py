"""Widgets: the messages that ipywidgets' own front end would see, compared with what ipywidgets itself sends."""
import subprocess

import pytest
from kernels import LACUS, home, kernel, text  # noqa: F401

VIEW = "application/vnd.jupyter.widget-view+json"


def opened(messages):
    """comm_id → state of the widgets that these messages open."""
    return {m["content"]["comm_id"]: m["content"]["data"]["state"] for m in messages if m["type"] == "comm_open"}


def view(messages):
    data = next(m["content"]["data"] for m in messages if m["type"] in ("display_data", "execute_result"))
    return data[VIEW]["model_id"]


def show(kernel, code):
    """Runs code whose value is a widget; returns its model id and all states opened."""
    reply, messages = kernel.execute(code)
    assert reply["status"] == "ok", reply
    return view(messages), opened(messages)


def updates(messages, method="update"):
    return [m["content"]["data"]["state"] for m in messages if m["type"] == "comm_msg" and m["content"]["data"]["method"] == method]


def send(kernel, comm_id, data):
    return kernel.until_idle(kernel.send("comm_msg", {"comm_id": comm_id, "data": data}))


def normal(state):
    """A state as JSON has it, without what is an identity."""
    out = {}
    for key, value in state.items():
        if key in ("layout", "style"):
            value = "IPY_MODEL"
        out[key] = list(value) if isinstance(value, tuple) else value
    return out


def test_opening_carries_version_and_parts_first(kernel):
    _, messages = kernel.execute("widgets.IntSlider{}")
    opens = [m for m in messages if m["type"] == "comm_open"]
    assert [m["content"]["data"]["state"]["_model_name"] for m in opens] == ["LayoutModel", "SliderStyleModel", "IntSliderModel"]
    assert all(m["metadata"] == {"version": "2.1.0"} and m["content"]["target_name"] == "jupyter.widget" for m in opens)
    assert all(m["content"]["data"]["buffer_paths"] == [] for m in opens)
    assert messages[-1]["content"]["data"][VIEW]["version_major"] == 2
    assert messages[-1]["content"]["data"]["text/plain"] == "IntSlider(value=0)"


def test_assignment_reaches_the_front_end_once(kernel):
    show(kernel, "s = widgets.IntSlider{value = 7, max = 10} return s")
    _, messages = kernel.execute("s.value = 9 s.value = 9 s.description = 'n'")
    assert updates(messages) == [{"value": 9}, {"description": "n"}]


def test_front_end_update_is_echoed_seen_and_observed(kernel):
    model, _ = show(kernel, "s = widgets.IntSlider{max = 10} s:observe(function(c) print(c.name, c.old, c.new) end, 'value') return s")
    messages = send(kernel, model, {"method": "update", "state": {"value": 4}, "buffer_paths": []})
    assert updates(messages, "echo_update") == [{"value": 4}] and updates(messages) == []
    assert text(messages) == "value\t0\t4\n"
    assert kernel.execute("s.value")[1][0]["content"]["data"]["text/plain"] == "4"


def test_a_value_out_of_bounds_is_put_right(kernel):
    model, _ = show(kernel, "s = widgets.IntSlider{max = 10} return s")
    messages = send(kernel, model, {"method": "update", "state": {"value": 99}})
    assert updates(messages) == [{"value": 10}]
    messages = send(kernel, model, {"method": "update", "state": {"value": "text"}})
    assert updates(messages) == [{"value": 10}]


def test_a_bound_from_the_front_end_moves_the_value(kernel):
    model, _ = show(kernel, "s = widgets.IntSlider{} s:observe(function(c) print(c.name, c.old, c.new) end) return s")
    messages = send(kernel, model, {"method": "update", "state": {"min": 5}})
    assert updates(messages) == [{"value": 5}] and text(messages) == "min\t0\t5\nvalue\t0\t5\n"


def test_bounds_move_the_value(kernel):
    reply, messages = kernel.execute("s = widgets.IntSlider{min = 200, max = 300} return s.value, s.min, s.max")
    assert messages[0]["content"]["data"]["text/plain"] == "200\t200\t300"
    reply, _ = kernel.execute("s.min = 400")
    assert reply["status"] == "error" and "setting min > max" in reply["evalue"]


def test_request_state(kernel):
    model, states = show(kernel, "widgets.Text{value = 'x'}")
    messages = send(kernel, model, {"method": "request_state"})
    assert updates(messages) == [states[model]]


def test_button_click_runs_lua(kernel):
    model, _ = show(kernel, "n = 0 b = widgets.Button{description = 'go'} b:on_click(function(w) n = n + 1 print(w.description) end) return b")
    messages = send(kernel, model, {"method": "custom", "content": {"event": "click"}})
    assert text(messages) == "go\n"
    assert kernel.execute("n")[1][0]["content"]["data"]["text/plain"] == "1"


def test_an_error_in_a_handler_is_shown_and_the_kernel_lives(kernel):
    model, _ = show(kernel, "b = widgets.Button{on_click = function() error('in handler') end} return b")
    messages = send(kernel, model, {"method": "custom", "content": {"event": "click"}})
    errors = [m for m in messages if m["type"] == "error"]
    assert len(errors) == 1 and "in handler" in errors[0]["content"]["evalue"]
    assert kernel.execute("1 + 1")[0]["status"] == "ok"


def test_a_handler_that_never_ends_can_be_interrupted(kernel):
    model, _ = show(kernel, "b = widgets.Button{on_click = function() print('on') while true do end end} return b")
    msg_id = kernel.send("comm_msg", {"comm_id": model, "data": {"method": "custom", "content": {"event": "click"}}})
    kernel.until(msg_id, kind="stream")
    kernel.request("interrupt_request", {}, channel=kernel.control)
    assert any(m["type"] == "error" for m in kernel.until_idle(msg_id))
    assert kernel.execute("1 + 1")[0]["status"] == "ok"


def test_choices(kernel):
    model, states = show(kernel, "d = widgets.Dropdown{options = {{'one', 1}, {'two', 2}}, value = 2} d:observe(function(c) print(c.old, c.new) end, 'value') return d")
    assert states[model]["_options_labels"] == ["one", "two"] and states[model]["index"] == 1
    messages = send(kernel, model, {"method": "update", "state": {"index": 0}})
    assert text(messages) == "2\t1\n"
    _, messages = kernel.execute("return d.value, d.index, d.label")
    assert messages[0]["content"]["data"]["text/plain"] == "1\t1\tone"
    reply, _ = kernel.execute("d.value = 3")
    assert reply["status"] == "error" and "Invalid selection: value not found" in reply["evalue"]
    messages = send(kernel, model, {"method": "update", "state": {"index": 77}})
    assert updates(messages) == [{"index": 0}]


def test_several_choices(kernel):
    model, states = show(kernel, "m = widgets.SelectMultiple{options = {'a', 'b', 'c'}, value = {'c', 'a'}} return m")
    assert states[model]["index"] == [2, 0]
    send(kernel, model, {"method": "update", "state": {"index": [1]}})
    assert kernel.execute("return table.concat(m.value, ',')")[1][0]["content"]["data"]["text/plain"] == "b"


def test_boxes_open_their_children(kernel):
    model, states = show(kernel, "a = widgets.Label('x') box = widgets.VBox{a, widgets.HBox{widgets.Checkbox{}}} return box")
    assert [states[c[10:]]["_model_name"] for c in states[model]["children"]] == ["LabelModel", "HBoxModel"]
    _, messages = kernel.execute("box.children = {a, widgets.HTML('<b>y</b>')}")
    new = opened(messages)
    children = updates(messages)[-1]["children"]
    assert new[children[1][10:]]["value"] == "<b>y</b>"


def test_output_gathers_by_message_id(kernel):
    model, _ = show(kernel, "o = widgets.Output{} return o")
    msg_id = kernel.send("execute_request", {"code": "o:capture(function() print('inside') end) print('outside')"})
    messages = kernel.until_idle(msg_id)
    kinds = [(m["content"]["data"]["state"] if m["type"] == "comm_msg" else m["content"].get("text")) for m in messages if m["type"] in ("comm_msg", "stream")]
    assert kinds == [{"msg_id": msg_id}, "inside\n", {"msg_id": ""}, "outside\n"]
    _, messages = kernel.execute("o:capture(function() error('x') end)")
    assert updates(messages)[-1] == {"msg_id": ""}


def comms_of(kernel):
    return set(kernel.request("comm_info_request", {"target_name": "jupyter.widget"})["content"]["comms"])


def closed(messages):
    return [m["content"]["comm_id"] for m in messages if m["type"] == "comm_close"]


def test_closing_takes_layout_and_style_along(kernel):
    model, states = show(kernel, "w = widgets.IntText{} return w")
    assert comms_of(kernel) == set(states)
    _, messages = kernel.execute("w:close()")
    assert closed(messages)[0] == model and set(closed(messages)) == set(states) and comms_of(kernel) == set()
    assert kernel.execute("w.value = 3")[0]["status"] == "ok"
    again, states = show(kernel, "return w")
    assert again == model and len(states) == 3 and states[model]["value"] == 3


def test_a_shared_layout_stays_until_nobody_has_it(kernel):
    kernel.execute("a, b = widgets.IntText{}, widgets.IntText{} b.layout = a.layout display(a) display(b)")
    assert len(comms_of(kernel)) == 5
    assert len(closed(kernel.execute("a:close()")[1])) == 2
    assert len(closed(kernel.execute("b:close()")[1])) == 3 and comms_of(kernel) == set()


def test_a_front_end_that_closes_a_widget_hears_of_its_parts(kernel):
    model, states = show(kernel, "w = widgets.IntText{} return w")
    messages = kernel.until_idle(kernel.send("comm_close", {"comm_id": model, "data": {}}))
    assert set(closed(messages)) == set(states) - {model} and comms_of(kernel) == set()


def test_close_all(kernel):
    kernel.execute("box = widgets.VBox{widgets.IntSlider{}, widgets.Text{}} display(box) dbutils.widgets.text('n', '5')")
    open_now = comms_of(kernel)
    reply, messages = kernel.execute("widgets.close_all()")
    assert reply["status"] == "ok" and sorted(closed(messages)) == sorted(open_now) and len(open_now) > 8
    assert comms_of(kernel) == set()
    assert kernel.execute("return dbutils.widgets.get('n')")[1][0]["content"]["data"]["text/plain"] == "5"


# ---- widgets that the front end makes

def open_widget(kernel, comm_id, state, module="@jupyter-widgets/controls", **data):
    state = dict({"_model_module": module, "_model_module_version": "2.0.0"}, **state)
    return kernel.until_idle(kernel.send("comm_open", {"comm_id": comm_id, "target_name": "jupyter.widget", "data": dict({"state": state, "buffer_paths": []}, **data)},
                                         metadata={"version": "2.1.0"}))


def test_a_front_end_opens_a_widget_as_its_manager_does(kernel):
    """What the manager of ipywidgets sends in new_widget: names alone, or a state; the id is a UUID with dashes."""
    slider, layout = "8a0e34a4-0b3c-4a2f-9d0a-7c1d2c3b4a5f", "11111111-0b3c-4a2f-9d0a-7c1d2c3b4a5f"
    kernel.execute("widgets")
    assert not closed(open_widget(kernel, layout, {"_model_name": "LayoutModel", "width": "50%"}, "@jupyter-widgets/base"))
    messages = open_widget(kernel, slider, {"_model_name": "IntSliderModel", "min": 200, "max": 300, "value": 250, "layout": "IPY_MODEL_" + layout})
    assert not closed(messages) and slider in comms_of(kernel)
    style, = opened(messages).items()
    assert style[1]["_model_name"] == "SliderStyleModel" and updates(messages) == [{"style": "IPY_MODEL_" + style[0]}]
    reply, messages = kernel.execute(f"s = widgets.all()['{slider}'] s:observe(function(c) print(c.name, c.old, c.new) end) return s.value, s.max, s.layout.width")
    assert messages[0]["content"]["data"]["text/plain"] == "250\t300\t50%"
    assert text(send(kernel, slider, {"method": "update", "state": {"value": 260}})) == "value\t250\t260\n"
    assert updates(kernel.execute("s.value = 270")[1]) == [{"value": 270}]
    assert set(closed(kernel.execute("s:close()")[1])) == {slider, layout, style[0]}


def test_a_choice_and_a_box_of_the_front_end(kernel):
    kernel.execute("widgets")
    open_widget(kernel, "d", {"_model_name": "DropdownModel", "_options_labels": ["moon", "lake"], "index": 1})
    messages = open_widget(kernel, "b", {"_model_name": "VBoxModel", "children": ["IPY_MODEL_d"]})
    assert not closed(messages)
    _, messages = kernel.execute("local all = widgets.all() return all.d.value, all.b.children[1] == all.d")
    assert messages[0]["content"]["data"]["text/plain"] == "lake\ttrue"


@pytest.mark.parametrize("state", [{"_model_name": "NoSuchModel"}, {"_model_name": 7}, {"_model_name": "IntSliderModel", "value": "text"},
                                   {"_model_name": "VBoxModel", "children": ["IPY_MODEL_gone"]}, {"_model_name": "IntSliderModel", "layout": "IPY_MODEL_x"}])
def test_what_is_no_widget_is_closed_and_said(kernel, state):
    kernel.execute("widgets")
    messages = open_widget(kernel, "w", state)
    assert closed(messages) == ["w"] and any(m["type"] == "error" or text([m], "stderr") for m in messages) and comms_of(kernel) == set()
    assert closed(open_widget(kernel, "x" * 80, {"_model_name": "IntSliderModel"})) == ["x" * 80]


def test_control_comm_sends_all_states(kernel):
    model, states = show(kernel, "widgets.IntSlider{value = 3}")
    kernel.until_idle(kernel.send("comm_open", {"comm_id": "ctl", "target_name": "jupyter.widget.control", "data": {}}))
    messages = send(kernel, "ctl", {"method": "request_states"})
    data = next(m["content"]["data"] for m in messages if m["type"] == "comm_msg")
    assert data["method"] == "update_states" and set(data["states"]) == set(states)
    assert data["states"][model]["state"] == states[model] and data["states"][model]["model_name"] == "IntSliderModel"


def test_widgets_are_served_while_a_cell_waits(kernel):
    model, _ = show(kernel, "s = widgets.IntSlider{} return s")
    msg_id = kernel.send("execute_request", {"code": "while s.value == 0 do sleep(0.05) end print('seen', s.value)"})
    kernel.send("comm_msg", {"comm_id": model, "data": {"method": "update", "state": {"value": 5}}})
    assert text(kernel.until_idle(msg_id)) == "seen\t5\n"


@pytest.mark.parametrize("code, says", [
    ("widgets.Slider{}", "no widget is named 'Slider'"),
    ("widgets.IntSlider{valu = 3}", "no field 'valu'"),
    ("widgets.IntSlider{value = 'many'}", "expected an int, not the string 'many'"),
    ("widgets.Text{value = {}}", "expected a unicode string"),
    ("widgets.VBox{'text'}", "takes a list of widgets"),
    ("widgets.Checkbox{}:on_click(print)", "only a Button"),
    ("widgets.IntSlider{_model_name = 'x'}", "not for cells to set"),
    ("widgets.IntSlider{}:observe(print, 'nothing')", "no field 'nothing'"),
])
def test_mistakes_are_named(kernel, code, says):
    reply, _ = kernel.execute(code)
    assert reply["status"] == "error" and says in reply["evalue"], reply["evalue"]


# ---- dbutils.widgets

def test_dbutils_shows_one_bar_and_follows_the_front_end(kernel):
    _, messages = kernel.execute("dbutils.widgets.text('lr', '2e-4', 'Rate') dbutils.widgets.dropdown('model', 'b', {'a', 'b'})")
    displays = [m for m in messages if m["type"] == "display_data"]
    assert len(displays) == 1
    # the text, for those who cannot show controls, lists what the cell declares later, too
    last = [m["content"] for m in messages if m["type"] in ("display_data", "update_display_data")][-1]
    assert last["data"]["text/plain"] == "Rate = 2e-4\nmodel = b"
    assert last["transient"] == displays[0]["content"]["transient"] and last["data"].keys() == displays[0]["content"]["data"].keys()
    states = opened(messages)
    text_id = next(i for i, s in states.items() if s["_model_name"] == "TextModel")
    drop_id = next(i for i, s in states.items() if s["_model_name"] == "DropdownModel")
    assert states[text_id]["value"] == "2e-4" and states[text_id]["description"] == "Rate"
    assert states[drop_id]["_options_labels"] == ["a", "b"] and states[drop_id]["index"] == 1
    send(kernel, text_id, {"method": "update", "state": {"value": "1e-3"}})
    send(kernel, drop_id, {"method": "update", "state": {"index": 0}})
    _, messages = kernel.execute("return dbutils.widgets.get('lr'), dbutils.widgets.get('model')")
    assert messages[0]["content"]["data"]["text/plain"] == "1e-3\ta"
    # declared again: what the user chose stays, and the bar is shown in the cell that ran again
    _, messages = kernel.execute("dbutils.widgets.text('lr', '2e-4', 'Rate')")
    assert [m["content"]["data"]["text/plain"] for m in messages if m["type"] == "display_data"] == ["Rate = 1e-3\nmodel = a"]
    assert kernel.execute("dbutils.widgets.get('lr')")[1][0]["content"]["data"]["text/plain"] == "1e-3"
    # another default is another widget
    kernel.execute("dbutils.widgets.text('lr', '5')")
    assert kernel.execute("dbutils.widgets.get('lr')")[1][0]["content"]["data"]["text/plain"] == "5"


def test_dbutils_multiselect_combobox_all_and_removal(kernel):
    kernel.execute("dbutils.widgets.multiselect('tags', 'x', {'x', 'y', 'z'}) dbutils.widgets.combobox{name = 'c', defaultValue = 'free', choices = {'p'}}")
    _, messages = kernel.execute("local all = dbutils.widgets.getAll() return all.tags, all.c, dbutils.widgets.getArgument('none', 'd')")
    assert messages[0]["content"]["data"]["text/plain"] == "x\tfree\td"
    reply, messages = kernel.execute("dbutils.widgets.remove('tags')")
    assert reply["status"] == "ok" and any(m["type"] == "comm_close" for m in messages)
    assert kernel.execute("dbutils.widgets.get('tags')")[0]["status"] == "error"
    assert kernel.execute("dbutils.widgets.removeAll() dbutils.widgets.text('n', 5)")[0]["status"] == "ok"
    assert kernel.execute("dbutils.widgets.get('n')")[1][0]["content"]["data"]["text/plain"] == "5"


@pytest.mark.parametrize("code, says", [
    ("dbutils.widgets.dropdown('m', 'z', {'x', 'y'})", "the default 'z' is not among its choices"),
    ("dbutils.widgets.get('nope')", "no widget is named 'nope'"),
    ("dbutils.widgets.dropdown('m', 'x', 'xyz')", "choices must be a list"),
    ("dbutils.widgets.text({}, 'x')", "must be a text"),
    ("dbutils.widgts", "dbutils has no 'widgts'"),
])
def test_dbutils_mistakes_are_named(kernel, code, says):
    reply, _ = kernel.execute(code)
    assert reply["status"] == "error" and says in reply["evalue"]


# ---- without a front end that shows them

def script(home, code):
    path = home / "s.lua"
    path.write_text(code)
    done = subprocess.run([LACUS, "repl", str(path)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_text_forms_in_a_script(home):
    out = script(home, """
print(widgets.IntSlider{value = 7, max = 10})
print(widgets.IntProgress{value = 50, description = 'load'})
print(widgets.VBox{widgets.Label('a'), widgets.HBox{widgets.Label('b'), widgets.Dropdown{'x', 'y'}}})
local s = widgets.IntSlider{} s:observe(function(c) print('changed', c.new) end) s.value = 3
dbutils.widgets.text('lr', '2e-4') print(dbutils.widgets.get('lr'))
widgets.Output{}:capture(print, 'captured')
""")
    assert out.splitlines() == ["IntSlider(value=7, max=10)", "load [##########----------] 50%", "a",
                                'b  Dropdown(value="x", _options)'.replace(", _options", ""), "changed\t3", "2e-4", "captured"]


def test_parameters_of_lacus_run_reach_dbutils(home):
    import nbformat
    cells = ["dbutils.widgets.text('lr', '2e-4') dbutils.widgets.dropdown('model', 'a', {'a', 'b'}) dbutils.widgets.text('left', 'alone')",
             "return dbutils.widgets.get('lr'), dbutils.widgets.get('model'), dbutils.widgets.get('left'), dbutils.widgets.get('only_given')"]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nbformat.write(nb, home / "in.ipynb")
    run = [LACUS, "run", str(home / "in.ipynb"), "-o", str(home / "out.ipynb"), "-q", "-p", "lr", "0.001", "-p", "only_given", "7"]
    subprocess.run([*run, "-p", "model", "b"], check=True, timeout=30)
    out = nbformat.read(home / "out.ipynb", 4)
    assert out.cells[-1].outputs[0].data["text/plain"] == "0.001\tb\talone\t7"
    bad = subprocess.run([*run, "-p", "model", "z"], capture_output=True, text=True, timeout=30)
    assert bad.returncode != 0
    assert "the value 'z' is not among its choices" in bad.stderr


# ---- types, sliders and parameters that cannot be

def test_dbutils_types_and_sliders(kernel):
    _, messages = kernel.execute("""
dbutils.widgets.text{name = 'epochs', default = 3, type = 'int'} dbutils.widgets.text('rate', '2e-4', 'Rate', {type = 'float'})
dbutils.widgets.text{name = 'fast', default = 'yes', type = 'bool'} dbutils.widgets.text{name = 'day', default = '2024-02-29', type = 'date'}
dbutils.widgets.slider('n', 5, 1, 10) dbutils.widgets.slider{name = 'share', default = 0.5, min = 0, max = 1, step = 0.1}
""")
    states = {s.get("description"): s for s in opened(messages).values()}
    assert [states[k]["_model_name"] for k in ("epochs", "Rate", "fast", "day", "n", "share")] == [
        "IntTextModel", "FloatTextModel", "CheckboxModel", "DatePickerModel", "IntSliderModel", "FloatSliderModel"]
    assert (states["n"]["min"], states["n"]["max"], states["n"]["value"]) == (1, 10, 5)
    _, messages = kernel.execute("local w = dbutils.widgets return w.get'epochs' + 1, w.get'rate', w.get'fast', w.get'day', w.get'n', w.get'share'")
    assert messages[-1]["content"]["data"]["text/plain"] == "4\t0.0002\ttrue\t2024-02-29\t5\t0.5"
    model = next(i for i, s in opened(kernel.execute("dbutils.widgets.slider('m', 2, 0, 4)")[1]).items() if s["_model_name"] == "IntSliderModel")
    messages = send(kernel, model, {"method": "update", "state": {"value": 4}})
    assert not [m for m in messages if m["type"] in ("execute_input", "stream", "execute_result")]  # nothing runs
    assert kernel.execute("dbutils.widgets.get'm'")[1][-1]["content"]["data"]["text/plain"] == "4"


@pytest.mark.parametrize("code, says", [
    ("dbutils.widgets.text{name = 'e', default = 'many', type = 'int'}", "the default 'many' is not an int"),
    ("dbutils.widgets.text{name = 'e', default = 1.5, type = 'int'}", "the default '1.5' is not an int"),
    ("dbutils.widgets.text{name = 'e', default = 'x', type = 'number'}", "there is no type 'number'"),
    ("dbutils.widgets.text{name = 'e', default = '2023-02-29', type = 'date'}", "is not a date"),
    ("dbutils.widgets.slider('n', 50, 1, 10)", "the default 50 is not between 1 and 10"),
    ("dbutils.widgets.slider('n', 'x', 1, 10)", "is not a number"),
    ("dbutils.widgets.slider{'n', 5, min = 1, mx = 10}", "dbutils.widgets.slider has no argument 'mx'"),
    ("dbutils.widgets.slider{'n', 50, 1, 10}", "the default 50 is not between 1 and 10"),
    ("dbutils.widgets.text('e', '1', 'Epochs', {typ = 'int'})", "dbutils.widgets.text has no argument 'typ'"),
    ("dbutils.widgets.dropdown{'e', 'z', {'a', 'b'}, 'Label'}", "the default 'z' is not among its choices 'a', 'b'"),
    ("dbutils.widgets.text('', 'x')", "the name of a widget is empty"),
    ("widgets.IntSlider(11, 0, 10, 1, 5)", "one table of fields expected: IntSlider{value = …}"),
    ("error(tostring(widgets.IntSlider(11, 0, 10)))", "IntSlider(value=10, max=10)"),
    ("widgets.Checkbox(true, 'on')", "one table of fields expected: Checkbox{value = …}"),
    ("widgets.SelectMultiple{options = {'a'}, value = 'a'}", "Invalid selection: value is a list of options"),
    ("widgets.interact(print, {x = 5})", "no parameter that is named 'x', only ..."),
    ("widgets.interact(function(x) end, 5)", "interact takes a table of what the function's parameters may be"),
    ("for x in progress({1}, {descr = 'x'}) do end", "progress has no option 'descr'"),
    ("json.encode({1}, {indnt = 2})", "no option 'indnt'"),
])
def test_misspelt_arguments_are_refused(kernel, code, says):
    reply, _ = kernel.execute(code)
    assert reply["status"] == "error" and says in reply["evalue"], reply["evalue"]


@pytest.mark.parametrize("params, says", [
    (["-p", "epochs", "many"], "widget 'epochs': the value 'many' is not an int"),
    (["-p", "model", "z"], "widget 'model': the value 'z' is not among its choices 'a', 'b'"),
    (["-p", "n", "77"], "widget 'n': the value 77 is not between 1 and 10"),
])
def test_a_wrong_parameter_is_refused_before_the_first_cell(home, params, says):
    import nbformat
    cells = ["io.open('ran', 'w'):close()", "-- dbutils.widgets.text{name = 'epochs', default = 'x', type = 'date'}\ndbutils.widgets.text{name = 'epochs', default = '3', type = 'int'}",
             "dbutils.widgets.dropdown('model', 'a', {'a', 'b'})\ndbutils.widgets.slider('n', 5, 1, 10)", "return dbutils.widgets.get('epochs'), math.type(dbutils.widgets.get('n'))"]
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells]), home / "in.ipynb")
    run = [LACUS, "run", str(home / "in.ipynb"), "-o", str(home / "out.ipynb"), "-q"]
    bad = subprocess.run([*run, *params], capture_output=True, text=True, timeout=30, cwd=home)
    assert bad.returncode == 64 and says in " ".join(bad.stderr.split()) and not (home / "ran").exists()
    subprocess.run([*run, "-p", "epochs", "7", "-p", "n", "8"], check=True, timeout=30, cwd=home)
    assert nbformat.read(home / "out.ipynb", 4).cells[-1].outputs[0].data["text/plain"] == "7\tinteger"


def test_what_is_bound_is_not_shown_once_more(kernel):
    for code in ("b = widgets.Button{} b:on_click(print)", "s = widgets.IntSlider{} s:observe(print, 'value')", "s:unobserve_all()",
                 "t = widgets.Tab{children = {b}} t:set_title(1, 'x')"):
        _, messages = kernel.execute(code)
        assert not [m for m in messages if m["msg_type"] in ("execute_result", "display_data")], code


def test_media_from_files_as_a_method_too(kernel, tmp_path):
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    for mark in ".:":
        _, messages = kernel.execute(f"i = widgets.Image{mark}from_file('{tmp_path}/a.gif') print(i.format, #i.value)")
        assert text(messages) == "gif\t6\n"


@pytest.mark.parametrize("code, want", [
    ("widgets.IntRangeSlider{value = {2, 8}, max = 10}.value", "{2, 8}"), ("widgets.SelectMultiple{options = {'a', 'b'}, value = {'b'}}.value", '{"b"}'),
    ("widgets.SelectMultiple{options = {'a', 'b'}}.options", '{"a", "b"}'), ("widgets.SelectionRangeSlider{options = {'x', 'y'}, value = {'x', 'y'}}.index", "{1, 2}"),
    ("widgets.TagsInput{value = {'p'}}.value", '{"p"}'), ("widgets.Tab{children = {widgets.Label('x')}, titles = {'t'}}.titles", '{"t"}'), ("widgets.VBox{children = {widgets.Label('x')}}.children", "{x}"),
    ("'chosen: ' .. widgets.FloatRangeSlider{value = {0.5, 1.5}}.value", "chosen: {0.5, 1.5}"),
])
def test_lists_of_widgets_print_as_they_are_shown(kernel, code, want):
    _, messages = kernel.execute(f"print({code})")
    assert "".join(m["content"]["text"] for m in messages if m["type"] == "stream") == want + "\n"


def test_changes_print_as_they_are_shown(kernel):
    _, messages = kernel.execute("local s = widgets.IntSlider{} s:observe(function(change) print(change) end, 'value') s.value = 4")
    assert 'name = "value"' in "".join(m["content"]["text"] for m in messages if m["type"] == "stream")

"""Every class of ipywidgets: the state that lacus gives it, what it accepts and what it refuses are those of the installed ipywidgets."""
import datetime
import json

import ipywidgets
import pytest
from kernels import LACUS, environment, text
from raw_client import RawKernel
from test_widgets import normal, opened, send, show, updates, view

CHOICES = {"Dropdown", "RadioButtons", "Select", "SelectMultiple", "SelectionSlider", "SelectionRangeSlider", "ToggleButtons"}
ABSTRACT = {"CoreWidget", "DOMWidget", "ValueWidget", "Widget", "Style", "interactive"}
TEMPLATES = {"AppLayout", "TwoByTwoLayout", "GridspecLayout"}
ABSENT = {"Controller"}  # gamepads
NAMES = sorted(n for n in dir(ipywidgets) if isinstance(getattr(ipywidgets, n), type) and issubclass(getattr(ipywidgets, n), ipywidgets.Widget)
               and n not in ABSTRACT | ABSENT | TEMPLATES)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("states")
    with RawKernel([LACUS, "kernel", "-f", "{connection_file}"], env=environment(folder)) as k:
        yield k


def plain(state):
    """What of a state travels as JSON, tuples as lists."""
    state = {k: v for k, v in normal(state).items() if not isinstance(v, (bytes, memoryview))}
    return json.loads(json.dumps(state))


def compare(ours, ours_id, theirs):
    assert plain(ours[ours_id]) == plain(theirs.get_state())
    for part in ("layout", "style"):
        if part in theirs.get_state():
            assert ours[ours[ours_id][part][len("IPY_MODEL_"):]] == getattr(theirs, part).get_state()


def test_all_classes_are_there():
    assert len(NAMES) > 50 and {"IntSlider", "FileUpload", "Stack", "TimePicker"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_default_states(kernel, name):
    if name in ("Layout", "SliderStyle", "ButtonStyle", "ToggleButtonsStyle"):
        reply, _ = kernel.execute(f"part = widgets.{name}{{}} w = widgets.VBox{{}}")
        assert reply["status"] == "ok"
        return
    options = {"options": ["a", "b"]} if name in CHOICES else {}
    ours_id, ours = show(kernel, "widgets.%s{%s}" % (name, "options = {'a', 'b'}" if options else ""))
    compare(ours, ours_id, getattr(ipywidgets, name)(**options))


@pytest.mark.parametrize("name", NAMES)
def test_fields_can_be_read_and_no_others(kernel, name):
    """ipywidgets: an AttributeError for what there is not; names with an underscore are nobody's business."""
    widget = getattr(ipywidgets, name)(**({"options": ["a", "b"]} if name in CHOICES else {}))
    public = [n for n in widget.trait_names(sync=True) + (["options", "value", "label", "index"] if name in CHOICES else []) if hasattr(widget, n) and not n.startswith("_")]
    asked = [*public, "valu", "descripton", "nosuch", "lower", "border", "border_top"]
    code = "w = widgets.%s{%s} for _, n in ipairs{%s} do if not pcall(function() return w[n] end) then print(n) end end assert(w._model_name == nil and w._x == nil)" % (
        name, "options = {'a', 'b'}" if name in CHOICES else "", ", ".join(f"'{n}'" for n in asked))
    reply, messages = kernel.execute(code)
    assert reply["status"] == "ok", reply
    assert text(messages).split() == [n for n in asked if not hasattr(widget, n)]


def test_a_misspelt_field_is_told_with_the_nearest(kernel):
    for code, says in (("widgets.IntSlider{}.valu", "did you mean 'value'?"), ("widgets.IntSlider{}:observ(print)", "did you mean 'observe'?"), ("widgets.IntSlider{}.layout.widht", "did you mean 'width'"),
                       ("widgets.IntSlider{}.layout.border_to", "border_top")):
        reply, _ = kernel.execute(code)
        assert reply["status"] == "error" and "has no field" in reply["evalue"] and says in "\n".join(reply["traceback"]), reply
    reply, messages = kernel.execute("b = widgets.interactive(function(n) return n end, {n = 3}) print(b.manual_button, b.result) l = widgets.Layout{} print(l.border) l.border = 'solid' print(l.border) l.border_top = nil print(l.border)")
    assert reply["status"] == "ok" and text(messages).split("\n")[:-1] == ["nil\t3", "nil", "solid", "nil"], (reply, messages)


W, L = ipywidgets, "widgets."
STATES = [
    ("IntRangeSlider{min = 100, max = 200}", lambda: W.IntRangeSlider(min=100, max=200)),
    ("FloatRangeSlider{min = 0, max = 1, value = {0.2, 5}}", lambda: W.FloatRangeSlider(min=0, max=1, value=(0.2, 5))),
    ("FloatLogSlider{min = -3, max = 2, value = 1e9}", lambda: W.FloatLogSlider(min=-3, max=2, value=1e9)),
    ("FloatLogSlider{base = 2, max = 8, value = 100}", lambda: W.FloatLogSlider(base=2, max=8, value=100)),
    ("IntSlider{value = '7'}", lambda: W.IntSlider(value='7')),
    ("IntSlider{value = 3.7}", lambda: W.IntSlider(value=3.7)),
    ("IntSlider{min = -5, max = -1}", lambda: W.IntSlider(min=-5, max=-1)),
    ("IntSlider{orientation = 'VERTICAL', readout_format = ',d', behavior = 'snap'}", lambda: W.IntSlider(orientation='VERTICAL', readout_format=',d', behavior='snap')),
    ("FloatSlider{value = 3, max = 2}", lambda: W.FloatSlider(value=3, max=2)),
    ("Dropdown{options = {{'one', 1}, {'two', 2}}, value = 2}", lambda: W.Dropdown(options=[('one', 1), ('two', 2)], value=2)),
    ("Dropdown{options = {b = 1, a = 2}}", lambda: W.Dropdown(options={'a': 2, 'b': 1})),
    ("Dropdown{options = {'a', 'b'}, label = 'b'}", lambda: W.Dropdown(options=['a', 'b'], label='b')),
    ("Dropdown{}", lambda: W.Dropdown()),
    ("SelectMultiple{options = {'a', 'b', 'c'}, value = {'c', 'a'}}", lambda: W.SelectMultiple(options=['a', 'b', 'c'], value=['c', 'a'])),
    ("SelectionRangeSlider{options = {'a', 'b', 'c'}, index = {1, 3}}", lambda: W.SelectionRangeSlider(options=['a', 'b', 'c'], index=(0, 2))),
    ("ToggleButtons{options = {'x', 'y'}, tooltips = {'the x', 'the y'}, icons = {'check', ''}, button_style = 'info'}",
     lambda: W.ToggleButtons(options=['x', 'y'], tooltips=['the x', 'the y'], icons=['check', ''], button_style='info')),
    ("DatePicker{value = '2024-02-29', max = {year = 2025, month = 1, day = 31}}", lambda: W.DatePicker(value=datetime.date(2024, 2, 29), max=datetime.date(2025, 1, 31))),
    ("DatePicker{value = '2020-01-01', min = '2021-06-05'}", lambda: W.DatePicker(value=datetime.date(2020, 1, 1), min=datetime.date(2021, 6, 5))),
    ("DatePicker{step = 'any'}", lambda: W.DatePicker(step='any')),
    ("TimePicker{value = '09:30:15.5', step = 1}", lambda: W.TimePicker(value=datetime.time(9, 30, 15, 500000), step=1)),
    ("DatetimePicker{value = '2024-05-06 07:08:09'}", lambda: W.DatetimePicker(value=datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.timezone.utc))),
    ("NaiveDatetimePicker{value = {year = 2024, month = 5, day = 6, hour = 7, min = 8, sec = 9}}", lambda: W.NaiveDatetimePicker(value=datetime.datetime(2024, 5, 6, 7, 8, 9))),
    ("ColorPicker{value = '#aBc', concise = true}", lambda: W.ColorPicker(value='#aBc', concise=True)),
    ("ColorPicker{value = 'hsl(120, 50%, 50%)'}", lambda: W.ColorPicker(value='hsl(120, 50%, 50%)')),
    ("Combobox{options = {'a', 'b'}, value = 'b', ensure_option = true}", lambda: W.Combobox(options=['a', 'b'], value='b', ensure_option=True)),
    ("TagsInput{value = {'x'}, allowed_tags = {'x', 'y'}, tag_style = 'success'}", lambda: W.TagsInput(value=['x'], allowed_tags=['x', 'y'], tag_style='success')),
    ("ColorsInput{value = {'red', '#00ff00'}}", lambda: W.ColorsInput(value=['red', '#00ff00'])),
    ("IntsInput{value = {1, 2}, min = 0}", lambda: W.IntsInput(value=[1, 2], min=0)),
    ("Image{value = 'x', width = 300}", lambda: W.Image(value=b'x', width=300)),
    ("Textarea{rows = 4, placeholder = 'here'}", lambda: W.Textarea(rows=4, placeholder='here')),
    ("Button{button_style = 'danger', icon = 'trash', tooltip = 'away', style = {button_color = 'red', font_weight = 'bold'}}",
     lambda: W.Button(button_style='danger', icon='trash', tooltip='away', style={'button_color': 'red', 'font_weight': 'bold'})),
    ("Checkbox{indent = false, layout = {width = '50%', border = '1px solid', align_items = 'Center'}}",
     lambda: W.Checkbox(indent=False, layout=W.Layout(width='50%', border='1px solid', align_items='Center'))),
    ("FloatProgress{bar_style = null, style = {bar_color = 'rgb(1,2,3)'}}", lambda: W.FloatProgress(bar_style=None, style={'bar_color': 'rgb(1,2,3)'})),
]


@pytest.mark.parametrize("code, make", STATES, ids=[c[:40] for c, _ in STATES])
def test_states_of_what_is_given(kernel, code, make):
    ours_id, ours = show(kernel, L + code)
    compare(ours, ours_id, make())


@pytest.mark.parametrize("name", ["Tab", "Accordion", "Stack"])
def test_pages(kernel, name):
    ours_id, ours = show(kernel, f"t = widgets.{name}{{children = {{widgets.Label('x'), widgets.Label('y')}}, titles = {{'one'}}}} return t")
    theirs = getattr(W, name)(children=[W.Label('x'), W.Label('y')], titles=['one'])
    mine, other = plain(ours[ours_id]), plain({k: v for k, v in theirs.get_state().items() if k != "children"})
    assert len(mine.pop("children")) == 2 and mine == other
    _, messages = kernel.execute("t:set_title(2, 'two') t.selected_index = 2 return t.selected_index, t:get_title(2)")
    assert updates(messages) == [{"titles": ["one", "two"]}, {"selected_index": 1}]
    assert messages[-1]["content"]["data"]["text/plain"] == "2\ttwo"
    assert "index out of bounds" in kernel.execute("t.selected_index = 3")[0]["evalue"]
    assert "the first is 1" in kernel.execute("t.selected_index = 0")[0]["traceback"][-1]


B = "widgets.Button{description = '%s'}"
PANES = {"AppLayout": ["header", "left_sidebar", "center", "right_sidebar", "footer"], "TwoByTwoLayout": ["top_left", "top_right", "bottom_left", "bottom_right"]}


def grid_of(states, model):
    layout = states[states[model]["layout"][10:]]
    areas = {states[c[10:]]["description"]: states[states[c[10:]]["layout"][10:]]["grid_area"] for c in states[model]["children"]}
    return [layout[k] for k in ("grid_template_areas", "grid_template_columns", "grid_template_rows", "width", "grid_gap")], areas


def their_grid(box):
    return ([getattr(box.layout, k) for k in ("grid_template_areas", "grid_template_columns", "grid_template_rows", "width", "grid_gap")],
            {c.description: c.layout.grid_area for c in box.children})


@pytest.mark.parametrize("name", PANES)
@pytest.mark.parametrize("merge", [True, False])
def test_templates_lay_out_as_theirs(kernel, name, merge):
    panes = PANES[name]
    for chosen in range(1, 2 ** len(panes)):
        names = [p for i, p in enumerate(panes) if chosen >> i & 1]
        fields = ", ".join(f"{p} = {B % p}" for p in names)
        model, states = show(kernel, f"widgets.{name}{{{fields}, merge = {str(merge).lower()}, width = '50%', grid_gap = '3px'}}")
        theirs = getattr(W, name)(**{p: W.Button(description=p) for p in names}, merge=merge, width="50%", grid_gap="3px")
        assert grid_of(states, model) == their_grid(theirs), names


def test_grids_are_filled_as_theirs(kernel):
    model, states = show(kernel, f"g = widgets.GridspecLayout(3, 2) g.put(1, true, {B % 'a'}) g.put({{2, 3}}, 1, {B % 'b'}) g.put(3, 2, {B % 'c'}) g.put(1, 2, {B % 'd'}) return g")
    theirs = W.GridspecLayout(3, 2)
    theirs[0, :], theirs[1:3, 0], theirs[2, 1] = (W.Button(description=d) for d in "abc")
    theirs[0, 1] = W.Button(description="d")
    ours = grid_of(states, model)
    assert ours == their_grid(theirs)
    assert kernel.execute("return g.at(2, 1).description, g.at(2, 2)")[1][-1]["content"]["data"]["text/plain"].split() == ["b", "nil"]
    for code, says in (("g.put(4, 1, widgets.Label{})", "the row takes a number from 1 to 3"), ("widgets.GridspecLayout(0, 1)", "must be positive integer"),
                       ("widgets.AppLayout{header = 3}", "'header' trait expected a Widget"), ("widgets.AppLayout{header = widgets.Label{}, pane_widths = {'x', 1, 1}}", "pane sizes must be")):
        assert says in kernel.execute(code)[0]["evalue"]


def refusal(make):
    with pytest.raises(Exception) as e:
        make()
    return str(e.value)


REFUSED = [
    ("IntSlider{value = 'a'}", lambda: W.IntSlider(value='a')),
    ("FloatSlider{value = 'x'}", lambda: W.FloatSlider(value='x')),
    ("Text{value = 3}", lambda: W.Text(value=3)),
    ("Checkbox{value = 3}", lambda: W.Checkbox(value=3)),
    ("Button{button_style = 'x'}", lambda: W.Button(button_style='x')),
    ("IntSlider{orientation = 'x'}", lambda: W.IntSlider(orientation='x')),
    ("IntSlider{layout = {align_items = 'x'}}", lambda: W.IntSlider(layout={'align_items': 'x'})),
    ("IntSlider{layout = {width = 3}}", lambda: W.IntSlider(layout={'width': 3})),
    ("IntSlider{readout_format = 'zz'}", lambda: W.IntSlider(readout_format='zz')),
    ("ColorPicker{value = 'nocolor'}", lambda: W.ColorPicker(value='nocolor')),
    ("IntRangeSlider{value = {5, 1}}", lambda: W.IntRangeSlider(value=(5, 1))),
    ("Dropdown{options = {'a'}, value = 'b'}", lambda: W.Dropdown(options=['a'], value='b')),
    ("Dropdown{options = {'a'}, index = 4}", lambda: W.Dropdown(options=['a'], index=3)),
    ("Dropdown{options = {'a'}, label = 'q'}", lambda: W.Dropdown(options=['a'], label='q')),
    ("SelectMultiple{options = {'a'}, value = {'b'}}", lambda: W.SelectMultiple(options=['a'], value=['b'])),
    ("SelectionSlider{options = {}}", lambda: W.SelectionSlider(options=[])),
    ("IntSlider{tooltip = 3}", lambda: W.IntSlider(tooltip=3)),
    ("IntSlider{tabbable = 'x'}", lambda: W.IntSlider(tabbable='x')),
    ("IntProgress{bar_style = 'x'}", lambda: W.IntProgress(bar_style='x')),
    ("Textarea{rows = 'a'}", lambda: W.Textarea(rows='a')),
    ("Select{rows = 2.5}", lambda: W.Select(rows=2.5)),
    ("Play{interval = 'x'}", lambda: W.Play(interval='x')),
    ("Valid{value = 3}", lambda: W.Valid(value=3)),
    ("TimePicker{step = 'x'}", lambda: W.TimePicker(step='x')),
]


@pytest.mark.parametrize("code, make", REFUSED, ids=[c[:40] for c, _ in REFUSED])
def test_refusals_use_the_same_words(kernel, code, make):
    theirs = refusal(make).replace("the str ", "the string ").replace("the int ", "the integer ")
    reply, _ = kernel.execute(L + code)
    assert reply["status"] == "error" and reply["ename"] == "TraitError", reply
    assert reply["evalue"].startswith(theirs)


def test_bounds_are_refused_in_their_words(kernel):
    w = W.IntSlider()
    kernel.execute("s = widgets.IntSlider{}")
    for key, value in (("min", 200), ("max", -1)):
        with pytest.raises(Exception) as e:
            setattr(w, key, value)
        assert kernel.execute(f"s.{key} = {value}")[0]["evalue"].startswith(str(e.value))


# ---- bytes

def test_bytes_travel_as_buffers(kernel):
    _, messages = kernel.execute(r"i = widgets.Image{value = '\xff\x00PNG', format = 'png'} return i")
    message = next(m for m in messages if m["type"] == "comm_open" and m["content"]["data"]["state"]["_model_name"] == "ImageModel")
    assert message["content"]["data"]["buffer_paths"] == [["value"]] and [bytes(b) for b in message["buffers"]] == [b"\xff\x00PNG"]
    assert "value" not in message["content"]["data"]["state"]
    _, messages = kernel.execute(r"i.value = '\x00\xfe'")
    assert messages[0]["content"]["data"] == {"method": "update", "state": {}, "buffer_paths": [["value"]]} and [bytes(b) for b in messages[0]["buffers"]] == [b"\x00\xfe"]
    messages = send(kernel, view_of(kernel, "i"), {"method": "request_state"})
    assert [bytes(b) for m in messages for b in m["buffers"]] == [b"\x00\xfe"]


def view_of(kernel, name):
    return view(kernel.execute(name)[1])


def test_uploaded_files_arrive(kernel):
    model, _ = show(kernel, "u = widgets.FileUpload{} u:observe(function(c) print(#c.new, c.new[1].name, #c.new[1].content) end, 'value') return u")
    state = {"value": [{"name": "a.txt", "type": "text/plain", "size": 4, "last_modified": 1700000000000}]}
    msg_id = kernel.send("comm_msg", {"comm_id": model, "data": {"method": "update", "state": state, "buffer_paths": [["value", 0, "content"]]}}, buffers=(b"\x00\xffab",))
    messages = kernel.until_idle(msg_id)
    assert text(messages) == "1\ta.txt\t4\n" and updates(messages, "echo_update") == [] and updates(messages) == []
    _, messages = kernel.execute(r"return u.value[1].content == '\x00\xffab', u.value[1].size")
    assert messages[0]["content"]["data"]["text/plain"] == "true\t4"


def test_all_states_carry_all_buffers(kernel):
    kernel.execute(r"restored = widgets.Image{value = 'abc'} display(restored)")
    kernel.until_idle(kernel.send("comm_open", {"comm_id": "ctl2", "target_name": "jupyter.widget.control", "data": {}}))
    message = next(m for m in send(kernel, "ctl2", {"method": "request_states"}) if m["type"] == "comm_msg")
    paths = message["content"]["data"]["buffer_paths"]
    assert len(paths) == len(message["buffers"]) and b"abc" in [bytes(b) for b in message["buffers"]]
    assert all(p[1] == "state" and p[0] in message["content"]["data"]["states"] for p in paths)


# ---- what Lua adds

def test_links(kernel):
    kernel.execute("a = widgets.IntSlider{} b = widgets.IntText{} l = widgets.link({a, 'value'}, {b, 'value'}) a.value = 5")
    assert kernel.execute("b.value = 7 return a.value, b.value")[1][0]["content"]["data"]["text/plain"] == "7\t7"
    assert kernel.execute("l:unlink() b.value = 9 return a.value")[1][0]["content"]["data"]["text/plain"] == "7"
    kernel.execute("t = widgets.Label{} d = widgets.dlink({a, 'value'}, {t, 'value'}, function(v) return 'v=' .. v end) a.value = 3")
    assert kernel.execute("return t.value")[1][0]["content"]["data"]["text/plain"] == "v=3"
    _, messages = kernel.execute("j = widgets.jslink({a, 'value'}, {b, 'value'})")
    states = opened(messages)
    mine = next(s for s in states.values() if s["_model_name"] == "LinkModel")
    theirs = W.jslink((W.IntSlider(), "value"), (W.IntText(), "value")).get_state()
    assert mine["source"][1] == "value" and mine["target"][0][len("IPY_MODEL_"):] in states
    assert {k: v for k, v in mine.items() if k not in ("source", "target")} == {k: v for k, v in theirs.items() if k not in ("source", "target")}
    _, messages = kernel.execute("j:unlink()")
    assert [m["type"] for m in messages] == ["comm_close"]


def test_held_changes(kernel):
    show(kernel, "h = widgets.IntSlider{} return h")
    _, messages = kernel.execute("h:hold_sync(function() h.value = 1 h.value = 2 h.description = 'n' end)")
    assert updates(messages) == [{"value": 2, "description": "n"}]
    kernel.execute("seen = {} h:observe(function(c) seen[#seen + 1] = c.name .. c.old .. '>' .. c.new end)")
    kernel.execute("h:hold_trait_notifications(function() h.value = 5 h.value = 9 h.max = 50 h.max = 100 end)")
    assert kernel.execute("return table.concat(seen, ' ')")[1][0]["content"]["data"]["text/plain"] == "value2>9"
    _, messages = kernel.execute("pcall(h.hold_sync, h, function() h.value = 4 error 'x' end) h.value = 6")
    assert updates(messages) == [{"value": 4}, {"value": 6}]
    assert kernel.execute("h:unobserve_all() seen = {} h.value = 1 return #seen")[1][-1]["content"]["data"]["text/plain"] == "0"


def test_classes_and_custom_messages(kernel):
    model, _ = show(kernel, "c = widgets.Button{on_msg = function(w, content) print(content.kind) end} return c")
    _, messages = kernel.execute("c:add_class('mine') c:add_class('mine') c:remove_class('mine') c:focus()")
    assert updates(messages) == [{"_dom_classes": ["mine"]}, {"_dom_classes": []}]
    assert messages[-1]["content"]["data"] == {"method": "custom", "content": {"do": "focus"}}
    assert text(send(kernel, model, {"method": "custom", "content": {"kind": "k"}})) == "k\n"


def test_nested_captures(kernel):
    show(kernel, "o1, o2 = widgets.Output{}, widgets.Output{} return widgets.VBox{o1, o2}")
    msg_id = kernel.send("execute_request", {"code": "do local _ <close> = o1:capture() print(1) o2:capture(print, 2) print(3) end print(4)"})
    messages = kernel.until_idle(msg_id)
    kinds = [m["content"]["data"]["state"]["msg_id"] != "" if m["type"] == "comm_msg" else m["content"]["text"] for m in messages if m["type"] in ("comm_msg", "stream")]
    assert kinds == [True, "1\n", True, "2\n", False, "3\n", False, "4\n"]


# ---- interact

ABBREVIATIONS = [("10", 10), ("0", 0), ("-4", -4), ("2.5", 2.5), ("{0, 10}", (0, 10)), ("{0, 10, 3}", (0, 10, 3)), ("{0.0, 1}", (0.0, 1)), ("true", True),
                 ("'text'", "text"), ("{'a', 'b'}", ["a", "b"]), ("{{'one', 1}, {'two', 2}}", [("one", 1), ("two", 2)])]


@pytest.mark.parametrize("lua, python", ABBREVIATIONS, ids=[a for a, _ in ABBREVIATIONS])
def test_controls_of_interact(kernel, lua, python, capsys):
    theirs = W.interactive(lambda x: None, x=python)
    _, messages = kernel.execute(f"widgets.interact(function(x) end, {{x = {lua}}})")
    ours = opened(messages)
    box = next(s for s in ours.values() if s["_model_name"] == "VBoxModel")
    first = box["children"][0][len("IPY_MODEL_"):]
    compare(ours, first, theirs.children[0])
    assert box["_dom_classes"] == ["widget-interact"] and ours[box["children"][1][len("IPY_MODEL_"):]]["_model_name"] == "OutputModel"


def test_interact_runs_and_shows_in_its_output(kernel):
    msg_id = kernel.send("execute_request", {"code": "f = widgets.interact(function(x, flag) print('x', x, flag) return x * 2 end, {x = 3, flag = false})"})
    messages = kernel.until_idle(msg_id)
    states = opened(messages)
    slider = next(i for i, s in states.items() if s["_model_name"] == "IntSliderModel")
    assert text(messages) == "x\t3\tfalse\n" and any(m["type"] == "clear_output" and m["content"]["wait"] for m in messages)
    msg_id = kernel.send("comm_msg", {"comm_id": slider, "data": {"method": "update", "state": {"value": 5}}})
    messages = kernel.until_idle(msg_id)
    assert [s["msg_id"] for s in updates(messages) if "msg_id" in s] == [msg_id, ""] and text(messages) == "x\t5\tfalse\n"
    assert [m["content"]["data"]["text/plain"] for m in messages if m["type"] == "display_data"] == ["10"]


def test_interact_shows_errors_where_its_output_is(kernel):
    messages = kernel.until_idle(kernel.send("execute_request", {"code": "widgets.interact(function(x) error('bad ' .. x) end, {x = 3})"}))
    order = [m["type"] if m["type"] == "error" else m["content"]["data"]["state"]["msg_id"] != "" for m in messages
             if m["type"] == "error" or (m["type"] == "comm_msg" and "msg_id" in m["content"]["data"]["state"])]
    assert order == [True, "error", False]
    assert kernel.execute("1 + 1")[0]["status"] == "ok"


def test_interact_manual_and_interactive(kernel):
    _, messages = kernel.execute("n = 0 widgets.interact_manual(function(x) n = n + x end, {x = 2})")
    button = next((i, s) for i, s in opened(messages).items() if s["_model_name"] == "ButtonModel")
    assert button[1]["description"] == "Run Interact" and kernel.execute("n")[1][0]["content"]["data"]["text/plain"] == "0"
    send(kernel, button[0], {"method": "custom", "content": {"event": "click"}})
    assert kernel.execute("n")[1][0]["content"]["data"]["text/plain"] == "2"
    kernel.execute("w = widgets.interactive(function(a, b) return a + b end, {a = 1, b = widgets.fixed(10)})")
    assert kernel.execute("w.children[1].value = 3 return w.result, w.kwargs.a, #w.children")[1][-1]["content"]["data"]["text/plain"] == "13\t3\t2"


@pytest.mark.parametrize("code, says", [
    ("widgets.interact(function(x, y) end, {x = 1})", "cannot find widget or abbreviation for argument: 'y'"),
    ("widgets.interact(function(x) end, {x = 1, z = 2})", "the function has no parameter 'z'"),
    ("widgets.interact(function(x) end, {x = print})", "no control can be made for 'x' from a function"),
    ("widgets.interact(3)", "interact takes a function"),
    ("widgets.link(1, 2)", 'link takes {widget, "field"}'),
    ("widgets.Image.from_file('/nowhere.png')", "cannot open '/nowhere.png'"),
    ("widgets.DatePicker{value = '2024-02-30'}", "expected a date"),
    ("widgets.DatePicker{value = 'soon'}", "expected a date"),
    ("widgets.IntRangeSlider{value = {1}}", "requires 2 elements"),
    ("widgets.TagsInput{value = {'x'}, allowed_tags = {'y'}}", "Tag value x is not allowed"),
    ("widgets.ColorsInput{value = {'red', 'x'}}", "expected a valid HTML color, not the string 'x'"),
])
def test_mistakes(kernel, code, says):
    reply, _ = kernel.execute(code)
    assert reply["status"] == "error" and says in reply["evalue"], reply["evalue"]


# ---- what a front end may send

@pytest.mark.parametrize("state", [{"value": None}, {"value": [1, 2, 3]}, {"value": {"a": []}}, {"min": 10 ** 30, "value": 1}, {"layout": "IPY_MODEL_x"}, {"_model_name": "Evil"},
                                   {"nothing": 1}, {"value": "\u0000"}, {"orientation": 3}, None, [], "text"])
def test_odd_states_leave_the_widget_whole(kernel, state):
    model, states = show(kernel, "odd = widgets.IntSlider{value = 4} return odd")
    send(kernel, model, {"method": "update", "state": state, "buffer_paths": [["state"], 3, ["value", "x"], []]})
    messages = send(kernel, model, {"method": "request_state"})
    now = updates(messages)[-1]
    assert isinstance(now["value"], int) and now["_model_name"] == "IntSliderModel" and now["layout"] == states[model]["layout"]

"""Widgets that `lacus run` saves into the notebook: what ipywidgets and nbconvert make of them."""
import base64
import json
import re
import subprocess

import ipywidgets
import nbformat
import pytest
from lacus import LACUS
from nbconvert import HTMLExporter

STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
CELLS = [
    "s = widgets.IntSlider{value = 3, description = 'n'}\nreturn widgets.VBox{s, widgets.Image{value = '\\xff\\x00x', format = 'png'}}",
    "s.value = 42",
    "o = widgets.Output{}\ndisplay(o)\no:capture(function() print('inside') display.html('<b>x</b>') end)\nprint('outside')",
    "widgets.interact(function(x) print('x is', x) end, {x = 5})",
    "w = widgets.Label('gone') display(w) w:close()",
    "b = widgets.Output{} display(b) b:capture(function() for i in progress(3, {desc = 'bar'}) do end end)",
    "local gone, kept = widgets.Label('gone'), widgets.Text{value = 'kept'}\ndisplay(widgets.VBox{gone, kept})\ndisplay(widgets.Tab{children = {kept, gone, s}, titles = {'one', 'two', 'three'}, selected_index = 3})\n"
    "display(widgets.Accordion{children = {kept, gone}, titles = {'one', 'two'}, selected_index = 2})\nwidgets.jslink({gone, 'value'}, {kept, 'value'}) widgets.jslink({s, 'value'}, {widgets.IntText{}, 'value'})\ngone:close()",
]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    folder = tmp_path_factory.mktemp("widgets")
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    nbformat.write(nb, folder / "in.ipynb")
    subprocess.run([LACUS, "run", str(folder / "in.ipynb"), "-o", str(folder / "out.ipynb"), "-q"], check=True, timeout=60,
                   env={"LACUS_HOME": str(folder / "home"), "PATH": "/usr/bin:/bin"})
    out = nbformat.read(folder / "out.ipynb", 4)
    nbformat.validate(out)
    return out


def models(notebook, name):
    return {i: m for i, m in notebook.metadata.widgets[STATE].state.items() if m.model_name == name}


def test_states_are_the_last_ones(notebook):
    saved = notebook.metadata.widgets[STATE]
    assert (saved.version_major, saved.version_minor) == (2, 0)
    slider = next(m for m in models(notebook, "IntSliderModel").values() if m.state.description == "n")
    assert slider.state.value == 42 and slider.state.layout[len("IPY_MODEL_"):] in saved.state
    shown = notebook.cells[0].outputs[0].data[VIEW]["model_id"]
    assert saved.state[shown].model_name == "VBoxModel"
    image = next(iter(models(notebook, "ImageModel").values()))
    assert [(b.path, base64.b64decode(b.data)) for b in image.buffers] == [(["value"], b"\xff\x00x")] and "value" not in image.state
    assert not any(m.state.value == "gone" for m in models(notebook, "LabelModel").values())


def test_output_widgets_hold_what_they_gathered(notebook):
    outputs = [m.state.outputs for m in models(notebook, "OutputModel").values()]
    first = next(o for o in outputs if len(o) == 2)
    assert "".join(first[0].text) == "inside\n" and "".join(first[1].data["text/html"]) == "<b>x</b>"
    assert ["".join(o[0].text) for o in outputs if len(o) == 1 and o[0].output_type == "stream"] == ["x is\t5\n"]
    bar = next(o[0] for o in outputs if len(o) == 1 and o[0].output_type == "display_data")
    assert "".join(bar.data["text/plain"]).startswith("bar 100%") and bar.metadata == {}
    assert [("".join(o.text)) for o in notebook.cells[2].outputs if o.output_type == "stream"] == ["outside\n"]
    assert all(m.state.msg_id == "" for m in models(notebook, "OutputModel").values())


def test_ipywidgets_takes_the_states(notebook):
    """Each saved state is one that the class of ipywidgets accepts, key by key."""
    for model in notebook.metadata.widgets[STATE].state.values():
        if model.model_name in ("IntSliderModel", "VBoxModel", "OutputModel", "ImageModel"):
            keys = set(getattr(ipywidgets, model.model_name[:-5])().get_state())
            assert set(model.state) | {"value"} == keys | {"value"}


def test_what_was_closed_is_named_by_nobody(notebook):
    """A page draws no box at all of which one child is not there."""
    saved = notebook.metadata.widgets[STATE]
    assert set(re.findall(r"IPY_MODEL_(\w+)", json.dumps(saved))) <= set(saved.state)
    tab, = models(notebook, "TabModel").values()
    opened, = models(notebook, "AccordionModel").values()
    assert (len(tab.state.children), tab.state.titles, tab.state.selected_index) == (2, ["one", "three"], 1)
    assert (len(opened.state.children), opened.state.titles, opened.state.selected_index) == (1, ["one"], 0)
    assert len(models(notebook, "LinkModel")) == 1


def test_nbconvert_puts_them_into_the_page(notebook):
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert STATE in page and "IntSliderModel" in page

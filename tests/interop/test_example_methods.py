"""examples/qlora.ipynb, dpo.ipynb and distillation.ipynb, each run with small parameters."""
import re

import nbformat
import pytest

import notebooks
from lacus import ROOT
from test_train import end_coordinator

pytestmark = pytest.mark.skipif(notebooks.missing() is not None, reason=str(notebooks.missing()))
SHOWN = {
    "qlora": [r"trainable params: [\d,]+ \|\|", r"full fine-tuning would need \d+ MiB, QLoRA needs \d+ MiB", r"eval loss [\d.]+ before, [\d.]+ after",
              r"accuracy on \d+ test packages: [\d.]+% before, [\d.]+% after"],
    "dpo": [r"loss 0\.6931 before, [\d.]+ after", r"margin of the rewards: -?[\d.]+, then -?[\d.]+", r"before\n(.|\n)*after\n"],
    "distillation": [r"teacher +[\d,]+ parameters, test loss [\d.]+", r"student alone +[\d,]+ parameters", r"student distilled +[\d,]+ parameters"],
}


@pytest.mark.parametrize("name", SHOWN)
def test_it_runs(name, tmp_path):
    home, path = tmp_path / "home", ROOT / "examples" / f"{name}.ipynb"
    home.mkdir()
    try:
        notebooks.run(home, path, tmp_path / "out.ipynb", max_rows=1500, max_seconds=2)
    finally:
        end_coordinator(home)
    out = nbformat.read(tmp_path / "out.ipynb", 4)
    nbformat.validate(out)
    assert not [o for c in out.cells if c.cell_type == "code" for o in c.outputs if o.output_type == "error"]
    text = notebooks.texts(out)
    for pattern in SHOWN[name]:
        assert re.search(pattern, text), pattern
    kept = nbformat.read(path, 4)
    nbformat.validate(kept)
    assert all(c.outputs or c.source.startswith("local") for c in kept.cells if c.cell_type == "code"), "its outputs are kept in the tree"

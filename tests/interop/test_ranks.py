"""Training on several workers: the numbers of one, and what happens when one of them goes away, stalls or lies."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from lacus import LACUS, environment, lacus, script
from test_train import ROWS, SLOW, end_coordinator, free_port, home, invite, model, prelude, write_key  # noqa: F401

LOSSES = """
local function losses(job)
  local t = {}
  for i, m in ipairs(job.metrics) do t[i] = ("%.17g"):format(m.loss) end
  return table.concat(t, " ")
end
"""


def numbers(printed, name):
    return [float(x) for x in re.search(rf"^{name}\t(.*)$", printed, re.M)[1].split()]


@pytest.mark.parametrize("full", [False, True], ids=["lora", "full"])
def test_ranks_give_the_numbers_of_one(home, model, tmp_path, full):
    """Two and three workers against one with the same batch; 40 rows in micro-batches of 4 leave a ragged last step."""
    without = ', "peft"' if full else ""
    text = prelude(model, tmp_path / "out", max_steps=8, learning_rate=0.001, eval_steps=4, eval_strategy="steps") + LOSSES
    for ranks in (2, 3):
        text += f"""
local one = start({{output_dir = "{tmp_path}/one{ranks}", args = {{max_steps = 8, per_device_train_batch_size = 4, learning_rate = 0.001, logging_steps = 1,
  save_steps = 1000, gradient_accumulation_steps = {ranks}}}}}{without}):wait()
local several = start({{output_dir = "{tmp_path}/several{ranks}", ranks = {ranks}, args = {{max_steps = 8, per_device_train_batch_size = 4, learning_rate = 0.001,
  logging_steps = 1, save_steps = 1000}}}}{without}):wait()
print("ONE{ranks}\\t" .. losses(one))
print("SEVERAL{ranks}\\t" .. losses(several))
print("EVAL{ranks}\\t" .. one:result().eval_loss .. " " .. several:result().eval_loss)
local times = several.metrics[8].ranks
print("TIMES{ranks}", #times, times[{ranks}].rank, times[1].compute > 0)
"""
    printed = script(home, text, timeout=240)
    for ranks in (2, 3):
        one, several = numbers(printed, f"ONE{ranks}"), numbers(printed, f"SEVERAL{ranks}")
        assert len(one) == 8 and one == pytest.approx(several, rel=1e-5)
        before, after = numbers(printed, f"EVAL{ranks}")
        assert before == pytest.approx(after, rel=1e-5)
        assert f"TIMES{ranks}\t{ranks}\t{ranks - 1}\ttrue" in printed
        from safetensors.torch import load_file
        name = "model.safetensors" if full else "adapter_model.safetensors"
        a, b = load_file(tmp_path / f"one{ranks}" / name), load_file(tmp_path / f"several{ranks}" / name)
        for key, value in a.items():
            assert float((value - b[key]).abs().max()) <= 2e-5 * float(value.abs().max()), key

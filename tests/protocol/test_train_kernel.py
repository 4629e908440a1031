"""A training job in Jupyter: interrupting the wait detaches, restarting the kernel loses nothing."""
import json
import signal
import sys
import time

sys.path.insert(0, str(__import__("pathlib").Path(__file__).resolve().parents[1] / "interop"))
from kernels import LACUS, home, kernel, text  # noqa: F401
from raw_client import RawKernel
from test_train import SLOW, end_coordinator, model, prelude  # noqa: F401


def execute(kernel, code, timeout=60):
    reply, messages = kernel.execute(code, timeout=timeout)
    assert reply["status"] == "ok", reply
    return messages


def test_interrupt_detaches_and_a_restart_finds_the_job(home, model, tmp_path):  # noqa: F811
    args = dict(SLOW, max_steps=150)
    with RawKernel([LACUS, "kernel", "-f", "{connection_file}"]) as first:
        execute(first, prelude(model, tmp_path / "out", **args) + "job = start(); until_step(job, 3)")
        job = text(execute(first, "print(job.id)")).strip()
        msg_id = first.send("execute_request", {"code": "job:wait()"})
        time.sleep(1)
        assert first.request("interrupt_request", {}, channel=first.control)["content"]["status"] == "ok"
        reply = first.receive(timeout=5)
        assert reply["parent"] == msg_id and reply["content"]["ename"] == "KeyboardInterrupt"
        said = [m for m in first.until_idle(msg_id)]
        assert text(said, "stderr").count(f'detached: job \'{job}\' goes on; llm.job("{job}"):wait()') == 1
        shown = [m["content"] for m in said if m["type"] in ("display_data", "update_display_data")]
        assert any("application/vnd.vegalite.v5+json" in c["data"] for c in shown)
        assert any(m["type"] == "update_display_data" for m in said)  # live
        assert text(execute(first, "print(job.status)")).strip() == "running"
        first.process.send_signal(signal.SIGKILL)
    with RawKernel([LACUS, "kernel", "-f", "{connection_file}"]) as second:
        execute(second, f'job = llm.job("{job}"); job:wait()', timeout=120)
        assert text(execute(second, "print(job.status, #job.metrics)")).split() == ["finished", "150"]
    end_coordinator(home / "lacus")

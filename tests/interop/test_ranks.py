"""Training on several workers: the numbers of one, and what happens when one of them goes away, stalls or lies."""
import json
import os
import re
import signal
import subprocess
import time

import nbformat
import pytest

from lacus import LACUS, environment, lacus, script
from test_train import SLOW, free_port, home, invite, model, prelude, write_key  # noqa: F401

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
            # losses within the stated 1e-5; AdamW turns the rounding of an element that has next to no gradient into a step
            assert float((value - b[key]).abs().max()) <= 2e-4 * float(value.abs().max()), key


WAIT = """
local function pids(job) -- of the ranks, of the last attempt
  local list
  for _, e in ipairs(job:events()) do
    if e.event == "status" and e.ranks then
      list = {}
      for i, r in ipairs(e.ranks) do list[i] = r.about:match("pid (%d+)") end
    end
  end
  return list
end
local function restarts(job)
  local n, text = 0, ""
  for _, e in ipairs(job:events()) do
    if e.event == "status" and e.status == "restarting" then n, text = n + 1, e.error.message .. " | " .. e.resume end
  end
  return n, text
end
"""
TWO = dict(SLOW, per_device_train_batch_size=20)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_is_named_and_the_job_goes_on(home, model, tmp_path, rank):
    printed = script(home, prelude(model, tmp_path / "a", **TWO) + WAIT + f"""
local whole = start{{ranks = 2}}:wait():result()
local job = start{{ranks = 2, output_dir = "{tmp_path}/b"}}
until_step(job, 12)
os.execute("kill -9 " .. pids(job)[{rank + 1}])
job:wait()
print("RESTARTS", restarts(job))
print("LOSSES", whole.eval_loss, job:result().eval_loss, #job.metrics, job.status)
""", timeout=120)
    assert re.search(r"RESTARTS\t1\tworker 'local-[^']*' \(pid \d+ .*was killed by signal 9 .*\| checkpoint-\d+", printed), printed
    assert re.search(r"was killed by signal 9 .*; it goes on from checkpoint-", printed)  # and the cell says so
    whole, again, steps, status = re.search(r"LOSSES\t(\S+)\t(\S+)\t(\d+)\t(\w+)", printed).groups()
    assert whole == again and steps == "60" and status == "finished"  # bit for bit
    assert (tmp_path / "a" / "adapter_model.safetensors").read_bytes() == (tmp_path / "b" / "adapter_model.safetensors").read_bytes()


class Box:
    """A worker as another machine would start it."""

    def __init__(self, home, tmp_path, name, listen):
        key, self.endpoint = invite(home, name, *listen)
        self.home = tmp_path / f"home-{name}"
        self.home.mkdir()
        self.key = write_key(tmp_path / f"{name}.key", key)
        self.attach()

    def attach(self):
        self.process = subprocess.Popen([LACUS, "worker", "--connect", self.endpoint, "--key", self.key], env=environment(self.home),
                                        stderr=subprocess.PIPE, text=True)
        assert "attached" in self.process.stderr.readline()

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def boxes(home, tmp_path):
    listen = ["--listen", f"tcp://127.0.0.1:{free_port()}"]
    made = [Box(home, tmp_path, "box1", listen), Box(home, tmp_path, "box2", [])]
    yield made
    for box in made:
        box.end()


def ticks(process):
    fields = open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.parametrize("sig, code, at", [(signal.SIGINT, 130, 0), (signal.SIGTERM, 143, 0.5), (signal.SIGKILL, -9, 0)])
def test_a_stopped_notebook_run_ends_its_job_on_attached_workers(home, model, tmp_path, boxes, sig, code, at):
    cells = [nbformat.v4.new_code_cell(c) for c in (prelude(model, tmp_path / "out", **dict(TWO, max_steps=5000)) +
             "mlflow.start_run{run_name = 'r'}\njob = start{ranks = 2}\nuntil_step(job, 3)\nprint('runs', job.id)\nio.stdout:flush()\njob:wait()", "print('never')")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "lacus", "display_name": "lacus", "language": "lua"}}), tmp_path / "n.ipynb")
    run = subprocess.Popen([LACUS, "run", tmp_path / "n.ipynb", "-o", tmp_path / "o.ipynb"], env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    job = next(line for line in run.stdout if line.startswith("runs")).split()[1]
    assert run.stdout.readline()  # the bar, in the middle of which an interrupt may come
    time.sleep(at)
    run.send_signal(sig)
    start, said = time.time(), run.communicate(timeout=20)[1]
    assert run.returncode == code and time.time() - start < 10, said
    end = time.time() + 20
    while (status := next(j["status"] for j in json.loads(lacus(home, "job", "list", "--output", "json").stdout) if j["id"] == job)) in ("running", "queued"):
        assert time.time() < end
        time.sleep(0.1)
    before = [ticks(box.process) for box in boxes]
    time.sleep(1)
    assert status == "cancelled" and all(now - was < 10 for was, now in zip(before, [ticks(box.process) for box in boxes]))  # they are there, and rest
    nb = nbformat.read(tmp_path / "o.ipynb", 4)
    nbformat.validate(nb)
    if sig != signal.SIGKILL:
        assert "interrupted in cell 1" in said and nb.metadata.lacus.status == "interrupted" and nb.cells[0].outputs[-1].ename == "KeyboardInterrupt"
        assert "".join(o.get("text", "") for o in nb.cells[0].outputs).count(f"interrupted: job '{job}' ends with this notebook's run\n") == 1
        assert [r["info"]["status"] for r in json.loads(lacus(home, "runs", "--output", "json").stdout)] == ["FAILED"]


def test_a_frozen_worker_is_named_and_the_others_go_on(home, model, tmp_path, boxes):
    """On the worker that is left the batch stays what it was: so do the losses."""
    printed = script(home, prelude(model, tmp_path / "a", **TWO) + WAIT + LOSSES + f"""
local job = start{{ranks = 2}}
until_step(job, 12)
os.execute("kill -STOP {boxes[1].process.pid}")
local begin = os.time()
job:wait()
print("NAMED", restarts(job))
print("TOOK", os.time() - begin)
print("SEVERAL\\t" .. losses(job))
print("LAST", #pids(job))
local one = start({{output_dir = "{tmp_path}/b", args = {{max_steps = 60, per_device_train_batch_size = 20, learning_rate = 0.005, logging_steps = 1,
  save_steps = 1000, gradient_accumulation_steps = 2, lr_scheduler_type = "constant"}}}}):wait()
print("ONE\\t" .. losses(one))
""", timeout=180)
    assert re.search(r"NAMED\t1\tworker 'box2' \(pid \d+ on .*(its connection is gone|the connection to rank 1 is gone)", printed), printed
    assert "LAST\t1" in printed
    assert int(re.search(r"TOOK\t(\d+)", printed)[1]) < 60
    assert numbers(printed, "ONE") == pytest.approx(numbers(printed, "SEVERAL"), rel=1e-4)
    assert len(numbers(printed, "ONE")) == 60


def test_sigterm_ends_a_worker_in_time_and_its_job_goes_on(home, model, tmp_path, boxes):
    printed = script(home, prelude(model, tmp_path / "a", **dict(TWO, save_steps=1000)) + WAIT + f"""
local job = start{{ranks = 2}}
until_step(job, 12)
os.execute("kill -TERM {boxes[0].process.pid}")
job:wait()
print("NAMED", restarts(job))
print("STEPS", #job.metrics, job.status)
""", timeout=120)
    boxes[0].process.wait(timeout=30)
    assert boxes[0].process.returncode == 143
    assert re.search(r"NAMED\t1\tworker 'box1' .*SIGTERM.*\| checkpoint-\d+", printed), printed  # which was made then
    assert "STEPS\t60\tfinished" in printed


def test_jobs_wait_for_each_other_and_say_so(home, model, tmp_path):
    printed = script(home, prelude(model, tmp_path / "a", **SLOW) + f"""
local first = start()
until_step(first, 2)
local second = start{{output_dir = "{tmp_path}/b", args = {{max_steps = 2}}}}
sleep(1)
print("SECOND", second.status, second.waits)
os.execute("{LACUS} job list > {tmp_path}/list; {LACUS} worker list > {tmp_path}/workers")
print("FIRST", first.id)
second:wait()
print("BOTH", first.status, second.status)
""", timeout=120)
    first = re.search(r"FIRST\t(\S+)", printed)[1]
    assert f"SECOND\tqueued\tfor job {first} on this machine" in printed, printed
    assert f": waiting for job {first} on this machine" in printed
    assert "BOTH\tfinished\tfinished" in printed
    listed = (tmp_path / "list").read_text()
    assert re.search(rf"{first}\s+running\s+local-\S+", listed), listed
    assert f"for job {first}" in listed


def test_wishes_of_the_one_who_watches(home, model, tmp_path):
    """A checkpoint now, metrics and logs while it runs, the list; all of it also after the session that started the job is gone."""
    job = re.search(r"ID\t(\S+)", script(home, prelude(model, tmp_path / "a", **dict(SLOW, save_steps=1000, max_steps=400)) + """
local job = start()
until_step(job, 3)
print("ID", job.id)"""))[1]
    printed = script(home, f"""
local job = llm.job("{job}")
job:checkpoint()
for i = 1, 100 do
  for _, e in ipairs(job:events()) do if e.event == "checkpoint" then print("KEPT", e.folder, job.status) goto out end end
  sleep(0.1)
end
::out::
print("METRICS", #job:metrics() > 3, job:metrics()[1].loss ~= nil, job:logs():match("kept checkpoint%-%d+"))
print("LISTED", llm.jobs()[1].id, llm.jobs()[1].worker)
print("SHELL", os.execute("{LACUS} job checkpoint {job}"))
job:cancel()
print("ENDED", pcall(job.wait, job))
print("LATE", pcall(job.checkpoint, job))
""", timeout=60)
    assert re.search(r"KEPT\tcheckpoint-\d+\trunning", printed), printed
    assert re.search(r"METRICS\ttrue\ttrue\tkept checkpoint-\d+", printed)
    assert re.search(rf"LISTED\t{job}\tlocal-", printed) and "SHELL\ttrue" in printed
    assert "LATE\tfalse" in printed and "it is cancelled" in printed


def test_a_worker_of_another_version_is_told(home):
    zmq = pytest.importorskip("zmq")
    key, endpoint = invite(home, "old", "--listen", f"tcp://127.0.0.1:{free_port()}")
    with dealer(zmq, key, endpoint) as s:
        s.send_json(dict(HELLO, protocol=1, version="0.0.9"))
        answer = s.recv_json()
    assert answer["type"] == "release" and "lacus 0.0.9" in answer["reason"] and "version 1 of the protocol" in answer["reason"]


HELLO = dict(type="hello", protocol=2, version="x", host="liar", pid=1, memory=1 << 30, cores=1, device="cpu")


def curve(zmq, socket, secret, public, server=None):
    from zmq.utils import z85
    socket.setsockopt(zmq.LINGER, 0)
    socket.curve_secretkey, socket.curve_publickey = z85.encode(bytes.fromhex(secret)), z85.encode(bytes.fromhex(public))
    if server:
        socket.curve_serverkey = z85.encode(bytes.fromhex(server))
    return socket


def dealer(zmq, key, endpoint):
    _, name, server, public, secret = key.split()
    time.sleep(0.5)  # the coordinator has to see the invitation: a refused client of libzmq does not try again
    s = curve(zmq, zmq.Context.instance().socket(zmq.DEALER), secret, public, server)
    s.setsockopt(zmq.RCVTIMEO, 20000)
    s.connect(endpoint)
    return s


def test_a_rank_that_lies_is_named_and_left_out(home, model, tmp_path):
    """A worker with a good key, made by hand, that sends garbage where gradients belong."""
    zmq = pytest.importorskip("zmq")
    listen = ["--listen", f"tcp://127.0.0.1:{free_port()}"]
    honest = Box(home, tmp_path, "honest", listen)
    key, endpoint = invite(home, "liar")
    own = key.split()
    printed = tmp_path / "printed"
    try:
        with dealer(zmq, key, endpoint) as s:
            s.send_json(HELLO)
            assert s.recv_json()["type"] == "welcome"
            with open(printed, "w") as out:
                session = subprocess.Popen([LACUS, "-"], stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, text=True, env=environment(home))
            session.stdin.write(prelude(model, tmp_path / "a", **dict(TWO, max_steps=6)) + WAIT + """
local job = start{ranks = 2}:wait()
print("NAMED", restarts(job))
print("LAST", #pids(job), job.status)
""")
            session.stdin.close()
            run = s.recv_json()
            assert run["type"] == "run" and run["size"] == 2
            job = run["job"]
            pull = curve(zmq, zmq.Context.instance().socket(zmq.PULL), own[4], own[3])
            pull.curve_server = True
            port = pull.bind_to_random_port("tcp://127.0.0.1")
            s.send_json(dict(type="ring", job=job, port=port, key=own[3]))
            peers = s.recv_json()
            assert peers["type"] == "peers"
            push = curve(zmq, zmq.Context.instance().socket(zmq.PUSH), own[4], own[3], peers["next"])
            for _ in range(100):
                push.connect(f"tcp://127.0.0.1:{peers['port']}")
                push.send(b"gradients, honestly")
                if pull.poll(100):
                    break
            s.setsockopt(zmq.RCVTIMEO, 45000)  # it is told to stop and does not: it has 30 s for that
            while s.recv_json()["type"] != "release":
                pass
            pull.close()
            push.close()
        session.wait(60)
    finally:
        honest.end()
    text = printed.read_text()
    assert re.search(r"NAMED\t1\tworker 'liar' .*rank \d, was at fault: rank \d sent .*no message of a ring", text), text
    assert "LAST\t1\tfinished" in text


def test_killed_at_any_moment_ten_times(home, model, tmp_path):
    """A checkpoint each step, so that a kill is likely to meet one being written; the worker and the coordinator die by turns."""
    import random

    args = dict(SLOW, max_steps=150, save_steps=1, per_device_train_batch_size=60)
    dice = random.Random(7)
    whole = script(home, prelude(model, tmp_path / "a", **args) + LOSSES + """local job = start():wait() print("WHOLE\\t" .. losses(job))""", timeout=120)
    job = re.search(r"ID\t(\S+)", script(home, prelude(model, tmp_path / "b", **args) + 'local job = start() print("ID", job.id)'))[1]
    with open(tmp_path / "said", "w") as said:
        session = subprocess.Popen([LACUS, "-"], stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT, text=True, env=environment(home))
    session.stdin.write(LOSSES + f'local job = llm.job("{job}"):wait() print("KILLED\\t" .. losses(job)) print("END", job.status)\n')
    session.stdin.close()
    folder, kills = home / "jobs" / job, 0
    begin = time.time()
    while kills < 10 and time.time() - begin < 120 and session.poll() is None:
        time.sleep(0.3 + dice.random())
        try:
            about = json.loads((home / "workers" / "coordinator.json").read_text())
            victims = [w["pid"] for w in about["workers"] if w["job"] == job] if kills % 3 < 2 else [about["pid"]]
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
                kills += 1
        except (OSError, ValueError, KeyError):
            continue
        for made in folder.glob("checkpoint-*"):  # each is whole at every moment
            assert {f.name for f in made.iterdir()} >= {"adapter_model.safetensors", "optimizer.safetensors", "trainer_state.json"}, made
    session.wait(120)
    printed = (tmp_path / "said").read_text()
    assert kills >= 3, printed
    assert "END\tfinished" in printed, printed
    assert numbers(printed, "KILLED") == numbers(whole, "WHOLE")  # bit for bit
    assert (tmp_path / "a" / "adapter_model.safetensors").read_bytes() == (tmp_path / "b" / "adapter_model.safetensors").read_bytes()

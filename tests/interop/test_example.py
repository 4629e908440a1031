"""examples/finetune.ipynb, run once, as seen by programs that we did not write; then the same notebook by nbclient, and examples/databricks.ipynb."""
import json
import pathlib
import re
import subprocess
import types

import nbformat
import pytest

import notebooks
from lacus import lacus, script_json
from test_serving import Server
from test_train import end_coordinator

pytestmark = pytest.mark.skipif(notebooks.missing() is not None, reason=str(notebooks.missing()))
TABLE = "ml_catalog.llm_data.instruction_pairs"
MODEL = "ml_catalog.llm_models.package_sections"
PROMPT = "### Instruction:\n{}\n\n### Response:\n"
QUESTION = "Which section does the package python3-requests: elegant and simple HTTP library for Python3 belong to?"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The notebook after lacus run: its state folder, its outputs, what was printed."""
    folder = tmp_path_factory.mktemp("example")
    home = folder / "home"
    home.mkdir()
    done = notebooks.run(home, notebooks.FINETUNE, folder / "out.ipynb", **notebooks.SMALL)
    yield types.SimpleNamespace(folder=folder, home=home, printed=done.stdout, notebook=nbformat.read(folder / "out.ipynb", 4))
    end_coordinator(home)


def runs(ran):
    found = json.loads(lacus(ran.home, "runs", "--experiment", "/debian-package-sections", "--output", "json").stdout)
    return {r["info"]["run_name"]: r for r in found}


def keyed(items):
    return {i["key"]: i["value"] for i in items}


def artifacts(run):
    return pathlib.Path(run["info"]["artifact_uri"].removeprefix("file://"))


def test_its_output_is_a_valid_notebook(ran):
    nbformat.validate(ran.notebook)
    cells = [c for c in ran.notebook.cells if c.cell_type == "code"]
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    assert not [o for c in cells for o in c.outputs if o.output_type == "error"]
    shown = {kind for cell in notebooks.kinds(ran.notebook) for kind in cell}
    assert ("display_data", "application/vnd.vegalite.v5+json+text/plain") in shown
    text = notebooks.texts(ran.notebook)
    assert re.search(r"\d\d,\d\d\d records", text)
    assert re.search(r"trainable params: [\d,]+ \|\| all params: [\d,]+ \|\| trainable%: [\d.]+", text)
    assert re.search(r"eval loss [\d.]+ before, [\d.]+ after", text)
    assert re.search(r"accuracy on \d+ test packages: [\d.]+% before, [\d.]+% after; always answering '\w+' gives [\d.]+%", text)
    assert not nbformat.read(notebooks.FINETUNE, 4).cells[4].outputs  # the input is untouched


def test_the_records_are_those_of_apt(ran):
    dump = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True).stdout
    n = len(re.findall(r"^Package: ", dump, re.M))
    assert f"{n:,} records" in notebooks.texts(ran.notebook)
    known = dict(re.findall(r"^Package: (.*)\n(?:.+\n)*?Section: (.*)$", dump, re.M))
    for row in collected(ran)[:200]:
        assert known[row["name"]] == row["response"]


def collected(ran):
    return script_json(ran.home, f"""
        local rows = {{}}
        for i, r in ipairs(spark:table("{TABLE}"):collect()) do rows[i] = r:asDict() end
        print(json.encode(rows))""")


def test_deltalake_agrees_on_every_row(ran):
    from deltalake import DeltaTable

    shown = json.loads(lacus(ran.home, "tables", "show", TABLE, "--output", "json").stdout)
    table = DeltaTable(shown["location"])
    ours, theirs = collected(ran), table.to_pyarrow_table().to_pylist()
    assert len(theirs) == 3000 and len({r["name"] for r in theirs}) == 3000
    by_name = lambda r: r["name"]  # noqa: E731
    assert sorted(ours, key=by_name) == sorted(theirs, key=by_name)
    assert [f.name for f in table.schema().fields] == ["instruction", "response", "name", "description"]
    assert [h["version"] for h in shown["history"]] == [table.version()]


def test_the_run_says_all_that_was_done(ran):
    found = runs(ran)
    assert set(found) == {"pre-training", "sft-lora"}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=notebooks.ROOT, capture_output=True, text=True).stdout.strip()
    for run in found.values():
        assert run["info"]["status"] == "FINISHED"
        tags = keyed(run["data"]["tags"])
        assert tags["mlflow.source.type"] == "NOTEBOOK" and tags["mlflow.source.name"].endswith("examples/finetune.ipynb")
        assert tags.get("mlflow.source.git.commit", "") == commit
        inputs = [json.loads(i["dataset"]["source"]) for i in run["inputs"]["dataset_inputs"]]
        assert inputs == [{"table": TABLE, "version": 0}]
    tuned = found["sft-lora"]
    params, metrics = keyed(tuned["data"]["params"]), keyed(tuned["data"]["metrics"])
    assert keyed(tuned["data"]["tags"])["task"] == "package sections"
    assert (params["r"], params["lora_alpha"], params["target_modules"], params["learning_rate"], params["max_seconds"]) == ("16", "32", "all-linear", "0.001", "6")
    assert params["model"] == f"runs:/{found['pre-training']['info']['run_id']}/model"
    assert {"loss", "eval_loss", "eval_loss_before", "learning_rate", "grad_norm", "accuracy_before", "accuracy_after", "accuracy_majority"} <= set(metrics)
    points = json.loads(lacus(ran.home, "runs", "metrics", tuned["info"]["run_id"], "loss", "--output", "json").stdout)
    assert len(points) >= 2 and points[-1]["value"] == metrics["loss"]
    listed = lacus(ran.home, "runs", "artifacts", tuned["info"]["run_id"]).stdout
    assert "model" in listed and "training_curve.vl.json" in listed
    curve = json.loads((artifacts(tuned) / "training_curve.vl.json").read_text())
    assert "vega-lite" in curve["$schema"]


def trainer_eval_loss(model, tokenizer, rows, folder):
    """What transformers' own Trainer says of these rows."""
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    examples = []
    for r in rows:
        prompt = tokenizer(PROMPT.format(r["instruction"])).input_ids
        ids = (prompt + tokenizer(r["response"], add_special_tokens=False).input_ids + [tokenizer.eos_token_id])[:128]
        examples.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": ([-100] * len(prompt) + ids[len(prompt):])[:128]})
    trainer = Trainer(model=model, args=TrainingArguments(str(folder), per_device_eval_batch_size=8, report_to=[], use_cpu=True, disable_tqdm=True),
                      eval_dataset=examples, data_collator=DataCollatorForSeq2Seq(tokenizer, padding=True))
    return trainer.evaluate()["eval_loss"]


def test_peft_gives_the_same_eval_loss(ran, tmp_path):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found = runs(ran)
    rows = script_json(ran.home, f"""
        local train, validation = spark:table("{TABLE}"):randomSplit({{0.9, 0.05, 0.05}}, 42)
        local rows = {{}}
        for i, r in ipairs(validation:limit(200):collect()) do rows[i] = r:asDict() end
        print(json.encode(rows))""")
    assert 100 < len(rows) <= 200
    adapter = artifacts(found["sft-lora"]) / "model"
    base = AutoModelForCausalLM.from_pretrained(artifacts(found["pre-training"]) / "model", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(adapter)
    metrics = keyed(found["sft-lora"]["data"]["metrics"])
    assert trainer_eval_loss(base, tokenizer, rows, tmp_path) == pytest.approx(metrics["eval_loss_before"], abs=1e-4)
    assert trainer_eval_loss(PeftModel.from_pretrained(base, adapter), tokenizer, rows, tmp_path) == pytest.approx(metrics["eval_loss"], abs=1e-4)
    assert metrics["eval_loss"] < metrics["eval_loss_before"] - 0.05  # it learned
    registered = pathlib.Path(lacus(ran.home, "models", "path", f"models:/{MODEL}@champion").stdout.strip())
    champion = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(registered / "model", dtype=torch.float32), registered / "peft")
    assert trainer_eval_loss(champion, tokenizer, rows, tmp_path) == pytest.approx(metrics["eval_loss"], abs=1e-4)


def test_the_alias_resolves(ran):
    shown = json.loads(lacus(ran.home, "models", "show", MODEL, "--output", "json").stdout)
    assert [v["version"] for v in shown["versions"]] == ["1"]
    assert lacus(ran.home, "models", "path", f"models:/{MODEL}@champion").stdout == lacus(ran.home, "models", "path", f"models:/{MODEL}/1").stdout
    assert lacus(ran.home, "models", "verify", f"models:/{MODEL}@champion").returncode == 0


def test_the_champion_is_served(ran):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    registered = pathlib.Path(lacus(ran.home, "models", "path", f"models:/{MODEL}@champion").stdout.strip())
    tokenizer = AutoTokenizer.from_pretrained(registered / "peft")
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(registered / "model", dtype=torch.float32), registered / "peft").eval()

    def generate(prompt):
        ids = tokenizer(prompt, return_tensors="pt")
        with torch.no_grad():
            out = model.generate(**ids, max_new_tokens=8, do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
        return tokenizer.decode(out[0, ids.input_ids.shape[1]:], skip_special_tokens=True)

    want = generate(PROMPT.format(QUESTION))
    records = [f"Package: {r['name']}\nDescription: {r['description'][:20]}" for r in collected(ran)[:6]]
    server = Server(f"models:/{MODEL}@champion", ran.home)
    try:
        client = server.client()
        name = client.models.list().data[0].id
        assert name == MODEL
        chat = dict(model=name, messages=[{"role": "user", "content": QUESTION}], max_tokens=8, temperature=0)
        text = dict(model=name, prompt=PROMPT.format(QUESTION), max_tokens=8, temperature=0)
        assert client.chat.completions.create(**chat).choices[0].message.content == want
        assert client.completions.create(**text).choices[0].text == want
        assert [c.text for c in client.completions.create(**{**text, "prompt": records}).choices] == [generate(r) for r in records]
        # a model that learned for six seconds may well have nothing to say: by chance it has
        drawn = [client.completions.create(**{**text, "temperature": 1.5, "seed": i}).choices[0].text for i in range(4)]
        streamed = ["".join(c.choices[0].text for c in client.completions.create(**{**text, "temperature": 1.5, "seed": i}, stream=True)) for i in range(4)]
        assert streamed == drawn and any(drawn)
        assert "".join(c.choices[0].delta.content or "" for c in client.chat.completions.create(**chat, stream=True)) == want
        assert "".join(c.choices[0].text for c in client.completions.create(**text, stream=True)) == want
        params = {"max_tokens": 8, "temperature": 0}
        for path in ("/invocations", f"/serving-endpoints/{MODEL}/invocations"):
            assert server.ask(path, {"inputs": [PROMPT.format(QUESTION)], "params": params}) == (200, {"predictions": [want]})
            status, answer = server.ask(path, {"messages": chat["messages"], **params})
            assert (status, answer["choices"][0]["message"]["content"]) == (200, want)
    finally:
        assert server.stop() == 0


def test_nbclient_runs_it_with_the_same_kinds_of_outputs(ran, tmp_path, monkeypatch):
    from nbclient import NotebookClient

    home = tmp_path / "home"
    home.mkdir()
    for name, value in notebooks.kernel_environment(home, tmp_path).items():
        monkeypatch.setenv(name, value)
    nb = notebooks.with_defaults(notebooks.FINETUNE, **notebooks.SMALL)
    try:
        NotebookClient(nb, timeout=300, kernel_name="lacus", resources={"metadata": {"path": str(notebooks.ROOT / "examples")}}).execute()
    finally:
        end_coordinator(home)
    nbformat.validate(nb)
    here, there = notebooks.kinds(nb), notebooks.kinds(ran.notebook)
    assert "application/vnd.jupyter.widget-view+json" in str(here[0])  # the controls of the first cell; lacus run has none
    assert here[1:] == there[1:]
    same = r"[\d,]+ records|[\d,]+ packages in [\d,]+ sections|[\d,]+ to train on, .*|trainable params: .*"
    assert re.findall(same, notebooks.texts(nb)) == re.findall(same, notebooks.texts(ran.notebook))


def test_the_databricks_notebook_runs_on_its_table(ran):
    """Five cells as on Databricks, after `.` became `:`, on the table and the model that finetune.ipynb made."""
    notebooks.run(ran.home, notebooks.DATABRICKS, ran.folder / "databricks.ipynb", max_seconds=4)
    nb = nbformat.read(ran.folder / "databricks.ipynb", 4)
    nbformat.validate(nb)
    cells = [c for c in nb.cells if c.cell_type == "code"]
    assert len(cells) == 5
    read, clean, tune, log = notebooks.kinds(nb)[1:]
    assert ("display_data", "text/html+text/plain") in read
    assert clean == [("stream", "stdout")]
    assert ("display_data", "application/vnd.vegalite.v5+json+text/plain") in tune
    run = json.loads(lacus(ran.home, "runs", "--experiment", "/Shared/package-sections", "--output", "json").stdout)[0]
    metrics, params = keyed(run["data"]["metrics"]), keyed(run["data"]["params"])
    assert run["info"]["status"] == "FINISHED" and run["info"]["run_name"] == "lora-r8"
    assert (params["r"], params["table"]) == ("8", TABLE) and metrics["final_eval_loss"] == metrics["eval_loss"] < metrics["eval_loss_before"]
    assert [json.loads(i["dataset"]["source"])["table"] for i in run["inputs"]["dataset_inputs"]] == [TABLE]
    path = lacus(ran.home, "models", "path", "models:/ml_catalog.llm_models.sections_lora@challenger")
    assert path.returncode == 0 and (pathlib.Path(path.stdout.strip()) / "peft" / "adapter_config.json").exists()
    with_quality = re.search(r"([\d,]+) of ([\d,]+) rows kept", notebooks.texts(nb))
    kept, rows = (int(x.replace(",", "")) for x in with_quality.groups())
    assert rows == 3000 and kept == len({r["instruction"] for r in collected(ran) if 40 < len(r["instruction"]) < 400 and r["response"] != "debug"})

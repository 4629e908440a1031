"""Tracking and the registry as programs that we did not make see them: sqlite3, yaml, transformers, peft."""
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time

import pytest
import yaml

from lacus import LACUS, environment, lacus, script, script_json

LOOP = """
mlflow.start_run{run_name = "long"}
print(mlflow.active_run().info.run_id) io.stdout:flush()
for i = 1, 1e9 do mlflow.log_metric("loss", 1 / i, i) if i % 100 == 0 then print(i) io.stdout:flush() end end
"""


def test_kill_9_loses_no_metric_that_was_acknowledged(home):
    process = subprocess.Popen([LACUS, "repl", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(home))
    process.stdin.write(LOOP)
    process.stdin.close()
    run = process.stdout.readline().strip()
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout))
    reader.start()
    time.sleep(0.3)
    process.kill()
    process.wait()
    reader.join()
    seen = int(lines[-1]) if lines else 0
    assert seen > 0
    done = lacus(home, "runs", "metrics", run, "loss", "--output", "json")
    assert done.returncode == 0, done.stderr
    points = json.loads(done.stdout)
    assert len(points) >= seen
    assert [p["step"] for p in points] == list(range(1, len(points) + 1))
    assert points[seen - 1]["value"] == 1 / seen
    # and the database is what another SQLite reads
    db = sqlite3.connect(home / "workspace.db")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert db.execute("SELECT count(*) FROM tracking_metrics").fetchone() == (len(points),)


def test_every_verb_speaks_json(home):
    script(home, 'mlflow.run("a", function() mlflow.log_param("lr", 0.1) mlflow.log_metric("loss", 0/0) mlflow.log_text("x", "d/f.txt") end)')
    runs = json.loads(lacus(home, "runs", "--output", "json").stdout)
    assert [r["info"]["run_name"] for r in runs] == ["a"]
    assert runs[0]["data"]["params"] == [{"key": "lr", "value": "0.1"}]
    assert runs[0]["data"]["metrics"][0]["value"] == "NaN"
    run = runs[0]["info"]["run_id"]
    assert json.loads(lacus(home, "runs", "show", run, "--output", "json").stdout)["info"]["status"] == "FINISHED"
    files = json.loads(lacus(home, "runs", "artifacts", run, "d", "--output", "json").stdout)
    assert files == [{"path": "d/f.txt", "is_dir": False, "file_size": 1}]
    assert (home / "artifacts" / "0" / run / "artifacts" / "d" / "f.txt").read_text() == "x"
    assert json.loads(lacus(home, "models", "--output", "json").stdout) == []
    assert json.loads(lacus(home, "tables", "--output", "json").stdout) == []
    states = json.loads(lacus(home, "doctor", "--output", "json").stdout)
    assert {"lacus", "LACUS_HOME", "workspace.db", "DuckDB", "kernelspec"} <= {s["name"] for s in states}


@pytest.mark.parametrize("args, code, part", [
    (("runs", "show", "123"), 66, "no run '123'"),
    (("runs", "--filter", "metrics.x <"), 64, "at its end"),
    (("runs", "--outptu", "json"), 64, "--output"),
    (("runs", "--output", "xml"), 64, "table and json"),
    (("models", "show", "nothing"), 66, "no registered model 'nothing'"),
    (("models", "register", "/no/such", "m"), 66, "/no/such"),
    (("models", "path", "models:/x"), 64, "models:/NAME@alias"),
    (("tables", "show", "no.such.table"), 66, "table"),
])
def test_wrong_use_is_one_clear_error(home, args, code, part):
    done = lacus(home, *args)
    assert done.returncode == code and part in done.stderr and done.stdout == ""


def test_a_newer_workspace_is_refused(home):
    script(home, "mlflow.search_runs()")
    db = sqlite3.connect(home / "workspace.db")
    db.execute("UPDATE components SET version = 99 WHERE name = 'tracking'")
    db.commit()
    done = lacus(home, "runs")
    assert done.returncode == 64 and "schema version 99" in done.stderr and "newer lacus" in done.stderr


def tiny_llama(folder):
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2))
    model.save_pretrained(folder)
    tok = Tokenizer(models.WordLevel({str(i): i for i in range(64)}, unk_token="0"))
    tok.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tok, unk_token="0").save_pretrained(folder)
    return model


def test_a_registered_adapter_loads_in_transformers_and_peft(home, tmp_path):
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base, adapter = tmp_path / "base", tmp_path / "adapter"
    tiny_llama(base)
    tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False))
    tuned.save_pretrained(adapter)
    ids = torch.tensor([[1, 2, 3, 4]])
    expected = tuned.eval()(ids).logits

    version = script_json(home, f"""
        mlflow.start_run() mlflow.log_artifacts("{adapter}", "model")
        spark:sql("CREATE CATALOG ml") spark:sql("CREATE SCHEMA ml.models")
        local mv = mlflow.register_model("runs:/" .. mlflow.active_run().run_id .. "/model", "ml.models.tiny")
        mlflow.MlflowClient():set_registered_model_alias(mv.name, "champion", mv.version)
        print(json.encode{{run = mlflow.active_run().run_id, version = mv.version}})""")
    for folder in (base, adapter):  # the registered version stands on its own
        for f in folder.iterdir():
            f.unlink()
        folder.rmdir()
    folder = lacus(home, "models", "path", "models:/ml.models.tiny@champion").stdout.strip()
    again = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder + "/model"), folder + "/peft").eval()
    assert torch.equal(again(ids).logits, expected)
    assert AutoTokenizer.from_pretrained(folder + "/components/tokenizer")("3 4").input_ids == [3, 4]
    assert lacus(home, "models", "verify", "models:/ml.models.tiny/1").returncode == 0

    mlmodel = yaml.safe_load(open(folder + "/MLmodel"))
    flavor = mlmodel["flavors"]["transformers"]
    assert flavor["peft_adaptor"] == "peft" and flavor["model_binary"] == "model" and flavor["components"] == ["tokenizer"]
    assert flavor["pipeline_model_type"] == "LlamaForCausalLM" and flavor["source_model_name"] == str(base)
    assert mlmodel["flavors"]["python_function"]["loader_module"] == "mlflow.transformers"
    assert mlmodel["flavors"]["lacus"]["base_model_path"] == str(base) and len(mlmodel["flavors"]["lacus"]["base_model_digest"]) == 64
    assert mlmodel["run_id"] == version["run"] and version["version"] == "1"


def test_a_registered_model_loads_in_transformers(home, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    model = tiny_llama(tmp_path / "m").eval()
    assert lacus(home, "models", "register", tmp_path / "m", "plain").returncode == 0
    folder = lacus(home, "models", "path", "models:/plain/latest").stdout.strip()
    ids = torch.tensor([[5, 6]])
    assert torch.equal(AutoModelForCausalLM.from_pretrained(folder + "/model").eval()(ids).logits, model(ids).logits)
    shown = json.loads(lacus(home, "models", "show", "plain", "--output", "json").stdout)
    assert shown["versions"][0]["version"] == "1" and shown["versions"][0]["size"] > 1000


def test_interrupted_run_is_failed(home, tmp_path):
    nb = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
        {"cell_type": "code", "id": "a", "metadata": {}, "execution_count": None, "outputs": [], "source": 'mlflow.start_run{run_name = "r"}'},
        {"cell_type": "code", "id": "b", "metadata": {}, "execution_count": None, "outputs": [], "source": 'print("go") while true do end'}]}
    path = tmp_path / "loop.ipynb"
    path.write_text(json.dumps(nb))
    process = subprocess.Popen([LACUS, "run", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(home))
    while process.stdout.readline() != "go\n":  # the loop runs
        pass
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    process.stdout.close()
    runs = json.loads(lacus(home, "runs", "--output", "json").stdout)
    assert [r["info"]["status"] for r in runs] == ["FAILED"]
    tags = {t["key"]: t["value"] for t in runs[0]["data"]["tags"]}
    assert os.path.basename(tags["mlflow.source.name"]) == "loop.ipynb"

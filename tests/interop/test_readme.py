"""What README.md says is run: the example on the reader's own data, and every name of its table."""
import csv
import json
import re

import nbformat
import pytest

from lacus import ROOT, lacus, script
from test_train import end_coordinator, model  # noqa: F401

README = (ROOT / "README.md").read_text()
QUESTIONS = [(f"Which section does package {i} belong to?", ["games", "libs", "doc"][i % 3]) for i in range(60)] + [("Nobody knows?", "")]


@pytest.fixture
def place(tmp_path, home, model):  # noqa: F811
    """A folder with the reader's data and checkpoint, under the names that README.md gives them."""
    with open(tmp_path / "mine.csv", "w", newline="") as f:
        csv.writer(f).writerows([("question", "answer"), *QUESTIONS])
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in QUESTIONS))
    (tmp_path / "path" / "to").mkdir(parents=True)
    (tmp_path / "path" / "to" / "checkpoint").symlink_to(model)
    yield tmp_path
    end_coordinator(home)


@pytest.mark.parametrize("other", [None, 'json("mine.jsonl")'])
def test_the_example_on_your_own_data(home, place, other):
    code = re.search(r"```lua\n(.*?)```", README, re.S)[1]
    assert len(code.splitlines()) <= 8 and 'or :json("mine.jsonl")' in code
    if other:
        code = code.replace('option("header", true):csv("mine.csv")', other)
    (place / "mine.lua").write_text(code)
    done = lacus(home, "mine.lua", cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trainable params: " in done.stdout and "eval loss" in done.stdout
    assert (place / "out" / "adapter_model.safetensors").exists()


def table():
    rows = re.findall(r"^\| (`.*) \| (.*) \|$", README, re.M)
    return [(theirs, [c.replace("\\|", "|") for c in re.findall(r"`([^`]+)`", ours)], ours) for theirs, ours in rows]


# what stands for the names in the table, and what a snippet must give where that is easily said
PRELUDE = """
path, t, e, n, s, v, lr = "x.csv", "cat.db.out", "/readme", "trial", 3, 0.5, "2e-4"
local f = io.open("x.csv", "w") f:write("x,k,v,t\\n1,a,0.5,one two\\n7,a,1.5,one\\n9,b,2.5,three\\n") f:close()
spark:sql("CREATE CATALOG IF NOT EXISTS a") spark:sql("CREATE SCHEMA IF NOT EXISTS a.b")
spark:sql("CREATE CATALOG IF NOT EXISTS cat") spark:sql("CREATE SCHEMA IF NOT EXISTS cat.db")
df = spark.read:csv{path, header = true, inferSchema = true}
df.write:mode("overwrite"):saveAsTable("a.b.c")
"""
WANT = {
    'df:filter(F.col("x"):gt(5))': (":count()", "2"), 'df:filter("x > 5")': (":count()", "2"), 'spark:table("a.b.c")': (":count()", "3"),
    'df:withColumn("n", F.size(F.split("t", " ")))': (":collect()[1].n", "2"), 'df:groupBy("k"):agg(F.avg("v"):alias("m"))': (':orderBy("k"):collect()[1].m', "1.0"),
    "df:collect()[1].x": ("", "1"), "df.columns": ("[2]", "k"), 'fmt("{:,}", n)': ("", None), "spark.read:csv{path, header = true}": (":count()", "3"),
}


def test_every_name_of_the_table(home, place):
    rows = table()
    assert len(rows) >= 16
    codes = [c for _, ours, text in rows for c in ours if c not in ("&", "|", "~", "==", "nil", "null", "%%sql", "a ~= b") and text != "the same"]
    codes += ['dbutils.widgets.text("lr", "2e-4")', 'dbutils.widgets.get("lr")']  # "the same"
    tried = 0
    for code in codes:
        tried += 1
        code = code.replace('spark:sql("SELECT …")', 'spark:sql("SELECT 1")').replace("mlflow.run(n, function(run) … end)", "mlflow.run(n, function(run) return run.info.run_id end)")
        code = code.replace("{…}", "{a = 1}")
        more, want = WANT.get(code, ("", None))
        before = PRELUDE
        if "log_" in code or "end_run" in code:
            before += 'mlflow.set_experiment("/readme") ' + ("mlflow.start_run{run_name = n}\n")
        if "fmt" in code:
            before, want = before + "n = 1234567\n", "1,234,567"
        if "path)" in code and "llm" in code:
            before += 'path = "path/to/checkpoint"\n'
        if code.startswith("m:generate"):
            before += 'm, text = llm.load("path/to/checkpoint"), "Which section"\n'
        if code.startswith("dbutils.widgets.get"):
            before += 'dbutils.widgets.text("lr", "2e-4")\n'
        if code.startswith("args ="):
            code = f'llm.finetune{{model = "path/to/checkpoint", train_dataset = {{"some text"}}, {code}, output_dir = "o"}}:wait()'
        run = f'local text = [==[{code}{more}]==]\nprint((assert(load("return " .. text) or load(text)))())' if more or want is not None or "=" not in code.split("(")[0] else code
        printed = script(home, before + run, cwd=place)
        if want is not None:
            assert printed.splitlines()[-1] == want, (code, printed)
    assert tried >= 20


def test_a_comparison_that_lua_decides_is_refused_with_the_right_spelling(home, place):
    done = lacus(home, "-", text=PRELUDE + 'df:filter(df"x" == 1)', cwd=place)
    assert done.returncode != 0 and "col:eq(x)" in done.stderr


def test_operators_and_magics_of_the_table(home, place):
    assert script(home, PRELUDE + 'print(df:filter(df"x":eq(1) | ~(df"x":gt(8)) & df"k":eq("a")):count())', cwd=place).split()[-1] == "2"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%%sql\nSELECT 40 + 2 AS answer")]), place / "sql.ipynb")
    assert re.search(r"answer.*42", lacus(home, "run", place / "sql.ipynb").stdout, re.S)
    assert script(home, "print(null == nil, 1 ~= 2)").strip() == "false\ttrue"


def test_the_same_names_register_a_model(home, place):
    printed = script(home, """mlflow.start_run() mlflow.log_artifacts("path/to/checkpoint", "model")
        local name, uri = "NAME", "runs:/" .. mlflow.active_run().run_id .. "/model"
        local version = mlflow.register_model(uri, name)
        mlflow.MlflowClient():set_registered_model_alias(name, "champion", version.version)
        print(llm.load("models:/NAME@champion") ~= nil)""", cwd=place)
    assert printed.split()[-1] == "true"


def test_every_file_and_command_it_names_is_there():
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text() + (ROOT / "deps.mk").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", README, re.M)) and {a or b for a, b in re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", README, re.M)} <= targets
    helped = lacus("/nonexistent", "help").stdout
    for command in set(re.findall(r"build/lacus ([a-z]+)", README)) - {"mine"}:
        assert re.search(rf"^  {command}\b", helped, re.M), command

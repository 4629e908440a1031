"""examples/finetune.ipynb on both engines: its cells that read and clean the data, with nothing set and with SPARK_REMOTE on a real Spark server, give the
same rows. (What comes after them, catalogs and Delta tables, is the server's matter there: the plain Spark server of the tests has neither.)"""
import json

import nbformat
import pytest

import notebooks
from lacus import lacus

needs_packages = pytest.mark.skipif(notebooks.missing() is not None, reason=str(notebooks.missing()))

COLLECT = """
local rows, questions_ = {}, {}
for i, r in ipairs(clean:select("description", "section", "dependencies"):orderBy("description"):collect()) do
  rows[i] = {r.description, r.section, r.dependencies}
end
for i, r in ipairs(questions:select("response", F.length("instruction"):alias("n")):collect()) do questions_[i] = {r.response, r.n} end
local f = assert(io.open(OUT, "w"))
f:write(json.encode{rows = rows, questions = questions_, types = {tostring(clean), tostring(questions)}})
f:close()
"""


def data_cells():
    """The cells under '## 2. Data', up to where tables are made."""
    cells = nbformat.read(notebooks.FINETUNE, 4).cells
    first = next(i for i, c in enumerate(cells) if c.cell_type == "markdown" and c.source.startswith("## 2."))
    code = []
    for cell in cells[first + 1:]:
        if cell.cell_type == "markdown":
            break
        before, catalog, _ = cell.source.partition('spark:sql("CREATE CATALOG')
        code.append(before)
        if catalog:
            break
    code[0] = code[0].replace("apt-cache dumpavail >", "apt-cache dumpavail | head -c 8000000 >")  # some of them do
    assert len(code) == 3 and "head -c" in code[0] and "dropDuplicates" in code[1] and "questions" in code[2]
    return code


def answers(home, **env):
    home.mkdir()
    out = home / "out.json"
    done = lacus(home, "-", text=f"local max_rows = 2000\nlocal OUT = {json.dumps(str(out))}\n" + "\n".join(data_cells()) + COLLECT, timeout=300, **env)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(out.read_text()), done.stdout.splitlines()


@needs_packages
def test_the_notebook_cleans_the_same_rows_on_both_engines(tmp_path, spark_server):
    here, shown_here = answers(tmp_path / "here")
    there, shown_there = answers(tmp_path / "there", SPARK_REMOTE=spark_server.url)
    assert here["types"] == there["types"]
    a, b = here["rows"], there["rows"]
    assert len(a) > 5000 and len(a) == len(b) and not [(x, y) for x, y in zip(a, b) if x[0] != y[0]][:3]
    # of several packages with one description Spark keeps any one
    assert sum(x == y for x, y in zip(a, b)) > 0.99 * len(a), [(x, y) for x, y in zip(a, b) if x != y][:3]
    assert len(here["questions"]) == len(there["questions"]) == 2000
    assert "records" in shown_here[0] and shown_here[:9] == shown_there[:9]  # the count, and the first rows as they are shown


PAIRS = """
local rows = {}
for i = 1, 300 do
  rows[i] = {("Which section does the package p%d: %s belong to?"):format(i % 273, ("word "):rep(i % 7)), ({"libs", "perl", "debug"})[i % 3 + 1], "p" .. i, "a package"}
end
spark:createDataFrame(rows, "instruction STRING, response STRING, name STRING, description STRING").write:saveAsTable("pairs")
"""


def test_the_databricks_notebook_reads_and_cleans_a_table_of_either_engine(tmp_path, spark_server):
    """Its first three cells; the others train and register, here on both."""
    cells = [c.source for c in nbformat.read(notebooks.DATABRICKS, 4).cells if c.cell_type == "code"]
    assert len(cells) == 5 and "llm.finetune" in cells[3]
    split = "\nprint(table_name, learning_rate, train:count() + test:count() == clean:count(), tostring(clean))\n"
    printed = []
    for name, env in (("here", {}), ("there", {"SPARK_REMOTE": spark_server.url})):
        home = tmp_path / name
        home.mkdir()
        code = PAIRS + "\n".join(cells[:3]).replace("ml_catalog.llm_data.instruction_pairs", "pairs").replace("df:limit(5)", 'df:orderBy("name"):limit(5)').replace('orderBy(F.desc("n"))', 'orderBy(F.desc("n"), "response")') + split
        done = lacus(home, "-", text=code, timeout=120, **env)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        printed.append(done.stdout)
    assert lacus(home, "-", text='spark:sql("DROP TABLE pairs")', timeout=60, SPARK_REMOTE=spark_server.url).returncode == 0  # others share the server
    assert printed[0] == printed[1]
    assert "300 rows, columns" in printed[0] and "of 300 rows kept" in printed[0] and "true" in printed[0].splitlines()[-1]

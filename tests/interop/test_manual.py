"""The one table of what a cell can say: each name that a cell can reach has a row, examples are Lua, stubs parse, help finds names."""
import pathlib
import re
import subprocess

import nbformat
import pytest
from lacus import LACUS, environment, lacus, script

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Prints KIND<tab>PATH of everything that can be reached from a global by fields, methods and __index tables.
WALK = r"""
local seen = {}
local function members(value, each)
  if type(value) == "table" then for k, v in next, value do each(k, v) end end
  local meta = debug.getmetatable(value)
  if type(meta) ~= "table" then return end
  if type(meta.__index) == "table" then members(meta.__index, each) end
  if type(meta.__dir) == "function" then
    for _, k in ipairs(meta.__dir(value)) do
      local ok, v = pcall(function() return value[k] end)
      each(k, ok and v or nil)
    end
  end
end
local function walk(path, value, class)
  if seen[value] then return end
  seen[value] = true
  members(value, function(k, v)
    if type(k) ~= "string" or k:find("^_") or not k:find("^[%a][%w_]*$") then return end
    print(class or path, k, type(v))
    if type(v) == "table" and not class and getmetatable(v) == nil then walk(path .. "." .. k, v) end
  end)
end
"""


def names():
    """The globals, as the program's own lists have them."""
    text = (ROOT / "repl/globals.c").read_text() + (ROOT / "runtime/session/builtin.c").read_text()
    return sorted(set(re.findall(r'\{"(\w+)", \w+_?open\w*|\{"(\w+)", open_\w+', text)) | set())


@pytest.fixture(scope="module")
def reference():
    return lacus("/tmp", "help", "--reference").stdout


@pytest.fixture(scope="module")
def rows(reference):
    """{(topic, name)} of the whole table."""
    found = set()
    topic = None
    for line in reference.splitlines():
        if line.startswith("## "):
            topic = "" if line == "## Names without a library" else line[3:]
        m = re.match(r"- `(?:[\w.]+[.:])?(\w+)", line)
        if m and topic is not None:
            found.add((topic, m[1]))
    return found


def reached(home, code):
    return [tuple(line.split("\t")) for line in script(home, WALK + code).splitlines()]


def test_every_global_and_what_it_holds_has_a_row(home, rows):
    globals_ = [a or b for a, b in names()]
    assert len(globals_) > 18 and "spark" in globals_ and "json" in globals_
    code = "\n".join(f'if type({g}) == "function" then print("", "{g}", "function") else walk("{g}", {g}) end' for g in globals_ if g not in ("spark", "F"))
    code += '\nfor _, lib in ipairs{"string", "table", "math", "os", "io", "utf8", "coroutine", "debug", "package"} do'
    code += '\n  for k, v in pairs(_G[lib]) do if type(v) == "function" or lib == "math" then print(lib, k, type(v)) end end\nend'
    code += '\nfor k, v in pairs(F) do print("F", k, type(v)) end'
    found = reached(home, code)
    assert len(found) > 500
    free = {("io", "stdin"), ("io", "stdout"), ("io", "stderr")}
    part = {"SparkSession"}  # a table with one object in it
    missing = {(t, n) for t, n, _ in found if (t, n) not in rows and (t, n) not in free and t not in part and f"{t}.{n}" not in {r[0] for r in rows}}
    assert not missing, "\n".join(map(str, sorted(missing)))


OBJECTS = """
local df = spark:createDataFrame({{1, "a"}}, {"n", "s"})
walk("", spark, "SparkSession") walk("", spark.catalog, "spark.catalog") walk("", spark.conf, "spark.conf")
walk("", df:select("n"):limit(1), "DataFrame") walk("", F.col("n"), "Column") walk("", df:groupBy("n"), "GroupedData")
walk("", spark.read, "DataFrameReader") walk("", df.write, "DataFrameWriter") walk("", Window.partitionBy("n"), "WindowSpec")
walk("", mlflow.MlflowClient(), "MlflowClient")
walk("", SparkSession.builder, "SparkSession.builder")
"""


def test_every_method_of_every_class_has_a_row(home, rows):
    found = {(t, n) for t, n, _ in reached(home, OBJECTS)}
    assert {t for t, _ in found} >= {"DataFrame", "Column", "SparkSession", "MlflowClient", "DataFrameWriter"}
    rows = rows | {("spark.catalog", n) for t, n in rows if t == "Catalog"}
    missing = {(t, n) for t, n in found if (t, n) not in rows and (t, n) not in {("DataFrame", "n"), ("DataFrame", "s")}}
    assert not missing, sorted(missing)


def test_a_missing_row_would_be_found(home, rows):
    found = {(t, n) for t, n, _ in reached(home, 'json.unheard_of = print\nwalk("json", json)')}
    assert ("json", "encode") in rows and ("json", "unheard_of") in found - rows


def test_every_row_says_what_it_does(reference):
    bare = [a for a, b in re.findall(r"^- `([^`]*)`(.*\n.*)", reference, re.M) if not re.match(r"  \n  \S|: another name", b)]
    assert len(bare) < 30, bare


def test_every_function_has_an_example(reference):
    """But those that are not there, and functions of Spark whose row the differential suite covers."""
    without = [a for a, b in re.findall(r"^- `([^`]*)`((?:  \n  .*|\n\n  ```|:.*)*)", reference, re.M)
               if "```" not in b and "another name" not in b and "not there" not in b and re.search(r"[({]", a.split(": ")[0].split(" ")[0]) and not a.startswith("F.")]
    assert len(without) < 15, without


MAGICS_LEFT_OUT = re.compile(r"%(pip|luarocks|tensorboard|restart|debug|edit|load_ext|reload_ext|unload_ext|aimport|connect_info|killbgscripts|recall|rep|ed|rerun|save|load|hist|history|%R|%ruby|%node|%perl)\b")


def test_examples_of_magics_run(home, reference, tmp_path):
    examples = [re.sub("^  ", "", e, flags=re.M).rstrip("\n") for e in re.findall(r"  ```text\n(.*?)  ```", reference, re.S)]
    run = sorted((e for e in examples if not MAGICS_LEFT_OUT.match(e)), key=lambda e: (e.startswith(("%reset", "%cd", "%xmode")), not e.startswith("%%writefile"), not e.startswith("%run")))
    assert len(examples) > 55 and len(run) > 35
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in ["n = 3", *run]], metadata={"kernelspec": {"name": "lacus", "display_name": "Lua"}})
    nbformat.write(nb, tmp_path / "m.ipynb")
    done = lacus(home, "run", tmp_path / "m.ipynb", "--allow-errors", "-q", "--cwd", tmp_path)
    failed = [(c.source, o.evalue) for c in nbformat.read(tmp_path / "m.ipynb", 4).cells for o in c.outputs if o.output_type == "error"]
    assert done.returncode == 0 and not failed, (failed, done.stderr)


def test_examples_are_lua(home, reference, tmp_path):
    examples = re.findall(r"  ```lua\n(.*?)  ```", reference, re.S)
    assert len(examples) > 40
    (tmp_path / "examples.txt").write_text("\0".join(examples))
    out = script(home, f"""
for example in (io.open("{tmp_path}/examples.txt"):read("a") .. "\\0"):gmatch("(.-)%z") do
  local f, message = load("return " .. example)
  if not f then f, message = load(example) end
  if not f then print(message) end
end""")
    assert out == "", out


FRAME = """
df = spark:createDataFrame({{1, "a", "moon", "moon", 1, 1, null, 0.5, "1"}, {-2, "b", "sun", "sun", 2, 1, 1, 1.5, "x"}},
  "n INT, k STRING, s STRING, name STRING, day INT, a INT, b INT, x DOUBLE, t STRING"):withColumn("list", F.array(F.lit(1), F.lit(2)))
df = df:withColumn("id", F.col("day")):withColumn("year", F.lit(2026)):withColumn("course", F.col("k")):withColumn("earnings", F.col("x"))
small = spark:createDataFrame({{"a"}}, {"k"})
local function look(x) if type(x) == "userdata" and tostring(x):find("^DataFrame") then x:collect() end end
"""


# What the examples speak of, beside df.
THINGS = """
df:select("k", "x"):createOrReplaceTempView("seen")
df:select("n", "k", "s", "x").write:mode("overwrite"):saveAsTable("people")
df:select("n", "k").write:mode("overwrite"):saveAsTable("lake")
flat, full = df:drop("list"):withColumn("country", F.col("k")):withColumn("price", F.col("x")):withColumn("hour", F.col("day")), df
ds = Dataset.from_list{{text = "one", label = 0, k = "a", x = 1.5}, {text = "two words", label = 1, k = "b", x = 2}, {text = "x", label = 0, k = "c", x = 0}, {text = "y", label = 0, k = "d", x = 0}, {text = "z", label = 1, k = "e", x = -1}}
splits = ds:train_test_split{test_size = 0.5, seed = 1}
client = mlflow.MlflowClient()
other_id = client:create_run("0").info.run_id
run_id = mlflow.start_run{run_name = "example"}.info.run_id
mlflow.log_metric("loss", 0.5) mlflow.log_text("as it was", "notes/readme.txt") mlflow.log_dict({threshold = 0.5}, "config.json")
mlflow.log_text("{}", "model/MLmodel")
experiment_id = client:create_experiment("/Users/me/old")
client:create_registered_model("sft") client:create_model_version("sft", "runs:/" .. run_id .. "/model", run_id) client:set_registered_model_alias("sft", "champion", 1) client:set_registered_model_alias("sft", "challenger", 1)
dbutils.fs.put("notes.txt", "text", true) dbutils.fs.mkdirs("out/day")
dbutils.secrets.createScope("prod") dbutils.secrets.put("prod", "token", "a long value") dbutils.secrets.put("prod", "hub-token", "a long value")
dbutils.secrets.createScope("lake") dbutils.secrets.put("lake", "token", "another value")
dbutils.widgets.text("city", "Oslo") dbutils.widgets.text("learning_rate", "2e-4")
"""
# Compiled only: they need a network, a model, a person, a file of the reader's, or end the session.
COMPILED = re.compile(r"http\.|llm\.|\bjob[:.]|model[:.]|logits|tok[:{]|trainer|Trainer|input\(|os\.exit|dofile|loadfile|io\.read\(|notebook\.|library\.|mlflow\.(peft|pyfunc|transformers|"
                      r"load_model|log_model|register_model)|load_dataset|SparkSession\.builder|debug\.debug|\.gif|spark:stop|file = |session:|spark\.read|spark:(addTag|getTags|interrupt)|/data|\.png|\.jpe?g|"
                      r"listPartitions|main\.|a\.b\.c|error\({code")


def test_examples_run(home, reference, tmp_path):
    """All of them, one after the other, as a reader would type them."""
    examples = [e.strip() for e in re.findall(r"  ```lua\n(.*?)  ```", reference, re.S)]
    run = [e for e in examples if not COMPILED.search(e)]
    assert len(run) > 500 and len(run) > 0.8 * len(examples), (len(run), len(examples))
    code = FRAME + THINGS + "".join(f"""
do local text = {lua_quote(e)}
df = (text:find("csv") or text:find("plot")) and flat or full
if io.open("out") then dbutils.fs.rm("out", true) end
if not text:find("write") then dbutils.fs.mkdirs("out/day") end
if text:find("saveAsTable") then spark:sql("DROP TABLE IF EXISTS sales") end
if text:find("start_run") then mlflow.end_run() end
local ok, e = pcall(function() look((load("return " .. text) or assert(load(text)))()) end)
if not ok then io.stderr:write("FAILED ", text, " ", tostring(e), "\\n") end end""" for e in run)
    (tmp_path / "work").mkdir()
    done = lacus(home, "-", text=code, cwd=tmp_path / "work")
    assert done.returncode == 0, done.stderr[-3000:]
    failed = [line for line in done.stderr.splitlines() if line.startswith("FAILED")]
    assert not failed, "\n".join(failed)



def lua_quote(text):
    return "[==[" + text + "]==]"


def test_stubs_are_lua_and_annotated(tmp_path):
    stubs = lacus("/tmp", "help", "--stubs").stdout
    path = tmp_path / "lacus.lua"
    path.write_text(stubs)
    assert subprocess.run(["lua5.4", "-e", f'assert(loadfile("{path}"))()'], capture_output=True, text=True).returncode == 0
    assert stubs.startswith("---@meta")
    annotation = re.compile(r"---@(meta \w+|class [\w.]+(: \w+)?|alias \w+ .+|field (\w+|\[[\w|]+\]) \S.*|param (\.\.\.|\w+\??) \S.*|return \S.*|type \S.*|overload fun\(.*\).*|operator \w+(\(any\))?: \w+)$")
    wrong = [line for line in stubs.splitlines() if line.startswith("---@") and not annotation.match(line)]
    assert not wrong, wrong[:10]
    for line in ("function json.encode(value, options) end", "---@param options? { indent?: boolean|integer|string, sort_keys?: boolean }",
                 "---@field columns string[]", "function DataFrame:filter(condition) end", "---@type SparkSession", "function mlflow.log_metric(key, value, step, timestamp, run_id) end",
                 "function dbutils.widgets.get(name) end", "function widgets.IntSlider("):
        assert line in stubs, line
    for line in stubs.splitlines():
        m = re.match(r"---@(?:param \S+|return|type) (.*?)(?: default: .*)?$", line)
        if m:
            assert m[1].count("{") == m[1].count("}") and m[1].count("(") == m[1].count(")"), line
    declared = set(re.findall(r"^---@(?:class|alias) ([\w.]+)", stubs, re.M)) | {
        "any", "nil", "boolean", "string", "number", "integer", "function", "table", "thread", "userdata", "lightuserdata", "true", "false", "fun", "self"}
    for line in stubs.splitlines():
        m = re.match(r"---@(?:param \S+|return|type|field (?:\w+|\[\w+\])|overload|operator [^:]+:) (.*?)(?: default: .*)?$", line)
        if m:
            text = re.sub(r'"[^"]*"', "", m[1] if not line.startswith("---@field") else re.match(r"(\{[^}]*\}(\[\])?|\S+)", m[1])[1])
            named = set(re.findall(r"(?<![\w.])([A-Za-z_][\w.]*\w|[a-z])(?![\w.]|\??:)", text))
            assert named <= declared, (line, named - declared)


def test_stubs_say_what_calls_with_names_give():
    stubs = lacus("/tmp", "help", "--stubs").stdout
    head = {m[2]: m[1] for m in re.finditer(r"((?:---.*\n)+)function ([\w.:]+)\(", stubs)}
    assert "---@overload fun(options: {" in head["llm.finetune"] and head["llm.finetune"].count("}): Job\n") == 1
    assert "---@return DataFrame ...\n" in head["DataFrame:randomSplit"]
    assert "---@overload fun(self, options: {name?: string, alias?: string, version?: string|integer})\n" in head["MlflowClient:set_registered_model_alias"]
    assert "---@overload fun(data: DataFrame, options: {" in head["plot.line"]
    assert "ascending" in head["DataFrame:orderBy"].split("---@overload")[1] and "@param ascending" not in head["DataFrame:orderBy"]
    assert "---@param schema? string|StructType\n" in head["DataFrameReader:csv"]
    column = re.search(r"---@class Column\n((?:---.*\n)*)", stubs)[1]
    assert "---@operator bnot: Column\n" in column and "---@operator add(any): Column\n" in column


def test_help_finds_names_topics_and_magics(home):
    def told(*args):
        done = lacus(home, "help", *args)
        return done.returncode, done.stdout + done.stderr

    code, text = told("json.encode")
    assert code == 0 and text.startswith("json.encode(value: any, options?: {indent?") and "> json.encode" in text
    assert "DataFrame:filter(condition) -> DataFrame" in told("filter")[1]
    assert "DataFrame:filter" in told("df.filter")[1] and "DataFrame:filter" in told("DataFrame:filter")[1]
    assert "SQL> " in told("F.aes_decrypt")[1]
    assert "encode" in told("json")[1] and "createDataFrame" in told("spark")[1]
    assert "%timeit" in told("%timeit")[1] and "%timeit" in told("timeit")[1]
    code, text = told("filtr")
    assert code == 64 and "did you mean 'filter'" in text
    assert told("run")[1].startswith("usage: lacus run")
    assert subprocess.run([LACUS, "help"], capture_output=True, text=True, env=environment(home)).stdout.startswith("usage")


def test_every_command_tells_its_usage_when_asked(home):
    listed = re.findall(r"^  ([a-z]+) ", lacus(home, "help").stdout, re.M)
    assert {"run", "serve", "worker", "models"} <= set(listed)
    for command in listed:
        for word in ("--help", "-h"):
            done = lacus(home, command, word)
            assert done.returncode == 0 and done.stdout.startswith(f"usage: lacus {command}") and not done.stderr, (command, done)

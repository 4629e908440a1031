"""Cards of runs and experiments: their curves are well-formed SVG with the values that were logged."""
import re
import xml.etree.ElementTree

from lacus import script_json

LOG = """
mlflow.set_experiment("/cards <1>")
local runs = {}
for i = 1, 2 do
  mlflow.run("run-" .. i, function(run)
    mlflow.log_params{lr = i * 0.1, seed = 7}
    for step = 0, 9 do mlflow.log_metric("loss", (10 - step) / i, step) end
    mlflow.log_metric("accuracy", 0.5 + i / 10)
    runs[i] = run.info.run_id
  end)
end
local function bundle(x) return getmetatable(x).__mimebundle(x) end
print(json.encode{run = bundle(mlflow.get_run(runs[1])), compare = bundle(mlflow.compare(runs)), experiment = bundle(mlflow.get_experiment_by_name("/cards <1>")),
  text = tostring(mlflow.compare(mlflow.get_run(runs[1]), mlflow.get_run(runs[2])))})
"""


def curves(html):
    """[{title, [(points, name)…]}…] of the drawings in a page."""
    out = []
    for text in re.findall(r"<svg.*?</svg>", html, re.S):
        svg = xml.etree.ElementTree.fromstring(text)
        ns = "{http://www.w3.org/2000/svg}"
        lines = [([tuple(map(float, p.split(","))) for p in line.get("points").split()], line.find(ns + "title").text) for line in svg.iter(ns + "polyline")]
        out.append((svg.find(ns + "text").text, lines))
    return out


def test_cards(tmp_path):
    cards = script_json(tmp_path, LOG)
    (title, lines), = curves(cards["run"]["text/html"])
    assert title == "loss" and len(lines) == 1 and len(lines[0][0]) == 10
    ys = [y for _, y in lines[0][0]]
    assert ys == sorted(ys)  # the loss falls: on the page it goes down
    assert re.search(r"█[▁-█]+▁ loss 10 → 1", cards["run"]["text/plain"])
    (title, lines), = curves(cards["compare"]["text/html"])
    assert title == "loss" and [name for _, name in lines] == ["run-1", "run-2"]
    html = cards["compare"]["text/html"]
    assert re.search(r'font-weight:bold"><td[^>]*>params.lr', html) and re.search(r'color:#888"><td[^>]*>params.seed', html)
    rows = [line.split() for line in cards["text"].splitlines()]
    assert rows[0] == ["run-1", "run-2"] and ["*", "params.lr", "0.1", "0.2"] in rows and ["params.seed", "7", "7"] in rows and ["*", "metrics.accuracy", "0.6", "0.7"] in rows
    assert "/cards &lt;1&gt;" in cards["experiment"]["text/html"] and "run-2" in cards["experiment"]["text/plain"] and len(curves(cards["experiment"]["text/html"])) == 1

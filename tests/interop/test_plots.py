"""Plots: their Vega-Lite is valid against Vega-Lite's own schema, their numbers are those of numpy and of the dataframe's engine."""
import json
import pathlib

import altair
import jsonschema
import numpy
import pytest
from lacus import script, script_json

SCHEMA = json.loads((pathlib.Path(altair.__file__).parent / "vegalite/v5/schema/vega-lite-schema.json").read_text())
VALIDATOR = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
MIME = "application/vnd.vegalite.v5+json"
FRAME = """local rows = {} for i = 1, 300 do rows[i] = {id = i, k = 'k' .. i % 3, v = (i * i * 7 % 100) / 10 + 0.0, w = i % 5} end
rows[301] = {id = 301, k = 'k0', v = 99.0, w = 1}
local df = spark:createDataFrame(rows)
"""
PLOTS = {
    "line": "plot.line{x = {1, 2, 3}, y = {4, 5, 6}, title = 'T', xlabel = 'x', ylabel = 'y'}",
    "lines": "plot.line{x = {1, 10}, y = {a = {1, 2}, b = {3, 4}}, logx = true, yscale = 'log', colors = {a = 'red', b = '#00ff00'}}",
    "series": "plot.scatter{series = {{name = 'p', x = {1, 2}, y = {3, 4}}, {name = 'q', x = {5}, y = {6}}}, colors = {'red', 'blue'}, width = 300, height = 100}",
    "texts": "plot.line{x = {'mon', 'tue'}, y = {1, 2}, color = 'green'}",
    "bar": "plot.bar{apples = 3, pears = 6, title = 'fruit'}",
    "grouped": "plot.bar{x = {'a', 'b'}, y = {p = {1, 2}, q = {3, 4}}}",
    "stacked": "plot.bar{x = {'a', 'b'}, y = {p = {1, 2}, q = {3, 4}}, stacked = true}",
    "hist": "plot.hist{1, 2, 2, 3, bins = 3}",
    "hists": "plot.hist{x = {p = {1, 2, 2, 3}, q = {3, 4, 9}}, bins = 4, logy = true}",
    "box": "plot.box{a = {1, 2, 3, 4, 50}, b = {2, 3}, title = 'B', ylabel = 'value', logy = true, color = 'teal'}",
    "one box": "plot.box{y = {1, 2, 3}}",
    "heat": "plot.heatmap{{1, 2}, {3, 4}}",
    "heat named": "plot.heatmap{z = {{1, 2}, {3, 4}}, x = {'mon', 'tue'}, y = {'am', 'pm'}, colors = {'white', 'black'}}",
    "long": "(function() local t = {} for i = 1, 50000 do t[i] = i end return plot.line(t) end)()",
    "gaps": "plot.line{0/0, 1/0, 5}",
    "df line": "plot.line(df, {x = 'id', y = 'v'})",
    "df lines": "plot.line{data = df, x = 'id', y = {'v', 'w'}, title = 'two'}",
    "df by": "plot.scatter(df, {x = 'id', y = 'v', by = 'k'})",
    "df count": "plot.bar(df, {x = 'k'})",
    "df agg": "plot.bar(df, {x = 'k', y = 'v', agg = 'avg', by = 'w'})",
    "df hist": "plot.hist(df, {x = 'v', bins = 5})",
    "df box": "plot.box(df, {x = 'k', y = 'v'})",
    "df heat": "plot.heatmap(df, {x = 'k', y = 'w', value = 'v', agg = 'sum'})",
    "df heat z": "plot.heatmap(df, {x = 'k', y = 'w', z = 'v', agg = 'sum'})",
    "df itself": "plot.line(spark:sql('select id, id + 5 y from range(3)'), {x = 'id', y = {'id', 'y'}})",
    "df days": "plot.line(spark:sql(\"select date_add(date'2024-01-31', cast(id * id as int)) d, id v from range(10)\"), {x = 'd', y = 'v'})",
    "times": "plot.scatter{x = {'2024-01-01 10:00:00', '2024-01-01 11:30:00'}, y = {1, 2}}",
    "many": "plot.bar(spark:sql(\"select 'a longer name ' || id k from range(30)\"), {x = 'k'})",
    "df bars": "plot.bar(df, {x = 'k', y = {'v', 'w'}, agg = 'max'})",
    "df hists": "plot.hist(df, {x = {'v', 'w'}, bins = 4})",
    "df boxes": "plot.box(df, {y = {'v', 'w'}})",
    "df null": "plot.bar(spark:sql(\"select case when id > 2 then null else 'g' end g, cast(id as decimal(20, 2)) m from range(5)\"), {x = 'g', y = 'm', agg = 'max'})",
    "below 0": "plot.bar{apples = 1, pears = -2}",
    "decimals": "plot.line{y = {'1.50', 2, null, 0/0}}",
    "df long": "plot.scatter(spark:range(100000):withColumn('y', F.col('id') * 2), {x = 'id', y = 'y'})",
}


@pytest.fixture(scope="module")
def plots(tmp_path_factory):
    """name → {vega, text}, all drawn by one program."""
    code = FRAME + "local out = {}\n"
    for name, text in PLOTS.items():
        code += f"do local p = {text}\nlocal b = getmetatable(p).__mimebundle(p) out[{name!r}] = {{vega = b['{MIME}'], text = b['text/plain']}} end\n"
    return script_json(tmp_path_factory.mktemp("plots"), code + "print(json.encode(out))")


@pytest.mark.parametrize("name", PLOTS)
def test_vega_is_valid(plots, name):
    errors = sorted(VALIDATOR.iter_errors(plots[name]["vega"]), key=lambda e: len(e.path))
    assert not errors, errors[0].message[:500]
    assert plots[name]["text"].strip()


def values(plots, name):
    return plots[name]["vega"]["data"]["values"]


def frame():
    rows = [(i, f"k{i % 3}", (i * i * 7 % 100) / 10, i % 5) for i in range(1, 301)]
    return rows + [(301, "k0", 99.0, 1)]


def test_boxes_are_those_of_numpy(plots):
    for name, data in (("a", [1, 2, 3, 4, 50]), ("b", [2, 3])):
        box = next(b for b in values(plots, "box") if b["x"] == name)
        q1, median, q3 = numpy.percentile(data, [25, 50, 75])
        inside = [v for v in data if q1 - 1.5 * (q3 - q1) <= v <= q3 + 1.5 * (q3 - q1)]
        assert [box[k] for k in ("q1", "median", "q3", "low", "high")] == [q1, median, q3, min(inside), max(inside)]
        assert box["outliers"] == [v for v in data if v not in inside]


def test_boxes_of_a_dataframe_are_those_of_numpy(plots):
    for box in values(plots, "df box"):
        data = [v for _, k, v, _ in frame() if k == box["x"]]
        q1, median, q3 = numpy.percentile(data, [25, 50, 75])
        inside = [v for v in data if q1 - 1.5 * (q3 - q1) <= v <= q3 + 1.5 * (q3 - q1)]
        assert [box[k] for k in ("q1", "median", "q3", "low", "high")] == pytest.approx([q1, median, q3, min(inside), max(inside)])
        assert box["count"] == len(data) and sorted(box["outliers"]) == sorted(v for v in data if v not in inside)


@pytest.mark.parametrize("name, data, bins", [("hist", [1, 2, 2, 3], 3), ("df hist", [v for _, _, v, _ in frame()], 5)])
def test_histograms_are_those_of_numpy(plots, name, data, bins):
    counts, edges = numpy.histogram(data, bins=bins)
    got = values(plots, name)
    assert [b["y"] for b in got] == list(counts)
    assert [b["x"] for b in got] + [got[-1]["x2"]] == pytest.approx(list(edges))


def test_aggregates_are_made_by_the_engine(plots):
    rows = frame()
    assert {b["x"]: b["y"] for b in values(plots, "df count")} == {k: sum(r[1] == k for r in rows) for k in ("k0", "k1", "k2")}
    for point in values(plots, "df agg"):
        chosen = [v for _, k, v, w in rows if k == point["x"] and str(w) == point["series"]]
        assert point["y"] == pytest.approx(sum(chosen) / len(chosen))
    for cell in values(plots, "df heat"):
        assert cell["value"] == pytest.approx(sum(v for _, k, v, w in rows if k == cell["x"] and w == cell["y"]))
    assert [(p["x"], p["y"]) for p in values(plots, "df line")] == [(i, pytest.approx(v)) for i, _, v, _ in rows]


def test_several_columns_of_a_dataframe(plots):
    rows = frame()
    assert {(b["x"], b["series"]): b["y"] for b in values(plots, "df bars")} == {(k, name): max(r[i] for r in rows if r[1] == k) for k in ("k0", "k1", "k2") for name, i in (("v", 2), ("w", 3))}
    low, high = min(r[i] for r in rows for i in (2, 3)), max(r[i] for r in rows for i in (2, 3))
    for name, i in (("v", 2), ("w", 3)):
        counts, edges = numpy.histogram([r[i] for r in rows], bins=4, range=(low, high))
        got = [b for b in values(plots, "df hists") if b["series"] == name]
        assert [b["y"] for b in got] == list(counts) and [b["x"] for b in got] == pytest.approx(list(edges)[:-1])
        box = next(b for b in values(plots, "df boxes") if b["x"] == name)
        assert [box[k] for k in ("q1", "median", "q3")] == pytest.approx(numpy.percentile([r[i] for r in rows], [25, 50, 75]))
    assert {b["x"]: b["y"] for b in values(plots, "df null")} == {"g": 2, "null": 4}


def test_a_column_may_be_drawn_over_itself(plots):
    values = plots["df itself"]["vega"]["data"]["values"]
    assert sorted((v["series"], v["x"], v["y"]) for v in values) == [("id", 0, 0), ("id", 1, 1), ("id", 2, 2), ("y", 0, 5), ("y", 1, 6), ("y", 2, 7)]


def test_z_of_a_heat_map_is_its_value(plots):
    """Not forgotten, which would count the rows."""
    assert plots["df heat z"]["vega"]["data"]["values"] == plots["df heat"]["vega"]["data"]["values"]


def test_bars_below_zero_go_the_other_way(plots):
    apples, pears = plots["below 0"]["text"].splitlines()
    assert apples.index("█") > pears.rindex("█") and pears.count("█") >= 2 * apples.count("█") > 20, (apples, pears)
    assert [p["y"] for p in values(plots, "decimals")] == [1.5, 2, None, None]


def test_words_below_an_axis_lie_flat_where_they_fit(plots):
    assert plots["grouped"]["vega"]["encoding"]["x"]["axis"]["labelAngle"] == 0
    assert plots["df heat"]["vega"]["encoding"]["x"]["axis"]["labelAngle"] == 0
    assert plots["many"]["vega"]["encoding"]["x"]["axis"]["labelAngle"] < 0


def test_what_was_left_out_is_said(plots):
    assert len(values(plots, "long")) <= 20000 and plots["long"]["vega"]["title"]["subtitle"] == "16667 of 50000 points"
    assert len(values(plots, "df long")) <= 5000 and "a sample of about 5,000 of 100,000 rows" in plots["df long"]["text"]
    assert all(p["y"] == 2 * p["x"] for p in values(plots, "df long"))


def test_scales_colours_and_titles(plots):
    lines = plots["lines"]["vega"]["encoding"]
    assert lines["x"]["scale"]["type"] == lines["y"]["scale"]["type"] == "log"
    assert dict(zip(lines["color"]["scale"]["domain"], lines["color"]["scale"]["range"])) == {"a": "red", "b": "#00ff00"}
    assert plots["texts"]["vega"]["mark"]["color"] == "green" and plots["line"]["vega"]["title"] == "T"
    assert "xOffset" in plots["grouped"]["vega"]["encoding"] and "xOffset" not in plots["stacked"]["vega"]["encoding"]
    assert plots["series"]["vega"]["width"] == 300 and plots["df line"]["vega"]["encoding"]["x"]["title"] == "id"


def test_text_forms(plots):
    box = plots["box"]["text"].splitlines()
    assert box[0] == "B" and all(c in box[1] for c in "┃·") and box[-1].split() == ["1", "50"]
    assert plots["heat named"]["text"].splitlines() == ["am │· ░░", "pm │▓▓██", "x: mon to tue   · 1  █ 4"]
    text = plots["lines"]["text"].splitlines()
    assert any(0x2800 < ord(c) < 0x2900 for line in text for c in line) and text[-1].split() == ["1", "10"]


def test_plot_itself_draws_lines(tmp_path):
    assert script_json(tmp_path, "print(json.encode{tostring(plot{1, 4, 2}) == tostring(plot.line{1, 4, 2})})") == [True]


def test_dates_have_an_axis_of_their_own(plots):
    x = plots["df days"]["vega"]["encoding"]["x"]
    assert x["type"] == "temporal" and x["scale"] == {"type": "utc"} and values(plots, "df days")[1]["x"] == "2024-02-01"
    assert plots["times"]["vega"]["encoding"]["x"]["type"] == "temporal" and plots["texts"]["vega"]["encoding"]["x"]["type"] == "nominal"
    assert plots["df days"]["text"].splitlines()[-1].split() == ["2024-01-31", "d", "2024-04-21"] and plots["texts"]["text"].splitlines()[-1].split() == ["mon", "tue"]


MISTAKES = {
    "plot.line(df, {x = 'id'})": 'needs y = "column"',
    "plot.bar(df, {})": 'needs x = "column"',
    "plot.bar(df, {x = 'k', y = 'v', agg = 'nothing'})": "no function 'nothing'",
    "plot.line({1, 2}, {xscale = 'cubic'})": '"linear" or "log", not "cubic"',
    "plot.box{a = {}}": "'a' has no finite numbers",
    "plot.heatmap{z = 3}": "expected",
    "plot.hist(df, {x = 'k'})": "",
    "plot.line(3)": "table expected",
    "plot.hist{1, 2, bins = 'many'}": "bins: a number from 1 to 10000",
    "plot.line({1, 2}, 'title')": "table of options expected",
    "plot.line({1, 2}, {3, 4}, {titel = 'x'})": "plot.line has no option 'titel'; did you mean 'title'?",
    "plot.line({1, 2}, {3})": "x has 2 values and y has 1",
    "plot.hist({1, 2}, {3, 4})": "a table of options has names",
    "plot.bar{'a', 'b'}": "y[1] is the text 'a'; values are numbers",
    "plot.bar{x = {1, 2}, y = {3, 'b'}}": "y[2] is the text 'b'",
    "plot.bar{apples = 'many'}": "'apples' is no option of plot.bar, and a string; a bar is a number",
    "plot.bar{apples = 1, titel = 'fruit'}": "did you mean 'title'?",
    "plot.line{1, 2, titel = 'x'}": "plot.line has no option 'titel'; did you mean 'title'?",
    "plot.line({1, 2}, {width = 'wide'})": "the option 'width' is a number of pixels",
    "plot.line({1, 2}, {title = {}})": "the option 'title' is a text, not a table",
    "plot.hist{'a', 'b'}": "values[1] is the text 'a'",
    "plot.box{a = {1, 'x'}}": "a[2] is the text 'x'",
    "plot.heatmap{{1, 'x'}}": "row 1[2] is the text 'x'",
    "plot.heatmap{x = {1, 2}, y = {1, 2}, value = {1}}": "x has 2 values, y 2 and value 1",
    "plot.line{}": "there are no values to draw",
    "plot{1, 'a'}": "y[2] is the text 'a'",
    "plot(5)": "bad argument #1",
    "plot.line(df, {x = 'id', y = 'k'})": "draws numbers, and column 'k' holds texts",
    "plot.line(df:filter('id > 1000'), {x = 'id', y = 'v'})": "there are no rows to draw",
    "plot.hist(spark:sql('select current_date() d'), {x = 'd'})": "column 'd' is a date",
    "plot.line(spark:sql('select 1 x, cast(null as int) y'), {x = 'x', y = 'y'})": "column 'y' has no numbers",
}


def test_mistakes_are_named(tmp_path):
    code = FRAME + "local out = {}\n" + "".join(f"do local ok, e = pcall(function() return {text} end) out[#out + 1] = ok and 'drawn' or tostring(e) end\n" for text in MISTAKES)
    for (text, want), got in zip(MISTAKES.items(), script_json(tmp_path, code + "print(json.encode(out))")):
        assert want in got and (got != "drawn" or not want), (text, got)


@pytest.mark.parametrize("values", [[1, 4, 9, 16], [-0.3, 0.2, 0.1], [5, 5, 5], [100000, 100001], [0.001, 0.5, 1234567], [1e-300, 2e-300], [-1e308, 1e308], [7]], ids=str)
def test_the_numbers_of_a_text_plot_are_round_and_hold_what_is_drawn(values, tmp_path):
    lines = script(tmp_path, f"display(plot.line{{{', '.join(map(str, values))}}})").splitlines()
    numbers = [float(line.split("│")[0]) for line in lines if "│" in line and line.split("│")[0].strip()]
    steps = -numpy.diff(numbers)
    assert 3 <= len(numbers) <= 8 and numpy.allclose(steps, steps[0], rtol=1e-6, atol=0)
    digit = steps[0] / 10 ** numpy.floor(numpy.log10(steps[0]) + 1e-9)
    assert min(abs(digit - d) for d in (1, 2, 5)) < 1e-6 and abs(numbers[0] / steps[0] - round(numbers[0] / steps[0])) < 1e-3
    if max(map(abs, values)) < 1e300:  # beyond, the ends of what a double can be are cut
        assert numbers[-1] <= min(values) and max(values) <= numbers[0]

"""Cases for the differential suite, and running them on both engines: the embedded one and a Spark server, through the same Lua script.

A case is a text of Lua that gives a DataFrame. What is compared: the names and types of its columns, its rows (order only where the plan says one),
and for failures the class of the error. Cases are functions (one per row of functions.def) and plans drawn at random from a seed."""
import ast
import fnmatch
import json
import math
import pathlib
import random
import re
import subprocess

from lacus import LACUS, ROOT, environment

FUNCTIONS = ROOT / "runtime" / "dataframe" / "sqlgen" / "functions.def"
DIFFERENCES = pathlib.Path(__file__).parent / "spark_differences.txt"

# The tables of all cases: small, with NULLs, ties, negative numbers, empty and odd texts.
SETUP = r'''
local schema_a = "k INT, i INT, l BIGINT, d DOUBLE, s STRING, b BOOLEAN, dt DATE, ts TIMESTAMP, a ARRAY<INT>, dec DECIMAL(10,2)"
local function day(s) return s end
local raw = {
  {1, 5, 50, 1.5, "apple", true, "2024-01-15", "2024-01-15 10:30:00", {1, 2, 3}, "10.25"},
  {2, -3, 7000000000, -2.25, "Banana", false, "2023-12-31", "2023-12-31 23:59:59", {}, "-3.50"},
  {3, null, 0, 0.0, "", null, "2024-02-29", "2024-02-29 00:00:00", {5, null, 1}, "0.00"},
  {4, 12, -1, null, "a b c", true, null, null, null, null},
  {5, 5, null, 100.125, null, false, "2000-03-01", "2000-03-01 12:00:00.5", {3, 3, 2}, "99999.99"},
  {6, 0, 3, 1.5, "apple", true, "2024-01-15", "2024-01-15 10:30:00", {7}, "10.25"},
  {7, 7, 11, -0.75, "zürich", false, "1999-12-31", "1999-12-31 08:15:30.25", {2, 9}, "1.00"},
}
local function typed(df) -- texts into the types that Lua has no values of
  return df:selectExpr("k", "i", "l", "d", "s", "b", "CAST(dt AS DATE) AS dt", "CAST(ts AS TIMESTAMP) AS ts", "a", "CAST(dec AS DECIMAL(10,2)) AS dec",
                       "map('x', k, 'y', i) AS m", "named_struct('p', i, 'q', s) AS st", "CAST(s AS BINARY) AS x")
end
f = typed(spark:createDataFrame(raw, "k INT, i INT, l BIGINT, d DOUBLE, s STRING, b BOOLEAN, dt STRING, ts STRING, a ARRAY<INT>, dec STRING"))
t = f:drop("m", "st", "x") -- maps have no order and are no keys
u = spark:createDataFrame({{1, "apple", 10}, {2, "kiwi", 20}, {3, null, 30}, {5, "apple", null}, {5, "Banana", 50}, {9, "fig", 90}}, "k INT, s STRING, v INT")
v = spark:createDataFrame({{"x", 1, 1.0}, {"x", 2, 2.0}, {"y", 3, null}, {"y", 4, 4.5}, {null, 5, 0.5}}, "g STRING, n INT, w DOUBLE")
W = Window
'''

RUNNER = r'''
local function plain(x)
  local kind = math.type(x)
  if kind == "float" then
    if x ~= x then return {f = "nan"} elseif x == math.huge then return {f = "inf"} elseif x == -math.huge then return {f = "-inf"} end
    return {f = ("%.17g"):format(x)}
  elseif kind == "integer" or type(x) == "boolean" or x == nil or x == null then return x == nil and null or x
  elseif type(x) == "string" then return x:gsub("[\0-\31\128-\255]", function(c) return ("\\x%02x"):format(c:byte()) end)
  elseif type(x) == "table" or type(x) == "userdata" then
    local out, n = {}, 0
    local ok = pcall(function()
      if type(x) == "table" then
        for i, e in ipairs(x) do n = i; out[i] = plain(e) end
        local keys = {}
        for key in pairs(x) do if math.type(key) ~= "integer" or key < 1 or key > n then keys[#keys + 1] = tostring(key) .. "=" .. json.encode({plain(x[key])}) end end
        table.sort(keys)
        if #keys > 0 then out = {rows = out, keys = keys} end
      else out = tostring(x) end
    end)
    return ok and out or tostring(x)
  end
  return tostring(x)
end
local function row_of(r, n)
  local out = {}
  for i = 1, n do out[i] = plain(r[i]) end
  return out
end
for line in io.lines(CASES) do
  local case = json.decode(line)
  local answer = {id = case.id}
  local ok, e = pcall(function()
    local df = assert(load("return " .. case.code, case.id))()
    answer.names, answer.types = {}, {}
    for i, pair in ipairs(df.dtypes) do answer.names[i] = pair[1]; answer.types[i] = pair[2] end
    answer.schema = df.schema.json
    answer.rows = {}
    for i, r in ipairs(df:collect()) do answer.rows[i] = row_of(r, #answer.names) end
  end)
  if not ok then answer = {id = case.id, error = tostring(type(e) == "table" and e.message or e):sub(1, 300)} end
  io.stdout:write(json.encode(answer), "\n"); io.stdout:flush()
end
'''


def run(home, cases, seconds, **env):
    """The answers of one engine, by id; a case that ended the program is its own answer."""
    answers, rest = {}, list(cases)
    for _ in range(20):
        if not rest:
            break
        path = pathlib.Path(home) / "cases.jsonl"
        path.write_text("".join(json.dumps({"id": i, "code": c}) + "\n" for i, c in rest))
        try:
            done = subprocess.run([LACUS, "-"], input=SETUP + f"CASES = {json.dumps(str(path))}\n" + RUNNER, capture_output=True, text=True,
                                  timeout=seconds, env=environment(home, **env))
            out, why = done.stdout, f"exit status {done.returncode}: {done.stderr[-300:]}"
        except subprocess.TimeoutExpired as e:
            out, why = (e.stdout or b"").decode(errors="replace"), "no answer in time"
        for line in out.splitlines():
            try:
                answer = json.loads(line)
            except ValueError:
                continue
            answers[answer["id"]] = answer
        rest = [c for c in rest if c[0] not in answers]
        if rest:
            answers[rest[0][0]] = {"id": rest[0][0], "error": "[CRASH] " + why}
            rest = rest[1:]
    return answers


# ---- comparing ----
def same_value(a, b):
    if isinstance(a, dict) and isinstance(b, dict) and "f" in a and "f" in b:
        x, y = float(a["f"]), float(b["f"])
        return (math.isnan(x) and math.isnan(y)) or x == y or math.isclose(x, y, rel_tol=1e-12, abs_tol=1e-300)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_value, a, b))
    return type(a) is type(b) and a == b


def rounded(value):
    if isinstance(value, dict) and "f" in value:
        return {"f": "%.10g" % float(value["f"])}
    return [rounded(v) for v in value] if isinstance(value, list) else value


def same_rows(a, b, ordered):
    if not ordered:
        a, b = (sorted(x, key=lambda r: json.dumps(rounded(r), sort_keys=True)) for x in (a, b))
    return len(a) == len(b) and all(map(same_value, a, b))


def lone_rows(a, b):
    """How many rows there are, and the first of a's that b has not."""
    rest = [json.dumps(rounded(r), sort_keys=True) for r in b]
    for row in (json.dumps(rounded(r), sort_keys=True) for r in a):
        if row not in rest:
            return f"{len(a)}, one of them {row[:150]}"
        rest.remove(row)
    return f"{len(a)}"


def error_class(text):
    found = re.match(r"\[([A-Z0-9_]+)", text)
    return found[1] if found else ""


def difference(here, there, ordered=False):
    """Why two answers disagree; None: they agree."""
    if here is None or there is None:
        return "no answer"
    if ("error" in here) != ("error" in there):
        return f"fails only {'here' if 'error' in here else 'there'}: {(here if 'error' in here else there)['error'][:160]}"
    if "error" in here:
        a, b = error_class(here["error"]), error_class(there["error"])
        return None if a and a == b else f"error: {here['error'][:100]} | {there['error'][:100]}"
    if here["names"] != there["names"]:
        return f"names: {here['names']} | {there['names']}"
    if here["types"] != there["types"]:
        return f"types: {here['types']} | {there['types']}"
    if not same_rows(here["rows"], there["rows"], ordered):
        return "rows: " + " | ".join(lone_rows(a["rows"], b["rows"]) for a, b in ((here, there), (there, here)))
    return None


def nullability(answer):
    """The schema of an answer as nested lists of what may be NULL."""
    def of(x):
        if isinstance(x, dict):
            return [x[k] for k in ("nullable", "containsNull", "valueContainsNull") if k in x] + [of(v) for v in x.values() if isinstance(v, (dict, list))]
        return [of(v) for v in x] if isinstance(x, list) else []
    return of(json.loads(answer["schema"]))


def disagreements(cases, here, there):
    """[(id, code, why)]"""
    why = {i: difference(here.get(i), there.get(i)) for i, _ in cases}
    return [(i, code, why[i]) for i, code in cases if why[i]]


def known_differences():
    """[(pattern, why)] of the file."""
    known = []
    for line in DIFFERENCES.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            patterns, _, why = line.partition(": ")
            known += [(p, why.strip()) for p in patterns.split()]
    return known


def is_known(known, case, code, why):
    """A pattern is the id with * in it, or ~ and a regular expression of what is said to differ or of the case's code."""
    for pattern, reason in known:
        if re.search(pattern[1:], why + "\n" + code) if pattern.startswith("~") else fnmatch.fnmatchcase(case, pattern):
            return reason
    return None


# ---- functions ----
C_STRING = r'"(?:[^"\\]|\\.)*"'


def function_rows():
    """(name, kind, least, most, in, F, usage, example, note) of functions.def."""
    rows = []
    for line in FUNCTIONS.read_text().splitlines():
        if not line.startswith("FN("):
            continue
        fields = re.findall(rf"((?:{C_STRING}\s*)+|NULL|-?\d+|[A-Z]+)(?:, |\)$)", line[3:])
        values = [None if f == "NULL" else "".join(ast.literal_eval(s) for s in re.findall(C_STRING, f)) if f.startswith('"') else f for f in fields]
        name, kind, least, most, kinds, _out, _sql, _label, lua, usage, _doc, example, note = values
        rows.append({"name": name, "kind": kind, "least": int(least), "most": int(most), "in": kinds, "F": lua, "usage": usage, "example": example, "note": note})
    return rows


COLUMNS = {"*": ["i", "k"], "s": ["s", "'a'"], "i": ["2", "1"], "l": ["l", "k"], "d": ["d", "2.0D"], "b": ["b", "b"], "D": ["dt", "DATE'2024-03-01'"], "n": ["i", "k"],
           "I": ["i", "k"], "T": ["ts", "ts"], "A": ["a", "array(3, 4)"], "M": ["m", "map('z', 9)"], "S": ["st", "st"], "x": ["x", "x"], "e": ["3", "3"], "=": ["i", "k"]}

# What the letters of a row do not say: an expression over f, by name (and number of arguments where that matters).
SPECIAL = {
    "add_months": "add_months(dt, 2)", "aggregate": "aggregate(a, 0, (acc, x) -> acc + coalesce(x, 0))", "reduce": "reduce(a, 0, (acc, x) -> acc + coalesce(x, 0))",
    "array_insert": "array_insert(a, 1, 9)", "array_join": "array_join(transform(a, x -> cast(x as string)), '-')", "array_sort": "array_sort(a)",
    "between": "i between 0 and 6", "case": None, "cast": None, "concat_ws": "concat_ws('-', s, 'q')", "conv": "conv('ff', 16, 10)", "cume_dist": "cume_dist() over (order by k)",
    "date_format": "date_format(ts, 'yyyy-MM-dd HH:mm:ss')", "date_part": "date_part('MONTH', dt)", "datepart": "datepart('MONTH', dt)", "date_trunc": "date_trunc('month', ts)",
    "dense_rank": "dense_rank() over (order by s, k)", "div": "k div 2", "element_at": "element_at(array(1, 2, 3), 2)", "elt": "elt(2, s, 'b')", "exists": "exists(a, x -> x > 4)",
    "extract": "extract(YEAR FROM dt)", "filter": "filter(a, x -> x > 1)", "find_in_set": "find_in_set('b', 'a,b')", "flatten": "flatten(array(a, a))",
    "forall": "forall(a, x -> x > 0)", "format_number": "format_number(d, 2)", "format_string": "format_string('%d %s', k, s)", "printf": "printf('%d %s', k, s)",
    "from_csv": "from_csv('1,a', 'x INT, y STRING')", "from_json": "from_json('{\"a\": 1}', 'a INT')", "from_unixtime": "from_unixtime(k, 'yyyy-MM-dd HH:mm:ss')",
    "from_utc_timestamp": "from_utc_timestamp(ts, 'Asia/Tokyo')", "to_utc_timestamp": "to_utc_timestamp(ts, 'Asia/Tokyo')", "get_json_object": "get_json_object('{\"a\": {\"b\": 2}}', '$.a.b')",
    "grouping": None, "grouping_id": None, "ilike": "s ilike 'A%'", "like": "s like 'a%'", "rlike": "s rlike '^a.*e$'", "regexp": "s regexp '^a'", "in": "i in (5, 7)",
    "inline": "inline(array(struct(1 as p, 'q' as q)))", "inline_outer": "inline_outer(array(struct(1 as p, 'q' as q)))", "json_array_length": "json_array_length('[1, 2]')",
    "json_object_keys": "json_object_keys('{\"a\": 1, \"b\": 2}')", "json_tuple": "json_tuple('{\"a\": 1, \"b\": 2}', 'a', 'b')", "lag": "lag(i, 1) over (order by k)",
    "last_day": "last_day(dt)", "lead": "lead(i, 1) over (order by k)", "make_date": "make_date(2024, k, 1)", "make_timestamp": "make_timestamp(2024, k, 1, 2, 3, 4.5)",
    "map_filter": "map_filter(m, (k2, v2) -> v2 > 2)", "map_from_arrays": "map_from_arrays(array('a', 'b'), array(1, 2))", "map_from_entries": "map_from_entries(array(struct('a', 1)))",
    "map": "map('a', k)", "map_zip_with": "map_zip_with(m, m, (k2, a2, b2) -> a2 + b2)", "named_struct": "named_struct('a', k, 'b', s)", "next_day": "next_day(dt, 'Mon')",
    "nth_value": "nth_value(i, 2) over (order by k)", "ntile": "ntile(3) over (order by k)", "overlay": "overlay(s placing 'XX' from 2)", "parse_url": "parse_url('http://h.org/p?q=1', 'HOST')",
    "percent_rank": "percent_rank() over (order by k)", "percentile": "percentile(k, 0.3)", "percentile_approx": "percentile_approx(k, 0.5)", "approx_percentile": "approx_percentile(k, 0.5)",
    "position": "position('p', s)", "posexplode": "posexplode(a)", "posexplode_outer": "posexplode_outer(a)", "rank": "rank() over (order by s, k)", "row_number": "row_number() over (order by k)",
    "regexp_extract": "regexp_extract(s, '([a-c])(.)', 2)", "regexp_extract_all": "regexp_extract_all(s, '([a-c])', 1)", "regexp_replace": "regexp_replace(s, '[aeiou]', '_')",
    "regexp_substr": "regexp_substr(s, '[p-z]+')", "repeat": "repeat(s, 2)", "replace": "replace(s, 'a', 'o')", "sequence": "sequence(1, k)", "sha2": "sha2(s, 256)",
    "slice": "slice(a, 1, 2)", "split": "split(s, '[ n]')", "split_part": "split_part(s, 'p', 1)", "stack": "stack(2, 1, 'a', 2, 'b')", "str_to_map": "str_to_map('a:1,b:2')",
    "struct": "struct(k, s)", "substr": "substr(s, 2, 3)", "substring": "substring(s, 2, 3)", "substring_index": "substring_index(s, 'a', 1)", "timestampadd": "timestampadd(HOUR, 2, ts)",
    "timestampdiff": "timestampdiff(DAY, TIMESTAMP'2020-01-01', ts)", "to_char": "to_char(12.5, '99.9')", "to_date": "to_date('2024-03-05')", "to_json": "to_json(st)", "to_number": "to_number('12.5', '99.9')",
    "to_timestamp": "to_timestamp('2024-03-05 01:02:03')", "transform": "transform(a, (x, n) -> x + n)", "transform_keys": "transform_keys(m, (k2, v2) -> concat(k2, '!'))",
    "transform_values": "transform_values(m, (k2, v2) -> v2 + 1)", "translate": "translate(s, 'ab', 'xy')", "trunc": "trunc(dt, 'MM')", "try_element_at": "try_element_at(array(1, 2), 5)",
    "unbase64": "unbase64('YWJj')", "unhex": "unhex('616263')", "unix_timestamp": "unix_timestamp(ts)", "to_unix_timestamp": "to_unix_timestamp(ts)", "when": "case when i > 3 then 'x' else s end",
    "width_bucket": "width_bucket(d, 0, 10, 5)", "window": None, "session_window": "session_window(ts, '5 minutes')", "zip_with": "zip_with(a, a, (x, y) -> x + y)", "try_to_timestamp": "try_to_timestamp('2024-03-05 01:02:03')",
    "try_to_date": "try_to_date('2024-03-05')", "factorial": "factorial(k)", "schema_of_json": "schema_of_json('{\"a\": 1}')", "schema_of_csv": "schema_of_csv('1,a')", "shiftleft": "shiftleft(i, 2)",
    "shiftright": "shiftright(i, 1)", "shiftrightunsigned": "shiftrightunsigned(i, 1)", "bround": "bround(d, 1)", "round": "round(d, 1)", "log": "log(2, k)", "rint": "rint(d)", "url_decode": "url_decode('a%20b')",
    "to_timestamp_ntz": "to_timestamp_ntz('2024-03-05 01:02:03')", "to_timestamp_ltz": "to_timestamp_ltz('2024-03-05 01:02:03')", "decode": "decode(x, 'UTF-8')", "encode": "encode(s, 'UTF-8')",
    "first": "first(i) over (order by k)", "last": "last(i) over (order by k)", "first_value": "first_value(i) over (order by k)", "last_value": "last_value(i) over (order by k)",
    "collect_list": "sort_array(collect_list(i))", "collect_set": "sort_array(collect_set(i))", "array_agg": "sort_array(array_agg(i))", "listagg": "listagg(s, ',') within group (order by s) from {f}",
    "string_agg": "string_agg(s, ',') within group (order by s) from {f}", "raise_error": "raise_error('no')", "assert_true": "assert_true(k > 0)", "!": "not b", "not": "not b", "and": "b and true", "or": "b or false",
}
# Answers that are not meant to be the same twice.
NOT_COMPARED = {"rand", "random", "randn", "uuid", "shuffle", "current_timestamp", "now", "localtimestamp", "current_date", "curdate", "current_time", "monotonically_increasing_id", "version", "current_user",
                "user", "session_user", "current_catalog", "current_database", "current_schema", "spark_partition_id", "input_file_name", "input_file_block_start", "input_file_block_length", "randstr", "uniform",
                "any_value", "current_timezone", "approx_count_distinct", "mode", "time_bucket", "localtime", "lua_expression", "lua_udf", "with_field", "drop_fields"}
OPERATORS = re.compile(r"^[^a-z]")


def argument_texts(row, n):
    letters = row["in"]
    return [COLUMNS.get(letters[min(i, len(letters) - 1)], ["i", "k"])[min(i, 1)] for i in range(n)] if letters else []


def function_expression(row):
    if row["name"] in SPECIAL:
        return SPECIAL[row["name"]]
    n = row["least"] if row["least"] or row["most"] == 0 else 1
    args = argument_texts(row, n)
    if OPERATORS.match(row["name"]):
        return f"{args[0]} {row['name']} {args[1]}" if n == 2 else f"{row['name']}{args[0]}"
    return f"{row['name']}({', '.join(args)})"


def lua_text(text):
    level = "=" * next(n for n in range(9) if "]" + "=" * n + "]" not in text + "]")
    return f"[{level}[{text}]{level}]"


def function_cases():
    """(id, code) of every row: its example, and its call over the columns of f, with their NULLs."""
    cases, seen, rows = [], set(), function_rows()
    shown = {row["name"] for row in rows if row["example"]}
    for row in rows:
        if row["name"] in NOT_COMPARED or "F." in (row["example"] or ""):
            continue
        columns = "columns" if row["name"] in SPECIAL or row["name"] not in shown else "drawn"
        for kind, text in (("example", row["example"]), (columns, function_expression(row))):
            key = f"{row['name']}/{row['least']}/{kind}"
            if text and text not in seen:
                seen.add(text)
                query = re.search(r"\bfrom (values|range|\()|within group", text, re.I)  # more than an expression: the server reads the text
                source = "spark:range(1)" if kind == "example" else "f"
                cases.append((key, f"spark:sql({lua_text('SELECT ' + text)}, {{f = f}})" if query else f"{source}:selectExpr({lua_text(text)})"))
    return cases


# ---- plans ----
class Plans:
    """Plans drawn at random: each step knows the columns there are, so that most of them mean something."""
    TABLES = {"t": [("k", "int"), ("i", "int"), ("l", "bigint"), ("d", "double"), ("s", "string"), ("b", "boolean"), ("dt", "date"), ("ts", "timestamp"), ("a", "array"), ("dec", "decimal")],
              "u": [("k", "int"), ("s", "string"), ("v", "int")], "v": [("g", "string"), ("n", "int"), ("w", "double")]}
    NUMBERS = ("int", "bigint", "double", "decimal")

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.n = 0

    def fresh(self):
        self.n += 1
        return f"c{self.n}"

    def of(self, columns, *types):
        return [c for c, t in columns if t in types]

    def expression(self, columns, want, depth=2):
        """A Column of a type, in Lua."""
        r = self.r
        names = self.of(columns, want)
        col = f'F.col("{r.choice(names)}")' if names else None
        if depth == 0 or r.random() < 0.25:
            literal = {"int": f"F.lit({r.randint(-3, 9)})", "bigint": f'F.lit({r.randint(-3, 9)}):cast("bigint")', "double": f"F.lit({r.choice(['0.5', '-1.5', '2.0'])})",
                       "string": f'F.lit("{r.choice(["a", "Ap", "", "x y"])}")', "boolean": f"F.lit({r.choice(['true', 'false'])})", "date": 'F.lit("2024-01-10"):cast("date")',
                       "timestamp": 'F.lit("2024-01-10 01:02:03"):cast("timestamp")', "decimal": 'F.lit("3.75"):cast("decimal(6,2)")', "array": "F.array(F.lit(1), F.lit(2))"}[want]
            return col if col and r.random() < 0.8 else literal
        sub = lambda t: self.expression(columns, t, depth - 1)
        number = lambda: sub(r.choice(("int", "int", "double", "bigint")))
        rules = {
            "int": [lambda: f"({sub('int')} + {sub('int')})", lambda: f"({sub('int')} - {sub('int')})", lambda: f"({sub('int')} * F.lit({r.randint(-2, 3)}))", lambda: f"F.length({sub('string')})",
                    lambda: f"F.year({sub('date')})", lambda: f"F.dayofweek({sub('date')})", lambda: f"F.coalesce({sub('int')}, {sub('int')})", lambda: f"F.abs({sub('int')})",
                    lambda: f"F.when({sub('boolean')}, {sub('int')}):otherwise({sub('int')})", lambda: f"F.size({sub('array')})", lambda: f"({sub('int')} % F.lit({r.choice([2, 3, 7])}))", lambda: f"F.datediff({sub('date')}, {sub('date')})",
                    lambda: f"F.instr({sub('string')}, 'a')", lambda: f"F.element_at({sub('array')}, 1)" if False else f"F.array_max({sub('array')})"],
            "bigint": [lambda: f'{sub("int")}:cast("bigint")', lambda: f"({sub('bigint')} + {sub('int')})", lambda: f"F.ceil({sub('double')})", lambda: f"F.floor({sub('double')})", lambda: f"F.greatest({sub('bigint')}, {sub('bigint')})"],
            "double": [lambda: f"({number()} / F.lit({r.choice([2, 4, 0.5])}))", lambda: f"({sub('double')} * {sub('double')})", lambda: f"F.round({sub('double')}, {r.randint(0, 2)})", lambda: f"F.sqrt(F.abs({number()}))",
                       lambda: f'{sub("int")}:cast("double")', lambda: f"F.nanvl({sub('double')}, {sub('double')})", lambda: f"F.least({sub('double')}, {sub('double')})"],
            "string": [lambda: f"F.upper({sub('string')})", lambda: f"F.concat({sub('string')}, {sub('string')})", lambda: f"F.substring({sub('string')}, {r.randint(-2, 3)}, {r.randint(0, 4)})", lambda: f"F.trim({sub('string')})",
                       lambda: f'{sub(r.choice(("int", "bigint", "double", "date", "timestamp", "boolean", "decimal")))}:cast("string")', lambda: f'F.regexp_replace({sub("string")}, "[aeiou]", "*")', lambda: f"F.lpad({sub('string')}, 5, 'z')",
                       lambda: f'F.concat_ws("-", {sub("string")}, {sub("string")})', lambda: f"F.coalesce({sub('string')}, {sub('string')})", lambda: f"F.reverse({sub('string')})", lambda: f"F.initcap({sub('string')})",
                       lambda: f'F.date_format({sub("timestamp")}, "yyyy/MM/dd")'],
            "boolean": [lambda: f"{number()}:{r.choice(['gt', 'lt', 'ge', 'le', 'eq', 'ne'])}({number()})", lambda: f"({sub('boolean')} & {sub('boolean')})", lambda: f"({sub('boolean')} | {sub('boolean')})", lambda: f"(~{sub('boolean')})",
                        lambda: f"{sub('string')}:isNull()", lambda: f"{sub('int')}:isin({r.randint(0, 5)}, {r.randint(3, 12)})", lambda: f"{sub('string')}:like('%a%')", lambda: f"{sub('int')}:between({r.randint(-3, 3)}, {r.randint(3, 9)})",
                        lambda: f"{sub('string')}:startswith('a')", lambda: f"{sub('int')}:eqNullSafe({sub('int')})", lambda: f"F.array_contains({sub('array')}, {r.randint(1, 5)})", lambda: f"{sub('date')}:lt({sub('date')})"],
            "date": [lambda: f"F.date_add({sub('date')}, {r.randint(-40, 40)})", lambda: f"F.last_day({sub('date')})", lambda: f"F.add_months({sub('date')}, {r.randint(-3, 3)})", lambda: f'{sub("timestamp")}:cast("date")', lambda: f'F.trunc({sub("date")}, "month")'],
            "timestamp": [lambda: f'F.date_trunc("{r.choice(["hour", "day", "year"])}", {sub("timestamp")})', lambda: f'{sub("date")}:cast("timestamp")'],
            "decimal": [lambda: f"({sub('decimal')} + {sub('decimal')})", lambda: f"({sub('decimal')} * {sub('decimal')})", lambda: f'{sub("int")}:cast("decimal(8,3)")', lambda: f"F.round({sub('decimal')}, 1)"],
            "array": [lambda: f"F.array({sub('int')}, {sub('int')})", lambda: f"F.sort_array({sub('array')})", lambda: f"F.array_distinct({sub('array')})", lambda: f"F.concat({sub('array')}, {sub('array')})", lambda: f"F.slice({sub('array')}, 1, 2)"],
        }
        return r.choice(rules[want])()

    TYPES = ("int", "bigint", "double", "string", "boolean", "date", "timestamp", "decimal", "array")

    def named(self, columns, depth=2):
        name, kind = self.fresh(), self.r.choice(self.TYPES)
        return name, kind, self.expression(columns, kind, depth)

    # each step: (text, columns) → (text, columns)
    def select(self, text, columns):
        kept = self.r.sample(columns, self.r.randint(1, min(3, len(columns))))
        new = [self.named(columns) for _ in range(self.r.randint(1, 2))]
        parts = [f'"{c}"' for c, _ in kept] + [f'{e}:alias("{n}")' for n, _, e in new]
        return f"{text}:select({', '.join(parts)})", kept + [(n, k) for n, k, _ in new]

    def with_column(self, text, columns):
        name, kind, e = self.named(columns)
        if self.r.random() < 0.3:
            name = self.r.choice(columns)[0]
        return f'{text}:withColumn("{name}", {e})', [(c, t) for c, t in columns if c != name] + [(name, kind)] if name not in dict(columns) else [(c, kind if c == name else t) for c, t in columns]

    def filter(self, text, columns):
        return f"{text}:filter({self.expression(columns, 'boolean')})", columns

    def group(self, text, columns):
        r = self.r
        groups = r.sample([c for c in columns if c[1] != "array"] or columns[:0], min(len([c for c in columns if c[1] != "array"]), r.randint(0, 2)))
        parts, made = [f'F.count("*"):alias("{(n := self.fresh())}")'], [(n, "bigint")]
        for _ in range(r.randint(1, 2)):
            name, kind = self.fresh(), r.choice(self.NUMBERS)
            f = r.choice(["sum", "min", "max", "avg", "count", "countDistinct", "stddev"])
            if f in ("countDistinct", "count"):
                kind = r.choice(("int", "string", "date"))
            e = self.expression(columns, kind, 1)
            parts.append(f'F.{f}({e}):alias("{name}")')
            made.append((name, {"min": kind, "max": kind, "count": "bigint", "countDistinct": "bigint"}.get(f, "double" if f in ("avg", "stddev") or kind == "double" else "other")))
        how = r.choice(["groupBy", "groupBy", "groupBy", "rollup", "cube"]) if groups else "groupBy"
        names = ", ".join(f'"{c}"' for c, _ in groups)
        return f"{text}:{how}({names}):agg({', '.join(parts)})", groups + made

    def join(self, text, columns):
        r = self.r
        other = r.choice(["u", "v"])
        there = self.TABLES[other]
        shared = [c for c, t in there if (c, t) in columns]
        how = r.choice(["inner", "left", "right", "full", "semi", "anti"])
        if shared and len([c for c, _ in columns if c in dict(there)]) == len(shared) and r.random() < 0.7:
            on = r.sample(shared, 1)
            rest = [(c, t) for c, t in there if c not in on and c not in dict(columns)]
            drop = [c for c, _ in there if c not in on and c in dict(columns)]
            right = other + (f":drop({', '.join(chr(34) + c + chr(34) for c in drop)})" if drop else "")
            merged = columns if how in ("semi", "anti") else [(c, t) for c, t in columns if c in on] + [(c, t) for c, t in columns if c not in on] + rest
            return f'{text}:join({right}, {{"{on[0]}"}}, "{how}")', merged
        renamed = [(self.fresh(), t) for _, t in there]
        right = f"{other}:toDF({', '.join(chr(34) + c + chr(34) for c, _ in renamed)})"
        left_key, right_key = self.of(columns, "int", "bigint"), self.of(renamed, "int")
        if not left_key:
            return f"{text}:crossJoin({right})", columns + renamed
        condition = f'F.col("{r.choice(left_key)}"):eq(F.col("{r.choice(right_key)}"))'
        return f'{text}:join({right}, {condition}, "{how}")', columns if how in ("semi", "anti") else columns + renamed

    def set_operation(self, text, columns):
        op = self.r.choice(["union", "unionByName", "intersect", "subtract", "exceptAll", "intersectAll"])
        return f"{text}:{op}({text}:filter({self.expression(columns, 'boolean', 1)}))", columns

    def distinct(self, text, columns):
        return f"{text}:distinct()", columns

    def order_limit(self, text, columns):
        orders = ", ".join(f'F.col("{c}"):{self.r.choice(["asc", "desc", "asc_nulls_last", "desc_nulls_first"])}()' for c, _ in columns)
        return f"{text}:orderBy({orders}):limit({self.r.randint(1, 6)})", columns

    def rename(self, text, columns):
        old, kind = self.r.choice(columns)
        new = self.fresh()
        return f'{text}:withColumnRenamed("{old}", "{new}")', [(new if c == old else c, t) for c, t in columns]

    def drop(self, text, columns):
        if len(columns) < 2:
            return text, columns
        gone = self.r.choice(columns)[0]
        return f'{text}:drop("{gone}")', [c for c in columns if c[0] != gone]

    def fill(self, text, columns):
        value = self.r.choice(["0", '"none"', "1.5", "true"])
        return f"{text}:fillna({value})" if self.r.random() < 0.6 else f"{text}:dropna()", columns

    def window(self, text, columns):
        r = self.r
        keys = [c for c in columns if c[1] != "array"]
        if not keys:
            return text, columns
        name = self.fresh()
        part = r.choice(keys)[0]
        orders = ", ".join(f'"{c}"' for c, _ in keys)
        f, kind = r.choice([("F.row_number()", "int"), ("F.rank()", "int"), ("F.dense_rank()", "int"), ('F.count("*")', "bigint")])
        if f == "F.row_number()":
            orders = ", ".join(f'"{c}"' for c, _ in columns)
        return f'{text}:withColumn("{name}", {f}:over(W.partitionBy("{part}"):orderBy({orders})))', columns + [(name, kind)]

    STEPS = ("select", "select", "with_column", "with_column", "filter", "filter", "group", "join", "set_operation", "distinct", "order_limit", "rename", "drop", "fill", "window")

    def plan(self):
        table = self.r.choice(["t", "t", "t", "u", "v"])
        text, columns = table, list(self.TABLES[table])
        for _ in range(self.r.randint(1, 5)):
            step = self.r.choice(self.STEPS)
            columns = [c for c in columns if c[1] in self.TYPES] if step in ("select", "group") else columns
            if not columns or any(t not in self.TYPES for _, t in columns) and step in ("order_limit", "window", "framed_window", "rows_by_place", "ranks", "sql"):
                break
            text, columns = getattr(self, step)(text, columns)
        return text


def plan_cases(count, seed):
    return [(f"plan/{seed}/{i}", Plans(f"{seed}/{i}").plan()) for i in range(count)]

"""JSON files as Spark reads them: the same files, options and schemas through both; columns, types and rows are compared."""
import gzip
import random

import pytest

from file_reading import differences, put
from lacus import script

# what Spark refuses to select alone; numbers whose decimal type it cannot name
PASSED_OVER = ("QUERY_ONLY_CORRUPT_RECORD_COLUMN", "NEGATIVE_SCALE")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


LINES = ['{"a": 1, "b": "x"}', '{"a": 2.5}', '{"a": "t"}', '{"a": null}', '{"b": ""}', '{"a": true}', "{}", "", "  ", "broken", '{"a": 1', '{"a": 1} tail', "[]",
         '[{"a": 1}, {"a": 2, "c": 3}]', '[{"a": 1}, 5]', "[1, 2]", "null", "5", '"text"', '{"a": {"x": 1}}', '{"a": {"y": "q", "x": 2}}', '{"a": [1, 2]}', '{"a": []}',
         '{"a": [{"k": 1}, {"l": "z"}]}', '{"a": [1, "x"]}', "{'a': 'single'}", '{"a": NaN}', '{"a": -Infinity}', '{"a": 12345678901234567890}', '{"a": 1e400}',
         '{"a": 01}', '{"a": "\\u00e9\\n\\ud83d\\ude00"}', '{"a": "\\x"}', '{"a": 1, "a": 2}', '{"b": {"c": {}}}', '{"b": [[1], [2, 3]]}', '{"é": 1}', '{a: 1}',
         '{"a": 9223372036854775808}', '{"a": 0.1}', '{"a": "2024-01-05"}', '{"a": [null]}', '{"a": 1,}', '// {"a": 1}', '{"a": 1.0, "_corrupt_record": "mine"}']
VALUES = ["1", "2.0", "1e2", "-1", "300", "70000", "3000000000", "12345678901234567890", '"7"', '"x"', '""', "true", '"true"', "null", "NaN", '"NaN"', '"Infinity"', '"-INF"',
          '"2024-01-05"', '"2024-1-5"', '"2024-01-05 10:00:00"', '"2024-01-05T10:00:00Z"', '"2024-01-05T10:00:00.123456+02:00"', '"2024-01-05 10:00:00 Europe/Berlin"',
          "1704448800", '"aGk="', "[1]", '["a", 1]', "[null, 2]", "[[1]]", '{"x": 1}', '{"x": "q", "y": 2}', '{"x": {"z": [1, "w"]}}', "[]", "{}", "0.1", "123.456", '"12.5"']
TYPES = ["boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal(5,2)", "decimal(30,3)", "string", "date", "timestamp", "timestamp_ntz", "binary",
         "array<int>", "array<string>", "array<array<int>>", "map<string,int>", "map<string,string>", "struct<x:int,y:string>", "struct<x:struct<z:array<int>>>",
         "array<timestamp>", "struct<x:decimal(5,2),y:date>"]


def test_records_and_their_columns(home, tmp_path, peer):
    random.seed(5)
    cases = []
    for i, line in enumerate(LINES):
        (tmp_path / f"l{i}.json").write_text(line + "\n")
        cases.append((tmp_path / f"l{i}.json", {}, None))
    for i in range(60):
        path = tmp_path / f"r{i}.json"
        path.write_text("\n".join(random.choices(LINES[:-1], k=random.randint(2, 6))))
        options = random.choice([{}, {}, {"mode": "DROPMALFORMED"}, {"columnNameOfCorruptRecord": "bad"}, {"primitivesAsString": "true"}, {"prefersDecimal": "true"},
                                 {"dropFieldIfAllNull": "true"}, {"allowSingleQuotes": "false"}, {"allowUnquotedFieldNames": "true"}, {"allowComments": "true"},
                                 {"allowNumericLeadingZeros": "true"}, {"allowBackslashEscapingAnyCharacter": "true"}])
        cases.append((path, options, None))
        cases.append((path, options, "a string, b string, c int, _corrupt_record string"))
    different = differences(home, tmp_path, peer, "json", cases, PASSED_OVER)
    print(f"\n{len(cases) - len(different)} of {len(cases)} JSON files read alike")
    assert not different, different[:2]


def test_values_become_the_schema_s_types(home, tmp_path, peer):
    (tmp_path / "values.json").write_text("".join(f'{{"i": {i}, "v": {v}}}\n' for i, v in enumerate(VALUES)))
    cases = [(tmp_path / "values.json", {}, f"i int, v {t}, _corrupt_record string") for t in TYPES]
    cases += [(tmp_path / "values.json", {"mode": "DROPMALFORMED"}, f"i int, v {t}") for t in TYPES]
    cases += [(tmp_path / "values.json", {"mode": "FAILFAST"}, f"i int, v {t}") for t in ("string", "int", "array<int>")]
    different = differences(home, tmp_path, peer, "json", cases, PASSED_OVER)
    assert not different, different[:2]


def test_files_of_every_kind(home, tmp_path, peer):
    lines = '{"id": 1, "s": "a"}\n{"id": 2, "s": "b"}\noops\n'
    put(tmp_path / "parts/day=2024-01-05/k=1/p.json", '{"a": 1}\n')
    put(tmp_path / "parts/day=2024-01-06/k=__HIVE_DEFAULT_PARTITION__/p.json", '{"a": 2}\n')
    cases = [
        (put(tmp_path / "lines.json", lines), {}, None), (tmp_path / "lines.json", {"mode": "FAILFAST"}, None), (tmp_path / "lines.json", {"mode": "FAILFAST"}, "id int, s string"),
        (tmp_path / "lines.json", {}, "id int, s string"), (put(tmp_path / "t.json.gz", gzip.compress(lines.encode())), {}, None),
        (put(tmp_path / "many.json", '[\n  {"id": 1},\n  {"id": 2, "t": [1, 2]}\n]\n'), {"multiLine": "true"}, None), (put(tmp_path / "one.json", '{\n "id": 1,\n "s": "x"\n}\n'), {"multiLine": "true"}, None),
        (put(tmp_path / "cut.json", '[\n  {"id": 1},\n  {"id": '), {"multiLine": "true"}, None), (put(tmp_path / "bom.json", b'\xef\xbb\xbf{"a": 1}\n'), {}, None),
        (put(tmp_path / "wide.json", '{"a": "ä"}\n'.encode("utf-16-le")), {"encoding": "UTF-16LE", "lineSep": "\n"}, None), (put(tmp_path / "crlf.json", '{"a": 1}\r\n{"a": 2}\r\n'), {}, None),
        (put(tmp_path / "sep.json", '{"a": 1};{"a": 2}'), {"lineSep": ";"}, None), (tmp_path / "parts", {}, None),
        (put(tmp_path / "dates.json", '{"d": "05/01/2024", "t": "05.01.2024 10:30"}\n'), {"dateFormat": "dd/MM/yyyy", "timestampFormat": "dd.MM.yyyy HH:mm"}, "d date, t timestamp"),
        (put(tmp_path / "empty.json", ""), {}, None),
    ]
    different = differences(home, tmp_path, peer, "json", cases, PASSED_OVER)
    assert not different, different[:3]


def test_a_big_file_is_read_whole_by_all_threads(home, tmp_path):
    rows = 200_000
    with open(tmp_path / "big.json", "w") as f:
        for i in range(rows):
            f.write(f'{{"id": {i}, "text": "t{i % 97}", "in": {{"v": [{i}, {i / 8}]}}}}\n')
    out = script(home, f"""
local df = spark.read:json("{tmp_path}/big.json")
local a = df:agg(F.sum("id"), F.countDistinct("text"), F.sum(F.col("in.v"):getItem(0))):collect()[1]
print(df:count(), a[1], a[2], string.format("%.0f", a[3]), df:filter("id = {rows - 1}"):collect()[1].text)
""")
    total = rows * (rows - 1) // 2
    assert out == f"{rows}\t{total}\t97\t{total}\tt{(rows - 1) % 97}\n"

"""CSV files as Spark reads them: the same files, options and schemas through both; rows, names and types are compared."""
import csv
import gzip
import itertools
import random

import pytest

from file_reading import differences, put
from lacus import script

# What each case is given: random texts of what makes CSV hard.
OPTIONS = [
    {}, {"header": "true"}, {"escape": '"'}, {"multiLine": "true"}, {"multiLine": "true", "escape": '"'}, {"nullValue": "x"}, {"comment": "#"},
    {"ignoreLeadingWhiteSpace": "true", "ignoreTrailingWhiteSpace": "true"}, {"quote": ""}, {"sep": ";"}, {"sep": "\\t"}, {"emptyValue": "E"},
    {"header": "true", "inferSchema": "true"}, {"multiLine": "true", "header": "true", "inferSchema": "true"}, {"escape": ""},
    {"mode": "DROPMALFORMED"}, {"charToEscapeQuoteEscaping": "\\", "escape": '"'}, {"unescapedQuoteHandling": "STOP_AT_CLOSING_QUOTE"},
    {"unescapedQuoteHandling": "SKIP_VALUE"},
]
VALUES = [
    "1", "+1", "-0", "2147483648", "-2147483648", "-2147483649", "9223372036854775807", "-9223372036854775808", "99999999999999999999", "1.5", ".5", "5.",
    "1e5", "1d", "0x10", "NaN", "Infinity", "-Inf", "inf", " 1", "1 ", "1,0", "true", "TRUE", "yes", "2024", "2024-1", "2024-01-05", "2024-1-5",
    "2024-01-05 ", "2024-01-05T", "2024-01-05 10:00", "2024-01-05 10:00:00", "2024-01-05T10:00:00Z", "2024-01-05T10:00:00.123456789",
    "2024-01-05 10:00:00+02:00", "2024-01-05 10:00:00 Europe/Berlin", "2024-13-01", "2024-02-30", "05/01/2024", "a", "", '""', "1_000",
    "12345678901234567890123456789012345678", "123456789012345678901234567890123456789", "2024-01-05 10", "2024-01-05 10:00:00.1", "20240105", "1e-3",
    "--1", "+-1", "-.5", "1e", "2024-01-05 25:00:00", "null", "1969-12-31 23:59:59.5", "0.1", "3.14159265358979", "179769313486231570000", "1.005", "999.994"]
TYPES = ["tinyint", "smallint", "int", "bigint", "float", "double", "boolean", "date", "timestamp", "timestamp_ntz", "decimal(5,2)", "decimal(20,0)", "string"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


def test_random_texts_are_cut_as_spark_cuts_them(home, tmp_path, peer):
    random.seed(11)
    cases = []
    for i in range(114):
        options = OPTIONS[i % len(OPTIONS)]
        sep = {";": ";", "\\t": "\t"}.get(options.get("sep"), ",")
        parts = ["a", "b", "1", "2.5", '"', '"', "\\", sep, sep, sep, "\n", "\n", " ", "x", "é", "#", '""', 'a"', f'"a{sep}b"', "2024-01-05", "true"]
        (tmp_path / f"{i}.csv").write_text("".join(random.choice(parts) for _ in range(random.randint(2, 30))), newline="")
        cases.append((tmp_path / f"{i}.csv", options, None))
    different = differences(home, tmp_path, peer, "csv", cases)
    print(f"\n{len(cases) - len(different)} of {len(cases)} random CSV files read alike")
    # white space alone at the end of a stream: Spark's parser drops it or not by where its buffer stands
    left = [d for d in different if not (d[0].get("multiLine") and d[2] != d[2].rstrip(" \n"))]
    assert not left, left[0]


def test_types_are_inferred_and_converted_alike(home, tmp_path, peer):
    cases = []
    for i, v in enumerate(VALUES):
        (tmp_path / f"v{i}.csv").write_text(f"a|b\n{v}|x\n")
        cases.append((tmp_path / f"v{i}.csv", {"header": "true", "inferSchema": "true", "sep": "|"}, None))
    some = ["1", "2147483648", "99999999999999999999", "1.5", "2024-01-05", "2024-01-05 10:00:00", "true", "x", ""]
    for i, (a, b) in enumerate(itertools.combinations_with_replacement(some, 2)):
        (tmp_path / f"p{i}.csv").write_text(f"a|b\n{a}|x\n{b}|x\n")
        cases.append((tmp_path / f"p{i}.csv", {"header": "true", "inferSchema": "true", "sep": "|"}, None))
    (tmp_path / "all.csv").write_text("a|b\n" + "".join(f"{v}|x\n" for v in VALUES))
    cases += [(tmp_path / "all.csv", {"header": "true", "sep": "|"}, f"a {t}, b string, _corrupt_record string") for t in TYPES]
    cases += [(tmp_path / "all.csv", {"header": "true", "sep": "|", "mode": "DROPMALFORMED"}, f"a {t}, b string") for t in TYPES]
    different = differences(home, tmp_path, peer, "csv", cases)
    assert not different, different[0]


def test_files_of_every_kind(home, tmp_path, peer):
    table = "a,b,c\n1,x,1.5\n2,y\n3,z,2.5,extra\nbad,w,3.5\n"
    put(tmp_path / "parts/day=2024-01-05/k=1/p.csv", "a\n1\n")
    put(tmp_path / "parts/day=2024-01-06/k=__HIVE_DEFAULT_PARTITION__/p.csv", "a\n2\n")
    put(tmp_path / "many/1.csv", "a,b\n1,2\n")
    put(tmp_path / "many/2.csv", "a,b\n3,4\n")
    put(tmp_path / "many/_hidden.csv", "a,b\n9,9\n")
    head = {"header": "true"}
    cases = [
        (put(tmp_path / "bom.csv", b"\xef\xbb\xbfa,b\n1,2\n"), head, None), (put(tmp_path / "latin.csv", "a,b\nä,ö\n".encode("latin-1")), {**head, "encoding": "ISO-8859-1"}, None),
        (put(tmp_path / "crlf.csv", "a,b\r\n1,2\r\n"), head, None), (put(tmp_path / "cr.csv", "a,b\r1,2\r"), head, None), (put(tmp_path / "t.csv.gz", gzip.compress(table.encode())), head, None),
        (put(tmp_path / "wrong.csv", b"a,b\n\xff\xfe,2\n"), head, None), (put(tmp_path / "twice.csv", "a,A,,b\n1,2,3,4\n"), head, None), (put(tmp_path / "rows.csv", table), head, None),
        (tmp_path / "rows.csv", {**head, "inferSchema": "true"}, None), (tmp_path / "rows.csv", head, "a int, b string, c double"),
        (tmp_path / "rows.csv", {**head, "mode": "DROPMALFORMED"}, "a int, b string, c double"),
        (tmp_path / "rows.csv", {**head, "columnNameOfCorruptRecord": "bad"}, "a int, b string, c double, bad string"),
        (put(tmp_path / "quoted.csv", 'a,b\n1,"x\ny"\n2,"say ""hi"", you"\n'), {**head, "multiLine": "true", "escape": '"'}, None),
        (put(tmp_path / "quoted2.csv", 'a,b\r\n1,"x\r\ny"\r\n'), {**head, "multiLine": "true"}, None), (tmp_path / "parts", {**head, "inferSchema": "true"}, None),
        (tmp_path / "many", head, None), (put(tmp_path / "dates.csv", "d\n05/01/2024\n31/12/2023\n"), {**head, "dateFormat": "dd/MM/yyyy"}, "d date"),
        (put(tmp_path / "times.csv", "t\n05.01.2024 10:30\n"), {**head, "timestampFormat": "dd.MM.yyyy HH:mm"}, "t timestamp"),
        (put(tmp_path / "lines.csv", "a,b;1,2;"), {"lineSep": ";"}, None), (put(tmp_path / "infs.csv", "x\ninfinite\n-infinite\nnone\n"), {**head, "positiveInf": "infinite", "negativeInf": "-infinite", "nanValue": "none"}, "x double"),
    ]
    different = differences(home, tmp_path, peer, "csv", cases)
    assert not different, different[0]


def test_a_big_file_is_read_whole_by_all_threads(home, tmp_path):
    rows = 400_000
    with open(tmp_path / "big.csv", "w") as f:
        f.write("id,text,value\n")
        for i in range(rows):
            f.write(f'{i},"t,{i % 97}",{i / 8}\n')
    out = script(home, f"""
local df = spark.read:csv{{"{tmp_path}/big.csv", header = true, inferSchema = true}}
local a = df:agg(F.sum("id"), F.sum("value"), F.countDistinct("text")):collect()[1]
print(df:count(), a[1], string.format("%.0f", a[2]), a[3])
print(df:limit(3):collect()[3].id, df:filter("id = {rows - 1}"):collect()[1].text)
""")
    assert out.split("\n")[0] == f"{rows}\t{rows * (rows - 1) // 2}\t{rows * (rows - 1) // 16}\t97"
    assert out.split("\n")[1] == f"2\tt,{(rows - 1) % 97}"


@pytest.mark.parametrize("code, says", [
    ('spark.read:csv{"DIR/cut.csv.gz", header = true}:count()', "packed data ends too early"),
    ('spark.read:csv{"DIR/bad.csv.gz", header = true}:count()', "gzip data is corrupt"),
    ('spark.read:csv{"DIR/none.csv"}', "PATH_NOT_FOUND"),
    ('spark.read:csv{"DIR/a.csv", sep = ""}', "INVALID_DELIMITER_VALUE"),
    ('spark.read:csv{"DIR/a.csv", quote = "“"}', "one ASCII character"),
    ('spark.read:csv{"DIR/a.csv", encoding = "UTF-77"}:count()', "encoding is not known"),
    ('spark.read:schema("a ARRAY<INT>"):csv("DIR/a.csv"):show()', "UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE"),
    ('spark.read:option("mode", "FAILFAST"):option("header", true):schema("a INT"):csv("DIR/a.csv"):show()', "MALFORMED_RECORD_IN_PARSING"),
    ('spark.read:option("enforceSchema", false):option("header", true):schema("q STRING"):csv("DIR/a.csv"):show()', "header does not conform"),
])
def test_what_cannot_be_read_says_why(home, tmp_path, code, says):
    packed = gzip.compress(b"a\n" + bytes(range(48, 58)) * 5000)
    (tmp_path / "cut.csv.gz").write_bytes(packed[:len(packed) // 2])
    (tmp_path / "bad.csv.gz").write_bytes(packed[:20] + b"\x00\x11" * 30)
    (tmp_path / "a.csv").write_text("a\nword\n")
    out = script(home, "local ok, e = pcall(function() " + code.replace("DIR", str(tmp_path)) + " end) print(ok, e)")
    assert out.startswith("false") and says in out


def test_a_header_in_another_encoding_is_read(home, tmp_path):
    (tmp_path / "latin.csv").write_bytes("größe,b\n1,2\n".encode("latin-1"))
    assert script(home, f"""
local r = spark.read:option("header", true)
print(r:csv("{tmp_path}/latin.csv").columns[1], r:csv("{tmp_path}/latin.csv"):count(), r:option("encoding", "latin1"):csv("{tmp_path}/latin.csv").columns[1])
""") == "gr\ufffd\ufffde\t1\tgröße\n"


def test_options_stand_in_a_table_behind_the_path(tmp_path, home):
    """csv(path, {header = true}), as habits of Python write it; what was written is read by Python's csv."""
    out = script(home, f'''
local df = spark:createDataFrame({{{{1, "a;b"}}, {{2, "c"}}}}, {{"n", "s"}})
df:coalesce(1).write:csv("{tmp_path}/out", {{mode = "overwrite", header = true, sep = ";"}})
df:coalesce(1).write:csv("{tmp_path}/out", "overwrite", {{header = true, sep = ";"}})
local back = spark.read:csv("{tmp_path}/out", {{header = true, sep = ";"}})
print(table.concat(back.columns, ","), back:count())
print(pcall(function() return spark.read:csv("{tmp_path}/out", {{}}, "{tmp_path}/none") end))''')
    assert out.splitlines()[0].split() == ["n,s", "2"] and out.splitlines()[1].startswith("false"), out
    part, = (tmp_path / "out").glob("part-*.csv")
    with part.open(newline="") as f:
        assert list(csv.reader(f, delimiter=";")) == [["n", "s"], ["1", "a;b"], ["2", "c"]]

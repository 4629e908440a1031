"""Rows for C: Arrow streams of both engines, read by pyarrow (runtime/spark/stream.h), and by nanoarrow in a module of Lua that is written in C
(runtime/spark/arrow_lua.h)."""
import ctypes as C
import os
import pathlib
import resource
import subprocess
import threading
import time

import pyarrow as pa
import pytest

from clib import Err, LacusError, check, load
from lacus import script
from test_long_queries import interrupted

ROOT = pathlib.Path(__file__).resolve().parents[2]
NANOARROW = ROOT / "build" / "deps" / "nanoarrow"


class Stream(C.Structure):
    """struct ArrowArrayStream"""
    _fields_ = [("get_schema", C.c_void_p), ("get_next", C.CFUNCTYPE(C.c_int, C.c_void_p, C.c_void_p)), ("get_last_error", C.CFUNCTYPE(C.c_char_p, C.c_void_p)),
                ("release", C.c_void_p), ("private_data", C.c_void_p)]

    def free(self):
        if self.release:
            C.CFUNCTYPE(None, C.c_void_p)(self.release)(C.addressof(self))


class Array(C.Structure):
    """struct ArrowArray"""
    _fields_ = [("length", C.c_int64)] + [(f"rest{i}", C.c_int64) for i in range(4)] + [(f"pointer{i}", C.c_void_p) for i in range(5)]

    def free(self):
        release = self.pointer3
        if release:
            C.CFUNCTYPE(None, C.c_void_p)(release)(C.addressof(self))


class Ctx(C.Structure):
    """struct ctx"""
    _fields_ = [("principal", C.c_char_p), ("session", C.c_char_p), ("operation", C.c_char_p), ("cancel", C.c_void_p), ("deadline_ns", C.c_int64),
                ("lineage", C.c_char_p * 4), ("progress", C.c_void_p), ("arena", C.c_void_p)]


class Session:
    """A struct spark, and what a C caller does with it."""

    def __init__(self, remote=None):
        self.lib = load()
        self.lib.spark_new.restype = C.c_void_p
        self.spark = C.c_void_p(self.lib.spark_new())
        self.cancel = C.c_bool(False)
        self.ctx = Ctx(b"", b"test", None, C.addressof(self.cancel), 0)
        if remote:
            self.call("spark_connect", self.spark, remote.encode())

    def call(self, name, *args):
        err = Err()
        check(getattr(self.lib, name)(*args, C.byref(err)), err)

    def stream(self, text):
        """What spark_execute gives for a query, read by the parser of lacus on either engine."""
        statement, out = C.POINTER(C.c_void_p)(), Stream()
        self.call("sql_parse", text.encode(), C.c_size_t(len(text)), None, C.c_size_t(0), C.byref(statement))
        try:
            self.call("spark_execute", C.byref(self.ctx), self.spark, C.c_void_p(statement[3]), C.byref(out))  # kind, object, action; arena; plan
        finally:
            self.lib.sql_release(statement)
        return out

    def reader(self, text):
        stream = self.stream(text)
        return pa.RecordBatchReader._import_from_c(C.addressof(stream))  # moved

    def close(self):
        if self.spark:
            self.lib.spark_free(self.spark)
        self.spark = None


@pytest.fixture(params=["embedded", "server"])
def session(request, tmp_path, monkeypatch):
    monkeypatch.setenv("LACUS_HOME", str(tmp_path / "home"))
    remote = request.getfixturevalue("spark_server").url if request.param == "server" else None
    s = Session(remote)
    s.server = remote is not None
    if remote:  # a partition's rows come at a time, and a server of the tests has little memory
        s.call("spark_conf_set", s.spark, b"spark.sql.leafNodeDefaultParallelism", b"200")
    yield s
    s.close()


@pytest.fixture
def embedded(tmp_path, monkeypatch):
    monkeypatch.setenv("LACUS_HOME", str(tmp_path / "home"))
    s = Session()
    yield s
    s.close()


EVERY_TYPE = """SELECT id, cast(id AS STRING) s, id % 2 = 0 b, cast(id AS TINYINT) y, cast(id AS SMALLINT) h, cast(id AS INT) i, cast(id AS FLOAT) f, id / 4 d,
    cast(id AS DECIMAL(10, 2)) x, DATE'2024-02-29' dt, TIMESTAMP'2024-01-02 03:04:05.5' t, TIMESTAMP_NTZ'2024-01-02 03:04:05' n, X'00ff' z, array(id, NULL) a,
    map('k', id) m, named_struct('p', id, 'a b', 'q') st, CASE WHEN id > 1 THEN id END AS gap FROM range(5)"""


def test_pyarrow_reads_every_type(session):
    table = session.reader(EVERY_TYPE).read_all()
    table.validate(full=True)
    assert table.num_rows == 5
    types = {f.name: str(f.type) for f in table.schema}
    assert {k: types[k] for k in "s b y h i f d x dt".split()} == {
        "s": "string", "b": "bool", "y": "int8", "h": "int16", "i": "int32", "f": "float", "d": "double", "x": "decimal128(10, 2)", "dt": "date32[day]"}
    assert types["t"].startswith("timestamp[us, tz=") and types["n"] == "timestamp[us]" and types["st"] == "struct<p: int64, a b: string>" or session.server
    row = table.sort_by("id").to_pylist()[3]
    assert str(row.pop("t")).startswith("2024-01-02 03:04:05.5") and str(row.pop("x")) == "3.00" and str(row.pop("dt")) == "2024-02-29"
    assert str(row.pop("n")) == "2024-01-02 03:04:05"
    assert row == {"id": 3, "s": "3", "b": False, "y": 3, "h": 3, "i": 3, "f": 3.0, "d": 0.75, "z": b"\0\xff", "a": [3, None], "m": [("k", 3)],
                   "st": {"p": 3, "a b": "q"}, "gap": 3}
    assert table.sort_by("id").column("gap").to_pylist() == [None, None, 2, 3, 4]


def test_the_schema_may_be_asked_for_at_any_time(session):
    reader = session.reader("SELECT id, id + 1 AS `a b`, id AS id FROM range(3) WHERE id > 5")
    assert reader.schema.names == ["id", "a b", "id"]
    assert reader.read_all().num_rows == 0
    assert reader.schema.names == ["id", "a b", "id"]


def test_many_rows_need_little_memory(session):
    rows = 3_000_000 if session.server else 40_000_000
    reader, n, total = session.reader(f"SELECT id, concat('a text of some length ', id) s FROM range({rows})"), 0, 0
    next(reader)
    reader.read_next_batch()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for batch in session.reader(f"SELECT id, concat('a text of some length ', id) s FROM range({rows})"):
        n += batch.num_rows
        total += batch.nbytes
    assert n == rows and total > (80 << 20)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < (60 << 20)
    reader.close()  # which was read to its second batch


def test_an_error_in_the_middle_stays(session):
    stream = session.stream(f"SELECT 1 / (id - {1900000 if session.server else 900000}) AS q FROM range(0, 2000000)")
    rows, batch, texts = 0, Array(), []
    for _ in range(100000):
        code = stream.get_next(C.addressof(stream), C.addressof(batch))
        if code:
            break
        rows += batch.length
        batch.free()
    for _ in range(3):  # never rows, and never an end
        texts.append(stream.get_last_error(C.addressof(stream)))
        assert code == 5 and "[DIVIDE_BY_ZERO]" in texts[-1].decode()
        code = stream.get_next(C.addressof(stream), C.addressof(batch))
    assert len(set(texts)) == 1 and rows < 2000000
    stream.free()
    assert session.reader("SELECT 7 AS n").read_all().to_pylist() == [{"n": 7}]


def test_what_is_wrong_with_names_is_said_by_the_call(session):
    with pytest.raises(LacusError, match="nope"):
        session.stream("SELECT nope FROM range(3)")


def test_a_cancelled_stream_ends_at_once(session):
    rows = 20_000_000 if session.server else 1_000_000_000
    stream = session.stream(f"SELECT id, sha2(cast(id AS STRING), 512) s FROM range({rows})")
    batch = Array()
    assert stream.get_next(C.addressof(stream), C.addressof(batch)) == 0
    batch.free()
    threading.Timer(0.3, lambda: setattr(session.cancel, "value", True)).start()
    begin = time.monotonic()
    while (code := stream.get_next(C.addressof(stream), C.addressof(batch))) == 0:
        batch.free()
    assert code == 125 and time.monotonic() - begin < 5  # ECANCELED
    session.cancel.value = False  # the next cell: this stream stays cancelled
    assert stream.get_next(C.addressof(stream), C.addressof(batch)) == 125
    stream.free()
    assert session.reader("SELECT 7 AS n").read_all().to_pylist() == [{"n": 7}]


def test_release_is_safe_at_any_time(session):
    for batches in (0, 1, 3):
        stream, kept = session.stream("SELECT id, cast(id AS STRING) s FROM range(300000)"), []
        for _ in range(batches):
            kept.append(Array())
            assert stream.get_next(C.addressof(stream), C.addressof(kept[-1])) == 0
        stream.free()
        assert not stream.release
        for batch in kept:  # they live on their own
            assert batch.length > 0
            batch.free()


def test_a_stream_and_its_batches_may_outlive_the_session(session):
    stream, batch, later = session.stream("SELECT id FROM range(300000)"), Array(), Array()
    assert stream.get_next(C.addressof(stream), C.addressof(batch)) == 0
    unread = session.stream("SELECT 1 AS n")
    session.close()
    for s in (stream, unread):
        for _ in range(2):
            assert s.get_next(C.addressof(s), C.addressof(later)) == 5
            assert s.get_last_error(C.addressof(s)) == b"the session that these rows come from has ended"
        with pytest.raises(Exception, match="has ended"):
            pa.RecordBatchReader._import_from_c(C.addressof(s))
    assert batch.length > 0
    batch.free()
    stream.free()


def test_streams_are_read_side_by_side_on_other_threads(session):
    readers = [session.reader(f"SELECT id + {k} AS n FROM range(200000)") for k in range(3)]
    sums = [0] * 3

    def read(k):
        for batch in readers[k]:
            sums[k] += pa.compute.sum(batch.column(0)).as_py()
    import pyarrow.compute  # noqa: F401
    threads = [threading.Thread(target=read, args=(k,)) for k in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sums == [200000 * 199999 // 2 + k * 200000 for k in range(3)]


def test_a_session_that_ends_stops_a_stream_that_is_being_read(embedded):
    stream, batch, codes = embedded.stream("SELECT sum(a.id * b.id) s FROM range(1) c CROSS JOIN range(3) a CROSS JOIN range(3) b"), Array(), []
    stream.free()
    stream = embedded.stream("SELECT id, sha2(cast(id AS STRING), 512) s FROM range(1000000000)")

    def read():
        while (code := stream.get_next(C.addressof(stream), C.addressof(batch))) == 0:
            batch.free()
        codes.append(code)
    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.3)
    embedded.close()
    thread.join(10)
    assert not thread.is_alive() and codes[0] in (5, 125)
    stream.free()


def test_old_streams_of_arrow_are_read(embedded, tmp_path):
    """Those that have no mark before their messages; a stream that a file holds only in part is cut off."""
    table = pa.table({"n": [1, 2, None], "s": ["a", None, "c"]})
    options = pa.ipc.IpcWriteOptions(use_legacy_format=True, metadata_version=pa.ipc.MetadataVersion.V4)
    with pa.ipc.new_stream(tmp_path / "old", table.schema, options=options) as w:
        w.write_table(table)
    stream = Stream()
    embedded.call("ipc_open", str(tmp_path / "old").encode(), C.byref(stream))
    assert pa.RecordBatchReader._import_from_c(C.addressof(stream)).read_all().equals(table)
    (tmp_path / "part").write_bytes((tmp_path / "old").read_bytes()[:-30])
    stream = Stream()
    embedded.call("ipc_open", str(tmp_path / "part").encode(), C.byref(stream))
    with pytest.raises(Exception, match="it is cut off"):
        pa.RecordBatchReader._import_from_c(C.addressof(stream)).read_all()


# ---- a module in C ----
MODULE = r"""
#include <lauxlib.h>
#include <lua.h>
#include <nanoarrow/nanoarrow.h>

static struct ArrowArrayStream *stream_at(lua_State *L)
{
    struct ArrowArrayStream *s = luaL_checkudata(L, 1, "arrow_array_stream");
    luaL_argcheck(L, s->release, 1, "this stream was read before");
    return s;
}

static int l_sum(lua_State *L) /* the first column's sum, and the number of rows; the stream is moved away */
{
    struct ArrowArrayStream mine, *theirs = stream_at(L);
    struct ArrowSchema schema;
    struct ArrowArray batch;
    struct ArrowArrayView view;
    struct ArrowError error = {{0}};
    lua_Integer sum = 0, rows = 0;
    int code;

    ArrowArrayStreamMove(theirs, &mine);
    if (ArrowArrayStreamGetSchema(&mine, &schema, &error) != NANOARROW_OK)
        return mine.release(&mine), luaL_error(L, "%s", error.message);
    code = ArrowArrayViewInitFromSchema(&view, &schema, &error);
    while (code == NANOARROW_OK && (code = ArrowArrayStreamGetNext(&mine, &batch, &error)) == NANOARROW_OK && batch.release) {
        code = ArrowArrayViewSetArray(&view, &batch, &error);
        if (code == NANOARROW_OK)
            code = ArrowArrayViewValidate(&view, NANOARROW_VALIDATION_LEVEL_FULL, &error);
        for (int64_t i = 0; code == NANOARROW_OK && i < batch.length; i++)
            if (!ArrowArrayViewIsNull(view.children[0], i))
                sum += ArrowArrayViewGetIntUnsafe(view.children[0], i);
        rows += batch.length;
        ArrowArrayRelease(&batch);
    }
    ArrowArrayViewReset(&view);
    ArrowSchemaRelease(&schema);
    ArrowArrayStreamRelease(&mine);
    if (code != NANOARROW_OK)
        return luaL_error(L, "%s", error.message);
    lua_pushinteger(L, sum);
    lua_pushinteger(L, rows);
    return 2;
}

static int l_gc(lua_State *L)
{
    struct ArrowArrayStream *s = lua_touserdata(L, 1);
    if (s->release)
        s->release(s);
    return 0;
}

static int l_numbers(lua_State *L) /* a stream of 1 … n, each twice */
{
    int64_t n = luaL_checkinteger(L, 1);
    struct ArrowArrayStream *s = lua_newuserdatauv(L, sizeof *s, 0);
    struct ArrowSchema schema;
    struct ArrowArray batch;
    int code = 0;

    s->release = NULL;
    if (luaL_newmetatable(L, "arrow_array_stream")) {
        lua_pushcfunction(L, l_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    ArrowSchemaInit(&schema);
    code |= ArrowSchemaSetTypeStruct(&schema, 2);
    for (int c = 0; c < 2; c++) {
        code |= ArrowSchemaSetType(schema.children[c], c ? NANOARROW_TYPE_STRING : NANOARROW_TYPE_INT64);
        code |= ArrowSchemaSetName(schema.children[c], c ? "text" : "n");
    }
    code |= ArrowBasicArrayStreamInit(s, &schema, 2);
    for (int64_t k = 0; k < 2 && !code; k++) {
        struct ArrowSchema again;
        code |= s->get_schema(s, &again) || ArrowArrayInitFromSchema(&batch, &again, NULL);
        again.release(&again);
        code |= ArrowArrayStartAppending(&batch);
        for (int64_t i = 1; i <= n && !code; i++)
            code |= ArrowArrayAppendInt(batch.children[0], i) || (i % 2 ? ArrowArrayAppendNull(batch.children[1], 1)
                    : ArrowArrayAppendString(batch.children[1], ArrowCharView("even"))) || ArrowArrayFinishElement(&batch);
        code |= ArrowArrayFinishBuildingDefault(&batch, NULL);
        ArrowBasicArrayStreamSetArray(s, k, &batch);
    }
    return code ? luaL_error(L, "out of memory") : 1;
}

int luaopen_sums(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, l_sum);
    lua_setfield(L, -2, "sum");
    lua_pushcfunction(L, l_numbers);
    lua_setfield(L, -2, "numbers");
    return 1;
}
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("module")
    (folder / "sums.c").write_text(MODULE)
    flags = subprocess.run(["pkg-config", "--cflags", "lua5.4"], capture_output=True, text=True, check=True).stdout.split()
    subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-Wall", "-Werror", "-shared", "-fPIC", "-isystem", NANOARROW, *flags, "-o", folder / "sums.so",
                    folder / "sums.c", ROOT / "build" / "nanoarrow.a"], check=True)
    return f'package.cpath = "{folder}/?.so;" .. package.cpath\nlocal sums = require "sums"\n'


def test_a_module_in_c_reads_and_gives_streams(home, module):
    out = script(home, module + """
print(sums.sum(spark:range(100000):toArrow()))
local df = spark:createDataFrame(sums.numbers(1000))
print(df.schema.simpleString, df:count(), df:agg(F.sum("n"), F.count("text")):first())
print(sums.sum(df:orderBy("n"):toArrow()))
local s = df:toArrow(); sums.sum(s)
print(pcall(sums.sum, s))
print(select(2, pcall(sums.sum, df)):match("arrow_array_stream expected"))
local bad = spark:sql("SELECT cast(1 / (id - 1900000) AS BIGINT) q FROM range(2000000)")
print(tostring(select(2, pcall(function() sums.sum(bad:toArrow()) end))):match("DIVIDE_BY_ZERO"))
do local unread <close> = df:toArrow() end
df:toArrow(); collectgarbage(); collectgarbage()
print(select(2, pcall(spark.createDataFrame, spark, df:toArrow(), "n INT")))
""")
    assert out.splitlines() == [
        "4999950000\t100000", "struct<n:bigint,text:string>\t2000\tRow(sum(n)=1001000, count(text)=1000)", "1001000\t2000",
        "false\tbad argument #1 to 'sums.sum' (this stream was read before)", "arrow_array_stream expected", "DIVIDE_BY_ZERO",
        "bad argument #3 to '?' (an Arrow stream has a schema: rename with toDF, cast with to)"]


def test_a_module_may_name_the_class_first(home, module):
    assert script(home, module + """
local first = sums.numbers(2)
do local unread <close> = spark:range(3):toArrow() end
spark:range(3):toArrow(); collectgarbage(); collectgarbage()
print(sums.sum(spark:range(3):toArrow()), spark:createDataFrame{data = first}:count())
""") == "3\t4\n"


def test_an_interrupt_reaches_a_module_that_reads(home, module, tmp_path):
    code = module + """io.stdout:write("go\\n"); io.stdout:flush()
print(pcall(sums.sum, spark:range(100000000000):toArrow()))
"""
    with interrupted(home, code) as (run, answered):
        assert answered < 2
        assert run.wait(30) == 130

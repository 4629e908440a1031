-- The Python side of %%python: a text that python3 runs. It reads one JSON message per line on descriptor 3 and answers on 4.
return [==[
import ast, base64, builtins, json, linecache, math, os, signal, sys, traceback

os.set_inheritable(3, False)
os.set_inheritable(4, False)
_in = os.fdopen(3, "r", encoding="utf-8", newline="\n")
_out = os.fdopen(4, "w", encoding="utf-8", newline="\n")
_folder = sys.argv[1] if len(sys.argv) > 1 else "."
sys.argv = [""]
sys.path.insert(0, "")
os.environ.setdefault("MPLBACKEND", "Agg")


def _flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


def _send(op, **members):
    _flush()
    members["op"] = op
    _out.write(json.dumps(members, ensure_ascii=True) + "\n")
    _out.flush()


def _input(prompt="", password=False):
    _send("input", prompt=str(prompt), password=password)
    line = _in.readline()
    if not line:
        raise EOFError
    answer = json.loads(line)
    if answer.get("op") == "answer":
        return answer["text"]
    raise EOFError(answer.get("message", "there is nobody to answer"))


builtins.input = _input


def _getpass(prompt="Password: ", stream=None):
    return _input(prompt, True)


# ---- showing

_methods = {"_repr_html_": "text/html", "_repr_markdown_": "text/markdown", "_repr_svg_": "image/svg+xml",
            "_repr_png_": "image/png", "_repr_jpeg_": "image/jpeg", "_repr_latex_": "text/latex", "_repr_json_": "application/json"}


def _text_of(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def _bundle(value):
    data = {"text/plain": repr(value)}
    if isinstance(value, type):
        return data
    make = getattr(value, "_repr_mimebundle_", None)
    if callable(make):
        try:
            more = make(include=None, exclude=None)
            more = more[0] if isinstance(more, tuple) else more
            data.update({k: _text_of(v) for k, v in (more or {}).items()})
        except Exception:
            pass
    for name, mime in _methods.items():
        make = getattr(value, name, None)
        if mime in data or not callable(make):
            continue
        try:
            text = make()
        except Exception:
            continue
        if text is not None:
            data[mime] = _text_of(text)
    if "image/png" not in data and type(value).__module__.startswith("matplotlib.figure"):
        data["image/png"] = _png(value)
    return data


def _png(figure):
    import io
    data = io.BytesIO()
    figure.savefig(data, format="png", bbox_inches="tight")
    return base64.b64encode(data.getvalue()).decode()


def display(*values):
    for value in values:
        _send("display", data=_bundle(value))


def _figures():
    plt = sys.modules.get("matplotlib.pyplot")
    if plt is None:
        return
    for number in plt.get_fignums():
        figure = plt.figure(number)
        _send("display", data={"text/plain": repr(figure), "image/png": _png(figure)})
    plt.close("all")


# ---- tables and values

def _has(name):
    import importlib.util
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


class MissingLibrary(Exception):
    pass


_no_arrow = "a dataframe is handed over in Arrow's format, and this Python has neither pyarrow nor polars: %pip install pyarrow"


_kinds = {}  # column → its type, which what pandas keeps as objects of Python does not say: decimals, maps, nothing but nulls


# Integers with nulls stay integers: as floats they would lose digits above 2**53, and come back as another type.
def _frame(table):
    import pandas, pyarrow as pa
    frame = table.to_pandas()
    for i, f in enumerate(table.schema):
        column = table.column(i)
        if pa.types.is_integer(f.type) and column.null_count:
            dtype = pandas.api.types.pandas_dtype(str(f.type).replace("uint", "UInt").replace("int", "Int"))
            frame.isetitem(i, column.to_pandas(types_mapper=lambda kind: dtype))
        _kinds[f.name] = f.type
    return frame


def _table(frame):
    import pyarrow as pa
    columns = {}
    for name, series in frame.items():
        if str(name) in columns:
            raise ValueError("two columns are named '%s'" % name)
        columns[str(name)] = _column(series, _kinds.get(name))
    return pa.table(columns)


def _column(series, kind):
    import pyarrow as pa
    if kind is not None and series.dtype == object:
        try:
            array = pa.array(series, type=kind, from_pandas=True)
            if all(map(_same, array.to_pylist(), series)):
                return array
        except (pa.ArrowException, TypeError, ValueError):
            pass  # another one by now
    return pa.Array.from_pandas(series)


# Arrow cuts 0.5 in a list of integers to 0 without a word.
def _same(now, was):
    if isinstance(now, dict):
        return isinstance(was, dict) and now.keys() == was.keys() and all(_same(now[k], was[k]) for k in now)
    if isinstance(now, (list, tuple)):
        return hasattr(was, "__len__") and len(now) == len(was) and all(map(_same, now, was))
    if now is None:
        return was is None or was != was or str(was) in ("<NA>", "NaT")
    return bool(now == was)


def _read_table(path):
    try:
        if _has("pyarrow"):
            import pyarrow.ipc
            with pyarrow.memory_map(path) as file, pyarrow.ipc.open_stream(file) as reader:
                table = reader.read_all()
            return _frame(table) if _has("pandas") else table
        if _has("polars"):
            import polars
            return polars.read_ipc_stream(path)
        raise MissingLibrary(_no_arrow)
    finally:
        os.unlink(path)


def _is(value, module, *names):
    kind = type(value)
    return kind.__module__.split(".")[0] == module and kind.__name__ in names


# What JSON has no word for, as in MongoDB's Extended JSON.
_infinite = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _exact(given):
    if len(given) == 1 and isinstance(given.get("$numberDouble"), str):
        return float(given["$numberDouble"])
    if len(given) == 1 and isinstance(given.get("$binary"), str):
        return base64.b64decode(given["$binary"])
    return given


def _plain(value, depth=0):
    if depth > 50:
        raise TypeError("too deep, or a circle")
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if -2**63 <= value < 2**63 else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$numberDouble": _infinite[str(value)]}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$binary": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {str(k): _plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v, depth + 1) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), depth + 1)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError("a value of type %s" % type(value).__name__)


# What a column is given as: Spark's types, and no encodings.

def _arrow_type(kind):
    import pyarrow as pa
    is_ = pa.types
    def field(f):
        return f.with_type(_arrow_type(f.type)).with_nullable(True).remove_metadata()
    if isinstance(kind, pa.BaseExtensionType):
        return _arrow_type(kind.storage_type)
    if is_.is_dictionary(kind) or getattr(is_, "is_run_end_encoded", lambda kind: False)(kind):
        return _arrow_type(kind.value_type)
    if is_.is_struct(kind):
        return pa.struct([field(kind.field(i)) for i in range(kind.num_fields)])
    if is_.is_map(kind):
        return pa.map_(_arrow_type(kind.key_type), _arrow_type(kind.item_type))
    if is_.is_nested(kind) and hasattr(kind, "value_type"):
        return pa.list_(field(kind.value_field))
    if is_.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if is_.is_decimal(kind) and kind.precision <= 38:
        return pa.decimal128(kind.precision, kind.scale)
    name = str(kind).split("[")[0]
    plain = {"null": pa.int32(), "uint8": pa.int16(), "uint16": pa.int32(), "uint32": pa.int64(), "uint64": pa.decimal128(20, 0),
             "halffloat": pa.float32(), "large_string": pa.string(), "string_view": pa.string(), "large_binary": pa.binary(),
             "binary_view": pa.binary(), "fixed_size_binary": pa.binary(), "date64": pa.date32(), "duration": pa.int64(),
             "time32": pa.string(), "time64": pa.string()}
    return plain.get(name, kind)


_ends = (r"(\.\d*?)0+$", r"\.$")  # of a time of the day: 01:02:03.500000


def _plain_times(table):
    import pyarrow as pa, pyarrow.compute as pc
    for i, f in enumerate(table.schema):
        if pa.types.is_time(f.type):
            text = table.column(i).cast(pa.time64("us"), safe=False).cast(pa.string())
            text = pc.replace_substring_regex(pc.replace_substring_regex(text, _ends[0], r"\1"), _ends[1], "")
            table = table.set_column(i, f.name, text)
    return table


def _write_arrow(table, path):
    import pyarrow as pa, pyarrow.ipc
    table = _plain_times(table)
    schema = pa.schema([pa.field(f.name, _arrow_type(f.type)) for f in table.schema])
    with pyarrow.ipc.new_stream(path, schema) as writer:
        for batch in table.to_batches(max_chunksize=65536):
            if not batch.schema.equals(schema, check_metadata=True):
                # what is finer than a microsecond is cut off
                batch = pa.Table.from_batches([batch]).cast(schema, safe=False)
            writer.write(batch)


def _polars_type(kind):
    import polars as pl
    if isinstance(kind, (pl.List, pl.Array)):
        return pl.List(_polars_type(kind.inner))
    if isinstance(kind, pl.Struct):
        return pl.Struct({f.name: _polars_type(f.dtype) for f in kind.fields})
    if isinstance(kind, pl.Datetime):
        return pl.Datetime("us", kind.time_zone)
    plain = {"Null": pl.Int32, "UInt8": pl.Int16, "UInt16": pl.Int32, "UInt32": pl.Int64, "UInt64": pl.Decimal(20, 0), "Int128": pl.Decimal(38, 0),
             "Float16": pl.Float32, "Categorical": pl.String, "Enum": pl.String, "Time": pl.String, "Duration": pl.Int64}
    return plain.get(type(kind).__name__, kind)


def _write_polars(frame, path):
    import polars as pl
    frame = frame.with_columns(pl.col(name).dt.to_string("%H:%M:%S%.6f").str.replace(_ends[0], "${1}").str.replace(_ends[1], "")
                               for name, kind in frame.schema.items() if kind == pl.Time)
    frame = frame.cast({name: _polars_type(kind) for name, kind in frame.schema.items()})
    frame.write_ipc_stream(path, compat_level=pl.CompatLevel.oldest())


def _give(name, value, count):
    path = os.path.join(_folder, "out-%d.arrow" % count)
    if _is(value, "polars", "LazyFrame"):
        value = value.collect()
    if _is(value, "polars", "DataFrame"):
        if not _has("pyarrow"):
            _write_polars(value, path)
            return {"table": path}
        value = value.to_arrow()
    if _is(value, "pandas", "Series"):
        value = value.to_frame(value.name if value.name is not None else name)
    if _is(value, "pandas", "DataFrame") or _is(value, "pyarrow", "Table", "RecordBatch"):
        if not _has("pyarrow"):
            raise MissingLibrary("a dataframe is handed over in Arrow's format, and this Python has no pyarrow: %pip install pyarrow")
        import pyarrow
        if _is(value, "pandas", "DataFrame"):
            value = _table(value)
        elif _is(value, "pyarrow", "RecordBatch"):
            value = pyarrow.Table.from_batches([value])
        _write_arrow(value, path)
        return {"table": path}
    try:
        return {"value": _plain(value)}
    except TypeError as why:
        raise TypeError("cannot hand over '%s': %s" % (name, why)) from None


# ---- running

_names = {"__name__": "__main__", "__builtins__": builtins, "display": display}
import types as _types
_main = _types.ModuleType("__main__")
_main.__dict__.update(_names)
sys.modules["__main__"] = _main
_names = _main.__dict__
_count = 0


def _run(code, file):
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)
    tree = ast.parse(code, file)
    last = None
    quiet = code.rstrip().endswith(";")
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    def perform(node, mode):
        compiled = compile(node, file, mode, flags=flags)
        if compiled.co_flags & 0x80:
            import asyncio
            return asyncio.run(eval(compiled, _names))
        return eval(compiled, _names)
    perform(tree, "exec")
    if last is not None:
        value = perform(last, "eval")
        if value is not None:
            _names["_"] = value
            if not quiet:
                display(value)
    _figures()


def _error(kind, value, tb, file):
    here = tb
    while here is not None and here.tb_frame.f_code.co_filename != file:
        here = here.tb_next
    lines = traceback.format_exception(kind, value, here)
    if here is None and not issubclass(kind, SyntaxError):
        lines = traceback.format_exception_only(kind, value)
    text = "".join(lines).rstrip("\n")
    return text.split("\n")


def _cell(message):
    global _count
    _count += 1
    file = "<python cell %d>" % _count
    reply = {"status": "ok", "out": {}}
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _send("began")  # only now can it be interrupted
        for name, given in message.get("in", {}).items():
            _names[name] = _read_table(given["table"]) if "table" in given else given.get("value")
        _run(message["code"], file)
        for name in message.get("out", []):
            if name not in _names:
                raise NameError("name '%s' is not defined: it cannot be handed over" % name)
            _count += 1
            reply["out"][name] = _give(name, _names[name], _count)
    except SystemExit as end:
        failed = end.code not in (None, 0)
        if failed and not isinstance(end.code, int):  # a text is printed, as Python does on its way out
            print(end.code, file=sys.stderr)
        reply.update(status="exit", code=(end.code if isinstance(end.code, int) else 1) & 255 if failed else 0)
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
        reply.update(status=status, ename=type(error).__name__, evalue=str(error), traceback=_error(*sys.exc_info(), file))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return reply


def _main_loop():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        import getpass
        getpass.getpass = _getpass
    except ImportError:
        pass
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace", line_buffering=True, write_through=False)
        sys.stderr.reconfigure(encoding="utf-8", errors="replace", line_buffering=True, write_through=False)
    while True:
        try:
            line = _in.readline()
            if not line:
                return
            _send("done", **_cell(json.loads(line, object_hook=_exact)))
        except KeyboardInterrupt:
            _send("done", status="interrupted", ename="KeyboardInterrupt", evalue="", traceback=["KeyboardInterrupt"], out={})


_main_loop()
]==]

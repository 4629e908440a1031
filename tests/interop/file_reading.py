"""Files read by Spark and by lacus: the same files, options and schemas through both; columns, types and rows are compared."""
import json

from lacus import script

NULL = "<NULL>"


def put(path, data):
    """A file with its folders; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def by_spark(peer, kind, cases):
    """Each case: (path, options, schema or None). Values are what SQL's cast makes texts of, so that both sides print them alike."""
    got = []
    for path, options, schema in cases:
        try:
            reader = peer.read.options(**options)
            df = (reader.schema(schema) if schema else reader).format(kind).load(str(path))
            texts = df.selectExpr(*[f"coalesce(string(`{c.replace('`', '``')}`), '{NULL}')" for c in df.columns])
            got.append({"types": [list(t) for t in df.dtypes], "rows": [list(r) for r in texts.collect()] if df.columns else []})
        except Exception as e:
            got.append({"error": str(e)[:300]})
    return got


def by_lacus(home, tmp_path, kind, cases):
    (tmp_path / "cases.json").write_text(json.dumps([{"path": str(p), "options": o, "schema": s} for p, o, s in cases]))
    script(home, f"""
local out = io.open("{tmp_path}/got.jsonl", "w")
for _, case in ipairs(json.decode(io.open("{tmp_path}/cases.json"):read("a"))) do
  local ok, got = pcall(function()
    local reader = spark.read:options(case.options)
    if type(case.schema) == "string" then reader = reader:schema(case.schema) end
    local df, texts, rows, types = reader:{kind}(case.path), {{}}, {{}}, {{}}
    for k, c in ipairs(df.columns) do texts[k] = "coalesce(string(`" .. c:gsub("`", "``") .. "`), '{NULL}')" end
    if #texts > 0 then
      for i, row in ipairs(df:selectExpr(table.unpack(texts)):collect()) do rows[i] = {{}}; for k = 1, #texts do rows[i][k] = row[k] end end
    end
    for k, t in ipairs(df.dtypes) do types[k] = {{t[1], t[2]}} end
    return {{types = #types > 0 and types or null, rows = #rows > 0 and rows or null}}
  end)
  out:write(json.encode(ok and got or {{error = tostring(got)}}), "\\n")
end
out:close()
""")
    got = [json.loads(line) for line in (tmp_path / "got.jsonl").read_text().splitlines()]
    return [g if "error" in g else {k: g.get(k) or [] for k in ("types", "rows")} for g in got]


def spelled(text):
    """As Java from 19 on prints floats."""
    return text.replace("1.70444877E9", "1.7044488E9").replace("2.14748365E9", "2.1474836E9")


def differences(home, tmp_path, peer, kind, cases, passed_over=()):
    """Cases that the two read differently: (options, schema, text, what lacus gave, what Spark gave). kind: csv or json. passed_over: errors of Spark after which nothing is compared."""
    different = []
    for (path, options, schema), ours, theirs in zip(cases, by_lacus(home, tmp_path, kind, cases), by_spark(peer, kind, cases), strict=True):
        if any(word in theirs.get("error", "") for word in passed_over):
            continue
        theirs.update(rows=[[spelled(x) for x in r] for r in theirs.get("rows", [])])
        ours.setdefault("rows", [])
        if path.is_dir():  # files come in the order of their sizes or names
            ours["rows"].sort(), theirs["rows"].sort()
        if ("error" in ours) != ("error" in theirs) or "error" not in ours and ours != theirs:
            text = "" if path.is_dir() else path.read_bytes()[:400].decode(errors="replace")
            different.append((options, schema, text, ours, theirs))
    return different

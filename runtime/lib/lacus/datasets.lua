-- datasets.lua: Dataset and DatasetDict as Hugging Face's datasets have them, over rows in memory. `core` is llm.lua's.
return function(core, tools)
local M = {}
local shared = require "lacus.tools"
local sorted_keys = shared.sorted_keys
local fail, check_keys, set = tools.fail, tools.check_keys, tools.set
local Dataset, DatasetDict = {}, {}
local methods, dict_methods = {}, {}
local states = setmetatable({}, {__mode = "k"}) -- of each dataset: {columns = {name, …}, rows = {{name = value}, …}}

-- ---- making -------------------------------------------------------------------------------------------------------------

local function is_dataset(x) return type(x) == "table" and states[x] ~= nil end
M.is_dataset = is_dataset

local function make(columns, rows)
  local ds = setmetatable({}, Dataset)
  states[ds] = {columns = columns, rows = rows}
  return ds
end

local function position(list, value)
  for i, v in ipairs(list) do
    if v == value then return i end
  end
end

local function as_list(x)
  if x == nil then return {} end
  return type(x) == "table" and x or {x}
end

local function quoted(names) return "[" .. shared.quoted(names) .. "]" end

local function check_column(ds, name)
  local columns = states[ds].columns
  if position(columns, name) then return name end
  local near = core.nearest(tostring(name), columns)
  fail("NOTFOUND", ("Column name '%s' not in the dataset. Current columns in the dataset: %s"):format(tostring(name), quoted(columns)),
       near ~= "" and "did you mean " .. near .. "?" or nil)
end

local function plain(row)
  local copy = {}
  for name, value in pairs(row) do
    if value ~= null then copy[name] = value end
  end
  return copy
end

-- Options of a method: positions, one table with names, or positions and a table.
local function options(what, known, first, ...)
  local o = {}
  if type(first) == "table" and select("#", ...) == 0 and not is_dataset(first) then
    for i, name in ipairs(known) do o[name] = first[i] end
    for name, value in pairs(first) do
      if type(name) == "string" then o[name] = value end
    end
  else
    o[known[1]] = first
    for i = 1, select("#", ...) do
      local value = select(i, ...)
      if type(value) == "table" and i == select("#", ...) and #value == 0 then
        for name, v in pairs(value) do o[name] = v end
      elseif known[i + 1] then
        o[known[i + 1]] = value
      end
    end
  end
  check_keys(what, o, set(table.unpack(known)))
  return o
end

-- Dataset:from_list{…} would take Dataset itself for the rows.
local function without_colon(name, given)
  if given == M.Dataset then fail("ARG", ("Dataset.%s takes a dot, not a colon"):format(name), ("write Dataset.%s(…)"):format(name)) end
end

--- class Dataset: rows with named columns, as Hugging Face's datasets have them
--- Dataset.from_list(rows: table) -> Dataset
-- rows as tables; the columns are in the order of their names
--     Dataset.from_list{{text = "one", label = 0}, {text = "two", label = 1}}
local function from_list(rows)
  without_colon("from_list", rows)
  if type(rows) ~= "table" then fail("ARG", "Dataset.from_list takes a list of rows, not a " .. type(rows)) end
  local seen, copies = {}, {}
  for i, row in ipairs(rows) do
    if type(row) == "string" then row = {text = row} end
    if type(row) ~= "table" then fail("ARG", ("row %d is a %s, not a table"):format(i, type(row))) end
    for name in pairs(row) do
      if type(name) ~= "string" then fail("ARG", ("row %d has a field without a name"):format(i), "rows are {name = value, …}") end
      seen[name] = true
    end
    copies[i] = plain(row)
  end
  return make(sorted_keys(seen), copies)
end

local function from_columns(what, columns, names)
  local n, first
  for _, name in ipairs(names) do
    if type(columns[name]) ~= "table" then fail("ARG", ("%s: column '%s' is a %s, not a list"):format(what, name, type(columns[name]))) end
    if n and #columns[name] ~= n then
      fail("ARG", ("%s: column '%s' has %d values, and '%s' has %d"):format(what, name, #columns[name], first, n))
    end
    n, first = #columns[name], first or name
  end
  local rows = {}
  for i = 1, n or 0 do
    local row = {}
    for _, name in ipairs(names) do
      local value = columns[name][i]
      if value ~= null then row[name] = value end
    end
    rows[i] = row
  end
  return rows
end

--- Dataset.from_dict(columns: table) -> Dataset
-- columns as lists of one length; null stands for a missing value
--     Dataset.from_dict{text = {"one", "two"}, label = {0, 1}}
local function from_dict(columns)
  without_colon("from_dict", columns)
  if type(columns) ~= "table" then fail("ARG", "Dataset.from_dict takes a table of columns, not a " .. type(columns)) end
  local names = sorted_keys(columns)
  return make(names, from_columns("Dataset.from_dict", columns, names))
end

--- Dataset.from_df(df: DataFrame) -> Dataset
-- the rows of a dataframe, in its order of columns
local function from_df(df)
  without_colon("from_df", df)
  local rows = {}
  for row in df:toLocalIterator() do rows[#rows + 1] = plain(tools.unrow(row)) end
  return make({table.unpack(df.columns)}, rows)
end

M.Dataset = setmetatable({from_list = from_list, from_dict = from_dict, from_df = from_df}, {
  __call = function(_, x)
    if is_dataset(x) then return x end
    if tools.is_dataframe(x) then return from_df(x) end
    if type(x) == "table" and x[1] == nil and next(x) ~= nil then return from_dict(x) end
    return from_list(x)
  end,
})

-- ---- looking ------------------------------------------------------------------------------------------------------------

local function column(ds, name)
  local out = {}
  for i, row in ipairs(states[ds].rows) do
    if row[name] == nil then out[i] = null else out[i] = row[name] end
  end
  return out
end

local function type_name(value)
  if math.type(value) then return math.type(value) == "integer" and "Value('int64')" or "Value('float64')" end
  if type(value) == "string" then return "Value('string')" end
  if type(value) == "boolean" then return "Value('bool')" end
  if type(value) ~= "table" then return "Value('null')" end
  if next(value) == nil then return "List(Value('null'))" end
  if value[1] ~= nil then return "List(" .. type_name(value[1]) .. ")" end
  local parts = {}
  for i, name in ipairs(sorted_keys(value)) do parts[i] = ("'%s': %s"):format(name, type_name(value[name])) end
  return "{" .. table.concat(parts, ", ") .. "}"
end

-- The type of a column, from its first value; whole and broken numbers together are float64.
local function feature(ds, name)
  local found = "Value('null')"
  for _, row in ipairs(states[ds].rows) do
    local value = row[name]
    if value ~= nil and (found:find("null", 1, true) or found == "Value('int64')" and math.type(value) == "float") then found = type_name(value) end
    if found ~= "Value('int64')" and not found:find("null", 1, true) then break end
  end
  return found
end

local function features(ds)
  local out, order = {}, states[ds].columns
  for _, name in ipairs(order) do out[name] = feature(ds, name) end
  return setmetatable(out, {__tostring = function(t)
    local parts = {}
    for i, name in ipairs(order) do parts[i] = ("'%s': %s"):format(name, t[name]) end
    return "{" .. table.concat(parts, ", ") .. "}"
  end})
end

--- Dataset.num_rows: integer
-- how many rows; #ds is the same
--- Dataset.column_names: {string, …}
-- the names of the columns
--- Dataset.features: table
-- the type of each column
--- Dataset.shape: {integer, integer}
-- rows and columns
local fields = {
  num_rows = function(ds) return #states[ds].rows end,
  num_columns = function(ds) return #states[ds].columns end,
  column_names = function(ds) return {table.unpack(states[ds].columns)} end,
  features = features,
  shape = function(ds) return {#states[ds].rows, #states[ds].columns} end,
}
--- Dataset.num_columns: integer
-- how many columns

local function row_at(ds, i)
  local n = #states[ds].rows
  local at = i < 0 and n + 1 + i or i
  if at == n + 1 then return nil end -- where a loop over positions ends
  if math.type(at) ~= "integer" or at < 1 or at > n then
    fail("ARG", ("Invalid key: %s is out of bounds for size %d"):format(tostring(i), n), "rows are counted from 1; -1 is the last")
  end
  return plain(states[ds].rows[at])
end

local function pick(ds, positions)
  local rows = {}
  for i, at in ipairs(positions) do
    rows[i] = row_at(ds, at) or fail("ARG", ("Invalid key: %d is out of bounds for size %d"):format(at, #ds))
  end
  return rows
end

-- Rows as columns, for a batch of map and for ds[{1, 2}].
local function batch_of(columns, rows, first, last)
  local out = {}
  for _, name in ipairs(columns) do
    local values = {}
    for i = first, last do
      local value = rows[i][name]
      if value == nil then value = null end
      values[i - first + 1] = value
    end
    out[name] = values
  end
  return out
end

function Dataset.__index(ds, key)
  if math.type(key) then return row_at(ds, key) end
  if type(key) == "table" then
    local rows = pick(ds, key)
    return batch_of(states[ds].columns, rows, 1, #rows)
  end
  if methods[key] then return methods[key] end
  if fields[key] then return fields[key](ds) end
  if position(states[ds].columns, key) then return column(ds, key) end
  if type(key) ~= "string" or key:find("^_") then return nil end
  check_column(ds, key)
end

function Dataset.__newindex(_, key)
  fail("ARG", ("a Dataset does not change: cannot set '%s'"):format(tostring(key)), "ds:map{fn}, ds:add_column(name, values) give a new one")
end

function Dataset.__len(ds) return #states[ds].rows end

function Dataset.__pairs(ds)
  return function(_, i)
    i = i + 1
    local row = states[ds].rows[i]
    if row then return i, plain(row) end
  end, ds, 0
end

function Dataset.__tostring(ds)
  return ("Dataset({\n    features: %s,\n    num_rows: %d\n})"):format(quoted(states[ds].columns), #ds)
end
Dataset.__name = "Dataset"

function Dataset.__dir(ds)
  local names = {table.unpack(states[ds].columns)}
  for name in pairs(methods) do names[#names + 1] = name end
  for name in pairs(fields) do names[#names + 1] = name end
  return names
end

--- Dataset:iter() -> function
-- for row in ds:iter() do … end
--     for row in ds:iter() do print(row.k) end
function methods.iter(ds)
  local i = 0
  return function()
    i = i + 1
    local row = states[ds].rows[i]
    return row and plain(row)
  end
end

--- Dataset:column(name: string) -> {any, …}
-- a column as a list, whatever its name; ds.name where no method has the name
--     ds:column("k")
function methods.column(ds, name) return column(ds, check_column(ds, name)) end

-- ---- fingerprints: what map's cache is known by -----------------------------------------------------------------------------

local function put(out, text) out[#out + 1] = text end

-- A value as text, the same in every process; false: it cannot be told apart from others (a coroutine, an open file).
local hash_function
local function describe(value, out, seen)
  local kind = type(value)
  if kind == "number" or kind == "string" or kind == "boolean" or kind == "nil" then
    put(out, kind == "string" and #value .. ":" .. value or ("%q"):format(value))
    return true
  elseif kind == "function" then
    return hash_function(value, out, seen)
  elseif kind == "userdata" then
    if value == null then put(out, "null") return true end
    local ok, path = pcall(function() return value.name_or_path end)
    if not ok or type(path) ~= "string" then return false end
    for _, file in ipairs{"/tokenizer.json", "/tokenizer_config.json", ""} do
      if not core.is_dir(path .. file) and core.exists(path .. file) then put(out, core.digest_file(path .. file)) end
    end
    return true
  elseif kind ~= "table" then
    return false
  end
  if seen[value] then put(out, "@" .. seen[value]) return true end
  seen[#seen + 1], seen[value] = value, #seen + 1
  if is_dataset(value) then put(out, "dataset " .. M.fingerprint(value)) return true end
  if getmetatable(value) ~= nil and not getmetatable(value).__plain then return false end
  local keys = {}
  for key in pairs(value) do
    if type(key) ~= "string" and type(key) ~= "number" then return false end
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    if type(a) ~= type(b) then return type(a) == "number" end
    return a < b
  end)
  put(out, "{")
  for _, key in ipairs(keys) do
    if not describe(key, out, seen) or not describe(value[key], out, seen) then return false end
  end
  put(out, "}")
  return true
end

-- The globals that a function may name: each word of its code that is one.
local function describe_globals(code, env, out, seen)
  local words = {}
  for word in code:gmatch("[%a_][%w_]*") do words[word] = true end
  for _, word in ipairs(sorted_keys(words)) do
    local value = rawget(env, word)
    if value ~= nil and value ~= package.loaded[word] and value ~= env then
      put(out, word)
      local info = type(value) == "function" and debug.getinfo(value, "S")
      if info and info.what == "C" then
        put(out, "C")
      elseif not describe(value, out, seen) then
        return false
      end
    end
  end
  return true
end

function hash_function(f, out, seen)
  if seen[f] then put(out, "@" .. seen[f]) return true end
  seen[#seen + 1], seen[f] = f, #seen + 1
  local ok, code = pcall(string.dump, f, true)
  if not ok then return false end
  put(out, code)
  for i = 1, 255 do
    local name, value = debug.getupvalue(f, i)
    if not name then break end
    if type(value) == "table" and (value == _G or rawget(value, "_G") == value) then
      if not describe_globals(code, value, out, seen) then return false end
    elseif not describe(value, out, seen) then
      return false
    end
  end
  return true
end

function M.fingerprint(ds)
  local s = states[ds]
  if not s.fingerprint then
    local out = {"columns"}
    describe(s.columns, out, {})
    for _, row in ipairs(s.rows) do
      for _, name in ipairs(s.columns) do
        if not describe(row[name], out, {}) then put(out, tostring(row[name])) end
      end
    end
    s.fingerprint = core.digest(table.concat(out, "\0"))
  end
  return s.fingerprint
end

local function cache_path(ds, o)
  if o.load_from_cache_file == false then return nil end
  local out = {"lacus map 1", M.fingerprint(ds)}
  for _, name in ipairs{"batched", "batch_size", "drop_last_batch", "remove_columns", "with_indices", "fn_kwargs"} do
    if not describe(o[name], out, {}) then return nil end
  end
  if not hash_function(o["function"], out, {}) then return nil end
  local key = core.digest(table.concat(out, "\0"))
  return core.temporary():match("^(.*)/") .. "/map-" .. key .. ".json", key
end

local function read_cache(path)
  local file = path and io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  local ok, kept = pcall(require("json").decode, text)
  if not ok or type(kept) ~= "table" or type(kept.columns) ~= "table" or type(kept.rows) ~= "table" then return nil end
  for i, row in ipairs(kept.rows) do kept.rows[i] = plain(row) end
  return make(kept.columns, kept.rows)
end

-- Only what comes back as it was is kept.
local function write_cache(path, ds)
  local s = states[ds]
  local ok, text = pcall(require("json").encode, {columns = s.columns, rows = s.rows})
  if not path or not ok then return end
  local decoded, kept = pcall(require("json").decode, text)
  if not decoded then return end
  for i, row in ipairs(kept.rows) do kept.rows[i] = plain(row) end
  if M.fingerprint(make(kept.columns, kept.rows)) == M.fingerprint(ds) then core.write(path, text) end
end

-- ---- map and filter -----------------------------------------------------------------------------------------------------

local function without(columns, removed)
  local out = {}
  for _, name in ipairs(columns) do
    if not position(removed, name) then out[#out + 1] = name end
  end
  return out
end

-- The names that rows have beyond the columns, in their order.
local function with_new(columns, seen)
  local out, more = {table.unpack(columns)}, {}
  for name in pairs(seen) do
    if not position(columns, name) then more[#more + 1] = name end
  end
  table.sort(more)
  return table.move(more, 1, #more, #out + 1, out)
end

local function bad_result(what, value)
  fail("ARG", ("the function of ds:%s gave a %s"):format(what, type(value)), "it gives a table of columns: {length = #row.text}, or nothing")
end

local function map_rows(ds, o, removed)
  local rows, seen = {}, {}
  for i, row in ipairs(states[ds].rows) do
    local new = o["function"](plain(row), table.unpack(o.with_indices and {i, o.fn_kwargs} or {o.fn_kwargs}))
    if new ~= nil and type(new) ~= "table" then bad_result("map", new) end
    local out = plain(row)
    for _, name in ipairs(removed) do out[name] = nil end
    for name, value in pairs(new or {}) do
      seen[name] = true
      if value == null then out[name] = nil else out[name] = value end
    end
    rows[i] = out
  end
  return rows, seen
end

local function map_batch(ds, o, removed, first, last, rows, seen)
  local s = states[ds]
  local positions = {}
  for i = first, last do positions[#positions + 1] = i end
  local new = o["function"](batch_of(s.columns, s.rows, first, last), table.unpack(o.with_indices and {positions, o.fn_kwargs} or {o.fn_kwargs}))
  if new ~= nil and type(new) ~= "table" then bad_result("map", new) end
  local all = batch_of(without(s.columns, removed), s.rows, first, last)
  for name, values in pairs(new or {}) do
    seen[name] = true
    all[name] = values
  end
  local made = from_columns("ds:map", all, sorted_keys(all))
  table.move(made, 1, #made, #rows + 1, rows)
end

local function map_batches(ds, o, removed)
  local rows, seen = {}, {}
  local n, size = #ds, o.batch_size or 1000
  if size <= 0 then size = math.max(n, 1) end
  for first = 1, n, size do
    local last = math.min(first + size - 1, n)
    if o.drop_last_batch and last - first + 1 < size then break end
    map_batch(ds, o, removed, first, last, rows, seen)
  end
  return rows, seen
end

local map_keys = {"function", "batched", "batch_size", "remove_columns", "with_indices", "fn_kwargs", "drop_last_batch", "load_from_cache_file",
                  "num_proc", "desc"}

--- Dataset:map(function: function, options?: {batched = false, batch_size = 1000, remove_columns?: table, with_indices = false, fn_kwargs?: table, drop_last_batch = false, load_from_cache_file = true, num_proc?: integer, desc?: string}) -> Dataset
-- a new dataset of what the function gives for each row, or for columns of batch_size rows; the same function on the same rows comes from a
-- cache. Rows are mapped one after the other, whatever num_proc is
--     ds:map{function(row) return {length = #row.text} end, remove_columns = {"text"}}
function methods.map(ds, ...)
  local o = options("ds:map", map_keys, ...)
  if type(o["function"]) ~= "function" then fail("ARG", "ds:map takes a function first, not a " .. type(o["function"])) end
  local removed = as_list(o.remove_columns)
  for _, name in ipairs(removed) do check_column(ds, name) end
  local path, key = cache_path(ds, o)
  local kept = read_cache(path)
  if kept then return kept end
  local rows, seen = (o.batched and map_batches or map_rows)(ds, o, removed)
  local out = make(with_new(without(states[ds].columns, removed), seen), rows)
  if key then write_cache(path, out) end
  return out
end

--- Dataset:filter(function: function, options?: {with_indices = false, batched = false, batch_size = 1000, num_proc?: integer}) -> Dataset
-- the rows for which the function is true
--     ds:filter(function(row) return #row.text > 3 end)
function methods.filter(ds, ...)
  local o = options("ds:filter", {"function", "with_indices", "batched", "batch_size", "num_proc"}, ...)
  if type(o["function"]) ~= "function" then fail("ARG", "ds:filter takes a function first, not a " .. type(o["function"])) end
  local s, rows = states[ds], {}
  if not o.batched then
    for i, row in ipairs(s.rows) do
      if o["function"](plain(row), o.with_indices and i or nil) then rows[#rows + 1] = row end
    end
    return make(s.columns, rows)
  end
  for first = 1, #ds, o.batch_size or 1000 do
    local last = math.min(first + (o.batch_size or 1000) - 1, #ds)
    local keep = o["function"](batch_of(s.columns, s.rows, first, last))
    for i = first, last do
      if keep[i - first + 1] then rows[#rows + 1] = s.rows[i] end
    end
  end
  return make(s.columns, rows)
end

-- ---- rows in another order, fewer or more -----------------------------------------------------------------------------------

--- Dataset:select(positions: table) -> Dataset
-- the rows at these positions, from 1
--     ds:select{1, 3, 5}
function methods.select(ds, positions)
  if type(positions) ~= "table" then fail("ARG", "ds:select takes a list of positions, not a " .. type(positions)) end
  return make(states[ds].columns, pick(ds, positions))
end

local function range(ds, first, last)
  local rows = {}
  table.move(states[ds].rows, math.max(first, 1), math.min(last, #ds), 1, rows)
  return make(states[ds].columns, rows)
end

--- Dataset:take(n: integer) -> Dataset
-- the first n rows
--     ds:take(1)
function methods.take(ds, n) return range(ds, 1, n) end
--- Dataset:skip(n: integer) -> Dataset
-- all but the first n rows
--     ds:skip(1)
function methods.skip(ds, n) return range(ds, n + 1, #ds) end

local function some_seed(seed)
  if seed ~= nil and not (math.tointeger(seed) and math.tointeger(seed) >= 0) then
    fail("ARG", ("'seed' is a whole number from 0 on, not %s"):format(tostring(seed)))
  end
  return seed or math.random(0, 0x7fffffff)
end

--- Dataset:shuffle(options?: {seed?: integer}) -> Dataset
-- the rows in a random order: of a seed, Hugging Face's
--     ds:shuffle{seed = 42}
function methods.shuffle(ds, ...)
  local o = options("ds:shuffle", {"seed"}, ...)
  return methods.select(ds, core.permutation(#ds, some_seed(o.seed)))
end

-- 0: a value, 1: no number, 2: nothing: the last ones come last, whichever way the others are sorted.
local function lastness(x)
  return x == nil and 2 or (x ~= x and 1 or 0)
end

-- Which of the columns are sorted the other way: one answer for all, or one for each.
local function reversed(reverse, names)
  if reverse ~= nil and type(reverse) ~= "boolean" and type(reverse) ~= "table" then fail("ARG", "ds:sort: 'reverse' is true or false, or a list of them") end
  if type(reverse) == "table" and #reverse ~= #names then
    fail("ARG", ("ds:sort: 'reverse' has %d values for %d columns"):format(#reverse, #names))
  end
  local each = {}
  for i = 1, #names do
    each[i] = reverse
    if type(reverse) == "table" then each[i] = reverse[i] end
  end
  return each
end

--- Dataset:sort(column: string|table, options?: {reverse?: boolean|table}) -> Dataset
-- the rows by a column or several, each with a reverse of its own if it is a list; rows of equal values stay in their order, missing values come last
--     ds:sort("label", {reverse = true})
function methods.sort(ds, ...)
  local o = options("ds:sort", {"column_names", "reverse"}, ...)
  local names = as_list(o.column_names)
  for _, name in ipairs(names) do check_column(ds, name) end
  local order, rows, reverse = {}, states[ds].rows, reversed(o.reverse, names)
  for i = 1, #rows do order[i] = i end
  local function before(a, b)
    for i, name in ipairs(names) do
      local x, y = rows[a][name], rows[b][name]
      local p, q = lastness(x), lastness(y)
      if p ~= q then return p < q end
      if p == 0 and x ~= y then
        if type(x) == "boolean" then x, y = x and 1 or 0, y and 1 or 0 end
        if reverse[i] then return x > y end
        return x < y
      end
    end
    return a < b
  end
  table.sort(order, before)
  return methods.select(ds, order)
end

local function part(size, n, up)
  if size == nil then return nil end
  if type(size) ~= "number" or size < 0 or (math.type(size) == "float" and size >= 1) or (math.type(size) == "integer" and size > n) then
    fail("ARG", ("test_size=%s should be either positive and smaller than the number of samples %d or a float in the (0, 1) range"):format(tostring(size), n))
  end
  if math.type(size) == "integer" then return size end
  return up and math.ceil(size * n) or math.floor(size * n)
end

--- Dataset:train_test_split(options?: {test_size = 0.25, train_size?: number, shuffle = true, seed?: integer}) -> DatasetDict
-- train and test, a share or a number of rows; of a seed, Hugging Face's split
--     local parts = ds:train_test_split{test_size = 0.2, seed = 42}
function methods.train_test_split(ds, ...)
  local o = options("ds:train_test_split", {"test_size", "train_size", "shuffle", "seed"}, ...)
  local n = #ds
  local test, train = part(o.test_size, n, true), part(o.train_size, n, false)
  if not test then test = train and n - train or math.ceil(0.25 * n) end
  train = train or n - test
  if test + train > n then fail("ARG", ("the sum of test_size and train_size = %d is more than the %d rows"):format(test + train, n)) end
  if train == 0 then fail("ARG", ("with %d rows and test_size = %s, nothing is left to train on"):format(n, tostring(o.test_size or 0.25))) end
  if o.shuffle == false then
    return M.DatasetDict{train = range(ds, 1, train), test = range(ds, train + 1, train + test)}
  end
  local order = core.permutation(n, some_seed(o.seed))
  return M.DatasetDict{train = methods.select(ds, table.move(order, test + 1, test + train, 1, {})), test = methods.select(ds, table.move(order, 1, test, 1, {}))}
end

--- Dataset:shard(num_shards: integer, index: integer, contiguous = true) -> Dataset
-- one of num_shards parts; index from 1
--     ds:shard{num_shards = 4, index = 1}
function methods.shard(ds, ...)
  local o = options("ds:shard", {"num_shards", "index", "contiguous"}, ...)
  local n, k, i = #ds, o.num_shards, o.index
  if not (math.type(k) == "integer" and math.type(i) == "integer" and i >= 1 and i <= k) then
    fail("ARG", "ds:shard takes num_shards, and an index from 1 to num_shards")
  end
  local positions = {}
  if o.contiguous == false then
    for at = i, n, k do positions[#positions + 1] = at end
    return methods.select(ds, positions)
  end
  local size, rest = n // k, n % k
  local start = size * (i - 1) + math.min(i - 1, rest)
  return range(ds, start + 1, start + size + (i <= rest and 1 or 0))
end

--- concatenate_datasets(datasets: table) -> Dataset
-- datasets after each other
--     concatenate_datasets{Dataset{{a = 1}}, Dataset{{a = 2}}}
function M.concatenate_datasets(list)
  if type(list) ~= "table" or not is_dataset(list[1]) then fail("ARG", "concatenate_datasets takes a list of datasets: concatenate_datasets{a, b}") end
  local rows, seen = {}, {}
  for i, ds in ipairs(list) do
    if not is_dataset(ds) then fail("ARG", ("concatenate_datasets: element %d is a %s, not a Dataset"):format(i, type(ds))) end
    table.move(states[ds].rows, 1, #ds, #rows + 1, rows)
    for _, name in ipairs(states[ds].columns) do seen[name] = true end
  end
  return make(with_new(states[list[1]].columns, seen), rows)
end

-- ---- columns ------------------------------------------------------------------------------------------------------------

local function renamed(ds, new_names)
  local columns, rows = {}, {}
  for i, name in ipairs(states[ds].columns) do columns[i] = new_names[name] or name end
  for i, row in ipairs(states[ds].rows) do
    rows[i] = {}
    for name, value in pairs(row) do rows[i][new_names[name] or name] = value end
  end
  return make(columns, rows)
end

--- Dataset:rename_column(from: string, to: string) -> Dataset
-- a column with another name
--     ds:rename_column("k", "key")
function methods.rename_column(ds, ...)
  local o = options("ds:rename_column", {"original_column_name", "new_column_name"}, ...)
  check_column(ds, o.original_column_name)
  if type(o.new_column_name) ~= "string" or o.new_column_name == "" then fail("ARG", "ds:rename_column takes two names") end
  if position(states[ds].columns, o.new_column_name) then fail("ARG", ("there is a column '%s' already"):format(o.new_column_name)) end
  return renamed(ds, {[o.original_column_name] = o.new_column_name})
end

--- Dataset:remove_columns(names: string|table) -> Dataset
-- without these columns
--     ds:remove_columns{"x"}
function methods.remove_columns(ds, names)
  names = as_list(names)
  for _, name in ipairs(names) do check_column(ds, name) end
  return methods.select_columns(ds, without(states[ds].columns, names))
end

--- Dataset:select_columns(names: string|table) -> Dataset
-- these columns alone
--     ds:select_columns{"k"}
function methods.select_columns(ds, names)
  local rows = {}
  names = as_list(names)
  for _, name in ipairs(names) do check_column(ds, name) end
  for i, row in ipairs(states[ds].rows) do
    rows[i] = {}
    for _, name in ipairs(names) do rows[i][name] = row[name] end
  end
  return make({table.unpack(names)}, rows)
end

--- Dataset:add_column(name: string, values: table) -> Dataset
-- one more column
--     ds:add_column("i", {1, 2, 3, 4, 5})
function methods.add_column(ds, ...)
  local o = options("ds:add_column", {"name", "column"}, ...)
  local values, columns, rows = o.column, states[ds].columns, {}
  if type(o.name) ~= "string" or type(values) ~= "table" then fail("ARG", "ds:add_column takes a name and a list") end
  if position(columns, o.name) then fail("ARG", ("there is a column '%s' already"):format(o.name)) end
  if #values ~= #ds then fail("ARG", ("column '%s' has %d values, and the dataset has %d rows"):format(o.name, #values, #ds)) end
  for i, row in ipairs(states[ds].rows) do
    rows[i] = plain(row)
    if values[i] ~= null then rows[i][o.name] = values[i] end
  end
  return make(table.move({o.name}, 1, 1, #columns + 1, {table.unpack(columns)}), rows)
end

--- Dataset:unique(column: string) -> {any, …}
-- the different values of a column, in the order of their first row
--     ds:unique("k")
function methods.unique(ds, name)
  local seen, out = {}, {}
  for _, value in ipairs(column(ds, check_column(ds, name))) do
    if not seen[value] then
      seen[value] = true
      out[#out + 1] = value
    end
  end
  return out
end

-- ---- out ----------------------------------------------------------------------------------------------------------------

--- Dataset:to_list() -> {table, …}
-- the rows
--     ds:to_list()[1].k
function methods.to_list(ds) 
  local rows = {}
  for i, row in ipairs(states[ds].rows) do rows[i] = plain(row) end
  return rows
end
--- Dataset:to_dict() -> table
-- the columns
--     ds:to_dict().k
function methods.to_dict(ds) return batch_of(states[ds].columns, states[ds].rows, 1, #ds) end

--- Dataset:to_df() -> DataFrame
-- as a dataframe
--     ds:to_df():show()
function methods.to_df(ds)
  if #ds == 0 then fail("DATA", "a dataset without rows has no types for a dataframe") end
  local df = require("spark"):createDataFrame(methods.to_list(ds))
  return df:select(table.unpack(states[ds].columns))
end

-- JSON with the fields of a row in the order of the columns, and those below it in that of their names.
local function json_text(value)
  local encode = require("json").encode
  if type(value) ~= "table" or value[1] ~= nil and type(value[1]) ~= "table" then return encode(value) end
  local parts = {}
  if value[1] ~= nil then
    for i, v in ipairs(value) do parts[i] = json_text(v) end
    return "[" .. table.concat(parts, ",") .. "]"
  elseif next(value) == nil then
    return "[]"
  end
  for i, name in ipairs(sorted_keys(value)) do parts[i] = encode(tostring(name)) .. ":" .. json_text(value[name]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- Dataset:to_json(path: Path) -> integer
-- a file with one JSON object a line; gives its bytes
--     ds:to_json("rows.jsonl")
function methods.to_json(ds, path)
  local lines = {}
  for i, row in ipairs(states[ds].rows) do
    local parts = {}
    for k, name in ipairs(states[ds].columns) do
      parts[k] = require("json").encode(name) .. ":" .. (row[name] == nil and "null" or json_text(row[name]))
    end
    lines[i] = "{" .. table.concat(parts, ",") .. "}\n"
  end
  local text = table.concat(lines)
  core.write(path, text)
  return #text
end

--- Dataset:to_parquet(path: Path)
-- one Parquet file, written by the dataframe engine
--     ds:to_parquet("rows.parquet")
function methods.to_parquet(ds, path)
  local folder = path .. ".writing"
  methods.to_df(ds):coalesce(1).write:mode("overwrite"):parquet(folder)
  core.take_part(folder, path)
end

-- ---- several of them ----------------------------------------------------------------------------------------------------

--- class DatasetDict: datasets by the names of their splits: parts.train, parts.test
function M.DatasetDict(splits) return setmetatable(splits, DatasetDict) end

local function split_names(d)
  local names, out = sorted_keys(d), {}
  for _, name in ipairs{"train", "validation", "test"} do
    if rawget(d, name) then out[#out + 1] = name end
  end
  for _, name in ipairs(names) do
    if not position(out, name) then out[#out + 1] = name end
  end
  return out
end

function DatasetDict.__tostring(d)
  local lines = {}
  for _, name in ipairs(split_names(d)) do
    lines[#lines + 1] = ("    %s: %s"):format(name, (tostring(d[name]):gsub("\n", "\n    ")))
  end
  return "DatasetDict({\n" .. table.concat(lines, "\n") .. "\n})"
end
DatasetDict.__name = "DatasetDict"
DatasetDict.__index = dict_methods

--- DatasetDict:map(function: function, options?: table) -> DatasetDict
-- ds:map of each split
--     splits:map(function(row) row.long = #row.k > 3 return row end)
--- DatasetDict:filter(function: function, options?: table) -> DatasetDict
-- ds:filter of each split
--     splits:filter(function(row) return row.x > 0 end)
--- DatasetDict:shuffle(options?: {seed?: integer}) -> DatasetDict
-- ds:shuffle of each split
--     splits:shuffle{seed = 42}
--- DatasetDict:remove_columns(names: string|table) -> DatasetDict
-- ds:remove_columns of each split
--     splits:remove_columns{"x"}
--- DatasetDict:rename_column(from: string, to: string) -> DatasetDict
-- ds:rename_column of each split
--     splits:rename_column("k", "key")
for _, name in ipairs{"map", "filter", "shuffle", "remove_columns", "rename_column"} do
  dict_methods[name] = function(d, ...)
    local out = {}
    for split, ds in pairs(d) do out[split] = methods[name](ds, ...) end
    return M.DatasetDict(out)
  end
end

-- ---- from files -----------------------------------------------------------------------------------------------------------

local function read_text(path)
  local file, message = io.open(path, "rb")
  if not file then fail("NOTFOUND", ("cannot read '%s': %s"):format(path, message)) end
  local text = file:read("a")
  file:close()
  return text
end

-- The columns in the order in which the text names them first.
local function order_of(text, names)
  local at = {}
  for _, name in ipairs(names) do at[name] = text:find(require("json").encode(name) .. "%s*:") or text:find('"' .. name .. '"', 1, true) or #text end
  table.sort(names, function(a, b)
    if at[a] ~= at[b] then return at[a] < at[b] end
    return a < b
  end)
  return names
end

local function read_json(path)
  local text = read_text(path)
  local rows, decode = {}, require("json").decode
  if text:match("^%s*%[") then
    rows = decode(text)
  else
    local n = 0
    for line in text:gmatch("[^\n]+") do
      n = n + 1
      if line:find("%S") then
        local ok, row = pcall(decode, line)
        if not ok or type(row) ~= "table" then fail("DATA", ("'%s', line %d is not a JSON object"):format(path, n)) end
        rows[#rows + 1] = row
      end
    end
  end
  local ds = from_list(rows)
  return make(order_of(text:sub(1, 1 << 16), states[ds].columns), states[ds].rows)
end

local readers = {
  json = read_json,
  csv = function(path) return from_df(require("spark").read:option("header", true):option("inferSchema", true):csv(path)) end,
  parquet = function(path) return from_df(require("spark").read:parquet(path)) end,
  text = function(path)
    local rows = {}
    for line in (read_text(path):gsub("\r\n", "\n"):gsub("\n$", "") .. "\n"):gmatch("(.-)\n") do rows[#rows + 1] = {text = line} end
    return make({"text"}, rows)
  end,
}

local function read_files(read, files)
  local list = {}
  for i, path in ipairs(as_list(files)) do list[i] = read(path) end
  return #list == 1 and list[1] or M.concatenate_datasets(list)
end

--- load_dataset(kind: "json"|"csv"|"parquet"|"text", options: {data_files: string|table, split?: string}) -> DatasetDict
-- files as a DatasetDict; with split = "train", as the Dataset itself
--     load_dataset("json", {data_files = "rows.jsonl", split = "train"})
function M.load_dataset(kind, o)
  if type(kind) == "table" then kind, o = kind[1] or kind.path, kind end
  local read = readers[kind]
  if not read then
    fail("UNSUPPORTED", ("load_dataset does not know '%s'"):format(tostring(kind)), "'json', 'csv', 'parquet' and 'text' are read from data_files")
  end
  local named = {}
  for name, value in pairs(o or {}) do
    if type(name) == "string" then named[name] = value end
  end
  check_keys("load_dataset", named, set("path", "data_files", "split"))
  local files = named.data_files
  if files == nil then fail("ARG", "load_dataset needs data_files: load_dataset(\"json\", {data_files = \"rows.jsonl\"})") end
  if type(files) == "string" or files[1] then files = {train = files} end
  local d = {}
  for split, paths in pairs(files) do
    if not named.split or split == named.split then d[split] = read_files(read, paths) end
  end
  if named.split and not d[named.split] then fail("NOTFOUND", ("data_files has no split '%s'"):format(named.split)) end
  return named.split and d[named.split] or M.DatasetDict(d)
end

return M
end

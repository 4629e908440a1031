-- Plots of dataframes: the engine counts, averages and samples; what comes here is small. Each function takes a dataframe and the
-- options of plot.KIND, and gives the table that plot.KIND takes for lists.

local POINTS, GROUPS, CELLS, SEED = 5000, 50, 2500, 42

local M = {}

local function F() return require "F" end

local function wrong(message) error(message, 0) end

local function options_of(o)
  local out = {}
  for key, value in pairs(o) do
    if type(key) == "string" and key ~= "x" and key ~= "y" and key ~= "by" and key ~= "data" and key ~= "value" then out[key] = value end
  end
  return out
end

local function counted(n) return require "fmt"("{:,}", n) end

local function need(o, name, kind)
  local column = o[name]
  if type(column) ~= "string" then wrong(("plot.%s of a dataframe needs %s = \"column\""):format(kind, name)) end
  return column
end

-- the columns of y: a name, or a list of them
local function names_of(y)
  if type(y) == "string" then return {y} end
  return y
end

local function number(v)
  if type(v) == "number" then return v end
  if v == nil or v == null then return nil end
  return tonumber(tostring(v)) or tostring(v)
end

-- of a group: NULL has a name, too
local function text(v)
  if v == nil or v == null then return "null" end
  return tostring(v)
end

local function no_numbers(kind, column, value)
  if value == nil or value == null then wrong(("column '%s' has no numbers"):format(column)) end
  wrong(("plot.%s draws numbers, and column '%s' holds texts: '%s'"):format(kind, column, text(value)))
end

-- rows of these columns, at most `limit`: a sample of more
local function some(df, columns, limit, out)
  local n, once, seen = df:count(), {}, {}
  for _, column in ipairs(columns) do -- x may be drawn, too
    if not seen[column] then once[#once + 1] = column end
    seen[column] = true
  end
  local picked = df:select(table.unpack(once))
  if n > limit then
    picked = picked:sample(math.min(1, limit / n * 1.05), SEED):limit(limit)
    out.note = ("a sample of about %s of %s rows"):format(counted(limit), counted(n))
  end
  return picked
end

-- the points of a name; one that is new comes last in the order
local function series_of(lists, order, name)
  if not lists[name] then
    lists[name] = {name = name, x = {}, y = {}}
    order[#order + 1] = name
  end
  return lists[name]
end

local function xy(kind, sorted)
  return function(df, o)
    local out, x = options_of(o), need(o, "x", kind)
    local ys = names_of(o.y or wrong(("plot.%s of a dataframe needs y = \"column\""):format(kind)))
    local columns = {x}
    for _, y in ipairs(ys) do columns[#columns + 1] = y end
    if o.by then columns[#columns + 1] = o.by end
    local rows = some(df, columns, POINTS, out)
    if sorted then rows = rows:orderBy(x) end
    local lists, order, unfit = {}, {}, nil
    for _, row in ipairs(rows:collect()) do
      for _, y in ipairs(ys) do
        local name = o.by and text(row[o.by]) .. (#ys > 1 and " " .. y or "") or y
        local list = series_of(lists, order, name)
        local a, b = number(row[x]), number(row[y])
        if a ~= nil and type(b) == "number" then
          list.x[#list.x + 1] = a
          list.y[#list.y + 1] = b
        elseif b ~= nil and type(b) ~= "number" then
          no_numbers(kind, y, b)
        else
          unfit = y
        end
      end
    end
    if #order == 0 then wrong "there are no rows to draw" end
    if #order == 1 and #lists[order[1]].y == 0 then no_numbers(kind, unfit) end
    table.sort(order)
    if #order > 64 then wrong(("by = '%s' gives %d series: at most 64 can be drawn"):format(o.by, #order)) end
    out.xlabel, out.ylabel = out.xlabel or x, out.ylabel or (#ys == 1 and ys[1] or nil)
    if #order == 1 and not o.by and #ys == 1 then
      out.x, out.y = lists[order[1]].x, lists[order[1]].y
    else
      out.series = {}
      for _, name in ipairs(order) do
        if #lists[name].y > 0 then out.series[#out.series + 1] = lists[name] end
      end
      if #out.series == 0 then no_numbers(kind, unfit) end
    end
    return out
  end
end

M.line, M.scatter = xy("line", true), xy("scatter", false)

-- what is drawn of each group, and what that is called: {{alias, name}, …}
local function bars_of(o)
  if not o.y then return {{F().count "*":alias "_y1", "count"}} end
  local agg, out = o.agg or "sum", {}
  for i, y in ipairs(names_of(o.y)) do out[i] = {F()[agg](y):alias("_y" .. i), agg .. "(" .. y .. ")", y} end
  if o.by and #out > 1 then wrong "plot.bar of several columns y takes no by" end
  return out
end

function M.bar(df, o)
  local out, x, ys = options_of(o), need(o, "x", "bar"), bars_of(o)
  local groups, aggregates = o.by and {x, o.by} or {x}, {}
  for i, y in ipairs(ys) do aggregates[i] = y[1] end
  local grouped = df:groupBy(table.unpack(groups)):agg(table.unpack(aggregates))
  local n = grouped:count()
  local limit = GROUPS * (o.by and 10 or 1)
  local rows = n > limit and grouped:orderBy(F().desc "_y1"):limit(limit) or grouped
  if o.sort == "y" then rows = rows:orderBy(F().desc "_y1") else rows = rows:orderBy(table.unpack(groups)) end
  if n > limit then out.note = ("the %s largest of %s groups"):format(counted(limit), counted(n)) end
  local lists, order = {}, {}
  for _, row in ipairs(rows:collect()) do
    for i, y in ipairs(ys) do
      local name = o.by and text(row[o.by]) or y[3] or y[2]
      local list = series_of(lists, order, name)
      list.x[#list.x + 1] = text(row[x])
      list.y[#list.y + 1] = number(row["_y" .. i]) or null
      if type(list.y[#list.y]) == "string" then no_numbers("bar", y[3], list.y[#list.y]) end
    end
  end
  if #order == 0 then wrong "there are no rows to draw" end
  out.xlabel, out.ylabel = out.xlabel or x, out.ylabel or (#ys == 1 and ys[1][2] or o.agg or "sum")
  if not o.by and #ys == 1 then
    out.x, out.y = lists[order[1]].x, lists[order[1]].y
  else
    if o.by then table.sort(order) end
    out.series = {}
    for i, name in ipairs(order) do out.series[i] = lists[name] end
  end
  return out
end

-- the columns as numbers; others are named
local function as_numbers(df, kind, columns)
  local types, out = {}, {}
  for _, pair in ipairs(df.dtypes) do types[pair[1]] = pair[2] end
  for i, name in ipairs(columns) do
    if types[name] == "date" or types[name] == "timestamp" or types[name] == "timestamp_ntz" or types[name] == "binary" then
      wrong(("plot.%s draws numbers, and column '%s' is a %s"):format(kind, name, types[name]))
    end
    out[i] = F().col(name):cast "double"
  end
  return out
end

local function columns_of(o, name, kind)
  if type(o[name]) ~= "table" or #o[name] == 0 then return {need(o, name, kind)} end
  return o[name]
end

function M.hist(df, o)
  local out, names = options_of(o), columns_of(o, "x", "hist")
  local bins, columns, asked = o.bins or 30, as_numbers(df, "hist", names), {}
  for i, v in ipairs(columns) do
    for _, what in ipairs {"min", "max", "count"} do asked[#asked + 1] = F()[what](v):alias(what .. i) end
  end
  local stats = df:agg(table.unpack(asked)):collect()[1]
  local low, high
  for i, name in ipairs(names) do
    if not stats["count" .. i] or stats["count" .. i] == 0 then wrong(("column '%s' has no numbers"):format(name)) end
    low = math.min(low or math.huge, stats["min" .. i])
    high = math.max(high or -math.huge, stats["max" .. i])
  end
  local width = (high - low) / bins
  if width == 0 then bins, width = 1, 1 end
  local counts = {}
  for k, v in ipairs(columns) do
    local bin, list = F().least(F().lit(bins - 1), F().floor((v - low) / width):cast "long"), {}
    for i = 1, bins do list[i] = 0 end
    for _, row in ipairs(df:filter(v:isNotNull()):groupBy(bin:alias "bin"):count():collect()) do list[row.bin + 1] = row.count end
    counts[names[k]] = list
  end
  out.counted = {low = low, width = width, counts = #names == 1 and counts[names[1]] or counts}
  out.xlabel = out.xlabel or (#names == 1 and names[1] or nil)
  return out
end

-- several columns: a box of each
local function long_form(df, names)
  local all
  for _, name in ipairs(names) do
    local one = df:select(F().lit(name):alias "g", F().col(name):cast "double":alias "v")
    all = all and all:unionByName(one) or one
  end
  return all
end

function M.box(df, o)
  local out, names = options_of(o), columns_of(o, "y", "box")
  local y = table.concat(names, ", ")
  as_numbers(df, "box", names)
  if o.x and #names > 1 then wrong "plot.box of several columns y takes no x" end
  local group = o.x and F().coalesce(F().col(o.x):cast "string", F().lit "null")
  local base = group and df:select(group:alias "g", F().col(y):cast "double":alias "v") or long_form(df, names)
  base = base:filter "v IS NOT NULL"
  local quartiles = base:groupBy "g":agg(F().expr "percentile(v, 0.25)":alias "q1", F().expr "percentile(v, 0.5)":alias "median",
    F().expr "percentile(v, 0.75)":alias "q3", F().count "*":alias "count")
  local n = quartiles:count()
  if n == 0 then wrong(("column '%s' has no numbers"):format(y)) end
  if n > GROUPS then out.note = ("%d of %d groups"):format(GROUPS, n) end
  quartiles = quartiles:orderBy "g":limit(GROUPS)
  local joined = base:join(quartiles, "g")
  local inside = "v >= q1 - 1.5 * (q3 - q1) AND v <= q3 + 1.5 * (q3 - q1)"
  local whiskers = {}
  for _, row in ipairs(joined:filter(inside):groupBy "g":agg(F().min "v":alias "low", F().max "v":alias "high"):collect()) do whiskers[row.g] = row end
  local beyond = {}
  for _, row in ipairs(joined:filter("NOT (" .. inside .. ")"):select("g", "v"):limit(1000):collect()) do
    beyond[row.g] = beyond[row.g] or {}
    table.insert(beyond[row.g], row.v)
  end
  out.boxes = {}
  for i, q in ipairs(quartiles:collect()) do
    local w = whiskers[q.g] or {low = q.q1, high = q.q3}
    out.boxes[i] = {x = tostring(q.g), low = w.low, q1 = q.q1, median = q.median, q3 = q.q3, high = w.high, count = q.count,
      outliers = require "json".array(beyond[q.g] or {})}
  end
  out.xlabel, out.ylabel = out.xlabel or o.x, out.ylabel or (#names == 1 and y or nil)
  return out
end

function M.heatmap(df, o)
  local out, x, y = options_of(o), need(o, "x", "heatmap"), need(o, "y", "heatmap")
  local value = o.value or o.z
  if value and type(value) ~= "string" then wrong(("plot.heatmap of a dataframe takes the name of a column as 'value', not a %s"):format(type(value))) end
  local agg = value and (o.agg or "avg") or "count"
  local cells = df:groupBy(x, y):agg(F()[agg](value or "*"):alias "_v"):orderBy(y, x)
  local rows = cells:limit(CELLS + 1):collect()
  if #rows > CELLS then
    rows[#rows] = nil
    out.note = ("the first %s of %s cells"):format(counted(CELLS), counted(cells:count()))
  end
  if #rows == 0 then wrong "there are no rows to draw" end
  out.x, out.y, out.value = {}, {}, {}
  for i, row in ipairs(rows) do
    out.x[i], out.y[i], out.value[i] = number(row[x]) or "null", number(row[y]) or "null", number(row._v) or null
  end
  out.xlabel, out.ylabel = out.xlabel or x, out.ylabel or y
  return out
end

return M

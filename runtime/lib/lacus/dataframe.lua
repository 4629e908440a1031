-- dataframe: methods of DataFrames and their kin that are made of plainer ones. `native` knows the plan: subquery, filtered,
-- name_of, unaliased, materialize, input_files, plan_text, is_local, grouping_sets, call, raise, functions.

return function(native)
  local F, spark = require("F"), require("spark")
  local classes = {DataFrame = {}, GroupedData = {}, Column = {}, Catalog = {}, SparkSession = {}, DataFrameReader = {},
                   DataFrameWriter = {}}
  local DataFrame, GroupedData, Column = classes.DataFrame, classes.GroupedData, classes.Column
  local sorted_keys = require("lacus.tools").sorted_keys
  local null = null

  ---------------------------------------------------------------------------------------------------- arguments

  local arguments = require("lacus.arguments")
  local is_plain, args, need = arguments.is_plain, arguments.args, arguments.need

  local function list(v)
    if v == nil or v == null then return {} end
    if is_plain(v) then return v end
    return {v}
  end

  -- The rest of the arguments, where one plain table stands for its elements.
  local function rest(...)
    local first = ...
    if select("#", ...) == 1 and is_plain(first) then return first end
    return {...}
  end

  local function column(c)
    if type(c) == "string" then return F.col(c) end
    return c
  end

  local function quoted(name)
    return "`" .. name:gsub("`", "``") .. "`"
  end

  local function of(name)
    return F.col(quoted(name))
  end

  local function absent(what, why, hint)
    return function() native.raise(what .. " is not there: " .. why, hint) end
  end

  local function text_of(value)
    if value == nil or value == null then return "null" end
    if math.type(value) == "float" and value == math.floor(value) then return ("%.1f"):format(value) end
    return tostring(value)
  end

  ---------------------------------------------------------------------------------------------------- shapes

  -- The type that values unpivoted into one column have in common; no text becomes a number there.
  local function common_type(df, values, dtypes)
    local first, same, texts, others = dtypes[1][2], true, false, {}
    for i, d in ipairs(dtypes) do
      same = same and d[2] == first
      texts = texts or d[2] == "string"
      others[i] = ("\"%s\" (`%s`)"):format(d[2]:upper(), d[1])
    end
    if same then return first end
    local columns = {}
    for i, v in ipairs(values) do columns[i] = column(v) end
    local known, wide = pcall(function() return df:select(F.coalesce(table.unpack(columns))).dtypes[1][2] end)
    if texts or not known then
      error(("[UNPIVOT_VALUE_DATA_TYPE_MISMATCH] Unpivot value columns must share a least common type, some types do "
        .. "not: [%s]. SQLSTATE: 42K09"):format(table.concat(others, ", ")), 3)
    end
    return wide
  end

  --- DataFrame:unpivot(ids: {Column, …}, values: {Column, …}, variableColumnName: string, valueColumnName: string) -> DataFrame
  -- a row for each value column: its name and its value; without values: all columns but the ids
  --     df:unpivot("id", {"a", "b"}, "name", "value")
  function DataFrame:unpivot(...)
    local ids, values, variable, value = args({"ids", "values", "variableColumnName", "valueColumnName"}, ...)
    ids = list(ids)
    if values == nil or values == null then
      local taken, all = {}, {}
      for _, id in ipairs(ids) do taken[type(id) == "string" and id:lower() or tostring(id)] = true end
      for _, name in ipairs(self.columns) do
        if not taken[name:lower()] then all[#all + 1] = of(name) end
      end
      values = all
    else
      values = list(values)
    end
    if #values == 0 then
      error("[UNPIVOT_REQUIRES_VALUE_COLUMNS] At least one value column needs to be specified for UNPIVOT. SQLSTATE: 42K0A", 2)
    end
    local dtypes, cells, out = self:select(table.unpack(values)).dtypes, {F.lit(#values)}, {}
    local common = common_type(self, values, dtypes)
    for i, v in ipairs(values) do
      cells[#cells + 1] = F.lit(dtypes[i][1])
      cells[#cells + 1] = dtypes[i][2] == common and column(v) or column(v):cast(common)
    end
    for i, id in ipairs(ids) do out[i] = column(id) end
    out[#out + 1] = F.stack(table.unpack(cells)):alias(variable or "variable", value or "value")
    return self:select(table.unpack(out))
  end
  DataFrame.melt = DataFrame.unpivot

  --- DataFrame:transpose(indexColumn?: Column) -> DataFrame
  -- rows become columns, named by the index column (the first one); what the values have in common is their type
  --     df:select("k", "x"):transpose("k")
  function DataFrame:transpose(...)
    local index = args({"indexColumn"}, ...)
    local names = self.columns
    local at = index and self:select(index).columns[1] or names[1]
    local others, columns, rows = {}, {}, {}
    for _, name in ipairs(names) do
      if name ~= at then others[#others + 1] = name end
    end
    local long = self:select(of(at):cast("string"):alias("__at"), F.stack(table.unpack((function()
      local cells = {F.lit(#others)}
      for i, name in ipairs(others) do
        cells[#cells + 1], cells[#cells + 2], cells[#cells + 3] = F.lit(i), F.lit(name), of(name)
      end
      return cells
    end)())):alias("__i", "key", "__v"))
    for _, row in ipairs(self:select(of(at):cast("string")):distinct():orderBy(of(at)):collect()) do
      columns[#columns + 1] = row[1]
    end
    rows = long:groupBy("__i", "key"):pivot("__at", columns):agg(F.first("__v"))
    return rows:orderBy("__i"):drop("__i")
  end

  --- DataFrame:zipWithIndex(indexColName: string) -> DataFrame
  -- with a column that counts the rows from 0
  --     df:zipWithIndex("i")
  function DataFrame:zipWithIndex(...)
    local name = args({"indexColName"}, ...)
    return self:withColumn(name or "index", F.monotonically_increasing_id())
  end

  --- DataFrame:zip(other: DataFrame) -> DataFrame
  -- the columns of both side by side, row by row
  --     df:select("k"):zip(df:select("n"))
  function DataFrame:zip(other)
    local key = "__lacus_row"
    return self:zipWithIndex(key):join(other:zipWithIndex(key), {key}, "inner"):orderBy(key):drop(key)
  end

  --- DataFrame:to(schema: string|table) -> DataFrame
  -- the columns of a schema by name, in its order, cast to its types
  --     df:to("n bigint, k string")
  function DataFrame:to(schema)
    local wanted = type(schema) == "string" and spark:createDataFrame({}, schema).schema or schema
    local out = {}
    for i, field in ipairs(wanted.fields) do
      local there
      for _, name in ipairs(self.columns) do there = there or name:lower() == field.name:lower() end
      local c = there and of(field.name) or F.lit(null)
      if not there and field.nullable == false then
        error(("[NULLABLE_COLUMN_OR_FIELD] Column or field `%s` is missing, and must not be NULL. SQLSTATE: 42000")
          :format(field.name), 2)
      end
      out[i] = c:cast(field.dataType):alias(field.name)
    end
    return self:select(table.unpack(out))
  end

  --- DataFrame:colRegex(regex: string) -> Column, …
  -- the columns whose whole name matches a regular expression in backticks: df:select(df:colRegex("`a.*`"))
  --     df:select(df:colRegex("`n|k`"))
  function DataFrame:colRegex(regex)
    need("colRegex", "the regular expression", regex, "string")
    local pattern, out = regex:match("^`(.*)`$") or regex, {}
    local names = {}
    for i, name in ipairs(self.columns) do names[i] = {i, name} end
    local found = spark:createDataFrame(names, "i INT, name STRING")
      :filter(F.col("name"):rlike("^(?:" .. pattern:gsub("%+%+", "+"):gsub("%?%+", "?") .. ")$")):orderBy("i"):collect()
    for i, row in ipairs(found) do out[i] = self(quoted(row.name)) end
    return table.unpack(out)
  end

  --- DataFrame:groupingSets(sets: {table, …}, column: Column, …) -> GroupedData
  -- groups by each set of the columns
  --     df:groupingSets({{"a", "b"}, {"a"}, {}}, "a", "b"):agg(F.sum("x"))
  function DataFrame:groupingSets(sets, ...)
    local groups, places, masks = rest(...), {}, {}
    for i, g in ipairs(groups) do places[tostring(column(g))] = i - 1 end
    for i, set in ipairs(sets) do
      masks[i] = 0
      for _, c in ipairs(list(set)) do
        local place = places[tostring(column(c))]
        if not place then error("groupingSets: a set names a column that is not among the columns", 2) end
        masks[i] = masks[i] | 1 << place
      end
    end
    local df, grouped = self, {}
    function grouped:agg(...)
      local columns = {}
      for i, g in ipairs(groups) do columns[i] = column(g) end
      for _, a in ipairs(rest(...)) do columns[#columns + 1] = a end
      return native.grouping_sets(df, masks, groups, columns)
    end
    function grouped:count() return grouped:agg(F.count(F.lit(1)):alias("count")) end
    return grouped
  end

  ---------------------------------------------------------------------------------------------------- groups

  --- GroupedData:pivot(pivot_col: Column, values?: {any, …}) -> GroupedData
  -- a column for each value of a column; without values they are looked up (at most spark.sql.pivotMaxValues)
  --     df:groupBy("year"):pivot("course"):sum("earnings")
  function GroupedData:pivot(...)
    local pivot, values = args({"pivot_col", "values"}, ...)
    local df, groups = self:_parts()
    if type(pivot) == "table" or type(pivot) == "number" then
      error("pivot: one column or its name expected, got a " .. type(pivot), 2)
    end
    if values ~= nil and values ~= null and (type(values) ~= "table" or next(values) ~= nil and #values == 0) then
      error("pivot: the values go in a list: pivot(\"year\", {2025, 2026})", 2)
    end
    pivot = column(pivot)
    if values == nil or values == null then
      local most = tonumber(spark.conf:get("spark.sql.pivotMaxValues", "10000"))
      values = {}
      for _, row in ipairs(df:select(pivot:alias("v")):distinct():orderBy("v"):limit(most + 1):collect()) do
        values[#values + 1] = row[1]
      end
      if #values > most then
        error(("the pivot column has more than %d distinct values, give them in pivot(column, values) or set "
          .. "spark.sql.pivotMaxValues"):format(most), 2)
      end
    end
    local pivoted = {}
    function pivoted:agg(...)
      local aggregates, out = rest(...), {}
      if next(aggregates) ~= nil and #aggregates == 0 then
        local named = {}
        for name, f in pairs(aggregates) do named[#named + 1] = {name, f} end
        table.sort(named, function(a, b) return a[1] < b[1] end)
        for i, pair in ipairs(named) do aggregates[i] = F[pair[2]](pair[1]) end
      end
      for i, g in ipairs(groups) do out[i] = g end
      local fit = true -- Spark guards the arguments where a result is none of these
      for _, d in ipairs(df:agg(table.unpack(aggregates)).dtypes) do
        fit = fit and (d[2]:match("int$") or d[2]:match("^decimal") or d[2] == "double" or d[2] == "float" or d[2] == "boolean") and true
      end
      for _, value in ipairs(values) do
        local is = pivot:eqNullSafe(value)
        local rows = native.filtered(F.count(F.lit(1)), is)
        for _, a in ipairs(aggregates) do
          local name, plain = text_of(value), native.unaliased(a)
          if #aggregates > 1 then
            name = name .. "_" .. (native.name_of(a) or df:agg(a).columns[1])
          end
          out[#out + 1] = (fit and F.when(rows:gt(0), native.filtered(plain, is)) or native.guarded(plain, is)):alias(name)
        end
      end
      return native.grouping_sets(df, {(1 << #groups) - 1}, groups, out)
    end
    function pivoted:count() return pivoted:agg(F.count(F.lit(1))) end
    for name, f in pairs {sum = "sum", avg = "avg", mean = "avg", min = "min", max = "max"} do
      pivoted[name] = function(_, ...)
        local aggregates, names = {}, rest(...)
        if #names == 0 then
          for _, d in ipairs(df.dtypes) do
            if d[2]:match("int$") or d[2]:match("^decimal") or d[2] == "double" or d[2] == "float" then names[#names + 1] = d[1] end
          end
        end
        for i, n in ipairs(names) do aggregates[i] = F[f](n) end
        return pivoted:agg(aggregates)
      end
    end
    return pivoted
  end
  for _, name in ipairs {"apply", "applyInPandas", "applyInPandasWithState", "applyInArrow", "cogroup", "transformWithState",
                         "transformWithStateInPandas"} do
    GroupedData[name] = absent("GroupedData." .. name, "there are no Python functions over pandas or Arrow batches",
      "collect the groups, or write the function with F.udf")
  end

  ---------------------------------------------------------------------------------------------------- statistics

  local function numbers(probabilities)
    local out = {}
    for i, p in ipairs(list(probabilities)) do
      if p < 0 or p > 1 then error("approxQuantile: a probability is from 0 to 1, not " .. p, 3) end
      out[i] = F.lit(p + 0.0)
    end
    return F.array(table.unpack(out))
  end

  --- DataFrame:approxQuantile(col: string, probabilities: {number, …}, relativeError?: number) -> {number, …}
  -- values at the probabilities; exact, whatever error is allowed; of a list of columns a list of lists
  --     df:approxQuantile("x", {0.25, 0.5}, 0)
  function DataFrame:approxQuantile(...)
    local col, probabilities = args({"col", "probabilities", "relativeError"}, ...)
    local out = {}
    for i, name in ipairs(list(col)) do
      local row = self:select(F.col(name):cast("double"):alias("v")):filter("v is not null and not isnan(v)")
        :agg(F.percentile_approx("v", numbers(probabilities))):first()
      out[i] = row[1] == null and {} or row[1]
    end
    return type(col) == "string" and out[1] or out
  end

  --- DataFrame:corr(col1: string, col2: string) -> number
  -- Pearson's correlation
  --     df:corr("n", "x")
  function DataFrame:corr(...)
    local a, b, method = args({"col1", "col2", "method"}, ...)
    need("corr", "col1", a, "string", "the name of a column")
    need("corr", "col2", b, "string", "the name of a column")
    if method and method ~= "pearson" then error("corr: only the method 'pearson' is known, not '" .. method .. "'", 2) end
    local v = self:agg(F.corr(a, b)):first()[1]
    return v == null and 0 / 0 or v
  end

  --- DataFrame:cov(col1: string, col2: string) -> number
  -- covariance of the sample
  --     df:cov("n", "x")
  function DataFrame:cov(...)
    local a, b = args({"col1", "col2"}, ...)
    need("cov", "col1", a, "string", "the name of a column")
    need("cov", "col2", b, "string", "the name of a column")
    local v = self:agg(F.covar_samp(a, b)):first()[1]
    return v == null and 0.0 or v
  end

  --- DataFrame:crosstab(col1: string, col2: string) -> DataFrame
  -- how often each pair of values occurs: a row for each value of col1, a column for each of col2
  --     df:crosstab("k", "s")
  function DataFrame:crosstab(...)
    local a, b = args({"col1", "col2"}, ...)
    need("crosstab", "col1", a, "string", "the name of a column")
    need("crosstab", "col2", b, "string", "the name of a column")
    local columns = {}
    local function word(c) return F.coalesce(F.col(c):cast("string"), F.lit("null")) end
    local words = self:select(word(a):alias("__a"), word(b):alias("__b"))
    for i, row in ipairs(words:select("__b"):distinct():orderBy("__b"):collect()) do columns[i] = row[1] end
    return words:groupBy("__a"):pivot("__b", columns):count():fillna(0):withColumnRenamed("__a", a .. "_" .. b)
  end

  --- DataFrame:freqItems(cols: {string, …}, support?: number) -> DataFrame
  -- one row: for each column the values that more than `support` (0.01) of the rows have
  --     df:freqItems({"k"}, 0.3)
  function DataFrame:freqItems(...)
    local cols, support = args({"cols", "support"}, ...)
    for _, c in ipairs(type(cols) == "table" and cols or {need("freqItems", "cols", cols, "string", "names of columns")}) do
      need("freqItems", "cols", c, "string", "names of columns")
    end
    if support ~= nil then need("freqItems", "support", support, "number") end
    local row, total = nil, self:count()
    for _, c in ipairs(list(cols)) do
      local one = self:groupBy(c):agg(F.count(F.lit(1)):alias("__n")):filter(F.col("__n"):gt((support or 0.01) * total))
        :agg(F.collect_list(c):alias(c .. "_freqItems"))
      row = row and row:crossJoin(one) or one
    end
    return row
  end

  --- DataFrame:sampleBy(col: Column, fractions: table, seed?: integer) -> DataFrame
  -- of each value's rows the fraction that a table gives it, none of the others
  --     df:sampleBy("k", {a = 0.5, b = 1}, 42)
  function DataFrame:sampleBy(...)
    local col, fractions, seed = args({"col", "fractions", "seed"}, ...)
    local condition = F.lit(false)
    if type(fractions) ~= "table" then error("sampleBy: a table of fractions expected, like {a = 0.5}, got " .. type(fractions), 2) end
    for value, fraction in pairs(fractions) do
      if type(fraction) ~= "number" or not (fraction >= 0 and fraction <= 1) then
        error(("sampleBy: a fraction is a number from 0 to 1, got %s for '%s'"):format(fraction, value), 2)
      end
      condition = condition | (column(col):eq(value) & F.col("__lacus_rand"):lt(fraction))
    end
    return self:withColumn("__lacus_rand", F.rand(seed or 42)):filter(condition):drop("__lacus_rand")
  end

  --- DataFrame.stat: table
  -- approxQuantile, corr, cov, crosstab, freqItems, sampleBy
  DataFrame.stat = {property = function(df)
    local stat = {}
    for _, name in ipairs {"approxQuantile", "corr", "cov", "crosstab", "freqItems", "sampleBy"} do
      stat[name] = function(first, ...)
        if first == stat then return DataFrame[name](df, ...) end
        return DataFrame[name](df, first, ...)
      end
    end
    return stat
  end}

  ---------------------------------------------------------------------------------------------------- subqueries

  --- DataFrame:scalar() -> Column
  -- the only value of the only row, as a column of another DataFrame's query
  --     df:filter(F.col("x"):eq(df:agg(F.max("x")):scalar()))
  function DataFrame:scalar() return native.subquery(self, "scalar") end

  --- DataFrame:exists() -> Column
  -- whether there are rows, as a condition of another DataFrame's query
  --     df:filter(small:filter(F.col("k"):eq(F.col("k"):outer())):exists())
  function DataFrame:exists() return native.subquery(self, "exists") end

  ---------------------------------------------------------------------------------------------------- running

  --- DataFrame:foreach(f: function)
  -- calls f(row) for each row, a batch at a time
  --     df:foreach(function(row) print(row.k) end)
  function DataFrame:foreach(f)
    need("foreach", "f", f, "function")
    for row in self:toLocalIterator() do f(row) end
  end

  --- DataFrame:foreachPartition(f: function)
  -- calls f(iterator) once: there are no partitions here
  --     df:foreachPartition(function(rows) for row in rows do print(row.k) end end)
  function DataFrame:foreachPartition(f)
    need("foreachPartition", "f", f, "function")
    f(self:toLocalIterator())
  end

  --- DataFrame:checkpoint(eager?: boolean) -> DataFrame
  -- its rows, computed now and kept in memory
  --     df:checkpoint()
  function DataFrame:checkpoint() return native.materialize(self) end
  DataFrame.localCheckpoint = DataFrame.checkpoint

  --- DataFrame:inputFiles() -> {string, …}
  -- the files that it reads
  --     df:inputFiles()
  function DataFrame:inputFiles()
    local out = {}
    for path in native.input_files(self):gmatch("[^\n]+") do out[#out + 1] = path end
    return out
  end

  --- DataFrame:isLocal() -> boolean
  -- whether its rows are in memory already
  --     df:isLocal()
  function DataFrame:isLocal() return native.is_local(self) end

  local function plain_plan(df) return (native.plan_text(df):gsub("lx_%d+", "lx"):gsub("l[a-z]%d+", "l")) end

  --- DataFrame:sameSemantics(other: DataFrame) -> boolean
  -- whether both are the same query
  --     df:sameSemantics(df:select("*"))
  function DataFrame:sameSemantics(other) return plain_plan(self) == plain_plan(other) end

  --- DataFrame:semanticHash() -> integer
  -- a number that is equal for DataFrames that are the same query
  --     df:semanticHash()
  function DataFrame:semanticHash()
    local h = 17
    for _, byte in utf8.codes(plain_plan(self)) do h = (h * 31 + byte) & 0x7FFFFFFF end
    return h
  end

  --- DataFrame:registerTempTable(name: string)
  -- createOrReplaceTempView
  --     df:registerTempTable("people")
  function DataFrame:registerTempTable(name) return self:createOrReplaceTempView(name) end

  --- DataFrame:sortWithinPartitions(column: Column, …) -> DataFrame
  -- sorted: there is one partition here
  --     df:sortWithinPartitions("n")
  function DataFrame:sortWithinPartitions(...) return self:orderBy(...) end

  --- DataFrame:repartitionByRange(n: integer, column: Column, …) -> DataFrame
  -- the same rows
  --     df:repartitionByRange(4, "n")
  function DataFrame:repartitionByRange() return self end
  function DataFrame:repartitionById() return self end

  --- DataFrame:withMetadata(columnName: string, metadata: table) -> DataFrame
  -- the same rows; metadata of columns is kept by tables only
  --     df:withMetadata("x", {comment = "metres"})
  function DataFrame:withMetadata(...)
    local name = args({"columnName", "metadata"}, ...)
    self:select(of(name))
    return self
  end

  --- DataFrame.isStreaming: boolean
  -- false: nothing streams here
  DataFrame.isStreaming = {property = function() return false end}
  --- DataFrame.sparkSession: SparkSession
  DataFrame.sparkSession = {property = function() return spark end}
  --- DataFrame.storageLevel: string
  DataFrame.storageLevel = {property = function() return "StorageLevel(False, False, False, False, 1)" end}
  DataFrame.executionInfo = {property = function() return null end}

  --- class Observation: what df:observe(observation, aggregate, …) counts: observation.get
  local Observation = {}

  --- Observation(name?: string) -> Observation
  -- for df:observe; observation.get is a table of the aggregates by their names, computed when it is first asked for
  --     Observation("quality")
  function classes.Observation(name)
    if name ~= nil and (type(name) ~= "string" or name == "") then error("Observation: a name expected", 2) end
    return setmetatable({name = name}, Observation)
  end
  Observation.__name = "Observation"
  function Observation.__index(self, key)
    if key ~= "get" then return nil end
    local plan = rawget(self, "plan")
    if not plan then
      native.raise("this Observation observes no DataFrame yet", "df:observe(observation, F.count(\"*\"):alias(\"rows\"))")
    end
    local row, out = plan:first(), {}
    for i, name in ipairs(plan.columns) do out[name] = row[i] end
    rawset(self, "get", out)
    return out
  end

  --- DataFrame:observe(observation: Observation, aggregate: Column, …) -> DataFrame
  -- the same rows; the aggregates over them are observation.get. They are a query of their own, which runs when they are asked for
  --     df:observe(Observation("o"), F.count(F.lit(1)):alias("rows"))
  function DataFrame:observe(observation, ...)
    if select("#", ...) == 0 then error("observe: at least one aggregate expected", 2) end
    local plan = self:agg(...)
    if getmetatable(observation) == Observation then
      if rawget(observation, "plan") then
        native.raise("an Observation can be used with a DataFrame only once", "make another: Observation()")
      end
      rawset(observation, "plan", plan)
    elseif type(observation) ~= "string" then
      error("observe: an Observation or a name expected, got " .. type(observation), 2)
    end
    return self
  end

  local function global_view(df, name, words)
    spark:sql(words .. " GLOBAL TEMPORARY VIEW `" .. name:gsub("`", "``") .. "` AS SELECT * FROM {df}", {df = df})
  end
  --- DataFrame:createGlobalTempView(name: string)
  -- a name for SQL, global_temp.name; an error when it is taken
  --     df:createGlobalTempView("people")
  function DataFrame:createGlobalTempView(name) global_view(self, name, "CREATE") end
  --- DataFrame:createOrReplaceGlobalTempView(name: string)
  -- a name for SQL, global_temp.name
  --     df:createOrReplaceGlobalTempView("people")
  function DataFrame:createOrReplaceGlobalTempView(name) global_view(self, name, "CREATE OR REPLACE") end

  for name, why in pairs {
    toPandas = "there is no pandas", pandas_api = "there is no pandas", mapInPandas = "there is no pandas", plot = "drawings are functions of a dataframe",
    mapInArrow = "there are no Python functions over Arrow batches", rdd = "there are no RDDs",
    writeStream = "nothing streams here", withWatermark = "nothing streams here", dropDuplicatesWithinWatermark = "nothing streams here",
    nearestByJoin = "joins by nearness are not there",
    metadataColumn = "files have no metadata columns here", asTable = "there are no functions that take tables",
  } do
    local hints = {toPandas = "collect(), toTable()", plot = "plot.line(df, {x = \"day\", y = \"n\"}), plot.bar, plot.hist, plot.box, …"}
    DataFrame[name] = absent("DataFrame." .. name, why, hints[name])
  end
  DataFrame.rdd, DataFrame.plot, DataFrame.writeStream = {property = DataFrame.rdd}, {property = DataFrame.plot},
    {property = DataFrame.writeStream}

  ---------------------------------------------------------------------------------------------------- writing

  --- class DataFrameWriterV2: df:writeTo(table): create, append, overwrite, replace
  local V2 = {}
  V2.__index, V2.__name = V2, "DataFrameWriterV2"

  --- DataFrame:writeTo(table: TableName) -> DataFrameWriterV2
  -- writes to a table by its columns' names
  --     df:writeTo("a.b.c"):createOrReplace()
  function DataFrame:writeTo(name)
    return setmetatable({df = self, name = name, options_ = {}, partitions = {}, properties = {}}, V2)
  end

  --- DataFrameWriterV2:option(key: string, value) -> DataFrameWriterV2
  -- a setting of the table that is written
  --     df:writeTo("lake"):option("mergeSchema", true)
  function V2:option(key, value) self.options_[key] = value; return self end
  --- DataFrameWriterV2:options(options: table) -> DataFrameWriterV2
  -- several settings
  --     df:writeTo("lake"):options{mergeSchema = true}
  function V2:options(options)
    for k, v in pairs(options) do self.options_[k] = v end
    return self
  end
  --- DataFrameWriterV2:using(provider: string) -> DataFrameWriterV2
  -- the table's format
  --     df:writeTo("lake"):using("delta")
  function V2:using(provider) self.provider = provider; return self end
  --- DataFrameWriterV2:tableProperty(name: string, value: string) -> DataFrameWriterV2
  -- a property of the table
  --     df:writeTo("lake"):tableProperty("owner", "me")
  function V2:tableProperty(name, value) self.properties[name] = value; return self end
  --- DataFrameWriterV2:partitionedBy(column: Column, …) -> DataFrameWriterV2
  -- the columns by whose values files are grouped
  --     df:writeTo("lake"):partitionedBy("k")
  function V2:partitionedBy(...)
    for _, c in ipairs(rest(...)) do
      local name = type(c) == "string" and c or tostring(c):match("^Column<'?`?([^`'>]+)`?'?>$")
      if not name or name:find("(", 1, true) then
        native.raise("partitionedBy takes plain columns: a table is not partitioned by a function of one")
      end
      self.partitions[#self.partitions + 1] = name
    end
    return self
  end
  function V2:clusterBy() native.raise("clusterBy is not there: tables are not clustered", "use partitionedBy") end

  local function exists(name) return spark.catalog:tableExists(name) end

  -- on a server the whole of it is the server's: Spark's WriteOperationV2
  local function save_there(w, mode, condition)
    native.save_v2(w.df, {table = w.name, mode = mode, provider = w.provider, options = w.options_, properties = w.properties,
                          partitions = w.partitions, condition = condition})
  end

  local function save(w, mode, v2)
    if native.is_remote() then return save_there(w, v2) end
    local writer = w.df.write:mode(mode)
    if w.provider then writer = writer:format(w.provider) end
    for k, v in pairs(w.options_) do writer = writer:option(k, v) end
    if #w.partitions > 0 then writer = writer:partitionBy(table.unpack(w.partitions)) end
    writer:saveAsTable(w.name)
    for k, v in pairs(w.properties) do
      spark:sql(("ALTER TABLE %s SET TBLPROPERTIES ('%s' = '%s')"):format(w.name, k:gsub("'", "''"), tostring(v):gsub("'", "''")))
    end
  end

  local function must_exist(w, level)
    if not native.is_remote() and not exists(w.name) then
      error(("[TABLE_OR_VIEW_NOT_FOUND] The table or view `%s` cannot be found; create() makes it. SQLSTATE: 42P01"):format(w.name), level or 3)
    end
  end

  -- Tables of files are Spark's older kind, which this writer makes and does not change.
  local function must_be_v2(w)
    must_exist(w, 4)
    local files = not native.is_remote() and native.v1_table(w.name)
    if files then
      native.raise(("Cannot write into v1 table: %s."):format(files), "use df.write:insertInto or df.write:mode(…):saveAsTable")
    end
  end

  local function replace(w, v2)
    if not native.is_remote() then
      local made = w.provider and w.provider:lower() ~= "delta" and ("`%s`"):format(w.name)
      local files = native.v1_table(w.name) or made
      if files then
        native.raise(("[UNSUPPORTED_FEATURE.TABLE_OPERATION] The feature is not supported: Table %s does not support REPLACE TABLE "
          .. "AS SELECT: it is a table of files. SQLSTATE: 0A000"):format(files), "use df.write:mode(\"overwrite\"):saveAsTable")
      end
      w.options_.overwriteSchema = true
    end
    save(w, "overwrite", v2)
  end

  --- DataFrameWriterV2:create()
  -- makes the table; an error when it is there
  --     df:writeTo("moon"):create()
  function V2:create() save(self, "error", "create") end
  --- DataFrameWriterV2:replace()
  -- puts the rows and columns in place of a table's
  --     df:writeTo("lake"):replace()
  function V2:replace()
    must_exist(self)
    replace(self, "replace")
  end
  --- DataFrameWriterV2:createOrReplace()
  -- makes the table, or puts rows and columns in place of it
  --     df:writeTo("lake"):createOrReplace()
  function V2:createOrReplace()
    replace(self, "createOrReplace")
  end
  --- DataFrameWriterV2:append()
  -- adds rows to a table that is there, by the names of columns
  --     df:writeTo("lake"):append()
  function V2:append()
    must_be_v2(self)
    save(self, "append", "append")
  end
  --- DataFrameWriterV2:overwrite(condition: Column)
  -- puts the rows in place of those that a condition (a Column, or SQL text) is true of; F.lit(true): of all
  --     df:writeTo("lake"):overwrite(F.col("year"):eq(2026))
  function V2:overwrite(condition)
    local fine, why = pcall(native.condition, condition)
    if not fine then error("overwrite: " .. tostring(why):gsub("^.-%((.*)%)$", "%1"), 2) end
    condition = why
    must_be_v2(self)
    if native.is_remote() then return save_there(self, "overwrite", condition) end
    if not native.overwrite(self.df, self.name, condition) then save(self, "overwrite") end
  end
  --- DataFrameWriterV2:overwritePartitions()
  -- puts the rows in place of the partitions that they are of
  --     df:writeTo("lake"):overwritePartitions()
  function V2:overwritePartitions()
    must_be_v2(self)
    if not native.is_remote() then self.options_.partitionOverwriteMode = "dynamic" end
    save(self, "overwrite", "overwritePartitions")
  end

  ---------------------------------------------------------------------------------------------------- merging

  --- class MergeIntoWriter: df:mergeInto(table, condition): what to do with rows that match and with those that do not
  local Merge = {}
  Merge.__index, Merge.__name = Merge, "MergeIntoWriter"

  --- DataFrame:mergeInto(table: TableName, condition: Column) -> MergeIntoWriter
  -- changes a Delta table by the rows of this DataFrame, as MERGE INTO does; merge() does it. The table's columns go by its name,
  -- those of this DataFrame by its alias
  --     df:select("n", "k"):alias("s"):mergeInto("lake", F.expr("lake.n = s.n")):whenMatched():delete():merge()
  function DataFrame:mergeInto(...)
    local name, condition = args({"table", "condition"}, ...)
    if type(name) ~= "string" then error("mergeInto: the name of a table expected, got " .. type(name), 2) end
    if condition == nil then error("mergeInto: a condition expected, like F.expr(\"t.id = s.id\")", 2) end
    return setmetatable({df = self, table = name, condition = condition, clauses = {}, evolve = false}, Merge)
  end

  local actions = {
    matched = {updateAll = "update", update = "update", delete = "delete"},
    not_matched = {insertAll = "insert", insert = "insert"},
    not_matched_by_source = {updateAll = "update", update = "update", delete = "delete"},
  }

  -- writer:whenMatched(condition): the actions of one clause; each gives the writer again
  local function clause(writer, when, condition)
    local out = {}
    for name, action in pairs(actions[when]) do
      out[name] = function(_, assignments)
        local star = name:sub(-3) == "All"
        if action ~= "delete" and not star and (not is_plain(assignments) or next(assignments) == nil) then
          error(("%s: a table of columns expected: %s{total = F.col(\"s.total\")}"):format(name, name), 2)
        end
        writer.clauses[#writer.clauses + 1] = {when = when, action = action, condition = condition, star = star,
                                               assignments = not star and assignments or nil}
        return writer
      end
    end
    return out
  end

  --- MergeIntoWriter:whenMatched(condition?: Column) -> table
  -- rows of both: updateAll(), update{column = value, …} or delete()
  --     df:mergeInto("lake", "lake.n = s.n"):whenMatched("s.x > 0"):updateAll()
  function Merge:whenMatched(condition) return clause(self, "matched", condition) end
  --- MergeIntoWriter:whenNotMatched(condition?: Column) -> table
  -- rows that the table has not: insertAll() or insert{column = value, …}
  --     df:mergeInto("lake", "lake.n = s.n"):whenNotMatched():insertAll()
  function Merge:whenNotMatched(condition) return clause(self, "not_matched", condition) end
  --- MergeIntoWriter:whenNotMatchedBySource(condition?: Column) -> table
  -- rows that only the table has: update{column = value, …} or delete()
  --     df:mergeInto("lake", "lake.n = s.n"):whenNotMatchedBySource():delete()
  function Merge:whenNotMatchedBySource(condition) return clause(self, "not_matched_by_source", condition) end
  --- MergeIntoWriter:withSchemaEvolution() -> MergeIntoWriter
  -- columns that only this DataFrame has are added to the table first; those that only the table has stay as they are (NULL in new rows)
  --     df:mergeInto("lake", "lake.n = s.n"):withSchemaEvolution()
  function Merge:withSchemaEvolution() self.evolve = true; return self end
  --- MergeIntoWriter:merge()
  -- does it: one commit
  --     df:mergeInto("lake", "lake.n = s.n"):whenNotMatched():insertAll():merge()
  function Merge:merge()
    if #self.clauses == 0 then
      error("[NO_MERGE_ACTION_SPECIFIED] df:mergeInto needs to be followed by at least one of whenMatched/whenNotMatched/"
            .. "whenNotMatchedBySource. SQLSTATE: 42K0E", 2)
    end
    native.merge(self.df, self.table, self.condition, self.clauses, self.evolve)
  end

  for name, why in pairs {bucketBy = "tables have no buckets", sortBy = "tables have no buckets", clusterBy = "tables are not clustered",
                          jdbc = "there is no JVM", orc = "ORC files are not written", xml = "XML files are not written"} do
    classes.DataFrameWriter[name] = absent("DataFrameWriter." .. name, why, name == "jdbc" and "write Parquet or Delta" or nil)
  end
  for name, why in pairs {jdbc = "there is no JVM", orc = "ORC files are not read", xml = "XML files are not read",
                          changes = "change data feeds are not read"} do
    classes.DataFrameReader[name] = absent("DataFrameReader." .. name, why, name == "jdbc" and "export to Parquet or CSV" or nil)
  end

  ---------------------------------------------------------------------------------------------------- columns

  --- Column:transform(f: function) -> Column
  -- f(column)
  --     df:select(F.col("x"):transform(function(c) return c * 2 end))
  function Column:transform(f) return f(self) end
  --- Column:outer() -> Column
  -- the column of the query around
  --     small:filter(F.col("k"):eq(F.col("k"):outer()))
  function Column:outer() return native.call("outer", false, self) end
  --- Column:withField(fieldName: string, col: Column) -> Column
  -- the struct with a field more, or another one in its place
  --     df:select(F.struct("n", "x"):withField("y", F.lit(1)))
  function Column:withField(name, value)
    if type(name) ~= "string" then error("withField: a name expected, got " .. type(name), 2) end
    local outer, inner = name:match("^([^.`]+)%.(.+)$") -- a field of a field
    if outer then return self:withField(outer, self:getField(outer):withField(inner, value)) end
    return native.call("with_field", false, self, F.lit(name), value)
  end
  --- Column:dropFields(fieldName: string, …) -> Column
  -- the struct without these fields
  --     df:select(F.struct("n", "x"):dropFields("x"))
  function Column:dropFields(...)
    local names, column = {}, self
    for _, name in ipairs {...} do
      local outer, inner = tostring(name):match("^([^.`]+)%.(.+)$") -- a field of a field
      if outer then column = column:withField(outer, column:getField(outer):dropFields(inner))
      else names[#names + 1] = F.lit(name) end
    end
    if #names == 0 then return column end
    return native.call("drop_fields", false, column, table.unpack(names))
  end

  ---------------------------------------------------------------------------------------------------- catalog

  -- catalog functions go with a dot or a colon
  local Catalog = setmetatable({}, {__newindex = function(_, name, f)
    rawset(classes.Catalog, name, function(first, ...)
      if rawequal(first, spark.catalog) then return f(...) end
      return f(first, ...)
    end)
  end})

  local function rows_of(text, ...) return spark:sql(text, ...):collect() end

  --- Catalog:listViews(dbName?: string) -> {{name}, …}
  -- the views of a schema, temporary ones too
  --     spark.catalog:listViews()
  function Catalog.listViews(schema)
    local out = {}
    for i, row in ipairs(rows_of("SHOW VIEWS" .. (schema and " IN " .. schema or ""))) do
      out[i] = {name = row.viewName, isTemporary = row.isTemporary, tableType = "TEMPORARY"}
    end
    return out
  end
  --- Catalog:listFunctions(dbName?: string, pattern?: string) -> {{name, description}, …}
  -- the functions of SQL
  --     spark.catalog:listFunctions("default", "array_*")
  function Catalog.listFunctions(_, pattern)
    local out = {}
    pattern = pattern and "^" .. pattern:gsub("%*", ".*") .. "$"
    for _, f in ipairs(native.functions()) do
      if f[1]:match("^%a") and (not pattern or f[1]:match(pattern)) then
        out[#out + 1] = {name = f[1], description = f[3], usage = f[2], className = f[4], isTemporary = false}
      end
    end
    return out
  end
  --- Catalog:functionExists(functionName: string) -> boolean
  -- is there a function of this name?
  --     spark.catalog:functionExists("upper")
  function Catalog.functionExists(name)
    name = name:match("[^.]+$"):lower()
    for _, f in ipairs(native.functions()) do
      if f[1] == name then return true end
    end
    return false
  end
  --- Catalog:getFunction(functionName: string) -> {name, description}
  -- what a function does
  --     spark.catalog:getFunction("upper").description
  function Catalog.getFunction(name)
    for _, f in ipairs(classes.Catalog.listFunctions()) do
      if f.name == name:lower() then return f end
    end
    error(("[UNRESOLVED_ROUTINE] Cannot resolve routine `%s`. SQLSTATE: 42883"):format(name), 2)
  end
  --- Catalog:getTable(tableName: string) -> {name, catalog, namespace, tableType}
  -- what a table is
  --     spark.catalog:getTable("people").tableType
  function Catalog.getTable(name)
    local parts = {}
    for part in name:gmatch("[^.]+") do parts[#parts + 1] = part end
    if not exists(name) then
      error(("[TABLE_OR_VIEW_NOT_FOUND] The table or view `%s` cannot be found. SQLSTATE: 42P01"):format(name), 2)
    end
    local known = {}
    for _, row in ipairs(rows_of("DESCRIBE EXTENDED " .. name)) do known[row[1]] = row[2] end
    return {name = parts[#parts], namespace = {parts[#parts - 1] or spark.catalog:currentDatabase()},
            catalog = parts[#parts - 2] or spark.catalog:currentCatalog(), isTemporary = known.Table == nil,
            tableType = known.Table and known.Type or "TEMPORARY", description = known.Comment}
  end
  --- Catalog:getTableProperties(tableName: string) -> table
  -- the properties of a table, by name
  --     spark.catalog:getTableProperties("people")
  function Catalog.getTableProperties(name)
    local out = {}
    for _, row in ipairs(rows_of("SHOW TBLPROPERTIES " .. name)) do out[row.key] = row.value end
    return out
  end
  --- Catalog:getDatabase(dbName: string) -> {name, catalog, description, locationUri}
  -- what a schema is
  --     spark.catalog:getDatabase("default").locationUri
  function Catalog.getDatabase(name)
    local out = {name = name:match("[^.]+$"), catalog = name:match("^(.*)%.[^.]+$") or spark.catalog:currentCatalog()}
    for _, row in ipairs(rows_of("DESCRIBE SCHEMA " .. name)) do
      if row[1] == "Comment" then out.description = row[2] end
      if row[1] == "Location" then out.locationUri = row[2] end
    end
    return out
  end
  -- The text of an argument by name; nil: not given (nil or null).
  local function text_argument(what, name, value)
    if value == nil or value == null then return nil end
    if type(value) ~= "string" then
      error(("%s takes '%s' as a string, got %s"):format(what, name, type(value)), 3)
    end
    return value
  end

  local function literal(text) return "'" .. text:gsub("\\", "\\\\"):gsub("'", "\\'") .. "'" end

  -- A table is made of columns or of files that are there: those say their columns, or that they cannot.
  local function check_source(name, path, source)
    if not path then
      native.raise(("[UNABLE_TO_INFER_SCHEMA] createTable cannot make '%s': Unable to infer schema for %s. It must be specified "
        .. "manually. SQLSTATE: 42KD9"):format(name, source), "give schema = \"id INT, name STRING\", or the path of files that are there")
    end
    if source ~= "delta" then local _ = spark.read:format(source):load(path).columns end
  end

  --- Catalog:createTable{tableName: string, path?: string, source?: string, schema?: string, description?: string} -> DataFrame
  -- makes a table, empty or of files that are there
  --     spark.catalog:createTable{tableName = "points", schema = "x DOUBLE, y DOUBLE"}
  function Catalog.createTable(...)
    local name, path, source, schema, description = args({"tableName", "path", "source", "schema", "description"}, ...)
    name, path = text_argument("createTable", "tableName", name), text_argument("createTable", "path", path)
    source = (text_argument("createTable", "source", source) or "delta"):lower()
    description = text_argument("createTable", "description", description)
    local ddl = type(schema) == "table" and schema.ddl or text_argument("createTable", "schema", schema)
    if not name then error("createTable needs 'tableName', the name of the table to make", 2) end
    if not ddl then check_source(name, path, source) end
    spark:sql("CREATE TABLE " .. name .. (ddl and " (" .. ddl .. ")" or "") .. " USING " .. source
      .. (path and " LOCATION " .. literal(path) or "") .. (description and " COMMENT " .. literal(description) or ""))
    return spark:table(name)
  end
  Catalog.createExternalTable = classes.Catalog.createTable
  --- Catalog:createDatabase(dbName: string, ifNotExists?: boolean)
  -- makes a schema
  --     spark.catalog:createDatabase("attic", true)
  function Catalog.createDatabase(name, if_not_exists)
    spark:sql("CREATE SCHEMA " .. (if_not_exists and "IF NOT EXISTS " or "") .. name)
  end
  --- Catalog:dropDatabase(dbName: string, ifExists?: boolean, cascade?: boolean)
  -- removes a schema; with cascade also what is in it
  --     spark.catalog:dropDatabase("attic", true)
  function Catalog.dropDatabase(name, if_exists, cascade)
    spark:sql("DROP SCHEMA " .. (if_exists and "IF EXISTS " or "") .. name .. (cascade and " CASCADE" or ""))
  end
  --- Catalog:dropTable(tableName: string, ifExists?: boolean)
  -- removes a table and its rows
  --     spark.catalog:dropTable("points", true)
  function Catalog.dropTable(name, if_exists) spark:sql("DROP TABLE " .. (if_exists and "IF EXISTS " or "") .. name) end
  --- Catalog:dropView(viewName: string, ifExists?: boolean)
  -- removes a view
  --     spark.catalog:dropView("seen", true)
  function Catalog.dropView(name, if_exists) spark:sql("DROP VIEW " .. (if_exists and "IF EXISTS " or "") .. name) end
  --- Catalog:dropGlobalTempView(viewName: string) -> boolean
  -- removes global_temp.name; whether there was one
  --     spark.catalog:dropGlobalTempView("people")
  function Catalog.dropGlobalTempView(name)
    for _, row in ipairs(rows_of("SHOW VIEWS IN global_temp")) do
      if row.namespace == "global_temp" and row.viewName == name:lower() then
        spark:sql("DROP VIEW global_temp.`" .. name:gsub("`", "``") .. "`")
        return true
      end
    end
    return false
  end
  --- Catalog:getCreateTableString(tableName: string) -> string
  -- the statement that makes such a table
  --     spark.catalog:getCreateTableString("people")
  function Catalog.getCreateTableString(name) return rows_of("SHOW CREATE TABLE " .. name)[1][1] end
  --- Catalog:truncateTable(tableName: string)
  -- removes all rows of a table
  --     spark.catalog:truncateTable("people")
  function Catalog.truncateTable(name) spark:sql("TRUNCATE TABLE " .. name) end
  local cached = {}
  --- Catalog:cacheTable(tableName: string)
  -- remembers that it is wanted; files are cached by the engine
  --     spark.catalog:cacheTable("people")
  function Catalog.cacheTable(name) spark:table(name); cached[name:lower()] = true end
  --- Catalog:uncacheTable(tableName: string)
  -- its rows are no longer kept
  --     spark.catalog:uncacheTable("people")
  function Catalog.uncacheTable(name) cached[name:lower()] = nil end
  --- Catalog:isCached(tableName: string) -> boolean
  -- are its rows kept?
  --     spark.catalog:isCached("people")
  function Catalog.isCached(name) return cached[name:lower()] == true end
  --- Catalog:clearCache()
  -- no rows are kept any longer
  --     spark.catalog:clearCache()
  function Catalog.clearCache() cached = {} end
  --- Catalog:refreshTable(tableName: string)
  -- nothing is stale here: each query reads the newest version
  --     spark.catalog:refreshTable("people")
  function Catalog.refreshTable(name) spark:table(name) end
  function Catalog.refreshByPath() end
  function Catalog.recoverPartitions(name) spark:table(name) end
  function Catalog.analyzeTable(name) spark:table(name) end
  --- Catalog:listPartitions(tableName: string) -> {{name = value}, …}
  -- the values of the partition columns that a table has
  --     spark.catalog:listPartitions("people")
  function Catalog.listPartitions(name) return rows_of("SHOW PARTITIONS " .. name) end
  function Catalog.registerFunction(name, f, type) return spark.udf:register(name, f, type) end

  ---------------------------------------------------------------------------------------------------- the session

  local Session = classes.SparkSession
  --- SparkSession.emptyDataFrame: DataFrame
  Session.emptyDataFrame = {property = function() return spark:range(0):select() end}
  --- SparkSession:active() -> SparkSession
  -- the session that is used: this one
  --     spark:active() == spark
  function Session.active() return spark end
  function Session.getActiveSession() return spark end
  --- SparkSession:newSession() -> SparkSession
  -- the same one: a kernel has one session
  --     local other = spark:newSession()
  function Session.newSession() return spark end
  local tags = {}
  --- SparkSession:addTag(tag: string)
  -- the operations that follow have this tag
  --     spark:addTag("nightly")
  function Session.addTag(_, tag) tags[tag] = true end
  function Session.removeTag(_, tag) tags[tag] = nil end
  function Session.clearTags() tags = {} end
  --- SparkSession:getTags() -> {string, …}
  -- the tags that operations have now
  --     spark:getTags()
  function Session.getTags()
    return sorted_keys(tags)
  end
  --- SparkSession:interruptAll() -> {string, …}
  -- nothing: a session runs one query at a time, and an interrupt of the cell ends it
  --     spark:interruptAll()
  function Session.interruptAll() return {} end
  function Session.interruptTag() return {} end
  function Session.interruptOperation() return {} end
  function Session.clearProgressHandlers() end
  function Session.registerProgressHandler() end
  function Session.removeProgressHandler() end
  for name, why in pairs {readStream = "nothing streams here", streams = "nothing streams here", sparkContext = "there are no RDDs", client = "there is no server",
                          dataSource = "there are no Python data sources", udtf = "there are no functions that give tables",
                          profile = "there are no Python functions to profile",
                          tvf = "table functions are called in SQL: spark:sql('SELECT * FROM range(5)')"} do
    Session[name] = {property = absent("spark." .. name, why)}
  end
  for _, name in ipairs {"addArtifact", "addArtifacts", "copyFromLocalToFs"} do
    Session[name] = absent("spark." .. name, "there is no server: files are read where they are")
  end

  ---------------------------------------------------------------------------------------------------- functions of Lua

  local function udf_type(t)
    if t == nil or t == null then return "string" end
    if type(t) == "table" and t.ddl then return "struct<" .. t.ddl .. ">" end
    if type(t) ~= "string" then error("udf: a type expected, like \"bigint\", got " .. type(t), 3) end
    return t
  end

  -- The call with its first arguments: an expression when the function is one, else the packed function.
  local function head_of(f, returnType, name)
    local packed, straight, loops = native.pack(f)
    if straight then
      local done, lambda = pcall(native.lambda, f)
      if done then return native.call("lua_expression", false, F.lit(name), F.lit(returnType), lambda), true end
    end
    return native.call("lua_udf", false, F.lit(name), F.lit(returnType), packed, F.lit(loops)), false
  end

  local Udf = {}
  Udf.__index, Udf.__name = Udf, "UserDefinedFunction"
  function Udf:__call(...)
    local columns = {}
    for i, c in ipairs(table.pack(...)) do columns[i] = type(c) == "string" and F.col(c) or c end
    return native.applied(self.head, table.unpack(columns))
  end
  function Udf:__tostring()
    return ("function %s(…) -> %s, %s"):format(self.name, self.returnType, self.lowered and "an expression of the engine"
      or "run row by row")
  end

  local function make_udf(f, returnType, name)
    if getmetatable(f) == Udf then return make_udf(f.f, returnType or f.returnType, name or f.name) end
    if type(f) ~= "function" then error("udf: a function expected, got " .. type(f), 3) end
    local t = udf_type(returnType)
    local head, lowered = head_of(f, t, name or "udf")
    return setmetatable({f = f, head = head, lowered = lowered, name = name or "udf", returnType = t}, Udf)
  end

  function classes.udf(...)
    local f, returnType = args({"f", "returnType"}, ...)
    if type(f) == "string" then -- a decorator: F.udf("bigint")(function(x) … end)
      return function(g) return make_udf(g, f) end
    end
    return make_udf(f, returnType)
  end

  --- SparkSession.udf: table
  -- spark.udf:register(name, f, returnType): a Lua function for SQL
  Session.udf = {property = function()
    return {register = function(_, name, f, returnType)
      if type(name) ~= "string" then error("register: a name expected, got " .. type(name), 2) end
      local udf = make_udf(f, returnType, name)
      native.name_function(name, udf.head)
      return udf
    end}
  end}

  return classes
end

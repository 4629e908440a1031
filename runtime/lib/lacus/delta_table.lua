-- delta_table: the global DeltaTable, as delta-spark's delta.tables has it, of what SQL and dataframes can do. `native` is that of
-- dataframe.lua: is_remote, merge, change, alias_of, fail, raise.

return function(native)
  local spark = require("spark")
  local arguments = require("lacus.arguments")
  local is_plain, args = arguments.is_plain, arguments.args
  local null = null

  ---------------------------------------------------------------------------------------------------- classes

  -- A class whose methods are refused on anything but its objects: what is called with a dot. `object`: as messages name one.
  local function class(name, object)
    local meta = {__name = name}
    local methods = setmetatable({}, {__newindex = function(t, method, f)
      rawset(t, method, function(self, ...)
        if getmetatable(self) ~= meta then
          native.fail("ARG", ("%s is a method: %s:%s(…)"):format(method, object, method))
        end
        return f(self, ...)
      end)
    end})
    meta.__index = methods
    return meta, methods
  end

  local table_meta, Table = class("DeltaTable", "table")
  local merge_meta, Merge = class("DeltaMergeBuilder", "merge")
  local builder_meta, Builder = class("DeltaTableBuilder", "builder")
  local optimize_meta, Optimize = class("DeltaOptimizeBuilder", "optimize")

  local function given(v) return v ~= nil and v ~= null end

  local function ident(name) return "`" .. name:gsub("`", "``") .. "`" end
  local function literal(text) return "'" .. tostring(text):gsub("\\", "\\\\"):gsub("'", "\\'") .. "'" end

  local function text_arg(what, name, value)
    if type(value) ~= "string" or value == "" then
      native.fail("ARG", ("%s: %s must be a text, got %s"):format(what, name, type(value)))
    end
    return value
  end

  local DeltaTable = {}

  local function need_session(what, fine, example)
    if fine then return end
    native.fail("ARG", ("%s is a function of a session: DeltaTable.%s(spark%s)"):format(what, what, example),
                "a dot before its name, and spark as the first argument")
  end

  -- Functions go with a dot, and the session is their first argument: gives the others.
  local function after_session(what, names, example, ...)
    need_session(what, not rawequal((...), DeltaTable), example)
    local values = table.pack(args({"sparkSession", table.unpack(names)}, ...))
    need_session(what, rawequal(values[1], spark), example)
    return table.unpack(values, 2, #names + 1)
  end

  ---------------------------------------------------------------------------------------------------- finding

  local absent = {"TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND", "PATH_NOT_FOUND", "PATH_DOES_NOT_EXIST", "MISSING_DELTA_TABLE",
                  "not a Delta table", "no Delta table"}

  -- The row of DESCRIBE DETAIL; nil and the error when there is no Delta table.
  local function detail_of(what)
    local done, result = pcall(function() return spark:sql("DESCRIBE DETAIL " .. what):collect()[1] end)
    if done then return result.format == "delta" and result or nil end
    local message = tostring(result)
    -- Spark alone reads DESCRIBE of a column of the table DETAIL
    if native.is_remote() and (message:find("PARSE_SYNTAX_ERROR", 1, true) or message:find("`DETAIL`", 1, true)) then
      native.raise("this Spark server has no Delta tables",
                   "start it with the package io.delta:delta-spark and spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension")
    end
    for _, word in ipairs(absent) do
      if message:find(word, 1, true) then return nil, result end
    end
    error(result, 0)
  end

  local function must_be_delta(name, what)
    local row, why = detail_of(what)
    if row then return row end
    native.fail("ENGINE", ("[DELTA_MISSING_DELTA_TABLE] %s is not a Delta table. SQLSTATE: 42P01"):format(name),
                type(why) == "table" and why.hint or nil)
  end

  local function path_name(path) return "delta." .. ident(path) end

  local function new(name, path, alias)
    return setmetatable({_name = path and path_name(path) or name, _path = path, _alias = alias}, table_meta)
  end

  --- class DeltaTable: a Delta table whose rows are changed, as delta-spark's delta.tables has it

  --- DeltaTable.forName(sparkSession: SparkSession, tableOrViewName: TableName) -> DeltaTable
  -- a table of the catalog; an error when it is no Delta table
  --     DeltaTable.forName(spark, "lake"):toDF():show()
  function DeltaTable.forName(...)
    local name = after_session("forName", {"tableOrViewName"}, ', "name"', ...)
    text_arg("forName", "the table's name", name)
    local path = name:match("^[dD][eE][lL][tT][aA]%.`(.*)`$")
    must_be_delta(path and name or "`" .. name .. "`", name)
    return new(name, path and path:gsub("``", "`") or nil)
  end

  --- DeltaTable.forPath(sparkSession: SparkSession, path: Path) -> DeltaTable
  -- the table of a folder; an error when it is no Delta table
  --     DeltaTable.forPath(spark, "/tmp/lake"):history():show()
  function DeltaTable.forPath(...)
    local path, conf = after_session("forPath", {"path", "hadoopConf"}, ', "/the/folder"', ...)
    text_arg("forPath", "the path", path)
    if given(conf) then native.raise("forPath: hadoopConf is not there", "paths are opened with what spark.conf says") end
    must_be_delta("`" .. path .. "`", path_name(path))
    return new(nil, path)
  end

  --- DeltaTable.isDeltaTable(sparkSession: SparkSession, identifier: Path) -> boolean
  -- is the folder a Delta table?
  --     DeltaTable.isDeltaTable(spark, "/tmp/lake")
  function DeltaTable.isDeltaTable(...)
    local path = after_session("isDeltaTable", {"identifier"}, ', "/the/folder"', ...)
    return detail_of(path_name(text_arg("isDeltaTable", "the path", path))) ~= nil
  end

  --- DeltaTable.convertToDelta(sparkSession: SparkSession, identifier: string) -> DeltaTable
  -- a folder of Parquet files becomes a Delta table where it lies: on a Spark server with Delta
  --     DeltaTable.convertToDelta(spark, "parquet.`/data/old`")
  function DeltaTable.convertToDelta(...)
    local identifier, schema = after_session("convertToDelta", {"identifier", "partitionSchema"}, ', "parquet.`/the/folder`"', ...)
    text_arg("convertToDelta", "what to convert", identifier)
    local text = type(schema) == "table" and schema.ddl or schema
    spark:sql("CONVERT TO DELTA " .. identifier .. (given(text) and " PARTITIONED BY (" .. text .. ")" or ""))
    local path = identifier:match("^%a+%.`(.*)`$")
    return path and DeltaTable.forPath(spark, path) or DeltaTable.forName(spark, identifier)
  end

  ---------------------------------------------------------------------------------------------------- rows

  function table_meta:__tostring()
    return "DeltaTable " .. (self._path or self._name) .. (self._alias and " AS " .. self._alias or "")
  end

  --- DeltaTable:toDF() -> DataFrame
  -- its rows
  --     DeltaTable.forName(spark, "lake"):toDF():show()
  function Table:toDF()
    local df = self._path and spark.read:format("delta"):load(self._path) or spark:table(self._name)
    return self._alias and df:alias(self._alias) or df
  end

  --- DeltaTable:alias(aliasName: string) -> DeltaTable
  -- the table under another name, for conditions
  --     DeltaTable.forName(spark, "lake"):alias("t")
  function Table:alias(...)
    local alias = args({"aliasName"}, ...)
    return new(self._name, self._path, text_arg("alias", "the name", alias))
  end
  rawset(Table, "as", Table.alias)

  --- DeltaTable:history(limit?: integer) -> DataFrame
  -- its versions, the newest first: what was done, by what, with what counts
  --     DeltaTable.forName(spark, "lake"):history(1):show()
  function Table:history(...)
    local limit = args({"limit"}, ...)
    local df = spark:sql("DESCRIBE HISTORY " .. self._name)
    return given(limit) and df:limit(limit) or df
  end

  --- DeltaTable:detail() -> DataFrame
  -- one row: its folder, files, bytes, partition columns, properties and protocol
  --     DeltaTable.forName(spark, "lake"):detail():show()
  function Table:detail() return spark:sql("DESCRIBE DETAIL " .. self._name) end

  ---------------------------------------------------------------------------------------------------- changing

  -- What a server is told: SQL text.
  local function sql_text(what, value)
    if value == null then return "NULL" end
    if type(value) == "string" then return value end
    if type(value) == "number" or type(value) == "boolean" then return tostring(value) end
    native.raise(what .. ": a Column is not there on a Spark server", "write it as SQL text: \"t.id = s.id\"")
  end

  local function check_condition(what, condition)
    if type(condition) ~= "string" and type(condition) ~= "userdata" then
      native.fail("ARG", ("%s: the condition must be a Column or SQL text, got %s"):format(what, type(condition)),
                  type(condition) == "boolean" and "'==' between Columns compares objects: F.col(\"t.id\"):eq(F.col(\"s.id\"))" or nil)
    end
    return condition
  end

  local function optional_condition(what, condition)
    if given(condition) then return check_condition(what, condition) end
  end

  -- {column = value}: the names without the table's, which is what they are of.
  local function assignments(t, what, name, set)
    if not is_plain(set) or next(set) == nil then
      native.fail("ARG", ("%s: %s must be a table of columns: %s{%s = {total = \"s.total\"}}"):format(what, name, what, name))
    end
    local out = {}
    for column, value in pairs(set) do
      if type(column) ~= "string" then native.fail("ARG", ("%s: %s has a value without a column's name"):format(what, name)) end
      for _, prefix in ipairs {t._alias or false, t._name} do
        if prefix and column:lower():sub(1, #prefix + 1) == prefix:lower() .. "." then column = column:sub(#prefix + 2) break end
      end
      local bare = column:match("^`([^`]+)`$")
      if not native.is_remote() and not bare and column:find(".", 1, true) then
        local struct, field = column:match("^`?([^.`]+)`?%.`?([^`]*)`?$")
        native.raise(("%s: cannot set '%s', a part of a column"):format(what, column),
                     struct and ("set the whole of it: {%s = F.col(\"%s\"):withField(\"%s\", value)}"):format(struct, struct, field) or nil)
      end
      out[not native.is_remote() and bare or column] = value
    end
    return out
  end

  local function names_of(set)
    return require("lacus.tools").sorted_keys(set)
  end

  -- What the history says of a condition: that of a Column is not SQL.
  local function shown(condition) return type(condition) == "string" and condition or nil end

  -- A column, or a field of one, as SQL has it: a.b, `a b`.c
  local function column_text(name)
    return name:find("`", 1, true) and name or (name:gsub("[^.]+", ident))
  end

  local function set_text(what, set)
    local parts = {}
    for i, name in ipairs(names_of(set)) do parts[i] = column_text(name) .. " = " .. sql_text(what, set[name]) end
    return table.concat(parts, ", ")
  end

  local function target_text(t) return t._name .. (t._alias and " AS " .. ident(t._alias) or "") end

  local function where(what, condition) return condition and " WHERE " .. sql_text(what, condition) or "" end

  --- DeltaTable:delete(condition?: Column) -> DataFrame
  -- takes out the rows that a condition (a Column, or SQL text) is true of; all of them without one
  --     DeltaTable.forName(spark, "lake"):delete("n < 0")
  function Table:delete(...)
    local condition = optional_condition("delete", (args({"condition"}, ...)))
    if native.is_remote() then return spark:sql("DELETE FROM " .. target_text(self) .. where("delete", condition)) end
    return native.change(self._name, self._alias, condition, nil, shown(condition))
  end

  --- DeltaTable:update(condition?: Column, set: table) -> DataFrame
  -- puts values (Columns, or SQL text) into columns of the rows that a condition is true of; of all rows without one
  --     DeltaTable.forName(spark, "lake"):update{condition = "n < 0", set = {n = "0", k = F.lit("none")}}
  function Table:update(...)
    local condition, set = args({"condition", "set"}, ...)
    condition = optional_condition("update", condition)
    set = assignments(self, "update", "set", set)
    if native.is_remote() then
      return spark:sql("UPDATE " .. target_text(self) .. " SET " .. set_text("update", set) .. where("update", condition))
    end
    return native.change(self._name, self._alias, condition, set, shown(condition))
  end

  --- DeltaTable:merge(source: DataFrame, condition: Column) -> DeltaMergeBuilder
  -- changes the table by the rows of a DataFrame, which match where the condition (a Column, or SQL text) is true
  --     DeltaTable.forName(spark, "lake"):alias("t"):merge(df:alias("s"), "t.n = s.n"):whenNotMatchedInsertAll():execute()
  function Table:merge(...)
    local source, condition = args({"source", "condition"}, ...)
    if not pcall(native.alias_of, source) then
      native.fail("ARG", "merge: the source must be a DataFrame, got " .. ((getmetatable(source) or {}).__name or type(source)),
                  getmetatable(source) == table_meta and "other:toDF()" or "spark:table(name), spark:createDataFrame(rows)")
    end
    check_condition("merge", condition)
    return setmetatable({_table = self, _source = source, _condition = condition, _clauses = {}, _evolve = false}, merge_meta)
  end

  ---------------------------------------------------------------------------------------------------- merging

  --- class DeltaMergeBuilder: table:merge(source, condition): what to do with rows that match and with those that do not

  -- A method that adds a clause; `values`: the name of its table of columns, nil when it takes none.
  local function clause(method, when, action, values)
    Merge[method] = function(self, ...)
      local condition, set
      if values then condition, set = args({"condition", values}, ...) else condition = args({"condition"}, ...) end
      self._clauses[#self._clauses + 1] = {
        when = when, action = action, condition = optional_condition(method, condition), star = not values and action ~= "delete",
        assignments = values and assignments(self._table, method, values, set) or nil, method = method,
      }
      return self
    end
  end

  --- DeltaMergeBuilder:whenMatchedUpdate(condition?: Column, set: table) -> DeltaMergeBuilder
  -- rows of both: these columns get these values
  --     merge:whenMatchedUpdate{condition = "s.n > t.n", set = {n = "s.n"}}
  clause("whenMatchedUpdate", "matched", "update", "set")
  --- DeltaMergeBuilder:whenMatchedUpdateAll(condition?: Column) -> DeltaMergeBuilder
  -- rows of both: every column gets the source's value
  --     merge:whenMatchedUpdateAll()
  clause("whenMatchedUpdateAll", "matched", "update")
  --- DeltaMergeBuilder:whenMatchedDelete(condition?: Column) -> DeltaMergeBuilder
  -- rows of both go
  --     merge:whenMatchedDelete("s.gone")
  clause("whenMatchedDelete", "matched", "delete")
  --- DeltaMergeBuilder:whenNotMatchedInsert(condition?: Column, values: table) -> DeltaMergeBuilder
  -- rows that the table has not come, with these values
  --     merge:whenNotMatchedInsert{values = {n = "s.n", k = F.lit("new")}}
  clause("whenNotMatchedInsert", "not_matched", "insert", "values")
  --- DeltaMergeBuilder:whenNotMatchedInsertAll(condition?: Column) -> DeltaMergeBuilder
  -- rows that the table has not come as they are
  --     merge:whenNotMatchedInsertAll()
  clause("whenNotMatchedInsertAll", "not_matched", "insert")
  --- DeltaMergeBuilder:whenNotMatchedBySourceUpdate(condition?: Column, set: table) -> DeltaMergeBuilder
  -- rows that only the table has: these columns get these values
  --     merge:whenNotMatchedBySourceUpdate{set = {k = "'old'"}}
  clause("whenNotMatchedBySourceUpdate", "not_matched_by_source", "update", "set")
  --- DeltaMergeBuilder:whenNotMatchedBySourceDelete(condition?: Column) -> DeltaMergeBuilder
  -- rows that only the table has go
  --     merge:whenNotMatchedBySourceDelete()
  clause("whenNotMatchedBySourceDelete", "not_matched_by_source", "delete")

  --- DeltaMergeBuilder:withSchemaEvolution() -> DeltaMergeBuilder
  -- columns that only the source has are added to the table, in a commit before; those that only the table has stay
  --     merge:withSchemaEvolution():whenNotMatchedInsertAll()
  function Merge:withSchemaEvolution()
    self._evolve = true
    return self
  end

  local words = {matched = "MATCHED", not_matched = "NOT MATCHED", not_matched_by_source = "NOT MATCHED BY SOURCE"}

  local function action_text(c)
    if c.action == "delete" then return "DELETE" end
    if c.action == "update" then return "UPDATE SET " .. (c.star and "*" or set_text(c.method, c.assignments)) end
    if c.star then return "INSERT *" end
    local columns, values = {}, {}
    for i, name in ipairs(names_of(c.assignments)) do
      columns[i], values[i] = column_text(name), sql_text(c.method, c.assignments[name])
    end
    return "INSERT (" .. table.concat(columns, ", ") .. ") VALUES (" .. table.concat(values, ", ") .. ")"
  end

  -- On a server: MERGE INTO, with the source as a view for as long as it runs.
  local function merge_there(m)
    local view = ("lacus_merge_%x_%x"):format(os.time(), math.random(0, 1 << 32))
    local alias = native.alias_of(m._source)
    local parts = {"MERGE", m._evolve and "WITH SCHEMA EVOLUTION" or "", "INTO", target_text(m._table), "USING", view,
                   alias and "AS " .. ident(alias) or "", "ON", sql_text("merge", m._condition)}
    for _, c in ipairs(m._clauses) do
      parts[#parts + 1] = ("WHEN %s %s THEN %s"):format(words[c.when], c.condition and "AND " .. sql_text(c.method, c.condition) or "",
                                                        action_text(c))
    end
    m._source:createOrReplaceTempView(view)
    local done, result = pcall(spark.sql, spark, table.concat(parts, " "))
    spark.catalog:dropTempView(view)
    if not done then error(result, 0) end
    return result
  end

  --- DeltaMergeBuilder:execute() -> DataFrame
  -- does it: one commit; the counts of rows
  --     DeltaTable.forName(spark, "lake"):merge(df:alias("s"), "lake.n = s.n"):whenMatchedDelete():execute()
  function Merge:execute()
    if #self._clauses == 0 then
      native.fail("ENGINE", "[DELTA_MERGE_MISSING_WHEN] There must be at least one WHEN clause in a MERGE statement. SQLSTATE: 42601",
                  "merge:whenMatchedUpdateAll():whenNotMatchedInsertAll():execute()")
    end
    if native.is_remote() then return merge_there(self) end
    return native.merge(self._source, self._table._name, self._condition, self._clauses, self._evolve, self._table._alias,
                        shown(self._condition))
  end

  ---------------------------------------------------------------------------------------------------- versions and files

  -- On the embedded engine the rows of the version are written anew, as one commit.
  local function restore(t, option, value)
    local function read() return spark.read:format("delta"):option(option, value) end
    local old = t._path and read():load(t._path) or read():table(t._name)
    local now = t:detail():collect()[1]
    local writer = old.write:format("delta"):mode("overwrite")
    if old.schema.ddl ~= new(t._name, t._path):toDF().schema.ddl then writer = writer:option("overwriteSchema", true) end
    if #now.partitionColumns > 0 then writer = writer:partitionBy(table.unpack(now.partitionColumns)) end
    if t._path then writer:save(t._path) else writer:saveAsTable(t._name) end
    local after = t:detail():collect()[1]
    return spark:createDataFrame({{after.sizeInBytes, after.numFiles}},
                                 "table_size_after_restore bigint, num_of_files_after_restore bigint")
  end

  --- DeltaTable:restoreToVersion(version: integer) -> DataFrame
  -- the rows and columns of a version again, as a new version
  --     DeltaTable.forName(spark, "lake"):restoreToVersion(0)
  function Table:restoreToVersion(...)
    local version = args({"version"}, ...)
    if math.type(version) ~= "integer" then
      native.fail("ARG", "restoreToVersion: the version must be a whole number, got " .. type(version))
    end
    if native.is_remote() then return spark:sql(("RESTORE TABLE %s TO VERSION AS OF %d"):format(self._name, version)) end
    return restore(self, "versionAsOf", version)
  end

  --- DeltaTable:restoreToTimestamp(timestamp: string) -> DataFrame
  -- the rows and columns that it had at a time, as a new version
  --     DeltaTable.forName(spark, "lake"):restoreToTimestamp("2026-01-31 12:00:00")
  function Table:restoreToTimestamp(...)
    local time = text_arg("restoreToTimestamp", "the time", (args({"timestamp"}, ...)))
    if native.is_remote() then return spark:sql("RESTORE TABLE " .. self._name .. " TO TIMESTAMP AS OF " .. literal(time)) end
    return restore(self, "timestampAsOf", time)
  end

  --- DeltaTable:vacuum(retentionHours?: number) -> DataFrame
  -- removes files that no version of the last hours needs: on a Spark server with Delta
  --     DeltaTable.forName(spark, "lake"):vacuum(168)
  function Table:vacuum(...)
    local hours = args({"retentionHours"}, ...)
    return spark:sql("VACUUM " .. self._name .. (given(hours) and (" RETAIN %s HOURS"):format(hours) or ""))
  end

  --- DeltaTable:optimize() -> DeltaOptimizeBuilder
  -- few large files instead of many small ones: on a Spark server with Delta
  --     DeltaTable.forName(spark, "lake"):optimize():where("day = '2026-01-31'"):executeCompaction()
  function Table:optimize() return setmetatable({_table = self}, optimize_meta) end

  --- class DeltaOptimizeBuilder: table:optimize(): which files are written anew
  --- DeltaOptimizeBuilder:where(partitionFilter: string) -> DeltaOptimizeBuilder
  -- only these partitions
  --     DeltaTable.forName(spark, "lake"):optimize():where("day = '2026-01-31'")
  function Optimize:where(...)
    self._where = text_arg("where", "the condition", (args({"partitionFilter"}, ...)))
    return self
  end
  local function optimize(self, more)
    return spark:sql("OPTIMIZE " .. self._table._name .. (self._where and " WHERE " .. self._where or "") .. more)
  end
  --- DeltaOptimizeBuilder:executeCompaction() -> DataFrame
  -- does it: small files become large ones
  --     DeltaTable.forName(spark, "lake"):optimize():executeCompaction()
  function Optimize:executeCompaction() return optimize(self, "") end
  --- DeltaOptimizeBuilder:executeZOrderBy(columns: string, …) -> DataFrame
  -- does it: rows that are near in these columns come near each other
  --     DeltaTable.forName(spark, "lake"):optimize():executeZOrderBy("day", "k")
  function Optimize:executeZOrderBy(...)
    local columns = {}
    for i, name in ipairs(is_plain((...)) and (...) or {...}) do columns[i] = ident(text_arg("executeZOrderBy", "a column", name)) end
    return optimize(self, " ZORDER BY (" .. table.concat(columns, ", ") .. ")")
  end

  --- DeltaTable:upgradeTableProtocol(readerVersion: integer, writerVersion: integer)
  -- what programs must know to read and to write it; here a table gets what its columns and properties ask for by itself
  --     DeltaTable.forName(spark, "lake"):upgradeTableProtocol(1, 2)
  function Table:upgradeTableProtocol(...)
    local reader, writer = args({"readerVersion", "writerVersion"}, ...)
    if math.type(reader) ~= "integer" or math.type(writer) ~= "integer" then
      native.fail("ARG", "upgradeTableProtocol: two whole numbers expected: table:upgradeTableProtocol(1, 2)")
    end
    if native.is_remote() then
      spark:sql(("ALTER TABLE %s SET TBLPROPERTIES('delta.minReaderVersion' = '%d', 'delta.minWriterVersion' = '%d')"):format(self._name, reader, writer))
      return
    end
    local now = self:detail():collect()[1]
    if reader > now.minReaderVersion or writer > now.minWriterVersion then
      native.raise(("upgradeTableProtocol: the protocol stays at (%d, %d)"):format(now.minReaderVersion, now.minWriterVersion),
                   "it is raised by what asks for it: ALTER TABLE … SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
    end
  end

  --- DeltaTable:addFeatureSupport(featureName: string)
  -- a feature that programs must know to write the table
  --     DeltaTable.forName(spark, "lake"):addFeatureSupport("columnMapping")
  function Table:addFeatureSupport(...)
    local name = text_arg("addFeatureSupport", "the feature", (args({"featureName"}, ...)))
    spark:sql(("ALTER TABLE %s SET TBLPROPERTIES(%s = 'supported')"):format(self._name, literal("delta.feature." .. name)))
  end

  --- DeltaTable:generate(mode: string)
  -- files for readers that do not know Delta: on a Spark server with Delta
  --     DeltaTable.forName(spark, "lake"):generate("symlink_format_manifest")
  function Table:generate(...)
    local mode = text_arg("generate", "the mode", (args({"mode"}, ...)))
    if native.is_remote() then return spark:sql("GENERATE " .. mode .. " FOR TABLE " .. self._name) end
    native.raise("generate is not there: manifests are not written", "write its rows as Parquet: table:toDF().write:parquet(path)")
  end

  ---------------------------------------------------------------------------------------------------- making

  --- class DeltaTableBuilder: DeltaTable.create(spark): a table's name, columns and properties, made by execute()

  local function builder(name, head)
    DeltaTable[name] = function(...)
      if select("#", ...) > 0 then after_session(name, {}, "", ...) end
      return setmetatable({_head = head, _what = name, _columns = {}, _partitions = {}, _properties = {}}, builder_meta)
    end
  end
  --- DeltaTable.create(sparkSession?: SparkSession) -> DeltaTableBuilder
  -- a new table; an error when it is there
  --     DeltaTable.create(spark):tableName("events"):addColumn("id", "BIGINT"):execute()
  builder("create", "CREATE TABLE")
  --- DeltaTable.createIfNotExists(sparkSession?: SparkSession) -> DeltaTableBuilder
  -- a new table, unless it is there
  --     DeltaTable.createIfNotExists(spark):tableName("events"):addColumn("id", "BIGINT"):execute()
  builder("createIfNotExists", "CREATE TABLE IF NOT EXISTS")
  --- DeltaTable.replace(sparkSession?: SparkSession) -> DeltaTableBuilder
  -- an empty table in the place of one
  --     DeltaTable.replace(spark):tableName("lake"):addColumn("id", "BIGINT"):execute()
  builder("replace", "REPLACE TABLE")
  --- DeltaTable.createOrReplace(sparkSession?: SparkSession) -> DeltaTableBuilder
  -- an empty table, also in the place of one
  --     DeltaTable.createOrReplace(spark):tableName("events"):addColumn("id", "BIGINT"):execute()
  builder("createOrReplace", "CREATE OR REPLACE TABLE")

  --- DeltaTableBuilder:tableName(identifier: TableName) -> DeltaTableBuilder
  -- its name in the catalog
  --     DeltaTable.create(spark):tableName("events")
  function Builder:tableName(...)
    self._name = text_arg("tableName", "the name", (args({"identifier"}, ...)))
    return self
  end
  --- DeltaTableBuilder:location(location: Path) -> DeltaTableBuilder
  -- its folder; without a name the table is found by it alone
  --     DeltaTable.create(spark):location("/tmp/events")
  function Builder:location(...)
    self._location = text_arg("location", "the folder", (args({"location"}, ...)))
    return self
  end
  --- DeltaTableBuilder:comment(comment: string) -> DeltaTableBuilder
  -- a description
  --     DeltaTable.create(spark):comment("what happened")
  function Builder:comment(...)
    self._comment = text_arg("comment", "the comment", (args({"comment"}, ...)))
    return self
  end
  --- DeltaTableBuilder:property(key: string, value: any) -> DeltaTableBuilder
  -- a table property
  --     DeltaTable.create(spark):property("delta.appendOnly", "true")
  function Builder:property(...)
    local key, value = args({"key", "value"}, ...)
    self._properties[text_arg("property", "the key", key)] = tostring(value)
    return self
  end

  local column_args = {"colName", "dataType", "nullable", "generatedAlwaysAs", "comment"}

  --- DeltaTableBuilder:addColumn(colName: string, dataType: string, options?: {nullable = true, comment?: string}) -> DeltaTableBuilder
  -- a column
  --     DeltaTable.create(spark):addColumn("id", "BIGINT", {nullable = false, comment = "who"})
  function Builder:addColumn(...)
    local name, t, nullable, generated, comment
    local options = select(3, ...)
    if select("#", ...) == 3 and is_plain(options) then
      local all = {colName = (...), dataType = (select(2, ...))}
      for k, v in pairs(options) do all[k] = v end
      name, t, nullable, generated, comment = args(column_args, all)
    elseif is_plain((...)) and #(...) == 2 then
      local all = {colName = (...)[1], dataType = (...)[2]}
      for k, v in pairs(...) do all[k] = v end
      name, t, nullable, generated, comment = args(column_args, all)
    else
      name, t, nullable, generated, comment = args(column_args, ...)
    end
    if type(t) == "table" and t.ddl then t = "struct<" .. t.ddl .. ">" end
    local parts = {ident(text_arg("addColumn", "the name", name)), text_arg("addColumn", "the type", t)}
    if nullable == false then parts[#parts + 1] = "NOT NULL" end
    if given(generated) then parts[#parts + 1] = "GENERATED ALWAYS AS (" .. generated .. ")" end
    if given(comment) then parts[#parts + 1] = "COMMENT " .. literal(comment) end
    self._columns[#self._columns + 1] = table.concat(parts, " ")
    return self
  end
  --- DeltaTableBuilder:addColumns(cols: Schema) -> DeltaTableBuilder
  -- the columns of a schema: df.schema, types.StructType, DDL text, or a list of types.StructField
  --     DeltaTable.create(spark):tableName("events"):addColumns(df.schema):execute()
  function Builder:addColumns(...)
    local cols = args({"cols"}, ...)
    if type(cols) == "table" and not cols.ddl and #cols > 0 then
      for _, f in ipairs(cols) do self:addColumn(f.name, f.dataType, f.nullable) end
      return self
    end
    self._columns[#self._columns + 1] = text_arg("addColumns", "a schema", type(cols) == "table" and cols.ddl or cols)
    return self
  end
  --- DeltaTableBuilder:partitionedBy(cols: string, …) -> DeltaTableBuilder
  -- the columns by whose values files are grouped
  --     DeltaTable.create(spark):partitionedBy("day")
  function Builder:partitionedBy(...)
    for _, name in ipairs(is_plain((...)) and (...) or {...}) do
      self._partitions[#self._partitions + 1] = ident(text_arg("partitionedBy", "a column", name))
    end
    return self
  end
  --- DeltaTableBuilder:clusterBy(cols: string, …) -> DeltaTableBuilder
  -- the columns whose near values come near each other: on a Spark server with Delta
  --     DeltaTable.create(spark):clusterBy("day")
  function Builder:clusterBy(...)
    if not native.is_remote() then native.raise("clusterBy is not there: tables are not clustered", "use partitionedBy") end
    self._clusters = {}
    for i, name in ipairs(is_plain((...)) and (...) or {...}) do self._clusters[i] = ident(text_arg("clusterBy", "a column", name)) end
    return self
  end

  local function create_text(b, head, name)
    local parts = {head, name}
    if #b._columns > 0 then parts[#parts + 1] = "(" .. table.concat(b._columns, ", ") .. ")" end
    parts[#parts + 1] = "USING delta"
    if #b._partitions > 0 then parts[#parts + 1] = "PARTITIONED BY (" .. table.concat(b._partitions, ", ") .. ")" end
    if b._clusters then parts[#parts + 1] = "CLUSTER BY (" .. table.concat(b._clusters, ", ") .. ")" end
    if b._name and b._location then parts[#parts + 1] = "LOCATION " .. literal(b._location) end
    if b._comment then parts[#parts + 1] = "COMMENT " .. literal(b._comment) end
    local properties = {}
    for i, key in ipairs(names_of(b._properties)) do properties[i] = literal(key) .. " = " .. literal(b._properties[key]) end
    if #properties > 0 then parts[#parts + 1] = "TBLPROPERTIES (" .. table.concat(properties, ", ") .. ")" end
    return table.concat(parts, " ")
  end

  --- DeltaTableBuilder:execute() -> DeltaTable
  -- makes the table
  --     DeltaTable.create(spark):tableName("events"):addColumn("id", "BIGINT"):execute()
  function Builder:execute()
    if not self._name and not self._location then
      native.fail("ARG", self._what .. ": a table needs a name or a folder", "builder:tableName(\"events\")")
    end
    local name, head = self._name or path_name(self._location), self._head
    if self._what == "replace" and not native.is_remote() then
      must_be_delta("`" .. (self._name or self._location) .. "`", name)
      head = "CREATE OR REPLACE TABLE"
    end
    spark:sql(create_text(self, head, name))
    if self._name then return DeltaTable.forName(spark, self._name) end
    return DeltaTable.forPath(spark, self._location)
  end

  return DeltaTable
end

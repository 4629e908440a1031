-- types: Spark's data types as plain values, for schemas that are built by a program. An atomic type, an array and a map are the
-- text that Spark writes for them ("array<int>"); StructType gives what df.schema is. `native` knows: schema(DDL).

return function(native)
  local types = {}

  local atomic = {
    BooleanType = "boolean", ByteType = "tinyint", ShortType = "smallint", IntegerType = "int", LongType = "bigint",
    FloatType = "float", DoubleType = "double", StringType = "string", BinaryType = "binary", DateType = "date",
    TimestampType = "timestamp", TimestampNTZType = "timestamp_ntz", NullType = "void",
  }
  --- module types: Spark's data types, for schemas that a program builds
  --- types.BooleanType() -> string
  -- boolean
  --     types.StructField("b", types.BooleanType())
  --- types.ByteType() -> string
  -- tinyint
  --     types.StructField("b", types.ByteType())
  --- types.ShortType() -> string
  -- smallint
  --     types.StructField("n", types.ShortType())
  --- types.IntegerType() -> string
  -- int
  --     types.StructField("n", types.IntegerType())
  --- types.LongType() -> string
  -- bigint
  --     types.StructField("n", types.LongType())
  --- types.FloatType() -> string
  -- float
  --     types.StructField("x", types.FloatType())
  --- types.DoubleType() -> string
  -- double
  --     types.StructField("x", types.DoubleType())
  --- types.StringType() -> string
  -- string
  --     types.StructField("s", types.StringType())
  --- types.BinaryType() -> string
  -- binary
  --     types.StructField("b", types.BinaryType())
  --- types.DateType() -> string
  -- date
  --     types.StructField("d", types.DateType())
  --- types.TimestampType() -> string
  -- timestamp
  --     types.StructField("t", types.TimestampType())
  --- types.TimestampNTZType() -> string
  -- timestamp_ntz
  --     types.StructField("t", types.TimestampNTZType())
  --- types.NullType() -> string
  -- void
  --     types.StructField("nothing", types.NullType())
  for name, text in pairs(atomic) do
    types[name] = function() return text end
  end

  -- The text of a type: of a StructType with what it says of NULLs.
  local function text_of(what, t)
    if type(t) == "table" and t.ddl then return "struct<" .. t.ddl .. ">" end
    if type(t) ~= "string" then
      error(what .. ": a type expected, like types.StringType() or \"array<int>\", got " .. type(t), 3)
    end
    return t
  end

  --- types.DecimalType(precision = 10, scale = 0) -> string
  -- a number with so many digits, some of them after the point
  --     types.StructField("price", types.DecimalType(12, 2))
  function types.DecimalType(precision, scale)
    return ("decimal(%d,%d)"):format(precision or 10, scale or 0)
  end

  --- types.ArrayType(element: string) -> string
  -- a list
  --     types.ArrayType(types.IntegerType())
  function types.ArrayType(element)
    return "array<" .. text_of("ArrayType", element) .. ">"
  end

  --- types.MapType(key: string, value: string) -> string
  -- keys with values
  --     types.MapType(types.StringType(), types.DoubleType())
  function types.MapType(key, value)
    return "map<" .. text_of("MapType", key) .. "," .. text_of("MapType", value) .. ">"
  end

  --- types.StructField(name: string, dataType: string, nullable = true) -> table
  -- a column of a schema
  --     types.StructType{types.StructField("n", types.LongType(), false)}
  function types.StructField(name, dataType, nullable)
    if type(name) ~= "string" then error("StructField: a name expected, got " .. type(name), 2) end
    return {name = name, dataType = text_of("StructField", dataType), nullable = nullable ~= false}
  end

  --- types.StructType(fields: {table, …}) -> StructType
  -- a schema
  --     types.StructType{types.StructField("id", types.LongType(), false)}
  function types.StructType(fields)
    local parts = {}
    for i, f in ipairs(fields or {}) do
      if type(f) ~= "table" or not f.name then error("StructType: field " .. i .. " is no StructField", 2) end
      parts[i] = "`" .. f.name:gsub("`", "``") .. "` " .. f.dataType .. (f.nullable == false and " NOT NULL" or "")
    end
    return native.schema(table.concat(parts, ", "))
  end

  return types
end

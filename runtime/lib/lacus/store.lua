-- %store: values of variables in files, which later sessions read again. A value is written as Lua text without calls: numbers to the
-- last bit, tables that share or contain themselves as they are. `native`: folder(), list(), write(name, text), read(name), remove(name).
local native_types = {["nil"] = true, boolean = true, number = true, string = true}

local function number_text(n)
  if n ~= n then return "0/0" end
  if n == math.huge then return "1/0" end
  if n == -math.huge then return "-1/0" end
  return ("%q"):format(n)
end

local function refuse(path, value)
  local class = getmetatable(value)
  local name = type(class) == "table" and class.__name or type(value)
  local hint = name == "DataFrame" and "keep it as a table: df.write:saveAsTable(name)" or "only numbers, texts, booleans and tables can be kept"
  error({code = "TYPE", message = ("cannot store %s: it is a %s"):format(path, name), hint = hint}, 0)
end

-- The tables are numbered in the order in which they are met: t[1] is the value itself.
local function serialize(name, value)
  local numbers, tables, lines = {}, {}, {}
  local function text(v, path)
    local kind = type(v)
    if kind == "number" then return number_text(v) end
    if native_types[kind] then return ("%q"):format(v):gsub("\\\n", "\\n") end
    if kind ~= "table" or (getmetatable(v) and getmetatable(v).__name ~= "lines" and not getmetatable(v).__plain) then refuse(path, v) end
    if not numbers[v] then
      tables[#tables + 1] = {v, path}
      numbers[v] = #tables
    end
    return ("t[%d]"):format(numbers[v])
  end
  local root = text(value, name)
  local i = 1
  while tables[i] do
    local t, path = tables[i][1], tables[i][2]
    for k, v in next, t do
      local key = text(k, path .. " (a key)")
      lines[#lines + 1] = ("t[%d][%s]=%s"):format(i, key, (text(v, ("%s[%s]"):format(path, tostring(k)))))
    end
    i = i + 1
  end
  local head = {}
  for n = 1, #tables do head[n] = ("t[%d]={}"):format(n) end
  return "local t={}\n" .. table.concat(head, "\n") .. "\n" .. table.concat(lines, "\n") .. "\nreturn " .. root .. "\n"
end

local function restore(name, text)
  local chunk = load(text, "=store", "t", {})
  local ok, value
  if chunk then ok, value = pcall(chunk) end
  if not ok then
    error({code = "DATA", message = ("what is stored as '%s' cannot be read"):format(name), hint = ("%%store -d %s removes it"):format(name)}, 0)
  end
  return value
end

local function shown(value)
  if type(value) == "number" then return tostring(value) end
  if type(value) ~= "table" then return ("%q"):format(value):sub(1, 60) end
  local n = 0
  for _ in pairs(value) do n = n + 1 end
  return n == 1 and "a table with 1 entry" or ("a table with %d entries"):format(n)
end

return {serialize = serialize, restore = restore, shown = shown}

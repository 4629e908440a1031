-- Arguments of functions that PySpark's users write with names.
local M = {}

-- A table that is no object.
function M.is_plain(t)
  local class = type(t) == "table" and getmetatable(t)
  return class == nil or class and class.__plain == true
end

-- f("a", {name = value}): the names of the last argument in their places; nil: it is none of names only.
local function named_last(names, n, ...)
  local last, values, place = (select(n, ...)), {...}, {}
  if type(last) ~= "table" or not M.is_plain(last) or next(last) == nil then return nil end
  for i = n, #names do place[names[i]] = i end
  values[n] = nil
  for name, value in pairs(last) do
    if not place[name] then return nil end
    values[place[name]] = value
  end
  return values
end

-- The value, if it is of that type; else "method: name must be a text, got number".
function M.need(method, name, value, kind, words)
  if type(value) == kind then return value end
  error(("%s: %s must be %s, got %s"):format(method, name, words or kind == "string" and "a text" or "a " .. kind,
    value == nil and "nothing" or type(value)), 3)
end

-- args({"a", "b"}, ...): the values in the order of the names; a table with names may stand for them, or for the last of them.
function M.args(names, ...)
  local first, n = ..., select("#", ...)
  if n > #names then error(("at most %d arguments expected: %s"):format(#names, table.concat(names, ", ")), 3) end
  local values = n > 1 and named_last(names, n, ...)
  if values then return table.unpack(values, 1, #names) end
  if n == 1 and M.is_plain(first) then
    for key in pairs(first) do
      if type(key) == "string" then
        local values = {}
        for i, name in ipairs(names) do
          values[i] = first[name]
          if values[i] == nil then values[i] = first[i] end
        end
        for name in pairs(first) do
          local known = type(name) == "number"
          for _, n in ipairs(names) do known = known or n == name end
          if not known then error(("no argument is named '%s': expected %s"):format(name, table.concat(names, ", ")), 3) end
        end
        return table.unpack(values, 1, #names)
      end
    end
  end
  return ...
end

return M

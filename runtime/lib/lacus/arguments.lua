-- Arguments of functions that PySpark's users write with names.
local M = {}

-- A table that is no object.
function M.is_plain(t)
  local class = type(t) == "table" and getmetatable(t)
  return class == nil or class and class.__plain == true
end

-- args({"a", "b"}, ...): the values in the order of the names; one table with names may stand for them.
function M.args(names, ...)
  local first = ...
  if select("#", ...) == 1 and M.is_plain(first) then
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

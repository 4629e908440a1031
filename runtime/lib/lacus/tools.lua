-- What the parts that are written in Lua share.
local M = {}

-- The keys of a table, in order: pairs gives them in any.
function M.sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- 'a', 'b', 'c'
function M.quoted(list)
  local out = {}
  for i, v in ipairs(list) do out[i] = "'" .. tostring(v) .. "'" end
  return table.concat(out, ", ")
end

-- "1 step", "2 steps": the s of a counted word.
function M.plural(n) return n == 1 and "" or "s" end

local entities = {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;"}

-- Text as HTML shows it, also within an attribute.
function M.html(text) return (tostring(text):gsub("[&<>\"']", entities)) end

return M

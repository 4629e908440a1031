-- The lines that a command printed, as a list with what IPython's SList has: .s (joined by blanks), .n (by line ends), .l (a plain
-- list), .p (the paths that exist), :grep(pattern [, without [, field]]), :fields(1, 3), :sort([field [, as numbers]]). Patterns are
-- Lua's, or functions; fields count from 1.
local methods = {}
local class

local function new(list) return setmetatable(list, class) end

local function field_of(line, n)
  if not n then return line end
  local i = 0
  for word in line:gmatch "%S+" do
    i = i + 1
    if i == n then return word end
  end
  return ""
end

function methods.grep(lines, pattern, without, field)
  local out = {}
  for _, line in ipairs(lines) do
    local text, found = field_of(line, field)
    if type(pattern) == "function" then found = pattern(text) else found = text:find(pattern) end
    if (not found) == (without or false) then out[#out + 1] = line end
  end
  return new(out)
end

-- the words at these places, joined; without places: a list of lists
function methods.fields(lines, ...)
  local wanted, out = {...}, {}
  for _, line in ipairs(lines) do
    local words, picked = {}, {}
    for word in line:gmatch "%S+" do words[#words + 1] = word end
    for _, n in ipairs(wanted) do
      local word = words[n < 0 and #words + 1 + n or n]
      if word then picked[#picked + 1] = word end
    end
    if #wanted == 0 then
      out[#out + 1] = words
    elseif #picked > 0 then
      out[#out + 1] = table.concat(picked, " ")
    end
  end
  return new(out)
end

function methods.sort(lines, field, numbers)
  local keyed = {}
  for i, line in ipairs(lines) do
    local key = field_of(line, field)
    keyed[i] = {line = line, at = i, key = numbers and (tonumber(key:match "%-?%d+%.?%d*") or 0) or key}
  end
  table.sort(keyed, function(a, b)
    if a.key ~= b.key then return a.key < b.key end
    return a.at < b.at
  end)
  local out = {}
  for i, item in ipairs(keyed) do out[i] = item.line end
  return new(out)
end

local views = {}
function views.s(lines) return table.concat(lines, " ") end
function views.n(lines) return table.concat(lines, "\n") end
function views.l(lines) return table.move(lines, 1, #lines, 1, {}) end
function views.p(lines)
  local out = {}
  for _, line in ipairs(lines) do
    local f = io.open(line)
    if f then
      f:close()
      out[#out + 1] = line
    end
  end
  return out
end

class = {
  __name = "lines",
  __shell = views.s,
  __tostring = function(lines)
    local out = {}
    for i = 1, math.min(#lines, 100) do out[i] = ("%q"):format(lines[i]) end
    return "{" .. table.concat(out, ", ") .. (#lines > 100 and (", … %d lines"):format(#lines) or "") .. "}"
  end,
  __index = function(lines, key)
    if views[key] then return views[key](lines) end
    return methods[key]
  end,
  __concat = function(a, b)
    return (type(a) == "table" and views.n(a) or tostring(a)) .. (type(b) == "table" and views.n(b) or tostring(b))
  end,
}

return new

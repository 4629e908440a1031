-- llm_tools.lua: what the parts of lacus.llm share: errors, texts of numbers, the keys of tables.
return function(core)
local sorted_keys = require("lacus.tools").sorted_keys
local tools = {llm = {}} -- llm: the table that a cell sees; each part adds to it

local function fail(code, message, hint)
  core.raise{code = code, message = message, hint = hint}
end

local function commas(n)
  local s = tostring(math.floor(n))
  local k
  repeat
    s, k = s:gsub("^(-?%d+)(%d%d%d)", "%1,%2")
  until k == 0
  return s
end

local function clock_text(seconds)
  seconds = math.max(0, math.floor(seconds))
  if seconds >= 3600 then
    return ("%d:%02d:%02d"):format(seconds // 3600, seconds % 3600 // 60, seconds % 60)
  end
  return ("%d:%02d"):format(seconds // 60, seconds % 60)
end

-- Every key of `given` must be one of `known` (a set); an unknown one is answered with the nearest.
local function check_keys(what, given, known)
  for key in pairs(given) do
    if not known[key] then
      local names = sorted_keys(known)
      local near = core.nearest(tostring(key), names)
      fail("ARG", ("%s has no argument '%s'"):format(what, tostring(key)),
           near ~= "" and "did you mean " .. near .. "?" or "it has " .. table.concat(names, ", "))
    end
  end
end

local function set(...)
  local s = {}
  for _, name in ipairs{...} do s[name] = true end
  return s
end

-- Every field in a table of its own.
local function copy_of(t)
  local c = {}
  for k, v in pairs(t or {}) do c[k] = v end
  return c
end

-- The value that `args` has under one of these names, which it loses.
local function take(args, ...)
  local found
  for _, name in ipairs{...} do
    if args[name] ~= nil then found, args[name] = args[name], nil end
  end
  return found
end

-- Numbers that are none, which JSON would leave out, and texts that a C string would end early.
local function check_values(what, value, name)
  if type(value) == "table" then
    for k, v in pairs(value) do check_values(what, v, name and not math.type(k) and name .. "." .. tostring(k) or name or tostring(k)) end
  elseif type(value) == "number" and (value ~= value or value == math.huge or value == -math.huge) then
    fail("ARG", ("%s '%s' is %s, which is no number to work with"):format(what, name, value ~= value and "nan" or tostring(value)))
  elseif type(value) == "string" and value:find("\0", 1, true) then
    fail("ARG", ("%s '%s' has a NUL character in it"):format(what, name))
  end
end

local function size_text(bytes)
  if bytes >= 1 << 30 then return ("%.1f GiB"):format(bytes / (1 << 30)) end
  return ("%.0f MiB"):format(math.max(bytes, 1) / (1 << 20))
end

local function trainable_text(trainable, all)
  return ("trainable params: %s || all params: %s || trainable%%: %.4f"):format(commas(trainable), commas(all), 100 * trainable / all)
end

-- tools.datasets is lacus.datasets, when it was needed.
local function is_dataframe(x)
  if tools.datasets and tools.datasets.is_dataset(x) then return false end
  return type(x) == "userdata" or (type(x) == "table" and rawget(x, 1) == nil and type(x.collect) == "function")
end

-- A value of a dataframe with its structs, also in lists, as tables of names; a field that is NULL is not there.
local function unrow(value)
  if type(value) ~= "table" then return value end
  if getmetatable(value) ~= nil and type(value.asDict) == "function" then value = value:asDict() end
  local copy = {}
  for key, v in pairs(value) do
    if v ~= null or math.type(key) then copy[key] = unrow(v) end
  end
  return copy
end

-- A BitsAndBytesConfig or a plain table, as the job spec holds it; nil: weights as they are.
local function quantization_fields(q)
  if q == nil then return nil end
  if type(q) ~= "table" then fail("ARG", "quantization is a BitsAndBytesConfig{…}, not a " .. type(q)) end
  local fields = {}
  for k, v in pairs(q) do fields[k] = v end
  return next(fields) and fields or nil
end

-- What llm.finetune takes out of the arguments before the engine sees them.
local function take_row_arguments(args)
  take(args, "max_length", "max_seq_length", "completion_only_loss", "assistant_only_loss", "completion_only", "packing", "output_dir", "ranks",
    "nproc_per_node", "ddp_timeout", "report_to", "logging_dir")
end

local function lora_fields(peft)
  if peft == nil or peft == false then return nil end
  if type(peft) ~= "table" then fail("ARG", "peft is a LoraConfig{…}, not a " .. type(peft)) end
  return copy_of(peft)
end

tools.take_row_arguments, tools.check_values = take_row_arguments, check_values
tools.fail, tools.check_keys, tools.set, tools.copy_of, tools.take = fail, check_keys, set, copy_of, take
tools.commas, tools.clock_text, tools.size_text, tools.trainable_text = commas, clock_text, size_text, trainable_text
tools.is_dataframe, tools.unrow, tools.quantization_fields, tools.lora_fields = is_dataframe, unrow, quantization_fields, lora_fields
return tools
end

-- dbutils.widgets: the parameters of a notebook, as controls where there is a front end that shows them, and with the
-- values of `lacus run -p NAME VALUE` where there is not. `native` is what the session knows: params(), cell(), rich(),
-- raise(code, message, hint), asks(): is there somebody at a prompt?

local tools = require "lacus.tools"
local quoted, sorted_keys = tools.quoted, tools.sorted_keys
local kinds = {} -- name of the kind → {choices = needs choices, widget = name of the control}
kinds.text = {widget = "Text"}
kinds.dropdown = {widget = "Dropdown", choices = true, strict = true}
kinds.combobox = {widget = "Combobox", choices = true}
kinds.multiselect = {widget = "SelectMultiple", choices = true, strict = true, several = true}
kinds.slider = {widget = "IntSlider", number = true}

-- What a declaration takes, in its order.
local takes = {
  text = {"name", "default", "label", "type"},
  dropdown = {"name", "default", "choices", "label"},
  combobox = {"name", "default", "choices", "label"},
  multiselect = {"name", "default", "choices", "label"},
  slider = {"name", "default", "min", "max", "step", "label"},
}

-- What `type` may say of a text: how a given text is read (nil: it is none), what to say, and the control for it.
local types = {}
types.int = {say = "an int", widget = "IntText", read = function(v)
  local n = tonumber(v)
  return n and math.tointeger(n) or nil
end}
types.float = {say = "a float", widget = "FloatText", read = function(v)
  local n = tonumber(v)
  return n and n == n and n + 0.0 or nil
end}
types.bool = {say = "a bool: true or false", widget = "Checkbox", read = function(v)
  if v == true or v == false then return v end
  local known = {["true"] = true, ["false"] = false, ["1"] = true, ["0"] = false, yes = true, no = false}
  return known[tostring(v):lower()]
end}
types.date = {say = "a date: 2026-01-31", widget = "DatePicker", read = function(v)
  local y, m, d = tostring(v):match "^(%d%d%d%d)-(%d%d)-(%d%d)$"
  y, m, d = tonumber(y), tonumber(m), tonumber(d)
  if not y or m < 1 or m > 12 or d < 1 then return nil end
  local leap = y % 4 == 0 and (y % 100 ~= 0 or y % 400 == 0)
  local days = ({31, leap and 29 or 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31})[m]
  return d <= days and v or nil
end}
types.text = {say = "a text", widget = "Text", read = tostring}

local help = [[
dbutils.widgets: parameters of a notebook
  text(name, default, label, {type = "int"})    a text; with a type (int, float, bool, date) get gives such a value
  dropdown(name, default, choices, label)       one of choices
  combobox(name, default, choices, label)       a text, with suggestions
  multiselect(name, default, choices, label)    any of choices; get gives them with commas between
  slider(name, default, min, max, step, label)  a number
  get(name)  getAll()  getArgument(name, default)
  remove(name)  removeAll()
Each can be called with a table of names too: text{name = "n", defaultValue = "1", label = "N", type = "int"}.
`lacus run NOTEBOOK -p name value` sets them from outside; at a prompt they are asked for. Changing a control runs nothing:
the next get sees it.]]

local function contains(list, value)
  for _, v in ipairs(list) do
    if v == value then return true end
  end
  return false
end

return function(native)
  local entries, order = {}, {} -- name → entry; names in the order of declaration
  local bar, shown_in, shown
  local M = {}

  local function text_of(value, what)
    local kind = type(value)
    if kind == "string" then return value end
    if kind == "number" or kind == "boolean" then return tostring(value) end
    native.raise("TYPE", ("%s must be a text, not a %s"):format(what, kind), "")
  end

  local function split(text)
    local out = {}
    for part in (text .. ","):gmatch("(.-),") do
      if part ~= "" then out[#out + 1] = part end
    end
    return out
  end

  local function refuse(entry, message, hint)
    native.raise("ARG", ("widget '%s': %s"):format(entry.name, message), hint or "")
  end

  local function number_between(entry, value, whose)
    local n = types.float.read(value)
    if not n then refuse(entry, ("the %s '%s' is not a number"):format(whose, value)) end
    if n < entry.min or n > entry.max then
      refuse(entry, ("the %s %s is not between %s and %s"):format(whose, value, entry.min, entry.max))
    end
    return entry.whole and math.tointeger(n) or n
  end

  -- The value as the entry has it; raises when it cannot be one of entry's.
  local function check(entry, value, whose)
    local kind = kinds[entry.kind]
    if kind.number then return number_between(entry, value, whose) end
    if entry.type then
      local typed = types[entry.type].read(value)
      if typed == nil then
        refuse(entry, ("the %s '%s' is not %s"):format(whose, tostring(value), types[entry.type].say))
      end
      return typed
    end
    value = text_of(value, ("widget '%s': the %s"):format(entry.name, whose))
    if not kind.strict then return value end
    for _, one in ipairs(kind.several and split(value) or {value}) do
      if not contains(entry.choices, one) then
        refuse(entry, ("the %s '%s' is not among its choices %s"):format(whose, one, quoted(entry.choices)))
      end
    end
    return value
  end

  local function known()
    return #order > 0 and "the widgets are " .. quoted(order) or ""
  end

  local function find(name)
    name = text_of(name, "the name of a widget")
    if entries[name] then return entries[name] end
    native.raise("NOTFOUND", ("no widget is named '%s'"):format(name),
      #order > 0 and known() or ('declare it: dbutils.widgets.text("%s", "default")'):format(name))
  end

  ---- controls

  local function control(entry)
    local kind, widgets = kinds[entry.kind], require "widgets"
    local name = entry.type and types[entry.type].widget or kind.number and not entry.whole and "FloatSlider" or kind.widget
    local w = widgets[name] {
      description = entry.label,
      options = kind.choices and entry.choices or nil,
      min = entry.min, max = entry.max, step = entry.step,
      value = kind.several and split(entry.value) or entry.value,
      style = {description_width = "initial"},
      layout = {width = kind.number and "20em" or "auto", max_width = "100%", min_width = kind.several and "8em" or nil, margin = "2px 12px 2px 2px"}, -- a long label leaves room for the field
    }
    w:observe(function(change)
      if kind.several then
        entry.value = table.concat(change.new, ",")
      else
        entry.value = change.new
      end
      entry.touched = true
    end, "value")
    return w
  end

  local function refresh()
    if not native.rich() then return end
    local children = {}
    for i, name in ipairs(order) do
      local entry = entries[name]
      entry.control = entry.control or control(entry)
      children[i] = entry.control
    end
    if not bar then bar = require "widgets".HBox {layout = {flex_flow = "row wrap"}} end
    bar.children = children
  end

  local whole_bar = setmetatable({}, {__mimebundle = function()
    local bundle, lines = getmetatable(bar).__mimebundle(bar), {}
    for i, name in ipairs(order) do lines[i] = entries[name].label .. " = " .. tostring(entries[name].value) end
    bundle["text/plain"] = table.concat(lines, "\n")
    return bundle
  end})

  -- Once in each cell that declares some: running the cell again cleared what it had shown. Its text lists those too
  -- that the cell declares later.
  local function show()
    if not native.rich() then return end
    if shown_in == native.cell() then
      shown:update(whole_bar)
    else
      shown_in, shown = native.cell(), require "display"(whole_bar, {display_id = true})
    end
  end

  ---- declaring

  local function same_list(a, b)
    if #(a or {}) ~= #(b or {}) then return false end
    for i = 1, #(a or {}) do
      if a[i] ~= b[i] then return false end
    end
    return true
  end

  local function same_kind(a, b)
    return a.kind == b.kind and a.default == b.default and a.type == b.type and a.min == b.min and a.max == b.max
      and (not kinds[a.kind].strict or same_list(a.choices, b.choices))
  end

  -- At a prompt: an empty line takes the default, what cannot be is asked again.
  local function ask(entry)
    while true do
      local answer = require "input"(("%s [%s]: "):format(entry.label, tostring(entry.default)))
      if answer == "" then return entry.default end
      local ok, value = pcall(check, entry, answer, "value")
      if ok then return value end
      io.stderr:write(tostring(value), "\n")
    end
  end

  -- Declared again: what the user chose stays, unless it cannot.
  local function first_value(entry, before)
    local given = native.params()[entry.name]
    if before and before.touched and same_kind(before, entry) then
      entry.touched = true
      return before.value
    end
    if given == nil then
      if native.asks() and not (before and same_kind(before, entry)) then
        entry.touched = true
        return ask(entry)
      end
      return before and same_kind(before, entry) and before.value or entry.default
    end
    if type(given) == "table" and (#given > 0 or next(given) == nil) then given = table.concat(given, ",") end
    return check(entry, given, "value")
  end

  local function check_choices(entry, choices)
    if type(choices) ~= "table" then
      native.raise("TYPE", ("widget '%s': choices must be a list"):format(entry.name), "")
    end
    entry.choices = {}
    for i, choice in ipairs(choices) do
      entry.choices[i] = text_of(choice, ("widget '%s': choice %d"):format(entry.name, i))
    end
  end

  local function check_range(entry, o)
    local min, max = tonumber(o.min or 0), tonumber(o.max or 100)
    if not min or not max or min > max then refuse(entry, "min and max must be numbers, min the smaller one") end
    entry.min, entry.max, entry.step = min, max, tonumber(o.step)
    entry.whole = math.type(min) == "integer" and math.type(max) == "integer" and math.type(entry.step or 1) == "integer"
      and types.int.read(o.default or min) ~= nil
  end

  -- o: {name, default, choices, label, type, min, max, step}; the entry, its default checked
  local function entry_of(kind, o)
    local entry = {kind = kind, name = text_of(o.name, "the name of a widget")}
    if entry.name == "" then native.raise("ARG", "the name of a widget is empty", "") end
    if kinds[kind].choices then check_choices(entry, o.choices) end
    if kinds[kind].number then check_range(entry, o) end
    if o.type ~= nil then
      if kind ~= "text" or not types[o.type] then
        refuse(entry, ("there is no type '%s'"):format(tostring(o.type)), "a text may be 'int', 'float', 'bool', 'date' or 'text'")
      end
      entry.type = o.type
    end
    entry.label = o.label ~= nil and text_of(o.label, ("widget '%s': its label"):format(entry.name)) or entry.name
    local default = o.default
    if default == nil and kinds[kind].number then default = entry.min end
    if default == nil and entry.type then refuse(entry, "it has no default") end
    entry.default = check(entry, default, "default")
    return entry
  end

  local function declare(kind, o)
    local entry = entry_of(kind, o)
    local before = entries[entry.name]
    entry.value = first_value(entry, before)
    entries[entry.name] = entry
    if not before then order[#order + 1] = entry.name end
    refresh()
    show()
  end

  -- The arguments of a declaration, (name, default, choices, label) or {name, default, label = …}, by their names.
  local function named(kind, ...)
    local names, given, o = takes[kind], table.pack(...), {}
    local function take(fields)
      for key, value in pairs(fields) do
        local name = key == "defaultValue" and "default" or key
        if math.type(name) == "integer" and names[name] then
          o[names[name]] = value
        elseif contains(names, name) then
          o[name] = value
        elseif name ~= "n" then
          native.raise("ARG", ("dbutils.widgets.%s has no argument '%s'"):format(kind, tostring(key)), "it has " .. quoted(names))
        end
      end
    end
    take(type(given[1]) == "table" and given[1] or given)
    for _, name in ipairs {"label", "type"} do -- text(name, default, label, {type = "int"})
      local options = o[name]
      if kind == "text" and type(options) == "table" then
        o[name] = nil
        take(options)
      end
    end
    return o
  end

  local function declarer(kind)
    return function(...) declare(kind, named(kind, ...)) end
  end

  --- module dbutils.widgets: the parameters of a notebook, as controls
  --- module dbutils: tools of a notebook
  --- dbutils.widgets.text(name: string, defaultValue: string, label?: string, options?: {type?: string})
  -- a text
  --     dbutils.widgets.text("learning_rate", "2e-4")
  --- dbutils.widgets.dropdown(name: string, defaultValue: string, choices: {string, …}, label?: string)
  -- one of choices
  --     dbutils.widgets.dropdown("size", "small", {"small", "large"})
  --- dbutils.widgets.combobox(name: string, defaultValue: string, choices: {string, …}, label?: string)
  -- a text, with suggestions
  --     dbutils.widgets.combobox("city", "Oslo", {"Oslo", "Rome"})
  --- dbutils.widgets.slider(name: string, defaultValue: number, min: number, max: number, step?: number, label?: string)
  -- a number between min and max
  --     dbutils.widgets.slider("epochs", 3, 1, 10)
  --- dbutils.widgets.check(sources: {string, …})
  -- refuses parameters that declarations in these texts cannot take; lacus run calls it before the first cell
  --     dbutils.widgets.check{'dbutils.widgets.text("n", "1", {type = "int"})'}
  --- dbutils.widgets.multiselect(name: string, defaultValue: string, choices: {string, …}, label?: string)
  -- any of choices; get gives them with commas between
  --     dbutils.widgets.multiselect("days", "Mon", {"Mon", "Tue", "Wed"})
  for kind in pairs(kinds) do M[kind] = declarer(kind) end

  ---- reading

  --- dbutils.widgets.get(name: WidgetName) -> any
  -- the value of a widget, or of the parameter of that name
  --     local lr = tonumber(dbutils.widgets.get("learning_rate"))
  function M.get(name)
    local given
    if type(name) == "string" and not entries[name] then given = native.params()[name] end
    if given ~= nil then return text_of(given, ("the parameter '%s'"):format(name)) end
    return find(name).value
  end

  --- dbutils.widgets.getArgument(name: WidgetName, default?: string) -> string
  -- as get, with a value for when there is none
  --     dbutils.widgets.getArgument("city", "Oslo")
  function M.getArgument(name, default)
    if entries[name] or native.params()[name] ~= nil or default == nil then return M.get(name) end
    return default
  end

  --- dbutils.widgets.getAll() -> table
  -- all values by name
  --     dbutils.widgets.getAll()
  function M.getAll()
    local all = {}
    for name, entry in pairs(entries) do all[name] = entry.value end
    return json.object(all)
  end

  ---- removing

  local function drop(entry)
    entries[entry.name] = nil
    for i, name in ipairs(order) do
      if name == entry.name then table.remove(order, i) break end
    end
  end

  --- dbutils.widgets.remove(name: WidgetName)
  -- removes a widget
  --     dbutils.widgets.remove("city")
  function M.remove(name)
    local entry = find(name)
    drop(entry)
    refresh()
    if entry.control then entry.control:close() end
  end

  --- dbutils.widgets.removeAll()
  -- removes all widgets
  --     dbutils.widgets.removeAll()
  function M.removeAll()
    local gone = {}
    for _, entry in pairs(entries) do gone[#gone + 1] = entry end
    entries, order = {}, {}
    if #gone > 0 then refresh() end
    for _, entry in ipairs(gone) do
      if entry.control then entry.control:close() end
    end
  end

  -- The declarations in the texts of cells that say all by themselves: a parameter that one of them cannot take is
  -- refused now, before a cell runs. `lacus run` calls it.
  function M.check(sources)
    for _, source in ipairs(sources) do
      source = source:gsub("%-%-[^\n]*", "")
      for kind, at in source:gmatch "dbutils%.widgets%.(%a+)%s*()[%({]" do
        local arguments = source:match("^%b()", at) or source:match("^%b{}", at)
        local chunk = kinds[kind] and arguments and load("return pick" .. arguments, "=declaration", "t", {pick = table.pack})
        local ok, given = pcall(chunk or error)
        local good, entry = pcall(function() return ok and entry_of(kind, named(kind, table.unpack(given, 1, given.n))) end)
        local value
        if good and entry then value = native.params()[entry.name] end
        if value ~= nil then check(entry, type(value) == "table" and table.concat(value, ",") or value, "value") end
      end
    end
  end

  --- dbutils.widgets.help()
  -- prints what there is
  --     dbutils.widgets.help()
  function M.help() print(help) end

  local function guard(t, what)
    return setmetatable(t, {__index = function(_, key)
      native.raise("NOTFOUND", ("%s has no '%s'"):format(what, tostring(key)), "it has " .. quoted(sorted_keys(t)))
    end})
  end

  return guard({widgets = guard(M, "dbutils.widgets")}, "dbutils")
end

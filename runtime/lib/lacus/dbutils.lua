-- dbutils.widgets: the parameters of a notebook, as controls where there is a front end that shows them, and with the
-- values of `lacus run -p NAME VALUE` where there is not. `native` is what the session knows: params(), cell(), rich(),
-- raise(code, message, hint).

local kinds = {} -- name of the kind → {choices = needs choices, widget = name of the control}
kinds.text = {widget = "Text"}
kinds.dropdown = {widget = "Dropdown", choices = true, strict = true}
kinds.combobox = {widget = "Combobox", choices = true}
kinds.multiselect = {widget = "SelectMultiple", choices = true, strict = true, several = true}

local help = [[
dbutils.widgets: parameters of a notebook
  text(name, default, label)                    a text
  dropdown(name, default, choices, label)       one of choices
  combobox(name, default, choices, label)       a text, with suggestions
  multiselect(name, default, choices, label)    any of choices; get gives them with commas between
  get(name)  getAll()  getArgument(name, default)
  remove(name)  removeAll()
Each can be called with a table of names too: text{name = "n", defaultValue = "1", label = "N"}.
`lacus run NOTEBOOK -p name value` sets them from outside.]]

local function contains(list, value)
  for _, v in ipairs(list) do
    if v == value then return true end
  end
  return false
end

local function quoted(list)
  local out = {}
  for i, v in ipairs(list) do out[i] = "'" .. v .. "'" end
  return table.concat(out, ", ")
end

return function(native)
  local entries, order = {}, {} -- name → entry; names in the order of declaration
  local bar, shown_in
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

  -- raises when a value cannot be one of entry's
  local function check(entry, value, whose)
    local kind = kinds[entry.kind]
    if not kind.strict then return value end
    for _, one in ipairs(kind.several and split(value) or {value}) do
      if not contains(entry.choices, one) then
        native.raise("ARG", ("widget '%s': the %s '%s' is not among its choices"):format(entry.name, whose, one),
          "choose from " .. quoted(entry.choices))
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
    local w = widgets[kind.widget] {
      description = entry.label,
      options = kind.choices and entry.choices or nil,
      value = kind.several and split(entry.value) or entry.value,
      style = {description_width = "initial"},
      layout = {width = "auto", max_width = "100%"}, -- a long label leaves room for the field
    }
    w:observe(function(change)
      entry.value = kind.several and table.concat(change.new, ",") or change.new
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

  -- once in each cell that declares some: running the cell again cleared what it had shown
  local function show()
    if not native.rich() or shown_in == native.cell() then return end
    shown_in = native.cell()
    require "display"(bar)
  end

  ---- declaring

  local function same_list(a, b)
    if #(a or {}) ~= #(b or {}) then return false end
    for i = 1, #(a or {}) do
      if a[i] ~= b[i] then return false end
    end
    return true
  end

  -- Declared again: what the user chose stays, unless it cannot.
  local function first_value(entry, before)
    local given = native.params()[entry.name]
    if before and before.touched and before.kind == entry.kind and before.default == entry.default
      and (not kinds[entry.kind].strict or same_list(before.choices, entry.choices)) then
      entry.touched = true
      return before.value
    end
    if given == nil then return entry.default end
    if type(given) == "table" then given = table.concat(given, ",") end
    return check(entry, text_of(given, ("the parameter '%s'"):format(entry.name)), "value")
  end

  local function declare(kind, name, default, choices, label)
    local entry = {kind = kind, name = text_of(name, "the name of a widget")}
    local before = entries[entry.name]
    entry.default = text_of(default, ("widget '%s': its default"):format(entry.name))
    if kinds[kind].choices then
      if type(choices) ~= "table" then
        native.raise("TYPE", ("widget '%s': choices must be a list"):format(entry.name), "")
      end
      entry.choices = {}
      for i, choice in ipairs(choices) do
        entry.choices[i] = text_of(choice, ("widget '%s': choice %d"):format(entry.name, i))
      end
      check(entry, entry.default, "default")
    end
    entry.label = label ~= nil and text_of(label, ("widget '%s': its label"):format(entry.name)) or entry.name
    entry.value = first_value(entry, before)
    entries[entry.name] = entry
    if not before then order[#order + 1] = entry.name end
    refresh()
    show()
  end

  -- (name, default, choices, label) or {name = …}
  local function declarer(kind)
    return function(name, default, choices, label)
      if not kinds[kind].choices then choices, label = nil, choices end
      if type(name) == "table" then
        local t = name
        name, default, label = t.name or t[1], t.defaultValue or t.default or t[2], t.label
        choices = t.choices or t[3]
      end
      declare(kind, name, default, choices, label)
    end
  end

  for kind in pairs(kinds) do M[kind] = declarer(kind) end

  ---- reading

  function M.get(name)
    local given = type(name) == "string" and not entries[name] and native.params()[name]
    if given ~= nil and given ~= false then return text_of(given, ("the parameter '%s'"):format(name)) end
    return find(name).value
  end

  function M.getArgument(name, default)
    if entries[name] or native.params()[name] ~= nil or default == nil then return M.get(name) end
    return default
  end

  function M.getAll()
    local all = {}
    for name, entry in pairs(entries) do all[name] = entry.value end
    return all
  end

  ---- removing

  local function drop(entry)
    entries[entry.name] = nil
    for i, name in ipairs(order) do
      if name == entry.name then table.remove(order, i) break end
    end
  end

  function M.remove(name)
    local entry = find(name)
    drop(entry)
    refresh()
    if entry.control then entry.control:close() end
  end

  function M.removeAll()
    local gone = {}
    for _, entry in pairs(entries) do gone[#gone + 1] = entry end
    entries, order = {}, {}
    if #gone > 0 then refresh() end
    for _, entry in ipairs(gone) do
      if entry.control then entry.control:close() end
    end
  end

  function M.help() print(help) end

  local function guard(t, what)
    return setmetatable(t, {__index = function(_, key)
      local names = {}
      for name in pairs(t) do names[#names + 1] = name end
      table.sort(names)
      native.raise("NOTFOUND", ("%s has no '%s'"):format(what, tostring(key)), "it has " .. quoted(names))
    end})
  end

  return guard({widgets = guard(M, "dbutils.widgets")}, "dbutils")
end

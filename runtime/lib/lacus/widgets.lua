-- What widgets can do beside their fields: links, held changes, interact. `native` is what the C part offers (native_lua.c),
-- `widgets` the global, `methods` what every widget has.

local quoted = require("lacus.tools").quoted
local fixed_mark = {__name = "fixed"}

return function(native, widgets, methods)
  local function wrong(message, hint) native.raise("ARG", message, hint or "") end

  -- runs fn(…); finish() comes after it, also after an error or an interrupt
  local function bracketed(finish, fn, ...)
    local closer <close> = setmetatable({}, {__close = finish})
    return fn(...)
  end

  ---- holding

  -- w:hold_sync(fn, …): what fn changes reaches the front end in one message
  --- Widget:hold_sync(fn: function, …)
  -- what fn changes reaches the front end in one message
  --     local s = widgets.IntSlider{} s:hold_sync(function() s.max, s.value = 200, 150 end)
  function methods.hold_sync(w, fn, ...)
    native.hold(w, true)
    return bracketed(function() native.hold(w, false) end, fn, ...)
  end

  local function same(a, b)
    if type(a) ~= "table" or type(b) ~= "table" then return a == b end
    for k, v in pairs(a) do if not same(v, b[k]) then return false end end
    for k in pairs(b) do if a[k] == nil then return false end end
    return true
  end

  -- w:hold_trait_notifications(fn, …): observers are told after fn, once for each field that has another value then
  --- Widget:hold_trait_notifications(fn: function, …)
  -- observers are told after fn, once for each field that has another value then
  --     local s = widgets.IntSlider{} s:hold_trait_notifications(function() s.max, s.value = 200, 150 end)
  function methods.hold_trait_notifications(w, fn, ...)
    local own = native.own(w)
    if own.holding then return fn(...) end
    own.holding = {seen = {}, old = {}}
    return bracketed(function()
      local held = own.holding
      own.holding = nil
      for _, name in ipairs(held) do
        local now = w[name]
        if not same(now, held.old[name]) then native.notify(w, name, held.old[name], now) end
      end
    end, fn, ...)
  end

  -- w:set_state{value = 3, description = "n"}: several fields at once
  --- Widget:set_state(state: table)
  -- several fields at once
  --     widgets.IntSlider{}:set_state{value = 3}
  function methods.set_state(w, state)
    methods.hold_sync(w, methods.hold_trait_notifications, w, function()
      for key, value in pairs(state) do w[key] = value end
    end)
    return w
  end

  --- Widget:get_state() -> table
  -- all fields by name
  --     widgets.IntSlider{}:get_state().value
  function methods.get_state(w)
    local state = {}
    for _, key in ipairs(native.fields(w)) do state[key] = w[key] end
    return require("json").object(state)
  end

  --- Widget:send(content: table)
  -- a message to the front end
  --     widgets.Button{}:send{do_focus = true}
  function methods.send(w, content) native.custom(w, content) end
  --- Widget:focus()
  -- the keyboard goes to it
  --     widgets.Text{}:focus()
  function methods.focus(w) native.custom(w, {["do"] = "focus"}) end
  --- Widget:blur()
  -- the keyboard leaves it
  --     widgets.Text{}:blur()
  function methods.blur(w) native.custom(w, {["do"] = "blur"}) end

  ---- classes of the page's style sheets

  --- Widget:add_class(name: string)
  -- a class of the page's style sheets
  --     widgets.Button{}:add_class("wide")
  function methods.add_class(w, name)
    local list = native.class_list(w)
    for _, one in ipairs(list) do if one == name then return w end end
    list[#list + 1] = name
    native.classes(w, list)
    return w
  end

  --- Widget:remove_class(name: string)
  -- without that class
  --     widgets.Button{}:remove_class("wide")
  function methods.remove_class(w, name)
    local list = {}
    for _, one in ipairs(native.class_list(w)) do if one ~= name then list[#list + 1] = one end end
    native.classes(w, list)
    return w
  end

  ---- titles of Tab, Accordion and Stack

  --- Widget:set_title(index: integer, title: string)
  -- of a child of Tab, Accordion or Stack
  --     widgets.Tab{children = {widgets.Label{}}}:set_title(1, "first")
  function methods.set_title(w, index, title)
    local titles = w.titles
    if not titles then wrong(("a %s has no titles"):format(native.is_widget(w))) end
    if not titles[index] then wrong(("there is no child %s: there are %d"):format(index, #titles)) end
    titles[index] = title or ""
    w.titles = titles
  end

  --- Widget:get_title(index: integer) -> string
  -- of a child
  --     widgets.Tab{children = {widgets.Label{}}, titles = {"first"}}:get_title(1)
  function methods.get_title(w, index) return w.titles and w.titles[index] end

  ---- media from files

  for _, name in ipairs {"Image", "Audio", "Video"} do
    local new = widgets[name]
    widgets[name] = setmetatable({from_file = function(path, options, more)
      if type(path) == "table" then path, options = options, more end -- widgets.Image:from_file(path)
      local file = io.open(path, "rb")
      if not file then native.raise("NOTFOUND", ("cannot open '%s'"):format(path), "the path is seen from " .. (os.getenv "PWD" or "here")) end
      local bytes = file:read "a"
      file:close()
      local fields = {value = bytes, format = path:match "%.(%w+)$"}
      for key, value in pairs(options or {}) do fields[key] = value end
      return new(fields)
    end}, {__call = function(_, ...) return new(...) end})
  end

  ---- links

  -- ({a, "value"}, {b, "value"}) or (a, "value", b, "value")
  local function ends(a, b, ...)
    if type(a) == "table" and type(b) == "table" then return a[1], a[2] or "value", b[1], b[2] or "value", ... end
    local c, d = ...
    return a, b, c, d, select(3, ...)
  end

  local function check_ends(what, a, ak, b, bk)
    if not native.is_widget(a) or not native.is_widget(b) or type(ak) ~= "string" or type(bk) ~= "string" then
      wrong(what .. ' takes {widget, "field"} and {widget, "field"}')
    end
  end

  local Link = {__name = "link"}
  Link.__index = Link
  function Link:unlink()
    for _, pair in ipairs(self.observed) do pair[1]:unobserve(pair[2]) end
    self.observed = {}
  end

  local function follow(link, a, ak, b, bk, transform)
    local function update(change)
      if link.updating then return end
      link.updating = true
      bracketed(function() link.updating = false end, function()
        local value = change.new
        if transform then value = transform(value) end
        b[bk] = value
      end)
    end
    a:observe(update, ak)
    link.observed[#link.observed + 1] = {a, update}
    return update
  end

  local function identity(value) return value end

  local function linker(what, both)
    return function(...)
      local a, ak, b, bk, transform = ends(...)
      check_ends(what, a, ak, b, bk)
      local to, from = transform, nil
      if type(transform) == "table" then to, from = transform[1], transform[2] end
      local link = setmetatable({observed = {}, updating = false}, Link)
      b[bk] = (to or identity)(a[ak])
      follow(link, a, ak, b, bk, to)
      if both then follow(link, b, bk, a, ak, from) end
      return link
    end
  end

  --- widgets.link(source: table, target: table, transforms?: table) -> Link
  -- keeps two fields equal; transforms are optional; :unlink() ends it
  --     local a, b = widgets.IntSlider(), widgets.IntText()
  --     widgets.link({a, "value"}, {b, "value"})
  --- widgets.dlink(source: table, target: table, transform?: function) -> Link
  -- the second field follows the first
  --     widgets.dlink({widgets.IntSlider{}, "value"}, {widgets.IntText{}, "value"}, function(v) return 2 * v end)
  widgets.link, widgets.dlink = linker("link", true), linker("dlink", false)

  local function front_linker(what, row)
    return function(...)
      local a, ak, b, bk = ends(...)
      check_ends(what, a, ak, b, bk)
      local model = native.link(row, a, ak, b, bk)
      return setmetatable({observed = {}, model = model}, {__name = what, __index = {unlink = function() model:close() end}})
    end
  end

  --- widgets.jslink(source: table, target: table) -> Link
  -- keeps two fields equal in the front end, without the kernel
  --     widgets.jslink({widgets.IntSlider{}, "value"}, {widgets.IntText{}, "value"})
  --- widgets.jsdlink(source: table, target: table) -> Link
  -- the second field follows the first in the front end
  --     widgets.jsdlink({widgets.IntSlider{}, "value"}, {widgets.IntText{}, "value"})
  --- class Link: two fields that follow each other
  --- Link:unlink()
  -- no longer
  --     local a, b = widgets.IntSlider{}, widgets.IntText{} widgets.link({a, "value"}, {b, "value"}):unlink()
  widgets.jslink, widgets.jsdlink = front_linker("jslink", "Link"), front_linker("jsdlink", "DirectionalLink")

  ---- all of them

  --- widgets.all() -> table
  -- the widgets that the front end has, by their model ids: also those that it opened itself
  --     widgets.all()
  widgets.all = native.all

  --- widgets.close_all()
  -- closes every widget, with layouts and styles
  --     widgets.close_all()
  function widgets.close_all()
    for _, w in pairs(native.all()) do w:close() end
  end

  ---- interact

  --- widgets.fixed(value: any)
  -- an argument of interact's function that has no control
  --     widgets.interactive(function(x, y) return x + y end, {x = 3, y = widgets.fixed(2)})
  function widgets.fixed(value) return setmetatable({value = value}, fixed_mark) end

  local function is_fixed(v) return getmetatable(v) == fixed_mark end

  local function slider(fields)
    local whole = true
    for _, v in pairs(fields) do whole = whole and math.type(v) == "integer" end
    return (whole and widgets.IntSlider or widgets.FloatSlider)(fields)
  end

  local function around(value) -- the range that a lone number gets
    if value == 0 then return value, value + 1 end
    if value > 0 then return -value, 3 * value end
    return 3 * value, -value
  end

  local function range(min, max, step, value)
    if min > max then wrong(("value must be between min and max (min=%s, max=%s)"):format(min, max)) end
    local whole = math.type(min) == "integer" and math.type(max) == "integer"
    value = value or (whole and min + (max - min) // 2 or min + (max - min) / 2)
    if step then
      if step <= 0 then wrong(("step must be >= 0, not %s"):format(step)) end
      local ticks = (value - min) // step
      value = min + (whole and math.type(step) == "integer" and math.tointeger(ticks) or ticks) * step
    end
    return slider {min = min, max = max, step = step, value = value}
  end

  local function all_numbers(list)
    for _, v in ipairs(list) do if type(v) ~= "number" then return false end end
    return #list > 0
  end

  local function from_table(t, name)
    if t.min or t.max then
      local low, high = around(t.value or t.max or t.min)
      return range(t.min or low, t.max or high, t.step, t.value)
    end
    if t.options then return widgets.Dropdown(t) end
    if all_numbers(t) and (#t == 2 or #t == 3) then return range(t[1], t[2], t[3]) end
    if next(t) == nil then wrong(("the list for '%s' is empty"):format(name)) end
    return widgets.Dropdown {options = t}
  end

  local function control(name, value)
    local kind = native.is_widget(value)
    if kind or is_fixed(value) then return value end
    if type(value) == "string" then return widgets.Text {value = value} end
    if type(value) == "boolean" then return widgets.Checkbox {value = value} end
    if type(value) == "number" then
      local min, max = around(value)
      return slider {value = value, min = min, max = max}
    end
    if type(value) == "table" then return from_table(value, name) end
    wrong(("no control can be made for '%s' from a %s"):format(name, type(value)),
      "give a number, {min, max}, a list, true or false, a text or a widget")
  end

  local function parameters(fn)
    local info, names = debug.getinfo(fn, "u"), {}
    for i = 1, info.nparams do names[i] = debug.getlocal(fn, i) end
    return names, info.isvararg
  end

  -- {{name, control}…} in the order of the parameters
  local function controls_of(fn, given)
    local names, vararg = parameters(fn)
    local out, used = {}, {}
    for i, name in ipairs(names) do
      if given[name] == nil then
        wrong(("cannot find widget or abbreviation for argument: '%s'"):format(name), "give it a value: {" .. name .. " = 10}")
      end
      used[name] = true
      out[i] = {name, control(name, given[name])}
    end
    for name in pairs(given) do
      if not used[name] and vararg then
        wrong(("the function has no parameter that is named '%s', only ..."):format(tostring(name)),
          ("name it: function(%s) … end"):format(tostring(name)))
      end
      if not used[name] then
        wrong(("the function has no parameter '%s'"):format(tostring(name)), #names > 0 and "it has " .. quoted(names) or "it has none")
      end
    end
    for _, pair in ipairs(out) do
      local w = pair[2]
      if not is_fixed(w) and (w.description == nil or w.description == "") then w.description = pair[1] end
    end
    return out
  end

  local function values_of(controls)
    local values, named = {}, {}
    for i, pair in ipairs(controls) do
      values[i] = pair[2].value
      named[pair[1]] = values[i]
    end
    return values, named
  end

  -- runs fn with the controls' values, its output in `out`; returns what fn returns
  local function refresh(out, fn, controls, clear, show)
    local result, named
    local values
    values, named = values_of(controls)
    out:capture(function()
      if clear then require "clear_output"(true) end
      native.attempt(function()
        result = fn(table.unpack(values, 1, #controls))
        if show and result ~= nil then require "display"(result) end
      end)
    end)
    return result, named
  end

  local function interactive(fn, given, options)
    local controls = controls_of(fn, given)
    local out = widgets.Output {}
    local children = {}
    for _, pair in ipairs(controls) do
      if not is_fixed(pair[2]) then children[#children + 1] = pair[2] end
    end
    local count, button = #children, nil
    if options.manual then
      button = widgets.Button {description = options.manual_name or "Run Interact"}
      children[#children + 1] = button
    end
    children[#children + 1] = out
    local box = widgets.VBox {children = children}
    box:add_class "widget-interact"
    local extra = {out = out, manual_button = button, f = fn, kwargs = {}}
    function extra.update()
      if button then button.disabled = true end
      bracketed(function() if button then button.disabled = false end end, function()
        extra.result, extra.kwargs = refresh(out, fn, controls, options.clear_output ~= false, options.show)
      end)
    end
    native.extend(box, extra)
    for i = 1, count do
      if not button then
        children[i]:observe(extra.update, "value")
      elseif native.is_widget(children[i]) == "Text" then
        children[i].continuous_update = false
        children[i]:observe(extra.update, "value")
      end
    end
    if button then button:on_click(extra.update) end
    return box, extra
  end

  -- (fn, {x = 10}), (fn) with no parameters, {fn, x = 10}
  local function arguments(what, fn, given)
    if type(fn) == "table" and type(fn[1]) == "function" then
      local rest = {}
      for k, v in pairs(fn) do if k ~= 1 then rest[k] = v end end
      return fn[1], rest
    end
    if type(fn) ~= "function" then wrong(what .. " takes a function, and a table of what its parameters may be") end
    if given ~= nil and type(given) ~= "table" then
      wrong(("%s takes a table of what the function's parameters may be, as {x = 10}, not a %s"):format(what, type(given)))
    end
    return fn, given or {}
  end

  local function shower(what, manual)
    return function(fn, given)
      fn, given = arguments(what, fn, given)
      local box, extra = interactive(fn, given, {manual = manual, show = true})
      if native.rich() then require "display"(box) end
      if not manual then extra.update() end
    end
  end

  --- widgets.interact(fn: function, controls: {…: ParameterName})
  -- a control for each parameter: a number or {min, max, step} is a slider, a list a dropdown, true or false a checkbox, a text a field; shows them and runs the function at each change
  --     widgets.interact(function(x, on) print(x, on) end, {x = 10, on = true})
  --- widgets.interact_manual(fn: function, controls: {…: ParameterName})
  -- as interact, with a button that runs the function
  --     widgets.interact_manual(function(n) print(n) end, {n = {1, 10}})
  widgets.interact, widgets.interact_manual = shower("interact", false), shower("interact_manual", true)

  --- widgets.interactive(fn: function, controls: {…: ParameterName}, options?: table) -> Widget
  -- as interact, but returns the box of controls: .result, .kwargs, :update()
  --     widgets.interactive(function(n) return n * n end, {n = {1, 10}})
  function widgets.interactive(fn, given, options)
    fn, given = arguments("interactive", fn, given)
    local box, extra = interactive(fn, given, options or {})
    if not (options and options.manual) then extra.update() end
    return box
  end

  --- widgets.interactive_output(fn: function, controls: {…: ParameterName}) -> Widget
  -- an Output that shows what fn prints, whenever a control changes
  --     widgets.interactive_output(function(n) print(n) end, {n = widgets.IntSlider{}})
  function widgets.interactive_output(fn, controls)
    local names, pairs_ = parameters(fn), {}
    local out = widgets.Output {}
    for i, name in ipairs(names) do
      if not native.is_widget(controls[name]) then wrong(("interactive_output needs a widget for '%s'"):format(name)) end
      pairs_[i] = {name, controls[name]}
    end
    local function update() refresh(out, fn, pairs_, true, false) end
    for _, pair in ipairs(pairs_) do pair[2]:observe(update, "value") end
    update()
    return out
  end


  require "lacus.widget_layouts"(native, widgets)
end

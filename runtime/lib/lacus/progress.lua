-- Progress bars: for x in progress(list) do … end. Bars nest: those that run are one line in a terminal and one display in a
-- notebook, which is there as well in a notebook that is opened later. `native` is now() in seconds and columns().

local escape = require("lacus.tools").html
local eighths = {"▏", "▎", "▍", "▌", "▋", "▊", "▉"}

local function clock(seconds)
  local s = math.floor(seconds)
  if s >= 3600 then return ("%d:%02d:%02d"):format(s // 3600, s // 60 % 60, s % 60) end
  return ("%02d:%02d"):format(s // 60, s % 60)
end

local function short(n) return math.type(n) == "integer" and tostring(n) or ("%.4g"):format(n) end


local function bar_text(part, width)
  local full = part * width
  local whole = math.floor(full)
  local rest = eighths[math.floor((full - whole) * 8)] or ""
  return ("█"):rep(whole) .. rest .. (" "):rep(width - whole - (rest ~= "" and 1 or 0))
end

return function(native)
  local running = {} -- bars, the outermost first
  local handle, drawn -- of the display they share; when it was last brought up to date

  local Bar = {__name = "Progress"}
  Bar.__index = Bar

  local function part_of(bar)
    return bar.total and (bar.total > 0 and math.min(1, math.max(0, bar.n / bar.total)) or 1)
  end

  local function figures(bar)
    local elapsed = (bar.stopped or native.now()) - bar.started
    local rate = bar.n > bar.initial and elapsed > 0 and (bar.n - bar.initial) / elapsed
    local left = rate and bar.total and not bar.stopped and (bar.total - bar.n) / rate
    local speed = not rate and "" or rate >= 1 and (", %.4g %s/s"):format(rate, bar.unit) or (", %.4g s/%s"):format(1 / rate, bar.unit)
    return ("[%s%s%s]"):format(clock(elapsed), left and "<" .. clock(left) or "", speed)
  end

  local function postfix_of(bar)
    if not bar.postfix then return "" end
    if type(bar.postfix) ~= "table" then return " " .. tostring(bar.postfix) end
    local keys, out = {}, {}
    for key in pairs(bar.postfix) do keys[#keys + 1] = tostring(key) end
    table.sort(keys)
    for i, key in ipairs(keys) do
      local v = bar.postfix[key]
      out[i] = key .. "=" .. (type(v) == "number" and short(v) or tostring(v))
    end
    return " " .. table.concat(out, " ")
  end

  local function texts(bar)
    local part = part_of(bar)
    local head = (bar.desc ~= "" and bar.desc .. " " or "") .. (part and ("%3d%%"):format(math.floor(part * 100)) or "")
    local count = bar.total and ("%s/%s"):format(short(bar.n), short(bar.total)) or short(bar.n) .. " " .. bar.unit
    return head, count, part
  end

  -- all bars on one line that fits
  local function line()
    local width = native.columns() // #running - 3
    local out = {}
    for i, bar in ipairs(running) do
      local head, count, part = texts(bar)
      local tail = count .. " " .. figures(bar) .. postfix_of(bar)
      local room = width - utf8.len(head .. tail, 1, -1, true) - 3
      if room < 5 and part then
        tail = count .. postfix_of(bar)
        room = width - utf8.len(head .. tail, 1, -1, true) - 3
      end
      out[i] = part and room >= 5 and ("%s|%s| %s"):format(head, bar_text(part, math.min(room, 40)), tail) or (head ~= "" and head .. " " or "") .. tail
    end
    local text = table.concat(out, " · ")
    local cut = utf8.offset(text, native.columns())
    return cut and text:sub(1, cut - 1) or text
  end

  local function html()
    local out = {}
    for i, bar in ipairs(running) do
      local head, count, part = texts(bar)
      local colour = bar.failed and "#c62828" or bar.stopped and "#2e7d32" or "#1565c0"
      out[i] = ('<div style="font-family:monospace;white-space:pre;padding-left:%dem"><span>%s</span> <progress style="width:18em;'
        .. 'vertical-align:middle;accent-color:%s"%s></progress> %s %s%s</div>'):format(i - 1, escape(head), colour,
        part and (' value="%.4f" max="1"'):format(part) or "", escape(count), escape(figures(bar)), escape(postfix_of(bar)))
    end
    return table.concat(out)
  end

  local function show(always)
    local now = native.now()
    if not always and drawn and now - drawn < 0.1 then return end
    drawn = now
    local shown = setmetatable({}, {__mimebundle = function() return {["text/plain"] = line(), ["text/html"] = html()} end})
    if handle then handle:update(shown) else handle = require "display"(shown, {display_id = true}) end
  end

  local function index_of(bar)
    for i, one in ipairs(running) do if one == bar then return i end end
  end

  -- b:update(n): n more are done
  function Bar:update(n)
    self.n = self.n + (n or 1)
    show(false)
    return self
  end

  -- b:set(n): n are done
  function Bar:set(n)
    self.n = n
    show(false)
    return self
  end

  function Bar:set_postfix(postfix)
    self.postfix = postfix
    show(false)
    return self
  end

  function Bar:set_description(desc)
    self.desc = desc
    show(false)
    return self
  end

  function Bar:close()
    local at = index_of(self)
    if not at then return end
    self.stopped = native.now()
    show(true)
    for i = #running, at, -1 do running[i] = nil end -- those inside ended with it
    if #running == 0 then handle, drawn = nil, nil else show(true) end
  end

  function Bar.__close(bar, problem)
    bar.failed = problem ~= nil
    bar:close()
  end

  function Bar.__tostring(bar)
    local head, count = texts(bar)
    return ("%s %s"):format(head, count)
  end

  local known = {desc = true, description = true, unit = true, total = true, initial = true}

  local function new(o, total)
    if type(o) ~= "table" then error("progress takes its options in a table, as {desc = \"files\"}, not a " .. type(o), 3) end
    for name in pairs(o) do
      if not known[name] then
        error(("progress has no option '%s': it has desc, total, unit and initial"):format(tostring(name)), 3)
      end
    end
    local bar = setmetatable({desc = o.desc or o.description or "", unit = o.unit or "it", total = o.total or total, n = o.initial or 0,
      initial = o.initial or 0, started = native.now()}, Bar)
    running[#running + 1] = bar
    show(true)
    return bar
  end

  -- the values of a list or of an iterator, the bar moving on when the next one is asked for
  local function iterate(bar, step, state, control, closing)
    local first = true
    local function nextone(_, _)
      if not first then
        bar.n = bar.n + 1
        if native.now() - (drawn or 0) >= 0.1 then show(false) end
      end
      first = false
      local result = table.pack(step(state, control))
      control = result[1]
      if control == nil then
        bar:close()
        return nil
      end
      return table.unpack(result, 1, result.n)
    end
    local both = closing == nil and bar or setmetatable({}, {__close = function(_, problem)
      local inner <close> = closing
      getmetatable(bar).__close(bar, problem)
    end})
    return nextone, nil, nil, both
  end

  local function values(list)
    local i = 0
    return function()
      i = i + 1
      if list[i] == nil then return nil end
      return list[i], i
    end
  end

  --- class Progress: a progress bar that is moved by hand
  --- Progress:update(n?: number) -> Progress
  -- so much more is done
  --     local bar <close> = progress{total = 3, desc = "files"} bar:update()
  --- Progress:set(n: number) -> Progress
  -- so much is done
  --     local bar <close> = progress{total = 100} bar:set(40)
  --- Progress:set_postfix(postfix: table) -> Progress
  -- what stands behind the bar: {loss = 0.1}
  --     local bar <close> = progress{total = 1} bar:set_postfix{loss = 0.5}
  --- Progress:set_description(desc: string) -> Progress
  -- what stands before it
  --     local bar <close> = progress{total = 1} bar:set_description("second pass")
  --- Progress:close()
  -- it is at its end
  --     progress{total = 1}:close()
  --- progress(what: any, options?: {desc?: string, total?: number, unit?: string}) -> any
  -- for x in progress(list) do … end shows how far it is; also of a number, of an iterator, or {total = n} for a bar that is
  -- moved by hand: :update(n), :set(n), :set_postfix{loss = 1}, :close()
  --     progress(3, {desc = "epochs"})
  return function(what, o, ...)
    local kind = type(what)
    if kind == "table" and getmetatable(what) == nil and #what == 0 and (what.total or what.desc or what.description) then return new(what) end
    if kind == "function" then
      if o == nil or (type(o) == "table" and (o.total or o.desc or o.unit)) then return iterate(new(o or {}), what) end
      local control, closing = ...
      return iterate(new {}, what, o, control, closing)
    end
    o = o or {}
    if kind == "number" then
      local n, i = math.floor(what), 0
      return iterate(new(o, n), function()
        i = i + 1
        if i <= n then return i end
      end)
    end
    if kind ~= "table" and kind ~= "userdata" then error("progress takes a list, a number or an iterator, not a " .. kind, 2) end
    return iterate(new(o, #what), values(what))
  end
end

-- %autoreload: modules whose files have changed are loaded again before a cell runs, into the tables that are there: what others hold
-- of them (local m = require "m", classes, metatables of objects) is the new one too. native.stat(path) gives a text that changes
-- with the file; native.say(text) writes to the error stream.
local sorted_keys = require("lacus.tools").sorted_keys

return function(native)
  local mode = 0
  local seen = {} -- module → {path, stamp}
  local marked, left_out = {}, {} -- by %aimport: mode 1 reloads the former only, mode 2 not the latter

  local function find(name)
    return package.searchpath(name, package.path)
  end

  local function loaded()
    local names = {}
    for name in pairs(package.loaded) do
      if type(name) == "string" and not name:match "^lacus%." then names[#names + 1] = name end
    end
    table.sort(names)
    return names
  end

  -- Notes what is new among the modules; those that are known stay as they were.
  local function note()
    for _, name in ipairs(loaded()) do
      if not seen[name] then
        local path = find(name)
        seen[name] = path and {path = path, stamp = native.stat(path)} or {}
      end
    end
  end

  -- old becomes what new is; tables within likewise, so that those who hold them see it.
  local function take(old, new, done)
    if old == new or done[old] then return end
    done[old] = true
    for key in pairs(old) do
      if rawget(new, key) == nil then rawset(old, key, nil) end
    end
    for key, value in pairs(new) do
      local before = rawget(old, key)
      if type(before) == "table" and type(value) == "table" and value ~= new then
        take(before, value, done)
      else
        rawset(old, key, value == new and old or value)
      end
    end
    local meta, before = getmetatable(new), getmetatable(old)
    if type(meta) == "table" and type(before) == "table" and meta ~= before and meta ~= old then
      take(before, meta, done)
    elseif meta ~= before then
      setmetatable(old, meta)
    end
  end

  local function reload(name)
    local entry = seen[name]
    local chunk, message = loadfile(entry.path)
    local ok, value
    if chunk then ok, value = pcall(chunk, name, entry.path) else ok, value = false, message end
    if not ok then
      native.say(("[autoreload of %s failed: %s]\n"):format(name, tostring(value)))
      return
    end
    local old = package.loaded[name]
    if type(old) == "table" and type(value) == "table" then
      take(old, value, {})
    elseif value ~= nil then
      package.loaded[name] = value
    end
  end

  local function look(all)
    for _, name in ipairs(loaded()) do
      local entry = seen[name]
      local stamp = entry and entry.path and native.stat(entry.path)
      if stamp and stamp ~= entry.stamp and (all or mode == 2 or marked[name]) and not left_out[name] then
        entry.stamp = stamp
        reload(name)
      end
    end
    note()
  end

  local modes = {["0"] = 0, off = 0, ["2"] = 2, all = 2, ["1"] = 1, explicit = 1}

  return {
    note = function() if mode > 0 then note() end end,
    before_cell = function() if mode > 0 then look() end end,
    -- "name": it is required and marked; "-name": it is left out; "": nothing. What is reloaded, what is left out.
    aimport = function(word)
      if word:sub(1, 1) == "-" then
        left_out[word:sub(2)], marked[word:sub(2)] = true, nil
      elseif word ~= "" then
        left_out[word], marked[word] = nil, true
        _ENV[word:match "[^.]*$"] = require(word)
        note()
      end
      local names = table.concat(sorted_keys(marked), " ")
      local which = mode == 2 and "all modules (%autoreload 2)" or names
      if mode == 0 then which = "none (%autoreload 0)" .. (names ~= "" and "; in mode 1: " .. names or "") end
      if which == "" then which = "none: %aimport MODULE names one (%autoreload 1)" end
      return which, table.concat(sorted_keys(left_out), " ")
    end,
    -- false: not understood
    set = function(word)
      if word == "" or word == "now" then
        look(true)
        return true
      end
      if not modes[word] then return false end
      mode = modes[word]
      note()
      return true
    end,
  }
end

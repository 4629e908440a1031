-- %load_ext: a Lua module with load_ext(session), which may register magics. native.register(name, function, kinds, usage, doc),
-- native.run(text), native.raise(code, message, hint), native.say(text), native.id.
return function(native)
  local loaded, kinds = {}, {line = 1, cell = 2, both = 3}
  -- what is an extension elsewhere, and is here without being loaded
  local built_in = {autoreload = true, tensorboard = true, sql = true, memory_profiler = true, line_profiler = true}

  local function session_for(mine)
    local session = {id = native.id}
    --- Session:register_magic(name: string, run: function, options?: {kind?: string, usage?: string, doc?: string})
    -- makes %name (kind "line"), %%name ("cell") or both; run gets the line and the body
    --     session:register_magic("shout", function(line) print(line:upper()) end)
    function session:register_magic(name, run, options)
      options = options or {}
      local kind = kinds[options.kind or "line"]
      if not kind then native.raise("ARG", ("register_magic: no kind '%s'"):format(tostring(options.kind)), "line, cell or both") end
      native.register(name, run, kind, options.usage or (kind == 2 and "%%" or "%") .. name, options.doc or "of an extension")
      mine[#mine + 1] = name
    end
    --- Session:run(text: string)
    -- runs a text as a part of the cell, and gives its values
    function session:run(text) return native.run(text) end
    return session
  end

  local M = {}

  function M.load(name)
    if loaded[name] then
      native.say(("The %s extension is already loaded. To reload it, use:\n  %%reload_ext %s\n"):format(name, name))
      return
    end
    if built_in[name] and not package.searchpath(name, package.path) then return end
    local module = require(name)
    if type(module) ~= "table" or type(module.load_ext) ~= "function" then
      native.raise("ARG", ("'%s' is no extension: it has no load_ext(session)"):format(name), "a module returns {load_ext = function(session) … end}")
    end
    local mine = {}
    local session = session_for(mine)
    module.load_ext(session)
    loaded[name] = {module = module, session = session, magics = mine}
  end

  function M.unload(name)
    local entry = loaded[name]
    if not entry then native.raise("NOTFOUND", ("the extension '%s' is not loaded"):format(name), "") end
    if type(entry.module.unload_ext) == "function" then entry.module.unload_ext(entry.session) end
    for _, magic in ipairs(entry.magics) do native.register(magic, nil) end
    loaded[name] = nil
    package.loaded[name] = nil
  end

  function M.reload(name)
    if loaded[name] then M.unload(name) end
    M.load(name)
  end

  return M
end

-- dbutils.fs, secrets, notebook, library and help, over the functions of runtime/dbutils and runtime/secrets. Each takes positions, or
-- one table with names.

local tools = require "lacus.tools"
local escape, sorted_keys = tools.html, tools.sorted_keys

-- "from source: string" → {names = {"from", "source"}, type = "string", needed = true}; "string?" is not needed.
local function read_places(texts)
  local places = {}
  for i, text in ipairs(texts) do
    local spellings, kind, optional = text:match "^([^:]*): (%a+)(%??)$"
    local names = {}
    for word in spellings:gmatch "%S+" do names[#names + 1] = word end
    places[i] = {names = names, type = kind, needed = optional == ""}
  end
  return places
end

local function signature(what, places)
  local words = {}
  for i, place in ipairs(places) do words[i] = place.names[1] .. (place.needed and "" or "?") end
  return what .. "(" .. table.concat(words, ", ") .. ")"
end

-- The arguments of f{path = …, recurse = true}, by place.
local function by_place(native, what, places, given)
  local args, known = {}, {}
  for i, place in ipairs(places) do
    args[i], known[i] = given[i], true
    for _, name in ipairs(place.names) do
      known[name] = true
      if given[name] ~= nil then args[i] = given[name] end
    end
  end
  for key in pairs(given) do
    if not known[key] then native.raise("ARG", ("%s has no argument '%s'"):format(what, tostring(key)), signature(what, places)) end
  end
  return args
end

local function check(native, what, place, value, places)
  local kind = type(value)
  if value == nil then
    if place.needed then native.raise("ARG", ("%s: '%s' is missing"):format(what, place.names[1]), signature(what, places)) end
  elseif place.type ~= "any" and kind ~= place.type and not (place.type == "string" and kind == "number") then
    native.raise("TYPE", ("%s: '%s' must be a %s, not a %s"):format(what, place.names[1], place.type, kind), signature(what, places))
  end
end

-- f(a, b) and f{a = …, b = …}; texts has the spellings and the type of each place. Arguments are checked here, where their names are known.
local function named(native, what, texts, f)
  local places = read_places(texts)
  return function(first, ...)
    local args = {first, ...}
    if type(first) == "table" and rawget(first, "help") then
      native.raise("TYPE", ("%s is called with a dot, not a colon"):format(what), signature(what, places))
    elseif type(first) == "table" and not getmetatable(first) then
      args = by_place(native, what, places, first)
    end
    for i, place in ipairs(places) do check(native, what, place, args[i], places) end
    return f(table.unpack(args, 1, #places))
  end
end

-- A list of rows that shows as a table.
local function listing(rows, columns)
  local function cell(row, key)
    local value = row[key]
    if key == "modificationTime" and value then return os.date("%Y-%m-%d %H:%M:%S", value // 1000) end
    return value == nil and "" or tostring(value)
  end
  local function text()
    local width, lines = {}, {}
    for i, key in ipairs(columns) do
      width[i] = #key
      for _, row in ipairs(rows) do width[i] = math.max(width[i], #cell(row, key)) end
    end
    local function line(value)
      local parts = {}
      for i, key in ipairs(columns) do parts[i] = value(key) .. (" "):rep(width[i] - #value(key)) end
      return (table.concat(parts, "  "):gsub("%s+$", ""))
    end
    lines[1] = line(function(key) return key end)
    for _, row in ipairs(rows) do lines[#lines + 1] = line(function(key) return cell(row, key) end) end
    return table.concat(lines, "\n")
  end
  local function html()
    local out = {"<table><thead><tr>"}
    for _, key in ipairs(columns) do out[#out + 1] = "<th>" .. escape(key) .. "</th>" end
    out[#out + 1] = "</tr></thead><tbody>"
    for _, row in ipairs(rows) do
      out[#out + 1] = "<tr>"
      for _, key in ipairs(columns) do out[#out + 1] = "<td>" .. escape(cell(row, key)) .. "</td>" end
      out[#out + 1] = "</tr>"
    end
    out[#out + 1] = "</tbody></table>"
    return table.concat(out)
  end
  return setmetatable(rows, {
    __name = "listing",
    __tostring = text,
    __mimebundle = function() return {["text/plain"] = text(), ["text/html"] = html()} end,
  })
end

return function(dbutils, native)
  local order = {"fs", "library", "notebook", "secrets", "widgets"}

  local function guard(part, what)
    return setmetatable(part, {__index = function(_, key)
      native.raise("NOTFOUND", ("%s has no '%s'"):format(what, tostring(key)), "it has " .. table.concat(sorted_keys(part), ", "))
    end})
  end

  ---- help

  local function row_text(text)
    local signature, doc = text:match "^([^\n]*)\n?(.*)$"
    local lines = {signature}
    for line in doc:gmatch "[^\n]+" do lines[#lines + 1] = "    " .. line:gsub("^\t", "    ") end
    return table.concat(lines, "\n")
  end

  local function help_of(topic, name)
    local doc, rows = native.topic(topic)
    if not doc then return native.raise("NOTFOUND", ("there is no help about '%s'"):format(topic), "") end
    local out = {name and "" or topic .. ": " .. doc .. "\n"}
    for _, row in ipairs(rows) do
      if not name or row[1] == name then out[#out + 1] = row_text(row[2]) end
    end
    if #out == 1 then native.raise("NOTFOUND", ("%s has no '%s'"):format(topic, name), "") end
    print((table.concat(out, "\n"):gsub("^\n", "")))
  end

  local function with_help(part, topic)
    rawset(part, "help", function(name) help_of(topic, name) end)
    return guard(part, topic)
  end

  ---- dbutils.fs

  local fs, files = {}, native.fs

  --- module dbutils.fs: files and folders; paths may begin with file: or dbfs:, which mean this machine

  --- dbutils.fs.ls(path: string)
  -- what is in a folder: a list of {path, name, size, modificationTime, isDir}, shown as a table
  --     dbutils.fs.ls("/data")
  fs.ls = named(native, "dbutils.fs.ls", {"path dir: string"}, function(path)
    return listing(files.ls(path), {"path", "name", "size", "modificationTime"})
  end)
  --- dbutils.fs.cp(from: string, to: string, recurse = false) -> boolean
  -- copies a file, or with recurse a folder
  --     dbutils.fs.cp("notes.txt", "copy.txt")
  fs.cp = named(native, "dbutils.fs.cp", {"from source from_: string", "to destination: string", "recurse: any?"}, files.cp)
  --- dbutils.fs.mv(from: string, to: string, recurse = false) -> boolean
  -- moves a file, or with recurse a folder
  --     dbutils.fs.mv("copy.txt", "moved.txt")
  fs.mv = named(native, "dbutils.fs.mv", {"from source from_: string", "to destination: string", "recurse: any?"}, files.mv)
  --- dbutils.fs.rm(path: string, recurse = false) -> boolean
  -- removes a file, or with recurse a folder with all that is in it
  --     dbutils.fs.rm("moved.txt")
  fs.rm = named(native, "dbutils.fs.rm", {"path dir: string", "recurse: any?"}, files.rm)
  --- dbutils.fs.mkdirs(path: string) -> boolean
  -- makes a folder and those above it
  --     dbutils.fs.mkdirs("out/day")
  fs.mkdirs = named(native, "dbutils.fs.mkdirs", {"path dir: string"}, files.mkdirs)
  --- dbutils.fs.put(path: string, contents: string, overwrite = false) -> boolean
  -- writes a text to a file
  --     dbutils.fs.put("notes.txt", "some text", true)
  fs.put = named(native, "dbutils.fs.put", {"path file: string", "contents: string", "overwrite: any?"}, files.put)
  --- dbutils.fs.head(path: string, maxBytes = 65536) -> string
  -- the beginning of a file
  --     dbutils.fs.head("notes.txt", 100)
  fs.head = named(native, "dbutils.fs.head", {"path file: string", "maxBytes max_bytes: number?"}, files.head)

  --- dbutils.fs.mounts()
  -- an empty list: there are no mounts here, paths are used as they are
  --     dbutils.fs.mounts()
  function fs.mounts() return listing({}, {"mountPoint", "source"}) end
  for _, name in ipairs {"mount", "updateMount", "unmount", "refreshMounts"} do
    fs[name] = function()
      native.raise("UNSUPPORTED", ("dbutils.fs.%s: there are no mounts here"):format(name),
        "use the path itself, or mount it with the operating system")
    end
  end

  ---- dbutils.secrets

  local secrets, sealed = {}, native.secrets

  --- module dbutils.secrets: sealed values; what was read once shows as [REDACTED] in every output

  --- dbutils.secrets.get(scope: ScopeName, key: SecretKey) -> string
  -- the value of a secret
  --     local token = dbutils.secrets.get("prod", "hub-token")
  secrets.get = named(native, "dbutils.secrets.get", {"scope: string", "key: string"}, sealed.get)
  --- dbutils.secrets.getBytes(scope: ScopeName, key: SecretKey) -> string
  -- the value of a secret, which may be any bytes
  --     #dbutils.secrets.getBytes("lake", "token")
  secrets.getBytes = secrets.get
  --- dbutils.secrets.put(scope: ScopeName, key: SecretKey, value: string, expires?: integer)
  -- seals a value, or replaces it; expires is a time in seconds, as os.time gives it. `lacus secrets put` asks for it instead
  --     dbutils.secrets.put("lake", "token", "only in a cell that nobody keeps")
  secrets.put = named(native, "dbutils.secrets.put", {"scope: string", "key: string", "value: string", "expires: number?"}, function(scope, key, value, expires)
    sealed.put(scope, key, value, expires and expires * 1000)
  end)
  --- dbutils.secrets.delete(scope: ScopeName, key: SecretKey)
  -- removes a secret
  --     dbutils.secrets.delete("prod", "token")
  secrets.delete = named(native, "dbutils.secrets.delete", {"scope: string", "key: string"}, sealed.delete)
  --- dbutils.secrets.list(scope: ScopeName)
  -- the keys of a scope, without the values
  --     dbutils.secrets.list("lake")
  secrets.list = named(native, "dbutils.secrets.list", {"scope: string"}, function(scope)
    return listing(sealed.list(scope), {"key", "version"})
  end)
  --- dbutils.secrets.listScopes()
  -- the scopes
  --     dbutils.secrets.listScopes()
  function secrets.listScopes() return listing(sealed.list(), {"name"}) end
  --- dbutils.secrets.createScope(scope: string)
  -- makes a scope
  --     dbutils.secrets.createScope("ocean")
  secrets.createScope = named(native, "dbutils.secrets.createScope", {"scope name: string"}, sealed.create_scope)
  --- dbutils.secrets.deleteScope(scope: ScopeName)
  -- removes a scope with its secrets
  --     dbutils.secrets.deleteScope("ocean")
  secrets.deleteScope = named(native, "dbutils.secrets.deleteScope", {"scope name: string"}, sealed.delete_scope)

  ---- dbutils.notebook

  local notebook = {}

  --- module dbutils.notebook: other notebooks, and the end of this one

  --- dbutils.notebook.run(path: string, timeout = 0, arguments?: {[string]: string}) -> string
  -- runs a notebook in a process of its own and gives what it handed to exit (nil: nothing); the path is that of the calling
  -- notebook's folder, else of the working folder; timeout in seconds, 0 for none
  --     local rows = dbutils.notebook.run("prepare", 600, {day = "2026-01-31"})
  notebook.run = named(native, "dbutils.notebook.run", {"path: string", "timeoutSeconds timeout_seconds timeout: number?", "arguments args: table?"}, native.run)
  --- dbutils.notebook.exit(value?: string)
  -- ends the notebook here, well; the value goes to who ran it
  --     dbutils.notebook.exit("3 rows")
  notebook.exit = named(native, "dbutils.notebook.exit", {"value: any?"}, function(value) native.exit(value ~= nil and tostring(value) or nil) end)

  ---- dbutils.library

  local library = {}

  --- module dbutils.library: libraries, and starting anew

  --- dbutils.library.restartPython()
  -- ends the Python of %%python cells; the next one starts anew, with what %pip has installed
  --     dbutils.library.restartPython()
  function library.restartPython() native.restart_python() end
  --- dbutils.library.restart()
  -- forgets what cells have defined, the modules they required, and Python; widgets and parameters stay
  --     dbutils.library.restart()
  function library.restart() native.restart() end
  for _, name in ipairs {"install", "installPyPI", "updateCondaEnv"} do
    library[name] = function()
      native.raise("UNSUPPORTED", ("dbutils.library.%s is gone, as on Databricks"):format(name),
        "%pip install NAME for %%python cells, %luarocks install NAME for Lua")
    end
  end
  --- dbutils.library.updateCondaEnv()
  -- not here: %pip

  dbutils.fs = with_help(fs, "dbutils.fs")
  dbutils.secrets = with_help(secrets, "dbutils.secrets")
  dbutils.notebook = with_help(notebook, "dbutils.notebook")
  dbutils.library = with_help(library, "dbutils.library")

  --- dbutils.help(name?: string)
  -- what dbutils has, or one part of it: dbutils.help("fs"), dbutils.fs.help("cp")
  --     dbutils.help("fs")
  function dbutils.help(name)
    if name then
      if name == "widgets" then return dbutils.widgets.help() end
      return help_of("dbutils." .. tostring(name):gsub("^dbutils%.", ""))
    end
    local docs = {widgets = "parameters of a notebook, as controls"}
    local lines = {"dbutils: tools of a notebook"}
    for _, part in ipairs(order) do
      lines[#lines + 1] = ("  %-10s %s"):format(part, docs[part] or native.topic("dbutils." .. part))
    end
    lines[#lines + 1] = "dbutils.fs.help() tells more, dbutils.fs.help(\"cp\") about one function."
    print(table.concat(lines, "\n"))
  end
end

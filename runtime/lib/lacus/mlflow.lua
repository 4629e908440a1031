-- mlflow: experiments, runs and models in MLflow's words, over the functions of runtime/mlflow/mlflow_lua.c.
-- Every function takes positions, as in Python, or one table with names.
--- module mlflow: experiments, runs and registered models, in MLflow's words
--- mlflow.data: table
-- MLflow's name for data sets; mlflow.log_input takes a table or its name
--- mlflow.entities: table
-- MLflow's name for what its functions return
--- mlflow.exceptions: table
-- MLflow's name for its errors; here an error has code, message and hint
return function(native)
local mlflow = { artifacts = {}, transformers = {}, peft = {}, pyfunc = {}, data = {}, entities = {}, exceptions = {} }
local experiment_id            -- of set_experiment
local active = {}              -- run ids, the innermost last
local null = null
local tools = require "lacus.tools"
local escape, sorted_keys = tools.html, tools.sorted_keys

---------------------------------------------------------------------------------------------------- arguments

local function given(v)
  if v == null then return nil end
  return v
end

local function index_of(list, value)
  for i, v in ipairs(list) do
    if v == value then return i end
  end
end

-- A table of names and values, without a class of its own.
local function is_plain(t)
  return type(t) == "table" and getmetatable(t) == nil and t[1] == nil and next(t) ~= nil
end

local function all_known(t, names)
  for key in pairs(t) do
    if not index_of(names, key) then return false end
  end
  return true
end

-- args("log_metric", {"key", "value"}, false, ...) → the values in the order of the names. The last argument may be a
-- table with the names of the others. Where the first argument is a table itself (log_params{lr = 1}), a table alone
-- holds names only if that one's is among them.
local function args(what, names, first_is_table, ...)
  local values = table.pack(...)
  local n = values.n
  local last = values[n]
  if n > #names + (is_plain(last) and 1 or 0) then
    native.raise("ARG", ("%s takes at most %d arguments"):format(what, #names))
  end
  local named = is_plain(last) and (n > 1 and all_known(last, names)
    or n == 1 and (first_is_table and type(last[names[1]]) == "table" or not first_is_table))
  if n == 1 and not first_is_table and type(last) == "table" and next(last) == nil and getmetatable(last) == nil then
    named = true -- f{}: no argument at all
  end
  if named then
    values[n] = nil
    for key, value in pairs(last) do
      local at = index_of(names, key)
      if not at then native.no_argument(what, tostring(key), names) end
      values[at] = value
    end
  end
  for i = 1, #names do values[i] = given(values[i]) end
  return table.unpack(values, 1, #names)
end

local function need(what, name, value)
  if value == nil then native.raise("ARG", ("%s needs the argument '%s'"):format(what, name)) end
  return value
end

local function text_of(value)
  if type(value) == "string" then return value end
  if value == nil or value == null then return "None" end
  if type(value) == "table" and ((getmetatable(value) or {}).__plain or not (getmetatable(value) or {}).__tostring) then return json.encode(value) end
  return tostring(value)
end

local function texts_of(t)
  local out = {}
  for k, v in pairs(t) do out[tostring(k)] = text_of(v) end
  return out
end

local function list_of(v)
  if v == nil or type(v) == "table" then return v end
  return { v }
end

---------------------------------------------------------------------------------------------------- what is shown

local function number_text(v)
  if math.type(v) == "integer" then return tostring(v) end
  return v ~= v and "nan" or ("%.6g"):format(v)
end

local function cut(s, n)
  s = tostring(s)
  if #s <= n then return s end
  local at = utf8.offset(s, 0, n) or n
  return s:sub(1, at - 1) .. "…"
end

local function table_text(rows, columns)
  local widths, lines = {}, {}
  for c, name in ipairs(columns) do widths[c] = utf8.len(name) or #name end
  for _, row in ipairs(rows) do
    for c in ipairs(columns) do widths[c] = math.max(widths[c], utf8.len(row[c]) or #row[c]) end
  end
  local function line(cells)
    local out = {}
    for c, cell in ipairs(cells) do out[c] = cell .. (" "):rep(widths[c] - (utf8.len(cell) or #cell)) end
    return (table.concat(out, "  "):gsub("%s+$", ""))
  end
  lines[1] = line(columns)
  for _, row in ipairs(rows) do lines[#lines + 1] = line(row) end
  return table.concat(lines, "\n")
end

local function table_html(rows, columns)
  local out = { "<table><thead><tr>" }
  for _, name in ipairs(columns) do out[#out + 1] = require("lacus.cards").cell("th", name) end
  out[#out + 1] = "</tr></thead><tbody>"
  for _, row in ipairs(rows) do
    out[#out + 1] = "<tr>"
    for _, cell in ipairs(row) do out[#out + 1] = require("lacus.cards").cell("td", cell) end
    out[#out + 1] = "</tr>"
  end
  out[#out + 1] = "</tbody></table>"
  return table.concat(out)
end

---------------------------------------------------------------------------------------------------- documents

local function map_of(list)
  local out = {}
  for _, item in ipairs(list or {}) do out[item.key] = item.value end
  return out
end

local special = { NaN = 0 / 0, Infinity = math.huge, ["-Infinity"] = -math.huge }

local function duration(info)
  local ms = (info.end_time or native.now()) - info.start_time
  if ms < 1000 then return ("%d ms"):format(ms) end
  if ms < 60000 then return ("%.1f s"):format(ms / 1000) end
  return ("%d min %d s"):format(ms // 60000, ms % 60000 // 1000)
end

--- class Run: one run; shown as a card. run["metrics.loss"], run.run_id
--- Run.info: {run_id: string, run_name: string, experiment_id: string, status: string, start_time: integer, end_time: integer, user_id: string, artifact_uri: string, lifecycle_stage: string}
-- what the run is
--- Run.data: {params: table, metrics: table, tags: table}
-- what was logged
--- Run.inputs: table
-- what it has read
local Run = { __name = "Run" }

-- run.info.run_id, and, as in a row of search_runs: run.run_id, run["metrics.loss"]
function Run.__index(run, key)
  if type(key) ~= "string" then return nil end
  local group, name = key:match("^(%a+)%.(.+)$")
  if group == "metrics" or group == "params" or group == "tags" then return rawget(run, "data")[group][name] end
  return rawget(run, "info")[key]
end

local function inputs_text(run)
  local out = {}
  for _, input in ipairs(run.inputs.dataset_inputs) do
    local d = input.dataset
    out[#out + 1] = d.digest ~= "" and ("%s@v%s"):format(d.name, d.digest) or d.name
  end
  return table.concat(out, ", ")
end

local function card_rows(run)
  local rows = {}
  local function add(name, value) if value and value ~= "" then rows[#rows + 1] = { name, cut(value, 200) } end end
  add("run", ("%s (%s)"):format(run.info.run_name, run.info.run_id))
  add("status", ("%s, %s"):format(run.info.status, duration(run.info)))
  add("by", run.info.user_id)
  add("source", run.data.tags["mlflow.source.name"])
  add("commit", (run.data.tags["mlflow.source.git.commit"] or ""):sub(1, 12))
  add("inputs", inputs_text(run))
  add("damaged metric lines", run.data.tags["lacus.damaged_metric_lines"])
  return rows
end

function Run.__tostring(run)
  local lines = {}
  for _, row in ipairs(card_rows(run)) do lines[#lines + 1] = ("%-8s %s"):format(row[1], row[2]) end
  for _, group in ipairs { "params", "metrics" } do
    for _, key in ipairs(sorted_keys(run.data[group])) do
      local v = run.data[group][key]
      lines[#lines + 1] = ("  %s.%s = %s"):format(group, key, type(v) == "number" and number_text(v) or cut(v, 60))
    end
  end
  return table.concat(lines, "\n")
end

function Run.__mimebundle(run)
  local colour = ({ FINISHED = "#2e7d32", FAILED = "#c62828", KILLED = "#c62828" })[run.info.status] or "#1565c0"
  local out = { ('<div style="border-left:4px solid %s;padding:4px 12px;font-family:sans-serif">'):format(colour) }
  for _, row in ipairs(card_rows(run)) do
    out[#out + 1] = ('<div><span style="color:#777;display:inline-block;width:5em">%s</span>%s</div>'):format(escape(row[1]), escape(row[2]))
  end
  for _, group in ipairs { "params", "metrics" } do
    local keys = sorted_keys(run.data[group])
    if #keys > 0 then
      out[#out + 1] = '<table style="display:inline-table;vertical-align:top;margin:6px 12px 0 0"><thead><tr><th style="text-align:left">' .. group .. "</th><th></th></tr></thead><tbody>"
      for i = 1, math.min(#keys, 50) do
        local v = run.data[group][keys[i]]
        out[#out + 1] = ("<tr>%s%s</tr>"):format(require("lacus.cards").cell("th", keys[i]), require("lacus.cards").cell("td", type(v) == "number" and number_text(v) or cut(v, 60)))
      end
      out[#out + 1] = "</tbody></table>"
    end
  end
  local drawn, sparks = require("lacus.cards").curves({ run }, native.history)
  out[#out + 1] = drawn .. "</div>"
  return { ["text/plain"] = Run.__tostring(run) .. (sparks ~= "" and "\n" .. sparks or ""), ["text/html"] = table.concat(out) }
end

local function to_run(doc)
  local metrics = {}
  for _, m in ipairs(doc.data.metrics) do metrics[m.key] = special[m.value] or m.value end
  return setmetatable({
    info = json.object(doc.info),
    data = json.object { metrics = json.object(metrics), params = json.object(map_of(doc.data.params)), tags = json.object(map_of(doc.data.tags)) },
    inputs = doc.inputs,
  }, Run)
end

--- class Runs: a list of runs, shown as a table
local Runs = { __name = "Runs" }
Runs.__index = Runs

local function runs_columns(runs)
  local seen, columns = {}, { "run_name", "status" }
  for _, group in ipairs { "metrics", "params" } do
    local names = {}
    for _, run in ipairs(runs) do
      for key in pairs(run.data[group]) do names[group .. "." .. key] = true end
    end
    for _, name in ipairs(sorted_keys(names)) do
      if #columns < 12 and not seen[name] then columns[#columns + 1] = name end
      seen[name] = true
    end
  end
  columns[#columns + 1] = "start_time"
  columns[#columns + 1] = "run_id"
  return columns
end

local function runs_rows(runs, columns)
  local rows = {}
  for i = 1, math.min(#runs, 100) do
    local row = {}
    for c, name in ipairs(columns) do
      local v = runs[i][name]
      if name == "start_time" then v = native.time_text(v) end
      row[c] = v == nil and "" or type(v) == "number" and number_text(v) or cut(v, 40)
    end
    rows[i] = row
  end
  return rows
end

function Runs.__tostring(runs)
  if #runs == 0 then return "no runs" end
  local columns = runs_columns(runs)
  return table_text(runs_rows(runs, columns), columns) .. (#runs > 100 and ("\n… %d runs"):format(#runs) or "")
end

function Runs.__mimebundle(runs)
  local columns = runs_columns(runs)
  local drawn = #runs <= 10 and require("lacus.cards").curves(runs, native.history) or ""
  return { ["text/plain"] = Runs.__tostring(runs), ["text/html"] = table_html(runs_rows(runs, columns), columns) .. drawn }
end

--- class Experiment: an experiment
--- Experiment.experiment_id: string
-- its id
--- Experiment.name: string
-- its name
--- Experiment.lifecycle_stage: string
-- "active" or "deleted"
--- Experiment.tags: table
-- by key
local Experiment = { __name = "Experiment" }
Experiment.__index = Experiment
function Experiment.__tostring(e) return ("experiment '%s' (id %s, %s)"):format(e.name, e.experiment_id, e.lifecycle_stage) end

-- a card: what it is, and its latest runs
function Experiment.__mimebundle(e)
  local runs = mlflow.search_runs { experiment_ids = { e.experiment_id }, max_results = 10 }
  local shown = #runs > 0 and Runs.__mimebundle(runs) or { ["text/plain"] = "no runs", ["text/html"] = "no runs" }
  return { ["text/plain"] = Experiment.__tostring(e) .. "\n" .. shown["text/plain"],
    ["text/html"] = ('<div style="border-left:4px solid #1565c0;padding:4px 12px;font-family:sans-serif"><b>%s</b> <small>experiment %s, %s</small>%s</div>')
      :format(escape(e.name), escape(e.experiment_id), escape(e.lifecycle_stage), shown["text/html"]) }
end

local function to_experiment(doc)
  if not doc then return nil end
  doc.tags = map_of(doc.tags)
  return setmetatable(doc, Experiment)
end

--- class ModelVersion: one version of a registered model
--- ModelVersion.name: string
-- of the model
--- ModelVersion.version: string
-- its number
--- ModelVersion.source: string
-- where it came from
--- ModelVersion.aliases: {string, …}
-- its aliases
--- ModelVersion.tags: table
-- by key
local ModelVersion = { __name = "ModelVersion" }
ModelVersion.__index = ModelVersion
function ModelVersion.__tostring(v)
  local also = #v.aliases > 0 and (" @" .. table.concat(v.aliases, " @")) or ""
  return ("model '%s' version %s%s (%s)"):format(v.name, v.version, also, v.source)
end
local function to_version(doc)
  doc.tags = map_of(doc.tags)
  return setmetatable(doc, ModelVersion)
end

--- class RegisteredModel: a registered model
--- RegisteredModel.name: string
-- catalog.schema.model
--- RegisteredModel.aliases: table
-- version by alias
--- RegisteredModel.latest_versions: {ModelVersion, …}
-- the latest first
--- RegisteredModel.tags: table
-- by key
local RegisteredModel = { __name = "RegisteredModel" }
RegisteredModel.__index = RegisteredModel
function RegisteredModel.__tostring(m)
  local out = {}
  for _, alias in ipairs(sorted_keys(m.aliases)) do out[#out + 1] = ("@%s → %s"):format(alias, m.aliases[alias]) end
  local latest = m.latest_versions[1]
  return ("registered model '%s'%s%s"):format(m.name, latest and ", latest version " .. latest.version or ", no version",
    #out > 0 and ", " .. table.concat(out, ", ") or "")
end
local function to_model(doc)
  doc.tags = map_of(doc.tags)
  local aliases = {}
  for _, a in ipairs(doc.aliases) do aliases[a.alias] = a.version end
  doc.aliases = aliases
  for i, v in ipairs(doc.latest_versions) do doc.latest_versions[i] = to_version(v) end
  return setmetatable(doc, RegisteredModel)
end

local List = { __name = "List" }
function List.__tostring(list)
  local out = {}
  for i, item in ipairs(list) do out[i] = tostring(item) end
  return #out == 0 and "none" or table.concat(out, "\n")
end

-- All pages of a search, or max_results of them.
local function search_all(search, name, convert, filter, order_by, max_results, view, experiments, meta)
  local out, token = {}, nil
  repeat
    local left = max_results and max_results - #out or 0
    local page = search(filter, list_of(order_by), left, view, token, experiments)
    for _, doc in ipairs(page[name]) do out[#out + 1] = convert(doc) end
    token = page.next_page_token
  until not token or (max_results and #out >= max_results)
  return setmetatable(out, meta or List)
end

---------------------------------------------------------------------------------------------------- experiments

local function current_experiment()
  if not experiment_id then
    local id, name = os.getenv("MLFLOW_EXPERIMENT_ID"), os.getenv("MLFLOW_EXPERIMENT_NAME")
    if id then
      experiment_id = native.get_experiment(id).experiment_id
    elseif name then
      experiment_id = (native.get_experiment(nil, name, true) or native.create_experiment(name)).experiment_id
    else
      experiment_id = "0"
    end
  end
  return experiment_id
end

--- mlflow.set_experiment{experiment_name?: string, experiment_id?: string} -> Experiment
-- the experiment that runs started from now on belong to; made when there is none of that name
--     mlflow.set_experiment("/Users/me/llm-fine-tuning")
function mlflow.set_experiment(...)
  local name, id = args("set_experiment", { "experiment_name", "experiment_id" }, false, ...)
  if not name and not id then need("set_experiment", "experiment_name") end
  local e = native.get_experiment(id and tostring(id), name, id == nil)
  if not e then
    -- another process may have made it in between
    local ok, made = pcall(native.create_experiment, name)
    e = ok and made or native.get_experiment(nil, name)
  end
  if e.lifecycle_stage ~= "active" then
    native.raise("ARG", ("cannot set the deleted experiment '%s' as the active experiment"):format(e.name),
      ("restore it: mlflow.MlflowClient():restore_experiment(%q)"):format(e.experiment_id))
  end
  experiment_id = e.experiment_id
  return to_experiment(e)
end

--- mlflow.create_experiment{name: string, artifact_location?: string, tags?: table} -> string
-- makes an experiment; its id
--     local id = mlflow.create_experiment("first", nil, {team = "a"})
function mlflow.create_experiment(...)
  local name, location, tags = args("create_experiment", { "name", "artifact_location", "tags" }, false, ...)
  local e = native.create_experiment(need("create_experiment", "name", name), location)
  for k, v in pairs(tags or {}) do native.tag_experiment(e.experiment_id, k, text_of(v)) end
  return e.experiment_id
end

--- mlflow.get_experiment(experiment_id: string) -> Experiment
-- an experiment by its id
--     mlflow.get_experiment("0").name
function mlflow.get_experiment(...)
  local id = args("get_experiment", { "experiment_id" }, false, ...)
  return to_experiment(native.get_experiment(tostring(need("get_experiment", "experiment_id", id))))
end

--- mlflow.get_experiment_by_name(name: string) -> Experiment
-- an experiment by its name; nil when there is none
--     mlflow.get_experiment_by_name("Default")
function mlflow.get_experiment_by_name(...)
  local name = args("get_experiment_by_name", { "name" }, false, ...)
  return to_experiment(native.get_experiment(nil, need("get_experiment_by_name", "name", name), true))
end

--- mlflow.search_experiments{view_type?: string, max_results?: integer, filter_string?: string, order_by?: table} -> {Experiment, …}
-- experiments that a filter finds
--     mlflow.search_experiments{filter_string = "name LIKE 'llm%'"}
function mlflow.search_experiments(...)
  local view, max, filter, order = args("search_experiments", { "view_type", "max_results", "filter_string", "order_by" }, false, ...)
  return search_all(native.search_experiments, "experiments", to_experiment, filter, order, max, view)
end

--- mlflow.delete_experiment(experiment_id: string)
-- marks an experiment as deleted; restore_experiment of the client brings it back
--     mlflow.delete_experiment(experiment_id)
function mlflow.delete_experiment(...)
  local id = args("delete_experiment", { "experiment_id" }, false, ...)
  native.update_experiment(tostring(need("delete_experiment", "experiment_id", id)), nil, "deleted")
end

--- mlflow.set_experiment_tag(key: string, value: any)
-- a tag of the active experiment
--     mlflow.set_experiment_tag("team", "lake")
function mlflow.set_experiment_tag(...)
  local key, value = args("set_experiment_tag", { "key", "value" }, false, ...)
  native.tag_experiment(current_experiment(), need("set_experiment_tag", "key", key), text_of(value))
end

---------------------------------------------------------------------------------------------------- runs

local function run_of(id) return to_run(native.get_run(id)) end

--- mlflow.active_run() -> Run
-- the run that is logged to; nil when none is active
--     mlflow.active_run()
function mlflow.active_run()
  return active[#active] and run_of(active[#active]) or nil
end

local function push(id)
  native.push_active(id)
  active[#active + 1] = id
end

local start_names = { "run_id", "experiment_id", "run_name", "nested", "parent_run_id", "tags", "description", "log_system_metrics" }

--- mlflow.start_run{run_id?: string, experiment_id?: string, run_name?: string, nested = false, parent_run_id?: string, tags?: table, description?: string, log_system_metrics?: boolean} -> Run
-- starts a run, or goes on with one; it stays active until mlflow.end_run(), over cells
--     mlflow.start_run{run_name = "sft-v1"}
function mlflow.start_run(...)
  local id, experiment, name, nested, parent, tags, description = args("start_run", start_names, false, ...)
  if #active > 0 and not nested then
    native.raise("ARG", ("run with UUID %s is already active"):format(active[#active]),
      "end it with mlflow.end_run(), or start a nested one: mlflow.start_run{nested = true}")
  end
  if id then
    native.update_run(id, "RUNNING", name)
    if tags then native.set_tags(id, texts_of(tags)) end
  else
    local all = tags and texts_of(tags) or {}
    if nested and #active > 0 and not parent then parent = active[#active] end
    all["mlflow.parentRunId"] = parent
    all["mlflow.note.content"] = description
    local doc = native.create_run(experiment and tostring(experiment) or current_experiment(), name, all)
    id = doc.info.run_id
  end
  push(id)
  return run_of(id)
end

local function end_of(id, status)
  for i, other in ipairs(active) do
    if other == id then
      for j = #active, i, -1 do active[j] = nil end
    end
  end
  native.pop_active(id)
  native.update_run(id, status, nil, true)
end

--- mlflow.end_run(status = "FINISHED")
-- ends the active run: FINISHED, FAILED or KILLED
--     mlflow.end_run()
function mlflow.end_run(...)
  local status = args("end_run", { "status" }, false, ...)
  local id = active[#active]
  if id then end_of(id, status or "FINISHED") end
end

-- mlflow.run("name", function(run) … end): the run ends with the function; it has FAILED when the function raises.
--- mlflow.run(options: string|table, fn: function)
-- a run for the time of a function: FAILED when it raises
--     mlflow.run("sft-v1", function(run) mlflow.log_metric("loss", 0.5) end)
function mlflow.run(options, fn)
  if type(options) == "function" then options, fn = {}, options end
  if type(options) == "string" then options = { run_name = options } end
  if type(fn) ~= "function" then native.raise("ARG", "mlflow.run needs a function: mlflow.run(\"name\", function(run) … end)") end
  local with = {}
  for k, v in pairs(options) do with[k] = v end
  if #active > 0 and with.nested == nil then with.nested = true end
  local run = mlflow.start_run(with)
  local done = false
  local guard <close> = setmetatable({}, {
    __close = function() end_of(run.info.run_id, done and "FINISHED" or "FAILED") end,
  })
  local results = table.pack(fn(run))
  done = true
  return table.unpack(results, 1, results.n)
end

-- The run that is logged to: the active one; one is started when there is none.
local function current_run()
  if #active == 0 then mlflow.start_run() end
  return active[#active]
end

--- mlflow.get_run(run_id: string) -> Run
-- a run with its parameters, metrics and tags
--     mlflow.get_run(run_id).data.metrics
function mlflow.get_run(...)
  local id = args("get_run", { "run_id" }, false, ...)
  return run_of(need("get_run", "run_id", id))
end

--- mlflow.get_parent_run(run_id: string) -> Run
-- the run that a nested run belongs to; nil when it is not nested
--     mlflow.get_parent_run(run_id)
function mlflow.get_parent_run(...)
  local id = args("get_parent_run", { "run_id" }, false, ...)
  local parent = run_of(need("get_parent_run", "run_id", id)).data.tags["mlflow.parentRunId"]
  return parent and run_of(parent)
end

--- mlflow.delete_run(run_id: string)
-- marks a run as deleted
--     mlflow.delete_run(run_id)
function mlflow.delete_run(...)
  local id = args("delete_run", { "run_id" }, false, ...)
  native.set_stage(need("delete_run", "run_id", id), "deleted")
end

local search_names = { "experiment_ids", "filter_string", "run_view_type", "max_results", "order_by", "output_format",
  "search_all_experiments", "experiment_names" }

--- mlflow.search_runs{experiment_ids?: table, filter_string?: string, run_view_type?: string, max_results?: integer, order_by?: table, search_all_experiments?: boolean, experiment_names?: table} -> Runs
-- runs that a filter finds, shown as a table; of the active experiment unless others are named
--     mlflow.search_runs{filter_string = "metrics.loss < 0.5", order_by = {"metrics.loss ASC"}}
function mlflow.search_runs(...)
  local ids, filter, view, max, order, _, everywhere, names = args("search_runs", search_names, false, ...)
  local experiments = {}
  for _, id in ipairs(list_of(ids) or {}) do experiments[#experiments + 1] = tostring(id) end
  for _, name in ipairs(list_of(names) or {}) do
    experiments[#experiments + 1] = native.get_experiment(nil, name).experiment_id
  end
  if #experiments == 0 and not everywhere then experiments[1] = current_experiment() end
  return search_all(native.search_runs, "runs", to_run, filter, order, max, view, experiments, Runs)
end

---------------------------------------------------------------------------------------------------- logging

--- mlflow.log_metric(key: string, value: number, step?: integer, timestamp?: integer, run_id?: string)
-- a value of the active run; one is started when there is none
--     mlflow.log_metric("loss", 0.5, 10)
function mlflow.log_metric(...)
  local key, value, step, more = ...
  if type(key) == "string" and type(value) == "number" and type(step) ~= "table" and more == nil then
    return native.log_metric(active[#active] or current_run(), key, value, step)
  end
  local k, v, at, _, timestamp, run = args("log_metric", { "key", "value", "step", "synchronous", "timestamp", "run_id" }, false, ...)
  native.log_metric(run or current_run(), need("log_metric", "key", k), need("log_metric", "value", v), at, timestamp)
end

--- mlflow.log_metrics(metrics: table, step?: integer, run_id?: string, timestamp?: integer)
-- several values at once
--     mlflow.log_metrics({loss = 0.5, accuracy = 0.9}, 10)
function mlflow.log_metrics(...)
  local metrics, step, _, run, timestamp = args("log_metrics", { "metrics", "step", "synchronous", "run_id", "timestamp" }, true, ...)
  native.log_metrics(run or current_run(), need("log_metrics", "metrics", metrics), step, timestamp)
end

--- mlflow.log_param(key: string, value: any)
-- a parameter of the active run; it cannot be changed
--     mlflow.log_param("lr", 2e-4)
function mlflow.log_param(...)
  local key, value = args("log_param", { "key", "value", "synchronous" }, false, ...)
  native.log_params(current_run(), { [need("log_param", "key", key)] = text_of(value) })
  return value
end

--- mlflow.log_params(params: table, run_id?: string)
-- several parameters at once
--     mlflow.log_params{lr = 2e-4, epochs = 3}
function mlflow.log_params(...)
  local params, _, run = args("log_params", { "params", "synchronous", "run_id" }, true, ...)
  native.log_params(run or current_run(), texts_of(need("log_params", "params", params)))
end

--- mlflow.set_tag(key: string, value: any)
-- a tag of the active run
--     mlflow.set_tag("stage", "draft")
function mlflow.set_tag(...)
  local key, value = args("set_tag", { "key", "value", "synchronous" }, false, ...)
  native.set_tags(current_run(), { [need("set_tag", "key", key)] = text_of(value) })
end

--- mlflow.set_tags(tags: table)
-- several tags at once
--     mlflow.set_tags{stage = "draft", owner = "me"}
function mlflow.set_tags(...)
  local tags = args("set_tags", { "tags", "synchronous" }, true, ...)
  native.set_tags(current_run(), texts_of(need("set_tags", "tags", tags)))
end

--- mlflow.delete_tag(key: string)
-- removes a tag of the active run
--     mlflow.delete_tag("stage")
function mlflow.delete_tag(...)
  local key = args("delete_tag", { "key" }, false, ...)
  native.delete_tag(current_run(), need("delete_tag", "key", key))
end

--- mlflow.log_artifact(local_path: Path, artifact_path?: string, run_id?: string)
-- keeps a file with the run
--     mlflow.log_artifact("notes.txt", "texts")
function mlflow.log_artifact(...)
  local path, to, run = args("log_artifact", { "local_path", "artifact_path", "run_id" }, false, ...)
  native.put_artifact(run or current_run(), need("log_artifact", "local_path", path), to)
end

--- mlflow.log_artifacts(local_dir: Path, artifact_path?: string, run_id?: string)
-- keeps the files of a folder with the run
--     mlflow.log_artifacts("out/day", "days")
function mlflow.log_artifacts(...)
  local path, to, run = args("log_artifacts", { "local_dir", "artifact_path", "run_id" }, false, ...)
  native.put_artifact(run or current_run(), need("log_artifacts", "local_dir", path), to)
end

--- mlflow.log_text(text: string, artifact_file: string, run_id?: string)
-- keeps a text as a file
--     mlflow.log_text("hello", "notes/hello.txt")
function mlflow.log_text(...)
  local text, file, run = args("log_text", { "text", "artifact_file", "run_id" }, false, ...)
  native.put_text(run or current_run(), need("log_text", "artifact_file", file), need("log_text", "text", text))
end

-- JSON is YAML too, so .yaml files hold it as well.
--- mlflow.log_dict(dictionary: table, artifact_file: string, run_id?: string)
-- keeps a table as a JSON file
--     mlflow.log_dict({threshold = 0.5}, "config.json")
function mlflow.log_dict(...)
  local dictionary, file, run = args("log_dict", { "dictionary", "artifact_file", "run_id" }, true, ...)
  native.put_text(run or current_run(), need("log_dict", "artifact_file", file),
    json.encode(need("log_dict", "dictionary", dictionary)))
end

-- A dataframe, a table's name, or {name =, digest =, source =}.
--- mlflow.log_input(dataset: string|table, context?: string)
-- notes what the run has read: a table's name, or {name =, version =}
--     mlflow.log_input("people", "training")
function mlflow.log_input(...)
  local dataset, context = args("log_input", { "dataset", "context", "tags" }, false, ...)
  need("log_input", "dataset", dataset)
  if type(dataset) == "string" then dataset = { name = dataset } end
  local name = need("log_input", "dataset.name", dataset.name)
  local version = dataset.version or dataset.digest
  native.log_input(current_run(), name, version and tostring(version) or "", dataset.version and "delta_table" or "table",
    json.encode { table = name, version = dataset.version }, context)
end

--- mlflow.get_artifact_uri(artifact_path?: string) -> string
-- where the files of the active run are
--     mlflow.get_artifact_uri("texts")
function mlflow.get_artifact_uri(...)
  local path = args("get_artifact_uri", { "artifact_path" }, false, ...)
  local uri = run_of(current_run()).info.artifact_uri
  return path and uri .. "/" .. path or uri
end

local function download(uri, run, path)
  if uri then return native.resolve(uri) end
  return native.artifact_path(need("download_artifacts", "run_id", run), path)
end

--- mlflow.artifacts.download_artifacts{artifact_uri?: string, run_id?: string, artifact_path?: string} -> string
-- the path of a run's files on this machine
--     mlflow.artifacts.download_artifacts{run_id = run_id, artifact_path = "config.json"}
function mlflow.artifacts.download_artifacts(...)
  local uri, run, path = args("download_artifacts", { "artifact_uri", "run_id", "artifact_path", "dst_path" }, false, ...)
  return download(uri, run, path)
end

--- mlflow.artifacts.list_artifacts{artifact_uri?: string, run_id?: string, artifact_path?: string} -> {table, …}
-- the files of a run: {path =, is_dir =, file_size =}
--     mlflow.artifacts.list_artifacts{run_id = run_id}
function mlflow.artifacts.list_artifacts(...)
  local uri, run, path = args("list_artifacts", { "artifact_uri", "run_id", "artifact_path" }, false, ...)
  if uri then run, path = uri:match("^runs:/(%x+)/?(.*)$") end
  return native.list_artifacts(need("list_artifacts", "run_id", run), path)
end

--- mlflow.artifacts.load_text(artifact_uri: string) -> string
-- the text of a file of a run
--     mlflow.artifacts.load_text("runs:/" .. run_id .. "/notes/readme.txt")
function mlflow.artifacts.load_text(...)
  local uri = args("load_text", { "artifact_uri" }, false, ...)
  local file <close> = assert(io.open(download(need("load_text", "artifact_uri", uri)), "rb"))
  return file:read("a")
end

--- mlflow.artifacts.load_dict(artifact_uri: string) -> table
-- the table in a JSON file of a run
--     mlflow.artifacts.load_dict("runs:/" .. run_id .. "/config.json").threshold
function mlflow.artifacts.load_dict(...)
  return json.decode(mlflow.artifacts.load_text(...))
end

---------------------------------------------------------------------------------------------------- models

-- A model is an object of its schema, as in Unity Catalog; the schemas of a server's session are the server's.
local function need_schema(name)
  local there, session = pcall(require, "spark")
  if not there or tostring(session):find("embedded", 1, true) then native.need_schema(name) end
end

--- mlflow.register_model(model_uri: string, name: string, tags?: table, run_id?: string) -> ModelVersion
-- a model of a run or a folder becomes a version of a registered model
--     local v = mlflow.register_model("runs:/0123456789abcdef0123456789abcdef/model", "main.llm.sft")
function mlflow.register_model(...)
  local uri, name, _, tags, run = args("register_model", { "model_uri", "name", "await_registration_for", "tags", "run_id" }, false, ...)
  need_schema(need("register_model", "name", name))
  return to_version(native.create_version(name, need("register_model", "model_uri", uri),
    run, nil, tags and texts_of(tags)))
end

--- class ModelInfo: a model that was logged
--- ModelInfo.model_uri: string
-- runs:/ID/PATH
--- ModelInfo.run_id: string
-- of its run
--- ModelInfo.registered_model_version: string
-- when it was registered, too
local ModelInfo = { __name = "ModelInfo" }
ModelInfo.__index = ModelInfo
function ModelInfo.__tostring(m) return ("logged model %s"):format(m.model_uri) end

local function save_to(model, folder)
  local saves = (type(model) == "table" or type(model) == "userdata") and (model.save_pretrained or model.save)
  if not saves then
    native.raise("ARG", ("cannot log a %s as a model"):format(type(model)),
      "give the folder of a model, or an object with the method save_pretrained")
  end
  saves(model, folder)
end

-- A folder, an object with save_pretrained, or {model = …, tokenizer = …}.
local function log_model(...)
  local model, path, registered, tags, name = args("log_model",
    { "model", "artifact_path", "registered_model_name", "tags", "name", "transformers_model", "lora_config", "input_example",
      "signature", "task", "metadata", "await_registration_for", "pip_requirements" }, false, ...)
  local run = current_run()
  path = name or path or "model"
  if type(model) == "string" then
    native.put_artifact(run, native.resolve(model), path)
  else
    local parts = type(model) == "table" and getmetatable(model) == nil and model.model and model or { model = model }
    local folder = os.tmpname()
    os.remove(folder)
    local guard <close> = setmetatable({}, { __close = function() os.execute("rm -rf '" .. folder .. "'") end })
    save_to(parts.model, folder)
    if parts.tokenizer then save_to(parts.tokenizer, folder) end
    native.put_artifact(run, folder, path)
  end
  local info = setmetatable({ model_uri = ("runs:/%s/%s"):format(run, path), run_id = run, artifact_path = path }, ModelInfo)
  if registered then
    info.registered_model_version = mlflow.register_model(info.model_uri, registered, nil, tags).version
  end
  return info
end

local function log_transformers(t, ...)
  if is_plain(t) and t.transformers_model ~= nil and select("#", ...) == 0 then
    local with = {}
    for k, v in pairs(t) do with[k] = v end
    with.model, with.transformers_model = t.transformers_model, nil
    return log_model(with)
  end
  return log_model(t, ...)
end

local function load_model(...)
  local uri, options = args("load_model", { "model_uri", "options" }, false, ...)
  return require("llm").load(need("load_model", "model_uri", uri), options)
end

--- mlflow.log_model(model: string|table, artifact_path?: string, registered_model_name?: string, tags?: table, name?: string, metadata?: table) -> ModelInfo
-- keeps a model with the run: a folder, an object with save_pretrained, or {model =, tokenizer =}
--     mlflow.log_model("out/sft", "model")
--- mlflow.load_model(model_uri: string, options?: table) -> Model
-- a model by its URI: "runs:/ID/model", "models:/NAME@ALIAS" or a folder
--     mlflow.load_model("models:/sft@champion")
--- mlflow.transformers.log_model(model: string|table, artifact_path?: string, registered_model_name?: string, tags?: table, name?: string, metadata?: table) -> ModelInfo
-- keeps a model with the run: a folder, an object with save_pretrained, or {model =, tokenizer =}
--     local info = mlflow.transformers.log_model{transformers_model = "out/sft", name = "model"}
--- mlflow.transformers.load_model(model_uri: string, options?: table) -> Model
-- a model by its URI: "runs:/ID/model", "models:/NAME@ALIAS" or a folder
--     mlflow.transformers.load_model("models:/sft/1")
--- mlflow.peft.log_model(model: string|table, artifact_path?: string, registered_model_name?: string, tags?: table, name?: string, metadata?: table) -> ModelInfo
-- keeps a model with the run: a folder, an object with save_pretrained, or {model =, tokenizer =}
--     mlflow.peft.log_model("out/sft", "model")
--- mlflow.peft.load_model(model_uri: string, options?: table) -> Model
-- a model by its URI: "runs:/ID/model", "models:/NAME@ALIAS" or a folder
--     mlflow.peft.load_model("runs:/" .. run_id .. "/model")
--- mlflow.pyfunc.log_model(model: string|table, artifact_path?: string, registered_model_name?: string, tags?: table, name?: string, metadata?: table) -> ModelInfo
-- keeps a model with the run: a folder, an object with save_pretrained, or {model =, tokenizer =}
--     mlflow.pyfunc.log_model("out/sft", "model")
--- mlflow.pyfunc.load_model(model_uri: string, options?: table) -> Model
-- a model by its URI: "runs:/ID/model", "models:/NAME@ALIAS" or a folder
--     mlflow.pyfunc.load_model("models:/sft@champion")
--- module mlflow.transformers: models of Hugging Face's kind
--- module mlflow.peft: adapters
--- module mlflow.pyfunc: any model
--- module mlflow.artifacts: files of runs
--- module mlflow.tracking: the client, under MLflow's name
mlflow.log_model, mlflow.load_model = log_model, load_model
mlflow.transformers.log_model, mlflow.transformers.load_model = log_transformers, load_model
mlflow.peft.log_model, mlflow.peft.load_model = log_transformers, load_model
mlflow.pyfunc.log_model, mlflow.pyfunc.load_model = log_model, load_model

---------------------------------------------------------------------------------------------------- where things go

-- This workspace is the tracking server and the registry, whatever a notebook from elsewhere calls it.
local here = { [""] = true, lacus = true, databricks = true, ["databricks-uc"] = true }

local function set_uri(what)
  return function(uri)
    if uri ~= nil and not here[uri] then
      native.raise("UNSUPPORTED", ("cannot use '%s' as %s: this lacus keeps runs and models in its own workspace"):format(tostring(uri), what),
        "leave the line out")
    end
  end
end

--- mlflow.set_tracking_uri(uri?: string)
-- "lacus", "databricks" or nothing: runs are kept in this workspace
--     mlflow.set_tracking_uri()
--- mlflow.set_registry_uri(uri?: string)
-- "lacus", "databricks-uc" or nothing: models are registered in this workspace
--     mlflow.set_registry_uri()
mlflow.set_tracking_uri = set_uri("tracking server")
mlflow.set_registry_uri = set_uri("registry")
--- mlflow.get_tracking_uri() -> string
-- where runs are kept: this workspace
--     mlflow.get_tracking_uri()
function mlflow.get_tracking_uri() return "lacus" end
--- mlflow.get_registry_uri() -> string
-- where models are registered: this workspace
--     mlflow.get_registry_uri()
function mlflow.get_registry_uri() return "lacus" end
--- mlflow.is_tracking_uri_set() -> boolean
-- true: this workspace
--     mlflow.is_tracking_uri_set()
function mlflow.is_tracking_uri_set() return true end

---------------------------------------------------------------------------------------------------- MlflowClient

--- class MlflowClient: experiments, runs and models by their ids and names
local Client = { __name = "MlflowClient" }
Client.__index = Client
function Client.__tostring() return "MlflowClient of this workspace" end
--- mlflow.MlflowClient() -> MlflowClient
-- the functions that name their run, experiment or model
--     local client = mlflow.MlflowClient()
function mlflow.MlflowClient() return setmetatable({}, Client) end
--- mlflow.tracking.MlflowClient() -> MlflowClient
-- the same as mlflow.MlflowClient
--     local client = mlflow.tracking.MlflowClient()
mlflow.tracking = { MlflowClient = mlflow.MlflowClient }

-- client:name(…) with these arguments; those after `required` may be left out.
local function method(name, names, required, fn)
  Client[name] = function(self, ...)
    if getmetatable(self) ~= Client then
      native.raise("ARG", ("%s is a method: client:%s(…)"):format(name, name))
    end
    local values = table.pack(args(name, names, false, ...))
    for i = 1, required do need(name, names[i], values[i]) end
    return fn(table.unpack(values, 1, #names))
  end
end

local function id_text(v) return v ~= nil and tostring(v) or nil end

--- MlflowClient:get_run{run_id: string} -> Run
-- a run
--     client:get_run(run_id).info.status
method("get_run", { "run_id" }, 1, run_of)
--- MlflowClient:create_run{experiment_id: string, start_time?: integer, tags?: table, run_name?: string} -> Run
-- a run that is not the active one
--     client:create_run("0", nil, {stage = "draft"}, "by hand")
method("create_run", { "experiment_id", "start_time", "tags", "run_name" }, 1, function(e, start, tags, name)
  return run_of(native.create_run(tostring(e), name, tags and texts_of(tags) or {}, start).info.run_id)
end)
--- MlflowClient:search_runs{experiment_ids: table, filter_string?: string, run_view_type?: string, max_results?: integer, order_by?: table} -> Runs
-- runs that a filter finds
--     client:search_runs({"0"}, "metrics.loss < 1")
method("search_runs", { "experiment_ids", "filter_string", "run_view_type", "max_results", "order_by", "page_token" }, 0,
  function(ids, filter, view, max, order)
    local experiments = {}
    for i, id in ipairs(list_of(ids) or {}) do experiments[i] = tostring(id) end
    return search_all(native.search_runs, "runs", to_run, filter, order, max or 1000, view, experiments, Runs)
  end)
--- MlflowClient:get_metric_history{run_id: string, key: string} -> {table, …}
-- all values of a metric: {key =, value =, step =, timestamp =}
--     client:get_metric_history(run_id, "loss")
method("get_metric_history", { "run_id", "key" }, 2, native.history)
--- MlflowClient:log_metric{run_id: string, key: string, value: number, timestamp?: integer, step?: integer}
-- a value of a run
--     client:log_metric(run_id, "loss", 0.5, nil, 1)
method("log_metric", { "run_id", "key", "value", "timestamp", "step", "synchronous" }, 3,
  function(run, key, value, timestamp, step) native.log_metric(run, key, value, step, timestamp) end)
--- MlflowClient:log_param{run_id: string, key: string, value: any}
-- a parameter of a run
--     client:log_param(run_id, "depth", 3)
method("log_param", { "run_id", "key", "value" }, 3, function(run, key, value) native.log_params(run, { [key] = text_of(value) }) end)
--- MlflowClient:log_batch{run_id: string, metrics?: table, params?: table, tags?: table}
-- many values, parameters and tags at once
--     client:log_batch{run_id = run_id, metrics = {{key = "loss", value = 0.4, step = 2}}, params = {{key = "width", value = "8"}}}
method("log_batch", { "run_id", "metrics", "params", "tags", "synchronous" }, 1, function(run, metrics, params, tags)
  local function plain(list)
    return list and list[1] and map_of(list) or list or {}
  end
  native.log_params(run, texts_of(plain(params)))
  native.set_tags(run, texts_of(plain(tags)))
  native.log_batch(run, metrics or {})
end)
--- MlflowClient:set_tag{run_id: string, key: string, value: any}
-- a tag of a run
--     client:set_tag(run_id, "stage", "draft")
method("set_tag", { "run_id", "key", "value" }, 3, function(run, key, value) native.set_tags(run, { [key] = text_of(value) }) end)
--- MlflowClient:delete_tag{run_id: string, key: string}
-- removes a tag of a run
--     client:delete_tag(run_id, "stage")
method("delete_tag", { "run_id", "key" }, 2, native.delete_tag)
--- MlflowClient:set_terminated{run_id: string, status = "FINISHED"}
-- ends a run
--     client:set_terminated(run_id)
method("set_terminated", { "run_id", "status", "end_time" }, 1, function(run, status) native.update_run(run, status or "FINISHED", nil, true) end)
--- MlflowClient:update_run{run_id: string, status?: string, name?: string}
-- another status or name
--     client:update_run(run_id, nil, "renamed")
method("update_run", { "run_id", "status", "name" }, 1, function(run, status, name) native.update_run(run, status, name) end)
--- MlflowClient:delete_run{run_id: string}
-- marks a run as deleted
--     client:delete_run(run_id)
method("delete_run", { "run_id" }, 1, function(run) native.set_stage(run, "deleted") end)
--- MlflowClient:restore_run{run_id: string}
-- a deleted run is back
--     client:restore_run(run_id)
method("restore_run", { "run_id" }, 1, function(run) native.set_stage(run, "active") end)
--- MlflowClient:log_artifact{run_id: string, local_path: Path, artifact_path?: string}
-- keeps a file with a run
--     client:log_artifact(run_id, "notes.txt")
method("log_artifact", { "run_id", "local_path", "artifact_path" }, 2, native.put_artifact)
--- MlflowClient:log_artifacts{run_id: string, local_dir: Path, artifact_path?: string}
-- keeps the files of a folder with a run
--     client:log_artifacts(run_id, "out/day", "days")
method("log_artifacts", { "run_id", "local_dir", "artifact_path" }, 2, native.put_artifact)
--- MlflowClient:log_text{run_id: string, text: string, artifact_file: string}
-- keeps a text as a file of a run
--     client:log_text(run_id, "as it was", "notes/readme.txt")
method("log_text", { "run_id", "text", "artifact_file" }, 3, function(run, text, file) native.put_text(run, file, text) end)
--- MlflowClient:log_dict{run_id: string, dictionary: table, artifact_file: string}
-- keeps a table as a JSON file of a run
--     client:log_dict(run_id, {threshold = 0.5}, "config.json")
method("log_dict", { "run_id", "dictionary", "artifact_file" }, 3, function(run, t, file) native.put_text(run, file, json.encode(t)) end)
--- MlflowClient:list_artifacts{run_id: string, path?: string} -> {table, …}
-- the files of a run
--     client:list_artifacts(run_id)
method("list_artifacts", { "run_id", "path" }, 1, native.list_artifacts)
--- MlflowClient:download_artifacts{run_id: string, path: string} -> string
-- the path of a run's files on this machine
--     client:download_artifacts(run_id, "config.json")
method("download_artifacts", { "run_id", "path", "dst_path" }, 2, native.artifact_path)

--- MlflowClient:create_experiment{name: string, artifact_location?: string, tags?: table} -> string
-- makes an experiment; its id
--     client:create_experiment("/Users/me/other")
method("create_experiment", { "name", "artifact_location", "tags" }, 1, mlflow.create_experiment)
--- MlflowClient:get_experiment{experiment_id: string} -> Experiment
-- an experiment by its id
--     client:get_experiment("0").name
method("get_experiment", { "experiment_id" }, 1, function(id) return to_experiment(native.get_experiment(tostring(id))) end)
--- MlflowClient:get_experiment_by_name{name: string} -> Experiment
-- an experiment by its name; nil when there is none
--     client:get_experiment_by_name("Default").experiment_id
method("get_experiment_by_name", { "name" }, 1, mlflow.get_experiment_by_name)
--- MlflowClient:search_experiments{view_type?: string, max_results?: integer, filter_string?: string, order_by?: table} -> {Experiment, …}
-- experiments that a filter finds
--     client:search_experiments{filter_string = "name LIKE '/Users/%'"}
method("search_experiments", { "view_type", "max_results", "filter_string", "order_by", "page_token" }, 0,
  function(view, max, filter, order)
    return search_all(native.search_experiments, "experiments", to_experiment, filter, order, max, view)
  end)
--- MlflowClient:rename_experiment{experiment_id: string, new_name: string}
-- another name
--     client:rename_experiment(experiment_id, "/Users/me/renamed")
method("rename_experiment", { "experiment_id", "new_name" }, 2, function(id, name) native.update_experiment(tostring(id), name) end)
--- MlflowClient:delete_experiment{experiment_id: string}
-- marks an experiment as deleted
--     client:delete_experiment(experiment_id)
method("delete_experiment", { "experiment_id" }, 1, function(id) native.update_experiment(tostring(id), nil, "deleted") end)
--- MlflowClient:restore_experiment{experiment_id: string}
-- a deleted experiment is back
--     client:restore_experiment(experiment_id)
method("restore_experiment", { "experiment_id" }, 1, function(id) native.update_experiment(tostring(id), nil, "active") end)
--- MlflowClient:set_experiment_tag{experiment_id: string, key: string, value: any}
-- a tag of an experiment
--     client:set_experiment_tag("0", "team", "lake")
method("set_experiment_tag", { "experiment_id", "key", "value" }, 3, function(id, k, v) native.tag_experiment(tostring(id), k, text_of(v)) end)

--- MlflowClient:create_registered_model{name: string, tags?: table, description?: string} -> RegisteredModel
-- a name for versions of a model
--     client:create_registered_model("another", {task = "chat"}, "what it is for")
method("create_registered_model", { "name", "tags", "description" }, 1, function(name, tags, description)
  need_schema(name)
  native.create_model(name, description)
  for k, v in pairs(tags or {}) do native.tag_model(name, nil, k, text_of(v)) end
  return to_model(native.get_model(name))
end)
--- MlflowClient:get_registered_model{name: string} -> RegisteredModel
-- a registered model
--     client:get_registered_model("sft").aliases
method("get_registered_model", { "name" }, 1, function(name) return to_model(native.get_model(name)) end)
--- MlflowClient:rename_registered_model{name: string, new_name: string} -> RegisteredModel
-- another name
--     client:rename_registered_model("another", "other")
method("rename_registered_model", { "name", "new_name" }, 2, function(name, new) native.update_model(name, new); return to_model(native.get_model(new)) end)
--- MlflowClient:update_registered_model{name: string, description: string} -> RegisteredModel
-- another description
--     client:update_registered_model("sft", "answers about the moon")
method("update_registered_model", { "name", "description" }, 1, function(name, text) native.update_model(name, nil, text); return to_model(native.get_model(name)) end)
--- MlflowClient:delete_registered_model{name: string}
-- removes a registered model with its versions
--     client:delete_registered_model("other")
method("delete_registered_model", { "name" }, 1, native.delete_model)
--- MlflowClient:search_registered_models{filter_string?: string, max_results?: integer, order_by?: table} -> {RegisteredModel, …}
-- registered models that a filter finds
--     client:search_registered_models("name LIKE 's%'")
method("search_registered_models", { "filter_string", "max_results", "order_by", "page_token" }, 0, function(filter, max, order)
  return search_all(native.search_models, "registered_models", to_model, filter, order, max)
end)
--- MlflowClient:set_registered_model_tag{name: string, key: string, value: any}
-- a tag of a registered model
--     client:set_registered_model_tag("sft", "task", "chat")
method("set_registered_model_tag", { "name", "key", "value" }, 3, function(name, k, v) native.tag_model(name, nil, k, text_of(v)) end)
--- MlflowClient:delete_registered_model_tag{name: string, key: string}
-- removes a tag of a registered model
--     client:delete_registered_model_tag("sft", "task")
method("delete_registered_model_tag", { "name", "key" }, 2, function(name, k) native.tag_model(name, nil, k) end)
--- MlflowClient:set_registered_model_alias{name: string, alias: string, version: string|integer}
-- a name like "champion" for a version: models:/NAME@champion
--     client:set_registered_model_alias("sft", "champion", 1)
method("set_registered_model_alias", { "name", "alias", "version" }, 3, function(name, alias, v) native.alias(name, alias, tostring(v)) end)
--- MlflowClient:delete_registered_model_alias{name: string, alias: string}
-- removes an alias
--     client:delete_registered_model_alias("sft", "challenger")
method("delete_registered_model_alias", { "name", "alias" }, 2, function(name, alias) native.alias(name, alias) end)

--- MlflowClient:create_model_version{name: string, source: string, run_id?: string, tags?: table, run_link?: string, description?: string} -> ModelVersion
-- a version from a folder or a run
--     client:create_model_version("sft", "runs:/" .. run_id .. "/model", run_id)
method("create_model_version", { "name", "source", "run_id", "tags", "run_link", "description" }, 2, function(name, source, run, tags, _, text)
  need_schema(name)
  return to_version(native.create_version(name, source, run, text, tags and texts_of(tags)))
end)
--- MlflowClient:get_model_version{name: string, version: string|integer} -> ModelVersion
-- one version
--     client:get_model_version("sft", 1).source
method("get_model_version", { "name", "version" }, 2, function(name, v) return to_version(native.get_version(name, tostring(v))) end)
--- MlflowClient:get_model_version_by_alias{name: string, alias: string} -> ModelVersion
-- the version that an alias names
--     client:get_model_version_by_alias("sft", "champion").version
method("get_model_version_by_alias", { "name", "alias" }, 2, function(name, alias) return to_version(native.get_version(name, "@" .. alias)) end)
--- MlflowClient:get_model_version_download_uri{name: string, version: string|integer} -> string
-- where its files are
--     client:get_model_version_download_uri("sft", 1)
method("get_model_version_download_uri", { "name", "version" }, 2, function(name, v) return "file://" .. native.get_version(name, tostring(v)).storage_location end)
--- MlflowClient:get_latest_versions{name: string, stages?: table} -> {ModelVersion, …}
-- the latest versions
--     client:get_latest_versions("sft")[1].version
method("get_latest_versions", { "name", "stages" }, 1, function(name) return to_model(native.get_model(name)).latest_versions end)
--- MlflowClient:update_model_version{name: string, version: string|integer, description: string} -> ModelVersion
-- another description
--     client:update_model_version("sft", 1, "trained on 3 rows")
method("update_model_version", { "name", "version", "description" }, 2, function(name, v, text)
  native.update_version(name, tostring(v), text)
  return to_version(native.get_version(name, tostring(v)))
end)
--- MlflowClient:delete_model_version{name: string, version: string|integer}
-- removes a version
--     client:delete_model_version("sft", 2)
method("delete_model_version", { "name", "version" }, 2, function(name, v) native.delete_version(name, tostring(v)) end)
--- MlflowClient:search_model_versions{filter_string?: string, max_results?: integer, order_by?: table} -> {ModelVersion, …}
-- versions that a filter finds
--     client:search_model_versions("name = 'sft'")
method("search_model_versions", { "filter_string", "max_results", "order_by", "page_token" }, 0, function(filter, max, order)
  return search_all(native.search_versions, "model_versions", to_version, filter, order, max)
end)
--- MlflowClient:set_model_version_tag{name: string, version: string|integer, key: string, value: any}
-- a tag of a version
--     client:set_model_version_tag("sft", 1, "checked", "yes")
method("set_model_version_tag", { "name", "version", "key", "value" }, 4, function(name, v, k, value) native.tag_model(name, id_text(v), k, text_of(value)) end)
--- MlflowClient:delete_model_version_tag{name: string, version: string|integer, key: string}
-- removes a tag of a version
--     client:delete_model_version_tag("sft", 1, "checked")
method("delete_model_version_tag", { "name", "version", "key" }, 3, function(name, v, k) native.tag_model(name, id_text(v), k) end)

--- mlflow.compare(runs: {Run, …}) -> table
-- runs beside each other: what differs, and their curves over each other; takes runs or their ids
--     mlflow.compare{run_id, other_id}
function mlflow.compare(runs, ...)
  if type(runs) ~= "table" or getmetatable(runs) == Run then runs = { runs, ... } end
  local list = {}
  for i, run in ipairs(runs) do list[i] = getmetatable(run) == Run and run or mlflow.get_run(run) end
  if #list == 0 then native.raise("ARG", "compare needs runs") end
  return require("lacus.cards").compare(list, native.history)
end

return mlflow
end

-- llm_job.lua: a training job as a cell sees it, and the view that follows it.
return function(core, tools)
local llm = tools.llm
local html, plural = require("lacus.tools").html, require("lacus.tools").plural
local fail, check_keys, set, commas, clock_text = tools.fail, tools.check_keys, tools.set, tools.commas, tools.clock_text

-- ---- progress ----------------------------------------------------------------------------------------------------------

local function bar(done, total, width)
  local full = total > 0 and math.floor(width * done / total) or 0
  return ("#"):rep(full) .. ("-"):rep(width - full)
end

local View = {}
View.__index = View

local function new_view(job)
  local name, rich, person = core.front()
  return setmetatable({job = job, limit = core.job(job.id).spec.args.max_seconds, rich = rich, live = person and name == "repl", runner = name == "runner", curve = core.curve(),
                       begin = core.clock(), drawn = -100, curved = -100, said = -100, width = 0, heard = 0,
                       id = "llm-" .. job.id .. "-" .. math.floor(core.clock() * 1000)}, View)
end

function View:event(e)
  self.curve:add(e)
  self.heard = self.heard + 1
  if e.event == "metric" then
    self.last = e
  elseif e.event == "eval" then
    self.eval = e
  elseif e.event == "log" and e.text:match("^warning: ") then
    self:print(e.text)
  elseif e.event == "status" and e.status == "running" and e.worker ~= "" then
    self.worker, self.waits = e.worker, nil
  elseif e.event == "status" and e.status == "queued" then
    self.worker, self.last, self.waits = nil, nil, e.waits
    self:print(("%s: waiting %s"):format(self.job.id, e.waits))
  elseif e.event == "status" and e.status == "restarting" then
    self.worker, self.last, self.waits = nil, nil, nil
    self:print(("%s: %s; it goes on from %s"):format(self.job.id, e.error and e.error.message or "a worker failed",
      e.resume ~= "" and e.resume or "the beginning"))
  end
end

function View:line()
  local e = self.last
  if not e then
    return ("%s: %s"):format(self.job.id, self.eval and "training" or self.worker and "preparing" or "waiting " .. (self.waits or "for a worker"))
  end
  local left = e.step > 0 and e.seconds / e.step * (e.total - e.step) or 0
  if type(self.limit) == "number" and self.limit > 0 then left = math.min(left, self.limit - e.seconds) end
  local speed = e.seconds > 0 and (" %s tokens/s"):format(commas(e.tokens / e.seconds)) or ""
  local loss = type(e.loss) == "number" and ("%.4f"):format(e.loss) or tostring(e.loss)
  return ("step %d/%d [%s] loss %s lr %.3g%s %s<%s%s"):format(e.step, e.total, bar(e.step, e.total, 20), loss, e.learning_rate, speed,
    clock_text(e.seconds), clock_text(left), self.eval and type(self.eval.eval_loss) == "number" and (" eval %.4f"):format(self.eval.eval_loss) or "")
end

function View:print(text)
  if self.live and self.width > 0 then
    io.write("\r", (" "):rep(self.width), "\r")
    self.width = 0
  end
  print(text)
end

function View:html(line)
  local e = self.last
  return ("<div><progress value='%d' max='%d' style='width:20em'></progress> <code>%s</code></div>"):format(
    e and e.step or 0, e and math.max(e.total, 1) or 1, html(line))
end

-- Seconds between two lines of a log: the longer it runs, the fewer it writes.
function View:pause(now)
  return self.runner and math.min(60, math.max(2, (now - self.begin) / 20)) or 0.3
end

-- What would look as it does already is not sent again: a step may take a minute.
function View:draw_rich(now, final)
  if final or (self.heard ~= self.drawn_heard and now - self.drawn > self:pause(now)) then
    local line = self:line()
    core.display({["text/plain"] = line, ["text/html"] = self:html(line)}, self.id .. "-bar", self.drawn > 0)
    self.drawn, self.drawn_heard = now, self.heard
  end
  local text = (final or (self.heard ~= self.curved_heard and now - self.curved > (self.runner and 10 or 2))) and self.curve:text(60, 12)
  if text then
    -- a notebook's run prints what it displays: the curve belongs into its log once, at the end
    core.display({["text/plain"] = (final or not self.runner) and text or nil,
                  ["application/vnd.vegalite.v5+json"] = self.curve:vega(self.job.id)}, self.id .. "-curve", self.curved > 0)
    self.curved, self.curved_heard = now, self.heard
  end
end

function View:draw(final)
  local now = core.clock()
  if self.rich then return self:draw_rich(now, final) end
  if self.live then
    if not final and now - self.drawn < 0.2 then return end
    local line = self:line()
    io.write("\r", line, (" "):rep(math.max(0, self.width - #line)))
    io.flush()
    self.width, self.drawn = #line, now
  elseif self.last and (final or now - self.said > 5) and self.said_step ~= self.last.step then
    print(self:line())
    self.said, self.said_step = now, self.last.step
  end
  if final then
    if self.live then print() end
    local text = self.curve:text(60, 12)
    if text then print(text) end
  end
end

-- ---- jobs --------------------------------------------------------------------------------------------------------------

--- class Job: a training job
--- Job.id: string
-- its id
--- Job.status: string
-- "queued", "running", "done", "failed" or "cancelled"
--- Job.waits: string
-- what a queued job waits for: "for job job-1 on this machine"
--- Job.worker: string
-- the workers that have it, or had it last
--- Job.restarts: integer
-- how often it was started again since its last new checkpoint
--- Job.error: table
-- why it failed
--- Job.spec: table
-- what it was asked to do
--- Job.output_dir: string
-- where the result is
--- Job.run_id: string
-- the run it is tracked as
--- Job.model_uri: string
-- for mlflow.register_model
--- Job.metrics: {table, …}
-- the steps so far: {step =, loss =, …}
local Job = {}
local methods = {}

local function new_job(id)
  return setmetatable({id = id, _offset = 0, _events = {}}, Job)
end

-- Reads what the job has said since the last look.
local function follow(job, each)
  local before = #job._events
  repeat
    local events, offset = core.events(job.id, job._offset)
    job._offset = offset
    for _, e in ipairs(events) do
      job._events[#job._events + 1] = e
      if each then each(e) end
    end
  until #events == 0
  return #job._events > before
end

local function output_folder(info)
  return info.spec.output_uri
end

local callable_list = {__call = function(list) return list end} -- job.metrics and job:metrics() are the same

local fields = {
  status = function(_, info) return info.status end,
  error = function(_, info) return info.error end,
  waits = function(_, info) return info.waits ~= "" and info.waits or nil end,
  worker = function(_, info) return info.worker ~= "" and info.worker or nil end,
  restarts = function(_, info) return info.restarts end,
  spec = function(_, info) return info.spec end,
  output_dir = function(_, info) return output_folder(info) end,
  run_id = function(_, info) return info.spec.run_id end,
  model_uri = function(_, info)
    return info.spec.run_id and ("runs:/%s/model"):format(info.spec.run_id) or output_folder(info)
  end,
  metrics = function(job)
    follow(job)
    local rows, at = {}, {}
    for _, e in ipairs(job._events) do
      if e.event == "metric" then -- a step that comes again after a resume replaces what was there
        if not at[e.step] then
          rows[#rows + 1] = e
          at[e.step] = #rows
        else
          rows[at[e.step]] = e
        end
      end
    end
    table.sort(rows, function(a, b) return a.step < b.step end)
    return setmetatable(rows, callable_list)
  end,
}

function Job.__index(job, key)
  if methods[key] then return methods[key] end
  local get = fields[key]
  if get then return get(job, core.job(job.id)) end
  return nil
end

function Job.__tostring(job)
  return ("job '%s': %s"):format(job.id, core.job(job.id).status)
end

-- What came of it: the worker's result, the evaluation before the first step, PEFT's sentence.
--- Job:result() -> table
-- what came of it: steps, seconds, loss, eval_loss, output_dir, model_uri; an error when it failed
--     job:result().model_uri
function methods.result(job)
  local info = core.job(job.id)
  if info.status == "failed" or info.status == "cancelled" then
    core.raise(info.error or {code = "CANCELLED", message = ("job '%s' was cancelled"):format(job.id)})
  end
  if not info.done then
    fail("CONFLICT", ("job '%s' is %s: it has no result yet"):format(job.id, info.status), "job:wait() waits for it")
  end
  local result = info.result
  follow(job)
  for _, e in ipairs(job._events) do
    if e.event == "eval" and e.when == "before" and not result.eval_loss_before then result.eval_loss_before = e.eval_loss end
  end
  result.trainable_parameters = tools.trainable_text(result.trainable, result.all)
  result.model_uri, result.output_dir = job.model_uri, output_folder(info)
  return result
end

local function describe(job, print_line)
  local r = job:result()
  print_line(r.trainable_parameters)
  local eval = r.eval_loss and (", eval loss %s -> %.4f"):format(
    type(r.eval_loss_before) == "number" and ("%.4f"):format(r.eval_loss_before) or "?", r.eval_loss) or ""
  print_line(("%s: %d step%s in %s%s%s; saved to %s"):format(job.id, r.steps, plural(r.steps), clock_text(r.seconds),
    r.out_of_time and " (time is up)" or "", eval, r.output_dir))
end

-- A coordinator that neither starts nor answers is an error in the cell. limit: seconds without a sign of life.
local function watcher(job, limit)
  local absent, since
  return function()
    local there, silent = core.ensure()
    absent = not there and (absent or core.clock()) or nil
    since = silent > limit and (since or core.clock()) or nil -- a machine that slept gets time to wake up
    if absent and core.clock() - absent > 10 then
      core.raise{code = "WORKER", message = ("job '%s' waits, but its coordinator does not start"):format(job.id),
                 cause = core.coordinator_tail()}
    elseif since and core.clock() - since > 5 then
      core.raise{code = "WORKER", cause = core.coordinator_tail(),
                 message = ("the coordinator of job '%s' has given no sign of life for %d s"):format(job.id, silent // 1),
                 hint = ("end it (kill -9 %d) and wait again: the job goes on from its last checkpoint"):format(core.coordinator_pid())}
    end
  end
end

local LINGER, LOOK = 0.3, 1 -- seconds

-- Draws what the job says until it ends; each event goes to `each`, too. silent_seconds: how long the coordinator may be silent.
-- The job's row and its coordinator are looked at while there is news and once a second, its events in every round.
local function wait_for_end(job, silent_seconds, interval_ms, each)
  local watch, view = watcher(job, silent_seconds), new_view(job)
  local note = view.runner and ("interrupted: job '%s' ends with this notebook's run\n"):format(job.id)
    or ("\ndetached: job '%s' goes on; llm.job(\"%s\"):wait() waits for it again, :cancel() ends it\n"):format(job.id, job.id)
  -- an interrupt in the middle of a drawing closes the cell without an error; that of core.wait says (and takes) the note itself
  local untold <close> = setmetatable({note = note}, {__close = function(u, e) if u.note and e == nil then io.stderr:write(u.note) end end})
  for _, e in ipairs(job._events) do view:event(e) end
  local news_until, next_look = 0, 0
  while true do
    local now, done = core.clock(), false
    if now < news_until or now >= next_look then
      done = core.job(job.id).done -- before the events: what is said at the end is read, too
      if not done then watch() end
      next_look = now + LOOK
    end
    if follow(job, function(e)
      view:event(e)
      if each then each(e) end
    end) then news_until = now + LINGER end
    view:draw(done)
    if done then
      untold.note = nil
      return view
    end
    core.wait(interval_ms, untold)
  end
end

--- Job:wait(options?: {silent_seconds?: number}) -> Job
-- waits for the end, with a progress bar and a curve; an interrupt detaches, the job goes on
--     job:wait()
function methods.wait(job, o)
  check_keys("job:wait", o or {}, set("silent_seconds"))
  local view = wait_for_end(job, o and o.silent_seconds or 120, 150)
  describe(job, function(text) view:print(text) end)
  return job
end

-- What Trainer waits with: each event goes to `each`, too.
function methods._follow(job, each) wait_for_end(job, 120, 100, each) end

--- Job:cancel() -> Job
-- ends it
--     job:cancel()
function methods.cancel(job)
  core.cancel(job.id)
  return job
end

--- Job:resume(options?: {num_processes?: integer}) -> Job
-- goes on from the last checkpoint; on another number of workers the batch stays what it was
--     job:resume():wait()
function methods.resume(job, o)
  o = o or {}
  check_keys("job:resume", o, set("num_processes", "ranks"))
  core.resume(job.id, o.num_processes or o.ranks)
  return job
end

--- Job:checkpoint() -> Job
-- keeps a checkpoint of the next whole step; the job goes on
--     job:checkpoint()
function methods.checkpoint(job)
  core.save_checkpoint(job.id)
  return job
end

--- Job:logs() -> string
-- what the job and its worker have said, without the secrets that this session knows
--     print(job:logs())
function methods.logs(job)
  follow(job)
  local lines = {}
  for _, e in ipairs(job._events) do
    if e.event == "log" then
      lines[#lines + 1] = e.text
    elseif e.event == "status" then
      lines[#lines + 1] = ("status: %s%s"):format(e.status, e.worker and " on " .. e.worker or "")
    elseif e.event == "checkpoint" then
      lines[#lines + 1] = "kept " .. e.folder
    end
  end
  local text = core.worker_log(job.id)
  return core.masked(table.concat(lines, "\n") .. (text ~= "" and "\n--- worker ---\n" .. text or ""))
end

--- Job:events() -> {table, …}
-- what has happened: metrics, checkpoints, status
--     #job:events()
function methods.events(job)
  follow(job)
  return job._events
end

--- llm.job(id: string) -> Job
-- a training job by its id
--     llm.job("job-1"):wait()
function llm.job(id)
  core.job(id) -- an unknown id is an error here
  return new_job(id)
end

--- llm.jobs() -> {table, …}
-- the training jobs of the workspace: {id =, status =, model =, worker =, waits =}
--     llm.jobs()
function llm.jobs()
  local list = {}
  for i, row in ipairs(core.jobs()) do
    list[i] = setmetatable(row, {__tostring = function(r)
      local where = r.status == "queued" and r.waits ~= "" and "  waits " .. r.waits or r.worker ~= "" and "  on " .. r.worker or ""
      return ("%s  %-9s  %s%s"):format(r.id, r.status, r.model or "", where)
    end})
  end
  return setmetatable(list, {__tostring = function(l)
    local lines = {}
    for i, r in ipairs(l) do lines[i] = tostring(r) end
    return #lines > 0 and table.concat(lines, "\n") or "no training jobs"
  end})
end

tools.Job, tools.new_job = Job, new_job
end

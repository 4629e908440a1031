-- trainer.lua: Trainer as Hugging Face's: a training job of llm.finetune, its log_history, callbacks, evaluation and prediction.
return function(core, tools)
local M = {}
local fail, check_keys, set = tools.fail, tools.check_keys, tools.set
local Trainer, methods = {}, {}
local TOKENS = 512 -- in one batch of predict, if it is more than one row: their logits are in memory

--- class Trainer: a training as Hugging Face's Trainer has it
--- Trainer.state: table
-- log_history (what was logged, as trainer_state.json has it), global_step, epoch, max_steps, best_metric
--- Trainer.job: Job
-- the job of the last train()
--- Trainer.args: TrainingArguments
-- its arguments
local keys = set("model", "args", "train_dataset", "eval_dataset", "processing_class", "tokenizer", "peft", "peft_config", "compute_metrics", "callbacks",
  "report_to", "quantization", "quantization_config", "template", "instruction_column", "response_column", "text_column", "completion_only", "packing")
local events = set("on_train_begin", "on_step_end", "on_log", "on_evaluate", "on_save", "on_train_end")

-- Worked by the trainer itself, wherever it runs.
local early = setmetatable({}, {__mode = "k"})

--- EarlyStoppingCallback{early_stopping_patience = 1, early_stopping_threshold = 0.0} -> table
-- among a Trainer's callbacks: ends the training after so many evaluations that are not better than the best by the threshold
--     Trainer{model = "out/base", callbacks = {EarlyStoppingCallback{early_stopping_patience = 3}}, args = {eval_strategy = "epoch"}}
function M.EarlyStoppingCallback(o)
  o = o or {}
  check_keys("EarlyStoppingCallback", o, set("early_stopping_patience", "early_stopping_threshold"))
  local callback = {}
  early[callback] = {early_stopping_patience = o.early_stopping_patience or 1, early_stopping_threshold = o.early_stopping_threshold or 0}
  return callback
end

local function check_arguments(args, peft, compute_metrics)
  tools.check_values("training argument", args)
  local of_engine = {}
  for name, value in pairs(args) do of_engine[name] = value end
  tools.take_row_arguments(of_engine)
  of_engine.compute_metrics = compute_metrics ~= nil
  core.check{args = of_engine, peft = peft}
end

--- Trainer{model: string, args?: TrainingArguments, train_dataset?: Dataset, eval_dataset?: Dataset, processing_class?: Tokenizer, tokenizer?: Tokenizer, peft?: LoraConfig, compute_metrics?: function, callbacks?: table, report_to?: string, quantization?: BitsAndBytesConfig, template?: string, instruction_column?: string, response_column?: string, text_column?: string, completion_only?: boolean, packing?: boolean} -> Trainer
-- trains, evaluates and predicts; datasets hold text, messages, prompt and completion, or input_ids with labels and attention_mask.
-- callbacks are tables of functions f(args, state, control, logs): on_train_begin, on_step_end, on_log, on_evaluate, on_save, on_train_end;
-- `return "stop"` or control.should_training_stop = true ends the training at its next checkpoint
--     local trainer = Trainer{model = "out/base", train_dataset = ds, args = TrainingArguments{num_train_epochs = 1}}
--     trainer:train()
function M.Trainer(o)
  if type(o) ~= "table" then fail("ARG", "Trainer takes one table: Trainer{model = …, train_dataset = …}") end
  check_keys("Trainer", o, keys)
  local model = o.model
  if core.is_model(model) then model = model.path end
  if model == nil then fail("ARG", "Trainer needs a model: a folder, a Hub id or models:/name@alias") end
  local args = {}
  for name, value in pairs(o.args or {}) do args[name] = value end
  for _, callback in ipairs(o.callbacks or {}) do
    for name, value in pairs(early[callback] or {}) do args[name] = value end
  end
  check_arguments(args, o.peft or o.peft_config, o.compute_metrics)
  tools.report_targets(o.report_to or args.report_to)
  for _, callback in ipairs(o.callbacks or {}) do
    if type(callback) ~= "table" then fail("ARG", "a callback is a table of functions: {on_log = function(args, state, control, logs) … end}") end
    check_keys("a callback", callback, events)
  end
  for name in pairs(args) do
    if args[name] == null then args[name] = nil end
  end
  return setmetatable({_o = o, _model = model, args = args, state = {log_history = {}, global_step = 0, epoch = 0}}, Trainer)
end

Trainer.__index = methods
Trainer.__name = "Trainer"
function Trainer.__tostring(t) return ("Trainer of '%s': step %d"):format(tostring(t._model), t.state.global_step) end

-- A tokenizer of other files than the model's would be trained past.
local function check_tokenizer(given, model)
  if given == nil then return end
  local path = type(given) == "string" and given or given.name_or_path
  local own = tools.find_model(model).tokenizer
  local function file(p) return core.is_dir(p) and p .. "/tokenizer.json" or p end
  if path and own and core.exists(file(path)) and core.digest_file(file(path)) ~= core.digest_file(file(own)) then
    fail("UNSUPPORTED", ("a Trainer cannot use the tokenizer of '%s' for the model '%s', which has another"):format(path, model),
         "tokenize the dataset with it (rows with input_ids), and leave processing_class out")
  end
end

-- A batch size, or whatever else was not said.
local function argument(t, name)
  if t.args[name] ~= nil then return t.args[name] end
  return core.defaults()[name]
end

-- What the rows' writer in llm.lua needs to know.
local function dataset_options(t)
  local o, copy = t._o, {}
  for _, name in ipairs{"template", "instruction_column", "response_column", "text_column", "completion_only"} do copy[name] = o[name] end
  if copy.completion_only == nil then copy.completion_only = t.args.completion_only_loss end
  return copy
end

-- Rows of token ids are as long as they are, unless a length was asked for.
local function longest(t, dataset)
  local given = t.args.max_length or t.args.max_seq_length
  if given then return given end
  local first = type(dataset) == "table" and dataset[1]
  return type(first) == "table" and first.input_ids and 0 or 1024
end

-- ---- callbacks ----------------------------------------------------------------------------------------------------------

local function call(t, event, control, logs)
  for _, callback in ipairs(t._o.callbacks or {}) do
    local f = callback[event]
    local answer = f and f(t.args, t.state, control, logs)
    if answer == "stop" then control.should_training_stop = true end
  end
  if control.should_training_stop and not control.told and t.job and not core.job(t.job.id).done then
    control.told = true
    local ok, message = pcall(t.job.cancel, t.job)
    if not ok and not core.job(t.job.id).done then error(message, 0) end -- it may have ended meanwhile
  end
end

local function note(t, logs, step, epoch)
  local line = {}
  for name, value in pairs(logs) do line[name] = value end
  line.step, line.epoch = step, epoch
  t.state.log_history[#t.state.log_history + 1] = line
  return line
end

-- The best evaluation so far, by the metric that was asked for.
local function judge(t, e)
  local name = (t.args.metric_for_best_model or "loss"):gsub("^eval_", "")
  local value, best = e["eval_" .. name] or e[name:gsub("/", "_")], t.state.best_metric
  local greater = t.args.greater_is_better
  if greater == nil then greater = not name:find("loss$") and name ~= "perplexity" end
  if type(value) ~= "number" then return end
  if best == nil or (greater and value > best) or (not greater and value < best) then t.state.best_metric = value end
end

local handlers = {
  metric = function(t, e, control)
    t.state.global_step, t.state.epoch, t.state.max_steps = e.step, e.epoch, e.total
    call(t, "on_step_end", control, e)
  end,
  history = function(t, e, control)
    if e.rest then return end -- the steps left at the end: not Hugging Face's
    call(t, "on_log", control, note(t, {loss = e.loss, grad_norm = e.grad_norm, learning_rate = e.learning_rate}, e.step, e.epoch))
  end,
  eval = function(t, e, control)
    if e.when and not (e.when == "before" and t.args.eval_on_start) then return end -- before the first step and after the last: not Hugging Face's
    local logs = {}
    for name, value in pairs(e) do
      if name:find("^eval_") and name ~= "eval_perplexity" then logs[name] = value end
    end
    local line = note(t, logs, e.step, e.epoch or 0)
    if not e.when then judge(t, e) end
    call(t, "on_log", control, line)
    call(t, "on_evaluate", control, line)
  end,
  checkpoint = function(t, e, control) call(t, "on_save", control, e) end,
}

-- ---- training -----------------------------------------------------------------------------------------------------------

-- compute_metrics, where a worker can have a copy of it; one that uses a tokenizer or a dataframe is called here, by evaluate.
local function shipped(f)
  if type(f) ~= "function" then return f end
  local path = core.temporary()
  local removed <close> = setmetatable({}, {__close = function() os.remove(path) end})
  local ok, why = pcall(core.pack, path, f)
  if ok then return f end
  print("compute_metrics is not called while it trains, but by trainer:evaluate(): " .. tostring(type(why) == "table" and why.message or why))
end

local function start(t)
  local o, args = t._o, {}
  for name, value in pairs(t.args) do args[name] = value end
  args.max_length, args.max_seq_length = nil, nil
  local spec = dataset_options(t)
  for _, name in ipairs{"train_dataset", "eval_dataset", "peft", "peft_config", "quantization", "quantization_config", "packing"} do spec[name] = o[name] end
  spec.model, spec.args, spec.max_length = t._model, args, longest(t, o.train_dataset)
  spec.report_to = o.report_to or args.report_to
  if (args.eval_strategy or "no") ~= "no" then spec.compute_metrics = shipped(o.compute_metrics) end
  args.report_to = nil
  return tools.llm.finetune(spec)
end

-- The last checkpoint of a training that was stopped becomes its result: the model, with the tokenizer of its base.
local function keep_checkpoint(t)
  local last
  for _, e in ipairs(t.job:events()) do
    if e.event == "checkpoint" then last = e.folder:match("[^/]+$") end
  end
  local path = last and core.job_folder(t.job.id) .. "/" .. last
  if not path or not core.is_dir(path) then
    fail("CONFLICT", "the training was stopped before its first checkpoint: there is no trained model", "args.save_steps says how often one is kept")
  end
  local to = t.job.output_dir
  core.copy_folder(path, to)
  os.remove(to .. "/optimizer.safetensors")
  local tokenizer = tools.find_model(t._model).tokenizer
  if tokenizer then core.copy_tokenizer(tokenizer, to) end
end

-- The folder of what was trained: the result, or the last checkpoint of a training that was stopped.
local function trained(t)
  if not t.job then return t._model end
  if core.job(t.job.id).status ~= "finished" and t._kept ~= t.job.id then
    keep_checkpoint(t)
    t._kept = t.job.id
  end
  return t.job.output_dir
end

local function summary(t, info, begin)
  local r = info.result or {}
  local seconds = r.seconds or core.clock() - begin
  local losses, n = 0, 0
  for _, row in ipairs(t.job.metrics) do
    if type(row.loss) == "number" then losses, n = losses + row.loss, n + 1 end
  end
  local examples = t.state.global_step * argument(t, "per_device_train_batch_size") * argument(t, "gradient_accumulation_steps")
  local speed = seconds > 0 and 1 / seconds or 0
  return {train_runtime = seconds, train_steps_per_second = t.state.global_step * speed, train_samples_per_second = examples * speed,
          train_loss = n > 0 and losses / n or nil}
end

--- Trainer:train() -> {global_step: integer, training_loss: number, metrics: table}
-- runs the training to its end; its job goes on when the cell is interrupted
--     trainer:train().training_loss
function methods.train(t)
  if t._o.train_dataset == nil then fail("ARG", "Trainer: training requires a train_dataset") end
  local control, begin = {should_training_stop = false}, core.clock()
  check_tokenizer(t._o.processing_class or t._o.tokenizer, t._model)
  t.state.log_history, t.state.global_step, t.state.best_metric = {}, 0, nil
  t.job = start(t)
  call(t, "on_train_begin", control)
  t.job:_follow(function(e)
    local handle = handlers[e.event]
    if handle then handle(t, e, control) end
  end)
  local info = core.job(t.job.id)
  if not (info.status == "cancelled" and control.told) then t.job:result() end
  local metrics = summary(t, info, begin)
  local line = note(t, metrics, t.state.global_step, t.state.epoch)
  call(t, "on_log", control, line)
  call(t, "on_train_end", control, line)
  return {global_step = t.state.global_step, training_loss = metrics.train_loss, metrics = metrics}
end

-- ---- evaluation and prediction ---------------------------------------------------------------------------------------------

-- The model of the last training, loaded once.
local function loaded(t)
  local folder = trained(t)
  if t._loaded_from ~= folder then
    t._loaded, t._loaded_from = tools.llm.load(folder, {quantization = t._o.quantization or t._o.quantization_config}), folder
  end
  return t._loaded
end

-- The last row of the evaluation batch that row `at` is in, and the tokens of its longest.
local function batch_of(examples, at, batch)
  local first, longest = (at - 1) // batch * batch + 1, 0
  local last = math.min(first + batch - 1, #examples)
  for i = first, last do longest = math.max(longest, #examples[i].input_ids) end
  return last, longest
end

-- Token ids, labels and the likeliest next tokens of the rows of an open file. A batch goes in parts; what some kinds of RoPE take
-- from its longest row they take from the whole.
local function likeliest(m, examples, batch)
  local predictions, labels, at = {}, {}, 1
  while at <= #examples do
    local ids, width = {}, 0
    local last, longest = batch_of(examples, at, batch)
    repeat
      local row = examples[at + #ids].input_ids
      width = math.max(width, #row)
      ids[#ids + 1] = row
    until #ids == 8 or at + #ids > last or (#ids + 1) * width > TOKENS
    local best = m:forward{input_ids = ids, longest = longest}.logits:argmax()
    for i, row in ipairs(ids) do
      predictions[#predictions + 1] = table.move(best, (i - 1) * width + 1, (i - 1) * width + #row, 1, {})
      labels[#labels + 1] = examples[at + i - 1].labels
    end
    at = at + #ids
  end
  return predictions, labels
end

local function measure(t, dataset, prefix, with_rows)
  local o = dataset_options(t)
  o.completion_only = tools.completion_only(o.completion_only, dataset, o)
  local m, begin = loaded(t), core.clock()
  local path = core.temporary()
  local removed <close> = setmetatable({}, {__close = function() os.remove(path) end})
  o.tokenizer_folder, o.assistant_only = m.path, t.args.assistant_only_loss or nil
  tools.write_rows(dataset, prefix .. "_dataset", o, path)
  local batch = argument(t, "per_device_eval_batch_size")
  local settings = {max_length = longest(t, dataset), batch_size = batch, completion_only = o.completion_only,
    label_smoothing_factor = argument(t, "label_smoothing_factor")}
  local loss, n = core.eval_loss(m, path, settings)
  local metrics = {[prefix .. "_loss"] = loss}
  local predictions, labels
  if with_rows or t._o.compute_metrics then predictions, labels = likeliest(m, core.examples(m, path, settings), batch) end
  if t._o.compute_metrics then
    for name, value in pairs(t._o.compute_metrics{predictions = predictions, label_ids = labels}) do
      metrics[name:find("^" .. prefix .. "_") and name or prefix .. "_" .. name] = value
    end
  end
  local seconds = core.clock() - begin
  metrics[prefix .. "_runtime"] = seconds
  metrics[prefix .. "_samples_per_second"] = n / seconds
  metrics[prefix .. "_steps_per_second"] = math.ceil(n / batch) / seconds
  return metrics, predictions, labels
end

--- Trainer:evaluate(eval_dataset?: Dataset, metric_key_prefix = "eval") -> table
-- loss of the model as it is now, and what compute_metrics makes of {predictions, label_ids}: the likeliest next token at each place, and
-- the labels
--     trainer:evaluate().eval_loss
function methods.evaluate(t, dataset, prefix)
  dataset = dataset or t._o.eval_dataset
  if dataset == nil then fail("ARG", "Trainer: evaluation requires an eval_dataset") end
  local metrics = measure(t, dataset, prefix or "eval")
  metrics.epoch = t.state.epoch
  local line = note(t, metrics, t.state.global_step, t.state.epoch)
  call(t, "on_log", {}, line)
  call(t, "on_evaluate", {}, line)
  return metrics
end

--- Trainer:predict(test_dataset: Dataset, metric_key_prefix = "test") -> {predictions: table, label_ids: table, metrics: table}
-- the likeliest next token at each place of each row, the labels, and the metrics
--     trainer:predict(ds).metrics
function methods.predict(t, dataset, prefix)
  if dataset == nil then fail("ARG", "Trainer: predict needs a dataset") end
  local metrics, predictions, labels = measure(t, dataset, prefix or "test", true)
  return {predictions = predictions, label_ids = labels, metrics = metrics}
end

--- Trainer:save_model(output_dir?: Path) -> string
-- model or adapter, with its tokenizer, in Hugging Face's format
--     trainer:save_model("out/model")
function methods.save_model(t, folder)
  folder = folder or t.args.output_dir
  if not folder then fail("ARG", "trainer:save_model needs a folder") end
  local from = core.absolute(trained(t))
  if from ~= core.absolute(folder) then core.copy_folder(from, folder) end
  return folder
end

return M
end

-- llm.lua: fine-tuning as a cell sees it; puts the parts of lacus.llm together. The work is done in C (`core`): see runtime/train.
return function(core)
local M = {}
local tools = require("lacus.llm_tools")(core)
local llm, fail, check_keys, set, copy_of, take = tools.llm, tools.fail, tools.check_keys, tools.set, tools.copy_of, tools.take
for _, part in ipairs{"rows", "job", "models", "generate", "plan", "evaluate"} do require("lacus.llm_" .. part)(core, tools) end

-- ---- configurations ----------------------------------------------------------------------------------------------------

-- field: what core.check calls it. A misspelt name is answered where it is written, not when the training starts.
local function config(name, field, given)
  return function(fields)
    fields = fields or {}
    if type(fields) ~= "table" then fail("ARG", name .. " takes a table of fields, not a " .. type(fields)) end
    local copy = copy_of(given)
    for k, v in pairs(fields) do copy[k] = v end
    tools.check_values(name .. ":", copy)
    local checked = copy_of(copy)
    if field == "args" then tools.take_row_arguments(checked) end
    if next(checked) ~= nil then core.check{[field] = checked, fields_only = true} end
    return copy
  end
end

--- LoraConfig{r = 8, lora_alpha = 8, lora_dropout = 0.0, target_modules?: table|string, bias = "none", modules_to_save?: table, rank_pattern?: table, alpha_pattern?: table, exclude_modules?: table|string, layers_to_transform?: table, use_rslora = false, use_dora = false, task_type?: string} -> LoraConfig
-- a LoRA adapter, with PEFT's names
--     LoraConfig{r = 16, lora_alpha = 32, target_modules = {"q_proj", "v_proj"}}
--- TrainingArguments{num_train_epochs?: number, max_steps?: integer, per_device_train_batch_size?: integer, gradient_accumulation_steps?: integer, learning_rate?: number, warmup_ratio?: number, warmup_steps?: integer, weight_decay?: number, optim?: OptimizerName, lr_scheduler_type?: ScheduleName, lr_scheduler_kwargs?: table, bf16?: boolean, max_length?: integer, logging_steps?: integer, logging_strategy?: StrategyName, eval_steps?: integer, eval_strategy?: StrategyName, save_steps?: integer, save_strategy?: StrategyName, save_total_limit?: integer, load_best_model_at_end?: boolean, max_grad_norm?: number, seed?: integer, output_dir?: Path} -> TrainingArguments
-- Hugging Face's arguments of a training
--     TrainingArguments{num_train_epochs = 3, learning_rate = 2e-4}
--- BitsAndBytesConfig{load_in_4bit?: boolean, load_in_8bit?: boolean, bnb_4bit_quant_type?: string, bnb_4bit_use_double_quant?: boolean, bnb_4bit_compute_dtype?: string} -> BitsAndBytesConfig
-- weights in few bits, with bitsandbytes' names
--     BitsAndBytesConfig{load_in_4bit = true, bnb_4bit_quant_type = "nf4"}
M.LoraConfig = config("LoraConfig", "peft")
--- PromptTuningConfig{num_virtual_tokens = 8, prompt_tuning_init?: "RANDOM"|"TEXT"|"SAMPLE_VOCAB", prompt_tuning_init_text?: string} -> PromptTuningConfig
-- embeddings in front of each text, which alone are trained, with PEFT's names
--     PromptTuningConfig{num_virtual_tokens = 8, prompt_tuning_init = "TEXT", prompt_tuning_init_text = "Classify:"}
--- PrefixTuningConfig{num_virtual_tokens = 8} -> PrefixTuningConfig
-- keys and values in front of each text in every layer, which alone are trained, with PEFT's names
--     PrefixTuningConfig{num_virtual_tokens = 16}
M.PromptTuningConfig = config("PromptTuningConfig", "peft", {peft_type = "PROMPT_TUNING"})
M.PrefixTuningConfig = config("PrefixTuningConfig", "peft", {peft_type = "PREFIX_TUNING"})
M.TrainingArguments = config("TrainingArguments", "args")
M.BitsAndBytesConfig = config("BitsAndBytesConfig", "quantization")

-- ---- finetune ----------------------------------------------------------------------------------------------------------

-- Where a training is told of: the active run of the tracker, and event files for TensorBoard.
local reports = set("none", "all", "mlflow", "tensorboard")

-- → tracked, with event files; nil: the active run, if there is one.
local function report_targets(to)
  if to == nil then return true, false end
  local wanted = {}
  for _, name in ipairs(type(to) == "table" and to or {to}) do
    if not reports[name] then
      fail("UNSUPPORTED", ("cannot report a training to '%s'"):format(tostring(name)),
           "\"mlflow\" is the active run of the tracker, \"tensorboard\" writes event files, \"all\" both, \"none\" neither")
    end
    wanted[name] = true
  end
  return (wanted.mlflow or wanted.all) or false, (wanted.tensorboard or wanted.all) or false
end

tools.finetune_keys = set("model", "train_dataset", "eval_dataset", "template", "instruction_column", "response_column", "text_column",
  "peft", "peft_config", "quantization", "quantization_config", "args", "completion_only", "max_length", "seed", "output_dir", "ranks",
  "num_processes", "nproc_per_node", "max_restarts",
  "stall_seconds", "method", "packing", "report_to", "adapter", "teacher", "temperature", "alpha", "compute_metrics")
local methods_of_training = {sft = true, dpo = true}

-- The adapter that training goes on with, if there is one.
local function adapter_of(o, found)
  local adapter = found.adapter
  if o.adapter ~= nil then
    local other, name = tools.find_model(o.adapter)
    if not other.adapter then fail("NOTFOUND", ("'%s' is not an adapter: no adapter_config.json"):format(name)) end
    adapter = other.adapter
  end
  if adapter and (o.peft or o.peft_config) then
    fail("ARG", "training goes on with the adapter that is there, so it takes no peft", "leave peft out, or merge the adapter first")
  end
  return adapter and core.absolute(adapter)
end

-- → the teacher's folder, that of its adapter, and the terms of the distillation; nil: there is no teacher
local function teacher_of(o, tokenizer, student)
  if o.teacher == nil then
    if o.temperature or o.alpha then
      fail("ARG", "temperature and alpha are of a distillation, which has a teacher", "teacher = folder or model id")
    end
    return nil
  end
  if o.method == "dpo" then fail("ARG", "llm.finetune learns from a teacher or from preferences, not from both") end
  if o.temperature ~= nil and not (math.type(o.temperature) and o.temperature > 0 and o.temperature < math.huge) then
    fail("ARG", ("temperature is a number above 0, not %s"):format(tostring(o.temperature)))
  elseif o.alpha ~= nil and not (math.type(o.alpha) and o.alpha >= 0 and o.alpha <= 1) then
    fail("ARG", ("alpha is a number between 0 and 1, not %s"):format(tostring(o.alpha)))
  end
  local folder, _, found = tools.model_folder(o.teacher)
  if core.digest_file((found.tokenizer or folder) .. "/tokenizer.json") ~= core.digest_file(tokenizer .. "/tokenizer.json") then
    fail("DATA", ("the teacher '%s' has another tokenizer than the student '%s'"):format(tostring(o.teacher), student),
         "a student learns a teacher's probabilities of the same tokens: create it with the teacher's tokenizer")
  end
  return folder, found.adapter and core.absolute(found.adapter), {temperature = o.temperature or 2.0, alpha = o.alpha or 0.5}
end

local function ranks_of(o, args)
  local ranks = take(args, "num_processes", "ranks", "nproc_per_node") or o.ranks or o.num_processes or o.nproc_per_node or 1
  if math.type(ranks) ~= "integer" or ranks < 1 or ranks > 64 then
    fail("ARG", ("llm.finetune runs on 1 to 64 ranks, not on %s"):format(tostring(ranks)), "ranks = 2 is two workers, each with its own batches")
  end
  if o.max_restarts ~= nil and (math.type(o.max_restarts) ~= "integer" or o.max_restarts < 0) then
    fail("ARG", ("max_restarts is a number of times, not %s"):format(tostring(o.max_restarts)), "0 lets a job fail with its worker")
  end
  return ranks
end

-- What SFTConfig has among its arguments belongs to the rows: it leaves `args`.
local function row_fields(o, args)
  local f = {max_length = take(args, "max_length", "max_seq_length") or o.max_length or 1024}
  local most = f.max_length ~= null and math.tointeger(type(f.max_length) == "number" and f.max_length)
  if f.max_length ~= null and not (most and most >= 0) then
    fail("ARG", ("max_length is a number of tokens, not %s"):format(type(f.max_length) == "string" and "the text '" .. f.max_length .. "'" or tostring(f.max_length)),
         "longer rows are cut at it; 0 cuts nothing")
  end
  f.max_length = most or 0
  f.assistant_only = take(args, "assistant_only_loss") or nil
  f.completion_only = take(args, "completion_only_loss", "completion_only")
  if o.completion_only ~= nil then f.completion_only = o.completion_only end
  f.packing = take(args, "packing")
  if o.packing ~= nil then f.packing = o.packing end
  return f
end
tools.row_fields = row_fields

-- Whether the worker computes metrics of the user's own at each evaluation.
local function takes_metrics(o, ranks)
  if o.compute_metrics == nil then return false end
  if type(o.compute_metrics) ~= "function" then fail("ARG", "compute_metrics is a function, not a " .. type(o.compute_metrics)) end
  if o.method == "dpo" then fail("UNSUPPORTED", "compute_metrics is not called for preferences", "their rewards and accuracies are in job.metrics") end
  if ranks > 1 then
    fail("UNSUPPORTED", ("compute_metrics is not called by a training on %d ranks: each has only a part of the predictions"):format(ranks),
         "ranks = 1, or llm.evaluate after the training")
  end
  return true
end

-- Arguments of one method that another would forget.
local of_preferences = {beta = "llm.dpo{…} has it", loss_type = "llm.dpo{…} has it",
                        label_smoothing = "llm.dpo{…} has it; label_smoothing_factor smooths the labels of texts"}

local function check_method(o, args)
  for _, name in ipairs{"model", "teacher", "adapter", "output_dir"} do
    if type(o[name]) == "string" then tools.check_values("the text of", o[name], name) end
  end
  tools.check_values("training argument", args)
  tools.check_values("LoraConfig:", o.peft or o.peft_config)
  if o.teacher ~= nil and args.label_smoothing_factor and args.label_smoothing_factor ~= 0 then
    fail("ARG", "training argument 'label_smoothing_factor' is not of a distillation, whose labels the teacher softens",
         "leave it out, or train without a teacher")
  end
  if o.method ~= "dpo" then
    for name, hint in pairs(of_preferences) do
      if args[name] ~= nil then fail("ARG", ("training argument '%s' is of preferences"):format(name), hint) end
    end
  elseif args.label_smoothing_factor and args.label_smoothing_factor ~= 0 then
    fail("ARG", "training argument 'label_smoothing_factor' is not of preferences", "label_smoothing is")
  elseif args.assistant_only_loss then
    fail("ARG", "training argument 'assistant_only_loss' is not of preferences", "of a pair the two answers are compared, and nothing else")
  elseif args.packing or o.packing then
    fail("UNSUPPORTED", "pairs of answers are not packed", "leave packing out")
  end
end

tools.check_method = check_method

local function refuse_what_does_not_fit(o)
  local p = llm.plan(o)
  if not p.fits then
    fail("LIMIT", ("this training needs %s, and memory_budget is %s"):format(tools.size_text(p.total), tools.size_text(p.available)), tostring(p))
  end
end

--- llm.finetune{model: string, train_dataset: DataFrame|table, eval_dataset?: DataFrame|table, template?: string, instruction_column?: string, response_column?: string, text_column?: string, peft?: LoraConfig, quantization?: BitsAndBytesConfig, args?: TrainingArguments, completion_only?: boolean, max_length = 1024, seed?: integer, output_dir?: Path, ranks = 1, num_processes?: integer, max_restarts = 3, stall_seconds?: number, method?: "sft"|"dpo", packing?: boolean, report_to?: string, adapter?: string, teacher?: string, temperature?: number, alpha?: number, compute_metrics?: function} -> Job
-- trains a model on a worker; the job belongs to the workspace and goes on when the notebook is closed.
-- Of rows with a prompt and a completion the completion is learned, unless completion_only = false; of others all, unless it is true.
-- adapter = folder or models:/…, or a model that is an adapter: training goes on from there.
-- compute_metrics{predictions, label_ids} is called by the worker at each evaluation, with a copy of the variables that it uses.
-- teacher = another model: the loss is alpha T^2 KL(teacher, student) at temperature T, and (1 - alpha) cross-entropy
--     local job = llm.finetune{model = "out/base", train_dataset = spark:table("train"), template = "{q} {a}", peft = LoraConfig{r = 16}, args = {num_train_epochs = 1}}
--     job:wait()
function llm.finetune(o)
  if type(o) ~= "table" then fail("ARG", "llm.finetune takes one table: llm.finetune{model = …, train_dataset = …}") end
  check_keys("llm.finetune", o, tools.finetune_keys)
  if o.train_dataset == nil then fail("ARG", "llm.finetune needs a train_dataset") end
  local method = o.method or "sft"
  if not methods_of_training[method] then
    fail("ARG", ("llm.finetune knows no method '%s'"):format(method), "'sft' (the default) and 'dpo' are there")
  end
  if o.args ~= nil and type(o.args) ~= "table" then fail("ARG", "args is a table of training arguments, not a " .. type(o.args)) end
  local args = copy_of(o.args)
  if o.seed ~= nil then args.seed = o.seed end
  check_method(o, args)
  local folder, uri, found = tools.model_folder(o.model)
  local folders, distill = {adapter = adapter_of(o, found)}, nil
  folders.teacher, folders.teacher_adapter, distill = teacher_of(o, found.tokenizer or folder, uri)
  local ranks = ranks_of(o, args)
  args.compute_metrics = takes_metrics(o, ranks) or nil
  args.num_processes = ranks > 1 and ranks or nil
  local ddp_timeout = take(args, "ddp_timeout")
  local rows = row_fields(o, args)
  rows.completion_only = tools.completion_only(rows.completion_only, o.train_dataset, o)
  local output = o.output_dir or take(args, "output_dir")
  args.output_dir = nil
  if args.memory_budget then refuse_what_does_not_fit(o) end
  local tracked, events = report_targets(take(args, "report_to") or o.report_to)
  local logging_dir = take(args, "logging_dir")
  local id, job_folder, data = core.new_job()
  local unused <close> = setmetatable({}, {__close = function() core.drop(id) end})
  o = copy_of(o)
  o.tokenizer_folder, o.assistant_only, o.completion_only = found.tokenizer or folder, rows.assistant_only, rows.completion_only
  local spec = {
    model = {uri = uri, folder = folder}, base_name = folder, folders = next(folders) and folders or nil,
    args = args, peft = tools.lora_fields(o.peft or o.peft_config),
    quantization = tools.quantization_fields(o.quantization or o.quantization_config),
    method = method, distill = distill, max_length = rows.max_length, packing = rows.packing and true or nil,
    completion_only = method == "dpo" or rows.completion_only, assistant_only = rows.assistant_only, chat_template = tools.chat_template(o), data = {},
    output_uri = core.absolute(output or job_folder .. "/result"), untracked = not tracked or nil,
    tensorboard = events and core.absolute(logging_dir or (output or job_folder) .. "/runs/" .. id) or nil,
    ranks = ranks, max_restarts = o.max_restarts, stall_seconds = o.stall_seconds, ddp_timeout = ddp_timeout,
  }
  local mark = core.mark()
  spec.data.train_rows = tools.write_rows(o.train_dataset, "train_dataset", o, data .. "/train.rows")
  if o.eval_dataset ~= nil then
    spec.data.eval_rows = tools.write_rows(o.eval_dataset, "eval_dataset", o, data .. "/eval.rows")
  end
  if args.compute_metrics then core.pack(data .. "/compute_metrics", o.compute_metrics) end
  local tables = core.tables(mark)
  if #tables > 0 then spec.data.tables = tables end
  core.submit(id, spec)
  return tools.new_job(id)
end

--- llm.dpo{model: string, train_dataset: DataFrame|table, eval_dataset?: DataFrame|table, peft?: LoraConfig, args?: TrainingArguments, output_dir?: Path} -> Job
-- preference optimisation: rows have prompt, chosen and rejected; args = {beta = 0.1, loss_type = "sigmoid"}
--     llm.dpo{model = "out/sft", train_dataset = spark:table("preferences"), args = {beta = 0.1}}
function llm.dpo(o)
  if type(o) ~= "table" then fail("ARG", "llm.dpo takes one table: llm.dpo{model = …, train_dataset = …}") end
  o = copy_of(o)
  o.method = "dpo"
  return llm.finetune(o)
end

--- llm.distill{model: string, teacher: string, train_dataset: DataFrame|table, temperature = 2.0, alpha = 0.5, eval_dataset?: DataFrame|table, peft?: LoraConfig, args?: TrainingArguments, output_dir?: Path} -> Job
-- a smaller model learns the probabilities of a greater one, and the labels; everything else as in llm.finetune
--     llm.distill{model = "out/small", teacher = "out/large", train_dataset = spark:table("texts"), args = {num_train_epochs = 1}}
function llm.distill(o)
  if type(o) ~= "table" then fail("ARG", "llm.distill takes one table: llm.distill{model = …, teacher = …, train_dataset = …}") end
  if o.teacher == nil then fail("ARG", "llm.distill needs a teacher: the folder or id of a model") end
  return llm.finetune(o)
end

M.llm = llm

-- Dataset and Trainer are loaded when a cell names them first.
tools.report_targets = report_targets
local trainer -- lacus.trainer, once: what it gives out knows each other
local parts = {Dataset = "datasets", load_dataset = "datasets", concatenate_datasets = "datasets", Trainer = "trainer", EarlyStoppingCallback = "trainer"}
setmetatable(M, {__index = function(_, name)
  if not parts[name] then return nil end
  tools.datasets = tools.datasets or require("lacus.datasets")(core, tools)
  if parts[name] == "trainer" then trainer = trainer or require("lacus.trainer")(core, tools) end
  local part = parts[name] == "datasets" and tools.datasets or trainer
  M[name] = part[name]
  return part[name]
end})
return M
end

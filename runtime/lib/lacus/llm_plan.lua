-- llm_plan.lua: memory and time of a training before it starts, and what would fit.
return function(core, tools)
local llm = tools.llm
local fail, copy_of, take, size_text = tools.fail, tools.copy_of, tools.take, tools.size_text

local Plan = {}
Plan.__index = Plan
Plan.__name = "Plan"

local plan_rows = {{"weights", "weights"}, {"adapter", "adapter"}, {"gradients", "gradients"}, {"optimizer", "optimizer"},
                   {"activations", "activations"}, {"logits", "logits of a chunk"}, {"scratch", "scratch"}, {"teacher", "teacher"}}

function Plan.__tostring(p)
  local out = {("%-20s %s of %s"):format("parameters trained", tools.commas(p.trainable), tools.commas(p.all))}
  for _, row in ipairs(plan_rows) do
    if p[row[1]] > 0 then out[#out + 1] = ("%-20s %s"):format(row[2], size_text(p[row[1]])) end
  end
  out[#out + 1] = ("%-20s %s of %s: %s"):format("total", size_text(p.total), size_text(p.available), p.fits and "it fits" or "it does not fit")
  if p.steps > 0 then
    out[#out + 1] = ("%-20s about %s for %s steps of %s tokens (%.1f GFLOP/s of products, measured here)"):format("time", tools.clock_text(p.seconds), tools.commas(p.steps),
      tools.commas(p.tokens_per_step), p.flops_per_second / 1e9)
  end
  if p.steps > 0 and p.assumes then out[#out + 1] = ("%-20s %s"):format("", p.assumes) end
  for _, s in ipairs(p.suggestions) do out[#out + 1] = ("%-20s %s: %s"):format("would fit", s.text, size_text(s.total)) end
  return table.concat(out, "\n")
end

-- What one would try, from what changes least.
local function plan_changes(request)
  local batch = request.args.per_device_train_batch_size or core.defaults().per_device_train_batch_size
  local changes = {{"args.gradient_checkpointing = true", function(r) r.args.gradient_checkpointing = true end}}
  local smaller = batch
  while smaller > 1 do
    smaller = smaller // 2
    local b = smaller
    changes[#changes + 1] = {("args.per_device_train_batch_size = %d, gradient_accumulation_steps = %d"):format(b, batch // b * (request.args.gradient_accumulation_steps or 1)),
                             function(r) r.args.per_device_train_batch_size, r.args.gradient_accumulation_steps = b, 1 end}
  end
  if not request.peft and not request.adapter then
    changes[#changes + 1] = {"peft = LoraConfig{r = 16, target_modules = \"all-linear\"}", function(r) r.peft = {r = 16, target_modules = "all-linear"} end}
  end
  if not request.quantization then
    changes[#changes + 1] = {"quantization = BitsAndBytesConfig{load_in_4bit = true, bnb_4bit_quant_type = \"nf4\"} with LoRA", function(r)
      r.quantization = {load_in_4bit = true, bnb_4bit_quant_type = "nf4", bnb_4bit_use_double_quant = true}
      r.peft = r.peft or not r.adapter and {r = 16, target_modules = "all-linear"} or nil
    end}
  end
  changes[#changes + 1] = {"all of these at batch size 1", function(r)
    r.args.gradient_checkpointing, r.args.per_device_train_batch_size = true, 1
    r.quantization = r.quantization or {load_in_4bit = true, bnb_4bit_quant_type = "nf4", bnb_4bit_use_double_quant = true}
    r.peft = r.peft or not r.adapter and {r = 16, target_modules = "all-linear"} or nil
  end}
  return changes
end

local function suggestions(request)
  local out = {}
  for _, change in ipairs(plan_changes(request)) do
    local r = copy_of(request)
    r.args = copy_of(request.args)
    change[2](r)
    local ok, p = pcall(core.plan, r)
    if ok and p.fits and #out < 4 then out[#out + 1] = {text = change[1], total = p.total} end
  end
  return out
end

local PLAN_ROWS = 2000 -- are tokenized; a longer dataset is judged by its first

-- The first rows of a dataset, and how many there are.
local function sample(dataset)
  if tools.is_dataframe(dataset) then return dataset:limit(PLAN_ROWS), dataset:count() end
  if #dataset <= PLAN_ROWS then return dataset, #dataset end
  if tools.datasets and tools.datasets.is_dataset(dataset) then
    local first = {}
    for i = 1, PLAN_ROWS do first[i] = dataset[i] end
    return first, #dataset
  end
  return table.move(dataset, 1, PLAN_ROWS, 1, {}), #dataset
end

--- class Plan: what a training needs
--- Plan.total: integer
-- bytes at the highest point
--- Plan.weights: integer
-- bytes of them that are the model's
--- Plan.available: integer
-- bytes that there are
--- Plan.fits: boolean
-- whether that is enough
--- Plan.steps: integer
-- steps that the training takes; 0 when it is not known
--- Plan.seconds: number
-- how long they would take here
--- Plan.suggestions: {table, …}
-- what would fit: {text =, total =}
--- llm.plan{model: string, train_dataset?: DataFrame|table, args?: TrainingArguments, peft?: LoraConfig, quantization?: BitsAndBytesConfig, max_length?: integer, …} -> Plan
-- memory and time of a training before it starts, and what would fit; takes what llm.finetune takes. Without a dataset batches are full
--     print(llm.plan{model = "out/base", peft = LoraConfig{r = 16}, args = {per_device_train_batch_size = 8}, max_length = 2048})
function llm.plan(o)
  if type(o) ~= "table" then fail("ARG", "llm.plan takes one table, as llm.finetune does") end
  tools.check_keys("llm.plan", o, tools.finetune_keys)
  local args = copy_of(o.args)
  if o.seed ~= nil then args.seed = o.seed end
  tools.check_method(o, args)
  local folder, _, found = tools.model_folder(o.model)
  local request = {folder = folder, tokenizer = found.tokenizer, args = args, peft = tools.lora_fields(o.peft or o.peft_config),
                   quantization = tools.quantization_fields(o.quantization or o.quantization_config)}
  local fields = tools.row_fields(o, args)
  fields.completion_only = tools.completion_only(fields.completion_only, o.train_dataset, o)
  request.max_length, request.completion_only = fields.max_length, fields.completion_only
  request.packing, request.pairs = fields.packing or false, o.method == "dpo"
  take(args, "num_processes", "ranks", "nproc_per_node", "ddp_timeout", "report_to", "logging_dir", "output_dir")
  if o.adapter or found.adapter then request.adapter = core.absolute(o.adapter and tools.find_model(o.adapter).adapter or found.adapter) end
  if o.teacher then request.teacher = tools.model_folder(o.teacher) end
  local path
  local removed <close> = setmetatable({}, {__close = function() if path then os.remove(path) end end})
  if o.train_dataset ~= nil then
    local rows, n = sample(o.train_dataset)
    path = core.temporary()
    o = copy_of(o)
    o.tokenizer_folder, o.assistant_only, o.completion_only = found.tokenizer or folder, fields.assistant_only, fields.completion_only
    local written = tools.write_rows(rows, "train_dataset", o, path)
    request.rows = path
    if n > written then request.items = n end
  end
  local p = setmetatable(core.plan(request), Plan)
  p.suggestions = p.fits and {} or suggestions(request)
  return p
end
end

-- llm_models.lua: models and tokenizers by name, and what they do in a session.
return function(core, tools)
local llm = tools.llm
local fail, check_keys, set = tools.fail, tools.check_keys, tools.set

-- ---- models and datasets by name ---------------------------------------------------------------------------------------

-- The folder of ORG/NAME. Where ORG is a folder here, a wrong path is likelier than a model of the Hub that was never used.
local function from_hub(name, hub)
  local asked = {may_be_folder = true}
  for k, v in pairs(hub) do asked[k] = v end
  if core.is_dir(name:match("^[^/]+")) and not name:find("@", 1, true) then
    asked.local_files_only = true
    if not pcall(core.hub, name, asked) then
      fail("NOTFOUND", ("no model '%s': no such folder"):format(name), ("for a model of the Hub that has this name, write '%s@main'"):format(name))
    end
    asked.local_files_only = hub.local_files_only
  end
  return core.hub(name, asked)
end

-- Where a model is: a path, models:/NAME@ALIAS, runs:/ID/PATH, a job, or a Hub id; of that, what `hub` asks for is downloaded.
-- → {folder, model, tokenizer, adapter}, what the user called it
local function find_model(model, hub)
  if type(model) == "table" and getmetatable(model) == tools.Job then model = model.output_dir end
  if type(model) == "table" and model.path then model = model.path end
  if type(model) ~= "string" then fail("ARG", "a model is a folder, models:/NAME@ALIAS or a Hub id, not a " .. type(model)) end
  if model:match("^%l+:/") or core.is_dir(model) then return core.find(model), model end
  if model:find("/", 1, true) and core.is_hub_id(model) then return core.find(from_hub(model, hub or {})), model end
  fail("NOTFOUND", ("no model '%s': no such folder"):format(model),
       "give a Hugging Face folder (config.json, model.safetensors, tokenizer.json), a Hub id like org/name, or models:/NAME@ALIAS")
end

-- The folder with config.json and weights.
local function model_folder(model, hub)
  local found, uri = find_model(model, hub)
  if not found.model and found.adapter and found.base_name and found.base_name:find("/", 1, true) and core.is_hub_id(found.base_name) then
    local base = core.find(core.hub(found.base_name, {want = "model", token = hub and hub.token, cache_dir = hub and hub.cache_dir}))
    found.model, found.tokenizer = base.model, found.tokenizer or base.tokenizer
  end
  if not found.model then
    fail("NOTFOUND", ("'%s' is not a model: no config.json with weights in '%s'"):format(uri, found.folder or "?"),
         found.adapter and "it is an adapter, and its base model is not on this machine" or nil)
  end
  return core.absolute(found.model), uri, found
end

-- ---- models, tokenizers ------------------------------------------------------------------------------------------------

--- class Model: a model in this session
--- class LoraConfig: a table of PEFT's names
--- class TrainingArguments: a table of Hugging Face's names
--- class BitsAndBytesConfig: a table of bitsandbytes' names
--- module llm: language models: training, loading, evaluation
local model_methods = {}
core.model_methods(model_methods)
--- Model:forward{input_ids: table, attention_mask?: table, labels?: table} -> table
-- loss (a number) and logits (a Tensor) of a batch
--     local out = model:forward{input_ids = {{1, 2, 3}}, labels = {{1, 2, 3}}}
--- Model:backward()
-- gradients of the loss of the last forward
--     model:backward()
--- Model:zero_grad()
-- all gradients are zero again
--     model:zero_grad()
--- Model:parameters() -> {table, …}
-- name, shape, value, grad, requires_grad of each
--     for _, p in ipairs(model:parameters()) do print(p.name, p.grad:norm()) end
--- Model:count() -> integer, integer
-- how many parameters are trained, and how many there are
--     local trainable, all = model:count()
--- Model:merge_and_unload() -> Model
-- the adapter becomes part of the weights
--     model:merge_and_unload():save_pretrained("out/merged")
--- Model:close()
-- its memory is free again
--     model:close()
--- Model.path: string
-- its folder
--- class Tokenizer: texts as numbers, and back
--- Tokenizer(texts: string|table, options?: {truncation?: boolean, max_length?: integer, padding?: boolean|string, padding_side?: "left"|"right", truncation_side?: "left"|"right", add_special_tokens = true, return_attention_mask = true, pad_to_multiple_of?: integer}) -> {input_ids: table, attention_mask: table}
-- a batch of texts, cut and padded as transformers does it; options may stand in one table with the texts
--     tok{{"one", "two words"}, truncation = true, max_length = 512, padding = "longest"}
--- Tokenizer.name_or_path: string
-- what it was opened with
--- Tokenizer:encode(text: string, options?: {add_special_tokens?: boolean}) -> {integer, …}
-- the tokens of a text
--     tok:encode("Hello")
--- Tokenizer:decode(ids: table, options?: {skip_special_tokens?: boolean}) -> string
-- the text of tokens
--     tok:decode({1, 2, 3}, {skip_special_tokens = true})
--- Tokenizer:apply_chat_template(messages: table, options?: {add_generation_prompt?: boolean, tokenize?: boolean, continue_final_message?: boolean, chat_template?: string, return_dict?: boolean, return_assistant_tokens_mask?: boolean, tools?: table|string, documents?: table, enable_thinking?: boolean}) -> string|{integer, …}|table
-- a conversation as the model wants it, or its tokens (return_dict: {input_ids, attention_mask}, with return_assistant_tokens_mask also assistant_masks: 1 for what the template has in {% generation %}); other options are the template's. tools as JSON text keep the order of their fields
--     llm.tokenizer("out/base"):apply_chat_template({{role = "user", content = "hello"}}, {add_generation_prompt = true})
--- Tokenizer.vocab_size: integer
-- how many tokens there are
--- Tokenizer.bos_token_id: integer
-- the token that begins a text
--- Tokenizer.eos_token_id: integer
-- the token that ends a text
--- Tokenizer.pad_token_id: integer
-- the token that fills up
--- class Tensor: numbers in rows and columns
--- Tensor:norm() -> number
-- the root of the sum of squares
--     out.logits:norm()
--- Tensor:argmax() -> {integer, …}
-- where the greatest of each last row is, from 0: of logits, the likeliest token at each place
--     out.logits:argmax()
--- Tensor:get(i: integer, …) -> number
-- one number; positions from 0
--     out.logits:get(1, 1, 1)
--- Tensor:totable() -> {number, …}
-- all numbers, one after the other
--     out.logits:totable()
--- Tensor.shape: {integer, …}
-- how many in each direction
--- Tensor.name: string
-- of a parameter

--- Model:print_trainable_parameters()
-- how many parameters are trained
--     model:print_trainable_parameters()
function model_methods.print_trainable_parameters(m)
  print(tools.trainable_text(m:count()))
end

-- m → {name = number} of the adapters that stand beside it
local kept = setmetatable({}, {__mode = "k"})

local function adapter_number(m, name)
  local names = kept[m] or {}
  if name == nil or names[name] then return name and names[name] or 0 end
  local known = {}
  for k in pairs(names) do known[#known + 1] = "'" .. k .. "'" end
  table.sort(known)
  fail("NOTFOUND", ("the model has no adapter '%s'"):format(name), #known > 0 and "there is " .. table.concat(known, ", ") or "m:load_adapter(folder, name) loads one")
end

--- Model:load_adapter(folder: Path, name?: string) -> Model
-- a LoRA adapter of PEFT's over the weights; with a name it stands beside others, and generate{adapter = name} uses it
--     model:load_adapter("out/sft", "law")
function model_methods.load_adapter(m, folder, name)
  if name ~= nil and type(name) ~= "string" then fail("ARG", "the name of an adapter is a text") end
  local number = core.load_adapter(m, folder, name ~= nil)
  if name then
    kept[m] = kept[m] or {}
    kept[m][name] = number
  end
  return m
end

--- Model:add_adapter(lora: LoraConfig, seed?: integer) -> Model
-- a fresh LoRA adapter, which alone is trained
--     model:add_adapter(LoraConfig{r = 8, target_modules = {"q_proj", "v_proj"}})
function model_methods.add_adapter(m, lora, seed)
  core.attach(m, tools.lora_fields(lora), seed)
  return m
end

--- Model:save_pretrained(folder: Path)
-- weights, config and tokenizer in Hugging Face's format; of an adapter, PEFT's
--     model:save_pretrained("out/model")
function model_methods.save_pretrained(m, folder)
  core.save(m, folder)
  if core.exists(m.path .. "/tokenizer.json") then core.copy_tokenizer(m.path, folder) end
end

--- Model:requires_grad(on = true) -> Model
-- whether its weights are trained
--     model:requires_grad(false)
function model_methods.requires_grad(m, on)
  core.trainable(m, on ~= false)
  return m
end

local hub_keys = {"revision", "token", "cache_dir", "local_files_only"}

local function hub_options(o, want)
  local hub = {want = want}
  for _, key in ipairs(hub_keys) do hub[key] = o[key] end
  return hub
end

--- llm.download(model: string, options?: {revision?: string, token?: string, cache_dir?: Path, local_files_only?: boolean}) -> string
-- a model of the Hugging Face Hub into the cache that its tools use; the folder with its files
--     llm.download("meta-llama/Llama-3.2-1B@main")
function llm.download(model, o)
  o = o or {}
  check_keys("llm.download", o, set(table.unpack(hub_keys)))
  return core.hub(model, hub_options(o, "model"))
end

--- llm.load(model: string, options?: {dtype?: "f32"|"bf16", device?: "cpu", backend?: string, quantization?: BitsAndBytesConfig, revision?: string, token?: string, cache_dir?: Path, local_files_only?: boolean}) -> Model
-- a model into this session: a folder, a Hub id, models:/name@alias or runs:/id/model
--     local m = llm.load("out/sft", {dtype = "f32"})
function llm.load(model, o)
  o = o or {}
  check_keys("llm.load", o, set("dtype", "device", "backend", "quantization", "quantization_config", table.unpack(hub_keys)))
  if o.device and o.device ~= "cpu" then
    fail("UNSUPPORTED", ("cannot load a model on device '%s' in a session"):format(o.device),
         "device = \"cpu\" runs here; a GPU works in a worker: llm.finetune")
  end
  local folder, _, found = model_folder(model, hub_options(o, "model"))
  local m, slow = core.load(folder, {dtype = o.dtype, backend = o.backend, tokenizer = found.tokenizer,
                                     quantization = tools.quantization_fields(o.quantization or o.quantization_config)})
  if slow then print("warning: the model runs on the slow reference: " .. slow) end
  if found.adapter then
    m:load_adapter(found.adapter)
  elseif not (o.quantization or o.quantization_config) then
    core.trainable(m, true)
  end
  return m
end

--- llm.tokenizer(path: Path, options?: {revision?: string, token?: string, cache_dir?: Path, local_files_only?: boolean}) -> Tokenizer
-- a tokenizer: the folder of a model, a tokenizer.json, or a Hub id (only the tokenizer is downloaded)
--     llm.tokenizer("out/base"):encode("hello")
function llm.tokenizer(path, o)
  o = o or {}
  check_keys("llm.tokenizer", o, set(table.unpack(hub_keys)))
  if core.exists(path .. "/tokenizer.json") or path:match("%.json$") then return core.tokenizer(path) end
  local found = find_model(path, hub_options(o, "tokenizer"))
  if not found.tokenizer then fail("NOTFOUND", ("'%s' has no tokenizer.json"):format(path)) end
  return core.tokenizer(found.tokenizer)
end

-- llm.train_tokenizer{texts = df or list, column = "text", vocab_size = 8000, output_dir = "…"}
--- llm.train_tokenizer{texts: DataFrame|table, column = "text", vocab_size?: integer, output_dir: Path, min_frequency?: integer, model_max_length?: integer, chat_template?: string} -> Tokenizer
-- a byte-level BPE tokenizer from texts, in Hugging Face's format
--     llm.train_tokenizer{texts = {"some text", "more text"}, vocab_size = 300, output_dir = "out/tok"}
function llm.train_tokenizer(o)
  check_keys("llm.train_tokenizer", o, set("texts", "column", "vocab_size", "output_dir", "min_frequency", "model_max_length", "chat_template"))
  if not o.output_dir then fail("ARG", "llm.train_tokenizer needs an output_dir") end
  local path = core.temporary()
  local column = o.column or "text"
  local removed <close> = setmetatable({}, {__close = function() os.remove(path) end})
  local writer <close> = core.rows(path)
  local texts = tools.is_dataframe(o.texts) and o.texts:select(column):collect() or o.texts
  for n, row in ipairs(texts) do
    local text = type(row) == "string" and row or row[column]
    if text == nil then fail("NOTFOUND", ("row %d has no column '%s'"):format(n, column)) end
    writer:add("", text)
  end
  writer:finish()
  core.train_tokenizer(path, {vocab_size = o.vocab_size, min_frequency = o.min_frequency, model_max_length = o.model_max_length,
                              chat_template = o.chat_template}, o.output_dir)
  return core.tokenizer(o.output_dir)
end

-- llm.create_model{config = {hidden_size = …}, tokenizer = tok or path, output_dir = "…", seed = 42}: fresh weights in Hugging Face's format
--- llm.create_model{config: table, tokenizer?: Tokenizer|string, output_dir: Path, seed = 42} -> {path: string, parameters: integer}
-- a model with fresh weights, in Hugging Face's format
--     llm.create_model{config = {hidden_size = 64, num_hidden_layers = 2, num_attention_heads = 4}, tokenizer = "out/tok", output_dir = "out/new"}
function llm.create_model(o)
  check_keys("llm.create_model", o, set("config", "tokenizer", "output_dir", "seed"))
  if not o.output_dir then fail("ARG", "llm.create_model needs an output_dir") end
  local c = tools.copy_of(o.config)
  c.model_type = c.model_type or "llama"
  c.architectures = c.architectures or {"LlamaForCausalLM"}
  if o.tokenizer then
    local tok = type(o.tokenizer) == "string" and llm.tokenizer(o.tokenizer) or o.tokenizer
    c.vocab_size = c.vocab_size or tok.vocab_size
    c.bos_token_id = c.bos_token_id or tok.bos_token_id
    c.eos_token_id = c.eos_token_id or tok.eos_token_id
    c.pad_token_id = c.pad_token_id or tok.pad_token_id
  end
  local n = core.create(require("json").encode(c), o.seed or 42, o.output_dir)
  if type(o.tokenizer) == "string" and core.absolute(o.tokenizer) ~= core.absolute(o.output_dir) then
    core.copy_tokenizer(core.is_dir(o.tokenizer) and o.tokenizer or find_model(o.tokenizer).tokenizer, o.output_dir)
  end
  return {path = core.absolute(o.output_dir), parameters = n}
end

tools.find_model, tools.model_folder, tools.model_methods, tools.adapter_number = find_model, model_folder, model_methods, adapter_number
end

-- llm_generate.lua: m:generate with the names of transformers' generate, and what a model's publisher says of it.
return function(core, tools)
local fail, check_keys, set = tools.fail, tools.check_keys, tools.set
local model_methods = tools.model_methods

local function as_list(x) return type(x) == "table" and x or {x} end

local generate_keys = set("prompt", "prompts", "messages", "input_ids", "attention_mask", "max_new_tokens", "max_length", "do_sample", "temperature", "top_k", "top_p",
  "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty", "logit_bias", "num_return_sequences", "top_logprobs", "seed", "stop", "stop_strings",
  "eos_token_id", "adapter", "on_text")

-- What transformers has beside: the value that asks for nothing (any: it says nothing of the tokens), and what to do instead.
local ANY = {}
local of_transformers = {
  num_beams = {1, "beams are not searched; num_return_sequences and do_sample = true give several answers"},
  num_beam_groups = {1, "beams are not searched"},
  no_repeat_ngram_size = {0, "repetition_penalty, frequency_penalty and presence_penalty are against repetitions"},
  encoder_no_repeat_ngram_size = {0, "repetition_penalty is against repetitions, those of the prompt, too"},
  encoder_repetition_penalty = {1, "repetition_penalty is of the prompt and the new tokens"},
  typical_p = {1, "top_p, top_k and min_p are there"},
  epsilon_cutoff = {0, "min_p is there"}, eta_cutoff = {0, "min_p is there"},
  penalty_alpha = {0, "there is no contrastive search"}, guidance_scale = {1, "there is no guidance"},
  min_length = {0, "logit_bias = {[id of the end] = -100} keeps an end away"}, min_new_tokens = {0, "logit_bias = {[id of the end] = -100} keeps an end away"},
  bad_words_ids = {false, "logit_bias = {[id] = -100} keeps a token away"}, suppress_tokens = {false, "logit_bias = {[id] = -100} keeps a token away"},
  begin_suppress_tokens = {false, "logit_bias = {[id] = -100} keeps a token away"},
  forced_bos_token_id = {false, "a prompt says how the text begins"}, forced_eos_token_id = {false, "max_new_tokens ends a text"},
  streamer = {false, "on_text = function(piece, index) … end gets the text as it grows"},
  stopping_criteria = {false, "stop is a list of texts; on_text ends a text by returning false"},
  logits_processor = {false, "logit_bias and the penalties are there"},
  generation_config = {false, "the fields stand here by themselves: temperature, top_p, …"},
  assistant_model = {false, "no second model drafts"},
  return_dict_in_generate = {ANY}, output_scores = {false, "logprobs are in the answer, top_logprobs = n gives likely tokens"},
  output_logits = {false, "logprobs are in the answer, top_logprobs = n gives likely tokens"},
  pad_token_id = {ANY}, use_cache = {ANY}, early_stopping = {ANY}, length_penalty = {ANY}, diversity_penalty = {0, "beams are not searched"},
  remove_invalid_values = {ANY}, renormalize_logits = {ANY}, cache_implementation = {ANY}, bos_token_id = {ANY},
}

local function says_nothing(row, value)
  return row[1] == ANY or value == row[1] or value == null or (row[1] == false and type(value) == "table" and next(value) == nil)
end

-- What of transformers' arguments is not there is refused by name; what asks for nothing is left out.
local function without_others(o)
  local kept = {}
  for name, value in pairs(o) do
    local row = of_transformers[name]
    if row and not says_nothing(row, value) then
      fail("UNSUPPORTED", ("generate has no argument '%s'"):format(name), row[2])
    elseif not row then
      kept[name] = value
    end
  end
  return kept
end

-- ---- the publisher's own -------------------------------------------------------------------------------------------------

local CHOICES = {"top_k", "top_p", "min_p", "repetition_penalty"}
local read = setmetatable({}, {__mode = "k"})

-- generation_config.json beside a model: {} where there is none.
local function published(m)
  if read[m] then return read[m] end
  local path = m.path .. "/generation_config.json"
  local file <close> = io.open(path, "rb") or setmetatable({}, {__close = function() end})
  local config = {}
  if io.type(file) == "file" then
    local ok, found = pcall(require("json").decode, file:read("a"))
    if not ok or type(found) ~= "table" then fail("DATA", ("cannot read '%s': it is not a JSON object"):format(path)) end
    for name, value in pairs(found) do
      local row = of_transformers[name]
      if row and not says_nothing(row, value) then
        print(("warning: '%s' asks for %s = %s, which is not done here"):format(path, name, type(value) == "table" and "…" or tostring(value)))
      elseif value ~= null then
        config[name] = value
      end
    end
  end
  read[m] = config
  return config
end

-- As transformers: what was not said is the publisher's: the ends of a text, how it is chosen, how long it is.
local function with_published(m, o)
  local config, options = published(m), tools.copy_of(o)
  for _, name in ipairs(CHOICES) do
    if options[name] == nil then options[name] = config[name] end
  end
  if options.eos_token_id == nil then options.eos_token_id = config.eos_token_id end
  if o.max_new_tokens == nil and o.max_length == nil then
    options.max_new_tokens = config.max_new_tokens
    if config.max_new_tokens == nil then options.max_length = config.max_length end
  end
  if o.do_sample == false then
    options.temperature = 0
  elseif o.temperature == nil and (o.do_sample or config.do_sample) then
    options.temperature = config.temperature or 1
  end
  return options
end

-- ---- the call ------------------------------------------------------------------------------------------------------------

-- The ids that an attention mask leaves.
local function unmasked(ids, mask)
  if type(mask) ~= "table" or #mask ~= #ids then
    fail("ARG", "'attention_mask' has 0 or 1 for each of the input_ids")
  end
  local kept = {}
  for i, id in ipairs(ids) do
    if mask[i] ~= 0 then kept[#kept + 1] = id end
  end
  return kept
end

-- What is to be continued: a list of texts or of lists of ids, and whether one was given alone.
local function prompts_of(m, o)
  local given
  for _, key in ipairs{"prompt", "prompts", "messages", "input_ids"} do
    if o[key] ~= nil then
      if given then fail("ARG", ("generate takes '%s' or '%s', not both"):format(given, key)) end
      given = key
    end
  end
  local x = o[given or "prompt"]
  if x == nil then fail("ARG", "generate needs a prompt, messages or input_ids") end
  if o.attention_mask ~= nil and given ~= "input_ids" then fail("ARG", "'attention_mask' is of input_ids") end
  if given == "messages" then
    if type(x) ~= "table" or type(x[1]) ~= "table" then fail("ARG", "'messages' is a list of {role = …, content = …}") end
    local one = x[1].role ~= nil
    local texts = {}
    for i, messages in ipairs(one and {x} or x) do texts[i] = core.chat_text(m, messages) end
    return texts, one
  elseif given == "input_ids" then
    if type(x) ~= "table" then fail("ARG", "'input_ids' is a list of token ids") end
    local one = type(x[1]) ~= "table"
    local rows, masks = one and {x} or x, one and {o.attention_mask} or o.attention_mask
    if o.attention_mask == nil then return rows, one end
    local kept = {}
    for i, ids in ipairs(rows) do kept[i] = unmasked(ids, masks[i]) end
    return kept, one
  end
  return as_list(x), type(x) ~= "table"
end

--- Model:generate{prompt?: string|table, messages?: table, input_ids?: table, attention_mask?: table, max_new_tokens?: integer, max_length?: integer, do_sample?: boolean, temperature?: number, top_k?: integer, top_p?: number, min_p?: number, repetition_penalty?: number, frequency_penalty?: number, presence_penalty?: number, logit_bias?: table, num_return_sequences?: integer, top_logprobs?: integer, seed?: integer, stop?: string|table, stop_strings?: string|table, eos_token_id?: integer|table, adapter?: string, on_text?: function} -> table
-- an answer, or a list for a list of prompts or several answers to one: {text, ids, logprobs, top_logprobs, finish_reason}; messages go through the chat template; max_length counts the prompt, too, as in transformers; on_text(piece, index) gets the text as it grows, and ends it by returning false; what is not said is as the model's generation_config.json has it (eos_token_id, do_sample, temperature, repetition_penalty, …), as in transformers
--     print(llm.load("out/sft"):generate{messages = {{role = "user", content = "Hello"}}, max_new_tokens = 8}.text)
function model_methods.generate(m, o)
  if type(o) == "string" then o = {prompt = o} end
  o = without_others(o)
  check_keys("generate", o, generate_keys)
  if o.stop_strings ~= nil then
    if o.stop ~= nil then fail("ARG", "generate takes 'stop' or 'stop_strings', which are the same, not both") end
    o.stop = o.stop_strings
  end
  local prompts, alone = prompts_of(m, o)
  local options = with_published(m, o)
  options.adapter_number = tools.adapter_number(m, o.adapter)
  if o.max_new_tokens and o.max_length then
    print(("warning: max_new_tokens (%s) and max_length (%s) are both set: max_new_tokens takes precedence"):format(o.max_new_tokens, o.max_length))
  end
  local each = math.tointeger(o.num_return_sequences or 1)
  if not each or each < 1 then fail("ARG", "'num_return_sequences' is a whole number from 1 on") end
  local all = {}
  for _, prompt in ipairs(prompts) do
    for _ = 1, each do all[#all + 1] = prompt end
  end
  local out = core.generate(m, all, options)
  return alone and each == 1 and out[1] or out
end

tools.published = published
end

-- llm_evaluate.lua: answers of a model, and how good they are.
return function(core, tools)
local llm = tools.llm
local check_keys, set, rows_of, questions = tools.check_keys, tools.set, tools.rows_of, tools.questions

local row_keys = {"template", "instruction_column", "response_column", "text_column"}

local function as_model(model)
  if core.is_model(model) then return model end
  return llm.load(model)
end

-- llm.predict{model, prompts or dataset, choices = {…} | max_new_tokens = 16} → list of {text, logprob or finish_reason}
--- llm.predict{model: Model|string, prompts?: {string, …}, dataset?: DataFrame|table, choices?: {string, …}, max_new_tokens = 16, max_length?: integer, temperature = 0, seed?: integer, template?: string, instruction_column?: string, response_column?: string, text_column?: string} -> {table, …}
-- an answer for each prompt: what is generated, or the most likely of choices
--     llm.predict{model = "out/new", prompts = {"Is the moon far?"}, choices = {"yes", "no"}}
function llm.predict(o)
  check_keys("llm.predict", o, set("model", "prompts", "dataset", "choices", "max_new_tokens", "max_length", "temperature", "seed", table.unpack(row_keys)))
  local m = as_model(o.model)
  local prompts = o.prompts or (questions(o.dataset, o))
  if not o.choices then
    return core.generate(m, prompts, {max_new_tokens = o.max_new_tokens or 16, temperature = o.temperature or 0, seed = o.seed,
                                    eos_token_id = tools.published(m).eos_token_id})
  end
  local best, logprob = core.choose(m, prompts, o.choices, o.max_length or 0)
  local out = {}
  for i, k in ipairs(best) do out[i] = {text = o.choices[k], logprob = logprob[i], choice = k} end
  return out
end

local function trim(s) return (s:gsub("^%s+", ""):gsub("%s+$", "")) end

-- Share of answers that are right, beside the share that the most frequent answer would have.
local function accuracy(m, o)
  local prompts, answers = questions(o.dataset, o)
  local choices = o.choices
  if choices == true then
    local seen = {}
    choices = {}
    for _, a in ipairs(answers) do
      if not seen[a] then
        seen[a] = true
        choices[#choices + 1] = a
      end
    end
    table.sort(choices)
  end
  local predicted = llm.predict{model = m, prompts = prompts, choices = choices, max_new_tokens = o.max_new_tokens, max_length = o.max_length}
  local right, exact, counts, most = 0, 0, {}, 0
  for i, p in ipairs(predicted) do
    if p.text == answers[i] then exact = exact + 1 end
    if trim(p.text) == trim(answers[i]) then right = right + 1 end
    counts[answers[i]] = (counts[answers[i]] or 0) + 1
    most = math.max(most, counts[answers[i]])
  end
  return {accuracy = right / #answers, exact_match = exact / #answers, majority_baseline = most / #answers, predictions = predicted}, prompts, answers
end

--- llm.evaluate{model: Model|string, dataset: DataFrame|table, metrics?: {string, …}, compute_metrics?: function, choices?: table|boolean, max_new_tokens?: integer, max_length?: integer, batch_size?: integer, completion_only?: boolean, template?: string, instruction_column?: string, response_column?: string, text_column?: string} -> table
-- a model on rows: metrics = {"loss", "perplexity", "accuracy", "exact_match"} (accuracy forgives space around an answer), and what
-- compute_metrics{predictions, references, prompts} makes of the answers
--     llm.evaluate{model = "out/new", dataset = {{text = "some text"}}}
function llm.evaluate(o)
  check_keys("llm.evaluate", o, set("model", "dataset", "metrics", "compute_metrics", "choices", "max_new_tokens", "max_length", "batch_size", "completion_only",
    table.unpack(row_keys)))
  local wanted = {}
  for _, name in ipairs(o.metrics or (o.compute_metrics and {} or {"loss"})) do wanted[name] = true end
  check_keys("the metrics of llm.evaluate", wanted, set("loss", "perplexity", "accuracy", "exact_match"))
  local m = as_model(o.model)
  local rows = rows_of(o.dataset, "dataset", o)
  local q = tools.copy_of(o)
  q.dataset = rows
  local result = {}
  if wanted.loss or wanted.perplexity then
    local path = core.temporary()
    local removed <close> = setmetatable({}, {__close = function() os.remove(path) end})
    tools.write_rows(rows, "dataset", q, path)
    result.eval_loss, result.eval_samples = core.eval_loss(m, path,
      {max_length = o.max_length, batch_size = o.batch_size, completion_only = tools.completion_only(o.completion_only, rows, o)})
  end
  if wanted.perplexity then result.perplexity = math.exp(result.eval_loss) end
  if wanted.accuracy or wanted.exact_match or o.compute_metrics then
    local found, prompts, answers = accuracy(m, q)
    for name, value in pairs(found) do
      if wanted[name] or name == "predictions" or (name == "majority_baseline" and wanted.accuracy) then result[name] = value end
    end
    result.eval_samples = #found.predictions
    if o.compute_metrics then
      local texts = {}
      for i, p in ipairs(found.predictions) do texts[i] = p.text end
      for name, value in pairs(o.compute_metrics{predictions = texts, references = answers, prompts = prompts}) do result[name] = value end
    end
  end
  return result
end
end

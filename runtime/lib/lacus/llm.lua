-- llm.lua: fine-tuning jobs, models and tokenizers as a cell sees them. The work is done in C (`core`): see runtime/train.
return function(core)
local M = {}
local llm = {}

-- ---- small helpers -----------------------------------------------------------------------------------------------------

local function fail(code, message, hint)
    core.raise{code = code, message = message, hint = hint}
end

local function commas(n)
    local s = tostring(math.floor(n))
    local k
    repeat
        s, k = s:gsub("^(-?%d+)(%d%d%d)", "%1,%2")
    until k == 0
    return s
end

local function clock_text(seconds)
    seconds = math.max(0, math.floor(seconds))
    if seconds >= 3600 then
        return ("%d:%02d:%02d"):format(seconds // 3600, seconds % 3600 // 60, seconds % 60)
    end
    return ("%d:%02d"):format(seconds // 60, seconds % 60)
end

-- Every key of `given` must be one of `known` (a set); an unknown one is answered with the nearest.
local function check_keys(what, given, known)
    for key in pairs(given) do
        if not known[key] then
            local names = {}
            for name in pairs(known) do names[#names + 1] = name end
            table.sort(names)
            local near = core.nearest(tostring(key), names)
            fail("ARG", ("%s has no argument '%s'"):format(what, tostring(key)),
                 near ~= "" and "did you mean " .. near .. "?" or "it has " .. table.concat(names, ", "))
        end
    end
end

local function set(...)
    local s = {}
    for _, name in ipairs{...} do s[name] = true end
    return s
end

local datasets -- lacus.datasets, when it was needed

local function is_dataframe(x)
    if datasets and datasets.is_dataset(x) then return false end
    return type(x) == "userdata" or (type(x) == "table" and rawget(x, 1) == nil and type(x.collect) == "function")
end

-- ---- configurations ----------------------------------------------------------------------------------------------------

local config_names = setmetatable({}, {__mode = "k"})

local function config(name, given)
    return function(fields)
        fields = fields or {}
        if type(fields) ~= "table" then fail("ARG", name .. " takes a table of fields, not a " .. type(fields)) end
        local copy = {}
        for k, v in pairs(given or {}) do copy[k] = v end
        for k, v in pairs(fields) do copy[k] = v end
        config_names[copy] = name
        return copy
    end
end

--- LoraConfig{r = 8, lora_alpha = 8, lora_dropout = 0.0, target_modules?: table|string, bias = "none", modules_to_save?: table, rank_pattern?: table, alpha_pattern?: table, exclude_modules?: table|string, layers_to_transform?: table, use_rslora = false, use_dora = false, task_type?: string} -> LoraConfig
-- a LoRA adapter, with PEFT's names
--     LoraConfig{r = 16, lora_alpha = 32, target_modules = {"q_proj", "v_proj"}}
--- TrainingArguments{num_train_epochs?: number, max_steps?: integer, per_device_train_batch_size?: integer, gradient_accumulation_steps?: integer, learning_rate?: number, warmup_ratio?: number, warmup_steps?: integer, weight_decay?: number, optim?: string, lr_scheduler_type?: string, lr_scheduler_kwargs?: table, bf16?: boolean, max_length?: integer, logging_steps?: integer, eval_steps?: integer, save_steps?: integer, save_total_limit?: integer, load_best_model_at_end?: boolean, max_grad_norm?: number, seed?: integer, output_dir?: Path} -> TrainingArguments
-- Hugging Face's arguments of a training
--     TrainingArguments{num_train_epochs = 3, learning_rate = 2e-4}
--- BitsAndBytesConfig{load_in_4bit?: boolean, load_in_8bit?: boolean, bnb_4bit_quant_type?: string, bnb_4bit_use_double_quant?: boolean, bnb_4bit_compute_dtype?: string} -> BitsAndBytesConfig
-- weights in few bits, with bitsandbytes' names
--     BitsAndBytesConfig{load_in_4bit = true, bnb_4bit_quant_type = "nf4"}
M.LoraConfig = config("LoraConfig")
--- PromptTuningConfig{num_virtual_tokens = 8, prompt_tuning_init?: "RANDOM"|"TEXT"|"SAMPLE_VOCAB", prompt_tuning_init_text?: string} -> PromptTuningConfig
-- embeddings in front of each text, which alone are trained, with PEFT's names
--     PromptTuningConfig{num_virtual_tokens = 8, prompt_tuning_init = "TEXT", prompt_tuning_init_text = "Classify:"}
--- PrefixTuningConfig{num_virtual_tokens = 8} -> PrefixTuningConfig
-- keys and values in front of each text in every layer, which alone are trained, with PEFT's names
--     PrefixTuningConfig{num_virtual_tokens = 16}
M.PromptTuningConfig = config("PromptTuningConfig", {peft_type = "PROMPT_TUNING"})
M.PrefixTuningConfig = config("PrefixTuningConfig", {peft_type = "PREFIX_TUNING"})
M.TrainingArguments = config("TrainingArguments")
M.BitsAndBytesConfig = config("BitsAndBytesConfig")

-- A BitsAndBytesConfig or a plain table, as the job spec holds it; nil: weights as they are.
local function quantization_fields(q)
    if q == nil then return nil end
    if type(q) ~= "table" then fail("ARG", "quantization is a BitsAndBytesConfig{…}, not a " .. type(q)) end
    local fields = {}
    for k, v in pairs(q) do fields[k] = v end
    return next(fields) and fields or nil
end

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
    if type(model) == "table" and getmetatable(model) == M.Job then model = model.output_dir end
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

-- {prompt, completion} of a row, from a template or two columns. Everything after the last {field} that is the response
-- belongs to the completion.
local function renderer(o)
    local response = o.response_column or (o.template and "response") or "response"
    if o.template then
        local before, after = o.template:match("^(.*){" .. response:gsub("%p", "%%%0") .. "}(.*)$")
        local function fill(text, row, n)
            return (text:gsub("{([%w_]+)}", function(name)
                local v = row[name]
                if v == nil then
                    fail("NOTFOUND", ("the template names '%s', which row %d has not"):format(name, n),
                         "a template's {names} are columns of the dataset")
                end
                return tostring(v)
            end))
        end
        if not before then
            return function(row, n) return "", fill(o.template, row, n) end
        end
        return function(row, n)
            return fill(before, row, n), fill("{" .. response .. "}" .. after, row, n)
        end
    end
    local instruction = o.instruction_column or "instruction"
    local text = o.text_column or "text"
    return function(row, n)
        if row[response] ~= nil and (row[instruction] ~= nil or row.prompt ~= nil) then
            return tostring(row[instruction] or row.prompt), tostring(row[response])
        elseif row.prompt ~= nil and row.completion ~= nil then
            return tostring(row.prompt), tostring(row.completion)
        elseif row[text] ~= nil then
            return "", tostring(row[text])
        end
        fail("NOTFOUND", ("row %d has neither '%s' and '%s' nor '%s'"):format(n, instruction, response, text),
             "name the columns: template = \"… {instruction} … {response}\", or instruction_column and response_column, or text_column")
    end
end

local function jinja_text(s)
    return s == "" and "" or "{{ '" .. s:gsub("[\\'\n\r\t]", {["\\"] = "\\\\", ["'"] = "\\'", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t"}) .. "' }}"
end

-- The words of `template` as a chat template: what a user says is its one field before the response, an answer is the response.
-- nil: the template is no question with an answer.
local function chat_template(o)
    local before, after = (o.template or ""):match("^(.*){" .. (o.response_column or "response"):gsub("%p", "%%%0") .. "}(.*)$")
    local _, fields = (before or ""):gsub("{[%w_]+}", "")
    if fields ~= 1 or after:find("{[%w_]+}") then return nil end
    local ahead, behind = before:match("^(.-){[%w_]+}(.*)$")
    local tok = core.tokenizer(o.tokenizer_folder)
    local begins = tok.bos_token_id and tok:encode("x")[1] == tok.bos_token_id -- as in the rows it learned from
    return (begins and "{{ bos_token }}" or "") ..
        "{% for message in messages %}{% if message['role'] == 'user' %}" .. jinja_text(ahead) .. "{{ message['content'] }}" .. jinja_text(behind) ..
        "{% elif message['role'] == 'assistant' %}{{ message['content'] }}" .. jinja_text(after) .. "{{ eos_token }}" ..
        "{% else %}{{ message['content'] }}{{ '\\n\\n' }}{% endif %}{% endfor %}"
end

-- The columns that a renderer needs, so that no others leave the engine; nil: all.
local function wanted_columns(o)
    if not o.template then return nil end
    local names, seen = {}, {}
    for name in o.template:gmatch("{([%w_]+)}") do
        if not seen[name] then
            seen[name] = true
            names[#names + 1] = name
        end
    end
    return names
end

-- The rows of a DataFrame as plain tables: a field that is not there, or is NULL, is nil.
local function plain_rows(dataframe)
    local rows = {}
    for row in dataframe:toLocalIterator() do
        local plain = row:asDict()
        for name, value in pairs(plain) do
            if value == null then plain[name] = nil end
        end
        rows[#rows + 1] = plain
    end
    return rows
end

local function rows_of(dataset, what, o)
    if is_dataframe(dataset) then
        local columns = o and wanted_columns(o)
        return plain_rows(columns and #columns > 0 and dataset:select(table.unpack(columns)) or dataset)
    end
    if type(dataset) ~= "table" then
        fail("ARG", ("%s is a DataFrame or a list of rows, not a %s"):format(what, type(dataset)))
    end
    return dataset
end

-- A conversation: the last answer is the completion, all before it the prompt, as the model's chat template writes them.
local function conversation(tok, messages, n)
    local whole = tok:apply_chat_template(messages)
    local before = table.move(messages, 1, #messages - 1, 1, {})
    local prompt = #before > 0 and tok:apply_chat_template(before, {add_generation_prompt = true}) or ""
    if messages[#messages] == nil or messages[#messages].role ~= "assistant" then
        fail("DATA", ("the conversation of row %d does not end with an answer of the assistant"):format(n))
    end
    if whole:sub(1, #prompt) ~= prompt then prompt = "" end -- a template that rewrites what came before: all of it is learned
    return prompt, whole:sub(#prompt + 1)
end

-- The prompt and one answer of a row of preferences: texts, messages, or columns of a template.
local function answer(o, tok, render, row, side, n)
    local text = row[side]
    if text == nil then
        fail("NOTFOUND", ("row %d has no column '%s'"):format(n, side), "a row of preferences has prompt, chosen and rejected")
    end
    if o.template then
        return render(setmetatable({[o.response_column or "response"] = text}, {__index = row}), n)
    elseif type(text) == "table" then
        local messages = table.move(row.prompt or {}, 1, #(row.prompt or {}), 1, {})
        return conversation(tok(), table.move(text, 1, #text, #messages + 1, messages), n)
    end
    return tostring(row.prompt or ""), tostring(text)
end

-- Each row as two: with the chosen answer, then with the rejected one.
local function write_pairs(dataset, what, o, path)
    local render = o.template and renderer(o)
    local loaded
    local function tok()
        loaded = loaded or core.tokenizer(o.tokenizer_folder)
        return loaded
    end
    local writer <close> = core.rows(path)
    for n, row in ipairs(rows_of(dataset, what)) do
        for _, side in ipairs{"chosen", "rejected"} do
            local prompt, completion = answer(o, tok, render, row, side, n)
            if prompt == "" then fail("DATA", ("row %d has no prompt"):format(n)) end
            writer:add(prompt, completion)
        end
    end
    local n = writer:finish()
    if n == 0 then fail("DATA", what .. " has no rows") end
    return n // 2
end

-- A row of token ids: without labels each token is learned; what the attention mask leaves out is not there.
local function write_tokens(writer, row)
    local ids, labels, mask = row.input_ids, row.labels or row.input_ids, row.attention_mask
    if type(mask) == "table" then
        local kept, kept_labels = {}, {}
        for i = 1, #ids do
            if mask[i] ~= 0 then kept[#kept + 1], kept_labels[#kept_labels + 1] = ids[i], labels[i] end
        end
        ids, labels = kept, kept_labels
    end
    writer:tokens(ids, labels)
end

-- Writes a dataset as a file of rows; returns their number.
local function write_rows(dataset, what, o, path)
    if o.method == "dpo" then return write_pairs(dataset, what, o, path) end
    local render = renderer(o)
    local tok
    local writer <close> = core.rows(path)
    for n, row in ipairs(rows_of(dataset, what, o)) do
        if type(row) == "string" then
            writer:add("", row)
        elseif not o.template and type(row.input_ids) == "table" then
            write_tokens(writer, row)
        elseif not o.template and type(row.messages) == "table" then
            tok = tok or core.tokenizer(o.tokenizer_folder)
            writer:add(conversation(tok, row.messages, n))
        else
            writer:add(render(row, n))
        end
    end
    local n = writer:finish()
    if n == 0 then fail("DATA", what .. " has no rows") end
    return n
end

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
                         begin = core.clock(), drawn = -100, curved = -100, said = -100, width = 0,
                         id = "llm-" .. job.id .. "-" .. math.floor(core.clock() * 1000)}, View)
end

function View:event(e)
    self.curve:add(e)
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
        e and e.step or 0, e and math.max(e.total, 1) or 1, (line:gsub("[<>&]", {["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;"})))
end

-- Seconds between two lines of a log: the longer it runs, the fewer it writes.
function View:pause(now)
    return self.runner and math.min(60, math.max(2, (now - self.begin) / 20)) or 0.3
end

function View:draw_rich(now, final)
    if final or now - self.drawn > self:pause(now) then
        local line = self:line()
        core.display({["text/plain"] = line, ["text/html"] = self:html(line)}, self.id .. "-bar", self.drawn > 0)
        self.drawn = now
    end
    local text = (final or now - self.curved > (self.runner and 10 or 2)) and self.curve:text(60, 12)
    if text then
        -- a notebook's run prints what it displays: the curve belongs into its log once, at the end
        core.display({["text/plain"] = (final or not self.runner) and text or nil,
                      ["application/vnd.vegalite.v5+json"] = self.curve:vega(self.job.id)}, self.id .. "-curve", self.curved > 0)
        self.curved = now
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
M.Job = Job

local function new_job(id)
    return setmetatable({id = id, _offset = 0, _events = {}}, Job)
end

-- Reads what the job has said since the last look.
local function follow(job, each)
    repeat
        local events, offset = core.events(job.id, job._offset)
        job._offset = offset
        for _, e in ipairs(events) do
            job._events[#job._events + 1] = e
            if each then each(e) end
        end
    until #events == 0
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

local function trainable_text(trainable, all)
    return ("trainable params: %s || all params: %s || trainable%%: %.4f"):format(commas(trainable), commas(all), 100 * trainable / all)
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
    result.trainable_parameters = trainable_text(result.trainable, result.all)
    result.model_uri, result.output_dir = job.model_uri, output_folder(info)
    return result
end

local function describe(job, print_line)
    local r = job:result()
    print_line(r.trainable_parameters)
    local eval = r.eval_loss and (", eval loss %s -> %.4f"):format(
        type(r.eval_loss_before) == "number" and ("%.4f"):format(r.eval_loss_before) or "?", r.eval_loss) or ""
    print_line(("%s: %d steps in %s%s%s; saved to %s"):format(job.id, r.steps, clock_text(r.seconds),
        r.out_of_time and " (time is up)" or "", eval, r.output_dir))
end

-- A coordinator that neither starts nor answers is an error in the cell. limit: seconds without a sign of life.
local function watcher(job, limit)
    local absent, since = 0, nil
    return function()
        local there, silent = core.ensure()
        absent = there and 0 or absent + 1
        since = silent > limit and (since or core.clock()) or nil -- a machine that slept gets time to wake up
        if absent > 60 then
            core.raise{code = "WORKER", message = ("job '%s' waits, but its coordinator does not start"):format(job.id),
                       cause = core.coordinator_tail()}
        elseif since and core.clock() - since > 5 then
            core.raise{code = "WORKER", cause = core.coordinator_tail(),
                       message = ("the coordinator of job '%s' has given no sign of life for %d s"):format(job.id, silent // 1),
                       hint = ("end it (kill -9 %d) and wait again: the job goes on from its last checkpoint"):format(core.coordinator_pid())}
        end
    end
end

-- job:wait{silent_seconds = 120}: how long the coordinator may be silent
--- Job:wait(options?: {silent_seconds?: number}) -> Job
-- waits for the end, with a progress bar and a curve; an interrupt detaches, the job goes on
--     job:wait()
function methods.wait(job, o)
    check_keys("job:wait", o or {}, set("silent_seconds"))
    local watch = watcher(job, o and o.silent_seconds or 120)
    local view = new_view(job)
    local note = view.runner and ("interrupted: job '%s' ends with this notebook's run\n"):format(job.id)
        or ("\ndetached: job '%s' goes on; llm.job(\"%s\"):wait() waits for it again, :cancel() ends it\n"):format(job.id, job.id)
    for _, e in ipairs(job._events) do view:event(e) end
    while true do
        local info = core.job(job.id) -- before the events: what is said at the end is read, too
        follow(job, function(e) view:event(e) end)
        view:draw(info.done)
        if info.done then break end
        watch()
        core.wait(150, note)
    end
    describe(job, function(text) view:print(text) end)
    return job
end

-- What Trainer waits with: each event goes to `each`, too.
function methods._follow(job, each)
    local watch, view = watcher(job, 120), new_view(job)
    local text = view.runner and ("interrupted: job '%s' ends with this notebook's run\n"):format(job.id)
        or ("\ndetached: job '%s' goes on; llm.job(\"%s\"):wait() waits for it again, :cancel() ends it\n"):format(job.id, job.id)
    while true do
        local info = core.job(job.id)
        follow(job, function(e)
            view:event(e)
            each(e)
        end)
        view:draw(info.done)
        if info.done then return end
        watch()
        core.wait(100, text)
    end
end

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

local finetune_keys = set("model", "train_dataset", "eval_dataset", "template", "instruction_column", "response_column", "text_column",
    "peft", "peft_config", "quantization", "quantization_config", "args", "completion_only", "max_length", "seed", "output_dir", "ranks",
    "num_processes", "nproc_per_node", "max_restarts",
    "stall_seconds", "method", "packing", "report_to", "adapter", "teacher", "temperature", "alpha")
local methods_of_training = {sft = true, dpo = true}

-- These belong to the rows, not to the trainer: SFTConfig has them among its arguments.
local function take(args, ...)
    local found
    for _, name in ipairs{...} do
        if args[name] ~= nil then found, args[name] = args[name], nil end
    end
    return found
end

local function copy_of(t)
    local c = {}
    for k, v in pairs(t or {}) do c[k] = v end
    return c
end

local function lora_fields(peft)
    if peft == nil or peft == false then return nil end
    if type(peft) ~= "table" then fail("ARG", "peft is a LoraConfig{…}, not a " .. type(peft)) end
    return copy_of(peft)
end

-- ---- plans ------------------------------------------------------------------------------------------------------------

local Plan = {}
Plan.__index = Plan
Plan.__name = "Plan"

local function size_text(bytes)
    if bytes >= 1 << 30 then return ("%.1f GiB"):format(bytes / (1 << 30)) end
    return ("%.0f MiB"):format(math.max(bytes, 1) / (1 << 20))
end

local plan_rows = {{"weights", "weights"}, {"adapter", "adapter"}, {"gradients", "gradients"}, {"optimizer", "optimizer"},
                   {"activations", "activations"}, {"logits", "logits of a chunk"}, {"scratch", "scratch"}, {"teacher", "teacher"}}

function Plan.__tostring(p)
    local out = {("%-20s %s of %s"):format("parameters trained", commas(p.trainable), commas(p.all))}
    for _, row in ipairs(plan_rows) do
        if p[row[1]] > 0 then out[#out + 1] = ("%-20s %s"):format(row[2], size_text(p[row[1]])) end
    end
    out[#out + 1] = ("%-20s %s of %s: %s"):format("total", size_text(p.total), size_text(p.available), p.fits and "it fits" or "it does not fit")
    if p.steps > 0 then
        out[#out + 1] = ("%-20s about %s for %s steps of %s tokens (%.1f GFLOP/s of products, measured here)"):format("time", clock_text(p.seconds), commas(p.steps),
            commas(p.tokens_per_step), p.flops_per_second / 1e9)
    end
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
    if is_dataframe(dataset) then return dataset:limit(PLAN_ROWS), dataset:count() end
    if #dataset <= PLAN_ROWS then return dataset, #dataset end
    if datasets and datasets.is_dataset(dataset) then
        local first = {}
        for i = 1, PLAN_ROWS do first[i] = dataset[i] end
        return first, #dataset
    end
    return table.move(dataset, 1, PLAN_ROWS, 1, {}), #dataset
end

--- class Plan: what a training needs
--- llm.plan{model: string, train_dataset?: DataFrame|table, args?: TrainingArguments, peft?: LoraConfig, quantization?: BitsAndBytesConfig, max_length?: integer, …} -> Plan
-- memory and time of a training before it starts, and what would fit; takes what llm.finetune takes. Without a dataset batches are full
--     print(llm.plan{model = "out/base", peft = LoraConfig{r = 16}, args = {per_device_train_batch_size = 8}, max_length = 2048})
function llm.plan(o)
    if type(o) ~= "table" then fail("ARG", "llm.plan takes one table, as llm.finetune does") end
    check_keys("llm.plan", o, finetune_keys)
    local folder, _, found = model_folder(o.model)
    local args = copy_of(o.args)
    local request = {folder = folder, tokenizer = found.tokenizer, args = args, peft = lora_fields(o.peft or o.peft_config),
                     quantization = quantization_fields(o.quantization or o.quantization_config)}
    request.max_length = take(args, "max_length", "max_seq_length") or o.max_length or 1024
    request.completion_only = take(args, "completion_only_loss", "assistant_only_loss", "completion_only")
    if o.completion_only ~= nil then request.completion_only = o.completion_only end
    local packing = take(args, "packing")
    request.packing, request.pairs = packing or o.packing or false, o.method == "dpo"
    take(args, "num_processes", "ranks", "nproc_per_node", "ddp_timeout", "report_to", "logging_dir", "output_dir")
    if o.adapter or found.adapter then request.adapter = core.absolute(o.adapter and find_model(o.adapter).adapter or found.adapter) end
    if o.teacher then request.teacher = model_folder(o.teacher) end
    local path
    local removed <close> = setmetatable({}, {__close = function() if path then os.remove(path) end end})
    if o.train_dataset ~= nil then
        local rows, n = sample(o.train_dataset)
        path = core.temporary()
        o = copy_of(o)
        o.tokenizer_folder = found.tokenizer or folder
        local written = write_rows(rows, "train_dataset", o, path)
        request.rows = path
        if n > written then request.items = n end
    end
    local p = setmetatable(core.plan(request), Plan)
    p.suggestions = p.fits and {} or suggestions(request)
    return p
end

--- llm.finetune{model: string, train_dataset: DataFrame|table, eval_dataset?: DataFrame|table, template?: string, instruction_column?: string, response_column?: string, text_column?: string, peft?: LoraConfig, quantization?: BitsAndBytesConfig, args?: TrainingArguments, completion_only?: boolean, max_length = 1024, seed?: integer, output_dir?: Path, ranks = 1, num_processes?: integer, max_restarts = 3, stall_seconds?: number, method?: "sft"|"dpo", packing?: boolean, report_to?: string, adapter?: string, teacher?: string, temperature?: number, alpha?: number} -> Job
-- trains a model on a worker; the job belongs to the workspace and goes on when the notebook is closed.
-- adapter = folder or models:/…, or a model that is an adapter: training goes on from there.
-- teacher = another model: the loss is alpha T^2 KL(teacher, student) at temperature T, and (1 - alpha) cross-entropy
--     local job = llm.finetune{model = "out/base", train_dataset = spark:table("train"), template = "{q} {a}", peft = LoraConfig{r = 16}, args = {num_train_epochs = 1}}
--     job:wait()
function llm.finetune(o)
    if type(o) ~= "table" then fail("ARG", "llm.finetune takes one table: llm.finetune{model = …, train_dataset = …}") end
    check_keys("llm.finetune", o, finetune_keys)
    if o.train_dataset == nil then fail("ARG", "llm.finetune needs a train_dataset") end
    local method = o.method or "sft"
    if not methods_of_training[method] then
        fail("ARG", ("llm.finetune knows no method '%s'"):format(method), "'sft' (the default) and 'dpo' are there")
    end
    local folder, uri, found = model_folder(o.model)
    local adapter = found.adapter
    if o.adapter ~= nil then
        local other, name = find_model(o.adapter)
        if not other.adapter then fail("NOTFOUND", ("'%s' is not an adapter: no adapter_config.json"):format(name)) end
        adapter = other.adapter
    end
    if adapter and (o.peft or o.peft_config) then
        fail("ARG", "training goes on with the adapter that is there, so it takes no peft", "leave peft out, or merge the adapter first")
    end
    local folders, distill = {adapter = adapter and core.absolute(adapter)}, nil
    if o.teacher ~= nil then
        if method == "dpo" then fail("ARG", "llm.finetune learns from a teacher or from preferences, not from both") end
        folders.teacher = model_folder(o.teacher)
        distill = {temperature = o.temperature or 2.0, alpha = o.alpha or 0.5}
        if core.digest_file(folders.teacher .. "/tokenizer.json") ~= core.digest_file((found.tokenizer or folder) .. "/tokenizer.json") then
            fail("DATA", ("the teacher '%s' has another tokenizer than the student '%s'"):format(tostring(o.teacher), uri),
                 "a student learns a teacher's probabilities of the same tokens: create it with the teacher's tokenizer")
        end
    elseif o.temperature or o.alpha then
        fail("ARG", "temperature and alpha are of a distillation, which has a teacher", "teacher = folder or model id")
    end
    local args = copy_of(o.args)
    local ranks = take(args, "num_processes", "ranks", "nproc_per_node") or o.ranks or o.num_processes or o.nproc_per_node or 1
    if math.type(ranks) ~= "integer" or ranks < 1 or ranks > 64 then
        fail("ARG", ("llm.finetune runs on 1 to 64 ranks, not on %s"):format(tostring(ranks)), "ranks = 2 is two workers, each with its own batches")
    end
    if o.max_restarts ~= nil and (math.type(o.max_restarts) ~= "integer" or o.max_restarts < 0) then
        fail("ARG", ("max_restarts is a number of times, not %s"):format(tostring(o.max_restarts)), "0 lets a job fail with its worker")
    end
    args.num_processes = ranks > 1 and ranks or nil
    local ddp_timeout = take(args, "ddp_timeout")
    local max_length = take(args, "max_length", "max_seq_length") or o.max_length or 1024
    local completion_only = take(args, "completion_only_loss", "assistant_only_loss", "completion_only")
    if o.completion_only ~= nil then completion_only = o.completion_only end
    local packing = take(args, "packing")
    if o.packing ~= nil then packing = o.packing end
    local output = o.output_dir or take(args, "output_dir")
    args.output_dir = nil
    if o.seed then args.seed = o.seed end
    if args.memory_budget then
        local p = llm.plan(o)
        if not p.fits then
            fail("LIMIT", ("this training needs %s, and memory_budget is %s"):format(size_text(p.total), size_text(p.available)), tostring(p))
        end
    end
    local tracked, events = report_targets(take(args, "report_to") or o.report_to)
    local logging_dir = take(args, "logging_dir")
    local id, job_folder, data = core.new_job()
    local unused <close> = setmetatable({}, {__close = function() core.drop(id) end})
    o = copy_of(o)
    o.tokenizer_folder = found.tokenizer or folder
    local spec = {
        model = {uri = uri, folder = folder}, base_name = folder, args = args, peft = lora_fields(o.peft or o.peft_config),
        quantization = quantization_fields(o.quantization or o.quantization_config),
        method = method, completion_only = method == "dpo" or completion_only or false, packing = packing and true or nil, max_length = max_length, output_uri = core.absolute(output or job_folder .. "/result"),
        stall_seconds = o.stall_seconds, untracked = not tracked or nil, tensorboard = events and core.absolute(logging_dir or (output or job_folder) .. "/runs/" .. id) or nil, ranks = ranks, max_restarts = o.max_restarts, ddp_timeout = ddp_timeout, data = {}, folders = next(folders) and folders or nil, distill = distill, chat_template = chat_template(o),
    }
    local mark = core.mark()
    spec.data.train_rows = write_rows(o.train_dataset, "train_dataset", o, data .. "/train.rows")
    if o.eval_dataset ~= nil then
        spec.data.eval_rows = write_rows(o.eval_dataset, "eval_dataset", o, data .. "/eval.rows")
    end
    local tables = core.tables(mark)
    if #tables > 0 then spec.data.tables = tables end
    core.submit(id, spec)
    return new_job(id)
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
--     local all, trainable = model:count()
--- Model:merge_and_unload() -> Model
-- the adapter becomes part of the weights
--     model:merge_and_unload():save_pretrained("out/merged")
--- Model:load_adapter(folder: Path) -> Model
-- an adapter that PEFT or lacus has saved
--     model:load_adapter("out/sft")
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
--- Tokenizer:apply_chat_template(messages: table, options?: {add_generation_prompt?: boolean, tokenize?: boolean}) -> string
-- a conversation as the model wants it
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
    print(trainable_text(m:count()))
end

local function as_list(x) return type(x) == "table" and x or {x} end

--- Model:generate{prompt: string|table, max_new_tokens?: integer, temperature?: number, top_k?: integer, top_p?: number, min_p?: number, repetition_penalty?: number, seed?: integer, stop?: string|table, on_text?: function} -> table
-- an answer, or a list for a list of prompts: {text, ids, logprobs, finish_reason}; on_text(piece, index) gets the text as it grows, and ends it by returning false
--     print(llm.load("out/sft"):generate{prompt = "Hello", max_new_tokens = 8}.text)
function model_methods.generate(m, o)
    if type(o) == "string" then o = {prompt = o} end
    check_keys("generate", o, set("prompt", "prompts", "max_new_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed", "stop", "on_text"))
    local prompts = o.prompt or o.prompts
    if prompts == nil then fail("ARG", "generate needs a prompt") end
    local out = core.generate(m, as_list(prompts), o)
    return type(prompts) == "table" and out or out[1]
end

--- Model:add_adapter(lora: LoraConfig, seed?: integer) -> Model
-- a fresh LoRA adapter, which alone is trained
--     model:add_adapter(LoraConfig{r = 8, target_modules = {"q_proj", "v_proj"}})
function model_methods.add_adapter(m, lora, seed)
    core.attach(m, lora_fields(lora), seed)
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
    local m = core.load(folder, {dtype = o.dtype, backend = o.backend, tokenizer = found.tokenizer,
                                 quantization = quantization_fields(o.quantization or o.quantization_config)})
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
    local texts = is_dataframe(o.texts) and o.texts:select(column):collect() or o.texts
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
    local c = copy_of(o.config)
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

-- ---- evaluation --------------------------------------------------------------------------------------------------------

local row_keys = {"template", "instruction_column", "response_column", "text_column"}

local function as_model(model)
    if core.is_model(model) then return model end
    return llm.load(model)
end

-- {prompts, answers} of a dataset
local function questions(dataset, o)
    local render = renderer(o)
    local prompts, answers = {}, {}
    for n, row in ipairs(rows_of(dataset, "dataset", o)) do
        if type(row) == "string" then
            prompts[n] = row
        else
            local p, c = render(row, n)
            if p == "" then
                fail("DATA", ("row %d has no prompt to answer"):format(n), "a template with {response}, or the two columns, says where the answer begins")
            end
            prompts[n], answers[n] = p, c
        end
    end
    return prompts, answers
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
        return core.generate(m, prompts, {max_new_tokens = o.max_new_tokens or 16, temperature = o.temperature or 0, seed = o.seed})
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
    local q = copy_of(o)
    q.dataset = rows
    local result = {}
    if wanted.loss or wanted.perplexity then
        local path = core.temporary()
        local removed <close> = setmetatable({}, {__close = function() os.remove(path) end})
        write_rows(rows, "dataset", q, path)
        result.eval_loss, result.eval_samples = core.eval_loss(m, path,
            {max_length = o.max_length, batch_size = o.batch_size, completion_only = o.completion_only or false})
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

M.llm = llm

-- Dataset and Trainer are loaded when a cell names them first.
local tools = {fail = fail, check_keys = check_keys, set = set, is_dataframe = is_dataframe, write_rows = write_rows, find_model = find_model, llm = llm, report_targets = report_targets}
local trainer -- lacus.trainer, once: what it gives out knows each other
local parts = {Dataset = "datasets", load_dataset = "datasets", concatenate_datasets = "datasets", Trainer = "trainer", EarlyStoppingCallback = "trainer"}
setmetatable(M, {__index = function(_, name)
    if not parts[name] then return nil end
    datasets = datasets or require("lacus.datasets")(core, tools)
    if parts[name] == "trainer" then trainer = trainer or require("lacus.trainer")(core, tools) end
    local part = parts[name] == "datasets" and datasets or trainer
    M[name] = part[name]
    return part[name]
end})
return M
end

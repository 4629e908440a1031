-- llm_rows.lua: datasets as rows of prompt and completion, and the file of rows that a worker reads.
return function(core, tools)
local fail, is_dataframe = tools.fail, tools.is_dataframe

-- {prompt, completion} of a row, from a template or two columns. Everything after the last {field} that is the response
-- belongs to the completion.
local function renderer(o)
  local response = o.response_column or (o.template and "response") or "response"
  if o.template then
    local before, after = o.template:match("^(.*){" .. response:gsub("%p", "%%%0") .. "}(.*)$")
    local function fill(text, row, n)
      return (text:gsub("{([%w_]+)}", function(name)
        local v = row[name]
        if v == nil or v == null then
              fail("NOTFOUND", ("the template names '%s', which row %d has not, or it is NULL there"):format(name, n),
                   "a template's {names} are columns of the dataset; df:dropna{subset = {\"" .. name .. "\"}} leaves out rows without a value")
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
    for _, name in ipairs{instruction, response, text, "prompt", "completion"} do
      if row[name] == null then
        fail("DATA", ("'%s' of row %d is NULL"):format(name, n), "df:dropna{subset = {\"" .. name .. "\"}} leaves out rows without a value")
      end
    end
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
  for row in dataframe:toLocalIterator() do rows[#rows + 1] = tools.unrow(row) end
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

-- The text of a conversation; what the template refuses is said with the row.
local function render_messages(tok, messages, n, options)
  local ok, text = pcall(tok.apply_chat_template, tok, messages, options)
  if ok then return text end
  if type(text) ~= "table" then error(text, 0) end
  fail(text.code, ("cannot write the conversation of row %d: %s"):format(n, text.message), text.hint)
end

-- A conversation: the last answer is the completion, all before it the prompt, as the model's chat template writes them.
local function conversation(tok, messages, n)
  local last = messages[#messages]
  if type(last) ~= "table" or last.role ~= "assistant" then
    fail("DATA", ("the conversation of row %d does not end with an answer of the assistant"):format(n),
         "messages are {role = \"user\" or \"assistant\", content = …}, the answer to learn last")
  end
  local whole = render_messages(tok, messages, n)
  local before = table.move(messages, 1, #messages - 1, 1, {})
  local prompt = #before > 0 and render_messages(tok, before, n, {add_generation_prompt = true}) or ""
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
local function write_tokens(writer, row, n)
  local ids, labels, mask = row.input_ids, row.labels or row.input_ids, row.attention_mask
  if type(mask) == "table" then
    local kept, kept_labels = {}, {}
    for i = 1, #ids do
      if mask[i] ~= 0 then kept[#kept + 1], kept_labels[#kept_labels + 1] = ids[i], labels[i] end
    end
    ids, labels = kept, kept_labels
  end
  if #ids ~= #labels then
    fail("DATA", ("row %d has %d input_ids and %d labels"):format(n, #ids, #labels), "a label for each token: -100 where none is learned")
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
      write_tokens(writer, row, n)
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

tools.write_rows, tools.rows_of, tools.questions, tools.chat_template = write_rows, rows_of, questions, chat_template
end

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
        if type(v) == "table" then fail("DATA", ("the template names '%s', which is a list in row %d, not a text"):format(name, n)) end
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
      elseif type(row[name]) == "table" then
        fail("DATA", ("'%s' of row %d is a list, not a text"):format(name, n),
             "a conversation has its list in messages, or one in prompt and one in completion")
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
    fail("ARG", ("%s is a DataFrame or a list of rows, not a %s"):format(what, type(dataset)),
         type(dataset) == "string" and 'load_dataset("json", {data_files = "' .. dataset .. '"}).train, or spark.read, reads a file' or nil)
  end
  return dataset
end

-- Whether only completions are learned, where nobody said so (given = nil): as in trl, of rows that have a prompt and a completion.
local function completion_only(given, dataset, o)
  if given ~= nil or o.template or o.instruction_column or o.response_column or o.text_column then return given or false end
  if is_dataframe(dataset) then
    local there = tools.set(table.unpack(dataset.columns))
    return there.prompt and there.completion or false
  end
  local first = type(dataset) == "table" and dataset[1]
  return type(first) == "table" and first.prompt ~= nil and first.completion ~= nil
end

-- The text of a conversation; what the template refuses is said with the row.
local function render_messages(tok, messages, n, options)
  local ok, text = pcall(tok.apply_chat_template, tok, messages, options)
  if ok then return text end
  if type(text) ~= "table" then error(text, 0) end
  fail(text.code, ("cannot write the conversation of row %d: %s"):format(n, text.message), text.hint)
end

-- What a row says to its template beside the messages, by trl's columns.
local function template_options(row, more)
  local options = tools.copy_of(row.chat_template_kwargs ~= null and row.chat_template_kwargs or nil)
  if row.tools ~= null then options.tools = row.tools end
  for name, value in pairs(more or {}) do options[name] = value end
  return options
end

-- The messages of two lists as one.
local function joined(first, second)
  return table.move(second, 1, #second, #first + 1, table.move(first, 1, #first, 1, {}))
end

-- A conversation as the model's chat template writes it: the prompt, and what is behind it.
local function conversation(tok, before, after, row, n)
  local whole = render_messages(tok, joined(before, after), n, template_options(row))
  local prompt = #before > 0 and render_messages(tok, before, n, template_options(row, {add_generation_prompt = true})) or ""
  if whole:sub(1, #prompt) ~= prompt then prompt = "" end -- a template that rewrites what came before: all of it is learned
  return prompt, whole:sub(#prompt + 1)
end

-- The last answer is the completion, all before it the prompt.
local function split_at_answer(messages, n)
  local last = messages[#messages]
  if type(last) ~= "table" or last.role ~= "assistant" then
    fail("DATA", ("the conversation of row %d does not end with an answer of the assistant"):format(n),
         "messages are {role = \"user\" or \"assistant\", content = …}, the answer to learn last")
  end
  return table.move(messages, 1, #messages - 1, 1, {}), {last}
end

-- A row that is a conversation: messages, or prompt and completion as lists of messages.
local function is_conversation(row)
  return type(row) == "table" and (type(row.messages) == "table" or (type(row.prompt) == "table" and type(row.completion) == "table"))
end

-- assistant_only_loss, as in trl: the tokens that the chat template marks as the assistant's are learned, of all its turns; of a prompt with
-- a completion those behind the prompt, unless completion_only is false.
local function marked_conversation(tok, o, row, n)
  local messages = row.messages or joined(row.prompt, row.completion)
  local whole = render_messages(tok, messages, n, template_options(row, {tokenize = true, return_dict = true, return_assistant_tokens_mask = true}))
  local prompt = not row.messages and o.completion_only ~= false and
                   render_messages(tok, row.prompt, n, template_options(row, {tokenize = true, add_generation_prompt = true})) or {}
  local labels, said = {}, false
  for i, mask in ipairs(whole.assistant_masks) do
    said = said or mask == 1
    labels[i] = mask == 1 and i > #prompt and whole.input_ids[i] or -100
  end
  if not said then
    fail("DATA", ("assistant_only_loss: nothing in the conversation of row %d is the assistant's"):format(n),
         "the chat template's {% generation %} … {% endgeneration %} go around what the assistant says; a row has an answer of role \"assistant\"")
  end
  return whole.input_ids, labels
end

-- The prompt and one answer of a row of preferences: texts, messages, or columns of a template.
local function answer(o, tok, render, row, side, n)
  local text = row[side]
  if text == nil then
    fail("NOTFOUND", ("row %d has no column '%s'"):format(n, side), "a row of preferences has prompt, chosen and rejected")
  end
  local listed = type(text) == "table"
  if not o.template and row.prompt ~= nil and (type(row.prompt) == "table") ~= listed then
    fail("DATA", ("'prompt' of row %d is %s, and '%s' %s"):format(n, listed and "no list" or "a list", side, listed and "is one" or "is none"),
         "prompt, chosen and rejected are texts, or lists of messages")
  end
  if o.template then
    return render(setmetatable({[o.response_column or "response"] = text}, {__index = row}), n)
  elseif type(text) == "table" then
    local before, after = split_at_answer(joined(row.prompt or {}, text), n)
    return conversation(tok(), before, after, row, n)
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
  if type(labels) ~= "table" then fail("DATA", ("'labels' of row %d is no list, but a %s"):format(n, type(labels))) end
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
  local ok, why = pcall(writer.tokens, writer, ids, labels)
  if ok then return end
  if type(why) ~= "string" then error(why, 0) end
  fail("DATA", ("row %d: %s"):format(n, why:gsub("^[^:]*:%d+: ", "")), "input_ids and labels are lists of whole numbers, which tok{text} gives")
end

local function write_conversation(writer, tok, o, row, n)
  if o.assistant_only then return writer:tokens(marked_conversation(tok, o, row, n)) end
  local before, after = row.prompt, row.completion
  if row.messages then before, after = split_at_answer(row.messages, n) end
  writer:add(conversation(tok, before, after, row, n))
end

-- Writes a dataset as a file of rows; returns their number.
local function write_rows(dataset, what, o, path)
  if o.method == "dpo" then return write_pairs(dataset, what, o, path) end
  local render = renderer(o)
  local tok
  local writer <close> = core.rows(path)
  for n, row in ipairs(rows_of(dataset, what, o)) do
    if not o.template and is_conversation(row) and type(row.input_ids) ~= "table" then
      tok = tok or core.tokenizer(o.tokenizer_folder)
      write_conversation(writer, tok, o, row, n)
    elseif o.assistant_only then
      fail("ARG", ("assistant_only_loss is for conversations, and row %d of %s is none"):format(n, what),
           "a row has messages, or prompt and completion as lists of messages; completion_only_loss is for texts with an answer")
    elseif type(row) == "string" then
      writer:add("", row)
    elseif type(row) ~= "table" and type(row) ~= "userdata" then
      fail("ARG", ("row %d of %s is a %s, not a text or a table of columns"):format(n, what, type(row)))
    elseif not o.template and type(row.input_ids) == "table" then
      write_tokens(writer, row, n)
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

tools.completion_only = completion_only
tools.write_rows, tools.rows_of, tools.questions, tools.chat_template = write_rows, rows_of, questions, chat_template
end

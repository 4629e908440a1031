-- embed.lua OUT.c FILE.lua…: makes the Lua library part of the program: one table of name, text, length, documentation.
--
-- Documentation stands above what it is about, one row each (runtime/session/manual.h):
--     --- mlflow.log_metric(key: string, value: number, step?: integer)
--     -- a value of the active run
--     --     mlflow.log_metric("loss", 0.5, 10)          an example is indented by four
--     --- Job:wait(options?: {timeout?: number}) -> Job   a method
--     --- Job.status: string                              a field
--     --- class Job: a training job                       what a class, or a module, is
local out = assert(io.open(arg[1], "wb"))
out:write('#include "runtime/base/lua_library.h"\n#include "runtime/session/manual.h"\n\n')
local files = {}

local function literal(s)
    return '"' .. s:gsub('[\\"]', "\\%0"):gsub("\n", "\\n"):gsub("\t", "\\t") .. '"'
end

-- {signature, lines…} of each row of a text
local function documents(text)
    local list, row = {}, nil
    for line in text:gmatch("[^\n]*") do
        local head = line:match("^%s*%-%-%- (.+)$")
        local more = row and line:match("^%s*%-%- ?(.*)$")
        if head then
            row = {head}
            list[#list + 1] = row
        elseif more and not line:match("^%s*%-%-%-") then
            row[#row + 1] = more:gsub("^    ", "\t")
        else
            row = nil
        end
    end
    return list
end

-- Rows by topic, topics in the order in which they come.
local function topics_of(text, file)
    local topics, order = {}, {}
    local function topic(name)
        if not topics[name] then
            topics[name] = {name = name, rows = {}, fields = {}, doc = ""}
            order[#order + 1] = topics[name]
        end
        return topics[name]
    end
    for _, row in ipairs(documents(text)) do
        local kind, name, doc = row[1]:match("^(%l+) ([%w_.]+): (.*)$")
        if kind == "class" or kind == "module" then
            local t = topic(name)
            t.class, t.doc = kind == "class", doc
        else
            local path, rest = row[1]:match("^([%w_.:]+)(.*)$")
            if not path then error(file .. ": not understood: --- " .. row[1]) end
            if path:match(":$") then path, rest = path:sub(1, -2), ":" .. rest end
            local owner, mark, own = path:match("^(.*)([.:])([%w_]+)$")
            local t = topic(owner or "")
            if mark == ":" then t.class = true end
            local field = rest:match("^:")
            row[1] = (own or path) .. rest
            local list = field and t.fields or t.rows
            local plain = t.class and mark == "." and not field and "." or "" -- of a class, but called with a dot
            list[#list + 1] = ("    {%s, NULL, %s},\n"):format(literal(own or path), literal(plain .. table.concat(row, "\n")))
        end
    end
    return order
end

local function write_rows(name, rows)
    if #rows == 0 then return "NULL" end
    out:write(("static const struct manual_row %s[] = {\n%s    {0}};\n"):format(name, table.concat(rows)))
    return name
end

for i = 2, #arg do
    local name = arg[i]:match("([^/]+)%.lua$")
    local f = assert(io.open(arg[i], "rb"))
    local text = f:read("a")
    f:close()
    out:write(("static const char text_%d[] = {"):format(i))
    for pos = 1, #text do
        out:write((pos % 24 == 1 and "\n" or "") .. (text:byte(pos) + 128) % 256 - 128 .. ",")
    end
    out:write("0};\n")
    local list = {}
    for k, t in ipairs(topics_of(text, arg[i])) do
        list[k] = ("    {.name = %s, .doc = %s, .kind = %s, .rows = %s, .fields = %s},\n"):format(literal(t.name), literal(t.doc),
            t.class and "MANUAL_CLASS" or "MANUAL_MODULE", write_rows(("rows_%d_%d"):format(i, k), t.rows),
            write_rows(("fields_%d_%d"):format(i, k), t.fields))
    end
    out:write(("static const struct manual_topic topics_%d[] = {\n%s    {0}};\n"):format(i, table.concat(list)))
    files[#files + 1] = ('    {"lacus.%s", text_%d, sizeof text_%d - 1, topics_%d},\n'):format(name, i, i, i)
end
out:write("\nconst struct lua_library_file lua_library[] = {\n", table.concat(files), "    {0, 0, 0, 0},\n};\n")
out:close()

-- Reads the commands that make would run and writes a JSON compilation database: lua5.4 compile_commands.lua FOLDER < commands
local folder = assert(arg[1], "usage: compile_commands.lua FOLDER < commands")
local entries = {}

local function quoted(text)
    return '"' .. text:gsub('[%c"\\]', function(c) return c:find('["\\]') and "\\" .. c or string.format("\\u%04x", c:byte()) end) .. '"'
end

for line in io.lines() do
    local output, source = line:match(" %-c %-o (%S+) (%S+%.c)$")
    if source then
        entries[#entries + 1] = string.format('  {"directory": %s, "file": %s, "output": %s, "command": %s}',
            quoted(folder), quoted(source), quoted(output), quoted(line))
    end
end
assert(#entries > 0, "no command compiles a file")
io.write("[\n", table.concat(entries, ",\n"), "\n]\n")

-- embed.lua OUT.c FILE.lua…: makes the Lua library part of the program: one table of name, text, length.
local out = assert(io.open(arg[1], "wb"))
out:write('#include "runtime/base/lua_library.h"\n\n')
local rows = {}
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
    rows[#rows + 1] = ('    {"lacus.%s", text_%d, sizeof text_%d - 1},\n'):format(name, i, i)
end
out:write("\nconst struct lua_library_file lua_library[] = {\n", table.concat(rows), "    {0, 0, 0},\n};\n")
out:close()

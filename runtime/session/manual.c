#include "runtime/session/manual.h"
#include <stdbool.h>
#include <string.h>

static const struct manual_entry entries[] = {
    {"", "assert", "assert(v [, message])",
     "Raises message (default \"assertion failed!\") when v is false or nil; else returns all its "
     "arguments."},
    {"", "collectgarbage", "collectgarbage([opt [, arg]])",
     "Runs or tunes the garbage collector; \"count\" returns the memory in use in KB."},
    {"", "dofile", "dofile([filename])", "Runs a file as a Lua chunk and returns what it returns."},
    {"", "error", "error(message [, level])",
     "Raises an error; a table {code =, message =, hint =} is shown with its parts."},
    {"", "getmetatable", "getmetatable(object)", "The metatable of object, or its field __metatable."},
    {"", "ipairs", "ipairs(t)",
     "Iterates over t[1], t[2], … up to the first nil: for i, v in ipairs(t) do … end"},
    {"", "load", "load(chunk [, chunkname [, mode [, env]]])",
     "Compiles a text; returns a function, or nil and a message."},
    {"", "loadfile", "loadfile([filename [, mode [, env]]])",
     "Compiles a file; returns a function, or nil and a message."},
    {"", "next", "next(table [, index])", "The next key and value of a table; nil at its end."},
    {"", "pairs", "pairs(t)", "Iterates over all keys of t, in no order: for k, v in pairs(t) do … end"},
    {"", "pcall", "pcall(f [, arg1, …])", "Calls f; returns true and its results, or false and the error."},
    {"", "print", "print(…)", "Writes its arguments, with tabs between, and a line end."},
    {"", "rawequal", "rawequal(v1, v2)", "Equality without __eq."},
    {"", "rawget", "rawget(table, index)", "table[index] without __index."},
    {"", "rawlen", "rawlen(v)", "Length without __len."},
    {"", "rawset", "rawset(table, index, value)", "table[index] = value without __newindex."},
    {"", "require", "require(modname)", "Loads a module, once."},
    {"", "select", "select(n, …)", "The arguments from the n-th on; select(\"#\", …) counts them."},
    {"", "setmetatable", "setmetatable(table, metatable)", "Gives a table a metatable; returns the table."},
    {"", "tonumber", "tonumber(e [, base])", "Converts to a number, or nil."},
    {"", "tostring", "tostring(v)", "Converts to a string."},
    {"", "type", "type(v)",
     "\"nil\", \"number\", \"string\", \"boolean\", \"table\", \"function\", \"thread\" or \"userdata\"."},
    {"", "warn", "warn(msg1, …)", "Writes a warning."},
    {"", "xpcall", "xpcall(f, msgh [, arg1, …])", "pcall with a function that sees the error first."},
    {"coroutine", "close", "coroutine.close(co)", "Closes a coroutine and its <close> variables."},
    {"coroutine", "create", "coroutine.create(f)", "A new coroutine."},
    {"coroutine", "isyieldable", "coroutine.isyieldable([co])", "Can it yield?"},
    {"coroutine", "resume", "coroutine.resume(co [, val1, …])",
     "Starts or continues a coroutine; true and what it yields or returns, or false and the error."},
    {"coroutine", "running", "coroutine.running()", "The running coroutine, and whether it is the main one."},
    {"coroutine", "status", "coroutine.status(co)", "\"running\", \"suspended\", \"normal\" or \"dead\"."},
    {"coroutine", "wrap", "coroutine.wrap(f)", "A function that resumes a new coroutine at each call."},
    {"coroutine", "yield", "coroutine.yield(…)",
     "Suspends the coroutine; its arguments are what resume returns."},
    {"io", "close", "io.close([file])", "Closes a file."},
    {"io", "input", "io.input([file])", "Sets or returns the file that io.read reads."},
    {"io", "lines", "io.lines([filename, …])", "Iterates over the lines of a file."},
    {"io", "open", "io.open(filename [, mode])",
     "Opens a file (\"r\", \"w\", \"a\", with \"b\" and \"+\"); nil and a message on failure."},
    {"io", "output", "io.output([file])", "Sets or returns the file that io.write writes."},
    {"io", "popen", "io.popen(prog [, mode])", "Starts a program; a file to read from it or write to it."},
    {"io", "read", "io.read(…)",
     "Reads from the input: \"l\" a line, \"n\" a number, \"a\" all, or a number of bytes."},
    {"io", "tmpfile", "io.tmpfile()", "A temporary file."},
    {"io", "type", "io.type(obj)", "\"file\", \"closed file\" or nil."},
    {"io", "write", "io.write(…)", "Writes strings and numbers, without a line end."},
    {"math", "abs", "math.abs(x)", "Absolute value."},
    {"math", "ceil", "math.ceil(x)", "The least integer not below x."},
    {"math", "floor", "math.floor(x)", "The greatest integer not above x."},
    {"math", "fmod", "math.fmod(x, y)", "Remainder that rounds towards zero."},
    {"math", "log", "math.log(x [, base])", "Logarithm, natural unless a base is given."},
    {"math", "max", "math.max(x, …)", "The greatest argument."},
    {"math", "min", "math.min(x, …)", "The least argument."},
    {"math", "modf", "math.modf(x)", "Integral and fractional part."},
    {"math", "random", "math.random([m [, n]])", "A random float in [0,1), or an integer in [1,m] or [m,n]."},
    {"math", "randomseed", "math.randomseed([x [, y]])", "Seeds math.random."},
    {"math", "sqrt", "math.sqrt(x)", "Square root."},
    {"math", "tointeger", "math.tointeger(x)", "x as an integer, or nil."},
    {"math", "type", "math.type(x)", "\"integer\", \"float\" or nil."},
    {"os", "clock", "os.clock()", "CPU seconds used by the process."},
    {"os", "date", "os.date([format [, time]])", "Date and time as text or, with \"*t\", as a table."},
    {"os", "execute", "os.execute([command])",
     "Runs a shell command; true or nil, then \"exit\" or \"signal\" and the code."},
    {"os", "exit", "os.exit([code])", "Ends the session."},
    {"os", "getenv", "os.getenv(varname)", "An environment variable, or nil."},
    {"os", "remove", "os.remove(filename)", "Removes a file."},
    {"os", "rename", "os.rename(oldname, newname)", "Renames a file."},
    {"os", "time", "os.time([table])", "Seconds since 1970."},
    {"os", "tmpname", "os.tmpname()", "A name for a temporary file."},
    {"string", "byte", "string.byte(s [, i [, j]])", "The bytes s[i], …, s[j] as numbers."},
    {"string", "char", "string.char(…)", "A string of bytes."},
    {"string", "find", "string.find(s, pattern [, init [, plain]])",
     "Where a pattern is found: start, end, captures; or nil."},
    {"string", "format", "string.format(formatstring, …)",
     "Formats as C's printf; see also fmt(\"{:,}\", n)."},
    {"string", "gmatch", "string.gmatch(s, pattern [, init])", "Iterates over the matches of a pattern."},
    {"string", "gsub", "string.gsub(s, pattern, repl [, n])",
     "Replaces matches; returns the new string and the count."},
    {"string", "len", "string.len(s)", "Length in bytes."},
    {"string", "lower", "string.lower(s)", "In lower case."},
    {"string", "match", "string.match(s, pattern [, init])", "The captures of the first match, or nil."},
    {"string", "pack", "string.pack(fmt, v1, …)", "Packs values into bytes."},
    {"string", "packsize", "string.packsize(fmt)", "The size of what pack makes."},
    {"string", "rep", "string.rep(s, n [, sep])", "s repeated n times."},
    {"string", "reverse", "string.reverse(s)", "Bytes reversed."},
    {"string", "sub", "string.sub(s, i [, j])", "The part from i to j; negative counts from the end."},
    {"string", "unpack", "string.unpack(fmt, s [, pos])", "Unpacks values from bytes."},
    {"string", "upper", "string.upper(s)", "In upper case."},
    {"table", "concat", "table.concat(list [, sep [, i [, j]]])", "Joins strings and numbers."},
    {"table", "insert", "table.insert(list, [pos,] value)", "Inserts an element."},
    {"table", "move", "table.move(a1, f, e, t [, a2])", "Copies elements."},
    {"table", "pack", "table.pack(…)", "A table of the arguments, with their count in n."},
    {"table", "remove", "table.remove(list [, pos])", "Removes and returns an element."},
    {"table", "sort", "table.sort(list [, comp])", "Sorts in place."},
    {"table", "unpack", "table.unpack(list [, i [, j]])", "The elements as results."},
    {"utf8", "char", "utf8.char(…)", "A string of code points."},
    {"utf8", "codepoint", "utf8.codepoint(s [, i [, j]])", "Code points of a string."},
    {"utf8", "codes", "utf8.codes(s)", "Iterates over code points: for p, c in utf8.codes(s) do … end"},
    {"utf8", "len", "utf8.len(s [, i [, j]])", "Length in code points, or nil and the first bad position."},
    {"utf8", "offset", "utf8.offset(s, n [, i])", "Byte position of the n-th code point."},
};

static bool push_library(lua_State *L, const char *name)
{
    lua_pushglobaltable(L);
    if (!*name)
        return true;
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    return lua_istable(L, -1);
}

const struct manual_entry *manual_find(lua_State *L, int index)
{
    const struct manual_entry *found = NULL;
    int top = lua_gettop(L);

    index = index > 0 ? index : top + index + 1;
    for (size_t i = 0; !found && i < sizeof entries / sizeof *entries; i++) {
        if (push_library(L, entries[i].library)) {
            lua_pushstring(L, entries[i].name);
            lua_rawget(L, -2);
            if (lua_rawequal(L, -1, index))
                found = &entries[i];
        }
        lua_settop(L, top);
    }
    return found;
}

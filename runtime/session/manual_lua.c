/* Lua's own functions, one row each: the manual's topics that every session has. */
#include "runtime/session/manual_int.h"
#include <stddef.h>

static const struct manual_row lua_base[] = {
    {"assert", NULL,
     "assert(v, message?)\nRaises message (default \"assertion failed!\") when v is false or nil; else "
     "returns all its arguments."},
    {"collectgarbage", NULL,
     "collectgarbage(opt?, arg?)\nRuns or tunes the garbage collector; \"count\" returns the memory in use "
     "in KB."},
    {"dofile", NULL, "dofile(filename?)\nRuns a file as a Lua chunk and returns what it returns."},
    {"error", NULL,
     "error(message, level?)\nRaises an error; a table {code =, message =, hint =} is shown with its parts."},
    {"getmetatable", NULL, "getmetatable(object)\nThe metatable of object, or its field __metatable."},
    {"ipairs", NULL,
     "ipairs(t)\nIterates over t[1], t[2], … up to the first nil: for i, v in ipairs(t) do … end"},
    {"load", NULL,
     "load(chunk, chunkname?, mode?, env?)\nCompiles a text; returns a function, or nil and a message."},
    {"loadfile", NULL,
     "loadfile(filename?, mode?, env?)\nCompiles a file; returns a function, or nil and a message."},
    {"next", NULL, "next(table, index?)\nThe next key and value of a table; nil at its end."},
    {"pairs", NULL, "pairs(t)\nIterates over all keys of t, in no order: for k, v in pairs(t) do … end"},
    {"pcall", NULL, "pcall(f, arg1?, …)\nCalls f; returns true and its results, or false and the error."},
    {"print", NULL, "print(…)\nWrites its arguments, with tabs between, and a line end."},
    {"rawequal", NULL, "rawequal(v1, v2)\nEquality without __eq."},
    {"rawget", NULL, "rawget(table, index)\ntable[index] without __index."},
    {"rawlen", NULL, "rawlen(v)\nLength without __len."},
    {"rawset", NULL, "rawset(table, index, value)\ntable[index] = value without __newindex."},
    {"require", NULL, "require(modname)\nLoads a module, once."},
    {"select", NULL, "select(n, …)\nThe arguments from the n-th on; select(\"#\", …) counts them."},
    {"setmetatable", NULL, "setmetatable(table, metatable)\nGives a table a metatable; returns the table."},
    {"tonumber", NULL, "tonumber(e, base?)\nConverts to a number, or nil."},
    {"tostring", NULL, "tostring(v)\nConverts to a string."},
    {"type", NULL,
     "type(v)\n\"nil\", \"number\", \"string\", \"boolean\", \"table\", \"function\", \"thread\" or "
     "\"userdata\"."},
    {"warn", NULL, "warn(msg1, …)\nWrites a warning."},
    {"xpcall", NULL, "xpcall(f, msgh, arg1?, …)\npcall with a function that sees the error first."},
    {0}};
static const struct manual_row lua_coroutine[] = {
    {"close", NULL, "close(co)\nCloses a coroutine and its <close> variables."},
    {"create", NULL, "create(f)\nA new coroutine."},
    {"isyieldable", NULL, "isyieldable(co?)\nCan it yield?"},
    {"resume", NULL,
     "resume(co, val1?, …)\nStarts or continues a coroutine; true and what it yields or returns, or false "
     "and the error."},
    {"running", NULL, "running()\nThe running coroutine, and whether it is the main one."},
    {"status", NULL, "status(co)\n\"running\", \"suspended\", \"normal\" or \"dead\"."},
    {"wrap", NULL, "wrap(f)\nA function that resumes a new coroutine at each call."},
    {"yield", NULL, "yield(…)\nSuspends the coroutine; its arguments are what resume returns."},
    {0}};
static const struct manual_row lua_io[] = {
    {"flush", NULL, "flush()\nWrites what is buffered."},
    {"close", NULL, "close(file?)\nCloses a file."},
    {"input", NULL, "input(file?)\nSets or returns the file that io.read reads."},
    {"lines", NULL, "lines(filename?, …)\nIterates over the lines of a file."},
    {"open", NULL,
     "open(filename, mode?)\nOpens a file (\"r\", \"w\", \"a\", with \"b\" and \"+\"); nil and a message on "
     "failure."},
    {"output", NULL, "output(file?)\nSets or returns the file that io.write writes."},
    {"popen", NULL, "popen(prog, mode?)\nStarts a program; a file to read from it or write to it."},
    {"read", NULL,
     "read(…)\nReads from the input: \"l\" a line, \"n\" a number, \"a\" all, or a number of bytes."},
    {"tmpfile", NULL, "tmpfile()\nA temporary file."},
    {"type", NULL, "type(obj)\n\"file\", \"closed file\" or nil."},
    {"write", NULL, "write(…)\nWrites strings and numbers, without a line end."},
    {0}};
static const struct manual_row lua_math[] = {
    {"atan2", NULL, "atan2(y: number, x: number) -> number\nOlder name of math.atan(y, x)."},
    {"cosh", NULL, "cosh(x: number) -> number\nHyperbolic cosine."},
    {"sinh", NULL, "sinh(x: number) -> number\nHyperbolic sine."},
    {"tanh", NULL, "tanh(x: number) -> number\nHyperbolic tangent."},
    {"pow", NULL, "pow(x: number, y: number) -> number\nOlder name of x ^ y."},
    {"log10", NULL, "log10(x: number) -> number\nOlder name of math.log(x, 10)."},
    {"frexp", NULL, "frexp(x: number) -> number, integer\nMantissa and exponent."},
    {"ldexp", NULL, "ldexp(m: number, e: integer) -> number\nm times 2 to the power e."},
    {"acos", NULL, "acos(x: number) -> number\nArc cosine, in radians."},
    {"asin", NULL, "asin(x: number) -> number\nArc sine, in radians."},
    {"atan", NULL, "atan(y: number, x?: number) -> number\nArc tangent of y/x, in radians."},
    {"cos", NULL, "cos(x: number) -> number\nCosine of radians."},
    {"deg", NULL, "deg(x: number) -> number\nFrom radians to degrees."},
    {"exp", NULL, "exp(x: number) -> number\ne to the power x."},
    {"rad", NULL, "rad(x: number) -> number\nFrom degrees to radians."},
    {"sin", NULL, "sin(x: number) -> number\nSine of radians."},
    {"tan", NULL, "tan(x: number) -> number\nTangent of radians."},
    {"ult", NULL, "ult(m: integer, n: integer) -> boolean\nm < n as unsigned integers."},
    {"abs", NULL, "abs(x)\nAbsolute value."},
    {"ceil", NULL, "ceil(x)\nThe least integer not below x."},
    {"floor", NULL, "floor(x)\nThe greatest integer not above x."},
    {"fmod", NULL, "fmod(x, y)\nRemainder that rounds towards zero."},
    {"log", NULL, "log(x, base?)\nLogarithm, natural unless a base is given."},
    {"max", NULL, "max(x, …)\nThe greatest argument."},
    {"min", NULL, "min(x, …)\nThe least argument."},
    {"modf", NULL, "modf(x)\nIntegral and fractional part."},
    {"random", NULL, "random(m?, n?)\nA random float in [0,1), or an integer in [1,m] or [m,n]."},
    {"randomseed", NULL, "randomseed(x?, y?)\nSeeds math.random."},
    {"sqrt", NULL, "sqrt(x)\nSquare root."},
    {"tointeger", NULL, "tointeger(x)\nx as an integer, or nil."},
    {"type", NULL, "type(x)\n\"integer\", \"float\" or nil."},
    {0}};
static const struct manual_row lua_os[] = {
    {"difftime", NULL, "difftime(t2: integer, t1: integer) -> number\nSeconds from t1 to t2."},
    {"setlocale", NULL,
     "setlocale(locale?: string, category?: string) -> string\nSets or returns the locale of the program."},
    {"clock", NULL, "clock()\nCPU seconds used by the process."},
    {"date", NULL, "date(format?, time?)\nDate and time as text or, with \"*t\", as a table."},
    {"execute", NULL,
     "execute(command?)\nRuns a shell command; true or nil, then \"exit\" or \"signal\" and the code."},
    {"exit", NULL, "exit(code?)\nEnds the session."},
    {"getenv", NULL, "getenv(varname)\nAn environment variable, or nil."},
    {"remove", NULL, "remove(filename)\nRemoves a file."},
    {"rename", NULL, "rename(oldname, newname)\nRenames a file."},
    {"time", NULL, "time(table?)\nSeconds since 1970."},
    {"tmpname", NULL, "tmpname()\nA name for a temporary file."},
    {0}};
static const struct manual_row lua_string[] = {
    {"dump", NULL, "dump(f: function, strip?: boolean) -> string\nThe compiled form of a function."},
    {"byte", NULL, "byte(s, i?, j?)\nThe bytes s[i], …, s[j] as numbers."},
    {"char", NULL, "char(…)\nA string of bytes."},
    {"find", NULL,
     "find(s, pattern, init?, plain?)\nWhere a pattern is found: start, end, captures; or nil."},
    {"format", NULL, "format(formatstring, …)\nFormats as C's printf; see also fmt(\"{:,}\", n)."},
    {"gmatch", NULL, "gmatch(s, pattern, init?)\nIterates over the matches of a pattern."},
    {"gsub", NULL, "gsub(s, pattern, repl, n?)\nReplaces matches; returns the new string and the count."},
    {"len", NULL, "len(s)\nLength in bytes."},
    {"lower", NULL, "lower(s)\nIn lower case."},
    {"match", NULL, "match(s, pattern, init?)\nThe captures of the first match, or nil."},
    {"pack", NULL, "pack(fmt, v1, …)\nPacks values into bytes."},
    {"packsize", NULL, "packsize(fmt)\nThe size of what pack makes."},
    {"rep", NULL, "rep(s, n, sep?)\ns repeated n times."},
    {"reverse", NULL, "reverse(s)\nBytes reversed."},
    {"sub", NULL, "sub(s, i, j?)\nThe part from i to j; negative counts from the end."},
    {"unpack", NULL, "unpack(fmt, s, pos?)\nUnpacks values from bytes."},
    {"upper", NULL, "upper(s)\nIn upper case."},
    {0}};
static const struct manual_row lua_table[] = {
    {"concat", NULL, "concat(list, sep?, i?, j?)\nJoins strings and numbers."},
    {"insert", NULL, "insert(list, pos?, value)\nInserts an element."},
    {"move", NULL, "move(a1, f, e, t, a2?)\nCopies elements."},
    {"pack", NULL, "pack(…)\nA table of the arguments, with their count in n."},
    {"remove", NULL, "remove(list, pos?)\nRemoves and returns an element."},
    {"sort", NULL, "sort(list, comp?)\nSorts in place."},
    {"unpack", NULL, "unpack(list, i?, j?)\nThe elements as results."},
    {0}};
static const struct manual_row lua_utf8[] = {
    {"char", NULL, "char(…)\nA string of code points."},
    {"codepoint", NULL, "codepoint(s, i?, j?)\nCode points of a string."},
    {"codes", NULL, "codes(s)\nIterates over code points: for p, c in utf8.codes(s) do … end"},
    {"len", NULL, "len(s, i?, j?)\nLength in code points, or nil and the first bad position."},
    {"offset", NULL, "offset(s, n, i?)\nByte position of the n-th code point."},
    {0}};
static const struct manual_row lua_package[] = {
    {"loadlib", NULL, "loadlib(libname: string, funcname: string)\nA function of a C library."},
    {"searchpath", NULL,
     "searchpath(name: string, path: string, sep?: string, rep?: string) -> string\nThe file that a name "
     "stands for in a path; or nil and a message."},
    {0}};
static const struct manual_row lua_debug[] = {
    {"debug", NULL, "debug()\nA prompt in the middle of a program."},
    {"gethook", NULL, "gethook(co?: thread)\nThe hook, its mask and its count."},
    {"getinfo", NULL,
     "getinfo(f: function|integer, what?: string) -> table\nWhat is known of a function or of a level of the "
     "stack."},
    {"getlocal", NULL, "getlocal(f: function|integer, i: integer)\nName and value of a local variable."},
    {"getmetatable", NULL, "getmetatable(v: any) -> table\nThe metatable, whatever its __metatable says."},
    {"getregistry", NULL, "getregistry() -> table\nThe registry."},
    {"getupvalue", NULL, "getupvalue(f: function, i: integer)\nName and value of an upvalue."},
    {"getuservalue", NULL, "getuservalue(u: userdata, n?: integer)\nA value of a userdata."},
    {"sethook", NULL,
     "sethook(hook?: function, mask?: string, count?: integer)\nCalls a function on calls, returns, lines or "
     "counts."},
    {"setlocal", NULL, "setlocal(level: integer, i: integer, v: any)\nSets a local variable."},
    {"setmetatable", NULL, "setmetatable(v: any, metatable?: table)\nSets the metatable of any value."},
    {"setupvalue", NULL, "setupvalue(f: function, i: integer, v: any)\nSets an upvalue."},
    {"setuservalue", NULL, "setuservalue(u: userdata, v: any, n?: integer)\nSets a value of a userdata."},
    {"traceback", NULL, "traceback(message?: string, level?: integer) -> string\nThe stack as text."},
    {"upvalueid", NULL, "upvalueid(f: function, n: integer)\nWhat identifies an upvalue."},
    {"upvaluejoin", NULL,
     "upvaluejoin(f1: function, n1: integer, f2: function, n2: integer)\nMakes two functions share an "
     "upvalue."},
    {"setcstacklimit", NULL, "setcstacklimit(limit: integer)\nDoes nothing in Lua 5.4.3 and later."},
    {0}};
static const struct manual_row lua_file[] = {
    {"close", NULL, "close()\nCloses the file."},
    {"flush", NULL, "flush()\nWrites what is buffered."},
    {"lines", NULL, "lines(…)\nIterates over the lines, or over what the formats say."},
    {"read", NULL, "read(…)\nReads: \"l\" a line, \"n\" a number, \"a\" all, or a number of bytes."},
    {"seek", NULL,
     "seek(whence?: string, offset?: integer) -> integer\nMoves or tells the place: \"set\", \"cur\" or "
     "\"end\"."},
    {"setvbuf", NULL, "setvbuf(mode: string, size?: integer)\n\"no\", \"full\" or \"line\"."},
    {"write", NULL, "write(…) -> file*\nWrites strings and numbers."},
    {0}};
static const struct manual_row lua_math_fields[] = {
    {"huge", NULL, "huge: number\nGreater than any number."},
    {"maxinteger", NULL, "maxinteger: integer\nThe greatest integer."},
    {"mininteger", NULL, "mininteger: integer\nThe least integer."},
    {"pi", NULL, "pi: number\n3.14159…"},
    {0}};
static const struct manual_row lua_utf8_fields[] = {
    {"charpattern", NULL, "charpattern: string\nA pattern that matches one character of valid UTF-8."}, {0}};
static const struct manual_row lua_package_fields[] = {
    {"config", NULL, "config: string\nSeparators and marks of paths."},
    {"cpath", NULL, "cpath: string\nWhere require looks for C modules."},
    {"loaded", NULL, "loaded: table\nModules that are loaded, by name."},
    {"path", NULL, "path: string\nWhere require looks for Lua modules."},
    {"preload", NULL, "preload: table\nLoaders by name, asked first."},
    {"searchers", NULL, "searchers: table\nThe functions that require asks, in order."},
    {0}};
static const struct manual_row lua_base_fields[] = {{"_G", NULL, "_G: table\nThe table of globals."},
                                                    {"_VERSION", NULL, "_VERSION: string\n\"Lua 5.4\"."},
                                                    {0}};

const struct manual_topic manual_lua[] = {
    {.name = "", .doc = "Lua itself", .rows = lua_base, .fields = lua_base_fields, .standard = true},
    {.name = "coroutine", .doc = "functions that can be suspended", .rows = lua_coroutine, .standard = true},
    {.name = "debug", .doc = "Lua looking at itself", .rows = lua_debug, .standard = true},
    {.name = "io", .doc = "files and programs", .rows = lua_io, .standard = true},
    {.name = "math", .doc = "numbers", .rows = lua_math, .fields = lua_math_fields, .standard = true},
    {.name = "os", .doc = "the system", .rows = lua_os, .standard = true},
    {.name = "package",
     .doc = "how require finds modules",
     .rows = lua_package,
     .fields = lua_package_fields,
     .standard = true},
    {.name = "string", .doc = "texts; also as methods: s:upper()", .rows = lua_string, .standard = true},
    {.name = "table", .doc = "lists", .rows = lua_table, .standard = true},
    {.name = "utf8", .doc = "texts of UTF-8", .rows = lua_utf8, .fields = lua_utf8_fields, .standard = true},
    {.name = "FILE*", .doc = "an open file", .kind = MANUAL_CLASS, .rows = lua_file, .standard = true},
    {0}};

/* Lua's own functions, one row each: the manual's topics that every session has. */
#include "runtime/session/manual_int.h"
#include "runtime/session/names.h"
#include "runtime/session/session_int.h"
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const struct manual_row lua_base[] = {
    {"assert", NULL,
     "assert(v, message?)\nRaises message (default \"assertion failed!\") when v is false or nil; else "
     "returns all its arguments."
     "\n\tlocal file = assert(io.open(\"/etc/hostname\"))"},
    {"collectgarbage", NULL,
     "collectgarbage(opt?, arg?)\nRuns or tunes the garbage collector; \"count\" returns the memory in use "
     "in KB."
     "\n\tcollectgarbage(\"count\")"},
    {"dofile", NULL,
     "dofile(filename?)\nRuns a file as a Lua chunk and returns what it returns."
     "\n\tdofile(\"settings.lua\")"},
    {"error", NULL,
     "error(message, level?)\nRaises an error; a table {code =, message =, hint =} is shown with its parts."
     "\n\terror({code = \"NOT_FOUND\", message = \"no such table\", hint = \"try another\"})"},
    {"getmetatable", NULL,
     "getmetatable(object)\nThe metatable of object, or its field __metatable."
     "\n\tgetmetatable(\"text\").__index == string"},
    {"ipairs", NULL,
     "ipairs(t)\nIterates over t[1], t[2], … up to the first nil: for i, v in ipairs(t) do … end"
     "\n\tfor i, name in ipairs{\"a\", \"b\"} do print(i, name) end"},
    {"load", NULL,
     "load(chunk, chunkname?, mode?, env?)\nCompiles a text; returns a function, or nil and a message."
     "\n\tload(\"return 1 + 1\")()"},
    {"loadfile", NULL,
     "loadfile(filename?, mode?, env?)\nCompiles a file; returns a function, or nil and a message."
     "\n\tlocal f, problem = loadfile(\"settings.lua\")"},
    {"next", NULL,
     "next(table, index?)\nThe next key and value of a table; nil at its end."
     "\n\tnext({}) == nil"},
    {"pairs", NULL,
     "pairs(t)\nIterates over all keys of t, in no order: for k, v in pairs(t) do … end"
     "\n\tfor key, value in pairs{a = 1} do print(key, value) end"},
    {"pcall", NULL,
     "pcall(f, arg1?, …)\nCalls f; returns true and its results, or false and the error."
     "\n\tlocal ok, problem = pcall(error, \"no\")"},
    {"print", NULL,
     "print(…)\nWrites its arguments, with tabs between, and a line end."
     "\n\tprint(\"rows\", 3)"},
    {"rawequal", NULL,
     "rawequal(v1, v2)\nEquality without __eq."
     "\n\trawequal(\"a\", \"a\")"},
    {"rawget", NULL,
     "rawget(table, index)\ntable[index] without __index."
     "\n\trawget({a = 1}, \"a\")"},
    {"rawlen", NULL,
     "rawlen(v)\nLength without __len."
     "\n\trawlen{1, 2, 3}"},
    {"rawset", NULL,
     "rawset(table, index, value)\ntable[index] = value without __newindex."
     "\n\trawset({}, \"a\", 1)"},
    {"require", NULL,
     "require(modname: ModuleName)\nLoads a module, once."
     "\n\tlocal json = require(\"json\")"},
    {"select", NULL,
     "select(n, …)\nThe arguments from the n-th on; select(\"#\", …) counts them."
     "\n\tselect(\"#\", \"a\", nil, \"c\")"},
    {"setmetatable", NULL,
     "setmetatable(table, metatable)\nGives a table a metatable; returns the table."
     "\n\tsetmetatable({}, {__index = {unit = \"m\"}}).unit"},
    {"tonumber", NULL,
     "tonumber(e, base?)\nConverts to a number, or nil."
     "\n\ttonumber(\"ff\", 16)"},
    {"tostring", NULL,
     "tostring(v)\nConverts to a string."
     "\n\ttostring(1.5)"},
    {"type", NULL,
     "type(v)\n\"nil\", \"number\", \"string\", \"boolean\", \"table\", \"function\", \"thread\" or "
     "\"userdata\"."
     "\n\ttype({}) == \"table\""},
    {"warn", NULL,
     "warn(msg1, …)\nWrites a warning."
     "\n\twarn(\"@on\") warn(\"careful\")"},
    {"xpcall", NULL,
     "xpcall(f, msgh, arg1?, …)\npcall with a function that sees the error first."
     "\n\txpcall(error, function(e) return \"seen: \" .. e end, \"no\")"},
    {0}};
static const struct manual_row lua_coroutine[] = {
    {"close", NULL,
     "close(co)\nCloses a coroutine and its <close> variables."
     "\n\tcoroutine.close(coroutine.create(print))"},
    {"create", NULL,
     "create(f)\nA new coroutine."
     "\n\tlocal co = coroutine.create(function(a) coroutine.yield(a + 1) end)"},
    {"isyieldable", NULL,
     "isyieldable(co?)\nCan it yield?"
     "\n\tcoroutine.isyieldable()"},
    {"resume", NULL,
     "resume(co, val1?, …)\nStarts or continues a coroutine; true and what it yields or returns, or false "
     "and the error."
     "\n\tcoroutine.resume(coroutine.create(function(a) return 2 * a end), 21)"},
    {"running", NULL,
     "running()\nThe running coroutine, and whether it is the main one."
     "\n\tlocal co, main = coroutine.running()"},
    {"status", NULL,
     "status(co)\n\"running\", \"suspended\", \"normal\" or \"dead\"."
     "\n\tcoroutine.status(coroutine.create(print))"},
    {"wrap", NULL,
     "wrap(f)\nA function that resumes a new coroutine at each call."
     "\n\tfor word in coroutine.wrap(function() for _, w in ipairs{\"a\", \"b\"} do coroutine.yield(w) end "
     "end) do print(word) end"},
    {"yield", NULL,
     "yield(…)\nSuspends the coroutine; its arguments are what resume returns."
     "\n\tlocal next_one = coroutine.wrap(function() coroutine.yield(1) coroutine.yield(2) end)"},
    {0}};
static const struct manual_row lua_io[] = {
    {"flush", NULL,
     "flush()\nWrites what is buffered."
     "\n\tio.flush()"},
    {"close", NULL,
     "close(file?)\nCloses a file."
     "\n\tio.close(io.tmpfile())"},
    {"input", NULL,
     "input(file?)\nSets or returns the file that io.read reads."
     "\n\tio.input() == io.stdin"},
    {"lines", NULL,
     "lines(filename?, …)\nIterates over the lines of a file."
     "\n\tfor line in io.lines(\"/etc/hostname\") do print(line) end"},
    {"open", NULL,
     "open(filename: Path, mode?: \"r\"|\"w\"|\"a\"|\"rb\"|\"wb\"|\"ab\")\nOpens a file "
     "(\"r\", \"w\", \"a\", with \"b\" and \"+\"); nil and a message on "
     "failure."
     "\n\tlocal file <close> = assert(io.open(\"/etc/hostname\"))"},
    {"output", NULL,
     "output(file?)\nSets or returns the file that io.write writes."
     "\n\tio.output():write(\"text\\n\")"},
    {"popen", NULL,
     "popen(prog, mode?)\nStarts a program; a file to read from it or write to it."
     "\n\tio.popen(\"date\"):read(\"l\")"},
    {"read", NULL,
     "read(…)\nReads from the input: \"l\" a line, \"n\" a number, \"a\" all, or a number of bytes."
     "\n\tlocal line = io.read(\"l\")"},
    {"tmpfile", NULL,
     "tmpfile()\nA temporary file."
     "\n\tlocal file <close> = io.tmpfile()"},
    {"type", NULL,
     "type(obj)\n\"file\", \"closed file\" or nil."
     "\n\tio.type(io.stdout) == \"file\""},
    {"write", NULL,
     "write(…)\nWrites strings and numbers, without a line end."
     "\n\tio.write(\"a\", 1, \"\\n\")"},
    {0}};
static const struct manual_row lua_math[] = {
    {"atan2", NULL,
     "atan2(y: number, x: number) -> number\nOlder name of math.atan(y, x)."
     "\n\tmath.atan(1, 1)"},
    {"cosh", NULL,
     "cosh(x: number) -> number\nHyperbolic cosine."
     "\n\tmath.cosh(0)"},
    {"sinh", NULL,
     "sinh(x: number) -> number\nHyperbolic sine."
     "\n\tmath.sinh(0)"},
    {"tanh", NULL,
     "tanh(x: number) -> number\nHyperbolic tangent."
     "\n\tmath.tanh(0)"},
    {"pow", NULL,
     "pow(x: number, y: number) -> number\nOlder name of x ^ y."
     "\n\t2 ^ 10"},
    {"log10", NULL,
     "log10(x: number) -> number\nOlder name of math.log(x, 10)."
     "\n\tmath.log(1000, 10)"},
    {"frexp", NULL,
     "frexp(x: number) -> number, integer\nMantissa and exponent."
     "\n\tmath.frexp(8)"},
    {"ldexp", NULL,
     "ldexp(m: number, e: integer) -> number\nm times 2 to the power e."
     "\n\tmath.ldexp(0.5, 4)"},
    {"acos", NULL,
     "acos(x: number) -> number\nArc cosine, in radians."
     "\n\tmath.acos(1)"},
    {"asin", NULL,
     "asin(x: number) -> number\nArc sine, in radians."
     "\n\tmath.asin(1)"},
    {"atan", NULL,
     "atan(y: number, x?: number) -> number\nArc tangent of y/x, in radians."
     "\n\tmath.atan(1, 1)"},
    {"cos", NULL,
     "cos(x: number) -> number\nCosine of radians."
     "\n\tmath.cos(math.pi)"},
    {"deg", NULL,
     "deg(x: number) -> number\nFrom radians to degrees."
     "\n\tmath.deg(math.pi)"},
    {"exp", NULL,
     "exp(x: number) -> number\ne to the power x."
     "\n\tmath.exp(1)"},
    {"rad", NULL,
     "rad(x: number) -> number\nFrom degrees to radians."
     "\n\tmath.rad(180)"},
    {"sin", NULL,
     "sin(x: number) -> number\nSine of radians."
     "\n\tmath.sin(math.pi / 2)"},
    {"tan", NULL,
     "tan(x: number) -> number\nTangent of radians."
     "\n\tmath.tan(math.pi / 4)"},
    {"ult", NULL,
     "ult(m: integer, n: integer) -> boolean\nm < n as unsigned integers."
     "\n\tmath.ult(1, -1)"},
    {"abs", NULL,
     "abs(x)\nAbsolute value."
     "\n\tmath.abs(-3)"},
    {"ceil", NULL,
     "ceil(x)\nThe least integer not below x."
     "\n\tmath.ceil(2.1)"},
    {"floor", NULL,
     "floor(x)\nThe greatest integer not above x."
     "\n\tmath.floor(-2.1)"},
    {"fmod", NULL,
     "fmod(x, y)\nRemainder that rounds towards zero."
     "\n\tmath.fmod(-7, 3)"},
    {"log", NULL,
     "log(x, base?)\nLogarithm, natural unless a base is given."
     "\n\tmath.log(8, 2)"},
    {"max", NULL,
     "max(x, …)\nThe greatest argument."
     "\n\tmath.max(3, 7, 5)"},
    {"min", NULL,
     "min(x, …)\nThe least argument."
     "\n\tmath.min(3, 7, 5)"},
    {"modf", NULL,
     "modf(x)\nIntegral and fractional part."
     "\n\tmath.modf(2.75)"},
    {"random", NULL,
     "random(m?, n?)\nA random float in [0,1), or an integer in [1,m] or [m,n]."
     "\n\tmath.random(1, 6)"},
    {"randomseed", NULL,
     "randomseed(x?, y?)\nSeeds math.random."
     "\n\tmath.randomseed(42)"},
    {"sqrt", NULL,
     "sqrt(x)\nSquare root."
     "\n\tmath.sqrt(2)"},
    {"tointeger", NULL,
     "tointeger(x)\nx as an integer, or nil."
     "\n\tmath.tointeger(3.0)"},
    {"type", NULL,
     "type(x)\n\"integer\", \"float\" or nil."
     "\n\tmath.type(3.0)"},
    {0}};
static const struct manual_row lua_os[] = {
    {"difftime", NULL,
     "difftime(t2: integer, t1: integer) -> number\nSeconds from t1 to t2."
     "\n\tos.difftime(os.time(), 0)"},
    {"setlocale", NULL,
     "setlocale(locale?: string, category?: string) -> string\nSets or returns the locale of the program."
     "\n\tos.setlocale(\"C\")"},
    {"clock", NULL,
     "clock()\nCPU seconds used by the process."
     "\n\tlocal began = os.clock()"},
    {"date", NULL,
     "date(format?, time?)\nDate and time as text or, with \"*t\", as a table."
     "\n\tos.date(\"%Y-%m-%d %H:%M\")"},
    {"execute", NULL,
     "execute(command?)\nRuns a shell command; true or nil, then \"exit\" or \"signal\" and the code."
     "\n\tos.execute(\"true\")"},
    {"exit", NULL,
     "exit(code?)\nEnds the session."
     "\n\tos.exit(0)"},
    {"getenv", NULL,
     "getenv(varname: EnvName)\nAn environment variable, or nil."
     "\n\tos.getenv(\"HOME\")"},
    {"remove", NULL,
     "remove(filename)\nRemoves a file."
     "\n\tos.remove(\"old.txt\")"},
    {"rename", NULL,
     "rename(oldname, newname)\nRenames a file."
     "\n\tos.rename(\"a.txt\", \"b.txt\")"},
    {"time", NULL,
     "time(table?)\nSeconds since 1970."
     "\n\tos.time{year = 2026, month = 1, day = 31}"},
    {"tmpname", NULL,
     "tmpname()\nA name for a temporary file."
     "\n\tlocal path = os.tmpname()"},
    {0}};
static const struct manual_row lua_string[] = {
    {"dump", NULL,
     "dump(f: function, strip?: boolean) -> string\nThe compiled form of a function."
     "\n\tload(string.dump(function() return 1 end))()"},
    {"byte", NULL,
     "byte(s, i?, j?)\nThe bytes s[i], …, s[j] as numbers."
     "\n\t(\"A\"):byte() == 65"},
    {"char", NULL,
     "char(…)\nA string of bytes."
     "\n\tstring.char(72, 105)"},
    {"find", NULL,
     "find(s, pattern, init?, plain?)\nWhere a pattern is found: start, end, captures; or nil."
     "\n\t(\"a,b\"):find(\",\", 1, true)"},
    {"format", NULL,
     "format(formatstring, …)\nFormats as C's printf; see also fmt(\"{:,}\", n)."
     "\n\t(\"%5.2f %s\"):format(3.14159, \"pi\")"},
    {"gmatch", NULL,
     "gmatch(s, pattern, init?)\nIterates over the matches of a pattern."
     "\n\tfor word in (\"two words\"):gmatch(\"%a+\") do print(word) end"},
    {"gsub", NULL,
     "gsub(s, pattern, repl, n?)\nReplaces matches; returns the new string and the count."
     "\n\t(\"a-b\"):gsub(\"-\", \"+\")"},
    {"len", NULL,
     "len(s)\nLength in bytes."
     "\n\t(\"text\"):len()"},
    {"lower", NULL,
     "lower(s)\nIn lower case."
     "\n\t(\"Text\"):lower()"},
    {"match", NULL,
     "match(s, pattern, init?)\nThe captures of the first match, or nil."
     "\n\t(\"key = 12\"):match(\"(%w+)%s*=%s*(%d+)\")"},
    {"pack", NULL,
     "pack(fmt, v1, …)\nPacks values into bytes."
     "\n\tstring.pack(\"<i4\", 7)"},
    {"packsize", NULL,
     "packsize(fmt)\nThe size of what pack makes."
     "\n\tstring.packsize(\"<i4d\")"},
    {"rep", NULL,
     "rep(s, n, sep?)\ns repeated n times."
     "\n\t(\"ab\"):rep(3, \"-\")"},
    {"reverse", NULL,
     "reverse(s)\nBytes reversed."
     "\n\t(\"abc\"):reverse()"},
    {"sub", NULL,
     "sub(s, i, j?)\nThe part from i to j; negative counts from the end."
     "\n\t(\"lacus\"):sub(2, 3)"},
    {"unpack", NULL,
     "unpack(fmt, s, pos?)\nUnpacks values from bytes."
     "\n\tstring.unpack(\"<i4\", \"\\7\\0\\0\\0\")"},
    {"upper", NULL,
     "upper(s)\nIn upper case."
     "\n\t(\"text\"):upper()"},
    {0}};
static const struct manual_row lua_table[] = {
    {"concat", NULL,
     "concat(list, sep?, i?, j?)\nJoins strings and numbers."
     "\n\ttable.concat({\"a\", \"b\"}, \", \")"},
    {"insert", NULL,
     "insert(list, pos?, value)\nInserts an element."
     "\n\tlocal list = {1, 3} table.insert(list, 2, 2)"},
    {"move", NULL,
     "move(a1, f, e, t, a2?)\nCopies elements."
     "\n\ttable.move({1, 2, 3}, 1, 3, 2)"},
    {"pack", NULL,
     "pack(…)\nA table of the arguments, with their count in n."
     "\n\ttable.pack(\"a\", nil).n == 2"},
    {"remove", NULL,
     "remove(list, pos?)\nRemoves and returns an element."
     "\n\ttable.remove{1, 2, 3}"},
    {"sort", NULL,
     "sort(list, comp?)\nSorts in place."
     "\n\tlocal list = {\"b\", \"a\"} table.sort(list, function(x, y) return x < y end)"},
    {"unpack", NULL,
     "unpack(list, i?, j?)\nThe elements as results."
     "\n\ttable.unpack{1, 2, 3}"},
    {0}};
static const struct manual_row lua_utf8[] = {
    {"char", NULL,
     "char(…)\nA string of code points."
     "\n\tutf8.char(228, 8364)"},
    {"codepoint", NULL,
     "codepoint(s, i?, j?)\nCode points of a string."
     "\n\tutf8.codepoint(\"ä\")"},
    {"codes", NULL,
     "codes(s)\nIterates over code points: for p, c in utf8.codes(s) do … end"
     "\n\tfor at, code in utf8.codes(\"hä\") do print(at, code) end"},
    {"len", NULL,
     "len(s, i?, j?)\nLength in code points, or nil and the first bad position."
     "\n\tutf8.len(\"häh\") == 3"},
    {"offset", NULL,
     "offset(s, n, i?)\nByte position of the n-th code point."
     "\n\tutf8.offset(\"hä!\", 3)"},
    {0}};
static const struct manual_row lua_package[] = {
    {"loadlib", NULL,
     "loadlib(libname: string, funcname: string)\nA function of a C library."
     "\n\tpackage.loadlib(\"libm.so.6\", \"*\")"},
    {"searchpath", NULL,
     "searchpath(name: string, path: string, sep?: string, rep?: string) -> string\nThe file that a name "
     "stands for in a path; or nil and a message."
     "\n\tpackage.searchpath(\"json\", package.path)"},
    {0}};
static const struct manual_row lua_debug[] = {
    {"debug", NULL, "debug()\nA prompt in the middle of a program."},
    {"gethook", NULL,
     "gethook(co?: thread)\nThe hook, its mask and its count."
     "\n\tdebug.gethook()"},
    {"getinfo", NULL,
     "getinfo(f: function|integer, what?: string) -> table\nWhat is known of a function or of a level of the "
     "stack."
     "\n\tdebug.getinfo(1, \"Sl\").currentline"},
    {"getlocal", NULL,
     "getlocal(f: function|integer, i: integer)\nName and value of a local variable."
     "\n\tlocal name, value = debug.getlocal(1, 1)"},
    {"getmetatable", NULL,
     "getmetatable(v: any) -> table\nThe metatable, whatever its __metatable says."
     "\n\tdebug.getmetatable(\"\").__index == string"},
    {"getregistry", NULL,
     "getregistry() -> table\nThe registry."
     "\n\ttype(debug.getregistry())"},
    {"getupvalue", NULL,
     "getupvalue(f: function, i: integer)\nName and value of an upvalue."
     "\n\tlocal name, value = debug.getupvalue(function() return print end, 1)"},
    {"getuservalue", NULL,
     "getuservalue(u: userdata, n?: integer)\nA value of a userdata."
     "\n\tdebug.getuservalue(io.stdout, 1)"},
    {"sethook", NULL,
     "sethook(hook?: function, mask?: string, count?: integer)\nCalls a function on calls, returns, lines or "
     "counts."
     "\n\tdebug.sethook()"},
    {"setlocal", NULL,
     "setlocal(level: integer, i: integer, v: any)\nSets a local variable."
     "\n\tlocal x = 1 debug.setlocal(1, 1, 2)"},
    {"setmetatable", NULL,
     "setmetatable(v: any, metatable?: table)\nSets the metatable of any value."
     "\n\tdebug.setmetatable({}, nil)"},
    {"setupvalue", NULL,
     "setupvalue(f: function, i: integer, v: any)\nSets an upvalue."
     "\n\tdebug.setupvalue(function() return x end, 1, _ENV)"},
    {"setuservalue", NULL,
     "setuservalue(u: userdata, v: any, n?: integer)\nSets a value of a userdata."
     "\n\tdebug.setuservalue(io.stdout, nil, 1)"},
    {"traceback", NULL,
     "traceback(message?: string, level?: integer) -> string\nThe stack as text."
     "\n\tprint(debug.traceback(\"here\"))"},
    {"upvalueid", NULL,
     "upvalueid(f: function, n: integer)\nWhat identifies an upvalue."
     "\n\tdebug.upvalueid(function() return print end, 1)"},
    {"upvaluejoin", NULL,
     "upvaluejoin(f1: function, n1: integer, f2: function, n2: integer)\nMakes two functions share an "
     "upvalue."
     "\n\tlocal f, g = function() return print end, function() return type end debug.upvaluejoin(f, 1, g, "
     "1)"},
    {"setcstacklimit", NULL, "setcstacklimit(limit: integer)\nDoes nothing in Lua 5.4.3 and later."},
    {0}};
static const struct manual_row lua_file[] = {
    {"close", NULL,
     "close()\nCloses the file."
     "\n\tlocal file = io.tmpfile() file:close()"},
    {"flush", NULL,
     "flush()\nWrites what is buffered."
     "\n\tio.stdout:flush()"},
    {"lines", NULL,
     "lines(…)\nIterates over the lines, or over what the formats say."
     "\n\tfor line in io.open(\"/etc/hostname\"):lines() do print(line) end"},
    {"read", NULL,
     "read(…)\nReads: \"l\" a line, \"n\" a number, \"a\" all, or a number of bytes."
     "\n\tlocal file <close> = io.open(\"/etc/hostname\") print(file:read(\"a\"))"},
    {"seek", NULL,
     "seek(whence?: string, offset?: integer) -> integer\nMoves or tells the place: \"set\", \"cur\" or "
     "\"end\"."
     "\n\tlocal file <close> = io.tmpfile() file:seek(\"end\")"},
    {"setvbuf", NULL,
     "setvbuf(mode: string, size?: integer)\n\"no\", \"full\" or \"line\"."
     "\n\tio.tmpfile():setvbuf(\"line\")"},
    {"write", NULL,
     "write(…) -> file*\nWrites strings and numbers."
     "\n\tlocal file <close> = io.tmpfile() file:write(\"a line\\n\")"},
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

/* ---- texts that parameters of theirs take ---- */
static int l_variables(lua_State *L)
{
    lua_Integer n = 0;

    lua_newtable(L);
    for (char **e = environ; e && *e; e++) {
        lua_pushlstring(L, *e, strcspn(*e, "="));
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* Loaded, or found without a file. */
static int l_modules(lua_State *L)
{
    static const char *const tables[] = {"loaded", "preload"};
    lua_Integer n = 0;

    lua_settop(L, 0);
    lua_newtable(L);
    for (size_t i = 0; i < 2; i++) {
        lua_getglobal(L, "package");
        if (!lua_istable(L, 2) || lua_getfield(L, 2, tables[i]) != LUA_TTABLE) {
            lua_settop(L, 1);
            continue;
        }
        for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1))
            if (lua_type(L, 4) == LUA_TSTRING && strncmp(lua_tostring(L, 4), "lacus.", 6) != 0) {
                lua_pushvalue(L, 4);
                lua_rawseti(L, 1, ++n);
            }
        lua_settop(L, 1);
    }
    for (int i = 0; i < 2; i++)
        for (const struct session_global *g = i ? session_of(L)->globals : names_builtin; g && g->name; g++) {
            lua_pushstring(L, g->name);
            lua_rawseti(L, 1, ++n);
        }
    return 1;
}

static const struct manual_values lua_values[] = {
    {"EnvName", l_variables}, {"ModuleName", l_modules}, {"ParameterName", manual_parameters}, {0}};

const struct manual_topic manual_lua[] = {
    {.name = "",
     .doc = "Lua itself",
     .rows = lua_base,
     .fields = lua_base_fields,
     .values = lua_values,
     .standard = true},
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

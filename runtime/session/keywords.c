#include "runtime/session/keywords.h"
#include <string.h>

#define IF "if CONDITION then … elseif CONDITION then … else … end"
#define IF_EXAMPLE                                                                                           \
    "local n = 3 if n > 5 then print(\"many\") elseif n > 1 then print(\"some\") else print(\"few\") end"
#define FOR            "for i = FIRST, LAST, STEP do … end; for key, value in pairs(t) do … end"
#define FOR_EXAMPLE    "for i, name in ipairs{\"Luna\", \"Selene\"} do print(i, name) end"
#define REPEAT         "repeat … until CONDITION"
#define REPEAT_EXAMPLE "local n = 1 repeat n = n * 2 until n > 100 print(n)"

const struct keyword keywords[] = {
    {"and", "A and B", "A when it is nil or false, else B; B is looked at only then. Columns combine with &.",
     "local t = {name = \"Luna\"} print(t and t.name)"},
    {"break", "break", "leaves the innermost loop", "for i = 1, 10 do if i > 3 then break end print(i) end"},
    {"do", "do … end", "a block: its locals end with it. Also begins the body of `while` and `for`.",
     "do local inner = 1 print(inner) end print(inner)"},
    {"else", IF, "begins what runs when no condition of the `if` holds", IF_EXAMPLE},
    {"elseif", IF, "another condition of the `if`, when those before it do not hold", IF_EXAMPLE},
    {"end", "… end", "ends what `do`, `then`, `else` or `function` has begun",
     "if true then print(\"yes\") end"},
    {"false", "false", "the boolean; only it and nil count as not true: 0 and \"\" are true",
     "print(not false, not 0)"},
    {"for", FOR,
     "counts (LAST is included, STEP is 1 when it is left out), or goes through what an iterator gives",
     FOR_EXAMPLE},
    {"function", "function NAME(a, b, …) … end; local function NAME(…) … end; function(…) … end",
     "makes a function; with `t:name` its first argument is `self`; `...` takes any number more",
     "local function add(a, b) return a + b end print(add(1, 2))"},
    {"goto", "goto LABEL … ::LABEL::",
     "goes on at the label, in this function and in a block around it; Lua's `continue`",
     "for i = 1, 4 do if i % 2 == 0 then goto continue end print(i) ::continue:: end"},
    {"if", IF, "runs what follows the first condition that holds: all but nil and false do", IF_EXAMPLE},
    {"in", FOR, "before the iterator of a `for`: pairs(t), ipairs(t), io.lines(path), a function",
     FOR_EXAMPLE},
    {"local",
     "local NAME = VALUE; local NAME <const> = VALUE; local NAME <close> = VALUE; local function NAME(…) … "
     "end",
     "a variable of this block; at the top of a cell it lives on in later cells. <const>: never assigned "
     "again; <close>: closed at the end of its block",
     "local x, y = 1, 2 local limit <const> = 10 print(x + y, limit)"},
    {"nil", "nil", "no value: what a name or field is that was never set. SQL's NULL is `null`",
     "local t = {} print(t.missing == nil)"},
    {"not", "not A", "true when A is nil or false, else false. Columns are negated with ~; unequal is ~=",
     "print(not nil, not 0, 1 ~= 2)"},
    {"or", "A or B", "A unless it is nil or false, else B: a default. Columns combine with |.",
     "local name = nil print(name or \"somebody\")"},
    {"repeat", REPEAT, "runs the body, again until the condition holds; it sees the body's locals",
     REPEAT_EXAMPLE},
    {"return", "return A, B, …",
     "ends the function (or the cell, which shows them) and gives values back; the last statement of its "
     "block",
     "local function both() return 1, 2 end print(both())"},
    {"then", IF, "begins what runs when the condition holds", IF_EXAMPLE},
    {"true", "true", "the boolean", "print(1 < 2 == true)"},
    {"until", REPEAT, "the condition that ends a `repeat`", REPEAT_EXAMPLE},
    {"while", "while CONDITION do … end", "runs the body as long as the condition holds",
     "local n = 3 while n > 0 do print(n) n = n - 1 end"},
    {0}};

const struct keyword *keyword_find(const char *name, size_t len)
{
    for (const struct keyword *k = keywords; k->name; k++)
        if (strlen(k->name) == len && memcmp(k->name, name, len) == 0)
            return k;
    return NULL;
}

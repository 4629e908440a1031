#include "runtime/spark/column_lua.h"
#include "runtime/base/mem.h"
#include "runtime/spark/args_lua.h"
#include "runtime/sql/sql.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char class_name[] = "lacus.Column";

/* Expressions that a cell builds and nobody looks at, as `a and b` does with a. */
struct watch {
    unsigned cell; /* counts cells that had such columns */
    size_t live;   /* not used yet */
    bool collecting;
    int lines[8], n; /* where those were built that nobody used */
};

struct column {
    struct expr *e;      /* owned */
    struct watch *watch; /* borrowed; NULL: not watched, or used */
    unsigned cell;
    int line;
};

static void open_class(lua_State *L);

int column_push(lua_State *L, struct expr *e)
{
    struct column *c;

    if (!e)
        return luaL_error(L, "out of memory");
    c = lua_newuserdatauv(L, sizeof *c, 0);
    *c = (struct column){.e = e};
    if (luaL_newmetatable(L, class_name))
        open_class(L);
    lua_setmetatable(L, -2);
    return 1;
}

static const char watch_key;
enum { COLLECT_KB = 64 << 10 }; /* with a larger heap it is not worth the time */

static struct expr *use(struct column *c)
{
    if (c->watch && c->cell == c->watch->cell)
        c->watch->live--;
    c->watch = NULL;
    return c->e;
}

struct expr *column_at(lua_State *L, int index)
{
    struct column *c = luaL_testudata(L, index, class_name);

    return c ? use(c) : NULL;
}

static struct expr *check_column(lua_State *L, int index)
{
    return use(luaL_checkudata(L, index, class_name));
}

static int report_unused(lua_State *L) /* after the cell */
{
    struct watch *w = session_state(L, &watch_key, sizeof *w, NULL);
    char text[256];

    w->n = 0;
    if (w->live && lua_gc(L, LUA_GCCOUNT) < COLLECT_KB) {
        w->collecting = true;
        lua_gc(L, LUA_GCCOLLECT);
        w->collecting = false;
    }
    for (int i = 0; i < w->n; i++) {
        int len = snprintf(text, sizeof text,
                           "hint: line %d: a Column was computed here and never used; conditions are "
                           "combined with & | ~, not with and, or, "
                           "not\n",
                           w->lines[i]);
        session_print(session_of(L), STREAM_STDERR, text, (size_t)len);
    }
    w->cell++;
    w->live = 0;
    return 0;
}

/* The column on the top was computed by the line of a cell: somebody should look at it before it is garbage. */
static int watched(lua_State *L)
{
    struct column *c = lua_touserdata(L, -1);
    struct watch *w = session_state(L, &watch_key, sizeof *w, NULL);
    lua_Debug ar;

    if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "Sl", &ar) || strncmp(ar.source, "=Cell", 5) != 0)
        return 1;
    c->watch = w;
    c->cell = w->cell;
    c->line = ar.currentline;
    w->live++;
    session_after_cell(session_of(L), report_unused);
    return 1;
}

static void note_unused(struct column *c)
{
    struct watch *w = c->watch;
    bool told = false;

    if (!w || !w->collecting || c->cell != w->cell)
        return;
    int at = w->n;

    for (int i = 0; i < w->n; i++)
        told = told || w->lines[i] == c->line;
    if (told || w->n == (int)(sizeof w->lines / sizeof *w->lines))
        return;
    for (; at > 0 && w->lines[at - 1] > c->line; at--)
        w->lines[at] = w->lines[at - 1];
    w->lines[at] = c->line;
    w->n++;
}

/* ---- values ---- */
static struct expr *name_expr(const char *name)
{
    size_t len = strlen(name);

    if (strcmp(name, "*") == 0)
        return expr_star(NULL, 0, 0);
    if (len > 2 && strcmp(name + len - 2, ".*") == 0) {
        char **parts;
        size_t n;
        char *head = mem_strndup(name, len - 2);
        struct expr *e = NULL;
        if (head && name_split(head, &parts, &n, NULL) == LC_OK) {
            e = expr_star((const char *const *)parts, n, 0);
            name_free(parts, n);
        }
        mem_free(head);
        return e;
    }
    return expr_column(name);
}

static int push_sql(lua_State *L, const char *text, size_t len)
{
    struct expr *parsed;
    struct err err;

    err_clear(&err);
    if (sql_parse_expression(text, len, &parsed, &err) != LC_OK)
        return session_raise(L, &err);
    return column_push(L, parsed);
}

static void check_name(lua_State *L, const char *name) /* backticks in pairs, no empty part */
{
    char **parts;
    size_t n;
    struct err err;

    err_clear(&err);
    if (name_split(name, &parts, &n, &err) != LC_OK)
        session_raise(L, &err);
    name_free(parts, n);
}

static int push_text(lua_State *L, int index, enum column_text text)
{
    size_t len;
    const char *s = lua_tolstring(L, index, &len);

    if (text == COLUMN_SQL)
        return push_sql(L, s, len);
    if (text == COLUMN_NAME)
        check_name(L, s);
    return column_push(L, text == COLUMN_VALUE ? expr_string(s, len) : name_expr(s));
}

static int push_array(lua_State *L, int index)
{
    int n = (int)luaL_len(L, index), top = lua_gettop(L);
    struct expr **items;

    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (lua_type(L, -2) == LUA_TSTRING)
            luaL_argerror(L, index,
                          "a list becomes an array, but a table with names is no value: use F.struct, "
                          "F.named_struct or "
                          "F.create_map");
        lua_pop(L, 1);
    }
    luaL_checkstack(L, n + 8, "array too long");
    for (int i = 1; i <= n; i++)
        lua_rawgeti(L, index, i);
    items = column_list(L, top + 1, n, COLUMN_VALUE);
    column_push(L, expr_call("array", false, items, (size_t)n));
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return 1;
}

struct expr *column_arg(lua_State *L, int index, enum column_text text)
{
    index = lua_absindex(L, index);
    if (column_at(L, index))
        return column_at(L, index);
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        push_text(L, index, text);
        break;
    case LUA_TNUMBER:
        column_push(L, lua_isinteger(L, index) ? expr_int(lua_tointeger(L, index))
                                               : expr_double(lua_tonumber(L, index)));
        break;
    case LUA_TBOOLEAN:
        column_push(L, expr_bool(lua_toboolean(L, index)));
        break;
    case LUA_TLIGHTUSERDATA:
        column_push(L, expr_null());
        break;
    case LUA_TTABLE:
        if (spark_is_plain_table(L, index)) {
            push_array(L, index);
            break;
        }
        /* fall through */
    default:
        luaL_argerror(L, index,
                      lua_pushfstring(L, "a column, a name or a value expected, got %s%s",
                                      luaL_typename(L, index),
                                      lua_isnoneornil(L, index) ? " (NULL is written null)" : ""));
    }
    lua_replace(L, index);
    return column_at(L, index);
}

void column_refuse_boolean(lua_State *L, int index, const char *expected)
{
    if (lua_isboolean(L, index))
        luaL_argerror(L, index,
                      lua_pushfstring(L,
                                      "%s, got a boolean: Lua turns == and ~= into true or false; "
                                      "write col:eq(x) or col:ne(x), and combine with & | ~",
                                      expected));
}

struct expr *column_one(lua_State *L, int index, const char *expected)
{
    column_refuse_boolean(L, index, expected);
    if (spark_is_plain_table(L, index))
        luaL_argerror(
            L, index,
            lua_pushfstring(L, "%s, got a table: a list goes alone, as the only argument", expected));
    return column_arg(L, index, COLUMN_NAME);
}

struct expr *column_condition(lua_State *L, int index)
{
    column_refuse_boolean(L, index, "a condition must be a Column or SQL text");
    if (!column_at(L, index) && lua_type(L, index) != LUA_TSTRING)
        luaL_argerror(
            L, index,
            lua_pushfstring(L, "a condition must be a Column or SQL text, got %s", luaL_typename(L, index)));
    return column_arg(L, index, COLUMN_SQL);
}

struct expr **column_list(lua_State *L, int first, int n, enum column_text text)
{
    struct expr **list;

    luaL_checkstack(L, n + 8, "too many columns");
    for (int i = 0; i < n; i++)
        column_arg(L, first + i, text);
    list = lua_newuserdatauv(L, sizeof *list * (size_t)(n + 1), 0);
    for (int i = 0; i < n; i++)
        list[i] = expr_ref(column_at(L, first + i));
    return list;
}

struct expr *column_order(lua_State *L, int index)
{
    struct expr *e;

    e = column_one(L, index, "a Column or its name expected");
    if (e->kind != EXPR_SORT) {
        column_push(L, expr_sort_default(expr_ref(e)));
        lua_replace(L, index);
    }
    return column_at(L, index);
}

struct expr **column_orders(lua_State *L, int first, int n)
{
    for (int i = 0; i < n; i++)
        column_order(L, first + i);
    return column_list(L, first, n, COLUMN_NAME);
}

/* ---- operators ---- */
static int binary(lua_State *L, const char *name, enum column_text text)
{
    struct expr *a, *b;

    lua_settop(L, 2);
    a = column_arg(L, 1, text);
    b = column_arg(L, 2, text);
    column_push(L, expr_binary(name, expr_ref(a), expr_ref(b)));
    return watched(L);
}

static int reversed(lua_State *L, const char *name)
{
    luaL_checkany(L, 2);
    return binary(L, name, COLUMN_VALUE);
}

#define BINARY(function, name)                                                                               \
    static int function(lua_State *L)                                                                        \
    {                                                                                                        \
        return reversed(L, name);                                                                            \
    }
BINARY(l_add, "+")
BINARY(l_sub, "-")
BINARY(l_mul, "*")
BINARY(l_div, "/")
BINARY(l_mod, "%")
BINARY(l_and, "and")
BINARY(l_or, "or")
BINARY(l_eq, "==")
BINARY(l_ne, "!=")
BINARY(l_lt, "<")
BINARY(l_le, "<=")
BINARY(l_gt, ">")
BINARY(l_ge, ">=")
BINARY(l_eq_null_safe, "<=>")
BINARY(l_like, "like")
BINARY(l_ilike, "ilike")
BINARY(l_rlike, "rlike")
BINARY(l_bitwise_and, "&")
BINARY(l_bitwise_or, "|")
BINARY(l_bitwise_xor, "^")
BINARY(l_contains, "contains")
BINARY(l_startswith, "startswith")
BINARY(l_endswith, "endswith")
BINARY(l_concat, "concat")

static int unary(lua_State *L, const char *name)
{
    column_push(L, expr_unary(name, expr_ref(column_arg(L, 1, COLUMN_VALUE))));
    return watched(L);
}

#define UNARY(function, name)                                                                                \
    static int function(lua_State *L)                                                                        \
    {                                                                                                        \
        return unary(L, name);                                                                               \
    }
UNARY(l_unm, "negative")
UNARY(l_not, "not")
UNARY(l_is_null, "isnull")
UNARY(l_is_not_null, "isnotnull")
UNARY(l_is_nan, "isnan")

static int l_pow(lua_State *L)
{
    return reversed(L, "power");
}

static int comparison_refused(lua_State *L, const char *operator, const char * method)
{
    return luaL_error(
        L, "a Column cannot be compared with '%s' (Lua makes true or false of it): write col:%s(value)",
           operator, method);
}

static int l_meta_lt(lua_State *L)
{
    return comparison_refused(L, column_at(L, 1) ? "<" : ">", column_at(L, 1) ? "lt" : "gt");
}

static int l_meta_le(lua_State *L)
{
    return comparison_refused(L, column_at(L, 1) ? "<=" : ">=", column_at(L, 1) ? "le" : "ge");
}

static int l_meta_eq(lua_State *L)
{
    return comparison_refused(L, "==", "eq");
}

/* ---- methods ---- */
static int l_alias(lua_State *L) /* alias(name…) */
{
    int n = lua_gettop(L) - 1;
    const char *names[16];

    luaL_argcheck(L, n >= 1 && n <= 16, 2, "a name expected");
    for (int i = 0; i < n; i++)
        names[i] = spark_text(L, i + 2);
    struct expr *e = expr_ref(check_column(L, 1));
    return column_push(L, n == 1 ? expr_alias(e, names[0]) : expr_alias_many(e, names, (size_t)n, NULL));
}

static int cast(lua_State *L, bool try_cast)
{
    struct expr *e = check_column(L, 1);
    const struct dtype *type;
    struct err err;

    if (lua_istable(L, 2)) { /* a StructType */
        lua_getfield(L, 2, "simpleString");
        lua_replace(L, 2);
    }
    err_clear(&err);
    if (dtype_parse(spark_text(L, 2), &type, &err) != LC_OK)
        return session_raise(L, &err);
    return column_push(L, expr_cast(expr_ref(e), type, try_cast));
}

static int l_cast(lua_State *L)
{
    return cast(L, false);
}

static int l_try_cast(lua_State *L)
{
    return cast(L, true);
}

static int sorted(lua_State *L, bool descending, bool nulls_last)
{
    return column_push(L, expr_sort(expr_ref(check_column(L, 1)), descending, nulls_last));
}

static int l_asc(lua_State *L)
{
    return sorted(L, false, false);
}

static int l_asc_nulls_last(lua_State *L)
{
    return sorted(L, false, true);
}

static int l_desc(lua_State *L)
{
    return sorted(L, true, true);
}

static int l_desc_nulls_first(lua_State *L)
{
    return sorted(L, true, false);
}

static int call(lua_State *L, const char *name, int n) /* the first n values of the stack */
{
    struct expr **args = column_list(L, 1, n, COLUMN_VALUE);

    return column_push(L, expr_call(name, false, args, (size_t)n));
}

static int l_isin(lua_State *L)
{
    int n = spark_list(L, 2);

    return call(L, "in", n + 1);
}

static int l_between(lua_State *L)
{
    lua_settop(L, 3);
    return call(L, "between", 3);
}

static int l_substr(lua_State *L)
{
    static const char *const names[] = {"startPos", "length", NULL};

    spark_args(L, 2, names);
    return call(L, "substring", 3);
}

static int l_get_item(lua_State *L)
{
    struct expr *e = check_column(L, 1), *key = column_arg(L, 2, COLUMN_VALUE);

    return column_push(L, expr_extract(expr_ref(e), expr_ref(key)));
}

static int l_when(lua_State *L) /* col:when(condition, value): goes on after F.when */
{
    struct expr *e = check_column(L, 1), *condition = column_condition(L, 2),
                *value = column_arg(L, 3, COLUMN_VALUE);
    struct expr **args;

    if (e->kind != EXPR_CALL || strcmp(e->u.call.name, "when") != 0 || e->n % 2 != 0)
        return luaL_error(L, "when() goes behind F.when(…), before otherwise()");
    args = lua_newuserdatauv(L, sizeof *args * (e->n + 2), 0);
    for (size_t i = 0; i < e->n; i++)
        args[i] = expr_ref(e->args[i]);
    args[e->n] = expr_ref(condition);
    args[e->n + 1] = expr_ref(value);
    return column_push(L, expr_call("when", false, args, e->n + 2));
}

static int l_otherwise(lua_State *L)
{
    struct expr *e = check_column(L, 1), *value = column_arg(L, 2, COLUMN_VALUE);
    struct expr **args;

    if (e->kind != EXPR_CALL || strcmp(e->u.call.name, "when") != 0 || e->n % 2 != 0)
        return luaL_error(L, "otherwise() goes behind F.when(…), once");
    args = lua_newuserdatauv(L, sizeof *args * (e->n + 1), 0);
    for (size_t i = 0; i < e->n; i++)
        args[i] = expr_ref(e->args[i]);
    args[e->n] = expr_ref(value);
    return column_push(L, expr_call("when", false, args, e->n + 1));
}

static int l_tostring(lua_State *L)
{
    struct buf text = BUF_INIT(1 << 16);

    sql_print_expr(&text, check_column(L, 1));
    lua_pushfstring(L, "Column<'%s'>", buf_str(&text));
    buf_release(&text);
    return 1;
}

static int l_gc(lua_State *L)
{
    struct column *c = luaL_checkudata(L, 1, class_name);

    note_unused(c);
    expr_unref(c->e);
    c->e = NULL;
    return 0;
}

static const struct manual_row methods[] = {
    {"eq", l_eq, "eq(value) -> Column\nequal: = in SQL\n\tdf:filter(F.col(\"name\"):eq(\"moon\"))"},
    {"ne", l_ne, "ne(value) -> Column\nnot equal\n\tdf:filter(F.col(\"name\"):ne(\"sun\"))"},
    {"gt", l_gt, "gt(value) -> Column\ngreater\n\tdf:filter(F.col(\"n\"):gt(3))"},
    {"ge", l_ge, "ge(value) -> Column\ngreater or equal\n\tdf:filter(F.col(\"n\"):ge(3))"},
    {"lt", l_lt, "lt(value) -> Column\nless\n\tdf:filter(F.col(\"n\"):lt(3))"},
    {"le", l_le, "le(value) -> Column\nless or equal\n\tdf:filter(F.col(\"n\"):le(3))"},
    {"equalTo", l_eq, NULL},
    {"notEqual", l_ne, NULL},
    {"geq", l_ge, NULL},
    {"leq", l_le, NULL},
    {"eqNullSafe", l_eq_null_safe,
     "eqNullSafe(value) -> Column\nequal, where NULL equals "
     "NULL\n\tdf:filter(F.col(\"a\"):eqNullSafe(F.col(\"b\")))"},
    {"plus", l_add, "plus(value) -> Column\nthe same as +\n\tdf:select(F.col(\"n\"):plus(1))"},
    {"minus", l_sub, "minus(value) -> Column\nthe same as -\n\tdf:select(F.col(\"n\"):minus(1))"},
    {"multiply", l_mul, "multiply(value) -> Column\nthe same as *\n\tdf:select(F.col(\"n\"):multiply(2))"},
    {"divide", l_div, "divide(value) -> Column\nthe same as /\n\tdf:select(F.col(\"n\"):divide(2))"},
    {"mod", l_mod, "mod(value) -> Column\nthe same as %\n\tdf:select(F.col(\"n\"):mod(2))"},
    {"alias", l_alias,
     "alias(name, …) -> Column\nanother name; several for functions with several "
     "columns\n\tdf:select((F.col(\"n\") * 2):alias(\"double\"))"},
    {"name", l_alias, NULL},
    {"as", l_alias, NULL},
    {"cast", l_cast,
     "cast(type: TypeName) -> Column\n\"int\", \"array<string>\", …; an error for values that do not "
     "fit\n\tdf:select(F.col(\"n\"):cast(\"double\"))"},
    {"astype", l_cast, NULL},
    {"try_cast", l_try_cast,
     "try_cast(type: TypeName) -> Column\nlike cast, but NULL for values that do not "
     "fit\n\tdf:select(F.col(\"s\"):try_cast(\"int\"))"},
    {"asc", l_asc, "asc() -> Column\nascending, NULLs first\n\tdf:orderBy(F.col(\"n\"):asc())"},
    {"asc_nulls_first", l_asc, NULL},
    {"asc_nulls_last", l_asc_nulls_last,
     "asc_nulls_last() -> Column\nascending, NULLs last"
     "\n\tdf:orderBy(F.col(\"b\"):asc_nulls_last())"},
    {"desc", l_desc, "desc() -> Column\ndescending, NULLs last\n\tdf:orderBy(F.col(\"n\"):desc())"},
    {"desc_nulls_last", l_desc, NULL},
    {"desc_nulls_first", l_desc_nulls_first,
     "desc_nulls_first() -> Column\ndescending, NULLs first"
     "\n\tdf:orderBy(F.col(\"b\"):desc_nulls_first())"},
    {"isNull", l_is_null, "isNull() -> Column\nwhether it is NULL\n\tdf:filter(F.col(\"n\"):isNull())"},
    {"isNotNull", l_is_not_null,
     "isNotNull() -> Column\nwhether it is not NULL\n\tdf:filter(F.col(\"n\"):isNotNull())"},
    {"isNaN", l_is_nan, "isNaN() -> Column\nwhether it is not a number\n\tdf:filter(~F.col(\"x\"):isNaN())"},
    {"isin", l_isin,
     "isin(value, …) -> Column\nwhether it is one of the values, or of a "
     "list\n\tdf:filter(F.col(\"k\"):isin(\"a\", \"b\"))"},
    {"between", l_between,
     "between(low, high) -> Column\nlow <= it <= high\n\tdf:filter(F.col(\"n\"):between(1, 5))"},
    {"like", l_like,
     "like(pattern) -> Column\nSQL pattern with % and _\n\tdf:filter(F.col(\"s\"):like(\"m%\"))"},
    {"ilike", l_ilike,
     "ilike(pattern) -> Column\nlike, ignoring case\n\tdf:filter(F.col(\"s\"):ilike(\"M%\"))"},
    {"rlike", l_rlike,
     "rlike(regex) -> Column\nwhether a regular expression is "
     "found\n\tdf:filter(F.col(\"s\"):rlike(\"^m.*n$\"))"},
    {"contains", l_contains,
     "contains(text) -> Column\nwhether the text is in it\n\tdf:filter(F.col(\"s\"):contains(\"oo\"))"},
    {"startswith", l_startswith,
     "startswith(text) -> Column\nwhether it begins with the "
     "text\n\tdf:filter(F.col(\"s\"):startswith(\"m\"))"},
    {"endswith", l_endswith,
     "endswith(text) -> Column\nwhether it ends with the text\n\tdf:filter(F.col(\"s\"):endswith(\"n\"))"},
    {"substr", l_substr,
     "substr(start, length) -> Column\npart of a text, from 1\n\tdf:select(F.col(\"s\"):substr(1, 3))"},
    {"getItem", l_get_item,
     "getItem(key: any) -> Column\nan element of an array (from 0), a value of a map, a field of a "
     "struct\n\tdf:select(F.col(\"list\"):getItem(0))"},
    {"getField", l_get_item, NULL},
    {"bitwiseAND", l_bitwise_and,
     "bitwiseAND(value) -> Column\nbitwise and"
     "\n\tdf:select(F.col(\"n\"):bitwiseAND(3))"},
    {"bitwiseOR", l_bitwise_or,
     "bitwiseOR(value) -> Column\nbitwise or"
     "\n\tdf:select(F.col(\"n\"):bitwiseOR(3))"},
    {"bitwiseXOR", l_bitwise_xor,
     "bitwiseXOR(value) -> Column\nbitwise exclusive or"
     "\n\tdf:select(F.col(\"n\"):bitwiseXOR(3))"},
    {"when", l_when,
     "when(condition, value) -> Column\ngoes on after F.when\n\tF.when(F.col(\"n\"):gt(0), "
     "\"plus\"):when(F.col(\"n\"):lt(0), \"minus\"):otherwise(\"zero\")"},
    {"otherwise", l_otherwise,
     "otherwise(value) -> Column\nthe value when no condition held\n\tF.when(F.col(\"n\"):gt(0), "
     "\"plus\"):otherwise(\"rest\")"},
    {"over", window_over,
     "over(window) -> Column\nof a window: "
     "Window.partitionBy(\"a\"):orderBy(\"b\")\n\tF.row_number():over(Window.partitionBy(\"k\"):orderBy("
     "\"n\"))"},
    {NULL, NULL, NULL}};

const struct manual_topic column_topic = {
    .name = "Column",
    .doc = "a column, or what is computed of columns: + - * / % .. & | ~, and methods to compare",
    .kind = MANUAL_CLASS,
    .rows = methods,
    .operators = "add sub mul div mod pow unm band bor bnot concat",
    .element = "Column"};

static const luaL_Reg metamethods[] = {
    {"__add", l_add},    {"__sub", l_sub},    {"__mul", l_mul},       {"__div", l_div},
    {"__mod", l_mod},    {"__pow", l_pow},    {"__unm", l_unm},       {"__band", l_and},
    {"__bor", l_or},     {"__bnot", l_not},   {"__concat", l_concat}, {"__lt", l_meta_lt},
    {"__le", l_meta_le}, {"__eq", l_meta_eq}, {"__call", l_get_item}, {"__tostring", l_tostring},
    {"__gc", l_gc},      {NULL, NULL}};

/* column[0] is getItem(0); everything else is a method */
static int l_index(lua_State *L)
{
    if (lua_isinteger(L, 2))
        return l_get_item(L);
    lua_settop(L, 2);
    lua_gettable(L, lua_upvalueindex(1));
    return 1;
}

static int
l_dir(lua_State *L) /* for completion: upvalue 1: the methods; what is written in Lua lists itself */
{
    lua_Integer n;

    if (luaL_getmetafield(L, lua_upvalueindex(1), "__dir") == LUA_TNIL)
        lua_newtable(L);
    else
        lua_call(L, 0, 1);
    n = luaL_len(L, -1);
    for (const struct manual_row *m = methods; m->name; m++) {
        lua_pushstring(L, m->name);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

static void open_class(lua_State *L) /* the metatable is on top */
{
    luaL_setfuncs(L, metamethods, 0);
    spark_methods(L, methods, "Column");
    spark_extend(L, "Column");
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, l_dir, 1);
    lua_setfield(L, -3, "__dir");
    lua_pushcclosure(L, l_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "Column");
    lua_setfield(L, -2, "__name");
}

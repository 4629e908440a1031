/* special_udf.c: user-defined functions of Lua: lua_udf(name, type, packed function, may run long, arguments…) runs them row by row,
 * lua_expression(name, type, lambda, arguments…) is one that was seen to be an expression. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <string.h>

static enum lc declared(struct call *c, const struct dtype **out)
{
    const char *text = special_text(&c->args[1]);

    if (!text)
        return special_unsupported(c, "a type that is not a literal");
    if (dtype_parse(text, out, NULL) != LC_OK && dtype_parse_schema(text, out, NULL) != LC_OK)
        TRY(dtype_parse(text, out, c->g->err));
    *out = gen_type(c->g, *out);
    return LC_OK;
}

static const char *call_name(struct call *c, size_t first)
{
    struct buf b = BUF_INIT(1 << 22);

    buf_printf(&b, "%s(", special_text(&c->args[0]) ? special_text(&c->args[0]) : "udf");
    for (size_t i = first; i < c->n; i++)
        buf_printf(&b, "%s%s", i > first ? ", " : "", c->args[i].name);
    buf_putc(&b, ')');
    return gen_take(c->g, &b);
}

/* What Lua has numbers of: 64-bit integers and doubles. */
static enum lc to_lua(struct call *c, struct sx *x)
{
    const struct dtype *t = x->type;
    enum dtype_id to = dtype_is_integral(t)                              ? DTYPE_LONG
                       : dtype_is_numeric(t)                             ? DTYPE_DOUBLE
                       : t->id == DTYPE_BOOLEAN || t->id == DTYPE_BINARY ? t->id
                       : t->id == DTYPE_NULL                             ? DTYPE_STRING
                                                                         : DTYPE_STRING;

    if (!dtype_is_atomic(t)) { /* the engine's function reads it again: kinds says so */
        x->sql = special_json_text(c, t, x->sql);
        x->type = dtype_of(DTYPE_STRING);
        return x->sql ? LC_OK : err_nomem(c->g->err);
    }
    return sx_coerce(c->g, x, dtype_of(to), c->e);
}

static enum lc lua_udf(struct call *c, struct sx *out)
{
    const struct dtype *t, *raw;
    struct buf b = BUF_INIT((size_t)64 << 20), kinds = BUF_INIT(1 << 16);
    const char *letters;
    struct sx result;
    char letter;

    TRY(declared(c, &t));
    out->name = call_name(c, 4);
    letter = t->id == DTYPE_BOOLEAN ? 'b'
             : dtype_is_integral(t) ? 'l'
             : dtype_is_numeric(t)  ? 'd'
             : dtype_is_atomic(t)   ? 's'
                                    : 'j';
    raw = dtype_of(letter == 'b'   ? DTYPE_BOOLEAN
                   : letter == 'l' ? DTYPE_LONG
                   : letter == 'd' ? DTYPE_DOUBLE
                                   : DTYPE_STRING);
    buf_putc(&kinds, letter != 'j' ? 'v' : t->id == DTYPE_ARRAY ? 'a' : 'o');
    for (size_t i = 4; i < c->n; i++)
        buf_putc(&kinds, dtype_is_atomic(c->args[i].type) ? 'v' : 'j');
    letters = gen_take(c->g, &kinds);
    buf_printf(&b, "lacus_udf_%c(%s, %s, %s, '%s'", letter, c->args[2].sql, c->args[0].sql, c->args[3].sql,
               letters ? letters : "");
    for (size_t i = 4; i < c->n; i++) {
        TRY(to_lua(c, &c->args[i]));
        buf_printf(&b, ", %s", c->args[i].sql);
    }
    buf_putc(&b, ')');
    result = (struct sx){.sql = gen_take(c->g, &b), .name = out->name, .type = raw, .nullable = true};
    if (!result.sql || !out->name)
        return err_nomem(c->g->err);
    if (letter == 'j')
        result.sql = gen_printf(c->g, "TRY_CAST(CAST(%s AS JSON) AS %s)", result.sql, gen_sql_type(c->g, t));
    else
        TRY(sx_coerce(c->g, &result, t, c->e));
    out->sql = result.sql;
    out->type = t;
    out->nullable = true;
    return LC_OK;
}

static enum lc lua_expression(struct call *c, struct sx *out)
{
    const struct dtype *t, *types[3];
    const char *values[3], *head;
    struct sx body;

    TRY(declared(c, &t));
    out->name = call_name(c, 3);
    for (size_t i = 3; i < c->n && i < 6; i++) {
        TRY(to_lua(c, &c->args[i]));
        types[i - 3] = c->args[i].type;
        values[i - 3] = c->args[i].sql;
    }
    TRY(special_lambda(c, 2, types, c->n - 3 > 3 ? 3 : c->n - 3, values, &head, &body));
    TRY(sx_coerce(c->g, &body, t, c->e));
    out->sql = gen_printf(c->g, "/* the Lua function %s as an expression */ %s",
                          special_text(&c->args[0]) && !strstr(special_text(&c->args[0]), "*/")
                              ? special_text(&c->args[0])
                              : "",
                          body.sql);
    if (c->g->explaining)
        out->name = gen_printf(c->g, "%s\1 /* Lua, lowered to %s */\2", out->name, body.name);
    out->type = t;
    out->nullable = true;
    return out->sql ? LC_OK : err_nomem(c->g->err);
}

const struct special special_udf[] = {
    {"lua_udf", lua_udf},
    {"lua_expression", lua_expression},
    {0},
};

/* special_texts.c: functions over texts whose form depends on their arguments. */
#include "runtime/dataframe/java_regex.h"
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

static const struct dtype *string(void)
{
    return dtype_of(DTYPE_STRING);
}

static enum lc as_strings(struct call *c, size_t from)
{
    for (size_t i = from; i < c->n; i++)
        if (c->args[i].type->id != DTYPE_ARRAY)
            TRY(sx_coerce(c->g, &c->args[i], string(), c->e));
    return LC_OK;
}

static const char *joined(struct call *c, size_t from, const char *separator)
{
    struct buf b = BUF_INIT((size_t)64 << 20);

    for (size_t i = from; i < c->n; i++)
        buf_printf(&b, "%s%s", i > from ? separator : "", c->args[i].sql);
    return gen_take(c->g, &b);
}

static enum lc concat_arrays(struct call *c, struct sx *out)
{
    const struct dtype *type = c->args[0].type;
    struct buf nulls = BUF_INIT((size_t)64 << 20);
    const char *any;

    for (size_t i = 1; i < c->n && type; i++)
        type = gen_type(c->g, dtype_common(type, c->args[i].type));
    if (!type)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[DATATYPE_MISMATCH.DATA_DIFF_TYPES] Cannot resolve \"concat\" due to data type mismatch: the "
            "arguments must all be texts or all be arrays of one type. SQLSTATE: 42K09");
    for (size_t i = 0; i < c->n; i++) {
        TRY(sx_coerce(c->g, &c->args[i], type, c->e));
        buf_printf(&nulls, "%s%s IS NULL", i ? " OR " : "", c->args[i].sql);
    }
    any = gen_take(c->g, &nulls);
    return special_done(
        c, out, type,
        gen_printf(c->g, "(CASE WHEN %s THEN NULL ELSE list_concat(%s) END)", any, joined(c, 0, ", ")));
}

static bool all_bytes(const struct call *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->args[i].type->id != DTYPE_BINARY)
            return false;
    return c->n > 0;
}

static enum lc concat(struct call *c, struct sx *out)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->args[i].type->id == DTYPE_ARRAY)
            return concat_arrays(c, out);
    if (all_bytes(c))
        return special_done(c, out, dtype_of(DTYPE_BINARY), gen_printf(c->g, "(%s)", joined(c, 0, " || ")));
    TRY(as_strings(c, 0));
    return special_done(c, out, string(), gen_printf(c->g, "(%s)", joined(c, 0, " || ")));
}

/* lpad, rpad: of bytes with bytes, in their two digits each: DuckDB has it of texts only, and with something to fill up with */
static enum lc pad(struct call *c, struct sx *out)
{
    const char *x = c->args[0].sql, *len = gen_printf(c->g, "greatest(%s, 0)", c->args[1].sql), *sql,
               *with = c->n > 2 ? c->args[2].sql : "' '",
               *literal = c->n > 2 ? special_text(&c->args[2]) : " ";
    bool bytes = c->args[0].type->id == DTYPE_BINARY && (c->n < 3 || c->args[2].type->id == DTYPE_BINARY);

    if (bytes) {
        x = gen_printf(c->g, "hex(%s)", x);
        len = gen_printf(c->g, "2 * %s", len);
        with = c->n > 2 ? gen_printf(c->g, "hex(%s)", with) : "'00'";
        if (c->n == 2)
            out->name = gen_printf(c->g, "%s(%s, %s, X'00')", c->f->name, c->args[0].name, c->args[1].name);
    } else {
        for (size_t i = 0; i < c->n; i += 2)
            TRY(sx_coerce(c->g, &c->args[i], string(), c->e));
        x = c->args[0].sql;
        with = c->n > 2 ? c->args[2].sql : with;
    }
    sql = gen_printf(c->g, "%s(%s, %s, %s)", c->f->name, x, len, with);
    if (!literal || !*literal)
        sql = gen_printf(c->g, "(CASE WHEN %s = '' THEN left(%s, %s) ELSE %s END)", with, x, len, sql);
    return special_done(c, out, dtype_of(bytes ? DTYPE_BINARY : DTYPE_STRING),
                        bytes ? gen_printf(c->g, "unhex(%s)", sql) : sql);
}

static enum lc concat_ws(struct call *c, struct sx *out)
{
    bool arrays = false;
    struct buf b = BUF_INIT((size_t)64 << 20);

    TRY(as_strings(c, 0));
    for (size_t i = 1; i < c->n; i++)
        arrays = arrays || c->args[i].type->id == DTYPE_ARRAY;
    if (c->n == 1)
        TRY(special_done(c, out, string(), "''"));
    else if (!arrays)
        TRY(special_done(c, out, string(), gen_printf(c->g, "concat_ws(%s)", joined(c, 0, ", "))));
    else {
        const struct dtype *texts = gen_type(c->g, dtype_array(dtype_of(DTYPE_STRING), true));

        for (size_t i = 1; i < c->n && texts; i++)
            if (c->args[i].type->id == DTYPE_ARRAY && c->args[i].type->element->id != DTYPE_STRING)
                TRY(sx_coerce(c->g, &c->args[i], texts, c->e));
        for (size_t i = 1; i < c->n; i++)
            buf_printf(
                &b, c->args[i].type->id == DTYPE_ARRAY ? "%scoalesce(%s, CAST([] AS VARCHAR[]))" : "%s[%s]",
                i > 1 ? ", " : "", c->args[i].sql);
        TRY(special_done(
            c, out, string(),
            gen_printf(c->g, "array_to_string(list_concat(%s), %s)", gen_take(c->g, &b), c->args[0].sql)));
    }
    out->nullable = c->args[0].nullable;
    return LC_OK;
}

/* Of bytes: DuckDB has it of texts only, so it is cut out of their two digits each. */
static enum lc substring_bytes(struct call *c, struct sx *out)
{
    const char *x = gen_printf(c->g, "hex(%s)", c->args[0].sql), *pos = c->args[1].sql, *sql;

    pos = gen_printf(c->g, "(CASE WHEN %s > 0 THEN 2 * %s - 1 WHEN %s = 0 THEN 1 ELSE 2 * %s END)", pos, pos,
                     pos, pos);
    if (c->n == 2)
        sql = gen_printf(c->g, "substring(%s, %s)", x, pos);
    else
        sql = gen_printf(c->g, "substring(%s, %s, greatest(2 * %s, 0))", x, pos, c->args[2].sql);
    return special_done(c, out, dtype_of(DTYPE_BINARY), gen_printf(c->g, "unhex(%s)", sql));
}

static enum lc substring(struct call *c, struct sx *out)
{
    int64_t at;
    const char *pos = c->args[1].sql;

    if (c->args[0].type->id == DTYPE_BINARY)
        return substring_bytes(c, out);
    if (!special_int(&c->args[1], &at))
        pos = gen_printf(c->g, "(CASE WHEN %s = 0 THEN 1 ELSE %s END)", pos, pos);
    else if (at == 0)
        pos = "1";
    if (c->n == 2)
        return special_done(c, out, string(), gen_printf(c->g, "substring(%s, %s)", c->args[0].sql, pos));
    return special_done(
        c, out, string(),
        gen_printf(c->g, "substring(%s, %s, greatest(%s, 0))", c->args[0].sql, pos, c->args[2].sql));
}

static enum lc length(struct call *c, struct sx *out)
{
    bool bytes = c->args[0].type->id == DTYPE_BINARY;

    return special_done(
        c, out, dtype_of(DTYPE_INT),
        gen_printf(c->g, "CAST(%s(%s) AS INTEGER)", bytes ? "octet_length" : "length", c->args[0].sql));
}

static enum lc reverse(struct call *c, struct sx *out)
{
    if (c->args[0].type->id == DTYPE_ARRAY)
        return special_done(c, out, c->args[0].type, gen_printf(c->g, "list_reverse(%s)", c->args[0].sql));
    TRY(as_strings(c, 0));
    return special_done(c, out, string(), gen_printf(c->g, "reverse(%s)", c->args[0].sql));
}

static enum lc base64(struct call *c, struct sx *out)
{
    if (c->args[0].type->id != DTYPE_BINARY)
        TRY(sx_coerce(c->g, &c->args[0], dtype_of(DTYPE_BINARY), c->e));
    return special_done(c, out, string(), gen_printf(c->g, "base64(%s)", c->args[0].sql));
}

/* ---- regular expressions ---- */
/* DuckDB's are RE2: no look-around and no back-references. */
static enum lc check_pattern(struct call *c, const struct sx *x)
{
    static const char *const beyond[] = {"(?=", "(?!", "(?<=", "(?<!", "(?>", "(?U"};
    const char *p = special_text(x);

    for (size_t i = 0; p && i < sizeof beyond / sizeof *beyond; i++)
        if (strstr(p, beyond[i])) {
            gen_fail(c->g, c->e, LC_UNSUPPORTED,
                     "the regular expression '%.200s' uses '%s', which this engine does not have", p,
                     beyond[i]);
            return err_hint(c->g->err, "write it without look-around, e.g. with a group and regexp_extract");
        }
    return LC_OK;
}

/* What Java's $ and \Z find, in RE2's words; the pattern as it stands where there is none, or no literal. */
static const char *with_ends(struct call *c, const char *end, struct java_ends *e)
{
    const char *p = special_text(&c->args[1]), *out;
    struct buf b = BUF_INIT(1 << 20);

    *e = (struct java_ends){0};
    if (p)
        java_ends_read(p, end, e, &b);
    out = e->any ? gen_take(c->g, &b) : (buf_release(&b), NULL);
    return out ? gen_text(c->g, out, strlen(out)) : c->args[1].sql;
}

#define ENDS "(?:" JAVA_LAST_BREAK ")?\\z"

/* The pattern for those who ask whether or where it matches only. */
static const char *pattern_of(struct call *c)
{
    struct java_ends e;

    return with_ends(c, ENDS, &e);
}

/* The plain text that a pattern means when it holds no operators; NULL when it does. */
static const char *plain_pattern(struct call *c, const char *p)
{
    struct buf b = BUF_INIT(4096);

    for (; p && *p; p++) {
        if (*p == '\\' && p[1] && ispunct((unsigned char)p[1]))
            buf_putc(&b, *++p);
        else if (strchr("\\.[]{}()*+?^$|", *p))
            return buf_release(&b), NULL;
        else
            buf_putc(&b, *p);
    }
    return p ? gen_take(c->g, &b) : (buf_release(&b), NULL);
}

static enum lc split(struct call *c, struct sx *out)
{
    const char *plain = plain_pattern(c, special_text(&c->args[1])), *text = c->args[0].sql, *sql, *quoted;
    const struct dtype *type = gen_type(c->g, dtype_array(dtype_of(DTYPE_STRING), false));
    int64_t limit = -1;

    TRY(check_pattern(c, &c->args[1]));
    if (c->n > 2 && !special_int(&c->args[2], &limit))
        return special_unsupported(c, "a limit that is not a literal");
    out->name = gen_printf(c->g, "split(%s, %s, %s)", c->args[0].name, c->args[1].name,
                           c->n > 2 ? c->args[2].name : "-1");
    quoted = plain ? gen_text(c->g, plain, strlen(plain)) : c->args[1].sql;
    sql = gen_printf(c->g, "%s(%s, %s)", plain && *plain ? "string_split" : "regexp_split_to_array", text,
                     quoted);
    if (limit <= 0)
        return special_done(c, out, type, sql);
    if (!plain) /* the last part is what follows the parts and matches before it */
        return special_done(c, out, type,
                            gen_printf(c->g,
                                       "(CASE WHEN len(%s) <= %" PRId64
                                       " THEN %s WHEN len(%s) > 0 THEN list_concat((%s)[1:%" PRId64
                                       "], [substring(%s, CAST(1 + len(array_to_string((%s)[1:%" PRId64
                                       "], '')) + len(array_to_string(regexp_extract_all(%s, %s)[1:%" PRId64
                                       "], '')) AS INTEGER))]) END)",
                                       sql, limit, sql, sql, sql, limit - 1, text, sql, limit - 1, text,
                                       quoted, limit - 1));
    return special_done(c, out, type,
                        gen_printf(c->g,
                                   "(CASE WHEN len(%s) <= %" PRId64
                                   " THEN %s WHEN len(%s) > 0 THEN list_concat((%s)[1:%" PRId64
                                   "], [array_to_string((%s)[%" PRId64 ":], %s)]) END)",
                                   sql, limit, sql, sql, sql, limit - 1, sql, limit, quoted));
}

/* ---- regexp_replace ---- */
struct replacing {
    const char *text, *pattern, *with; /* SQL */
    struct java_regex regex;           /* of a pattern that is a literal */
    int last_break;                    /* the group that is put back; 0: none */
    const char *literal,
        *empty; /* the replacement: what it is for RE2, and without its groups; NULL: no literal */
};

/* RE2 leaves out an empty text right behind what it found, Java replaces it too: 'aaa' is 'xx' for a* and x. What is found is marked by characters
 * that no text has (U+FDD0 …): 1 what was found 2 what is in its place 3; those right behind one another lose the mark 3, and the others get what is
 * in the place of the empty text there. */
static const char *replaced_twice(struct call *c, const struct replacing *r)
{
#define M1 "\xEF\xB7\x90"
#define M2 "\xEF\xB7\x91"
#define M3 "\xEF\xB7\x92"
    const char *with = gen_printf(c->g, M1 "\\0" M2 "%s" M3, r->literal), *sql;

    with = gen_text(c->g, with, strlen(with));
    sql = gen_printf(c->g, "regexp_replace(%s, %s, %s, 'g')", r->text, r->pattern, with);
    sql = gen_printf(c->g, "regexp_replace(%s, '" M1 M2 "([^" M3 "]*)" M3 "', '\\1', 'g')", sql);
    sql = gen_printf(
        c->g, "regexp_replace(replace(%s, '" M3 M1 "', '" M1 "'), '" M1 "[^" M2 "]*" M2 "', '', 'g')", sql);
    return gen_printf(c->g, "replace(%s, '" M3 "', %s)", sql, gen_text(c->g, r->empty, strlen(r->empty)));
}

/* A literal replacement in RE2's words; NULL in r->literal and an error's text in *wrong where it is none. */
static enum lc read_replacement(struct call *c, struct replacing *r, const char **wrong)
{
    const char *s = special_text(&c->args[2]);
    struct buf out = BUF_INIT(1 << 20), empty = BUF_INIT(1 << 20);

    *wrong = NULL;
    if (!s)
        return LC_OK;
    buf_puts(&out, "");
    buf_puts(&empty, "");
    *wrong = java_replacement(s, strlen(s), r->regex.groups, &out, &empty);
    r->literal = gen_take(c->g, &out);
    r->empty = gen_take(c->g, &empty);
    return r->literal && r->empty ? LC_OK : err_nomem(c->g->err);
}

/* $ alone is found before the line break that ends the text, and behind it. */
static bool replaces_end(struct call *c, const struct replacing *r, const char **sql)
{
    const char *pattern = special_text(&c->args[1]), *with;

    if (!pattern || !r->literal || strcmp(pattern, "$") != 0)
        return false;
    with = gen_printf(c->g, "%s\\1", r->literal);
    *sql = gen_printf(c->g, "(regexp_replace(%s, '(" JAVA_LAST_BREAK ")\\z', %s) || %s)", r->text,
                      gen_text(c->g, with, strlen(with)), gen_text(c->g, r->empty, strlen(r->empty)));
    return true;
}

static enum lc replaced(struct call *c, struct replacing *r, const char **sql)
{
    const char *wrong;

    TRY(read_replacement(c, r, &wrong));
    if (wrong) /* an error only where there is something to replace */
        *sql = gen_printf(
            c->g,
            "(CASE WHEN regexp_matches(%s, %s) THEN error('[INVALID_REGEXP_REPLACE] Could not perform "
            "regexp_replace for source = \"' || %s || '\", pattern = \"' || %s || '\", replacement = \"' "
            "|| %s || '\" and position = 1: %s. SQLSTATE: 22023') ELSE %s END)",
            r->text, r->pattern, r->text, r->pattern, r->with, wrong, r->text);
    else if (replaces_end(c, r, sql))
        return LC_OK;
    else if (r->regex.empty == REGEX_NEVER || !r->regex.consumes ||
             (r->literal && !*r->literal)) /* RE2 finds what Java does */
        *sql = gen_printf(c->g, "regexp_replace(%s, %s, %s%s, 'g')", r->text, r->pattern,
                          r->literal
                              ? gen_text(c->g, r->literal, strlen(r->literal))
                              : gen_printf(c->g, "lacus_java_replacement(%s, %d)", r->with, r->regex.groups),
                          r->last_break ? gen_printf(c->g, " || '\\%d'", r->last_break) : "");
    else if (r->regex.empty == REGEX_ALWAYS && r->literal)
        *sql = replaced_twice(c, r);
    else {
        special_unsupported(c, "a pattern that finds the empty text in some places");
        return err_hint(c->g->err, "write + for *, or the places into the pattern: ^ or $ alone around it");
    }
    return LC_OK;
}

/* b$ also finds the b before a line break that ends the text: the break is a group of its own, and is put back. */
static void keep_last_break(struct call *c, struct replacing *r)
{
    struct java_ends e;
    const char *pattern = with_ends(c, "(" JAVA_LAST_BREAK ")?\\z", &e), *with = special_text(&c->args[2]);

    if (!e.last || r->regex.empty != REGEX_NEVER || !r->regex.consumes || r->regex.groups > 8 ||
        (with && strstr(with, "$0"))) /* $0 would have the break in it */
        return;
    r->pattern = pattern;
    r->last_break = r->regex.groups + 1;
}

static enum lc regexp_replace(struct call *c, struct sx *out)
{
    const char *pattern = special_text(&c->args[1]), *sql = NULL, *rest;
    struct replacing r = {
        .text = c->args[0].sql, .pattern = c->args[1].sql, .with = c->args[2].sql, .regex = {.groups = 9}};
    int64_t from = 1;

    TRY(check_pattern(c, &c->args[1]));
    if (pattern)
        java_regex_read(pattern, &r.regex);
    keep_last_break(c, &r);
    if (c->n > 3 && c->e->args[3]->kind == EXPR_LITERAL && c->e->args[3]->u.literal.is_null)
        return special_done(c, out, string(), "CAST(NULL AS VARCHAR)");
    if (c->n > 3 && !special_int(&c->args[3], &from))
        return special_unsupported(c, "a position that is not a literal");
    if (from < 1)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE] Cannot resolve \"%s(%s)\" due to data type mismatch: The "
            "position must be between (0, 2147483647] (current value = %" PRId64 "). SQLSTATE: 42K09",
            c->f->name, c->args[0].name, from);
    if (from > 1)
        r.text = gen_printf(c->g, "substring(%s, %" PRId64 ")", c->args[0].sql, from);
    TRY(replaced(c, &r, &sql));
    if (from > 1) {
        rest = sql;
        sql = gen_printf(c->g,
                         "(CASE WHEN length(%s) < %" PRId64 " THEN %s ELSE left(%s, %" PRId64 ") || %s END)",
                         c->args[0].sql, from, c->args[0].sql, c->args[0].sql, from - 1, rest);
    }
    return special_done(c, out, string(), sql);
}

static enum lc check_group(struct call *c, int64_t group)
{
    const char *pattern = special_text(&c->args[1]);
    struct java_regex regex;
    int64_t n = INT64_MAX;

    if (pattern) {
        java_regex_read(pattern, &regex);
        n = regex.groups;
    }
    if (group >= 0 && group <= n)
        return LC_OK;
    return gen_fail(c->g, c->e, LC_ENGINE,
                    "[INVALID_PARAMETER_VALUE.REGEX_GROUP_INDEX] The value of parameter(s) `idx` in `%s` is "
                    "invalid: Expects "
                    "group index between 0 and %" PRId64 ", but got %" PRId64 ". SQLSTATE: 22023",
                    c->f->name, n, group);
}

/* The pattern, and the group in it: the whole match, without the line break that ends the text, is one of its own. */
static const char *group_pattern(struct call *c, int64_t *group)
{
    struct java_ends e;
    const char *p = special_text(&c->args[1]), *all = with_ends(c, ENDS, &e);
    struct buf b = BUF_INIT(1 << 20);

    if (*group > 0 || !e.any)
        return e.nested ? c->args[1].sql : all;
    if (!e.last)
        return c->args[1].sql;
    buf_putc(&b, '(');
    java_ends_read(p, ")" ENDS, &e, &b);
    all = gen_take(c->g, &b);
    *group = 1;
    return all ? gen_text(c->g, all, strlen(all)) : NULL;
}

static enum lc extract_with(struct call *c, struct sx *out, const char *function, const struct dtype *type)
{
    const char *pattern, *sql;
    int64_t group = 1;

    TRY(check_pattern(c, &c->args[1]));
    if (c->n > 2 && !special_int(&c->args[2], &group))
        return special_unsupported(c, "a group number that is not a literal");
    TRY(check_group(c, group));
    out->name = gen_printf(c->g, "%s(%s, %s, %s)", c->f->name, c->args[0].name, c->args[1].name,
                           c->n > 2 ? c->args[2].name : "1");
    pattern = group_pattern(c, &group);
    sql = gen_printf(c->g, "%s(%s, %s, %" PRId64 ")", function, c->args[0].sql, pattern, group);
    if (type->id == DTYPE_ARRAY && group > 0) /* a group that took no part is an empty text */
        sql = gen_printf(c->g, "list_transform(%s, lambda lx: coalesce(lx, ''))", sql);
    return special_done(c, out, type, sql);
}

static enum lc matches(struct call *c, struct sx *out)
{
    const char *x = c->args[0].sql, *plain;
    struct java_ends e;

    TRY(check_pattern(c, &c->args[1]));
    plain = gen_printf(c->g, "regexp_matches(%s, %s)", x, with_ends(c, "$", &e));
    if (e.any) /* the plain pattern is the faster one, and does for texts that do not end in a line break */
        plain = gen_printf(
            c->g,
            "(%s OR ((suffix(%s, chr(10)) OR suffix(%s, chr(13)) OR suffix(%s, chr(133)) OR suffix(%s, "
            "chr(8232)) OR suffix(%s, chr(8233))) AND regexp_matches(%s, %s)))",
            plain, x, x, x, x, x, x, pattern_of(c));
    return special_done(c, out, dtype_of(DTYPE_BOOLEAN), plain);
}

static enum lc regexp_count(struct call *c, struct sx *out)
{
    TRY(check_pattern(c, &c->args[1]));
    return special_done(
        c, out, dtype_of(DTYPE_INT),
        gen_printf(c->g, "CAST(len(regexp_extract_all(%s, %s)) AS INTEGER)", c->args[0].sql, pattern_of(c)));
}

static enum lc regexp_substr(struct call *c, struct sx *out)
{
    int64_t group = 0;
    const char *pattern = group_pattern(c, &group);

    TRY(check_pattern(c, &c->args[1]));
    TRY(special_done(
        c, out, string(),
        gen_printf(c->g, "nullif(regexp_extract(%s, %s, %" PRId64 "), '')", c->args[0].sql, pattern, group)));
    out->nullable = true;
    return LC_OK;
}

/* The first match is replaced by a character that no text has. */
static enum lc regexp_instr(struct call *c, struct sx *out)
{
    TRY(check_pattern(c, &c->args[1]));
    return special_done(
        c, out, dtype_of(DTYPE_INT),
        gen_printf(c->g, "CAST(instr(regexp_replace(%s, %s, '\xEF\xB7\x90'), '\xEF\xB7\x90') AS INTEGER)",
                   c->args[0].sql, pattern_of(c)));
}

static enum lc regexp_extract(struct call *c, struct sx *out)
{
    return extract_with(c, out, "regexp_extract", string());
}

static enum lc regexp_extract_all(struct call *c, struct sx *out)
{
    return extract_with(c, out, "regexp_extract_all",
                        gen_type(c->g, dtype_array(dtype_of(DTYPE_STRING), true)));
}

/* ---- others ---- */
static enum lc sha2(struct call *c, struct sx *out)
{
    static const struct {
        int64_t bits;
        const char *function;
    } lengths[] = {
        {0, "sha256"}, {224, "lacus_sha224"}, {256, "sha256"}, {384, "lacus_sha384"}, {512, "lacus_sha512"}};
    const char *x = c->args[0].sql, *bits = c->args[1].sql;
    struct buf b = BUF_INIT((size_t)1 << 20);

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        buf_printf(&b, " WHEN %lld THEN %s(%s)", (long long)lengths[i].bits, lengths[i].function, x);
    return special_done(c, out, string(), gen_printf(c->g, "(CASE %s%s END)", bits, gen_take(c->g, &b)));
}

static enum lc format_number(struct call *c, struct sx *out)
{
    int64_t digits;

    if (!special_int(&c->args[1], &digits) || digits < 0 || digits > 100)
        return special_unsupported(c, "a number of decimals that is not a literal");
    return special_done(
        c, out, string(),
        gen_printf(c->g, "format('{:,.%" PRId64 "f}', CAST(%s AS DOUBLE))", digits, c->args[0].sql));
}

static enum lc elt(struct call *c, struct sx *out)
{
    TRY(sx_coerce(c->g, &c->args[0], dtype_of(DTYPE_INT), c->e));
    TRY(as_strings(c, 1));
    TRY(special_done(c, out, string(),
                     gen_printf(c->g, "list_extract([%s], %s)", joined(c, 1, ", "), c->args[0].sql)));
    out->nullable = true;
    return LC_OK;
}

/* UTF8_BINARY is what all texts have; the others order and compare in other ways, which DuckDB does not know by Spark's names. */
static enum lc collate(struct call *c, struct sx *out)
{
    static const char *const known[] = {"UTF8_BINARY", "UTF8_LCASE", "UNICODE",
                                        "UNICODE_CI",  "UNICODE_AI", "UNICODE_CI_AI"};
    const char *name = special_text(&c->args[1]), *dot = name ? strrchr(name, '.') : NULL;

    if (!name)
        return special_unsupported(c, "a collation that is not a literal");
    name = dot ? dot + 1 : name;
    if (strcasecmp(name, known[0]) == 0) {
        out->name = gen_printf(c->g, "collate(%s, %s)", c->args[0].name, c->args[1].name);
        return special_done(c, out, string(), c->args[0].sql);
    }
    for (size_t i = 1; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(name, known[i]) == 0) {
            special_unsupported(c, "a collation other than UTF8_BINARY");
            return err_hint(c->g->err, "compare lower(a) with lower(b), or order by lower(a)");
        }
    return gen_fail(
        c->g, c->e, LC_ENGINE,
        "[COLLATION_INVALID_NAME] The value %s does not represent a correct collation name. Suggested valid "
        "collation names: [UTF8_BINARY]. SQLSTATE: 42704",
        name);
}

static enum lc pretty(struct call *c, struct sx *out)
{
    const struct sx *x = &c->args[0];

    return special_done(c, out, dtype_of(DTYPE_STRING),
                        x->type->id == DTYPE_STRING ? x->sql : sx_pretty(c->g, x));
}

/* DuckDB makes prefixes and the like of patterns that have no escapes, and only where none is named. */
static enum lc like(struct call *c, struct sx *out)
{
    const char *pattern = special_text(&c->args[1]), *word = c->f->name[0] == 'i' ? "ILIKE" : "LIKE";
    bool plain = pattern && !strchr(pattern, '\\');

    return special_done(c, out, dtype_of(DTYPE_BOOLEAN),
                        gen_printf(c->g, plain ? "(%s %s %s)" : "(%s %s %s ESCAPE '\\')", c->args[0].sql,
                                   word, c->args[1].sql));
}

const struct special special_texts[] = {
    {"like", like},
    {"pretty", pretty},
    {"concat", concat},
    {"pad", pad},
    {"concat_ws", concat_ws},
    {"substring", substring},
    {"length", length},
    {"collate", collate},
    {"reverse", reverse},
    {"base64", base64},
    {"split", split},
    {"rlike", matches},
    {"regexp_count", regexp_count},
    {"regexp_substr", regexp_substr},
    {"regexp_instr", regexp_instr},
    {"regexp_replace", regexp_replace},
    {"regexp_extract", regexp_extract},
    {"regexp_extract_all", regexp_extract_all},
    {"sha2", sha2},
    {"format_number", format_number},
    {"elt", elt},
    {0},
};

/* special_options.c: the map('mode', 'FAILFAST', …) of functions that read and write CSV and JSON. What there is and would change an answer
 * is used or refused by name; what no format knows is nothing to Spark. */
#include "runtime/dataframe/options.h"
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <stddef.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    unsigned bit;
} known_options[] = {{"sep", OPTION_SEP},
                     {"delimiter", OPTION_SEP},
                     {"mode", OPTION_MODE},
                     {"dateFormat", OPTION_TIMES},
                     {"timestampFormat", OPTION_TIMES},
                     {"timestampNTZFormat", OPTION_TIMES},
                     {"columnNameOfCorruptRecord", OPTION_CORRUPT},
                     {"ignoreNullFields", OPTION_NULLS}};

static enum lc set_mode(struct call *c, const char *value, struct text_options *o)
{
    if (strcasecmp(value, "DROPMALFORMED") == 0)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[PARSE_MODE_UNSUPPORTED] The function `%s` doesn't support the DROPMALFORMED mode. Acceptable "
            "modes are PERMISSIVE and FAILFAST. SQLSTATE: 42601",
            c->f->name);
    o->fail = strcasecmp(value, "FAILFAST") == 0;
    if (o->fail || strcasecmp(value, "PERMISSIVE") == 0)
        return LC_OK;
    gen_fail(c->g, c->e, LC_ARG, "the option 'mode' of %s cannot be '%.60s'", c->f->name, value);
    return err_hint(c->g->err, "it is PERMISSIVE or FAILFAST");
}

static enum lc set_nulls(struct call *c, const char *value, struct text_options *o)
{
    o->nulls = strcasecmp(value, "false") == 0;
    return o->nulls || strcasecmp(value, "true") == 0
               ? LC_OK
               : gen_fail(c->g, c->e, LC_ARG, "the option 'ignoreNullFields' is true or false, not '%.60s'",
                          value);
}

static enum lc set_one(struct call *c, const char *name, const char *value, struct text_options *o)
{
    if (strcasecmp(name, "mode") == 0)
        return set_mode(c, value, o);
    if (strcasecmp(name, "ignoreNullFields") == 0)
        return set_nulls(c, value, o);
    if (strcasecmp(name, "dateFormat") == 0)
        o->date = value;
    else if (strcasecmp(name, "timestampFormat") == 0)
        o->timestamp = value;
    else if (strcasecmp(name, "timestampNTZFormat") == 0)
        o->timestamp_ntz = value;
    else if (strcasecmp(name, "columnNameOfCorruptRecord") == 0)
        o->corrupt = value;
    else
        o->sep = value;
    return LC_OK;
}

static bool is_option(const char *format, const char *name)
{
    for (int use = SOURCE_READ; use <= SOURCE_WRITE; use++)
        for (size_t i = 0; source_option_name(format, (enum source_use)use, i); i++)
            if (strcasecmp(source_option_name(format, (enum source_use)use, i), name) == 0)
                return true;
    return false;
}

static enum lc add_option(struct call *c, const char *format, unsigned taken, const char *name,
                          const char *value, struct text_options *o)
{
    /* options of Spark's that no reader here has, and that change what is written or read */
    static const char *const others[] = {"pretty", "primitivesAsString", "prefersDecimal",
                                         "writeNonAsciiCharacterAsCodePoint"};
    bool other = is_option(format, name);

    for (size_t i = 0; i < sizeof known_options / sizeof *known_options; i++)
        if (strcasecmp(known_options[i].name, name) == 0 && known_options[i].bit & taken)
            return set_one(c, name, value, o);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        other = other || strcasecmp(others[i], name) == 0;
    return other ? special_unsupported(c, gen_printf(c->g, "the option '%s'", name)) : LC_OK;
}

/* Patterns that are none are said before there are rows. */
static enum lc check_patterns(struct call *c, const struct text_options *o, bool reading)
{
    const char *const patterns[] = {o->date, o->timestamp, o->timestamp_ntz};
    struct time_pattern p;
    struct err err;

    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (patterns[i] && sql_time_pattern(patterns[i], reading, &p, &err) != LC_OK)
            return gen_fail(c->g, c->e, err.code, "%s", err.message);
    return LC_OK;
}

enum lc special_options(struct call *c, size_t arg, const char *format, unsigned taken,
                        struct text_options *o)
{
    const struct expr *e = arg < c->n ? c->e->args[arg] : NULL;

    *o = (struct text_options){.sep = ",", .corrupt = "_corrupt_record"};
    if (!e)
        return LC_OK;
    if (e->kind != EXPR_CALL || strcmp(e->u.call.name, "map") != 0)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[INVALID_OPTIONS.NON_MAP_FUNCTION] Invalid options: Must use the `map()` function for options. "
            "SQLSTATE: 42K06");
    if (c->args[arg].type->id != DTYPE_MAP || c->args[arg].type->key->id != DTYPE_STRING ||
        c->args[arg].type->element->id != DTYPE_STRING)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[INVALID_OPTIONS.NON_STRING_TYPE] Invalid options: A type of keys and values in `map()` must be "
            "string, but got \"%s\". SQLSTATE: 42K06",
            gen_type_words(c->g, c->args[arg].type));
    for (size_t i = 0; i + 1 < e->n; i += 2) {
        struct sx key = {.from = e->args[i]}, value = {.from = e->args[i + 1]};

        if (!special_text(&key) || !special_text(&value))
            return special_unsupported(c, "an option that is not a literal");
        TRY(add_option(c, format, taken, special_text(&key), special_text(&value), o));
    }
    return check_patterns(c, o, taken & OPTION_MODE); /* only what reads has a mode */
}

static const char *pattern_of(const struct text_options *o, const struct dtype *t)
{
    return t->id == DTYPE_DATE            ? o->date
           : t->id == DTYPE_TIMESTAMP     ? o->timestamp
           : t->id == DTYPE_TIMESTAMP_NTZ ? o->timestamp_ntz
                                          : NULL;
}

enum lc options_parse(struct call *c, const struct text_options *o, const struct dtype *t, const char *text,
                      const char **out)
{
    const char *pattern = pattern_of(o, t);
    struct buf b = BUF_INIT((size_t)16 << 20);
    struct err err;

    *out = NULL;
    if (!pattern)
        return LC_OK;
    if (sql_time_column(&b, text, pattern, t, &err) != LC_OK)
        return buf_release(&b), gen_fail(c->g, c->e, err.code, "%s", err.message);
    *out = gen_take(c->g, &b);
    return *out ? LC_OK : err_nomem(c->g->err);
}

enum lc options_format(struct call *c, const struct text_options *o, const struct dtype *t, const char *x,
                       const char **out)
{
    const char *pattern = o ? pattern_of(o, t) : NULL;

    *out = NULL;
    return pattern ? sql_time_text(c, x, pattern, out) : LC_OK;
}

const char *options_malformed(struct call *c, const char *record)
{
    return gen_printf(
        c->g,
        "error('[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records are detected in record "
        "parsing: ' || %s || '. Parse Mode: FAILFAST. To process malformed records as null result, try "
        "setting the option ''mode'' as ''PERMISSIVE''. SQLSTATE: 22023')",
        record);
}

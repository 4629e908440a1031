/* Literals: numbers with suffixes, strings, dates, times, intervals, binaries, parameters; and types. */
#include "runtime/base/civil.h"
#include "runtime/base/mem.h"
#include "runtime/sql/parser.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- numbers ---- */
static struct expr *whole(struct parser *p, const struct token *t, const char *digits)
{
    static const struct {
        char suffix;
        enum dtype_id id;
        int64_t min, max;
        const char *name;
    } kinds[] = {
        {'L', DTYPE_LONG, INT64_MIN, INT64_MAX, "BIGINT"},
        {'S', DTYPE_SHORT, INT16_MIN, INT16_MAX, "SMALLINT"},
        {'Y', DTYPE_BYTE, INT8_MIN, INT8_MAX, "TINYINT"},
    };
    int64_t v;

    errno = 0;
    v = strtoll(digits, NULL, 10);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (t->suffix == kinds[i].suffix) {
            if (errno == 0 && v >= kinds[i].min && v <= kinds[i].max)
                return expr_typed_int(kinds[i].id, v);
            fail_at(p, t, "the number %s is outside the range of %s", digits, kinds[i].name);
            return NULL;
        }
    return errno == 0 ? expr_int(v) : expr_decimal(digits);
}

static struct expr *real(struct parser *p, const struct token *t, const char *digits)
{
    double v = strtod(digits, NULL);

    if (isinf(v)) {
        fail_at(p, t, "the number %s is outside the range of DOUBLE", digits);
        return NULL;
    }
    if (t->suffix == 'F')
        return expr_quiet_cast(expr_double(v), dtype_of(DTYPE_FLOAT));
    return expr_double(v);
}

static struct expr *decimal(struct parser *p, const struct token *t, const char *digits)
{
    char plain[128];
    struct expr *e;
    size_t n = strlen(digits);

    /* "5." and ".5" are numbers in Spark, and -.5 has its sign before the point */
    if (n + 3 < sizeof plain) {
        const char *d = digits + (*digits == '-');
        snprintf(plain, sizeof plain, "%s%s%.*s", *digits == '-' ? "-" : "", *d == '.' ? "0" : "",
                 (int)(strlen(d) - (digits[n - 1] == '.')), d);
        digits = plain;
    }
    e = expr_decimal(digits);
    if (!e)
        fail_at(p, t, "the number %.60s does not fit in a DECIMAL", digits);
    return e;
}

struct expr *parse_number(struct parser *p, bool negative)
{
    const struct token *t = peek_token(p, 0);
    const char *digits = negative ? arena_printf(p->arena, "-%s", t->text) : t->text;

    p->at++;
    if (!digits) {
        fail_memory(p);
        return NULL;
    }
    if (t->kind == TOKEN_INTEGER)
        return whole(p, t, digits);
    return t->kind == TOKEN_DOUBLE ? real(p, t, digits) : decimal(p, t, digits);
}

/* ---- strings ---- */
/* 'a' 'b' is one string, as in Spark. */
static struct expr *string(struct parser *p)
{
    struct buf all = BUF_INIT(SQL_TEXT_MAX);
    struct expr *e = NULL;

    while (peek_token(p, 0)->kind == TOKEN_STRING) {
        buf_add(&all, peek_token(p, 0)->text, peek_token(p, 0)->len);
        p->at++;
    }
    if (buf_ok(&all))
        e = expr_string(buf_str(&all), all.len);
    buf_release(&all);
    return e;
}

/* ---- dates and times ---- */
static struct expr *date(struct parser *p, const struct token *t, const char *text)
{
    int y, m = 1, d = 1, n = 0;

    if ((sscanf(text, "%4d-%2d-%2d%n", &y, &m, &d, &n) == 3 || sscanf(text, "%4d-%2d%n", &y, &m, &n) == 2 ||
         sscanf(text, "%4d%n", &y, &n) == 1) &&
        text[n] == '\0' && civil_valid(y, m, d))
        return expr_temporal(DTYPE_DATE, civil_days(y, m, d));
    fail_at(p, t,
            "[INVALID_TYPED_LITERAL] The value of the typed literal \"DATE\" is invalid: '%.60s', which is "
            "not a DATE. "
            "SQLSTATE: 42604",
            text);
    return NULL;
}

static struct expr *typed_string(struct parser *p)
{
    const struct token *word = peek_token(p, 0), *text = peek_token(p, 1);
    bool plain = strcasecmp(word->text, "TIMESTAMP_NTZ") == 0;

    p->at += 2;
    if (strcasecmp(word->text, "DATE") == 0)
        return date(p, text, text->text);
    if (strcasecmp(word->text, "TIME") == 0)
        return expr_typed_string(text->text, text->len, dtype_of(DTYPE_TIME));
    /* without a zone the session's one counts, which the engine knows */
    return expr_typed_string(text->text, text->len, dtype_of(plain ? DTYPE_TIMESTAMP_NTZ : DTYPE_TIMESTAMP));
}

static bool at_typed_string(const struct parser *p)
{
    static const char *const words[] = {"DATE", "TIMESTAMP", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIME"};

    if (peek_token(p, 0)->kind != TOKEN_WORD || peek_token(p, 1)->kind != TOKEN_STRING)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (at_word(p, 0, words[i]))
            return true;
    return false;
}

/* ---- intervals ---- */
struct span {
    int64_t months, days, micros;
    unsigned used; /* bits: the fields of its type, years 0, months 1, days 2 … seconds 5 */
};

static const struct {
    const char *name;
    int64_t months, days, micros;
    unsigned field;
} units[] = {
    {"YEAR", 12, 0, 0, 1},         {"MONTH", 1, 0, 0, 2},           {"WEEK", 0, 7, 0, 4},
    {"DAY", 0, 1, 0, 4},           {"HOUR", 0, 0, 3600000000, 8},   {"MINUTE", 0, 0, 60000000, 16},
    {"SECOND", 0, 0, 1000000, 32}, {"MILLISECOND", 0, 0, 1000, 32}, {"MICROSECOND", 0, 0, 1, 32},
};
enum { N_UNITS = sizeof units / sizeof *units };

static int unit_of(const char *word)
{
    size_t n = strlen(word);

    for (int i = 0; i < N_UNITS; i++) {
        size_t u = strlen(units[i].name);
        if (strncasecmp(word, units[i].name, u) == 0 &&
            (n == u || (n == u + 1 && (word[u] == 's' || word[u] == 'S'))))
            return i;
    }
    return -1;
}

/* "2", "-1", "1.5" of a unit; a fraction only of seconds. */
static bool add_amount(struct span *s, const char *text, int unit)
{
    char *end;
    long double v = strtold(text, &end);
    long double micros;

    if (end == text || *end || isnan((double)v) || fabsl(v) > 1e15L)
        return false;
    if (v != floorl(v) && units[unit].micros != 1000000)
        return false;
    s->used |= units[unit].field;
    micros = v * (long double)units[unit].micros;
    if (fabsl(micros) > 9e18L)
        return false;
    return !__builtin_add_overflow(s->months, (int64_t)v * units[unit].months, &s->months) &&
           !__builtin_add_overflow(s->days, (int64_t)v * units[unit].days, &s->days) &&
           !__builtin_add_overflow(s->micros, (int64_t)roundl(micros), &s->micros);
}

/* '1-2' YEAR TO MONTH, '1 02:03:04.5' DAY TO SECOND and what lies between. */
static bool add_compound(struct span *s, const char *text, int from, int to)
{
    bool negative = *text == '-';
    char parts[4][32];
    int n = 0, unit;

    text += negative || *text == '+';
    while (*text && n < 4) {
        size_t len = strspn(text, "0123456789.");
        if (len == 0 || len >= sizeof parts[0] - 1)
            return false;
        snprintf(parts[n++], sizeof parts[0], "%s%.*s", negative ? "-" : "", (int)len, text);
        text += len;
        text += *text && strchr("-: T", *text);
    }
    unit = from;
    for (int i = 0; i < n; i++) {
        if (unit > to || !add_amount(s, parts[i], unit))
            return false;
        unit += unit == 1 ? 2 : 1; /* the table is in the order in which they follow each other */
    }
    return *text == '\0' && n > 1;
}

/* '1 day 2 hours' */
static bool add_text(struct span *s, const char *text)
{
    char amount[32], unit[32];
    int n, read = 0;

    if (strncasecmp(text, "interval ", 9) == 0)
        text += 9;
    for (; sscanf(text, " %31[-+0-9.] %31[a-zA-Z]%n", amount, unit, &n) == 2; text += n) {
        if (unit_of(unit) < 0 || !add_amount(s, amount, unit_of(unit)))
            return false;
        read++;
    }
    while (*text == ' ')
        text++;
    return read > 0 && *text == '\0';
}

/* INTERVAL may be a column: a text, or a number and a unit, make it a literal. */
bool at_interval(const struct parser *p)
{
    size_t i = at_sign(p, 1, "-") || at_sign(p, 1, "+") ? 2 : 1;
    enum token_kind kind = peek_token(p, i)->kind;

    if (!at_word(p, 0, "INTERVAL"))
        return false;
    if (kind == TOKEN_STRING)
        return true;
    return (kind == TOKEN_INTEGER || kind == TOKEN_DECIMAL) && peek_token(p, i + 1)->kind == TOKEN_WORD &&
           unit_of(peek_token(p, i + 1)->text) >= 0;
}

/* One amount and its unit; *inside: the text had its units in itself. */
static bool interval_part(struct parser *p, struct span *s, bool *inside)
{
    bool negative = accept_sign(p, "-");
    const struct token *t, *word;
    const char *text;
    int unit, to;

    if (!negative)
        accept_sign(p, "+");
    t = peek_token(p, 0);
    word = peek_token(p, 1);
    unit = word->kind == TOKEN_WORD ? unit_of(word->text) : -1;
    text = negative ? arena_printf(p->arena, "-%s", t->text) : t->text;
    if (!text)
        return fail_memory(p);
    if (unit < 0) {
        *inside = true;
        p->at++;
        return (t->kind == TOKEN_STRING && add_text(s, text)) ||
               fail_at(p, t, "'%.60s' is not an INTERVAL: a number and a unit (YEAR, MONTH, DAY, HOUR …) are",
                       text);
    }
    p->at += 2;
    if (at_word(p, 0, "TO") && (to = unit_of(peek_token(p, 1)->text)) >= 0) {
        p->at += 2;
        return add_compound(s, text, unit, to) ||
               fail_at(p, t, "'%.60s' is not an INTERVAL %s TO %s", text, units[unit].name, units[to].name);
    }
    return add_amount(s, text, unit) ||
           fail_at(p, t, "'%.60s' is not a number of %sS", text, units[unit].name);
}

/* The narrowest type with the fields that were used; months and days together are Spark's old interval. */
static const struct dtype *span_type(const struct span *s)
{
    int from = 0, to = 5;

    while (from < 5 && !(s->used & 1u << from))
        from++;
    while (to > from && !(s->used & 1u << to))
        to--;
    if (from < 2 && to >= 2)
        return dtype_of(DTYPE_INTERVAL);
    return from < 2 ? dtype_interval(INTERVAL_YEAR_MONTH, from, to)
                    : dtype_interval(INTERVAL_DAY_TIME, from - 2, to - 2);
}

struct expr *parse_interval(struct parser *p)
{
    struct span s = {0};
    bool inside = false;

    p->at++;
    do {
        if (!interval_part(p, &s, &inside))
            return NULL;
    } while (!inside && p->failed == LC_OK &&
             (peek_token(p, 0)->kind == TOKEN_INTEGER || peek_token(p, 0)->kind == TOKEN_DECIMAL ||
              peek_token(p, 0)->kind == TOKEN_STRING) &&
             peek_token(p, 1)->kind == TOKEN_WORD && unit_of(peek_token(p, 1)->text) >= 0);
    return expr_interval_of(span_type(&s), s.months, s.days, s.micros);
}

/* ---- parameters ---- */
static struct expr *parameter(struct parser *p)
{
    const struct token *t = peek_token(p, 0);
    const char *named = NULL;
    size_t position = 0;

    p->at++;
    for (size_t i = 0; i < p->n_parameters; i++) {
        const struct sql_parameter *given = &p->parameters[i];
        if (t->kind == TOKEN_PARAMETER ? given->name && strcmp(given->name, t->text) == 0
                                       : !given->name && position++ == p->next_parameter) {
            p->next_parameter += t->kind != TOKEN_PARAMETER;
            return expr_ref(given->value);
        }
        named = given->name ? given->name : named;
    }
    if (t->kind == TOKEN_PARAMETER)
        fail_at(p, t, "[UNBOUND_SQL_PARAMETER] there is no value for the parameter ':%s'", t->text);
    else
        fail_at(p, t, "[UNBOUND_SQL_PARAMETER] there is no value for this '?'");
    if (named)
        err_hint(p->err, "there is one for ':%s'", named);
    return NULL;
}

struct expr *parse_literal(struct parser *p)
{
    const struct token *t = peek_token(p, 0);

    switch (t->kind) {
    case TOKEN_INTEGER:
    case TOKEN_DECIMAL:
    case TOKEN_DOUBLE:
        return parse_number(p, false);
    case TOKEN_STRING:
        return string(p);
    case TOKEN_BINARY:
        p->at++;
        return expr_binary_literal(t->text, t->len);
    case TOKEN_PARAMETER:
        return parameter(p);
    default:
        break;
    }
    if (at_sign(p, 0, "?"))
        return parameter(p);
    if (at_typed_string(p))
        return typed_string(p);
    if (accept_word(p, "NULL"))
        return expr_null();
    if (at_word(p, 0, "TRUE") || at_word(p, 0, "FALSE")) {
        p->at++;
        return expr_bool(strcasecmp(t->text, "TRUE") == 0);
    }
    return NULL;
}

/* ---- types ---- */
/* Moves over a type's tokens: a name with (…) or <…> behind it. */
static bool skip_type(struct parser *p)
{
    int depth = 0;

    if (!at_name(p, 0))
        return fail_here(p, "a type");
    if (accept_word(p, "INTERVAL")) {
        static const char *const fields[] = {"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"};
        bool field = false;

        for (size_t i = 0; i < 6; i++)
            field = field || at_word(p, 0, fields[i]);
        p->at += field;
        if (field && accept_word(p, "TO"))
            p->at++;
        return true;
    }
    p->at++;
    if (at_sign(p, 0, "<>")) {
        p->at++;
        return true;
    }
    if (!at_sign(p, 0, "(") && !at_sign(p, 0, "<"))
        return true;
    do {
        const struct token *t = peek_token(p, 0);
        if (t->kind == TOKEN_END || depth > PARSER_DEPTH)
            return fail_here(p, depth > PARSER_DEPTH ? "a simpler type" : "the end of the type");
        depth += at_sign(p, 0, "(") || at_sign(p, 0, "<");
        depth -= at_sign(p, 0, ")") || at_sign(p, 0, ">");
        p->at++;
    } while (depth > 0);
    return true;
}

const struct dtype *parse_type(struct parser *p)
{
    const struct token *t = peek_token(p, 0);
    const struct dtype *type = NULL;
    struct err err;
    enum lc rc;
    char *text;

    if (p->failed != LC_OK || !skip_type(p))
        return NULL;
    text = arena_strndup(p->arena, p->text + t->start, p->tokens[p->at - 1].end - t->start);
    if (!text)
        fail_memory(p);
    else if ((rc = dtype_parse(text, &type, &err)) == LC_NOMEM)
        fail_memory(p);
    else if (rc != LC_OK)
        fail_at(p, t, "[UNSUPPORTED_DATATYPE] '%.60s' is not a type: %.200s", text, err.message);
    return type;
}

#include "runtime/tracking/filter.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum token_kind { T_END, T_WORD, T_QUOTED_NAME, T_STRING, T_NUMBER, T_OP, T_PUNCT };

struct token {
    enum token_kind kind;
    const char *at; /* in the text */
    size_t len;
    char *text; /* owned by the filter; unquoted */
};

struct parser {
    const char *text, *at;
    const struct filter_field *fields;
    struct filter *out;
    struct err *err;
    struct token now;
};

void filter_init(struct filter *f)
{
    memset(f, 0, sizeof *f);
    buf_init(&f->sql, FILTER_TEXT_MAX * 4);
}

void filter_release(struct filter *f)
{
    for (size_t i = 0; i < f->n_texts; i++)
        mem_free(f->texts[i]);
    f->n_texts = f->n_values = 0;
    buf_release(&f->sql);
}

static enum lc wrong(struct parser *p, const struct token *t, const char *what)
{
    if (t->kind == T_END)
        err_set(p->err, LC_ARG, "cannot read the search text '%.200s': %s at its end", p->text, what);
    else
        err_set(p->err, LC_ARG, "cannot read the search text '%.200s': %s at '%.*s'", p->text, what,
                (int)(t->len > 60 ? 60 : t->len), t->at);
    return err_at(p->err, t->at - p->text);
}

/* ---- tokens ------------------------------------------------------------------------------------------ */

static enum lc keep_text(struct parser *p, const char *s, size_t n, char **out)
{
    if (p->out->n_texts == FILTER_MAX * 2)
        return err_set(p->err, LC_LIMIT, "the search text has too many parts");
    *out = mem_strndup(s, n);
    if (!*out)
        return err_nomem(p->err);
    p->out->texts[p->out->n_texts++] = *out;
    return LC_OK;
}

/* Doubling a quote inside it, or a backslash before it, means the quote itself. */
static enum lc quoted(struct parser *p, char quote)
{
    struct token *t = &p->now;
    const char *s = p->at + 1;
    char *to;

    for (; *s && (*s != quote || s[1] == quote); s++)
        if (*s == quote || (*s == '\\' && s[1] == quote))
            s++;
    t->len = (size_t)(s - p->at);
    if (!*s)
        return wrong(p, t, "a quote is not closed");
    t->len++;
    TRY(keep_text(p, p->at + 1, t->len - 2, &t->text));
    to = t->text;
    for (const char *from = t->text; *from; from++) {
        if ((*from == quote || *from == '\\') && from[1] == quote)
            from++;
        *to++ = *from;
    }
    *to = '\0';
    p->at += t->len;
    return LC_OK;
}

static bool word_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '/' || c == '.' ||
           (unsigned char)c >= 0x80;
}

static bool starts_number(const char *s)
{
    if (*s == '-' || *s == '+')
        s++;
    return isdigit((unsigned char)*s) || (*s == '.' && isdigit((unsigned char)s[1]));
}

static enum lc next(struct parser *p)
{
    static const char *const ops[] = {"!=", "<>", "<=", ">=", "==", "<", ">", "="};
    struct token *t = &p->now;
    char *end;

    while (isspace((unsigned char)*p->at))
        p->at++;
    *t = (struct token){.kind = T_END, .at = p->at};
    if (!*p->at)
        return LC_OK;
    if (*p->at == '\'' || *p->at == '"' || *p->at == '`') {
        t->kind = *p->at == '\'' ? T_STRING : T_QUOTED_NAME;
        return quoted(p, *p->at);
    }
    for (size_t i = 0; i < sizeof ops / sizeof *ops && t->kind == T_END; i++)
        if (strncmp(p->at, ops[i], strlen(ops[i])) == 0) {
            t->kind = T_OP;
            t->len = strlen(ops[i]);
        }
    if (t->kind == T_END && starts_number(p->at)) {
        t->kind = T_NUMBER;
        strtod(p->at, &end);
        t->len = (size_t)(end - p->at);
    } else if (t->kind == T_END && word_byte(*p->at)) {
        t->kind = T_WORD;
        while (word_byte(p->at[t->len]))
            t->len++;
    } else if (t->kind == T_END) {
        t->kind = T_PUNCT;
        t->len = 1;
    }
    TRY(keep_text(p, p->at, t->len, &t->text));
    p->at += t->len;
    return LC_OK;
}

static bool is_word(const struct token *t, const char *word)
{
    return (t->kind == T_WORD || t->kind == T_OP || t->kind == T_PUNCT) && strcasecmp(t->text, word) == 0;
}

/* ---- fields ------------------------------------------------------------------------------------------ */

static bool in_group(const char *group, const char *name, size_t len)
{
    if (*group == '?')
        group++;
    for (;;) {
        size_t n = strcspn(group, "|");
        if (n == len && strncasecmp(group, name, len) == 0)
            return true;
        if (!group[n])
            return false;
        group += n + 1;
    }
}

static bool may_stand_alone(const struct filter_field *f)
{
    return f->name && (!f->group || *f->group == '?');
}

/* group NULL: a bare name */
static const struct filter_field *find_field(const struct parser *p, const char *group, size_t len,
                                             const char *key)
{
    for (const struct filter_field *f = p->fields; f->sql; f++) {
        bool fits = group ? f->group && in_group(f->group, group, len) : may_stand_alone(f);
        if (fits && (!f->name || in_group(f->name, key, strlen(key))))
            return f;
    }
    return NULL;
}

static enum lc no_field(struct parser *p, const struct token *t, const char *whole)
{
    const char *names[64];
    size_t n = 0;
    struct buf near = BUF_INIT(300), list = BUF_INIT(300);
    char *made[64];

    for (const struct filter_field *f = p->fields; f->sql && n < 64; f++) {
        const char *group = f->group ? f->group + (*f->group == '?') : "";
        char *name = f->name ? mem_strndup(f->name, strcspn(f->name, "|"))
                             : mem_printf("%.*s.KEY", (int)strcspn(group, "|"), group);
        if (!name)
            break;
        buf_printf(&list, "%s%s", n ? ", " : "", name);
        made[n] = name;
        names[n++] = name;
    }
    nearest_list(&near, whole, names, n, 2);
    wrong(p, t, "no such field");
    if (near.len)
        err_hint(p->err, "did you mean %s?", buf_str(&near));
    else
        err_hint(p->err, "there are %s", buf_str(&list));
    for (size_t i = 0; i < n; i++)
        mem_free(made[i]);
    buf_release(&near);
    buf_release(&list);
    return LC_ARG;
}

/* metrics.loss, metrics."a b", `status`. *key: borrowed from the filter. */
static enum lc parse_field(struct parser *p, const struct filter_field **field, const char **key)
{
    struct token first = p->now;
    char *dot = first.kind == T_WORD ? strchr(first.text, '.') : NULL;

    if (first.kind != T_WORD && first.kind != T_QUOTED_NAME)
        return wrong(p, &first, "a field is expected");
    *key = first.text;
    if (!dot || dot[1])
        TRY(next(p));
    if (dot && !dot[1]) { /* the key follows in quotes */
        TRY(next(p));
        if (p->now.kind != T_QUOTED_NAME)
            return wrong(p, &p->now, "a name is expected after the period");
        *key = p->now.text;
        *field = find_field(p, first.text, (size_t)(dot - first.text), *key);
        if (*field)
            return next(p);
    } else if (dot) {
        *key = dot + 1;
        *field = find_field(p, first.text, (size_t)(dot - first.text), *key);
    } else {
        *field = find_field(p, NULL, 0, first.text);
    }
    return *field ? LC_OK : no_field(p, &first, first.text);
}

/* ---- comparisons ------------------------------------------------------------------------------------- */

static enum lc add_value(struct parser *p, struct workspace_value v)
{
    if (p->out->n_values == FILTER_MAX * 2)
        return err_set(p->err, LC_LIMIT, "the search text has too many comparisons");
    p->out->values[p->out->n_values++] = v;
    return LC_OK;
}

/* LIKE of MLflow tells upper from lower case; SQLite's GLOB does, with other wildcards. */
static enum lc like_to_glob(struct parser *p, const char *pattern, const char **out)
{
    struct buf b = BUF_INIT(FILTER_TEXT_MAX * 4);
    char *text;
    enum lc rc;

    buf_puts(&b, "");
    for (; *pattern; pattern++) {
        if (*pattern == '%' || *pattern == '_')
            buf_putc(&b, *pattern == '%' ? '*' : '?');
        else if (strchr("*?[", *pattern))
            buf_printf(&b, "[%c]", *pattern);
        else
            buf_putc(&b, *pattern);
    }
    rc = buf_check(&b, p->err);
    if (rc == LC_OK)
        rc = keep_text(p, b.data, b.len, &text);
    if (rc == LC_OK)
        *out = text;
    buf_release(&b);
    return rc;
}

static enum lc parse_value(struct parser *p, const struct filter_field *f)
{
    struct token t = p->now;
    struct workspace_value v = {.type = f->type == FILTER_NUMBER ? 'd' : 't', .text = t.text};

    if (f->type == FILTER_NUMBER && t.kind != T_NUMBER)
        return wrong(p, &t, "a number is expected");
    if (f->type == FILTER_TEXT && t.kind != T_STRING && t.kind != T_QUOTED_NAME)
        return wrong(p, &t, "a text in quotes is expected");
    if (f->type == FILTER_NUMBER)
        v.real = strtod(t.text, NULL);
    TRY(add_value(p, v));
    return next(p);
}

static enum lc parse_list(struct parser *p, const struct filter_field *f, struct buf *sql)
{
    if (!is_word(&p->now, "("))
        return wrong(p, &p->now, "( is expected");
    buf_putc(sql, '(');
    do {
        TRY(next(p));
        buf_puts(sql, sql->data[sql->len - 1] == '(' ? "?" : ", ?");
        TRY(parse_value(p, f));
    } while (is_word(&p->now, ","));
    if (!is_word(&p->now, ")"))
        return wrong(p, &p->now, ") is expected");
    buf_putc(sql, ')');
    return next(p);
}

static enum lc parse_like(struct parser *p, const struct filter_field *f, bool ignore_case, struct buf *sql)
{
    if (f->type != FILTER_TEXT)
        return wrong(p, &p->now, "numbers have no LIKE");
    TRY(next(p));
    TRY(parse_value(p, f));
    buf_puts(sql, ignore_case ? "LIKE ?" : "GLOB ?");
    if (!ignore_case) {
        struct workspace_value *v = &p->out->values[p->out->n_values - 1];
        TRY(like_to_glob(p, v->text, &v->text));
    }
    return LC_OK;
}

static enum lc parse_is(struct parser *p, struct buf *sql)
{
    bool negated;

    TRY(next(p));
    negated = is_word(&p->now, "not");
    if (negated)
        TRY(next(p));
    if (!is_word(&p->now, "null"))
        return wrong(p, &p->now, "NULL is expected");
    buf_puts(sql, negated ? "IS NOT NULL" : "IS NULL");
    return next(p);
}

static enum lc parse_test(struct parser *p, const struct filter_field *f, struct buf *sql)
{
    struct token t = p->now;
    bool text_order =
        f->type == FILTER_TEXT && t.kind == T_OP && strchr("<>", t.text[0]) && strcmp(t.text, "<>") != 0;

    if (is_word(&t, "is"))
        return parse_is(p, sql);
    if (is_word(&t, "like") || is_word(&t, "ilike"))
        return parse_like(p, f, is_word(&t, "ilike"), sql);
    if (is_word(&t, "not"))
        TRY(next(p));
    if (is_word(&p->now, "in")) {
        buf_puts(sql, is_word(&t, "not") ? "NOT IN " : "IN ");
        TRY(next(p));
        return parse_list(p, f, sql);
    }
    if (t.kind != T_OP || text_order)
        return wrong(p, &t,
                     text_order ? "texts compare with =, !=, LIKE, ILIKE and IN only"
                                : "a comparison is expected");
    buf_printf(sql, "%s ?", strcmp(t.text, "==") == 0 ? "=" : t.text);
    TRY(next(p));
    return parse_value(p, f);
}

/* f->sql with test in place of {}. */
static enum lc put(struct parser *p, const struct filter_field *f, const char *test)
{
    const char *hole = strstr(f->sql, "{}");

    buf_printf(&p->out->sql, "%.*s%s%s", (int)(hole - f->sql), f->sql, test, hole + 2);
    return buf_check(&p->out->sql, p->err);
}

static enum lc parse_comparison(struct parser *p)
{
    const struct filter_field *f = NULL;
    struct buf test = BUF_INIT(FILTER_TEXT_MAX);
    const char *key = NULL;
    enum lc rc;

    TRY(parse_field(p, &f, &key));
    if (!f->name)
        TRY(add_value(p, (struct workspace_value){.type = 't', .text = key}));
    rc = parse_test(p, f, &test);
    if (rc == LC_OK)
        rc = put(p, f, buf_str(&test));
    buf_release(&test);
    return rc;
}

enum lc filter_parse(const char *text, const struct filter_field *fields, struct filter *out, struct err *err)
{
    struct parser p = {.text = text ? text : "", .fields = fields, .out = out, .err = err};

    filter_init(out);
    p.at = p.text;
    if (strlen(p.text) > FILTER_TEXT_MAX)
        return err_set(err, LC_LIMIT, "the search text is longer than %d bytes", FILTER_TEXT_MAX);
    TRY(next(&p));
    if (p.now.kind == T_END)
        buf_puts(&out->sql, "TRUE");
    while (p.now.kind != T_END) {
        TRY(parse_comparison(&p));
        if (p.now.kind == T_END)
            break;
        if (!is_word(&p.now, "and"))
            return is_word(&p.now, "or") ? wrong(&p, &p.now, "comparisons are joined with AND only")
                                         : wrong(&p, &p.now, "AND or the end is expected");
        TRY(next(&p));
        if (p.now.kind == T_END)
            return wrong(&p, &p.now, "a field is expected");
        buf_puts(&out->sql, " AND ");
    }
    return buf_check(&out->sql, err);
}

enum lc filter_order(const char *text, const struct filter_field *fields, struct filter *out, struct err *err)
{
    struct parser p = {.text = text, .at = text, .fields = fields, .out = out, .err = err};
    const struct filter_field *f = NULL;
    const char *key = NULL;
    bool down;

    if (strlen(text) > FILTER_TEXT_MAX)
        return err_set(err, LC_LIMIT, "the search text is longer than %d bytes", FILTER_TEXT_MAX);
    TRY(next(&p));
    TRY(parse_field(&p, &f, &key));
    down = is_word(&p.now, "desc");
    if (down || is_word(&p.now, "asc"))
        TRY(next(&p));
    if (p.now.kind != T_END)
        return wrong(&p, &p.now, "ASC, DESC or the end is expected");
    if (!f->name) /* the expression stands there once: NULLS LAST needs no second */
        TRY(add_value(&p, (struct workspace_value){.type = 't', .text = key}));
    TRY(put(&p, f, down ? "DESC NULLS LAST" : "ASC NULLS LAST"));
    return LC_OK;
}

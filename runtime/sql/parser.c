#include "runtime/sql/parser.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Never a name unless quoted, or after AS or a dot. */
static const char *const hard_words[] = {
    "AND",   "AS",    "BETWEEN",   "ELSE", "END",   "EXCEPT", "FROM",  "GROUP", "HAVING",
    "IN",    "INNER", "INTERSECT", "IS",   "JOIN",  "LIKE",   "NOT",   "ON",    "OR",
    "ORDER", "RLIKE", "SELECT",    "THEN", "UNION", "USING",  "WHERE", "WHEN",
};
/* Not a name behind a column or a table without AS: they go on with the query. */
static const char *const clause_words[] = {
    "ANTI",    "CLUSTER", "CROSS", "DISTRIBUTE", "DIV",         "FOR",     "FULL",   "ILIKE",   "INTO",
    "LATERAL", "LEFT",    "LIMIT", "MINUS",      "NATURAL",     "OFFSET",  "PIVOT",  "QUALIFY", "REGEXP",
    "RIGHT",   "SEMI",    "SET",   "SORT",       "TABLESAMPLE", "UNPIVOT", "WINDOW",
};
/* What a mistyped word may have been meant to be, beside the clause words. */
static const char *const other_words[] = {
    "ALL",       "ASC",           "BY",      "CASCADE", "CASE",     "CAST",    "CATALOG",
    "CATALOGS",  "COLUMNS",       "COMMENT", "CREATE",  "DATABASE", "DESC",    "DESCRIBE",
    "DISTINCT",  "DROP",          "EXISTS",  "EXPLAIN", "EXTENDED", "HISTORY", "IF",
    "INSERT",    "LOCATION",      "NULL",    "NULLS",   "OUTER",    "OVER",    "OVERWRITE",
    "PARTITION", "PARTITIONED",   "REPLACE", "SCHEMA",  "SCHEMAS",  "SHOW",    "TABLE",
    "TABLES",    "TBLPROPERTIES", "USE",     "VALUES",  "VIEW",     "WITH",
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static bool among(const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(words[i], word) == 0)
            return true;
    return false;
}

bool is_hard_word(const struct token *t)
{
    return t->kind == TOKEN_WORD && among(t->text, hard_words, COUNT(hard_words));
}

bool is_clause_word(const struct token *t)
{
    return is_hard_word(t) || (t->kind == TOKEN_WORD && among(t->text, clause_words, COUNT(clause_words)));
}

/* NULL when the word is a keyword itself, or when none is near. */
static const char *nearest_keyword(const char *word)
{
    static const struct {
        const char *const *words;
        size_t n;
    } lists[] = {{hard_words, COUNT(hard_words)},
                 {clause_words, COUNT(clause_words)},
                 {other_words, COUNT(other_words)}};
    const char *all[COUNT(hard_words) + COUNT(clause_words) + COUNT(other_words)];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(lists); i++) {
        if (among(word, lists[i].words, lists[i].n))
            return NULL;
        memcpy(all + n, lists[i].words, lists[i].n * sizeof *all);
        n += lists[i].n;
    }
    return nearest_one(word, all, n);
}

/* ---- tokens ---- */
const struct token *peek_token(const struct parser *p, size_t ahead)
{
    return &p->tokens[p->at + ahead < p->n ? p->at + ahead : p->n];
}

bool at_word(const struct parser *p, size_t ahead, const char *word)
{
    const struct token *t = peek_token(p, ahead);

    return t->kind == TOKEN_WORD && strcasecmp(t->text, word) == 0;
}

bool at_sign(const struct parser *p, size_t ahead, const char *sign)
{
    const struct token *t = peek_token(p, ahead);

    return t->kind == TOKEN_SIGN && strcmp(t->text, sign) == 0;
}

bool at_name(const struct parser *p, size_t ahead)
{
    const struct token *t = peek_token(p, ahead);

    return t->kind == TOKEN_WORD || t->kind == TOKEN_NAME;
}

bool accept_word(struct parser *p, const char *word)
{
    if (p->failed != LC_OK || !at_word(p, 0, word))
        return false;
    p->at++;
    return true;
}

bool accept_words(struct parser *p, const char *words)
{
    size_t n = 0;
    char word[32];

    while (*words) {
        size_t len = strcspn(words, " ");
        snprintf(word, sizeof word, "%.*s", (int)len, words);
        if (p->failed != LC_OK || !at_word(p, n, word))
            return false;
        n++;
        words += len + (words[len] == ' ');
    }
    p->at += n;
    return true;
}

bool accept_sign(struct parser *p, const char *sign)
{
    if (p->failed != LC_OK || !at_sign(p, 0, sign))
        return false;
    p->at++;
    return true;
}

bool expect_word(struct parser *p, const char *word)
{
    return accept_word(p, word) || fail_here(p, word);
}

bool expect_sign(struct parser *p, const char *sign)
{
    char quoted[16];

    snprintf(quoted, sizeof quoted, "'%s'", sign);
    return accept_sign(p, sign) || fail_here(p, quoted);
}

/* ---- failures ---- */
/* The line with the place, and a caret under it, as Spark shows them. */
static void add_caret(const char *text, size_t len, size_t at, struct buf *out)
{
    enum { SHOWN = 160 };
    size_t start = at < len ? at : len, end = start, from;

    while (start > 0 && text[start - 1] != '\n')
        start--;
    while (end < len && text[end] != '\n')
        end++;
    from = at - start > SHOWN / 2 ? at - SHOWN / 2 : start;
    while (from < at && ((unsigned char)text[from] & 0xC0) == 0x80)
        from++;
    buf_puts(out, "\n\n== SQL ==\n");
    for (size_t i = from; i < end && i < from + SHOWN; i++)
        buf_putc(out, text[i] == '\t' ? ' ' : text[i]);
    buf_putc(out, '\n');
    for (size_t i = from; i < at && i < len; i++)
        if (((unsigned char)text[i] & 0xC0) != 0x80)
            buf_putc(out, '-');
    buf_puts(out, "^");
}

static void line_and_column(const char *text, size_t len, size_t at, int *line, int *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < at && i < len; i++) {
        if (text[i] == '\n') {
            ++*line;
            *column = 0;
        }
        *column += ((unsigned char)text[i] & 0xC0) != 0x80;
    }
}

/* A text that begins with a class of its own ("[UNBOUND_SQL_PARAMETER] …") keeps it. */
static void report(struct parser *p, enum lc code, const char *class_name, const char *text, size_t at)
{
    bool classed = text[0] == '[';
    const char *state = classed || strstr(text, "SQLSTATE") ? ""
                        : code == LC_SYNTAX                 ? ". SQLSTATE: 42601"
                        : code == LC_UNSUPPORTED            ? ". SQLSTATE: 0A000"
                                                            : "";
    struct buf caret = BUF_INIT(800);
    int line, column;

    if (p->failed != LC_OK)
        return;
    p->failed = code;
    line_and_column(p->text, p->len, at, &line, &column);
    add_caret(p->text, p->len, at, &caret);
    err_set(p->err, code, "%s%s%s%s%s (line %d, column %d)%s", classed ? "" : "[", classed ? "" : class_name,
            classed ? "" : "] ", text, state, line, column, buf_str(&caret));
    err_at(p->err, (int64_t)at);
    buf_release(&caret);
}

/* Does the text name, there, the table that is not found? The last part of its name does, as the others may be those of USE. */
static bool is_table_at(const char *text, size_t len, const char *message)
{
    static const char before[] = "find table '";
    const char *name = strstr(message, before), *end, *dot;
    size_t n = 0, last;

    if (!name)
        return false;
    name += sizeof before - 1;
    end = name + strcspn(name, "'");
    for (dot = name; dot < end; dot++)
        name = *dot == '.' ? dot + 1 : name;
    if (*name == '`' && end - name > 1)
        name++, end--;
    while (n < len && !strchr(" \t\r\n,;()@", text[n]))
        n++;
    n -= n > 0 && text[n - 1] == '`';
    last = (size_t)(end - name);
    return last > 0 && n >= last && strncasecmp(text + n - last, name, last) == 0;
}

/* Does the text have, where the error says, the name that it could not resolve? A view's expressions have places in another text. */
static bool is_place_of(const char *text, size_t len, const struct err *err)
{
    size_t at = (size_t)err->position, n;
    const char *name = strstr(err->message, "name `");

    if (err->position < 0 || at >= len || strstr(err->message, "(in the view '"))
        return false;
    if (err->code == LC_NOTFOUND)
        return strncmp(err->message, "[TABLE_OR_VIEW_NOT_FOUND]", 25) == 0 &&
               is_table_at(text + at, len - at, err->message);
    if (strncmp(err->message, "[UNRESOLVED_COLUMN", 18) != 0 || !name)
        return strncmp(err->message, "[UNRESOLVED_COLUMN", 18) != 0;
    name += strlen("name `");
    n = strcspn(name, "`");
    at += text[at] == '`';
    return n <= len - at && strncasecmp(text + at, name, n) == 0;
}

enum lc sql_place(const char *text, size_t len, struct err *err)
{
    struct buf caret = BUF_INIT(800);
    int line, column;
    char place[64];
    size_t used;

    if (strstr(err->message, "\n== SQL ==\n"))
        return err->code;
    if (!is_place_of(text, len, err)) {
        err->position = -1;
        return err->code;
    }
    line_and_column(text, len, (size_t)err->position, &line, &column);
    add_caret(text, len, (size_t)err->position, &caret);
    snprintf(place, sizeof place, " (line %d, column %d)", line, column);
    used = strlen(err->message);
    if (used + strlen(place) < sizeof err->message) {
        memcpy(err->message + used, place, strlen(place) + 1);
        used += strlen(place);
    }
    if (used + caret.len < sizeof err->message)
        memcpy(err->message + used, buf_str(&caret), caret.len + 1);
    buf_release(&caret);
    return err->code;
}

bool fail_at(struct parser *p, const struct token *t, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    report(p, LC_SYNTAX, "PARSE_SYNTAX_ERROR", text, t->start);
    return false;
}

/* The word here, or the one before it (which may have been taken for a name), is near a keyword. */
static void hint_keyword(struct parser *p)
{
    for (size_t back = 0; back < 2 && back <= p->at; back++) {
        const struct token *t = &p->tokens[p->at - back];
        const char *near = t->kind == TOKEN_WORD && t->len > 2 ? nearest_keyword(t->text) : NULL;
        if (near) {
            err_hint(p->err, "did you mean %s instead of '%s'?", near, t->text);
            return;
        }
    }
}

bool fail_here(struct parser *p, const char *expected)
{
    const struct token *t = peek_token(p, 0);

    if (p->failed != LC_OK)
        return false;
    if (t->kind == TOKEN_END)
        fail_at(p, t, "Syntax error at or near end of input: %s is missing", expected);
    else
        fail_at(p, t, "Syntax error at or near '%.*s': expected %s",
                (int)(t->end - t->start < 60 ? t->end - t->start : 60), p->text + t->start, expected);
    hint_keyword(p);
    return false;
}

bool fail_text(struct parser *p, size_t at, const char *text)
{
    report(p, LC_SYNTAX, "PARSE_SYNTAX_ERROR", text, at);
    return false;
}

bool fail_unsupported(struct parser *p, const struct token *t, const char *what)
{
    char text[200];

    snprintf(text, sizeof text, "%s is not supported", what);
    report(p, LC_UNSUPPORTED, "UNSUPPORTED_FEATURE", text, t->start);
    return false;
}

bool fail_memory(struct parser *p)
{
    if (p->failed == LC_OK)
        p->failed = err_nomem(p->err);
    return false;
}

bool enter(struct parser *p)
{
    if (p->failed == LC_OK && p->depth >= PARSER_DEPTH)
        report(p, LC_LIMIT, "PARSE_TOO_DEEP", "this is nested too deeply", peek_token(p, 0)->start);
    p->depth++;
    return p->failed == LC_OK;
}

bool check_chain(struct parser *p, int n)
{
    if (p->failed == LC_OK && n > PARSER_CHAIN)
        report(p, LC_LIMIT, "PARSE_TOO_DEEP",
               "this has too many operators in one row; use IN, or parentheses", peek_token(p, 0)->start);
    return p->failed == LC_OK;
}

/* ---- names and lists ---- */
/* items is the address of any array pointer. */
static bool grow(struct parser *p, void *items, size_t n, size_t *cap, size_t size)
{
    void *old, *more;

    if (n < *cap)
        return true;
    *cap = *cap ? *cap * 2 : 8;
    more = arena_alloc(p->arena, *cap * size);
    memcpy(&old, items, sizeof old);
    if (!more)
        return fail_memory(p);
    if (n)
        memcpy(more, old, n * size);
    memcpy(items, &more, sizeof more);
    return true;
}

bool push_name(struct parser *p, struct name_list *l, const char *name)
{
    if (!name || !grow(p, &l->items, l->n, &l->cap, sizeof *l->items))
        return false;
    l->items[l->n++] = name;
    return true;
}

bool push_expr(struct parser *p, struct expr_list *l, struct expr *e)
{
    if (!grow(p, &l->items, l->n, &l->cap, sizeof *l->items)) {
        expr_unref(e);
        return false;
    }
    l->items[l->n++] = e;
    return e || fail_memory(p);
}

void drop_exprs(struct expr_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        expr_unref(l->items[i]);
    l->n = 0;
}

const char *parse_identifier(struct parser *p, const char *what)
{
    const struct token *t = peek_token(p, 0);

    if (p->failed != LC_OK)
        return NULL;
    if (!at_name(p, 0)) {
        fail_here(p, what);
        return NULL;
    }
    p->at++;
    return t->text;
}

/* The text of a constant: a literal, a parameter, or several joined by ||. */
static bool constant_text(const struct expr *e, struct buf *out)
{
    if (e->kind == EXPR_LITERAL && e->u.literal.type->id == DTYPE_STRING && !e->u.literal.is_null)
        return e->u.literal.len == 0 || buf_add(out, e->u.literal.s, e->u.literal.len);
    if (e->kind != EXPR_CALL || strcmp(e->u.call.name, "concat") != 0)
        return false;
    for (size_t i = 0; i < e->n; i++)
        if (!constant_text(e->args[i], out))
            return false;
    return true;
}

bool at_identifier_clause(const struct parser *p)
{
    return at_word(p, 0, "IDENTIFIER") && at_sign(p, 1, "(");
}

bool parse_identifier_clause(struct parser *p, struct name_list *out)
{
    const struct token *t = peek_token(p, 0);
    struct buf text = BUF_INIT(1 << 16);
    char **parts = NULL;
    size_t n = 0;
    struct expr *e;
    struct err ignored;

    p->at += 2;
    e = parse_expr(p);
    if (e && !constant_text(e, &text))
        fail_at(p, t,
                "[NOT_A_CONSTANT_STRING.NOT_CONSTANT] IDENTIFIER takes a constant text. SQLSTATE: 42601");
    expr_unref(e);
    if (p->failed == LC_OK && name_split(buf_str(&text), &parts, &n, &ignored) != LC_OK) {
        parts = NULL; /* a failed split leaves nothing to free */
        n = 0;
        fail_at(p, t, "[INVALID_IDENTIFIER] '%.100s' is no name. SQLSTATE: 42602", buf_str(&text));
    }
    for (size_t i = 0; i < n; i++)
        push_name(p, out, arena_strdup(p->arena, parts[i]));
    name_free(parts, n);
    buf_release(&text);
    return expect_sign(p, ")");
}

bool parse_dotted(struct parser *p, struct name_list *out, const char *what)
{
    if (p->failed == LC_OK && at_identifier_clause(p))
        return parse_identifier_clause(p, out);
    if (p->failed == LC_OK && is_hard_word(peek_token(p, 0)))
        return fail_here(p, what);
    do {
        if (!push_name(p, out, parse_identifier(p, what)))
            return false;
    } while (accept_sign(p, "."));
    return true;
}

bool parse_identifier_list(struct parser *p, struct name_list *out, const char *what)
{
    if (!expect_sign(p, "("))
        return false;
    do {
        if (!push_name(p, out, parse_identifier(p, what)))
            return false;
    } while (accept_sign(p, ","));
    return expect_sign(p, ")");
}

const char *parse_string(struct parser *p, const char *what)
{
    const struct token *t = peek_token(p, 0);

    if (p->failed != LC_OK)
        return NULL;
    if (t->kind != TOKEN_STRING) {
        fail_here(p, what);
        return NULL;
    }
    p->at++;
    return t->text;
}

/* template_parse.c: tokens as a tree: Jinja's statements and expressions, in its order of precedence. */
#include "gpu/tokenizer/assistant.h"
#include "gpu/tokenizer/template_int.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NESTING_MAX = 100 };

static struct node *expression(struct render *r);
static struct node *condition(struct render *r);
static struct node *unary(struct render *r, bool with_filter);
static bool statements(struct render *r, struct node **list, const char *const *ends);

static const struct token *peek(const struct render *r)
{
    return &r->tokens[r->pos];
}

static bool is(const struct render *r, enum token_kind_t kind, const char *text)
{
    const struct token *t = peek(r);

    return t->kind == kind && t->n == strlen(text) && memcmp(t->s, text, t->n) == 0;
}

static bool accept(struct render *r, enum token_kind_t kind, const char *text)
{
    if (!is(r, kind, text))
        return false;
    r->pos++;
    return true;
}

static bool expect(struct render *r, enum token_kind_t kind, const char *text)
{
    const struct token *t = peek(r);

    if (accept(r, kind, text))
        return true;
    return render_fail(r, LC_SYNTAX, t->at, "expected '%s', found '%.*s'", text, (int)(t->n < 40 ? t->n : 40),
                       t->s);
}

static bool expect_block_end(struct render *r)
{
    const struct token *t = peek(r);

    if (t->kind == T_BLOCK_END)
        return r->pos++, true;
    return render_fail(r, LC_SYNTAX, t->at, "expected the end of the tag, found '%.*s'",
                       (int)(t->n < 40 ? t->n : 40), t->s);
}

static struct node *new_node(struct render *r, enum node_kind kind)
{
    struct node *n = render_alloc(r, sizeof *n);

    if (n) {
        n->kind = kind;
        n->at = peek(r)->at;
    }
    return n;
}

static struct node *named(struct render *r, enum node_kind kind)
{
    const struct token *t = peek(r);
    struct node *n;

    if (t->kind != T_NAME) {
        render_fail(r, LC_SYNTAX, t->at, "expected a name, found '%.*s'", (int)(t->n < 40 ? t->n : 40), t->s);
        return NULL;
    }
    if ((n = new_node(r, kind)) != NULL) {
        n->text = t->s;
        n->len = t->n;
        r->pos++;
    }
    return n;
}

/* ---- expressions ---- */
static struct node *items(struct render *r, enum node_kind kind, const char *end)
{
    struct node *list = new_node(r, kind), **tail;

    if (!list)
        return NULL;
    for (tail = &list->args; !accept(r, T_OP, end); tail = &(*tail)->next) {
        if (list->args && !expect(r, T_OP, ","))
            return NULL;
        if (list->args && accept(r, T_OP, end))
            return list;
        if ((*tail = expression(r)) == NULL)
            return NULL;
    }
    return list;
}

static struct node *dict(struct render *r)
{
    struct node *list = new_node(r, N_DICT), **tail;

    if (!list)
        return NULL;
    for (tail = &list->args; !accept(r, T_OP, "}"); tail = &(*tail)->next) {
        struct node *key, *pair;
        if (list->args && !expect(r, T_OP, ","))
            return NULL;
        if (list->args && accept(r, T_OP, "}"))
            return list;
        if ((pair = new_node(r, N_TUPLE)) == NULL || (key = expression(r)) == NULL || !expect(r, T_OP, ":"))
            return NULL;
        pair->a = key;
        if ((pair->b = expression(r)) == NULL)
            return NULL;
        *tail = pair;
    }
    return list;
}

/* (a), (a, b), () */
static struct node *parenthesis(struct render *r)
{
    struct node *first, *list, **tail;

    if (accept(r, T_OP, ")"))
        return new_node(r, N_TUPLE);
    if ((first = expression(r)) == NULL)
        return NULL;
    if (accept(r, T_OP, ")"))
        return first;
    if ((list = new_node(r, N_TUPLE)) == NULL)
        return NULL;
    list->args = first;
    tail = &first->next;
    while (!accept(r, T_OP, ")")) {
        if (!expect(r, T_OP, ","))
            return NULL;
        if (accept(r, T_OP, ")"))
            break;
        if ((*tail = expression(r)) == NULL)
            return NULL;
        tail = &(*tail)->next;
    }
    return list;
}

static struct node *string(struct render *r)
{
    struct node *n = new_node(r, N_LITERAL);
    struct buf b = BUF_INIT(BUF_TEXT_MAX);

    while (n && peek(r)->kind == T_STRING) {
        buf_add(&b, peek(r)->s, peek(r)->n);
        r->pos++;
    }
    if (n)
        n->value = v_taken(r, &b);
    buf_release(&b);
    return r->rc == LC_OK ? n : NULL;
}

static struct node *number(struct render *r)
{
    const struct token *t = peek(r);
    struct node *n = new_node(r, N_LITERAL);
    char digits[64];
    size_t len = 0;

    if (!n)
        return NULL;
    for (size_t i = 0; i < t->n && len < sizeof digits - 1; i++)
        if (t->s[i] != '_')
            digits[len++] = t->s[i];
    digits[len] = '\0';
    errno = 0;
    if (t->kind == T_INT)
        n->value = v_int(strtoll(digits, NULL, 10));
    else
        n->value = (struct value){.kind = V_FLOAT, .as.f = strtod(digits, NULL)};
    r->pos++;
    if (errno == ERANGE)
        render_fail(r, LC_SYNTAX, t->at, "the number '%s' is too large", digits);
    return errno == ERANGE ? NULL : n;
}

static struct node *name_or_constant(struct render *r)
{
    static const struct {
        const char *name;
        enum value_kind kind;
        bool b;
    } constants[] = {{"true", V_BOOL, true},   {"True", V_BOOL, true},  {"false", V_BOOL, false},
                     {"False", V_BOOL, false}, {"none", V_NONE, false}, {"None", V_NONE, false}};
    struct node *n = named(r, N_NAME);

    for (size_t i = 0; n && i < sizeof constants / sizeof *constants; i++)
        if (n->len == strlen(constants[i].name) && memcmp(n->text, constants[i].name, n->len) == 0) {
            n->kind = N_LITERAL;
            n->value = (struct value){.kind = constants[i].kind, .as.b = constants[i].b};
        }
    return n;
}

static struct node *primary(struct render *r)
{
    const struct token *t = peek(r);

    if (t->kind == T_STRING)
        return string(r);
    if (t->kind == T_INT || t->kind == T_FLOAT)
        return number(r);
    if (t->kind == T_NAME)
        return name_or_constant(r);
    if (accept(r, T_OP, "("))
        return parenthesis(r);
    if (accept(r, T_OP, "["))
        return items(r, N_LIST, "]");
    if (accept(r, T_OP, "{"))
        return dict(r);
    render_fail(r, LC_SYNTAX, t->at, "unexpected '%.*s'", (int)(t->n < 40 ? t->n : 40), t->s);
    return NULL;
}

/* name=value or value, up to ")" */
static bool arguments(struct render *r, struct node **out)
{
    struct node **tail = out;

    for (*tail = NULL; !accept(r, T_OP, ")"); tail = &(*tail)->next) {
        const struct token *name = NULL;
        if (*out && !expect(r, T_OP, ","))
            return false;
        if (*out && accept(r, T_OP, ")"))
            return true;
        if (is(r, T_OP, "*") || is(r, T_OP, "**"))
            return render_fail(r, LC_UNSUPPORTED, peek(r)->at,
                               "unpacked arguments (*, **) are not supported");
        if (peek(r)->kind == T_NAME && r->tokens[r->pos + 1].kind == T_OP && r->tokens[r->pos + 1].n == 1 &&
            r->tokens[r->pos + 1].s[0] == '=') {
            name = peek(r);
            r->pos += 2;
        }
        if ((*tail = expression(r)) == NULL)
            return false;
        if (name) { /* an expression's own text (a name) must stay: wrap it */
            struct node *wrapped = new_node(r, N_TUPLE);
            if (!wrapped)
                return false;
            wrapped->flag = true;
            wrapped->text = name->s;
            wrapped->len = name->n;
            wrapped->a = *tail;
            *tail = wrapped;
        }
    }
    return true;
}

static struct node *wrap(struct render *r, enum node_kind kind, struct node *inner)
{
    struct node *n = new_node(r, kind);

    if (n) {
        n->a = inner;
        n->at = inner->at;
    }
    return n;
}

/* [index], [from:to:step] */
static struct node *subscript(struct render *r, struct node *of)
{
    struct node *n = wrap(r, N_ITEM, of), *parts[3] = {NULL, NULL, NULL};
    size_t colons = 0;

    if (!n)
        return NULL;
    while (!accept(r, T_OP, "]")) {
        if (accept(r, T_OP, ":")) {
            if (++colons > 2)
                break;
            continue;
        }
        if (parts[colons] || (parts[colons] = expression(r)) == NULL) {
            expect(r, T_OP, "]");
            return NULL;
        }
    }
    if (colons > 2) {
        expect(r, T_OP, "]");
        return NULL;
    }
    if (colons == 0) {
        n->b = parts[0];
        if (!n->b)
            render_fail(r, LC_SYNTAX, n->at, "an index is missing");
        return n->b ? n : NULL;
    }
    n->kind = N_SLICE;
    n->b = parts[0];
    n->c = parts[1];
    n->body = parts[2];
    return n;
}

static struct node *postfix_one(struct render *r, struct node *n)
{
    struct node *outer;

    if (accept(r, T_OP, "[")) {
        return subscript(r, n);
    } else if (accept(r, T_OP, "(")) {
        if ((outer = wrap(r, N_CALL, n)) == NULL || !arguments(r, &outer->args))
            return NULL;
        return outer;
    }
    r->pos++; /* the dot */
    if (peek(r)->kind == T_INT) {
        if ((outer = wrap(r, N_ITEM, n)) != NULL)
            outer->b = number(r);
        return outer && outer->b ? outer : NULL;
    }
    if ((outer = named(r, N_ATTR)) != NULL)
        outer->a = n;
    return outer;
}

static struct node *postfix(struct render *r, struct node *n)
{
    while (n && (is(r, T_OP, ".") || is(r, T_OP, "[") || is(r, T_OP, "(")))
        n = postfix_one(r, n);
    return n;
}

static struct node *filter(struct render *r, struct node *of)
{
    struct node *n = named(r, N_FILTER);

    if (!n)
        return NULL;
    n->a = of;
    if (!filter_find(template_filters, n->text, n->len)) {
        render_fail(r, LC_UNSUPPORTED, n->at, "the filter '%.*s' is not supported", (int)n->len, n->text);
        return NULL;
    }
    return accept(r, T_OP, "(") && !arguments(r, &n->args) ? NULL : n;
}

static bool starts_operand(const struct render *r)
{
    static const char *const words[] = {"else", "or", "and", "is", "in", "not", "if"};
    const struct token *t = peek(r);

    if (t->kind == T_NAME) {
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (is(r, T_NAME, words[i]))
                return false;
        return true;
    }
    return t->kind == T_STRING || t->kind == T_INT || t->kind == T_FLOAT || is(r, T_OP, "[") ||
           is(r, T_OP, "{");
}

static struct node *test(struct render *r, struct node *of)
{
    bool negated = accept(r, T_NAME, "not");
    struct node *n = named(r, N_TEST);

    if (!n)
        return NULL;
    n->a = of;
    n->flag = negated;
    if (!filter_find(template_tests, n->text, n->len)) {
        render_fail(r, LC_UNSUPPORTED, n->at, "the test '%.*s' is not supported", (int)n->len, n->text);
        return NULL;
    }
    if (accept(r, T_OP, "("))
        return arguments(r, &n->args) ? n : NULL;
    if (starts_operand(r) && (n->args = postfix(r, primary(r))) == NULL)
        return NULL;
    return n;
}

static struct node *filters(struct render *r, struct node *n)
{
    while (n) {
        if (accept(r, T_OP, "|"))
            n = filter(r, n);
        else if (accept(r, T_NAME, "is"))
            n = test(r, n);
        else if (is(r, T_OP, "("))
            n = postfix_one(r, n);
        else
            break;
    }
    return n;
}

static struct node *unary(struct render *r, bool with_filter)
{
    struct node *n, *inner;

    if (++r->depth > NESTING_MAX) {
        render_fail(r, LC_LIMIT, peek(r)->at, "the template is nested too deeply");
        return NULL;
    }
    if (is(r, T_OP, "-") || is(r, T_OP, "+")) {
        n = new_node(r, is(r, T_OP, "-") ? N_NEGATE : N_PLUS);
        r->pos++;
        inner = n ? unary(r, false) : NULL;
        if (inner)
            n->a = inner;
        n = inner ? n : NULL;
    } else {
        n = primary(r);
    }
    n = postfix(r, n);
    if (n && with_filter)
        n = filters(r, n);
    r->depth--;
    return n;
}

/* ---- binary operators, by level ---- */
static const char *const levels[][4] = {
    {"+", "-", NULL},
    {"~", NULL},
    {"*", "/", "//", "%"},
    {"**", NULL},
};
enum { LEVELS = sizeof levels / sizeof *levels };

static const char *operator_at(const struct render *r, size_t level)
{
    for (size_t i = 0; i < 4 && levels[level][i]; i++)
        if (is(r, T_OP, levels[level][i]))
            return levels[level][i];
    return NULL;
}

static struct node *binary(struct render *r, size_t level)
{
    struct node *left = level == LEVELS ? unary(r, true) : binary(r, level + 1), *n;
    const char *op;

    while (left && level < LEVELS && (op = operator_at(r, level)) != NULL) {
        r->pos++;
        if ((n = wrap(r, N_BINARY, left)) == NULL || (n->b = binary(r, level + 1)) == NULL)
            return NULL;
        n->text = op;
        n->len = strlen(op);
        left = n;
    }
    return left;
}

static const char *comparison(struct render *r)
{
    static const char *const ops[] = {"==", "!=", "<=", ">=", "<", ">"};

    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (accept(r, T_OP, ops[i]))
            return ops[i];
    if (accept(r, T_NAME, "in"))
        return "in";
    if (is(r, T_NAME, "not") && r->tokens[r->pos + 1].kind == T_NAME && r->tokens[r->pos + 1].n == 2 &&
        memcmp(r->tokens[r->pos + 1].s, "in", 2) == 0) {
        r->pos += 2;
        return "not in";
    }
    return NULL;
}

/* a < b < c is (a < b) and (b < c) */
static struct node *compare(struct render *r)
{
    struct node *left = binary(r, 0), *all = NULL, *one, *both;
    const char *op;

    while (left && (op = comparison(r)) != NULL) {
        if ((one = wrap(r, N_COMPARE, left)) == NULL || (one->b = binary(r, 0)) == NULL)
            return NULL;
        one->text = op;
        one->len = strlen(op);
        left = one->b;
        if (all) {
            if ((both = wrap(r, N_AND, all)) == NULL)
                return NULL;
            both->b = one;
            all = both;
        } else {
            all = one;
        }
    }
    return all ? all : left;
}

static struct node *negation(struct render *r)
{
    struct node *n;

    if (!is(r, T_NAME, "not"))
        return compare(r);
    n = new_node(r, N_NOT);
    r->pos++;
    if (++r->depth > NESTING_MAX) {
        render_fail(r, LC_LIMIT, peek(r)->at, "the template is nested too deeply");
        return NULL;
    }
    if (n && (n->a = negation(r)) == NULL)
        n = NULL;
    r->depth--;
    return n;
}

static struct node *chain(struct render *r, const char *word, enum node_kind kind,
                          struct node *(*inner)(struct render *))
{
    struct node *left = inner(r), *n;

    while (left && accept(r, T_NAME, word)) {
        if ((n = wrap(r, kind, left)) == NULL || (n->b = inner(r)) == NULL)
            return NULL;
        left = n;
    }
    return left;
}

static struct node *conjunction(struct render *r)
{
    return chain(r, "and", N_AND, negation);
}

static struct node *condition(struct render *r)
{
    return chain(r, "or", N_OR, conjunction);
}

static struct node *expression(struct render *r)
{
    struct node *value = condition(r), *n;

    while (value && accept(r, T_NAME, "if")) {
        if ((n = wrap(r, N_COND, value)) == NULL || (n->b = condition(r)) == NULL)
            return NULL;
        if (accept(r, T_NAME, "else") && (n->c = expression(r)) == NULL)
            return NULL;
        value = n;
    }
    return value;
}

/* a, b is a tuple where statements allow it */
static struct node *tuple(struct render *r, struct node *(*one)(struct render *))
{
    struct node *first = one(r), *list, **tail;

    if (!first || !is(r, T_OP, ","))
        return first;
    if ((list = wrap(r, N_TUPLE, first)) == NULL)
        return NULL;
    list->args = first;
    for (tail = &first->next; accept(r, T_OP, ","); tail = &(*tail)->next)
        if ((*tail = one(r)) == NULL)
            return NULL;
    return list;
}

/* ---- statements ---- */
static struct node *target(struct render *r)
{
    struct node *n = named(r, N_NAME), *attribute;

    if (n && accept(r, T_OP, ".")) {
        if ((attribute = named(r, N_ATTR)) == NULL)
            return NULL;
        attribute->a = n;
        return attribute;
    }
    return n;
}

static struct node *plain_target(struct render *r)
{
    if (accept(r, T_OP, "(")) {
        struct node *n = tuple(r, target);
        return n && expect(r, T_OP, ")") ? n : NULL;
    }
    return target(r);
}

static const char *const end_for[] = {"else", "endfor", NULL}, *const only_endfor[] = {"endfor", NULL};
static const char *const end_if[] = {"elif", "else", "endif", NULL}, *const only_endif[] = {"endif", NULL};
static const char *const end_set[] = {"endset", NULL}, *const end_macro[] = {"endmacro", NULL};
static const char *const end_generation[] = {"endgeneration", NULL}, *const end_filter[] = {"endfilter",
                                                                                            NULL};

/* Behind statements(): the word that ended them is next. */
static bool word(struct render *r, const char *text)
{
    return accept(r, T_NAME, text);
}

static bool parse_for(struct render *r, struct node *n)
{
    n->kind = N_FOR;
    if ((n->a = tuple(r, plain_target)) == NULL || !expect(r, T_NAME, "in") ||
        (n->b = tuple(r, condition)) == NULL)
        return false;
    if (accept(r, T_NAME, "if") && (n->c = expression(r)) == NULL)
        return false;
    if (is(r, T_NAME, "recursive"))
        return render_fail(r, LC_UNSUPPORTED, peek(r)->at, "recursive loops are not supported");
    if (!expect_block_end(r) || !statements(r, &n->body, end_for))
        return false;
    if (word(r, "else"))
        return expect_block_end(r) && statements(r, &n->otherwise, only_endfor) && word(r, "endfor");
    return word(r, "endfor");
}

static bool parse_if(struct render *r, struct node *n)
{
    struct node *inner;

    n->kind = N_IF;
    if ((n->a = tuple(r, expression)) == NULL || !expect_block_end(r) || !statements(r, &n->body, end_if))
        return false;
    if (is(r, T_NAME, "elif")) {
        if ((inner = new_node(r, N_IF)) == NULL)
            return false;
        r->pos++;
        n->otherwise = inner;
        return parse_if(r, inner);
    }
    if (word(r, "else"))
        return expect_block_end(r) && statements(r, &n->otherwise, only_endif) && word(r, "endif");
    return word(r, "endif");
}

static bool parse_set(struct render *r, struct node *n)
{
    n->kind = N_SET;
    if ((n->a = tuple(r, target)) == NULL)
        return false;
    if (accept(r, T_OP, "="))
        return (n->b = tuple(r, expression)) != NULL;
    n->kind = N_SET_BLOCK;
    while (accept(r, T_OP, "|")) {
        struct node *f = filter(r, n->b);
        if (!f)
            return false;
        n->b = f; /* the innermost has no operand: the block's text */
    }
    return expect_block_end(r) && statements(r, &n->body, end_set) && word(r, "endset");
}

static bool parse_macro(struct render *r, struct node *n)
{
    struct node *name = named(r, N_NAME), **tail = &n->args;

    n->kind = N_MACRO;
    if (!name || !expect(r, T_OP, "("))
        return false;
    n->text = name->text;
    n->len = name->len;
    for (; !accept(r, T_OP, ")"); tail = &(*tail)->next) {
        if (n->args && !expect(r, T_OP, ","))
            return false;
        if ((*tail = named(r, N_NAME)) == NULL)
            return false;
        if (accept(r, T_OP, "=") && ((*tail)->a = expression(r)) == NULL)
            return false;
    }
    return expect_block_end(r) && statements(r, &n->body, end_macro) && word(r, "endmacro");
}

static bool parse_generation(struct render *r, struct node *n)
{
    n->kind = N_GENERATION;
    if (r->spans)
        r->spans->tagged = true;
    return expect_block_end(r) && statements(r, &n->body, end_generation) && word(r, "endgeneration");
}

static bool parse_filter_block(struct render *r, struct node *n)
{
    n->kind = N_FILTER_BLOCK;
    do {
        if ((n->b = filter(r, n->b)) == NULL)
            return false;
    } while (accept(r, T_OP, "|"));
    return expect_block_end(r) && statements(r, &n->body, end_filter) && word(r, "endfilter");
}

static bool parse_break(struct render *r, struct node *n)
{
    (void)r;
    n->kind = N_BREAK;
    return true;
}

static bool parse_continue(struct render *r, struct node *n)
{
    (void)r;
    n->kind = N_CONTINUE;
    return true;
}

static bool parse_tag(struct render *r, struct node *n)
{
    static const struct {
        const char *name;
        bool (*parse)(struct render *r, struct node *n);
    } tags[] = {
        {"for", parse_for},
        {"if", parse_if},
        {"set", parse_set},
        {"macro", parse_macro},
        {"break", parse_break},
        {"continue", parse_continue},
        {"generation", parse_generation},
        {"filter", parse_filter_block},
    };
    const struct token *t = peek(r);
    bool ok;

    if (t->kind != T_NAME)
        return render_fail(r, LC_SYNTAX, t->at, "a tag has no name");
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        if (!is(r, T_NAME, tags[i].name))
            continue;
        r->pos++;
        if (++r->depth > NESTING_MAX)
            return render_fail(r, LC_LIMIT, t->at, "the template is nested too deeply");
        ok = tags[i].parse(r, n) && expect_block_end(r);
        r->depth--;
        return ok;
    }
    return render_fail(r, LC_UNSUPPORTED, t->at, "the tag '%.*s' is not supported",
                       (int)(t->n < 40 ? t->n : 40), t->s);
}

static bool ends_here(const struct render *r, const char *const *ends)
{
    const struct token *t = &r->tokens[r->pos + 1];

    for (; ends && *ends; ends++)
        if (t->kind == T_NAME && t->n == strlen(*ends) && memcmp(t->s, *ends, t->n) == 0)
            return true;
    return false;
}

static struct node *statement(struct render *r)
{
    const struct token *t = peek(r);
    struct node *n = new_node(r, N_TEXT);

    if (!n)
        return NULL;
    r->pos++;
    if (t->kind == T_DATA) {
        n->text = t->s;
        n->len = t->n;
        return n;
    }
    if (t->kind == T_BLOCK_BEGIN)
        return parse_tag(r, n) ? n : NULL;
    n->kind = N_OUTPUT;
    if ((n->a = tuple(r, expression)) == NULL)
        return NULL;
    if (peek(r)->kind != T_VAR_END) {
        render_fail(r, LC_SYNTAX, peek(r)->at, "expected '}}', found '%.*s'",
                    (int)(peek(r)->n < 40 ? peek(r)->n : 40), peek(r)->s);
        return NULL;
    }
    r->pos++;
    return n;
}

/* Up to the tag that ends them (its name is then next), or to the end of the template. */
static bool statements(struct render *r, struct node **list, const char *const *ends)
{
    size_t start = peek(r)->at;

    for (*list = NULL; peek(r)->kind != T_EOF; list = &(*list)->next) {
        if (peek(r)->kind == T_BLOCK_BEGIN && ends_here(r, ends)) {
            r->pos++;
            return true;
        }
        if ((*list = statement(r)) == NULL)
            return false;
    }
    return !ends || render_fail(r, LC_SYNTAX, start, "a '%s' is missing", ends[1] ? ends[1] : ends[0]);
}

struct node *template_parse(struct render *r)
{
    struct node *list = NULL;

    return statements(r, &list, NULL) ? list : NULL;
}

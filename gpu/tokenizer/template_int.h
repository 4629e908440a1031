/* template_int.h: what the template engine's files share. Private to gpu/tokenizer.
 *
 * What      text → tokens (template_lex.c) → tree (template_parse.c) → text (template_eval.c), with the values of
 *           template_value.c and the filters, tests, methods and functions of the files named after them.
 * Ownership everything lives in the arena of one render.
 * Units     bytes.
 * Errors    struct render's err; functions return false or NULL when it is set.
 * Threads   one render is one thread's.
 */
#ifndef LACUS_GPU_TEMPLATE_INT_H
#define LACUS_GPU_TEMPLATE_INT_H
#include "gpu/tokenizer/template.h"
#include "runtime/base/mem.h"

/* ---- values ---- */
enum value_kind {
    V_UNDEFINED,
    V_NONE,
    V_BOOL,
    V_INT,
    V_FLOAT,
    V_STRING,
    V_LIST,
    V_DICT,
    V_MACRO,
    V_FUNCTION,
    V_METHOD
};

struct value {
    enum value_kind kind;
    union {
        bool b;
        int64_t i;
        double f;
        struct {
            const char *s;
            size_t n;
        } str; /* also the name of what is undefined */
        struct list *list;
        struct dict *dict;
        const struct node *macro;
        const struct function *function;
        struct method {
            const struct method_row *row;
            const struct value *self;
        } method;
    } as;
    struct scope *scope; /* of a macro: where it was defined */
    bool tuple;
};

struct list {
    struct value *items;
    size_t n, cap;
};

struct dict {
    struct value *keys, *values;
    size_t n, cap;
    bool is_namespace;
};

/* ---- the tree ---- */
enum node_kind {
    N_TEXT,
    N_OUTPUT,
    N_FOR,
    N_IF,
    N_SET,
    N_SET_BLOCK,
    N_MACRO,
    N_BREAK,
    N_CONTINUE,
    N_GENERATION,
    N_FILTER_BLOCK, /* statements */
    N_LITERAL,
    N_NAME,
    N_ATTR,
    N_ITEM,
    N_SLICE,
    N_CALL,
    N_FILTER,
    N_TEST,
    N_LIST,
    N_TUPLE,
    N_DICT,
    N_NOT,
    N_NEGATE,
    N_PLUS,
    N_BINARY,
    N_AND,
    N_OR,
    N_COMPARE,
    N_COND
};

struct node {
    enum node_kind kind;
    size_t at;        /* byte offset in the template */
    const char *text; /* name, operator, data */
    size_t len;
    struct value value;            /* N_LITERAL */
    struct node *a, *b, *c;        /* operands; condition, … (template_eval.c says) */
    struct node *body, *otherwise; /* statement lists */
    struct node *args;             /* expressions, linked by next; a keyword argument has its name in text */
    struct node *next;
    bool flag; /* N_TEST: negated */
};

/* ---- tokens ---- */
enum token_kind_t {
    T_DATA,
    T_VAR_BEGIN,
    T_VAR_END,
    T_BLOCK_BEGIN,
    T_BLOCK_END,
    T_NAME,
    T_STRING,
    T_INT,
    T_FLOAT,
    T_OP,
    T_EOF
};

struct token {
    enum token_kind_t kind;
    const char *s;
    size_t n, at;
};

/* ---- one render ---- */
struct scope {
    struct scope *parent;
    struct dict vars;
};

struct render {
    struct arena *arena;
    const char *text; /* the template */
    size_t len;
    struct token *tokens;
    size_t n_tokens, cap_tokens, pos;
    struct scope *scope;
    struct buf *out;
    const struct buf *whole;  /* the text that is made: out, unless a part of it is made first */
    struct text_spans *spans; /* NULL: not asked for */
    size_t steps;
    int depth;
    size_t at; /* of the node being evaluated: for messages */
    enum flow { FLOW_NORMAL, FLOW_BREAK, FLOW_CONTINUE } flow;
    struct err *err;
    enum lc rc; /* the first failure */
};

bool render_fail(struct render *r, enum lc code, size_t at, const char *fmt, ...)
    PRINTF_LIKE(4, 5);                             /* false */
void *render_alloc(struct render *r, size_t size); /* zeroed; NULL sets rc */

bool template_lex(struct render *r);
struct node *template_parse(struct render *r);
bool template_run(struct render *r, const struct node *list);

/* ---- template_value.c ---- */
struct value v_string(const char *s, size_t n);
struct value v_text(const char *s);
struct value v_int(int64_t i);
struct value v_bool(bool b);
struct value v_list(struct render *r);
struct value v_dict(struct render *r);
bool list_put(struct render *r, struct list *l, struct value v);
bool dict_put(struct render *r, struct dict *d, struct value key, struct value v);
const struct value *dict_get(const struct dict *d, const struct value *key);
const struct value *dict_text(const struct dict *d, const char *key, size_t n);
bool v_from_json(struct render *r, const json_t *json, struct value *out);
bool v_truth(const struct value *v);
bool v_equal(const struct value *a, const struct value *b);
bool v_compare(struct render *r, const struct value *a, const struct value *b,
               int *out); /* false: no order */
bool v_contains(struct render *r, const struct value *in, const struct value *what, bool *out);
bool v_print(struct render *r, struct buf *out, const struct value *v); /* str() */
bool v_json(struct render *r, struct buf *out, const struct value *v, int indent, bool sort, bool ascii);
/* A list of what iterating gives: items, keys, characters. */
bool v_iterate(struct render *r, const struct value *v, struct list **out);
int64_t v_length(const struct value *v); /* -1: has none */
const char *v_kind(const struct value *v);
bool is_number(const struct value *v);
double as_double(const struct value *v);
struct value v_taken(struct render *r, struct buf *b); /* a string from a buffer, which is released */

/* ---- calls ---- */
struct args {
    struct value *items;       /* positional, then keyword */
    size_t n;                  /* positional */
    const struct node **names; /* of the keyword ones */
    size_t n_names;
};
const struct value *arg(const struct args *a, size_t i, const char *name); /* NULL: not given */
int64_t arg_int(const struct args *a, size_t i, const char *name, int64_t otherwise);
bool arg_flag(const struct args *a, size_t i, const char *name, bool otherwise);
/* Fails when it is no text. */
bool arg_text(struct render *r, const struct args *a, size_t i, const char *name, struct value *out);

struct function {
    const char *name;
    bool (*call)(struct render *r, const struct args *a, struct value *out);
};
extern const struct function template_functions[]; /* ends with a NULL name */

struct filter_row { /* also a test: out is then a boolean */
    const char *name;
    bool (*run)(struct render *r, const struct value *in, const struct args *a, struct value *out);
};
typedef bool filter_fn(struct render *r, const struct value *in, const struct args *a, struct value *out);
extern const struct filter_row template_filters[], template_tests[];
const struct filter_row *filter_find(const struct filter_row *rows, const char *name, size_t n);

/* ---- what methods share with filters: template_filter.c ---- */
filter_fn filter_upper, filter_lower, filter_capitalize, filter_title, filter_replace, filter_join,
    filter_items;
enum { STRIP_LEFT = 1, STRIP_RIGHT = 2 };
struct value v_stripped(const struct value *v, const struct value *chars, unsigned sides);
bool v_as_text(struct render *r, const struct value *v, struct value *out); /* any value, as print shows it */
bool v_copied_list(struct render *r, const struct value *in, struct value *out);
bool is_python_space(uint32_t c);

struct method_row {
    const char *name;
    enum value_kind kind;
    bool (*run)(struct render *r, const struct value *self, const struct args *a, struct value *out);
};
extern const struct method_row template_methods[];

bool get_attribute(struct render *r, const struct value *v, const char *name, size_t n, struct value *out);
#endif

/* template_eval.c: walks the tree and writes the text. */
#include "gpu/tokenizer/assistant.h"
#include "gpu/tokenizer/template_int.h"
#include "runtime/base/utf8.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STEPS_MAX = 5000000, DEPTH_MAX = 120, ARENA_MAX = 512 << 20 };

static bool eval(struct render *r, const struct node *n, struct value *out);

bool render_fail(struct render *r, enum lc code, size_t at, const char *fmt, ...)
{
    va_list ap;

    if (r->rc != LC_OK)
        return false;
    va_start(ap, fmt);
    r->rc = err_vset(r->err, code, fmt, ap);
    va_end(ap);
    err_at(r->err, (int64_t)at);
    return false;
}

void *render_alloc(struct render *r, size_t size)
{
    void *p = arena_zalloc(r->arena, size);

    if (!p && r->rc == LC_OK)
        r->rc = err_nomem(r->err);
    return p;
}

/* ---- names ---- */
static const struct value *lookup(const struct render *r, const char *name, size_t n)
{
    for (const struct scope *s = r->scope; s; s = s->parent) {
        const struct value *v = dict_text(&s->vars, name, n);
        if (v)
            return v;
    }
    return NULL;
}

static struct value undefined(const char *name, size_t n)
{
    return (struct value){.kind = V_UNDEFINED, .as.str = {name, n}};
}

static bool eval_name(struct render *r, const struct node *n, struct value *out)
{
    const struct value *v = lookup(r, n->text, n->len);

    *out = v ? *v : undefined(n->text, n->len);
    if (v)
        return true;
    for (const struct function *f = template_functions; f->name; f++)
        if (strlen(f->name) == n->len && memcmp(f->name, n->text, n->len) == 0)
            *out = (struct value){.kind = V_FUNCTION, .as.function = f};
    return true;
}

static bool refuse_undefined(struct render *r, const struct value *v, size_t at)
{
    if (v->kind != V_UNDEFINED)
        return true;
    return render_fail(r, LC_DATA, at, "'%.*s' is undefined", (int)(v->as.str.n < 100 ? v->as.str.n : 100),
                       v->as.str.s);
}

bool get_attribute(struct render *r, const struct value *v, const char *name, size_t n, struct value *out)
{
    const struct value *found = v->kind == V_DICT ? dict_text(v->as.dict, name, n) : NULL;
    struct value *self;

    for (const struct method_row *m = template_methods; m->name; m++) {
        if (m->kind != v->kind || strlen(m->name) != n || memcmp(m->name, name, n) != 0 ||
            (v->kind == V_DICT && v->as.dict->is_namespace))
            continue;
        if ((self = render_alloc(r, sizeof *self)) == NULL)
            return false;
        *self = *v;
        *out = (struct value){.kind = V_METHOD, .as.method = {m, self}};
        return true;
    }
    *out = found ? *found : undefined(name, n);
    return true;
}

static bool eval_attribute(struct render *r, const struct node *n, struct value *out)
{
    struct value v;

    return eval(r, n->a, &v) && refuse_undefined(r, &v, n->at) && get_attribute(r, &v, n->text, n->len, out);
}

static bool index_list(const struct value *v, const struct value *key, struct value *out)
{
    int64_t i = key->kind == V_INT ? key->as.i : 0, n = v_length(v);
    size_t at;

    i += i < 0 ? n : 0;
    if (key->kind != V_INT || i < 0 || i >= n)
        return false;
    if (v->kind == V_LIST) {
        *out = v->as.list->items[i];
        return true;
    }
    at = utf8_offset(v->as.str.s, v->as.str.n, (size_t)i);
    *out = v_string(v->as.str.s + at, utf8_offset(v->as.str.s + at, v->as.str.n - at, 1));
    return true;
}

static bool eval_item(struct render *r, const struct node *n, struct value *out)
{
    struct value v, key;
    const struct value *found = NULL;

    if (!eval(r, n->a, &v) || !refuse_undefined(r, &v, n->at) || !eval(r, n->b, &key))
        return false;
    if (v.kind == V_DICT && (found = dict_get(v.as.dict, &key)) != NULL) {
        *out = *found;
        return true;
    }
    if ((v.kind == V_LIST || v.kind == V_STRING) && index_list(&v, &key, out))
        return true;
    if (key.kind == V_STRING)
        return get_attribute(r, &v, key.as.str.s, key.as.str.n, out);
    *out = undefined("item", 4);
    return true;
}

static int64_t slice_bound(const struct value *v, int64_t otherwise, int64_t n, int64_t low, int64_t high)
{
    int64_t i = v->kind == V_INT ? v->as.i + (v->as.i < 0 ? n : 0) : otherwise;

    return i < low ? low : i > high ? high : i;
}

static bool eval_slice(struct render *r, const struct node *n, struct value *out)
{
    struct value v, from = {.kind = V_NONE}, to = from, step = v_int(1), chars;
    struct list *items;
    int64_t len, i, end;

    if (!eval(r, n->a, &v) || !refuse_undefined(r, &v, n->at) || (n->b && !eval(r, n->b, &from)) ||
        (n->c && !eval(r, n->c, &to)) || (n->body && !eval(r, n->body, &step)) || !v_iterate(r, &v, &items))
        return false;
    if (v.kind == V_DICT)
        return render_fail(r, LC_DATA, n->at, "a mapping has no slices");
    if (step.kind != V_INT || step.as.i == 0)
        return render_fail(r, LC_DATA, n->at, "a slice's step must be a whole number and not 0");
    *out = v_list(r);
    len = (int64_t)items->n;
    i = step.as.i > 0 ? slice_bound(&from, 0, len, 0, len) : slice_bound(&from, len - 1, len, -1, len - 1);
    end = step.as.i > 0 ? slice_bound(&to, len, len, 0, len) : slice_bound(&to, -1, len, -1, len - 1);
    for (; r->rc == LC_OK && (step.as.i > 0 ? i < end : i > end); i += step.as.i)
        list_put(r, out->as.list, items->items[i]);
    out->tuple = v.tuple;
    if (v.kind == V_STRING && r->rc == LC_OK) {
        struct buf b = BUF_INIT(BUF_TEXT_MAX);
        chars = *out;
        for (size_t k = 0; k < chars.as.list->n; k++)
            buf_add(&b, chars.as.list->items[k].as.str.s, chars.as.list->items[k].as.str.n);
        *out = v_taken(r, &b);
    }
    return r->rc == LC_OK;
}

/* ---- operators ---- */
static bool join_texts(struct render *r, const struct value *a, const struct value *b, struct value *out)
{
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    bool ok = v_print(r, &text, a) && v_print(r, &text, b);

    if (ok)
        *out = v_taken(r, &text);
    buf_release(&text);
    return ok && r->rc == LC_OK;
}

static bool join_lists(struct render *r, const struct value *a, const struct value *b, struct value *out)
{
    *out = v_list(r);
    for (size_t i = 0; r->rc == LC_OK && i < a->as.list->n; i++)
        list_put(r, out->as.list, a->as.list->items[i]);
    for (size_t i = 0; r->rc == LC_OK && i < b->as.list->n; i++)
        list_put(r, out->as.list, b->as.list->items[i]);
    out->tuple = a->tuple;
    return r->rc == LC_OK;
}

static bool repeat(struct render *r, const struct value *text, int64_t times, struct value *out)
{
    struct buf b = BUF_INIT(BUF_TEXT_MAX);

    for (int64_t i = 0; i < times && text->as.str.n && buf_add(&b, text->as.str.s, text->as.str.n);)
        i++;
    *out = v_taken(r, &b);
    return r->rc == LC_OK;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;

    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

static bool whole_math(struct render *r, char op, bool twice, int64_t a, int64_t b, struct value *out)
{
    int64_t x = 0;
    bool over = false;

    if ((op == '/' || op == '%') && b == 0)
        return render_fail(r, LC_DATA, r->at, "division by zero");
    if (op == '/' && !twice) {
        *out = (struct value){.kind = V_FLOAT, .as.f = (double)a / (double)b};
        return true;
    }
    if (op == '+')
        over = __builtin_add_overflow(a, b, &x);
    else if (op == '-')
        over = __builtin_sub_overflow(a, b, &x);
    else if (op == '*' && !twice)
        over = __builtin_mul_overflow(a, b, &x);
    else if (b == -1 && op != '*') /* INT64_MIN / -1 */
        over = op == '/' && __builtin_sub_overflow((int64_t)0, a, &x);
    else if (op == '/')
        x = floor_div(a, b);
    else if (op == '%')
        x = a - b * floor_div(a, b);
    else if (b < 0 || b > 64)
        over = true;
    else
        for (x = 1; b > 0 && !over; b--)
            over = __builtin_mul_overflow(x, a, &x);
    *out = v_int(x);
    return !over || render_fail(r, LC_LIMIT, r->at, "a whole number is too large");
}

static bool real_math(struct render *r, char op, bool twice, double a, double b, struct value *out)
{
    double x = op == '+' ? a + b : op == '-' ? a - b : op == '*' ? (twice ? pow(a, b) : a * b) : 0;

    if ((op == '/' || op == '%') && !(b < 0) && !(b > 0))
        return render_fail(r, LC_DATA, r->at, "division by zero");
    if (op == '/')
        x = twice ? floor(a / b) : a / b;
    if (op == '%')
        x = a - b * floor(a / b);
    *out = (struct value){.kind = V_FLOAT, .as.f = x};
    return true;
}

static bool eval_binary(struct render *r, const struct node *n, struct value *out)
{
    struct value a, b;
    char op = n->text[0];
    bool twice = n->len == 2;

    if (!eval(r, n->a, &a) || !eval(r, n->b, &b))
        return false;
    r->at = n->at;
    if (op == '~')
        return join_texts(r, &a, &b, out);
    if (!refuse_undefined(r, &a, n->at) || !refuse_undefined(r, &b, n->at))
        return false;
    if (op == '+' && a.kind == V_STRING && b.kind == V_STRING)
        return join_texts(r, &a, &b, out);
    if (op == '+' && a.kind == V_LIST && b.kind == V_LIST)
        return join_lists(r, &a, &b, out);
    if (op == '*' && !twice && a.kind == V_STRING && b.kind == V_INT)
        return repeat(r, &a, b.as.i, out);
    if (op == '*' && !twice && b.kind == V_STRING && a.kind == V_INT)
        return repeat(r, &b, a.as.i, out);
    if (!is_number(&a) || !is_number(&b))
        return render_fail(r, LC_DATA, n->at, "'%s' does not work between '%s' and '%s'", n->text, v_kind(&a),
                           v_kind(&b));
    if (a.kind == V_FLOAT || b.kind == V_FLOAT)
        return real_math(r, op, twice, as_double(&a), as_double(&b), out);
    return whole_math(r, op, twice, a.kind == V_INT ? a.as.i : a.as.b, b.kind == V_INT ? b.as.i : b.as.b,
                      out);
}

static bool eval_compare(struct render *r, const struct node *n, struct value *out)
{
    struct value a, b;
    int order = 0;
    bool yes = false;

    if (!eval(r, n->a, &a) || !eval(r, n->b, &b))
        return false;
    r->at = n->at;
    if (strcmp(n->text, "==") == 0 || strcmp(n->text, "!=") == 0) {
        *out = v_bool(v_equal(&a, &b) == (n->text[0] == '='));
        return true;
    }
    if (n->text[0] == 'i' || n->text[0] == 'n') {
        if (!v_contains(r, &b, &a, &yes))
            return false;
        *out = v_bool(yes == (n->text[0] == 'i'));
        return true;
    }
    if (!refuse_undefined(r, &a, n->at) || !refuse_undefined(r, &b, n->at) || !v_compare(r, &a, &b, &order))
        return false;
    *out = v_bool(n->text[0] == '<' ? order < 0 || (n->len == 2 && order == 0)
                                    : order > 0 || (n->len == 2 && order == 0));
    return true;
}

static bool eval_sign(struct render *r, const struct node *n, struct value *out)
{
    if (!eval(r, n->a, out) || !refuse_undefined(r, out, n->at))
        return false;
    if (!is_number(out))
        return render_fail(r, LC_DATA, n->at, "a '%s' has no sign", v_kind(out));
    if (out->kind == V_BOOL)
        *out = v_int(out->as.b);
    if (n->kind == N_NEGATE && out->kind == V_FLOAT)
        out->as.f = -out->as.f;
    else if (n->kind == N_NEGATE && __builtin_sub_overflow((int64_t)0, out->as.i, &out->as.i))
        return render_fail(r, LC_LIMIT, n->at, "a whole number is too large");
    return true;
}

/* ---- calls ---- */
const struct value *arg(const struct args *a, size_t i, const char *name)
{
    if (i < a->n)
        return &a->items[i];
    for (size_t k = 0; name && k < a->n_names; k++)
        if (strlen(name) == a->names[k]->len && memcmp(name, a->names[k]->text, a->names[k]->len) == 0)
            return &a->items[a->n + k];
    return NULL;
}

static bool eval_args(struct render *r, const struct node *list, struct args *a)
{
    size_t n = 0;

    memset(a, 0, sizeof *a);
    for (const struct node *p = list; p; p = p->next)
        n++;
    a->items = render_alloc(r, (n + 1) * sizeof *a->items);
    a->names = render_alloc(r, (n + 1) * sizeof *a->names);
    if (!a->items || !a->names)
        return false;
    for (const struct node *p = list; p; p = p->next) {
        bool keyword = p->kind == N_TUPLE && p->flag;
        if (!keyword && a->n_names)
            return render_fail(r, LC_SYNTAX, p->at, "a positional argument follows a named one");
        if (!eval(r, keyword ? p->a : p, &a->items[a->n + a->n_names]))
            return false;
        if (keyword)
            a->names[a->n_names++] = p;
        else
            a->n++;
    }
    return true;
}

static bool render_into(struct render *r, const struct node *body, struct value *out)
{
    struct buf text = BUF_INIT(BUF_TEXT_MAX), *outer = r->out;
    bool ok;

    r->out = &text;
    ok = template_run(r, body);
    r->out = outer;
    if (ok)
        *out = v_taken(r, &text);
    buf_release(&text);
    return ok && r->rc == LC_OK;
}

static bool call_macro(struct render *r, const struct value *macro, const struct args *a, struct value *out)
{
    const struct node *m = macro->as.macro;
    struct scope inner = {.parent = macro->scope}, *outer = r->scope;
    size_t i = 0;
    bool ok = true;

    if (++r->depth > DEPTH_MAX)
        return render_fail(r, LC_LIMIT, m->at, "the template calls itself too deeply");
    r->scope = &inner;
    for (const struct node *p = m->args; ok && p; p = p->next, i++) {
        char name[100];
        const struct value *given;
        struct value v = undefined(p->text, p->len);
        snprintf(name, sizeof name, "%.*s", (int)p->len, p->text);
        given = arg(a, i, name);
        if (given)
            v = *given;
        else if (p->a)
            ok = eval(r, p->a, &v);
        ok = ok && dict_put(r, &inner.vars, v_string(p->text, p->len), v);
    }
    if (ok && a->n > i)
        ok = render_fail(r, LC_DATA, r->at, "macro '%.*s' takes %zu arguments", (int)m->len, m->text, i);
    ok = ok && render_into(r, m->body, out);
    r->scope = outer;
    r->flow = FLOW_NORMAL;
    r->depth--;
    return ok;
}

static bool call_value(struct render *r, const struct value *f, const struct args *a, struct value *out)
{
    switch (f->kind) {
    case V_FUNCTION:
        return f->as.function->call(r, a, out);
    case V_METHOD:
        return f->as.method.row->run(r, f->as.method.self, a, out);
    case V_MACRO:
        return call_macro(r, f, a, out);
    default:
        return refuse_undefined(r, f, r->at) &&
               render_fail(r, LC_DATA, r->at, "'%s' object is not callable", v_kind(f));
    }
}

static bool eval_call(struct render *r, const struct node *n, struct value *out)
{
    struct value f;
    struct args a;

    if (!eval(r, n->a, &f))
        return false;
    if (f.kind == V_UNDEFINED && n->a->kind == N_ATTR)
        return render_fail(r, LC_UNSUPPORTED, n->a->at, "the method '%.*s' is not supported", (int)n->a->len,
                           n->a->text);
    if (!refuse_undefined(r, &f, n->at) || !eval_args(r, n->args, &a))
        return false;
    r->at = n->at;
    return call_value(r, &f, &a, out);
}

static bool run_filter(struct render *r, const struct node *n, const struct value *in, struct value *out)
{
    const struct filter_row *row =
        filter_find(n->kind == N_TEST ? template_tests : template_filters, n->text, n->len);
    struct args a;

    if (!row || !eval_args(r, n->args, &a))
        return false;
    r->at = n->at;
    return row->run(r, in, &a, out);
}

static bool eval_filter(struct render *r, const struct node *n, struct value *out)
{
    struct value in;

    if (!n->a || !eval(r, n->a, &in) || !run_filter(r, n, &in, out))
        return false;
    if (n->kind == N_TEST && n->flag)
        out->as.b = !out->as.b;
    return true;
}

/* ---- lists and choices ---- */
static bool eval_list(struct render *r, const struct node *n, struct value *out)
{
    *out = v_list(r);
    out->tuple = n->kind == N_TUPLE;
    for (const struct node *p = n->args; p; p = p->next) {
        struct value v;
        if (r->rc != LC_OK || !eval(r, p, &v) || !list_put(r, out->as.list, v))
            return false;
    }
    return r->rc == LC_OK;
}

static bool eval_dict(struct render *r, const struct node *n, struct value *out)
{
    *out = v_dict(r);
    for (const struct node *p = n->args; p; p = p->next) {
        struct value key, v;
        if (r->rc != LC_OK || !eval(r, p->a, &key) || !eval(r, p->b, &v) ||
            !dict_put(r, out->as.dict, key, v))
            return false;
    }
    return r->rc == LC_OK;
}

static bool eval_not(struct render *r, const struct node *n, struct value *out)
{
    struct value v;

    if (!eval(r, n->a, &v))
        return false;
    *out = v_bool(!v_truth(&v));
    return true;
}

static bool eval_and_or(struct render *r, const struct node *n, struct value *out)
{
    if (!eval(r, n->a, out))
        return false;
    return v_truth(out) == (n->kind == N_OR) || eval(r, n->b, out);
}

static bool eval_cond(struct render *r, const struct node *n, struct value *out)
{
    struct value test;

    if (!eval(r, n->b, &test))
        return false;
    if (v_truth(&test))
        return eval(r, n->a, out);
    *out = undefined("", 0);
    return !n->c || eval(r, n->c, out);
}

static bool eval_literal(struct render *r, const struct node *n, struct value *out)
{
    (void)r;
    *out = n->value;
    return true;
}

static bool eval(struct render *r, const struct node *n, struct value *out)
{
    static bool (*const kinds[])(struct render *, const struct node *, struct value *) = {
        [N_LITERAL] = eval_literal, [N_NAME] = eval_name,   [N_ATTR] = eval_attribute,
        [N_ITEM] = eval_item,       [N_SLICE] = eval_slice, [N_CALL] = eval_call,
        [N_FILTER] = eval_filter,   [N_TEST] = eval_filter, [N_LIST] = eval_list,
        [N_TUPLE] = eval_list,      [N_DICT] = eval_dict,   [N_NOT] = eval_not,
        [N_NEGATE] = eval_sign,     [N_PLUS] = eval_sign,   [N_BINARY] = eval_binary,
        [N_AND] = eval_and_or,      [N_OR] = eval_and_or,   [N_COMPARE] = eval_compare,
        [N_COND] = eval_cond,
    };

    if (++r->steps > STEPS_MAX)
        return render_fail(r, LC_LIMIT, n->at, "the template takes too many steps");
    r->at = n->at;
    return kinds[n->kind](r, n, out) && r->rc == LC_OK;
}

/* ---- statements ---- */
static bool assign(struct render *r, const struct node *target, const struct value *v)
{
    struct list *items;
    size_t i = 0;

    if (target->kind == N_NAME)
        return dict_put(r, &r->scope->vars, v_string(target->text, target->len), *v);
    if (target->kind == N_ATTR) {
        struct value ns;
        if (!eval(r, target->a, &ns))
            return false;
        if (ns.kind != V_DICT || !ns.as.dict->is_namespace)
            return render_fail(r, LC_DATA, target->at, "cannot assign attribute on non-namespace object");
        return dict_put(r, ns.as.dict, v_string(target->text, target->len), *v);
    }
    if (!v_iterate(r, v, &items))
        return false;
    for (const struct node *p = target->args; p; p = p->next, i++)
        if (i >= items->n || !assign(r, p, &items->items[i]))
            return render_fail(r, LC_DATA, target->at, "there are %zu values to unpack, not as many as names",
                               items->n);
    return i == items->n ||
           render_fail(r, LC_DATA, target->at, "there are %zu values to unpack into %zu names", items->n, i);
}

static bool run_output(struct render *r, const struct node *n)
{
    struct value v;

    return eval(r, n->a, &v) && v_print(r, r->out, &v);
}

static bool run_text(struct render *r, const struct node *n)
{
    return buf_add(r->out, n->text, n->len) ||
           render_fail(r, LC_LIMIT, n->at, "the text that the template makes is too long");
}

static bool cycle(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    const struct value *index = dict_text(self->as.dict, "index0", 6);

    if (!index || a->n == 0)
        return render_fail(r, LC_DATA, r->at, "cycle needs values");
    *out = a->items[(size_t)index->as.i % a->n];
    return true;
}

static const struct method_row loop_cycle = {"cycle", V_DICT, cycle};

static bool put_loop(struct render *r, struct scope *s, const struct list *items, size_t i)
{
    struct value loop = v_dict(r), *self = render_alloc(r, sizeof *self);
    int64_t n = (int64_t)items->n, at = (int64_t)i;
    struct dict *d = loop.as.dict;
    bool ok;

    if (r->rc != LC_OK)
        return false;
    d->is_namespace = true; /* its names are not those of a dict's methods */
    ok = dict_put(r, d, v_text("index0"), v_int(at)) && dict_put(r, d, v_text("index"), v_int(at + 1)) &&
         dict_put(r, d, v_text("revindex0"), v_int(n - at - 1)) &&
         dict_put(r, d, v_text("revindex"), v_int(n - at)) &&
         dict_put(r, d, v_text("first"), v_bool(i == 0)) &&
         dict_put(r, d, v_text("last"), v_bool(at + 1 == n)) && dict_put(r, d, v_text("length"), v_int(n)) &&
         dict_put(r, d, v_text("depth"), v_int(1)) &&
         dict_put(r, d, v_text("depth0"), v_int(0)) /* they count recursion, which is not here */;
    if (i > 0)
        ok = ok && dict_put(r, d, v_text("previtem"), items->items[i - 1]);
    if (at + 1 < n)
        ok = ok && dict_put(r, d, v_text("nextitem"), items->items[i + 1]);
    *self = loop;
    return ok &&
           dict_put(r, d, v_text("cycle"),
                    (struct value){.kind = V_METHOD, .as.method = {&loop_cycle, self}}) &&
           dict_put(r, &s->vars, v_text("loop"), loop);
}

/* Those that the loop's own condition lets through; the condition sees the item and no loop. */
static bool choose(struct render *r, const struct node *n, const struct list *all, struct list **out)
{
    struct value list = v_list(r);

    for (size_t i = 0; r->rc == LC_OK && i < all->n; i++) {
        struct scope inner = {.parent = r->scope};
        struct value test = v_bool(false);
        bool ok;
        r->scope = &inner;
        ok = assign(r, n->a, &all->items[i]) && eval(r, n->c, &test);
        r->scope = inner.parent;
        if (ok && v_truth(&test))
            list_put(r, list.as.list, all->items[i]);
    }
    *out = list.as.list;
    return r->rc == LC_OK;
}

static bool run_for(struct render *r, const struct node *n)
{
    struct value v;
    struct list *items;
    bool ok = true;

    if (!eval(r, n->b, &v) || !v_iterate(r, &v, &items) || (n->c && !choose(r, n, items, &items)))
        return false;
    if (items->n == 0)
        return template_run(r, n->otherwise);
    for (size_t i = 0; ok && i < items->n && r->flow != FLOW_BREAK; i++) {
        struct scope *inner = render_alloc(r, sizeof *inner); /* a macro made here may keep it */
        if (!inner)
            return false;
        inner->parent = r->scope;
        r->flow = FLOW_NORMAL;
        r->scope = inner;
        ok = assign(r, n->a, &items->items[i]) && put_loop(r, inner, items, i) && template_run(r, n->body);
        r->scope = inner->parent;
    }
    r->flow = FLOW_NORMAL;
    return ok;
}

static bool run_if(struct render *r, const struct node *n)
{
    struct value v;

    return eval(r, n->a, &v) && template_run(r, v_truth(&v) ? n->body : n->otherwise);
}

static bool run_set(struct render *r, const struct node *n)
{
    struct value v;

    return eval(r, n->b, &v) && assign(r, n->a, &v);
}

/* A block's text through the filters that its tag names, the innermost first. */
static bool filtered(struct render *r, const struct node *filter, const struct value *text, struct value *out)
{
    struct value inner = *text;

    if (filter->a && !filtered(r, filter->a, text, &inner))
        return false;
    return run_filter(r, filter, &inner, out);
}

static bool run_set_block(struct render *r, const struct node *n)
{
    struct value text, v;

    if (!render_into(r, n->body, &text))
        return false;
    v = text;
    return (!n->b || filtered(r, n->b, &text, &v)) && assign(r, n->a, &v);
}

static bool run_filter_block(struct render *r, const struct node *n)
{
    struct value text, v;

    return render_into(r, n->body, &text) && filtered(r, n->b, &text, &v) && v_print(r, r->out, &v);
}

static bool run_macro(struct render *r, const struct node *n)
{
    struct value macro = {.kind = V_MACRO, .as.macro = n, .scope = r->scope};

    return dict_put(r, &r->scope->vars, v_string(n->text, n->len), macro);
}

static bool run_flow(struct render *r, const struct node *n)
{
    r->flow = n->kind == N_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
    return true;
}

/* The body in a scope of its own. Its place is where the whole text ended before, as transformers finds it: in a macro, that is
 * before the macro's own text. */
static bool run_generation(struct render *r, const struct node *n)
{
    struct scope *inner = render_alloc(r, sizeof *inner); /* a macro made here may keep it */
    struct value text;
    size_t start;
    bool ok;

    if (!inner)
        return false;
    inner->parent = r->scope;
    r->scope = inner;
    ok = render_into(r, n->body, &text);
    r->scope = inner->parent;
    if (!ok || !r->spans)
        return ok && v_print(r, r->out, &text);
    start = utf8_count(r->whole->data, r->whole->len);
    if (text_spans_put(r->spans, (struct text_span){start, start + utf8_count(text.as.str.s, text.as.str.n)},
                       r->err) != LC_OK) {
        r->rc = LC_NOMEM;
        return false;
    }
    return v_print(r, r->out, &text);
}

bool template_run(struct render *r, const struct node *list)
{
    static bool (*const kinds[])(struct render *, const struct node *) = {
        [N_TEXT] = run_text,
        [N_OUTPUT] = run_output,
        [N_FOR] = run_for,
        [N_IF] = run_if,
        [N_SET] = run_set,
        [N_SET_BLOCK] = run_set_block,
        [N_MACRO] = run_macro,
        [N_BREAK] = run_flow,
        [N_CONTINUE] = run_flow,
        [N_GENERATION] = run_generation,
        [N_FILTER_BLOCK] = run_filter_block,
    };

    for (const struct node *n = list; n && r->flow == FLOW_NORMAL; n = n->next) {
        if (++r->steps > STEPS_MAX)
            return render_fail(r, LC_LIMIT, n->at, "the template takes too many steps");
        r->at = n->at;
        if (!kinds[n->kind](r, n) || r->rc != LC_OK)
            return false;
    }
    return true;
}

enum lc template_render(const char *text, size_t len, const json_t *variables, struct buf *out,
                        struct err *err)
{
    return template_render_marked(text, len, variables, out, NULL, err);
}

enum lc template_render_marked(const char *text, size_t len, const json_t *variables, struct buf *out,
                               struct text_spans *spans, struct err *err)
{
    struct err local;
    struct render r = {.text = text,
                       .len = len,
                       .out = out,
                       .whole = out,
                       .spans = spans,
                       .err = err ? err : &local,
                       .arena = arena_new(ARENA_MAX)};
    struct scope top = {.parent = NULL};
    struct value vars;
    struct node *tree = NULL;

    if (!r.arena)
        return err_nomem(err);
    r.scope = &top;
    if (!utf8_valid(text, len))
        render_fail(&r, LC_DATA, 0, "the template is not UTF-8");
    if (r.rc == LC_OK && template_lex(&r))
        tree = template_parse(&r);
    if (r.rc == LC_OK && v_from_json(&r, variables, &vars)) {
        if (vars.kind == V_DICT)
            top.vars = *vars.as.dict;
        r.depth = 0;
        if (!template_run(&r, tree)) /* a text that could not grow says no more than that */
            render_fail(&r, LC_LIMIT, r.at,
                        "the text that the template makes is too long, or memory ran out");
    }
    arena_free(r.arena);
    return r.rc == LC_OK ? buf_check(out, err) : r.rc;
}

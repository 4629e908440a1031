/* What is made of the manual's table: type stubs for editors, the reference, help on a name. */
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/session/manual_int.h"
#include "runtime/session/names.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOPICS = 256 };

/* ---- topics by name, each once ---- */
struct topics {
    const struct manual_topic *list[TOPICS]; /* the first of each name */
    size_t n;
    bool standard; /* Lua's own too */
};

static bool note_topic(void *arg, const struct manual_topic *topic)
{
    struct topics *t = arg;

    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->list[i]->name, topic->name) == 0) {
            if (!*t->list[i]->doc)
                t->list[i] = topic;
            return true;
        }
    if (t->n < TOPICS && (t->standard || !topic->standard))
        t->list[t->n++] = topic;
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct manual_topic *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

static void gather(const struct session_global *globals, bool standard, struct topics *out)
{
    *out = (struct topics){.standard = standard};
    manual_topics(globals, note_topic, out);
    qsort(out->list, out->n, sizeof *out->list, by_name);
}

struct named { /* all rows of the topics of one name */
    const char *name;
    bool standard;
    manual_fn *fn;
    void *arg;
};

static bool rows_of_named(void *arg, const struct manual_topic *topic)
{
    const struct named *x = arg;

    if (strcmp(topic->name, x->name) == 0 && (x->standard || !topic->standard))
        manual_each_of(topic, x->fn, x->arg);
    return true;
}

static void each_named(const struct session_global *globals, const char *name, bool standard, manual_fn *fn,
                       void *arg)
{
    struct named x = {name, standard, fn, arg};

    manual_topics(globals, rows_of_named, &x);
}

static bool is_topic(const struct topics *t, const char *name, size_t len)
{
    for (size_t i = 0; i < t->n; i++)
        if (strlen(t->list[i]->name) == len && memcmp(t->list[i]->name, name, len) == 0)
            return true;
    return false;
}

/* ---- stubs ---- */
/* Types that have no rows of their own. */
static const char others[] =
    "\n---@class Row\n---@field [string|integer] any\n\n---@class StructType\n---@field names string[]\n"
    "---@field fields table[]\n---@field [string] any\n\n---@alias Schema StructType|string|table\n\n"
    "---@class spark.catalog: Catalog\n\n---@class SparkSession\n---@field builder SparkSession.builder\n\n"
    "---@class Plot\n\n---@class PromptTuningConfig\n\n---@class PrefixTuningConfig\n\n";

#define REST "…"

struct stubs {
    struct buf *out;
    const struct topics *all;
    const char *variable; /* what rows hang on; "": globals */
};

static void put_comment(struct buf *out, struct manual_text t, const char *mark)
{
    const char *p = t.s, *end = t.s + t.len;

    while (p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        stop = stop ? stop : end;
        buf_puts(out, mark);
        buf_add(out, p, (size_t)(stop - p));
        buf_putc(out, '\n');
        p = stop + 1;
    }
}

static const char *safe_name(struct manual_text name, char *out, size_t size)
{
    static const char *const words[] = {
        "and", "break", "do",  "else", "elseif", "end",    "false",  "for",  "function", "goto",  "if",
        "in",  "local", "nil", "not",  "or",     "repeat", "return", "then", "true",     "until", "while"};

    snprintf(out, size, "%.*s", (int)name.len, name.s);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(out, words[i]) == 0)
            snprintf(out, size, "%s_", words[i]);
    return out;
}

/* "function F.sum", or "F["not"] = function" where Lua's grammar wants it. */
static void put_head(struct stubs *s, const struct manual_entry *e)
{
    const char *name = e->name;
    char safe[128];

    if (!*s->variable)
        buf_printf(s->out, "function %s", name);
    else if (strcmp(safe_name((struct manual_text){name, strlen(name)}, safe, sizeof safe), name) == 0)
        buf_printf(s->out, "function %s%s%s", s->variable, manual_is_method(e) ? ":" : ".", name);
    else
        buf_printf(s->out, "%s[\"%s\"] = function", s->variable, name);
}

/* Where a Column is taken, a name or SQL is, too. */
static void put_param_type(struct buf *out, const struct manual_entry *e, const struct manual_param *p)
{
    struct buf type = BUF_INIT(1 << 16);
    const char *text;

    if (p->type.len || !e->topic->type_of || !e->topic->type_of(e, p->name, &type))
        manual_param_type(p, &type);
    text = buf_str(&type);
    if (strcmp(text, "Column") == 0)
        text = "Column|ColumnName";
    else if (strcmp(text, "Column[]") == 0)
        text = "Column|ColumnName|(Column|ColumnName)[]";
    buf_puts(out, text);
    buf_release(&type);
}

/* What stands behind one that may be left out may be left out, too; names behind "..." are in the table with names only. */
static void put_params(struct buf *out, const struct manual_entry *e, const struct manual_call *call)
{
    char name[128];
    bool optional = false, rest = false;

    for (int i = 0; i < call->n && !rest; i++) {
        const struct manual_param *p = &call->params[i];
        rest = p->rest;
        optional = optional || p->optional;
        buf_printf(out, "---@param %s%s ", rest ? "..." : safe_name(p->name, name, sizeof name),
                   optional && !rest ? "?" : "");
        put_param_type(out, e, p);
        if (p->fallback.len)
            buf_printf(out, " default: %.*s", (int)p->fallback.len, p->fallback.s);
        buf_putc(out, '\n');
    }
}

/* The next of "A, {B, …}, …"; returns what is behind it. */
static const char *next_type(const char *p, const char *end, struct manual_text *type)
{
    const char *start;
    int depth = 0;

    while (p < end && (*p == ' ' || *p == ','))
        p++;
    for (start = p; p < end && (*p != ',' || depth > 0); p++)
        depth += (strchr("({[", *p) != NULL) - (strchr(")}]", *p) != NULL);
    *type = (struct manual_text){start, (size_t)(p - start)};
    return p;
}

/* A line for each; "DataFrame, …" gives any number of them. */
static void put_return(struct buf *out, struct manual_text all, const char *fallback)
{
    struct manual_param p = {.type = all};

    if (all.len == 0)
        buf_printf(out, fallback ? "---@return %s\n" : "", fallback);
    for (const char *at = all.s, *end = all.s + all.len; at && at < end;) {
        struct manual_text after;
        at = next_type(at, end, &p.type);
        (void)next_type(at, end, &after);
        bool more = after.len == strlen(REST) && memcmp(after.s, REST, after.len) == 0;
        buf_puts(out, "---@return ");
        manual_param_type(&p, out);
        buf_puts(out, more ? " ...\n" : "\n");
        if (more)
            break;
    }
}

static bool takes_data(const struct manual_call *call)
{
    for (int i = 0; i < call->n; i++)
        if (call->params[i].name.len == 4 && memcmp(call->params[i].name.s, "data", 4) == 0)
            return true;
    return false;
}

/* A table with names may stand for the arguments; plot.line{…}, plot.line(df, {…}): `before` it. */
static void put_overload(struct buf *out, const struct manual_entry *e, const struct manual_call *call,
                         const char *before)
{
    struct manual_param returns = {0};
    char name[128];
    bool first = true;

    buf_printf(out, "---@overload fun(%soptions: {", before);
    for (int i = 0; i < call->n; i++) {
        const struct manual_param *p = &call->params[i];
        if (p->rest)
            continue;
        buf_printf(out, "%s%s?: ", first ? "" : ", ", safe_name(p->name, name, sizeof name));
        put_param_type(out, e, p);
        first = false;
    }
    buf_puts(out, first ? "[string]: any})" : "})");
    (void)next_type(call->returns.s, call->returns.s + call->returns.len, &returns.type);
    if (returns.type.len || e->topic->returns)
        buf_puts(out, ": ");
    if (returns.type.len)
        manual_param_type(&returns, out);
    else if (e->topic->returns)
        buf_puts(out, e->topic->returns);
    buf_putc(out, '\n');
}

static void put_function(struct stubs *s, const struct manual_entry *e)
{
    struct manual_call *call = mem_zalloc(sizeof *call);
    struct buf *out = s->out;
    char name[128];
    bool vararg = false;

    if (!call)
        return;
    bool known = manual_parse(e->signature, call);
    put_comment(out, e->doc, "---");
    if (e->example.len && !e->sql) {
        buf_puts(out, "---```lua\n");
        put_comment(out, e->example, "---");
        buf_puts(out, "---```\n");
    }
    put_params(out, e, call);
    put_return(out, call->returns, e->topic->returns);
    if (known && call->named)
        put_overload(out, e, call, manual_is_method(e) ? "self, " : "");
    if (known && call->named && takes_data(call))
        put_overload(out, e, call, "data: DataFrame, ");
    put_head(s, e);
    buf_putc(out, '(');
    for (int i = 0; i < call->n && !vararg; i++) {
        vararg = call->params[i].rest;
        buf_printf(out, "%s%s", i ? ", " : "",
                   vararg ? "..." : safe_name(call->params[i].name, name, sizeof name));
    }
    buf_puts(out, known ? ") end\n\n" : "...) end\n\n");
    mem_free(call);
}

static struct manual_text field_type(const struct manual_entry *e)
{
    const char *colon = memchr(e->signature.s, ':', e->signature.len),
               *end = e->signature.s + e->signature.len;

    if (!colon)
        return (struct manual_text){"any", 3};
    for (colon++; colon < end && *colon == ' ';)
        colon++;
    return (struct manual_text){colon, (size_t)(end - colon)};
}

static bool stub_field(void *arg, const struct manual_entry *e)
{
    struct stubs *s = arg;
    struct manual_param p = {.type = field_type(e)};
    size_t line = 0;

    if (!e->field)
        return true;
    while (line < e->doc.len && e->doc.s[line] != '\n')
        line++;
    if (*s->variable) {
        buf_printf(s->out, "---@field %s ", e->name);
        manual_param_type(&p, s->out);
        buf_printf(s->out, " %.*s\n", (int)line, e->doc.s);
        return true;
    }
    put_comment(s->out, e->doc, "---");
    buf_puts(s->out, "---@type ");
    manual_param_type(&p, s->out);
    buf_printf(s->out, "\n%s = nil\n\n", e->name);
    return true;
}

static bool stub_function(void *arg, const struct manual_entry *e)
{
    struct stubs *s = arg;
    bool known =
        *s->variable || !is_topic(s->all, e->name, strlen(e->name)); /* display: a table that can be called */

    for (const char *p = e->name; *p; p++)
        known = known && (isalnum((unsigned char)*p) || *p == '_');
    if (!e->field && known)
        put_function(s, e);
    return true;
}

/* Is the class itself a global: DeltaTable.forName(…)? */
static bool is_global(const struct session_global *row, const char *name)
{
    while (row && row->name && strcmp(row->name, name) != 0)
        row++;
    return row && row->name;
}

/* "add sub unm": what LuaLS calls the operators that a class has; each gives the class again. */
static void put_operators(const struct manual_topic *t, struct buf *out)
{
    const char *p = t->operators ? t->operators : "";

    for (size_t n; *p; p += n + (p[n] == ' ')) {
        n = strcspn(p, " ");
        bool unary = n == 3 && (memcmp(p, "unm", 3) == 0 || memcmp(p, "len", 3) == 0);
        unary = unary || (n == 4 && memcmp(p, "bnot", 4) == 0);
        buf_printf(out, "---@operator %.*s%s: %s\n", (int)n, p, unary ? "" : "(any)", t->name);
    }
    if (t->element)
        buf_printf(out, "---@overload fun(name: ColumnName): %s\n", t->element);
}

static void stub_topic(const struct session_global *globals, const struct topics *all,
                       const struct manual_topic *t, struct buf *out)
{
    const char *dot = strrchr(t->name, '.');
    bool hangs = is_global(globals, t->name) ||
                 (t->kind == MANUAL_MODULE && (!dot || is_topic(all, t->name, (size_t)(dot - t->name))));
    struct manual_entry e;
    char variable[128];
    struct stubs s = {.out = out, .all = all, .variable = variable};

    snprintf(variable, sizeof variable, "%s", t->name);
    for (char *p = variable; !hangs && *p; p++)
        *p = *p == '.' ? '_' : *p;
    if (*t->name) {
        put_comment(out, (struct manual_text){t->doc, strlen(t->doc)}, "---");
        buf_printf(out, "---@class %s%s\n", t->kind == MANUAL_MODULE ? "lacus." : "", t->name);
        if (manual_find(globals, "", 0, t->name, strlen(t->name), &e))
            buf_puts(out, "---@overload fun(...): any\n");
        put_operators(t, out);
        each_named(globals, t->name, false, stub_field, &s);
        buf_printf(out, "%s%s = {}\n\n", hangs ? "" : "local ", variable);
    } else {
        each_named(globals, t->name, false, stub_field, &s);
    }
    each_named(globals, t->name, false, stub_function, &s);
}

/* spark = …: globals that are objects of a class. */
static void stub_objects(const struct session_global *row, const struct topics *all, struct buf *out)
{
    for (; row && row->name; row++) {
        const struct manual_topic *first = row->topics ? row->topics[0] : NULL;
        if (first && first->kind == MANUAL_CLASS && !is_topic(all, row->name, strlen(row->name)))
            buf_printf(out, "---%s\n---@type %s\n%s = nil\n\n", row->doc, first->name, row->name);
    }
}

static bool stub_values(void *arg, const struct manual_topic *topic)
{
    for (const struct manual_values *v = topic->values; v && v->type; v++)
        buf_printf(arg, "---@alias %s string\n", v->type);
    return true;
}

void manual_stubs(const struct session_global *globals, const struct session_magic *magics, struct buf *out)
{
    struct topics *all = mem_zalloc(sizeof *all);

    (void)magics;
    buf_puts(out, "---@meta lacus\n-- What a cell of lacus " LACUS_VERSION
                  " can say, for editors with LuaLS; made by 'lacus help --stubs'.\n\n---@alias Path "
                  "string\n---@alias Sql string\n");
    buf_puts(out, others);
    if (!all)
        return;
    manual_topics(globals, stub_values, out);
    buf_putc(out, '\n');
    gather(globals, false, all);
    for (size_t i = 0; i < all->n; i++)
        stub_topic(globals, all, all->list[i], out);
    stub_objects(globals, all, out);
    mem_free(all);
}

/* ---- the reference ---- */
static void put_markdown_text(struct buf *out, struct manual_text t)
{
    for (size_t i = 0; i < t.len; i++) {
        if (strchr("*_<>|`#", t.s[i]) && t.s[i])
            buf_putc(out, '\\');
        buf_putc(out, t.s[i]);
    }
}

static void put_example(struct buf *out, struct manual_text t, const char *language)
{
    buf_printf(out, "\n  ```%s\n", language);
    for (const char *p = t.s, *end = t.s + t.len; p < end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        stop = stop ? stop : end;
        p += *p == '\t';
        buf_printf(out, "  %.*s\n", (int)(stop - p), p);
        p = stop + 1;
    }
    buf_puts(out, "  ```\n\n");
}

static bool markdown_row(void *arg, const struct manual_entry *e)
{
    struct buf *out = arg;

    if (e->alias_of) {
        buf_printf(out, "- `%s`: another name of `%s`\n", e->name, e->alias_of);
        return true;
    }
    buf_puts(out, "- `");
    if (e->field)
        buf_add(out, e->signature.s, e->signature.len);
    else
        manual_signature(e, out);
    buf_putc(out, '`');
    if (e->doc.len) {
        buf_puts(out, "  \n  ");
        put_markdown_text(out, e->doc);
    }
    buf_putc(out, '\n');
    if (e->example.len)
        put_example(out, e->example, e->sql ? "sql" : "lua");
    return true;
}

void manual_markdown(const struct session_global *globals, const struct session_magic *magics,
                     struct buf *out)
{
    struct topics *all = mem_zalloc(sizeof *all);

    buf_puts(out, "# What a cell can say\n\nMade by `make manual` from the table that completion, `name?` "
                  "and `lacus help NAME` "
                  "read.\n\n");
    if (!all)
        return;
    gather(globals, true, all);
    for (size_t i = 0; i < all->n; i++) {
        const struct manual_topic *t = all->list[i];
        buf_printf(out, "## %s\n\n%s\n\n", *t->name ? t->name : "Names without a library", t->doc);
        each_named(globals, t->name, true, markdown_row, out);
        buf_putc(out, '\n');
    }
    mem_free(all);
    buf_puts(out, "## Magics\n\n");
    for (const struct session_magic *m = magics; m && m->name; m++) {
        buf_printf(out, "- `%s`  \n  ", m->usage);
        put_markdown_text(out, (struct manual_text){m->doc, strlen(m->doc)});
        buf_putc(out, '\n');
        if (m->example)
            put_example(out, (struct manual_text){m->example, strlen(m->example)}, "text");
    }
}

/* ---- help on a name ---- */
struct asked {
    const struct session_global *globals;
    struct manual_text topic, name; /* topic.s NULL: any */
    struct buf *out;
    size_t found;
    const char **names; /* for "did you mean" */
    size_t n, cap;
};

static void put_block(struct buf *out, struct manual_text t, const char *before)
{
    for (const char *p = t.s, *end = t.s + t.len; p < end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        stop = stop ? stop : end;
        p += *p == '\t';
        buf_printf(out, "%s%.*s\n", before, (int)(stop - p), p);
        p = stop + 1;
    }
}

static void tell(const struct manual_entry *e, struct buf *out)
{
    if (e->field)
        buf_printf(out, "%s%s%.*s\n", e->topic->name, *e->topic->name ? "." : "", (int)e->signature.len,
                   e->signature.s);
    else {
        manual_signature(e, out);
        buf_putc(out, '\n');
    }
    put_block(out, e->doc, "  ");
    if (e->alias_of)
        buf_printf(out, "  another name of %s\n", e->alias_of);
    put_block(out, e->example, e->sql ? "  SQL> " : "  > ");
}

static bool tell_if_asked(void *arg, const struct manual_entry *e)
{
    struct asked *a = arg;
    bool same = strlen(e->name) == a->name.len && memcmp(e->name, a->name.s, a->name.len) == 0;

    if (a->n < a->cap)
        a->names[a->n++] = e->name;
    if (!same || (a->topic.s && (strlen(e->topic->name) != a->topic.len ||
                                 memcmp(e->topic->name, a->topic.s, a->topic.len) != 0)))
        return true;
    if (a->found++)
        buf_putc(a->out, '\n');
    tell(e, a->out);
    return true;
}

static bool list_row(void *arg, const struct manual_entry *e)
{
    struct buf *out = arg;
    size_t line = 0;

    while (line < e->doc.len && e->doc.s[line] != '\n')
        line++;
    buf_printf(out, "  %-24s %.*s\n", e->name, (int)line, e->doc.s);
    return true;
}

/* A topic or a global: what it is, and its rows. */
static bool tell_topic(const struct session_global *globals, const char *name, struct buf *out)
{
    struct topics *all = mem_zalloc(sizeof *all);
    const struct session_global *row = globals;
    const char *shown = name;
    bool found = false;

    if (!all)
        return false;
    gather(globals, true, all);
    while (row && row->name && strcmp(row->name, name) != 0)
        row++;
    if (row && row->name) {
        buf_printf(out, "%s\n", row->doc);
        found = true;
        if (row->topics && row->topics[0] && row->topics[0]->kind == MANUAL_CLASS &&
            !is_topic(all, name, strlen(name)))
            shown = row->topics[0]->name;
    }
    for (size_t i = 0; i < all->n && *name; i++)
        if (strcmp(all->list[i]->name, shown) == 0) {
            if (!found)
                buf_printf(out, "%s: %s\n", shown, all->list[i]->doc);
            each_named(globals, shown, true, list_row, out);
            found = true;
        }
    mem_free(all);
    return found;
}

static bool tell_magic(const struct session_magic *magics, const char *name, struct buf *out)
{
    while (*name == '%')
        name++;
    for (const struct session_magic *m = magics; m && m->name; m++)
        if (strcmp(m->name, name) == 0) {
            buf_printf(out, "%s\n  %s\n", m->usage, m->doc);
            if (m->example)
                put_block(out, (struct manual_text){m->example, strlen(m->example)}, "  > ");
            return true;
        }
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void tell_nearest(struct asked *a)
{
    struct buf near = BUF_INIT(512);
    char word[128];
    size_t n = 0;

    snprintf(word, sizeof word, "%.*s", (int)a->name.len, a->name.s);
    qsort(a->names, a->n, sizeof *a->names, by_text);
    for (size_t i = 0; i < a->n; i++)
        if (n == 0 || strcmp(a->names[n - 1], a->names[i]) != 0)
            a->names[n++] = a->names[i];
    nearest_list(&near, word, a->names, n, 3);
    if (near.len)
        buf_printf(a->out, "did you mean %s?", buf_str(&near));
    buf_release(&near);
}

bool manual_help(const struct session_global *globals, const struct session_magic *magics, const char *name,
                 struct buf *out)
{
    const char *mark = name + strlen(name);
    struct asked a = {.globals = globals, .out = out, .cap = 4096};

    if (*name == '%')
        return tell_magic(magics, name, out);
    while (mark > name && mark[-1] != '.' && mark[-1] != ':')
        mark--;
    a.name = (struct manual_text){mark, strlen(mark)};
    if (mark > name)
        a.topic = (struct manual_text){name, (size_t)(mark - name) - 1};
    if (tell_topic(globals, name, out))
        return true;
    a.names = mem_calloc(a.cap, sizeof *a.names);
    if (!a.names)
        return false;
    manual_each(globals, tell_if_asked, &a);
    if (!a.found && a.topic.s) { /* spark.sql: the global's class; df.show: any */
        a.topic.s = NULL;
        a.n = 0;
        manual_each(globals, tell_if_asked, &a);
    }
    if (!a.found && tell_magic(magics, name, out))
        a.found = 1;
    if (!a.found)
        tell_nearest(&a);
    mem_free(a.names);
    return a.found > 0;
}

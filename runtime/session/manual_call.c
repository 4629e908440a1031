/* Signatures: parameters, their types and defaults. */
#include "runtime/base/mem.h"
#include "runtime/session/manual.h"
#include <ctype.h>
#include <string.h>

#define REST "…"

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && *p == ' ')
        p++;
    return p;
}

static struct manual_text trimmed(const char *s, const char *end)
{
    s = skip_blanks(s, end);
    while (end > s && end[-1] == ' ')
        end--;
    return (struct manual_text){s, (size_t)(end - s)};
}

/* The end of the part that begins at p: one of `stops` outside of brackets and quotes, or end. */
static const char *part_end(const char *p, const char *end, const char *stops)
{
    int depth = 0;
    char quote = 0;

    for (; p < end; p++) {
        if (quote) {
            p += *p == '\\' && p + 1 < end;
            quote = *p == quote ? 0 : quote;
        } else if (depth == 0 && strchr(stops, *p)) {
            return p;
        } else if (*p == '"' || (*p == '\'' && depth)) {
            quote = *p;
        } else {
            depth += (strchr("([{", *p) != NULL) - (strchr(")]}", *p) != NULL);
            if (depth < 0)
                return p;
        }
    }
    return end;
}

static bool is(struct manual_text t, const char *s)
{
    return t.len == strlen(s) && memcmp(t.s, s, t.len) == 0;
}

static bool name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static bool add_param(struct manual_call *call, const char *p, const char *end, bool optional)
{
    struct manual_text all = trimmed(p, end);
    struct manual_param *x = &call->params[call->n];
    const char *q = all.s, *stop = all.s + all.len;

    if (all.len == 0)
        return true;
    if (call->n == MANUAL_PARAMS)
        return false;
    *x = (struct manual_param){.optional = optional};
    if (all.len >= sizeof REST - 1 && memcmp(all.s, REST, sizeof REST - 1) == 0) {
        x->rest = x->optional = true;
        x->name = (struct manual_text){REST, sizeof REST - 1};
        q += sizeof REST - 1;
    } else {
        while (q < stop && name_char(*q))
            q++;
        x->name = (struct manual_text){all.s, (size_t)(q - all.s)};
    }
    if (q < stop && *q == '?') {
        x->optional = true;
        q++;
    }
    q = skip_blanks(q, stop);
    if (q < stop && *q == ':') {
        const char *type = q + 1;
        q = part_end(type, stop, "=");
        x->type = trimmed(type, q);
    }
    if (q < stop && *q == '=') {
        x->fallback = trimmed(q + 1, stop);
        x->optional = true;
        q = stop;
    }
    call->n += x->name.len > 0 && skip_blanks(q, stop) == stop;
    return true;
}

/* a, b [, c]: from after the bracket to before its partner. */
static bool add_params(struct manual_call *call, const char *p, const char *end)
{
    bool optional = false;

    while (p < end) {
        const char *q = part_end(p, end, ",[]");
        if (!add_param(call, p, q, optional))
            return false;
        optional = optional || (q < end && *q == '[');
        p = q + 1;
    }
    return true;
}

/* {"key":default,…}: what a widget takes, as its row has it. */
static bool parse_object(const char *p, const char *end, struct manual_call *call)
{
    const char *stop, *colon;

    for (p++; p < end && call->n < MANUAL_PARAMS; p = stop + 1) {
        stop = part_end(p, end, ",");
        colon = part_end(p, stop, ":");
        struct manual_text key = trimmed(p, colon), value = colon < stop ? trimmed(colon + 1, stop) : key;
        if (key.len < 3 || key.s[1] == '_')
            continue;
        call->params[call->n++] =
            (struct manual_param){.name = {key.s + 1, key.len - 2},
                                  .fallback = is(value, "null") ? (struct manual_text){"", 0} : value,
                                  .optional = true};
    }
    return call->named = true;
}

bool manual_parse(struct manual_text signature, struct manual_call *call)
{
    const char *p = signature.s, *end = p + signature.len, *open, *close;

    *call = (struct manual_call){0};
    if (p < end && *p == '{')
        return parse_object(p, end, call);
    while (p < end && (name_char(*p) || *p == '.' || *p == ':'))
        p++;
    if (p == end || p == signature.s || (*p != '(' && *p != '{'))
        return false;
    open = p;
    close = part_end(open + 1, end, "");
    if (close == end || !add_params(call, open + 1, close))
        return false;
    call->named = *open == '{';
    p = skip_blanks(close + 1, end);
    if (end - p > 2 && p[0] == '-' && p[1] == '>')
        call->returns = trimmed(p + 2, end);
    return true;
}

bool manual_call_of(const struct manual_entry *e, struct manual_call *call)
{
    struct manual_call *also = e->also ? mem_zalloc(sizeof *also) : NULL;
    bool known = manual_parse(e->signature, call);

    if (known && also && manual_parse((struct manual_text){e->also, strlen(e->also)}, also))
        for (int i = 0; i < also->n && call->n < MANUAL_PARAMS; i++)
            call->params[call->n++] = also->params[i];
    mem_free(also);
    return known;
}

/* Is it { name: type, … } or { name?, … }, and not the list {type, …}? */
bool manual_fields(struct manual_text type, struct manual_call *fields)
{
    const char *p = type.s, *end = type.s + type.len;

    *fields = (struct manual_call){0};
    while (p < end && *p != '{')
        p = skip_blanks(part_end(p, end, "|") + 1, end);
    type = p < end ? trimmed(p, part_end(p, end, "|")) : (struct manual_text){"", 0};
    if (type.len < 2 || type.s[0] != '{' || type.s[type.len - 1] != '}')
        return false;
    if (!add_params(fields, type.s + 1, type.s + type.len - 1) || fields->n == 0)
        return false;
    for (int i = 0; i < fields->n; i++)
        if (fields->params[i].type.len || fields->params[i].fallback.len)
            return true;
    return false;
}

/* ---- types ---- */
static const struct {
    const char *name, *type;
} usual[] = {
    /* what a parameter of this name is everywhere */
    {"n", "integer"},
    {"seed", "integer"},
    {"step", "integer"},
    {"numPartitions", "integer"},
    {"name", "string"},
    {"path", "Path"},
    {"text", "string"},
    {"key", "string"},
    {"label", "string"},
    {"format", "string"},
    {"mode", "string"},
    {"pattern", "string"},
    {"run_id", "string"},
    {"how", "\"inner\"|\"left\"|\"right\"|\"full\"|\"semi\"|\"anti\"|\"cross\"|\"any\"|\"all\""},
    {"title", "string"},
    {"column", "Column|ColumnName"},
    {"col", "Column|ColumnName"},
    {"columns", "Column|ColumnName"},
    {"cols", "Column|ColumnName"},
    {"col1", "Column|ColumnName"},
    {"col2", "Column|ColumnName"},
    {"subset", "ColumnName|table"},
    {"on", "ColumnName|Column|table"},
    {"partitionBy", "ColumnName|table"},
    {"sep", "string"},
    {"schema", "string|table"},
    {"aggregate", "Column"},
    {"condition", "Column|ColumnName"},
    {"other", "DataFrame"},
    {"df", "DataFrame"},
    {"fn", "function"},
    {"f", "function"},
    {"rows", "table"},
    {"options", "table"},
    {"max_results", "integer"},
    {"filter_string", "string"},
};

static const char *fallback_type(struct manual_text t)
{
    if (t.len == 0)
        return NULL;
    if (is(t, "true") || is(t, "false"))
        return "boolean";
    if (*t.s == '"' || *t.s == '\'')
        return "string";
    if (*t.s == '{' || *t.s == '[')
        return "table";
    if (isdigit((unsigned char)*t.s) || (*t.s == '-' && t.len > 1 && isdigit((unsigned char)t.s[1])))
        return memchr(t.s, '.', t.len) || memchr(t.s, 'e', t.len) ? "number" : "integer";
    return NULL;
}

static bool
plain_type(struct manual_text t) /* a word, or words with | . * [] between: LuaLS reads it as it is */
{
    for (size_t i = 0; i < t.len; i++)
        if (!name_char(t.s[i]) && !strchr("|.*[]\"?", t.s[i]))
            return false;
    return t.len > 0 && !isdigit((unsigned char)*t.s);
}

static void put_type(struct manual_text t, struct buf *out);

static void put_fields(const struct manual_call *fields, struct buf *out)
{
    buf_puts(out, "{ ");
    for (int i = 0, first = 1; i < fields->n; i++) {
        const struct manual_param *p = &fields->params[i];
        if (p->rest)
            continue;
        buf_printf(out, "%s%.*s%s: ", first ? "" : ", ", (int)p->name.len, p->name.s, p->optional ? "?" : "");
        manual_param_type(p, out);
        first = 0;
    }
    buf_puts(out, " }");
}

static void put_list(struct manual_text t, struct buf *out) /* {T, …} */
{
    const char *end = t.s + t.len - 1, *stop = part_end(t.s + 1, end, ",");
    struct manual_text rest = stop < end ? trimmed(stop + 1, end) : (struct manual_text){"", 0};

    if (!is(rest, REST)) {
        buf_puts(out, "table");
        return;
    }
    struct manual_text one = trimmed(t.s + 1, stop);
    bool sum = memchr(one.s, '|', one.len) != NULL;
    buf_puts(out, sum ? "(" : "");
    put_type(one, out);
    buf_puts(out, sum ? ")[]" : "[]");
}

static void put_type(struct manual_text t, struct buf *out)
{
    struct manual_call *fields;

    if (plain_type(t)) {
        buf_add(out, t.s, t.len);
    } else if (t.len > 2 && *t.s == '{' && t.s[t.len - 1] == '}') {
        fields = mem_zalloc(sizeof *fields);
        if (fields && manual_fields(t, fields) && !fields->params[0].rest)
            put_fields(fields, out);
        else
            put_list(t, out);
        mem_free(fields);
    } else {
        const char *bar = part_end(t.s, t.s + t.len, "|");
        if (bar < t.s + t.len) {
            put_type(trimmed(t.s, bar), out);
            buf_putc(out, '|');
            put_type(trimmed(bar + 1, t.s + t.len), out);
        } else {
            buf_puts(out, "any");
        }
    }
}

void manual_param_type(const struct manual_param *p, struct buf *out)
{
    const char *type = fallback_type(p->fallback);

    if (p->type.len) {
        put_type(p->type, out);
        return;
    }
    for (size_t i = 0; !type && i < sizeof usual / sizeof *usual; i++)
        if (is(p->name, usual[i].name))
            type = usual[i].type;
    buf_puts(out, type ? type : "any");
}

static void put_object(const struct manual_entry *e, struct buf *out)
{
    struct manual_call *call = mem_zalloc(sizeof *call);

    buf_printf(out, "%s{", e->name);
    for (int i = 0; call && manual_parse(e->signature, call) && i < call->n; i++) {
        const struct manual_param *p = &call->params[i];
        buf_printf(out, "%s%.*s%s%.*s", i ? ", " : "", (int)p->name.len, p->name.s,
                   p->fallback.len ? " = " : "", (int)p->fallback.len, p->fallback.s);
    }
    mem_free(call);
    buf_printf(out, "}%s%s", e->topic->returns ? " -> " : "", e->topic->returns ? e->topic->returns : "");
}

void manual_signature(const struct manual_entry *e, struct buf *out)
{
    size_t n = strlen(e->name), dots = 0;

    while (dots < e->signature.len && (name_char(e->signature.s[dots]) || strchr(".:", e->signature.s[dots])))
        dots++;
    bool bare = !memchr(e->signature.s, '.', dots) && !(memchr(e->signature.s, ':', dots) && !e->field);
    if (bare && *e->topic->name)
        buf_printf(out, "%s%c", e->topic->name, manual_is_method(e) ? ':' : '.');
    if (e->signature.len == 0)
        buf_puts(out, e->name);
    else if (*e->signature.s == '{')
        put_object(e, out);
    else if (e->alias_of && bare && strncmp(e->signature.s, e->alias_of, strlen(e->alias_of)) == 0) {
        size_t skip = strlen(e->alias_of);
        buf_add(out, e->name, n);
        buf_add(out, e->signature.s + skip, e->signature.len - skip);
    } else {
        buf_add(out, e->signature.s, e->signature.len);
    }
}

#include "runtime/notebook/parameters.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/base/real.h"
#include "runtime/session/scan.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DECLARED_MOST = 512, ASSIGNED_MOST = 32 };

#define BLANKS " \t\n\r\v\f"

/* The words that Python's float() reads, as papermill does. */
static json_t *number_word(const char *text)
{
    const char *word = text + (*text == '-' || *text == '+');

    if (strcasecmp(word, "nan") == 0)
        return real_json(NAN);
    if (strcasecmp(word, "inf") == 0 || strcasecmp(word, "infinity") == 0)
        return real_json(*text == '-' ? -INFINITY : INFINITY);
    return NULL;
}

/* As Python's int() and float() read digits: without the blanks around them and the _ between two of them. Owned. */
static char *plain_digits(const char *text)
{
    size_t start = strspn(text, BLANKS), len = strlen(text);
    char *plain;
    size_t n = 0;

    while (len > start && strchr(BLANKS, text[len - 1]))
        len--;
    plain = mem_strndup(text + start, len - start);
    for (size_t i = start; plain && i < len; i++)
        if (text[i] != '_' || i == start || !isdigit((unsigned char)text[i - 1]) ||
            !isdigit((unsigned char)text[i + 1]))
            plain[n++] = text[i];
    if (plain)
        plain[n] = '\0';
    return plain;
}

static json_t *number_of(const char *text)
{
    char *end;
    double real;
    long long whole;

    errno = 0;
    whole = strtoll(text, &end, 10);
    if (*text && *end == '\0' && errno != ERANGE) /* a larger one is a float, as in Lua */
        return json_integer(whole);
    if (strpbrk(text, "xXnN")) /* a hexadecimal one is a text here */
        return number_word(text);
    real = strtod(text, &end);
    return *text && *end == '\0' ? real_json(real) : NULL;
}

static json_t *number_value(const char *text)
{
    char *plain = plain_digits(text);
    json_t *value = plain ? number_of(plain) : NULL;

    mem_free(plain);
    return value;
}

json_t *parameter_value(const char *text)
{
    static const char *const nulls[] = {"null", "None", "nil"};
    json_t *value = number_value(text);

    if (value)
        return value;
    if (strcmp(text, "true") == 0 || strcmp(text, "True") == 0)
        return json_true();
    if (strcmp(text, "false") == 0 || strcmp(text, "False") == 0)
        return json_false();
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        if (strcmp(text, nulls[i]) == 0)
            return json_null();
    if (*text == '[' || *text == '{')
        value = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    return value ? value : json_string(text);
}

enum lc parameter_set(json_t *params, const char *name, json_t *value, struct err *err)
{
    if (*name && json_object_set_new(params, name, value) == 0)
        return LC_OK;
    if (*name)
        return err_set(err, LC_ARG, "the parameter '%s' is no UTF-8 text", name);
    json_decref(value);
    return err_set(err, LC_ARG, "a parameter without a name: '' cannot be one");
}

/* ---- does the notebook know them? ---- */
static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static size_t first_tagged(const struct notebook *nb, const char *tag)
{
    size_t at = 0;

    while (at < notebook_cell_count(nb) && !cell_has_tag(notebook_cell(nb, at), tag))
        at++;
    return at;
}

static void all_code(const struct notebook *nb, struct buf *out)
{
    for (size_t i = 0; i < notebook_cell_count(nb); i++)
        if (cell_is_code(notebook_cell(nb, i))) {
            cell_source(notebook_cell(nb, i), out);
            buf_putc(out, '\n');
        }
}

static bool occurs(const char *code, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = code; len && (p = strstr(p, name)) != NULL; p++)
        if ((p == code || !word_char(p[-1])) && !word_char(p[len]))
            return true;
    return false;
}

/* "dbutils.widgets.KIND(" at p, which a name in quotes follows: where the name begins; NULL: something else. */
static const char *widget_name(const char *p, size_t *len)
{
    p += strspn(p, "abcdefghijklmnopqrstuvwxyzA");
    p += strspn(p, " \t\n({");
    if (strncmp(p, "name", 4) == 0 && strchr(" =", p[4]))
        p += 4 + strspn(p + 4, " =");
    if (*p != '"' && *p != '\'')
        return NULL;
    *len = strcspn(p + 1, *p == '"' ? "\"\n" : "'\n");
    return p[1 + *len] == *p ? p + 1 : NULL;
}

/* The next name that dbutils.widgets is asked for or given, from *at on. */
static const char *next_widget(const char **at, size_t *len)
{
    static const char prefix[] = "dbutils.widgets.";

    while ((*at = strstr(*at, prefix)) != NULL) {
        const char *name;
        *at += sizeof prefix - 1;
        name = widget_name(*at, len);
        if (name)
            return name;
    }
    return NULL;
}

struct declared {
    const char *names[DECLARED_MOST]; /* owned */
    size_t n;
};

static void declare(struct declared *d, const char *name, size_t len)
{
    char *copy = d->n < DECLARED_MOST ? mem_strndup(name, len) : NULL;

    if (copy)
        d->names[d->n++] = copy;
}

static bool is_declared(const struct declared *d, const char *name)
{
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->names[i], name) == 0)
            return true;
    return false;
}

static void declared_release(struct declared *d)
{
    for (size_t i = 0; i < d->n; i++)
        mem_free((void *)(uintptr_t)d->names[i]);
}

/* What its outermost assignments name: a, b <const> = … */
static void declare_assigned(struct declared *d, const char *code, size_t len)
{
    struct scan x = scan_begin(code, len), names[ASSIGNED_MOST];
    size_t n = 0;
    int depth = 0;
    bool more = false; /* a comma stands before */

    for (; x.kind; scan_next(&x)) {
        depth += ((x.traits & (SCAN_OPENS | SCAN_OPENS_BLOCK)) != 0) -
                 ((x.traits & (SCAN_CLOSES | SCAN_CLOSES_BLOCK)) != 0);
        if (depth != 0)
            continue;
        if (x.kind == SCAN_NAME && !x.field) {
            n = more ? n : 0;
            if (n < ASSIGNED_MOST)
                names[n++] = x;
        } else if (scan_is(&x, "<")) { /* <const> */
            scan_next(&x);
            scan_next(&x);
        } else if (scan_is(&x, "=")) {
            for (size_t i = 0; i < n; i++)
                declare(d, names[i].at, names[i].len);
            n = 0;
        } else if (!scan_is(&x, ",")) {
            n = 0;
        }
        more = scan_is(&x, ",");
    }
}

static void find_widgets(const char *code, struct declared *d)
{
    const char *name;
    size_t len;

    while ((name = next_widget(&code, &len)) != NULL)
        declare(d, name, len);
}

static void find_assigned(const struct notebook *nb, struct declared *d)
{
    size_t at = first_tagged(nb, "parameters");
    struct buf source = BUF_INIT(BUF_TEXT_MAX);

    if (at < notebook_cell_count(nb) && cell_source(notebook_cell(nb, at), &source))
        declare_assigned(d, buf_str(&source), source.len);
    buf_release(&source);
}

static void find_declared(const struct notebook *nb, const char *code, struct declared *d)
{
    find_assigned(nb, d);
    find_widgets(code, d);
}

void parameters_for_widgets(json_t *params, const json_t *texts, const struct notebook *nb)
{
    struct buf code = BUF_INIT((size_t)1 << 26);
    struct declared widgets = {.n = 0}, assigned = {.n = 0};

    double real;

    all_code(nb, &code);
    find_widgets(buf_str(&code), &widgets);
    find_assigned(nb, &assigned);
    for (size_t i = 0; i < widgets.n; i++) {
        json_t *text = json_object_get(texts, widgets.names[i]),
               *value = json_object_get(params, widgets.names[i]);
        if (text && value && !is_declared(&assigned, widgets.names[i]) && !json_is_array(value) &&
            (!json_is_object(value) || real_read(value, &real)))
            json_object_set(params, widgets.names[i], text);
    }
    declared_release(&widgets);
    declared_release(&assigned);
    buf_release(&code);
}

void parameters_unknown(const json_t *params, const struct notebook *nb, struct buf *out)
{
    bool has_cell = first_tagged(nb, "parameters") < notebook_cell_count(nb);
    struct buf code = BUF_INIT((size_t)1 << 26);
    struct declared d = {.n = 0};
    const char *name;
    json_t *value;

    all_code(nb, &code);
    find_declared(nb, buf_str(&code), &d);
    json_object_foreach ((json_t *)params, name, value) {
        const char *meant;
        if (is_declared(&d, name) || (!has_cell && occurs(buf_str(&code), name)))
            continue;
        meant = nearest_one(name, d.names, d.n);
        buf_printf(out, "the notebook knows no parameter '%s'%s%s%s\n", name, meant ? "; did you mean '" : "",
                   meant ? meant : "", meant ? "'?" : "");
    }
    declared_release(&d);
    buf_release(&code);
}

void parameters_warn(const json_t *params, const struct notebook *nb)
{
    struct buf lines = BUF_INIT(1 << 16);

    parameters_unknown(params, nb, &lines);
    for (const char *line = buf_str(&lines); *line; line += strcspn(line, "\n") + 1)
        fprintf(stderr, "lacus run: warning: %.*s\n", (int)strcspn(line, "\n"), line);
    buf_release(&lines);
}

/* ---- as Lua ---- */
static void lua_literal(struct buf *out, const json_t *value);

static void lua_string(struct buf *out, const char *s, size_t len)
{
    buf_putc(out, '"');
    for (size_t i = 0; i < len; i++)
        if (s[i] == '"' || s[i] == '\\')
            buf_printf(out, "\\%c", s[i]);
        else if ((unsigned char)s[i] < 32)
            buf_printf(out, "\\%03d", s[i]);
        else
            buf_putc(out, s[i]);
    buf_putc(out, '"');
}

static void lua_table(struct buf *out, const json_t *value)
{
    const char *key;
    json_t *item;

    buf_putc(out, '{');
    for (size_t i = 0; i < json_array_size(value); i++) {
        buf_puts(out, i ? ", " : "");
        lua_literal(out, json_array_get(value, i));
    }
    if (json_is_object(value)) {
        bool first = true;
        json_object_foreach ((json_t *)value, key, item) {
            buf_puts(out, first ? "[" : ", [");
            lua_string(out, key, strlen(key));
            buf_puts(out, "] = ");
            lua_literal(out, item);
            first = false;
        }
    }
    buf_putc(out, '}');
}

/* The shortest text that is read back as the same number. */
static void real_literal(struct buf *out, double v)
{
    char text[40];

    if (!isfinite(v)) {
        buf_puts(out, isnan(v) ? "(0/0)" : v > 0 ? "math.huge" : "-math.huge");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_printf(out, "%s%s", text, strpbrk(text, ".e") ? "" : ".0"); /* a float stays one */
}

static void lua_literal(struct buf *out, const json_t *value)
{
    double real;

    if (real_read(value, &real))
        real_literal(out, real);
    else if (json_is_string(value))
        lua_string(out, json_string_value(value), json_string_length(value));
    else if (json_is_integer(value))
        buf_printf(out, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        real_literal(out, json_real_value(value));
    else if (json_is_boolean(value))
        buf_puts(out, json_is_true(value) ? "true" : "false");
    else if (json_is_null(value))
        buf_puts(out, "null");
    else
        lua_table(out, value);
}

static bool is_identifier(const char *name)
{
    if (!*name || isdigit((unsigned char)*name) || scan_begin(name, strlen(name)).kind == SCAN_KEYWORD)
        return false;
    for (; *name; name++)
        if (!word_char(*name))
            return false;
    return true;
}

/* Is it declared as dbutils.widgets.KIND("name"…)? Then get() sees it, and nothing needs to be assigned. */
static bool is_widget(const char *code, const char *name)
{
    const char *one;
    size_t len;

    while ((one = next_widget(&code, &len)) != NULL)
        if (len == strlen(name) && strncmp(one, name, len) == 0)
            return true;
    return false;
}

static bool all_widgets(const json_t *params, const struct notebook *nb)
{
    struct buf code = BUF_INIT((size_t)1 << 26);
    const char *name;
    json_t *value;
    bool all = true;

    all_code(nb, &code);
    json_object_foreach ((json_t *)params, name, value)
        all = all && is_widget(buf_str(&code), name);
    buf_release(&code);
    return all;
}

static void assignments(const json_t *params, struct buf *text)
{
    const char *name;
    json_t *value;

    buf_puts(text, "-- Parameters");
    json_object_foreach ((json_t *)params, name, value) {
        buf_puts(text, "\n");
        if (is_identifier(name)) {
            buf_printf(text, "%s = ", name);
        } else {
            buf_puts(text, "_G[");
            lua_string(text, name, strlen(name));
            buf_puts(text, "] = ");
        }
        if (json_is_null(value)) /* null is for what a table keeps */
            buf_puts(text, "nil");
        else
            lua_literal(text, value);
    }
}

enum lc parameters_inject(const json_t *params, struct notebook *nb, struct err *err)
{
    struct buf text = BUF_INIT((size_t)1 << 24);
    size_t n = notebook_cell_count(nb), at = first_tagged(nb, "parameters"),
           injected = first_tagged(nb, "injected-parameters");
    enum lc rc;

    if (json_object_size(params) == 0 || (at == n && injected == n && all_widgets(params, nb)))
        return LC_OK;
    if (injected < n) { /* of an earlier run: its place is taken */
        notebook_remove(nb, injected);
        at = injected;
    } else {
        at = at < n ? at + 1 : 0;
    }
    assignments(params, &text);
    rc = buf_check(&text, err);
    if (rc == LC_OK)
        rc = notebook_insert_code(nb, at, buf_str(&text), "injected-parameters", err);
    buf_release(&text);
    return rc;
}

void parameters_declared(const struct notebook *nb, struct buf *out)
{
    struct buf source = BUF_INIT(BUF_TEXT_MAX);

    buf_puts(out, "dbutils.widgets.check{");
    for (size_t i = 0; i < notebook_cell_count(nb); i++) {
        if (!cell_is_code(notebook_cell(nb, i)))
            continue;
        buf_clear(&source);
        if (!cell_source(notebook_cell(nb, i), &source) || !strstr(buf_str(&source), "dbutils"))
            continue;
        lua_string(out, buf_str(&source), source.len);
        buf_puts(out, ",");
    }
    buf_puts(out, "}");
    buf_release(&source);
}

/* ---- names of files ---- */

/* What of a value goes into a file's name: no separators. */
static void path_part(struct buf *out, const json_t *value)
{
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    double real;

    if (real_read(value, &real)) {
        buf_printf(out, "%g", real);
        free(text);
        return;
    }
    for (const char *p = text ? text : json_string_value(value); p && *p; p++)
        buf_putc(out, *p == '/' || (unsigned char)*p < 32 ? '_' : *p);
    free(text);
}

static enum lc path_name(const char *name, size_t len, const json_t *params, struct buf *out, struct err *err)
{
    char *key = mem_strndup(name, len);
    const json_t *value = key ? json_object_get(params, key) : NULL;
    const char *names[256];
    size_t n = 0;
    json_t *each;
    const char *one;

    if (value) {
        path_part(out, value);
        mem_free(key);
        return LC_OK;
    }
    json_object_foreach ((json_t *)params, one, each)
        if (n < sizeof names / sizeof *names)
            names[n++] = one;
    err_set(err, LC_ARG, "'{%s}' in a path: there is no parameter of that name", key ? key : "");
    one = key ? nearest_one(key, names, n) : NULL;
    mem_free(key);
    return one ? err_hint(err, "did you mean '{%s}'?", one) : LC_ARG;
}

enum lc parameters_path(const char *template, const json_t *params, struct buf *out, struct err *err)
{
    for (const char *p = template; *p; p++) {
        if ((*p == '{' || *p == '}') && p[1] == *p) {
            buf_putc(out, *p++);
        } else if (*p == '{' && strchr(p, '}')) {
            size_t len = strcspn(p + 1, "}");
            TRY(path_name(p + 1, len, params, out, err));
            p += len + 1;
        } else {
            buf_putc(out, *p);
        }
    }
    return buf_check(out, err);
}

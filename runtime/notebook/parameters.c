#include "runtime/notebook/parameters.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 4096 };

static json_t *number_value(const char *text)
{
    char *end;
    double real;
    long long whole = strtoll(text, &end, 10);

    if (*text && *end == '\0')
        return json_integer(whole);
    if (strpbrk(text, "xXnN")) /* hexadecimal, nan and inf are texts here */
        return NULL;
    real = strtod(text, &end);
    return *text && *end == '\0' && isfinite(real) ? json_real(real) : NULL;
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

/* ---- do they occur? ---- */
static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

struct words { /* the identifiers of a notebook's code; borrowed names live in `text` */
    struct buf text;
    const char *names[WORDS_MAX];
    size_t n;
};

static bool known(const struct words *w, const char *name)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->names[i], name) == 0)
            return true;
    return false;
}

static void collect_words(struct words *w)
{
    for (char *p = w->text.data; p && *p && w->n < WORDS_MAX;) {
        if (!word_char(*p)) {
            p++;
            continue;
        }
        char *word = p;
        while (word_char(*p))
            p++;
        bool at_end = *p == '\0';
        *p = '\0';
        if (!known(w, word))
            w->names[w->n++] = word;
        if (at_end)
            break;
        p++;
    }
}

enum lc parameters_check(const json_t *params, const struct notebook *nb, struct err *err)
{
    struct words *w = mem_zalloc(sizeof *w);
    enum lc rc = LC_OK;
    const char *name;
    json_t *value;

    if (!w)
        return err_nomem(err);
    buf_init(&w->text, (size_t)1 << 26);
    for (size_t i = 0; i < notebook_cell_count(nb); i++)
        if (cell_is_code(notebook_cell(nb, i))) {
            cell_source(notebook_cell(nb, i), &w->text);
            buf_putc(&w->text, '\n');
        }
    collect_words(w);
    json_object_foreach ((json_t *)params, name, value) {
        if (w->n == WORDS_MAX || known(w, name))
            continue;
        const char *meant = nearest_one(name, w->names, w->n);
        rc = err_set(err, LC_ARG, "parameter '%s' occurs nowhere in the notebook", name);
        if (meant)
            err_hint(err, "did you mean '%s'?", meant);
        break;
    }
    buf_release(&w->text);
    mem_free(w);
    return rc;
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

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_printf(out, "%s%s", text, strpbrk(text, ".en") ? "" : ".0"); /* a float stays one */
}

static void lua_literal(struct buf *out, const json_t *value)
{
    if (json_is_string(value))
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
    if (!*name || isdigit((unsigned char)*name))
        return false;
    for (; *name; name++)
        if (!word_char(*name))
            return false;
    return true;
}

/* Is it declared as dbutils.widgets.KIND("name"…)? Then get() sees it, and nothing needs to be assigned. */
static bool is_widget(const char *code, const char *name)
{
    static const char prefix[] = "dbutils.widgets.";
    size_t len = strlen(name);

    for (const char *p = code; (p = strstr(p, prefix)) != NULL;) {
        p += sizeof prefix - 1;
        p += strspn(p, "abcdefghijklmnopqrstuvwxyzA");
        p += strspn(p, " \t\n({");
        if (strncmp(p, "name", 4) == 0 && strchr(" =", p[4]))
            p += 4 + strspn(p + 4, " =");
        if ((*p == '"' || *p == '\'') && strncmp(p + 1, name, len) == 0 && p[len + 1] == *p)
            return true;
    }
    return false;
}

static bool all_widgets(const json_t *params, const struct notebook *nb)
{
    struct buf code = BUF_INIT((size_t)1 << 26);
    const char *name;
    json_t *value;
    bool all = true;

    for (size_t i = 0; i < notebook_cell_count(nb); i++)
        if (cell_is_code(notebook_cell(nb, i))) {
            cell_source(notebook_cell(nb, i), &code);
            buf_putc(&code, '\n');
        }
    json_object_foreach ((json_t *)params, name, value)
        all = all && is_widget(buf_str(&code), name);
    buf_release(&code);
    return all;
}

static size_t first_tagged(const struct notebook *nb, const char *tag)
{
    size_t at = 0;

    while (at < notebook_cell_count(nb) && !cell_has_tag(notebook_cell(nb, at), tag))
        at++;
    return at;
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

#include "runtime/notebook/parameters.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include <ctype.h>
#include <math.h>
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

static void lua_literal(struct buf *out, const json_t *value)
{
    if (json_is_string(value))
        lua_string(out, json_string_value(value), json_string_length(value));
    else if (json_is_integer(value))
        buf_printf(out, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        buf_printf(out, "%.17g", json_real_value(value));
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

enum lc parameters_inject(const json_t *params, struct notebook *nb, struct err *err)
{
    struct buf text = BUF_INIT((size_t)1 << 24);
    const char *name;
    json_t *value;
    enum lc rc;
    size_t at = 0;

    while (at < notebook_cell_count(nb) && !cell_has_tag(notebook_cell(nb, at), "parameters"))
        at++;
    if (at == notebook_cell_count(nb) || json_object_size(params) == 0)
        return LC_OK;
    if (at + 1 < notebook_cell_count(nb) && cell_has_tag(notebook_cell(nb, at + 1), "injected-parameters"))
        notebook_remove(nb, at + 1); /* of an earlier run */
    buf_puts(&text, "-- Parameters");
    json_object_foreach ((json_t *)params, name, value) {
        buf_puts(&text, "\n");
        if (is_identifier(name)) {
            buf_printf(&text, "%s = ", name);
        } else {
            buf_puts(&text, "_G[");
            lua_string(&text, name, strlen(name));
            buf_puts(&text, "] = ");
        }
        lua_literal(&text, value);
    }
    rc = buf_check(&text, err);
    if (rc == LC_OK)
        rc = notebook_insert_code(nb, at + 1, buf_str(&text), "injected-parameters", err);
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

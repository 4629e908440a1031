#include "repl/listing.h"
#include "repl/command.h"
#include "runtime/base/buf.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/base/utf8.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 16, CELL = 128, WIDEST = 60 };

/* ---- arguments --------------------------------------------------------------------------------------- */

static bool known(const char *name, const char *const *options)
{
    for (; *options; options++)
        if (strcmp(*options, name) == 0)
            return true;
    return strcmp(name, "--output") == 0;
}

static enum lc unknown(const char *word, const char *const *options, struct err *err)
{
    const char *names[ARGUMENTS_OPTIONS];
    size_t n = 0;
    const char *near;

    for (; *options && n + 1 < ARGUMENTS_OPTIONS; options++)
        names[n++] = *options;
    names[n++] = "--output";
    near = nearest_one(word, names, n);
    err_set(err, LC_ARG, "unknown option '%s'", word);
    return near ? err_hint(err, "did you mean '%s'?", near) : LC_ARG;
}

static enum lc take_option(int argc, char **argv, int *i, const char *const *options, struct arguments *out,
                           struct err *err)
{
    const char *name = argv[*i];

    if (!known(name, options))
        return unknown(name, options, err);
    if (*i + 1 >= argc)
        return err_set(err, LC_ARG, "the option '%s' needs a value", name);
    if (out->n_options == ARGUMENTS_OPTIONS)
        return err_set(err, LC_ARG, "too many options");
    out->options[out->n_options].name = name;
    out->options[out->n_options++].value = argv[++*i];
    return LC_OK;
}

enum lc arguments_parse(int argc, char **argv, const char *const *options, struct arguments *out,
                        struct err *err)
{
    const char *output;

    *out = (struct arguments){.n_words = 0};
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0)
            TRY(take_option(argc, argv, &i, options, out, err));
        else if (out->n_words == ARGUMENTS_WORDS)
            return err_set(err, LC_ARG, "too many arguments");
        else
            out->words[out->n_words++] = argv[i];
    }
    output = arguments_option(out, "--output");
    if (output && strcmp(output, "json") != 0 && strcmp(output, "table") != 0)
        return err_set(err, LC_ARG, "no output '%s': there are table and json", output);
    out->json = output && strcmp(output, "json") == 0;
    return LC_OK;
}

const char *arguments_option(const struct arguments *a, const char *name)
{
    for (size_t i = a->n_options; i > 0; i--)
        if (strcmp(a->options[i - 1].name, name) == 0)
            return a->options[i - 1].value;
    return NULL;
}

/* ---- verbs ------------------------------------------------------------------------------------------- */

static enum lc unknown_verb(const struct listing_command *c, const char *word, struct err *err)
{
    const char *names[ARGUMENTS_OPTIONS];
    size_t n = 0;
    const char *near;

    for (const struct listing_verb *v = c->verbs; v->name && n < ARGUMENTS_OPTIONS; v++)
        names[n++] = v->name;
    near = nearest_one(word, names, n);
    err_set(err, LC_ARG, "%s cannot '%s'", c->name, word);
    return near ? err_hint(err, "did you mean '%s'?", near) : LC_ARG;
}

static size_t words_needed(const char *wants)
{
    size_t n = 0;

    while (*wants && *wants != '[') {
        n++;
        wants += strcspn(wants, " ");
        wants += strspn(wants, " ");
    }
    return n;
}

static enum lc run_verb(const struct listing_command *c, const struct arguments *a, void *job,
                        struct err *err)
{
    const struct listing_verb *v = c->verbs;

    if (a->n_words == 0)
        return v->run(job, err);
    while (v->name && strcmp(v->name, a->words[0]) != 0)
        v++;
    if (!v->run)
        return unknown_verb(c, a->words[0], err);
    if (v->name && a->n_words <= words_needed(v->wants))
        return err_set(err, LC_ARG, "write lacus %s %s %s", c->name, v->name, v->wants);
    return v->run(job, err);
}

int listing_run(const struct listing_command *c, int argc, char **argv, struct arguments *a, void *job)
{
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = arguments_parse(argc, argv, c->options, a, &err);
    if (rc == LC_OK)
        rc = c->open(job, &err);
    if (rc == LC_OK)
        rc = run_verb(c, a, job, &err);
    c->close(job);
    return rc == LC_OK ? 0 : command_error(c->name, &err);
}

/* ---- tables ------------------------------------------------------------------------------------------ */

static void bytes_text(double n, char out[CELL])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    for (; n >= 1024 && unit < 4; n /= 1024)
        unit++;
    snprintf(out, CELL, unit ? "%.1f %s" : "%.0f %s", n, units[unit]);
}

static void time_text(int64_t ms, char out[CELL])
{
    char iso[ISO_TEXT];

    out[0] = '\0';
    if (ms <= 0)
        return;
    clock_iso(ms, iso);
    snprintf(out, CELL, "%.10s %.8s", iso, iso + 11);
}

/* Cuts between characters. */
static void text_text(const char *text, size_t columns, char out[CELL])
{
    size_t len = strcspn(text, "\n");
    bool cut = utf8_count(text, len) > columns;
    size_t bytes = cut ? utf8_offset(text, len, columns - 1) : len;

    snprintf(out, CELL, "%.*s%s", (int)(bytes < CELL - 4 ? bytes : CELL - 4), text, cut ? "…" : "");
}

static void cell_text(const json_t *row, const struct listing_column *c, char out[CELL])
{
    const json_t *v = json_object_get(row, c->member);

    out[0] = '\0';
    if (c->how == LISTING_TIME)
        time_text(json_integer_value(v), out);
    else if (c->how == LISTING_BYTES)
        bytes_text(json_number_value(v), out);
    else if (json_is_string(v))
        text_text(json_string_value(v), c->how == LISTING_SHORT ? 12 : WIDEST, out);
    else if (json_is_integer(v))
        snprintf(out, CELL, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v))
        snprintf(out, CELL, "%.6g", json_real_value(v));
    else if (json_is_boolean(v))
        snprintf(out, CELL, "%s", json_is_true(v) ? "yes" : "no");
}

static void print_cell(const char *text, size_t width, bool last)
{
    size_t used = utf8_columns(text, strlen(text));

    printf("%s%*s", text, last ? 0 : (int)(width > used ? width - used : 0) + 2, "");
}

void listing_print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);

    puts(text ? text : "null");
    free(text);
}

void listing_print(const json_t *rows, const struct listing_column *columns, bool json)
{
    size_t width[COLUMNS], n = 0, i;
    json_t *row;
    char text[CELL];

    if (json) {
        listing_print_json(rows);
        return;
    }
    for (; columns[n].member && n < COLUMNS; n++)
        width[n] = utf8_columns(columns[n].title, strlen(columns[n].title));
    json_array_foreach (rows, i, row)
        for (size_t c = 0; c < n; c++) {
            cell_text(row, &columns[c], text);
            size_t w = utf8_columns(text, strlen(text));
            width[c] = w > width[c] ? w : width[c];
        }
    for (size_t c = 0; c < n; c++)
        print_cell(columns[c].title, width[c], c + 1 == n);
    putchar('\n');
    json_array_foreach (rows, i, row) {
        for (size_t c = 0; c < n; c++) {
            cell_text(row, &columns[c], text);
            print_cell(text, width[c], c + 1 == n);
        }
        putchar('\n');
    }
}

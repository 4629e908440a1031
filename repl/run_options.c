#include "repl/run_options.h"
#include "runtime/base/buf.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/notebook/parameters.h"
#include "runtime/notebook/yaml.h"
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FROM_BASE64, FROM_FILE, FROM_YAML, FROM_TYPED, FROM_RAW };

struct row;
typedef enum lc apply_fn(struct run_options *o, const struct row *row, char **args, struct err *err);

struct row {
    const char *name, *other; /* "-p", "--parameters"; other may be NULL */
    int n;                    /* how many values follow */
    apply_fn *apply;
    size_t offset; /* of the member in struct run_options */
    const char *values, *help;
};

/* ---- what an option does ---- */
static enum lc set_flag(struct run_options *o, const struct row *row, char **args, struct err *err)
{
    (void)args, (void)err;
    *(bool *)((char *)o + row->offset) = true;
    return LC_OK;
}

static enum lc set_text(struct run_options *o, const struct row *row, char **args, struct err *err)
{
    (void)err;
    *(const char **)((char *)o + row->offset) = args[0];
    return LC_OK;
}

static enum lc set_seconds(struct run_options *o, const struct row *row, char **args, struct err *err)
{
    char *end;
    double value = strtod(args[0], &end);

    if (end == args[0] || *end || !(value >= 0) || value > 1e9)
        return err_set(err, LC_ARG, "%s: '%s' is no number of seconds", row->name, args[0]);
    *(double *)((char *)o + row->offset) = value;
    return LC_OK;
}

static enum lc set_count(struct run_options *o, const struct row *row, char **args, struct err *err)
{
    char *end;
    long value = strtol(args[0], &end, 10);

    if (end == args[0] || *end || value < 0 || value > 10000)
        return err_set(err, LC_ARG, "%s: '%s' is no count", row->name, args[0]);
    *(int *)((char *)o + row->offset) = (int)value;
    return LC_OK;
}

static enum lc add_skip(struct run_options *o, const struct row *row, char **args, struct err *err)
{
    if (o->n_skip == RUN_TAGS)
        return err_set(err, LC_ARG, "too many %s", row->name);
    o->skip[o->n_skip++] = args[0];
    return LC_OK;
}

static enum lc add_may_fail(struct run_options *o, const struct row *row, char **args, struct err *err)
{
    if (o->n_may_fail == RUN_TAGS)
        return err_set(err, LC_ARG, "too many %s", row->name);
    o->may_fail[o->n_may_fail++] = args[0];
    return LC_OK;
}

static enum lc add_sweep(struct run_options *o, const struct row *row, char **args, struct err *err)
{
    const char *equals = strchr(args[0], '=');

    if (!equals || equals == args[0] || !equals[1])
        return err_set(err, LC_ARG, "%s: write NAME=VALUE,VALUE,… instead of '%s'", row->name, args[0]);
    if (o->n_sweeps == RUN_SWEEPS)
        return err_set(err, LC_ARG, "too many %s", row->name);
    o->sweeps[o->n_sweeps++] = args[0];
    return LC_OK;
}

static enum lc add_typed(struct run_options *o, const struct row *row, char **args, struct err *err)
{
    (void)row;
    TRY(parameter_set(o->from[FROM_TYPED], args[0], parameter_value(args[1]), err));
    return parameter_set(o->texts, args[0], json_string(args[1]), err);
}

static enum lc add_raw(struct run_options *o, const struct row *row, char **args, struct err *err)
{
    (void)row;
    return parameter_set(o->from[FROM_RAW], args[0], json_string(args[1]), err);
}

/* YAML or JSON, which is YAML but for its escapes. */
static enum lc add_text(json_t *into, const char *text, size_t len, const char *name, struct err *err)
{
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    enum lc rc = value ? LC_OK : yaml_read(text, len, name, &value, err);

    if (rc == LC_OK && !json_is_null(value) && json_object_update(into, value) != 0)
        rc = err_set(err, LC_DATA, "the parameters of '%s' are no mapping of names to values", name);
    json_decref(value);
    return rc;
}

static enum lc add_file(struct run_options *o, const struct row *row, char **args, struct err *err)
{
    struct buf text = BUF_INIT((size_t)16 << 20);
    enum lc rc = fs_read(args[0], &text, err);

    (void)row;
    if (rc == LC_OK)
        rc = add_text(o->from[FROM_FILE], buf_str(&text), text.len, args[0], err);
    buf_release(&text);
    return rc;
}

static enum lc add_yaml(struct run_options *o, const struct row *row, char **args, struct err *err)
{
    return add_text(o->from[FROM_YAML], args[0], strlen(args[0]), row->name, err);
}

static enum lc add_base64(struct run_options *o, const struct row *row, char **args, struct err *err)
{
    size_t len = strlen(args[0]), n = 0;
    char *text = mem_alloc(len + 1);
    enum lc rc;

    if (!text)
        return err_nomem(err);
    if (sodium_base642bin((unsigned char *)text, len + 1, args[0], len, " \n", &n, NULL,
                          sodium_base64_VARIANT_ORIGINAL) == 0)
        rc = add_text(o->from[FROM_BASE64], text, n, row->name, err);
    else
        rc = err_set(err, LC_ARG, "%s: the text is no base64", row->name);
    mem_free(text);
    return rc;
}

#define AT(member) offsetof(struct run_options, member)
static const struct row rows[] = {
    {"-p", "--parameters", 2, add_typed, 0, "NAME VALUE",
     "a parameter: a number, True and None as papermill reads them; true, null, [1, 2] and {\"a\": 1} as in "
     "JSON"},
    {"-r", "--parameters_raw", 2, add_raw, 0, "NAME TEXT", "a parameter that is a text"},
    {"-f", "--parameters_file", 1, add_file, 0, "FILE", "parameters from a YAML or JSON file"},
    {"-y", "--parameters_yaml", 1, add_yaml, 0, "TEXT", "parameters from a YAML text"},
    {"-b", "--parameters_base64", 1, add_base64, 0, "TEXT", "parameters from a YAML text in base64"},
    {"-o", "--output", 1, set_text, AT(output), "OUT",
     "where the notebook with its outputs goes: a file ({NAME} is a parameter's value) or a folder, - for "
     "standard output; in place without it"},
    {"-q", "--quiet", 0, set_flag, AT(quiet), "", "shows nothing but errors"},
    {"--progress", "--progress-bar", 0, set_flag, AT(progress), "",
     "a progress bar instead of cells and their output"},
    {"--log-output", NULL, 0, set_flag, AT(log_output), "",
     "cells and their output as log, on standard error"},
    {"--resume", NULL, 0, set_flag, AT(resume), "",
     "goes on where the run that wrote OUT failed; the cells before run again for their state only; a "
     "complete run stays as it is"},
    {"--cell-timeout", "--execution-timeout", 1, set_seconds, AT(cell_timeout), "SECONDS",
     "a cell that takes longer is interrupted and has failed"},
    {"--timeout", NULL, 1, set_seconds, AT(timeout), "SECONDS", "the same for the whole run"},
    {"--grace", NULL, 1, set_seconds, AT(grace), "SECONDS",
     "how long a cell that was interrupted may take to end before the run is given up (5)"},
    {"--retries", NULL, 1, set_count, AT(retries), "N", "a run that fails begins again, up to N times"},
    {"--retry-delay", NULL, 1, set_seconds, AT(retry_delay), "SECONDS", "waits between them"},
    {"--sweep", NULL, 1, add_sweep, 0, "NAME=VALUE,…",
     "one run per value; with several --sweep one per combination"},
    {"-j", "--jobs", 1, set_count, AT(jobs), "N", "so many runs of a sweep at once (1)"},
    {"--skip-tag", NULL, 1, add_skip, 0, "TAG", "does not run cells with this tag"},
    {"--allow-error-tag", NULL, 1, add_may_fail, 0, "TAG", "cells with this tag may fail"},
    {"--allow-errors", NULL, 0, set_flag, AT(allow_errors), "", "every cell may fail"},
    {"--prepare-only", "--inject-only", 0, set_flag, AT(prepare_only), "",
     "writes the notebook with its parameters and runs nothing"},
    {"--report-mode", NULL, 0, set_flag, AT(report_mode), "", "hides the sources of the cells"},
    {"-k", "--kernel", 1, set_text, AT(kernel), "NAME",
     "lacus: runs the cells as Lua whatever the notebook says"},
    {"--cwd", NULL, 1, set_text, AT(cwd), "FOLDER", "where the cells run"},
    {"--json", NULL, 0, set_flag, AT(json), "", "the table of a sweep as JSON"},
    {"--job", NULL, 1, set_text, AT(job), "NAME", "a tag of the tracking runs that the notebook makes"},
    {"--status-fd", NULL, 1, set_count, AT(status_fd), NULL, NULL}, /* a sweep tells its runs */
    {"--help", "-h", 0, set_flag, AT(help), "", "this list"},
};
enum { ROWS = sizeof rows / sizeof *rows };

void run_options_help(void)
{
    for (size_t i = 0; i < ROWS; i++) {
        char head[80];
        if (!rows[i].help)
            continue;
        snprintf(head, sizeof head, "%s%s%s %s", rows[i].name, rows[i].other ? ", " : "",
                 rows[i].other ? rows[i].other : "", rows[i].values);
        printf("  %-40s %s\n", head, rows[i].help);
    }
}

/* ---- the command line ---- */
static bool is_named(const char *name, const char *arg, size_t len)
{
    return name && strlen(name) == len && memcmp(name, arg, len) == 0;
}

static const struct row *find(const char *arg, size_t len)
{
    for (size_t i = 0; i < ROWS; i++)
        if (is_named(rows[i].name, arg, len) || is_named(rows[i].other, arg, len))
            return &rows[i];
    return NULL;
}

/* --output=OUT: as others take it, for options with one value. */
static const struct row *find_joined(char *arg, char **value)
{
    const char *equals = strncmp(arg, "--", 2) == 0 ? strchr(arg, '=') : NULL;
    const struct row *row = equals ? find(arg, (size_t)(equals - arg)) : NULL;

    if (!row || row->n != 1)
        return NULL;
    *value = arg + (equals - arg) + 1;
    return row;
}

static enum lc unknown(const char *arg, struct err *err)
{
    const char *names[2 * ROWS];
    size_t n = 0;
    const char *near;

    for (size_t i = 0; i < ROWS; i++) {
        names[n++] = rows[i].name;
        if (rows[i].other)
            names[n++] = rows[i].other;
    }
    near = nearest_one(arg, names, n);
    err_set(err, LC_ARG, "unexpected argument '%s'", arg);
    return near ? err_hint(err, "did you mean '%s'?", near) : LC_ARG;
}

static bool is_option(const struct run_options *o, const char *arg)
{
    return !o->only_names && arg[0] == '-' && arg[1] != '\0';
}

static enum lc take(int argc, char **argv, int *i, struct run_options *o, struct err *err)
{
    const struct row *row = is_option(o, argv[*i]) ? find(argv[*i], strlen(argv[*i])) : NULL, *joined;
    char *value;

    if (row) {
        if (argc - *i - 1 < row->n)
            return err_set(err, LC_ARG, "the option '%s' needs %s", row->name,
                           row->values ? row->values : "a value");
        TRY(row->apply(o, row, argv + *i + 1, err));
        *i += row->n;
        return LC_OK;
    }
    joined = o->only_names ? NULL : find_joined(argv[*i], &value);
    if (joined)
        return joined->apply(o, joined, &value, err);
    if (is_option(o, argv[*i]) || (o->input && o->output))
        return unknown(argv[*i], err);
    *(o->input ? &o->output : &o->input) = argv[*i]; /* as papermill takes them */
    return LC_OK;
}

/* Notebooks are files: 's3:' would become a folder of that name. */
static enum lc check_place(const char *path, struct err *err)
{
    size_t scheme = path ? strcspn(path, ":/") : 0;

    if (scheme < 2 || (strncmp(path + scheme, "://", 3) != 0 && strncmp(path, "dbfs:/", 6) != 0))
        return LC_OK;
    err_set(err, LC_ARG, "'%s' is no file of this machine", path);
    if (strncmp(path, "file:", 5) == 0)
        return err_hint(err, "write its path without '%.*s://'", (int)scheme, path);
    return err_hint(err, "hand it through a pipe: … | lacus run - - | …, or copy it before and after");
}

enum lc run_options_parse(int argc, char **argv, struct run_options *o, struct err *err)
{
    *o = (struct run_options){.jobs = 1, .grace = 5, .params = json_object(), .texts = json_object()};
    for (size_t i = 0; i < sizeof o->from / sizeof *o->from; i++)
        o->from[i] = json_object();
    for (int i = 1; i < argc; i++)
        if (!o->only_names && strcmp(argv[i], "--") == 0)
            o->only_names = true;
        else
            TRY(take(argc, argv, &i, o, err));
    for (size_t i = 0; i < sizeof o->from / sizeof *o->from; i++)
        json_object_update(o->params, o->from[i]);
    if (o->input && strcmp(o->input, "-") == 0 && !o->output)
        o->output = "-";
    if (o->jobs < 1)
        return err_set(err, LC_ARG, "-j: at least one run at once");
    TRY(check_place(o->input, err));
    TRY(check_place(o->output, err));
    return o->input || o->help ? LC_OK : err_set(err, LC_ARG, "no notebook given");
}

void run_options_release(struct run_options *o)
{
    json_decref(o->params);
    json_decref(o->texts);
    for (size_t i = 0; i < sizeof o->from / sizeof *o->from; i++)
        json_decref(o->from[i]);
    *o = (struct run_options){0};
}

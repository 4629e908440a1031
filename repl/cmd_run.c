/* cmd_run.c: lacus run NOTEBOOK … */
#include "magics/magics.h"
#include "repl/command.h"
#include "repl/globals.h"
#include "repl/interrupt.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/notebook/parameters.h"
#include "runtime/notebook/runner.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct run_arguments {
    const char *input, *output;
    json_t *params; /* owned */
    bool quiet;
};

static enum lc read_params(const char *path, json_t *into, struct err *err)
{
    struct buf text = BUF_INIT((size_t)16 << 20);
    json_error_t parse;
    json_t *params = NULL;
    enum lc rc = fs_read(path, &text, err);

    if (rc == LC_OK &&
        (params = json_loadb(buf_str(&text), text.len, JSON_REJECT_DUPLICATES, &parse)) == NULL)
        rc = err_set(err, LC_PARSE, "cannot read parameters from '%s': line %d: %s", path, parse.line,
                     parse.text);
    if (rc == LC_OK && json_object_update(into, params) != 0)
        rc = err_set(err, LC_DATA, "cannot read parameters from '%s': it is no JSON object", path);
    json_decref(params);
    buf_release(&text);
    return rc;
}

static enum lc parse_arguments(int argc, char **argv, struct run_arguments *a, struct err *err)
{
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        int left = argc - i - 1;
        if (strcmp(arg, "-q") == 0 || strcmp(arg, "--quiet") == 0) {
            a->quiet = true;
        } else if ((strcmp(arg, "-p") == 0 || strcmp(arg, "-r") == 0) && left >= 2) {
            json_object_set_new(a->params, argv[i + 1],
                                arg[1] == 'r' ? json_string(argv[i + 2]) : parameter_value(argv[i + 2]));
            i += 2;
        } else if (strcmp(arg, "-f") == 0 && left >= 1) {
            TRY(read_params(argv[++i], a->params, err));
        } else if (strcmp(arg, "-o") == 0 && left >= 1) {
            a->output = argv[++i];
        } else if (arg[0] != '-' && !a->input) {
            a->input = arg;
        } else if (arg[0] != '-' && !a->output) {
            a->output = arg; /* as papermill takes it */
        } else {
            return err_set(err, LC_ARG, "unexpected argument '%s'", arg);
        }
    }
    return a->input ? LC_OK : err_set(err, LC_ARG, "no notebook given");
}

static void on_started(void *arg, struct session *s)
{
    (void)arg;
    interrupt_begin(s, true);
}

static bool on_stop_asked(void *arg)
{
    (void)arg;
    return interrupt_asked();
}

static void on_ended(void *arg)
{
    (void)arg;
    interrupt_end();
}

int cmd_run(int argc, char **argv)
{
    struct run_arguments a = {.params = json_object()};
    struct err err;
    int fd;
    enum lc rc;

    err_clear(&err);
    rc = parse_arguments(argc, argv, &a, &err);
    fd = a.quiet ? -1 : dup(STDOUT_FILENO); /* the session captures descriptor 1 */
    if (rc == LC_OK) {
        struct runner_options options = {.input = a.input,
                                         .output = a.output ? a.output : a.input,
                                         .params = a.params,
                                         .terminal_fd = fd,
                                         .session = {.globals = lacus_globals, .magics = lacus_magics},
                                         .started = on_started,
                                         .ended = on_ended,
                                         .stop_asked = on_stop_asked};
        interrupt_begin(NULL, true);
        rc = notebook_run(&options, &err);
    }
    if (rc != LC_OK)
        command_error("run", &err);
    if (fd >= 0)
        close(fd);
    json_decref(a.params);
    return interrupt_exit_code(lc_exit(rc));
}

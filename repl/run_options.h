/* run_options.h: the command line of `lacus run`.
 *
 * What      one table of options; values from base64, files, YAML texts, -p and -r go over each other in that
 *           order, as papermill has it.
 * Ownership run_options_release frees what run_options_parse made; texts are the command line's.
 * Units     seconds.
 * Errors    LC_ARG with the nearest option; what the parameter files say.
 * Threads   main thread.
 *
 * Example:
 *     struct run_options o;
 *     struct err err;
 *     if (run_options_parse(argc, argv, &o, &err) == LC_OK)
 *         run_options_release(&o);
 */
#ifndef LACUS_REPL_RUN_OPTIONS_H
#define LACUS_REPL_RUN_OPTIONS_H
#include "runtime/base/err.h"
#include <jansson.h>
#include <stdbool.h>

enum { RUN_TAGS = 32, RUN_SWEEPS = 16 };

struct run_options {
    const char *input, *output, *kernel, *cwd;
    const char *job; /* tag of the tracking runs; NULL: none */
    json_t *params;  /* owned: all of them together */
    json_t *texts;   /* owned: those of -p as they were typed */
    json_t *from[5]; /* owned while parsing: base64, files, YAML, -p, -r */
    const char *skip[RUN_TAGS + 1], *may_fail[RUN_TAGS + 1]; /* end with NULL */
    const char *sweeps[RUN_SWEEPS];                          /* "lr=1e-5,2e-5" */
    size_t n_skip, n_may_fail, n_sweeps;
    double cell_timeout, timeout, retry_delay, grace;
    int retries, jobs, status_fd;
    bool quiet, resume, progress, log_output, prepare_only, report_mode, allow_errors, json, help;
    bool only_names;     /* after -- */
    bool output_is_path; /* no template: {NAME} in it is no parameter */
};

enum lc run_options_parse(int argc, char **argv, struct run_options *o, struct err *err) MUST_CHECK;
void run_options_release(struct run_options *o);
void run_options_help(void); /* each option, on standard output */
#endif

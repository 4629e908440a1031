/* cmd_run.c: lacus run NOTEBOOK … */
#include "magics/magics.h"
#include "repl/command.h"
#include "repl/globals.h"
#include "repl/interrupt.h"
#include "repl/run_options.h"
#include "repl/sweep.h"
#include "runtime/base/buf.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/plural.h"
#include "runtime/notebook/parameters.h"
#include "runtime/notebook/runner.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct run {
    const struct run_options *o;
    char *input, *output; /* owned: with the values of parameters, and absolute when the folder changes */
    int errors;           /* the real standard error: the session captures it */
    int notebook;         /* where the notebook goes when it goes to a stream: output is "-" then */
    bool aside;           /* that is standard output, which shows no cells then */
};

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

static bool on_hurried(void *arg)
{
    (void)arg;
    return interrupt_asked_again();
}

static void on_ended(void *arg)
{
    (void)arg;
    interrupt_begin(NULL, true);
}

/* A sweep that started us reads one JSON object per line. */
static void tell(const struct run_options *o, json_t *line)
{
    if (o->status_fd > 0 && line)
        json_dumpfd(line, o->status_fd, JSON_COMPACT);
    if (o->status_fd > 0 && write(o->status_fd, "\n", 1) < 0 && errno != EPIPE)
        perror("lacus run: --status-fd");
    json_decref(line);
}

static void on_progress(void *arg, const struct runner_progress *p)
{
    struct run *run = arg;

    if (run->o->status_fd > 0 && p->source)
        tell(run->o, json_pack("{s:I, s:I}", "cell", (json_int_t)p->number, "total", (json_int_t)p->total));
}

static void tell_end(const struct run *run, enum lc rc, const struct runner_result *result,
                     const struct err *err)
{
    tell(run->o, json_pack("{s:s, s:s?, s:s?, s:s?, s:s?}", "status", rc == LC_OK ? "ok" : lc_ename(rc),
                           "result", result->exit_value, "job", result->job, "output", run->output, "error",
                           rc == LC_OK ? NULL : err->message));
}

/* Nothing can be closed: the thread that would do it does not come back. */
static void on_stuck(void *arg, enum lc rc, const struct err *err)
{
    struct run *run = arg;

    if (run->errors >= 0)
        dup2(run->errors, STDERR_FILENO);
    command_error("run", err);
    tell_end(run, rc, &(struct runner_result){0}, err);
    _exit(interrupt_exit_code(lc_exit(rc)));
}

static enum lc path_of(struct run *run, const char *template, char **out, struct err *err)
{
    struct buf path = BUF_INIT(1 << 16);
    bool plain = strcmp(template, "-") == 0 || run->o->output_is_path;
    enum lc rc = plain ? LC_OK : parameters_path(template, run->o->params, &path, err);

    if (rc == LC_OK && !path.len)
        buf_puts(&path, template);
    if (rc == LC_OK)
        *out = run->o->cwd && strcmp(template, "-") != 0 ? fs_absolute(buf_str(&path))
                                                         : mem_strdup(buf_str(&path));
    buf_release(&path);
    return rc == LC_OK && !*out ? err_nomem(err) : rc;
}

/* The folder of the output is made: a template may name one that is not there. */
static enum lc make_folder(const char *path, struct err *err)
{
    char *folder = mem_strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
    enum lc rc = LC_OK;

    if (slash && slash > folder && strcmp(path, "-") != 0) {
        *slash = '\0';
        rc = fs_exists(folder) ? LC_OK : fs_mkdirs(folder, err);
    }
    mem_free(folder);
    return rc;
}

/* A folder gets the input's name, as that of a sweep does. */
static enum lc into_folder(struct run *run, struct err *err)
{
    size_t len = strlen(run->output);
    bool slash = len > 0 && run->output[len - 1] == '/';
    char *longer;

    if (strcmp(run->input, "-") == 0 || !(slash || fs_is_dir(run->output)))
        return LC_OK;
    longer = mem_printf("%s%s%s", run->output, slash ? "" : "/", fs_basename(run->input));
    if (!longer)
        return err_nomem(err);
    mem_free(run->output);
    run->output = longer;
    return LC_OK;
}

/* Not for what a cell starts: a server that it leaves behind would hold the pipe that we are read from. */
static int copy_of(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* What takes bytes one after the other, once: a pipe, a device. */
static bool is_stream(const char *path)
{
    struct stat st;

    return strcmp(path, "-") == 0 || (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode));
}

/* /dev/stdout is another name of standard output, whatever that is. */
static enum lc find_stream(struct run *run, struct err *err)
{
    struct stat there, out;

    run->aside =
        strcmp(run->output, "-") == 0 || (stat(run->output, &there) == 0 && fstat(STDOUT_FILENO, &out) == 0 &&
                                          there.st_dev == out.st_dev && there.st_ino == out.st_ino);
    if (!run->aside && !is_stream(run->output))
        return LC_OK;
    run->notebook = run->aside ? copy_of(STDOUT_FILENO) : open(run->output, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (run->notebook < 0)
        return err_errno(err, errno, "cannot write '%s'", run->output);
    mem_free(run->output);
    run->output = mem_strdup("-");
    return run->output ? LC_OK : err_nomem(err);
}

static enum lc find_places(struct run *run, struct err *err)
{
    const char *output = run->o->output ? run->o->output : run->o->input;

    TRY(path_of(run, run->o->input, &run->input, err));
    if (!run->o->output && is_stream(run->input))
        output = "-";
    TRY(path_of(run, output, &run->output, err));
    TRY(into_folder(run, err));
    TRY(find_stream(run, err));
    if (strcmp(run->input, run->output) != 0)
        TRY(make_folder(run->output, err));
    if (run->o->cwd && chdir(run->o->cwd) != 0)
        return err_errno(err, errno, "cannot work in '%s'", run->o->cwd);
    return LC_OK;
}

/* Standard output belongs to the notebook when it goes there; a bar and a log are no output. */
static int terminal_of(const struct run *run)
{
    bool aside = run->o->log_output || run->o->progress;

    if ((run->o->quiet || run->aside) && !aside)
        return -1;
    return copy_of(aside ? STDERR_FILENO : STDOUT_FILENO); /* the session captures both */
}

static enum lc run_one(struct run *run, struct runner_result *result, struct err *err)
{
    const struct run_options *o = run->o;
    int fd;
    enum lc rc = find_places(run, err);

    run->errors = copy_of(STDERR_FILENO);
    if (rc == LC_OK) {
        fd = terminal_of(run);
        struct runner_options options = {
            .input = run->input,
            .output = run->output,
            .notebook_fd = run->notebook,
            .params = o->params,
            .texts = o->texts,
            .terminal_fd = fd,
            .errors_fd = run->errors,
            .bar = o->progress,
            .quiet_cells = o->progress && !o->log_output,
            .quiet = o->quiet,
            .cell_timeout = o->cell_timeout,
            .timeout = o->timeout,
            .retries = o->retries,
            .retry_delay = o->retry_delay,
            .resume = o->resume,
            .allow_errors = o->allow_errors,
            .report_mode = o->report_mode,
            .prepare_only = o->prepare_only,
            .skip_tags = o->skip,
            .error_tags = o->may_fail,
            .kernel = o->kernel,
            .session = {.globals = lacus_globals, .magics = lacus_magics, .job = o->job},
            .started = on_started,
            .ended = on_ended,
            .stop_asked = on_stop_asked,
            .hurried = on_hurried,
            .stuck = on_stuck,
            .grace = o->grace,
            .progress = on_progress,
            .arg = run};
        interrupt_begin(NULL, true);
        rc = notebook_run(&options, result, err);
        if (fd >= 0)
            close(fd);
    }
    if (run->notebook >= 0)
        close(run->notebook);
    if (run->errors >= 0)
        close(run->errors);
    return rc;
}

static enum lc run_notebook(const struct run_options *o, struct err *err)
{
    struct run run = {.o = o, .errors = -1, .notebook = -1};
    struct runner_result result = {0};
    enum lc rc = run_one(&run, &result, err);

    if (o->allow_errors && result.failed > 0 && !o->quiet)
        fprintf(stderr, "lacus run: %zu cell%s failed, and may\n", result.failed, PLURAL(result.failed));
    tell_end(&run, rc, &result, err);
    runner_result_release(&result);
    mem_free(run.input);
    mem_free(run.output);
    return rc;
}

int cmd_run(int argc, char **argv)
{
    struct run_options o;
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = run_options_parse(argc, argv, &o, &err);
    if (rc == LC_OK && o.help)
        command_help("run");
    else if (rc == LC_OK)
        rc = o.n_sweeps ? sweep_run(&o, run_notebook, &err) : run_notebook(&o, &err);
    run_options_release(&o);
    if (rc != LC_OK)
        command_error("run", &err);
    return interrupt_exit_code(lc_exit(rc));
}

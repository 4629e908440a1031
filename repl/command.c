#include "repl/command.h"
#include "magics/magics.h"
#include "repl/globals.h"
#include "repl/man_page.h"
#include "repl/run_options.h"
#include "runtime/base/err.h"
#include "runtime/base/fs.h"
#include "runtime/base/nearest.h"
#include "runtime/session/manual.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int run_help(int argc, char **argv);

static int run_version(int argc, char **argv)
{
    (void)argc, (void)argv;
    puts("lacus " LACUS_VERSION);
    return 0;
}

const struct command commands[] = {
    {"repl",
     "repl [--param NAME VALUE]… [-i] [FILE | -c CODE | -m MODULE | -] [ARGUMENT]… | --existing [FILE | NAME "
     "| list]",
     "the prompt; a file or piped input runs as a script", cmd_repl},
    {"run",
     "run NOTEBOOK [OUT] [-p NAME VALUE]… [-f PARAMS.yaml] [--resume] [--sweep NAME=VALUE,…]… [OPTION]…",
     "runs a notebook and writes its outputs back", cmd_run},
    {"serve",
     "serve MODEL [--port N] [--host ADDRESS] [--name NAME] [--api-key KEY | --api-key-file FILE]\n"
     "             [--adapter NAME=FOLDER]… [--chat-template FILE] [--allowed-origins ORIGIN,…]\n"
     "             MODEL: models:/NAME@ALIAS, "
     "models:/NAME/VERSION or a folder",
     "answers over HTTP as OpenAI, MLflow and Databricks do", cmd_serve},
    {"worker",
     "worker --connect ENDPOINT --key FILE [--once] [--timeout SECONDS]\n"
     "       lacus worker invite NAME [--listen tcp://ADDRESS:PORT]\n"
     "       lacus worker list [--output table|json]\n"
     "       lacus worker revoke NAME",
     "trains for a workspace, here or on another machine", cmd_worker},
    {"coordinator", "coordinator", NULL, cmd_coordinator}, /* lacus starts it; not shown */
    {"kernel", "kernel -f CONNECTION_FILE", "serves a Jupyter client", cmd_kernel},
    {"kernelspec", "kernelspec install|uninstall [--user | --prefix DIR | --sys-prefix]",
     "tells Jupyter about the kernel", cmd_kernelspec},
    {"job",
     "job [list | show ID | logs ID | checkpoint ID | cancel ID | clean [ID]…] [--max N] [--output "
     "table|json]",
     "training jobs: how they stand, what they said, their disk space", cmd_job},
    {"runs",
     "runs [list | show RUN | metrics RUN KEY | artifacts RUN [PATH] | delete RUN | restore RUN] "
     "[--experiment NAME] "
     "[--filter TEXT] [--order TEXT] [--max N] [--output table|json]",
     "experiment runs, their metrics and artifacts", cmd_runs},
    {"models",
     "models [list | show NAME | register URI NAME | alias NAME ALIAS VERSION | path URI | verify URI | "
     "delete NAME "
     "[VERSION]] [--filter TEXT] [--output table|json]",
     "registered models, versions and aliases", cmd_models},
    {"tables",
     "tables [CATALOG[.SCHEMA] | show NAME | lineage [NAME]] [--max N] [--run RUN] [--output table|json]",
     "tables of the catalog, and who read or wrote them", cmd_tables},
    {"secrets",
     "secrets [list [SCOPE] | create-scope SCOPE | delete-scope SCOPE | put SCOPE KEY [--expires 30d] | "
     "get SCOPE KEY | delete SCOPE KEY] [--output table|json]",
     "sealed values for notebooks; put reads the value from standard input", cmd_secrets},
    {"doctor", "doctor [--output table|json]", "what is here, what is missing, and what to do", cmd_doctor},
    {"version", "version", "prints the version", run_version},
    {"help", "help [COMMAND | NAME | --man | --reference | --stubs]",
     "explains a command, or a name that a cell can say; all of them as Markdown, or as stubs for LuaLS",
     run_help},
    {0},
};

static const struct command *find(const char *name)
{
    for (const struct command *c = commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

static void print_all(FILE *out)
{
    fputs("usage: lacus COMMAND …\n\n", out);
    for (const struct command *c = commands; c->name; c++)
        if (c->summary)
            fprintf(out, "  %-12s %s\n", c->name, c->summary);
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n > m && strcmp(name + n - m, end) == 0;
}

static int unknown(const char *name)
{
    const char *names[64];
    size_t n = 0;
    struct buf near = BUF_INIT(512);

    if (ends_with(name, ".ipynb")) {
        fprintf(stderr, "lacus: a notebook is run so: lacus run %s -o OUT.ipynb\n", name);
        return lc_exit(LC_ARG);
    }
    for (const struct command *c = commands; c->name && n < 64; c++)
        if (c->summary)
            names[n++] = c->name;
    nearest_list(&near, name, names, n, 3);
    fprintf(stderr, "lacus: unknown command '%s'%s%s; try 'lacus help'\n", name,
            near.len ? ": did you mean " : "", buf_str(&near));
    buf_release(&near);
    return lc_exit(LC_ARG);
}

/* Of what a cell can say. */
static int help_name(const char *name)
{
    struct buf out = BUF_INIT(BUF_TEXT_MAX);
    bool found = true;

    if (strcmp(name, "--stubs") == 0)
        manual_stubs(lacus_globals, lacus_magics, &out);
    else if (strcmp(name, "--reference") == 0)
        manual_markdown(lacus_globals, lacus_magics, &out);
    else
        found = manual_help(lacus_globals, lacus_magics, name, &out);
    if (found)
        fwrite(buf_str(&out), 1, out.len, stdout);
    else
        fprintf(stderr, "lacus: nothing is known about '%s'%s%s; 'lacus help' lists the commands\n", name,
                out.len ? ": " : "", buf_str(&out));
    buf_release(&out);
    return found ? 0 : lc_exit(LC_ARG);
}

int command_help(const char *name)
{
    const struct command *c = find(name);
    static const struct {
        const char *name;
        void (*print)(void);
    } more[] = {{"run", run_options_help}}; /* those with many options */

    if (!c)
        return unknown(name);
    printf("usage: lacus %s\n\n%s\n", c->usage, c->summary ? c->summary : "started by lacus itself");
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (strcmp(more[i].name, c->name) == 0) {
            putchar('\n');
            more[i].print();
        }
    return 0;
}

static int run_help(int argc, char **argv)
{
    const struct command *c = argc > 1 ? find(argv[1]) : NULL;

    if (argc > 1 && strcmp(argv[1], "--man") == 0) {
        man_page_print(commands);
        return 0;
    }
    if (argc > 1 && !c)
        return help_name(argv[1]);
    if (c)
        return command_help(c->name);
    print_all(stdout);
    return 0;
}

int command_usage(const char *name)
{
    const struct command *c = find(name);

    fprintf(stderr, "usage: lacus %s\n", c ? c->usage : name);
    return lc_exit(LC_ARG);
}

int command_error(const char *name, const struct err *err)
{
    const struct command *c = find(name);

    fprintf(stderr, "lacus %s: %s%s%s\n", name, err->message, err->hint[0] ? "\n  " : "", err->hint);
    if (err->cause[0])
        fprintf(stderr, "  because: %s\n", err->cause);
    if (err->code == LC_ARG && c)
        fprintf(stderr, "usage: lacus %s\n", c->usage);
    return lc_exit(err->code);
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static bool is_script(const char *name) /* one that is not there is told as a file, not as a command */
{
    return strchr(name, '/') || ends_with(name, ".lua");
}

int command_main(int argc, char **argv)
{
    const struct command *c;

    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write, not the end of us */
    signal(SIGXFSZ, SIG_IGN); /* so is a file that may not grow (ulimit -f) */
    if (argc < 2)
        return cmd_repl(argc, argv);
    if (is_help(argv[1]))
        return print_all(stdout), 0;
    if (strcmp(argv[1], "--version") == 0)
        return run_version(0, NULL);
    c = find(argv[1]);
    if (c && argc > 2 && is_help(argv[2]))
        return command_help(c->name);
    if (c)
        return c->run(argc - 1, argv + 1);
    if (strcmp(argv[1], "--existing") == 0)
        return cmd_repl(argc, argv);
    if ((argv[1][0] == '-' && argv[1][1] != '\0' && argv[1][2] == '\0' && strchr("ecmi", argv[1][1])) ||
        strcmp(argv[1], "-") == 0 || is_script(argv[1]))
        return cmd_repl(argc, argv);
    return unknown(argv[1]);
}

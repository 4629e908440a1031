/* command.h: the subcommands of the lacus program, one table row each; help and completion are made from it.
 *
 * Ownership argv is borrowed.
 * Errors    a command prints its own error and returns an exit code (lc_exit).
 * Threads   main thread.
 *
 * Example:
 *     char *argv[] = {"lacus", "version", NULL};
 *     int status = command_main(2, argv);
 */
#ifndef LACUS_REPL_COMMAND_H
#define LACUS_REPL_COMMAND_H

struct command {
    const char *name;
    const char *usage;                 /* "run NOTEBOOK [-p NAME VALUE]… [-o OUT]" */
    const char *summary;               /* one line */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
};

extern const struct command commands[]; /* ends with a NULL name */
int command_main(int argc, char **argv);
int command_help(const char *name);  /* prints what there is to say about it; returns the exit code */
int command_usage(const char *name); /* prints its usage to standard error; returns the exit code for it */
struct err;
/* Prints an error (and the usage, for LC_ARG) to standard error; returns the exit code for it. */
int command_error(const char *name, const struct err *err);

/* The commands, one file each: cmd_NAME.c. */
int cmd_repl(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_models(int argc, char **argv);
int cmd_job(int argc, char **argv);
int cmd_runs(int argc, char **argv);
int cmd_tables(int argc, char **argv);
int cmd_kernel(int argc, char **argv);
int cmd_kernelspec(int argc, char **argv);
int cmd_secrets(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_worker(int argc, char **argv);
int cmd_coordinator(int argc, char **argv); /* started by lacus itself */
#endif

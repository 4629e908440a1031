/* cmd_worker.h: the rows of `lacus worker` and `lacus coordinator` in the table of commands.
 *
 * Ownership argv is borrowed. Errors: an exit code; the text is printed. Threads: main thread.
 *
 * Example:
 *     char *argv[] = {"worker", "list"};
 *     int status = cmd_worker(2, argv);
 */
#ifndef LACUS_REPL_CMD_WORKER_H
#define LACUS_REPL_CMD_WORKER_H

int cmd_worker(int argc, char **argv);
int cmd_coordinator(int argc, char **argv); /* started by lacus itself; not shown in help */
#endif

/* process.h: child processes.
 *
 * What      runs a program with arguments (no shell unless you name one) and streams what it prints, or
 *           starts one that lives on.
 * Ownership arguments are borrowed during the call. A started process is the caller's to wait for.
 * Units     exit status as the shell gives it: 0-255, 128 + signal.
 * Errors    LC_NOTFOUND when the program is not there, LC_CANCELLED when ctx was cancelled (the child's group
 *           is interrupted, and killed when it does not end), LC_IO.
 * Threads   any; the callback runs on the calling thread.
 *
 * Example:
 *     const char *argv[] = {"true", NULL};
 *     int status;
 *     struct err err;
 *     if (process_run(NULL, argv, NULL, NULL, NULL, &status, &err) != LC_OK)
 *         puts(err.message);
 */
#ifndef LACUS_BASE_PROCESS_H
#define LACUS_BASE_PROCESS_H
#include "runtime/base/ctx.h"
#include <stddef.h>
#include <sys/types.h>

/* stream: 1 standard output, 2 standard error. */
typedef void process_output_fn(void *arg, int stream, const char *data, size_t len);

/* input may be NULL (empty standard input); output may be NULL (discarded). Returns when the program has ended,
 * also when something it left in the background still holds its output. */
enum lc process_run(const struct ctx *ctx, const char *const *argv, const char *input,
                    process_output_fn *output, void *arg, int *status, struct err *err) MUST_CHECK;
/* Our standard input, which is a terminal, and both outputs are the program's until it ends; keys that make signals are its
 * own. The terminal's modes are put back. Stopped by its person (Ctrl-Z), it waits stopped as we do, until we are continued;
 * where nobody could continue us it goes on. LC_CANCELLED also when Ctrl-C ended it. */
enum lc process_foreground(const struct ctx *ctx, const char *const *argv, int *status,
                           struct err *err) MUST_CHECK;
/* In a session of its own, standard input from /dev/null, both outputs appended to the file `log`. */
enum lc process_start(const char *const *argv, const char *log, pid_t *pid, struct err *err) MUST_CHECK;
/* In a process group of its own, to live beside its parent: standard input is `input` (may be NULL). out and error, each may
 * be NULL (discarded), become descriptors to read from: the caller closes them. */
enum lc process_beside(const char *const *argv, const char *input, int *out, int *error, pid_t *pid,
                       struct err *err) MUST_CHECK;
/* With fds[0 … n - 1] as its descriptors 0 … n - 1, none of which may be one of fds[i] for another i; flags of
 * posix_spawn's attributes. For what the others do not do. */
enum lc process_spawn(const char *const *argv, const int *fds, int n, short flags, pid_t *pid,
                      struct err *err) MUST_CHECK;
int process_status(int status); /* what waitpid gave, as the shell has it */
#endif

/* death.h: why a kernel ended, for the people who look afterwards.
 *
 * What      notes go to a descriptor (a copy of the real standard error, which Jupyter shows in its own log:
 *           descriptor 2 itself is captured for the cells) and to LACUS_HOME/log/kernel.log; a crash (SIGSEGV
 *           and kin) leaves a note too, with the file that the code is from, or who sent the signal, before the
 *           default action ends the process. The log starts anew at 1 MB.
 * Ownership none.
 * Errors    a log that cannot be written is silently not written.
 * Threads   any; the crash handlers are process-wide, installed once by the front end that owns the process.
 *
 * Example:
 *     death_note(STDERR_FILENO, "cannot start: %s", "no connection file");
 */
#ifndef LACUS_KERNEL_DEATH_H
#define LACUS_KERNEL_DEATH_H
#include "runtime/base/err.h"

void death_note(int fd, const char *fmt, ...) PRINTF_LIKE(2, 3);
void death_watch(void);
int death_log(void); /* that descriptor; once, before anything is captured */
#endif

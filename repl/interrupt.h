/* interrupt.h: Ctrl-C, SIGTERM and SIGHUP in the programs that own their process: repl and run.
 *
 * What      between begin and end, SIGINT interrupts the session's cell; a second one within a second ends
 *           the process the usual way. With `terminate`, SIGTERM and SIGHUP (unless it is ignored, as nohup
 *           has it) interrupt too, and the exit code says so (143, 129).
 * Ownership the session is borrowed; NULL while there is none yet.
 * Errors    none.
 * Threads   main thread.
 * Units     none.
 *
 * Example:
 *     interrupt_begin(session, false);
 *     interrupt_end();
 */
#ifndef LACUS_REPL_INTERRUPT_H
#define LACUS_REPL_INTERRUPT_H
#include <stdbool.h>

struct session;
void interrupt_begin(struct session *s, bool terminate);
void interrupt_end(void);
void interrupt_cell(void);              /* as Ctrl-C, but nobody asked for it */
bool interrupt_asked(void);             /* a signal came, whether or not a cell was running */
bool interrupt_asked_again(void);       /* more than one */
int interrupt_exit_code(int otherwise); /* 143 after SIGTERM, 129 after SIGHUP */
#endif

/* kernel.h: the Jupyter front end: a session behind five sockets (messaging protocol 5.5).
 *
 * What      kernel_main serves until a client asks for shutdown, SIGTERM or SIGHUP arrives, or the process that
 *           started it (JPY_PARENT_PID) is gone.
 * Ownership `base` is borrowed: what its sessions are opened with; its front end and capture are set here.
 * Errors    printed, and kept in LACUS_HOME/log/kernel.log; the return value is an exit code.
 * Threads   the calling thread becomes the session thread; an I/O, a control and a heartbeat thread are its
 *           own. The process is the kernel's: SIGINT, SIGTERM and SIGHUP are taken over, descriptors 1 and 2
 *           captured.
 *
 * Example:
 *     struct session_options base = {.globals = lacus_globals};
 *     int status = kernel_main(&base, "kernel-1.json");
 */
#ifndef LACUS_KERNEL_KERNEL_H
#define LACUS_KERNEL_KERNEL_H
#include "runtime/session/session.h"

int kernel_main(const struct session_options *base, const char *connection_file);
#endif

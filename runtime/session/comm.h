/* comm.h: the comms of a session: who answers to which id, and who accepts which target.
 *
 * Ownership part of the session; handlers and their arguments are borrowed until the comm is closed.
 * Units     none.
 * Errors    session_comm: LC_NOTFOUND.
 * Threads   session thread.
 *
 * Example:
 *     json_t *info = session_comm_info(s, NULL);
 *     json_decref(info);
 */
#ifndef LACUS_SESSION_COMM_H
#define LACUS_SESSION_COMM_H
#include "runtime/session/session.h"

void comms_close(struct session *s);
#endif

/* capture.h: what is written to descriptors 1 and 2 reaches the cell.
 *
 * What      both descriptors become pipes; a thread of our own empties them, so that no writer ever waits for
 *           the session, and asks the hook to pass on what came. print and io.write do not go this way:
 *           before each of them what waits in the pipes is sent, so that the order stays.
 * Ownership part of the session; the process's descriptors are put back at close.
 * Units     bytes.
 * Errors    LC_IO.
 * Threads   session thread.
 *
 * Example:
 *     if (capture_open(s, err) != LC_OK)
 *         return err->code;
 */
#ifndef LACUS_SESSION_CAPTURE_H
#define LACUS_SESSION_CAPTURE_H
#include "runtime/session/session.h"

enum lc capture_open(struct session *s, struct err *err) MUST_CHECK;
void capture_close(struct session *s);
/* Sends what has been written up to now, exactly. */
void capture_flush(struct session *s);
#endif

/* stalled.h: ends the connections of clients that have stopped reading, so that those who read are not held up.
 *
 * What      ZeroMQ queues for each client on its own, but tells nobody whose queue it is that grows. The system knows:
 *           what a connection was given and its other end has not taken. One whose amount stays the same all the while
 *           that it is watched has stalled; it is shut down, and ZeroMQ frees what it held for that client. When the
 *           client reads again, its ZeroMQ finds the end, connects again, and gets what is sent from then on. When all
 *           have stalled, none is ended: nobody is robbed then, and what waits for them is there when they read again.
 * Ownership none.
 * Units     ms.
 * Errors    none: a connection that cannot be looked at stays.
 * Threads   any; blocks for watch_ms when a connection may have stalled.
 *
 * Example:
 *     int ended = stalled_end("tcp://127.0.0.1:5001", 1000);
 */
#ifndef LACUS_KERNEL_STALLED_H
#define LACUS_KERNEL_STALLED_H

/* Of the connections that this process accepted at an endpoint, as ZeroMQ names it. Returns how many were ended. */
int stalled_end(const char *endpoint, int watch_ms);
#endif

/* cells.h: the cells that run: one per shell, in turns.
 *
 * What      an execute request becomes a task of the session, stepped until it ends; then its reply goes out. One cell
 *           alone is never left. When something waits (a request for another shell, a comm message), the I/O thread
 *           asks the session for a turn; the same while several cells run.
 * Ownership a request that is taken is freed here.
 * Errors    in replies.
 * Threads   session thread, except cells_waits.
 *
 * Example:
 *     if (cells_free_for(k, r))
 *         requests_answer(k, r);
 */
#ifndef LACUS_KERNEL_CELLS_H
#define LACUS_KERNEL_CELLS_H
#include "kernel/kernel_int.h"

/* Starts the cell of an execute request and gives it its first turn. */
void cells_start(struct kernel *k, struct shell *shell, struct request *r, const struct cell_request *cell);
/* One turn for each cell that can have one: those below us on the C stack and those that sleep cannot. True: there was one. */
bool cells_step(struct kernel *k);
/* Milliseconds until a cell can have its turn; at most ms (-1: any number). */
int cells_due(struct kernel *k, int ms);
/* Can be answered now: its shell has nothing to do, or it is a comm message that somebody gets. An inbox_filter. */
bool cells_free_for(void *kernel, const struct request *r);
/* Should what runs be left for it (NULL: for the other cells)? Then it is asked to. An inbox_waits: I/O thread. */
bool cells_waits(void *kernel, const struct request *r);
/* A cell that waits in C: serves others for up to timeout_ms; returns early after something was served. */
void cells_serve(struct kernel *k, const struct ctx *ctx, int timeout_ms);
#endif

/* job.h: a C function that runs in a coroutine of its own under the hook, so that whatever it calls can be
 * interrupted and no error escapes.
 *
 * Ownership the argument is borrowed.
 * Units     none.
 * Errors    the result; an error's text is written to the buffer, if one is given.
 * Threads   session thread.
 *
 * Example:
 *     if (job_run(s, answer, &question, NULL) != HOOK_DONE)
 *         return NULL;
 */
#ifndef LACUS_SESSION_JOB_H
#define LACUS_SESSION_JOB_H
#include "runtime/base/buf.h"
#include "runtime/session/hook.h"

/* fn gets arg as a light userdata. */
enum hook_end job_run(struct session *s, lua_CFunction fn, void *arg, struct buf *error);
#endif

/* python.h: a python3 process that is kept beside a session, and talks JSON lines with it.
 *
 * What      the process reads one message per line on descriptor 3 and writes messages on descriptor 4; its standard
 *           output and error are pipes of their own. What it had printed before a message is delivered before
 *           the message. The Python side is runtime/lib/lacus/python_side.lua.
 * Ownership python_start gives a handle, python_stop ends it and its process. Messages are the receiver's.
 * Units     milliseconds.
 * Errors    LC_MISSING: no such program; LC_CLOSED: the process has ended (the message says how).
 * Threads   one at a time.
 *
 * Example:
 *     struct python *p;
 *     struct err err;
 *     if (python_start("python3", "pass", "/tmp", &p, &err) == LC_OK)
 *         python_stop(p);
 */
#ifndef LACUS_PYTHON_PYTHON_H
#define LACUS_PYTHON_PYTHON_H
#include "runtime/base/buf.h"
#include <jansson.h>

struct python;

/* side: the text it runs. folder: where tables are handed over. */
enum lc python_start(const char *program, const char *side, const char *folder, struct python **out,
                     struct err *err) MUST_CHECK;
void python_stop(struct python *p); /* NULL is fine */
bool python_alive(struct python *p);
void python_interrupt(struct python *p);
enum lc python_send(struct python *p, const json_t *message, struct err *err) MUST_CHECK;

typedef void python_output_fn(void *arg, int stream, const char *data, size_t len);
/* Waits for output or a message for up to timeout; *message is NULL when none came. */
enum lc python_step(struct python *p, int timeout_ms, python_output_fn *output, void *arg, json_t **message,
                    struct err *err) MUST_CHECK;
#endif

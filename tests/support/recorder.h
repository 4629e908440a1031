/* recorder.h: a front end for tests: keeps what a session showed, as JSON.
 *
 * What      each call becomes an object in `events`: {"type": "stream", "name": "stdout", "text": …} (streams
 * in a row are joined), {"type": "display_data" | "update_display_data" | "execute_result", "data",
 * "metadata", "transient"}, {"type": "error", "ename", "evalue", "traceback"}, {"type": "clear_output",
 * "wait"},
 * {"type": "comm", …}, {"type": "page"}, {"type": "set_next_input"}. Ownership recorder_release. Units none.
 * Errors none. Threads the session's.
 *
 * Example:
 *     struct recorder r = {0};
 *     struct session_options options = {.frontend = recorder_frontend(&r)};
 *     recorder_release(&r);
 */
#ifndef LACUS_TESTS_RECORDER_H
#define LACUS_TESTS_RECORDER_H
#include "runtime/session/session.h"

struct recorder {
    json_t *events;             /* owned array */
    const char *const *answers; /* what input returns, in turn; NULL-terminated; may be NULL */
    size_t answered;
    char prompt[128]; /* of the last question */
    bool password;
    struct session *session;
};

struct frontend recorder_frontend(struct recorder *r);
void recorder_clear(struct recorder *r);
void recorder_release(struct recorder *r);
/* All text of a stream since the last clear; caller frees. */
char *recorder_text(const struct recorder *r, enum stream stream);
/* The n-th event of a type, borrowed, or NULL. */
json_t *recorder_event(const struct recorder *r, const char *type, size_t n);
/* text/plain of the last execute_result, borrowed, or NULL. */
const char *recorder_result(const struct recorder *r);

/* cmocka's fixture of a session with nothing but the recorder; *state is the recorder. */
int recorder_set_up(void **state);
int recorder_tear_down(void **state);
void recorder_do(
    struct recorder *r,
    const char *text); /* a cell in r->session that must not fail; forgets what was shown before */
/* Runs a cell that must be possible to run; the reply is released by the caller. */
void recorder_run(struct recorder *r, struct session *s, const char *text, struct cell_reply *reply);
#endif

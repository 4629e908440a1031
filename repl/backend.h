/* backend.h: the seam between the prompt and what runs its cells: a session of this process, or a kernel that
 * runs elsewhere.
 *
 * What      answers are the contents of the Jupyter replies (complete_reply, inspect_reply, is_complete_reply,
 *           history_reply). execute shows what comes of a cell through the terminal front end that the backend
 *           was made with.
 * Ownership answers are new references (NULL: none); texts are borrowed; next_input is the caller's (mem_free).
 * Units     cursor positions are in Unicode code points.
 * Errors    shown to the person; ended() says that there is nothing left to talk to.
 * Threads   main thread. An interrupt (SIGINT) ends each call early.
 *
 * Example:
 *     struct local_backend local = {session, &frontend};
 *     const struct backend b = backend_session(&local);
 *     b.ops->execute(b.self, "1 + 1", 5);
 */
#ifndef LACUS_REPL_BACKEND_H
#define LACUS_REPL_BACKEND_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct backend_ops {
    json_t *(*complete)(void *self, const char *code, size_t len, size_t cursor);
    json_t *(*inspect)(void *self, const char *code, size_t len, size_t cursor);
    json_t *(*is_complete)(void *self, const char *code, size_t len);
    json_t *(*history)(void *self, json_t *request);
    int (*number)(void *self); /* of the next cell */
    void (*execute)(void *self, const char *code, size_t len);
    char *(*next_input)(void *self); /* what the last cell put in front of the user; NULL: nothing */
    bool (*ended)(void *self);
};

struct backend {
    const struct backend_ops *ops;
    void *self;
};

struct session;
struct terminal_frontend;
struct local_backend { /* the caller's, filled by backend_session */
    struct session *session;
    struct terminal_frontend *frontend;
};
struct backend backend_session(struct local_backend *b);
#endif

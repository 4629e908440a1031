/* frontend.h: the seam between a session and what people look at: kernel, repl, runner, test recorder.
 *
 * What      a struct of functions. A session calls them in the order in which things happen; a front end
 *           shows, sends or stores.
 * Ownership every argument is borrowed for the call; a front end that keeps JSON takes a reference
 *           (json_incref).
 * Units     texts are UTF-8 with a length in bytes; bytes that are not UTF-8 were replaced before.
 * Errors    output functions cannot fail towards the cell: a front end that loses its client says so in its
 *           own log. `input` and `comm_send` report (`LC_UNSUPPORTED` when there is nobody to ask,
 *           `LC_CANCELLED` on interrupt).
 * Threads   called on the session thread only; a function may block (back-pressure), but returns when ctx is
 *           cancelled.
 * Optional  any pointer may be NULL: the session then does the plain thing (drops, or LC_UNSUPPORTED).
 *
 * Example:
 *     static void on_stream(void *self, const struct ctx *ctx, enum stream stream, const char *text,
 *                           size_t len)
 *     {
 *         (void)self, (void)ctx;
 *         fwrite(text, 1, len, stream == STREAM_STDERR ? stderr : stdout);
 *     }
 *     static const struct frontend_ops plain = {.name = "plain", .stream = on_stream};
 */
#ifndef LACUS_SESSION_FRONTEND_H
#define LACUS_SESSION_FRONTEND_H
#include "runtime/base/buf.h"
#include "runtime/base/ctx.h"
#include <jansson.h>

enum stream { STREAM_STDOUT = 1, STREAM_STDERR = 2 };

struct display {       /* a MIME bundle, as Jupyter's display_data */
    json_t *data;      /* object: MIME type → string (or JSON for *+json); always has text/plain */
    json_t *metadata;  /* object, may be NULL */
    json_t *transient; /* object with display_id, may be NULL */
    bool update;       /* update_display_data: replaces the earlier display with the same id */
};

struct cell_error {
    const char *ename, *evalue;
    json_t *traceback; /* array of strings, with ANSI colours */
};

struct comm_buffers { /* binary parts of a comm message */
    const void *const *data;
    const size_t *len;
    size_t n;
};

enum comm_kind { COMM_OPEN, COMM_MSG, COMM_CLOSE };

struct frontend_ops {
    const char *name; /* "kernel", "repl", "runner", "recorder" */
    bool rich;        /* shows HTML, Vega-Lite and widgets; false: text/plain is what is seen */
    bool raw;         /* a file or a pipe: stream is given any bytes, as they were written; false: UTF-8 */
    void (*stream)(void *self, const struct ctx *ctx, enum stream stream, const char *text, size_t len);
    void (*display)(void *self, const struct ctx *ctx, const struct display *d);
    void (*result)(void *self, const struct ctx *ctx, int execution_count, const struct display *d);
    void (*error)(void *self, const struct ctx *ctx, const struct cell_error *e);
    void (*clear_output)(void *self, const struct ctx *ctx, bool wait);
    enum lc (*input)(void *self, const struct ctx *ctx, const char *prompt, bool password, struct buf *answer,
                     struct err *err);
    /* target is for COMM_OPEN only */
    enum lc (*comm_send)(void *self, const struct ctx *ctx, enum comm_kind kind, const char *comm_id,
                         const char *target, json_t *data, json_t *metadata,
                         const struct comm_buffers *buffers, struct err *err);
    /* page (name?) and set_next_input: NULL puts them into cell_reply.payload instead, as Jupyter has them. */
    void (*page)(void *self, const struct ctx *ctx, const struct display *d);
    void (*set_next_input)(void *self, const struct ctx *ctx, const char *text, bool replace);
    void (*ask_exit)(void *self, const struct ctx *ctx, bool keep_kernel);
    /* Waits up to timeout_ms and serves what the front end has for the session meanwhile (comm messages in
     * the kernel). NULL: sleeps. */
    void (*serve)(void *self, const struct ctx *ctx, int timeout_ms);
    /* Captured output has come while no cell runs: call session_flush soon. Any thread; only posts. */
    void (*output_waits)(void *self);
    /* The id of the request that is being answered, as Jupyter knows it (an Output widget gathers by it);
     * borrowed until the call returns to the front end, "" between requests. */
    const char *(*request_id)(void *self);
    /* Columns of the terminal that text is shown on; 0 or no function: there is none. */
    int (*columns)(void *self);
    /* Runs a program that has the person's terminal for itself: what it reads and prints does not come by here. NULL: there
     * is no such terminal. Status and errors as process_foreground has them. */
    enum lc (*foreground)(void *self, const struct ctx *ctx, const char *const *argv, int *status,
                          struct err *err);
};

struct frontend {
    const struct frontend_ops *ops;
    void *self;
};
#endif

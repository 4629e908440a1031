/* terminal_frontend.h: the front end of the prompt and of scripts: text on a terminal.
 *
 * Ownership terminal_frontend_init fills a struct of the caller's; release ends it.
 * Units     none.
 * Errors    none.
 * Threads   session thread.
 *
 * Example:
 *     struct terminal_frontend t;
 *     terminal_frontend_init(&t, true);
 *     struct session_options options = {.frontend = terminal_frontend_seam(&t)};
 */
#ifndef LACUS_REPL_TERMINAL_FRONTEND_H
#define LACUS_REPL_TERMINAL_FRONTEND_H
#include "runtime/base/terminal.h"
#include "runtime/session/frontend.h"

struct terminal_frontend {
    struct terminal out;
    struct frontend_ops ops;
    bool prompt;  /* a person sits there: results are shown as Out[n] */
    bool colours; /* ANSI colours are welcome on standard error */
    bool exit_asked;
    int exit_status;  /* of os.exit */
    char *next_input; /* owned: text for the next prompt, or NULL */
};

void terminal_frontend_init(struct terminal_frontend *t, bool prompt);
void terminal_frontend_release(struct terminal_frontend *t);
struct frontend terminal_frontend_seam(struct terminal_frontend *t);
#endif

/* The prompt's backend that runs cells in a session of this process. */
#include "repl/backend.h"
#include "repl/interrupt.h"
#include "repl/terminal_frontend.h"
#include "runtime/base/err.h"
#include "runtime/session/session.h"
#include <stdio.h>

/* Completion and inspection run the user's code (__index, __tostring): Ctrl-C ends it. */
static json_t *complete(void *self, const char *code, size_t len, size_t cursor)
{
    struct local_backend *b = self;
    json_t *reply;

    interrupt_begin(b->session, false);
    reply = session_complete(b->session, code, len, cursor);
    interrupt_end();
    return reply;
}

static json_t *inspect(void *self, const char *code, size_t len, size_t cursor)
{
    struct local_backend *b = self;
    json_t *reply;

    interrupt_begin(b->session, false);
    reply = session_inspect(b->session, code, len, cursor, 0);
    interrupt_end();
    return reply;
}

static json_t *is_complete(void *self, const char *code, size_t len)
{
    struct local_backend *b = self;

    return session_is_complete(b->session, code, len);
}

static json_t *history(void *self, json_t *request)
{
    struct local_backend *b = self;

    return session_history(b->session, request);
}

static int number(void *self)
{
    struct local_backend *b = self;

    return session_execution_count(b->session) + 1;
}

static void execute(void *self, const char *code, size_t len)
{
    struct local_backend *b = self;
    struct cell_request cell = {.code = code, .len = len, .store_history = true, .allow_stdin = true};
    struct cell_reply reply;
    struct err err;

    interrupt_begin(b->session, false);
    if (session_execute(b->session, &cell, &reply, &err) == LC_OK) {
        if (reply.exit_asked) {
            b->frontend->exit_asked = true;
            b->frontend->exit_status = reply.exit_status;
        }
        cell_reply_release(&reply);
    } else {
        fprintf(stderr, "%s\n", err.message);
    }
    interrupt_end();
}

static char *next_input(void *self)
{
    struct local_backend *b = self;
    char *text = b->frontend->next_input;

    b->frontend->next_input = NULL;
    return text;
}

static bool ended(void *self)
{
    struct local_backend *b = self;

    return b->frontend->exit_asked;
}

struct backend backend_session(struct local_backend *b)
{
    static const struct backend_ops ops = {.complete = complete,
                                           .inspect = inspect,
                                           .is_complete = is_complete,
                                           .history = history,
                                           .number = number,
                                           .execute = execute,
                                           .next_input = next_input,
                                           .ended = ended};

    return (struct backend){&ops, b};
}

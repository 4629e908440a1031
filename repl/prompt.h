/* prompt.h: the interactive loop: readline, several lines, completion, history.
 *
 * Ownership borrowed.
 * Errors    shown to the person.
 * Units     none.
 * Threads   session thread; readline has one state per process.
 *
 * Example:
 *     int code = prompt_loop(session, &frontend);
 */
#ifndef LACUS_REPL_PROMPT_H
#define LACUS_REPL_PROMPT_H

struct session;
struct terminal_frontend;
int prompt_loop(struct session *s, struct terminal_frontend *t); /* the exit code */
#endif

/* shells.h: the main shell and its subshells (JEP 91).
 *
 * What      a list of names and what each is busy with. The requests of one shell are answered one after the other;
 *           those of different shells in turns. Clients make and end subshells on the control channel; the one whose
 *           cell runs goes when that has ended.
 * Ownership struct shells owns its entries; a shell is borrowed until shells_remove or shells_ended.
 * Units     at most SHELLS_MAX subshells.
 * Errors    LC_LIMIT, LC_NOTFOUND (names the subshell), LC_NOMEM.
 * Threads   any, except what is said to be the session thread's.
 *
 * Example:
 *     char id[UUID_TEXT];
 *     struct err err;
 *     if (shells_add(s, id, &err) == LC_OK)
 *         puts(id);
 */
#ifndef LACUS_KERNEL_SHELLS_H
#define LACUS_KERNEL_SHELLS_H
#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include <jansson.h>
#include <stdbool.h>

enum { SHELLS_MAX = 256 };

struct exchange; /* kernel_int.h */
struct shell {
    struct shell *next;
    char id[UUID_TEXT];       /* "": the main one */
    bool gone;                /* ended by a client, and still busy */
    struct exchange *running; /* session thread: its cell; set with shells_begun and shells_ended only */
    int answering;            /* session thread: comm messages whose handlers run; likewise */
};

struct shells;

struct shells *shells_new(void); /* with the main shell; NULL without memory */
void shells_free(struct shells *s);

enum lc shells_add(struct shells *s, char id[UUID_TEXT], struct err *err) MUST_CHECK;
enum lc shells_remove(struct shells *s, const char *id, struct err *err) MUST_CHECK;
json_t *shells_list(struct shells *s); /* their ids; new array */

/* The shell of an id, NULL: there is none. Session thread. */
struct shell *shells_find(struct shells *s, const char *id);
/* A cell, or (cell NULL) the handler of a comm message. Session thread. */
void shells_begun(struct shells *s, struct shell *shell, struct exchange *cell);
void shells_ended(struct shells *s, struct shell *shell, bool cell);
/* A shell with a cell that runs, or NULL; the n-th of them. Session thread. */
struct shell *shells_busy(struct shells *s, int n);
int shells_running(struct shells *s); /* how many cells and handlers run */
bool shells_is_busy(struct shells *s, const char *id);
#endif

/* profile.h: where the time of a piece of Lua goes: samples of its stack.
 *
 * What      a thread asks the hook, PROFILE_HZ times a second, for the stack of the session; each sample weighs the
 *           time since the one before, so that a C function that runs long counts as long as it ran. Nothing is
 *           hooked between samples.
 * Ownership profile_free. Nodes are borrowed from it.
 * Units     nanoseconds.
 * Errors    profile_start: LC_NOMEM, LC_IO (no thread). A profile that has PROFILE_NODES_MAX places adds no more.
 * Threads   session thread.
 *
 * Example:
 *     struct profile *p;
 *     if (profile_start(s, &p, NULL) == LC_OK) {
 *         profile_stop(p);
 *         profile_free(p);
 *     }
 */
#ifndef LACUS_SESSION_PROFILE_H
#define LACUS_SESSION_PROFILE_H
#include "runtime/base/buf.h"
#include <lua.h>

struct session;
struct profile;

enum { PROFILE_HZ = 1000, PROFILE_NODES_MAX = 50000, PROFILE_DEPTH_MAX = 200, PROFILE_NAME = 120 };

struct profile_node { /* a function, called from its parent's */
    char name[PROFILE_NAME];
    int64_t self, total;
    int parent, child, next; /* indexes, -1: none */
};

enum lc profile_start(struct session *s, struct profile **out, struct err *err) MUST_CHECK;
void profile_stop(struct profile *p);
void profile_free(struct profile *p); /* stops it first */
int64_t profile_elapsed(const struct profile *p);
int profile_samples(const struct profile *p);
/* The tree; 0 is the root. */
const struct profile_node *profile_nodes(const struct profile *p, int *n);

/* The hook's: L is between two instructions, or a C function in it is about to return. */
void profile_sample(struct session *s, lua_State *L);
#endif

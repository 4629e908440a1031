#include "runtime/session/profile.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/thread.h"
#include "runtime/session/debug_int.h"
#include "runtime/session/session_int.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct profile {
    struct session *session;
    lua_State *base; /* frames of this coroutine below `skip` levels are not the profiled text's */
    int skip;
    int64_t started, ended, last;
    int samples;
    struct profile_node *nodes; /* owned */
    int n, cap;
    pthread_t thread;
    bool running;
    atomic_bool stopping;
    atomic_long cost; /* of a sample, ns */
};

static void *ticker(void *arg)
{
    struct profile *p = arg;
    const long tick = 1000000000 / PROFILE_HZ, most = 200000000;

    while (!atomic_load(&p->stopping)) {
        long pause = tick + 10 * atomic_load(&p->cost); /* the profiled code has most of the time */
        nanosleep(&(struct timespec){.tv_nsec = pause < most ? pause : most}, NULL);
        hook_request(p->session, HOOK_SAMPLE);
    }
    return NULL;
}

enum lc profile_start(struct session *s, struct profile **out, struct err *err)
{
    struct profile *p = mem_zalloc(sizeof *p);
    int rc;

    if (!p || s->profile) {
        mem_free(p);
        return s->profile ? err_set(err, LC_CONFLICT, "a profile is being taken already") : err_nomem(err);
    }
    p->session = s;
    p->nodes = mem_calloc(64, sizeof *p->nodes);
    p->cap = 64;
    p->n = 1;
    if (!p->nodes) {
        mem_free(p);
        return err_nomem(err);
    }
    p->nodes[0] = (struct profile_node){.name = "all", .parent = -1, .child = -1, .next = -1};
    p->base = session_lua(s);
    p->skip = debug_levels(p->base);
    p->started = p->last = clock_mono_ns();
    s->profile = p;
    rc = thread_start(&p->thread, ticker, p);
    if (rc != 0) {
        s->profile = NULL;
        profile_free(p);
        return err_errno(err, rc, "cannot start the profiler");
    }
    p->running = true;
    *out = p;
    return LC_OK;
}

void profile_stop(struct profile *p)
{
    if (!p->running)
        return;
    p->ended = clock_mono_ns();
    atomic_store(&p->stopping, true);
    pthread_join(p->thread, NULL);
    p->running = false;
    hook_withdraw(p->session, HOOK_SAMPLE);
    p->session->profile = NULL;
}

void profile_free(struct profile *p)
{
    if (!p)
        return;
    profile_stop(p);
    mem_free(p->nodes);
    mem_free(p);
}

int64_t profile_elapsed(const struct profile *p)
{
    return p->ended - p->started;
}

int profile_samples(const struct profile *p)
{
    return p->samples;
}

const struct profile_node *profile_nodes(const struct profile *p, int *n)
{
    *n = p->n;
    return p->nodes;
}

/* ---- the tree ---- */
static void name_of(const lua_Debug *ar, char out[PROFILE_NAME])
{
    const char *name = ar->name ? ar->name : "";

    if (strcmp(ar->what, "C") == 0)
        snprintf(out, PROFILE_NAME, "%s [C]", *name ? name : "?");
    else if (strcmp(ar->what, "main") == 0 || (!*name && ar->linedefined <= 1))
        snprintf(out, PROFILE_NAME, "%s", ar->short_src);
    else
        snprintf(out, PROFILE_NAME, "%s (%s:%d)", *name ? name : "function", ar->short_src, ar->linedefined);
}

static int child_of(struct profile *p, int parent, const char *name)
{
    for (int i = p->nodes[parent].child; i >= 0; i = p->nodes[i].next)
        if (strcmp(p->nodes[i].name, name) == 0)
            return i;
    if (p->n == p->cap) {
        struct profile_node *more =
            p->cap < PROFILE_NODES_MAX ? mem_reallocn(p->nodes, (size_t)p->cap * 2, sizeof *more) : NULL;
        if (!more)
            return parent;
        p->nodes = more;
        p->cap *= 2;
    }
    p->nodes[p->n] = (struct profile_node){.parent = parent, .child = -1, .next = p->nodes[parent].child};
    snprintf(p->nodes[p->n].name, PROFILE_NAME, "%s", name);
    p->nodes[parent].child = p->n;
    return p->n++;
}

/* From the outermost function in: those of who resumed it first. */
static int descend(struct profile *p, struct hook_link *link, int node, int *room)
{
    lua_Debug ar;
    char name[PROFILE_NAME];
    int n;

    if (!link)
        return node;
    if (link->L != p->base)
        node = descend(p, link->outer, node, room);
    n = link->L == p->base ? p->skip : 0;
    if (lua_getstack(link->L, n + PROFILE_DEPTH_MAX,
                     &ar)) { /* of a deep stack the innermost count: asking for the n-th walks n */
        n = PROFILE_DEPTH_MAX;
        node = child_of(p, node, "…");
    } else {
        n = debug_levels(link->L) - n;
    }
    for (int i = n - 1; i >= 0 && lua_getstack(link->L, i, &ar); i--) {
        lua_getinfo(link->L, "Sn", &ar);
        if (strncmp(ar.short_src, "lacus.", 6) == 0 || (*room)-- <= 0 ||
            (strcmp(ar.what, "C") == 0 && !ar.name))
            continue;
        name_of(&ar, name);
        node = child_of(p, node, name);
    }
    return node;
}

void profile_sample(struct session *s, lua_State *L)
{
    struct profile *p = s->profile;
    int64_t now, spent;
    int node, room = PROFILE_DEPTH_MAX;

    (void)L;
    if (!p || !p->running)
        return;
    now = clock_mono_ns();
    spent = now - p->last;
    node = descend(p, s->hook.links, 0, &room);
    p->nodes[node].self += spent;
    for (; node >= 0; node = p->nodes[node].parent)
        p->nodes[node].total += spent;
    p->samples++;
    p->last = clock_mono_ns();
    atomic_store(&p->cost, (long)(p->last - now));
}

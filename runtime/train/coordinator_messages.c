/* coordinator_messages.c: what workers say, and what they are answered. */
#include "runtime/base/mem.h"
#include "runtime/train/coordinator_int.h"
#include "runtime/train/track.h"
#include <stdio.h>
#include <string.h>

struct peer *find_peer(struct coordinator *c, const char *id)
{
    for (size_t i = 0; i < c->n_peers; i++)
        if (strcmp(c->peers[i].id, id) == 0)
            return &c->peers[i];
    return NULL;
}

static void release_peer(struct coordinator *c, const char *peer, const char *reason)
{
    (void)coordinator_send(c, peer, json_pack("{s:s, s:s}", "type", "release", "reason", reason));
}

static void fill_peer(struct peer *p, const struct link_event *e)
{
    *p = (struct peer){.memory = wire_int(&e->msg, "memory"),
                       .cores = wire_int(&e->msg, "cores"),
                       .pid = wire_int(&e->msg, "pid"),
                       .heard_ns = clock_mono_ns()};
    (void)snprintf(p->id, sizeof p->id, "%s", e->peer);
    (void)snprintf(p->user, sizeof p->user, "%s", e->user);
    (void)snprintf(p->address, sizeof p->address, "%s", e->address);
    (void)snprintf(p->host, sizeof p->host, "%.63s", wire_text(&e->msg, "host"));
    (void)snprintf(p->version, sizeof p->version, "%.31s", wire_text(&e->msg, "version"));
    (void)snprintf(p->device, sizeof p->device, "%.199s", wire_text(&e->msg, "device"));
    (void)snprintf(p->about, sizeof p->about, "pid %lld on %.60s, %.60s", (long long)p->pid, p->host,
                   p->device);
}

/* A worker that was started for a run takes its place there. */
static void find_its_run(struct coordinator *c, struct peer *p)
{
    for (size_t i = 0; i < c->n_runs; i++)
        for (int k = 0; k < c->runs[i]->n_ranks; k++) {
            const struct rank *rank = &c->runs[i]->ranks[k];
            if (rank->pid > 0 && !rank->peer[0] && strcmp(rank->worker, p->user) == 0)
                return attach_rank(c, c->runs[i], k, p);
        }
}

static void on_hello(struct coordinator *c, struct peer *p, struct link_event *e)
{
    char why[400];
    struct err err;

    if (wire_int(&e->msg, "protocol") != WIRE_PROTOCOL) {
        (void)snprintf(
            why, sizeof why,
            "this worker (lacus %.40s) speaks version %d of the protocol, the coordinator (lacus %s) "
            "version %d: install the lacus of the workspace's machine",
            wire_text(&e->msg, "version"), (int)wire_int(&e->msg, "protocol"), LACUS_VERSION, WIRE_PROTOCOL);
        coordinator_say("worker '%s' is refused: %s", e->user, why);
        return release_peer(c, e->peer, why);
    }
    if (!p && c->n_peers == PEERS_MOST)
        return release_peer(c, e->peer, "too many workers");
    if (p && p->run)
        return coordinator_say("worker '%s' says hello a second time", e->user);
    if (!p)
        p = &c->peers[c->n_peers++];
    fill_peer(p, e);
    coordinator_say("worker '%s' (%s) attached", p->user, p->about);
    (void)coordinator_send(
        c, e->peer,
        json_pack("{s:s, s:i, s:s}", "type", "welcome", "protocol", WIRE_PROTOCOL, "name", p->user));
    if (worker_seen(c->ws, p->user, e->msg.head, &err) != LC_OK)
        coordinator_say("%s", err.message);
    find_its_run(c, p);
    coordinator_write_about(c);
}

static void on_beat(struct coordinator *c, struct peer *p, struct link_event *e)
{
    struct rank *k;

    (void)c;
    if (!p)
        return;
    p->resident = wire_int(&e->msg, "memory");
    if (!p->run || strcmp(p->run->id, wire_text(&e->msg, "job")) != 0)
        return;
    k = &p->run->ranks[p->rank];
    if (k->step != wire_int(&e->msg, "step") || strcmp(k->phase, wire_text(&e->msg, "phase")) != 0 ||
        k->waiting)
        k->since_ns = clock_mono_ns();
    k->waiting = json_is_true(json_object_get(e->msg.head, "waiting"));
    k->step = wire_int(&e->msg, "step");
    (void)snprintf(k->phase, sizeof k->phase, "%s", wire_text(&e->msg, "phase"));
}

static void on_want(struct coordinator *c, struct peer *p, struct link_event *e)
{
    const char *sha = wire_text(&e->msg, "sha256");
    struct buf part = BUF_INIT(WIRE_PAYLOAD_MAX + 1);
    struct err err;

    if (run_blob(p->run, sha, wire_int(&e->msg, "offset"), wire_int(&e->msg, "length"), &part, &err) != LC_OK)
        (void)coordinator_send(
            c, e->peer,
            json_pack("{s:s, s:s, s:s}", "type", "noblob", "sha256", sha, "message", err.message));
    else if (link_server_send(c->server, e->peer,
                              json_pack("{s:s, s:s, s:I}", "type", "chunk", "sha256", sha, "offset",
                                        (json_int_t)wire_int(&e->msg, "offset")),
                              buf_str(&part), part.len, &err) != LC_OK)
        coordinator_say("%s", err.message);
    buf_release(&part);
}

/* The tracker never stops a job: what goes wrong is said in the job's log, and tracking ends. */
static void stop_tracking(struct run *r, const struct err *err)
{
    char text[1100];

    (void)snprintf(text, sizeof text, "warning: the tracking run gets no more of this job: %s", err->message);
    run_event(r, json_pack("{s:s, s:s}", "event", "log", "text", text));
    track_close(r->track);
    r->track = NULL;
}

static void on_event(struct coordinator *c, struct peer *p, struct link_event *e)
{
    json_t *event = json_object_get(e->msg.head, "event");
    const char *kind = json_string_value(json_object_get(event, "event"));
    struct run *r = p->run;
    struct err err;

    (void)c;
    if (!kind || strcmp(kind, "status") == 0) /* how a job stands is said here only */
        return;
    if (p->rank != 0 && strcmp(kind, "log") != 0) /* the first rank speaks for all */
        return;
    if (strcmp(kind, "metric") == 0) { /* fresher than the last beat */
        r->ranks[0].step = json_integer_value(json_object_get(event, "step")) + 1;
        (void)snprintf(r->ranks[0].phase, sizeof r->ranks[0].phase, "training");
    }
    run_event(r, json_incref(event));
    if (p->rank == 0 && r->track && track_event(r->track, event, &err) != LC_OK)
        stop_tracking(r, &err);
}

static json_t *saved_answer(const struct run *r, const char *folder, const struct err *err)
{
    return json_pack("{s:s, s:s, s:s, s:s*, s:s*}", "type", "saved", "job", r->id, "folder", folder, "error",
                     err ? err->message : NULL, "code", err ? lc_name(err->code) : NULL);
}

static void on_file(struct coordinator *c, struct peer *p, struct link_event *e)
{
    const char *folder = wire_text(&e->msg, "folder");
    struct err err;

    if (p->rank != 0 || run_receive(p->run, &e->msg, &err) == LC_OK)
        return;
    run_abort(p->run, folder);
    (void)coordinator_send(c, e->peer, saved_answer(p->run, folder, &err));
}

static void on_commit(struct coordinator *c, struct peer *p, struct link_event *e)
{
    const char *folder = wire_text(&e->msg, "folder");
    struct run *r = p->run;
    struct err err;

    if (p->rank != 0)
        return;
    if (run_commit(r, &e->msg, &err) != LC_OK) {
        run_abort(r, folder);
        (void)coordinator_send(c, e->peer, saved_answer(r, folder, &err));
        return;
    }
    if (strcmp(folder, "output") != 0)
        run_event(r, json_pack("{s:s, s:s}", "event", "checkpoint", "folder", folder));
    (void)coordinator_send(c, e->peer, saved_answer(r, folder, NULL));
}

/* ---- the ring -------------------------------------------------------------------------------------------- */

/* The host of a rank's ring, as another one reaches it: "" is the coordinator's own, whatever that is called there. */
static const char *ring_host(const struct rank *k)
{
    bool here = strncmp(k->address, "127.", 4) == 0 || strcmp(k->address, "::1") == 0;

    return here ? "" : strncmp(k->address, "::ffff:", 7) == 0 ? k->address + 7 : k->address;
}

static void introduce(struct coordinator *c, struct run *r)
{
    r->met = true;
    for (int i = 0; i < r->n_ranks; i++) {
        const struct rank *next = &r->ranks[(i + 1) % r->n_ranks],
                          *previous = &r->ranks[(i + r->n_ranks - 1) % r->n_ranks];
        (void)coordinator_send(c, r->ranks[i].peer,
                               json_pack("{s:s, s:s, s:s, s:i, s:s, s:s}", "type", "peers", "job", r->id,
                                         "host", ring_host(next), "port", next->port, "next", next->ring_key,
                                         "previous", previous->ring_key));
    }
}

static void on_ring(struct coordinator *c, struct peer *p, struct link_event *e)
{
    struct run *r = p->run;
    struct rank *k = &r->ranks[p->rank];
    bool all = true;

    k->port = (int)wire_int(&e->msg, "port");
    (void)snprintf(k->ring_key, sizeof k->ring_key, "%s", wire_text(&e->msg, "key"));
    for (int i = 0; i < r->n_ranks; i++)
        all = all && r->ranks[i].port;
    if (all && !r->met)
        introduce(c, r);
}

/* ---- ends ------------------------------------------------------------------------------------------------ */

static void on_done(struct coordinator *c, struct peer *p, struct link_event *e)
{
    rank_done(c, p->run, p->rank, json_object_get(e->msg.head, "result"));
}

/* With a culprit the worker says what another rank did. */
static void on_failed(struct coordinator *c, struct peer *p, struct link_event *e)
{
    const json_t *culprit = json_object_get(e->msg.head, "culprit");
    struct run *r = p->run;
    int other = culprit ? (int)json_integer_value(culprit) : -1;
    enum lc code = lc_from_name(wire_text(&e->msg, "code"));
    struct err err;

    if (code == LC_OK)
        code = LC_WORKER;
    if (other >= 0 && other < r->n_ranks && other != p->rank)
        (void)err_set(&err, code, "worker '%s' (%s), rank %d, was at fault: %s", r->ranks[other].worker,
                      r->ranks[other].about, other, wire_text(&e->msg, "message"));
    else
        (void)err_set(&err, code, "%s", wire_text(&e->msg, "message"));
    (void)snprintf(err.hint, sizeof err.hint, "%s", wire_text(&e->msg, "hint"));
    (void)snprintf(err.cause, sizeof err.cause, "%s", wire_text(&e->msg, "cause"));
    rank_failed(c, r, p->rank, &err, other >= 0 && other != p->rank);
}

static void on_bye(struct coordinator *c, struct peer *p, struct link_event *e)
{
    (void)p;
    lose_peer(c, e->peer, wire_text(&e->msg, "reason"));
}

/* run: the message is about a job, which must be the sender's */
static const struct {
    void (*handle)(struct coordinator *c, struct peer *p, struct link_event *e);
    bool run;
} handlers[WIRE_KINDS] = {
    [WIRE_HELLO] = {on_hello, false}, [WIRE_BEAT] = {on_beat, false}, [WIRE_WANT] = {on_want, true},
    [WIRE_EVENT] = {on_event, true},  [WIRE_FILE] = {on_file, true},  [WIRE_COMMIT] = {on_commit, true},
    [WIRE_RING] = {on_ring, true},    [WIRE_DONE] = {on_done, true},  [WIRE_FAILED] = {on_failed, true},
    [WIRE_BYE] = {on_bye, false},
};

void on_message(struct coordinator *c, struct link_event *e)
{
    struct peer *p = find_peer(c, e->peer);
    struct run *r = p ? p->run : NULL;

    if (!p && e->msg.kind != WIRE_HELLO)
        return release_peer(c, e->peer, "say hello first");
    if (p)
        p->heard_ns = clock_mono_ns();
    if (r)
        r->ranks[p->rank].heard_ns = clock_mono_ns();
    if (!handlers[e->msg.kind].handle ||
        (handlers[e->msg.kind].run && (!r || strcmp(r->id, wire_text(&e->msg, "job")) != 0)))
        return; /* about a job that has ended meanwhile */
    if (handlers[e->msg.kind].run)
        r->ranks[p->rank].since_ns = clock_mono_ns();
    handlers[e->msg.kind].handle(c, p, e);
}

#include "runtime/session/comm.h"
#include "runtime/session/session_int.h"
#include <string.h>

struct comm {
    struct comm *next;
    char *id, *target; /* owned */
    session_comm_fn *fn;
    void *arg;
};

struct target {
    struct target *next;
    char *name; /* owned */
    session_comm_fn *fn;
    void *arg;
};

struct comms {
    struct comm *list;
    struct target *targets;
};

static struct comms *comms_of(struct session *s)
{
    if (!s->comms)
        s->comms = mem_zalloc(sizeof *s->comms);
    return s->comms;
}

static void free_comm(struct comm *c)
{
    mem_free(c->id);
    mem_free(c->target);
    mem_free(c);
}

void comms_close(struct session *s)
{
    if (!s->comms)
        return;
    for (struct comm *c = s->comms->list, *next; c; c = next) {
        next = c->next;
        free_comm(c);
    }
    for (struct target *t = s->comms->targets, *next; t; t = next) {
        next = t->next;
        mem_free(t->name);
        mem_free(t);
    }
    mem_free(s->comms);
    s->comms = NULL;
}

static struct comm *find_comm(struct session *s, const char *id)
{
    struct comm *c = s->comms ? s->comms->list : NULL;

    while (c && strcmp(c->id, id) != 0)
        c = c->next;
    return c;
}

static struct target *find_target(struct session *s, const char *name)
{
    struct target *t = s->comms ? s->comms->targets : NULL;

    while (t && strcmp(t->name, name) != 0)
        t = t->next;
    return t;
}

static enum lc add_comm(struct session *s, const char *id, const char *target, session_comm_fn *fn, void *arg,
                        struct err *err)
{
    struct comms *comms = comms_of(s);
    struct comm *c = comms ? mem_zalloc(sizeof *c) : NULL;

    if (!c)
        return err_nomem(err);
    c->id = mem_strdup(id);
    c->target = mem_strdup(target);
    c->fn = fn;
    c->arg = arg;
    if (!c->id || !c->target) {
        free_comm(c);
        return err_nomem(err);
    }
    c->next = comms->list;
    comms->list = c;
    return LC_OK;
}

static void drop_comm(struct session *s, const char *id)
{
    for (struct comm **p = s->comms ? &s->comms->list : NULL; p && *p; p = &(*p)->next)
        if (strcmp((*p)->id, id) == 0) {
            struct comm *c = *p;
            *p = c->next;
            free_comm(c);
            return;
        }
}

static enum lc send(struct session *s, enum comm_kind kind, const char *id, const char *target, json_t *data,
                    json_t *metadata, const struct comm_buffers *buffers, struct err *err)
{
    session_drain(s);
    if (!s->frontend.ops || !s->frontend.ops->comm_send)
        return err_set(err, LC_UNSUPPORTED, "cannot send a comm message: this front end has no comms");
    return s->frontend.ops->comm_send(s->frontend.self, &s->ctx, kind, id, target, data, metadata, buffers,
                                      err);
}

enum lc session_comm_open(struct session *s, const char *comm_id, const char *target, json_t *data,
                          json_t *metadata, const struct comm_buffers *buffers, session_comm_fn *fn,
                          void *arg, struct err *err)
{
    if (find_comm(s, comm_id))
        return err_set(err, LC_EXISTS, "cannot open comm '%s': it is open", comm_id);
    TRY(send(s, COMM_OPEN, comm_id, target, data, metadata, buffers, err));
    return add_comm(s, comm_id, target, fn, arg, err);
}

enum lc session_comm_send(struct session *s, enum comm_kind kind, const char *comm_id, json_t *data,
                          json_t *metadata, const struct comm_buffers *buffers, struct err *err)
{
    enum lc rc;

    if (!find_comm(s, comm_id))
        return err_set(err, LC_NOTFOUND, "cannot send to comm '%s': it is not open", comm_id);
    rc = send(s, kind, comm_id, NULL, data, metadata, buffers, err);
    if (kind == COMM_CLOSE)
        drop_comm(s, comm_id);
    return rc;
}

enum lc session_comm_target(struct session *s, const char *target, session_comm_fn *fn, void *arg,
                            struct err *err)
{
    struct target *t = find_target(s, target);

    if (!t) {
        struct comms *comms = comms_of(s);

        t = comms ? mem_zalloc(sizeof *t) : NULL;
        if (!t)
            return err_nomem(err);
        t->name = mem_strdup(target);
        if (!t->name) {
            mem_free(t);
            return err_nomem(err);
        }
        t->next = comms->targets;
        comms->targets = t;
    }
    t->fn = fn;
    t->arg = arg;
    return LC_OK;
}

static enum lc opened(struct session *s, const char *id, const char *target, json_t *data,
                      const struct comm_buffers *buffers, struct err *err)
{
    struct target *t = find_target(s, target ? target : "");

    if (!t)
        return err_set(err, LC_NOTFOUND, "no comm target '%s'", target ? target : "");
    TRY(add_comm(s, id, t->name, t->fn, t->arg, err));
    t->fn(s, t->arg, COMM_OPEN, id, data, buffers);
    return LC_OK;
}

static enum lc take(struct session *s, enum comm_kind kind, const char *comm_id, const char *target,
                    json_t *data, const struct comm_buffers *buffers, struct err *err)
{
    struct comm *c;

    if (kind == COMM_OPEN)
        return opened(s, comm_id, target, data, buffers, err);
    c = find_comm(s, comm_id);
    if (!c)
        return err_set(err, LC_NOTFOUND, "no comm '%s'", comm_id);
    c->fn(s, c->arg, kind, comm_id, data, buffers);
    if (kind == COMM_CLOSE)
        drop_comm(s, comm_id);
    session_drain(s);
    return LC_OK;
}

enum lc session_comm(struct session *s, enum comm_kind kind, const char *comm_id, const char *target,
                     json_t *data, json_t *metadata, const struct comm_buffers *buffers, struct err *err)
{
    struct frontend before = s->frontend;
    enum lc rc;

    s->frontend = s->home; /* a cell that captures its output may be waiting below us */
    rc = take(s, kind, comm_id, target, data, buffers, err);
    s->frontend = before;
    (void)metadata;
    return rc;
}

bool session_comm_known(struct session *s, enum comm_kind kind, const char *comm_id, const char *target)
{
    return kind == COMM_OPEN ? find_target(s, target) != NULL : find_comm(s, comm_id) != NULL;
}

json_t *session_comm_info(struct session *s, const char *target)
{
    json_t *info = json_object();

    for (struct comm *c = s->comms ? s->comms->list : NULL; c; c = c->next)
        if (!target || strcmp(target, c->target) == 0)
            json_object_set_new(info, c->id, json_pack("{ss}", "target_name", c->target));
    return info;
}

#include "runtime/dataframe/engines/spark/client.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/spark/client_int.h"
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TRIES_BEFORE_REACHED = 4 };

#define SERVICE "/spark.connect.SparkConnectService/"
const struct rpc_row rpc_rows[RPC_COUNT] = {
    [RPC_EXECUTE] = {SERVICE "ExecutePlan", 8, 4, 15},
    [RPC_ANALYZE] = {SERVICE "AnalyzePlan", 17, 3, 15},
    [RPC_CONFIG] = {SERVICE "Config", 8, 4, 4},
    [RPC_ADD_ARTIFACTS] = {SERVICE "AddArtifacts", 7, 6, 3},
    [RPC_ARTIFACT_STATUS] = {SERVICE "ArtifactStatus", 5, 3, 3},
    [RPC_INTERRUPT] = {SERVICE "Interrupt", 7, 3, 3},
    [RPC_REATTACH] = {SERVICE "ReattachExecute", 6, 4, 15},
    [RPC_RELEASE] = {SERVICE "ReleaseExecute", 7, 4, 3},
    [RPC_RELEASE_SESSION] = {SERVICE "ReleaseSession", 0, 3, 0},
    [RPC_ERROR_DETAILS] = {SERVICE "FetchErrorDetails", 5, 4, 3},
};

/* ---- opening ---- */
/* Found out once: each request says it, and the files of accounts are read anew each time. */
static void take_user(struct client *c)
{
    const char *name = c->url.user_id ? c->url.user_id : getenv("SPARK_USER");
    const struct passwd *pw;

    if (!name)
        name = getenv("USER");
    if (!name && (pw = getpwuid(getuid())) != NULL)
        name = pw->pw_name;
    snprintf(c->user, sizeof c->user, "%s", name ? name : "lacus");
}

static enum lc take_conf(struct client *c, const struct plan_options *conf, struct err *err)
{
    const char *seconds = plan_option(conf, "lacus.connect.retrySeconds");
    const char *file = plan_option(conf, "lacus.connect.tokenFile"),
               *command = plan_option(conf, "lacus.connect.tokenCommand");
    char *end;

    if (!seconds)
        seconds = getenv("LACUS_SPARK_RETRY_SECONDS");
    if (!file)
        file = getenv("LACUS_SPARK_TOKEN_FILE");
    if (!command)
        command = getenv("LACUS_SPARK_TOKEN_COMMAND");
    c->token_file = file ? mem_strdup(file) : NULL;
    c->token_command = command ? mem_strdup(command) : NULL;
    c->retry_seconds = seconds ? strtod(seconds, &end) : 30;
    if (seconds && (end == seconds || *end || !(c->retry_seconds >= 0 && c->retry_seconds < 1e6)))
        return err_set(
            err, LC_ARG,
            "lacus.connect.retrySeconds (LACUS_SPARK_RETRY_SECONDS) is a number of seconds, not '%.50s'",
            seconds);
    return (file && !c->token_file) || (command && !c->token_command) ? err_nomem(err) : LC_OK;
}

static enum lc set_up(struct client *c, const char *url, const struct plan_options *conf, struct err *err)
{
    TRY(connect_url_parse(url, &c->url, err));
    TRY(take_conf(c, conf, err));
    take_user(c);
    snprintf(c->authority, sizeof c->authority, strchr(c->url.host, ':') ? "[%.256s]:%d" : "%.256s:%d",
             c->url.host, c->url.port);
    snprintf(c->type, sizeof c->type, "%.60s%slacus/" LACUS_VERSION " spark/4.3.0 os/linux lua/5.4",
             c->url.user_agent ? c->url.user_agent : "", c->url.user_agent ? " " : "");
    if (c->url.session_id)
        snprintf(c->session, sizeof c->session, "%s", c->url.session_id);
    else
        uuid_make(c->session);
    return token_load(c, err);
}

enum lc client_open(const char *url, const struct plan_options *conf, struct client **out, struct err *err)
{
    struct client *c = mem_zalloc(sizeof *c);
    enum lc rc;

    if (!c)
        return err_nomem(err);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->work, NULL);
    pthread_cond_init(&c->done, NULL);
    rc = set_up(c, url, conf, err);
    if (rc != LC_OK)
        client_close(c);
    else
        *out = c;
    return rc;
}

static void release_session(struct client *c)
{
    struct buf request = BUF_INIT(4096);

    client_request(c, RPC_RELEASE_SESSION, &request);
    client_post(c, RPC_RELEASE_SESSION, &request);
    buf_release(&request);
}

void client_close(struct client *c)
{
    if (c->reached && !c->url.session_id) /* one that the address names is somebody else's, too */
        release_session(c);
    posts_stop(c);
    for (size_t i = 0; i < c->n_idle; i++)
        grpc_close(c->idle[i]);
    connect_url_release(&c->url);
    mem_free(c->token);
    mem_free(c->token_file);
    mem_free(c->token_command);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->work);
    pthread_cond_destroy(&c->done);
    mem_free(c);
}

const char *client_host(const struct client *c)
{
    return c->authority;
}

void client_request(struct client *c, enum rpc rpc, struct buf *out)
{
    const struct rpc_row *row = &rpc_rows[rpc];
    size_t mark;

    pb_text(out, 1, c->session);
    mark = pb_begin(out, 2);
    pb_text(out, 1, c->user);
    pb_text(out, 2, c->user);
    pb_end(out, mark);
    pb_text(out, row->type, c->type);
    pthread_mutex_lock(&c->lock);
    if (row->observed && c->server_session[0])
        pb_text(out, row->observed, c->server_session);
    pthread_mutex_unlock(&c->lock);
}

/* ---- connections ---- */
static struct grpc *take_idle(struct client *c)
{
    for (;;) {
        struct grpc *g = NULL;

        pthread_mutex_lock(&c->lock);
        if (c->n_idle)
            g = c->idle[--c->n_idle];
        pthread_mutex_unlock(&c->lock);
        if (!g || grpc_usable(g))
            return g;
        grpc_close(g);
    }
}

void client_done(struct client *c, struct grpc *g)
{
    if (g && grpc_usable(g)) {
        pthread_mutex_lock(&c->lock);
        if (c->n_idle < IDLE_CONNECTIONS) {
            c->idle[c->n_idle++] = g;
            g = NULL;
        }
        pthread_mutex_unlock(&c->lock);
    }
    grpc_close(g);
}

static enum lc take_connection(struct client *c, const struct ctx *ctx, const atomic_bool *stop,
                               struct grpc **out, struct err *err)
{
    struct wire_target t = {c->url.host, c->url.port, c->url.tls};

    *out = take_idle(c);
    return *out ? LC_OK : grpc_open(ctx, stop, &t, out, err);
}

static enum lc begin(struct client *c, const struct ctx *ctx, struct grpc_call *call, enum rpc rpc,
                     struct grpc **out, struct err *err)
{
    struct grpc_header headers[CONNECT_HEADERS + 2];
    struct buf bearer = BUF_INIT(128 << 10);
    size_t n = 0;
    enum lc rc;

    *out = NULL;
    headers[n++] = (struct grpc_header){"user-agent", c->type};
    pthread_mutex_lock(&c->lock);
    if (c->token) {
        buf_printf(&bearer, "Bearer %s", c->token);
        headers[n++] = (struct grpc_header){"authorization", buf_str(&bearer)};
    }
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < c->url.n_headers; i++)
        headers[n++] = (struct grpc_header){c->url.headers[i].name, c->url.headers[i].value};
    call->path = rpc_rows[rpc].path;
    call->authority = c->authority;
    call->tls = c->url.tls;
    call->headers = headers;
    call->n_headers = n;
    rc = take_connection(c, ctx, call->stop, out, err);
    if (rc == LC_OK)
        rc = grpc_begin(*out, ctx, call, err);
    if (rc != LC_OK && *out) {
        client_done(c, *out);
        *out = NULL;
    }
    buf_release(&bearer);
    return rc;
}

enum lc client_begin(struct client *c, const struct ctx *ctx, const atomic_bool *stop, enum rpc rpc,
                     const struct buf *request, struct grpc **out, struct err *err)
{
    struct grpc_call call = {.stop = stop, .request = buf_str(request), .request_len = request->len};

    return begin(c, ctx, &call, rpc, out, err);
}

enum lc client_lost(struct client *c, struct err *err)
{
    atomic_store(&c->lost, true);
    return err_hint(
        err,
        "spark:stop() ends it here, and the next call begins a new one; temporary views and settings have "
        "to be made again");
}

bool client_is_lost(const struct client *c)
{
    return atomic_load(&c->lost);
}

enum lc client_check_session(struct client *c, enum rpc rpc, const struct buf *reply, struct err *err)
{
    struct pb_field f;
    char id[64];
    bool same = true;

    if (!rpc_rows[rpc].server_session ||
        !pb_find(pb_open(reply->data, reply->len), rpc_rows[rpc].server_session, &f) || f.len == 0)
        return LC_OK;
    pb_copy(&f, id, sizeof id);
    pthread_mutex_lock(&c->lock);
    c->reached = true;
    if (!c->server_session[0])
        memcpy(c->server_session, id, sizeof id);
    else
        same = strcmp(c->server_session, id) == 0;
    pthread_mutex_unlock(&c->lock);
    if (same)
        return LC_OK;
    err_set(err, LC_CONFLICT,
            "[INVALID_HANDLE.SESSION_CHANGED] the Spark server at '%s' was restarted: the session is gone",
            c->authority);
    return client_lost(c, err);
}

/* ---- retries ---- */
static enum lc pause_for(const struct ctx *ctx, const atomic_bool *stop, int64_t ms, struct err *err)
{
    int64_t until = clock_mono_ns() + ms * 1000000;

    while (clock_mono_ns() < until) {
        struct timespec t = {.tv_nsec = WIRE_LOOK_MS * 1000000};
        if (stop && atomic_load(stop))
            return err_set(err, LC_CANCELLED, "interrupted");
        TRY(ctx_check(ctx, err));
        nanosleep(&t, NULL);
    }
    return LC_OK;
}

static bool passing(const struct grpc_status *s) /* what the next try may not meet */
{
    char class[128];

    if (s->code == GRPC_UNAVAILABLE)
        return true;
    client_error_class(s, class, sizeof class);
    return s->code == GRPC_INTERNAL && strcmp(class, "INVALID_CURSOR.DISCONNECTED") == 0;
}

static bool refresh(struct client *c, struct retry *r)
{
    char *before;
    bool changed;

    if (r->refreshed)
        return false;
    r->refreshed = true;
    pthread_mutex_lock(&c->lock);
    before = c->token ? mem_strdup(c->token) : NULL;
    pthread_mutex_unlock(&c->lock);
    changed = token_load(c, NULL) == LC_OK && c->token && (!before || strcmp(before, c->token) != 0);
    mem_free(before);
    return changed;
}

enum lc client_retry(struct client *c, const struct ctx *ctx, const atomic_bool *stop, struct retry *r,
                     enum lc rc, const struct grpc_status *s, struct err *err)
{
    static const int pauses[] = {50, 200, 800, 2000, 4000};
    int64_t now = clock_mono_ns();
    enum { LAST = sizeof pauses / sizeof *pauses - 1 };
    int64_t asked = rc == LC_OK ? client_asked_delay(s) : -1;
    bool reached;
    int pause;

    if (rc == LC_OK && s->code == GRPC_UNAUTHENTICATED && refresh(c, r))
        return LC_OK;
    if (rc == LC_OK ? !passing(s) && asked < 0 : rc != LC_NET)
        return rc == LC_OK ? client_failed(c, ctx, s, err) : rc;
    if (!r->since)
        r->since = now;
    pthread_mutex_lock(&c->lock);
    reached = c->reached;
    pthread_mutex_unlock(&c->lock);
    if (reached ? now - r->since > (int64_t)(c->retry_seconds * 1e9)
                : r->attempts + 1 >= TRIES_BEFORE_REACHED)
        return rc == LC_OK ? client_failed(c, ctx, s, err) : rc;
    pause = pauses[r->attempts < LAST ? r->attempts++ : LAST];
    return pause_for(ctx, stop, asked > pause ? (int)asked : pause, err);
}

/* ---- calls with one answer ---- */
static enum lc read_answer(struct client *c, const struct ctx *ctx, struct grpc *g, enum rpc rpc,
                           struct buf *reply, struct err *err)
{
    struct buf message = BUF_INIT(GRPC_MESSAGE_MAX);
    bool more = true;
    enum lc rc = LC_OK;

    buf_clear(reply);
    while (rc == LC_OK && more) {
        rc = grpc_next(g, ctx, &message, &more, err);
        if (rc == LC_OK && more) {
            buf_clear(reply);
            buf_add(reply, message.data, message.len);
            rc = buf_check(reply, err);
        }
    }
    buf_release(&message);
    if (rc == LC_OK && grpc_status(g)->code == GRPC_OK)
        rc = client_check_session(c, rpc, reply, err);
    return rc;
}

static enum lc attempt(struct client *c, const struct ctx *ctx, struct grpc_call *call, enum rpc rpc,
                       struct buf *reply, struct grpc_status *status, struct err *err)
{
    struct grpc *g;

    TRY(begin(c, ctx, call, rpc, &g, err));
    enum lc rc = read_answer(c, ctx, g, rpc, reply, err);
    *status = *grpc_status(g);
    client_done(c, g);
    return rc;
}

enum lc client_send_all(struct client *c, const struct ctx *ctx, enum rpc rpc,
                        const struct client_messages *m, struct buf *reply, struct err *err)
{
    struct grpc_status *status = mem_alloc(sizeof *status);
    struct retry retry = {0};
    enum lc rc = status ? LC_OK : err_nomem(err);

    while (rc == LC_OK) {
        struct grpc_call call = {.next = m->next, .self = m->self};
        struct err failure;

        err_clear(&failure);
        m->rewind(m->self);
        rc = attempt(c, ctx, &call, rpc, reply, status, &failure);
        if (rc == LC_OK && status->code == GRPC_OK)
            break;
        if (rc != LC_OK && err)
            *err = failure;
        rc = client_retry(c, ctx, NULL, &retry, rc, status, err);
    }
    mem_free(status);
    return rc;
}

struct one { /* one message, for client_send_all */
    const struct buf *request;
    bool sent;
};

static void one_rewind(void *self)
{
    ((struct one *)self)->sent = false;
}

static enum lc one_next(void *self, const char **data, size_t *len, bool *more, struct err *err)
{
    struct one *o = self;

    (void)err;
    *more = !o->sent;
    o->sent = true;
    *data = buf_str(o->request);
    *len = o->request->len;
    return LC_OK;
}

enum lc client_ask(struct client *c, const struct ctx *ctx, enum rpc rpc, const struct buf *request,
                   struct buf *reply, struct err *err)
{
    struct one one = {request, false};
    struct client_messages m = {one_rewind, one_next, &one};

    TRY(buf_check(request, err));
    return client_send_all(c, ctx, rpc, &m, reply, err);
}

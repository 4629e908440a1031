#include "runtime/serving/service.h"
#include "gpu/adapter.h"
#include "gpu/tokenizer/stop.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/thread.h"
#include "runtime/registry/registry.h"
#include <pthread.h>
#include <string.h>
#include <time.h>

enum { BATCH_MAX = 16, QUEUE_MAX = 64, STOP_IDS_MAX = 32, CONFIG_MAX = 1 << 20, ANSWER_MAX = 16 << 20 };

struct said { /* a token and its probability */
    int32_t id;
    bool first, prompt;
    double logprob;
    size_t at;     /* bytes of the answer before it */
    size_t offset; /* characters of prompt and answer before it */
    size_t n_top;
};

struct choice {
    struct encoding prompt; /* owned */
    struct buf text, echo;
    size_t visible, tokens;
    enum job_end end;
    size_t *echo_offsets; /* owned, [prompt.n]: characters before each of the prompt's tokens; with echo */
    size_t characters;    /* of echo and text */
    struct said *said;    /* owned */
    struct likely *top;   /* owned, [room, top_logprobs] */
    size_t n_said, room;
};

struct adapter {
    char *name, *source; /* owned */
};

struct job {
    struct service *service; /* borrowed: jobs end before it does */
    struct job *next;        /* in the queue, or of those that run */
    struct job_options options;
    struct choice *choices; /* owned */
    size_t n;
    size_t begun, ended; /* choices; of the service's thread */
    bool stopped;        /* no more of them begin */
    atomic_bool cancel;
    int holders; /* under the lock: asker and service */
    bool done;
    struct err err; /* code LC_OK unless it failed */
};

struct service {
    char *name, *source, *chat_template; /* owned */
    struct adapter *adapters;            /* owned: the nth is number n + 1 of the model's kept ones */
    size_t n_adapters;
    struct registry_model files;
    struct backend *backend;
    struct model *model;
    struct tokenizer *tok;
    struct generate_batch *batch; /* owned; of the thread */
    int32_t stop_ids[STOP_IDS_MAX];
    size_t n_stop_ids, queue_max;
    int64_t created;

    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;   /* any job or the queue: there are few waiters */
    struct job *first, *last; /* waiting */
    struct job *running;      /* those that have begun: the newest first */
    size_t waiting;
    bool closing, ending;
};

/* ---- jobs ---- */
static void job_free(struct job *j)
{
    for (size_t i = 0; i < j->n; i++) {
        encoding_release(&j->choices[i].prompt);
        buf_release(&j->choices[i].text);
        buf_release(&j->choices[i].echo);
        mem_free(j->choices[i].echo_offsets);
        mem_free(j->choices[i].said);
        mem_free(j->choices[i].top);
    }
    for (size_t i = 0; i < j->options.n_stop; i++)
        mem_free(j->options.stop[i]);
    mem_free(j->options.stop);
    mem_free(j->options.bias);
    mem_free(j->choices);
    mem_free(j);
}

static void let_go(struct job *j) /* under the lock */
{
    if (--j->holders == 0)
        job_free(j);
}

void job_release(struct job *j)
{
    struct service *s;

    if (!j)
        return;
    s = j->service;
    atomic_store(&j->cancel, true);
    pthread_mutex_lock(&s->lock);
    let_go(j);
    pthread_mutex_unlock(&s->lock);
}

size_t job_choices(const struct job *j)
{
    return j->n;
}

size_t job_prompt_tokens(const struct job *j)
{
    size_t n = 0;

    for (size_t i = 0; i < j->n; i++)
        n += j->choices[i].prompt.n;
    return n;
}

static size_t told(const struct choice *c)
{
    size_t n = c->n_said;

    while (c->end == JOB_RUNNING && n > 0 && !c->said[n - 1].prompt && c->said[n - 1].at >= c->visible)
        n--;
    return n;
}

static struct timespec after(int timeout_ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

enum lc job_wait(struct job *j, size_t i, size_t seen, int timeout_ms, struct job_choice *out,
                 struct err *err)
{
    struct service *s = j->service;
    struct timespec until = after(timeout_ms);
    const struct choice *c = &j->choices[i];
    enum lc rc = LC_OK;

    pthread_mutex_lock(&s->lock);
    while (!j->done && c->end == JOB_RUNNING && c->visible <= seen && rc == LC_OK)
        if (pthread_cond_timedwait(&s->changed, &s->lock, &until) != 0)
            rc = LC_TIMEOUT;
    *out = (struct job_choice){c->visible, c->end, c->tokens, told(c)};
    if (c->end != JOB_RUNNING || c->visible > seen)
        rc = LC_OK;
    else if (j->done) {
        rc = j->err.code;
        if (err)
            *err = j->err;
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

bool job_echo(const struct job *j, size_t i, struct buf *out)
{
    const struct buf *echo = &j->choices[i].echo;

    return echo->len == 0 || buf_add(out, echo->data, echo->len);
}

void job_token(struct job *j, size_t i, size_t k, struct job_token *out)
{
    const struct choice *c = &j->choices[i];
    size_t width = j->options.generate.top_logprobs;
    const struct said *one;

    pthread_mutex_lock(&j->service->lock);
    one = &c->said[k];
    *out = (struct job_token){.id = one->id,
                              .first = one->first,
                              .logprob = one->logprob,
                              .offset = one->offset,
                              .n_top = one->n_top};
    if (one->n_top)
        memcpy(out->top, c->top + k * width, one->n_top * sizeof *out->top);
    pthread_mutex_unlock(&j->service->lock);
}

bool job_take(struct job *j, size_t i, size_t from, size_t to, struct buf *out)
{
    bool ok;

    pthread_mutex_lock(&j->service->lock);
    ok = to == from || buf_add(out, j->choices[i].text.data + from, to - from);
    pthread_mutex_unlock(&j->service->lock);
    return ok;
}

/* ---- generating ---- */
struct running { /* one choice being made */
    struct service *service;
    struct job *job;
    struct choice *choice;
    struct tokenizer_stream *stream;
    struct err err;
    bool stopped;
};

static bool is_stop_id(const struct service *s, int32_t id)
{
    for (size_t i = 0; i < s->n_stop_ids; i++)
        if (s->stop_ids[i] == id)
            return true;
    return false;
}

static size_t characters(const char *text, size_t n)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += (text[i] & 0xc0) != 0x80;
    return found;
}

static bool make_room(struct choice *c, size_t width)
{
    size_t room = c->room ? 2 * c->room : c->prompt.n + 32;
    struct said *said;
    struct likely *top;

    if (c->n_said < c->room)
        return true;
    said = mem_reallocn(c->said, room, sizeof *said);
    c->said = said ? said : c->said;
    top = width ? mem_reallocn(c->top, room * width, sizeof *top) : NULL;
    c->top = top ? top : c->top;
    if (!said || (width && !top))
        return false;
    c->room = room;
    return true;
}

/* What is known of a token, under the lock. */
static bool say(struct choice *c, const struct generate_token *t, size_t width, bool first)
{
    struct said *one;

    if (!make_room(c, width))
        return false;
    one = &c->said[c->n_said];
    *one = (struct said){.id = t->token,
                         .first = first,
                         .prompt = t->prompt,
                         .logprob = t->logprob,
                         .at = c->text.len,
                         .offset = t->prompt ? c->echo_offsets[c->n_said] : c->characters,
                         .n_top = t->n_top};
    if (t->n_top)
        memcpy(c->top + c->n_said * width, t->top, t->n_top * sizeof *t->top);
    c->n_said++;
    return true;
}

/* New text, under the lock. False: a stop text ends it. */
static bool grow_text(struct running *r, const struct buf *piece)
{
    struct choice *c = r->choice;
    struct stop_texts stops = {r->job->options.stop, r->job->options.n_stop};
    size_t old = c->text.len;

    buf_add(&c->text, buf_str(piece), piece->len);
    c->characters += characters(buf_str(piece), piece->len);
    r->stopped = stop_cut(&stops, &c->text, old);
    c->visible = r->stopped ? c->text.len : stop_visible(&stops, &c->text);
    pthread_cond_broadcast(&r->service->changed);
    return !r->stopped && !c->text.failed;
}

static bool is_shown(const struct running *r, int32_t id)
{
    const char *token = tokenizer_token(r->service->tok, id);

    for (const char *const *at = r->job->options.shown; at && *at && token; at++)
        if (strcmp(*at, token) == 0)
            return tokenizer_is_special(r->service->tok, id);
    return false;
}

/* What a token adds to the text. */
static enum lc spell(struct running *r, int32_t id, struct buf *out)
{
    if (is_stop_id(r->service, id))
        return LC_OK;
    if (!is_shown(r, id))
        return tokenizer_stream_put(r->stream, id, out, &r->err);
    TRY(tokenizer_stream_end(r->stream, out, &r->err));
    buf_puts(out, tokenizer_token(r->service->tok, id));
    return buf_check(out, &r->err);
}

static bool on_token(void *arg, size_t sequence, const struct generate_token *t)
{
    struct running *r = arg;
    struct service *s = r->service;
    const struct job_options *o = &r->job->options;
    struct buf piece = BUF_INIT(1 << 20);
    bool on = true;

    (void)sequence;
    if (!t->prompt)
        on = spell(r, t->token, &piece) == LC_OK;
    pthread_mutex_lock(&s->lock);
    r->choice->tokens += !t->prompt;
    if (o->logprobs && !say(r->choice, t, o->generate.top_logprobs, false))
        on = err_nomem(&r->err) == LC_OK;
    on = on && (piece.len == 0 || grow_text(r, &piece));
    pthread_mutex_unlock(&s->lock);
    buf_release(&piece);
    return on && !atomic_load(&r->job->cancel);
}

static void finish_choice(struct running *r, enum generate_end end)
{
    struct buf rest = BUF_INIT(1 << 20);

    if (!r->stopped && tokenizer_stream_end(r->stream, &rest, &r->err) != LC_OK)
        buf_clear(&rest);
    pthread_mutex_lock(&r->service->lock);
    if (rest.len)
        grow_text(r, &rest);
    r->choice->visible = r->choice->text.len;
    r->choice->end = end == GENERATE_LENGTH && !r->stopped ? JOB_LENGTH : JOB_STOP;
    pthread_cond_broadcast(&r->service->changed);
    pthread_mutex_unlock(&r->service->lock);
    buf_release(&rest);
}

/* The options of one choice. max_new_tokens 0: as many as there is room for. */
static struct generate_options options_of(const struct service *s, const struct job *j, struct running *r)
{
    struct generate_options o = j->options.generate;
    int64_t room = service_context(s) - (int64_t)r->choice->prompt.n;

    o.max_new_tokens = j->options.prompt_only                            ? 0
                       : o.max_new_tokens > 0 && o.max_new_tokens < room ? o.max_new_tokens
                                                                         : room;
    o.prompt_logprobs = j->options.prompt_only || (j->options.echo && j->options.logprobs);
    o.bias = j->options.bias;
    o.stop = s->stop_ids;
    o.n_stop = s->n_stop_ids;
    o.on_token = on_token;
    o.arg = r;
    o.seed += (uint64_t)j->begun; /* several answers to one prompt are not the same */
    return o;
}

/* The prompt's first token, which nothing predicts. */
static bool say_first(struct running *r)
{
    const struct generate_token t = {.token = r->choice->prompt.ids[0], .prompt = true};
    bool ok;

    if (!r->job->options.echo || !r->job->options.logprobs)
        return true;
    pthread_mutex_lock(&r->service->lock);
    ok = say(r->choice, &t, r->job->options.generate.top_logprobs, true);
    pthread_mutex_unlock(&r->service->lock);
    return ok;
}

/* Its next choice joins the batch. */
static enum lc begin_choice(struct service *s, struct job *j, struct err *err)
{
    struct choice *c = &j->choices[j->begun];
    struct running *r = mem_zalloc(sizeof *r);
    struct generate_prompt prompt = {c->prompt.ids, c->prompt.n};
    struct generate_options o;
    enum lc rc;

    if (!r)
        return err_nomem(err);
    *r = (struct running){.service = s, .job = j, .choice = c, .stream = tokenizer_stream_new(s->tok, true)};
    if (r->stream && j->options.continues)
        tokenizer_stream_after(r->stream, prompt.ids, prompt.n);
    o = options_of(s, j, r);
    rc = r->stream && say_first(r) ? generate_batch_add(s->batch, &prompt, &o, 0, err) : err_nomem(err);
    if (rc != LC_OK) {
        tokenizer_stream_free(r->stream);
        mem_free(r);
    }
    j->begun += rc == LC_OK;
    return rc;
}

static void remove_running(struct service *s, const struct job *j) /* under the lock */
{
    struct job **at = &s->running;

    while (*at != j)
        at = &(*at)->next;
    *at = j->next;
}

/* No choice of the job is in the batch any more, and none will be. */
static void end_job(struct service *s, struct job *j)
{
    pthread_mutex_lock(&s->lock);
    remove_running(s, j);
    j->done = true;
    pthread_cond_broadcast(&s->changed);
    let_go(j);
    pthread_mutex_unlock(&s->lock);
}

/* What fails one choice fails its job: the others end at their next token. */
static void fail_job(struct job *j, const struct err *err)
{
    if (j->err.code == LC_OK)
        j->err = *err;
    atomic_store(&j->cancel, true);
}

static void end_choice(struct service *s, struct generate_ended *e)
{
    struct running *r = e->arg;
    struct job *j = r->job;

    if (e->err.code == LC_OK && r->err.code != LC_OK)
        e->err = r->err;
    if (e->err.code == LC_OK && e->made.end == GENERATE_CALLBACK && atomic_load(&j->cancel))
        err_set(&e->err, LC_CANCELLED, "cancelled");
    if (e->err.code == LC_OK)
        finish_choice(r, e->made.end);
    else
        fail_job(j, &e->err);
    generated_release(&e->made);
    tokenizer_stream_free(r->stream);
    mem_free(r);
    j->ended++;
    if (j->ended == j->begun && (j->begun == j->n || j->stopped || atomic_load(&j->cancel)))
        end_job(s, j);
}

/* The oldest job that has choices to begin; waits for one while nothing runs. NULL: there is none. */
static struct job *next_job(struct service *s)
{
    struct job *j, *oldest = NULL;

    pthread_mutex_lock(&s->lock);
    while (!s->running && !s->first && !s->ending)
        pthread_cond_wait(&s->changed, &s->lock);
    for (j = s->running; j; j = j->next)
        if (j->begun < j->n && !j->stopped)
            oldest = j;
    if (!oldest && (oldest = s->first) != NULL) {
        s->first = oldest->next;
        if (!s->first)
            s->last = NULL;
        s->waiting--;
        oldest->next = s->running;
        s->running = oldest;
    }
    pthread_mutex_unlock(&s->lock);
    return oldest;
}

/* Who waits joins while there is room. */
static void fill_batch(struct service *s)
{
    struct job *j;

    while (generate_batch_running(s->batch) < generate_batch_most(s->batch) && (j = next_job(s)) != NULL) {
        struct err err = {.code = LC_OK};

        if (atomic_load(&j->cancel))
            err_set(&err, LC_CANCELLED, "cancelled");
        if (err.code == LC_OK && begin_choice(s, j, &err) == LC_OK)
            continue;
        fail_job(j, &err);
        j->stopped = true;
        if (j->ended == j->begun)
            end_job(s, j);
    }
}

/* One token for all. Several jobs share what happens here: a failure is told to each. */
static void step(struct service *s)
{
    struct err err = {.code = LC_OK};
    struct generate_ended ended;
    struct ctx ctx = ctx_background();

    if (generate_batch_step(&ctx, s->batch, &err) != LC_OK)
        generate_batch_drop(s->batch, GENERATE_CANCELLED, &err);
    while (generate_batch_take(s->batch, &ended))
        end_choice(s, &ended);
}

static void *work(void *arg)
{
    struct service *s = arg;

    for (;;) {
        fill_batch(s);
        if (generate_batch_running(s->batch) == 0)
            break; /* nothing runs, and next_job did not wait: the service ends */
        step(s);
    }
    return NULL;
}

/* ---- asking ---- */
/* As OpenAI and vLLM: an answer that was asked for and has no room is refused, not cut short. */
static enum lc check_room(const struct service *s, size_t prompt, const struct job_options *o,
                          struct err *err)
{
    int64_t context = service_context(s), most = o->generate.max_new_tokens;

    if ((int64_t)prompt >= context)
        return err_set(
            err, LC_LIMIT,
            "the prompt has %zu tokens; the model's context is %lld tokens for prompt and answer together",
            prompt, (long long)context);
    if (o->prompt_only || o->cut || most <= context - (int64_t)prompt)
        return LC_OK;
    return err_set(
        err, LC_LIMIT,
        "the prompt has %zu tokens and max_tokens asks for %lld more; the model's context is %lld tokens for "
        "prompt and answer together: ask for at most %lld",
        prompt, (long long)most, (long long)context, (long long)context - (long long)prompt);
}

static enum lc check_prompts(const struct service *s, const struct encoding *prompts, size_t n,
                             const struct job_options *o, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (prompts[i].n == 0)
            return err_set(err, LC_ARG, "the prompt is empty");
        TRY(check_room(s, prompts[i].n, o, err));
    }
    return LC_OK;
}

/* The prompt as text, and where its tokens are in it. */
static enum lc make_echo(const struct service *s, struct choice *c, struct err *err)
{
    struct tokenizer_stream *stream = tokenizer_stream_new(s->tok, true);
    enum lc rc = stream ? LC_OK : err_nomem(err);

    c->echo_offsets = mem_calloc(c->prompt.n, sizeof *c->echo_offsets);
    if (!c->echo_offsets)
        rc = err_nomem(err);
    for (size_t i = 0, from; i < c->prompt.n && rc == LC_OK; i++) {
        c->echo_offsets[i] = c->characters;
        from = c->echo.len;
        rc = tokenizer_stream_put(stream, c->prompt.ids[i], &c->echo, err);
        c->characters += characters(buf_str(&c->echo) + from, c->echo.len - from);
    }
    if (rc == LC_OK)
        rc = tokenizer_stream_end(stream, &c->echo, err);
    c->characters = characters(buf_str(&c->echo), c->echo.len);
    tokenizer_stream_free(stream);
    return rc;
}

static struct job *job_new(struct service *s, struct encoding *prompts, size_t n, struct job_options *options)
{
    struct job *j = mem_zalloc(sizeof *j);

    if (!j || (j->choices = mem_calloc(n, sizeof *j->choices)) == NULL) {
        mem_free(j);
        return NULL;
    }
    j->service = s;
    j->holders = 2;
    j->n = n;
    j->options = *options;
    options->stop = NULL;
    options->n_stop = 0;
    options->bias = NULL;
    options->generate.n_bias = 0;
    for (size_t i = 0; i < n; i++) {
        j->choices[i].prompt = prompts[i];
        prompts[i] = (struct encoding)ENCODING_INIT;
        buf_init(&j->choices[i].text, ANSWER_MAX);
        buf_init(&j->choices[i].echo, ANSWER_MAX);
    }
    return j;
}

enum lc service_submit(struct service *s, struct encoding *prompts, size_t n, struct job_options *options,
                       struct job **out, struct err *err)
{
    struct job *j;
    enum lc rc = LC_OK;

    TRY(check_prompts(s, prompts, n, options, err));
    if ((j = job_new(s, prompts, n, options)) == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < n && j->options.echo && rc == LC_OK; i++)
        rc = make_echo(s, &j->choices[i], err);
    if (rc != LC_OK) {
        job_free(j);
        return rc;
    }
    pthread_mutex_lock(&s->lock);
    if (s->closing)
        rc = err_set(err, LC_CLOSED, "the server is shutting down");
    else if (s->waiting >= s->queue_max)
        rc = err_set(err, LC_CONFLICT, "%zu requests are waiting already; try again later", s->waiting);
    if (rc == LC_OK) {
        if (s->last)
            s->last->next = j;
        else
            s->first = j;
        s->last = j;
        s->waiting++;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    if (rc == LC_OK)
        *out = j;
    else
        job_free(j);
    return rc;
}

/* ---- opening ---- */
static void add_stop(struct service *s, int64_t id)
{
    if (id >= 0 && id < INT32_MAX && s->n_stop_ids < STOP_IDS_MAX && !is_stop_id(s, (int32_t)id))
        s->stop_ids[s->n_stop_ids++] = (int32_t)id;
}

/* The tokens that end an answer: of the config, of generation_config.json, of the tokenizer. */
static enum lc find_stops(struct service *s, struct err *err)
{
    const struct model_config *c = model_get_config(s->model);
    char *path = fs_join(s->files.model, "generation_config.json");
    struct buf text = BUF_INIT(CONFIG_MAX);
    const json_t *ids, *id;
    json_t *root = NULL;
    size_t i;
    enum lc rc = path ? LC_OK : err_nomem(err);

    for (int k = 0; k < c->n_eos_token_ids; k++)
        add_stop(s, c->eos_token_ids[k]);
    add_stop(s, tokenizer_eos(s->tok));
    if (rc == LC_OK && fs_exists(path) && (rc = fs_read(path, &text, err)) == LC_OK) {
        root = json_loadb(buf_str(&text), text.len, 0, NULL);
        ids = json_object_get(root, "eos_token_id");
        if (!root)
            rc = err_set(err, LC_DATA, "cannot read '%s': not valid JSON", path);
        if (json_is_integer(ids))
            add_stop(s, json_integer_value(ids));
        json_array_foreach (ids, i, id)
            add_stop(s, json_integer_value(id));
    }
    json_decref(root);
    buf_release(&text);
    mem_free(path);
    return rc;
}

/* models:/catalog.schema.name@alias → catalog.schema.name; a path → its last part */
static char *name_of(const char *model)
{
    const char *start = strncmp(model, "models:/", 8) == 0 ? model + 8 : model;
    size_t n;

    if (start != model)
        return mem_strndup(start, strcspn(start, "@/"));
    n = strlen(start);
    while (n > 1 && start[n - 1] == '/')
        n--;
    for (size_t i = n; i-- > 0;)
        if (start[i] == '/' && i + 1 < n)
            return mem_strndup(start + i + 1, n - i - 1);
    return mem_strndup(start, n);
}

static enum lc find_files(const struct ctx *ctx, struct service *s, struct err *err)
{
    struct registry *r = NULL;
    enum lc rc = registry_open(NULL, &r, err);

    if (rc == LC_OK)
        rc = registry_find(ctx, r, s->source, &s->files, err);
    registry_close(r);
    if (rc == LC_OK && !s->files.model) {
        rc = err_set(err, LC_NOTFOUND, "'%s' holds no model that can be served", s->source);
        if (s->files.base_name)
            err_hint(err, "it is an adapter of '%s', which is not here", s->files.base_name);
    }
    return rc;
}

/* "name=folder" or "name=models:/…" */
static enum lc add_adapter(const struct ctx *ctx, struct service *s, struct registry *registry,
                           const char *given, struct err *err)
{
    struct adapter *a = &s->adapters[s->n_adapters];
    const char *equals = strchr(given, '=');
    struct registry_model files = {0};
    size_t number;
    enum lc rc = LC_OK;

    if (!equals || equals == given || !equals[1])
        return err_set(err, LC_ARG, "the adapter '%.200s' is not of the form NAME=FOLDER", given);
    a->name = mem_strndup(given, (size_t)(equals - given));
    a->source = mem_strdup(equals + 1);
    s->n_adapters++; /* released from now on */
    if (!a->name || !a->source)
        return err_nomem(err);
    for (size_t i = 0; i + 1 < s->n_adapters && rc == LC_OK; i++)
        if (strcmp(s->adapters[i].name, a->name) == 0)
            rc = err_set(err, LC_ARG, "two adapters are called '%.200s'", a->name);
    if (strcmp(a->name, s->name) == 0)
        rc = err_set(err, LC_ARG, "the adapter '%.200s' is called like the model", a->name);
    if (rc == LC_OK)
        rc = registry_find(ctx, registry, a->source, &files, err);
    if (rc == LC_OK && !files.adapter)
        rc = err_set(err, LC_NOTFOUND, "'%.200s' is not an adapter", a->source);
    if (rc == LC_OK)
        rc = lora_load(ctx, s->model, files.adapter, err);
    if (rc == LC_OK)
        rc = adapter_keep(s->model, &number, err);
    registry_model_release(&files);
    return rc;
}

static enum lc load_adapters(const struct ctx *ctx, struct service *s, const struct service_options *o,
                             struct err *err)
{
    struct registry *registry = NULL;
    enum lc rc;

    if (o->n_adapters == 0)
        return LC_OK;
    s->adapters = mem_calloc(o->n_adapters, sizeof *s->adapters);
    rc = s->adapters ? registry_open(NULL, &registry, err) : err_nomem(err);
    for (size_t i = 0; i < o->n_adapters && rc == LC_OK; i++)
        rc = add_adapter(ctx, s, registry, o->adapters[i], err);
    registry_close(registry);
    return rc;
}

static enum lc load(const struct ctx *ctx, struct service *s, const struct service_options *o,
                    struct err *err)
{
    TRY(find_files(ctx, s, err));
    TRY(tokenizer_open(s->files.tokenizer ? s->files.tokenizer : s->files.model, &s->tok, err));
    TRY(backend_open("cpu", &(struct backend_options){0}, &s->backend, err));
    TRY(model_load(ctx, s->files.model, s->backend, NULL, &s->model, err));
    if (s->files.adapter) {
        TRY(lora_load(ctx, s->model, s->files.adapter, err));
        TRY(lora_merge(s->model, err));
    }
    TRY(load_adapters(ctx, s, o, err));
    if ((int64_t)tokenizer_vocab_size(s->tok) > model_get_config(s->model)->vocab_size)
        return err_set(err, LC_DATA, "the tokenizer has %zu tokens, the model only %lld",
                       tokenizer_vocab_size(s->tok), (long long)model_get_config(s->model)->vocab_size);
    TRY(generate_batch_new(s->model, BATCH_MAX, &s->batch, err));
    return find_stops(s, err);
}

static enum lc start_thread(struct service *s, struct err *err)
{
    int code = thread_start(&s->thread, work, s);

    s->has_thread = code == 0;
    return code == 0 ? LC_OK : err_errno(err, code, "cannot start a thread");
}

static struct service *service_new(const struct service_options *o)
{
    struct service *s = mem_zalloc(sizeof *s);
    pthread_condattr_t monotonic;

    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    s->source = mem_strdup(o->model);
    s->name = o->name ? mem_strdup(o->name) : name_of(o->model);
    s->chat_template = o->chat_template ? mem_strdup(o->chat_template) : NULL;
    s->queue_max = o->queue_max ? o->queue_max : QUEUE_MAX;
    s->created = clock_wall_ms() / 1000;
    if (!s->source || !s->name || (o->chat_template && !s->chat_template)) {
        service_close(s);
        return NULL;
    }
    return s;
}

enum lc service_open(const struct ctx *ctx, const struct service_options *o, struct service **out,
                     struct err *err)
{
    struct service *s = service_new(o);
    enum lc rc = s ? load(ctx, s, o, err) : err_nomem(err);

    if (rc == LC_OK)
        rc = start_thread(s, err);
    if (rc != LC_OK) {
        service_close(s);
        return rc;
    }
    *out = s;
    return LC_OK;
}

bool service_drain(struct service *s, int timeout_ms)
{
    struct timespec until = after(timeout_ms);
    bool empty;

    pthread_mutex_lock(&s->lock);
    s->closing = true;
    while (s->first || s->running)
        if (pthread_cond_timedwait(&s->changed, &s->lock, &until) != 0)
            break;
    empty = !s->first && !s->running;
    pthread_mutex_unlock(&s->lock);
    return empty;
}

void service_cancel(struct service *s)
{
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    for (struct job *j = s->running; j; j = j->next)
        atomic_store(&j->cancel, true);
    for (struct job *j = s->first; j; j = j->next)
        atomic_store(&j->cancel, true);
    pthread_mutex_unlock(&s->lock);
}

void service_close(struct service *s)
{
    if (!s)
        return;
    if (s->has_thread) {
        service_cancel(s);
        pthread_mutex_lock(&s->lock);
        s->ending = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
    }
    generate_batch_free(s->batch);
    model_free(s->model);
    if (s->backend)
        backend_close(s->backend);
    tokenizer_free(s->tok);
    registry_model_release(&s->files);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    for (size_t i = 0; i < s->n_adapters; i++) {
        mem_free(s->adapters[i].name);
        mem_free(s->adapters[i].source);
    }
    mem_free(s->adapters);
    mem_free(s->name);
    mem_free(s->source);
    mem_free(s->chat_template);
    mem_free(s);
}

/* ---- what it is ---- */
const char *service_name(const struct service *s)
{
    return s->name;
}

size_t service_adapters(const struct service *s)
{
    return s->n_adapters;
}

const char *service_adapter(const struct service *s, size_t i)
{
    return s->adapters[i].name;
}

const char *service_adapter_source(const struct service *s, size_t i)
{
    return s->adapters[i].source;
}

const char *service_source(const struct service *s)
{
    return s->source;
}

int64_t service_created(const struct service *s)
{
    return s->created;
}

int64_t service_context(const struct service *s)
{
    return model_get_config(s->model)->max_position_embeddings;
}

const struct tokenizer *service_tokenizer(const struct service *s)
{
    return s->tok;
}

const char *service_chat_template(const struct service *s, bool tools)
{
    return s->chat_template ? s->chat_template : tokenizer_chat_template(s->tok, tools);
}

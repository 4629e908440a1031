/* stream.cpp: stream.h, and the parts of gpu/cuda/runtime.h that are about streams. */
#include "stream.h"
#include "engine.h"
#include <deque>
#include <mutex>
#include <pthread.h>
#include <sched.h>
#include <vector>

extern "C" {
#include "gpu/cuda/runtime.h"
}

struct work {
    const char *what;
    std::function<bool()> run;
};

struct CUgraphExec_st {
    std::vector<work> works;
};

struct CUstream_st {
    std::deque<work> todo;
    pthread_t owner;
    CUgraphExec_st *capture; /* owned while it lasts */
    const char *spoiled;     /* by what */
};

struct CUevent_st {
    uint64_t recorded, done;
    CUstream_st *stream; /* of the last record */
};

static std::recursive_mutex lock;
static std::vector<CUstream_st *> streams;

struct cuda_host_counts cuda_host_counts; /* atomics */

static void advance(CUstream_st *s)
{
    while (!s->todo.empty()) {
        work w = s->todo.front();

        if (!w.run())
            return;
        s->todo.pop_front();
    }
}

void cuda_host::enqueue(CUstream_st *s, const char *what, std::function<bool()> run)
{
    std::lock_guard<std::recursive_mutex> held(lock);

    if (!s)
        fail("%s was put into the default stream, which is not ordered with those of the backend", what);
    if (s->capture)
        s->capture->works.push_back({what, std::move(run)});
    else {
        cuda_host_counts.launched++;
        s->todo.push_back({what, std::move(run)});
    }
}

extern "C" {
void cuda_host_put(CUstream_st *s, const char *what, bool (*run)(void *arg), const void *arg, size_t bytes)
{
    std::vector<char> copy(static_cast<const char *>(arg), static_cast<const char *>(arg) + bytes);

    cuda_host::enqueue(s, what, [=]() mutable { return run(copy.data()); });
}

/* Nothing may wait for the device while its work is only being written down. */
static bool forbidden(CUstream_st *s, const char *what)
{
    if (s->capture && !s->spoiled)
        s->spoiled = what;
    return s->capture != nullptr;
}

static bool drained(CUstream_st *s)
{
    std::lock_guard<std::recursive_mutex> held(lock);

    advance(s);
    return s->todo.empty();
}

bool cuda_host_settle(void)
{
    std::vector<CUstream_st *> mine;
    bool well = true;

    {
        std::lock_guard<std::recursive_mutex> held(lock);
        for (CUstream_st *s : streams)
            if (pthread_equal(s->owner, pthread_self()))
                mine.push_back(s);
    }
    for (CUstream_st *s : mine) {
        well = !forbidden(s, "an allocation") && well;
        while (well && !drained(s))
            sched_yield();
    }
    return well;
}

enum lc cuda_stream_new(CUstream_st **out, struct err *err)
{
    std::lock_guard<std::recursive_mutex> held(lock);

    (void)err;
    *out = new CUstream_st{{}, pthread_self(), nullptr, nullptr};
    streams.push_back(*out);
    return LC_OK;
}

void cuda_stream_free(CUstream_st *s)
{
    while (!drained(s))
        sched_yield();
    std::lock_guard<std::recursive_mutex> held(lock);
    for (size_t i = 0; i < streams.size(); i++)
        if (streams[i] == s)
            streams.erase(streams.begin() + (long)i--);
    delete s->capture;
    delete s;
}

enum lc cuda_stream_sync(CUstream_st *s, struct err *err)
{
    if (forbidden(s, "a wait for the stream"))
        return err_set(err, LC_RUNTIME, "the GPU failed: operation not permitted when stream is capturing");
    while (!drained(s))
        sched_yield();
    return LC_OK;
}

bool cuda_stream_idle(CUstream_st *s)
{
    return forbidden(s, "a question to the stream") || drained(s);
}

static enum lc not_captured(struct err *err, const char *why)
{
    return err_set(err, LC_RUNTIME, "cannot write a graph: %s", why);
}

enum lc cuda_capture_begin(CUstream_st *s, struct err *err)
{
    if (s->capture)
        return not_captured(err, "the stream is being captured");
    s->capture = new CUgraphExec_st;
    s->spoiled = nullptr;
    return LC_OK;
}

enum lc cuda_capture_end(CUstream_st *s, CUgraphExec_st **out, struct err *err)
{
    CUgraphExec_st *graph = s->capture;

    if (!graph)
        return not_captured(err, "nothing is being captured");
    s->capture = nullptr;
    if (s->spoiled) {
        delete graph;
        return not_captured(err, s->spoiled);
    }
    *out = graph;
    return LC_OK;
}

enum lc cuda_graph_launch(CUgraphExec_st *g, CUstream_st *s, struct err *err)
{
    if (s->capture)
        return not_captured(err, "a graph within a graph");
    cuda_host_counts.replayed++;
    std::lock_guard<std::recursive_mutex> held(lock);
    for (const work &w : g->works)
        s->todo.push_back(w);
    return LC_OK;
}

void cuda_graph_free(CUgraphExec_st *g)
{
    delete g;
}

enum lc cuda_event_new(CUevent_st **out, struct err *err)
{
    (void)err;
    *out = new CUevent_st{0, 0, nullptr};
    return LC_OK;
}

void cuda_event_free(CUevent_st *e)
{
    if (e->stream && e->done < e->recorded)
        (void)drained(e->stream);
    delete e;
}

void cuda_event_record(CUevent_st *e, CUstream_st *s)
{
    uint64_t ticket = ++e->recorded;

    e->stream = s;
    cuda_host::enqueue(s, "an event", [=] {
        e->done = ticket > e->done ? ticket : e->done;
        return true;
    });
}

void cuda_stream_after(CUstream_st *s, CUevent_st *e)
{
    uint64_t ticket = e->recorded;
    CUstream_st *first = e->stream;

    if (first && first != s)
        cuda_host::enqueue(s, "a wait for another stream", [=] {
            if (e->done < ticket)
                advance(first);
            return e->done >= ticket;
        });
}

enum lc cuda_event_wait(CUevent_st *e, struct err *err)
{
    if (e->stream && e->done < e->recorded && forbidden(e->stream, "a wait for an event"))
        return err_set(err, LC_RUNTIME, "the GPU failed: operation not permitted when stream is capturing");
    while (e->stream && e->done < e->recorded)
        if (!drained(e->stream) && e->done < e->recorded)
            sched_yield();
    return LC_OK;
}
}

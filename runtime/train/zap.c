#include "runtime/train/zap.h"
#include "runtime/base/mem.h"
#include "runtime/base/thread.h"
#include "runtime/base/zmq_api.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>

enum { VERSION, REQUEST, DOMAIN, ADDRESS, ROUTING_ID, MECHANISM, KEY, FRAMES, FRAME_MOST = 256 };

struct zap {
    void *rep;           /* owned by the thread once it runs */
    struct allow *allow; /* borrowed */
    pthread_t thread;
};

struct request {
    char frame[FRAMES + 1][FRAME_MOST]; /* frames after the last known one all land in the spare place */
    int size[FRAMES + 1];
    int n;
};

static bool receive(void *rep, struct request *r)
{
    int more = 1;
    size_t len = sizeof more;

    *r = (struct request){0};
    while (more) {
        int i = r->n < FRAMES ? r->n : FRAMES;
        r->size[i] = zmq()->recv(rep, r->frame[i], FRAME_MOST, 0);
        if (r->size[i] < 0)
            return false;
        r->n++;
        if (zmq()->getsockopt(rep, ZMQ_RCVMORE, &more, &len) != 0)
            return false;
    }
    return true;
}

static bool is(const struct request *r, int frame, const char *text)
{
    return r->size[frame] == (int)strlen(text) && memcmp(r->frame[frame], text, strlen(text)) == 0;
}

static void answer(void *rep, const struct request *r, bool ok, const char *name)
{
    size_t request = r->n > REQUEST && r->size[REQUEST] < FRAME_MOST ? (size_t)r->size[REQUEST] : 0;

    (void)zmq()->send(rep, "1.0", 3, ZMQ_SNDMORE);
    (void)zmq()->send(rep, r->frame[REQUEST], request, ZMQ_SNDMORE);
    (void)zmq()->send(rep, ok ? "200" : "400", 3, ZMQ_SNDMORE);
    (void)zmq()->send(rep, ok ? "OK" : "key not allowed", ok ? 2 : 15, ZMQ_SNDMORE);
    (void)zmq()->send(rep, name, strlen(name), ZMQ_SNDMORE); /* User-Id of every message of this connection */
    (void)zmq()->send(rep, "", 0, 0);
}

static void *zap_main(void *arg)
{
    struct zap *z = arg;
    struct request r;

    while (receive(z->rep, &r)) {
        char name[KEY_NAME] = "";
        bool ok = r.n == FRAMES && is(&r, VERSION, "1.0") && is(&r, MECHANISM, "CURVE") &&
                  r.size[KEY] == KEY_BYTES && allow_key(z->allow, r.frame[KEY], name);
        answer(z->rep, &r, ok, name);
    }
    (void)zmq()->close(z->rep);
    return NULL;
}

enum lc zap_start(void *zmq_context, struct allow *list, struct zap **out, struct err *err)
{
    struct zap *z = mem_zalloc(sizeof *z);

    if (!z)
        return err_nomem(err);
    z->allow = list;
    z->rep = zmq()->socket(zmq_context, ZMQ_REP);
    if (!z->rep || zmq()->bind(z->rep, "inproc://zeromq.zap.01") != 0 ||
        thread_start(&z->thread, zap_main, z) != 0) {
        enum lc rc =
            err_set(err, LC_NET, "cannot start the authentication of workers: %s", zmq()->strerror(errno));
        if (z->rep)
            (void)zmq()->close(z->rep);
        mem_free(z);
        return rc;
    }
    *out = z;
    return LC_OK;
}

void zap_join(struct zap *z)
{
    if (!z)
        return;
    pthread_join(z->thread, NULL);
    mem_free(z);
}

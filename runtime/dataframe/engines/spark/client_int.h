/* client_int.h: what the files of the client share.
 *
 * Ownership as in client.h.
 * Units     milliseconds.
 * Errors    as in client.h.
 * Threads   `lock` guards what is marked.
 */
#ifndef LACUS_DATAFRAME_ENGINES_SPARK_CLIENT_INT_H
#define LACUS_DATAFRAME_ENGINES_SPARK_CLIENT_INT_H
#include "runtime/base/clock.h"
#include "runtime/dataframe/connect/url.h"
#include "runtime/dataframe/engines/spark/client.h"
#include <pthread.h>

enum { IDLE_CONNECTIONS = 4, POSTS_MAX = 256 };

struct rpc_row {
    const char *path;
    unsigned observed, type, server_session; /* fields: 0: none */
};
extern const struct rpc_row rpc_rows[RPC_COUNT];

struct post {
    struct post *next;
    enum rpc rpc;
    struct buf request;
};

struct client {
    struct connect_url url;
    char authority[300], session[UUID_TEXT], type[128], user[256];
    double retry_seconds;
    char *token_file, *token_command; /* owned; NULL: none */
    pthread_mutex_t lock;
    char server_session[64];             /* lock; "": not known yet */
    char *token;                         /* lock; owned; NULL: none */
    bool reached;                        /* lock: a call has been answered */
    struct grpc *idle[IDLE_CONNECTIONS]; /* lock */
    size_t n_idle;
    pthread_t poster; /* started with the first post */
    bool posting;     /* lock: it runs */
    bool closing;     /* lock */
    pthread_cond_t work, done;
    struct post *first, *last; /* lock */
    size_t n_posts;
    bool busy;        /* lock: one is on its way */
    atomic_bool stop; /* the poster's */
    atomic_bool lost; /* the server has no such session any more */
};

enum lc token_load(struct client *c, struct err *err) MUST_CHECK; /* from where it comes; changes c->token */
void posts_stop(struct client *c);
enum lc client_lost(struct client *c, struct err *err); /* notes it, and says what to do */
#endif

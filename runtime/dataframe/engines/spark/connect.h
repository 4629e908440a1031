/* connect.h: what the files of the plugin share: an engine is a client with what it has sent and what is running.
 *
 * Ownership see engine.h.
 * Errors    those of client.h.
 * Threads   `lock` guards sent rows and tags.
 *
 * Example:
 *     struct row_sender sender = {NULL, &ctx};
 *     struct connect_env env = {connect_rows, &sender};
 */
#ifndef LACUS_DATAFRAME_ENGINES_SPARK_CONNECT_H
#define LACUS_DATAFRAME_ENGINES_SPARK_CONNECT_H
#include "runtime/dataframe/connect/encode.h"
#include "runtime/dataframe/engines/spark/execution.h"
#include <pthread.h>

struct sent_rows {
    struct local_data *data;    /* owned reference: the address stands for the rows */
    const struct dtype *schema; /* owned */
    char *relation;             /* owned: the field of a Relation that names them there */
    size_t len;
};

struct engine {
    atomic_int
        refs; /* the session, and each stream that was not released: Lua may collect one after the session has ended */
    struct client *client;
    char version[32], about[400];
    pthread_mutex_t lock;
    struct sent_rows *sent; /* lock; rows that lie on the server as artifacts */
    size_t n_sent;
    struct buf tags;     /* lock; one per line */
    char *tags_text;     /* owned: what tags() gave last */
    int64_t cache_limit; /* bytes; more than this travels as an artifact */
    bool takes_parts;    /* the server takes such rows as several ones */
    atomic_bool stop;    /* what runs now is to end */
    atomic_int progress; /* in thousandths; -1: not known */
};

void connect_unref(struct engine *e);

/* Whoever wants to hear of it (ctx) is told how far a query is, once it has run for a while. */
struct told {
    const struct ctx *ctx;
    int64_t from; /* ns: nothing is said before */
    bool any;
};
struct told told_begin(const struct ctx *ctx);
void told_end(struct told *t);

/* rows.c: the fields of a Relation for rows in memory. */
struct row_sender {
    struct engine *e;
    const struct ctx *ctx;
};
enum lc connect_rows(void *self, const struct plan *p, struct buf *out, struct err *err);
void connect_rows_release(struct engine *e);

/* plan.c: a Plan's bytes, and commands. */
enum lc connect_plan(struct engine *e, const struct ctx *ctx, const struct plan *p, struct buf *out,
                     struct err *err) MUST_CHECK;
/* A relation as a field of the message that is being written. */
enum lc connect_input(struct engine *e, const struct ctx *ctx, unsigned field, const struct plan *p,
                      struct buf *out, struct err *err) MUST_CHECK;
enum lc connect_value(struct engine *e, const struct ctx *ctx, unsigned field, const struct expr *x,
                      struct buf *out, struct err *err) MUST_CHECK;
/* Runs a Plan whose rows nobody wants. on_answer may be NULL. */
enum lc connect_run(struct engine *e, const struct ctx *ctx, const struct buf *plan,
                    enum lc (*on_answer)(void *arg, struct pb_reader answer, struct err *err), void *arg,
                    struct err *err) MUST_CHECK;
void connect_progress(struct engine *e, struct told *told, const struct pb_field *progress);
char *connect_tags(struct engine *e, const struct ctx *ctx); /* one per line; mem_free */

/* stream.c */
enum lc connect_stream(struct engine *e, const struct ctx *ctx, const struct plan *p,
                       struct ArrowArrayStream *out, struct err *err) MUST_CHECK;
enum lc connect_show(struct engine *e, const struct ctx *ctx, const struct plan *p,
                     const struct engine_show *how, struct buf *out, struct err *err);
/* analyze.c */
enum lc connect_analyze(struct engine *e, const struct ctx *ctx, const struct plan *p,
                        const struct dtype **schema, struct err *err) MUST_CHECK;
enum lc connect_explain(struct engine *e, const struct ctx *ctx, const struct plan *p, enum explain_mode mode,
                        struct buf *out, struct err *err) MUST_CHECK;
enum lc connect_version(struct engine *e, const struct ctx *ctx, char *out, size_t size,
                        struct err *err) MUST_CHECK;
enum lc connect_tree(struct engine *e, const struct ctx *ctx, const struct plan *p, int64_t level,
                     struct buf *out, struct err *err);
enum lc connect_input_files(struct engine *e, const struct ctx *ctx, const struct plan *p, struct buf *lines,
                            struct err *err);
enum lc connect_persist(struct engine *e, const struct ctx *ctx, const struct plan *p, bool on,
                        struct err *err);
enum lc connect_same_semantics(struct engine *e, const struct ctx *ctx, const struct plan *a,
                               const struct plan *b, bool *same, struct err *err);
enum lc connect_semantic_hash(struct engine *e, const struct ctx *ctx, const struct plan *p, int64_t *hash,
                              struct err *err);
/* commands.c */
enum lc connect_sql(struct engine *e, const struct ctx *ctx, const struct engine_text *text,
                    const struct plan **out, struct err *err);
enum lc connect_save(struct engine *e, const struct ctx *ctx, const struct plan *p,
                     const struct engine_save *save, struct err *err);
enum lc connect_save_v2(struct engine *e, const struct ctx *ctx, const struct plan *p,
                        const struct engine_save_v2 *save, struct err *err);
enum lc connect_view(struct engine *e, const struct ctx *ctx, const struct plan *p, const char *name,
                     bool global, bool replace, struct err *err);
enum lc connect_catalog(struct engine *e, const struct engine_catalog_call *call, const struct plan **out,
                        struct err *err);
/* settings.c */
enum lc connect_set_conf(struct engine *e, const char *key, const char *value, struct err *err);
enum lc connect_get_conf(struct engine *e, const struct ctx *ctx, const char *key, struct buf *value,
                         bool *found, struct err *err);
enum lc connect_unset_conf(struct engine *e, const struct ctx *ctx, const char *key, struct err *err);
enum lc connect_first_conf(struct engine *e, const struct ctx *ctx, const struct engine_options *o,
                           struct err *err) MUST_CHECK;
enum lc connect_stop(struct engine *e, const struct ctx *ctx, enum engine_stop what, const char *id,
                     struct buf *stopped, struct err *err);
#endif

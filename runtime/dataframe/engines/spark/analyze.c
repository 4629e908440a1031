/* analyze.c: AnalyzePlan: questions about plans that are not run. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/spark/connect.h"
#include <string.h>

struct question {
    struct buf request, reply;
    size_t mark;
};

static void ask_begin(struct question *q, struct engine *e, unsigned field)
{
    buf_init(&q->request, CONNECT_MESSAGE_MAX);
    buf_init(&q->reply, CONNECT_MESSAGE_MAX);
    client_request(e->client, RPC_ANALYZE, &q->request);
    q->mark = pb_begin(&q->request, field);
}

static enum lc ask_plan(struct question *q, struct engine *e, const struct ctx *ctx, unsigned field,
                        const struct plan *p, struct err *err)
{
    size_t mark = pb_begin(&q->request, field);
    enum lc rc = connect_plan(e, ctx, p, &q->request, err);

    pb_end(&q->request, mark);
    return rc;
}

/* The answer's message is in *out, which lives in q->reply. */
static enum lc ask_end(struct question *q, struct engine *e, const struct ctx *ctx, unsigned field,
                       struct pb_field *out, struct err *err)
{
    pb_end(&q->request, q->mark);
    TRY(client_ask(e->client, ctx, RPC_ANALYZE, &q->request, &q->reply, err));
    if (pb_find(pb_open(q->reply.data, q->reply.len), field, out))
        return LC_OK;
    return err_set(err, LC_DATA, "the Spark server's answer lacks what was asked for");
}

static void ask_release(struct question *q)
{
    buf_release(&q->request);
    buf_release(&q->reply);
}

enum lc connect_analyze(struct engine *e, const struct ctx *ctx, const struct plan *p,
                        const struct dtype **schema, struct err *err)
{
    struct pb_field answer, type;
    struct question q;
    enum lc rc;

    if (p->kind == PLAN_LOCAL) { /* the server would get all rows, to say what it is told with them */
        *schema = dtype_ref(p->u.local.schema);
        return LC_OK;
    }
    ask_begin(&q, e, 4);
    rc = ask_plan(&q, e, ctx, 1, p, err);
    if (rc == LC_OK)
        rc = ask_end(&q, e, ctx, 2, &answer, err);
    if (rc == LC_OK && !pb_find(pb_inside(&answer), 1, &type))
        rc = err_set(err, LC_DATA, "the Spark server's answer lacks the schema");
    if (rc == LC_OK)
        rc = connect_type_read(pb_inside(&type), schema, err);
    ask_release(&q);
    return rc;
}

/* A question whose answer is one text. */
static enum lc ask_text(struct question *q, struct engine *e, const struct ctx *ctx, unsigned field,
                        struct buf *out, struct err *err)
{
    struct pb_field answer, text;

    TRY(ask_end(q, e, ctx, field, &answer, err));
    if (pb_find(pb_inside(&answer), 1, &text))
        buf_add(out, text.data, text.len);
    return buf_check(out, err);
}

enum lc connect_explain(struct engine *e, const struct ctx *ctx, const struct plan *p, enum explain_mode mode,
                        struct buf *out, struct err *err)
{
    struct question q;
    enum lc rc;

    ask_begin(&q, e, 5);
    rc = ask_plan(&q, e, ctx, 1, p, err);
    pb_int(&q.request, 2, (int64_t)mode + 1);
    if (rc == LC_OK)
        rc = ask_text(&q, e, ctx, 3, out, err);
    ask_release(&q);
    return rc;
}

enum lc connect_tree(struct engine *e, const struct ctx *ctx, const struct plan *p, int64_t level,
                     struct buf *out, struct err *err)
{
    struct question q;
    enum lc rc;

    ask_begin(&q, e, 6);
    rc = ask_plan(&q, e, ctx, 1, p, err);
    if (level > 0)
        pb_int(&q.request, 2, level);
    if (rc == LC_OK)
        rc = ask_text(&q, e, ctx, 4, out, err);
    ask_release(&q);
    return rc;
}

enum lc connect_version(struct engine *e, const struct ctx *ctx, char *out, size_t size, struct err *err)
{
    struct pb_field answer, text;
    struct question q;
    enum lc rc;

    ask_begin(&q, e, 10);
    rc = ask_end(&q, e, ctx, 8, &answer, err);
    if (rc == LC_OK && !pb_find(pb_inside(&answer), 1, &text))
        rc = err_set(err, LC_DATA, "the Spark server does not say its version");
    if (rc == LC_OK)
        pb_copy(&text, out, size);
    ask_release(&q);
    return rc;
}

enum lc connect_input_files(struct engine *e, const struct ctx *ctx, const struct plan *p, struct buf *lines,
                            struct err *err)
{
    struct pb_field answer, f;
    struct question q;
    enum lc rc;

    ask_begin(&q, e, 9);
    rc = ask_plan(&q, e, ctx, 1, p, err);
    if (rc == LC_OK)
        rc = ask_end(&q, e, ctx, 7, &answer, err);
    if (rc == LC_OK) {
        struct pb_reader r = pb_inside(&answer);
        while (pb_next(&r, &f))
            if (f.number == 1) {
                buf_add(lines, f.data, f.len);
                buf_putc(lines, '\n');
            }
        rc = buf_check(lines, err);
    }
    ask_release(&q);
    return rc;
}

enum lc connect_persist(struct engine *e, const struct ctx *ctx, const struct plan *p, bool on,
                        struct err *err)
{
    struct pb_field answer;
    struct question q;
    enum lc rc;

    ask_begin(&q, e, on ? 14 : 15);
    rc = connect_input(e, ctx, 1, p, &q.request, err);
    if (rc == LC_OK)
        rc = ask_end(&q, e, ctx, on ? 12 : 13, &answer, err);
    ask_release(&q);
    return rc;
}

static int64_t number_in(const struct pb_field *answer)
{
    struct pb_reader r = pb_inside(answer);
    struct pb_field f;
    int64_t v = 0;

    while (pb_next(&r, &f))
        if (f.number == 1)
            v = (int64_t)f.value;
    return v;
}

enum lc connect_same_semantics(struct engine *e, const struct ctx *ctx, const struct plan *a,
                               const struct plan *b, bool *same, struct err *err)
{
    struct pb_field answer;
    struct question q;
    enum lc rc;

    ask_begin(&q, e, 12);
    rc = ask_plan(&q, e, ctx, 1, a, err);
    if (rc == LC_OK)
        rc = ask_plan(&q, e, ctx, 2, b, err);
    if (rc == LC_OK)
        rc = ask_end(&q, e, ctx, 10, &answer, err);
    if (rc == LC_OK)
        *same = number_in(&answer) != 0;
    ask_release(&q);
    return rc;
}

enum lc connect_semantic_hash(struct engine *e, const struct ctx *ctx, const struct plan *p, int64_t *hash,
                              struct err *err)
{
    struct pb_field answer;
    struct question q;
    enum lc rc;

    ask_begin(&q, e, 13);
    rc = ask_plan(&q, e, ctx, 1, p, err);
    if (rc == LC_OK)
        rc = ask_end(&q, e, ctx, 11, &answer, err);
    if (rc == LC_OK)
        *hash = number_in(&answer);
    ask_release(&q);
    return rc;
}

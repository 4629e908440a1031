/* commands.c: SQL texts, writes, views and the calls of the catalog. */
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/dataframe/engines/spark/connect.h"
#include <string.h>

/* A Plan of one command is written between these. */
struct command {
    struct buf plan;
    size_t marks[2];
};

static void command_begin(struct command *c, unsigned field)
{
    buf_init(&c->plan, CONNECT_MESSAGE_MAX);
    c->marks[0] = pb_begin(&c->plan, 2);
    c->marks[1] = pb_begin(&c->plan, field);
}

static enum lc command_run(struct command *c, struct engine *e, const struct ctx *ctx, enum lc rc,
                           struct err *err)
{
    pb_end(&c->plan, c->marks[1]);
    pb_end(&c->plan, c->marks[0]);
    if (rc == LC_OK)
        rc = connect_run(e, ctx, &c->plan, NULL, NULL, err);
    buf_release(&c->plan);
    return rc;
}

/* ---- sql ---- */
static enum lc put_sql(struct engine *e, const struct ctx *ctx, const struct engine_text *t, struct buf *out,
                       struct err *err)
{
    size_t sql = pb_begin(out, 10);
    enum lc rc = LC_OK;

    pb_bytes(out, 1, t->text, t->len);
    for (size_t i = 0; i < t->n_parameters && rc == LC_OK; i++) {
        const struct engine_parameter *p = &t->parameters[i];
        size_t entry = p->name ? pb_begin(out, 4) : 0;
        pb_text(out, 1, p->name);
        rc = connect_value(e, ctx, p->name ? 2 : 5, p->value, out, err);
        if (p->name)
            pb_end(out, entry);
    }
    pb_end(out, sql);
    return rc;
}

/* The text, with the DataFrames that its names stand for. */
static enum lc put_text(struct engine *e, const struct ctx *ctx, const struct engine_text *t, struct buf *out,
                        struct err *err)
{
    size_t with, part, alias;
    enum lc rc;

    if (t->n_relations == 0)
        return put_sql(e, ctx, t, out, err);
    with = pb_begin(out, 41);
    part = pb_begin(out, 1);
    rc = put_sql(e, ctx, t, out, err);
    pb_end(out, part);
    for (size_t i = 0; i < t->n_relations && rc == LC_OK; i++) {
        part = pb_begin(out, 2);
        alias = pb_begin(out, 16);
        rc = connect_input(e, ctx, 1, t->relations[i].plan, out, err);
        pb_text(out, 2, t->relations[i].name);
        pb_end(out, alias);
        pb_end(out, part);
    }
    pb_end(out, with);
    return rc;
}

static enum lc take_result(void *arg, struct pb_reader answer, struct err *err)
{
    const struct plan **out = arg;
    struct pb_field result, relation;

    if (*out || !pb_find(answer, 5, &result) || !pb_find(pb_inside(&result), 1, &relation))
        return LC_OK;
    *out = plan_encoded(relation.data, relation.len);
    return *out ? LC_OK : err_nomem(err);
}

enum lc connect_sql(struct engine *e, const struct ctx *ctx, const struct engine_text *text,
                    const struct plan **out, struct err *err)
{
    struct command c;
    size_t input;
    enum lc rc;

    *out = NULL;
    command_begin(&c, 5);
    input = pb_begin(&c.plan, 6);
    rc = put_text(e, ctx, text, &c.plan, err);
    pb_end(&c.plan, input);
    pb_end(&c.plan, c.marks[1]);
    pb_end(&c.plan, c.marks[0]);
    if (rc == LC_OK)
        rc = connect_run(e, ctx, &c.plan, take_result, out, err);
    buf_release(&c.plan);
    return rc;
}

/* ---- writing ---- */
static void put_options(struct buf *out, unsigned field, const struct plan_options *o)
{
    for (size_t i = 0; o && i < o->n; i++)
        pb_pair(out, field, o->items[i].key, o->items[i].value);
}

static int mode_of(const char *mode)
{
    static const char *const names[] = {"append", "overwrite", "error", "ignore"};

    for (int i = 0; i < 4; i++)
        if (mode && strcmp(names[i], mode) == 0)
            return i + 1;
    return 3;
}

enum lc connect_save(struct engine *e, const struct ctx *ctx, const struct plan *p,
                     const struct engine_save *s, struct err *err)
{
    struct command c;
    enum lc rc;

    command_begin(&c, 2);
    rc = connect_input(e, ctx, 1, p, &c.plan, err);
    if (s->format && *s->format)
        pb_text(&c.plan, 2, s->format);
    if (s->table) {
        size_t table = pb_begin(&c.plan, 4);
        pb_text(&c.plan, 1, s->table);
        pb_int(&c.plan, 2, s->insert ? 2 : 1);
        pb_end(&c.plan, table);
    } else {
        pb_text(&c.plan, 3, s->path);
    }
    pb_int(&c.plan, 5, mode_of(s->mode));
    for (size_t i = 0; i < s->n_partition; i++)
        pb_text(&c.plan, 7, s->partition_by[i]);
    put_options(&c.plan, 9, s->options);
    if (s->table && s->path)
        pb_pair(&c.plan, 9, "path", s->path);
    return command_run(&c, e, ctx, rc, err);
}

enum lc connect_save_v2(struct engine *e, const struct ctx *ctx, const struct plan *p,
                        const struct engine_save_v2 *s, struct err *err)
{
    struct command c;
    enum lc rc;

    command_begin(&c, 4);
    rc = connect_input(e, ctx, 1, p, &c.plan, err);
    pb_text(&c.plan, 2, s->table);
    pb_text(&c.plan, 3, s->format);
    for (size_t i = 0; i < s->n_partition && rc == LC_OK; i++)
        rc = connect_value(e, ctx, 4, s->partition_by[i], &c.plan, err);
    put_options(&c.plan, 5, s->options);
    put_options(&c.plan, 6, s->properties);
    pb_int(&c.plan, 7, s->mode);
    if (s->condition && rc == LC_OK)
        rc = connect_value(e, ctx, 8, s->condition, &c.plan, err);
    return command_run(&c, e, ctx, rc, err);
}

enum lc connect_view(struct engine *e, const struct ctx *ctx, const struct plan *p, const char *name,
                     bool global, bool replace, struct err *err)
{
    struct command c;
    enum lc rc;

    command_begin(&c, 3);
    rc = connect_input(e, ctx, 1, p, &c.plan, err);
    pb_text(&c.plan, 2, name);
    pb_int(&c.plan, 3, global);
    pb_int(&c.plan, 4, replace);
    return command_run(&c, e, ctx, rc, err);
}

/* ---- the catalog: name, field of Catalog, and its arguments: s a text, b "true" or "false", t a schema in DDL, - nothing ---- */
static const struct {
    const char *name;
    unsigned field;
    const char *args;
} calls[] = {{"currentDatabase", 1, ""},
             {"setCurrentDatabase", 2, "s"},
             {"listDatabases", 3, "s"},
             {"listTables", 4, "ss"},
             {"listFunctions", 5, "ss"},
             {"listColumns", 6, "ss"},
             {"getDatabase", 7, "s"},
             {"getTable", 8, "ss"},
             {"getFunction", 9, "ss"},
             {"databaseExists", 10, "s"},
             {"tableExists", 11, "ss"},
             {"functionExists", 12, "ss"},
             {"createExternalTable", 13, "ssst"},
             {"createTable", 14, "sssst"},
             {"dropTempView", 15, "s"},
             {"dropGlobalTempView", 16, "s"},
             {"recoverPartitions", 17, "s"},
             {"isCached", 18, "s"},
             {"cacheTable", 19, "s"},
             {"uncacheTable", 20, "s"},
             {"clearCache", 21, ""},
             {"refreshTable", 22, "s"},
             {"refreshByPath", 23, "s"},
             {"currentCatalog", 24, ""},
             {"setCurrentCatalog", 25, "s"},
             {"listCatalogs", 26, "s"},
             {"dropTable", 27, "sbb"},
             {"dropView", 28, "sb"},
             {"createDatabase", 29, "sb"},
             {"dropDatabase", 30, "sbb"},
             {"listPartitions", 31, "s"},
             {"listViews", 32, "ss"},
             {"getTableProperties", 33, "s"},
             {"getCreateTableString", 34, "sb"},
             {"truncateTable", 35, "s"},
             {"analyzeTable", 36, "sb"}};

static enum lc put_schema(struct buf *out, unsigned field, const char *ddl, struct err *err)
{
    const struct dtype *schema;

    TRY(dtype_parse_schema(ddl, &schema, err));
    connect_type(out, field, schema);
    dtype_unref(schema);
    return LC_OK;
}

static enum lc put_arguments(struct buf *out, const char *kinds, const struct engine_catalog_call *call,
                             struct err *err)
{
    if (call->n_args > strlen(kinds))
        return err_set(err, LC_ARG, "spark.catalog:%s takes at most %zu arguments, got %zu", call->name,
                       strlen(kinds), call->n_args);
    for (unsigned i = 0; i < call->n_args; i++) {
        const char *value = call->args[i];
        if (!value)
            continue;
        if (kinds[i] == 'b')
            pb_int(out, i + 1, strcmp(value, "true") == 0);
        else if (kinds[i] == 't')
            TRY(put_schema(out, i + 1, value, err));
        else
            pb_text(out, i + 1, value);
    }
    return LC_OK;
}

static enum lc no_call(const char *name, struct err *err)
{
    const char *names[sizeof calls / sizeof *calls];
    struct buf near = BUF_INIT(1024);

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        names[i] = calls[i].name;
    err_set(err, LC_NOTFOUND, "spark.catalog has no '%.100s' under Spark Connect", name);
    if (nearest_list(&near, name, names, sizeof names / sizeof *names, 3))
        err_hint(err, "did you mean %s?", buf_str(&near));
    buf_release(&near);
    return LC_NOTFOUND;
}

enum lc connect_catalog(struct engine *e, const struct engine_catalog_call *call, const struct plan **out,
                        struct err *err)
{
    struct buf relation = BUF_INIT(1 << 20);
    size_t i = 0, catalog, inner;
    enum lc rc;

    (void)e;
    while (i < sizeof calls / sizeof *calls && strcmp(calls[i].name, call->name) != 0)
        i++;
    if (i == sizeof calls / sizeof *calls)
        return no_call(call->name, err);
    catalog = pb_begin(&relation, 200);
    inner = pb_begin(&relation, calls[i].field);
    rc = put_arguments(&relation, calls[i].args, call, err);
    pb_end(&relation, inner);
    pb_end(&relation, catalog);
    if (rc == LC_OK)
        rc = buf_check(&relation, err);
    if (rc == LC_OK && (*out = plan_encoded(buf_str(&relation), relation.len)) == NULL)
        rc = err_nomem(err);
    buf_release(&relation);
    return rc;
}

/* What ALTER TABLE and COMMENT ON do to a table: a commit of metadata only. */
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/types.h"
#include "runtime/delta/delta_int.h"
#include <string.h>
#include <strings.h>

static json_t *configuration_after(const struct delta_snapshot *t, const struct delta_change *c)
{
    json_t *o = json_object();
    bool ok = o != NULL;

    for (size_t i = 0; ok && i < t->n_properties; i++)
        ok = json_object_set_new(o, t->properties[i].name, json_string(t->properties[i].value)) == 0;
    for (size_t i = 0; ok && i < c->n_set; i++)
        ok = json_object_set_new(o, c->set[i].name, json_string(c->set[i].value)) == 0;
    for (size_t i = 0; ok && i < c->n_unset; i++)
        json_object_del(o, c->unset[i]);
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

static enum lc check_mapping(const struct delta_snapshot *t, const json_t *configuration, struct err *err)
{
    if (!delta_is_mapped(t) || delta_metadata_is_mapped(configuration))
        return LC_OK;
    err_set(err, LC_UNSUPPORTED,
            "[DELTA_UNSUPPORTED_COLUMN_MAPPING_MODE_CHANGE] cannot take the column mapping from the table "
            "'%s': its "
            "files have other column names",
            t->location);
    return err_hint(err, "copy the rows: CREATE TABLE new AS SELECT * FROM the table");
}

static bool add_info(struct delta_commit *commit, const struct ctx *ctx, const struct delta_snapshot *t,
                     const struct delta_change *c)
{
    json_t *parameters = c->parameters ? json_incref((json_t *)c->parameters) : json_object();
    json_t *info = json_pack("{s:I,s:s,s:o?,s:b,s:s,s:s,s:I}", "timestamp", (json_int_t)clock_wall_ms(),
                             "operation", c->operation, "operationParameters", parameters, "isBlindAppend",
                             !c->read_rows, "isolationLevel", "Serializable", "engineInfo",
                             "lacus/" LACUS_VERSION, "readVersion", (json_int_t)t->version);

    if (info && ctx && ctx->principal && *ctx->principal)
        json_object_set_new(info, "userName", json_string(ctx->principal));
    return info && delta_commit_line(commit, "commitInfo", info);
}

struct changing {
    const struct dtype *given, *schema; /* owned */
    json_t *configuration, *protocol;   /* owned */
};

static enum lc prepare(struct changing *n, const struct delta_snapshot *t, const struct delta_change *c,
                       struct err *err)
{
    n->configuration = configuration_after(t, c);
    if (!n->configuration)
        return err_nomem(err);
    TRY(check_mapping(t, n->configuration, err));
    if (c->schema)
        n->given = dtype_ref(c->schema);
    else
        TRY(dtype_from_json_text(t->schema_json, strlen(t->schema_json), &n->given, err));
    TRY(delta_schema_check(n->given, delta_metadata_is_mapped(n->configuration), err));
    TRY(delta_protocol_for(t, n->given, n->configuration, &n->protocol, err));
    delta_drop_versions(n->configuration);
    return delta_mapping_complete(n->given, n->configuration, !delta_is_mapped(t), &n->schema, err);
}

static enum lc put(const struct ctx *ctx, const struct changing *n, const struct delta_snapshot *t,
                   const struct delta_change *c, int64_t *version, struct err *err)
{
    struct delta_commit commit = {
        .location = t->location, .read_version = t->version, .blind_append = !c->read_rows};
    const struct delta_metadata m = {.table = t,
                                     .name = t->name,
                                     .description = c->set_description ? c->description : t->description,
                                     .schema = n->schema,
                                     .partition_columns =
                                         c->partition_by ? c->partition_by : t->partition_columns,
                                     .n_partition_columns = t->n_partition_columns,
                                     .configuration = n->configuration};
    json_t *action = delta_metadata_action(&m);
    enum lc rc = LC_OK;

    buf_init(&commit.text, DELTA_COMMIT_BYTES_MAX);
    if (!action || !add_info(&commit, ctx, t, c)) {
        json_decref(action);
        rc = err_nomem(err);
    } else if ((n->protocol && !delta_commit_line(&commit, "protocol", json_incref(n->protocol))) ||
               !delta_commit_line(&commit, "metaData", action)) {
        rc = err_nomem(err);
    }
    if (rc == LC_OK)
        rc = delta_commit_put(ctx, &commit, version, err);
    buf_release(&commit.text);
    json_decref(commit.removed);
    return rc;
}

enum lc delta_change(const struct ctx *ctx, const struct delta_snapshot *t, const struct delta_change *change,
                     int64_t *version, struct err *err)
{
    struct changing n = {0};
    enum lc rc;

    TRY(delta_check_writer(t, err));
    rc = prepare(&n, t, change, err);
    if (rc == LC_OK)
        rc = put(ctx, &n, t, change, version, err);
    dtype_unref(n.given);
    dtype_unref(n.schema);
    json_decref(n.configuration);
    json_decref(n.protocol);
    return rc;
}

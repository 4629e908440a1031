/* Checkpoints are Parquet files, so the engine reads and writes them: reading is a scan whose rows become
 * actions again; writing gives the engine the actions as JSON lines with the schema of a checkpoint. */
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/delta/delta_int.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum lc stream_error(const struct ctx *ctx, struct ArrowArrayStream *stream, int code, struct err *err)
{
    const char *text = stream->get_last_error(stream);

    TRY(ctx_check(ctx, err));
    return err_set(err, code == ENOMEM ? LC_NOMEM : LC_DATA, "%s", text ? text : strerror(code));
}

static enum lc read_batches(const struct ctx *ctx, struct ArrowArrayStream *stream,
                            const struct ArrowSchema *schema, delta_action_fn *fn, void *arg, struct err *err)
{
    for (;;) {
        struct ArrowArray batch = {0};
        int code = stream->get_next(stream, &batch);
        enum lc rc = LC_OK;
        if (code != 0)
            return stream_error(ctx, stream, code, err);
        if (!batch.release)
            return LC_OK;
        for (int64_t row = 0; rc == LC_OK && row < batch.length; row++) {
            json_t *action = delta_arrow_json(schema, &batch, row);
            rc = action ? fn(arg, action, err) : err_nomem(err);
            json_decref(action);
        }
        batch.release(&batch);
        if (rc == LC_OK)
            rc = ctx_check(ctx, err);
        TRY(rc);
    }
}

static enum lc read_parquet(const struct ctx *ctx, const struct delta_engine *engine, const char *path,
                            delta_action_fn *fn, void *arg, struct err *err)
{
    const struct plan *plan = plan_read_source("parquet", &path, 1, NULL, NULL);
    struct ArrowArrayStream stream = {0};
    struct ArrowSchema schema = {0};
    enum lc rc;
    int code;

    if (!plan)
        return err_nomem(err);
    rc = engine->ops->execute(engine->engine, ctx, plan, &stream, err);
    plan_unref(plan);
    TRY(rc);
    if ((code = stream.get_schema(&stream, &schema)) != 0)
        rc = stream_error(ctx, &stream, code, err);
    else
        rc = read_batches(ctx, &stream, &schema, fn, arg, err);
    if (schema.release)
        schema.release(&schema);
    stream.release(&stream);
    return rc;
}

static void checkpoint_name(const struct delta_checkpoint_file *c, int part, char out[DELTA_PATH_TEXT * 2])
{
    if (c->parts == 1)
        snprintf(out, DELTA_PATH_TEXT * 2, "%020" PRId64 ".checkpoint.parquet", c->version);
    else
        snprintf(out, DELTA_PATH_TEXT * 2, "%020" PRId64 ".checkpoint.%010d.%010d.parquet", c->version, part,
                 c->parts);
}

enum lc delta_checkpoint_read(const struct ctx *ctx, const struct delta_engine *engine,
                              const struct delta_log *log, const struct delta_checkpoint_file *checkpoint,
                              delta_action_fn *fn, void *arg, struct err *err)
{
    if (!engine || !engine->engine)
        return err_set(
            err, LC_MISSING,
            "cannot read the Delta log '%s': it has checkpoints, and no engine is here to read them",
            log->folder);
    for (int part = 1; part <= checkpoint->parts; part++) {
        char name[DELTA_PATH_TEXT * 2];
        char *path, *local;
        enum lc rc;
        checkpoint_name(checkpoint, part, name);
        path = fs_join(log->folder, name);
        local = path ? storage_local_path(&log->storage, path) : NULL;
        rc = local ? read_parquet(ctx, engine, local, fn, arg, err) : err_nomem(err);
        if (rc != LC_OK && rc != LC_CANCELLED && rc != LC_TIMEOUT && rc != LC_NOMEM)
            err_wrap(err, "cannot read the Delta log: the checkpoint '%s' is broken", path ? path : name);
        mem_free(local);
        mem_free(path);
        TRY(rc);
    }
    return LC_OK;
}

/* ---- writing ---- */
static const char checkpoint_ddl[] =
    "txn struct<appId:string,version:bigint,lastUpdated:bigint>,"
    "add struct<path:string,partitionValues:map<string,string>,size:bigint,modificationTime:bigint,"
    "dataChange:boolean,stats:string,tags:map<string,string>,deletionVector:struct<storageType:string,"
    "pathOrInlineDv:string,offset:int,sizeInBytes:int,cardinality:bigint>,baseRowId:bigint,"
    "defaultRowCommitVersion:bigint,clusteringProvider:string>,"
    "remove struct<path:string,deletionTimestamp:bigint,dataChange:boolean,extendedFileMetadata:boolean,"
    "partitionValues:map<string,string>,size:bigint,deletionVector:struct<storageType:string,"
    "pathOrInlineDv:string,offset:int,sizeInBytes:int,cardinality:bigint>,baseRowId:bigint,"
    "defaultRowCommitVersion:bigint>,"
    "metaData struct<id:string,name:string,description:string,format:struct<provider:string,"
    "options:map<string,string>>,schemaString:string,partitionColumns:array<string>,"
    "configuration:map<string,string>,createdTime:bigint>,"
    "protocol struct<minReaderVersion:int,minWriterVersion:int,readerFeatures:array<string>,"
    "writerFeatures:array<string>>,"
    "domainMetadata struct<domain:string,configuration:string,removed:boolean>";

struct checkpoint_text {
    struct buf lines;
    int64_t actions, files;
};

static enum lc put_line(void *arg, const json_t *action, struct err *err)
{
    struct checkpoint_text *t = arg;
    json_t *add = json_object_get(action, "add");
    char *line;

    if (add) { /* a checkpoint adds no data: dataChange is false in it */
        json_t *quiet = json_copy(add);
        json_t *wrapped = json_pack("{s:o}", "add", quiet);
        if (!wrapped || json_object_set_new(quiet, "dataChange", json_false()) != 0) {
            json_decref(wrapped);
            return err_nomem(err);
        }
        line = json_dumps(wrapped, JSON_COMPACT);
        json_decref(wrapped);
        t->files++;
    } else {
        line = json_dumps(action, JSON_COMPACT);
    }
    t->actions++;
    if (line) {
        buf_puts(&t->lines, line);
        buf_putc(&t->lines, '\n');
    }
    free(line);
    return line ? buf_check(&t->lines, err) : err_nomem(err);
}

/* Has the engine make one Parquet file of the lines, below a scratch folder. */
static enum lc make_parquet(const struct ctx *ctx, const struct delta_engine *engine, const char *folder,
                            const struct buf *lines, struct buf *parquet, struct err *err)
{
    char *json = fs_join(folder, "actions.json");
    const struct dtype *schema = NULL;
    const struct plan *plan = NULL;
    struct write_spec spec = {.dir = folder, .format = "parquet", .single_file = true};
    struct written_files written = {0};
    char *made = NULL;
    enum lc rc = json ? fs_write(json, lines->data, lines->len, err) : err_nomem(err);

    if (rc == LC_OK)
        rc = dtype_parse_schema(checkpoint_ddl, &schema, err);
    if (rc == LC_OK) {
        plan = plan_read_source("json", (const char *const *)&json, 1, NULL, schema);
        rc =
            plan ? engine->ops->write_files(engine->engine, ctx, plan, &spec, &written, err) : err_nomem(err);
    }
    if (rc == LC_OK && written.n != 1)
        rc = err_set(err, LC_INTERNAL, "a checkpoint became %zu files", written.n);
    if (rc == LC_OK && (made = fs_join(folder, written.files[0].path)) == NULL)
        rc = err_nomem(err);
    if (rc == LC_OK)
        rc = fs_read(made, parquet, err);
    mem_free(made);
    written_files_release(&written);
    plan_unref(plan);
    mem_free(json);
    return rc;
}

static enum lc put_checkpoint(const struct ctx *ctx, const char *location, int64_t version,
                              const struct checkpoint_text *text, const struct buf *parquet, struct err *err)
{
    const struct delta_checkpoint_file c = {version, 1};
    struct storage storage;
    char name[DELTA_PATH_TEXT * 2];
    char *folder = fs_join(location, "_delta_log"), *path = NULL, *hint = NULL;
    char *last = mem_printf("{\"version\":%" PRId64 ",\"size\":%" PRId64
                            ",\"sizeInBytes\":%zu,\"numOfAddFiles\":%" PRId64 "}",
                            version, text->actions, parquet->len, text->files);
    enum lc rc = storage_open(location, &storage, err);

    checkpoint_name(&c, 1, name);
    path = folder ? fs_join(folder, name) : NULL;
    hint = folder ? fs_join(folder, "_last_checkpoint") : NULL;
    if (rc == LC_OK && (!path || !hint || !last))
        rc = err_nomem(err);
    if (rc == LC_OK)
        rc = storage_put(ctx, &storage, path, parquet->data, parquet->len, err);
    if (rc == LC_OK)
        rc = storage_put(ctx, &storage, hint, last, strlen(last), err);
    mem_free(folder);
    mem_free(path);
    mem_free(hint);
    mem_free(last);
    return rc;
}

enum lc delta_checkpoint_write(const struct ctx *ctx, const struct delta_engine *engine, const char *location,
                               int64_t version, struct err *err)
{
    enum { TOMBSTONE_DAYS = 7 };
    struct checkpoint_text text = {.lines = BUF_INIT(DELTA_COMMIT_BYTES_MAX)};
    struct buf parquet = BUF_INIT(DELTA_COMMIT_BYTES_MAX);
    struct delta_replay *replay = NULL;
    char id[UUID_TEXT];
    char *below, *folder = NULL;
    int64_t ignored, oldest = clock_wall_ms() - TOMBSTONE_DAYS * INT64_C(86400000);
    enum lc rc = delta_replay_open(ctx, engine, location, &version, &ignored, &replay, err);

    uuid_make(id);
    below = mem_printf("tmp/checkpoint-%s", id);
    if (rc == LC_OK && (!below || (folder = fs_home(below, err)) == NULL))
        rc = below ? LC_IO : err_nomem(err);
    if (rc == LC_OK)
        rc = delta_replay_each(replay, oldest, put_line, &text, err);
    if (rc == LC_OK)
        rc = fs_mkdirs(folder, err);
    if (rc == LC_OK)
        rc = make_parquet(ctx, engine, folder, &text.lines, &parquet, err);
    if (rc == LC_OK)
        rc = put_checkpoint(ctx, location, version, &text, &parquet, err);
    if (folder && fs_remove_tree(folder, NULL) != LC_OK && rc == LC_OK)
        rc = LC_OK; /* a scratch folder that stays is no failure of the checkpoint */
    delta_replay_free(replay);
    buf_release(&text.lines);
    buf_release(&parquet);
    mem_free(below);
    mem_free(folder);
    return rc;
}

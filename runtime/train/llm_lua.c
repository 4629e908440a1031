/* llm_lua.c: the core under lacus/llm.lua: jobs, rows, events, the curve. */
#include "runtime/train/llm_lua.h"
#include "gpu/adapter.h"
#include "gpu/quantization.h"
#include "gpu/trainer.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/hub/hub_lua.h"
#include "runtime/registry/registry.h"
#include "runtime/session/closure.h"
#include "runtime/session/manual.h"
#include "runtime/session/session_lua.h"
#include "runtime/train/coordinator.h"
#include "runtime/train/curve.h"
#include "runtime/train/job.h"
#include "runtime/train/manifest.h"
#include "runtime/train/model_folder.h"
#include "runtime/train/model_lua.h"
#include "runtime/train/origin.h"
#include "runtime/train/plan.h"
#include "runtime/train/rows.h"
#include "runtime/train/track.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char state_key; /* its address names the module's state */
static const char rows_name[] = "lacus.rows", curve_name[] = "lacus.curve";

enum { OWN_MOST = 1000, JOBS_MOST = 1000, NAMES_MOST = 200 };

struct llm_state {
    struct workspace *ws; /* owned */
    char (*own)[JOB_ID];  /* owned: jobs that end with this session */
    size_t n_own;
};

/* ---- state ----------------------------------------------------------------------------------------------- */

static void free_state(void *state)
{
    struct llm_state *s = state;

    for (size_t i = 0; s->ws && i < s->n_own; i++) {
        struct err err;
        if (job_cancel(s->ws, s->own[i], &err) != LC_OK)
            break; /* the coordinator sees that this process is gone and cancels them, too */
    }
    workspace_close(s->ws);
    mem_free(s->own);
}

static enum lc state_open(struct llm_state *s, struct err *err)
{
    return s->ws ? LC_OK : jobs_open(NULL, &s->ws, err);
}

static struct llm_state *state_of(lua_State *L)
{
    struct llm_state *s = session_state(L, &state_key, sizeof *s, free_state);
    struct err err;

    if (state_open(s, &err) != LC_OK)
        session_raise(L, &err);
    return s;
}

/* Jobs of a notebook run end with it; at a prompt or in Jupyter they go on. */
static bool owns_jobs(lua_State *L)
{
    const struct frontend *f = session_frontend(session_of(L));

    return f->ops && f->ops->name && strcmp(f->ops->name, "runner") == 0;
}

static json_t *check_json(lua_State *L, int index)
{
    json_t **slot;
    struct err err;

    index = lua_absindex(L, index);
    luaL_checktype(L, index, LUA_TTABLE);
    slot = session_json_slot(L);
    *slot = session_to_json(L, index, &err);
    if (!*slot)
        session_raise(L, &err);
    return *slot; /* owned by the userdata on the stack */
}

static const char *field_text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "";
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static struct rows **rows_slot(lua_State *L)
{
    return luaL_checkudata(L, 1, rows_name);
}

static int l_rows_gc(lua_State *L)
{
    struct rows **r = rows_slot(L);

    rows_close(*r);
    *r = NULL;
    return 0;
}

static int l_rows_add(lua_State *L) /* writer:add(prompt, completion) */
{
    struct rows **r = rows_slot(L);
    size_t p, c;
    const char *prompt = luaL_checklstring(L, 2, &p), *completion = luaL_checklstring(L, 3, &c);
    struct err err;

    luaL_argcheck(L, *r, 1, "closed");
    if (rows_add(*r, prompt, p, completion, c, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static int l_rows_tokens(lua_State *L) /* writer:tokens(ids, labels): a label per id */
{
    struct rows **r = rows_slot(L);
    size_t n, n_labels;
    int32_t *ids, *labels;
    struct err err;

    luaL_argcheck(L, *r, 1, "closed");
    ids = llm_check_ids(L, 2, &n);
    labels = llm_check_ids(L, 3, &n_labels);
    luaL_argcheck(L, n == n_labels, 3, "as many labels as input_ids expected");
    if (rows_add_tokens(*r, ids, labels, n, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static int l_rows_finish(lua_State *L) /* → number of rows */
{
    struct rows **r = rows_slot(L);
    struct err err;

    luaL_argcheck(L, *r, 1, "closed");
    if (rows_finish(*r, &err) != LC_OK)
        return session_raise(L, &err);
    lua_pushinteger(L, (lua_Integer)rows_count(*r));
    rows_close(*r);
    *r = NULL;
    return 1;
}

static int l_rows(lua_State *L) /* core.rows(path) */
{
    static const luaL_Reg methods[] = {
        {"add", l_rows_add}, {"tokens", l_rows_tokens}, {"finish", l_rows_finish}, {NULL, NULL}};
    const char *path = luaL_checkstring(L, 1);
    struct rows **r = lua_newuserdatauv(L, sizeof *r, 0);
    struct err err;

    *r = NULL;
    if (luaL_newmetatable(L, rows_name)) {
        luaL_newlib(L, methods);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, l_rows_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, l_rows_gc);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
    if (rows_create(path, r, &err) != LC_OK)
        return session_raise(L, &err);
    return 1;
}

/* ---- jobs ------------------------------------------------------------------------------------------------ */

static int l_new_job(lua_State *L) /* → id, folder, folder of the data */
{
    char id[JOB_ID], *folder, *data;
    struct err err;
    enum lc rc = LC_IO;

    (void)state_of(L);
    job_new_id(id);
    folder = job_folder(id, &err);
    data = folder ? fs_join(folder, "data") : NULL;
    if (data)
        rc = fs_mkdirs(data, &err);
    lua_pushstring(L, id);
    lua_pushstring(L, folder ? folder : "");
    lua_pushstring(L, data ? data : "");
    mem_free(folder);
    mem_free(data);
    return rc == LC_OK ? 3 : session_raise(L, &err);
}

static int l_mark(lua_State *L) /* → what core.tables takes */
{
    int64_t mark;
    struct err err;

    if (origin_mark(session_ctx(session_of(L)), &mark, &err) != LC_OK)
        return session_raise(L, &err);
    lua_pushinteger(L, mark);
    return 1;
}

static int l_tables(lua_State *L) /* core.tables(mark) → {"catalog.schema.table@version", …} read since */
{
    int64_t mark = luaL_checkinteger(L, 1);
    json_t **slot = session_json_slot(L);
    struct err err;

    if (origin_tables(session_ctx(session_of(L)), mark, slot, &err) != LC_OK)
        return session_raise(L, &err);
    session_push_json(L, *slot);
    return 1;
}

static int l_pack(lua_State *L) /* core.pack(path, function): with what it uses, for a worker */
{
    const char *path = luaL_checkstring(L, 1), *bytes;
    size_t len;
    struct err err;

    luaL_checktype(L, 2, LUA_TFUNCTION);
    closure_pack(L, 2, NULL);
    bytes = lua_tolstring(L, -1, &len);
    if (fs_write(path, bytes, len, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static int l_drop(lua_State *L) /* core.drop(id): the folder of a job that was never submitted */
{
    struct llm_state *s = state_of(L);
    const char *id = luaL_checkstring(L, 1);
    struct job_info info;
    struct err err;
    char *folder;

    if (job_get(s->ws, id, &info, &err) == LC_OK)
        return job_info_release(&info), 0;
    folder = err.code == LC_NOTFOUND ? job_folder(id, &err) : NULL;
    if (folder && fs_remove_tree(folder, &err) != LC_OK)
        session_print(session_of(L), STREAM_STDERR, err.message, strlen(err.message));
    mem_free(folder);
    return 0;
}

/* What the engine would refuse later is refused here, with the nearest names. fields_only: one config by itself, of
 * which only the names and values are known yet. */
static enum lc check_arguments(const json_t *spec, struct err *err)
{
    const json_t *peft = json_object_get(spec, "peft"), *args = json_object_get(spec, "args");
    bool fields_only = json_is_true(json_object_get(spec, "fields_only"));
    struct training_args a;
    struct adapter_config c;
    struct quantization q;
    enum lc rc;

    training_args_init(&a);
    rc = args || !fields_only ? training_args_from_json(&a, args, err) : LC_OK;
    if (rc == LC_OK && !a.output_dir &&
        !(a.output_dir = mem_strdup("out"))) /* the worker has one of its own */
        rc = err_nomem(err);
    if (rc == LC_OK)
        rc = fields_only ? training_args_check_ranges(&a, err) : training_args_check(&a, err);
    training_args_release(&a);
    if (rc == LC_OK && json_is_object(peft)) {
        rc = adapter_config_from_json(peft, &c, err);
        adapter_config_release(&c);
    }
    if (rc == LC_OK)
        rc = quantization_from_json(json_object_get(spec, "quantization"), &q, err);
    if (rc == LC_OK && !fields_only && q.linear != DTYPE_NONE && !json_is_object(peft) &&
        !json_object_get(json_object_get(spec, "folders"), "adapter")) {
        err_set(err, LC_ARG, "cannot train weights that are kept in %s", dtype_torch(q.linear));
        rc = err_hint(err, "train an adapter over them: peft = LoraConfig{…}");
    }
    return rc;
}

static void add_origin(json_t *spec, const char *id, const struct ctx *ctx)
{
    json_object_set_new(spec, "version", json_integer(1));
    json_object_set_new(spec, "id", json_string(id));
    json_object_set_new(spec, "kind", json_string("finetune"));
    json_object_set_new(spec, "code_version", json_string(LACUS_VERSION));
    json_object_set_new(spec, "principal", json_string(ctx->principal ? ctx->principal : ""));
    json_object_set_new(spec, "created", json_integer(clock_wall_ms()));
    json_object_set_new(spec, "lineage",
                        json_pack("{s:s*, s:s*, s:s*}", "notebook", ctx->lineage.notebook, "cell",
                                  ctx->lineage.cell, "job", ctx->lineage.job));
}

/* Files of one more folder (an adapter, a teacher) as NAME/… of the job's data, where a link to it stands. */
static enum lc add_folder(const struct ctx *ctx, const char *name, const char *folder, const char *data,
                          json_t *files, struct err *err)
{
    json_t *more = NULL, *row;
    char *link = fs_join(data, name);
    size_t i;
    enum lc rc = link ? manifest_make(ctx, folder, manifest_is_model_file, &more, err) : err_nomem(err);

    if (rc == LC_OK && symlink(folder, link) != 0)
        rc = err_errno(err, errno, "cannot make the link '%s'", link);
    json_array_foreach (more, i, row) {
        char *path = rc == LC_OK ? fs_join(name, json_string_value(json_object_get(row, "path"))) : NULL;

        if (path &&
            (json_object_set_new(row, "path", json_string(path)) != 0 || json_array_append(files, row) != 0))
            rc = err_nomem(err);
        mem_free(path);
    }
    json_decref(more);
    mem_free(link);
    return rc;
}

static enum lc add_folders(const struct ctx *ctx, const json_t *spec, const char *data, json_t *files,
                           struct err *err)
{
    const char *name;
    json_t *folder;

    json_object_foreach (json_object_get(spec, "folders"), name, folder)
        TRY(add_folder(ctx, name, json_string_value(folder), data, files, err));
    return LC_OK;
}

static enum lc add_files(const struct ctx *ctx, json_t *spec, const char *data, struct err *err)
{
    json_t *model = json_object_get(spec, "model"), *files;
    const char *folder = json_string_value(json_object_get(model, "folder"));
    char digest[DIGEST_HEX];

    TRY(model_folder_check(folder, err));
    TRY(manifest_make(ctx, folder, manifest_is_model_file, &files, err));
    manifest_digest(files, digest);
    json_object_set_new(model, "files", files);
    json_object_set_new(model, "digest", json_string(digest));
    TRY(manifest_make(ctx, data, NULL, &files, err));
    if (add_folders(ctx, spec, data, files, err) != LC_OK)
        return json_decref(files), err->code;
    manifest_digest(files, digest);
    json_object_set_new(json_object_get(spec, "data"), "files", files);
    json_object_set_new(json_object_get(spec, "data"), "digest", json_string(digest));
    return LC_OK;
}

/* Into the run that was active: a parameter that has another value already is said, not fatal. */
static enum lc log_params(lua_State *L, const json_t *spec)
{
    const char *run = json_string_value(json_object_get(spec, "run_id"));
    struct track *t = NULL;
    struct err err;
    enum lc rc = run ? track_open(run, NULL, &t, &err) : LC_OK;

    if (run && rc == LC_OK)
        rc = track_params(t, spec, &err);
    track_close(t);
    if (rc != LC_OK) {
        session_print(session_of(L), STREAM_STDERR, err.message, strlen(err.message));
        session_print(session_of(L), STREAM_STDERR, "\n", 1);
    }
    return rc;
}

/* A job that nobody will start: it must not wait for ever. */
static void give_up(struct llm_state *s, const char *id, const struct err *err)
{
    json_t *error =
        json_pack("{s:s, s:s, s:s}", "code", lc_name(err->code), "message", err->message, "hint", err->hint);
    enum lc ignored = job_end(s->ws, id, JOB_FAILED, NULL, error, NULL); /* the first error is told */

    (void)ignored;
    json_decref(error);
}

static enum lc submit(struct llm_state *s, const struct ctx *ctx, const char *id, json_t *spec, bool own,
                      struct err *err)
{
    char *folder = job_folder(id, err), *data = folder ? fs_join(folder, "data") : NULL;
    enum lc rc = data ? LC_OK : err_nomem(err);

    add_origin(spec, id, ctx);
    if (rc == LC_OK)
        rc = check_arguments(spec, err);
    if (rc == LC_OK)
        rc = add_files(ctx, spec, data, err);
    if (rc == LC_OK && own && s->n_own == OWN_MOST)
        rc = err_set(err, LC_LIMIT, "more than %d jobs in one notebook run", OWN_MOST);
    if (rc == LC_OK && own && !(s->own = s->own ? s->own : mem_calloc(OWN_MOST, JOB_ID)))
        rc = err_nomem(err);
    if (rc == LC_OK) /* before there is a job that one of another version could take */
        rc = coordinator_ensure(NULL, err);
    if (rc == LC_OK)
        rc = job_create(s->ws, id, spec, own ? getpid() : 0, err);
    if (rc == LC_OK && own)
        memcpy(s->own[s->n_own++], id, JOB_ID);
    if (rc == LC_OK && (rc = coordinator_ensure(NULL, err)) != LC_OK)
        give_up(s, id, err);
    if (rc != LC_OK && folder)
        (void)(fs_remove_tree(folder, NULL) == LC_OK);
    mem_free(folder);
    mem_free(data);
    return rc;
}

static int l_submit(lua_State *L) /* core.submit(id, spec) */
{
    struct llm_state *s = state_of(L);
    const char *id = luaL_checkstring(L, 1);
    const struct ctx *ctx = session_ctx(session_of(L));
    json_t *spec = check_json(L, 2);
    struct err err;

    luaL_argcheck(L, strlen(id) < JOB_ID, 1, "a job's id expected");
    if (ctx->lineage.run && *ctx->lineage.run && !json_is_true(json_object_get(spec, "untracked")))
        json_object_set_new(spec, "run_id", json_string(ctx->lineage.run));
    if (submit(s, ctx, id, spec, owns_jobs(L), &err) != LC_OK)
        return session_raise(L, &err);
    (void)log_params(L, spec);
    return 0;
}

static int
l_check(lua_State *L) /* core.check{args, peft, quantization, fields_only}: raises what core.submit would */
{
    struct err err;

    if (check_arguments(check_json(L, 1), &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static int l_plan(lua_State *L) /* core.plan{folder, args, …} → memory, time: runtime/train/plan.h */
{
    json_t **slot = session_json_slot(L);
    struct err err;

    if (plan_training(session_ctx(session_of(L)), check_json(L, 1), slot, &err) != LC_OK)
        return session_raise(L, &err);
    session_push_json(L, *slot);
    return 1;
}

static int l_job_folder(lua_State *L) /* core.job_folder(id) */
{
    struct err err;
    char *folder = job_folder(luaL_checkstring(L, 1), &err);

    if (!folder)
        return session_raise(L, &err);
    lua_pushstring(L, folder);
    mem_free(folder);
    return 1;
}

static int l_job(lua_State *L) /* core.job(id) → {status, spec, …} */
{
    struct llm_state *s = state_of(L);
    json_t **slot = session_json_slot(L);
    struct job_info info;
    struct err err;

    if (job_get(s->ws, luaL_checkstring(L, 1), &info, &err) != LC_OK)
        return session_raise(L, &err);
    *slot = job_info_json(&info);
    job_info_release(&info);
    session_push_json(L, *slot);
    return 1;
}

static int l_jobs(lua_State *L)
{
    struct llm_state *s = state_of(L);
    json_t **slot = session_json_slot(L);
    struct err err;

    if (job_list(s->ws, JOBS_MOST, slot, &err) != LC_OK)
        return session_raise(L, &err);
    session_push_json(L, *slot);
    return 1;
}

static int l_events(lua_State *L) /* core.events(id, offset) → array, offset */
{
    const char *id = luaL_checkstring(L, 1);
    int64_t offset = luaL_checkinteger(L, 2);
    json_t **slot = session_json_slot(L);
    struct err err;
    char *folder = job_folder(id, &err);
    enum lc rc = folder ? job_events(folder, &offset, slot, &err) : LC_IO;

    mem_free(folder);
    if (rc != LC_OK)
        return session_raise(L, &err);
    session_push_json(L, *slot);
    lua_pushinteger(L, offset);
    return 2;
}

static int l_cancel(lua_State *L)
{
    struct llm_state *s = state_of(L);
    struct err err;

    if (job_cancel(s->ws, luaL_checkstring(L, 1), &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static int l_save(lua_State *L) /* core.save_checkpoint(id) */
{
    struct llm_state *s = state_of(L);
    struct err err;

    return job_save(s->ws, luaL_checkstring(L, 1), &err) == LC_OK ? 0 : session_raise(L, &err);
}

static int l_resume(lua_State *L) /* → the checkpoint it goes on from, "" for none */
{
    struct llm_state *s = state_of(L);
    const char *id = luaL_checkstring(L, 1);
    char checkpoint[64] = "";
    struct err err;
    char *folder = job_folder(id, &err);
    enum lc rc = folder ? LC_OK : LC_IO;

    if (folder)
        job_last_checkpoint(folder, checkpoint);
    mem_free(folder);
    if (rc == LC_OK)
        rc = job_requeue(s->ws, id, checkpoint, (int64_t)luaL_optinteger(L, 2, 0), &err);
    if (rc == LC_OK)
        rc = coordinator_ensure(NULL, &err);
    lua_pushstring(L, checkpoint);
    return rc == LC_OK ? 1 : session_raise(L, &err);
}

static int
l_ensure(lua_State *L) /* → true: a coordinator was there already; seconds since its sign of life */
{
    bool there = coordinator_running();
    struct err err;

    if (!there && coordinator_ensure(NULL, &err) != LC_OK)
        return session_raise(L, &err);
    lua_pushboolean(L, there);
    lua_pushnumber(L, there ? (lua_Number)coordinator_silence() / 1000 : 0);
    return 2;
}

static int l_coordinator_tail(lua_State *L)
{
    char *path = coordinator_log();
    struct buf tail = BUF_INIT(4001);

    if (path)
        job_tail(path, 5, &tail);
    lua_pushlstring(L, buf_str(&tail), tail.len);
    mem_free(path);
    buf_release(&tail);
    return 1;
}

static int l_coordinator_pid(lua_State *L)
{
    json_t *about = NULL;
    lua_Integer pid = 0;

    if (coordinator_about(&about, NULL) == LC_OK)
        pid = json_integer_value(json_object_get(about, "pid"));
    json_decref(about);
    lua_pushinteger(L, pid);
    return 1;
}

static int l_worker_log(lua_State *L) /* core.worker_log(id) → text */
{
    struct err err;
    char *folder = job_folder(luaL_checkstring(L, 1), &err),
         *path = folder ? fs_join(folder, "worker.log") : NULL;
    struct buf text = BUF_INIT(4001);

    if (path)
        job_tail(path, 200, &text);
    lua_pushlstring(L, buf_str(&text), text.len);
    mem_free(folder);
    mem_free(path);
    buf_release(&text);
    return 1;
}

static int l_masked(lua_State *L) /* core.masked(text) → the text without secrets */
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    json_t **slot = session_json_slot(L);

    *slot = session_masked_text(session_of(L), text, len);
    if (*slot)
        lua_pushlstring(L, json_string_value(*slot), json_string_length(*slot));
    else
        lua_pushvalue(L, 1);
    return 1;
}

/* ---- the session ----------------------------------------------------------------------------------------- */

static int
l_wait(lua_State *L) /* core.wait(ms, t): when the cell is interrupted t.note is printed, and taken away */
{
    struct session *s = session_of(L);
    int ms = (int)luaL_checkinteger(L, 1);
    struct err err;

    luaL_checktype(L, 2, LUA_TTABLE);
    if (session_wait(s, ms))
        return 0;
    if (lua_getfield(L, 2, "note") == LUA_TSTRING)
        session_print(s, STREAM_STDERR, lua_tostring(L, -1), strlen(lua_tostring(L, -1)));
    lua_pushnil(L);
    lua_setfield(L, 2, "note");
    if (ctx_check(session_ctx(s), &err) == LC_OK)
        (void)err_set(&err, LC_CANCELLED, "interrupted");
    return session_raise(L, &err);
}

static int l_front(lua_State *L) /* → name, rich, a person at a terminal */
{
    const struct frontend *f = session_frontend(session_of(L));

    lua_pushstring(L, f->ops && f->ops->name ? f->ops->name : "");
    lua_pushboolean(L, f->ops && f->ops->rich);
    lua_pushboolean(L, isatty(0));
    return 3;
}

static int l_raise(lua_State *L) /* core.raise{code, message, hint, cause} */
{
    const json_t *e = check_json(L, 1);
    struct err err;

    (void)err_set(&err, lc_from_name(field_text(e, "code")), "%s", field_text(e, "message"));
    (void)snprintf(err.hint, sizeof err.hint, "%s", field_text(e, "hint"));
    (void)snprintf(err.cause, sizeof err.cause, "%s", field_text(e, "cause"));
    return session_raise(L, &err);
}

static int l_nearest(lua_State *L) /* core.nearest(word, {names}) → "'a' or 'b'" */
{
    const char *names[NAMES_MOST];
    size_t n = 0;
    struct buf near = BUF_INIT(400);

    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checkstack(L, NAMES_MOST + 4, "names");
    for (lua_Integer i = 1; n < NAMES_MOST && lua_geti(L, 2, i) == LUA_TSTRING; i++)
        names[n++] = lua_tostring(L, -1);
    nearest_list(&near, luaL_checkstring(L, 1), names, n, 3);
    lua_pushlstring(L, buf_str(&near), near.len);
    buf_release(&near);
    return 1;
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static int
l_find(lua_State *L) /* core.find(uri or folder) → {folder, model, tokenizer, adapter, base_name} */
{
    const char *uri = luaL_checkstring(L, 1);
    struct registry *r = NULL;
    struct registry_model m;
    struct err err;
    enum lc rc = registry_open(NULL, &r, &err);

    if (rc == LC_OK)
        rc = registry_find(session_ctx(session_of(L)), r, uri, &m, &err);
    registry_close(r);
    if (rc != LC_OK)
        return session_raise(L, &err);
    lua_createtable(L, 0, 5); /* small: without memory here, the texts are lost with the process */
    set_text(L, "folder", m.folder);
    set_text(L, "model", m.model);
    set_text(L, "tokenizer", m.tokenizer);
    set_text(L, "adapter", m.adapter);
    set_text(L, "base_name", m.base_name);
    registry_model_release(&m);
    return 1;
}

static int l_is_dir(lua_State *L)
{
    lua_pushboolean(L, fs_is_dir(luaL_checkstring(L, 1)));
    return 1;
}

static int l_exists(lua_State *L)
{
    lua_pushboolean(L, fs_exists(luaL_checkstring(L, 1)));
    return 1;
}

static int l_absolute(lua_State *L)
{
    char *path = fs_absolute(luaL_checkstring(L, 1));

    lua_pushstring(L, path ? path : "");
    mem_free(path);
    return 1;
}

static int l_read(lua_State *L) /* core.read(path) → text of a small file */
{
    struct buf text = BUF_INIT(1 << 20);
    struct err err;
    enum lc rc = fs_read(luaL_checkstring(L, 1), &text, &err);

    lua_pushlstring(L, buf_str(&text), text.len);
    buf_release(&text);
    return rc == LC_OK ? 1 : session_raise(L, &err);
}

static int l_temporary(lua_State *L) /* a file of this process in the state folder's cache */
{
    char below[80], random[13];
    struct err err;
    char *path, *dir = fs_home("cache", &err);
    enum lc rc = dir ? fs_mkdirs(dir, &err) : LC_IO;

    hex_make(random, 12);
    (void)snprintf(below, sizeof below, "cache/%s-%d", random, (int)getpid());
    path = rc == LC_OK ? fs_home(below, &err) : NULL;
    lua_pushstring(L, path ? path : "");
    mem_free(path);
    mem_free(dir);
    return rc == LC_OK ? 1 : session_raise(L, &err);
}

/* ---- the curve ------------------------------------------------------------------------------------------- */

static struct curve *curve_of(lua_State *L)
{
    return *(struct curve **)luaL_checkudata(L, 1, curve_name);
}

static int l_curve_gc(lua_State *L)
{
    struct curve **c = luaL_checkudata(L, 1, curve_name);

    curve_free(*c);
    *c = NULL;
    return 0;
}

static int l_curve_add(lua_State *L)
{
    (void)curve_add(curve_of(L), check_json(L, 2));
    return 0;
}

static int l_curve_text(lua_State *L) /* curve:text(columns, lines) → text or nil */
{
    struct buf text = BUF_INIT(1 << 16);

    if (curve_text(curve_of(L), (int)luaL_checkinteger(L, 2), (int)luaL_checkinteger(L, 3), &text))
        lua_pushlstring(L, buf_str(&text), text.len);
    else
        lua_pushnil(L);
    buf_release(&text);
    return 1;
}

static int l_curve_vega(lua_State *L)
{
    json_t **slot = session_json_slot(L);

    *slot = curve_vega(curve_of(L), luaL_checkstring(L, 2));
    session_push_json(L, *slot);
    return 1;
}

static int l_curve(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"add", l_curve_add}, {"text", l_curve_text}, {"vega", l_curve_vega}, {NULL, NULL}};
    struct curve **c = lua_newuserdatauv(L, sizeof *c, 0);

    *c = NULL;
    if (luaL_newmetatable(L, curve_name)) {
        luaL_newlib(L, methods);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, l_curve_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    *c = curve_new();
    return *c ? 1 : luaL_error(L, "not enough memory");
}

static int l_display(lua_State *L) /* core.display(bundle, id, update) */
{
    struct session *s = session_of(L);
    json_t *data = check_json(L, 1), **transient = session_json_slot(L);
    struct display d = {.data = data, .update = lua_toboolean(L, 3)};

    *transient = json_pack("{s:s}", "display_id", luaL_checkstring(L, 2));
    d.transient = *transient;
    session_display(s, &d);
    return 0;
}

/* ---- opening --------------------------------------------------------------------------------------------- */

static int l_clock(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)clock_mono_ns() / 1e9);
    return 1;
}

static int l_defaults(lua_State *L) /* every training argument with its default */
{
    struct training_args a;
    json_t **slot = session_json_slot(L);

    training_args_init(&a);
    *slot = training_args_to_json(&a);
    training_args_release(&a);
    session_push_json(L, *slot);
    return 1;
}

static const luaL_Reg core[] = {{"rows", l_rows},
                                {"new_job", l_new_job},
                                {"drop", l_drop},
                                {"mark", l_mark},
                                {"tables", l_tables},
                                {"pack", l_pack},
                                {"submit", l_submit},
                                {"check", l_check},
                                {"plan", l_plan},
                                {"job_folder", l_job_folder},
                                {"job", l_job},
                                {"jobs", l_jobs},
                                {"events", l_events},
                                {"cancel", l_cancel},
                                {"save_checkpoint", l_save},
                                {"resume", l_resume},
                                {"ensure", l_ensure},
                                {"wait", l_wait},
                                {"front", l_front},
                                {"raise", l_raise},
                                {"nearest", l_nearest},
                                {"is_dir", l_is_dir},
                                {"find", l_find},
                                {"exists", l_exists},
                                {"absolute", l_absolute},
                                {"read", l_read},
                                {"temporary", l_temporary},
                                {"curve", l_curve},
                                {"display", l_display},
                                {"clock", l_clock},
                                {"defaults", l_defaults},
                                {"worker_log", l_worker_log},
                                {"masked", l_masked},
                                {"coordinator_tail", l_coordinator_tail},
                                {"coordinator_pid", l_coordinator_pid},
                                {NULL, NULL}};

static void push_core(lua_State *L)
{
    luaL_newlib(L, core);
    llm_model_functions(L);
    hub_functions(L);
    llm_dataset_functions(L);
}

static int push_field(lua_State *L, const char *name)
{
    session_push_module(L, "lacus.llm", push_core);
    lua_getfield(L, -1, name);
    return 1;
}

int llm_open(struct lua_State *L)
{
    return push_field(L, "llm");
}

int llm_open_dataset(struct lua_State *L)
{
    return push_field(L, "Dataset");
}

int llm_open_load_dataset(struct lua_State *L)
{
    return push_field(L, "load_dataset");
}

int llm_open_concatenate_datasets(struct lua_State *L)
{
    return push_field(L, "concatenate_datasets");
}

int llm_open_trainer(struct lua_State *L)
{
    return push_field(L, "Trainer");
}

int llm_open_early_stopping(struct lua_State *L)
{
    return push_field(L, "EarlyStoppingCallback");
}

int llm_open_lora_config(struct lua_State *L)
{
    return push_field(L, "LoraConfig");
}

int llm_open_prompt_tuning(struct lua_State *L)
{
    return push_field(L, "PromptTuningConfig");
}

int llm_open_prefix_tuning(struct lua_State *L)
{
    return push_field(L, "PrefixTuningConfig");
}

int llm_open_quantization(struct lua_State *L)
{
    return push_field(L, "BitsAndBytesConfig");
}

int llm_open_training_arguments(struct lua_State *L)
{
    return push_field(L, "TrainingArguments");
}

/* ---- texts that training arguments may be ---- */
static int texts_of(lua_State *L, const char *argument)
{
    const char *text;

    lua_newtable(L);
    for (size_t i = 0; (text = training_args_text(argument, i)) != NULL; i++) {
        lua_pushstring(L, text);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int l_schedules(lua_State *L)
{
    return texts_of(L, "lr_scheduler_type");
}

static int l_optimizers(lua_State *L)
{
    return texts_of(L, "optim");
}

static int l_strategies(lua_State *L)
{
    return texts_of(L, "eval_strategy");
}

static const struct manual_values texts[] = {
    {"ScheduleName", l_schedules}, {"OptimizerName", l_optimizers}, {"StrategyName", l_strategies}, {0}};
static const struct manual_topic texts_topic = {.name = "llm", .doc = "language models", .values = texts};
const struct manual_topic *const llm_topics[] = {&texts_topic, NULL};

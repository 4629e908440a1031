#include "runtime/registry/local.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/registry/package.h"
#include "runtime/storage/workspace.h"
#include "runtime/tracking/page.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_MAX = 10000 };

static const char *const steps[] = {
    "CREATE TABLE registry_models(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, "
    "description TEXT NOT "
    "NULL DEFAULT '', created INTEGER NOT NULL, updated INTEGER NOT NULL, next_version INTEGER NOT NULL "
    "DEFAULT 1);"
    "CREATE TABLE registry_versions(model INTEGER NOT NULL REFERENCES registry_models(id) ON DELETE CASCADE, "
    "version "
    "INTEGER NOT NULL, description TEXT NOT NULL DEFAULT '', source TEXT NOT NULL, run TEXT NOT NULL DEFAULT "
    "'', digest "
    "TEXT NOT NULL, bytes INTEGER NOT NULL, folder TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER "
    "NOT NULL, "
    "PRIMARY KEY(model, version)) WITHOUT ROWID;"
    "CREATE TABLE registry_aliases(model INTEGER NOT NULL, alias TEXT NOT NULL COLLATE NOCASE, version "
    "INTEGER NOT NULL, "
    "PRIMARY KEY(model, alias), FOREIGN KEY(model, version) REFERENCES registry_versions(model, version) ON "
    "DELETE "
    "CASCADE) WITHOUT ROWID;"
    /* version 0: of the model itself */
    "CREATE TABLE registry_tags(model INTEGER NOT NULL REFERENCES registry_models(id) ON DELETE CASCADE, "
    "version INTEGER "
    "NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(model, version, key)) WITHOUT ROWID",
};

struct local {
    struct workspace *ws;
    char *home, *models; /* owned folders */
};

static void close_local(void *self)
{
    struct local *l = self;

    workspace_close(l->ws);
    mem_free(l->home);
    mem_free(l->models);
    mem_free(l);
}

static enum lc open_local(const char *uri, void **self, struct err *err)
{
    struct local *l = mem_zalloc(sizeof *l);
    enum lc rc;

    (void)uri;
    if (!l)
        return err_nomem(err);
    rc = workspace_open(NULL, &l->ws, err);
    if (rc == LC_OK)
        rc = workspace_migrate(l->ws, "registry", steps, sizeof steps / sizeof *steps, err);
    if (rc == LC_OK && (!(l->home = fs_home("", err)) || !(l->models = fs_home("models", err))))
        rc = err_nomem(err);
    for (size_t n = l->home ? strlen(l->home) : 0; n > 1 && l->home[n - 1] == '/'; n--)
        l->home[n - 1] = '\0';
    if (rc != LC_OK)
        close_local(l);
    else
        *self = l;
    return rc;
}

/* ---- finding ----------------------------------------------------------------------------------------- */

static enum lc no_model(struct local *l, const char *name, struct err *err)
{
    struct workspace_rows rows;
    char *names[256];
    size_t n = 0;
    struct buf near = BUF_INIT(400);
    enum lc rc = workspace_query(l->ws, &rows, err,
                                 "SELECT name FROM registry_models ORDER BY updated DESC LIMIT 256", NULL);

    while (rc == LC_OK && n < sizeof names / sizeof *names && workspace_next(&rows, &rc, err))
        if ((names[n] = mem_strdup(workspace_text(&rows, 0))) != NULL)
            n++;
    workspace_rows_close(&rows);
    nearest_list(&near, name, (const char *const *)names, n, 3);
    err_set(err, LC_NOTFOUND, "no registered model '%s'", name);
    if (near.len)
        err_hint(err, "did you mean %s?", buf_str(&near));
    else
        err_hint(err, n ? "'lacus models' lists them" : "register one with mlflow.register_model(uri, name)");
    for (size_t i = 0; i < n; i++)
        mem_free(names[i]);
    buf_release(&near);
    return LC_NOTFOUND;
}

static enum lc model_id(struct local *l, const char *name, int64_t *id, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc =
        workspace_query(l->ws, &rows, err, "SELECT id FROM registry_models WHERE name = ?", "t", name);

    *id = 0;
    if (rc == LC_OK && workspace_next(&rows, &rc, err))
        *id = workspace_int(&rows, 0);
    workspace_rows_close(&rows);
    return rc != LC_OK || *id ? rc : no_model(l, name, err);
}

/* The aliases and the last versions of a model, for an error's hint. */
static void hint_versions(struct local *l, int64_t model, struct err *err)
{
    struct workspace_rows rows;
    struct buf list = BUF_INIT(300);
    struct err ignored;
    enum lc rc = workspace_query(
        l->ws, &rows, &ignored,
        "SELECT '@' || alias FROM registry_aliases WHERE model = ?1 UNION ALL SELECT * FROM "
        "(SELECT version FROM registry_versions WHERE model = ?1 ORDER BY version DESC LIMIT 5)",
        "i", model);

    while (rc == LC_OK && workspace_next(&rows, &rc, &ignored))
        buf_printf(&list, "%s%s", list.len ? ", " : "", workspace_text(&rows, 0));
    workspace_rows_close(&rows);
    err_hint(err, list.len ? "there are %s" : "it has no version%s", buf_str(&list));
    buf_release(&list);
}

/* version: number, "latest" or "@alias" → the number. */
static enum lc version_number(struct local *l, int64_t model, const char *name, const char *version,
                              int64_t *out, struct err *err)
{
    static const char by_alias[] = "SELECT version FROM registry_aliases WHERE model = ? AND alias = ?";
    static const char latest[] = "SELECT max(version) FROM registry_versions WHERE model = ?";
    static const char by_number[] = "SELECT version FROM registry_versions WHERE model = ? AND version = ?";
    struct workspace_rows rows;
    enum lc rc = *version == '@' ? workspace_query(l->ws, &rows, err, by_alias, "it", model, version + 1)
                 : strcmp(version, "latest") == 0
                     ? workspace_query(l->ws, &rows, err, latest, "i", model)
                     : workspace_query(l->ws, &rows, err, by_number, "ii", model, (int64_t)atoll(version));

    *out = 0;
    if (rc == LC_OK && workspace_next(&rows, &rc, err))
        *out = workspace_int(&rows, 0);
    workspace_rows_close(&rows);
    if (rc != LC_OK || *out)
        return rc;
    if (*version == '@')
        err_set(err, LC_NOTFOUND, "the registered model '%s' has no alias '%s'", name, version + 1);
    else
        err_set(err, LC_NOTFOUND, "the registered model '%s' has no version '%s'", name, version);
    hint_versions(l, model, err);
    return LC_NOTFOUND;
}

static enum lc find_version(struct local *l, const char *name, const char *version, int64_t *model,
                            int64_t *number, struct err *err)
{
    TRY(model_id(l, name, model, err));
    return version_number(l, *model, name, version, number, err);
}

/* ---- JSON -------------------------------------------------------------------------------------------- */

typedef json_t *item_fn(const struct workspace_rows *rows);

static json_t *pair_json(const struct workspace_rows *rows)
{
    return json_pack("{s:s, s:s}", "key", workspace_text(rows, 0), "value", workspace_text(rows, 1));
}

static json_t *alias_json(const struct workspace_rows *rows)
{
    return json_pack("{s:s, s:s}", "alias", workspace_text(rows, 0), "version", workspace_text(rows, 1));
}

static json_t *name_json(const struct workspace_rows *rows)
{
    return json_string(workspace_text(rows, 0));
}

static enum lc add_list(struct local *l, json_t *to, const char *name, item_fn *item, const char *sql,
                        int64_t model, int64_t version, struct err *err)
{
    struct workspace_rows rows;
    json_t *list = json_array();
    enum lc rc = workspace_query(l->ws, &rows, err, sql, "ii", model, version);

    while (rc == LC_OK && workspace_next(&rows, &rc, err))
        if (json_array_append_new(list, item(&rows)) != 0)
            rc = err_nomem(err);
    workspace_rows_close(&rows);
    if (json_object_set_new(to, name, list) != 0 && rc == LC_OK)
        rc = err_nomem(err);
    return rc;
}

#define TAGS_SQL "SELECT key, value FROM registry_tags WHERE model = ? AND version = ? ORDER BY key"

static enum lc version_json(struct local *l, int64_t model, int64_t version, json_t **out, struct err *err)
{
    struct workspace_rows rows;
    json_t *v = NULL;
    enum lc rc = workspace_query(
        l->ws, &rows, err,
        "SELECT m.name, v.version, v.created, v.updated, v.description, v.source, v.run, "
        "v.digest, v.bytes, v.folder FROM registry_versions v JOIN registry_models m ON m.id = "
        "v.model WHERE v.model = ? AND v.version = ?",
        "ii", model, version);

    if (rc == LC_OK && workspace_next(&rows, &rc, err)) {
        char *folder = fs_join(l->models, workspace_text(&rows, 9));
        v = json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "name",
                      workspace_text(&rows, 0), "version", workspace_text(&rows, 1), "creation_timestamp",
                      (json_int_t)workspace_int(&rows, 2), "last_updated_timestamp",
                      (json_int_t)workspace_int(&rows, 3), "current_stage", "None", "description",
                      workspace_text(&rows, 4), "source", workspace_text(&rows, 5), "run_id",
                      workspace_text(&rows, 6), "status", "READY", "digest", workspace_text(&rows, 7),
                      "run_link", "", "size", (json_int_t)workspace_int(&rows, 8), "storage_location",
                      folder ? folder : "");
        mem_free(folder);
    }
    workspace_rows_close(&rows);
    if (rc == LC_OK && !v)
        rc = err_nomem(err);
    if (rc == LC_OK)
        rc = add_list(l, v, "tags", pair_json, TAGS_SQL, model, version, err);
    if (rc == LC_OK)
        rc = add_list(l, v, "aliases", name_json,
                      "SELECT alias FROM registry_aliases WHERE model = ? AND version = ? ORDER BY alias",
                      model, version, err);
    if (rc != LC_OK)
        json_decref(v);
    *out = rc == LC_OK ? v : NULL;
    return rc;
}

static enum lc add_latest(struct local *l, json_t *m, int64_t model, struct err *err)
{
    struct workspace_rows rows;
    json_t *v, *list = json_array();
    enum lc rc = workspace_query(
        l->ws, &rows, err, "SELECT max(version) FROM registry_versions WHERE model = ? HAVING count(*) > 0",
        "i", model);

    if (rc == LC_OK && workspace_next(&rows, &rc, err)) {
        rc = version_json(l, model, workspace_int(&rows, 0), &v, err);
        if (rc == LC_OK)
            json_array_append_new(list, v);
    }
    workspace_rows_close(&rows);
    json_object_set_new(m, "latest_versions", list);
    return rc;
}

static enum lc model_json(struct local *l, int64_t model, json_t **out, struct err *err)
{
    struct workspace_rows rows;
    json_t *m = NULL;
    enum lc rc = workspace_query(
        l->ws, &rows, err, "SELECT name, created, updated, description FROM registry_models WHERE id = ?",
        "i", model);

    if (rc == LC_OK && workspace_next(&rows, &rc, err))
        m = json_pack("{s:s, s:I, s:I, s:s}", "name", workspace_text(&rows, 0), "creation_timestamp",
                      (json_int_t)workspace_int(&rows, 1), "last_updated_timestamp",
                      (json_int_t)workspace_int(&rows, 2), "description", workspace_text(&rows, 3));
    workspace_rows_close(&rows);
    if (rc == LC_OK && !m)
        rc = err_nomem(err);
    if (rc == LC_OK)
        rc = add_latest(l, m, model, err);
    if (rc == LC_OK)
        rc = add_list(l, m, "tags", pair_json, TAGS_SQL, model, 0, err);
    if (rc == LC_OK)
        rc = add_list(
            l, m, "aliases", alias_json,
            "SELECT alias, version FROM registry_aliases WHERE model = ?1 AND version <> ?2 ORDER BY alias",
            model, 0, err);
    if (rc != LC_OK)
        json_decref(m);
    *out = rc == LC_OK ? m : NULL;
    return rc;
}

/* ---- models ------------------------------------------------------------------------------------------ */

static enum lc get_model(const struct ctx *ctx, void *self, const char *name, json_t **model, struct err *err)
{
    int64_t id;

    (void)ctx;
    *model = NULL;
    TRY(model_id(self, name, &id, err));
    return model_json(self, id, model, err);
}

static enum lc create_model(const struct ctx *ctx, void *self, const char *name, const char *description,
                            json_t **model, struct err *err)
{
    struct local *l = self;
    int64_t now = clock_wall_ms();
    enum lc rc = workspace_exec(
        l->ws, err, "INSERT INTO registry_models(name, description, created, updated) VALUES(?, ?, ?, ?)",
        "ttii", name, description ? description : "", now, now);

    if (rc == LC_EXISTS)
        return err_set(err, LC_EXISTS, "registered model (name=%s) already exists", name);
    TRY(rc);
    return get_model(ctx, self, name, model, err);
}

static enum lc update_model(const struct ctx *ctx, void *self, const char *name, const char *new_name,
                            const char *description, struct err *err)
{
    struct local *l = self;
    int64_t id;
    enum lc rc;

    (void)ctx;
    TRY(model_id(l, name, &id, err));
    rc = workspace_exec(
        l->ws, err,
        "UPDATE registry_models SET name = coalesce(?, name), description = coalesce(?, description), "
        "updated = ? WHERE id = ?",
        "ttii", new_name, description, clock_wall_ms(), id);
    if (rc == LC_EXISTS)
        return err_set(err, LC_EXISTS, "cannot rename the model to '%s': there is one with this name",
                       new_name);
    return rc;
}

/* Rows first: a folder without a row is only space, a row without its folder would be a broken model. */
static enum lc delete_model(const struct ctx *ctx, void *self, const char *name, struct err *err)
{
    struct local *l = self;
    struct workspace_rows rows;
    char *folder = NULL;
    int64_t id;
    enum lc rc;

    (void)ctx;
    TRY(model_id(l, name, &id, err));
    rc = workspace_query(l->ws, &rows, err, "SELECT folder FROM registry_versions WHERE model = ? LIMIT 1",
                         "i", id);
    if (rc == LC_OK && workspace_next(&rows, &rc, err)) {
        folder = fs_join(l->models, workspace_text(&rows, 0));
        if (folder)
            *strrchr(folder, '/') = '\0';
    }
    workspace_rows_close(&rows);
    if (rc == LC_OK)
        rc = workspace_exec(l->ws, err, "DELETE FROM registry_models WHERE id = ?", "i", id);
    if (rc == LC_OK && folder)
        rc = fs_remove_tree(folder, err);
    mem_free(folder);
    return rc;
}

/* ---- versions ---------------------------------------------------------------------------------------- */

/* models/NAME: what a file system might mind becomes %xx; lower case, as names are compared. */
static char *folder_name(const char *name, int64_t model)
{
    struct buf b = BUF_INIT(2000);

    for (const char *s = name; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (isalnum(c) || strchr("._-", c))
            buf_putc(&b, (char)tolower(c));
        else
            buf_printf(&b, "%%%02x", c);
    }
    if (b.len > 180) { /* of a name that is longer than file names may be */
        b.len = 180;
        buf_printf(&b, "-%lld", (long long)model);
    }
    return buf_take(&b);
}

struct staged {
    char *folder; /* owned: complete, not yet in its place */
    char digest[TREE_DIGEST];
    int64_t bytes;
};

static enum lc stage(const struct ctx *ctx, struct local *l, const struct registry_new_version *v,
                     const char *source, struct staged *out, struct err *err)
{
    char suffix[17], all[TREE_DIGEST], *bases = fs_join(l->models, ".bases");
    struct package p = {
        .source = source, .bases = bases, .home = l->home, .name = v->name, .run_id = v->run_id};
    enum lc rc;

    hex_make(suffix, 16);
    out->folder = mem_printf("%s/.staged-%s", l->models, suffix);
    p.target = out->folder;
    rc = bases && out->folder ? package_make(ctx, &p, out->digest, err) : err_nomem(err);
    if (rc == LC_OK)
        rc = tree_digest(ctx, out->folder, all, &out->bytes, err);
    mem_free(bases);
    return rc;
}

static enum lc place(struct local *l, const struct staged *s, const char *below, struct err *err)
{
    char *target = fs_join(l->models, below), *parent = mem_strndup(below, strcspn(below, "/"));
    char *folder = parent ? fs_join(l->models, parent) : NULL;
    enum lc rc = target && folder ? fs_mkdirs(folder, err) : err_nomem(err);

    if (rc == LC_OK) /* left by a process that was killed between the rename and the commit */
        rc = fs_remove_tree(target, err);
    if (rc == LC_OK && rename(s->folder, target) != 0)
        rc = err_set(err, LC_IO, "cannot move the model to '%s'", target);
    mem_free(target);
    mem_free(parent);
    mem_free(folder);
    return rc;
}

static enum lc insert_version(struct local *l, const struct registry_new_version *v, const struct staged *s,
                              int64_t model, int64_t version, const char *below, struct err *err)
{
    int64_t now = clock_wall_ms();

    TRY(workspace_exec(l->ws, err, "UPDATE registry_models SET next_version = ?, updated = ? WHERE id = ?",
                       "iii", version + 1, now, model));
    TRY(workspace_exec(l->ws, err, "INSERT INTO registry_versions VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                       "iittttitii", model, version, v->description ? v->description : "", v->source,
                       v->run_id ? v->run_id : "", s->digest, s->bytes, below, now, now));
    for (size_t i = 0; i < v->n_tags; i++)
        TRY(workspace_exec(l->ws, err, "INSERT OR REPLACE INTO registry_tags VALUES(?, ?, ?, ?)", "iitt",
                           model, version, v->tags[i].key, v->tags[i].value));
    return LC_OK;
}

/* Under the write lock, so that the number belongs to nobody else. */
static enum lc publish(struct local *l, const struct registry_new_version *v, const struct staged *s,
                       int64_t *model, int64_t *version, struct err *err)
{
    struct workspace_rows rows;
    int64_t now = clock_wall_ms();
    char *name, *below;
    enum lc rc;

    TRY(workspace_exec(
        l->ws, err,
        "INSERT INTO registry_models(name, created, updated) VALUES(?, ?, ?) ON CONFLICT DO NOTHING", "tii",
        v->name, now, now));
    rc = workspace_query(l->ws, &rows, err, "SELECT id, next_version FROM registry_models WHERE name = ?",
                         "t", v->name);
    if (rc == LC_OK && workspace_next(&rows, &rc, err)) {
        *model = workspace_int(&rows, 0);
        *version = workspace_int(&rows, 1);
    }
    workspace_rows_close(&rows);
    TRY(rc);
    name = folder_name(v->name, *model);
    below = name ? mem_printf("%s/%lld", name, (long long)*version) : NULL;
    rc = below ? place(l, s, below, err) : err_nomem(err);
    if (rc == LC_OK)
        rc = insert_version(l, v, s, *model, *version, below, err);
    mem_free(name);
    mem_free(below);
    return rc;
}

static enum lc create_version(const struct ctx *ctx, void *self, const struct registry_new_version *v,
                              const char *folder, json_t **out, struct err *err)
{
    struct local *l = self;
    struct staged s = {.folder = NULL};
    int64_t model = 0, version = 0;
    enum lc rc = stage(ctx, l, v, folder, &s, err);

    if (rc == LC_OK)
        rc = workspace_begin(l->ws, err);
    if (rc == LC_OK) {
        rc = publish(l, v, &s, &model, &version, err);
        rc = workspace_end(l->ws, rc, err);
    }
    if (s.folder && fs_is_dir(s.folder) && fs_remove_tree(s.folder, rc == LC_OK ? err : NULL) != LC_OK &&
        rc == LC_OK)
        rc = LC_IO;
    mem_free(s.folder);
    return rc == LC_OK ? version_json(l, model, version, out, err) : rc;
}

static enum lc get_version(const struct ctx *ctx, void *self, const char *name, const char *version,
                           json_t **out, struct err *err)
{
    int64_t model, number;

    (void)ctx;
    *out = NULL;
    TRY(find_version(self, name, version, &model, &number, err));
    return version_json(self, model, number, out, err);
}

static enum lc update_version(const struct ctx *ctx, void *self, const char *name, const char *version,
                              const char *description, struct err *err)
{
    struct local *l = self;
    int64_t model, number;

    (void)ctx;
    TRY(find_version(l, name, version, &model, &number, err));
    return workspace_exec(
        l->ws, err,
        "UPDATE registry_versions SET description = coalesce(?, description), updated = ? WHERE model = "
        "? AND version = ?",
        "tiii", description, clock_wall_ms(), model, number);
}

static enum lc stored_folder(struct local *l, int64_t model, int64_t number, char **folder, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc = workspace_query(l->ws, &rows, err,
                                 "SELECT folder FROM registry_versions WHERE model = ? AND version = ?", "ii",
                                 model, number);

    *folder = NULL;
    if (rc == LC_OK && workspace_next(&rows, &rc, err))
        *folder = fs_join(l->models, workspace_text(&rows, 0));
    workspace_rows_close(&rows);
    return rc != LC_OK ? rc : *folder ? LC_OK : err_nomem(err);
}

static enum lc delete_version(const struct ctx *ctx, void *self, const char *name, const char *version,
                              struct err *err)
{
    struct local *l = self;
    int64_t model, number;
    char *folder;
    enum lc rc;

    (void)ctx;
    TRY(find_version(l, name, version, &model, &number, err));
    TRY(stored_folder(l, model, number, &folder, err));
    rc = workspace_exec(l->ws, err, "DELETE FROM registry_tags WHERE model = ? AND version = ?", "ii", model,
                        number);
    if (rc == LC_OK)
        rc = workspace_exec(l->ws, err, "DELETE FROM registry_versions WHERE model = ? AND version = ?", "ii",
                            model, number);
    if (rc == LC_OK)
        rc = fs_remove_tree(folder, err);
    mem_free(folder);
    return rc;
}

static enum lc version_folder(const struct ctx *ctx, void *self, const char *name, const char *version,
                              char **folder, struct err *err)
{
    struct local *l = self;
    int64_t model, number;

    (void)ctx;
    TRY(find_version(l, name, version, &model, &number, err));
    TRY(stored_folder(l, model, number, folder, err));
    if (fs_is_dir(*folder))
        return LC_OK;
    err_set(err, LC_DATA, "version %lld of the registered model '%s' has lost its folder '%s'",
            (long long)number, name, *folder);
    mem_free(*folder);
    *folder = NULL;
    return err_hint(err, "bring the folder back, or delete the version and register the model again");
}

/* ---- aliases and tags -------------------------------------------------------------------------------- */

static enum lc set_alias(const struct ctx *ctx, void *self, const char *name, const char *alias,
                         const char *version, struct err *err)
{
    struct local *l = self;
    int64_t model, number;

    (void)ctx;
    TRY(model_id(l, name, &model, err));
    if (!version) {
        TRY(workspace_exec(l->ws, err, "DELETE FROM registry_aliases WHERE model = ? AND alias = ?", "it",
                           model, alias));
        if (workspace_changes(l->ws) > 0)
            return LC_OK;
        err_set(err, LC_NOTFOUND, "the registered model '%s' has no alias '%s'", name, alias);
        hint_versions(l, model, err);
        return LC_NOTFOUND;
    }
    TRY(version_number(l, model, name, version, &number, err));
    return workspace_exec(l->ws, err, "INSERT OR REPLACE INTO registry_aliases VALUES(?, ?, ?)", "iti", model,
                          alias, number);
}

static enum lc set_tag(const struct ctx *ctx, void *self, const char *name, const char *version,
                       const char *key, const char *value, struct err *err)
{
    struct local *l = self;
    int64_t model, number = 0;

    (void)ctx;
    TRY(model_id(l, name, &model, err));
    if (version)
        TRY(version_number(l, model, name, version, &number, err));
    if (!value)
        return workspace_exec(l->ws, err,
                              "DELETE FROM registry_tags WHERE model = ? AND version = ? AND key = ?", "iit",
                              model, number, key);
    return workspace_exec(l->ws, err, "INSERT OR REPLACE INTO registry_tags VALUES(?, ?, ?, ?)", "iitt",
                          model, number, key, value);
}

/* ---- searching --------------------------------------------------------------------------------------- */

static const struct filter_field model_fields[] = {
    {NULL, "tags|tag", FILTER_TEXT,
     "(SELECT value FROM registry_tags WHERE model = m.id AND version = 0 AND key = ?) {}"},
    {"name", NULL, FILTER_TEXT, "m.name {}"},
    {"creation_timestamp", NULL, FILTER_NUMBER, "m.created {}"},
    {"last_updated_timestamp", NULL, FILTER_NUMBER, "m.updated {}"},
    {0},
};

static const struct filter_field version_fields[] = {
    {NULL, "tags|tag", FILTER_TEXT,
     "(SELECT value FROM registry_tags t WHERE t.model = v.model AND t.version = v.version AND key = ?) {}"},
    {"name", NULL, FILTER_TEXT, "m.name {}"},
    {"run_id", NULL, FILTER_TEXT, "v.run {}"},
    {"source_path", NULL, FILTER_TEXT, "v.source {}"},
    {"digest", NULL, FILTER_TEXT, "v.digest {}"},
    {"version_number|version", NULL, FILTER_NUMBER, "v.version {}"},
    {"creation_timestamp", NULL, FILTER_NUMBER, "v.created {}"},
    {"last_updated_timestamp", NULL, FILTER_NUMBER, "v.updated {}"},
    {0},
};

struct question {
    const char *from, *order, *name;
    const struct filter_field *fields;
    page_row_fn *row;
};

/* The client of MLflow always adds that a model is no prompt; a tag that is not there is not equal to 'true' here. */
static const char *without_prompt_filter(const char *filter)
{
    static const char added[] = "tag.`mlflow.prompt.is_prompt` != 'true'";

    return filter && strcmp(filter, added) == 0 ? "" : filter;
}

static enum lc build(const struct question *q, const struct tracker_search *s, struct filter *f,
                     const struct page *p, struct err *err)
{
    struct buf text = BUF_INIT(FILTER_TEXT_MAX * 4);
    enum lc rc = filter_parse(without_prompt_filter(s->filter), q->fields, f, err);

    buf_printf(&text, "%s%s ORDER BY ", q->from, buf_str(&f->sql));
    buf_clear(&f->sql);
    for (size_t i = 0; rc == LC_OK && i < s->n_order_by; i++) {
        rc = filter_order(s->order_by[i], q->fields, f, err);
        buf_puts(&f->sql, ", ");
    }
    buf_printf(&text, "%s%s", buf_str(&f->sql), q->order);
    page_limit(p, &text);
    buf_clear(&f->sql);
    buf_puts(&f->sql, buf_str(&text));
    buf_release(&text);
    return rc != LC_OK ? rc : buf_check(&f->sql, err);
}

static enum lc model_row(void *self, const struct workspace_rows *row, json_t **out, struct err *err)
{
    return model_json(self, workspace_int(row, 0), out, err);
}

static enum lc version_row(void *self, const struct workspace_rows *row, json_t **out, struct err *err)
{
    return version_json(self, workspace_int(row, 0), workspace_int(row, 1), out, err);
}

static enum lc search(const struct ctx *ctx, struct local *l, const struct question *q,
                      const struct tracker_search *s, json_t **out, struct err *err)
{
    struct filter f;
    struct page p;
    enum lc rc;

    *out = NULL;
    TRY(page_of(s, PAGE_MAX, PAGE_MAX, &p, err));
    filter_init(&f);
    rc = build(q, s, &f, &p, err);
    if (rc == LC_OK)
        rc = page_read(ctx, l->ws, &f, &p, q->name, q->row, l, out, err);
    filter_release(&f);
    return rc;
}

static enum lc search_models(const struct ctx *ctx, void *self, const struct tracker_search *s, json_t **page,
                             struct err *err)
{
    static const struct question q = {"SELECT m.id FROM registry_models m WHERE ", "m.name",
                                      "registered_models", model_fields, model_row};

    return search(ctx, self, &q, s, page, err);
}

static enum lc search_versions(const struct ctx *ctx, void *self, const struct tracker_search *s,
                               json_t **page, struct err *err)
{
    static const struct question q = {
        "SELECT v.model, v.version FROM registry_versions v JOIN registry_models m ON m.id = v.model WHERE ",
        "v.updated DESC, m.name, v.version DESC", "model_versions", version_fields, version_row};

    return search(ctx, self, &q, s, page, err);
}

const struct registry_ops registry_local = {
    .scheme = "lacus",
    .open = open_local,
    .close = close_local,
    .create_model = create_model,
    .get_model = get_model,
    .update_model = update_model,
    .delete_model = delete_model,
    .search_models = search_models,
    .create_version = create_version,
    .get_version = get_version,
    .update_version = update_version,
    .delete_version = delete_version,
    .search_versions = search_versions,
    .alias = set_alias,
    .tag = set_tag,
    .version_folder = version_folder,
};

/* local_files.c: artifacts of runs in the workspace: plain files in plain folders. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/storage/tree.h"
#include "runtime/tracking/local_int.h"
#include <string.h>

char *local_artifact_folder(struct local *l, const char *run, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc =
        workspace_query(l->ws, &rows, err,
                        "SELECT e.id, e.location FROM tracking_runs r JOIN tracking_experiments e ON e.id = "
                        "r.experiment WHERE r.id = ?",
                        "t", run);
    char *path = NULL;

    if (rc == LC_OK && workspace_next(&rows, &rc, err)) {
        const char *location = workspace_text(&rows, 1);
        if (strncmp(location, "file://", 7) == 0)
            location += 7;
        path = *location ? mem_printf("%s/%s/artifacts", location, run)
                         : mem_printf("%s/%s/%s/artifacts", l->artifacts, workspace_text(&rows, 0), run);
        if (!path)
            err_nomem(err);
    }
    workspace_rows_close(&rows);
    return path;
}

/* Folder of the run, or the place of path below it; *out is the caller's. */
static enum lc place_of(struct local *l, const char *run, const char *path, char **out, struct err *err)
{
    char *folder;

    *out = NULL;
    TRY(local_need_run(l, run, err));
    folder = local_artifact_folder(l, run, err);
    if (!folder)
        return err ? err->code : LC_NOMEM;
    *out = *path ? fs_join(folder, path) : mem_strdup(folder);
    mem_free(folder);
    return *out ? LC_OK : err_nomem(err);
}

enum lc local_put_artifact(const struct ctx *ctx, void *self, const char *run, const char *local,
                           const char *path, struct err *err)
{
    char *folder, *target;
    enum lc rc;

    if (!fs_exists(local))
        return err_set(err, LC_NOTFOUND, "cannot log the artifact '%s': no such file or folder", local);
    TRY(place_of(self, run, path, &folder, err));
    rc = fs_mkdirs(folder, err);
    if (rc == LC_OK && fs_is_dir(local)) {
        rc = tree_copy(ctx, local, folder, TREE_REPLACE, err);
    } else if (rc == LC_OK) {
        target = fs_join(folder, fs_basename(local));
        rc = target ? tree_copy(ctx, local, target, TREE_REPLACE, err) : err_nomem(err);
        mem_free(target);
    }
    mem_free(folder);
    return rc;
}

enum lc local_put_text(const struct ctx *ctx, void *self, const char *run, const char *path, const void *data,
                       size_t len, struct err *err)
{
    char *target, *slash;
    enum lc rc;

    (void)ctx;
    TRY(place_of(self, run, path, &target, err));
    slash = strrchr(target, '/');
    *slash = '\0';
    rc = fs_mkdirs(target, err);
    *slash = '/';
    if (rc == LC_OK)
        rc = fs_write(target, data, len, err);
    mem_free(target);
    return rc;
}

static enum lc add_file(json_t *files, const char *folder, const char *below, const char *name,
                        struct err *err)
{
    char *path = fs_join(folder, name);
    char *shown = *below ? fs_join(below, name) : mem_strdup(name);
    json_t *f = path && shown ? json_pack("{s:s, s:b}", "path", shown, "is_dir", fs_is_dir(path)) : NULL;
    enum lc rc = LC_OK;

    if (f && !fs_is_dir(path))
        json_object_set_new(f, "file_size", json_integer(fs_size(path)));
    if (json_array_append_new(files, f) != 0)
        rc = err_nomem(err);
    mem_free(path);
    mem_free(shown);
    return rc;
}

enum lc local_list_artifacts(const struct ctx *ctx, void *self, const char *run, const char *path,
                             json_t **files, struct err *err)
{
    char *folder, **names = NULL;
    size_t n = 0;
    enum lc rc;

    (void)ctx;
    *files = NULL;
    TRY(place_of(self, run, path, &folder, err));
    *files = json_array();
    rc = fs_is_dir(folder) ? fs_list(folder, &names, &n, err) : LC_OK;
    for (size_t i = 0; rc == LC_OK && i < n; i++)
        rc = add_file(*files, folder, path, names[i], err);
    fs_free_list(names, n);
    mem_free(folder);
    if (rc != LC_OK) {
        json_decref(*files);
        *files = NULL;
    }
    return rc;
}

enum lc local_artifact_path(const struct ctx *ctx, void *self, const char *run, const char *path,
                            char **local, struct err *err)
{
    (void)ctx;
    TRY(place_of(self, run, path, local, err));
    if (fs_exists(*local))
        return LC_OK;
    mem_free(*local);
    *local = NULL;
    err_set(err, LC_NOTFOUND, "no artifact '%s' in the run '%s'", path, run);
    return err_hint(err, "mlflow.MlflowClient():list_artifacts(run_id) lists them");
}

#include "runtime/train/run.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/train/manifest.h"
#include "runtime/train/track.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct upload { /* at most one file at a time: a worker sends them one after the other */
    int fd;     /* -1: none open */
    char folder[64], path[WIRE_PATH_MAX + 1];
    int64_t size;
    crypto_hash_sha256_state state;
    json_t *received; /* owned: "folder/path" → {size, sha256} */
};

/* ---- what is handed out ---------------------------------------------------------------------------------- */

static enum lc add_blobs(struct run *r, const json_t *files, const char *folder, struct err *err)
{
    size_t i;
    json_t *row;

    json_array_foreach (files, i, row) {
        char *path = fs_join(folder, json_string_value(json_object_get(row, "path")));
        int bad = !path || json_object_set_new(r->blobs, json_string_value(json_object_get(row, "sha256")),
                                               json_string(path)) != 0;
        mem_free(path);
        if (bad)
            return err_nomem(err);
    }
    return LC_OK;
}

static enum lc read_spec(struct run *r, struct err *err)
{
    const json_t *model = json_object_get(r->spec, "model");
    const char *folder = json_string_value(json_object_get(model, "folder"));
    char *data = fs_join(r->folder, "data");
    enum lc rc = data ? LC_OK : err_nomem(err);

    r->model = json_incref(json_object_get(model, "files"));
    r->data = json_incref(json_object_get(json_object_get(r->spec, "data"), "files"));
    if (rc == LC_OK && (!folder || wire_check_manifest(r->model, MANIFEST_FILES, NULL) != LC_OK ||
                        wire_check_manifest(r->data, MANIFEST_FILES, NULL) != LC_OK))
        rc = err_set(err, LC_DATA, "job '%s' has a broken spec: its files are not listed", r->id);
    if (rc == LC_OK)
        rc = add_blobs(r, r->model, folder, err);
    if (rc == LC_OK)
        rc = add_blobs(r, r->data, data, err);
    mem_free(data);
    return rc;
}

static enum lc add_checkpoint(struct run *r, const char *name, json_t **files, struct err *err)
{
    char *folder = fs_join(r->folder, name);
    enum lc rc = folder ? manifest_make(NULL, folder, NULL, files, err) : err_nomem(err);

    if (rc == LC_OK)
        rc = add_blobs(r, *files, folder, err);
    mem_free(folder);
    return rc;
}

/* The best checkpoint so far, when it is another one: it is loaded at the end (load_best_model_at_end). */
static void find_best(struct run *r)
{
    char *path = mem_printf("%s/%s/trainer_state.json", r->folder, r->resume_name), *folder;
    json_t *state = path ? json_load_file(path, 0, NULL) : NULL;
    const char *best = json_string_value(json_object_get(state, "best_model_checkpoint"));

    if (best && strlen(fs_basename(best)) < sizeof r->best_name &&
        strcmp(fs_basename(best), r->resume_name) != 0) {
        folder = fs_join(r->folder, fs_basename(best));
        if (folder && wire_is_name(fs_basename(best)) && fs_is_dir(folder))
            (void)snprintf(r->best_name, sizeof r->best_name, "%s", fs_basename(best));
        mem_free(folder);
    }
    json_decref(state);
    mem_free(path);
}

static enum lc read_resume(struct run *r, const char *checkpoint, struct err *err)
{
    (void)snprintf(r->resume_name, sizeof r->resume_name, "%s", checkpoint);
    TRY(add_checkpoint(r, checkpoint, &r->resume, err));
    find_best(r);
    return r->best_name[0] ? add_checkpoint(r, r->best_name, &r->best, err) : LC_OK;
}

enum lc run_open(const struct job_info *job, struct run **out, struct err *err)
{
    struct run *r = mem_zalloc(sizeof *r);
    enum lc rc;

    if (!r)
        return err_nomem(err);
    memcpy(r->id, job->id, sizeof r->id);
    r->owner_pid = job->owner_pid;
    r->owner_start = job->owner_start;
    r->spec = json_incref(job->spec);
    r->blobs = json_object();
    r->folder = job_folder(job->id, err);
    r->upload = mem_zalloc(sizeof *r->upload);
    if (r->upload) {
        r->upload->fd = -1;
        r->upload->received = json_object();
    }
    rc = !r->folder                                     ? LC_IO
         : r->upload && r->upload->received && r->blobs ? read_spec(r, err)
                                                        : err_nomem(err);
    if (rc == LC_OK && job->resume[0])
        rc = read_resume(r, job->resume, err);
    if (rc != LC_OK)
        return run_free(r), rc;
    *out = r;
    return LC_OK;
}

void run_free(struct run *r)
{
    if (!r)
        return;
    if (r->upload) {
        if (r->upload->fd >= 0)
            close(r->upload->fd);
        json_decref(r->upload->received);
    }
    mem_free(r->upload);
    track_close(r->track);
    json_decref(r->spec);
    json_decref(r->blobs);
    json_decref(r->model);
    json_decref(r->data);
    json_decref(r->resume);
    json_decref(r->best);
    json_decref(r->result);
    mem_free(r->folder);
    mem_free(r);
}

static bool all_here(const struct run *r)
{
    for (int i = 0; i < r->n_ranks; i++)
        if (strncmp(r->ranks[i].address, "127.", 4) != 0 && strcmp(r->ranks[i].address, "::1") != 0 &&
            strncmp(r->ranks[i].address, "::ffff:127.", 11) != 0)
            return false;
    return true;
}

/* How many of the first n ranks are on a rank's machine. */
static int ranks_here(const struct run *r, int rank, int n)
{
    int here = 0;

    for (int i = 0; i < n; i++)
        here += strcmp(r->ranks[i].host, r->ranks[rank].host) == 0;
    return here;
}

/* Ranks of one machine share its cores; a rank alone there takes what it finds (0). */
static int threads_of(const struct run *r, int rank)
{
    int beside = ranks_here(r, rank, r->n_ranks);

    if (beside <= 1)
        return 0;
    return r->ranks[rank].cores / beside > 0 ? (int)(r->ranks[rank].cores / beside) : 1;
}

json_t *run_message(const struct run *r, int rank)
{
    json_t *m = json_pack("{s:s, s:s, s:O, s:O, s:O}", "type", "run", "job", r->id, "spec", r->spec, "model",
                          r->model, "data", r->data);
    json_t *spec = json_copy(r->spec);

    /* the worker gets contents by digest, so it needs no paths of this machine and no second list of files */
    json_object_del(spec, "model");
    json_object_del(spec, "output_uri");
    json_object_del(spec, "tensorboard");
    json_object_set(spec, "names",
                    json_object_get(spec, "folders")); /* what the user calls them, for errors */
    json_object_del(spec, "folders");
    json_object_set_new(m, "spec", spec);
    if (r->resume) {
        json_object_set(m, "resume", r->resume);
        json_object_set_new(m, "resume_name", json_string(r->resume_name));
    }
    if (r->best) {
        json_object_set(m, "best", r->best);
        json_object_set_new(m, "best_name", json_string(r->best_name));
    }
    if (r->local)
        json_object_set(m, "near", r->blobs);
    json_object_set_new(m, "rank", json_integer(rank));
    json_object_set_new(m, "size", json_integer(r->n_ranks));
    json_object_set_new(m, "token", json_string(r->token));
    json_object_set_new(m, "loopback", json_boolean(all_here(r)));
    json_object_set_new(m, "threads", json_integer(threads_of(r, rank)));
    json_object_set_new(m, "beside", json_integer(ranks_here(r, rank, rank)));
    return m;
}

enum lc run_blob(const struct run *r, const char *sha256, int64_t offset, int64_t length, struct buf *out,
                 struct err *err)
{
    const char *path = json_string_value(json_object_get(r->blobs, sha256));
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    enum lc rc = LC_OK;
    ssize_t n = 0;

    if (!path)
        return err_set(err, LC_DATA, "a worker asked for a file that is not part of job '%s'", r->id);
    if (fd < 0)
        return err_errno(err, errno, "cannot open '%s', which job '%s' needs", path, r->id);
    if (!buf_reserve(out, (size_t)length))
        rc = err_nomem(err);
    else if ((n = pread(fd, out->data + out->len, (size_t)length, offset)) < 0)
        rc = err_errno(err, errno, "cannot read '%s'", path);
    else
        out->len += (size_t)n;
    close(fd);
    return rc;
}

/* ---- what is taken in ------------------------------------------------------------------------------------ */

/* Only these names: a worker cannot write over anything else in the job's folder. */
static bool folder_allowed(const char *name)
{
    long step;
    int end = 0;

    return strcmp(name, "output") == 0 ||
           (sscanf(name, "checkpoint-%9ld%n", &step, &end) == 1 && name[end] == '\0' && step >= 0);
}

static char *incoming(const struct run *r, const char *folder)
{
    return mem_printf("%s/.incoming-%s", r->folder, folder);
}

/* The open file is complete: syncs it and notes its digest. */
static enum lc end_file(struct run *r, struct err *err)
{
    struct upload *u = r->upload;
    unsigned char digest[crypto_hash_sha256_BYTES];
    char hex[DIGEST_HEX], *key;
    int bad;

    if (u->fd < 0)
        return LC_OK;
    bad = fsync(u->fd) != 0;
    close(u->fd);
    u->fd = -1;
    if (bad)
        return err_errno(err, errno, "cannot write '%s' of job '%s'", u->path, r->id);
    crypto_hash_sha256_final(&u->state, digest);
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    key = mem_printf("%s/%s", u->folder, u->path);
    bad =
        !key || json_object_set_new(u->received, key,
                                    json_pack("{s:I, s:s}", "size", (json_int_t)u->size, "sha256", hex)) != 0;
    mem_free(key);
    return bad ? err_nomem(err) : LC_OK;
}

static enum lc begin_file(struct run *r, const char *folder, const char *path, struct err *err)
{
    struct upload *u = r->upload;
    char *dir = incoming(r, folder), *file = dir ? fs_join(dir, path) : NULL;
    enum lc rc = file ? end_file(r, err) : err_nomem(err);

    if (rc == LC_OK && strchr(path, '/'))
        rc = err_set(err, LC_DATA, "a worker sent '%.100s': checkpoints have no subfolders", path);
    if (rc == LC_OK)
        rc = fs_mkdirs(dir, err);
    if (rc == LC_OK && (u->fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0)
        rc = err_errno(err, errno, "cannot write '%s'", file);
    if (rc == LC_OK) {
        (void)snprintf(u->folder, sizeof u->folder, "%s", folder);
        (void)snprintf(u->path, sizeof u->path, "%s", path);
        u->size = 0;
        crypto_hash_sha256_init(&u->state);
    }
    mem_free(dir);
    mem_free(file);
    return rc;
}

enum lc run_receive(struct run *r, const struct wire_msg *file, struct err *err)
{
    struct upload *u = r->upload;
    const char *folder = wire_text(file, "folder"), *path = wire_text(file, "path");
    const char *bytes = file->payload;

    if (!folder_allowed(folder) || strlen(folder) >= sizeof u->folder)
        return err_set(err, LC_DATA, "a worker sent a folder '%.60s', which no job has", folder);
    if (wire_int(file, "offset") == 0)
        TRY(begin_file(r, folder, path, err));
    if (u->fd < 0 || strcmp(u->folder, folder) != 0 || strcmp(u->path, path) != 0 ||
        wire_int(file, "offset") != u->size)
        return err_set(err, LC_DATA, "a worker sent parts of '%.100s' in the wrong order", path);
    for (size_t done = 0; done < file->len;) {
        ssize_t n = write(u->fd, bytes + done, file->len - done);
        if (n < 0)
            return err_errno(err, errno, "cannot write '%s' of job '%s'", u->path, r->id);
        done += (size_t)n;
    }
    if (file->len)
        crypto_hash_sha256_update(&u->state, file->payload, file->len);
    u->size += (int64_t)file->len;
    return LC_OK;
}

static enum lc check_received(const struct run *r, const char *folder, const json_t *files, struct err *err)
{
    size_t i;
    json_t *row;

    json_array_foreach (files, i, row) {
        const char *path = json_string_value(json_object_get(row, "path"));
        char *key = mem_printf("%s/%s", folder, path);
        const json_t *have = key ? json_object_get(r->upload->received, key) : NULL;
        bool same = have && json_equal(json_object_get(have, "sha256"), json_object_get(row, "sha256")) &&
                    json_equal(json_object_get(have, "size"), json_object_get(row, "size"));
        mem_free(key);
        if (!same)
            return err_set(err, LC_DATA, "'%s/%s' of job '%s' did not arrive as it was sent", folder, path,
                           r->id);
    }
    return LC_OK;
}

static enum lc put_in_place(const struct run *r, const char *folder, struct err *err)
{
    char *from = incoming(r, folder), *to = fs_join(r->folder, folder);
    enum lc rc = from && to ? LC_OK : err_nomem(err);

    if (rc == LC_OK)
        rc = fs_replace_tree(from, to, err); /* it may be there: the same checkpoint again, after a resume */
    mem_free(from);
    mem_free(to);
    return rc;
}

/* As many as args.save_total_limit; the best one, which the newest names, stays. */
static void rotate(const struct run *r, const char *newest)
{
    int64_t keep = json_integer_value(json_object_get(json_object_get(r->spec, "args"), "save_total_limit"));
    char *path = keep > 0 ? mem_printf("%s/%s/trainer_state.json", r->folder, newest) : NULL;
    json_t *state = path ? json_load_file(path, 0, NULL) : NULL;
    const char *best = json_string_value(json_object_get(state, "best_model_checkpoint"));

    job_rotate_checkpoints(r->folder, keep, best ? fs_basename(best) : "");
    json_decref(state);
    mem_free(path);
}

enum lc run_commit(struct run *r, const struct wire_msg *commit, struct err *err)
{
    const char *folder = wire_text(commit, "folder");

    if (!folder_allowed(folder))
        return err_set(err, LC_DATA, "a worker sent a folder '%.60s', which no job has", folder);
    TRY(end_file(r, err));
    TRY(check_received(r, folder, json_object_get(commit->head, "files"), err));
    json_object_clear(r->upload->received);
    TRY(put_in_place(r, folder, err));
    if (strcmp(folder, "output") != 0)
        rotate(r, folder);
    return LC_OK;
}

void run_abort(struct run *r, const char *folder)
{
    char *path = folder_allowed(folder) ? incoming(r, folder) : NULL;
    enum lc ignored = LC_OK;

    if (r->upload->fd >= 0)
        close(r->upload->fd);
    r->upload->fd = -1;
    json_object_clear(r->upload->received);
    if (path)
        ignored = fs_remove_tree(path, NULL);
    (void)ignored; /* the reason to abort is the error */
    mem_free(path);
}

enum lc run_publish(const struct run *r, struct err *err)
{
    const char *to = json_string_value(json_object_get(r->spec, "output_uri"));
    char *from = fs_join(r->folder, "output");
    enum lc rc = from ? LC_OK : err_nomem(err);

    if (rc == LC_OK && to && *to)
        rc = folder_copy(NULL, from, to, NULL, err);
    mem_free(from);
    return rc;
}

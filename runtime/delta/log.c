#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/delta/delta_int.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void delta_commit_name(int64_t version, char out[DELTA_PATH_TEXT])
{
    snprintf(out, DELTA_PATH_TEXT, "%020" PRId64 ".json", version);
}

/* Reads exactly n digits; -1 when there are others or the number is too large. */
static int64_t digits(const char *s, size_t n)
{
    int64_t v = 0;

    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)s[i]) || v > DELTA_VERSION_MAX)
            return -1;
        v = v * 10 + (s[i] - '0');
    }
    return v > DELTA_VERSION_MAX ? -1 : v;
}

static bool add_commit(struct delta_log *log, int64_t version, const struct storage_entry *e)
{
    struct delta_commit_file *more = (log->n_commits & (log->n_commits + 1)) != 0
                                         ? log->commits
                                         : mem_reallocn(log->commits, 2 * (log->n_commits + 1), sizeof *more);

    if (!more)
        return false;
    log->commits = more;
    log->commits[log->n_commits++] = (struct delta_commit_file){version, e->size, e->modified_ms};
    return true;
}

static bool add_checkpoint(struct delta_log *log, int64_t version, int parts)
{
    struct delta_checkpoint_file *more = mem_reallocn(log->checkpoints, log->n_checkpoints + 1, sizeof *more);

    if (!more)
        return false;
    log->checkpoints = more;
    log->checkpoints[log->n_checkpoints++] = (struct delta_checkpoint_file){version, parts};
    return true;
}

/* A multi-part checkpoint counts once its last part has been seen and all before it were there: names are
 * sorted, so the parts of one version and count follow each other. */
struct part_counter {
    int64_t version, seen;
    int64_t parts;
};

static bool note_part(struct delta_log *log, struct part_counter *count, int64_t version, int64_t part,
                      int64_t parts)
{
    if (version < 0 || part < 1 || parts < part || parts > DELTA_PARTS_MAX)
        return true;
    if (version != count->version || parts != count->parts)
        *count = (struct part_counter){version, 0, parts};
    count->seen++;
    if (part != parts || count->seen != parts)
        return true;
    return add_checkpoint(log, version, (int)parts);
}

static bool note_entry(struct delta_log *log, struct part_counter *count, const struct storage_entry *e)
{
    static const char json[] = ".json", classic[] = ".checkpoint.parquet", part[] = ".checkpoint.";
    size_t n = strlen(e->name);
    const char *rest = e->name + 20;
    int64_t version = n > 20 ? digits(e->name, 20) : -1;

    if (version < 0 || e->folder)
        return true;
    if (strcmp(rest, json) == 0)
        return add_commit(log, version, e);
    if (strcmp(rest, classic) == 0)
        return add_checkpoint(log, version, 1);
    /* …checkpoint.0000000001.0000000003.parquet */
    if (n == 20 + strlen(part) + 10 + 1 + 10 + strlen(".parquet") && strncmp(rest, part, strlen(part)) == 0) {
        const char *numbers = rest + strlen(part);
        if (numbers[10] == '.' && strcmp(numbers + 21, ".parquet") == 0)
            return note_part(log, count, version, digits(numbers, 10), digits(numbers + 11, 10));
    }
    return true;
}

enum lc delta_log_list(const struct ctx *ctx, const char *location, struct delta_log *log, struct err *err)
{
    struct storage_list list = {0};
    struct part_counter count = {-1, 0, 0};
    struct err local;
    enum lc rc;

    *log = (struct delta_log){0};
    TRY(storage_open(location, &log->storage, err));
    log->folder = fs_join(location, "_delta_log");
    if (!log->folder)
        return err_nomem(err);
    rc = storage_list(ctx, &log->storage, log->folder, &list, &local);
    if (rc == LC_NOTFOUND) {
        rc = LC_OK;
    } else if (rc != LC_OK && err) {
        *err = local;
    }
    for (size_t i = 0; rc == LC_OK && i < list.n; i++)
        if (!note_entry(log, &count, &list.entries[i]))
            rc = err_nomem(err);
    storage_list_release(&list);
    if (rc != LC_OK)
        delta_log_release(log);
    return rc;
}

void delta_log_release(struct delta_log *log)
{
    mem_free(log->folder);
    mem_free(log->commits);
    mem_free(log->checkpoints);
    *log = (struct delta_log){0};
}

int64_t delta_log_latest(const struct delta_log *log)
{
    int64_t commit = log->n_commits ? log->commits[log->n_commits - 1].version : -1;
    int64_t checkpoint = log->n_checkpoints ? log->checkpoints[log->n_checkpoints - 1].version : -1;

    return commit > checkpoint ? commit : checkpoint;
}

static enum lc parse_line(const char *line, size_t len, const char *source, size_t number,
                          delta_action_fn *fn, void *arg, struct err *err)
{
    json_error_t json_err;
    json_t *action = json_loadb(line, len, JSON_ALLOW_NUL, &json_err);
    enum lc rc;

    if (!action) {
        err_set(err, LC_DATA, "cannot read the Delta log: '%s' line %zu is not JSON: %s", source, number,
                json_err.text);
        return err_at(err, json_err.position);
    }
    if (!json_is_object(action))
        rc = err_set(err, LC_DATA, "cannot read the Delta log: '%s' line %zu is not a JSON object", source,
                     number);
    else
        rc = fn(arg, action, err);
    json_decref(action);
    if ((rc == LC_DATA || rc == LC_UNSUPPORTED) && err) { /* where it stands goes in front */
        char text[sizeof err->message];
        memcpy(text, err->message, sizeof text);
        err_wrap(err, "cannot read the Delta log: '%s' line %zu: %.700s", source, number, text);
        err->cause[0] = '\0';
    }
    return rc;
}

enum lc delta_commit_parse(const char *text, size_t len, const char *source, delta_action_fn *fn, void *arg,
                           struct err *err)
{
    const char *end = text + len;
    size_t number = 0;

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline ? newline : end;
        size_t used = (size_t)(stop - text);
        number++;
        while (used > 0 && isspace((unsigned char)text[used - 1]))
            used--;
        if (used > 0)
            TRY(parse_line(text, used, source, number, fn, arg, err));
        text = newline ? newline + 1 : end;
    }
    return LC_OK;
}

/* A commit that is rotten: what is before it can still be read. */
static void hint_commit(int64_t version, struct err *err)
{
    if (version > 0)
        err_hint(err,
                 "bring the file back from a copy, or read the version before it: "
                 "spark.read:option(\"versionAsOf\", %" PRId64 "):format(\"delta\"):load(path)",
                 version - 1);
    else
        err_hint(err, "bring the file back from a copy: every version of the table begins with it");
}

enum lc delta_commit_read(const struct ctx *ctx, const struct storage *storage, const char *folder,
                          int64_t version, delta_action_fn *fn, void *arg, struct err *err)
{
    struct buf text = BUF_INIT(DELTA_COMMIT_BYTES_MAX);
    char name[DELTA_PATH_TEXT];
    char *path;
    enum lc rc;

    delta_commit_name(version, name);
    path = fs_join(folder, name);
    if (!path)
        return err_nomem(err);
    rc = storage_read(ctx, storage, path, &text, err);
    if (rc == LC_OK && text.len == 0)
        rc = err_set(err, LC_DATA, "cannot read the Delta log: '%s' is empty", path);
    if (rc == LC_OK)
        rc = delta_commit_parse(buf_str(&text), text.len, path, fn, arg, err);
    if (rc == LC_DATA && err && !err->hint[0])
        hint_commit(version, err);
    buf_release(&text);
    mem_free(path);
    return rc;
}

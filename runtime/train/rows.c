#include "runtime/train/rows.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAGIC      "lacus-rows-1\n"
#define TOKENS_BIT ((size_t)1 << 31) /* of the first length: a row of token ids */

struct rows {
    FILE *file; /* owned */
    char *path; /* owned */
    size_t n;
    struct buf text; /* of the row that was read last */
};

static enum lc open_file(const char *path, const char *mode, struct rows **out, struct err *err)
{
    struct rows *r = mem_zalloc(sizeof *r);

    if (!r || !(r->path = mem_strdup(path)))
        return mem_free(r), err_nomem(err);
    buf_init(&r->text, 2 * ROWS_TEXT_MAX + 2);
    r->file = fopen(path, mode);
    if (!r->file) {
        enum lc rc = err_errno(err, errno, "cannot open '%s'", path);
        return rows_close(r), rc;
    }
    *out = r;
    return LC_OK;
}

static enum lc put(struct rows *r, const void *bytes, size_t n, struct err *err)
{
    return fwrite(bytes, 1, n, r->file) == n ? LC_OK : err_errno(err, errno, "cannot write '%s'", r->path);
}

static enum lc put_length(struct rows *r, size_t n, struct err *err)
{
    unsigned char le[4] = {(unsigned char)n, (unsigned char)(n >> 8), (unsigned char)(n >> 16),
                           (unsigned char)(n >> 24)};

    return put(r, le, sizeof le, err);
}

enum lc rows_create(const char *path, struct rows **out, struct err *err)
{
    enum lc rc;

    TRY(open_file(path, "wbe", out, err));
    rc = put(*out, MAGIC, sizeof MAGIC - 1, err);
    if (rc != LC_OK)
        rows_close(*out);
    return rc;
}

enum lc rows_add(struct rows *r, const char *prompt, size_t prompt_len, const char *completion,
                 size_t completion_len, struct err *err)
{
    if (prompt_len > ROWS_TEXT_MAX || completion_len > ROWS_TEXT_MAX)
        return err_set(err, LC_LIMIT, "row %zu of the dataset is longer than %zu MB", r->n + 1,
                       ROWS_TEXT_MAX >> 20);
    TRY(put_length(r, prompt_len, err));
    TRY(put_length(r, completion_len, err));
    TRY(put(r, prompt, prompt_len, err));
    TRY(put(r, completion, completion_len, err));
    r->n++;
    return LC_OK;
}

/* As the file has them: little-endian, whatever the machine. */
static enum lc put_ids(struct rows *r, const int32_t *ids, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        TRY(put_length(r, (size_t)(uint32_t)ids[i], err));
    return LC_OK;
}

enum lc rows_add_tokens(struct rows *r, const int32_t *ids, const int32_t *labels, size_t n, struct err *err)
{
    size_t bytes = n * sizeof *ids;

    if (n > ROWS_TEXT_MAX / sizeof *ids)
        return err_set(err, LC_LIMIT, "row %zu of the dataset has more than %zu tokens", r->n + 1,
                       ROWS_TEXT_MAX / sizeof *ids);
    TRY(put_length(r, bytes | TOKENS_BIT, err));
    TRY(put_length(r, bytes, err));
    TRY(put_ids(r, ids, n, err));
    TRY(put_ids(r, labels, n, err));
    r->n++;
    return LC_OK;
}

enum lc rows_finish(struct rows *r, struct err *err)
{
    if (fflush(r->file) != 0 || fsync(fileno(r->file)) != 0)
        return err_errno(err, errno, "cannot write '%s'", r->path);
    return LC_OK;
}

size_t rows_count(const struct rows *r)
{
    return r->n;
}

enum lc rows_open(const char *path, struct rows **out, struct err *err)
{
    char magic[sizeof MAGIC];

    TRY(open_file(path, "rbe", out, err));
    if (fread(magic, 1, sizeof MAGIC - 1, (*out)->file) == sizeof MAGIC - 1 &&
        memcmp(magic, MAGIC, sizeof MAGIC - 1) == 0)
        return LC_OK;
    rows_close(*out);
    return err_set(err, LC_DATA, "'%s' is not a file of dataset rows", path);
}

static size_t get_length(const unsigned char le[4])
{
    return (size_t)le[0] | (size_t)le[1] << 8 | (size_t)le[2] << 16 | (size_t)le[3] << 24;
}

static enum lc broken(const struct rows *r, struct err *err)
{
    return err_set(err, LC_DATA, "'%s' is broken at row %zu", r->path, r->n + 1);
}

bool rows_next(struct rows *r, struct row *out, enum lc *rc, struct err *err)
{
    unsigned char head[8];
    size_t got = fread(head, 1, sizeof head, r->file);

    if (got == 0 && feof(r->file))
        return false;
    out->prompt_len = get_length(head) & (TOKENS_BIT - 1);
    out->tokens = (get_length(head) & TOKENS_BIT) != 0;
    out->completion_len = get_length(head + 4);
    if (got != sizeof head || out->prompt_len > ROWS_TEXT_MAX || out->completion_len > ROWS_TEXT_MAX ||
        (out->tokens && (out->prompt_len != out->completion_len || out->prompt_len % 4 != 0)))
        return *rc = broken(r, err), false;
    buf_clear(&r->text);
    if (!buf_reserve(&r->text, out->prompt_len + out->completion_len + 1))
        return *rc = err_nomem(err), false;
    if (fread(r->text.data, 1, out->prompt_len + out->completion_len, r->file) !=
        out->prompt_len + out->completion_len)
        return *rc = broken(r, err), false;
    out->prompt = r->text.data;
    out->completion = r->text.data + out->prompt_len;
    r->n++;
    return true;
}

void rows_close(struct rows *r)
{
    if (!r)
        return;
    if (r->file)
        (void)fclose(r->file);
    buf_release(&r->text);
    mem_free(r->path);
    mem_free(r);
}

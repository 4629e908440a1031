#include "runtime/train/manifest.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/train/wire.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << 20 };

bool manifest_is_model_file(const char *name)
{
    static const char *const ends[] = {".json", ".safetensors", ".model", ".txt", ".jinja"};
    size_t n = strlen(name);

    for (size_t i = 0; name[0] != '.' && i < sizeof ends / sizeof *ends; i++) {
        size_t e = strlen(ends[i]);
        if (n > e && strcmp(name + n - e, ends[i]) == 0)
            return true;
    }
    return false;
}

bool manifest_is_tokenizer_file(const char *name)
{
    return strncmp(name, "tokenizer", 9) == 0 || strcmp(name, "special_tokens_map.json") == 0 ||
           strcmp(name, "added_tokens.json") == 0 || strcmp(name, "chat_template.jinja") == 0;
}

static enum lc hash_stream(const struct ctx *ctx, int fd, const char *path, char hex[DIGEST_HEX],
                           int64_t *size, struct err *err)
{
    unsigned char digest[crypto_hash_sha256_BYTES], *chunk = mem_alloc(CHUNK);
    crypto_hash_sha256_state state;
    enum lc rc = chunk ? LC_OK : err_nomem(err);
    ssize_t n = 1;

    crypto_hash_sha256_init(&state);
    *size = 0;
    while (rc == LC_OK && n > 0) {
        n = read(fd, chunk, CHUNK);
        if (n > 0) {
            crypto_hash_sha256_update(&state, chunk, (unsigned long long)n);
            *size += n;
        } else if (n < 0) {
            rc = err_errno(err, errno, "cannot read '%s'", path);
        }
        if (rc == LC_OK)
            rc = ctx_check(ctx, err);
    }
    crypto_hash_sha256_final(&state, digest);
    sodium_bin2hex(hex, DIGEST_HEX, digest, sizeof digest);
    mem_free(chunk);
    return rc;
}

enum lc manifest_hash(const struct ctx *ctx, const char *path, char hex[DIGEST_HEX], int64_t *size,
                      struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    enum lc rc;

    if (fd < 0)
        return err_errno(err, errno, "cannot open '%s'", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        rc = err_set(err, LC_DATA, "cannot use '%s': not a regular file", path);
    else
        rc = hash_stream(ctx, fd, path, hex, size, err);
    close(fd);
    return rc;
}

enum lc manifest_verify(const struct ctx *ctx, const char *path, const char *sha256, int64_t size,
                        struct err *err)
{
    char hex[DIGEST_HEX];
    int64_t found;

    TRY(manifest_hash(ctx, path, hex, &found, err));
    if (found != size || strcmp(hex, sha256) != 0)
        return err_set(err, LC_DATA, "'%s' is not the file with digest %.12s…: it has changed", path, sha256);
    return LC_OK;
}

static enum lc add_file(const struct ctx *ctx, const char *folder, const char *name, json_t *files,
                        struct err *err)
{
    char *path = fs_join(folder, name), hex[DIGEST_HEX];
    int64_t size;
    enum lc rc = path ? LC_OK : err_nomem(err);

    if (rc == LC_OK && !fs_is_dir(path)) {
        rc = manifest_hash(ctx, path, hex, &size, err);
        if (rc == LC_OK && json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "path", name, "size",
                                                                  (json_int_t)size, "sha256", hex)) != 0)
            rc = err_nomem(err);
    }
    mem_free(path);
    return rc;
}

enum lc manifest_make(const struct ctx *ctx, const char *folder, manifest_filter *filter, json_t **out,
                      struct err *err)
{
    char **names = NULL;
    size_t n = 0;
    json_t *files = json_array();
    enum lc rc = files ? fs_list(folder, &names, &n, err) : err_nomem(err);

    for (size_t i = 0; rc == LC_OK && i < n; i++)
        if (wire_is_name(names[i]) && (!filter || filter(names[i])))
            rc = add_file(ctx, folder, names[i], files, err);
    if (rc == LC_OK && json_array_size(files) > MANIFEST_FILES)
        rc = err_set(err, LC_LIMIT, "folder '%s' has more than %d files", folder, MANIFEST_FILES);
    fs_free_list(names, n);
    if (rc != LC_OK)
        return json_decref(files), rc;
    *out = files;
    return LC_OK;
}

void manifest_digest(const json_t *files, char hex[DIGEST_HEX])
{
    unsigned char sum[crypto_hash_sha256_BYTES] = {0}, one[crypto_hash_sha256_BYTES];
    size_t i;
    json_t *row;

    json_array_foreach (files, i, row) { /* exclusive or of the rows' digests: no order */
        char *text = json_dumps(row, JSON_COMPACT | JSON_SORT_KEYS);
        crypto_hash_sha256(one, (const unsigned char *)(text ? text : ""), text ? strlen(text) : 0);
        for (size_t k = 0; k < sizeof sum; k++)
            sum[k] ^= one[k];
        free(text);
    }
    sodium_bin2hex(hex, DIGEST_HEX, sum, sizeof sum);
}

char *cache_path(const char *cache, const char *sha256)
{
    return mem_printf("%s/%.2s/%s", cache, sha256, sha256);
}

static enum lc copy_stream(const struct ctx *ctx, int in, int out, const char *to, struct err *err)
{
    char *chunk = mem_alloc(CHUNK);
    enum lc rc = chunk ? LC_OK : err_nomem(err);
    ssize_t n;

    while (rc == LC_OK && (n = read(in, chunk, CHUNK)) != 0) {
        for (ssize_t done = 0, w; rc == LC_OK && done < n; done += w)
            if ((w = write(out, chunk + done, (size_t)(n - done))) < 0)
                rc = err_errno(err, errno, "cannot write '%s'", to);
        if (n < 0)
            rc = err_errno(err, errno, "cannot read a file for '%s'", to);
        if (rc == LC_OK)
            rc = ctx_check(ctx, err);
    }
    if (rc == LC_OK && fsync(out) != 0)
        rc = err_errno(err, errno, "cannot write '%s'", to);
    mem_free(chunk);
    return rc;
}

static enum lc copy_file(const struct ctx *ctx, const char *from, const char *to, struct err *err)
{
    char *beside = mem_printf("%s.part", to);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = beside && in >= 0 ? open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
    enum lc rc = beside ? LC_OK : err_nomem(err);

    if (rc == LC_OK && (in < 0 || out < 0))
        rc = err_errno(err, errno, "cannot open '%s'", in < 0 ? from : beside);
    if (rc == LC_OK)
        rc = copy_stream(ctx, in, out, to, err);
    if (rc == LC_OK && rename(beside, to) != 0)
        rc = err_errno(err, errno, "cannot rename '%s'", beside);
    if (rc != LC_OK && out >= 0)
        (void)unlink(beside);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    mem_free(beside);
    return rc;
}

enum lc folder_copy(const struct ctx *ctx, const char *from, const char *to, manifest_filter *filter,
                    struct err *err)
{
    char **names = NULL;
    size_t n = 0;
    enum lc rc = fs_mkdirs(to, err);

    if (rc == LC_OK)
        rc = fs_list(from, &names, &n, err);
    for (size_t i = 0; rc == LC_OK && i < n; i++) {
        char *a = fs_join(from, names[i]), *b = fs_join(to, names[i]);
        if (!a || !b)
            rc = err_nomem(err);
        else if (!fs_is_dir(a) && (!filter || filter(names[i])))
            rc = copy_file(ctx, a, b, err);
        mem_free(a);
        mem_free(b);
    }
    fs_free_list(names, n);
    return rc;
}

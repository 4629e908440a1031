#include "runtime/hub/transfer.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/sha256.h"
#include "runtime/hub/sha1.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    SLICE_MS = 10,
    PAUSE_BYTES = 4 << 20,
    IDLE_MS = 30000,
    ATTEMPTS = 5,
    CALLS = 3,
    FIRST_WAIT_MS = 300,
    HOPS = 5,
    READ_BYTES = 1 << 20
};
#define FILE_MOST ((int64_t)1 << 42)

/* ---- one call -------------------------------------------------------------------------------------------- */

void hub_escape(const char *text, struct buf *out)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (isalnum(*p) || strchr("-._~", *p))
            buf_putc(out, (char)*p);
        else
            buf_printf(out, "%%%02X", *p);
    }
}

static void copy_field(const char *fields, const char *name, char *out, size_t size)
{
    size_t len;
    const char *v = hub_field(fields, name, &len);

    (void)snprintf(out, size, "%.*s", v ? (int)len : 0, v ? v : "");
}

static void note_refusal(struct hub_link *k, const struct web_info *info)
{
    k->status = info->status;
    copy_field(info->fields, "X-Error-Code", k->code, sizeof k->code);
    copy_field(info->fields, "X-Error-Message", k->says, sizeof k->says);
}

/* Looks whether to stop; tells how far it is, often enough for people and seldom enough for a fast network. */
static enum lc tick(struct hub_link *k, const char *file, int64_t had, int64_t size, struct err *err)
{
    int64_t now = clock_mono_ns();

    TRY(ctx_check(k->ctx, err));
    if (!k->progress || now - k->told_ns < (int64_t)SLICE_MS * 1000000)
        return LC_OK;
    k->told_ns = now;
    return k->progress(k->arg, file, had, size) ? LC_OK : err_set(err, LC_CANCELLED, "interrupted");
}

struct sink {
    /* Takes the front of body; called when the answer's head is complete. */
    enum lc (*take)(void *arg, const struct web_info *info, struct buf *body, struct err *err);
    void *arg;
    const char *file;
    int64_t *had, size;
};

static enum lc drive(struct hub_link *k, struct web_call *call, struct sink *s, struct web_info *info,
                     struct err *err)
{
    enum lc rc, taken = LC_OK;
    int64_t none = 0;

    do {
        TRY(tick(k, s->file, s->had ? *s->had : none, s->size, err));
        rc = k->web->step(call, SLICE_MS, err);
        k->web->info(call, info);
        if (info->headers && k->web->body(call)->len) /* what came before a connection was cut counts */
            taken = s->take(s->arg, info, k->web->body(call), rc == LC_OK ? err : NULL);
    } while (rc == LC_OK && taken == LC_OK && !info->done);
    return rc != LC_OK ? rc : taken;
}

static enum lc call(struct hub_link *k, struct web_request *q, struct sink *s, struct buf *fields,
                    int *status, struct err *err)
{
    struct web_call *c = NULL;
    struct web_info info = {0};
    enum lc rc;

    q->verify = true;
    q->bearer = k->token;
    q->connect_ms = k->connect_ms;
    q->timeout_ms = IDLE_MS;
    k->status = 0;
    TRY(k->web->start(k->client, q, &c, err));
    rc = drive(k, c, s, &info, err);
    *status = info.status;
    if (info.headers && info.status >= 400)
        note_refusal(k, &info);
    if (rc == LC_OK && fields) {
        buf_clear(fields);
        buf_puts(fields, info.fields);
        rc = buf_check(fields, err);
    }
    k->web->finish(c);
    return rc;
}

static bool worth_another(enum lc rc, int status)
{
    return rc == LC_NET || rc == LC_TIMEOUT ||
           (rc == LC_OK && (status == 408 || status == 429 || (status >= 500 && status <= 504)));
}

static enum lc pause_for(struct hub_link *k, const char *file, int64_t had, int64_t size, int ms,
                         struct err *err)
{
    int64_t end = clock_mono_ns() + (int64_t)ms * 1000000;

    while (clock_mono_ns() < end) {
        TRY(tick(k, file, had, size, err));
        usleep(SLICE_MS * 1000);
    }
    return LC_OK;
}

/* A call without a body that counts: a server that is busy for a moment is asked again; so is, with `net`, one that does not
 * answer. */
static enum lc call_again(struct hub_link *k, struct web_request *q, struct sink *s, struct buf *fields,
                          int *status, bool net, struct err *err)
{
    for (int left = CALLS, wait = FIRST_WAIT_MS;; wait *= 2) {
        enum lc rc = call(k, q, s, fields, status, err);
        if (--left == 0 || !worth_another(rc, *status) || (rc != LC_OK && !net))
            return rc;
        TRY(pause_for(k, "", 0, -1, wait, err));
    }
}

static enum lc refused(const struct hub_link *k, const char *what, struct err *err)
{
    enum lc code = k->status == 404   ? LC_NOTFOUND
                   : k->status == 401 ? LC_AUTH
                   : k->status == 403 ? LC_PERM
                                      : LC_NET;

    return err_set(err, code, "the Hub answered %d for '%s'%s%s", k->status, what, *k->says ? ": " : "",
                   k->says);
}

static enum lc take_text(void *arg, const struct web_info *info, struct buf *body, struct err *err)
{
    struct buf *out = arg;

    if (info->status == 200)
        buf_add(out, body->data, body->len);
    buf_clear(body);
    return buf_check(out, err);
}

enum lc hub_get(struct hub_link *k, const char *path, struct buf *body, struct err *err)
{
    char *url = mem_printf("%s%s", k->endpoint, path);
    struct web_request q = {.method = "GET", .url = url, .redirects = HOPS, .max_bytes = body->max};
    struct sink s = {.take = take_text, .arg = body, .file = "", .size = -1};
    int status = 0;
    enum lc rc = url ? call_again(k, &q, &s, NULL, &status, false, err) : err_nomem(err);

    mem_free(url);
    if (rc == LC_OK && status != 200) {
        k->status = status;
        rc = refused(k, k->id, err);
    }
    return rc;
}

/* ---- the head of a file ---------------------------------------------------------------------------------- */

static enum lc take_none(void *arg, const struct web_info *info, struct buf *body, struct err *err)
{
    (void)arg, (void)info, (void)err;
    buf_clear(body);
    return LC_OK;
}

static const char *const identity[] = {"Accept-Encoding: identity"};

/* https://host of https://host/path */
static size_t origin_len(const char *url)
{
    const char *host = strstr(url, "://");

    host = host ? host + 3 : url;
    return (size_t)(host - url) + strcspn(host, "/?#");
}

/* A Location on the same server ("/api/resolve-cache/…") is gone to; one elsewhere is where the content is, and its head has
 * told all. */
static char *next_hop(const char *url, int status, const char *fields)
{
    size_t len;
    const char *to = status >= 300 && status < 400 ? hub_field(fields, "Location", &len) : NULL;

    if (!to || len < 2 || to[0] != '/' || to[1] == '/')
        return NULL;
    return mem_printf("%.*s%.*s", (int)origin_len(url), url, (int)len, to);
}

static enum lc ask_head(struct hub_link *k, char **url, struct buf *fields, int *status, struct err *err)
{
    for (int hop = 0; hop <= HOPS; hop++) {
        struct web_request q = {
            .method = "HEAD", .url = *url, .headers = identity, .n_headers = 1, .max_bytes = 1 << 20};
        struct sink s = {.take = take_none, .file = "", .size = -1};
        TRY(call_again(k, &q, &s, fields, status, true, err));
        char *next = next_hop(*url, *status, buf_str(fields));
        if (!next)
            return LC_OK;
        mem_free(*url);
        *url = next;
    }
    return err_set(err, LC_NET, "the Hub answers with one redirection after the other");
}

static char *file_url(const struct hub_link *k, const char *sha, const char *name)
{
    struct buf url = BUF_INIT(1 << 16);

    buf_printf(&url, "%s/%s/resolve/%s/", k->endpoint, k->id, sha);
    hub_escape(name, &url);
    char *out = buf_take(&url);
    buf_release(&url);
    return out;
}

static enum lc file_head(struct hub_link *k, const char *sha, const char *name, struct hub_head *out,
                         struct err *err)
{
    char *url = file_url(k, sha, name);
    struct buf fields = BUF_INIT(1 << 20);
    int status = 0;
    enum lc rc = url ? ask_head(k, &url, &fields, &status, err) : err_nomem(err);

    if (rc == LC_OK && status >= 400)
        rc = refused(k, name, err);
    if (rc == LC_OK && hub_head_parse(buf_str(&fields), status >= 300, out, err) != LC_OK)
        rc = err_wrap(err, "cannot download '%s' of '%s'", name, k->id);
    if (rc == LC_OK && strcmp(out->commit, sha) != 0)
        rc =
            err_set(err, LC_DATA, "the Hub answers for another commit of '%s' than the one asked for", k->id);
    buf_release(&fields);
    mem_free(url);
    return rc;
}

/* ---- checksums ------------------------------------------------------------------------------------------- */

static void hex(const unsigned char *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static enum lc read_through(const struct ctx *ctx, int fd, void (*add)(void *arg, const void *data, size_t n),
                            void *arg, const char *path, struct err *err)
{
    char *piece = mem_alloc(READ_BYTES);
    enum lc rc = piece ? LC_OK : err_nomem(err);
    ssize_t n = 1;

    while (rc == LC_OK && n != 0) {
        n = read(fd, piece, READ_BYTES);
        if (n > 0)
            add(arg, piece, (size_t)n);
        else if (n < 0 && errno != EINTR)
            rc = err_errno(err, errno, "cannot read '%s'", path);
        if (rc == LC_OK)
            rc = ctx_check(ctx, err);
    }
    mem_free(piece);
    return rc;
}

static void add256(void *arg, const void *data, size_t n)
{
    sha256_add(arg, data, n);
}

static void add1(void *arg, const void *data, size_t n)
{
    sha1_add(arg, data, n);
}

static enum lc digest(const struct ctx *ctx, int fd, const char *path, bool git, char out[65],
                      struct err *err)
{
    unsigned char bytes[SHA256_BYTES];
    struct stat st;
    struct sha256 a;
    struct sha1 b;
    char head[40];

    if (!git) {
        sha256_begin(&a);
        TRY(read_through(ctx, fd, add256, &a, path, err));
        sha256_end(&a, bytes);
        return hex(bytes, SHA256_BYTES, out), LC_OK;
    }
    if (fstat(fd, &st) != 0)
        return err_errno(err, errno, "cannot read '%s'", path);
    sha1_begin(&b);
    sha1_add(&b, head,
             (size_t)snprintf(head, sizeof head, "blob %lld", (long long)st.st_size) + 1); /* with its NUL */
    TRY(read_through(ctx, fd, add1, &b, path, err));
    sha1_end(&b, bytes);
    return hex(bytes, SHA1_BYTES, out), LC_OK;
}

enum lc hub_verify(const struct ctx *ctx, const char *path, const char *etag, bool *right, struct err *err)
{
    size_t n = strlen(etag);
    char found[65] = "";
    int fd;
    enum lc rc;

    *right = true;
    if ((n != 40 && n != 64) || strspn(etag, "0123456789abcdef") != n)
        return LC_OK;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "cannot read '%s'", path);
    rc = digest(ctx, fd, path, n == 40, found, err);
    close(fd);
    *right = strcmp(found, etag) == 0;
    return rc;
}

/* ---- the content ----------------------------------------------------------------------------------------- */

struct fetching {
    struct hub_link *link;
    const char *name, *path; /* of the incomplete file */
    int fd;
    int64_t had, size; /* size -1: not told */
    bool begun, refused, over;
};

static enum lc keep(struct fetching *f, const char *data, size_t len, struct err *err)
{
    while (len) {
        ssize_t n = write(f->fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "cannot write '%s'", f->path);
        data += n;
        len -= (size_t)n;
        f->had += n;
    }
    return LC_OK;
}

/* The first bytes are here: does the answer go on where the file ends, or does it begin again? */
static enum lc begin(struct fetching *f, const struct web_info *info, struct err *err)
{
    f->begun = true;
    if (info->status == 206 && hub_range_begin(info->fields) == f->had)
        return LC_OK;
    f->refused = info->status != 200 && info->status != 206;
    if (f->refused)
        return LC_OK;
    if (info->status == 206)
        return err_set(err, LC_DATA, "the server sends another part of '%s' than the one asked for", f->name);
    f->had = 0;
    if (ftruncate(f->fd, 0) != 0 || lseek(f->fd, 0, SEEK_SET) < 0)
        return err_errno(err, errno, "cannot write '%s'", f->path);
    return LC_OK;
}

static enum lc take_piece(void *arg, const struct web_info *info, struct buf *body, struct err *err)
{
    struct fetching *f = arg;
    enum lc rc = f->begun ? LC_OK : begin(f, info, err);

    if (rc == LC_OK && !f->refused)
        rc = keep(f, body->data, body->len, err);
    buf_clear(body);
    f->over = f->size >= 0 && f->had > f->size;
    if (rc == LC_OK && f->over)
        rc = err_set(err, LC_DATA, "more comes for '%s' than it has bytes", f->name);
    return rc;
}

static enum lc fetch_once(struct fetching *f, const char *url, int *status, struct err *err)
{
    char range[60];
    const char *headers[] = {identity[0], range};
    struct web_request q = {.method = "GET",
                            .url = url,
                            .headers = headers,
                            .redirects = HOPS,
                            .pause_bytes = PAUSE_BYTES,
                            .max_bytes = (size_t)FILE_MOST};
    struct sink s = {.take = take_piece, .arg = f, .file = f->name, .had = &f->had, .size = f->size};

    (void)snprintf(range, sizeof range, "Range: bytes=%lld-", (long long)f->had);
    q.n_headers = f->had > 0 ? 2 : 1;
    f->begun = f->refused = false;
    return call(f->link, &q, &s, NULL, status, err);
}

static bool complete(const struct fetching *f, enum lc rc, int status)
{
    return rc == LC_OK && (status == 200 || status == 206) && (f->size < 0 || f->had == f->size);
}

/* Goes on until the file has all its bytes; gives up when several attempts in a row bring nothing. */
static enum lc fetch_all(struct fetching *f, const char *url, struct err *err)
{
    for (int left = ATTEMPTS, wait = FIRST_WAIT_MS;;) {
        int64_t before = f->had;
        int status = 0;
        if (f->size >= 0 && f->had == f->size && f->size > 0)
            return LC_OK;
        enum lc rc = fetch_once(f, url, &status, err);
        if (complete(f, rc, status))
            return LC_OK;
        bool cut = rc == LC_OK && (status == 200 || status == 206);
        if (rc == LC_OK && status == 416 && f->had > 0) { /* what is there is no part of it */
            f->had = 0;
            if (ftruncate(f->fd, 0) != 0 || lseek(f->fd, 0, SEEK_SET) < 0)
                return err_errno(err, errno, "cannot write '%s'", f->path);
        } else if (!cut && !worth_another(rc, status)) {
            return rc != LC_OK ? rc : refused(f->link, f->name, err);
        }
        if (f->had > before) {
            left = ATTEMPTS;
            wait = FIRST_WAIT_MS;
        }
        if (--left == 0 && rc == LC_OK)
            return cut ? err_set(err, LC_NET, "the connection ends before '%s' is complete", f->name)
                       : refused(f->link, f->name, err);
        if (left == 0)
            return rc;
        TRY(pause_for(f->link, f->name, f->had, f->size, wait, err));
        wait *= 2;
    }
}

static enum lc check_room(const struct fetching *f, struct err *err)
{
    struct statvfs v;

    if (f->size < 0 || fstatvfs(f->fd, &v) != 0 ||
        (uint64_t)(f->size - f->had) <= (uint64_t)v.f_bavail * v.f_frsize)
        return LC_OK;
    (void)err_set(err, LC_NOSPACE,
                  "no room for '%s': %.1f MB are missing yet, %.1f MB are free where '%s' is", f->name,
                  (double)(f->size - f->had) / 1e6, (double)v.f_bavail * (double)v.f_frsize / 1e6, f->path);
    return err_hint(err, "HF_HOME names another folder; 'hf cache rm' frees this one");
}

static enum lc tell(const struct fetching *f, struct err *err)
{
    f->link->told_ns = 0;
    return tick(f->link, f->name, f->had, f->size, err);
}

/* The incomplete file to the end, as far as its bytes go. */
static enum lc fill(struct hub_link *k, const char *name, const struct hub_head *h, const char *url,
                    const char *path, struct err *err)
{
    struct fetching f = {.link = k, .name = name, .path = path, .size = h->size};
    enum lc rc;
    off_t end;

    f.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (f.fd < 0)
        return err_errno(err, errno, "cannot write '%s'", path);
    end = lseek(f.fd, 0, SEEK_END);
    f.had = end > 0 ? end : 0;
    if (h->size >= 0 && f.had > h->size) {
        f.had = 0;
        if (ftruncate(f.fd, 0) != 0 || lseek(f.fd, 0, SEEK_SET) < 0)
            f.had = end;
    }
    rc = check_room(&f, err);
    if (rc == LC_OK)
        rc = tell(&f, err);
    if (rc == LC_OK)
        rc = fetch_all(&f, url, err);
    if (rc == LC_OK)
        rc = tell(&f, err);
    if (rc == LC_OK && fdatasync(f.fd) != 0)
        rc = err_errno(err, errno, "cannot write '%s'", path);
    close(f.fd);
    if (f.over)
        unlink(path);
    return rc;
}

static enum lc fetch_right(struct hub_link *k, const char *name, const struct hub_head *h, const char *url,
                           const char *path, struct err *err)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        bool right;
        TRY(fill(k, name, h, url, path, err));
        TRY(hub_verify(k->ctx, path, h->etag, &right, err));
        if (right)
            return LC_OK;
        if (unlink(path) != 0)
            return err_errno(err, errno, "cannot remove '%s'", path);
    }
    (void)err_set(err, LC_DATA,
                  "'%s' of '%s' came twice with a content that is not the one of its checksum '%s'", name,
                  k->id, h->etag);
    return err_hint(
        err,
        "something between here and the Hub changes it: look at HF_ENDPOINT and the proxy, then try again");
}

static enum lc get_blob(struct hub_link *k, const struct hub_cache *c, const char *sha, const char *name,
                        const struct hub_head *h, const char *blob, struct err *err)
{
    char *part = mem_printf("%s.incomplete", blob), *url = file_url(k, sha, name);
    int lock = -1;
    enum lc rc = part && url ? hub_cache_lock(k->ctx, c, h->etag, &lock, err) : err_nomem(err);

    if (rc == LC_OK && !fs_exists(blob)) { /* else another process has just brought it */
        rc = fetch_right(k, name, h, url, part, err);
        if (rc == LC_OK && rename(part, blob) != 0)
            rc = err_errno(err, errno, "cannot write '%s'", blob);
    }
    hub_cache_unlock(lock);
    mem_free(part);
    mem_free(url);
    return rc;
}

enum lc hub_file_get(struct hub_link *k, const struct hub_cache *c, const char *sha, const char *name,
                     struct err *err)
{
    struct hub_head h;
    char *blob;
    enum lc rc = LC_OK;

    TRY(file_head(k, sha, name, &h, err));
    blob = hub_cache_blob(c, h.etag);
    if (!blob)
        return err_nomem(err);
    if (!fs_exists(blob))
        rc = get_blob(k, c, sha, name, &h, blob, err);
    if (rc == LC_OK)
        rc = hub_cache_link(c, sha, name, h.etag, err);
    mem_free(blob);
    return rc;
}

#include "runtime/tracking/metric_log.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/tracking/names.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER "lacus-metrics 1 "
#define RESYNC "\n~\n"
enum {
    HEADER_LEN = sizeof HEADER - 1 + METRIC_LOG_ID, /* with the newline */
    LINE_MAX_BYTES = 8 + 1 + 21 + 21 + 17 + NAME_KEY_MAX + 1,
    CHUNK = 1 << 20
};

struct metric_log {
    int fd;
    char *path;       /* owned */
    bool torn;        /* the last write stopped in the middle */
    struct buf lines; /* of a batch; kept for the next one */
};

static uint32_t sum_of(const char *s, size_t len)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)s[i]) * 16777619u;
    return h;
}

/* ---- writing ----------------------------------------------------------------------------------------- */

static char *put_hex(char *at, uint64_t v, int digits)
{
    for (int i = digits - 1; i >= 0; i--)
        *at++ = "0123456789abcdef"[(v >> (4 * i)) & 15];
    return at;
}

static char *put_int(char *at, int64_t v)
{
    char digits[20];
    int n = 0;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

    if (v < 0)
        *at++ = '-';
    do
        digits[n++] = (char)('0' + u % 10);
    while ((u /= 10) != 0);
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

static size_t format(char line[LINE_MAX_BYTES], const struct tracker_metric *m, int64_t now)
{
    char *body = line + 9, *at = body;
    size_t key_len = strlen(m->key);
    uint64_t bits;

    memcpy(&bits, &m->value, sizeof bits);
    at = put_int(at, m->timestamp ? m->timestamp : now);
    *at++ = ' ';
    at = put_int(at, m->step);
    *at++ = ' ';
    at = put_hex(at, bits, 16);
    *at++ = ' ';
    memcpy(at, m->key, key_len);
    at += key_len;
    put_hex(line, sum_of(body, (size_t)(at - body)), 8);
    line[8] = ' ';
    *at++ = '\n';
    return (size_t)(at - line);
}

static enum lc write_failed(struct metric_log *log, ssize_t n, struct err *err)
{
    int errnum = n < 0 ? errno : ENOSPC; /* a short write to a file means that the disk is full */

    log->torn = log->torn || n > 0;
    if (err_errno(err, errnum, "cannot log to '%s'", log->path) == LC_NOSPACE)
        return err_hint(err, "free some space; what was logged before is safe");
    return err ? err->code : LC_IO;
}

static enum lc write_lines(struct metric_log *log, const char *data, size_t len, struct err *err)
{
    ssize_t n;

    if (log->torn) {
        do
            n = write(log->fd, RESYNC, sizeof RESYNC - 1);
        while (n < 0 && errno == EINTR);
        if (n != sizeof RESYNC - 1)
            return write_failed(log, n, err);
        log->torn = false;
    }
    do
        n = write(log->fd, data, len);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)len ? LC_OK : write_failed(log, n, err);
}

enum lc metric_log_append(struct metric_log *log, const struct tracker_metric *metrics, size_t n,
                          struct err *err)
{
    char line[LINE_MAX_BYTES];
    int64_t now = clock_wall_ms();

    if (n == 1)
        return write_lines(log, line, format(line, metrics, now), err);
    buf_clear(&log->lines);
    for (size_t i = 0; i < n; i++) {
        buf_add(&log->lines, line, format(line, &metrics[i], now));
        if (log->lines.len < CHUNK && i + 1 < n)
            continue;
        TRY(buf_check(&log->lines, err));
        TRY(write_lines(log, log->lines.data, log->lines.len, err));
        buf_clear(&log->lines);
    }
    return LC_OK;
}

/* Under the shared lock: did somebody remove the file between our open and our lock? */
static bool still_there(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

static bool ends_in_the_middle(int fd)
{
    struct stat st;
    char last = '\n';

    return fstat(fd, &st) == 0 && st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n';
}

static enum lc make_file(const char *path, struct err *err)
{
    char text[HEADER_LEN + 1];
    enum lc rc;

    memcpy(text, HEADER, sizeof HEADER - 1);
    hex_make(text + sizeof HEADER - 1, METRIC_LOG_ID - 1);
    text[HEADER_LEN - 1] = '\n';
    rc = fs_put_if_absent(path, text, HEADER_LEN, err);
    return rc == LC_EXISTS ? LC_OK : rc;
}

static int lock(int fd, int how)
{
    int rc;

    do
        rc = flock(fd, how);
    while (rc != 0 && errno == EINTR);
    return rc;
}

static enum lc open_locked(const char *path, int *out, struct err *err)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) {
            TRY(make_file(path, err));
            continue;
        }
        if (fd < 0 || lock(fd, LOCK_SH) != 0) {
            enum lc rc = err_errno(err, errno, "cannot open '%s'", path);
            if (fd >= 0)
                close(fd);
            return rc;
        }
        if (still_there(fd)) {
            *out = fd;
            return LC_OK;
        }
        close(fd);
    }
}

enum lc metric_log_open(const char *path, struct metric_log **out, struct err *err)
{
    struct metric_log *log = mem_zalloc(sizeof *log);
    enum lc rc;

    *out = NULL;
    if (!log)
        return err_nomem(err);
    log->fd = -1;
    buf_init(&log->lines, 2 * CHUNK);
    log->path = mem_strdup(path);
    rc = log->path ? open_locked(path, &log->fd, err) : err_nomem(err);
    if (rc != LC_OK) {
        metric_log_close(log);
        return rc;
    }
    log->torn = ends_in_the_middle(log->fd);
    *out = log;
    return LC_OK;
}

void metric_log_close(struct metric_log *log)
{
    if (!log)
        return;
    if (log->fd >= 0)
        close(log->fd);
    buf_release(&log->lines);
    mem_free(log->path);
    mem_free(log);
}

/* ---- reading ----------------------------------------------------------------------------------------- */

enum lc metric_reader_open(const char *path, struct metric_reader *r, struct err *err)
{
    char text[HEADER_LEN];
    ssize_t n;

    *r = (struct metric_reader){.fd = open(path, O_RDWR | O_CLOEXEC)};
    if (r->fd < 0 && (errno == EACCES || errno == EROFS))
        r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0)
        return err_errno(err, errno, "cannot open '%s'", path);
    r->alone = lock(r->fd, LOCK_EX | LOCK_NB) == 0;
    n = pread(r->fd, text, sizeof text, 0);
    if (n == (ssize_t)sizeof text && memcmp(text, HEADER, sizeof HEADER - 1) == 0 &&
        text[HEADER_LEN - 1] == '\n') {
        memcpy(r->id, text + sizeof HEADER - 1, METRIC_LOG_ID - 1);
        r->start = HEADER_LEN;
    }
    r->chunk = mem_alloc(CHUNK);
    if (r->chunk)
        return LC_OK;
    metric_reader_close(r);
    return err_nomem(err);
}

void metric_reader_close(struct metric_reader *r)
{
    if (r->fd >= 0)
        close(r->fd);
    mem_free(r->chunk);
    *r = (struct metric_reader){.fd = -1};
}

static bool take_int(const char **at, int64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoll(*at, &end, 10);
    if (end == *at || *end != ' ' || errno)
        return false;
    *at = end + 1;
    return true;
}

static bool take_hex(const char **at, size_t digits, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = (*at)[i];
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (d < 0)
            return false;
        *out = *out << 4 | (uint64_t)d;
    }
    if ((*at)[digits] != ' ')
        return false;
    *at += digits + 1;
    return true;
}

/* line ends with a NUL in place of its newline */
static bool parse(const char *line, size_t len, struct tracker_metric *m)
{
    const char *at = line;
    uint64_t sum, bits;

    if (len < 9 || strlen(line) != len || !take_hex(&at, 8, &sum) || sum != sum_of(line + 9, len - 9) ||
        !take_int(&at, &m->timestamp) || !take_int(&at, &m->step) || !take_hex(&at, 16, &bits) ||
        strlen(at) > NAME_KEY_MAX)
        return false;
    memcpy(&m->value, &bits, sizeof bits);
    m->key = at;
    return true;
}

struct lines {
    const char *data;
    size_t len;
    bool at_end; /* of the file */
};

static bool resynchronised(const struct lines *rest)
{
    return rest->len >= 2 && memcmp(rest->data, "~\n", 2) == 0;
}

enum lc metric_reader_next(struct metric_reader *r, int64_t *offset, bool *more, metric_log_line *line,
                           metric_log_damage *damage, void *arg, struct err *err)
{
    ssize_t got = pread(r->fd, r->chunk, CHUNK, *offset);
    size_t used = 0;

    *more = false;
    if (got < 0)
        return err_errno(err, errno, "cannot read the metrics of a run");
    for (char *end; (end = memchr(r->chunk + used, '\n', (size_t)got - used)) != NULL;) {
        size_t len = (size_t)(end - (r->chunk + used));
        struct lines rest = {end + 1, (size_t)got - used - len - 1, got < CHUNK};
        struct tracker_metric m;

        *end = '\0';
        if (len == 0 || (len == 1 && r->chunk[used] == '~')) {
            /* left by a writer that found or made a torn line */
        } else if (parse(r->chunk + used, len, &m)) {
            TRY(line(arg, &m, err));
        } else if (rest.len < 2 && !rest.at_end && used > 0) {
            break; /* what follows is in the next chunk */
        } else if (!resynchronised(&rest)) {
            TRY(damage(arg, r->chunk + used, len, err));
        }
        used += len + 1;
    }
    if (used == 0 && got == CHUNK) { /* a megabyte without a line is no metric */
        TRY(damage(arg, r->chunk, CHUNK, err));
        used = CHUNK;
    }
    *offset += (int64_t)used;
    *more = got == CHUNK;
    return LC_OK;
}

#include "runtime/dataframe/engines/duckdb/lines.h"
#include "runtime/base/mem.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_SIZE = 1 << 20, MORE = 1 << 16, RECORD_MAX = 1 << 27 };

static const char *grow(struct lines *l, size_t need)
{
    size_t cap = l->cap ? l->cap : FIRST_SIZE;
    char *grown;

    if (need <= l->cap)
        return NULL;
    while (cap < need)
        cap *= 2;
    if (cap > (size_t)RECORD_MAX * 2)
        return "[FAILED_READ_FILE] a record is longer than 128 MiB";
    grown = mem_realloc(l->data, cap);
    if (!grown)
        return "out of memory";
    l->data = grown;
    l->cap = cap;
    return NULL;
}

/* of this file: the buffer stays for the next one */
static void lines_end(struct lines *l)
{
    if (l->streams)
        input_close(&l->in);
    l->streams = false;
}

const char *lines_open(struct lines *l, const char *path, const char *encoding, const char *separator)
{
    const char *failed;

    lines_end(l);
    l->separator = separator;
    l->start = l->end = 0;
    l->at_end = false;
    l->streams = true;
    failed = input_open(&l->in, path, encoding);
    return failed ? failed : grow(l, FIRST_SIZE);
}

const char *lines_fill(struct lines *l)
{
    const char *failed;
    size_t n;

    if (l->start) {
        memmove(l->data, l->data + l->start, l->end - l->start);
        l->end -= l->start;
        l->start = 0;
    }
    if (l->end == l->cap && (failed = grow(l, l->cap + 1)))
        return failed;
    failed = input_read(&l->in, l->data + l->end, l->cap - l->end, &n);
    l->at_end = n == 0;
    l->end += n;
    return failed;
}

const char *lines_begin(struct lines *l, bool all)
{
    const char *failed = NULL;

    do {
        if (l->streams)
            failed = lines_fill(l);
    } while (!failed && all && !l->at_end);
    if (l->end >= 3 && memcmp(l->data, "\xEF\xBB\xBF", 3) == 0)
        l->start = 3;
    return failed;
}

/* The end of the line in data; *skip: bytes of its ending. NULL: not there (yet). */
static const char *line_end(const char *data, size_t len, bool at_end, size_t *skip)
{
    const char *newline = memchr(data, '\n', len), *back;

    *skip = 1;
    back = memchr(data, '\r', newline ? (size_t)(newline - data) : len);
    if (!back)
        return newline;
    if (back + 1 == data + len && !at_end)
        return NULL; /* the \n may follow */
    *skip = back + 1 < data + len && back[1] == '\n' ? 2 : 1;
    return back;
}

bool lines_next(struct lines *l, const char **record, size_t *len, const char **failed)
{
    const char *separator = l->separator;
    size_t n = separator ? strlen(separator) : 0, from = 0; /* from: what was searched in vain already */

    for (;;) {
        const char *data = l->data + l->start, *end;
        size_t unread = l->end - l->start, skip = n;

        end = n ? memmem(data + from, unread - from, separator, n)
                : line_end(data + from, unread - from, l->at_end, &skip);
        if (end || (l->at_end && unread)) {
            *record = data;
            *len = end ? (size_t)(end - data) : unread;
            l->start += *len + (end ? skip : 0);
            return true;
        }
        if (l->at_end)
            return false;
        from = n ? (unread >= n ? unread - n + 1 : 0) : (unread ? unread - 1 : 0);
        *failed = lines_fill(l);
        if (*failed)
            return false;
    }
}

/* Bytes from … of the file behind what is there; *got 0 at its end. */
static const char *read_at(struct lines *l, int fd, const char *path, uint64_t from, size_t want, size_t *got)
{
    const char *failed = grow(l, l->end + want);

    for (*got = 0; !failed && *got < want;) {
        ssize_t n = pread(fd, l->data + l->end, want - *got, (off_t)(from + *got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            snprintf(l->in.message, sizeof l->in.message, "[FAILED_READ_FILE] '%.200s': %s", path,
                     strerror(errno));
            return l->in.message;
        }
        if (n == 0)
            break;
        *got += (size_t)n;
        l->end += (size_t)n;
    }
    return failed;
}

const char *lines_block(struct lines *l, int fd, const char *path, uint64_t from, uint64_t to)
{
    uint64_t base = from ? from - 1 : 0; /* its byte says whether a line begins at `from` */
    size_t got, skip, last = (size_t)(to - base) - 1, seen;
    const char *failed, *end;

    lines_end(l);
    l->separator = NULL;
    l->start = l->end = 0;
    l->at_end = true;
    failed = read_at(l, fd, path, base, (size_t)(to - base), &got);
    if (failed || got < (size_t)(to - base))
        last = l->end; /* the file is shorter by now */
    for (got = 1, seen = last; !failed && got > 0;) {
        end = seen < l->end ? line_end(l->data + seen, l->end - seen, true, &skip) : NULL;
        if (end) {
            l->end = (size_t)(end - l->data) + 1;
            break;
        }
        seen = l->end;
        failed = read_at(l, fd, path, base + l->end, MORE, &got);
    }
    if (from && !failed) {
        end = line_end(l->data, l->end, true, &skip);
        l->start = end ? (size_t)(end - l->data) + skip : l->end;
        if (!end || l->start > last)
            l->start = l->end;
    }
    return failed;
}

void lines_close(struct lines *l)
{
    lines_end(l);
    mem_free(l->data);
    *l = (struct lines){0};
}

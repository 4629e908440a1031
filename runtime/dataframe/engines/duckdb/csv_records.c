#include "runtime/dataframe/engines/duckdb/csv_records.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* As Spark's parser finds it: by the first line's end. */
static bool ends_in_crlf(const struct csv_options *o, const struct lines *l)
{
    const char *newline = l->end ? memchr(l->data, '\n', l->end) : NULL;

    return *o->line_sep ? strcmp(o->line_sep, "\r\n") == 0
                        : newline && newline > l->data && newline[-1] == '\r';
}

const char *csv_records_open(struct csv_records *r, const struct csv_options *o, const char *path)
{
    const char *failed = lines_open(&r->lines, path, o->encoding, o->line_sep);

    r->options = o;
    if (!failed)
        failed = lines_begin(&r->lines, false);
    if (failed)
        return failed;
    r->crlf = o->multiline && ends_in_crlf(o, &r->lines);
    return NULL;
}

const char *csv_records_block(struct csv_records *r, const struct csv_options *o, const char *path,
                              uint64_t from, uint64_t to)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *failed = NULL;

    r->options = o;
    r->crlf = false;
    if (fd < 0)
        return lines_open(&r->lines, path, "", ""); /* says why */
    if (to > from)
        failed = lines_block(&r->lines, fd, path, from, to);
    else
        r->lines.start = r->lines.end = 0, r->lines.at_end = true;
    close(fd);
    return failed || from ? failed : lines_begin(&r->lines, false);
}

static bool next_multiline(struct csv_records *r, const char **record, size_t *len, const char **failed)
{
    const struct csv_options *o = r->options;
    struct lines *l = &r->lines;
    size_t used;

    for (;;) {
        const char *data = l->data + l->start;
        size_t unread = l->end - l->start;
        enum csv_got got = csv_record(o, r->crlf, data, unread, l->at_end, &r->row, &used);

        if (got == CSV_NOMEM)
            *failed = "out of memory";
        else if (got == CSV_MORE)
            *failed = lines_fill(l);
        else if (unread == 0)
            return false;
        if (*failed)
            return false;
        if (got == CSV_MORE)
            continue;
        l->start += used;
        if (r->row.n == 0 || (o->comment != CSV_NO_MARK && *data == o->comment))
            continue; /* an empty line, a comment */
        while (used && (data[used - 1] == '\n' || data[used - 1] == '\r'))
            used--;
        *record = data;
        *len = used;
        return true;
    }
}

static bool next_line(struct csv_records *r, bool only_blanks, const char **record, size_t *len,
                      const char **failed)
{
    while (lines_next(&r->lines, record, len, failed)) {
        if (csv_skipped(r->options, *record, *len, only_blanks))
            continue;
        if (!csv_line(r->options, *record, *len, &r->row))
            *failed = "out of memory";
        return !*failed;
    }
    return false;
}

bool csv_records_next(struct csv_records *r, bool only_blanks, const char **record, size_t *len,
                      const char **failed)
{
    return r->options->multiline ? next_multiline(r, record, len, failed)
                                 : next_line(r, only_blanks, record, len, failed);
}

void csv_records_close(struct csv_records *r)
{
    lines_close(&r->lines);
    csv_row_release(&r->row);
}

/* lines.h: records of a file that end with a separator, a buffer at a time.
 *
 * What      lines_open streams a file; lines_block holds the lines that begin in one range of a plain file, so that
 *           several threads can share it. An empty separator means lines, which end with \n, \r\n or \r.
 * Ownership a record points into the reader and is good until the next call; lines_close ends the reader.
 * Units     bytes; a record has at most 128 MiB.
 * Errors    a text for DuckDB.
 * Threads   one at a time.
 *
 * Example:
 *     struct lines l = {0};
 *     const char *s, *failed = lines_open(&l, "a.txt", "UTF-8", "");
 *     size_t n;
 *     while (!failed && lines_next(&l, &s, &n, &failed))
 *         printf("%.*s\n", (int)n, s);
 *     lines_close(&l);
 */
#ifndef LACUS_DATAFRAME_ENGINES_DUCKDB_LINES_H
#define LACUS_DATAFRAME_ENGINES_DUCKDB_LINES_H
#include "runtime/dataframe/engines/duckdb/input.h"
#include <stdint.h>

struct lines { /* start from zeros */
    struct input in;
    bool streams;          /* `in` is open */
    const char *separator; /* borrowed */
    char *data;            /* owned; bytes start … end are unread */
    size_t start, end, cap;
    bool at_end; /* nothing follows `end` */
};

const char *lines_open(struct lines *l, const char *path, const char *encoding, const char *separator);
/* The lines that begin in bytes from … to - 1 of the file. */
const char *lines_block(struct lines *l, int fd, const char *path, uint64_t from, uint64_t to);
bool lines_next(struct lines *l, const char **record, size_t *len,
                const char **failed);    /* false: the end, or *failed */
const char *lines_fill(struct lines *l); /* reads on behind what is unread */
/* After opening: the first bytes, or all of them, without a byte order mark. */
const char *lines_begin(struct lines *l, bool all);
void lines_close(struct lines *l);
#endif

/* csv_records.h: the records of one CSV file, or of one piece of it, cut into fields.
 *
 * What      puts lines.h and csv.h together: comments and empty lines are left out, a byte order mark is skipped, a
 *           file's kind of line end is found.
 * Ownership a record and its fields are good until the next call; csv_records_close ends the reader, which may be
 *           opened again for the next file before.
 * Units     bytes.
 * Errors    a text for DuckDB.
 * Threads   one at a time.
 *
 * Example:
 *     struct csv_options o;
 *     struct csv_records r = {0};
 *     const char *s, *failed;
 *     size_t len;
 *     csv_defaults(&o);
 *     failed = csv_records_open(&r, &o, "a.csv");
 *     while (!failed && csv_records_next(&r, false, &s, &len, &failed))
 *         printf("%zu fields\n", r.row.n);
 *     csv_records_close(&r);
 */
#ifndef LACUS_DATAFRAME_ENGINES_DUCKDB_CSV_RECORDS_H
#define LACUS_DATAFRAME_ENGINES_DUCKDB_CSV_RECORDS_H
#include "runtime/dataframe/csv/csv.h"
#include "runtime/dataframe/engines/duckdb/lines.h"

struct csv_records {                   /* start from zeros */
    const struct csv_options *options; /* borrowed */
    struct lines lines;
    struct csv_row row; /* of the record that was read last */
    bool crlf;
};

const char *csv_records_open(struct csv_records *r, const struct csv_options *o, const char *path);
/* The records that begin in bytes from … to - 1 of a plain file without records of several lines. */
const char *csv_records_block(struct csv_records *r, const struct csv_options *o, const char *path,
                              uint64_t from, uint64_t to);
/* only_blanks: which lines are none, see csv_skipped. False: the end, or *failed. */
bool csv_records_next(struct csv_records *r, bool only_blanks, const char **record, size_t *len,
                      const char **failed);
void csv_records_close(struct csv_records *r);
#endif

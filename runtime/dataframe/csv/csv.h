/* csv.h: one record of CSV, read as Spark reads it.
 *
 * What      cuts a record into fields by the rules of Spark's reader: quotes, escapes, an unescaped quote inside
 *           quotes (the value is then taken as it stands, up to the delimiter), white space around quotes, and
 *           what is left at the end of the input.
 * Ownership a row owns its memory and is used again for the next record; fields point into the record or into
 *           the row until then. Options borrow nothing.
 * Units     bytes of UTF-8; delimiters of up to 8 bytes, the other marks are one ASCII character.
 * Errors    LC_ARG names the option; csv_record says CSV_NOMEM.
 * Threads   options: read by any; a row: one at a time.
 * Source    Spark's CSVOptions and the options of the parser below it.
 *
 * Example:
 *     struct csv_options o;
 *     struct csv_row row = {0};
 *     struct err err;
 *     csv_defaults(&o);
 *     if (csv_option(&o, "sep", ";", &err) == LC_OK && csv_line(&o, "a;\"b;c\"", 7, &row))
 *         printf("%zu fields, the second has %zu bytes\n", row.n, row.fields[1].len);
 *     csv_row_release(&row);
 */
#ifndef LACUS_DATAFRAME_CSV_CSV_H
#define LACUS_DATAFRAME_CSV_CSV_H
#include "runtime/base/err.h"
#include <stddef.h>

enum csv_mode { CSV_PERMISSIVE, CSV_DROPMALFORMED, CSV_FAILFAST };
enum csv_unescaped { CSV_STOP_AT_DELIMITER, CSV_STOP_AT_CLOSING_QUOTE, CSV_SKIP_VALUE };
enum { CSV_TEXT = 64, CSV_DELIMITER = 8, CSV_NO_MARK = 0 };

struct csv_options {
    char delimiter[CSV_DELIMITER + 1];
    size_t n_delimiter;
    int quote, escape, escape_escape, comment; /* CSV_NO_MARK: there is none */
    bool header, multiline, infer, enforce_schema, prefer_date;
    bool trim_leading, trim_trailing;
    enum csv_mode mode;
    enum csv_unescaped unescaped;
    char null_value[CSV_TEXT], nan_value[CSV_TEXT], positive_inf[CSV_TEXT], negative_inf[CSV_TEXT],
        empty_value[CSV_TEXT];
    char line_sep[CSV_TEXT]; /* "": \n, \r\n and \r */
    char encoding[CSV_TEXT];
    char corrupt_name[256];
};

struct csv_field {
    const char *s;
    size_t len;
    bool null;
};

struct csv_row {
    struct csv_field *fields;
    size_t n, cap;
    char *room; /* texts that are not in the record as they are */
    size_t room_cap;
};

enum csv_got { CSV_RECORD, CSV_MORE, CSV_NOMEM };

void csv_defaults(struct csv_options *o);
/* One option by Spark's name, in any case of letters; others than the reader's are left alone. */
enum lc csv_option(struct csv_options *o, const char *name, const char *value, struct err *err) MUST_CHECK;
const char *csv_option_name(size_t i);                                      /* NULL past the last */
enum lc csv_check(const struct csv_options *o, struct err *err) MUST_CHECK; /* after the last one */

/* The record at data, which may span lines; *used: its bytes with the line's end. at_end: nothing follows data
 * + len; without it CSV_MORE says that the record may not be whole. crlf: lines end with \r\n. */
enum csv_got csv_record(const struct csv_options *o, bool crlf, const char *data, size_t len, bool at_end,
                        struct csv_row *row, size_t *used);
bool csv_line(const struct csv_options *o, const char *line, size_t len,
              struct csv_row *row); /* false: no memory */
/* Lines that are no records: comments, nothing but white space; for finding the schema only blanks are that. */
bool csv_skipped(const struct csv_options *o, const char *line, size_t len, bool only_blanks);
bool csv_is_null(const struct csv_options *o, const struct csv_field *f);
void csv_row_release(struct csv_row *row);
#endif

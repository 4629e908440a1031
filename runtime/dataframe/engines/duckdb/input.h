/* input.h: a file's bytes as UTF-8, whatever it is packed in.
 *
 * What      reads plain files, .gz and .zst (by name, as Spark does), in the encoding that the reader was told.
 * Ownership input_close ends it, also after an error.
 * Units     bytes.
 * Errors    a text that says what failed and where, for DuckDB; NULL: none.
 * Threads   one at a time.
 *
 * Example:
 *     struct input in;
 *     char data[4096];
 *     size_t n;
 *     const char *failed = input_open(&in, "a.csv.gz", "UTF-8");
 *     while (!failed && !(failed = input_read(&in, data, sizeof data, &n)) && n > 0)
 *         fwrite(data, 1, n, stdout);
 *     input_close(&in);
 */
#ifndef LACUS_DATAFRAME_ENGINES_DUCKDB_INPUT_H
#define LACUS_DATAFRAME_ENGINES_DUCKDB_INPUT_H
#include <stdbool.h>
#include <stddef.h>

struct input {
    const struct packing *packing; /* static */
    void *unpacker;                /* owned: its state */
    void *converter;               /* owned: iconv's, NULL for UTF-8 */
    int fd;
    bool at_end;  /* of the file */
    bool inside;  /* what is packed has not ended */
    char *packed; /* owned: bytes start … end of the file are unread */
    size_t start, end;
    char *foreign; /* owned: text of another encoding, not converted yet */
    size_t n_foreign;
    bool foreign_end;
    char message[512];
};

const char *input_open(struct input *in, const char *path, const char *encoding);
const char *input_read(struct input *in, char *out, size_t size, size_t *n); /* n 0: the end */
void input_close(struct input *in);
bool input_is_plain(const char *path, const char *encoding); /* the file's bytes are its text */
#endif

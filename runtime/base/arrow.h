/* arrow.h: the Arrow C data and C stream interfaces (arrow.apache.org, "The Arrow C data interface", ABI
 * stable since 1.0).
 *
 * What      how columns travel between parts of lacus. These are the specification's structs, and how
 *           one value is found in them.
 * Ownership a struct with release != NULL is owned by whoever holds it and is ended by calling release once;
 *           moving a struct is a memcpy followed by release = NULL in the old place.
 * Errors    get_schema and get_next return 0 or an errno value; get_last_error then has the text (valid until
 *           the next call).
 * Threads   one at a time.
 *
 * Example:
 *     struct ArrowArrayStream stream = {0};
 *     if (stream.release)
 *         stream.release(&stream);
 */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE
#include <stdint.h>

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE           2
#define ARROW_FLAG_MAP_KEYS_SORTED    4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};
#endif

#ifndef LACUS_BASE_ARROW_H
#define LACUS_BASE_ARROW_H
#include <stdbool.h>
#include <stddef.h>

/* Rows count from 0 without the array's offset: the functions add it. */
bool arrow_is_null(const struct ArrowArray *a, int64_t row);
/* The bytes of a text or binary value (formats u, U, z, Z, vu, vz); NULL: another format. Not NUL-terminated. */
const char *arrow_text(const char *format, const struct ArrowArray *a, int64_t row, size_t *len);
/* Where the items of a list or map (formats +l, +L, +m) lie in its child. */
void arrow_items(const char *format, const struct ArrowArray *a, int64_t row, int64_t *from, int64_t *to);
#endif

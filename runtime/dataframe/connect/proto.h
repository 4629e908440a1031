/* proto.h: protobuf's wire format: the bytes of Spark Connect's messages, written and read field by field.
 *
 * What      a plan is written straight into its bytes, and an answer is read straight out of them, without a
 *           tree of message structs between (Spark's schema has 376 messages, of which a client needs some
 *           ninety; generated code for them is twenty times this file, and one more copy of every plan). Field
 *           numbers stand where a field is written or read.
 * Ownership writers append to a struct buf, which remembers a failure. A reader borrows the bytes; so do the
 *           fields it gives.
 * Units     bytes.
 * Errors    pb_next: false at the end and for bytes that are not a message (`failed` tells which): lengths past
 *           the end, varints of more than 10 bytes, field number 0, groups.
 * Threads   any.
 *
 * Example:
 *     struct buf b = BUF_INIT(1 << 20);
 *     size_t mark = pb_begin(&b, 4);
 *     pb_text(&b, 1, "id");
 *     pb_end(&b, mark);
 *     buf_release(&b);
 */
#ifndef LACUS_DATAFRAME_CONNECT_PROTO_H
#define LACUS_DATAFRAME_CONNECT_PROTO_H
#include "runtime/base/buf.h"

/* ---- writing ---- */
void pb_int(struct buf *b, unsigned field,
            int64_t value); /* int32, int64, enum, bool: a negative takes 10 bytes */
void pb_double(struct buf *b, unsigned field, double value);
void pb_float(struct buf *b, unsigned field, float value);
void pb_bytes(struct buf *b, unsigned field, const void *data, size_t len);
void pb_text(struct buf *b, unsigned field, const char *text); /* NULL: nothing is written */
void pb_pair(struct buf *b, unsigned field, const char *key, const char *value); /* of a map<string,string> */
size_t pb_begin(struct buf *b, unsigned field); /* a message inside; what is written until pb_end is in it */
void pb_end(struct buf *b, size_t mark);
void pb_empty(struct buf *b, unsigned field); /* a message without fields */

/* ---- reading ---- */
struct pb_reader {
    const unsigned char *p, *end;
    bool failed;
};

struct pb_field {
    unsigned number;
    enum { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 } wire;
    uint64_t value;   /* varint and fixed */
    const char *data; /* bytes, texts, messages; not NUL-terminated */
    size_t len;
};

struct pb_reader pb_open(const void *data, size_t len);
struct pb_reader pb_inside(const struct pb_field *f); /* the message in a field; empty when it is none */
bool pb_next(struct pb_reader *r, struct pb_field *f);
/* Copies a text: at most size - 1 bytes, cut at the end of a character; bytes that are not UTF-8 are kept. */
void pb_copy(const struct pb_field *f, char *out, size_t size);
/* The last text of a number in a message, copied; false (and "") when there is none. */
bool pb_find(struct pb_reader r, unsigned number, struct pb_field *out);
#endif

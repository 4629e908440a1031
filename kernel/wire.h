/* wire.h: Jupyter's message format: multipart frames with an HMAC-SHA256 signature.
 *
 * What      [identities…] "<IDS|MSG>" signature header parent_header metadata content [buffers…]
 *           kwire_parse checks and decodes received frames; kwire_header and kwire_sign make those to send.
 *           Knows no sockets.
 * Ownership the frames are borrowed for as long as the message lives; kwire_message_release ends its JSON.
 * Units     bytes.
 * Limits    WIRE_PARTS_MAX frames, WIRE_BYTES_MAX in all, WIRE_DEPTH_MAX levels of JSON.
 * Errors    LC_PARSE (not the format), LC_AUTH (signature wrong, absent or played again), LC_LIMIT. When
 *           `out->type` is set nevertheless, the sender is authentic and only the content is bad: it can be
 *           answered.
 * Threads   any; the memory of accepted signatures is locked.
 *
 * Example:
 *     struct kwire *w;
 *     struct err err;
 *     if (kwire_open("key", 3, &w, &err) == LC_OK)
 *         kwire_close(w);
 */
#ifndef LACUS_KERNEL_WIRE_H
#define LACUS_KERNEL_WIRE_H
#include "runtime/base/buf.h"
#include <jansson.h>

#define WIRE_BYTES_MAX ((size_t)256 << 20)
#define WIRE_DELIMITER "<IDS|MSG>"
enum { WIRE_PARTS_MAX = 1024, WIRE_IDS_MAX = 16, WIRE_DEPTH_MAX = 128, WIRE_TYPE_MAX = 128 };
enum { WIRE_SIGNATURE = 65, WIRE_SIGNED_PARTS = 4 };

struct kwire_part {
    const void *data;
    size_t len;
};

struct kwire_message {
    const struct kwire_part *ids; /* borrowed; who to answer */
    size_t n_ids;
    struct kwire_part header_text;                     /* borrowed; the parent_header of what answers it */
    json_t *header, *parent, *metadata, *content;      /* owned objects; parent and metadata may be NULL */
    const char *type, *id, *session, *date, *subshell; /* borrowed from header; "" when absent */
    const struct kwire_part *buffers;                  /* borrowed */
    size_t n_buffers;
};

struct kwire;

enum lc kwire_open(const char *key, size_t len, struct kwire **out, struct err *err) MUST_CHECK;
void kwire_close(struct kwire *w); /* NULL is fine */
enum lc kwire_parse(struct kwire *w, const struct kwire_part *parts, size_t n, struct kwire_message *out,
                    struct err *err) MUST_CHECK;
void kwire_message_release(struct kwire_message *m);

/* Appends a new header; msg_id is unique, the session is this wire's. */
bool kwire_header(struct kwire *w, const char *type, struct buf *out);
/* The signature of header, parent_header, metadata and content; "" without a key. */
void kwire_sign(const struct kwire *w, const struct kwire_part parts[WIRE_SIGNED_PARTS],
                char out[WIRE_SIGNATURE]);
const char *kwire_session(const struct kwire *w);
#endif

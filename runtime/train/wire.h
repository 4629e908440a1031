/* wire.h: the messages between a coordinator and its workers.
 *
 * What      one message is a JSON object (its "type" is a row of wire_types, its members are checked against
 *           that row) and, for chunks of files, a payload of bytes. This part knows no ZeroMQ: link.h carries
 *           it.
 * Ownership wire_parse fills a struct that wire_msg_release ends; its payload is borrowed from the caller.
 * Units     bytes; times in a message are seconds. Limits: WIRE_HEAD_MAX, WIRE_PAYLOAD_MAX, the field rows.
 * Errors    LC_LIMIT, LC_PARSE (not JSON), LC_DATA (unknown type, missing or wrong member): the sender is at
 *           fault and the message is dropped as a whole.
 * Threads   any; no state.
 *
 * Example:
 *     struct wire_msg m;
 *     struct err err;
 *     static const char text[] = "{\"type\":\"bye\"}";
 *     if (wire_parse(text, sizeof text - 1, NULL, 0, WIRE_WORKER, &m, &err) == LC_OK)
 *         wire_msg_release(&m);
 */
#ifndef LACUS_TRAIN_WIRE_H
#define LACUS_TRAIN_WIRE_H
#include "runtime/base/err.h"
#include <jansson.h>
#include <stddef.h>

enum { WIRE_PROTOCOL = 2, WIRE_HEAD_MAX = 1 << 20, WIRE_PAYLOAD_MAX = 1 << 20, WIRE_PATH_MAX = 240 };
#define WIRE_FILE_MAX (INT64_C(1) << 41) /* bytes of one file */

enum wire_side { WIRE_WORKER = 1, WIRE_COORDINATOR = 2 };

enum wire_kind {
    /* from the worker */
    WIRE_HELLO,  /* who I am, what I have */
    WIRE_BEAT,   /* what I am doing, once a second */
    WIRE_WANT,   /* send me a part of a blob */
    WIRE_EVENT,  /* a line for the job's log: metric, text, parameters */
    WIRE_FILE,   /* a part of a file of a folder (checkpoint, output) */
    WIRE_COMMIT, /* that folder is complete: these are its files */
    WIRE_RING,   /* where the rank before may reach this one */
    WIRE_DONE,
    WIRE_FAILED,
    WIRE_BYE,
    /* from the coordinator */
    WIRE_WELCOME,
    WIRE_RUN,   /* a job, with the manifests of its files */
    WIRE_PEERS, /* the ring is known: the ranks beside this one */
    WIRE_CHUNK,
    WIRE_NOBLOB,
    WIRE_SAVED,
    WIRE_SAVE, /* a checkpoint of the next whole step */
    WIRE_CANCEL,
    WIRE_RELEASE, /* no more work: exit */
    WIRE_KINDS
};

struct wire_msg {
    enum wire_kind kind;
    json_t *head;        /* owned object */
    const void *payload; /* borrowed; NULL when the type has none */
    size_t len;
};

/* from: the side that must have sent it. */
enum lc wire_parse(const void *head, size_t head_len, const void *payload, size_t payload_len,
                   enum wire_side from, struct wire_msg *out, struct err *err) MUST_CHECK;
void wire_msg_release(struct wire_msg *m);
const char *wire_kind_name(enum wire_kind kind);

/* Members of a parsed message: present and of that type when its row says so; else "" and 0. */
const char *wire_text(const struct wire_msg *m, const char *name);
int64_t wire_int(const struct wire_msg *m, const char *name);

bool wire_is_digest(const char *text); /* 64 lower-case hexadecimal digits */
bool wire_is_path(const char *text);   /* relative, plain components, no "..", nothing hidden */
bool wire_is_name(const char *text);   /* one such component */
/* An array of {path, size, sha256}, at most `most` long, each path once. */
enum lc wire_check_manifest(const json_t *files, size_t most, struct err *err) MUST_CHECK;
#endif

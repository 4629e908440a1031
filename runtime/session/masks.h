/* masks.h: between a session and its front end: secret values never get out.
 *
 * What      wraps the front end; everything that is shown, sent or stored passes here. Once a value is to be
 *           hidden (session_mask), it and its usual encodings become [REDACTED]. What may be the beginning of a
 *           value at the end of a stream is held back until more comes, or something else happens.
 * Ownership part of the session.
 * Units     bytes.
 * Errors    none.
 * Threads   session thread, but for output_waits, which is passed through.
 *
 * Example:
 *     if (masks_open(s, &err) == LC_OK)
 *         masks_flush(s);
 */
#ifndef LACUS_SESSION_MASKS_H
#define LACUS_SESSION_MASKS_H
#include "runtime/session/session.h"

enum lc masks_open(struct session *s, struct err *err) MUST_CHECK; /* s->frontend is set */
void masks_close(struct session *s);
void masks_flush(struct session *s); /* what was held back goes out */
/* What a cell came to: the front end may send it in another way than through its functions. */
void masks_reply(struct session *s, struct cell_reply *reply);
json_t *masks_json(struct session *s, json_t *value); /* takes value, gives a new reference */
#endif

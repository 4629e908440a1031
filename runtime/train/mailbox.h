/* mailbox.h: JSON from one thread to another that waits in poll.
 *
 * What      a queue with a descriptor that is readable while something is in it.
 * Ownership mailbox_put takes the reference, mailbox_get gives one. mailbox_free drops what is left.
 * Units     none.
 * Errors    false when there is no memory (the value is dropped).
 * Threads   any.
 *
 * Example:
 *     struct mailbox *m = mailbox_new();
 *     if (m && mailbox_put(m, json_true()))
 *         json_decref(mailbox_get(m));
 *     mailbox_free(m);
 */
#ifndef LACUS_TRAIN_MAILBOX_H
#define LACUS_TRAIN_MAILBOX_H
#include <jansson.h>
#include <stdbool.h>

struct mailbox;
struct mailbox *mailbox_new(void);
void mailbox_free(struct mailbox *m);
bool mailbox_put(struct mailbox *m, json_t *value);
json_t *mailbox_get(struct mailbox *m); /* NULL: empty */
int mailbox_fd(const struct mailbox *m);
#endif

/* fetch.h: a job's files on the worker's machine, found by content.
 *
 * What      makes a folder of links to files whose content has been checked: the driver's own files when the
 *           worker runs on the same machine (and their digest is right), else copies in a cache, fetched in
 *           parts over the link.
 * Ownership everything is borrowed.
 * Units     bytes.
 * Errors    LC_DATA (a content that is not what its digest says), LC_NET (connection lost), LC_CANCELLED,
 *           LC_NOSPACE, LC_IO.
 * Threads   the link's thread.
 *
 * Example:
 *     struct fetch f = {.link = to, .job = "job-1", .cache = "cache", .wait = wait_for_message, .arg = self};
 *     if (fetch_folder(&f, files, "scratch/model", &err) == LC_OK)
 *         puts("complete");
 */
#ifndef LACUS_TRAIN_FETCH_H
#define LACUS_TRAIN_FETCH_H
#include "runtime/train/link.h"

struct fetch {
    struct link *link;
    const struct ctx *ctx;
    const char *job, *cache;
    const json_t *near; /* digest → path on this machine; may be NULL */
    /* The next chunk or noblob message; handles all others itself. */
    enum lc (*wait)(void *arg, struct link_event *e, struct err *err);
    void *arg;
};

/* Every file of the list becomes folder/path. */
enum lc fetch_folder(struct fetch *f, const json_t *files, const char *folder, struct err *err) MUST_CHECK;
#endif

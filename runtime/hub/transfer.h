/* transfer.h: one file from the Hub into the cache: asked for, fetched in pieces that survive, checked.
 *
 * What      hub_file_get puts a file's content into blobs/ETAG and links it into the snapshot. What a cut connection or a
 *           killed process leaves (blobs/ETAG.incomplete) is gone on with. The content is compared with its name: SHA-256 of
 *           an LFS file, git's SHA-1 of another; a wrong one is fetched once more from the beginning.
 * Ownership everything is borrowed.
 * Units     bytes.
 * Errors    LC_NET, LC_TIMEOUT (after several attempts), LC_DATA (twice a wrong content), LC_NOSPACE, LC_CANCELLED, and what the
 *           Hub answered: `status` and `code` of the struct tell it.
 * Threads   one at a time.
 * Source    huggingface_hub/file_download.py.
 *
 * Example:
 *     struct hub_link link = {.ctx = &ctx, .web = web, .client = client, .endpoint = "https://huggingface.co", .id = "org/name"};
 *     if (hub_file_get(&link, &cache, sha, "config.json", &err) != LC_OK)
 *         puts(err.message);
 */
#ifndef LACUS_HUB_TRANSFER_H
#define LACUS_HUB_TRANSFER_H
#include "runtime/hub/answer.h"
#include "runtime/hub/cache.h"
#include "runtime/web/web.h"

enum { HUB_CODE = 64, HUB_SAYS = 256 };

struct hub_link {
    const struct ctx *ctx;
    const struct web_vtable *web;
    struct web_client *client;
    const char *endpoint, *id;
    const char *token; /* NULL: none */
    int connect_ms;    /* 0: the usual */
    /* So much of a file is here; false: stop. May be NULL. */
    bool (*progress)(void *arg, const char *file, int64_t had, int64_t size);
    void *arg;
    int64_t told_ns; /* when progress was called last */
    /* of the last answer that was no success */
    int status;          /* 0: there was none */
    char code[HUB_CODE]; /* X-Error-Code: "GatedRepo" */
    char says[HUB_SAYS]; /* X-Error-Message */
};

/* GET endpoint + path into `body` (its max is the limit); a status other than 200 is an error. */
enum lc hub_get(struct hub_link *k, const char *path, struct buf *body, struct err *err) MUST_CHECK;
enum lc hub_file_get(struct hub_link *k, const struct hub_cache *c, const char *sha, const char *name,
                     struct err *err) MUST_CHECK;
/* Text with what a URL's path cannot hold as %XX; '/' too. */
void hub_escape(const char *text, struct buf *out);
/* Whether the content of a file is what its name says (an ETag that is no digest is never wrong). */
enum lc hub_verify(const struct ctx *ctx, const char *path, const char *etag, bool *right,
                   struct err *err) MUST_CHECK;
#endif

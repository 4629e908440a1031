/* cache.h: the folder of downloaded models that Hugging Face's tools and lacus share.
 *
 * What      HF_HUB_CACHE/models--ORG--NAME with blobs/ETAG (contents), refs/REVISION (a commit) and snapshots/COMMIT/FILE
 *           (relative links to blobs); .locks/models--ORG--NAME/ETAG.lock is held while a blob is written.
 * Ownership hub_cache_open fills the struct, hub_cache_release frees it. Paths are the caller's: mem_free.
 * Units     bytes.
 * Errors    LC_IO, LC_PERM, LC_NOSPACE; LC_CANCELLED while waiting for a lock.
 * Threads   any; a lock is held by a descriptor, so processes and threads exclude each other.
 * Source    huggingface_hub/file_download.py, constants.py.
 *
 * Example:
 *     struct hub_cache c;
 *     char sha[41];
 *     if (hub_cache_open(NULL, "org/name", &c, &err) == LC_OK && hub_cache_commit(&c, "main", sha))
 *         puts(sha);
 *     hub_cache_release(&c);
 */
#ifndef LACUS_HUB_CACHE_H
#define LACUS_HUB_CACHE_H
#include "runtime/base/buf.h"
#include "runtime/base/ctx.h"

struct hub_cache {
    char *root;   /* owned: HF_HUB_CACHE, else HF_HOME/hub */
    char *folder; /* owned: root/models--ORG--NAME */
    char *locks;  /* owned */
};

/* dir NULL: of the environment. Makes nothing yet. */
enum lc hub_cache_open(const char *dir, const char *id, struct hub_cache *out, struct err *err) MUST_CHECK;
void hub_cache_release(struct hub_cache *c);
char *hub_home(void); /* HF_HOME: where the token is; NULL without memory */

/* The commit that a revision was when it was last asked for (a commit is itself); false: never. */
bool hub_cache_commit(const struct hub_cache *c, const char *revision, char sha[41]);
enum lc hub_cache_set_ref(const struct hub_cache *c, const char *revision, const char *sha,
                          struct err *err) MUST_CHECK;
char *hub_cache_snapshot(const struct hub_cache *c, const char *sha);
char *hub_cache_blob(const struct hub_cache *c, const char *etag);
/* The folders, and the mark that backup programs look for. */
enum lc hub_cache_make(const struct hub_cache *c, const char *sha, struct err *err) MUST_CHECK;
/* snapshots/SHA/NAME → ../../blobs/ETAG */
enum lc hub_cache_link(const struct hub_cache *c, const char *sha, const char *name, const char *etag,
                       struct err *err) MUST_CHECK;
/* Waits for the blob's lock; *fd is closed by hub_cache_unlock. */
enum lc hub_cache_lock(const struct ctx *ctx, const struct hub_cache *c, const char *etag, int *fd,
                       struct err *err) MUST_CHECK;
void hub_cache_unlock(int fd);
/* Appends "'org/name', …": ids in the cache that are spelled like this one. */
void hub_cache_near(const struct hub_cache *c, const char *id, struct buf *out);
#endif

/* tree.h: whole folders: copying and digests.
 *
 * What      tree_copy copies a file or a folder with all that is in it, by hard link where asked for and
 *           possible; each file appears complete or not at all. tree_digest is a hash over names and
 *           contents.
 * Ownership paths are borrowed.
 * Units     bytes.
 * Errors    LC_NOTFOUND, LC_NOSPACE, LC_IO, LC_LIMIT (deeper than 64 folders), LC_CANCELLED; LC_UNSUPPORTED
 *           for what is neither file nor folder. Symbolic links to files are followed; links to folders are
 *           refused (they may lead in circles).
 * Threads   any.
 *
 * Example:
 *     char digest[TREE_DIGEST];
 *     if (tree_copy(&ctx, "model", "/tmp/copy", TREE_LINK, &err) == LC_OK)
 *         rc = tree_digest(&ctx, "/tmp/copy", digest, NULL, &err);
 */
#ifndef LACUS_STORAGE_TREE_H
#define LACUS_STORAGE_TREE_H
#include "runtime/base/ctx.h"
#include <stddef.h>

enum { TREE_DIGEST = 65 };                /* 64 hex digits (BLAKE2b-256) and a NUL */
enum { TREE_REPLACE = 1, TREE_LINK = 2 }; /* replace files that are there; hard links instead of copies */

enum lc tree_copy(const struct ctx *ctx, const char *from, const char *to, unsigned flags,
                  struct err *err) MUST_CHECK;
/* *bytes (may be NULL): the sum of the file sizes. */
enum lc tree_digest(const struct ctx *ctx, const char *path, char out[TREE_DIGEST], int64_t *bytes,
                    struct err *err) MUST_CHECK;
/* As tree_digest, without the names at the top that are in skip (ends with NULL; may be NULL). */
enum lc tree_digest_without(const struct ctx *ctx, const char *path, const char *const *skip,
                            char out[TREE_DIGEST], int64_t *bytes, struct err *err) MUST_CHECK;
#endif

/* manifest.h: files known by their content: lists of {path, size, sha256}, and a cache of them.
 *
 * What      a job names its model, data and checkpoints by such lists; a worker asks for the contents by
 *           digest and keeps them in a cache folder, so that the next job with the same model sends nothing.
 * Ownership JSON is returned as a new reference; strings are the caller's: mem_free.
 * Units     bytes; digests are 64 lower-case hexadecimal digits of SHA-256.
 * Errors    LC_NOTFOUND, LC_IO, LC_LIMIT (more than MANIFEST_FILES files), LC_DATA (content is not what its
 *           digest says), LC_CANCELLED.
 * Threads   any.
 *
 * Example:
 *     json_t *files;
 *     struct err err;
 *     if (manifest_make(NULL, "/models/tiny", manifest_is_model_file, &files, &err) == LC_OK)
 *         json_decref(files);
 */
#ifndef LACUS_TRAIN_MANIFEST_H
#define LACUS_TRAIN_MANIFEST_H
#include "runtime/base/ctx.h"
#include <jansson.h>

enum { MANIFEST_FILES = 1000, DIGEST_HEX = 65 };

typedef bool manifest_filter(const char *name);
bool manifest_is_tokenizer_file(const char *name);
bool manifest_is_model_file(
    const char *name); /* what a Hugging Face folder needs: no .bin, no hidden files */

/* The files right in a folder (no subfolders) that filter (NULL: all) takes, in the order of their names. */
enum lc manifest_make(const struct ctx *ctx, const char *folder, manifest_filter *filter, json_t **out,
                      struct err *err) MUST_CHECK;
enum lc manifest_hash(const struct ctx *ctx, const char *path, char hex[DIGEST_HEX], int64_t *size,
                      struct err *err) MUST_CHECK;
/* One digest for a whole list, whatever the order of its rows. */
void manifest_digest(const json_t *files, char hex[DIGEST_HEX]);
/* LC_OK when the file has that digest and size; LC_DATA or LC_NOTFOUND else. */
enum lc manifest_verify(const struct ctx *ctx, const char *path, const char *sha256, int64_t size,
                        struct err *err) MUST_CHECK;

/* Where the cache keeps (or would keep) a blob. NULL without memory. */
char *cache_path(const char *cache, const char *sha256);
/* Copies the files of a folder that filter (NULL: all) takes into another, each whole or not at all. */
enum lc folder_copy(const struct ctx *ctx, const char *from, const char *to, manifest_filter *filter,
                    struct err *err) MUST_CHECK;
#endif

/* secrets.h: values that must not be read by others: scopes of keys, sealed on disk.
 *
 * What      each value lies in workspace.db sealed with libsodium's secretbox, under a key of its own that is
 *           derived from $LACUS_HOME/secrets.key (made on first use, 0600), its scope and its name: a sealed
 *           value that is moved to another row does not open.
 * Ownership secrets_open gives a handle, secrets_close ends it and wipes the key. Values are added to the
 *           caller's buffer, which wipes it (secrets_wipe).
 * Units     bytes; times are milliseconds since 1970, 0 for never.
 * Errors    LC_NOTFOUND and LC_EXISTS for scopes and keys, with the nearest names; LC_ARG for names and values
 *           that cannot be; LC_PERM when others can read the key file; LC_AUTH when a value does not open with
 *           this key, or has expired.
 * Threads   one handle: one thread at a time.
 *
 * Example:
 *     struct secrets *s;
 *     struct buf value = BUF_INIT(SECRET_MAX);
 *     struct err err;
 *     if (secrets_open(&s, &err) == LC_OK) {
 *         if (secrets_get(NULL, s, "prod", "token", &value, &err) != LC_OK)
 *             puts(err.message);
 *         secrets_wipe(&value);
 *         secrets_close(s);
 *     }
 */
#ifndef LACUS_SECRETS_SECRETS_H
#define LACUS_SECRETS_SECRETS_H
#include "runtime/base/buf.h"
#include "runtime/base/ctx.h"
#include <jansson.h>

/* Databricks' limits, and the least length that can be kept out of outputs. */
enum { SECRET_MAX = 128 * 1024, SECRET_MIN = 4, SECRET_NAME_MAX = 128 };

struct secrets;
enum lc secrets_open(struct secrets **out, struct err *err) MUST_CHECK;
void secrets_close(struct secrets *s); /* NULL is fine */

enum lc secrets_create_scope(const struct ctx *ctx, struct secrets *s, const char *scope,
                             struct err *err) MUST_CHECK;
enum lc secrets_delete_scope(const struct ctx *ctx, struct secrets *s, const char *scope,
                             struct err *err) MUST_CHECK;
/* Replaces a value that is there: its version counts up. */
enum lc secrets_put(const struct ctx *ctx, struct secrets *s, const char *scope, const char *key,
                    const void *value, size_t len, int64_t expires_ms, struct err *err) MUST_CHECK;
enum lc secrets_get(const struct ctx *ctx, struct secrets *s, const char *scope, const char *key,
                    struct buf *out, struct err *err) MUST_CHECK;
enum lc secrets_delete(const struct ctx *ctx, struct secrets *s, const char *scope, const char *key,
                       struct err *err) MUST_CHECK;
/* New array of {name, created_ms, owner}; of {scope, key, version, updated_ms, expires_ms}. */
enum lc secrets_list_scopes(const struct ctx *ctx, struct secrets *s, json_t **out,
                            struct err *err) MUST_CHECK;
enum lc secrets_list(const struct ctx *ctx, struct secrets *s, const char *scope, json_t **out,
                     struct err *err) MUST_CHECK;
void secrets_wipe(struct buf *value); /* overwrites and releases it */
#endif

#include "runtime/secrets/secrets.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/storage/workspace.h"
#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    NONCE = crypto_secretbox_NONCEBYTES,
    KEY = crypto_secretbox_KEYBYTES,
    MAC = crypto_secretbox_MACBYTES
};

struct secrets {
    struct workspace *ws; /* owned */
    unsigned char *key;   /* owned, in sodium's guarded memory; NULL until it is needed */
    char path[4096];      /* of the key file */
};

/* ---- opening ---- */
static const char *const steps[] = {
    "CREATE TABLE secret_scopes(name TEXT PRIMARY KEY, owner TEXT NOT NULL, created_ms INTEGER NOT NULL);"
    "CREATE TABLE secret_values(scope TEXT NOT NULL REFERENCES secret_scopes(name) ON DELETE CASCADE, "
    "key TEXT NOT NULL, sealed BLOB NOT NULL, version INTEGER NOT NULL, updated_ms INTEGER NOT NULL, "
    "expires_ms INTEGER NOT NULL, PRIMARY KEY(scope, key));"};

enum lc secrets_open(struct secrets **out, struct err *err)
{
    struct secrets *s = mem_zalloc(sizeof *s);
    char *path = fs_home("secrets.key", err);
    enum lc rc;

    if (!s || !path) {
        mem_free(s);
        mem_free(path);
        return path ? err_nomem(err) : LC_IO;
    }
    snprintf(s->path, sizeof s->path, "%s", path);
    mem_free(path);
    rc = sodium_init() < 0 ? err_set(err, LC_INTERNAL, "cannot start libsodium")
                           : workspace_open(NULL, &s->ws, err);
    if (rc == LC_OK)
        rc = workspace_migrate(s->ws, "secrets", steps, sizeof steps / sizeof *steps, err);
    if (rc != LC_OK) {
        secrets_close(s);
        return rc;
    }
    *out = s;
    return LC_OK;
}

void secrets_close(struct secrets *s)
{
    if (!s)
        return;
    sodium_free(s->key);
    workspace_close(s->ws);
    mem_free(s);
}

void secrets_wipe(struct buf *value)
{
    if (value->data)
        sodium_memzero(value->data, value->cap);
    buf_release(value);
}

/* ---- the key ---- */

/* Whoever comes first makes it; a link appears whole or not at all. */
static enum lc make_key(const struct secrets *s, struct err *err)
{
    unsigned char key[KEY];
    char hex[17], *beside;
    enum lc rc;

    hex_make(hex, 16);
    beside = mem_printf("%s.%s", s->path, hex);
    if (!beside)
        return err_nomem(err);
    randombytes_buf(key, sizeof key);
    rc = fs_write_private(beside, key, sizeof key, err);
    sodium_memzero(key, sizeof key);
    if (rc == LC_OK && link(beside, s->path) != 0 && errno != EEXIST)
        rc = err_errno(err, errno, "cannot make the key file '%s'", s->path);
    unlink(beside);
    mem_free(beside);
    return rc;
}

static enum lc read_key(struct secrets *s, struct err *err)
{
    struct buf text = BUF_INIT(4096);
    struct stat st;
    enum lc rc = fs_read(s->path, &text, err);

    if (rc == LC_OK && stat(s->path, &st) == 0 && (st.st_mode & 077) != 0) {
        rc = err_set(err, LC_PERM, "cannot use the key file '%s': others can read it", s->path);
        err_hint(err, "chmod 600 %s", s->path);
    } else if (rc == LC_OK && text.len != KEY) {
        rc = err_set(err, LC_DATA, "cannot use the key file '%s': it is damaged (%zu bytes)", s->path,
                     text.len);
    } else if (rc == LC_OK) {
        s->key = sodium_malloc(KEY);
        if (s->key)
            memcpy(s->key, text.data, KEY);
        else
            rc = err_nomem(err);
    }
    secrets_wipe(&text);
    return rc;
}

static bool has_values(struct secrets *s)
{
    struct workspace_rows rows;
    struct err err;
    enum lc rc = workspace_query(s->ws, &rows, &err, "SELECT 1 FROM secret_values LIMIT 1", NULL);
    bool any = rc == LC_OK && workspace_next(&rows, &rc, &err);

    workspace_rows_close(&rows);
    return any;
}

static enum lc need_key(struct secrets *s, struct err *err)
{
    if (s->key)
        return LC_OK;
    if (!fs_exists(s->path)) {
        if (has_values(s)) {
            err_set(err, LC_AUTH, "cannot open secrets: the key file '%s' is gone", s->path);
            return err_hint(err, "put it back from a backup; without it the values cannot be read");
        }
        TRY(make_key(s, err));
    }
    return read_key(s, err);
}

/* A key for this one value. */
static void derive(const struct secrets *s, const char *scope, const char *key, unsigned char out[KEY])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, s->key, KEY, KEY);
    crypto_generichash_update(&state, (const unsigned char *)scope, strlen(scope) + 1);
    crypto_generichash_update(&state, (const unsigned char *)key, strlen(key) + 1);
    crypto_generichash_final(&state, out, KEY);
    sodium_memzero(&state, sizeof state);
}

/* ---- names ---- */
static enum lc check_name(const char *what, const char *name, struct err *err)
{
    size_t n = strlen(name), good = 0;

    while (isalnum((unsigned char)name[good]) || (name[good] && strchr("-_./@", name[good])))
        good++;
    if (n > 0 && n <= SECRET_NAME_MAX && good == n)
        return LC_OK;
    err_set(err, LC_ARG, "'%.140s' cannot be the name of a secret%s", name, what);
    return err_hint(err, "letters, digits and - _ . / @, at most %d of them", (int)SECRET_NAME_MAX);
}

/* Adds "did you mean …" to what is said already: rows have the names that there are. */
static enum lc offer_names(struct workspace_rows *rows, const char *name, struct err *err)
{
    char *names[64];
    struct buf near = BUF_INIT(512);
    size_t n = 0;
    enum lc rc = LC_OK;
    struct err ignored;

    while (n < 64 && workspace_next(rows, &rc, &ignored))
        if ((names[n] = mem_strdup(workspace_text(rows, 0))) != NULL)
            n++;
    workspace_rows_close(rows);
    if (nearest_list(&near, name, (const char *const *)names, n, 3) && near.len)
        err_hint(err, "did you mean %s?", buf_str(&near));
    buf_release(&near);
    for (size_t i = 0; i < n; i++)
        mem_free(names[i]);
    return LC_NOTFOUND;
}

static enum lc need_scope(struct secrets *s, const char *scope, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc;
    bool there;

    TRY(workspace_query(s->ws, &rows, err, "SELECT 1 FROM secret_scopes WHERE name = ?", "t", scope));
    rc = LC_OK;
    there = workspace_next(&rows, &rc, err);
    workspace_rows_close(&rows);
    if (rc != LC_OK || there)
        return rc;
    TRY(workspace_query(s->ws, &rows, err, "SELECT name FROM secret_scopes", NULL));
    err_set(err, LC_NOTFOUND, "there is no secret scope '%s'", scope);
    rc = offer_names(&rows, scope, err);
    if (err && !err->hint[0])
        err_hint(err,
                 "make it: dbutils.secrets.createScope(\"%.100s\"), or lacus secrets create-scope %.100s",
                 scope, scope);
    return rc;
}

static enum lc no_key(struct secrets *s, const char *scope, const char *key, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc;

    TRY(workspace_query(s->ws, &rows, err, "SELECT key FROM secret_values WHERE scope = ?", "t", scope));
    err_set(err, LC_NOTFOUND, "the secret scope '%s' has no key '%s'", scope, key);
    rc = offer_names(&rows, key, err);
    if (err && !err->hint[0])
        err_hint(err, "dbutils.secrets.list(\"%.100s\") lists its keys", scope);
    return rc;
}

/* ---- scopes ---- */
enum lc secrets_create_scope(const struct ctx *ctx, struct secrets *s, const char *scope, struct err *err)
{
    enum lc rc;

    TRY(ctx_check(ctx, err));
    TRY(check_name(" scope", scope, err));
    rc = workspace_exec(s->ws, err, "INSERT INTO secret_scopes(name, owner, created_ms) VALUES(?, ?, ?)",
                        "tti", scope, ctx && ctx->principal ? ctx->principal : "", clock_wall_ms());
    if (rc == LC_EXISTS || rc == LC_CONFLICT)
        return err_set(err, LC_EXISTS, "there is a secret scope '%s' already", scope);
    return rc;
}

enum lc secrets_delete_scope(const struct ctx *ctx, struct secrets *s, const char *scope, struct err *err)
{
    TRY(ctx_check(ctx, err));
    TRY(need_scope(s, scope, err));
    return workspace_exec(s->ws, err, "DELETE FROM secret_scopes WHERE name = ?", "t", scope);
}

/* ---- values ---- */
static enum lc seal(struct secrets *s, const char *scope, const char *key, const void *value, size_t len,
                    struct buf *out, struct err *err)
{
    unsigned char nonce[NONCE], own[KEY];

    TRY(need_key(s, err));
    if (!buf_reserve(out, NONCE + MAC + len))
        return err_nomem(err);
    randombytes_buf(nonce, sizeof nonce);
    derive(s, scope, key, own);
    memcpy(out->data, nonce, NONCE);
    crypto_secretbox_easy((unsigned char *)out->data + NONCE, value, len, nonce, own);
    sodium_memzero(own, sizeof own);
    out->len = NONCE + MAC + len;
    return LC_OK;
}

enum lc secrets_put(const struct ctx *ctx, struct secrets *s, const char *scope, const char *key,
                    const void *value, size_t len, int64_t expires_ms, struct err *err)
{
    struct buf sealed = BUF_INIT(SECRET_MAX + NONCE + MAC + 64);
    enum lc rc;

    TRY(ctx_check(ctx, err));
    TRY(check_name("", key, err));
    if (len > SECRET_MAX)
        return err_set(err, LC_LIMIT, "the value of '%s' is too long for a secret (%zu bytes; at most %d)",
                       key, len, (int)SECRET_MAX);
    if (len < SECRET_MIN)
        return err_set(
            err, LC_ARG,
            "the value of '%s' is too short for a secret: under %d bytes it cannot be kept out of outputs",
            key, (int)SECRET_MIN);
    TRY(need_scope(s, scope, err));
    rc = seal(s, scope, key, value, len, &sealed, err);
    if (rc == LC_OK)
        rc = workspace_exec(
            s->ws, err,
            "INSERT INTO secret_values(scope, key, sealed, version, updated_ms, expires_ms) "
            "VALUES(?, ?, ?, 1, ?, ?) ON CONFLICT(scope, key) DO UPDATE SET sealed = excluded.sealed, "
            "version = version + 1, updated_ms = excluded.updated_ms, expires_ms = excluded.expires_ms",
            "ttbii", scope, key, sealed.data, sealed.len, clock_wall_ms(), expires_ms);
    buf_release(&sealed);
    return rc;
}

static enum lc unseal(struct secrets *s, const char *scope, const char *key, const unsigned char *sealed,
                      size_t len, struct buf *out, struct err *err)
{
    unsigned char own[KEY];
    int opened;

    TRY(need_key(s, err));
    if (len < NONCE + MAC)
        return err_set(err, LC_DATA, "the secret '%s/%s' is damaged", scope, key);
    if (!buf_reserve(out, len))
        return err_nomem(err);
    derive(s, scope, key, own);
    opened = crypto_secretbox_open_easy((unsigned char *)out->data + out->len, sealed + NONCE, len - NONCE,
                                        sealed, own);
    sodium_memzero(own, sizeof own);
    if (opened != 0) {
        err_set(err, LC_AUTH, "cannot open the secret '%s/%s': it was sealed with another key, or is damaged",
                scope, key);
        return err_hint(err, "'%s' is not the key file it was sealed with; put the value again", s->path);
    }
    out->len += len - NONCE - MAC;
    out->data[out->len] = '\0';
    return LC_OK;
}

static enum lc open_row(struct secrets *s, const char *scope, const char *key, struct workspace_rows *rows,
                        struct buf *out, struct err *err)
{
    int64_t expires = workspace_int(rows, 1);
    char when[ISO_TEXT];
    size_t len;
    const void *sealed = workspace_blob(rows, 0, &len);

    if (expires && expires <= clock_wall_ms()) {
        clock_iso(expires, when);
        err_set(err, LC_AUTH, "the secret '%s/%s' has expired (%s)", scope, key, when);
        return err_hint(err, "put a new value: lacus secrets put %.64s %.64s", scope, key);
    }
    return unseal(s, scope, key, sealed, len, out, err);
}

enum lc secrets_get(const struct ctx *ctx, struct secrets *s, const char *scope, const char *key,
                    struct buf *out, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc = LC_OK;
    bool there;

    TRY(ctx_check(ctx, err));
    TRY(need_scope(s, scope, err));
    TRY(workspace_query(s->ws, &rows, err,
                        "SELECT sealed, expires_ms FROM secret_values WHERE scope = ? AND key = ?", "tt",
                        scope, key));
    there = workspace_next(&rows, &rc, err);
    if (there)
        rc = open_row(s, scope, key, &rows, out, err);
    workspace_rows_close(&rows);
    return rc != LC_OK || there ? rc : no_key(s, scope, key, err);
}

enum lc secrets_delete(const struct ctx *ctx, struct secrets *s, const char *scope, const char *key,
                       struct err *err)
{
    TRY(ctx_check(ctx, err));
    TRY(need_scope(s, scope, err));
    TRY(workspace_exec(s->ws, err, "DELETE FROM secret_values WHERE scope = ? AND key = ?", "tt", scope,
                       key));
    return workspace_changes(s->ws) ? LC_OK : no_key(s, scope, key, err);
}

/* ---- lists ---- */
enum lc secrets_list_scopes(const struct ctx *ctx, struct secrets *s, json_t **out, struct err *err)
{
    struct workspace_rows rows;
    json_t *list;
    enum lc rc = LC_OK;

    TRY(ctx_check(ctx, err));
    TRY(workspace_query(s->ws, &rows, err, "SELECT name, created_ms, owner FROM secret_scopes ORDER BY name",
                        NULL));
    list = json_array();
    while (workspace_next(&rows, &rc, err))
        json_array_append_new(list, json_pack("{s:s, s:I, s:s}", "name", workspace_text(&rows, 0),
                                              "created_ms", (json_int_t)workspace_int(&rows, 1), "owner",
                                              workspace_text(&rows, 2)));
    workspace_rows_close(&rows);
    if (rc == LC_OK)
        *out = list;
    else
        json_decref(list);
    return rc;
}

enum lc secrets_list(const struct ctx *ctx, struct secrets *s, const char *scope, json_t **out,
                     struct err *err)
{
    struct workspace_rows rows;
    json_t *list;
    enum lc rc = LC_OK;

    TRY(ctx_check(ctx, err));
    TRY(need_scope(s, scope, err));
    TRY(workspace_query(
        s->ws, &rows, err,
        "SELECT key, version, updated_ms, expires_ms FROM secret_values WHERE scope = ? ORDER BY key", "t",
        scope));
    list = json_array();
    while (workspace_next(&rows, &rc, err))
        json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:I, s:I}", "scope", scope, "key",
                                              workspace_text(&rows, 0), "version",
                                              (json_int_t)workspace_int(&rows, 1), "updated_ms",
                                              (json_int_t)workspace_int(&rows, 2), "expires_ms",
                                              (json_int_t)workspace_int(&rows, 3)));
    workspace_rows_close(&rows);
    if (rc == LC_OK)
        *out = list;
    else
        json_decref(list);
    return rc;
}

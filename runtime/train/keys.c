#include "runtime/train/keys.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <ctype.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAGIC "lacus-worker-key-1"
enum { FILE_MOST = 1024, ROWS_MOST = 4096 };

void key_make(struct key_pair *k)
{
    if (sodium_init() < 0) /* once per process; later calls do nothing */
        return;
    (void)crypto_box_keypair(k->pub, k->sec); /* the pair that zmq_curve_keypair makes, without Z85 */
}

void key_wipe(struct key_pair *k)
{
    sodium_memzero(k, sizeof *k);
}

void key_hex(const unsigned char bytes[KEY_BYTES], char out[KEY_HEX])
{
    sodium_bin2hex(out, KEY_HEX, bytes, KEY_BYTES);
}

bool key_from_hex(const char *hex, unsigned char out[KEY_BYTES])
{
    size_t n = 0;

    return strlen(hex) == KEY_HEX - 1 &&
           sodium_hex2bin(out, KEY_BYTES, hex, KEY_HEX - 1, NULL, &n, NULL) == 0 && n == KEY_BYTES;
}

bool worker_name_valid(const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || n >= KEY_NAME || name[0] == '.')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
            return false;
    return true;
}

enum lc key_load_or_make(const char *path, struct key_pair *k, struct err *err)
{
    char hex[KEY_HEX];
    struct buf text = BUF_INIT(FILE_MOST);
    enum lc rc = fs_read(path, &text, err);

    if (rc == LC_NOTFOUND) {
        key_make(k);
        key_hex(k->sec, hex);
        rc = fs_write_private(path, hex, KEY_HEX - 1, err);
        sodium_memzero(hex, sizeof hex);
    } else if (rc == LC_OK) {
        if (text.len > KEY_HEX - 1)
            text.data[KEY_HEX - 1] = '\0';
        if (!key_from_hex(buf_str(&text), k->sec))
            rc = err_set(err, LC_PARSE, "cannot use the key in '%s': not 64 hexadecimal digits", path);
        else
            (void)crypto_scalarmult_base(k->pub, k->sec);
    }
    if (text.data)
        sodium_memzero(text.data, text.len);
    buf_release(&text);
    return rc;
}

enum lc worker_key_format(const struct worker_key *k, char *out, size_t size, struct err *err)
{
    char server[KEY_HEX], pub[KEY_HEX], sec[KEY_HEX];
    int n;

    key_hex(k->server, server);
    key_hex(k->mine.pub, pub);
    key_hex(k->mine.sec, sec);
    n = snprintf(out, size, MAGIC " %s %s %s %s", k->name, server, pub, sec);
    sodium_memzero(sec, sizeof sec);
    return n > 0 && (size_t)n < size ? LC_OK : err_set(err, LC_LIMIT, "worker key does not fit");
}

enum lc worker_key_parse(const char *text, struct worker_key *k, struct err *err)
{
    char name[KEY_NAME], server[KEY_HEX], pub[KEY_HEX], sec[KEY_HEX];
    unsigned char derived[KEY_BYTES];
    bool ok = sscanf(text, MAGIC " %63s %64s %64s %64s", name, server, pub, sec) == 4 &&
              worker_name_valid(name) && key_from_hex(server, k->server) && key_from_hex(pub, k->mine.pub) &&
              key_from_hex(sec, k->mine.sec) && crypto_scalarmult_base(derived, k->mine.sec) == 0 &&
              sodium_memcmp(derived, k->mine.pub, KEY_BYTES) == 0;

    sodium_memzero(sec, sizeof sec);
    if (!ok)
        return err_set(err, LC_PARSE, "not a worker key");
    (void)snprintf(k->name, sizeof k->name, "%s", name);
    return LC_OK;
}

enum lc worker_key_load(const char *path, struct worker_key *k, struct err *err)
{
    struct buf text = BUF_INIT(FILE_MOST);
    struct stat st;
    enum lc rc = fs_read(path, &text, err);

    if (rc == LC_OK && stat(path, &st) == 0 && (st.st_mode & 077) != 0) {
        rc = err_set(err, LC_PERM, "cannot use the worker key '%s': other users may read it", path);
        (void)err_hint(err, "run: chmod 600 '%s'", path);
    }
    if (rc == LC_OK && worker_key_parse(buf_str(&text), k, err) != LC_OK) {
        rc = err_set(err, LC_PARSE, "cannot use the worker key '%s': not a key file", path);
        (void)err_hint(
            err, "'lacus worker invite NAME' on the machine with the workspace prints a line that makes one");
    }
    if (text.data)
        sodium_memzero(text.data, text.len);
    buf_release(&text);
    return rc;
}

enum lc worker_key_save(const char *path, const struct worker_key *k, struct err *err)
{
    char line[FILE_MOST];
    enum lc rc = worker_key_format(k, line, sizeof line, err);

    if (rc == LC_OK)
        rc = fs_write_private(path, line, strlen(line), err);
    sodium_memzero(line, sizeof line);
    return rc;
}

struct row {
    unsigned char pub[KEY_BYTES];
    char name[KEY_NAME];
    bool revoked;
};

struct allow {
    pthread_mutex_t lock;
    struct row *rows; /* owned */
    size_t n;
};

struct allow *allow_new(void)
{
    struct allow *a = mem_zalloc(sizeof *a);

    if (a)
        pthread_mutex_init(&a->lock, NULL);
    return a;
}

void allow_free(struct allow *a)
{
    if (!a)
        return;
    pthread_mutex_destroy(&a->lock);
    mem_free(a->rows);
    mem_free(a);
}

static struct row *row_named(struct allow *a, const char *name)
{
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->rows[i].name, name) == 0)
            return &a->rows[i];
    return NULL;
}

static struct row *row_new(struct allow *a)
{
    struct row *rows = a->n < ROWS_MOST ? mem_reallocn(a->rows, a->n + 1, sizeof *rows) : NULL;

    if (!rows)
        return NULL;
    a->rows = rows;
    return &rows[a->n++];
}

bool allow_add(struct allow *a, const char *name, const unsigned char pub[KEY_BYTES])
{
    struct row *r;

    if (!worker_name_valid(name))
        return false;
    pthread_mutex_lock(&a->lock);
    r = row_named(a, name);
    if (!r)
        r = row_new(a);
    if (r) {
        memset(r, 0, sizeof *r);
        memcpy(r->pub, pub, KEY_BYTES);
        (void)snprintf(r->name, sizeof r->name, "%s", name);
    }
    pthread_mutex_unlock(&a->lock);
    return r != NULL;
}

void allow_revoke(struct allow *a, const char *name)
{
    struct row *r;

    pthread_mutex_lock(&a->lock);
    r = row_named(a, name);
    if (r)
        r->revoked = true;
    pthread_mutex_unlock(&a->lock);
}

void allow_remove(struct allow *a, const char *name)
{
    struct row *r;

    pthread_mutex_lock(&a->lock);
    r = row_named(a, name);
    if (r)
        *r = a->rows[--a->n];
    pthread_mutex_unlock(&a->lock);
}

bool allow_key(struct allow *a, const void *pub, char name[KEY_NAME])
{
    size_t found = SIZE_MAX;

    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < a->n; i++)
        if ((sodium_memcmp(a->rows[i].pub, pub, KEY_BYTES) == 0) & !a->rows[i].revoked)
            found = i;
    if (found != SIZE_MAX)
        memcpy(name, a->rows[found].name, KEY_NAME);
    pthread_mutex_unlock(&a->lock);
    return found != SIZE_MAX;
}

bool allow_user(struct allow *a, const char *name)
{
    const struct row *r;
    bool ok;

    pthread_mutex_lock(&a->lock);
    r = name && *name ? row_named(a, name) : NULL;
    ok = r && !r->revoked;
    pthread_mutex_unlock(&a->lock);
    return ok;
}

/* keys.h: CURVE key pairs, the files they are kept in, and the list of worker keys that a coordinator admits.
 *
 * What      a worker's key file holds its own pair and the server's public key; the allow-list answers a ZAP
 *           request by public key and each message by its User-Id (the worker's name).
 * Ownership keys are plain data: key_wipe when done. allow_new gives, allow_free ends.
 * Units     keys are 32 bytes, in files 64 hexadecimal digits.
 * Errors    LC_PARSE for a file that is no key file, LC_NOTFOUND, LC_PERM when others may read it.
 * Threads   keys: any. An allow-list is used by several threads at once (it has its own lock).
 *
 * Example:
 *     struct key_pair k;
 *     key_make(&k);
 *     struct allow *a = allow_new();
 *     if (a && allow_add(a, "box", k.pub))
 *         puts("admitted");
 *     allow_free(a);
 *     key_wipe(&k);
 */
#ifndef LACUS_TRAIN_KEYS_H
#define LACUS_TRAIN_KEYS_H
#include "runtime/base/err.h"
#include <stddef.h>

enum { KEY_BYTES = 32, KEY_HEX = 65, KEY_NAME = 64 };

struct key_pair {
    unsigned char pub[KEY_BYTES], sec[KEY_BYTES];
};

struct worker_key { /* what a worker's key file says */
    struct key_pair mine;
    unsigned char server[KEY_BYTES];
    char name[KEY_NAME];
};

void key_make(struct key_pair *k);
void key_wipe(struct key_pair *k);
void key_hex(const unsigned char bytes[KEY_BYTES], char out[KEY_HEX]);
bool key_from_hex(const char *hex, unsigned char out[KEY_BYTES]);

/* A pair in a file (0600); key_load_or_make makes it when it is not there. */
enum lc key_load_or_make(const char *path, struct key_pair *k, struct err *err) MUST_CHECK;

/* One line: "lacus-worker-key-1 NAME SERVER PUBLIC SECRET". */
enum lc worker_key_format(const struct worker_key *k, char *out, size_t size, struct err *err) MUST_CHECK;
enum lc worker_key_parse(const char *text, struct worker_key *k, struct err *err) MUST_CHECK;
enum lc worker_key_load(const char *path, struct worker_key *k, struct err *err) MUST_CHECK;
enum lc worker_key_save(const char *path, const struct worker_key *k, struct err *err) MUST_CHECK;
bool worker_name_valid(const char *name); /* letters, digits, . _ -; at most KEY_NAME - 1 */

struct allow;
struct allow *allow_new(void);
void allow_free(struct allow *a);
bool allow_add(struct allow *a, const char *name,
               const unsigned char pub[KEY_BYTES]); /* false: full or no memory */
void allow_revoke(struct allow *a, const char *name);
void allow_remove(struct allow *a, const char *name); /* revoked, and its place is free again */
bool allow_key(struct allow *a, const void *pub, char name[KEY_NAME]); /* constant time over all rows */
bool allow_user(struct allow *a, const char *name);                    /* "" and revoked names: false */
#endif

/* connection.h: the connection file that a Jupyter client writes before it starts a kernel.
 *
 * What      parses the JSON of a connection file and makes the addresses to bind.
 * Ownership plain data, nothing to release.
 * Errors    LC_PARSE (not JSON, with the offset), LC_DATA (a member is missing, of a wrong type or out of
 *           range; it is named), LC_UNSUPPORTED (a signature scheme or transport that is not ours). Input
 *           longer than CONNECTION_BYTES_MAX is LC_LIMIT.
 * Threads   any.
 *
 * Example:
 *     struct connection c;
 *     struct err err;
 *     if (connection_read("kernel-1.json", &c, &err) != LC_OK)
 *         puts(err.message);
 */
#ifndef LACUS_KERNEL_CONNECTION_H
#define LACUS_KERNEL_CONNECTION_H
#include "runtime/base/err.h"
#include <stddef.h>

enum channel { CHANNEL_SHELL, CHANNEL_STDIN, CHANNEL_IOPUB, CHANNEL_CONTROL, CHANNEL_HB, CHANNEL_COUNT };
enum {
    CONNECTION_BYTES_MAX = 64 << 10,
    CONNECTION_IP_MAX = 256,
    CONNECTION_KEY_MAX = 1024,
    CONNECTION_CURVE_MAX = 41
};
enum { CONNECTION_ADDRESS_MAX = CONNECTION_IP_MAX + 32 };

struct connection {
    char transport[8]; /* "tcp" or "ipc" */
    char ip[CONNECTION_IP_MAX];
    int port[CHANNEL_COUNT];
    char key[CONNECTION_KEY_MAX]; /* empty: messages are not signed */
    size_t key_len;
    /* CURVE keys of the server in Z85; both empty: not encrypted */
    char curve_public[CONNECTION_CURVE_MAX], curve_secret[CONNECTION_CURVE_MAX];
};

enum lc connection_parse(const char *text, size_t len, struct connection *out, struct err *err) MUST_CHECK;
enum lc connection_read(const char *path, struct connection *out, struct err *err) MUST_CHECK;
/* What ZeroMQ binds for a channel: "tcp://127.0.0.1:5001" or "ipc:///run/k-1". */
void connection_address(const struct connection *c, enum channel channel, char out[CONNECTION_ADDRESS_MAX]);
const char *channel_name(enum channel channel); /* "shell" */
#endif

/* url.h: Spark Connect's connection strings: sc://host:port/;key=value;…
 *
 * What      reads one: use_ssl, token, user_id, user_agent, session_id; every other key is a header of each
 *           call (x-databricks-cluster-id). Values are URL-encoded. A token without use_ssl means TLS, but for this machine
 *           itself (localhost, 127.*, [::1]).
 * Ownership connect_url_release frees the texts.
 * Errors    LC_ARG that says what is wrong and shows the form; the token is never in a message.
 * Threads   any.
 *
 * Example:
 *     struct connect_url u;
 *     if (connect_url_parse("sc://localhost:15002", &u, &err) == LC_OK)
 *         connect_url_release(&u);
 */
#ifndef LACUS_DATAFRAME_CONNECT_URL_H
#define LACUS_DATAFRAME_CONNECT_URL_H
#include "runtime/base/err.h"
#include <stddef.h>

enum { CONNECT_PORT = 15002, CONNECT_HEADERS = 64 };

struct connect_header {
    char *name, *value; /* owned; names in lower case */
};

struct connect_url {
    char *host; /* owned; without brackets */
    int port;
    bool tls;
    char *token, *user_id, *user_agent, *session_id; /* owned; NULL: not given */
    struct connect_header headers[CONNECT_HEADERS];
    size_t n_headers;
};

enum lc connect_url_parse(const char *text, struct connect_url *out, struct err *err) MUST_CHECK;
void connect_url_release(struct connect_url *u);
bool connect_is_local(const char *host);
#endif

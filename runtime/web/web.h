/* web.h: an HTTP client: what the plugin `curl` (libcurl) gives.
 *
 * What      a client keeps connections; a call is one request on it, driven by whoever waits: step() works for at most so many
 *           milliseconds, then the caller looks whether it was interrupted. Certificates are verified, proxies come from the
 *           environment (http_proxy, https_proxy, all_proxy, no_proxy), redirects never leave http and https, and credentials
 *           never follow them to another host.
 * Ownership client_open → client_close, after all its calls; start → finish. The texts of a request are borrowed until finish.
 *           What info() tells is borrowed from the call.
 * Units     bytes of the decoded body; milliseconds.
 * Errors    LC_ARG (the URL), LC_NET (no connection, a certificate that is not trusted), LC_TIMEOUT, LC_LIMIT (the body is longer
 *           than it may be), LC_IO (a file to send). A status like 404 is no error. Passwords in URLs are not told.
 * Threads   one at a time for a client and its calls.
 *
 * Example:
 *     struct web_request q = {.method = "GET", .url = "https://example.org/", .verify = true};
 *     struct web_client *client;
 *     struct web_call *call;
 *     struct web_info info = {0};
 *     struct err err;
 *     const struct web_vtable *web = web_load(&err);
 *     if (web && web->client_open(&client, &err) == LC_OK) {
 *         if (web->start(client, &q, &call, &err) == LC_OK) {
 *             while (!info.done && web->step(call, 100, &err) == LC_OK)
 *                 web->info(call, &info);
 *             printf("%d %s\n", info.status, buf_str(web->body(call)));
 *             web->finish(call);
 *         }
 *         web->client_close(client);
 *     }
 */
#ifndef LACUS_WEB_WEB_H
#define LACUS_WEB_WEB_H
#include "runtime/base/buf.h"
#include "runtime/base/ctx.h"

struct web_part { /* of a multipart form */
    const char *name;
    const char *value, *file; /* one of them: text, or the path of a file */
    size_t len;               /* of value */
};

struct web_request {
    const char *method, *url;
    const char *const *headers; /* "Name: value"; */
    size_t n_headers;
    const char *body; /* NULL: none */
    size_t body_len;
    const char *body_file;        /* sent instead of body; NULL: none */
    const struct web_part *parts; /* sent instead of body */
    size_t n_parts;
    const char *user, *password; /* NULL: none */
    const char *bearer;          /* a token; NULL: none */
    bool verify;                 /* the certificate of the server */
    const char *ca_file;         /* trusted instead of the system's; NULL: those, or SSL_CERT_FILE */
    const char *cert, *key;      /* of the client; PEM files; NULL: none */
    const char *proxy;           /* NULL: of the environment; "": none */
    int timeout_ms;              /* for the whole call; of a stream: without anything coming; 0: none */
    int connect_ms;              /* 0: 10 s */
    int redirects;               /* followed at most; 0: none */
    size_t max_bytes;            /* of the body; 0: 1 GB */
    size_t pause_bytes;          /* so many may wait in `body` before reading stops; 0: it does not stop */
};

struct web_info {
    bool headers; /* they are complete: status, url and fields are known */
    bool done;
    int status;
    const char *url;    /* after redirects */
    const char *fields; /* "Name: value\r\n…" of the last answer */
    const char *reason; /* "Not Found"; may be empty */
    double seconds;
    int64_t received, length; /* bytes of the body; length -1: not told */
};

struct web_client;
struct web_call;
enum { WEB_VERSION = 1 };

struct web_vtable {
    int version; /* WEB_VERSION */
    enum lc (*client_open)(struct web_client **out, struct err *err);
    void (*client_close)(struct web_client *client);
    enum lc (*start)(struct web_client *client, const struct web_request *request, struct web_call **out,
                     struct err *err);
    /* Works for at most ms; what has come is in body(). An error is the call's end. */
    enum lc (*step)(struct web_call *call, int ms, struct err *err);
    struct buf *(*body)(struct web_call *call); /* take from its front, or clear it, at will */
    void (*info)(const struct web_call *call, struct web_info *out);
    void (*finish)(struct web_call *call);
};

const struct web_vtable *web_load(struct err *err); /* NULL on failure */

/* A URL without what should not be told: user and password, and the values of its query. */
void web_shown(const char *url, struct buf *out);
#endif

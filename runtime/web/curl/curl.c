/* curl.c: the plugin `curl`: web.h over libcurl. One multi handle per client keeps the connections. */
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/web/web.h"
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FIELDS_MAX = 1 << 20, CONNECT_MS = 10000 };
#define BODY_MAX ((size_t)1 << 30)

struct web_client {
    CURLM *multi; /* owned */
};

struct web_call {
    struct web_client *client; /* borrowed */
    CURL *easy;                /* owned */
    struct curl_slist *headers;
    curl_mime *form;
    FILE *file; /* what is sent; owned */
    struct buf body, fields, shown;
    size_t max_bytes, pause_bytes;
    int64_t received, heard_ns; /* when something came last */
    int idle_ms;                /* of a stream */
    bool paused, follows, too_long, headers_done, done, added;
    CURLcode result;
    char text[CURL_ERROR_SIZE];
    char reason[128];
};

/* ---- what comes ---- */
static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
    struct web_call *c = arg;
    size_t len = one * n;

    c->headers_done = true;
    c->heard_ns = clock_mono_ns();
    if (c->pause_bytes && c->body.len >= c->pause_bytes) {
        c->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if ((size_t)c->received + len > c->max_bytes) {
        c->too_long = true;
        return 0;
    }
    c->received += (int64_t)len;
    return buf_add(&c->body, data, len) ? len : 0;
}

/* "HTTP/1.1 200 OK": another answer begins (after a redirect, a 401, a 100). */
static void on_status(struct web_call *c, const char *line, size_t len)
{
    const char *end = line + len, *p = memchr(line, ' ', len);

    buf_clear(&c->fields);
    c->reason[0] = '\0';
    p = p && p < end ? memchr(p + 1, ' ', (size_t)(end - p - 1)) : NULL;
    while (end > line && (end[-1] == '\r' || end[-1] == '\n'))
        end--;
    if (p && p + 1 < end)
        snprintf(c->reason, sizeof c->reason, "%.*s", (int)(end - p - 1), p + 1);
}

/* The end of an answer's head: is it the last one? */
static void on_head_end(struct web_call *c)
{
    long status = 0;

    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 &&
        !(c->follows && status >= 300 && status < 400 && strcasestr(buf_str(&c->fields), "location:")))
        c->headers_done = true;
}

static size_t on_field(char *data, size_t one, size_t n, void *arg)
{
    struct web_call *c = arg;
    size_t len = one * n;

    c->heard_ns = clock_mono_ns();
    if (len > 5 && memcmp(data, "HTTP/", 5) == 0)
        on_status(c, data, len);
    else if (len > 2)
        return buf_add(&c->fields, data, len) ? len : 0;
    else
        on_head_end(c);
    return len;
}

/* ---- what goes ---- */
static enum lc set_headers(struct web_call *c, const struct web_request *q, struct err *err)
{
    for (size_t i = 0; i < q->n_headers; i++) {
        struct curl_slist *list;
        size_t n = strlen(q->headers[i]);
        if (strpbrk(q->headers[i], "\r\n"))
            return err_set(err, LC_ARG, "a header of the request has a line break in it");
        /* "Name:" takes a header away; "Name;" sends it empty */
        char *empty = n && q->headers[i][n - 1] == ':' ? mem_strdup(q->headers[i]) : NULL;
        if (empty)
            empty[n - 1] = ';';
        list = curl_slist_append(c->headers, empty ? empty : q->headers[i]);
        mem_free(empty);
        if (!list)
            return err_nomem(err);
        c->headers = list;
    }
    curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
    return LC_OK;
}

static enum lc set_form(struct web_call *c, const struct web_request *q, struct err *err)
{
    c->form = curl_mime_init(c->easy);
    for (size_t i = 0; c->form && i < q->n_parts; i++) {
        curl_mimepart *part = curl_mime_addpart(c->form);
        if (!part || curl_mime_name(part, q->parts[i].name) != CURLE_OK)
            return err_nomem(err);
        if (q->parts[i].file) {
            if (curl_mime_filedata(part, q->parts[i].file) != CURLE_OK)
                return err_set(err, LC_IO, "cannot read the file '%s' that is to be sent", q->parts[i].file);
        } else if (curl_mime_data(part, q->parts[i].value, q->parts[i].len) != CURLE_OK) {
            return err_nomem(err);
        }
    }
    if (!c->form)
        return err_nomem(err);
    curl_easy_setopt(c->easy, CURLOPT_MIMEPOST, c->form);
    return LC_OK;
}

static enum lc set_file(struct web_call *c, const struct web_request *q, struct err *err)
{
    c->file = fopen(q->body_file, "rbe");
    if (!c->file || fseeko(c->file, 0, SEEK_END) != 0)
        return err_errno(err, errno, "cannot read the file '%s' that is to be sent", q->body_file);
    off_t size = ftello(c->file);
    rewind(c->file);
    curl_easy_setopt(c->easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(c->easy, CURLOPT_READDATA, c->file);
    curl_easy_setopt(c->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
    return LC_OK;
}

static enum lc set_body(struct web_call *c, const struct web_request *q, struct err *err)
{
    bool head = strcasecmp(q->method, "HEAD") == 0;

    if (q->n_parts)
        TRY(set_form(c, q, err));
    else if (q->body_file)
        TRY(set_file(c, q, err));
    else if (q->body) {
        curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
        curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, q->body);
    }
    if (head)
        curl_easy_setopt(c->easy, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, q->method);
    return LC_OK;
}

static void set_trust(CURL *easy, const struct web_request *q)
{
    const char *file = q->ca_file ? q->ca_file : getenv("SSL_CERT_FILE");
    const char *folder = getenv("SSL_CERT_DIR");

    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, q->verify ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, q->verify ? 2L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (file && *file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, file);
    if (!q->ca_file && folder && *folder)
        curl_easy_setopt(easy, CURLOPT_CAPATH, folder);
    if (q->cert)
        curl_easy_setopt(easy, CURLOPT_SSLCERT, q->cert);
    if (q->key)
        curl_easy_setopt(easy, CURLOPT_SSLKEY, q->key);
}

static void set_auth(CURL *easy, const struct web_request *q)
{
    if (q->user) {
        curl_easy_setopt(easy, CURLOPT_USERNAME, q->user);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, q->password ? q->password : "");
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    } else if (q->bearer) {
        curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, q->bearer);
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
    }
}

static void set_limits(struct web_call *c, const struct web_request *q)
{
    CURL *easy = c->easy;

    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* an interrupt does not wait for a slow name server */
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, q->redirects > 0 ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)q->redirects);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(q->connect_ms ? q->connect_ms : CONNECT_MS));
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    if (q->pause_bytes)
        c->idle_ms = q->timeout_ms;
    else if (q->timeout_ms)
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)q->timeout_ms);
    if (q->proxy)
        curl_easy_setopt(easy, CURLOPT_PROXY, q->proxy);
}

static void finish(struct web_call *c)
{
    if (c->added)
        curl_multi_remove_handle(c->client->multi, c->easy);
    curl_easy_cleanup(c->easy);
    curl_slist_free_all(c->headers);
    curl_mime_free(c->form);
    if (c->file)
        fclose(c->file);
    buf_release(&c->body);
    buf_release(&c->fields);
    buf_release(&c->shown);
    mem_free(c);
}

static enum lc set_up(struct web_call *c, const struct web_request *q, struct err *err)
{
    c->easy = curl_easy_init();
    if (!c->easy)
        return err_nomem(err);
    web_shown(q->url, &c->shown);
    curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->text);
    curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
    curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_field);
    curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(c->easy, CURLOPT_USERAGENT, "lacus/" LACUS_VERSION);
    if (curl_easy_setopt(c->easy, CURLOPT_URL, q->url) != CURLE_OK)
        return err_nomem(err);
    set_limits(c, q);
    set_trust(c->easy, q);
    set_auth(c->easy, q);
    TRY(set_body(c, q, err));
    TRY(set_headers(c, q, err));
    CURLMcode code = curl_multi_add_handle(c->client->multi, c->easy);
    c->added = code == CURLM_OK;
    return c->added ? LC_OK : err_set(err, LC_NET, "cannot begin a request: %s", curl_multi_strerror(code));
}

static enum lc start(struct web_client *client, const struct web_request *q, struct web_call **out,
                     struct err *err)
{
    struct web_call *c = mem_zalloc(sizeof *c);
    enum lc rc;

    if (!c)
        return err_nomem(err);
    c->client = client;
    c->max_bytes = q->max_bytes ? q->max_bytes : BODY_MAX;
    c->pause_bytes = q->pause_bytes;
    c->follows = q->redirects > 0;
    c->heard_ns = clock_mono_ns();
    buf_init(&c->body, c->max_bytes + CURL_MAX_WRITE_SIZE);
    buf_init(&c->fields, FIELDS_MAX);
    buf_init(&c->shown, 1 << 16);
    rc = set_up(c, q, err);
    if (rc == LC_OK)
        *out = c;
    else
        finish(c);
    return rc;
}

/* ---- driving ---- */
static const struct {
    CURLcode result;
    enum lc code;
    const char *hint;
} failures[] = {
    {CURLE_URL_MALFORMAT, LC_ARG, "a URL is like https://host/path"},
    {CURLE_UNSUPPORTED_PROTOCOL, LC_ARG, "http:// and https:// are spoken"},
    {CURLE_OPERATION_TIMEDOUT, LC_TIMEOUT, "timeout = seconds allows more"},
    {CURLE_PEER_FAILED_VERIFICATION, LC_NET,
     "verify = \"ca.pem\" names a certificate to trust beside the system's; SSL_CERT_FILE does for all "
     "calls"},
    {CURLE_SSL_CACERT_BADFILE, LC_NET, "verify names a PEM file of certificates"},
    {CURLE_COULDNT_RESOLVE_HOST, LC_NET, "is the name right, and this machine on a network?"},
    {CURLE_COULDNT_RESOLVE_PROXY, LC_NET,
     "the environment names a proxy: http_proxy, https_proxy, all_proxy"},
    {CURLE_COULDNT_CONNECT, LC_NET, "does the server run?"},
    {CURLE_TOO_MANY_REDIRECTS, LC_LIMIT, "max_redirects = n allows more"},
    {CURLE_OUT_OF_MEMORY, LC_NOMEM, ""},
    {CURLE_READ_ERROR, LC_IO, ""},
};

static enum lc failed(struct web_call *c, struct err *err)
{
    const char *text = *c->text ? c->text : curl_easy_strerror(c->result), *hint = "";
    enum lc code = LC_NET;

    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        if (failures[i].result == c->result) {
            code = failures[i].code;
            hint = failures[i].hint;
        }
    if (c->too_long) {
        code = LC_LIMIT;
        err_set(err, code, "the answer of '%s' is longer than %zu bytes", buf_str(&c->shown), c->max_bytes);
        hint = "max_bytes = n allows more; output = \"path\" and http.stream keep it out of memory";
    } else {
        err_set(err, code, "cannot fetch '%s': %s", buf_str(&c->shown), text);
    }
    if (*hint)
        err_hint(err, "%s", hint);
    return code;
}

static void note_ends(struct web_client *client)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(client->multi, &left)) != NULL) {
        struct web_call *c = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
        if (c) {
            c->done = c->headers_done = true;
            c->result = m->data.result;
        }
    }
}

static enum lc step(struct web_call *c, int ms, struct err *err)
{
    size_t had = c->body.len;
    int running = 0;

    if (c->paused && c->body.len < c->pause_bytes) {
        c->paused = false;
        curl_easy_pause(c->easy, CURLPAUSE_CONT);
    }
    if (!c->done) {
        curl_multi_perform(c->client->multi, &running);
        note_ends(c->client);
    }
    if (!c->done && !c->paused && c->body.len == had) {
        curl_multi_poll(c->client->multi, NULL, 0, ms, NULL);
        curl_multi_perform(c->client->multi, &running);
        note_ends(c->client);
    }
    if (c->done && c->result != CURLE_OK)
        return failed(c, err);
    if (!c->done && c->idle_ms && !c->paused && (clock_mono_ns() - c->heard_ns) / 1000000 > c->idle_ms) {
        err_set(err, LC_TIMEOUT, "nothing came from '%s' for %d ms", buf_str(&c->shown), c->idle_ms);
        return err_hint(err, "timeout = seconds allows more");
    }
    return LC_OK;
}

static struct buf *body(struct web_call *c)
{
    return &c->body;
}

static void info(const struct web_call *c, struct web_info *out)
{
    long status = 0;
    char *url = NULL;
    double seconds = 0;
    curl_off_t length = -1;

    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(c->easy, CURLINFO_EFFECTIVE_URL, &url);
    curl_easy_getinfo(c->easy, CURLINFO_TOTAL_TIME, &seconds);
    curl_easy_getinfo(c->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    *out = (struct web_info){.headers = c->headers_done,
                             .done = c->done,
                             .status = (int)status,
                             .url = url ? url : "",
                             .fields = buf_str(&c->fields),
                             .reason = c->reason,
                             .seconds = seconds,
                             .received = c->received,
                             .length = length};
}

/* ---- clients ---- */
static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static enum lc client_open(struct web_client **out, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT; /* libcurl's own rule: once per process */
    struct web_client *client = mem_zalloc(sizeof *client);

    pthread_once(&once, global_init);
    if (client)
        client->multi = curl_multi_init();
    if (!client || !client->multi) {
        mem_free(client);
        return err_nomem(err);
    }
    *out = client;
    return LC_OK;
}

static void client_close(struct web_client *client)
{
    if (!client)
        return;
    curl_multi_cleanup(client->multi);
    mem_free(client);
}

extern const struct web_vtable lacus_curl;
const struct web_vtable lacus_curl = {.version = WEB_VERSION,
                                      .client_open = client_open,
                                      .client_close = client_close,
                                      .start = start,
                                      .step = step,
                                      .body = body,
                                      .info = info,
                                      .finish = finish};

#include "runtime/dataframe/connect/url.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TEXT_MAX = 64 << 10 };

static enum lc wrong(struct err *err, const char *why)
{
    err_set(err, LC_ARG, "[CANNOT_PARSE_CONNECTION_STRING] not a Spark Connect address: %s", why);
    return err_hint(err, "write it as sc://host:port/;token=…;use_ssl=true;x-header=value");
}

bool connect_is_local(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

/* ---- pieces ---- */
static int hex(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                        : -1;
}

/* %41 → A. What it gives must be printable: it goes into headers. NULL: it is not, or there is no memory. */
static char *decode(const char *s, size_t n)
{
    char *out = mem_alloc(n + 1);
    size_t len = 0;

    for (size_t i = 0; out && i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '%' && n - i > 2 && hex(s[i + 1]) >= 0 && hex(s[i + 2]) >= 0) {
            c = (unsigned char)(hex(s[i + 1]) * 16 + hex(s[i + 2]));
            i += 2;
        }
        if (c < 0x20 || c == 0x7f) {
            mem_free(out);
            return NULL;
        }
        out[len++] = (char)c;
    }
    if (out)
        out[len] = '\0';
    return out;
}

static enum lc parse_port(const char *s, size_t n, int *port, struct err *err)
{
    char text[8], *end;
    long v;

    if (n == 0 || n >= sizeof text)
        return wrong(err, "the port is not a number between 1 and 65535");
    memcpy(text, s, n);
    text[n] = '\0';
    v = strtol(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end || v < 1 || v > 65535)
        return wrong(err, "the port is not a number between 1 and 65535");
    *port = (int)v;
    return LC_OK;
}

static bool host_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("-._~:%", c)) || (unsigned char)c >= 0x80;
}

static enum lc take_host(const char *s, size_t n, struct connect_url *out, struct err *err)
{
    if (n == 0)
        return wrong(err, "the host is missing");
    for (size_t i = 0; i < n; i++)
        if (!host_char(s[i]))
            return wrong(err, "the host has a character that no host has");
    out->host = mem_strndup(s, n);
    return out->host ? LC_OK : err_nomem(err);
}

static enum lc parse_authority(const char *s, size_t n, struct connect_url *out, struct err *err)
{
    const char *close = n && *s == '[' ? memchr(s, ']', n) : NULL, *colon;

    if (n && *s == '[') {
        if (!close)
            return wrong(err, "'[' without ']'");
        TRY(take_host(s + 1, (size_t)(close - s - 1), out, err));
        if (close + 1 == s + n)
            return LC_OK;
        if (close[1] != ':')
            return wrong(err, "text between ']' and the port");
        return parse_port(close + 2, (size_t)(s + n - close - 2), &out->port, err);
    }
    colon = memchr(s, ':', n);
    TRY(take_host(s, colon ? (size_t)(colon - s) : n, out, err));
    return colon ? parse_port(colon + 1, (size_t)(s + n - colon - 1), &out->port, err) : LC_OK;
}

/* ---- parameters ---- */
struct parsed {
    struct connect_url *url;
    int use_ssl; /* -1: not said */
};

static enum lc add_header(struct connect_url *u, char *name, char *value, struct err *err)
{
    if (u->n_headers == CONNECT_HEADERS) {
        mem_free(name);
        mem_free(value);
        return wrong(err, "more than 64 headers");
    }
    u->headers[u->n_headers++] = (struct connect_header){name, value};
    return LC_OK;
}

static bool header_name(char *name)
{
    for (char *c = name; *c; c++) {
        *c = (char)tolower((unsigned char)*c);
        if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_' && *c != '.')
            return false;
    }
    return *name != '\0' && strncmp(name, "grpc-", 5) != 0;
}

static enum lc set_parameter(struct parsed *p, char *name, char *value, struct err *err)
{
    struct connect_url *u = p->url;
    char **slots[] = {&u->token, &u->user_id, &u->user_agent, &u->session_id};
    static const char *const names[] = {"token", "user_id", "user_agent", "session_id"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) {
            mem_free(*slots[i]);
            *slots[i] = value;
            mem_free(name);
            return LC_OK;
        }
    if (strcmp(name, "use_ssl") == 0) {
        p->use_ssl = strcasecmp(value, "true") == 0;
        bool known = p->use_ssl || strcasecmp(value, "false") == 0;
        mem_free(name);
        mem_free(value);
        return known ? LC_OK : wrong(err, "use_ssl is true or false");
    }
    if (!header_name(name)) {
        mem_free(name);
        mem_free(value);
        return wrong(err, "a parameter's name has a character that no header has");
    }
    return add_header(u, name, value, err);
}

static enum lc parse_parameter(struct parsed *p, const char *s, size_t n, struct err *err)
{
    const char *equals = memchr(s, '=', n);
    char *name, *value;

    if (n == 0)
        return LC_OK;
    if (!equals || equals == s)
        return wrong(err, "a parameter is key=value, and parameters are separated by ';'");
    name = decode(s, (size_t)(equals - s));
    value = decode(equals + 1, (size_t)(s + n - equals - 1));
    if (!name || !value || !*value) {
        mem_free(name);
        mem_free(value);
        return wrong(err, "a parameter without a value, or with control characters");
    }
    return set_parameter(p, name, value, err);
}

static enum lc check_session(const struct connect_url *u, struct err *err)
{
    const char *s = u->session_id;

    for (size_t i = 0; s && i < 37; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (i == 36 ? s[i] != '\0' : dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
            return wrong(err, "session_id is not a UUID");
    }
    return LC_OK;
}

static enum lc parse(const char *text, struct parsed *p, struct err *err)
{
    const char *rest, *slash;

    if (strlen(text) > TEXT_MAX)
        return wrong(err, "it is longer than 64 KiB");
    if (strncmp(text, "sc://", 5) != 0)
        return wrong(err, "it does not begin with sc://");
    rest = text + 5;
    slash = strchr(rest, '/');
    if (!slash && strchr(rest, ';'))
        return wrong(err, "'/' is missing before the first ';'");
    TRY(parse_authority(rest, slash ? (size_t)(slash - rest) : strlen(rest), p->url, err));
    if (!slash || slash[1] == '\0')
        return LC_OK;
    if (slash[1] != ';')
        return wrong(err, "a path: parameters begin with '/;'");
    for (const char *s = slash + 2;; s++) {
        const char *end = strchr(s, ';');
        TRY(parse_parameter(p, s, end ? (size_t)(end - s) : strlen(s), err));
        if (!end)
            return check_session(p->url, err);
        s = end;
    }
}

enum lc connect_url_parse(const char *text, struct connect_url *out, struct err *err)
{
    struct parsed p = {out, -1};
    enum lc rc;

    *out = (struct connect_url){.port = CONNECT_PORT};
    rc = parse(text, &p, err);
    if (rc != LC_OK) {
        connect_url_release(out);
        return rc;
    }
    out->tls = p.use_ssl == 1 || (p.use_ssl == -1 && out->token && !connect_is_local(out->host));
    if (out->token && !out->tls && !connect_is_local(out->host)) {
        connect_url_release(out);
        return wrong(
            err, "a token would travel in the clear: use_ssl=false goes with a token only on this machine");
    }
    return LC_OK;
}

void connect_url_release(struct connect_url *u)
{
    mem_free(u->host);
    mem_free(u->token);
    mem_free(u->user_id);
    mem_free(u->user_agent);
    mem_free(u->session_id);
    for (size_t i = 0; i < u->n_headers; i++) {
        mem_free(u->headers[i].name);
        mem_free(u->headers[i].value);
    }
    *u = (struct connect_url){0};
}

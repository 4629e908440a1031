#include "runtime/serving/cors.h"
#include <string.h>

static const char METHODS[] = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

static bool listed(const struct cors *c, const char *origin)
{
    const json_t *one;
    size_t i;

    json_array_foreach (c->origins, i, one)
        if (strcmp(json_string_value(one), origin) == 0)
            return true;
    return false;
}

static void add(struct http_response *r, const char *name, const char *value)
{
    if (r->n_headers < HTTP_HEADERS)
        r->headers[r->n_headers++] = (struct http_header){name, value};
}

/* Whether this origin may read the answer; said in it. */
static bool allow(const struct cors *c, const char *origin, struct http_response *r)
{
    bool any = listed(c, "*"), allowed = any || listed(c, origin);

    if (any)
        add(r, "Access-Control-Allow-Origin", "*");
    else
        add(r, "Vary", "Origin"); /* a cache keeps an answer for each */
    if (allowed && !any)
        add(r, "Access-Control-Allow-Origin", origin);
    return allowed;
}

static bool known_method(const char *method)
{
    const char *at = strstr(METHODS, method);
    size_t n = strlen(method);

    return n && at && (at == METHODS || at[-1] == ' ') && (at[n] == ',' || !at[n]);
}

bool cors_preflight(const struct cors *c, const struct http_request *q, struct http_response *response)
{
    bool origin, method;

    if (!c->origins || !q->origin || !q->asks_method || strcmp(q->method, "OPTIONS") != 0)
        return false;
    origin = allow(c, q->origin, response);
    method = known_method(q->asks_method);
    add(response, "Access-Control-Allow-Methods", METHODS);
    add(response, "Access-Control-Max-Age", "600");
    if (q->asks_headers)
        add(response, "Access-Control-Allow-Headers", q->asks_headers);
    response->status = origin && method ? 200 : 400;
    response->content_type = "text/plain; charset=utf-8";
    buf_printf(&response->body, "%s%s%s%s", origin && method ? "OK" : "Disallowed CORS ",
               origin ? "" : "origin", origin || method ? "" : ", ", method ? "" : "method");
    return true;
}

void cors_allow(const struct cors *c, const struct http_request *q, struct http_response *response)
{
    if (c->origins && q->origin)
        (void)allow(c, q->origin, response);
}

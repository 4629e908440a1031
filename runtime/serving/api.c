#include "runtime/base/plugin.h"
#include "runtime/serving/api_int.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

const struct http_vtable *http_load(struct err *err)
{
    const struct http_vtable *http = plugin_symbol("http", "lacus_http", err);

    if (http && http->version != HTTP_VERSION) {
        err_set(err, LC_MISSING, "the plugin 'http' is of another version of lacus");
        err_hint(err, "run 'make' again");
        return NULL;
    }
    return http;
}

/* ---- failures ---- */
static const char *type_of(int status)
{
    return status == 401   ? "authentication_error"
           : status == 429 ? "rate_limit_error"
           : status >= 500 ? "server_error"
                           : "invalid_request_error";
}

static const char *databricks_code(int status)
{
    return status == 404   ? "RESOURCE_DOES_NOT_EXIST"
           : status == 401 ? "UNAUTHENTICATED"
           : status == 429 ? "REQUEST_LIMIT_EXCEEDED"
           : status == 503 ? "TEMPORARILY_UNAVAILABLE"
           : status >= 500 ? "INTERNAL_ERROR"
                           : "BAD_REQUEST";
}

static int status_of(const struct ask *a, const struct err *err)
{
    int status = lc_http(err->code);

    if (a->status)
        return a->status;
    return status == 422 || status == 501 ? 400 : status; /* what the client sent cannot be used */
}

static void put_failure(const struct ask *a, const struct err *err, struct http_response *response)
{
    int status = status_of(a, err);
    struct buf message = BUF_INIT(4096);
    json_t *json;
    char *text;

    buf_printf(&message, "%s%s%s", err->message, err->hint[0] ? "; " : "", err->hint);
    json = json_pack("{s:s,s:s,s:{s:s,s:s,s:s?,s:s?}}", "error_code", databricks_code(status), "message",
                     buf_str(&message), "error", "message", buf_str(&message), "type", type_of(status),
                     "param", a->param, "code", a->code);
    text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    buf_clear(&response->body);
    buf_puts(&response->body,
             text ? text : "{\"error\":{\"message\":\"out of memory\",\"type\":\"server_error\"}}");
    response->status = status;
    response->retry_after = status == 429 || status == 503 ? 1 : 0;
    free(text);
    json_decref(json);
    buf_release(&message);
}

/* ---- who asks, for what ---- */
static bool allowed(const struct api *api, const struct http_request *q)
{
    unsigned char want[crypto_generichash_BYTES], got[crypto_generichash_BYTES];
    const char *given =
        q->authorization && strncmp(q->authorization, "Bearer ", 7) == 0 ? q->authorization + 7 : "";

    if (!api->api_key)
        return true;
    crypto_generichash(want, sizeof want, (const unsigned char *)api->api_key, strlen(api->api_key), NULL, 0);
    crypto_generichash(got, sizeof got, (const unsigned char *)given, strlen(given), NULL, 0);
    return sodium_memcmp(want, got, sizeof want) == 0; /* of equal length, whatever was sent */
}

/* The whole name, what the server was started with, or the name alone of catalog.schema.name. */
static bool is_base(const struct api *api, const char *name)
{
    const char *whole = service_name(api->service), *dot = strrchr(whole, '.');

    return strcmp(name, whole) == 0 || strcmp(name, service_source(api->service)) == 0 ||
           (dot && strcmp(name, dot + 1) == 0);
}

static enum lc no_model(struct ask *a, const char *name, struct err *err)
{
    const struct service *s = a->api->service;
    struct buf names = BUF_INIT(4096);

    for (size_t i = 0; i < service_adapters(s); i++)
        buf_printf(&names, ", '%.200s'", service_adapter(s, i));
    a->param = "model";
    a->code = "model_not_found";
    err_set(err, LC_NOTFOUND, "the model '%.200s' is not served here; '%.200s'%s %s", name, service_name(s),
            buf_str(&names), names.len ? "are" : "is");
    buf_release(&names);
    return LC_NOTFOUND;
}

/* The base, or one of its adapters. */
static enum lc choose_model(struct ask *a, const char *name, struct err *err)
{
    const struct service *s = a->api->service;

    for (size_t i = 0; i < service_adapters(s); i++)
        if (strcmp(name, service_adapter(s, i)) == 0) {
            a->options.generate.adapter = i + 1;
            return LC_OK;
        }
    return is_base(a->api, name) ? LC_OK : no_model(a, name, err);
}

const char *ask_model(const struct ask *a)
{
    size_t adapter = a->options.generate.adapter;

    return adapter ? service_adapter(a->api->service, adapter - 1) : service_name(a->api->service);
}

static enum lc read_body(struct ask *a, struct err *err)
{
    json_error_t json_error;
    const json_t *named;
    const char *model;

    a->body = json_loadb(a->request->body, a->request->body_len, JSON_ALLOW_NUL, &json_error);
    if (!a->body && json_error_code(&json_error) == json_error_numeric_overflow)
        return err_set(err, LC_ARG,
                       "the request has a number that 64 bits do not hold: %s (line %d, column %d)",
                       json_error.text, json_error.line, json_error.column);
    if (!a->body)
        return err_set(err, LC_PARSE, "the request's body is not JSON: %s (line %d, column %d)",
                       json_error.text, json_error.line, json_error.column);
    if (!json_is_object(a->body))
        return err_set(err, LC_PARSE, "the request's body is not a JSON object");
    named = json_object_get(a->body, "model");
    model = json_string_value(named);
    if (named && !json_is_null(named) && !model)
        return ask_wrong(a, "model", err, "must be a text");
    if (model && strlen(model) != json_string_length(named))
        return ask_wrong(a, "model", err, "has a NUL character in it");
    return model ? choose_model(a, model, err) : LC_OK;
}

/* ---- small routes ---- */
static enum lc put_text(struct http_response *response, const char *text)
{
    response->status = 200;
    response->content_type = "text/plain; charset=utf-8";
    buf_puts(&response->body, text);
    return LC_OK;
}

static enum lc route_ping(struct ask *a, struct http_response *response, struct err *err)
{
    (void)a, (void)err;
    return put_text(response, "\n");
}

static enum lc route_health(struct ask *a, struct http_response *response, struct err *err)
{
    (void)a, (void)err;
    return put_text(response, "OK");
}

static enum lc route_version(struct ask *a, struct http_response *response, struct err *err)
{
    (void)a, (void)err;
    return put_text(response, LACUS_VERSION);
}

static json_t *model_json(const struct ask *a)
{
    const struct service *s = a->api->service;
    size_t adapter = a->options.generate.adapter;

    return json_pack("{s:s,s:s,s:I,s:s,s:s,s:s?,s:I}", "id", ask_model(a), "object", "model", "created",
                     (json_int_t)service_created(s), "owned_by", "lacus", "root",
                     adapter ? service_adapter_source(s, adapter - 1) : service_source(s), "parent",
                     adapter ? service_name(s) : NULL, "max_model_len", (json_int_t)service_context(s));
}

static enum lc route_models(struct ask *a, struct http_response *response, struct err *err)
{
    size_t *shown = &a->options.generate.adapter, n = service_adapters(a->api->service);
    json_t *list = json_array();

    for (*shown = 0; *shown <= n; ++*shown)
        json_array_append_new(list, model_json(a));
    *shown = 0;
    return put_json(response, json_pack("{s:s,s:o}", "object", "list", "data", list), err);
}

static enum lc route_model(struct ask *a, struct http_response *response, struct err *err)
{
    TRY(choose_model(a, a->request->path + strlen("/v1/models/"), err));
    return put_json(response, model_json(a), err);
}

/* /serving-endpoints/NAME/invocations */
static enum lc route_endpoint(struct ask *a, struct http_response *response, struct err *err)
{
    const char *name = a->request->path + strlen("/serving-endpoints/");
    size_t n = strlen(name), tail = strlen("/invocations");
    char endpoint[300];

    if (n <= tail || n - tail >= sizeof endpoint || strcmp(name + n - tail, "/invocations") != 0) {
        a->code = "unknown_url";
        return err_set(err, LC_NOTFOUND, "there is no '%.200s' here", a->request->path);
    }
    memcpy(endpoint, name, n - tail);
    endpoint[n - tail] = '\0';
    TRY(choose_model(a, endpoint, err));
    return route_invocations(a, response, err);
}

/* ---- the table ---- */
enum { OPEN = 1, PREFIX = 2 }; /* OPEN: without a key */

static const struct route {
    const char *method, *path;
    unsigned flags;
    enum lc (*run)(struct ask *a, struct http_response *response, struct err *err);
} routes[] = {
    {"GET", "/ping", OPEN, route_ping},
    {"GET", "/health", OPEN, route_health},
    {"GET", "/version", OPEN, route_version},
    {"GET", "/v1/models", 0, route_models},
    {"GET", "/v1/models/", PREFIX, route_model},
    {"POST", "/v1/chat/completions", 0, route_chat},
    {"POST", "/v1/completions", 0, route_completions},
    {"POST", "/invocations", 0, route_invocations},
    {"POST", "/serving-endpoints/chat/completions", 0, route_chat},
    {"POST", "/serving-endpoints/completions", 0, route_completions},
    {"POST", "/serving-endpoints/", PREFIX, route_endpoint},
};

static bool path_matches(const struct route *r, const char *path)
{
    return r->flags & PREFIX ? strncmp(path, r->path, strlen(r->path)) == 0 && path[strlen(r->path)]
                             : strcmp(path, r->path) == 0;
}

static enum lc find_route(struct ask *a, const struct route **out, struct err *err)
{
    const struct http_request *q = a->request;
    const char *other = NULL;

    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (!path_matches(&routes[i], q->path))
            continue;
        if (strcmp(routes[i].method, q->method) == 0 ||
            (strcmp(q->method, "HEAD") == 0 && strcmp(routes[i].method, "GET") == 0)) {
            *out = &routes[i];
            return LC_OK;
        }
        other = routes[i].method;
    }
    a->code = "unknown_url";
    if (other) {
        a->status = 405;
        return err_set(err, LC_ARG, "'%.200s' takes %s, not %.20s", q->path, other, q->method);
    }
    err_set(err, LC_NOTFOUND, "there is no '%.200s' here", q->path);
    return err_hint(
        err,
        "/v1/models lists what is served; /v1/chat/completions, /v1/completions and /invocations answer");
}

static enum lc handle(struct ask *a, struct http_response *response, struct err *err)
{
    const struct route *route = NULL;

    TRY(find_route(a, &route, err));
    if (!(route->flags & OPEN) && !allowed(a->api, a->request)) {
        a->code = "invalid_api_key";
        return err_set(err, LC_AUTH, "the API key is missing or wrong (Authorization: Bearer …)");
    }
    if (strcmp(route->method, "POST") == 0)
        TRY(read_body(a, err));
    return route->run(a, response, err);
}

void api_handle(void *arg, const struct http_request *request, struct http_response *response)
{
    struct ask a = {.api = arg, .request = request};
    struct err err = {.code = LC_OK};

    generate_defaults(&a.options.generate);
    a.options.generate.max_new_tokens = 0; /* as many as the context holds */
    a.options.generate.temperature = 1;    /* OpenAI's default */
    if (cors_preflight(&a.api->cors, request, response))
        return;
    if (handle(&a, response, &err) != LC_OK)
        put_failure(&a, &err, response);
    cors_allow(&a.api->cors, request, response);
    ask_release(&a);
}

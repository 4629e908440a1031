/* api.h: the routes of a served model: OpenAI's, MLflow's and Databricks'.
 *
 * What      one function answers every request of runtime/serving/http.h; the routes are rows of one table.
 * Ownership the struct is the caller's and outlives the server.
 * Units     those of the protocols.
 * Errors    are answers in the protocol's shape: {"error": {message, type, param, code}}; Databricks' routes
 *           also have error_code and message on top.
 * Threads   any number at once.
 *
 * Example:
 *     struct api api = {.service = s, .gone = http->gone};
 *     struct http_options o = {.host = "127.0.0.1", .port = 8000, .handle = api_handle, .arg = &api};
 */
#ifndef LACUS_SERVING_API_H
#define LACUS_SERVING_API_H
#include "runtime/serving/cors.h"
#include "runtime/serving/http.h"
#include "runtime/serving/service.h"

struct api {
    struct service *service;              /* borrowed */
    const char *api_key;                  /* borrowed; NULL: none is asked for */
    struct cors cors;                     /* which pages may ask */
    bool (*gone)(const void *connection); /* the HTTP server's; NULL: clients never go */
};

void api_handle(void *arg, const struct http_request *request, struct http_response *response);
#endif

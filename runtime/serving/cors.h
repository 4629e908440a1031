/* cors.h: cross-origin requests of browsers (CORS), answered as vLLM's server answers them: by Starlette's rules, with all
 * methods and headers and without credentials.
 *
 * What      a preflight is answered here, and never reaches a route or a key; every other answer says which origin may read it.
 * Ownership nothing is owned: header values point into the request, which outlives its answer.
 * Errors    none.
 * Threads   any: the rules do not change.
 *
 * Example:
 *     struct cors cors = {.origins = origins};
 *     if (!cors_preflight(&cors, request, response)) {
 *         answer(request, response);
 *         cors_allow(&cors, request, response);
 *     }
 */
#ifndef LACUS_SERVING_CORS_H
#define LACUS_SERVING_CORS_H
#include "runtime/serving/http.h"
#include <jansson.h>

struct cors {
    const json_t *origins; /* borrowed: a list of texts, "*" is any; NULL: browsers are told nothing */
};

/* True: it was one, and response is its answer. */
bool cors_preflight(const struct cors *c, const struct http_request *q, struct http_response *response);
void cors_allow(const struct cors *c, const struct http_request *q, struct http_response *response);
#endif

#include "runtime/web/web.h"
#include "runtime/base/plugin.h"
#include <string.h>

enum { SLICE_MS = 10 };

const struct web_vtable *web_load(struct err *err)
{
    const struct web_vtable *web = plugin_symbol("curl", "lacus_curl", err);

    if (web && web->version != WEB_VERSION) {
        err_set(err, LC_MISSING, "the plugin 'curl' is of another version of lacus");
        err_hint(err, "run 'make' in lacus's folder");
        return NULL;
    }
    return web;
}

static enum lc drive(const struct ctx *ctx, const struct web_vtable *web, struct web_call *call,
                     struct web_answer *answer, struct err *err)
{
    struct web_info info;

    do {
        TRY(ctx_check(ctx, err));
        TRY(web->step(call, SLICE_MS, err));
        web->info(call, &info);
        buf_add(&answer->body, buf_str(web->body(call)), web->body(call)->len);
        buf_clear(web->body(call));
        TRY(buf_check(&answer->body, err));
    } while (!info.done);
    answer->status = info.status;
    if (answer->fields.max)
        buf_puts(&answer->fields, info.fields);
    return LC_OK;
}

enum lc web_fetch(const struct ctx *ctx, struct web_client *client, const struct web_request *request,
                  struct web_answer *answer, struct err *err)
{
    const struct web_vtable *web = web_load(err);
    struct web_client *own = NULL;
    struct web_call *call = NULL;
    enum lc rc = web ? LC_OK : LC_MISSING;

    if (rc == LC_OK && !client)
        rc = web->client_open(&own, err);
    if (rc == LC_OK)
        rc = web->start(client ? client : own, request, &call, err);
    if (rc == LC_OK)
        rc = drive(ctx, web, call, answer, err);
    if (call)
        web->finish(call);
    if (own)
        web->client_close(own);
    return rc;
}

void web_answer_release(struct web_answer *answer)
{
    buf_release(&answer->body);
    buf_release(&answer->fields);
}

void web_shown(const char *url, struct buf *out)
{
    const char *host = strstr(url, "://"), *at, *end;

    host = host ? host + 3 : url;
    end = host + strcspn(host, "/?#");
    at = memrchr(host, '@', (size_t)(end - host));
    buf_add(out, url, (size_t)(host - url));
    host = at ? at + 1 : host;
    buf_add(out, host, strcspn(host, "?#"));
    if (host[strcspn(host, "?#")] == '?')
        buf_puts(out, "?…");
}

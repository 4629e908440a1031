#include "runtime/web/web.h"
#include "runtime/base/plugin.h"
#include <string.h>

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

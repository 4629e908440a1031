/* connect_url_fuzz.c: no connection string may crash the reader; what it accepts has a host, a port, and headers that can be sent. */
#include "runtime/dataframe/connect/url.h"
#include <string.h>

#include "tests/fuzz/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct connect_url u;
    struct err err;
    char *text = malloc(size + 1);

    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    if (connect_url_parse(text, &u, &err) == LC_OK) {
        if (!u.host || !*u.host || u.port < 1 || u.port > 65535 ||
            (u.token && !u.tls && !connect_is_local(u.host)))
            abort();
        for (size_t i = 0; i < u.n_headers; i++)
            if (!*u.headers[i].name || strpbrk(u.headers[i].name, "\r\n :ABCXYZ") ||
                strpbrk(u.headers[i].value, "\r\n"))
                abort();
        connect_url_release(&u);
    } else if (!err.message[0]) {
        abort();
    }
    free(text);
    return 0;
}

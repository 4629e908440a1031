/* token.c: where the token comes from: the connection string, a command, a file, the environment; in this order. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/process.h"
#include "runtime/dataframe/engines/spark/client_int.h"
#include <stdlib.h>
#include <string.h>

enum { TOKEN_MAX = 64 << 10 };

static void collect(void *arg, int stream, const char *data, size_t len)
{
    if (stream == 1)
        buf_add(arg, data, len);
}

static enum lc run_command(const struct client *c, struct buf *out, struct err *err)
{
    const char *argv[] = {"/bin/sh", "-c", c->token_command, NULL};
    int status;

    TRY(process_run(NULL, argv, NULL, collect, out, &status, err));
    if (status == 0)
        return LC_OK;
    err_set(err, LC_AUTH, "the command that gives the token for '%s' failed with exit status %d",
            c->authority, status);
    return err_hint(err, "it is set in lacus.connect.tokenCommand or LACUS_SPARK_TOKEN_COMMAND");
}

static enum lc from_environment(struct buf *out)
{
    static const char *const names[] = {"SPARK_CONNECT_AUTHENTICATE_TOKEN", "DATABRICKS_TOKEN"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value && out->len == 0)
            buf_puts(out, value);
    }
    return LC_OK;
}

/* A token of the environment goes only where it is safe: through TLS, or to this machine. */
static bool safe(const struct client *c)
{
    return c->url.tls || connect_is_local(c->url.host);
}

static enum lc read_token(const struct client *c, struct buf *out, struct err *err)
{
    if (c->url.token)
        buf_puts(out, c->url.token);
    else if (!safe(c))
        return LC_OK;
    else if (c->token_command)
        return run_command(c, out, err);
    else if (c->token_file)
        return fs_read(c->token_file, out, err);
    else
        return from_environment(out);
    return LC_OK;
}

enum lc token_load(struct client *c, struct err *err)
{
    struct buf text = BUF_INIT(TOKEN_MAX);
    char *token = NULL;
    enum lc rc = read_token(c, &text, err);
    size_t n;

    if (rc == LC_OK)
        rc = buf_check(&text, err);
    n = strcspn(buf_str(&text), " \t\r\n");
    if (rc == LC_OK && n && (token = mem_strndup(buf_str(&text), n)) == NULL)
        rc = err_nomem(err);
    buf_release(&text);
    if (rc != LC_OK)
        return rc;
    pthread_mutex_lock(&c->lock);
    mem_free(c->token);
    c->token = token;
    pthread_mutex_unlock(&c->lock);
    return LC_OK;
}

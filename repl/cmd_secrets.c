/* cmd_secrets.c: lacus secrets: scopes and sealed values. A value is read from standard input or asked for, never taken from the
 * command line, which other users can see. */
#include "repl/command.h"
#include "repl/listing.h"
#include "runtime/base/clock.h"
#include "runtime/secrets/secrets.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

struct job {
    struct ctx ctx;
    struct secrets *secrets;
    struct arguments a;
};

static enum lc list(void *self, struct err *err)
{
    struct job *j = self;
    static const struct listing_column scopes[] = {
        {"name", "SCOPE", LISTING_TEXT}, {"created_ms", "CREATED (UTC)", LISTING_TIME}, {0}};
    static const struct listing_column keys[] = {{"key", "KEY", LISTING_TEXT},
                                                 {"version", "VERSION", LISTING_TEXT},
                                                 {"updated_ms", "UPDATED (UTC)", LISTING_TIME},
                                                 {"expires_ms", "EXPIRES (UTC)", LISTING_TIME},
                                                 {0}};
    const char *scope = j->a.words[0] ? j->a.words[1] : NULL;
    json_t *rows;

    TRY(scope ? secrets_list(&j->ctx, j->secrets, scope, &rows, err)
              : secrets_list_scopes(&j->ctx, j->secrets, &rows, err));
    listing_print(rows, scope ? keys : scopes, j->a.json);
    json_decref(rows);
    return LC_OK;
}

static enum lc create_scope(void *self, struct err *err)
{
    struct job *j = self;
    return secrets_create_scope(&j->ctx, j->secrets, j->a.words[1], err);
}

static enum lc delete_scope(void *self, struct err *err)
{
    struct job *j = self;
    return secrets_delete_scope(&j->ctx, j->secrets, j->a.words[1], err);
}

static enum lc get(void *self, struct err *err)
{
    struct job *j = self;
    struct buf value = BUF_INIT(2 * SECRET_MAX);
    enum lc rc = secrets_get(&j->ctx, j->secrets, j->a.words[1], j->a.words[2], &value, err);

    if (rc == LC_OK && fwrite(value.data, 1, value.len, stdout) != value.len)
        rc = err_set(err, LC_IO, "cannot write the value");
    if (rc == LC_OK && isatty(STDOUT_FILENO))
        putchar('\n');
    secrets_wipe(&value);
    return rc;
}

static enum lc delete_secret(void *self, struct err *err)
{
    struct job *j = self;
    return secrets_delete(&j->ctx, j->secrets, j->a.words[1], j->a.words[2], err);
}

/* ---- put ---------------------------------------------------------------------------------------------- */

static void read_all(struct buf *value)
{
    char chunk[4096];
    ssize_t n;

    while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0)
        buf_add(value, chunk, (size_t)n);
}

/* On a terminal: one line, not shown. From a pipe: all of it, without a line end at the end. */
static enum lc read_value(const char *scope, const char *key, struct buf *value, struct err *err)
{
    struct termios before, quiet;
    bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;

    if (terminal) {
        char line[4096] = "";
        quiet = before;
        quiet.c_lflag &= (tcflag_t)~ECHO;
        fprintf(stderr, "value of %s/%s: ", scope, key);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
        if (fgets(line, sizeof line, stdin))
            buf_puts(value, line);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    } else {
        read_all(value);
    }
    if (value->len && value->data[value->len - 1] == '\n')
        value->data[--value->len] = '\0';
    return buf_check(value, err);
}

/* "30d", "12h", "90m" → a time from now on. */
static enum lc read_expiry(const char *text, int64_t *out, struct err *err)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'d', 86400000}, {'h', 3600000}, {'m', 60000}};
    char *end;
    long n;

    *out = 0;
    if (!text)
        return LC_OK;
    errno = 0;
    n = strtol(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (end != text && errno == 0 && n > 0 && n < 100000 && end[0] == units[i].unit && !end[1]) {
            *out = clock_wall_ms() + n * units[i].ms;
            return LC_OK;
        }
    return err_set(err, LC_ARG, "cannot read --expires '%s': 30d, 12h or 90m are understood", text);
}

static enum lc put(void *self, struct err *err)
{
    struct job *j = self;
    struct buf value = BUF_INIT(2 * SECRET_MAX);
    int64_t expires;
    enum lc rc;

    TRY(read_expiry(arguments_option(&j->a, "--expires"), &expires, err));
    rc = read_value(j->a.words[1], j->a.words[2], &value, err);
    if (rc == LC_OK)
        rc = secrets_put(&j->ctx, j->secrets, j->a.words[1], j->a.words[2], buf_str(&value), value.len,
                         expires, err);
    secrets_wipe(&value);
    return rc;
}

/* ---- the verbs ---------------------------------------------------------------------------------------- */

static const struct listing_verb verbs[] = {{"list", "[SCOPE]", list},
                                            {"create-scope", "SCOPE", create_scope},
                                            {"delete-scope", "SCOPE", delete_scope},
                                            {"put", "SCOPE KEY", put},
                                            {"get", "SCOPE KEY", get},
                                            {"delete", "SCOPE KEY", delete_secret},
                                            {0}};

static enum lc open_job(void *self, struct err *err)
{
    struct job *j = self;
    return secrets_open(&j->secrets, err);
}

static void close_job(void *self)
{
    struct job *j = self;
    secrets_close(j->secrets);
}

int cmd_secrets(int argc, char **argv)
{
    static const char *const options[] = {"--expires", NULL};
    static const struct listing_command command = {"secrets", options, verbs, open_job, close_job};
    struct job j = {.ctx = ctx_background()};

    return listing_run(&command, argc, argv, &j.a, &j);
}

#include "runtime/base/err.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *ename, *text;
    int http, exit_code;
} rows[] = {
#define LC(name, ename, http, exitcode, text) {#name, ename, text, http, exitcode},
#include "runtime/base/errors.def"
#undef LC
};

static bool in_range(enum lc code)
{
    return (unsigned)code < LC_COUNT;
}

const char *lc_name(enum lc code)
{
    return in_range(code) ? rows[code].name : "INTERNAL";
}

const char *lc_ename(enum lc code)
{
    return in_range(code) ? rows[code].ename : "InternalError";
}

const char *lc_text(enum lc code)
{
    return in_range(code) ? rows[code].text : "internal error";
}

int lc_http(enum lc code)
{
    return in_range(code) ? rows[code].http : 500;
}

int lc_exit(enum lc code)
{
    return in_range(code) ? rows[code].exit_code : 70;
}

enum lc lc_from_name(const char *name)
{
    for (int i = 0; i < LC_COUNT; i++)
        if (name && strcmp(rows[i].name, name) == 0)
            return (enum lc)i;
    return LC_INTERNAL;
}

void err_clear(struct err *err)
{
    if (!err)
        return;
    err->code = LC_OK;
    err->position = -1;
    err->message[0] = err->hint[0] = err->cause[0] = '\0';
}

enum lc err_vset(struct err *err, enum lc code, const char *fmt, va_list ap)
{
    if (!err)
        return code;
    char text[sizeof err->message]; /* the arguments may point into err itself */
    vsnprintf(text, sizeof text, fmt, ap);
    err_clear(err);
    err->code = code;
    memcpy(err->message, text, sizeof text);
    return code;
}

enum lc err_set(struct err *err, enum lc code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    err_vset(err, code, fmt, ap);
    va_end(ap);
    return code;
}

static enum lc from_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENOTDIR:
        return LC_NOTFOUND;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* ulimit -f */
        return LC_NOSPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return LC_PERM;
    case EEXIST:
        return LC_EXISTS;
    case ENOMEM:
        return LC_NOMEM;
    case ETIMEDOUT:
        return LC_TIMEOUT;
    default:
        return LC_IO;
    }
}

enum lc err_errno(struct err *err, int errnum, const char *fmt, ...)
{
    enum lc code = from_errno(errnum);
    va_list ap;
    size_t used;

    if (!err)
        return code;
    va_start(ap, fmt);
    err_vset(err, code, fmt, ap);
    va_end(ap);
    used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, ": %s", strerror(errnum));
    if (code == LC_NOSPACE)
        err_hint(err, "free some space or set LACUS_HOME to another disk, then try again");
    return code;
}

enum lc err_nomem(struct err *err)
{
    return err_set(err, LC_NOMEM, "out of memory");
}

enum lc err_hint(struct err *err, const char *fmt, ...)
{
    va_list ap;

    if (!err)
        return LC_INTERNAL;
    va_start(ap, fmt);
    vsnprintf(err->hint, sizeof err->hint, fmt, ap);
    va_end(ap);
    return err->code;
}

enum lc err_at(struct err *err, int64_t position)
{
    if (!err)
        return LC_INTERNAL;
    err->position = position;
    return err->code;
}

enum lc err_wrap(struct err *err, const char *fmt, ...)
{
    char text[sizeof err->message];
    va_list ap;

    if (!err)
        return LC_INTERNAL;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    snprintf(err->cause, sizeof err->cause, "%.*s", (int)sizeof err->cause - 1, err->message);
    memcpy(err->message, text, sizeof text);
    return err->code;
}

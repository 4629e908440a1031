/* err.h: how every part of lacus reports failure.
 *
 * What      a function that can fail returns `enum lc` (0 = LC_OK) and takes a last `struct err *err`, which
 *           may be NULL. On failure it fills err; on success it leaves err untouched.
 * Ownership the caller owns the struct, usually on its stack; it holds no pointers, so there is nothing to
 *           release.
 * Text      message: no capital, no full stop; what failed, then the subject in 'quotes', where: "cannot open
 *           table 'a.b': not in catalog". hint: what to do next.
 * Units     position: byte offset in the text at fault (SQL, JSON, Lua), or -1.
 * Errors    err_set returns the code it was given, so `return err_set(err, LC_IO, "…")` is the usual form.
 * Threads   any; no state.
 *
 * Example:
 *     enum lc read_answer(const char *path, int *out, struct err *err)
 *     {
 *         if (!path)
 *             return err_set(err, LC_ARG, "cannot read the answer: no path given");
 *         *out = 42;
 *         return LC_OK;
 *     }
 */
#ifndef LACUS_BASE_ERR_H
#define LACUS_BASE_ERR_H
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum lc {
#define LC(name, ename, http, exitcode, text) LC_##name,
#include "runtime/base/errors.def"
#undef LC
    LC_COUNT
};

struct err {
    enum lc code;
    int64_t position;   /* byte offset in the text at fault, or -1 */
    char message[1024]; /* what failed, the thing in quotes, where */
    char hint[512];     /* what to do next; may be empty */
    char cause[512];    /* what a lower layer said; may be empty */
};

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* Returns from the calling function with the code when expr fails. For functions that own nothing at that
 * point. */
#define TRY(expr)                                                                                            \
    do {                                                                                                     \
        enum lc try_code_ = (expr);                                                                          \
        if (try_code_ != LC_OK)                                                                              \
            return try_code_;                                                                                \
    } while (0)

void err_clear(struct err *err);
enum lc err_set(struct err *err, enum lc code, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum lc err_vset(struct err *err, enum lc code, const char *fmt, va_list ap) PRINTF_LIKE(3, 0);
/* From errno: ENOSPC and kin → NOSPACE, ENOENT → NOTFOUND, EACCES → PERM, else IO. The errno text is appended after
 * ": ". */
enum lc err_errno(struct err *err, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum lc err_nomem(struct err *err);
/* Adds to an error that is set already; returns its code. */
enum lc err_hint(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
enum lc err_at(struct err *err, int64_t position);
/* Puts a new message in front; the old message becomes the cause. Keeps code, hint and position. */
enum lc err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

const char *lc_name(enum lc code);  /* "NOTFOUND" */
const char *lc_ename(enum lc code); /* "NotFoundError": Jupyter's ename */
const char *lc_text(enum lc code);
int lc_http(enum lc code);
int lc_exit(enum lc code);
enum lc lc_from_name(const char *name); /* LC_INTERNAL when unknown */
#endif

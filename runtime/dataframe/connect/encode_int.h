/* encode_int.h: what the files of the encoder share.
 *
 * Ownership an encoder lives on the caller's stack.
 * Errors    the first failure stays in `code` and err; later writes do nothing that matters.
 * Threads   one.
 *
 * Example:
 *     struct encoder e = {0};
 *     encode_plan(&e, 1, NULL);
 */
#ifndef LACUS_DATAFRAME_CONNECT_ENCODE_INT_H
#define LACUS_DATAFRAME_CONNECT_ENCODE_INT_H
#include "runtime/dataframe/connect/encode.h"

struct encoder {
    const struct connect_env *env;
    struct buf *out;
    struct err *err;
    enum lc code;
    int depth;
    const struct expr **subqueries; /* borrowed; found so far: their plans go along as references */
    size_t n_subqueries;
    const struct expr *bound; /* borrowed: the lua_expression whose body is being written, or NULL */
};

void encode_plan(struct encoder *e, unsigned field, const struct plan *p); /* NULL: nothing */
void encode_expr(struct encoder *e, unsigned field, const struct expr *x); /* NULL: nothing */
void encode_exprs(struct encoder *e, unsigned field, struct expr *const *list, size_t n);
void encode_sort(struct encoder *e, unsigned field, const struct expr *x);
void encode_alias(struct encoder *e, unsigned field, const struct expr *x); /* Expression.Alias */
void encode_literal(
    struct encoder *e, unsigned field,
    const struct expr *x); /* Expression.Literal; integers as BIGINT, as Spark's fillna wants them */
void encode_fail(struct encoder *e, enum lc code, const char *what);
bool encode_enter(struct encoder *e);            /* false: too deep, or failed */
char *encode_name(char *const *parts, size_t n); /* "a.`b c`"; mem_free */
#endif

/* expr.h: column expressions, shaped like Spark Connect's Expression.
 *
 * What      what a user or the SQL parser says about columns, before names are resolved. Operators are calls,
 *           named as in Spark Connect: "+ - * / % div", "== <=> < <= > >= !=", "and or not", "in" (value,
 *           then candidates), "when" (condition, value, …, else), "like ilike rlike", "isnull isnotnull
 *           isnan", "negative", "~ & | ^", "concat" for ||, "between" (value, low, high), "element_at",
 *           "array", "map", "named_struct"; every F function by its Spark name.
 * Ownership reference-counted, read-only once made. Constructors take over the references they are given,
 *           also when they fail (NULL: no memory, or a required argument was NULL), so calls nest without
 *           checks; texts are copied; arrays of references are read during the call.
 * Units     position: byte offset in the SQL text it came from, or -1.
 * Errors    NULL without memory.
 * Threads   any.
 *
 * Example:
 *     struct expr *sum = expr_binary("+", expr_column("a"), expr_int(1));
 *     expr_unref(sum);
 */
#ifndef LACUS_DATAFRAME_EXPR_H
#define LACUS_DATAFRAME_EXPR_H
#include "runtime/dataframe/types.h"

struct plan;

enum expr_kind {
    EXPR_LITERAL,
    EXPR_ATTRIBUTE, /* a column by name */
    EXPR_STAR,      /* * or t.* */
    EXPR_CALL,      /* a function or operator */
    EXPR_ALIAS,
    EXPR_CAST,
    EXPR_SORT, /* in sort lists only */
    EXPR_WINDOW,
    EXPR_LAMBDA,
    EXPR_VARIABLE, /* a lambda's parameter */
    EXPR_EXTRACT,  /* a[b], a.b of a struct, map or array (0-based) */
    EXPR_SUBQUERY,
    EXPR_KIND_COUNT
};

enum expr_subquery { SUBQUERY_SCALAR, SUBQUERY_EXISTS, SUBQUERY_IN };
enum frame_kind { FRAME_NONE, FRAME_ROWS, FRAME_RANGE };
enum frame_bound { BOUND_UNBOUNDED, BOUND_CURRENT, BOUND_VALUE }; /* value < 0: preceding, > 0: following */

struct expr {
    int refs; /* atomic */
    enum expr_kind kind;
    int64_t position;
    /* children: call arguments; the child of alias, cast, sort, extract (and its key), text's parsed form;
     * window: function, then partition_count partitions, then orders; lambda: the body; subquery: the left
     * values of IN */
    size_t n;
    struct expr **args; /* owned array of owned references */
    union {
        struct {
            const struct dtype *type; /* owned; DTYPE_NULL for NULL */
            bool is_null;
            int64_t i;  /* boolean, byte … long, date (days), timestamp (µs) */
            double f;   /* float, double */
            char *s;    /* owned: string, binary, decimal digits, interval as "months days µs" */
            size_t len; /* of s */
        } literal;
        struct {          /* attribute, star (parts: the qualifier, may be none), variable (one part) */
            char **parts; /* owned */
            size_t n_parts;
            int64_t plan_id; /* of the DataFrame it was taken from (df.col); 0: none */
        } name;
        struct {
            char *name; /* owned, lower case */
            bool distinct;
            struct expr *filter; /* FILTER (WHERE …); owned, may be NULL */
            size_t n_orders;     /* the last so many arguments are sort orders: WITHIN GROUP (ORDER BY …) */
        } call;
        struct {
            char **names; /* owned; more than one only for generators */
            size_t n_names;
            char *metadata; /* owned JSON or NULL */
        } alias;
        struct {
            const struct dtype *type; /* owned */
            bool try;                 /* NULL instead of an error */
            bool quiet;               /* its name is that of what it casts: 1.0F, double('NaN') */
            bool typed;               /* a literal with its type before it: TIMESTAMP '2024-01-01' */
        } cast;
        struct {
            bool descending, nulls_last;
        } sort;
        struct {
            size_t partition_count;
            enum frame_kind frame;
            enum frame_bound lower, upper;
            int64_t lower_value, upper_value;
            /* owned, or NULL: what stands before PRECEDING (the value is -1) or FOLLOWING (1) */
            struct expr *lower_of, *upper_of;
        } window;
        struct {
            char **params; /* owned */
            size_t n_params;
        } lambda;
        struct {
            const struct plan *plan; /* owned */
            enum expr_subquery kind;
            bool negated; /* NOT IN, NOT EXISTS */
        } subquery;
    } u;
};

struct expr *expr_ref(const struct expr *e);            /* NULL gives NULL */
void expr_unref(const struct expr *e);                  /* NULL is fine */
struct expr *expr_at(struct expr *e, int64_t position); /* sets the position of a node just made */

/* literals */
struct expr *expr_null(void);
struct expr *expr_bool(bool v);
struct expr *expr_int(int64_t v); /* INT when it fits, else BIGINT */
struct expr *expr_long(int64_t v);
struct expr *expr_double(double v);
struct expr *expr_string(const char *s, size_t len);
struct expr *expr_binary_literal(const void *s, size_t len);
struct expr *
expr_decimal(const char *digits); /* "12.50" is decimal(4,2); NULL also when it is not a number */
struct expr *expr_temporal(enum dtype_id id, int64_t v); /* date (days), timestamp, timestamp_ntz (µs) */
struct expr *expr_interval_of(const struct dtype *type, int64_t months, int64_t days,
                              int64_t micros);            /* takes over the type */
struct expr *expr_typed_int(enum dtype_id id, int64_t v); /* boolean, byte … long */

/* names. expr_column splits "a.b.`c d`" as Spark does; expr_attribute takes the parts as they are. */
struct expr *expr_column(const char *dotted); /* NULL also when backticks do not match */
struct expr *expr_attribute(const char *const *parts, size_t n, int64_t plan_id);
struct expr *expr_star(const char *const *parts, size_t n, int64_t plan_id);
/* * EXCEPT (a, b): the star's children are the columns left out. Takes over the star and the columns. */
struct expr *expr_star_except(struct expr *star, struct expr *const *columns, size_t n);
struct expr *expr_variable(const char *name);

struct expr *expr_call(const char *name, bool distinct, struct expr *const *args, size_t n);
struct expr *expr_filtered(struct expr *call,
                           struct expr *condition); /* agg FILTER (WHERE …); call must be new */
/* agg WITHIN GROUP (ORDER BY …): a call with the sort expressions behind its arguments; takes over all of them. */
struct expr *expr_within(struct expr *call, struct expr *const *orders, size_t n);
struct expr *expr_unary(const char *name, struct expr *a);
struct expr *expr_binary(const char *name, struct expr *a, struct expr *b);
struct expr *expr_alias(struct expr *e, const char *name);
struct expr *expr_alias_many(struct expr *e, const char *const *names, size_t n, const char *metadata);
struct expr *expr_cast(struct expr *e, const struct dtype *type, bool try_cast);
struct expr *expr_quiet_cast(struct expr *e, const struct dtype *type);
struct expr *expr_typed_string(const char *s, size_t len, const struct dtype *type); /* DATE 's' */
struct expr *expr_sort(struct expr *e, bool descending, bool nulls_last);
struct expr *expr_sort_default(struct expr *e); /* ascending, nulls first; a sort expression stays as it is */
struct expr *expr_window(struct expr *function, struct expr *const *partition, size_t n_partition,
                         struct expr *const *order, size_t n_order);
/* Sets the frame of a window that was just made; returns it. */
struct expr *expr_frame(struct expr *window, enum frame_kind kind, enum frame_bound lower,
                        int64_t lower_value, enum frame_bound upper, int64_t upper_value);
/* The bounds as they are written, each may be NULL; takes them over. */
struct expr *expr_frame_of(struct expr *window, struct expr *lower_of, struct expr *upper_of);
struct expr *expr_lambda(const char *const *params, size_t n, struct expr *body);
struct expr *expr_extract(struct expr *e, struct expr *key);
struct expr *expr_subquery(const struct plan *plan, enum expr_subquery kind, struct expr *const *values,
                           size_t n, bool negated);

bool expr_is_outer(const struct expr *e); /* column:outer(): a column of the query around */

/* Copies a node with other children (new references taken over; n as in the node). */
struct expr *expr_with_args(const struct expr *e, struct expr *const *args);
/* Splits a dotted name with backticks into parts (fs-like list: free each and the array with mem_free). */
enum lc name_split(const char *dotted, char ***parts, size_t *n, struct err *err) MUST_CHECK;
void name_free(char **parts, size_t n);
/* Appends a name, with backticks where it needs them. */
bool name_quote(struct buf *out, const char *name);
#endif

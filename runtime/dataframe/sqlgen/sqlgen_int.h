/* sqlgen_int.h: what the files of the encoder share. Everything made during one encoding lives in one arena. */
#ifndef LACUS_DATAFRAME_SQLGEN_INT_H
#define LACUS_DATAFRAME_SQLGEN_INT_H
#include "runtime/base/mem.h"
#include "runtime/dataframe/sqlgen/functions.h"
#include "runtime/dataframe/sqlgen/sqlgen.h"
#include "runtime/dataframe/time_pattern.h"

/* A product of decimals in 64 bits, as DuckDB has it: where 18 digits do not do, the query fails. For sums of a query that may be
 * encoded anew without it. */
struct narrow {
    const char *sql, *of; /* only while the expression's text is still `of` */
};

struct col {          /* a column that a relation gives or that an expression may use */
    int uid;          /* identity: kept while a column is only passed on */
    const char *name; /* as the user sees it */
    const char *sql;  /* how the current SELECT refers to it */
    const struct dtype *type;
    bool nullable;
    bool simple; /* sql is a bare reference: may be written twice */
    struct narrow narrow;
    const char *made; /* explaining: the expression that makes it; else NULL */
    bool hidden;      /* the second copy of a USING column: only df.col and t.col find it */
    const char *const *qualifier;
    size_t n_qualifier;
};

/* One SELECT under construction: cols FROM from WHERE where … */
struct rel {
    struct col *cols;
    size_t n;
    struct col *inner; /* what FROM gives, for ORDER BY and HAVING; NULL: the same as cols */
    size_t n_inner;
    const char *from, *where, *group, *having, *order, *limit, *offset, *distinct;
    bool grouped; /* has GROUP BY or aggregates */
    bool joined;  /* from holds a JOIN */
    struct sx *groups;
    size_t n_groups;
};

struct sx { /* an encoded expression */
    const char *sql, *name;
    const struct dtype *type;
    const struct col *col; /* a bare column, or NULL */
    const char *made;      /* explaining: what an alias stands for */
    bool nullable, literal, simple, aggregate, window, generator;
    struct narrow narrow;
    const struct expr *from;
    struct sx *many; /* generators with several columns */
    size_t n_many;
};

struct variable { /* a lambda's parameter */
    const struct variable *outer;
    const char *name;
    struct sx value;
};

struct scope {
    const struct col *cols; /* what names mean */
    size_t n;
    const struct col *fallback; /* tried when cols has no such name (HAVING, ORDER BY) */
    size_t n_fallback;
    const struct sx *groups; /* aggregating: expressions that may stand outside of aggregate functions */
    size_t n_groups;
    bool aliases;     /* the fallback: results to the left in a select list */
    bool having;      /* SQL's HAVING: the fallback comes first, in aggregates alone */
    bool summed;      /* inside an aggregate of ORDER BY: a computed result is none of its columns */
    bool aggregating; /* every column must be a group or inside an aggregate */
    bool aggregates;  /* aggregate functions are allowed */
    bool generators;
    bool condition;     /* what is NULL is as good as false */
    const char *clause; /* for errors: "WHERE", … */
    const struct variable *variables;
    const struct scope *outer; /* of the query around a subquery */
};

enum { OUTER_NAMES = 32 };
struct outer_names { /* columns of the query around that a subquery mentions: they stand in its name */
    const struct scope *of;
    const struct col *cols[OUTER_NAMES];
    size_t n;
};

struct seen { /* which columns a plan id gave */
    int64_t plan_id;
    int uid, depth;
    const char *name;
};

struct loop { /* a WITH RECURSIVE that is being encoded; a list on the stack */
    const struct loop *outer;
    int64_t id;
    const char *table;
    const struct dtype *schema;
};

struct analysed;
struct known { /* columns of a plan that were found before: theirs begin at uid `offset` here */
    const struct analysed *of;
    int offset, depth;
};

struct gen {
    const struct ctx *ctx;
    const struct sql_env *env;
    struct arena *arena;
    struct err *err;
    struct seen *seen;
    size_t n_seen, cap_seen;
    int next_uid, depth, expr_depth;
    const struct scope *outer;     /* for subqueries being encoded */
    struct outer_names *mentioned; /* by the subquery being encoded; NULL: there is none */
    const struct loop *loops;
    bool narrow;         /* sums may be narrow (see there) */
    bool narrowed;       /* one is */
    bool analysing;      /* only columns are wanted: known plans are not entered, no rows are laid out */
    struct known *known; /* in the arena */
    size_t n_known, cap_known;
    const struct dtype *source; /* of the files that the plan itself reads, as the engine sees them */
    bool explaining;            /* names have numbers, relations say what they are (explain.c) */
    const struct sx
        *time_window; /* what window() or session_window() is here: a column made below; NULL: its formula */
    const char *note, *note2; /* of the relation being encoded */
    struct explained **explained;
    size_t n_explained, cap_explained;
};

/* sqlgen.c */
#define gen_printf(g, ...) ((const char *)arena_printf((g)->arena, __VA_ARGS__))
const struct dtype *gen_type(struct gen *g,
                             const struct dtype *owned); /* keeps it until the end; NULL gives NULL */
const char *gen_sql_type(struct gen *g, const struct dtype *t);
const char *gen_type_words(struct gen *g, const struct dtype *t); /* "DECIMAL(10,2)" */
const char *gen_text(struct gen *g, const char *s, size_t len);   /* quoted literal */
enum lc gen_fail(struct gen *g, const struct expr *at, enum lc code, const char *fmt, ...) PRINTF_LIKE(4, 5);
const struct dtype *rel_schema(const struct rel *r); /* a new reference; NULL without memory */
/* Finishes a text that was built in b (released); NULL without memory. */
const char *gen_take(struct gen *g, struct buf *b);

/* analyze.c */
/* The columns of a plan that are known already; false: they are not. */
bool known_rel(struct gen *g, const struct plan *p, struct rel *out);
/* How deep below the query a plan's column lies that is this one; -1: it is another. */
int known_depth(const struct gen *g, int64_t plan_id, int uid);
const struct dtype *known_source(const struct plan *p); /* of the files it reads; borrowed, NULL: not known */

/* explain.c: none of it does anything but while explaining */
const char *explain_name(struct gen *g, const char *name, const struct col *c); /* "id#3L" */
const char *explain_plain(struct gen *g, const char *name);                     /* without such numbers */
void explain_note(struct gen *g, const char *first, const char *second);        /* NULL: as it is */
void explain_aggregate(struct gen *g, const struct plan *p, const struct scope *s);
void explain_join(struct gen *g, const struct plan *p, const struct scope *s, size_t n_left);
/* The relation p was encoded: first, how many relations had been before it began. */
enum lc explain_relation(struct gen *g, const struct plan *p, const struct rel *r, size_t first);

/* encode_expr.c */
/* How deep below the query the plan of that id has this column; -1: it has not. */
int seen_depth(const struct gen *g, int64_t plan_id, const struct col *c);
enum lc sx_expr(struct gen *g, const struct scope *s, const struct expr *e, struct sx *out);
enum lc sx_condition(struct gen *g, const struct scope *s, const struct expr *e, struct sx *out);
bool expr_has_aggregate(const struct expr *e); /* outside of windows and subqueries */
enum lc sx_resolve(struct gen *g, const struct scope *s, const struct expr *e,
                   struct sx *out); /* an attribute */
enum lc sx_field(struct gen *g, const struct sx *in, const char *field, const struct expr *at,
                 struct sx *out);
/* What a column made of x is called: of s.b.c that is c, though it stands as s.b.c in what is made of it. */
const char *sx_field_name(const struct sx *x);
enum lc sx_column_of(struct gen *g, const struct rel *r, const char *name, size_t *index);

/* star.c */
/* What * or t.* stands for, without what it leaves out by EXCEPT. */
enum lc star_columns(struct gen *g, const struct scope *s, const struct expr *star, struct sx **out,
                     size_t *n);
/* The call with columns where stars are among its arguments; what they mean is put into the scope. */
enum lc star_arguments(struct gen *g, struct scope *s, const struct expr **call);
/* An expression that means x in that scope; NULL without memory. */
const struct expr *star_bind(struct gen *g, struct scope *s, const struct sx *x);

/* encode_window.c */
enum lc sx_window(struct gen *g, const struct scope *s, const struct expr *e, struct sx *out);
/* A map, or what has one inside, is neither equal nor less: [DATATYPE_MISMATCH.INVALID_ORDERING_TYPE]. */
enum lc sx_not_orderable(struct gen *g, const struct expr *at, const char *what, const char *name,
                         const struct dtype *type);
/* What to order by for Spark's order of arrays and structs, in which NULL comes before every value. */
const char *sx_order_key(struct gen *g, const char *sql, const struct dtype *type);

/* encode_cast.c */
enum lc sx_cast(struct gen *g, const struct sx *in, const struct dtype *to, bool try_cast, bool user,
                const struct expr *at, struct sx *out);
/* Implicit conversion; false when Spark would not convert. */
bool sx_may_coerce(const struct dtype *from, const struct dtype *to);
enum lc sx_coerce(struct gen *g, struct sx *x, const struct dtype *to, const struct expr *at);

/* A struct that is compared with one of that type: by the places of its fields, whatever they are called. */
enum lc sx_fields_as(struct gen *g, struct sx *x, const struct dtype *like);

/* The text that show prints for a value. */
const char *sx_pretty(struct gen *g, const struct sx *in);

/* encode_call.c */
enum lc sx_call(struct gen *g, const struct scope *s, const struct expr *e, const char *over, struct sx *out);

/* specials.c: functions that need more than a template */
struct call {
    struct gen *g;
    const struct scope *scope;
    const struct expr *e;
    const struct function *f;
    struct sx *args; /* encoded; lambdas are left to the special */
    size_t n;
    const char *tail;                 /* " FILTER (…) OVER (…)", for aggregates and windows */
    const char *filter, *filter_name; /* the condition alone, or NULL */
    const char *over;                 /* " OVER (…)" or "" */
    bool distinct;
    struct sx *orders; /* of WITHIN GROUP; from is the sort expression */
    size_t n_orders;
};
/* encode_call.c: what functions.def says of the i-th argument */
char call_letter(const char *in, size_t i);
/* encode_call.c: a try_add or its kin that needs no TRY; of two arguments */
bool call_never_fails(const struct call *c);
/* check_call.c: errors that a row of functions.def cannot say; before arguments are converted */
enum lc sx_check_call(struct call *c);
/* fold.c: whether an expression is known before there are rows */
bool sx_is_foldable(const struct expr *e);
/* Makes literals of arguments that are wanted as such and are none, but foldable. */
enum lc sx_fold_arguments(struct call *c);
typedef enum lc special_fn(struct call *c, struct sx *out);
special_fn *special_find(const char *name);
struct special {
    const char *name;
    special_fn *fn;
};
/* Known when the query is made, so that the other side of a CASE is not even planned. */
#define SESSION_IS_UTC "current_setting('TimeZone') = 'UTC'"
/* encode_cast.c: a time of the clock (SQL) as an instant in a zone (SQL, which may be NULL; none, or NULL: the session's). Of an hour that comes twice the first is meant, as in
 * java.time; DuckDB takes the second. */
void sql_instant(struct buf *out, const char *zone, const char *clock);
/* encode_cast.c: the same in a zone that the query names, which may be an offset */
void sql_instant_in(struct buf *out, const char *zone, const char *clock);
/* encode_cast.c: a DATE or TIMESTAMP as text: as usual, and where its year has not four digits by the pattern (SQL), as Java does. */
const char *sql_written_time(struct gen *g, const char *time, const char *usual, const char *pattern);
/* A text as an instant, in the session's zone where it names none; NULL where it is none. */
void sql_instant_of_text(struct buf *out, const char *text);
/* special_numbers.c: a TIMESTAMP or TIMESTAMP_NTZ later (op '+') or earlier by microseconds (SQL, a BIGINT) */
const char *sx_moved(struct gen *g, const struct sx *time, const char *micros, char op);
/* special_times.c: what a pattern of Java is made of, or Spark's error */
enum lc sql_time_pattern(const char *text, bool reading, struct time_pattern *p, struct err *err) MUST_CHECK;
/* A text as a date or time by a pattern (SQL); zoned: a zone may be in it. try_it: NULL instead of an error. */
void sql_time_read(struct buf *out, const char *text, const char *by, bool zoned, const struct dtype *t,
                   bool try_it);
/* A column of a file by the pattern of an option: NULL where it is none. */
enum lc sql_time_column(struct buf *out, const char *column, const char *pattern, const struct dtype *t,
                        struct err *err) MUST_CHECK;
/* special_times.c: a date or timestamp as text, by a pattern of Java. */
enum lc sql_time_text(struct call *c, const char *time, const char *pattern, const char **out);
extern const struct special special_numbers[], special_texts[], special_times[], special_lists[],
    special_aggregates[], special_maps[], special_data[], special_moments[], special_udf[], special_orders[],
    special_json[], special_intervals[];

/* special_options.c: the options of from_json, to_csv and their kin */
enum { OPTION_SEP = 1, OPTION_MODE = 2, OPTION_TIMES = 4, OPTION_CORRUPT = 8, OPTION_NULLS = 16 };
struct text_options {
    bool fail;                                    /* FAILFAST */
    bool nulls;                                   /* fields that are NULL are written */
    const char *sep, *corrupt;                    /* never NULL */
    const char *date, *timestamp, *timestamp_ntz; /* Java's patterns; NULL: the usual forms */
};
/* What argument `arg` says, which may not be there; taken: the options that mean something to the function. */
enum lc special_options(struct call *c, size_t arg, const char *format, unsigned taken,
                        struct text_options *o);
/* A text as a date or timestamp by the option's pattern, NULL where it is none; and back. *out NULL: there is no such option. */
enum lc options_parse(struct call *c, const struct text_options *o, const struct dtype *t, const char *text,
                      const char **out);
enum lc options_format(struct call *c, const struct text_options *o, const struct dtype *t, const char *x,
                       const char **out);
const char *options_malformed(struct call *c, const char *record); /* the error of FAILFAST */
/* special_intervals.c: what aggregates of intervals are made of; the name of a plain one is the row's */
enum lc interval_sum(struct call *c, struct sx *out, bool distinct);
enum lc interval_avg(struct call *c, struct sx *out);
enum lc interval_percentile(struct call *c, struct sx *out, const char *p, bool many);
/* For specials: sets the text and type; nullable when an argument is. */
enum lc special_done(struct call *c, struct sx *out, const struct dtype *type, const char *sql);
bool special_int(const struct sx *x, int64_t *v); /* a literal integer, with or without a sign */
const char *special_text(const struct sx *x);     /* a literal text, or NULL */
/* A value's JSON text, as to_json writes it. */
const char *special_json_text(struct call *c, const struct dtype *t, const char *x);
bool special_bool(const struct sx *x, bool otherwise);
enum lc special_unsupported(struct call *c, const char *what);
/* The body of the lambda that is argument `arg`, over variables of those types: *head is DuckDB's "x, y". values: what the
 * variables stand for where that is not the name itself; may be NULL. Gives the argument Spark's name. */
enum lc special_lambda(struct call *c, size_t arg, const struct dtype *const *types, size_t n,
                       const char *const *values, const char **head, struct sx *body);
/* The columns that a generator gives. */
enum lc special_generated(struct call *c, struct sx *out, const char *const *names,
                          const struct dtype *const *types, const char *const *sqls, size_t n, bool outer);

/* time_window.c: rows without a time have no window; a group by overlapping windows or by sessions takes its windows from a
 * column that is made below it. p: its expressions; out: its input. What is set in g holds until time_window_done. */
enum lc time_window_begin(struct gen *g, const struct plan *p, struct rel *out);
void time_window_done(struct gen *g);
int64_t time_span(const char *text); /* '10 minutes' in µs; 0: it is none */

/* encode_plan.c: the tree; rel.c: one SELECT; encode_leaf.c: what rows come from; encode_query.c: select, group, sort; encode_set.c:
 * join, union, distinct, sample */
enum lc rel_encode(struct gen *g, const struct plan *p, struct rel *out);
typedef enum lc rel_fn(struct gen *g, const struct plan *p, struct rel *out);
rel_fn leaf_table, leaf_source, leaf_scan, leaf_local, leaf_values, leaf_range;
rel_fn rel_project, rel_filter, rel_sort, rel_limit, rel_offset, rel_tail, rel_aggregate, rel_with_columns;
rel_fn rel_recursion, leaf_loop;
rel_fn rel_join, rel_set_op, rel_deduplicate, rel_sample;
rel_fn rel_alias, rel_to_df, rel_rename, rel_drop, rel_na_fill, rel_na_drop, rel_pass;

const char *rel_select(struct gen *g, const struct rel *r, bool user_names);
enum lc rel_seal(struct gen *g, struct rel *r);            /* makes it a subquery: nothing but FROM */
bool rel_open(const struct rel *r);                        /* more may be written into this SELECT */
bool rel_is_item(const struct rel *r);                     /* nothing but FROM */
const char *col_alias(struct gen *g, const struct col *c); /* lx_12 */
struct col *cols_copy(struct gen *g, const struct col *cols, size_t n, size_t extra);
enum lc rel_from(struct gen *g, const struct dtype *schema, const char *item,
                 struct rel *out); /* item AS t(lx_1, …) */
/* Puts new output columns into the open SELECT; from is kept for ORDER BY and HAVING. */
void rel_set_cols(struct rel *r, struct col *cols, size_t n);
struct col col_from(struct gen *g, const struct sx *x);
#endif

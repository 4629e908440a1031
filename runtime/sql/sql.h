/* sql.h: Spark SQL: texts into plans, expressions and commands.
 *
 * What      a lexer and a recursive-descent parser with operator precedence, for the grammar of Spark 4:
 *           queries become a plan (runtime/dataframe/plan.h) whose tables are still names; everything else
 *           becomes a statement that says what to do. Nothing is executed and no name is looked up here.
 * Ownership a statement owns its texts, plan and schema: sql_release. An expression is the caller's
 *           reference.
 * Units     positions are byte offsets in the text.
 * Errors    LC_SYNTAX "[PARSE_SYNTAX_ERROR] …" with line, column, a caret under the place, and the position;
 *           LC_UNSUPPORTED names a statement or clause that Spark has and this program has not; LC_LIMIT (too
 *           long, too deep).
 * Threads   any.
 *
 * Example:
 *     struct sql_statement *s;
 *     struct err err;
 *     if (sql_parse("SELECT 1 AS one", 15, NULL, 0, &s, &err) == LC_OK)
 *         sql_release(s);
 *     else
 *         puts(err.message);
 */
#ifndef LACUS_SQL_SQL_H
#define LACUS_SQL_SQL_H
#include "runtime/dataframe/plan.h"

enum sql_kind {
    SQL_QUERY,
    SQL_EXPLAIN,      /* plan; extended */
    SQL_INSERT,       /* name, plan, columns, overwrite, by_name, condition (REPLACE WHERE), partition */
    SQL_CREATE_TABLE, /* name, schema or plan, format, location, partition_by, comment, properties, replace … */
    SQL_CREATE_LIKE, /* name, source */
    SQL_CREATE_VIEW, /* name, plan, text, columns and column comments, temporary, global, replace, properties */
    SQL_CREATE_CATALOG, /* name, comment */
    SQL_CREATE_SCHEMA,  /* name, comment, location, properties */
    SQL_CREATE_VOLUME,  /* name, comment, location */
    SQL_DROP_TABLE,
    SQL_DROP_VIEW,
    SQL_DROP_CATALOG,
    SQL_DROP_SCHEMA,
    SQL_DROP_VOLUME,
    SQL_ALTER,         /* object, action, name */
    SQL_USE_CATALOG,   /* name: one part */
    SQL_USE,           /* name: schema, or catalog.schema */
    SQL_SHOW_CATALOGS, /* pattern */
    SQL_SHOW_SCHEMAS,  /* name: catalog, may be none; pattern */
    SQL_SHOW_TABLES,   /* name: schema, may be none; pattern */
    SQL_SHOW_EXTENDED, /* the same, with what is known of each table */
    SQL_SHOW_VIEWS,    /* name: schema, may be none; pattern */
    SQL_SHOW_VOLUMES,  /* name: schema, may be none; pattern */
    SQL_SHOW_COLUMNS,
    SQL_SHOW_PROPERTIES, /* name; key, may be none */
    SQL_SHOW_PARTITIONS, /* name; partition */
    SQL_SHOW_NAMESPACE,
    SQL_DESCRIBE_TABLE, /* extended; columns: of one column */
    SQL_DESCRIBE_CATALOG,
    SQL_DESCRIBE_SCHEMA, /* extended */
    SQL_DESCRIBE_VOLUME,
    SQL_DESCRIBE_HISTORY,
    SQL_DESCRIBE_DETAIL,
    SQL_DESCRIBE_QUERY,    /* plan */
    SQL_SHOW_FUNCTIONS,    /* pattern */
    SQL_SHOW_CREATE,       /* name */
    SQL_DESCRIBE_FUNCTION, /* name; extended */
    SQL_TRUNCATE,          /* name, partition */
    SQL_DELETE,            /* name, alias, condition */
    SQL_UPDATE,            /* name, alias, assignments, condition */
    SQL_MERGE,             /* name, alias, plan, condition, clauses */
    SQL_CACHE,             /* name, plan */
    SQL_UNCACHE,           /* name, may be none: all; if_exists */
    SQL_REFRESH,           /* name, may be none: what REFRESH and ANALYZE ask for is so already */
    SQL_SET,               /* key and value, either may be NULL */
    SQL_RESET,             /* key, may be NULL: all */
    SQL_LIST,              /* location */
    SQL_KIND_COUNT
};

enum sql_object { OBJECT_TABLE, OBJECT_VIEW, OBJECT_SCHEMA, OBJECT_CATALOG, OBJECT_VOLUME };

enum sql_action {
    ACTION_ADD_COLUMNS,      /* changes */
    ACTION_DROP_COLUMNS,     /* changes; if_exists */
    ACTION_RENAME_COLUMN,    /* changes: one, with rename */
    ACTION_ALTER_COLUMNS,    /* changes */
    ACTION_SET_PROPERTIES,   /* properties */
    ACTION_UNSET_PROPERTIES, /* columns: the keys; if_exists */
    ACTION_RENAME,           /* source: the new name */
    ACTION_SET_LOCATION,     /* location */
    ACTION_SET_COMMENT,      /* comment, NULL: none */
    ACTION_SET_QUERY         /* plan, text: of a view */
};

struct sql_property {
    const char *name, *value;
};

struct sql_names {
    const char *const *items;
    size_t n;
};

enum sql_nulls { NULLS_KEPT, NULLS_ALLOWED, NULLS_REFUSED };

struct sql_change {           /* of a column */
    struct sql_names path;    /* a, or a.b of a struct */
    const struct dtype *type; /* owned; NULL: as it is */
    const char *comment;      /* NULL: as it is */
    enum sql_nulls nulls;
    bool first;
    const char *after, *rename; /* NULL: where it is; as it is */
};

struct sql_assignment {
    struct sql_names path;
    struct expr *value; /* owned; NULL: DEFAULT */
};

enum sql_merge_when { WHEN_MATCHED, WHEN_NOT_MATCHED, WHEN_NOT_MATCHED_BY_SOURCE };
enum sql_merge_then { THEN_UPDATE, THEN_DELETE, THEN_INSERT };

struct sql_merge_clause {
    enum sql_merge_when when;
    enum sql_merge_then then;
    struct expr *condition; /* owned, may be NULL */
    bool star;              /* UPDATE SET *, INSERT * */
    struct sql_assignment *assignments;
    size_t n;
};

struct sql_statement {
    enum sql_kind kind;
    enum sql_object object;
    enum sql_action action;
    struct arena *arena;        /* owns the texts */
    const struct plan *plan;    /* owned, may be NULL */
    const struct dtype *schema; /* owned, may be NULL */
    struct expr *condition;     /* owned, may be NULL */
    struct sql_names name;      /* parts, without backticks */
    int64_t name_at;            /* where they are in the text; of no meaning without a name */
    struct sql_names columns, partition_by, source;
    struct sql_property *properties, *options, *partition; /* partition: value NULL is a column without one */
    size_t n_properties, n_options, n_partition;
    struct sql_change *changes;
    size_t n_changes;
    struct sql_assignment *assignments;
    size_t n_assignments;
    struct sql_merge_clause *clauses;
    size_t n_clauses;
    const char *const *comments; /* beside columns of a view; each may be NULL */
    const char *text;  /* of a view's query, or of the condition of what changes rows, as it was written */
    const char *alias; /* of the table that is changed */
    const char *comment, *location, *format, *pattern, *key, *value; /* NULL: not given */
    bool if_exists, if_not_exists, replace, cascade, temporary, global, overwrite, extended, by_name;
};

struct sql_parameter {        /* :name, or the n-th ? */
    const char *name;         /* NULL: by position */
    const struct expr *value; /* a literal; borrowed */
};

/* One statement; a semicolon may follow it. */
enum lc sql_parse(const char *text, size_t len, const struct sql_parameter *parameters, size_t n,
                  struct sql_statement **out, struct err *err) MUST_CHECK;
void sql_release(struct sql_statement *s);     /* NULL is fine */
const char *sql_kind_name(enum sql_kind kind); /* "CREATE TABLE" */
/* What filter("…"), F.expr and selectExpr take: an expression, maybe with AS name. */
enum lc sql_parse_expression(const char *text, size_t len, struct expr **out, struct err *err) MUST_CHECK;

/* Adds line, column and a caret in the text to a failure with a position in it that came up behind the parser (a column that is not
 * there); returns its code. The position of a failure that is of another text, a view's, is dropped. */
enum lc sql_place(const char *text, size_t len, struct err *err);

/* Plans and expressions as one line of text, for tests and for people who look inside: (filter (table a.b) (> x
 * 1)). */
bool sql_print_plan(struct buf *out, const struct plan *plan);
bool sql_print_expr(struct buf *out, const struct expr *e);
#endif

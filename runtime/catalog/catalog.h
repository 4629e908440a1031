/* catalog.h: the seam to what names mean: catalog.schema.table, temporary views, and lineage.
 *
 * What      a struct catalog is one session's view of the names: it holds the current catalog and schema
 *           (USE) and the temporary views; what lasts is behind catalog_ops (the local workspace database
 *           now). spark_catalog.default is always there and is where a session starts. Names are
 *           case-insensitive and kept in lower case. One- and two-part names are completed with the current
 *           catalog and schema.
 * Ownership catalog_open gives a handle, catalog_close ends it. Lists and tables are ended with their release
 *           function.
 * Errors    LC_NOTFOUND with the nearest names, LC_EXISTS, LC_ARG (a name that cannot be one), LC_CONFLICT
 *           (not empty: CASCADE is missing), LC_IO.
 * Threads   a handle: one thread at a time. Several processes may use the same workspace.
 *
 * Example:
 *     struct catalog *c;
 *     struct catalog_table t;
 *     struct err err;
 *     if (catalog_open(&c, &err) == LC_OK && catalog_lookup(&ctx, c, "sales.orders", &t, &err) == LC_OK) {
 *         puts(t.location);
 *         catalog_table_release(&t);
 *     }
 */
#ifndef LACUS_CATALOG_CATALOG_H
#define LACUS_CATALOG_CATALOG_H
#include "runtime/base/ctx.h"
#include <jansson.h>
#include <stddef.h>

struct plan;
struct catalog;
struct expr;

enum { CATALOG_NAME_MAX = 256 };

struct catalog_name { /* complete, in lower case */
    char catalog[CATALOG_NAME_MAX], schema[CATALOG_NAME_MAX], table[CATALOG_NAME_MAX];
};

enum catalog_kind { CATALOG_MANAGED, CATALOG_EXTERNAL, CATALOG_VIEW };

struct catalog_table {
    struct catalog_name name;
    enum catalog_kind kind;
    char *format;   /* "delta", "parquet", "csv", "json", "text"; "view" */
    char *location; /* absolute path or URI; of a view "" */
    char *comment;  /* may be NULL */
    char *owner;
    json_t *properties; /* object, string → string */
    /* object: reader options of formats other than Delta; of a view "text", and the "catalog" and "schema" in which its
     * names are looked up. May be NULL. */
    json_t *options;
    char *schema_json; /* for formats other than Delta and for views; may be NULL */
    int64_t created_ms;
};
void catalog_table_release(struct catalog_table *t);

struct catalog_item { /* of a listing: a catalog, a schema, a table or a volume */
    char *name;       /* owned */
    char *comment;    /* owned, may be NULL */
    bool temporary;   /* a temporary view */
    bool view;        /* a view, temporary or not */
    bool global;      /* a temporary view of global_temp */
};
struct catalog_list {
    struct catalog_item *items; /* owned, sorted by name */
    size_t n;
};
void catalog_list_release(struct catalog_list *l);

struct catalog_schema { /* texts are owned and may be NULL */
    char catalog[CATALOG_NAME_MAX], name[CATALOG_NAME_MAX];
    char *comment, *location, *owner;
    json_t *properties; /* object, may be NULL */
    int64_t created_ms;
};
void catalog_schema_release(struct catalog_schema *s);

struct catalog_volume { /* a folder with a name: /Volumes/catalog/schema/volume */
    struct catalog_name name;
    enum catalog_kind kind;
    char *location; /* owned; absolute */
    char *comment;  /* owned, may be NULL */
    char *owner;    /* owned */
    int64_t created_ms;
};
void catalog_volume_release(struct catalog_volume *v);

struct catalog_lineage { /* one read or write of one table */
    int64_t id, time_ms;
    char *operation; /* "READ", or Delta's word: "WRITE", "CREATE TABLE AS SELECT" … */
    char *table;     /* catalog.schema.table, or the path */
    int64_t version; /* of the Delta table; -1: none */
    char *principal, *notebook, *cell, *run, *job; /* "" when unknown */
    char *session, *call; /* ids of the session and of the call; rows of one call share them */
};
struct catalog_lineage_list {
    struct catalog_lineage *rows; /* owned, newest first */
    size_t n;
};
void catalog_lineage_list_release(struct catalog_lineage_list *l);

/* The seam. Names that reach it are complete and valid. */
struct catalog_ops {
    const char *name; /* "local" */
    void (*close)(void *self);
    enum lc (*create_catalog)(const struct ctx *ctx, void *self, const char *name, const char *comment,
                              struct err *err);
    enum lc (*drop_catalog)(const struct ctx *ctx, void *self, const char *name, bool cascade,
                            struct err *err);
    enum lc (*list_catalogs)(const struct ctx *ctx, void *self, struct catalog_list *out, struct err *err);
    enum lc (*create_schema)(const struct ctx *ctx, void *self, const char *catalog, const char *schema,
                             const char *comment, const char *location, struct err *err);
    enum lc (*drop_schema)(const struct ctx *ctx, void *self, const char *catalog, const char *schema,
                           bool cascade, struct err *err);
    enum lc (*list_schemas)(const struct ctx *ctx, void *self, const char *catalog, struct catalog_list *out,
                            struct err *err);
    /* A fresh, empty place for a managed table; caller frees. It becomes the table's with create_table. */
    enum lc (*new_location)(const struct ctx *ctx, void *self, const struct catalog_name *name,
                            char **location, struct err *err);
    enum lc (*create_table)(const struct ctx *ctx, void *self, const struct catalog_table *table,
                            struct err *err);
    enum lc (*drop_table)(const struct ctx *ctx, void *self, const struct catalog_name *name,
                          struct err *err); /* a managed table's files go too */
    enum lc (*get_table)(const struct ctx *ctx, void *self, const struct catalog_name *name,
                         struct catalog_table *out, struct err *err);
    enum lc (*list_tables)(const struct ctx *ctx, void *self, const char *catalog, const char *schema,
                           struct catalog_list *out, struct err *err);
    /* Puts the table under another name, and everything but its name as it is given. */
    enum lc (*rename_table)(const struct ctx *ctx, void *self, const struct catalog_name *from,
                            const struct catalog_name *to, struct err *err);
    enum lc (*alter_table)(const struct ctx *ctx, void *self, const struct catalog_table *table,
                           struct err *err);
    enum lc (*alter_catalog)(const struct ctx *ctx, void *self, const char *name, const char *comment,
                             struct err *err);
    enum lc (*get_schema)(const struct ctx *ctx, void *self, const char *catalog, const char *schema,
                          struct catalog_schema *out, struct err *err);
    enum lc (*alter_schema)(const struct ctx *ctx, void *self, const struct catalog_schema *schema,
                            struct err *err);
    /* location NULL: a managed volume, whose folder is made. */
    enum lc (*create_volume)(const struct ctx *ctx, void *self, const struct catalog_volume *volume,
                             struct err *err);
    enum lc (*drop_volume)(const struct ctx *ctx, void *self, const struct catalog_name *name,
                           struct err *err); /* a managed one's files go too */
    enum lc (*get_volume)(const struct ctx *ctx, void *self, const struct catalog_name *name,
                          struct catalog_volume *out, struct err *err);
    /* to NULL: the name stays */
    enum lc (*alter_volume)(const struct ctx *ctx, void *self, const struct catalog_name *name,
                            const struct catalog_name *to, const char *comment, struct err *err);
    enum lc (*list_volumes)(const struct ctx *ctx, void *self, const char *catalog, const char *schema,
                            struct catalog_list *out, struct err *err);
    enum lc (*add_lineage)(const struct ctx *ctx, void *self, const char *operation, const char *table,
                           int64_t version, struct err *err);
    /* table NULL: all; run NULL: all. */
    enum lc (*list_lineage)(const struct ctx *ctx, void *self, const char *table, const char *run,
                            size_t limit, struct catalog_lineage_list *out, struct err *err);
};

enum lc catalog_open(struct catalog **out, struct err *err) MUST_CHECK; /* the local workspace */
void catalog_close(struct catalog *c);                                  /* NULL is fine */

const char *catalog_current(const struct catalog *c);
const char *catalog_current_schema(const struct catalog *c);
/* USE [CATALOG] a, USE [SCHEMA] b, USE a.b: either may be NULL. A new catalog starts in its schema default.
 * LC_NOTFOUND when it is not there. */
enum lc catalog_use(const struct ctx *ctx, struct catalog *c, const char *catalog, const char *schema,
                    struct err *err) MUST_CHECK;

/* "a.`b c`.t" → its parts; missing ones are the current ones. */
enum lc catalog_complete(const struct catalog *c, const char *text, struct catalog_name *out,
                         struct err *err) MUST_CHECK;
enum lc catalog_complete_parts(const struct catalog *c, const char *const *parts, size_t n,
                               struct catalog_name *out, struct err *err) MUST_CHECK;
/* "catalog.schema.table", with backticks where a part needs them. Borrowed: out must have 3 × the maximum. */
void catalog_name_text(const struct catalog_name *name, char *out, size_t size);

enum lc catalog_create_catalog(const struct ctx *ctx, struct catalog *c, const char *name,
                               const char *comment, bool if_not_exists, struct err *err) MUST_CHECK;
enum lc catalog_drop_catalog(const struct ctx *ctx, struct catalog *c, const char *name, bool cascade,
                             bool if_exists, struct err *err) MUST_CHECK;
enum lc catalog_list_catalogs(const struct ctx *ctx, struct catalog *c, struct catalog_list *out,
                              struct err *err) MUST_CHECK;
/* catalog NULL: the current one. */
enum lc catalog_create_schema(const struct ctx *ctx, struct catalog *c, const char *catalog,
                              const char *schema, const char *comment, const char *location,
                              bool if_not_exists, struct err *err) MUST_CHECK;
enum lc catalog_drop_schema(const struct ctx *ctx, struct catalog *c, const char *catalog, const char *schema,
                            bool cascade, bool if_exists, struct err *err) MUST_CHECK;
enum lc catalog_list_schemas(const struct ctx *ctx, struct catalog *c, const char *catalog,
                             struct catalog_list *out, struct err *err) MUST_CHECK;
/* With the temporary views. catalog and schema NULL: the current ones. */
enum lc catalog_list_tables(const struct ctx *ctx, struct catalog *c, const char *catalog, const char *schema,
                            struct catalog_list *out, struct err *err) MUST_CHECK;

/* LC_NOTFOUND names the nearest tables. */
enum lc catalog_lookup(const struct ctx *ctx, struct catalog *c, const char *text, struct catalog_table *out,
                       struct err *err) MUST_CHECK;
enum lc catalog_get_table(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                          struct catalog_table *out, struct err *err) MUST_CHECK;
enum lc catalog_table_exists(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                             bool *yes, struct err *err) MUST_CHECK;
/* location NULL in the table: a managed one, made and filled in. */
enum lc catalog_create_table(const struct ctx *ctx, struct catalog *c, struct catalog_table *table,
                             struct err *err) MUST_CHECK;
enum lc catalog_new_location(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                             char **location, struct err *err) MUST_CHECK;
enum lc catalog_drop_table(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                           bool if_exists, struct err *err) MUST_CHECK;

/* LC_EXISTS when the new name is taken. */
enum lc catalog_rename_table(const struct ctx *ctx, struct catalog *c, const struct catalog_name *from,
                             const struct catalog_name *to, struct err *err) MUST_CHECK;
/* Comment, properties, options and schema_json as they are in the table. */
enum lc catalog_alter_table(const struct ctx *ctx, struct catalog *c, const struct catalog_table *table,
                            struct err *err) MUST_CHECK;
enum lc catalog_alter_catalog(const struct ctx *ctx, struct catalog *c, const char *name, const char *comment,
                              struct err *err) MUST_CHECK;
/* catalog NULL: the current one. */
enum lc catalog_get_schema(const struct ctx *ctx, struct catalog *c, const char *catalog, const char *schema,
                           struct catalog_schema *out, struct err *err) MUST_CHECK;
enum lc catalog_alter_schema(const struct ctx *ctx, struct catalog *c, const struct catalog_schema *schema,
                             struct err *err) MUST_CHECK;

/* Volumes. location NULL: a managed one. LC_NOTFOUND names the nearest. */
enum lc catalog_create_volume(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                              const char *location, const char *comment, bool if_not_exists,
                              struct err *err) MUST_CHECK;
enum lc catalog_drop_volume(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                            bool if_exists, struct err *err) MUST_CHECK;
enum lc catalog_get_volume(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                           struct catalog_volume *out, struct err *err) MUST_CHECK;
enum lc catalog_rename_volume(const struct ctx *ctx, struct catalog *c, const struct catalog_name *from,
                              const struct catalog_name *to, struct err *err) MUST_CHECK;
enum lc catalog_comment_volume(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                               const char *comment, struct err *err) MUST_CHECK;
/* catalog and schema NULL: the current ones. */
enum lc catalog_list_volumes(const struct ctx *ctx, struct catalog *c, const char *catalog,
                             const char *schema, struct catalog_list *out, struct err *err) MUST_CHECK;
/* "/Volumes/catalog/schema/volume/rest" (also with "dbfs:" before it) → where that lies on this machine; any other path as it is.
 * Caller frees with mem_free. */
enum lc catalog_path(const struct ctx *ctx, struct catalog *c, const char *path, char **out,
                     struct err *err) MUST_CHECK;
bool catalog_is_volume_path(const char *path);

/* Temporary views: names of one part that win over tables; global ones are found as global_temp.name. The catalog takes its own
 * reference of the plan. */
enum lc catalog_put_view(struct catalog *c, const char *name, const struct plan *plan, bool global,
                         bool replace, struct err *err) MUST_CHECK;
const struct plan *catalog_view(const struct catalog *c, const char *name); /* borrowed; NULL: none */
/* The same for a name of one part, or global_temp.name. */
const struct plan *catalog_view_parts(const struct catalog *c, const char *const *parts, size_t n);
bool catalog_drop_view_parts(struct catalog *c, const char *const *parts, size_t n);
/* A function that the session gave: a call of `name` becomes a call of the same function as `head`, with its arguments in front of
 * the others. The catalog takes its own reference. */
enum lc catalog_put_function(struct catalog *c, const char *name, const struct expr *head,
                             struct err *err) MUST_CHECK;
/* For plan_resolver: such a call, and what current_catalog(), current_schema() … give; NULL: another function. */
struct expr *catalog_function(struct catalog *c, const struct expr *call);
bool catalog_drop_view(struct catalog *c, const char *name); /* false: there was none */

/* Who, what and when come from ctx. version -1: not a versioned table. */
enum lc catalog_add_lineage(const struct ctx *ctx, struct catalog *c, const char *operation,
                            const char *table, int64_t version, struct err *err) MUST_CHECK;
enum lc catalog_list_lineage(const struct ctx *ctx, struct catalog *c, const char *table, const char *run,
                             size_t limit, struct catalog_lineage_list *out, struct err *err) MUST_CHECK;
#endif

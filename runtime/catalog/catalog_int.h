/* catalog_int.h: what the files of runtime/catalog share (private).
 *
 * What      the handle, names, and the answers to names that are not there.
 * Ownership as stated at each field.
 * Errors    those of catalog.h.
 * Threads   as in catalog.h.
 *
 * Example:
 *     char lower[CATALOG_NAME_MAX];
 *     if (catalog_take_name("schema", "Sales", lower, &err) == LC_OK)
 *         puts(lower);
 */
#ifndef LACUS_CATALOG_CATALOG_INT_H
#define LACUS_CATALOG_CATALOG_INT_H
#include "runtime/catalog/catalog.h"

#define CATALOG_GLOBAL "global_temp"

struct function_head { /* a function of the session */
    char *name;
    struct expr *head;
};

struct view {
    char *name;              /* owned, lower case */
    const struct plan *plan; /* owned reference */
    bool global;             /* found as global_temp.name */
};

struct catalog {
    const struct catalog_ops *ops;
    void *self; /* owned */
    char catalog[CATALOG_NAME_MAX], schema[CATALOG_NAME_MAX];
    struct function_head *functions; /* owned */
    size_t n_functions;
    struct view *views; /* owned */
    size_t n_views;
};

/* In lower case; LC_ARG when it cannot be the name of such a thing. */
enum lc catalog_take_name(const char *kind, const char *text, char out[CATALOG_NAME_MAX],
                          struct err *err) MUST_CHECK;
enum lc catalog_need_schema(const struct ctx *ctx, struct catalog *c, const char *catalog, const char *name,
                            struct err *err) MUST_CHECK;
void catalog_hint_names(const struct catalog_list *l, const char *word, const char *otherwise,
                        struct err *err);
/* A failure that IF [NOT] EXISTS asked for is none. */
enum lc catalog_forgive(enum lc rc, enum lc code, bool wanted, const struct err *local, struct err *err);
#endif

/* filter.h: MLflow's search texts → SQL with bound values.
 *
 * What      filter: comparisons joined with AND, as "metrics.loss < 1 and params.`a b` = 'x' and tags.k LIKE
 *           '%y%' and run_id IN ('…')"; IS NULL and IS NOT NULL. order_by: a field and ASC or DESC. Which
 *           fields there are, and how each is written in SQL, is a table of the caller; what users write
 *           never becomes SQL text.
 * Ownership filter_release ends a result. Tables are borrowed.
 * Units     byte offsets in err->position.
 * Errors    LC_ARG with the place and the nearest field; LC_LIMIT (more than FILTER_MAX comparisons).
 * Threads   any.
 *
 * Example:
 *     static const struct filter_field fields[] = {{"name", NULL, FILTER_TEXT, "m.name {}"}, {0}};
 *     struct filter f;
 *     if (filter_parse("name = 'a'", fields, &f, &err) == LC_OK)
 *         puts(buf_str(&f.sql));
 *     filter_release(&f);
 */
#ifndef LACUS_TRACKING_FILTER_H
#define LACUS_TRACKING_FILTER_H
#include "runtime/base/buf.h"
#include "runtime/storage/workspace.h"

enum { FILTER_MAX = 64, FILTER_TEXT_MAX = 16384 };
enum filter_type { FILTER_TEXT, FILTER_NUMBER };

struct filter_field {
    const char *name; /* "status" */
    /* Names of the group, separated by |, the first of which is the usual one: "attributes|attribute|run". In a group
     * without a name of its own (name NULL), users name the key: metrics.loss. NULL: no group, the bare name. A group
     * that starts with ? may be left out. */
    const char *group;
    enum filter_type type;
    const char *sql; /* {} stands for the comparison; ? before it for the key, where the user names it */
};

struct filter {
    struct buf sql; /* "TRUE" when there is nothing to compare */
    struct workspace_value values[FILTER_MAX * 2];
    size_t n_values;
    char *texts[FILTER_MAX * 2]; /* owned, what the values point to */
    size_t n_texts;
};

enum lc filter_parse(const char *text, const struct filter_field *fields, struct filter *out,
                     struct err *err) MUST_CHECK;
/* Appends "FIELD [ASC|DESC]" to out->sql as one item of an ORDER BY, NULLs last. */
enum lc filter_order(const char *text, const struct filter_field *fields, struct filter *out,
                     struct err *err) MUST_CHECK;
void filter_init(struct filter *f);
void filter_release(struct filter *f);
#endif

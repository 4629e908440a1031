/* Names and patterns of statements. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/resolve.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/spark/command_int.h"
#include "runtime/spark/describe.h"
#include "runtime/spark/table.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- names ---- */
/* "a.`b c`": as catalog_save wants it; mem_free. */
static char *dotted(const struct sql_names *name)
{
    struct buf out = BUF_INIT(4 * CATALOG_NAME_MAX);

    for (size_t i = 0; i < name->n; i++) {
        if (i)
            buf_putc(&out, '.');
        name_quote(&out, name->items[i]);
    }
    return buf_take(&out);
}

bool command_is_path(const struct sql_names *name)
{
    return name->n == 2 && strcasecmp(name->items[0], "delta") == 0;
}

enum lc command_save(struct command *c, const struct plan *plan, struct catalog_save *save,
                     struct delta_written *out)
{
    const struct sql_names *name = &c->s->name;
    char *table = NULL;
    enum lc rc;

    if (command_is_path(name))
        save->path = name->items[1];
    else if ((save->table = table = dotted(name)) == NULL)
        return err_nomem(c->err);
    rc = catalog_save(c->ctx, c->env->catalog, &c->env->engine, plan, save, out, c->err);
    mem_free(table);
    save->table = NULL;
    return rc;
}

/* Spark's patterns: * is anything, | is or, case does not matter. */
static bool matches_one(const char *pattern, size_t n, const char *name)
{
    if (n == 0)
        return *name == '\0';
    if (*pattern == '*') {
        for (;; name++) {
            if (matches_one(pattern + 1, n - 1, name))
                return true;
            if (*name == '\0')
                return false;
        }
    }
    return *name && tolower((unsigned char)*pattern) == tolower((unsigned char)*name) &&
           matches_one(pattern + 1, n - 1, name + 1);
}

bool command_matches(const char *pattern, const char *name)
{
    while (pattern) {
        const char *bar = strchr(pattern, '|');
        size_t n = bar ? (size_t)(bar - pattern) : strlen(pattern);
        if (n < CATALOG_NAME_MAX && matches_one(pattern, n, name))
            return true;
        if (!bar)
            return false;
        pattern = bar + 1;
    }
    return true;
}

/* A schema's name of one or two parts. */
enum lc command_schema(const struct sql_names *name, const char **catalog, const char **schema,
                       struct err *err)
{
    *catalog = *schema = NULL;
    if (name->n > 2)
        return err_set(err, LC_ARG, "a schema has a name of one or two parts (catalog.schema), not %zu",
                       name->n);
    if (name->n == 2)
        *catalog = name->items[0];
    if (name->n > 0)
        *schema = name->items[name->n - 1];
    return LC_OK;
}

enum lc command_one_part(const struct sql_names *name, const char *what, struct err *err)
{
    return name->n == 1 ? LC_OK : err_set(err, LC_ARG, "a %s has a name of one part, not %zu", what, name->n);
}

/* parts.c: columns that the names of folders hold (…/day=2024-01-05/…): their names, and types from their values. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/csv/value.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include "runtime/dataframe/folder.h"
#include <string.h>

static const struct dtype *part_type(char *const *files, size_t n, const char *name)
{
    struct csv_guess g = {CSV_NOTHING, 0};
    struct csv_options options;

    csv_defaults(&options);
    for (size_t i = 0; i < n; i++) {
        char *value = sql_path_value(files[i], name);

        if (value)
            csv_guess_add(&g, &options, value, strlen(value));
        mem_free(value);
    }
    return csv_guess_dtype(g.type == CSV_BOOLEAN ? (struct csv_guess){CSV_STRING, 0} : g);
}

const struct dtype *duck_add_parts(const struct dtype *s, char *const *files, size_t n)
{
    for (const char *at = n ? files[0] : NULL; s && at && *at; at = strchr(at, '/')) {
        const char *end, *equal;

        at += *at == '/';
        end = strchr(at, '/');
        equal = end ? memchr(at, '=', (size_t)(end - at)) : NULL;
        if (equal && equal > at) {
            char *name = folder_unescape(at, (size_t)(equal - at));

            if (name && dtype_field_index(s, name) == -1)
                s = dtype_struct_add(s, name, part_type(files, n, name), true, NULL);
            mem_free(name);
        }
    }
    return s;
}

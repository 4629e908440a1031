#include "runtime/dataframe/engines/engine.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/base/plugin.h"
#include <string.h>

static const struct {
    const char *name, *plugin, *symbol;
} engines[] = {
    {"duckdb", "engine_duckdb", "lacus_engine_duckdb"},
    {"spark", "engine_spark", "lacus_engine_spark"},
};

const struct engine_ops *engine_ops_open(const char *name, struct err *err)
{
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
        const struct engine_ops *ops;

        if (strcmp(engines[i].name, name) != 0)
            continue;
        ops = plugin_symbol(engines[i].plugin, engines[i].symbol, err);
        if (ops && ops->version != ENGINE_VERSION) {
            err_set(err, LC_MISSING, "the plugin '%s' is of version %d, this program needs %d",
                    engines[i].plugin, ops->version, ENGINE_VERSION);
            err_hint(err, "run 'make' to build both from the same sources");
            return NULL;
        }
        return ops;
    }
    err_set(err, LC_NOTFOUND, "there is no engine '%s'; there are 'duckdb' and 'spark'", name);
    return NULL;
}

void written_files_release(struct written_files *w)
{
    for (size_t i = 0; i < w->n; i++) {
        struct written_file *f = &w->files[i];

        for (size_t c = 0; c < f->n_columns; c++) {
            mem_free(f->columns[c].name);
            mem_free(f->columns[c].min);
            mem_free(f->columns[c].max);
        }
        name_free(f->partition, f->n_partition);
        mem_free(f->columns);
        mem_free(f->path);
    }
    mem_free(w->files);
    *w = (struct written_files){0};
}

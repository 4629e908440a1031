#include "gpu/backend.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/base/plugin.h"
#include <stdio.h>
#include <string.h>

/* plugin NULL: linked into the program. fallback: opened when the plugin cannot be. */
static const struct backend_row {
    const char *name, *plugin, *symbol;
    const struct backend_ops *fallback;
} ROWS[] = {
    {"ref", NULL, NULL, &backend_ref},
    {"cpu", "gpu_cpu", "lacus_gpu_cpu", &backend_ref},
    {"cuda", "gpu_cuda", "lacus_gpu_cuda", NULL},
};
enum { N_ROWS = sizeof ROWS / sizeof *ROWS };

static const struct backend_ops *find_ops(const struct backend_row *row, struct err *err)
{
    const struct backend_ops *ops = row->plugin ? plugin_symbol(row->plugin, row->symbol, err) : NULL;

    if (ops && ops->abi != BACKEND_ABI) {
        err_set(err, LC_MISSING, "cannot use the plugin '%s': it was built for another version of lacus",
                row->plugin);
        err_hint(err, "run 'make' again");
        ops = NULL;
    }
    return ops ? ops : row->fallback;
}

enum lc backend_open(const char *name, const struct backend_options *options, struct backend **out,
                     struct err *err)
{
    const struct backend_row *row = NULL;
    const struct backend_ops *ops;
    struct backend *b;
    enum lc code;

    for (int i = 0; i < N_ROWS; i++)
        if (strcmp(ROWS[i].name, name) == 0)
            row = &ROWS[i];
    if (!row) {
        err_set(err, LC_ARG, "unknown device '%s'", name);
        return err_hint(err, "devices are 'cpu', 'cuda' and 'ref' (the slow reference)");
    }
    ops = find_ops(row, err);
    if (!ops)
        return err ? err->code : LC_MISSING;
    b = mem_zalloc(sizeof *b);
    if (!b)
        return err_nomem(err);
    b->ops = ops;
    snprintf(b->name, sizeof b->name, "%s", ops->name);
    code = ops->open(options, &b->state, err);
    if (code != LC_OK)
        mem_free(b);
    else
        *out = b;
    return code;
}

void backend_close(struct backend *b)
{
    if (!b)
        return;
    b->ops->close(b->state);
    mem_free(b);
}

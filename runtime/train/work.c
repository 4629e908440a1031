#include "runtime/train/work.h"
#include <stdio.h>
#include <unistd.h>

enum lc work_run(const struct ctx *ctx, const json_t *spec, const struct work_paths *paths,
                 const struct work_sink *sink, json_t **result, struct err *err)
{
    (void)ctx, (void)spec, (void)paths, (void)sink, (void)result;
    return err_set(err, LC_UNSUPPORTED, "this build has no training engine");
}

void work_device(char out[200])
{
    (void)snprintf(out, 200, "cpu: %ld cores", sysconf(_SC_NPROCESSORS_ONLN));
}

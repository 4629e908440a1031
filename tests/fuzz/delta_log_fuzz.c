/* delta_log_fuzz.c: no commit may crash the replay of a Delta log; what it accepts becomes a snapshot that can be
 * read through. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/plan.h"
#include "runtime/delta/delta_int.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static enum lc count(void *arg, const json_t *action, struct err *err)
{
    (void)err;
    *(size_t *)arg += json_object_size(action);
    return LC_OK;
}

static void read_through(struct delta_replay *r)
{
    struct delta_snapshot *t;
    struct scan *scan;
    struct err err;
    size_t seen = 0;

    if (delta_replay_snapshot(r, "/tmp/fuzz", 0, 0, &t, &err) != LC_OK)
        return;
    for (size_t i = 0; i < t->n_files; i++) {
        char *place = delta_file_location(t, &t->files[i]);
        mem_free(place);
        for (size_t k = 0; k < t->n_partition_columns; k++)
            seen += t->files[i].partitions[k] ? strlen(t->files[i].partitions[k]) : 0;
    }
    if (delta_check_reader(t, &err) == LC_OK && delta_check_writer(t, &err) == LC_OK &&
        delta_scan(t, "fuzz", &scan, &err) == LC_OK)
        scan_unref(scan);
    if (delta_replay_each(r, 0, count, &seen, &err) != LC_OK)
        abort();
    delta_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct delta_replay *r = delta_replay_new();
    struct err err;

    if (r && delta_commit_parse((const char *)data, size, "fuzz", delta_replay_action, r, &err) == LC_OK)
        read_through(r);
    delta_replay_free(r);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif

/* work.h: what a worker does with a job: tokenise, train, evaluate, save. No network here.
 *
 * What      reads the files that the worker has put in place, drives the engine's trainer, and tells a sink
 *           what happens: events for the job's log, folders to be published (checkpoints, the output).
 * Ownership everything is borrowed for the call; *result is a new reference.
 * Units     seconds, tokens, nats.
 * Errors    those of the engine; LC_CANCELLED, or what another rank did, after a checkpoint of the last whole step
 *           was published;
 *           LC_DATA (rows, spec), LC_UNSUPPORTED (named).
 * Threads   one call at a time; the sink is called on the calling thread.
 *
 * Example:
 *     struct work_paths paths = {"model", "data", "out", NULL};
 *     json_t *result;
 *     struct work_place alone = {NULL, 0, 0};
 *     if (work_run(&ctx, spec, &paths, &alone, &sink, &result, &err) == LC_OK)
 *         json_decref(result);
 */
#ifndef LACUS_TRAIN_WORK_H
#define LACUS_TRAIN_WORK_H
#include "gpu/collective.h"
#include <jansson.h>

struct work_paths {
    const char *model, *data;
    const char *out;    /* checkpoint-N folders and "output" are made here */
    const char *resume; /* the checkpoint to go on from; NULL: none */
};

struct work_sink {
    void *arg;
    void (*event)(void *arg, json_t *event);                            /* takes the reference */
    void (*phase)(void *arg, const char *phase, int64_t step);          /* what is being done now */
    enum lc (*publish)(void *arg, const char *folder, struct err *err); /* returns when it is kept */
    bool (*save_wanted)(void *arg); /* a checkpoint of the next whole step: asked once for each */
};

struct work_place {
    const struct collective *ranks; /* NULL: alone. Rank 0 alone makes events, checkpoints and the output */
    int threads;                    /* 0: chosen here */
    int beside; /* how many ranks of this machine come before: which of its GPUs is meant */
};

enum lc work_run(const struct ctx *ctx, const json_t *spec, const struct work_paths *paths,
                 const struct work_place *place, const struct work_sink *sink, json_t **result,
                 struct err *err) MUST_CHECK;
/* "cpu: 2 threads": the device that work_run would use, and for a GPU what sums between several. */
void work_device(char out[200]);
#endif

/* run.h: one job in the hands of the coordinator: the files it hands out and those it takes in.
 *
 * What      serves parts of the job's blobs by digest, receives folders (checkpoints, output) file by file
 *           and makes each appear whole or not at all in the job's folder, and copies the finished output to
 *           where the spec wants it.
 * Ownership run_open gives, run_free ends. Messages are borrowed.
 * Units     bytes.
 * Errors    LC_DATA when a worker sends what it may not (unknown digest, wrong order, a content that is not
 *           what it announced), LC_NOSPACE, LC_IO.
 * Threads   one at a time.
 *
 * Example:
 *     struct run *r;
 *     if (run_open(&info, &r, &err) == LC_OK)
 *         puts(r->folder);
 *     run_free(r);
 */
#ifndef LACUS_TRAIN_RUN_H
#define LACUS_TRAIN_RUN_H
#include "runtime/train/job.h"
#include "runtime/train/link.h"
#include <sys/types.h>

struct upload;
struct track;

struct run {
    char id[JOB_ID];
    char *folder;                        /* owned */
    json_t *spec;                        /* owned */
    json_t *blobs;                       /* owned: digest → path */
    json_t *model, *data;                /* owned manifests */
    json_t *resume, *best;               /* owned manifests, or NULL: where it goes on, and the best so far */
    char resume_name[64], best_name[64]; /* their folders: "checkpoint-20" */
    struct upload *upload;               /* owned */
    struct track *track;                 /* owned; NULL: no tracking run */
    int64_t owner_pid, owner_start;      /* its end cancels the job; 0: none */
    /* what the coordinator knows of its worker */
    char peer[LINK_PEER], worker[KEY_NAME]; /* "" while none has it */
    char about[160];                        /* "pid 12 on host" */
    pid_t pid;                              /* of the local worker; 0: none */
    int64_t exited_ns;                      /* when it was seen to have ended; 0: it runs */
    int exit_status;                        /* as waitpid gives it */
    int64_t since_ns;                       /* of the last change below */
    int64_t spawned_ns, cancel_ns, heard_ns;
    char phase[200];
    int64_t step;
};

enum lc run_open(const struct job_info *job, struct run **out, struct err *err) MUST_CHECK;
void run_free(struct run *r); /* NULL is fine */
/* The message that starts the work. near: the worker is on this machine and may look at the files themselves. */
json_t *run_message(const struct run *r, bool near);
/* Appends at most length bytes of a blob from offset on. */
enum lc run_blob(const struct run *r, const char *sha256, int64_t offset, int64_t length, struct buf *out,
                 struct err *err) MUST_CHECK;
enum lc run_receive(struct run *r, const struct wire_msg *file, struct err *err) MUST_CHECK;
enum lc run_commit(struct run *r, const struct wire_msg *commit, struct err *err) MUST_CHECK;
/* What has arrived of an unfinished folder is dropped: it could not be kept. */
void run_abort(struct run *r, const char *folder);
/* Copies the output folder to the spec's output_uri, when it has one. */
enum lc run_publish(const struct run *r, struct err *err) MUST_CHECK;
#endif

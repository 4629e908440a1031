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

enum { RUN_RANKS = 64 };

struct upload;
struct track;

struct rank {                               /* what the coordinator knows of one of its workers */
    char peer[LINK_PEER], worker[KEY_NAME]; /* "" while none is it */
    char about[160];                        /* "pid 12 on host" */
    char address[64], host[64];             /* where it connects from; its machine */
    int64_t cores;
    pid_t pid;                              /* of a local worker; 0: none */
    int64_t exited_ns;                      /* when it was seen to have ended; 0: it runs */
    int exit_status;                        /* as waitpid gives it */
    int64_t spawned_ns, heard_ns, since_ns; /* since: of the last change below */
    char phase[200];
    int64_t step;
    bool waiting; /* for other ranks */
    int port;     /* of its ring; 0: not told yet */
    char ring_key[KEY_HEX];
    bool ended; /* nothing more is expected of it */
};

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
    struct rank ranks[RUN_RANKS];
    int n_ranks;
    bool given;        /* every rank has its worker, and has been told what to do */
    bool met;          /* every rank knows its neighbours */
    bool local;        /* its workers were started for it, on this machine */
    bool saving;       /* a checkpoint was asked for */
    int64_t saves;     /* how many, so far */
    int64_t cancel_ns; /* somebody wants it to end; 0: nobody */
    /* its end, once that has begun: the other ranks are waited for */
    int64_t ending_ns;
    bool finished;  /* rank 0 is done; else cause says why it ends */
    json_t *result; /* owned; of rank 0 */
    struct err cause;
    bool hearsay;   /* the cause is what another rank says of the one at fault */
    char token[33]; /* of the ring */
};

enum lc run_open(const struct job_info *job, struct run **out, struct err *err) MUST_CHECK;
void run_free(struct run *r); /* NULL is fine */
/* The message that starts the work of a rank. A local one may look at the files themselves. */
json_t *run_message(const struct run *r, int rank);
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

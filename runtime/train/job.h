/* job.h: training jobs in the workspace: what was asked, how it stands, and everything it said.
 *
 * What      one row per job in workspace.db (an immutable JSON spec, a status, an error or a result), one
 *           folder $LACUS_HOME/jobs/ID (data, checkpoints, output, worker.log) and in it one append-only log
 *           of events, events.jsonl, that a session follows. Also the keys of the workers that may attach.
 * Ownership the workspace handle is borrowed. job_info is filled and then released by the caller; strings are
 *           the caller's: mem_free.
 * Units     times in milliseconds since 1970.
 * Errors    LC_NOTFOUND (nearest ids offered), LC_CONFLICT (not possible in this status), the workspace's
 *           own.
 * Threads   one handle, one thread.
 *
 * Example:
 *     struct workspace *ws;
 *     char id[JOB_ID];
 *     job_new_id(id);
 *     if (jobs_open(NULL, &ws, &err) == LC_OK && job_create(ws, id, spec, 0, &err) == LC_OK)
 *         puts(id);
 *     workspace_close(ws);
 */
#ifndef LACUS_TRAIN_JOB_H
#define LACUS_TRAIN_JOB_H
#include "runtime/base/buf.h"
#include "runtime/storage/workspace.h"
#include "runtime/train/keys.h"
#include <jansson.h>

enum { JOB_ID = 24 };

enum job_status { JOB_QUEUED, JOB_RUNNING, JOB_FINISHED, JOB_FAILED, JOB_CANCELLED };

struct job_info {
    char id[JOB_ID];
    enum job_status status;
    json_t *spec, *result, *error; /* owned; result and error may be NULL */
    char resume[64];               /* the checkpoint folder it starts from; "" for none */
    char worker[200];              /* of each rank */
    char waits[200];               /* what it waits for, while it is queued */
    bool cancel;                   /* asked to stop */
    int64_t saves;                 /* how often a checkpoint was asked for */
    int64_t ranks;                 /* to run on; 0: as the spec says */
    int64_t restarts;              /* since its last new checkpoint */
    char restarted[64];            /* which that was */
    int64_t queued;                /* when, the last time */
    int64_t attempts, owner_pid, owner_start;
    int64_t created, started, ended;
};

const char *job_status_name(enum job_status s);
bool job_ended(enum job_status s);

/* Opens the workspace and brings the tables of jobs and workers up to date. */
enum lc jobs_open(const char *path, struct workspace **out, struct err *err) MUST_CHECK;

void job_new_id(char id[JOB_ID]);
char *job_folder(const char *id, struct err *err); /* $LACUS_HOME/jobs/ID; created */
/* owner: a process whose end cancels the job; 0: none. */
enum lc job_create(struct workspace *ws, const char *id, const json_t *spec, int64_t owner,
                   struct err *err) MUST_CHECK;
enum lc job_get(struct workspace *ws, const char *id, struct job_info *out, struct err *err) MUST_CHECK;
void job_info_release(struct job_info *j);
json_t *job_info_json(const struct job_info *j); /* every member; NULL without memory */
/* Removes what an ended job needed to run or to resume (data, checkpoints, its copy of the output), not its log and
 * not a result in its folder. freed: bytes. LC_CONFLICT: it has not ended. */
enum lc job_clean(struct workspace *ws, const char *id, int64_t *freed, struct err *err) MUST_CHECK;
/* An array of {id, status, model, created, …}, newest first. */
enum lc job_list(struct workspace *ws, size_t most, json_t **out, struct err *err) MUST_CHECK;
/* Ids with that status, oldest first, as an array of texts. */
enum lc job_ids(struct workspace *ws, enum job_status status, json_t **out, struct err *err) MUST_CHECK;
enum lc job_cancel(struct workspace *ws, const char *id, struct err *err) MUST_CHECK;
/* Asks for a checkpoint of the next whole step. LC_CONFLICT: it does not run. */
enum lc job_save(struct workspace *ws, const char *id, struct err *err) MUST_CHECK;
/* What its owner is asked: to stop; how many checkpoints to make. */
enum lc job_asked(struct workspace *ws, const char *id, bool *cancel, int64_t *saves,
                  struct err *err) MUST_CHECK;
/* Queues an ended (or, by its coordinator, an orphaned) job again. resume: a checkpoint folder or "". ranks: 0 leaves
 * their number. */
enum lc job_requeue(struct workspace *ws, const char *id, const char *resume, int64_t ranks,
                    struct err *err) MUST_CHECK;
/* The same after a failure; counts. *again false: it has failed too often (more than `most` times) without a new
 * checkpoint, and nothing was changed. */
enum lc job_restart(struct workspace *ws, const char *id, const char *resume, int64_t most, bool *again,
                    struct err *err) MUST_CHECK;
/* What a queued job waits for: a sentence; "" for nothing. */
enum lc job_waits(struct workspace *ws, const char *id, const char *waits, struct err *err) MUST_CHECK;
enum lc job_start(struct workspace *ws, const char *id, const char *worker, struct err *err) MUST_CHECK;
/* Which worker has it now. */
enum lc job_given(struct workspace *ws, const char *id, const char *worker, struct err *err) MUST_CHECK;
enum lc job_end(struct workspace *ws, const char *id, enum job_status status, const json_t *result,
                const json_t *error, struct err *err) MUST_CHECK;
/* Removes the oldest checkpoints but `keep` (HF's save_total_limit), never `best` (a folder's name or ""). */
void job_rotate_checkpoints(const char *folder, int64_t keep, const char *best);
/* The newest complete "checkpoint-N" in the job's folder; "" for none. */
void job_last_checkpoint(const char *folder, char out[64]);

/* One line; adds "time". Takes the reference. Durable enough to be read after a crash of lacus. */
enum lc job_log(const char *folder, json_t *event, struct err *err) MUST_CHECK;
/* Complete lines from *offset on, at most 1000, as an array; advances *offset. Broken lines are skipped. */
enum lc job_events(const char *folder, int64_t *offset, json_t **out, struct err *err) MUST_CHECK;
/* The last lines of a text file, at most `most` of them and 4000 bytes. Nothing when it is not there. */
void job_tail(const char *path, size_t most, struct buf *out);

/* ---- workers that may attach ---- */
enum lc worker_add(struct workspace *ws, const char *name, const unsigned char pub[KEY_BYTES],
                   struct err *err) MUST_CHECK;
enum lc worker_revoke(struct workspace *ws, const char *name, struct err *err) MUST_CHECK;
enum lc worker_seen(struct workspace *ws, const char *name, const json_t *about, struct err *err) MUST_CHECK;
/* Array of {name, public_key, created, revoked, seen, about}. */
enum lc worker_rows(struct workspace *ws, json_t **out, struct err *err) MUST_CHECK;
#endif

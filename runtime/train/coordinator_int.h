/* coordinator_int.h: the coordinator's parts. Private to this folder.
 *
 * What      coordinator.c is the process (lock, files, loop); coordinator_place.c decides which job gets which
 *           workers and gives them their work; coordinator_watch.c notices what goes wrong and ends runs;
 *           coordinator_messages.c answers workers.
 *           A run goes through: placed (it has workers, or they are started) → given (all are attached and
 *           told) → met (the ring is known) → ending (done, cancelled, or a rank failed: the others are told to
 *           keep what they have) → finished, or queued again from its last checkpoint.
 */
#ifndef LACUS_TRAIN_COORDINATOR_INT_H
#define LACUS_TRAIN_COORDINATOR_INT_H
#include "runtime/base/clock.h"
#include "runtime/train/coordinator.h"
#include "runtime/train/run.h"
#include <sys/stat.h>

enum { RUNS_MOST = 64, PEERS_MOST = 256 };

struct peer {
    char id[LINK_PEER], user[KEY_NAME];
    char about[160], host[64], address[64], version[32], device[200];
    int64_t memory, cores, pid, resident;
    struct run *run;           /* borrowed from the coordinator; NULL: idle */
    int rank;                  /* in it */
    int64_t heard_ns, lost_ns; /* lost_ns: its connection is gone since then; 0: it is not */
    char how[LINK_TEXT];
};

struct coordinator {
    struct workspace *ws;       /* owned */
    struct allow *allow;        /* owned */
    struct link_server *server; /* owned */
    struct key_pair key;
    const char *program;
    char local_endpoint[256]; /* how this machine's own workers reach it */
    struct run *runs[RUNS_MOST];
    size_t n_runs;
    struct peer peers[PEERS_MOST];
    size_t n_peers;
    int64_t looked_ns, busy_ns, pulse_ns, about_ns;
    int lock;         /* borrowed descriptor of the lock file: its time is the sign of life */
    char own[4096];   /* this program's file, */
    struct stat file; /* and what it was at the start */
    bool replaced;    /* another build is there now: no longer than the jobs it has */
    bool invited;     /* workers from elsewhere may come */
};

/* ---- coordinator.c ---- */
void coordinator_say(const char *fmt, ...) PRINTF_LIKE(1, 2);
int64_t ms_since(int64_t ns);
void coordinator_write_about(struct coordinator *c); /* what others read of it */
enum lc coordinator_program(const char *program, char out[4096], struct err *err) MUST_CHECK;
void run_event(const struct run *r, json_t *event); /* into the job's log; takes the reference */
/* False: it cannot be sent; said already. Takes the reference. */
bool coordinator_send(struct coordinator *c, const char *peer, json_t *head);
enum lc coordinator_record(struct coordinator *c, const char *id, enum job_status status,
                           const json_t *result, const json_t *error, struct err *err) MUST_CHECK;
json_t *error_json(const struct err *e);

/* ---- coordinator_place.c ---- */
void look_for_jobs(struct coordinator *c);
void attach_rank(struct coordinator *c, struct run *r, int rank, struct peer *p);

/* ---- coordinator_watch.c ---- */
/* False: the run is gone. */
bool watch_run(struct coordinator *c, struct run *r, bool look);
/* A rank is at an end for a reason; the others are told to keep what they have. hearsay: another rank says so. */
void rank_failed(struct coordinator *c, struct run *r, int rank, const struct err *e, bool hearsay);
void rank_done(struct coordinator *c, struct run *r, int rank, const json_t *result);
void lose_peer(struct coordinator *c, const char *id, const char *how);
void end_local_workers(struct coordinator *c, struct run *r);
void drop_run(struct coordinator *c, struct run *r);

/* ---- coordinator_messages.c ---- */
struct peer *find_peer(struct coordinator *c, const char *id);
void on_message(struct coordinator *c, struct link_event *e);
#endif

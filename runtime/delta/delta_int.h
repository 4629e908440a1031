/* delta_int.h: what the files of runtime/delta share (private).
 *
 * What      the listing of a log, the replay of its actions, checkpoints, and the texts of a commit.
 * Ownership as stated at each function.
 * Errors    those of delta.h.
 * Threads   as in delta.h.
 *
 * Example:
 *     struct delta_log log;
 *     if (delta_log_list(ctx, location, &log, err) == LC_OK)
 *         delta_log_release(&log);
 */
#ifndef LACUS_DELTA_DELTA_INT_H
#define LACUS_DELTA_DELTA_INT_H
#include "runtime/base/arrow.h"
#include "runtime/delta/delta.h"
#include "runtime/storage/storage.h"

enum { DELTA_PATH_TEXT = 64, DELTA_PARTS_MAX = 10000 };
#define DELTA_COMMIT_BYTES_MAX ((size_t)512 << 20)
#define DELTA_VERSION_MAX      INT64_C(99999999999999999)

struct delta_commit_file {
    int64_t version, size, modified_ms;
};
struct delta_checkpoint_file { /* complete ones only */
    int64_t version;
    int parts; /* 1: classic, more: multi-part */
};
struct delta_log {
    struct storage storage;
    char *folder;                      /* owned: location/_delta_log */
    struct delta_commit_file *commits; /* owned, ascending */
    size_t n_commits;
    struct delta_checkpoint_file *checkpoints; /* owned, ascending */
    size_t n_checkpoints;
};
/* An absent folder is an empty log. */
enum lc delta_log_list(const struct ctx *ctx, const char *location, struct delta_log *log,
                       struct err *err) MUST_CHECK;
void delta_log_release(struct delta_log *log);
int64_t delta_log_latest(const struct delta_log *log); /* -1: empty */
/* "00000000000000000007.json" */
void delta_commit_name(int64_t version, char out[DELTA_PATH_TEXT]);
/* Calls fn with each action of a commit: a JSON object, borrowed. */
typedef enum lc delta_action_fn(void *arg, const json_t *action, struct err *err);
enum lc delta_commit_read(const struct ctx *ctx, const struct storage *storage, const char *folder,
                          int64_t version, delta_action_fn *fn, void *arg, struct err *err) MUST_CHECK;
/* The same for a text in memory; source is for messages. */
enum lc delta_commit_parse(const char *text, size_t len, const char *source, delta_action_fn *fn, void *arg,
                           struct err *err) MUST_CHECK;

/* ---- replay: the state that a sequence of actions leads to ---- */
struct delta_replay;
struct delta_replay *delta_replay_new(void); /* NULL without memory */
void delta_replay_free(struct delta_replay *r);
enum lc delta_replay_action(void *replay, const json_t *action, struct err *err); /* a delta_action_fn */
/* Copies the state into a snapshot; checks that a protocol and a metaData are there. */
enum lc delta_replay_snapshot(struct delta_replay *r, const char *location, int64_t version,
                              int64_t timestamp_ms, struct delta_snapshot **out, struct err *err) MUST_CHECK;
/* Every action of a checkpoint of this state; tombstones older than oldest_remove_ms are left out. */
enum lc delta_replay_each(const struct delta_replay *r, int64_t oldest_remove_ms, delta_action_fn *fn,
                          void *arg, struct err *err) MUST_CHECK;

/* Lists, picks the checkpoint, reads it and the commits after it; *version becomes the real one. */
enum lc delta_replay_open(const struct ctx *ctx, const struct delta_engine *engine, const char *location,
                          int64_t *version, int64_t *timestamp_ms, struct delta_replay **out,
                          struct err *err) MUST_CHECK;

/* ---- checkpoints ---- */
enum lc delta_checkpoint_read(const struct ctx *ctx, const struct delta_engine *engine,
                              const struct delta_log *log, const struct delta_checkpoint_file *checkpoint,
                              delta_action_fn *fn, void *arg, struct err *err) MUST_CHECK;
enum lc delta_checkpoint_write(const struct ctx *ctx, const struct delta_engine *engine, const char *location,
                               int64_t version, struct err *err) MUST_CHECK;
/* One row of an Arrow array as JSON: structs without their null fields, maps with text keys as objects; NULL
 * without memory. New reference. Types that no action has become null. */
json_t *delta_arrow_json(const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t row);

/* ---- what a table asks of its readers and writers ---- */
enum lc delta_check_reader(const struct delta_snapshot *t, struct err *err) MUST_CHECK;
enum lc delta_check_writer(const struct delta_snapshot *t, struct err *err) MUST_CHECK;

struct dtype;
struct dfield;
struct written_file;
/* The protocol action that a table with this schema and these properties needs; *out NULL when t has it (t NULL:
 * a new table). New reference. */
enum lc delta_protocol_for(const struct delta_snapshot *t, const struct dtype *schema,
                           const json_t *configuration, json_t **out, struct err *err) MUST_CHECK;

/* minReaderVersion and minWriterVersion ask for a protocol, and are no properties of the table. */
void delta_drop_versions(json_t *configuration);

/* ---- metaData ---- */
struct delta_metadata {                 /* all borrowed */
    const struct delta_snapshot *table; /* the one before; NULL: a new table */
    const char *name, *description;     /* may be NULL */
    const struct dtype *schema;
    const char *const *partition_columns;
    size_t n_partition_columns;
    const json_t *configuration;
};
json_t *delta_text_array(const char *const *texts, size_t n); /* new reference; NULL without memory */
/* operationParameters are texts, JSON inside: {"partitionBy": "[\"a\"]"}. Takes the value's reference. */
bool delta_set_json_text(json_t *o, const char *key, json_t *value);
json_t *delta_metadata_action(const struct delta_metadata *m); /* new reference; NULL without memory */
bool delta_metadata_is_mapped(const json_t *configuration);
/* With column mapping: gives every column an id and a physical name that has none (own_names: its own name, else a
 * fresh one) and counts in the configuration. Without: takes them away. *out is a new reference. */
enum lc delta_mapping_complete(const struct dtype *schema, json_t *configuration, bool own_names,
                               const struct dtype **out, struct err *err) MUST_CHECK;
/* The schema as files and statistics have it. NULL without memory. */
const struct dtype *delta_mapping_physical(const struct dtype *schema, bool mapped);
/* The ids of the columns; in the arena. NULL: not mapped, or no memory. */
const int64_t *delta_mapping_ids(struct arena *a, const struct dtype *schema, bool mapped);

/* ---- schemas ---- */
/* The name that files, statistics and partition values have for a column; mapped: delta.columnMapping.mode is
 * set. In the arena; NULL without memory. */
const char *delta_physical_name(struct arena *a, const struct dfield *f, bool mapped);
bool delta_is_mapped(const struct delta_snapshot *t);
/* A copy in which everything may be NULL: what a table made from rows has. NULL without memory. */
const struct dtype *delta_schema_nullable(const struct dtype *t);
/* Can a table have these columns? Types, names (with column mapping any), duplicates. */
enum lc delta_schema_check(const struct dtype *schema, bool mapped, struct err *err) MUST_CHECK;
/* The table's schema after rows of `rows` were written: the same (a reference), or with new columns. */
enum lc delta_schema_merge(const struct dtype *table, const struct dtype *rows, const struct delta_write *w,
                           const struct dtype **out, struct err *err) MUST_CHECK;
/* The plan with exactly the table's columns, in order and with their types. New reference. */
enum lc delta_schema_align(const struct plan *plan, const struct dtype *rows, const struct dtype *table,
                           bool by_position, const struct plan **out, struct err *err) MUST_CHECK;
/* add.stats of a file, JSON text. */
bool delta_stats(const struct dtype *schema, const struct written_file *file, struct buf *out);

/* ---- texts ---- */
bool delta_path_encode(struct buf *out, const char *path); /* as the log has paths */
char *delta_path_decode(struct arena *a, const char *encoded);

/* ---- committing ---- */
struct delta_commit {
    const char *location;
    int64_t read_version; /* of the snapshot that was read; -1: the table is new */
    bool blind_append;    /* read nothing of the table but its metadata */
    struct buf text;      /* the actions, one per line */
    json_t *removed;      /* object: paths this commit removes; owned */
};
bool delta_commit_line(struct delta_commit *c, const char *kind, json_t *action); /* takes the reference */
/* Puts the next version that is free, unless a version since read_version conflicts. A new table that lost
 * the race is LC_EXISTS. */
enum lc delta_commit_put(const struct ctx *ctx, struct delta_commit *c, int64_t *version,
                         struct err *err) MUST_CHECK;
#endif

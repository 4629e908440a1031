/* source.h: where a run comes from: who, which notebook, which commit.
 *
 * What      the tags that every run carries, read from ctx, the system and the folder's git repository (its
 *           files; git itself need not be installed).
 * Ownership source_tags fills caller's memory.
 * Units     none.
 * Errors    none: what cannot be found out is left out.
 * Threads   any.
 *
 * Example:
 *     struct source source;
 *     struct tracker_new_run run = {.experiment_id = "0", .tags = source.tags};
 *     run.n_tags = source_tags(&ctx, &source);
 */
#ifndef LACUS_TRACKING_SOURCE_H
#define LACUS_TRACKING_SOURCE_H
#include "runtime/tracking/tracker.h"

enum { SOURCE_USER = 128, SOURCE_TAGS = 8, SOURCE_TEXT = 512 };

struct source {
    struct tracker_pair tags[SOURCE_TAGS]; /* the values point into this struct and ctx */
    char user[SOURCE_USER], commit[72], branch[256], url[SOURCE_TEXT];
};

void source_user(const struct ctx *ctx, char out[SOURCE_USER]); /* ctx's principal, else the login name */
size_t source_tags(const struct ctx *ctx, struct source *out);  /* how many tags */
/* The commit that is checked out where path (a file or folder; NULL: here) lies; false outside a repository. */
bool source_git(const char *path, char *commit, size_t commit_size, char *branch, size_t branch_size,
                char *url, size_t url_size);
#endif

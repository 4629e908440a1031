/* model_folder.h: whether a folder holds a model that a job can train, said before the job exists.
 *
 * What      the files that a worker will ask for are there and can be opened: config.json of an architecture that is
 *           known, every shard of the weights (their headers, not their contents), tokenizer.json.
 * Ownership nothing is kept.
 * Units     none.
 * Errors    LC_NOTFOUND, LC_DATA, LC_UNSUPPORTED, LC_IO, with the file's own path.
 * Threads   any.
 *
 * Example:
 *     if (model_folder_check("/models/tiny", &err) != LC_OK)
 *         fprintf(stderr, "%s\n", err.message);
 */
#ifndef LACUS_TRAIN_MODEL_FOLDER_H
#define LACUS_TRAIN_MODEL_FOLDER_H
#include "runtime/base/err.h"

enum lc model_folder_check(const char *folder, struct err *err) MUST_CHECK;
/* A worker's copy of the folder is called what the user calls it: every `copy` in the error's texts becomes `folder`. */
void model_folder_name(struct err *err, const char *copy, const char *folder);
#endif

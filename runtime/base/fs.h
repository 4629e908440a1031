/* fs.h: files, folders and the places lacus keeps its own.
 *
 * What      whole-file reads with a limit, writes that are complete or absent (written beside, synced,
 *           renamed; but a link is followed, a file keeps its mode, and a device or a pipe is written into),
 *           folders, and the folders of lacus: its state (LACUS_HOME, default ~/.lacus) and its installed
 *           parts (plugins, Lua library).
 * Ownership returned strings are the caller's: mem_free.
 * Units     bytes.
 * Errors    LC_NOTFOUND, LC_PERM, LC_NOSPACE, LC_LIMIT, LC_IO; the path is in the message.
 * Threads   any.
 *
 * Example:
 *     struct buf text = BUF_INIT(1 << 20);
 *     struct err err;
 *     if (fs_read("settings.json", &text, &err) != LC_OK)
 *         puts(err.message);
 *     buf_release(&text);
 */
#ifndef LACUS_BASE_FS_H
#define LACUS_BASE_FS_H
#include "runtime/base/buf.h"

enum lc fs_read(const char *path, struct buf *out,
                struct err *err) MUST_CHECK; /* appends; the limit is out->max */
enum lc fs_write(const char *path, const void *data, size_t len,
                 struct err *err) MUST_CHECK; /* atomic and durable */
struct fs_part {
    const void *data; /* borrowed */
    size_t len;
};
/* The same for a file whose pieces lie apart in memory. */
enum lc fs_write_parts(const char *path, const struct fs_part *parts, size_t n, struct err *err) MUST_CHECK;
/* To an open descriptor, which stays the caller's; path: for the message. */
enum lc fs_write_all(int fd, const char *path, const char *data, size_t len, struct err *err) MUST_CHECK;
/* Atomic, but not synced: survives the end of the process, not of the machine. For what is written again and again. */
enum lc fs_replace(const char *path, const void *data, size_t len, struct err *err) MUST_CHECK;
enum lc fs_write_private(const char *path, const void *data, size_t len,
                         struct err *err) MUST_CHECK; /* mode 0600 */
/* Atomic like fs_write, but LC_EXISTS when the path is there already. */
enum lc fs_put_if_absent(const char *path, const void *data, size_t len, struct err *err) MUST_CHECK;
enum lc fs_mkdirs(const char *path, struct err *err) MUST_CHECK;
enum lc fs_remove_tree(const char *path,
                       struct err *err) MUST_CHECK; /* absent is fine; does not follow links */
/* Puts folder `from` in the place of `to`, which may be there: at every moment one or the other is whole. Synced. */
enum lc fs_replace_tree(const char *from, const char *to, struct err *err) MUST_CHECK;
bool fs_exists(const char *path);
bool fs_is_dir(const char *path);
int64_t fs_size(const char *path); /* -1: no such file */
char *fs_join(const char *dir, const char *name);
char *fs_absolute(const char *path);       /* not resolved, need not exist */
const char *fs_basename(const char *path); /* borrowed */
/* Names in a folder, sorted, without . and ..; *n strings, freed with fs_free_list. */
enum lc fs_list(const char *path, char ***names, size_t *n, struct err *err) MUST_CHECK;
void fs_free_list(char **names, size_t n);

/* A path below the state folder, e.g. fs_home("tables", &err); "" is the folder itself. Creates the state
 * folder (0700). */
char *fs_home(const char *below, struct err *err);
/* A file that came with lacus, e.g. "plugins/http.so": beside the executable, else in LIBDIR/lacus. NULL if
 * it is nowhere. */
char *fs_installed(const char *below);
#endif

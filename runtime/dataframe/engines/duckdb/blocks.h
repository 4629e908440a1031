/* blocks.h: files given out to threads, in pieces where a file can be cut.
 *
 * What      blocks_claim gives the next piece of the next file that nobody has yet.
 * Ownership files are borrowed; blocks_release ends it.
 * Units     bytes.
 * Errors    none.
 * Threads   blocks_claim: any.
 *
 * Example:
 *     const char *const files[] = {"a.json"};
 *     struct blocks b;
 *     struct unit u;
 *     blocks_init(&b, files, 1, "UTF-8");
 *     while (blocks_claim(&b, true, &u))
 *         printf("%s from %llu\n", u.path, (unsigned long long)u.from);
 *     blocks_release(&b);
 */
#ifndef LACUS_DATAFRAME_ENGINES_DUCKDB_BLOCKS_H
#define LACUS_DATAFRAME_ENGINES_DUCKDB_BLOCKS_H
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blocks {
    pthread_mutex_t lock;
    const char *const *files;
    size_t n_files;
    size_t file;     /* lock; the next to be given out … */
    uint64_t offset; /* lock; … from here on */
    uint64_t size;   /* lock; of that file; UINT64_MAX: not asked yet */
    const char *encoding;
};

struct unit { /* what one thread reads next */
    const char *path;
    uint64_t from, to;
    bool whole; /* a stream */
};

void blocks_init(struct blocks *b, const char *const *files, size_t n_files, const char *encoding);
void blocks_release(struct blocks *b);
/* cut: the records of plain files may be cut; other files are one piece. False: nothing is left. */
bool blocks_claim(struct blocks *b, bool cut, struct unit *u);
#endif

#include "runtime/dataframe/engines/duckdb/blocks.h"
#include "runtime/dataframe/engines/duckdb/input.h"
#include <sys/stat.h>

enum { BLOCK = 1 << 21 };

void blocks_init(struct blocks *b, const char *const *files, size_t n_files, const char *encoding)
{
    *b = (struct blocks){.files = files, .n_files = n_files, .size = UINT64_MAX, .encoding = encoding};
    pthread_mutex_init(&b->lock, NULL);
}

void blocks_release(struct blocks *b)
{
    pthread_mutex_destroy(&b->lock);
}

bool blocks_claim(struct blocks *b, bool cut, struct unit *u)
{
    bool found = false;

    pthread_mutex_lock(&b->lock);
    if (b->file < b->n_files) {
        struct stat st;

        u->path = b->files[b->file];
        u->whole = !cut || !input_is_plain(u->path, b->encoding);
        if (b->size == UINT64_MAX)
            b->size = u->whole || stat(u->path, &st) != 0 ? 0 : (uint64_t)st.st_size;
        u->from = b->offset;
        u->to = u->from + BLOCK < b->size ? u->from + BLOCK : b->size;
        b->offset = u->to;
        if (u->to >= b->size) {
            b->file++;
            b->offset = 0;
            b->size = UINT64_MAX;
        }
        found = true;
    }
    pthread_mutex_unlock(&b->lock);
    return found;
}

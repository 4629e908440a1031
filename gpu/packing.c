#include "gpu/packing.h"
#include "runtime/base/mem.h"
#include <string.h>

/* Bins by the room they have left: for each room a list, and a tree of flags that finds the smallest room that is
 * large enough in log2(capacity) steps. */
struct rooms {
    int64_t size;       /* a power of 2 above the capacity */
    unsigned char *any; /* [2 * size]: whether a bin is below this node; room r is the leaf size + r */
    int64_t *head;      /* [size]: the first bin with this room, -1: none */
    int64_t *next;      /* [bins] */
};

static void mark(struct rooms *r, int64_t room)
{
    int64_t node = r->size + room;

    r->any[node] = r->head[room] >= 0;
    for (node /= 2; node > 0; node /= 2)
        r->any[node] = r->any[2 * node] || r->any[2 * node + 1];
}

/* The smallest room of at least `least` that a bin has; -1: none. */
static int64_t find(const struct rooms *r, int64_t least)
{
    int64_t node = r->size + least;

    if (r->any[node])
        return least;
    while (node > 1 && (node % 2 == 1 || !r->any[node + 1])) /* up, until there is something to the right */
        node /= 2;
    if (node <= 1)
        return -1;
    for (node++; node < r->size;)
        node = r->any[2 * node] ? 2 * node : 2 * node + 1;
    return node - r->size;
}

static void push(struct rooms *r, int64_t bin, int64_t room)
{
    r->next[bin] = r->head[room];
    r->head[room] = bin;
    mark(r, room);
}

static int64_t pop(struct rooms *r, int64_t room)
{
    int64_t bin = r->head[room];

    r->head[room] = r->next[bin];
    mark(r, room);
    return bin;
}

/* by[]: the sequences by falling length, in their own order where lengths are equal. */
static void sort_falling(const int64_t *lengths, int64_t n, int64_t capacity, int64_t *starts, int64_t *by)
{
    memset(starts, 0, (size_t)(capacity + 2) * sizeof *starts);
    for (int64_t i = 0; i < n; i++)
        starts[capacity - lengths[i] + 1]++;
    for (int64_t l = 1; l <= capacity; l++)
        starts[l] += starts[l - 1];
    for (int64_t i = 0; i < n; i++)
        by[starts[capacity - lengths[i]]++] = i;
}

static int64_t fill(const int64_t *lengths, int64_t n, int64_t capacity, const int64_t *by, struct rooms *r,
                    int64_t *bin_of)
{
    int64_t bins = 0;

    for (int64_t i = 0; i < n; i++) {
        int64_t length = lengths[by[i]], room = find(r, length), bin;

        bin = room >= 0 ? pop(r, room) : bins++;
        room = room >= 0 ? room : capacity;
        bin_of[by[i]] = bin;
        push(r, bin, room - length);
    }
    return bins;
}

/* Each bin's sequences in the order in which they were given. */
static void list_bins(const int64_t *bin_of, int64_t n, int64_t bins, int64_t *order, int64_t *first)
{
    memset(first, 0, (size_t)(bins + 1) * sizeof *first);
    for (int64_t i = 0; i < n; i++)
        first[bin_of[i] + 1]++;
    for (int64_t b = 0; b < bins; b++)
        first[b + 1] += first[b];
    for (int64_t i = 0; i < n; i++)
        order[first[bin_of[i]]++] = i;
    for (int64_t b = bins; b > 0; b--) /* the first places have moved on by one bin */
        first[b] = first[b - 1];
    first[0] = 0;
}

enum lc packing_best_fit(const int64_t *lengths, int64_t n, int64_t capacity, int64_t *order, int64_t *first,
                         int64_t *bins, struct err *err)
{
    struct rooms r = {.size = 1};
    int64_t *by = NULL, *bin_of = NULL, *starts = NULL;
    enum lc rc = LC_OK;

    for (int64_t i = 0; i < n; i++)
        if (lengths[i] < 1 || lengths[i] > capacity)
            return err_set(err, LC_ARG, "sequence %lld has %lld tokens: not between 1 and %lld", (long long)i,
                           (long long)lengths[i], (long long)capacity);
    while (r.size <= capacity)
        r.size *= 2;
    r.any = mem_calloc((size_t)r.size * 2, 1);
    r.head = mem_reallocn(NULL, (size_t)r.size, sizeof *r.head);
    r.next = mem_reallocn(NULL, (size_t)n + 1, sizeof *r.next);
    by = mem_reallocn(NULL, (size_t)n + 1, sizeof *by);
    bin_of = mem_reallocn(NULL, (size_t)n + 1, sizeof *bin_of);
    starts = mem_reallocn(NULL, (size_t)capacity + 2, sizeof *starts);
    if (r.any && r.head && r.next && by && bin_of && starts) {
        for (int64_t i = 0; i < r.size; i++)
            r.head[i] = -1;
        sort_falling(lengths, n, capacity, starts, by);
        *bins = fill(lengths, n, capacity, by, &r, bin_of);
        list_bins(bin_of, n, *bins, order, first);
    } else {
        rc = err_nomem(err);
    }
    mem_free(r.any);
    mem_free(r.head);
    mem_free(r.next);
    mem_free(by);
    mem_free(bin_of);
    mem_free(starts);
    return rc;
}

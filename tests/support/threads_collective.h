/* threads_collective.h: a collective between threads of one process: sums are made when they are started, so that data
 * which was not final then shows in the result. */
#ifndef LACUS_TESTS_THREADS_COLLECTIVE_H
#define LACUS_TESTS_THREADS_COLLECTIVE_H
#include "gpu/collective.h"

struct gathering; /* what the ranks of one run share */
struct gathering *gathering_new(int size);
void gathering_free(struct gathering *g);
void gathering_join(struct gathering *g, int rank, struct collective *out);
int gathering_sums(const struct gathering *g); /* so far */
#endif

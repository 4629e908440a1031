/* process_id.h: whether a process that was seen before is still the same one.
 *
 * What      a pid alone may be given to another process later; a pid with its start time is not.
 * Ownership none.
 * Units     start times in clock ticks since boot, as /proc has them.
 * Errors    0: no such process.
 * Threads   any.
 *
 * Example:
 *     int64_t mine = process_start_time(getpid());
 *     bool alive = process_is_alive(getpid(), mine);
 */
#ifndef LACUS_TRAIN_PROCESS_ID_H
#define LACUS_TRAIN_PROCESS_ID_H
#include <stdbool.h>
#include <stdint.h>

int64_t process_start_time(int64_t pid); /* 0 for pid 0 and for none */
bool process_is_alive(int64_t pid, int64_t start_time);
int64_t process_resident(int64_t pid); /* bytes; 0: unknown */
#endif

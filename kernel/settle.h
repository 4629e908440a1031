/* settle.h: gives back what only the start of the process needed.
 *
 * What      code and constants of the program and its libraries are mapped from their files, and the system maps
 *           sixteen pages around each one that the start touches (relocation, constructors, registration). Once,
 *           when a kernel is idle for the first time, they are let go; what is used afterwards comes back from the
 *           page cache, and only that. Pages that may have been written are left alone.
 * Ownership none.
 * Units     none.
 * Errors    none: what the system does not let go stays.
 * Threads   any; other threads go on.
 *
 * Example:
 *     settle();
 */
#ifndef LACUS_KERNEL_SETTLE_H
#define LACUS_KERNEL_SETTLE_H

void settle(void);
#endif

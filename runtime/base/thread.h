/* thread.h: threads that leave signals to those of the front end.
 *
 * What      pthread_create with every signal blocked in the new thread but the faults that it makes itself (SIGSEGV and kin):
 *           handlers run where a cell, a prompt or a server waits.
 * Ownership the caller joins or detaches the thread.
 * Errors    0, or the error number of pthread_create.
 * Threads   any.
 *
 * Example:
 *     pthread_t thread;
 *     if (thread_start(&thread, count_lines, &file) == 0)
 *         pthread_join(thread, NULL);
 */
#ifndef LACUS_BASE_THREAD_H
#define LACUS_BASE_THREAD_H
#include <pthread.h>

int thread_start(pthread_t *thread, void *(*body)(void *), void *arg);
#endif

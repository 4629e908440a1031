/* sanitize.h: whether this is a build with ThreadSanitizer (gcc and clang tell it each in its way).
 *
 * What      SANITIZE_THREADS: 1 in such a build, else 0. There, a signal waits until its thread calls something that
 *           ThreadSanitizer knows, and Lua's own loops call nothing: so that signals reach a cell, it looks every
 *           SANITIZE_LOOKS instructions (0: in other builds never). A C function that runs long is not reached.
 * Ownership nothing.
 * Threads   any.
 *
 * Example:
 *     if (SANITIZE_THREADS)
 *         puts("SKIP: ThreadSanitizer withholds the signal");
 */
#ifndef LACUS_SESSION_SANITIZE_H
#define LACUS_SESSION_SANITIZE_H
#ifdef __SANITIZE_THREAD__
#define SANITIZE_THREADS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZE_THREADS 1
#endif
#endif
#ifndef SANITIZE_THREADS
#define SANITIZE_THREADS 0
#endif

enum { SANITIZE_LOOKS = SANITIZE_THREADS ? 1000 : 0 };
#endif

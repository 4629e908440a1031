/* timing.h: durations as IPython prints them.
 *
 * Ownership the caller's buffer.
 * Units     seconds.
 * Errors    none.
 * Threads   any.
 *
 * Example:
 *     char text[TIMING_TEXT];
 *     timing_text(0.00123, text); // "1.23 ms"
 */
#ifndef LACUS_MAGICS_TIMING_H
#define LACUS_MAGICS_TIMING_H

enum { TIMING_TEXT = 64 };
void timing_text(double seconds, char out[TIMING_TEXT]);
void timing_text_digits(double seconds, int digits,
                        char out[TIMING_TEXT]); /* so many, instead of 3; 1 … 17 */
#endif

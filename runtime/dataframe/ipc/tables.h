/* tables.h: whether a message has the parts that nanoarrow's decoder takes for granted.
 *
 * What      a part of a message may be left out, says the format's verifier, and the decoder ends the program where one lacks
 *           that no writer leaves out; lengths it multiplies as they come, and then takes a short column for a long one. A
 *           column that is encoded by a dictionary, or is a union, is refused: neither Spark nor Python's side sends one.
 * Ownership borrowed.
 * Errors    a text; NULL: there is nothing wrong.
 * Threads   any.
 *
 * Example:
 *     const char *wrong = tables_wrong(message);
 *     if (wrong)
 *         puts(wrong);
 */
#ifndef LACUS_DATAFRAME_IPC_TABLES_H
#define LACUS_DATAFRAME_IPC_TABLES_H

/* message: a header's bytes without their prefix, which ArrowIpcDecoderVerifyHeader has let through. */
const char *tables_wrong(const void *message);
#endif

/* encode.h: plans, expressions and types as Spark Connect's Relation, Expression and DataType.
 *
 * What      appends the fields of one message. Names are sent as they are: they belong to the server's
 *           catalog, and the server resolves them; plan ids go along, so that df.col finds its DataFrame.
 * Ownership everything is borrowed during the call.
 * Errors    LC_UNSUPPORTED naming what Spark Connect has no message for; LC_LIMIT for a plan deeper than the server reads;
 *           what the env's function says.
 * Threads   any.
 *
 * Example:
 *     struct buf out = BUF_INIT(CONNECT_MESSAGE_MAX);
 *     if (connect_relation(&(struct connect_env){0}, plan, &out, &err) != LC_OK)
 *         puts(err.message);
 *     buf_release(&out);
 */
#ifndef LACUS_DATAFRAME_CONNECT_ENCODE_H
#define LACUS_DATAFRAME_CONNECT_ENCODE_H
#include "runtime/dataframe/connect/proto.h"
#include "runtime/dataframe/plan.h"

enum { CONNECT_MESSAGE_MAX = 128 << 20, CONNECT_DEPTH = 900 };

/* What the encoder asks for: the fields of a Relation's content for rows in memory (local_relation with its data, or the
 * reference to an artifact that was sent before). */
struct connect_env {
    enum lc (*local)(void *self, const struct plan *p, struct buf *out, struct err *err);
    void *self;
};

/* The fields of a Relation: wrap them with pb_begin/pb_end. */
enum lc connect_relation(const struct connect_env *env, const struct plan *p, struct buf *out,
                         struct err *err) MUST_CHECK;
/* The fields of an Expression. */
enum lc connect_expression(const struct connect_env *env, const struct expr *e, struct buf *out,
                           struct err *err) MUST_CHECK;
/* A SortOrder as a field; an expression that says no order is ascending, nulls first. */
void connect_type(struct buf *out, unsigned field, const struct dtype *type); /* a DataType as a field */

/* A DataType's bytes. New reference. LC_UNSUPPORTED names a type that lacus has not; LC_DATA: not a DataType. */
enum lc connect_type_read(struct pb_reader r, const struct dtype **out, struct err *err) MUST_CHECK;
#endif

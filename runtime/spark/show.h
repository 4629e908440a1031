/* show.h: the first rows of a plan as people see them: as Spark prints them, and as an HTML table.
 *
 * Ownership texts are appended to the caller's buffer.
 * Units     rows; characters; terminal columns.
 * Errors    those of spark_execute.
 * Threads   session thread.
 *
 * Example:
 *     struct buf text = BUF_INIT(BUF_TEXT_MAX);
 *     if (spark_show(&ctx, s, plan, &(struct show_options){.rows = 20, .truncate = 20}, &text, &err) == LC_OK)
 *         puts(buf_str(&text));
 */
#ifndef LACUS_SPARK_SHOW_H
#define LACUS_SPARK_SHOW_H
#include "runtime/base/redact.h"
#include "runtime/spark/spark.h"

struct show_options {
    int64_t rows;
    int64_t truncate; /* characters of a cell; 0: all, and cells stand to the left */
    bool vertical;
    int width; /* columns of the table that do not fit are named below it; 0: all fit */
    const struct redact
        *secrets; /* hidden before a column is measured: no box tells how long one is; may be NULL */
};

enum lc spark_show(const struct ctx *ctx, struct spark *s, const struct plan *p, const struct show_options *o,
                   struct buf *out, struct err *err) MUST_CHECK;
/* text and html of one run of the plan, for display(df); of a command's result, which has nothing in it, "OK" and no html */
enum lc spark_show_rich(const struct ctx *ctx, struct spark *s, const struct plan *p,
                        const struct show_options *o, struct buf *text, struct buf *html,
                        struct err *err) MUST_CHECK;
#endif

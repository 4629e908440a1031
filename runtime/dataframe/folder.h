/* folder.h: names of partition folders, as Hive and Spark write them: k=it%27s, k=__HIVE_DEFAULT_PARTITION__.
 *
 * What      what a folder's name cannot hold is %XX; everything else stays as it is.
 * Ownership folder_unescape: the caller's (mem_free). folder_escape: the caller's buffer.
 * Units     bytes; UTF-8 passes through.
 * Errors    folder_unescape: NULL without memory. What only looks like an escape stays as it is.
 * Threads   any.
 * Source    org.apache.spark.sql.catalyst.catalog.ExternalCatalogUtils (escapePathName, unescapePathName)
 *
 * Example:
 *     struct buf name = BUF_INIT(100);
 *     if (folder_escape(&name, "it's", 4))
 *         puts(buf_str(&name)); // it%27s
 *     buf_release(&name);
 */
#ifndef LACUS_DATAFRAME_FOLDER_H
#define LACUS_DATAFRAME_FOLDER_H
#include "runtime/base/buf.h"

#define FOLDER_NULL "__HIVE_DEFAULT_PARTITION__" /* the value NULL */

bool folder_escape(struct buf *out, const char *text, size_t len);
char *folder_unescape(const char *text, size_t len);
#endif

/* upgrade.h: notebooks of nbformat 3 (IPython 1 to 2) made into nbformat 4.
 *
 * What      worksheets become one list of cells, headings become Markdown, outputs get today's names; as
 *           nbformat's own converter does it. What was never valid is left for the reader to complain about.
 * Ownership the document is changed in place.
 * Units     none.
 * Errors    none.
 * Threads   any.
 * Source    nbformat/v4/convert.py.
 *
 * Example:
 *     notebook_upgrade3(root);
 */
#ifndef LACUS_NOTEBOOK_UPGRADE_H
#define LACUS_NOTEBOOK_UPGRADE_H
#include <jansson.h>

void notebook_upgrade3(json_t *root);
#endif

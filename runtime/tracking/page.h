/* page.h: the answer to a search in the workspace, a page at a time.
 *
 * What      which rows a search asks for, and the JSON of the page: {NAME: [row, …], next_page_token}. One row more than a page
 *           is queried: it tells whether there is another page. A token is the number of rows before the page.
 * Ownership *out is a new reference; NULL on failure.
 * Errors    LC_ARG for a text that is no token; the row's; the workspace's.
 * Threads   the workspace's.
 *
 * Example:
 *     static bool put(struct buf *sql, const struct tracker_search *s, struct err *err)
 *     {
 *         struct page p;
 *         if (page_of(s, 1000, 100, &p, err) != LC_OK)
 *             return false;
 *         page_limit(&p, sql);
 *         return true;
 *     }
 */
#ifndef LACUS_TRACKING_PAGE_H
#define LACUS_TRACKING_PAGE_H
#include "runtime/storage/workspace.h"
#include "runtime/tracking/filter.h"
#include "runtime/tracking/tracker.h"

struct page {
    int64_t max, offset;
};

typedef enum lc page_row_fn(void *self, const struct workspace_rows *row, json_t **out, struct err *err);

/* most: of what may be asked for; usual: when nothing is. */
enum lc page_of(const struct tracker_search *s, int64_t most, int64_t usual, struct page *p,
                struct err *err) MUST_CHECK;
void page_limit(const struct page *p, struct buf *sql); /* " LIMIT … OFFSET …" */
/* f: the whole query, with page_limit at its end. */
enum lc page_read(const struct ctx *ctx, struct workspace *ws, const struct filter *f, const struct page *p,
                  const char *name, page_row_fn *row, void *self, json_t **out, struct err *err) MUST_CHECK;
#endif

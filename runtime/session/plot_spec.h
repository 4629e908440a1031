/* plot_spec.h: a plot as a description, and the two drawings of it; no Lua.
 *
 * What      a JSON object {kind, title, xlabel, ylabel, note, width, height, xlog, ylog, stacked, colors,
 *           named, values}; values are {series, x, y} of line, scatter and bar, {series, x, x2, y} of hist,
 *           {x, low, q1, median, q3, high, count, outliers} of box, {x, y, value} of heatmap.
 * Ownership the description is borrowed; plot_spec_vega gives a new reference.
 * Units     pixels; columns of a terminal.
 * Errors    none: what is missing is not drawn.
 * Threads   any.
 *
 * Example:
 *     json_t *spec = json_pack("{s:s, s:[{s:i, s:i}]}", "kind", "line", "values", "x", 1, "y", 2);
 *     json_t *vega = plot_spec_vega(spec);
 *     json_decref(spec);
 *     json_decref(vega);
 */
#ifndef LACUS_SESSION_PLOT_SPEC_H
#define LACUS_SESSION_PLOT_SPEC_H
#include "runtime/base/buf.h"
#include <jansson.h>
#include <stdbool.h>

const char *plot_spec_text(const json_t *spec, const char *name); /* "" when there is none; borrowed */
/* "2026-01-31", with "09:30:00" behind it or not, as seconds since 1970; NAN: the value is none. */
double plot_spec_moment(const json_t *value);
/* Is every value of this field a moment? days: dates without times. */
bool plot_spec_moments(const json_t *spec, const char *field, bool *days);
json_t *plot_spec_vega(const json_t *spec); /* Vega-Lite 5 */
/* Unicode, in at most so many columns where that is possible; 0: as wide as it gets. */
void plot_spec_draw(const json_t *spec, int columns, struct buf *out);
#endif

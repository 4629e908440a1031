/* parameters.h: values given to a notebook from outside, as papermill gives them.
 *
 * Ownership new references and appended text.
 * Units     none.
 * Threads   any.
 * Errors    LC_ARG when a path names a parameter that is not given.
 *
 * Example:
 *     json_t *value = parameter_value("2e-4");
 *     json_decref(value);
 */
#ifndef LACUS_NOTEBOOK_PARAMETERS_H
#define LACUS_NOTEBOOK_PARAMETERS_H
#include "runtime/notebook/notebook.h"

/* What a command line's text means: number, true, false, null (None, nil), JSON list or object, else the text
 * itself. */
json_t *parameter_value(const char *text);
/* Sets one; takes the value. LC_ARG: it has no name, or is no UTF-8 text. */
enum lc parameter_set(json_t *params, const char *name, json_t *value, struct err *err) MUST_CHECK;
/* A widget's value is a text: what -p had for one (texts: name → as it was typed) goes to it as it is, 007 and 1.50 too. */
void parameters_for_widgets(json_t *params, const json_t *texts, const struct notebook *nb);
/* "out/{lr}.ipynb": each {NAME} becomes the parameter's value, {{ and }} a brace; appended. LC_ARG for a name that
 * is none. */
enum lc parameters_path(const char *template, const json_t *params, struct buf *out,
                        struct err *err) MUST_CHECK;
/* Appends a line for each one that the notebook does not know, with the nearest that it does: neither its cell tagged
 * `parameters` assigns it nor does it ask dbutils.widgets for it nor, without such a cell, does the name occur in its code. */
void parameters_unknown(const json_t *params, const struct notebook *nb, struct buf *out);
/* Writes these lines to standard error, as warnings of lacus run. */
void parameters_warn(const json_t *params, const struct notebook *nb);
/* Puts the values into a cell tagged injected-parameters: in place of such a cell of an earlier run, else behind
 * the one tagged `parameters`, else at the top, unless all of them are widgets (dbutils.widgets.text(name, …)),
 * which see the values without it. */
enum lc parameters_inject(const json_t *params, struct notebook *nb, struct err *err) MUST_CHECK;
/* Lua that raises when a declaration of dbutils.widgets in the notebook cannot take a parameter. */
void parameters_declared(const struct notebook *nb, struct buf *out);
#endif

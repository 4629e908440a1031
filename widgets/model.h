/* model.h: the state of one widget, as the front end knows it; no Lua.
 *
 * What      a row's keys with their values, the checks when one is set, and the messages of the ipywidgets 8
 *           protocol (2.1.0).
 * Ownership init/release; the state is owned. Values passed to model_set are taken. Messages returned are new
 *           references.
 * Errors    LC_NOTFOUND (no such key; nearest names offered), LC_TYPE, LC_ARG (min above max).
 * Threads   one at a time.
 *
 * Example:
 *     struct model m;
 *     struct err err;
 *     bool changed;
 *     if (model_init(&m, widget_row_find("IntSlider"), &err) == LC_OK)
 *         rc = model_set(&m, "value", json_integer(7), &changed, &err);
 */
#ifndef LACUS_WIDGETS_MODEL_H
#define LACUS_WIDGETS_MODEL_H
#include "runtime/base/err.h"
#include "widgets/rows.h"
#include <jansson.h>

enum { MODEL_ID = 33 };
#define MODEL_REFERENCE      "IPY_MODEL_"
#define MODEL_TARGET         "jupyter.widget"
#define MODEL_CONTROL_TARGET "jupyter.widget.control"

struct model {
    const struct widget_row *row;
    json_t *state, *defaults; /* owned objects */
    char id[MODEL_ID];
    bool open; /* the front end has it */
};

enum lc model_init(struct model *m, const struct widget_row *row, struct err *err) MUST_CHECK;
void model_release(struct model *m);
/* Checks, bounds and sets. changed: the state is another now (also through a bound). */
enum lc model_set(struct model *m, const char *key, json_t *value, bool *changed, struct err *err) MUST_CHECK;
json_t *model_get(const struct model *m, const char *key); /* borrowed, NULL: no such key */
bool model_is_private(const char *key);                    /* keys that a cell does not set */
/* {"state": …, "buffer_paths": []} for comm_open. */
json_t *model_opening(const struct model *m);
json_t *model_metadata(void);
/* {"method": "update" or "echo_update", "state": …, "buffer_paths": []}; the state is taken. */
json_t *model_update(const char *method, json_t *state);
#endif

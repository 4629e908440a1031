/* widget_state.h: what the widgets of a notebook run looked like at its end, for a notebook that is opened later.
 *
 * What      follows the comm messages of the target jupyter.widget, as a front end does, and gives the notebook's
 *           metadata application/vnd.jupyter.widget-state+json. Output widgets gather what is shown while they capture.
 * Ownership init/release; arguments are borrowed, the JSON of widget_states_metadata is a new reference.
 * Units     at most 256 MiB of binary values; what is above is left out.
 * Errors    none: what is no widget's message changes nothing.
 * Threads   one at a time.
 * Source    ipywidgets, "Jupyter widgets in the notebook file", schema 2.0.
 *
 * Example:
 *     struct widget_states w;
 *     json_t *data = json_pack("{s:{s:s}}", "state", "_model_name", "LabelModel");
 *     widget_states_init(&w);
 *     widget_states_comm(&w, COMM_OPEN, "id", "jupyter.widget", data, NULL);
 *     widget_states_release(&w);
 *     json_decref(data);
 */
#ifndef LACUS_NOTEBOOK_WIDGET_STATE_H
#define LACUS_NOTEBOOK_WIDGET_STATE_H
#include "runtime/session/frontend.h"

struct widget_states {
    json_t *models;    /* owned: id → {model_name, …, state, buffers} */
    json_t *capturing; /* owned: ids of the Output widgets that gather, the innermost last */
    size_t bytes;      /* of binary values */
};

void widget_states_init(struct widget_states *w);
void widget_states_release(struct widget_states *w);
void widget_states_comm(struct widget_states *w, enum comm_kind kind, const char *id, const char *target,
                        const json_t *data, const struct comm_buffers *buffers);
/* The outputs of the Output widget that gathers now; NULL: none does. Borrowed. */
json_t *widget_states_outputs(const struct widget_states *w);
/* Steps through the widgets, NULL at both ends; what a step's widget has gathered: borrowed, NULL when it is no Output. */
void *widget_states_next(const struct widget_states *w, void *at);
json_t *widget_states_gathered(void *at);
/* NULL when there are no widgets. */
json_t *widget_states_metadata(const struct widget_states *w);
#endif

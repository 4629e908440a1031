/* model.h: the state of one widget, as the front end knows it; no Lua.
 *
 * What      a row's keys with their values, the checks when one is set, and the messages of the ipywidgets 8
 *           protocol (2.1.0).
 * Ownership init/release; the state is owned. Values passed to model_set are taken. Messages returned are new
 *           references.
 * Errors    LC_NOTFOUND (no such key; nearest names offered), LC_TRAIT (a value that a key cannot have).
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

enum { MODEL_ID = 33, MODEL_ID_MAX = 65 }; /* of ids made here; of those that a front end may bring */
#define MODEL_REFERENCE      "IPY_MODEL_"
#define MODEL_TARGET         "jupyter.widget"
#define MODEL_CONTROL_TARGET "jupyter.widget.control"

struct model {
    const struct widget_row *row;
    json_t *state, *defaults; /* owned objects */
    char id[MODEL_ID_MAX];
    bool open;    /* the front end has it */
    int held;     /* more than 0: changes are gathered in `late`, to be sent at once */
    json_t *late; /* owned object or NULL: keys that have changed */
};

struct model_buffers { /* the binary parts of a state, taken out of it */
    json_t *paths;     /* owned: array of arrays */
    json_t *texts;     /* owned: what holds the bytes */
    const void **data; /* owned; the bytes are of texts */
    size_t *len;       /* owned */
    size_t n;
};

enum lc model_init(struct model *m, const struct widget_row *row, struct err *err) MUST_CHECK;
void model_release(struct model *m);
/* Checks, bounds and sets. changed: the state is another now (also through a bound). */
enum lc model_set(struct model *m, const char *key, json_t *value, bool *changed, struct err *err) MUST_CHECK;
json_t *model_get(const struct model *m, const char *key); /* borrowed, NULL: no such key */
bool model_is_private(const char *key);                    /* keys that a cell does not set */
/* {"state": …, "buffer_paths": …} for comm_open. The buffers are to be released. */
json_t *model_opening(const struct model *m, struct model_buffers *buffers);
json_t *model_metadata(void);
/* {"method": "update" or "echo_update", "state": …, "buffer_paths": …}; the state is taken. */
json_t *model_update(const struct model *m, const char *method, json_t *state, struct model_buffers *buffers);
/* Takes the binary parts out of a state (a copy of what is shared is made); prefix (borrowed, may be NULL): steps before
 * the key. Adds to buffers, which starts as {0}. */
json_t *model_split(const struct model *m, json_t *state, const char *const *prefix, size_t n,
                    struct model_buffers *buffers);
void model_buffers_release(struct model_buffers *buffers);
/* Puts bytes that came beside a state at their places; paths that lead nowhere are left out. */
void model_join(const struct model *m, json_t *state, const json_t *paths, const void *const *data,
                const size_t *len, size_t n);
#endif

/* rows.h: the widgets that lacus knows: one row each.
 *
 * What      a row is a model of ipywidgets 8 with the keys it has beside the common ones and their defaults;
 *           what a cell may set, its type, the constructor, completion and the text form are made from it.
 * Ownership static.
 * Units     none.
 * Errors    none.
 * Threads   any; constant.
 *
 * Example:
 *     const struct widget_row *row = widget_row_find("IntSlider");
 */
#ifndef LACUS_WIDGETS_ROWS_H
#define LACUS_WIDGETS_ROWS_H
#include <stdbool.h>
#include <stddef.h>

enum widget_module { WIDGET_CONTROLS, WIDGET_BASE, WIDGET_OUTPUT };

enum widget_trait {
    WIDGET_PART = 1,       /* a layout or style: no widget of its own, no constructor */
    WIDGET_BOUNDED = 2,    /* value (a number, or a pair of them) stays between min and max */
    WIDGET_CHOICE = 4,     /* options, and value is one of them (or none): index, _options_labels */
    WIDGET_CHOICES = 8,    /* options, and value is a list of them */
    WIDGET_BOX = 16,       /* children */
    WIDGET_BUTTON = 32,    /* on_click */
    WIDGET_ENTRY = 64,     /* on_submit */
    WIDGET_GATHERS = 128,  /* output goes into it: capture, clear_output */
    WIDGET_LOG = 256,      /* value stays between base^min and base^max */
    WIDGET_NONEMPTY = 512, /* there is at least one option */
    WIDGET_RANGE = 1024,   /* of the choices, exactly the first and the last of a range */
    WIDGET_TABS = 2048,    /* titles, selected_index */
    WIDGET_QUIET = 4096,   /* what a front end sends for value is not sent back to it */
    WIDGET_LINK = 8192     /* source and target: {widget, key} */
};

struct widget_row {
    const char *name;
    enum widget_module module;
    unsigned traits;
    const char *view;  /* NULL: name + "View"; "" none */
    const char *style; /* row of its style model, NULL: it has none */
    const char *keys;  /* JSON object: its own keys and defaults; the type of a default is the key's type */
    const char *first; /* the key that a plain first argument of the constructor sets; may be NULL */
    const char *doc;   /* a line; behind "\n\t" an example */
};

extern const struct widget_row widget_rows[]; /* ends with a NULL name */
/* What the name on the wire begins with: "IntSlider" of IntSliderModel. */
const char *widget_wire_name(const struct widget_row *row);
const struct widget_row *widget_row_find(const char *name);
/* The row of a model's name on the wire ("IntSliderModel") in a module; NULL: there is none. */
const struct widget_row *widget_row_of_model(const char *model, const char *module);
/* "@jupyter-widgets/controls" and its version. */
const char *widget_module_name(enum widget_module module);
const char *widget_module_version(enum widget_module module);
#endif

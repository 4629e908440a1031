/* trait.h: what a field of a widget may hold.
 *
 * What      a kind for each field, from a table; the check of a value, which puts it into the form that the
 *           state has, with ipywidgets' words when it cannot be.
 * Ownership trait_take takes the value and gives another (or the same) back.
 * Units     bytes are JSON strings of any bytes (they travel as buffers); dates and times are objects as the
 *           front end has them.
 * Errors    LC_TRAIT.
 * Threads   any.
 *
 * Example:
 *     json_t *value = json_string("VERTICAL");
 *     struct err err;
 *     if (trait_take(widget_row_find("IntSlider"), "orientation", json_null(), &value, &err) == LC_OK)
 *         puts(json_string_value(value));
 */
#ifndef LACUS_WIDGETS_TRAIT_H
#define LACUS_WIDGETS_TRAIT_H
#include "runtime/base/err.h"
#include "widgets/rows.h"
#include <jansson.h>

enum trait_kind {
    TRAIT_ANY,
    TRAIT_BOOL,
    TRAIT_INT,   /* texts of numbers and fractions are turned into one, as ipywidgets does */
    TRAIT_WHOLE, /* nothing but whole numbers */
    TRAIT_FLOAT,
    TRAIT_TEXT,
    TRAIT_LENIENT, /* numbers become text */
    TRAIT_ENUM,
    TRAIT_STEP,   /* a number, or any */
    TRAIT_FORMAT, /* of a number: .2f */
    TRAIT_COLOR,
    TRAIT_BYTES,
    TRAIT_FILES, /* what FileUpload holds */
    TRAIT_DATE,
    TRAIT_TIME,
    TRAIT_DATETIME,
    TRAIT_LIST, /* of anything */
    TRAIT_TEXTS,
    TRAIT_COLORS,
    TRAIT_INTS,
    TRAIT_FLOATS,
    TRAIT_INT_PAIR,
    TRAIT_FLOAT_PAIR
};

struct trait {
    const char *key;
    const char *row; /* this widget only; NULL: every widget that has such a field and no row of its own */
    enum trait_kind kind;
    bool none;          /* may be null */
    const char *values; /* of TRAIT_ENUM, with | between */
};

extern const struct trait traits[]; /* ends with a NULL key */

/* The trait of a field whose default is `usual`. */
struct trait trait_of(const struct widget_row *row, const char *key, const json_t *usual);
/* The names of colours, with a blank before and behind each. */
const char *trait_colors(void);
/* NULL in *value on failure. */
enum lc trait_take(const struct widget_row *row, const char *key, const json_t *usual, json_t **value,
                   struct err *err) MUST_CHECK;
/* A number, or a moment as a number: to compare with bounds. NAN: neither. */
double trait_number(const json_t *value);

/* moment.c: a date, time or both between the text "2026-01-31 09:30:00", {year, month, day, …} as a person
 * counts and the front end's object. New references, NULL when it is none. */
json_t *moment_take(enum trait_kind kind, const json_t *value);
json_t *moment_text(enum trait_kind kind, const json_t *value);
#endif

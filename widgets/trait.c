#include "widgets/trait.h"
#include "runtime/base/buf.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BUTTON_STYLES "primary|success|info|warning|danger|"
#define BOX_STYLES    "success|info|warning|danger|"
#define CSS           "|inherit|initial|unset"

const struct trait traits[] = {
    {"align_content", NULL, TRAIT_ENUM, true,
     "flex-start|flex-end|center|space-between|space-around|space-evenly|stretch" CSS},
    {"align_items", NULL, TRAIT_ENUM, true, "flex-start|flex-end|center|baseline|stretch" CSS},
    {"align_self", NULL, TRAIT_ENUM, true, "auto|flex-start|flex-end|center|baseline|stretch" CSS},
    {"grid_auto_flow", NULL, TRAIT_ENUM, true, "column|row|row dense|column dense" CSS},
    {"justify_content", NULL, TRAIT_ENUM, true, "flex-start|flex-end|center|space-between|space-around" CSS},
    {"justify_items", NULL, TRAIT_ENUM, true, "flex-start|flex-end|center" CSS},
    {"object_fit", NULL, TRAIT_ENUM, true, "contain|cover|fill|scale-down|none"},
    {"visibility", NULL, TRAIT_ENUM, true, "visible|hidden" CSS},
    {"orientation", NULL, TRAIT_ENUM, false, "horizontal|vertical"},
    {"behavior", NULL, TRAIT_ENUM, false, "drag-tap|drag-snap|tap|drag|snap"},
    {"button_style", "ToggleButtons", TRAIT_ENUM, true, BUTTON_STYLES},
    {"button_style", NULL, TRAIT_ENUM, false, BUTTON_STYLES},
    {"tag_style", NULL, TRAIT_ENUM, false, BUTTON_STYLES},
    {"bar_style", "FloatProgress", TRAIT_ENUM, true, BOX_STYLES},
    {"bar_style", NULL, TRAIT_ENUM, false, BOX_STYLES},
    {"box_style", NULL, TRAIT_ENUM, false, BOX_STYLES},
    {"readout_format", NULL, TRAIT_FORMAT, false, NULL},
    {"format", "IntsInput", TRAIT_FORMAT, false, NULL},
    {"format", "FloatsInput", TRAIT_FORMAT, false, NULL},
    {"button_color", NULL, TRAIT_COLOR, true, NULL},
    {"handle_color", NULL, TRAIT_COLOR, true, NULL},
    {"bar_color", NULL, TRAIT_COLOR, true, NULL},
    {"value", "ColorPicker", TRAIT_COLOR, false, NULL},
    {"value", "Image", TRAIT_BYTES, false, NULL},
    {"value", "Audio", TRAIT_BYTES, false, NULL},
    {"value", "Video", TRAIT_BYTES, false, NULL},
    {"width", "Image", TRAIT_LENIENT, false, NULL},
    {"height", "Image", TRAIT_LENIENT, false, NULL},
    {"width", "Video", TRAIT_LENIENT, false, NULL},
    {"height", "Video", TRAIT_LENIENT, false, NULL},
    {"value", "FileUpload", TRAIT_FILES, false, NULL},
    {"value", "DatePicker", TRAIT_DATE, true, NULL},
    {"min", "DatePicker", TRAIT_DATE, true, NULL},
    {"max", "DatePicker", TRAIT_DATE, true, NULL},
    {"step", "DatePicker", TRAIT_STEP, false, NULL},
    {"value", "TimePicker", TRAIT_TIME, true, NULL},
    {"min", "TimePicker", TRAIT_TIME, true, NULL},
    {"max", "TimePicker", TRAIT_TIME, true, NULL},
    {"step", "TimePicker", TRAIT_STEP, false, NULL},
    {"value", "DatetimePicker", TRAIT_DATETIME, true, NULL},
    {"min", "DatetimePicker", TRAIT_DATETIME, true, NULL},
    {"max", "DatetimePicker", TRAIT_DATETIME, true, NULL},
    {"value", "NaiveDatetimePicker", TRAIT_DATETIME, true, NULL},
    {"min", "NaiveDatetimePicker", TRAIT_DATETIME, true, NULL},
    {"max", "NaiveDatetimePicker", TRAIT_DATETIME, true, NULL},
    {"value", "TagsInput", TRAIT_TEXTS, false, NULL},
    {"value", "ColorsInput", TRAIT_COLORS, false, NULL},
    {"value", "IntsInput", TRAIT_INTS, false, NULL},
    {"min", "IntsInput", TRAIT_INT, true, NULL},
    {"max", "IntsInput", TRAIT_INT, true, NULL},
    {"value", "FloatsInput", TRAIT_FLOATS, false, NULL},
    {"min", "FloatsInput", TRAIT_FLOAT, true, NULL},
    {"max", "FloatsInput", TRAIT_FLOAT, true, NULL},
    {"value", "IntRangeSlider", TRAIT_INT_PAIR, false, NULL},
    {"value", "FloatRangeSlider", TRAIT_FLOAT_PAIR, false, NULL},
    {"step", "FloatSlider", TRAIT_FLOAT, true, NULL},
    {"step", "FloatLogSlider", TRAIT_FLOAT, true, NULL},
    {"step", "FloatRangeSlider", TRAIT_FLOAT, true, NULL},
    {"step", "FloatText", TRAIT_FLOAT, true, NULL},
    {"step", "BoundedFloatText", TRAIT_FLOAT, true, NULL},
    {"rows", "Textarea", TRAIT_WHOLE, true, NULL},
    {"rows", NULL, TRAIT_WHOLE, false, NULL},
    {"tooltip", NULL, TRAIT_TEXT, true, NULL},
    {"tabbable", NULL, TRAIT_BOOL, true, NULL},
    {"selected_index", NULL, TRAIT_INT, true, NULL},
    {"options", NULL, TRAIT_TEXTS, false, NULL},
    {"titles", NULL, TRAIT_TEXTS, false, NULL},
    {"tooltips", NULL, TRAIT_TEXTS, false, NULL},
    {"icons", NULL, TRAIT_TEXTS, false, NULL},
    {"_dom_classes", NULL, TRAIT_TEXTS, false, NULL},
    {0},
};

struct trait trait_of(const struct widget_row *row, const char *key, const json_t *usual)
{
    struct trait plain = {.key = key, .kind = TRAIT_ANY, .none = json_is_null(usual)};

    for (const struct trait *t = traits; t->key; t++)
        if (strcmp(t->key, key) == 0 && (!t->row || strcmp(t->row, row->name) == 0))
            return *t;
    if (json_is_boolean(usual))
        plain.kind = TRAIT_BOOL;
    else if (json_is_integer(usual))
        plain.kind = TRAIT_INT;
    else if (json_is_real(usual))
        plain.kind = TRAIT_FLOAT;
    else if (json_is_string(usual))
        plain.kind = TRAIT_TEXT;
    else if (json_is_array(usual))
        plain.kind = TRAIT_LIST;
    else if (row->traits & WIDGET_PART) /* of layouts and styles: CSS */
        plain.kind = TRAIT_TEXT;
    return plain;
}

/* ---- formats and colours ------------------------------------------------------------------------------------ */

/* Python's format language, as far as the front end's formatter has it. */
static bool is_format(const char *s)
{
    if (s[0] && s[1] && strchr("<>=^", s[1]))
        s += 2;
    else if (*s && strchr("<>=^", *s))
        s++;
    s += *s && strchr("+-( ", *s) ? 1 : 0;
    s += *s && strchr("$#", *s) ? 1 : 0;
    s += strspn(s, "0123456789");
    s += *s == ',';
    if (*s == '.') {
        size_t digits = strspn(s + 1, "0123456789");
        if (digits == 0)
            return false;
        s += 1 + digits;
    }
    return *s == '\0' || (s[1] == '\0' && strchr("eEfFgGn%bcdosxXr", *s));
}

static const char colors[] =
    " aliceblue antiquewhite aqua aquamarine azure beige bisque black blanchedalmond blue blueviolet brown "
    "burlywood cadetblue chartreuse chocolate coral cornflowerblue cornsilk crimson cyan darkblue darkcyan "
    "darkgoldenrod darkgray darkgrey darkgreen darkkhaki darkmagenta darkolivegreen darkorange darkorchid "
    "darkred darksalmon darkseagreen darkslateblue darkslategray darkslategrey darkturquoise darkviolet "
    "deeppink deepskyblue dimgray dimgrey dodgerblue firebrick floralwhite forestgreen fuchsia gainsboro "
    "ghostwhite gold goldenrod gray grey green greenyellow honeydew hotpink indianred indigo ivory khaki "
    "lavender lavenderblush lawngreen lemonchiffon lightblue lightcoral lightcyan lightgoldenrodyellow "
    "lightgray lightgrey lightgreen lightpink lightsalmon lightseagreen lightskyblue lightslategray "
    "lightslategrey lightsteelblue lightyellow lime limegreen linen magenta maroon mediumaquamarine "
    "mediumblue mediumorchid mediumpurple mediumseagreen mediumslateblue mediumspringgreen mediumturquoise "
    "mediumvioletred midnightblue mintcream mistyrose moccasin navajowhite navy oldlace olive olivedrab "
    "orange orangered orchid palegoldenrod palegreen paleturquoise palevioletred papayawhip peachpuff peru "
    "pink plum powderblue purple rebeccapurple red rosybrown royalblue saddlebrown salmon sandybrown "
    "seagreen seashell sienna silver skyblue slateblue slategray slategrey snow springgreen steelblue tan "
    "teal thistle tomato transparent turquoise violet wheat white whitesmoke yellow yellowgreen ";

const char *trait_colors(void)
{
    return colors;
}

static bool is_color_name(const char *s, size_t len)
{
    char word[32] = " ";

    if (len == 0 || len > sizeof word - 3)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isalpha((unsigned char)s[i]))
            return false;
        word[i + 1] = (char)tolower((unsigned char)s[i]);
    }
    word[len + 1] = ' ';
    return strstr(colors, word) != NULL;
}

static bool is_color_function(const char *s, size_t len)
{
    static const char *const names[] = {"rgb(", "rgba(", "hsl(", "hsla(", "var(--"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);
        if (len > n + 1 && strncmp(s, names[i], n) == 0 && s[len - 1] == ')')
            return i == 4 || strspn(s + n, "0123456789.,% ") == len - n - 1;
    }
    return false;
}

static bool is_color(const json_t *value)
{
    const char *s = json_string_value(value);
    size_t len = json_string_length(value);

    if (!s)
        return false;
    if (*s == '#')
        return (len == 4 || len == 5 || len == 7 || len == 9) &&
               strspn(s + 1, "0123456789abcdefABCDEF") == len - 1;
    return is_color_name(s, len) || is_color_function(s, len);
}

/* ---- kinds -------------------------------------------------------------------------------------------------- */

/* Each takes *value and may replace it; false: it is none of the kind. */
typedef bool take_fn(const struct trait *t, json_t **value);

static bool replace(json_t **value, json_t *other)
{
    if (!other)
        return false;
    json_decref(*value);
    *value = other;
    return true;
}

static bool take_any(const struct trait *t, json_t **value)
{
    (void)t;
    return *value != NULL;
}

static bool take_bool(const struct trait *t, json_t **value)
{
    (void)t;
    return json_is_boolean(*value);
}

/* A number in a text, with nothing behind it. */
static bool number_in(const json_t *value, double *out)
{
    const char *s = json_string_value(value);
    char *end;

    if (json_is_number(value)) {
        *out = json_number_value(value);
        return true;
    }
    if (json_is_boolean(value)) {
        *out = json_is_true(value);
        return true;
    }
    if (!s || !*s || strlen(s) != json_string_length(value) || strpbrk(s, "xXpPnN"))
        return false;
    *out = strtod(s, &end);
    return end != s && end[strspn(end, " ")] == '\0';
}

static bool take_int(const struct trait *t, json_t **value)
{
    double v;

    (void)t;
    if (json_is_integer(*value))
        return true;
    if (!number_in(*value, &v) || !(fabs(v) < 9e15) || (json_is_string(*value) && v != floor(v)))
        return false;
    return replace(value, json_integer((json_int_t)v));
}

static bool take_whole(const struct trait *t, json_t **value)
{
    double v = json_number_value(*value);

    (void)t;
    if (json_is_real(*value) && v == floor(v) && fabs(v) < 9e15)
        return replace(value, json_integer((json_int_t)v));
    return json_is_integer(*value);
}

static bool take_float(const struct trait *t, json_t **value)
{
    double v;

    (void)t;
    return json_is_real(*value) || (number_in(*value, &v) && isfinite(v) && replace(value, json_real(v)));
}

static bool take_text(const struct trait *t, json_t **value)
{
    (void)t;
    return json_is_string(*value);
}

static bool take_lenient(const struct trait *t, json_t **value)
{
    (void)t;
    if (json_is_integer(*value))
        return replace(value, json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(*value)));
    if (json_is_real(*value))
        return replace(value, json_sprintf("%.14g", json_real_value(*value)));
    return json_is_string(*value);
}

static bool take_enum(const struct trait *t, json_t **value)
{
    const char *s = json_string_value(*value);

    for (const char *at = t->values; s;) {
        size_t len = strcspn(at, "|");
        if (len == strlen(s) && strncasecmp(at, s, len) == 0)
            return replace(value, json_stringn(at, len));
        if (!at[len])
            break;
        at += len + 1;
    }
    return false;
}

static bool take_step(const struct trait *t, json_t **value)
{
    if (json_is_string(*value) && strcasecmp(json_string_value(*value), "any") == 0)
        return replace(value, json_string("any"));
    return strcmp(t->row, "DatePicker") == 0 ? take_int(t, value) : take_float(t, value);
}

static bool take_format(const struct trait *t, json_t **value)
{
    (void)t;
    return json_is_string(*value) && is_format(json_string_value(*value));
}

static bool take_color(const struct trait *t, json_t **value)
{
    (void)t;
    return is_color(*value);
}

static bool take_moment(const struct trait *t, json_t **value)
{
    return replace(value, moment_take(t->kind, *value));
}

static bool take_list(const struct trait *t, json_t **value)
{
    (void)t;
    if (json_is_object(*value) && json_object_size(*value) == 0) /* an empty Lua table is either */
        return replace(value, json_array());
    return json_is_array(*value);
}

static bool take_items(const struct trait *t, json_t **value, take_fn *one)
{
    if (!take_list(t, value))
        return false;
    for (size_t i = 0; i < json_array_size(*value); i++) {
        json_t *item = json_incref(json_array_get(*value, i));
        bool good = one(t, &item);
        json_array_set_new(*value, i, item);
        if (!good)
            return false;
    }
    return true;
}

static bool take_texts(const struct trait *t, json_t **value)
{
    return take_items(t, value, take_text);
}

static bool take_colors(const struct trait *t, json_t **value)
{
    return take_items(t, value, take_color);
}

static bool take_ints(const struct trait *t, json_t **value)
{
    return take_items(t, value, take_int);
}

static bool take_floats(const struct trait *t, json_t **value)
{
    return take_items(t, value, take_float);
}

static bool is_file(const struct trait *t, json_t **value)
{
    (void)t;
    return json_is_string(json_object_get(*value, "name")) &&
           json_is_string(json_object_get(*value, "content"));
}

static bool take_files(const struct trait *t, json_t **value)
{
    return take_items(t, value, is_file);
}

static const struct kind {
    take_fn *take;
    const char *expected; /* ipywidgets' words for it */
    take_fn *item;        /* of a list */
    const char *items;
} kinds[] = {
    [TRAIT_ANY] = {take_any, "a value", NULL, NULL},
    [TRAIT_BOOL] = {take_bool, "a boolean", NULL, NULL},
    [TRAIT_INT] = {take_int, "an int", NULL, NULL},
    [TRAIT_WHOLE] = {take_whole, "an int", NULL, NULL},
    [TRAIT_FLOAT] = {take_float, "a float", NULL, NULL},
    [TRAIT_TEXT] = {take_text, "a unicode string", NULL, NULL},
    [TRAIT_LENIENT] = {take_lenient, "a unicode string", NULL, NULL},
    [TRAIT_ENUM] = {take_enum, NULL, NULL, NULL},
    [TRAIT_STEP] = {take_step, "a float or any of ['any'] (case-insensitive)", NULL, NULL},
    [TRAIT_FORMAT] = {take_format, "a valid number format", NULL, NULL},
    [TRAIT_COLOR] = {take_color, "a valid HTML color", NULL, NULL},
    [TRAIT_BYTES] = {take_text, "a string of bytes", NULL, NULL},
    [TRAIT_FILES] = {take_files, "a list", is_file, "a file {name, content, …}"},
    [TRAIT_DATE] = {take_moment, "a date, '2026-01-31' or {year =, month =, day =}", NULL, NULL},
    [TRAIT_TIME] = {take_moment, "a time, '09:30:00' or {hour =, min =, sec =}", NULL, NULL},
    [TRAIT_DATETIME] = {take_moment,
                        "a datetime, '2026-01-31 09:30:00' or {year =, month =, day =, hour =, …}", NULL,
                        NULL},
    [TRAIT_LIST] = {take_list, "a list", NULL, NULL},
    [TRAIT_TEXTS] = {take_texts, "a list", take_text, "a unicode string"},
    [TRAIT_COLORS] = {take_colors, "a list", take_color, "a valid HTML color"},
    [TRAIT_INTS] = {take_ints, "a list", take_int, "an int"},
    [TRAIT_FLOATS] = {take_floats, "a list", take_float, "a float"},
    [TRAIT_INT_PAIR] = {take_ints, "a list of two numbers", take_int, "an int"},
    [TRAIT_FLOAT_PAIR] = {take_floats, "a list of two numbers", take_float, "a float"},
};

/* ---- words -------------------------------------------------------------------------------------------------- */

static void add_values(struct buf *out, const char *values)
{
    const char *at = values;

    buf_puts(out, "any of [");
    for (;;) {
        size_t len = strcspn(at, "|");
        buf_printf(out, "%s'%.*s'", at == values ? "" : ", ", (int)len, at);
        if (!at[len])
            break;
        at += len + 1;
    }
    buf_puts(out, "] (case-insensitive)");
}

static void add_got(struct buf *out, const json_t *value)
{
    static const char *const names[] = {"table", "table",   "string",  "integer",
                                        "float", "boolean", "boolean", "null"};
    size_t len = json_string_length(value);
    char *text;

    if (!value || json_is_null(value)) {
        buf_puts(out, "nil");
        return;
    }
    buf_printf(out, "the %s", names[json_typeof(value)]);
    if (json_is_string(value)) {
        buf_puts(out, " '");
        buf_utf8(out, json_string_value(value), len > 60 ? 60 : len);
        buf_puts(out, len > 60 ? "…'" : "'");
        return;
    }
    text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(12));
    buf_printf(out, " %.60s", text ? text : "?");
    free(text);
}

/* The first item of a list that is none of the kind; NULL: it is the list that is wrong. */
static const json_t *wrong_item(const struct trait *t, const json_t *value)
{
    take_fn *item = kinds[t->kind].item;

    for (size_t i = 0; item && i < json_array_size(value); i++) {
        json_t *one = json_deep_copy(json_array_get(value, i));
        bool good = item(t, &one);
        json_decref(one);
        if (!good)
            return json_array_get(value, i);
    }
    return NULL;
}

static enum lc refuse(const struct widget_row *row, const struct trait *t, const json_t *value,
                      struct err *err)
{
    const struct kind *kind = &kinds[t->kind];
    const json_t *item = wrong_item(t, value);
    struct buf text = BUF_INIT(2000);

    buf_printf(&text, "The '%s' trait of %s %s instance ", t->key, strchr("AEIOU", row->name[0]) ? "an" : "a",
               row->name);
    if (item)
        buf_printf(&text, "contains an item which expected %s", kind->items);
    else if (t->values)
        buf_puts(&text, "expected "), add_values(&text, t->values);
    else
        buf_printf(&text, "expected %s", kind->expected);
    if (t->values && t->none)
        buf_puts(&text, " or None");
    buf_puts(&text, ", not ");
    add_got(&text, item ? item : value);
    buf_putc(&text, '.');
    err_set(err, LC_TRAIT, "%s", buf_str(&text));
    buf_release(&text);
    return LC_TRAIT;
}

enum lc trait_take(const struct widget_row *row, const char *key, const json_t *usual, json_t **value,
                   struct err *err)
{
    struct trait t = trait_of(row, key, usual);
    bool pair = t.kind == TRAIT_INT_PAIR || t.kind == TRAIT_FLOAT_PAIR;
    enum lc rc = LC_OK;

    if (json_is_null(*value) && t.none)
        return LC_OK;
    if (!*value || !kinds[t.kind].take(&t, value)) {
        rc = refuse(row, &t, *value, err);
    } else if (pair && json_array_size(*value) != 2) {
        rc = err_set(err, LC_TRAIT,
                     "The '%s' trait of %s %s instance requires 2 elements, but %zu were specified.", key,
                     strchr("AEIOU", row->name[0]) ? "an" : "a", row->name, json_array_size(*value));
    } else if (pair && trait_number(json_array_get(*value, 0)) > trait_number(json_array_get(*value, 1))) {
        rc = err_set(err, LC_TRAIT, "setting lower > upper");
    }
    if (rc != LC_OK) {
        json_decref(*value);
        *value = NULL;
    }
    return rc;
}

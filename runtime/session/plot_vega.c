/* plot_vega.c: a plot as Vega-Lite. */
#include "runtime/base/civil.h"
#include "runtime/base/utf8.h"
#include "runtime/session/plot_spec.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *plot_spec_text(const json_t *spec, const char *name)
{
    const char *text = json_string_value(json_object_get(spec, name));

    return text ? text : "";
}

double plot_spec_moment(const json_t *value)
{
    const char *text = json_string_value(value);
    int month, day, hour = 0, minute = 0, used = 0;
    long long year;
    double second = 0;

    if (!text || sscanf(text, "%4lld-%2d-%2d%n", &year, &month, &day, &used) != 3 || used != 10 ||
        !civil_valid(year, month, day))
        return (double)NAN;
    if (text[used] && ((text[used] != ' ' && text[used] != 'T') ||
                       sscanf(text + used + 1, "%2d:%2d:%lf", &hour, &minute, &second) != 3))
        return (double)NAN;
    return (double)civil_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

bool plot_spec_moments(const json_t *spec, const char *field, bool *days)
{
    json_t *values = json_object_get(spec, "values"), *point;
    size_t i;

    *days = true;
    json_array_foreach (values, i, point) {
        const json_t *value = json_object_get(point, field);
        if (isnan(plot_spec_moment(value)))
            return false;
        *days = *days && json_string_length(value) == 10;
    }
    return json_array_size(values) > 0;
}

static bool is(const json_t *spec, const char *kind)
{
    return strcmp(plot_spec_text(spec, "kind"), kind) == 0;
}

static bool flag(const json_t *spec, const char *name)
{
    return json_is_true(json_object_get(spec, name));
}

/* Is some value of this field a text? */
static bool has_texts(const json_t *spec, const char *field)
{
    json_t *point;
    size_t i;

    json_array_foreach (json_object_get(spec, "values"), i, point)
        if (json_is_string(json_object_get(point, field)))
            return true;
    return false;
}

static json_t *channel(const char *field, const char *type, const char *title)
{
    return json_pack("{ssssso}", "field", field, "type", type, "title",
                     *title ? json_string(title) : json_null());
}

/* Words below an axis lie flat where there is room for them, and lean where there is none. */
static void set_angle(const json_t *spec, json_t *x)
{
    enum { LETTER = 7, GAP = 8, PLOT = 480 };
    const json_t *width = json_object_get(spec, "width");
    json_t *seen = json_object(), *point;
    size_t i, longest = 0;

    json_array_foreach (json_object_get(spec, "values"), i, point) {
        const json_t *value = json_object_get(point, "x");
        char number[32];
        if (!json_is_string(value))
            snprintf(number, sizeof number, "%.6g", json_number_value(value));
        const char *text = json_is_string(value) ? json_string_value(value) : number;
        size_t n = utf8_columns(text, strlen(text));
        longest = n > longest ? n : longest;
        json_object_set_new(seen, text, json_true());
    }
    double room = (width ? json_number_value(width) : PLOT) / (double)(json_object_size(seen) + 1);
    bool flat = (double)(longest * LETTER + GAP) <= room * 1.2;
    json_object_set_new(x, "axis",
                        flat ? json_pack("{si}", "labelAngle", 0)
                             : json_pack("{sisi}", "labelAngle", -40, "labelLimit", 160));
    json_decref(seen);
}

static json_t *scale_of(bool log, bool from_zero)
{
    return log ? json_pack("{ss}", "type", "log") : json_pack("{sb}", "zero", from_zero);
}

static json_t *color_of(const json_t *spec)
{
    const json_t *colors = json_object_get(spec, "colors");
    json_t *color = json_pack("{ssssso}", "field", "series", "type", "nominal", "title", json_null());
    json_t *names, *range, *value;
    const char *name;

    if (json_array_size(colors) > 0)
        json_object_set_new(color, "scale", json_pack("{sO}", "range", colors));
    if (!json_object_size(colors))
        return color;
    names = json_array(), range = json_array();
    json_object_foreach ((json_t *)(uintptr_t)colors, name, value) {
        json_array_append_new(names, json_string(name));
        json_array_append(range, value);
    }
    json_object_set_new(color, "scale", json_pack("{soso}", "domain", names, "range", range));
    return color;
}

static json_t *xy_encoding(const json_t *spec)
{
    bool hist = is(spec, "hist"), bar = is(spec, "bar"), names = bar || has_texts(spec, "x"),
         named = flag(spec, "named");
    const char *ytitle = plot_spec_text(spec, "ylabel");
    json_t *x = channel("x", names ? "nominal" : "quantitative", plot_spec_text(spec, "xlabel"));
    json_t *y = channel("y", "quantitative", *ytitle || !hist ? ytitle : "count");
    json_t *encoding = json_pack("{soso}", "x", x, "y", y);
    bool days;

    if (!bar && plot_spec_moments(spec, "x", &days)) {
        json_object_set_new(x, "type", json_string("temporal"));
        if (days) /* else a browser west of Greenwich shows the day before */
            json_object_set_new(x, "scale", json_pack("{ss}", "type", "utc"));
    } else if (names)
        json_object_set_new(x, "sort", json_null()), set_angle(spec, x); /* as given */
    else if (!hist || flag(spec, "xlog"))
        json_object_set_new(x, "scale", scale_of(flag(spec, "xlog"), false));
    if (flag(spec, "ylog") || (!hist && !bar))
        json_object_set_new(y, "scale", scale_of(flag(spec, "ylog"), false));
    if (hist) {
        json_object_set_new(x, "bin", json_pack("{sb}", "binned", 1));
        json_object_set_new(encoding, "x2", json_pack("{ss}", "field", "x2"));
        json_object_set_new(y, "stack", json_null());
    }
    if (!named)
        return encoding;
    json_object_set_new(encoding, "color", color_of(spec));
    if (bar && !flag(spec, "stacked"))
        json_object_set_new(encoding, "xOffset", json_pack("{ss}", "field", "series"));
    return encoding;
}

static json_t *mark_of(const json_t *spec)
{
    const char *type = is(spec, "scatter") ? "point" : is(spec, "line") ? "line" : "bar";
    const json_t *colors = json_object_get(spec, "colors");
    json_t *mark = json_pack("{sssb}", "type", type, "tooltip", 1);

    if (is(spec, "hist") && flag(spec, "named"))
        json_object_set_new(mark, "opacity", json_real(0.6));
    if (!flag(spec, "named") && json_array_size(colors) > 0)
        json_object_set(mark, "color", json_array_get(colors, 0));
    return mark;
}

/* ---- boxes ---- */
static json_t *layer(const char *type, const char *y, const char *y2, const char *more, double amount)
{
    json_t *mark = json_pack("{sssb}", "type", type, "tooltip", 1);
    json_t *encoding =
        json_pack("{s{ssssso}}", "y", "field", y, "type", "quantitative", "title", json_null());

    if (*more)
        json_object_set_new(mark, more, json_real(amount));
    if (strcmp(type, "tick") == 0)
        json_object_set_new(mark, "color", json_string("white"));
    if (y2)
        json_object_set_new(encoding, "y2", json_pack("{ss}", "field", y2));
    return json_pack("{soso}", "mark", mark, "encoding", encoding);
}

static json_t *box_layers(const json_t *spec)
{
    json_t *layers = json_array(), *beyond;
    const char *ytitle = plot_spec_text(spec, "ylabel");
    const json_t *colors = json_object_get(spec, "colors");

    json_array_append_new(layers, layer("rule", "low", "high", "", 0));
    json_array_append_new(layers, layer("bar", "q1", "q3", "size", 30));
    json_array_append_new(layers, layer("tick", "median", NULL, "size", 30));
    json_object_set_new(json_object_get(json_object_get(json_array_get(layers, 0), "encoding"), "y"), "title",
                        *ytitle ? json_string(ytitle) : json_null());
    if (flag(spec, "ylog"))
        json_object_set_new(json_object_get(json_object_get(json_array_get(layers, 0), "encoding"), "y"),
                            "scale", scale_of(true, false));
    if (json_array_size(colors) > 0)
        json_object_set(json_object_get(json_array_get(layers, 1), "mark"), "color",
                        json_array_get(colors, 0));
    beyond = layer("point", "outliers", NULL, "size", 20);
    json_object_set_new(beyond, "transform", json_pack("[{s[s]}]", "flatten", "outliers"));
    json_array_append_new(layers, beyond);
    return layers;
}

static json_t *box_encoding(const json_t *spec)
{
    json_t *x = channel("x", "nominal", plot_spec_text(spec, "xlabel"));

    json_object_set_new(x, "sort", json_null());
    set_angle(spec, x);
    return json_pack("{so}", "x", x);
}

/* ---- heat maps ---- */
static json_t *heat_encoding(const json_t *spec)
{
    json_t *x = channel("x", "ordinal", plot_spec_text(spec, "xlabel")),
           *y = channel("y", "ordinal", plot_spec_text(spec, "ylabel"));
    const json_t *colors = json_object_get(spec, "colors");
    json_t *color = json_pack("{ssssss}", "field", "value", "type", "quantitative", "title", "value");

    set_angle(spec, x);
    if (has_texts(spec, "x"))
        json_object_set_new(x, "sort", json_null());
    if (has_texts(spec, "y"))
        json_object_set_new(y, "sort", json_null());
    if (json_array_size(colors) > 1)
        json_object_set_new(color, "scale", json_pack("{sO}", "range", colors));
    return json_pack("{sososo}", "x", x, "y", y, "color", color);
}

/* ---- the whole ---- */
static json_t *title_of(const json_t *spec)
{
    const char *title = plot_spec_text(spec, "title"), *note = plot_spec_text(spec, "note");

    if (!*note)
        return *title ? json_string(title) : NULL;
    return json_pack("{ssss}", "text", title, "subtitle", note);
}

json_t *plot_spec_vega(const json_t *spec)
{
    json_t *width = json_object_get(spec, "width"), *height = json_object_get(spec, "height"),
           *title = title_of(spec);
    json_t *vega = json_pack("{sss{sO}}", "$schema", "https://vega.github.io/schema/vega-lite/v5.json",
                             "data", "values", json_object_get(spec, "values"));

    if (is(spec, "box")) {
        json_object_set_new(vega, "layer", box_layers(spec));
        json_object_set_new(vega, "encoding", box_encoding(spec));
    } else if (is(spec, "heatmap")) {
        json_object_set_new(vega, "mark", json_pack("{sssb}", "type", "rect", "tooltip", 1));
        json_object_set_new(vega, "encoding", heat_encoding(spec));
    } else {
        json_object_set_new(vega, "mark", mark_of(spec));
        json_object_set_new(vega, "encoding", xy_encoding(spec));
    }
    if (title)
        json_object_set_new(vega, "title", title);
    json_object_set_new(vega, "width", width ? json_incref(width) : json_integer(480));
    json_object_set_new(vega, "height", height ? json_incref(height) : json_integer(280));
    return vega;
}

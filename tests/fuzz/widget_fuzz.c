/* widget_fuzz.c: any JSON as what a front end sends to a widget, with buffers beside it. Whatever comes: every message that goes
 * back is JSON, a slider's value is between its bounds, a choice is one of its options, and no cell has run. */
#include "runtime/session/session_lua.h"
#include "widgets/widget_lua.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WIDGETS = 256 };

struct page { /* what the front end knows */
    char ids[WIDGETS][64];
    size_t n;
    json_t *states; /* id → state, as it was told */
};

static void check_state(const json_t *state)
{
    const char *name = json_string_value(json_object_get(state, "_model_name"));
    const json_t *value = json_object_get(state, "value"), *index = json_object_get(state, "index");
    double min = json_number_value(json_object_get(state, "min")),
           max = json_number_value(json_object_get(state, "max"));

    if (!name)
        abort();
    if (strcmp(name, "IntSliderModel") == 0 || strcmp(name, "FloatSliderModel") == 0)
        if (!json_is_number(value) || min > max || json_number_value(value) < min ||
            json_number_value(value) > max)
            abort();
    if (strcmp(name, "DropdownModel") == 0 && !json_is_null(index))
        if (!json_is_integer(index) || json_integer_value(index) < 0 ||
            (size_t)json_integer_value(index) >= json_array_size(json_object_get(state, "_options_labels")))
            abort();
}

static enum lc on_comm(void *self, const struct ctx *ctx, enum comm_kind kind, const char *id,
                       const char *target, json_t *data, json_t *metadata, const struct comm_buffers *buffers,
                       struct err *err)
{
    struct page *page = self;
    json_t *state = json_object_get(data, "state"), *known;
    char *text = data ? json_dumps(data, 0) : strdup("");

    (void)ctx, (void)target, (void)metadata, (void)buffers, (void)err;
    if (!text) /* bytes were left in a message */
        abort();
    free(text);
    if (kind == COMM_OPEN && page->n < WIDGETS) {
        snprintf(page->ids[page->n++], sizeof *page->ids, "%s", id);
        json_object_set_new(page->states, id, json_deep_copy(state));
    }
    known = json_object_get(page->states, id);
    if (kind == COMM_MSG && known &&
        strcmp(json_string_value(json_object_get(data, "method")), "update") == 0)
        json_object_update(known, state);
    return LC_OK;
}

static const struct frontend_ops page_ops = {.name = "page", .rich = true, .comm_send = on_comm};

static const char show[] = "local function make(name, fields) local w = widgets[name](fields) "
                           "w:observe(function(c) seen = c.new end) display(w) end\n"
                           "for _, name in ipairs{'IntSlider', 'FloatSlider', 'FloatLogSlider', "
                           "'IntRangeSlider', 'FloatRangeSlider', 'Text', 'Textarea', "
                           "'Checkbox', 'ColorPicker', 'DatePicker', 'TimePicker', 'DatetimePicker', "
                           "'FileUpload', 'TagsInput', 'ColorsInput', 'IntsInput', "
                           "'Image', 'Play', 'Output', 'Button', 'Valid', 'Combobox'} do make(name, {}) end\n"
                           "for _, name in ipairs{'Dropdown', 'Select', 'SelectMultiple', 'SelectionSlider', "
                           "'SelectionRangeSlider', 'ToggleButtons', "
                           "'RadioButtons'} do make(name, {options = {'a', 'b', {'c', 3}}}) end\n"
                           "make('Tab', {children = {widgets.Label('x')}})\n";

static void run(struct session *s, const char *text)
{
    struct cell_reply reply;
    struct err err;

    if (session_execute(s, &(struct cell_request){.code = text, .len = strlen(text)}, &reply, &err) == LC_OK)
        cell_reply_release(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct session_global globals[] = {{"widgets", widgets_open, "controls", NULL}, {0}};
    struct page page = {.states = json_object()};
    struct session_options options = {.frontend = {&page_ops, &page}, .globals = globals};
    struct comm_buffers buffers = {(const void *const[]){"\0\xff\xfe", data}, (const size_t[]){3, size}, 2};
    struct session *s;
    struct err err;
    json_t *message = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL), *state;
    const char *id;

    if (!message || size > 20000 || session_open(&options, &s, &err) != LC_OK) {
        json_decref(message);
        json_decref(page.states);
        return 0;
    }
    run(s, show);
    if (page.n < 60)
        abort();
    for (size_t i = 0, n = page.n; i < n; i++) {
        json_t *copy = json_deep_copy(message);
        if (session_comm(s, COMM_MSG, page.ids[i], NULL, copy, NULL, &buffers, &err) != LC_OK)
            err_clear(&err);
        json_decref(copy);
    }
    for (int i = 0; i < 2; i++) { /* the second time, its id is taken */
        json_t *copy = json_deep_copy(message);
        if (session_comm(s, COMM_OPEN, "opened", "jupyter.widget", copy, NULL, &buffers, &err) != LC_OK)
            err_clear(&err);
        json_decref(copy);
    }
    run(s, "widgets.close_all()");
    json_object_foreach (page.states, id, state)
        check_state(state);
    session_close(s);
    json_decref(message);
    json_decref(page.states);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif

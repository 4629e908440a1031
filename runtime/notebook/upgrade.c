#include "runtime/notebook/upgrade.h"
#include "runtime/base/buf.h"
#include <stdio.h>
#include <string.h>

static void rename_member(json_t *object, const char *from, const char *to)
{
    json_t *value = json_object_get(object, from);

    if (!value)
        return;
    json_object_set(object, to, value);
    json_object_del(object, from);
}

static bool is(const json_t *object, const char *member, const char *text)
{
    const char *value = json_string_value(json_object_get(object, member));

    return value && strcmp(value, text) == 0;
}

/* ---- outputs ---- */
static const char *mime_of(const char *key)
{
    static const struct {
        const char *old, *mime;
    } rows[] = {{"text", "text/plain"},       {"html", "text/html"},
                {"svg", "image/svg+xml"},     {"png", "image/png"},
                {"jpeg", "image/jpeg"},       {"latex", "text/latex"},
                {"json", "application/json"}, {"javascript", "application/javascript"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].old, key) == 0)
            return rows[i].mime;
    return strchr(key, '/') ? key : NULL;
}

/* The bundle's members stood beside output_type. */
static void upgrade_bundle(json_t *output)
{
    static const char *const kept[] = {"output_type", "execution_count", "metadata"};
    json_t *data = json_object(), *value;
    const char *key;
    void *next;

    json_object_foreach_safe (output, next, key, value) {
        bool stays = false;
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
            stays = stays || strcmp(kept[i], key) == 0;
        if (stays)
            continue;
        if (mime_of(key))
            json_object_set(data, mime_of(key), value);
        json_object_del(output, key);
    }
    json_object_set_new(output, "data", data);
    if (!json_object_get(output, "metadata"))
        json_object_set_new(output, "metadata", json_object());
}

static void upgrade_output(json_t *output)
{
    if (is(output, "output_type", "pyout")) {
        json_object_set_new(output, "output_type", json_string("execute_result"));
        rename_member(output, "prompt_number", "execution_count");
        if (!json_object_get(output, "execution_count"))
            json_object_set_new(output, "execution_count", json_null());
        upgrade_bundle(output);
    } else if (is(output, "output_type", "display_data")) {
        upgrade_bundle(output);
    } else if (is(output, "output_type", "pyerr")) {
        json_object_set_new(output, "output_type", json_string("error"));
    } else if (is(output, "output_type", "stream")) {
        rename_member(output, "stream", "name");
        if (!json_object_get(output, "name"))
            json_object_set_new(output, "name", json_string("stdout"));
    }
}

/* ---- cells ---- */
static void upgrade_code(json_t *cell)
{
    json_t *output, *collapsed = json_object_get(cell, "collapsed");
    size_t i;

    json_object_del(cell, "language");
    if (collapsed) {
        json_object_set(json_object_get(cell, "metadata"), "collapsed", collapsed);
        json_object_del(cell, "collapsed");
    }
    rename_member(cell, "input", "source");
    if (!json_object_get(cell, "source"))
        json_object_set_new(cell, "source", json_string(""));
    rename_member(cell, "prompt_number", "execution_count");
    json_array_foreach (json_object_get(cell, "outputs"), i, output)
        upgrade_output(output);
}

/* "## text" for level 2; one line, whatever it was. */
static void upgrade_heading(json_t *cell)
{
    json_int_t level = json_integer_value(json_object_get(cell, "level"));
    json_t *source = json_object_get(cell, "source");
    struct buf text = BUF_INIT(1 << 20);
    size_t parts = json_is_array(source) ? json_array_size(source) : 1;

    buf_printf(&text, "%.*s ", (int)(level < 1 ? 1 : level > 6 ? 6 : level), "######");
    for (size_t i = 0; i < parts; i++)
        buf_puts(&text, json_string_value(json_is_array(source) ? json_array_get(source, i) : source)
                            ? json_string_value(json_is_array(source) ? json_array_get(source, i) : source)
                            : "");
    while (text.len && text.data[text.len - 1] == '\n')
        text.data[--text.len] = '\0';
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '\n')
            text.data[i] = ' ';
    json_object_del(cell, "level");
    json_object_set_new(cell, "cell_type", json_string("markdown"));
    json_object_set_new(cell, "source", json_string(buf_str(&text)));
    buf_release(&text);
}

static void upgrade_cell(json_t *cell)
{
    if (!json_is_object(cell))
        return;
    if (!json_object_get(cell, "metadata"))
        json_object_set_new(cell, "metadata", json_object());
    if (is(cell, "cell_type", "code"))
        upgrade_code(cell);
    else if (is(cell, "cell_type", "heading"))
        upgrade_heading(cell);
    else if (is(cell, "cell_type", "html"))
        json_object_set_new(cell, "cell_type", json_string("markdown"));
}

void notebook_upgrade3(json_t *root)
{
    json_t *cells = json_array(), *metadata = json_object_get(root, "metadata"), *sheet, *cell;
    size_t i, k;

    json_array_foreach (json_object_get(root, "worksheets"), i, sheet)
        json_array_foreach (json_object_get(sheet, "cells"), k, cell) {
            upgrade_cell(cell);
            json_array_append(cells, cell);
        }
    json_object_del(root, "worksheets");
    json_object_set_new(root, "cells", cells);
    if (!json_is_object(metadata)) {
        json_object_set_new(root, "metadata", json_object());
        metadata = json_object_get(root, "metadata");
    }
    json_object_del(metadata, "name");
    json_object_del(metadata, "signature");
    json_object_set_new(metadata, "orig_nbformat", json_integer(3));
    json_object_del(root, "orig_nbformat");
    json_object_del(root, "orig_nbformat_minor");
    json_object_set_new(root, "nbformat", json_integer(4));
    json_object_set_new(root, "nbformat_minor", json_integer(5));
}

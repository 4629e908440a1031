#include "runtime/notebook/notebook.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/notebook/kept.h"
#include "runtime/notebook/spelling.h"
#include "runtime/notebook/upgrade.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct notebook {
    json_t *root; /* owned */
    bool kept;    /* it has marks of kept.h */
};

static const size_t file_max = NOTEBOOK_TEXT_MAX;

enum lc notebook_text(const char *path, struct buf *out, struct err *err)
{
    enum lc rc = fs_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, out, err);

    if (rc == LC_NOTFOUND)
        err_hint(err, "give the path of a .ipynb file");
    return rc;
}

enum lc notebook_load(const char *path, struct notebook **out, struct err *err)
{
    struct buf text = BUF_INIT(file_max);
    enum lc rc = notebook_text(path, &text, err);

    if (rc == LC_OK)
        rc = notebook_parse(buf_str(&text), text.len, path, out, err);
    buf_release(&text);
    return rc;
}

static enum lc check_version(json_t *root, const char *name, struct err *err)
{
    const json_t *major = json_object_get(root, "nbformat");

    if (!json_is_object(root) || !json_is_integer(major))
        return err_set(err, LC_DATA, "'%s' is not a notebook: it has no 'nbformat'", name);
    if (json_integer_value(major) == 3 && json_is_array(json_object_get(root, "worksheets"))) {
        notebook_upgrade3(root);
        return LC_OK;
    }
    if (json_integer_value(major) != 4) {
        bool newer = json_integer_value(major) > 4;
        err_set(err, LC_UNSUPPORTED, "cannot read notebook '%s': nbformat %d; 3 and 4 are read", name,
                (int)json_integer_value(major));
        return err_hint(err, newer ? "save it as nbformat 4 in the program that wrote it"
                                   : "convert it with 'jupyter nbconvert --to notebook'");
    }
    if (!json_is_array(json_object_get(root, "cells")))
        return err_set(err, LC_DATA, "'%s' is not a notebook: it has no list of 'cells'", name);
    return LC_OK;
}

static bool is_text(const json_t *value)
{
    size_t i;
    json_t *line;

    if (!json_is_array(value))
        return json_is_string(value);
    json_array_foreach (value, i, line)
        if (!json_is_string(line))
            return false;
    return true;
}

static bool is_known_type(const char *type)
{
    static const char *const types[] = {"code", "markdown", "raw"};

    for (size_t i = 0; type && i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

/* What is kept can be handed on, but no cell can be made of it. */
static bool has_kept(const json_t *source)
{
    size_t i;
    json_t *line;

    json_array_foreach (source, i, line)
        if (has_kept(line))
            return true;
    return json_is_string(source) && kept_has(json_string_value(source), json_string_length(source));
}

static enum lc check_cell(const json_t *cell, size_t index, bool kept, const char *name, struct err *err)
{
    const json_t *metadata = json_object_get(cell, "metadata"), *outputs = json_object_get(cell, "outputs");

    if (!json_is_object(cell) || !is_known_type(json_string_value(json_object_get(cell, "cell_type"))))
        return err_set(err, LC_DATA, "cannot read notebook '%s': cell %zu has no valid 'cell_type'", name,
                       index + 1);
    if (!is_text(json_object_get(cell, "source")))
        return err_set(err, LC_DATA, "cannot read notebook '%s': the 'source' of cell %zu is no text", name,
                       index + 1);
    if (kept && has_kept(json_object_get(cell, "source")))
        return err_set(err, LC_DATA,
                       "cannot read notebook '%s': the 'source' of cell %zu has a lone surrogate or \\u0000, "
                       "which is no text",
                       name, index + 1);
    if ((metadata && !json_is_object(metadata)) || (outputs && !json_is_array(outputs)))
        return err_set(err, LC_DATA, "cannot read notebook '%s': cell %zu has broken 'metadata' or 'outputs'",
                       name, index + 1);
    return LC_OK;
}

static json_t *child(json_t *object, const char *key, json_t *(*make)(void))
{
    json_t *value = json_object_get(object, key);

    if (!value && json_object_set_new(object, key, make()) == 0)
        value = json_object_get(object, key);
    return value;
}

/* What 4.5 demands and older files lack. */
static void complete_cell(json_t *cell)
{
    char id[9];

    child(cell, "metadata", json_object);
    if (!json_is_string(json_object_get(cell, "id"))) {
        hex_make(id, 8);
        json_object_set_new(cell, "id", json_string(id));
    }
    if (cell_is_code(cell)) {
        child(cell, "outputs", json_array);
        child(cell, "execution_count", json_null);
    }
}

/* Notebooks that Python wrote may have what jansson refuses: it is looked for only then. */
static json_t *read_json(const char *text, size_t len, bool *kept, json_error_t *why)
{
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, why);
    struct buf marked = BUF_INIT(2 * file_max);

    *kept = !root && kept_mark(text, len, &marked);
    if (*kept)
        root = json_loadb(buf_str(&marked), marked.len, JSON_REJECT_DUPLICATES, why);
    buf_release(&marked);
    return root;
}

enum lc notebook_parse(const char *text, size_t len, const char *name, struct notebook **out, struct err *err)
{
    const size_t bom = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* of editors on Windows */
    json_error_t parse;
    bool kept;

    name = strcmp(name, "-") == 0 ? "standard input" : name;
    json_t *root = read_json(text + bom, len - bom, &kept, &parse), *cell;
    struct notebook *nb;
    enum lc rc;
    size_t i;

    if (!root) {
        err_set(err, LC_PARSE, "cannot read notebook '%s': line %d, column %d: %s", name, parse.line,
                parse.column, parse.text);
        err_at(err, parse.position);
        if (strlen(name) > 4 && strcmp(name + strlen(name) - 4, ".lua") == 0)
            return err_hint(err, "a script runs without 'run': lacus %s", name);
        return err_hint(err, "the file is damaged or not a notebook: restore it from its last saved version");
    }
    rc = check_version(root, name, err);
    for (i = 0; rc == LC_OK && i < json_array_size(json_object_get(root, "cells")); i++)
        rc = check_cell(json_array_get(json_object_get(root, "cells"), i), i, kept, name, err);
    nb = rc == LC_OK ? mem_zalloc(sizeof *nb) : NULL;
    if (!nb) {
        json_decref(root);
        return rc == LC_OK ? err_nomem(err) : rc;
    }
    nb->root = root;
    nb->kept = kept;
    child(root, "metadata", json_object);
    json_array_foreach (json_object_get(root, "cells"), i, cell)
        complete_cell(cell);
    if (json_integer_value(json_object_get(root, "nbformat_minor")) < 5)
        json_object_set_new(root, "nbformat_minor", json_integer(5));
    *out = nb;
    return LC_OK;
}

void notebook_free(struct notebook *nb)
{
    if (!nb)
        return;
    json_decref(nb->root);
    mem_free(nb);
}

/* A full disk is that of the notebook, not that of LACUS_HOME. */
static enum lc hint_room(enum lc rc, const char *path, struct err *err)
{
    const char *name = fs_basename(path);

    if (rc != LC_NOSPACE || !err)
        return rc;
    return err_hint(err, "free some space in '%.*s', or write the notebook to another disk: -o OUT",
                    name == path ? 1 : (int)(name - path), name == path ? "." : path);
}

/* The file's text, the caller's to mem_free, without a NUL; NULL: no memory. */
static char *render(const struct notebook *nb, size_t *len)
{
    char *dumped = json_dumps(nb->root, JSON_INDENT(1) | JSON_SORT_KEYS), *text;
    struct buf spelled = BUF_INIT(4 * file_max);

    if (dumped)
        spelling_python(dumped, strlen(dumped), &spelled);
    free(dumped);
    *len = spelled.len;
    text = buf_take(&spelled);
    if (!text)
        return NULL;
    if (nb->kept)
        *len = kept_restore(text, *len);
    text[(*len)++] = '\n'; /* in place of the NUL */
    return text;
}

enum lc notebook_write(const struct notebook *nb, int fd, struct err *err)
{
    size_t len, done = 0;
    char *text = render(nb, &len);

    if (!text)
        return err_nomem(err);
    while (done < len) {
        ssize_t n = write(fd, text + done, len - done);
        if (n < 0 && errno != EINTR) {
            enum lc rc = err_errno(err, errno, "cannot write the notebook");
            mem_free(text);
            if (rc == LC_NOSPACE)
                err_hint(err, "free some space where standard output goes, or write to a file: -o OUT");
            return rc;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    mem_free(text);
    return LC_OK;
}

enum lc notebook_save(const struct notebook *nb, const char *path, bool durable, struct err *err)
{
    size_t len;
    char *text = render(nb, &len);
    enum lc rc;

    if (!text)
        return err_nomem(err);
    rc = durable ? fs_write(path, text, len, err) : fs_replace(path, text, len, err);
    mem_free(text);
    return hint_room(rc, path, err);
}

void notebook_shares(struct notebook *nb, const struct notebook *other)
{
    nb->kept = nb->kept || other->kept;
}

json_t *notebook_metadata(struct notebook *nb)
{
    return json_object_get(nb->root, "metadata");
}

void notebook_note_language(struct notebook *nb)
{
    json_t *metadata = notebook_metadata(nb);

    json_object_set_new(metadata, "language_info", json_loads(NOTEBOOK_LANGUAGE, 0, NULL));
    if (!json_object_get(metadata, "kernelspec"))
        json_object_set_new(metadata, "kernelspec",
                            json_pack("{s:s, s:s, s:s}", "display_name", "lacus (Lua 5.4)", "language", "lua",
                                      "name", "lacus"));
}

size_t notebook_cell_count(const struct notebook *nb)
{
    return json_array_size(json_object_get(nb->root, "cells"));
}

json_t *notebook_cell(const struct notebook *nb, size_t index)
{
    return json_array_get(json_object_get(nb->root, "cells"), index);
}

/* Takes over the cell. */
static enum lc insert(struct notebook *nb, size_t index, json_t *cell, struct err *err)
{
    if (!cell || json_array_insert(json_object_get(nb->root, "cells"), index, cell) != 0) {
        json_decref(cell);
        return err_nomem(err);
    }
    complete_cell(cell);
    json_decref(cell);
    return LC_OK;
}

enum lc notebook_insert_markdown(struct notebook *nb, size_t index, const char *source, const char *tag,
                                 struct err *err)
{
    return insert(nb, index,
                  json_pack("{s:s, s:o, s:{s:[s]}}", "cell_type", "markdown", "source",
                            notebook_lines(source, strlen(source)), "metadata", "tags", tag),
                  err);
}

enum lc notebook_insert_code(struct notebook *nb, size_t index, const char *source, const char *tag,
                             struct err *err)
{
    return insert(nb, index,
                  json_pack("{s:s, s:o, s:{s:[s]}, s:[], s:n}", "cell_type", "code", "source",
                            notebook_lines(source, strlen(source)), "metadata", "tags", tag, "outputs",
                            "execution_count"),
                  err);
}

void notebook_remove(struct notebook *nb, size_t index)
{
    json_array_remove(json_object_get(nb->root, "cells"), index);
}

/* ---- cells ---- */
bool cell_is_code(const json_t *cell)
{
    const char *type = json_string_value(json_object_get(cell, "cell_type"));

    return type && strcmp(type, "code") == 0;
}

bool cell_has_tag(const json_t *cell, const char *tag)
{
    const json_t *tags = json_object_get(json_object_get(cell, "metadata"), "tags");

    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *has = json_string_value(json_array_get(tags, i));
        if (has && strcmp(has, tag) == 0)
            return true;
    }
    return false;
}

const char *cell_id(const json_t *cell)
{
    return json_string_value(json_object_get(cell, "id"));
}

bool cell_source(const json_t *cell, struct buf *out)
{
    const json_t *source = json_object_get(cell, "source");

    if (json_is_string(source))
        return buf_add(out, json_string_value(source), json_string_length(source));
    for (size_t i = 0; i < json_array_size(source); i++) {
        const json_t *line = json_array_get(source, i);
        buf_add(out, json_string_value(line), json_string_length(line));
    }
    return buf_ok(out);
}

json_t *cell_outputs(json_t *cell)
{
    return json_object_get(cell, "outputs");
}

json_t *cell_metadata(json_t *cell)
{
    return json_object_get(cell, "metadata");
}

json_t *notebook_lines(const char *text, size_t len)
{
    json_t *lines = json_array();

    for (size_t start = 0; start < len;) {
        const char *end = memchr(text + start, '\n', len - start);
        size_t n = end ? (size_t)(end - text) + 1 - start : len - start;
        json_array_append_new(lines, json_stringn(text + start, n));
        start += n;
    }
    return lines;
}

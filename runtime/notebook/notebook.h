/* notebook.h: a Jupyter notebook file (nbformat 4) in memory.
 *
 * What      reads nbformat 3 and 4.0–4.5, checks what it needs, gives every cell an id (4.5), and writes the file
 *           as Jupyter writes it.
 * Ownership notebook_load gives it, notebook_free ends it. Cells are borrowed jansson objects of the
 *           notebook.
 * Units     files of at most 256 MiB.
 * Errors    LC_NOTFOUND, LC_PARSE with the line, LC_DATA with the cell, LC_UNSUPPORTED for other versions.
 *           Unknown keys are kept; so are, as they were written, numbers and texts of outputs and metadata that Python
 *           reads and C cannot hold (kept.h). A byte order mark is passed over.
 * Threads   one at a time.
 * Source    nbformat.readthedocs.io, "The Notebook file format", 4.5.
 *
 * Example:
 *     struct notebook *nb;
 *     struct err err;
 *     if (notebook_load("report.ipynb", &nb, &err) == LC_OK)
 *         notebook_free(nb);
 */
#ifndef LACUS_NOTEBOOK_NOTEBOOK_H
#define LACUS_NOTEBOOK_NOTEBOOK_H
#include "runtime/base/buf.h"
#include <jansson.h>

struct notebook;

/* What Jupyter's tools know a notebook's language by, in JSON: highlighting, the ending of exported scripts. */
#define NOTEBOOK_LANGUAGE                                                                                    \
    "{\"name\":\"lua\",\"version\":\"5.4\",\"mimetype\":\"text/x-lua\",\"file_extension\":\".lua\","         \
    "\"pygments_lexer\":\"lua\",\"codemirror_mode\":\"lua\",\"nbconvert_exporter\":\"script\"}"

enum { NOTEBOOK_TEXT_MAX = 256 << 20 };
/* "-" is standard input. */
enum lc notebook_text(const char *path, struct buf *out, struct err *err) MUST_CHECK; /* appends */
enum lc notebook_load(const char *path, struct notebook **out, struct err *err) MUST_CHECK;
enum lc notebook_parse(const char *text, size_t len, const char *name, struct notebook **out,
                       struct err *err) MUST_CHECK;
void notebook_free(struct notebook *nb);
/* Complete or not at all; durable: also after a power cut. */
enum lc notebook_save(const struct notebook *nb, const char *path, bool durable, struct err *err) MUST_CHECK;

enum lc notebook_write(const struct notebook *nb, int fd, struct err *err) MUST_CHECK;

/* Before parts of another notebook are put into this one. */
void notebook_shares(struct notebook *nb, const struct notebook *other);

json_t *notebook_metadata(struct notebook *nb);
/* As a client of Jupyter leaves it: language_info, and the kernelspec where there is none. */
void notebook_note_language(struct notebook *nb);
size_t notebook_cell_count(const struct notebook *nb);
json_t *notebook_cell(const struct notebook *nb, size_t index);
/* Puts a code cell before index; LC_NOMEM is the only failure. */
enum lc notebook_insert_code(struct notebook *nb, size_t index, const char *source, const char *tag,
                             struct err *err) MUST_CHECK;
enum lc notebook_insert_markdown(struct notebook *nb, size_t index, const char *source, const char *tag,
                                 struct err *err) MUST_CHECK;

void notebook_remove(struct notebook *nb, size_t index);

bool cell_is_code(const json_t *cell);
bool cell_has_tag(const json_t *cell, const char *tag);
const char *cell_id(const json_t *cell);
bool cell_source(const json_t *cell, struct buf *out); /* appends; false when out is full */
json_t *cell_outputs(json_t *cell);                    /* array */
json_t *cell_metadata(json_t *cell);
json_t *
notebook_lines(const char *text,
               size_t len); /* array of lines, newlines kept, as Jupyter stores texts; new reference */
#endif

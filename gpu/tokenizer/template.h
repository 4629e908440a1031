/* template.h: chat templates: the part of Jinja that published models use, rendered as transformers renders
 * it (trim_blocks, lstrip_blocks, loop controls, the generation tag, raise_exception, tojson, strftime_now).
 *
 * What      template_render parses and evaluates in one call; there is no file access and no code.
 * Ownership arguments are borrowed.
 * Units     bytes, UTF-8.
 * Errors    LC_SYNTAX with the position in the template; LC_UNSUPPORTED names a tag, filter, test or method
 *           that is not known; LC_DATA for what the template itself raises (raise_exception: the message is
 *           the template's) and for wrong types; LC_LIMIT for templates that do too much.
 * Threads   any.
 *
 * Example:
 *     struct buf out = BUF_INIT(BUF_TEXT_MAX);
 *     struct err err;
 *     json_t *vars = json_pack("{s:s}", "name", "world");
 *     enum lc rc = template_render("Hello {{ name | upper }}", 24, vars, &out, &err);
 */
#ifndef LACUS_GPU_TOKENIZER_TEMPLATE_H
#define LACUS_GPU_TOKENIZER_TEMPLATE_H
#include "runtime/base/buf.h"
#include <jansson.h>

struct text_spans;

/* variables: a JSON object; appends to out. */
enum lc template_render(const char *text, size_t len, const json_t *variables, struct buf *out,
                        struct err *err) MUST_CHECK;
/* The same into an empty buffer, with the parts that are the assistant's (assistant.h; NULL: not asked for). */
enum lc template_render_marked(const char *text, size_t len, const json_t *variables, struct buf *out,
                               struct text_spans *spans, struct err *err) MUST_CHECK;
#endif

/* tools.h: calls of functions in the text that a model writes, in the published formats.
 *
 * What      a reader takes an answer as it grows and gives pieces: text for the client, and calls. What may
 *           become a call is held back. A call that cannot be read is text: nothing that was said is lost.
 *           TOOLS_TAGGED   <tool_call>{"name": …, "arguments": {…}}</tool_call>: Hermes, Qwen2.5, Qwen3
 *           TOOLS_LIST     [TOOL_CALLS][{"name": …, "arguments": {…}}, …], and [TOOL_CALLS]name[ARGS]{…}: Mistral
 *           TOOLS_OBJECT   an answer that is {"name": …, "parameters": {…}}, several after ';': Llama 3
 * Ownership tool_reader_release; a piece's name is the caller's (mem_free), its text the reader's until the
 *           next put.
 * Errors    a reader's text that has failed (no memory) gives what it has.
 * Threads   one per reader.
 *
 * Example:
 *     struct tool_reader r = {.format = TOOLS_TAGGED, .text = BUF_INIT(BUF_TEXT_MAX)};
 *     struct tool_piece piece;
 *     buf_puts(&r.text, "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>");
 *     while (tool_reader_next(&r, true, &piece))
 *         mem_free(piece.name);
 *     tool_reader_release(&r);
 */
#ifndef LACUS_SERVING_TOOLS_H
#define LACUS_SERVING_TOOLS_H
#include "runtime/base/buf.h"

enum tool_format { TOOLS_NONE, TOOLS_UNKNOWN, TOOLS_TAGGED, TOOLS_LIST, TOOLS_OBJECT };

struct tool_reader {
    enum tool_format format;
    struct buf text; /* the whole answer so far: append to it */
    size_t at;       /* before it everything is given */
    size_t looked;   /* before it no call ends */
    size_t calls;    /* given */
    bool one;        /* no call after the first is given */
    bool plain;      /* no call will come any more */
    bool said;       /* the piece before was text */
    bool begun;      /* TOOLS_LIST, TOOLS_OBJECT: the calls are being given */
};

struct tool_piece {
    char *name; /* NULL: text */
    const char *text;
    size_t len;
};

/* How a model with this chat template calls. TOOLS_NONE: the template takes no tools. */
enum tool_format tool_format_of(const char *chat_template);
/* Special tokens that are part of the format, NULL at the end: the reader has to see them. */
const char *const *tool_marks(enum tool_format format);
/* The next piece: text, or a call with its arguments as JSON. last: the answer is whole. False: none yet. */
bool tool_reader_next(struct tool_reader *r, bool last, struct tool_piece *out);
void tool_reader_release(struct tool_reader *r);
#endif

#include "runtime/dataframe/csv/csv.h"
#include "runtime/base/mem.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- options ---- */
enum { TO_FLAG, TO_TEXT, TO_MARK, TO_DELIMITER, TO_MODE, TO_UNESCAPED };

#define AT(member) offsetof(struct csv_options, member), sizeof(((struct csv_options *)0)->member)
static const struct {
    const char *name;
    int kind;
    size_t at, size;
} options[] = {
    {"sep", TO_DELIMITER, AT(delimiter)},
    {"delimiter", TO_DELIMITER, AT(delimiter)},
    {"quote", TO_MARK, AT(quote)},
    {"escape", TO_MARK, AT(escape)},
    {"charToEscapeQuoteEscaping", TO_MARK, AT(escape_escape)},
    {"comment", TO_MARK, AT(comment)},
    {"header", TO_FLAG, AT(header)},
    {"multiLine", TO_FLAG, AT(multiline)},
    {"inferSchema", TO_FLAG, AT(infer)},
    {"enforceSchema", TO_FLAG, AT(enforce_schema)},
    {"preferDate", TO_FLAG, AT(prefer_date)},
    {"ignoreLeadingWhiteSpace", TO_FLAG, AT(trim_leading)},
    {"ignoreTrailingWhiteSpace", TO_FLAG, AT(trim_trailing)},
    {"mode", TO_MODE, AT(mode)},
    {"unescapedQuoteHandling", TO_UNESCAPED, AT(unescaped)},
    {"nullValue", TO_TEXT, AT(null_value)},
    {"nanValue", TO_TEXT, AT(nan_value)},
    {"positiveInf", TO_TEXT, AT(positive_inf)},
    {"negativeInf", TO_TEXT, AT(negative_inf)},
    {"emptyValue", TO_TEXT, AT(empty_value)},
    {"lineSep", TO_TEXT, AT(line_sep)},
    {"encoding", TO_TEXT, AT(encoding)},
    {"charset", TO_TEXT, AT(encoding)},
    {"columnNameOfCorruptRecord", TO_TEXT, AT(corrupt_name)},
};

const char *csv_option_name(size_t i)
{
    return i < sizeof options / sizeof *options ? options[i].name : NULL;
}

enum { MARK_UNSET = -2 }; /* charToEscapeQuoteEscaping follows escape until it is given */

void csv_defaults(struct csv_options *o)
{
    *o = (struct csv_options){.delimiter = ",",
                              .n_delimiter = 1,
                              .quote = '"',
                              .escape = '\\',
                              .escape_escape = MARK_UNSET,
                              .comment = CSV_NO_MARK,
                              .enforce_schema = true,
                              .prefer_date = true,
                              .nan_value = "NaN",
                              .positive_inf = "Inf",
                              .negative_inf = "-Inf",
                              .encoding = "UTF-8",
                              .corrupt_name = "_corrupt_record"};
}

static enum lc to_text(char *out, size_t size, const char *name, const char *value, struct err *err)
{
    size_t n = strlen(value);

    if (n >= size)
        return err_set(err, LC_ARG, "the option '%s' takes at most %zu bytes, not '%s'", name, size - 1,
                       value);
    memcpy(out, value, n + 1);
    return LC_OK;
}

/* Spark writes a tab and the like as two characters. */
static enum lc to_delimiter(struct csv_options *o, const char *name, const char *value, struct err *err)
{
    static const char from[] = "tnrbf\\\"'0", to[] = "\t\n\r\b\f\\\"'\0";
    size_t n = 0;

    if (!*value)
        return err_set(err, LC_ARG,
                       "[INVALID_DELIMITER_VALUE.EMPTY_STRING] Invalid value for delimiter. Delimiter cannot "
                       "be empty string. SQLSTATE: 42602");
    if (strcmp(value, "\\") == 0)
        return err_set(
            err, LC_ARG,
            "[INVALID_DELIMITER_VALUE.SINGLE_BACKSLASH] Invalid value for delimiter. Single backslash is "
            "prohibited. It has special meaning as beginning of an escape sequence. To get the backslash "
            "character, pass a string with two backslashes as the delimiter. SQLSTATE: 42602");
    for (const char *s = value; *s; s++) {
        const char *at = *s == '\\' && s[1] ? memchr(from, s[1], sizeof from - 1) : NULL;

        if (*s == '\\' && !at)
            return err_set(err, LC_ARG,
                           "[INVALID_DELIMITER_VALUE.UNSUPPORTED_SPECIAL_CHARACTER] Invalid value for "
                           "delimiter. Unsupported special character for delimiter: %s. SQLSTATE: 42602",
                           value);
        if (n == CSV_DELIMITER)
            return err_set(err, LC_ARG, "the option '%s' takes at most %d bytes, not '%s'", name,
                           CSV_DELIMITER, value);
        o->delimiter[n++] = at ? to[at - from] : *s;
        s += at != NULL;
    }
    o->delimiter[n] = '\0';
    o->n_delimiter = n;
    return LC_OK;
}

static enum lc to_word(int *out, const char *const *words, int n, const char *name, const char *value,
                       struct err *err)
{
    for (int i = 0; i < n; i++)
        if (strcasecmp(words[i], value) == 0) {
            *out = i;
            return LC_OK;
        }
    err_set(err, LC_ARG, "the option '%s' cannot be '%s'", name, value);
    return err_hint(err, "it is %s, %s or %s", words[0], words[1], words[2]);
}

enum lc csv_option(struct csv_options *o, const char *name, const char *value, struct err *err)
{
    static const char *const modes[] = {"PERMISSIVE", "DROPMALFORMED", "FAILFAST"};
    static const char *const handlings[] = {"STOP_AT_DELIMITER", "STOP_AT_CLOSING_QUOTE", "SKIP_VALUE"};
    int word = 0;

    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        char *at = (char *)o + options[i].at;

        if (strcasecmp(options[i].name, name) != 0)
            continue;
        switch (options[i].kind) {
        case TO_FLAG:
            *(bool *)(void *)at = strcasecmp(value, "true") == 0;
            if (!*(bool *)(void *)at && strcasecmp(value, "false") != 0)
                return err_set(err, LC_ARG, "the option '%s' is true or false, not '%.100s'", options[i].name,
                               value);
            return LC_OK;
        case TO_TEXT:
            return to_text(at, options[i].size, name, value, err);
        case TO_MARK:
            if (value[0] && (value[1] || (unsigned char)value[0] >= 0x80))
                return err_set(err, LC_ARG, "the option '%s' takes one ASCII character, not '%s'", name,
                               value);
            *(int *)(void *)at = value[0] ? value[0] : CSV_NO_MARK;
            return LC_OK;
        case TO_DELIMITER:
            return to_delimiter(o, name, value, err);
        case TO_MODE: /* Spark takes what it does not know for PERMISSIVE, and with it what is misspelt */
            TRY(to_word(&word, modes, 3, name, value, err));
            o->mode = (enum csv_mode)word;
            return LC_OK;
        default:
            TRY(to_word(&word, handlings, 3, name, value, err));
            o->unescaped = (enum csv_unescaped)word;
            return LC_OK;
        }
    }
    return LC_OK;
}

enum lc csv_check(const struct csv_options *o, struct err *err)
{
    if (o->multiline && strlen(o->line_sep) > 2)
        return err_set(err, LC_UNSUPPORTED,
                       "lineSep has at most two characters where multiLine is on, not '%s'", o->line_sep);
    if (o->quote != CSV_NO_MARK && o->n_delimiter == 1 && o->quote == o->delimiter[0])
        return err_set(err, LC_ARG, "the options 'sep' and 'quote' are both '%c'", o->quote);
    return LC_OK;
}

/* ---- one record ---- */
enum { END = 256 }; /* nothing is left */

struct machine { /* the reader's state: a character that is looked at and the one before that matters */
    const struct csv_options *o;
    const unsigned char *p, *end;
    struct csv_row *row;
    int ch, prev, escape_escape;
    bool crlf, unescaped, skipped;
    char *text; /* the value that grows */
    size_t n;
    size_t trailing; /* spaces at its end that are to go */
};

static bool next(struct machine *m)
{
    if (m->p == m->end)
        return false;
    m->ch = *m->p++;
    if (m->crlf && m->ch == '\r' && m->p < m->end && *m->p == '\n')
        m->ch = *m->p++;
    return true;
}

static bool at_delimiter(const struct machine *m)
{
    size_t more = m->o->n_delimiter - 1;

    return m->ch == (unsigned char)m->o->delimiter[0] &&
           (more == 0 || ((size_t)(m->end - m->p) >= more && memcmp(m->p, m->o->delimiter + 1, more) == 0));
}

static bool at_stop(const struct machine *m)
{
    return m->ch == '\n' || at_delimiter(m);
}

static void put(struct machine *m, int ch)
{
    m->text[m->n++] = (char)ch;
}

static void prepend(struct machine *m, int ch)
{
    memmove(m->text + 1, m->text, m->n++);
    m->text[0] = (char)ch;
}

/* What the input's end is judged by (add_rest) is the character that a run of plain ones began with. */
static bool ends_at(struct machine *m, int from)
{
    if (m->o->n_delimiter == 1)
        m->ch = from;
    return false;
}

static bool until_stop(struct machine *m)
{
    int from = m->ch;

    while (!at_stop(m)) {
        put(m, m->ch);
        if (!next(m))
            return ends_at(m, from);
    }
    return true;
}

static bool quoted_value(struct machine *m);

/* An unescaped quote was met while the value is read as one without quotes. */
static bool value_with_escapes(struct machine *m);

static bool quote_or_escape(struct machine *m)
{
    int quote = m->o->quote, escape = m->o->escape;

    if (m->ch == escape && m->prev == m->escape_escape && m->escape_escape != CSV_NO_MARK) {
        put(m, escape);
        m->ch = 0;
    } else if (m->prev == escape) {
        if (m->ch == quote) {
            put(m, quote);
            m->ch = 0;
        } else {
            put(m, m->prev);
        }
    } else if (m->ch == quote && m->prev == quote) {
        put(m, quote);
    } else if (m->prev == quote) {
        put(m, quote);
        m->prev = m->ch;
        return value_with_escapes(m);
    }
    return true;
}

static bool value_with_escapes(struct machine *m)
{
    while (!at_stop(m)) {
        if (m->ch != m->o->quote && m->ch != m->o->escape) {
            if (m->prev == m->o->quote) {
                put(m, m->o->quote);
                m->prev = m->ch;
                return value_with_escapes(m);
            }
            put(m, m->ch);
        } else if (!quote_or_escape(m)) {
            return false;
        }
        m->prev = m->ch;
        if (!next(m))
            return false;
    }
    return true;
}

static bool skip_value(struct machine *m)
{
    bool more = until_stop(m);

    m->n = 0;
    m->skipped = true;
    return more;
}

/* Something follows the closing quote: the value is what stands there, quotes and all. */
static bool unescaped_quote(struct machine *m)
{
    m->unescaped = true;
    if (m->o->unescaped == CSV_SKIP_VALUE)
        return skip_value(m);
    put(m, m->o->quote);
    put(m, m->ch);
    m->prev = m->ch;
    return quoted_value(m);
}

static bool is_space(int ch)
{
    return ch <= ' ';
}

/* White space after the closing quote is dropped, unless more than white space follows. */
static bool after_quotes(struct machine *m)
{
    size_t before = m->n;

    put(m, m->o->quote);
    do {
        put(m, m->ch);
        if (!next(m)) {
            m->n = before;
            return false;
        }
        if (m->ch == '\n') {
            m->n = before;
            return true;
        }
    } while (is_space(m->ch) && !at_delimiter(m));
    if (at_delimiter(m)) {
        m->n = before;
        return true;
    }
    if (m->o->unescaped == CSV_STOP_AT_DELIMITER || (m->ch != m->o->quote && m->ch != m->o->escape))
        put(m, m->ch);
    m->prev = m->ch;
    return quoted_value(m);
}

static bool inside_quotes(struct machine *m)
{
    int quote = m->o->quote, escape = m->o->escape;

    for (;;) {
        if (m->prev == quote && (is_space(m->ch) || at_stop(m)))
            break;
        if (m->ch != quote && m->ch != escape) {
            if (m->prev == quote)
                return unescaped_quote(m);
            if (m->prev == escape && escape != CSV_NO_MARK)
                put(m, escape);
            for (int from = m->ch; m->ch != quote && m->ch != escape && m->ch != m->escape_escape;) {
                put(m, m->ch);
                if (!next(m))
                    return ends_at(m, from);
            }
        } else {
            if (!quote_or_escape(m))
                return false;
            m->prev = m->ch;
            if (!next(m))
                return false;
            if (m->unescaped && at_stop(m))
                return true;
            continue;
        }
        m->prev = m->ch;
        if (!next(m))
            return false;
    }
    return at_stop(m) || after_quotes(m);
}

static bool quoted_value(struct machine *m)
{
    if (m->prev != 0 && m->o->unescaped == CSV_SKIP_VALUE)
        return skip_value(m);
    if (m->prev != 0 && m->o->unescaped != CSV_STOP_AT_CLOSING_QUOTE) {
        prepend(m, m->o->quote);
        return next(m) && until_stop(m);
    }
    return next(m) && inside_quotes(m);
}

static bool add_field(struct machine *m, const char *s, size_t len, bool null)
{
    struct csv_row *row = m->row;

    if (row->n == row->cap) {
        size_t cap = row->cap ? row->cap * 2 : 32;
        struct csv_field *grown = mem_reallocn(row->fields, cap, sizeof *grown);

        if (!grown)
            return false;
        row->fields = grown;
        row->cap = cap;
    }
    row->fields[row->n++] = (struct csv_field){s, len, null};
    return true;
}

static bool add_empty(struct machine *m)
{
    return add_field(m, m->o->null_value, strlen(m->o->null_value), true);
}

static bool add_text(struct machine *m, const char *s, size_t len)
{
    return len ? add_field(m, s, len, false)
               : add_field(m, m->o->empty_value, strlen(m->o->empty_value), false);
}

static bool add_grown(struct machine *m)
{
    const char *s = m->text;
    size_t len = m->n;

    if (m->skipped)
        return add_empty(m);
    m->text += len; /* the next value grows behind it */
    m->n = 0;
    return add_text(m, s, len);
}

/* What was being read when the input ended. */
static bool add_rest(struct machine *m)
{
    bool value;

    if (m->skipped)
        return add_empty(m);
    if (m->ch == m->o->quote && m->prev != m->o->quote && !m->unescaped)
        put(m, m->o->quote);
    value = (m->ch == m->o->quote && m->prev == m->o->quote) || (m->prev != 0 && !at_stop(m));
    if (m->n > 0 || value)
        return add_grown(m);
    return add_empty(m);
}

static size_t trimmed(const char *s, size_t len)
{
    while (len && is_space((unsigned char)s[len - 1]))
        len--;
    return len;
}

/* With longer delimiters, a quote that ends the input is taken for one that was not closed. */
static bool quote_at_end(struct machine *m, const unsigned char *from, size_t len, bool *failed)
{
    memcpy(m->text, from, len);
    m->n = len;
    put(m, m->o->quote);
    *failed = !add_grown(m);
    m->p = m->end;
    return false;
}

/* A value without quotes, where it stands. */
static bool plain_value(struct machine *m, bool *failed)
{
    const unsigned char *from = m->p - 1, *stop = from;
    const struct csv_options *o = m->o;
    size_t len;

    if (o->n_delimiter == 1) {
        int delimiter = (unsigned char)o->delimiter[0];

        while (stop < m->end && *stop != delimiter && *stop != '\n')
            stop++;
    } else {
        for (m->p = stop + 1, m->ch = *stop; !at_stop(m);) {
            stop++;
            if (!next(m))
                break;
        }
        stop = m->p == m->end && !at_stop(m) ? m->end : m->p - 1;
    }
    len = (size_t)(stop - from);
    if (o->n_delimiter > 1 && stop == m->end && m->ch == o->quote)
        return quote_at_end(m, from, len, failed);
    if (stop < m->end && *stop == '\n' && m->crlf && len && from[len - 1] == '\r')
        len--;
    if (o->trim_trailing)
        len = trimmed((const char *)from, len);
    *failed = !(len || stop == m->end ? add_text(m, (const char *)from, len) : add_empty(m));
    m->p = stop;
    return next(m);
}

/* Quotes around a value with nothing special in it: no copy. False: the long way. */
static bool simple_quotes(struct machine *m, bool *failed)
{
    const struct csv_options *o = m->o;
    const unsigned char *from = m->p, *close = memchr(from, o->quote, (size_t)(m->end - from));
    size_t len = close ? (size_t)(close - from) : 0;
    bool last = close && close + 1 == m->end;

    if (!close || o->n_delimiter != 1 ||
        (!last && close[1] != (unsigned char)o->delimiter[0] && close[1] != '\n'))
        return false;
    if (o->escape != o->quote && o->escape != CSV_NO_MARK && memchr(from, o->escape, len))
        return false;
    if ((last && len == 0) || (m->crlf && memchr(from, '\r', len)))
        return false;
    *failed = !add_text(m, (const char *)from, len);
    m->p = close + 1;
    return true;
}

static bool quoted_field(struct machine *m, bool *failed)
{
    bool more;

    if (simple_quotes(m, failed))
        return next(m);
    more = quoted_value(m);
    *failed = !(more ? add_grown(m) : add_rest(m));
    return more;
}

static bool skip_spaces(struct machine *m)
{
    while (m->o->trim_leading && is_space(m->ch) && m->ch != '\n' && !at_delimiter(m))
        if (!next(m))
            return false;
    return true;
}

/* From the first character to the line's end (true) or the input's (false). */
static bool fields(struct machine *m, bool *failed)
{
    for (;;) {
        if (!skip_spaces(m)) {
            *failed = m->row->n == 0 ? false : !add_empty(m);
            return false;
        }
        m->unescaped = m->skipped = false;
        m->prev = 0;
        if (at_stop(m)) {
            *failed = !add_empty(m);
        } else if (m->ch == m->o->quote) {
            if (!quoted_field(m, failed) || *failed)
                return false;
        } else if (!plain_value(m, failed) || *failed) {
            return false;
        }
        if (*failed)
            return false;
        if (m->ch == '\n')
            return true;
        m->p += m->o->n_delimiter - 1;
        if (!next(m)) {
            *failed = !add_empty(m);
            return false;
        }
        if (m->ch == '\n') {
            *failed = !add_empty(m);
            return !*failed;
        }
    }
}

static bool make_room(struct csv_row *row, size_t len)
{
    size_t cap = len * 2 + 64; /* an unfinished escape may put one character for one that was read */
    char *grown;

    if (row->room_cap >= cap)
        return true;
    grown = mem_realloc(row->room, cap);
    if (grown) {
        row->room = grown;
        row->room_cap = cap;
    }
    return grown != NULL;
}

enum csv_got csv_record(const struct csv_options *o, bool crlf, const char *data, size_t len, bool at_end,
                        struct csv_row *row, size_t *used)
{
    struct machine m = {.o = o,
                        .p = (const unsigned char *)data,
                        .end = (const unsigned char *)data + len,
                        .row = row,
                        .crlf = crlf,
                        .escape_escape = o->escape_escape};
    bool failed = false, whole = true;

    row->n = 0;
    *used = 0;
    if (!make_room(row, len))
        return CSV_NOMEM;
    if (m.escape_escape == MARK_UNSET)
        m.escape_escape = o->escape == o->quote ? CSV_NO_MARK : o->escape;
    m.text = row->room;
    if (!next(&m))
        return at_end ? CSV_RECORD : CSV_MORE;
    if (m.ch != '\n')
        whole = fields(&m, &failed);
    if (failed)
        return CSV_NOMEM;
    if (!whole && !at_end)
        return CSV_MORE;
    *used = (size_t)((const char *)m.p - data);
    return CSV_RECORD;
}

bool csv_line(const struct csv_options *o, const char *line, size_t len, struct csv_row *row)
{
    size_t used;

    return csv_record(o, false, line, len, true, row, &used) == CSV_RECORD;
}

bool csv_skipped(const struct csv_options *o, const char *line, size_t len, bool only_blanks)
{
    if (o->comment != CSV_NO_MARK && len && line[0] == o->comment)
        return true;
    for (size_t i = 0; i < len; i++)
        if (only_blanks ? line[i] != ' ' : !is_space((unsigned char)line[i]))
            return false;
    return true;
}

bool csv_is_null(const struct csv_options *o, const struct csv_field *f)
{
    return f->null || (f->len == strlen(o->null_value) && memcmp(f->s, o->null_value, f->len) == 0);
}

void csv_row_release(struct csv_row *row)
{
    mem_free(row->fields);
    mem_free(row->room);
    *row = (struct csv_row){0};
}

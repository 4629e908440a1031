/* The plugin `regex`: PCRE2 and utf8proc behind gpu/tokenizer/regex.h. A plugin, so that a kernel that tokenizes
 * nothing does not load them. */
#include "gpu/tokenizer/regex.h"
#include "runtime/base/mem.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { PATTERN_MAX = 64 << 10, MATCH_STEPS = 20000000, JIT_STACK_START = 32 << 10, JIT_STACK_MAX = 1 << 20 };

struct regex_code {
    pcre2_code *code;
};

struct regex_scratch {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

/* Oniguruma's classes where PCRE2's differ: \s is White_Space exactly, \w has marks and connectors, \h is a hex
 * digit. A negated one inside a class cannot be written out. */
static const struct {
    char letter;
    const char *outside, *inside;
} classes[] = {
    {'s', "\\p{White_Space}", "\\p{White_Space}"},
    {'S', "\\P{White_Space}", "\\P{White_Space}"},
    {'w', "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]", "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"},
    {'W', "[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]", NULL},
    {'h', "[0-9a-fA-F]", "0-9a-fA-F"},
    {'H', "[^0-9a-fA-F]", NULL},
};

static enum lc put_escape(struct buf *out, char letter, bool inside, const char *pattern, size_t at,
                          struct err *err)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        const char *text = inside ? classes[i].inside : classes[i].outside;
        if (classes[i].letter != letter)
            continue;
        if (!text) {
            err_set(err, LC_UNSUPPORTED, "cannot use the pattern '%.200s': \\%c inside a class", pattern,
                    letter);
            return err_at(err, (int64_t)at);
        }
        buf_puts(out, text);
        return LC_OK;
    }
    buf_putc(out, '\\');
    buf_putc(out, letter);
    return LC_OK;
}

static enum lc translate(const char *pattern, size_t len, struct buf *out, struct err *err)
{
    bool inside = false;

    for (size_t i = 0; i < len; i++) {
        char c = pattern[i];
        if (c == '\\' && i + 1 < len) {
            i++;
            TRY(put_escape(out, pattern[i], inside, pattern, i, err));
            continue;
        }
        if (inside && c == '&' && i + 1 < len && pattern[i + 1] == '&') {
            err_set(err, LC_UNSUPPORTED, "cannot use the pattern '%.200s': && inside a class", pattern);
            return err_at(err, (int64_t)i);
        }
        if (c == '[' && inside && i + 1 < len && pattern[i + 1] != ':') {
            err_set(err, LC_UNSUPPORTED, "cannot use the pattern '%.200s': a class inside a class", pattern);
            return err_at(err, (int64_t)i);
        }
        inside = c == '[' ? true : c == ']' ? false : inside;
        if (c == '[' && i + 2 < len && pattern[i + 1] == ':') /* [:alpha:] is copied whole */
            for (const char *end = memchr(pattern + i, ']', len - i); end && pattern + i < end; i++)
                buf_putc(out, pattern[i]);
        buf_putc(out, pattern[i]);
    }
    return buf_check(out, err);
}

static enum lc compile(const char *pattern, size_t len, struct regex_code **out, struct err *err)
{
    struct buf text = BUF_INIT(PATTERN_MAX);
    pcre2_compile_context *context = NULL;
    struct regex_code *made = mem_zalloc(sizeof *made);
    PCRE2_UCHAR message[200];
    PCRE2_SIZE at = 0;
    int code = 0;
    enum lc rc = made ? translate(pattern, len, &text, err) : err_nomem(err);

    if (rc == LC_OK && (context = pcre2_compile_context_create(NULL)) == NULL)
        rc = err_nomem(err);
    if (rc == LC_OK) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        made->code =
            pcre2_compile((PCRE2_SPTR)buf_str(&text), text.len,
                          PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_UTF_CHECK, &code, &at, context);
        if (!made->code) {
            pcre2_get_error_message(code, message, sizeof message);
            err_set(err, LC_DATA, "cannot use the pattern '%.200s': %s", pattern, (const char *)message);
            rc = err_at(err, (int64_t)at);
        } else {
            pcre2_jit_compile(made->code, PCRE2_JIT_COMPLETE); /* without JIT it only is slower */
        }
    }
    pcre2_compile_context_free(context);
    buf_release(&text);
    if (rc == LC_OK)
        *out = made;
    else
        mem_free(made);
    return rc;
}

static void release(struct regex_code *code)
{
    if (!code)
        return;
    pcre2_code_free(code->code);
    mem_free(code);
}

static void scratch_free(struct regex_scratch *s)
{
    if (!s)
        return;
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->context);
    pcre2_jit_stack_free(s->stack);
    mem_free(s);
}

static struct regex_scratch *scratch_new(void)
{
    struct regex_scratch *s = mem_zalloc(sizeof *s);

    if (!s)
        return NULL;
    s->data = pcre2_match_data_create(32, NULL);
    s->context = pcre2_match_context_create(NULL);
    s->stack = pcre2_jit_stack_create(JIT_STACK_START, JIT_STACK_MAX, NULL);
    if (!s->data || !s->context) {
        scratch_free(s);
        return NULL;
    }
    pcre2_set_match_limit(s->context, MATCH_STEPS);
    if (s->stack)
        pcre2_jit_stack_assign(s->context, NULL, s->stack);
    return s;
}

static enum lc find(const struct regex_code *code, struct regex_scratch *s, const char *text, size_t len,
                    size_t from, bool *found, size_t range[2], struct err *err)
{
    int n = pcre2_match(code->code, (PCRE2_SPTR)text, len, from, PCRE2_NO_UTF_CHECK, s->data, s->context);
    const PCRE2_SIZE *at;
    PCRE2_UCHAR message[200];

    *found = false;
    if (n == PCRE2_ERROR_NOMATCH)
        return LC_OK;
    if (n < 0) {
        pcre2_get_error_message(n, message, sizeof message);
        return err_set(err, LC_LIMIT, "cannot split the text: %s", (const char *)message);
    }
    at = pcre2_get_ovector_pointer(s->data);
    *found = true;
    range[0] = at[0];
    range[1] = at[1];
    return LC_OK;
}

static enum lc normalize(enum regex_form form, const char *text, size_t len, struct buf *out, struct err *err)
{
    static const int options[] = {
        [REGEX_NFC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
        [REGEX_NFD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
        [REGEX_NFKC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
        [REGEX_NFKD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
    };
    utf8proc_uint8_t *made = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len, &made,
                                      (utf8proc_option_t)options[form]);

    if (n < 0)
        return err_set(err, n == UTF8PROC_ERROR_NOMEM ? LC_NOMEM : LC_DATA, "cannot normalise the text: %s",
                       utf8proc_errmsg(n));
    buf_add(out, made, (size_t)n);
    free(made);
    return buf_check(out, err);
}

static uint32_t lower(uint32_t code)
{
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
}

static uint32_t upper(uint32_t code)
{
    return (uint32_t)utf8proc_toupper((utf8proc_int32_t)code);
}

static const char *category(uint32_t code)
{
    return utf8proc_category_string((utf8proc_int32_t)code);
}

static bool starts_segment(uint32_t code)
{
    const utf8proc_property_t *p = utf8proc_get_property((utf8proc_int32_t)code);

    if (p->combining_class != 0 || p->category == UTF8PROC_CATEGORY_MN || p->category == UTF8PROC_CATEGORY_MC)
        return false;
    return p->boundclass != UTF8PROC_BOUNDCLASS_V && p->boundclass != UTF8PROC_BOUNDCLASS_T;
}

extern const struct regex_vtable lacus_regex;
const struct regex_vtable lacus_regex = {
    .version = REGEX_VERSION,
    .compile = compile,
    .release = release,
    .scratch_new = scratch_new,
    .scratch_free = scratch_free,
    .find = find,
    .normalize = normalize,
    .lower = lower,
    .upper = upper,
    .category = category,
    .starts_segment = starts_segment,
};

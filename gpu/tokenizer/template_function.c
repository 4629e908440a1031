/* template_function.c: the functions that templates call; the table is at the end. */
#include "gpu/tokenizer/template_int.h"
#include <string.h>
#include <time.h>

enum { RANGE_MAX = 100000 };

static bool fn_range(struct render *r, const struct args *a, struct value *out)
{
    int64_t start = a->n > 1 ? arg_int(a, 0, NULL, 0) : 0, stop = arg_int(a, a->n > 1, NULL, 0),
            step = arg_int(a, 2, NULL, 1), i = start;

    *out = v_list(r);
    if (a->n == 0 || step == 0)
        return render_fail(r, LC_DATA, r->at, "range needs a bound and a step that is not 0");
    while (r->rc == LC_OK && (step > 0 ? i < stop : i > stop)) {
        if (out->as.list->n >= RANGE_MAX)
            return render_fail(r, LC_LIMIT, r->at, "range is limited to %d numbers", RANGE_MAX);
        list_put(r, out->as.list, v_int(i));
        if (__builtin_add_overflow(i, step, &i))
            break;
    }
    return r->rc == LC_OK;
}

static bool fn_dict(struct render *r, const struct args *a, struct value *out)
{
    *out = v_dict(r);
    if (r->rc == LC_OK && a->n && a->items[0].kind == V_DICT)
        for (size_t i = 0; i < a->items[0].as.dict->n; i++)
            if (!dict_put(r, out->as.dict, a->items[0].as.dict->keys[i], a->items[0].as.dict->values[i]))
                return false;
    for (size_t i = 0; r->rc == LC_OK && i < a->n_names; i++)
        dict_put(r, out->as.dict, v_string(a->names[i]->text, a->names[i]->len), a->items[a->n + i]);
    return r->rc == LC_OK;
}

static bool fn_namespace(struct render *r, const struct args *a, struct value *out)
{
    if (!fn_dict(r, a, out))
        return false;
    out->as.dict->is_namespace = true;
    return true;
}

static bool fn_raise(struct render *r, const struct args *a, struct value *out)
{
    struct value text = v_string("", 0);

    (void)out;
    if (a->n && !v_as_text(r, &a->items[0], &text))
        return false;
    return render_fail(r, LC_DATA, r->at, "the chat template refuses the messages: %.*s",
                       (int)(text.as.str.n < 800 ? text.as.str.n : 800), text.as.str.s);
}

static bool fn_strftime(struct render *r, const struct args *a, struct value *out)
{
    struct value format;
    struct buf b = BUF_INIT(4096);
    char pattern[200], text[400];
    time_t now = time(NULL);
    struct tm local;

    if (!arg_text(r, a, 0, "format", &format))
        return false;
    if (format.as.str.n >= sizeof pattern || !localtime_r(&now, &local))
        return render_fail(r, LC_LIMIT, r->at, "strftime_now's format is too long");
    memcpy(pattern, format.as.str.s, format.as.str.n);
    pattern[format.as.str.n] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the format is the template's, and bounded */
    buf_add(&b, text, strftime(text, sizeof text, pattern, &local));
#pragma GCC diagnostic pop
    *out = v_taken(r, &b);
    return r->rc == LC_OK;
}

const struct function template_functions[] = {
    {"range", fn_range},           {"dict", fn_dict},
    {"namespace", fn_namespace},   {"raise_exception", fn_raise},
    {"strftime_now", fn_strftime}, {NULL, NULL},
};

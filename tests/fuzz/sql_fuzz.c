/* sql_fuzz.c: no text may crash the parser, as a statement, as an expression or as a script; what it accepts can
 * be printed. */
#include "runtime/base/mem.h"
#include "runtime/sql/sql.h"
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct buf out = BUF_INIT(1 << 22);
    struct sql_statement *s;
    struct expr *e;
    struct err err;

    if (sql_parse(text, size, NULL, 0, &s, &err) == LC_OK) {
        if (s->plan)
            sql_print_plan(&out, s->plan);
        sql_release(s);
    }
    if (sql_parse_expression(text, size, &e, &err) == LC_OK) {
        sql_print_expr(&out, e);
        expr_unref(e);
    }
    buf_release(&out);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif

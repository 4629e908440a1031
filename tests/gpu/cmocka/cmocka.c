#include "tests/gpu/cmocka/cmocka.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

static struct {
    jmp_buf out;
    const char *filter;
} run;

void gpu_fail(const char *file, int line, const char *format, ...)
{
    va_list ap;

    printf("[  ERROR   ] --- %s:%d: ", file, line);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    putchar('\n');
    longjmp(run.out, 1);
}

void gpu_compare(const char *file, int line, long long a, long long b, int equal, const char *x,
                 const char *y)
{
    if ((a == b) != equal)
        gpu_fail(file, line, "%s is %lld, %s is %lld", x, a, y, b);
}

void gpu_compare_text(const char *file, int line, const char *a, const char *b)
{
    if (strcmp(a, b) != 0)
        gpu_fail(file, line, "'%s' is not '%s'", a, b);
}

void gpu_compare_bytes(const char *file, int line, const void *a, const void *b, size_t n)
{
    if (memcmp(a, b, n) != 0)
        gpu_fail(file, line, "%zu bytes differ", n);
}

void gpu_set_filter(const char *pattern)
{
    run.filter = pattern;
}

static int wanted(const char *name)
{
    return !run.filter || !*run.filter || strncmp(name, run.filter, strcspn(run.filter, "*")) == 0;
}

int gpu_run_tests(const struct CMUnitTest *tests, size_t n, int (*setup)(void **), int (*teardown)(void **))
{
    void *state = NULL;
    volatile int failed = 0;

    if (setup && setup(&state) != 0)
        return 1;
    for (volatile size_t i = 0; i < n; i++) {
        if (!wanted(tests[i].name))
            continue;
        printf("[ RUN      ] %s\n", tests[i].name);
        fflush(stdout);
        if (setjmp(run.out) == 0) {
            tests[i].run(&state);
            printf("[       OK ] %s\n", tests[i].name);
        } else {
            printf("[  FAILED  ] %s\n", tests[i].name);
            failed++;
        }
        fflush(stdout);
    }
    if (teardown)
        teardown(&state);
    return failed;
}

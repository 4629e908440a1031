/* cmocka.h: the part of cmocka that the engine's tests use, for a machine where it cannot be installed: tests/gpu only. */
#ifndef LACUS_TESTS_GPU_CMOCKA_H
#define LACUS_TESTS_GPU_CMOCKA_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

#define cmocka_unit_test(f)                                                                                  \
    {                                                                                                        \
#f, f                                                                                                \
    }
#define cmocka_run_group_tests(tests, setup, teardown)                                                       \
    gpu_run_tests(tests, sizeof(tests) / sizeof *(tests), setup, teardown)
#define cmocka_set_test_filter(pattern) gpu_set_filter(pattern)
#define print_message                   printf
#define fail_msg(...)                   gpu_fail(__FILE__, __LINE__, __VA_ARGS__)
#define assert_true(x)                                                                                       \
    do {                                                                                                     \
        if (!(x))                                                                                            \
            gpu_fail(__FILE__, __LINE__, "%s", #x);                                                          \
    } while (0)
#define assert_non_null(p)         assert_true((p) != NULL)
#define assert_null(p)             assert_true((p) == NULL)
#define assert_int_equal(a, b)     gpu_compare(__FILE__, __LINE__, (long long)(a), (long long)(b), 1, #a, #b)
#define assert_int_not_equal(a, b) gpu_compare(__FILE__, __LINE__, (long long)(a), (long long)(b), 0, #a, #b)
#define assert_in_range(x, low, high)                                                                        \
    assert_true((long long)(x) >= (long long)(low) && (long long)(x) <= (long long)(high))
#define assert_float_equal(a, b, e)  assert_true((a) - (b) <= (e) && (b) - (a) <= (e))
#define assert_string_equal(a, b)    gpu_compare_text(__FILE__, __LINE__, a, b)
#define assert_memory_equal(a, b, n) gpu_compare_bytes(__FILE__, __LINE__, a, b, n)

int gpu_run_tests(const struct CMUnitTest *tests, size_t n, int (*setup)(void **), int (*teardown)(void **));
void gpu_set_filter(const char *prefix); /* "name*" or NULL */
void gpu_fail(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));
void gpu_compare(const char *file, int line, long long a, long long b, int equal, const char *x,
                 const char *y);
void gpu_compare_text(const char *file, int line, const char *a, const char *b);
void gpu_compare_bytes(const char *file, int line, const void *a, const void *b, size_t n);
#endif

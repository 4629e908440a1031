/* unit.h: cmocka with the headers it wants before it.
 *
 * Ownership none. Units: none. Errors: a failed assertion ends the test. Threads: main thread.
 *
 * Example:
 *     #include "tests/support/unit.h"
 */
#ifndef LACUS_TESTS_UNIT_H
#define LACUS_TESTS_UNIT_H
/* in cmocka's order */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#endif

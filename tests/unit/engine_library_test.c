/* engine_library_test.c: NVIDIA's libraries are found in the wheels of a Python, here one made for the test. */
#include "gpu/library.h"
#include "runtime/base/fs.h"
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SONAME "liblacus-test-wheel.so.7"

static void a_wheel_is_found(void **state)
{
    char folder[] = "/tmp/lacus-library-XXXXXX", path[400], target[400];
    void *math = dlopen("libm.so.6", RTLD_NOW), *found;
    Dl_info info;
    struct err err;

    (void)state;
    assert_non_null(math);
    assert_true(dladdr(dlsym(math, "cos"), &info) != 0);
    snprintf(target, sizeof target, "%s", info.dli_fname);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(setenv("VIRTUAL_ENV", folder, 1), 0);
    assert_null(library_open(SONAME));
    assert_non_null(strstr(dlerror(), SONAME)); /* what the loader says */
    snprintf(path, sizeof path, "%s/lib/python3.11/site-packages/nvidia/test/lib", folder);
    assert_int_equal(fs_mkdirs(path, &err), LC_OK);
    strcat(path, "/" SONAME);
    assert_int_equal(symlink(target, path), 0);
    found = library_open(SONAME);
    assert_non_null(found);
    assert_non_null(dlsym(found, "cos"));
    dlclose(found);
    dlclose(math);
    assert_int_equal(fs_remove_tree(folder, &err), LC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wheel_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

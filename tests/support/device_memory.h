/* device_memory.h: memory for tests of operations that both the test and the tested device can touch: plain memory, or on
 * a GPU (LACUS_TEST_MANAGED=1) CUDA's managed memory, after a backend was opened. */
#ifndef LACUS_TESTS_DEVICE_MEMORY_H
#define LACUS_TESTS_DEVICE_MEMORY_H
#include <stddef.h>

void *device_alloc(size_t bytes);           /* device_free */
void *device_calloc(size_t n, size_t size); /* zeroed; device_free */
void device_free(void *p);
#endif

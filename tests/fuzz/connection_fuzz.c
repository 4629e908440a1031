/* connection_fuzz.c: any bytes as a connection file. */
#include "kernel/connection.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct connection c;
    struct err err;
    char address[CONNECTION_ADDRESS_MAX];

    if (connection_parse((const char *)data, size, &c, &err) == LC_OK) {
        connection_address(&c, CHANNEL_SHELL, address);
        if (c.port[CHANNEL_SHELL] < 1 || c.ip[0] == '\0' || strlen(c.key) != c.key_len)
            abort();
    }
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/iomem.c: 16 octets of a range, then a text as /proc/iomem has. */
#include <stdio.h>
#include <string.h>

#include "backends/iomem.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t range[2];
    char name[32];
    FILE *stream;

    if (size <= sizeof(range))
        return 0;
    memcpy(range, data, sizeof(range));
    if (range[1] == 0 || range[0] > UINT64_MAX - (range[1] - 1))
        return 0; /* no configuration has it */
    stream = fmemopen((void *)(data + sizeof(range)), size - sizeof(range), "r");
    fuzz_assert(stream);
    if (iomem_owner_in(stream, range[0], range[1], name, sizeof(name)))
        fuzz_assert(strlen(name) < sizeof(name) && !strchr(name, '\n'));
    rewind(stream);
    iomem_is_system_memory_in(stream, range[0], range[1]);
    fclose(stream);
    return 0;
}

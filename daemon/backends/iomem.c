/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See iomem.h. A deeper line stands after its parent, so among equals the last deepest one wins. */
#include "backends/iomem.h"

#include <inttypes.h>
#include <string.h>

#include "util/cleanup.h"

bool iomem_owner_in(FILE *stream, uint64_t base, uint64_t size, char *name, size_t name_size)
{
    _cleanup_free_ char *line = NULL;
    size_t capacity = 0;
    int deepest = -1;
    uint64_t last = base + size - 1;

    while (getline(&line, &capacity, stream) > 0) {
        uint64_t start, end;
        int depth = (int)strspn(line, " ");
        int text = 0;

        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " : %n", &start, &end, &text) != 2 || text == 0)
            continue;
        if (end == 0 || start > last || end < base || depth < deepest)
            continue;
        deepest = depth;
        snprintf(name, name_size, "%.*s", (int)strcspn(line + text, "\n"), line + text);
    }
    return deepest >= 0;
}

bool iomem_owner(uint64_t base, uint64_t size, char *name, size_t name_size)
{
    _cleanup_fclose_ FILE *stream = fopen("/proc/iomem", "re");

    return stream && iomem_owner_in(stream, base, size, name, name_size);
}

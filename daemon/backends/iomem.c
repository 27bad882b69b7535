/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See iomem.h. A deeper line stands after its parent, so among equals the last deepest one wins. */
#include "backends/iomem.h"

#include <inttypes.h>
#include <string.h>

#include "util/cleanup.h"

struct line {
    char *text; /* of getline() */
    size_t capacity;
    int depth;
    const char *name; /* in text */
};

static void line_done(struct line *line)
{
    free(line->text);
}

/* Goes to the next line whose range overlaps this one. False at the end. */
static bool next_overlap(FILE *stream, uint64_t base, uint64_t last, struct line *line)
{
    while (getline(&line->text, &line->capacity, stream) > 0) {
        uint64_t start, end;
        int name = 0;

        if (sscanf(line->text, "%" SCNx64 "-%" SCNx64 " : %n", &start, &end, &name) != 2 || name == 0)
            continue;
        if (end == 0 || start > last || end < base)
            continue;
        line->text[strcspn(line->text, "\n")] = 0;
        line->depth = (int)strspn(line->text, " ");
        line->name = line->text + name;
        return true;
    }
    return false;
}

bool iomem_owner_in(FILE *stream, uint64_t base, uint64_t size, char *name, size_t name_size)
{
    _cleanup_(line_done) struct line line = {0};
    int deepest = -1;

    while (next_overlap(stream, base, base + size - 1, &line)) {
        if (line.depth < deepest)
            continue;
        deepest = line.depth;
        snprintf(name, name_size, "%s", line.name);
    }
    return deepest >= 0;
}

bool iomem_is_system_memory_in(FILE *stream, uint64_t base, uint64_t size)
{
    _cleanup_(line_done) struct line line = {0};

    while (next_overlap(stream, base, base + size - 1, &line)) {
        if (strcmp(line.name, "System RAM") == 0 || strncmp(line.name, "Kernel ", 7) == 0 ||
                strcmp(line.name, "Crash kernel") == 0)
            return true;
    }
    return false;
}

bool iomem_is_system_memory(uint64_t base, uint64_t size)
{
    _cleanup_fclose_ FILE *stream = fopen("/proc/iomem", "re");

    return stream && iomem_is_system_memory_in(stream, base, size);
}

bool iomem_owner(enum region_type type, uint64_t base, uint64_t size, char *name, size_t name_size)
{
    _cleanup_fclose_ FILE *stream = fopen(type == REGION_IOPORT ? "/proc/ioports" : "/proc/iomem", "re");

    return stream && iomem_owner_in(stream, base, size, name, name_size);
}

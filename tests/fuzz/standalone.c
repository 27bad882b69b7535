/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzzer without libFuzzer: each file of the directories that are given, then mutations of them,
 * always the same ones. It knows nothing of coverage, so it finds less; it needs no more than a compiler. */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "util/cleanup.h"
#include "util/file.h"

enum {
    INPUT_LIMIT = 64 * 1024,
    INPUTS = 1024,
};

struct inputs {
    struct {
        char *text;
        size_t size;
    } list[INPUTS];
    size_t count;
};

static uint32_t random_number(uint32_t *state)
{
    /* xorshift32 (Marsaglia, 2003) */
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int read_inputs(const char *directory, struct inputs *inputs)
{
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, not_hidden, alphasort);
    int r = count < 0 ? -1 : 0;

    for (int i = 0; i < count; i++) {
        char path[4096];

        snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
        if (inputs->count == INPUTS || file_read(path, INPUT_LIMIT, &inputs->list[inputs->count].text,
                                               &inputs->list[inputs->count].size) < 0)
            r = -1;
        else
            inputs->count++;
        free(entries[i]);
    }
    free(entries);
    return r;
}

/* One of the usual small changes; returns the new size. */
static size_t mutate(uint8_t *data, size_t size, const struct inputs *inputs, uint32_t *state)
{
    size_t at = size ? random_number(state) % size : 0;
    size_t length = size ? random_number(state) % (size - at) % 64 + 1 : 0;
    size_t other = random_number(state) % inputs->count;
    size_t other_size = inputs->list[other].size;

    switch (random_number(state) % 5) {
    case 0: /* another octet */
        if (size)
            data[at] = (uint8_t)random_number(state);
        return size;
    case 1: /* another bit */
        if (size)
            data[at] ^= (uint8_t)(1u << random_number(state) % 8);
        return size;
    case 2: /* something is missing */
        if (at + length > size)
            return size;
        memmove(data + at, data + at + length, size - at - length);
        return size - length;
    case 3: /* something is there twice */
        if (at + length > size || size + length > INPUT_LIMIT)
            return size;
        memmove(data + at + length, data + at, size - at);
        return size + length;
    default: /* the end of another one */
        if (other_size == 0 || at + other_size > INPUT_LIMIT)
            return size;
        length = random_number(state) % other_size;
        memcpy(data + at, inputs->list[other].text + length, other_size - length);
        return at + other_size - length;
    }
}

int main(int argc, char **argv)
{
    static struct inputs inputs;
    static uint8_t data[INPUT_LIMIT];
    unsigned long mutations = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    uint32_t state = 1;

    if (argc < 3) {
        fprintf(stderr, "Usage: %s MUTATIONS DIRECTORY...\n", argv[0]);
        return EXIT_FAILURE;
    }
    for (int i = 2; i < argc; i++) {
        if (read_inputs(argv[i], &inputs) < 0) {
            fprintf(stderr, "%s can't be read\n", argv[i]);
            return EXIT_FAILURE;
        }
    }
    if (inputs.count == 0) {
        fprintf(stderr, "there is no corpus\n");
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < inputs.count; i++)
        LLVMFuzzerTestOneInput((const uint8_t *)inputs.list[i].text, inputs.list[i].size);
    for (unsigned long i = 0; i < mutations; i++) {
        size_t chosen = random_number(&state) % inputs.count;
        size_t size = inputs.list[chosen].size;

        memcpy(data, inputs.list[chosen].text, size);
        for (uint32_t times = random_number(&state) % 4 + 1; times > 0; times--)
            size = mutate(data, size, &inputs, &state);
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("%zu inputs, %lu mutations\n", inputs.count, mutations);
    for (size_t i = 0; i < inputs.count; i++)
        free(inputs.list[i].text);
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/event_id.c: there is one way to write an id. */
#include <errno.h>
#include <string.h>

#include "api/event_id.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    uint64_t identity = 1, sequence = 2;
    int r = event_id_parse(text, &identity, &sequence);

    if (r == 0) {
        struct daemon daemon = {.identity = identity};
        char id[EVENT_ID_SIZE];

        fuzz_assert(strcmp(event_id_format(&daemon, sequence, id), text) == 0);
    } else {
        fuzz_assert(r == -EINVAL && identity == 1 && sequence == 2);
    }
    free(text);
    return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Places count registers; reservations are of octets. */
#include "target.h"

#include <string.h>

#include "output.h"
#include "request.h"
#include "values.h"

enum { DEFAULT_WIDTH = 32 };

void target_done(struct target *target)
{
    place_done(&target->place);
}

static int parse_place_of(struct target *target, unsigned width, struct failure *failure)
{
    unsigned octets = (width ? width : DEFAULT_WIDTH) / 8;
    uint64_t count;
    int r;

    r = parse_place(target->text, &target->place, failure);
    if (r < 0)
        return r;
    target->region = target->place.region;
    if (target->place.name)
        return failure_set(failure, EXIT_CODE_USAGE,
                "%s: reservations are of offsets: write REGION:0xOFFSET, as edu:0x4 or edu:0x4+4",
                target->text);
    if (place_count(&target->place, octets * 8, &count) < 0 ||
            __builtin_mul_overflow(count, (uint64_t)octets, &target->length))
        return failure_set(failure, EXIT_CODE_USAGE, "%s: the range does not fit 64 bits", target->text);
    return 0;
}

int target_parse(const char *text, unsigned width, struct target *ret_target, struct failure *failure)
{
    _cleanup_target_ struct target target = {.text = text};
    static const char device[] = "device:";
    int r = 0;

    /* A region may be called device: its places have an offset. */
    if (strncmp(text, device, strlen(device)) == 0 && strncmp(text + strlen(device), "0x", 2) != 0)
        target.device = text + strlen(device);
    else if (strchr(text, ':'))
        r = parse_place_of(&target, width, failure);
    else
        target.region = text;
    if (r < 0)
        return r;
    if (*(target.device ? target.device : target.region) == '\0')
        return failure_set(failure, EXIT_CODE_USAGE,
                "\"%s\" names nothing: write REGION, REGION:0xOFFSET or device:NAME", text);
    *ret_target = target;
    target.place = (struct place){0};
    return 0;
}

void target_write(const struct target *target, struct json_writer *writer)
{
    if (target->device) {
        json_put_string(writer, "device", target->device);
        return;
    }
    json_put_string(writer, "region", target->region);
    if (!target->place.region)
        return;
    json_put_hex(writer, "offset", target->place.offset);
    json_put_hex(writer, "length", target->length);
}

bool target_matches(const struct target *target, const json_t *reservation)
{
    const char *name = member_text(reservation, "target", "");
    const json_t *windows = json_object_get(reservation, "windows");
    const json_t *window = json_array_get(windows, 0);
    uint64_t offset, length;

    if (target->device)
        return strncmp(name, "device ", strlen("device ")) == 0 &&
               strcmp(name + strlen("device "), target->device) == 0;
    if (!target->place.region)
        return strcmp(name, target->region) == 0;
    return json_array_size(windows) == 1 && strcmp(member_text(window, "region", ""), target->region) == 0 &&
           value_from_json(json_object_get(window, "offset"), &offset) == 0 &&
           value_from_json(json_object_get(window, "length"), &length) == 0 &&
           offset == target->place.offset && length == target->length;
}

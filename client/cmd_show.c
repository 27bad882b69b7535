/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl show NAME: all that the daemon says of a region and a device, known to this client or not. */
#include "output.h"
#include "request.h"

int cmd_show(struct call *call, json_t **ret_result, struct failure *failure)
{
    json_auto_t *region = NULL;
    json_auto_t *device = NULL;
    int r;

    r = call_connect(call, failure);
    if (r < 0)
        return r;
    r = get_region_or_device(call, call->operands[0], &region, &device, failure);
    if (r < 0)
        return r;
    *ret_result = json_pack("{s:O*, s:O*}", "region", region, "device", device);
    return *ret_result ? 0 : failure_set(failure, EXIT_CODE_OTHER, "out of memory");
}

void cmd_show_write(FILE *stream, const struct call *call, const json_t *result)
{
    static const char *const skip[] = {"name", NULL};
    const char *kind;
    const json_t *one;
    bool first = true;

    (void)call;
    json_object_foreach ((json_t *)result, kind, one) {
        if (!first)
            fputc('\n', stream);
        first = false;
        fact_write(stream, 0, kind, member_text(one, "name", "?"));
        facts_write(stream, one, 2, skip);
    }
}

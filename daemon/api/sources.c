/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See sources.h. */
#include "api/sources.h"

#include <errno.h>

static bool may_have(const struct daemon *daemon, const struct principal *principal,
        const struct interrupt_source *source, uint64_t offset, struct access_decision *ret_decision)
{
    uint64_t last = offset + source->description->acknowledge.width - 1;

    return access_may_range(daemon->access, daemon->inventory, principal, PERMISSION_INTERRUPT,
            source->region, offset, last, ret_decision);
}

bool sources_may_see(const struct daemon *daemon, const struct principal *principal,
        const struct interrupt_source *source, struct access_decision *ret_decision)
{
    const struct acknowledge_description *acknowledge = &source->description->acknowledge;

    if (!source->description->acknowledged)
        return access_may(daemon->access, principal, PERMISSION_INTERRUPT, source->region, ret_decision);
    return may_have(daemon, principal, source, acknowledge->read, ret_decision) &&
           (!acknowledge->writes || may_have(daemon, principal, source, acknowledge->write, ret_decision));
}

int sources_find(const struct daemon *daemon, const char *name, struct interrupt_source **ret_source,
        struct error *error)
{
    *ret_source = interrupts_find(daemon->interrupts, name);
    if (!*ret_source)
        return error_set(
                error, -ENOENT, "there is no source of interrupts '%.64s': /v1/interrupts lists them", name);
    return 0;
}

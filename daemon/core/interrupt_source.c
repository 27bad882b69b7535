/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One source of interrupts: masked now or when its device answers again, and told of. */
#include <stdarg.h>
#include <stdio.h>

#include "core/interrupt_sources.h"
#include "core/silence.h"
#include "util/clock.h"
#include "util/log.h"

enum { REPORT_US = 60000000 }; /* between two complaints about a source */

int source_mask(struct source *source, bool masked)
{
    struct device *device = source->watched->device;
    struct backend_interrupts *handle = device->interrupts;
    int r = 0;

    source->owed = !silence_enter(device);
    source->owed_masked = masked;
    source->owed_result = 0;
    if (!source->owed)
        r = handle->backend->interrupts_mask(handle, source->shown.index, masked);
    silence_leave(device);
    return r;
}

void source_pay(struct source *source)
{
    struct backend_interrupts *handle = source->watched->device->interrupts;

    if (source->owed)
        source->owed_result =
                handle->backend->interrupts_mask(handle, source->shown.index, source->owed_masked);
    source->owed = false;
}

void source_owe_nothing(struct source *source)
{
    silence_enter(source->watched->device);
    source->owed = false;
    source->owed_result = 0;
    silence_leave(source->watched->device);
}

/* Something may be owed again: the next reset may have begun. */
int source_take_owed_result(struct source *source)
{
    int r;

    silence_enter(source->watched->device);
    r = source->owed_result;
    source->owed_result = 0;
    silence_leave(source->watched->device);
    return r;
}

void source_complain(struct source *source, const char *format, ...)
{
    uint64_t now_us = clock_now_us();
    char text[400];
    va_list arguments;

    if (source->reported_us && now_us - source->reported_us < REPORT_US)
        return;
    source->reported_us = now_us;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    log_warning("interrupts of %s: %s", interrupt_name(&source->shown), text);
}

void source_tell(struct source *source, enum event_kind kind, bool on, const char *text)
{
    const struct event event = {.kind = kind,
            .on = on,
            .device = source->shown.device,
            .source = &source->shown,
            .text = (char *)text};

    events_add(source->watched->owner->daemon->events, &event);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See dma_buffers.h. A buffer is in the list from when it is asked for (dma_allocate.c) until its memory is
 * given back (dma_end.c), and is on its owner's account for as long; what is retained is longer
 * (dma_retained.c). */
#include "core/dma_buffers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/access.h"
#include "core/dma_life.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/date.h"

enum { TOKENS_CHECK_US = 1000000, TIMER_ACCURACY_US = 1000 };

static bool is_listed(const struct dma_buffer *buffer)
{
    return buffer->state == DMA_BUFFER_LIVE || buffer->state == DMA_BUFFER_LOST;
}

static struct dma_buffer *skip_unlisted(struct dma_buffer *buffer)
{
    while (buffer && !is_listed(buffer))
        buffer = buffer->next;
    return buffer;
}

struct dma_buffer *dma_buffers_first(const struct daemon *daemon)
{
    return daemon->dma_buffers ? skip_unlisted(daemon->dma_buffers->first) : NULL;
}

struct dma_buffer *dma_buffers_next(const struct dma_buffer *buffer)
{
    return skip_unlisted(buffer->next);
}

size_t dma_buffers_count(const struct daemon *daemon)
{
    return daemon->dma_buffers ? daemon->dma_buffers->count : 0;
}

uint64_t dma_buffers_bytes(const struct daemon *daemon)
{
    return daemon->dma_buffers ? daemon->dma_buffers->bytes : 0;
}

static bool administers(
        const struct daemon *daemon, const struct principal *principal, const struct device *device)
{
    struct access_decision decision;

    for (size_t i = 0; i < device->region_count; i++) {
        const struct region *region = &device->regions[i];
        uint64_t size = region->handle ? region->handle->size : region->known_size;

        if (!access_may_range(daemon->access, daemon->inventory, principal, PERMISSION_ADMIN, region, 0,
                    size ? size - 1 : UINT64_MAX, &decision))
            return false;
    }
    return true;
}

bool dma_buffer_may_see(
        const struct daemon *daemon, const struct principal *principal, const struct dma_buffer *buffer)
{
    return strcmp(buffer->owner, principal->name) == 0 || administers(daemon, principal, buffer->device);
}

struct dma_buffer *dma_buffers_find(
        struct daemon *daemon, const struct principal *principal, const char *id, struct error *error)
{
    for (struct dma_buffer *buffer = dma_buffers_first(daemon); buffer; buffer = dma_buffers_next(buffer)) {
        if (strcmp(buffer->id, id) == 0 && dma_buffer_may_see(daemon, principal, buffer))
            return buffer;
    }
    error_set(error, -ENOENT, "there is no buffer '%.64s', or it has ended: /v1/buffers lists them", id);
    return NULL;
}

static bool is_in_use(const struct dma_buffer *buffer)
{
    return buffer->state == DMA_BUFFER_OPENING || buffer->state == DMA_BUFFER_LIVE;
}

/* How many buffers of the device the owner of `buffer` has, or 0 when one before it in the list has the same
 * owner: then they were counted. */
static size_t count_of_owner(const struct dma_buffers *buffers, const struct dma_buffer *buffer)
{
    size_t count = 0;

    for (const struct dma_buffer *other = buffers->first; other; other = other->next) {
        if (!is_in_use(other) || other->device != buffer->device || other->account != buffer->account)
            continue;
        if (count == 0 && other != buffer)
            return 0;
        count++;
    }
    return count;
}

size_t dma_buffers_of_device(
        const struct daemon *daemon, const struct device *device, char *text, size_t size)
{
    const struct dma_buffers *buffers = daemon->dma_buffers;
    size_t count = 0, used = 0;

    for (const struct dma_buffer *buffer = buffers ? buffers->first : NULL; buffer; buffer = buffer->next) {
        size_t theirs;

        if (!is_in_use(buffer) || buffer->device != device)
            continue;
        count++;
        theirs = text ? count_of_owner(buffers, buffer) : 0;
        if (theirs && used < size)
            used += (size_t)snprintf(
                    text + used, size - used, "%s%zu of %s", used ? ", " : "", theirs, buffer->owner);
    }
    return count;
}

/* With whose token it ends. A reservation ends with its holder's, and its buffers after its safe-state
 * writes. */
static const struct principal *token_of(const struct dma_buffer *buffer)
{
    return buffer->reservation[0] ? NULL : buffer->token;
}

/* When something is to be looked at if nothing happens before. The dates when tokens expire can be set, so
 * they are looked at again and again. */
static uint64_t deadline_of(const struct dma_buffer *buffer, uint64_t now_us)
{
    uint64_t deadline_us = buffer->until_us ? buffer->until_us : UINT64_MAX;
    uint64_t check_us = now_us + TOKENS_CHECK_US;
    const struct principal *token = token_of(buffer);

    if (buffer->state == DMA_BUFFER_CLOSING)
        return UINT64_MAX;
    if (token && token->expires && check_us < deadline_us)
        return check_us;
    return deadline_us;
}

void dma_buffers_set_timer(struct dma_buffers *buffers)
{
    uint64_t first = UINT64_MAX, now_us = clock_boottime_us();

    for (const struct dma_buffer *buffer = buffers->first; buffer; buffer = buffer->next) {
        uint64_t deadline_us = deadline_of(buffer, now_us);

        first = deadline_us < first ? deadline_us : first;
    }
    sd_event_source_set_time(buffers->timer, first);
    sd_event_source_set_enabled(buffers->timer, first == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* Times */

static bool is_token_over(const struct dma_buffer *buffer, uint64_t now_us)
{
    const struct principal *token = buffer->token;

    if (!token->expires)
        return false;
    return now_us >= buffer->token_until_us || date_now_us() / 1000000 >= token->expires;
}

/* NULL: it goes on. */
static const char *why_over(const struct dma_buffer *buffer, uint64_t now_us)
{
    const struct principal *token = token_of(buffer);

    if (buffer->state == DMA_BUFFER_CLOSING)
        return NULL;
    if (token && token->scope == 0)
        return "its owner's token was revoked";
    if (token && is_token_over(buffer, now_us))
        return "its owner's token expired";
    return buffer->until_us && buffer->until_us <= now_us ? "its time was over" : NULL;
}

/* The list is gone through anew after each: ending one may find its device gone, and others with it. */
static struct dma_buffer *find_over(
        const struct dma_buffers *buffers, uint64_t now_us, const char **ret_reason)
{
    struct dma_buffer *buffer = buffers->first;

    while (buffer && !(*ret_reason = why_over(buffer, now_us)))
        buffer = buffer->next;
    return buffer;
}

static void end_over(struct dma_buffers *buffers)
{
    uint64_t now_us = clock_boottime_us();
    struct dma_buffer *buffer;
    const char *reason;

    while ((buffer = find_over(buffers, now_us, &reason)))
        dma_buffer_end(buffer, reason);
    dma_buffers_set_timer(buffers);
}

static int handle_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    end_over(userdata);
    return 0;
}

void dma_buffers_recheck(struct daemon *daemon)
{
    if (daemon->dma_buffers && daemon->dma_buffers->first)
        end_over(daemon->dma_buffers);
}

void dma_buffer_renew(struct dma_buffer *buffer, uint64_t duration_us)
{
    buffer->duration_us = duration_us;
    buffer->until_us = duration_us ? clock_boottime_us() + duration_us : 0;
    dma_buffers_set_timer(buffer->buffers);
}

uint64_t dma_buffer_seconds_left(const struct dma_buffer *buffer)
{
    uint64_t now_us = clock_boottime_us();

    if (!buffer->until_us)
        return UINT64_MAX;
    return buffer->until_us > now_us ? (buffer->until_us - now_us + 999999) / 1000000 : 0;
}

int dma_buffers_new(struct daemon *daemon, struct dma_buffers **ret_buffers)
{
    struct dma_buffers *buffers = calloc(1, sizeof(*buffers));
    int r;

    if (!buffers)
        return -ENOMEM;
    buffers->daemon = daemon;
    buffers->devices.leaving = dma_buffers_handle_leaving;
    buffers->devices.closing = dma_buffers_handle_closing;
    buffers->devices.opened = dma_buffers_handle_opened;
    r = sd_event_add_time(daemon->event, &buffers->timer, CLOCK_BOOTTIME, UINT64_MAX, TIMER_ACCURACY_US,
            handle_timer, buffers);
    if (r >= 0)
        r = sd_event_source_set_enabled(buffers->timer, SD_EVENT_OFF);
    if (r >= 0)
        r = dma_looks_new(buffers);
    if (r < 0) {
        sd_event_source_disable_unref(buffers->timer);
        free(buffers);
        return r;
    }
    for (size_t i = 0; i < daemon->inventory->device_count; i++)
        daemon->inventory->devices[i].buffers = &buffers->devices;
    *ret_buffers = buffers;
    return 0;
}

void dma_buffers_free(struct dma_buffers *buffers)
{
    struct daemon *daemon = buffers ? buffers->daemon : NULL;

    if (!buffers)
        return;
    for (size_t i = 0; i < daemon->inventory->device_count; i++)
        daemon->inventory->devices[i].buffers = NULL;
    while (buffers->first)
        dma_buffer_cut(buffers->first, "devregd stopped");
    dma_retained_give_back(buffers, NULL);
    dma_looks_free(buffers);
    sd_event_source_disable_unref(buffers->timer);
    free(buffers);
}

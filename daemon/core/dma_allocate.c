/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How buffers begin: opened by work of their device, while whoever asked may go away, and what they belong
 * to may end. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/dma_buffers.h"
#include "core/dma_life.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/date.h"
#include "util/digest.h"

enum { RETAINED_TEXT = 256, WAY_TEXT = 144 };

/* What the device's retained memory goes back by. A platform device's is lost when it is unbound without
 * having been stopped. */
static void explain_way(const struct device *device, char text[WAY_TEXT])
{
    const char *name = device_name(device);

    if (device_can_reset(device))
        snprintf(text, WAY_TEXT, "devregctl reset %.64s frees them", name);
    else if (device->description->platform)
        snprintf(text, WAY_TEXT, "unbinding %.64s under a reservation whose --safe stops it frees them",
                name);
    else
        snprintf(text, WAY_TEXT, "devregctl unbind and bind %.64s free them", name);
}

/* What helps against a limit is another thing when the memory is nobody's to free. "" when it is not. */
static const char *explain_retained(
        const struct dma_buffers *buffers, const struct account *account, char text[RETAINED_TEXT])
{
    const struct device *device = NULL;
    uint64_t bytes = dma_retained_bytes(buffers, account, &device);
    char way[WAY_TEXT] = "devregctl show says of which device, and what frees them";

    text[0] = '\0';
    if (bytes == 0)
        return text;
    if (account)
        explain_way(device, way);
    snprintf(text, RETAINED_TEXT,
            "; %" PRIu64 " of these are retained, of buffers that ended by themselves: %s", bytes, way);
    return text;
}

static int check_bytes(const struct dma_buffers *buffers, const struct account *account, uint64_t bytes,
        struct error *error)
{
    const struct limits *limits = &buffers->daemon->limits;
    char text[RETAINED_TEXT];

    if (bytes > limits->buffer_bytes_per_principal ||
            account->buffer_bytes > limits->buffer_bytes_per_principal - bytes)
        return error_set(error, -EDQUOT,
                "%s has %" PRIu64 " octets of buffers, and with %" PRIu64 " more it would be over its limit "
                "of %" PRIu64 " (buffer_bytes_per_principal): free some%s",
                account->name, account->buffer_bytes, bytes, limits->buffer_bytes_per_principal,
                explain_retained(buffers, account, text));
    if (bytes > limits->buffer_bytes || buffers->bytes > limits->buffer_bytes - bytes)
        return error_set(error, -EAGAIN,
                "all buffers together have %" PRIu64 " octets, and with %" PRIu64
                " more they would be over their limit of %" PRIu64 " (buffer_bytes): try again later%s",
                buffers->bytes, bytes, limits->buffer_bytes, explain_retained(buffers, NULL, text));
    return 0;
}

static void note_opened(struct dma_buffer *buffer)
{
    const struct backend_buffer *opened = buffer->opened;

    buffer->handle = buffer->opened;
    buffer->mapped_size = opened->size;
    buffer->bus_address = opened->bus_address;
    buffer->segment_count = opened->segment_count;
    buffer->needs_sync = opened->needs_sync;
    buffer->translated = opened->translated;
    buffer->reserved = opened->reserved;
    buffer->allocated_us = date_now_us();
}

/* More may have been taken than was counted. Of what is only wasted, for its alignment, a backend says
 * nothing. */
static int claim_opened(struct dma_buffer *buffer, struct error *error)
{
    uint64_t counted = buffer->bytes, taken = buffer->opened->size;
    int r = 0;

    if (taken <= counted)
        return 0;
    dma_buffer_return(buffer);
    r = check_bytes(buffer->buffers, buffer->account, taken, error);
    dma_buffer_claim(buffer, taken);
    return r;
}

static void run_open(struct work *work)
{
    struct dma_buffer *buffer = container_of(work, struct dma_buffer, work);
    const struct device *device = buffer->device;
    struct backend_buffer *opened;
    int r = device->backend->buffer_open(device->handle, &buffer->wish, &opened, &buffer->error);

    if (r < 0) {
        error_prefix(&buffer->error, "%s", device_name(device));
        return;
    }
    opened->backend = device->backend;
    buffer->opened = opened;
    buffer->error.code = 0;
    dma_look(buffer->device, &buffer->seen);
}

static void note_end(struct dma_buffer *buffer, enum work_end how)
{
    if (how == WORK_STOPPED)
        error_set(&buffer->error, -EAGAIN, "devregd is stopping: nothing was allocated");
    if (how == WORK_EXPIRED)
        error_set(&buffer->error, -ETIMEDOUT,
                "%s was busy for too long with requests before this one: nothing was allocated",
                device_name(buffer->device));
}

/* Whether the device is gone is found by looking: -ENODEV may be about something that it lacks. */
static void open_done(struct work *work)
{
    struct dma_buffer *buffer = container_of(work, struct dma_buffer, work);
    struct dma_buffers *buffers = buffer->buffers;
    struct device *device = buffer->device;
    int code;

    buffer->working = false;
    note_end(buffer, work->end);
    dma_look_note(buffers, device, &buffer->seen);
    if (buffer->state == DMA_BUFFER_OPENING && buffer->opened && claim_opened(buffer, &buffer->error) == 0) {
        note_opened(buffer);
        buffer->state = DMA_BUFFER_LIVE;
        dma_buffer_renew(buffer, buffer->duration_us);
        dma_waiter_tell(take_ptr(buffer->waiter), buffer, NULL);
        return;
    }
    if (buffer->state == DMA_BUFFER_CLOSING && buffer->error.code == 0)
        buffer->error = buffer->lost;
    code = buffer->error.code;
    buffer->state = DMA_BUFFER_CLOSING;
    buffer->let_go = true; /* nobody knows its bus address */
    dma_buffer_close(buffer);
    if (code == -ENODEV)
        dispatch_recheck(buffers->daemon->dispatch, device);
}

static int check_count(const struct dma_buffers *buffers, const struct account *account, struct error *error)
{
    const struct limits *limits = &buffers->daemon->limits;

    if (account->buffers >= limits->buffers_per_principal)
        return error_set(error, -EDQUOT,
                "%s has %" PRIu64 " buffers, which is its limit (buffers_per_principal): free one",
                account->name, account->buffers);
    if (buffers->count >= limits->buffers)
        return error_set(error, -EAGAIN,
                "there are %zu buffers, which is the limit of all together (buffers): try again later",
                buffers->count);
    return 0;
}

/* As it is now: where it could be had otherwise is known by the devices' listing. */
static int check_device(struct daemon *daemon, struct device *device, struct error *error)
{
    int r = dispatch_open(daemon->dispatch, device, error);

    if (r < 0)
        return r;
    if (device->better)
        return error_set(error, -EAGAIN, "%s is about to be reached through another backend: try again soon",
                device_name(device));
    if (!device->backend->buffer_open)
        return error_set(error, -EOPNOTSUPP,
                "the backend %s, through which %s is reached, has no DMA: bind the device to the driver "
                "devreg (devregctl bind %s)",
                device->backend->name, device_name(device), device_name(device));
    return 0;
}

static int make_id(char id[DMA_BUFFER_ID_SIZE])
{
    uint64_t number;
    int r = digest_random(&number, sizeof(number));

    if (r == 0)
        snprintf(id, DMA_BUFFER_ID_SIZE, "b-%016" PRIx64, number);
    return r;
}

static void fill(struct dma_buffer *buffer, struct principal *principal, const struct dma_buffer_wish *wish)
{
    uint64_t date = date_now_us() / 1000000;

    buffer->device = wish->device;
    buffer->wish = wish->memory;
    buffer->duration_us = wish->duration_us;
    snprintf(buffer->owner, sizeof(buffer->owner), "%s", principal->name);
    snprintf(buffer->note, sizeof(buffer->note), "%s", wish->note ? wish->note : "");
    snprintf(buffer->reservation, sizeof(buffer->reservation), "%s",
            wish->reservation ? wish->reservation : "");
    if (principal->kind != PRINCIPAL_TOKEN)
        return;
    buffer->token = principal_ref(principal);
    buffer->token_until_us = clock_boottime_us();
    if (principal->expires > date)
        buffer->token_until_us += (principal->expires - date) * 1000000;
}

/* From now on it counts. */
static void add(struct dma_buffers *buffers, struct dma_buffer *buffer, struct account *account)
{
    struct dma_buffer **link = &buffers->first;

    while (*link)
        link = &(*link)->next;
    *link = buffer;
    buffer->link = link;
    buffer->buffers = buffers;
    buffer->account = account;
    account->buffers++;
    buffers->count++;
}

/* NULL with the error filled. */
static struct dma_buffer *make(struct dma_buffers *buffers, struct principal *principal,
        const struct dma_buffer_wish *wish, uint64_t bytes, struct error *error)
{
    _cleanup_free_ struct dma_buffer *buffer = calloc(1, sizeof(*buffer));
    struct account *account = accounts_get(&buffers->daemon->accounts, principal->name);

    if (!buffer || !account || make_id(buffer->id) < 0) {
        error_set(error, -ENOMEM, "out of memory: try again");
        goto fail;
    }
    if (check_count(buffers, account, error) < 0)
        goto fail;
    if (check_bytes(buffers, account, bytes, error) < 0) {
        dma_retained_look(buffers); /* that it was given back meanwhile shows soon */
        goto fail;
    }
    fill(buffer, principal, wish);
    add(buffers, buffer, account);
    dma_buffer_claim(buffer, bytes);
    return take_ptr(buffer);
fail:
    accounts_put(&buffers->daemon->accounts, account);
    return NULL;
}

static int check(
        struct daemon *daemon, const struct dma_buffer_wish *wish, uint64_t *ret_bytes, struct error *error)
{
    int r = dma_wish_check(&wish->memory, ret_bytes, error);

    if (r < 0)
        return r;
    if (daemon->draining)
        return error_set(error, -EAGAIN, "devregd is stopping: nothing was allocated");
    return check_device(daemon, wish->device, error);
}

int dma_buffers_allocate(struct daemon *daemon, struct principal *principal,
        const struct dma_buffer_wish *wish, struct dma_waiter *waiter, struct error *error)
{
    struct dma_buffer *buffer;
    uint64_t bytes = 0;
    int r = check(daemon, wish, &bytes, error);

    if (r < 0)
        return r;
    buffer = make(daemon->dma_buffers, principal, wish, bytes, error);
    if (!buffer)
        return error->code;
    buffer->work = (struct work){.run = run_open, .done = open_done, .apart = true};
    buffer->working = true;
    r = dispatch_submit(daemon->dispatch, wish->device, &buffer->work, 0, error);
    if (r < 0) {
        dma_buffer_forget(buffer);
        return r;
    }
    buffer->waiter = waiter;
    waiter->buffer = buffer;
    dma_buffers_set_timer(daemon->dma_buffers);
    return 0;
}

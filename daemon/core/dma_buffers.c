/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See dma_buffers.h. A buffer is in the list from when it is asked for until its memory is given back, and
 * is on its owner's account for as long. It is closed by work of its device, so after what was submitted
 * before: the safe-state writes of the reservation that it ended with. When the device itself is closed
 * before that, closing() here closes all that it has. */
#include "core/dma_buffers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/access.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/date.h"
#include "util/digest.h"
#include "util/number.h"

enum {
    LOST_KEPT_US = 30000000, /* so that its owner can be told */
    TOKENS_CHECK_US = 1000000,
    TIMER_ACCURACY_US = 1000,
};

struct dma_buffers {
    struct device_buffers devices; /* what each device has of this */
    struct daemon *daemon;
    sd_event_source *timer;
    struct dma_buffer *first;
    size_t count;
    uint64_t bytes;
};

/* Who sees what */

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

bool dma_buffers_look(struct device *device, struct dma_state *ret_state)
{
    if (device->pending == 0)
        device_look_dma(device);
    *ret_state = device->dma;
    return device->has_dma;
}

/* When something is to be looked at if nothing happens before. The dates when tokens expire can be set, so
 * they are looked at again and again. */
static uint64_t deadline_of(const struct dma_buffer *buffer, uint64_t now_us)
{
    uint64_t deadline_us = buffer->until_us ? buffer->until_us : UINT64_MAX;
    uint64_t check_us = now_us + TOKENS_CHECK_US;

    if (buffer->state == DMA_BUFFER_CLOSING)
        return UINT64_MAX;
    if (buffer->token && buffer->token->expires && check_us < deadline_us)
        return check_us;
    return deadline_us;
}

static void set_timer(struct dma_buffers *buffers)
{
    uint64_t first = UINT64_MAX, now_us = clock_boottime_us();

    for (const struct dma_buffer *buffer = buffers->first; buffer; buffer = buffer->next) {
        uint64_t deadline_us = deadline_of(buffer, now_us);

        first = deadline_us < first ? deadline_us : first;
    }
    sd_event_source_set_time(buffers->timer, first);
    sd_event_source_set_enabled(buffers->timer, first == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* Its end */

static void record_end(const struct dma_buffer *buffer, const char *reason)
{
    const struct audit_record record = {.principal = buffer->owner,
            .action = "buffer.end",
            .subject = buffer->id,
            .result = "ok",
            .reason = reason};

    audit_write(buffer->buffers->daemon->audit, &record);
}

static void claim_bytes(struct dma_buffer *buffer, uint64_t bytes)
{
    buffer->bytes = bytes;
    buffer->buffers->bytes += bytes;
    buffer->account->buffer_bytes += bytes;
}

static void return_bytes(struct dma_buffer *buffer)
{
    buffer->buffers->bytes -= buffer->bytes;
    buffer->account->buffer_bytes -= buffer->bytes;
    buffer->bytes = 0;
}

static void end_transfers(struct dma_buffer *buffer)
{
    while (buffer->transfers)
        dma_transfer_end(buffer->transfers);
}

/* Its memory is given back, or was never there: nothing is left of it. */
static void forget(struct dma_buffer *buffer)
{
    struct dma_buffers *buffers = buffer->buffers;

    *buffer->link = buffer->next;
    if (buffer->next)
        buffer->next->link = buffer->link;
    return_bytes(buffer);
    buffers->count--;
    buffer->account->buffers--;
    accounts_put(&buffers->daemon->accounts, buffer->account);
    principal_unref(&buffers->daemon->accounts, buffer->token);
    free(buffer);
}

static void tell(struct dma_waiter *waiter, struct dma_buffer *buffer, const struct error *error)
{
    if (!waiter)
        return;
    waiter->buffer = NULL;
    waiter->over(waiter, buffer, error);
}

/* What is told is what became of allocating it, or that it is freed. */
static void finish(struct dma_buffer *buffer)
{
    struct dma_waiter *waiter = buffer->waiter;
    struct error error = buffer->error;

    forget(buffer);
    tell(waiter, NULL, error.code ? &error : NULL);
}

static void close_memory(struct dma_buffer *buffer, bool let_go)
{
    struct backend_buffer *opened = take_ptr(buffer->opened);

    buffer->handle = NULL;
    if (opened)
        opened->backend->buffer_close(opened, let_go);
}

/* Whether somebody said so, or the writes that stop the device were made, before its turn came. */
static bool may_let_go(const struct dma_buffer *buffer)
{
    return buffer->state == DMA_BUFFER_CLOSING && buffer->let_go && buffer->safe_writes_left == 0;
}

static void run_close(struct work *work)
{
    struct dma_buffer *buffer = container_of(work, struct dma_buffer, work);
    struct backend_buffer *opened = take_ptr(buffer->opened);

    opened->backend->buffer_close(opened, buffer->let_go);
}

static void close_done(struct work *work)
{
    struct dma_buffer *buffer = container_of(work, struct dma_buffer, work);
    struct error error;

    buffer->working = false;
    if (!buffer->opened) {
        finish(buffer);
        return;
    }
    /* The daemon stops: dma_buffers_free() closes it. */
    error_set(&error, -EAGAIN, "devregd is stopping: buffer %s is freed when it has", buffer->id);
    tell(take_ptr(buffer->waiter), NULL, &error);
}

/* What can't be done by a worker is done here: then the device is idle. Of one that was found gone closing()
 * takes over, now or when it is idle. The buffer may be gone afterwards. */
static void begin_close(struct dma_buffer *buffer)
{
    struct dispatch *dispatch = buffer->buffers->daemon->dispatch;
    struct device *device = buffer->device;

    if (!buffer->opened) {
        finish(buffer);
        return;
    }
    buffer->work = (struct work){.run = run_close, .done = close_done, .own = true, .apart = true};
    buffer->working = true;
    if (dispatch_submit(dispatch, device, &buffer->work, 0, NULL) == 0)
        return;
    buffer->working = false;
    if (device->lost) {
        dispatch_settle(dispatch, device);
        return;
    }
    close_memory(buffer, buffer->let_go);
    finish(buffer);
}

/* From now on nobody finds it. One that is being opened is closed when it has been: nobody knows its bus
 * address, so the device can't use it. */
static void end(struct dma_buffer *buffer, bool let_go)
{
    bool opening = buffer->state == DMA_BUFFER_OPENING;

    end_transfers(buffer);
    buffer->state = DMA_BUFFER_CLOSING;
    buffer->let_go = let_go || opening || buffer->safe_writes_left > 0;
    if (!opening && buffer->safe_writes_left == 0)
        begin_close(buffer);
}

/* Nobody asked for it. One that is lost has had its record. */
static void end_unasked(struct dma_buffer *buffer, const char *reason)
{
    if (buffer->state == DMA_BUFFER_OPENING)
        error_set(&buffer->lost, -ESTALE, "while the buffer was allocated %s", reason);
    if (buffer->state == DMA_BUFFER_LIVE)
        record_end(buffer, reason);
    end(buffer, false);
}

static void lose(struct dma_buffer *buffer, const char *reason)
{
    uint64_t least_us = clock_boottime_us() + LOST_KEPT_US;
    char text[sizeof(buffer->lost.message)];

    snprintf(text, sizeof(text), "its device %s was closed: %s", device_name(buffer->device), reason);
    record_end(buffer, text);
    error_set(&buffer->lost, -ENODEV, "%s", text);
    end_transfers(buffer);
    buffer->state = DMA_BUFFER_LOST;
    return_bytes(buffer);
    if (buffer->until_us && buffer->until_us < least_us)
        buffer->until_us = least_us;
}

static struct dma_buffer *find_open(const struct dma_buffers *buffers, const struct device *device)
{
    struct dma_buffer *buffer = buffers->first;

    while (buffer && (buffer->device != device || buffer->working || !buffer->opened))
        buffer = buffer->next;
    return buffer;
}

/* The device is idle, so no buffer's work is under way. */
static void handle_closing(struct device_buffers *devices, struct device *device, const char *reason)
{
    struct dma_buffers *buffers = container_of(devices, struct dma_buffers, devices);
    struct dma_buffer *buffer;

    while ((buffer = find_open(buffers, device))) {
        close_memory(buffer, may_let_go(buffer));
        if (buffer->state == DMA_BUFFER_LIVE)
            lose(buffer, reason);
        else
            finish(buffer);
    }
    set_timer(buffers);
}

void dma_buffer_release(struct dma_buffer *buffer, struct dma_waiter *waiter)
{
    struct dma_buffers *buffers = buffer->buffers;

    buffer->waiter = waiter;
    if (waiter)
        waiter->buffer = buffer;
    end(buffer, true);
    set_timer(buffers);
}

void dma_waiter_leave(struct dma_waiter *waiter)
{
    struct dma_buffer *buffer = take_ptr(waiter->buffer);

    if (!buffer)
        return;
    buffer->waiter = NULL;
    if (buffer->state == DMA_BUFFER_OPENING)
        end(buffer, true);
}

/* Times */

static bool is_token_over(const struct dma_buffer *buffer, uint64_t now_us)
{
    const struct principal *token = buffer->token;

    if (!token->expires)
        return false;
    return now_us >= buffer->token_until_us || date_now_us() / 1000000 >= token->expires;
}

/* NULL: it goes on. A reservation ends with its holder's token, and its buffers after its safe-state writes.
 */
static const char *why_over(const struct dma_buffer *buffer, uint64_t now_us)
{
    const struct principal *token = buffer->reservation[0] ? NULL : buffer->token;

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
        end_unasked(buffer, reason);
    set_timer(buffers);
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
    set_timer(buffer->buffers);
}

uint64_t dma_buffer_seconds_left(const struct dma_buffer *buffer)
{
    uint64_t now_us = clock_boottime_us();

    if (!buffer->until_us)
        return UINT64_MAX;
    return buffer->until_us > now_us ? (buffer->until_us - now_us + 999999) / 1000000 : 0;
}

/* With its reservation */

static size_t count_safe_writes(const struct reservation *reservation, const struct device *device)
{
    size_t count = 0;

    for (size_t i = 0; reservation->granted && i < reservation->safe_write_count; i++)
        count += reservation->safe_writes[i].region->device == device;
    return count;
}

static struct dma_buffer *find_of_reservation(const struct dma_buffers *buffers, const char *reservation)
{
    struct dma_buffer *buffer = buffers->first;

    while (buffer && (buffer->state == DMA_BUFFER_CLOSING || strcmp(buffer->reservation, reservation) != 0))
        buffer = buffer->next;
    return buffer;
}

/* The writes stop the device, when there are any and all of them succeed: until it shows, that is how it
 * is. */
void dma_buffers_reservation_ended(struct daemon *daemon, const struct reservation *reservation)
{
    struct dma_buffers *buffers = daemon->dma_buffers;
    struct dma_buffer *buffer;

    while (buffers && (buffer = find_of_reservation(buffers, reservation->id))) {
        if (buffer->state == DMA_BUFFER_LIVE)
            buffer->safe_writes_left = count_safe_writes(reservation, buffer->device);
        end_unasked(buffer, "its reservation ended");
    }
    if (buffers)
        set_timer(buffers);
}

static struct dma_buffer *find_made(const struct dma_buffers *buffers)
{
    struct dma_buffer *buffer = buffers->first;

    while (buffer && !buffer->safe_writes_made)
        buffer = buffer->next;
    return buffer;
}

void dma_buffers_safe_write_made(
        struct daemon *daemon, const char *reservation, const struct device *device, int result)
{
    struct dma_buffers *buffers = daemon->dma_buffers;
    struct dma_buffer *buffer = buffers ? buffers->first : NULL;

    for (; buffer; buffer = buffer->next) {
        if (buffer->safe_writes_left == 0 || buffer->device != device ||
                strcmp(buffer->reservation, reservation) != 0)
            continue;
        buffer->let_go = buffer->let_go && result == 0;
        buffer->safe_writes_made = --buffer->safe_writes_left == 0;
    }
    while (buffers && (buffer = find_made(buffers))) {
        buffer->safe_writes_made = false;
        begin_close(buffer);
    }
}

/* Its beginning */

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
    return_bytes(buffer);
    claim_bytes(buffer, opened->size);
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
    if (buffer->state == DMA_BUFFER_OPENING && buffer->opened) {
        note_opened(buffer);
        buffer->state = DMA_BUFFER_LIVE;
        dma_buffer_renew(buffer, buffer->duration_us);
        tell(take_ptr(buffer->waiter), buffer, NULL);
        return;
    }
    if (buffer->state == DMA_BUFFER_CLOSING && buffer->error.code == 0)
        buffer->error = buffer->lost;
    code = buffer->error.code;
    begin_close(buffer);
    if (code == -ENODEV)
        dispatch_recheck(buffers->daemon->dispatch, device);
}

static int check_limits(const struct dma_buffers *buffers, const struct account *account, uint64_t bytes,
        struct error *error)
{
    const struct limits *limits = &buffers->daemon->limits;

    if (account->buffers >= limits->buffers_per_principal)
        return error_set(error, -EDQUOT,
                "%s has %" PRIu64 " buffers, which is its limit (buffers_per_principal): free one",
                account->name, account->buffers);
    if (bytes > limits->buffer_bytes_per_principal ||
            account->buffer_bytes > limits->buffer_bytes_per_principal - bytes)
        return error_set(error, -EDQUOT,
                "%s has %" PRIu64 " octets of buffers, and with %" PRIu64 " more it would be over its limit "
                "of %" PRIu64 " (buffer_bytes_per_principal): free some",
                account->name, account->buffer_bytes, bytes, limits->buffer_bytes_per_principal);
    if (buffers->count >= limits->buffers)
        return error_set(error, -EAGAIN,
                "there are %zu buffers, which is the limit of all together (buffers): try again later",
                buffers->count);
    if (bytes > limits->buffer_bytes || buffers->bytes > limits->buffer_bytes - bytes)
        return error_set(error, -EAGAIN,
                "all buffers together have %" PRIu64 " octets, and with %" PRIu64
                " more they would be over their limit of %" PRIu64 " (buffer_bytes): try again later",
                buffers->bytes, bytes, limits->buffer_bytes);
    return 0;
}

/* As it is now: where it could be had otherwise is known by the devices' listing. */
static int check_device(struct daemon *daemon, struct device *device, struct error *error)
{
    int r = dispatch_check_closed(device, error);

    if (r < 0)
        return r;
    if (!device->handle || device->lost)
        dispatch_settle(daemon->dispatch, device);
    if (!device->handle)
        return error_set(error, device->absent.code == -EBUSY ? -EBUSY : -ENODEV, "%s is absent: %s",
                device_name(device), device->absent.message);
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

static int make(struct dma_buffers *buffers, struct principal *principal, const struct dma_buffer_wish *wish,
        uint64_t bytes, struct dma_buffer **ret_buffer, struct error *error)
{
    _cleanup_free_ struct dma_buffer *buffer = calloc(1, sizeof(*buffer));
    struct account *account;
    int r;

    if (!buffer || make_id(buffer->id) < 0)
        return error_set(error, -ENOMEM, "out of memory: try again");
    account = accounts_get(&buffers->daemon->accounts, principal->name);
    if (!account)
        return error_set(error, -ENOMEM, "out of memory: try again");
    r = check_limits(buffers, account, bytes, error);
    if (r < 0) {
        accounts_put(&buffers->daemon->accounts, account);
        return r;
    }
    fill(buffer, principal, wish);
    add(buffers, buffer, account);
    claim_bytes(buffer, bytes);
    *ret_buffer = take_ptr(buffer);
    return 0;
}

int dma_buffers_allocate(struct daemon *daemon, struct principal *principal,
        const struct dma_buffer_wish *wish, struct dma_waiter *waiter, struct error *error)
{
    struct dma_buffer *buffer;
    uint64_t bytes;
    int r = dma_wish_check(&wish->memory, &bytes, error);

    if (r == 0 && daemon->draining)
        r = error_set(error, -EAGAIN, "devregd is stopping: nothing was allocated");
    if (r == 0)
        r = check_device(daemon, wish->device, error);
    if (r == 0)
        r = make(daemon->dma_buffers, principal, wish, bytes, &buffer, error);
    if (r < 0)
        return r;
    buffer->work = (struct work){.run = run_open, .done = open_done, .apart = true};
    buffer->working = true;
    r = dispatch_submit(daemon->dispatch, wish->device, &buffer->work, 0, error);
    if (r < 0) {
        forget(buffer);
        return r;
    }
    buffer->waiter = waiter;
    waiter->buffer = buffer;
    set_timer(daemon->dma_buffers);
    return 0;
}

int dma_buffers_new(struct daemon *daemon, struct dma_buffers **ret_buffers)
{
    struct dma_buffers *buffers = calloc(1, sizeof(*buffers));
    int r;

    if (!buffers)
        return -ENOMEM;
    buffers->daemon = daemon;
    buffers->devices.closing = handle_closing;
    r = sd_event_add_time(daemon->event, &buffers->timer, CLOCK_BOOTTIME, UINT64_MAX, TIMER_ACCURACY_US,
            handle_timer, buffers);
    if (r >= 0)
        r = sd_event_source_set_enabled(buffers->timer, SD_EVENT_OFF);
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
    while (buffers->first) {
        struct dma_buffer *buffer = buffers->first;

        if (buffer->state == DMA_BUFFER_LIVE)
            record_end(buffer, "devregd stopped");
        end_transfers(buffer);
        close_memory(buffer, may_let_go(buffer));
        forget(buffer);
    }
    sd_event_source_disable_unref(buffers->timer);
    free(buffers);
}

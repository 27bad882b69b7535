/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See stores.h. The callbacks here are where the parts of the core that do not know each other meet. */
#include "stores.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/access.h"
#include "core/admission.h"
#include "core/dma_buffers.h"
#include "core/tokens.h"
#include "util/cleanup.h"
#include "util/log.h"

/* For a journal or a disk that stalls when the daemon stops. */
enum { AUDIT_END_MS = 3000, READER_END_MS = 1000, SAVE_END_MS = 3000 };

static const char own_name[] = "devregd";

/* What nobody asked for just then is recorded here; what a request did is recorded with the request. */
static void record_reservation(
        const struct stores *stores, const struct reservation *reservation, const char *action)
{
    char text[RESERVATION_END_TEXT];
    const struct audit_record record = {.principal = reservation->holder,
            .action = action,
            .subject = reservation->id,
            .region = reservation->window_count == 1 ? region_name(reservation->windows[0].region) : NULL,
            .result = "ok",
            .reason = reservation->state == RESERVATION_ENDED ? reservation_end_text(reservation, text)
                                                              : reservation->target};

    audit_write(stores->daemon->audit, &record);
}

static void handle_ended(const struct reservation *reservation, void *context)
{
    struct stores *stores = context;

    dma_buffers_reservation_ended(stores->daemon, reservation);
    admission_recheck(stores->daemon);
    if (reservation->granted)
        safe_state_run(stores->safe_state, reservation);
    if (reservation->end != RESERVATION_RELEASED)
        record_reservation(stores, reservation, "reservation.end");
}

static void handle_granted(const struct reservation *reservation, void *context)
{
    struct stores *stores = context;

    admission_recheck(stores->daemon);
    if (!reservation->claimed)
        record_reservation(stores, reservation, "reservation.grant");
}

static void handle_safe_write(
        const struct operation *operation, const char *reservation, bool first_failure, void *context)
{
    struct stores *stores = context;
    char value[24];
    const struct audit_record record = {.principal = own_name,
            .action = "safe-state",
            .subject = reservation,
            .region = region_name(operation->region),
            .has_offset = true,
            .offset = operation->access.offset,
            .width_bits = operation->access.width * 8,
            .count = 1,
            .new_value = value,
            .result = operation->result < 0 ? "failed" : "ok",
            .reason = operation->result < 0 ? operation->error.message : NULL};

    snprintf(value, sizeof(value), "0x%0*" PRIx64, (int)operation->access.width * 2,
            operation_get_value(operation, 0));
    if (first_failure) /* one line, however many there are: the audit has each */
        log_error("safe state of reservation %s: %s (the audit has how each write went)", reservation,
                operation->error.message);
    audit_write(stores->daemon->audit, &record);
    dma_buffers_safe_write_made(stores->daemon, reservation, operation->region->device, operation->result);
}

static void handle_changed(void *context)
{
    struct stores *stores = context;

    state_reservations_changed(stores->reservations);
    safe_registers_update(stores->safe_registers);
}

static void handle_not_set(struct device *device, const struct error *error, void *context)
{
    (void)context;
    (void)device;
    log_error("%s", error->message);
}

static int open_state(struct stores *stores, const struct options *options, const struct config *config,
        const char *socket, struct error *error)
{
    char path[STATE_PATH_SIZE];
    const char *named = options->state ? options->state : config->state;
    int r;

    if (named)
        return state_open(named, &stores->state, error);
    r = state_default(options->demo, socket, path, error);
    return r < 0 ? r : state_open(path, &stores->state, error);
}

static const struct principal *find_token(const struct tokens *tokens, const char *holder)
{
    for (size_t i = 0; i < tokens_count(tokens); i++) {
        const struct token *token = tokens_at(tokens, i);

        if (!token->expired && strcmp(token->principal->name, holder) == 0)
            return token->principal;
    }
    return NULL;
}

static bool may_reserve(const struct daemon *daemon, const struct principal *principal,
        const struct reservation *reservation)
{
    struct access_decision decision;

    for (size_t i = 0; i < reservation->window_count; i++) {
        const struct reservation_window *window = &reservation->windows[i];
        const struct backend_region *handle = window->region->handle;
        uint64_t last = window->last == UINT64_MAX && handle ? handle->size - 1 : window->last;

        if (!access_may_range(daemon->access, daemon->inventory, principal, PERMISSION_RESERVE,
                    window->region, window->first, last, &decision))
            return false;
    }
    return true;
}

/* Of other principals it is not known who they are, a user's groups for example, before they ask. */
static bool is_void(const struct reservation *reservation, const void *context)
{
    const struct daemon *daemon = context;
    const struct principal *principal;

    if (strncmp(reservation->holder, "token:", 6) != 0)
        return false;
    principal = find_token(daemon->tokens, reservation->holder);
    if (principal && may_reserve(daemon, principal, reservation))
        return false;
    log_warning("reservation %s: %s of %s is dropped: %s: its %zu safe-state writes are not made",
            reservation->id, reservation->target, reservation->holder,
            principal ? "its holder may not reserve that any more" : "there is no such token any more",
            reservation->granted ? reservation->safe_write_count : 0);
    return true;
}

static int open_reservations(struct stores *stores, struct error *error)
{
    struct daemon *daemon = stores->daemon;
    const struct reservation_limits limits = {.total = daemon->limits.reservations,
            .per_account = daemon->limits.reservations_per_principal,
            .unclaimed_us = RESERVATION_UNCLAIMED_US};
    const struct reservation_callbacks callbacks = {
            .ended = handle_ended, .granted = handle_granted, .changed = handle_changed, .context = stores};
    int r = safe_state_new(
            daemon->dispatch, &daemon->accounts, handle_safe_write, stores, &stores->safe_state);

    if (r >= 0)
        r = safe_registers_new(daemon, handle_not_set, stores, &stores->safe_registers);
    if (r >= 0)
        r = reservations_new(daemon->event, &daemon->accounts, &limits, &callbacks, &daemon->reservations);
    if (r >= 0)
        r = state_reservations_new(daemon->event, stores->state, daemon->reservations, daemon->inventory,
                &stores->reservations);
    if (r < 0)
        return error_set(error, r, "reservations: %s", strerror(-r));
    reservations_drop(daemon->reservations, is_void, daemon,
            "after a restart of devregd its holder may not reserve that any more");
    return 0;
}

int stores_open(struct stores *stores, struct daemon *daemon, const struct options *options,
        const struct config *config, const char *socket, struct error *error)
{
    int r;

    stores->daemon = daemon;
    r = open_state(stores, options, config, socket, error);
    if (r < 0)
        return r;
    r = audit_new(&daemon->audit, error);
    if (r < 0)
        return r;
    r = state_tokens_open(&stores->tokens, stores->state, &daemon->accounts, daemon->limits.tokens, error);
    if (r < 0)
        return r;
    daemon->tokens = stores->tokens.tokens;
    r = audit_reader_new(daemon->event, NULL, &daemon->audit_reader);
    if (r < 0)
        return error_set(error, r, "reading the audit: %s", strerror(-r));
    return open_reservations(stores, error);
}

void stores_device_changed(struct stores *stores, struct device *device)
{
    safe_registers_renew(stores->safe_registers, device);
}

void stores_quiesce(struct stores *stores)
{
    reservations_wake(stores->daemon->reservations);
    audit_reader_cancel(stores->daemon->audit_reader);
}

size_t stores_pending(const struct stores *stores)
{
    return safe_state_pending(stores->safe_state);
}

void stores_save(struct stores *stores)
{
    if (!stores->daemon)
        return;
    state_reservations_free(take_ptr(stores->reservations), SAVE_END_MS);
    audit_free(take_ptr(stores->daemon->audit), AUDIT_END_MS);
}

void stores_close(struct stores *stores)
{
    struct daemon *daemon = stores->daemon;

    if (!daemon)
        return;
    stores_save(stores);
    reservations_free(take_ptr(daemon->reservations));
    safe_registers_free(take_ptr(stores->safe_registers));
    safe_state_free(take_ptr(stores->safe_state));
    tokens_free(take_ptr(daemon->tokens));
    audit_reader_free(take_ptr(daemon->audit_reader), READER_END_MS);
    state_close(take_ptr(stores->state));
}

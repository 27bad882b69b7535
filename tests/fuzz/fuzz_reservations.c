/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* state_reservations.c: whatever the file says, no two that conflict are held, and what was restored is
 * written and restored as the same. */
#include <errno.h>
#include <string.h>

#include "core/reservation.h"
#include "fuzz.h"
#include "state_reservations.h"

static const struct reservation_limits limits = {64, 32, RESERVATION_UNCLAIMED_US};
static const struct reservation_callbacks no_callbacks;

static char ram[] = "ram", edu[] = "edu", odd[] = "odd";
static struct region_description regions[] = {{.name = ram}, {.name = edu}};
static const struct device_description devices[] = {
        {.name = ram, .model = odd, .keys = KEY_MODEL, .regions = &regions[0], .region_count = 1},
        {.name = edu, .model = edu, .keys = KEY_MODEL, .regions = &regions[1], .region_count = 1},
};

static void ignore_dropped(const struct error *why)
{
    fuzz_assert(why->message[0]);
}

static struct reservations *parse(sd_event *event, struct accounts *accounts,
        const struct inventory *inventory, const char *text, size_t size)
{
    struct reservations *reservations = NULL;
    struct error error = {0};
    int r;

    fuzz_assert(reservations_new(event, accounts, &limits, &no_callbacks, &reservations) == 0);
    r = state_reservations_parse(text, size, "b", inventory, reservations, ignore_dropped, &error);
    fuzz_assert(r == 0 || ((r == -EINVAL || r == -ESTALE || r == -EEXIST) && error.message[0]));
    reservations_settle(reservations);
    return reservations;
}

static size_t check(const struct reservations *reservations)
{
    const struct reservation *first = reservations_first(reservations, RESERVATION_HELD);
    size_t count = 0;

    for (const struct reservation *a = first; a; a = a->next) {
        fuzz_assert(a->state == RESERVATION_HELD && a->window_count > 0 && a->id[0] && a->holder[0]);
        for (const struct reservation *b = a->next; b; b = b->next)
            fuzz_assert(!reservation_conflicts(a, b) && strcmp(a->id, b->id) != 0);
        count++;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct accounts accounts = {0};
    struct buffer text = {0};
    struct inventory *inventory = NULL;
    struct reservations *reservations, *again;
    sd_event *event = NULL;

    fuzz_assert(sd_event_new(&event) >= 0);
    fuzz_assert(inventory_new(devices, 2, &inventory, NULL) == 0);
    reservations = parse(event, &accounts, inventory, (const char *)data, size);
    state_reservations_write(reservations, "b", &text);
    again = parse(event, &accounts, inventory, text.data, text.size);
    fuzz_assert(check(again) == check(reservations));
    reservations_free(again);
    reservations_free(reservations);
    inventory_free(inventory);
    sd_event_unref(event);
    buffer_done(&text);
    fuzz_assert(!accounts.first);
    return 0;
}

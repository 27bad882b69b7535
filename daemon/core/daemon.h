/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one struct that owns what the daemon is, handed down to every layer above the core. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "core/access.h"
#include "core/audit.h"
#include "core/audit_reader.h"
#include "core/dispatch.h"
#include "core/inventory.h"
#include "core/principal.h"
#include "core/reservations.h"
#include "core/tokens.h"

struct dma_buffers;
struct events;
struct interrupts;
struct streams;
struct event_texts;

/* Whatever a client can grow has a limit here. */
struct limits {
    uint64_t connections;               /* open at once, on all sockets */
    uint64_t connections_per_principal; /* open at once */
    uint64_t requests_per_principal;    /* under way */
    uint64_t head_bytes;                /* of one request's line and headers */
    uint64_t json_body_bytes;           /* of one request */
    uint64_t data_bytes;                /* of one raw transfer */
    uint64_t data_principal_bytes;      /* of one principal's raw transfers at once */
    uint64_t data_total_bytes;          /* of all raw transfers at once */
    uint64_t values;                    /* registers in one JSON request or answer */
    uint64_t queue;           /* requests for one device: fewer than connections, or it blocks them all */
    uint64_t device_seconds;  /* until a request must be done that waits for a device or is in it */
    uint64_t idle_seconds;    /* until a silent connection is closed */
    uint64_t request_seconds; /* until a request must be in whole */
    uint64_t reservations;    /* held and waiting */
    uint64_t reservations_per_principal;
    uint64_t events;                /* that are kept */
    uint64_t interrupts_per_second; /* of one source, before it is masked for a while */
    uint64_t tokens;                /* that are kept */
    uint64_t streams;               /* open at once */
    uint64_t streams_per_principal;
    uint64_t buffers; /* for DMA */
    uint64_t buffers_per_principal;
    uint64_t buffer_bytes; /* of all of them */
    uint64_t buffer_bytes_per_principal;
};

extern const struct limits limits_default;

struct counters {
    uint64_t connections; /* accepted since the start */
    uint64_t requests;
    uint64_t refused; /* answered with 4xx */
    uint64_t failed;  /* answered with 5xx */
    uint64_t bus_faults;
    uint64_t unauthenticated;     /* answered with 401 */
    uint64_t denied;              /* answered with 403 */
    uint64_t reserved;            /* answered with 423 */
    uint64_t over_limit;          /* answered with 429 */
    uint64_t connections_refused; /* over the limit of all connections */
    uint64_t timed_out;           /* connections that were over a deadline */
};

struct daemon {
    sd_event *event;
    struct inventory *inventory;
    struct dispatch *dispatch;
    struct accounts accounts;
    const struct access_rules *access;
    struct tokens *tokens;
    struct reservations *reservations;
    struct audit *audit;
    struct operation *operations;      /* under way (core/admission.c) */
    struct binding *bindings;          /* likewise (core/binding.c) */
    struct device_reset *resets;       /* likewise (core/device_reset.c) */
    const struct machine *machine;     /* whose drivers are bound; NULL: this one's */
    struct audit_reader *audit_reader; /* NULL: no journal is read */
    struct events *events;
    struct interrupts *interrupts;
    struct streams *streams;
    struct dma_buffers *dma_buffers;
    struct event_texts *event_texts; /* of the API */
    uint64_t identity; /* a random number of this process's, the first half of every request's id */
    struct limits limits;
    struct counters counters;
    uint64_t started_us; /* monotonic */
    uint64_t data_bytes_in_use;
    bool demo;
    bool insecure;    /* addresses that are not on loopback are open to whom the rules let in */
    bool draining;    /* stopping: every answer closes its connection */
    char **listening; /* names of the sockets, ended by NULL */
};

/* Asks for memory for a raw transfer of the account's (NULL: of nobody's). Returns 0; -EDQUOT when the
 * account, -EAGAIN when all transfers together would be over the limit. What was granted is given back with
 * daemon_return_data(). */
int daemon_claim_data(struct daemon *daemon, struct account *account, uint64_t size, struct error *error);
void daemon_return_data(struct daemon *daemon, struct account *account, uint64_t size);

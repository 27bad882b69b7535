/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is kept beyond requests, and beyond the process: the state directory with tokens and reservations,
 * the audit, and what follows when a reservation is granted or ends. */
#pragma once

#include "config.h"
#include "core/daemon.h"
#include "core/safe_registers.h"
#include "core/safe_state.h"
#include "options.h"
#include "state.h"
#include "state_reservations.h"
#include "state_tokens.h"

/* Must not move while it is open. */
struct stores {
    struct daemon *daemon;
    struct state *state;
    struct state_tokens tokens;
    struct state_reservations *reservations;
    struct safe_state *safe_state;
    struct safe_registers *safe_registers;
};

/* Opens all of it and puts it into the daemon, whose devices are there. socket is the first Unix socket's
 * path, or NULL. What was opened before a failure is for stores_close(). */
int stores_open(struct stores *stores, struct daemon *daemon, const struct options *options,
        const struct config *config, const char *socket, struct error *error);

/* To be called when a device or a part of it came or went. */
void stores_device_changed(struct stores *stores, struct device *device);

/* Answers what waits for something to happen: the daemon stops. */
void stores_quiesce(struct stores *stores);

/* How many writes of safe states are still to be made: what the daemon waits for before it stops. */
size_t stores_pending(const struct stores *stores);

/* Saves and records what is not yet, when the process is to end without stores_close(). */
void stores_save(struct stores *stores);

/* After all devices have stopped and the last request was answered. */
void stores_close(struct stores *stores);

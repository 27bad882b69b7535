/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reservations.json in the state directory: what is held and who waits, so that a daemon which starts anew
 * in the same boot goes on with it. After a boot of the machine it is not: the hardware is another then.
 *
 * It is written a moment after each change, by a thread of its own: a disk that stalls delays nobody, and
 * one that is full takes no reservation away. What the last moment's changes were is lost when the daemon is
 * killed right then; a holder whose reservation was lost is refused like one whose reservation has ended.
 *
 *     reservations_new(event, accounts, &limits, &callbacks, &daemon->reservations)
 *     state_reservations_new(event, state, daemon->reservations, inventory, &saver)
 *     callbacks.changed calls state_reservations_changed(saver), which takes NULL until then
 *     ... the loop runs; when it is to end, reservations_wake() ...
 *     state_reservations_free(saver, 3000), then reservations_free(), when all calls are over */
#pragma once

#include "core/reservations.h"
#include "state.h"
#include "util/buffer.h"

#define STATE_RESERVATIONS_FILE "reservations.json"

struct state_reservations;

/* Restores what the file has, for the regions that there are. What can't be understood is logged, and the
 * file is kept beside for whoever wants to look at it. Returns 0 or a negative errno when there is no memory
 * or no thread. */
int state_reservations_new(sd_event *event, const struct state *state, struct reservations *reservations,
        const struct inventory *inventory, struct state_reservations **ret_saver);

/* To be called after each change. */
void state_reservations_changed(struct state_reservations *saver);

/* Saves what is not saved yet, but waits no longer than this for a disk that stalls. */
void state_reservations_free(struct state_reservations *saver, unsigned timeout_ms);

/* The file's text. Parsing restores each reservation that it understands and calls `dropped` for what it
 * must leave out. Returns 0, -ESTALE for another boot's (nothing is restored) or -EINVAL (-EEXIST) when a
 * part is malformed.
 */
void state_reservations_write(
        const struct reservations *reservations, const char *boot, struct buffer *text);
int state_reservations_parse(const char *text, size_t size, const char *boot,
        const struct inventory *inventory, struct reservations *reservations,
        void (*dropped)(const struct error *why), struct error *error);

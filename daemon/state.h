/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state directory: what must survive a restart, in files of their own. It belongs to one daemon at a
 * time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

struct state;

enum { STATE_PATH_SIZE = 4096 };

/* Chooses the directory when neither an option nor the configuration names one: with --demo beside the Unix
 * socket (which may be NULL without it), for root below /var/lib, for others below $XDG_STATE_HOME or
 * ~/.local/state. Makes the directories above it. */
int state_default(bool demo, const char *socket, char path[STATE_PATH_SIZE], struct error *error);

/* Opens the directory, which is made when it is missing, and locks it. -EPERM when it belongs to another
 * user or another user can write there, -EBUSY when another daemon has it. */
int state_open(const char *path, struct state **ret_state, struct error *error);
void state_close(struct state *state);

/* As it was given. */
const char *state_path(const struct state *state);

/* Puts a file there, or replaces it, whole: after a failure, also of the machine, it is as before. (Only
 * when the disk fails to say that the new name has arrived may it be the new one.) */
int state_write(
        const struct state *state, const char *name, const void *data, size_t size, struct error *error);

/* Reads a file; the text is terminated. Release with free(). -ENOENT, with a message too, when there is
 * none. */
int state_read(
        const struct state *state, const char *name, char **ret_text, size_t *ret_size, struct error *error);

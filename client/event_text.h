/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events, a line each. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "util/buffer.h"

/* "2026-12-01 10:30:00.123456": a time of the daemon's in this place's own time; what is none stays.
 * Appends. */
void local_time_append(struct buffer *buffer, const char *text);

/* For people. `data` is an object; types that are not known are written as they are. */
void event_write_text(FILE *stream, const char *type, const json_t *data);

/* {"id":..., "event":..., "data":...}. False when the id or the type is no text. */
bool event_write_json(FILE *stream, const char *id, const char *type, json_t *data);

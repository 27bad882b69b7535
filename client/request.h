/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The requests that several verbs make. */
#pragma once

#include "connection.h"
#include "options.h"
#include "place.h"
#include "verbs.h"

/* Reads an operand as a place; a mistake is a usage failure. */
int parse_place(const char *text, struct place *ret_place, struct failure *failure);

/* As parse_place(), for verbs that need one register: no range. `verb` is for the message. */
int parse_single_place(const char *text, const char *verb, struct place *ret_place, struct failure *failure);

/* Starts a path: "/v1/regions/REGION/registers/0xOFFSET?width=…", and adds parameters with
 * path_append_parameter(). Finish with path_finish(). */
void path_begin_register(struct buffer *path, const struct place *place);
void path_append_parameter(struct buffer *path, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* "NAME=VALUE" with a value that may hold anything; NULL: it is left out. */
void path_append_text(struct buffer *path, const char *name, const char *value);

/* Gets /v1/regions/NAME or /v1/devices/NAME (`kind` is "regions" or "devices"). With ret_result NULL and 0
 * returned, the daemon knows no such name. */
int get_named(
        struct call *call, const char *kind, const char *name, json_t **ret_result, struct failure *failure);

/* Gets what is called `name`: a region, a device, or both of the same name; at least one is not NULL. */
int get_region_or_device(struct call *call, const char *name, json_t **ret_region, json_t **ret_device,
        struct failure *failure);

/* The array of that name in an answer, or NULL with the failure filled. */
json_t *get_list(const struct call *call, const json_t *answer, const char *name, struct failure *failure);

/* What all "the answer makes no sense" failures say. */
int fail_unexpected(const struct call *call, const char *what, struct failure *failure);

/* Connects and gets a path whose answer must have a list of this name; the whole answer is the result. */
int connect_and_get_list(
        struct call *call, const char *path, const char *key, json_t **ret_result, struct failure *failure);

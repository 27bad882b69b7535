/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the handlers about devices share. */
#pragma once

#include "api/call.h"
#include "util/json_writer.h"

/* The one that the path names first; NULL with the error filled. */
struct device *devices_find(const struct call *call, struct error *error);

/* All that is told of one; the first without the braces. */
void devices_write_members(struct json_writer *writer, const struct call *call, struct device *device);
void devices_write(
        struct json_writer *writer, const char *key, const struct call *call, struct device *device);

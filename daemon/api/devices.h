/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the handlers about devices share. */
#pragma once

#include "api/call.h"
#include "util/json_writer.h"

/* The one that the path names first; NULL with the error filled. */
struct device *devices_find(const struct call *call, struct error *error);

void devices_write(
        struct json_writer *writer, const char *key, const struct call *call, struct device *device);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The key limits. */
#pragma once

#include "config_file.h"

void config_take_limits(struct config_reader *reader, const json_t *value, void *field);

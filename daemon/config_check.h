/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold for a device that was read, in itself and beside those read before. */
#pragma once

#include "config_file.h"

/* Checks devices[index]; the reader stands on it. */
void config_check_device(struct config_reader *reader, size_t index);
